"""HTTP by way of httpx, or of anything shaped like it, such as httpx2 or an httpx client over aiohttp.

The one place where errors of such clients become errors of this package. They are told apart by the names of their
classes, which all of these libraries share, so that none of them needs to be imported for another's sake.
"""

from __future__ import annotations

import errno
import functools
import importlib
import math
import os
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import anyio

from ...exceptions import (
    ConnectError,
    DeadlineExceeded,
    LocalProtocolError,
    ResponsesProtoError,
    StreamTruncated,
    TransportError,
)
from ..timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from ...exceptions import RetrySafety
    from .base import WireReply, WireRequest

__all__ = ["HTTPClient", "HTTPReply", "HTTPResponse", "HTTPTransport", "NetworkStream", "broken", "origin"]

_PIECE: Final = 64 * 1024  # bytes of a request's body that are written at a time; one of more is a large one
_REDIRECTS: Final = 3  # followed, within one origin; more is a loop
_KEEPS_METHOD: Final = frozenset({307, 308})  # the redirects that repeat a POST as a POST
_KEEPALIVE: Final = 15.0  # seconds; below what servers and their proxies allow, so that they are not the first to close
_SWITCHED: Final = 101  # HTTP's number for a protocol that follows this one
_IDLE: Final = 100  # connections kept for reuse


class HTTPResponse(Protocol):
    """What is used of an answer of such a client."""

    @property
    def status_code(self) -> int: ...  # noqa: D102 - httpx documents its own
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102 - as above
    def aiter_raw(self) -> AsyncIterator[bytes]: ...  # noqa: D102 - as above
    def aiter_bytes(self) -> AsyncIterator[bytes]: ...  # noqa: D102 - as above
    async def aclose(self) -> None: ...  # noqa: D102 - as above


class HTTPClient(Protocol):
    """What is used of a client: ``httpx.AsyncClient`` and ``httpx2.AsyncClient`` fit."""

    @property
    def build_request(self) -> Any:
        """Make a request of method, URL, headers, content and timeout."""
        ...

    @property
    def send(self) -> Any:
        """Send it; used with ``stream=True, follow_redirects=False``."""
        ...

    async def aclose(self) -> None:
        """Close it; called only if the transport made it."""
        ...


class NetworkStream(Protocol):
    """A connection, as such a client hands it over: an ``AsyncNetworkStream`` of httpcore's fits."""

    async def read(self, max_bytes: int) -> bytes:
        """Wait for the next bytes; empty at the end."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...

    def get_extra_info(self, info: str) -> Any:
        """Give something of what it is made of, such as its ``socket``."""
        ...


class HTTPTransport:
    """A :class:`~responses_proto.client.transport.Transport` over a client of the caller's, or one of its own.

    The caller's client is used as it is set up (proxies, certificates, headers, pool) but for timeouts and redirects, and never
    closed. Redirects are followed to the same origin only, and only those that repeat the request as it was. A hook of the
    caller's client that wants to see the body of a large request has to ``aread()`` it.
    """

    def __init__(self, client: HTTPClient | None = None) -> None:
        self._owned = client is None
        self._client: HTTPClient | None = client if client is not None else _new_client()

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request and wait for the head of its answer."""
        client = self._client
        if client is None:
            raise LocalProtocolError("the client is closed: make another one, or stay inside its `async with` block")
        url = request.url
        for _ in range(_REDIRECTS + 1):
            sent, response = await self._send(client, request, url)
            target = response.headers.get("location")
            if response.status_code not in _KEEPS_METHOD or not target:
                break
            target = urljoin(url, target)
            if origin(target) != origin(url):
                break  # neither the key nor the request is for others: the caller gets to see the redirect
            await response.aclose()
            url = target
        else:
            raise TransportError(f"{origin(url)} redirects in circles")
        between_bytes = request.timeouts.between_bytes if _bound_reads(sent, response, request.timeouts) else None
        return HTTPReply(response, raw=request.stream, between_bytes=between_bytes)

    async def _send(self, client: HTTPClient, request: WireRequest, url: str) -> tuple[Any, HTTPResponse]:
        timeouts = request.timeouts
        headers = dict(request.headers)
        if request.stream:
            # A compressor holds bytes back until it has enough of them.
            headers.setdefault("accept-encoding", "identity")
        body = _Pieces(request.body, timeouts.write)
        large = len(request.body) > _PIECE
        if large:
            headers["content-length"] = str(len(request.body))  # else it would go in HTTP chunks
        response: HTTPResponse | None = None
        try:
            sent = client.build_request(
                request.method,
                url,
                headers=headers,
                content=body if large else request.body or None,
                # In the order of httpx: connect, read, write, pool.
                timeout=(timeouts.connect, _longest_read(timeouts), timeouts.write, timeouts.connect),
            )
            if request.body:
                _take_over(sent, body)
            with body.scope:
                response = await client.send(sent, stream=True, follow_redirects=False)
        except Exception as error:
            raise _translated(error, url, timeouts, sending=True) from error
        if response is None:
            raise _late("write", timeouts, "unsafe")
        return sent, response

    async def aclose(self) -> None:
        """Close the client if it is this transport's own."""
        client, self._client = self._client, None
        if client is not None and self._owned:
            await client.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._client is None else type(self._client).__name__
        return f"<{type(self).__name__} {state}>"


