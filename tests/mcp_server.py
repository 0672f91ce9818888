"""A real MCP server for tests: ``python mcp_server.py stdio``, ``... http``, or ``build()`` in this process.

Over HTTP it writes its URL as the first line of its output. With ``--old`` it speaks no version newer than
MCP 2025-11-25; with ``--stubborn`` it does not end when it is terminated.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import pydantic
import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.types import CallToolResult, InputRequiredResult

if TYPE_CHECKING:
    from mcp.server import Server

REFUSED: Final = -32042
"""The error code of the tool `refuse`."""

PARTS: Final = [
    {"type": "text", "text": "See:"},
    {"type": "image", "data": "iVBORw==", "mimeType": "image/png"},
    {"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"},
    {"type": "resource", "resource": {"uri": "note://1", "mimeType": "text/plain", "text": "a note"}},
    {"type": "resource", "resource": {"uri": "file:///q/3.pdf", "mimeType": "application/pdf", "blob": "JVBERg=="}},
    {"type": "resource_link", "uri": "file:///q/4.pdf", "name": "q4"},
]
"""The content blocks that the tool `parts` returns."""

ASKED: Final = {
    "method": "elicitation/create",
    "params": {"message": "Which?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}},
}


class City(pydantic.BaseModel):
    name: str


def build(*, old: bool = False) -> MCPServer[Any]:
    """Return a server with a tool for each kind of result and failure."""
    server: MCPServer[Any] = MCPServer("demo", instructions="Be gentle.", log_level="CRITICAL")
    for some in (_give_content, _take_time, _go_wrong):
        some(server)
    _talk_back(server, old=old)

    @server.resource("note://{name}")
    def note(name: str) -> str:
        return f"the note {name}"

    @server.resource("image://logo", name="logo", title="The logo", mime_type="image/png")
    def logo() -> bytes:
        return b"png"

    return server


def _give_content(server: MCPServer[Any]) -> None:
    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool("files.read")
    def read(path: str) -> str:
        return f"what is in {path}"

    @server.tool()
    def environment(name: str) -> str:
        return os.environ.get(name, "")

    @server.tool()
    def large(size: int) -> str:
        return "x" * size

    @server.tool()
    def parts() -> CallToolResult:
        return CallToolResult.model_validate({"content": PARTS})

    @server.tool()
    def structured() -> CallToolResult:
        return CallToolResult.model_validate({"content": [], "structuredContent": {"city": "Paris", "degrees": None}})


def _take_time(server: MCPServer[Any]) -> None:
    stopped = 0

    @server.tool()
    async def slow(seconds: float, ctx: Context) -> str:
        """Report progress, then sleep."""
        nonlocal stopped
        try:
            await ctx.report_progress(1, 2, "half way")
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            stopped += 1
            raise
        return "done"

    @server.tool()
    def cancelled() -> int:
        """Return how many calls of `slow` were cancelled."""
        return stopped


def _go_wrong(server: MCPServer[Any]) -> None:
    @server.tool()
    def fail() -> str:
        raise ToolError("no such city")

    @server.tool()
    def refuse() -> str:
        raise MCPError(REFUSED, "not for you")

    @server.tool()
    def die() -> str:
        os._exit(3)


def _talk_back(server: MCPServer[Any], *, old: bool) -> None:
    @server.tool()
    async def grow(name: str, ctx: Context) -> str:
        """Add a tool to the server."""
        server.add_tool(lambda: "new", name=name)
        if old:
            await ctx.session.send_tool_list_changed()
        else:
            await ctx.notify_tools_changed()
        return "grown"

    @server.tool()
    async def ask(ctx: Context) -> Any:
        """Ask the client's user for something."""
        if old:
            return str(await ctx.elicit("Which city?", City))
        return InputRequiredResult.model_validate({"inputRequests": {"city": ASKED}})


async def serve_old(server: Server[Any]) -> None:
    """Serve like the SDK before MCP 2026-07-28."""
    async with server.lifespan(server) as state, stdio_server() as (read, write):
        await serve_loop(server, read, write, lifespan_state=state)


class OldOverHTTP:
    """An ASGI application that refuses the version of the protocol that it does not know, as older servers do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if (b"mcp-protocol-version", b"2026-07-28") in scope.get("headers", ()):
            await send({"type": "http.response.start", "status": 400, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, send)


def main(how: str, *options: str) -> None:
    server = build(old="--old" in options)
    if how == "stdio":
        if "--stubborn" in options:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if "--old" in options:
            anyio.run(serve_old, server._lowlevel_server)  # noqa: SLF001 - the SDK has no public way to be old
        else:
            server.run("stdio")
        if "--stubborn" in options:
            time.sleep(60)
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)  # noqa: T201 - so that the test knows
        app: Any = server.streamable_http_app()
        if "--old" in options:
            app = OldOverHTTP(app)
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
