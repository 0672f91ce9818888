"""The server end of a WebSocket, by wsproto: each message of the client is a request, answered by the same script.

The server-sent events of an answer are sent as messages, one event each. Other properties of the bytes are kept where WebSocket has an
equivalent: a frame that is sent in several pieces becomes a message of as many fragments, frames that are sent in one piece are sent
together, and a comment becomes a ping. If the body of an answer ends before its response does, the connection is closed, because
WebSocket has no other way to end the answer.
"""

from __future__ import annotations

import contextlib
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio

from ...exceptions import RemoteProtocolError
from ...protocol.sse import SSEDecoder
from .exchange import Request, ServerExchange, decompressor, ends_response, message_method, message_object

try:
    from wsproto import events
    from wsproto.connection import Connection as Protocol
    from wsproto.connection import ConnectionState, ConnectionType
    from wsproto.utilities import generate_accept_token
except ImportError as missing:
    raise ImportError("WebSocket needs wsproto: pip install 'responses-proto[ws]'") from missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...typing import JSONObject
    from ._sockets import Connection


def handshake_headers(request: Request) -> dict[str, str]:
    """Return the headers of the answer that accepts a WebSocket (RFC 6455, 4.2.2)."""
    token = generate_accept_token(request.headers.get("sec-websocket-key", "").encode())
    return {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": token.decode()}


class WebSocket:
    """An upgraded connection. One task calls :meth:`read`; any task may write, one message at a time."""

    def __init__(self, connection: Connection, handshake: Request) -> None:
        self.connection = connection
        self.handshake = handshake
        self.closed = anyio.Event()
        """Set when the client is gone."""
        self._protocol = Protocol(ConnectionType.SERVER)
        self._writing = anyio.Lock()
        self._pings: dict[bytes, anyio.Event] = {}

    async def read(self, handle: Callable[[Request], None]) -> None:
        """Pass each message of the client to ``handle`` until the client is gone, and answer its pings.

        If the client breaks the WebSocket protocol, close the connection with wsproto's close code and raise ``RemoteProtocolError``.
        """
        pieces: list[bytes] = []
        data, _ = self.connection.http.trailing_data  # sent right after the handshake
        try:
            while data or (data := await self.connection.receive()):
                self._protocol.receive_data(data)
                data = b""
                for event in self._protocol.events():
                    match event:
                        case events.Message():
                            pieces.append(event.data.encode() if isinstance(event.data, str) else bytes(event.data))
                            if event.message_finished:
                                handle(self._request(b"".join(pieces)))
                                pieces.clear()
                        case events.Ping():
                            await self.write(self.frame(event.response()))
                        case events.Pong():
                            self._pings.pop(bytes(event.payload), anyio.Event()).set()
                        case events.CloseConnection():
                            await self._closing(event)
                            return
                        case _:
                            pass
        finally:
            self.closed.set()

    async def _closing(self, event: events.CloseConnection) -> None:
        if self._protocol.state is not ConnectionState.OPEN:
            await self.close(1000, "")
            return
        # The client did not close the connection: this is how wsproto reports a frame that breaks the protocol.
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self.close(event.code, "")
        number = self.connection.number
        raise RemoteProtocolError(f"connection {number}: expected a WebSocket frame: {event.reason}")

    def frame(self, event: events.Event) -> bytes:
        """Return the bytes of an event. Raise ``anyio.ClosedResourceError`` if the connection is closing."""
        if self._protocol.state is not ConnectionState.OPEN:
            raise anyio.ClosedResourceError
        return bytes(self._protocol.send(event))

    def text(self, data: bytes, fragments: int = 1) -> list[bytes]:
        """Return the frames of a text message, at most ``fragments`` of them. A frame may end inside a character."""
        size = max(1, -(-len(data) // fragments))
        parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        frames = [
            self.frame(events.BytesMessage(data=part, message_finished=number == len(parts)))
            for number, part in enumerate(parts, 1)
        ]
        # wsproto cuts texts only between characters. So this is a binary message whose first opcode is changed from 2 to 1.
        frames[0] = bytes([frames[0][0] - 1]) + frames[0][1:]
        return frames

    async def ping(self, payload: bytes) -> None:
        """Send a ping, and wait for its pong."""
        answered = self._pings.setdefault(payload, anyio.Event())
        await self.write(self.frame(events.Ping(payload=payload)))
        await answered.wait()

    async def write(self, *pieces: bytes) -> None:
        """Send each piece on its own. Other tasks send nothing in between."""
        async with self._writing:
            for piece in pieces:
                await self.connection.stream.send(piece)

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame, and close the connection."""
        if self.connection.open:
            self.connection.open = False
            try:
                await self.write(self._protocol.send(events.CloseConnection(code=code, reason=reason)))
            finally:
                await self.connection.close()

    def _request(self, message: bytes) -> Request:
        return Request(
            method=message_method(message_object(message)),
            target=self.handshake.target,
            headers=self.handshake.headers,
            body=message,
            connection=self.connection.number,
            message=True,
        )


class MessageExchange(ServerExchange):
    """An exchange that is begun by one message."""

    def __init__(self, socket: WebSocket, request: Request) -> None:
        super().__init__(request)
        self._socket = socket
        self._stream_id = message_object(request.body).get("stream_id")
        self._status, self._headers = 200, dict[str, str]()
        self._decoder: SSEDecoder | None = SSEDecoder()
        """Reads the answer if it is an event stream; ``None`` if the answer is one object, which is sent when it is complete."""
        self._decompress: Callable[[bytes], bytes] = bytes
        self._body = b""
        self._pieces = 0  # of the next event
        self._comments = 0  # that were sent as pings
        self._answering = False  # whether an answer was begun, which ends with the body
        self._completed = False  # whether an event was sent that ends the response
        self.started = True  # there is no head to send

    @property
    def can_answer(self) -> bool:
        return not self._answering and not self.ended

    async def message(self, message: bytes | str | JSONObject) -> None:
        if isinstance(message, bytes):
            frames = [self._socket.frame(events.BytesMessage(data=message))]
        else:
            message = (message if isinstance(message, str) else json.dumps(message)).encode()
            frames = self._socket.text(message)
        self._note(message)
        await self._socket.write(*frames)

    async def ping(self, payload: bytes = b"") -> None:
        await self._socket.ping(payload)

    async def raw(self, data: bytes) -> None:
        await self._socket.write(data)

    async def until_closed(self) -> float:
        await self._socket.closed.wait()
        return time.monotonic()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._status, self._headers, self._answering = status, headers, True
        self._decompress = decompressor(headers)
        if status >= HTTPStatus.BAD_REQUEST or "json" in headers.get("content-type", ""):
            self._decoder = None
        await anyio.lowlevel.checkpoint()

    async def _send(self, data: bytes) -> None:
        self._answering = True
        data = self._decompress(data)
        if self._decoder is None:
            self._body += data
            return
        self._pieces += 1
        blocks = self._decoder.receive(data)
        pings = self._decoder.comments - self._comments
        self._comments = self._decoder.comments
        frames = [self._socket.frame(events.Ping()) for _ in range(pings)]
        for block in blocks:
            frames += self._frames(block.data, self._pieces)
            self._pieces = 1
        if blocks:
            self._pieces = 0
        await self._socket.write(*([b"".join(frames)] if len(blocks) > 1 else frames))

    async def _finish(self) -> None:
        if self._decoder is not None:
            rest = self._decoder.parse(self._decoder.eof())
            if rest is not None and message_object(rest.data):  # the last event may lack its blank line
                await self._socket.write(*self._frames(rest.data, 1))
        elif self._status >= HTTPStatus.BAD_REQUEST:
            await self.message(_error_event(self._status, self._headers, self._body))
        else:
            await self.message(self._body.decode("utf-8", "replace"))
        if self._answering and not self._completed:
            await self._close()

    async def _close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)

    async def _reset(self) -> None:
        await self._socket.connection.reset()

    def _frames(self, data: bytes, fragments: int) -> list[bytes]:
        """Return the frames of an event; none for ``[DONE]``, which is not sent over WebSocket."""
        if data.strip() == b"[DONE]":
            return []
        value = self._note(data)
        if value and self._stream_id is not None:
            data = json.dumps({**value, "stream_id": self._stream_id}, ensure_ascii=False).encode()
        return self._socket.text(data, fragments)

    def _note(self, data: bytes) -> dict[str, Any]:
        """Decode an event that is being sent, and remember whether it ends the response."""
        value = message_object(data)
        self._completed = self._completed or ends_response(value)
        return value


def _error_event(status: int, headers: dict[str, str], body: bytes) -> JSONObject:
    """Return the ``error`` event for an HTTP error."""
    error = message_object(body).get("error")
    if not isinstance(error, dict):
        error = {"message": body.decode("utf-8", "replace"), "type": "server_error", "param": None, "code": None}
    stated = {name: value for name, value in headers.items() if not name.startswith("content-")}
    return {"type": "error", "status": status, "error": {**error, **({"headers": stated} if stated else {})}}
