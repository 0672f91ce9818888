"""Create many responses over one WebSocket. :meth:`ResponsesClient.connect` returns a :class:`WebSocketSession`.

::

    async with client.connect() as session:
        async with session.stream(model="...", input="...", store=False) as stream:
            async for event in stream:
                ...
            response = await stream.result()
        async with session.stream(model="...", input="...", previous_response_id=response.id, store=False) as stream:
            ...

A stream is the same :class:`~responses_proto.client.EventStream` as over HTTP, with the same events, snapshot, outcome, errors, deadlines,
hooks and retries. Only its transport differs: the small classes at the end of this module send a request over the session's connection.

Differences from HTTP:

* **Lanes.** Streams that are open at the same time need different values of ``stream_id``. Entering a stream on a busy lane raises
  ``LocalProtocolError``. A stream that is not read does not block others: its messages are buffered up to
  ``Limits.max_buffered_bytes``, and beyond that this stream alone raises ``LimitExceeded``. While no stream is being read, little is
  read ahead, so that slow consumers slow the server down, as over HTTP.
* **Leaving** a stream before its end closes the connection, because no message stops a response. Streams on other lanes then raise
  ``StreamInterrupted``, or ``TransportError`` if they had no output yet. Use a separate session for a stream that may be left early
  or cancelled.
* **Reconnecting.** After the connection has ended for any reason, the next stream opens a new one. State that the server kept with the
  old one (a response with ``store=False``) is lost: continuing it fails with ``previous_response_not_found``.
* **Silence.** Pings, pongs and messages on other lanes are signs of life, as comments are over HTTP: they count for
  ``Timeouts.between_bytes``, not for ``between_events``. After ``keepalive`` seconds without any, the client sends a ping.
* **Warming up.** ``stream(..., generate=False)`` creates a response without output, which the next one can continue by its id.
* **Steering.** :meth:`WebSocketSession.steer` sends more input to a response that is running. :meth:`WebSocketSession.successor` is the stream
  of the response that the server then creates.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, Self, Unpack, cast, overload
from urllib.parse import urlsplit, urlunsplit

import anyio
import attrs

from ...exceptions import DeadlineExceeded, LocalProtocolError, ResponsesProtoError, TransportError, UsageError
from ...models.request import CreateResponse, ResponseCreateMessage, ResponseSteer, RunFields
from ...models.response import Response
from ...protocol.websocket import (
    CONNECTION_LIMIT,
    HTTP_ONLY_FIELDS,
    PREVIOUS_NOT_FOUND,
    STREAM_ID,
    SteerState,
    common_fields,
    copy_error,
)
from .._calls import Attempts, CallOptions, ClientCore, PreparedCall, merge_fields
from .._meta import ResponseMeta
from .._replies import error_from_reply
from .._secrets import redact_error
from ..hooks import call_hook
from ..retry import RetryPolicy
from ..stream import EventStream
from ..transport._errors import public_url, unsafe
from ..transport._exchange import Exchange, shut
from ._connection import WebSocketConnection, accept_upgrade, upgrade
from ._shared_connection import SharedConnection, TurnReply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from anyio.abc import TaskGroup

    from ...models.events import SteerAccepted, SteerPending
    from ...models.items import Item
    from ...models.request import ResponseCreateFields
    from ...tools._runner import OnError
    from ...tools._starter import Approve
    from ...tools.effects import OnEffect
    from ...tools.executors import Tools
    from ...tools.loop import Continuation, ToolLoop
    from ...tools.run import EditInput, Run, StartPolicy
    from ...typing import JSONObject
    from ..timeouts import Timeouts
    from ..transport.base import WireReply, WireRequest

    class SessionRunOptions(RunFields, total=False):
        """The options of a run, as keyword arguments."""

        tools: Tools
        output: Any
        deps: object
        repairs: int
        approve: Approve | None
        max_turns: int | None
        max_tokens: int | None
        max_tool_calls: int | None
        start: StartPolicy
        concurrency: int
        tool_timeout: float | None
        on_error: OnError
        continuation: Continuation | None
        edit_input: EditInput | None
        on_effect: OnEffect | None
        timeouts: Timeouts | None
        retry: RetryPolicy | None


__all__ = ["WebSocketSession"]

_PREVIOUS: Final = "previous_response_id"
_LEFT: Final = "the session was left"


class _State(enum.Enum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


class WebSocketSession:
    """A WebSocket that reconnects when needed, for any number of tasks. Created by ``ResponsesClient.connect()``.

    Use it in ``async with``, in one task. Entering connects: it raises ``APIError`` if the server refuses, and ``TransportError`` if the
    connection fails. Then call :meth:`stream`, from any task. The end of the block closes the connection and all open streams.

    ``handshake`` is a plain GET request. ``run`` is the method of the client. ``keepalive`` is the number of seconds of silence after
    which the client sends a ping.
    """

    def __init__(
        self, core: ClientCore, handshake: PreparedCall, *, keepalive: float | None, run: Callable[..., Run]
    ) -> None:
        if keepalive is not None and not 0 < keepalive < math.inf:
            raise UsageError(f"keepalive must be a positive number of seconds or None, got {keepalive!r}")
        self._core = core
        self._handshake = handshake
        self._keepalive = keepalive
        self._run = run
        self._state = _State.NEW
        self._tasks: TaskGroup | None = None
        self._connecting = anyio.Lock()
        # The last one is current. Older ones stay open until their last stream ends.
        self._open_connections: list[SharedConnection] = []
        self._meta: ResponseMeta | None = None
        self.connections: int = 0
        """How many times the session has connected."""

    @property
    def url(self) -> str:
        """The address of the server, a ``ws://`` or ``wss://`` URL."""
        parts = urlsplit(self._handshake.request.url)
        return urlunsplit(parts._replace(scheme={"http": "ws", "https": "wss"}[parts.scheme]))

    @property
    def meta(self) -> ResponseMeta:
        """Status, headers, request id and rate limits of the latest handshake. Raises ``LocalProtocolError`` before the block is entered."""
        if self._meta is None:
            raise LocalProtocolError("the session is not connected yet: enter it with `async with` first")
        return self._meta

    @property
    def pending(self) -> list[SteerPending]:
        """The steers whose input waits for input from the client, as the server announced them.

        ``required_input`` lists the outputs that it waits for. Send them all in one ``stream(previous_response_id=...)`` on the
        same lane; that serves all steers of the response.
        """
        return [pending for connection in self._open_connections for pending in connection.protocol.pending]

    # The block

    async def __aenter__(self) -> Self:
        if self._state is not _State.NEW:
            raise LocalProtocolError("a session can be entered only once: call client.connect() again")
        self._state = _State.OPEN
        try:
            connection = await self._connect()
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
        except BaseException:
            self._state = _State.CLOSED
            raise
        self._use(connection)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._state = _State.CLOSED
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        swallowed: bool | None = None
        try:
            for connection in self._open_connections:
                await (connection.finish() if exc is None else connection.aclose(_LEFT))
        finally:
            tasks.cancel_scope.cancel()
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                swallowed = await tasks.__aexit__(exc_type, exc, traceback)
            else:  # the task group would wrap the block's own exception
                await tasks.__aexit__(None, None, None)
        return swallowed

    # Responses

    def stream(
        self,
        request: ResponseCreateMessage | CreateResponse | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        **fields: Unpack[ResponseCreateFields],
    ) -> EventStream:
        """Create a response and stream its events (WebSocket, ``response.create``).

        Accepts the arguments of :meth:`ResponsesClient.stream`, except for the fields ``stream``, ``stream_options`` and ``background``.
        ``stream_id`` names the lane, and ``generate=False`` only warms up. Nothing is sent until the stream is entered.

        Raises ``UsageError`` for an invalid field, and ``LocalProtocolError`` outside the session's block. Entering the stream raises
        ``LocalProtocolError`` if the lane is busy, and ``APIError`` if the server refuses.
        """
        self._require_open()
        content = _content(request, cast("dict[str, Any]", fields))
        values = content if isinstance(content, dict) else {n: getattr(content, n) for n in ("stream_id", _PREVIOUS)}
        stream_id, previous = values.get("stream_id") or None, values.get(_PREVIOUS) or None
        if stream_id is not None and not STREAM_ID.fullmatch(stream_id):
            raise UsageError(f"stream_id must be 1 to 256 of the characters A-Z a-z 0-9 _ . -, got {stream_id!r:.80}")
        call = self._core.prepare_message(
            "responses.stream", self.url, content=content, options=CallOptions(timeouts, retry)
        )
        transport = _TurnTransport(self._usable_connection, self._check_loss, stream_id, previous)
        return EventStream(attrs.evolve(self._core, transport=transport), call)

    def run(
        self, request: CreateResponse | JSONObject | ToolLoop | None = None, /, **options: Unpack[SessionRunOptions]
    ) -> Run:
        """Run tools as :meth:`ResponsesClient.run` does, with every response over this session.

        The arguments are those of :meth:`ResponsesClient.run`, except for the fields that :meth:`stream` does not take. With
        ``continuation="response"`` and ``store=False``, each request continues the previous response, which the server keeps for as
        long as the connection lasts.
        """
        self._require_open()
        return self._run(request, over=self, **options)

    def successor(self, response: Response | str, /, *, timeouts: Timeouts | None = None) -> EventStream:
        """Stream the events of the response that the server creates after a steered one (WebSocket, Steering).

        ``response`` is the steered response or its id. Entering the stream waits for the successor to begin; until then, the lane is
        reserved.

        Entering raises ``LocalProtocolError`` if the server will not create one: nothing was steered, or the response waits for outputs
        (see :attr:`pending`). It raises ``APIError`` if the server could not create one; ``.body["steer"]["input"]`` is the lost input.
        """
        self._require_open()
        transport = _SuccessorTransport(self._connection_of, _id_of(response))
        # Without retries: waiting again would not change the result.
        options = CallOptions(timeouts, RetryPolicy(attempts=1))
        call = self._core.prepare_message("responses.successor", self.url, options=options)
        return EventStream(attrs.evolve(self._core, transport=transport), call)

    async def steer(
        self,
        response: Response | str,
        input: str | Sequence[Item | JSONObject],  # noqa: A002 - the field's name
        /,
        *,
        timeouts: Timeouts | None = None,
    ) -> SteerAccepted:
        """Send more user input to a response that is running (WebSocket, Steering).

        ``response`` is the running response or its id. Returns when the server has accepted the input. The server ends the response at a
        suitable point, often as ``incomplete`` with the reason ``steered``. Call :meth:`successor` for the response that follows.

        Raises ``APIError`` if the server does not accept the input (``code`` is the reason, ``.body["steer"]["input"]`` is the input). Raises
        ``DeadlineExceeded`` after ``Timeouts.first_byte`` without an answer, and ``TransportError`` if the connection ends: whether
        the input was accepted is then unknown.
        """
        self._require_open()
        bounds = self._core.bounds(timeouts)
        response_id = _id_of(response)
        connection = self._connection_of(response_id)
        data = self._core.converter.dumps(
            ResponseSteer(previous_response_id=response_id, input=cast("str | Sequence[Item]", input))
        )
        if connection.protocol.lost is not None:
            raise copy_error(connection.protocol.lost)
        steering = connection.protocol.steer(response_id)
        started = time.monotonic()
        await connection.send(data, bounds.write)
        with anyio.move_on_after(bounds.first_byte):
            while steering.state is SteerState.SENT and connection.protocol.lost is None:
                await connection.wait_for_steers()
        if steering.accepted is not None:
            return steering.accepted
        if steering.state is SteerState.FAILED:
            error = connection.protocol.steer_error(steering)
            redact_error(error, self._core.secret)
            raise error
        if connection.protocol.lost is not None:
            raise copy_error(connection.protocol.lost)
        raise unsafe(DeadlineExceeded("first_byte", time.monotonic() - started, limit=bounds.first_byte))

    # Inside

    async def _connect(self) -> SharedConnection:
        """Connect for the first time: a call with retries and hooks."""
        request = upgrade(self._handshake.request)
        async with Attempts(self._core, attrs.evolve(self._handshake, request=request)) as attempts:
            while True:
                exchange = await attempts.begin()
                try:
                    return await self._dial(exchange, request)
                except ResponsesProtoError as error:
                    await attempts.retry_or_raise(error)

    async def _usable_connection(self, timeouts: Timeouts) -> SharedConnection:
        """Return the connection to begin a turn on. Connect again if the current one cannot be used."""
        async with self._connecting:
            self._require_open()
            if self._open_connections and self._open_connections[-1].usable:
                return self._open_connections[-1]
            request = upgrade(attrs.evolve(self._handshake.request, timeouts=timeouts))
            request = await self._core.key.authorize(request)
            if self._core.hooks.on_request is not None:
                call_hook(self._core.hooks.on_request, request)
            connection = await self._dial(Exchange(self._core.transport, request), request)
            if self._tasks is None:
                await connection.aclose(_LEFT)
                self._require_open()
            for old in [old for old in self._open_connections if not old.protocol.busy]:
                self._open_connections.remove(old)
                await old.aclose("another one replaced it")
            self._use(connection)
            return connection

    def _connection_of(self, response_id: str) -> SharedConnection:
        """Return the connection of a response; the current one if the response is unknown."""
        known = (connection for connection in self._open_connections if connection.protocol.knows(response_id))
        return next(known, self._open_connections[-1])

    async def _check_loss(self, reply: TurnReply, previous: str) -> None:
        """Raise ``APIError`` with a note if the server may not find ``previous`` because the session has reconnected."""
        if self.connections == 1 or _error_code(reply) != PREVIOUS_NOT_FOUND:
            return
        error = error_from_reply(reply, await reply.receive(), self._core.secret)
        error.add_note(
            f"The session has connected {self.connections} times. If {previous} was created with store=False on an earlier "
            "connection, it was lost with it: send the complete input again, without previous_response_id."
        )
        raise error

    async def _dial(self, exchange: Exchange, request: WireRequest) -> SharedConnection:
        try:
            await exchange.open()
            reply = await accept_upgrade(exchange, request.headers["sec-websocket-key"], self._core.secret)
            connection = WebSocketConnection(reply, limits=self._core.limits, keepalive=self._keepalive)
        except BaseException:
            await exchange.aclose()
            raise
        return SharedConnection(connection, exchange.headers, self._core.limits, self._core.converter)

    def _use(self, connection: SharedConnection) -> None:
        self.connections += 1
        self._open_connections.append(connection)
        self._meta = ResponseMeta.of(HTTPStatus.SWITCHING_PROTOCOLS.value, connection.headers)
        cast("TaskGroup", self._tasks).start_soon(connection.read)

    def _require_open(self) -> None:
        if self._state is _State.NEW:
            raise LocalProtocolError(
                "the session is not connected yet: use it inside `async with client.connect() as session`"
            )
        if self._state is _State.CLOSED:
            raise LocalProtocolError("the session is closed: use it inside its `async with` block")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {public_url(self.url)} {self._state.value}>"


