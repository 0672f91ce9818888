"""Send and receive WebSocket messages on the connection of an HTTP upgrade.

httpx-ws does the framing (with wsproto) and the writing. It would also start tasks for reading and for pings, which are not used:
they assemble messages of any size, fail on an unexpected pong, and must end in the task that opened the connection, whereas
any task may use the streams of a session. Here, :meth:`WebSocketConnection.receive` does their work.

This is the only place that knows the exceptions of httpx-ws and wsproto.
"""

from __future__ import annotations

import base64
import contextlib
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import anyio
import attrs

from ...exceptions import (
    LimitExceeded,
    RemoteProtocolError,
    StreamTruncated,
    TransportError,
    UsageError,
)
from ...protocol.websocket import CLOSE_CODES
from .._replies import MAX_ERROR_BODY, error_from_reply, unexpected_reply
from ..transport._errors import deadline_exceeded, reading_error, unsafe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...exceptions import ResponsesProtoError
    from ...limits import Limits
    from ..transport._exchange import Exchange
    from ..transport.base import NetworkStream, UpgradedReply, WireRequest

try:
    from httpx_ws import AsyncWebSocketSession, WebSocketDisconnect
    from wsproto.connection import ConnectionState
    from wsproto.events import CloseConnection, Event, Message, Ping, TextMessage
    from wsproto.utilities import LocalProtocolError as WSLocalProtocolError
    from wsproto.utilities import generate_accept_token
except ImportError as missing:
    raise ImportError("WebSocket needs httpx-ws: pip install 'responses-proto[ws]'") from missing

_READ: Final = 64 * 1024  # bytes of one read
_FRAME: Final = 64 * 1024  # bytes of a message in one frame, which `Timeouts.write` bounds
_MESSAGE_TOO_LARGE: Final = 1009  # a close code (RFC 6455, section 7.4.1)
_CLOSE_TIMEOUT: Final = 0.5  # seconds for writing the close frame
_CONTINUATION_MASK: Final = 0xC0  # a UTF-8 byte inside a character …
_CONTINUATION: Final = 0x80  # … has these two upper bits


# ---- the handshake (RFC 6455, section 4)


