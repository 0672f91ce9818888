"""A WebSocket, message by message, on the connection that an upgraded HTTP request leaves behind.

httpx-ws has the framing (by wsproto) and the writing. What it would do in tasks of its own is done here instead, by whoever reads:
those tasks put a message together however large it gets, end on a pong that nobody waits for, and belong to the task that opened
the connection, while the streams of a session are anybody's.

The one place where errors of httpx-ws and wsproto become errors of this package.
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
    DeadlineExceeded,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    StreamTruncated,
    TransportError,
)
from ...protocol.websocket import CLOSE_CODES
from .._replies import MAX_ERROR_BODY, error_from_reply, unexpected_reply
from ..transport.http import HTTPReply, broken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...exceptions import ResponsesProtoError
    from ...limits import Limits
    from ..transport._exchange import Exchange
    from ..transport.base import WireRequest
    from ..transport.http import NetworkStream

try:
    from httpx_ws import AsyncWebSocketSession, WebSocketDisconnect
    from wsproto.connection import ConnectionState
    from wsproto.events import CloseConnection, Event, Message, Ping, TextMessage
    from wsproto.utilities import LocalProtocolError as WSLocalProtocolError
    from wsproto.utilities import generate_accept_token
except ImportError as missing:
    raise ImportError("WebSocket needs httpx-ws: pip install 'responses-proto[ws]'") from missing

__all__ = ["WebSocketConnection", "accepted", "upgrade"]

_SWITCHED: Final = 101
_READ: Final = 64 * 1024  # bytes
_PIECE: Final = 64 * 1024  # bytes of a message in one frame: what `Timeouts.write` bounds
_TOO_LARGE: Final = 1009  # the close code for it (RFC 6455, 7.4.1)
_FAREWELL: Final = 0.5  # seconds for writing that the connection is closed
_CONTINUES: Final = 0x80  # the upper bits of a byte inside a character …
_CONTINUATION: Final = 0xC0  # … and where they are


# ---- the handshake (RFC 6455, 4)


def upgrade(request: WireRequest) -> WireRequest:
    """Give the request that asks for a WebSocket, with a key of its own."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {
        **request.headers,
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": key,
    }
    return attrs.evolve(request, headers=headers, stream=True)


async def accepted(exchange: Exchange, key: str, secret: bytes) -> HTTPReply:
    """Look at the answer, and give it if it opens a WebSocket.

    Raises ``APIError`` if the server refuses, ``RemoteProtocolError`` if it means another WebSocket, and ``LocalProtocolError`` if the
    HTTP client cannot do it. ``key`` is what the request asked with, ``secret`` what is taken out of errors.
    """
    if exchange.status >= HTTPStatus.BAD_REQUEST:
        raise error_from_reply(exchange, await exchange.read_start(MAX_ERROR_BODY), secret)
    if exchange.status != _SWITCHED:
        start = await exchange.read_start(MAX_ERROR_BODY)
        raise unexpected_reply(exchange, start, secret, expected="a WebSocket", retry_safety="safe")
    reply = exchange.reply
    if not isinstance(reply, HTTPReply) or reply.network_stream is None:
        raise LocalProtocolError("this HTTP client does not hand over connections for WebSocket: use httpx.AsyncClient")
    if exchange.headers.get("sec-websocket-accept", "") != generate_accept_token(key.encode()).decode():
        raise RemoteProtocolError("the server's handshake does not answer this one: is something caching in between?")
    return reply


# ---- messages


