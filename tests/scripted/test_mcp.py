"""Simulated MCP servers: listings, calls and approvals."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scripted.turns import DOCS, counted, turn

from responses_proto.codec import dump, dumps, load
from responses_proto.models.items import McpApprovalRequest, McpCall, McpListTools
from responses_proto.models.tools import McpTool
from responses_proto.scripted._mcp import answer_approvals, call_tool, list_tools, listed_tools

REQUEST = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "docs", "name": "search", "arguments": "{}"}


def server(**fields: Any) -> McpTool:
    return load({"type": "mcp", "server_label": "docs", **fields}, McpTool)


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (None, ["echo"]),
        ([], ["echo"]),
        (["search", "fetch", "search"], ["search", "fetch"]),
        ({"tool_names": ["search"]}, ["search"]),
        ({"read_only": True}, ["echo"]),
    ],
)
def test_the_server_has_the_tools_that_are_allowed(allowed: object, names: list[str]) -> None:
    assert [listed.name for listed in listed_tools(server(allowed_tools=allowed))] == names


def test_the_tools_are_listed_once_in_a_conversation() -> None:
    tool = server()
    (listed,) = list_tools(turn("x", tools=[DOCS]), tool, counted())
    assert isinstance(listed, McpListTools)
    assert (listed.id, listed.server_label, listed.tools) == ("mcpl_1", "docs", listed_tools(tool))
    assert list_tools(turn("x", dump(listed), "y", tools=[DOCS]), tool, counted()) == []
    assert list_tools(turn("x", {**dump(listed), "server_label": "other"}), tool, counted()) != []


@pytest.mark.parametrize(
    ("rule", "asks"),
    [
        (None, True),
        ("always", True),
        ("never", False),
        ({"never": {"tool_names": ["search"]}}, False),
        ({"never": {"tool_names": ["fetch"]}}, True),
        ({"always": {"tool_names": ["search"]}}, True),
        ({"always": {"tool_names": ["fetch"]}}, False),
        ({"always": {"tool_names": ["search"]}, "never": {"tool_names": ["fetch"]}}, True),
        ({"always": {"read_only": False}}, True),
    ],
)
def test_calls_need_an_approval_by_default(rule: object, *, asks: bool) -> None:
    item = call_tool(turn("how?"), server(require_approval=rule), "search", None, counted())
    assert isinstance(item, McpApprovalRequest if asks else McpCall)
    assert item.arguments == '{"query":"how?"}'


def test_the_output_of_a_call_is_its_arguments() -> None:
    item = call_tool(turn("x"), server(require_approval="never"), "search", '{"query": "y"}', counted())
    assert isinstance(item, McpCall)
    assert (item.arguments, item.output, item.status) == ('{"query": "y"}', '{"query": "y"}', "completed")


def response(id_: str, *, approve: bool) -> dict[str, object]:
    return {"type": "mcp_approval_response", "approval_request_id": id_, "approve": approve}


def test_only_approved_calls_are_made() -> None:
    read = turn(
        "x", REQUEST, {**REQUEST, "id": "mcpr_2"}, response("mcpr_1", approve=True), response("mcpr_2", approve=False)
    )
    (call, words), (nothing, why) = answer_approvals(read, counted())
    assert isinstance(call, McpCall)
    assert (call.name, call.server_label, call.approval_request_id) == ("search", "docs", "mcpr_1")
    assert words == "The tool says: {}"
    assert nothing is None
    assert "not approved" in why


def test_an_approval_of_an_unknown_request_is_reported() -> None:
    ((nothing, why),) = answer_approvals(turn(response("mcpr_9", approve=True)), counted())
    assert nothing is None
    assert "mcpr_9" in why


def test_earlier_approvals_are_not_answered_again() -> None:
    read = turn("x", REQUEST, response("mcpr_1", approve=True), "and now?", response("mcpr_1", approve=False))
    assert len(list(answer_approvals(read, counted()))) == 1


@pytest.mark.parametrize("approval", ["never", "always"])
def test_items_have_no_nulls(approval: str) -> None:
    tool = server(require_approval=approval)
    read = turn("x", tools=[DOCS])
    items = [*list_tools(read, tool, counted()), call_tool(read, tool, "search", None, counted())]
    assert len(items) == 2
    assert "null" not in dumps(items).decode()
