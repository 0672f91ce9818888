"""Tools that fail, hang or are cancelled: every call has one answer, and the history stays valid."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from tests.hostile.checkpoints import cancel_at_each_checkpoint
from tests.support import both_loops, run
from tests.tool_runs import Source, approval_request, client_of, custom_call, function_call, read_all, said, turn

from responses_proto import Limits
from responses_proto.codec import load
from responses_proto.exceptions import ToolArgumentsInvalid
from responses_proto.models.items import CustomToolCallOutput, FunctionCallOutput, Item, McpApprovalResponse
from responses_proto.models.tools import FunctionTool, McpTool
from responses_proto.protocol import check_history
from responses_proto.testing import FakeServer, Script
from responses_proto.tools import Approval, Function, ToolFinished, ToolOutput, call_key, custom_tool, function_tool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from responses_proto.models.items import McpApprovalRequest
    from responses_proto.models.response import PendingCall, Response
    from responses_proto.testing import ServerExchange
    from responses_proto.tools import Run, ToolContext

LIMIT = 300

# ---- the matrix: how calls are grouped, their types, and how they end

SHAPES = {"one": [[1]], "parallel": [[1, 2, 3]], "sequential": [[1], [2], [3]]}
FAILED = ("raises", "times-out", "bad-arguments", "unknown-tool", "output-too-large")
FATES = ("ok", *FAILED)


@attrs.define
class Fate:
    """How the calls of a test end."""

    name: str
    spared: int = 0
    """How many calls succeed before that."""
    awaited: int = 1
    """How many calls must run before the test continues."""
    met: int = 0
    all_met: anyio.Event = attrs.field(factory=anyio.Event)

    async def meet(self) -> str:
        self.met += 1
        if self.met <= self.spared:
            return "fine"
        if self.met == self.spared + self.awaited:
            self.all_met.set()
        match self.name:
            case "raises":
                raise ValueError("it broke")
            case "times-out" | "cancelled":
                await anyio.sleep_forever()
            case "bad-arguments":
                raise ToolArgumentsInvalid("the arguments are invalid")
            case "output-too-large":
                return "x" * (LIMIT + 1)
            case _:
                await anyio.lowlevel.checkpoint()
        return "fine"


def function_calls(number: int, fate: str) -> PendingCall:
    name = "invented" if fate == "unknown-tool" else "work"
    return function_call(number, '{"n": "one"}' if fate == "bad-arguments" else '{"n": 1}', name)


def functions(fate: Fate) -> dict[str, Any]:
    async def work(n: int) -> str:
        return f"{await fate.meet()} {n}"

    return {"tools": [function_tool(work)]}


def custom_calls(number: int, fate: str) -> PendingCall:
    return custom_call(number, "1", "invented" if fate == "unknown-tool" else "work")


def functions_of_text(fate: Fate) -> dict[str, Any]:
    async def work(text: str) -> str:
        return f"{await fate.meet()} {text}"

    return {"tools": [custom_tool(work)]}


def source_calls(number: int, fate: str) -> PendingCall:
    return function_call(number, name="invented" if fate == "unknown-tool" else "work")


def sources(fate: Fate) -> dict[str, Any]:
    async def work(_: ToolContext) -> ToolOutput:
        return ToolOutput(await fate.meet())

    return {"tools": [Source(work)]}


def approval_requests(number: int, fate: str) -> PendingCall:
    return approval_request(number, "{" if fate == "bad-arguments" else '{"n": 1}')


def approvals(fate: Fate) -> dict[str, Any]:
    async def approve(request: McpApprovalRequest) -> Approval:
        json.loads(request.arguments)
        with anyio.fail_after(0.02 if fate.name == "times-out" else None):
            return Approval(approve=True, reason=await fate.meet())

    remote = McpTool(server_label="server", server_url="https://mcp.example", require_approval="always")
    # Without a callback, the call is denied, like a call of an unknown tool.
    return {"tools": [remote], "approve": None if fate.name == "unknown-tool" else approve}


@attrs.frozen
class Kind:
    """A type of call, and the tools that answer it."""

    call: Callable[[int, str], PendingCall]
    options: Callable[[Fate], dict[str, Any]]
    output: type[Item]
    at_once: bool = True


KINDS = {
    "function": Kind(function_calls, functions, FunctionCallOutput),
    "custom": Kind(custom_calls, functions_of_text, CustomToolCallOutput),
    "source": Kind(source_calls, sources, FunctionCallOutput),
    "approval": Kind(approval_requests, approvals, McpApprovalResponse, at_once=False),
}


# An `approve` that raises decides nothing: its error ends the run (tests/tools/test_approvals.py).
ENDS = [
    (kind, fate)
    for kind in KINDS
    for fate in FATES
    if kind != "approval" or fate in ("ok", "unknown-tool", "output-too-large")
]


def keys_of(calls: list[PendingCall]) -> list[str]:
    return [call_key(call) for call in calls]


def keys_answered(items: Sequence[Item]) -> list[str]:
    return [
        item.approval_request_id if isinstance(item, McpApprovalResponse) else str(getattr(item, "call_id", ""))
        for item in items
    ]


def responses_of(kind: Kind, shape: str, fate: str) -> list[Response]:
    return [
        turn(*(kind.call(number, fate) for number in group), number=at) for at, group in enumerate(SHAPES[shape], 1)
    ]


def without_orphans(backend: str, test: Callable[[], Awaitable[None]]) -> None:
    async def checked() -> None:
        before = len(anyio.get_running_tasks())
        await test()
        assert len(anyio.get_running_tasks()) == before

    run(backend, checked)


@both_loops
@pytest.mark.parametrize(("kind", "fate"), ENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_call_has_one_answer(backend: str, shape: str, kind: str, fate: str) -> None:
    responses = responses_of(KINDS[kind], shape, fate)
    sizes = [len(response.output) for response in responses]

    async def test() -> None:
        async with (
            FakeServer(Script(*responses, said()), listen=False) as server,
            client_of(server, limits=Limits(max_tool_output_bytes=LIMIT)) as client,
            client.run(
                model="m",
                input="Go.",
                store=False,
                tool_timeout=0.05 if fate == "times-out" else 30,
                **KINDS[kind].options(Fate(fate)),
            ) as agent,
        ):
            finished = [event async for event in agent if isinstance(event, ToolFinished)]
            result = await agent.result()

        assert result.stopped == "completed"
        assert [keys_answered(turn_.outputs) for turn_ in result.turns] == [
            *(keys_of(r.pending_calls) for r in responses),
            [],
        ]
        assert all(isinstance(item, KINDS[kind].output) for turn_ in result.turns for item in turn_.outputs)
        assert len(finished) == sum(sizes)
        assert {event.failed for event in finished} == {fate in FAILED}
        assert {event.error is not None for event in finished} == {fate in FAILED}
        if kind == "approval":
            assert {getattr(event.output, "approve", None) for event in finished} == {fate == "ok"}
        # What was sent is all that came before, and servers would have taken it.
        asked = [load(request.json["input"], list[Item]) for request in server.requests[1:]]
        assert [len(items) for items in asked] == [1 + 2 * sum(sizes[: at + 1]) for at in range(len(sizes))]
        assert [finding for items in [*asked, result.history, result.items] for finding in check_history(items)] == []

    without_orphans(backend, test)


@both_loops
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_started_call_has_one_answer_when_the_run_is_cancelled(backend: str, shape: str, kind: str) -> None:
    responses = responses_of(KINDS[kind], shape, "cancelled")
    last = len(responses[-1].output)

    async def test() -> None:
        spared = sum(len(response.output) for response in responses[:-1])
        fate = Fate("cancelled", spared, awaited=last if KINDS[kind].at_once else 1)
        async with FakeServer(Script(*responses, said()), listen=False) as server, client_of(server) as client:
            agent = client.run(model="m", input="Go.", store=False, **KINDS[kind].options(fate))
            async with anyio.create_task_group() as tasks:
                with anyio.CancelScope() as scope:
                    tasks.start_soon(cancel_when, fate.all_met, scope)
                    async with agent:
                        await agent.result()
                assert scope.cancelled_caught

        assert len(server.requests) == len(responses)
        turns = agent.loop.turns
        assert [keys_answered(turn_.outputs) for turn_ in turns[:-1]] == [
            keys_of(r.pending_calls) for r in responses[:-1]
        ]
        # A tool that was running has an answer that says so. An approval can be asked again.
        waited = keys_of(responses[-1].pending_calls)
        assert keys_answered(turns[-1].outputs) == ([] if kind == "approval" else waited)
        assert keys_of(agent.loop.pending) == (waited if kind == "approval" else [])
        assert all("was cancelled" in str(item) for item in turns[-1].outputs)
        assert keys_answered(agent.loop.history[-last:]) == waited
        assert check_history(agent.loop.history) == []

    without_orphans(backend, test)


async def cancel_when(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


# ---- cancelling at random


@function_tool
async def quick(n: int) -> str:
    await anyio.sleep(n / 1000)
    return "quick"


@function_tool
async def careful(n: int) -> str:
    try:
        await anyio.sleep(n / 1000)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.001)
    return "careful"


@function_tool
async def branching(n: int) -> str:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, n / 1000)
        tasks.start_soon(anyio.sleep, n / 2000)
    return "branching"


@function_tool
def blocking(n: int) -> str:
    time.sleep(n / 1000)
    return "blocking"


TOOLS: list[Function[..., Any, FunctionTool]] = [quick, careful, branching, blocking]


def random_agent(chance: random.Random) -> tuple[Script, dict[str, Any]]:
    responses = [
        turn(
            *(
                function_call(10 * number + at, json.dumps({"n": chance.randint(0, 40)}), chance.choice(TOOLS).name)
                for at in range(chance.randint(1, 4))
            ),
            number=number,
        )
        for number in range(1, 4)
    ]
    options = {
        "tools": TOOLS,
        "start": chance.choice(["item_done", "response_done"]),
        "concurrency": chance.choice([1, 2, 16]),
        "continuation": chance.choice(["response", "history"]),
    }
    return Script(*responses, said()), options


@both_loops
def test_runs_cancelled_at_any_moment_leak_nothing_and_keep_every_answer(backend: str) -> None:
    ends: list[bool] = []

    async def once(seed: int) -> None:
        chance = random.Random(seed)
        script, options = random_agent(chance)
        async with FakeServer(script, listen=False) as server, client_of(server) as client:
            agent = client.run(model="m", input="Go.", **options)
            with anyio.move_on_after(chance.uniform(0.0, 0.15)) as scope:
                await read_all(agent)
            ends.append(scope.cancelled_caught)
        assert server.active == 0
        assert check_history(agent.loop.history) == []
        # A call has one answer at most, and is one that waited for it.
        for turn_ in agent.loop.turns:
            keys = keys_of(list(turn_.calls))
            assert keys_answered(turn_.outputs) == [key for key in keys if key in turn_.answers]

    async def test() -> None:
        for seed in range(50):
            await once(seed)

    without_orphans(backend, test)
    assert len(ends) == 50
    assert sum(ends) > 10


@both_loops
def test_cancelling_the_reader_at_each_checkpoint_leaks_nothing_and_keeps_every_answer(backend: str) -> None:
    async def test() -> None:
        agents: list[Run] = []
        calls = [function_call(number, '{"n": 1}', tool.name) for number, tool in enumerate(TOOLS, 1)]

        def script(peer: ServerExchange) -> Response:
            return said() if "previous_response_id" in peer.request.json else turn(*calls)

        async with FakeServer(script, listen=False) as server, client_of(server) as client:

            async def once() -> None:
                agents.append(client.run(model="m", input="Go.", tools=TOOLS, start="item_done"))
                await read_all(agents[-1])

            async def after() -> None:
                while server.active:
                    await anyio.lowlevel.checkpoint()
                assert len(anyio.get_running_tasks()) == before
                loop = agents[-1].loop
                assert check_history(loop.history) == []
                assert all(call_key(call) not in turn_.answers for turn_ in loop.turns for call in turn_.pending)

            before = len(anyio.get_running_tasks())
            assert await cancel_at_each_checkpoint(once, after) > 10
        assert agents[-1].loop.stopped == "completed"

    run(backend, test)
