"""Runs against the streams of real servers: each call is executed once, and the history is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.streams import (
    clean,
    codex,
    copilot,
    litellm_reordered,
    llama_cpp,
    plain,
    vllm_climbing,
    vllm_minus_one,
    vllm_unannounced,
)
from tests.support import NO_SHARED, both_loops, run, shared
from tests.tool_runs import client_of, finish

from responses_proto.codec import load
from responses_proto.models.items import Item, McpApprovalRequest
from responses_proto.models.tools import McpTool
from responses_proto.protocol import check_history
from responses_proto.testing import Answer, FakeServer, Script
from responses_proto.tools import Approval, function_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.streams import Wire

CAPTURES = shared("dialects")
needs_captures = pytest.mark.skipif(not CAPTURES.exists(), reason=NO_SHARED)


def errors_in(input_: Any) -> list[str]:
    return [finding.rule for finding in check_history(load(input_, list[Item])) if finding.level == "error"]


# ---- by hand


def as_it_is(events: Sequence[Wire]) -> list[Wire]:
    return list(events)


def silent(events: Sequence[Wire]) -> list[Wire]:
    """Calls are in the terminal event only."""
    return [event for event in events if not (event.get("output_index") == 2 or "function_call" in event["type"])]


SERVERS: dict[str, Callable[[Sequence[Wire]], list[Wire]]] = {
    change.__name__: change
    for change in (
        as_it_is,
        silent,
        llama_cpp,
        vllm_minus_one,
        vllm_climbing,
        vllm_unannounced,
        copilot,
        codex,
        litellm_reordered,
    )
}


@both_loops
@pytest.mark.parametrize("start", ["response_done", "item_done"])
@pytest.mark.parametrize("server_", SERVERS)
def test_a_run_is_the_same_with_every_dialect_of_the_protocol(backend: str, server_: str, start: Any) -> None:
    called: list[str] = []

    @function_tool
    async def weather(city: str) -> str:
        called.append(city)
        return "sunny"

    async def test() -> None:
        script = Script(Answer.events(SERVERS[server_](clean())), Answer.events(plain()))
        async with FakeServer(script, listen=False) as server, client_of(server) as client:
            _, result = await finish(client.run(model="m", input="Go.", store=False, tools=[weather], start=start))
        assert result.stopped == "completed"
        assert called == ["Paris"]
        sent = server.requests[1].json["input"]
        assert [item["type"] for item in sent] == [
            "message",
            "reasoning",
            "message",
            "function_call",
            "function_call_output",
        ]
        assert sent[-1]["call_id"] == sent[-2]["call_id"] == "call_1"
        assert errors_in(sent) == []

    run(backend, test)


# ---- as recorded


def capture(server: str, name: str) -> Answer:
    """Return the answer of a recording of raw HTTP."""
    head, _, body = (CAPTURES / server / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    kind = next(line for line in head.decode().splitlines() if line.lower().startswith("content-type:"))
    return Answer.stream(body, content_type=kind.partition(":")[2].strip())


@needs_captures
@both_loops
@pytest.mark.parametrize("start", ["response_done", "item_done"])
@pytest.mark.parametrize(
    ("name", "calls"),
    [("06-function-stream", 1), ("07-function-parallel-stream", 2), ("09-text-then-function-stream", 1)],
)
@pytest.mark.parametrize(
    ("server_", "dialect"),
    [("responses-js", "huggingface"), ("litellm", None), ("llamastack", None), ("ors", None)],
)
def test_recorded_calls_are_answered(
    backend: str, server_: str, dialect: str | None, name: str, calls: int, start: Any
) -> None:
    called: list[tuple[str, str]] = []

    @function_tool
    async def get_weather(city: str, units: Literal["c", "f"] = "c") -> str:
        called.append((city, units))
        return "sunny"

    async def test() -> None:
        script = Script(capture(server_, name), capture(server_, "02-text-stream"))
        async with FakeServer(script, listen=False) as server, client_of(server, dialect=dialect) as client:
            fields: Any = {} if dialect else {"store": False}
            _, result = await finish(
                client.run(model="m", input="weather?", tools=[get_weather], start=start, **fields)
            )
        assert result.stopped == "completed"
        assert result.output_text
        assert called == [("Paris", "c")] * calls
        # That server stores nothing, so that it is told everything again.
        sent = server.requests[1].json["input"]
        assert "previous_response_id" not in server.requests[1].json
        assert sent[0]["content"] == "weather?"
        assert [item["type"] for item in sent[-2 * calls :]] == [
            *["function_call"] * calls,
            *["function_call_output"] * calls,
        ]
        assert errors_in(sent) == []

    run(backend, test)


@needs_captures
@both_loops
@pytest.mark.parametrize("approve", [True, False])
def test_a_recorded_approval_request_is_answered(backend: str, approve: bool) -> None:
    asked: list[McpApprovalRequest] = []

    async def decide(request: Any) -> Approval:
        asked.append(request)
        return Approval(approve)

    remote = McpTool(server_label="demo", server_url="http://127.0.0.1:9002/mcp", require_approval="always")

    async def test() -> None:
        script = Script(capture("responses-js", "53-mcp-approval-stream"), capture("responses-js", "51-mcp-stream"))
        async with FakeServer(script, listen=False) as server, client_of(server, dialect="huggingface") as client:
            _, result = await finish(client.run(model="m", input="add numbers", tools=[remote], approve=decide))
        assert [(request.name, request.arguments) for request in asked] == [("add", '{"a": 7, "b": 7}')]
        sent = server.requests[1].json["input"]
        assert [item["type"] for item in sent] == [
            "message",
            "mcp_list_tools",
            "mcp_approval_request",
            "mcp_approval_response",
        ]
        assert sent[-1] == {
            "type": "mcp_approval_response",
            "approval_request_id": sent[-2]["id"],
            "approve": approve,
        }
        assert errors_in(sent) == []
        assert result.stopped == "completed"
        assert result.output_text

    run(backend, test)
