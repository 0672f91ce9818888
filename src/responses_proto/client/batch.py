"""Send many requests, and yield the result of each.

:meth:`ResponsesClient.map` returns a :class:`Batch`. A background task takes the requests one after the other, as the :class:`Gate` has room
for them, and starts a call for each. It belongs to no task group of the caller, so the batch can be iterated and left anywhere.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterable, Sized
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from ..exceptions import LocalProtocolError, ResponsesProtoError
from ..models.response import Response
from ..protocol.stream import Outcome
from ._journal import Journal
from ._task_holder import TaskHolder
from .hooks import call_hook

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from ..models.request import CreateResponse
    from ..typing import JSONObject
    from ._calls import CallOptions, ClientCore
    from .gate import Gate
    from .hooks import CallFinished

__all__ = ["Batch", "BatchProgress", "BatchResult"]

_Request: TypeAlias = "CreateResponse | JSONObject | str"
_Requests: TypeAlias = "Iterable[_Request] | AsyncIterable[_Request]"

_KEPT: Final = frozenset({"completed", "incomplete"})
"""The outcomes that are not retried when a journal is continued."""
_AHEAD: Final = 2
"""How many requests may be open or unread, as a multiple of the gate's ``max_width``."""


@attrs.frozen(kw_only=True)
class BatchResult:
    """How one request of a batch ended."""

    index: int
    """The position of the request, from 0."""
    request: CreateResponse | JSONObject | str
    """The request as it was passed."""
    outcome: Outcome | None = None
    """How the response ended; ``None`` if there was no response."""
    error: ResponsesProtoError | None = None
    """The error that was raised; ``None`` if there was a response, whatever its status."""
    attempts: int = 0
    """How often the request was sent."""
    seconds: float = 0.0
    """The time from the first attempt to the end. The wait before the first attempt does not count."""
    from_journal: bool = False
    """Whether the result was read from the journal, where an earlier start recorded it."""

    @property
    def ok(self) -> bool:
        """Whether the response is complete."""
        return self.outcome is not None and self.outcome.status == "completed"

    @property
    def response(self) -> Response:
        """The response, final or failed. Raises :attr:`error` if there was none."""
        if self.outcome is None:
            raise self.error or LocalProtocolError("there is neither a response nor an error")
        return self.outcome.response

    def exception(self) -> ResponsesProtoError | None:
        """Return :attr:`error`, or the exception of an outcome that is not ``completed``; ``None`` if all is well."""
        return self.error if self.outcome is None else self.outcome.exception()


@attrs.frozen(kw_only=True)
class BatchProgress:
    """The progress of a batch. Passed to ``on_progress`` after each request that has ended."""

    done: int
    """The requests that have ended, those of the journal included."""
    failed: int
    """Those among them whose response is not complete."""
    total: int | None
    """All requests; ``None`` if the requests have no length."""
    gate: Gate
    """The gate of the batch: its width, its rate, and how long it is closed."""


