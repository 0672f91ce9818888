"""Tools that the model can call: Python functions, MCP servers and other executors, and the loop that runs them.

:func:`function_tool` makes a tool from a function; :class:`ToolExecutor` is the interface for anything else.
:class:`ToolLoop` is the agent loop without I/O; ``client.run`` drives it and returns a :class:`Run`. MCP servers are in
``tools.mcp``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from . import mcp as mcp
    from ._runner import OnError as OnError
    from ._starter import Approve as Approve
    from .effects import Effect as Effect
    from .effects import OnEffect as OnEffect
    from .effects import Perform as Perform
    from .events import ApprovalRequested as ApprovalRequested
    from .events import LocalEvent as LocalEvent
    from .events import RunEvent as RunEvent
    from .events import ToolEvent as ToolEvent
    from .events import ToolFinished as ToolFinished
    from .events import ToolProgress as ToolProgress
    from .events import ToolStarted as ToolStarted
    from .events import TurnFinished as TurnFinished
    from .events import TurnStarted as TurnStarted
    from .executors import Function as Function
    from .executors import ItemHandler as ItemHandler
    from .executors import NeedsApproval as NeedsApproval
    from .executors import ProgressReport as ProgressReport
    from .executors import ToolContext as ToolContext
    from .executors import ToolExecutor as ToolExecutor
    from .executors import Tools as Tools
    from .executors import custom_tool as custom_tool
    from .executors import function_tool as function_tool
    from .executors import handler as handler
    from .loop import Continuation as Continuation
    from .loop import LoopState as LoopState
    from .loop import StopReason as StopReason
    from .loop import ToolLoop as ToolLoop
    from .loop import is_offered as is_offered
    from .output import Approval as Approval
    from .output import ToolOutput as ToolOutput
    from .output import ToolResult as ToolResult
    from .output import call_key as call_key
    from .output import output_item as output_item
    from .output import tool_output as tool_output
    from .run import EditInput as EditInput
    from .run import Run as Run
    from .run import RunResult as RunResult
    from .run import RunStopReason as RunStopReason
    from .run import StartPolicy as StartPolicy
    from .turn import LoopTurn as LoopTurn
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "._runner": ("OnError",),
            "._starter": ("Approve",),
            ".effects": ("Effect", "OnEffect", "Perform"),
            ".events": (
                "ApprovalRequested",
                "LocalEvent",
                "RunEvent",
                "ToolEvent",
                "ToolFinished",
                "ToolProgress",
                "ToolStarted",
                "TurnFinished",
                "TurnStarted",
            ),
            ".executors": (
                "Function",
                "ItemHandler",
                "NeedsApproval",
                "ProgressReport",
                "ToolContext",
                "ToolExecutor",
                "Tools",
                "custom_tool",
                "function_tool",
                "handler",
            ),
            ".loop": ("Continuation", "LoopState", "StopReason", "ToolLoop", "is_offered"),
            ".output": ("Approval", "ToolOutput", "ToolResult", "call_key", "output_item", "tool_output"),
            ".run": ("EditInput", "Run", "RunResult", "RunStopReason", "StartPolicy"),
            ".turn": ("LoopTurn",),
        },
        extras=("mcp",),
    )
