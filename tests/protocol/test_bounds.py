"""What a stream costs: in proportion to its size, whatever its shape, and never more than the limits allow."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.streams import (
    Wire,
    added,
    call,
    done,
    ending,
    frame,
    message,
    numbered,
    opening,
    output_text,
    part_event,
    read,
    text_delta,
    without,
)

from responses_proto import Limits
from responses_proto.codec import load
from responses_proto.exceptions import LimitExceeded
from responses_proto.models.events import Event
from responses_proto.protocol import Accumulator, ResponseStream

if TYPE_CHECKING:
    from collections.abc import Callable

FEW: Final = 250
TIMES: Final = 8
FACTOR: Final = 4.0
"""How much more than in proportion it may cost: quadratic would be eight times."""

OPEN: Final = added(0, message("", status="in_progress"))
CITED: Final[Wire] = {
    **without(text_delta(""), "delta", "logprobs"),
    "type": "response.output_text.annotation.added",
    "annotation_index": 0,
    "annotation": {"type": "file_path", "file_id": "f", "index": 0},
}

SHELL: Final[Wire] = {"type": "shell_call_output", "id": "o", "call_id": "c", "output": []}
LOG: Final[Wire] = {"stdout": "x", "stderr": "", "outcome": {"type": "timeout"}}
LOGS: Final[Wire] = {
    "type": "response.shell_call_output_content.done",
    "item_id": "o",
    "output_index": 0,
    "output": [LOG],
}


def calls(count: int) -> list[Wire]:
    return [call("{}", f"f{number}", f"c{number}") for number in range(count)]


def all_added(count: int) -> list[Wire]:
    return [added(number, {**item, "arguments": "", "status": "x"}) for number, item in enumerate(calls(count))]


def parts(count: int) -> list[Wire]:
    return [part_event("content_part.added", output_text(), at=number) for number in range(count)]


def arguments(number: int, **place: Any) -> Wire:
    return {"type": "response.function_call_arguments.delta", "item_id": f"c{number}", "delta": "x", **place}


SHAPES: Final[dict[str, Callable[[int], list[Wire]]]] = {
    "items, listed by the terminal event": lambda n: [*all_added(n), ending(calls(n))],
    "items, listed in reverse": lambda n: [*all_added(n), ending(calls(n)[::-1])],
    "items, listed with other ids": lambda n: [
        *all_added(n),
        ending([{**item, "id": f"x{item['id']}"} for item in calls(n)]),
    ],
    "items, listed without ids": lambda n: [*all_added(n), ending([without(i, "id", "call_id") for i in calls(n)])],
    "items, not listed": lambda n: [*all_added(n), ending([])],
    "messages, of which one is listed": lambda n: [
        *(added(number, message("", f"m{number}")) for number in range(n)),
        ending([message("", "m0")]),
    ],
    "items in reverse": lambda n: all_added(n)[::-1],
    "items that are given their index later": lambda n: [
        *(without(event, "output_index") for event in all_added(n)),
        *(arguments(number, output_index=2 * n - number) for number in range(n)),
    ],
    "deltas of many open items in turn": lambda n: [*all_added(n), *(arguments(number) for number in range(n))],
    "ids that change": lambda n: [OPEN, *parts(1), *(text_delta("x", 0, f"{number:0400}") for number in range(n))],
    "deltas that cannot be placed": lambda n: [
        *all_added(2),
        *({**arguments(0), "item_id": f"nobody_{number}"} for number in range(n)),
    ],
    "parts, and deltas of the first": lambda n: [OPEN, *parts(n), *(text_delta("x") for _ in range(n))],
    "closed parts, and late deltas": lambda n: [
        OPEN,
        *parts(n),
        *(part_event("content_part.done", output_text("x"), at=number) for number in range(n)),
        *(text_delta("x", part=number) for number in range(n)),
    ],
    "annotations": lambda n: [OPEN, *parts(1), *([CITED] * n), part_event("content_part.done", output_text("x"))],
    "an item that is done again and again": lambda n: [OPEN, *([done(0, message("x"))] * n)],
    "an item of many parts, and statements of nothing": lambda n: [
        OPEN,
        *({**part, "part": output_text("x")} for part in parts(n)),
        *([done(0, without(message(""), "content"))] * n),
    ],
    "an item of many unknown fields, and statements of nothing": lambda n: [
        added(0, {**call(""), **{f"x{number}": 1 for number in range(n)}}),
        *([done(0, call("{}"))] * n),
    ],
    "a part of many annotations that is done again and again": lambda n: [
        OPEN,
        *parts(1),
        *([CITED] * n),
        *([part_event("content_part.done", {"type": "output_text"})] * n),
    ],
    "logs of many commands": lambda n: [
        added(0, SHELL),
        *({**LOGS, "command_index": number} for number in range(n)),
        *({**LOGS, "command_index": number} for number in range(n)),
    ],
    "gaps in the parts": lambda n: [OPEN, *({**part, "content_index": 10**6 * i} for i, part in enumerate(parts(n)))],
    "events after the end": lambda n: [OPEN, ending([message("x")]), *(text_delta("x") for _ in range(n))],
    "items that are null": lambda n: [added(number, None) for number in range(n)],  # type: ignore[arg-type] # a null item is the point
    "lifecycle again and again": lambda n: opening() * n,
}


def spent(wires: list[Wire]) -> float:
    """Return the processor time that an accumulator takes for some events, decoded before."""
    times: list[float] = []
    for _ in range(3):
        events = [load(wire, Event) for wire in wires]
        accumulator = Accumulator(limits=Limits(max_output_items=10**6, max_content_parts=10**6))
        start = time.process_time()
        for event in events:
            accumulator.push(event)
        accumulator.response  # noqa: B018 - built when asked for
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_cost_is_in_proportion(shape: str) -> None:
    few, many = (numbered([*opening(), *SHAPES[shape](count)]) for count in (FEW, FEW * TIMES))
    # Noise does not come three times.
    measured = ((spent(few), spent(many)) for _ in range(3))
    assert any(more <= max(once, 0.002) * TIMES * FACTOR for once, more in measured)


# ---- limits

THOUGHT: Final[Wire] = {"type": "reasoning", "id": "r", "summary": []}
GROWN: Final[dict[str, Callable[[int], Wire]]] = {
    "content": lambda n: {**message(""), "content": [output_text("x")] * n},
    "summary": lambda n: {**THOUGHT, "summary": [{"type": "summary_text", "text": "x"}] * n},
    "reasoning": lambda n: {**THOUGHT, "content": [{"type": "reasoning_text", "text": "x"}] * n},
    "commands": lambda n: {"type": "shell_call", "id": "s", "call_id": "c", "action": {"commands": ["ls"] * n}},
    "logs": lambda n: {**SHELL, "output": [LOG] * n},
    "annotations": lambda n: {
        **message(""),
        "content": [{**output_text("x"), "annotations": [CITED["annotation"]] * n}],
    },
}
TEXTS: Final[dict[str, Callable[[int], Wire]]] = {
    "content": lambda n: message("x" * n),
    "arguments": lambda n: call("x" * n),
    "command": lambda n: {"type": "shell_call", "id": "s", "call_id": "c", "action": {"commands": ["x" * n]}},
    "log": lambda n: {**SHELL, "output": [{**LOG, "stdout": "x" * n}]},
    "patch": lambda n: {
        "type": "apply_patch_call", "id": "p", "call_id": "c", "status": "completed",
        "operation": {"type": "update_file", "path": "p", "diff": "x" * n},
    },
}  # fmt: skip
STATED: Final[dict[str, Callable[[Wire], list[Wire]]]] = {
    "added": lambda item: [*opening(), added(0, item)],
    "done": lambda item: [*opening(), done(0, item)],
    "the terminal response": lambda item: [*opening(), ending([item])],
    "a failed response": lambda item: [*opening(), ending([item], "failed")],
    "created": lambda item: opening(output=[item]),
}


def exceeds(events: list[Wire], limits: Limits) -> str:
    try:
        read(numbered(events), limits=limits)
    except LimitExceeded as error:
        return error.limit
    return ""


@pytest.mark.parametrize("stated", STATED)
@pytest.mark.parametrize("grown", GROWN)
def test_parts_are_counted_however_they_are_said(grown: str, stated: str) -> None:
    limits = Limits(max_content_parts=10)
    assert exceeds(STATED[stated](GROWN[grown](11)), limits) == "max_content_parts"
    assert not exceeds(STATED[stated](GROWN[grown](10)), limits)


@pytest.mark.parametrize("stated", STATED)
@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_measured_however_they_are_said(text: str, stated: str) -> None:
    limits = Limits(max_text_chars=20)
    assert exceeds(STATED[stated](TEXTS[text](21)), limits) == "max_text_chars"
    assert not exceeds(STATED[stated](TEXTS[text](20)), limits)


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_items_are_counted_however_they_are_said(status: str) -> None:
    limits = Limits(max_output_items=10)
    for count, found in ((10, ""), (11, "max_output_items")):
        assert exceeds([*opening(), ending(calls(count), status)], limits) == found
        assert exceeds([*opening(), *all_added(count)], limits) == found
        assert exceeds([*opening(), *(done(n, item) for n, item in enumerate(calls(count)))], limits) == found
        assert exceeds(opening(output=calls(count)), limits) == found
    others = [message("x", f"m{number}") for number in range(10)]
    assert exceeds([*opening(), *all_added(10), ending(others)], limits) in ("", "max_output_items")
    streamed = [added(number, message("", f"s{number}")) for number in range(10)]
    assert exceeds([*opening(), *streamed, ending(calls(1))], limits) == "max_output_items"


def test_parts_are_counted_event_by_event() -> None:
    limits = Limits(max_content_parts=10)
    whole = [part_event("content_part.done", output_text("x"), at=number) for number in range(11)]
    for begun, events in (
        (OPEN, parts(11)),
        (OPEN, whole),
        (OPEN, [*parts(1), *([CITED] * 11)]),
        (added(0, SHELL), [{**LOGS, "command_index": number} for number in range(11)]),
        (added(0, SHELL), [{**LOGS, "command_index": 0, "output": [LOG] * 11}]),
    ):
        assert exceeds([*opening(), begun, *events], limits) == "max_content_parts"
        assert not exceeds([*opening(), begun, *events[:10]], limits) or len(events) == 1


def test_findings_over_their_limit_are_counted_only() -> None:
    events = numbered([*opening(), *(done(0, message("x")) for _ in range(5)), *(text_delta("x") for _ in range(5))])
    accumulator = Accumulator(limits=Limits(max_anomalies=1))
    for event in events:
        accumulator.push(load(event, Event))
    assert len(accumulator.anomalies) == 1
    assert accumulator.findings > 5


LOGPROB: Final[Wire] = {"token": "", "logprob": 0.0, "bytes": [], "top_logprobs": []}


def scored(count: int, text: str = "") -> Wire:
    return {**text_delta(text), "logprobs": [LOGPROB] * count}


def test_a_text_has_at_most_as_many_log_probabilities_as_characters() -> None:
    limits = Limits(max_text_chars=20)
    for count, found in ((20, ""), (21, "max_text_chars")):
        assert exceeds([*opening(), OPEN, *parts(1), *(scored(1) for _ in range(count))], limits) == found
        assert exceeds([*opening(), OPEN, *parts(1), scored(count)], limits) == found
        whole = {**message(""), "content": [{**output_text("x"), "logprobs": [LOGPROB] * count}]}
        assert exceeds([*opening(), ending([whole])], limits) == found
    # They are not parts: a text of many tokens has many.
    assert not exceeds([*opening(), OPEN, *parts(1), *(scored(1, "x") for _ in range(20))], Limits(max_content_parts=3))


WHOLE: Final[dict[str, Callable[[int], list[Wire]]]] = {
    "items": lambda n: [added(number, message("x" * 400, f"m{number}")) for number in range(n)],
    "items that are done again and again": lambda n: [OPEN, *([done(0, message("x" * 400))] * n)],
    "parts": lambda n: [OPEN, *({**part, "part": output_text("x" * 400)} for part in parts(n))],
    "annotations": lambda n: [OPEN, *parts(1), *([CITED] * 4 * n)],
    "texts of many items": lambda n: [
        *all_added(n),
        *(arguments(number, output_index=number, delta="x" * 400) for number in range(n)),
    ],
    "one text": lambda n: [OPEN, *parts(1), *(text_delta("x" * 400) for _ in range(n))],
    "log probabilities": lambda n: [OPEN, *parts(1), *(scored(10) for _ in range(n))],
    "items of deltas alone": lambda n: [
        {**arguments(number, output_index=number), "item_id": f"{number}" + "x" * 400} for number in range(n)
    ],
    "unknown items": lambda n: [added(number, {"type": "x:y", "raw": "x" * 400}) for number in range(n)],
    "the terminal response": lambda n: [ending([message("x" * 400, f"m{number}") for number in range(n)])],
}


@pytest.mark.parametrize("shape", WHOLE)
def test_a_response_as_a_whole_has_a_bound(shape: str) -> None:
    assert not exceeds([*opening(), *WHOLE[shape](5)], Limits(max_response_bytes=60_000))
    assert exceeds([*opening(), *WHOLE[shape](500)], Limits(max_response_bytes=60_000)) == "max_response_bytes"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "keepalive"},
        {"type": "vendor.event", "data": "x" * 400},
        {"type": "response.image_generation_call.partial_image", "output_index": 0, "item_id": "i", "partial_image_b64": "x" * 400},
    ],
)  # fmt: skip
def test_what_is_not_kept_does_not_count(event: Wire) -> None:
    assert not exceeds([*opening(), *([event] * 500)], Limits(max_response_bytes=20_000))


def test_ids_of_any_length_are_not_kept_but_for_the_first() -> None:
    stream = ResponseStream()
    stream.receive_data(b"".join(map(frame, numbered([*opening(), OPEN, *parts(1)]))))
    tracemalloc.start()
    for number in range(5, 105):
        event = {**text_delta("x", 0, f"{number}" + "x" * 100_000), "sequence_number": number}
        stream.receive_data(frame(event))
        stream.events_received()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 10**6
    assert stream.response.output_text == "x" * 100


def test_the_values_of_an_event_are_counted() -> None:
    item: Wire = {"type": "x:y", "raw": [{}] * 50}
    assert exceeds([*opening(), added(0, item)], Limits(max_json_values=100)) == ""
    assert (
        exceeds([*opening(), added(0, {**item, "raw": [{}] * 100})], Limits(max_json_values=100)) == "max_json_values"
    )


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_an_event_in_small_pieces_takes_little_more_than_its_bytes(piece: int) -> None:
    size = 60_000
    for data, before in ((frame({"type": "x:y", "data": "x" * size}), b": hello\n\n"), (b"{" + b" " * size, b"")):
        stream = ResponseStream()
        stream.receive_data(before)
        tracemalloc.start()
        for at in range(0, len(data) - 2, piece):
            stream.receive_data(data[at : min(at + piece, len(data) - 2)])
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert kept < 3 * size


def test_blank_lines_cost_less_than_a_comment() -> None:
    def cost(data: bytes) -> float:
        times: list[float] = []
        for _ in range(3):
            stream = ResponseStream()
            began = time.process_time()
            stream.receive_data(b": hello\n\n" + data)
            times.append(time.process_time() - began)
            assert stream.events_received() == []
        return min(times)

    for blank in (b"\n\n", b"\n", b"\r\n", b"event: x\n\n"):
        assert cost(blank * 20_000) < 2 * cost(b": hello\n\n" * 20_000)
