"""The event queue between the tasks of a run and its reader."""

from __future__ import annotations

import anyio
from tests.support import both_loops, run

from responses_proto.tools._event_queue import EventQueue


@both_loops
def test_events_are_read_in_order_to_the_end(backend: str) -> None:
    async def test() -> None:
        queue: EventQueue[int] = EventQueue()
        queue.put(1)
        queue.put(2)
        queue.close()
        assert len(queue) == 2
        assert queue.get_nowait() == 1
        assert await queue.get() == 2
        assert queue.get_nowait() is None
        assert await queue.get() is None
        assert await queue.get() is None

    run(backend, test)


@both_loops
def test_a_writer_waits_until_the_reader_has_read_everything_and_waits(backend: str) -> None:
    async def test() -> None:
        queue: EventQueue[str] = EventQueue()
        done: list[str] = []

        async def write() -> None:
            for name in ("a", "b"):
                queue.put(name)
                await queue.wait_until_drained()
                done.append(name)
            queue.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            assert queue.get_nowait() == "a"
            await anyio.wait_all_tasks_blocked()
            assert done == []  # everything is read, but the reader does not wait yet
            assert await queue.get() == "b"
            assert done == ["a"]
            assert await queue.get() is None
            assert done == ["a", "b"]

    run(backend, test)


@both_loops
def test_a_cancelled_reader_loses_no_event(backend: str) -> None:
    async def test() -> None:
        queue: EventQueue[str] = EventQueue()
        with anyio.move_on_after(0.01) as scope:
            await queue.get()
        assert scope.cancelled_caught
        drained = anyio.move_on_after(0.01)
        with drained:
            await queue.wait_until_drained()  # the reader does not wait any more
        assert drained.cancelled_caught
        queue.put("a")
        assert await queue.get() == "a"

    run(backend, test)
