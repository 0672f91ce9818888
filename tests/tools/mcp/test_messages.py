from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.mcp_raw import text
from tests.support import both_loops, run

from responses_proto import Limits
from responses_proto.exceptions import LimitExceeded, RemoteProtocolError, ResponsesProtoError, TransportError

pytest.importorskip("mcp")

from mcp import ClientSession, MCPError
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

from responses_proto.tools.mcp._json import LongLine
from responses_proto.tools.mcp._messages import failure_message, messages_of, raw_result, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.types import CallToolResult


def test_a_batch_is_several_messages() -> None:
    line = b'[{"jsonrpc": "2.0", "id": 1, "result": {}}, 7, {"jsonrpc": "2.0", "method": "m"}]'
    kinds = [type(message.message).__name__ for message in messages_of(line)]
    assert kinds == ["JSONRPCResponse", "JSONRPCNotification"]


def test_a_line_that_is_too_long_is_the_failure_of_its_request() -> None:
    error = LimitExceeded("max_event_bytes", 2, maximum=1)
    (message,) = messages_of(LongLine(b'{"jsonrpc":"2.0","id":"a"', error))
    assert isinstance(message.message, JSONRPCError)
    assert message.message.id == "a"
    assert message.message.error.data is error
    with pytest.raises(LimitExceeded):
        messages_of(LongLine(b"log log log", error))


def test_an_unreadable_answer_is_the_failure_of_its_request() -> None:
    (message,) = messages_of(b'{"jsonrpc":"2.0","id":3,"result":')
    assert isinstance(message.message, JSONRPCError)
    assert isinstance(message.message.error.data, RemoteProtocolError)
    assert messages_of(b"log") == []


async def ask(
    answer: dict[str, Any],
    *,
    failure_of: Callable[[object], ResponsesProtoError | None] = lambda _: None,
    limits: Limits | None = None,
    what: str = "call",
) -> tuple[CallToolResult, list[None]]:
    """Let a session of the SDK ask a transport that answers this. Return the result, and a list with the ends seen."""
    ends: list[None] = []
    to_client, incoming = anyio.create_memory_object_stream[Any](10)
    outgoing, from_client = anyio.create_memory_object_stream[Any](10)

    async def answer_all() -> None:
        async for item in from_client:
            if isinstance(item.message, JSONRPCRequest):
                response = JSONRPCResponse(jsonrpc="2.0", id=item.message.id, result=answer)
                await to_client.send(SessionMessage(response))

    result: Any = None
    streams = watched((incoming, outgoing), limits or Limits(), failure_of=failure_of, on_end=lambda: ends.append(None))
    with to_client, from_client:
        async with anyio.create_task_group() as group:
            group.start_soon(answer_all)
            async with ClientSession(*streams) as session:
                asked: Any = session.call_tool("t", {}) if what == "call" else session.list_tools()
                try:
                    result = await asked
                    to_client.close()
                    while not ends:  # noqa: ASYNC110 - the session's reader sees it
                        await anyio.sleep(0.001)
                finally:
                    group.cancel_scope.cancel()
    return result, ends


@pytest.mark.parametrize(
    "answer",
    [
        text("fine"),
        {"structuredContent": [1, float("inf"), 10**30]},
        {"content": [{"type": "video"}], "isError": True, "resultType": "unheard of"},
        {},
        {"content": "text", "_meta": 7},
    ],
)
@both_loops
def test_results_of_tools_pass_as_they_are(backend: str, answer: dict[str, Any]) -> None:
    async def test() -> None:
        result, ends = await ask(answer)
        assert raw_result(result) == answer
        assert ends

    run(backend, test)


@both_loops
def test_a_failure_is_the_data_of_the_error(backend: str) -> None:
    async def test() -> None:
        failure = TransportError("gone")
        with pytest.RaisesGroup(
            pytest.RaisesExc(MCPError, check=lambda error: error.error.data is failure), flatten_subgroups=True
        ):
            await ask(text("fine"), failure_of=lambda _: failure)
        message: Any = failure_message(1, failure).message
        assert message.error.data is failure

    run(backend, test)


@both_loops
def test_too_many_tools_are_refused_before_they_are_read(backend: str) -> None:
    async def test() -> None:
        with pytest.RaisesGroup(
            pytest.RaisesExc(MCPError, check=lambda error: isinstance(error.error.data, LimitExceeded)),
            flatten_subgroups=True,
        ):
            await ask({"tools": [{"not": "a tool"}] * 3}, limits=Limits(max_mcp_tools=2), what="list")

    run(backend, test)


LISTED: list[tuple[Any, Any]] = [
    ({"name": "t"}, {"type": "object"}),
    ({"name": "t", "inputSchema": {}}, {"type": "object"}),
    ({"name": "t", "inputSchema": None, "description": 7, "icons": 7, "outputSchema": []}, {"type": "object"}),
    ({"name": "t", "inputSchema": {"type": ["object", "null"], "properties": []}}, {"type": "object"}),
    (
        {"name": "t", "inputSchema": {"properties": {"n": {}}, "required": None, "$defs": {}}, "annotations": "none"},
        {"type": "object", "properties": {"n": {}}, "$defs": {}},
    ),
]


@pytest.mark.parametrize(("tool", "schema"), LISTED)
@both_loops
def test_one_tool_that_does_not_follow_mcp_does_not_cost_the_listing(backend: str, tool: Any, schema: Any) -> None:
    async def test() -> None:
        whole = {
            "name": "whole",
            "description": "Do it.",
            "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
            "annotations": {"readOnlyHint": True},
        }
        said = await ask({"tools": [tool, {"inputSchema": {}}, "no tool", whole]}, what="list")
        listing: Any = said[0]
        one, other = listing.model_dump(by_alias=True, exclude_none=True)["tools"]
        assert (one["name"], one["inputSchema"]) == ("t", schema)
        assert other == whole

    run(backend, test)
