"""What events carry beside items, parts and responses: each comes back as it came, from the event that carries it."""

from __future__ import annotations

from typing import Any

import pytest

from responses_proto.codec import dump, load, make_converter
from responses_proto.models import (
    ErrorBody,
    ErrorEvent,
    Event,
    FailedSteer,
    Message,
    RequiredInput,
    ShellCallOutputContentDelta,
    ShellOutputDelta,
    SteerFailed,
    SteerPending,
)

STEER = {"id": "st_1", "previous_response_id": "resp_1"}
CARRIED: list[tuple[dict[str, Any], type, str, type]] = [
    (
        {"type": "error", "error": {"type": "server_error", "message": "no", "code": None}},
        ErrorEvent,
        "error",
        ErrorBody,
    ),
    (
        {
            "type": "response.shell_call_output_content.delta",
            "sequence_number": 1,
            "output_index": 0,
            "item_id": "so_1",
            "command_index": 0,
            "delta": {"stdout": "a"},
        },
        ShellCallOutputContentDelta,
        "delta",
        ShellOutputDelta,
    ),
    (
        {
            "type": "response.steer.failed",
            "sequence_number": 2,
            "steer": {
                "previous_response_id": "resp_1",
                "input": [{"type": "message", "role": "user", "content": "hi"}],
            },
            "error": {"type": "invalid_request_error", "code": "invalid_input", "message": "no"},
        },
        SteerFailed,
        "steer",
        FailedSteer,
    ),
]


@pytest.mark.parametrize(("wire", "event", "field", "part"), CARRIED, ids=[row[3].__name__ for row in CARRIED])
def test_an_event_has_the_part_as_a_model_and_dumps_it_unchanged(
    wire: dict[str, Any], event: type, field: str, part: type
) -> None:
    loaded: Any = make_converter(strict=True).load(wire, Event)
    assert type(loaded) is event
    assert type(getattr(loaded, field)) is part
    assert dump(loaded) == wire


def test_the_input_of_a_steer_that_failed_can_be_sent_again() -> None:
    failed: Any = load(CARRIED[2][0], Event)
    assert failed.steer.input == [Message(role="user", content="hi")]


def test_a_required_input_can_have_any_type() -> None:
    stubs: list[dict[str, Any]] = [
        {"type": "function_call_output", "call_id": "call_1"},
        {"type": "acme:answer", "key": 1},
    ]
    wire: dict[str, Any] = {
        "type": "response.steer.pending",
        "sequence_number": 3,
        "steer": STEER,
        "reason": "waiting_for_required_input",
        "required_input": stubs,
    }
    pending: Any = load(wire, Event)
    assert type(pending) is SteerPending
    assert [(type(stub), stub.type) for stub in pending.required_input] == [
        (RequiredInput, stub["type"]) for stub in stubs
    ]
    assert dump(pending) == wire
