"""The fake server's end of a WebSocket: each message of the client's is a request, answered by what answers requests over HTTP.

What an answer says as server-sent events goes out as messages, one event each. Of what is in the bytes, and has a meaning here, that is
kept: a frame that comes in several pieces is a message in as many fragments, frames that come in one piece go out in one, a comment is
a ping. Where the body of an answer would end before the response has, the connection is closed: there is no other way to say it.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from ...protocol.sse import SSEDecoder
from ...protocol.state import TERMINAL
from .exchange import Request, ServerExchange, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...typing import JSONObject
    from ._sockets import Connection

__all__ = ["MessageExchange", "WebSocket", "wants_websocket"]

_TEXT, _BINARY, _CLOSE, _PING = 1, 2, 8, 9  # opcodes of frames (RFC 6455, 11.8)
_FINAL: Final = 0x80
_SHORT, _MIDDLE = 126, 1 << 16
_FIRST_ERROR: Final = 400


def wants_websocket(request: Request) -> bool:
    """Tell whether a request asks for a WebSocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


def frame(payload: bytes, opcode: int, *, final: bool = True) -> bytes:
    """Write a frame as a server does, without a mask."""
    size = len(payload)
    first = opcode | (_FINAL if final else 0)
    if size < _SHORT:
        head = struct.pack("!BB", first, size)
    elif size < _MIDDLE:
        head = struct.pack("!BBH", first, _SHORT, size)
    else:
        head = struct.pack("!BBQ", first, _SHORT + 1, size)
    return head + payload


class WebSocket:
    """A connection that was upgraded. :meth:`read` gives what the client says; anybody may write, a message at a time."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection = connection
        self.request = request
        """The handshake."""
        self.gone = anyio.Event()
        """Set when the client is gone."""
        self._writing = anyio.Lock()
        self._pings: dict[bytes, anyio.Event] = {}

    async def read(self, take: Callable[[Request], None]) -> None:
        """Take the client's messages until it is gone, and answer its pings."""
        try:
            from wsproto import events  # noqa: PLC0415 - an extra: imported when it is needed
            from wsproto.connection import Connection, ConnectionType  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ImportError("WebSocket needs wsproto: pip install 'responses-proto[ws]'") from error
        parser = Connection(ConnectionType.SERVER)
        pieces: list[bytes] = []
        try:
            while await self._more():
                parser.receive_data(self.connection.buffer)
                self.connection.buffer = b""
                for event in parser.events():
                    if isinstance(event, events.Message):
                        pieces.append(event.data.encode() if isinstance(event.data, str) else bytes(event.data))
                        if event.message_finished:
                            take(self._request(b"".join(pieces)))
                            pieces.clear()
                    elif isinstance(event, events.Ping):
                        await self.write(parser.send(event.response()))
                    elif isinstance(event, events.Pong):
                        self._pings.pop(bytes(event.payload), anyio.Event()).set()
                    elif isinstance(event, events.CloseConnection):
                        await self.close(1000, "")
                        return
        finally:
            self.gone.set()

    async def ping(self, payload: bytes) -> None:
        """Send a ping, and wait for its pong."""
        answered = self._pings.setdefault(payload, anyio.Event())
        await self.write(frame(payload, _PING))
        await answered.wait()

    async def write(self, *pieces: bytes) -> None:
        """Send pieces, each on its own, with nothing of others in between."""
        async with self._writing:
            for piece in pieces:
                await self.connection.stream.send(piece)

    async def close(self, code: int, reason: str) -> None:
        """Say that it is over, and close the connection."""
        if self.connection.open:
            self.connection.open = False
            payload = struct.pack("!H", code) + reason.encode()
            try:
                await self.write(frame(payload, _CLOSE))
            finally:
                await self.connection.close()

    async def _more(self) -> bool:
        return bool(self.connection.buffer) or await self.connection.more()

    def _request(self, message: bytes) -> Request:
        return Request(
            method=_method(message),
            target=self.request.target,
            headers=self.request.headers,
            body=message,
            connection=self.connection.number,
            message=True,
        )


