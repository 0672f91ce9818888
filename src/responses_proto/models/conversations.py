"""Conversations that the server keeps, and their items (Conversations)."""

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
    """The body that makes a conversation (Conversations, Create)."""

    items: Sequence[Item] | None | Unset = UNSET
    """What it starts with; OpenAI takes 20 at most."""
    metadata: Mapping[str, str] | None | Unset = UNSET


@model
class UpdateConversation(Model):
    """The body that changes a conversation (Conversations, Update)."""

    metadata: Mapping[str, str] | None
    """Takes the place of what was there."""


@model
class DeletedConversation(Model):
    """A conversation is gone: `conversation.deleted` (Conversations, Delete). Its items are not."""

    object: ClassVar[Literal["conversation.deleted"]] = "conversation.deleted"
    id: str
    deleted: bool


@model
class CreateConversationItems(Model):
    """The body that adds items to a conversation (Conversations, Create items)."""

    items: Sequence[Item]
    """OpenAI takes 20 at most."""


@model
class ConversationItemParams(Model):
    """The query of adding items and of fetching one (Conversations, Create items, Retrieve an item)."""

    include: Sequence[Include] | Unset = UNSET


@model
class ConversationItemList(Model):
    """A page of a conversation's items, or the items just added: `list` (Conversations, List items)."""

    object: ClassVar[Literal["list"]] = "list"
    data: list[Item]
    first_id: str | None
    """Null on an empty page."""
    last_id: str | None
    """Null on an empty page; the cursor for the next one (`after`) on others."""
    has_more: bool
