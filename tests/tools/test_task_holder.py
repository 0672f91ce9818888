from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.support import PATIENCE, both_loops, run

from responses_proto.tools._task_holder import TaskHolder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WHO = contextvars.ContextVar("WHO", default="nobody")


class Held:
    """A resource that must be left in the task that entered it. Records the tasks, and whether it was left."""

    def __init__(self) -> None:
        self.tasks: list[int] = []
        self.left = False

    async def work(self, holder: TaskHolder) -> None:
        self.tasks.append(anyio.get_current_task().id)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            await holder.wait_until_closed()
            group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.05)  # closing takes a while
        self.tasks.append(anyio.get_current_task().id)
        self.left = True


async def opened(work: Callable[[TaskHolder], Awaitable[None]]) -> TaskHolder:
    holder = TaskHolder(work)
    holder.start()
    await holder.wait_opened()
    return holder


@both_loops
def test_the_resource_is_entered_and_left_in_one_task_whichever_task_closes_it(backend: str) -> None:
    async def test() -> None:
        held = Held()
        here = anyio.get_current_task().id
        holder = TaskHolder(held.work)
        with anyio.CancelScope():  # a scope that ends before what is opened in it
            holder.start()
            await holder.wait_opened()
        async with anyio.create_task_group() as group:
            group.start_soon(holder.close)
        assert held.left
        assert holder.ended
        assert holder.failure is None
        assert held.tasks[0] == held.tasks[1] != here

    run(backend, test)


def test_plain_asyncio_tasks_can_open_and_close() -> None:
    async def test() -> None:
        held = Held()
        holder = await asyncio.create_task(opened(held.work))
        await asyncio.create_task(holder.close())
        assert held.left

    asyncio.run(test())


@both_loops
def test_no_cancel_scope_surrounds_the_code_of_the_user(backend: str) -> None:
    async def test() -> None:
        async def breaks(holder: TaskHolder) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(holder.wait_until_closed)
                await anyio.sleep(0.01)
                raise ValueError("the connection broke")

        holder = await opened(breaks)
        await holder.wait_ended(PATIENCE)
        await anyio.sleep(0.01)  # is not cancelled
        assert isinstance(holder.failure, ValueError)  # not an exception group
        await holder.close()

    run(backend, test)


@both_loops
def test_wait_opened_raises_the_failure(backend: str) -> None:
    async def test() -> None:
        async def fails(_: TaskHolder) -> None:
            async with anyio.create_task_group():
                raise ConnectionError("nobody there")

        holder = TaskHolder(fails)
        holder.start()
        for _ in range(2):
            with pytest.raises(ConnectionError, match="nobody there"):
                await holder.wait_opened()
        assert holder.ended
        await holder.close()

    run(backend, test)


@both_loops
def test_closing_cancels_a_resource_that_is_still_opening(backend: str) -> None:
    async def test() -> None:
        async def opens_forever(_: TaskHolder) -> None:
            await anyio.sleep_forever()

        holder = TaskHolder(opens_forever)
        holder.start()
        with anyio.move_on_after(0.01):
            await holder.wait_opened()
        await holder.close()
        assert holder.ended
        assert holder.failure is None

    run(backend, test)


@both_loops
def test_no_cancel_delays_the_cancellation(backend: str) -> None:
    async def test() -> None:
        steps: list[str] = []

        async def opens_in_steps(holder: TaskHolder) -> None:
            with holder.no_cancel():
                begun.set()
                await proceed.wait()
                steps.append("the first")
            await anyio.sleep_forever()
            steps.append("the second")

        begun, proceed = anyio.Event(), anyio.Event()
        holder = TaskHolder(opens_in_steps)
        holder.start()
        await begun.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(holder.close)
            await anyio.wait_all_tasks_blocked()
            assert steps == []
            proceed.set()
        assert steps == ["the first"]
        assert holder.ended

    run(backend, test)


@both_loops
def test_a_cancelled_caller_of_close_still_waits_for_the_end(backend: str) -> None:
    async def test() -> None:
        held = Held()
        with anyio.CancelScope() as scope:
            holder = await opened(held.work)
            scope.cancel()
            try:
                await anyio.sleep_forever()
            finally:
                await holder.close()
                assert held.left
        assert scope.cancelled_caught

    run(backend, test)


@both_loops
def test_a_resource_that_does_not_close_is_cancelled(backend: str) -> None:
    async def test() -> None:
        async def clings(holder: TaskHolder) -> None:
            try:
                await holder.wait_until_closed()
            finally:
                await anyio.sleep_forever()

        holder = await opened(clings)
        with anyio.fail_after(PATIENCE):
            await holder.close()
        assert holder.ended

    run(backend, test)


@both_loops
def test_request_close_does_not_wait(backend: str) -> None:
    async def test() -> None:
        held = Held()
        holder = await opened(held.work)
        holder.request_close()
        assert not await holder.wait_ended(0)
        assert await holder.wait_ended(PATIENCE)
        assert held.left

    run(backend, test)


@both_loops
def test_the_task_has_the_context_variables_of_its_starter(backend: str) -> None:
    async def test() -> None:
        seen: list[str] = []

        async def looks(holder: TaskHolder) -> None:
            seen.append(WHO.get())
            await holder.wait_until_closed()

        WHO.set("the user")
        await (await opened(looks)).close()
        assert seen == ["the user"]

    run(backend, test)
