"""Turns: what is delivered and when, how they end, and what is kept of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Listener, asking, texts
from tests.support import PATIENCE, both_loops, run

from responses_proto.exceptions import APIError, RateLimitError
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, Service, StoredResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from responses_proto import CreateResponse
    from responses_proto.server import Reply, WireEvent


class Slow:
    """A handler that says a word and then waits for ever."""

    def __init__(self) -> None:
        self.waits = anyio.Event()
        self.cancelled = anyio.Event()

    async def __call__(self, _request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                await message.text("half")
                self.waits.set()
                await anyio.sleep_forever()
        finally:
            self.cancelled.set()


# ---- a turn


@both_loops
def test_events_are_delivered_and_the_turn_says_how_it_ended(backend: str) -> None:
    async def main() -> None:
        service, listener = Service(Scripted()), Listener()
        turn = await service.turn(asking())
        assert (turn.ended, turn.response.status, turn.response.output) == (False, "in_progress", [])
        await turn.run(listener)
        assert turn.ended
        assert listener.types[0] == "created"
        assert listener.types[-1] == "completed"
        assert listener.events[-1]["response"]["id"] == turn.id
        assert texts(turn.context) == ["hello"]
        assert texts(turn.history) == ["hello", "hello"]
        assert (await service.existing(turn.id)).response == turn.response
        assert service.turns == {}

    run(backend, main)


@both_loops
def test_an_error_before_anything_was_delivered_is_raised(backend: str) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        raise RateLimitError("Slow down.", status=429, code="rate_limit_exceeded")

    async def main() -> None:
        service, listener = Service(handler), Listener()
        turn = await service.turn(asking())
        with pytest.raises(RateLimitError):
            await turn.run(listener)
        assert listener.events == []
        assert await service.find(turn.id) is None

    run(backend, main)


@both_loops
def test_without_generation_there_is_a_response_and_no_output(backend: str) -> None:
    async def main() -> None:
        service, listener = Service(Scripted()), Listener()
        turn = await service.turn(asking())
        await turn.run(listener, generate=False)
        assert listener.types == ["created", "in_progress", "completed"]
        assert texts(turn.history) == ["hello"]

    run(backend, main)


@both_loops
def test_nobody_need_listen(backend: str) -> None:
    async def main() -> None:
        turn = await Service(Scripted()).turn(asking(stream=False))
        await turn.run()
        assert turn.response.output_text == "hello"

    run(backend, main)


# ---- its end from outside


@both_loops
@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(("reason", "status"), [(None, "cancelled"), ("steered", "incomplete")])
def test_it_can_be_stopped_from_another_task(backend: str, reason: str | None, status: str, *, store: bool) -> None:
    async def main() -> None:
        slow, listener = Slow(), Listener()
        service = Service(slow)
        turn = await service.turn(asking(store=store))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn.run, listener)
            await slow.waits.wait()
            await turn.stop(reason)
            assert listener.types[-1] == "incomplete"
            with anyio.fail_after(PATIENCE):
                await slow.cancelled.wait()
            await turn.stop()
        assert (turn.response.status, turn.response.output_text) == (status, "half")
        details = turn.response.incomplete_details
        assert (details.reason if details else None) == reason
        kept = await service.find(turn.id)
        assert (kept.response if kept else None) == (turn.response if store else None)

    run(backend, main)


@both_loops
def test_whoever_stops_it_is_not_told_that_the_client_has_gone(backend: str) -> None:
    async def main() -> None:
        slow, listener = Slow(), Listener(at_most=4)
        service = Service(slow)
        turn = await service.turn(asking())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn.run, listener)
            await slow.waits.wait()
            await turn.stop()
        assert "incomplete" not in listener.types
        assert (await service.existing(turn.id)).response.status == "cancelled"

    run(backend, main)


@both_loops
def test_one_that_is_stopped_before_it_began_calls_no_handler(backend: str) -> None:
    called: list[object] = []

    async def handler(request: CreateResponse, _reply: Reply) -> None:
        called.append(request)

    async def main() -> None:
        service = Service(handler)
        async with service:
            turn = await service.turn(asking(background=True))
            await turn.queue()
            await turn.stop()
            await turn.run()
        assert turn.response.status == "cancelled"

    run(backend, main)
    assert called == []


@both_loops
def test_cancelling_its_task_cancels_the_handler(backend: str) -> None:
    async def main() -> None:
        slow, listener = Slow(), Listener()
        service = Service(slow)
        turn = await service.turn(asking())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn.run, listener)
            await slow.waits.wait()
            assert (await service.existing(turn.id)).response.status == "in_progress"
            tasks.cancel_scope.cancel()
        assert slow.cancelled.is_set()
        assert listener.types[-1] == "output_text.delta"
        assert turn.response.status == "cancelled"
        assert (await service.existing(turn.id)).response == turn.response
        assert service.turns == {}

    run(backend, main)


@both_loops
@pytest.mark.parametrize("at_most", [0, 3, 5])
def test_what_delivering_raises_ends_it(backend: str, at_most: int) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                for _ in range(20):
                    await message.text("word ")
        except ConnectionResetError as error:
            raise ValueError("what a library makes of it") from error

    async def main() -> None:
        service, listener = Service(handler), Listener(at_most=at_most)
        turn = await service.turn(asking())
        with pytest.raises(ConnectionResetError):
            await turn.run(listener)
        kept = await service.existing(turn.id)
        assert (kept.response.status, kept.response) == ("cancelled", turn.response)
        assert len(listener.events) <= at_most + 3

    run(backend, main)


# ---- what is kept


class Watched(MemoryStore):
    """A store that notes what was delivered when something was saved, and may refuse."""

    def __init__(self, listener: Listener, *, refuses: str = "") -> None:
        super().__init__()
        self.listener = listener
        self.refuses = refuses
        self.notes: list[tuple[str, int]] = []

    async def save(self, stored: StoredResponse, **more: Any) -> None:
        status = str(stored.response.status)
        if status == self.refuses:
            raise OSError("the disk is full")
        self.notes.append((status, len(self.listener.events)))
        await super().save(stored, **more)


@both_loops
@pytest.mark.parametrize("last", ["response.output_item.done", "response.content_part.done", "response.completed"])
def test_a_client_that_leaves_near_the_end_leaves_a_whole_record(backend: str, last: str) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            await message.text("hi")

    async def main() -> None:
        service = Service(handler)
        turn = await service.turn(asking(stream=True))
        told: list[str] = []
        with anyio.CancelScope() as scope:

            async def deliver(events: Sequence[WireEvent]) -> None:
                told.extend(event.type for event in events)
                if last in told:
                    scope.cancel()  # which comes into effect at the next step, wherever that is

            await turn.run(deliver)
        assert last in told
        stored = await service.existing(turn.id)
        events = await service.store.events(turn.id)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        status = stored.response.status
        assert (status, events[-1].type) in (("completed", "response.completed"), ("cancelled", "response.incomplete"))
        assert json.loads(events[-1].data)["response"]["status"] == status

    run(backend, main)


@both_loops
def test_it_is_stored_before_its_end_is_told(backend: str) -> None:
    async def main() -> None:
        listener = Listener()
        store = Watched(listener)
        turn = await Service(Scripted(), store=store).turn(asking())
        await turn.run(listener)
        assert store.notes == [("in_progress", 0), ("completed", len(listener.events) - 1)]
        assert [json.loads(event.data) for event in await store.events(turn.id)] == listener.events

    run(backend, main)


@both_loops
@pytest.mark.parametrize("background", [True, False])
def test_what_could_not_be_stored_has_not_completed(
    backend: str, caplog: pytest.LogCaptureFixture, *, background: bool
) -> None:
    async def main() -> None:
        listener = Listener()
        async with Service(Scripted(), store=Watched(listener, refuses="completed")) as service:
            turn = await service.turn(asking(background=background))
            if background:
                await service.start(turn)
                await service.follow(turn, 0, listener)
            else:
                await turn.run(listener)
            assert listener.types[-2:] == ["error", "failed"]
            assert turn.response.status == "failed"
            assert turn.response.error
            assert "stored" in turn.response.error.message
            assert listener.events[-1]["response"]["error"]["message"] == turn.response.error.message
        assert "the disk is full" in caplog.text

    run(backend, main)


@both_loops
def test_a_response_that_cannot_be_stored_at_its_start_is_not_made(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        listener = Listener()
        service = Service(Scripted(), store=Watched(listener, refuses="in_progress"))
        turn = await service.turn(asking())
        with pytest.raises(APIError) as refused:
            await turn.run(listener)
        assert (refused.value.status, listener.events) == (500, [])
        assert "the disk is full" in caplog.text

    run(backend, main)
