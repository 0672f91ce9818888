"""Streams for the benchmarks: generated streams of realistic shape and any length, and recorded streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEM_ID = "msg_" + "0123456789abcdef" * 3
_RECORDED: Final = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "streams"
_WORDS = (" the", " unicorn", " walked", " into", " a", " silver", " wood", ",", " and", " nobody", " saw", " her", ".")


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a response object of the usual size."""
    return {
        "id": "resp_" + "0123456789abcdef" * 3, "object": "response", "created_at": 1_760_000_000, "status": status, "background": False,
        "error": None, "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": "bench",
        "output": output, "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
        "store": True, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": None, "user": None, "metadata": {},
    }  # fmt: skip


def event_dicts(deltas: int) -> Iterator[dict[str, Any]]:
    """Yield the events of a response with one message of ``deltas`` deltas."""
    yield {"type": "response.created", "response": response("in_progress", [])}
    yield {"type": "response.in_progress", "response": response("in_progress", [])}
    item: dict[str, Any] = {
        "id": ITEM_ID,
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    place = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.content_part.added", **place, "part": part}
    for word in words(deltas):
        yield {
            "type": "response.output_text.delta",
            **place,
            "delta": word,
            "logprobs": [],
            "obfuscation": "x" * (15 - len(word)),
        }
    text = "".join(words(deltas))
    part = {**part, "text": text}
    item = {**item, "status": "completed", "content": [part]}
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response("completed", [item])}


def frames(deltas: int) -> list[tuple[str, bytes]]:
    """Return the type and the JSON of each event, with sequence numbers."""
    return [
        (
            event["type"],
            json.dumps({"type": event["type"], "sequence_number": number, **event}, separators=(",", ":")).encode(),
        )
        for number, event in enumerate(event_dicts(deltas))
    ]


def chat_chunks(deltas: int) -> list[bytes]:
    """Return the chunks of a stream of Chat Completions with ``deltas`` deltas, as JSON, and the end marker."""
    envelope = {"id": "chatcmpl-" + "0123456789abcdef" * 2, "object": "chat.completion.chunk", "created": 1_760_000_000}
    envelope |= {"model": "bench", "service_tier": "default", "system_fingerprint": "fp_1"}

    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**envelope, "choices": [choice], "usage": None}

    usage = {"prompt_tokens": 8, "completion_tokens": deltas, "total_tokens": 8 + deltas}
    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"content": word}) for word in words(deltas)]
    chunks += [chunk({}, "stop"), {**envelope, "choices": [], "usage": usage}]
    return [*(json.dumps(each, separators=(",", ":")).encode() for each in chunks), b"[DONE]"]


def words(deltas: int) -> list[str]:
    """Return the texts of the deltas."""
    return [_WORDS[number % len(_WORDS)] for number in range(deltas)]


def sse(deltas: int) -> bytes:
    """Return the stream as server-sent events."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in frames(deltas))


def chunked(data: bytes, size: int) -> list[bytes]:
    """Split bytes into chunks of ``size``."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def events_of(stream: bytes) -> list[bytes]:
    """Split a stream into one piece per event."""
    return [event + b"\n\n" for event in stream.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip()]


def recorded() -> list[bytes]:
    """Return recorded streams of completed responses; if there are none, generated streams of typical lengths."""
    files = sorted(_RECORDED.glob("*.sse"))
    streams = [stream for file in files if b'"response.completed"' in (stream := file.read_bytes())]
    return streams or [sse(deltas) for deltas in (10, 50, 200)]
