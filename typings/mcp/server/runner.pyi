from typing import Any

from mcp.server.lowlevel.server import Server

async def serve_loop(server: Server[Any], read_stream: Any, write_stream: Any, *, lifespan_state: Any) -> None: ...
