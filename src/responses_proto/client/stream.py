"""One streamed response: the events as they come, and what they add up to."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, TypeVar, cast, overload

import anyio
import attrs

from ..codec import default_converter
from ..exceptions import (
    APIError,
    DeadlineExceeded,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
)
from ..models.events import (
    ErrorEvent,
    Event,
    Keepalive,
    RateLimitsUpdated,
    ResponseCreated,
    ResponseFailed,
    ResponseInProgress,
    ResponseQueued,
)
from ..protocol.api_errors import api_error_from
from ..protocol.headers import RateLimit, rate_limits, request_id
from ..protocol.sse import SSEDecoder
from ..protocol.stream import ResponseStream
from ._address import shown
from ._calls import Attempts
from ._replies import (
    ERROR_BODY,
    FIRST_ERROR,
    FIRST_REDIRECT,
    description,
    error_from_reply,
    hide,
    is_error,
    is_json,
    is_response,
    media_type,
    read_object,
    without,
)
from .transport._exchange import Drain, Exchange
from .views import Batches, Events, PartialValues, TextDeltas

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import TypeForm  # for the type checker, which brings it

    from ..anomalies import Anomaly
    from ..models.response import Response
    from ..protocol.accumulator import Accumulator
    from ..protocol.sse import Frame
    from ..protocol.stream import Outcome
    from ..schema.structured import ParseResult
    from ..typing import Cursor
    from ._calls import ClientCore, PreparedCall
    from .retry import RetryAfter

__all__ = ["EventStream", "OnAbandon", "StreamMeta"]

OnAbandon: TypeAlias = Literal["close", "cancel_response"]
"""What leaving a stream before its end does: close the connection, or also have the server cancel the response."""

_E = TypeVar("_E", bound=Event)
_F = TypeVar("_F", bound=Event)
_G = TypeVar("_G", bound=Event)
T = TypeVar("T")

_AFTER_ERROR: Final = 1.0  # seconds in which `response.failed` may follow an `error` event
_CANCELLING: Final = 3.0  # seconds for having an abandoned response cancelled
_BEFORE_OUTPUT: Final = (ResponseCreated, ResponseQueued, ResponseInProgress, Keepalive, RateLimitsUpdated)


@attrs.frozen(kw_only=True)
class StreamMeta:
    """What the head of the answer says, before the first event."""

    status: int
    """The HTTP status code."""
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Names in lower case."""
    request_id: str | None = None
    """The server's name for this exchange."""
    rate_limits: Mapping[str, RateLimit] = attrs.field(factory=dict[str, RateLimit])
    """What is left of the quotas, by name: ``requests``, ``tokens``, …"""


