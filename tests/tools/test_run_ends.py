"""Runs that do not complete: tools that fail, responses that break, blocks that are left."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from tests.support import PATIENCE, both_loops, run
from tests.tool_runs import (
    ASKED,
    TOOLS,
    Source,
    failing,
    finish,
    function_call,
    names,
    read_all,
    said,
    serving,
    texts,
    turn,
    waiting,
    work,
)

from responses_proto import Hooks, ResponsesClient, RetryPolicy
from responses_proto.exceptions import (
    APIError,
    BadRequestError,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseFailedError,
    ResponseIncompleteError,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    ToolArgumentsInvalid,
    ToolError,
    ToolNotFound,
)
from responses_proto.models.events import OutputItemDone, OutputTextDelta
from responses_proto.models.response import IncompleteDetails, ResponseError
from responses_proto.protocol import check_history, emit, encode_event
from responses_proto.testing import Answer, FakeServer, Reset, ServerExchange
from responses_proto.tools import ToolContext, ToolFinished, ToolOutput, ToolStarted, TurnFinished, function_tool

if TYPE_CHECKING:
    from responses_proto import Response
    from responses_proto.models.items import FunctionCall
    from responses_proto.tools import Run

CANCELLED = "The call was cancelled. It may have done part of its work."


async def read_until(agent: Run, kind: type[object]) -> None:
    """Read up to an event of a class, then wait until every task is blocked."""
    async for event in agent:
        if isinstance(event, kind):
            break
    await anyio.wait_all_tasks_blocked()


# ---- tools that fail, and the model is not told


@both_loops
@pytest.mark.parametrize("start", ["response_done", "item_done"])
def test_with_on_error_raise_a_failed_tool_ends_the_run(backend: str, start: Any) -> None:
    async def test() -> None:
        async with serving(turn(waiting(1), failing(2)), said()) as (server, client):
            agent = client.run(**ASKED, tools=TOOLS, on_error="raise", start=start)
            with pytest.raises(ToolError, match="fail failed: ValueError: it broke") as caught:
                await read_all(agent)
        error = caught.value
        assert isinstance(error.__cause__, ValueError)
        assert error.call == failing(2)
        assert error.retry_safety == "unsafe"
        assert error.response
        assert error.response.id == "resp_1"
        assert len(server.requests) == 1
        # The tools that were running were cancelled, and their answers say so.
        assert texts(agent.loop) == [CANCELLED, "The tool failed: ValueError: it broke"]
        assert check_history(agent.loop.history) == []
        with pytest.raises(ToolError) as again:
            await agent.result()
        assert again.value is error

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (function_call(1, '{"n": "x"}'), ToolArgumentsInvalid),
        (function_call(1, "{}", "invented"), ToolNotFound),
        (function_call(1, "{}", "wait_forever"), ToolError),
    ],
)
def test_every_kind_of_failure_can_end_the_run(backend: str, call: FunctionCall, kind: type[ToolError]) -> None:
    async def test() -> None:
        async with serving(turn(call), said()) as (_, client):
            agent = client.run(**ASKED, tools=TOOLS, on_error="raise", tool_timeout=0.02)
            with pytest.raises(ToolError) as caught:
                await finish(agent)
        assert type(caught.value) is kind
        assert caught.value.call == call
        assert isinstance(caught.value.__cause__, DeadlineExceeded) == (kind is ToolError)
        assert len(texts(agent.loop)) == 1

    run(backend, test)


@both_loops
def test_a_tool_may_report_a_failure_itself(backend: str) -> None:
    async def test() -> None:
        @function_tool(name="work")
        async def honest(n: int) -> ToolOutput:
            return ToolOutput(f"{n} is too much", failed=True, value={"n": n})

        async with serving(turn(function_call(1)), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[honest], on_error="raise"))
        (finished,) = [event for event in events if isinstance(event, ToolFinished)]
        assert (finished.failed, finished.error, finished.value) == (True, None, {"n": 1})
        assert texts(result.loop) == ["1 is too much"]

    run(backend, test)


@both_loops
def test_the_timeout_of_a_tool_overrides_that_of_the_run(backend: str) -> None:
    async def test() -> None:
        @function_tool(timeout=0.02)
        async def slow(context: ToolContext) -> str:
            assert context.timeout == 0.02
            await anyio.sleep_forever()
            return "never"

        @function_tool(timeout=60)
        async def patient(context: ToolContext) -> str:
            assert 0 < (context.seconds_left or 0) <= 60
            return "fine"

        calls = [function_call(1, "{}", "slow"), function_call(2, "{}", "patient")]
        async with serving(turn(*calls), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[slow, patient], tool_timeout=50))
        (error,) = [event.error for event in events if isinstance(event, ToolFinished) and event.failed]
        assert isinstance(error, DeadlineExceeded)
        assert (error.kind, error.limit) == ("tool", 0.02)
        assert texts(result.loop)[0].startswith("The tool took too long and was stopped after ")
        assert texts(result.loop)[1] == "fine"

    run(backend, test)


@both_loops
def test_any_exception_of_a_tool_becomes_text_that_can_be_sent(backend: str) -> None:
    async def test() -> None:
        @function_tool(name="work")
        async def odd(n: int) -> str:
            if n == 1:
                raise KeyError
            raise OSError("\udcff" + "x" * 10_000)

        calls = [function_call(1, '{"n": 1}'), function_call(2, '{"n": 2}')]
        async with serving(turn(*calls), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[odd]))
        assert texts(result.loop)[0] == "The tool failed: KeyError"
        assert texts(result.loop)[1].startswith("The tool failed: OSError: ?xxx")
        assert len(texts(result.loop)[1]) == 4096

    run(backend, test)


class UnreadableError(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class WrongTextError(Exception):
    """Has a text that is not one."""

    def __str__(self) -> Any:
        return self.args[0]


class UnreadableToolError(ToolError):
    """Has no text, and is one of ours."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