class Batch:
    """The results of :meth:`ResponsesClient.map`, as they end: ``async for result in batch``.

    Iterating starts the work, and its end closes the batch. To be able to leave earlier, use it in ``async with``: leaving the block cancels
    the open requests. A request that fails is a result and does not end the batch. Iterating raises what the iterable of requests or
    ``on_progress`` raises, ``UsageError`` for a file that is not a journal, and ``OSError`` if the journal cannot be written. Only one
    task may iterate.
    """

    def __init__(
        self,
        core: ClientCore,
        requests: _Requests,
        prepare: Callable[[CreateResponse | JSONObject], CreateResponse | JSONObject],
        *,
        gate: Gate,
        journal: str | os.PathLike[str] | None,
        ordered: bool,
        on_progress: Callable[[BatchProgress], object] | None,
        options: CallOptions,
    ) -> None:
        self._core = attrs.evolve(core, gate=gate)
        self._requests = requests
        self._prepare = prepare
        self._gate = gate
        self._journal_path = journal
        self._ordered = ordered
        self._on_progress = on_progress
        self._options = options
        self._total = len(requests) if isinstance(requests, Sized) else None
        self._done = 0
        self._failed = 0
        self._holder: TaskHolder | None = None
        self._entered = False
        self._reading = False
        self._next = 0  # the index of the next result if they are ordered
        self._early: dict[int, BatchResult] = {}  # those that ended before their turn
        self._room = anyio.Semaphore(_AHEAD * gate.max_width)
        self._ready, self._results = anyio.create_memory_object_stream[BatchResult](math.inf)

    async def __aenter__(self) -> Self:
        self._entered = True
        await self._start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel the open requests and close their connections. Idempotent."""
        if self._holder is not None:
            await self._holder.close()
        self._ready.close()
        self._results.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchResult:
        if self._reading:
            raise LocalProtocolError("another task iterates over this batch")
        self._reading = True
        try:
            if self._holder is None:
                await self._start()
            return await self._receive()
        except BaseException:
            if not self._entered:
                await self.aclose()  # no other code does
            raise
        finally:
            self._reading = False

    async def _start(self) -> None:
        if self._holder is not None:
            raise LocalProtocolError("a batch can be entered only once: call client.map() again")
        self._holder = TaskHolder(self._work)
        self._holder.start()
        try:
            await self._holder.wait_opened()
        except BaseException:
            await self.aclose()
            raise

    async def _receive(self) -> BatchResult:
        while self._next not in self._early:
            try:
                result = await self._results.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                if self._holder is not None:
                    self._holder.raise_failure()
                raise StopAsyncIteration from None
            if not self._ordered:
                self._room.release()
                return result
            self._early[result.index] = result
        self._next += 1
        self._room.release()
        return self._early.pop(self._next - 1)

    # In the background task

    async def _work(self, holder: TaskHolder) -> None:
        opened: AbstractContextManager[Journal | None] = (
            contextlib.nullcontext() if self._journal_path is None else Journal(self._journal_path)
        )
        with self._ready, opened as journal:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._cancel_when_closed, holder, tasks.cancel_scope)
                async with anyio.create_task_group() as calls, contextlib.aclosing(_each(self._requests)) as requests:
                    index = 0
                    async for request in requests:
                        await self._room.acquire()
                        await self._begin(calls.start_soon, journal, index, request)
                        index += 1
                tasks.cancel_scope.cancel()

    async def _cancel_when_closed(self, holder: TaskHolder, scope: anyio.CancelScope) -> None:
        await holder.wait_until_closed()
        scope.cancel()

    async def _begin(
        self, start: Callable[..., object], journal: Journal | None, index: int, request: _Request
    ) -> None:
        """Start the call for one request, unless the journal has its answer or the request is invalid."""
        try:
            whole = {"input": request} if isinstance(request, str) else request
            content = self._prepare(whole)
            key = "" if journal is None else journal.key(self._core.converter.dumps(content))
        except ResponsesProtoError as error:
            self._finish(BatchResult(index=index, request=request, error=error), journal, "")
            return
        entry = (None if journal is None else journal.find(key)) or {}
        if entry.get("status") in _KEPT and "response" in entry:
            response = self._core.converter.load(entry["response"], Response)
            outcome = Outcome.of_response(response)
            self._publish(BatchResult(index=index, request=request, outcome=outcome, from_journal=True))
            await anyio.lowlevel.checkpoint()
            return
        start(self._call, journal, key, index, request, content)

    async def _call(
        self, journal: Journal | None, key: str, index: int, request: _Request, content: CreateResponse | JSONObject
    ) -> None:
        ended: list[CallFinished] = []
        own_hook = self._core.hooks.on_outcome

        def on_outcome(finished: CallFinished) -> None:
            ended.append(finished)
            if own_hook is not None:
                own_hook(finished)

        core = attrs.evolve(self._core, hooks=attrs.evolve(self._core.hooks, on_outcome=on_outcome))
        options = self._options
        if journal is not None:
            own_key = {"idempotency-key": journal.idempotency_key(key)}
            options = attrs.evolve(options, headers={**own_key, **(options.headers or {})})
        outcome, failure = None, None
        try:
            response = await core.call(
                "responses.create", "POST", ["responses"], Response, content=content, options=options
            )
            outcome = Outcome.of_response(response)
        except ResponsesProtoError as error:
            failure = error
        result = BatchResult(
            index=index,
            request=request,
            outcome=outcome,
            error=failure,
            attempts=ended[-1].attempts if ended else 0,
            seconds=ended[-1].elapsed if ended else 0.0,
        )
        self._finish(result, journal, key)

    def _finish(self, result: BatchResult, journal: Journal | None, key: str) -> None:
        if journal is not None and key:
            journal.write(
                {
                    "key": key,
                    "index": result.index,
                    "status": "error" if result.outcome is None else result.outcome.status,
                    "attempts": result.attempts,
                    "seconds": round(result.seconds, 6),
                    **(
                        {"error": str(result.error)}
                        if result.outcome is None
                        else {
                            "output_text": result.outcome.response.output_text,
                            "response": self._core.converter.dump(result.outcome.response),
                        }
                    ),
                }
            )
        self._publish(result)

    def _publish(self, result: BatchResult) -> None:
        self._done += 1
        self._failed += not result.ok
        self._ready.send_nowait(result)
        if self._on_progress is not None:
            progress = BatchProgress(done=self._done, failed=self._failed, total=self._total, gate=self._gate)
            call_hook(self._on_progress, progress)


async def _each(requests: _Requests) -> AsyncGenerator[_Request]:
    if isinstance(requests, AsyncIterable):
        try:
            async for request in requests:
                yield request
        finally:
            if isinstance(requests, AsyncGenerator):
                await requests.aclose()
        return
    for request in requests:
        yield request
