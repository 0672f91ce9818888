"""The hook of a run around its effects: what it sees, what it may return, and replaying from a journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.support import both_loops, run
from tests.tool_runs import (
    ASKED,
    TOOLS,
    failing,
    finish,
    function_call,
    local,
    names,
    read_all,
    said,
    serving,
    texts,
    turn,
    waiting,
    work,
)

from responses_proto.codec import dump
from responses_proto.exceptions import LocalProtocolError, ResponsesProtoError, StreamTruncated, UsageError
from responses_proto.models.response import IncompleteDetails
from responses_proto.protocol import check_history
from responses_proto.testing import Answer, Fault
from responses_proto.tools import Effect, Perform, ToolFinished, ToolLoop

if TYPE_CHECKING:
    from responses_proto.tools import RunResult


class Journal:
    """A journal that keeps results as JSON text, as a durable engine does."""

    def __init__(self, *, crash_at: str = "") -> None:
        self.kept: dict[str, str] = {}
        self.seen: list[Effect] = []
        self.performed: list[str] = []
        self.crash_at = crash_at

    async def __call__(self, effect: Effect, perform: Perform) -> dict[str, Any]:
        self.seen.append(effect)
        if effect.key not in self.kept:
            self.performed.append(effect.key)
            result = await perform()
            if effect.key == self.crash_at:
                raise ConnectionError("the journal is down")
            self.kept[effect.key] = json.dumps(result)
        kept: dict[str, Any] = json.loads(self.kept[effect.key])
        return kept


SCRIPT = (turn(function_call(1), failing(2)), turn(function_call(3), number=2), said())
KEYS = ["request/1", "tool/1/call_1", "tool/1/call_2", "request/2", "tool/2/call_3", "request/3"]


async def run_with(journal: Any, *script: Any, **options: Any) -> tuple[RunResult, list[Any], int]:
    async with serving(*script) as (server, client):
        events, result = await finish(client.run(**ASKED, tools=TOOLS, on_effect=journal, **options))
        return result, events, len(server.requests)


@both_loops
@pytest.mark.parametrize("start", ["response_done", "item_done"])
def test_each_request_and_each_call_is_one_effect_with_a_stable_key_and_its_wire_input(
    backend: str, start: Any
) -> None:
    async def test() -> None:
        journal = Journal()
        result, events, _ = await run_with(journal, *SCRIPT, start=start)
        assert sorted(effect.key for effect in journal.seen) == sorted(KEYS)
        inputs = {effect.key: (effect.kind, effect.input) for effect in journal.seen}
        assert inputs["request/1"][0] == "request"
        assert inputs["request/1"][1]["input"] == "Go."
        assert "stream" not in inputs["request/1"][1]
        assert inputs["tool/1/call_2"] == ("tool", dump(failing(2)))
        assert json.loads(journal.kept["tool/1/call_2"]) == {
            "output": {
                "type": "function_call_output",
                "call_id": "call_2",
                "output": "The tool failed: ValueError: it broke",
            },
            "failed": True,
        }
        # Without the hook, the run does the same.
        async with serving(*SCRIPT) as (_, client):
            plain_events, plain = await finish(client.run(**ASKED, tools=TOOLS, start=start))
        assert plain.loop == result.loop
        assert sorted(names(plain_events)) == sorted(names(events))

    run(backend, test)


@both_loops
@pytest.mark.parametrize("crash_at", ["", *KEYS])
def test_a_run_that_is_started_again_replays_what_was_kept_and_performs_the_rest(backend: str, crash_at: str) -> None:
    async def test() -> None:
        expected, _, _ = await run_with(Journal(), *SCRIPT)
        journal = Journal(crash_at=crash_at)
        if crash_at:
            async with serving(*SCRIPT) as (_, client):
                agent = client.run(**ASKED, tools=TOOLS, on_effect=journal)
                with pytest.raises(ConnectionError, match="the journal is down"):
                    await finish(agent)
            assert check_history(agent.loop.history) == []
        else:
            await run_with(journal, *SCRIPT)
        journal.crash_at, kept = "", {*journal.kept}
        journal.performed.clear()
        rest = SCRIPT[sum(key.startswith("request") for key in kept) :]
        result, events, requests = await run_with(journal, *rest or (said(),))
        assert {*journal.performed} == {*KEYS} - kept
        assert requests == len([key for key in journal.performed if key.startswith("request")])
        assert texts(result.loop) == texts(expected.loop)
        assert dump(result.history) == dump(expected.history)
        assert [type(event) for event in local(events)].count(ToolFinished) == 3
        failed = {event.call.call_id: event.failed for event in events if isinstance(event, ToolFinished)}  # type: ignore[union-attr] # they are function calls
        assert failed == {"call_1": False, "call_2": True, "call_3": False}

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["request", "tool"])
@pytest.mark.parametrize("performs", [True, False])
def test_an_error_of_the_hook_ends_the_run_and_what_was_executed_is_kept(
    backend: str, kind: str, performs: bool
) -> None:
    async def broken(effect: Effect, perform: Perform) -> dict[str, Any]:
        if effect.kind != kind:
            return await perform()
        if performs:
            await perform()
        raise RuntimeError("no journal")

    async def test() -> None:
        async with serving(turn(function_call(1)), said()) as (_, client):
            agent = client.run(**ASKED, tools=TOOLS, on_effect=broken)
            with pytest.raises(RuntimeError, match="no journal"):
                await finish(agent)
        assert texts(agent.loop) == (["done 1"] if kind == "tool" and performs else [])
        # The response is kept, too, and its call is not executed.
        waits = (kind == "tool") != performs
        assert agent.loop.pending == ([function_call(1)] if waits else [])
        assert check_history(agent.loop.history) == []

    run(backend, test)


@both_loops
@pytest.mark.parametrize("result", [None, {}, {"output": 3, "failed": False}, "x", {"output": {"type": "message"}}])
@pytest.mark.parametrize("kind", ["request", "tool"])
def test_what_is_no_result_is_refused(backend: str, kind: str, result: Any) -> None:
    async def wrong(effect: Effect, perform: Perform) -> Any:
        return result if effect.kind == kind else await perform()

    async def test() -> None:
        with pytest.raises(ResponsesProtoError) as caught:
            await run_with(wrong, turn(function_call(1)), said())
        assert isinstance(caught.value, UsageError)

    run(backend, test)


@both_loops
def test_a_request_that_failed_can_be_performed_again(backend: str) -> None:
    errors: list[ResponsesProtoError] = []

    async def again(_: Effect, perform: Perform) -> dict[str, Any]:
        while True:
            try:
                return await perform()
            except ResponsesProtoError as error:
                errors.append(error)

    async def test() -> None:
        cut = Answer.text("Hello, world.").with_faults(Fault.no_terminal())
        result, _, requests = await run_with(again, cut, said())
        assert (result.output_text, requests) == ("All done.", 2)
        assert [type(error) for error in errors] == [StreamTruncated]

    run(backend, test)


@both_loops
@pytest.mark.parametrize("hook", [True, False])
def test_an_outcome_without_a_terminal_event_is_the_same_with_and_without_the_hook(backend: str, hook: bool) -> None:
    async def test() -> None:
        cut = Answer.text("Hello, world.").with_faults(Fault.no_terminal())
        async with serving(cut) as (_, client):
            agent = client.run(**ASKED, on_effect=Journal() if hook else None)
            with pytest.raises(StreamTruncated):
                await finish(agent)
        assert agent.loop.stopped == "truncated"
        assert agent.response is not None
        assert agent.response.output_text

    run(backend, test)


@both_loops
def test_a_response_that_did_not_complete_is_a_result(backend: str) -> None:
    async def test() -> None:
        limited = turn(status="incomplete", incomplete_details=IncompleteDetails(reason="max_output_tokens"))
        journal = Journal()
        for _ in range(2):
            result, _, _ = await run_with(journal, limited)
            assert result.stopped == "incomplete"
        assert journal.performed == ["request/1"]

    run(backend, test)


@both_loops
def test_a_request_whose_tools_were_started_is_not_repeated(backend: str) -> None:
    async def again(_: Effect, perform: Perform) -> dict[str, Any]:
        await perform()
        return await perform()

    async def test() -> None:
        with pytest.raises(LocalProtocolError, match="cannot be repeated"):
            await run_with(again, turn(function_call(1)), said(), start="item_done")

    run(backend, test)


@both_loops
def test_cancelling_a_run_in_its_hook_answers_what_was_executed(backend: str) -> None:
    async def test() -> None:
        started = anyio.Event()

        async def slow(effect: Effect, perform: Perform) -> dict[str, Any]:
            result = await perform()
            if effect.key == "tool/1/call_1":
                started.set()
                await anyio.sleep_forever()
            return result

        async with serving(turn(function_call(1), waiting(2)), said()) as (_, client):
            agent = client.run(**ASKED, tools=[*TOOLS, work][:3], on_effect=slow)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_all, agent)
                await started.wait()
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        assert texts(agent.loop) == ["done 1", "The call was cancelled. It may have done part of its work."]
        assert ToolLoop.load(json.loads(json.dumps(agent.loop.dump()))) == agent.loop

    run(backend, test)
