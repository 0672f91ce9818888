"""The contract between a server and its store, and the records that they exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias, cast

import anyio
import attrs

from ...codec import default_converter, dumps
from ...exceptions import APIError
from ...models.events import TERMINAL_TYPES
from ...models.items import Item
from ...models.response import Response
from ...protocol._requests import id_of, weight_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from anyio.lowlevel import RunVar

    from ...models.conversations import Conversation
    from ...models.events import Event


class WireEvent(NamedTuple):
    """An event in its wire format. It is encoded once, for the store and for all clients."""

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
    """A response, together with its input items."""

    response: Response
    input: list[Item]
    """The input items of the request itself, each with an id."""
    history: list[Item] | None = None
    """The items before the input, if they cannot be looked up because the previous response was not stored; else ``None``."""

    @property
    def items(self) -> list[Item]:
        """The items that this response adds to a history: its input, then its output."""
        return [*self.input, *self.response.output]


@attrs.frozen(kw_only=True)
class HistoryLink:
    """The items that a response adds to a history, and the response that it follows. Faster to read than a :class:`StoredResponse`."""

    id: str
    """The id of the response."""
    status: str
    items: list[Item]
    """See :attr:`StoredResponse.items`."""
    history: list[Item] | None
    """See :attr:`StoredResponse.history`."""
    conversation_id: str | None
    """The id of the conversation that it belongs to."""
    previous_response_id: str | None
    """The id of the response that it follows."""

    @property
    def ends_chain(self) -> bool:
        """Whether no previous response is needed: the earlier items are in ``history`` or the conversation, or there are none."""
        return self.history is not None or bool(self.conversation_id) or not self.previous_response_id


class Store(Protocol):
    """The interface of a store. Implement it to keep responses in a database of your choice.

    **Callers.** One server at a time, from any number of tasks at once; for several servers, see :class:`SharedStore`. If the store has
    a response as ``queued`` or ``in_progress`` that the server is not running, the response was lost with an earlier process: the server
    saves it as ``failed``. A store is created outside an event loop, and may be used in several event loops, one after another.

    **Atomicity.** Each method is atomic. This matters most for :meth:`save`, which writes a response,
    its events and its conversation items together.

    **Durability.** When a method has returned, its effect is permanent. In a store on disk, it must survive if the process is killed
    immediately afterwards.

    **Event numbers.** An event is identified by its response and its ``sequence_number``. The server may pass an event
    again: the store keeps the first event of each number, and ignores the others. Events may arrive in any order;
    :meth:`events` returns them by number.

    **Missing data.** A missing response, item or conversation is not an error. Methods that find one return ``None``, methods
    that list return ``[]``, and methods that delete or add return ``False``.

    **Copies.** The caller may modify the values that it passed to a method or got from one. This must not change the stored data.

    **Errors.** A method may raise any exception. The server logs it, and the client learns only that an error occurred.
    """

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response, replacing any response with the same id. Atomic, including all of the following.

        ``events`` are added to the events of the response; events whose number is already stored are ignored.
        ``conversation_items`` are appended to the conversation in ``stored.response.conversation``; they are dropped if that
        conversation does not exist, as in :meth:`add_items`. From now on, :meth:`find_item` finds the items of the new record, and no
        longer those that only the old record had.
        """
        ...

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return the response with this id, equal to the one last saved; ``None`` if there is none."""
        ...

    async def chain(self, response_id: str) -> list[HistoryLink]:
        """Return a response and those that it follows, newest first.

        The chain ends with the first link whose :attr:`HistoryLink.ends_chain` is true. It ends earlier if a response is missing, or
        would occur twice. It is empty if the first response is missing.
        """
        ...

    async def delete(self, response_id: str) -> bool:
        """Delete a response and its events. Return whether the response existed. Conversations keep their items."""
        ...

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a saved response. Events whose number is already stored are ignored.

        The server calls this while a response runs in the background, and only after it has saved the response. If the store has
        dropped the response in the meantime, it may ignore the events.
        """
        ...

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        """Return the events of a response in the order of their numbers; ``[]`` if it has none, or does not exist.

        Only events with a number above ``after`` are returned. With ``max_bytes``, the result ends with the event that brings the total
        length of their data to that many bytes or more.
        """
        ...

    async def find_item(self, item_id: str) -> Item | None:
        """Return the item with this id from the input or output of any stored response; ``None`` if there is none.

        If several responses have an item with this id, return that of the response that was saved first, so that nobody can change the
        content behind an id. The server resolves ``item_reference`` items with this. Items that are only in a conversation need not be
        found.
        """
        ...

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation, replacing any conversation with the same id. Its items are kept."""
        ...

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return the conversation with this id; ``None`` if there is none."""
        ...

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation and its list of items. Return whether it existed. Responses in it are kept."""
        ...

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation. Return ``False``, and store nothing, if the conversation does not exist.

        Items whose type and id are already in the conversation are left out. May raise ``APIError`` if there is no room.
        """
        ...

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation, oldest first; ``[]`` if it has none, or does not exist."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete one item from a conversation. Return whether it existed."""
        ...

    async def aclose(self) -> None:
        """Close files and connections. Idempotent. Calling another method afterwards reopens them."""
        ...


