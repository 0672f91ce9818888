"""The interface that a handler writes its response with: an async :class:`~responses_proto.protocol.Emitter`.

A handler connects a server to its model. It is called with a request and a :class:`Reply`, and writes the output item by item::

    async def handler(request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            async for token in my_model(request):
                await message.text(token)

Each method returns when its events have been passed to the transport, so a slow client slows the handler down instead of filling
memory. When the handler returns, the response is completed. The handler may also end the response itself: with ``complete``, which
takes the usage, ``incomplete`` or ``fail``.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeAlias, TypeVar

import anyio

from ..exceptions import (
    APIError,
    DeadlineExceeded,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    RemoteProtocolError,
    ResponsesProtoError,
    TransportError,
)
from ..models.events import ResponseFailed
from ..protocol.emitter import Emitter, FunctionCallWriter, ItemWriter, MessageWriter, OpenItemWriter, ReasoningWriter
from ._context import normalize_items
from ._relayed import RelayedResponse, copy_of, id_in, is_beside, upstream_input
from ._response_headers import checked_header_name, checked_header_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from ..client import EventStream
    from ..models.content import Annotation, LogProb
    from ..models.events import Event
    from ..models.items import Item, MessagePhase
    from ..models.request import CreateResponse
    from ..models.response import Response, Usage
    from ..protocol.stream import Outcome
    from ._access import RequestMeta
    from ._relayed import Ending
    from .stores import WireEvent

__all__ = ["EventTap", "FunctionCallReply", "ItemReply", "MessageReply", "OpenItemReply", "ReasoningReply", "Reply"]

W = TypeVar("W", bound=ItemWriter)

EventTap: TypeAlias = "Callable[[Event, Reply], Awaitable[None] | None]"
"""Called with each event of an upstream before it is passed on, and with the reply. Plain or async. The event is a copy: changes to it
are not sent."""


class ItemReply(Generic[W]):
    """An open output item. Use it in ``async with``, which closes the item, or call :meth:`done`.

    If the block raises, the item stays open, and the end of the response marks it ``incomplete``. Methods raise
    ``LocalProtocolError`` once the item is closed or the response has ended.
    """

    def __init__(self, writer: W, send: Callable[[list[Event]], Awaitable[None]]) -> None:
        self._writer = writer
        self._send = send

    @property
    def id(self) -> str:
        """The item's id."""
        return self._writer.id

    async def __aenter__(self) -> Self:
        await self._send([])  # sends `output_item.added` before the item has content
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is None and not self._writer.closed:
            await self.done()

    async def done(self) -> None:
        """Close the item and its open content part."""
        await self._send(self._writer.done())


class MessageReply(ItemReply[MessageWriter]):
    """An open message of the assistant, with text, refusals and annotations. :meth:`Reply.message` opens one."""

    async def text(self, delta: str, *, logprobs: Sequence[LogProb] = ()) -> None:
        """Append to the text. Opens a text part if none is open.

        ``logprobs`` are the log probabilities of the tokens in ``delta``; the client asks for them with ``include``.
        """
        await self._send(self._writer.text(delta, logprobs=logprobs))

    async def refusal(self, delta: str) -> None:
        """Append to the refusal, the text that explains why the model declines. Opens a refusal part if none is open."""
        await self._send(self._writer.refusal(delta))

    async def annotation(self, annotation: Annotation) -> None:
        """Add an annotation, such as a citation, to the open text part."""
        await self._send(self._writer.annotation(annotation))

    async def end_part(self) -> None:
        """Close the open part. The next text starts a new one."""
        await self._send(self._writer.end_part())


class ReasoningReply(ItemReply[ReasoningWriter]):
    """An open reasoning item. :meth:`Reply.reasoning` opens one."""

    async def text(self, delta: str) -> None:
        """Append to the reasoning text, which the client can read."""
        await self._send(self._writer.text(delta))

    async def summary(self, delta: str) -> None:
        """Append to the summary."""
        await self._send(self._writer.summary(delta))

    async def end_part(self) -> None:
        """Close the open part. The next text or summary starts a new one."""
        await self._send(self._writer.end_part())

    async def done(self, *, encrypted_content: str | None = None) -> None:
        """Close the item.

        ``encrypted_content`` is the reasoning in a form that only the server can read. A client that stores its own history
        asks for it with ``include``, and sends it back with the next request.
        """
        await self._send(self._writer.done(encrypted_content=encrypted_content))


