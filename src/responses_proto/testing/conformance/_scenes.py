"""The answers that :func:`~.clients.check_client` gives to a client, as data: faults and dialects, with the results expected of it."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

import attrs

from ...models.events import OutputTextDelta
from ...models.items import FunctionCall
from ..fake.answers import Answer
from ..fake.dialects import DIALECTS
from ..fake.faults import Fault

_Events: TypeAlias = list[dict[str, Any]]

CLEAN: Final = "clean"
"""The name of the scene without faults, which every client must pass."""

COMPLETED: Final = frozenset({"completed"})
FAILED: Final = frozenset({"failed", "error"})
BROKEN: Final = frozenset({"truncated", "error"})
NEVER_COMPLETED: Final = FAILED | BROKEN

_TEXT: Final = "Grüße, 🌍! One two three."
_CALLS: Final = (("get_weather", '{"city":"Paris"}'), ("get_weather", '{"city":"Rome"}'))


@attrs.frozen(kw_only=True)
class Scene:
    """One answer, and the result that a client must report for it."""

    name: str
    answer: Answer
    statuses: frozenset[str] = COMPLETED
    """The statuses that the client may report."""
    text: str | None = None
    """The text that the client must report; ``None`` if any text is accepted."""
    partial: str | None = None
    """The text before the failure, which the client should report."""
    calls: tuple[tuple[str, str], ...] = ()
    """The function calls that the client must report, as (name, arguments)."""
    may_repeat: bool = False
    """Whether the client may send the request again, under the same ``Idempotency-Key``."""
    may_fail: bool = False
    """Whether an error is accepted instead of the text, because the server did not answer as requested."""


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
    """Return the events with more events inserted at index ``at``, renumbered."""
    events = [*events[:at], *more, *events[at:]]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _cut(count: int = 3) -> tuple[_Events, str]:
    """Return the events up to the first ``count`` deltas, and their text."""
    events = _text()
    deltas = [number for number, event in enumerate(events) if event["type"] == OutputTextDelta.type]
    kept = events[: deltas[count - 1] + 1]
    return kept, _streamed(kept)


def _streamed(events: _Events) -> str:
    return "".join(event["delta"] for event in events if event["type"] == OutputTextDelta.type)


def _ended(status: str, **fields: Any) -> _Events:
    """Return a stream that ends with this status in the middle of its text."""
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


def _dialect_scenes() -> list[Scene]:
    scenes: list[Scene] = []
    for name, dialect in DIALECTS.items():
        spoken = Fault(name, dialect.changes)
        cut, _ = _cut()
        partial = _streamed(dialect.rewrite(_cut()[0]))
        text = Answer.events(_text()).with_faults(spoken)
        calls = Answer.events(_calls(1)).with_faults(spoken)
        without_end = Answer.events(cut).with_faults(spoken, Fault.no_done())
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
        Scene(name=CLEAN, answer=clean, text=_TEXT),
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
