"""What a handler answers with: the emitter, awaited.

A handler is the model's half of a server. It gets a request and a reply, and says the output item by item::

    async def handler(request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            async for token in my_model(request):
                await message.text(token)

Each verb returns when the event is on its way, so that a slow client slows the handler down instead of filling memory.
A handler that just returns has completed its response; it may also end it itself, with ``complete`` (to state the usage),
``incomplete`` or ``fail``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

import anyio

from ..protocol.emitter import Emitter, FunctionCallWriter, ItemWriter, MessageWriter, ReasoningWriter
from ._context import normalize_items

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from ..models.content import Annotation, LogProb
    from ..models.events import Event
    from ..models.items import Item, MessagePhase
    from ..models.response import Response, Usage

__all__ = ["FunctionCallReply", "ItemReply", "MessageReply", "ReasoningReply", "Reply"]

W = TypeVar("W", bound=ItemWriter)


class ItemReply(Generic[W]):
    """An item that is being said. Use it as a context manager, which closes it, or call :meth:`done`.

    A block that is left by an exception leaves the item open: the end of the response marks it incomplete.
    """

    def __init__(self, writer: W, send: Callable[[list[Event]], Awaitable[None]]) -> None:
        self._writer = writer
        self._send = send

    @property
    def id(self) -> str:
        """The item's id."""
        return self._writer.id

    async def __aenter__(self) -> Self:
        await self._send([])  # lets the opening go out before there is anything in the item
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is None and not self._writer.closed:
            await self.done()

    async def done(self) -> None:
        """Close the item."""
        await self._send(self._writer.done())


class MessageReply(ItemReply[MessageWriter]):
    """A message of the assistant's; see :class:`~responses_proto.protocol.MessageWriter`."""

    async def text(self, delta: str, *, logprobs: Sequence[LogProb] = ()) -> None:
        """Say more, and how sure that is, token by token, if the client asked (``include``)."""
        await self._send(self._writer.text(delta, logprobs=logprobs))

    async def refusal(self, delta: str) -> None:
        """Decline, in words."""
        await self._send(self._writer.refusal(delta))

    async def annotation(self, annotation: Annotation) -> None:
        """Attach something to the text part that is open."""
        await self._send(self._writer.annotation(annotation))

    async def end_part(self) -> None:
        """Close the part that is open, so that what comes next is a part of its own."""
        await self._send(self._writer.end_part())


class ReasoningReply(ItemReply[ReasoningWriter]):
    """What the model thinks; see :class:`~responses_proto.protocol.ReasoningWriter`."""

    async def text(self, delta: str) -> None:
        """Think more, for the client to read."""
        await self._send(self._writer.text(delta))

    async def summary(self, delta: str) -> None:
        """Add to the summary."""
        await self._send(self._writer.summary(delta))

    async def end_part(self) -> None:
        """Close the part that is open, so that what comes next is a part of its own."""
        await self._send(self._writer.end_part())

    async def done(self, *, encrypted_content: str | None = None) -> None:
        """Close the item, with the reasoning as only the server can read it, where the client wants to keep that."""
        await self._send(self._writer.done(encrypted_content=encrypted_content))


class FunctionCallReply(ItemReply[FunctionCallWriter]):
    """A call of one of the client's functions."""

    @property
    def call_id(self) -> str:
        """What the output of the call will refer to."""
        return self._writer.call_id

    async def arguments(self, delta: str) -> None:
        """Write more of the arguments, which are JSON when they are whole."""
        await self._send(self._writer.arguments(delta))


class Reply:
    """The response to one request, as its handler says it.

    It starts with the first thing that is said, so that a handler which finds the request impossible can still raise an
    ``APIError`` that becomes the HTTP answer; call :meth:`start` to let the client know earlier that work has begun. Several
    items may be open at once, and several tasks may write.
    """

    def __init__(
        self,
        emitter: Emitter,
        send: Callable[[Sequence[Event]], Awaitable[None]],
        clock: Callable[[], float],
        *,
        context: Sequence[Item] = (),
    ) -> None:
        self.context: Sequence[Item] = context
        """What the model sees, in order: the history, wherever it was kept, and the input of this request.

        A string as input is a message of the user's here, and every item that can have an id has one.
        """
        self._emitter = emitter
        self._clock = clock
        self._deliver = send
        self._unsent: list[Event] = []
        self._lock = anyio.Lock()

    @property
    def response(self) -> Response:
        """The response as it is now."""
        return self._emitter.response

    @property
    def ended(self) -> bool:
        """Whether the response has ended."""
        return self._emitter.ended

    async def start(self) -> None:
        """Tell the client that the response exists and is being worked on. Does nothing the second time."""
        self._begin()
        await self._send([])

    def message(self, *, phase: MessagePhase | None = None) -> MessageReply:
        """Open a message of the assistant's."""
        self._begin()
        return MessageReply(self._emitter.message(phase=phase), self._send)

    def reasoning(self) -> ReasoningReply:
        """Open a reasoning item."""
        self._begin()
        return ReasoningReply(self._emitter.reasoning(), self._send)

    def function_call(self, name: str, call_id: str | None = None) -> FunctionCallReply:
        """Open a call of a function of the client's."""
        self._begin()
        return FunctionCallReply(self._emitter.function_call(name, call_id), self._send)

    async def item(self, item: Item) -> None:
        """Say a whole item, of any kind. What it leaves out and an item of the output has to state is put in: its id, for one."""
        self._begin()
        (whole,) = normalize_items([item], self._emitter.ids)
        await self._send(self._emitter.item(whole))

    async def complete(self, usage: Usage | None = None) -> None:
        """End the response well."""
        self._begin()
        await self._send(self._emitter.complete(usage, now=self._clock()))

    async def incomplete(self, reason: str = "max_output_tokens", usage: Usage | None = None) -> None:
        """End the response early; what is open is marked incomplete."""
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
        """End the response badly; what is open is marked incomplete."""
        self._begin()
        await self._send(self._emitter.fail(code, message, type=type, param=param, usage=usage))

    async def cut(self, end: Callable[[], list[Event]], stop: Callable[[], None]) -> None:
        """End the response from outside, as the server does: with the emitter's verb ``end``.

        What is on its way to the client gets there first; then ``stop`` is called, which is to stop the handler. Does nothing
        once the response has ended.
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
        """Deliver what was said and could not be yet, as the server does for one that was cut off."""
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
        # Tasks take turns, and whoever is next takes all there is: the order is that of the numbers.
        self._unsent += events or self._emitter.events()
        async with self._lock:
            await self._deliver_unsent()
