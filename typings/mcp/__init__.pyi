# The parts of the official MCP SDK (extra `mcp`) that this project and its tests touch. tests/test_stubs.py proves them true.
from mcp.client.client import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

__all__ = ["Client", "ClientSession", "MCPError", "StdioServerParameters", "stdio_client"]
