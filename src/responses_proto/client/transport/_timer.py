"""Bound many short waits by deadlines, at the cost of one timer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ReadTimer", "on_asyncio"]

_SLACK: Final = 0.001  # seconds that a wait may take longer, so that rounding does not move the timer


def on_asyncio() -> bool:
    """Return whether the caller runs in a task of asyncio, and not of trio."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class ReadTimer:
    """Bounds the waits of one task at a time, on asyncio. Use ``with timer.limit(seconds)`` for each, and :meth:`stop` after the last.

    A wait that takes too long is cancelled, whatever it waits for, and the ``with`` block is left silently, as that of
    ``anyio.move_on_after``. But that one sets and cancels a timer of the loop for each wait, which costs more than a read from a
    socket. Here, a deadline is a number. The loop's timer is set once; when it runs out, it is set again for the deadline of that
    moment, and only if that has passed, the task is cancelled.
    """

    __slots__ = ("_cancelling", "_deadline", "_expired", "_handle", "_loop", "_task")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._deadline = 0.0  # by the loop's clock
        self._task: asyncio.Task[object] | None = None  # the one that waits
        self._cancelling = 0  # how often others had asked for its cancellation before
        self._expired = False

    def limit(self, seconds: float) -> Self:
        """Return the context in which a wait may take so many seconds."""
        self._deadline = deadline = self._loop.time() + seconds
        handle = self._handle
        if handle is None or handle.when() > deadline + _SLACK:
            self.stop()
            self._handle = self._loop.call_at(deadline, self._run_out)
        return self

    def stop(self) -> None:
        """Cancel the loop's timer. Idempotent; another :meth:`limit` sets it again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        if task is not None:
            self._cancelling = task.cancelling()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        if not self._expired or task is None:
            return False
        self._expired = False
        # As asyncio.timeout does: if others have asked for the cancellation as well, it is theirs.
        return task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError

    def _run_out(self) -> None:
        self._handle = None
        if self._task is None:
            return
        if self._deadline > self._loop.time():
            self._handle = self._loop.call_at(self._deadline, self._run_out)
        else:
            self._expired = True
            self._task.cancel()
