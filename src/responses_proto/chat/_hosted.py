"""Hosted tools that an operator's executors can run, and the items of their calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from ..codec import default_backend
from ..exceptions import DecodeError, LimitExceeded, UsageError
from ..models.actions import LogsOutput, SearchAction
from ..models.items import CodeInterpreterCall, FileSearchCall, WebSearchCall
from ..models.tools import FunctionTool
from ._tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..models.items import Item
    from ..protocol.emitter import Ids
    from ..tools.executors import ToolExecutor
    from ..tools.output import ToolOutput

_Open: TypeAlias = "Callable[[Mapping[str, Any], Ids], Item]"


def _web_search(arguments: Mapping[str, Any], ids: Ids) -> Item:
    query = _first_text(arguments)
    return WebSearchCall(id=ids("ws"), status="in_progress", action=SearchAction(query=query, queries=[query]))


def _file_search(arguments: Mapping[str, Any], ids: Ids) -> Item:
    return FileSearchCall(id=ids("fs"), status="in_progress", queries=[_first_text(arguments)])


def _code_interpreter(arguments: Mapping[str, Any], ids: Ids) -> Item:
    return CodeInterpreterCall(
        id=ids("ci"), container_id=ids("cntr"), status="in_progress", code=_first_text(arguments)
    )


_ITEMS: Final[Mapping[str, _Open]] = {
    "web_search": _web_search,
    "web_search_2025_08_26": _web_search,
    "web_search_preview": _web_search,
    "web_search_preview_2025_03_11": _web_search,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
}
"""Type of a hosted tool that an executor can run -> function that creates the item of a call."""


def stand_ins(executors: Mapping[str, ToolExecutor | None]) -> dict[str, FunctionTool | None]:
    """Return the function that represents each hosted tool, as its executor defines it; ``None`` for a tool that is left out.

    The entry for ``web_search`` also applies to its other versions, unless they have their own. Raises ``UsageError`` for a type that an
    executor cannot run, for ``None`` with a type that the bridge translates, and for an executor that does not define exactly one
    function.
    """
    found = {type_: _stand_in(type_, executor) for type_, executor in executors.items()}
    if "web_search" in found:
        found = {**{version: found["web_search"] for version in _ITEMS if version.startswith("web_search")}, **found}
    return found


def _stand_in(type_: str, executor: ToolExecutor | None) -> FunctionTool | None:
    if executor is None:
        if type_ in TOOLS and TOOLS[type_].fate != "refused":
            raise UsageError(f"tools: {type_!r} cannot be left out, because the bridge translates it")
        return None
    if type_ not in _ITEMS:
        raise UsageError(
            f"tools: {type_!r} is not a hosted tool that an executor can run; these are: {', '.join(_ITEMS)}"
        )
    defined = executor.definitions()
    if len(defined) != 1 or not isinstance(defined[0], FunctionTool):
        raise UsageError(f"tools: the executor of {type_!r} must define exactly one function")
    return defined[0]


def open_call(type_: str, arguments: str, ids: Ids) -> Item:
    """Return the item of a new call. ``arguments`` are the arguments of the function, as the model wrote them."""
    try:
        value: Any = default_backend().loads(arguments)
    except (DecodeError, LimitExceeded):
        value = None
    return _ITEMS[type_](cast("Mapping[str, Any]", value) if isinstance(value, dict) else {"text": arguments}, ids)


def close_call(item: Item, output: ToolOutput) -> Item:
    """Return the item of a call that has ended. The output is only for the model, except for code, whose item includes it."""
    changes: dict[str, Any] = {"status": "failed" if output.failed else "completed"}
    if isinstance(item, CodeInterpreterCall):
        changes["outputs"] = [LogsOutput(logs=output.output if isinstance(output.output, str) else "")]
    return attrs.evolve(item, **changes)


def _first_text(arguments: Mapping[str, Any]) -> str:
    return next((value for value in arguments.values() if isinstance(value, str)), "")
