"""What an answer of the fake server is made of on its way to the wire: steps, and the draft that faults change."""

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
    """Nothing happens for some seconds."""

    seconds: float


@attrs.frozen
class Stall:
    """Nothing happens any more, and the connection stays open until the client leaves."""


@attrs.frozen
class Reset:
    """The connection breaks: the client sees an error, and no end."""


@attrs.frozen
class Close:
    """The connection ends in good order, but before the body does."""

    code: int = 1000
    """The close code, over WebSocket."""
    reason: str = ""


Step: TypeAlias = bytes | Pause | Stall | Reset | Close
"""What is done next: a piece of the body is sent, or something happens to the connection."""


@attrs.define
class WireAnswer:
    """An answer on its way to the wire, as faults see it: first as events, then as steps."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    content_type: str | None
    """``None``: the header is left out."""
    events: list[Wire] | None
    """The events of a stream; ``None`` for a body of another kind, whose steps are there from the start."""
    steps: list[Step] = attrs.field(factory=list[Step])
    """The body, one frame or piece each."""
    before_head: list[Step] = attrs.field(factory=list[Step])
    """What happens before the head is sent. No bytes."""
    event_lines: bool = True
    """Whether each frame has its ``event:`` line."""
    done: bool = True
    """Whether ``[DONE]`` follows the last event."""

    def write(self) -> None:
        """Make steps of the events."""
        if self.events is None:
            return
        self.steps = [_frame(event, named=self.event_lines) for event in self.events]
        if self.done:
            self.steps.append(DONE)


def _frame(event: Wire, *, named: bool) -> bytes:
    name = event.get("type")
    return encode_frame(default_converter().json.dumps(event), name if named and isinstance(name, str) else None)