def _method(message: bytes) -> str:
    """Give the method of the request that a message is: what makes a response is a ``POST``, anything else goes by its type."""
    value = _object(message)
    kind = value.get("type")
    return kind.upper() if isinstance(kind, str) and kind != "response.create" else "POST"


class MessageExchange(ServerExchange):
    """The answer to one message."""

    def __init__(self, socket: WebSocket, request: Request) -> None:
        super().__init__(request)
        self._socket = socket
        self._lane = _object(request.body).get("stream_id")
        self._status, self._headers = 200, dict[str, str]()
        self._decoder: SSEDecoder | None = SSEDecoder()
        self._expand: Callable[[bytes], bytes] = bytes
        self._body = b""
        self._pieces = 0
        self._comments = 0
        self._answering = False  # whether there is an answer, whose end would be the end of the body
        self._over = False  # whether the client has been told how the response ended
        self.started = True  # there is no head to be sent

    async def message(self, message: bytes | str | JSONObject) -> None:
        text = message if isinstance(message, bytes | str) else json.dumps(message)
        data, opcode = (text.encode(), _TEXT) if isinstance(text, str) else (text, _BINARY)
        self._note(data)
        await self._socket.write(frame(data, opcode))

    async def ping(self, payload: bytes = b"") -> None:
        await self._socket.ping(payload)

    async def raw(self, data: bytes) -> None:
        await self._socket.write(data)

    async def until_closed(self) -> float:
        await self._socket.gone.wait()
        return now()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._status, self._headers, self._answering = status, headers, True
        if headers.get("content-encoding", "identity") in ("gzip", "deflate"):
            self._expand = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
        if status >= _FIRST_ERROR or "json" in headers.get("content-type", ""):
            self._decoder = None  # it is one thing, to be said when it is whole
        await anyio.lowlevel.checkpoint()

    async def _send(self, data: bytes) -> None:
        self._answering = True
        data = self._expand(data)
        if self._decoder is None:
            self._body += data
            return
        self._pieces += 1
        frames = self._decoder.receive(data)
        pings = [frame(b"", _PING)] * (self._decoder.comments - self._comments)
        self._comments = self._decoder.comments
        written = [*pings]
        for number, event in enumerate(frames):
            written += self._written(event.data, 1 if number else self._pieces)
        if frames:
            self._pieces = 0
        await self._socket.write(*([b"".join(written)] if len(frames) > 1 else written))

    async def _finish(self) -> None:
        if self._decoder is not None:
            rest = self._decoder.parse(self._decoder.eof())
            if rest is not None and _object(rest.data):  # servers end on an event without its blank line
                await self._socket.write(*self._written(rest.data, 1))
        elif self._status >= _FIRST_ERROR:
            await self.message(_refusal(self._status, self._headers, self._body))
        else:
            await self.message(self._body.decode("utf-8", "replace"))
        if self._answering and not self._over:
            await self._close()

    async def _close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)

    async def _reset(self) -> None:
        await self._socket.connection.reset()

    def _written(self, data: bytes, fragments: int) -> list[bytes]:
        """Write the data of an event as the frames of a message; ``[DONE]`` is not said here."""
        if data.strip() == b"[DONE]":
            return []
        value = self._note(data)
        if value and self._lane is not None:
            data = json.dumps({**value, "stream_id": self._lane}, ensure_ascii=False).encode()
        size = max(1, -(-len(data) // fragments))
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        return [
            frame(part, 0 if number else _TEXT, final=number == len(parts) - 1) for number, part in enumerate(parts)
        ]

    def _note(self, data: bytes) -> dict[str, Any]:
        value = _object(data)
        self._over = self._over or value.get("type") in TERMINAL or (value.get("type") == "error" and "status" in value)
        return value


def _object(data: bytes) -> dict[str, Any]:
    try:
        value: object = json.loads(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _refusal(status: int, headers: dict[str, str], body: bytes) -> JSONObject:
    """Say what HTTP says with a status, headers and a body."""
    error = _object(body).get("error")
    if not isinstance(error, dict):
        error = {"message": body.decode("utf-8", "replace"), "type": "server_error", "param": None, "code": None}
    stated = {name: value for name, value in headers.items() if not name.startswith("content-")}
    return {"type": "error", "status": status, "error": {**error, **({"headers": stated} if stated else {})}}
