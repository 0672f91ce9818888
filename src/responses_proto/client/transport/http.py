"""Send HTTP requests with httpx, or with any client that has the same interface: httpx2, or httpx over aiohttp.

**Engines.** :class:`HTTPTransport` drives an object with the methods ``build_request`` and ``send`` of ``httpx.AsyncClient``. If the
caller passes none, it creates one: an httpx client over a pool of httpcore's connections (see ``_pool``). If the environment
names a proxy, httpx's own transport is used instead, because only that one supports proxies.

**Deadlines.** Three parties enforce them:

* The engine enforces ``connect``, also for a place in its pool.
* This module enforces ``write``: it passes on the request body in pieces of 64 KiB, in a cancel scope whose deadline moves with each
  piece. Some engines have no timer for writing.
* :class:`~responses_proto.client.transport._exchange.Exchange` enforces all the others, by cancelling the call. The engine's timeout for
  reads is disabled: it would start again with each byte that arrives.

**Reading.** An event stream is read from the connection itself if that is one of ours. Any other streamed body is read from the response's
raw stream, without httpx's layers for decoding and counting, which do not bound what a few bytes may decode to. If the server compressed the
body, ``_decoding`` decompresses it.

**Errors.** Every exception of an engine passes through ``_errors``, where one table of classes maps it to an exception of this package.

**Closing.** ``response.aclose()`` closes the connection, or returns it to the pool if the body was read to its end. It does not finish the
chain of async generators that the body comes through; :meth:`HTTPReply.aclose` does, because trio and asyncio warn of generators
that the garbage collector finds suspended.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import sys
from collections.abc import AsyncIterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urljoin
from urllib.request import getproxies

import anyio
import anyio.lowlevel

from ...exceptions import LocalProtocolError, TransportError, UsageError
from ._decoding import ACCEPTED, DecodedReply, content_codings
from ._errors import deadline_exceeded, origin, reading_error, sending_error
from ._exchange import shut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from ._pool import EventConnection
    from .base import NetworkStream, WireReply, WireRequest

__all__ = ["HTTPClient", "HTTPReply", "HTTPResponse", "HTTPTransport", "origin"]

_PIECE: Final = 64 * 1024  # bytes of a request body that are written at a time
_MAX_REDIRECTS: Final = 3
# These repeat a POST as a POST (RFC 9110, section 15.4).
_REPEATING_REDIRECTS: Final = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
_KEEPALIVE: Final = 15.0  # seconds; less than servers and their proxies allow, so that they do not close first
_MAX_IDLE: Final = 100  # connections kept for reuse


class HTTPResponse(Protocol):
    """The part of a client's response that is used. ``httpx.Response`` implements it."""

    @property
    def status_code(self) -> int: ...  # noqa: D102 - documented by httpx
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102 - as above
    def aiter_raw(self) -> AsyncIterator[bytes]: ...  # noqa: D102 - as above
    def aiter_bytes(self) -> AsyncIterator[bytes]: ...  # noqa: D102 - as above
    async def aclose(self) -> None: ...  # noqa: D102 - as above


class HTTPClient(Protocol):
    """The part of a client that is used. ``httpx.AsyncClient`` and ``httpx2.AsyncClient`` implement it."""

    @property
    def build_request(self) -> Any:
        """Create a request from ``method``, ``url``, ``headers=``, ``content=`` and ``timeout=``."""
        ...

    @property
    def send(self) -> Any:
        """Send a request. Called with ``stream=True, follow_redirects=False``."""
        ...

    async def aclose(self) -> None:
        """Close the client. Called only if the transport created it."""
        ...


