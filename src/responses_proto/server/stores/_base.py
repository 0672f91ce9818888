"""The contract between a server and its store, and the records that pass between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import attrs

from ...codec import default_converter, dumps
from ...models.items import Item
from ...models.response import Response
from ...protocol._requests import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...models.conversations import Conversation
    from ...models.events import Event

__all__ = ["Store", "StoredResponse", "WireEvent", "decode_stored", "encode_stored", "item_ids", "wire_event"]


class WireEvent(NamedTuple):
    """An event as it goes over the wire. It is encoded once, for the store and for every client that reads it."""

    sequence_number: int
    type: str
    data: bytes
    """The event as JSON, in UTF-8."""


def wire_event(event: Event) -> WireEvent:
    """Encode an event. An event without a sequence number gets 0."""
    number = getattr(event, "sequence_number", 0)
    return WireEvent(number if isinstance(number, int) else 0, event.type, dumps(event))


@attrs.frozen(kw_only=True)
class StoredResponse:
    """A response, together with the items it was made from."""

    response: Response
    input: list[Item]
    """The input items of the request itself, each with an id."""
    history: list[Item] | None = None
    """The items before the input, if they cannot be looked up because the previous response was not stored; else ``None``."""

    @property
    def items(self) -> list[Item]:
        """The items that this response adds to a history: its input, then its output."""
        return [*self.input, *self.response.output]


class Store(Protocol):
    """What a server requires of its store. Implement it to keep responses in a database of your choice.

    **Who calls it.** One server at a time, from any number of tasks at once. A response that the store has as ``queued`` or
    ``in_progress``, and that the server is not running, counts as lost with an earlier process: the server saves it as
    ``failed``. A store is created outside of an event loop, and may be used in one event loop after another.

    **Atomicity.** Each method is atomic. This matters most for :meth:`save`, which writes a response,
    its events and its conversation items together.

    **Durability.** When a method has returned, its effect is permanent. In a store on disk it must survive a process that is
    killed immediately afterwards.

    **Events are numbered.** An event is identified by its response and its ``sequence_number``. The server may pass an event
    again: the store keeps the first event of each number, and ignores the others. Events may arrive in any order;
    :meth:`events` returns them by number.

    **Nothing there.** A missing response, item or conversation is not an error. Methods that find one return ``None``, methods
    that list return ``[]``, and methods that delete or add return ``False``.

    **Copies.** What is returned belongs to the caller, and what is passed may be changed by the caller afterwards. Neither may
    change what is stored.

    **Errors.** A method may raise any exception. The server logs it. Its client learns only that an error occurred.
    """

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response, replacing the one with its id. Atomic, with everything below.

        ``events`` are added to the events of the response; numbers that are already there keep their event.
        ``conversation_items`` are appended to the conversation in ``stored.response.conversation``; they are dropped if that
        conversation does not exist. :meth:`find_item` finds the items of the new record from here on, and no longer those
        that only the old one had.
        """
        ...

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return the response with this id, equal to the one last saved; ``None`` if there is none."""
        ...

    async def delete(self, response_id: str) -> bool:
        """Delete a response and its events. Return whether it was there. Conversations keep their items."""
        ...

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response that has been saved; numbers that are already there keep their event.

        The server calls this while a response runs in the background. It does not call it for a response that it has not
        saved; a store that has dropped the response in the meantime may ignore the events.
        """
        ...

    async def events(self, response_id: str) -> list[WireEvent]:
        """Return the events of a response in the order of their numbers; ``[]`` if it has none, or does not exist."""
        ...

    async def find_item(self, item_id: str) -> Item | None:
        """Return the item with this id from the input or output of any stored response; ``None`` if there is none.

        The server resolves an ``item_reference`` with it. Items that are only in a conversation need not be found.
        """
        ...

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation, replacing the one with its id. Its items stay."""
        ...

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return the conversation with this id; ``None`` if there is none."""
        ...

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation and its list of items. Return whether it was there. Responses in it stay."""
        ...

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation. Return ``False``, and store nothing, if it does not exist."""
        ...

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation, oldest first; ``[]`` if it has none, or does not exist."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete one item from a conversation. Return whether it was there."""
        ...

    async def aclose(self) -> None:
        """Close files and connections. Idempotent. A call of another method afterwards opens them again."""
        ...


def encode_stored(stored: StoredResponse) -> bytes:
    """Encode a stored response as JSON, in UTF-8."""
    return dumps({"response": stored.response, "input": stored.input, "history": stored.history})


def decode_stored(record: bytes | str) -> StoredResponse:
    """Decode what :func:`encode_stored` returned."""
    converter = default_converter()
    value = converter.json.loads(record)
    history = value["history"]
    return StoredResponse(
        response=converter.load(value["response"], Response),
        input=converter.load(value["input"], list[Item]),
        history=None if history is None else converter.load(history, list[Item]),
    )


def item_ids(items: Iterable[Item]) -> list[str]:
    """Return the ids of those items that have one."""
    return [item_id for item in items if (item_id := id_of(item))]
