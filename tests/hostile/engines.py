"""The ways in which a client can reach the fake server: each HTTP library on each of its event loops, over TLS, and in memory."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener
from tests.support import run

from responses_proto import ResponsesClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import ByteStream
    from anyio.streams.tls import TLSStream

    from responses_proto.testing import FakeServer

SOCKETS = ["asyncio-httpx", "trio-httpx", "asyncio-tls", "asyncio-httpx2", "trio-httpx2", "asyncio-aiohttp"]
ALL = [*SOCKETS, "asyncio-memory", "trio-memory"]
over_sockets = pytest.mark.parametrize("engine", SOCKETS)
"""Marks a test that passes its parameter ``engine`` to :func:`connect` and :func:`run_on`."""
everywhere = pytest.mark.parametrize("engine", ALL)
"""The same, including memory."""

KEY = "key-that-nobody-may-see"
ONCE = RetryPolicy(attempts=1)


def run_on(engine: str, test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on the event loop of an engine."""
    run(engine.partition("-")[0], test)


@asynccontextmanager
async def using(engine: str) -> AsyncGenerator[Any]:
    """Yield the HTTP client of an engine; `None` for the default one, which `ResponsesClient` creates itself."""
    library = engine.partition("-")[2]
    if library in ("httpx", "tls"):
        yield None
        return
    make: Any = (
        pytest.importorskip("httpx_aiohttp").HttpxAiohttpClient
        if library == "aiohttp"
        else pytest.importorskip("httpx2").AsyncClient
    )
    async with make() as http:
        yield http


@asynccontextmanager
async def connect(engine: str, server: FakeServer, **options: Any) -> AsyncGenerator[ResponsesClient]:
    """Yield a client that does not retry, unless the options say otherwise."""
    options = {"retry": ONCE, **options}
    if engine.endswith("-memory"):
        async with ResponsesClient(server.url, KEY, http_client=server.transport, **options) as client:
            yield client
        return
    if engine.endswith("-tls"):
        async with behind_tls(server.url) as url, ResponsesClient(url, KEY, **options) as client:
            yield client
        return
    async with using(engine) as http, ResponsesClient(server.url, KEY, http_client=http, **options) as client:
        yield client


# ---- TLS in front of the fake server, which speaks none itself


@asynccontextmanager
async def behind_tls(url: str) -> AsyncGenerator[str]:
    """Yield the URL of a relay that takes TLS off, with a certificate that clients trust while it is there."""
    port = urlsplit(url).port
    assert port is not None

    async def relay(inside: TLSStream) -> None:
        with suppress(OSError):
            async with inside, await anyio.connect_tcp("127.0.0.1", port) as server, anyio.create_task_group() as tasks:
                tasks.start_soon(pump, inside, server, tasks.cancel_scope)
                await pump(server, inside, tasks.cancel_scope)

    async def pump(source: ByteStream, target: ByteStream, scope: anyio.CancelScope) -> None:
        """Pass on what one side sends, and break or close both sides as it does."""
        try:
            async for data in source:
                await target.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raw = target.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
            with suppress(OSError):  # closed already
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets it
        scope.cancel()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] # it takes a context of pyOpenSSL too, which is not installed
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    there = plain.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
    listener = TLSListener(plain, context, standard_compatible=False)
    with _authority().cert_pem.tempfile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", file)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(listener.serve, relay))
            yield urlsplit(url)._replace(scheme="https", netloc=f"127.0.0.1:{there}").geturl()
            tasks.cancel_scope.cancel()


@cache
def _authority() -> trustme.CA:
    return trustme.CA()
