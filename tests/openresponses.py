"""Check what a server sends against the Open Responses schema: every body, and every event of a stream.

::

    judge = Judge(app)      # to be used instead of the application
    ...
    assert judge.found == []
    check(value)            # or look at one body or event, as JSON

The schema is in ``../shared``; without it everything passes, and the tests of this module say so by being skipped.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs
import jsonschema
from jsonschema.exceptions import best_match
from tests.support import shared

from responses_proto.models.events import EVENT_TYPES
from responses_proto.models.items import ITEM_TYPES
from responses_proto.protocol import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA: Final = shared("spec", "openresponses-2026-04-24.openapi.json")

_Message: TypeAlias = MutableMapping[str, Any]

_BODIES: Final[Mapping[str, str]] = {
    "response": "ResponseResource",
    "response.compaction": "CompactResource",
    # What Open Responses does not have; OpenAI's specification does.
    "conversation": "",
    "conversation.deleted": "",
    "list": "",
    "model": "",
    "response.deleted": "",
    "response.input_tokens": "",
}
"""What ``object`` says -> name of the schema."""

_ITEMS: Final = {"message", "function_call", "function_call_output", "reasoning", "compaction"}
_LISTS: Final = {
    "output": _ITEMS,
    "data": _ITEMS,
    "tools": {"function"},
    "annotations": {"url_citation"},
    "content": {
        "input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal", "input_image", "input_file",
        "input_video",
    },
}  # fmt: skip
"""Key -> the types that the schema knows in that list. Servers may have others, which it would refuse."""


@functools.cache
def _schema() -> dict[str, Any] | None:
    return cast("dict[str, Any]", json.loads(SCHEMA.read_text())) if SCHEMA.exists() else None


@functools.cache
def _events() -> dict[str, str]:
    """Return the events in the schema: type -> schema name."""
    document = _schema() or {}
    stream: Any = document["paths"]["/responses"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    names = [str(one["$ref"]).rpartition("/")[2] for one in stream["schema"]["oneOf"]]
    return {document["components"]["schemas"][name]["properties"]["type"]["enum"][0]: name for name in names}


@functools.cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**(_schema() or {}), "$ref": f"#/components/schemas/{name}"})


def _known(value: Any, key: str = "") -> Any:
    """Return a value without the fields that the schema lacks and servers may still send."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        known = {name: _known(inner, name) for name, inner in members.items()}
        if key == "format" and "schema" in known:
            known["schema"] = None  # the only value that the schema has for the schema of a JSON format
        return known
    if isinstance(value, list):
        types = _LISTS.get(key)
        elements = cast("Any", value)
        return [_known(one) for one in elements if types is None or not isinstance(one, dict) or _type(one) in types]
    return value


def _faults(name: str, value: Any) -> Iterator[str]:
    error = best_match(_validator(name).iter_errors(_known(value)))
    if error is not None:
        yield f"{name} {error.json_path}: {error.message[:300]}"


def _type(value: Any) -> str:
    return str(value.get("type"))


def _schema_of(value: Mapping[str, Any]) -> str | None:
    """Return the schema name of a body or an event: empty if it has none, ``None`` if the value is unknown."""
    type_ = _type(value)
    if "object" in value:
        return _BODIES.get(value["object"])
    if type_ == "error":
        return "WebSocketErrorEvent" if "status" in value else "ErrorStreamingEvent"
    if type_ in _ITEMS:
        return "ItemField"
    if "item" in value and _type(value["item"]) not in _ITEMS:
        return ""  # the event carries what the schema does not have
    known = type_ in EVENT_TYPES or type_ in ITEM_TYPES or ":" in type_
    return _events().get(type_, "" if known else None)


def faults(value: Any) -> list[str]:
    """Return what is wrong with a body or an event. The list is empty without the schema."""
    if _schema() is None:
        return []
    if not isinstance(value, dict):
        return [f"no object: {value!r}"]
    members = cast("dict[str, Any]", value)
    if isinstance(members.get("error"), dict) and not members.keys() & {"object", "type"}:
        return [*_faults("ErrorPayload", members["error"])]
    name = _schema_of(members)
    if name is None:
        return [f"neither a body nor an event: {str(members)[:200]}"]
    inner = [fault for item in _known(members.get("data", []), "data") for fault in _faults("ItemField", item)]
    return [*(_faults(name, members) if name else ()), *inner]


def check(value: Any) -> None:
    """Fail if a body or an event does not match the schema."""
    assert faults(value) == []


def stream_faults(body: bytes) -> list[str]:
    """Return what is wrong with the events of a stream, complete or not. Their ``event:`` lines are checked even without the schema."""
    found: list[str] = []
    for frame in SSEDecoder().receive(body):
        if frame.data != b"[DONE]":
            event = json.loads(frame.data)
            found += [] if frame.event.decode() == event["type"] else [f"{frame.event!r} is a {event['type']}"]
            found += faults(event)
    return found


@attrs.define
class Judge:
    """An ASGI application that wraps another and checks all of its answers."""

    app: Callable[..., Awaitable[None]]
    found: list[str] = attrs.field(factory=list[str])
    """What is wrong with the answers so far."""
    answers: int = 0

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
    ) -> None:
        """Serve a request, and check the answer."""
        pieces: list[bytes] = []
        headers: dict[bytes, bytes] = {}

        async def noted(message: _Message) -> None:
            if message["type"] == "http.response.start":
                headers.update(message["headers"])
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))
            elif message["type"] == "websocket.send":
                self.answers += 1
                self.found += faults(json.loads(message["text"]))
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            body = b"".join(pieces)
            if body:
                self.answers += 1
                self.found += self._look(headers.get(b"content-type", b""), body)

    @staticmethod
    def _look(kind: bytes, body: bytes) -> list[str]:
        return stream_faults(body) if kind.startswith(b"text/event-stream") else faults(json.loads(body))
