"""One request and its response, from the first event to the last, whoever the events go to. See :mod:`.service`."""

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

if TYPE_CHECKING:
    from ..models.events import Event
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.response import Response

__all__ = ["BROKEN", "EventSink", "Handler", "ResponseTask", "failure_events", "internal_error"]

Handler: TypeAlias = "Callable[[CreateResponse, Reply], Awaitable[None]]"
"""Answers one request; see :mod:`responses_proto.server.reply`. May raise an ``APIError``.

An object may also be :class:`Compacting` or :class:`Counting`, where it knows better than the server.
"""

EventSink: TypeAlias = Callable[[Sequence[WireEvent]], Awaitable[None]]
"""Takes the events that are due, to bring them to the client."""

BROKEN: Final = "The server met an error while it worked on the request."
"""All that a client is told about what broke inside."""

_SHUT_DOWN: Final = "The server was shut down while it worked on the response."
_SAVING: Final = 5.0  # seconds for storing a response whose task is being cancelled

_log: Final = logging.getLogger(__name__)


def internal_error() -> APIError:
    """Make the error that stands for whatever broke inside."""
    return APIError.for_status(500)(BROKEN, status=500, type="server_error", code="server_error")


def failure_events(response: Response, number: int) -> list[WireEvent]:
    """Make the last events of a response that failed, from a sequence number on."""
    error = response.error or ResponseError(code="server_error", message=BROKEN)
    body = ErrorBody(type="server_error", code=error.code, message=error.message, param=None)
    said = ErrorEvent(sequence_number=number, message=error.message, code=error.code, param=None, error=body)
    return [wire_event(said), wire_event(ResponseFailed(sequence_number=number + 1, response=response))]


def _refusal_in(raised: Any) -> APIError | None:
    """Give the ``APIError`` that a handler raised, also where a task group of its own has wrapped it."""
    if isinstance(raised, ExceptionGroup):
        inner = cast("ExceptionGroup[Exception]", raised).exceptions
        return _refusal_in(inner[0]) if len(inner) == 1 else None
    return raised if isinstance(raised, APIError) else None


