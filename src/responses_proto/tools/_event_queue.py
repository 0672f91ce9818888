"""From tasks that make events to the one that reads them; with a say of the reader's in how far the makers go."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio

__all__ = ["EventQueue"]

T = TypeVar("T")


class EventQueue(Generic[T]):
    """A queue with one reader. Putting never waits; whoever puts much waits for :meth:`asked` in between."""

    def __init__(self) -> None:
        self._ready: deque[T] = deque()
        self._more = anyio.Event()
        self._asked = anyio.Event()
        self._waiting = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    def put(self, element: T) -> None:
        """Add to the end."""
        self._ready.append(element)
        self._more.set()

    def close(self) -> None:
        """Say that there will be no more. What is there can still be read."""
        self._closed = True
        self._more.set()

    def now(self) -> T | None:
        """Give the next element if it is there."""
        return self._ready.popleft() if self._ready else None

    async def get(self) -> T | None:
        """Wait for the next element; ``None`` at the end. What a cancelled call would have given, the next one does."""
        while not self._ready:
            if self._closed:
                return None
            self._more = anyio.Event()
            self._waiting = True
            self._asked.set()
            try:
                await self._more.wait()
            finally:
                self._waiting = False
        return self._ready.popleft()

    async def asked(self) -> None:
        """Wait until the reader has had everything, and wants more."""
        while self._ready or not self._waiting:
            self._asked = anyio.Event()
            await self._asked.wait()
