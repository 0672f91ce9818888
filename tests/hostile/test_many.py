"""A thousand streams at a time, in one process."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.hostile.engines import connect, run_on

from responses_proto.testing import Answer, FakeServer, Peer

if TYPE_CHECKING:
    from responses_proto import ResponsesClient

STREAMS = 1_000
TEXT = "One two three four five six seven eight nine ten."


@pytest.mark.parametrize("engine", ["asyncio-httpx", "trio-httpx", "asyncio-memory", "trio-memory"])
def test_a_thousand_streams_that_are_open_at_once_all_arrive(engine: str) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STREAMS + 200  # both ends are in this process
    if most != resource.RLIM_INFINITY and most < wanted:
        pytest.skip(f"this machine allows {most} open files, and {wanted} are needed")

    async def test() -> None:
        steps = [step for step in Answer.text(TEXT).draft().steps if isinstance(step, bytes)]
        everybody, texts = anyio.Event(), list[str]()

        async def script(peer: Peer) -> None:
            for step in steps[:6]:
                await peer.send(step)
            if server.active == STREAMS:  # the last one has come: all of them are in the middle
                everybody.set()
            await everybody.wait()
            for step in steps[6:]:
                await peer.send(step)

        async def one(client: ResponsesClient) -> None:
            async with client.stream(model="m", input="x") as stream:
                texts.append((await stream.result()).output_text)

        async with FakeServer(script) as server, connect(engine, server) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(STREAMS):
                    tasks.start_soon(one, client)
            assert texts == [TEXT] * STREAMS
            assert server.active == 0

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, wanted), most))
    try:
        run_on(engine, test)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
