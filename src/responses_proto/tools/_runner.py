"""Executes calls concurrently, each once and within its timeout, and records exactly one answer for each.

:class:`ToolRunner` starts a task per call, up to a maximum number at a time; later calls wait in order. Each call
gets one answer, even if the task ends with an exception, a timeout or cancellation. The only exception is a call whose
approval was not decided: it stays unanswered, and the caller can be asked about it again.
"""

from __future__ import annotations

import contextlib
import enum
import math
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio
import anyio.from_thread
import anyio.lowlevel
import attrs

from ..codec import dump, load
from ..exceptions import DeadlineExceeded, LimitExceeded, LocalProtocolError, ToolError, UsageError
from ..models.items import Item
from .effects import Effect
from .events import ToolFinished, ToolProgress, ToolStarted
from .executors import ToolContext
from .output import Approval, ToolOutput, call_key, output_item

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from anyio.abc import TaskGroup

    from ..limits import Limits
    from ..models.response import PendingCall
    from .effects import OnEffect
    from .events import ToolEvent
    from .executors import ProgressReport

OnError: TypeAlias = Literal["tell_model", "raise"]
"""What to do if a call fails. ``tell_model``: send the error as the answer. ``raise``: also end the run with the error."""

_NO_OUTPUT: Final = "The tool gave no output: an executor must return a ToolOutput."
_CANCELLED: Final = "The call was cancelled. It may have done part of its work."
_MAX_ERROR_CHARS: Final = 4096  # of an exception's text in an answer


class JobKind(enum.Enum):
    """The kind of work for a call."""

    TOOL = "tool"
    """Execute it. That may have effects, so the call is answered even if it is cancelled."""
    APPROVAL = "approval"
    """Ask the caller about it, about one call at a time."""
    CHECK = "check"
    """Find out whether the call needs approval."""


