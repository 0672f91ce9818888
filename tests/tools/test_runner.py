"""ToolRunner, without a run around it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from tests.support import both_loops, run
from tests.tool_runs import approval_request, function_call, names

from responses_proto import Limits
from responses_proto.exceptions import LocalProtocolError, ToolError, ToolNotFound, UsageError
from responses_proto.models.items import FunctionCallOutput, McpApprovalResponse
from responses_proto.tools import Approval, ToolFinished, ToolOutput
from responses_proto.tools._runner import Job, JobKind, ToolRunner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from responses_proto.models.response import PendingCall
    from responses_proto.tools import ToolContext


@asynccontextmanager
async def running(**options: Any) -> AsyncGenerator[tuple[ToolRunner, list[Any]]]:
    published: list[Any] = []
    settings: dict[str, Any] = {
        "concurrency": 8,
        "on_error": "tell_model",
        "limits": Limits(),
        "on_failure": lambda: published.append("failure"),
        **options,
    }
    async with anyio.create_task_group() as tasks:
        yield ToolRunner(tasks, published.append, **settings), published


async def cancelled(*jobs: Job, at_once: bool = False, **options: Any) -> ToolRunner:
    """Start jobs, then cancel the scope around them: at once, or when they are running. Return their runner."""
    runners: list[ToolRunner] = []
    with anyio.CancelScope() as scope:
        async with running(**options) as (runner, _):
            runners.append(runner)
            for job_ in jobs:
                runner.start(job_)
            if not at_once:
                await anyio.wait_all_tasks_blocked()
            scope.cancel()
    return runners[0]


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
        async with running() as (runner, published):
            runner.start(job(function_call(1), fine))
            assert (runner.knows(function_call(1)), runner.knows(function_call(2))) == (True, False)
            with pytest.raises(LocalProtocolError, match="function_call 'call_1' was already started or answered"):
                runner.start(job(function_call(1), fine))
            await runner.wait()
            assert runner.tool_started
            finished = runner.finished["call_1"]
            assert finished == published[-1]
            assert finished.output == FunctionCallOutput(call_id="call_1", output="fine")
            assert (finished.failed, finished.error, finished.value) == (False, None, 7)
            assert finished.elapsed >= 0
            with pytest.raises(LocalProtocolError, match="was already started or answered"):
                runner.record_answer(function_call(1), ToolOutput("again"))
            # The runner of another response may have the same ids.
            runner.forget_calls()
            runner.start(job(function_call(1), fine))
            await runner.wait()
        assert names(published) == ["ToolStarted", "ToolFinished"] * 2

    run(backend, test)


@both_loops
def test_recorded_answers_need_no_waiting(backend: str) -> None:
    async def test() -> None:
        async with running() as (runner, _):
            await runner.wait()
            runner.record_answer(function_call(1), ToolOutput("by hand", failed=True))
            runner.record_failure(function_call(2), ToolNotFound("There is none."))
            runner.record_answer(approval_request(3), Approval(approve=True))
            await runner.wait()
            assert not runner.tool_started
            assert [(event.failed, event.error is not None) for event in runner.finished.values()] == [
                (True, False),
                (True, True),
                (False, False),
            ]
            assert runner.finished["mcpr_3"].output == McpApprovalResponse(approval_request_id="mcpr_3", approve=True)

    run(backend, test)


@both_loops
def test_an_unsuitable_answer_leaves_the_call_unknown(backend: str) -> None:
    async def test() -> None:
        async with running() as (runner, published):
            with pytest.raises(UsageError, match="an approved function_call must be executed"):
                runner.record_answer(function_call(1), Approval(approve=True))
            assert not runner.knows(function_call(1))
            assert published == []

    run(backend, test)


@both_loops
def test_with_on_error_raise_the_first_failure_cancels_the_other_calls(backend: str) -> None:
    async def test() -> None:
        async with running(on_error="raise", concurrency=2) as (runner, published):
            for number, work in enumerate((endless, broken, fine), 1):
                runner.start(job(function_call(number), work))
            await runner.wait()
            assert isinstance(runner.failure, ToolError)
            assert isinstance(runner.failure.__cause__, ValueError)
            assert runner.failure.call == function_call(2)
            assert set(runner.finished) == {"call_1", "call_2"}
            assert not runner.knows(function_call(3))
            assert published.count("failure") == 1

    run(backend, test)


@both_loops
def test_cancel_answers_running_calls_and_drops_queued_ones(backend: str) -> None:
    async def test() -> None:
        async with running(concurrency=1) as (runner, published):
            runner.start(job(function_call(1), endless))
            runner.start(job(function_call(2), fine))
            await anyio.wait_all_tasks_blocked()
            runner.cancel()
            await runner.wait()
            assert "was cancelled" in str(runner.finished["call_1"].output)
            assert list(runner.finished) == ["call_1"]
            assert isinstance(runner.finished["call_1"].error, ToolError)
        assert names(published) == ["ToolStarted", "ToolFinished"]

    run(backend, test)


@both_loops
def test_cancelling_the_task_group_leaves_an_answer_for_each_started_call(backend: str) -> None:
    async def test() -> None:
        runner = await cancelled(*(job(function_call(number), endless) for number in (1, 2, 3)), concurrency=2)
        assert set(runner.finished) == {"call_1", "call_2"}

    run(backend, test)


@both_loops
def test_a_tool_that_is_cancelled_before_its_first_step_does_nothing(backend: str) -> None:
    touched: list[str] = []

    async def touch(_: ToolContext) -> ToolOutput:
        touched.append("touched")
        return ToolOutput("")

    async def test() -> None:
        runner = await cancelled(job(function_call(1), touch), at_once=True)
        assert touched == []
        assert "was cancelled" in str(runner.finished["call_1"].output)

    run(backend, test)


@both_loops
def test_approvals_are_asked_one_at_a_time(backend: str) -> None:
    order: list[str] = []

    async def ask(context: ToolContext) -> Approval | None:
        order.append(f"asked {context.call.id}")
        await anyio.lowlevel.checkpoint()
        order.append(f"answered {context.call.id}")
        return None if context.call.id == "mcpr_2" else Approval(approve=True)

    async def test() -> None:
        async with running(concurrency=1) as (runner, published):
            runner.start(job(function_call(9), endless))
            for number in (1, 2, 3):
                runner.start(job(approval_request(number), ask, kind=JobKind.APPROVAL))
            await anyio.wait_all_tasks_blocked()
            assert [event.call.id for event in published if isinstance(event, ToolFinished)] == ["mcpr_1", "mcpr_3"]
            assert not runner.knows(approval_request(2))  # it was not answered
            runner.cancel()
        assert order == [f"{what} mcpr_{number}" for number in (1, 2, 3) for what in ("asked", "answered")]

    run(backend, test)


@both_loops
def test_a_cancelled_approval_has_no_answer(backend: str) -> None:
    async def test() -> None:
        async with running() as (runner, _):
            runner.start(job(approval_request(1), endless, kind=JobKind.APPROVAL))
            await anyio.wait_all_tasks_blocked()
            runner.cancel()
            await runner.wait()
            assert runner.finished == {}
            assert not runner.knows(approval_request(1))
            assert not runner.tool_started

    run(backend, test)


@both_loops
def test_the_context_of_a_finished_call_is_cancelled(backend: str) -> None:
    contexts: list[ToolContext] = []

    async def keep(context: ToolContext) -> ToolOutput:
        contexts.append(context)
        context.progress("now")
        return ToolOutput("")

    async def test() -> None:
        async with running() as (runner, published):
            runner.start(job(function_call(1), keep, timeout=60))
            await runner.wait()
            contexts[0].progress("too late")
        assert contexts[0].cancelled
        assert contexts[0].timeout == 60
        assert names(published) == ["ToolStarted", "ToolProgress", "ToolFinished"]

    run(backend, test)


@both_loops
def test_an_error_during_the_cleanup_of_a_cancelled_tool_is_contained(backend: str) -> None:
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
        runner = await cancelled(job(function_call(1), with_a_group))
        assert set(runner.finished) == {"call_1"}

    run(backend, test)


@both_loops
def test_the_model_reads_the_single_error_of_a_group(backend: str) -> None:
    async def with_a_group(context: ToolContext) -> ToolOutput:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(broken, context)
        return ToolOutput("never")

    async def test() -> None:
        async with running() as (runner, _):
            runner.start(job(function_call(1), with_a_group))
            await runner.wait()
        assert "The tool failed: ValueError: it broke" in str(runner.finished["call_1"].output)

    run(backend, test)
