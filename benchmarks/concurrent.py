"""A thousand streams at a time in one process, over loopback: whether all arrive, how fast, and what one of them weighs.

    python -m benchmarks.concurrent [--streams 1000] [--deltas 100] [--backend asyncio|trio] [--client ours|openai]

The server is a process of its own. It holds every stream in its middle until all of them are there; then the memory is read. What it takes
from there to the end of the last stream gives the rate. Events come ten to a piece, as they do when a server is ahead of its client.
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from benchmarks.streams import event_dicts

from responses_proto import ResponsesClient, Timeouts
from responses_proto.testing import Answer, FakeServer, Peer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable


def main() -> None:
    parser = argparse.ArgumentParser(description="A thousand streams at a time.")
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--deltas", type=int, default=100)
    parser.add_argument("--backend", default="asyncio", choices=["asyncio", "trio"])
    parser.add_argument("--client", default="ours", choices=["ours", "openai"])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve:
        anyio.run(serve, options.streams, options.deltas)
        return
    command = [sys.executable, "-m", "benchmarks.concurrent", "--serve", "--streams", str(options.streams)]
    command += ["--deltas", str(options.deltas)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as server:  # noqa: S603 - this very file
        if server.stdout is None or server.stdin is None:
            raise RuntimeError("no pipes")
        url = server.stdout.readline().strip()
        anyio.run(measure, url, options.streams, options.deltas, options.client, backend=options.backend)
        server.stdin.close()  # which ends it


async def serve(streams: int, deltas: int) -> None:
    """Serve until the input is closed; print the URL first."""
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(event_dicts(deltas))]
    frames = [step for step in Answer.events(numbered).draft().steps if isinstance(step, bytes)]
    middle = len(frames) // 2
    first, second = pieces(frames[:middle]), pieces(frames[middle:])
    everybody = anyio.Event()

    async def script(peer: Peer) -> None:
        for piece in first:
            await peer.send(piece)
        if peer.request.json["input"] == "many":
            if server.active == streams:
                await anyio.sleep(0.5)  # for what is on the way
                everybody.set()
            await everybody.wait()
        for piece in second:
            await peer.send(piece)

    async with FakeServer(script) as server:
        print(server.url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


def pieces(frames: list[bytes]) -> list[bytes]:
    """Put ten frames at a time together."""
    return [b"".join(frames[at : at + 10]) for at in range(0, len(frames), 10)]


async def measure(url: str, streams: int, deltas: int, library: str) -> None:
    """Run all streams at once; print what they took."""
    failed: list[BaseException] = []
    begun = events = weighed = 0
    middle = (deltas + 9) // 2 - 1
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
        except Exception as error:  # noqa: BLE001 - they are counted
            failed.append(error)

    async with CLIENTS[library](url) as stream:
        async for _ in stream("one"):  # so that all code is loaded
            pass
        gc.collect()
        before = resident()
        async with anyio.create_task_group() as tasks:
            for _ in range(streams):
                tasks.start_soon(one, stream)
        took = time.perf_counter() - released
    rate = (events - streams * middle) / took
    print(
        f"{library}: {streams} streams at once, {len(failed)} failed, {events:,} events, {rate:,.0f} events/s in the second half"
    )
    print(
        f"  memory with all of them open: {weighed / 1024 / 1024:.1f} MiB, {weighed / streams / 1024:.1f} KiB per stream"
    )
    for error in failed[:3]:
        print(f"  {error!r}")


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
    import httpx2  # noqa: PLC0415 - not in the other's memory
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
    """Give the bytes of memory that this process has right now (Linux; elsewhere the most that it had)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
