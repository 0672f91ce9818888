"""Toolbox: executors, definitions, and which executor gets a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.tool_runs import function_call, work

from responses_proto import CreateResponse
from responses_proto.codec import dump
from responses_proto.exceptions import UsageError
from responses_proto.models.tools import CustomTool, FunctionTool, McpTool, NamespaceTool
from responses_proto.tools import Function, ItemHandler, handler
from responses_proto.tools._toolbox import Toolbox

if TYPE_CHECKING:
    from responses_proto.models.items import FunctionCall
    from responses_proto.models.tools import Tool

REQUEST = CreateResponse(model="m", input="Go.")


def plain(n: int) -> int:
    return n


def every(call: FunctionCall) -> str:
    return call.name


def test_functions_and_executors_execute_calls_and_definitions_are_only_offered() -> None:
    hosted = McpTool(server_label="s", server_url="https://x.example")
    box = Toolbox([work, plain, hosted, {"type": "acme:search"}, handler("function_call", every)])
    assert [type(executor) for executor in box.executors] == [Function, Function, ItemHandler]
    asked = dump(box.request_with_tools(REQUEST))
    assert [tool.get("name", tool["type"]) for tool in asked["tools"]] == ["mcp", "acme:search", "work", "plain"]


def test_the_first_that_handles_a_call_gets_it() -> None:
    box = Toolbox([work, handler("function_call", every)])
    box.request_with_tools(REQUEST)
    assert box.executor_of(function_call()) is box.executors[0]
    assert box.executor_of(function_call(name="other")) is box.executors[1]
    assert Toolbox([work]).executor_of(function_call(name="other")) is None


def test_a_request_is_unchanged_without_tools_to_add() -> None:
    assert Toolbox([]).request_with_tools(REQUEST) is REQUEST
    raw: dict[str, Any] = {"model": "m", "tools": [{"type": "function", "name": "own"}]}
    assert Toolbox([]).request_with_tools(raw) == raw
    assert Toolbox([work]).request_with_tools(raw)["tools"] == [*raw["tools"], work.definition]  # type: ignore[index] # a raw one
    assert raw == {"model": "m", "tools": [{"type": "function", "name": "own"}]}


def test_what_is_offered_is_known_by_name() -> None:
    box = Toolbox([{"type": "function", "name": "raw"}])
    box.request_with_tools(CreateResponse(model="m", tools=[FunctionTool(name="own")]))
    names = {
        name: box.offers(function_call(name=name), [FunctionTool(name="more")]) for name in ("raw", "own", "more", "x")
    }
    assert names == {"raw": True, "own": True, "more": True, "x": False}


@pytest.mark.parametrize(
    "tools",
    [
        [work, FunctionTool(name="work")],
        [FunctionTool(name="a"), CustomTool(name="a")],
        [{"type": "function", "name": "a"}, FunctionTool(name="a")],
        [NamespaceTool(name="n", description="", tools=[FunctionTool(name="a"), FunctionTool(name="a")])],
    ],
)
def test_two_tools_with_the_same_name_are_refused(tools: Any) -> None:
    with pytest.raises(UsageError, match=r"two tools have the name '(work|a)': rename one of them"):
        Toolbox(tools).request_with_tools(REQUEST)


def test_a_namespace_keeps_names_apart() -> None:
    tools: list[Tool] = [
        FunctionTool(name="a"),
        NamespaceTool(name="n", description="", tools=[FunctionTool(name="a")]),
    ]
    assert dump(Toolbox(tools).request_with_tools(REQUEST))["tools"] == dump(tools)


@pytest.mark.parametrize("tool", [3, "work", REQUEST, function_call()])
def test_other_values_are_refused(tool: Any) -> None:
    with pytest.raises(UsageError, match="a tool must be a function, a ToolExecutor, a definition"):
        Toolbox([tool])
