"""The endpoints of conversations and their items (OpenAI API reference, Conversations)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import attrs

from ..models.conversations import (
    Conversation,
    ConversationItemList,
    CreateConversation,
    CreateConversationItems,
    DeletedConversation,
    UpdateConversation,
)
from ..protocol._requests import id_of, invalid, not_found, page_of, read_list_params
from ._http import json_response, path_param

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request

    from ..models._base import Model
    from ._http import ASGI
    from .service import Service

_M = TypeVar("_M", bound="Model")


class ReadModel(Protocol):
    """Reads the body of a request as a model. ``default`` replaces an empty body."""

    async def __call__(
        self, request: Request, cls: type[_M], *, required: Sequence[str] = (), default: bytes = b""
    ) -> _M:
        """Return the body. Raises ``APIError`` if it is invalid."""
        ...


class ConversationPaths:
    """The endpoints under ``/conversations``. ``service`` returns the service for a request; ``read`` reads its body as a model."""

    def __init__(self, service: Callable[[Request], Service], read: ReadModel) -> None:
        self._service = service
        self._read = read

    def paths(self) -> Mapping[str, Mapping[str, Callable[[Request], Awaitable[ASGI]]]]:
        """Return the endpoints: path -> method -> endpoint."""
        return {
            "/conversations": {"POST": self._create},
            "/conversations/{conversation_id}": {"GET": self._retrieve, "POST": self._update, "DELETE": self._delete},
            "/conversations/{conversation_id}/items": {"GET": self._list_items, "POST": self._add_items},
            "/conversations/{conversation_id}/items/{item_id}": {"GET": self._get_item, "DELETE": self._delete_item},
        }

    async def _get_conversation(self, request: Request) -> Conversation:
        conversation_id = path_param(request, "conversation_id")
        conversation = await self._service(request).store.find_conversation(conversation_id)
        if conversation is None:
            raise not_found("conversation", conversation_id, "conversation_id")
        return conversation

    async def _create(self, request: Request) -> ASGI:
        service = self._service(request)
        body = await self._read(request, CreateConversation, default=b"{}")
        items = await service.normalize(body.items or (), (), "items")
        conversation = Conversation(
            id=service.ids("conv"),
            created_at=int(service.clock()),
            metadata=body.metadata or {},
        )
        await service.store.save_conversation(conversation)
        await service.store.add_items(conversation.id, items)
        return await json_response(conversation)

    async def _retrieve(self, request: Request) -> ASGI:
        return await json_response(await self._get_conversation(request))

    async def _update(self, request: Request) -> ASGI:
        body = await self._read(request, UpdateConversation)
        changed = attrs.evolve(await self._get_conversation(request), metadata=body.metadata or {})
        await self._service(request).store.save_conversation(changed)
        return await json_response(changed)

    async def _delete(self, request: Request) -> ASGI:
        conversation = await self._get_conversation(request)
        await self._service(request).store.delete_conversation(conversation.id)
        return await json_response(DeletedConversation(id=conversation.id, deleted=True))

    async def _list_items(self, request: Request) -> ASGI:
        params = read_list_params(request.query_params.multi_items())
        conversation = await self._get_conversation(request)
        page = page_of(await self._service(request).store.items(conversation.id), params)
        return await json_response(
            ConversationItemList(data=page.data, first_id=page.first_id, last_id=page.last_id, has_more=page.has_more)
        )

    async def _add_items(self, request: Request) -> ASGI:
        service = self._service(request)
        body = await self._read(request, CreateConversationItems, required=["items"])
        conversation = await self._get_conversation(request)
        async with service.locked(conversation.id):
            items = await service.normalize(body.items, await service.store.items(conversation.id), "items")
            if not items:
                raise invalid("All of the items are in the conversation already.", "items", "duplicate_item")
            if not await service.store.add_items(conversation.id, items):
                raise not_found("conversation", conversation.id, "conversation_id")  # deleted in the meantime
        return await json_response(
            ConversationItemList(data=items, first_id=id_of(items[0]), last_id=id_of(items[-1]), has_more=False)
        )

    async def _get_item(self, request: Request) -> ASGI:
        conversation = await self._get_conversation(request)
        item_id = path_param(request, "item_id")
        for item in await self._service(request).store.items(conversation.id):
            if id_of(item) == item_id:
                return await json_response(item)
        raise not_found("item", item_id, "item_id")

    async def _delete_item(self, request: Request) -> ASGI:
        conversation = await self._get_conversation(request)
        item_id = path_param(request, "item_id")
        if not await self._service(request).store.delete_item(conversation.id, item_id):
            raise not_found("item", item_id, "item_id")
        return await json_response(conversation)
