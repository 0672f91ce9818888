"""An HTTP transport that connects only to allowed hosts, for sessions with the MCP servers that a request names.

Importing this module imports ``httpx2``, a dependency of the ``mcp`` SDK. The checks are those of :mod:`._hosts`. They are made at this
level, below HTTP, so that they also cover redirects, retries, and names whose address changes.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import httpcore2
import httpx2

from ..exceptions import ConnectError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from ._hosts import AllowedHosts

_MAX_CONNECTIONS: Final = 10
_KEEPALIVE: Final = 5.0  # seconds
_MAX_ADDRESSES: Final = 4
"""The maximum number of addresses of one name that are tried."""


class GuardedTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport without proxies that checks each request's host, and each address before it connects to it.

    Raises ``ConnectError`` for a host or address that is not allowed, and httpcore2's exceptions.
    """

    def __init__(self, allowed: AllowedHosts) -> None:
        self._allowed = allowed
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE,
            network_backend=_GuardedBackend(allowed),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return the response when its head has arrived."""
        self._allowed.check_url(str(request.url))
        url = request.url
        response: Any = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_GuardedBody(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _GuardedBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name, checks the resulting addresses, and connects to one of them."""

    def __init__(self, allowed: AllowedHosts) -> None:
        self._allowed = allowed
        # httpcore2 exports a stub of this class if anyio is missing, so its declared type is too vague.
        self._inner = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        # Checked again, because this host comes from a different URL parser.
        self._allowed.check_host(host.lower().rstrip("."), port)
        with anyio.move_on_after(timeout):
            addresses = await self._addresses(host, port)
            for address in addresses[:-1]:
                try:
                    return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
                except httpcore2.ConnectError:
                    continue
            return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)
        raise httpcore2.ConnectTimeout(f"no connection within {timeout} s")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Return the allowed addresses of a host. Raises ``ConnectError`` if there are none."""
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConnectError(f"the name {host!r} has no address") from error
        allowed: list[str] = []
        refused: ConnectError | None = None
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found):
            try:
                self._allowed.check_address(host, address, port)
            except ConnectError as error:
                refused = error
            else:
                allowed.append(address)
        if not allowed:
            raise refused or ConnectError(f"the name {host!r} has no address")
        return allowed[:_MAX_ADDRESSES]
