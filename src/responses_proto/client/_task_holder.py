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
from typing import TYPE_CHECKING, Any, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


class TaskHolder:
    """A task that holds a resource. Any other task may start it, wait for it and close it.

    ``work`` opens the resource, awaits :meth:`wait_until_closed` and closes the resource. If ``work`` raises, at any
    time, :attr:`failure` is that error; if it is an exception group, its first error. ``close_timeout`` is the number of
    seconds after which :meth:`close` cancels ``work``, and ``cancel_timeout`` the number of seconds that it then waits.

    The order of the calls is :meth:`start`, :meth:`wait_opened`, :meth:`close`.
    """

    __slots__ = (
        "_cancel_timeout",
        "_close_requested",
        "_close_timeout",
        "_ended",
        "_no_cancel",
        "_opened",
        "_scope",
        "_task",
        "_work",
        "exit",
        "failure",
    )

    def __init__(
        self,
        work: Callable[[TaskHolder], Awaitable[None]],
        *,
        close_timeout: float = 3.0,
        cancel_timeout: float = 8.0,
    ) -> None:
        self._work = work
        self._close_timeout = close_timeout
        self._cancel_timeout = cancel_timeout
        self._opened = anyio.Event()
        self._close_requested = anyio.Event()
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self._no_cancel = False
        self._task: object = None  # event loops keep weak references only
        self.failure: Exception | None = None
        self.exit: BaseException | None = None  # a SystemExit or KeyboardInterrupt that ended the task

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def start(self) -> None:
        """Start the task with a copy of the current context variables.

        Next, await :meth:`wait_opened`; finally, :meth:`close`.
        """
        self._task = _spawn(self._run)

    async def wait_opened(self) -> None:
        """Wait until the resource is open. Raises what ended the task if it could not be opened."""
        await self._opened.wait()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what ended the task, if anything did."""
        error = self.failure or self.exit
        if error is not None:
            raise error

    async def wait_ended(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for the end of the task. Return whether it has ended."""
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set()

    def request_close(self) -> None:
        """Ask the task to close the resource, without waiting for it."""
        self._close_requested.set()

    async def close(self, *, cancel: bool = False) -> None:
        """Close the resource and wait for the end of the task. With ``cancel``, cancel the task at once. Idempotent.

        The wait is shielded from cancellation.
        """
        self.request_close()
        # If the resource is still being opened, no caller waits for it any more.
        if cancel or (not self._opened.is_set() and not self._no_cancel):
            self._scope.cancel()
        with anyio.CancelScope(shield=True):
            if not await self.wait_ended(self._close_timeout):
                self._scope.cancel()
                await self.wait_ended(self._cancel_timeout)

    # For `work`

    async def wait_until_closed(self) -> None:
        """Report that the resource is open, and wait until it should be closed."""
        self._opened.set()
        await self._close_requested.wait()

    @contextlib.contextmanager
    def no_cancel(self) -> Generator[None]:
        """Delay a cancellation by :meth:`close` to the end of the block. For a short step that must not be interrupted.

        A shielded cancel scope would not work: scopes entered in the block may stay open after it.
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
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as raised:  # noqa: BLE001 - the task has no parent to raise in: the attributes keep it
            error = _first_error(raised)
            if isinstance(error, Exception):
                self.failure = error
            else:
                self.exit = error
        finally:
            self._ended.set()
            self._opened.set()


def _first_error(error: BaseException) -> BaseException:
    """Return the first error of a group, which usually caused the others; or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _spawn(run: Callable[[], Awaitable[None]]) -> object:
    # anyio starts tasks in task groups only, and a group would be a scope around the caller's code.
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.spawn_system_task(run, name="responses_proto.holder", context=contextvars.copy_context())
    return asyncio.ensure_future(run())
