"""Hand-made streams: a clean one, built from small pieces, and its variants by known servers.

An event is a plain dict, as on the wire. Pieces have no ``sequence_number``; :func:`numbered` adds it.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from responses_proto.codec import dump, load
from responses_proto.models.events import Event
from responses_proto.protocol import Accumulator, Outcome, ResponseStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from responses_proto.limits import Limits

Wire: TypeAlias = dict[str, Any]

TEXT = ("Hel", "lo, ", "wörld ", "🌍!")
CALL = ('{"ci', 'ty": "Par', 'is"}')
THOUGHT = ("Let me ", "think.")


# ---- pieces


def response(**fields: Any) -> Wire:
    """Return a response with all fields that the specification requires."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "model": "m",
        "output": [],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        **fields,
    }


def saying(text: str, status: str = "completed", **fields: Any) -> Wire:
    """Return a response with one message."""
    return response(status=status, output=[message(text)], **fields)


def opening(**fields: Any) -> list[Wire]:
    return [
        {"type": "response.created", "response": response(**fields)},
        {"type": "response.in_progress", "response": response(**fields)},
    ]


def ending(output: Sequence[Wire], status: str = "completed", **fields: Any) -> Wire:
    return {"type": f"response.{status}", "response": response(status=status, output=list(output), **fields)}


def added(index: int, item: Wire) -> Wire:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Wire) -> Wire:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def message(text: str, id_: str = "msg_1", status: str = "completed") -> Wire:
    content = [output_text(text)] if text else []
    return {"type": "message", "id": id_, "role": "assistant", "status": status, "content": content}


def call(arguments: str, id_: str = "fc_1", call_id: str = "call_1", status: str = "completed") -> Wire:
    return {
        "type": "function_call",
        "id": id_,
        "call_id": call_id,
        "name": "weather",
        "arguments": arguments,
        "status": status,
    }


def reasoning(summary: str, id_: str = "rs_1") -> Wire:
    return {"type": "reasoning", "id": id_, "summary": [{"type": "summary_text", "text": summary}] if summary else []}


def thought(text: str, id_: str = "rs_1") -> Wire:
    return {**reasoning("", id_), "content": [{"type": "reasoning_text", "text": text}] if text else []}


def text_delta(delta: str, index: int = 0, id_: str = "msg_1", part: int = 0) -> Wire:
    return {
        "type": "response.output_text.delta",
        "item_id": id_,
        "output_index": index,
        "content_index": part,
        "delta": delta,
        "logprobs": [],
    }


def part_event(step: str, part: Wire, index: int = 0, id_: str = "msg_1", at: int = 0) -> Wire:
    """Return the event ``step`` (``content_part.added``, ``reasoning_summary_part.done``, …) of a part."""
    where = "summary_index" if "summary" in step else "content_index"
    return {"type": f"response.{step}", "item_id": id_, "output_index": index, where: at, "part": part}


def output_text(text: str = "") -> Wire:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_events(index: int = 0, id_: str = "msg_1", deltas: Sequence[str] = TEXT) -> list[Wire]:
    whole = "".join(deltas)
    text_done = {**text_delta("", index, id_), "type": "response.output_text.done", "text": whole}
    del text_done["delta"]
    return [
        added(index, message("", id_, "in_progress")),
        part_event("content_part.added", output_text(), index, id_),
        *(text_delta(delta, index, id_) for delta in deltas),
        text_done,
        part_event("content_part.done", output_text(whole), index, id_),
        done(index, message(whole, id_)),
    ]


def call_events(index: int = 1, id_: str = "fc_1", call_id: str = "call_1", deltas: Sequence[str] = CALL) -> list[Wire]:
    whole, at = "".join(deltas), {"item_id": id_, "output_index": index}
    return [
        added(index, call("", id_, call_id, "in_progress")),
        *({"type": "response.function_call_arguments.delta", **at, "delta": delta} for delta in deltas),
        {"type": "response.function_call_arguments.done", **at, "name": "weather", "arguments": whole},
        done(index, call(whole, id_, call_id)),
    ]


def summary_events(index: int = 0, id_: str = "rs_1", deltas: Sequence[str] = THOUGHT) -> list[Wire]:
    whole, at = "".join(deltas), {"item_id": id_, "output_index": index, "summary_index": 0}
    return [
        added(index, reasoning("", id_)),
        part_event("reasoning_summary_part.added", {"type": "summary_text", "text": ""}, index, id_),
        *({"type": "response.reasoning_summary_text.delta", **at, "delta": delta} for delta in deltas),
        {"type": "response.reasoning_summary_text.done", **at, "text": whole},
        part_event("reasoning_summary_part.done", {"type": "summary_text", "text": whole}, index, id_),
        done(index, reasoning(whole, id_)),
    ]


