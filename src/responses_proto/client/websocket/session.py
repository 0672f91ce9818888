"""Responses over a WebSocket: one connection, many of them. From :meth:`ResponsesClient.connect`.

::

    async with client.connect() as session:
        async with session.stream(model="...", input="...", store=False) as stream:
            async for event in stream:
                ...
            response = await stream.result()
        async with session.stream(model="...", input="...", previous_response_id=response.id, store=False) as stream:
            ...

A stream is the one that HTTP gives, with the same events, snapshot, outcome, errors, deadlines and hooks; what differs is how its
request goes out, and is all in the transports here. Retries, too, are the same: a refusal that may pass is asked for again.

What is peculiar to a WebSocket:

* **Lanes.** Streams that are open at the same time need a ``stream_id`` each. One that is opened on a busy lane raises
  ``LocalProtocolError``. A stream that is not read holds up no other: its messages wait for it, up to
  ``Limits.max_buffered_bytes``, and only it raises ``LimitExceeded`` after that. As long as nobody waits for anything, little is read ahead,
  so that a slow consumer slows the server down, as over HTTP.
* **Leaving** a stream before its end closes the connection, because there is no message that stops a response. Streams on other
  lanes then raise ``StreamInterrupted`` (or ``TransportError``, if they had no output yet): what may be left early, or
  cancelled, is better off with a session of its own.
* **Reconnecting.** Whatever ended the connection, leaving included, the next stream opens another one. What the server kept
  on the old one alone (a response with ``store=False``) is gone then: following it is refused with ``previous_response_not_found``.
* **Silence.** The server's pings and pongs, and messages on other lanes, are what comments are over HTTP: signs of life, which count
  for ``Timeouts.between_bytes`` and not for ``between_events``. After ``keepalive`` seconds without any, the server is asked for one.
* **Warming up.** ``stream(..., generate=False)`` gives a response without output, whose id the next one may follow.
* **Steering.** :meth:`WebSocketSession.steer` gives more input to a response that is running, and
  :meth:`WebSocketSession.successor` is the stream of the response that then follows it by itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Self, Unpack, cast, overload
from urllib.parse import urlsplit, urlunsplit

import anyio
import attrs

from ...codec import dumps
from ...exceptions import DeadlineExceeded, LocalProtocolError, ResponsesProtoError, TransportError
from ...models.request import CreateResponse, ResponseCreateMessage, ResponseSteer
from ...models.response import Response
from ...protocol.headers import rate_limits, request_id
from ...protocol.websocket import CONNECTION_LIMIT, PREVIOUS_NOT_FOUND, STREAM_ID, again
from .._address import public_url
from .._calls import Attempts, ClientCore, PreparedCall, merge_fields
from .._replies import error_from_reply, redact_error
from ..retry import RetryPolicy
from ..stream import EventStream, StreamMeta
from ..transport._exchange import Exchange, shut
from ._connection import WebSocketConnection, accepted, upgrade
from ._shared_connection import SharedConnection, TurnReply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from anyio.abc import TaskGroup

    from ...exceptions import APIError
    from ...models.events import SteerAccepted, SteerPending
    from ...models.items import Item
    from ...models.request import ResponseCreateFields
    from ...typing import JSONObject
    from ..timeouts import Timeouts
    from ..transport.base import WireReply, WireRequest

__all__ = ["WebSocketSession"]

_PREVIOUS: Final = "previous_response_id"
_LEFT: Final = "the session was left"
_NOT_HERE: Final = {
    "stream": "over a WebSocket, every response is streamed",
    "stream_options": "they are for server-sent events",
    "background": "a response cannot go on without its WebSocket; client.stream(background=True) makes one over HTTP",
}
"""The fields of ``CreateResponse`` that a WebSocket has no use for."""


class WebSocketSession:
    """One WebSocket at a time, for any number of tasks. To be used in ``async with``, which belongs to one task.

    Entering connects, and raises ``APIError`` if the server refuses (with its status and body), and errors of the transport. What is still
    open at the end of the block is closed.
    """

    def __init__(self, caller: ClientCore, plan: PreparedCall, *, keepalive: float | None) -> None:
        # `plan` is the handshake's, as a plain request; `keepalive` is in seconds.
        if keepalive is not None and not 0 < keepalive < math.inf:
            raise LocalProtocolError(f"keepalive has to be a number of seconds above 0, or None, not {keepalive!r}")
        self._caller = caller
        self._plan = plan
        self._keepalive = keepalive
        self._state = "new"  # then "open", then "closed"
        self._tasks: TaskGroup | None = None
        self._connecting = anyio.Lock()
        self._links: list[SharedConnection] = []  # the last one is in use; others are until their last stream ends
        self._meta: StreamMeta | None = None
        self.connections: int = 0
        """How often it has connected."""

    @property
    def url(self) -> str:
        """Where to, as a ``ws://`` or ``wss://`` URL."""
        parts = urlsplit(self._plan.request.url)
        return urlunsplit(parts._replace(scheme={"http": "ws", "https": "wss"}[parts.scheme]))

    @property
    def meta(self) -> StreamMeta:
        """Status, headers, request id and quotas of the handshake. Raises ``LocalProtocolError`` before the block is entered."""
        if self._meta is None:
            raise LocalProtocolError("no answer yet: the head of it is there once the session's block is entered")
        return self._meta

    @property
    def pending(self) -> list[SteerPending]:
        """The steers whose input waits for input from here, as the server announced them.

        ``required_input`` lists the outputs to send, in one ``stream(previous_response_id=...)`` on the same lane for all steers of
        a response.
        """
        return [pending for link in self._links for pending in link.protocol.pending]

    # The block

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise LocalProtocolError("a session can be entered once: ask client.connect() for another one")
        self._state = "open"
        try:
            link = await self._connect()
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
        except BaseException:
            self._state = "closed"
            raise
        self._use(link)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._state = "closed"
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        swallowed: bool | None = None
        try:
            for link in self._links:
                await (link.farewell() if exc is None else link.aclose(_LEFT))
        finally:
            tasks.cancel_scope.cancel()
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                swallowed = await tasks.__aexit__(exc_type, exc, traceback)
            else:  # the block's own exception is none of the task group's, which would wrap it
                await tasks.__aexit__(None, None, None)
        return swallowed

    # What it does

    def stream(
        self,
        request: ResponseCreateMessage | CreateResponse | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        **fields: Unpack[ResponseCreateFields],
    ) -> EventStream:
        """Ask for a response on this connection (WebSocket, ``response.create``).

        Takes what :meth:`ResponsesClient.stream` takes, but for the fields that only HTTP has; ``stream_id`` names the lane, and
        ``generate=False`` warms up. Nothing is sent until the stream is entered. Entering raises ``LocalProtocolError`` if
        the lane is busy, and ``APIError`` if the server refuses.
        """
        self._require_open()
        content = _content(request, cast("dict[str, Any]", fields))
        values = content if isinstance(content, dict) else {n: getattr(content, n) for n in ("stream_id", _PREVIOUS)}
        stream_id, previous = values.get("stream_id") or None, values.get(_PREVIOUS) or None
        if stream_id is not None and not STREAM_ID.fullmatch(stream_id):
            raise LocalProtocolError(f"stream_id has to be 1 to 256 of A-Z a-z 0-9 _ . -, not {stream_id!r:.80}")
        plan = self._caller.prepare_message("responses.stream", self.url, content=content, timeouts=timeouts)
        return EventStream(attrs.evolve(self._caller, transport=_Request(self, stream_id, previous)), plan)

    def successor(self, response: Response | str, /, *, timeouts: Timeouts | None = None) -> EventStream:
        """Read the response that follows a steered one by itself, given that one or its id (WebSocket, Steering).

        Entering waits for it to begin; until it is read, its lane is taken. It raises ``LocalProtocolError`` if none will come by
        itself, because nothing was steered, or because the response waits for outputs (see :attr:`pending`), and ``APIError``
        if the server could not make one: then ``.body["steer"]["input"]`` is what was steered in vain.
        """
        self._require_open()
        # Waiting once more would not bring it about.
        waiting = attrs.evolve(
            self._caller, transport=_Following(self, _id_of(response)), retry=RetryPolicy(attempts=1)
        )
        return EventStream(waiting, self._caller.prepare_message("responses.successor", self.url, timeouts=timeouts))

    async def steer(
        self,
        response: Response | str,
        input: str | Sequence[Item | JSONObject],  # noqa: A002 - the field's name
        /,
        *,
        timeouts: Timeouts | None = None,
    ) -> SteerAccepted:
        """Give a response that is running, or the one whose id this is, more input from the user (WebSocket, Steering).

        Returns when the server has accepted it, from when on the server owns it. The response then ends at a good place, often as
        ``incomplete`` for the reason ``steered``, and :meth:`successor` is what follows. Raises ``APIError`` if the server does not
        accept it (``code`` says why, ``.body["steer"]["input"]`` is the input), ``DeadlineExceeded`` after ``Timeouts.first_byte`` without an
        answer, and errors of the connection: whether it was accepted is then not known.
        """
        self._require_open()
        bounds = timeouts or self._caller.timeouts
        name = _id_of(response)
        link = self.link_of(name)
        data = dumps(ResponseSteer(previous_response_id=name, input=cast("str | Sequence[Item]", input)))
        if link.protocol.lost is not None:
            raise again(link.protocol.lost)
        steering = link.protocol.steer(name)
        started = time.monotonic()
        await link.send(data, bounds.write)
        with anyio.move_on_after(bounds.first_byte):
            while steering.state == "sent" and link.protocol.lost is None:
                await link.wait_for_steers()
        if steering.accepted is not None:
            return steering.accepted
        if steering.state == "failed":
            error = link.protocol.refused(steering)
            redact_error(error, self._caller.secret)
            raise error
        if link.protocol.lost is not None:
            raise again(link.protocol.lost)
        late = DeadlineExceeded("first_byte", time.monotonic() - started, limit=bounds.first_byte)
        late.retry_safety = "unsafe"
        raise late

    # Inside

    async def _connect(self) -> SharedConnection:
        """Connect for the first time, as a call of its own."""
        plan = attrs.evolve(self._plan, request=upgrade(self._plan.request))
        async with Attempts(self._caller, plan) as attempts:
            while True:
                try:
                    return await self._dial(attempts.begin(b""), plan.request)
                except ResponsesProtoError as error:
                    await attempts.retry_or_raise(error)

    async def link(self, timeouts: Timeouts) -> SharedConnection:
        """Give the connection to begin a turn on; another one, if the last one is of no use any more."""
        async with self._connecting:
            self._require_open()
            if self._links and self._links[-1].usable:
                return self._links[-1]
            request = upgrade(attrs.evolve(self._plan.request, timeouts=timeouts))
            if self._caller.hooks.on_request is not None:
                self._caller.hooks.on_request(request)
            link = await self._dial(Exchange(self._caller.transport, request), request)
            if self._tasks is None:
                await link.aclose(_LEFT)
                self._require_open()
            for old in [old for old in self._links if not old.protocol.busy]:
                self._links.remove(old)
                await old.aclose("there is another one")
            self._use(link)
            return link

    def link_of(self, response_id: str) -> SharedConnection:
        """Give the connection that a response is, or was, on."""
        return next((link for link in self._links if link.protocol.knows(response_id)), self._links[-1])

    def lost_with(self, response_id: str) -> str | None:
        """Say why a response that the server does not find may be gone; ``None`` if no connection is."""
        if self.connections == 1:
            return None
        return (
            f"The session has connected {self.connections} times. If {response_id} was made with store=False on a connection before "
            "this one, it went with that: send the whole input again, without previous_response_id."
        )

    async def refusal(self, reply: TurnReply) -> APIError:
        """Make the error of a turn that was refused."""
        return error_from_reply(reply, await reply.receive(), self._caller.secret)

    async def _dial(self, exchange: Exchange, request: WireRequest) -> SharedConnection:
        try:
            await exchange.open()
            reply = await accepted(exchange, request.headers["sec-websocket-key"], self._caller.secret)
            channel = WebSocketConnection(reply, limits=self._caller.limits, keepalive=self._keepalive)
        except BaseException:
            await exchange.aclose()
            raise
        return SharedConnection(channel, exchange.headers, self._caller.limits)

    def _use(self, link: SharedConnection) -> None:
        self.connections += 1
        self._links.append(link)
        self._meta = StreamMeta(
            status=101,
            headers=link.headers,
            request_id=request_id(link.headers),
            rate_limits=rate_limits(link.headers, now=time.time()),
        )
        cast("TaskGroup", self._tasks).start_soon(link.read)

    def _require_open(self) -> None:
        if self._state == "new":
            raise LocalProtocolError(
                "not entered yet: use `async with client.connect() as session`, and the session inside"
            )
        if self._state == "closed":
            raise LocalProtocolError("this session is closed: use it inside its `async with` block")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {public_url(self.url)} {self._state}>"


