"""Translate the tools of a request into functions of Chat Completions, and map their names in both directions.

A provider of Chat Completions only knows functions, each by one name. The functions of namespaces, the tools of MCP servers and custom
tools become functions too. :func:`offered_tools` chooses their names. They are always the same for the same request and context, so that
the decoder can find the tool for a call.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from ..models.items import AdditionalTools, McpListTools, ToolSearchOutput
from ..models.tools import (
    CustomTool,
    CustomToolGrammarFormat,
    FunctionTool,
    McpApprovalFilter,
    McpTool,
    McpToolFilter,
    NamespaceTool,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceHosted,
    ToolChoiceMcp,
)
from ..typing import UNSET, Unset
from ._rows import dropped, refuse, refused, table, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..models.actions import McpListedTool
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..models.tools import AllowedTool, Tool
    from ..typing import JSONObject
    from .profiles import ChatProfile

_Wire: TypeAlias = dict[str, Any]

_MAX_NAME: Final = 64
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
CUSTOM_INPUT: Final = "input"
"""The name of the only parameter of a custom tool that is translated into a function."""
_CUSTOM_PARAMETERS: Final[JSONObject] = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
    "additionalProperties": False,
}


@attrs.frozen(kw_only=True)
class OfferedTool:
    """A tool that the model may call, in terms of the Responses API."""

    kind: Literal["function", "custom", "mcp", "hosted"]
    name: str
    """Its name in the Responses API; for a hosted tool, its type."""
    home: str = ""
    """Its namespace, or the label of its MCP server; empty if it has neither."""
    description: str = ""
    parameters: JSONObject = attrs.field(factory=dict["str", "Any"])
    strict: bool | None = None
    tool: Tool
    """The tool of the request that defines it."""
    listed: McpListedTool | None = None
    """The entry in the listing of its MCP server; ``None`` for other tools."""


# ---- what is offered


def _function(tool: FunctionTool, _listed: Mapping[str, McpListTools], home: str = "") -> Iterator[OfferedTool]:
    yield OfferedTool(
        kind="function",
        name=tool.name,
        home=home,
        description=tool.description or "",
        parameters=tool.parameters or {"type": "object", "properties": {}},
        strict=tool.strict if isinstance(tool.strict, bool) else None,
        tool=tool,
    )


def _custom(tool: CustomTool, _listed: Mapping[str, McpListTools], home: str = "") -> Iterator[OfferedTool]:
    yield OfferedTool(
        kind="custom",
        name=tool.name,
        home=home,
        description=tool.description or "",
        parameters=_CUSTOM_PARAMETERS,
        tool=tool,
    )


def _namespace(tool: NamespaceTool, listed: Mapping[str, McpListTools]) -> Iterator[OfferedTool]:
    for inner in tool.tools:
        if isinstance(inner, FunctionTool):
            yield from _function(inner, listed, tool.name)
        elif isinstance(inner, CustomTool):
            yield from _custom(inner, listed, tool.name)
        else:
            refuse(f"A tool of type {inner.type!r} cannot be in a namespace here.", "tools")


def _mcp(tool: McpTool, listed: Mapping[str, McpListTools]) -> Iterator[OfferedTool]:
    found = listed.get(tool.server_label)
    for one in found.tools if found is not None else ():
        if is_allowed(tool, one):
            yield OfferedTool(
                kind="mcp",
                name=one.name,
                home=tool.server_label,
                description=one.description or "",
                parameters=one.input_schema or {"type": "object", "properties": {}},
                tool=tool,
                listed=one,
            )


def is_allowed(tool: McpTool, listed: McpListedTool) -> bool:
    """Return whether ``allowed_tools`` includes a tool of an MCP server (Tools, MCP). By default, all tools are allowed."""
    allowed = tool.allowed_tools
    if isinstance(allowed, McpToolFilter):
        return _fits(allowed, listed)
    return not isinstance(allowed, (list, tuple)) or listed.name in allowed


def _fits(chosen: McpToolFilter, listed: McpListedTool) -> bool:
    if isinstance(chosen.read_only, bool) and chosen.read_only != _is_read_only(listed):
        return False
    return not isinstance(chosen.tool_names, (list, tuple)) or listed.name in chosen.tool_names


def _is_read_only(listed: McpListedTool) -> bool:
    return bool(listed.annotations) and (listed.annotations or {}).get("readOnlyHint") is True


def needs_approval(tool: McpTool, listed: McpListedTool) -> bool:
    """Return whether calls of an MCP tool need the caller's approval (Tools, MCP). By default, they do."""
    match tool.require_approval:
        case "never":
            return False
        case McpApprovalFilter(never=never, always=always):
            if isinstance(never, McpToolFilter) and _fits(never, listed):
                return isinstance(always, McpToolFilter) and _fits(always, listed)
            return not isinstance(always, McpToolFilter) or isinstance(never, McpToolFilter) or _fits(always, listed)
        case _:
            return True


