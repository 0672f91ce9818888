"""The items of hosted tools, complete enough for a strict reader, and who runs the tools."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scripted.turns import counted, turn

from responses_proto.codec import dump, load, make_converter
from responses_proto.models.items import Item
from responses_proto.models.response import Response
from responses_proto.models.tools import TOOL_TYPES, Tool
from responses_proto.scripted._hosted import HOSTED

# tool -> the items of a call, and whether the client runs it
CALLS: list[tuple[dict[str, Any], list[str], bool]] = [
    ({"type": "web_search"}, ["web_search_call"], False),
    ({"type": "web_search_2025_08_26"}, ["web_search_call"], False),
    ({"type": "web_search_preview"}, ["web_search_call"], False),
    ({"type": "web_search_preview_2025_03_11"}, ["web_search_call"], False),
    ({"type": "file_search", "vector_store_ids": ["vs"]}, ["file_search_call"], False),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, ["code_interpreter_call"], False),
    ({"type": "code_interpreter", "container": "cntr_1"}, ["code_interpreter_call"], False),
    ({"type": "image_generation"}, ["image_generation_call"], False),
    ({"type": "shell", "environment": {"type": "container_auto"}}, ["shell_call", "shell_call_output"], False),
    (
        {"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}},
        ["shell_call", "shell_call_output"],
        False,
    ),
    ({"type": "tool_search"}, ["tool_search_call", "tool_search_output"], False),
    ({"type": "tool_search", "execution": "client"}, ["tool_search_call"], True),
    ({"type": "shell"}, ["shell_call"], True),
    ({"type": "shell", "environment": {"type": "local"}}, ["shell_call"], True),
    ({"type": "local_shell"}, ["local_shell_call"], True),
    ({"type": "apply_patch"}, ["apply_patch_call"], True),
    ({"type": "computer"}, ["computer_call"], True),
    (
        {"type": "computer_use_preview", "display_width": 9, "display_height": 9, "environment": "mac"},
        ["computer_call"],
        True,
    ),
]


@pytest.mark.parametrize(("tool", "types", "waits"), CALLS)
def test_the_items_of_a_call(tool: dict[str, Any], types: list[str], *, waits: bool) -> None:
    offered = load(tool, Tool)
    items = HOSTED[type(offered)](turn("hello"), offered, counted())
    assert [item.type for item in items] == types
    assert make_converter(strict=True).load(dump(items), list[Item]) == items
    response = Response(
        id="r", model="m", output=items, created_at=0, tools=[], tool_choice="auto", parallel_tool_calls=True
    )
    assert bool(response.pending_calls) is waits


def test_every_hosted_tool_is_known() -> None:
    clients = {"function", "custom", "namespace", "mcp", "programmatic_tool_calling"}
    assert {cls for name, cls in TOOL_TYPES.items() if name not in clients} == set(HOSTED)


@pytest.mark.parametrize(
    ("tool", "include", "path"),
    [
        ({"type": "web_search"}, "web_search_call.action.sources", ("action", "sources")),
        ({"type": "file_search", "vector_store_ids": ["vs"]}, "file_search_call.results", ("results",)),
        ({"type": "code_interpreter", "container": "c"}, "code_interpreter_call.outputs", ("outputs",)),
    ],
)
def test_include_is_obeyed(tool: dict[str, Any], include: str, path: tuple[str, ...]) -> None:
    def found(**request: Any) -> Any:
        offered = load(tool, Tool)
        value: Any = HOSTED[type(offered)](turn("hello", **request), offered, counted())[0]
        for name in path:
            value = getattr(value, name)
        return value

    assert found(include=[include])
    assert not found()