class HTTPTransport:
    """A :class:`~responses_proto.client.transport.Transport` over a client with the interface of httpx.

    ``client`` is used as it is configured (proxies, certificates, headers, pool), except for timeouts and redirects, and never closed.
    Without one, the transport creates an ``httpx.AsyncClient``, and :meth:`aclose` closes it.

    Redirects are followed within the same origin only, and only if they repeat the request (307, 308). An event hook of ``client`` that
    reads the body of a request of more than 64 KiB must call its ``aread()`` first.
    """

    def __init__(self, client: HTTPClient | None = None) -> None:
        self._owned = client is None
        self._client: HTTPClient | None = None
        self._client = client if client is not None else _new_client()

    async def send(self, request: WireRequest) -> WireReply:
        """Send the request, wait for the head of the response, and return the reply, which the caller must close.

        Raises ``LocalProtocolError`` if this transport is closed, ``UsageError`` if the request is not valid HTTP, ``ConnectError``,
        ``DeadlineExceeded`` (``connect``, ``write``), and ``TransportError`` for any other failure.
        """
        client = self._client
        if client is None:
            raise LocalProtocolError("the client is closed: create another one, or stay inside its `async with` block")
        url = request.url
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._send(client, request, url)
            target = _redirect_target(response, url)
            if target is None:
                break
            await HTTPReply(response, raw=True).aclose()
            url = target
        else:
            raise TransportError(f"{origin(url)} redirected more than {_MAX_REDIRECTS} times: is base_url right?")
        reply = HTTPReply(response, raw=request.stream)
        try:
            codings = [] if reply.decoded else content_codings(reply.headers)
        except TransportError:
            await shut(reply)
            raise
        return DecodedReply(reply, codings) if codings else reply

    async def _send(self, client: HTTPClient, request: WireRequest, url: str) -> HTTPResponse:
        timeouts = request.timeouts
        headers = dict(request.headers)
        # A compressor buffers bytes until it has enough of them.
        headers.setdefault("accept-encoding", "identity" if request.stream else ACCEPTED)
        body = _TimedBody(request.body, timeouts.write)
        large = len(request.body) > _PIECE
        if large:
            headers["content-length"] = str(len(request.body))  # otherwise httpx sends an iterable in HTTP chunks
        response: HTTPResponse | None = None
        try:
            sent = client.build_request(
                request.method,
                url,
                headers=headers,
                content=body if large else request.body or None,
                # In httpx's order: connect, read, write, pool.
                timeout=(timeouts.connect, None, timeouts.write, timeouts.connect),
            )
            if request.body:
                _replace_stream(sent, body)
            with body.scope:
                response = await client.send(sent, stream=True, follow_redirects=False)
        except Exception as error:
            raise sending_error(error, url, timeouts) from error
        if response is None:
            raise deadline_exceeded("write", timeouts.write)
        return response

    async def aclose(self) -> None:
        """Close the client if this transport created it. Idempotent; :meth:`send` raises afterwards."""
        client, self._client = self._client, None
        if client is not None and self._owned:
            await client.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._client is None else type(self._client).__name__
        return f"<{type(self).__name__} {state}>"


