"""The fake server without a socket: a transport that passes requests to the server in memory, and streams the answers back."""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.stapled import StapledObjectStream

from ...client.transport._errors import unsafe
from ...client.transport.http import origin
from ...exceptions import LocalProtocolError, StreamTruncated, TransportError, UsageError
from .exchange import Request, ServerExchange, decompressor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from ...client.transport.base import NetworkStream, WireReply, WireRequest

_MAX_BUFFERED: Final = 8  # pieces of a body that were sent but not received yet, before the server waits


class _BodyEnd(enum.Enum):
    """How a body ended."""

    FINISHED = enum.auto()
    CLOSED = enum.auto()
    RESET = enum.auto()


class MemoryExchange(ServerExchange):
    """An exchange in memory."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.head = anyio.Event()
        """Set when the head was sent, or when it is certain that no head will be sent."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body_end: _BodyEnd | None = None
        """How the body ended; ``None`` until then."""
        self.output, self.input = anyio.create_memory_object_stream[bytes](_MAX_BUFFERED)
        self._client_left = anyio.Event()

        self.socket: MemorySocket | None = MemorySocket() if request.wants_websocket else None
        """The connection, if it is to become a WebSocket."""

    def leave(self) -> None:
        """End the client's side."""
        self._client_left.set()
        self.input.close()
        if self.socket is not None:
            self.socket.close()

    def hang_up(self) -> None:
        """End the server's side."""
        self.output.close()
        if self.socket is not None:
            self.socket.server.close()

    def discard(self) -> None:
        """End both sides, when the server stops."""
        self._end(_BodyEnd.CLOSED)
        self.hang_up()
        self.leave()

    async def raw(self, data: bytes) -> None:
        raise UsageError(f"{len(data)} bytes cannot be sent outside of HTTP in memory: use the socket")

    async def until_closed(self) -> float:
        await self._client_left.wait()
        return time.monotonic()

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self.head.set()
        await anyio.lowlevel.checkpoint()

    async def _send(self, data: bytes) -> None:
        await self.output.send(data)

    async def _finish(self) -> None:
        if not self.upgraded:
            self._end(_BodyEnd.FINISHED)

    async def _close(self, code: int = 1000, reason: str = "") -> None:  # noqa: ARG002 - HTTP has no close codes
        self._end(_BodyEnd.FINISHED if self.headers.get("connection") == "close" else _BodyEnd.CLOSED)

    async def _reset(self) -> None:
        self._end(_BodyEnd.RESET)

    def _end(self, end: _BodyEnd) -> None:
        self.body_end = self.body_end or end
        self.output.close()
        self.head.set()


class MemoryEnd(StapledObjectStream[bytes]):
    """The server end of a connection in memory, after an upgrade."""

    def __init__(self, sending: MemoryObjectSendStream[bytes], receiving: MemoryObjectReceiveStream[bytes]) -> None:
        super().__init__(sending, receiving)
        self._ends = sending, receiving
        self.was_reset = False

    def close(self, *, reset: bool = False) -> None:
        """Close the connection. After a reset, the client sees an error instead of an end."""
        self.was_reset = self.was_reset or reset
        for end in self._ends:
            end.close()


class MemorySocket:
    """The client end of an upgraded connection in memory: a :class:`~responses_proto.client.transport.NetworkStream`."""

    def __init__(self) -> None:
        to_client, self._from_server = anyio.create_memory_object_stream[bytes](_MAX_BUFFERED)
        self._to_server, from_client = anyio.create_memory_object_stream[bytes](_MAX_BUFFERED)
        self._received = BufferedByteReceiveStream(self._from_server)
        self.server: MemoryEnd = MemoryEnd(to_client, from_client)

    async def read(self, max_bytes: int) -> bytes:
        """Wait for the next bytes and return them; empty at the end of the connection."""
        try:
            return await self._received.receive(max_bytes)
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            if self.server.was_reset:
                raise unsafe(TransportError("the connection broke: reset by the script")) from None
            return b""

    async def write(self, buffer: bytes) -> None:
        try:
            await self._to_server.send(buffer)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise unsafe(TransportError("the connection broke: the server closed it")) from None

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection at once."""
        self._to_server.close()
        self._from_server.close()

    def get_extra_info(self, info: str) -> None:
        """Return nothing: there is no socket below."""


class MemoryReply:
    """An answer as the client sees it: a :class:`~responses_proto.client.transport.WireReply`."""

    def __init__(self, exchange: MemoryExchange) -> None:
        self._exchange = exchange
        self._closed = False
        self._decompress = decompressor(exchange.headers)
        self.network_stream: NetworkStream | None = exchange.socket if exchange.upgraded else None
        """The connection of a WebSocket."""
        self.status: int = exchange.status
        self.headers: Mapping[str, str] = dict(exchange.headers)

    async def receive(self) -> bytes:
        """Return the next piece of the body, as the server sent it; empty at the end of the body."""
        while not self._closed:
            try:
                piece = self._decompress(await self._exchange.input.receive())
            except anyio.EndOfStream:
                break
            except anyio.ClosedResourceError:
                return b""
            if piece:
                return piece
        if self._closed or self._exchange.body_end is _BodyEnd.FINISHED:
            return b""
        if self._exchange.body_end is _BodyEnd.RESET:
            raise unsafe(TransportError("the connection broke: reset by the script"))
        raise unsafe(StreamTruncated("the server closed the connection before the end of its answer"))

    async def aclose(self) -> None:
        self._closed = True
        self._exchange.leave()


class MemoryTransport:
    """A :class:`~responses_proto.client.transport.Transport` to a fake server without a socket.

    Bodies arrive in the same pieces in which they were sent. A client that does not read makes the server wait. Requests to any host
    are answered. Redirects are not followed.
    """

    def __init__(self, begin: Callable[[MemoryExchange], None], next_number: Callable[[], int]) -> None:
        self._begin = begin
        self._next_number = next_number

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request, and return the answer as soon as its head has arrived."""
        parts = urlsplit(request.url)
        # The server gets plain strings, as over a network. The strings of the client hide secrets in their repr.
        sent = {name: str(value) for name, value in request.headers.items()}
        headers = {"host": parts.netloc.rpartition("@")[2], **sent}
        if request.body:
            headers.setdefault("content-length", str(len(request.body)))
        if request.stream:
            headers.setdefault("accept-encoding", "identity")
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        number = self._next_number()
        exchange = MemoryExchange(
            Request(method=request.method, target=target, headers=headers, body=request.body, connection=number)
        )
        self._begin(exchange)
        try:
            await exchange.head.wait()
        except BaseException:
            exchange.leave()
            raise
        if not exchange.started:
            exchange.leave()
            raise unsafe(TransportError(f"no answer from {origin(request.url)}: the server closed the connection"))
        return MemoryReply(exchange)

    async def aclose(self) -> None:
        """Do nothing: exchanges end with their replies, or with the server."""


def not_running() -> LocalProtocolError:
    """Return the error for a request to a server that is not running."""
    return LocalProtocolError("the fake server is not running: use it inside its `async with` block")
