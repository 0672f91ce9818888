"""Compare clients over a loopback socket: one event per packet, bursts, short streams, and a thousand streams at once."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import httpx
import httpx2
import openai
from benchmarks.measure import Rounds, alternate_async
from benchmarks.server import served
from benchmarks.streams import frames

from responses_proto import ResponsesClient, Timeouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.measure import Report

__all__ = ["run"]

_DELTAS: Final = 1_000
_BURST_DELTAS: Final = 5_000
_SHORT_AT_ONCE: Final = 100
_SHORT_EACH: Final = 4
_SHORT_DELTAS: Final = 10
_MANY: Final = 1_000
_MANY_DELTAS: Final = 16
_REQUEST: Final = {"model": "bench", "input": "", "stream": True}


class Clients:
    """All clients, opened once, so that opening them is not measured. Each method reads one stream and checks that nothing is missing.

    ``begun`` is called when the first event has arrived.
    """

    def __init__(self, url: str, deltas: int) -> None:
        there = frames(deltas)
        self._events = len(there)
        self._bytes = sum(len(b"event: \ndata: \n\n") + len(kind) + len(data) for kind, data in there)
        self._url = f"{url}/responses"
        self._ours = ResponsesClient(url, "none", timeouts=Timeouts(connect=60))
        limits = httpx2.Limits(max_connections=None)
        self._openai = openai.AsyncOpenAI(
            base_url=url, api_key="none", max_retries=0, http_client=httpx2.AsyncClient(limits=limits, timeout=60)
        )
        self._httpx = httpx.AsyncClient(timeout=60)
        self._aiohttp = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ours.aclose()
        await self._openai.close()
        await self._httpx.aclose()
        await self._aiohttp.close()

    def works(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the methods by their names in the report."""
        return {
            "responses_proto": self.ours,
            "openai": self.openai,
            "httpx alone": self.httpx,
            "aiohttp alone": self.aiohttp,
        }

    async def ours(self, begun: Callable[[], object] = int) -> None:
        """Iterate over the typed events."""
        seen = 0
        async with self._ours.stream(model="bench", input="") as stream:
            async for _ in stream:
                seen += 1
                if seen == 1:
                    begun()
            await stream.result()
        expect(seen, self._events)

    async def openai(self, begun: Callable[[], object] = int) -> None:
        """Iterate over openai's typed events."""
        seen = 0
        async for _ in await self._openai.responses.create(model="bench", input="", stream=True):
            seen += 1
            if seen == 1:
                begun()
        expect(seen, self._events)

    async def httpx(self) -> None:
        """Read the bytes with httpx."""
        seen = 0
        async with self._httpx.stream("POST", self._url, json=_REQUEST) as response:
            async for piece in response.aiter_raw():
                seen += len(piece)
        expect(seen, self._bytes)

    async def aiohttp(self) -> None:
        """Read the bytes with aiohttp."""
        seen = 0
        async with self._aiohttp.post(self._url, json=_REQUEST) as response:
            async for piece in response.content.iter_any():
                seen += len(piece)
        expect(seen, self._bytes)


def expect(seen: int, expected: int) -> None:
    """Raise ``RuntimeError`` if the number of events is not the expected one."""
    if seen != expected:
        raise RuntimeError(f"expected {expected}, got {seen}")


async def paced(report: Report, rounds: int) -> None:
    """Measure one event per packet, as models stream."""
    with served(_DELTAS) as origin:
        async with Clients(f"{origin}/paced", _DELTAS) as c:
            taken = await alternate_async(c.works(), rounds)
    report.times("one event per packet, loopback", taken, len(frames(_DELTAS)))
    report.ratio("paced: openai / us", taken.ratios("openai", "responses_proto"), at_least=2.8, goal=4)
    report.ratio("paced: us / httpx alone", taken.ratios("responses_proto", "httpx alone"), at_most=0.7, goal=0.5)
    report.ratio("paced: us / aiohttp alone", taken.ratios("responses_proto", "aiohttp alone"), goal=1.5)


async def burst(report: Report, rounds: int) -> None:
    """Measure a server that is ahead of its client."""
    with served(_BURST_DELTAS) as origin:
        async with Clients(f"{origin}/burst", _BURST_DELTAS) as c:
            taken = await alternate_async(c.works(), rounds)
    report.times("burst, loopback", taken, len(frames(_BURST_DELTAS)))
    report.ratio("burst: openai / us", taken.ratios("openai", "responses_proto"), at_least=10, goal=20)


async def short(report: Report, rounds: int) -> None:
    """Measure short streams, a hundred at a time: most of the work is starting and ending them."""

    def all_of(read: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def some() -> None:
            for _ in range(_SHORT_EACH):
                await read()

        async def every() -> None:
            await asyncio.gather(*(some() for _ in range(_SHORT_AT_ONCE)))

        return every

    with served(_SHORT_DELTAS) as origin:
        async with Clients(f"{origin}/paced", _SHORT_DELTAS) as c:
            works = {name: all_of(work) for name, work in c.works().items()}
            taken = await alternate_async(works, max(1, rounds // 2))
    events = _SHORT_AT_ONCE * _SHORT_EACH * len(frames(_SHORT_DELTAS))
    report.times(f"short streams, {_SHORT_AT_ONCE} at a time", taken, events)
    report.ratio("short: openai / us", taken.ratios("openai", "responses_proto"), at_least=2.5, goal=5)
    report.ratio("short: us / httpx alone", taken.ratios("responses_proto", "httpx alone"), goal=0.5)


async def many(report: Report, rounds: int) -> None:
    """Measure a thousand streams at once, each with an event every half second, from the start of the last to the end of all."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    lost = {"responses_proto": 0, "openai": 0}
    taken = Rounds({name: [] for name in lost})

    async def measure(name: str, read: Callable[[Callable[[], object]], Awaitable[None]]) -> float:
        waiting, since = _MANY, time.process_time()

        def begun() -> None:
            nonlocal waiting, since
            waiting -= 1
            if not waiting:
                since = time.process_time()

        gc.collect()
        ends: list[Any] = await asyncio.gather(*(read(begun) for _ in range(_MANY)), return_exceptions=True)
        for error in (errors := [end for end in ends if end is not None])[:3]:
            print(f"       {name}: {error!r}")
        lost[name] += len(errors)
        return time.process_time() - since

    with served(_MANY_DELTAS) as origin:
        async with Clients(f"{origin}/many/{_MANY}", _MANY_DELTAS) as c:
            for number in range(rounds + 1):
                for name, read in (("responses_proto", c.ours), ("openai", c.openai)):
                    seconds = await measure(name, read)
                    if number:
                        taken.taken[name].append(seconds)
    report.times(f"{_MANY} paced streams at once", taken, _MANY * (len(frames(_MANY_DELTAS)) - 1))
    report.ratio("many: lost streams of ours", [float(lost["responses_proto"])], at_most=0, goal=0)
    report.ratio("many: openai / us", taken.ratios("openai", "responses_proto"), at_least=2.5, goal=4)


def run(report: Report, rounds: int) -> None:
    """Measure all of this module."""
    asyncio.run(paced(report, rounds))
    asyncio.run(burst(report, rounds))
    asyncio.run(short(report, rounds))
    asyncio.run(many(report, max(1, rounds // 3)))
