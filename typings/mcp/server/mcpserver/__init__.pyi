from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.server import MCPServer

__all__ = ["Context", "MCPServer"]
