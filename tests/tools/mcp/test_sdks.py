"""Real servers of the newest SDK and of the last SDK of version 1: what happens to them, and what the caller sees."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest
from tests.environments import NotInstalledError, python_with
from tests.mcp_peers import call, children, connected, function_call, quiet_on_trio
from tests.support import PATIENCE, run

from responses_proto.exceptions import ConnectError, ToolError
from responses_proto.tools.mcp import McpServer

pytest.importorskip("mcp")

if TYPE_CHECKING:
    from collections.abc import Generator

    from responses_proto.tools.mcp._transports import McpProtocol

PROGRAM = str(Path(__file__).parents[2] / "mcp_sdks.py")
OLD_SDK = "mcp<2"


@attrs.frozen
class Sdk:
    python: str
    protocol: McpProtocol

    def stdio(self, **options: Any) -> McpServer:
        return McpServer.stdio(self.python, [PROGRAM, "stdio"], protocol=self.protocol, **options)

    def http(self, port: int, **options: Any) -> McpServer:
        return McpServer.http(f"http://127.0.0.1:{port}/mcp", protocol=self.protocol, **options)

    @contextlib.contextmanager
    def serving(self, port: int, token: str = "") -> Generator[subprocess.Popen[bytes]]:
        """Run the server on a port during the block."""
        with subprocess.Popen([self.python, PROGRAM, "http", str(port), token]) as process:  # noqa: S603 - our own program
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="session")
def old_python(pytestconfig: pytest.Config) -> str:
    """Return the interpreter of an environment with the old SDK."""
    try:
        return python_with(pytestconfig, OLD_SDK)
    except NotInstalledError as error:
        pytest.skip(str(error))


# Each protocol on each loop. Starting a server of an SDK takes a second, so the older protocol has another server on each.
on_each_loop = pytest.mark.parametrize(
    ("backend", "version"),
    [("asyncio", "newest"), ("trio", "newest"), ("asyncio", "newest as legacy"), ("trio", "version 1")],
)


@pytest.fixture
def sdk(request: pytest.FixtureRequest, version: str) -> Sdk:
    version, _, legacy = version.partition(" as ")
    python = sys.executable if version == "newest" else request.getfixturevalue("old_python")
    return Sdk(python, "legacy" if legacy else "auto")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


async def reachable(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server listens."""
    with anyio.fail_after(PATIENCE):
        while True:
            assert process.poll() is None, "the server has ended"
            with contextlib.suppress(OSError):
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                return
            await anyio.sleep(0.05)


def sockets() -> int:
    """Return how many sockets this process has open."""
    place = Path("/proc/self/fd")
    if not place.exists():
        pytest.skip("open files are read from /proc")
    found = 0
    for entry in place.iterdir():
        with contextlib.suppress(OSError):
            found += str(entry.readlink()).startswith("socket:")
    return found


async def adds(tools: McpServer) -> None:
    assert (await call(tools, "add", {"a": 1, "b": 2}, timeout=PATIENCE)).output == "3"


async def misbehaves(tools: McpServer) -> None:
    """Let a server fail, be slow, and change; between these, it serves."""
    await adds(tools)
    assert (await call(tools, "fail", timeout=PATIENCE)).failed
    with pytest.raises(ToolError, match="did not answer within"):
        await call(tools, "slow", {"seconds": 600}, timeout=0.3)
    await adds(tools)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: call(tools, "slow", {"seconds": 600}, timeout=PATIENCE))
        await adds(tools)
        group.cancel_scope.cancel()
    await adds(tools)


async def grows(tools: McpServer) -> None:
    assert (await call(tools, "grow", timeout=PATIENCE)).output == "grown"
    with anyio.fail_after(PATIENCE):
        while not tools.handles(function_call("grown")):  # noqa: ASYNC110 - as a run does: it asks before each request
            await anyio.sleep(0.01)
    assert (await call(tools, "grown", timeout=PATIENCE)).output == "new"


@on_each_loop
def test_a_program(backend: str, sdk: Sdk) -> None:
    async def test() -> None:
        before = children()
        async with sdk.stdio() as tools:
            await misbehaves(tools)
            assert (await call(tools, "garbage", timeout=PATIENCE)).output == "fine"
            await grows(tools)
            with pytest.raises(ToolError, match="is gone") as caught:
                await call(tools, "die")
            assert caught.value.retry_safety == "unsafe"
            assert not connected(tools)
            await adds(tools)
            assert len(children() - before) == 1
        assert children() == before

    run(backend, test)


@quiet_on_trio
@on_each_loop
def test_a_server_over_http(backend: str, sdk: Sdk, port: int) -> None:
    async def test() -> None:
        before = sockets()
        with sdk.serving(port) as process:
            await reachable(port, process)
            tools = sdk.http(port)
            await tools.__aenter__()
            await misbehaves(tools)
            await grows(tools)
        try:
            with anyio.fail_after(PATIENCE):  # the process has ended, but the system may still reset connections
                while True:
                    with pytest.raises(ToolError, match=r"refused|reset|disconnected") as caught:
                        await call(tools, "add", {"a": 1, "b": 2}, timeout=PATIENCE)
                    if caught.value.retry_safety == "safe":
                        break
            assert not connected(tools)
            with sdk.serving(port, "secret-token") as process:  # restarted between two calls; now it wants a token
                await reachable(port, process)
                with pytest.raises(ToolError, match=r'HTTP 401\).*WWW-Authenticate: Bearer realm="sdk"'):
                    await call(tools, "add", {"a": 1, "b": 2}, timeout=PATIENCE)
                with pytest.raises(ConnectError, match="HTTP 401"):
                    await sdk.http(port).__aenter__()
                async with sdk.http(port, headers={"Authorization": "Bearer secret-token"}) as admitted:
                    await adds(admitted)
            with sdk.serving(port) as process:
                await reachable(port, process)
                await adds(tools)
                assert connected(tools)
        finally:
            await tools.__aexit__(None, None, None)
        assert not connected(tools)
        assert sockets() == before

    run(backend, test)
