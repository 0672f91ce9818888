"""Wait for changes made by other processes: one thread polls, and any number of tasks wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK: Final = 0.25  # seconds per call of `look`; after its task is cancelled, the thread may run on for that long


class Changes:
    """Counts the changes of a store while any task waits for them.

    One task of each event loop calls ``look(count, seconds)`` in a worker thread. It must block until :attr:`count` is no longer
    ``count`` or the time is up, and increment :attr:`count` when it sees a change. It must not raise.
    """

    def __init__(self, look: Callable[[int, float], None]) -> None:
        self._look = look
        self.count: int = 0

    async def wait(self, count: int, seconds: float) -> None:
        """Wait until :attr:`count` is no longer ``count``, or the time is up."""
        room = self._room()
        with anyio.move_on_after(seconds):
            while self.count == count:
                if room.has_looker:
                    await room.changed.wait()
                    continue
                room.has_looker = True
                try:
                    await anyio.to_thread.run_sync(
                        self._look, count, min(_LOOK, seconds), abandon_on_cancel=True, limiter=room.limiter
                    )
                finally:
                    # Also on cancellation: one of the waiting tasks takes over.
                    room.has_looker = False
                    room.changed.set()
                    room.changed = anyio.Event()

    def _room(self) -> _Room:
        try:
            rooms = _ROOMS.get()
        except LookupError:
            rooms = WeakKeyDictionary[Changes, _Room]()
            _ROOMS.set(rooms)
        if self not in rooms:
            rooms[self] = _Room()
        return rooms[self]


class _Room:
    """The waiting tasks of one event loop."""

    def __init__(self) -> None:
        self.has_looker = False
        self.changed = anyio.Event()
        # Not the default limiter: polling threads must not take the places of working ones.
        self.limiter = anyio.CapacityLimiter(_MAX_LOOKERS)


_MAX_LOOKERS: Final = 16  # threads; more than one only after cancellations
_ROOMS: Final = RunVar["WeakKeyDictionary[Changes, _Room]"]("responses_proto.server.stores._changes")
