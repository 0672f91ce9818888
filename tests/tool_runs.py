"""Helpers for tests of tools: responses with calls, and executors that answer them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
import attrs

from responses_proto import Response, ResponsesClient
from responses_proto.models.content import OutputText
from responses_proto.models.items import CustomToolCall, FunctionCall, McpApprovalRequest, Message
from responses_proto.models.response import InputTokensDetails, OutputTokensDetails, Usage
from responses_proto.models.tools import FunctionTool
from responses_proto.testing import FakeServer, Script
from responses_proto.tools import LocalEvent, function_tool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from types import TracebackType

    from responses_proto import Limits, RetryPolicy
    from responses_proto.models.items import Item
    from responses_proto.models.response import PendingCall
    from responses_proto.models.tools import Tool
    from responses_proto.testing import Scriptable
    from responses_proto.tools import Run, RunEvent, RunResult, ToolContext, ToolLoop, ToolOutput, Tools

T = TypeVar("T")

SAID = "All done."


def usage(read: int, written: int) -> Usage:
    return Usage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=read + written,
        input_tokens_details=InputTokensDetails(cached_tokens=1),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=2),
    )


def turn(*output: Item, number: int = 1, status: str = "completed", store: Any = True, **fields: Any) -> Response:
    """Return a response with the id ``resp_<number>``, of a server that stored it."""
    return Response(
        id=f"resp_{number}",
        model="m",
        status=status,
        output=list(output),
        created_at=1,
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
        usage=usage(10, number),
        store=store,
        **fields,
    )


def said(text: str = SAID, number: int = 9) -> Response:
    """Return a response with one message and no calls."""
    content = [OutputText(text=text, annotations=[])]
    return turn(Message(id=f"msg_{number}", role="assistant", status="completed", content=[*content]), number=number)


async def read_all(agent: Run[Any]) -> None:
    """Read a run to its end."""
    async with agent:
        async for _ in agent:
            pass


def function_call(number: int = 1, arguments: str = '{"n": 1}', name: str = "work") -> FunctionCall:
    return FunctionCall(id=f"fc_{number}", call_id=f"call_{number}", name=name, arguments=arguments, status="completed")


def custom_call(number: int = 1, text: str = "1", name: str = "work") -> CustomToolCall:
    return CustomToolCall(id=f"ctc_{number}", call_id=f"call_{number}", name=name, input=text)


def approval_request(number: int = 1, arguments: str = '{"n": 1}', name: str = "work") -> McpApprovalRequest:
    return McpApprovalRequest(id=f"mcpr_{number}", server_label="server", name=name, arguments=arguments)


def client_of(
    server: FakeServer, *, dialect: str | None = None, limits: Limits | None = None, retry: RetryPolicy | None = None
) -> ResponsesClient:
    """Return a client of a fake server, in memory."""
    return ResponsesClient(server.url, "key", http_client=server.transport, dialect=dialect, limits=limits, retry=retry)


@attrs.define(eq=False)
class Source:
    """An executor that a run must enter, like one that holds a connection. It answers calls of ``work``."""

    work: Callable[[ToolContext], Awaitable[ToolOutput]]
    entered: bool = False
    times_entered: int = 0
    name: str = "work"

    async def __aenter__(self) -> None:
        self.entered = True
        self.times_entered += 1

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.entered = False

    def definitions(self) -> list[Tool]:
        assert self.entered
        return [FunctionTool(name=self.name, parameters={"type": "object"}, strict=False)]

    def handles(self, item: Item) -> bool:
        return isinstance(item, FunctionCall) and item.name == self.name

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        assert self.entered
        assert context.call is call
        return await self.work(context)


# ---- runs

ASKED: dict[str, Any] = {"model": "m", "input": "Go."}


@function_tool
async def work(n: int) -> str:
    """Do the work."""
    await anyio.lowlevel.checkpoint()
    return f"done {n}"


@function_tool
async def fail() -> str:
    """Do not do it."""
    await anyio.lowlevel.checkpoint()
    raise ValueError("it broke")


@function_tool
async def wait_forever() -> str:
    """Never return."""
    await anyio.sleep_forever()
    return "never"


def failing(number: int = 1) -> FunctionCall:
    return function_call(number, "{}", "fail")


def waiting(number: int = 1) -> FunctionCall:
    return function_call(number, "{}", "wait_forever")


TOOLS: Tools = [work, fail, wait_forever]


@asynccontextmanager
async def serving(*answers: Scriptable, **options: Any) -> AsyncGenerator[tuple[FakeServer, ResponsesClient]]:
    """Serve the answers in turn to a client, in memory."""
    async with FakeServer(Script(*answers), listen=False) as server, client_of(server, **options) as client:
        yield server, client


async def finish(agent: Run[T]) -> tuple[list[RunEvent], RunResult[T]]:
    async with agent:
        events = [event async for event in agent]
        return events, await agent.result()


def names(events: Sequence[object]) -> list[str]:
    return [type(event).__name__ for event in events]


def local(events: Sequence[RunEvent]) -> list[LocalEvent]:
    return [event for event in events if isinstance(event, LocalEvent)]


def texts(loop: ToolLoop) -> list[str]:
    """Return the text of each answer, in order."""
    return [str(getattr(item, "output", item)) for turn_ in loop.turns for item in turn_.outputs]
