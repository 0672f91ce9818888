"""The fake server's end without a socket: a transport that hands requests over in memory, and streams the answers back."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio

from ...client.transport.http import origin
from ...exceptions import LocalProtocolError, StreamTruncated, TransportError
from .exchange import Request, ServerExchange, now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...client.transport.base import WireReply, WireRequest

__all__ = ["MemoryExchange", "MemoryReply", "MemoryTransport"]

_ON_THE_WAY: Final = 8  # pieces of a body that are sent and not yet received; then the server waits


class MemoryExchange(ServerExchange):
    """An exchange in memory."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.head = anyio.Event()
        """Set when the head is there, or when it is known that there will be none."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.end = ""
        """How the body ended: ``finished``, ``closed`` or ``reset``; empty as long as it did not."""
        self.output, self.input = anyio.create_memory_object_stream[bytes](_ON_THE_WAY)
        self._left = anyio.Event()

    def leave(self) -> None:
        """Be the client that goes away."""
        self._left.set()
        self.input.close()

    def discard(self) -> None:
        """Let go of everything, at the end of the server."""
        self._end("closed")
        self.leave()

    async def raw(self, data: bytes) -> None:
        raise LocalProtocolError(f"{len(data)} bytes cannot be sent outside of HTTP in memory: use the socket")

    async def until_closed(self) -> float:
        await self._left.wait()
        return now()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self.head.set()
        await anyio.lowlevel.checkpoint()

    async def _send(self, data: bytes) -> None:
        await self.output.send(data)

    async def _finish(self) -> None:
        self._end("finished")

    async def _close(self, code: int = 1000, reason: str = "") -> None:  # noqa: ARG002 - HTTP has no word for it
        self._end("finished" if self.headers.get("connection") == "close" else "closed")

    async def _reset(self) -> None:
        self._end("reset")

    def _end(self, end: str) -> None:
        self.end = self.end or end
        self.output.close()
        self.head.set()


class MemoryReply:
    """An answer, as the client's :class:`~responses_proto.client.transport.WireReply`."""

    keeps_time = False

    def __init__(self, peer: MemoryExchange) -> None:
        self._peer = peer
        self._closed = False
        self._expand: Callable[[bytes], bytes] | None = None
        if peer.headers.get("content-encoding", "identity") in ("gzip", "deflate"):
            self._expand = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
        self.status: int = peer.status
        self.headers: Mapping[str, str] = dict(peer.headers)

    async def receive(self) -> bytes:
        """Wait for the next piece of the body, cut as the server cut it; empty at its end."""
        while not self._closed:
            try:
                piece = await self._peer.input.receive()
            except anyio.EndOfStream:
                break
            except anyio.ClosedResourceError:
                return b""
            if self._expand is not None:
                piece = self._expand(piece)
            if piece:
                return piece
        if self._closed or self._peer.end == "finished":
            return b""
        if self._peer.end == "reset":
            raise _unsafe(TransportError("the connection broke: reset by the script"))
        raise _unsafe(StreamTruncated("the server closed the connection before the end of its answer"))

    async def aclose(self) -> None:
        """Let go of the connection."""
        self._closed = True
        self._peer.leave()


class MemoryTransport:
    """A :class:`~responses_proto.client.transport.Transport` to a fake server: no socket, but everything else as with one.

    Bodies come piece by piece as they are sent, and a client that does not read makes the server wait. Requests of any host are
    answered. Redirects are not followed.
    """

    def __init__(self, begin: Callable[[MemoryExchange], None], number: Callable[[], int]) -> None:
        self._begin = begin
        self._number = number

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request and wait for the head of its answer."""
        parts = urlsplit(request.url)
        headers = {"host": parts.netloc.rpartition("@")[2], **request.headers}
        if request.body:
            headers.setdefault("content-length", str(len(request.body)))
        if request.stream:
            headers.setdefault("accept-encoding", "identity")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        peer = MemoryExchange(
            Request(method=request.method, target=target, headers=headers, body=request.body, connection=self._number())
        )
        self._begin(peer)
        try:
            await peer.head.wait()
        except BaseException:
            peer.leave()
            raise
        if not peer.started:
            peer.leave()
            raise _unsafe(TransportError(f"no answer from {origin(request.url)}: the server closed the connection"))
        return MemoryReply(peer)

    async def aclose(self) -> None:
        """Do nothing: it is the server that ends this."""


def _unsafe(error: TransportError) -> TransportError:
    error.retry_safety = "unsafe"
    return error


def closed_server() -> LocalProtocolError:
    """Make the error of a request to a server that does not run."""
    return LocalProtocolError("the fake server does not run: use it inside its `async with` block")
