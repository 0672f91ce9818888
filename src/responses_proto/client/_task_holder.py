"""A background task that opens a resource, keeps it open for other tasks, and closes it.

A cancel scope, and so a task group and everything built on one, belongs to the task that entered it. If another task
leaves it, or if scopes are left out of order, anyio raises and cancels tasks that have nothing to do with it. A
resource that one task opens and another one closes is therefore entered and left by a task of its own. That task is a
child of no task group, so no scope surrounds the code of its users.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["TaskHolder"]

_CLOSE_TIMEOUT: Final = 3.0
"""Seconds that the task may take to close its resource before it is cancelled."""
_CANCEL_TIMEOUT: Final = 8.0
"""Seconds that the cancelled task may take to clean up before :meth:`TaskHolder.close` gives up waiting."""


class TaskHolder:
    """A task that holds a resource. Any other task may start it, wait for it and close it.

    ``work`` opens the resource, awaits :meth:`wait_until_closed` and closes the resource. If ``work`` raises, at any
    time, :attr:`failure` is that error; if it is an exception group, its first error.

    The order of the calls is :meth:`start`, :meth:`wait_opened`, :meth:`close`.
    """

    __slots__ = ("_close_requested", "_ended", "_no_cancel", "_opened", "_scope", "_task", "_work", "failure")

    def __init__(self, work: Callable[[TaskHolder], Awaitable[None]]) -> None:
        self._work = work
        self._opened = anyio.Event()
        self._close_requested = anyio.Event()
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self._no_cancel = False
        self._task: object = None  # event loops keep weak references only
        self.failure: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether the task has ended."""
        return self._ended.is_set()

    def start(self) -> None:
        """Start the task with a copy of the current context variables.

        Next, await :meth:`wait_opened`; finally, :meth:`close`.
        """
        self._task = _spawn(self._run)

    async def wait_opened(self) -> None:
        """Wait until the resource is open. Raises the :attr:`failure` if it could not be opened."""
        await self._opened.wait()
        if self.failure is not None:
            raise self.failure

    async def wait_ended(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the end of the task. Return whether it has ended."""
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set()

    def request_close(self) -> None:
        """Ask the task to close the resource, without waiting for it."""
        self._close_requested.set()

    async def close(self) -> None:
        """Close the resource and wait for the end of the task: 3 seconds, and 8 more after cancelling it. Idempotent.

        The wait is shielded from cancellation.
        """
        self.request_close()
        if not self._opened.is_set() and not self._no_cancel:
            self._scope.cancel()  # it is still opening, and no caller waits for it any more
        with anyio.CancelScope(shield=True):
            if not await self.wait_ended(_CLOSE_TIMEOUT):
                self._scope.cancel()
                await self.wait_ended(_CANCEL_TIMEOUT)

    # For `work`

    async def wait_until_closed(self) -> None:
        """Report that the resource is open, and wait until it should be closed."""
        self._opened.set()
        await self._close_requested.wait()

    @contextlib.contextmanager
    def no_cancel(self) -> Generator[None]:
        """Delay a cancellation by :meth:`close` to the end of the block. For a short step that must not be interrupted.

        A shielded cancel scope does not serve: scopes entered in the block may stay open after it.
        """
        self._no_cancel = True
        try:
            yield
        finally:
            self._no_cancel = False
            if self._close_requested.is_set():
                self._scope.cancel()

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work(self)
        except Exception as error:  # noqa: BLE001 - the task has no parent to raise in: `failure` keeps the error
            self.failure = _first_error(error)
        finally:
            self._ended.set()
            self._opened.set()


def _first_error(error: Exception) -> Exception:
    """Return the first error of a group, which usually caused the others; or the error itself."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


def _spawn(run: Callable[[], Awaitable[None]]) -> object:
    # anyio starts tasks in task groups only, and a group would be a scope around the caller's code.
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.spawn_system_task(run, name="responses_proto.holder", context=contextvars.copy_context())
    return asyncio.ensure_future(run())
