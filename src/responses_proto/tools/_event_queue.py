"""A queue of events with several writers, one reader, and backpressure that writers ask for.

Why not ``anyio.create_memory_object_stream``: with a buffer of 0, ``send()`` also waits for the reader, but a run must
publish from places that cannot wait (``Run.answer``, ``context.progress``, the ``finally`` of a cancelled tool), and
``send_nowait()`` needs a buffer. With an unbounded buffer, a writer cannot wait until the reader has read
everything and waits for more. The pace of a run depends on exactly this wait, :meth:`EventQueue.wait_until_drained`.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio

from ..exceptions import LocalProtocolError

T = TypeVar("T")


class EventQueue(Generic[T]):
    """A queue with one reader.

    :meth:`put` never waits; a writer of many events awaits :meth:`wait_until_drained` between them.
    """

    def __init__(self) -> None:
        self._events: deque[T] = deque()
        self._closed = False
        self._reader_waits = False
        # Each is replaced by a new event before it is waited for.
        self._readable = anyio.Event()
        self._drained = anyio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: T) -> None:
        self._events.append(event)
        self._readable.set()

    def close(self) -> None:
        """Close the queue for writing. The events in it can still be read."""
        self._closed = True
        self._readable.set()

    def get_nowait(self) -> T | None:
        """Return the next event, or ``None`` if the queue is empty."""
        return self._events.popleft() if self._events else None

    async def get(self) -> T | None:
        """Wait for the next event and return it; return ``None`` at the end. A cancelled call loses no event.

        Raises ``LocalProtocolError`` if another task is already waiting.
        """
        if self._reader_waits:
            raise LocalProtocolError("another task reads these events: only one may read at a time")
        while not self._events:
            if self._closed:
                return None
            self._readable = anyio.Event()
            self._reader_waits = True
            self._drained.set()
            try:
                await self._readable.wait()
            finally:
                self._reader_waits = False
        return self._events.popleft()

    async def wait_until_drained(self) -> None:
        """Wait until the reader has read every event and waits for more."""
        while self._events or not self._reader_waits:
            self._drained = anyio.Event()
            await self._drained.wait()
