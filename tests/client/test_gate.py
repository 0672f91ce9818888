"""A gate holds calls back, lets them pass in order, and learns from how each attempt ends."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import anyio
import pytest
from tests.limited import limited
from tests.streams import numbered, plain
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client import Gate, Hooks, RetryNotice
from responses_proto.exceptions import (
    APIError,
    BadRequestError,
    DeadlineExceeded,
    RateLimitError,
    TransportError,
    UsageError,
)
from responses_proto.testing import Answer, FakeServer, Fault, Script

HELLO = Answer.events(plain(["Hello"]))
ERROR: dict[str, Any] = {"error": {"message": "No.", "type": "invalid_request_error", "code": None, "param": None}}
IN_STREAM = numbered([{"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None}])


@pytest.mark.parametrize(("width", "max_width"), [(0, 8), (-1, 8), (9, 8)])
def test_a_width_that_cannot_be_is_refused(width: int, max_width: int) -> None:
    with pytest.raises(UsageError, match="1 <= width <= max_width"):
        Gate(width, max_width=max_width)


@both_loops
def test_no_more_requests_are_open_than_the_width(backend: str) -> None:
    async def test() -> None:
        with limited(1e6, burst=1000, hold=0.02) as server:
            gate = Gate(3, max_width=3)
            async with (
                ResponsesClient(server.url, "key", gate=gate) as one,
                ResponsesClient(server.url, "key", gate=gate) as other,
                anyio.create_task_group() as tasks,
            ):
                for number in range(10):
                    for client in (one, other):
                        tasks.start_soon(lambda c, n: c.create(model="m", input=f"{n}"), client, number)
            assert len(server.inputs) == 20
            assert 1 <= server.most_open <= 3
            assert gate.open == 0

    run(backend, test)


@both_loops
@pytest.mark.parametrize("refusal", [429, 503, 529, "in the stream"])
def test_a_refusal_of_one_call_holds_all_of_them_back(backend: str, refusal: int | str) -> None:
    async def test() -> None:
        asked = {"retry-after-ms": "300"}
        refused = (
            Answer.events(IN_STREAM) if isinstance(refusal, str) else Answer.error(refusal, "Slow down.", headers=asked)
        )
        notices: list[RetryNotice] = []
        gate = Gate()
        async with (
            FakeServer(Script(refused, HELLO, HELLO)) as server,
            ResponsesClient(server.url, "key", gate=gate, hooks=Hooks(on_retry=notices.append)) as client,
        ):
            width = gate.width
            async with client.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == "Hello"
            assert len(notices) == 1
            assert notices[0].delay > 0.2
            assert gate.width < width
            assert gate.rate is not None
            assert (await client.create(model="m", input="x")).output_text == "Hello"
            assert len(server.requests) == 3

    run(backend, test)


@both_loops
@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_a_quota_that_waiting_does_not_renew_holds_nobody_back(backend: str, code: str) -> None:
    async def test() -> None:
        gate = Gate()
        async with (
            FakeServer(Script(Answer.json({"error": {**ERROR["error"], "code": code}}, 429))) as server,
            ResponsesClient(server.url, "key", gate=gate) as client,
        ):
            with pytest.raises(RateLimitError):
                await client.create(model="m", input="x")
            assert gate.closed_for == 0
            assert gate.rate is None

    run(backend, test)


@both_loops
def test_a_wrong_request_is_no_refusal(backend: str) -> None:
    async def test() -> None:
        gate = Gate()
        async with (
            FakeServer(Script(Answer.json(ERROR, 400))) as server,
            ResponsesClient(server.url, "key", gate=gate) as client,
        ):
            with pytest.raises(BadRequestError):
                await client.create(model="m", input="x")
            assert (gate.open, gate.rate, gate.closed_for) == (0, None, 0)

    run(backend, test)


@both_loops
def test_a_quota_that_is_used_up_by_an_answer_closes_the_gate_until_it_is_renewed(backend: str) -> None:
    async def test() -> None:
        headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}
        gate = Gate()
        async with (
            FakeServer(Script(Answer.json(plain(["Hello"])[-1]["response"], headers=headers))) as server,
            ResponsesClient(server.url, "key", gate=gate) as client,
        ):
            await client.create(model="m", input="x")
            assert 20 < gate.closed_for <= 30

    run(backend, test)


@both_loops
def test_no_reply_holds_everybody_back_for_more_than_a_minute(backend: str) -> None:
    async def test() -> None:
        gate = Gate()
        async with (
            FakeServer(Script(Answer.error(429, "Slow down.", headers={"retry-after": "86400"}))) as server,
            ResponsesClient(server.url, "key", gate=gate) as client,
        ):
            with pytest.raises(RateLimitError):
                await client.create(model="m", input="x")
            assert 50 < gate.closed_for <= 66

    run(backend, test)


@both_loops
@pytest.mark.parametrize("stall", [True, False], ids=["cancelled", "broken"])
def test_a_call_that_is_cancelled_or_breaks_gives_its_place_back(backend: str, *, stall: bool) -> None:
    async def test() -> None:
        fault = Fault.stall(after=1) if stall else Fault.reset(after=1)
        gate = Gate(1, max_width=1)
        async with (
            FakeServer(Script(HELLO.with_faults(fault), HELLO)) as server,
            ResponsesClient(server.url, "key", gate=gate, retry=RetryPolicy(attempts=1)) as client,
        ):
            with anyio.move_on_after(0.5), contextlib.suppress(TransportError):
                async with client.stream(model="m", input="x") as stream:
                    async for _ in stream:
                        pass
            assert gate.open == 0
            assert (await client.create(model="m", input="x")).output_text == "Hello"

    run(backend, test)


@both_loops
def test_a_call_that_is_cancelled_while_it_waits_lets_the_next_one_pass(backend: str) -> None:
    async def test() -> None:
        gate = Gate(1, max_width=1)
        place = await gate.enter()
        order: list[str] = []

        async def enter(name: str, scope: anyio.CancelScope) -> None:
            with scope:
                other = await gate.enter()
                order.append(name)
                other.leave()

        async with anyio.create_task_group() as tasks:
            scopes = {name: anyio.CancelScope() for name in "abc"}
            for name, scope in scopes.items():
                tasks.start_soon(enter, name, scope)
                await anyio.wait_all_tasks_blocked()
            scopes["a"].cancel()
            await anyio.wait_all_tasks_blocked()
            assert order == []
            place.leave()
        assert order == ["b", "c"]
        assert gate.open == 0

    run(backend, test)


@both_loops
def test_a_refused_call_goes_ahead_of_those_that_wait(backend: str) -> None:
    async def test() -> None:
        gate = Gate(1, max_width=1)
        place = await gate.enter()
        order: list[str] = []

        async def enter(name: str, *, again: bool) -> None:
            other = await gate.enter(again=again)
            order.append(name)
            other.leave()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: enter("new", again=False))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(lambda: enter("refused", again=True))
            await anyio.wait_all_tasks_blocked()
            place.leave()
        assert order == ["refused", "new"]

    run(backend, test)


@both_loops
def test_the_total_time_begins_when_the_call_passes_the_gate(backend: str) -> None:
    async def test() -> None:
        ends: list[float] = []
        gate = Gate(1, max_width=1)
        hooks = Hooks(on_outcome=lambda finished: ends.append(finished.elapsed))
        async with (
            FakeServer(Script(HELLO)) as server,
            ResponsesClient(server.url, "key", gate=gate, hooks=hooks) as client,
        ):
            started = time.monotonic()
            place = await gate.enter()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.create(model="m", input="x"))
                await anyio.sleep(0.3)
                place.leave()
            assert time.monotonic() - started >= 0.3
            assert ends[0] <= time.monotonic() - started - 0.3

    run(backend, test)


@both_loops
def test_a_refused_call_waits_in_the_gate_no_longer_than_its_total_time(backend: str) -> None:
    async def test() -> None:
        gate = Gate()
        other = await gate.enter()

        def refuse(_: object) -> Answer:
            other.leave(RateLimitError("Not now.", status=429, retry_after=50.0))
            return Answer.error(429, headers={"retry-after-ms": "1"})

        async with FakeServer(refuse) as server, ResponsesClient(server.url, "key", gate=gate) as client:
            with pytest.raises(DeadlineExceeded) as caught:
                await client.create(model="m", input="x", timeouts=Timeouts(total=0.5))
            assert (caught.value.kind, caught.value.retry_safety) == ("total", "safe")
            assert caught.value.elapsed < 50
            assert len(server.requests) == 1
            assert gate.open == 0

    run(backend, test)


@both_loops
def test_when_the_attempts_are_used_up_the_refusal_is_raised(backend: str) -> None:
    async def test() -> None:
        busy = Answer.error(503, "Busy.", headers={"retry-after-ms": "1"})
        gate = Gate()
        async with (
            FakeServer(Script(busy, busy, busy)) as server,
            ResponsesClient(server.url, "key", gate=gate) as client,
        ):
            with pytest.raises(APIError, match="Busy"):
                await client.create(model="m", input="x")
            assert len(server.requests) == 3
            assert gate.open == 0

    run(backend, test)


@both_loops
def test_an_abandoned_response_is_cancelled_although_its_stream_had_the_only_place(backend: str) -> None:
    async def test() -> None:
        gate = Gate(1, max_width=1)
        cancelled = Answer.json({**plain(["Hel"])[0]["response"], "status": "cancelled"})
        async with (
            FakeServer(Script(HELLO.with_faults(Fault.stall(after=3)), cancelled)) as server,
            ResponsesClient(server.url, "key", gate=gate) as client,
        ):
            async with client.stream(model="m", input="x", background=True, on_abandon="cancel_response") as stream:
                async for _ in stream:
                    break
            assert [request.target.rpartition("/")[2] for request in server.requests] == ["responses", "cancel"]
            assert gate.open == 0

    run(backend, test)
