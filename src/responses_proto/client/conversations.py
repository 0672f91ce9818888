"""Conversations that the server stores, and their items (Conversations)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast

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
from ._calls import CallFields, CallOptions, query_params
from .pages import ItemPages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..models.config import Include, Order
    from ..typing import JSONObject
    from ._calls import ClientCore

__all__ = ["ConversationItems", "Conversations"]


class Conversations:
    """The conversations of a server, as ``client.conversations``.

    To use one, pass ``conversation=conversation.id`` to :meth:`ResponsesClient.create` or :meth:`~ResponsesClient.stream`.
    Each method raises what :meth:`ResponsesClient.retrieve` raises. ``timeouts``, ``retry``, ``headers``
    and ``extra_query`` are those of :meth:`ResponsesClient.create`.
    """

    def __init__(self, core: Callable[[], ClientCore]) -> None:
        # `core` returns the client's core; it raises if the client is closed.
        self._core = core
        self.items: ConversationItems = ConversationItems(core)
        """The items of conversations."""

    async def create(
        self,
        *,
        items: Sequence[Item | JSONObject] | None = None,
        metadata: Mapping[str, str] | None = None,
        **options: Unpack[CallFields],
    ) -> Conversation:
        """Create a conversation (Conversations, Create).

        ``items`` are its first items, as models or wire objects; ``metadata`` is up to 16 pairs of strings.
        """
        body = CreateConversation(
            items=UNSET if items is None else cast("Sequence[Item]", items),
            metadata=UNSET if metadata is None else metadata,
        )
        return await self._core().call(
            "conversations.create",
            "POST",
            ["conversations"],
            Conversation,
            content=body,
            options=CallOptions(**options),
        )

    async def retrieve(self, conversation_id: str, **options: Unpack[CallFields]) -> Conversation:
        """Return a conversation without its items (Conversations, Retrieve). For those, see :attr:`items`."""
        path = ["conversations", conversation_id]
        return await self._core().call(
            "conversations.retrieve", "GET", path, Conversation, options=CallOptions(**options)
        )

    async def update(
        self, conversation_id: str, *, metadata: Mapping[str, str] | None, **options: Unpack[CallFields]
    ) -> Conversation:
        """Replace the metadata of a conversation and return it (Conversations, Update)."""
        return await self._core().call(
            "conversations.update",
            "POST",
            ["conversations", conversation_id],
            Conversation,
            content=UpdateConversation(metadata=metadata),
            options=CallOptions(**options),
        )

    async def delete(self, conversation_id: str, **options: Unpack[CallFields]) -> DeletedConversation:
        """Delete a conversation. Its items are not deleted (Conversations, Delete)."""
        return await self._core().call(
            "conversations.delete",
            "DELETE",
            ["conversations", conversation_id],
            DeletedConversation,
            options=CallOptions(**options),
            if_empty={"id": conversation_id, "object": DeletedConversation.object, "deleted": True},
        )


class ConversationItems:
    """The items of conversations, as ``client.conversations.items``.

    Each method raises what :meth:`ResponsesClient.retrieve` raises. ``include`` names additional data to return with the
    items, such as ``message.output_text.logprobs``.
    """

    def __init__(self, core: Callable[[], ClientCore]) -> None:
        self._core = core

    def list(
        self,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: Order | None = None,
        include: Sequence[Include] | None = None,
        **options: Unpack[CallFields],
    ) -> ItemPages:
        """Iterate over the items of a conversation (Conversations, List items): ``async for item in ...``.

        They are fetched in pages of ``limit`` items. ``after`` is the id of the item after which to begin. ``order`` is ``asc``
        or ``desc``; OpenAI's default is ``desc``, the newest first.
        """
        core = self._core()
        path = ["conversations", conversation_id, "items"]

        async def fetch(after: str | None) -> ConversationItemList:
            params = query_params(after=after, limit=limit, order=order, include=include)
            return await core.call(
                "conversations.items.list",
                "GET",
                path,
                ConversationItemList,
                params=params,
                options=CallOptions(**options),
            )

        return ItemPages(fetch, after=after)

    async def create(
        self,
        conversation_id: str,
        items: Sequence[Item | JSONObject],
        *,
        include: Sequence[Include] | None = None,
        **options: Unpack[CallFields],
    ) -> ConversationItemList:
        """Add items to a conversation and return them as the server stored them (Conversations, Create items).

        ``items`` are models or wire objects.
        """
        return await self._core().call(
            "conversations.items.create",
            "POST",
            ["conversations", conversation_id, "items"],
            ConversationItemList,
            content=CreateConversationItems(items=cast("Sequence[Item]", items)),
            params=query_params(include=include),
            options=CallOptions(**options),
        )

    async def retrieve(
        self,
        conversation_id: str,
        item_id: str,
        *,
        include: Sequence[Include] | None = None,
        **options: Unpack[CallFields],
    ) -> Item:
        """Return one item (Conversations, Retrieve an item)."""
        item: Item = await self._core().call(
            "conversations.items.retrieve",
            "GET",
            ["conversations", conversation_id, "items", item_id],
            cast("Any", Item),  # a union of classes, which `type[T]` does not cover
            params=query_params(include=include),
            options=CallOptions(**options),
        )
        return item

    async def delete(self, conversation_id: str, item_id: str, **options: Unpack[CallFields]) -> Conversation:
        """Remove an item and return the conversation (Conversations, Delete an item)."""
        path = ["conversations", conversation_id, "items", item_id]
        return await self._core().call(
            "conversations.items.delete", "DELETE", path, Conversation, options=CallOptions(**options)
        )
