"""The ways in which a client can reach the fake server: each HTTP library on each of its event loops, and in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import run

from responses_proto import ResponsesClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from responses_proto.testing import FakeServer

SOCKETS = ["asyncio-httpx", "trio-httpx", "asyncio-httpx2", "trio-httpx2", "asyncio-aiohttp"]
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
    if library == "httpx":
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
    async with using(engine) as http, ResponsesClient(server.url, KEY, http_client=http, **options) as client:
        yield client
