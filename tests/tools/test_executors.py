"""Functions, texts and handlers as tools."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.support import both_loops, run
from tests.tool_runs import approval_request, custom_call, function_call

from responses_proto.codec import dump
from responses_proto.exceptions import LocalProtocolError, ToolArgumentsInvalid
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
    ProgressReporter,
    ToolContext,
    ToolExecutor,
    ToolOutput,
    custom_tool,
    function_tool,
    handler,
)
from responses_proto.tools.executors import names_of

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


def test_what_a_function_says_of_itself_can_be_said_otherwise() -> None:
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


def test_a_function_stays_a_function() -> None:
    assert double(4) == 8
    assert double.__name__ == "double"  # type: ignore[attr-defined] # as functools.wraps has it
    assert (double.__doc__ or "").startswith("Double a number.")
    assert repr(double) == "<Function double>"
    anyio.run(functools.partial(wait, 0.0))


@both_loops
def test_calls_are_checked_made_and_answered(backend: str) -> None:
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


def test_only_calls_of_its_name_are_a_functions() -> None:
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
def test_whatever_can_be_called_can_be_a_tool(backend: str) -> None:
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
        with pytest.raises(LocalProtocolError, match=r"Counter\.add is a method: give the run that of an object"):
            Counter.add.definitions()

    run(backend, test)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: function_tool(lambda: None), "has no name that a tool can have"),
        (lambda: function_tool(double, name=""), "has no name that a tool can have"),
        (lambda: function_tool(int), "a tool is made of a function or a method, not of <class 'int'>"),
        (lambda: function_tool(wait, timeout=0), "timeout has to be a number of seconds above 0, not 0"),
        (lambda: function_tool(wait, timeout=float("inf")), "timeout has to be a number"),
        (lambda: custom_tool(lambda: "", name="x"), "has to take the text"),
        (lambda: custom_tool(print, name="x"), "a model can only give arguments that have names"),
        (lambda: handler("shell_call", lambda: ""), "has to take the call"),
        (lambda: handler("message", double), "no call of kind 'message' waits for a handler, only apply_patch_call, "),
        (lambda: handler("mcp_approval_request", double), "no call of kind 'mcp_approval_request'"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_in_words(make: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        make()


# ---- free text


def test_a_custom_tool_takes_the_text_as_it_is() -> None:
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
        assert repr(executor) == "<Handler shell_call>"
        assert not executor.handles(function_call())
        output = await execute(executor, LIST_FILES)
        assert output == ToolOutput([ShellOutput(stdout="ls", stderr="", outcome=ExitOutcome(exit_code=0))])

    run(backend, test)


def test_a_handler_of_named_calls_takes_those_that_it_defines() -> None:
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


def test_what_calls_name_is_the_namespace_and_the_tool() -> None:
    tools: list[Tool] = [
        WebSearchTool(),
        CustomTool(name="a"),
        NamespaceTool(name="n", description="", tools=[FunctionTool(name="b")]),
    ]
    assert list(names_of(tools)) == [("", "a"), ("n", "b")]


# ---- the context


def test_the_context_tells_progress_as_long_as_somebody_waits() -> None:
    told: list[ProgressReporter] = []
    context = ToolContext(approval_request(), response_id="resp_1", turn=2, timeout=60, on_progress=told.append)
    context.progress("half", done=1, total=2)
    context.progress(done=2)
    context.cancelled = True
    context.progress("late")
    assert told == [ProgressReporter("half", 1, 2), ProgressReporter("", 2)]
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