@attrs.frozen(kw_only=True)
class Job:
    """A call, and the function that answers it."""

    call: PendingCall
    work: Callable[[ToolContext[Any]], Awaitable[ToolOutput | Approval | ToolError | Job | None]]
    """Returns the answer, or the next job for the call. ``None`` leaves the call without an answer; from a tool it is an
    error. An exception of a tool becomes the answer; any other exception ends the run."""
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

    ``tasks``: the task group for the calls. ``publish``: called with each event. ``concurrency``: the number of tools
    that may run at a time. ``on_failure``: called when :attr:`failure` is set. ``deps``: for ``ToolContext.deps``.
    ``on_effect``: called for each tool, instead of executing it.
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
        deps: object = None,
        on_effect: OnEffect | None = None,
    ) -> None:
        self._tasks = tasks
        self._publish = publish
        self._lanes = {
            JobKind.TOOL: _Lane(concurrency),
            JobKind.APPROVAL: _Lane(1),
            JobKind.CHECK: _Lane(sys.maxsize),
        }
        self._on_error = on_error
        self._limits = limits
        self._on_failure = on_failure
        self._deps = deps
        self._on_effect = on_effect
        self._running: dict[str, anyio.CancelScope] = {}
        self._unperformed: set[str] = set()  # calls for which `on_effect` raised
        self._known: set[str] = set()
        self._idle = anyio.Event()
        self._idle.set()
        self._stopping = False
        self._thread = threading.get_ident()
        self.finished: dict[str, ToolFinished] = {}
        """The answered calls of the current response, by :func:`~.output.call_key`."""
        self.tool_started = False
        """Whether any tool was ever started, so that the run may have had effects."""
        self.failure: Exception | None = None
        """The error that the run should end with."""

    def forget_calls(self) -> None:
        """Forget all calls. The next response may use the same keys."""
        self._known.clear()
        self._unperformed.clear()
        self.finished = {}

    def knows(self, call: PendingCall) -> bool:
        """Return whether a call was started or answered."""
        return call_key(call) in self._known

    def start(self, job: Job) -> None:
        """Execute a call, as soon as there is a free place.

        Raises ``LocalProtocolError`` if it was already started or answered.
        """
        self._add_known(job.call)
        self._add_job(job)

    def _add_job(self, job: Job) -> None:
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
        self._finish(ToolFinished(call, item, failed=_is_failure(answer)))

    def record_failure(self, call: PendingCall, error: Exception) -> None:
        """Answer a call with an error without executing it. Raises as :meth:`start` does."""
        self._add_known(call)
        self._finish(self._finished(call, None, error))

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
        context = ToolContext(
            job.call,
            response_id=job.response_id,
            turn=job.turn,
            timeout=job.timeout,
            on_progress=lambda progress: self._report_progress(job.call, progress),
            deps=self._deps,
        )
        executed: list[ToolFinished] = []  # kept if the task is cancelled after the execution
        result: ToolFinished | Job | None = None
        try:
            with self._running[job.key]:
                if job.kind is not JobKind.CHECK:  # a check holds a coroutine that must be awaited, and has no effects
                    await anyio.lowlevel.checkpoint_if_cancelled()
                if job.kind is JobKind.TOOL and self._on_effect is not None:
                    result = await self._execute_as_effect(job, context, self._on_effect, executed)
                elif job.kind is JobKind.TOOL:
                    result = await self._execute_tool(job, context)
                else:
                    result = await self._ask(job, context)
        except (anyio.get_cancelled_exc_class(), BaseExceptionGroup) as raised:
            if not _is_cancellation(raised):
                raise
            # Not raised again: the task ends here in any case, after recording the answer. If no scope around it was
            # cancelled, the tool raised the cancellation itself, and the other tools continue.
            if anyio.current_effective_deadline() == -math.inf:
                self.stop()
        finally:
            context.cancelled = True
            if result is None and executed:
                result = executed[-1]
            elif result is None and job.kind is JobKind.TOOL and job.key not in self._unperformed:
                # A question that is cancelled has no answer and can be asked again.
                result = self._finished(job.call, None, ToolError(_CANCELLED, call=job.call))
            self._end_job(job, result)
        # A tool may have cancelled its own task, with the cancellation still pending. Absorb it, or it would also end the other tasks.
        with contextlib.suppress(anyio.get_cancelled_exc_class()):
            await anyio.lowlevel.checkpoint()

    async def _execute_tool(self, job: Job, context: ToolContext[Any]) -> ToolFinished:
        answer: object = None
        error: Exception | None = None
        started = time.monotonic()
        deadline = anyio.current_time() + (math.inf if job.timeout is None else job.timeout)
        try:
            with anyio.CancelScope(deadline=deadline) as scope:
                answer = await job.work(context)
                if answer is None:
                    error = ToolError(_NO_OUTPUT, call=job.call)
            if scope.cancelled_caught:
                error = DeadlineExceeded("tool", time.monotonic() - started, limit=job.timeout)
        except Exception as raised:  # noqa: BLE001 - any exception of a tool becomes its answer
            error = raised
        elapsed = time.monotonic() - started
        return self._finished(job.call, cast("ToolOutput", answer), error, elapsed=elapsed)

    async def _execute_as_effect(
        self, job: Job, context: ToolContext[Any], on_effect: OnEffect, executed: list[ToolFinished]
    ) -> ToolFinished | None:
        async def perform() -> dict[str, Any]:
            executed.append(await self._execute_tool(job, context))
            return _result_of(executed[-1])

        effect = Effect(kind="tool", key=f"tool/{job.turn}/{job.key}", input=dump(job.call))
        try:
            result: Any = await on_effect(effect, perform)
            if executed and result == _result_of(executed[-1]):
                return executed[-1]
            try:
                output = ToolOutput(load(result["output"], Item), failed=bool(result["failed"]))
                return self._finished(job.call, output, None)
            except Exception as error:
                raise UsageError(
                    f"on_effect must return the result of {effect.key}, which is an output, got {result!r:.100}"
                ) from error
        except Exception as error:  # noqa: BLE001 - it ends the run, which raises it
            self._unperformed.add(job.key)
            self.fail(error)
            return None

    async def _ask(self, job: Job, context: ToolContext[Any]) -> ToolFinished | Job | None:
        try:
            answer = await job.work(context)
            if answer is None or isinstance(answer, Job):
                return answer
            error = answer if isinstance(answer, ToolError) else None
            return self._finished(job.call, None if error else cast("Approval", answer), error)
        except Exception as error:  # noqa: BLE001 - it ends the run, which raises it
            self.fail(error)
            return None

    def _end_job(self, job: Job, result: ToolFinished | Job | None) -> None:
        del self._running[job.key]
        lane = self._lanes[job.kind]
        lane.free += 1
        if isinstance(result, ToolFinished):
            self._finish(result)
        elif result is None or self._stopping:
            self._known.discard(job.key)
        else:
            self._add_job(result)
        if lane.queue:
            self._start_task(lane, lane.queue.popleft())
        self._update_idle()

    def _update_idle(self) -> None:
        if not self._running and not any(lane.queue for lane in self._lanes.values()):
            self._idle.set()

    def _finished(
        self,
        call: PendingCall,
        answer: ToolOutput | Approval | None,
        error: Exception | None,
        *,
        elapsed: float = 0.0,
    ) -> ToolFinished:
        """Return the event with the item for an answer, or, if there is an error or no valid answer, for a failure."""
        item = None
        if error is None and answer is not None:
            try:
                item = output_item(call, answer, limits=self._limits)
            except Exception as unsuitable:  # noqa: BLE001 - an executor may return anything, such as a broken object
                error = unsuitable
        if item is None:
            text = _error_text(error or ToolError(_NO_OUTPUT))
            item = output_item(call, ToolOutput(text, failed=True))
        return ToolFinished(
            call,
            item,
            failed=error is not None or _is_failure(answer),
            error=error,
            value=answer.value if isinstance(answer, ToolOutput) else None,
            elapsed=elapsed,
        )

    def _finish(self, finished: ToolFinished) -> None:
        self.finished[call_key(finished.call)] = finished
        self._publish(finished)
        if finished.error is not None and self._on_error == "raise" and not self._stopping:
            self.failure = _tool_error(finished.call, finished.error)
            self.cancel()
            self._on_failure()

    def fail(self, error: Exception) -> None:
        """Set the :attr:`failure` to an error that is not a tool's. Running calls finish; queued ones are dropped."""
        self.failure = self.failure or error
        self.stop()
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


