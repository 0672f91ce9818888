"""A real MCP server for any version of the SDK, and an environment with the last SDK of version 1.

``python mcp_sdks.py stdio`` or ``python mcp_sdks.py http PORT [TOKEN]``. Only the SDK and its dependencies are
imported, so that the program runs in the environment of either SDK.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import uvicorn

try:
    _module: Any = importlib.import_module("mcp.server.mcpserver")  # of version 2
    _Server: Any = _module.MCPServer
except ImportError:
    _module = importlib.import_module("mcp.server.fastmcp")  # of version 1
    _Server = _module.FastMCP

_F = TypeVar("_F", bound=Callable[..., Any])


def build() -> Any:
    """Return a server with the tools of the tests."""
    server: Any = _Server("sdk")

    def tool(function: _F) -> _F:
        server.add_tool(function)
        return function

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @tool
    def die() -> str:
        os._exit(3)

    @tool
    def fail() -> str:
        raise ValueError("no such city")

    @tool
    async def slow(seconds: float) -> str:
        await anyio.sleep(seconds)
        return "done"

    @tool
    def garbage() -> str:
        os.write(1, b"caf\xe9 is open\n\n{]\n")
        return "fine"

    async def grow(ctx: Any) -> str:
        """Add a tool."""
        server.add_tool(lambda: "new", name="grown")
        if hasattr(ctx, "notify_tools_changed"):
            await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "grown"

    grow.__annotations__["ctx"] = _module.Context  # by which the SDK recognises the parameter
    tool(grow)

    return server


class Guard:
    """An ASGI application that lets only those in who have a token."""

    def __init__(self, app: Any, token: str) -> None:
        self.app = app
        self.token = token.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != b"Bearer " + self.token:
            headers = [(b"www-authenticate", b'Bearer realm="sdk"'), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, send)


def main(how: str, port: str = "0", token: str = "") -> None:
    server = build()
    if how == "stdio":
        server.run("stdio")
        return
    app: Any = server.streamable_http_app()
    if token:
        app = Guard(app, token)
    config = uvicorn.Config(app, host="127.0.0.1", port=int(port), log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