class FunctionCallReply(ItemReply[FunctionCallWriter]):
    """An open call of a function of the client. :meth:`Reply.function_call` opens one."""

    @property
    def call_id(self) -> str:
        """The id of the call, which the client repeats in its output."""
        return self._writer.call_id

    async def arguments(self, delta: str) -> None:
        """Append to the arguments. Together, the deltas must form a JSON object."""
        await self._send(self._writer.arguments(delta))


class OpenItemReply(ItemReply[OpenItemWriter]):
    """An item that is open until its result is available. :meth:`Reply.open` opens one."""

    async def done_with(self, item: Item) -> None:
        """Close the item with its final content. The texts that it was opened with must not have changed."""
        await self._send(self._writer.done_with(item))


class Relaying(Protocol):
    """The interface of the server that a reply needs for relaying."""

    request: CreateResponse

    async def adopt(self, upstream_id: str | None) -> str:
        """Adopt the id of an upstream's response, if it is not taken. Return the resulting id."""
        ...

    async def publish(self, events: Sequence[WireEvent]) -> None:
        """Store and deliver events."""
        ...


class Reply:
    """The response to one request, as its handler writes it. The server creates it and passes it to the handler.

    Open items with :meth:`message`, :meth:`reasoning` and :meth:`function_call`, write a finished item of any type with :meth:`item`, or
    pass on the response of another server with :meth:`relay`. Then return, or end the response with :meth:`complete`,
    :meth:`incomplete` or :meth:`fail`. Several items may be open at once, and several tasks may write.

    The response starts with the first item or :meth:`start`; if a client waits for events, it starts after one second at the latest.
    Before that, a handler may raise an ``APIError``, which becomes the HTTP response. Afterwards, an error becomes the events ``error``
    and ``response.failed``.

    After the end of the response, methods that write raise ``LocalProtocolError``.
    """

    def __init__(
        self,
        emitter: Emitter,
        send: Callable[[Sequence[Event]], Awaitable[None]],
        clock: Callable[[], float],
        *,
        context: Sequence[Item] = (),
        meta: RequestMeta | None = None,
        relaying: Relaying | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> None:
        self.context: Sequence[Item] = context
        """The items that the model sees, in order: the history, wherever it was stored, then the input of this request.

        A string input is converted to a user message. Every item that can have an id has one.
        """
        self.headers: Mapping[str, str] = meta.headers if meta else {}
        """The headers of the HTTP request or WebSocket handshake: name in lower case -> value.

        They include the caller's API key. Values of a repeated header are joined by commas.
        """
        self.query: Mapping[str, str] = meta.query if meta else {}
        """The query parameters of the URL. If a parameter is repeated, its last value counts."""
        self.identity: str | None = meta.identity if meta else None
        """The identity of the caller, from the application's ``keys``; ``None`` if the application accepts every request."""
        self._response_headers: dict[str, str] = {} if response_headers is None else response_headers
        self._emitter = emitter
        self._clock = clock
        self._deliver = send
        self._relaying = relaying
        self._relayed: RelayedResponse | None = None  # from its first event on
        self.relays: bool = False
        """Whether :meth:`relay` is running, so that the upstream starts the response. For the server only."""
        self._unsent: list[Event] = []
        self._lock = anyio.Lock()

    @property
    def response(self) -> Response:
        """The response so far."""
        return self._emitter.response if self._relayed is None else self._relayed.response

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._emitter.ended if self._relayed is None else self._relayed.ended

    @property
    def alias(self) -> str:
        """The second id of a response, if its upstream has changed the id in the stream; else empty. For the server only."""
        return self._relayed.alias if self._relayed is not None else ""

    def set_header(self, name: str, value: str) -> None:
        """Set a header of the HTTP response, such as ``x-ratelimit-remaining-requests``. Replaces an earlier value.

        The header is also sent with an error that the handler raises. It is not sent for a response over a WebSocket or in the
        background, whose headers are sent earlier. Raises ``LocalProtocolError`` if the response has started, and ``UsageError`` if the
        name or value is invalid, or if the server sets the header itself (``content-type``, ``connection``, …).
        """
        if self._emitter.state not in ("awaited", "queued"):
            raise LocalProtocolError(f"set the header {name!r} before the response starts: its head may have been sent")
        self._response_headers[checked_header_name(name)] = checked_header_value(name, value)

    async def start(self) -> None:
        """Send ``response.created`` and ``response.in_progress``. Does nothing if the response has started."""
        self._begin()
        await self._send([])

    def message(self, *, phase: MessagePhase | None = None) -> MessageReply:
        """Open a message of the assistant. Use the result in ``async with``.

        ``phase`` states whether the message is a ``commentary`` on the work or the ``final_answer``.
        """
        self._begin()
        return MessageReply(self._emitter.message(phase=phase), self._send)

    def reasoning(self) -> ReasoningReply:
        """Open a reasoning item. Use the result in ``async with``."""
        self._begin()
        return ReasoningReply(self._emitter.reasoning(), self._send)

    def function_call(self, name: str, call_id: str | None = None) -> FunctionCallReply:
        """Open a call of the client's function ``name``. Use the result in ``async with``.

        ``call_id`` is generated if it is ``None``.
        """
        self._begin()
        return FunctionCallReply(self._emitter.function_call(name, call_id), self._send)

    async def item(self, item: Item) -> None:
        """Write a finished item of any type. Missing required fields, such as the id, are added."""
        self._begin()
        (item,) = normalize_items([item], self._emitter.ids)
        await self._send(self._emitter.item(item))

    def open(self, item: Item) -> OpenItemReply:
        """Open an item of any type whose result comes later, such as a call that the server runs itself.

        Missing required fields, such as the id, are added. Close it with :meth:`OpenItemReply.done_with`.
        """
        self._begin()
        (item,) = normalize_items([item], self._emitter.ids)
        return OpenItemReply(self._emitter.open(item), self._send)

    def emitter(self) -> Emitter:
        """Start the response, and return the emitter that creates its events, for code that uses the engine directly.

        Pass the events that its methods return to :meth:`send`.
        """
        self._begin()
        return self._emitter

    async def send(self, events: Sequence[Event]) -> None:
        """Deliver events that the :meth:`emitter` has created."""
        await self._send([*events])

    async def complete(self, usage: Usage | None = None) -> None:
        """End the response as ``completed``. Raises ``LocalProtocolError`` if an item is still open."""
        self._begin()
        await self._send(self._emitter.complete(usage, now=self._clock()))

    async def incomplete(self, reason: str = "max_output_tokens", usage: Usage | None = None) -> None:
        """End the response as ``incomplete``, with a reason. Open items become ``incomplete`` too."""
        self._begin()
        await self._send(self._emitter.incomplete(reason, usage))

    async def fail(
        self,
        code: str,
        message: str,
        *,
        type: str = "server_error",  # noqa: A002 - the wire's own name for it
        param: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        """End the response as ``failed`` with an error. Open items become ``incomplete``.

        The client gets ``code`` (such as ``rate_limit_exceeded``), ``message``, ``type`` and ``param``, the field of the request that
        is at fault.
        """
        if self._relayed is not None:
            await self.cut("failed", error=APIError(message, code=code, type=type, param=param))
            return
        self._begin()
        await self._send(self._emitter.fail(code, message, type=type, param=param, usage=usage))

    # -- relaying

    def upstream_request(self) -> CreateResponse:
        """Return the request to send to another server with ``client.stream``.

        Its ``input`` includes the history, and it refers to nothing that is stored on this server.
        """
        return upstream_input(self._relay().request, self.context)

    async def relay(
        self, stream: EventStream[Any], *, model: str | None = None, tap: EventTap | None = None
    ) -> Outcome:
        """Answer with the response of another server, event by event, and return how it ended.

        ``stream`` is the stream of the upstream's response. If it has not been entered, it is entered and exited here. Its events,
        including unknown ones, are passed on unchanged. The response takes over the upstream's id and ends in the same way. If the
        stream is cut short, the response ends as ``failed``, with the cause. When the client disconnects or cancels the response, the
        stream of the upstream is closed too.

        ``model`` replaces the name of the upstream's model. ``tap`` is called with each event, as the upstream sent it, before the event
        is passed on.

        Raises ``APIError`` if the upstream answers with an error, cannot be reached, or sends no event stream; if the handler lets it
        propagate, the client gets that error. Raises ``LocalProtocolError`` if the response has output already.
        """
        self._relay()
        if self._relayed is not None or self.ended or self._emitter.response.output:
            raise LocalProtocolError("relay() must come first: the response has output already")
        stream.keep_data()
        self.relays = True
        try:
            async with contextlib.AsyncExitStack() as stack:
                if not stream.entered:
                    await stack.enter_async_context(stream)
                return await self._relay_events(stream, model, tap)
        except (TransportError, NotAnEventStream, LimitExceeded, RemoteProtocolError) as error:
            raise _upstream_error(error) from error
        finally:
            self.relays = False

    def _relay(self) -> Relaying:
        if self._relaying is None:
            raise LocalProtocolError("this reply has no server: relay() works in the handler of a ResponsesApp")
        return self._relaying

    async def _relay_events(self, stream: EventStream[Any], model: str | None, tap: EventTap | None) -> Outcome:
        held: list[Event] = []
        async for batch in stream.batches():
            for event in batch if tap is not None else ():
                seen = tap(copy_of(event), self)  # type: ignore[misc] # mypy does not see that it is not None
                if inspect.isawaitable(seen):
                    await seen
            held += batch
            # The response needs an id, and a failure needs its cause; if they come at all, they come soon.
            is_unexplained = isinstance(last := held[-1], ResponseFailed) and not last.response.error
            if (self._relayed is None and is_beside(held)) or (is_unexplained and not stream.error_seen):
                continue
            await self._hand_on(stream, held, model)
            held = []
            if self.ended:
                break
        await self._hand_on(stream, held, model)
        outcome = stream.outcome
        if outcome is None:
            raise LocalProtocolError("the stream of the upstream was closed while it was relayed")
        if not self.ended:
            error = (outcome.error if outcome.status == "error" else None) or _upstream_error(None)
            if self._relayed is None:
                raise error
            await self.cut("failed", error=error)
        return outcome

    async def _hand_on(self, stream: EventStream[Any], events: list[Event], model: str | None) -> None:
        async with self._lock:
            if self.ended or not events:
                return
            relayed = self._relayed or await self._relayed_of(stream, events, model)
            wire_events = relayed.take(events)
            if wire_events:
                self._relayed = relayed
                await self._relay().publish(wire_events)

    async def _relayed_of(self, stream: EventStream[Any], events: list[Event], model: str | None) -> RelayedResponse:
        own = self._emitter.response
        if self._emitter.state == "awaited":
            adopted = await self._relay().adopt(id_in(events))
            return RelayedResponse(stream, own, id=adopted, model=model, published=0)
        # The client may have seen events with an id of this server.
        if self._emitter.state == "queued":
            self._unsent += self._emitter.start()
        await self._deliver_unsent()
        return RelayedResponse(stream, own, id=own.id, model=model, published=self._emitter.next_sequence_number)

    # -- for the server

    async def cut(
        self,
        how: Ending,
        stop: Callable[[], None] = lambda: None,
        *,
        error: APIError | None = None,
        reason: str = "",
    ) -> None:
        """End the response from outside the handler: ``failed`` with an error, ``incomplete`` for a reason, or ``cancelled``.

        First waits until pending events are delivered. Then calls ``stop``, which cancels the handler, and delivers the last
        events. Does nothing if the response has ended. For the server only.
        """
        async with self._lock:
            if self.ended:
                return
            stop()
            if self._relayed is not None:
                await self._relay().publish(self._relayed.end(how, error=error, reason=reason))
                return
            if self._emitter.state == "awaited":
                self._unsent += self._emitter.start()
            match how:
                case "cancelled":
                    self._unsent += self._emitter.cancel()
                case "incomplete":
                    self._unsent += self._emitter.incomplete(reason)
                case "failed":
                    error = error or APIError("")
                    code, type_ = error.code or "server_error", error.type or "server_error"
                    self._unsent += self._emitter.fail(code, error.message, type=type_, param=error.param)
            await self._deliver_unsent()

    async def flush(self) -> None:
        """Deliver the pending events of a cancelled handler. For the server only."""
        async with self._lock:
            await self._deliver_unsent()

    async def _deliver_unsent(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent:
            await self._deliver(unsent)

    def _begin(self) -> None:
        if self._relayed is not None:
            raise LocalProtocolError("nothing can be written into a response that is relayed")
        if self._emitter.state in ("awaited", "queued"):
            self._unsent += self._emitter.start()

    async def _send(self, events: list[Event]) -> None:
        # Several tasks may get here. The one with the lock delivers all pending events, so they go out in the order of their numbers.
        self._unsent += events or self._emitter.events()
        async with self._lock:
            await self._deliver_unsent()


def _upstream_error(error: ResponsesProtoError | None) -> APIError:
    """Return the error for the client when an upstream has failed. It hides the details."""
    status, code, message = 502, "upstream_error", "The upstream server ended the response without a terminal event."
    match error:
        case DeadlineExceeded():
            status, code, message = 504, "upstream_timeout", "The upstream server did not answer in time."
        case LimitExceeded():
            message = f"The answer of the upstream server exceeds a limit ({error.limit})."
        case NotAnEventStream():
            message = "The upstream server answered with something that is not an event stream."
        case TransportError() | RemoteProtocolError():
            message = "The connection to the upstream server failed."
        case _:
            code = "upstream_truncated"
    return APIError.for_status(status)(message, status=status, type="server_error", code=code)
