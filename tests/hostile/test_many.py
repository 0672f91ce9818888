"""A thousand concurrent streams in one process."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.hostile.engines import connect, run_on
from tests.support import PATIENCE, UNHURRIED, needs_files, open_files, run

from responses_proto import ResponsesClient, RetryPolicy, Timeouts
from responses_proto.exceptions import DeadlineExceeded
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

        async with FakeServer(script) as server, connect(engine, server, timeouts=UNHURRIED) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(STREAMS):
                    tasks.start_soon(one, client)
            assert texts == [TEXT] * STREAMS
            assert server.active == 0

    with many_files():
        run_on(engine, test)


def tasks(engine: str) -> int:
    return len(asyncio.all_tasks()) if engine.startswith("asyncio") else 0


async def abandon(client: ResponsesClient, number: int) -> None:
    """Leave a stream in one of three ways: by a break, by cancellation, by a deadline."""
    with anyio.CancelScope() as scope, contextlib.suppress(DeadlineExceeded):
        async with client.stream(model="m", input="x") as stream:
            async for _ in stream:
                if number % 3 == 0:
                    break
                if number % 3 == 1:
                    scope.cancel()


async def begins_and_waits(peer: ServerExchange) -> None:
    for step in Answer.text(TEXT).to_wire().steps[:6]:
        assert isinstance(step, bytes)
        await peer.send(step)
    await peer.until_closed()


@needs_files
@pytest.mark.parametrize("engine", ["asyncio-httpx", "asyncio-tls", "trio-httpx"])
def test_five_hundred_abandoned_streams_leave_nothing_open(engine: str) -> None:
    async def test() -> None:
        soon = Timeouts(between_events=2)
        async with FakeServer(begins_and_waits) as server, connect(engine, server, timeouts=soon) as client:
            await abandon(client, 0)
            await anyio.sleep(0.1)
            before = open_files(), tasks(engine)
            for first in range(0, 500, 50):
                async with anyio.create_task_group() as group:
                    for number in range(first, first + 50):
                        group.start_soon(abandon, client, number)
            with anyio.fail_after(PATIENCE):
                while open_files() > before[0] or tasks(engine) > before[1]:  # noqa: ASYNC110 - polls the operating system
                    await anyio.sleep(0.01)

    with many_files():
        run_on(engine, test)


@pytest.mark.parametrize(("backend", "kind"), [("asyncio", "memory"), ("trio", "sqlite")])
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

        async with ResponsesClient(url, "any", retry=RetryPolicy(attempts=1), timeouts=UNHURRIED) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(STREAMS):
                    tasks.start_soon(one)
            assert texts == [TEXT] * STREAMS
            assert (await client.retrieve(here[0])).output_text == TEXT

    with many_files(), serving(ResponsesApp(handler, store=store)) as url:
        run(backend, lambda: test(url))
