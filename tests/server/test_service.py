"""`Service`, as the HTTP and WebSocket endpoints use it: preparing a request, following, deleting, compacting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from tests.asgi import RecordingSink, create_request, texts
from tests.support import both_loops, run

from responses_proto.exceptions import BadRequestError, LocalProtocolError, NotFoundError
from responses_proto.models.items import FunctionCallOutput, Message
from responses_proto.models.request import CompactRequest, InputTokensRequest
from responses_proto.scripted import Scripted
from responses_proto.server import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from responses_proto import CreateResponse
    from responses_proto.models.items import Item
    from responses_proto.server import Reply
    from responses_proto.server._task import ResponseTask


@both_loops
def test_prepare_rejects_requests_that_cannot_be_answered(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted())
        for request, param in [
            (create_request(model=None), "model"),
            (create_request(previous_response_id="resp_nowhere"), "previous_response_id"),
            (create_request(input=[FunctionCallOutput(call_id="c", output="x")]), "input"),
            (create_request(background=True), "background"),
        ]:
            with pytest.raises(BadRequestError) as refused:
                await service.prepare(request)
            assert (refused.value.status, refused.value.param) == (400, param)

    run(backend, main)


# ---- history that only a connection remembers


@both_loops
def test_history_lookup_provides_responses_that_were_not_stored(backend: str) -> None:
    cache: dict[str, Sequence[Item]] = {}

    async def answer(service: Service, request: CreateResponse) -> ResponseTask:
        task = await service.prepare(request, history_lookup=cache.get)
        await task.run(RecordingSink())
        cache[task.id] = task.history
        return task

    async def main() -> None:
        service = Service(Scripted())
        one = await answer(service, create_request("one", store=False))
        two = await answer(service, create_request("two", store=False, previous_response_id=one.id))
        assert texts(two.context) == ["one", "one", "two"]
        three = await answer(service, create_request("three", previous_response_id=two.id))
        cache.clear()
        # The stored response has its history with it.
        four = await answer(service, create_request("four", previous_response_id=three.id))
        assert texts(four.context) == ["one", "one", "two", "two", "three", "three", "four"]
        with pytest.raises(BadRequestError) as refused:
            await answer(service, create_request("two", previous_response_id=one.id))
        assert refused.value.code == "previous_response_not_found"

    run(backend, main)


@both_loops
def test_history_lookup_is_asked_before_the_store(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted())
        one = await service.prepare(create_request("one"))
        await one.run()
        known: Sequence[Item] = [Message(role="user", content="another")]
        two = await service.prepare(
            create_request("two", previous_response_id=one.id), history_lookup={one.id: known}.get
        )
        assert texts(two.context) == ["another", "two"]
        three = await service.prepare(
            create_request("three", previous_response_id=one.id), history_lookup=lambda _: None
        )
        assert texts(three.context) == ["one", "one", "three"]

    run(backend, main)


# ---- other methods


class Slow:
    """A handler that writes a word, waits for `proceed`, and writes another."""

    def __init__(self) -> None:
        self.waits = anyio.Event()
        self.proceed = anyio.Event()

    async def __call__(self, _request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            await message.text("one")
            self.waits.set()
            await self.proceed.wait()
            await message.text(" two")


@both_loops
def test_a_running_response_can_be_followed_by_others(backend: str) -> None:
    async def main() -> None:
        slow, first, second = Slow(), RecordingSink(), RecordingSink()
        service = Service(slow)
        task = await service.prepare(create_request())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task.run, first)
            await slow.waits.wait()
            tasks.start_soon(await service.replay(task.id), second)
            await anyio.wait_all_tasks_blocked()
            assert second.events == first.events
            slow.proceed.set()
        assert second.events == first.events
        assert second.types[-1] == "completed"

    run(backend, main)


@both_loops
def test_deleting_a_running_response_ends_it_for_its_client(backend: str) -> None:
    async def main() -> None:
        slow, listener = Slow(), RecordingSink()
        service = Service(slow)
        task = await service.prepare(create_request())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task.run, listener)
            await slow.waits.wait()
            await service.delete(task.id)
        assert (listener.types[-1], listener.events[-1]["response"]["status"]) == ("incomplete", "cancelled")
        assert await service.find(task.id) is None
        with pytest.raises(NotFoundError):
            await service.delete(task.id)

    run(backend, main)


@both_loops
def test_start_requires_an_open_service(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted())
        async with service:
            task = await service.prepare(create_request(background=True))
        with pytest.raises(LocalProtocolError, match="async with"):
            await service.start(task)

    run(backend, main)


@both_loops
def test_a_compacted_history_expands_in_a_later_request(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted(), clock=lambda: 5.5)
        items: list[Item] = [
            Message(role="developer", content="be kind"),
            Message(role="user", content="one"),
            Message(role="assistant", content="two"),
        ]
        short = await service.compact(CompactRequest(model="m", input=items))
        assert (short.created_at, texts(short.output)) == (5, ["one"])
        task = await service.prepare(create_request(input=[*short.output, Message(role="user", content="three")]))
        assert texts(task.context) == ["be kind", "one", "two", "three"]
        counted = await service.count(InputTokensRequest(input=[*short.output]))
        assert counted.input_tokens == 4

    run(backend, main)