class HTTPReply:
    """An answer of an httpx-shaped client, as a :class:`~responses_proto.client.transport.WireReply`."""

    __slots__ = ("_between_bytes", "_closed", "_next", "_pieces", "_response", "headers", "keeps_time", "status")

    def __init__(self, response: HTTPResponse, *, raw: bool, between_bytes: float | None = None) -> None:
        self.keeps_time: bool = between_bytes is not None
        self._between_bytes = between_bytes
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        # Some servers and proxies compress what they were asked not to.
        plain = raw and self.headers.get("content-encoding", "identity").strip().lower() in ("", "identity")
        self._response = response
        self._pieces = _pieces_of(response) if plain else response.aiter_bytes()
        self._next = self._pieces.__anext__
        self._closed = False

    @property
    def network_stream(self) -> NetworkStream | None:
        """The connection itself, once the server has changed over to another protocol (101); ``None`` if it did not."""
        extensions: Mapping[str, Any] = getattr(self._response, "extensions", {})
        stream: NetworkStream | None = extensions.get("network_stream")
        return stream if self.status == _SWITCHED else None

    async def receive(self) -> bytes:
        """Wait for the next piece of the body; empty at its end."""
        try:
            piece = await self._next()
            while not piece:  # a decoder may have nothing to show yet
                piece = await self._next()
        except StopAsyncIteration:
            return b""
        except Exception as error:
            timeouts = Timeouts(between_bytes=self._between_bytes)
            raise _translated(error, "", timeouts, sending=False) from error
        return piece

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._response.aclose()
        except Exception as error:
            raise _translated(error, "", None, sending=False) from error
        finally:
            await self._unwind()

    async def _unwind(self) -> None:
        # The pieces come through a chain of async generators, each suspended inside the next. Left like that they would
        # be finished off by the garbage collector, which trio warns of. Now that the connection is closed, reading
        # on makes each of them end by itself, at the latest after what had been buffered.
        try:
            for _ in range(_BUFFERED_PIECES):
                await self._next()
        except Exception:  # noqa: BLE001, S110 - the read of a closed connection fails, in whatever way; that is what it is for
            pass


def _pieces_of(response: HTTPResponse) -> AsyncIterator[bytes]:
    """Give the body as it comes, from where `aiter_raw` has it, which passes each piece through a layer that does nothing here.

    Not if somebody else, a hook of the caller's client, has read it: `aiter_raw` knows what to say then.
    """
    stream = getattr(response, "stream", None)
    if isinstance(stream, AsyncIterable) and not getattr(response, "is_stream_consumed", True):
        return aiter(cast("AsyncIterable[bytes]", stream))
    return response.aiter_raw()


_BUFFERED_PIECES: Final = 64 * 1024  # as many as fit into one read of httpcore's, at a byte each


def _longest_read(timeouts: Timeouts) -> float | None:
    # For the head of the answer, whose bound is kept by whoever waits for it: this one is the net below that.
    bounds = (timeouts.first_byte, timeouts.between_bytes)
    return None if None in bounds else max(bound for bound in bounds if bound is not None) + 1


