"""Random runs that end anywhere: every started call has one output, and the loop is the same as JSON at every point."""

from __future__ import annotations

import contextlib
import json
import random
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from tests.support import both_loops, run
from tests.tool_runs import ASKED, approval_request, custom_call, function_call, said, serving, turn

from responses_proto.codec import dump
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.models.items import PAIR_OF_OUTPUT
from responses_proto.protocol import check_history
from responses_proto.testing import Answer, Fault
from responses_proto.tools import Approval, ToolFinished, ToolLoop, ToolStarted, call_key, custom_tool, function_tool

if TYPE_CHECKING:
    from responses_proto.models.items import Item
    from responses_proto.models.response import PendingCall
    from responses_proto.testing import Scriptable
    from responses_proto.tools import Run

RUNS = 150  # on each event loop


class OverError(Exception):
    """Raised in the block of a run."""


@function_tool
async def quick(n: int) -> str:
    """Return at once."""
    return str(n)


@function_tool
async def slow(n: int) -> str:
    """Take a few steps, and clean up."""
    try:
        for _ in range(n):
            await anyio.lowlevel.checkpoint()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
    return "slow"


@function_tool
async def broken(n: int) -> str:
    """Fail."""
    await anyio.lowlevel.checkpoint()
    raise ExceptionGroup("two", [ValueError(str(n)), KeyError("x")])


@function_tool
async def endless(n: int) -> str:
    """Never return."""
    await anyio.sleep_forever()
    return str(n)


@function_tool(needs_approval=lambda call: "1" in call.arguments)
async def guarded(n: int) -> str:
    """Need an approval for some calls."""
    await anyio.lowlevel.checkpoint()
    return f"guarded {n}"


async def later(call: PendingCall) -> bool:
    await anyio.lowlevel.checkpoint()
    return len(call_key(call)) % 2 == 0


@custom_tool(name="work", needs_approval=later)
async def custom(text: str) -> str:
    """Need an approval that is decided later."""
    return text


NAMES = ("quick", "slow", "broken", "endless", "guarded", "unknown", "waits")
TOOLS: Any = [quick, slow, broken, endless, guarded, custom, {"type": "function", "name": "waits", "parameters": {}}]


def script(chance: random.Random) -> list[Scriptable]:
    answers: list[Scriptable] = []
    for number in range(1, chance.randint(1, 3) + 1):
        calls: list[Item] = []
        for each in range(chance.randint(1, 4)):
            key = number * 10 + each
            arguments = json.dumps({"n": chance.choice([1, 2, 3, "x"])})
            name = chance.choice(NAMES)
            made: list[Item] = [function_call(key, arguments, name), custom_call(key), approval_request(key)]
            calls.append(chance.choices(made, weights=[5, 1, 1])[0])
        response = turn(*calls, number=number, store=chance.choice([True, False, None]))
        faults = [Fault.no_terminal(), Fault.split_every(40), Fault.delayed(0), Fault.reset(chance.randint(2, 5))]
        answer = Answer.response(response)
        answers.append(answer.with_faults(chance.choice(faults)) if chance.random() < 0.3 else answer)
    return [*answers, said()]


def approver(chance: random.Random) -> Any:
    answers = [True, False, None, Approval(approve=True, remember=True), Approval(approve=False, reason="no")]

    async def approve(_: PendingCall) -> Any:
        await anyio.lowlevel.checkpoint()
        return chance.choice(answers)

    return chance.choice([None, approve])


def check_copy(loop: ToolLoop) -> None:
    assert ToolLoop.load(json.loads(json.dumps(loop.dump()))) == loop


def check_answers(loop: ToolLoop, started: list[str]) -> None:
    outputs = [
        getattr(item, pair.output_key)
        for each in loop.turns
        for item in each.outputs
        if (pair := PAIR_OF_OUTPUT[item.type])
    ]
    assert len(set(outputs)) == len(outputs)
    assert set(started) <= set(outputs)
    for each in loop.turns:  # in call order
        keys = [call_key(call) for call in each.calls]
        assert [dump(item) for item in each.outputs] == [dump(each.answers[key]) for key in keys if key in each.answers]
    wrong = [finding for finding in check_history(loop.history) if finding.level == "error"]
    assert wrong == []


async def read(agent: Run, chance: random.Random, started: list[str]) -> None:
    stop_after, how = chance.randint(1, 60), chance.choice(["break", "raise", "cancel", "pause"])
    seen = 0
    with anyio.CancelScope() as scope:
        async with agent:
            async for event in agent:
                seen += 1
                check_copy(agent.loop)
                if isinstance(event, ToolStarted):
                    started.append(call_key(event.call))
                if isinstance(event, ToolFinished):
                    assert call_key(event.call)
                for call in agent.pending if chance.random() < 0.1 else ():
                    agent.answer(call, chance.choice([Approval(approve=False), _output(call)]))
                if seen == stop_after and how == "break":
                    break
                if seen == stop_after and how == "raise":
                    raise OverError
                if seen == stop_after and how == "cancel":
                    scope.cancel()
                if seen == stop_after and how == "pause":
                    agent.pause()
                if "tool_started" in event.type and chance.random() < 0.3:
                    await anyio.lowlevel.checkpoint()


def _output(call: PendingCall) -> Any:
    return Approval(approve=True) if call.type == "mcp_approval_request" else "by hand"


@both_loops
@pytest.mark.parametrize("part", range(3))
def test_any_run_leaves_one_output_per_call_and_a_loop_that_survives_as_json(backend: str, part: int) -> None:
    async def test() -> None:
        for seed in range(part * RUNS // 3, (part + 1) * RUNS // 3):
            chance, started = random.Random(seed), list[str]()
            options: Any = {
                "start": chance.choice(["response_done", "item_done", "manual"]),
                "on_error": chance.choice(["tell_model", "tell_model", "raise"]),
                "concurrency": chance.choice([1, 2, 16]),
                "tool_timeout": 0.01,
                "max_turns": chance.choice([1, 2, None]),
                "max_tool_calls": chance.choice([3, None, None]),
                "store": chance.choice([True, False, None]),
            }
            async with serving(*script(chance)) as (_, client):
                agent = client.run(**ASKED, tools=TOOLS, approve=approver(chance), **options)
                with contextlib.suppress(OverError, ResponsesProtoError):
                    await read(agent, chance, started)
                try:
                    check_copy(agent.loop)
                    check_answers(agent.loop, started)
                except AssertionError as error:
                    error.add_note(f"seed {seed}: {options}")
                    raise

    run(backend, test)
