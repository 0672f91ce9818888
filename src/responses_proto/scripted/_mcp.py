"""Simulate remote MCP servers for the scripted model. Nothing is contacted.

A simulated server has the tools that ``allowed_tools`` names, or else one tool called ``echo``. Every tool takes a ``query``
and returns its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..codec import dumps
from ..models.actions import McpListedTool
from ..models.items import McpApprovalRequest, McpApprovalResponse, McpCall, McpListTools
from ..models.tools import McpApprovalFilter, McpToolFilter
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..models.items import Item
    from ..models.tools import McpTool
    from ..typing import JSONObject
    from ._request import ScriptedTurn

_ECHO: Final = "echo"
_INPUT: Final[JSONObject] = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def listed_tools(tool: McpTool) -> list[McpListedTool]:
    """Return the tools of the simulated server."""
    allowed = tool.allowed_tools or ()
    names = allowed.tool_names or () if isinstance(allowed, McpToolFilter) else allowed
    return [
        McpListedTool(name=name, description="Returns the query.", input_schema=_INPUT)
        for name in dict.fromkeys(names) or (_ECHO,)
    ]


def list_tools(turn: ScriptedTurn, tool: McpTool, ids: Callable[[str], str]) -> list[Item]:
    """Return an item that lists the tools of a server, or nothing if the context already has one."""
    listed = (item.server_label for item in turn.context if isinstance(item, McpListTools))
    if tool.server_label in listed:
        return []
    return [McpListTools(id=ids("mcpl"), server_label=tool.server_label, tools=listed_tools(tool))]


def call_tool(turn: ScriptedTurn, tool: McpTool, name: str, arguments: str | None, ids: Callable[[str], str]) -> Item:
    """Return the call of a tool, or an approval request if the call needs one.

    ``name`` is the tool's name on the server. ``arguments`` are JSON text; ``None`` sends the user message as the query.
    """
    arguments = arguments or dumps({"query": turn.prompt}).decode()
    if _needs_approval(tool, name):
        return McpApprovalRequest(id=ids("mcpr"), server_label=tool.server_label, name=name, arguments=arguments)
    return _call(tool.server_label, name, arguments, None, ids)


def answer_approvals(turn: ScriptedTurn, ids: Callable[[str], str]) -> Iterator[tuple[Item | None, str]]:
    """Yield, for each approval response at the end of the context, the call if it is approved, and a sentence about it."""
    requests = {item.id: item for item in turn.context if isinstance(item, McpApprovalRequest)}
    for response in _trailing_approvals(turn.context):
        request = requests.get(response.approval_request_id)
        if request is None:
            yield None, f"I made no approval request with the id {response.approval_request_id}."
        elif not response.approve:
            yield None, f"I did not call {request.name}: the call was not approved."
        else:
            yield (
                _call(request.server_label, request.name, request.arguments, request.id, ids),
                f"The tool says: {request.arguments}",
            )


def _trailing_approvals(context: Sequence[Item]) -> list[McpApprovalResponse]:
    found: list[McpApprovalResponse] = []
    for item in reversed(context):
        if not isinstance(item, McpApprovalResponse):
            break
        found.insert(0, item)
    return found


def _call(
    server_label: str, name: str, arguments: str, approval_request_id: str | None, ids: Callable[[str], str]
) -> McpCall:
    return McpCall(
        id=ids("mcp"),
        server_label=server_label,
        name=name,
        arguments=arguments,
        output=arguments,
        approval_request_id=approval_request_id or UNSET,
        status="completed",
    )


def _needs_approval(tool: McpTool, name: str) -> bool:
    """Return whether a call needs an approval. It does by default."""
    match tool.require_approval:
        case "never":
            return False
        case McpApprovalFilter(never=McpToolFilter(tool_names=names)) if name in (names or ()):
            return False
        case McpApprovalFilter(always=McpToolFilter(tool_names=names)) if names and name not in names:
            return False
        case _:
            return True
