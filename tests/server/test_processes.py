"""Three processes on one store: whichever a request goes to, it finds the same responses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from tests.redis_server import needs_redis
from tests.support import PATIENCE, run
from tests.workers import Workers, frames, store_at

from responses_proto import Cursor, ResponsesClient
from responses_proto.exceptions import NotFoundError, ServerError
from responses_proto.models.events import TERMINAL_TYPES, ResponseCreated
from responses_proto.models.items import Message
from responses_proto.testing import check_server

if TYPE_CHECKING:
    from collections.abc import Generator

    from responses_proto.models.response import Response

A, B, C = range(3)
LONG = "count 100000 0.02"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("redis", marks=needs_redis)])
def workers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Workers]:
    with Workers(request.param, tmp_path_factory.mktemp("workers")) as started:
        yield started


async def started(client: ResponsesClient, text: str = LONG, **fields: Any) -> Response:
    """Start a response in the background, and wait until its handler writes."""
    response = await client.create(model="m", input=text, background=True, **fields)
    while (await client.retrieve(response.id)).status == "queued":  # noqa: ASYNC110 - of another process
        await anyio.sleep(0.01)
    return response


async def events_of(
    client: ResponsesClient, name: str, after: int | None = None, begun: anyio.Event | None = None
) -> list[Any]:
    """Return the events of a response, from another one's cursor on, until the stream ends. Set ``begun`` when it has begun."""
    url = f"{client.base_url}/responses/{name}"
    params = {"stream": "true", **({} if after is None else {"starting_after": str(after)})}
    async with (
        httpx.AsyncClient(timeout=PATIENCE, verify=False, trust_env=False) as http_client,  # noqa: S501 - loopback
        http_client.stream("GET", url, params=params) as got,
    ):
        if begun is not None:
            begun.set()
        await got.aread()
    assert got.status_code == 200, got.text
    assert got.content.endswith(b"data: [DONE]\n\n"), got.content[-300:]
    return frames(got.content)


def assert_one_ending(events: list[Any], end: str) -> None:
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL_TYPES] == [end]
    assert events[-1]["type"] == end


