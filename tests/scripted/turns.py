"""Turns for the tests of the scripted model, made from wire objects."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from responses_proto.codec import load
from responses_proto.models.items import Item
from responses_proto.models.request import CreateResponse
from responses_proto.scripted._request import ScriptedTurn, read_turn

if TYPE_CHECKING:
    from collections.abc import Callable

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIME: dict[str, Any] = {"type": "function", "name": "get_time"}
RUN: dict[str, Any] = {"type": "custom", "name": "run"}
DOCS: dict[str, Any] = {"type": "mcp", "server_label": "docs", "allowed_tools": ["search", "fetch"]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant(text: str, **fields: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}], **fields}


def call(name: str, call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def output(text: str, call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def turn(*items: str | dict[str, Any], **request: Any) -> ScriptedTurn:
    """Return the turn of a request with these items as context. A text is a user message."""
    context = [user(item) if isinstance(item, str) else item for item in items]
    return read_turn(load({"model": "scripted", **request}, CreateResponse), load(context, list[Item]))


def counted() -> Callable[[str], str]:
    """Return a function that makes counted ids: ``call_1``, ``fc_2``, ..."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"
