"""MCP servers as tools: :class:`McpServer` is an executor for the tools of a server over stdio, HTTP or in process.

Needs the extra ``mcp``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_exports

if TYPE_CHECKING:
    __all__: list[str]

    from .server import McpApproval as McpApproval
    from .server import McpResource as McpResource
    from .server import McpServer as McpServer
else:
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".server": ("McpApproval", "McpResource", "McpServer"),
        },
    )