def thought_events(index: int = 0, id_: str = "rs_1", deltas: Sequence[str] = THOUGHT) -> list[Wire]:
    whole, at = "".join(deltas), {"item_id": id_, "output_index": index, "content_index": 0}
    return [
        added(index, thought("", id_)),
        part_event("content_part.added", {"type": "reasoning_text", "text": ""}, index, id_),
        *({"type": "response.reasoning_text.delta", **at, "delta": delta} for delta in deltas),
        {"type": "response.reasoning_text.done", **at, "text": whole},
        part_event("content_part.done", {"type": "reasoning_text", "text": whole}, index, id_),
        done(index, thought(whole, id_)),
    ]


# The least that an item of each kind with a growing text is added as.
BLANK: Final[dict[str, Wire]] = {
    "message": message("", "it_1", "in_progress"),
    "reasoning": {"type": "reasoning", "id": "it_1", "summary": []},
    "function_call": call("", "it_1", status="in_progress"),
    "custom_tool_call": {"type": "custom_tool_call", "id": "it_1", "call_id": "c", "name": "n", "input": ""},
    "mcp_call": {"type": "mcp_call", "id": "it_1", "server_label": "s", "name": "n", "arguments": ""},
    "code_interpreter_call": {
        "type": "code_interpreter_call", "id": "it_1", "container_id": "c", "code": "", "outputs": None, "status": "in_progress",
    },
    "apply_patch_call": {
        "type": "apply_patch_call", "id": "it_1", "call_id": "c", "status": "in_progress",
        "operation": {"type": "update_file", "path": "p", "diff": ""},
    },
    "shell_call": {
        "type": "shell_call", "id": "it_1", "call_id": "c",
        "action": {"commands": [], "timeout_ms": None, "max_output_length": None}, "status": "in_progress",
    },
}  # fmt: skip
SHELL: Final[Wire] = {"type": "shell_call_output", "id": "so", "call_id": "c", "output": []}


# ---- whole streams


def numbered(events: Iterable[Wire], start: int = 0) -> list[Wire]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events, start)]


def clean_output() -> list[Wire]:
    return [thought("".join(THOUGHT)), message("".join(TEXT)), call("".join(CALL))]


def clean() -> list[Wire]:
    """Return the events of a conformant response with reasoning, a message and a function call."""
    return numbered([*opening(), *thought_events(0), *message_events(1), *call_events(2), ending(clean_output())])


def plain(deltas: Sequence[str] = TEXT, last: str | None = "completed", **fields: Any) -> list[Wire]:
    """Return the events of a response with one message. ``last`` is the final status; with None, the stream is cut after the last delta."""
    said = message_events(deltas=deltas)
    if last is None:
        return numbered([*opening(**fields), *said[:-3]])
    return numbered([*opening(**fields), *said, ending([message("".join(deltas))], last, **fields)])


# ---- what servers make of it


def without(event: Wire, *names: str) -> Wire:
    return {name: value for name, value in event.items() if name not in names}


def each(events: Iterable[Wire], change: Callable[[Wire], Wire | None]) -> list[Wire]:
    """Return the events changed by a function, which returns ``None`` to drop an event."""
    return [after for event in events if (after := change(copy.deepcopy(event))) is not None]


def llama_cpp(events: Sequence[Wire]) -> list[Wire]:
    """No positions, function calls without an id, a thin response."""

    def change(event: Wire) -> Wire:
        if "response" in event:
            thin = ("id", "object", "status", "output", "model", "created_at")
            event["response"] = {name: event["response"][name] for name in thin}
            for item in event["response"]["output"]:
                if item["type"] == "function_call":
                    del item["id"]
        if event.get("item", {}).get("type") == "function_call":
            del event["item"]["id"]
        return without(event, "output_index", "content_index")

    return each(events, change)


def vllm_minus_one(events: Sequence[Wire]) -> list[Wire]:
    """``content_index`` is always -1, ``item_id`` empty."""
    return each(events, lambda e: {**e, **({"content_index": -1, "item_id": ""} if "content_index" in e else {})})


