"""Function tools, custom tools and handlers."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.support import both_loops, run
from tests.tool_runs import approval_request, custom_call, function_call

from responses_proto.codec import dump
from responses_proto.exceptions import ToolArgumentsInvalid, UsageError
from responses_proto.models.actions import ExitOutcome, ShellAction, ShellOutput
from responses_proto.models.content import InputImage
from responses_proto.models.items import FunctionCall, Message, ShellCall
from responses_proto.models.tools import (
    CustomTool,
    CustomToolGrammarFormat,
    FunctionTool,
    LocalEnvironment,
    NamespaceTool,
    ShellTool,
    WebSearchTool,
)
from responses_proto.tools import (
    Function,
    ProgressReport,
    ToolContext,
    ToolExecutor,
    ToolOutput,
    custom_tool,
    function_tool,
    handler,
)
from responses_proto.tools.loop import tool_names

if TYPE_CHECKING:
    from responses_proto.models.items import Item
    from responses_proto.models.response import PendingCall
    from responses_proto.models.tools import Tool


async def execute(executor: ToolExecutor, call: PendingCall) -> ToolOutput:
    assert executor.handles(call)
    return await executor.execute(call, ToolContext(call))


# ---- functions


@function_tool
def double(n: int) -> int:
    """Double a number.

    Args:
        n: Any number.
    """
    return 2 * n


@function_tool(
    name="wait_for", description="Wait.", strict=False, timeout=3, allowed_callers=["direct"], defer_loading=True
)
async def wait(seconds: float = 0) -> str:
    await anyio.sleep(seconds)
    return "waited"


def test_a_function_is_defined_by_its_signature_and_docstring() -> None:
    assert dump(double.definition) == {
        "type": "function",
        "name": "double",
        "description": "Double a number.",
        "parameters": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": "Any number."}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "strict": True,
    }
    assert double.definitions() == [double.definition]
    assert (double.name, double.timeout) == ("double", None)


def test_name_and_description_can_be_overridden() -> None:
    wire = dump(wait.definition)
    assert wire.pop("parameters")["required"] == []
    assert wire == {
        "type": "function",
        "name": "wait_for",
        "description": "Wait.",
        "strict": False,
        "allowed_callers": ["direct"],
        "defer_loading": True,
    }
    assert (wait.name, wait.timeout) == ("wait_for", 3)


def test_a_tool_can_be_called_as_the_function() -> None:
    assert double(4) == 8
    assert double.__name__ == "double"  # type: ignore[attr-defined] # as functools.wraps has it
    assert (double.__doc__ or "").startswith("Double a number.")
    assert repr(double) == "<Function double>"
    anyio.run(functools.partial(wait, 0.0))


@both_loops
def test_a_call_is_checked_executed_and_answered(backend: str) -> None:
    async def test() -> None:
        output = await execute(double, function_call(arguments='{"n": 4}', name="double"))
        assert output == ToolOutput("8")
        assert output.value == 8
        assert await execute(wait, function_call(arguments="{}", name="wait_for")) == ToolOutput("waited")
        call = function_call(arguments='{"n": "4"}', name="double")
        with pytest.raises(ToolArgumentsInvalid) as caught:
            await execute(double, call)
        assert (caught.value.path, caught.value.call) == ("$.n", call)

    run(backend, test)


def test_a_function_handles_only_calls_of_its_name() -> None:
    calls: list[tuple[Item, bool]] = [
        (function_call(name="double"), True),
        (function_call(name="triple"), False),
        (custom_call(name="double"), False),
        (FunctionCall(call_id="c", name="double", arguments="{}", namespace="other"), False),
        (Message(role="user", content="double"), False),
    ]
    assert [double.handles(item) for item, _ in calls] == [handled for _, handled in calls]


@both_loops
def test_a_plain_function_is_called_in_a_worker_thread(backend: str) -> None:
    async def test() -> None:
        @function_tool
        def where() -> int:
            return threading.get_ident()

        @function_tool
        async def here() -> int:
            return threading.get_ident()

        there = await execute(where, function_call(arguments="{}", name="where"))
        assert there.value != threading.get_ident()
        assert (await execute(here, function_call(arguments="{}", name="here"))).value == threading.get_ident()

    run(backend, test)


@both_loops
def test_every_kind_of_callable_can_be_a_tool(backend: str) -> None:
    class Counter:
        """Counts."""

        def __init__(self) -> None:
            self.count = 0

        @function_tool
        def add(self, n: int) -> int:
            """Add."""
            self.count += n
            return self.count

        @custom_tool
        async def read(self, context: ToolContext, text: str) -> str:
            """Read."""
            return f"{context.call.type} {text} {self.count}"

        def plain(self, n: int) -> int:
            return self.count * n

        async def __call__(self, n: int) -> int:
            return -n

    async def test() -> None:
        counter = Counter()
        assert counter.add(2) == 2
        assert (await execute(counter.add, function_call(arguments='{"n": 3}', name="add"))).value == 5
        assert await execute(counter.read, custom_call(text="x", name="read")) == ToolOutput("custom_tool_call x 5")
        assert (
            await execute(function_tool(counter.plain), function_call(arguments='{"n": 3}', name="plain"))
        ).value == 15
        assert (await execute(function_tool(counter), function_call(arguments='{"n": 3}', name="Counter"))).value == -3
        later = function_tool(lambda: wait(0), name="later")  # a function that gives something to await
        assert await execute(later, function_call(arguments="{}", name="later")) == ToolOutput("waited")
        assert isinstance(Counter.add, Function)
        with pytest.raises(UsageError, match=r"Counter\.add is a method without an object"):
            Counter.add.definitions()

    run(backend, test)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: function_tool(lambda: None), "has no name that a tool can have"),
        (lambda: function_tool(double, name=""), "has no name that a tool can have"),
        (lambda: function_tool(int), "a tool must be made from a function or a method, got <class 'int'>"),
        (lambda: function_tool(wait, timeout=0), "timeout must be a finite number of seconds above 0, got 0"),
        (lambda: function_tool(wait, timeout=float("inf")), "timeout must be a finite number"),
        (lambda: custom_tool(lambda: "", name="x"), "must take one positional argument, the text"),
        (lambda: custom_tool(print, name="x"), "a model passes arguments by name"),
        (lambda: handler("shell_call", lambda: ""), "must take one positional argument, the call"),
        (lambda: handler("message", double), "a handler can answer apply_patch_call, .*, not 'message'"),
        (lambda: handler("mcp_approval_request", double), "not 'mcp_approval_request'"),
    ],
)
def test_unsuitable_functions_are_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


# ---- free text


def test_a_custom_tool_gets_the_text_unchanged() -> None:
    grammar = CustomToolGrammarFormat(definition='start: "a"', syntax="lark")

    @custom_tool(format=grammar, timeout=2.5)
    def run_query(query: str) -> str:
        """Run it."""
        return query.upper()

    assert run_query.definition == CustomTool(name="run_query", description="Run it.", format=grammar)
    assert run_query.timeout == 2.5
    assert run_query.handles(custom_call(name="run_query"))
    assert not run_query.handles(function_call(name="run_query"))

    async def test() -> None:
        assert await execute(run_query, custom_call(text="select", name="run_query")) == ToolOutput("SELECT")

    run("asyncio", test)


# ---- handlers


SHELL = ShellTool(environment=LocalEnvironment())
LIST_FILES = ShellCall(
    call_id="c", action=ShellAction(commands=["ls"]), environment=LocalEnvironment(), status="completed"
)


@both_loops
@pytest.mark.parametrize("kind", ["shell_call", ShellCall])
def test_a_handler_gets_the_calls_of_its_kind(backend: str, kind: Any) -> None:
    def perform(context: ToolContext, call: ShellCall) -> list[ShellOutput]:
        assert context.call is call
        return [
            ShellOutput(stdout=command, stderr="", outcome=ExitOutcome(exit_code=0)) for command in call.action.commands
        ]

    async def test() -> None:
        executor = handler(kind, perform, definition=SHELL, timeout=5)
        assert executor.definitions() == [SHELL]
        assert (executor.kind, executor.timeout) == ("shell_call", 5)
        assert repr(executor) == "<ItemHandler shell_call>"
        assert not executor.handles(function_call())
        output = await execute(executor, LIST_FILES)
        assert output == ToolOutput([ShellOutput(stdout="ls", stderr="", outcome=ExitOutcome(exit_code=0))])

    run(backend, test)


def test_a_handler_handles_calls_of_the_tools_that_it_defines() -> None:
    tools: list[Any] = [
        {"type": "function", "name": "work"},
        NamespaceTool(name="shop", description="", tools=[FunctionTool(name="buy")]),
    ]

    def perform(call: FunctionCall) -> str:
        return call.name

    some = handler("function_call", perform, definition=tools)
    assert dump(some.definitions()) == dump(tools)
    calls = [
        (function_call(name="work"), True),
        (function_call(name="play"), False),
        (function_call(name="buy"), False),
        (FunctionCall(call_id="c", name="buy", arguments="", namespace="shop"), True),
    ]
    assert [some.handles(call) for call, _ in calls] == [handled for _, handled in calls]
    every = handler("function_call", perform)
    assert all(every.handles(call) for call, _ in calls)
    assert every.definitions() == []


def test_tool_names_are_pairs_of_namespace_and_name() -> None:
    tools: list[Tool] = [
        WebSearchTool(),
        CustomTool(name="a"),
        NamespaceTool(name="n", description="", tools=[FunctionTool(name="b")]),
    ]
    assert list(tool_names(tools)) == [("", "a"), ("n", "b")]


# ---- the context


def test_the_context_reports_progress_until_it_is_cancelled() -> None:
    told: list[ProgressReport] = []
    context = ToolContext(approval_request(), response_id="resp_1", turn=2, timeout=60, on_progress=told.append)
    context.progress("half", done=1, total=2)
    context.progress(done=2)
    context.cancelled = True
    context.progress("late")
    assert told == [ProgressReport("half", 1, 2), ProgressReport("", 2)]
    assert 50 < (context.seconds_left or 0) <= 60
    assert (context.response_id, context.turn) == ("resp_1", 2)


def test_a_context_made_by_hand_needs_only_the_call() -> None:
    context = ToolContext(function_call())
    context.progress("to nobody")
    assert (context.seconds_left, context.cancelled, context.turn) == (None, False, 1)


def test_an_image_is_an_output() -> None:
    @function_tool
    def look() -> InputImage:
        return InputImage(file_id="file_1")

    async def test() -> None:
        assert await execute(look, function_call(arguments="", name="look")) == ToolOutput(InputImage(file_id="file_1"))

    run("trio", test)
