"""One request and its response, from the first event to the last. :mod:`.service` describes the whole way of a request.

A :class:`ResponseTask` stands between the handler and the readers of the events. The handler writes through a ``Reply``, whose
events all arrive at ``_publish``. There they are encoded, stored if they must be, shown to followers (``wait_for_events``) and
passed to the sink, in that order. A response can end in four ways:

* The handler returns or ends it: ``_publish`` saves the final response, then delivers the terminal event.
* The handler raises: an ``APIError`` from ``run`` if no event was published yet, otherwise ``error`` and ``response.failed``.
* Another task calls ``stop``: what was written so far is delivered, then the end, and the handler is cancelled.
* The task in ``run`` is cancelled, or the sink raises: the client has left, so the response is only saved, as far as it
  got.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio
import attrs

from ..exceptions import APIError
from ..models.event_parts import ErrorBody
from ..models.events import ErrorEvent, ResponseFailed
from ..models.response import ResponseError
from ..protocol.emitter import Emitter
from .reply import Reply
from .stores import Store, StoredResponse, WireEvent, wire_event
from .stores._base import wire_events

if TYPE_CHECKING:
    from ..models.events import Event
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.response import Response
    from ._access import RequestMeta

__all__ = ["INTERNAL_ERROR_MESSAGE", "EventSink", "Handler", "ResponseTask", "failure_events", "internal_error"]

Handler: TypeAlias = "Callable[[CreateResponse, Reply], Awaitable[None]]"
"""Answers one request; see :mod:`responses_proto.server.reply`. May raise an ``APIError``.

A handler that is an object may also implement :class:`~responses_proto.server.SupportsCompact` and
:class:`~responses_proto.server.SupportsCount`.
"""

EventSink: TypeAlias = Callable[[Sequence[WireEvent]], Awaitable[None]]
"""Sends events to the client. It is called with one or more events, in order, and one call at a time."""

INTERNAL_ERROR_MESSAGE: Final = "The server met an error while it worked on the request."
"""All that a client learns about an unexpected exception, whose text may contain secrets."""

_SHUT_DOWN: Final = "The server was shut down while it worked on the response."
_START_AFTER: Final = 1.0  # seconds that a handler has for raising an error that becomes an HTTP response
_SAVE_TIMEOUT: Final = 5.0  # seconds for saving a response whose task is being cancelled

_log: Final = logging.getLogger(__name__)


def internal_error() -> APIError:
    """Create the error (500) that stands for an unexpected exception."""
    return APIError.for_status(500)(INTERNAL_ERROR_MESSAGE, status=500, type="server_error", code="server_error")


def failure_events(response: Response, number: int) -> list[WireEvent]:
    """Return the last two events of a response that failed, ``error`` and ``response.failed``, numbered from ``number``."""
    error = response.error or ResponseError(code="server_error", message=INTERNAL_ERROR_MESSAGE)
    body = ErrorBody(type="server_error", code=error.code, message=error.message, param=None)
    error_event = ErrorEvent(sequence_number=number, message=error.message, code=error.code, param=None, error=body)
    return [wire_event(error_event), wire_event(ResponseFailed(sequence_number=number + 1, response=response))]


def _api_error_in(raised: Any) -> APIError | None:
    """Return the ``APIError`` that a handler raised, even if the handler's task groups have wrapped it."""
    if isinstance(raised, ExceptionGroup):
        inner = cast("ExceptionGroup[Exception]", raised).exceptions
        return _api_error_in(inner[0]) if len(inner) == 1 else None
    return raised if isinstance(raised, APIError) else None