class WebSocketConnection:
    """One WebSocket. One task reads with :meth:`receive`; any may :meth:`send`.

    ``keepalive``: seconds of silence after which the server is asked whether it is there; as many later, it is gone.
    """

    def __init__(self, reply: HTTPReply, *, limits: Limits, keepalive: float | None = None) -> None:
        self._reply = reply
        self._stream = cast("NetworkStream", reply.network_stream)
        # Its pings are off, and its context is never entered, so that it starts no task.
        self._session = AsyncWebSocketSession(self._stream, keepalive_ping_interval_seconds=None)
        self._limits = limits
        # What is emulated in memory has no socket, and nothing that could be lost on the way.
        self._keepalive = keepalive if self._stream.get_extra_info("socket") is not None else None
        self._asked = False
        self._partial: list[bytes] = []
        self._size = 0
        self._end: ResponsesProtoError | None = None
        self._closed = False
        self._sending = anyio.Lock()
        self.sound: bool = True
        """Whether what was written are whole messages."""

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return not self._closed and self._end is None and self._session.connection.state is ConnectionState.OPEN

    @property
    def emulated(self) -> bool:
        """Whether there is no network behind it, and nobody who would answer a farewell."""
        return self._stream.get_extra_info("socket") is None

    async def receive(self) -> list[bytes]:
        """Wait for what comes; give the messages that are now whole, none if it was a mere sign of life.

        Raises ``StreamTruncated`` when the server closes the connection, ``TransportError`` if it breaks, and ``LimitExceeded``
        for a message that is too large.
        """
        if self._end is not None:
            raise self._end
        data = await self._read()
        if not data:
            raise _cut_off("the server closed the connection without a word", StreamTruncated)
        messages: list[bytes] = []
        self._session.connection.receive_data(data)
        try:
            for event in self._session.connection.events():
                if isinstance(event, Message):
                    self._collect(event, messages)
                elif isinstance(event, Ping):
                    await self._write(event.response())
                elif isinstance(event, CloseConnection):
                    self._end = await self._closing(event)
                    break
        except LimitExceeded as error:
            self._end = error
            await self.farewell(_TOO_LARGE)
        except TransportError as error:
            self._end = error
        if self._end is not None and not messages:  # else what came before the end goes first
            raise self._end
        return messages

    async def send(self, message: bytes, write: float | None) -> None:
        """Send a message: UTF-8, in pieces of 64 KiB, each within ``write`` seconds.

        Raises ``TransportError`` if the connection breaks, and ``DeadlineExceeded``. If it was cut off in the middle, :attr:`sound`
        is false from then on, and the connection is of no more use.
        """
        async with self._sending:
            if not self.open:
                closed = TransportError("the connection was closed before the message could be sent")
                closed.retry_safety = "safe"
                raise closed
            self.sound = False
            for piece, last in _pieces(message):
                with anyio.move_on_after(write) as scope:
                    await self._write(TextMessage(data=piece, message_finished=last))
                if scope.cancelled_caught:
                    late = DeadlineExceeded("write", write or 0.0, limit=write)
                    late.retry_safety = "unsafe"
                    raise late
            self.sound = True

    async def farewell(self, code: int = 1000) -> None:
        """Say that there is nothing more to say; :meth:`receive` then waits for the server to say so too."""
        with anyio.move_on_after(_FAREWELL), contextlib.suppress(TransportError):
            await self._write(CloseConnection(code=code))

    async def aclose(self) -> None:
        """Close the connection, now. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.farewell()
        finally:
            try:
                with contextlib.suppress(Exception):  # it may be closed or broken already, in whatever way
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
                raise broken(error) from error
            if data is not None:
                self._asked = False
                return data
            if self._asked:
                raise _cut_off(
                    f"the server gave no sign of life for {2 * (self._keepalive or 0):g} s, though it was asked"
                )
            self._asked = True
            await self._write(Ping(payload=b""))

    async def _write(self, event: Event) -> None:
        try:
            await self._session.send(event)
        except WSLocalProtocolError:  # which quotes the message
            raise _cut_off("the connection is being closed") from None
        except Exception as error:
            raise broken(error) from error

    def _collect(self, event: Message, messages: list[bytes]) -> None:
        """Put a message together."""
        piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._size += len(piece)
        self._limits.check("max_event_bytes", self._size)
        if piece:
            self._partial.append(piece)
        if event.message_finished:
            messages.append(b"".join(self._partial))
            self._partial.clear()
            self._size = 0

    async def _closing(self, event: CloseConnection) -> ResponsesProtoError:
        """Answer the end of the connection, and make the error of it."""
        ours = self._session.connection.state is ConnectionState.OPEN  # wsproto met what it cannot read
        await self.farewell(event.code if ours else 1000)
        reason = f": {event.reason}" if event.reason else ""
        if ours:
            return _cut_off(f"the server broke the WebSocket protocol{reason}")
        said = CLOSE_CODES.get(event.code, "")
        error = _cut_off(
            f"the server closed the connection{said and f', saying that {said}'} (code {event.code}{reason})",
            StreamTruncated,
        )
        error.__cause__ = WebSocketDisconnect(event.code, event.reason)
        return error


def _cut_off(message: str, kind: type[TransportError] = TransportError) -> TransportError:
    error = kind(message)
    error.retry_safety = "unsafe"
    return error


def _pieces(message: bytes) -> Iterator[tuple[str, bool]]:
    """Cut a message between characters; say of each piece whether it is the last."""
    at = 0
    while True:
        end = min(at + _PIECE, len(message))
        while end < len(message) and message[end] & _CONTINUATION == _CONTINUES:
            end -= 1
        yield message[at:end].decode(), end == len(message)
        at = end
        if at == len(message):
            return
