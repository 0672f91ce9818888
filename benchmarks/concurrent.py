"""Run a thousand concurrent streams in one process, over loopback. Measure failures, events per second and memory per stream.

    python -m benchmarks.concurrent [--streams 1000] [--deltas 100] [--backend asyncio|trio] [--client ours|openai]

Each client runs in a separate process, and so does its server. The server stops every stream in the middle until all streams are
there. Then the client reads its memory. The time from there to the end of the last stream gives the rate. The server sends ten events
in each HTTP chunk, as a server does that is ahead of its client. Without ``--client``, both clients run in turn and their ratio counts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import anyio
from benchmarks.measure import row
from benchmarks.server import END, HEAD, framed, serve, served
from benchmarks.streams import frames

from responses_proto import ResponsesClient, Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

_ROUNDS: Final = 3
_PATIENCE: Final = 60  # seconds that the server waits for missing streams


class Figures(NamedTuple):
    """The results of one client."""

    failed: int
    rate: float
    """Events per second."""
    weight: float
    """Bytes per stream."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure a thousand concurrent streams.")
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--deltas", type=int, default=100)
    parser.add_argument("--backend", default="asyncio", choices=["asyncio", "trio"])
    parser.add_argument("--client", choices=["ours", "openai"])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    size = ["--streams", str(options.streams), "--deltas", str(options.deltas)]
    if options.serve:
        asyncio.run(serve_halves(options.streams, options.deltas))
        return 0
    if options.client is None:
        return compare([*size, "--backend", options.backend])
    with served("benchmarks.concurrent", *size) as url:
        figures = anyio.run(measure, url, options.streams, options.deltas, options.client, backend=options.backend)
    print(json.dumps(figures))
    return figures.failed


def compare(options: list[str]) -> int:
    """Run both clients in turn. Return the number of missed bars."""
    ours, theirs = zip(*((alone("ours", options), alone("openai", options)) for _ in range(_ROUNDS)), strict=True)
    us, them = (statistics.median(figures.rate for figures in column) for column in (ours, theirs))
    weights = [min(figures.weight for figures in column) / 1024 for column in (ours, theirs)]
    print(
        f"     concurrent streams: us {us:,.0f} events/s, openai {them:,.0f}; KiB per stream {weights[0]:.1f}, {weights[1]:.1f}"
    )
    met = [
        row("concurrent streams: failed", max(figures.failed for figures in ours), 0, at_least=False),
        row("concurrent streams: events per second, us / openai", us / them, 5, at_least=True),
    ]
    return met.count(False)


def alone(client: str, options: list[str]) -> Figures:
    """Run one client in a new process."""
    command = [sys.executable, "-m", "benchmarks.concurrent", "--client", client, *options]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very file
    return Figures(*json.loads(done.stdout.splitlines()[-1]))


async def serve_halves(streams: int, deltas: int) -> None:
    """Serve the first half of each stream, and the second half when the expected number of streams is there."""
    blocks = [b"event: %b\ndata: %b\n\n" % (name.encode(), data) for name, data in frames(deltas)]
    middle = len(blocks) // 2
    first, second = pieces(blocks[:middle]), pieces(blocks[middle:])
    everybody = asyncio.Event()
    waiting = 0

    async def respond(_path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        writer.write(HEAD + first)
        if json.loads(body)["input"] == "many":
            waiting += 1
            if waiting == streams:
                await asyncio.sleep(0.5)  # until the clients have read the first halves
                everybody.set()
            with suppress(TimeoutError):  # the client counts the streams that did not arrive
                async with asyncio.timeout(_PATIENCE):
                    await everybody.wait()
        writer.write(second + END)

    await serve(respond)


def pieces(blocks: list[bytes]) -> bytes:
    """Frame each ten blocks as one HTTP chunk."""
    return framed([b"".join(blocks[at : at + 10]) for at in range(0, len(blocks), 10)])


async def measure(url: str, streams: int, deltas: int, library: str) -> Figures:
    """Run all streams concurrently. Print and return the results."""
    failed: list[BaseException] = []
    begun = events = weighed = 0
    middle = len(frames(deltas)) // 2  # the same as in the server
    released = 0.0

    async def one(stream: Stream) -> None:
        nonlocal begun, events, weighed, released
        seen = 0
        try:
            async for _ in stream("many"):
                seen += 1
                if seen == middle:
                    begun += 1
                    if begun == streams:
                        gc.collect()
                        weighed = resident() - before
                elif seen == middle + 1 and not released:
                    released = time.perf_counter()
            events += seen
        except Exception as error:  # noqa: BLE001 - every failure counts
            failed.append(error)

    async with CLIENTS[library](url) as stream:
        async for _ in stream("one"):  # load all code first
            pass
        gc.collect()
        before = resident()
        async with anyio.create_task_group() as tasks:
            for _ in range(streams):
                tasks.start_soon(one, stream)
        took = time.perf_counter() - released
    rate = (events - streams * middle) / took
    print(
        f"{library}: {streams} concurrent streams, {len(failed)} failed, {events:,} events, {rate:,.0f} events/s in the second half"
    )
    print(
        f"  memory with all of them open: {weighed / 1024 / 1024:.1f} MiB, {weighed / streams / 1024:.1f} KiB per stream"
    )
    for error in failed[:3]:
        print(f"  {error!r}")
    return Figures(len(failed), rate, weighed / streams)


Stream: TypeAlias = "Callable[[str], AsyncIterator[object]]"


@asynccontextmanager
async def ours(url: str) -> AsyncGenerator[Stream]:
    async with ResponsesClient(url, timeouts=Timeouts(connect=60)) as client:

        async def stream(text: str) -> AsyncGenerator[object]:
            async with client.stream(model="m", input=text) as events:
                async for event in events:
                    yield event
                await events.result()

        yield stream


@asynccontextmanager
async def openai(url: str) -> AsyncGenerator[Stream]:
    import httpx2  # noqa: PLC0415 - only this client may spend memory on it
    from openai import AsyncOpenAI  # noqa: PLC0415 - as above

    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(limits=limits, timeout=60) as http:
        client = AsyncOpenAI(base_url=url, api_key="k", max_retries=0, http_client=http)

        async def stream(text: str) -> AsyncGenerator[object]:
            async for event in await client.responses.create(model="m", input=text, stream=True):
                yield event

        yield stream


CLIENTS: Final = {"ours": ours, "openai": openai}


def resident() -> int:
    """Return the resident memory of this process in bytes (the peak, where there is no /proc)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(min(main(), 1))
