"""The contract between a server and its store, and the records that pass between them."""

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


@attrs.frozen(kw_only=True)
class HistoryLink:
    """What a response adds to a history, and what it follows. Faster to read than a :class:`StoredResponse`."""

    id: str
    """The id of the response."""
    status: str
    items: list[Item]
    """See :attr:`StoredResponse.items`."""
    history: list[Item] | None
    """See :attr:`StoredResponse.history`."""
    conversation_id: str | None
    """The conversation that it belongs to."""
    previous_response_id: str | None
    """The response that it follows."""

    @property
    def ends_chain(self) -> bool:
        """Whether what came before is not in a previous response."""
        return self.history is not None or bool(self.conversation_id) or not self.previous_response_id


class Store(Protocol):
    """What a server requires of its store. Implement it to keep responses in a database of your choice.

    **Who calls it.** One server at a time, from any number of tasks at once; for several servers, see :class:`SharedStore`. A response
    that the store has as ``queued`` or ``in_progress``, and that the server is not running, was lost with an earlier process: the
    server saves it as ``failed``. A store is created outside of an event loop, and may be used in one event loop after another.

    **Atomicity.** Each method is atomic. This matters most for :meth:`save`, which writes a response,
    its events and its conversation items together.

    **Durability.** When a method has returned, its effect is permanent. In a store on disk it must survive a process that is
    killed immediately afterwards.

    **Events are numbered.** An event is identified by its response and its ``sequence_number``. The server may pass an event
    again: the store keeps the first event of each number, and ignores the others. Events may arrive in any order;
    :meth:`events` returns them by number.

    **Nothing there.** A missing response, item or conversation is not an error. Methods that find one return ``None``, methods
    that list return ``[]``, and methods that delete or add return ``False``.

    **Copies.** The caller may change the values that it got from a method, and those that it passed to one. The stored data must
    not change with them.

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
        conversation does not exist, as in :meth:`add_items`. From here on, :meth:`find_item` finds the items of the new record. It no
        longer finds those that only the old record had.
        """
        ...

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return the response with this id, equal to the one last saved; ``None`` if there is none."""
        ...

    async def chain(self, response_id: str) -> list[HistoryLink]:
        """Return a response and those that it follows, newest first.

        The chain ends with the first whose :attr:`HistoryLink.ends_chain` is true. It is shorter if a response is missing, or would
        be in it twice; ``[]`` if the first one is missing.
        """
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

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        """Return the events of a response in the order of their numbers; ``[]`` if it has none, or does not exist.

        Only those with a number above ``after``. With ``max_bytes``, end with the one with which the events add up to that many bytes.
        """
        ...

    async def find_item(self, item_id: str) -> Item | None:
        """Return the item with this id from the input or output of any stored response; ``None`` if there is none.

        If several responses have it, it is the item of the one that was saved first, so that nobody can give an id another content.
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
        """Append items to a conversation. Return ``False``, and store nothing, if it does not exist.

        Items whose type and id it has already are left out. May raise ``APIError`` if there is no room.
        """
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


Signal: TypeAlias = Literal["cancel", "delete"]
"""What a server asks the server that works on a response to do."""


