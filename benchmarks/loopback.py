"""Speed over a loopback socket: one event per packet, bursts, and a thousand streams at once, beside clients that read the same bytes."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs
import httpx
import httpx2
import openai
from benchmarks.measure import alternate_async
from benchmarks.server import served
from benchmarks.streams import frames

from responses_proto import ResponsesClient, Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from benchmarks.measure import Report

__all__ = ["run"]

_DELTAS: Final = 1_000
_BURST_DELTAS: Final = 5_000
_MANY: Final = 1_000
_MANY_DELTAS: Final = 16
_REQUEST: Final = {"model": "bench", "input": "", "stream": True}


@attrs.frozen
class Clients:
    """One function per client: each reads one stream to its end and checks that nothing is missing."""

    ours: Callable[[], Awaitable[None]]
    openai: Callable[[], Awaitable[None]]
    httpx: Callable[[], Awaitable[None]]
    aiohttp: Callable[[], Awaitable[None]]


@asynccontextmanager
async def clients(url: str, deltas: int) -> AsyncGenerator[Clients]:
    """Open all clients once, so that opening them is not measured."""
    there = frames(deltas)
    size = sum(len(b"event: \ndata: \n\n") + len(kind) + len(data) for kind, data in there)
    async with AsyncExitStack() as stack:
        us = await stack.enter_async_context(ResponsesClient(url, "none", timeouts=Timeouts(connect=60)))
        no_limits = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None), timeout=60)
        http = await stack.enter_async_context(no_limits)
        them = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)
        plain = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def ours() -> None:
            seen = 0
            async with us.stream(model="bench", input="") as stream:
                async for _ in stream:
                    seen += 1
                await stream.result()
            expect(seen, len(there))

        async def theirs() -> None:
            seen = 0
            async for _ in await them.responses.create(model="bench", input="", stream=True):
                seen += 1
            expect(seen, len(there))

        async def by_httpx() -> None:
            seen = 0
            async with plain.stream("POST", f"{url}/responses", json=_REQUEST) as response:
                async for piece in response.aiter_raw():
                    seen += len(piece)
            expect(seen, size)

        async def by_aiohttp() -> None:
            seen = 0
            async with session.post(f"{url}/responses", json=_REQUEST) as response:
                async for piece in response.content.iter_any():
                    seen += len(piece)
            expect(seen, size)

        yield Clients(ours, theirs, by_httpx, by_aiohttp)


def expect(seen: int, expected: int) -> None:
    """Raise if not all of the work was done."""
    if seen != expected:
        raise RuntimeError(f"expected {expected}, got {seen}")


async def paced(report: Report, rounds: int) -> None:
    """Measure one event per packet, which is how models stream."""
    with served(_DELTAS) as origin:
        async with clients(f"{origin}/paced", _DELTAS) as c:
            works = {"responses_proto": c.ours, "openai": c.openai, "httpx alone": c.httpx, "aiohttp alone": c.aiohttp}
            taken = await alternate_async(works, rounds)
    report.times("one event per packet, loopback", taken, len(frames(_DELTAS)))
    report.ratio("paced: openai / us", taken.ratios("openai", "responses_proto"), at_least=2.8, goal=4)
    report.ratio("paced: us / httpx alone", taken.ratios("responses_proto", "httpx alone"), at_most=0.7, goal=0.5)
    report.ratio("paced: us / aiohttp alone", taken.ratios("responses_proto", "aiohttp alone"), goal=1.5)


async def burst(report: Report, rounds: int) -> None:
    """Measure a server that is ahead of its client."""
    with served(_BURST_DELTAS) as origin:
        async with clients(f"{origin}/burst", _BURST_DELTAS) as c:
            works = {"responses_proto": c.ours, "openai": c.openai, "httpx alone": c.httpx, "aiohttp alone": c.aiohttp}
            taken = await alternate_async(works, rounds)
    report.times("burst, loopback", taken, len(frames(_BURST_DELTAS)))
    report.ratio("burst: openai / us", taken.ratios("openai", "responses_proto"), at_least=10, goal=20)


async def many(report: Report, rounds: int) -> None:
    """Measure a thousand streams at once, each with an event every half second."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    lost: dict[str, int] = {}
    with served(_MANY_DELTAS) as origin:
        async with clients(f"{origin}/many/{_MANY}", _MANY_DELTAS) as c:

            def all_of(name: str, read: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
                async def work() -> None:
                    ends: list[Any] = await asyncio.gather(*(read() for _ in range(_MANY)), return_exceptions=True)
                    errors = [end for end in ends if end is not None]
                    lost[name] = lost.get(name, 0) + len(errors)
                    for error in errors[:3]:
                        print(f"       {name}: {error!r}")

                return work

            works = {"responses_proto": all_of("us", c.ours), "openai": all_of("openai", c.openai)}
            taken = await alternate_async(works, rounds)
    report.times(f"{_MANY} paced streams at once", taken, _MANY * len(frames(_MANY_DELTAS)))
    report.ratio("many: lost streams of ours", [float(lost["us"])], at_most=0, goal=0)
    report.ratio("many: openai / us", taken.ratios("openai", "responses_proto"), at_least=2.5, goal=4)


def run(report: Report, rounds: int) -> None:
    """Measure all of this module."""
    asyncio.run(paced(report, rounds))
    asyncio.run(burst(report, rounds))
    asyncio.run(many(report, max(1, rounds // 3)))
