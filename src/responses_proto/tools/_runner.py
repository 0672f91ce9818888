"""Executes calls: so many at a time, each once and within its time, with exactly one answer each, whatever becomes of it."""

from __future__ import annotations

import contextlib
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
    from .executors import ProgressReporter

__all__ = ["Job", "OnError", "ToolRunner"]

OnError: TypeAlias = Literal["tell_model", "raise"]
"""What becomes of a call that failed: the model is told why, or the run ends with the error."""

_NOTHING: Final = "The tool gave no output: an executor has to return a ToolOutput."
_CANCELLED: Final = "The call was cancelled. It may have done a part of its work."
_SHOWN: Final = 4096  # characters of an error that the model is told


@attrs.frozen(kw_only=True)
class Job:
    """A call, and what is done for it."""

    call: PendingCall
    work: Callable[[ToolContext], Awaitable[ToolOutput | Approval | None]]
    """``None`` leaves the call without an answer."""
    response_id: str
    turn: int
    timeout: float | None = None
    is_tool: bool = True
    """Whether it has effects; else it is a question, and questions are put one after the other."""

    @property
    def key(self) -> str:
        return call_key(self.call)


@attrs.define
class _Lane:
    """Places, and who waits for one."""

    free: int
    queue: deque[Job] = attrs.field(factory=deque[Job])


