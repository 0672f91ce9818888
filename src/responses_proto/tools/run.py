"""Runs an agent: requests responses and executes the tools that they call, until no call is pending.

::

    async with client.run(model=..., input=..., tools=[get_weather, McpTool(...)]) as run:
        async for event in run:
            match event:
                case OutputTextDelta(delta=text): ...
                case ToolFinished(call, output): ...
        result = await run.result()

A :class:`Run` combines three parts that can also be used alone. A :class:`~responses_proto.tools.ToolLoop` makes the
requests and knows the pending calls; an ``EventStream`` reads each response; executors (:mod:`.executors`) answer the calls.
The run adds the tasks and the order of events:

**Driver.** One task, started by entering the block, repeats a turn: send ``loop.request``, read the stream to its end,
execute the calls in it, put the answers into the loop. It is not a child of the caller's task, so the block can safely be left
from another task, as happens with a dropped generator. It publishes every event to a queue (:mod:`._event_queue`),
which iterating over the run reads. :class:`~._runner.ToolRunner` executes the calls, each in a separate task and at
most ``concurrency`` at a time. No error reaches the caller as an exception group: an error of a tool becomes the answer
to its call, or, with ``on_error="raise"``, the error of the run.

**Pace.** The driver sends no request and starts no tool of a complete response before the reader has read every earlier
event and waits for the next. A reader that stops therefore stops the run, and can pause it or answer calls at any event.
Tools that are already running continue.

**When tools start** (``start``). ``response_done``: when the response is complete. ``item_done``: as soon as the call
is complete, while the response continues; a later failure of the response does not undo the tool's effects. ``manual``:
when :meth:`Run.start` is called. A call to a tool that was never offered is answered with an error text. A call to an
offered tool that no executor handles waits for the caller. The calls of the last turn that ``max_turns`` allows are not
executed.

**Approvals.** Approval requests of remote MCP servers, and calls of tools whose ``needs_approval`` requires it, go
to the ``approve`` callback (:mod:`._starter`), one at a time, because an answer with ``remember`` also applies to later
calls. Without a callback they are denied. If the callback returns ``None``, the call stays pending for the caller. An error of
the callback ends the run and is not sent to the model.

**End.** A run ends when the loop is over, when calls wait for the caller or :meth:`Run.pause` was called
(``stopped="waiting_for_caller"``), or with an error. Leaving the block, for any reason, closes the stream, cancels the
tools and waits for them; only worker threads are not waited for.

**State.** Every call that an executor started gets exactly one answer in :attr:`Run.loop`, even if it was cancelled.
If the response was cut off, its answered calls are kept with the items that led to them; if it has none,
:attr:`ToolLoop.partial` is the response, and the loop can request it again. ``loop.history`` has its texts in either case
and is always a valid input.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeAlias, TypeVar, cast

import anyio
import attrs

from ..client._calls import merge_fields
from ..client._task_holder import TaskHolder
from ..codec import Converter, default_converter
from ..exceptions import (
    LocalProtocolError,
    RemoteProtocolError,
    ResponseIncompleteError,
    ResponsesProtoError,
    UsageError,
)
from ..limits import Limits
from ..models._base import Model
from ..models.events import OutputItemDone
from ..models.items import Item, McpApprovalRequest, Message
from ..models.request import CreateResponse
from ..models.response import PendingCall, Response
from ..protocol.stream import Outcome
from ..schema.structured import Incomplete, Invalid
from ._entered import entered_together
from ._event_queue import EventQueue
from ._runner import ToolRunner
from ._starter import CallStarter
from ._toolbox import Toolbox
from .effects import Effect
from .events import ToolProgress, TurnFinished, TurnStarted
from .executors import check_timeout
from .loop import LoopState, outcome_of
from .output import Approval, ToolOutput, call_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from anyio.abc import TaskGroup
    from typing_extensions import TypeVar as _TypeVarWithDefault  # type checkers bundle it

    from ..client.stream import EventStream
    from ..models.response import Usage
    from ..schema.structured import ParseResult, Structured
    from ..typing import JSONObject
    from ._runner import OnError
    from ._starter import Approve
    from .effects import OnEffect
    from .events import RunEvent, ToolEvent
    from .executors import Tools
    from .loop import StopReason, ToolLoop
    from .output import ToolResult
    from .turn import LoopTurn

    T_co = _TypeVarWithDefault("T_co", covariant=True, default=object)
else:
    T_co = TypeVar("T_co", covariant=True)

__all__ = ["EditInput", "Run", "RunResult", "RunStopReason", "StartPolicy"]

StartPolicy: TypeAlias = Literal["response_done", "item_done", "manual"]
"""When a call is executed: when its response is complete; as soon as the call itself is complete; or when
:meth:`Run.start` is called.

