"""One store for many tenants, each of which sees only its own data.

Ids provide the isolation: :class:`TenantStore` adds a prefix, derived from the tenant's identity, to every id that it passes to the
underlying store, and removes the prefix from results. A client can never send an id that names data of another tenant, whatever the
store does with ids. Two tenants can have responses, conversations and items with the same id.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..models.items import Item, UnknownItem
from ..protocol._requests import id_of
from .stores._base import HistoryLink, StoredResponse, as_shared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..models.conversations import Conversation
    from ..models.response import Response
    from .stores import SharedStore, Signal, Store, WireEvent

_PREFIXED: Final = re.compile(r"(t-[0-9a-f]{40}\.)(.*)", re.DOTALL)


def prefix_of(identity: str) -> str:
    """Return the prefix of a tenant's ids in the underlying store."""
    return f"t-{hashlib.sha256(identity.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}."


def split_id(id_: str) -> tuple[str, str]:
    """Split an id of the underlying store into the tenant's prefix and the tenant's id. The prefix is empty without a tenant."""
    found = _PREFIXED.fullmatch(id_)
    return (found[1], found[2]) if found else ("", id_)


def id_in_store(store: Store, response_id: str) -> str:
    """Return the id of a response in the underlying store; the same id if ``store`` is not a tenant's."""
    return store.id_in_store(response_id) if isinstance(store, TenantStore) else response_id


def tenant_store(store: Store, prefix: str) -> TenantStore:
    """Return the part of a store that belongs to one tenant. It is shared if the store is."""
    shared = as_shared(store)
    return TenantStore(store, prefix) if shared is None else SharedTenantStore(shared, prefix)


class TenantStore:
    """The part of a :class:`~.stores.Store` that belongs to one tenant, as a store. Closing it does nothing."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        items = self._items(conversation_items, self._add)
        await self._store.save(self._stored(stored, self._add), events=events, conversation_items=items)

    async def find(self, response_id: str) -> StoredResponse | None:
        found = await self._store.find(self._add(response_id))
        return None if found is None else self._stored(found, self._remove)

    async def chain(self, response_id: str) -> list[HistoryLink]:
        return [self._link(link) for link in await self._store.chain(self._add(response_id))]

    async def delete(self, response_id: str) -> bool:
        return await self._store.delete(self._add(response_id))

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        await self._store.add_events(self._add(response_id), events)

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        return await self._store.events(self._add(response_id), after=after, max_bytes=max_bytes)

    async def find_item(self, item_id: str) -> Item | None:
        found = await self._store.find_item(self._add(item_id))
        return None if found is None else self._item(found, self._remove)

    async def save_conversation(self, conversation: Conversation) -> None:
        await self._store.save_conversation(attrs.evolve(conversation, id=self._add(conversation.id)))

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        found = await self._store.find_conversation(self._add(conversation_id))
        return None if found is None else attrs.evolve(found, id=self._remove(found.id))

    async def delete_conversation(self, conversation_id: str) -> bool:
        return await self._store.delete_conversation(self._add(conversation_id))

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        return await self._store.add_items(self._add(conversation_id), self._items(items, self._add))

    async def items(self, conversation_id: str) -> list[Item]:
        return self._items(await self._store.items(self._add(conversation_id)), self._remove)

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        return await self._store.delete_item(self._add(conversation_id), self._add(item_id))

    async def aclose(self) -> None:
        """Do nothing: the store belongs to all tenants."""

    # -- ids

    def id_in_store(self, response_id: str) -> str:
        return self._add(response_id)

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


class SharedTenantStore(TenantStore):
    """The part of a :class:`~.stores.SharedStore` that belongs to one tenant. The leases are those of the whole store."""

    def __init__(self, store: SharedStore, prefix: str) -> None:
        super().__init__(store, prefix)
        self._shared = store

    @property
    def lease_seconds(self) -> float | None:
        return self._shared.lease_seconds

    async def begin(self, stored: StoredResponse, *, owner: str, seconds: float) -> None:
        await self._shared.begin(self._stored(stored, self._add), owner=owner, seconds=seconds)

    async def save_leased(
        self,
        stored: StoredResponse,
        *,
        owner: str,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> bool:
        items = self._items(conversation_items, self._add)
        stored = self._stored(stored, self._add)
        return await self._shared.save_leased(stored, owner=owner, events=events, conversation_items=items)

    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:
        return await self._shared.add_events_leased(self._add(response_id), events, owner=owner)

    async def renew(self, owner: str, seconds: float) -> list[str]:
        """Renew all leases of an owner; see :meth:`SharedStore.renew`. Return the ids of the tenant's responses only."""
        return self._own(await self._shared.renew(owner, seconds))

    async def owner(self, response_id: str) -> str | None:
        return await self._shared.owner(self._add(response_id))

    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        return await self._shared.take_over(self._add(response_id), owner=owner, seconds=seconds)

    async def orphans(self) -> list[str]:
        return self._own(await self._shared.orphans())

    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:
        return await self._shared.watch(self._add(response_id), number, seconds)

    async def ask(self, response_id: str, what: Signal) -> bool:
        return await self._shared.ask(self._add(response_id), what)

    async def asked(self, owner: str, seconds: float) -> list[tuple[str, Signal]]:
        """Return the signals to an owner, for the responses of all tenants. Ids are those in the underlying store."""
        return await self._shared.asked(owner, seconds)

    async def remember(self, digest: str, response_id: str, *, instead_of: str | None = None) -> str:
        earlier = None if instead_of is None else self._add(instead_of)
        return self._remove(await self._shared.remember(digest, self._add(response_id), instead_of=earlier))

    async def recall(self, digest: str) -> str | None:
        """Return the id recorded by :meth:`remember`; ``None`` if there is none, or it belongs to another tenant."""
        noted = await self._shared.recall(digest)
        return self._remove(noted) if noted is not None and noted.startswith(self._prefix) else None

    def _own(self, ids: Sequence[str]) -> list[str]:
        return [self._remove(id_) for id_ in ids if id_.startswith(self._prefix)]
