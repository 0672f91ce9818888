from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from tests.mcp_peers import call, children, function_call, over_http, quiet_on_trio, stdio
from tests.support import PATIENCE, both_loops, run

from responses_proto.exceptions import AuthenticationError, ConnectError, ToolError, UsageError
from responses_proto.testing import Answer, FakeServer
from responses_proto.tools.mcp import McpServer

pytest.importorskip("mcp")

import httpx2
from mcp.server import Server
from mcp.types import CallToolResult, ListToolsResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.tools import ProgressReport
    from responses_proto.typing import JSONValue

NOT_THERE = "Connection refused|Connection reset|disconnected"
"""What the system says of a server that has just ended."""
NOT_SHOWN = "value-that-nobody-may-see"


def tools_on_pages(next_page: Callable[[str | None], tuple[str, str | None]]) -> Server[Any]:
    """Return a server with one tool per page. ``next_page`` maps a cursor to the tool and the next cursor."""

    async def list_tools(_: Any, params: Any) -> ListToolsResult:
        name, cursor = next_page(params.cursor if params else None)
        tool = {"name": name, "inputSchema": {"type": "object"}}
        return ListToolsResult.model_validate({"tools": [tool], "nextCursor": cursor})

    async def call_tool(_: Any, params: Any) -> CallToolResult:
        return CallToolResult.model_validate({"content": [{"type": "text", "text": params.name}]})

    return Server("pages", on_list_tools=list_tools, on_call_tool=call_tool)


async def refused(server: McpServer) -> str:
    """Enter a server that cannot be reached, and return the message of the error."""
    with pytest.raises(ConnectError) as caught:
        async with server:
            pass
    assert not server.connected
    return str(caught.value)


# ---- opening


@both_loops
def test_a_program_that_does_not_exist(backend: str) -> None:
    async def test() -> None:
        said = await refused(McpServer.stdio("/nowhere/mcp-server"))
        assert said.startswith("no MCP session with mcp-server: ")
        assert "No such file" in said

    run(backend, test)


@both_loops
def test_a_program_that_ends_at_once(backend: str) -> None:
    async def test() -> None:
        before = children()
        said = await refused(McpServer.stdio(sys.executable, ["-c", "raise SystemExit(1)"]))
        assert "it closed the connection" in said
        assert children() == before

    run(backend, test)


@both_loops
def test_a_program_that_writes_nothing(backend: str) -> None:
    async def test() -> None:
        before = children()
        server = McpServer.stdio(sys.executable, ["-c", "import sys; sys.stdin.read()"], start_timeout=0.5)
        assert "within 0.5 s" in await refused(server)
        assert children() == before

    run(backend, test)


@both_loops
def test_a_program_that_does_not_speak_mcp(backend: str) -> None:
    async def test() -> None:
        program = "import sys; print('Hello! Ready.', flush=True); sys.stdin.read()"
        server = McpServer.stdio(sys.executable, ["-c", program], start_timeout=0.5)
        assert "within 0.5 s" in await refused(server)

    run(backend, test)


@both_loops
def test_a_url_where_no_server_listens(backend: str) -> None:
    async def test() -> None:
        said = await refused(McpServer.http(f"http://user:{NOT_SHOWN}@127.0.0.1:9/mcp?key={NOT_SHOWN}"))
        assert said.startswith("no MCP session with http://127.0.0.1:9/mcp: ")
        assert NOT_SHOWN not in said

    run(backend, test)


@both_loops
def test_a_url_that_does_not_speak_mcp(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.error(404), check_requests=False) as server:
            assert "no MCP session with http://127.0.0.1" in await refused(McpServer.http(server.url))

    run(backend, test)


