"""Apply deadlines to many short waits with only one timer."""

from __future__ import annotations

import asyncio
import time
from typing import Final

_SLACK: Final = 0.001  # seconds that a wait may take longer, so that rounding does not move the timer


def on_asyncio() -> bool:
    """Return whether the caller runs in a task of asyncio, and not of trio."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class ReadTimer:
    """Bounds the waits of one task at a time, on asyncio: :meth:`start`, then wait, then :meth:`end`. Call :meth:`stop` after the last.

        timer.start(time.monotonic() + seconds)
        try:
            await something
        except asyncio.CancelledError:
            if not timer.ran_out():
                raise
        finally:
            timer.end()

    A wait that takes too long is cancelled, as with ``anyio.move_on_after``. But ``move_on_after`` sets and cancels a timer of the loop for
    each wait, which costs more than a read from a socket. Here, a deadline is a number. The loop's timer is set once. When it runs out, it
    cancels the task if the current deadline has passed; otherwise it is set again for that deadline.
    """

    __slots__ = ("_cancelling", "_deadline", "_due", "_expired", "_handle", "_loop", "_task")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the loop's timer runs out; this and the deadline by `time.monotonic()`
        self._deadline = 0.0
        self._task: asyncio.Task[object] | None = None  # the one that waits
        self._cancelling = 0  # how often others had requested its cancellation before
        self._expired = False

    def start(self, deadline: float) -> None:
        """Bound the next wait of the current task. ``deadline`` is a time of ``time.monotonic()``."""
        self._task = task = asyncio.current_task(self._loop)  # naming the loop saves a system call (Python 3.11)
        if task is not None:
            self._cancelling = task.cancelling()
        self._deadline = deadline
        if self._handle is None or self._due > deadline + _SLACK:
            self.stop()
            self._set()

    def ran_out(self) -> bool:
        """Return whether the wait was cancelled by this timer only."""
        task, expired = self._task, self._expired
        self._expired = False
        # As asyncio.timeout does: if others have requested the cancellation too, it is theirs.
        return expired and task is not None and task.uncancel() <= self._cancelling

    def end(self) -> None:
        """End a wait, however it ended."""
        if self._expired:
            self.ran_out()  # something caught the cancellation: the task is not being cancelled any more
        self._task = None

    def stop(self) -> None:
        """Cancel the loop's timer. Idempotent; another :meth:`start` sets it again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self) -> None:
        self._due = self._deadline
        self._handle = self._loop.call_later(self._deadline - time.monotonic(), self._run_out)

    def _run_out(self) -> None:
        self._handle = None
        if self._task is None:
            return
        if self._deadline > time.monotonic():
            self._set()
        else:
            self._expired = True
            self._task.cancel()