GROUP = ExceptionGroup(
    "unhandled errors in a TaskGroup",
    [OSError("no route to alpha"), ExceptionGroup("more", [ValueError("beta"), UnreadableError()])],
)


@both_loops
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("on_error", ["tell_model", "raise"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UnreadableError(), "The tool failed: UnreadableError"),
        (WrongTextError(3), "The tool failed: WrongTextError"),
        (UnreadableToolError("x"), ""),
        (
            GROUP,
            "The tool failed: OSError: no route to alpha\nThe tool failed: ValueError: beta\nThe tool failed: UnreadableError",
        ),
        (ExceptionGroup("one", [KeyError("x")]), "The tool failed: KeyError: 'x'"),
        (ExceptionGroup("same", [OSError("x"), OSError("x")]), "The tool failed: OSError: x"),
    ],
)
def test_each_error_in_what_a_tool_raises_is_told_whatever_its_text(
    backend: str, plain: bool, on_error: Any, error: Exception, text: str
) -> None:
    async def test() -> None:
        async def raises_later(n: int) -> str:  # noqa: ARG001 - as below
            await anyio.lowlevel.checkpoint()
            raise error

        def raises(n: int) -> str:  # noqa: ARG001 - the parameter of the calls
            raise error

        tool = function_tool(raises if plain else raises_later, name="bad")
        async with serving(turn(function_call(1, name="bad"), function_call(2)), said()) as (_, client):
            agent = client.run(**ASKED, tools=[tool, work], on_error=on_error, concurrency=1)
            if on_error == "raise":
                with pytest.raises(ToolError) as caught:
                    await finish(agent)
                assert caught.value is error or caught.value.__cause__ is error
                assert texts(agent.loop) == [text]
            else:
                await finish(agent)
                assert texts(agent.loop) == [text, "done 1"]
        assert check_history(agent.loop.history) == []

    run(backend, test)


