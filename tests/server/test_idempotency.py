"""`Idempotency-Key`: equal requests run once, at whatever moment they come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Client, body
from tests.support import both_loops, run

from responses_proto.exceptions import APIError
from responses_proto.server import MemoryStore, ResponsesApp, SQLiteStore, Store
from responses_proto.server._idempotency import fingerprint_of

if TYPE_CHECKING:
    from pathlib import Path

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply

both_stores = pytest.mark.parametrize("kind", ["memory", "sqlite"])
KEY = {"Idempotency-Key": "one"}


class Counting:
    """A handler that counts its runs, and writes when it may go on."""

    def __init__(self) -> None:
        self.runs = 0
        self.proceed = anyio.Event()

    async def __call__(self, _request: CreateResponse, reply: Reply) -> None:
        self.runs += 1
        async with reply.message() as message:
            await message.text("Hello")
            await self.proceed.wait()
            await message.text(f" number {self.runs}.")


def store_of(kind: str, path: Path) -> Store:
    return MemoryStore() if kind == "memory" else SQLiteStore(path / "store.db")


async def ask(client: Client, content: bytes) -> None:
    await client.request(content, headers=KEY)


def response_in(client: Client) -> dict[str, Any]:
    """Return the response of a client, or the one of the first event of its stream, without its status."""
    if client.headers["content-type"] == "application/json":
        return dict(client.json)
    data = next(line for line in client.content.decode().splitlines() if line.startswith("data: "))
    return dict(json.loads(data[6:])["response"])


@both_loops
@both_stores
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fields", [{}, {"background": True}, {"store": False}])
def test_equal_requests_run_once(
    backend: str, kind: str, fields: dict[str, Any], tmp_path: Path, *, stream: bool
) -> None:
    async def main() -> None:
        handler = Counting()
        async with ResponsesApp(handler, store=store_of(kind, tmp_path)) as app:
            clients = [Client(app) for _ in range(4)]
            async with anyio.create_task_group() as tasks:
                for client in clients:
                    tasks.start_soon(ask, client, body(stream=stream, **fields))
                    await anyio.sleep(0.01)
                handler.proceed.set()
            later = await Client(app).request(body(stream=stream, **fields), headers=KEY)
            assert handler.runs == 1
            assert {client.status for client in [*clients, later]} == {200}
            assert len({response_in(client)["id"] for client in [*clients, later]}) == 1
            if stream:
                assert len({client.content for client in clients[1:]}) == 1
                assert all(b"response.completed" in client.content for client in [*clients, later])
            for other in ({"Idempotency-Key": "two"}, {**KEY, "authorization": "Bearer x"}, {}):
                runs = handler.runs
                await Client(app).request(body(stream=stream, **fields), headers=other)
                assert handler.runs == runs + 1 or fields.get("background")

    run(backend, main)


@both_loops
@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_failed_is_not_repeated(backend: str, *, stream: bool) -> None:
    runs = 0

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        nonlocal runs
        runs += 1
        await anyio.sleep(0.01)
        if runs == 1:
            raise APIError("Too many.", status=429)
        if runs == 2:
            await reply.fail("server_error", "No.")

    async def main() -> None:
        app = ResponsesApp(handler)
        clients = [Client(app) for _ in range(5)]
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(ask, client, body(stream=stream))
        assert runs == 3
        assert sorted(client.status for client in clients) == [200, 200, 200, 200, 429]
        answered = [client for client in clients if client.status == 200]
        assert len({response_in(client)["id"] for client in answered}) == 2

    run(backend, main)


@both_loops
def test_a_request_whose_client_left_is_not_repeated(backend: str) -> None:
    async def main() -> None:
        handler = Counting()
        app = ResponsesApp(handler)
        first, second, third = Client(app), Client(app), Client(app)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: first.request(body(stream=True), headers=KEY))
            await first.until(b"Hello")
            tasks.start_soon(lambda: second.request(body(stream=True), headers=KEY))
            tasks.start_soon(lambda: third.request(body(stream=True), headers=KEY))
            await anyio.sleep(0.02)
            first.leave.set()
            handler.proceed.set()
        assert handler.runs == 2
        assert b"number 2." in second.content
        assert response_in(second)["id"] == response_in(third)["id"] != response_in(first)["id"]

    run(backend, main)


@both_loops
@pytest.mark.parametrize("store", [True, False])
def test_a_deleted_response_is_made_again(backend: str, *, store: bool) -> None:
    async def main() -> None:
        handler = Counting()
        handler.proceed.set()
        app = ResponsesApp(handler)
        first = await Client(app).request(body(store=store), headers=KEY)
        await Client(app).request(method="DELETE", path=f"/v1/responses/{first.json['id']}")
        second = await Client(app).request(body(store=store), headers=KEY)
        assert (second.json["id"] != first.json["id"]) is store

    run(backend, main)


def test_a_fingerprint_is_that_of_the_key_the_caller_and_the_body() -> None:
    given = [
        ({"idempotency-key": "a"}, b"x"),
        ({"idempotency-key": "b"}, b"x"),
        ({"idempotency-key": "a"}, b"y"),
        ({"idempotency-key": "a", "authorization": "Bearer k"}, b"x"),
    ]
    assert len({fingerprint_of(headers, content) for headers, content in given}) == len(given)
    assert fingerprint_of({}, b"x") == fingerprint_of({"idempotency-key": ""}, b"x") == b""
