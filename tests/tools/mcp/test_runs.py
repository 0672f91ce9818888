"""MCP servers in runs, against real servers: from the model's call to the output that it reads."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.mcp_peers import call, children, over_http, quiet_on_trio, stdio
from tests.streams import message, response
from tests.support import PATIENCE, both_loops, run

from responses_proto import Limits, ResponsesClient
from responses_proto.codec import load
from responses_proto.exceptions import ConnectError, LimitExceeded, ToolError, ToolNotFound, UsageError
from responses_proto.models import FunctionCall, FunctionCallOutput, Item, Response
from responses_proto.protocol import check_history
from responses_proto.testing import Answer, FakeServer
from responses_proto.tools import ToolFinished, ToolProgress, ToolStarted, call_key
from responses_proto.tools.mcp import McpServer

pytest.importorskip("mcp")

from tests.mcp_server import build

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from responses_proto.testing import ServerExchange
    from responses_proto.tools import RunResult

KINDS = ["stdio", "http", "in_process"]


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with over_http() as url:
        yield url


@pytest.fixture
def tools(request: pytest.FixtureRequest, kind: str) -> McpServer:
    if kind == "http":
        return McpServer.http(request.getfixturevalue("url"))
    return stdio() if kind == "stdio" else McpServer.in_process(build())


every_kind = pytest.mark.parametrize("kind", KINDS)


def calling(*turns: list[tuple[str, Any]]) -> Callable[[ServerExchange], Answer]:
    """Return a model that makes these calls turn by turn, then answers with a message."""

    def script(peer: ServerExchange) -> Answer:
        said = peer.request.json["input"]
        items: list[Item] = [] if isinstance(said, str) else load(said, list[Item])
        answered = {item.call_id for item in items if isinstance(item, FunctionCallOutput)}
        for number, calls in enumerate(turns):
            output = [
                {
                    "type": "function_call",
                    "id": f"fc_{number}_{index}",
                    "call_id": f"call_{number}_{index}",
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                    "status": "completed",
                }
                for index, (name, arguments) in enumerate(calls)
            ]
            if not answered.issuperset(call["call_id"] for call in output):
                return _whole(output)
        return _whole([message("Done.")])

    return script


def _whole(output: list[Any]) -> Answer:
    return Answer.response(load(response(status="completed", output=output), Response))


@contextlib.asynccontextmanager
async def model(*turns: list[tuple[str, Any]], **options: Any) -> AsyncGenerator[ResponsesClient]:
    async with (
        FakeServer(calling(*turns)) as server,
        ResponsesClient(server.url, "any", http_client=server.transport, **options) as client,
    ):
        yield client


def outputs(result: RunResult) -> list[object]:
    return [item.output for item in result.items if isinstance(item, FunctionCallOutput)]


SLOW = ("slow", {"seconds": 30})
ADD = ("add", {"a": 1, "b": 2})
MATRIX: dict[str, tuple[list[list[tuple[str, Any]]], list[str]]] = {
    "one": ([[ADD]], ["3"]),
    "parallel": ([[("slow", {"seconds": 0.2}), ADD, ("files_read", {"path": "x"})]], ["done", "3", "what is in x"]),
    "sequential": ([[ADD], [("add", {"a": 3, "b": 4})]], ["3", "7"]),
    "raises": ([[("fail", {}), ADD]], ["no such city", "3"]),
    "refused": ([[("refuse", {}), ADD]], ["not for you", "3"]),
    "bad arguments": ([[("add", "{"), ADD]], ["the arguments are invalid", "3"]),
    "unknown tool": ([[("subtract", {}), ADD]], ["no tool 'subtract'", "3"]),
    "too large": ([[("large", {"size": 300_000}), ADD]], ["too large", "3"]),
    "times out": ([[SLOW, ADD]], ["took too long", "3"]),
}


@quiet_on_trio
@both_loops
@every_kind
def test_each_call_has_one_output_in_call_order(backend: str, tools: McpServer) -> None:
    async def go(case: str) -> None:
        turns, expected = MATRIX[case]
        async with (
            model(*turns, limits=Limits(max_tool_output_bytes=100_000)) as client,
            client.run(
                model="m", input="x", tools=[tools], store=False, tool_timeout=5.0 if case == "times out" else PATIENCE
            ) as agent,
        ):
            started = [call_key(event.call) async for event in agent if isinstance(event, ToolStarted)]
            result = await agent.result()
        calls = [item for item in result.items if isinstance(item, FunctionCall)]
        assert started == [item.call_id for item in calls if item.name != "subtract"], case
        assert result.output_text == "Done.", case
        assert len(outputs(result)) == len(expected), case
        for output, part in zip(outputs(result), expected, strict=True):
            assert part in str(output), case
        assert check_history(result.history) == [], case

    async def test() -> None:
        before = children()
        async with tools:
            for case in MATRIX:
                await go(case)
                assert tools.connected  # it is the caller's to leave
        assert children() == before

    run(backend, test)


@quiet_on_trio
@both_loops
@every_kind
def test_a_run_has_the_events_of_its_tools(backend: str, tools: McpServer) -> None:
    async def test() -> None:
        async with (
            model([("slow", {"seconds": 0.1}), ("fail", {})]) as client,
            client.run(model="m", input="x", tools=[tools], store=False) as agent,
        ):
            events = [event async for event in agent]
        assert [(e.message, e.done, e.total) for e in events if isinstance(e, ToolProgress)] == [("half way", 1, 2)]
        finished = {
            e.call.call_id: e for e in events if isinstance(e, ToolFinished) and isinstance(e.call, FunctionCall)
        }
        assert finished["call_0_0"].value == {"result": "done"}
        assert not finished["call_0_0"].failed
        assert finished["call_0_1"].failed

    run(backend, test)


@both_loops
def test_tool_finished_has_the_error_and_its_cause(backend: str) -> None:
    async def test() -> None:
        turn: list[tuple[str, Any]] = [("subtract", {}), ("large", {"size": 300_000}), ("die", {})]
        async with (
            model(turn, limits=Limits(max_tool_output_bytes=100_000)) as client,
            client.run(model="m", input="x", tools=[stdio()], store=False, concurrency=1) as agent,
        ):
            errors = [type(event.error) async for event in agent if isinstance(event, ToolFinished)]
        assert errors == [ToolNotFound, LimitExceeded, ToolError]

    run(backend, test)


@both_loops
def test_servers_with_tools_of_the_same_name_need_prefixes(backend: str) -> None:
    async def test() -> None:
        async with model([("a_add", {"a": 1, "b": 2}), ("b_add", {"a": 3, "b": 4})]) as client:
            same = [McpServer.in_process(build()), McpServer.in_process(build())]
            with pytest.raises(
                UsageError, match=r"two tools have the name 'add': rename one of them, or give it a prefix"
            ):
                await client.run(model="m", input="x", tools=same).__aenter__()
            assert not any(server.connected for server in same)
            apart = [McpServer.in_process(build(), prefix=prefix) for prefix in ("a_", "b_")]
            async with client.run(model="m", input="x", tools=apart, store=False) as agent:
                assert outputs(await agent.result()) == ["3", "7"]

    run(backend, test)


@both_loops
def test_a_server_that_cannot_be_reached_is_an_error_of_the_run(backend: str) -> None:
    async def test() -> None:
        async with model([ADD]) as client:
            before = children()
            with pytest.raises(ConnectError, match="no MCP session with mcp-server"):
                await client.run(model="m", input="x", tools=[stdio(), McpServer.stdio("/no/mcp-server")]).__aenter__()
            assert children() == before

    run(backend, test)


@both_loops
def test_a_tool_added_by_a_call_is_offered_in_the_next_request(backend: str) -> None:
    async def test() -> None:
        async with (
            model([("grow", {"name": "grown"})], [("grown", {})]) as client,
            client.run(model="m", input="x", tools=[stdio("--old")], store=False) as agent,
        ):
            assert outputs(await agent.result()) == ["grown", "new"]

    run(backend, test)


@both_loops
def test_runs_share_a_server_and_the_last_one_closes_it(backend: str) -> None:
    async def test() -> None:
        before = children()
        tools = stdio()
        found: list[list[object]] = []

        async def go(client: ResponsesClient, seconds: float) -> None:
            async with client.run(model="m", input="x", tools=[tools], store=False) as agent:
                await anyio.sleep(seconds)
                found.append(outputs(await agent.result()))
                assert len(children() - before) == 1

        async with model([ADD]) as client, anyio.create_task_group() as group:
            for seconds in (0, 0.1, 0.5):
                group.start_soon(go, client, seconds)
        assert found == [["3"]] * 3
        assert children() == before

    run(backend, test)


@quiet_on_trio
@both_loops
def test_runs_cancelled_at_any_moment_leave_nothing(backend: str, url: str) -> None:
    chance = random.Random(20261125)

    async def test() -> None:
        before = children()
        calls = [("s_slow", {"seconds": 600}), ("h_slow", {"seconds": 600}), ("p_slow", {"seconds": 600})]
        interrupted = 0

        async def go(client: ResponsesClient, number: int, scope: anyio.CancelScope) -> None:
            nonlocal interrupted
            tools = [shared, McpServer.http(url, prefix="h_"), McpServer.in_process(build(), prefix="p_")]
            if number % 10 == 0:
                tools.append(stdio(prefix="o_"))  # a program, which is slow to start
            async with client.run(model="m", input="x", tools=tools, store=False) as agent:
                async for event in agent:
                    if isinstance(event, ToolStarted):
                        interrupted += 1
                        scope.deadline = min(scope.deadline, anyio.current_time() + chance.uniform(0, 0.1))

        async with model(calls) as client, stdio(prefix="s_") as shared:
            with_one = children()
            for number in range(50):
                # Some are cancelled while they open or request, the others while tools run.
                seconds = chance.uniform(0, 0.3) if number % 4 == 0 else math.inf
                with anyio.move_on_after(seconds) as scope:
                    await go(client, number, scope)
                assert scope.cancelled_caught
                assert children() == with_one
            assert (await call(shared, "s_add", {"a": 1, "b": 2})).output == "3"
        assert children() == before
        assert interrupted >= 37

    async def bounded() -> None:
        with anyio.fail_after(5 * PATIENCE):
            await test()

    anyio.run(bounded, backend=backend)
    gc.collect()  # what was left for it would be warned of here, and warnings are errors
