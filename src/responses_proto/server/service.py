"""The server without its transport: requests go in, events come out, responses are stored.

HTTP and WebSocket are two interfaces to one :class:`Service`. It handles a request as follows::

    task = await service.prepare(request)       # 1. check the request, find its history
    await task.run(sink)                        # 2. run the handler, deliver and store its events
    task.response, task.history                 # 3. the result, and the history for a following request

1. :meth:`Service.prepare` checks what the types do not express, and collects the history: the items of the conversation, or of
   the chain of previous responses. A WebSocket connection remembers responses that were not stored; it passes a
   :data:`HistoryLookup`, which is called before the store. References to items are replaced by the items, compactions are
   expanded, and every item gets an id. Nothing is stored or delivered yet. A request that cannot be answered raises an
   ``APIError``, which can still become a plain HTTP response.
2. :meth:`ResponseTask.run` calls the handler. Each event that the handler's ``Reply`` emits is encoded once, and delivered to the
   sink in order. If a streamed response is to be stored, it is saved twice: before its first event is delivered, so that a client
   that knows the id can find it, and before its terminal event is delivered, so that no client learns of a result that
   could still be lost. If the sink raises, the response ends, and ``run`` raises the same exception. Cancelling the task that
   runs ``run`` cancels the handler at once. :meth:`ResponseTask.stop` ends the response from another task.
3. For a response in the background, :meth:`Service.start` takes the place of ``run``; it requires ``async with service``.
   While it runs, its events are stored as they arrive, and :meth:`Service.follow` delivers them to any number of clients.

A response that is cut short after the client has learned of it is stored as ``cancelled``. If it ran in the background and the
server shut down, it is stored as ``failed``. If the process was killed, it is still ``in_progress`` in the store; the next server
saves it as ``failed`` when a client requests it.

Several servers can use one :class:`~.stores.SharedStore`. A response then runs in the server that received the request, its owner. The
others access it through the store: they wait there for its events, and ask the owner to cancel it (``_sharing``).
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, cast, runtime_checkable
from weakref import WeakValueDictionary

import anyio
import attrs

from ..codec import Converter, default_converter
from ..exceptions import APIError, LocalProtocolError, UsageError
from ..models._base import Extra
from ..models.events import TERMINAL_TYPES, Event
from ..models.items import Item, ItemReference
from ..models.request import CompactRequest, CreateResponse, InputTokensRequest
from ..models.response import (
    RUNNING_STATUSES,
    CompactedResponse,
    InputTokenCount,
    InputTokensDetails,
    OutputTokensDetails,
    ResponseError,
    Usage,
)
from ..protocol._requests import check_create, id_of, invalid, not_found
from ..protocol.accumulator import Accumulator, growth_of
from ..protocol.emitter import emit, random_id
from ._context import check_outputs, compact, count_words, expand, normalize_items, retype
from ._relayed import incomplete, last_number, number_in, position_after
from ._sharing import Sharing
from ._task import EventSink, Handler, ResponseTask, failure_events
from ._tenants import TenantStore, id_in_store, prefix_of, split_id, tenant_store
from .stores import MemoryStore, Signal, Store, StoredResponse, WireEvent, wire_event
from .stores._base import as_shared

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup

    from ..models.config import ConversationReference
    from ..models.response import Response
    from ._access import RequestMeta
    from .stores import SharedStore

__all__ = [
    "EventSink",
    "Handler",
    "HistoryLookup",
    "ResponseTask",
    "Service",
    "SupportsCompact",
    "SupportsCount",
    "SupportsModels",
]

HistoryLookup: TypeAlias = Callable[[str], Sequence[Item] | None]
"""Returns the history up to and including the response with an id; ``None`` if the response is unknown."""


@runtime_checkable
class SupportsCompact(Protocol):
    """A handler that compacts histories itself. For other handlers, the server packs the items, and expands them later."""

    async def compact(self, request: CompactRequest, context: Sequence[Item]) -> Sequence[Item]:
        """Return the items that replace those of ``context``. May raise an ``APIError``."""
        ...


@runtime_checkable
class SupportsCount(Protocol):
    """A handler that counts tokens itself. For other handlers, the server counts words."""

    async def count(self, request: InputTokensRequest, context: Sequence[Item]) -> int:
        """Return the number of tokens that the model would read. May raise an ``APIError``."""
        ...


@runtime_checkable
class SupportsModels(Protocol):
    """A handler that knows the names of its models. ``/models`` lists them after those passed to the application."""

    async def models(self, headers: Mapping[str, str]) -> Sequence[str]:
        """Return the names. ``headers`` are those of the request, with names in lower case. May raise an ``APIError``."""
        ...


_MAX_NUMBER: Final = 2**63 - 2  # of an event; databases cannot query larger numbers
_MAX_PIECE_BYTES: Final = 64 * 1024  # of stored events that are sent at a time
_MAX_RUNNING_BYTES: Final = 1024 * 1024  # of stored events that are read for a response that runs elsewhere
_LOST: Final = "The server was restarted while it generated the response."
_DIED: Final = "The server that generated the response stopped, or lost contact with the store."

_log: Final = logging.getLogger(__name__)


# The stores in exclusive use: id of a store -> its server.
_EXCLUSIVE: Final = WeakValueDictionary[int, "Service"]()


class Service:
    """Creates the responses of a server, runs those in the background, and looks up those that are stored.

    ``handler`` answers the requests; it is called from any number of tasks at once. ``store`` keeps responses and
    conversations; the default is a :class:`~.stores.MemoryStore`. ``clock`` returns seconds since 1970. ``ids`` returns a new id
    with the given prefix. ``converter`` decodes stored data. ``max_background`` is the maximum number of concurrent responses in
    the background.

    Enter it with ``async with`` to allow responses in the background. Exiting the block cancels them and closes the store.
    Entering raises ``UsageError`` if another service uses the store, unless it is a :class:`~.stores.SharedStore`.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        ids: Callable[[str], str] = random_id,
        converter: Converter | None = None,
        max_background: int = 1000,
    ) -> None:
        self.max_background: int = max_background
        self.handler: Handler = handler
        self.converter: Converter = (converter or default_converter()).in_mode(strict=False)
        self.store: Store = MemoryStore() if store is None else store
        self.clock: Callable[[], float] = clock
        self.ids: Callable[[str], str] = ids
        self.on_background_end: Callable[[Response], None] | None = None
        """Called when a response in the background has ended and is stored. It must not block."""
        self.running: dict[str, ResponseTask] = {}
        """The running responses that clients may request, by id. Each task adds and removes itself."""
        self.shared: SharedStore | None = as_shared(self.store)
        """The store if it is shared, else ``None``."""
        self.sharing: Sharing | None = None
        """The coordination with other servers; ``None`` unless the store is shared."""
        if self.shared is not None and not isinstance(self.store, TenantStore):
            self.sharing = Sharing(self.shared, ids("server"), self._bury)
        self._task_group: TaskGroup | None = None
        self._parent: Service | None = None
        self._tenants: WeakValueDictionary[str, Service] = WeakValueDictionary()
        self._waiting = 0  # responses in the background whose upstream has not begun yet
        self._locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def for_tenant(self, identity: str) -> Service:
        """Return the part of the server that belongs to one identity. It has no access to data of other identities.

        It is open while this service is open; do not enter it.
        """
        return self._tenant(prefix_of(identity))

    def _tenant(self, prefix: str) -> Service:
        tenant = self._tenants.get(prefix)
        if tenant is None:
            tenant = self._tenants[prefix] = Service(
                self.handler,
                store=tenant_store(self.store, prefix),
                clock=self.clock,
                ids=self.ids,
                converter=self.converter,
                max_background=self.max_background,
            )
            tenant._parent = self
            tenant.on_background_end = self.on_background_end
            tenant.sharing = self.sharing
        return tenant

    @property
    def _tasks(self) -> TaskGroup | None:
        return self._task_group if self._parent is None else self._parent._task_group  # noqa: SLF001 - of this class

    @property
    def _in_background(self) -> int:
        """The number of responses in the background, including those of all tenants."""
        own = sum(running.background for running in self.running.values()) + self._waiting
        return own + sum(tenant._in_background for tenant in self._tenants.values())  # noqa: SLF001 - of this class

    @property
    def open(self) -> bool:
        """Whether the service is inside ``async with``."""
        return self._tasks is not None

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise LocalProtocolError(
                "the server is open already: enter it once, by `async with` or by the ASGI lifespan"
            )
        if self.sharing is None and _EXCLUSIVE.setdefault(id(self.store), self) is not self:
            raise UsageError(
                f"the store is in use by another server: {type(self.store).__name__} is for one, unless it is shared"
            )
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._task_group = tasks
        if self.sharing is not None:
            tasks.start_soon(self.sharing.run)
        return self

    async def __aexit__(
        self, _exc_type: type[BaseException] | None, _exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        tasks, self._task_group = self._task_group, None
        try:
            if tasks is not None:
                tasks.cancel_scope.cancel()
                # Without the block's exception, so that it propagates as it is and not inside an exception group.
                await tasks.__aexit__(None, None, None)
        finally:
            if _EXCLUSIVE.get(id(self.store)) is self:
                del _EXCLUSIVE[id(self.store)]
            with anyio.CancelScope(shield=True):
                await self.store.aclose()

    # -- creating responses

    async def prepare(
        self,
        request: CreateResponse,
        *,
        history_lookup: HistoryLookup | None = None,
        meta: RequestMeta | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> ResponseTask:
        """Check a request, find its history, and return a task for it.

        Nothing has been stored or delivered yet. Call :meth:`ResponseTask.run` next, or :meth:`start` for a response in the
        background. ``history_lookup`` is called for the previous response before the store is read. ``meta`` is the metadata of the
        request for the handler. ``response_headers`` receives the headers that the handler sets before the response starts. Raises
        ``APIError`` if the request cannot be answered.
        """
        check_create(request)
        if self._tasks is None and (
            request.background or (self.sharing and request.stream and request.store is not False)
        ):
            what, param = ("run responses in the background", "background")
            if not request.background:
                what, param = ("store responses that are streamed", "store")
            message = (
                f"This server does not {what}. Its operator must enable the ASGI lifespan, "
                "or use the application inside 'async with'."
            )
            raise invalid(message, param, "unsupported_parameter")
        previous = request.previous_response_id or None
        remembered = history_lookup(previous) if history_lookup is not None and previous else None
        history = await self._history(previous, request.conversation or None) if remembered is None else remembered
        items = await self.normalize(request.input or (), history)
        context = retype(expand([*history, *items]), self.converter)
        check_outputs(context)
        # The history is stored with the response if it is not in the store already.
        only_remembered = (
            remembered is not None and request.store is not False and await self.store.find(previous or "") is None
        )
        return ResponseTask(
            request,
            service=self,
            input=items,
            context=context,
            meta=meta,
            history=history if only_remembered else None,
            response_headers=response_headers,
            handler=self.handler,
            store=self.store,
            running=self.running,
            sharing=self.sharing,
            clock=self.clock,
            ids=self.ids,
        )

    async def start(self, task: ResponseTask) -> None:
        """Run a task in the background. Return once its response is queued and stored; call :meth:`follow` next.

        A response that adopts an upstream's id is not queued: this returns once the upstream has begun it. Raises ``LocalProtocolError``
        outside ``async with``, and ``APIError`` if too many are running or the upstream fails.
        """
        tasks = self._tasks
        if tasks is None:
            raise LocalProtocolError("the server is not open: run responses in the background inside `async with`")
        top = self._parent or self
        if top._in_background >= self.max_background:  # noqa: SLF001 - of this class
            message = (
                f"The server runs {self.max_background} responses in the background, its maximum. Try again later."
            )
            raise APIError.for_status(429)(
                message, status=429, type="rate_limit_error", code="too_many_background_responses"
            )
        if task.adopts:
            await self._start_with_upstream(task, tasks)
            return
        try:
            await task.queue()
        except BaseException:
            task.discard()
            raise
        tasks.start_soon(self._run_in_background, task)

    async def _start_with_upstream(self, task: ResponseTask, tasks: TaskGroup) -> None:
        """Run a task in the background. Return once its upstream has begun the response. Raises ``APIError`` if that fails."""
        self._waiting += 1
        tasks.start_soon(self._run_in_background, task)
        try:
            await task.begun.wait()
        except BaseException:
            task.abandon()
            raise
        finally:
            self._waiting -= 1
        if task.error is not None:
            raise task.error

    async def _run_in_background(self, task: ResponseTask) -> None:
        try:
            await task.run()
        except APIError:
            pass  # the client has got this error already
        except Exception:  # noqa: BLE001 - an error of the store must not cancel the other responses
            _log.exception("%s failed in the background", task.id)
        finally:
            if task.saved and self.on_background_end is not None:
                self.on_background_end(task.response)

    # -- history

    async def _history(self, previous: str | None, conversation: str | ConversationReference | None) -> list[Item]:
        """Return the items of the conversation, or else of the chain of previous responses."""
        if conversation:
            conversation_id = conversation if isinstance(conversation, str) else conversation.id
            if await self.store.find_conversation(conversation_id) is None:
                raise not_found("conversation", conversation_id, "conversation")
            return await self.store.items(conversation_id)
        sections: list[list[Item]] = []  # newest first
        links = await self.store.chain(previous) if previous else []
        for link in links:
            if link.status in RUNNING_STATUSES:
                stored = await self.get(link.id)  # running, or lost and now failed
                if stored.response.status in RUNNING_STATUSES:
                    message = f"Previous response with id {link.id!r} has not ended yet: wait for its end."
                    raise invalid(message, "previous_response_id", "previous_response_not_completed")
                link = attrs.evolve(link, items=stored.items)  # noqa: PLW2901 - the same response, now ended
            sections.append(link.items)
        last = links[-1] if links else None
        if previous and (last is None or not last.ends_chain):
            missing = last.previous_response_id if last else previous
            reason = f", which {previous!r} follows" if last else ""
            message = f"Previous response with id {missing!r} not found{reason}."
            raise invalid(message, "previous_response_id", "previous_response_not_found")
        if last is not None and last.history is not None:
            sections.append(last.history)
        elif last is not None and last.conversation_id:
            sections.append(await self._history_before(last.items, last.conversation_id))
        return [item for section in reversed(sections) for item in section]

    async def _history_before(self, items: Sequence[Item], conversation_id: str) -> list[Item]:
        """Return the items of a conversation before ``items``, those of a response in it."""
        all_items = await self.store.items(conversation_id)
        own_ids = {id_of(item) for item in items}
        end = next((index for index, item in enumerate(all_items) if id_of(item) in own_ids), len(all_items))
        return all_items[:end]

    async def normalize(self, items: str | Sequence[Item], history: Sequence[Item], param: str = "input") -> list[Item]:
        """Return items as they are stored: with ids, and with references replaced by the items that they refer to.

        Items that are already in ``history`` are left out. ``param`` is the name of the request field, for errors. Raises ``APIError``
        for a reference to an unknown item, and for two items of one type with the same id.
        """
        taken = {id_of(item) for item in history}
        if isinstance(items, str):
            return normalize_items(items, self.ids, taken=taken)
        known = {(item.type, id_of(item)) for item in history if id_of(item)}
        found: list[Item] = []
        positions: list[int] = []
        for index, item in enumerate(items):
            if (
                _is_named_by_id(item)
                and (stored := await self.store.find_item(id_of(item)))
                and stored.type == item.type
            ):
                item = stored  # noqa: PLW2901 - the same item, as the server made it
            if isinstance(item, ItemReference):
                resolved = await self.store.find_item(item.id) if item.id not in taken else None
                if resolved is None and item.id not in taken:
                    raise not_found("item", item.id, f"{param}[{index}].id")
            else:
                resolved = item if (item.type, id_of(item)) not in known else None
            if resolved is not None:
                found.append(resolved)
                positions.append(index)
        normalized = normalize_items(found, self.ids, taken=taken)
        seen: set[tuple[str, str]] = set()
        for index, item in zip(positions, normalized, strict=True):
            item_id = id_of(item)
            if not item_id and hasattr(item, "id"):
                raise invalid(f"An item of type {item.type} must have an id.", f"{param}[{index}].id", "invalid_value")
            if item_id and (item.type, item_id) in seen:
                raise invalid(f"Duplicate item found with id {item_id!r}.", f"{param}[{index}].id", "duplicate_item")
            seen.add((item.type, item_id))
        return normalized

    # -- stored responses

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response that is running or stored; ``None`` if there is none.

        If the server that ran the response has died, the response is saved and returned as ``failed``.
        """
        task = self.running.get(response_id)
        if task is not None:
            return task.stored
        stored = await self._find_stored(response_id)
        if stored is None or stored.response.status not in RUNNING_STATUSES:
            return stored
        if await self._runs_elsewhere(response_id):
            return await self._so_far(stored)
        async with self.locked(response_id):
            # It may have been deleted or marked as failed meanwhile.
            stored = await self._find_stored(response_id)
            if stored is None or stored.response.status not in RUNNING_STATUSES:
                return stored
            sharing, shared = self.sharing, self.shared
            if (
                sharing is None
                or shared is None
                or await shared.take_over(response_id, owner=sharing.owner, seconds=sharing.lease_for)
            ):
                await self._mark_lost(stored)
            return await self._find_stored(response_id)  # another server may have been faster

    async def _runs_elsewhere(self, response_id: str) -> bool:
        """Return whether a live server may hold the lease of a response that is not in :attr:`running`."""
        sharing, shared = self.sharing, self.shared
        if sharing is None or shared is None:
            return False
        if not sharing.may_bury:
            return True
        owner = await shared.owner(response_id)
        return owner is not None and (owner != sharing.owner or id_in_store(self.store, response_id) in sharing.leased)

    async def _bury(self, id_: str) -> None:
        """End a response whose server has died. ``id_`` is its id in the store. Does nothing if another server has done so."""
        prefix, response_id = split_id(id_)
        await (self._tenant(prefix) if prefix else self).find(response_id)

    async def _so_far(self, stored: StoredResponse) -> StoredResponse:
        """Return a response that runs elsewhere, with the status and output from its events. Only a limited number of bytes is read."""
        events = await self.store.events(stored.response.id, max_bytes=_MAX_RUNNING_BYTES)
        if not events:
            return stored
        if events[-1].type in TERMINAL_TYPES:
            return await self._find_stored(stored.response.id) or stored
        so_far = self._accumulated(events)
        return attrs.evolve(stored, response=attrs.evolve(stored.response, status=so_far.status, output=so_far.output))

    def _accumulated(self, events: Sequence[WireEvent]) -> Response:
        accumulator = Accumulator(growth=growth_of(self.converter))
        for event in events:
            accumulator.push(self.converter.loads(event.data, Event))
        return accumulator.response

    async def _find_stored(self, response_id: str) -> StoredResponse | None:
        stored = await self.store.find(response_id)
        if stored is not None:
            retype(stored.response.output, self.converter)
            retype(stored.input, self.converter)
        return stored

    def locked(self, id: str) -> anyio.Lock:  # noqa: A002 - of a response or a conversation
        """Return the lock of a response or conversation. Hold it during operations that must not happen twice or concurrently."""
        lock = self._locks.get(id)
        if lock is None:
            lock = self._locks[id] = anyio.Lock()
        return lock

    async def _mark_lost(self, stored: StoredResponse) -> None:
        """Save a response as failed, with the output of its stored events."""
        events = await self.store.events(stored.response.id)
        response = attrs.evolve(
            stored.response,
            status="failed",
            error=ResponseError(code="server_error", message=_DIED if self.sharing else _LOST),
            output=[incomplete(item) for item in self._accumulated(events).output],
        )
        failed = attrs.evolve(stored, response=response)
        last_events: list[WireEvent] = []
        if events:
            last_events = failure_events(response, events[-1].sequence_number + 1, last_number(events) + 1)
        if self.sharing is None or self.shared is None:
            await self.store.save(failed, events=last_events)
        elif not await self.shared.save_leased(failed, owner=self.sharing.owner, events=last_events):
            return  # another server was faster
        if response.background and self.on_background_end is not None:
            self.on_background_end(response)

    async def get(self, response_id: str) -> StoredResponse:
        """Return a response that is running or stored. Raises ``APIError`` (404) if there is none."""
        stored = await self.find(response_id)
        if stored is None:
            raise not_found("response", response_id, "response_id")
        return stored

    async def replay(
        self, response_id: str, after: int | None = None
    ) -> Callable[[EventSink], Coroutine[Any, Any, None]]:
        """Return a function that delivers the events of a response to a sink, including future ones if it is running.

        ``after`` is the sequence number of the last event that the client has; ``None`` starts at the first. The events of a
        response that was not streamed are derived from the response. Raises ``APIError`` if there is no such response, or
        no event with the number ``after``.
        """
        task = self.running.get(response_id)
        if task is not None:
            return functools.partial(self.follow, task, _position_after(task.visible_events, after))
        stored = await self.get(response_id)
        position = -1 if after is None else min(after, _MAX_NUMBER)
        first = await self.store.events(response_id, after=max(position, 0) - 1, max_bytes=1)
        if first and (after is None or number_in(first[0]) == after):
            return functools.partial(self._deliver_stored, response_id, position)
        # The response has no events, or the event's position differs from its number.
        events = await self.store.events(response_id)
        if self.sharing is not None and stored.response.status in RUNNING_STATUSES:
            return functools.partial(self._deliver_stored, response_id, _position_after(events, after) - 1)
        events = events or [wire_event(event) for event in emit(stored.response)]
        return functools.partial(_deliver, events[_position_after(events, after) :])

    async def replay_of(self, response: Response) -> Callable[[EventSink], Coroutine[Any, Any, None]]:
        """Return a function that delivers the events of a response that may not be stored; see :meth:`replay`."""
        if response.store is not False and await self.find(response.id) is not None:
            return await self.replay(response.id)
        return functools.partial(_deliver, [wire_event(event) for event in emit(response)])

    async def _deliver_stored(self, response_id: str, after: int, sink: EventSink) -> None:
        """Deliver the events of a stored response in pieces, as fast as the client takes them."""
        last = ""
        while True:
            events = await self._next_stored(response_id, after, wait=last not in TERMINAL_TYPES)
            if not events:
                break
            await sink(events)
            after, last = events[-1].sequence_number, events[-1].type
        if last and last not in TERMINAL_TYPES:
            raise not_found("response", response_id, "response_id")  # deleted meanwhile

    async def _next_stored(self, response_id: str, after: int, *, wait: bool) -> Sequence[WireEvent]:
        """Return stored events after a position; wait if a server works on the response. Empty at the end of the response."""
        sharing, shared = self.sharing, self.shared
        if sharing is None or shared is None or not wait:
            return await self.store.events(response_id, after=after, max_bytes=_MAX_PIECE_BYTES)
        while True:
            watch = functools.partial(shared.watch, response_id, after + 1, sharing.check_every)
            if events := await sharing.patiently(watch):
                return events
            stored = await sharing.patiently(functools.partial(self.find, response_id))
            if stored is None or stored.response.status not in RUNNING_STATUSES:
                # It has ended between the two calls, or it was buried.
                last = await self.store.events(response_id, after=after, max_bytes=_MAX_PIECE_BYTES)
                derives = stored is not None and after < 0 and not last  # it was announced, but not streamed
                return [wire_event(event) for event in emit(stored.response)] if stored and derives else last

    async def follow(self, task: ResponseTask, number: int, sink: EventSink) -> None:
        """Deliver the events of a task from position ``number`` on, until the response has ended."""
        while events := await task.wait_for_events(number):
            number += len(events)
            await _deliver(events, sink)
        if task.lost:  # the rest is what another server has stored
            await self._deliver_stored(task.id, number - 1, sink)

    async def cancel(self, response_id: str) -> Response:
        """Cancel a response in the background and return it. If it has ended, return it unchanged.

        Raises ``APIError`` if there is no such response, or if it does not run in the background.
        """
        task = self.running.get(response_id)
        response = task.response if task is not None else (await self.get(response_id)).response
        # The upstream of a relayed response need not report that it runs in the background here.
        in_background = task.background if task is not None else response.background or response.status == "cancelled"
        if not in_background:
            message = "Only a response in the background can be cancelled; others end when their connection is closed."
            raise invalid(message, "response_id", "response_not_cancellable")
        if task is not None:
            await task.stop()
            return (await self.get(response_id)).response if task.lost else task.response
        if response.status not in RUNNING_STATUSES:
            return response
        ended = await self.wait_for_end(response_id, ask="cancel")
        if ended is None:
            raise not_found("response", response_id, "response_id")  # deleted meanwhile
        return ended.response

    async def wait_for_end(self, response_id: str, *, ask: Signal | None = None) -> StoredResponse | None:
        """Wait until a response that runs in another server has ended, and return it; ``None`` if it was deleted.

        ``ask`` is the signal to send to that server. Only with a shared store.
        """
        sharing, shared, after = self.sharing, self.shared, -1
        while True:
            stored = await self.find(response_id)
            if sharing is None or shared is None or stored is None or stored.response.status not in RUNNING_STATUSES:
                return stored
            if ask is not None:
                await shared.ask(response_id, ask)  # again, if it was lost with a connection
            last = ""
            while last not in TERMINAL_TYPES and (
                events := await shared.watch(response_id, after + 1, sharing.check_every)
            ):
                after, last = events[-1].sequence_number, events[-1].type

    async def delete(self, response_id: str) -> None:
        """Delete a response, and cancel it if it is running. Raises ``APIError`` (404) if there is none."""
        async with self.locked(response_id):
            task = self.running.get(response_id)
            is_gone = False
            if task is not None:
                task.discard()
                await task.stop()
            elif self.sharing is not None:
                is_gone = await self.sharing.delete_elsewhere(id_in_store(self.store, response_id))
            if not await self.store.delete(response_id) and task is None and not is_gone:
                raise not_found("response", response_id, "response_id")

    # -- compaction and token counts

    async def compact(self, request: CompactRequest) -> CompactedResponse:
        """Shorten a history: through the handler if it is a :class:`SupportsCompact`, else by packing it. Raises ``APIError``."""
        context = await self._context(request)
        if not context:
            raise invalid("There is nothing to compact: the input is empty.", "input", "missing_required_parameter")
        handler = cast("object", self.handler)
        if isinstance(handler, SupportsCompact):
            output = normalize_items(await handler.compact(request, context), self.ids)
        else:
            output = compact(context, self.ids)
        input_tokens, output_tokens = count_words(context, request.instructions), count_words(output)
        usage = Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=input_tokens + output_tokens,
            input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        )
        return CompactedResponse(id=self.ids("resp"), created_at=int(self.clock()), output=output, usage=usage)

    async def count(self, request: InputTokensRequest) -> InputTokenCount:
        """Count the tokens of an input: through the handler if it is a :class:`SupportsCount`, else by words. Raises ``APIError``."""
        context = await self._context(request)
        handler = cast("object", self.handler)
        if isinstance(handler, SupportsCount):
            return InputTokenCount(input_tokens=await handler.count(request, context))
        return InputTokenCount(input_tokens=count_words(context, request.instructions, request.tools))

    async def _context(self, request: CompactRequest | InputTokensRequest) -> list[Item]:
        conversation = request.conversation if isinstance(request, InputTokensRequest) else None
        history = await self._history(request.previous_response_id or None, conversation or None)
        return retype(expand([*history, *await self.normalize(request.input or (), history)]), self.converter)


async def _deliver(events: Sequence[WireEvent], sink: EventSink) -> None:
    """Deliver events in pieces of bounded size, as fast as the client takes them."""
    piece: list[WireEvent] = []
    size = 0
    for event in events:
        piece.append(event)
        size += len(event.data)
        if size >= _MAX_PIECE_BYTES:
            await sink(piece)
            piece, size = [], 0
    if piece:
        await sink(piece)


def _is_named_by_id(item: Item) -> bool:
    """Return whether an item has an id but lacks required fields, so that the stored item replaces it."""
    return isinstance(item.extra, Extra) and bool(item.extra.absent - {"type"}) and bool(id_of(item))


def _position_after(events: Sequence[WireEvent], after: int | None) -> int:
    position = 0 if after is None else position_after(events, after)
    if position is None:
        message = f"No event with sequence number {after} has been sent: the last one has {last_number(events)}."
        raise invalid(message, "starting_after", "invalid_value")
    return position
