"""Cancelling at each checkpoint in turn leaves no task, no socket and no warning (pytest turns warnings into errors)."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from tests.hostile.checkpoints import cancel_at_each_checkpoint
from tests.hostile.engines import ALL, connect, run_on
from tests.streams import frame, plain, saying
from tests.support import PATIENCE, both_loops, needs_files, open_files, run

from responses_proto import Cursor, ResponsesClient, RetryPolicy
from responses_proto.client import CallFinished, Hooks
from responses_proto.exceptions import BadRequestError
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.streams import Wire

OVERLOADED: Wire = {"type": "error", "code": "server_error", "message": "No."}
ITEMS: Any = {
    "object": "list",
    "data": [{"type": "message", "id": "1", "role": "user", "content": "x"}],
    "has_more": False,
}


# ---- the calls that are cancelled


async def reads_to_the_end(c: ResponsesClient) -> None:
    async with c.stream(model="m", input="x") as stream:
        async for _ in stream:
            pass
        await stream.result()


async def leaves_early(c: ResponsesClient) -> None:
    async with c.stream(model="m", input="x", on_abandon="cancel_response") as stream:
        async for _ in stream.text_deltas():
            break


async def is_retried(c: ResponsesClient) -> None:
    async with c.stream(model="m", input="flaky") as stream:
        await stream.result()


async def resumes(c: ResponsesClient) -> None:
    async with c.resume(Cursor("resp_1", 2)) as stream:
        await stream.result()


async def creates(c: ResponsesClient) -> None:
    await c.create(model="m", input="x" * 400_000)


async def is_refused(c: ResponsesClient) -> None:
    with pytest.raises(BadRequestError):
        async with c.stream(model="m", input="refused"):
            pass
    with pytest.raises(BadRequestError):
        await c.create(model="m", input="refused")


async def waits(c: ResponsesClient) -> None:
    await c.wait("resp_1", interval=0.001)


async def turns_pages(c: ResponsesClient) -> None:
    async for _ in c.input_items("resp_1"):
        pass


# ---- the server, and the tests


async def send_slowly(peer: ServerExchange, *pieces: bytes) -> None:
    """Send pieces so that the client must wait for each."""
    for piece in pieces:
        await peer.send(piece)
        await anyio.lowlevel.checkpoint()


async def script(peer: ServerExchange) -> Answer | None:
    request = peer.request
    if request.method == "GET" and request.wants_stream:
        return Answer.events(plain("ab")[3:])
    if request.path.endswith("/input_items"):
        return Answer.json(ITEMS)
    if b'"refused"' in request.body:
        await peer.start(400, content_type="application/json")
        await send_slowly(peer, b'{"error": ', b'{"message": "No."}}')
        return None
    if request.wants_stream:
        await send_slowly(peer, *map(frame, plain("ab")))
        return None
    return Answer.json(saying("x"))


@needs_files
@both_loops
@pytest.mark.parametrize(
    "call", [reads_to_the_end, leaves_early, is_retried, resumes, creates, is_refused, waits, turns_pages]
)
def test_cancelling_a_call_at_each_checkpoint_leaves_nothing_behind(
    backend: str, call: Callable[[ResponsesClient], Coroutine[Any, Any, None]]
) -> None:
    ends: list[CallFinished] = []
    https: list[httpx.AsyncClient] = []

    async def test() -> None:
        async def flaky(peer: ServerExchange) -> Answer | None:
            if call is is_retried and len(server.requests) == 1:
                return Answer.events([OVERLOADED])
            return await script(peer)

        def begin() -> Coroutine[Any, Any, None]:
            ends.clear()
            server.requests.clear()
            # Connections are not kept for reuse, so a connection that is open afterwards was leaked.
            https.append(httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)))
            return call(
                ResponsesClient(
                    server.url,
                    http_client=https[-1],
                    retry=RetryPolicy(initial_delay=0.001),
                    hooks=Hooks(on_outcome=ends.append),
                )
            )

        async def after() -> None:
            with anyio.fail_after(PATIENCE):
                while open_files() > before:  # noqa: ASYNC110 - polls the operating system: there is no event to wait for
                    await anyio.sleep(0.001)
            operations = [end.operation for end in ends]
            assert call is waits or len(operations) == len(set(operations))
            await https[-1].aclose()

        async with FakeServer(flaky) as server:
            before = open_files()
            gc.disable()
            try:
                assert await cancel_at_each_checkpoint(begin, after) > 3
            finally:
                gc.enable()

    run(backend, test)
    gc.collect()


@pytest.mark.parametrize("engine", [engine for engine in ALL if not engine.endswith("httpx2")])
def test_cancelling_a_client_at_each_checkpoint_leaves_no_task_and_no_socket(engine: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            for step in Answer.text("One.").to_wire().steps:
                assert isinstance(step, bytes)
                await peer.send(step)
                await anyio.sleep(0.001)  # so that the client must wait for each
            await peer.until_closed()

        async with FakeServer(script) as server, connect(engine, server) as warm:
            async with warm.stream(model="m", input="x") as stream:  # creates what is only created once
                await stream.result()

            async def use() -> None:
                async with connect(engine, server) as client, client.stream(model="m", input="x") as stream:
                    await stream.result()

            async def after() -> None:
                await until_idle(server)
                with anyio.fail_after(PATIENCE):  # the server may not have noticed yet that a connection was closed
                    while engine.startswith("asyncio") and len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - as below
                        await anyio.sleep(0.001)

            await until_idle(server)
            tasks = len(asyncio.all_tasks()) if engine.startswith("asyncio") else 0
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                points = await cancel_at_each_checkpoint(use, after)
                gc.collect()
            assert points >= 10

    run_on(engine, test)


async def until_idle(server: FakeServer) -> None:
    with anyio.fail_after(PATIENCE):
        while server.active:  # noqa: ASYNC110 - polls the server: there is no event to wait for
            await anyio.sleep(0.001)
