"""Sorts the tools of a run into executors and plain definitions, and finds the executor of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..client._calls import merge_fields
from ..exceptions import UsageError
from ..models.request import CreateResponse
from ..models.tools import CustomTool, FunctionTool, NamespaceTool
from .executors import function_tool
from .loop import called_name, is_offered, load_tool, tool_names
from .output import TOOL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ..models.response import PendingCall
    from ..models.tools import Tool
    from ..typing import JSONObject
    from .executors import ToolExecutor, Tools

_EXECUTOR_METHODS: Final = ("definitions", "handles", "execute")


class Toolbox:
    """The executors and the plain definitions of a run's ``tools``, in their order.

    A name belongs to the executor that offered it first, as long as that executor offers it. A tool of the same name that
    another executor announces later is not offered. A call goes to the executor that offered its tool in the last request.

    Raises ``UsageError`` for a tool of any other kind.
    """

    def __init__(self, tools: Tools) -> None:
        self.executors: list[ToolExecutor] = []
        self._definitions: list[Tool | JSONObject] = []
        self.offered: list[Tool | JSONObject] = []
        """The definitions in the last request."""
        # Namespace and name -> the executor that offers the tool; `None` for a plain definition.
        self._owners: dict[tuple[str, str], ToolExecutor | None] | None = None
        for tool in cast("Iterable[Any]", tools):
            if isinstance(tool, (*TOOL_CLASSES, Mapping)):
                self._definitions.append(cast("Tool", tool))
            elif all(callable(getattr(tool, method, None)) for method in _EXECUTOR_METHODS):
                self.executors.append(tool)
            elif callable(tool):
                self.executors.append(function_tool(tool))
            else:
                raise UsageError(
                    "a tool must be a function, a ToolExecutor, a definition such as McpTool(...), or a raw object, "
                    f"got {tool!r:.100}"
                )

    def request_with_tools(self, request: CreateResponse | JSONObject) -> CreateResponse | dict[str, Any]:
        """Return the request with the tools of the run added to its own; see :meth:`offer`."""
        own = request.get("tools") if isinstance(request, Mapping) else request.tools
        added = self.offer(cast("Sequence[Tool | JSONObject]", own or ()))
        return merge_fields(CreateResponse, request, {"tools": self.offered} if added else {})

    def offer(self, own: Sequence[Tool | JSONObject]) -> int:
        """Ask the executors for their definitions. Return how many are offered besides ``own``, those of the request.

        Raises ``UsageError`` if two tools have the same name, unless tools were offered before.
        """
        sources: list[tuple[ToolExecutor | None, Sequence[Tool | JSONObject]]] = [
            (None, [*own, *self._definitions]),
            *((executor, executor.definitions()) for executor in self.executors),
        ]
        before, owners = self._owners, dict[tuple[str, str], "ToolExecutor | None"]()
        kept = {
            name: source
            for source, tools in (sources if before else ())
            for name in tool_names(map(load_tool, tools))
            if name in (before or ()) and (before or {})[name] is source
        }
        self.offered = []
        for source, tools in sources:
            for tool in tools:
                names = [*tool_names([load_tool(tool)])]
                taken = {name for name in names if name in owners or kept.get(name, source) is not source}
                taken |= {name for name in names if names.count(name) > 1}
                if taken and before is None:
                    ((_, name), *_) = taken
                    raise UsageError(f"two tools have the name {name!r}: rename one of them, or give it a prefix")
                owners |= dict.fromkeys([name for name in names if name not in taken], source)
                self.offered += [tool] if not taken else _without(load_tool(tool), taken)
        self._owners = owners
        return len(self.offered) - len(own)

    def executor_of(self, call: PendingCall) -> ToolExecutor | None:
        """Return the executor that offered the called tool, else the first that handles the call, or ``None``."""
        name = called_name(call)
        owner = (self._owners or {}).get(name) if name is not None else None
        if owner is not None and owner.handles(call):
            return owner
        # An executor that announced the tool since the last request does not get the call.
        return next(
            (executor for executor in self.executors if executor.handles(call) and not _defines(executor, name)), None
        )

    def offers(self, call: PendingCall, more: Sequence[Tool]) -> bool:
        """Return whether the called tool was offered, by the last request or in ``more``, and was not withdrawn."""
        name = called_name(call)
        owner = (self._owners or {}).get(name) if name is not None else None
        if owner is not None and not _defines(owner, name):
            return False
        return is_offered(call, [*self.offered, *more])


def _defines(executor: ToolExecutor, name: tuple[str, str] | None) -> bool:
    return name is not None and name in tool_names(map(load_tool, executor.definitions()))


def _without(tool: Tool, names: Collection[tuple[str, str]]) -> list[Tool | JSONObject]:
    """Return a tool without the functions that have these names, in a list; an empty list if nothing is left."""
    if not isinstance(tool, NamespaceTool):
        return []
    tools = [
        each
        for each in tool.tools
        if not (isinstance(each, FunctionTool | CustomTool) and (tool.name, each.name) in names)
    ]
    return [attrs.evolve(tool, tools=tools)] if tools else []
