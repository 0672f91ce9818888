"""Opens several resources at the same time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractAsyncContextManager


@contextlib.asynccontextmanager
async def entered_together(resources: Iterable[AbstractAsyncContextManager[object]]) -> AsyncGenerator[None]:
    """Enter async context managers at the same time, and leave them at the same time at the end of the block.

    Each is entered and left in a separate task. If entering one fails, those that are being entered are cancelled, those
    that were entered are left, and the error is raised. An error while leaving is raised at the end.
    """
    close = anyio.Event()
    opening: set[anyio.CancelScope] = set()
    errors: list[Exception] = []

    async def hold(resource: AbstractAsyncContextManager[object], opened: anyio.Event) -> None:
        with anyio.CancelScope() as scope:
            opening.add(scope)
            try:
                async with resource:
                    opening.discard(scope)
                    opened.set()
                    await close.wait()
            except Exception as error:  # noqa: BLE001 - raised below, when all are left
                errors.append(error)
                close.set()
                for other in opening:
                    other.cancel()
            finally:
                opened.set()

    async with anyio.create_task_group() as tasks:
        all_opened: list[anyio.Event] = []
        for resource in resources:
            all_opened.append(anyio.Event())
            tasks.start_soon(hold, resource, all_opened[-1])
        for opened in all_opened:
            await opened.wait()
        if not errors:
            try:
                yield
            finally:
                close.set()
    if errors:
        raise errors[0]
