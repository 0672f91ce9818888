"""Iterate over a stream in other ways: only some kinds of events, only the text, whole batches, partial JSON values.

Each view reads the stream itself and keeps no events, so a consumer can change from one to another in the middle.
"""

from __future__ import annotations

import difflib
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar, cast

from ..exceptions import UsageError
from ..models.events import EVENT_TYPES, Event
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from ..protocol._texts import MessageTexts
    from ..schema.structured import PartialElements, PartialOutput
    from ..typing import JSONValue

__all__ = ["Batches", "Elements", "Events", "PartialValues", "TextDeltas"]

_E = TypeVar("_E")
_MISSPELT: Final = 0.95  # similarity from which an unknown event name counts as a misspelt known one


class _View:
    __slots__ = ("_receive_more", "_received")

    def __init__(self, received: Callable[[], Iterator[Event]], receive_more: Callable[[], Awaitable[bool]]) -> None:
        # `received` returns the events that were read and not yet consumed. When they are used up, `receive_more` reads on;
        # it returns false at the end of the stream.
        self._received = received
        self._receive_more = receive_more

    def __aiter__(self) -> Self:
        return self


class Events(_View, Generic[_E]):
    """The events of some kinds. From :meth:`EventStream.events`."""

    __slots__ = ("_classes", "_names")

    def __init__(
        self,
        received: Callable[[], Iterator[Event]],
        receive_more: Callable[[], Awaitable[bool]],
        kinds: tuple[type[Event] | str, ...],
    ) -> None:
        super().__init__(received, receive_more)
        classes = tuple(kind for kind in kinds if not isinstance(kind, str))
        self._classes: tuple[type[object], ...] = classes if kinds else (object,)
        self._names = frozenset(_check_spelling(kind) for kind in kinds if isinstance(kind, str))

    async def __anext__(self) -> _E:
        classes, names = self._classes, self._names
        while True:
            for event in self._received():
                if isinstance(event, classes) or event.type in names:
                    return cast("_E", event)
            if not await self._receive_more():
                raise StopAsyncIteration


def _check_spelling(name: str) -> str:
    """Return the event name. An unknown name may be specific to a provider, so only a misspelt known name is refused."""
    near = () if name in EVENT_TYPES else difflib.get_close_matches(name, EVENT_TYPES, 1, _MISSPELT)
    if near:
        raise UsageError(f"unknown event type {name!r}: did you mean {near[0]!r}?")
    return name


class TextDeltas(_View):
    """The text of the response, piece by piece. From :meth:`EventStream.text_deltas`."""

    __slots__ = ("_pieces", "_texts")

    def __init__(
        self,
        received: Callable[[], Iterator[Event]],
        receive_more: Callable[[], Awaitable[bool]],
        texts: MessageTexts,
    ) -> None:
        super().__init__(received, receive_more)
        self._texts = texts
        self._pieces: deque[str] = deque()  # of an event that states more than one text

    async def __anext__(self) -> str:
        pieces, push = self._pieces, self._texts.push
        while True:
            if pieces:
                return pieces.popleft()
            for event in self._received():
                news = push(event)
                if news:
                    pieces.extend(new.text for new in news[1:])
                    return news[0].text
            if not await self._receive_more():
                raise StopAsyncIteration


class Batches(_View):
    """The events, in the lists in which they were received. From :meth:`EventStream.batches`."""

    __slots__ = ()

    async def __anext__(self) -> list[Event]:
        while True:
            batch = list(self._received())
            if batch:
                return batch
            if not await self._receive_more():
                raise StopAsyncIteration


class PartialValues(Generic[_E]):
    """The JSON value of the text so far, each time that more of it is known. From :meth:`EventStream.partial`.

    Values are plain JSON and are not changed after they were yielded. Iterating reads the stream, raises what reading it
    raises, and ends with it; then ``await stream.parse(T)`` returns the typed value.
    """

    __slots__ = ("_events", "_last", "_output")

    def __init__(self, events: AsyncIterator[Event], output: PartialOutput) -> None:
        self._events = events
        self._output = output
        self._last: object = UNSET

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _E:
        while True:
            event = await anext(self._events)
            if self._output.push(event):
                value = self._output.value
                if value is not UNSET and value != self._last:
                    self._last = value
                    return cast("_E", value)


class Elements(Generic[_E]):
    """The elements of the list in the text, each as soon as it is complete. From :meth:`EventStream.elements`."""

    __slots__ = ("_elements", "_events", "_waiting")

    def __init__(self, events: AsyncIterator[Event], elements: PartialElements[_E]) -> None:
        self._events = events
        self._elements = elements
        self._waiting: deque[tuple[int, JSONValue]] = deque()  # complete, and not yielded yet

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _E:
        while not self._waiting:
            self._waiting.extend(self._elements.push(await anext(self._events)))
        return self._elements.load(*self._waiting.popleft())
