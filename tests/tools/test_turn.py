"""Turns and their JSON form."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from tests.tool_runs import approval_request, custom_call, function_call, said, turn

from responses_proto.codec import default_converter
from responses_proto.exceptions import APIError, NotFoundError, RateLimitError
from responses_proto.models.items import FunctionCallOutput, Message, UnknownItem
from responses_proto.protocol import Cursor, Outcome
from responses_proto.tools import Approval, LoopTurn
from responses_proto.tools.turn import dump_turn, load_turn

CALLS = (function_call(1), custom_call(2), approval_request(3))
WHOLE = turn(*CALLS, UnknownItem(type="acme:note", raw={"type": "acme:note", "x": [1, None]}))
OUTPUT = FunctionCallOutput(call_id="call_1", output="ok")
LATE = RateLimitError(
    "slow down", status=429, code="rate_limit_exceeded", retry_after=2.5, headers={"a": "b"}, body={"x": 1}
)

TURNS = {
    "completed": LoopTurn(number=1, outcome=Outcome(status="completed", response=said())),
    "answered": LoopTurn(
        number=2,
        outcome=Outcome(status="completed", response=WHOLE, cursor=Cursor("resp_1", 7)),
        calls=CALLS,
        answers={"call_1": OUTPUT},
        approvals={"call_2": Approval(approve=True, reason="fine", remember=True)},
        definitions={"call_1": "abc", "call_2": ""},
        added=(Message(role="user", content="And?"),),
    ),
    "cut off": LoopTurn(
        number=3,
        outcome=Outcome(status="truncated", response=WHOLE, cursor=Cursor("resp_1")),
        calls=CALLS[:1],
        answers={"call_1": OUTPUT},
    ),
}


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_survives_as_json(name: str) -> None:
    value = json.loads(json.dumps(dump_turn(TURNS[name])))
    again = load_turn(value, TURNS[name].number, default_converter())
    assert again == TURNS[name]
    assert again.pending == TURNS[name].pending


@pytest.mark.parametrize("error", [LATE, NotFoundError("gone", status=404), APIError("odd", code="x", param="y")])
def test_the_error_of_an_outcome_survives(error: APIError) -> None:
    made = attrs.evolve(TURNS["completed"], outcome=Outcome(status="error", response=WHOLE, error=error))
    again = load_turn(json.loads(json.dumps(dump_turn(made))), 1, default_converter()).outcome.error
    assert type(again) is type(error)
    assert again is not None
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_outputs_are_in_the_order_of_the_calls() -> None:
    answers: dict[str, Any] = {"call_2": "second", "call_1": "first"}
    made = LoopTurn(number=1, outcome=Outcome(status="completed", response=WHOLE), calls=CALLS, answers=answers)
    assert made.outputs == ["first", "second"]
    assert made.pending == [approval_request(3)]
