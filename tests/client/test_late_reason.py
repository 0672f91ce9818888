"""A response that fails without a reason, and the ``error`` event with the reason that follows it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.sockets import session_with
from tests.streams import ending, message_events, numbered, opening, plain, wire
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.exceptions import BadRequestError, ResponseFailedError
from responses_proto.models.events import ErrorEvent, ResponseFailed
from responses_proto.testing import Answer, FakeServer, Pause, Script, ServerExchange, Stall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.streams import Wire

    from responses_proto.testing import Step

SAID = message_events(deltas=["Hel"])[:3]
FAILED = numbered([*opening(), *SAID, ending([], "failed")])
AT_ONCE = numbered([*opening(), ending([], "failed")])
HELLO = wire(plain(["Hel", "lo"]))


def reason(number: int, code: str = "content_filter") -> Wire:
    error = {"type": "invalid_request_error", "code": code, "message": "The text was filtered."}
    return {"type": "error", "sequence_number": number, "error": error}


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    options.setdefault("retry", RetryPolicy(attempts=1))
    return ResponsesClient(server.url, **options)


def in_time(test: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Return a test with a pause that is repeated if it fails: the client waits 0.1 s, and a busy machine may pause for longer."""

    async def repeated() -> None:
        for _ in range(4):
            with suppress(AssertionError, ResponseFailedError):
                await test()
                return
        await test()

    return repeated


STEPS: dict[str, Sequence[Step]] = {
    "in one piece": [wire([*FAILED, reason(len(FAILED))])],
    "at once": [wire(FAILED), wire([reason(len(FAILED))])],
    "30 ms later": [wire(FAILED), Pause(0.03), wire([reason(len(FAILED))])],
    "after a comment": [wire(FAILED), b": wait\n\n", Pause(0.03), wire([reason(len(FAILED))])],
    "on a connection that stays open": [wire(FAILED), Pause(0.03), wire([reason(len(FAILED))]), Stall()],
}


