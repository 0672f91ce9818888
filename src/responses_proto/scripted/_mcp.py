"""Remote MCP as the scripted model plays it: it reaches no server, it makes one up.

The server has the tools that ``allowed_tools`` names, or else one that is called ``echo``. They all take a ``query`` and say it
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..codec import dumps
from ..models.actions import McpListedTool
from ..models.items import McpApprovalRequest, McpApprovalResponse, McpCall, McpListTools
from ..models.tools import McpApprovalFilter, McpToolFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..models.items import Item
    from ..models.tools import McpTool
    from ..typing import JSONObject
    from ._request import ScriptedTurn

__all__ = ["answer_approvals", "call_tool", "list_tools", "listed_tools"]

_ECHO: Final = "echo"
_INPUT: Final[JSONObject] = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def listed_tools(tool: McpTool) -> list[McpListedTool]:
    """Give the tools of a server that the request allows."""
    allowed = tool.allowed_tools or ()
    names = allowed.tool_names or () if isinstance(allowed, McpToolFilter) else allowed
    return [
        McpListedTool(name=name, description="Says the query again.", input_schema=_INPUT, annotations=None)
        for name in dict.fromkeys(names) or (_ECHO,)
    ]


def list_tools(turn: ScriptedTurn, tool: McpTool, ids: Callable[[str], str]) -> list[Item]:
    """List the tools of a server, unless that was done in an earlier turn."""
    listed = (item.server_label for item in turn.context if isinstance(item, McpListTools))
    if tool.server_label in listed:
        return []
    return [McpListTools(id=ids("mcpl"), server_label=tool.server_label, tools=listed_tools(tool), error=None)]


def call_tool(turn: ScriptedTurn, tool: McpTool, name: str, stated: str | None, ids: Callable[[str], str]) -> Item:
    """Call a tool, or ask whether it may be called."""
    arguments = stated or dumps({"query": turn.prompt}).decode()
    if _needs_approval(tool, name):
        return McpApprovalRequest(id=ids("mcpr"), server_label=tool.server_label, name=name, arguments=arguments)
    return _call(tool.server_label, name, arguments, None, ids)


def answer_approvals(turn: ScriptedTurn, ids: Callable[[str], str]) -> Iterator[tuple[Item | None, str]]:
    """Do what the approvals allow that the input ends with: give each call, if one is made, and what to say of it."""
    requests = {item.id: item for item in turn.context if isinstance(item, McpApprovalRequest)}
    for response in _trailing(turn.context):
        request = requests.get(response.approval_request_id)
        if request is None:
            yield None, f"I asked for no approval with the id {response.approval_request_id}."
        elif not response.approve:
            yield None, f"I did not call {request.name}: that was not approved."
        else:
            yield (
                _call(request.server_label, request.name, request.arguments, request.id, ids),
                f"The tool says: {request.arguments}",
            )


def _trailing(context: Sequence[Item]) -> list[McpApprovalResponse]:
    found: list[McpApprovalResponse] = []
    for item in reversed(context):
        if not isinstance(item, McpApprovalResponse):
            break
        found.insert(0, item)
    return found


def _call(label: str, name: str, arguments: str, approval: str | None, ids: Callable[[str], str]) -> McpCall:
    return McpCall(
        id=ids("mcp"),
        server_label=label,
        name=name,
        arguments=arguments,
        output=arguments,
        error=None,
        approval_request_id=approval,
        status="completed",
    )


def _needs_approval(tool: McpTool, name: str) -> bool:
    """Tell whether a call has to be approved, as is the rule where the request says nothing."""
    match tool.require_approval:
        case "never":
            return False
        case McpApprovalFilter(never=McpToolFilter(tool_names=names)) if name in (names or ()):
            return False
        case McpApprovalFilter(always=McpToolFilter(tool_names=names)) if names and name not in names:
            return False
        case _:
            return True
