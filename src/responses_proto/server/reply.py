"""What a handler writes its response with: the protocol's :class:`~responses_proto.protocol.Emitter`, awaited.

A handler is the model's side of a server. It is called with a request and a :class:`Reply`, and writes the output item by
item::

    async def handler(request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            async for token in my_model(request):
                await message.text(token)

Each method returns when its events have been handed to the transport, so a slow client slows the handler down instead of
filling memory. A handler that returns has completed its response. It may also end the response itself: with ``complete``, which
takes the usage, with ``incomplete`` or with ``fail``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

import anyio

from ..protocol.emitter import Emitter, FunctionCallWriter, ItemWriter, MessageWriter, OpenItemWriter, ReasoningWriter
from ._context import normalize_items

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from ..models.content import Annotation, LogProb
    from ..models.events import Event
    from ..models.items import Item, MessagePhase
    from ..models.response import Response, Usage
    from ._access import RequestMeta

__all__ = ["FunctionCallReply", "ItemReply", "MessageReply", "OpenItemReply", "ReasoningReply", "Reply"]

W = TypeVar("W", bound=ItemWriter)


class ItemReply(Generic[W]):
    """An open output item. Use it in ``async with``, which closes it, or call :meth:`done`.

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
        """Close the item, and the content part that is open."""
        await self._send(self._writer.done())


class MessageReply(ItemReply[MessageWriter]):
    """An open message of the assistant, with text, refusals and annotations. :meth:`Reply.message` opens one."""

    async def text(self, delta: str, *, logprobs: Sequence[LogProb] = ()) -> None:
        """Append to the text. Opens a text part if none is open.

        ``logprobs`` are the log probabilities of the tokens in ``delta``; the client asks for them with ``include``.
        """
        await self._send(self._writer.text(delta, logprobs=logprobs))

    async def refusal(self, delta: str) -> None:
        """Append to the refusal, which says in words why the model declines. Opens a refusal part if none is open."""
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
        """Append to the reasoning that the client may read."""
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
    """An open call of one of the client's functions. :meth:`Reply.function_call` opens one."""

    @property
    def call_id(self) -> str:
        """The id that the client repeats in the output of the call."""
        return self._writer.call_id

    async def arguments(self, delta: str) -> None:
        """Append to the arguments. Together the deltas must be a JSON object."""
        await self._send(self._writer.arguments(delta))


class OpenItemReply(ItemReply[OpenItemWriter]):
    """An item that is open until its result is there. :meth:`Reply.open` opens one."""

    async def done_with(self, item: Item) -> None:
        """Close the item with its content. The texts that it was opened with must be the same."""
        await self._send(self._writer.done_with(item))


class Reply:
    """The response to one request, as its handler writes it. The server creates it and passes it to the handler.

    Open items with :meth:`message`, :meth:`reasoning` and :meth:`function_call`, or write a finished item of any type with
    :meth:`item`. Then return, or end the response with :meth:`complete`, :meth:`incomplete` or :meth:`fail`. Several items may be
    open at once, and several tasks may write.

    The response starts with the first item, with :meth:`start`, or for a client that waits for events after one second. Until then
    a handler may raise an ``APIError``, which becomes the HTTP response; later it becomes the events ``error`` and
    ``response.failed``.

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
    ) -> None:
        self.context: Sequence[Item] = context
        """What the model sees, in order: the history, wherever it was stored, then the input of this request.

        An input that is a string is a user message here. Every item that can have an id has one.
        """
        self.headers: Mapping[str, str] = meta.headers if meta else {}
        """The headers of the HTTP request, or of the handshake of the WebSocket: name in lower case -> value.

        They include the caller's API key. Values of a repeated header are joined by commas.
        """
        self.query: Mapping[str, str] = meta.query if meta else {}
        """The parameters of the URL's query; of a repeated one, the last value."""
        self.identity: str | None = meta.identity if meta else None
        """Who calls, as ``keys`` of the application says; ``None`` if it accepts every request."""
        self._emitter = emitter
        self._clock = clock
        self._deliver = send
        self._unsent: list[Event] = []
        self._lock = anyio.Lock()

    @property
    def response(self) -> Response:
        """The response so far."""
        return self._emitter.response

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._emitter.ended

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
        """Write a finished item of any type. What an output item must have and this one lacks, such as its id, is added."""
        self._begin()
        (item,) = normalize_items([item], self._emitter.ids)
        await self._send(self._emitter.item(item))

    def open(self, item: Item) -> OpenItemReply:
        """Open an item of any type whose result comes later, such as a call that the server makes itself.

        What an output item must have and this one lacks, such as its id, is added. Close it with :meth:`OpenItemReply.done_with`.
        """
        self._begin()
        (item,) = normalize_items([item], self._emitter.ids)
        return OpenItemReply(self._emitter.open(item), self._send)

    def emitter(self) -> Emitter:
        """Start the response, and return what makes its events, for code that writes with the engine itself.

        Pass what its methods return to :meth:`send`.
        """
        self._begin()
        return self._emitter

    async def send(self, events: Sequence[Event]) -> None:
        """Deliver events that the :meth:`emitter` has made."""
        await self._send([*events])

    async def complete(self, usage: Usage | None = None) -> None:
        """End the response as ``completed``. Raises ``LocalProtocolError`` while an item is open: it may not be finished."""
        self._begin()
        await self._send(self._emitter.complete(usage, now=self._clock()))

    async def incomplete(self, reason: str = "max_output_tokens", usage: Usage | None = None) -> None:
        """End the response as ``incomplete`` for a reason. Open items become ``incomplete`` too."""
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

        ``code`` (such as ``rate_limit_exceeded``), ``message``, ``type`` and ``param`` (the request's field at fault) are what the
        client sees.
        """
        self._begin()
        await self._send(self._emitter.fail(code, message, type=type, param=param, usage=usage))

    async def cut(self, end: Callable[[], list[Event]], stop: Callable[[], None]) -> None:
        """End the response from outside of the handler. For the server only.

        Events that are being delivered arrive first. Then ``stop`` is called, which cancels the handler, and the events that
        the emitter's verb ``end`` returns are delivered. Does nothing if the response has ended.
        """
        async with self._lock:
            if self._emitter.ended:
                return
            stop()
            if self._emitter.state == "awaited":
                self._unsent += self._emitter.start()
            self._unsent += end()
            await self._deliver_unsent()

    async def flush(self) -> None:
        """Deliver the events that a cancelled handler has left behind. For the server only."""
        async with self._lock:
            await self._deliver_unsent()

    async def _deliver_unsent(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent:
            await self._deliver(unsent)

    def _begin(self) -> None:
        if self._emitter.state in ("awaited", "queued"):
            self._unsent += self._emitter.start()

    async def _send(self, events: list[Event]) -> None:
        # Several tasks may get here. Whoever has the lock delivers everything there is, so the order is that of the numbers.
        self._unsent += events or self._emitter.events()
        async with self._lock:
            await self._deliver_unsent()
