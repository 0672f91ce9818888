"""What a client tells about its work while it works: for logs, metrics and traces.

Hooks are plain functions, called in the task that does the work; what a hook raises, the call raises. A hook that is not given costs
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exceptions import ResponsesProtoError
    from ..models.events import Event
    from ..models.response import Response
    from ..protocol.sse import Frame
    from ..protocol.stream import Outcome
    from ..typing import Cursor
    from .transport.base import WireRequest

__all__ = ["CallFinished", "CallResult", "Hooks", "RetryNotice"]

CallResult: TypeAlias = Literal["ended", "left", "cancelled", "failed"]
"""How a call was over. ``ended``: with an answer, be it one that says ``failed``; ``left``: the block was left before the end;
``cancelled``: from outside; ``failed``: an error was raised to the caller, or by the caller inside the block."""


@attrs.frozen(kw_only=True)
class RetryNotice:
    """A request is about to be sent again."""

    operation: str
    """What is asked for, as in :attr:`CallFinished.operation`."""
    attempt: int
    """The number of the attempt that failed, from 1."""
    error: ResponsesProtoError
    """How it failed."""
    after: float
    """Seconds until the next attempt."""


@attrs.frozen(kw_only=True)
class CallFinished:
    """A call is over."""

    operation: str
    """What was asked for: ``responses.create``, ``responses.stream``, ``conversations.items.list``, …"""
    how: CallResult
    outcome: Outcome | None = None
    """How the stream ended; ``None`` for calls that are no stream, and for streams that did not end."""
    response: Response | None = None
    """The response, final or as far as it came; ``None`` if the call is about something else, or nothing came."""
    error: BaseException | None = None
    """What was raised; ``None`` if nothing was."""
    cursor: Cursor | None = None
    """Where a stream stood."""
    request: WireRequest | None = None
    """The request as it was first sent, the very object that ``on_request`` was given; ``None`` if nothing was sent. Its headers hold the key."""
    attempts: int = 1
    """How often the request was sent."""
    first_event: float | None = None
    """Seconds from the beginning of the call to the first event of its stream; ``None`` if none came, or it is no stream."""
    elapsed: float = 0.0
    """Seconds from the beginning of the call to here."""


@attrs.frozen(kw_only=True)
class Hooks:
    """The functions to call. Immutable; pass it to ``ResponsesClient(hooks=...)``."""

    on_request: Callable[[WireRequest], object] | None = None
    """Before each sending, repeated ones included. Its ``headers`` hold the key: do not log them."""
    on_frame: Callable[[Frame], object] | None = None
    """For each event of a stream as it is on the wire, before it is read. With it, streams are cut into frames twice."""
    on_event: Callable[[Event], object] | None = None
    """For each event when it was received, which may be before the consumer asks for it."""
    on_retry: Callable[[RetryNotice], object] | None = None
    """Before the pause that precedes another attempt."""
    on_outcome: Callable[[CallFinished], object] | None = None
    """Once for each call that was begun, on every way out of it, when its connection is closed."""
