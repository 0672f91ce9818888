"""One worker that answers many requests of all kinds takes no more memory at the end than in the middle.

Three thousand requests by default. ``REQUESTS=100000 pytest -s tests/hostile/test_growth.py`` sends a hundred thousand and prints the figures.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
import httpx
import websockets
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

REQUESTS: Final = int(os.environ.get("REQUESTS", "3000"))
TASKS: Final = 8
TURNS: Final = 10  # on one WebSocket

SERVER: Final = """
import gc, sys
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, ResponsesApp, listen, serve, url_of

class Measured(Scripted):
    async def __call__(self, request, reply):
        if request.input != "measure":
            await super().__call__(request, reply)
            return
        gc.collect()
        async with reply.message() as message:
            await message.text(str(sys.getallocatedblocks()))

listener = listen()
print(url_of(listener), flush=True)
# The store is full long before the first look at the memory.
serve(ResponsesApp(Measured(), store=MemoryStore(max_bytes=500_000), models=["m"]), listener)
"""

TOOL: Final[dict[str, Any]] = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}


@attrs.define
class Sender:
    """Sends requests of all kinds."""

    client: httpx.AsyncClient
    chance: random.Random
    left: int = 0
    answers: dict[int, int] = attrs.field(factory=dict[int, int])
    """HTTP status -> the number of answers."""

    async def send(self, count: int) -> None:
        """Send this many requests, some of them at a time."""
        self.left = count
        async with anyio.create_task_group() as tasks:
            for _ in range(TASKS):
                tasks.start_soon(self._work)

    async def _work(self) -> None:
        kinds: list[Callable[[], Awaitable[None]]] = [
            *(self._create,) * 4,
            *(self._stream,) * 4,
            *(
                self._leave,
                self._background,
                self._stored,
                self._repeat,
                self._refused,
                self._converse,
                self._websocket,
            ),
        ]
        while self.left > 0:
            await self.chance.choice(kinds)()

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        self.left -= 1
        answer = await self.client.request(method, path, **options)
        self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
        assert answer.status_code < 500
        return answer

    async def _post(self, **fields: Any) -> httpx.Response:
        # The scripted model remembers prompts: of these there are few.
        body = {"model": "m", "input": f"tell me number {self.chance.randrange(5)}", **fields}
        return await self._request("POST", "/responses", json=body)

    async def _create(self) -> None:
        fields: dict[str, Any] = self.chance.choice([{}, {"tools": [TOOL]}, {"reasoning": {"effort": "low"}}])
        assert (await self._post(**fields)).status_code == 200

    async def _stream(self) -> None:
        assert (await self._post(stream=True)).content.endswith(b"data: [DONE]\n\n")

    async def _leave(self) -> None:
        self.left -= 1
        body = {"model": "m", "input": "[slow 0.01] [long 100]", "stream": True}
        async with self.client.stream("POST", "/responses", json=body) as answer:
            async for _ in answer.aiter_bytes():
                break

    async def _background(self) -> None:
        name = (await self._post(background=True)).json()["id"]
        await self._request("GET", f"/responses/{name}?stream=true")

    async def _stored(self) -> None:
        name = (await self._post()).json()["id"]
        await self._post(previous_response_id=name)
        await self._request("DELETE", f"/responses/{name}")

    async def _repeat(self) -> None:
        # The server remembers the keys.
        headers = {"idempotency-key": str(self.chance.randrange(REQUESTS // 100))}
        await self._request("POST", "/responses", json={"model": "m", "input": "x"}, headers=headers)

    async def _refused(self) -> None:
        await self._post(temperature="hot")
        await self._request("POST", "/responses", content=b'{"model": "m", "in')
        await self._request("GET", f"/responses/resp_{self.chance.random()}")
        await self._request("GET", f"/{self.chance.random()}")

    async def _converse(self) -> None:
        name = (await self._request("POST", "/conversations", json={})).json()["id"]
        await self._post(conversation=name)
        await self._request("DELETE", f"/conversations/{name}")

    async def _websocket(self) -> None:
        url = str(self.client.base_url).replace("http", "ws", 1) + "responses"
        async with websockets.connect(url, compression=None) as socket:
            for _ in range(TURNS):
                self.left -= 1
                await socket.send(json.dumps({"type": "response.create", "model": "m", "input": "a b", "store": False}))
                while json.loads(await socket.recv())["type"] != "response.completed":
                    pass

    async def measure(self) -> int:
        """Return the number of memory blocks that the server uses."""
        body = {"model": "m", "input": "measure", "store": False}
        answer = await self.client.post("/responses", json=body)
        return int(answer.json()["output"][0]["content"][0]["text"])


def resident(process: int) -> str:
    """Return how much memory a process has, for people."""
    if not sys.platform.startswith("linux"):
        return "unknown"
    with open(f"/proc/{process}/status", encoding="ascii") as file:  # noqa: PTH123 - not a file to others
        return next(line.partition(":")[2].strip() for line in file if line.startswith("VmRSS"))


def test_memory_is_flat() -> None:
    blocks: list[int] = []

    async def main(url: str, process: int) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            sender = Sender(client, random.Random(1))
            for part in range(4):
                await sender.send(REQUESTS // 4)
                blocks.append(await sender.measure())
                print(f"{(part + 1) * REQUESTS // 4} requests: {blocks[-1]} blocks, {resident(process)}")  # noqa: T201 - for -s
            assert sender.answers[200] > REQUESTS / 4

    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            anyio.run(main, url, server.pid)
        finally:
            server.kill()
    # One object for each request would be seen.
    growths = [after - before for before, after in itertools.pairwise(blocks[1:])]
    assert min(growths) < REQUESTS / 4, blocks
