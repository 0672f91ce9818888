"""Opens several resources at the same time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractAsyncContextManager

__all__ = ["entered_together"]


@contextlib.asynccontextmanager
async def entered_together(resources: Iterable[AbstractAsyncContextManager[object]]) -> AsyncGenerator[None]:
    """Enter async context managers at the same time, and leave them at the same time at the end of the block.

    Each is entered and left in a task of its own. If one cannot be entered, the others are cancelled and left, and its
    error is raised in an exception group.
    """
    close = anyio.Event()

    async def hold(resource: AbstractAsyncContextManager[object], opened: anyio.Event) -> None:
        async with resource:
            opened.set()
            await close.wait()

    async with anyio.create_task_group() as tasks:
        all_opened: list[anyio.Event] = []
        for resource in resources:
            all_opened.append(anyio.Event())
            tasks.start_soon(hold, resource, all_opened[-1])
        for opened in all_opened:
            await opened.wait()
        try:
            yield
        finally:
            close.set()
