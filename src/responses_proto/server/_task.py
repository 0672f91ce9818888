"""One request and its response, from the first event to the last. :mod:`.service` describes the whole path of a request.

A :class:`ResponseTask` sits between the handler and the readers of the events. The handler writes through a ``Reply``, whose events
all go through ``_publish``. It encodes them, stores them if necessary, makes them visible to followers (``wait_for_events``), and
passes them to the sink, in that order. A response can end in four ways:

* The handler returns or ends it: ``_publish`` saves the final response, then delivers the terminal event.
* The handler raises: an ``APIError`` from ``run`` if no event was published yet, otherwise ``error`` and ``response.failed``.
* Another task calls ``stop``: the handler is cancelled, the events written so far are delivered, and then the end.
* The task in ``run`` is cancelled, or the sink raises: the client has disconnected, so the response so far is saved, but not
  delivered.

With a store that several servers share, there is a fifth way: another server has ended the response (``lose``), and this one stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio
import attrs

from ..codec import dumps
from ..exceptions import APIError
from ..models.event_parts import ErrorBody
from ..models.events import ErrorEvent, ResponseFailed
from ..models.response import RUNNING_STATUSES, ResponseError
from ..protocol.emitter import Emitter
from ._relayed import last_number
from ._sharing import LeasedStore, LeaseLostError, Sharing
from .reply import Reply
from .stores import StoredResponse, WireEvent
from .stores._base import as_shared, wire_events

if TYPE_CHECKING:
    from ..models.events import Event
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.response import Response
    from ._access import RequestMeta
    from ._relayed import Ending
    from .stores import Store

Handler: TypeAlias = "Callable[[CreateResponse, Reply], Awaitable[None]]"
"""Answers one request; see :mod:`responses_proto.server.reply`. May raise an ``APIError``.

A handler that is an object may also implement :class:`~responses_proto.server.SupportsCompact` and
:class:`~responses_proto.server.SupportsCount`.
"""

EventSink: TypeAlias = Callable[[Sequence[WireEvent]], Awaitable[None]]
"""Sends events to the client. It is called with one or more events, in order, and never concurrently."""


INTERNAL_ERROR_MESSAGE: Final = "The server had an internal error while it processed the request."
"""All that a client learns about an unexpected exception, whose text may contain secrets."""

_SHUT_DOWN: Final = "The server was shut down while it generated the response."
_NOT_STORED: Final = "The response could not be stored."
_START_AFTER: Final = 1.0  # seconds that a handler has for raising an error that becomes an HTTP response
_SAVE_TIMEOUT: Final = 5.0  # seconds for saving a response whose task is being cancelled

_log: Final = logging.getLogger(__name__)


def internal_error() -> APIError:
    """Create the error (500) that the client gets for an unexpected exception."""
    return APIError.for_status(500)(INTERNAL_ERROR_MESSAGE, status=500, type="server_error", code="server_error")


def failure_events(response: Response, position: int, number: int) -> list[WireEvent]:
    """Return the last two events of a failed response, ``error`` and ``response.failed``.

    Their sequence numbers start at ``number``, and their positions in the log at ``position``.
    """
    error = response.error or ResponseError(code="server_error", message=INTERNAL_ERROR_MESSAGE)
    body = ErrorBody(type="server_error", code=error.code, message=error.message, param=None)
    error_event = ErrorEvent(sequence_number=number, message=error.message, code=error.code, param=None, error=body)
    ending = ResponseFailed(sequence_number=number + 1, response=response)
    last: list[Event] = [error_event, ending]
    return [WireEvent(position + n, event.type, dumps(event)) for n, event in enumerate(last)]


def is_cancelled(raised: BaseException) -> bool:
    """Return whether an exception is the cancellation of the current task, and not that of a task that it has awaited."""
    if isinstance(raised, Exception):
        return False
    if anyio.current_effective_deadline() == -math.inf:
        return True
    task = asyncio.current_task()  # trio has no cancellation without a scope
    return task is not None and task.cancelling() > 0


def _taken_over() -> APIError:
    message = "The server lost contact with its store for too long; another server has ended the response."
    return APIError.for_status(500)(message, status=500, type="server_error", code="server_error")


def _api_error_in(raised: Any) -> APIError | None:
    """Return the ``APIError`` that a handler raised, even if the handler's task groups have wrapped it."""
    if isinstance(raised, ExceptionGroup):
        inner = cast("ExceptionGroup[Exception]", raised).exceptions
        return _api_error_in(inner[0]) if len(inner) == 1 else None
    return raised if isinstance(raised, APIError) else None


