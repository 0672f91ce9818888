"""Measure the speed over a loopback socket, beside peers that read the same bytes: ``make bench``.

    python -m benchmarks.loopback [--rounds 7] [--deltas 5000]

The server is a separate process that sends prepared bytes. It is always ahead of its client, so that only the client's work is
measured. The HTTP chunks have two sizes: one event, as most servers send them, and 4 KiB, as proxies join them. The peers are
``openai`` with its default engine, and the HTTP clients alone, which read the same bytes and do nothing with them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
import httpx_aiohttp
import openai
from benchmarks.measure import alternate, row
from benchmarks.server import END, HEAD, framed, serve, served
from benchmarks.streams import chunked, frames

from responses_proto import ResponsesClient

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SIZES: Final = {"event": "one event per chunk", "4k": "4 KiB per chunk"}
_REQUEST: Final = {"model": "bench", "input": "", "stream": True}


async def serve_prepared(deltas: int) -> None:
    """Serve the stream in chunks. The path names their size."""
    blocks = [b"event: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in frames(deltas)]
    answers = {
        name: HEAD + framed(chunks) + END
        for name, chunks in (("event", blocks), ("4k", chunked(b"".join(blocks), 4096)))
    }

    async def respond(path: str, _body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[path.split("/")[1]])
        await writer.drain()

    await serve(respond)


async def ours(client: ResponsesClient, events: int) -> None:
    """Iterate over the typed events."""
    seen = 0
    async with client.stream(model="bench", input="") as stream:
        async for _ in stream:
            seen += 1
        await stream.result()
    expect(seen, events)


async def theirs(client: openai.AsyncOpenAI, events: int) -> None:
    """Iterate over openai's typed events."""
    seen = 0
    async for _ in await client.responses.create(model="bench", input="", stream=True):
        seen += 1
    expect(seen, events)


async def bare_httpx(client: httpx.AsyncClient, url: str, size: int) -> None:
    """Read the bytes with httpx."""
    seen = 0
    async with client.stream("POST", url, json=_REQUEST) as response:
        async for piece in response.aiter_raw():
            seen += len(piece)
    expect(seen, size)


async def bare_aiohttp(session: aiohttp.ClientSession, url: str, size: int) -> None:
    """Read the bytes with aiohttp."""
    seen = 0
    async with session.post(url, json=_REQUEST) as response:
        async for piece in response.content.iter_any():
            seen += len(piece)
    expect(seen, size)


def expect(seen: int, expected: int) -> None:
    """Raise if not all of the work was done."""
    if seen != expected:
        raise RuntimeError(f"expected {expected}, got {seen}")


async def opened(stack: AsyncExitStack) -> tuple[httpx.AsyncClient, httpx.AsyncClient, aiohttp.ClientSession]:
    """Open one client of each library for all rounds, so that opening is not measured."""
    plain = await stack.enter_async_context(httpx.AsyncClient())
    over_aiohttp = await stack.enter_async_context(httpx_aiohttp.HttpxAiohttpClient())
    return plain, over_aiohttp, await stack.enter_async_context(aiohttp.ClientSession())


def compare(runner: asyncio.Runner, origin: str, name: str, deltas: int, rounds: int) -> int:
    """Measure one chunk size. Return the number of missed bars."""
    url, there = f"{origin}/{name}", frames(deltas)
    events = len(there)
    size = sum(len(b"event: \ndata: \n\n") + len(kind) + len(data) for kind, data in there)
    stack = AsyncExitStack()
    plain, over_aiohttp, session = runner.run(opened(stack))
    ours_plain = ResponsesClient(url, "none")
    ours_aiohttp = ResponsesClient(url, "none", http_client=over_aiohttp)
    peer = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    for closable in (ours_plain.aclose, ours_aiohttp.aclose, peer.close):
        stack.push_async_callback(closable)
    works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "openai, default engine": lambda: theirs(peer, events),
        "us, default engine": lambda: ours(ours_plain, events),
        "us, aiohttp": lambda: ours(ours_aiohttp, events),
        "httpx alone": lambda: bare_httpx(plain, f"{url}/responses", size),
        "aiohttp alone": lambda: bare_aiohttp(session, f"{url}/responses", size),
    }

    def once(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        return lambda: runner.run(work())

    try:
        took = alternate(*map(once, works.values()), rounds=rounds)
    finally:
        runner.run(stack.aclose())
    print(f"     {SIZES[name]}, us an event:")
    for work, seconds in zip(works, took, strict=True):
        print(f"       {work:<24} {seconds / events * 1e6:8.2f}")
    them, us, us_aiohttp, httpx_alone, aiohttp_alone = took
    met = [
        row(f"over loopback, {SIZES[name]}: openai / us", them / us, 6, at_least=True),
        row("the same: us / httpx alone", us / httpx_alone, 1.3, at_least=False),
        row("the same with aiohttp: openai / us", them / us_aiohttp, 12, at_least=True, note=f"us / aiohttp alone {us_aiohttp / aiohttp_alone:.2f}"),
    ]  # fmt: skip
    return met.count(False)


def main() -> int:
    """Measure both chunk sizes. Return the number of missed bars."""
    parser = argparse.ArgumentParser(description="Speed over a loopback socket.")
    parser.add_argument("--deltas", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve_prepared(options.deltas))
        return 0
    with served("benchmarks.loopback", "--deltas", str(options.deltas)) as origin, asyncio.Runner() as runner:
        return sum(compare(runner, origin, name, options.deltas, options.rounds) for name in SIZES)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
