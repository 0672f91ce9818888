"""Sharing a store in one process: who may open it, leases that are lost, a store that cannot be reached for a while."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Client, body, connected
from tests.redis_server import RedisServer, needs_redis
from tests.support import PATIENCE, both_loops, run

from responses_proto.codec import loads
from responses_proto.exceptions import BadRequestError, RateLimitError, UsageError
from responses_proto.models.response import Response
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, RedisStore, ResponsesApp, SQLiteStore, WireEvent
from responses_proto.server.stores._base import unavailable
from responses_proto.server.stores._changes import Changes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply
    from responses_proto.server._sharing import Sharing
    from responses_proto.server.service import Service

HOLD = """
import sys, time
from responses_proto.server import SQLiteStore
SQLiteStore(sys.argv[1], shared=len(sys.argv) > 2)
print("open", flush=True)
time.sleep(600)
"""


class Steps:
    """A handler that writes a word each time it is let to."""

    def __init__(self) -> None:
        self.send, self._receive = anyio.create_memory_object_stream[str](100)
        self.stopped = anyio.Event()

    async def __call__(self, _request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                async for word in self._receive:
                    if not word:
                        return
                    await message.text(word)
        except BaseException:  # cancelled, or refused to write
            self.stopped.set()
            raise

    def close(self) -> None:
        self.send.close()
        self._receive.close()


async def created(app: ResponsesApp, **fields: Any) -> Response:
    return loads((await Client(app).request(body(background=True, **fields))).content, Response)


async def text_of(app: ResponsesApp, name: str, text: bytes) -> Client:
    """Follow a response until it has written a text, in the events."""
    client = Client(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: client.request(method="GET", path=f"/responses/{name}?stream=true"))
        await client.until(text)
        client.leave.set()
    return client


# ---- who may open a store


@both_loops
def test_a_store_of_one_server_refuses_a_second(backend: str) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with ResponsesApp(Scripted(), store=store):
            with pytest.raises(UsageError, match="MemoryStore is for one"):
                async with ResponsesApp(Scripted(), store=store):
                    pass
        async with ResponsesApp(Scripted(), store=store):
            pass

    run(backend, main)


@pytest.mark.parametrize("others_share", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_a_file_is_for_one_process_unless_all_share_it(tmp_path: Path, *, shares: bool, others_share: bool) -> None:
    path = tmp_path / "store.db"
    command = [sys.executable, "-c", HOLD, str(path), *(["shared"] if others_share else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:  # noqa: S603 - our own code
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            if shares and others_share:
                run("asyncio", SQLiteStore(path, shared=True).aclose)
            else:
                with pytest.raises(UsageError, match="in use by another server"):
                    SQLiteStore(path, shared=shares)
        finally:
            other.kill()
    run("asyncio", SQLiteStore(path, shared=shares).aclose)  # what has died does not hold it
    assert [left.name for left in tmp_path.iterdir()] == ["store.db"]


@pytest.mark.parametrize("lease", [0, -1.0, float("nan")])
def test_a_lease_takes_time(tmp_path: Path, lease: float) -> None:
    with pytest.raises(UsageError, match="lease must be a positive number"):
        SQLiteStore(tmp_path / "store.db", lease=lease)
    with pytest.raises(UsageError, match="lease must be a positive number"):
        RedisStore("redis://localhost", lease=lease)


def test_a_url_that_is_not_one_of_redis_is_refused_without_its_password() -> None:
    with pytest.raises(UsageError, match="not a URL of Redis") as refused:
        RedisStore("http://:secret@localhost")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(RedisStore("redis://:secret@localhost"))


@both_loops
def test_a_server_that_is_not_open_has_no_leases_to_give(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        app = ResponsesApp(Scripted(), store=SQLiteStore(tmp_path / "store.db", shared=True))
        async with connected(app) as client:
            assert (await client.create(model="m", input="x")).status == "completed"
            with pytest.raises(BadRequestError, match="lifespan") as refused:
                async with client.stream(model="m", input="x"):
                    pass
            assert refused.value.param == "store"
        await app.service.store.aclose()

    run(backend, main)


# ---- leases that are lost


async def suspend(sharing: Sharing, other: Service, name: str) -> None:
    """Let the leases of a server run out, as if it had been suspended, until another server has ended its response.

    The server is not suspended, so it may renew its leases in between.
    """
    while True:
        await sharing.store.renew(sharing.owner, 0)
        if (await other.get(name)).response.status == "failed":
            return


@both_loops
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("redis", marks=needs_redis)])
def test_a_response_that_another_server_has_ended_stops_where_it_runs(backend: str, kind: str, tmp_path: Path) -> None:
    with RedisServer() if kind == "redis" else open("/dev/null") as redis:  # noqa: PTH123 - nothing

        def opened() -> SQLiteStore | RedisStore:
            return (
                RedisStore(redis.url) if isinstance(redis, RedisServer) else SQLiteStore(tmp_path / "a.db", shared=True)
            )

        async def main() -> None:
            steps = Steps()
            async with ResponsesApp(steps, store=opened()) as one, ResponsesApp(Scripted(), store=opened()) as two:
                name = (await created(one)).id
                await steps.send.send("word")
                await text_of(two, name, b"word")
                following, followed = Client(one), Client(two)
                async with anyio.create_task_group() as tasks:
                    for client in (following, followed):
                        request = functools.partial(client.request, method="GET", path=f"/responses/{name}?stream=true")
                        tasks.start_soon(request)
                        await client.until(b"word")
                    sharing = one.service.sharing
                    assert sharing is not None
                    await suspend(sharing, two.service, name)
                    await steps.send.send("late")
                await steps.stopped.wait()
                assert following.content == followed.content
                assert b"late" not in following.content
                assert following.types[-2:] == ["error", "response.failed"]
                assert await one.service.get(name) == await two.service.get(name)
            steps.close()

        run(backend, main)


@both_loops
def test_a_stream_whose_lease_is_lost_breaks_off(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps()
        path = tmp_path / "store.db"
        async with (
            ResponsesApp(steps, store=SQLiteStore(path, shared=True)) as one,
            ResponsesApp(Scripted(), store=SQLiteStore(path, shared=True)) as two,
        ):
            client = Client(one)
            names: list[str] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.request, body(stream=True))
                await steps.send.send("word")
                await client.until(b"word")
                (name,) = names = [*one.service.running]
                sharing = one.service.sharing
                assert sharing is not None
                await suspend(sharing, two.service, name)
                await steps.send.send("late")
            await steps.stopped.wait()
            assert b"[DONE]" not in client.content
            assert b"late" not in client.content
            assert [(await app.service.get(names[0])).response.status for app in (one, two)] == ["failed", "failed"]
        steps.close()

    run(backend, main)


@both_loops
def test_an_end_that_could_not_be_stored_is_stored_as_failed_later(backend: str, tmp_path: Path) -> None:
    class Fails(SQLiteStore):
        fails = False

        async def save_leased(self, stored: Any, *, owner: str, events: Any = (), conversation_items: Any = ()) -> bool:
            if self.fails:
                raise OSError("no space left")
            return await super().save_leased(stored, owner=owner, events=events, conversation_items=conversation_items)

    async def main() -> None:
        steps = Steps()
        store = Fails(tmp_path / "store.db", shared=True, lease=0.4)
        async with ResponsesApp(steps, store=store) as app:
            name = (await created(app)).id
            await steps.send.send("word")
            await text_of(app, name, b"word")
            store.fails = True
            await steps.send.send("")
            while name in app.service.running:  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
            store.fails = False
            while (found := await store.find(name)) and found.response.status != "failed":  # noqa: ASYNC110 - as above
                await anyio.sleep(0.02)
            events = await store.events(name)
            assert [event.sequence_number for event in events] == list(range(len(events)))
            assert [event.type for event in events][-2:] == ["error", "response.failed"]
        steps.close()

    run(backend, main)


# ---- a store that cannot be reached


class Unreachable(SQLiteStore):
    """A store behind a network that is down at times."""

    down = False
    tries = 0

    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:
        self.refuse()
        return await super().add_events_leased(response_id, events, owner=owner)

    async def renew(self, owner: str, seconds: float) -> list[str]:
        self.refuse()
        return await super().renew(owner, seconds)

    def refuse(self) -> None:
        if self.down:
            self.tries += 1
            raise unavailable("down")


@both_loops
def test_a_response_goes_on_when_the_store_is_back(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps()
        store = Unreachable(tmp_path / "store.db", shared=True, lease=PATIENCE)
        async with ResponsesApp(steps, store=store) as app:
            name = (await created(app)).id
            await steps.send.send("first")
            await text_of(app, name, b"first")
            store.down = True
            await steps.send.send("second")
            while not store.tries:  # noqa: ASYNC110 - of the server
                await anyio.sleep(0.01)
            assert app.service.sharing is not None
            assert not app.service.sharing.may_bury
            store.down = False
            await steps.send.send("")
            ended = await text_of(app, name, b"response.completed")
            assert b"second" in ended.content
        steps.close()

    run(backend, main)


@both_loops
def test_a_response_is_given_up_when_the_store_does_not_come_back(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps()
        store = Unreachable(tmp_path / "store.db", shared=True, lease=0.3)
        async with ResponsesApp(steps, store=store) as app:
            name = (await created(app)).id
            await steps.send.send("first")
            await text_of(app, name, b"first")
            store.down = True
            await steps.send.send("second")
            await steps.stopped.wait()
            store.down = False
            ended = await text_of(app, name, b"response.failed")
            assert b"second" not in ended.content
            assert ended.types.count("response.failed") == 1
        steps.close()

    run(backend, main)


# ---- equal requests


@both_loops
def test_a_request_that_was_refused_leaves_nothing_behind(backend: str, tmp_path: Path) -> None:
    names: list[str] = []

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        names.append(reply.response.id)
        if len(names) == 1:
            raise RateLimitError("slow down", status=429)

    async def main() -> None:
        path = tmp_path / "store.db"
        async with (
            ResponsesApp(handler, store=SQLiteStore(path, shared=True)) as one,
            ResponsesApp(handler, store=SQLiteStore(path, shared=True)) as two,
        ):
            key = {"Idempotency-Key": "k"}
            assert (await Client(one).request(body(), headers=key)).status == 429
            assert await one.service.store.find(names[0]) is None
            answers = [await Client(app).request(body(), headers=key) for app in (two, one, two)]
            assert [answer.status for answer in answers] == [200, 200, 200]
            assert {answer.json["id"] for answer in answers} == {names[1]}
            assert len(names) == 2
            await two.service.delete(names[1])
            assert (await Client(one).request(body(), headers=key)).json["id"] == names[2]

    run(backend, main)


# ---- waiting for changes


@both_loops
def test_when_the_one_who_looks_leaves_another_takes_its_place(backend: str) -> None:
    async def main() -> None:
        woken: list[int] = []

        def look(count: int, seconds: float) -> None:
            end = time.monotonic() + seconds
            while changes.count == count and time.monotonic() < end:
                time.sleep(0.005)

        changes = Changes(look)

        async def wait(number: int) -> None:
            await changes.wait(0, PATIENCE)
            woken.append(number)

        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as first:
                first.start_soon(wait, 0)
                await anyio.sleep(0.05)
                for number in (1, 2):
                    tasks.start_soon(wait, number)
                await anyio.sleep(0.05)
                first.cancel_scope.cancel()
            await anyio.sleep(0.05)
            changes.count += 1
        assert sorted(woken) == [1, 2]
        await changes.wait(1, 0.01)  # the time is up

    run(backend, main)