class ResponseTask:
    """One request that was found good, and its response. Made by :meth:`Service.turn`; then call :meth:`run`, once."""

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
    ) -> None:
        # `history` is given where it cannot be looked up again, and is stored with the response. The turn enters itself
        # into `running` while its client may know its id.
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
        self._reply = Reply(self._emitter, self._say, clock, context=context)
        self._scope = anyio.CancelScope()
        self._deliver: EventSink | None = None
        self._undelivered: Exception | None = None
        self._stored = request.store is not False
        self._saved = False
        self._told = False
        self._final: Response | None = None  # where it did not end as the emitter says
        # The events so far, if they are to be stored. Followers see those that everybody may know of.
        self._logs = self._stored and bool(request.stream or request.background)
        self._log: list[WireEvent] = []
        self._visible = 0
        self._over = False
        self._news: anyio.Event | None = None  # while somebody waits for more

    @property
    def response(self) -> Response:
        """The response as it is now."""
        return self._final or self._emitter.response

    @property
    def history(self) -> list[Item]:
        """What a turn that follows this one sees before its own input."""
        return [*self.context, *self.response.output]

    @property
    def stored(self) -> StoredResponse:
        """The response as it is now, as a store keeps it."""
        return StoredResponse(response=self.response, input=self.input, history=self._history)

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._emitter.ended

    @property
    def number(self) -> int:
        """The sequence number of the last event that was told of; -1 before the first."""
        return self._visible - 1

    @property
    def in_background(self) -> bool:
        """Whether it goes on without anybody listening."""
        return bool(self.request.background)

    # -- verbs

    async def run(self, deliver: EventSink | None = None, *, generate: bool = True) -> None:
        """Let the handler answer, until the response has ended, whichever way.

        ``generate=False`` completes it without the handler, for a client that only warms up. Raises ``APIError`` if the
        handler refused, or broke, before anything was delivered; and what ``deliver`` raises.
        """
        self._deliver = deliver
        refused: APIError | None = None
        try:
            if not self.ended:
                with self._scope:
                    refused = await self._work(generate=generate)
            if refused is not None and not self.ended:
                await self._refuse(refused)
        except BaseException:  # the client left, or the server is being stopped
            await self._abandon()
            raise
        finally:
            self._running.pop(self.id, None)
            self._over = True
            self._wake()

    async def queue(self) -> None:
        """Create the response and let it wait for :meth:`run`."""
        await self._say(self._emitter.queue())

    async def stop(self, reason: str | None = None) -> None:
        """End the response from another task: as incomplete for a ``reason`` (``steered``), or else as cancelled.

        What was said so far is delivered first, then the end. The handler is cancelled at once. Idempotent.
        """
        end = self._emitter.cancel if reason is None else functools.partial(self._emitter.incomplete, reason)
        try:
            await self._reply.cut(end, self._scope.cancel)
        except Exception as error:
            if error is not self._undelivered:  # that the client has gone is nothing to whoever stops it
                raise

    def forget(self) -> None:
        """Have the response neither stored nor found from here on."""
        self._stored = False
        self._running.pop(self.id, None)

    async def more(self, number: int) -> Sequence[WireEvent]:
        """Wait for the events from a sequence number on, of a response that is stored; empty if none will come any more."""
        while number >= self._visible and not self._over:
            self._news = self._news or anyio.Event()
            await self._news.wait()
        return self._log[number : self._visible]

    # -- inside

    async def _work(self, *, generate: bool) -> APIError | None:
        """Let the handler answer; give what it raised, in a form that may be shown to the client."""
        try:
            if generate:
                await self._handler(self.request, self._reply)
            if not self.ended:
                await self._reply.complete()
        except Exception as error:
            if self._undelivered is not None:
                raise self._undelivered from error
            if self.ended and self._scope.cancel_called:
                return None  # it was stopped, and tried to say one thing more
            refused = _refusal_in(error)
            if refused is not None:
                return refused
            # What a handler raises may hold anything, keys included, so that only the log gets it.
            _log.exception("the handler of %s failed", self.id)
            return internal_error()
        return None

    async def _refuse(self, error: APIError) -> None:
        if not self._told:
            raise error
        code, type_ = error.code or "server_error", error.type or "server_error"
        await self._reply.fail(code, error.message, type=type_, param=error.param)

    async def _say(self, events: Sequence[Event]) -> None:
        listened = self._deliver is not None
        said = [wire_event(event) for event in events] if listened or self._logs else []
        if self._logs:
            if not self._told:
                # From here on the client knows the id, so that it has to be found, whatever happens.
                self._running[self.id] = self
                await self._store.save(self.stored)
            self._log += said
        self._told = self._told or listened or self.in_background
        if self.ended:
            if not await self._keep():
                said = self._unkept(said)
        elif self.in_background and self._stored:
            await self._store.add_events(self.id, said)
        self._visible = len(self._log)
        self._wake()
        if self._deliver is not None:
            try:
                await self._deliver(said)
            except Exception as error:
                self._undelivered = error
                raise

    async def _keep(self) -> bool:
        """Store how it ended, before anybody is told; tell whether that worked."""
        try:
            await self._save()
        except Exception:  # noqa: BLE001 - whatever breaks in a store, the client gets an answer
            _log.exception("%s could not be stored", self.id)
            return False
        return True

    async def _save(self) -> None:
        response = self.response
        grows = response.conversation if response.status in ("completed", "incomplete") else None
        items = self.stored.items if grows else []
        if self._stored:
            await self._store.save(self.stored, events=self._log, conversation_items=items)
        elif grows:
            await self._store.add_items(grows.id, items)
        self._saved = True

    def _unkept(self, said: list[WireEvent]) -> list[WireEvent]:
        """Have it failed instead; give the events that say so."""
        error = ResponseError(code="server_error", message="The response could not be stored.")
        self._final = attrs.evolve(
            self.response, status="failed", error=error, incomplete_details=None, completed_at=None
        )
        if not said:
            return []
        last = failure_events(self._final, said[-1].sequence_number)
        self._log[-1:] = last if self._log else []
        return [*said[:-1], *last]

    async def _abandon(self) -> None:
        """Store how far it came, when its task is being cancelled or nobody can be told any more."""
        if not self._told or not self._stored or self._saved:
            return
        self._deliver = None
        # Nobody but the server itself cancels a task in the background; others end with their client.
        shut_down = functools.partial(self._emitter.fail, "server_error", _SHUT_DOWN)
        with anyio.move_on_after(_SAVING, shield=True):
            if self.ended:
                await self._reply.flush()  # its last event may not have been told
                if not self._saved:
                    await self._keep()
            else:
                await self._reply.cut(shut_down if self.in_background else self._emitter.cancel, self._scope.cancel)

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None
