"""`ResponseTask`: which events are delivered and when, how a response ends, and what is stored of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import RecordingSink, create_request, texts
from tests.support import PATIENCE, both_loops, run

from responses_proto.exceptions import APIError, RateLimitError
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, Service, StoredResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from responses_proto import CreateResponse
    from responses_proto.server import Reply, WireEvent


class Slow:
    """A handler that writes a word and then waits forever."""

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


# ---- running


@both_loops
def test_events_are_delivered_and_the_task_has_the_result(backend: str) -> None:
    async def main() -> None:
        service, listener = Service(Scripted()), RecordingSink()
        task = await service.prepare(create_request())
        assert (task.ended, task.response.status, task.response.output) == (False, "in_progress", [])
        await task.run(listener)
        assert task.ended
        assert listener.types[0] == "created"
        assert listener.types[-1] == "completed"
        assert listener.events[-1]["response"]["id"] == task.id
        assert texts(task.context) == ["hello"]
        assert texts(task.history) == ["hello", "hello"]
        assert (await service.get(task.id)).response == task.response
        assert service.running == {}

    run(backend, main)


@both_loops
def test_an_error_before_the_first_event_is_raised(backend: str) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        raise RateLimitError("Slow down.", status=429, code="rate_limit_exceeded")

    async def main() -> None:
        service, listener = Service(handler), RecordingSink()
        task = await service.prepare(create_request())
        with pytest.raises(RateLimitError):
            await task.run(listener)
        assert listener.events == []
        assert await service.find(task.id) is None

    run(backend, main)


@both_loops
def test_generate_false_completes_without_output(backend: str) -> None:
    async def main() -> None:
        service, listener = Service(Scripted()), RecordingSink()
        task = await service.prepare(create_request())
        await task.run(listener, generate=False)
        assert listener.types == ["created", "in_progress", "completed"]
        assert texts(task.history) == ["hello"]

    run(backend, main)


@both_loops
def test_run_without_a_sink(backend: str) -> None:
    async def main() -> None:
        task = await Service(Scripted()).prepare(create_request(stream=False))
        await task.run()
        assert task.response.output_text == "hello"

    run(backend, main)


# ---- ended from outside


@both_loops
@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(("reason", "status"), [(None, "cancelled"), ("steered", "incomplete")])
def test_stop_from_another_task(backend: str, reason: str | None, status: str, *, store: bool) -> None:
    async def main() -> None:
        slow, listener = Slow(), RecordingSink()
        service = Service(slow)
        task = await service.prepare(create_request(store=store))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task.run, listener)
            await slow.waits.wait()
            await task.stop(reason)
            assert listener.types[-1] == "incomplete"
            with anyio.fail_after(PATIENCE):
                await slow.cancelled.wait()
            await task.stop()
        assert (task.response.status, task.response.output_text) == (status, "half")
        details = task.response.incomplete_details
        assert (details.reason if details else None) == reason
        kept = await service.find(task.id)
        assert (kept.response if kept else None) == (task.response if store else None)

    run(backend, main)


@both_loops
def test_stop_does_not_raise_if_the_client_has_left(backend: str) -> None:
    async def main() -> None:
        slow, listener = Slow(), RecordingSink(at_most=4)
        service = Service(slow)
        task = await service.prepare(create_request())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task.run, listener)
            await slow.waits.wait()
            await task.stop()
        assert "incomplete" not in listener.types
        assert (await service.get(task.id)).response.status == "cancelled"

    run(backend, main)


@both_loops
def test_stop_before_run_prevents_the_handler_call(backend: str) -> None:
    called: list[object] = []

    async def handler(request: CreateResponse, _reply: Reply) -> None:
        called.append(request)

    async def main() -> None:
        service = Service(handler)
        async with service:
            task = await service.prepare(create_request(background=True))
            await task.queue()
            await task.stop()
            await task.run()
        assert task.response.status == "cancelled"

    run(backend, main)
    assert called == []


@both_loops
def test_cancelling_run_cancels_the_handler(backend: str) -> None:
    async def main() -> None:
        slow, listener = Slow(), RecordingSink()
        service = Service(slow)
        task = await service.prepare(create_request())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(task.run, listener)
            await slow.waits.wait()
            assert (await service.get(task.id)).response.status == "in_progress"
            tasks.cancel_scope.cancel()
        assert slow.cancelled.is_set()
        assert listener.types[-1] == "output_text.delta"
        assert task.response.status == "cancelled"
        assert (await service.get(task.id)).response == task.response
        assert service.running == {}

    run(backend, main)


@both_loops
@pytest.mark.parametrize("at_most", [0, 3, 5])
def test_an_error_of_the_sink_ends_the_response(backend: str, at_most: int) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                for _ in range(20):
                    await message.text("word ")
        except ConnectionResetError as error:
            raise ValueError("an exception of another library") from error

    async def main() -> None:
        service, listener = Service(handler), RecordingSink(at_most=at_most)
        task = await service.prepare(create_request())
        with pytest.raises(ConnectionResetError):
            await task.run(listener)
        kept = await service.get(task.id)
        assert (kept.response.status, kept.response) == ("cancelled", task.response)
        assert len(listener.events) <= at_most + 3

    run(backend, main)


# ---- what is stored


class Watched(MemoryStore):
    """A store that records how many events had been delivered at each save, and raises for the status `refuses`."""

    def __init__(self, listener: RecordingSink, *, refuses: str = "") -> None:
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
def test_a_client_that_leaves_near_the_end_leaves_a_complete_record(backend: str, last: str) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            await message.text("hi")

    async def main() -> None:
        service = Service(handler)
        task = await service.prepare(create_request(stream=True))
        delivered: list[str] = []
        with anyio.CancelScope() as scope:

            async def deliver(events: Sequence[WireEvent]) -> None:
                delivered.extend(event.type for event in events)
                if last in delivered:
                    scope.cancel()  # takes effect at the next checkpoint, wherever that is

            await task.run(deliver)
        assert last in delivered
        stored = await service.get(task.id)
        events = await service.store.events(task.id)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        status = stored.response.status
        assert (status, events[-1].type) in (("completed", "response.completed"), ("cancelled", "response.incomplete"))
        assert json.loads(events[-1].data)["response"]["status"] == status

    run(backend, main)


@both_loops
def test_the_response_is_saved_before_its_terminal_event_is_delivered(backend: str) -> None:
    async def main() -> None:
        listener = RecordingSink()
        store = Watched(listener)
        task = await Service(Scripted(), store=store).prepare(create_request())
        await task.run(listener)
        assert store.notes == [("in_progress", 0), ("completed", len(listener.events) - 1)]
        assert [json.loads(event.data) for event in await store.events(task.id)] == listener.events

    run(backend, main)


@both_loops
@pytest.mark.parametrize("background", [True, False])
def test_a_response_that_cannot_be_stored_fails(
    backend: str, caplog: pytest.LogCaptureFixture, *, background: bool
) -> None:
    async def main() -> None:
        listener = RecordingSink()
        async with Service(Scripted(), store=Watched(listener, refuses="completed")) as service:
            task = await service.prepare(create_request(background=background))
            if background:
                await service.start(task)
                await service.follow(task, 0, listener)
            else:
                await task.run(listener)
            assert listener.types[-2:] == ["error", "failed"]
            assert task.response.status == "failed"
            assert task.response.error
            assert "stored" in task.response.error.message
            assert listener.events[-1]["response"]["error"]["message"] == task.response.error.message
        assert "the disk is full" in caplog.text

    run(backend, main)


@both_loops
def test_an_error_of_the_store_at_the_start_is_raised(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        listener = RecordingSink()
        service = Service(Scripted(), store=Watched(listener, refuses="in_progress"))
        task = await service.prepare(create_request())
        with pytest.raises(APIError) as refused:
            await task.run(listener)
        assert (refused.value.status, listener.events) == (500, [])
        assert "the disk is full" in caplog.text

    run(backend, main)
