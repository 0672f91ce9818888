"""Other ways to iterate over a stream: some kinds of events only, the text only, whole batches.

Each reads the stream itself and keeps nothing, so that one can change from one way to another in the middle.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

from ..exceptions import LocalProtocolError
from ..models.events import EVENT_TYPES, Event, OutputTextDelta
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from ..schema.structured import PartialOutput
    from ..typing import JSONValue

__all__ = ["Batches", "Events", "PartialValues", "TextDeltas"]

_E = TypeVar("_E")


class _View:
    __slots__ = ("_more", "_ready")

    def __init__(self, ready: Callable[[], Iterator[Event]], more: Callable[[], Awaitable[bool]]) -> None:
        # `ready` gives what was read already; `more` reads on when that is used up, and is false at the end.
        self._ready = ready
        self._more = more

    def __aiter__(self) -> Self:
        return self


class Events(_View, Generic[_E]):
    """The events of some kinds. From :meth:`EventStream.events`."""

    __slots__ = ("_classes", "_names")

    def __init__(
        self,
        ready: Callable[[], Iterator[Event]],
        more: Callable[[], Awaitable[bool]],
        kinds: tuple[type[Event] | str, ...],
    ) -> None:
        super().__init__(ready, more)
        classes = tuple(kind for kind in kinds if not isinstance(kind, str))
        self._classes: tuple[type[object], ...] = classes if kinds else (object,)
        self._names = frozenset(_checked(kind) for kind in kinds if isinstance(kind, str))

    async def __anext__(self) -> _E:
        classes, names = self._classes, self._names
        while True:
            for event in self._ready():
                if isinstance(event, classes) or event.type in names:
                    return cast("_E", event)
            if not await self._more():
                raise StopAsyncIteration


def _checked(name: str) -> str:
    """Give a name of events. One that nobody knows may be a server's own, but hardly if it is another one's but for a letter or two."""
    near = () if name in EVENT_TYPES else difflib.get_close_matches(name, EVENT_TYPES, 1, 0.95)
    if near:
        raise LocalProtocolError(f"no event is called {name!r}: did you mean {near[0]!r}?")
    return name


class TextDeltas(_View):
    """The pieces of the text. From :meth:`EventStream.text_deltas`."""

    __slots__ = ()

    async def __anext__(self) -> str:
        while True:
            for event in self._ready():
                if isinstance(event, OutputTextDelta):
                    return event.delta
            if not await self._more():
                raise StopAsyncIteration


class Batches(_View):
    """The events, in lists as they were read. From :meth:`EventStream.batches`."""

    __slots__ = ()

    async def __anext__(self) -> list[Event]:
        while True:
            batch = list(self._ready())
            if batch:
                return batch
            if not await self._more():
                raise StopAsyncIteration


class PartialValues:
    """What a stream's answer amounts to so far, each time that more of it is certain. From ``stream.partial()``.

    Values are plain JSON and never changed afterwards. Iterating reads the stream, and raises what reading it raises;
    it ends with the stream, and ``await stream.parse(T)`` then gives the typed value.
    """

    __slots__ = ("_events", "_follower", "_last")

    def __init__(self, events: AsyncIterator[Event], follower: PartialOutput) -> None:
        self._events = events
        self._follower = follower
        self._last: object = UNSET

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JSONValue:
        while True:
            event = await anext(self._events)
            if self._follower.push(event):
                value = self._follower.value
                if value is not UNSET and value != self._last:
                    self._last = value
                    return value
