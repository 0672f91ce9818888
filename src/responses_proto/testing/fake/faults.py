"""Named faults that break an answer. They can be combined.

::

    Answer.text("Hello, world.").with_faults(Fault.split_every(1), Fault.reset(after=5))
    Fault.rotating("item_id") + Fault.empty_output()        # one fault, combined of two
    Fault.random(7)                                         # random faults, always the same for this seed
    FakeServer(script, faults=[Fault.comments()])           # for every streamed answer

Faults are applied in groups: first those in the events, then in the frames and the connection, the bytes, the time, and the head; within
a group in the given order. A place in a stream (``at``, ``after``) is the number of an event, counted from 0, or from the end if
negative; or the type of an event, for the first event of that type. If the answer has no such place, sending it raises ``UsageError``.
:data:`FAULTS` has one fault of each kind by name, for tests that go through all of them; ``docs/faults.md`` lists them.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import operator
import random
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast

import attrs

from ...exceptions import UsageError
from ...protocol.state import TERMINAL
from .steps import Change, Close, Pause, Reset, Stage, Stall, WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .steps import Step, Wire

__all__ = ["FAULTS", "Fault", "Place", "PositionField", "find_fault"]

Place: TypeAlias = int | str
"""The number of an event, or its type."""
PositionField: TypeAlias = Literal[
    "sequence_number", "output_index", "item_id", "content_index", "summary_index", "command_index"
]
"""The fields that locate an event in its response."""


@attrs.frozen(repr=False)
class Fault:
    """Something that goes wrong in an answer. Create it with the class methods; combine faults with ``+``."""

    name: str
    """The kind and the arguments of the fault, usable as the id of a test."""
    changes: tuple[Change, ...] = attrs.field(eq=False)
    fatal: bool = False
    """Whether the client cannot know the whole response, and so must not report success."""

    def __add__(self, other: Fault) -> Fault:
        """Return the combination of both faults."""
        return Fault(f"{self.name} + {other.name}", self.changes + other.changes, self.fatal or other.fatal)

    def __repr__(self) -> str:
        return f"<Fault {self.name}>"

    @classmethod
    def random(cls, seed: int, *, most: int = 3, fatal: bool = False) -> Fault:
        """Return a random combination of up to ``most`` compatible faults from :data:`FAULTS`, always the same for a seed.

        ``fatal``: whether to include faults after which the client cannot know the whole response.
        """
        chance = random.Random(seed)  # noqa: S311 - no secrets
        names = [name for name, fault in FAULTS.items() if fatal or not fault.fatal]
        while True:
            chosen = functools.reduce(
                operator.add, (FAULTS[name] for name in chance.sample(names, chance.randint(1, most)))
            )
            events: list[Wire] = [{"type": name, "response": {}} for name in _SAMPLE]
            sample = WireAnswer(status=200, headers={}, content_type=None, events=events)
            with contextlib.suppress(UsageError):  # a fault removed the place of another fault
                sample.apply(chosen.changes)
                return chosen

    # In the events

    @classmethod
    def missing(cls, field: PositionField) -> Self:
        """Remove the field from every event."""

        def change(events: list[Wire]) -> None:
            for event in events:
                event.pop(field, None)

        return cls._in_events(f"missing {field}", change)

    @classmethod
    def repeated(cls, field: PositionField) -> Self:
        """Set the field of every event to the value in the first one."""

        def change(events: list[Wire]) -> None:
            with_field = [event for event in events if field in event]
            for event in with_field:
                event[field] = with_field[0][field]

        return cls._in_events(f"repeated {field}", change)

    @classmethod
    def rotating(cls, field: PositionField) -> Self:
        """Change the field in every event: ids get a suffix, indices are alternately one too low and one too high."""

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
        """Leave out an event."""
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
        """Swap an event with the one after it."""

        def change(events: list[Wire]) -> None:
            place = _place(events, at)
            events[place : place + 2] = reversed(events[place : place + 2])

        return cls._in_events(f"swapped {at}", change)

    @classmethod
    def empty_output(cls) -> Self:
        """Empty ``output`` in the terminal event, so that the items are only in the stream."""

        def change(events: list[Wire]) -> None:
            for event in events:
                if event.get("type") in TERMINAL:
                    event["response"]["output"] = []

        return cls._in_events("empty output", change)

    @classmethod
    def late_events(cls, *events: Mapping[str, Any]) -> Self:
        """Send these events after the terminal one, by default a ``keepalive``. Events without a sequence number get one."""
        late = events or ({"type": "keepalive"},)

        def change(sent: list[Wire]) -> None:
            for event in late:
                sent.append({"sequence_number": len(sent), **event})

        return cls._in_events("late events", change)

    @classmethod
    def no_terminal(cls) -> Self:
        """Leave out the terminal event. ``[DONE]`` is still sent, unless :meth:`no_done` removes it."""

        def change(events: list[Wire]) -> None:
            events[:] = [event for event in events if event.get("type") not in TERMINAL]

        return cls._in_events("no terminal", change, fatal=True)

    # In the frames

    @classmethod
    def no_event_lines(cls) -> Self:
        """Send frames without ``event:`` lines."""
        return cls("no event lines", (Change(lambda answer: setattr(answer, "event_lines", False), Stage.EVENTS),))

    @classmethod
    def no_done(cls) -> Self:
        """Leave out ``[DONE]`` at the end."""
        return cls("no done", (Change(lambda answer: setattr(answer, "done_marker", False), Stage.EVENTS),))

    @classmethod
    def bad_json(cls, at: Place = 1) -> Self:
        """Send a frame with only the first half of its data."""
        return cls._in_frame(f"bad JSON {at}", at, lambda frame: frame[: len(frame) // 2].rstrip(b"\n") + b"\n\n")

    @classmethod
    def phantom_ping(cls, after: Place = 0) -> Self:
        """Send a block with only an ``id:`` line and a comment. It is not an event, but some parsers report one."""
        return cls._in_frame(f"phantom ping {after}", after, lambda frame: frame + b"id: 7\n: ping\n\n")

    @classmethod
    def comments(cls, text: str = "PROCESSING") -> Self:
        """Send a comment before every frame."""
        return cls._in_frames("comments", lambda frame: f": {text}\n\n".encode() + frame)

    @classmethod
    def line_ends(cls, newline: Literal["\r\n", "\r"] = "\r\n") -> Self:
        """End lines with CRLF or CR instead of LF."""
        return cls._in_frames(f"line ends {newline!r}", lambda frame: frame.replace(b"\n", newline.encode()))

    @classmethod
    def byte_order_mark(cls) -> Self:
        """Begin the stream with a byte-order mark."""
        return cls._in_frame("byte order mark", 0, lambda frame: b"\xef\xbb\xbf" + frame)

    # In the bytes

    @classmethod
    def split_at(cls, byte: int) -> Self:
        """Send the body in two pieces, cut before this byte."""

        def change(answer: WireAnswer) -> None:
            body = _remove_body(answer)
            answer.steps[:0] = [piece for piece in (body[:byte], body[byte:]) if piece]

        return cls(f"split at {byte}", (Change(change, Stage.BYTES),))

    @classmethod
    def split_every(cls, size: int) -> Self:
        """Send the body in pieces of ``size`` bytes at most, cut inside frames."""

        def change(answer: WireAnswer) -> None:
            answer.steps = [part for step in answer.steps for part in _cut(step, size)]

        return cls(f"split every {size}", (Change(change, Stage.BYTES),))

    @classmethod
    def joined(cls) -> Self:
        """Send the body in one piece."""

        def change(answer: WireAnswer) -> None:
            answer.steps[:0] = [_remove_body(answer)]

        return cls("joined", (Change(change, Stage.BYTES),))

    @classmethod
    def compressed(cls) -> Self:
        """Compress the body with gzip, even if the client did not ask for it."""

        def change(answer: WireAnswer) -> None:
            answer.headers["content-encoding"] = "gzip"
            answer.steps[:0] = [gzip.compress(_remove_body(answer))]

        return cls("compressed", (Change(change, Stage.BYTES),))

    # In time

    @classmethod
    def delayed(cls, seconds: float, at: Place | None = None) -> Self:
        """Wait before the frame ``at``; before each piece of the body if ``at`` is ``None``."""

        def change(answer: WireAnswer) -> None:
            if at is not None:
                answer.steps.insert(_step(answer, at), Pause(seconds))
            else:
                answer.steps = [part for step in answer.steps for part in (Pause(seconds), step)]

        stage = Stage.TIME if at is None else Stage.FRAMES
        return cls(f"delayed {seconds}" + ("" if at is None else f" {at}"), (Change(change, stage),))

    @classmethod
    def slow_head(cls, seconds: float) -> Self:
        """Wait before the head of the answer."""
        return cls(
            f"slow head {seconds}", (Change(lambda answer: answer.before_head.append(Pause(seconds)), Stage.HEAD),)
        )

    @classmethod
    def stall(cls, after: Place) -> Self:
        """Send nothing more after this event, and leave the connection open."""
        return cls._ending("stall", after, Stall())

    @classmethod
    def open_socket(cls) -> Self:
        """Send everything, but never end the body: the connection stays open after ``[DONE]``."""
        return cls("open socket", (Change(lambda answer: answer.steps.append(Stall()), Stage.TIME),))

    # In the connection

    @classmethod
    def reset(cls, after: Place) -> Self:
        """Reset the connection after this event."""
        return cls._ending("reset", after, Reset())

    @classmethod
    def eof(cls, after: Place, code: int = 1000, reason: str = "") -> Self:
        """Close the connection after this event, before the end of the body. ``code`` and ``reason`` are used over WebSocket."""
        return cls._ending("EOF", after, Close(code, reason))

    @classmethod
    def no_answer(cls) -> Self:
        """Close the connection instead of answering."""
        return cls("no answer", (Change(lambda answer: answer.before_head.append(Close()), Stage.HEAD),), fatal=True)

    # In the head

    @classmethod
    def content_type(cls, content_type: str | None) -> Self:
        """Replace the content type, or leave it out if it is ``None``."""
        # A stream that is declared as a web page cannot be distinguished from one. With a missing or generic type it can.
        changes = (Change(lambda answer: setattr(answer, "content_type", content_type), Stage.HEAD),)
        return cls(f"content type {content_type}", changes)

    @classmethod
    def status(
        cls,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        content_type: str | None = "text/html",
    ) -> Self:
        """Replace the answer with this status, body and headers, as a proxy would."""

        def change(answer: WireAnswer) -> None:
            answer.status, answer.content_type, answer.steps = status, content_type, [body] if body else []
            answer.headers = {name.lower(): value for name, value in (headers or {}).items()}

        return cls(f"status {status}", (Change(change, Stage.HEAD),), fatal=True)

    # Kinds of changes

    @classmethod
    def _in_events(cls, name: str, change: Callable[[list[Wire]], object], *, fatal: bool = False) -> Self:
        def apply(answer: WireAnswer) -> None:
            if answer.events is not None:
                change(answer.events)

        return cls(name, (Change(apply, Stage.EVENTS),), fatal)

    @classmethod
    def _in_frames(cls, name: str, change: Callable[[bytes], bytes]) -> Self:
        def apply(answer: WireAnswer) -> None:
            answer.steps = [change(step) if isinstance(step, bytes) else step for step in answer.steps]

        return cls(name, (Change(apply, Stage.FRAMES),))

    @classmethod
    def _in_frame(cls, name: str, at: Place, change: Callable[[bytes], bytes]) -> Self:
        def apply(answer: WireAnswer) -> None:
            place = _step(answer, at)
            answer.steps[place] = change(cast("bytes", answer.steps[place]))

        return cls(name, (Change(apply, Stage.FRAMES),))

    @classmethod
    def _ending(cls, name: str, after: Place, step: Step) -> Self:
        def apply(answer: WireAnswer) -> None:
            answer.steps[_step(answer, after) + 1 :] = [step]

        return cls(f"{name} after {after}", (Change(apply, Stage.FRAMES),), fatal=True)


def find_fault(fault: Fault | str) -> Fault:
    """Return the fault with this name in :data:`FAULTS`. Raises ``UsageError`` if there is none."""
    if isinstance(fault, Fault):
        return fault
    if fault not in FAULTS:
        raise UsageError(f"there is no fault {fault!r}: expected one of {', '.join(FAULTS)}")
    return FAULTS[fault]


def _rotated(value: object, number: int) -> object:
    if isinstance(value, int):
        return value + (1 if number % 2 else -1)
    return f"{value}_{number}"


def _place(events: list[Wire], at: Place) -> int:
    """Return the index of an event. Raise ``UsageError`` if there is none, because a test of a fault that does nothing proves nothing."""
    if isinstance(at, str):
        found = next((number for number, event in enumerate(events) if event.get("type") == at), None)
    else:
        found = at % len(events) if -len(events) <= at < len(events) else None
    if found is None:
        raise UsageError(f"the answer has no event {at!r} for the fault")
    return found


def _step(answer: WireAnswer, at: Place) -> int:
    """Return the index of the step with an event, or with a piece of a body that has no events."""
    pieces = [number for number, step in enumerate(answer.steps) if isinstance(step, bytes)]
    if answer.events is not None:
        place = _place(answer.events, at)
    elif isinstance(at, int) and -len(pieces) <= at < len(pieces):
        place = at % len(pieces)
    else:
        raise UsageError(f"the answer has no piece {at!r} for the fault")
    if place >= len(pieces):
        raise UsageError(f"event {at!r} is no longer a separate piece: list faults with a place first")
    return pieces[place]


def _remove_body(answer: WireAnswer) -> bytes:
    """Remove the body from the steps, and return it."""
    body = b"".join(step for step in answer.steps if isinstance(step, bytes))
    answer.steps = [step for step in answer.steps if not isinstance(step, bytes)]
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
"""Name -> one fault of each kind, for answers such as those of :meth:`Answer.text`. After a ``fatal`` fault, the client cannot know the
whole response."""

_SAMPLE: Final = tuple(
    f"response.{name}"
    for name in (
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done", "completed",
    )
)  # fmt: skip
"""The events of a short answer, used to try whether faults can be combined."""
