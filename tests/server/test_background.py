"""Responses in the background: queued, followed, cancelled, deleted, and stored as failed when the server ends."""

from __future__ import annotations

import inspect
import shutil
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Client, body, connected, parse_stream, send_request
from tests.support import PATIENCE, both_loops, run

from responses_proto import Cursor, ResponsesClient
from responses_proto.codec import loads
from responses_proto.exceptions import BadRequestError, LocalProtocolError, NotFoundError
from responses_proto.models.events import OutputTextDelta
from responses_proto.models.items import Message
from responses_proto.models.response import Response
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, ResponsesApp, SQLiteStore, Store, serving

if TYPE_CHECKING:
    from pathlib import Path

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply


def slowed(store: type[Any]) -> type[Any]:
    """Return a class of stores like this one, each of whose methods takes a while before it begins, as on a slow disk."""

    def late(method: Any) -> Any:
        async def slow(self: Any, *args: Any, **kwargs: Any) -> Any:
            await anyio.sleep(0.005)
            return await method(self, *args, **kwargs)

        return slow

    methods = inspect.getmembers(store, inspect.iscoroutinefunction)
    return type(f"Slow{store.__name__}", (store,), {name: late(method) for name, method in methods if name[0] != "_"})


both_slow_stores = pytest.mark.parametrize("kind", ["memory", "sqlite"])


def slow_store(kind: str, path: Path) -> Store:
    made: Store = slowed(MemoryStore)() if kind == "memory" else slowed(SQLiteStore)(path / "store.db")
    return made


