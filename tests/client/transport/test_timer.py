"""Many short waits under one timer of the loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.support import both_loops, run

from responses_proto.client.transport._timer import ReadTimer, on_asyncio

if TYPE_CHECKING:
    from collections.abc import Generator

LONG = 3600.0


@both_loops
def test_the_loop_is_known(backend: str) -> None:
    async def test() -> None:
        assert on_asyncio() is (backend == "asyncio")

    run(backend, test)
    assert not on_asyncio()


@contextmanager
def _limit(timer: ReadTimer, seconds: float) -> Generator[None]:
    timer.start(time.monotonic() + seconds)
    try:
        yield
    except asyncio.CancelledError:
        if not timer.ran_out():
            raise
    finally:
        timer.end()


def limit(timer: ReadTimer, seconds: float) -> AbstractContextManager[None, bool]:
    """Bound the waits of a block, which is left silently when the time runs out."""
    return _limit(timer, seconds)  # type: ignore[return-value] # mypy does not know that such a block can be left silently


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


def test_a_wait_that_takes_too_long_is_left_silently_and_the_task_goes_on() -> None:
    async def test() -> None:
        timer = ReadTimer()
        task: Any = asyncio.current_task()
        for _ in range(3):  # the timer serves again after it ran out
            with limit(timer, 0.01):
                await asyncio.sleep(LONG)
                pytest.fail("it was not cancelled")
            assert task.cancelling() == 0
            with limit(timer, LONG):
                await asyncio.sleep(0.02)
            with pytest.raises(ValueError, match="no"), limit(timer, LONG):
                await fails()
        timer.stop()

    run("asyncio", test)


def test_it_bounds_a_wait_that_is_many_and_cleans_up_inside() -> None:
    async def test() -> None:
        ended = False

        async def trickle() -> None:
            nonlocal ended
            try:
                with anyio.move_on_after(LONG):
                    while True:  # noqa: ASYNC110 - many waits are what is tested
                        await anyio.sleep(0.001)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.001)
                ended = True

        timer = ReadTimer()
        with limit(timer, 0.05):
            await trickle()
            pytest.fail("it was not cancelled")
        assert ended
        await anyio.sleep(0.01)
        timer.stop()

    run("asyncio", test)


def test_waits_within_their_limits_set_one_timer() -> None:
    async def test() -> None:
        loop: Any = asyncio.get_running_loop()
        times: list[float] = []
        call_at = loop.call_at

        def counted(when: float, *args: Any, **options: Any) -> Any:
            times.append(when)
            return call_at(when, *args, **options)

        loop.call_at = counted  # counts what the loop is asked for
        timer = ReadTimer()
        for _ in range(1000):
            with limit(timer, LONG):
                await asyncio.sleep(0)
        assert len(times) == 1
        with limit(timer, 0.01):  # a tighter one moves it
            await asyncio.sleep(LONG)
        assert len(times) > 1
        timer.stop()

    run("asyncio", test)


@pytest.mark.parametrize("who", ["task", "scope"])
def test_a_cancellation_by_others_is_theirs(who: str) -> None:
    async def test() -> None:
        timer = ReadTimer()
        scope = anyio.CancelScope()

        async def wait(seconds: float) -> None:
            with scope:
                with limit(timer, seconds):
                    await asyncio.sleep(LONG)
                await anyio.sleep(LONG)  # reached if the timer took the cancellation for its own

        for seconds in (LONG, 0.01):
            scope = anyio.CancelScope()
            task = asyncio.create_task(wait(seconds))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.01, task.cancel if who == "task" else scope.cancel)
            if who == "task":
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await task
                assert scope.cancelled_caught
            timer.stop()

    run("asyncio", test)


def test_a_cancellation_that_the_wait_itself_catches_is_over() -> None:
    async def test() -> None:
        timer = ReadTimer()
        task: Any = asyncio.current_task()
        with limit(timer, 0.01), suppress(asyncio.CancelledError):
            await asyncio.sleep(LONG)
        assert task.cancelling() == 0
        timer.stop()

    run("asyncio", test)


def test_a_timer_that_nobody_stops_does_nothing() -> None:
    async def test() -> None:
        timer = ReadTimer()
        with limit(timer, 0.01):
            pass
        await asyncio.sleep(0.05)

    run("asyncio", test)