class _Request:
    """Sends one ``response.create``, and waits for its first message: what over HTTP is the head of the answer."""

    def __init__(self, session: WebSocketSession, stream_id: str | None, previous: str | None) -> None:
        self._session = session
        self._stream_id = stream_id
        self._previous = previous

    async def send(self, request: WireRequest) -> WireReply:
        reply = await self._ask(request)
        if reply is None:  # nothing was done with it: the next connection gets it
            reply = await self._ask(request, last=True)
        why = self._session.lost_with(self._previous) if self._previous is not None else None
        if why is not None and _code(reply) == PREVIOUS_NOT_FOUND:
            error = await self._session.refusal(reply)
            error.add_note(why)
            raise error
        return reply

    @overload
    async def _ask(self, request: WireRequest) -> TurnReply | None: ...
    @overload
    async def _ask(self, request: WireRequest, *, last: Literal[True]) -> TurnReply: ...
    async def _ask(self, request: WireRequest, *, last: bool = False) -> TurnReply | None:
        """Ask once; ``None`` if the connection is not to be used any more, and it was not the last chance."""
        link = await self._session.link(request.timeouts)
        reply = TurnReply(link, link.protocol.begin(self._stream_id, self._previous))
        try:
            await link.send(request.body, request.timeouts.write)
            await reply.begin()
        except BaseException as error:
            await shut(reply)
            if isinstance(error, TransportError) and error.retry_safety == "safe" and not last:
                return None
            raise
        if _code(reply) == CONNECTION_LIMIT and not last:
            await shut(reply)
            return None
        return reply

    async def aclose(self) -> None:
        """Do nothing: the connection is the session's."""