class UnwritableOutput:
    """Cannot be shown, nor written."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


@both_loops
@pytest.mark.parametrize("output", [UnwritableOutput(), [UnwritableOutput()], {"x": UnwritableOutput()}, object])
def test_an_output_that_cannot_be_sent_is_a_failure(backend: str, output: Any) -> None:
    async def odd(_: ToolContext) -> ToolOutput:
        await anyio.lowlevel.checkpoint()
        return ToolOutput(output)

    async def test() -> None:
        async with serving(turn(function_call(1)), said()) as (_, client):
            events, result = await finish(client.run(**ASKED, tools=[Source(odd)]))
        (finished,) = [event for event in events if isinstance(event, ToolFinished)]
        assert finished.failed
        assert texts(result.loop)[0].startswith("The tool failed: ")

    run(backend, test)


def test_a_tool_that_cancels_itself_does_not_end_the_others() -> None:
    async def test() -> None:
        @function_tool
        async def give_up() -> str:
            raise asyncio.CancelledError

        @function_tool
        async def cancel() -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            return "cancelled"

        calls = (function_call(1, "{}", "give_up"), function_call(2, "{}", "cancel"), function_call(3))
        async with serving(turn(*calls), said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[give_up, cancel, work], concurrency=1))
        assert texts(result.loop) == [CANCELLED, "cancelled", "done 1"]
        assert result.stopped == "completed"

    run("asyncio", test)


def test_system_exit_of_a_tool_is_raised() -> None:
    async def test() -> None:
        @function_tool
        async def leave() -> str:
            raise SystemExit(3)

        async with serving(turn(function_call(1, "{}", "leave")), said()) as (_, client):
            agent = client.run(**ASKED, tools=[leave])
            with pytest.raises(SystemExit) as caught:  # by itself, and in no group
                await finish(agent)
        assert caught.value.code == 3
        assert texts(agent.loop) == [CANCELLED]

    run("trio", test)  # asyncio ends the loop at once


# ---- responses that break after a tool began


def begun_with(*items: Any, **fields: Any) -> Response:
    return turn(function_call(1), *items, **fields)


def broken_off(response: Response, *end: Any) -> Answer:
    """Send a response up to the end of its first item."""
    pieces: list[Any] = []
    for event in emit(response):
        pieces.append(encode_event(event))
        if isinstance(event, OutputItemDone):
            break
    return Answer.stream(*pieces, *end)


ERROR = ResponseError(code="server_error", message="It broke.")
LIMITED = IncompleteDetails(reason="max_output_tokens")


@both_loops
@pytest.mark.parametrize(
    ("answer", "kind", "stopped", "raises_while_read"),
    [
        (begun_with(status="failed", error=ERROR), ResponseFailedError, "failed", False),
        (broken_off(begun_with()), StreamTruncated, "truncated", False),
        (broken_off(begun_with(), Reset()), StreamInterrupted, "truncated", True),
        (
            broken_off(begun_with(), b'data: {"type": "error", "code": "server_error", "message": "It broke."}\n\n'),
            APIError,
            "error",
            False,
        ),
    ],
    ids=["failed", "truncated", "interrupted", "error"],
)
def test_answers_are_kept_when_the_response_breaks(
    backend: str, answer: Any, kind: type[ResponsesProtoError], stopped: str, raises_while_read: bool
) -> None:
    async def test() -> None:
        # Only once the response is broken is the tool done: that is waited for.
        async with serving(answer, said(), retry=RetryPolicy(attempts=1)) as (server, client):
            events: list[Any] = []
            caught: ResponsesProtoError | None = None
            async with client.run(**ASKED, tools=[work], start="item_done") as agent:
                try:
                    async for event in agent:
                        events.append(event)  # noqa: PERF401 - up to an error
                except ResponsesProtoError as error:
                    caught = error
                assert (caught is not None) == raises_while_read
                with pytest.raises(kind) as again:
                    await agent.result()
        assert again.value.retry_safety == "unsafe"
        assert again.value.response
        assert "ToolFinished" in names(events)
        assert ("TurnFinished" in names(events)) != raises_while_read
        assert agent.loop.stopped == stopped
        assert texts(agent.loop) == ["done 1"]
        assert [item.type for item in agent.loop.history] == ["message", "function_call", "function_call_output"]
        assert check_history(agent.loop.history) == []
        assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_an_incomplete_response_is_a_result_with_its_error(backend: str) -> None:
    cut = attrs.evolve(function_call(3, '{"n": '), status="incomplete")
    response = begun_with(function_call(2), cut, status="incomplete", incomplete_details=LIMITED)

    async def test() -> None:
        async with serving(response, said()) as (server, client):
            events, result = await finish(client.run(**ASKED, tools=[work], start="item_done"))
            assert result.stopped == "incomplete"
            assert isinstance(result.error, ResponseIncompleteError)
            assert result.error.retry_safety == "unsafe"
            assert texts(result.loop) == ["done 1", "done 1"]
            # Nothing of a call that was cut off is executed, or said again.
            assert names(events).count("ToolStarted") == 2
            assert len(result.history) == 5
            assert check_history(result.history) == []
            # And that can be gone on from.
            _, further = await finish(client.run(result.loop, tools=[work]))
        assert further.stopped == "completed"
        assert [item["call_id"] for item in server.requests[1].json["input"]] == ["call_1", "call_2"]

    run(backend, test)


@both_loops
def test_no_tool_starts_after_an_incomplete_response(backend: str) -> None:
    response = begun_with(status="incomplete", incomplete_details=LIMITED)

    async def test() -> None:
        async with serving(response, said()) as (server, client):
            events, result = await finish(client.run(**ASKED, tools=[work]))
            assert (result.stopped, result.pending) == ("incomplete", [function_call(1)])
            assert "ToolStarted" not in names(events)
            assert isinstance(result.error, ResponseIncompleteError)
            # A run that continues the loop executes it.
            _, further = await finish(client.run(result.loop, tools=[work]))
        assert texts(further.loop) == ["done 1"]
        assert further.stopped == "completed"
        assert len(server.requests) == 2

    run(backend, test)


@both_loops
def test_errors_before_any_tool_started_keep_their_retry_safety(backend: str) -> None:
    async def test() -> None:
        refused = Answer.error(400, "No such model.")
        async with serving(refused) as (_, client):
            agent = client.run(**ASKED, tools=[work])
            with pytest.raises(BadRequestError, match="No such model"):
                await finish(agent)
        assert (agent.loop.state, agent.loop.turns) == ("ask", [])
        # After one, the same error says that the run has done something.
        async with serving(turn(function_call(1)), refused) as (_, client):
            agent = client.run(**ASKED, tools=[work])
            with pytest.raises(BadRequestError) as caught:
                await finish(agent)
        assert caught.value.retry_safety == "unsafe"
        assert texts(agent.loop) == ["done 1"]
        assert agent.loop.state == "ask"  # and can be tried again

    run(backend, test)


@both_loops
def test_calls_without_unique_ids_end_the_run(backend: str) -> None:
    async def test() -> None:
        same = attrs.evolve(function_call(2), call_id="call_1")
        async with serving(turn(function_call(1), same)) as (_, client):
            with pytest.raises(RemoteProtocolError, match="must have different ids"):
                await finish(client.run(**ASKED, tools=[work]))

    run(backend, test)


@both_loops
def test_an_error_of_a_hook_is_raised_by_the_run(backend: str) -> None:
    def on_event(event: object) -> None:
        if isinstance(event, OutputItemDone):
            raise KeyError("hook")

    async def test() -> None:
        async with FakeServer(turn(function_call(1)), listen=False) as server:
            client = ResponsesClient(server.url, "key", http_client=server.transport, hooks=Hooks(on_event=on_event))
            with pytest.raises(KeyError, match="hook"):
                await finish(client.run(**ASKED, tools=[work]))

    run(backend, test)


# ---- leaving


@both_loops
def test_leaving_cancels_tools_at_once_and_keeps_their_answers(backend: str) -> None:
    cleaned: list[str] = []

    @function_tool
    async def tidy() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                cleaned.append("tidy")
        return "never"

    async def test() -> None:
        calls = [function_call(1, "{}", "tidy"), function_call(2), function_call(3, "{}", "tidy")]
        async with serving(turn(*calls), said()) as (server, client):
            async with client.run(**ASKED, tools=[tidy, work], concurrency=2) as agent:
                await read_until(agent, ToolFinished)
            with pytest.raises(LocalProtocolError, match="its block was left before its end"):
                await agent.result()
        assert cleaned == ["tidy", "tidy"]
        assert texts(agent.loop) == [CANCELLED, "done 1", CANCELLED]
        assert check_history(agent.loop.history) == []
        assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_calls_that_were_not_started_stay_pending_and_can_be_continued(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(waiting(1), function_call(2)), said()) as (server, client):
            async with client.run(**ASKED, tools=TOOLS, concurrency=1) as agent:
                await read_until(agent, ToolStarted)
            assert texts(agent.loop) == [CANCELLED]
            assert agent.loop.pending == [function_call(2)]
            assert check_history(agent.loop.history) == []
            _, result = await finish(client.run(agent.loop, tools=TOOLS))
        assert texts(result.loop) == [CANCELLED, "done 1"]
        assert result.stopped == "completed"
        assert len(server.requests) == 2

    run(backend, test)


@both_loops
def test_a_response_left_before_any_tool_started_can_be_requested_again(backend: str) -> None:
    async def test() -> None:
        async with serving(said("One two three."), said()) as (server, client):
            async with client.run(**ASKED, tools=[work]) as agent:
                await read_until(agent, OutputTextDelta)
            assert (agent.loop.state, agent.loop.turns) == ("ask", [])
            await finish(client.run(agent.loop))
        assert server.requests[0].json["input"] == server.requests[1].json["input"]

    run(backend, test)


@both_loops
def test_a_response_left_after_a_tool_started_is_kept_with_its_answered_calls(backend: str) -> None:
    async def test() -> None:
        async def hanging(peer: ServerExchange) -> None:
            events = emit(turn(function_call(1), function_call(2)))
            done = 0
            for event in events:
                await peer.send(encode_event(event))
                done += isinstance(event, OutputItemDone)
                if done == 1 and not isinstance(event, OutputItemDone):
                    await peer.until_closed()  # in the middle of the second call
                    return

        async with (
            serving(hanging, said()) as (_, client),
            client.run(**ASKED, tools=[work], start="item_done") as agent,
        ):
            await read_until(agent, ToolFinished)
        assert (agent.loop.state, agent.loop.stopped) == ("over", "truncated")
        assert [item.type for item in agent.loop.history] == ["message", "function_call", "function_call_output"]
        assert texts(agent.loop) == ["done 1"]

    run(backend, test)


@both_loops
def test_an_exception_of_the_block_is_raised_unchanged(backend: str) -> None:
    async def test() -> None:
        async def fall() -> None:
            async with client.run(**ASKED, tools=TOOLS) as agent:
                await read_until(agent, ToolStarted)
                raise KeyError("mine")

        async with serving(turn(waiting(1))) as (_, client):
            with pytest.raises(KeyError, match="mine"):
                await fall()

    run(backend, test)


@both_loops
def test_leaving_does_not_wait_for_a_worker_thread(backend: str) -> None:
    release, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    @function_tool
    def stubborn(context: ToolContext) -> str:
        release.wait(2 * PATIENCE)
        seen.append(context.cancelled)
        context.progress("to nobody")
        ended.set()
        return "late"

    async def test() -> None:
        try:
            calls = turn(function_call(1, "{}", "stubborn"))
            async with serving(calls, calls, said()) as (_, client):
                async with client.run(**ASKED, tools=[stubborn]) as agent:
                    await read_until(agent, ToolStarted)
                assert texts(agent.loop) == [CANCELLED]
                _, result = await finish(client.run(**ASKED, tools=[stubborn], tool_timeout=0.05))
                assert result.stopped == "completed"
            assert not ended.is_set()
        finally:
            release.set()

    run(backend, test)
    assert ended.wait(PATIENCE)
    assert seen[0] is True


def test_asyncio_cancellation_cancels_the_run() -> None:
    async def test() -> None:
        async with serving(turn(waiting(1), function_call(2)), said()) as (_, client):
            agent = client.run(**ASKED, tools=TOOLS)
            begun = asyncio.Event()

            async def read() -> None:
                async with agent:
                    async for event in agent:
                        if isinstance(event, ToolStarted):
                            begun.set()

            task = asyncio.create_task(read())
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
        assert texts(agent.loop)[0] == CANCELLED
        assert check_history(agent.loop.history) == []

    run("asyncio", test)


@both_loops
def test_executors_are_left_after_the_tools_ended(backend: str) -> None:
    order: list[str] = []

    class Watched(Source):
        async def __aexit__(self, *_: object) -> None:
            order.append("left")
            self.entered = False

    async def answer(_: ToolContext) -> ToolOutput:
        try:
            await anyio.sleep_forever()
        finally:
            order.append("cancelled")
        return ToolOutput("never")

    async def test() -> None:
        async with (
            serving(turn(function_call(1))) as (_, client),
            client.run(**ASKED, tools=[Watched(answer)]) as agent,
        ):
            await read_until(agent, ToolStarted)
        assert order == ["cancelled", "left"]

    run(backend, test)


@both_loops
def test_a_reader_that_stops_stops_the_run(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), turn(function_call(2)), said()) as (server, client):
            async with client.run(**ASKED, tools=[work]) as agent:
                await read_until(agent, TurnFinished)
                assert len(server.requests) == 1
                assert len([event async for event in agent]) > 10
            assert len(server.requests) == 3

    run(backend, test)
