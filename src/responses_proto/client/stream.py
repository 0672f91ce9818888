"""Receive one streamed response: send the request, decode the events as they arrive, retry, and close.

How it works
------------

The protocol engine (:class:`~responses_proto.protocol.ResponseStream`) turns bytes into events and keeps the snapshot. An
``Exchange`` is one HTTP request and its reply, with the clocks of ``Timeouts``. An ``EventStream`` connects the two: it decides
when to read, whether to send the request again, and what to raise.

**States.** ``NEW`` until the block is entered, ``OPEN`` inside it, ``CLOSED`` after it, after ``aclose()``, and if entering failed.
A stream is never opened twice. Within ``OPEN``, ``_finished`` means that nothing more is read.

**Reading.** There is no background task. Iterating reads: ``_read_once`` takes one piece from the connection and feeds it
to the engine, and the events of that piece wait in ``_received`` until they are consumed. A consumer that does not iterate
therefore slows the server down. All ways to iterate (``events``, ``text_deltas``, ``batches``, ``partial``, ``result``) share
``_received`` and can be mixed. Only one task may read at a time. A cancelled read loses data, so the stream then fails.

**Kind of body.** The content type is a hint; the first bytes decide. With any type but ``text/event-stream``, entering the block waits
for them. An event stream is then read nevertheless, with the anomaly ``content-type``; a response as JSON is the whole result.

**Retrying.** Until the first event that is output, a failure may be hidden: an error status, a connection that was not
established, and an ``error`` or ``response.failed`` event. ``_withhold_failure`` drops such an event if the ``RetryPolicy`` allows
another attempt, and notes it in ``_pending_retry``. A ``response.failed`` without a reason waits in ``_withheld`` until the reason has
arrived or is overdue. The next read waits for the delay, sends the request again and continues with a new engine. Events that preceded
the failure were delivered already, so the consumer sees another ``response.created``.
From the first output on (``_committed``), nothing is retried, nor is anything in a stream that resumes a response.

**Ending.** The response ends with a terminal event, which sets the engine's outcome; the body ends later. In between,
``_drain_body`` reads on for 0.1 s or 64 KiB, because only a connection whose body was read to its end can be reused. Errors of
that read are ignored; an ``error`` event in it that gives the reason of a failure is used. If the body ends before the response, the
outcome is ``truncated``. After an ``error`` event, ``response.failed`` may still follow, so the stream waits for it up to one second.

**Failing.** An error of the connection, a timeout or a limit is kept in ``_failure`` with the partial response and the cursor. It
is raised after the events that arrived before it were consumed, and again by every later read. An exception of a hook is raised at
once, and again by every later read. If another task closes the stream or its client, the reading task gets an error that says so, not
the error of the closed connection.

**Leaving.** ``_close`` releases the connection, cancels the response if the caller asked for that, and reports the end of the call
to the hooks, once. If the response has ended, leaving the block drains the body first. Events that were received but not read are kept
in ``_unread``: a stream that continues this one begins with them.
"""

from __future__ import annotations

import contextlib
import enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, Self, TypeAlias, cast, overload

import anyio

from ..anomalies import Anomaly
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
    UsageError,
)
from ..models.event_bases import EventBase
from ..models.events import (
    EVENT_TYPES,
    ErrorEvent,
    Event,
    Keepalive,
    RateLimitsUpdated,
    ResponseCreated,
    ResponseFailed,
    ResponseInProgress,
    ResponseQueued,
)
from ..protocol._texts import MessageTexts
from ..protocol.api_errors import api_error_from
from ..protocol.headers import media_type
from ..protocol.sse import SSEDecoder
from ..protocol.stream import ResponseStream
from ..typing import Cursor
from ._calls import Attempts
from ._meta import ResponseMeta, with_meta
from ._replies import (
    MAX_ERROR_BODY,
    describe_reply,
    error_from_reply,
    is_error,
    is_response,
    read_object,
)
from ._secrets import redact, redact_outcome, secrets_in
from ._streamed_reply import AFTER_ERROR
from .hooks import call_hook
from .transport._errors import public_url
from .transport._exchange import Drain, Exchange
from .views import Batches, Elements, Events, PartialValues, TextDeltas

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from types import TracebackType

    from typing_extensions import TypeForm, TypeVar  # for the type checker, which bundles it

    from ..models.items import MessagePhase
    from ..models.response import Response
    from ..protocol.sse import Frame
    from ..protocol.stream import Outcome
    from ..schema.structured import ParseResult, PartialElements, PartialOutput, Structured
    from ..typing import JSONValue
    from ._calls import ClientCore, PreparedCall
    from .retry import RetryAfter

    T_co = TypeVar("T_co", covariant=True, default=object)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