class Steps:
    """A handler that writes one word, waits for `proceed`, and writes another. `cancelled` is set if it was cancelled."""

    def __init__(self) -> None:
        self.waits = anyio.Event()
        self.proceed = anyio.Event()
        self.cancelled = anyio.Event()

    async def __call__(self, _request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                await message.text("first")
                self.waits.set()
                await self.proceed.wait()
                await message.text(" second")
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise


async def created(app: ResponsesApp, **fields: Any) -> Response:
    return loads((await Client(app).request(body(background=True, **fields))).content, Response)


@both_loops
def test_it_is_queued_at_once_and_runs_without_a_client(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app, connected(app) as client:
            queued = await client.create(model="m", input="x", background=True)
            assert (queued.status, queued.background, queued.output) == ("queued", True, [])
            await steps.waits.wait()
            running = await client.retrieve(queued.id)
            assert (running.status, running.completed_at) == ("in_progress", None)
            with pytest.raises(BadRequestError) as refused:
                await client.create(model="m", input="y", previous_response_id=queued.id)
            assert (refused.value.param, refused.value.code) == (
                "previous_response_id",
                "previous_response_not_completed",
            )
            assert [item.text async for item in client.input_items(queued.id) if isinstance(item, Message)] == ["x"]
            steps.proceed.set()
            ended = await client.wait(queued, interval=0.01)
            assert (ended.status, ended.output_text) == ("completed", "first second")
            assert await client.cancel(queued.id) == ended
            follower = await client.create(model="m", input="y", previous_response_id=queued.id)
            assert follower.status == "completed"

    run(backend, main)


@both_loops
def test_a_stream_can_be_resumed(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app:
            first = Client(app)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first.request, body(background=True, stream=True))
                await first.until(b"first")
                first.leave.set()
            assert not first.ended
            assert not steps.cancelled.is_set()
            seen = parse_stream(first.content, strict=False)
            assert [event for event in first.types if "queued" in event] == ["response.queued"]
            assert seen.cursor
            assert seen.cursor.sequence_number is not None
            rest = Client(app)
            path = f"/responses/{seen.cursor.response_id}?stream=true&starting_after={seen.cursor.sequence_number}"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: rest.request(method="GET", path=path))
                await anyio.wait_all_tasks_blocked()
                assert b"second" not in rest.content
                steps.proceed.set()
            whole = await Client(app).request(method="GET", path=f"/responses/{seen.cursor.response_id}?stream=true")
        assert first.content + rest.content == whole.content
        assert parse_stream(whole.content).response.output_text == "first second"
        assert parse_stream(whole.content).anomalies == []

    run(backend, main)


@both_loops
def test_starting_after_an_event_to_come_is_refused(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app:
            queued = await created(app)
            await steps.waits.wait()
            client = await Client(app).request(
                method="GET", path=f"/responses/{queued.id}?stream=true&starting_after=7"
            )
            assert (client.status, client.error["param"]) == (400, "starting_after")

    run(backend, main)


@both_loops
def test_head_of_a_stream_waits_for_no_event(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app:
            queued = await created(app)
            await steps.waits.wait()
            with anyio.fail_after(PATIENCE):
                head = await Client(app).request(method="HEAD", path=f"/responses/{queued.id}?stream=true")
                missing = await Client(app).request(method="HEAD", path="/responses/resp_none?stream=true")
            assert (head.status, head.headers["content-type"], head.content) == (
                200,
                "text/event-stream; charset=utf-8",
                b"",
            )
            assert missing.status == 404
            assert not steps.cancelled.is_set()

    run(backend, main)


@both_loops
def test_cancelling_stops_the_handler_at_once(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app, connected(app) as client:
            queued = await client.create(model="m", input="x", background=True)
            await steps.waits.wait()
            cancelled = await client.cancel(queued.id)
            with anyio.fail_after(PATIENCE):
                await steps.cancelled.wait()
            assert (cancelled.status, cancelled.output_text) == ("cancelled", "first")
            (item,) = cancelled.output
            assert isinstance(item, Message)
            assert item.status == "incomplete"
            assert await client.cancel(queued.id) == cancelled
            assert await client.retrieve(queued.id) == cancelled
            async with client.resume(Cursor(queued.id)) as stream:
                events = [event async for event in stream]
            assert stream.outcome
            assert (stream.outcome.status, stream.response) == ("cancelled", cancelled)
            assert [event.delta for event in events if isinstance(event, OutputTextDelta)] == ["first"]

    run(backend, main)


@both_loops
def test_deleting_cancels_and_nothing_is_stored_afterwards(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app, connected(app) as client:
            queued = await client.create(model="m", input="x", background=True)
            await steps.waits.wait()
            await client.delete(queued.id)
            await steps.cancelled.wait()
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(NotFoundError):
                await client.retrieve(queued.id)

    run(backend, main)


@both_loops
def test_an_error_of_the_handler_makes_it_failed(backend: str) -> None:
    async def handler(request: CreateResponse, _reply: Reply) -> None:
        if request.input == "no":
            raise BadRequestError("Not that.", status=400, code="invalid_prompt")
        raise ValueError("secret")

    async def main() -> None:
        async with ResponsesApp(handler) as app, connected(app) as client:
            refused = await client.wait(await client.create(model="m", input="no", background=True), interval=0.01)
            assert refused.status == "failed"
            assert refused.error
            assert (refused.error.code, refused.error.message) == ("invalid_prompt", "Not that.")
            broken = await client.wait(await client.create(model="m", input="x", background=True), interval=0.01)
            assert broken.error
            assert (broken.error.code, "secret" in broken.error.message) == ("server_error", False)

    run(backend, main)


@both_loops
def test_a_repeated_idempotency_key_returns_the_same_response(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps) as app, connected(app) as client:
            key = {"Idempotency-Key": "one"}
            queued = await client.create(model="m", input="x", background=True, headers=key)
            again = await client.create(model="m", input="x", background=True, headers=key)
            assert again.id == queued.id

    run(backend, main)


# ---- lifespan


def test_without_a_lifespan_there_is_no_background() -> None:
    client = send_request("asyncio", ResponsesApp(Scripted()), body(background=True))
    assert (client.status, client.error["param"]) == (400, "background")
    assert "lifespan" in client.error["message"]
    assert "async with" in client.error["message"]


@both_loops
def test_an_application_is_entered_once_at_a_time(backend: str) -> None:
    async def main() -> None:
        app = ResponsesApp(Scripted())
        for _ in range(2):
            async with app:
                with pytest.raises(LocalProtocolError, match="open already"):
                    await app.__aenter__()
                assert (await created(app)).status == "queued"

    run(backend, main)


@both_loops
def test_an_exception_of_the_block_is_not_wrapped(backend: str) -> None:
    async def main() -> None:
        steps = Steps()

        async def use() -> None:
            async with ResponsesApp(steps) as app:
                await created(app)
                await steps.waits.wait()
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await use()
        assert steps.cancelled.is_set()

    run(backend, main)


@both_loops
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("by", ["end", "cancellation"])
def test_what_is_running_when_the_server_ends_is_stored_as_failed(
    backend: str, kind: str, by: str, tmp_path: Path
) -> None:
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "store.db")

    async def main() -> None:
        steps = Steps()
        names: list[str] = []
        with anyio.CancelScope() as scope:
            async with ResponsesApp(steps, store=store) as app:
                names.append((await created(app, stream=False)).id)
                await steps.waits.wait()
                if by == "cancellation":
                    scope.cancel()
                    await anyio.sleep_forever()
        assert steps.cancelled.is_set()
        async with connected(ResponsesApp(Scripted(), store=store)) as client:
            ended = await client.retrieve(names[0])
            assert (ended.status, ended.output_text) == ("failed", "first")
            assert ended.error
            assert "shut down" in ended.error.message
            async with client.resume(Cursor(ended.id)) as stream:
                assert [event.type async for event in stream][-2:] == ["error", "response.failed"]
            assert (stream.response, stream.anomalies) == (ended, [])
        await store.aclose()

    run(backend, main)


def copied(folder: Path) -> Path:
    """Copy the files of a store that is open; return the path of the copy."""
    (folder / "copy").mkdir()
    for file in folder.glob("store.db*"):
        shutil.copy(file, folder / "copy")
    return folder / "copy" / "store.db"


@both_loops
def test_what_was_running_in_a_killed_process_is_returned_as_failed(backend: str, tmp_path: Path) -> None:
    """A server on a copy of the files sees what it would see after a kill: a response in progress."""

    async def main() -> None:
        store = SQLiteStore(tmp_path / "store.db")
        steps = Steps()
        async with ResponsesApp(steps, store=store) as app:
            name = (await created(app)).id
            await steps.waits.wait()
            async with connected(ResponsesApp(Scripted(), store=SQLiteStore(copied(tmp_path)))) as client:
                dead = await client.retrieve(name)
                assert (dead.status, dead.output_text) == ("failed", "first")
                assert dead.error
                assert "restarted" in dead.error.message
                assert await client.retrieve(name) == dead
                assert await client.cancel(name) == dead
                async with client.resume(Cursor(name)) as stream:
                    types = [event.type async for event in stream]
                assert types[:3] == ["response.created", "response.queued", "response.in_progress"]
                assert types[-2:] == ["error", "response.failed"]
                assert stream.response == dead

    run(backend, main)


@both_loops
def test_serving_enters_the_lifespan(backend: str) -> None:
    async def main(url: str) -> None:
        async with ResponsesClient(url, "any") as client:
            stream = client.stream(model="m", input="tell me a story", background=True)
            async with stream:
                async for event in stream:
                    if isinstance(event, OutputTextDelta):
                        break
            async with client.resume(stream) as rest:
                assert (await rest.result()).output_text.endswith("until morning.")
            assert rest.anomalies == []

    with serving(ResponsesApp(Scripted(delay=0.01))) as url:
        run(backend, lambda: main(url))


# ---- several who look at once


@both_loops
@both_slow_stores
@pytest.mark.parametrize("stream", [False, True])
def test_a_deleted_response_stays_deleted(backend: str, kind: str, tmp_path: Path, *, stream: bool) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps, store=slow_store(kind, tmp_path)) as app:
            for round_ in range(3):
                queued = await created(app)
                path = f"/v1/responses/{queued.id}"
                seen: list[Client] = []

                async def look(path: str = path, seen: list[Client] = seen) -> None:
                    query = "?stream=true" if stream else ""
                    while not seen or seen[-1].status == 200:
                        seen.append(await Client(app).request(method="GET", path=path + query))

                async with anyio.create_task_group() as tasks:
                    for _ in range(4):
                        tasks.start_soon(look)
                    await anyio.sleep(0.01 * round_)
                    deleted = await Client(app).request(method="DELETE", path=path)
                    assert deleted.status == 200
                    for _ in range(3):
                        assert (await Client(app).request(method="GET", path=path)).status == 404
                        await anyio.sleep(0.01)
                    tasks.cancel_scope.cancel()
                assert not any(b"failed" in client.content for client in seen)

    run(backend, main)


@both_loops
@both_slow_stores
def test_a_lost_response_ends_once(backend: str, kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        store = slow_store(kind, tmp_path)
        steps = Steps()
        async with ResponsesApp(steps, store=store) as app:
            lost = await created(app)
            await steps.waits.wait()
            # For another server on the store, the process of this one might have died.
            await look_all_at_once(ResponsesApp(Scripted(), store=store), lost.id)
            events = await store.events(lost.id)
            assert [event.type for event in events][-2:] == ["error", "response.failed"]
            assert [event.sequence_number for event in events] == [*range(len(events))]

    run(backend, main)


async def look_all_at_once(app: ResponsesApp, lost: str) -> None:
    clients = [Client(app) for _ in range(10)]

    async def look(number: int) -> None:
        await anyio.sleep(0.003 * number)
        query = "?stream=true" if number % 2 else ""
        await clients[number].request(method="GET", path=f"/v1/responses/{lost}{query}")

    async with anyio.create_task_group() as tasks:
        for number in range(len(clients)):
            tasks.start_soon(look, number)
    assert {client.status for client in clients} == {200}
    for client in clients[1::2]:
        assert client.types.count("response.failed") == 1
        parse_stream(client.content)
    assert {client.json["status"] for client in clients[::2]} == {"failed"}


@both_loops
def test_jobs_in_the_background_are_bounded(backend: str) -> None:
    async def main() -> None:
        steps = Steps()
        async with ResponsesApp(steps, max_background=3) as app:
            first = [await created(app) for _ in range(3)]
            refused = await Client(app).request(body(background=True))
            assert (refused.status, refused.error["code"]) == (429, "too_many_background_responses")
            assert (await Client(app).request(method="POST", path=f"/v1/responses/{first[0].id}/cancel")).status == 200
            assert (await created(app)).status == "queued"

    run(backend, main)
