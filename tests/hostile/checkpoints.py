"""Cancel a coroutine at each of its checkpoints in turn."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

__all__ = ["cancel_at_each_checkpoint"]


async def cancel_at_each_checkpoint(
    run: Callable[[], Coroutine[Any, Any, None]], after: Callable[[], Awaitable[None]]
) -> int:
    """Run a coroutine repeatedly. Cancel it at its first checkpoint, then at its second, and so on until it completes.

    ``after`` checks that nothing is left behind. Return the number of checkpoints.
    """
    number = 0
    while True:
        number += 1
        with anyio.CancelScope() as scope:
            await _cancelled_at(run(), number, scope)
        await after()
        if not scope.cancel_called:
            return number - 1


@types.coroutine
def _cancelled_at(
    coroutine: Coroutine[Any, Any, None], number: int, scope: anyio.CancelScope
) -> Generator[Any, Any, None]:
    """Await a coroutine, and cancel the scope at its n-th checkpoint."""
    waits = 0
    step: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731 - it changes with every step
    while True:
        try:
            wanted = step()
        except StopIteration:
            return
        waits += 1
        if waits == number:
            scope.cancel()
        try:
            given = yield wanted
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's
            step = _thrower(coroutine, error)
        else:
            step = _sender(coroutine, given)


def _sender(coroutine: Coroutine[Any, Any, object], value: object) -> Callable[[], Any]:
    return lambda: coroutine.send(value)


def _thrower(coroutine: Coroutine[Any, Any, object], error: BaseException) -> Callable[[], Any]:
    return lambda: coroutine.throw(error)
