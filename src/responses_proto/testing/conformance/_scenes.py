"""The answers that :func:`~.clients.check_client` gives to a client, as data: faults and dialects, with what a client must make of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ...models.items import FunctionCall
from ..fake.answers import Answer
from ..fake.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DIALECTS", "Scene", "all_scenes"]

_Events: TypeAlias = list[dict[str, Any]]

COMPLETED: Final = frozenset({"completed"})
FAILED: Final = frozenset({"failed", "error"})
BROKEN: Final = frozenset({"truncated", "error"})
NEVER_COMPLETED: Final = FAILED | BROKEN

_TEXT: Final = "Grüße, 🌍! One two three."
_CALLS: Final = (("get_weather", '{"city":"Paris"}'), ("get_weather", '{"city":"Rome"}'))


@attrs.frozen(kw_only=True)
class Scene:
    """One answer, and what a client must make of it."""

    name: str
    answer: Answer
    statuses: frozenset[str] = COMPLETED
    """What the client may report as the end."""
    text: str | None = None
    """The text that it must report; ``None`` if any will do."""
    partial: str | None = None
    """The text that came before the failure, which it should report."""
    calls: tuple[tuple[str, str], ...] = ()
    """The function calls that it must report, as (name, arguments)."""
    may_repeat: bool = False
    """Whether the client may send the request again, under the same ``Idempotency-Key``."""
    may_fail: bool = False
    """Whether an error is as right as the text, because the answer is not what was asked for."""


def _events(answer: Answer) -> _Events:
    copied: _Events = json.loads(json.dumps(answer.wire_events))
    return copied


def _text() -> _Events:
    return _events(Answer.text(_TEXT))


def _calls(count: int) -> _Events:
    items = [
        FunctionCall(id=f"fc_{number}", call_id=f"call_{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(_CALLS[:count])
    ]
    return _events(Answer.items(*items))


def _inserted(events: _Events, *more: dict[str, Any], at: int) -> _Events:
    """Return the events with others between them, numbered anew."""
    events = [*events[:at], *more, *events[at:]]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _cut(count: int = 3) -> tuple[_Events, str]:
    """Return the events up to some deltas, and their text."""
    events = _text()
    deltas = [number for number, event in enumerate(events) if str(event["type"]).endswith("text.delta")]
    kept = events[: deltas[count - 1] + 1]
    return kept, "".join(events[number]["delta"] for number in deltas[:count])


def _ended(status: str, **fields: Any) -> _Events:
    """Return a stream that ends by this status in the middle of its text."""
    events, text = _cut()
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item: dict[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "incomplete",
        "content": [part],
    }
    at: dict[str, Any] = {"item_id": "msg_1", "output_index": 0}
    response: dict[str, Any] = {**events[0]["response"], "status": status, "output": [item], **fields}
    closing: tuple[dict[str, Any], ...] = (
        {"type": "response.output_text.done", **at, "content_index": 0, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "content_index": 0, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{status}", "response": response},
    )
    return _inserted(events, *closing, at=len(events))


def _with_error(error: dict[str, Any]) -> Answer:
    events, _ = _cut()
    return Answer.events([*events, {"sequence_number": len(events), **error}])


# ---- dialects: a clean stream, as one server or another would send it


def _each(change: Callable[[int, dict[str, Any]], dict[str, Any] | None]) -> Callable[[_Events], _Events]:
    return lambda events: [new for number, event in enumerate(events) if (new := change(number, event)) is not None]


def _same(events: _Events) -> _Events:
    return events


def _without(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in names}


def _huggingface(_number: int, event: dict[str, Any]) -> dict[str, Any]:
    event = _without(event, "logprobs")
    return {**event, "output_index": 0} if event["type"] == "response.output_item.added" else event


def _litellm(number: int, event: dict[str, Any]) -> dict[str, Any]:
    event = {**_without(event, "sequence_number"), "model": "m"}
    if "response" in event:
        event["response"] = {**event["response"], "id": f"resp_{number}"}
    return event


def _llamastack(_number: int, event: dict[str, Any]) -> dict[str, Any] | None:
    if event["type"] in ("response.output_item.added", "response.output_item.done") or "content_part" in event["type"]:
        return None
    if event["type"] == "response.completed":
        output = [{**item, "id": f"final_{index}"} for index, item in enumerate(event["response"]["output"])]
        return {**event, "response": {**event["response"], "output": output}}
    return event


def _open_responses_server(_number: int, event: dict[str, Any]) -> dict[str, Any]:
    event = _without(event, "content_index")
    return {**_without(event, "item_id"), "id": event["item_id"]} if "item_id" in event else event


def _vllm(number: int, event: dict[str, Any]) -> dict[str, Any]:
    event = {**event, "item_id": ""} if "item_id" in event else event
    return {**event, "content_index": -1 if number % 2 else 1} if "content_index" in event else event


def _copilot(number: int, event: dict[str, Any]) -> dict[str, Any]:
    for name in ("item", "response"):
        if isinstance(event.get(name), dict):
            event = {**event, name: {**event[name], "id": f"{name}_{number}"}}
    return {**event, "item_id": f"item_{number}"} if "item_id" in event else event


def _azure(_number: int, event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "content_filters": [{"blocked": False}]} if "response" in event or "item" in event else event


def _newest(events: _Events) -> _Events:
    limits: dict[str, Any] = {"type": "response.rate_limits.updated", "rate_limits": []}
    padded = [{**event, "obfuscation": "x" * 7} if "delta" in event else event for event in events]
    return [padded[0], {"type": "keepalive"}, limits, *padded[1:], {"type": "keepalive"}]


DIALECTS: Final[Mapping[str, tuple[Callable[[_Events], _Events], tuple[Fault, ...]]]] = {
    "openai": (_newest, ()),
    "azure": (_each(_azure), ()),
    "huggingface": (_each(_huggingface), (Fault.no_event_lines(), Fault.no_done())),
    "litellm": (_each(_litellm), ()),
    "llama-stack": (_each(_llamastack), (Fault.no_done(),)),
    "open-responses-server": (_each(_open_responses_server), ()),
    "llama.cpp": (_each(lambda _, event: _without(event, "output_index", "content_index", "sequence_number")), ()),
    "vllm": (_each(_vllm), (Fault.empty_output(),)),
    "copilot": (_each(_copilot), ()),
    "codex": (_same, (Fault.empty_output(), Fault.no_done())),
    "openrouter": (_same, (Fault.no_event_lines(), Fault.comments("OPENROUTER PROCESSING"))),
    "xai": (_same, (Fault.comments("keep-alive"),)),
}
"""Name of a server -> how it changes a clean stream: in the events, and by faults."""


def _dialect_scenes() -> list[Scene]:
    scenes: list[Scene] = []
    for name, (change, faults) in DIALECTS.items():
        cut, partial = _cut()
        text = Answer.events(change(_text())).with_faults(*faults)
        calls = Answer.events(change(_calls(1))).with_faults(*faults)
        without_end = Answer.events(change(cut)).with_faults(*faults, Fault.no_done())
        scenes += [
            Scene(name=f"{name}: text", answer=text, text=_TEXT),
            Scene(name=f"{name}: call", answer=calls, calls=_CALLS[:1]),
            Scene(name=f"{name}: broken off", answer=without_end, statuses=BROKEN, partial=partial),
        ]
    return scenes


def _fault_scenes() -> list[Scene]:
    clean = Answer.events(_text())
    cut, partial = _cut()
    harmless = {
        "split inside characters": Fault.split_every(3),
        "in one piece": Fault.joined(),
        "comments": Fault.comments(),
        "CRLF": Fault.line_ends("\r\n"),
        "CR": Fault.line_ends("\r"),
        "byte-order mark": Fault.byte_order_mark(),
        "comment after id": Fault.phantom_ping(),
        "no [DONE]": Fault.no_done(),
        "socket left open": Fault.open_socket(),
        "output only streamed": Fault.empty_output(),
        "keepalive after the end": Fault.late_events(),
        "another content type": Fault.content_type("application/octet-stream"),
    }
    thing = {"type": "acme:thing", "id": "thing_1", "status": "completed"}
    strange = (
        {"type": "acme:ping"},
        {"type": "response.brand_new", "value": 1},
    )
    things = (
        {"type": "response.output_item.added", "output_index": 1, "item": thing},
        {"type": "response.output_item.done", "output_index": 1, "item": thing},
    )
    with_thing = _inserted(_text(), *things, at=len(_text()) - 1)
    with_thing[-1]["response"]["output"].append(thing)
    error = {"type": "server_error", "code": "server_error", "message": "The model broke.", "param": None}
    page = Answer.body(b"<!DOCTYPE html><title>Sign in</title>")
    return [
        Scene(name="clean", answer=clean, text=_TEXT),
        *(Scene(name=name, answer=clean.with_faults(fault), text=_TEXT) for name, fault in harmless.items()),
        Scene(name="unknown events", answer=Answer.events(_inserted(_text(), *strange, at=2)), text=_TEXT),
        Scene(name="unknown item", answer=Answer.events(with_thing), text=_TEXT),
        Scene(name="two calls", answer=Answer.events(_calls(2)), calls=_CALLS),
        Scene(
            name="calls only streamed", answer=Answer.events(_calls(2)).with_faults(Fault.empty_output()), calls=_CALLS
        ),
        Scene(
            name="incomplete",
            answer=Answer.events(_ended("incomplete", incomplete_details={"reason": "max_output_tokens"})),
            statuses=frozenset({"incomplete"}),
            partial=partial,
        ),
        Scene(
            name="failed",
            answer=Answer.events(_ended("failed", error={"code": "server_error", "message": "The model broke."})),
            statuses=FAILED,
            partial=partial,
        ),
        Scene(
            name="error event, flat",
            answer=_with_error({**error, "type": "error"}),
            statuses=FAILED,
            partial=partial,
        ),
        Scene(
            name="error event, nested",
            answer=_with_error({"type": "error", "error": error}),
            statuses=FAILED,
            partial=partial,
        ),
        Scene(name="error without type", answer=_with_error({"error": error}), statuses=FAILED, partial=partial),
        Scene(
            name="no terminal event",
            answer=clean.with_faults(Fault.no_terminal()),
            statuses=BROKEN,
            partial=_TEXT,
        ),
        Scene(
            name="closed in the middle",
            answer=Answer.events(cut).with_faults(Fault.eof(after=-1)),
            statuses=BROKEN,
            partial=partial,
        ),
        Scene(
            name="reset in the middle",
            answer=Answer.events(cut).with_faults(Fault.reset(after=-1)),
            statuses=BROKEN,
            partial=partial,
        ),
        Scene(
            name="frame that is not JSON",
            answer=Answer.events(cut).with_faults(Fault.bad_json(-1), Fault.no_done()),
            statuses=NEVER_COMPLETED,
        ),
        Scene(name="page for a stream", answer=page, statuses=NEVER_COMPLETED),
        Scene(
            name="JSON error for a stream",
            answer=Answer.json({"error": error}),
            statuses=NEVER_COMPLETED,
            may_repeat=True,
        ),
        Scene(
            name="JSON response for a stream",
            answer=Answer.json(_text()[-1]["response"]),
            text=_TEXT,
            may_fail=True,
        ),
        Scene(name="HTTP 400", answer=Answer.error(400), statuses=FAILED),
        Scene(name="HTTP 500", answer=Answer.error(500), statuses=FAILED, may_repeat=True),
    ]


def all_scenes() -> dict[str, Scene]:
    """Return all scenes by name."""
    return {scene.name: scene for scene in (*_fault_scenes(), *_dialect_scenes())}
