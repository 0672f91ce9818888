"""MCP servers that send what they are told to, valid or not: a program, and the script of a ``FakeServer``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from responses_proto.testing import Answer
from responses_proto.tools.mcp import McpServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from responses_proto.testing import ServerExchange

_PROGRAM: Final = r"""
import json, os, sys, time
tools = json.loads(sys.argv[1])
def put(*lines):
    for line in lines:
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()
def answer(id, **said):
    put(json.dumps({"jsonrpc": "2.0", "id": id, **said}).encode())
for line in sys.stdin:
    message = json.loads(line)
    id, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if id is None:
        continue
    if method == "initialize":
        answer(id, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "raw", "version": "1"}})
    elif method == "tools/list":
        answer(id, result={"tools": [{"name": name, "inputSchema": {"type": "object"}, **tool.get("tool", {})} for name, tool in tools.items()]})
    elif method == "tools/call" and "closes" in tools[params["name"]]:
        os.close(1)
        time.sleep(600)
    elif method == "tools/call":
        tool = tools[params["name"]]
        put(*(bytes.fromhex(line).replace(b"<ID>", json.dumps(id).encode()) for line in tool.get("lines", ())))
        for field in ("result", "error"):
            if field in tool:
                answer(id, **{field: tool[field]})
        if "changes" in tool:
            tools.update(tool["changes"])
            put(b'{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}')
        if "echo" in tool:
            answer(id, result={"content": [{"type": "text", "text": json.dumps(params["arguments"])}]})
    else:
        answer(id, error={"code": -32601, "message": "Method not found"})
"""


def text(said: str, **more: Any) -> dict[str, Any]:
    """Return the result of a tool that says a text."""
    return {"content": [{"type": "text", "text": said}], **more}


def raw_stdio(tools: Mapping[str, Any], **options: Any) -> McpServer:
    """Return a program with these tools: name -> what it does.

    ``result`` or ``error``: its answer. ``lines``: bytes to write first, in which ``<ID>`` is the id of the request.
    ``tool``: more of its definition. ``changes``: tools that there are from then on. ``echo``: it returns its arguments.
    ``closes``: it closes its output, and goes on.
    """
    plain = {
        name: {**tool, "lines": [line.hex() for line in tool["lines"]]} if "lines" in tool else tool
        for name, tool in tools.items()
    }
    return McpServer.stdio(sys.executable, ["-c", _PROGRAM, json.dumps(plain)], **options)


OPENED: Final[dict[str, Any]] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "raw", "version": "1"},
}


class RawHTTP:
    """The script of a ``FakeServer`` that is an MCP server with sessions and the tool ``t``.

    ``instead`` returns, for the method of a request, what is answered in place of the usual answer, or ``None``. A session
    that is not known is refused with ``status_without_session``, which ``said`` explains.
    """

    def __init__(
        self,
        instead: Callable[[str], Answer | None] = lambda _: None,
        *,
        status_without_session: int = 404,
        said: str = "Session not found",
    ) -> None:
        self.instead = instead
        self._status_without_session = status_without_session
        self._said = said
        self.sessions: set[str] = set()
        self.opened = 0
        self.asked: list[str] = []
        """The methods of the requests."""
        self.ran = 0
        """How many calls were executed."""
        self.tools: list[dict[str, Any]] = [{"name": "t", "inputSchema": {"type": "object"}}]
        self.result: dict[str, Any] = text("fine")

    def __call__(self, peer: ServerExchange) -> Answer:
        if peer.request.method != "POST":
            return Answer.error(405)
        message: Any = peer.request.json
        self.asked.append(message["method"])
        other = self.instead(message["method"])
        return other if other is not None else self._answer(message, peer.request.headers.get("mcp-session-id"))

    def _answer(self, message: Any, session: str | None) -> Answer:
        method = message["method"]
        if method == "server/discover":
            return reply(message, error={"code": -32600, "message": "no session"}, status=400)
        if method == "initialize":
            self.opened += 1
            session = f"session-{self.opened}"
            self.sessions.add(session)
            return reply(message, result=OPENED, headers={"mcp-session-id": session})
        if session not in self.sessions:
            error = {"code": -32001, "message": self._said}
            return reply(message, error=error, status=self._status_without_session)
        if "id" not in message:
            return Answer.body(b"", 202)
        self.ran += method == "tools/call"
        result: Any = {"tools": self.tools} if method == "tools/list" else self.result
        return reply(message, result=result)


def reply(message: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, **said: Any) -> Answer:
    """Return the answer to a request of JSON-RPC."""
    return Answer.json({"jsonrpc": "2.0", "id": message.get("id"), **said}, status, headers=headers)
