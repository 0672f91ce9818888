"""A real MCP server for any version of the SDK, and an environment with the last SDK of version 1.

``python mcp_sdks.py stdio`` or ``python mcp_sdks.py http PORT [TOKEN]``. Only the SDK and its dependencies are
imported, so that the program runs in the environment of either SDK.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
import uvicorn

try:
    from mcp.server.mcpserver import Context, MCPServer  # of version 2
except ImportError:
    from mcp.server.fastmcp import (  # type: ignore[import-not-found,no-redef] # of version 1
        Context,  # pyright: ignore[reportAttributeAccessIssue,reportUnknownVariableType,reportMissingImports]
    )
    from mcp.server.fastmcp import (  # type: ignore[no-redef] # as above
        FastMCP as MCPServer,  # pyright: ignore[reportUnknownVariableType] - as above
    )


def build() -> Any:
    """Return a server with the tools of the tests."""
    server: Any = MCPServer("sdk")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def die() -> str:
        os._exit(3)

    @server.tool()
    def fail() -> str:
        raise ValueError("no such city")

    @server.tool()
    async def slow(seconds: float) -> str:
        await anyio.sleep(seconds)
        return "done"

    @server.tool()
    def garbage() -> str:
        os.write(1, b"caf\xe9 is open\n\n{]\n")
        return "fine"

    @server.tool()
    async def grow(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        """Add a tool."""
        server.add_tool(lambda: "new", name="grown")
        if hasattr(ctx, "notify_tools_changed"):
            await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "grown"

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