class _Following:
    """Waits for the successor of a response to begin."""

    def __init__(self, session: WebSocketSession, response_id: str) -> None:
        self._session = session
        self._response_id = response_id

    async def send(self, request: WireRequest) -> WireReply:  # noqa: ARG002 - there is nothing to send
        link = self._session.link_of(self._response_id)
        while (turn := link.protocol.successor(self._response_id)) is None:
            await link.wait_for_steers()
        return TurnReply(link, turn)

    async def aclose(self) -> None:
        """Do nothing: the connection is the session's."""


def _code(reply: TurnReply) -> str | None:
    error = (reply.turn.refusal or {}).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def _id_of(response: Response | str) -> str:
    name = response.id if isinstance(response, Response) else response
    if not name:
        raise LocalProtocolError("the response has no id yet: read the first event of its stream")
    return name


def _content(
    request: ResponseCreateMessage | CreateResponse | JSONObject | None, fields: dict[str, Any]
) -> ResponseCreateMessage | dict[str, Any]:
    background: object = request.background if isinstance(request, CreateResponse) else None
    if isinstance(request, Mapping):
        background = request.get("background")
    for name, why in _NOT_HERE.items():
        if name in fields or (name == "background" and background):
            raise LocalProtocolError(f"{name} is not for a WebSocket: {why}")
    asked: Any = request
    if isinstance(request, CreateResponse):
        shared = attrs.fields_dict(ResponseCreateMessage).keys() & attrs.fields_dict(CreateResponse).keys()
        asked = ResponseCreateMessage(**{name: getattr(request, name) for name in shared})
    content = merge_fields(ResponseCreateMessage, asked, fields)
    if isinstance(content, ResponseCreateMessage):
        return content
    kept = {name: value for name, value in content.items() if name not in _NOT_HERE}
    return {**kept, "type": ResponseCreateMessage.type}