__all__ = ["EventStream", "OnAbandon"]

OnAbandon: TypeAlias = Literal["close", "cancel_response"]
"""What to do if a stream is left before its end: close the connection, or also cancel the response on the server."""

_E = TypeVar("_E", bound=Event)
_F = TypeVar("_F", bound=Event)
_G = TypeVar("_G", bound=Event)
_X = TypeVar("_X")
_Scalar = TypeVar("_Scalar", str, bool, int, float)
T = TypeVar("T")

_CANCEL_TIMEOUT: Final = 3.0  # seconds for cancelling an abandoned response
_BEFORE_OUTPUT: Final = (ResponseCreated, ResponseQueued, ResponseInProgress, Keepalive, RateLimitsUpdated)


class _State(enum.Enum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


class Interrupted(NamedTuple):
    """The state of a stream whose block was left, for the stream that continues it."""

    engine: ResponseStream
    unread: list[Event]
    """The events that were received but not read."""
    delivered: int
    """How many events it received, including those of the streams that it continued."""
    midway: bool
    """Whether the first of these events was in the middle of the response."""
    meta: ResponseMeta | None


class EventStream(Generic[T_co]):
    """The events of one response, as they arrive. Returned by :meth:`ResponsesClient.stream`; use it in ``async with``.

    Entering the block sends the request. It raises ``APIError`` if the server answers with an error, ``NotAnEventStream`` if the
    reply is not a stream, and errors of the transport.

    Then iterate over it (or :meth:`events`, :meth:`text_deltas`, :meth:`batches`, :meth:`partial`, :meth:`elements`), or call
    :meth:`result` or :meth:`parse`. Iterating yields typed events until the response ends. It does not raise for a response that is ``failed`` or
    ``incomplete``: those are events, and an :attr:`outcome`. It raises ``DeadlineExceeded``, other ``TransportError`` and
    ``LimitExceeded``, after the events that arrived before. :meth:`result` raises for any outcome except ``completed``.

    Leaving the block closes the connection at once.

    Until there is output, a failure that the client's :class:`~responses_proto.client.RetryPolicy` covers is retried: the
    response begins again, with another ``response.created``, and :attr:`meta` is that of the new reply. After output, nothing is
    retried; a background response can be continued with :meth:`ResponsesClient.resume`.

    Only one task may read at a time.
    """

    __slots__ = (
        "__weakref__",
        "_attempts",
        "_call",
        "_cancel",
        "_committed",
        "_core",
        "_delivered",
        "_drain",
        "_end_cause",
        "_engine",
        "_exchange",
        "_failure",
        "_finished",
        "_first_event_seen",
        "_frame_decoder",
        "_keep_data",
        "_meta",
        "_midway",
        "_on_event",
        "_output",
        "_pending_retry",
        "_reading",
        "_received",
        "_received_some",
        "_sending",
        "_state",
        "_unread",
        "_withheld",
    )

    def __init__(
        self,
        core: ClientCore,
        call: PreparedCall,
        *,
        cancel: Callable[[str], Awaitable[object]] | None = None,
        cursor: Cursor | None = None,
        continues: Interrupted | None = None,
        output: Structured[T_co] | None = None,
    ) -> None:
        # `cancel` cancels a response by its id; it is set if abandoning the stream cancels the response. `cursor` is set if the stream
        # continues a response, and `continues` if it continues another stream in this process. `output` is the type of the value.
        self._output = output
        self._core = core
        self._call = call
        self._cancel = cancel
        self._on_event = core.hooks.on_event
        self._state = _State.NEW
        self._attempts: Attempts | None = None
        self._exchange = Exchange(core.transport, call.request)
        self._meta: ResponseMeta | None = None
        self._keep_data = False
        self._engine = self._new_engine(cursor, continues)
        self._frame_decoder: SSEDecoder | None = None  # only for the hook `on_frame`
        self._reading = False
        self._sending: anyio.CancelScope | None = None
        self._received: Iterator[Event] = iter(())  # events that were not read yet
        self._unread: list[
            Event
        ] = []  # left in `_received` when the block was left, of this stream or of the one that it continues
        self._delivered = 0  # events put into `_received`, by this stream or by the one that it continues
        self._midway = False  # whether the events begin in the middle of the response
        self._received_some = False  # whether the last read yielded events
        self._first_event_seen = False
        self._committed = cursor is not None  # whether a failure in the stream is final: see "Retrying" above
        self._pending_retry: tuple[ResponsesProtoError, RetryAfter] | None = None
        self._withheld: list[Event] = []  # a failure without a reason, and the events that followed it
        self._finished = False
        self._failure: Exception | None = None
        self._end_cause: TransportError | None = None  # why the body ended early, if that is not the failure itself
        self._drain = Drain()
        if continues is not None:
            self._unread, self._delivered, self._midway = continues.unread, continues.delivered, continues.midway
            if self._engine.ended:  # only unread events are left: nothing to request
                self._finished, self._meta = True, continues.meta
        elif cursor is not None:
            self._midway = cursor.sequence_number is not None

    # State

    @property
    def response(self) -> Response:
        """The snapshot of the response: partial until the stream ends, then final."""
        return self._engine.response

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` until it does, and if the block was left earlier."""
        outcome = self._engine.outcome
        if outcome is None or outcome.status == "completed":
            return outcome
        # Some servers quote the key when they refuse it.
        return redact_outcome(outcome, self._core.secret, *secrets_in(self._call.request.headers))

    @property
    def cursor(self) -> Cursor | None:
        """The position after the last event that was read here, for :meth:`ResponsesClient.resume`.

        ``None`` until the response has an id. :attr:`response` can be ahead of it by the events of one packet.
        """
        cursor = self._engine.cursor
        if cursor is None:
            return None
        for event in self._unread or self._waiting():
            if isinstance(event, EventBase) and event.type in EVENT_TYPES:  # those that the protocol numbers
                before = event.sequence_number - 1
                return Cursor(cursor.response_id, before if before >= 0 else None)
        return cursor

    @property
    def output(self) -> Structured[T_co] | None:
        """The type that the request asks for, from ``client.stream(..., output=T)``; ``None`` without one."""
        return self._output

    @property
    def awaited(self) -> bool:
        """Whether a task waits for the server, to open the stream or to read it."""
        return self._reading or self._sending is not None

    @property
    def anomalies(self) -> list[Anomaly]:
        """The deviations from the protocol that were found and tolerated, in order."""
        return self._engine.anomalies

    @property
    def meta(self) -> ResponseMeta:
        """Status, headers, request id and quotas. Raises ``LocalProtocolError`` until the block is entered."""
        if self._meta is None:
            raise LocalProtocolError("no reply yet: enter the stream's block first")
        return self._meta

    def keep_data(self) -> None:
        """Let all further events keep their JSON text, for :func:`responses_proto.protocol.data_of`."""
        self._keep_data = self._engine.keep_data = True

    @property
    def entered(self) -> bool:
        """Whether the block was entered."""
        return self._state is not _State.NEW

    @property
    def error_seen(self) -> bool:
        """Whether an ``error`` event was received."""
        return self._engine.error_seen

    # The block

    async def __aenter__(self) -> Self:
        if self._state is not _State.NEW:
            raise LocalProtocolError("a stream can be entered only once: call client.stream() for another one")
        self._state = _State.OPEN
        self._core.state.streams.add(self)
        try:
            if not self._finished:
                self._attempts = Attempts(self._core, self._call)
                await self._send(self._attempts)
        except BaseException as error:
            self._failure = error if isinstance(error, Exception) else None
            await self._close(error)
            raise
        if self._unread:
            self._received = iter([*self._unread, *self._received])
            self._unread = []
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._unread += self._received
            if exc_type is None and self._state is _State.OPEN and not self._reading:
                while self._engine.ended and not self._finished:
                    await self._read_once()  # drains the body, so that the next request can reuse the connection
        finally:
            await self._close(exc)

    async def aclose(self) -> None:
        """Close the connection at once, as leaving the block does. Idempotent.

        A task that is reading the stream gets a ``LocalProtocolError``.
        """
        await self._close()

    # The events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        for event in self._received:  # returns the first one; cheaper than next(), and most events take this path
            return event
        if await self._receive_more():
            for event in self._received:
                return event
        raise StopAsyncIteration

    @overload
    def events(self) -> Events[Event]: ...
    @overload
    def events(self, kind: type[_E], /) -> Events[_E]: ...
    @overload  # mypy does not infer the union of several classes by itself
    def events(self, first: type[_E], second: type[_F], /) -> Events[_E | _F]: ...
    @overload
    def events(self, first: type[_E], second: type[_F], third: type[_G], /) -> Events[_E | _F | _G]: ...
    @overload
    def events(self, *kinds: type[Event] | str) -> Events[Event]: ...
    def events(self, *kinds: Any) -> Events[Any]:
        """Iterate over the events of some kinds only.

        ``kinds`` are event classes or wire names such as ``"response.output_text.delta"``; without any, all events are yielded.
        This reads the stream itself: other events are skipped and lost, and a later iteration continues where this one stopped.

        Raises ``UsageError`` for a string that is a misspelt event name, and what iterating over the stream raises.
        """
        return Events(self._get_received, self._receive_more, kinds)

    def text_deltas(self, *, phase: MessagePhase | None = None, agent: str | None = None) -> TextDeltas:
        """Iterate over the text as it arrives, as strings that are not empty: each character once.

        Usually, these are the ``delta`` of each ``response.output_text.delta``. If a server sends text in another event, such as
        ``response.output_text.done``, the new part of it is yielded then. Joined, the strings are the text of the response.

        ``phase`` chooses the messages: ``"commentary"``, or ``"final_answer"``, which is every message that is not marked as
        commentary; by default all. ``agent`` chooses the messages of one agent, by its name.
        """
        texts = MessageTexts(phase=phase, agent=agent, midway=self._midway)
        self._continue(texts)
        return TextDeltas(self._get_received, self._receive_more, texts)

    def _waiting(self) -> list[Event]:
        """Return the events that were received and not read yet. They can still be read."""
        waiting = list(self._received)
        self._received = iter(waiting)
        return waiting

    def _continue(self, follower: MessageTexts | PartialOutput | PartialElements[Any]) -> None:
        """Let ``follower`` continue from the snapshot if it has missed events that were read before."""
        waiting = self._waiting()
        if self._delivered > len(waiting):
            follower.begin_with(self._engine.response, waiting)

    def batches(self) -> Batches:
        """Iterate over lists of events: all events of one read, never an empty list. Faster for many small events."""
        return Batches(self._get_received, self._receive_more)

    async def result(self) -> Response:
        """Read to the end and return the response if it is complete.

        Events that were not consumed before are skipped. After the block, this still works if the response ended inside it.

        Raises ``ResponseFailedError``, ``ResponseIncompleteError``, ``ResponseCancelledError``, ``APIError`` (for an ``error``
        event) or ``StreamTruncated``, each with the response so far as ``.response``; and what iterating raises.
        """
        self._require_open(also_closed=self._engine.outcome is not None or self._failure is not None)
        while not self._finished and (not self._engine.ended or self._engine.reason_missing):
            await self._read_once()
        self._received, self._unread = iter(()), []
        if self._failure is not None:
            raise self._failure
        outcome = self.outcome
        if outcome is None:
            raise LocalProtocolError("the stream has no result: it was closed before the response ended")
        error = outcome.exception()
        if error is None:
            return outcome.response if self._meta is None else with_meta(outcome.response, self._meta)
        if error.__cause__ is None:
            error.__cause__ = self._end_cause
        if self._attempts is not None:
            self._attempts.redact(error)
        raise error

    @overload
    async def parse(self, /) -> ParseResult[T_co]: ...
    @overload
    async def parse(self, output: TypeForm[T], /) -> ParseResult[T]: ...
    async def parse(self, output: Any = None, /) -> ParseResult[Any]:
        """Read to the end and return the value that the text contains (Responses, Structured outputs).

        The type is that of ``client.stream(..., output=T)``. For a request whose text format was made by
        :func:`responses_proto.schema.text_format`, pass the type here.

        The result is ``Parsed``, ``Refused``, ``Incomplete`` or ``Invalid``. Only the text of a completed response is parsed; any other
        outcome is also a result and raises nothing. After the block, this works as :meth:`result` does. Raises what
        iterating raises, and ``UsageError`` if no type was given.
        """
        structured = self._structured(output)
        if structured is None:
            raise UsageError("parse() needs a type: client.stream(..., output=T), or parse(T)")
        try:
            await self.result()
        except ResponsesProtoError:
            if self._failure is not None or self._engine.outcome is None:
                raise
        return structured.parse_outcome(cast("Outcome", self.outcome))

    @overload
    def partial(self: EventStream[_Scalar], /) -> PartialValues[_Scalar]: ...
    @overload
    def partial(self: EventStream[list[Any]], /) -> PartialValues[list[JSONValue]]: ...
    @overload
    def partial(self, output: Any = None, /) -> PartialValues[JSONValue]: ...
    def partial(self, output: Any = None, /) -> PartialValues[Any]:
        """Iterate over the JSON value of the text so far: a plain value, each time that more of it is known.

        A string grows, an object or a list gains members; a number or a date appears once it is complete. ``output`` is needed if the
        type was not passed to ``client.stream(..., output=T)`` and its values are not JSON objects: such values are wrapped in an object
        on the wire and unwrapped here. This reads the stream itself; call :meth:`parse` next for the typed value.
        """
        from ..schema.structured import PartialOutput  # noqa: PLC0415 - loaded only by callers that parse

        partial = PartialOutput(self._structured(output), limits=self._core.limits, midway=self._midway)
        self._continue(partial)
        return PartialValues(self, partial)

    @overload
    def elements(self: EventStream[Sequence[_X] | AbstractSet[_X]], /) -> Elements[_X]: ...
    @overload
    def elements(self, of: TypeForm[T], /) -> Elements[T]: ...
    @overload
    def elements(self, /) -> Elements[Any]: ...
    def elements(self, of: Any = None, /) -> Elements[Any]:
        """Iterate over the elements of the list in the text, each as a typed value as soon as it is complete.

        The list is the value itself, for ``client.stream(..., output=list[T])``, or the one member of it that is a list. ``of`` is
        the type of the elements. It is needed without ``output``, and chooses one of several lists. This reads the stream itself. The
        iteration ends with the stream; call :meth:`parse` or :meth:`result` next to know whether the list is complete.

        Raises ``UsageError`` if there is no list, or several. Iterating raises ``DecodeError``, with the path, for an element that does
        not match its type, and can then be continued with the next element; it also raises what iterating over the stream raises.
        """
        from ..schema.structured import PartialElements  # noqa: PLC0415 - loaded only by callers that parse

        elements = PartialElements[Any](self._output, of, limits=self._core.limits, midway=self._midway)
        self._continue(elements)
        return Elements(self, elements)

    def _structured(self, output: Any) -> Structured[Any] | None:
        from ..schema.structured import structured_for  # noqa: PLC0415 - loaded only by callers that parse

        return self._output if output is None else structured_for(output)

    def detach(self) -> Interrupted:
        """Return the state of this stream, so that another stream can continue it.

        :meth:`ResponsesClient.resume` calls this; do not use this stream afterwards. Raises ``LocalProtocolError`` if the stream is in
        use, or if the response has ended and all of its events were read.
        """
        if self._state is not _State.CLOSED and not self._finished:
            raise LocalProtocolError("this stream is still open: leave its block before you resume it")
        unread = self._unread or self._waiting()
        accumulator = self._engine.accumulator
        if accumulator.status is None:
            accumulator.error = None  # the error ended this stream, not the response
        elif not unread:
            raise LocalProtocolError(f"nothing to resume: the response is {accumulator.status}")
        return Interrupted(self._engine, unread, self._delivered, self._midway, self._meta)

    # Reading

    def _get_received(self) -> Iterator[Event]:
        return self._received

    async def _receive_more(self) -> bool:
        """Read until there are events in ``_received``; return false, or raise the failure, at the end of the stream."""
        if self._state is not _State.OPEN:
            self._require_open()
        self._received_some = False
        while not self._finished:
            await self._read_once()
            if self._received_some:
                return True
        if self._failure is not None:
            raise self._failure
        return False

    def _require_open(self, *, also_closed: bool = False) -> None:
        if self._state is _State.NEW:
            raise LocalProtocolError(
                "the stream is not entered yet: use `async with client.stream(...) as stream`, and read it inside the block"
            )
        if self._state is _State.CLOSED and not also_closed:
            raise LocalProtocolError("this stream is closed: read it inside its `async with` block")

    async def _read_once(self) -> None:
        """Read one piece of the body and put its events into ``_received``; at the end, set ``_finished``."""
        if self._reading:
            raise LocalProtocolError("another task is reading this stream: only one can read at a time")
        self._reading = True
        try:
            if self._pending_retry is not None:
                await self._send_again(*self._pending_retry)
            elif self._engine.ended:
                self._feed(await self._drain_body())
            else:
                # Inlined, which saves one coroutine for each piece.
                kind, allowed = self._bound()
                try:
                    piece = await self._exchange.receive(kind, allowed)
                except (TransportError, LimitExceeded) as error:
                    self._broken_off(error)
                    piece = b""
                self._feed(piece)
        except Exception as error:  # from a hook, or from a custom transport
            if not self._closed_here(error):
                self._fail(error)
                raise
            self._fail_unless_complete(self._closed_meanwhile(error))
        except BaseException:  # most likely a cancellation, which lost the data that the transport was reading
            self._fail_unless_complete(
                LocalProtocolError("a read of this stream was cancelled, which closed its connection")
            )
            raise
        finally:
            self._reading = False
        if self._finished:
            await self._exchange.aclose()

    def _closed_here(self, error: Exception) -> bool:
        """Return whether an error is only the consequence of closing the stream, or the connections of its client."""
        disconnected = (
            self._core.state.closed and self._call.request.method != "SEND"
        )  # a session has its own connection
        return self._state is not _State.OPEN or (disconnected and isinstance(error, TransportError))

    def _closed_meanwhile(self, cause: Exception | None = None) -> LocalProtocolError:
        closed = "client" if self._core.state.closed else "stream"
        error = LocalProtocolError(f"the {closed} was closed while a task was reading this stream")
        error.__cause__ = cause
        return error

    def _bound(self) -> tuple[str, float | None]:
        """Return the name of the bound on the next piece of the body, and the seconds that are left of it."""
        timeouts = self._call.request.timeouts
        allowed: float | None
        if self._engine.error_seen:
            kind, allowed = "after_error", AFTER_ERROR
        elif self._first_event_seen:
            kind, allowed = "between_events", timeouts.between_events
        else:
            kind, allowed = "first_event", timeouts.first_event
        return kind, None if allowed is None else allowed - self._exchange.waited

    def _broken_off(self, error: TransportError | LimitExceeded) -> None:
        """Note why the body ended early. Raises ``error`` if the connection was closed here."""
        if isinstance(error, LimitExceeded):  # raised by a transport that reads ahead
            self._fail(error)
        elif self._closed_here(error):
            raise error
        # A truncated body is an end, which the engine reports; after an `error` event nothing more is expected.
        elif isinstance(error, StreamTruncated) or self._engine.error_seen:
            self._end_cause = error
        else:
            self._fail(self._as_interruption(error))

    async def _drain_body(self) -> bytes:
        """Return the next piece of the body after the response; empty once the bounds of the drain are reached."""
        left = self._drain.left()
        if left <= 0:
            return b""
        try:
            piece = await self._exchange.receive("drain", left)
        except TransportError:
            return b""  # the response is complete: only the connection is lost
        self._drain.count(len(piece))
        return piece

    def _show_frames(self, decoder: SSEDecoder, piece: bytes) -> None:
        """Pass the frames that a piece of the body completes to the hook."""
        frames: list[Frame] = []
        try:
            frames = decoder.receive(piece)
        except ResponsesProtoError as error:
            self._fail_unless_complete(error)
        for frame in frames:
            call_hook(cast("Callable[[Frame], object]", self._core.hooks.on_frame), frame)

    def _feed(self, piece: bytes) -> None:
        """Pass a piece of the body to the engine; an empty one is the end of the body."""
        if self._state is not _State.OPEN:
            self._fail_unless_complete(self._closed_meanwhile())
            return
        engine = self._engine
        if self._frame_decoder is not None and piece:
            self._show_frames(self._frame_decoder, piece)
        try:
            if piece:
                engine.receive_data(piece)
            else:
                self._finished = True
                engine.receive_eof()
                if engine.body is not None and engine.outcome is not None and engine.outcome.status == "truncated":
                    self._fail(self._not_a_stream(engine.body))
        except ResponsesProtoError as error:
            self._fail_unless_complete(error)
        events = engine.events_received()
        if events and not self._first_event_seen:
            self._first_event_seen = True
            cast("Attempts", self._attempts).event_received()
        if self._withheld and self._finished:
            self._committed = True  # the reason did not arrive
        if events or (self._withheld and self._committed):
            self._deliver(events)

    def _deliver(self, events: list[Event]) -> None:
        """Put events into ``_received`` and pass them to the hook."""
        self._exchange.waited = 0.0
        if not self._committed or self._withheld:
            events = [*self._withheld, *events]
            self._withheld = []
            if not self._committed:
                events = self._withhold_failure(events)
        self._received_some = bool(events)
        self._delivered += len(events)
        self._received = iter(events)
        if self._on_event is not None:
            for event in events:
                call_hook(self._on_event, event)

    # Sending, once or more

    async def _send(self, attempts: Attempts, pause: tuple[ResponsesProtoError, RetryAfter] | None = None) -> None:
        """Send the request, as often as the retry policy allows, until the server replies with a stream.

        ``pause`` is the retry to wait for first. Raises ``LocalProtocolError`` if the stream is closed meanwhile.
        """
        pieces: tuple[bytes, ...] = ()
        with anyio.CancelScope() as self._sending:
            if pause is not None:
                await attempts.wait(*pause)
            while True:
                self._exchange = await attempts.begin(await self._call.body.bytes())
                self._frame_decoder = SSEDecoder(self._core.limits) if self._core.hooks.on_frame is not None else None
                try:
                    await self._exchange.open()
                    pieces = await self._check_head()
                except ResponsesProtoError as error:
                    await self._exchange.aclose()
                    await attempts.retry_or_raise(error)
                else:
                    break
        self._sending = None  # cancelled by `_close`, or over
        if self._state is not _State.OPEN:
            await self._exchange.aclose()
            raise LocalProtocolError("the stream was closed before the server replied")
        for piece in pieces:
            self._feed(piece)

    async def _check_head(self) -> tuple[bytes, ...]:
        """Check the kind of the reply. Return the part of the body that was read for this, to be fed next."""
        exchange = self._exchange
        status, headers = exchange.status, exchange.headers
        self._meta = ResponseMeta.of(status, headers, self._core.secret)
        if status >= HTTPStatus.BAD_REQUEST:
            raise error_from_reply(exchange, await exchange.read_start(MAX_ERROR_BODY), self._core.secret)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._not_a_stream(await exchange.read_start(MAX_ERROR_BODY))
        kind = media_type(headers)
        if kind == "text/event-stream" or status == HTTPStatus.SWITCHING_PROTOCOLS:
            return ()  # if the body is something else, the engine finds out
        first, is_events = await exchange.read_first("first_event", self._call.request.timeouts.first_event)
        if is_events:
            self._engine.accumulator.report(Anomaly("content-type", "$", f"the server says {kind or 'nothing'}"))
            return (first,)
        # Some servers ignore `stream` and send the whole response as JSON.
        if not first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            raise self._not_a_stream(await exchange.read_start(MAX_ERROR_BODY, first))
        body = await exchange.read(self._core.limits, first)
        value = read_object(body, self._core.limits)
        if value is not None and is_error(value):
            raise error_from_reply(exchange, body, self._core.secret)
        if value is None or not is_response(value):
            raise self._not_a_stream(body)
        self._frame_decoder = None
        await exchange.aclose()
        return body, b""

    def _withhold_failure(self, events: list[Event]) -> list[Event]:
        """Return the events to deliver: without a failure that precedes any output, if it is to be retried."""
        for index, event in enumerate(events):
            if isinstance(event, _BEFORE_OUTPUT):
                continue
            error = self._early_failure(event)
            if error is None and isinstance(event, ResponseFailed) and not event.response.output:
                reason = next((later for later in events[index:] if isinstance(later, ErrorEvent)), None)
                if reason is None and self._engine.reason_missing and not self._finished:
                    self._withheld = events[index:]
                    return events[:index]
                error = self._early_failure(reason) if reason is not None else None
            retry = cast("Attempts", self._attempts).decide(error) if error is not None else None
            if error is not None and retry is not None:
                self._pending_retry = error, retry
                self._engine = self._new_engine()
                self._drain = Drain()
                self._finished = False
                self._first_event_seen = False
                return events[:index]
            self._committed = True
            break
        return events

    def _early_failure(self, event: Event) -> APIError | None:
        """Return the error of an event that ends the response before any output; ``None`` for other events."""
        fault: object = event if isinstance(event, ErrorEvent) else None
        if isinstance(event, ResponseFailed) and not event.response.output:
            fault = event.response.error
        if not fault:
            return None
        return api_error_from(self._core.converter.dump(fault))

    def _new_engine(self, cursor: Cursor | None = None, continues: Interrupted | None = None) -> ResponseStream:
        if continues is not None and continues.engine.accumulator.status is not None:
            return continues.engine  # the response has ended
        return ResponseStream(
            limits=self._core.limits,
            converter=self._core.converter,
            keep_data=self._keep_data,
            cursor=cursor,
            accumulator=continues.engine.accumulator if continues is not None else None,
        )

    async def _send_again(self, error: ResponsesProtoError, retry: RetryAfter) -> None:
        attempts = cast("Attempts", self._attempts)
        self._pending_retry = None
        await self._exchange.aclose()
        try:
            await self._send(attempts, (error, retry))
        except ResponsesProtoError as failure:
            self._fail(failure)

    # Failing

    def _fail_unless_complete(self, failure: Exception) -> None:
        """Stop reading. This fails the stream, unless the response has ended and only the rest of the body is missing."""
        outcome = self._engine.outcome
        if outcome is not None and outcome.status not in ("truncated", "error"):
            self._finished = True
        else:
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        """Stop reading, and keep the first failure, which is raised after the events that arrived before it."""
        if self._failure is not None:
            return
        engine = self._engine
        self._finished = True
        self._failure = failure
        if not isinstance(failure, ResponsesProtoError):
            return
        if self._attempts is not None:
            self._attempts.redact(failure)
        failure.response = failure.response or engine.response
        failure.cursor = failure.cursor or engine.cursor
        if failure.retry_safety is None or (failure.retry_safety == "unsafe" and engine.response.background):
            failure.retry_safety = "resumable" if engine.response.background and engine.cursor else "unsafe"

    def _as_interruption(self, error: TransportError) -> TransportError:
        """Return ``StreamInterrupted`` if the connection broke after output, else the error itself."""
        if isinstance(error, DeadlineExceeded) or not self._engine.response.output:
            return error
        interrupted = StreamInterrupted(f"{error}, in the middle of the response; what arrived is in .response")
        interrupted.__cause__ = error
        return interrupted

    def _not_a_stream(self, body: bytes) -> NotAnEventStream:
        exchange = self._exchange
        body = redact(body, self._core.secret)[:MAX_ERROR_BODY]
        return NotAnEventStream(
            f"expected an event stream, but {describe_reply(exchange, body)} (HTTP {exchange.status})",
            status=exchange.status,
            headers=exchange.headers,
            body=body,
        )

    # Closing

    async def _close(self, error: BaseException | None = None) -> None:
        was_open, self._state = self._state is _State.OPEN, _State.CLOSED
        self._unread += self._received
        self._core.state.streams.discard(self)
        if self._sending is not None:
            self._sending.cancel()
        try:
            await self._exchange.aclose()
            if was_open and self._cancel is not None:
                if self._attempts is not None:
                    self._attempts.leave_gate(error)  # the request that cancels needs a place, too
                await self._cancel_response(self._cancel)
        finally:
            if self._attempts is not None:
                outcome = self.outcome
                error = error or self._failure
                self._attempts.response = self._engine.response if self._engine.cursor is not None else None
                self._attempts.finish(
                    error,
                    how="ended" if outcome is not None and self._failure is None else None,
                    outcome=outcome,
                    cursor=self.cursor,
                )

    async def _cancel_response(self, cancel: Callable[[str], Awaitable[object]]) -> None:
        # If the connection broke, leaving was not the caller's decision: the response can still be resumed.
        cursor = self._engine.cursor
        if cursor is None or self._engine.outcome is not None or isinstance(self._failure, (TransportError, APIError)):
            return
        # The block is being left, so an error of this request cannot be reported.
        with anyio.move_on_after(_CANCEL_TIMEOUT, shield=True), contextlib.suppress(ResponsesProtoError):
            await cancel(cursor.response_id)

    def __repr__(self) -> str:
        request = self._call.request
        return f"<{type(self).__name__} {request.method} {public_url(request.url)} {self._state.value}>"
