"""Executes calls concurrently, each once and within its timeout, and records exactly one answer for each.

:class:`ToolRunner` starts a task per call, up to a number of tasks at a time; later calls wait in order. The call
gets one answer, also if the task ends with an exception, a timeout or cancellation. The only exception is a request for
approval that the caller did not decide: it stays unanswered, and can be asked again.
"""

from __future__ import annotations

import contextlib
import enum
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import attrs

from ..exceptions import DeadlineExceeded, LimitExceeded, LocalProtocolError, ResponsesProtoError, ToolError
from .events import ToolFinished, ToolProgress, ToolStarted
from .executors import ToolContext
from .output import Approval, ToolOutput, call_key, output_item

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from ..limits import Limits
    from ..models.response import PendingCall
    from .events import ToolEvent
    from .executors import ProgressReport

__all__ = ["Job", "JobKind", "OnError", "ToolRunner"]

OnError: TypeAlias = Literal["tell_model", "raise"]
"""What happens if a call fails. ``tell_model``: the answer says why. ``raise``: the run also ends with the error."""

_NO_OUTPUT: Final = "The tool gave no output: an executor must return a ToolOutput."
_CANCELLED: Final = "The call was cancelled. It may have done a part of its work."
_MAX_ERROR_CHARS: Final = 4096  # of an exception's text in an answer


class JobKind(enum.Enum):
    """Who answers a call."""

    TOOL = "tool"
    """A tool. It may have effects, so its call is answered even if it is cancelled."""
    APPROVAL = "approval"
    """The caller. Questions to the caller are asked one at a time."""


@attrs.frozen(kw_only=True)
class Job:
    """A call, and the function that answers it."""

    call: PendingCall
    work: Callable[[ToolContext], Awaitable[ToolOutput | Approval | None]]
    """Returns the answer. ``None`` leaves an approval request without an answer; from a tool it is an error."""
    response_id: str
    turn: int
    """The number of the turn, from 1."""
    kind: JobKind = JobKind.TOOL
    timeout: float | None = None
    """Seconds that the call may take; ``None`` for no bound."""

    @property
    def key(self) -> str:
        return call_key(self.call)


@attrs.define
class _Lane:
    """The free places for jobs of one kind, and the jobs that wait for a place."""

    free: int
    queue: deque[Job] = attrs.field(factory=deque[Job])


