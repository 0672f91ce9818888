"""Measure servers that share a store: ``python -m benchmarks.shared [sqlite] [redis] [REDIS_URL]``.

For 1, 2 and 3 workers: responses per second, with a client that uses them in turn. For two workers: the delay until one of them sees an
event that the other has written.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import anyio
import httpx
from tests.workers import Workers

SECONDS = 5.0
CLIENTS = 24
EVENTS = 300


async def throughput(workers: Workers, fields: dict[str, Any]) -> float:
    """Return responses per second."""
    done = 0
    end = time.monotonic() + SECONDS

    async def ask(number: int) -> None:
        nonlocal done
        url = workers.all[number % len(workers.all)].url
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while time.monotonic() < end:
                got = await client.post(f"{url}/responses", json={"model": "m", "input": "count 20 0", **fields})
                got.raise_for_status()
                done += 1

    async with anyio.create_task_group() as tasks:
        for number in range(CLIENTS):
            tasks.start_soon(ask, number)
    return done / SECONDS


async def delays(workers: Workers) -> list[float]:
    """Return the seconds between an event in the stream of its own worker and the same event in the stream of another worker."""
    times: list[dict[int, float]] = [{}, {}]

    async def follow(which: int, name: str) -> None:
        url = f"{workers.all[which].url}/responses/{name}?stream=true"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client, client.stream("GET", url) as got:
            number = 0
            async for line in got.aiter_lines():
                if line.startswith("data: {"):
                    times[which][number] = time.perf_counter()
                    number += 1

    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"model": "m", "input": f"count {EVENTS} 0.02", "background": True}
        name = (await client.post(f"{workers.all[0].url}/responses", json=body)).json()["id"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow, 0, name)
        tasks.start_soon(follow, 1, name)
    return [times[1][number] - times[0][number] for number in list(times[0])[10:-10]]


def main(kinds: list[str]) -> None:
    for kind in kinds or ["sqlite", "redis"]:
        for count in (1, 2, 3):
            with tempfile.TemporaryDirectory() as folder, Workers(kind, Path(folder), count=count, lease=15) as workers:
                plain = anyio.run(throughput, workers, {"stream": False})
                streamed = anyio.run(throughput, workers, {"stream": True})
                print(
                    f"{kind}, {count} workers: {plain:.0f} responses/s, {streamed:.0f} streamed ones of 30 events",
                    flush=True,
                )
                if count == 2:  # noqa: PLR2004 - two of them
                    percent = quantiles(anyio.run(delays, workers), n=100)
                    print(
                        f"{kind}: seen elsewhere after p50 {percent[49] * 1e3:.1f} ms, p99 {percent[98] * 1e3:.1f} ms",
                        flush=True,
                    )


if __name__ == "__main__":
    main(sys.argv[1:])