def vllm_climbing(events: Sequence[Wire]) -> list[Wire]:
    """``content_index`` rises with each delta."""
    seen: Counter[str] = Counter()

    def change(event: Wire) -> Wire:
        if event["type"].endswith("_text.delta"):
            event["content_index"] = seen[event["item_id"]]
            seen[event["item_id"]] += 1
        return event

    return each(events, change)


def vllm_unannounced(events: Sequence[Wire]) -> list[Wire]:
    """Items and parts are done without having been added, reasoning has part events of its own, output is empty."""

    def change(event: Wire) -> Wire | None:
        kind: str = event["type"]
        if kind in ("response.output_item.added", "response.content_part.added"):
            return None
        if event.get("part", {}).get("type") == "reasoning_text":
            event["type"] = kind.replace("content_part", "reasoning_part")
        if kind == "response.completed":
            event["response"]["output"] = []
        return event

    return numbered(each(events, change))


def copilot(events: Sequence[Wire]) -> list[Wire]:
    """Every event has other ids for the same item and the same response."""

    def change(event: Wire) -> Wire:
        suffix = f"_{event['sequence_number']}"
        if "item_id" in event:
            event["item_id"] += suffix
        if "item" in event:
            event["item"]["id"] += suffix
        if "response" in event:
            event["response"]["id"] += suffix
        return event

    return each(events, change)


def codex(events: Sequence[Wire], output: Any = ()) -> list[Wire]:
    """The terminal event has no output."""

    def change(event: Wire) -> Wire:
        if event["type"] == "response.completed":
            event["response"]["output"] = list(output) if output is not None else None
        return event

    return each(events, change)


def litellm_reordered(events: Sequence[Wire]) -> list[Wire]:
    """Ends of items overtake those of earlier texts; numbers run backwards or are missing; each event has an extra field."""
    overtaken = ("response.output_text.done", "response.content_part.done")
    late = [event for event in events if event["type"] in overtaken and event["output_index"] == 1]
    rest = [event for event in events if event not in late]
    at = next(
        place
        for place, event in enumerate(rest)
        if event["type"] == "response.output_item.done" and event["output_index"] == 2
    )
    mixed = [*rest[: at + 1], *late, *rest[at + 1 :]]

    def change(event: Wire) -> Wire:
        event["model"] = "m"
        return without(event, "sequence_number") if "delta" in event else event

    return each(mixed, change)


# ---- bytes, and reading them


def frame(event: Wire, *, named: bool = True) -> bytes:
    head = f"event: {event['type']}\n" if named else ""
    return f"{head}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def wire(events: Iterable[Wire], *, named: bool = True, finish: bytes = b"") -> bytes:
    return b"".join(frame(event, named=named) for event in events) + finish


def read(data: bytes | Iterable[Wire], *, strict: bool = False, limits: Limits | None = None) -> ResponseStream:
    """Return a stream that has read the data to its end."""
    stream = ResponseStream(strict=strict, limits=limits)
    stream.receive_data(data if isinstance(data, bytes) else wire(data))
    stream.receive_eof()
    return stream


def feed(chunks: Iterable[bytes], **options: Any) -> tuple[list[Event], ResponseStream]:
    stream, events = ResponseStream(**options), list[Event]()
    for chunk in chunks:
        stream.receive_data(chunk)
        events += stream.events_received()
    stream.receive_eof()
    return events + stream.events_received(), stream


def outcome_of(stream: ResponseStream) -> Outcome:
    assert stream.outcome is not None
    return stream.outcome


def fold(events: Iterable[Wire], *, strict: bool = False, limits: Limits | None = None) -> Accumulator:
    """Return an accumulator that has received the events."""
    accumulator = Accumulator(strict=strict, limits=limits)
    for event in events:
        accumulator.push(load(event, Event))
    return accumulator


def codes(source: ResponseStream | Accumulator) -> Counter[str]:
    return Counter(anomaly.code for anomaly in source.anomalies)


def output_of(source: ResponseStream | Accumulator) -> list[Wire]:
    """Return the output of the snapshot, without the ids that servers change."""
    output: list[Wire] = dump(source.response)["output"]
    return [without(item, "id") for item in output]


def streamed_of(source: ResponseStream | Accumulator) -> list[Wire]:
    """Return the streamed output, without ids."""
    accumulator = source if isinstance(source, Accumulator) else source.accumulator
    return [without(dump(item), "id") for item in accumulator.streamed_output]
