"""Choose which tools of a request the scripted model calls."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import attrs

from ..models.items import CustomToolCall, FunctionCall, McpCall, ToolSearchOutput
from ..models.tools import (
    CustomTool,
    FunctionTool,
    McpTool,
    NamespaceTool,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceHosted,
    ToolChoiceMcp,
)
from ..typing import UNSET
from ._hosted import HOSTED
from ._mcp import listed_tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..models.request import CreateResponse
    from ..models.tools import AllowedTool, Tool
    from ._request import ScriptedTurn


@attrs.frozen(kw_only=True)
class CallableTool:
    """A tool that the model can call."""

    name: str
    """The name of the function or custom tool, the name of a tool on an MCP server, or the type of a hosted tool."""
    definition: Tool
    """The tool of the request. Several callable tools share one if it is an MCP server."""
    namespace: str | None = None
    """The namespace that contains the function or custom tool, if any."""

    @property
    def deferred(self) -> bool:
        """Whether the model can call the tool only after a tool search has found it."""
        return isinstance(self.definition, FunctionTool | CustomTool) and self.definition.defer_loading is True

    @property
    def runs_on_client(self) -> bool:
        """Whether the client runs the tool: a function or a custom tool."""
        return isinstance(self.definition, FunctionTool | CustomTool)


@attrs.frozen(kw_only=True)
class ChosenCall:
    """A call that the model makes in this turn."""

    tool: CallableTool
    arguments: str | None = None
    """The arguments as JSON text, if the user message states them."""


def callable_tools(tools: Sequence[Tool]) -> Iterator[CallableTool]:
    """Yield every tool that the model can call, including those in namespaces and on MCP servers."""
    for tool in tools:
        match tool:
            case FunctionTool() | CustomTool():
                yield CallableTool(name=tool.name, definition=tool)
            case NamespaceTool():
                for inner in tool.tools:
                    if isinstance(inner, FunctionTool | CustomTool):
                        yield CallableTool(name=inner.name, definition=inner, namespace=tool.name)
            case McpTool():
                for listed in listed_tools(tool):
                    yield CallableTool(name=listed.name, definition=tool)
            case _ if type(tool) in HOSTED:
                yield CallableTool(name=tool.type, definition=tool)
            case _:
                pass  # a tool of an unknown type cannot be called


def choose_calls(turn: ScriptedTurn) -> list[ChosenCall]:
    """Return the calls to make in this turn; the list may be empty.

    The model calls the tools that the user message names ("both tools" names all functions), else the first function, else the first
    hosted tool. It makes several calls only if the message names several tools or has ``[calls N]``, and the request allows parallel
    calls. If the context ends with tool outputs, it makes no call, unless ``tool_choice`` requires one: then it calls the first tool not
    called yet.
    """
    request = turn.request
    tools = list(callable_tools(request.tools or ()))
    offered = {tool.name for tool in tools}
    tools += [tool for tool in callable_tools(turn.found_tools) if tool.name not in offered]
    allowed, required = _allowed_tools(tools, request)
    if "answer" in turn.markers and not required:
        return []
    found = turn.last_item.tools if isinstance(turn.last_item, ToolSearchOutput) else []
    if found:  # the model calls the tools that it has searched for
        names = {getattr(tool, "name", "") for tool in found}
        allowed = [tool for tool in allowed if tool.name in names]
    elif turn.outputs:
        if not required:
            return []
        called = _called_names(turn)
        return [ChosenCall(tool=tool) for tool in allowed if tool.name not in called][:1]
    calls = _named_calls(turn.prompt, allowed)
    if not calls and _ALL_TOOLS.search(turn.prompt):
        calls = [ChosenCall(tool=tool) for tool in allowed if tool.runs_on_client]
    if not calls:
        first = next((tool for tool in allowed if tool.runs_on_client), None) or next(iter(allowed), None)
        calls = [ChosenCall(tool=first)] if first else []
    if number := int(turn.markers.get("calls", 0)):
        calls = [calls[n % len(calls)] for n in range(number)] if calls else []
    if request.parallel_tool_calls is False:
        return calls[:1]
    max_hosted = request.max_tool_calls or len(calls)  # `max_tool_calls` counts hosted tools only
    hosted = [call for call in calls if not call.tool.runs_on_client][:max_hosted]
    return [call for call in calls if call.tool.runs_on_client or call in hosted]


_ALL_TOOLS: Final = re.compile(
    r"\b((both|all)( of)?( the| these| those| your| my)? (tools|functions)|each (tool|function))\b", re.IGNORECASE
)


# ---- tool_choice


def _allowed_tools(tools: list[CallableTool], request: CreateResponse) -> tuple[list[CallableTool], bool]:
    """Return the tools that ``tool_choice`` allows, and whether it requires a call."""
    match request.tool_choice:
        case "none":
            return [], False
        case "required":
            return tools, True
        case ToolChoiceAllowed() as choice:
            if choice.mode == "none":
                return [], False
            found = [tool for tool in tools if any(matches(tool, allowed) for allowed in choice.tools)]
            return found, choice.mode == "required"
        case ToolChoiceFunction() | ToolChoiceCustom() | ToolChoiceMcp() | ToolChoiceHosted() as choice:
            return [tool for tool in tools if matches(tool, choice)], True
        case _:
            return tools, False


_TYPE_ALIASES: Final = {"computer_use": "computer"}  # other names for a type of tool in tool_choice


def matches(tool: CallableTool, choice: AllowedTool) -> bool:
    """Return whether an entry of ``tool_choice`` refers to this tool."""
    match choice, tool.definition:
        case ToolChoiceFunction(), FunctionTool():
            return tool.name == choice.name
        case ToolChoiceCustom(), CustomTool():
            return tool.name == choice.name
        case ToolChoiceMcp(), McpTool(server_label=label):
            return label == choice.server_label and choice.name in (None, UNSET, tool.name)
        case ToolChoiceHosted(type=kind), definition:
            return definition.type == _TYPE_ALIASES.get(kind, kind) and not tool.runs_on_client
        case _:
            return False


def _called_names(turn: ScriptedTurn) -> set[str]:
    return {
        item.name for item in turn.items_since_prompt() if isinstance(item, FunctionCall | CustomToolCall | McpCall)
    }


# ---- tools that the user message names


def _named_calls(text: str, tools: list[CallableTool]) -> list[ChosenCall]:
    """Return a call for each tool that the text names, in the order of the text.

    A tool that is named several times is called once, or once for each time that arguments follow its name.
    """
    found = [(match.span(), tool) for tool in tools for match in _name_pattern(tool.name).finditer(text)]
    calls: list[ChosenCall] = []
    outer = (0, 0)  # the span, of all names so far, that ends last
    for (start, end), tool in sorted(found, key=lambda match: (match[0][0], -match[0][1])):
        # `search` within `web_search` does not name the tool `search`.
        if end <= outer[1] and (start, end) != outer:
            continue
        outer = (start, end)
        calls.append(ChosenCall(tool=tool, arguments=_arguments_at(text, end)))
    first = {id(call.tool): call for call in reversed(calls)}
    with_arguments = {id(call.tool) for call in calls if call.arguments}
    return [
        call
        for call in calls
        if call.arguments or (id(call.tool) not in with_arguments and first[id(call.tool)] is call)
    ]


def _name_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern that finds ``get_weather`` also as ``get-weather`` and ``get weather``."""
    spelled = "[ _-]".join(map(re.escape, re.split("[_-]", name)))
    return re.compile(rf"(?<!\w){spelled}(?!\w)", re.IGNORECASE)


def _arguments_at(text: str, at: int) -> str | None:
    """Return the JSON object that follows a tool's name, as in ``get_weather({"city": "Paris"})``, or ``None``."""
    opening = re.compile(r"\s*\(?\s*(?=\{)").match(text, at)
    if opening is None:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text, opening.end())
    except ValueError:
        return None
    return text[opening.end() : end]
