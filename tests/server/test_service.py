"""The server without its transport, as HTTP and WebSocket use it: what a turn begins with, and the verbs beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from tests.asgi import Listener, asking, texts
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
def test_a_request_that_cannot_be_answered_makes_no_turn(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted())
        for request, param in [
            (asking(model=None), "model"),
            (asking(previous_response_id="resp_nowhere"), "previous_response_id"),
            (asking(input=[FunctionCallOutput(call_id="c", output="x")]), "input"),
            (asking(background=True), "background"),
        ]:
            with pytest.raises(BadRequestError) as refused:
                await service.turn(request)
            assert (refused.value.status, refused.value.param) == (400, param)

    run(backend, main)


# ---- histories that only a connection has


@both_loops
def test_a_connection_may_know_what_was_not_stored(backend: str) -> None:
    cache: dict[str, Sequence[Item]] = {}

    async def turn_of(service: Service, request: CreateResponse) -> ResponseTask:
        turn = await service.turn(request, earlier=cache.get)
        await turn.run(Listener())
        cache[turn.id] = turn.history
        return turn

    async def main() -> None:
        service = Service(Scripted())
        one = await turn_of(service, asking("one", store=False))
        two = await turn_of(service, asking("two", store=False, previous_response_id=one.id))
        assert texts(two.context) == ["one", "one", "two"]
        three = await turn_of(service, asking("three", previous_response_id=two.id))
        cache.clear()
        # What is stored brings along what came before it.
        four = await turn_of(service, asking("four", previous_response_id=three.id))
        assert texts(four.context) == ["one", "one", "two", "two", "three", "three", "four"]
        with pytest.raises(BadRequestError) as refused:
            await turn_of(service, asking("two", previous_response_id=one.id))
        assert refused.value.code == "previous_response_not_found"

    run(backend, main)


@both_loops
def test_the_connection_is_asked_before_the_store(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted())
        one = await service.turn(asking("one"))
        await one.run()
        known: Sequence[Item] = [Message(role="user", content="another")]
        two = await service.turn(asking("two", previous_response_id=one.id), earlier={one.id: known}.get)
        assert texts(two.context) == ["another", "two"]
        three = await service.turn(asking("three", previous_response_id=one.id), earlier=lambda _: None)
        assert texts(three.context) == ["one", "one", "three"]

    run(backend, main)


# ---- the service's own verbs


class Slow:
    """A handler that says a word, waits to be told to go on, and says another."""

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
def test_one_that_runs_can_be_followed_by_others(backend: str) -> None:
    async def main() -> None:
        slow, first, second = Slow(), Listener(), Listener()
        service = Service(slow)
        turn = await service.turn(asking())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn.run, first)
            await slow.waits.wait()
            tasks.start_soon(await service.replay(turn.id), second)
            await anyio.wait_all_tasks_blocked()
            assert second.events == first.events
            slow.proceed.set()
        assert second.events == first.events
        assert second.types[-1] == "completed"

    run(backend, main)


@both_loops
def test_one_that_is_deleted_while_somebody_listens_ends_there(backend: str) -> None:
    async def main() -> None:
        slow, listener = Slow(), Listener()
        service = Service(slow)
        turn = await service.turn(asking())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn.run, listener)
            await slow.waits.wait()
            await service.delete(turn.id)
        assert (listener.types[-1], listener.events[-1]["response"]["status"]) == ("incomplete", "cancelled")
        assert await service.find(turn.id) is None
        with pytest.raises(NotFoundError):
            await service.delete(turn.id)

    run(backend, main)


@both_loops
def test_the_background_needs_an_open_service(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted())
        async with service:
            turn = await service.turn(asking(background=True))
        with pytest.raises(LocalProtocolError, match="async with"):
            await service.start(turn)

    run(backend, main)


@both_loops
def test_what_is_folded_up_can_be_unfolded(backend: str) -> None:
    async def main() -> None:
        service = Service(Scripted(), clock=lambda: 5.5)
        items: list[Item] = [
            Message(role="developer", content="be kind"),
            Message(role="user", content="one"),
            Message(role="assistant", content="two"),
        ]
        short = await service.compact(CompactRequest(model="m", input=items))
        assert (short.created_at, texts(short.output)) == (5, ["one"])
        turn = await service.turn(asking(input=[*short.output, Message(role="user", content="three")]))
        assert texts(turn.context) == ["be kind", "one", "two", "three"]
        counted = await service.count(InputTokensRequest(input=[*short.output]))
        assert counted.input_tokens == 4

    run(backend, main)
