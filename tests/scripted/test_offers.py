"""Which tools are called, by the request and by the user message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.scripted.turns import DOCS, RUN, TIME, WEATHER, call, output, turn

from responses_proto.scripted._offers import callable_tools, choose_calls

if TYPE_CHECKING:
    from responses_proto.scripted._request import ScriptedTurn

SEARCH: dict[str, Any] = {"type": "web_search"}
SHELL: dict[str, Any] = {"type": "namespace", "name": "box", "description": "", "tools": [TIME, {"type": "acme:x"}]}
TOOLS = [SEARCH, WEATHER, TIME, RUN, DOCS]


def names(read: ScriptedTurn) -> list[str]:
    return [wanted.tool.name for wanted in choose_calls(read)]


def test_the_callable_tools() -> None:
    read = turn("x", tools=[*TOOLS, SHELL, {"type": "acme:tool"}])
    found = [(offer.name, offer.namespace, offer.runs_on_client) for offer in callable_tools(read.request.tools or ())]
    assert found == [
        ("web_search", None, False),
        ("get_weather", None, True),
        ("get_time", None, True),
        ("run", None, True),
        ("search", None, False),
        ("fetch", None, False),
        ("get_time", "box", True),
    ]


def function(name: str) -> dict[str, str]:
    return {"type": "function", "name": name}


def allowed(mode: str, *tools: dict[str, str]) -> dict[str, Any]:
    return {"type": "allowed_tools", "mode": mode, "tools": list(tools)}


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (None, ["get_weather"]),
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ("none", []),
        ("acme", ["get_weather"]),
        (function("get_time"), ["get_time"]),
        (function("missing"), []),
        (function("run"), []),
        ({"type": "custom", "name": "run"}, ["run"]),
        ({"type": "mcp", "server_label": "docs"}, ["search"]),
        ({"type": "mcp", "server_label": "docs", "name": "fetch"}, ["fetch"]),
        ({"type": "mcp", "server_label": "other"}, []),
        ({"type": "web_search"}, ["web_search"]),
        ({"type": "file_search"}, []),
        (allowed("auto", function("get_time")), ["get_time"]),
        (allowed("required", {"type": "custom", "name": "run"}), ["run"]),
        (allowed("none", function("get_time")), []),
    ],
)
def test_tool_choice_is_obeyed(choice: object, called: list[str]) -> None:
    assert names(turn("x", tools=TOOLS, tool_choice=choice)) == called


def test_functions_are_preferred_to_hosted_tools() -> None:
    assert names(turn("x", tools=[SEARCH, DOCS])) == ["web_search"]
    assert names(turn("x", tools=[SEARCH, DOCS, TIME])) == ["get_time"]
    assert names(turn("x", tools=[])) == []


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("use get_time", ["get_time"]),
        ("get_time, then get_weather", ["get_time", "get_weather"]),
        ("Get weather and get-time and get_weather again", ["get_weather", "get_time"]),
        ("do a web search", ["web_search"]),
        ("forget_time", ["get_weather"]),
        ("[calls 3] at once", ["get_weather"] * 3),
        ("[calls 3] get_time, get_weather", ["get_time", "get_weather", "get_time"]),
        ("[answer] get_time", []),
    ],
)
def test_tools_that_the_user_names_are_called(text: str, called: list[str]) -> None:
    assert names(turn(text, tools=TOOLS)) == called


def test_arguments_can_be_stated() -> None:
    read = turn(
        'Call get_weather: get_weather({"city": "Rome"}), get_weather {"city": "Oslo"}, get_weather, get_time(',
        tools=TOOLS,
    )
    assert [wanted.arguments for wanted in choose_calls(read)] == ['{"city": "Rome"}', '{"city": "Oslo"}', None]
    assert [wanted.arguments for wanted in choose_calls(turn("get_weather({no json})", tools=TOOLS))] == [None]


def test_one_call_without_parallel_tool_calls() -> None:
    assert names(turn("get_time, get_weather", tools=TOOLS, parallel_tool_calls=False)) == ["get_time"]
    assert names(turn("[calls 5]", tools=TOOLS, parallel_tool_calls=False)) == ["get_weather"]


def test_max_tool_calls_bounds_hosted_tools() -> None:
    read = turn("web_search, search, fetch, get_time", tools=TOOLS, max_tool_calls=1)
    assert names(read) == ["web_search", "get_time"]


def test_nothing_is_called_after_an_output() -> None:
    assert names(turn("get_time", call("get_time", "1"), output("noon", "1"), tools=TOOLS)) == []
    assert names(turn("x", call("get_time", "1"), output("noon", "1"), "and now?", tools=TOOLS)) == ["get_weather"]


def test_a_required_call_after_an_output_is_of_a_tool_not_called_yet() -> None:
    items = ("x", call("get_weather", "1"), output("sunny", "1"))
    assert names(turn(*items, tools=[WEATHER, TIME], tool_choice="required")) == ["get_time"]
    assert names(turn(*items, tools=[WEATHER], tool_choice="required")) == []
    assert names(turn("[answer]", tools=[WEATHER], tool_choice="required")) == ["get_weather"]


def test_names_take_time_in_proportion_to_the_text() -> None:
    read = turn("f(" * 50_000 + "g f_g", tools=[function(name) for name in ("f", "g", "f_g")])
    assert names(read) == ["f", "g", "f_g"]  # took minutes when each name was compared with each


@pytest.mark.parametrize(
    "text", ["Call both tools.", "Use all of the tools", "please call each function once", "Call BOTH functions"]
)
def test_all_tools_can_be_asked_for(text: str) -> None:
    tools = [SEARCH, function("one"), function("two")]
    assert names(turn(text, tools=tools)) == ["one", "two"]
    assert names(turn(text, tools=tools, parallel_tool_calls=False)) == ["one"]
    assert names(turn("Tell me all about tools.", tools=tools)) == ["one"]