class EventStream:
    """The events of one response, as they come. From :meth:`ResponsesClient.stream`; to be used in ``async with``.

    Entering sends the request and raises ``APIError`` for an answer that is an error, ``NotAnEventStream`` for one that is
    no stream, and errors of the transport. Iterating then gives typed events until the response ends, and
    raises neither for a response that fails nor for one that stops early: those are events, and an :attr:`outcome`. It
    raises ``DeadlineExceeded`` and errors of the connection, after all that had come before. :meth:`result` raises for
    everything but ``completed``. Leaving the block closes the connection at once, however it is left.

    As long as there was no output, what the client's :class:`~responses_proto.client.RetryPolicy` allows is sent again: the
    response then begins anew, with another ``response.created``, and :attr:`meta` is that of the new answer. Once there was, nothing
    is; a background response can be taken up again with :meth:`ResponsesClient.resume`.

    One task reads at a time.
    """

    __slots__ = (
        "_again",
        "_attempts",
        "_begun",
        "_caller",
        "_cancel",
        "_cause",
        "_drain",
        "_engine",
        "_exchange",
        "_failure",
        "_finished",
        "_frames",
        "_fresh",
        "_limits",
        "_meta",
        "_on_event",
        "_plan",
        "_reading",
        "_ready",
        "_redact",
        "_request",
        "_settled",
        "_state",
    )

    def __init__(
        self,
        caller: ClientCore,
        plan: PreparedCall,
        *,
        cancel: Callable[[str], Awaitable[object]] | None = None,
        engine: ResponseStream | None = None,
    ) -> None:
        # `cancel` has the server cancel a response, if that is what abandoning one means; `engine` is there already where a
        # response is taken up again.
        self._caller = caller
        self._plan = plan
        self._cancel = cancel
        self._request = plan.request
        self._attempts: Attempts | None = None
        self._exchange = Exchange(caller.transport, plan.request)
        self._limits = caller.limits
        self._redact = caller.secret
        self._engine = engine if engine is not None else ResponseStream(limits=caller.limits)
        self._on_event = caller.hooks.on_event
        self._frames: SSEDecoder | None = None
        self._again: tuple[ResponsesProtoError, RetryAfter] | None = None
        # Whether an error in the stream is there to stay: output came, or the response is not of this request's making.
        self._settled = engine is not None
        self._ready: Iterator[Event] = iter(())
        self._meta: StreamMeta | None = None
        self._state = "new"  # then "open", then "closed"
        self._reading = False
        self._fresh = False  # whether the last read brought events
        self._begun = False
        self._finished = False
        self._failure: ResponsesProtoError | None = None
        self._cause: TransportError | None = None
        self._drain = Drain()

    # What it has

    @property
    def response(self) -> Response:
        """The response as far as it came; final at the end."""
        return self._engine.response

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` as long as it did not, or if the block was left before."""
        outcome = self._engine.outcome
        if outcome is not None and outcome.error is not None:
            hide(outcome.error, self._redact)  # some servers quote the key when they refuse it
        return outcome

    @property
    def cursor(self) -> Cursor | None:
        """Where the stream stands; ``None`` before the response has an id."""
        return self._engine.cursor

    @property
    def anomalies(self) -> list[Anomaly]:
        """What the server sent that the protocol does not provide for."""
        return self._engine.anomalies

    @property
    def meta(self) -> StreamMeta:
        """Status, headers, request id and quotas. Raises ``LocalProtocolError`` before the block is entered."""
        if self._meta is None:
            raise LocalProtocolError("no answer yet: the head of it is there once the stream's block is entered")
        return self._meta

    # The block

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise LocalProtocolError("a stream can be entered once: ask client.stream() for another one")
        self._state = "open"
        self._attempts = Attempts(self._caller, self._plan)
        try:
            await self._begin(self._attempts)
        except BaseException as error:
            self._failure = error if isinstance(error, ResponsesProtoError) else None
            await self._close(error)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is None and self._state == "open" and not self._reading:
                while self._engine.ended and not self._finished:
                    await self._fill()  # for the sake of the connection, which the next request can use
        finally:
            await self._close(exc)

    async def aclose(self) -> None:
        """Close the connection now, as leaving the block does. Idempotent."""
        await self._close()

    # The events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        for event in self._ready:  # takes one; the cheapest way to, and most events come this way
            return event
        if await self._more():
            for event in self._ready:
                return event
        raise StopAsyncIteration

    @overload
    def events(self) -> Events[Event]: ...
    @overload
    def events(self, kind: type[_E], /) -> Events[_E]: ...
    @overload  # mypy does not make a union of several classes by itself
    def events(self, first: type[_E], second: type[_F], /) -> Events[_E | _F]: ...
    @overload
    def events(self, first: type[_E], second: type[_F], third: type[_G], /) -> Events[_E | _F | _G]: ...
    @overload
    def events(self, *kinds: type[Event] | str) -> Events[Event]: ...
    def events(self, *kinds: Any) -> Events[Any]:
        """Iterate over the events of some kinds only: classes, or wire strings; all of them if none is named.

        Reads the stream itself: what is passed over is gone, and the stream goes on where this was left. Raises
        ``LocalProtocolError`` for a string that is an event's name but for a letter or two.
        """
        return Events(self._waiting, self._more, kinds)

    def text_deltas(self) -> TextDeltas:
        """Iterate over the pieces of the text as they come: the ``delta`` of each ``response.output_text.delta``."""
        return TextDeltas(self._waiting, self._more)

    def batches(self) -> Batches:
        """Iterate over lists of events: those that came with one read, never an empty list. For high throughput."""
        return Batches(self._waiting, self._more)

    async def result(self) -> Response:
        """Read to the end, and give the response if it is complete.

        Raises ``ResponseFailed``, ``ResponseIncomplete``, ``ResponseCancelled``, ``APIError`` (for an ``error`` event) or
        ``StreamTruncated``, each with the response so far in ``.response``; and what iterating raises. Events that were not
        iterated by then are gone. After the block it still works if the response had ended inside.
        """
        if self._state == "new" or (self._state == "closed" and self._engine.outcome is None and self._failure is None):
            self._require_open()
        while not self._finished and not self._engine.ended:
            await self._fill()
        self._ready = iter(())
        if self._failure is not None:
            raise self._failure
        outcome = self.outcome
        if outcome is None:
            raise LocalProtocolError("the stream has no outcome: it was left before its end")
        error = outcome.exception()
        if error is None:
            return outcome.response
        if error.__cause__ is None and self._cause is not None:
            raise error from self._cause
        raise error

    async def parse(self, output: TypeForm[T], /) -> ParseResult[T]:
        """Read to the end, and give the value of a type that the text is (Responses, Structured outputs).

        The request is what asked for it: ``client.stream(..., text=TextConfig(format=text_format(T)))``, with what is in
        :mod:`responses_proto.schema.structured`. However the response ended, that is the result and not an error; nothing is parsed
        but the text of a completed one. Raises what iterating raises. Still works after the block, as :meth:`result` does.
        """
        from ..schema.structured import Structured  # noqa: PLC0415 - only who parses pays for it

        try:
            await self.result()
        except ResponsesProtoError:
            if self._failure is not None or self._engine.outcome is None:
                raise
        return Structured(output).parse_outcome(cast("Outcome", self._engine.outcome))

    def partial(self, output: Any = None, /) -> PartialValues:
        """Iterate over what the text amounts to as JSON so far: plain values, each time that more is certain.

        ``output`` is the type that was asked for; it makes a difference if its values are no JSON objects, which come inside
        one and are taken out of it. Reads the stream itself; :meth:`parse` afterwards gives the typed value.
        """
        from ..schema.structured import PartialOutput, Structured  # noqa: PLC0415 - as above

        structured = Structured[Any](output) if output is not None else None
        return PartialValues(self, PartialOutput(structured, limits=self._limits))

    def detach(self) -> tuple[Cursor | None, Accumulator]:
        """Close the books on this stream, for :meth:`ResponsesClient.resume`: give where it stands and what it added up to.

        Raises ``LocalProtocolError`` if the stream is in use, or the response has ended.
        """
        if self._state != "closed" and not self._finished:
            raise LocalProtocolError("this stream is still open: leave its block before it is resumed")
        outcome = self._engine.outcome
        if outcome is not None and outcome.status not in ("truncated", "error"):
            raise LocalProtocolError(f"there is nothing to resume: the response is {outcome.status}")
        self._engine.accumulator.error = None  # that was the end of this stream, not of the response
        return self._engine.cursor, self._engine.accumulator

    # Inside

    def _waiting(self) -> Iterator[Event]:
        return self._ready

    async def _more(self) -> bool:
        # Waits until there are events to hand out, and tells so; at the end, raises what is to be raised there.
        if self._state != "open":
            self._require_open()
        self._fresh = False
        while not self._finished:
            await self._fill()
            if self._fresh:
                return True
        if self._failure is not None:
            raise self._failure
        return False

    def _require_open(self) -> None:
        if self._state == "new":
            raise LocalProtocolError(
                "not entered yet: use `async with client.stream(...) as stream`, and the stream inside"
            )
        if self._state == "closed":
            raise LocalProtocolError("this stream is closed: read it inside its `async with` block")

    async def _fill(self) -> None:
        """Read one piece of the body and make events of it; at the end, set ``_finished``."""
        if self._reading:
            raise LocalProtocolError("another task is reading this stream: one at a time can")
        self._reading = True
        try:
            if self._again is not None:
                await self._restart(*self._again)
            elif self._engine.ended:
                self._take(await self._read_on())
            else:
                self._take(await self._read())
        except BaseException:  # cancelled, most likely: what the transport was reading is lost
            self._give_up(LocalProtocolError("a read of this stream was cancelled, which closed its connection"))
            raise
        finally:
            self._reading = False
        if self._finished:
            await self._exchange.aclose()

    async def _begin(self, attempts: Attempts) -> None:
        """Send, as often as it takes and is allowed, until there is the head of a stream."""
        while True:
            self._exchange = attempts.exchange(await self._plan.body.bytes())
            self._frames = SSEDecoder(self._limits) if self._caller.hooks.on_frame is not None else None
            try:
                await self._exchange.open()
                await self._check()
            except ResponsesProtoError as error:
                await self._exchange.aclose()
                await attempts.again(error)
            else:
                return

    async def _restart(self, error: ResponsesProtoError, decision: RetryAfter) -> None:
        attempts = cast("Attempts", self._attempts)
        self._again = None
        await self._exchange.aclose()
        try:
            await attempts.pause(error, decision)
            await self._begin(attempts)
        except ResponsesProtoError as failure:
            self._fail(failure)

    def _settle(self, events: list[Event]) -> list[Event]:
        """Look whether the response fails before there is any output, so that it can be asked for again.

        Gives the events to hand out: without the failure, if it is not to stay.
        """
        for index, event in enumerate(events):
            if isinstance(event, _BEFORE_OUTPUT):
                continue
            self._settled = True
            error = _failure(event, self._redact)
            decision = cast("Attempts", self._attempts).decide(error) if error is not None else None
            if error is not None and decision is not None:
                self._settled = False
                self._again = error, decision
                self._engine = ResponseStream(limits=self._limits)
                self._finished = False
                self._begun = False
                return events[:index]
            break
        return events

    async def _read(self) -> bytes:
        engine, exchange, timeouts = self._engine, self._exchange, self._request.timeouts
        allowed: float | None
        if engine.error_seen:
            kind, allowed = "after_error", _AFTER_ERROR
        elif self._begun:
            kind, allowed = "between_events", timeouts.between_events
        else:
            kind, allowed = "first_event", timeouts.first_event
        if allowed is not None:
            allowed -= exchange.waited
        try:
            return await exchange.receive(kind, allowed)
        except TransportError as error:
            # An end that says why it came too early is still an end; and after an `error` event nothing is owed.
            if isinstance(error, StreamTruncated) or engine.error_seen:
                self._cause = error
            else:
                self._fail(self._interruption(error))
            return b""
        except LimitExceeded as error:  # of a transport that reads ahead
            self._fail(error)
            return b""

    async def _read_on(self) -> bytes:
        left = self._drain.left()
        if left <= 0:
            return b""
        try:
            piece = await self._exchange.receive("drain", left)
        except TransportError:
            return b""  # the response is whole; the connection is not worth an error
        self._drain.count(len(piece))
        return piece

    def _take(self, piece: bytes) -> None:
        engine = self._engine
        try:
            if self._frames is not None and piece:
                on_frame = cast("Callable[[Frame], object]", self._caller.hooks.on_frame)
                for frame in self._frames.receive(piece):
                    on_frame(frame)
            if piece:
                engine.receive_data(piece)
            else:
                self._finished = True
                engine.receive_eof()
                if engine.body is not None and engine.outcome is not None and engine.outcome.status == "truncated":
                    self._fail(self._no_stream(engine.body))
        except ResponsesProtoError as error:
            self._give_up(error)
        events = engine.events_received()
        if events:
            self._hand_on(events)

    def _hand_on(self, events: list[Event]) -> None:
        """Get events ready for whoever iterates."""
        if not self._begun:
            self._begun = True
            cast("Attempts", self._attempts).event_came()
        self._exchange.waited = 0.0
        if not self._settled:
            events = self._settle(events)
        self._fresh = bool(events)
        if self._on_event is not None:
            for event in events:
                self._on_event(event)
        self._ready = iter(events)

    def _give_up(self, failure: ResponsesProtoError) -> None:
        """Stop reading: with an error, unless the response was there already and only the rest of the body was not."""
        outcome = self._engine.outcome
        if outcome is not None and outcome.status not in ("truncated", "error"):
            self._finished = True
        else:
            self._fail(failure)

    def _fail(self, failure: ResponsesProtoError) -> None:
        """Remember what to raise once the events that came before are handed out."""
        if self._failure is not None:
            return
        engine = self._engine
        self._finished = True
        self._failure = failure
        failure.response = failure.response or engine.response
        failure.cursor = failure.cursor or engine.cursor
        if failure.retry_safety is None or (failure.retry_safety == "unsafe" and engine.response.background):
            failure.retry_safety = "resumable" if engine.response.background and engine.cursor else "unsafe"

    def _interruption(self, error: TransportError) -> TransportError:
        if isinstance(error, DeadlineExceeded) or not self._engine.response.output:
            return error
        interrupted = StreamInterrupted(f"{error}, in the middle of the response; what arrived is in .response")
        interrupted.__cause__ = error
        return interrupted

    async def _close(self, error: BaseException | None = None) -> None:
        was, self._state = self._state, "closed"
        self._ready = iter(())
        try:
            await self._exchange.aclose()
            if was == "open" and self._cancel is not None:
                await self._abandon(self._cancel)
        finally:
            if self._attempts is not None:
                outcome = self.outcome
                error = error or self._failure
                self._attempts.response = self._engine.response if self._engine.cursor is not None else None
                self._attempts.over(
                    error,
                    how="ended" if outcome is not None and self._failure is None else None,
                    outcome=outcome,
                    cursor=self._engine.cursor,
                )

    async def _abandon(self, cancel: Callable[[str], Awaitable[object]]) -> None:
        # A connection that broke is no decision of the caller's: the response can be taken up again.
        cursor = self._engine.cursor
        if cursor is None or self._engine.outcome is not None or isinstance(self._failure, (TransportError, APIError)):
            return
        # Nobody is there any more to be told that it did not work.
        with anyio.move_on_after(_CANCELLING, shield=True), contextlib.suppress(ResponsesProtoError):
            await cancel(cursor.response_id)

    # The head

    async def _check(self) -> None:
        exchange = self._exchange
        status, headers = exchange.status, exchange.headers
        self._meta = StreamMeta(
            status=status,
            headers=headers,
            request_id=request_id(headers),
            rate_limits=rate_limits(headers, now=time.time()),
        )
        if status >= FIRST_ERROR:
            raise error_from_reply(exchange, await exchange.read_start(ERROR_BODY), self._redact)
        kind = media_type(headers)
        if status < FIRST_REDIRECT and kind in ("text/event-stream", ""):
            return  # without a type, the engine tells by what comes
        if status >= FIRST_REDIRECT or not is_json(kind):
            raise self._no_stream(await exchange.read_start(ERROR_BODY))
        # Some servers stream nothing, whatever they are asked.
        body = await exchange.read(self._limits)
        value = read_object(body)
        if value is not None and is_error(value):
            raise error_from_reply(exchange, body, self._redact)
        if value is None or not is_response(value):
            raise self._no_stream(body)
        self._frames = None
        self._take(body)
        self._take(b"")
        await exchange.aclose()

    def _no_stream(self, body: bytes) -> NotAnEventStream:
        exchange = self._exchange
        body = without(body, self._redact)[:ERROR_BODY]
        return NotAnEventStream(
            f"a stream was asked for, but {description(exchange, body)} (HTTP {exchange.status})",
            status=exchange.status,
            headers=exchange.headers,
            body=body,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._request.method} {shown(self._request.url)} {self._state}>"


def _failure(event: Event, secret: bytes) -> APIError | None:
    # The error of an event that says that there will be no response.
    said: object = event if isinstance(event, ErrorEvent) else None
    if isinstance(event, ResponseFailed) and not event.response.output:
        said = event.response.error
    if not said:
        return None
    error = api_error_from(default_converter().dump(said))
    hide(error, secret)
    return error
