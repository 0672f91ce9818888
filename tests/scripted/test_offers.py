"""Which tools are called: by what the request allows, and by what the user message names."""

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


def test_everything_that_can_be_called_is_an_offer() -> None:
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
def test_the_choice_is_kept(choice: object, called: list[str]) -> None:
    assert names(turn("x", tools=TOOLS, tool_choice=choice)) == called


def test_a_function_comes_before_what_the_server_runs() -> None:
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
def test_what_the_user_names_is_called(text: str, called: list[str]) -> None:
    assert names(turn(text, tools=TOOLS)) == called


def test_arguments_can_be_stated() -> None:
    read = turn(
        'Call get_weather: get_weather({"city": "Rome"}), get_weather {"city": "Oslo"}, get_weather, get_time(',
        tools=TOOLS,
    )
    assert [wanted.arguments for wanted in choose_calls(read)] == ['{"city": "Rome"}', '{"city": "Oslo"}', None]
    assert [wanted.arguments for wanted in choose_calls(turn("get_weather({no json})", tools=TOOLS))] == [None]


def test_one_call_where_several_are_not_allowed() -> None:
    assert names(turn("get_time, get_weather", tools=TOOLS, parallel_tool_calls=False)) == ["get_time"]
    assert names(turn("[calls 5]", tools=TOOLS, parallel_tool_calls=False)) == ["get_weather"]


def test_the_server_runs_no_more_than_it_may() -> None:
    read = turn("web_search, search, fetch, get_time", tools=TOOLS, max_tool_calls=1)
    assert names(read) == ["web_search", "get_time"]


def test_after_an_output_nothing_is_called() -> None:
    assert names(turn("get_time", call("get_time", "1"), output("noon", "1"), tools=TOOLS)) == []
    assert names(turn("x", call("get_time", "1"), output("noon", "1"), "and now?", tools=TOOLS)) == ["get_weather"]


def test_after_an_output_the_request_may_insist_on_what_was_not_called() -> None:
    items = ("x", call("get_weather", "1"), output("sunny", "1"))
    assert names(turn(*items, tools=[WEATHER, TIME], tool_choice="required")) == ["get_time"]
    assert names(turn(*items, tools=[WEATHER], tool_choice="required")) == []
    assert names(turn("[answer]", tools=[WEATHER], tool_choice="required")) == ["get_weather"]
