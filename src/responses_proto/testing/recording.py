"""Record real traffic: :func:`record` for a client that accepts a transport, :class:`RecordingServer` for any other client."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, Final, Self, cast
from urllib.parse import urlsplit, urlunsplit

import anyio
import attrs

from ..client._address import normalize_base_url, resolve_endpoint
from ..client.transport._exchange import shut
from ..client.transport.base import WireRequest
from ..client.transport.http import HTTPTransport
from ..exceptions import DeadlineExceeded, LocalProtocolError, StreamTruncated, TransportError
from ..protocol.sse import encode_frame
from ._redaction import Redaction, safe_query
from .cassettes import Cassette, RecordedExchange, endpoint_of
from .fake.exchange import SWITCHED, ends_response, message_method, message_object
from .fake.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from wsproto.connection import Connection as Frames

    from ..client.transport.base import NetworkStream, Transport, UpgradedReply, WireReply
    from ..client.transport.http import HTTPClient
    from .cassettes import AnswerEnd
    from .fake._sockets import Connection
    from .fake.exchange import Request, ServerExchange
    from .fake.script import Scriptable

__all__ = ["Recorder", "RecordingServer", "record"]


def record(path: str | os.PathLike[str], http_client: HTTPClient | Transport | None = None) -> Recorder:
    """Return a transport that records its traffic. Pass it to ``ResponsesClient(http_client=...)`` inside its ``async with`` block.

    The file is written when the block is left. ``http_client`` is as for ``ResponsesClient``; the caller closes it.
    """
    return Recorder(path, http_client)


class Recorder:
    """A :class:`~responses_proto.client.transport.Transport` that records the traffic of another. Created by :func:`record`."""

    def __init__(self, path: str | os.PathLike[str], http_client: HTTPClient | Transport | None = None) -> None:
        self._path = path
        self._owned = http_client is None or hasattr(http_client, "build_request")
        self._inner: Transport = (
            HTTPTransport(cast("HTTPClient | None", http_client)) if self._owned else cast("Transport", http_client)
        )
        self.cassette: Cassette = Cassette()
        """The recording, without secrets; empty until the block is left."""
        self._open: list[_OpenExchange] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.cassette.exchanges = [each.redacted() for each in self._open]
            self.cassette.save(self._path)
        finally:
            if self._owned:
                await shut(self._inner)

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request and record it. For a WebSocket, record its messages."""
        open_exchange = self._begin(request)
        try:
            reply = await self._inner.send(request)
        except TransportError:
            open_exchange.exchange.end = "unanswered"
            raise
        stream: NetworkStream | None = getattr(reply, "network_stream", None)
        if reply.status == SWITCHED and stream is not None:
            self._open.remove(open_exchange)
            return _RecordedUpgrade(reply, _RecordedStream(stream, request, reply, self._begin))
        open_exchange.record_head(reply)
        return _RecordedReply(reply, open_exchange)

    async def aclose(self) -> None:
        """Do nothing. Leaving the block closes the transport."""

    def _begin(self, request: WireRequest) -> _OpenExchange:
        open_exchange = _OpenExchange(request)
        self._open.append(open_exchange)
        return open_exchange


class _OpenExchange:
    """An exchange that is being recorded."""

    def __init__(self, request: WireRequest) -> None:
        parts = urlsplit(request.url)
        self._redaction = Redaction(request.url, request.headers, request.body)
        self._headers: dict[str, str] = {}
        self._started = time.monotonic()
        self.exchange = RecordedExchange(
            method=request.method,
            path=endpoint_of(parts.path),
            query=safe_query(parts.query),
            request_headers=request.headers,
            request_body=request.body,
        )

    def record_head(self, reply: WireReply) -> None:
        self.exchange.status = reply.status
        self.exchange.head_after = self._now()
        self._headers = dict(reply.headers)

    def record_piece(self, piece: bytes) -> None:
        self.exchange.pieces.append((self._now(), piece))

    def record_failure(self, error: Exception) -> None:
        if not isinstance(error, DeadlineExceeded):  # after a deadline, the client gave up, and the answer stays `left`
            self.exchange.end = "closed" if isinstance(error, StreamTruncated) else "reset"

    def _now(self) -> float:
        return round(time.monotonic() - self._started, 4)

    def redacted(self) -> RecordedExchange:
        """Return the exchange without its secrets."""
        exchange, redaction = self.exchange, self._redaction
        redaction.add(self._headers, exchange.body)
        body = redaction(exchange.body)
        pieces: list[tuple[float, bytes]] = []
        position = 0
        for at, piece in exchange.pieces:
            pieces.append((at, body[position : position + len(piece)]))
            position += len(piece)
        return attrs.evolve(
            exchange,
            path=redaction(exchange.path.encode()).decode(),
            request_body=redaction.body(exchange.request_body),
            request_headers=redaction.headers(exchange.request_headers),
            headers=redaction.headers(self._headers),
            pieces=pieces,
        )