@both_loops
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_the_reason_belongs_to_the_outcome(backend: str, steps: Sequence[Step]) -> None:
    async def test() -> None:
        async with FakeServer(Answer.stream(*steps)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                with pytest.raises(ResponseFailedError, match="filtered") as caught:
                    await stream.result()
            assert isinstance(caught.value.__cause__, BadRequestError)
            async with c.stream(model="m", input="x") as stream:
                events = [event async for event in stream]
            assert isinstance(events[-2], ResponseFailed)
            assert isinstance(events[-1], ErrorEvent)
            assert stream.outcome
            assert stream.outcome.error
            assert (stream.outcome.status, stream.outcome.error.code) == ("failed", "content_filter")
            async with c.stream(model="m", input="x") as stream:
                async for event in stream:
                    if isinstance(event, ResponseFailed):
                        break
            assert stream.outcome
            assert stream.outcome.error
            response = await c.create(model="m", input="x")
            assert response.status == "failed"
            assert response.error
            assert (response.error.code, response.error.message) == ("content_filter", "The text was filtered.")

    run(backend, in_time(test) if any(isinstance(step, Pause) for step in steps) else test)


@both_loops
@pytest.mark.parametrize("rest", [[], [Stall()], [b"x" * 70_000, wire([reason(len(FAILED))])]])
def test_the_reason_is_not_waited_for_beyond_the_bounds(backend: str, rest: list[Step]) -> None:
    async def test() -> None:
        async with FakeServer(Answer.stream(wire(FAILED), *rest)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                with pytest.raises(ResponseFailedError):
                    await stream.result()
            assert stream.outcome
            assert (stream.outcome.status, stream.response.output_text) == ("failed", "Hel")

    run(backend, test)


@both_loops
@pytest.mark.parametrize("pause", [None, 0.03])
def test_the_reason_decides_whether_the_request_is_sent_again(backend: str, pause: float | None) -> None:
    async def test() -> None:
        between = [Pause(pause)] if pause else []
        for code, is_repeated in (("rate_limit_exceeded", True), ("content_filter", False)):
            late = wire([reason(len(AT_ONCE), code)])
            steps: list[Step] = [wire(AT_ONCE), *between, late] if pause else [wire(AT_ONCE) + late]
            script = Script(Answer.stream(*steps), Answer.stream(HELLO))
            policy = RetryPolicy(attempts=2, initial_delay=0)
            async with (
                FakeServer(script) as server,
                client(server, retry=policy) as c,
                c.stream(model="m", input="x") as stream,
            ):
                if is_repeated:
                    assert (await stream.result()).output_text == "Hello"
                else:
                    with pytest.raises(ResponseFailedError, match="filtered"):
                        await stream.result()
                    assert len(server.requests) == 1

    run(backend, in_time(test) if pause else test)


@both_loops
def test_a_failure_without_output_and_reason_is_told_in_the_end(backend: str) -> None:
    async def test() -> None:
        for rest in ([], [Stall()]):
            async with FakeServer(Answer.stream(wire(AT_ONCE), *rest)) as server, client(server) as c:
                async with c.stream(model="m", input="x") as stream:
                    assert [event.type async for event in stream] == [event["type"] for event in AT_ONCE]
                async with c.stream(model="m", input="x") as stream:
                    with pytest.raises(ResponseFailedError):
                        await stream.result()

    run(backend, test)


@both_loops
@pytest.mark.parametrize("late", [reason(len(FAILED)), {**reason(len(FAILED)), "status": 400}])
def test_over_websocket_the_reason_belongs_to_the_turn_that_failed(backend: str, late: Wire) -> None:
    async def script(peer: ServerExchange) -> Answer | None:
        if peer.request.json["input"] == "fail":
            return Answer.stream(wire(FAILED), Pause(0.03), wire([late]))
        return Answer.events(plain(["Hel", "lo"]))

    async def test() -> None:
        async with FakeServer(script) as server, session_with(server) as session:
            for _ in range(2):
                async with session.stream(model="m", input="fail") as stream:
                    with pytest.raises(ResponseFailedError, match="filtered"):
                        await stream.result()
                async with session.stream(model="m", input="x") as stream:
                    assert (await stream.result()).output_text == "Hello"
                    assert stream.anomalies == []

    run(backend, in_time(test))


@both_loops
def test_over_websocket_a_late_message_does_not_reach_the_next_turn(backend: str) -> None:
    beside: list[Wire] = [
        {"type": "response.rate_limits.updated", "sequence_number": 99, "rate_limits": []},
        {"type": "response.done", "response": {"id": "resp_1"}},
        {"type": "keepalive", "sequence_number": 42},
        reason(len(FAILED)),
    ]

    async def script(peer: ServerExchange) -> None:
        name = peer.request.json["input"]
        if name == "two":
            for late in beside:
                await peer.message(late)
        failed = name == "one"
        for event in FAILED if failed else plain(["Hel", "lo"], id="resp_2"):
            await peer.message(event)

    async def test() -> None:
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="one") as stream:
                with pytest.raises(ResponseFailedError, match="no reason"):
                    await stream.result()
            async with session.stream(model="m", input="two") as stream:
                events = [event async for event in stream]
                assert (await stream.result()).output_text == "Hello"
            assert [event.type for event in events] == [event["type"] for event in plain(["Hel", "lo"])]
            assert stream.anomalies == []

    run(backend, test)


@both_loops
def test_over_websocket_an_answer_in_doubt_is_not_lost(backend: str) -> None:
    async def script(peer: ServerExchange) -> Answer | None:
        if peer.request.json["input"] == "refused":
            await peer.message({"type": "error", "code": "server_error", "message": "Not now."})
            return None
        return Answer.events(plain(["Hel", "lo"]))

    async def test() -> None:
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                await stream.result()
            async with session.stream(model="m", input="refused") as stream:
                events = [event async for event in stream]
            assert [type(event) for event in events] == [ErrorEvent]
            assert stream.outcome
            assert stream.outcome.status == "error"

    run(backend, test)
