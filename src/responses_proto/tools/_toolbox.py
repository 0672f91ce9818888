"""The tools of a run, sorted: what executes, what is only offered, and who gets which call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from ..client._calls import merge_fields
from ..codec import load
from ..exceptions import LocalProtocolError
from ..models.request import CreateResponse
from ..models.tools import Tool
from .executors import function_tool, names_of
from .loop import is_offered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..models.response import PendingCall
    from ..typing import JSONObject
    from .executors import ToolExecutor, Tools

__all__ = ["Toolbox"]

_EXECUTOR: Final = ("definitions", "handles", "execute")
_TOOL: Final[tuple[type, ...]] = get_args(Tool)


class Toolbox:
    """Raises ``LocalProtocolError`` for what is no tool."""

    def __init__(self, tools: Tools) -> None:
        self.executors: list[ToolExecutor] = []
        self._definitions: list[Tool | JSONObject] = []
        self._offered: list[Tool | JSONObject] = []
        for tool in cast("Iterable[Any]", tools):
            if isinstance(tool, (*_TOOL, Mapping)):
                self._definitions.append(cast("Tool", tool))
            elif all(callable(getattr(tool, verb, None)) for verb in _EXECUTOR):
                self.executors.append(tool)
            elif callable(tool):
                self.executors.append(function_tool(tool))
            else:
                raise LocalProtocolError(
                    f"a tool is a function, an executor, a definition such as McpTool(...), or a raw object, not {tool!r:.100}"
                )

    def offered_with(self, request: CreateResponse | JSONObject) -> CreateResponse | dict[str, Any]:
        """Give a request that offers what there is now, and what it offers by itself. Raises ``LocalProtocolError`` for a name given twice."""
        own: Any = request.get("tools") if isinstance(request, Mapping) else request.tools
        more = [*self._definitions, *(tool for executor in self.executors for tool in executor.definitions())]
        self._offered = [*(own or ()), *more]
        seen: set[tuple[str, str]] = set()
        for name in names_of(load(tool, Tool) if isinstance(tool, Mapping) else tool for tool in self._offered):
            if name in seen:
                raise LocalProtocolError(
                    f"two tools are called {name[1]!r}: give one of them another name, or a prefix"
                )
            seen.add(name)
        return merge_fields(CreateResponse, request, {"tools": self._offered} if more else {})

    def executor_of(self, call: PendingCall) -> ToolExecutor | None:
        """Give who executes a call; ``None`` if nobody does."""
        return next((executor for executor in self.executors if executor.handles(call)), None)

    def offers(self, call: PendingCall, more: Sequence[Tool]) -> bool:
        """Tell whether the model was offered what it calls, here or among ``more``."""
        return is_offered(call, [*self._offered, *more])
