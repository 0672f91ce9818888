"""The steps in which the fake server sends an answer, and the form of an answer that faults change."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from ...codec import default_converter
from ...protocol.emitter import DONE
from ...protocol.sse import encode_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["JSON", "Change", "Close", "Pause", "Reset", "Stage", "Stall", "Step", "Wire", "WireAnswer"]

JSON: Final = "application/json"

Wire: TypeAlias = dict[str, Any]
"""An event of the wire format, decoded from JSON."""


@attrs.frozen
class Pause:
    """A pause: nothing is sent for this number of seconds."""

    seconds: float


@attrs.frozen
class Stall:
    """Nothing more is sent, and the connection stays open until the client closes it."""


@attrs.frozen
class Reset:
    """The connection is reset: the client sees an error instead of an end."""


@attrs.frozen
class Close:
    """The connection is closed properly, but before the end of the body."""

    code: int = 1000
    """The close code, over WebSocket."""
    reason: str = ""


Step: TypeAlias = bytes | Pause | Stall | Reset | Close
"""A piece of the body, or something that happens to the connection."""


class Stage(enum.IntEnum):
    """The part of an answer that a change applies to. Changes are made in this order."""

    EVENTS = 0
    DIALECT = 1
    """The deviations of a dialect in events and error bodies."""
    FRAMES = 2
    """The steps, while each of them is one frame, and the steps that follow a certain event."""
    BYTES = 3
    TIME = 4
    HEAD = 5


@attrs.frozen
class Change:
    """One change to an answer."""

    apply: Callable[[WireAnswer], None] = attrs.field(repr=False)
    """Changes the answer in place."""
    stage: Stage


@attrs.define
class WireAnswer:
    """An answer in the form that faults change: first events, then steps. Created by ``Answer.to_wire``."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    content_type: str | None
    """``None`` if the header is left out."""
    events: list[Wire] | None
    """The events of a stream; ``None`` for any other body, which consists of steps from the start."""
    steps: list[Step] = attrs.field(factory=list[Step])
    """The steps after the head, with one frame or piece of the body in each."""
    before_head: list[Step] = attrs.field(factory=list[Step])
    """The steps before the head. They contain no bytes."""
    event_lines: bool = True
    """Whether each frame has its ``event:`` line."""
    done_marker: bool = True
    """Whether ``[DONE]`` follows the last event."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Make changes in the order of their stages. Events are converted to steps, one frame each."""
        ordered = sorted(changes, key=lambda change: change.stage)
        for change in ordered:
            if change.stage <= Stage.DIALECT:
                change.apply(self)
        if self.events is not None:
            self.steps = [_frame(event, named=self.event_lines) for event in self.events]
            self.steps += [DONE] if self.done_marker else []
        for change in ordered:
            if change.stage > Stage.DIALECT:
                change.apply(self)

    def keep_response(self, changes: Iterable[Change]) -> None:
        """Make changes to the events, then keep only the response of the last event that has one, as JSON."""
        for change in changes:
            change.apply(self)
        last = next((event["response"] for event in reversed(self.events or ()) if "response" in event), None)
        self.events, self.content_type, self.steps = None, JSON, [default_converter().json.dumps(last)]


def _frame(event: Wire, *, named: bool) -> bytes:
    name = event.get("type")
    return encode_frame(default_converter().json.dumps(event), name if named and isinstance(name, str) else None)
