"""A thousand streams at a time beside two thousand idle WebSockets, on one worker of the scripted server as it is started."""

from __future__ import annotations

import contextlib
import json
import resource

import anyio
import pytest
import websockets
from tests.interop.scripted_server import served
from tests.support import PATIENCE, UNHURRIED

from responses_proto import ResponsesClient, RetryPolicy

CLIENTS = 1_000
IDLE = 2_000
WORDS = " ".join(f"word{n}" for n in range(10))
NEEDED = CLIENTS + IDLE + 200  # open files, on either side


async def ask(socket: websockets.ClientConnection, text: str) -> str:
    """Create a response on a WebSocket, and return its text."""
    await socket.send(json.dumps({"type": "response.create", "model": "scripted", "input": text}))
    while (event := json.loads(await socket.recv()))["type"] != "response.completed":
        pass
    answer: str = event["response"]["output"][0]["content"][0]["text"]
    return answer


async def stream_all(url: str) -> list[str]:
    """Open all streams, read them only then, and return their texts."""
    opened, all_open, texts = 0, anyio.Event(), list[str]()

    async def one() -> None:
        nonlocal opened
        async with client.stream(model="scripted", input=f"[slow 0.5] {WORDS}") as stream:
            opened += 1
            if opened == CLIENTS:
                all_open.set()
            await all_open.wait()
            texts.append((await stream.result()).output_text)

    once = RetryPolicy(attempts=1)
    async with (
        ResponsesClient(url, "any", retry=once, timeouts=UNHURRIED) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(CLIENTS):
            tasks.start_soon(one)
    return texts


def test_a_thousand_streams_beside_two_thousand_idle_websockets_all_arrive() -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < NEEDED:
        pytest.skip(f"this machine allows {most} open files, and {NEEDED} are needed")
    texts: list[str] = []

    async def main() -> None:
        idle: list[websockets.ClientConnection] = []
        at_a_time = anyio.CapacityLimiter(50)
        address = url.replace("http", "ws", 1) + "/responses"

        async def connect() -> None:
            async with at_a_time:
                socket = websockets.connect(address, compression=None, ping_interval=None, open_timeout=PATIENCE)
                idle.append(await stack.enter_async_context(socket))

        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(anyio.fail_after(5 * PATIENCE))
            async with anyio.create_task_group() as tasks:
                for _ in range(IDLE):
                    tasks.start_soon(connect)
            texts.extend(await stream_all(url))
            for socket in idle:
                await (await socket.ping())
            for socket in idle[:: IDLE // 20]:
                assert await ask(socket, "still there") == "still there"

    with served() as url:  # the server looks after its own limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, NEEDED), most))
        try:
            anyio.run(main)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
    assert texts == [WORDS] * CLIENTS
