"""The tool hook: whatever can answer a call of the model's is a :class:`ToolExecutor`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import attrs

from ..tooloutput import ToolOutput, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models.items import Item
    from ..models.response import PendingCall
    from ..models.tools import Tool

__all__ = ["Progress", "ToolContext", "ToolExecutor", "ToolOutput", "ToolResult"]


@attrs.frozen
class Progress:
    """How far a call has come, in whatever unit its tool counts."""

    message: str = ""
    done: float | None = None
    total: float | None = None
    """``None`` if the tool does not know."""


@attrs.define(eq=False)
class ToolContext:
    """One call that is being executed: what it is part of, how long it may take, and who is told how far it has come.

    One object for each call, made by whoever executes it; ``ToolContext(call)`` is enough to execute one by hand. May be
    used from the worker thread of a tool that is no coroutine.
    """

    call: PendingCall
    """The item that asks for it."""
    response_id: str = attrs.field(default="", kw_only=True)
    """The response that the call is part of; empty if it has none."""
    turn: int = attrs.field(default=1, kw_only=True)
    """Which response of the run that is, from 1."""
    timeout: float | None = attrs.field(default=None, kw_only=True)
    """Seconds that the call may take; ``None`` if there is no bound."""
    cancelled: bool = attrs.field(default=False, kw_only=True)
    """Whether nobody waits for the output any more. A coroutine is cancelled then; a thread cannot be, and should look here."""
    on_progress: Callable[[Progress], object] | None = attrs.field(default=None, kw_only=True, repr=False)
    """What :meth:`progress` tells; has to be safe to call from any thread."""
    _started: float = attrs.field(factory=time.monotonic, init=False, repr=False)

    @property
    def seconds_left(self) -> float | None:
        """What is left of :attr:`timeout`, 0 at least; ``None`` if there is no bound."""
        return None if self.timeout is None else max(0.0, self.timeout - (time.monotonic() - self._started))

    def progress(self, message: str = "", *, done: float | None = None, total: float | None = None) -> None:
        """Tell how far the call has come. Returns at once, and does nothing once the call is over or cancelled."""
        if self.on_progress is not None and not self.cancelled:
            self.on_progress(Progress(message, done, total))


class ToolExecutor(Protocol):
    """Something that answers calls: a function, an MCP session, a handler of shell calls.

    An executor that has to be opened is an async context manager as well, and says with an attribute ``entered: bool``
    whether it is open: ``client.run`` enters those that are not, before the first request, and leaves them at the end, both in
    the task that the run's own block is in. Those that are open stay the caller's to leave, who thereby can share them between runs.
    """

    def definitions(self) -> list[Tool]:
        """Give what the request offers to the model for it. Asked before each request, as it may change; may be empty."""
        ...

    def handles(self, item: Item) -> bool:
        """Tell whether a call is for it. The first of a run's executors that says so gets the call."""
        ...

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Carry out a call that it handles, and give what the model gets to read.

        Any exception means that it did not work; whoever executes it decides what becomes of that. Cancellation means
        that nobody waits any more: clean up, and let it through. May run several times at once, for different calls.
        """
        ...