class _RecordedReply:
    """A reply that records what the client reads."""

    def __init__(self, reply: WireReply, open_exchange: _OpenExchange) -> None:
        self._reply = reply
        self._open_exchange = open_exchange
        self.status = reply.status
        self.headers = reply.headers

    async def receive(self) -> bytes:
        try:
            piece = await self._reply.receive()
        except TransportError as error:
            self._open_exchange.record_failure(error)
            raise
        if piece:
            self._open_exchange.record_piece(piece)
        else:
            self._open_exchange.exchange.end = "finished"
        return piece

    async def aclose(self) -> None:
        await self._reply.aclose()


# ---- WebSocket


class _RecordedUpgrade:
    """The reply that opens a WebSocket whose messages are recorded."""

    def __init__(self, reply: WireReply, stream: _RecordedStream) -> None:
        self._reply = reply
        self.network_stream = stream
        self.status = reply.status
        self.headers = reply.headers

    async def receive(self) -> bytes:
        return await self._reply.receive()

    async def aclose(self) -> None:
        await self._reply.aclose()


class _RecordedStream:
    """The connection of a WebSocket. Each message of the client begins an exchange, and each message of the server belongs to one.

    It belongs to the exchange with the same ``stream_id``, or else to the last one.
    """

    def __init__(
        self,
        stream: NetworkStream,
        handshake: WireRequest,
        reply: WireReply,
        begin: Callable[[WireRequest], _OpenExchange],
    ) -> None:
        from wsproto.connection import Connection as Frames  # noqa: PLC0415 - needs an extra
        from wsproto.connection import ConnectionType  # noqa: PLC0415 - as above

        self._stream = stream
        self._handshake = handshake
        self._reply = reply
        self._begin = begin
        self._sent, self._received = Frames(ConnectionType.SERVER), Frames(ConnectionType.CLIENT)
        self._partial: dict[Frames, bytes] = {self._sent: b"", self._received: b""}
        self._lanes: dict[object, _OpenExchange] = {}
        self._last: _OpenExchange | None = None

    async def read(self, max_bytes: int) -> bytes:
        try:
            data = await self._stream.read(max_bytes)
        except TransportError as error:
            self._end("closed" if isinstance(error, StreamTruncated) else "reset")
            raise
        except Exception:
            self._end("reset")
            raise
        for message in self._messages(self._received, data):
            self._record_answer(message)
        if not data:
            self._end("closed")
        return data

    async def write(self, buffer: bytes) -> None:
        for message in self._messages(self._sent, buffer):
            self._record_message(message)
        await self._stream.write(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _messages(self, frames: Frames, data: bytes) -> list[bytes]:
        """Return the messages that are completed by the data."""
        from wsproto import events  # noqa: PLC0415 - needs an extra

        complete: list[bytes] = []
        with contextlib.suppress(Exception):  # invalid data fails in the code that reads it, not here
            frames.receive_data(data or None)
            for event in frames.events():
                if isinstance(event, events.Message):
                    piece = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    self._partial[frames] += piece
                    if event.message_finished:
                        complete.append(self._partial[frames])
                        self._partial[frames] = b""
                elif isinstance(event, events.CloseConnection) and frames is self._received:
                    self._end("closed")
        return complete

    def _record_message(self, message: bytes) -> None:
        value = message_object(message)
        request = attrs.evolve(self._handshake, method=message_method(value), body=message)
        open_exchange = self._begin(request)
        self._last = self._lanes[value.get("stream_id")] = open_exchange
        exchange = open_exchange.exchange
        open_exchange.record_head(self._reply)
        exchange.status, exchange.message = 200, True
        if request.method != "POST":
            exchange.end = "finished"  # it needs no answer

    def _record_answer(self, message: bytes) -> None:
        value = message_object(message)
        open_exchange = self._lanes.get(value.get("stream_id"), self._last)
        if open_exchange is not None:
            open_exchange.record_piece(encode_frame(message))
            if ends_response(value):
                open_exchange.exchange.end = "finished"

    def _end(self, end: AnswerEnd) -> None:
        for each in self._lanes.values():
            if each.exchange.end == "left":
                each.exchange.end = end


# ---- any client


_HOP_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}
    | {"sec-websocket-extensions"}
)
"""Headers that belong to one connection, or describe compression, which is undone here. They are not forwarded."""
_READ: Final = 64 * 1024  # bytes


