"""The loop without I/O: its states, pending calls, requests and end."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs
import pytest
from tests.tool_runs import approval_request, custom_call, function_call, said, turn, usage

from responses_proto import CreateResponse
from responses_proto.codec import dump, make_converter
from responses_proto.exceptions import (
    DecodeError,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseFailedError,
    UsageError,
)
from responses_proto.models import ItemBase, model
from responses_proto.models.content import OutputText
from responses_proto.models.items import (
    AdditionalTools,
    FunctionCall,
    FunctionCallOutput,
    Item,
    McpApprovalResponse,
    Message,
    Reasoning,
    ToolSearchOutput,
    UnknownItem,
)
from responses_proto.models.response import IncompleteDetails, ResponseError
from responses_proto.models.tools import CustomTool, FunctionTool, NamespaceTool, WebSearchTool
from responses_proto.protocol import Cursor, Outcome, check_history
from responses_proto.providers import Provider
from responses_proto.tools import Approval, Continuation, ToolLoop, is_offered
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from responses_proto.models.response import Response


@model
class Note(ItemBase):
    """An item of a vendor."""

    type: ClassVar[Literal["acme:note"]] = "acme:note"
    text: str


REQUEST = CreateResponse(model="m", input="Go.", instructions="Be brief.", tools=[FunctionTool(name="work")])
THOUGHT = Reasoning(id="rs_1", summary=[], encrypted_content="x", status="completed")
ORDER: Message = Message(role="user", content="Go.")


def output(number: int, text: str = "ok") -> FunctionCallOutput:
    return FunctionCallOutput(call_id=f"call_{number}", output=text)


def after(loop: ToolLoop, response: Response, text: str = "ok") -> ToolLoop:
    """Receive a response and answer each of its calls."""
    for call in loop.receive(response):
        loop.answer(call, text)
    return loop


def sent(loop: ToolLoop) -> dict[str, Any]:
    """Return the wire form of the next request, without the fields that every request has."""
    return {name: value for name, value in dump(loop.request).items() if name not in ("model", "instructions", "tools")}


# ---- going round


def test_a_loop_requests_receives_and_answers_until_no_call_waits() -> None:
    loop = ToolLoop(REQUEST)
    assert (loop.state, loop.stopped, loop.response, loop.pending, loop.usage) == ("ask", None, None, [], None)
    assert loop.request is REQUEST
    calls = loop.receive(turn(THOUGHT, function_call(1), function_call(2)))
    assert calls == [function_call(1), function_call(2)] == loop.pending
    assert (loop.state, loop.stopped) == ("answer", None)
    loop.answer(calls[1], "two")
    assert (loop.state, loop.pending) == ("answer", calls[:1])
    loop.answer(calls[0], "one")
    assert (loop.state, loop.pending) == ("ask", [])
    # In call order, not in the order of the answers.
    assert loop.turns[0].outputs == [output(1, "one"), output(2, "two")]
    assert loop.receive(said()) == []
    assert (loop.state, loop.stopped) == ("over", "completed")
    assert loop.usage == attrs.evolve(
        usage(20, 10),
        input_tokens_details=attrs.evolve(usage(0, 0).input_tokens_details, cached_tokens=2),
        output_tokens_details=attrs.evolve(usage(0, 0).output_tokens_details, reasoning_tokens=4),
    )
    assert loop.items == [
        ORDER,
        THOUGHT,
        function_call(1),
        function_call(2),
        output(1, "one"),
        output(2, "two"),
        *said().output,
    ]


@pytest.mark.parametrize("continuation", ["response", None])
def test_continuing_a_stored_response_sends_only_the_answers(continuation: Continuation | None) -> None:
    loop = after(ToolLoop(REQUEST, continuation=continuation), turn(function_call(1), number=1))
    assert loop.continuation == "response"
    assert loop.request == attrs.evolve(REQUEST, input=[output(1)], previous_response_id="resp_1")
    after(loop, turn(function_call(2), number=2))
    assert loop.request == attrs.evolve(REQUEST, input=[output(2)], previous_response_id="resp_2")


def test_without_a_store_all_items_are_sent_again() -> None:
    loop = after(ToolLoop(attrs.evolve(REQUEST, store=False), dialect="openai"), turn(THOUGHT, function_call(1)))
    after(loop, turn(function_call(2), number=2))
    assert loop.continuation == "history"
    asked = loop.request
    assert isinstance(asked, CreateResponse)
    assert not asked.previous_response_id
    assert asked.store is False
    # As that server takes it: without the ids of what it does not have, and what only servers say.
    assert list(asked.input or ()) == [
        ORDER,
        attrs.evolve(THOUGHT, status=UNSET),
        attrs.evolve(function_call(1), id=UNSET),
        output(1),
        attrs.evolve(function_call(2), id=UNSET),
        output(2),
    ]


def test_in_a_conversation_only_the_answers_are_sent() -> None:
    request = attrs.evolve(REQUEST, conversation="conv_1", store=False)
    loop = after(ToolLoop(request), turn(function_call(1)))
    assert loop.continuation == "conversation"
    assert loop.request == attrs.evolve(request, input=[output(1)])
    with pytest.raises(UsageError, match="needs a request that names one"):
        ToolLoop(REQUEST, continuation="conversation")


@pytest.mark.parametrize(
    ("options", "response", "continuation"),
    [
        ({}, {"store": True}, "response"),
        ({"dialect": "huggingface"}, {"store": True}, "response"),
        ({"dialect": "openai"}, {"store": None}, "history"),
        ({}, {"store": UNSET}, "history"),
        ({}, {"store": False}, "history"),
        ({"continuation": "response"}, {"store": False}, "response"),
        ({"continuation": "history"}, {"store": True}, "history"),
    ],
)
def test_by_default_only_a_response_that_says_it_is_stored_is_continued(
    options: dict[str, Any], response: dict[str, Any], continuation: Continuation
) -> None:
    loop = after(ToolLoop(REQUEST, **options), turn(function_call(1), **response))
    assert loop.continuation == continuation
    assert ("previous_response_id" in sent(loop)) == (continuation == "response")
    assert len(sent(loop)["input"]) == (1 if continuation == "response" else 3)


@pytest.mark.parametrize("store", [True, UNSET, False, None])
def test_a_request_that_continues_a_response_still_does_if_the_next_ones_are_not_stored(store: Any) -> None:
    request = attrs.evolve(REQUEST, previous_response_id="resp_0")
    loop = after(ToolLoop(request), turn(function_call(1), store=store))
    after(loop, turn(function_call(2), number=2, store=UNSET))
    whole: list[Item] = [ORDER, function_call(1), output(1), function_call(2), output(2)]
    assert loop.request == attrs.evolve(request, input=whole)
    after(loop, turn(function_call(3), number=3, store=True))
    assert loop.request == attrs.evolve(request, input=[output(3)], previous_response_id="resp_3")


def test_a_request_that_forbids_storing_is_not_continued_by_id() -> None:
    loop = after(ToolLoop(attrs.evolve(REQUEST, store=False)), turn(function_call(1), store=True))
    assert loop.continuation == "history"


def test_a_response_without_an_id_cannot_be_continued() -> None:
    loop = after(ToolLoop(REQUEST), attrs.evolve(turn(function_call(1)), id=""))
    assert loop.continuation == "history"
    loop = after(ToolLoop(REQUEST, continuation="response"), attrs.evolve(turn(function_call(1)), id=""))
    with pytest.raises(LocalProtocolError, match="has no id to continue from"):
        _ = loop.request


def test_raw_requests_stay_raw_and_unchanged() -> None:
    raw: dict[str, Any] = {"model": "m", "input": [{"role": "user", "content": "Go.", "x": None}], "y": [1]}
    loop = ToolLoop(raw, continuation="history")
    assert loop.request is raw
    after(loop, turn(function_call(1)))
    assert dump(loop.request) == {**raw, "input": [*raw["input"], dump(function_call(1)), dump(output(1))]}
    assert isinstance(loop.items[0], Message)
    assert dump(loop.items[0]) == raw["input"][0]
    loop = after(ToolLoop(raw), turn(function_call(1)))
    assert dump(loop.request) == {**raw, "input": [dump(output(1))], "previous_response_id": "resp_1"}


def test_a_provider_gets_only_the_types_of_items_that_it_accepts() -> None:
    loop = ToolLoop(REQUEST, dialect="huggingface")
    for call in loop.receive(turn(THOUGHT, function_call(1), custom_call(2), store=False)):
        loop.answer(call, "ok")
    assert [item["type"] for item in sent(loop)["input"]] == ["message", "function_call", "function_call_output"]


# ---- what does not go round


def test_steps_out_of_order_are_refused() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(function_call(1)))
    with pytest.raises(LocalProtocolError, match=r"receive\(\) in state 'answer'"):
        loop.receive(turn())
    with pytest.raises(LocalProtocolError, match=r"calls without an answer: call_1"):
        _ = loop.request
    loop.answer(function_call(1), "ok")
    with pytest.raises(LocalProtocolError, match="function_call 'call_1' is not pending"):
        loop.answer(function_call(1), "ok")
    with pytest.raises(LocalProtocolError, match="function_call 'call_7' is not pending"):
        loop.answer(function_call(7), "ok")
    loop.receive(said())
    with pytest.raises(LocalProtocolError, match=r"the loop is over \(completed\)"):
        _ = loop.request
    with pytest.raises(LocalProtocolError, match=r"receive\(\) in state 'over'"):
        loop.receive(said())


def test_an_unsuitable_answer_leaves_the_call_pending() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(function_call(1)))
    with pytest.raises(UsageError, match="function_call must be answered with text or content parts"):
        loop.answer(function_call(1), [FunctionTool(name="work")])
    assert loop.pending == [function_call(1)]


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_in_progress_is_refused(status: str) -> None:
    with pytest.raises(LocalProtocolError, match=rf"the response is {status}: await client"):
        ToolLoop(REQUEST).receive(turn(status=status))


@pytest.mark.parametrize(
    "calls",
    [
        (function_call(1), attrs.evolve(function_call(2), call_id="call_1")),
        (attrs.evolve(function_call(1), call_id=""), attrs.evolve(function_call(2), call_id="")),
    ],
)
def test_calls_without_unique_ids_are_refused(calls: tuple[FunctionCall, ...]) -> None:
    loop = ToolLoop(REQUEST)
    with pytest.raises(RemoteProtocolError, match="must have different ids") as caught:
        loop.receive(turn(*calls))
    assert caught.value.response == turn(*calls)
    assert loop.state == "ask"


def test_one_call_with_an_empty_id_is_answered() -> None:
    call = attrs.evolve(function_call(1), call_id="")
    loop = after(ToolLoop(REQUEST), turn(call, store=False))
    assert sent(loop)["input"][1:] == dump([call, FunctionCallOutput(call_id="", output="ok")])


def test_at_the_last_turn_the_calls_are_left_pending() -> None:
    loop = ToolLoop(REQUEST, max_turns=2)
    last = [loop.allows_calls(1)]
    after(loop, turn(function_call(1)))
    last.append(loop.allows_calls(1))
    assert last == [True, False]
    assert (loop.state, loop.stopped) == ("ask", None)
    assert loop.receive(turn(function_call(2), number=2)) == [function_call(2)]
    assert (loop.state, loop.stopped) == ("answer", "max_turns")
    loop.answer(function_call(2), "ok")
    assert (loop.state, loop.stopped) == ("over", "max_turns")
    with pytest.raises(LocalProtocolError, match=r"the loop is over \(max_turns\): raise its bounds"):
        _ = loop.request
    loop.max_turns = 3
    assert (loop.state, sent(loop)["previous_response_id"]) == ("ask", "resp_2")


# ---- responses that did not complete


def incomplete(*items: Item) -> Response:
    return turn(*items, status="incomplete", incomplete_details=IncompleteDetails(reason="max_output_tokens"))


def test_an_incomplete_response_stops_the_loop_and_can_be_continued() -> None:
    loop = ToolLoop(REQUEST)
    cut = attrs.evolve(function_call(2, '{"n": '), status="incomplete")
    open_ = attrs.evolve(function_call(3, '{"n": '), status="in_progress")
    unsaid = attrs.evolve(function_call(4), status=UNSET)
    assert loop.receive(incomplete(function_call(1), cut, open_, unsaid)) == [function_call(1)]
    assert (loop.state, loop.stopped) == ("answer", "incomplete")
    assert loop.history[1:] == [function_call(1), output(1, "The call was not run.")]
    loop.answer(function_call(1), "ok")
    assert (loop.state, loop.stopped) == ("ask", None)
    assert sent(loop) == {"input": [dump(output(1))], "previous_response_id": "resp_1"}
    assert check_history(loop.history) == []


def test_an_incomplete_response_without_calls_is_the_end() -> None:
    loop = ToolLoop(REQUEST)
    assert loop.receive(incomplete(*said("All d").output)) == []
    assert (loop.state, loop.stopped) == ("over", "incomplete")
    assert loop.history[1:] == said("All d").output


@pytest.mark.parametrize("status", ["failed", "cancelled", "truncated", "error"])
def test_a_response_that_was_cut_off_keeps_its_answered_calls(status: Any) -> None:
    half = attrs.evolve(function_call(2, '{"n": '), status="in_progress")
    cut = Outcome(
        status=status,
        response=turn(THOUGHT, function_call(1), function_call(3), half, status=status),
        cursor=Cursor("resp_1", 9),
    )
    loop = ToolLoop(REQUEST)
    assert loop.receive(cut) == []
    assert (loop.state, loop.stopped) == ("over", status)
    assert loop.history == [ORDER]
    # A tool that had begun when the response broke: what it gave is not lost, and is all that is kept.
    loop.answer(function_call(1), "done")
    assert (loop.state, loop.stopped) == ("over", status)
    assert [item.type for item in loop.history] == ["message", "reasoning", "function_call", "function_call_output"]
    assert check_history(loop.history) == []
    assert loop.turns[0].outcome is cut


def test_a_failed_response_has_its_error() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(status="failed", error=ResponseError(code="server_error", message="It broke.")))
    error = loop.turns[0].outcome.exception()
    assert isinstance(error, ResponseFailedError)
    assert "It broke." in str(error)


def test_an_unknown_status_counts_as_completed() -> None:
    loop = ToolLoop(REQUEST)
    assert loop.receive(turn(function_call(1), status="acme:done")) == [function_call(1)]
    assert loop.state == "answer"


# ---- handing over


def test_a_loop_can_be_pickled_and_continued() -> None:
    loop = ToolLoop(REQUEST, max_turns=5)
    loop.receive(turn(function_call(1), approval_request(2)))
    loop.answer(function_call(1), "here")
    other: ToolLoop = pickle.loads(pickle.dumps(loop))  # noqa: S301 - our own bytes
    assert other.pending == [approval_request(2)]
    other.answer(other.pending[0], Approval(approve=True))
    assert sent(other) == {
        "input": [
            {"type": "function_call_output", "call_id": "call_1", "output": "here"},
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_2", "approve": True},
        ],
        "previous_response_id": "resp_1",
    }
    assert loop.state == "answer"


def test_a_copy_is_independent() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(approval_request(1)))
    other = copy.copy(loop)
    other.answer(approval_request(1), Approval(approve=True, remember=True))
    other.receive(said())
    assert (other.stopped, len(other.turns), loop.state, len(loop.turns)) == ("completed", 2, "answer", 1)
    assert loop.remembered(approval_request(1)) is None
    assert loop.turns[0].outputs == []


def test_history_answers_pending_calls_as_not_run() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(function_call(1), function_call(2), approval_request(3)))
    loop.answer(function_call(2), "ok")
    assert loop.history[-3:] == [
        output(1, "The call was not run."),
        output(2),
        McpApprovalResponse(approval_request_id="mcpr_3", approve=False, reason="The call was not run."),
    ]
    assert check_history(loop.history) == []
    # That is said of it, and not done to it.
    assert loop.pending == [function_call(1), approval_request(3)]
    assert loop.items[-1] == output(2)


# ---- approvals


def test_an_approval_with_remember_is_remembered_for_the_tool() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(approval_request(1), approval_request(2, name="other")))
    loop.answer(approval_request(1), Approval(approve=True, remember=True))
    loop.answer(approval_request(2, name="other"), Approval(approve=True))
    assert loop.remembered(approval_request(7)) == Approval(approve=True, remember=True)
    assert loop.remembered(approval_request(7, name="other")) is None
    assert loop.remembered(attrs.evolve(approval_request(7), server_label="another")) is None


# ---- what the model knows


FUNCTION = FunctionTool(name="work")


@pytest.mark.parametrize(
    ("call", "tools", "offered"),
    [
        (function_call(1), [], False),
        (function_call(1), [FUNCTION], True),
        (function_call(1, name="play"), [FUNCTION, WebSearchTool()], False),
        (custom_call(1), [CustomTool(name="work")], True),
        (function_call(1), [{"type": "function", "name": "work"}], True),
        (function_call(1), [NamespaceTool(name="n", description="", tools=[FUNCTION])], True),
        (function_call(1), [NamespaceTool(name="n", description="", tools=[]), FUNCTION], True),
        (approval_request(1), [], True),
    ],
)
def test_is_offered(call: Any, tools: Any, offered: bool) -> None:
    assert is_offered(call, tools) is offered


def test_tools_are_those_of_the_request_the_response_and_tool_searches() -> None:
    found = [
        AdditionalTools(role="developer", tools=[FunctionTool(name="b")]),
        ToolSearchOutput(call_id="call_1", tools=[FunctionTool(name="c")], status="completed"),
    ]
    raw: Any = {"model": "m", "input": [ORDER, *found], "tools": [{"type": "function", "name": "a"}]}
    loop = ToolLoop(raw)
    loop.receive(attrs.evolve(turn(), tools=[FunctionTool(name="d")]))
    assert sorted(tool.name for tool in loop.tools if isinstance(tool, FunctionTool)) == ["a", "b", "c", "d"]


def test_a_turn_without_usage_adds_none() -> None:
    loop = after(ToolLoop(REQUEST), attrs.evolve(turn(function_call(1)), usage=UNSET))
    assert loop.usage is None
    loop.receive(said())
    assert loop.usage == said().usage


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="acme"):
        ToolLoop(REQUEST, dialect="acme")
    with pytest.raises(UsageError, match="max_turns must be at least 1, got 0"):
        ToolLoop(REQUEST, max_turns=0)


def test_repr() -> None:
    loop = ToolLoop(REQUEST)
    loop.receive(turn(function_call(1)))
    assert repr(loop) == "<ToolLoop answer after 1 turns, 1 pending>"


# ---- bounds, further input and what was left


@pytest.mark.parametrize(
    ("bound", "reason"),
    [({"max_turns": 1}, "max_turns"), ({"max_tokens": 11}, "max_tokens"), ({"max_tool_calls": 1}, "max_tool_calls")],
)
def test_a_bound_ends_the_loop_with_its_own_reason(bound: dict[str, Any], reason: str) -> None:
    loop = ToolLoop(REQUEST, **bound)
    calls = loop.receive(turn(function_call(1), function_call(2)))
    assert (loop.state, loop.stopped, loop.limit_reached) == ("answer", reason, reason)
    for call in calls:
        loop.answer(call, "ok")
    assert (loop.state, loop.stopped) == ("over", reason)
    setattr(loop, next(iter(bound)), 99)
    assert (loop.state, loop.stopped) == ("ask", None)
    larger: dict[str, Any] = {name: value + 1 for name, value in bound.items()}
    within = after(ToolLoop(REQUEST, **larger), turn(function_call(1)))
    assert (within.state, within.stopped) == ("ask", None)


@pytest.mark.parametrize("bound", [{"max_turns": 0}, {"max_tokens": 0}, {"max_tool_calls": -1}])
def test_a_bound_that_is_too_small_is_refused(bound: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(bound))} must be at least"):
        ToolLoop(REQUEST, **bound)


@pytest.mark.parametrize("store", [True, False])
def test_further_input_follows_the_answers_and_continues_a_loop_that_is_over(store: bool) -> None:
    more: Message = Message(role="user", content="And now?")
    loop = ToolLoop(REQUEST)
    with pytest.raises(LocalProtocolError, match="no response that further input can follow"):
        loop.add_input(more)
    after(loop, turn(function_call(1), store=store))
    loop.add_input(more)
    assert loop.items[-2:] == [output(1), more]
    assert sent(loop)["input"][-2:] == dump([output(1), more])
    loop.receive(said())
    assert loop.stopped == "completed"
    loop.add_input(more)
    assert (loop.state, loop.stopped) == ("ask", None)  # type: ignore[comparison-overlap] # it has changed
    assert loop.history[-1] == more
    loop.receive(said())
    assert (loop.state, loop.stopped) == ("over", "completed")


def test_a_partial_response_is_part_of_the_history_until_the_next_response() -> None:
    loop = ToolLoop(REQUEST)
    text: Message = Message(
        id="msg_1", role="assistant", status="in_progress", content=[OutputText(text="I am", annotations=[])]
    )
    empty: Message = Message(id="msg_2", role="assistant", status="in_progress", content=[])
    loop.partial = turn(THOUGHT, text, function_call(1), THOUGHT, empty, status="in_progress")
    assert [item.type for item in loop.history] == ["message", "reasoning", "message"]
    assert loop.history[-1] == attrs.evolve(text, status="incomplete")
    assert check_history(loop.history) == []
    assert (loop.state, loop.request) == ("ask", REQUEST)  # and can be asked again
    loop.receive(said())
    assert loop.history == [ORDER, *said().output]
    assert saved(loop).partial is None


# ---- as JSON


def saved(loop: ToolLoop) -> ToolLoop:
    return ToolLoop.load(json.loads(json.dumps(loop.dump())))


REQUESTS: dict[str, Any] = {
    "model": REQUEST,
    "raw": {"model": "m", "input": [{"role": "user", "content": "Go.", "x": None}], "y": [1], "store": True},
    "conversation": attrs.evolve(REQUEST, conversation="conv_1"),
    "continued": attrs.evolve(REQUEST, previous_response_id="resp_0", extra={"acme": {"a": 1}}),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "all": {"continuation": "history", "max_turns": 9, "max_tokens": 1000, "max_tool_calls": 7, "dialect": "openai"},
    "own provider": {"dialect": Provider(name="mine", key_env=("A", "B"), input_items=frozenset({"message"}))},
}


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("options", OPTIONS)
def test_at_every_point_a_loop_is_the_same_as_json(request_: str, options: str) -> None:
    loop = ToolLoop(REQUESTS[request_], **OPTIONS[options])

    def check() -> None:
        again = saved(loop)
        assert again == loop
        assert again is not loop
        assert (again.state, again.stopped, again.pending) == (loop.state, loop.stopped, loop.pending)
        assert [*map(dump, again.history)] == [*map(dump, loop.history)]
        assert isinstance(again.first_request, dict) == isinstance(loop.first_request, dict)
        if loop.state == "ask":
            assert dump(again.request) == dump(loop.request)
        assert pickle.loads(pickle.dumps(loop)) == loop  # noqa: S301 - its own pickle

    check()
    vendor = UnknownItem(type="acme:note", raw={"type": "acme:note", "x": [None]})
    ask = approval_request(3)
    loop.receive(turn(THOUGHT, vendor, function_call(1), custom_call(2), ask))
    check()
    loop.answer(ask, Approval(approve=True, reason="ok", remember=True))
    check()
    loop.answer(function_call(1), Approval(approve=True))
    check()
    assert saved(loop).approval_of(function_call(1)) == Approval(approve=True)
    assert saved(loop).remembered(approval_request(9)) == Approval(approve=True, reason="ok", remember=True)
    loop.answer(function_call(1), "done")
    loop.answer(custom_call(2), Approval(approve=False))
    check()
    loop.partial = turn(function_call(5), status="in_progress", number=2)
    check()
    loop.receive(Outcome(status="truncated", response=turn(function_call(6), number=2), cursor=Cursor("resp_2", 3)))
    check()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"version": 2}, r"the version must be 1, got 2 @ \$\.version \(ToolLoop\)"),
        ({"a": 1}, "the version must be 1, got None"),
        (["a"], "the version must be 1"),
        (None, "the version must be 1"),
        ({"version": 1}, "not a dumped loop"),
        ({**ToolLoop(REQUEST).dump(), "turns": [{"status": "completed"}]}, "not a dumped loop"),
        ({**ToolLoop(REQUEST).dump(), "provider": "nobody"}, "not a dumped loop"),
        ({**ToolLoop(REQUEST).dump(), "max_turns": "x"}, "not a dumped loop"),
        ({**ToolLoop(REQUEST).dump(), "request": 3}, "not a dumped loop"),
        ({**ToolLoop(REQUEST).dump(), "approvals": ["x"]}, "not a dumped loop"),
    ],
)
def test_other_values_are_not_loaded(value: Any, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        ToolLoop.load(value)


def test_a_converter_loads_the_classes_of_vendors() -> None:
    converter = make_converter()
    converter.register(Note, Item)
    loop = ToolLoop(REQUEST)
    note: Any = Note(text="x")
    loop.receive(turn(note))
    value = json.loads(json.dumps(loop.dump()))
    assert ToolLoop.load(value, converter).items[1] == Note(text="x")
    assert isinstance(ToolLoop.load(value).items[1], UnknownItem)
