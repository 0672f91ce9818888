"""Actions, operations, outcomes, errors and callers inside items."""

from __future__ import annotations

import typing

import pytest

from responses_proto.models import actions
from responses_proto.models.content import UnknownObject

UNIONS = {
    "Caller": {"direct", "program"},
    "ComputerAction": {
        "click",
        "double_click",
        "drag",
        "keypress",
        "move",
        "screenshot",
        "scroll",
        "type",
        "wait",
    },
    "WebSearchAction": {"search", "open_page", "find_in_page"},
    "SearchSource": {"url"},
    "CodeInterpreterOutput": {"logs", "image"},
    "ShellOutcome": {"exit", "timeout"},
    "ApplyPatchOperation": {"create_file", "update_file", "delete_file"},
    "McpError": {"mcp_protocol_error", "mcp_tool_execution_error", "http_error"},
}


@pytest.mark.parametrize("name", UNIONS)
def test_union_has_a_class_for_every_tag_and_is_open(name: str) -> None:
    *known, last = (m for m in typing.get_args(getattr(actions, name)) if m is not str)
    assert last is UnknownObject
    assert {m.type for m in known} == UNIONS[name]


def test_an_mcp_error_may_be_plain_text() -> None:
    assert str in typing.get_args(actions.McpError)
