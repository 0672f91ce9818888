"""HTTP by way of httpx, or of anything shaped like it, such as httpx2 or an httpx client over aiohttp.

The one place where errors of such clients become errors of this package. They are told apart by the names of their
classes, which all of these libraries share, so that none of them needs to be imported for another's sake.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urljoin, urlsplit

from ..exceptions import (
    ConnectError,
    DeadlineExceeded,
    LocalProtocolError,
    ResponsesProtoError,
    StreamTruncated,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence

    from ..timeouts import Timeouts
    from .transport import WireReply, WireRequest

__all__ = ["HTTPClient", "HTTPReply", "HTTPResponse", "HTTPTransport", "origin"]

_PIECE: Final = 64 * 1024  # bytes of a request's body that are written at a time
_REDIRECTS: Final = 3  # followed, within one origin; more is a loop
_KEEPS_METHOD: Final = frozenset({307, 308})  # the redirects that repeat a POST as a POST
_KEEPALIVE: Final = 15.0  # seconds; below what servers and their proxies allow, so that they are not the first to close
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


class HTTPTransport:
    """A :class:`~responses_proto.aio.transport.Transport` over a client of the caller's, or one of its own.

    The caller's client is used as it is set up (proxies, certificates, headers, pool) but for timeouts and redirects, and never
    closed. Redirects are followed to the same origin only, and only those that repeat the request as it was.
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
            response = await self._send(client, request, url)
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
        return HTTPReply(response, raw=request.stream)

    async def _send(self, client: HTTPClient, request: WireRequest, url: str) -> HTTPResponse:
        timeouts = request.timeouts
        headers = dict(request.headers)
        content: bytes | AsyncIterable[bytes] = request.body
        if request.stream:
            # A compressor holds bytes back until it has enough of them.
            headers.setdefault("accept-encoding", "identity")
        if len(request.body) > _PIECE:
            # In pieces, so that `write` bounds each of them and the event loop is not held up by the copy.
            headers["content-length"] = str(len(request.body))
            content = _Pieces(request.body)
        try:
            sent = client.build_request(
                request.method,
                url,
                headers=headers,
                content=content or None,
                # In the order of httpx: connect, read, write, pool. What is read is bounded by whoever reads.
                timeout=(timeouts.connect, None, timeouts.write, timeouts.connect),
            )
            response: HTTPResponse = await client.send(sent, stream=True, follow_redirects=False)
        except Exception as error:
            raise _translated(error, url, timeouts, sending=True) from error
        return response

    async def aclose(self) -> None:
        """Close the client if it is this transport's own."""
        client, self._client = self._client, None
        if client is not None and self._owned:
            await client.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._client is None else type(self._client).__name__
        return f"<{type(self).__name__} {state}>"


class HTTPReply:
    """An answer of an httpx-shaped client, as a :class:`~responses_proto.aio.transport.WireReply`."""

    __slots__ = ("_closed", "_next", "_pieces", "_response", "headers", "status")

    def __init__(self, response: HTTPResponse, *, raw: bool) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        # Some servers and proxies compress what they were asked not to.
        plain = raw and self.headers.get("content-encoding", "identity").strip().lower() in ("", "identity")
        self._response = response
        self._pieces = response.aiter_raw() if plain else response.aiter_bytes()
        self._next = self._pieces.__anext__
        self._closed = False

    async def receive(self) -> bytes:
        """Wait for the next piece of the body; empty at its end."""
        try:
            while True:
                piece = await self._next()
                if piece:  # a decoder may have nothing to show yet
                    return piece
        except StopAsyncIteration:
            return b""
        except Exception as error:
            raise _translated(error, "", None, sending=False) from error

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


_BUFFERED_PIECES: Final = 64 * 1024  # as many as fit into one read of httpcore's, at a byte each


class _Pieces:
    """A body, cut. Can be iterated again, for clients that have to send it twice."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _PieceIterator(self._body)


class _PieceIterator:
    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._body[self._at : self._at + _PIECE]
        if not piece:
            raise StopAsyncIteration
        self._at += _PIECE
        return piece


def _new_client() -> HTTPClient:
    httpx = importlib.import_module("httpx")
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=_IDLE, keepalive_expiry=_KEEPALIVE)
    client: HTTPClient = httpx.AsyncClient(limits=limits, follow_redirects=False)
    return client


def origin(url: str) -> str:
    """Give scheme, host and port of a URL: whom a key is meant for. Without the user name and password it may hold."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    port = parts.port if parts.port is not None else {"http": 80, "https": 443}.get(parts.scheme)
    shown = "" if {"http": 80, "https": 443}.get(parts.scheme) == port else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


# ---- errors

_CONNECT: Final = frozenset({"ConnectError", "ProxyError"})
_CONNECT_TIMEOUT: Final = frozenset({"ConnectTimeout", "PoolTimeout"})
_OURS_TO_BLAME: Final = frozenset({"UnsupportedProtocol", "InvalidURL", "LocalProtocolError", "CookieConflict"})


def _translated(error: Exception, url: str, timeouts: Timeouts | None, *, sending: bool) -> ResponsesProtoError:
    names = {cls.__name__ for cls in type(error).__mro__}
    reason = _reason(error)
    if isinstance(error, ResponsesProtoError):
        return error  # from a transport of the caller's own making
    if names & _CONNECT_TIMEOUT:
        limit = timeouts.connect if timeouts else None
        deadline = DeadlineExceeded("connect", limit or 0.0, limit=limit)
        deadline.replay = "safe"
        return deadline
    if "WriteTimeout" in names:
        limit = timeouts.write if timeouts else None
        return _unsafe(DeadlineExceeded("write", limit or 0.0, limit=limit))
    if names & _CONNECT and sending:
        return ConnectError(f"cannot connect to {origin(url)}: {reason}")
    if names & _OURS_TO_BLAME and sending:
        return LocalProtocolError(f"the request cannot be sent: {reason}")
    if "RemoteProtocolError" in names and not sending:
        return _unsafe(StreamTruncated(f"the server closed the connection before the end of its answer: {reason}"))
    if sending:
        return _unsafe(TransportError(f"no answer from {origin(url)}: {reason}"))
    return _unsafe(TransportError(f"the connection broke: {reason}"))


def _unsafe(error: TransportError) -> TransportError:
    error.replay = "unsafe"
    return error


def _reason(error: BaseException) -> str:
    """Find the sentence that says most: the operating system's, which clients bury under several of their own."""
    told = str(error) or type(error).__name__
    queue: list[BaseException] = [error]
    for cause in _walk(queue):
        if isinstance(cause, OSError) and cause.strerror:
            told = cause.strerror
    return " ".join(told.split())


def _walk(queue: list[BaseException]) -> Iterable[BaseException]:
    seen: set[int] = set()
    while queue and len(seen) < _DEEPEST:
        error = queue.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        under: Sequence[BaseException | None] = (error.__cause__, error.__context__)
        queue += [one for one in under if one is not None]
        if isinstance(error, BaseExceptionGroup):
            queue += cast("BaseExceptionGroup[BaseException]", error).exceptions


_DEEPEST: Final = 50  # exceptions under an exception that are looked at