class ToolRunner:
    """The calls of one run.

    :meth:`start` each call, or record its answer; then :meth:`wait`. The answers are in :attr:`finished`.

    ``tasks``: where the calls are executed. ``publish``: called with each event. ``concurrency``: the number of tools
    that may run at a time. ``on_failure``: called, with ``on_error="raise"``, when a call failed and :attr:`failure` is
    set.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        publish: Callable[[ToolEvent], None],
        *,
        concurrency: int,
        on_error: OnError,
        limits: Limits,
        on_failure: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._publish = publish
        self._lanes = {JobKind.TOOL: _Lane(concurrency), JobKind.APPROVAL: _Lane(1)}
        self._on_error = on_error
        self._limits = limits
        self._on_failure = on_failure
        self._running: dict[str, anyio.CancelScope] = {}
        self._known: set[str] = set()
        self._idle = anyio.Event()
        self._idle.set()
        self._stopping = False
        self._thread = threading.get_ident()
        self.finished: dict[str, ToolFinished] = {}
        """The answered calls of the current response, by :func:`~.output.call_key`."""
        self.tool_started = False
        """Whether any tool was ever started. What it did cannot be undone."""
        self.failure: ToolError | None = None
        """The error that the run should end with."""

    def forget_calls(self) -> None:
        """Forget all calls. The next response may use the same keys."""
        self._known.clear()
        self.finished = {}

    def knows(self, call: PendingCall) -> bool:
        """Return whether a call was started or answered."""
        return call_key(call) in self._known

    def start(self, job: Job) -> None:
        """Execute a call, as soon as there is a free place.

        Raises ``LocalProtocolError`` if it was already started or answered.
        """
        self._add_known(job.call)
        if self._idle.is_set():
            self._idle = anyio.Event()
        lane = self._lanes[job.kind]
        if lane.free <= 0:
            lane.queue.append(job)
        else:
            self._start_task(lane, job)

    def record_answer(self, call: PendingCall, answer: ToolOutput | Approval) -> None:
        """Answer a call without executing it. Raises as :meth:`start` does, and what ``output_item`` raises."""
        item = output_item(call, answer, limits=self._limits)
        self._add_known(call)
        failed = isinstance(answer, ToolOutput) and answer.failed
        self._finish(ToolFinished(call, item, failed=failed))

    def record_failure(self, call: PendingCall, error: Exception) -> None:
        """Answer a call with an error without executing it. Raises as :meth:`start` does."""
        self._add_known(call)
        self._record(call, None, error)

    @property
    def idle(self) -> bool:
        """Whether no call is running or queued."""
        return self._idle.is_set()

    async def wait(self) -> None:
        """Wait until no call is running or queued."""
        await self._idle.wait()

    def cancel(self) -> None:
        """Cancel the running calls and drop the queued ones."""
        self.stop()
        for scope in self._running.values():
            scope.cancel()

    def stop(self) -> None:
        """Drop the queued calls. Running calls continue."""
        self._stopping = True
        for lane in self._lanes.values():
            self._known.difference_update(job.key for job in lane.queue)
            lane.queue.clear()
        self._update_idle()

    # Inside

    def _add_known(self, call: PendingCall) -> None:
        key = call_key(call)
        if key in self._known:
            raise LocalProtocolError(f"{call.type} {key!r} was already started or answered")
        self._known.add(key)

    def _start_task(self, lane: _Lane, job: Job) -> None:
        lane.free -= 1
        if job.kind is JobKind.TOOL:
            self.tool_started = True
            self._publish(ToolStarted(job.call))
        # Created here, so that `cancel` reaches a task that has not taken its first step.
        self._running[job.key] = anyio.CancelScope()
        self._tasks.start_soon(self._execute, job)

    async def _execute(self, job: Job) -> None:
        scope = self._running[job.key]
        scope.deadline = anyio.current_time() + (math.inf if job.timeout is None else job.timeout)
        context = ToolContext(
            job.call,
            response_id=job.response_id,
            turn=job.turn,
            timeout=job.timeout,
            on_progress=lambda progress: self._report_progress(job.call, progress),
        )
        started = time.monotonic()
        answer: ToolOutput | Approval | None = None
        # The answer of a tool that is cancelled. A question that is cancelled has no answer and can be asked again.
        error: Exception | None = ToolError(_CANCELLED, call=job.call) if job.kind is JobKind.TOOL else None
        try:
            with scope:
                await anyio.lowlevel.checkpoint_if_cancelled()  # before the tool can have effects
                answer = await job.work(context)
                missing = answer is None and job.kind is JobKind.TOOL
                error = ToolError(_NO_OUTPUT, call=job.call) if missing else None
            if scope.cancelled_caught and not self._stopping and job.timeout is not None:
                error = DeadlineExceeded("tool", time.monotonic() - started, limit=job.timeout)
        except Exception as raised:  # noqa: BLE001 - any exception of a tool becomes its answer
            error = raised
        except (anyio.get_cancelled_exc_class(), BaseExceptionGroup) as raised:
            if not _is_cancellation(raised):
                raise
            # Not raised again: the task ends here in any case, after recording the answer. If no scope around it was
            # cancelled, the tool raised the cancellation itself, and the other tools continue.
            if anyio.current_effective_deadline() == -math.inf:
                self.stop()
        finally:
            context.cancelled = True
            self._record(job.call, answer, error, elapsed=time.monotonic() - started)
            self._free_place(job)

    def _free_place(self, job: Job) -> None:
        del self._running[job.key]
        lane = self._lanes[job.kind]
        lane.free += 1
        if lane.queue:
            self._start_task(lane, lane.queue.popleft())
        self._update_idle()

    def _update_idle(self) -> None:
        if not self._running and not any(lane.queue for lane in self._lanes.values()):
            self._idle.set()

    def _record(
        self,
        call: PendingCall,
        answer: ToolOutput | Approval | None,
        error: Exception | None,
        *,
        elapsed: float = 0.0,
    ) -> None:
        if answer is None and error is None:
            self._known.discard(call_key(call))
            return
        item = None
        if error is None:
            try:
                item = output_item(call, cast("ToolOutput | Approval", answer), limits=self._limits)
            except ResponsesProtoError as unsuitable:
                error = unsuitable
        if item is None:
            item = output_item(call, ToolOutput(_error_text(cast("Exception", error)), failed=True))
        output = answer if isinstance(answer, ToolOutput) else None
        self._finish(
            ToolFinished(
                call,
                item,
                failed=error is not None or (output is not None and output.failed),
                error=error,
                value=output.value if output is not None else None,
                elapsed=elapsed,
            )
        )

    def _finish(self, finished: ToolFinished) -> None:
        self.finished[call_key(finished.call)] = finished
        self._publish(finished)
        if finished.error is not None and self._on_error == "raise" and not self._stopping:
            self.failure = _tool_error(finished.call, finished.error)
            self.cancel()
            self._on_failure()

    def _report_progress(self, call: PendingCall, progress: ProgressReport) -> None:
        event = ToolProgress(call, progress.message, progress.done, progress.total)
        if threading.get_ident() == self._thread:
            self._publish(event)
            return
        with contextlib.suppress(RuntimeError):  # from an abandoned thread that outlived the event loop
            anyio.from_thread.run_sync(self._publish, event)


def _is_cancellation(raised: BaseException) -> bool:
    """Return whether this is a cancellation, alone or, from a task group of the tool, in a group."""
    kinds = (Exception, anyio.get_cancelled_exc_class())
    group: Any = raised
    return isinstance(raised, kinds) or (isinstance(raised, BaseExceptionGroup) and group.split(kinds)[1] is None)


def _error_text(error: Exception) -> str:
    """Return the text that tells the model why a call failed."""
    inner: tuple[Exception, ...] = (error,)
    while len(inner) == 1:  # a group with one error, from a task group of the tool
        error = inner[0]
        inner = getattr(error, "exceptions", ())
    if isinstance(error, LimitExceeded):
        text = f"The output is too large: {error.value} bytes, the maximum is {error.maximum}. Ask for less."
    elif isinstance(error, DeadlineExceeded):
        text = f"The tool took too long and was stopped after {error.elapsed:.3g} seconds."
    elif isinstance(error, ToolError):
        text = str(error)
    else:
        text = f"The tool failed: {type(error).__name__}: {error}".rstrip(": ")
    return text[:_MAX_ERROR_CHARS].encode("utf-8", "replace").decode()  # an exception may quote lone surrogates


def _tool_error(call: PendingCall, error: Exception) -> ToolError:
    if isinstance(error, ToolError):
        error.call = error.call or call
        return error
    name = getattr(call, "name", call.type)
    failed = ToolError(f"{name} failed: {type(error).__name__}: {error}", call=call)
    failed.__cause__ = error
    return failed
