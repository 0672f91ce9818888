"""Runs that stop because calls wait for the caller, and how they continue."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.support import both_loops, run
from tests.tool_runs import ASKED, approval_request, finish, function_call, names, said, serving, texts, turn, work

from responses_proto.exceptions import LocalProtocolError, ToolNotFound, UsageError
from responses_proto.models.actions import ProgramCaller, ShellAction
from responses_proto.models.content import InputImage
from responses_proto.models.events import OutputItemDone, ResponseCompleted
from responses_proto.models.items import (
    ComputerCall,
    CustomToolCall,
    FunctionCall,
    Item,
    McpApprovalResponse,
    ShellCall,
    ToolSearchCall,
)
from responses_proto.models.tools import (
    ComputerTool,
    CustomTool,
    FunctionTool,
    LocalEnvironment,
    McpTool,
    ShellTool,
    ToolSearchTool,
)
from responses_proto.protocol import check_history
from responses_proto.tools import Approval, ToolFinished, ToolStarted, call_key, handler

if TYPE_CHECKING:
    from responses_proto.models.response import PendingCall
    from responses_proto.models.tools import Tool
    from responses_proto.tools import Run, ToolContext, ToolLoop, ToolOutput

SHELL = ShellCall(
    id="sh_1",
    call_id="call_9",
    action=ShellAction(commands=["ls"]),
    environment=LocalEnvironment(),
    status="completed",
)


# ---- calls that nothing handles


@both_loops
@pytest.mark.parametrize(
    ("call", "tool"),
    [
        (SHELL, ShellTool(environment=LocalEnvironment())),
        (function_call(9, "{}", "mine"), FunctionTool(name="mine")),
        (function_call(9, "{}", "mine"), {"type": "function", "name": "mine"}),
    ],
)
def test_offered_calls_that_nothing_handles_wait_for_the_caller(backend: str, call: Any, tool: Any) -> None:
    async def test() -> None:
        async with serving(turn(call, function_call(1)), said()) as (server, client):
            _, result = await finish(client.run(**ASKED, tools=[work, tool]))
            assert (result.stopped, result.pending) == ("waiting_for_caller", [call])
            assert texts(result.loop) == ["done 1"]  # the other call is executed
            assert len(server.requests) == 1
            assert check_history(result.history) == []
            # The loop is a value that another process can continue.
            loop: ToolLoop = pickle.loads(pickle.dumps(result.loop))  # noqa: S301 - our own bytes
            loop.answer(loop.pending[0], "by hand")
            events, further = await finish(client.run(loop, tools=[work, tool]))
        assert further.stopped == "completed"
        assert names(events)[0] == "TurnStarted"
        assert [item["call_id"] for item in server.requests[1].json["input"]] == ["call_9", "call_1"]
        assert "by hand" in str(server.requests[1].json["input"][0])

    run(backend, test)


@both_loops
def test_a_call_of_a_tool_that_was_not_offered_is_answered_with_an_error(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1, "{}", "invented")), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[work]))
        (finished,) = [event for event in events if isinstance(event, ToolFinished)]
        assert isinstance(finished.error, ToolNotFound)
        assert finished.error.call == finished.call
        assert not [event for event in events if isinstance(event, ToolStarted)]
        assert texts(result.loop) == ["There is no tool 'invented'."]

    run(backend, test)


@both_loops
def test_a_later_run_can_execute_calls_that_an_earlier_one_left(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), said()) as (server, client):
            _, result = await finish(client.run(**ASKED, tools=[work.definition]))
            assert result.pending == [function_call(1)]
            events, further = await finish(client.run(result.loop, tools=[work]))
            assert result.pending == [function_call(1)]  # the first result is unchanged
        assert names(events)[:4] == ["ToolStarted", "ToolFinished", "TurnFinished", "TurnStarted"]
        assert texts(further.loop) == ["done 1"]
        assert further.stopped == "completed"
        assert len(server.requests) == 2

    run(backend, test)


@both_loops
def test_running_a_loop_that_is_over_sends_nothing(backend: str) -> None:
    async def test() -> None:
        async with serving(said()) as (server, client):
            _, result = await finish(client.run(**ASKED))
            events, again = await finish(client.run(result.loop))
        assert events == []
        assert (again.stopped, again.response) == (result.stopped, result.response)
        assert len(server.requests) == 1

    run(backend, test)


# ---- handlers


@both_loops
def test_handlers_answer_calls_that_name_no_tool(backend: str) -> None:
    shown: list[str] = []

    def list_files(call: ShellCall) -> str:
        return "\n".join(call.action.commands)

    async def click(call: ComputerCall) -> InputImage:
        shown.append(call.call_id)
        return InputImage(image_url="https://x.example/screen.png")

    def look_for(call: ToolSearchCall) -> list[FunctionTool]:
        return [work.definition] if call.arguments else []

    calls: list[Item] = [
        SHELL,
        ComputerCall(id="cc_1", call_id="call_2", pending_safety_checks=[], status="completed"),
        ToolSearchCall(id="ts_1", call_id="call_3", arguments={"q": "work"}, execution="client", status="completed"),
        FunctionCall(
            id="fc_4",
            call_id="call_4",
            name="work",
            arguments='{"n": 4}',
            caller=ProgramCaller(caller_id="call_0"),
            status="completed",
        ),
    ]

    async def test() -> None:
        tools: Any = [
            handler("shell_call", list_files, definition=ShellTool(environment=LocalEnvironment())),
            handler(ComputerCall, click, definition=ComputerTool()),
            handler("tool_search_call", look_for, definition=ToolSearchTool(execution="client")),
            work,
        ]
        async with serving(turn(*calls), said()) as (server, client):
            _, result = await finish(client.run(**ASKED, tools=tools))
        assert result.stopped == "completed"
        assert shown == ["call_2"]
        sent = server.requests[1].json["input"]
        assert [item["type"] for item in sent] == [
            "shell_call_output",
            "computer_call_output",
            "tool_search_output",
            "function_call_output",
        ]
        assert sent[0]["output"][0]["stdout"] == "ls"
        assert sent[1]["output"]["image_url"] == "https://x.example/screen.png"
        assert [tool["name"] for tool in sent[2]["tools"]] == ["work"]
        assert sent[3] == {
            "type": "function_call_output",
            "call_id": "call_4",
            "output": "done 4",
            "caller": {"type": "program", "caller_id": "call_0"},
        }
        assert check_history(result.history) == []

    run(backend, test)


@both_loops
def test_an_unsuitable_answer_of_a_handler_is_a_failed_call(backend: str) -> None:
    def nothing(_: ComputerCall) -> str:
        return "clicked"  # a screenshot is required

    async def test() -> None:
        call = ComputerCall(id="cc_1", call_id="call_1", pending_safety_checks=[], status="completed")
        async with serving(turn(call), said()) as (server, client):
            events, _ = await finish(client.run(**ASKED, tools=[handler(ComputerCall, nothing)]))
        (finished,) = [event for event in events if isinstance(event, ToolFinished)]
        assert isinstance(finished.error, UsageError)
        assert server.requests[1].json["input"][0]["status"] == "failed"

    run(backend, test)


# ---- calls handled by the caller


@both_loops
def test_in_manual_mode_the_reader_starts_and_answers_calls(backend: str) -> None:
    async def read(agent: Run) -> None:
        async for event in agent:
            match event:
                case OutputItemDone(item=FunctionCall(call_id="call_1") as call):
                    agent.start(call)
                    with pytest.raises(LocalProtocolError, match="is not pending"):
                        agent.start(call)
                case ResponseCompleted(response=response) if response.id == "resp_1":
                    assert agent.pending == [function_call(2), function_call(3, "{}", "mine")]
                    agent.answer(agent.pending[0], "by hand")
                    with pytest.raises(UsageError, match="no tool of this run handles"):
                        agent.start(agent.pending[0])
                case _:
                    pass

    async def test() -> None:
        calls = [function_call(1), function_call(2), function_call(3, "{}", "mine")]
        async with serving(turn(*calls), said()) as (server, client):
            async with client.run(**ASKED, tools=[work, FunctionTool(name="mine")], start="manual") as agent:
                await read(agent)
                result = await agent.result()
            assert (result.stopped, result.pending) == ("waiting_for_caller", calls[2:])
            assert texts(result.loop) == ["done 1", "by hand"]
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_only_a_pending_call_can_be_started_or_answered(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), said()) as (_, client):
            message: Any = said().output[0]
            async with client.run(**ASKED, tools=[work]) as agent:
                with pytest.raises(LocalProtocolError, match="is not pending"):
                    agent.start(function_call(1))
                with pytest.raises(UsageError, match="expected a call that the client answers"):
                    agent.answer(message, "x")
                await agent.result()
                with pytest.raises(LocalProtocolError, match="the run is over"):
                    agent.answer(function_call(1), "x")

    run(backend, test)


@both_loops
def test_a_run_can_be_paused_at_any_event(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), turn(function_call(2), number=2), said()) as (server, client):
            async with client.run(**ASKED, tools=[work]) as agent:
                async for event in agent:
                    if isinstance(event, OutputItemDone):
                        agent.pause()
                result = await agent.result()
            assert (result.stopped, result.pending) == ("waiting_for_caller", [function_call(1)])
            async with client.run(result.loop, tools=[work]) as agent:
                async for event in agent:
                    if isinstance(event, ToolStarted):
                        agent.pause()  # running tools finish
                result = await agent.result()
            assert (result.stopped, result.pending) == ("waiting_for_caller", [])
            assert texts(result.loop) == ["done 1"]
            assert (result.loop.state, len(server.requests)) == ("ask", 1)
            _, result = await finish(client.run(result.loop, tools=[work]))
        assert result.stopped == "completed"
        assert texts(result.loop) == ["done 1", "done 1"]
        assert len(server.requests) == 3

    run(backend, test)


@both_loops
def test_max_turns_leaves_the_last_calls_pending(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), turn(function_call(2), number=2), said()) as (server, client):
            _, result = await finish(client.run(**ASKED, tools=[work], max_turns=2, start="item_done"))
            assert (result.stopped, result.pending) == ("max_turns", [function_call(2)])
            assert len(result.turns) == 2
            assert check_history(result.history) == []
            _, result = await finish(client.run(result.loop, tools=[work], max_turns=1))
        assert result.stopped == "completed"
        assert texts(result.loop) == ["done 1", "done 1"]
        assert len(server.requests) == 3

    run(backend, test)


@both_loops
def test_calls_can_be_started_one_after_the_other(backend: str) -> None:
    async def test() -> None:
        calls = [function_call(number, f'{{"n": {number}}}') for number in (1, 2, 3)]
        async with serving(turn(*calls), said()) as (_, client):
            started: list[str] = []
            async with client.run(**ASKED, tools=[work], start="manual") as agent:
                async for event in agent:
                    if isinstance(event, ResponseCompleted | ToolFinished) and agent.pending:
                        started.append(call_key(agent.pending[0]))
                        agent.start(agent.pending[0])
                result = await agent.result()
            assert started == [call_key(call) for call in calls]
            assert (result.stopped, texts(result.loop)) == ("completed", ["done 1", "done 2", "done 3"])
            assert check_history(result.history) == []

    run(backend, test)


@both_loops
def test_a_call_is_not_pending_before_it_is_complete(backend: str) -> None:
    async def test() -> None:
        query = CustomToolCall(id="ctc_1", call_id="call_1", name="sql", input="DROP TABLE x")  # which has no status
        async with serving(turn(query), said()) as (_, client):
            seen: list[tuple[str, str]] = []
            async with client.run(**ASKED, tools=[CustomTool(name="sql")], start="manual") as agent:
                async for event in agent:
                    seen += [(event.type, call.input) for call in agent.pending if isinstance(call, CustomToolCall)]
            assert seen[0] == ("response.output_item.done", "DROP TABLE x")

    run(backend, test)


@both_loops
def test_a_remembered_approval_holds_for_a_run_without_a_callback(backend: str) -> None:
    async def test() -> None:
        def not_now(_: Any) -> None:
            """Leave it to the caller of the run."""

        tools = [McpTool(server_label="server", server_url="https://mcp.example")]
        async with serving(turn(approval_request(1)), turn(approval_request(2), number=2), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=tools, approve=not_now))
            assert result.stopped == "waiting_for_caller"
            result.loop.answer(result.pending[0], Approval(approve=True, remember=True))
            _, further = await finish(client.run(result.loop, tools=tools))
            assert further.stopped == "completed"
            answers = [
                output.approve
                for turn_ in further.turns
                for output in turn_.outputs
                if isinstance(output, McpApprovalResponse)
            ]
            assert answers == [True, True]

    run(backend, test)


class Forgetful:
    """An executor whose author forgot to return anything."""

    def __init__(self) -> None:
        self.executed = 0

    def definitions(self) -> list[Tool]:
        return [FunctionTool(name="work", parameters={"type": "object"}, strict=False)]

    def handles(self, item: Item) -> bool:
        return isinstance(item, FunctionCall)

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:  # noqa: ARG002 - the hook's signature
        self.executed += 1
        return cast("ToolOutput", None)


@both_loops
def test_an_executor_that_returns_none_has_failed_and_is_not_called_again(backend: str) -> None:
    async def test() -> None:
        forgetful = Forgetful()
        async with serving(turn(function_call(1)), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[forgetful]))
        assert (result.stopped, forgetful.executed) == ("completed", 1)
        assert texts(result.loop) == ["The tool gave no output: an executor must return a ToolOutput."]

    run(backend, test)
