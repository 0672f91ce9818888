"""A store in memory."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from ...codec import dumps, loads
from ...exceptions import APIError, UsageError
from ...models.conversations import Conversation
from ...protocol._requests import id_of, weight_of
from ._base import HistoryLink, StoredResponse, WireEvent, chain_of, decode_stored, encode_stored, item_ids, item_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...models.items import Item

_R = TypeVar("_R", "_Record", "_ConversationRecord")

_OVERHEAD: Final = 200  # approximate bytes that an item or event takes besides its JSON


class _Record:
    """One response, kept as bytes so that its size is known and it cannot change."""

    def __init__(self) -> None:
        self.data = b""
        self.item_ids: list[str] = []
        self.events: dict[int, WireEvent] = {}
        self.numbers: list[int] = []  # of the events, in order
        self.size = 0
        self.age = 0

    def replace(self, data: bytes, ids: list[str]) -> None:
        self.size += len(data) - len(self.data)
        self.data = data
        self.item_ids = ids

    def add(self, events: Sequence[WireEvent]) -> None:
        for event in events:
            if event.sequence_number not in self.events:
                self.events[event.sequence_number] = event
                bisect.insort(self.numbers, event.sequence_number)
                self.size += len(event.data) + _OVERHEAD


_Entries: TypeAlias = "dict[tuple[str, str] | int, tuple[Item, int]]"
"""`item_key`, or a number for an item without an id -> item and its size in bytes."""


class _ConversationRecord:
    """One conversation."""

    def __init__(self) -> None:
        self.data = b""
        self.entries: _Entries = {}
        self.size = 0
        self.age = 0
        self._number = 0

    def replace(self, conversation: Conversation) -> None:
        self.size -= len(self.data)
        self.data = dumps(conversation)
        self.size += len(self.data)

    def missing(self, items: Sequence[Item]) -> _Entries:
        """Return the items that are not in the conversation yet."""
        found: _Entries = {}
        for item in items:
            self._number += 1
            key = item_key(item) or self._number
            if key not in self.entries and key not in found:
                found[key] = item, weight_of(item) + _OVERHEAD
        return found

    def add(self, entries: _Entries) -> None:
        self.entries |= entries
        self.size += _size_of(entries)

    def remove(self, item_id: str) -> bool:
        key = next((key for key in self.entries if not isinstance(key, int) and key[1] == item_id), None)
        if key is None:
            return False
        self.size -= self.entries.pop(key)[1]
        return True


def _size_of(entries: _Entries) -> int:
    return sum(size for _, size in entries.values())


class MemoryStore:
    """A :class:`Store` in memory, for one process. When it is full, it drops the oldest data first.

    The age of a response counts from its creation, that of a conversation from the last write to it.

    ``max_responses`` is the maximum number of responses, and also of conversations. ``max_bytes`` limits the total size of both: their
    JSON, with input, items and events. The newest response is kept even if it is larger than that. A conversation cannot grow beyond
    ``max_bytes``: adding more items raises ``APIError`` (507).

    Raises ``UsageError`` if a limit is below 1.
    """

    def __init__(self, *, max_responses: int = 10_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        for name, limit in (("max_responses", max_responses), ("max_bytes", max_bytes)):
            if limit < 1:
                raise UsageError(f"{name} must be at least 1, got {limit}")
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._size = 0
        self._age = 0  # counts the writes
        # In the order of their ages: responses since they were created, conversations since their last write.
        self._responses: OrderedDict[str, _Record] = OrderedDict()
        self._conversations: OrderedDict[str, _ConversationRecord] = OrderedDict()
        self._homes_of_item: dict[str, dict[str, None]] = {}  # item id -> responses that have it, oldest first

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response; see :meth:`Store.save`."""
        response_id = stored.response.id
        conversation = stored.response.conversation
        data = await encode_stored(stored)  # the rest runs without awaiting, so it is atomic
        if conversation_items and conversation:
            self._add_items(conversation.id, conversation_items)
        record = self._responses.setdefault(response_id, _Record())
        size_before, ids_before = record.size, record.item_ids
        record.replace(data, item_ids(stored.items))
        record.add(events)
        self._forget_homes(response_id, set(ids_before) - set(record.item_ids))
        for item_id in record.item_ids:
            self._homes_of_item.setdefault(item_id, {})[response_id] = None
        self._touch(self._responses, response_id, record, size_before)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response; see :meth:`Store.find`."""
        record = self._responses.get(response_id)
        return None if record is None else await decode_stored(record.data)

    async def chain(self, response_id: str) -> list[HistoryLink]:
        """Return a response and those before it; see :meth:`Store.chain`."""
        return chain_of(response_id, lambda id_: record.data if (record := self._responses.get(id_)) else None)

    async def delete(self, response_id: str) -> bool:
        """Delete a response; see :meth:`Store.delete`."""
        return self._drop_response(response_id)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response; see :meth:`Store.add_events`. Events of a response that was dropped are ignored."""
        record = self._responses.get(response_id)
        if record is not None:
            size_before = record.size
            record.add(events)
            self._touch(self._responses, response_id, record, size_before)

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        """Return the events of a response; see :meth:`Store.events`."""
        record = self._responses.get(response_id)
        found: list[WireEvent] = []
        size = 0
        if record is None:
            return found
        for index in range(bisect.bisect_right(record.numbers, after), len(record.numbers)):
            found.append(record.events[record.numbers[index]])
            size += len(found[-1].data)
            if max_bytes is not None and size >= max_bytes:
                break
        return found

    async def find_item(self, item_id: str) -> Item | None:
        """Return an item of any response; see :meth:`Store.find_item`."""
        response_id = next(iter(self._homes_of_item.get(item_id, ())), "")
        stored = await self.find(response_id)
        return next((item for item in stored.items if id_of(item) == item_id), None) if stored else None

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation; see :meth:`Store.save_conversation`."""
        record = self._conversations.setdefault(conversation.id, _ConversationRecord())
        size_before = record.size
        record.replace(conversation)
        self._touch(self._conversations, conversation.id, record, size_before)

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see :meth:`Store.find_conversation`."""
        record = self._conversations.get(conversation_id)
        return None if record is None else loads(record.data, Conversation)

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation; see :meth:`Store.delete_conversation`."""
        return self._drop_conversation(conversation_id)

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation; see :meth:`Store.add_items`. Raises ``APIError`` (507) if it would become too large."""
        return self._add_items(conversation_id, items)

    def _add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        record = self._conversations.get(conversation_id)
        if record is None:
            return False
        missing = record.missing(items)
        if record.size + _size_of(missing) > self._max_bytes:
            message = "The conversation is full: the server keeps no more of it. Start another one."
            raise APIError.for_status(507)(message, status=507, type="server_error", code="conversation_full")
        size_before = record.size
        record.add(missing)
        self._touch(self._conversations, conversation_id, record, size_before)
        return True

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation; see :meth:`Store.items`."""
        record = self._conversations.get(conversation_id)
        return [] if record is None else [item for item, _ in record.entries.values()]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete an item from a conversation; see :meth:`Store.delete_item`."""
        record = self._conversations.get(conversation_id)
        if record is None:
            return False
        size_before = record.size
        removed = record.remove(item_id)
        self._size += record.size - size_before
        return removed

    async def aclose(self) -> None:
        """Do nothing: there are no files or connections to close."""

    def _touch(self, records: OrderedDict[str, _R], key: str, record: _R, size_before: int) -> None:
        """Update the age and size of a record after a write, and drop the oldest records if a limit is exceeded."""
        if not record.age or isinstance(record, _ConversationRecord):
            self._age += 1
            record.age = self._age
            records.move_to_end(key)
        self._size += record.size - size_before
        while len(self._responses) > self._max_responses:
            self._drop_response(next(iter(self._responses)))
        while len(self._conversations) > self._max_responses:
            self._drop_conversation(next(iter(self._conversations)))
        while self._size > self._max_bytes and len(self._responses) + len(self._conversations) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        response = next(iter(self._responses.items()), None)
        conversation = next(iter(self._conversations.items()), None)
        if conversation is None or (response is not None and response[1].age < conversation[1].age):
            self._drop_response(next(iter(self._responses)))
        else:
            self._drop_conversation(conversation[0])

    def _drop_response(self, response_id: str) -> bool:
        record = self._responses.pop(response_id, None)
        if record is None:
            return False
        self._size -= record.size
        self._forget_homes(response_id, record.item_ids)
        return True

    def _forget_homes(self, response_id: str, item_ids: Iterable[str]) -> None:
        for item_id in item_ids:
            homes = self._homes_of_item.get(item_id, {})
            homes.pop(response_id, None)
            if not homes:
                self._homes_of_item.pop(item_id, None)

    def _drop_conversation(self, conversation_id: str) -> bool:
        record = self._conversations.pop(conversation_id, None)
        if record is None:
            return False
        self._size -= record.size
        return True
