"""Runs an agent: requests responses and executes the tools that they call, until no call waits.

::

    async with client.run(model=..., input=..., tools=[get_weather, McpTool(...)]) as run:
        async for event in run:
            match event:
                case OutputTextDelta(delta=text): ...
                case ToolFinished(call, output): ...
        result = await run.result()

A :class:`Run` joins three parts that can also be used alone. A :class:`~responses_proto.tools.ToolLoop` decides what is
requested and which calls wait; an ``EventStream`` brings each response; executors (:mod:`.executors`) answer the calls.
The run adds the tasks and the order of events:

**Driver.** One task, started by entering the block, repeats a turn: send ``loop.request``, read the stream to its end,
execute the calls in it, put the answers into the loop. It publishes every event to a queue (:mod:`._event_queue`),
which iterating over the run reads. :class:`~._runner.ToolRunner` executes the calls, each in a task of its own and at
most ``concurrency`` at a time. No error reaches the caller as an exception group: an error of a tool becomes the answer
to its call, or, with ``on_error="raise"``, the error of the run.

**Pace.** The driver sends no request and starts no tool of a complete response before the reader has read every earlier
event and waits for another. A reader that stops therefore stops the run, and can pause it or answer calls at any event.
Tools that are already running continue.

**When tools start** (``start``). ``response_done``: when the response is complete. ``item_done``: as soon as the call
is complete, while the response continues; a later failure of the response does not undo what the tool did. ``manual``:
when :meth:`Run.start` is called. A call to a tool that was never offered is answered with an error text. A call to an
offered tool that no executor handles waits for the caller. The calls of the last turn that ``max_turns`` allows are not
executed.

**Approvals.** A request for approval, from a remote MCP server, goes to the ``approve`` callback, one at a time,
because an answer with ``remember`` also holds for later requests. Without a callback it is denied. If the callback
returns ``None``, it waits for the caller.

**End.** A run ends when the loop is over, when calls wait for the caller or :meth:`Run.pause` was called
(``stopped="waiting_for_caller"``), or with an error. Leaving the block, for any reason, closes the stream, cancels the
tools and waits for them; only worker threads are not waited for. The block contains a task group, so enter and leave it
in one task, and do not ``yield`` inside it from an async generator that may not be run to its end.

**What is kept.** Every call that an executor started gets exactly one answer in :attr:`Run.loop`; if it was cancelled,
the answer says so. If the response was cut off, its answered calls are kept with the items that led to them, so
``loop.history`` is always a valid input.
"""

from __future__ import annotations

import contextlib
import enum
import functools
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, TypeVar, cast

import anyio
import attrs

from ..exceptions import (
    ApprovalRequired,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseIncompleteError,
    ResponsesProtoError,
    ToolNotFound,
    UsageError,
)
from ..limits import Limits
from ..models.events import OutputItemDone
from ..models.items import McpApprovalRequest
from ..models.response import PendingCall
from ..protocol.stream import Outcome
from ._event_queue import EventQueue
from ._runner import Job, JobKind, ToolRunner
from ._toolbox import Toolbox
from .events import ApprovalRequested, ToolProgress, TurnFinished, TurnStarted
from .executors import call_function, check_timeout
from .loop import LoopState
from .output import Approval, ToolOutput, call_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from ..client.stream import EventStream
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.response import Response, Usage
    from ..typing import JSONObject
    from ._runner import OnError
    from .events import RunEvent, ToolEvent
    from .executors import ToolContext, Tools
    from .loop import LoopTurn, StopReason, ToolLoop
    from .output import ToolResult

__all__ = ["Approve", "Run", "RunResult", "RunStopReason", "StartPolicy"]

StartPolicy: TypeAlias = Literal["response_done", "item_done", "manual"]
"""When a call is executed: when its response is complete; as soon as the call itself is complete; or when
:meth:`Run.start` is called.

With ``item_done``, what a tool did is not undone if the response fails later."""

RunStopReason: TypeAlias = "StopReason | Literal['waiting_for_caller']"
"""Why a run ended. ``waiting_for_caller``: calls wait for the caller, or the run was paused."""

