from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

from mcp.client.session import ClientSession, ProgressFnT
from mcp.client.stdio import StdioServerParameters
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver.server import MCPServer
from mcp.types import CallToolResult, Implementation

class Client:
    def __init__(
        self,
        server: Server[Any] | MCPServer[Any] | AbstractAsyncContextManager[Any] | StdioServerParameters | str,
        *,
        message_handler: Callable[[Any], Awaitable[None]] | None = None,
        client_info: Implementation | None = None,
        mode: str = "auto",
        cache: None = ...,
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None: ...
    @property
    def session(self) -> ClientSession: ...
    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        progress_callback: ProgressFnT | None = None,
    ) -> CallToolResult: ...
