"""Join small HTTP chunks that arrived together: how the default engine reads a stream of many small events.

Servers write each event as an HTTP chunk of its own, and a client that lags behind finds hundreds of them in one read of its socket. h11
and the layers above it then do work per chunk that they could do once, and that is most of the cost of a stream. So :class:`Chunks`, between
the socket and h11, rewrites the framing of such a body: the same content, in as few chunks as there were reads. h11 still
checks the framing, and httpcore still keeps pool, deadlines and TLS.

Only a response that is ``HTTP/1.1 200``, chunked and ``text/event-stream`` is rewritten. Everything else passes through unchanged, and so
does the rest of a body after something that is not a valid chunk: h11 reports that error as it would without this module.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

__all__ = ["Chunks", "CoalescingTransport"]

_STATUS_LINE: Final = b"HTTP/1.1 200 "
_REWRITABLE: Final = (
    re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE),
    re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream[ \t]*[;\r]", re.IGNORECASE),
)
_MAX_HEAD: Final = 64 * 1024  # bytes
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")  # RFC 9112, section 7.1
_MAX_SIZE_LINE: Final = 256  # bytes


class Chunks:
    """Rewrites the framing of the responses on one connection.

    Call :meth:`request_begins` before a request is written, then :meth:`feed` with everything that is read. Content is passed on
    as soon as it arrives: nothing waits for the rest of a chunk.
    """

    __slots__ = ("_head", "_left", "_line_end_due", "_rest")

    def __init__(self) -> None:
        self._head: bytes | None = None
        """The start of a head that may be rewritable; ``None`` after the head, or if it is not."""
        self._left: int | None = None
        """Bytes that are left of the current chunk; ``None`` while nothing is rewritten."""
        self._line_end_due = False
        """Whether the line end after a chunk comes next."""
        self._rest = b""
        """The start of a line whose end has not arrived."""

    def request_begins(self) -> None:
        """Expect the head of a response next."""
        self._head, self._left, self._line_end_due, self._rest = b"", None, False, b""

    def feed(self, data: bytes) -> bytes:
        """Return what to read in place of ``data``. Empty if ``data`` is part of a line: then read more before going on."""
        if self._left is not None:
            return self._reframe(self._rest + data)
        if self._head is None:
            return data
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _MAX_HEAD or not self._head.startswith(_STATUS_LINE[: len(self._head)]):
                self._head = None
            return data
        head, self._head = self._head[: end + 4], None
        if not head.startswith(_STATUS_LINE) or not all(pattern.search(head) for pattern in _REWRITABLE):
            return data
        self._left = 0
        content = len(head) - before
        return data[:content] + self._reframe(data[content:])

    def _reframe(self, data: bytes) -> bytes:
        content: list[bytes] = []
        at, left, size = 0, self._left or 0, len(data)
        verbatim = False
        while at < size:
            if left:
                piece = data[at : at + left]
                content.append(piece)
                at += len(piece)
                left -= len(piece)
                self._line_end_due = True
            elif self._line_end_due:
                if not data.startswith(b"\r\n", at):
                    verbatim = size - at > 1 or data[at:] != b"\r"
                    break
                at += 2
                self._line_end_due = False
            else:
                line = _SIZE_LINE.match(data, at)
                left = int(line[1], 16) if line is not None else 0
                if line is None or not left:  # part of a line, the last chunk, or not a chunk
                    verbatim = line is not None or size - at > _MAX_SIZE_LINE or b"\n" in data[at:]
                    break
                at = line.end()
        joined = b"".join(content)
        framed = b"%x\r\n%b\r\n" % (len(joined), joined) if joined else b""
        if not verbatim:
            self._left, self._rest = left, data[at:]
            return framed
        self._left = None
        # The line end that was due is missing: an empty line makes h11 report the error in this place too.
        return framed + (b"\r\n" if self._line_end_due else b"") + data[at:]


class CoalescingTransport(httpx.AsyncBaseTransport):
    """An httpx transport over httpcore's pool, whose responses go through :class:`Chunks`. HTTP/1.1 only, without proxies.

    ``keepalive`` is how many idle connections to keep, ``keepalive_expiry`` for how many seconds. Raises httpcore's exceptions, not httpx's.
    """

    def __init__(self, *, keepalive: int, keepalive_expiry: float) -> None:
        # httpcore exports a stub of this class where anyio is missing, so that its declared type is too vague.
        backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=keepalive,
            keepalive_expiry=keepalive_expiry,
            network_backend=_Backend(backend),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return the response when its head has arrived."""
        url = request.url
        response: Any = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._chunks = Chunks()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the signature of the base class
        while data := await self._inner.read(max_bytes, timeout):
            if read := self._chunks.feed(data):
                return read
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        self._chunks.request_begins()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