@both_loops
def test_entering_can_be_cancelled(backend: str) -> None:
    async def test() -> None:
        before = children()
        server = McpServer.stdio(sys.executable, ["-c", "import sys; sys.stdin.read()"])
        for milliseconds in (*range(20), 200):  # while the program is being started, and after
            with anyio.move_on_after(milliseconds / 1000) as scope:
                async with server:
                    pass
            assert scope.cancelled_caught
            assert not server.connected
            assert children() == before

    run(backend, test)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: McpServer.stdio("server --port 1", "--verbose"), "args a list of str"),
        (lambda: McpServer.stdio("server", [1]), "args a list of str"),  # type: ignore[list-item]
        (lambda: McpServer.stdio("server", 5), "args a list of str"),  # type: ignore[arg-type]
        (lambda: McpServer.stdio(""), "command must be a str"),
        (lambda: McpServer.http(None), "url must begin with http:// or https:// and name a host, got NoneType"),  # type: ignore[arg-type]
        (lambda: McpServer.http("localhost:8000/mcp"), "got 'localhost:8000/mcp'"),
        (lambda: McpServer.http(f"ftp://user:{NOT_SHOWN}@host/"), "got 'ftp://host/'"),
        (lambda: McpServer.stdio("server", env={"KEY": 1}), r"env\['KEY'\] must be a str, got int"),  # type: ignore[dict-item]
        (
            lambda: McpServer.stdio("server", prefix="git:"),
            "prefix must consist of at most 64 letters, digits, _ and -, got",
        ),
        (lambda: McpServer.stdio("server", errlog=io.StringIO()), "errlog must be a file with a descriptor"),
        (lambda: McpServer.stdio("server", timeout=0), "seconds above 0"),
        (lambda: McpServer.stdio("server", start_timeout=-1), "seconds above 0"),
        (lambda: McpServer.stdio("server", allowed="read"), r"allowed must be a list of names: \['read'\]"),
        (
            lambda: McpServer.http("http://x", headers={"authorization": f"Bearer {NOT_SHOWN}\n"}),
            "not shown",
        ),
        (
            lambda: McpServer.http("http://x", headers={"a": "b"}, http_client=httpx2.AsyncClient()),
            "headers and auth, or http_client, not both",
        ),
        (lambda: McpServer.http("http://x", auth=httpx.BasicAuth("a", "b")), "must be an httpx2.Auth"),
        (lambda: McpServer.stdio("server", protocol="new"), 'must be "auto" or "legacy"'),  # type: ignore[arg-type]
        (lambda: McpServer.stdio("server", structured="never"), 'must be "when_blank" or "always"'),  # type: ignore[arg-type]
        (lambda: McpServer.stdio("server", approve="write"), r"a function or a list of names: \['write'\]"),
        (
            lambda: McpServer.http("http://x", http_client=httpx.AsyncClient()),
            "must be an httpx2.AsyncClient, which the MCP SDK uses, got httpx",
        ),
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], McpServer], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert NOT_SHOWN not in str(caught.value)


