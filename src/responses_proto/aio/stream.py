"""One streamed response: the events as they come, and what they add up to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

import attrs

from ..exceptions import (
    DeadlineExceeded,
    LocalProtocolError,
    NotAnEventStream,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
)
from ..headers import RateLimit, rate_limits, request_id
from ..protocol import ResponseStream
from ._address import shown
from ._answers import (
    ERROR_BODY,
    FIRST_ERROR,
    FIRST_REDIRECT,
    description,
    is_error,
    is_json,
    is_response,
    media_type,
    read_object,
    refusal,
    without,
)
from ._exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from ..anomalies import Anomaly
    from ..cursor import Cursor
    from ..limits import Limits
    from ..models.events import Event
    from ..models.response import Response
    from ..protocol import Outcome
    from .transport import Transport, WireRequest

__all__ = ["EventStream", "StreamMeta"]

_AFTER_ERROR: Final = 1.0  # seconds in which `response.failed` may follow an `error` event
_DRAIN_SECONDS: Final = 0.1  # after the terminal event, for the rest of the body: then the connection can be used again
_DRAIN_BYTES: Final = 64 * 1024


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

    One task reads at a time.
    """

    __slots__ = (
        "_begun",
        "_cause",
        "_converter",
        "_drained",
        "_drained_since",
        "_engine",
        "_exchange",
        "_failure",
        "_finished",
        "_limits",
        "_meta",
        "_reading",
        "_ready",
        "_redact",
        "_request",
        "_state",
    )

    def __init__(self, transport: Transport, request: WireRequest, *, limits: Limits, secret: str = "") -> None:
        self._request = request
        self._exchange = Exchange(transport, request)
        self._limits = limits
        self._redact = secret.encode()
        self._engine = ResponseStream(limits=limits)
        self._ready: Iterator[Event] = iter(())
        self._meta: StreamMeta | None = None
        self._state = "new"  # then "open", then "closed"
        self._reading = False
        self._begun = False
        self._finished = False
        self._failure: ResponsesProtoError | None = None
        self._cause: TransportError | None = None
        self._drained = 0
        self._drained_since = 0.0

    # What it has

    @property
    def response(self) -> Response:
        """The response as far as it came; final at the end."""
        return self._engine.response

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` as long as it did not, or if the block was left before."""
        return self._engine.outcome

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
        try:
            await self._exchange.open()
            await self._check()
        except BaseException:
            await self._close()
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
            await self._close()

    async def aclose(self) -> None:
        """Close the connection now, as leaving the block does. Idempotent."""
        await self._close()

    # The events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        for event in self._ready:  # takes one; the cheapest way to, and most events come this way
            return event
        self._require_open()
        while not self._finished:
            await self._fill()
            for event in self._ready:
                return event
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def result(self) -> Response:
        """Read to the end, and give the response if it is complete.

        Raises ``ResponseFailed``, ``ResponseIncomplete``, ``ResponseCancelled``, ``APIError`` (for an ``error`` event) or
        ``StreamTruncated``, each with the response so far in ``.response``; and what iterating raises. Events that were not
        iterated by then are gone. After the block it still works if the response had ended inside.
        """
        engine = self._engine
        if self._state == "new" or (self._state == "closed" and engine.outcome is None and self._failure is None):
            self._require_open()
        while not self._finished and not engine.ended:
            await self._fill()
        self._ready = iter(())
        if self._failure is not None:
            raise self._failure
        outcome = engine.outcome
        if outcome is None:
            raise LocalProtocolError("the stream has no outcome: it was left before its end")
        error = outcome.exception()
        if error is None:
            return outcome.response
        if error.__cause__ is None and self._cause is not None:
            raise error from self._cause
        raise error

    # Inside

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
            piece = await (self._drain() if self._engine.ended else self._read())
            self._take(piece)
        except BaseException:  # cancelled, most likely: what the transport was reading is lost
            self._give_up(LocalProtocolError("a read of this stream was cancelled, which closed its connection"))
            raise
        finally:
            self._reading = False
        if self._finished:
            await self._exchange.aclose()

    async def _read(self) -> bytes:
        engine, exchange, timeouts = self._engine, self._exchange, self._request.timeouts
        allowed: float | None
        if engine.error_seen:
            kind, allowed = "after_error", _AFTER_ERROR
        elif self._begun:
            kind, allowed = "between_events", timeouts.between_events
        else:
            kind, allowed = "first_event", timeouts.first_event
        try:
            return await exchange.receive(kind, None if allowed is None else allowed - exchange.waited)
        except TransportError as error:
            # An end that says why it came too early is still an end; and after an `error` event nothing is owed.
            if isinstance(error, StreamTruncated) or engine.error_seen:
                self._cause = error
            else:
                self._fail(self._interruption(error))
            return b""

    async def _drain(self) -> bytes:
        now = time.monotonic()
        if not self._drained_since:
            self._drained_since = now
        left = _DRAIN_SECONDS - (now - self._drained_since)
        if left <= 0 or self._drained >= _DRAIN_BYTES:
            return b""
        try:
            piece = await self._exchange.receive("drain", left)
        except TransportError:
            return b""  # the response is whole; the connection is not worth an error
        self._drained += len(piece)
        return piece

    def _take(self, piece: bytes) -> None:
        engine = self._engine
        try:
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
            self._begun = True
            self._exchange.waited = 0.0
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
        if failure.replay is None or (failure.replay == "unsafe" and engine.response.background):
            failure.replay = "resumable" if engine.response.background and engine.cursor else "unsafe"

    def _interruption(self, error: TransportError) -> TransportError:
        if isinstance(error, DeadlineExceeded) or not self._engine.response.output:
            return error
        interrupted = StreamInterrupted(f"{error}, in the middle of the response; what arrived is in .response")
        interrupted.__cause__ = error
        return interrupted

    async def _close(self) -> None:
        self._state = "closed"
        self._ready = iter(())
        await self._exchange.aclose()

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
            raise refusal(exchange, await exchange.read_start(ERROR_BODY), self._redact)
        kind = media_type(headers)
        if status < FIRST_REDIRECT and kind in ("text/event-stream", ""):
            return  # without a type, the engine tells by what comes
        if status >= FIRST_REDIRECT or not is_json(kind):
            raise self._no_stream(await exchange.read_start(ERROR_BODY))
        # Some servers stream nothing, whatever they are asked.
        body = await exchange.read(self._limits)
        value = read_object(body)
        if value is not None and is_error(value):
            raise refusal(exchange, body, self._redact)
        if value is None or not is_response(value):
            raise self._no_stream(body)
        self._take(body)
        self._take(b"")
        await exchange.aclose()

    def _no_stream(self, body: bytes) -> NotAnEventStream:
        exchange = self._exchange
        body = without(body, self._redact)[:ERROR_BODY]
        return NotAnEventStream(
            f"a stream was asked for, but {description(exchange, body)}",
            status=exchange.status,
            headers=exchange.headers,
            body=body,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._request.method} {shown(self._request.url)} {self._state}>"
