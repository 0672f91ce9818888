"""Executing calls, without a run around it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from tests.support import both_loops, run
from tests.tool_runs import approval_request, function_call, names

from responses_proto import Limits
from responses_proto.exceptions import LocalProtocolError, ToolError, ToolNotFound
from responses_proto.models.items import FunctionCallOutput, McpApprovalResponse
from responses_proto.tools import Approval, ToolFinished, ToolOutput
from responses_proto.tools._runner import Job, ToolRunner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from responses_proto.models.response import PendingCall
    from responses_proto.tools import ToolContext


@asynccontextmanager
async def executing(**options: Any) -> AsyncGenerator[tuple[ToolRunner, list[Any]]]:
    told: list[Any] = []
    settings: dict[str, Any] = {
        "concurrency": 8,
        "on_error": "tell_model",
        "limits": Limits(),
        "on_failure": lambda: told.append("failure"),
        **options,
    }
    async with anyio.create_task_group() as tasks:
        yield ToolRunner(tasks, told.append, **settings), told


async def cancelled(*jobs: Job, at_once: bool = False, **options: Any) -> ToolRunner:
    """Start these, and cancel everything around them, at once or when they are at work."""
    kept: list[ToolRunner] = []
    with anyio.CancelScope() as scope:
        async with executing(**options) as (calls, _):
            kept.append(calls)
            for job_ in jobs:
                calls.start(job_)
            if not at_once:
                await anyio.wait_all_tasks_blocked()
            scope.cancel()
    return kept[0]


def job(call: PendingCall, work: Callable[[ToolContext], Awaitable[Any]], **options: Any) -> Job:
    return Job(call=call, work=work, response_id="resp_1", turn=1, **options)


async def fine(_: ToolContext) -> ToolOutput:
    await anyio.lowlevel.checkpoint()
    return ToolOutput("fine", value=7)


async def broken(_: ToolContext) -> ToolOutput:
    raise ValueError("it broke")


async def endless(_: ToolContext) -> ToolOutput:
    await anyio.sleep_forever()
    return ToolOutput("never")


@both_loops
def test_a_call_is_executed_once_and_its_answer_kept(backend: str) -> None:
    async def test() -> None:
        async with executing() as (calls, told):
            calls.start(job(function_call(1), fine))
            assert (calls.knows(function_call(1)), calls.knows(function_call(2))) == (True, False)
            with pytest.raises(LocalProtocolError, match="'call_1' has been started or answered already"):
                calls.start(job(function_call(1), fine))
            await calls.wait()
            assert calls.began
            finished = calls.finished["call_1"]
            assert finished == told[-1]
            assert finished.output == FunctionCallOutput(call_id="call_1", output="fine")
            assert (finished.failed, finished.error, finished.value) == (False, None, 7)
            assert finished.elapsed >= 0
            with pytest.raises(LocalProtocolError, match="has been started or answered already"):
                calls.settle(function_call(1), ToolOutput("again"))
            # The calls of another response may have the same ids.
            calls.forget()
            calls.start(job(function_call(1), fine))
            await calls.wait()
        assert names(told) == ["ToolStarted", "ToolFinished"] * 2

    run(backend, test)


@both_loops
def test_waiting_for_nothing_takes_no_time(backend: str) -> None:
    async def test() -> None:
        async with executing() as (calls, _):
            await calls.wait()
            calls.settle(function_call(1), ToolOutput("by hand", failed=True))
            calls.settle(function_call(2), ToolNotFound("There is none."))
            calls.settle(approval_request(3), Approval(approve=True))
            await calls.wait()
            assert not calls.began
            assert [(event.failed, event.error is not None) for event in calls.finished.values()] == [
                (True, False),
                (True, True),
                (False, False),
            ]
            assert calls.finished["mcpr_3"].output == McpApprovalResponse(approval_request_id="mcpr_3", approve=True)

    run(backend, test)


@both_loops
def test_an_answer_that_does_not_fit_leaves_the_call_unknown(backend: str) -> None:
    async def test() -> None:
        async with executing() as (calls, told):
            with pytest.raises(LocalProtocolError, match="is answered with"):
                calls.settle(function_call(1), Approval(approve=True))
            assert not calls.knows(function_call(1))
            assert told == []

    run(backend, test)


@both_loops
def test_the_first_failure_ends_the_rest_if_it_is_to_be_raised(backend: str) -> None:
    async def test() -> None:
        async with executing(on_error="raise", concurrency=2) as (calls, told):
            for number, work in enumerate((endless, broken, fine), 1):
                calls.start(job(function_call(number), work))
            await calls.wait()
            assert isinstance(calls.failure, ToolError)
            assert isinstance(calls.failure.__cause__, ValueError)
            assert calls.failure.call == function_call(2)
            assert set(calls.finished) == {"call_1", "call_2"}
            assert not calls.knows(function_call(3))
            assert told.count("failure") == 1

    run(backend, test)


@both_loops
def test_what_is_cancelled_says_so_and_what_waits_does_not_begin(backend: str) -> None:
    async def test() -> None:
        async with executing(concurrency=1) as (calls, told):
            calls.start(job(function_call(1), endless))
            calls.start(job(function_call(2), fine))
            await anyio.wait_all_tasks_blocked()
            calls.cancel()
            await calls.wait()
            assert "was cancelled" in str(calls.finished["call_1"].output)
            assert list(calls.finished) == ["call_1"]
            assert isinstance(calls.finished["call_1"].error, ToolError)
        assert names(told) == ["ToolStarted", "ToolFinished"]

    run(backend, test)


@both_loops
def test_a_cancelled_group_leaves_an_answer_for_each_that_began(backend: str) -> None:
    async def test() -> None:
        calls = await cancelled(*(job(function_call(number), endless) for number in (1, 2, 3)), concurrency=2)
        assert set(calls.finished) == {"call_1", "call_2"}

    run(backend, test)


@both_loops
def test_a_tool_does_not_begin_after_the_end(backend: str) -> None:
    touched: list[str] = []

    async def touch(_: ToolContext) -> ToolOutput:
        touched.append("touched")
        return ToolOutput("")

    async def test() -> None:
        calls = await cancelled(job(function_call(1), touch), at_once=True)
        assert touched == []
        assert "was cancelled" in str(calls.finished["call_1"].output)

    run(backend, test)


@both_loops
def test_questions_have_no_effects_and_come_one_after_the_other(backend: str) -> None:
    order: list[str] = []

    async def ask(context: ToolContext) -> Approval | None:
        order.append(f"asked {context.call.id}")
        await anyio.lowlevel.checkpoint()
        order.append(f"answered {context.call.id}")
        return None if context.call.id == "mcpr_2" else Approval(approve=True)

    async def test() -> None:
        async with executing(concurrency=1) as (calls, told):
            calls.start(job(function_call(9), endless))
            for number in (1, 2, 3):
                calls.start(job(approval_request(number), ask, is_tool=False))
            await anyio.wait_all_tasks_blocked()
            assert [event.call.id for event in told if isinstance(event, ToolFinished)] == ["mcpr_1", "mcpr_3"]
            assert not calls.knows(approval_request(2))  # nobody decided
            calls.cancel()
        assert order == [f"{what} mcpr_{number}" for number in (1, 2, 3) for what in ("asked", "answered")]

    run(backend, test)


@both_loops
def test_a_question_that_was_cancelled_has_no_answer(backend: str) -> None:
    async def test() -> None:
        async with executing() as (calls, _):
            calls.start(job(approval_request(1), endless, is_tool=False))
            await anyio.wait_all_tasks_blocked()
            calls.cancel()
            await calls.wait()
            assert calls.finished == {}
            assert not calls.knows(approval_request(1))
            assert not calls.began

    run(backend, test)


@both_loops
def test_the_context_is_over_when_the_call_is(backend: str) -> None:
    contexts: list[ToolContext] = []

    async def keep(context: ToolContext) -> ToolOutput:
        contexts.append(context)
        context.progress("now")
        return ToolOutput("")

    async def test() -> None:
        async with executing() as (calls, told):
            calls.start(job(function_call(1), keep, timeout=60))
            await calls.wait()
            contexts[0].progress("too late")
        assert contexts[0].cancelled
        assert contexts[0].timeout == 60
        assert names(told) == ["ToolStarted", "ToolProgress", "ToolFinished"]

    run(backend, test)


@both_loops
def test_a_tool_that_stumbles_when_it_is_cancelled_breaks_nothing(backend: str) -> None:
    async def with_a_group(_: ToolContext) -> ToolOutput:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stumble)
            await anyio.sleep_forever()
        return ToolOutput("never")

    async def stumble() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while it was cleaning up")

    async def test() -> None:
        calls = await cancelled(job(function_call(1), with_a_group))
        assert set(calls.finished) == {"call_1"}

    run(backend, test)


@both_loops
def test_the_model_is_told_of_one_error_and_not_of_a_group_of_it(backend: str) -> None:
    async def with_a_group(context: ToolContext) -> ToolOutput:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(broken, context)
        return ToolOutput("never")

    async def test() -> None:
        async with executing() as (calls, _):
            calls.start(job(function_call(1), with_a_group))
            await calls.wait()
        assert "The tool failed: ValueError: it broke" in str(calls.finished["call_1"].output)

    run(backend, test)
