"""Model the conversations that a server stores, and the requests for them (Conversations)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from ..typing import UNSET, Unset
from ._base import Model, model
from .config import Include
from .items import Item

__all__ = [
    "Conversation",
    "ConversationItemList",
    "ConversationItemParams",
    "CreateConversation",
    "CreateConversationItems",
    "DeletedConversation",
    "UpdateConversation",
]


@model
class Conversation(Model):
    """A conversation, without its items: `conversation` (Conversations)."""

    object: ClassVar[Literal["conversation"]] = "conversation"
    id: str
    created_at: int
    """Seconds since 1970."""
    metadata: Mapping[str, str] | None


@model
class CreateConversation(Model):
    """The body that creates a conversation (Conversations, Create)."""

    items: Sequence[Item] | None | Unset = UNSET
    """The initial items; OpenAI accepts at most 20."""
    metadata: Mapping[str, str] | None | Unset = UNSET


@model
class UpdateConversation(Model):
    """The body that updates a conversation (Conversations, Update)."""

    metadata: Mapping[str, str] | None
    """Replaces the metadata of the conversation."""


@model
class DeletedConversation(Model):
    """The confirmation that a conversation was deleted: `conversation.deleted` (Conversations, Delete). Its items are kept."""

    object: ClassVar[Literal["conversation.deleted"]] = "conversation.deleted"
    id: str
    deleted: bool


@model
class CreateConversationItems(Model):
    """The body that adds items to a conversation (Conversations, Create items)."""

    items: Sequence[Item]
    """The items to add; OpenAI accepts at most 20."""


@model
class ConversationItemParams(Model):
    """The query parameters for adding items and for retrieving one (Conversations, Create items, Retrieve an item)."""

    include: Sequence[Include] | Unset = UNSET


@model
class ConversationItemList(Model):
    """A page of a conversation's items, or the items just added: `list` (Conversations, List items)."""

    object: ClassVar[Literal["list"]] = "list"
    data: list[Item]
    first_id: str | None
    """Null on an empty page."""
    last_id: str | None
    """The value of `after` for the next page; null on an empty page."""
    has_more: bool