def _is_failure(answer: ToolOutput | Approval | None) -> bool:
    return not answer.approve if isinstance(answer, Approval) else isinstance(answer, ToolOutput) and answer.failed


def _result_of(finished: ToolFinished) -> dict[str, Any]:
    return {"output": dump(finished.output), "failed": finished.failed}


def _members(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group, from a task group of the tool, and in the groups in it; or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for member in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _members(member)
    else:
        yield error


def _error_text(error: Exception) -> str:
    """Return the reason why a call failed, as text for the model."""
    text = "\n".join(dict.fromkeys(map(_member_text, _members(error))))
    return text[:_MAX_ERROR_CHARS].encode("utf-8", "replace").decode()  # an exception may quote lone surrogates


def _member_text(error: BaseException) -> str:
    if isinstance(error, LimitExceeded):
        return f"The output is too large: {error.value} bytes, the maximum is {error.maximum}. Ask for less."
    if isinstance(error, DeadlineExceeded):
        return f"The tool took too long and was stopped after {error.elapsed:.3g} seconds."
    if isinstance(error, ToolError):
        return _message(error)
    return f"The tool failed: {_described(error)}"


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {_message(error)}".rstrip(": ")


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the class is not ours; what it says is lost, and its name is not
        return ""


def _tool_error(call: PendingCall, error: Exception) -> ToolError:
    if isinstance(error, ToolError):
        error.call = error.call or call
        return error
    name = getattr(call, "name", call.type)
    failed = ToolError(f"{name} failed: {_described(error)}", call=call)
    failed.__cause__ = error
    return failed