class HTTPReply:
    """The response of a client with the interface of httpx, as a :class:`~responses_proto.client.transport.WireReply`.

    The body is read as it is on the wire. If the client has read and decoded it already, :attr:`decoded` is true; with ``raw``, that is
    an error.
    """

    __slots__ = ("_closed", "_connection", "_next", "_response", "decoded", "headers", "status")

    def __init__(self, response: HTTPResponse, *, raw: bool) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        # If a hook of the caller's client has read the body, the client has also decoded it.
        self.decoded: bool = not raw and getattr(response, "is_stream_consumed", False)
        self._response = response
        self._connection = None if self.decoded else _event_connection(response)
        self._next: Callable[[], Awaitable[bytes]] | None = None
        self._closed = False

    @property
    def network_stream(self) -> NetworkStream | None:
        """The connection itself if the server switched to another protocol (101), else ``None``."""
        extensions: Mapping[str, Any] = getattr(self._response, "extensions", {})
        stream: NetworkStream | None = extensions.get("network_stream")
        return stream if self.status == HTTPStatus.SWITCHING_PROTOCOLS else None

    async def receive(self) -> bytes:
        """Wait for the next piece of the body and return it; empty at and after the end of the body.

        Raises ``StreamTruncated`` and ``TransportError``.
        """
        try:
            if self._connection is not None:
                piece = await self._connection.receive()
                if piece:
                    return piece
                self._connection = None  # the engine reads the rest
            if self._next is None:
                self._next = self._begin().__anext__
            piece = await self._next()
            while not piece:
                piece = await self._next()
        except StopAsyncIteration:
            return b""
        except Exception as error:
            raise reading_error(error) from error
        return piece

    def _begin(self) -> AsyncIterator[bytes]:
        return self._response.aiter_bytes() if self.decoded else _raw_body(self._response)

    async def aclose(self) -> None:
        """Close the connection, or return it to the pool if the body was read to its end. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._connection = None
        try:
            await self._response.aclose()
        except Exception as error:
            raise reading_error(error) from error
        finally:
            await self._finish_generators()

    async def _finish_generators(self) -> None:
        # The body comes through a chain of async generators, each suspended inside the next. `aclose()` of the outermost would end
        # that one only. On a closed connection, further reads make each of them raise or return, after its buffered data if any.
        if self._next is None:
            return
        try:
            for _ in range(_MAX_BUFFERED_PIECES):
                await self._next()
        except Exception:  # noqa: BLE001, S110 - any exception means that the generators have ended
            pass


_MAX_BUFFERED_PIECES: Final = 64 * 1024  # as many as one read of httpcore's can hold, at one byte each


def _event_connection(response: HTTPResponse) -> EventConnection | None:
    """Return the connection of a response, if the body can be read from it directly."""
    extensions: Mapping[str, Any] = getattr(response, "extensions", {})
    stream = extensions.get("network_stream")
    pool = sys.modules.get(f"{__package__}._pool")  # not loaded, if only other engines were used
    if pool is None or not isinstance(stream, pool.EventConnection):
        return None
    connection = cast("EventConnection", stream)
    return connection if connection.direct else None


def _raw_body(response: HTTPResponse) -> AsyncIterator[bytes]:
    """Return the iterator that `aiter_raw` reads from, which saves two generators per piece.

    If a hook of the caller's client has read the body already, use `aiter_raw`, which raises the right exception.
    """
    stream = getattr(response, "stream", None)
    if isinstance(stream, AsyncIterable) and not getattr(response, "is_stream_consumed", True):
        return aiter(cast("AsyncIterable[bytes]", stream))
    return response.aiter_raw()


def _redirect_target(response: HTTPResponse, url: str) -> str | None:
    """Return the URL at which to repeat a request to ``url``; ``None`` if the response is to be returned to the caller.

    The key and the request are not sent to another origin or to an invalid address.
    """
    target = response.headers.get("location")
    if response.status_code not in _REPEATING_REDIRECTS or not target:
        return None
    try:
        target = urljoin(url, target)
        return target if origin(target) == origin(url) else None
    except ValueError:
        return None


# ---- deadlines


class _TimedBody:
    """A request body in pieces. :attr:`scope` is cancelled if writing one of them takes longer than ``write`` seconds.

    Can be iterated more than once, for clients that send a body again (authentication).
    """

    def __init__(self, body: bytes, write: float | None) -> None:
        self._body = body
        self._write = math.inf if write is None else write
        self.scope = anyio.CancelScope()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _TimedBodyIterator(self)

    def piece_at(self, offset: int) -> bytes:
        """Return the piece at an offset, and restart the timer. Empty after the last piece: then the timer stops."""
        piece = self._body[offset : offset + _PIECE]
        self.scope.deadline = anyio.current_time() + self._write if piece else math.inf
        return piece


class _TimedBodyIterator:
    __slots__ = ("_body", "_offset")

    def __init__(self, body: _TimedBody) -> None:
        self._body = body
        self._offset = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._offset:
            await anyio.lowlevel.checkpoint()  # a fast peer accepts megabytes without making the writer wait
        piece = self._body.piece_at(self._offset)
        if not piece:
            raise StopAsyncIteration
        self._offset += len(piece)
        return piece


def _replace_stream(sent: Any, body: _TimedBody) -> None:
    """Make a request of the client iterate over the body directly.

    By default it would use an async generator, which is left to the garbage collector if writing fails or is cancelled.
    """
    base = next((cls for cls in type(sent.stream).__mro__ if cls.__name__ == "AsyncByteStream"), None)
    if base is not None:
        sent.stream = _stream_class(base)(body)


@functools.cache
def _stream_class(base: type) -> Callable[[_TimedBody], object]:
    """Create a stream class for a library, which requires its own ``AsyncByteStream`` as base class."""
    return type("TimedBodyStream", (_TimedBodyStream, base), {})


class _TimedBodyStream:
    def __init__(self, body: _TimedBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        """Do nothing, because nothing is open."""


# ---- the default engine


def _installed() -> Any:
    """Return httpx, or httpx2 in an environment that has only that."""
    for name in ("httpx", "httpx2"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    raise ImportError("the client needs an HTTP library: pip install httpx, or pip install httpx2")


def _new_client() -> HTTPClient:
    httpx = _installed()
    try:
        verify = httpx.create_ssl_context()
    except OSError as error:  # ssl.SSLError too
        names = (
            ", ".join(name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ) or "those of the system"
        )
        message = f"the certificates of the environment cannot be used ({names}): {error}; or pass http_client=..."
        raise UsageError(message) from error
    if getproxies() or httpx.__name__ != "httpx":
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=_MAX_IDLE, keepalive_expiry=_KEEPALIVE)
        try:
            proxied: HTTPClient = httpx.AsyncClient(verify=verify, limits=limits, follow_redirects=False)
        except Exception:  # noqa: BLE001 - ImportError, ValueError, httpx.InvalidURL; they quote the value, with its password
            names = ", ".join(sorted(name for name in os.environ if name.lower().endswith("_proxy")))
            raise UsageError(
                f"a proxy of the environment cannot be used ({names}): expected http://host:port, or socks5://host:port with "
                "`pip install 'httpx[socks]'`; or pass http_client=..."
            ) from None
        return proxied
    pool = importlib.import_module("responses_proto.client.transport._pool")
    transport = pool.PoolTransport(ssl_context=verify, keepalive=_MAX_IDLE, keepalive_expiry=_KEEPALIVE)
    client: HTTPClient = httpx.AsyncClient(transport=transport, follow_redirects=False)
    return client