Signal: TypeAlias = Literal["cancel", "delete"]
"""A request from one server to the server that works on a response."""


class SharedStore(Store, Protocol):
    """A :class:`Store` that several servers use at the same time, in different processes or on different hosts.

    **Leases.** A response that is ``queued`` or ``in_progress`` is leased to the server that works on it, its *owner*. An owner is
    identified by a name that each server chooses for itself. The owner renews its leases. If it dies, they expire. Another server then
    takes the response over, and saves it as ``failed``. An expired lease stays with its owner until another server takes it.

    **Fencing.** :meth:`save_leased` and :meth:`add_events_leased` write only while the owner holds the lease, checked in the same
    transaction. So a server that was suspended for too long cannot write to a response that another server has ended. Saving an ended
    response with :meth:`save` or :meth:`save_leased` ends the lease, and so does :meth:`delete`.

    When a method has returned, every server sees what it has written.
    :func:`responses_proto.testing.check_store` checks all of this.
    """

    @property
    def lease_seconds(self) -> float | None:
        """Seconds within which the other servers notice that a server has died; ``None`` if the store is not shared."""
        ...

    async def begin(self, stored: StoredResponse, *, owner: str, seconds: float) -> None:
        """Save a new response, as :meth:`save` does, and lease it to ``owner`` for ``seconds``. Atomic."""
        ...

    async def save_leased(
        self,
        stored: StoredResponse,
        *,
        owner: str,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> bool:
        """Save a response as :meth:`save` does, if ``owner`` holds its lease; else store nothing and return ``False``.

        If the response has ended, the lease ends too.
        """
        ...

    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:
        """Add events as :meth:`add_events` does, if ``owner`` holds the lease; else store nothing and return ``False``."""
        ...

    async def renew(self, owner: str, seconds: float) -> list[str]:
        """Extend all leases of an owner to ``seconds`` from now. Return the ids of the responses that it still holds."""
        ...

    async def owner(self, response_id: str) -> str | None:
        """Return the owner that holds the lease of a response; ``None`` if there is no lease, or it has expired."""
        ...

    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        """Lease a stored response that has not ended to ``owner`` for ``seconds``, unless another owner holds its lease.

        Return whether ``owner`` holds the lease now. If several servers call this at the same time, one gets ``True``.
        """
        ...

    async def orphans(self) -> list[str]:
        """Return the ids of stored responses whose lease has expired."""
        ...

    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:
        """Return the events of a response from ``number`` on, in order; wait up to ``seconds`` if there are none yet.

        May return ``[]`` earlier, for example if the response has changed in another way.
        """
        ...

    async def ask(self, response_id: str, what: Signal) -> bool:
        """Send a signal to the owner of a response. Return ``False`` if the response has no owner."""
        ...

    async def asked(self, owner: str, seconds: float) -> list[tuple[str, Signal]]:
        """Return the signals to an owner since the last call, oldest first: pairs of response id and signal. Wait up to ``seconds``."""
        ...

    async def remember(self, digest: str, response_id: str, *, instead_of: str | None = None) -> str:
        """Record which response answers a request with an idempotency key. ``digest`` identifies the request. Atomic.

        Return the recorded id: an existing record is kept, unless its id is ``instead_of``. The record may be dropped after a day, or
        when the response is deleted.
        """
        ...

    async def recall(self, digest: str) -> str | None:
        """Return the response id that :meth:`remember` has recorded for a digest; ``None`` if there is none."""
        ...


def as_shared(store: Store) -> SharedStore | None:
    """Return the store if it is shared, else ``None``."""
    return cast("SharedStore", store) if getattr(store, "lease_seconds", None) else None


def unavailable(message: str) -> APIError:
    """Create the error (503) of a store that cannot be reached at the moment. Servers retry for a while."""
    return APIError.for_status(503)(message, status=503, type="server_error", code=STORE_UNAVAILABLE)


STORE_UNAVAILABLE: Final = "store_unavailable"


async def wire_events(events: Sequence[Event]) -> list[WireEvent]:
    """Encode events of a response that is being written. Large events are encoded in a worker thread."""
    # Only terminal events hold a large response, and it no longer changes.
    if any(event.type in TERMINAL_TYPES and weight_of(event, at_most=_LARGE) > _LARGE for event in events):
        return await anyio.to_thread.run_sync(lambda: [wire_event(event) for event in events])
    return [wire_event(event) for event in events]


_LARGE: Final = 256 * 1024  # bytes of JSON that are encoded or decoded in a worker thread, to leave the event loop free


async def encode(value: object) -> bytes:
    """Encode a model or other JSON value as JSON, in UTF-8. The value must not change meanwhile."""
    if weight_of(value, at_most=_LARGE) <= _LARGE:
        return dumps(value)
    return await anyio.to_thread.run_sync(dumps, value)


async def encode_stored(stored: StoredResponse) -> bytes:
    return await encode({"response": stored.response, "input": stored.input, "history": stored.history})


async def decode_stored(record: bytes) -> StoredResponse:
    """Decode a record of :func:`encode_stored`."""
    return _decode_stored(record) if len(record) <= _LARGE else await anyio.to_thread.run_sync(_decode_stored, record)


def _decode_stored(record: bytes) -> StoredResponse:
    converter = default_converter()
    value = converter.json.loads(record)
    history = value["history"]
    return StoredResponse(
        response=converter.load(value["response"], Response),
        input=converter.load(value["input"], list[Item]),
        history=None if history is None else converter.load(history, list[Item]),
    )


def decode_link(record: bytes | str) -> HistoryLink:
    """Decode those parts of a record of :func:`encode_stored` that a history needs."""
    converter = default_converter()
    value = converter.json.loads(record)
    response: dict[str, Any] = value["response"]
    history, conversation = value["history"], response.get("conversation")
    return HistoryLink(
        id=response["id"],
        status=response.get("status") or "",
        items=converter.load([*value["input"], *response["output"]], list[Item]),
        history=None if history is None else converter.load(history, list[Item]),
        conversation_id=cast("dict[str, Any]", conversation)["id"] if isinstance(conversation, dict) else conversation,
        previous_response_id=response.get("previous_response_id"),
    )


def chain_of(response_id: str, record_of: Callable[[str], bytes | str | None]) -> list[HistoryLink]:
    """Return a response and those before it; see :meth:`Store.chain`. ``record_of`` returns the :func:`encode_stored` record of an id."""
    links: dict[str, HistoryLink] = {}
    following: str | None = response_id
    while following and following not in links and (record := record_of(following)):
        links[following] = link = decode_link(record)
        following = None if link.ends_chain else link.previous_response_id
    return [*links.values()]


def limiter_in(variable: RunVar[anyio.CapacityLimiter], threads: int) -> anyio.CapacityLimiter:
    """Return the limiter in ``variable`` for this event loop. The first call creates it, for that many threads."""
    limiter = variable.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(threads)
        variable.set(limiter)
    return limiter


def item_ids(items: Iterable[Item]) -> list[str]:
    """Return the ids of the items that have an id."""
    return [item_id for item in items if (item_id := id_of(item))]


def item_key(item: Item) -> tuple[str, str] | None:
    """Return the type and id of an item, which are unique in a conversation; ``None`` if the item has no id."""
    # Some outputs have the id of their call, so the id alone is not enough.
    return (item.type, item_id) if (item_id := id_of(item)) else None