class _TurnTransport:
    """Sends one ``response.create`` and waits for the first message, which corresponds to the head of an HTTP response."""

    def __init__(
        self,
        connect: Callable[[Timeouts], Awaitable[SharedConnection]],
        check_loss: Callable[[TurnReply, str], Awaitable[None]],
        stream_id: str | None,
        previous: str | None,
    ) -> None:
        self._connect = connect
        self._check_loss = check_loss
        self._stream_id = stream_id
        self._previous = previous

    async def send(self, request: WireRequest) -> WireReply:
        reply = await self._attempt(request)
        if reply is None:
            reply = await self._attempt(request, last=True)
        if self._previous is not None:
            await self._check_loss(reply, self._previous)
        return reply

    @overload
    async def _attempt(self, request: WireRequest) -> TurnReply | None: ...
    @overload
    async def _attempt(self, request: WireRequest, *, last: Literal[True]) -> TurnReply: ...
    async def _attempt(self, request: WireRequest, *, last: bool = False) -> TurnReply | None:
        """Send the request once. Return ``None`` if the connection has expired and a new one should be tried."""
        connection = await self._connect(request.timeouts)
        reply = TurnReply(connection, connection.protocol.begin(self._stream_id, self._previous))
        try:
            await connection.send(request.body, request.timeouts.write)
            await reply.begin()
        except BaseException as error:
            await shut(reply)
            if isinstance(error, TransportError) and error.retry_safety == "safe" and not last:
                return None
            raise
        if _error_code(reply) == CONNECTION_LIMIT and not last:
            await shut(reply)
            return None
        return reply

    async def aclose(self) -> None:
        """Do nothing: the connection belongs to the session."""


