"""CallStarter: which step follows for a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from tests.support import both_loops, run
from tests.tool_runs import approval_request, function_call, names, work

from responses_proto import CreateResponse, Limits
from responses_proto.exceptions import ApprovalRequired, ToolNotFound
from responses_proto.models.tools import FunctionTool
from responses_proto.tools import ToolLoop, function_tool
from responses_proto.tools._runner import ToolRunner
from responses_proto.tools._starter import CallStarter
from responses_proto.tools._toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.models.response import PendingCall


@function_tool(needs_approval=True)
async def guarded(n: int) -> str:
    """Need an approval."""
    await anyio.lowlevel.checkpoint()
    return f"guarded {n}"


def constantly(answer: object) -> Callable[[PendingCall], Any]:
    return lambda _: answer


def broken(_: PendingCall) -> bool:
    raise LookupError("nobody is there")


async def started(*calls: PendingCall, early: bool = False, approve: Any = None) -> tuple[list[bool], list[Any]]:
    """Start calls. Return whether each can be answered, and the published events."""
    published: list[Any] = []
    request = CreateResponse(model="m", tools=[FunctionTool(name="own")])
    answerable: list[bool] = []
    box = Toolbox([work, guarded])
    box.request_with_tools(request)
    async with anyio.create_task_group() as tasks:
        runner = ToolRunner(
            tasks,
            published.append,
            concurrency=2,
            on_error="tell_model",
            limits=Limits(),
            on_failure=lambda: published.append("failure"),
        )
        starter = CallStarter(
            box,
            ToolLoop(request),
            runner,
            approve=approve,
            tool_timeout=None,
            publish=published.append,
            in_response=lambda: early,
            where=lambda: ("resp_1", 1),
        )
        if early:
            for call in calls:
                starter.start_early(call)
            answerable = [runner.knows(call) for call in calls]
        else:
            answerable = [starter.start(call) for call in calls]
        await runner.wait()
    return answerable, published


@both_loops
@pytest.mark.parametrize(
    ("call", "approve", "answerable", "steps", "error"),
    [
        (function_call(), None, True, ["ToolStarted", "ToolFinished"], None),
        (function_call(name="own"), None, False, [], None),
        (function_call(name="invented"), None, True, ["ToolFinished"], ToolNotFound),
        (function_call(name="guarded"), None, True, ["ToolFinished"], ApprovalRequired),
        (function_call(name="guarded"), constantly(answer=False), True, ["ApprovalRequested", "ToolFinished"], None),
        (
            function_call(name="guarded"),
            constantly(answer=True),
            True,
            ["ApprovalRequested", "ToolStarted", "ToolFinished"],
            None,
        ),
        (function_call(name="guarded"), constantly(answer=None), True, ["ApprovalRequested"], None),
        (approval_request(), None, True, ["ToolFinished"], ApprovalRequired),
        (approval_request(), constantly(answer=True), True, ["ApprovalRequested", "ToolFinished"], None),
        (function_call(name="guarded"), broken, True, ["ApprovalRequested", "str"], None),
    ],
)
def test_the_steps_for_a_call(
    backend: str, call: Any, approve: Any, answerable: bool, steps: list[str], error: type[Exception] | None
) -> None:
    async def test() -> None:
        found, published = await started(call, approve=approve)
        assert (found, names(published)) == ([answerable], steps)
        if error is not None:
            assert isinstance(published[-1].error, error)

    run(backend, test)


@both_loops
def test_early_only_calls_that_need_no_approval_are_started(backend: str) -> None:
    async def test() -> None:
        calls: list[Any] = [
            function_call(1),
            function_call(2, name="guarded"),
            approval_request(3),
            function_call(4, name="own"),
        ]
        found, published = await started(*calls, early=True, approve=constantly(answer=True))
        assert found == [True, False, False, False]
        assert names(published) == ["ToolStarted", "ToolFinished"]

    run(backend, test)
