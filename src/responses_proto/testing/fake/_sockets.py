"""The fake server's end of a real socket. It knows just enough of HTTP/1.1 to find the end of a request."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import SocketAttribute

from .exchange import NO_BODY, SWITCHED, Request, ServerExchange, now

if TYPE_CHECKING:
    from anyio.abc import SocketStream

__all__ = ["Connection", "SocketExchange"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 4.2.2
_HEAD_LIMIT: Final = 256 * 1024  # bytes


class Connection:
    """One connection: what came over it and was not read yet, and the requests in it."""

    def __init__(self, stream: SocketStream, number: int) -> None:
        self.stream = stream
        self.number = number
        self.buffer = b""
        self.open = True

    async def request(self) -> Request | None:
        """Wait for the next request; ``None`` if the client closes the connection."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > _HEAD_LIMIT or not await self.more():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        headers: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines):
            known = headers.get(name.lower())
            headers[name.lower()] = value.strip() if known is None else f"{known}, {value.strip()}"
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunks()
        else:
            body = await self._take(int(headers.get("content-length", "0")))
        if body is None:
            return None
        return Request(
            method=method, target=rest.rpartition(" ")[0], headers=headers, body=body, connection=self.number
        )

    async def _take(self, size: int) -> bytes | None:
        pieces, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < size:
            if not await self.more():
                return None
            pieces.append(self.buffer)
            have += len(self.buffer)
            self.buffer = b""
        whole = b"".join(pieces)
        self.buffer = whole[size:]
        return whole[:size]

    async def _chunks(self) -> bytes | None:
        body = bytearray()
        while True:
            while b"\r\n" not in self.buffer:
                if not await self.more():
                    return None
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            piece = await self._take(size + 2)  # with the line end behind it; there are no trailers
            if piece is None or not size:
                return None if piece is None else bytes(body)
            body += piece[:size]

    async def more(self) -> bool:
        """Read on; tell whether there is a connection to read from."""
        try:
            self.buffer += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.open = False
        return self.open

    async def gone(self) -> None:
        """Wait until the client closes the connection. What it sends meanwhile is kept."""
        while await self.more():
            pass

    async def close(self) -> None:
        """End it in good order."""
        self.open = False
        with contextlib.suppress(OSError, anyio.BrokenResourceError):
            await self.stream.send_eof()  # so that what was sent arrives, even if the client still sends
        await self.stream.aclose()

    async def reset(self) -> None:
        """Break it."""
        self.open = False
        raw = self.stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()


class SocketExchange(ServerExchange):
    """An exchange over a connection."""

    def __init__(self, connection: Connection, request: Request) -> None:
        super().__init__(request)
        self._connection = connection
        self._chunked = True
        self.upgraded: bool = False
        """Whether the connection is a WebSocket from here on."""

    async def raw(self, data: bytes) -> None:
        self.started = self.ended = True  # as far as it is the server's to say
        await self._connection.stream.send(data)

    async def until_closed(self) -> float:
        await self._connection.gone()
        return now()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        if status == SWITCHED:
            self.upgraded = True
            headers = {**handshake_headers(self.request), **headers}
        framed = "content-length" in headers or headers.get("connection") == "close"
        self._chunked = not framed and status not in NO_BODY
        if self._chunked:
            headers["transfer-encoding"] = "chunked"
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        if headers.get("connection") == "close":
            self._connection.open = False
        await self._connection.stream.send("\r\n".join(lines).encode("latin-1"))

    async def _send(self, data: bytes) -> None:
        await self._connection.stream.send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def _finish(self) -> None:
        if self._chunked:
            await self._connection.stream.send(b"0\r\n\r\n")
        elif not self._connection.open:
            await self._close()

    async def _close(self, code: int = 1000, reason: str = "") -> None:  # noqa: ARG002 - HTTP has no word for it
        await self._connection.close()

    async def _reset(self) -> None:
        await self._connection.reset()


def handshake_headers(request: Request) -> dict[str, str]:
    """Give the headers that accept a WebSocket."""
    digest = hashlib.sha1(request.headers.get("sec-websocket-key", "").encode() + _GUID).digest()  # noqa: S324 - RFC 6455 has it so
    return {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": base64.b64encode(digest).decode()}
