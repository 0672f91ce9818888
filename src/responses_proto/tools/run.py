"""An agent's run: responses, and the tools that they call, until the model waits for nothing any more.

::

    async with client.run(model=..., input=..., tools=[get_weather, McpTool(...)]) as run:
        async for event in run:
            match event:
                case OutputTextDelta(delta=text): ...
                case ToolFinished(call, output): ...
        result = await run.result()

It is put together from parts that are public: :class:`~responses_proto.tools.ToolLoop` says what is asked and what waits, streams
bring the responses, and executors (:mod:`.tools`) answer the calls. What is special about a run is who does that when.

**Tasks.** Between entering the block and leaving it there is one task that asks and reads, and one for each tool at work. None of
their errors comes out as a group: what a tool raises becomes the answer to its call, or the one error of the run. Leaving the block,
for whatever reason, cancels them all and waits until they are gone; only a thread is not waited for. So the block holds a task group:
enter and leave it in one task, and do not ``yield`` inside of it from an async generator that others may drop.

**Pace.** Nothing is asked, and no tool of a whole response is started, before the reader has had everything that came before and wants
more. So whoever stops reading stops the run, too; tools at work go on.
"""

from __future__ import annotations

import contextlib
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
)
from ..limits import Limits
from ..models.events import OutputItemDone
from ..models.items import McpApprovalRequest
from ..models.response import PendingCall
from ..protocol.stream import Outcome
from ._event_queue import EventQueue
from ._runner import Job, ToolRunner
from ._toolbox import Toolbox
from .events import ApprovalRequested, ToolProgress, TurnFinished, TurnStarted
from .executors import call_function, checked_timeout
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

__all__ = ["Approve", "Run", "RunResult", "Start", "Stopped"]

Start: TypeAlias = Literal["response_done", "item_done", "manual"]
"""When a call is executed: once its response is whole; as soon as the call is, while the response goes on (what a tool did is then
not undone if the response fails); or when :meth:`Run.start` says so."""

Stopped: TypeAlias = "StopReason | Literal['handed_over']"
"""Why a run came to its end. ``handed_over``: something waits for the caller."""

Approved: TypeAlias = Approval | bool | None

Approve: TypeAlias = "Callable[[McpApprovalRequest], Approved | Awaitable[Approved]]"
"""Asked whether a server may call a tool of a remote MCP server; ``None`` hands the question over to the caller."""

_E = TypeVar("_E", bound="Exception | None")

Ask: TypeAlias = "Callable[[CreateResponse | JSONObject], EventStream]"

_MOST_UNREAD: Final = 1024  # events that wait for the reader; from there on, progress is not worth the memory


@attrs.frozen(kw_only=True)
class RunResult:
    """What came of a run."""

    stopped: Stopped
    """Why there is no further turn."""
    loop: ToolLoop
    """All that was, as a value: answer what is :attr:`pending`, and give it to ``client.run`` to go on."""
    error: ResponsesProtoError | None = None
    """If the last response is incomplete, the error that says why; else ``None``."""

    @property
    def response(self) -> Response:
        """The last response. Raises ``LocalProtocolError`` if there was none."""
        response = self.loop.response
        if response is None:
            raise LocalProtocolError("the run was over before there was a response")
        return response

    @property
    def output_text(self) -> str:
        """The text of the last response."""
        return self.response.output_text

    @property
    def turns(self) -> tuple[LoopTurn, ...]:
        """Each response with how it ended, its calls and their answers."""
        return tuple(self.loop.turns)

    @property
    def items(self) -> list[Item]:
        """Everything that was said, as it came: the input, outputs and answers, in order."""
        return self.loop.items

    @property
    def history(self) -> list[Item]:
        """All of it as the input of another request; see :attr:`ToolLoop.history`."""
        return self.loop.history

    @property
    def pending(self) -> list[PendingCall]:
        """The calls that have no answer, in order."""
        return self.loop.pending

    @property
    def usage(self) -> Usage | None:
        """The tokens of all turns together."""
        return self.loop.usage


