"""Runs: turns of responses and tools, the events, tools and options, wrong use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from tests.support import PATIENCE, both_loops, run
from tests.tool_runs import (
    ASKED,
    SAID,
    TOOLS,
    Source,
    approval_request,
    client_of,
    fail,
    failing,
    finish,
    function_call,
    local,
    names,
    said,
    serving,
    texts,
    turn,
    work,
)

from responses_proto import CreateResponse, ResponsesClient, RetryPolicy
from responses_proto.codec import dump
from responses_proto.exceptions import LocalProtocolError, ToolArgumentsInvalid, UsageError
from responses_proto.models.events import OutputItemDone
from responses_proto.models.items import FunctionCall, FunctionCallOutput, McpApprovalRequest, Message
from responses_proto.models.tools import FunctionTool, McpTool
from responses_proto.protocol import DONE, check_history, emit, encode_event
from responses_proto.testing import Answer, FakeServer, Script, ServerExchange
from responses_proto.tools import (
    Approval,
    LocalEvent,
    ToolContext,
    ToolFinished,
    ToolLoop,
    ToolOutput,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    TurnStarted,
    function_tool,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from responses_proto import Response
    from responses_proto.models.response import PendingCall
    from responses_proto.typing import JSONObject

# ---- turns and events


@both_loops
def test_a_run_has_the_events_of_the_wire_and_its_own(backend: str) -> None:
    async def test() -> None:
        first, second = turn(function_call(1)), said()
        async with serving(first, second) as (server, client):
            events, result = await finish(client.run(**ASKED, tools=[work]))
        wire = [*emit(first), *emit(second)]
        assert [event for event in events if not isinstance(event, LocalEvent)] == wire
        at = len(emit(first))
        assert names(events) == [
            "TurnStarted",
            *names(wire[:at]),
            "ToolStarted",
            "ToolFinished",
            "TurnFinished",
            "TurnStarted",
            *names(wire[at:]),
            "TurnFinished",
        ]
        assert result.stopped == "completed"
        assert result.output_text == SAID
        assert result.response == second
        assert result.error is None
        assert result.pending == []
        assert [turn_.outcome.status for turn_ in result.turns] == ["completed", "completed"]
        assert result.items == [
            Message(role="user", content="Go."),
            function_call(1),
            FunctionCallOutput(call_id="call_1", output="done 1"),
            *second.output,
        ]
        assert check_history(result.items) == []
        assert result.usage
        assert result.usage.input_tokens == 20
        assert [request.json["stream"] for request in server.requests] == [True, True]

    run(backend, test)


@both_loops
def test_events_match_by_class(backend: str) -> None:
    async def test() -> None:
        seen: list[str] = []
        async with (
            serving(turn(function_call(1), failing(2)), said()) as (_, client),
            client.run(**ASKED, tools=TOOLS, concurrency=1) as agent,
        ):
            async for event in agent:
                match event:
                    case TurnStarted(number, request):
                        seen.append(f"turn {number} {type(request).__name__}")
                    case ToolStarted(FunctionCall(name=name)):
                        seen.append(f"begin {name}")
                    case ToolFinished(FunctionCall(name=name), FunctionCallOutput(output=output), failed=failed):
                        seen.append(f"end {name} {output!r} {failed}")
                    case TurnFinished(turn_):
                        seen.append(f"turn {turn_.number} {len(turn_.outputs)}")
                    case _:
                        assert event.type
        assert seen == [
            "turn 1 CreateResponse",
            "begin work",
            "end work 'done 1' False",
            "begin fail",
            "end fail 'The tool failed: ValueError: it broke' True",
            "turn 1 2",
            "turn 2 CreateResponse",
            "turn 2 0",
        ]

    run(backend, test)


@both_loops
def test_the_result_is_available_without_iterating(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), said()) as (_, client):
            async with client.run(**ASKED, tools=[work]) as agent:
                first = await agent.result()
                assert await agent.result() == first
            assert await agent.result() == first
            assert first.output_text == SAID

    run(backend, test)


REMOTE = McpTool(server_label="server", server_url="https://mcp.example", require_approval="always")


def approve(request: Any) -> Approval:
    return Approval(approve=request.name == "work", reason="as asked")


async def answer_by_hand(call: PendingCall) -> ToolOutput | Approval:
    if isinstance(call, McpApprovalRequest):
        return approve(call)
    executor = work if work.handles(call) else fail
    try:
        return await executor.execute(call, ToolContext(call))
    except ToolArgumentsInvalid as error:
        return ToolOutput(str(error), failed=True)
    except ValueError as error:
        return ToolOutput(f"The tool failed: {type(error).__name__}: {error}", failed=True)


async def go_by_hand(client: ResponsesClient, request: CreateResponse | JSONObject) -> ToolLoop:
    loop = ToolLoop(request)
    while loop.state == "ask":
        for call in loop.receive(await client.create(loop.request)):
            loop.answer(call, await answer_by_hand(call))
    return loop


@both_loops
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("store", [None, False])
def test_a_run_sends_what_a_loop_by_hand_sends(backend: str, store: Any, raw: bool) -> None:
    request: Any = {**ASKED, "store": store} if raw else CreateResponse(**ASKED, store=store)
    tools: Any = [REMOTE, work.definition, fail.definition]
    script = (
        turn(function_call(1), failing(2), approval_request(3), number=1),
        turn(approval_request(4, name="play"), function_call(5, "[]"), number=2),
        said(),
    )

    async def test() -> None:
        async with serving(*script) as (server, client):
            loop = await go_by_hand(client, {**request, "tools": tools} if raw else attrs.evolve(request, tools=tools))
            asked = [{**request.json, "stream": True} for request in server.requests]
        async with serving(*script) as (server, client):
            _, result = await finish(client.run(request, tools=[REMOTE, work, fail], approve=approve))
            assert [request.json for request in server.requests] == asked
        assert len(asked) == 3
        assert texts(loop)[:2] == ["done 1", "The tool failed: ValueError: it broke"]
        assert [(t.number, t.response, t.calls, t.answers) for t in result.turns] == [
            (t.number, t.response, t.calls, t.answers) for t in loop.turns
        ]
        assert result.items == loop.items
        assert result.history == loop.history
        assert result.usage == loop.usage
        assert result.stopped == loop.stopped

    run(backend, test)


@both_loops
def test_the_fields_of_the_request_are_sent_in_every_turn(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), said()) as (server, client):
            fields: dict[str, Any] = {"conversation": "conv_1", "instructions": "Be brief.", "extra": {"x": 1}}
            await finish(client.run(**ASKED, **fields, tools=[work], headers={"x-run": "1"}))
        second = server.requests[1].json
        assert (second["conversation"], second["instructions"], second["x"]) == ("conv_1", "Be brief.", 1)
        assert second["input"] == [{"type": "function_call_output", "call_id": "call_1", "output": "done 1"}]
        assert "previous_response_id" not in second
        assert [request.headers["x-run"] for request in server.requests] == ["1", "1"]

    run(backend, test)


@both_loops
def test_the_client_retries_in_each_turn(backend: str) -> None:
    async def test() -> None:
        script = Script(turn(function_call(1)), Answer.error(503, headers={"retry-after": "0"}), said())
        async with FakeServer(script, listen=False) as server, client_of(server, retry=RetryPolicy()) as client:
            _, result = await finish(client.run(**ASKED, tools=[work]))
        assert (result.output_text, len(server.requests)) == (SAID, 3)

    run(backend, test)


# ---- when tools start


def gated(response: Response, gate: anyio.Event) -> Callable[[ServerExchange], Awaitable[None]]:
    """Send a response up to the end of its first item, and the rest once the gate is open."""

    async def script(peer: ServerExchange) -> None:
        await peer.start()
        for event in emit(response):
            await peer.send(encode_event(event))
            if isinstance(event, OutputItemDone):
                await gate.wait()
        await peer.send(DONE)
        await peer.finish()

    return script


@both_loops
@pytest.mark.parametrize("where", ["memory", "socket"])
def test_with_item_done_a_tool_starts_while_the_response_continues(backend: str, where: str) -> None:
    async def test() -> None:
        gate = anyio.Event()

        @function_tool
        async def open_gate() -> str:
            gate.set()  # without which the response never ends
            return "open"

        call = function_call(1, "{}", "open_gate")
        script = Script(gated(turn(call, function_call(2, '{"n": 2}')), gate), said())
        async with FakeServer(script) as server:
            transport = server.transport if where == "memory" else None
            async with ResponsesClient(server.url, "key", http_client=transport) as client:
                events, result = await finish(client.run(**ASKED, tools=[open_gate, work], start="item_done"))
        order = names(events)
        first = order.index("OutputItemDone")
        assert order[first : first + 3] == ["OutputItemDone", "ToolStarted", "ToolFinished"]
        assert order.index("ToolFinished") < order.index("ResponseCompleted")
        assert texts(result.loop) == ["open", "done 2"]

    run(backend, test)


@both_loops
def test_by_default_no_tool_starts_before_the_response_is_complete(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1), function_call(2)), said()) as (_, client):
            events, _ = await finish(client.run(**ASKED, tools=[work]))
        assert names(events).index("ResponseCompleted") < names(events).index("ToolStarted")

    run(backend, test)


@both_loops
def test_an_item_that_is_done_twice_is_executed_once(backend: str) -> None:
    async def test() -> None:
        count: list[int] = []

        @function_tool(name="work")
        async def counting(n: int) -> int:
            count.append(n)
            return n

        events = [dump(event) for event in emit(turn(function_call(1)))]
        done = next(at for at, event in enumerate(events) if event["type"] == "response.output_item.done")
        async with serving(Answer.events([*events[: done + 1], *events[done:]]), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[counting], start="item_done"))
        assert count == [1]
        assert result.stopped == "completed"

    run(backend, test)


@both_loops
def test_a_done_event_without_arguments_is_executed_with_the_streamed_ones(backend: str) -> None:
    async def test() -> None:
        events = [dump(event) for event in emit(turn(function_call(1)))]
        for event in events:
            if event["type"] == "response.output_item.done":
                event["item"]["arguments"] = ""
            if "response" in event:
                event["response"]["output"] = []  # as some servers end
        async with serving(Answer.events(events), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[work], start="item_done"))
        assert texts(result.loop) == ["done 1"]

    run(backend, test)


@both_loops
@pytest.mark.parametrize("start", ["response_done", "item_done"])
def test_calls_that_the_server_answers_are_not_executed(backend: str, start: Any) -> None:
    async def test() -> None:
        theirs = function_call(1, "{}", "theirs")
        answered = FunctionCallOutput(id="fco_1", call_id="call_1", output="done there")
        async with serving(turn(theirs, answered, *said().output)) as (server, client):
            events, result = await finish(client.run(**ASKED, tools=[work], start=start, on_error="raise"))
        assert names(local(events)) == ["TurnStarted", "TurnFinished"]
        assert (result.stopped, len(server.requests)) == ("completed", 1)

    run(backend, test)


@both_loops
def test_tools_run_at_the_same_time(backend: str) -> None:
    async def test() -> None:
        arrived: list[int] = []
        all_there = anyio.Event()
        threads = threading.Barrier(3, timeout=PATIENCE)

        @function_tool
        async def meet(n: int) -> int:
            arrived.append(n)
            if len(arrived) == 3:
                all_there.set()
            await all_there.wait()  # for ever, if they came one after the other
            return n

        @function_tool
        def meet_in_thread(n: int) -> int:
            threads.wait()
            return n

        for name in ("meet", "meet_in_thread"):
            calls = [function_call(at, f'{{"n": {at}}}', name) for at in (1, 2, 3)]
            async with serving(turn(*calls), said()) as (_, client):
                _, result = await finish(client.run(**ASKED, tools=[meet, meet_in_thread]))
            assert texts(result.loop) == ["1", "2", "3"]

    run(backend, test)


@both_loops
@pytest.mark.parametrize("bound", [1, 2])
def test_at_most_concurrency_tools_run_and_start_in_order(backend: str, bound: int) -> None:
    async def test() -> None:
        at_work = most = 0

        @function_tool(name="work")
        async def careful(n: int) -> int:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            at_work -= 1
            return n

        calls = [function_call(at, f'{{"n": {at}}}') for at in range(5)]
        async with serving(turn(*calls), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[careful], concurrency=bound))
        assert most == bound
        assert [event.call for event in events if isinstance(event, ToolStarted)] == calls
        assert texts(result.loop) == ["0", "1", "2", "3", "4"]
        assert names(local(events)).count("ToolFinished") == 5

    run(backend, test)


@both_loops
def test_outputs_are_in_call_order_and_events_in_finishing_order(backend: str) -> None:
    async def test() -> None:
        last_is_done = anyio.Event()

        @function_tool(name="work")
        async def backwards(n: int) -> int:
            if n == 1:
                await last_is_done.wait()
            else:
                last_is_done.set()
            return n

        calls = [function_call(1, '{"n": 1}'), function_call(2, '{"n": 2}')]
        async with serving(turn(*calls), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[backwards]))
        finished = [event.call for event in events if isinstance(event, ToolFinished)]
        assert finished == calls[::-1]
        assert texts(result.loop) == ["1", "2"]

    run(backend, test)


# ---- progress


@both_loops
def test_tools_report_progress(backend: str) -> None:
    async def test() -> None:
        @function_tool
        async def here(context: ToolContext) -> str:
            context.progress("half", done=1, total=2)
            return f"{context.response_id} {context.turn} {context.call.type}"

        @function_tool
        def in_thread(context: ToolContext) -> str:
            context.progress(done=0.5)
            return "done"

        calls = [function_call(1, "{}", "here"), function_call(2, "{}", "in_thread")]
        async with serving(turn(*calls), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[here, in_thread]))
        told = [event for event in events if isinstance(event, ToolProgress)]
        assert sorted(told, key=lambda event: event.message) == [
            ToolProgress(calls[1], "", 0.5),
            ToolProgress(calls[0], "half", 1, 2),
        ]
        assert texts(result.loop) == ["resp_1 1 function_call", "done"]

    run(backend, test)


@both_loops
def test_unread_progress_is_dropped(backend: str) -> None:
    async def test() -> None:
        @function_tool
        async def chatter(context: ToolContext) -> str:
            for done in range(10_000):
                context.progress(done=done)
            return "done"

        async with serving(turn(function_call(1, "{}", "chatter")), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[chatter]))
        told = [event.done for event in events if isinstance(event, ToolProgress)]
        assert told[:3] == [0, 1, 2]
        assert len(told) < 2_000
        assert texts(result.loop) == ["done"]

    run(backend, test)


# ---- definitions


@both_loops
def test_tools_are_added_to_those_of_the_request(backend: str) -> None:
    async def test() -> None:
        raw: dict[str, Any] = {"type": "acme:search", "depth": 3}
        own: list[Any] = [FunctionTool(name="own")]
        async with serving(said()) as (server, client):
            await finish(client.run(CreateResponse(**ASKED, tools=own), tools=[raw, work, plain]))
            await finish(client.run({**ASKED, "tools": [{"type": "function", "name": "own"}]}, tools=[work]))
            await finish(client.run({**ASKED, "tools": [raw]}))
        offered = [[tool.get("name", tool["type"]) for tool in request.json["tools"]] for request in server.requests]
        assert offered == [["own", "acme:search", "work", "plain"], ["own", "work"], ["acme:search"]]
        assert server.requests[0].json["tools"][1] == raw

    run(backend, test)


def plain(n: int) -> int:
    """Be a plain function."""
    return n


@both_loops
@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([3], "a tool must be a function, a ToolExecutor, a definition such as McpTool"),
        (
            [FunctionCall(call_id="c", name="f", arguments="")],
            "a tool must be a function, a ToolExecutor, a definition",
        ),
        ([len], "the parameter 'obj' has no type"),
        ([work, work], "two tools have the name 'work'"),
        ([work, {"type": "function", "name": "work"}], "two tools have the name 'work'"),
    ],
)
def test_wrong_tools_are_refused_before_anything_is_sent(backend: str, tools: Any, message: str) -> None:
    async def test() -> None:
        async with serving(said()) as (server, client):
            with pytest.raises(UsageError, match=message):
                async with client.run(**ASKED, tools=tools):
                    pass
        assert server.requests == []

    run(backend, test)


# ---- executors that a run enters


@both_loops
def test_a_run_enters_and_leaves_an_executor_that_is_not_open(backend: str) -> None:
    async def test() -> None:
        async def answer(context: ToolContext) -> ToolOutput:
            return ToolOutput(f"turn {context.turn}", value={"turn": context.turn})

        source, mine = Source(answer), Source(answer, name="mine")
        async with mine, serving(turn(function_call(1), function_call(2, name="mine")), said()) as (_, client):
            agent = client.run(**ASKED, tools=[source, mine])
            states = [(source.entered, mine.entered)]
            async with agent:
                states.append((source.entered, mine.entered))
                events = [event async for event in agent]
            states.append((source.entered, mine.entered))
        # An executor that the caller entered is not left by the run.
        assert states == [(False, True), (True, True), (False, True)]
        assert (source.times_entered, mine.times_entered) == (1, 1)
        assert texts(agent.loop) == ["turn 1", "turn 1"]
        assert [event.value for event in events if isinstance(event, ToolFinished)] == [{"turn": 1}, {"turn": 1}]

    run(backend, test)


@both_loops
def test_an_executor_is_left_if_another_one_cannot_be_entered(backend: str) -> None:
    class Broken(Source):
        async def __aenter__(self) -> None:
            raise ConnectionError("no such server")

    async def answer(_: ToolContext) -> ToolOutput:
        return ToolOutput("")

    async def test() -> None:
        source = Source(answer)
        async with serving(said()) as (server, client):
            with pytest.raises(ConnectionError, match="no such server"):
                async with client.run(**ASKED, tools=[source, Broken(answer)]):
                    pass
        assert (source.entered, source.times_entered) == (False, 1)
        assert server.requests == []

    run(backend, test)


@both_loops
def test_the_definitions_of_an_executor_may_change_from_turn_to_turn(backend: str) -> None:
    async def test() -> None:
        async def rename(_: ToolContext) -> ToolOutput:
            source.name = "other"
            return ToolOutput("renamed")

        source = Source(rename)
        async with serving(turn(function_call(1)), turn(function_call(2, name="other")), said()) as (server, client):
            _, result = await finish(client.run(**ASKED, tools=[source]))
        assert [request.json["tools"][0]["name"] for request in server.requests] == ["work", "other", "other"]
        assert texts(result.loop) == ["renamed", "renamed"]

    run(backend, test)


# ---- wrong use


@both_loops
def test_a_run_must_be_entered_once(backend: str) -> None:
    async def test() -> None:
        async with serving(said()) as (_, client):
            agent = client.run(**ASKED)
            with pytest.raises(LocalProtocolError, match="the run has not been entered"):
                await anext(agent)
            with pytest.raises(LocalProtocolError, match="the run has not been entered"):
                await agent.result()
            assert repr(agent) == "<Run new <ToolLoop ask after 0 turns, 0 pending>>"
            async with agent:
                await anext(agent)
            with pytest.raises(LocalProtocolError, match="a run can be entered only once"):
                await agent.__aenter__()
            assert [event async for event in agent] == []
            with pytest.raises(LocalProtocolError, match="its block was left before its end"):
                await agent.result()

    run(backend, test)


@both_loops
def test_bad_options_are_refused(backend: str) -> None:
    async def test() -> None:
        loop = ToolLoop(ASKED)
        async with serving(said()) as (_, client):
            with pytest.raises(UsageError, match=r"approve must be a function .* got True"):
                client.run(model="m", input="x", approve=True)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the mistake is the point
            with pytest.raises(UsageError, match="concurrency must be at least 1, got 0"):
                client.run(**ASKED, concurrency=0)
            with pytest.raises(UsageError, match="tool_timeout must be a finite number of seconds above 0, got -1"):
                client.run(**ASKED, tool_timeout=-1)
            with pytest.raises(UsageError, match="max_turns"):
                client.run(loop, max_turns=0)
            with pytest.raises(UsageError, match="a ToolLoop contains its request"):
                client.run(loop, temperature=0.5)
            with pytest.raises(TypeError, match="did you mean 'instructions'"):
                client.run(**ASKED, instruction="x")  # type: ignore[call-arg] # what the test is about
        with pytest.raises(LocalProtocolError, match="this client is closed"):
            client.run(**ASKED)

    run(backend, test)