def _bound_reads(sent: Any, response: Any, timeouts: Timeouts) -> bool:
    """Have the reads of the body bounded by the library's own timer. Tells whether that is so.

    httpcore looks at the request's timeouts again when the body is read. It is at work where an answer comes with its
    network stream; behind other transports the caller's timer has to do.
    """
    known = sent.extensions.get("timeout")
    if timeouts.between_bytes is None or not isinstance(known, dict) or "network_stream" not in response.extensions:
        return False
    known["read"] = timeouts.between_bytes
    return True


class _Pieces:
    """A body in pieces. Each has to be written within ``write`` seconds, or :attr:`scope` is cancelled.

    Not every library has a timer for writing. Can be iterated again, for clients that have to send it twice.
    """

    def __init__(self, body: bytes, write: float | None) -> None:
        self._body = body
        self._write = math.inf if write is None else write
        self.scope = anyio.CancelScope()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _PieceIterator(self)

    def piece(self, at: int) -> bytes:
        """Give the piece that begins at an offset, empty behind the last: then everything is written."""
        piece = self._body[at : at + _PIECE]
        self.scope.deadline = anyio.current_time() + self._write if piece else math.inf
        return piece


class _PieceIterator:
    __slots__ = ("_at", "_pieces")

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces
        self._at = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._pieces.piece(self._at)
        if not piece:
            raise StopAsyncIteration
        self._at += len(piece)
        return piece


def _take_over(sent: Any, body: _Pieces) -> None:
    """Have an httpx-shaped request iterate over the pieces themselves, not over an async generator of that library's.

    Where writing fails, or is cancelled, that would be left to the garbage collector, and trio warns of it.
    """
    base = next((cls for cls in type(sent.stream).__mro__ if cls.__name__ == "AsyncByteStream"), None)
    if base is not None:
        sent.stream = _stream_class(base)(body)


@functools.cache
def _stream_class(base: type) -> Callable[[_Pieces], object]:
    return type("PiecesStream", (_PiecesStream, base), {})


class _PiecesStream:
    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._pieces)

    async def aclose(self) -> None:
        """Do nothing: there is nothing open."""


def _new_client() -> HTTPClient:
    httpx = importlib.import_module("httpx")
    if getproxies():  # which only a transport that httpx makes itself knows to use
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=_IDLE, keepalive_expiry=_KEEPALIVE)
        proxied: HTTPClient = httpx.AsyncClient(limits=limits, follow_redirects=False)
        return proxied
    coalesce = importlib.import_module("responses_proto.client.transport._coalesce")
    transport = coalesce.CoalescingTransport(keepalive=_IDLE, keepalive_expiry=_KEEPALIVE)
    client: HTTPClient = httpx.AsyncClient(transport=transport, follow_redirects=False)
    return client


def origin(url: str) -> str:
    """Give scheme, host and port of a URL: whom a key is meant for. Without the user name and password it may hold."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    port = parts.port if parts.port is not None else {"http": 80, "https": 443}.get(parts.scheme)
    shown = "" if {"http": 80, "https": 443}.get(parts.scheme) == port else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


# ---- errors


def _translated(error: Exception, url: str, timeouts: Timeouts | None, *, sending: bool) -> ResponsesProtoError:
    if isinstance(error, ResponsesProtoError):
        return error  # a client of the caller's own making may speak our language
    names = {cls.__name__ for cls in type(error).__mro__}
    reason, is_systems = _reason(error)
    if is_systems and "ConnectTimeout" in names:
        names = {"ConnectError", "Exception"}  # httpx-aiohttp calls every failure to connect a timeout
    if not sending and _ended_early(error):
        names = {"RemoteProtocolError", "Exception"}
    names = _unmixed(names, error.__cause__)
    rules = _SENDING if sending else _READING
    make = next(make for name, make in rules if name in names)
    return make(reason, origin(url) if url else "", timeouts)


def broken(error: Exception) -> ResponsesProtoError:
    """Make the error of a connection that broke while it was used, as the client's library tells of it."""
    return _translated(error, "", None, sending=False)


def _ended_early(error: Exception) -> bool:
    """Whether aiohttp met a proper end of the connection before the end of the body.

    It has one exception for that and for a connection that broke; only the words tell them apart, which then quote the error.
    """
    payload = next((cause for cause in _walk(error) if type(cause).__name__ == "ClientPayloadError"), None)
    return payload is not None and "Error(" not in str(payload)


