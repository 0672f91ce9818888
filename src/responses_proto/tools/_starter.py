"""Decides how a call is answered: by which executor, after which approval, or with an error."""

from __future__ import annotations

import functools
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..exceptions import ApprovalRequired, ToolNotFound, UsageError
from ..models.items import McpApprovalRequest
from ._runner import Job, JobKind
from .events import ApprovalRequested
from .executors import call_function
from .output import Approval

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models.response import PendingCall
    from ._runner import ToolRunner
    from ._toolbox import Toolbox
    from .events import RunEvent
    from .executors import ToolContext, ToolExecutor
    from .loop import ToolLoop

Approve: TypeAlias = "Callable[[PendingCall], Approval | bool | Awaitable[Approval | bool | None] | None]"
"""Decides whether a call that needs approval may be executed: a ``McpApprovalRequest`` of a remote MCP server, or a call of a
tool whose ``needs_approval`` requires it. ``None`` leaves the call pending for the caller."""


class CallStarter:
    """Starts the calls of one run.

    ``in_response``: returns whether the response that contains the call is still incomplete. ``where``: returns the id of that
    response and the number of its turn.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        loop: ToolLoop,
        runner: ToolRunner,
        *,
        approve: Approve | None,
        tool_timeout: float | None,
        publish: Callable[[RunEvent], None],
        in_response: Callable[[], bool],
        where: Callable[[], tuple[str, int]],
    ) -> None:
        self._toolbox = toolbox
        self._loop = loop
        self._runner = runner
        self._approve = approve
        self._tool_timeout = tool_timeout
        self._publish = publish
        self._in_response = in_response
        self._where = where

    def start(self, call: PendingCall) -> bool:
        """Begin to answer a call. Return whether the run can answer it."""
        if isinstance(call, McpApprovalRequest):
            self._start_approval(call, None)
            return True
        executor = self._toolbox.executor_of(call)
        if executor is not None:
            self._check(call, executor)
            return True
        if not self._toolbox.offers(call, self._loop.tools):
            self._runner.record_failure(
                call, ToolNotFound(f"There is no tool {getattr(call, 'name', '')!r}.", call=call)
            )
            return True
        return False

    def start_early(self, call: PendingCall) -> None:
        """Execute a call of a response that is not complete, if it needs no approval. Others wait for the end."""
        executor = None if isinstance(call, McpApprovalRequest) else self._toolbox.executor_of(call)
        if executor is not None:
            self._check(call, executor)

    def execute(self, call: PendingCall) -> bool:
        """Execute a call that is approved. Return whether an executor handles it."""
        executor = self._toolbox.executor_of(call)
        if executor is not None:
            self._runner.start(self._execution(call, executor))
        return executor is not None

    # Whether an approval is needed

    def _check(self, call: PendingCall, executor: ToolExecutor) -> None:
        needs_approval: Any = getattr(executor, "needs_approval", None)
        needed = needs_approval(call) if needs_approval is not None else False
        if isinstance(needed, Awaitable):
            work = functools.partial(self._await_check, call, executor, cast("Awaitable[object]", needed))
            self._runner.start(self._job(call, work, JobKind.CHECK))
        elif not _is_needed(needed):
            self._runner.start(self._execution(call, executor))
        elif not self._in_response():
            self._start_approval(call, executor)

    async def _await_check(
        self, call: PendingCall, executor: ToolExecutor, needed: Awaitable[object], _context: ToolContext
    ) -> Approval | Job | ApprovalRequired | None:
        if not _is_needed(await needed):
            return self._execution(call, executor)
        return None if self._in_response() else self._decided(call, executor) or self._question(call, executor)

    # Approvals

    def _start_approval(self, call: PendingCall, executor: ToolExecutor | None) -> None:
        next_step = self._decided(call, executor) or self._question(call, executor)
        if isinstance(next_step, Job):
            self._runner.start(next_step)
        elif isinstance(next_step, Approval):
            self._runner.record_answer(call, next_step)
        else:
            self._runner.record_failure(call, next_step)

    def _decided(self, call: PendingCall, executor: ToolExecutor | None) -> Approval | Job | None:
        """Return the answer or job that follows from an earlier decision; ``None`` if there is none."""
        approval = self._loop.approval_of(call, tools=self._toolbox.offered)
        return None if approval is None else self._follow(approval, call, executor)

    def _follow(self, approval: Approval, call: PendingCall, executor: ToolExecutor | None) -> Approval | Job:
        return self._execution(call, executor) if executor is not None and approval.approve else approval

    def _question(self, call: PendingCall, executor: ToolExecutor | None) -> Job | ApprovalRequired:
        if self._approve is None:
            return ApprovalRequired("The call was not approved: no one is available to approve it.", call=call)
        return self._job(call, functools.partial(self._ask, call, executor), JobKind.APPROVAL)

    async def _ask(
        self, call: PendingCall, executor: ToolExecutor | None, _context: ToolContext
    ) -> Approval | Job | None:
        # Questions are asked one at a time, so an earlier answer may apply to this call too.
        decided = self._decided(call, executor)
        if decided is not None:
            return decided
        self._publish(ApprovalRequested(call))
        answer: object = await call_function(cast("Approve", self._approve), call)
        if answer is None:
            return None
        approval = Approval(answer) if isinstance(answer, bool) else answer
        if not isinstance(approval, Approval):
            raise UsageError(f"approve must return an Approval, a bool or None, got {type(answer).__name__}")
        self._loop.remember(call, approval, tools=self._toolbox.offered)
        return self._follow(approval, call, executor)

    # Jobs

    def _execution(self, call: PendingCall, executor: ToolExecutor) -> Job:
        timeout: float | None = getattr(executor, "timeout", None)
        return self._job(
            call,
            functools.partial(executor.execute, call),
            JobKind.TOOL,
            timeout=self._tool_timeout if timeout is None else timeout,
        )

    def _job(
        self,
        call: PendingCall,
        work: Callable[[ToolContext[Any]], Awaitable[Any]],
        kind: JobKind,
        *,
        timeout: float | None = None,
    ) -> Job:
        response_id, turn = self._where()
        return Job(call=call, work=work, response_id=response_id, turn=turn, timeout=timeout, kind=kind)


def _is_needed(needed: object) -> bool:
    if not isinstance(needed, bool):
        raise UsageError(f"needs_approval must return a bool, got {type(needed).__name__}")
    return needed
