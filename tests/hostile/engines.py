"""The ways to reach the fake server: each HTTP library on each event loop that it supports, and memory."""

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
"""For a test that passes its parameter ``engine`` to :func:`connect` and :func:`run_on`."""
everywhere = pytest.mark.parametrize("engine", ALL)
"""As above, with memory."""

KEY = "key-that-nobody-may-see"
ONCE = RetryPolicy(attempts=1)


def run_on(engine: str, test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on the event loop of an engine."""
    run(engine.partition("-")[0], test)


@asynccontextmanager
async def using(engine: str) -> AsyncGenerator[Any]:
    """Yield the HTTP client of an engine, or `None` for the default one, which our client creates."""
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
    """Connect a client to a fake server. By default it retries nothing."""
    options = {"retry": ONCE, **options}
    if engine.endswith("-memory"):
        async with ResponsesClient(server.url, KEY, http_client=server.transport, **options) as client:
            yield client
        return
    async with using(engine) as http, ResponsesClient(server.url, KEY, http_client=http, **options) as client:
        yield client
