"""Observe what a client does while it works: for logs, metrics and traces.

Hooks are plain functions. They are called in the task that does the work. The call raises what a hook raises, unchanged and
without a retry. A hook that is not set costs nothing.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import attrs

from ..exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exceptions import ResponsesProtoError
    from ..models.events import Event
    from ..models.response import Response
    from ..protocol.sse import Frame
    from ..protocol.stream import Outcome
    from ..typing import Cursor
    from .transport.base import WireRequest

__all__ = ["CallFinished", "CallResult", "Hooks", "RetryNotice", "call_hook"]

T = TypeVar("T")

CallResult: TypeAlias = Literal["ended", "abandoned", "cancelled", "failed"]
"""How a call ended.

- ``ended``: the server's answer was received in full, including a response whose status is ``failed``.
- ``abandoned``: the stream's block was left before the response ended, without an error.
- ``cancelled``: the task was cancelled.
- ``failed``: the call raised an error, or the caller's code did inside the stream's block."""


@attrs.frozen(kw_only=True)
class RetryNotice:
    """A request is about to be sent again."""

    operation: str
    """The kind of call, as in :attr:`CallFinished.operation`."""
    attempt: int
    """The number of the attempt that failed, from 1."""
    error: ResponsesProtoError
    """Why it failed."""
    delay: float
    """Seconds until the next attempt."""


@attrs.frozen(kw_only=True)
class CallFinished:
    """A call has ended, and its connection is released."""

    operation: str
    """The kind of call: ``responses.create``, ``responses.stream``, ``conversations.items.list``, …"""
    how: CallResult
    """How it ended."""
    outcome: Outcome | None = None
    """How the response ended; ``None`` if the call is not a stream, or the stream did not end."""
    response: Response | None = None
    """The response, final or partial; ``None`` if the call does not return one, or nothing was received."""
    error: BaseException | None = None
    """The exception that was raised, if any."""
    cursor: Cursor | None = None
    """The position of the stream at the end."""
    request: WireRequest | None = None
    """The request of the first attempt: the same object that ``on_request`` received. ``None`` if nothing was sent.
    Its ``headers`` contain the API key."""
    attempts: int = 1
    """How often the request was sent."""
    first_event: float | None = None
    """Seconds from the start of the call to the first event; ``None`` if there was none, or the call is not a stream."""
    elapsed: float = 0.0
    """Seconds from the start of the call to its end."""


def call_hook(hook: Callable[[T], object], value: T) -> None:
    """Call a hook. Raises what it raises, and ``UsageError`` if it returns something to await."""
    result = hook(value)
    if result is not None and inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()  # otherwise Python warns that it was never awaited
        raise UsageError(f"{_NOT_ASYNC}, but {hook!r} returned an awaitable")


_NOT_ASYNC = "hooks must be plain functions, because they are called between two steps that do not wait"


def _check_hook(_hooks: object, attribute: attrs.Attribute[Any], hook: object) -> None:
    if hook is None:
        return
    if not callable(hook):
        raise UsageError(f"Hooks.{attribute.name} must be a function of one argument, got {hook!r}")
    function: object = hook
    while isinstance(function, functools.partial):
        function = function.func
    for code in (function, getattr(function, "__call__", None)):  # noqa: B004 - the method itself, to see whether it is async
        if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
            raise UsageError(f"{_NOT_ASYNC}: Hooks.{attribute.name} must not be async")


@attrs.frozen(kw_only=True)
class Hooks:
    """The functions that a client calls. Immutable; pass it to ``ResponsesClient(hooks=...)``.

    Raises ``UsageError`` for a hook that is not a function, or is ``async``: to await something, start a task or put the value
    into a queue.
    """

    on_request: Callable[[WireRequest], object] | None = attrs.field(default=None, validator=_check_hook)
    """Called before each attempt to send. The request's ``headers`` contain the API key: do not log them."""
    on_frame: Callable[[Frame], object] | None = attrs.field(default=None, validator=_check_hook)
    """Called for each server-sent event before it is decoded. Setting it costs time: each stream is then split into frames twice."""
    on_event: Callable[[Event], object] | None = attrs.field(default=None, validator=_check_hook)
    """Called for each event when it is received, which may be before the consumer asks for it."""
    on_retry: Callable[[RetryNotice], object] | None = attrs.field(default=None, validator=_check_hook)
    """Called before the delay that precedes another attempt."""
    on_outcome: Callable[[CallFinished], object] | None = attrs.field(default=None, validator=_check_hook)
    """Called once at the end of each call with a :class:`CallFinished`, however it ends, after its connection is released."""