Approve: TypeAlias = "Callable[[McpApprovalRequest], Approval | bool | Awaitable[Approval | bool | None] | None]"
"""Decides whether a server may call a tool of a remote MCP server. ``None`` leaves the request waiting for the caller.
"""

OpenStream: TypeAlias = "Callable[[CreateResponse | JSONObject], EventStream]"

_E = TypeVar("_E", bound="Exception | None")

_MAX_UNREAD: Final = 1024
"""Unread events from which on progress reports are dropped. Tools may report any number of them without waiting for the
reader."""


class _State(enum.Enum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


@attrs.frozen(kw_only=True)
class RunResult:
    """How a run ended, and everything in it."""

    stopped: RunStopReason
    """Why the run ended."""
    loop: ToolLoop
    """The state of the run as a value. To continue, answer what is :attr:`pending` and pass it to ``client.run``."""
    error: ResponsesProtoError | None = None
    """``ResponseIncompleteError`` if the last response is incomplete, else ``None``."""

    @property
    def response(self) -> Response:
        """The last response. Raises ``LocalProtocolError`` if there was none."""
        response = self.loop.response
        if response is None:
            raise LocalProtocolError("the run ended before the first response")
        return response

    @property
    def output_text(self) -> str:
        """The text of the last response."""
        return self.response.output_text

    @property
    def turns(self) -> tuple[LoopTurn, ...]:
        """The turns, in order: each response with its outcome, its calls and their answers."""
        return tuple(self.loop.turns)

    @property
    def items(self) -> list[Item]:
        """All items, unchanged and in order; see :attr:`ToolLoop.items`."""
        return self.loop.items

    @property
    def history(self) -> list[Item]:
        """All items as the input of a new request; see :attr:`ToolLoop.history`."""
        return self.loop.history

    @property
    def pending(self) -> list[PendingCall]:
        """The calls without an answer, in order."""
        return self.loop.pending

    @property
    def usage(self) -> Usage | None:
        """The tokens of all turns, added up; ``None`` if no response reports any."""
        return self.loop.usage


class Run:
    """An agent's run, made by ``client.run``. Use it in ``async with``, iterate over it, then await :meth:`result`.

    Iterating returns the events of every response and those of the run (:mod:`.events`). As with an ``EventStream``, it
    does not raise if a response fails or is incomplete. It raises if a connection breaks, if a request is refused, and,
    with ``on_error="raise"``, if a tool fails. After a tool was started, every error has ``retry_safety="unsafe"``.

    :attr:`loop` has the state of the run at any time, also after the block was left early. Every call that was started
    has an answer there, and ``loop.history`` is a valid input.

    One task may read at a time. The top of this module explains how a run works.

    ``open_stream``: returns a stream for a request, as ``client.stream`` does. ``loop``: the loop to run; the run
    changes it. The other parameters are those of ``client.run``.
    """

    def __init__(
        self,
        open_stream: OpenStream,
        loop: ToolLoop,
        *,
        tools: Tools = (),
        approve: Approve | None = None,
        start: StartPolicy = "response_done",
        concurrency: int = 16,
        tool_timeout: float | None = None,
        on_error: OnError = "tell_model",
        limits: Limits | None = None,
    ) -> None:
        if concurrency < 1:
            raise UsageError(f"concurrency must be at least 1, got {concurrency!r}")
        check_timeout("tool_timeout", tool_timeout)
        self._open_stream = open_stream
        self.loop: ToolLoop = loop
        """The turns so far."""
        self._toolbox = Toolbox(tools)
        self._approve = approve
        self._start = start
        self._concurrency = concurrency
        self._tool_timeout = tool_timeout
        self._on_error: OnError = on_error
        self._limits = limits or Limits()
        self._state = _State.NEW
        self._stack = contextlib.AsyncExitStack()
        self._stream: EventStream | None = None  # of the turn that is not in the loop yet
        self._done_calls: set[str] = set()  # keys of the calls in that stream whose items are done
        self._pausing = False
        self._stopped: RunStopReason = "waiting_for_caller"
        self._ended = False  # without an error
        self._failure: Exception | None = None

    @property
    def response(self) -> Response | None:
        """The response that is being streamed, as far as it arrived, or the last one; ``None`` before the first."""
        return self._stream.response if self._stream is not None else self.loop.response

    @property
    def pending(self) -> list[PendingCall]:
        """The complete calls that are neither answered nor started, in order."""
        stream = self._stream
        pending = self.loop.pending if stream is None else stream.response.pending_calls
        if stream is not None and (stream.outcome is None or stream.outcome.status != "completed"):
            pending = [call for call in pending if _is_complete(call) and call_key(call) in self._done_calls]
        return [call for call in pending if self._state is _State.NEW or not self._runner.knows(call)]

    # The block

    async def __aenter__(self) -> Self:
        if self._state is not _State.NEW:
            raise LocalProtocolError("a run can be entered only once: call client.run() again")
        async with contextlib.AsyncExitStack() as stack:
            for executor in self._toolbox.executors:
                if hasattr(executor, "__aenter__") and not getattr(executor, "entered", False):
                    await stack.enter_async_context(cast("AbstractAsyncContextManager[object]", executor))
            if self.loop.state == LoopState.ASK:
                self._toolbox.request_with_tools(
                    self.loop.request
                )  # raises for wrong definitions before anything is sent
            self._events: EventQueue[RunEvent] = EventQueue()
            self._reading = anyio.CancelScope()
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
            stack.push_async_exit(self._leave)
            self._runner = ToolRunner(
                self._tasks,
                self._publish,
                concurrency=self._concurrency,
                on_error=self._on_error,
                limits=self._limits,
                on_failure=self._stop_reading,
            )
            self._tasks.start_soon(self._drive)
            self._stack = stack.pop_all()
        self._state = _State.OPEN
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(exc_type, exc, traceback)

    async def _leave(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._state = _State.CLOSED
        self._runner.stop()
        try:
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                return bool(await self._tasks.__aexit__(exc_type, exc, traceback))
            # The task group would wrap the exception of the block in an exception group.
            self._tasks.cancel_scope.cancel()
            await self._tasks.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:  # a tool raised SystemExit or KeyboardInterrupt
                raise group.exceptions[0] from None
            raise
        finally:
            self._events.close()
            self._store_answers()
        return False

    # Reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        self._require_entered()
        event = self._events.get_nowait() or await self._events.get()
        if event is not None and self._state is _State.OPEN:
            return event
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def result(self) -> RunResult:
        """Read to the end of the run and return its result. Events that were not iterated over are dropped.

        There is a result if the run completed, if it stopped at ``max_turns`` or at an incomplete response, and if it
        waits for the caller. After the block, it is still available if the run ended inside.

        Raises ``ResponseFailedError``, ``ResponseCancelledError``, ``APIError`` (after an ``error`` event) or
        ``StreamTruncated`` if the last turn ended so, any error that iterating raises, and ``LocalProtocolError`` if
        the block was left before the run ended.
        """
        self._require_entered()
        while self._state is _State.OPEN and await self._events.get() is not None:
            pass
        if self._failure is not None:
            raise self._failure
        if not self._ended:
            raise LocalProtocolError("the run has no result because its block was left before its end; see run.loop")
        error = self._with_details(self.loop.turns[-1].outcome.exception()) if self.loop.turns else None
        if error is not None and not isinstance(error, ResponseIncompleteError):
            raise error
        return RunResult(stopped=self._stopped, loop=self.loop, error=error)

    # Calls handled by the caller

    def start(self, call: PendingCall) -> None:
        """Execute a :attr:`pending` call now, with the executor that handles it.

        The answer is a later ``ToolFinished``.

        Raises ``LocalProtocolError`` if the call is not pending or the run is over, and ``UsageError`` if no tool of
        the run handles it.
        """
        self._require_pending(call)
        if not self._start_call(call):
            raise UsageError(f"no tool of this run handles {call.type} {call_key(call)!r}: use answer()")

    def answer(self, call: PendingCall, answer: ToolOutput | ToolResult | Approval, /) -> None:
        """Answer a :attr:`pending` call instead of executing it.

        Raises ``LocalProtocolError`` if the call is not pending or the run is over, and what
        :func:`~responses_proto.tools.output_item` raises.
        """
        self._require_pending(call)
        if isinstance(answer, Approval) and isinstance(call, McpApprovalRequest):
            self.loop.remember(call, answer)
        self._runner.record_answer(call, answer if isinstance(answer, ToolOutput | Approval) else ToolOutput(answer))

    def pause(self) -> None:
        """End the run early, without losing anything. Keep reading until the end, then await :meth:`result`.

        The current response is read to its end and running tools finish; no other tool starts and no request is sent.
        To continue later, answer what is :attr:`pending` and call ``client.run(run.loop, ...)``.
        """
        self._pausing = True

    def _require_entered(self) -> None:
        if self._state is _State.NEW:
            raise LocalProtocolError("the run has not been entered: use `async with client.run(...) as run`")

    def _require_pending(self, call: object) -> None:
        if not isinstance(call, PendingCall):
            raise UsageError(f"expected a call that the client answers, got {call!r:.200}")
        if self._state is not _State.OPEN or self._ended:
            raise LocalProtocolError("the run is over: use run.loop.answer(), and continue with client.run(run.loop)")
        if not any(call_key(pending) == call_key(call) for pending in self.pending):
            raise LocalProtocolError(
                f"{call.type} {call_key(call)!r} is not pending: it is incomplete, or already started or answered"
            )

    # The driver

    async def _drive(self) -> None:
        try:
            self._stopped = self.loop.stopped or "waiting_for_caller"
            # A loop that was passed in with pending calls is meant to have them executed, even if it stopped at its
            # last turn.
            resumed = self.loop.state == LoopState.ANSWER
            while self.loop.state != LoopState.OVER:
                if self.loop.state == LoopState.ASK:
                    await self._receive_response()
                stopped = None if resumed else self.loop.stopped
                resumed = False
                await self._execute_calls(start=stopped is None)
                self._stopped = stopped or self.loop.stopped or "waiting_for_caller"
                self._events.put(TurnFinished(self.loop.turns[-1]))
                if stopped is not None or self.loop.state != LoopState.ASK:
                    break
                await self._events.wait_until_drained()
                if self._pausing:
                    break
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised again where the run is read
            self._failure = self._with_details(error)
        # Not in a `finally`: if this task is cancelled, the reader must not take it for the end. `_leave` closes the
        # queue then.
        self._events.close()

    def _publish(self, event: ToolEvent) -> None:
        if not isinstance(event, ToolProgress) or len(self._events) < _MAX_UNREAD:
            self._events.put(event)

    def _stop_reading(self) -> None:
        self._reading.cancel()

    async def _receive_response(self) -> None:
        """Send the next request, publish the events of its stream, and put the response into the loop."""
        self._runner.forget_calls()
        self._done_calls.clear()
        request = self._toolbox.request_with_tools(self.loop.request)
        self._events.put(TurnStarted(len(self.loop.turns) + 1, request))
        stream = self._stream = self._open_stream(request)
        self._reading = anyio.CancelScope()
        try:
            with self._reading:
                async with stream:
                    async for batch in stream.batches():
                        for event in batch:
                            self._events.put(event)
                            if isinstance(event, OutputItemDone) and isinstance(event.item, PendingCall):
                                self._done_calls.add(call_key(event.item))
                                if self._start == "item_done":
                                    self._start_early(event.item)
                        await self._events.wait_until_drained()
        except Exception:
            await self._runner.wait()  # running tools finish
            self._store_answers()
            raise
        outcome = stream.outcome
        if outcome is None:  # a failed tool cancelled the reading
            return
        if outcome.status != "completed":
            outcome = attrs.evolve(outcome, response=self._with_started_calls_completed(outcome.response))
        self._stream = None
        self.loop.receive(outcome)

    async def _execute_calls(self, *, start: bool) -> None:
        """Execute the pending calls, or without ``start`` only wait for the started ones, and store the answers."""
        if start and self._runner.failure is None:
            await self._events.wait_until_drained()
            if not self._pausing and self._start != "manual":
                for call in self.pending:
                    self._start_call(call)
        await self._runner.wait()
        while start and self._runner.failure is None and (self.pending or not self._runner.idle):
            # The reader may start or answer other calls when it reads that one is finished.
            before = len(self.pending)
            await self._events.wait_until_drained()
            if self._runner.idle and len(self.pending) == before:
                break
            await self._runner.wait()
        self._store_answers()
        if self._runner.failure is not None:
            raise self._runner.failure

    def _store_answers(self) -> None:
        """Put the answers into the loop; first, if the response was cut off, put it there with its answered calls."""
        stream, self._stream = self._stream, None
        if stream is not None and self._runner.finished:
            response = self._with_started_calls_completed(stream.response)
            with contextlib.suppress(RemoteProtocolError):  # another error is already on its way to the caller
                self.loop.receive(Outcome(status="truncated", response=response, cursor=stream.cursor))
        for call in self.loop.pending:
            finished = self._runner.finished.get(call_key(call))
            if finished is not None:
                self.loop.answer(call, finished.output)

    def _with_started_calls_completed(self, response: Response) -> Response:
        """Return the response with status ``completed`` in each started call, which some servers do not set."""
        output: list[Item] = [
            attrs.evolve(item, status="completed")
            if isinstance(item, PendingCall) and not isinstance(item, McpApprovalRequest) and self._runner.knows(item)
            else item
            for item in response.output
        ]
        return attrs.evolve(response, output=output)

    def _with_details(self, error: _E) -> _E:
        if isinstance(error, ResponsesProtoError):
            error.response = error.response or self.response
            if self._runner.tool_started:
                error.retry_safety = "unsafe"
        return error

    # Starting calls

    def _start_early(self, item: PendingCall) -> None:
        """Execute a complete call while its response continues.

        Approvals and calls without an executor wait for its end.
        """
        stream = cast("EventStream", self._stream)
        unsuccessful = stream.outcome is not None and stream.outcome.status != "completed"
        if self._pausing or unsuccessful or self.loop.at_last_turn or isinstance(item, McpApprovalRequest):
            return
        # Some servers leave out the arguments in the event; the snapshot has what was streamed.
        known = (call for call in self.pending if call.type == item.type and call_key(call) == call_key(item))
        call = next(known, None)
        if call is not None and call_key(call) and self._toolbox.executor_of(call) is not None:
            self._start_call(call)

    def _start_call(self, call: PendingCall) -> bool:
        """Start to answer a call. Return whether the run can answer it."""
        if isinstance(call, McpApprovalRequest):
            self._start_approval(call)
            return True
        executor = self._toolbox.executor_of(call)
        if executor is not None:
            timeout: float | None = getattr(executor, "timeout", None)
            self._start_job(
                call,
                functools.partial(executor.execute, call),
                timeout=self._tool_timeout if timeout is None else timeout,
            )
            return True
        if not self._toolbox.offers(call, self.loop.tools):
            error = ToolNotFound(f"There is no tool {getattr(call, 'name', '')!r}.", call=call)
            self._runner.record_failure(call, error)
            return True
        return False

    def _start_approval(self, request: McpApprovalRequest) -> None:
        if self._approve is not None:
            self._start_job(request, functools.partial(self._ask_for_approval, request), kind=JobKind.APPROVAL)
        elif remembered := self.loop.remembered(request):
            self._runner.record_answer(request, remembered)
        else:
            error = ApprovalRequired("Nobody is available to approve the call.", call=request)
            self._runner.record_failure(request, error)

    def _start_job(
        self,
        call: PendingCall,
        work: Callable[[ToolContext], Awaitable[ToolOutput | Approval | None]],
        *,
        kind: JobKind = JobKind.TOOL,
        timeout: float | None = None,
    ) -> None:
        response, turn = self.response, len(self.loop.turns) + (self._stream is not None)
        response_id = response.id if response is not None else ""
        self._runner.start(Job(call=call, work=work, response_id=response_id, turn=turn, timeout=timeout, kind=kind))

    async def _ask_for_approval(self, request: McpApprovalRequest, _context: ToolContext) -> Approval | None:
        # Requests are asked one after the other: an earlier answer may hold for this one too.
        remembered = self.loop.remembered(request)
        if remembered is not None:
            return remembered
        self._events.put(ApprovalRequested(request))
        answer = await call_function(cast("Approve", self._approve), request)
        approval = Approval(answer) if isinstance(answer, bool) else answer
        if approval is not None:
            self.loop.remember(request, approval)
        return approval

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.value} {self.loop!r}>"


def _is_complete(call: PendingCall) -> bool:
    return not isinstance(call, McpApprovalRequest) and call.status not in ("in_progress", "incomplete")
