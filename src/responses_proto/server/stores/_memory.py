"""A store in memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from ...exceptions import UsageError
from ...protocol._requests import id_of
from ._base import StoredResponse, WireEvent, decode_stored, encode_stored, item_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...models.conversations import Conversation
    from ...models.items import Item

__all__ = ["MemoryStore"]


class _Record:
    """One response. It is kept as bytes, so that its size is known and it cannot be changed."""

    def __init__(self) -> None:
        self.data = b""
        self.item_ids: list[str] = []
        self.events: dict[int, WireEvent] = {}
        self.size = 0

    def replace(self, stored: StoredResponse) -> None:
        self.size -= len(self.data)
        self.data = encode_stored(stored)
        self.size += len(self.data)
        self.item_ids = item_ids(stored.items)

    def add(self, events: Sequence[WireEvent]) -> None:
        for event in events:
            if event.sequence_number not in self.events:
                self.events[event.sequence_number] = event
                self.size += len(event.data)


class MemoryStore:
    """A :class:`Store` in memory, for one process. When it is full, it drops the oldest responses first.

    ``max_responses`` is the number of responses to keep, and also the number of conversations. ``max_bytes`` limits the total
    size of the responses: their JSON, with input and events. The newest response is kept even if it is larger than that.

    Raises ``UsageError`` if a limit is below 1.
    """

    def __init__(self, *, max_responses: int = 10_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        for name, limit in (("max_responses", max_responses), ("max_bytes", max_bytes)):
            if limit < 1:
                raise UsageError(f"{name} must be at least 1, got {limit}")
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._size = 0
        self._responses: OrderedDict[str, _Record] = OrderedDict()
        self._response_of_item: dict[str, str] = {}
        self._conversations: OrderedDict[str, tuple[Conversation, list[Item]]] = OrderedDict()

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response; see :meth:`Store.save`."""
        response_id = stored.response.id
        record = self._responses.setdefault(response_id, _Record())
        size_before = record.size
        record.replace(stored)
        record.add(events)
        self._response_of_item.update(dict.fromkeys(record.item_ids, response_id))
        conversation = stored.response.conversation
        if conversation_items and conversation:
            await self.add_items(conversation.id, conversation_items)
        self._grow(record.size - size_before)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response; see :meth:`Store.find`."""
        record = self._responses.get(response_id)
        return None if record is None else decode_stored(record.data)

    async def delete(self, response_id: str) -> bool:
        """Delete a response; see :meth:`Store.delete`."""
        return self._drop(response_id)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response; see :meth:`Store.add_events`. Events of a response that was dropped are ignored."""
        record = self._responses.get(response_id)
        if record is not None:
            size_before = record.size
            record.add(events)
            self._grow(record.size - size_before)

    async def events(self, response_id: str) -> list[WireEvent]:
        """Return the events of a response; see :meth:`Store.events`."""
        record = self._responses.get(response_id)
        return [] if record is None else [record.events[number] for number in sorted(record.events)]

    async def find_item(self, item_id: str) -> Item | None:
        """Return an item of any response; see :meth:`Store.find_item`."""
        stored = await self.find(self._response_of_item.get(item_id, ""))
        return next((item for item in stored.items if id_of(item) == item_id), None) if stored else None

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation; see :meth:`Store.save_conversation`. The oldest is dropped if there are too many."""
        items = await self.items(conversation.id)
        self._conversations[conversation.id] = conversation, items
        while len(self._conversations) > self._max_responses:
            self._conversations.popitem(last=False)

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see :meth:`Store.find_conversation`."""
        found = self._conversations.get(conversation_id)
        return None if found is None else found[0]

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation; see :meth:`Store.delete_conversation`."""
        return self._conversations.pop(conversation_id, None) is not None

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation; see :meth:`Store.add_items`."""
        found = self._conversations.get(conversation_id)
        if found is None:
            return False
        found[1].extend(items)
        return True

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation; see :meth:`Store.items`."""
        found = self._conversations.get(conversation_id)
        return [] if found is None else [*found[1]]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete an item from a conversation; see :meth:`Store.delete_item`."""
        items = self._conversations[conversation_id][1] if conversation_id in self._conversations else []
        position = next((index for index, item in enumerate(items) if id_of(item) == item_id), None)
        if position is not None:
            del items[position]
        return position is not None

    async def aclose(self) -> None:
        """Do nothing: there are no files or connections to close."""

    def _grow(self, added_bytes: int) -> None:
        self._size += added_bytes
        while len(self._responses) > 1 and (len(self._responses) > self._max_responses or self._size > self._max_bytes):
            self._drop(next(iter(self._responses)))

    def _drop(self, response_id: str) -> bool:
        record = self._responses.pop(response_id, None)
        if record is None:
            return False
        self._size -= record.size
        for item_id in record.item_ids:
            if self._response_of_item.get(item_id) == response_id:
                del self._response_of_item[item_id]
        return True
