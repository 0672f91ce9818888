from typing import Any

from mcp.types import JSONRPCMessage

class SessionMessage:
    message: JSONRPCMessage
    metadata: Any
    def __init__(self, message: JSONRPCMessage, metadata: Any = None) -> None: ...
