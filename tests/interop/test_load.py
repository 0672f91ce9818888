"""A thousand concurrent streams from the scripted model, started as users start it."""

from __future__ import annotations

import resource

import anyio
import pytest
from tests.interop.embedded import served
from tests.support import run

from responses_proto import ResponsesClient, RetryPolicy

CLIENTS = 1_000
WORDS = " ".join(f"word{n}" for n in range(10))
NEEDED = CLIENTS + 200  # open files, on either side


def test_a_thousand_streams_at_once_all_arrive() -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < NEEDED:
        pytest.skip(f"this machine allows {most} open files, and {NEEDED} are needed")
    texts: list[str] = []
    open_now = peak = 0

    async def one(client: ResponsesClient) -> None:
        nonlocal open_now, peak
        async with client.stream(model="scripted", input=f"[slow 0.5] {WORDS}") as stream:
            open_now += 1
            peak = max(peak, open_now)
            texts.append((await stream.result()).output_text)
            open_now -= 1

    async def main() -> None:
        once = RetryPolicy(attempts=1)
        async with ResponsesClient(url, "any", retry=once) as client, anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(one, client)

    with served() as url:  # the server looks after its own limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, NEEDED), most))
        try:
            run("asyncio", main)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    assert texts == [WORDS] * CLIENTS
    assert peak > CLIENTS // 2
