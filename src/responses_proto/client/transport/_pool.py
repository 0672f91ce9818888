"""The default engine: an httpx transport with a pool of httpcore's connections, whose event streams can be read past h11.

Servers write each event as a separate HTTP chunk. h11 and the layers of httpcore above it process each chunk, which costs several times
as much as reading the socket. So a connection passes only the head of a response to h11 and keeps the rest. If the body is an event
stream in chunks, :meth:`EventConnection.receive` reads it from there: the content of all chunks from one read of the socket, in one piece.
The last chunk goes to h11 again, and so does everything that is not a valid chunk. So h11 sees the end of each body, httpcore
reuses or closes the connection, and errors are reported as without this module.

Any other response passes through unchanged.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import httpcore
import httpx

from ._asyncio_network import AsyncioBackend
from ._timer import on_asyncio

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

_STATUS_LINE: Final = b"HTTP/1.1 200 "
_DIRECT: Final = (
    re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE),
    re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream[ \t]*[;\r]", re.IGNORECASE),
)
_COMPRESSED: Final = re.compile(rb"\r\ncontent-encoding:[ \t]*(?!identity[ \t]*\r)[^ \t\r]", re.IGNORECASE)
_MAX_HEAD: Final = 64 * 1024  # bytes
_READ_SIZE: Final = 64 * 1024  # bytes
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")  # RFC 9112, section 7.1
_MAX_SIZE_LINE: Final = 256  # bytes


class ChunkDecoder:
    """Extracts the content of HTTP chunks. Pass all data that is read to :meth:`decode`, until :attr:`ended`.

    Content is returned as soon as it arrives: nothing waits for the rest of a chunk.
    """

    __slots__ = ("_left", "_line_end_due", "ended", "rest")

    def __init__(self) -> None:
        self._left = 0  # bytes of the current chunk
        self._line_end_due = False  # whether the line end after a chunk comes next
        self.ended: bool = False
        """Whether the chunks have ended: at the last one, or at invalid data."""
        self.rest: bytes = b""
        """The bytes that were not decoded: the start of a line; after the end, everything that h11 must read."""

    def decode(self, data: bytes) -> bytes:
        """Return the content of the next bytes; empty if they are only framing."""
        if self.rest:
            data = self.rest + data
        content: list[bytes] = []
        at, left, size = 0, self._left, len(data)
        while at < size:
            if left:
                piece = data[at : at + left]
                content.append(piece)
                at += len(piece)
                left -= len(piece)
                self._line_end_due = True
            elif self._line_end_due:
                if not data.startswith(b"\r\n", at):
                    self.ended = size - at > 1 or data[at:] != b"\r"
                    break
                at += 2
                self._line_end_due = False
            else:
                line = _SIZE_LINE.match(data, at)
                left = int(line[1], 16) if line is not None else 0
                if not left:  # part of a line, the last chunk, or not a chunk
                    self.ended = line is not None or size - at > _MAX_SIZE_LINE or b"\n" in data[at:]
                    break
                at = cast("re.Match[bytes]", line).end()
        self._left = left
        self.rest = data[at:]
        if self.ended and self._line_end_due:
            # The line end of a chunk is missing: an empty line in place of a chunk makes h11 report that error, too.
            self.rest = b"\r\n" + self.rest
        return content[0] if len(content) == 1 else b"".join(content)


class PoolTransport(httpx.AsyncBaseTransport):
    """An httpx transport over httpcore's connections and :class:`EventConnection`. HTTP/1.1 only, without proxies.

    ``ssl_context`` checks the certificates of servers. ``keepalive`` is how many idle connections to keep, ``keepalive_expiry`` for how
    many seconds. Raises httpcore's exceptions, not httpx's.

    The pool is not that of httpcore, which checks the state of each of its connections whenever a request begins or ends, and once more
    for each idle connection. With a hundred concurrent short streams, that took nine tenths of the client's CPU time.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext, keepalive: int, keepalive_expiry: float) -> None:
        self._ssl_context = ssl_context
        self._keepalive = keepalive
        self._keepalive_expiry = keepalive_expiry
        self._backend = _Backend()
        self._connections: set[httpcore.AsyncHTTPConnection] = set()
        self._idle: deque[httpcore.AsyncHTTPConnection] = deque()  # the most recently used one is last

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        while True:
            connection = await self._take(sent.url.origin)
            try:
                response: Any = await connection.handle_async_request(sent)
            except httpcore.ConnectionNotAvailable:
                await self._discard(connection)  # it was closed just now, before anything was sent
            except BaseException:
                await self._discard(connection)
                raise
            else:
                break

        async def finish() -> None:
            try:
                await response.stream.aclose()
            finally:
                await self._put_back(connection)

        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream, finish),
            extensions=response.extensions,
        )

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """Return the connection to a server that was used last, if it is still open, or a new one."""
        while (place := self._last_idle(origin)) is not None:
            connection = self._idle[place]
            del self._idle[place]
            if connection.is_idle() and not connection.has_expired():
                return connection
            await self._discard(connection)
        connection = httpcore.AsyncHTTPConnection(
            origin=origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._keepalive_expiry,
            network_backend=self._backend,
        )
        self._connections.add(connection)
        return connection

    def _last_idle(self, origin: httpcore.Origin) -> int | None:
        # Usually, all connections have the same origin, so the last one matches at once.
        places = reversed(range(len(self._idle)))
        return next((place for place in places if self._idle[place].can_handle_request(origin)), None)

    async def _put_back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        if connection not in self._connections:  # the pool was closed meanwhile
            return
        if not connection.is_idle():
            await self._discard(connection)
            return
        self._idle.append(connection)
        while self._idle and (len(self._idle) > self._keepalive or self._idle[0].has_expired()):
            await self._discard(self._idle.popleft())

    async def _discard(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._connections.discard(connection)
        if not connection.is_closed():
            with anyio.CancelScope(shield=True):
                await connection.aclose()

    async def aclose(self) -> None:
        self._keepalive = 0  # so that a connection that is being opened is not kept either
        self._idle.clear()
        while self._connections:
            await self._discard(next(iter(self._connections)))


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any, finish: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._finish = finish
        self._finished = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        if not self._finished:
            self._finished = True
            await self._finish()


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects with our own backend on asyncio, and with that of httpcore on trio."""

    def _inner(self) -> httpcore.AsyncNetworkBackend:
        if on_asyncio():
            return AsyncioBackend()
        # httpcore exports a stub of this class where anyio is missing, so its declared type is too general.
        return cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return EventConnection(await self._inner().connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner().sleep(seconds)


class EventConnection(httpcore.AsyncNetworkStream):
    """A connection that passes h11 only the head of a response whose body is an event stream.

    After such a head, :attr:`direct` is true, and :meth:`receive` may be called until it returns nothing; h11 reads the rest.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._head: bytes | None = None  # the part that has arrived; `None` once the kind of the body is known
        self._held = b""  # not passed to h11
        self._decoder: ChunkDecoder | None = None

    @property
    def direct(self) -> bool:
        """Whether the body of the current response can be read by :meth:`receive`."""
        return self._decoder is not None

    async def receive(self) -> bytes:
        """Wait for the next bytes of the body and return them; empty when h11 must continue: at the end, or after an error.

        Raises what the connection raises.
        """
        decoder = self._decoder
        while decoder is not None:
            data, self._held = self._held, b""
            if not data:
                data = await self._inner.read(_READ_SIZE)
            content = decoder.decode(data)
            if decoder.ended or not data:
                self._decoder, self._held = None, decoder.rest
            if content:
                return content
            decoder = self._decoder
        return b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the signature of the base class
        if self._held:
            data, self._held = self._held[:max_bytes], self._held[max_bytes:]
            return data
        data = await self._inner.read(max_bytes, timeout)
        return data if self._head is None else self._head_only(data, self._head)

    def _head_only(self, data: bytes, before: bytes) -> bytes:
        """Return the part of ``data`` that belongs to the head if an event stream follows, else all of it."""
        head = before + data
        end = head.find(b"\r\n\r\n") + 4
        if end < 4:  # noqa: PLR2004 - not found
            goes_on = len(head) <= _MAX_HEAD and head.startswith(_STATUS_LINE[: len(head)])
            self._head = head if goes_on else None
            return data
        self._head = None
        head = head[:end]
        if head.startswith(_STATUS_LINE) and all(p.search(head) for p in _DIRECT) and not _COMPRESSED.search(head):
            self._decoder = ChunkDecoder()
            self._held = data[end - len(before) :]
            return data[: end - len(before)]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        self._head, self._decoder = b"", None  # a request: the head of its response comes next
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        return EventConnection(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._held:
            return True
        return self._inner.get_extra_info(info)