With ``item_done``, the effects of a tool are not undone if the response fails later."""

RunStopReason: TypeAlias = "StopReason | Literal['waiting_for_caller']"
"""Why a run ended. ``waiting_for_caller``: calls wait for the caller, or the run was paused."""

EditInput: TypeAlias = "Callable[[list[Item]], Sequence[Item] | Awaitable[Sequence[Item]]]"
"""Receives the input of the next request, and returns the input to send instead."""

OpenStream: TypeAlias = "Callable[[CreateResponse | JSONObject], EventStream]"

_E = TypeVar("_E", bound="Exception | None")

_REPAIR: Final = "Your last answer does not match the requested format: {message} (at {path}). Answer again, with JSON in that format."
_MAX_UNREAD: Final = 1024
"""The number of unread events at which progress reports are dropped, because tools may report progress any number of
times without waiting for the reader."""


class _State(enum.Enum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"


@attrs.frozen(kw_only=True)
class RunResult(Generic[T_co]):
    """How a run ended, and everything in it."""

    stopped: RunStopReason
    """Why the run ended."""
    loop: ToolLoop
    """The state of the run as a value. To continue, answer the calls in :attr:`pending` and pass the loop to
    ``client.run``."""
    error: ResponsesProtoError | None = None
    """``ResponseIncompleteError`` if the last response is incomplete, else ``None``."""
    _parsed: ParseResult[T_co] | None = attrs.field(default=None, alias="parsed", repr=False)

    @property
    def parsed(self) -> ParseResult[T_co]:
        """The value of the type that was passed as ``output``: ``Parsed``, ``Refused``, ``Incomplete`` or ``Invalid``.

        It is ``Incomplete``, with :attr:`stopped` as reason, if the run ended before the model gave its answer. Raises
        ``LocalProtocolError`` for a run without ``output``.
        """
        if self._parsed is None:
            raise LocalProtocolError("the run has no output type: pass client.run(..., output=...)")
        return self._parsed

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


class Run(Generic[T_co]):
    """An agent's run, made by ``client.run``. Use it in ``async with``, iterate over it, then await :meth:`result`.

    Iterating yields the events of every response and those of the run (:mod:`.events`). As with an ``EventStream``, it
    does not raise if a response fails or is incomplete. It raises if a connection breaks, if a request is refused, and,
    with ``on_error="raise"``, if a tool fails. After a tool was started, every error has ``retry_safety="unsafe"``.

    :attr:`loop` has the state of the run at any time, also after the block was left early. Every call that was started
    has an answer there, and ``loop.history`` is a valid input.

    One task may read at a time; any other gets ``LocalProtocolError``. The top of this module explains how a run
    works.

    ``open_stream``: returns a stream for a request, as ``client.stream`` does. ``loop``: the loop to run; the run
    changes it. ``output``: the type of the answer, which the request of the loop must ask for. The other parameters are
    those of ``client.run``.
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
        deps: object = None,
        output: Structured[T_co] | None = None,
        repairs: int = 1,
        on_effect: OnEffect | None = None,
        edit_input: EditInput | None = None,
        limits: Limits | None = None,
        converter: Converter | None = None,
    ) -> None:
        if concurrency < 1:
            raise UsageError(f"concurrency must be at least 1, got {concurrency!r}")
        check_timeout("tool_timeout", tool_timeout)
        if approve is not None and not callable(approve):
            raise UsageError(
                f"approve must be a function that gets a call and returns an Approval, got {approve!r:.60}"
            )
        self._open_stream = open_stream
        self.loop: ToolLoop = loop
        """The turns so far."""
        self._toolbox = Toolbox(tools)
        self._approve = approve
        self._start = start
        self._concurrency = concurrency
        self._tool_timeout = tool_timeout
        self._on_error: OnError = on_error
        self._deps = deps
        self._output = output
        self._repairs_left = repairs
        self._on_effect = on_effect
        self._edit_input = edit_input
        self._limits = limits or Limits()
        self._converter = converter or default_converter()
        self._state = _State.NEW
        self._holder = TaskHolder(self._hold, close_timeout=math.inf)
        self._stream: EventStream | None = None  # of the turn that is not in the loop yet
        self._done_calls: set[str] = set()  # keys of the calls in that stream whose items are done
        self._pausing = False
        self._stopped: RunStopReason = "waiting_for_caller"
        self._ended = False  # without an error
        self._failure: Exception | None = None

    @property
    def response(self) -> Response | None:
        """The part that arrived of the response that is being streamed, or was when the block was left; else the last one.

        ``None`` before the first.
        """
        return self._stream.response if self._stream is not None else self.loop.partial or self.loop.response

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
        self._events: EventQueue[RunEvent] = EventQueue()
        self._reading = anyio.CancelScope()
        self._holder.start()
        try:
            await self._holder.wait_opened()
        except BaseException:
            await self._holder.close()
            raise
        self._state = _State.OPEN
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._state = _State.CLOSED
        self._runner.stop()
        await self._holder.close(cancel=isinstance(exc, anyio.get_cancelled_exc_class()))
        self._store_answers()
        if exc is None or exc not in (self._holder.failure, self._holder.exit):
            self._holder.raise_failure()

    async def _hold(self, holder: TaskHolder) -> None:
        """Open the executors and run the driver until the block is left."""
        try:
            async with entered_together(self._executors_to_enter()):
                if self.loop.state == LoopState.ASK:
                    self._toolbox.request_with_tools(self.loop.request)  # raises before anything is sent
                else:
                    self._toolbox.offer(_tools_of(self.loop.first_request))
                async with anyio.create_task_group() as tasks:
                    self._prepare(tasks)
                    tasks.start_soon(self._drive)
                    await holder.wait_until_closed()
                    tasks.cancel_scope.cancel()
        finally:
            self._events.close()

    def _executors_to_enter(self) -> Iterable[AbstractAsyncContextManager[object]]:
        closed = {
            id(executor): executor
            for executor in self._toolbox.executors
            if hasattr(executor, "__aenter__") and not getattr(executor, "entered", False)
        }
        return cast("Iterable[AbstractAsyncContextManager[object]]", closed.values())

    def _prepare(self, tasks: TaskGroup) -> None:
        self._runner = ToolRunner(
            tasks,
            self._publish,
            concurrency=self._concurrency,
            on_error=self._on_error,
            limits=self._limits,
            on_failure=self._stop_reading,
            deps=self._deps,
            on_effect=self._on_effect,
        )
        self._starter = CallStarter(
            self._toolbox,
            self.loop,
            self._runner,
            approve=self._approve,
            tool_timeout=self._tool_timeout,
            publish=self._events.put,
            in_response=lambda: self._stream is not None,
            where=self._where,
        )

    def _where(self) -> tuple[str, int]:
        """Return the id of the response whose calls are being answered, and the number of its turn."""
        response = self.response
        return response.id if response is not None else "", len(self.loop.turns) + (self._stream is not None)

    # Reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        self._require_entered()
        event = self._events.get_nowait() or await self._events.get()
        if event is not None and self._state is _State.OPEN:
            return event
        self._raise_failure()
        raise StopAsyncIteration

    async def result(self) -> RunResult[T_co]:
        """Read to the end of the run and return its result. Events that were not iterated over are dropped.

        There is a result if the run completed, if it stopped at ``max_turns`` or at an incomplete response, and if it
        waits for the caller. After the block, it is still available if the run ended inside.

        Raises ``ResponseFailedError``, ``ResponseCancelledError``, ``APIError`` (after an ``error`` event) or
        ``StreamTruncated`` if the last turn ended that way, any error that iterating raises, and ``LocalProtocolError`` if
        the block was left before the run ended.
        """
        self._require_entered()
        while self._state is _State.OPEN and await self._events.get() is not None:
            pass
        self._raise_failure()
        if not self._ended:
            raise LocalProtocolError("the run has no result because its block was left before its end; see run.loop")
        error = self._with_details(self.loop.turns[-1].outcome.exception()) if self.loop.turns else None
        if error is not None and not isinstance(error, ResponseIncompleteError):
            raise error
        return RunResult(stopped=self._stopped, loop=self.loop, error=error, parsed=self._parse())

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._holder.raise_failure()

    def _parse(self) -> ParseResult[T_co] | None:
        if self._output is None or not self.loop.turns:
            return None
        if self._stopped in ("completed", "incomplete"):
            return self._output.parse_outcome(self.loop.turns[-1].outcome)
        return Incomplete(self._stopped, response=self.loop.response)

    # Calls handled by the caller

    def start(self, call: PendingCall) -> None:
        """Execute a :attr:`pending` call now, with the executor that handles it.

        If the call needs approval, ``approve`` is asked first; if its response is not complete yet, the call stays pending
        instead. A later ``ToolFinished`` has the answer.

        Raises ``LocalProtocolError`` if the call is not pending or the run is over, and ``UsageError`` if no tool of
        the run handles it.
        """
        self._require_pending(call)
        if not self._starter.start(call):
            raise UsageError(f"no tool of this run handles {call.type} {call_key(call)!r}: use answer()")

    def answer(self, call: PendingCall, answer: ToolOutput | ToolResult | Approval, /) -> None:
        """Answer a :attr:`pending` call instead of executing it. An approval of a call executes it.

        Raises ``LocalProtocolError`` if the call is not pending or the run is over, ``UsageError`` for an approval of a
        call that no tool of the run handles, and what :func:`~responses_proto.tools.output_item` raises.
        """
        self._require_pending(call)
        if isinstance(answer, Approval):
            self.loop.remember(call, answer, tools=self._toolbox.offered)
            if answer.approve and not isinstance(call, McpApprovalRequest):
                if not self._starter.execute(call):
                    raise UsageError(
                        f"no tool of this run handles {call.type} {call_key(call)!r}: answer with its output"
                    )
                return
        self._runner.record_answer(call, answer if isinstance(answer, ToolOutput | Approval) else ToolOutput(answer))

    def pause(self) -> None:
        """End the run early, without losing anything. Keep reading until the end, then await :meth:`result`.

        The current response is read to its end and running tools finish; no other tool starts and no request is sent.
        To continue later, answer the calls in :attr:`pending` and call ``client.run(run.loop, ...)``.
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
            await self._run_turns()
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised again where the run is read
            self._failure = self._with_details(error)
        # Not in a `finally`: if this task is cancelled, the reader must not take it for the end. `_hold` closes the queue
        # then.
        self._events.close()

    async def _run_turns(self) -> None:
        self._stopped = self.loop.stopped or "waiting_for_caller"
        # If a loop is passed in with pending calls, they are executed, even if it stopped at its last turn.
        resumed = self.loop.state == LoopState.ANSWER
        while self.loop.state != LoopState.OVER:
            if self.loop.state == LoopState.ASK:
                await self._receive_response()
            stopped = self.loop.stopped
            if resumed and stopped not in ("max_tokens", "max_tool_calls"):
                stopped = None
            resumed = False
            await self._execute_calls(start=stopped is None)
            turn = self.loop.turns[-1]
            if self._ask_for_repair():
                stopped = None
            self._stopped = stopped or self.loop.stopped or "waiting_for_caller"
            self._events.put(TurnFinished(turn))
            if stopped is not None or self.loop.state != LoopState.ASK:
                break
            await self._events.wait_until_drained()
            if self._pausing:
                break

    def _ask_for_repair(self) -> bool:
        """Ask for another answer if the last one does not match the output type. Return whether that is possible."""
        if self._output is None or self._repairs_left <= 0 or self.loop.stopped != "completed":
            return False
        parsed = self._output.parse_outcome(self.loop.turns[-1].outcome)
        if self.loop.limit_reached or not isinstance(parsed, Invalid):
            return False
        self._repairs_left -= 1
        self.loop.add_input(Message(role="user", content=_REPAIR.format(path=parsed.path, message=parsed.message)))
        return True

    def _publish(self, event: ToolEvent) -> None:
        if not isinstance(event, ToolProgress) or len(self._events) < _MAX_UNREAD:
            self._events.put(event)

    def _stop_reading(self) -> None:
        self._reading.cancel()

    async def _receive_response(self) -> None:
        """Send the next request, publish the events of its stream, and put the response into the loop."""
        self._runner.forget_calls()
        self._done_calls.clear()
        request = self._toolbox.request_with_tools(await self._edited(self.loop.request))
        self._events.put(TurnStarted(len(self.loop.turns) + 1, request))
        try:
            if self._on_effect is None:
                outcome = await self._read_stream(request)
            else:
                outcome = await self._request_as_effect(request, self._on_effect)
        except Exception:
            await self._runner.wait()  # running tools finish
            self._store_answers()
            raise
        if outcome is None:  # a failed tool cancelled the reading
            return
        if outcome.status != "completed":
            outcome = attrs.evolve(outcome, response=self._with_started_calls_completed(outcome.response))
        self._stream = None
        self.loop.receive(outcome, tools=self._toolbox.offered)

    async def _edited(self, request: CreateResponse | JSONObject) -> CreateResponse | JSONObject:
        if self._edit_input is None:
            return request
        given: Any = request.get("input") if isinstance(request, Mapping) else request.input
        if isinstance(given, str):
            given = [Message(role="user", content=given)]
        items: list[Item] = [
            self._converter.load(cast("JSONObject", item), Item) if isinstance(item, Mapping) else item
            for item in given or ()
        ]
        edited = self._edit_input(items)
        edited = await edited if inspect.isawaitable(edited) else edited
        given = cast("object", edited)
        if not isinstance(given, list | tuple) or not all(
            isinstance(item, Model | Mapping) for item in cast("Sequence[object]", given)
        ):
            raise UsageError(f"edit_input must return a list of items, got {edited!r:.100}")
        return merge_fields(CreateResponse, request, {"input": edited})

    async def _read_stream(self, request: CreateResponse | JSONObject) -> Outcome | None:
        """Publish the events of a new response. Return its outcome; ``None`` if the reading was cancelled."""
        stream = self._stream = self._open_stream(request)
        self._reading = anyio.CancelScope()
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
        return stream.outcome

    async def _request_as_effect(self, request: CreateResponse | JSONObject, on_effect: OnEffect) -> Outcome | None:
        performed: list[Outcome] = []
        failures: list[ResponsesProtoError] = []

        async def perform() -> dict[str, Any]:
            if not self._runner.idle or self._runner.finished:
                raise LocalProtocolError("the request cannot be repeated: tools of its response were started")
            self._done_calls.clear()
            outcome = await self._read_stream(request)
            if outcome is None:
                raise cast("Exception", self._runner.failure)
            performed.append(outcome)
            error = outcome.exception()
            if error is not None and outcome.status in ("truncated", "error"):
                failures.append(error)
                raise error
            return self._dump(outcome.response)

        key = f"request/{len(self.loop.turns) + 1}"
        try:
            result = await on_effect(Effect(kind="request", key=key, input=self._dump(request)), perform)
        except ResponsesProtoError as error:
            if not any(error is failure for failure in failures):
                raise
            return performed[-1]
        if performed and result == self._dump(performed[-1].response):
            return performed[-1]
        if not isinstance(result, Mapping) or not isinstance(result.get("output"), list):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from the caller
            raise UsageError(f"on_effect must return the result of {key}, which is a response, got {result!r:.100}")
        return outcome_of(self._converter.load(result, Response))

    def _dump(self, model: object) -> dict[str, Any]:
        return cast("dict[str, Any]", self._converter.dump(model))

    async def _execute_calls(self, *, start: bool) -> None:
        """Execute the pending calls, or without ``start`` only wait for the started ones, and store the answers."""
        if start and self._runner.failure is None:
            await self._events.wait_until_drained()
            if not self._pausing and self._start != "manual":
                for call in self.pending:
                    self._starter.start(call)
        await self._runner.wait()
        while start and self._runner.failure is None and (self.pending or not self._runner.idle):
            # The reader may start or answer other calls when it reads a `ToolFinished`.
            before = len(self.pending)
            await self._events.wait_until_drained()
            if self._runner.idle and len(self.pending) == before:
                break
            await self._runner.wait()
        self._store_answers()
        if self._runner.failure is not None:
            raise self._runner.failure

    def _store_answers(self) -> None:
        """Put the answers into the loop, after the part that arrived of a response that is being read."""
        stream, self._stream = self._stream, None
        if stream is not None:
            response = self._with_started_calls_completed(stream.response)
            outcome = stream.outcome or Outcome(status="truncated", response=response, cursor=stream.cursor)
            if outcome.status != "truncated" or self._runner.finished:
                with contextlib.suppress(RemoteProtocolError):  # another error is already on its way to the caller
                    self.loop.receive(attrs.evolve(outcome, response=response), tools=self._toolbox.offered)
            elif response.id or response.output:
                self.loop.partial = response
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

    def _start_early(self, item: PendingCall) -> None:
        """Execute a complete call while its response continues.

        Approvals and calls without an executor wait for its end.
        """
        stream = cast("EventStream", self._stream)
        unsuccessful = stream.outcome is not None and stream.outcome.status != "completed"
        if self._pausing or unsuccessful or not self.loop.allows_calls(len(self._done_calls)):
            return
        # Some servers leave out the arguments in the event; the snapshot has the streamed ones.
        known = (call for call in self.pending if call.type == item.type and call_key(call) == call_key(item))
        call = next(known, None)
        if call is not None and call_key(call):
            self._starter.start_early(call)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state.value} {self.loop!r}>"


def _is_complete(call: PendingCall) -> bool:
    return not isinstance(call, McpApprovalRequest) and call.status not in ("in_progress", "incomplete")


def _tools_of(request: CreateResponse | JSONObject) -> Sequence[Any]:
    return cast("Any", request.get("tools") if isinstance(request, Mapping) else request.tools) or ()