class _SuccessorTransport:
    """Waits for the successor of a steered response to begin."""

    def __init__(self, connection_of: Callable[[str], SharedConnection], response_id: str) -> None:
        self._connection_of = connection_of
        self._response_id = response_id

    async def send(self, request: WireRequest) -> WireReply:  # noqa: ARG002 - there is nothing to send
        connection = self._connection_of(self._response_id)
        while (turn := connection.protocol.successor(self._response_id)) is None:
            await connection.wait_for_steers()
        return TurnReply(connection, turn)

    async def aclose(self) -> None:
        """Do nothing: the connection belongs to the session."""


def _error_code(reply: TurnReply) -> str | None:
    error = (reply.turn.rejection or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def _id_of(response: Response | str) -> str:
    response_id = response.id if isinstance(response, Response) else response
    if not response_id:
        raise LocalProtocolError("the response has no id yet: read the first event of its stream")
    return response_id


def _content(
    request: ResponseCreateMessage | CreateResponse | JSONObject | None, fields: dict[str, Any]
) -> ResponseCreateMessage | dict[str, Any]:
    background: object = request.background if isinstance(request, CreateResponse) else None
    if isinstance(request, Mapping):
        background = request.get("background")
    for name, reason in HTTP_ONLY_FIELDS.items():
        if name in fields or (name == "background" and background):
            raise UsageError(f"{name} cannot be used over a WebSocket: {reason}")
    create: Any = ResponseCreateMessage(**common_fields(request)) if isinstance(request, CreateResponse) else request
    content = merge_fields(ResponseCreateMessage, create, fields)
    if isinstance(content, ResponseCreateMessage):
        return content
    kept = {name: value for name, value in content.items() if name not in HTTP_ONLY_FIELDS}
    return {**kept, "type": ResponseCreateMessage.type}
