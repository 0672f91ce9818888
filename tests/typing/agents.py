"""What tools, runs and the loop take and give, in pyright and mypy alike. Checked by test_typing.py, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from responses_proto.models import (
    CreateResponse,
    CustomTool,
    CustomToolCall,
    FunctionCall,
    FunctionTool,
    Item,
    LocalEnvironment,
    McpApprovalRequest,
    McpTool,
    OutputTextDelta,
    Response,
    ShellCall,
    ShellTool,
    Tool,
)
from responses_proto.models.response import PendingCall, Usage
from responses_proto.protocol import fit
from responses_proto.schema import Incomplete, Invalid, Parsed, Refused
from responses_proto.tools import (
    Approval,
    Effect,
    Function,
    ItemHandler,
    LocalEvent,
    LoopTurn,
    Perform,
    Run,
    RunEvent,
    RunResult,
    RunStopReason,
    ToolContext,
    ToolExecutor,
    ToolFinished,
    ToolLoop,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnStarted,
    custom_tool,
    function_tool,
    handler,
)

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.typing import JSONObject


@function_tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


@function_tool(name="wait_for", timeout=3)
async def wait(context: ToolContext, seconds: float = 0) -> str:
    """Wait."""
    return f"{context.turn} {seconds}"


@custom_tool
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


class Counter:
    """Has a method that is a tool."""

    @function_tool
    def add(self, n: int) -> int:
        """Add."""
        return n


class Own:
    """An executor of one's own."""

    def definitions(self) -> list[Tool]:
        """Offer."""
        return []

    def handles(self, item: Item) -> bool:
        """Choose."""
        return isinstance(item, FunctionCall)

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Do."""
        context.progress("half", done=1, total=2)
        return ToolOutput(call.type, failed=True, value={"a": 1})


def perform(context: ToolContext, call: ShellCall) -> str:
    """Run it."""
    return context.response_id + call.call_id


async def functions_keep_their_types(context: ToolContext) -> None:
    assert_type(double(2), int)
    assert_type(await wait(context, seconds=1.0), str)
    assert_type(shout("x"), str)
    assert_type(Counter().add(3), int)
    assert_type(double.definition, FunctionTool)
    assert_type(shout.definition, CustomTool)
    assert_type(Counter().add.definition, FunctionTool)
    executors: list[ToolExecutor] = [double, wait, shout, Counter().add, Own(), handler("shell_call", perform)]
    assert_type(await executors[0].execute(FunctionCall(call_id="c", name="n", arguments=""), context), ToolOutput)
    assert_type(handler(ShellCall, perform, definition=ShellTool(environment=LocalEnvironment())), ItemHandler)


def approve(request: PendingCall) -> Approval:
    """Decide."""
    return Approval(isinstance(request, McpApprovalRequest) and request.name == "read", remember=True)


async def approve_later(request: PendingCall) -> bool | None:
    """Decide, or leave it."""
    return isinstance(request, FunctionCall) or None


async def runs_take_tools_of_all_kinds(client: ResponsesClient, raw: JSONObject, loop: ToolLoop) -> None:
    remote = McpTool(server_label="s", server_url="https://x.example")
    run = client.run(
        model="m",
        input="x",
        tools=[double, wait, shout, Counter().add, Own(), remote, raw, len, Counter().add],
        approve=approve,
        start="item_done",
        on_error="raise",
        max_turns=None,
        tool_timeout=1,
    )
    assert_type(run, Run[None])
    client.run(CreateResponse(model="m"), tools=[double], temperature=0.5, continuation="history")
    client.run(raw, approve=approve_later)
    client.run(loop, max_turns=3, start="manual")


async def runs_tell_events(run: Run) -> str:
    async with run:
        async for event in run:
            assert_type(event, RunEvent)
            match event:
                case OutputTextDelta(delta=text):
                    assert_type(text, str)
                case ToolStarted(call):
                    assert_type(call, PendingCall)
                    run.start(call)
                    run.answer(call, "by hand")
                case ToolFinished(call=FunctionCall(name=name), output=output, error=error):
                    assert_type(name, str)
                    assert_type(output, Item)
                    assert_type(error, Exception | None)
                case ToolProgress(done=done):
                    assert_type(done, float | None)
                case TurnStarted(number):
                    assert_type(number, int)
                case LocalEvent():
                    return event.type
                case _:
                    return event.type
        result = await run.result()
    assert_type(result, RunResult)
    assert_type(result.response, Response)
    assert_type(result.items, list[Item])
    assert_type(result.turns, tuple[LoopTurn, ...])
    assert_type(result.usage, Usage | None)
    assert_type(result.stopped, RunStopReason)
    return result.output_text


def a_loop_goes_round(loop: ToolLoop, response: Response) -> None:
    for call in loop.receive(response):
        assert_type(call, PendingCall)
        assert_type(loop.answer(call, "x"), Item | None)
        loop.answer(call, ToolOutput("x"))
        loop.answer(call, Approval(approve=False))
    CreateResponse(model="m", input=[*loop.items, *loop.history])


class Shop:
    """What tools need."""

    prices: dict[str, int]


@function_tool(needs_approval=lambda call: "9" in call.arguments)
def price(context: ToolContext[Shop], article: str) -> int:
    """Return a price."""
    assert_type(context.deps, Shop)
    return context.deps.prices[article]


async def needs_it(call: CustomToolCall) -> bool:
    """Decide later."""
    return call.input == "x"


custom_tool(shout, needs_approval=needs_it)
handler(ShellCall, lambda call: call.call_id, needs_approval=lambda call: bool(call.action.commands))


async def journal(effect: Effect, perform: Perform) -> JSONObject:
    """Perform an effect."""
    assert_type(effect.key, str)
    return await perform()


def shorter(items: list[Item]) -> list[Item]:
    """Make the input shorter."""
    return fit(items, max_bytes=1000, max_images=2)


async def runs_have_typed_answers(client: ResponsesClient, loop: ToolLoop) -> Shop | None:
    run = client.run(
        model="m",
        tools=[price],
        deps=Shop(),
        output=Shop,
        repairs=2,
        max_tokens=10,
        max_tool_calls=3,
        on_effect=journal,
        edit_input=shorter,
    )
    assert_type(run, Run[Shop])
    assert_type(client.run(loop, output=list[int]), Run[list[int]])
    await runs_tell_events(run)  # a helper for any run
    result = await run.result()
    match result.parsed:
        case Parsed(value=shop):
            assert_type(shop, Shop)
            return shop
        case Refused() | Incomplete() | Invalid():
            return None


def a_loop_is_json(loop: ToolLoop) -> ToolLoop:
    return ToolLoop.load(loop.dump())


def a_function_may_come_as_a_variable(tool: Function[[int], int, FunctionTool]) -> int:
    return tool(3)