class RecordingServer(FakeServer):
    """A server that forwards every request to a real server, and writes a cassette when its ``async with`` block is left.

    ``path``: the file of the cassette.
    ``base_url``: the real server. The default is ``RESPONSES_BASE_URL`` in the environment, or else OpenAI's address.
    ``http_client``: as for ``ResponsesClient``.

    Requests are forwarded with their credentials, which are left out of the file. Raises ``UsageError`` for an invalid base URL.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        base_url: str | None = None,
        *,
        http_client: HTTPClient | Transport | None = None,
    ) -> None:
        super().__init__(self._forward, check_requests=False)
        provider, url, _ = resolve_endpoint(base_url, None, None, os.environ)
        self._base_url = normalize_base_url(url, provider)
        self._path = path
        self._http_client = http_client
        self._recorder: Recorder | None = None
        self._upgraded: dict[int, UpgradedReply] = {}

    async def __aenter__(self) -> Self:
        self._recorder = record(self._path, self._http_client)
        await self._recorder.__aenter__()
        return await super().__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await super().__aexit__(exc_type, exc, traceback)
        finally:
            recorder, self._recorder = self._recorder, None
            if recorder is not None:
                await recorder.__aexit__(None, None, None)

    def _script_for(self, request: Request) -> Scriptable:  # noqa: ARG002 - it is the same for all
        return self._forward

    async def _forward(self, exchange: ServerExchange) -> None:
        received = exchange.request
        if self._recorder is None:
            raise LocalProtocolError("the server is not running: use it inside its `async with` block")
        headers = {name: value for name, value in received.headers.items() if name not in _HOP_HEADERS}
        if received.wants_websocket:
            headers["connection"] = "upgrade"
        request = WireRequest(
            method=received.method,
            url=self._url_of(received.target),
            headers=headers,
            body=received.body,
            stream=received.wants_stream or received.wants_websocket,
        )
        try:
            reply = await self._recorder.send(request)
        except TransportError:
            await exchange.close()
            return
        headers = {name: value for name, value in reply.headers.items() if name not in _HOP_HEADERS}
        if reply.status == SWITCHED:
            self._upgraded[received.connection] = cast("UpgradedReply", reply)
            await exchange.start(SWITCHED, headers=headers, content_type=None)
            return
        try:
            await exchange.start(reply.status, headers=headers, content_type=None)
            while piece := await reply.receive():
                await exchange.send(piece)
            await exchange.finish()
        except TransportError:
            await exchange.reset()
        finally:
            await shut(reply)

    async def _serve_messages(self, connection: Connection, handshake: Request) -> None:
        """Forward bytes in both directions until one side closes the connection."""
        reply = self._upgraded.pop(handshake.connection)
        upstream = cast("NetworkStream", reply.network_stream)
        try:
            async with anyio.create_task_group() as tasks:

                async def pass_down() -> None:
                    with self._errors_kept(), contextlib.suppress(Exception):
                        while data := await upstream.read(_READ):
                            await connection.stream.send(data)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(pass_down)
                data, _ = connection.http.trailing_data
                while data or (data := await connection.receive()):
                    await upstream.write(data)
                    data = b""
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await upstream.aclose()
                await shut(reply)
                await connection.stream.aclose()

    def _url_of(self, target: str) -> str:
        base, received = urlsplit(self._base_url), urlsplit(target)
        query = "&".join(each for each in (base.query, received.query) if each)
        return urlunsplit((base.scheme, base.netloc, base.path + received.path.removeprefix("/v1"), query, ""))