class Run:
    """Iterate over it for everything that happens; or just wait for :meth:`result`. From ``client.run``; to be used in ``async with``.

    Iterating gives the typed events of every response, and the run's own (:mod:`.run_events`). It raises neither for a response that
    fails nor for one that stops early, as with an ``EventStream``, but for connections that break, for requests that are refused,
    and for a tool that failed with ``on_error="raise"``. After a tool has begun, errors say ``retry_safety="unsafe"``.

    When it is over, and also when the block is left before, :attr:`loop` has all that was. Each call that was started has its answer
    there, if only that it was cancelled, and ``loop.history`` is an input that a server takes.

    One task reads at a time.
    """

    def __init__(
        self,
        ask: Ask,
        loop: ToolLoop,
        *,
        tools: Tools = (),
        approve: Approve | None = None,
        start: Start = "response_done",
        concurrency: int = 16,
        tool_timeout: float | None = None,
        on_error: OnError = "tell_model",
        limits: Limits | None = None,
    ) -> None:
        if concurrency < 1:
            raise LocalProtocolError(f"concurrency has to be 1 at least, not {concurrency!r}")
        checked_timeout("tool_timeout", tool_timeout)
        self._ask = ask
        self.loop: ToolLoop = loop
        """All that was, at any time."""
        self._toolbox = Toolbox(tools)
        self._approve = approve
        self._start = start
        self._concurrency = concurrency
        self._tool_timeout = tool_timeout
        self._on_error: OnError = on_error
        self._limits = limits or Limits()
        self._state: Literal["new", "open", "closed"] = "new"
        self._stack = contextlib.AsyncExitStack()
        self._stream: EventStream | None = None  # of the turn that is not in the loop yet
        self._done: set[str] = set()  # the calls of the response on its way whose items are done
        self._handing_over = False
        self._stopped: Stopped = "handed_over"
        self._over = False
        self._failure: Exception | None = None

    # What it has

    @property
    def response(self) -> Response | None:
        """The response that is on its way, as far as it came, or else the last one; ``None`` before the first."""
        return self._stream.response if self._stream is not None else self.loop.response

    @property
    def pending(self) -> list[PendingCall]:
        """The calls that wait, and that nothing is done about yet, in order."""
        stream = self._stream
        waiting = self.loop.pending if stream is None else stream.response.pending_calls
        if stream is not None and (stream.outcome is None or stream.outcome.status != "completed"):
            waiting = [call for call in waiting if _is_whole(call) and call_key(call) in self._done]
        return [call for call in waiting if self._state == "new" or not self._executing.knows(call)]

    # The block

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise LocalProtocolError("a run can be entered once: ask client.run() for another one")
        async with contextlib.AsyncExitStack() as stack:
            for executor in self._toolbox.executors:
                if hasattr(executor, "__aenter__") and not getattr(executor, "entered", False):
                    await stack.enter_async_context(cast("AbstractAsyncContextManager[object]", executor))
            if self.loop.state == "ask":
                self._toolbox.offered_with(self.loop.request)  # to find out here what is wrong with them
            self._channel: EventQueue[RunEvent] = EventQueue()
            self._reading = anyio.CancelScope()
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
            stack.push_async_exit(self._leave)
            self._executing = ToolRunner(
                self._tasks,
                self._tell,
                concurrency=self._concurrency,
                on_error=self._on_error,
                limits=self._limits,
                on_failure=self._stop_reading,
            )
            self._tasks.start_soon(self._drive)
            self._stack = stack.pop_all()
        self._state = "open"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(exc_type, exc, traceback)

    async def _leave(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._state = "closed"
        self._executing.stop()
        try:
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                return bool(await self._tasks.__aexit__(exc_type, exc, traceback))
            # The block's exception is not handed to the task group, which would wrap it.
            self._tasks.cancel_scope.cancel()
            await self._tasks.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1:  # SystemExit, say, of a tool
                raise group.exceptions[0] from None
            raise
        finally:
            self._channel.close()
            self._keep()
        return False

    # The events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        self._require_entered()
        event = self._channel.now() or await self._channel.get()
        if event is not None and self._state == "open":
            return event
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def result(self) -> RunResult:
        """Read to the end, and give what came of it.

        That is a result if the run completed, stopped at ``max_turns`` or at an incomplete response, or waits for the caller. Raises
        ``ResponseFailed``, ``ResponseCancelled``, ``APIError`` (for an ``error`` event) or ``StreamTruncated`` for a turn that ended so, and
        what iterating raises. Events that were not iterated by then are gone. After the block it still works if the run had ended inside.
        """
        self._require_entered()
        while self._state == "open" and await self._channel.get() is not None:
            pass
        if self._failure is not None:
            raise self._failure
        if not self._over:
            raise LocalProtocolError("the run has no result: it was left before its end; what there is, is in run.loop")
        error = self._equipped(self.loop.turns[-1].outcome.exception()) if self.loop.turns else None
        if error is not None and not isinstance(error, ResponseIncompleteError):
            raise error
        return RunResult(stopped=self._stopped, loop=self.loop, error=error)

    # What the caller can do meanwhile

    def start(self, call: PendingCall) -> None:
        """Execute a call now, with the executor that handles it. For calls of the response that is on its way, or was last.

        Raises ``LocalProtocolError`` for a call that does not wait, for one that was started or answered, and if nothing handles it.
        """
        self._require_waiting(call)
        if not self._begin(call):
            raise LocalProtocolError(f"no tool of this run handles {call.type} {call_key(call)!r}: answer() it")

    def answer(self, call: PendingCall, given: ToolOutput | ToolResult | Approval, /) -> None:
        """Answer a call yourself, instead of having it executed. Raises ``LocalProtocolError`` as :meth:`start` does."""
        self._require_waiting(call)
        if isinstance(given, Approval) and isinstance(call, McpApprovalRequest):
            self.loop.remember(call, given)
        self._executing.settle(call, given if isinstance(given, ToolOutput | Approval) else ToolOutput(given))

    def pause(self) -> None:
        """End the run at the next point at which nothing is lost: tools at work come to their end, nothing else is started or asked.

        What then is pending waits for the caller, and ``client.run(run.loop, ...)`` goes on.
        """
        self._handing_over = True

    def _require_entered(self) -> None:
        if self._state == "new":
            raise LocalProtocolError("the run has not begun: use it in `async with client.run(...) as run`")

    def _require_waiting(self, call: object) -> None:
        if not isinstance(call, PendingCall):
            raise LocalProtocolError(f"this is no call that waits for the client: {call!r:.200}")
        if self._state != "open" or self._over:
            raise LocalProtocolError(
                "the run is over: answer it with run.loop.answer(), and go on with client.run(run.loop)"
            )
        if not any(call_key(waiting) == call_key(call) for waiting in self.pending):
            raise LocalProtocolError(
                f"{call.type} {call_key(call)!r} does not wait: it is not whole, or something is done about it"
            )

    # The task that asks and reads

    async def _drive(self) -> None:
        try:
            self._stopped = self.loop.stopped or "handed_over"
            # Whoever goes on from calls that wait wants them to be answered, whatever it was that stopped the loop.
            going_on = self.loop.state == "answer"
            while self.loop.state != "over":
                if self.loop.state == "ask":
                    await self._respond()
                stopped = None if going_on else self.loop.stopped
                going_on = False
                await self._work(begin=stopped is None)
                self._stopped = stopped or self.loop.stopped or "handed_over"
                self._channel.put(TurnFinished(self.loop.turns[-1]))
                if stopped is not None or self.loop.state != "ask":
                    break
                await self._channel.asked()
                if self._handing_over:
                    break
            self._over = True
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the run is read
            self._failure = self._equipped(error)
        # Not where this is cancelled: the reader is so too, and is not to take it for the end. Leaving the block closes it then.
        self._channel.close()

    def _tell(self, event: ToolEvent) -> None:
        if not isinstance(event, ToolProgress) or len(self._channel) < _MOST_UNREAD:
            self._channel.put(event)

    def _stop_reading(self) -> None:
        self._reading.cancel()

    async def _respond(self) -> None:
        """Ask for a response, and put it into the loop."""
        self._executing.forget()
        self._done.clear()
        request = self._toolbox.offered_with(self.loop.request)
        self._channel.put(TurnStarted(len(self.loop.turns) + 1, request))
        stream = self._stream = self._ask(request)
        self._reading = anyio.CancelScope()
        try:
            with self._reading:
                async with stream:
                    async for batch in stream.batches():
                        for event in batch:
                            self._channel.put(event)
                            if isinstance(event, OutputItemDone) and isinstance(event.item, PendingCall):
                                self._done.add(call_key(event.item))
                                if self._start == "item_done":
                                    self._begin_early(event.item)
                        await self._channel.asked()
        except Exception:
            await self._executing.wait()  # what a tool has begun, it shall bring to an end
            self._keep()
            raise
        outcome = stream.outcome
        if outcome is None:  # a tool's failure put an end to it
            return
        if outcome.status != "completed":
            outcome = attrs.evolve(outcome, response=self._marked(outcome.response))
        self._stream = None
        self.loop.receive(outcome)

    async def _work(self, *, begin: bool) -> None:
        """Have answered what is to be answered: all that waits, or, where the loop is to stop, only what was begun."""
        if begin and self._executing.failure is None:
            await self._channel.asked()
            if not self._handing_over and self._start != "manual":
                for call in self.pending:
                    self._begin(call)
        await self._executing.wait()
        while begin and self._executing.failure is None and (self.pending or not self._executing.idle):
            # Whoever starts or answers calls by hand may well do so on hearing that another one is finished.
            waiting = len(self.pending)
            await self._channel.asked()
            if self._executing.idle and len(self.pending) == waiting:
                break
            await self._executing.wait()
        self._keep()
        if self._executing.failure is not None:
            raise self._executing.failure

    def _keep(self) -> None:
        """Put into the loop what is there: answers, and of a response that will not be whole, the calls that have one."""
        stream, self._stream = self._stream, None
        if stream is not None and self._executing.finished:
            cut = Outcome(status="truncated", response=self._marked(stream.response), cursor=stream.cursor)
            with contextlib.suppress(RemoteProtocolError):  # there is another error to be told already
                self.loop.receive(cut)
        for call in self.loop.pending:
            finished = self._executing.finished.get(call_key(call))
            if finished is not None:
                self.loop.answer(call, finished.output)

    def _marked(self, response: Response) -> Response:
        """Say of the calls that were begun that they are whole, which not every server does."""
        output: list[Item] = [
            attrs.evolve(item, status="completed")
            if isinstance(item, PendingCall)
            and not isinstance(item, McpApprovalRequest)
            and self._executing.knows(item)
            else item
            for item in response.output
        ]
        return attrs.evolve(response, output=output)

    def _equipped(self, error: _E) -> _E:
        if isinstance(error, ResponsesProtoError):
            error.response = error.response or self.response
            if self._executing.began:
                error.retry_safety = "unsafe"
        return error

    # Calls

    def _begin_early(self, item: Item) -> None:
        """Execute a call whose response goes on. What else there is to do about calls waits until it is whole."""
        stream = cast("EventStream", self._stream)
        ended = stream.outcome is not None and stream.outcome.status != "completed"
        if self._handing_over or ended or self.loop.at_last_turn:
            return
        if not isinstance(item, PendingCall) or isinstance(item, McpApprovalRequest):
            return
        # The event may be terse; what was streamed is in the snapshot.
        known = (call for call in self.pending if call.type == item.type and call_key(call) == call_key(item))
        call = next(known, None)
        if call is not None and call_key(call) and self._toolbox.executor_of(call) is not None:
            self._begin(call)

    def _begin(self, call: PendingCall) -> bool:
        """Have a call answered, if that is for this run to do."""
        if isinstance(call, McpApprovalRequest):
            self._begin_approval(call)
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
            self._executing.settle(call, ToolNotFound(f"There is no tool {getattr(call, 'name', '')!r}.", call=call))
            return True
        return False

    def _begin_approval(self, request: McpApprovalRequest) -> None:
        if self._approve is None:
            nobody = ApprovalRequired("Nobody is here who could approve the call.", call=request)
            self._executing.settle(request, self.loop.remembered(request) or nobody)
        else:
            self._start_job(request, functools.partial(self._ask_for_approval, request), is_tool=False)

    def _start_job(
        self,
        call: PendingCall,
        work: Callable[[ToolContext], Awaitable[ToolOutput | Approval | None]],
        *,
        timeout: float | None = None,
        is_tool: bool = True,
    ) -> None:
        response, turn = self.response, len(self.loop.turns) + (self._stream is not None)
        response_id = response.id if response is not None else ""
        job = Job(call=call, work=work, response_id=response_id, turn=turn, timeout=timeout, is_tool=is_tool)
        self._executing.start(job)

    async def _ask_for_approval(self, request: McpApprovalRequest, _context: ToolContext) -> Approval | None:
        # One question is put at a time: the answer may be meant for the next one too.
        known = self.loop.remembered(request)
        if known is not None:
            return known
        self._channel.put(ApprovalRequested(request))
        given = await call_function(cast("Approve", self._approve), request)
        approval = Approval(given) if isinstance(given, bool) else given
        if approval is not None:
            self.loop.remember(request, approval)
        return approval

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state} {self.loop!r}>"


def _is_whole(call: PendingCall) -> bool:
    return not isinstance(call, McpApprovalRequest) and call.status not in ("in_progress", "incomplete")