class ToolRunner:
    """The calls of one run. Verbs: :meth:`start` or :meth:`settle` each, then :meth:`wait`; the answers are in :attr:`finished`.

    ``tell`` is told what happens, ``on_failure`` that the run is to end, because of :attr:`failure`.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        tell: Callable[[ToolEvent], None],
        *,
        concurrency: int,
        on_error: OnError,
        limits: Limits,
        on_failure: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._tell = tell
        self._lanes = {True: _Lane(concurrency), False: _Lane(1)}  # of tools, and of questions
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
        """By the key of the call."""
        self.began = False
        """Whether a tool has begun, ever: what it did cannot be undone."""
        self.failure: ToolError | None = None
        """Why the run is to end."""

    def forget(self) -> None:
        """Begin anew, for the calls of another response, whose keys may be the same."""
        self._known.clear()
        self.finished = {}

    def knows(self, call: PendingCall) -> bool:
        """Tell whether a call was started or settled."""
        return call_key(call) in self._known

    def start(self, job: Job) -> None:
        """Begin with a call, as soon as there is a place. Raises ``LocalProtocolError`` for one that is known already."""
        self._learn(job.call)
        if self._idle.is_set():
            self._idle = anyio.Event()
        lane = self._lanes[job.is_tool]
        if lane.free <= 0:
            lane.queue.append(job)
        else:
            self._begin(lane, job)

    def settle(self, call: PendingCall, given: ToolOutput | Approval | Exception) -> None:
        """Answer a call without executing anything. Raises as :meth:`start` does, and for what cannot answer the call."""
        if isinstance(given, Exception):
            self._learn(call)
            self._end(call, None, given)
        else:
            item = output_item(call, given, limits=self._limits)
            self._learn(call)
            failed = isinstance(given, ToolOutput) and given.failed
            self._tell_finished(ToolFinished(call, item, failed=failed))

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self._idle.is_set()

    async def wait(self) -> None:
        """Wait until nothing is under way."""
        await self._idle.wait()

    def cancel(self) -> None:
        """Cancel what is under way; what has not begun will not."""
        self.stop()
        for scope in self._running.values():
            scope.cancel()

    def stop(self) -> None:
        """Begin with nothing that has not begun."""
        self._stopping = True
        for lane in self._lanes.values():
            self._known.difference_update(job.key for job in lane.queue)
            lane.queue.clear()
        self._rest()

    # Inside

    def _learn(self, call: PendingCall) -> None:
        key = call_key(call)
        if key in self._known:
            raise LocalProtocolError(f"the call {key!r} has been started or answered already")
        self._known.add(key)

    def _begin(self, lane: _Lane, job: Job) -> None:
        lane.free -= 1
        if job.is_tool:
            self.began = True
            self._tell(ToolStarted(job.call))
        # Known from here on, so that it can be cancelled before it takes its first step.
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
            on_progress=lambda progress: self._progress(job.call, progress),
        )
        started = time.monotonic()
        given: ToolOutput | Approval | None = None
        # A question that was not answered can be put again; a tool that was at work may have done something.
        error: Exception | None = ToolError(_CANCELLED, call=job.call) if job.is_tool else None
        try:
            with scope:
                await anyio.lowlevel.checkpoint_if_cancelled()  # before anything is done that has effects
                given = await job.work(context)
                error = ToolError(_NOTHING, call=job.call) if given is None and job.is_tool else None
            if scope.cancelled_caught and not self._stopping and job.timeout is not None:
                error = DeadlineExceeded("tool", time.monotonic() - started, limit=job.timeout)
        except Exception as raised:  # noqa: BLE001 - whatever a tool raises, it is the tool's
            error = raised
        except (anyio.get_cancelled_exc_class(), BaseExceptionGroup) as raised:
            if not _is_cancellation(raised):
                raise
            # This task ends here anyway, as who cancels it wants; and its answer has to be there. Where nobody does,
            # the tool has made it up by itself, which is no reason to take the others down.
            if anyio.current_effective_deadline() == -math.inf:
                self.stop()
        finally:
            context.cancelled = True
            self._end(job.call, given, error, elapsed=time.monotonic() - started)
            self._leave(job)

    def _leave(self, job: Job) -> None:
        del self._running[job.key]
        lane = self._lanes[job.is_tool]
        lane.free += 1
        if lane.queue:
            self._begin(lane, lane.queue.popleft())
        self._rest()

    def _rest(self) -> None:
        if not self._running and not any(lane.queue for lane in self._lanes.values()):
            self._idle.set()

    def _end(
        self,
        call: PendingCall,
        given: ToolOutput | Approval | None,
        error: Exception | None,
        *,
        elapsed: float = 0.0,
    ) -> None:
        if given is None and error is None:
            self._known.discard(call_key(call))
            return
        item = None
        if error is None:
            try:
                item = output_item(call, cast("ToolOutput | Approval", given), limits=self._limits)
            except ResponsesProtoError as unfit:
                error = unfit
        if item is None:
            item = output_item(call, ToolOutput(_said(cast("Exception", error)), failed=True))
        output = given if isinstance(given, ToolOutput) else None
        self._tell_finished(
            ToolFinished(
                call,
                item,
                failed=error is not None or (output is not None and output.failed),
                error=error,
                value=output.value if output is not None else None,
                elapsed=elapsed,
            )
        )

    def _tell_finished(self, finished: ToolFinished) -> None:
        self.finished[call_key(finished.call)] = finished
        self._tell(finished)
        if finished.error is not None and self._on_error == "raise" and not self._stopping:
            self.failure = _tool_error(finished.call, finished.error)
            self.cancel()
            self._on_failure()

    def _progress(self, call: PendingCall, progress: ProgressReporter) -> None:
        event = ToolProgress(call, progress.message, progress.done, progress.total)
        if threading.get_ident() == self._thread:
            self._tell(event)
            return
        with contextlib.suppress(RuntimeError):  # of a thread that was left behind, after its event loop is gone
            anyio.from_thread.run_sync(self._tell, event)


def _is_cancellation(raised: BaseException) -> bool:
    """Tell whether what a tool was left with is cancellation, or what its own task group made of that."""
    kinds = (Exception, anyio.get_cancelled_exc_class())
    grouped: Any = raised
    return isinstance(raised, kinds) or (isinstance(raised, BaseExceptionGroup) and grouped.split(kinds)[1] is None)


def _said(error: Exception) -> str:
    """Put into words for the model why a call failed."""
    inner: tuple[Exception, ...] = (error,)
    while len(inner) == 1:  # of a tool that has a task group
        error = inner[0]
        inner = getattr(error, "exceptions", ())
    if isinstance(error, LimitExceeded):
        text = f"The output was too large: {error.value} bytes, and at most {error.maximum} can be taken. Ask for less."
    elif isinstance(error, DeadlineExceeded):
        text = f"The tool took too long, and was stopped after {error.elapsed:.3g} seconds."
    elif isinstance(error, ToolError):
        text = str(error)
    else:
        text = f"The tool failed: {type(error).__name__}: {error}".rstrip(": ")
    return text[:_SHOWN].encode("utf-8", "replace").decode()  # an exception may quote what is no text


def _tool_error(call: PendingCall, error: Exception) -> ToolError:
    if isinstance(error, ToolError):
        error.call = error.call or call
        return error
    name = getattr(call, "name", call.type)
    failed = ToolError(f"{name} failed: {type(error).__name__}: {error}", call=call)
    failed.__cause__ = error
    return failed
