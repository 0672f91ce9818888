"""A task that holds something open for others, in whatever tasks those are.

A cancel scope, and with it a task group and everything built on one, belongs to the task that entered it: left in another
task, or out of turn, it fails and takes innocent tasks along. What is to be opened here and closed there is therefore entered,
held and left by a task of its own, which is nobody's child: no scope stands around the code of those who use it.
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

_GRACE: Final = 3.0
"""Seconds in which the task may close what it opened, before it is cancelled …"""
_PATIENCE: Final = 8.0
"""… and in which it may clean up then, before nobody waits for it any more."""


class TaskHolder:
    """One task, to be started, waited for and closed from any other.

    ``work`` opens something, awaits :meth:`hold`, which returns when it is time to close it, and closes it. If it raises,
    before or after, that is the :attr:`failure`, as one error even if it came in a group.
    """

    __slots__ = ("_leave", "_opened", "_over", "_scope", "_task", "_undivided", "_work", "failure")

    def __init__(self, work: Callable[[TaskHolder], Awaitable[None]]) -> None:
        self._work = work
        self._opened = anyio.Event()
        self._leave = anyio.Event()
        self._over = anyio.Event()
        self._scope = anyio.CancelScope()
        self._undivided = False
        self._task: object = None  # event loops keep weak references only
        self.failure: Exception | None = None

    @property
    def over(self) -> bool:
        """Whether the task has ended."""
        return self._over.is_set()

    def start(self) -> None:
        """Start the task, in the context variables of this one. :meth:`opened` is next, and in the end :meth:`close`."""
        self._task = _spawn(self._run)

    async def opened(self) -> None:
        """Wait until what it opens is open. Raises what opening failed with."""
        await self._opened.wait()
        if self.failure is not None:
            raise self.failure

    async def hold(self) -> None:
        """Wait, in the task itself, until it is time to close; from here on :meth:`opened` returns."""
        self._opened.set()
        await self._leave.wait()

    @contextlib.contextmanager
    def undivided(self) -> Generator[None]:
        """Let nobody cancel the task, while it opens, within a block of its that is short and must not be left half way.

        Unlike a shielded scope, it leaves scopes that are entered in the block free to stay.
        """
        self._undivided = True
        try:
            yield
        finally:
            self._undivided = False
            if self._leave.is_set():
                self._scope.cancel()

    async def ended(self, seconds: float) -> bool:
        """Wait for the end of the task, for so many seconds at most, and tell whether it came."""
        with anyio.move_on_after(seconds):
            await self._over.wait()
        return self._over.is_set()

    def leave(self) -> None:
        """Have the task close what it opened, without waiting for it."""
        self._leave.set()

    async def close(self) -> None:
        """Have the task close what it opened, and wait for it; within bounds, and shielded from cancellation. Idempotent."""
        self.leave()
        if not self._opened.is_set() and not self._undivided:
            self._scope.cancel()  # nobody waits for it to open any more
        with anyio.CancelScope(shield=True):
            if not await self.ended(_GRACE):
                self._scope.cancel()
                await self.ended(_PATIENCE)

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work(self)
        except Exception as error:  # noqa: BLE001 - this task has no parent to raise in: whoever waits for it asks for the failure
            self.failure = _single(error)
        finally:
            self._over.set()
            self._opened.set()


def _single(error: Exception) -> Exception:
    # The first that went wrong is what the others come from.
    return (
        _single(cast("ExceptionGroup[Exception]", error).exceptions[0]) if isinstance(error, ExceptionGroup) else error
    )


def _spawn(run: Callable[[], Awaitable[None]]) -> object:
    # anyio has tasks in groups only, and a group would be a scope around the caller's code.
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.spawn_system_task(run, name="responses_proto.owner", context=contextvars.copy_context())
    return asyncio.ensure_future(run())
