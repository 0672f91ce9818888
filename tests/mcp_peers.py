"""Helpers for tests of MCP: servers to talk to, calls to make, and a check for processes that are left."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from responses_proto.models import FunctionCall
from responses_proto.tools import ToolContext
from responses_proto.tools.mcp import McpServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from responses_proto.tools import ProgressReport, ToolOutput

SERVER = str(Path(__file__).parent / "mcp_server.py")
"""The program that `stdio` and `over_http` run."""

quiet_on_trio = pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
"""For tests over HTTP: httpx2 leaves its event stream readers to the garbage collector, which only trio warns about."""


def stdio(*options: str, **how: Any) -> McpServer:
    """Return `mcp_server.py` as a child of this process."""
    return McpServer.stdio(sys.executable, [SERVER, "stdio", *options], **how)


@contextlib.contextmanager
def over_http(*options: str) -> Generator[str]:
    """Run `mcp_server.py` on a socket during the block. Yield its URL."""
    with subprocess.Popen([sys.executable, SERVER, "http", *options], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def function_call(name: str, arguments: Any = None) -> FunctionCall:
    """Return a call as a model makes it. Arguments that are a str are used unchanged."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return FunctionCall(call_id="call_1", name=name, arguments=text)


async def call(
    tools: McpServer,
    name: str,
    arguments: Any = None,
    *,
    progress: list[ProgressReport] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the timeout of the context
) -> ToolOutput:
    """Execute a call without a run."""
    made = function_call(name, arguments)
    context = ToolContext(made, timeout=timeout, on_progress=progress.append if progress is not None else None)
    return await tools.execute(made, context)


def connected(tools: McpServer) -> bool:
    """Return whether a session is open: for type checkers, an attribute does not change between two assertions."""
    return tools.connected


def children() -> set[int]:
    """Return the ids of the child processes of this one, including those that have ended but were not waited for."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("child processes are read from /proc")
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    found.add(int(entry.name))
    return found