class ResponseTask:
    """One request that passed its checks, and its response. :meth:`Service.prepare` creates it; then call :meth:`run`, once.

    ``input`` are the items of the request, and ``context`` the history followed by the input. ``history`` is the history if the
    store cannot look it up; it is stored with the response. ``running`` is the table that the task adds itself to while a client
    may know its id. ``meta`` is what else is known of the request. The other parameters are those of :class:`Service`.
    """

    def __init__(
        self,
        request: CreateResponse,
        *,
        handler: Handler,
        store: Store,
        running: dict[str, ResponseTask],
        clock: Callable[[], float],
        ids: Callable[[str], str],
        input: Sequence[Item],  # noqa: A002 - the field's name
        context: Sequence[Item],
        history: Sequence[Item] | None = None,
        meta: RequestMeta | None = None,
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
        self._store = store
        self._running = running
        self._history = None if history is None else [*history]
        self._reply = Reply(self._emitter, self._publish, clock, context=context, meta=meta)
        self._scope = anyio.CancelScope()  # of the handler
        self._sink: EventSink | None = None
        self._sink_error: Exception | None = None
        self._should_store = request.store is not False
        self._saved = False  # whether the final response is in the store
        self._published = False  # whether a client may know of the response
        self._replaced: Response | None = None  # the final response, if it is not the emitter's
        # The events so far, if they are stored. Followers see the first `_visible` of them: the others are being stored.
        self._keeps_events = self._should_store and bool(request.stream or request.background)
        self._events: list[WireEvent] = []
        self._visible = 0
        self._finished = False
        self._new_events: anyio.Event | None = None  # set when there are more; exists only while a follower waits

    @property
    def response(self) -> Response:
        """The response so far."""
        return self._replaced or self._emitter.response

    @property
    def history(self) -> list[Item]:
        """What a request that follows this one sees before its own input."""
        return [*self.context, *self.response.output]

    @property
    def stored(self) -> StoredResponse:
        """The response so far, as a store keeps it."""
        return StoredResponse(response=self.response, input=self.input, history=self._history)

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._emitter.ended

    @property
    def last_sequence_number(self) -> int:
        """The sequence number of the last event that followers can see; -1 before the first."""
        return self._visible - 1

    @property
    def background(self) -> bool:
        """Whether the response goes on when its client leaves."""
        return bool(self.request.background)

    # -- verbs

    async def run(self, sink: EventSink | None = None, *, generate: bool = True) -> None:
        """Call the handler, and return when the response has ended. The result is in :attr:`response`.

        ``sink`` gets the events; without one, nothing is delivered. ``generate=False`` completes the response without the
        handler, for a WebSocket client that only warms up its connection. Raises ``APIError`` if the handler failed
        before any event was published, and what ``sink`` raises.
        """
        self._sink = sink
        error: APIError | None = None
        try:
            if not self.ended:
                with self._scope:
                    error = await self._call_handler_in_time(generate=generate)
            if error is not None and not self.ended:
                await self._fail(error)
        except BaseException:  # the client has left, or the server is shutting down
            await self._save_unfinished()
            raise
        finally:
            self._running.pop(self.id, None)
            self._finished = True
            self._wake_followers()

    async def queue(self) -> None:
        """Create the response as ``queued``. Call :meth:`run` next."""
        await self._publish(self._emitter.queue())

    async def stop(self, reason: str | None = None) -> None:
        """End the response from another task: as ``incomplete`` if there is a ``reason``, else as ``cancelled``.

        What the handler has written is delivered first, then the end. The handler is cancelled at once. Idempotent.
        """
        end = self._emitter.cancel if reason is None else functools.partial(self._emitter.incomplete, reason)
        try:
            await self._reply.cut(end, self._scope.cancel)
        except Exception as error:
            if error is not self._sink_error:  # `run` raises that one
                raise

    def discard(self) -> None:
        """Do not store the response, and hide it from now on. It continues to run."""
        self._should_store = False
        self._running.pop(self.id, None)

    async def wait_for_events(self, number: int) -> Sequence[WireEvent]:
        """Return the events from a sequence number on; wait if there are none yet. Empty at the end of the response.

        Only for a response that is stored, and either streamed or in the background.
        """
        while number >= self._visible and not self._finished:
            self._new_events = self._new_events or anyio.Event()
            await self._new_events.wait()
        return self._events[number : self._visible]

    # -- inside

    async def _call_handler_in_time(self, *, generate: bool) -> APIError | None:
        """Call the handler. If it is slow to start the response, start it: a client that waits for events gets some."""
        if self._sink is None or self._published:
            return await self._call_handler(generate=generate)
        # Raised below, outside of the task group, which would wrap it.
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
        if not self.ended:
            await self._reply.start()

    async def _call_handler(self, *, generate: bool) -> APIError | None:
        """Call the handler. Return its error in a form that may be shown to the client."""
        try:
            if generate:
                await self._handler(self.request, self._reply)
            if not self.ended:
                await self._reply.complete()
        except Exception as error:
            if self._sink_error is not None:
                raise self._sink_error from error
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
        """Store events if they must be, show them to followers, and deliver them to the sink."""
        has_sink = self._sink is not None
        encoded = await wire_events(events) if has_sink or self._keeps_events else []
        if self._keeps_events:
            if not self._published:
                # The client is about to learn the id, so the response must be found from here on.
                self._running[self.id] = self
                await self._store.save(self.stored)
            self._events += encoded
        self._published = self._published or has_sink or self.background
        if self.ended:
            if not await self._try_save():
                encoded = self._replace_end(encoded)
        elif self.background and self._should_store:
            await self._store.add_events(self.id, encoded)
        self._visible = len(self._events)
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
        except Exception:  # noqa: BLE001 - the client must get an answer to any error of the store
            _log.exception("%s could not be stored", self.id)
            return False
        return True

    async def _save(self) -> None:
        response = self.response
        conversation = response.conversation if response.status in ("completed", "incomplete") else None
        items = self.stored.items if conversation else []
        if self._should_store:
            await self._store.save(self.stored, events=self._events, conversation_items=items)
        elif conversation:
            await self._store.add_items(conversation.id, items)
        self._saved = True

    def _replace_end(self, events: list[WireEvent]) -> list[WireEvent]:
        """Make the response ``failed`` because it could not be stored. Return ``events`` with the matching end."""
        error = ResponseError(code="server_error", message="The response could not be stored.")
        self._replaced = attrs.evolve(
            self.response, status="failed", error=error, incomplete_details=None, completed_at=None
        )
        if not events:
            return []
        last_events = failure_events(self._replaced, events[-1].sequence_number)
        self._events[-1:] = last_events if self._events else []
        return [*events[:-1], *last_events]

    async def _save_unfinished(self) -> None:
        """Save the response as far as it got, because its task is being cancelled or its client has left."""
        if not self._published or not self._should_store or self._saved:
            return
        self._sink = None
        # Only a shutdown cancels a task in the background; the others end with their client.
        shut_down = functools.partial(self._emitter.fail, "server_error", _SHUT_DOWN)
        with anyio.move_on_after(_SAVE_TIMEOUT, shield=True):
            if self.ended:
                await self._reply.flush()  # the terminal event may not have been published
                if not self._saved:
                    await self._try_save()
            else:
                await self._reply.cut(shut_down if self.background else self._emitter.cancel, self._scope.cancel)

    def _wake_followers(self) -> None:
        if self._new_events is not None:
            self._new_events.set()
            self._new_events = None