def upgrade(request: WireRequest) -> WireRequest:
    """Return a copy of a GET request that asks for a WebSocket, with a new random key."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        **request.headers,
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": key,
    }
    return attrs.evolve(request, headers=headers, stream=True)


async def accept_upgrade(exchange: Exchange, key: str, secret: bytes) -> UpgradedReply:
    """Check the response to an upgrade request, and return the reply if it opens a WebSocket.

    ``key`` is the ``sec-websocket-key`` of the request; ``secret`` is the API key, which is removed from errors. Raises ``APIError`` if the server
    refuses, ``RemoteProtocolError`` if it confirms another key, and ``UsageError`` if the HTTP client does not support upgrades.
    """
    if exchange.status >= HTTPStatus.BAD_REQUEST:
        raise error_from_reply(exchange, await exchange.read_start(MAX_ERROR_BODY), secret)
    if exchange.status != HTTPStatus.SWITCHING_PROTOCOLS:
        start = await exchange.read_start(MAX_ERROR_BODY)
        raise unexpected_reply(exchange, start, secret, expected="a WebSocket", retry_safety="safe")
    reply = cast("UpgradedReply", exchange.reply)
    if getattr(reply, "network_stream", None) is None:
        raise UsageError(
            "this transport does not support upgrades to WebSocket: use httpx.AsyncClient, or return replies with a network_stream"
        )
    if exchange.headers.get("sec-websocket-accept", "") != generate_accept_token(key.encode()).decode():
        raise RemoteProtocolError("the server confirmed a different handshake: is there a cache in between?")
    return reply


# ---- messages


class WebSocketConnection:
    """One WebSocket. One task calls :meth:`receive` until it raises; any task may call :meth:`send`. Call :meth:`aclose` at the end.

    ``reply`` comes from :func:`accept_upgrade`. After ``keepalive`` seconds of silence a ping is sent; after as many more, the connection
    counts as broken. ``None`` never pings.
    """

    def __init__(self, reply: UpgradedReply, *, limits: Limits, keepalive: float | None = None) -> None:
        self._reply = reply
        self._stream = cast("NetworkStream", reply.network_stream)
        # Without pings, and without entering its context, it starts no tasks.
        self._session = AsyncWebSocketSession(self._stream, keepalive_ping_interval_seconds=None)
        self._limits = limits
        self.emulated: bool = self._stream.get_extra_info("socket") is None
        """Whether the connection is emulated in memory. Then no data is lost, and a close frame is not answered."""
        self._keepalive = None if self.emulated else keepalive
        self._pinged = False  # since the last sign of life
        self._partial = bytearray()  # the message that is being received
        self._end: ResponsesProtoError | None = None  # why nothing more will be received
        self._closed = False
        self._sending = anyio.Lock()
        self.intact: bool = True
        """Whether every message was written completely. If not, the connection is unusable."""

    @property
    def open(self) -> bool:
        """Whether a message can be sent."""
        return not self._closed and self._end is None and self._session.connection.state is ConnectionState.OPEN

    async def receive(self) -> list[bytes]:
        """Wait for data and return the messages that it completes: none for a ping, a pong or a part of a message.

        Raises ``StreamTruncated`` when the server closes the connection, ``TransportError`` if it breaks, and ``LimitExceeded``
        if a message is larger than ``max_event_bytes``. After an exception, call :meth:`aclose`.
        """
        if self._end is not None:
            raise self._end
        data = await self._read()
        if not data:
            raise unsafe(StreamTruncated("the server closed the connection without a close frame"))
        messages: list[bytes] = []
        self._session.connection.receive_data(data)
        try:
            for event in self._session.connection.events():
                if isinstance(event, Message):
                    self._collect(event, messages)
                elif isinstance(event, Ping):
                    await self._write(event.response())
                elif isinstance(event, CloseConnection):
                    self._end = await self._answer_close(event)
                    break
        except LimitExceeded as error:
            self._end = error
            await self.send_close(_MESSAGE_TOO_LARGE)
        except TransportError as error:
            self._end = error
        if self._end is not None and not messages:  # otherwise deliver these first
            raise self._end
        return messages

    async def send(self, message: bytes, write: float | None) -> None:
        """Send a message, which must be UTF-8, in frames of 64 KiB, each within ``write`` seconds.

        Raises ``TransportError`` if the connection is closed (``retry_safety`` is then ``safe``) or breaks, and ``DeadlineExceeded``
        (``write``). If this raises or is cancelled in the middle of the message, :attr:`intact` becomes false.
        """
        async with self._sending:
            if not self.open:
                closed = TransportError("the connection was closed before the message could be sent")
                closed.retry_safety = "safe"
                raise closed
            self.intact = False
            for text, last in _frames(message):
                with anyio.move_on_after(write) as scope:
                    await self._write(TextMessage(data=text, message_finished=last))
                if scope.cancelled_caught:
                    raise deadline_exceeded("write", write)
            self.intact = True

    async def send_close(self, code: int = 1000) -> None:
        """Send a close frame. :meth:`receive` then waits for the server's."""
        with anyio.move_on_after(_CLOSE_TIMEOUT), contextlib.suppress(TransportError):
            await self._write(CloseConnection(code=code))

    async def aclose(self) -> None:
        """Close the connection without waiting for the server. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.send_close()
        finally:
            try:
                with contextlib.suppress(Exception):  # it may be closed or broken already
                    await self._stream.aclose()
            finally:
                await self._reply.aclose()

    # Inside

    async def _read(self) -> bytes:
        while True:
            data: bytes | None = None
            try:
                with anyio.move_on_after(self._keepalive):
                    data = await self._stream.read(_READ)
            except Exception as error:
                raise reading_error(error) from error
            if data is not None:
                self._pinged = False
                return data
            if self._pinged:
                silence = f"{2 * (self._keepalive or 0):g} s"
                raise unsafe(TransportError(f"the server gave no sign of life for {silence} and did not answer a ping"))
            self._pinged = True
            await self._write(Ping(payload=b""))

    async def _write(self, event: Event) -> None:
        try:
            await self._session.send(event)
        except WSLocalProtocolError:  # not chained: it quotes the message
            raise unsafe(TransportError("the connection is being closed")) from None
        except Exception as error:
            raise reading_error(error) from error

    def _collect(self, event: Message, messages: list[bytes]) -> None:
        """Add a part to the message that is being received. When it is complete, move it to ``messages``."""
        piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._limits.check("max_event_bytes", len(self._partial) + len(piece))
        self._partial += piece
        if event.message_finished:
            messages.append(bytes(self._partial))
            self._partial.clear()

    async def _answer_close(self, event: CloseConnection) -> ResponsesProtoError:
        """Answer a close frame and return the error for it."""
        # wsproto reports data that it cannot parse as if it were a close frame.
        invalid = self._session.connection.state is ConnectionState.OPEN
        await self.send_close(event.code if invalid else 1000)
        reason = f": {event.reason}" if event.reason else ""
        if invalid:
            return unsafe(TransportError(f"the server broke the WebSocket protocol{reason}"))
        meaning = f": {CLOSE_CODES[event.code]}" if event.code in CLOSE_CODES else ""
        error = StreamTruncated(f"the server closed the connection{meaning} (code {event.code}{reason})")
        error.__cause__ = WebSocketDisconnect(event.code, event.reason)
        return unsafe(error)


def _frames(message: bytes) -> Iterator[tuple[str, bool]]:
    """Cut a message between characters. Yield each part, and whether it is the last."""
    at = 0
    while True:
        end = min(at + _FRAME, len(message))
        while end < len(message) and message[end] & _CONTINUATION_MASK == _CONTINUATION:
            end -= 1
        yield message[at:end].decode(), end == len(message)
        at = end
        if at == len(message):
            return
