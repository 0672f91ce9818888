"""What can go wrong with an answer: named faults, each alone or added to others.

::

    Answer.text("Hello, world.").with_faults(Fault.split_every(1), Fault.reset(after=5))
    Fault.rotating("item_id") + Fault.empty_output()        # one fault, made of two

Faults in the events come first, then those in the frames, the bytes, the head and the connection, in both halves in the order given. A
place in a stream (``at``, ``after``) is the number of an event, counted from 0 or, if negative, from the end, or an event's type, which
means the first of that type. :data:`FAULTS` has one of each kind by name, for a test that goes through all of them.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast

import attrs

from ...exceptions import LocalProtocolError
from ...protocol.state import TERMINAL
from .steps import Close, Pause, Reset, Stall, WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .steps import Step, Wire

__all__ = ["FAULTS", "Change", "Fault", "Place", "PositionField"]

Place: TypeAlias = int | str
"""The number of an event, or its type."""
PositionField: TypeAlias = Literal[
    "sequence_number", "output_index", "item_id", "content_index", "summary_index", "command_index"
]
"""The fields that say where an event belongs."""


@attrs.frozen
class Change:
    """One thing that a fault does to an answer."""

    apply: Callable[[WireAnswer], None] = attrs.field(repr=False)
    """Changes the draft in place."""
    on_events: bool = False
    """Whether it changes the events, before they are written, or what was written."""


@attrs.frozen(repr=False)
class Fault:
    """Something that goes wrong. Made by the class methods; faults add up with ``+``."""

    name: str
    """What it is called, with its arguments: good for the id of a test."""
    changes: tuple[Change, ...] = attrs.field(eq=False)

    def __add__(self, other: Fault) -> Fault:
        """Give the fault that is both."""
        return Fault(f"{self.name} + {other.name}", self.changes + other.changes)

    def __repr__(self) -> str:
        return f"<Fault {self.name}>"

    # In the events

    @classmethod
    def missing(cls, field: PositionField) -> Self:
        """Take the field out of every event."""

        def change(events: list[Wire]) -> None:
            for event in events:
                event.pop(field, None)

        return cls._in_events(f"missing {field}", change)

    @classmethod
    def repeated(cls, field: PositionField) -> Self:
        """Give every event the value that the first one has."""

        def change(events: list[Wire]) -> None:
            having = [event for event in events if field in event]
            for event in having:
                event[field] = having[0][field]

        return cls._in_events(f"repeated {field}", change)

    @classmethod
    def rotating(cls, field: PositionField) -> Self:
        """Give every event another value: ids get a new ending, indices alternate between one too few and one too many."""

        def change(events: list[Wire]) -> None:
            for number, event in enumerate(events):
                item = event.get("item")
                if field == "item_id" and isinstance(item, dict) and "id" in item:
                    item["id"] = f"{item['id']}_{number}"
                if field in event:
                    event[field] = _rotated(event[field], number)

        return cls._in_events(f"rotating {field}", change)

    @classmethod
    def dropped(cls, at: Place) -> Self:
        """Leave an event out."""
        return cls._in_events(f"dropped {at}", lambda events: events.__delitem__(_place(events, at)))

    @classmethod
    def doubled(cls, at: Place) -> Self:
        """Send an event twice."""

        def change(events: list[Wire]) -> None:
            place = _place(events, at)
            events.insert(place, events[place])

        return cls._in_events(f"doubled {at}", change)

    @classmethod
    def swapped(cls, at: Place) -> Self:
        """Send an event after the one that should follow it."""

        def change(events: list[Wire]) -> None:
            place = _place(events, at)
            events[place : place + 2] = reversed(events[place : place + 2])

        return cls._in_events(f"swapped {at}", change)

    @classmethod
    def empty_output(cls) -> Self:
        """Say in the terminal event that there is no output: the items were only streamed."""

        def change(events: list[Wire]) -> None:
            for event in events:
                if event.get("type") in TERMINAL:
                    event["response"]["output"] = []

        return cls._in_events("empty output", change)

    @classmethod
    def late_events(cls, *events: Mapping[str, Any]) -> Self:
        """Go on after the terminal event: with a ``keepalive`` if no events are given. They are numbered on if they have no number."""
        late = events or ({"type": "keepalive"},)

        def change(listed: list[Wire]) -> None:
            for event in late:
                listed.append({"sequence_number": len(listed), **event})

        return cls._in_events("late events", change)

    @classmethod
    def no_terminal(cls) -> Self:
        """Leave out the terminal event; ``[DONE]`` comes all the same, unless :meth:`no_done` takes it away."""

        def change(events: list[Wire]) -> None:
            events[:] = [event for event in events if event.get("type") not in TERMINAL]

        return cls._in_events("no terminal", change)

    # In the frames

    @classmethod
    def no_event_lines(cls) -> Self:
        """Send frames without ``event:`` lines."""
        return cls("no event lines", (Change(lambda draft: setattr(draft, "event_lines", False), on_events=True),))

    @classmethod
    def no_done(cls) -> Self:
        """Leave out the ``[DONE]`` at the end."""
        return cls("no done", (Change(lambda draft: setattr(draft, "done", False), on_events=True),))

    @classmethod
    def bad_json(cls, at: Place = 1) -> Self:
        """Break off the data of a frame in the middle, and end the frame."""
        return cls._in_frame(f"bad JSON {at}", at, lambda frame: frame[: len(frame) // 2].rstrip(b"\n") + b"\n\n")

    @classmethod
    def phantom_ping(cls, after: Place = 0) -> Self:
        """Send a comment behind an ``id:`` line, in a block of their own: no event, though some parsers make one of it."""
        return cls._in_frame(f"phantom ping {after}", after, lambda frame: frame + b"id: 7\n: ping\n\n")

    @classmethod
    def comments(cls, text: str = "PROCESSING") -> Self:
        """Send a comment before every frame."""
        return cls._in_frames("comments", lambda frame: f": {text}\n\n".encode() + frame)

    @classmethod
    def line_ends(cls, newline: Literal["\r\n", "\r"] = "\r\n") -> Self:
        """End lines in another way than with LF."""
        return cls._in_frames(f"line ends {newline!r}", lambda frame: frame.replace(b"\n", newline.encode()))

    @classmethod
    def byte_order_mark(cls) -> Self:
        """Begin the stream with one."""
        return cls._in_frame("byte order mark", 0, lambda frame: b"\xef\xbb\xbf" + frame)

    # In the bytes

    @classmethod
    def split_at(cls, byte: int) -> Self:
        """Cut the body before this byte, wherever that is, into two pieces."""

        def change(draft: WireAnswer) -> None:
            body = _join(draft)
            draft.steps[:0] = [piece for piece in (body[:byte], body[byte:]) if piece]

        return cls(f"split at {byte}", (Change(change),))

    @classmethod
    def split_every(cls, size: int) -> Self:
        """Cut what is sent into pieces of so many bytes, however that cuts a frame."""

        def change(draft: WireAnswer) -> None:
            draft.steps = [part for step in draft.steps for part in _cut(step, size)]

        return cls(f"split every {size}", (Change(change),))

    @classmethod
    def joined(cls) -> Self:
        """Send the body in one piece."""

        def change(draft: WireAnswer) -> None:
            draft.steps[:0] = [_join(draft)]

        return cls("joined", (Change(change),))

    @classmethod
    def compressed(cls) -> Self:
        """Send the body as gzip, though nobody asked for it."""

        def change(draft: WireAnswer) -> None:
            draft.headers["content-encoding"] = "gzip"
            draft.steps[:0] = [gzip.compress(_join(draft))]

        return cls("compressed", (Change(change),))

    # In time

    @classmethod
    def delayed(cls, seconds: float, at: Place | None = None) -> Self:
        """Wait before a frame; before each of them if none is named."""

        def change(draft: WireAnswer) -> None:
            if at is not None:
                draft.steps.insert(_step(draft, at), Pause(seconds))
            else:
                draft.steps = [part for step in draft.steps for part in (Pause(seconds), step)]

        return cls(f"delayed {seconds}" + ("" if at is None else f" {at}"), (Change(change),))

    @classmethod
    def slow_head(cls, seconds: float) -> Self:
        """Wait before the head of the answer."""
        return cls(f"slow head {seconds}", (Change(lambda draft: draft.before_head.append(Pause(seconds))),))

    @classmethod
    def stall(cls, after: Place) -> Self:
        """Say nothing more after this event, and leave the connection open."""
        return cls._ending("stall", after, Stall())

    @classmethod
    def open_socket(cls) -> Self:
        """Send everything, but never end the body: the connection is left open behind ``[DONE]``."""
        return cls("open socket", (Change(lambda draft: draft.steps.append(Stall())),))

    # In the connection

    @classmethod
    def reset(cls, after: Place) -> Self:
        """Break the connection after this event."""
        return cls._ending("reset", after, Reset())

    @classmethod
    def eof(cls, after: Place, code: int = 1000, reason: str = "") -> Self:
        """Close the connection after this event, before the body is whole; over WebSocket with this code and reason."""
        return cls._ending("EOF", after, Close(code, reason))

    @classmethod
    def no_answer(cls) -> Self:
        """Close the connection instead of answering."""
        return cls("no answer", (Change(lambda draft: draft.before_head.append(Close())),))

    # In the head

    @classmethod
    def content_type(cls, content_type: str | None) -> Self:
        """Say that the body is something else, or do not say what it is."""
        return cls(
            f"content type {content_type}", (Change(lambda draft: setattr(draft, "content_type", content_type)),)
        )

    @classmethod
    def status(
        cls,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        content_type: str | None = "text/html",
    ) -> Self:
        """Let something in between answer instead, with this status, body and headers."""

        def change(draft: WireAnswer) -> None:
            draft.status, draft.content_type, draft.steps = status, content_type, [body] if body else []
            draft.headers = {name.lower(): value for name, value in (headers or {}).items()}

        return cls(f"status {status}", (Change(change),))

    # Inside

    @classmethod
    def _in_events(cls, name: str, change: Callable[[list[Wire]], object]) -> Self:
        def apply(draft: WireAnswer) -> None:
            if draft.events is not None:
                change(draft.events)

        return cls(name, (Change(apply, on_events=True),))

    @classmethod
    def _in_frames(cls, name: str, change: Callable[[bytes], bytes]) -> Self:
        def apply(draft: WireAnswer) -> None:
            draft.steps = [change(step) if isinstance(step, bytes) else step for step in draft.steps]

        return cls(name, (Change(apply),))

    @classmethod
    def _in_frame(cls, name: str, at: Place, change: Callable[[bytes], bytes]) -> Self:
        def apply(draft: WireAnswer) -> None:
            place = _step(draft, at)
            draft.steps[place] = change(cast("bytes", draft.steps[place]))

        return cls(name, (Change(apply),))

    @classmethod
    def _ending(cls, name: str, after: Place, step: Step) -> Self:
        def apply(draft: WireAnswer) -> None:
            draft.steps[_step(draft, after) + 1 :] = [step]

        return cls(f"{name} after {after}", (Change(apply),))


def _rotated(value: object, number: int) -> object:
    if isinstance(value, int):
        return value + (1 if number % 2 else -1)
    return f"{value}_{number}"


def _place(events: list[Wire], at: Place) -> int:
    """Find an event. Raises ``LocalProtocolError`` if it is not there: a fault that does nothing would prove nothing."""
    if isinstance(at, str):
        found = next((number for number, event in enumerate(events) if event.get("type") == at), None)
    else:
        found = at % len(events) if -len(events) <= at < len(events) else None
    if found is None:
        raise LocalProtocolError(f"the answer has no event {at!r} for a fault to be at")
    return found


def _step(draft: WireAnswer, at: Place) -> int:
    """Find the step that has an event, or a piece of a body that has no events."""
    pieces = [number for number, step in enumerate(draft.steps) if isinstance(step, bytes)]
    if draft.events is not None:
        place = _place(draft.events, at)
    elif isinstance(at, int) and -len(pieces) <= at < len(pieces):
        place = at % len(pieces)
    else:
        raise LocalProtocolError(f"the answer has no piece {at!r} for a fault to be at")
    if place >= len(pieces):
        raise LocalProtocolError(f"event {at!r} is not in a piece of its own any more: put faults at places first")
    return pieces[place]


def _join(draft: WireAnswer) -> bytes:
    """Take the body out of the steps. What happens to the connection stays, and comes after it."""
    body = b"".join(step for step in draft.steps if isinstance(step, bytes))
    draft.steps = [step for step in draft.steps if not isinstance(step, bytes)]
    return body


def _cut(step: Step, size: int) -> list[Step]:
    if not isinstance(step, bytes):
        return [step]
    return [step[at : at + size] for at in range(0, len(step), size)]


FAULTS: Final[Mapping[str, Fault]] = {
    fault.name: fault
    for fault in (
        Fault.missing("sequence_number"),
        Fault.missing("output_index"),
        Fault.missing("item_id"),
        Fault.missing("content_index"),
        Fault.repeated("sequence_number"),
        Fault.repeated("output_index"),
        Fault.repeated("item_id"),
        Fault.rotating("item_id"),
        Fault.rotating("content_index"),
        Fault.dropped("response.created"),
        Fault.dropped("response.output_item.added"),
        Fault.dropped("response.content_part.added"),
        Fault.doubled("response.in_progress"),
        Fault.doubled("response.output_item.added"),
        Fault.swapped("response.created"),
        Fault.empty_output(),
        Fault.late_events(),
        Fault.no_event_lines(),
        Fault.no_done(),
        Fault.bad_json(),
        Fault.phantom_ping(),
        Fault.comments(),
        Fault.line_ends("\r\n"),
        Fault.line_ends("\r"),
        Fault.byte_order_mark(),
        Fault.split_at(100),
        Fault.split_every(7),
        Fault.joined(),
        Fault.compressed(),
        Fault.delayed(0.001),
        Fault.slow_head(0.01),
        Fault.open_socket(),
        Fault.content_type(None),
        Fault.no_terminal(),
        Fault.eof(after="response.output_item.added"),
        Fault.reset(after="response.output_item.added"),
        Fault.stall(after="response.output_item.added"),
        Fault.no_answer(),
        Fault.content_type("text/html"),
        Fault.status(502, b"<title>Bad gateway</title>"),
    )
}
"""Name -> one fault of each kind, for answers such as :meth:`Answer.text` gives. The first ones do not change what the answer says:
from ``no terminal`` on, the response does not arrive whole."""