def test_without_the_sdk_the_error_names_the_extra() -> None:
    code = """
import sys
sys.modules["mcp"] = None
from responses_proto.tools.mcp import McpServer
try:
    McpServer.stdio("server")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own code
    assert "pip install 'responses-proto[mcp]'" in done.stdout


def test_the_sdk_is_imported_on_first_use() -> None:
    code = "import sys, responses_proto.tools.mcp.server; print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - as above
    assert done.stdout.strip() == "False"


# ---- secrets


@both_loops
def test_the_environment_of_a_program_is_not_shown(backend: str) -> None:
    async def test() -> None:
        assert "PYTEST_CURRENT_TEST" in os.environ
        async with stdio(env={"TOKEN": NOT_SHOWN}) as tools:
            for name, value in (("TOKEN", NOT_SHOWN), ("PYTEST_CURRENT_TEST", "")):
                assert (await call(tools, "environment", {"name": name})).value == {"result": value}
            assert NOT_SHOWN not in repr(tools)
        program = f"import sys; sys.exit({NOT_SHOWN!r})"
        assert NOT_SHOWN not in await refused(
            McpServer.stdio(sys.executable, ["-c", program], env={"TOKEN": NOT_SHOWN})
        )

    run(backend, test)


@both_loops
def test_headers_that_a_server_quotes_are_redacted(backend: str) -> None:
    async def test() -> None:
        said: JSONValue = {"code": -32001, "message": f"bad token {NOT_SHOWN}"}
        error: JSONValue = {"jsonrpc": "2.0", "id": 1, "error": said}
        async with FakeServer(Answer.json(error, status=401), check_requests=False) as server:
            tools = McpServer.http(server.url, headers={"Authorization": f"Bearer {NOT_SHOWN}"})
            with pytest.raises(ConnectError, match=r"bad token \*\*\*") as caught:
                await tools.__aenter__()
            assert isinstance(caught.value.__cause__, AuthenticationError)
            assert NOT_SHOWN not in f"{caught.value.__cause__} {vars(caught.value.__cause__)}"
            assert server.requests[0].headers["authorization"] == f"Bearer {NOT_SHOWN}"

    run(backend, test)


# ---- listing


@both_loops
@pytest.mark.parametrize("last", [None, ""])
def test_all_pages_of_tools_are_read(backend: str, last: str | None) -> None:
    async def test() -> None:
        pages: dict[str | None, tuple[str, str | None]] = {None: ("a", "2"), "2": ("b", "3"), "3": ("c", last)}
        async with McpServer.in_process(tools_on_pages(pages.__getitem__)) as tools:
            assert [tool.name for tool in tools.definitions()] == ["a", "b", "c"]  # type: ignore[union-attr]
            assert (await call(tools, "c")).output == "c"

    run(backend, test)


@both_loops
def test_an_endless_listing_is_refused(backend: str) -> None:
    async def test() -> None:
        server = McpServer.in_process(tools_on_pages(lambda cursor: (f"tool{cursor}", "again")))
        assert "lists tools on more than 100 pages" in await refused(server)

    run(backend, test)


@both_loops
def test_a_server_without_tools_offers_none(backend: str) -> None:
    async def test() -> None:
        async with McpServer.in_process(Server("empty")) as tools:
            assert tools.definitions() == []
            assert tools.instructions == ""

    run(backend, test)


@both_loops
def test_new_tools_are_offered_after_a_notification(backend: str) -> None:
    async def test() -> None:
        async with stdio() as tools:
            assert not tools.handles(function_call("grown"))
            await call(tools, "grow", {"name": "grown"})
            with anyio.fail_after(PATIENCE):
                while not tools.handles(function_call("grown")):  # noqa: ASYNC110 - as a run does: it asks before each request
                    await anyio.sleep(0.01)
            assert (await call(tools, "grown")).output == "new"

    run(backend, test)


@quiet_on_trio
@both_loops
def test_an_older_server_over_http(backend: str) -> None:
    async def test() -> None:
        with over_http("--old") as url:
            async with McpServer.http(url) as tools:
                await call(tools, "grow", {"name": "grown"})
                with anyio.fail_after(PATIENCE):
                    while not tools.handles(function_call("grown")):  # noqa: ASYNC110 - as above
                        await anyio.sleep(0.01)
                assert (await call(tools, "grown")).output == "new"
                progress: list[ProgressReport] = []
                async with anyio.create_task_group() as group:
                    group.start_soon(lambda: call(tools, "slow", {"seconds": 600}, progress=progress))
                    with anyio.fail_after(PATIENCE):
                        while not progress:  # noqa: ASYNC110 - the server works on it then
                            await anyio.sleep(0.01)
                    group.cancel_scope.cancel()
                with anyio.fail_after(PATIENCE):
                    while int(str((await call(tools, "cancelled")).output)) == 0:  # noqa: ASYNC110 - what the server says
                        await anyio.sleep(0.01)
                for said in ("did not answer: SSE stream ended", NOT_THERE):
                    with pytest.raises(ToolError, match=said):
                        await call(tools, "die")

    run(backend, test)


@both_loops
def test_standard_error_without_a_descriptor_is_discarded(backend: str) -> None:
    async def test() -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # without a descriptor, like that of a notebook
            async with stdio() as tools:
                assert (await call(tools, "add", {"a": 1, "b": 2})).output == "3"

    run(backend, test)


@both_loops
def test_a_change_during_a_call_is_offered_in_the_next_request(backend: str) -> None:
    async def test() -> None:
        async with stdio("--old") as tools:
            await call(tools, "grow", {"name": "grown"})
            assert tools.handles(function_call("grown"))
            assert (await call(tools, "grown")).output == "new"

    run(backend, test)


# ---- losing


@both_loops
def test_a_program_that_died_is_reported_and_started_again_by_the_next_call(backend: str) -> None:
    async def test() -> None:
        before = children()
        async with stdio() as tools:
            with pytest.raises(ToolError, match=r"the MCP server python.* is gone") as caught:
                await call(tools, "die")
            assert caught.value.retry_safety == "unsafe"
            assert not tools.connected
            assert (await call(tools, "add", {"a": 1, "b": 2})).output == "3"
            async with tools:
                assert (await call(tools, "add", {"a": 1, "b": 2})).output == "3"
        assert children() == before

    run(backend, test)


@quiet_on_trio
@both_loops
def test_a_server_that_is_gone_is_reported(backend: str) -> None:
    async def test() -> None:
        with over_http() as url:
            async with McpServer.http(url) as tools:
                with pytest.raises(ToolError, match=r"no answer from .*disconnected") as caught:
                    await call(tools, "die")
                assert caught.value.retry_safety == "unsafe"
                with anyio.fail_after(PATIENCE):
                    while True:  # the process ends after its connections
                        with pytest.raises(ToolError, match=NOT_THERE) as caught:
                            await call(tools, "die")
                        if caught.value.retry_safety == "safe":
                            break
                assert not tools.connected
                with pytest.raises(ConnectError):
                    await tools.__aenter__()

    run(backend, test)