_HOSTED: Final = "the provider has no such tool; the operator of the bridge may supply an executor for it"
_CLIENT: Final = "the provider's model does not know this tool; offer a function instead"

TOOLS: Final[Mapping[str, Any]] = table(
    [
        translated("function", "a function", _function),
        translated(
            "custom", "a custom tool, or a function with one string; its grammar is in the description", _custom
        ),
        translated("namespace", "its functions, named `namespace__function`", _namespace),
        translated(
            "mcp", "a function for each tool that its `mcp_list_tools` item lists and `allowed_tools` allows", _mcp
        ),
        dropped("tool_search", "deferred tools are offered from the start"),
        *(
            refused(name, _HOSTED)
            for name in (
                "web_search",
                "web_search_2025_08_26",
                "web_search_preview",
                "web_search_preview_2025_03_11",
                "file_search",
                "code_interpreter",
                "image_generation",
            )
        ),
        *(
            refused(name, _CLIENT)
            for name in ("shell", "local_shell", "apply_patch", "computer", "computer_use_preview")
        ),
        refused("programmatic_tool_calling", "the provider runs no programs"),
    ]
)
"""Type of tool -> how it is handled."""


def offered_tools(
    request: CreateResponse, context: Sequence[Item], hosted: Mapping[str, FunctionTool | None] | None = None
) -> dict[str, OfferedTool]:
    """Return the tools that the model may call, by their names at the provider.

    ``hosted`` maps each type of hosted tool that the bridge runs itself to the function that represents it, and types to leave out to
    ``None``. Raises ``APIError`` (400) for a tool that cannot be offered.
    """
    hosted = hosted or {}
    listed = {item.server_label: item for item in context if isinstance(item, McpListTools)}
    offered: dict[str, OfferedTool] = {}
    for param, tool in _all_tools(request, context):
        row = TOOLS.get(tool.type)
        stand_in = hosted.get(tool.type)
        if stand_in is None and tool.type in hosted:
            continue
        if stand_in is not None:
            found = [attrs.evolve(one, kind="hosted", name=tool.type, tool=tool) for one in _function(stand_in, {})]
            name = stand_in.name
        elif row is None or row.fate == "refused":
            refuse(
                f"The tool {tool.type!r} is not supported: {row.note if row is not None else 'it is unknown'}.", param
            )
        else:
            found = list(row.apply(tool, listed)) if row.apply is not None else []
            name = ""
        for one in found:
            offered.setdefault(_free_name(name or one.name, one.home, one.kind, offered), one)
    return offered


def _all_tools(request: CreateResponse, context: Sequence[Item]) -> Iterator[tuple[str, Tool]]:
    for index, tool in enumerate(request.tools or ()):
        yield f"tools[{index}]", tool
    for item in context:
        if isinstance(item, AdditionalTools | ToolSearchOutput):
            for tool in item.tools:
                yield "input", tool


def safe_name(name: str, home: str = "") -> str:
    """Return a function name that providers accept: at most 64 letters, digits, ``_`` and ``-``."""
    return _UNSAFE.sub("_", f"{home}__{name}" if home else name)[:_MAX_NAME] or "_"


def _free_name(name: str, home: str, kind: str, taken: Mapping[str, OfferedTool]) -> str:
    wanted = safe_name(name, "" if kind == "mcp" else home)
    if wanted in taken and kind == "mcp":
        wanted = safe_name(name, home)
    number = 1
    found = wanted
    while found in taken:
        number += 1
        found = f"{wanted[: _MAX_NAME - len(str(number)) - 1]}_{number}"
    return found


# ---- as Chat Completions has them


def _chat_tool(name: str, tool: OfferedTool, profile: ChatProfile) -> _Wire:
    definition = tool.tool
    if isinstance(definition, CustomTool) and profile.custom_tools:
        custom: _Wire = {"name": name}
        if tool.description:
            custom["description"] = tool.description
        if isinstance(definition.format, CustomToolGrammarFormat):
            grammar = {"definition": definition.format.definition, "syntax": definition.format.syntax}
            custom["format"] = {"type": "grammar", "grammar": grammar}
        return {"type": "custom", "custom": custom}
    description = _described(tool)
    function: _Wire = {"name": name, "parameters": tool.parameters}
    if description:
        function["description"] = description
    if tool.strict is not None and profile.strict_tools:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _described(tool: OfferedTool) -> str:
    definition = tool.tool
    if isinstance(definition, CustomTool) and isinstance(definition.format, CustomToolGrammarFormat):
        grammar = definition.format
        note = f"'{CUSTOM_INPUT}' must match this {grammar.syntax} grammar:\n{grammar.definition}"
        return f"{tool.description}\n\n{note}" if tool.description else note
    return tool.description


