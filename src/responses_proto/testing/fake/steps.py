"""The steps in which the fake server sends an answer, and the form of an answer that faults change."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from ...codec import default_converter
from ...protocol.emitter import DONE
from ...protocol.sse import encode_frame

__all__ = ["Close", "Pause", "Reset", "Stall", "Step", "Wire", "WireAnswer"]

Wire: TypeAlias = dict[str, Any]
"""An event as it is on the wire, decoded from JSON."""


@attrs.frozen
class Pause:
    """Nothing is sent for some seconds."""

    seconds: float


@attrs.frozen
class Stall:
    """Nothing more is sent, and the connection stays open until the client closes it."""


@attrs.frozen
class Reset:
    """The connection is reset: the client sees an error instead of an end."""


@attrs.frozen
class Close:
    """The connection is closed in good order, but before the end of the body."""

    code: int = 1000
    """The close code, over WebSocket."""
    reason: str = ""


Step: TypeAlias = bytes | Pause | Stall | Reset | Close
"""A piece of the body, or something that happens to the connection."""


@attrs.define
class WireAnswer:
    """An answer in the form that faults change: first events, then steps. Created by ``Answer.to_wire``."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    content_type: str | None
    """``None`` if the header is left out."""
    events: list[Wire] | None
    """The events of a stream; ``None`` for any other body, which has its steps from the start."""
    steps: list[Step] = attrs.field(factory=list[Step])
    """What is sent after the head: one frame or piece of the body in each step."""
    before_head: list[Step] = attrs.field(factory=list[Step])
    """What happens before the head is sent. Contains no bytes."""
    event_lines: bool = True
    """Whether each frame has its ``event:`` line."""
    done_marker: bool = True
    """Whether ``[DONE]`` follows the last event."""

    def write_events(self) -> None:
        """Set the steps to the frames of the events, if there are any."""
        if self.events is None:
            return
        self.steps = [_frame(event, named=self.event_lines) for event in self.events]
        if self.done_marker:
            self.steps.append(DONE)


def _frame(event: Wire, *, named: bool) -> bytes:
    name = event.get("type")
    return encode_frame(default_converter().json.dumps(event), name if named and isinstance(name, str) else None)
