"""Tools that the bridge runs: those of a real server of the ``mcp`` SDK, of servers that misbehave, and executors of the operator."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.chat.bridges import LABEL, bridge_client, calls, mcp_tool, until_said
from tests.mcp_peers import over_http, quiet_on_trio
from tests.mcp_raw import RawHTTP, text
from tests.support import both_loops, run

from responses_proto.chat import ToolBounds
from responses_proto.codec import dump
from responses_proto.exceptions import BadRequestError
from responses_proto.models import (
    CodeInterpreterCall,
    FunctionCall,
    FunctionCallOutput,
    HttpError,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpProtocolError,
    McpToolExecutionError,
    WebSearchCall,
)
from responses_proto.server import MemoryStore
from responses_proto.testing import Answer, FakeChat, FakeServer, check_stream
from responses_proto.tools import function_tool

pytest.importorskip("mcp")

if TYPE_CHECKING:
    from collections.abc import Generator

    from responses_proto.models import Item
    from responses_proto.testing import ServerExchange

pytestmark = quiet_on_trio
SECRET = "secret-of-the-caller"  # noqa: S105 - the value that must not be shown
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with over_http() as address:
        yield address


def types(items: list[Item]) -> list[str]:
    return [item.type for item in items]


def said(provider: FakeChat, number: int = -1) -> list[dict[str, Any]]:
    """Return the messages of a request that the provider got."""
    messages: list[dict[str, Any]] = provider.requests[number].json["messages"]
    return messages


# ---- a real server


@both_loops
@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_listed_called_and_answered(backend: str, url: str, *, stream: bool) -> None:
    async def test() -> None:
        async with (
            FakeChat(calls(("add", '{"a": 1, "b": 2}')), "It is 3.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            fields: dict[str, Any] = {"model": "m", "input": "1+2?", "tools": [mcp_tool(url)]}
            if stream:
                async with client.stream(**fields) as events:
                    seen = [event async for event in events]
                    response = await events.result()
                assert check_stream(seen).ok
                kinds = [event.type for event in seen]
                assert kinds.index("response.mcp_call_arguments.done") < kinds.index("response.mcp_call.completed")
            else:
                response = await client.create(**fields)
        listed, call, message = response.output
        assert isinstance(listed, McpListTools)
        assert "add" in [tool.name for tool in listed.tools]
        assert isinstance(call, McpCall)
        assert (call.server_label, call.name, call.output, call.status) == (LABEL, "add", "3", "completed")
        assert message.type == "message"
        assert response.output_text == "It is 3."
        offered = [tool["function"]["name"] for tool in provider.requests[0].json["tools"]]
        assert {"add", "slow", "fail"} <= {*offered}
        assert said(provider)[-1]["role"] == "tool"
        assert said(provider)[-1]["content"] == "3"
        # Each turn costs tokens.
        assert response.usage
        assert response.usage.total_tokens == 2 * 12

    run(backend, test)


@both_loops
@pytest.mark.parametrize("approve", [True, False])
def test_an_approval_is_asked_for_over_turns(backend: str, url: str, *, approve: bool) -> None:
    async def test() -> None:
        async with (
            FakeChat(calls(("add", '{"a": 1, "b": 2}')), "Done.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            tools = [mcp_tool(url, require_approval="always", allowed_tools=["add"])]
            first = await client.create(model="m", input="1+2?", tools=tools)
            listed, request = first.output
            assert isinstance(listed, McpListTools)
            assert [tool.name for tool in listed.tools] == ["add"]
            assert isinstance(request, McpApprovalRequest)
            assert json.loads(request.arguments) == {"a": 1, "b": 2}
            assert len(provider.requests) == 1
            answer = McpApprovalResponse(approval_request_id=request.id, approve=approve, reason="not today")
            second = await client.create(model="m", input=[answer], tools=tools, previous_response_id=first.id)
            if approve:
                call, _ = second.output
                assert isinstance(call, McpCall)
                assert (call.output, call.approval_request_id) == ("3", request.id)
                assert said(provider)[-1]["content"] == "3"
            else:
                assert types(second.output) == ["message"]
                assert "not today" in said(provider)[-1]["content"]
            # It is run once, however often the history is sent.
            third = await client.create(model="m", input="And?", tools=tools, previous_response_id=second.id)
            assert types(third.output) == ["message"]

    run(backend, test)


@both_loops
def test_an_approval_may_depend_on_the_tool(backend: str, url: str) -> None:
    async def test() -> None:
        async with (
            FakeChat(calls(("add", '{"a": 1, "b": 2}'), ("fail", "{}")), "Done.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            tools = [mcp_tool(url, require_approval={"never": {"tool_names": ["add"]}})]
            response = await client.create(model="m", input="x", tools=tools)
            assert types(response.output) == ["mcp_list_tools", "mcp_call", "mcp_approval_request"]

    run(backend, test)


@both_loops
def test_functions_of_the_client_are_called_beside(backend: str, url: str) -> None:
    async def test() -> None:
        turn = calls(("get_weather", '{"city": "Paris"}'), ("add", '{"a": 1, "b": 2}'))
        async with (
            FakeChat(turn, "Fine.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            tools = [WEATHER, mcp_tool(url)]
            first = await client.create(model="m", input="x", tools=tools)
            _, function, call = first.output
            assert isinstance(function, FunctionCall)
            assert isinstance(call, McpCall)
            assert call.output == "3"
            assert len(provider.requests) == 1
            answer = FunctionCallOutput(call_id=function.call_id, output="sunny")
            second = await client.create(model="m", input=[answer], tools=tools, previous_response_id=first.id)
            assert second.output_text == "Fine."
            assert sorted(m["content"] for m in said(provider) if m["role"] == "tool") == ["3", "sunny"]

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (("fail", "{}"), McpToolExecutionError, "no such city"),
        (("refuse", "{}"), McpProtocolError, "not for you"),
        (("add", '{"a": '), McpToolExecutionError, "JSON"),
        (("large", '{"size": 5000}'), McpProtocolError, "the limit is 4096"),
        (("slow", '{"seconds": 600}'), McpProtocolError, "did not answer within"),
    ],
)
def test_a_failure_is_an_item_that_the_model_reads(
    backend: str, url: str, call: tuple[str, str], kind: type[object], words: str
) -> None:
    async def test() -> None:
        bounds = ToolBounds(max_output_bytes=4096, timeout=1.0 if call[0] == "slow" else 60.0)
        async with (
            FakeChat(calls(call), "A pity.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"], bounds=bounds) as client,
        ):
            response = await client.create(model="m", input="x", tools=[mcp_tool(url)])
        _, made, _ = response.output
        assert isinstance(made, McpCall)
        assert made.status == "failed"
        assert isinstance(made.error, kind)
        assert words in json.dumps(dump(made)["error"])
        assert words in said(provider)[-1]["content"]
        assert response.status == "completed"

    run(backend, test)


# ---- bounds


@both_loops
def test_a_loop_that_never_ends_ends(backend: str, url: str) -> None:
    async def test() -> None:
        async with (
            FakeChat(calls(("add", '{"a": 1, "b": 2}')), listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"], max_turns=4) as client,
        ):
            response = await client.create(
                model="m", input="x", tools=[mcp_tool(url, allowed_tools=["add"])], tool_choice="required"
            )
        assert response.status == "incomplete"
        assert response.incomplete_details
        assert response.incomplete_details.reason == "max_tool_calls"
        assert len(provider.requests) == 4
        # A tool is demanded once, and in the last turn the model is asked to come to an end.
        assert [request.json.get("tool_choice") for request in provider.requests] == ["required", None, None, "none"]

    run(backend, test)


@both_loops
def test_calls_are_counted_over_turns(backend: str, url: str) -> None:
    async def test() -> None:
        turn = calls(("add", '{"a": 1, "b": 2}'), ("add", '{"a": 2, "b": 2}'))
        async with (
            FakeChat(turn, turn, "Done.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            response = await client.create(model="m", input="x", tools=[mcp_tool(url)], max_tool_calls=3)
        made = [item for item in response.output if isinstance(item, McpCall)]
        assert sorted(call.status or "" for call in made) == ["completed"] * 3 + ["failed"]
        assert provider.requests[-1].json["tool_choice"] == "none"

    run(backend, test)


@both_loops
def test_output_tokens_are_counted_over_turns(backend: str, url: str) -> None:
    async def test() -> None:
        spent = {"input": 1, "output": 30, "cached": 0, "reasoning": 0}
        turn = calls(("add", '{"a": 1, "b": 2}'), usage=spent)
        async with (
            FakeChat(turn, listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            response = await client.create(model="m", input="x", tools=[mcp_tool(url)], max_output_tokens=50)
        assert response.incomplete_details
        assert response.incomplete_details.reason == "max_output_tokens"
        assert [next(v for k, v in r.json.items() if k.startswith("max_")) for r in provider.requests] == [50, 20]

    run(backend, test)


# ---- listing, credentials and addresses


@both_loops
def test_listings_are_remembered_per_server_and_credentials(backend: str) -> None:
    async def test() -> None:
        store = MemoryStore()
        peer = RawHTTP()
        async with (
            FakeServer(peer, check_requests=False) as mcp,
            FakeChat("Hi.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"], app={"store": store}) as client,
        ):
            for secret in (SECRET, SECRET, "another-secret"):
                tool = mcp_tool(mcp.url, authorization=secret, headers={"X-Tenant": secret})
                response = await client.create(model="m", input="x", tools=[tool])
                assert types(response.output) == ["mcp_list_tools", "message"]
                kept = await store.find(response.id)
                assert kept is not None
                assert secret not in json.dumps([dump(response), dump(kept.response), dump(kept.input)])
            assert peer.opened == 2
            sent = [request.headers for request in mcp.requests if request.method == "POST"]
            assert {headers["authorization"] for headers in sent} == {f"Bearer {SECRET}", "Bearer another-secret"}
            assert {headers["x-tenant"] for headers in sent} == {SECRET, "another-secret"}
            # What the context lists is not listed again.
            tools = [mcp_tool(mcp.url)]
            again = await client.create(model="m", input="y", tools=tools, previous_response_id=response.id)
            assert types(again.output) == ["message"]
            assert peer.opened == 2

    run(backend, test)


@both_loops
@pytest.mark.parametrize("status", [401, 500])
def test_a_server_that_cannot_be_listed_is_an_item(backend: str, status: int) -> None:
    async def test() -> None:
        peer = RawHTTP(lambda _: Answer.error(status, f"not with {SECRET}"))
        async with (
            FakeServer(peer, check_requests=False) as mcp,
            FakeChat("I cannot.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            response = await client.create(model="m", input="x", tools=[mcp_tool(mcp.url, authorization=SECRET)])
        listed, _ = response.output
        assert isinstance(listed, McpListTools)
        assert isinstance(listed.error, HttpError)
        assert listed.error.code == status
        assert SECRET not in json.dumps(dump(response))
        assert "tools" not in provider.requests[0].json
        assert response.output_text == "I cannot."

    run(backend, test)


@both_loops
def test_what_a_server_sends_is_bounded(backend: str) -> None:
    async def test() -> None:
        peer = RawHTTP()
        peer.result = text("x" * (5 * 1024 * 1024))
        async with (
            FakeServer(peer, check_requests=False) as mcp,
            FakeChat(calls(("t", "{}")), "Too much.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):
            response = await client.create(model="m", input="x", tools=[mcp_tool(mcp.url)])
        made = response.output[1]
        assert isinstance(made, McpCall)
        assert made.status == "failed"
        assert len(said(provider)[-1]["content"]) < 1000

    run(backend, test)


@both_loops
@pytest.mark.parametrize("allowed", [[], ["*"], ["example.com", "*.example.com"], ["127.0.0.1:1"]])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "user:password@127.0.0.1",
        "example.com@127.0.0.1",
        "127.0.0.1.",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "[fe80::1]",
        "example.com.localhost",
    ],
)
def test_what_is_not_allowed_is_not_reached(backend: str, host: str, allowed: list[str]) -> None:
    async def test() -> None:
        async with (
            FakeServer(RawHTTP(), check_requests=False) as mcp,
            FakeChat("Hi.", listen=False) as provider,
            bridge_client(provider, allow_mcp=allowed, bounds=ToolBounds(timeout=10.0)) as client,
        ):
            port = mcp.origin.rpartition(":")[2]
            tool = mcp_tool(f"http://{host}:{port}/v1")
            param, output = "", list["Item"]()
            try:
                output = (await client.create(model="m", input="x", tools=[tool])).output
            except BadRequestError as error:
                param = error.param or ""
            if output:  # the name is allowed, and its address is not
                listed = output[0]
                assert isinstance(listed, McpListTools)
                assert listed.error
                assert listed.tools == []
            else:
                assert param == "tools[0].server_url"
                assert provider.requests == []
            assert mcp.connections == 0

    run(backend, test)


@both_loops
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_address_is_not_followed(backend: str, status: int) -> None:
    async def test() -> None:
        async with FakeServer(RawHTTP(), check_requests=False) as hidden:
            target = f"{hidden.url}/mcp"
            async with (
                FakeServer(lambda _: Answer.redirect(target, status), check_requests=False) as mcp,
                FakeChat("Hi.", listen=False) as provider,
                bridge_client(provider, allow_mcp=[mcp.origin.removeprefix("http://")]) as client,
            ):
                response = await client.create(model="m", input="x", tools=[mcp_tool(mcp.url)])
                listed = response.output[0]
                assert isinstance(listed, McpListTools)
                assert listed.error
                assert mcp.requests
            assert hidden.connections == 0

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_url": None, "connector_id": "connector_gmail"}, "tools[0].server_url"),
        ({"server_url": "file:///etc/passwd"}, "tools[0].server_url"),
        ({"server_url": "http://127.0.0.1\\@example.com/"}, "tools[0].server_url"),
        ({"headers": {"a b": "c"}}, "tools[0].headers"),
    ],
)
def test_a_tool_that_cannot_be_used_is_refused(backend: str, fields: dict[str, Any], param: str) -> None:
    async def test() -> None:
        async with (
            FakeChat("Hi.", listen=False) as provider,
            bridge_client(provider, allow_mcp=["*", "127.0.0.1"]) as client,
        ):
            with pytest.raises(BadRequestError) as caught:
                await client.create(model="m", input="x", tools=[{**mcp_tool("http://127.0.0.1:1/mcp"), **fields}])
            assert caught.value.param == param
            twice = [mcp_tool("http://127.0.0.1:1/mcp"), mcp_tool("http://127.0.0.1:2/mcp")]
            with pytest.raises(BadRequestError, match="label"):
                await client.create(model="m", input="x", tools=twice)

    run(backend, test)


# ---- cancelling


@both_loops
def test_cancelling_ends_a_call_under_way(backend: str, url: str) -> None:
    def answer(exchange: ServerExchange) -> Any:
        message = exchange.request.json["messages"][-1]
        if message["role"] == "tool":
            return "Ok."
        return calls(("slow", '{"seconds": 600}') if message["content"] == "slow" else ("cancelled", "{}"))

    async def test() -> None:
        async with (
            FakeChat(answer, listen=False) as provider,
            bridge_client(provider, allow_mcp=["127.0.0.1"]) as client,
        ):

            async def ended_calls() -> int:
                response = await client.create(model="m", input="How many?", tools=[mcp_tool(url)])
                call = response.output[1]
                assert isinstance(call, McpCall)
                return int(call.output or 0)

            before, pause = await ended_calls(), 0.1
            while await ended_calls() == before:
                response = await client.create(model="m", input="slow", tools=[mcp_tool(url)], background=True)
                await until_said(client, response.id, 2)
                # The item is there before the request has reached the server, which then has nothing to cancel.
                await anyio.sleep(pause)
                pause *= 2
                assert (await client.cancel(response.id)).status == "cancelled"

    run(backend, test)


# ---- executors of the operator


@function_tool
async def search(query: str) -> str:
    """Search the web."""
    return f"Found {query}."


@function_tool
def interpret(code: str) -> str:
    """Run code."""
    raise RuntimeError(f"secret detail of {code}")


@both_loops
@pytest.mark.parametrize(
    ("stream", "type_"), [(False, "web_search"), (True, "web_search"), (False, "web_search_preview")]
)
def test_an_executor_runs_a_hosted_tool(backend: str, type_: str, *, stream: bool) -> None:
    async def test() -> None:
        async with (
            FakeChat(calls(("search", '{"query": "unicorns"}')), "There are some.", listen=False) as provider,
            bridge_client(provider, tools={"web_search": search}) as client,
        ):
            fields: dict[str, Any] = {"model": "m", "input": "unicorns?", "tools": [{"type": type_}]}
            if stream:
                async with client.stream(**fields) as events:
                    seen = [event async for event in events]
                    response = await events.result()
                assert check_stream(seen).ok
            else:
                response = await client.create(**fields)
        call, _ = response.output
        assert isinstance(call, WebSearchCall)
        assert call.status == "completed"
        assert dump(call)["action"]["query"] == "unicorns"
        assert said(provider)[-1]["content"] == "Found unicorns."
        assert response.output_text == "There are some."

    run(backend, test)


@both_loops
@pytest.mark.parametrize("type_", ["web_search", "web_search_preview", "shell", "tool_of_tomorrow"])
def test_a_tool_may_be_left_out(backend: str, type_: str) -> None:
    """Instead of refused: the model is not told of it, and the response has it as it was asked for."""
    left_out = "web_search" if type_.startswith("web_search") else type_
    function: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}}

    async def test() -> None:
        async with FakeChat("Hello.", listen=False) as provider, bridge_client(provider) as client:
            with pytest.raises(BadRequestError, match=type_):
                await client.create(model="m", input="x", tools=[{"type": type_}])
        async with (
            FakeChat(*["Hello."] * 3, listen=False) as provider,
            bridge_client(provider, tools={left_out: None}) as client,
        ):
            for tools in ([{"type": type_}], [{"type": type_}, function]):
                response = await client.create(model="m", input="x", tools=tools)
                assert response.output_text == "Hello."
                assert [tool.type for tool in response.tools or ()] == [tool["type"] for tool in tools]
                sent = [tool["function"]["name"] for tool in provider.requests[-1].json.get("tools", ())]
                assert sent == (["look"] if len(tools) > 1 else [])
            with pytest.raises(BadRequestError, match="required"):
                await client.create(model="m", input="x", tools=[{"type": type_}], tool_choice="required")

    run(backend, test)


@function_tool
async def cancelled_inside(code: str) -> str:
    """Run code in a task that somebody else cancels."""
    task = asyncio.ensure_future(anyio.sleep_forever())
    task.cancel()
    await task
    return code


@pytest.mark.parametrize(
    ("backend", "executor", "code"),
    [("asyncio", interpret, "1/0"), ("trio", interpret, "1/0"), ("asyncio", cancelled_inside, "1")],
)
def test_an_executor_that_fails_fails_one_call(backend: str, executor: Any, code: str) -> None:
    async def test() -> None:
        async with (
            FakeChat(calls((executor.name, json.dumps({"code": code}))), "A pity.", listen=False) as provider,
            bridge_client(provider, tools={"code_interpreter": executor}) as client,
        ):
            tools: list[Any] = [{"type": "code_interpreter", "container": {"type": "auto"}}]
            response = await client.create(model="m", input="x", tools=tools)
        call, _ = response.output
        assert isinstance(call, CodeInterpreterCall)
        assert (call.status, call.code, response.output_text) == ("failed", code, "A pity.")
        assert "secret detail" not in json.dumps(dump(response))
        assert "secret detail" not in json.dumps(said(provider))

    run(backend, test)


@both_loops
def test_other_hosted_tools_are_refused(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("Hi.", listen=False) as provider, bridge_client(provider) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.create(model="m", input="x", tools=[{"type": "web_search"}])
            assert caught.value.param == "tools[0]"
            assert provider.requests == []

    run(backend, test)