def test_a_response_is_followed_and_resumed_at_every_cut_in_other_processes(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a, workers.client(B) as b, workers.client(C) as c:
            response = await started(a, "count 30 0 follow")
            running = await b.retrieve(response.id)
            assert running.status == "in_progress"
            followed: dict[int, list[Any]] = {}

            async def follow(number: int, client: ResponsesClient) -> None:
                followed[number] = await events_of(client, response.id)

            async with anyio.create_task_group() as tasks:
                for number, client in enumerate((a, b, c)):
                    tasks.start_soon(follow, number, client)
                workers.open("follow")
            assert_one_ending(followed[A], "response.completed")
            assert followed[A] == followed[B] == followed[C]
            for cut in range(len(followed[A])):
                assert await events_of(c, response.id, cut) == followed[A][cut + 1 :]
            ended = await c.retrieve(response.id)
            assert ended.output_text == "".join(f"{number} " for number in range(30))
            assert await b.retrieve(response.id) == ended
            next_one = await b.create(model="m", input="count 1 0", previous_response_id=response.id)
            items = [item async for item in c.input_items(next_one.id)]
            assert [item.text for item in items if isinstance(item, Message)] == ["count 1 0"]

    run("asyncio", main)


def test_a_stream_of_a_client_that_waits_is_followed_too(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a, workers.client(B) as b:
            theirs: list[Any] = []
            ours: list[str] = []

            async def follow(name: str) -> None:
                theirs.extend(await events_of(b, name))

            async with a.stream(model="m", input="count 20 0 stream") as stream, anyio.create_task_group() as tasks:
                async for event in stream:
                    ours.append(event.type)
                    if isinstance(event, ResponseCreated):
                        tasks.start_soon(follow, event.response.id)
                        workers.open("stream")
            assert_one_ending(theirs, "response.completed")
            assert ours == [event["type"] for event in theirs]

    run("asyncio", main)


def test_cancel_and_delete_reach_the_process_that_works(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a, workers.client(B) as b, workers.client(C) as c:
            response = await started(a)
            followed: list[Any] = []

            async def follow() -> None:
                followed.extend(await events_of(b, response.id))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                assert (await c.cancel(response.id)).status == "cancelled"
            cancelled = await a.retrieve(response.id)
            assert cancelled.status == "cancelled"
            assert [event["sequence_number"] for event in followed] == list(range(len(followed)))
            assert await b.cancel(response.id) == cancelled
            stopped = f"cancelled {workers.all[A].process.pid}"
            deleted = await started(a)
            before = workers.runs.count(stopped)
            await b.delete(deleted.id)
            for client in (a, b, c):
                with pytest.raises(NotFoundError):
                    await client.retrieve(deleted.id)
            while workers.runs.count(stopped) == before:  # noqa: ASYNC110 - of another process
                await anyio.sleep(0.01)
            with pytest.raises(NotFoundError):
                await a.retrieve(deleted.id)

    run("asyncio", main)


@pytest.mark.parametrize("fields", [{}, {"background": True}, {"stream": True}])
def test_equal_requests_run_once_whichever_process_they_go_to(workers: Workers, fields: dict[str, Any]) -> None:
    async def main() -> None:
        before = len(workers.runs)
        body = {"model": "m", "input": "count 5 0.05", **fields}
        transport = workers.round_robin()
        names: list[str] = []

        async def ask(client: httpx.AsyncClient) -> None:
            got = await client.post(
                "/v1/responses", json=body, headers={"Idempotency-Key": f"key of {fields} {before}"}, timeout=PATIENCE
            )
            assert got.status_code == 200, got.text
            names.append(frames(got.content)[0]["response"]["id"] if fields.get("stream") else got.json()["id"])

        async with httpx.AsyncClient(transport=transport, base_url="http://any") as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(ask, client)
            for _ in range(3):
                await ask(client)
        assert len(names) == 9
        assert len(set(names)) == 1
        assert len([line for line in workers.runs[before:] if line.startswith("run")]) == 1

    run("asyncio", main)


def test_the_conformance_checks_pass_through_all_of_them(workers: Workers) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=workers.round_robin(), timeout=PATIENCE) as client:
            report = await check_server("http://127.0.0.1:1/v1", http_client=client, deadline=PATIENCE)
        assert report.ok, str(report)

    run("asyncio", main)


def test_a_killed_process_ends_its_responses_once(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a, workers.client(B) as b, workers.client(C) as c:
            responses = [await started(a) for _ in range(3)]
            followed: dict[tuple[str, int], list[Any]] = {}
            buried: list[float] = []

            async def follow(name: str, number: int, client: ResponsesClient) -> None:
                followed[name, number] = await events_of(client, name)
                buried.append(time.monotonic())

            async with anyio.create_task_group() as tasks:
                for response in responses:
                    for number, client in ((0, b), (1, b), (2, c), (3, c)):
                        tasks.start_soon(follow, response.id, number, client)
                await anyio.sleep(0.3)
                workers.kill(A)
            for response in responses:
                events = followed[response.id, 0]
                assert_one_ending(events, "response.failed")
                assert all(followed[response.id, number] == events for number in range(4))
                assert await events_of(b, response.id) == events
                ended = await b.retrieve(response.id)
                assert (ended.status, ended.error and ended.error.code) == ("failed", "server_error")
                assert await c.retrieve(response.id) == ended
                text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
                assert ended.output_text == text
        workers.replace(A)

    run("asyncio", main)


def test_nobody_has_to_ask_for_what_a_killed_process_left(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a:
            response = await started(a)
        workers.kill(A)
        store = store_at(workers.place, workers.lease)
        while (found := await store.find(response.id)) and found.response.status != "failed":  # noqa: ASYNC110
            await anyio.sleep(0.05)
        await store.aclose()
        workers.replace(A)

    run("asyncio", main)


def test_a_suspended_process_does_not_write_into_what_others_have_ended(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a, workers.client(B) as b:
            response = await started(a)
            theirs: list[Any] = []
            events: list[Any] = []

            async def follow() -> None:
                theirs.extend(await events_of(a, response.id))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                await anyio.sleep(0.2)
                workers.all[A].suspend()
                try:
                    events += await events_of(b, response.id)
                finally:
                    workers.all[A].resume()
            assert_one_ending(events, "response.failed")
            assert theirs == events
            await anyio.sleep(0.3)
            assert await events_of(b, response.id) == events
            assert (await a.retrieve(response.id)).status == "failed"

    run("asyncio", main)


@needs_redis
def test_redis_may_be_stopped_and_started(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Workers("redis", tmp_path_factory.mktemp("workers"), count=2, lease=20) as workers:

        async def main() -> None:
            assert workers.redis is not None
            async with workers.client(0) as a, workers.client(1) as b:
                kept = await a.create(model="m", input="count 3 0")
                running = await started(a, "count 60 0.02 redis")
                followed: list[Any] = []
                begun = anyio.Event()

                async def follow() -> None:
                    followed.extend(await events_of(b, running.id, begun=begun))

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(follow)
                    await begun.wait()
                    workers.redis.stop()
                    with pytest.raises(ServerError) as unavailable:
                        await b.retrieve(kept.id)
                    assert (unavailable.value.status, unavailable.value.code) == (503, "store_unavailable")
                    with pytest.raises(ServerError) as unavailable:
                        await a.create(model="m", input="count 1 0", background=True)
                    assert (unavailable.value.status, unavailable.value.code) == (503, "store_unavailable")
                    workers.redis.start()
                    workers.open("redis")
                assert await b.retrieve(kept.id) == kept
                assert_one_ending(followed, "response.completed")
                assert await events_of(a, running.id) == followed
                assert (await a.cancel((await started(b)).id)).status == "cancelled"

        run("asyncio", main)


def test_a_client_resumes_where_it_was_when_its_process_dies(workers: Workers) -> None:
    async def main() -> None:
        async with workers.client(A) as a, workers.client(B) as b:
            response = await started(a)
            async with b.resume(Cursor(response.id)) as stream:
                await anext(aiter(stream))
                workers.kill(A)
                types = [event.type async for event in stream]
            assert types[-1] == "response.failed"
            assert stream.anomalies == []
        workers.replace(A)

    run("asyncio", main)