# ---- the choice among them


def chat_tool_choice(request: CreateResponse, offered: Mapping[str, OfferedTool], profile: ChatProfile) -> _Wire:
    """Return the fields ``tools`` and ``tool_choice`` of a Chat Completions request. Fields that are not needed are left out."""
    mode, chosen = _chosen(request, offered)
    if not chosen:
        if mode == "required":
            refuse("A call is required by 'tool_choice', but no such tool is offered.", "tool_choice", "invalid_value")
        return {}
    named = _named_choice(request.tool_choice, mode, chosen, profile)
    if named is not None:
        return {"tools": [_chat_tool(*one, profile) for one in offered.items()], "tool_choice": named}
    if mode == "none" and "none" not in profile.tool_choices:
        return {}
    if mode == "required" and "required" not in profile.tool_choices:
        if "any" not in profile.tool_choices:
            refuse(f"The provider {profile.name!r} does not support required tool calls.", "tool_choice")
        mode = "any"
    tools = [_chat_tool(*one, profile) for one in chosen.items()]
    return {"tools": tools, **({} if mode == "auto" else {"tool_choice": mode})}


def _chosen(request: CreateResponse, offered: Mapping[str, OfferedTool]) -> tuple[str, Mapping[str, OfferedTool]]:
    """Return the mode (``auto``, ``none`` or ``required``) and the tools that it applies to.

    The choice may name a tool of the request that is not offered: one that is left out, or an MCP server that lists no tools now.
    """
    match choice := request.tool_choice:
        case "none" | "required":
            return str(choice), offered
        case ToolChoiceAllowed():
            mode, wanted = choice.mode or "auto", choice.tools
        case ToolChoiceFunction() | ToolChoiceCustom() | ToolChoiceMcp() | ToolChoiceHosted():
            mode, wanted = "required", [choice]
        case _:
            return "auto", offered
    for one in wanted:
        if not any(_means(one, tool) for tool in offered.values()) and not any(
            _stands_for(one, tool) for tool in request.tools or ()
        ):
            name = next(name for key in ("name", "server_label", "type") if (name := getattr(one, key, None)))
            refuse(f"Tool choice {name!r} not found in 'tools'.", "tool_choice", "invalid_value")
    return mode, {name: tool for name, tool in offered.items() if any(_means(one, tool) for one in wanted)}


def _named_choice(choice: object, mode: str, chosen: Mapping[str, OfferedTool], profile: ChatProfile) -> _Wire | None:
    """Return the choice as an object with names; ``None`` if a mode is enough, or if the provider does not support it."""
    if isinstance(choice, ToolChoiceAllowed):
        if not profile.allowed_tools or mode == "none":
            return None
        return {
            "type": "allowed_tools",
            "allowed_tools": {"mode": mode, "tools": [_named(*one, profile) for one in chosen.items()]},
        }
    if isinstance(choice, str | Unset | None) or len(chosen) != 1 or "function" not in profile.tool_choices:
        return None
    return _named(*next(iter(chosen.items())), profile)


def _named(name: str, tool: OfferedTool, profile: ChatProfile) -> _Wire:
    kind = "custom" if tool.kind == "custom" and profile.custom_tools else "function"
    return {"type": kind, kind: {"name": name}}


def _means(choice: AllowedTool, tool: OfferedTool) -> bool:
    match choice:
        case ToolChoiceFunction():
            return tool.kind == "function" and tool.name == choice.name
        case ToolChoiceCustom():
            return tool.kind == "custom" and tool.name == choice.name
        case ToolChoiceMcp():
            return tool.kind == "mcp" and tool.home == choice.server_label and choice.name in (None, UNSET, tool.name)
        case _:
            return tool.kind == "hosted" and tool.name == choice.type


def _stands_for(choice: AllowedTool, tool: Tool) -> bool:
    """Return whether a choice names an MCP server or hosted tool of the request, even if nothing is offered for it."""
    if isinstance(choice, ToolChoiceMcp):
        return isinstance(tool, McpTool) and tool.server_label == choice.server_label
    return isinstance(choice, ToolChoiceHosted) and tool.type == choice.type