def _unmixed(names: set[str], cause: BaseException | None) -> set[str]:
    """Tell apart what httpx-aiohttp gives one name: aiohttp's own errors, behind it, say whether there ever was a connection."""
    behind = {cls.__name__ for cls in type(cause).__mro__}
    if "ServerDisconnectedError" in behind or ("ClientOSError" in behind and "ClientConnectorError" not in behind):
        return {"Exception"}  # it broke later than while connecting: the request may have done something
    return names


def _late(kind: str, timeouts: Timeouts | None, replay: RetrySafety) -> DeadlineExceeded:
    limit: float | None = getattr(timeouts, kind, None)
    error = DeadlineExceeded(kind, limit or 0.0, limit=limit)
    error.retry_safety = replay
    return error


# Name of a class, or of one that it inherits from -> what becomes of it, given the reason, the origin and the timeouts. The
# first that fits counts; every exception is an Exception.
_Rules: TypeAlias = "tuple[tuple[str, Callable[[str, str, Timeouts | None], ResponsesProtoError]], ...]"
_SENDING: Final[_Rules] = (
    ("ConnectTimeout", lambda _why, _where, timeouts: _late("connect", timeouts, "safe")),
    ("PoolTimeout", lambda _why, _where, timeouts: _late("connect", timeouts, "safe")),
    ("WriteTimeout", lambda _why, _where, timeouts: _late("write", timeouts, "unsafe")),
    ("ReadTimeout", lambda _why, _where, timeouts: _late("first_byte", timeouts, "unsafe")),
    ("ConnectError", lambda why, where, _timeouts: ConnectError(f"cannot connect to {where}: {why}")),
    ("ProxyError", lambda why, where, _timeouts: ConnectError(f"the proxy does not connect to {where}: {why}")),
    ("UnsupportedProtocol", lambda why, _where, _timeouts: LocalProtocolError(f"the request cannot be sent: {why}")),
    ("InvalidURL", lambda why, _where, _timeouts: LocalProtocolError(f"the request cannot be sent: {why}")),
    ("LocalProtocolError", lambda why, _where, _timeouts: LocalProtocolError(f"the request cannot be sent: {why}")),
    ("Exception", lambda why, where, _timeouts: _unsafe(TransportError(f"no answer from {where}: {why}"))),
)
_READING: Final[_Rules] = (
    ("ReadTimeout", lambda _why, _where, timeouts: _late("between_bytes", timeouts, "unsafe")),
    (
        "RemoteProtocolError",
        lambda why, _where, _timeouts: _unsafe(
            StreamTruncated(f"the server closed the connection before the end of its answer: {why}")
        ),
    ),
    ("Exception", lambda why, _where, _timeouts: _unsafe(TransportError(f"the connection broke: {why}"))),
)


def _unsafe(error: TransportError) -> TransportError:
    error.retry_safety = "unsafe"
    return error


def _reason(error: BaseException) -> tuple[str, bool]:
    """Find the sentence that says most, and tell whether it is the operating system's, which clients bury under theirs."""
    told = str(error) or type(error).__name__
    for cause in _walk(error):
        if isinstance(cause, OSError) and cause.strerror:
            # Event loops write their own sentence next to the number. The numbers of TLS errors are not the system's.
            is_systems = cause.errno in errno.errorcode and not hasattr(cause, "reason")
            told = os.strerror(cast("int", cause.errno)) if is_systems else cause.strerror
            # The nearest counts: what is farther may be what the caller was handling when it called.
            return " ".join(told.split()), is_systems
    return " ".join(told.split()), False


def _walk(error: BaseException) -> Iterable[BaseException]:
    """Give an exception and what is behind it, in the order of a traceback's story, the nearest first."""
    stack: list[BaseException] = [error]
    seen: set[int] = set()
    while stack and len(seen) < _DEEPEST:
        error = stack.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        behind = (
            error.__cause__ or error.__context__
        )  # also where that is suppressed: httpcore's pool hides the cause so
        if behind is not None:
            stack.append(behind)
        if isinstance(error, BaseExceptionGroup):
            stack += cast("BaseExceptionGroup[BaseException]", error).exceptions


_DEEPEST: Final = 50  # exceptions under an exception that are looked at
