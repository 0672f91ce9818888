"""Approvals for remote MCP servers and local tools: who is asked, what is sent, and what is remembered."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from tests.support import both_loops, run
from tests.tool_runs import (
    ASKED,
    approval_request,
    custom_call,
    finish,
    function_call,
    names,
    said,
    serving,
    texts,
    turn,
    work,
)

from responses_proto import CreateResponse
from responses_proto.codec import dump
from responses_proto.exceptions import ApprovalRequired, UsageError
from responses_proto.models.actions import DeleteFile, McpListedTool
from responses_proto.models.items import ApplyPatchCall, FunctionCall, McpApprovalResponse, McpCall, McpListTools
from responses_proto.models.tools import FunctionTool, McpTool
from responses_proto.protocol import check_history
from responses_proto.tools import (
    Approval,
    ApprovalRequested,
    ToolFinished,
    ToolLoop,
    ToolOutput,
    ToolStarted,
    call_key,
    custom_tool,
    function_tool,
    handler,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.models.items import Item
    from responses_proto.models.response import PendingCall
    from responses_proto.models.tools import Tool
    from responses_proto.tools import ToolContext


def constantly(answer: object) -> Callable[[PendingCall], Any]:
    return lambda _: answer


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
            wire(approve=False, reason="The call was not approved: no one is available to approve it.")
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

    def approve(request: Any) -> Approval:
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
    def approve(request: Any) -> Approval | None:
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
        (constantly("yes"), UsageError, "approve must return an Approval, a bool or None, got str"),
        (constantly(1), UsageError, "got int"),
        (constantly({"approve": True}), UsageError, "got dict"),
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


# ---- tools that are executed here

PREDICATES: dict[str, Any] = {"always": True, "a function": constantly(answer=True), "a coroutine": None}


async def needed_later(_: PendingCall) -> bool:
    await anyio.lowlevel.checkpoint()
    return True


PREDICATES["a coroutine"] = needed_later


class Guard:
    """An executor that needs an approval."""

    def __init__(self, needs_approval: Any) -> None:
        self._needed = needs_approval

    def definitions(self) -> list[Tool]:
        return [FunctionTool(name="guarded")]

    def handles(self, item: Item) -> bool:
        return isinstance(item, FunctionCall) and item.name == "guarded"

    def needs_approval(self, call: PendingCall) -> Any:
        return self._needed(call) if callable(self._needed) else self._needed

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:  # noqa: ARG002 - of the interface
        await anyio.lowlevel.checkpoint()
        return ToolOutput("executed")


async def execute(_: Any) -> str:
    await anyio.lowlevel.checkpoint()
    return "executed"


async def execute_function(n: int) -> str:
    await anyio.lowlevel.checkpoint()
    return "executed" if n else ""


def local_tool(kind: str, *, needed: Any = True) -> tuple[Any, Any]:
    """Return a tool that needs an approval, and a call of it."""
    match kind:
        case "function":
            return function_tool(execute_function, name="guarded", needs_approval=needed), function_call(name="guarded")
        case "custom":
            return custom_tool(execute, name="guarded", needs_approval=needed), custom_call(name="guarded")
        case "handler":
            call = ApplyPatchCall(id="x", call_id="call_1", status="completed", operation=DeleteFile(path="notes.txt"))
            return handler(ApplyPatchCall, execute, needs_approval=needed), call
        case _:
            return Guard(needed), function_call(name="guarded")


KINDS = ("function", "custom", "handler", "executor")


@both_loops
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("needed", PREDICATES)
@pytest.mark.parametrize(
    ("decision", "answer"),
    [
        (True, "executed"),
        (Approval(approve=True), "executed"),
        (False, "The call was not approved."),
        (Approval(approve=False, reason="too risky"), "The call was not approved: too risky"),
        ("nobody", "The call was not approved: no one is available to approve it."),
        (None, None),
    ],
)
def test_a_call_is_executed_only_if_it_is_approved(
    backend: str, kind: str, needed: str, decision: Any, answer: str | None
) -> None:
    tool, call = local_tool(kind, needed=PREDICATES[needed])
    asked: list[PendingCall] = []

    async def approve(request: PendingCall) -> Any:
        await anyio.lowlevel.checkpoint()
        asked.append(request)
        return decision

    async def test() -> None:
        async with serving(turn(call, function_call(2)), said()) as (_, client):
            options: Any = {"approve": None if decision == "nobody" else approve}
            events, result = await finish(client.run(**ASKED, tools=[tool, work], **options))
        assert asked == [event.request for event in events if isinstance(event, ApprovalRequested)]
        assert asked == ([] if decision == "nobody" else [call])
        finished = {call_key(event.call): event for event in events if isinstance(event, ToolFinished)}
        assert finished["call_2"].failed is False
        if answer is None:
            assert (result.stopped, result.pending) == ("waiting_for_caller", [call])
        else:
            assert texts(result.loop) == [answer, "done 1"]
            assert finished["call_1"].failed == (answer != "executed")
            assert isinstance(finished["call_1"].error, ApprovalRequired) == (decision == "nobody")
        started = [call_key(event.call) for event in events if isinstance(event, ToolStarted)]
        assert ("call_1" in started) == (answer == "executed")

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["function", "custom"])
def test_only_the_calls_that_the_predicate_names_need_an_approval(backend: str, kind: str) -> None:
    seen: list[str] = []

    def needed(call: Any) -> bool:
        text = call.arguments if isinstance(call, FunctionCall) else call.input
        seen.append(text)
        return "9" in text

    async def test() -> None:
        made: Any = function_call if kind == "function" else custom_call
        calls = [made(1, '{"n": 1}', "guarded"), made(2, '{"n": 9}', "guarded"), made(3, '{"n": "9"', "guarded")]
        tool, _ = local_tool(kind, needed=needed)
        async with serving(turn(*calls), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[tool]))
        denied = "The call was not approved: no one is available to approve it."
        if kind == "function":  # the arguments are checked first
            assert texts(result.loop)[:2] == ["executed", denied]
            assert texts(result.loop)[2].startswith("the arguments are invalid")
            assert seen == ['{"n": 1}', '{"n": 9}']
        else:
            assert texts(result.loop) == ["executed", denied, denied]

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", ["raises", "yes", 1, None])
def test_a_predicate_that_fails_ends_the_run_and_the_call_is_not_executed(backend: str, kind: str, wrong: Any) -> None:
    def needed(_: PendingCall) -> Any:
        if wrong == "raises":
            raise LookupError("the password is secret")
        return wrong

    async def test() -> None:
        tool, call = local_tool(kind, needed=needed)
        async with serving(turn(call), said()) as (server, client):
            agent = client.run(**ASKED, tools=[tool], approve=lambda _: True)
            with pytest.raises(LookupError if wrong == "raises" else UsageError):
                await finish(agent)
            assert len(server.requests) == 1
        assert agent.loop.pending == [call]

    run(backend, test)


@both_loops
@pytest.mark.parametrize("needed", PREDICATES)
def test_a_local_approval_is_not_asked_before_the_response_is_complete(backend: str, needed: str) -> None:
    async def test() -> None:
        tool, call = local_tool("function", needed=PREDICATES[needed])
        async with serving(turn(call, function_call(2)), said()) as (_, client):
            options: Any = {"tools": [tool, work], "approve": constantly(answer=True), "start": "item_done"}
            events, result = await finish(client.run(**ASKED, **options))
        order = names(events)
        assert order.index("ToolStarted") < order.index("ResponseCompleted") < order.index("ApprovalRequested")
        assert texts(result.loop) == ["executed", "done 1"]

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_waits_for_an_approval_is_continued_from_json(backend: str, kind: str) -> None:
    async def test() -> None:
        for approval, answer in (
            (Approval(approve=True), "executed"),
            (Approval(approve=False), "The call was not approved."),
        ):
            tool, call = local_tool(kind, needed=needed_later)
            async with serving(turn(call, function_call(2)), said()) as (server, client):
                _, waiting = await finish(client.run(**ASKED, tools=[tool, work], approve=lambda _: None))
                stored = json.dumps(waiting.loop.dump())
                # In another process, with tools that were made anew:
                loop = ToolLoop.load(json.loads(stored))
                assert loop.pending == [call]
                given = loop.answer(loop.pending[0], approval)
                assert (given is None, loop.pending) == (approval.approve, [call] if approval.approve else [])
                loop = ToolLoop.load(json.loads(json.dumps(loop.dump())))
                tool, _ = local_tool(kind)
                _, result = await finish(client.run(loop, tools=[tool, work]))
            assert texts(result.loop) == [answer, "done 1"]
            assert (result.stopped, len(server.requests)) == ("completed", 2)

    run(backend, test)


def changed(field: str) -> Any:
    """Return the tool after something in its definition changed."""
    if field == "description":
        return function_tool(execute_function, name="guarded", description="Also sends it.", needs_approval=True)

    async def other(n: int, also: str = "") -> str:
        await anyio.lowlevel.checkpoint()
        return f"changed {n} {also}"

    return function_tool(other, name="guarded", needs_approval=True)


@both_loops
@pytest.mark.parametrize("field", ["nothing", "description", "parameters"])
@pytest.mark.parametrize("remembered", [True, False])
def test_an_approval_holds_only_for_the_definition_that_it_was_given_for(
    backend: str, field: str, remembered: bool
) -> None:
    async def test() -> None:
        tool, call = local_tool("function")
        again = tool if field == "nothing" else changed(field)
        asked: list[str] = []

        def approve(request: PendingCall) -> Approval | None:
            asked.append(call_key(request))
            return Approval(approve=True, remember=True) if remembered else None

        second = function_call(2, name="guarded")
        async with serving(*([turn(call)] if remembered else []), turn(second), said()) as (_, client):
            first = client.run(**ASKED, tools=[tool], approve=approve, max_turns=2)
            _, waiting = await finish(first)
            loop = ToolLoop.load(json.loads(json.dumps(waiting.loop.dump())))
            assert loop.pending == [second]
            if not remembered:
                loop.answer(second, Approval(approve=True))
            _, result = await finish(client.run(loop, tools=[again]))
        assert asked == (["call_1"] if remembered else ["call_2"])
        denied = "The call was not approved: no one is available to approve it."
        assert texts(result.loop)[-1] == ("executed" if field == "nothing" else denied)

    run(backend, test)


@pytest.mark.parametrize("change", [{}, {"description": "new"}, {"input_schema": {"type": "object"}}, {"name": "play"}])
def test_a_remembered_approval_of_a_remote_tool_is_bound_to_its_listing(change: dict[str, Any]) -> None:
    listed = McpListedTool(name="work", input_schema={}, description="old")
    loop = ToolLoop(CreateResponse(**ASKED))
    loop.receive(turn(McpListTools(id="mcpl_1", server_label="server", tools=[listed]), approval_request()))
    loop.answer(approval_request(), Approval(approve=True, remember=True))
    changed_tools = [attrs.evolve(listed, **change)]
    loop.receive(
        turn(McpListTools(id="mcpl_2", server_label="server", tools=changed_tools), approval_request(2), number=2)
    )
    assert (loop.remembered(approval_request(2)) is not None) == (change == {})
    assert loop.remembered(approval_request(2, name="other")) is None
    assert loop.remembered(attrs.evolve(approval_request(2), server_label="other")) is None
    assert loop.remembered(function_call(2)) is None


@both_loops
@pytest.mark.parametrize("approve", [True, False])
def test_the_reader_can_decide_about_a_local_call(backend: str, approve: bool) -> None:
    async def test() -> None:
        tool, call = local_tool("function")
        async with (
            serving(turn(call), said()) as (_, client),
            client.run(**ASKED, tools=[tool], start="manual") as agent,
        ):
            async for event in agent:
                if event.type == "response.completed" and agent.pending:
                    agent.answer(call, Approval(approve=approve))
            result = await agent.result()
        assert texts(result.loop) == ["executed" if approve else "The call was not approved."]
        assert result.stopped == "completed"

    run(backend, test)


@both_loops
def test_a_call_that_nothing_executes_cannot_be_approved_in_a_run(backend: str) -> None:
    async def test() -> None:
        async with (
            serving(turn(function_call(1, name="own")), said()) as (_, client),
            client.run(**ASKED, tools=[FunctionTool(name="own")]) as agent,
        ):
            async for event in agent:
                if event.type == "response.completed" and agent.pending:
                    with pytest.raises(UsageError, match="no tool of this run handles function_call 'call_1'"):
                        agent.answer(agent.pending[0], Approval(approve=True))
                    agent.answer(agent.pending[0], "by hand")
            assert texts((await agent.result()).loop) == ["by hand"]

    run(backend, test)