class SharedStore(Store, Protocol):
    """A :class:`Store` that several servers use at a time, in other processes or on other hosts.

    **Leases.** A response that is ``queued`` or ``in_progress`` is leased to the server that works on it, its *owner*: a name that
    each server invents for itself. The owner renews its leases. If it dies, they run out; then one other server takes the response
    over, and saves it as ``failed``. A lease that has run out stays with its owner until somebody takes it.

    **The fence.** :meth:`save_leased` and :meth:`add_events_leased` write only while the owner holds the lease, checked in the
    same transaction. A server that was suspended for too long can thus not write into what another one has ended. :meth:`save` of
    a response that has ended, :meth:`save_leased` of its end, and :meth:`delete` end the lease.

    Everything that a method has written is seen by every server as soon as it has returned.
    :func:`responses_proto.testing.check_store` checks all of this.
    """

    @property
    def lease_seconds(self) -> float | None:
        """Seconds within which the other servers notice that one has died; ``None`` if the store is not shared after all."""
        ...

    async def begin(self, stored: StoredResponse, *, owner: str, seconds: float) -> None:
        """Save a new response, as :meth:`save` does, and lease it. Atomic."""
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

        If the response has ended, so does the lease.
        """
        ...

    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:
        """Add events as :meth:`add_events` does, if ``owner`` holds the lease; else store nothing and return ``False``."""
        ...

    async def renew(self, owner: str, seconds: float) -> list[str]:
        """Let all leases of an owner run for so many seconds from now. Return the ids of the responses it still holds."""
        ...

    async def owner(self, response_id: str) -> str | None:
        """Return who holds the lease of a response; ``None`` if nobody does, or the lease has run out."""
        ...

    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        """Lease a stored response that has not ended to ``owner``, if nobody else holds it. Return whether ``owner`` has it now.

        Of several servers that call this at the same time, one gets ``True``.
        """
        ...

    async def orphans(self) -> list[str]:
        """Return the ids of stored responses whose lease has run out."""
        ...

    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:
        """Return the events of a response from a number on, in order; wait up to ``seconds`` if there are none yet.

        May return ``[]`` earlier, for instance if the response has changed otherwise.
        """
        ...

    async def ask(self, response_id: str, what: Signal) -> bool:
        """Ask the owner of a response for something. Return ``False`` if it has none."""
        ...

    async def asked(self, owner: str, seconds: float) -> list[tuple[str, Signal]]:
        """Return what an owner was asked for since the last call, oldest first: ids of responses, and what; wait up to ``seconds`` for it."""
        ...

    async def remember(self, digest: str, response_id: str, *, instead_of: str | None = None) -> str:
        """Note which response answers a request with an idempotency key, of which ``digest`` is the fingerprint. Atomic.

        Return the id that is noted now: an earlier one stays, unless it is ``instead_of``. May be forgotten after a day, or
        when the response is deleted.
        """
        ...

    async def recall(self, digest: str) -> str | None:
        """Return what :meth:`remember` has noted; ``None`` if nothing."""
        ...


def as_shared(store: Store) -> SharedStore | None:
    """Return a store if it is shared."""
    return cast("SharedStore", store) if getattr(store, "lease_seconds", None) else None


def unavailable(message: str) -> APIError:
    """Create the error (503) of a store that cannot be reached for now. A server tries again for a while."""
    return APIError.for_status(503)(message, status=503, type="server_error", code=STORE_UNAVAILABLE)


STORE_UNAVAILABLE: Final = "store_unavailable"


async def wire_events(events: Sequence[Event]) -> list[WireEvent]:
    """Encode events of a response that is being written. A large one is encoded in a worker thread."""
    # Only at its end is a response large, and it does not change any more.
    if any(event.type in TERMINAL_TYPES and weight_of(event, at_most=_LARGE) > _LARGE for event in events):
        return await anyio.to_thread.run_sync(lambda: [wire_event(event) for event in events])
    return [wire_event(event) for event in events]


_LARGE: Final = 256 * 1024  # bytes of JSON that are encoded or decoded in a worker thread, to leave the event loop free


async def encode(value: object) -> bytes:
    """Encode a model or other JSON value as JSON, in UTF-8. It must not change meanwhile."""
    if weight_of(value, at_most=_LARGE) <= _LARGE:
        return dumps(value)
    return await anyio.to_thread.run_sync(dumps, value)


async def encode_stored(stored: StoredResponse) -> bytes:
    return await encode({"response": stored.response, "input": stored.input, "history": stored.history})


async def decode_stored(record: bytes) -> StoredResponse:
    """Decode what :func:`encode_stored` returned."""
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
    """Decode the parts of what :func:`encode_stored` returned that a history needs."""
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
    """Return a response and those before it; see :meth:`Store.chain`. ``record_of`` returns what :func:`encode_stored` made of one."""
    links: dict[str, HistoryLink] = {}
    following: str | None = response_id
    while following and following not in links and (record := record_of(following)):
        links[following] = link = decode_link(record)
        following = None if link.ends_chain else link.previous_response_id
    return [*links.values()]


def limiter_in(variable: RunVar[anyio.CapacityLimiter], threads: int) -> anyio.CapacityLimiter:
    """Return the limiter that a variable has in this event loop; a new one on the first call."""
    limiter = variable.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(threads)
        variable.set(limiter)
    return limiter


def item_ids(items: Iterable[Item]) -> list[str]:
    """Return the ids of those items that have one."""
    return [item_id for item in items if (item_id := id_of(item))]


def item_key(item: Item) -> tuple[str, str] | None:
    """Return what a conversation has once: the type and the id of an item; ``None`` without an id."""
    # Some outputs have the id of their call, so the id alone is not enough.
    return (item.type, item_id) if (item_id := id_of(item)) else None
