"""The server end of a socket: HTTP/1.1 by h11.

h11 reads the requests of clients and writes the answers of scripts. If a script breaks HTTP on purpose and h11 refuses to write the
answer, the bytes bypass h11: a head with an invalid field, a body that does not match its ``Content-Length``, and everything sent with
:meth:`SocketExchange.raw`. Each request is read by a new h11 connection, because the previous one does not know of those bytes.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from http import HTTPStatus
from http.client import responses as REASONS  # noqa: N812 - a table
from typing import TYPE_CHECKING, Final

import anyio
import h11
from anyio.abc import SocketAttribute

from ...exceptions import RemoteProtocolError
from ._memory import MemoryEnd
from .exchange import Request, ServerExchange

if TYPE_CHECKING:
    import asyncio

    from anyio.abc import SocketStream

_MAX_HEAD: Final = 256 * 1024  # bytes


class Connection:
    """A connection to a client, with one request after the other."""

    def __init__(self, stream: SocketStream | MemoryEnd, number: int) -> None:
        self.stream = stream
        self.number = number
        self.open = True
        self.http = h11.Connection(h11.SERVER, _MAX_HEAD)
        """The state of the current request and its response."""

    async def request(self) -> Request | None:
        """Wait for the next request and return it; return ``None`` if the client closed the connection.

        If the client sends something that is not HTTP/1.1, answer with a status such as 400, close the connection and raise
        ``RemoteProtocolError``.
        """
        unread, _ = self.http.trailing_data
        self.http = h11.Connection(h11.SERVER, _MAX_HEAD)
        if unread:
            self.http.receive_data(unread)
        try:
            return await self._read_request()
        except h11.RemoteProtocolError as error:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await self._reject(error.error_status_hint)
            # The rest of h11's message quotes the request, which may contain the API key.
            reason = str(error).partition(":")[0]
            raise RemoteProtocolError(f"connection {self.number}: expected an HTTP/1.1 request: {reason}") from None

    async def _read_request(self) -> Request | None:
        head: h11.Request | None = None
        body: list[bytes] = []
        while True:
            match self.http.next_event():
                case h11.Request() as head:
                    pass
                case h11.Data(data=data):
                    body.append(bytes(data))
                case h11.EndOfMessage() if head is not None:
                    return self._request(head, b"".join(body))
                case _:  # h11.NEED_DATA
                    if self.http.they_are_waiting_for_100_continue:
                        go_on = h11.InformationalResponse(status_code=100, headers=[])
                        await self.stream.send(self.http.send(go_on) or b"")
                    data = await self.receive()
                    if not data:
                        return None
                    self.http.receive_data(data)

    def _request(self, head: h11.Request, body: bytes) -> Request:
        headers: dict[str, str] = {}
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        method, target = head.method.decode("latin-1"), head.target.decode("latin-1")
        return Request(method=method, target=target, headers=headers, body=body, connection=self.number)

    async def _reject(self, status: int) -> None:
        head = h11.Response(status_code=status, headers=[("content-length", "0"), ("connection", "close")])
        await self.stream.send((self.http.send(head) or b"") + (self.http.send(h11.EndOfMessage()) or b""))
        await self.close()

    async def receive(self) -> bytes:
        """Wait for bytes from the client and return them; empty at the end of the connection."""
        try:
            return await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.open = False
            return b""

    async def until_closed(self) -> None:
        """Wait until the client closes the connection. h11 keeps what the client sends until then."""
        while data := await self.receive():
            self.http.receive_data(data)

    async def close(self) -> None:
        """Close the connection after all pending data was sent."""
        self.open = False
        with contextlib.suppress(OSError, anyio.BrokenResourceError):
            await self.stream.send_eof()  # the data arrives even if the client is still sending
        await self.stream.aclose()

    async def reset(self) -> None:
        """Reset the connection: the client sees an error instead of an end."""
        self.open = False
        if isinstance(self.stream, MemoryEnd):
            self.stream.close(reset=True)
            return
        raw = self.stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing now sends RST
        transport: asyncio.Transport | None = getattr(self.stream, "_transport", None)
        if transport is not None:
            transport.abort()  # on asyncio, `aclose` of older anyio sends FIN first, which is a regular close
        await self.stream.aclose()


class SocketExchange(ServerExchange):
    """An exchange over a connection."""

    def __init__(self, connection: Connection, request: Request) -> None:
        super().__init__(request)
        self._connection = connection

    async def raw(self, data: bytes) -> None:
        self.started = self.ended = True  # from here on the script is responsible for both
        await self._connection.stream.send(data)

    async def until_closed(self) -> float:
        await self._connection.until_closed()
        return time.monotonic()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        if headers.get("connection") == "close" and "content-length" not in headers:
            self._connection.http.their_http_version = b"1.0"  # h11 then ends the body with the connection
        reason = REASONS.get(status, "Unknown").encode()
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        make = h11.InformationalResponse if status < HTTPStatus.OK else h11.Response
        try:
            head = self._connection.http.send(make(status_code=status, headers=fields, reason=reason)) or b""
        except h11.LocalProtocolError:
            self._connection.http.send_failed()  # the body then bypasses h11 too
            lines = b"".join(b"%b: %b\r\n" % field for field in fields)
            head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, lines)
        await self._connection.stream.send(head)

    async def _send(self, data: bytes) -> None:
        await self._write(h11.Data(data=data), refused=data)

    async def _finish(self) -> None:
        if self.upgraded:
            return
        await self._write(h11.EndOfMessage())
        if self._connection.http.our_state in (h11.MUST_CLOSE, h11.ERROR):
            await self._close()

    async def _write(self, event: h11.Data | h11.EndOfMessage, *, refused: bytes = b"") -> None:
        """Send the bytes that h11 returns for an event, or ``refused`` if h11 does not allow the event here."""
        try:
            data = self._connection.http.send(event)
        except h11.LocalProtocolError:
            data = refused
        if data:
            await self._connection.stream.send(data)

    async def _close(self, code: int = 1000, reason: str = "") -> None:  # noqa: ARG002 - HTTP has no close codes
        await self._connection.close()

    async def _reset(self) -> None:
        await self._connection.reset()
