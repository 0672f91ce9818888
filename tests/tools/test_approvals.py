"""Approvals for remote MCP servers: who is asked, what is sent, and what is remembered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from tests.support import both_loops, run
from tests.tool_runs import ASKED, approval_request, finish, function_call, names, said, serving, turn, work

from responses_proto.codec import dump
from responses_proto.exceptions import ApprovalRequired, UsageError
from responses_proto.models.items import McpApprovalResponse, McpCall, McpListTools
from responses_proto.models.tools import McpTool
from responses_proto.protocol import check_history
from responses_proto.tools import Approval, ApprovalRequested, ToolFinished, function_tool

if TYPE_CHECKING:
    from responses_proto.models.items import Item
    from responses_proto.models.response import PendingCall

REMOTE = McpTool(
    server_label="server",
    server_url="https://mcp.example",
    headers={"x-key": "secret"},
    allowed_tools=["work", "play"],
    require_approval="always",
)


@function_tool(needs_approval=True)
async def guarded(n: int) -> str:
    """Do what needs an approval."""
    await anyio.lowlevel.checkpoint()
    return f"guarded {n}"


def wire(number: int = 1, *, approve: bool = True, reason: str = "") -> dict[str, Any]:
    said_ = {"type": "mcp_approval_response", "approval_request_id": f"mcpr_{number}", "approve": approve}
    return {**said_, "reason": reason} if reason else said_


@both_loops
def test_without_a_callback_a_call_is_denied(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(approval_request()), said()) as (server, client):
            events, result = await finish(client.run(**ASKED, tools=[REMOTE]))
        (finished,) = [event for event in events if isinstance(event, ToolFinished)]
        assert (finished.call, finished.failed) == (approval_request(), True)
        assert isinstance(finished.error, ApprovalRequired)
        assert not [event for event in events if isinstance(event, ApprovalRequested)]
        assert server.requests[0].json["tools"] == [
            {
                "type": "mcp",
                "server_label": "server",
                "server_url": "https://mcp.example",
                "headers": {"x-key": "secret"},
                "allowed_tools": ["work", "play"],
                "require_approval": "always",
            }
        ]
        assert server.requests[1].json["input"] == [
            wire(approve=False, reason="Nobody is available to approve the call.")
        ]
        assert result.stopped == "completed"

    run(backend, test)


@both_loops
def test_without_a_callback_and_with_on_error_raise_the_run_fails(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(approval_request()), said()) as (_, client):
            with pytest.raises(ApprovalRequired) as caught:
                await finish(client.run(**ASKED, tools=[REMOTE], on_error="raise"))
        assert caught.value.call == approval_request()
        assert caught.value.retry_safety is None  # no tool was started

    run(backend, test)


@both_loops
@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("how", ["plain", "async", "bool"])
def test_the_answer_goes_into_the_next_request(backend: str, answer: bool, how: str) -> None:
    asked: list[tuple[PendingCall, int]] = []

    def plain(request: PendingCall) -> Approval:
        asked.append((request, threading.get_ident()))
        return Approval(answer, "because")

    async def later(request: PendingCall) -> Approval:
        await anyio.lowlevel.checkpoint()
        return plain(request)

    def shortly(request: PendingCall) -> bool:
        return plain(request).approve

    async def test() -> None:
        made = McpCall(
            id="mcp_1", server_label="server", name="work", arguments="{}", output="3", approval_request_id="mcpr_1"
        )
        listed = McpListTools(id="mcpl_1", server_label="server", tools=[])
        async with serving(turn(listed, approval_request()), turn(made, *said().output)) as (server, client):
            approve: Any = {"plain": plain, "async": later, "bool": shortly}[how]
            events, result = await finish(client.run(**ASKED, tools=[REMOTE], approve=approve))
        assert [request for request, _ in asked] == [approval_request()]
        # A plain callback may block on the user, so it runs in a thread.
        assert (asked[0][1] == threading.get_ident()) == (how == "async")
        assert server.requests[1].json["input"] == [wire(approve=answer, reason="" if how == "bool" else "because")]
        assert names(events)[names(events).index("ApprovalRequested") :][:2] == ["ApprovalRequested", "ToolFinished"]
        assert check_history(result.history) == []
        assert result.stopped == "completed"

    run(backend, test)


@both_loops
def test_an_answer_with_remember_holds_for_later_requests(backend: str) -> None:
    asked: list[str] = []

    def approve(request: PendingCall) -> Approval:
        asked.append(f"{request.server_label} {request.name} {request.id}")
        return Approval(request.name == "work", remember=request.name == "work")

    async def test() -> None:
        script = (
            turn(approval_request(1), approval_request(2), approval_request(3, name="play"), number=1),
            turn(approval_request(4), approval_request(5, name="play"), number=2),
            turn(attrs.evolve(approval_request(6), server_label="other"), number=3),
            said(),
        )
        async with serving(*script) as (server, client):
            events, _ = await finish(client.run(**ASKED, tools=[REMOTE], approve=approve))
        assert asked == [
            "server work mcpr_1",  # and not again: neither in the same response nor in the next
            "server play mcpr_3",
            "server play mcpr_5",
            "other work mcpr_6",
        ]
        assert [event.request.id for event in events if isinstance(event, ApprovalRequested)] == [
            "mcpr_1",
            "mcpr_3",
            "mcpr_5",
            "mcpr_6",
        ]
        answers = [request.json["input"] for request in server.requests[1:]]
        assert answers == [
            [wire(1), wire(2), wire(3, approve=False)],
            [wire(4), wire(5, approve=False)],
            [wire(6)],
        ]

    run(backend, test)


@both_loops
def test_one_approval_is_asked_at_a_time_while_tools_run(backend: str) -> None:
    async def test() -> None:
        asking = most = 0

        async def approve(_: PendingCall) -> Approval:
            nonlocal asking, most
            asking += 1
            most = max(most, asking)
            await anyio.sleep(0.001)
            asking -= 1
            return Approval(approve=True)

        calls: list[Item] = [function_call(1), approval_request(2), approval_request(3), function_call(4)]
        async with serving(turn(*calls), said()) as (server, client):
            options: Any = {"tools": [REMOTE, work], "approve": approve, "concurrency": 1}
            await finish(client.run(**ASKED, **options))
        assert most == 1
        assert [item["type"] for item in server.requests[1].json["input"]] == [
            "function_call_output",
            "mcp_approval_response",
            "mcp_approval_response",
            "function_call_output",
        ]

    run(backend, test)


@both_loops
def test_a_callback_that_returns_none_leaves_the_request_to_the_caller(backend: str) -> None:
    def approve(request: PendingCall) -> Approval | None:
        return Approval(approve=True, remember=True) if request.name == "play" else None

    async def test() -> None:
        calls: list[Item] = [approval_request(1), function_call(2), approval_request(3, name="play")]
        async with serving(turn(*calls), said()) as (server, client):
            _, result = await finish(client.run(**ASKED, tools=[REMOTE, work], approve=approve))
            assert (result.stopped, result.pending) == ("waiting_for_caller", [approval_request(1)])
            assert len(server.requests) == 1
            # The caller answers later.
            result.loop.answer(result.pending[0], Approval(approve=True, reason="at last"))
            _, further = await finish(client.run(result.loop, tools=[REMOTE, work]))
        assert further.stopped == "completed"
        assert [item["type"] for item in server.requests[1].json["input"]] == [
            "mcp_approval_response",
            "function_call_output",
            "mcp_approval_response",
        ]
        # The later run remembers the answer too.
        assert further.loop.remembered(approval_request(9, name="play"))

    run(backend, test)


def raising(_: PendingCall) -> Approval:
    raise ValueError("the password is secret")


async def raising_later(_: PendingCall) -> Approval:
    await anyio.lowlevel.checkpoint()
    raise KeyError("the password is secret")


@both_loops
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    ("approve", "error", "message"),
    [
        (raising, ValueError, "the password"),
        (raising_later, KeyError, "the password"),
        (lambda _: "yes", UsageError, "approve must return an Approval, a bool or None, got str"),
        (lambda _: 1, UsageError, "got int"),
        (lambda _: {"approve": True}, UsageError, "got dict"),
    ],
)
def test_a_callback_that_fails_ends_the_run_and_nothing_of_it_is_sent(
    backend: str, approve: Any, error: type[Exception], message: str, local: bool
) -> None:
    async def test() -> None:
        call = function_call(1, name="guarded") if local else approval_request()
        async with serving(turn(call, function_call(2)), said()) as (server, client):
            agent = client.run(**ASKED, tools=[REMOTE, guarded, work], approve=approve)
            with pytest.raises(error, match=message):
                await finish(agent)
            assert len(server.requests) == 1
        # The other call was answered, and this one can still be decided.
        assert agent.loop.pending == [call]
        assert check_history(agent.loop.history) == []
        assert "password" not in str(dump(agent.loop.history))

    run(backend, test)


@both_loops
def test_an_approval_is_not_asked_before_the_response_is_complete(backend: str) -> None:
    def approve(_: PendingCall) -> bool:
        return True

    async def test() -> None:
        async with serving(turn(approval_request(), function_call(2)), said()) as (_, client):
            options: Any = {"tools": [REMOTE, work], "approve": approve, "start": "item_done"}
            events, _ = await finish(client.run(**ASKED, **options))
        order = names(events)
        assert order.index("ToolStarted") < order.index("ResponseCompleted") < order.index("ApprovalRequested")

    run(backend, test)


@both_loops
def test_the_reader_can_answer_an_approval_request(backend: str) -> None:
    async def test() -> None:
        async with (
            serving(turn(approval_request()), turn(approval_request(2)), said()) as (server, client),
            client.run(**ASKED, tools=[REMOTE], start="manual") as agent,
        ):
            async for event in agent:
                if event.type == "response.completed":
                    for call in agent.pending:
                        agent.answer(call, Approval(approve=True, remember=True))
            assert (await agent.result()).stopped == "completed"
        assert server.requests[1].json["input"] == [wire(1)]
        assert agent.loop.remembered(approval_request(7)) is not None
        assert all(isinstance(item, McpApprovalResponse) for turn_ in agent.loop.turns for item in turn_.outputs)

    run(backend, test)
