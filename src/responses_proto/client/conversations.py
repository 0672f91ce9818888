"""Conversations that the server keeps, and their items (Conversations)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..models.conversations import (
    Conversation,
    ConversationItemList,
    CreateConversation,
    CreateConversationItems,
    DeletedConversation,
    UpdateConversation,
)
from ..models.items import Item
from ..typing import UNSET
from ._calls import query
from .pages import ItemPages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..models.config import Include, Order
    from ..typing import JSONObject
    from ._calls import ClientCore
    from .timeouts import Timeouts

__all__ = ["ConversationItems", "Conversations"]


class Conversations:
    """The conversations of a server: ``client.conversations``. Each method raises what :meth:`ResponsesClient.create` does."""

    def __init__(self, caller: Callable[[], ClientCore]) -> None:
        self._caller = caller
        self.items: ConversationItems = ConversationItems(caller)
        """The items of conversations."""

    async def create(
        self,
        *,
        items: Sequence[Item | JSONObject] | None = None,
        metadata: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Conversation:
        """Make a conversation, with ``items`` to begin with (Conversations, Create)."""
        body = CreateConversation(
            items=UNSET if items is None else cast("Sequence[Item]", items),
            metadata=UNSET if metadata is None else metadata,
        )
        caller = self._caller()
        plan = caller.plan("conversations.create", "POST", ["conversations"], content=body, timeouts=timeouts)
        return cast("Conversation", await caller.fetch(plan, Conversation))

    async def retrieve(self, conversation_id: str, *, timeouts: Timeouts | None = None) -> Conversation:
        """Fetch a conversation, without its items (Conversations, Retrieve)."""
        caller = self._caller()
        plan = caller.plan("conversations.retrieve", "GET", ["conversations", conversation_id], timeouts=timeouts)
        return cast("Conversation", await caller.fetch(plan, Conversation))

    async def update(
        self, conversation_id: str, *, metadata: Mapping[str, str] | None, timeouts: Timeouts | None = None
    ) -> Conversation:
        """Put other metadata in the place of what there was (Conversations, Update)."""
        caller = self._caller()
        plan = caller.plan(
            "conversations.update",
            "POST",
            ["conversations", conversation_id],
            content=UpdateConversation(metadata=metadata),
            timeouts=timeouts,
        )
        return cast("Conversation", await caller.fetch(plan, Conversation))

    async def delete(self, conversation_id: str, *, timeouts: Timeouts | None = None) -> DeletedConversation:
        """Delete a conversation, but not its items (Conversations, Delete)."""
        caller = self._caller()
        plan = caller.plan("conversations.delete", "DELETE", ["conversations", conversation_id], timeouts=timeouts)
        gone: JSONObject = {"id": conversation_id, "object": DeletedConversation.object, "deleted": True}
        return cast("DeletedConversation", await caller.fetch(plan, DeletedConversation, empty=gone))


class ConversationItems:
    """The items of conversations: ``client.conversations.items``."""

    def __init__(self, caller: Callable[[], ClientCore]) -> None:
        self._caller = caller

    def list(
        self,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: Order | None = None,
        include: Sequence[Include] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ItemPages:
        """Iterate over the items, fetched in pages of ``limit`` (Conversations, List items).

        ``after`` is the id of the item to begin behind. OpenAI's order is ``desc``, the newest first, unless said otherwise.
        """
        caller = self._caller()
        path = ["conversations", conversation_id, "items"]

        async def fetch(after: str | None) -> ConversationItemList:
            params = query(after=after, limit=limit, order=order, include=include)
            plan = caller.plan("conversations.items.list", "GET", path, params=params, timeouts=timeouts)
            return cast("ConversationItemList", await caller.fetch(plan, ConversationItemList))

        return ItemPages(fetch, after=after)

    async def create(
        self,
        conversation_id: str,
        items: Sequence[Item | JSONObject],
        *,
        include: Sequence[Include] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ConversationItemList:
        """Add items; gives them as the server has them now (Conversations, Create items)."""
        caller = self._caller()
        plan = caller.plan(
            "conversations.items.create",
            "POST",
            ["conversations", conversation_id, "items"],
            content=CreateConversationItems(items=cast("Sequence[Item]", items)),
            params=query(include=include),
            timeouts=timeouts,
        )
        return cast("ConversationItemList", await caller.fetch(plan, ConversationItemList))

    async def retrieve(
        self,
        conversation_id: str,
        item_id: str,
        *,
        include: Sequence[Include] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Item:
        """Fetch one item (Conversations, Retrieve an item)."""
        caller = self._caller()
        plan = caller.plan(
            "conversations.items.retrieve",
            "GET",
            ["conversations", conversation_id, "items", item_id],
            params=query(include=include),
            timeouts=timeouts,
        )
        item: Item = await caller.fetch(plan, Item)
        return item

    async def delete(self, conversation_id: str, item_id: str, *, timeouts: Timeouts | None = None) -> Conversation:
        """Take an item out; gives the conversation (Conversations, Delete an item)."""
        caller = self._caller()
        plan = caller.plan(
            "conversations.items.delete",
            "DELETE",
            ["conversations", conversation_id, "items", item_id],
            timeouts=timeouts,
        )
        return cast("Conversation", await caller.fetch(plan, Conversation))
