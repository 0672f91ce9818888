"""Resources that are opened and closed at the same time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.support import both_loops, run

from responses_proto.tools._entered import entered_together

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Resources:
    """Resources of which each is opened only once all of them are being opened, and closed likewise."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.log: list[str] = []
        self.tasks: dict[str, set[int]] = {}
        self._all_opening, self._all_closing = anyio.Event(), anyio.Event()

    @asynccontextmanager
    async def open(self, name: str, *, fails: bool = False) -> AsyncGenerator[None]:
        self.tasks[name] = {anyio.get_current_task().id}
        self.log.append("opening")
        if self.log.count("opening") == self.count:
            self._all_opening.set()
        await self._all_opening.wait()
        if fails:
            self._all_closing.set()  # some of the others may not be open
            raise OSError(f"{name} does not open")
        try:
            async with anyio.create_task_group():  # must be left in the task that entered it
                self.log.append("open")
                yield
        finally:
            self.tasks[name].add(anyio.get_current_task().id)
            self.log.append("closing")
            if self.log.count("closing") == self.count:
                self._all_closing.set()
        await self._all_closing.wait()
        self.log.append("closed")


@both_loops
@pytest.mark.parametrize("count", [0, 1, 3])
def test_all_are_opened_and_closed_side_by_side_each_in_one_task(backend: str, count: int) -> None:
    async def test() -> None:
        resources = Resources(count)
        async with entered_together([resources.open(str(number)) for number in range(count)]):
            assert resources.log == ["opening"] * count + ["open"] * count
        assert resources.log[2 * count :] == ["closing"] * count + ["closed"] * count
        assert [len(tasks) for tasks in resources.tasks.values()] == [1] * count

    run(backend, test)


@both_loops
def test_if_one_does_not_open_the_others_are_closed(backend: str) -> None:
    async def test() -> None:
        resources = Resources(3)
        with pytest.raises(OSError, match="b does not open"):
            async with entered_together([resources.open(name, fails=name == "b") for name in "abc"]):
                pytest.fail("the block was entered")
        assert resources.log.count("open") == resources.log.count("closing")

    run(backend, test)


@both_loops
def test_all_are_closed_if_the_block_is_cancelled(backend: str) -> None:
    async def test() -> None:
        resources = Resources(2)
        with anyio.CancelScope() as scope:
            async with entered_together([resources.open(name) for name in "ab"]):
                scope.cancel()
                await anyio.sleep_forever()
        assert resources.log[-2:] == ["closing", "closing"]

    run(backend, test)
