"""One store for many tenants, each of which sees only what is its own.

The isolation is in the ids: :class:`TenantStore` adds a prefix, made of the tenant's identity, to every id that it passes to the store
behind it, and removes it from what comes back. No id that a client can send names anything of another tenant, whatever the store does
with ids; and two tenants can have responses, conversations and items with the same id.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import attrs

from ..models.items import Item, UnknownItem
from ..protocol._requests import id_of
from .stores._base import HistoryLink, StoredResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..models.conversations import Conversation
    from ..models.response import Response
    from .stores import Store, WireEvent

__all__ = ["TenantStore"]


class TenantStore:
    """The part of a :class:`~.stores.Store` that belongs to one tenant. Itself a store; closing it does nothing."""

    def __init__(self, store: Store, identity: str) -> None:
        self._store = store
        self._prefix = f"t-{hashlib.sha256(identity.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}."

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response; see :meth:`Store.save`."""
        items = self._items(conversation_items, self._add)
        await self._store.save(self._stored(stored, self._add), events=events, conversation_items=items)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response; see :meth:`Store.find`."""
        found = await self._store.find(self._add(response_id))
        return None if found is None else self._stored(found, self._remove)

    async def chain(self, response_id: str) -> list[HistoryLink]:
        """Return a response and those before it; see :meth:`Store.chain`."""
        return [self._link(link) for link in await self._store.chain(self._add(response_id))]

    async def delete(self, response_id: str) -> bool:
        """Delete a response; see :meth:`Store.delete`."""
        return await self._store.delete(self._add(response_id))

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response; see :meth:`Store.add_events`."""
        await self._store.add_events(self._add(response_id), events)

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        """Return the events of a response; see :meth:`Store.events`."""
        return await self._store.events(self._add(response_id), after=after, max_bytes=max_bytes)

    async def find_item(self, item_id: str) -> Item | None:
        """Return an item of any response of the tenant; see :meth:`Store.find_item`."""
        found = await self._store.find_item(self._add(item_id))
        return None if found is None else self._item(found, self._remove)

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation; see :meth:`Store.save_conversation`."""
        await self._store.save_conversation(attrs.evolve(conversation, id=self._add(conversation.id)))

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see :meth:`Store.find_conversation`."""
        found = await self._store.find_conversation(self._add(conversation_id))
        return None if found is None else attrs.evolve(found, id=self._remove(found.id))

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation; see :meth:`Store.delete_conversation`."""
        return await self._store.delete_conversation(self._add(conversation_id))

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation; see :meth:`Store.add_items`."""
        return await self._store.add_items(self._add(conversation_id), self._items(items, self._add))

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation; see :meth:`Store.items`."""
        return self._items(await self._store.items(self._add(conversation_id)), self._remove)

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete an item from a conversation; see :meth:`Store.delete_item`."""
        return await self._store.delete_item(self._add(conversation_id), self._add(item_id))

    async def aclose(self) -> None:
        """Do nothing: the store belongs to all tenants."""

    # -- ids

    def _add(self, id_: str) -> str:
        return f"{self._prefix}{id_}"

    def _remove(self, id_: str) -> str:
        return id_.removeprefix(self._prefix)

    def _stored(self, stored: StoredResponse, change: Callable[[str], str]) -> StoredResponse:
        return StoredResponse(
            response=self._response(stored.response, change),
            input=self._items(stored.input, change),
            history=None if stored.history is None else self._items(stored.history, change),
        )

    def _response(self, response: Response, change: Callable[[str], str]) -> Response:
        changes: dict[str, Any] = {"id": change(response.id), "output": self._items(response.output, change)}
        if response.previous_response_id:
            changes["previous_response_id"] = change(response.previous_response_id)
        if response.conversation:
            changes["conversation"] = attrs.evolve(response.conversation, id=change(response.conversation.id))
        return attrs.evolve(response, **changes)

    def _link(self, link: HistoryLink) -> HistoryLink:
        previous, conversation = link.previous_response_id, link.conversation_id
        return attrs.evolve(
            link,
            id=self._remove(link.id),
            items=self._items(link.items, self._remove),
            history=None if link.history is None else self._items(link.history, self._remove),
            previous_response_id=previous and self._remove(previous),
            conversation_id=conversation and self._remove(conversation),
        )

    def _items(self, items: Sequence[Item], change: Callable[[str], str]) -> list[Item]:
        return [self._item(item, change) for item in items]

    @staticmethod
    def _item(item: Item, change: Callable[[str], str]) -> Item:
        item_id = id_of(item)
        if not item_id:
            return item
        if isinstance(item, UnknownItem):
            return attrs.evolve(item, raw={**item.raw, "id": change(item_id)}) if isinstance(item.raw, dict) else item
        changes: dict[str, Any] = {"id": change(item_id)}
        return attrs.evolve(item, **changes)
