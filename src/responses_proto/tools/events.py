"""What a run tells beside the events of the wire: turns, tools and approvals.

::

    match event:
        case OutputTextDelta(delta=text): ...             # the wire's
        case ToolStarted(call=FunctionCall(name=name)): ...  # the run's
        case ToolFinished(call, output, failed=True): ...

All of them are :class:`LocalEvent`; none is a model, and none is ever on a wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

if TYPE_CHECKING:
    from ..models.events import Event
    from ..models.items import Item, McpApprovalRequest
    from ..models.request import CreateResponse
    from ..models.response import PendingCall
    from ..typing import JSONObject
    from .loop import LoopTurn

__all__ = [
    "ApprovalRequested",
    "LocalEvent",
    "RunEvent",
    "ToolEvent",
    "ToolFinished",
    "ToolProgress",
    "ToolStarted",
    "TurnFinished",
    "TurnStarted",
]


@attrs.frozen
class LocalEvent:
    """Something that happened on this side."""

    type: ClassVar[str]
    """A name that no event of the wire has."""


@attrs.frozen
class TurnStarted(LocalEvent):
    """A response is asked for."""

    type: ClassVar[str] = "run.turn_started"
    number: int
    """From 1."""
    request: CreateResponse | JSONObject = attrs.field(repr=False)
    """What is sent, but for ``stream``."""


@attrs.frozen
class ToolStarted(LocalEvent):
    """A tool began to work on a call."""

    type: ClassVar[str] = "run.tool_started"
    call: PendingCall


@attrs.frozen
class ToolProgress(LocalEvent):
    """A tool says how far it has come."""

    type: ClassVar[str] = "run.tool_progress"
    call: PendingCall
    message: str = ""
    done: float | None = None
    total: float | None = None
    """``None`` if the tool does not know."""


@attrs.frozen
class ToolFinished(LocalEvent):
    """A call has its answer. Once for each, whatever became of it, in the order in which they came to their end."""

    type: ClassVar[str] = "run.tool_finished"
    call: PendingCall
    output: Item
    """What the model gets to read."""
    failed: bool = False
    """Whether the tool raised something, was cut short, was not there or not approved, or says itself that it did not work."""
    error: Exception | None = attrs.field(default=None, eq=False)
    """What was raised, or what stands for it: ``DeadlineExceeded``, ``ToolNotFound``, ``LimitExceeded``, …"""
    value: object = attrs.field(default=None, eq=False, repr=False)
    """What the tool gave for the caller alone."""
    elapsed: float = attrs.field(default=0.0, eq=False)
    """Seconds that it took."""


@attrs.frozen
class ApprovalRequested(LocalEvent):
    """The caller is asked whether the server may call a tool of a remote MCP server."""

    type: ClassVar[str] = "run.approval_requested"
    request: McpApprovalRequest


@attrs.frozen
class TurnFinished(LocalEvent):
    """A response is there, and everything that will be answered is."""

    type: ClassVar[str] = "run.turn_finished"
    turn: LoopTurn


ToolEvent: TypeAlias = ToolStarted | ToolProgress | ToolFinished
"""What becomes of a call."""

RunEvent: TypeAlias = "Event | TurnStarted | ToolEvent | ApprovalRequested | TurnFinished"
"""Anything that iterating over a run gives."""
