"""The tools of a request, and which of them the scripted model calls."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import attrs

from ..models.items import CustomToolCall, FunctionCall, McpCall
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

__all__ = ["CallableTool", "ChosenCall", "callable_tools", "choose_calls"]


@attrs.frozen(kw_only=True)
class CallableTool:
    """Something that can be called."""

    name: str
    """What it is called: the function's own name, the tool's on an MCP server, the type of a hosted tool."""
    definition: Tool
    namespace: str | None = None

    @property
    def runs_on_client(self) -> bool:
        """Whether it is a function, or a custom tool, of the client's."""
        return isinstance(self.definition, FunctionTool | CustomTool)


@attrs.frozen(kw_only=True)
class ChosenCall:
    """A call that is to be made."""

    tool: CallableTool
    arguments: str | None = None
    """Its arguments, where the user message states them."""


def callable_tools(tools: Sequence[Tool]) -> Iterator[CallableTool]:
    """Give everything that can be called."""
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
                pass  # what is new here is not called


def choose_calls(turn: ScriptedTurn) -> list[ChosenCall]:
    """Give the calls to make in this turn, maybe none.

    Called is what the user message names, or else the first function, or else the first hosted tool; several only where
    they are named, or by ``[calls N]``, and where the request allows it. Once an output is there, nothing is called, unless
    the request insists; then what was not called yet.
    """
    request = turn.request
    offers = list(callable_tools(request.tools or ()))
    allowed, required = _allowed(offers, request)
    if "answer" in turn.markers and not required:
        return []
    if turn.outputs:
        if not required:
            return []
        called = _called(turn)
        return [ChosenCall(tool=offer) for offer in allowed if offer.name not in called][:1]
    wanted = _named(turn.prompt, allowed)
    if not wanted:
        first = next((offer for offer in allowed if offer.runs_on_client), None) or next(iter(allowed), None)
        wanted = [ChosenCall(tool=first)] if first else []
    if number := int(turn.markers.get("calls", 0)):
        wanted = [wanted[n % len(wanted)] for n in range(number)] if wanted else []
    if request.parallel_tool_calls is False:
        return wanted[:1]
    most = request.max_tool_calls or len(wanted)  # counts what the server runs
    hosted = [one for one in wanted if not one.tool.runs_on_client]
    return [one for one in wanted if one.tool.runs_on_client or one in hosted[:most]]


# ---- what is allowed


def _allowed(offers: list[CallableTool], request: CreateResponse) -> tuple[list[CallableTool], bool]:
    """Give what ``tool_choice`` lets the model call, and whether it has to call something."""
    match request.tool_choice:
        case "none":
            return [], False
        case "required":
            return offers, True
        case ToolChoiceAllowed() as choice:
            if choice.mode == "none":
                return [], False
            found = [offer for offer in offers if any(_is(offer, tool) for tool in choice.tools)]
            return found, choice.mode == "required"
        case ToolChoiceFunction() | ToolChoiceCustom() | ToolChoiceMcp() | ToolChoiceHosted() as choice:
            return [offer for offer in offers if _is(offer, choice)], True
        case _:
            return offers, False


_SAME: Final = {"computer_use": "computer"}  # tool_choice has a second name for it


def _is(offer: CallableTool, named: AllowedTool) -> bool:
    match named, offer.definition:
        case ToolChoiceFunction(), FunctionTool():
            return offer.name == named.name
        case ToolChoiceCustom(), CustomTool():
            return offer.name == named.name
        case ToolChoiceMcp(), McpTool(server_label=label):
            return label == named.server_label and named.name in (None, UNSET, offer.name)
        case ToolChoiceHosted(type=kind), tool:
            return tool.type == _SAME.get(kind, kind) and not offer.runs_on_client
        case _:
            return False


def _called(turn: ScriptedTurn) -> set[str]:
    return {
        item.name for item in turn.items_since_prompt() if isinstance(item, FunctionCall | CustomToolCall | McpCall)
    }


# ---- what is asked for by name


def _named(text: str, offers: list[CallableTool]) -> list[ChosenCall]:
    """Find the offers that a text names, in its order. The same one counts again only with arguments of its own."""
    found = [(match.span(), offer) for offer in offers for match in _pattern(offer.name).finditer(text)]
    spans = [span for span, _ in found]
    named: list[ChosenCall] = []
    # A name within a longer one is not meant: `search` in `web_search`.
    for (start, end), offer in sorted(found, key=lambda one: one[0]):
        if any(other != (start, end) and other[0] <= start and end <= other[1] for other in spans):
            continue
        named.append(ChosenCall(tool=offer, arguments=_stated(text, end)))
    # Named with arguments somewhere, or else for the first time.
    meant = {id(wanted.tool): wanted for wanted in reversed(named)}
    stated = {id(wanted.tool) for wanted in named if wanted.arguments}
    return [one for one in named if one.arguments or (id(one.tool) not in stated and meant[id(one.tool)] is one)]


def _pattern(name: str) -> re.Pattern[str]:
    spelled = "[ _-]".join(map(re.escape, re.split("[_-]", name)))
    return re.compile(rf"(?<!\w){spelled}(?!\w)", re.IGNORECASE)


def _stated(text: str, at: int) -> str | None:
    """Read the arguments that stand behind a name, as in ``get_weather({"city": "Paris"})``."""
    opening = re.compile(r"\s*\(?\s*(?=\{)").match(text, at)
    if opening is None:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text, opening.end())
    except ValueError:
        return None
    return text[opening.end() : end]
