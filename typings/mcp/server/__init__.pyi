from mcp.server.lowlevel.server import Server

__all__ = ["Server"]
