"""The items of hosted tools that an operator's executor runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from responses_proto.chat._hosted import close_call, open_call, stand_ins
from responses_proto.codec import dump
from responses_proto.exceptions import UsageError
from responses_proto.models import FunctionTool
from responses_proto.protocol._requests import id_of
from responses_proto.tools import ToolOutput, custom_tool, function_tool

SEARCHES = {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"}


@function_tool
def search(query: str, pages: int = 1) -> str:
    """Search."""
    return query * pages


def ids(prefix: str) -> str:
    return f"{prefix}_1"


@pytest.mark.parametrize(
    ("type_", "begun", "ended"),
    [
        ("web_search", {"action": {"type": "search", "query": "cats", "queries": ["cats"]}}, {}),
        ("web_search_preview", {"action": {"type": "search", "query": "cats", "queries": ["cats"]}}, {}),
        ("file_search", {"queries": ["cats"]}, {}),
        (
            "code_interpreter",
            {"code": "cats", "container_id": "cntr_1"},
            {"outputs": [{"type": "logs", "logs": "Found."}]},
        ),
    ],
)
def test_a_call_is_an_item_of_its_type(type_: str, begun: dict[str, Any], ended: dict[str, Any]) -> None:
    item = open_call(type_, '{"pages": 2, "query": "cats"}', ids)
    assert dump(item) == {"type": item.type, "id": id_of(item), "status": "in_progress", **begun}
    done = close_call(item, ToolOutput("Found."))
    assert dump(done) == {**dump(item), "status": "completed", **ended}
    failed = close_call(item, ToolOutput([], failed=True))
    assert dump(failed)["status"] == "failed"


@pytest.mark.parametrize("arguments", ["cats", "[1]", '"cats"', '{"query": ', "{}"])
def test_arguments_that_are_not_an_object_are_kept_as_they_are(arguments: str) -> None:
    item = open_call("file_search", arguments, ids)
    assert dump(item)["queries"] == ["" if arguments == "{}" else arguments]


def test_arguments_of_any_depth_are_read() -> None:
    item = open_call("file_search", "[" * 5000 + "]" * 5000, ids)
    assert json.loads(json.dumps(dump(item)))["status"] == "in_progress"


def test_an_executor_stands_for_a_tool() -> None:
    assert stand_ins({}) == {}
    found = stand_ins({"file_search": search})
    assert isinstance(found["file_search"], FunctionTool)
    assert found["file_search"].name == "search"


def test_a_search_stands_for_its_versions() -> None:
    assert stand_ins({"web_search": search}).keys() == SEARCHES


def test_a_tool_that_is_left_out_has_no_stand_in() -> None:
    assert stand_ins({"web_search": None, "web_search_preview": search, "shell": None}) == {
        **dict.fromkeys(SEARCHES),
        "web_search_preview": search.definitions()[0],
        "shell": None,
    }
    for translated in ("function", "custom", "mcp", "tool_search"):
        with pytest.raises(UsageError, match=f"'{translated}' cannot be left out"):
            stand_ins({translated: None})


def test_what_cannot_stand_for_a_tool_is_refused() -> None:
    with pytest.raises(UsageError, match="'shell' is not a hosted tool"):
        stand_ins({"shell": search})

    @custom_tool
    def run(text: str) -> str:
        return text

    with pytest.raises(UsageError, match="exactly one function"):
        stand_ins({"web_search": run})
