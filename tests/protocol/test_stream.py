"""Bytes to events and an outcome: every ending, every split, and what must never happen."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.streams import (
    TEXT,
    Wire,
    added,
    call,
    call_events,
    clean,
    clean_output,
    codes,
    codex,
    copilot,
    ending,
    feed,
    frame,
    llama_cpp,
    message,
    message_events,
    numbered,
    opening,
    outcome_of,
    plain,
    read,
    response,
    saying,
    text_delta,
    vllm_unannounced,
    wire,
    without,
)

from responses_proto.codec import dump, dumps, make_converter
from responses_proto.exceptions import (
    APIError,
    LimitExceeded,
    LocalProtocolError,
    RateLimitError,
    RemoteProtocolError,
    ResponseCancelledError,
    ResponseFailedError,
    ResponseIncompleteError,
    ResponsesProtoError,
    ServerError,
    StreamTruncated,
    UsageError,
)
from responses_proto.limits import Limits
from responses_proto.models.events import ErrorEvent, Event, Keepalive, OutputTextDelta, UnknownEvent
from responses_proto.models.items import UnknownItem
from responses_proto.protocol import Accumulator, Cursor, Outcome, ResponseStream, data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BOM: Final = b"\xef\xbb\xbf"
FLAT_ERROR: Final[Wire] = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
NESTED_ERROR: Final[Wire] = {
    "type": "error",
    "error": {"type": "x", "code": "rate_limit_exceeded", "message": "slow down"},
}


def facts(stream: ResponseStream) -> tuple[object, ...]:
    outcome = outcome_of(stream)
    return outcome.status, str(outcome.error), outcome.response, outcome.cursor, stream.anomalies, stream.comments


def ended(events: Sequence[Wire], **options: Any) -> Outcome:
    return outcome_of(feed([wire(events)], **options)[1])


# ---- the straight road


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_a_clean_stream(newline: bytes, named: bool) -> None:
    data = wire(clean(), named=named, finish=b"data: [DONE]\n\n").replace(b"\n", newline)
    events, stream = feed([data], strict=True)
    assert [dump(event) for event in events] == clean()
    outcome = outcome_of(stream)
    assert (outcome.status, outcome.error, outcome.exception()) == ("completed", None, None)
    assert dump(outcome.response) == clean()[-1]["response"]
    assert outcome.response is stream.response
    assert outcome.cursor == stream.cursor == Cursor("resp_1", len(clean()) - 1)
    assert stream.anomalies == []


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_split_of_a_small_stream(newline: bytes) -> None:
    events = [*numbered(opening()), {**text_delta("é👩"), "sequence_number": 2}]
    tail = b'event: x\ndata: {"type":"error",\ndata: "message":"m"}\n\n: ping\n\ndata: [DONE]\n\n'
    data = (wire(events) + tail).replace(b"\n", newline)
    whole, reference = feed([data])
    assert len(whole) == 4
    for at in range(len(data) + 1):
        seen, stream = feed([data[:at], data[at:]])
        assert seen == whole
        assert facts(stream) == facts(reference)
    assert feed(bytes([byte]) for byte in data)[0] == whole
    for size in (2, 3, 5, 7, 64):
        assert feed(data[at : at + size] for at in range(0, len(data), size))[0] == whole


def test_events_come_as_soon_as_they_are_whole_and_once() -> None:
    stream = ResponseStream()
    stream.receive_data(wire(clean()[:2]) + b"event: x\nda")
    assert [event.type for event in stream.events_received()] == ["response.created", "response.in_progress"]
    assert stream.events_received() == []
    assert (stream.ended, stream.outcome) == (False, None)


def test_comments_are_signs_of_life() -> None:
    stream = ResponseStream()
    stream.receive_data(b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n")
    assert (stream.comments, stream.events_received(), stream.anomalies) == (2, [], [])


def test_the_snapshot_is_there_at_any_time() -> None:
    stream = ResponseStream()
    assert stream.response.output == []
    stream.receive_data(wire(plain()[:6]))
    assert stream.response.output_text == "".join(TEXT[:2])
    assert stream.accumulator.output_text == stream.response.output_text


def test_types_of_ones_own_are_decoded_with_the_converter_given() -> None:
    stream = ResponseStream(converter=make_converter())
    stream.receive_data(wire(clean()))
    assert stream.ended


@pytest.mark.parametrize("as_text", [True, False])
def test_frames_that_another_framer_cut_out(as_text: bool) -> None:
    stream = ResponseStream(strict=True, limits=Limits(max_event_bytes=4000))
    for event in clean():
        text = json.dumps(event)
        stream.receive_event(text if as_text else text.encode(), event["type"])
    stream.receive_event("[DONE]")
    assert [dump(event) for event in stream.events_received()] == clean()
    assert outcome_of(stream).status == "completed"
    stream = ResponseStream(limits=Limits(max_event_bytes=10))
    with pytest.raises(LimitExceeded) as caught:
        stream.receive_event("x" * 11)
    with pytest.raises(LimitExceeded) as again:
        stream.receive_event("x")
    assert again.value is caught.value
    stream = ResponseStream()
    stream.receive_event("\ud83d", "acme:x")
    assert [event.type for event in stream.events_received()] == ["acme:x"]
    stream.receive_eof()
    with pytest.raises(LocalProtocolError, match="receive_event"):
        stream.receive_event("x")


# ---- the endings


def test_completed_ends_on_a_socket_that_stays_open() -> None:
    stream = ResponseStream()
    stream.receive_data(wire(plain()))
    assert stream.ended
    assert outcome_of(stream).status == "completed"


def test_incomplete() -> None:
    last = ending([message("a")], "incomplete", incomplete_details={"reason": "max_output_tokens"})
    outcome = ended(numbered([*opening(), *message_events(deltas=["a"]), last]))
    assert (outcome.status, outcome.response.output_text, outcome.error) == ("incomplete", "a", None)
    error = outcome.exception()
    assert isinstance(error, ResponseIncompleteError)
    assert "max_output_tokens" in str(error)
    assert (error.response, error.cursor, error.retry_safety) == (outcome.response, outcome.cursor, "unsafe")
    unsaid = ended(numbered([*opening(), ending([], "incomplete")])).exception()
    assert "gave no reason" in str(unsaid)


def test_failed() -> None:
    last = ending([], "failed", error={"code": "server_error", "message": "broken"})
    outcome = ended(numbered([*opening(), *message_events(deltas=["a"]), last]))
    assert (outcome.status, outcome.response.output_text) == ("failed", "a")
    assert isinstance(outcome.error, ServerError)
    assert (outcome.error.message, outcome.error.code) == ("broken", "server_error")
    error = outcome.exception()
    assert isinstance(error, ResponseFailedError)
    assert error.__cause__ is outcome.error
    assert "broken" in str(error)
    assert error.response is outcome.response


def test_failed_without_a_reason_has_that_of_the_error_event_before_it() -> None:
    outcome = ended(numbered([*opening(), NESTED_ERROR, ending([], "failed")]))
    assert outcome.status == "failed"
    assert isinstance(outcome.error, RateLimitError)
    bare = ended(numbered([*opening(), ending([], "failed")]))
    assert (bare.status, bare.error) == ("failed", None)
    assert "gave no reason" in str(bare.exception())


def test_cancelled() -> None:
    outcome = ended(numbered([*opening(), {**ending([], "failed"), "response": response(status="cancelled")}]))
    assert outcome.status == "cancelled"
    assert isinstance(outcome.exception(), ResponseCancelledError)


@pytest.mark.parametrize(
    "event",
    [
        FLAT_ERROR,
        NESTED_ERROR,
        {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
        {**NESTED_ERROR, "sequence_number": 2},
    ],
)
def test_an_error_event_alone(event: Wire) -> None:
    data = wire(numbered(opening())) + f"data: {json.dumps(event)}\n\n".encode()
    events, stream = feed([data])
    assert isinstance(events[-1], ErrorEvent)
    assert stream.error_seen
    outcome = outcome_of(stream)
    assert outcome.status == "error"
    assert isinstance(outcome.error, RateLimitError)
    assert (outcome.error.message, outcome.error.code) == ("slow down", "rate_limit_exceeded")
    error = outcome.exception()
    assert error is outcome.error is outcome.exception()
    assert error is not None
    assert error.response is outcome.response
    assert set(codes(stream)) == (set() if "type" in event else {"error-untyped"})


def test_an_error_event_does_not_end_the_stream_by_itself() -> None:
    stream = ResponseStream()
    stream.receive_data(wire([FLAT_ERROR]))
    assert (stream.error_seen, stream.ended, stream.outcome) == (True, False, None)
    stream.receive_data(b"data: [DONE]\n\n")
    assert (stream.ended, outcome_of(stream).status) == (True, "error")


@pytest.mark.parametrize("name", ["", "message", "error"])
@pytest.mark.parametrize(("error", "said"), [({"message": "m"}, "m"), ("m", "m"), (["a", 1], "a")])
def test_errors_without_a_type(name: str, error: Any, said: str) -> None:
    head = f"event: {name}\n" if name else ""
    _, stream = feed([f"{head}data: {json.dumps({'error': error})}\n\n".encode()])
    outcome = outcome_of(stream)
    assert outcome.status == "error"
    assert outcome.error is not None
    assert said in outcome.error.message


def test_an_error_outcome_without_an_error_still_raises_something() -> None:
    assert isinstance(Outcome(status="error", response=Accumulator().response).exception(), APIError)


@pytest.mark.parametrize("count", range(len(plain())))
def test_the_end_of_input_anywhere_before_the_terminal_event_is_truncated(count: int) -> None:
    outcome = ended(plain()[:count])
    assert outcome.status == "truncated"
    error = outcome.exception()
    assert isinstance(error, StreamTruncated)
    assert error.response is outcome.response
    assert ("before any event" in str(error)) is (count == 0)
    assert outcome.cursor == (Cursor("resp_1", count - 1) if count else None)
    assert outcome.response.output_text == "".join(TEXT)[: len("".join(TEXT[: max(count - 4, 0)]))]


def test_done_before_a_terminal_event_is_truncated_at_once() -> None:
    stream = ResponseStream()
    stream.receive_data(wire(plain()[:6], finish=b"data: [DONE]\n\n"))
    assert (stream.ended, outcome_of(stream).status) == (True, "truncated")
    stream.receive_eof()
    assert codes(stream) == {"no-terminal": 1}


def test_the_end_of_input_comes_once() -> None:
    stream = ResponseStream()
    stream.receive_eof()
    stream.receive_eof()
    assert (codes(stream), stream.ended, outcome_of(stream).status) == ({"no-terminal": 1}, True, "truncated")
    with pytest.raises(LocalProtocolError, match="receive_eof"):
        stream.receive_data(b"x")


def test_an_unfinished_last_frame_is_read_if_it_can_be() -> None:
    whole = wire(plain())
    for cut in (whole[:-1], whole[:-2]):
        events, stream = feed([cut])
        assert (len(events), outcome_of(stream).status) == (len(plain()), "completed")
        assert codes(stream) == {"unfinished-frame": 1}
    events, stream = feed([whole[:-9]])
    assert (len(events), outcome_of(stream).status) == (len(plain()) - 1, "truncated")
    assert codes(stream) == {"dropped-frame": 1, "no-terminal": 1}


@pytest.mark.parametrize("rest", [b"data: [DONE]", b"data:[DONE]\n", b"data: [DONE] \r", b'data: "[DONE]"'])
def test_an_unfinished_done_is_a_done(rest: bytes) -> None:
    _, stream = feed([wire(plain()[:3]) + rest])
    assert codes(stream) == {"no-terminal": 1}
    _, stream = feed([wire(plain()) + rest])
    assert codes(stream) == {}


@pytest.mark.parametrize("rest", [b": bye", b"event: x", b"id: 1\n", b"data:", b"\n"])
def test_an_unfinished_frame_without_data_is_nothing(rest: bytes) -> None:
    _, stream = feed([wire(plain()[:3]) + rest])
    assert codes(stream) == {"no-terminal": 1}


def test_late_events_are_handed_out_but_not_folded_in() -> None:
    late = [*plain(), *numbered([text_delta("late")], len(plain())), {"type": "keepalive"}]
    events, stream = feed([wire(late)])
    assert [type(event) for event in events[-2:]] == [OutputTextDelta, Keepalive]
    assert stream.response.output_text == "".join(TEXT)
    assert codes(stream) == {"late-event": 1}
    assert outcome_of(stream).status == "completed"


def test_data_after_done_is_dropped() -> None:
    events, stream = feed(
        [wire(plain(), finish=b"data: [DONE]\n\n") + frame(plain()[4]) + b": ping\n\n" + b"data: [DONE]\n\n"]
    )
    assert len(events) == len(plain())
    assert codes(stream) == {"late-data": 1}


# ---- not a stream


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("completed", "completed"),
        ("incomplete", "incomplete"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("queued", "truncated"),
        ("in_progress", "truncated"),
        (None, "completed"),
    ],
)
@pytest.mark.parametrize("head", [b"", b" \r\n\t", BOM, BOM + b"\n "])
def test_a_response_instead_of_a_stream(status: str | None, outcome: str, head: bytes) -> None:
    body = response(status=status, output=[message("a"), call("{}")])
    data = head + json.dumps(body, indent=1).encode()
    for cut in (0, 1, 2, 3, 4, 5, 9):
        events, stream = feed([data[:cut], b"", data[cut:]])
        assert outcome_of(stream).status == outcome
        assert dump(stream.response) == body
        assert len(events) == 1
        found = {"json-body": 1, **({"no-terminal": 1} if outcome == "truncated" else {})}
        assert codes(stream) == (
            {**found, "wrong-type": 1} if status is None and "wrong-type" in codes(stream) else found
        )
        assert stream.body == data.removeprefix(head)


@pytest.mark.parametrize(
    "body", [{"error": {"message": "m"}}, {"error": "m"}, {"detail": "m"}, {"success": False, "error": ["m"]}]
)
def test_an_error_instead_of_a_stream(body: Wire) -> None:
    events, stream = feed([json.dumps(body).encode()])
    outcome = outcome_of(stream)
    assert (len(events), outcome.status, stream.error_seen) == (1, "error", True)
    assert outcome.error is not None
    assert "m" in outcome.error.message
    assert codes(stream)["json-body"] == 1


@pytest.mark.parametrize("head", [b"", b" ", b"\r\n", BOM, BOM + b"\n  "])
def test_white_space_before_a_stream_does_not_count(head: bytes) -> None:
    data = head + wire(plain())
    for cut in range(len(head) + 10):
        events, stream = feed([data[:cut], data[cut:]])
        assert len(events) == len(plain())
        assert not codes(stream)
        assert stream.body is None


@pytest.mark.parametrize(
    "body", [b"upstream unavailable", b"database: down\n\nevents: none\n\n", b"\xff\xfe", b"[DONE"]
)
def test_words_are_a_body_when_they_have_ended(body: bytes) -> None:
    for cut in range(len(body) + 1):
        _, stream = feed([body[:cut], body[cut:]])
        assert stream.body == body
        assert outcome_of(stream).status == "truncated"
    _, stream = feed([b"unknown: field\n" + wire(plain())])
    assert stream.body is None
    _, stream = feed([b"x" * 100_000, b"y" * 100_000])
    assert stream.body == b"x" * 65536
    for begun in (b"event: response.created\nda", b": comment", b"data: [DONE]\n\n", b""):
        assert feed([begun])[1].body is None


@pytest.mark.parametrize("done", [b"", b"data: [DONE]\n\n", b'data: "[DONE]"\n\n'])
@pytest.mark.parametrize("left_out", [(), ("object",)])
def test_a_response_as_the_only_frame_is_a_response(left_out: tuple[str, ...], done: bytes) -> None:
    whole = without(saying("Hello"), *left_out)
    _, stream = feed([b"data: " + json.dumps(whole).encode() + b"\n\n" + done])
    assert outcome_of(stream).status == "completed"
    assert stream.response.output_text == "Hello"


@pytest.mark.parametrize("head", [b" ", BOM, b"\n\n\t"])
def test_what_is_no_stream_is_told_in_the_same_words_however_it_is_cut(head: bytes) -> None:
    data = head + b"[DONE]\n\ndata: {}\n\n"
    _, whole = feed([data])
    assert [found.code for found in whole.anomalies] == ["not-an-object", "no-terminal"]
    for cut in range(1, len(data)):
        _, stream = feed([data[:cut], data[cut:]])
        assert (stream.anomalies, stream.body) == (whole.anomalies, whole.body)


@pytest.mark.parametrize("head", [b"\xef", b"\xef\xbb", BOM, b" "])
def test_a_mark_alone_is_neither(head: bytes) -> None:
    events, stream = feed([head[:1], head[1:]])
    assert (events, stream.body, outcome_of(stream).status) == ([], None, "truncated")


@pytest.mark.parametrize("body", [b"<!doctype html><p>no</p>", b"[1, 2]", b'{"id": "resp', b"{" * 10])
def test_something_else_instead_of_a_stream(body: bytes) -> None:
    events, stream = feed([body[:3], body[3:]])
    assert (events, stream.body, outcome_of(stream).status) == ([], body, "truncated")
    assert codes(stream) == {"not-an-object": 1, "no-terminal": 1}


def test_the_body_that_is_shown_is_its_start() -> None:
    stream = ResponseStream(limits=Limits(max_buffered_bytes=200_000))
    stream.receive_data(b"<" + b"x" * 100_000)
    assert stream.body == b"<" + b"x" * (64 * 1024 - 1)
    with pytest.raises(LimitExceeded, match="max_buffered_bytes"):
        stream.receive_data(b"x" * 100_000)
    assert ResponseStream().body is None


def test_a_body_that_is_nested_too_deep() -> None:
    stream = ResponseStream()
    stream.receive_data(b'{"output":' + b"[" * 600)
    with pytest.raises(LimitExceeded, match="max_nesting"):
        stream.receive_eof()
    assert outcome_of(stream).status == "truncated"


# ---- frames that are not what they should be


def one_frame(data: bytes, name: bytes = b"", *, strict: bool = False) -> tuple[Any, ResponseStream]:
    head = b"event: " + name + b"\n" if name else b""
    events, stream = feed([wire(opening_events()) + head + b"data: " + data + b"\n\n"], strict=strict)
    (event,) = events[2:]
    return event, stream


def opening_events() -> list[Wire]:
    return numbered(opening())


LONG: Final = b" " * 600  # beyond this a frame does not take the straight road


@pytest.mark.parametrize("pad", [b"", LONG])
@pytest.mark.parametrize("name", [b"", b"response.output_text.delta", b"acme:x"])
@pytest.mark.parametrize("data", [b"{", b"hello", b"nul", b'{"a":1} x', b"NaN"])
def test_what_is_not_json_is_kept_raw(data: bytes, name: bytes, pad: bytes) -> None:
    event, stream = one_frame(data + pad, name)
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.raw) == (name.decode(), (data + pad).decode())
    assert codes(stream) == {"invalid-json": 1, "no-terminal": 1}


@pytest.mark.parametrize("pad", [b"", LONG])
@pytest.mark.parametrize("value", [1, "text", [1], None, True])
def test_json_that_is_no_object_is_kept_raw(value: Any, pad: bytes) -> None:
    event, stream = one_frame(json.dumps(value).encode() + pad, b"x")
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.raw) == ("x", value)
    assert codes(stream) == {"not-an-object": 1, "no-terminal": 1}


@pytest.mark.parametrize("pad", [b"", LONG])
@pytest.mark.parametrize("name", [b"", b"x"])
@pytest.mark.parametrize(
    "value", [{}, {"a": 1}, {"type": None}, {"type": 5}, {"type": ""}, {"type": ["response.created"]}]
)
def test_an_object_without_a_type_is_kept_as_it_came(value: Wire, name: bytes, pad: bytes) -> None:
    event, stream = one_frame(json.dumps(value).encode() + pad, name)
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.raw, dump(event)) == ("", value, value)
    assert codes(stream) == {"missing-type": 1, "no-terminal": 1}


@pytest.mark.parametrize("pad", [b"", LONG])
def test_a_type_that_only_the_event_line_says(pad: bytes) -> None:
    body = json.dumps({**without(text_delta("a"), "type"), "sequence_number": 2}).encode()
    event, stream = one_frame(body + pad, b"response.output_text.delta")
    assert isinstance(event, OutputTextDelta)
    assert event.delta == "a"
    assert set(codes(stream)) == {"missing-type", "item-implied", "part-implied", "no-terminal"}


@pytest.mark.parametrize("pad", [b"", LONG])
@pytest.mark.parametrize("name", [b"response.output_text.done", b"x"])
def test_where_event_line_and_type_differ_the_type_is_believed(name: bytes, pad: bytes) -> None:
    event, stream = one_frame(json.dumps({"type": "keepalive"}).encode() + pad, name)
    assert isinstance(event, Keepalive)
    assert codes(stream) == {"event-name": 1, "no-terminal": 1}
    _, stream = one_frame(json.dumps({"type": "keepalive"}).encode() + pad, b"message")
    assert codes(stream) == {"no-terminal": 1}


@pytest.mark.parametrize("pad", [b"", LONG])
def test_invalid_utf8_is_mended_and_reported(pad: bytes) -> None:
    event, stream = one_frame(b'{"type": "acme:x", "a": "\xff"}' + pad)
    assert (event.type, event.raw["a"]) == ("acme:x", "\ufffd")
    assert codes(stream) == {"invalid-utf8": 1, "no-terminal": 1}
    event, stream = one_frame(b"\xff{" + pad)
    assert (event.type, event.raw) == ("", "\ufffd{" + pad.decode())
    assert codes(stream) == {"invalid-utf8": 1, "invalid-json": 1, "no-terminal": 1}


def test_unknown_events_and_items_are_kept_whole() -> None:
    item = {"type": "acme:item", "id": "i", "x": [1]}
    events = [
        *opening(),
        {"type": "acme:event", "x": {"y": 1}},
        added(0, item),
        {**added(0, item), "type": "response.output_item.done"},
        ending([item]),
    ]
    seen, stream = feed([wire(numbered(events))], strict=True)
    assert isinstance(seen[2], UnknownEvent)
    assert dump(seen[2]) == {"type": "acme:event", "x": {"y": 1}, "sequence_number": 2}
    assert isinstance(stream.response.output[0], UnknownItem)
    assert dump(stream.response.output[0]) == item


def test_many_data_lines_make_one_event() -> None:
    data = b'data: {"type":\ndata: "keepalive"}\n\nid: 4\nevent: keepalive\nretry: 5\ndata: {"type": "keepalive"}\n\n'
    events, stream = feed([data])
    assert [type(event) for event in events] == [Keepalive, Keepalive]
    assert codes(stream) == {"no-terminal": 1}


HUGE: Final = "x" * 300_000


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("named", [True, False])
def test_a_large_frame_is_read_where_it_is(newline: bytes, named: bool) -> None:
    events = [*plain()[:4], {**plain()[4], "delta": HUGE}, *plain([HUGE])[5:]]
    data = wire(events, named=named).replace(b"\n", newline)
    for size in (len(data), 4096):
        seen, stream = feed((data[at : at + size] for at in range(0, len(data), size)), strict=True)
        assert [dump(event) for event in seen] == events
        assert stream.response.output_text == HUGE


@pytest.mark.parametrize(
    ("block", "types"),
    [
        ('data: {"type": "acme:x", "a": "%s"}', ["acme:x"]),
        ('event: acme:x\ndata: {"type": "acme:x", "a": "%s"}', ["acme:x"]),
        ('data: {"type": "acme:x",\ndata: "a": "%s"}', ["acme:x"]),
        ('data:{"type": "acme:x", "data: ": "%s"}', ["acme:x"]),
        ('data: {"a": "%s', [""]),
        ("event: keepalive\ndata: 1%s", ["keepalive"]),
        ('xdata: {"type": "acme:x", "a": "%s"}', []),
        (': data: {"type": "acme:x", "a": "%s"}', []),
        ('event: response.completedXdata: {"type": "response.completed", "a": "%s"}', []),
        ("retry: 1\n: %s", []),
    ],
)
def test_a_large_frame_means_what_a_small_one_does(block: str, types: list[str]) -> None:
    for text in ("x", HUGE):
        events, _ = feed([(block % text + "\n\n").encode()])
        assert [event.type for event in events] == types


def test_empty_data_is_nothing() -> None:
    events, stream = feed([b"data:\n\ndata\n\nevent: x\ndata:\n\n"])
    assert (events, codes(stream)) == ([], {"no-terminal": 1})


@pytest.mark.parametrize("field", ["sequence_number", "output_index", "content_index", "item_id"])
@pytest.mark.parametrize("change", ["absent", "odd"])
def test_a_position_that_is_missing_is_one_finding_and_not_two(field: str, change: str) -> None:
    delta = plain()[4]
    odd = without(delta, field) if change == "absent" else {**delta, field: [1]}
    stream = read([*plain()[:4], odd, *plain()[5:]])
    found = {
        "sequence_number": {"sequence-missing": 1},
        "output_index": {"index-missing": 1, "found-by-id": 1},
        "content_index": {"part-index": 1},
        "item_id": {"id-missing": 1},
    }
    assert codes(stream) == found[field]
    assert dump(stream.response) == plain()[-1]["response"]


def test_what_the_decoder_finds_is_reported_with_its_path() -> None:
    stream = read([*plain()[:4], {**without(plain()[4], "delta"), "logprobs": 3}, *plain()[5:]])
    assert {(found.code, found.path) for found in stream.anomalies} == {
        ("missing-field", "response.output_text.delta $.delta"),
        ("wrong-type", "response.output_text.delta $.logprobs"),
        ("delta-mismatch", "response.output_text.done $.text"),
    }


# ---- limits


def test_a_text_nested_too_deep() -> None:
    deep = b'data: {"type": "acme:x", "a": ' + b"[" * 300 + b"]" * 300 + b"}\n\n"
    with pytest.raises(LimitExceeded, match="max_nesting"):
        ResponseStream().receive_data(deep)
    stream = ResponseStream(limits=Limits(max_nesting=400))
    stream.receive_data(deep)
    assert len(stream.events_received()) == 1


def test_an_event_that_is_too_long() -> None:
    stream = ResponseStream(limits=Limits(max_event_bytes=2000))
    with pytest.raises(LimitExceeded) as caught:
        stream.receive_data(wire(plain()[:5]) + frame({"type": "acme:x", "a": "x" * 3000}) + frame(plain()[5]))
    assert (caught.value.limit, caught.value.maximum) == ("max_event_bytes", 2000)


def test_what_came_before_the_error_can_still_be_had() -> None:
    stream = ResponseStream(limits=Limits(max_text_chars=4))
    with pytest.raises(LimitExceeded) as caught:
        stream.receive_data(wire(plain()))
    assert caught.value.limit == "max_text_chars"
    assert [event.type for event in stream.events_received()][-1] == "response.output_text.delta"
    assert caught.value.response is not None
    assert caught.value.cursor == Cursor("resp_1", 5)
    with pytest.raises(LimitExceeded) as again:
        stream.receive_data(b"")
    assert again.value is caught.value
    stream.receive_eof()
    assert outcome_of(stream).status == "truncated"


def test_an_error_before_anything_came_has_no_response() -> None:
    with pytest.raises(LimitExceeded) as caught:
        ResponseStream(limits=Limits(max_event_bytes=10)).receive_data(b"data: " + b"x" * 20)
    assert (caught.value.response, caught.value.cursor) == (None, None)


# ---- strict


DAMAGES: Final[list[tuple[Callable[[list[Wire]], bytes], str]]] = [
    (lambda events: wire(events[1:]), "created-missing"),
    (lambda events: wire([*events[:3], *events[4:]]), "sequence-gap"),
    (lambda events: wire(events[:-1]), "no-terminal"),
    (lambda events: wire(events)[:-1], "unfinished-frame"),
    (lambda events: wire(events)[:-9], "dropped-frame"),
    (lambda events: wire(events[:3]) + b"data: {\n\n", "invalid-json"),
    (lambda events: wire(events[:3]) + b"data: 1\n\n", "not-an-object"),
    (lambda events: wire(events[:3]) + b"data: {}\n\n", "missing-type"),
    (lambda events: wire(events[:3]) + b'data: {"error": 1}\n\n', "error-untyped"),
    (lambda events: wire([*events[:4], without(events[4], "delta")]), "missing-field"),
    (lambda events: wire([*events[:4], {**events[4], "delta": 1}]), "wrong-type"),
    (lambda events: wire(events, finish=b"data: [DONE]\n\ndata: x\n\n"), "late-data"),
    (lambda _: b"<html>", "not-an-object"),
    (lambda _: json.dumps(response(status="completed")).encode(), "json-body"),
]


@pytest.mark.parametrize(("damage", "code"), DAMAGES)
def test_strict_raises_what_lenient_reports(damage: Callable[[list[Wire]], bytes], code: str) -> None:
    data = damage(plain())
    assert code in codes(read(data))
    with pytest.raises(RemoteProtocolError) as caught:
        read(data, strict=True)
    assert caught.value.code == code


def test_strict_raises_at_the_event_and_hands_out_what_was_before() -> None:
    stream = ResponseStream(strict=True)
    with pytest.raises(RemoteProtocolError) as caught:
        stream.receive_data(wire([*plain()[:6], plain()[8]]))
    assert (caught.value.event_type, caught.value.sequence_number) == (plain()[8]["type"], 8)
    assert caught.value.response is not None
    assert caught.value.response.output_text == "".join(TEXT[:2])
    assert len(stream.events_received()) == 6
    stream.receive_eof()
    assert outcome_of(stream).status == "truncated"


# ---- cursor and resuming


def resumed(
    events: Sequence[Wire], cursor: Cursor, accumulator: Accumulator | None = None
) -> tuple[list[Event], ResponseStream]:
    return feed([wire(events)], cursor=cursor, accumulator=accumulator)


@pytest.mark.parametrize("at", range(1, len(plain())))
def test_a_stream_is_taken_up_where_it_stopped(at: int) -> None:
    first = ResponseStream()
    first.receive_data(wire(plain()[:at]))
    cursor = first.cursor
    assert cursor == Cursor("resp_1", at - 1)
    for again in (0, at // 2, at):  # the server may repeat what came before the cursor
        accumulator = read(plain()[:at]).accumulator
        assert cursor is not None
        events, stream = resumed(plain()[again:], cursor, accumulator)
        assert [dump(event) for event in events] == plain()[at:]
        assert dump(stream.response) == plain()[-1]["response"]
        assert codes(stream) == {"no-terminal": 1}  # the first one's


def test_a_gap_at_the_seam_is_reported() -> None:
    for accumulator in (None, read(plain()[:5]).accumulator):
        _, stream = resumed(plain()[6:], Cursor("resp_1", 4), accumulator)
        assert codes(stream)["sequence-gap"] == 1


def test_resuming_without_the_accumulator_expects_no_beginning() -> None:
    last = len(plain()) - 1
    events, stream = resumed(plain()[last:], Cursor("resp_1", last - 1))
    assert (len(events), outcome_of(stream).status) == (1, "completed")
    assert (codes(stream), stream.cursor) == ({}, Cursor("resp_1", last))


def test_the_cursor_moves_while_the_id_is_known_from_before_only() -> None:
    stream = ResponseStream(cursor=Cursor("resp_1", 4))
    assert stream.cursor == Cursor("resp_1", 4)
    stream.receive_data(wire(plain()[5:7]))
    assert stream.cursor == Cursor("resp_1", 6)


def test_a_cursor_without_a_number_drops_nothing() -> None:
    events, stream = resumed(plain(), Cursor("resp_1"))
    assert len(events) == len(plain())
    assert stream.anomalies == []  # it begins where every response does
    assert stream.cursor == Cursor("resp_1", len(plain()) - 1)
    assert ResponseStream(cursor=Cursor("resp_1")).cursor == Cursor("resp_1")


def test_events_without_a_number_are_not_taken_for_repeated_ones() -> None:
    accumulator = read(plain()[:5]).accumulator
    odd = [without(plain()[5], "sequence_number"), {**plain()[6], "sequence_number": "6"}, {"type": "keepalive"}]
    events, stream = resumed([*odd, *plain()[7:]], Cursor("resp_1", 4), accumulator)
    assert len(events) == len(odd) + len(plain()[7:])
    assert stream.response.output_text == "".join(TEXT)


def test_unknown_events_are_repeated_ones_by_their_number() -> None:
    seen: Wire = {"type": "acme:x", "sequence_number": 3}
    events, _ = resumed([seen, {"type": "acme:x"}, {**seen, "sequence_number": 5}], Cursor("resp_1", 4))
    assert [event.raw for event in events if isinstance(event, UnknownEvent)] == [
        {"type": "acme:x"},
        {**seen, "sequence_number": 5},
    ]
    events, _ = feed([b"data: [1]\n\n"], cursor=Cursor("resp_1", 4))
    assert len(events) == 1


# ---- what the best-known client does wrong, one by one


def test_never_an_instance_of_a_wrong_class_for_something_unknown() -> None:
    (seen,) = feed([wire([{"type": "acme:event", "delta": "x"}])])[0]
    assert type(seen) is UnknownEvent


def test_never_silent_about_a_flat_error_a_missing_end_or_another_body() -> None:
    assert outcome_of(read([FLAT_ERROR])).status == "error"
    assert outcome_of(read(plain()[:-1])).status == "truncated"
    assert outcome_of(read(json.dumps(response(status="completed")).encode())).status == "completed"
    assert outcome_of(read(b"<html>")).status == "truncated"


def test_never_the_same_message_for_different_endings_nor_the_partial_text_lost() -> None:
    body = [*opening(), *message_events(deltas=["partial"])]
    endings = [
        [*body, ending([], "incomplete", incomplete_details={"reason": "content_filter"})],
        [*body, ending([], "failed", error={"code": "server_error", "message": "m"})],
        [*body, FLAT_ERROR],
        body,
    ]
    errors = [outcome_of(read(numbered(events))).exception() for events in endings]
    assert len({type(error) for error in errors}) == len({str(error) for error in errors}) == 4
    for error in errors:
        assert error is not None
        assert error.response is not None
        assert error.response.output_text == "partial"


def test_never_the_streamed_text_lost_to_an_empty_terminal_output() -> None:
    assert read(codex(clean())).response.output_text == "".join(TEXT)


@pytest.mark.parametrize("dialect", [llama_cpp, vllm_unannounced, copilot])
def test_never_a_crash_on_the_shapes_of_known_servers(dialect: Callable[[Sequence[Wire]], list[Wire]]) -> None:
    assert outcome_of(read(dialect(clean()))).status == "completed"


def test_never_waiting_for_the_socket_to_close_after_completed() -> None:
    stream = ResponseStream()
    stream.receive_data(wire(clean()))
    assert stream.ended


def test_never_an_error_for_a_comment_after_an_id() -> None:
    data = b"id: 1\n" + wire(plain()[:1]) + b": ping\n\n" + wire(plain()[1:])
    events, stream = feed([data], strict=True)
    assert len(events) == len(plain())
    assert stream.anomalies == []


def test_never_everything_again_when_resuming() -> None:
    events, _ = resumed(plain(), Cursor("resp_1", 7), read(plain()[:8]).accumulator)
    assert len(events) == len(plain()) - 8


def test_never_nulls_invented_when_dumped() -> None:
    assert [dump(item) for item in read(clean()).response.output] == clean_output()
    bare: Wire = {"type": "message", "role": "assistant", "content": []}
    stream = read(numbered([*opening(), added(0, bare)]))
    assert dump(stream.response.output[0]) == bare


# ---- any input


@example([frame(clean()[0]), b"\r", b"data: [DONE]\n\n"], [])
@example([b"event: response.completed\ndata: [DONE]\n\n"], [])
@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([frame(event) for event in [*clean(), *numbered(call_events()), FLAT_ERROR]]),
            st.sampled_from(
                [
                    b"data: [DONE]\n\n",
                    b": ping\n\n",
                    b"\r",
                    b"data: {\n\n",
                    b"\xff",
                    BOM,
                    b"id: 1\n",
                    b"data: 1\n\n",
                    b"{",
                ]
            ),
            st.binary(max_size=12),
        ),
        max_size=12,
    ),
    st.lists(st.integers(0, 4000), max_size=4),
)
def test_any_bytes_end_in_an_outcome(pieces: list[bytes], places: list[int]) -> None:
    data = b"".join(pieces)
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    events, stream = feed(data[start:stop] for start, stop in itertools.pairwise(edges))
    outcome = outcome_of(stream)
    assert dumps(outcome.response)
    assert all(dumps(event) for event in events if not isinstance(event, UnknownEvent))
    assert outcome.exception() is None or isinstance(outcome.exception(), ResponsesProtoError)
    whole, reference = feed([data])
    assert (whole, outcome_of(reference).status) == (events, outcome.status)
    singly, reference = feed(data[at : at + 1] for at in range(len(data)))
    assert (whole, outcome_of(reference).status) == (singly, outcome.status)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_damaged_byte_never_raises(place: int, byte: int) -> None:
    data = bytearray(wire(clean()))
    data[place % len(data)] = byte
    _, stream = feed([bytes(data)])
    assert dumps(outcome_of(stream).response)


def test_text_is_no_input() -> None:
    text: Any = "data: {}\n\n"
    with pytest.raises(UsageError, match=r"expected bytes, got str: read the body with aiter_bytes\(\)"):
        ResponseStream().receive_data(text)


# --- integers beyond 64 bits ------------------------------------------------------------------------------------------

BIG: Final = 2**90 + 1


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "event",
    [
        text_delta("a") | {"vendor": BIG},
        text_delta("a") | {"vendor": {"deep": [BIG]}},
        text_delta("a") | {"logprobs": [{"token": "a", "logprob": -1.0, "vendor": BIG}]},
        text_delta("a") | {"agent": {"agent_name": "/lead", "vendor": -BIG}},
        text_delta("a") | {"sequence_number": BIG},
        {"type": "response.rate_limits.updated", "rate_limits": [BIG, float(BIG)]},
        {"type": "acme:count", "count": BIG},
        added(0, {"type": "tool_search_call", "arguments": {"n": BIG}, "call_id": None}),
    ],
    ids=lambda event: event["type"],
)
def test_integers_of_events_are_exact(event: Wire, named: bool) -> None:
    stream = ResponseStream()
    stream.receive_data(frame({"sequence_number": 0, **event}, named=named))
    (received,) = stream.events_received()
    written = json.loads(dumps(received))
    kept = {name: value for name, value in event.items() if name not in ("sequence_number", "output_index", "item_id")}
    assert json.dumps({name: written[name] for name in kept}, sort_keys=True) == json.dumps(kept, sort_keys=True)


# --- what OpenAI sends of its own searches ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        {"type": "search", "query": "q"},
        {"type": "open_page"},
        {"type": "find_in_page", "pattern": "p"},
        {"type": "find_in_page", "pattern": "p", "url": None},
    ],
    ids="-".join,
)
def test_strict_mode_accepts_a_search_that_does_not_know_its_action_yet(action: Wire) -> None:
    search: Wire = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    whole: Wire = {**search, "status": "completed", "action": action}
    at = {"output_index": 0, "item_id": "ws_1"}
    progress = [
        {"type": f"response.web_search_call.{step}", **at} for step in ("in_progress", "searching", "completed")
    ]
    closed = {"type": "response.output_item.done", "output_index": 0, "item": whole}
    stream = read(numbered([*opening(), added(0, search), *progress, closed, ending([whole])]), strict=True)
    assert dump(stream.response.output) == [whole]
    assert stream.anomalies == []


# ---- the text that events came in


def kept(raw: bytes) -> list[bytes | None]:
    stream = ResponseStream(keep_data=True)
    stream.receive_data(raw)
    stream.receive_eof()
    return [data_of(event) for event in stream.events_received()]


def test_events_keep_the_text_that_they_came_in() -> None:
    said = [json.dumps(event, indent=1).encode() for event in [*plain(), {"type": "acme:x", "y": 1.50}]]
    raw = b"".join(b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n" for data in said)
    assert kept(raw) == said
    flat = [json.dumps(event).encode() for event in plain()]
    assert kept(b"".join(b"data: " + data + b"\n\n" for data in flat)) == flat
    assert {data_of(event) for event in feed([raw])[0]} == {None}


def test_a_position_that_was_missing_is_filled_in_and_nothing_else() -> None:
    events = [without(event, "sequence_number", "output_index", "item_id") for event in plain()]
    found = kept(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))
    numbers = [json.loads(data or b"").pop("sequence_number") for data in found]
    assert numbers == [*range(len(events))]
    for data, event in zip(found, events, strict=True):
        value = json.loads(data or b"")
        assert {name: value[name] for name in event} == event
        assert value.keys() - event.keys() <= {"sequence_number", "output_index", "item_id"}
    backwards = [{**event, "sequence_number": 0} for event in plain()]
    found = kept(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in backwards))
    assert [json.loads(data or b"")["sequence_number"] for data in found] == [*range(len(events))]


def test_what_was_not_an_event_on_the_wire_has_no_text() -> None:
    assert kept(json.dumps(saying("hello")).encode()) == [None]
    assert kept(b"data: nonsense\n\n") == [None]
