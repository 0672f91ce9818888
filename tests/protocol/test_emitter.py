"""The emitter: its events, the calls that it refuses, and that the accumulator reads what it emits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.openresponses import faults
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, load, loads
from responses_proto.exceptions import LocalProtocolError, UsageError
from responses_proto.models.actions import McpProtocolError
from responses_proto.models.config import JsonSchemaFormat, TextConfig
from responses_proto.models.content import FilePath, LogProb, OutputText, Refusal, UrlCitation
from responses_proto.models.events import ContentPartAdded, ErrorEvent, Event, ResponseFailed
from responses_proto.models.items import (
    ITEM_TYPES,
    CustomToolCall,
    FunctionCall,
    Item,
    McpCall,
    McpListTools,
    Message,
    Reasoning,
)
from responses_proto.models.request import CreateResponse
from responses_proto.models.response import InputTokensDetails, OutputTokensDetails, Response, Usage
from responses_proto.models.tools import FunctionTool, McpTool, Tool
from responses_proto.protocol import (
    DONE,
    Accumulator,
    Emitter,
    ResponseStream,
    SSEDecoder,
    emit,
    encode_event,
    encode_stream,
    initial_response,
    random_id,
    split_words,
)
from responses_proto.testing import check_stream
from responses_proto.testing.strategies import streams
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REQUEST = CreateResponse(model="m", input="hello")
USAGE = Usage(
    input_tokens=1,
    output_tokens=2,
    total_tokens=3,
    input_tokens_details=InputTokensDetails(cached_tokens=0),
    output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
)


def counted() -> Callable[[str], str]:
    """Return predictable ids: resp_0, msg_1, …"""
    made = iter(range(1_000_000))
    return lambda prefix: f"{prefix}_{next(made)}"


def emitter(request: CreateResponse = REQUEST) -> Emitter:
    return Emitter(request, now=1_700_000_000.7, ids=counted())


def types(events: Sequence[Event]) -> list[str]:
    return [event.type.removeprefix("response.") for event in events]


def heard(events: Sequence[Event]) -> Response:
    """Return the response that a strict client reads from the bytes. Any deviation raises."""
    stream = ResponseStream(strict=True)
    stream.receive_data(encode_stream(events))
    stream.receive_eof()
    assert stream.anomalies == []
    return stream.response


# ---- what is said


def test_a_message_is_opened_grown_and_closed() -> None:
    e = emitter()
    events = e.start()
    message = e.message()
    events += message.text("Hello, ") + message.text("world.") + message.done() + e.complete(USAGE, now=1_700_000_005.2)
    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    response = heard(events)
    assert response.output_text == "Hello, world."
    assert response.status == "completed"
    assert response.usage == USAGE
    assert (response.created_at, response.completed_at) == (1_700_000_000, 1_700_000_005)
    assert response == e.response


def test_events_are_numbered_from_zero_without_gaps_across_several_open_items() -> None:
    e = emitter()
    events = e.start()
    first, second = e.message(phase="commentary"), e.function_call("f", "call_x")
    events += first.text("a") + second.arguments('{"x":') + first.text("b") + second.arguments("1}")
    events += second.done() + first.done() + e.complete()
    assert [dump(event)["sequence_number"] for event in events] == list(range(len(events)))
    response = heard(events)
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert isinstance(response.output[0], Message)
    assert response.output[0].phase == "commentary"
    assert response.output[1] == FunctionCall(
        id="fc_2", call_id="call_x", name="f", arguments='{"x":1}', status="completed"
    )


def test_each_event_is_returned_once_and_in_order() -> None:
    e = emitter()
    e.start()
    message = e.message()
    assert types(e.events()) == ["output_item.added"]
    assert e.events() == []
    assert types(message.text("a")) == ["content_part.added", "output_text.delta"]
    call = e.function_call("f")
    assert types(message.done()) == ["output_item.added", "output_text.done", "content_part.done", "output_item.done"]
    assert types(call.done()) == ["function_call_arguments.done", "output_item.done"]


def test_refusals_and_ended_parts_are_separate_parts() -> None:
    e = emitter()
    events = e.start()
    message = e.message()
    citation = UrlCitation(url="https://example.com/", title="t", start_index=0, end_index=1)
    events += message.text("a") + message.annotation(citation) + message.end_part()
    events += message.text("b") + message.refusal("no") + message.done() + e.complete()
    item = heard(events).output[0]
    assert isinstance(item, Message)
    assert item.content == [
        OutputText(text="a", annotations=[citation], logprobs=[]),
        OutputText(text="b", annotations=[], logprobs=[]),
        Refusal(refusal="no"),
    ]


def test_events_share_no_list_that_a_consumer_could_change() -> None:
    def parts() -> list[OutputText]:
        events = emit(load(whole(ITEM_EXAMPLES["message"]), Response), split=lambda text: [text])
        return [
            event.part for event in events if isinstance(event, ContentPartAdded) and isinstance(event.part, OutputText)
        ]

    def written() -> OutputText:
        e = emitter()
        e.start()
        added = e.message().text("a")[1]
        assert isinstance(added, ContentPartAdded)
        assert isinstance(added.part, OutputText)
        return added.part

    for part in (*parts(), written()):
        if isinstance(part.annotations, list):
            part.annotations.append(FilePath(file_id="f", index=0))
    assert not any(part.annotations for part in (*parts(), written()))


def test_reasoning_has_text_summary_and_encrypted_content() -> None:
    e = emitter()
    events = e.start()
    reasoning = e.reasoning()
    events += reasoning.text("hm") + reasoning.summary("one") + reasoning.end_part() + reasoning.summary("two")
    events += reasoning.done(encrypted_content="xyz") + e.complete()
    item = heard(events).output[0]
    assert isinstance(item, Reasoning)
    assert item.text == "hm"
    assert [dump(part)["text"] for part in item.summary] == ["one", "two"]
    assert item.encrypted_content == "xyz"


def test_log_probabilities_are_sent_with_their_text() -> None:
    e = emitter()
    events = e.start()
    message = e.message()
    likely = [load({"token": word, "logprob": -0.5, "bytes": [], "top_logprobs": []}, LogProb) for word in ("a", "b")]
    events += message.text("a", logprobs=likely[:1]) + message.text("b", logprobs=likely[1:])
    events += message.done() + e.complete()
    item = heard(events).output[0]
    assert isinstance(item, Message)
    assert item.content == [OutputText(text="ab", annotations=[], logprobs=likely)]


def test_a_queued_response_is_created_once() -> None:
    e = emitter()
    events = e.queue()
    assert [dump(event)["response"]["status"] for event in events] == ["queued", "queued"]
    assert e.response.status == "queued"
    events += e.start()
    assert e.response.status == "in_progress"
    events += e.complete()
    assert types(events) == ["created", "queued", "in_progress", "completed"]
    assert heard(events).status == "completed"


def test_an_early_end_closes_what_is_open_as_incomplete() -> None:
    e = emitter()
    events = e.start()
    message, call = e.message(), e.function_call("f")
    events += message.text("half") + call.arguments("{") + e.incomplete("max_output_tokens", USAGE)
    assert types(events)[-6:] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "incomplete",
    ]
    response = heard(events)
    assert [dump(item)["status"] for item in response.output] == ["incomplete", "incomplete"]
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == "half"


@pytest.mark.parametrize("begin", ["start", "queue"])
def test_a_cancelled_response_ends_as_incomplete(begin: str) -> None:
    e = emitter()
    events = e.queue() if begin == "queue" else e.start() + e.message().text("half")
    events += e.cancel()
    response = heard(events)
    assert types(events)[-1] == "incomplete"
    assert (response.status, response.incomplete_details) == ("cancelled", None)
    assert [dump(item)["status"] for item in response.output] == ["incomplete"][: len(response.output)]
    assert e.ended


def test_a_response_has_its_required_fields_for_any_request() -> None:
    text = TextConfig(format=JsonSchemaFormat(schema={"type": "object"}), verbosity=None)
    tools: list[Tool] = [FunctionTool(name="f", parameters=None, strict=None)]
    made = initial_response(
        CreateResponse(text=text, tools=tools, reasoning=None, metadata=None, tool_choice=None), now=1
    )
    assert faults(dump(made)) == []
    assert dump(made)["text"] == {
        "format": {
            "type": "json_schema",
            "name": "",
            "schema": {"type": "object"},
            "description": None,
            "strict": False,
        }
    }


def test_a_failure_is_an_error_in_both_shapes_and_then_failed() -> None:
    e = emitter()
    events = e.start() + e.fail("server_error", "It broke.", param="input")
    error, failed = events[-2:]
    assert isinstance(error, ErrorEvent)
    assert (error.code, error.message, error.param) == ("server_error", "It broke.", "input")
    assert error.error
    assert (error.error.code, error.error.message) == ("server_error", "It broke.")
    assert isinstance(failed, ResponseFailed)
    assert failed.response.status == "failed"
    assert failed.response.error
    assert failed.response.error.message == "It broke."


# ---- what is refused


OUT_OF_ORDER: list[tuple[Callable[[Emitter], object], str]] = [
    (lambda e: e.message(), "call start()"),
    (lambda e: e.item(Message(role="assistant", content=[])), "call start()"),
    (lambda e: e.complete(), "call start()"),
    (lambda e: e.fail("c", "m"), "call start()"),
    (lambda e: (e.start(), e.start()), "in progress"),
    (lambda e: (e.start(), e.queue()), "in progress"),
    (lambda e: (e.start(), e.complete(), e.complete()), "ended"),
    (lambda e: (e.start(), e.complete(), e.message()), "ended"),
    (lambda e: (e.start(), e.complete(), e.fail("c", "m")), "ended"),
    (lambda e: (e.start(), e.message(), e.complete()), "an item is still open"),
    (lambda e: (e.start(), m := e.message(), m.done(), m.text("x")), "is closed"),
    (lambda e: (e.start(), m := e.message(), m.done(), m.done()), "is closed"),
    (lambda e: (e.start(), m := e.message(), m.refusal("x"), m.annotation(FilePath(file_id="f", index=0))), "text"),
    (lambda e: (e.start(), m := e.message(), e.incomplete(), m.text("x")), "ended"),
]


@pytest.mark.parametrize(("call", "said"), OUT_OF_ORDER)
def test_a_call_out_of_order_raises(call: Callable[[Emitter], object], said: str) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(said)):
        call(emitter())


def test_a_call_that_raises_emits_nothing_and_changes_nothing() -> None:
    e = emitter()
    with pytest.raises(LocalProtocolError):
        e.message()
    events = e.start()
    message = e.message()
    events += message.text("a")
    for refused in (e.start, e.queue, e.complete):
        with pytest.raises(LocalProtocolError):
            refused()
    events += message.done()
    with pytest.raises(LocalProtocolError):
        message.text("b")
    events += e.complete()
    assert [dump(event)["sequence_number"] for event in events] == list(range(len(events)))
    assert heard(events).output_text == "a"


def test_only_a_response_that_has_ended_can_be_emitted() -> None:
    with pytest.raises(UsageError, match="has not ended"):
        emit(initial_response(REQUEST, now=0))


def test_end_needs_the_response_that_was_emitted() -> None:
    e = emitter()
    e.start()
    other = load({**dump(e.response), "status": "completed", "output": [ITEM_EXAMPLES["message"]]}, Response)
    with pytest.raises(UsageError, match="differs from the emitted one"):
        e.end(other)
    assert e.state == "in_progress"


# ---- whole responses

_MESSAGE_PARTS = [
    {
        "type": "output_text",
        "text": "some words here",
        "annotations": [{"type": "file_path", "file_id": "f", "index": 1}],
    },
    {"type": "refusal", "refusal": "not that"},
    {"type": "acme:part", "x": 1},
    {
        "type": "output_text",
        "text": "",
        "annotations": [],
        "logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}],
    },
]
_OUTCOME = {"type": "exit", "exit_code": 0}
_FIELDS: dict[str, dict[str, Any]] = {
    "message": {"id": "a", "role": "assistant", "status": "completed", "content": _MESSAGE_PARTS},
    "reasoning": {
        "id": "a",
        "summary": [{"type": "summary_text", "text": "in short"}],
        "content": [{"type": "reasoning_text", "text": "at length"}],
        "encrypted_content": "e",
    },
    "function_call": {"id": "a", "call_id": "c", "name": "f", "arguments": '{"a": 1}', "status": "completed"},
    "function_call_output": {"id": "a", "call_id": "c", "output": "o"},
    "custom_tool_call": {"id": "a", "call_id": "c", "name": "f", "input": "free text"},
    "custom_tool_call_output": {"id": "a", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
    "mcp_list_tools": {"id": "a", "server_label": "s", "tools": [{"name": "t", "input_schema": {}}], "error": None},
    "mcp_call": {
        "id": "a",
        "server_label": "s",
        "name": "t",
        "arguments": "{}",
        "output": "o",
        "error": None,
        "status": "completed",
    },
    "mcp_approval_request": {"id": "a", "server_label": "s", "name": "t", "arguments": "{}"},
    "mcp_approval_response": {"id": "a", "approval_request_id": "r", "approve": True},
    "web_search_call": {"id": "a", "action": {"type": "search", "query": "q"}, "status": "completed"},
    "file_search_call": {"id": "a", "queries": ["q"], "results": [{"text": "t"}], "status": "failed"},
    "code_interpreter_call": {
        "id": "a",
        "container_id": "c",
        "code": "print(1)",
        "outputs": [{"type": "logs", "logs": "1"}],
        "status": "completed",
    },
    "image_generation_call": {"id": "a", "result": "aGk=", "status": "completed"},
    "computer_call": {
        "id": "a",
        "call_id": "c",
        "action": {"type": "wait"},
        "pending_safety_checks": [],
        "status": "completed",
    },
    "computer_call_output": {"id": "a", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": "u"}},
    "shell_call": {"id": "a", "call_id": "c", "action": {"commands": ["ls -l", "pwd"]}, "status": "completed"},
    "shell_call_output": {"id": "a", "call_id": "c", "output": [{"outcome": _OUTCOME, "stdout": "o", "stderr": ""}]},
    "local_shell_call": {
        "id": "a",
        "call_id": "c",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
        "status": "completed",
    },
    "local_shell_call_output": {"id": "a", "output": "o"},
    "apply_patch_call": {
        "id": "a",
        "call_id": "c",
        "operation": {"type": "update_file", "path": "p", "diff": "+ one\n- two\n"},
        "status": "completed",
    },
    "apply_patch_call_output": {"id": "a", "call_id": "c", "status": "completed"},
    "tool_search_call": {"id": "a", "call_id": None, "arguments": {"query": "q"}, "execution": "server"},
    "tool_search_output": {"id": "a", "tools": [{"type": "function", "name": "f"}]},
    "additional_tools": {"id": "a", "role": "developer", "tools": []},
    "configuration_update": {"id": "a", "reasoning": {"effort": "low"}},
    "program": {"id": "a", "call_id": "c", "code": "x", "fingerprint": "f"},
    "program_output": {"id": "a", "call_id": "c", "result": "r", "status": "completed"},
    "multi_agent_call": {"id": "a", "call_id": "c", "action": "list_agents", "arguments": "{}"},
    "multi_agent_call_output": {
        "id": "a",
        "call_id": "c",
        "action": "list_agents",
        "output": [{"type": "output_text", "text": "/lead"}],
    },
    "agent_message": {
        "id": "a",
        "agent": {"agent_name": "/lead"},
        "author": "/lead",
        "recipient": "/lead/a",
        "content": [{"type": "input_text", "text": "Go."}, {"type": "encrypted_content", "encrypted_content": "e"}],
    },
    "compaction": {"id": "a", "encrypted_content": "e"},
    "compaction_trigger": {"id": "a"},
    "x_search_call": {"id": "a", "name": "n", "arguments": "{}", "status": "completed"},
    "item_reference": {"id": "a"},
}
_FIELDS["acme:thing"] = {"id": "a", "anything": [1, None]}
ITEM_EXAMPLES = {kind: {"type": kind, **fields} for kind, fields in _FIELDS.items()}


def whole(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    wire = [{**item, "id": f"item_{n}"} for n, item in enumerate(items)]
    return {**dump(initial_response(REQUEST, now=5)), "status": "completed", "output": wire, **fields}


def test_the_examples_have_every_kind_of_item() -> None:
    assert ITEM_EXAMPLES.keys() - {"acme:thing"} == ITEM_TYPES.keys()


@pytest.mark.parametrize("kind", ITEM_EXAMPLES)
def test_emitted_events_accumulate_to_the_same_response(kind: str) -> None:
    wire = whole(ITEM_EXAMPLES[kind], ITEM_EXAMPLES["message"], ITEM_EXAMPLES[kind])
    events = emit(load(wire, Response))
    assert dump(heard(events)) == wire

    # The items alone say it too: the output does not hang on the last event.
    accumulator = Accumulator()
    for event in events[:-1]:
        accumulator.push(load(dump(event), Event))
    assert dump(accumulator.response)["output"] == wire["output"]


@pytest.mark.parametrize(
    "kind",
    [
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
        "mcp_call",
        "shell_call",
        "code_interpreter_call",
        "apply_patch_call",
    ],
)
def test_deltas_add_up_to_the_texts_without_any_done(kind: str) -> None:
    wire = whole(
        {**ITEM_EXAMPLES[kind], **({"content": ITEM_EXAMPLES[kind]["content"][:2]} if kind == "message" else {})}
    )
    accumulator = Accumulator()
    for event in emit(load(wire, Response))[:-1]:
        if not event.type.endswith(".done"):
            accumulator.push(load(dump(event), Event))
    texts = ["words", "not", "text", "length", "short", "input", "ls", "print", "one"]
    said, whole_ = json.dumps(dump(accumulator.response)["output"]), json.dumps(wire["output"])
    assert [text in said for text in texts] == [text in whole_ for text in texts]


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "response.incomplete"),
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, "response.failed"),
        ({"status": "cancelled"}, "response.incomplete"),
    ],
)
def test_a_response_that_did_not_complete_ends_as_it_ended(fields: dict[str, Any], last: str) -> None:
    wire = whole(ITEM_EXAMPLES["message"], **fields)
    events = emit(load(wire, Response))
    assert events[-1].type == last
    stream = ResponseStream()
    stream.receive_data(encode_stream(events))
    assert dump(stream.response) == wire
    assert stream.outcome
    assert stream.outcome.status == fields["status"]


def test_fields_that_a_response_lacks_are_not_added_at_its_start() -> None:
    response = Response(
        id="r", model="m", output=[], created_at=1, tools=[], tool_choice="auto", parallel_tool_calls=True
    )
    created = emit(response)[0]
    assert dump(created)["response"].keys() == dump(response).keys()


@given(streams(beyond=True).map(lambda stream: stream.response))
def test_every_ended_response_survives_emitting_and_decoding(response: Response) -> None:
    events = emit(response)
    report = check_stream(encode_stream(events))
    assert report.ok, str(report)
    assert dump(report.outcome.response) == dump(response)


def test_every_recorded_response_survives_emitting_and_decoding() -> None:
    folder = shared("corpus", "responses")
    if not folder.exists():
        pytest.skip(NO_SHARED)
    for path in sorted(folder.glob("*.json")):
        wire = json.loads(path.read_text())
        events = emit(load(wire, Response))
        accumulator = Accumulator()
        for event in events:
            accumulator.push(load(dump(event), Event))
        assert dump(accumulator.response) == wire, path.name


# ---- bytes and texts


def test_the_bytes_name_each_event_and_end_with_done() -> None:
    e = emitter()
    events = e.start() + e.complete()
    frames = SSEDecoder().receive(encode_stream(events))
    assert [frame.event.decode() for frame in frames] == [event.type for event in events] + [""]
    assert [loads(frame.data, Event) for frame in frames[:-1]] == events
    assert frames[-1].data == b"[DONE]"
    assert encode_stream(events) == b"".join([*map(encode_event, events), DONE])


@given(st.text())
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(split_words(text)) == text


def test_a_word_goes_with_the_space_before_it() -> None:
    assert split_words("one two\n three ") == ["one", " two", "\n three", " "]


def test_random_ids_differ_and_have_their_prefix() -> None:
    made = {random_id("msg") for _ in range(100)}
    assert len(made) == 100
    assert all(name.startswith("msg_") for name in made)


# ---- what both specifications want of a response


def test_a_response_states_what_the_open_specification_requires() -> None:
    path = shared("spec", "openresponses-2026-04-24.openapi.json")
    if not path.exists():
        pytest.skip(NO_SHARED)
    schemas = json.loads(path.read_text())["components"]["schemas"]
    required = set(schemas["ResponseResource"]["required"])
    assert required <= dump(initial_response(REQUEST, now=0)).keys()


def test_a_request_is_repeated_in_its_response() -> None:
    request = load(
        {
            "model": "m",
            "input": "x",
            "temperature": 0,
            "parallel_tool_calls": False,
            "store": False,
            "tools": [{"type": "function", "name": "f"}],
            "tool_choice": {"type": "function", "name": "f"},
            "metadata": {"a": "b"},
            "conversation": "conv_1",
            "text": {"verbosity": "low"},
        },
        CreateResponse,
    )
    wire = dump(initial_response(request, now=0, id="resp_1"))
    for name in ("temperature", "parallel_tool_calls", "store", "tool_choice", "metadata"):
        assert wire[name] == dump(request)[name]
    assert wire["id"] == "resp_1"
    assert wire["tools"] == [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": True}]
    assert wire["conversation"] == {"id": "conv_1"}
    assert wire["text"] == {"format": {"type": "text"}, "verbosity": "low"}


def test_items_without_an_id_keep_having_none() -> None:
    item = FunctionCall(call_id="c", name="f", arguments="{}")
    e = emitter()
    events = e.start() + e.item(item) + e.complete()
    accumulator = Accumulator()
    for event in events:
        accumulator.push(event)
    assert accumulator.response.output == [item]
    assert item.id is UNSET


def test_tools_are_repeated_in_the_response() -> None:
    tools: list[dict[str, Any]] = [{"type": "web_search"}, {"type": "function", "name": "f", "strict": False}]
    request = load({"model": "m", "input": "x", "tools": tools}, CreateResponse)
    assert dump(initial_response(request, now=0))["tools"] == [
        {"type": "web_search"},
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": False},
    ]


def test_reasoning_need_not_be_kept_by_the_client() -> None:
    e = emitter()
    events = e.start()
    reasoning = e.reasoning()
    events += reasoning.summary("hm") + reasoning.done() + e.complete()
    item = heard(events).output[0]
    assert isinstance(item, Reasoning)
    assert item.encrypted_content is UNSET


def test_a_summary_that_is_cut_off_is_incomplete() -> None:
    e = emitter()
    events = e.start()
    events += e.reasoning().summary("hm") + e.incomplete()
    (part,) = [event for event in events if event.type == "response.reasoning_summary_part.done"]
    assert dump(part)["status"] == "incomplete"
    assert heard(events).status == "incomplete"


# ---- calls that grow and end later, and other output beside the items


def started() -> Emitter:
    begun = emitter()
    begun.start()
    return begun


MCP_CALL = McpCall(id="mcp_1", server_label="docs", name="find", arguments="", status="in_progress")


def test_a_call_grows_and_stays_open_while_it_is_run() -> None:
    response = emitter()
    start = response.start()
    call = response.call(MCP_CALL)
    events = call.write('{"q":') + call.write("1}") + call.end_text()
    assert types(events) == [
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
    ]
    assert not call.closed
    item = call.item
    assert isinstance(item, McpCall)
    assert item.arguments == '{"q":1}'
    done = call.done_with(attrs.evolve(item, output="found", status="completed"))
    assert types(done) == ["mcp_call.completed", "output_item.done"]
    with pytest.raises(LocalProtocolError, match="it is closed"):
        call.write("x")
    assert heard([*start, *events, *done, *response.complete()]).output == [call.item]


@pytest.mark.parametrize(
    ("result", "ending"),
    [
        ({"output": "x", "status": "completed"}, ["mcp_call.completed"]),
        ({"error": McpProtocolError(code=1, message="x"), "status": "failed"}, ["mcp_call.failed"]),
        ({"status": "incomplete"}, []),
    ],
)
def test_a_call_ends_as_its_result_says(result: dict[str, Any], ending: list[str]) -> None:
    call = started().call(MCP_CALL)
    call.write("{}")
    events = call.done_with(attrs.evolve(MCP_CALL, arguments="{}", **result))
    assert types(events) == ["mcp_call_arguments.done", *ending, "output_item.done"]


def test_a_text_that_has_ended_does_not_grow() -> None:
    call = started().call(MCP_CALL)
    call.end_text()
    with pytest.raises(LocalProtocolError, match="it has ended"):
        call.write("{}")
    assert types(call.done()) == ["output_item.done"]


@pytest.mark.parametrize("kind", ["message", "reasoning", "shell_call", "web_search_call", "function_call_output"])
def test_an_item_without_a_text_of_its_own_is_no_call_to_write(kind: str) -> None:
    response = started()
    with pytest.raises(UsageError, match="use message"):
        response.call(load({"type": kind, "id": "x"}, Item))
    assert response.events() == []


def test_an_item_that_is_done_with_other_fields_has_its_texts_closed() -> None:
    response = started()
    message = response.message()
    message.text("Hi")
    whole = Message(
        id=message.id, role="assistant", content=[OutputText(text="Hi", annotations=[])], status="completed"
    )
    assert types(message.done_with(attrs.evolve(whole, phase="final_answer"))) == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    call = response.function_call("f")
    call.arguments("{}")
    said = FunctionCall(id=call.id, call_id=call.call_id, name="f", arguments="{}", status="completed")
    assert types(call.done_with(said)) == ["function_call_arguments.done", "output_item.done"]


def test_a_call_that_the_end_of_the_response_closes_is_incomplete() -> None:
    response = started()
    call = response.call(CustomToolCall(id="c", call_id="a", name="sql", input=""))
    call.write("select")
    events = response.incomplete()
    assert types(events) == ["custom_tool_call_input.done", "output_item.done", "incomplete"]
    (item,) = response.response.output
    assert isinstance(item, CustomToolCall)
    assert (item.input, item.status) == ("select", UNSET)  # it had no status
    call.close()  # does nothing
    with_status = started()
    with_status.call(MCP_CALL)
    with_status.incomplete()
    assert [item.status for item in with_status.response.output if isinstance(item, McpCall)] == ["incomplete"]


def test_an_item_whose_result_comes_later() -> None:
    response = started()
    writer = response.open(attrs.evolve(MCP_CALL, arguments='{"q": 1}'))
    assert types(response.events())[-1] == "mcp_call_arguments.done"
    assert not writer.closed
    assert types(writer.done_with(attrs.evolve(MCP_CALL, arguments='{"q": 1}', output="x", status="completed"))) == [
        "mcp_call.completed",
        "output_item.done",
    ]
    writer.close()  # does nothing
    left = started()
    left.open(attrs.evolve(MCP_CALL, arguments="{}"))
    left.open(McpListTools(id="l", server_label="docs", tools=[]))
    left.incomplete()
    call, listed = left.response.output
    assert (getattr(call, "status", None), isinstance(listed, McpListTools)) == ("incomplete", True)


def test_the_secrets_of_an_mcp_tool_are_not_in_the_response() -> None:
    tool = McpTool(
        server_label="docs", server_url="https://example.org", authorization="secret", headers={"x": "secret"}
    )
    response = Emitter(CreateResponse(model="m", tools=[tool]), now=1).response
    assert response.tools == [McpTool(server_label="docs", server_url="https://example.org")]


def test_fields_that_the_class_of_an_item_does_not_have() -> None:
    response = started()
    message = response.message()
    message.text("Hi")
    message.extend({"audio": {"id": "audio_1"}})
    message.done()
    assert response.response.output[0].extra == {"audio": {"id": "audio_1"}}
    with pytest.raises(LocalProtocolError, match="it is closed"):
        message.extend({})
    opened = response.open(MCP_CALL)
    opened.extend({"vendor": 1})
    opened.done()
    assert response.response.output[1].extra == {"vendor": 1}


def test_audio_belongs_to_no_item() -> None:
    response = started()
    events = response.audio("QUJD", "Hel") + response.audio(transcript="lo") + response.audio()
    assert types(events) == ["audio.delta", "audio.transcript.delta", "audio.transcript.delta"]
    accumulator = Accumulator()
    for event in events:
        accumulator.push(event)
    assert (accumulator.audio, accumulator.audio_transcript) == ("QUJD", "Hello")
    response.complete()
    with pytest.raises(LocalProtocolError, match="ended"):
        response.audio("x")
