"""Sorts the tools of a run into executors and plain definitions, and finds the executor of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from ..client._calls import merge_fields
from ..exceptions import UsageError
from ..models.request import CreateResponse
from .executors import function_tool
from .loop import is_offered, load_tool, tool_names
from .output import TOOL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..models.response import PendingCall
    from ..models.tools import Tool
    from ..typing import JSONObject
    from .executors import ToolExecutor, Tools

__all__ = ["Toolbox"]

_EXECUTOR_METHODS: Final = ("definitions", "handles", "execute")


class Toolbox:
    """The executors and the plain definitions of a run's ``tools``, in their order.

    Raises ``UsageError`` for anything else.
    """

    def __init__(self, tools: Tools) -> None:
        self.executors: list[ToolExecutor] = []
        self._definitions: list[Tool | JSONObject] = []
        self._offered: list[Tool | JSONObject] = []
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
        """Return the request with the tools of the run added to its own.

        Executors are asked for their definitions anew each time. Raises ``UsageError`` if two tools have the same name.
        """
        own: Any = request.get("tools") if isinstance(request, Mapping) else request.tools
        added = [*self._definitions, *(tool for executor in self.executors for tool in executor.definitions())]
        self._offered = [*(own or ()), *added]
        seen: set[tuple[str, str]] = set()
        for name in tool_names(map(load_tool, self._offered)):
            if name in seen:
                raise UsageError(f"two tools have the name {name[1]!r}: rename one of them, or give it a prefix")
            seen.add(name)
        return merge_fields(CreateResponse, request, {"tools": self._offered} if added else {})

    def executor_of(self, call: PendingCall) -> ToolExecutor | None:
        """Return the first executor that handles a call, or ``None``."""
        return next((executor for executor in self.executors if executor.handles(call)), None)

    def offers(self, call: PendingCall, more: Sequence[Tool]) -> bool:
        """Return whether the called tool was offered to the model, by the last request or in ``more``."""
        return is_offered(call, [*self._offered, *more])
