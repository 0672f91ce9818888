"""Runs whose block is left early, by any way and from any task: what is kept, and who is harmed."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from tests.support import both_loops, run
from tests.tool_runs import ASKED, TOOLS, Source, finish, function_call, said, serving, turn, waiting, work

from responses_proto import ResponsesClient
from responses_proto.exceptions import LocalProtocolError, TransportError
from responses_proto.models.events import OutputTextDelta
from responses_proto.models.items import Message
from responses_proto.protocol import check_history
from responses_proto.testing import Answer, FakeServer, Fault, Script
from responses_proto.tools import ToolContext, ToolLoop, ToolOutput, ToolStarted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from responses_proto.tools import Run, RunEvent

SLOW = Answer.text("One two three four five.").with_faults(Fault.stall(after=6))
BROKEN = Answer.text("One two three four five.").with_faults(Fault.reset(after=6))


class LeftError(Exception):
    """Raised in the block."""


async def leave(agent: Run, how: str) -> None:
    """Read until there is some text, then leave."""
    with anyio.CancelScope() as scope:
        async with agent:
            async for event in agent:
                if isinstance(event, OutputTextDelta) and len(event.delta) > 1:
                    if how == "break":
                        break
                    if how == "exception":
                        raise LeftError
                    if how == "cancelled":
                        scope.cancel()


@both_loops
@pytest.mark.parametrize("listen", [False, True])
@pytest.mark.parametrize("how", ["break", "exception", "cancelled", "error"])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_response_in_progress_is_kept_however_the_block_is_left(
    backend: str, listen: bool, how: str, turns: int
) -> None:
    async def test() -> None:
        answers: list[Any] = [turn(function_call(1), store=False)] * turns
        answers.append(BROKEN if how == "error" else SLOW)
        async with FakeServer(Script(*answers), listen=listen) as server:
            transport = None if listen else server.transport
            async with ResponsesClient(server.url, "key", http_client=transport) as client:
                agent = client.run(**ASKED, tools=[work])
                raised = {"exception": LeftError, "error": TransportError}.get(how)
                with pytest.raises(raised) if raised else nullcontext():
                    await leave(agent, how)
        assert agent.response is not None
        so_far = agent.response.output_text
        assert "One two three four five.".startswith(so_far)
        assert so_far
        last = agent.loop.history[-1]
        assert isinstance(last, Message)
        assert (last.role, last.status) == ("assistant", "incomplete")
        assert check_history(agent.loop.history) == []
        assert ToolLoop.load(agent.loop.dump()).history == agent.loop.history
        assert len(agent.loop.turns) == turns
        # The request can be sent again, or the conversation goes on with what was said.
        assert agent.loop.state == "ask"
        async with serving(said()) as (again, client):
            _, result = await finish(client.run(agent.loop, tools=[work]))
            assert (result.output_text, result.loop.partial) == ("All done.", None)
            history: Any = [*agent.loop.history, Message(role="user", content="Go on.")]
            await finish(client.run(model="m", input=history))
        assert so_far not in str(again.requests[0].json)
        assert so_far in str(again.requests[1].json)

    run(backend, test)


@both_loops
def test_a_run_that_ended_keeps_its_last_response(backend: str) -> None:
    async def test() -> None:
        async with serving(said()) as (_, client):
            agent = client.run(**ASKED)
            async with agent:
                async for event in agent:
                    if event.type == "response.completed":
                        break
        assert agent.response == said()
        assert agent.loop.stopped == "completed"

    run(backend, test)


async def events_of(client: ResponsesClient, **options: Any) -> AsyncGenerator[RunEvent]:
    """Wrap a run, as frameworks do."""
    async with client.run(**ASKED, **options) as agent:
        async for event in agent:
            yield event


class Connection(Source):
    """An executor that holds a task group, as connections do."""

    async def __aenter__(self) -> None:
        await super().__aenter__()
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(anyio.sleep_forever)

    async def __aexit__(self, *_: object) -> None:
        self.group.cancel_scope.cancel()
        try:
            await self.group.__aexit__(None, None, None)
        finally:
            await super().__aexit__(None, None, None)


async def never(_: ToolContext) -> ToolOutput:
    await anyio.sleep_forever()
    return ToolOutput("never")


async def until(condition: Any) -> None:
    while not condition():
        gc.collect()
        await anyio.sleep(0.01)


@both_loops
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio warns of every generator that is dropped
@pytest.mark.parametrize("listen", [False, True])
@pytest.mark.parametrize("stop_at", ["run.turn_started", "response.created", "run.tool_started"])
def test_a_generator_around_a_run_that_is_dropped_harms_nobody(backend: str, listen: bool, stop_at: str) -> None:
    async def test() -> None:
        source = Connection(never)
        async with FakeServer(turn(function_call(1)), listen=listen) as server:
            transport = None if listen else server.transport
            async with ResponsesClient(server.url, "key", http_client=transport) as client:
                # In the task that goes on, and in one that ends.
                async for event in events_of(client, tools=[source]):
                    if event.type == stop_at:
                        break
                await until(lambda: not source.entered)

                async def consume() -> None:
                    async for event in events_of(client, tools=[source]):
                        if event.type == stop_at:
                            return

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(consume)
                await until(lambda: not source.entered)
                await anyio.lowlevel.checkpoint()  # nobody was cancelled
                assert (await client.create(**ASKED)).status == "completed"

    run(backend, test)


@both_loops
def test_a_block_may_be_left_by_another_task_than_entered_it(backend: str) -> None:
    async def test() -> None:
        source = Connection(never)
        async with serving(turn(function_call(1))) as (_, client):
            agent = client.run(**ASKED, tools=[source])
            with anyio.CancelScope():
                await agent.__aenter__()
            async for event in agent:
                if isinstance(event, ToolStarted):
                    break
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(agent.__aexit__, None, None, None)
            assert not source.entered
            assert len(agent.loop.turns[0].outputs) == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("tools", [[], [work]])
def test_a_second_reader_is_told(backend: str, tools: Any) -> None:
    async def test() -> None:
        ends: list[str] = []

        async def read(agent: Run) -> None:
            try:
                async for _ in agent:
                    await anyio.lowlevel.checkpoint()
                ends.append("end")
            except LocalProtocolError as error:
                ends.append(str(error))

        async with (
            serving(turn(function_call(1)), said()) as (_, client),
            client.run(**ASKED, tools=tools) as agent,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(read, agent)
            tasks.start_soon(read, agent)
        assert sorted(ends) == ["another task reads these events: only one may read at a time", "end"]

    run(backend, test)


@both_loops
def test_entering_that_is_cancelled_leaves_nothing_open(backend: str) -> None:
    async def test() -> None:
        class Slow(Connection):
            async def __aenter__(self) -> None:
                await super().__aenter__()
                try:
                    await anyio.sleep_forever()
                except BaseException:
                    await self.__aexit__(None, None, None)
                    raise

        quick, slow = Connection(never), Slow(never, name="other")
        async with serving(said()) as (server, client):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:

                    async def stop() -> None:
                        await until(lambda: quick.entered and slow.entered)
                        scope.cancel()

                    tasks.start_soon(stop)
                    async with client.run(**ASKED, tools=[quick, slow]):
                        pytest.fail("the block was entered")
            assert not quick.entered
            assert not slow.entered
            assert server.requests == []

    run(backend, test)


@both_loops
def test_if_one_executor_does_not_open_the_others_are_closed_and_its_error_is_raised(backend: str) -> None:
    class Broken(Source):
        async def __aenter__(self) -> None:
            await anyio.lowlevel.checkpoint()
            raise OSError("no such server")

    async def test() -> None:
        open_ = Connection(never)
        async with serving(said()) as (server, client):
            with pytest.raises(OSError, match="no such server"):
                async with client.run(**ASKED, tools=[open_, Broken(never, name="other")]):
                    pytest.fail("the block was entered")
            assert not open_.entered
            assert server.requests == []

    run(backend, test)


@both_loops
def test_an_error_of_an_executor_that_closes_is_raised(backend: str) -> None:
    class Broken(Source):
        async def __aexit__(self, *_: object) -> None:
            await anyio.lowlevel.checkpoint()
            raise OSError("it does not close")

    async def test() -> None:
        async with serving(said()) as (_, client):
            with pytest.raises(OSError, match="it does not close"):
                await finish(client.run(**ASKED, tools=[Broken(never)]))

    run(backend, test)


@both_loops
def test_cancelling_does_not_wait_for_executors_that_close_slowly(backend: str) -> None:
    class Slow(Source):
        async def __aexit__(self, *_: object) -> None:
            await anyio.sleep_forever()

    async def test() -> None:
        async with serving(turn(waiting(1))) as (_, client):
            with anyio.CancelScope() as scope:
                async with client.run(**ASKED, tools=[Slow(never), *TOOLS[1:]]) as agent:
                    async for event in agent:
                        if isinstance(event, ToolStarted):
                            scope.cancel()
            assert scope.cancelled_caught

    run(backend, test)
