"""The events that a run adds to those of the wire: turns, tools and approvals.

::

    match event:
        case OutputTextDelta(delta=text): ...                # from the server
        case ToolStarted(call=FunctionCall(name=name)): ...  # from the run
        case ToolFinished(call, output, failed=True): ...

They all derive from :class:`LocalEvent`. They are not models and are never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

if TYPE_CHECKING:
    from ..models.events import Event
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.response import PendingCall
    from ..typing import JSONObject
    from .turn import LoopTurn

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
    """The base of the events that happen in the client."""

    type: ClassVar[str]
    """The event's name, ``run.…``. No event of the wire has such a name."""


@attrs.frozen
class TurnStarted(LocalEvent):
    """A request for a response is about to be sent."""

    type: ClassVar[str] = "run.turn_started"
    number: int
    """The number of the turn, from 1."""
    request: CreateResponse | JSONObject = attrs.field(repr=False)
    """The request, without ``stream``."""


@attrs.frozen
class ToolStarted(LocalEvent):
    """An executor began to execute a call."""

    type: ClassVar[str] = "run.tool_started"
    call: PendingCall


@attrs.frozen
class ToolProgress(LocalEvent):
    """A tool reported progress with ``context.progress()``."""

    type: ClassVar[str] = "run.tool_progress"
    call: PendingCall
    message: str = ""
    done: float | None = None
    """In the tool's own unit; ``None`` if it is not known."""
    total: float | None = None
    """In the same unit; ``None`` if it is not known."""


@attrs.frozen
class ToolFinished(LocalEvent):
    """A call was answered. Exactly one event per answered call, in the order in which the answers are ready."""

    type: ClassVar[str] = "run.tool_finished"
    call: PendingCall
    output: Item
    """The item that the model reads."""
    failed: bool = False
    """Whether the tool raised, timed out, was cancelled, does not exist, was not approved, or reported a failure
    itself."""
    error: Exception | None = attrs.field(default=None, eq=False)
    """The exception of the tool, or an error of this library: ``DeadlineExceeded``, ``ToolNotFound``, ``LimitExceeded``, …
    """
    value: object = attrs.field(default=None, eq=False, repr=False)
    """:attr:`ToolOutput.value <responses_proto.tools.ToolOutput.value>`: the tool's result for the caller. Never sent.
    """
    elapsed: float = attrs.field(default=0.0, eq=False)
    """Seconds that the execution took."""


@attrs.frozen
class ApprovalRequested(LocalEvent):
    """The ``approve`` callback is about to be asked about a call."""

    type: ClassVar[str] = "run.approval_requested"
    request: PendingCall
    """The call, or the request of a remote MCP server."""


@attrs.frozen
class TurnFinished(LocalEvent):
    """A response is complete, and the run will answer no more of its calls."""

    type: ClassVar[str] = "run.turn_finished"
    turn: LoopTurn


ToolEvent: TypeAlias = ToolStarted | ToolProgress | ToolFinished
"""An event about the execution of a call."""

RunEvent: TypeAlias = "Event | TurnStarted | ToolEvent | ApprovalRequested | TurnFinished"
"""Any event that iterating over a run yields."""
