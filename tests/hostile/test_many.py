"""A thousand concurrent streams in one process."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.hostile.engines import connect, run_on
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.server import MemoryStore, ResponsesApp, SQLiteStore, Store, serving
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply

STREAMS = 1_000
TEXT = "One two three four five six seven eight nine ten."


@contextlib.contextmanager
def many_files() -> Generator[None]:
    """Raise the number of open files: this process has both ends of every connection."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STREAMS + 200
    if most != resource.RLIM_INFINITY and most < wanted:
        pytest.skip(f"this machine allows {most} open files, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, wanted), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.mark.parametrize("engine", ["asyncio-httpx", "trio-httpx", "asyncio-memory", "trio-memory"])
def test_a_thousand_streams_that_are_open_at_once_all_arrive(engine: str) -> None:
    async def test() -> None:
        steps = [step for step in Answer.text(TEXT).to_wire().steps if isinstance(step, bytes)]
        everybody, texts = anyio.Event(), list[str]()

        async def script(peer: ServerExchange) -> None:
            for step in steps[:6]:
                await peer.send(step)
            if server.active == STREAMS:  # all of them have begun, and none has ended
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

    with many_files():
        run_on(engine, test)


@both_loops
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_server_streams_to_a_thousand_clients_at_once(backend: str, kind: str, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "store.db")
    gate, here = list[anyio.Event](), list[str]()

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        if not gate:
            gate.append(anyio.Event())  # of the server's event loop
        async with reply.message() as message:
            await message.text("One")
            here.append(reply.response.id)
            if len(here) == STREAMS:  # all of them have begun, and none has ended
                gate[0].set()
            await gate[0].wait()
            for word in TEXT.split(" ")[1:]:
                await message.text(f" {word}")

    async def test(url: str) -> None:
        texts = list[str]()

        async def one() -> None:
            async with client.stream(model="m", input="x") as stream:
                response = await stream.result()
            texts.append(response.output_text)
            assert stream.anomalies == []

        async with ResponsesClient(url, "any", retry=RetryPolicy(attempts=1)) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(STREAMS):
                    tasks.start_soon(one)
            assert texts == [TEXT] * STREAMS
            assert (await client.retrieve(here[0])).output_text == TEXT

    with many_files(), serving(ResponsesApp(handler, store=store)) as url:
        run(backend, lambda: test(url))
