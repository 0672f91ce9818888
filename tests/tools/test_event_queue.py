"""The queue between the tasks of a run and its reader."""

from __future__ import annotations

import anyio
from tests.support import both_loops, run

from responses_proto.tools._event_queue import EventQueue


@both_loops
def test_what_was_put_is_read_in_order_to_the_end(backend: str) -> None:
    async def test() -> None:
        channel: EventQueue[int] = EventQueue()
        channel.put(1)
        channel.put(2)
        channel.close()
        assert len(channel) == 2
        assert channel.now() == 1
        assert await channel.get() == 2
        assert channel.now() is None
        assert await channel.get() is None
        assert await channel.get() is None

    run(backend, test)


@both_loops
def test_a_maker_waits_until_the_reader_has_had_everything_and_wants_more(backend: str) -> None:
    async def test() -> None:
        channel: EventQueue[str] = EventQueue()
        done: list[str] = []

        async def make() -> None:
            for name in ("a", "b"):
                channel.put(name)
                await channel.asked()
                done.append(name)
            channel.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
            await anyio.wait_all_tasks_blocked()
            assert channel.now() == "a"
            await anyio.wait_all_tasks_blocked()
            assert done == []  # had, but nothing more is wanted yet
            assert await channel.get() == "b"
            assert done == ["a"]
            assert await channel.get() is None
            assert done == ["a", "b"]

    run(backend, test)


@both_loops
def test_a_reader_that_is_cancelled_loses_nothing(backend: str) -> None:
    async def test() -> None:
        channel: EventQueue[str] = EventQueue()
        with anyio.move_on_after(0.01) as scope:
            await channel.get()
        assert scope.cancelled_caught
        asked = anyio.move_on_after(0.01)
        with asked:
            await channel.asked()  # nobody waits any more
        assert asked.cancelled_caught
        channel.put("a")
        assert await channel.get() == "a"

    run(backend, test)
