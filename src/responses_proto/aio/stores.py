"""What a server remembers: responses, the items that they were made from, their events, and conversations.

:class:`Store` is what a server needs of any kind of memory. :class:`MemoryStore` forgets the oldest when it is full,
:class:`SQLiteStore` keeps everything in a file.

A store belongs to one server at a time: a response that is stored as running, and that the server does not run, is taken for
one that died with an earlier process.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

import attrs

from .._requests import id_of
from ..codec import default_converter, dumps
from ..exceptions import LocalProtocolError
from ..models.items import Item
from ..models.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..models.conversations import Conversation
    from ..models.events import Event

__all__ = ["MemoryStore", "Store", "StoredResponse", "WireEvent", "wire_event"]


@attrs.frozen
class WireEvent:
    """An event as it goes over the wire, encoded once for everybody that it goes to."""

    sequence_number: int
    type: str
    data: bytes
    """The event as JSON, UTF-8."""


def wire_event(event: Event) -> WireEvent:
    """Encode an event that has its number."""
    number = getattr(event, "sequence_number", 0)
    return WireEvent(number if isinstance(number, int) else 0, event.type, dumps(event))


@attrs.frozen(kw_only=True)
class StoredResponse:
    """A response and what it was made from."""

    response: Response
    input: list[Item]
    """The items of its own request, each with an id."""
    history: list[Item] | None = None
    """What came before the input, where that cannot be looked up: the response that this one follows was not stored."""

    @property
    def items(self) -> list[Item]:
        """What this turn adds to a history: its input, then its output."""
        return [*self.input, *self.response.output]


class Store(Protocol):
    """What a server needs of its memory. All of it may be called from any number of tasks at a time.

    What a method has returned from is kept: for a store on disk, though the process be killed right after. Errors of a
    store are the server's to log; its client is told no more than that there was one.
    """

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Keep a response in place of what was kept of it, all or nothing.

        ``events`` are added to its events, but for those whose number is there; ``conversation_items`` to the conversation that the
        response names, if that is still there.
        """
        ...

    async def find(self, response_id: str) -> StoredResponse | None:
        """Give a response."""
        ...

    async def delete(self, response_id: str) -> bool:
        """Forget a response and its events; tell whether there was one."""
        ...

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to those of a response, but for those whose number is there."""
        ...

    async def events(self, response_id: str) -> list[WireEvent]:
        """Give the events of a response, by number; empty if none were kept."""
        ...

    async def find_item(self, item_id: str) -> Item | None:
        """Give an item of the input or output of any response that is kept, for who refers to it by its id."""
        ...

    async def save_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation in place of what was kept of it. Its items stay."""
        ...

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Give a conversation."""
        ...

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation and its list of items; tell whether there was one."""
        ...

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation; tell whether there is one."""
        ...

    async def items(self, conversation_id: str) -> list[Item]:
        """Give the items of a conversation, the oldest first."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Take an item out of a conversation; tell whether it was there."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held open. Idempotent; the next call opens it again."""
        ...


# ---- as bytes


def _written(stored: StoredResponse) -> bytes:
    return dumps({"response": stored.response, "input": stored.input, "history": stored.history})


def _read(record: bytes) -> StoredResponse:
    converter = default_converter()
    value = converter.json.loads(record)
    history = value["history"]
    return StoredResponse(
        response=converter.load(value["response"], Response),
        input=converter.load(value["input"], list[Item]),
        history=None if history is None else converter.load(history, list[Item]),
    )


def _names(items: Iterable[Item]) -> list[str]:
    return [name for item in items if (name := id_of(item))]


# ---- in memory


class _Kept:
    """A response in memory: as bytes, whose number is known, and which nobody else can change."""

    def __init__(self) -> None:
        self.record = b""
        self.item_ids: list[str] = []
        self.events: dict[int, WireEvent] = {}
        self.size = 0

    def put(self, stored: StoredResponse) -> None:
        self.size -= len(self.record)
        self.record = _written(stored)
        self.size += len(self.record)
        self.item_ids = _names(stored.items)

    def add(self, events: Sequence[WireEvent]) -> None:
        for event in events:
            if event.sequence_number not in self.events:
                self.events[event.sequence_number] = event
                self.size += len(event.data)


class MemoryStore:
    """A store in memory, for one process and as long as that lives. When it is full, the oldest goes first.

    ``max_responses``: how many responses it keeps, and how many conversations. ``max_bytes``: how long the responses may be in
    total, as JSON, with their input and their events.
    """

    def __init__(self, *, max_responses: int = 10_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        if max_responses < 1 or max_bytes < 1:
            raise LocalProtocolError(
                "a store has room for one response at least: max_responses and max_bytes are above 0"
            )
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._size = 0
        self._responses: OrderedDict[str, _Kept] = OrderedDict()
        self._item_homes: dict[str, str] = {}
        self._conversations: OrderedDict[str, tuple[Conversation, list[Item]]] = OrderedDict()

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Keep a response; see :meth:`Store.save`."""
        response_id = stored.response.id
        kept = self._responses.setdefault(response_id, _Kept())
        before = kept.size
        kept.put(stored)
        kept.add(events)
        self._item_homes.update(dict.fromkeys(kept.item_ids, response_id))
        conversation = stored.response.conversation
        if conversation_items and conversation:
            await self.add_items(conversation.id, conversation_items)
        self._grow(kept.size - before)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Give a response."""
        kept = self._responses.get(response_id)
        return None if kept is None else _read(kept.record)

    async def delete(self, response_id: str) -> bool:
        """Forget a response and its events; tell whether there was one."""
        return self._forget(response_id)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to those of a response, but for those whose number is there."""
        kept = self._responses.get(response_id)
        if kept is not None:
            before = kept.size
            kept.add(events)
            self._grow(kept.size - before)

    async def events(self, response_id: str) -> list[WireEvent]:
        """Give the events of a response, by number; empty if none were kept."""
        kept = self._responses.get(response_id)
        return [] if kept is None else [kept.events[number] for number in sorted(kept.events)]

    async def find_item(self, item_id: str) -> Item | None:
        """Give an item of the input or output of any response that is kept."""
        stored = await self.find(self._item_homes.get(item_id, ""))
        return next((item for item in stored.items if id_of(item) == item_id), None) if stored else None

    async def save_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation in place of what was kept of it. Its items stay."""
        items = await self.items(conversation.id)
        self._conversations[conversation.id] = conversation, items
        while len(self._conversations) > self._max_responses:
            self._conversations.popitem(last=False)

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Give a conversation."""
        found = self._conversations.get(conversation_id)
        return None if found is None else found[0]

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation and its list of items; tell whether there was one."""
        return self._conversations.pop(conversation_id, None) is not None

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation; tell whether there is one."""
        found = self._conversations.get(conversation_id)
        if found is None:
            return False
        found[1].extend(items)
        return True

    async def items(self, conversation_id: str) -> list[Item]:
        """Give the items of a conversation, the oldest first."""
        found = self._conversations.get(conversation_id)
        return [] if found is None else [*found[1]]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Take an item out of a conversation; tell whether it was there."""
        items = self._conversations[conversation_id][1] if conversation_id in self._conversations else []
        place = next((index for index, item in enumerate(items) if id_of(item) == item_id), None)
        if place is not None:
            del items[place]
        return place is not None

    async def aclose(self) -> None:
        """Do nothing: memory holds nothing open."""

    def _grow(self, by: int) -> None:
        self._size += by
        while len(self._responses) > 1 and (len(self._responses) > self._max_responses or self._size > self._max_bytes):
            self._forget(next(iter(self._responses)))

    def _forget(self, response_id: str) -> bool:
        kept = self._responses.pop(response_id, None)
        if kept is None:
            return False
        self._size -= kept.size
        for item_id in kept.item_ids:
            if self._item_homes.get(item_id) == response_id:
                del self._item_homes[item_id]
        return True
