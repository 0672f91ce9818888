"""HTTP chunks that came together, handed on as one: the default engine's way to read a stream of many small events.

Servers write each event as an HTTP chunk of its own, and a client that is behind finds hundreds of them in one read of its socket.
h11 and the layers above it then do for each chunk what they could do once, and that is most of what a stream costs. So between
the socket and h11 the framing of such a body is written anew: the same content, in as few chunks as there were reads.
h11 still checks the framing, and httpcore keeps pools, deadlines and TLS.

Only an answer is touched that is ``HTTP/1.1 200``, chunked and ``text/event-stream``; everything else, and whatever follows
something that is no chunk, goes through as it came.
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

_HEAD: Final = b"HTTP/1.1 200 "
_OURS: Final = (
    re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE),
    re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream[ \t]*[;\r]", re.IGNORECASE),
)
_LONGEST_HEAD: Final = 64 * 1024  # bytes
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")  # RFC 9112, section 7.1
_LONGEST_SIZE: Final = 256  # bytes of that line


class Chunks:
    """Rewrites the framing of answers on one connection. Verbs: :meth:`request_begins`, then :meth:`feed` what comes.

    Content is passed on as far as it came: nothing waits for the rest of a chunk.
    """

    __slots__ = ("_ends", "_head", "_left", "_rest")

    def __init__(self) -> None:
        self._head: bytes | None = None
        """What came of a head that may be one of ours; ``None`` if the head is over, or of another kind."""
        self._left: int | None = None
        """Bytes that the chunk still has; ``None`` if this is no body of ours, or no longer."""
        self._ends = False
        """Whether the line end behind a chunk is due."""
        self._rest = b""
        """What came of a line that is not whole yet."""

    def request_begins(self) -> None:
        """Expect the head of an answer next."""
        self._head, self._left, self._ends, self._rest = b"", None, False, b""

    def feed(self, data: bytes) -> bytes:
        """Take what came; give what is to be read instead. Empty only if what came says nothing before more has come."""
        if self._left is not None:
            return self._reframed(self._rest + data)
        if self._head is None:
            return data
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _LONGEST_HEAD or not self._head.startswith(_HEAD[: len(self._head)]):
                self._head = None
            return data
        head, self._head = self._head[: end + 4], None
        if not head.startswith(_HEAD) or not all(pattern.search(head) for pattern in _OURS):
            return data
        self._left = 0
        content = len(head) - before
        return data[:content] + self._reframed(data[content:])

    def _reframed(self, data: bytes) -> bytes:
        content: list[bytes] = []
        at, left, size = 0, self._left or 0, len(data)
        verbatim = False
        while at < size:
            if left:
                piece = data[at : at + left]
                content.append(piece)
                at += len(piece)
                left -= len(piece)
                self._ends = True
            elif self._ends:
                if not data.startswith(b"\r\n", at):
                    verbatim = size - at > 1 or data[at:] != b"\r"
                    break
                at += 2
                self._ends = False
            else:
                line = _SIZE.match(data, at)
                left = int(line[1], 16) if line is not None else 0
                if line is None or not left:  # half a line, the last chunk, or no chunk
                    verbatim = line is not None or size - at > _LONGEST_SIZE or b"\n" in data[at:]
                    break
                at = line.end()
        whole = b"".join(content)
        framed = b"%x\r\n%b\r\n" % (len(whole), whole) if whole else b""
        if not verbatim:
            self._left, self._rest = left, data[at:]
            return framed
        self._left = None
        # Where a line end was due, an empty line is what h11 takes for an error as well.
        return framed + (b"\r\n" if self._ends else b"") + data[at:]


class CoalescingTransport(httpx.AsyncBaseTransport):
    """What httpx's own transport is, on a network whose answers go through :class:`Chunks`. Without proxies, HTTP/1.1 only.

    Its errors are those of httpcore, which have the names of httpx's.
    """

    def __init__(self, *, keepalive: int, keepalive_expiry: float) -> None:
        # Another class stands for it where anyio is missing, so that its type says nothing.
        backend = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=keepalive,
            keepalive_expiry=keepalive_expiry,
            network_backend=_Backend(backend),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, give the answer when its head is there."""
        url = request.url
        answer: Any = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
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
        timeout: float | None = None,  # noqa: ASYNC109 - the base's signature
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

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the base's signature
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
