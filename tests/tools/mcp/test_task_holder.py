from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.support import PATIENCE, both_loops, run

from responses_proto.tools.mcp._task_holder import TaskHolder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WHO = contextvars.ContextVar("WHO", default="nobody")


class Held:
    """Something that has to be left in the task that entered it, and notes what became of it."""

    def __init__(self) -> None:
        self.tasks: list[int] = []
        self.left = False

    async def work(self, owner: TaskHolder) -> None:
        self.tasks.append(anyio.get_current_task().id)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            await owner.hold()
            group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.05)  # closing takes a while
        self.tasks.append(anyio.get_current_task().id)
        self.left = True


async def opened(work: Callable[[TaskHolder], Awaitable[None]]) -> TaskHolder:
    owner = TaskHolder(work)
    owner.start()
    await owner.opened()
    return owner


@both_loops
def test_what_is_held_is_entered_and_left_in_one_task_whoever_closes_it(backend: str) -> None:
    async def test() -> None:
        held = Held()
        here = anyio.get_current_task().id
        owner = TaskHolder(held.work)
        with anyio.CancelScope():  # a scope that ends before what is opened in it
            owner.start()
            await owner.opened()
        async with anyio.create_task_group() as group:
            group.start_soon(owner.close)
        assert held.left
        assert owner.over
        assert owner.failure is None
        assert held.tasks[0] == held.tasks[1] != here

    run(backend, test)


def test_tasks_that_are_none_of_anyio_may_open_and_close() -> None:
    async def test() -> None:
        held = Held()
        owner = await asyncio.create_task(opened(held.work))
        await asyncio.create_task(owner.close())
        assert held.left

    asyncio.run(test())


@both_loops
def test_no_scope_stands_around_the_code_of_the_user(backend: str) -> None:
    async def test() -> None:
        async def breaks(owner: TaskHolder) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(owner.hold)
                await anyio.sleep(0.01)
                raise ValueError("the connection broke")

        owner = await opened(breaks)
        await owner.ended(PATIENCE)
        await anyio.sleep(0.01)  # nobody cancels this
        assert isinstance(owner.failure, ValueError)  # and not a group of one
        await owner.close()

    run(backend, test)


@both_loops
def test_a_failure_to_open_is_raised_where_it_is_waited_for(backend: str) -> None:
    async def test() -> None:
        async def fails(_: TaskHolder) -> None:
            async with anyio.create_task_group():
                raise ConnectionError("nobody there")

        owner = TaskHolder(fails)
        owner.start()
        for _ in range(2):
            with pytest.raises(ConnectionError, match="nobody there"):
                await owner.opened()
        assert owner.over
        await owner.close()

    run(backend, test)


@both_loops
def test_closing_what_still_opens_cancels_it(backend: str) -> None:
    async def test() -> None:
        async def opens_forever(_: TaskHolder) -> None:
            await anyio.sleep_forever()

        owner = TaskHolder(opens_forever)
        owner.start()
        with anyio.move_on_after(0.01):
            await owner.opened()
        await owner.close()
        assert owner.over
        assert owner.failure is None

    run(backend, test)


@both_loops
def test_what_must_not_be_left_half_way_is_not(backend: str) -> None:
    async def test() -> None:
        steps: list[str] = []

        async def opens_in_steps(owner: TaskHolder) -> None:
            with owner.undivided():
                begun.set()
                await proceed.wait()
                steps.append("the first")
            await anyio.sleep_forever()
            steps.append("the second")

        begun, proceed = anyio.Event(), anyio.Event()
        owner = TaskHolder(opens_in_steps)
        owner.start()
        await begun.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(owner.close)
            await anyio.wait_all_tasks_blocked()
            assert steps == []
            proceed.set()
        assert steps == ["the first"]
        assert owner.over

    run(backend, test)


@both_loops
def test_who_is_cancelled_waits_for_the_end_all_the_same(backend: str) -> None:
    async def test() -> None:
        held = Held()
        with anyio.CancelScope() as scope:
            owner = await opened(held.work)
            scope.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                await owner.close()
                assert held.left
        assert scope.cancelled_caught

    run(backend, test)


@both_loops
def test_what_does_not_close_by_itself_is_cancelled_after_a_while(backend: str) -> None:
    async def test() -> None:
        async def clings(owner: TaskHolder) -> None:
            try:
                await owner.hold()
            finally:
                await anyio.sleep_forever()

        owner = await opened(clings)
        with anyio.fail_after(PATIENCE):
            await owner.close()
        assert owner.over

    run(backend, test)


@both_loops
def test_it_can_be_told_to_leave_without_waiting(backend: str) -> None:
    async def test() -> None:
        held = Held()
        owner = await opened(held.work)
        owner.leave()
        assert not await owner.ended(0)
        assert await owner.ended(PATIENCE)
        assert held.left

    run(backend, test)


@both_loops
def test_it_has_the_context_of_who_started_it(backend: str) -> None:
    async def test() -> None:
        seen: list[str] = []

        async def looks(owner: TaskHolder) -> None:
            seen.append(WHO.get())
            await owner.hold()

        WHO.set("the user")
        await (await opened(looks)).close()
        assert seen == ["the user"]

    run(backend, test)