class ResponseTask:
    """One request that passed its checks, and its response. :meth:`Service.prepare` creates it; then call :meth:`run`, once.

    ``input`` are the items of the request, and ``context`` is the history followed by the input. ``history`` is given if the store
    cannot look the history up; it is stored with the response. The task adds itself to ``running`` while a client may know its id.
    With ``sharing``, other servers can follow the response, and the task writes with a lease. ``service`` is only kept from being
    garbage-collected. ``meta`` is the metadata of the request. ``response_headers`` receives the headers that the handler sets. The
    other parameters are those of :class:`Service`.
    """

    def __init__(
        self,
        request: CreateResponse,
        *,
        handler: Handler,
        store: Store,
        running: dict[str, ResponseTask],
        sharing: Sharing | None = None,
        service: object = None,
        clock: Callable[[], float],
        ids: Callable[[str], str],
        input: Sequence[Item],  # noqa: A002 - the field's name
        context: Sequence[Item],
        history: Sequence[Item] | None = None,
        meta: RequestMeta | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> None:
        self._emitter = Emitter(request, now=clock(), ids=ids)
        self.id: str = self._emitter.response.id
        """The id of the response."""
        self.request: CreateResponse = request
        self.input: list[Item] = [*input]
        """The items of the request itself, as they are stored."""
        self.context: Sequence[Item] = context
        """What the model sees: the history, then the input."""
        self._handler = handler
        shared = as_shared(store)
        self._leased = None if sharing is None or shared is None else LeasedStore(sharing, shared, self)
        self._store: LeasedStore | Store = self._leased or store
        self._whole_store = store
        self.lost: bool = False
        """Whether another server has ended or deleted the response. Its events, if any, are in the store."""
        self._running = running
        self._service = service  # keeps a tenant's service alive while one of its tasks runs
        self._history = None if history is None else [*history]
        self._reply = Reply(
            self._emitter,
            self._publish,
            clock,
            context=context,
            meta=meta,
            relaying=self,
            response_headers=response_headers,
        )
        self._scope = anyio.CancelScope()  # of the handler
        self._sink: EventSink | None = None
        self._sink_error: Exception | None = None
        self._should_store = request.store is not False
        self._saved = False  # whether the final response is in the store
        self._published = False  # whether a client may know of the response
        self.begun: anyio.Event = anyio.Event()
        """Set when the first event was published, or when the task has ended without any."""
        self.error: APIError | None = None
        """The error that ended the task before any event; else ``None``."""
        self._replaced: Response | None = None  # the final response, if it is not the emitter's
        # The events so far, if they are stored. Followers see the first `_visible` events; the rest are being stored.
        self._keeps_events = self._should_store and bool(request.stream or request.background)
        self._events: list[WireEvent] = []
        self._visible = 0
        self._finished = False
        self._end_unsaved = False
        self._new_events: anyio.Event | None = None  # set when events are added; exists only while a follower waits

    @property
    def response(self) -> Response:
        """The response so far."""
        return self._replaced or self._reply.response

    @property
    def history(self) -> list[Item]:
        """The history of a request that follows this one."""
        return [*self.context, *self.response.output]

    @property
    def stored(self) -> StoredResponse:
        """The response so far, in the form that a store keeps."""
        return StoredResponse(response=self.response, input=self.input, history=self._history)

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._reply.ended

    @property
    def adopts(self) -> bool:
        """Whether the response adopts the id of an upstream's response, and so begins when that begins."""
        return bool(getattr(self._handler, "adopts", False))

    @property
    def saved(self) -> bool:
        """Whether the final response is stored."""
        return self._saved and self._should_store

    @property
    def visible_events(self) -> Sequence[WireEvent]:
        """The events that followers can see."""
        return self._events[: self._visible]

    @property
    def background(self) -> bool:
        """Whether the response continues when its client disconnects."""
        return bool(self.request.background)

    # -- verbs

    async def run(self, sink: EventSink | None = None, *, generate: bool = True) -> None:
        """Call the handler, and return when the response has ended. The result is in :attr:`response`.

        ``sink`` receives the events; without a sink, nothing is delivered. ``generate=False`` completes the response without the
        handler, for a WebSocket client that only warms up its connection. Raises ``APIError`` if the handler failed before any event
        was published, or if another server has ended the response. Also raises what ``sink`` raises.
        """
        self._sink = sink
        error: APIError | None = None
        try:
            if not self.ended:
                with self._scope:
                    error = await self._call_handler_in_time(generate=generate)
            if error is not None and not self.ended:
                self.error = error
                await self._fail(error)
        except BaseException:  # the client has disconnected, or the server is shutting down
            await self._save_unfinished()
            raise
        finally:
            self._running.pop(self.id, None)
            self._finished = True
            self.begun.set()
            self._wake_followers()
        if self.lost and not self.background:
            raise _taken_over()

    async def queue(self) -> None:
        """Create the response as ``queued``. Call :meth:`run` next."""
        await self._publish(self._emitter.queue())

    async def announce(self) -> None:
        """Store the response before it runs, so that other servers can see that this one works on it. Call :meth:`run` next."""
        await self._store.save(self.stored)

    async def stop(self, reason: str | None = None) -> None:
        """End the response from another task: as ``incomplete`` if there is a ``reason``, else as ``cancelled``.

        The events that the handler has written are delivered first, then the end. The handler is cancelled at once. Idempotent.
        """
        try:
            if reason is None:
                await self._reply.cut("cancelled", self._scope.cancel)
            else:
                await self._reply.cut("incomplete", self._scope.cancel, reason=reason)
        except Exception as error:
            if error is not self._sink_error and not isinstance(error, LeaseLostError):  # `run` raises these
                raise

    def abandon(self) -> None:
        """Cancel the handler: the client has disconnected before it knew of the response."""
        self._scope.cancel()

    def discard(self) -> None:
        """Do not store the response, and hide it from now on. It continues to run."""
        self._should_store = False
        self._running.pop(self.id, None)
        if self._leased is not None:
            self._leased.let_go()

    def lose(self) -> None:
        """Cancel the handler and stop storing: another server has ended or deleted the response."""
        self.lost = True
        self.discard()
        self._scope.cancel()

    async def wait_for_events(self, number: int) -> Sequence[WireEvent]:
        """Return the events from position ``number`` on; wait if there are none yet. Empty at the end of the response.

        Only for a response that is stored, and either streamed or in the background. If the end of a response in the background could
        not be stored, raises ``APIError`` (500) in place of its last events.
        """
        while number >= self._visible and not self._finished:
            self._new_events = self._new_events or anyio.Event()
            await self._new_events.wait()
        if self._end_unsaved and number >= self._visible:
            raise APIError.for_status(500)(_NOT_STORED, status=500, type="server_error", code="server_error")
        return self._events[number : self._visible]

    # -- inside

    async def _call_handler_in_time(self, *, generate: bool) -> APIError | None:
        """Call the handler. If it is slow to start the response, start it, so that a waiting client gets events."""
        if self._sink is None or self._published:
            return await self._call_handler(generate=generate)
        # Raised below, outside the task group, which would wrap it.
        raised: Exception | None = None
        error: APIError | None = None

        async def start_when_late(scope: anyio.CancelScope) -> None:
            nonlocal raised
            await anyio.sleep(_START_AFTER)
            try:
                await self._start()
            except Exception as caught:  # noqa: BLE001 - see above
                raised = caught
                scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start_when_late, tasks.cancel_scope)
            try:
                error = await self._call_handler(generate=generate)
            except Exception as caught:  # noqa: BLE001 - see above
                raised = caught
            tasks.cancel_scope.cancel()
        if raised is not None:
            raise raised
        return error

    async def _start(self) -> None:
        if not self.ended and not self._reply.relays:
            await self._reply.start()

    async def _call_handler(self, *, generate: bool) -> APIError | None:
        """Call the handler. Return its error in a form that may be shown to the client."""
        try:
            if generate:
                await self._handler(self.request, self._reply)
            if not self.ended:
                await self._reply.complete()
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            if is_cancelled(error):
                raise
            if self._sink_error is not None:
                raise self._sink_error from error
            if self.lost:
                return None
            if self.ended and self._scope.cancel_called:
                return None  # the response was stopped, and the handler tried to write more
            api_error = _api_error_in(error)
            if api_error is not None:
                return api_error
            # The exception may contain anything, keys included. Only the log gets it.
            _log.exception("the handler of %s failed", self.id)
            return internal_error()
        return None

    async def _fail(self, error: APIError) -> None:
        if not self._published:
            raise error
        code, type_ = error.code or "server_error", error.type or "server_error"
        await self._reply.fail(code, error.message, type=type_, param=error.param)

    async def _publish(self, events: Sequence[Event]) -> None:
        await self.publish(await wire_events(events) if self._sink is not None or self._keeps_events else [])

    async def adopt(self, upstream_id: str | None) -> str:
        """Adopt the id of an upstream's response, unless another response here has it. Return the resulting id."""
        announced = self._leased is not None and self._leased.holds
        if upstream_id and not announced and upstream_id not in self._running and await self._is_free(upstream_id):
            self.id = upstream_id
            if self._leased is not None:
                self._leased.response_id = upstream_id
        return self.id

    async def _is_free(self, response_id: str) -> bool:
        if not self._should_store:
            return True
        known = await self._whole_store.find(response_id)
        if known is None:
            return True
        previous = self.request.previous_response_id
        if previous and any(link.id == response_id for link in await self._whole_store.chain(previous)):
            return False  # a response cannot follow itself
        # An upstream may answer a repeated request with its earlier response. The newest counts.
        return known.response.status not in RUNNING_STATUSES and await self._whole_store.delete(response_id)

    async def publish(self, events: Sequence[WireEvent]) -> None:
        """Store encoded events if necessary, make them visible to followers, and deliver them to the sink."""
        if self.lost:
            raise LeaseLostError(self.id)
        encoded = [*events]
        has_sink = self._sink is not None
        if self._keeps_events:
            if not self._published:
                # The client is about to learn the id, so the response must be findable from here on.
                self._running[self.id] = self
                await self._store.save(self.stored)
            self._events += encoded
        self._published = self._published or has_sink or self.background
        if self.ended:
            if not await self._try_save():
                encoded = self._replace_end(encoded)
                if not await self._try_save() and self.background and self._should_store:
                    # Clients resume from the store, so an event that is not stored must not be sent.
                    self._end_unsaved = True
                    return
        elif self._should_store and (self.background or (self._leased is not None and self._keeps_events)):
            await self._store.add_events(self.id, encoded)
        self._visible = len(self._events)
        self.begun.set()
        self._wake_followers()
        if self._sink is not None:
            try:
                await self._sink(encoded)
            except Exception as error:
                self._sink_error = error
                raise

    async def _try_save(self) -> bool:
        """Save the final response. Return whether that worked."""
        try:
            await self._save()
        except LeaseLostError:
            raise
        except Exception:  # noqa: BLE001 - the client must get an answer whatever the store raises
            _log.exception("%s could not be stored", self.id)
            return False
        return True

    async def _save(self) -> None:
        response = self.response
        conversation = response.conversation if response.status in ("completed", "incomplete") else None
        items = self.stored.items if conversation else []
        if self._should_store:
            await self._store.save(self.stored, events=self._events, conversation_items=items)
            if (alias := self._reply.alias) and await self._is_free(alias):
                other = attrs.evolve(self.stored, response=attrs.evolve(response, id=alias))
                await self._whole_store.save(other, events=self._events)
        elif conversation:
            await self._store.add_items(conversation.id, items)
        self._saved = True

    def _replace_end(self, events: list[WireEvent]) -> list[WireEvent]:
        """Make the response ``failed`` because it could not be stored. Return ``events`` with the matching end."""
        error = ResponseError(code="server_error", message=_NOT_STORED)
        self._replaced = attrs.evolve(
            self.response, status="failed", error=error, incomplete_details=None, completed_at=None
        )
        if not events:
            return []
        last_events = failure_events(self._replaced, events[-1].sequence_number, last_number(events))
        self._events[-1:] = last_events if self._events else []
        return [*events[:-1], *last_events]

    async def _save_unfinished(self) -> None:
        """Save the response so far, because its task is being cancelled or its client has disconnected."""
        if not self._published or not self._should_store or self._saved:
            return
        self._sink = None
        with anyio.move_on_after(_SAVE_TIMEOUT, shield=True), contextlib.suppress(LeaseLostError):
            if self.ended:
                await self._reply.flush()  # the terminal event may not have been published
                if not self._saved:
                    await self._try_save()
            else:
                # Only a shutdown cancels a background task; other tasks end with their client.
                how: Ending = "failed" if self.background else "cancelled"
                error = APIError(_SHUT_DOWN) if self.background else None
                await self._reply.cut(how, self._scope.cancel, error=error)

    def _wake_followers(self) -> None:
        if self._new_events is not None:
            self._new_events.set()
            self._new_events = None
