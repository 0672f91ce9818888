"""Chunks of Chat Completions, and what the decoder makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.chat.said import Decoded, decode

from responses_proto.chat.profiles import OPENAI
from responses_proto.models import CreateResponse, FunctionTool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from responses_proto.chat import ChatProfile
    from responses_proto.models import Item

TEXT = CreateResponse(model="m", input="x")
WEATHER = FunctionTool(name="get_weather", parameters={"type": "object"})
TOOLS = CreateResponse(model="m", input="x", tools=[WEATHER, FunctionTool(name="get"), FunctionTool(name="find")])


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def call(**fields: Any) -> dict[str, Any]:
    """Return a chunk with one piece of a call; ``name`` and ``arguments`` are those of the function."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return delta(tool_calls=[{**fields, "function": function}])


def chunks(
    *given: Mapping[str, Any],
    request: CreateResponse = TEXT,
    finish: str | None = "stop",
    context: Sequence[Item] = (),
    profile: ChatProfile = OPENAI,
    **options: Any,
) -> Decoded:
    """Decode these chunks, and one with the reason for which they end."""
    all_chunks = [*given, *([delta(finish)] if finish else [])]
    return decode(
        lambda decoder: [event for chunk in all_chunks for event in decoder.receive_chunk(chunk)],
        request,
        context=context,
        profile=profile,
        **options,
    )


def body(data: bytes, request: CreateResponse = TEXT, **options: Any) -> Decoded:
    return decode(lambda decoder: decoder.receive_data(data), request, **options)


def sse(*given: Mapping[str, Any], done: bool = True) -> bytes:
    frames = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in given]
    return b"".join([*frames, b"data: [DONE]\n\n" if done else b""])


def calls_of(decoded: Decoded) -> list[tuple[str, str]]:
    assert decoded.response.pending_calls == decoded.decoder.calls
    return [(one.name, one.arguments) for one in decoded.response.function_calls]
