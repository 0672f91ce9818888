"""Many requests at once: every one has a result, and what was answered is not lost with the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.limited import limited
from tests.streams import plain
from tests.support import PATIENCE, both_loops, run

from responses_proto import CreateResponse, ResponsesClient, RetryPolicy
from responses_proto.client import BatchProgress, BatchResult, Gate
from responses_proto.exceptions import BadRequestError, LocalProtocolError, ResponsesProtoError, UsageError
from responses_proto.testing import Answer, FakeServer, Fault, Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

HELLO = Answer.events(plain(["Hello"]))
WRONG = Answer.json({"error": {"message": "No.", "type": "invalid_request_error", "code": None, "param": None}}, 400)
FAILED = Answer.events(plain(["Hel"], last="failed", error={"code": "server_error", "message": "Broken."}))


@both_loops
@pytest.mark.parametrize("ordered", [False, True])
def test_every_request_has_a_result(backend: str, *, ordered: bool) -> None:
    async def test() -> None:
        with limited(200, burst=20, hold=0.01) as server:
            async with ResponsesClient(server.url, "key") as client:
                results = [
                    result async for result in client.map([f"{n}" for n in range(60)], model="m", ordered=ordered)
                ]
        assert all(result.ok for result in results)
        assert {result.index: result.response.output_text for result in results} == {n: f"{n}" for n in range(60)}
        assert Counter(server.inputs) == Counter(f"{n}" for n in range(60))
        assert all(result.attempts >= 1 and result.seconds > 0 for result in results)
        assert sum(result.attempts for result in results) == 60 + server.refused
        if ordered:
            assert [result.index for result in results] == list(range(60))

    run(backend, test)


@both_loops
def test_a_request_that_fails_is_a_result_and_ends_nothing(backend: str) -> None:
    async def test() -> None:
        requests: list[Any] = [
            "fine",
            {"input": "wrong"},
            CreateResponse(input="failed"),
            "fine too",
            {"input": float("nan")},
            7,
        ]
        async with (
            FakeServer(Script(HELLO, WRONG, FAILED, HELLO)) as server,
            ResponsesClient(server.url, "key", retry=RetryPolicy(attempts=1)) as client,
        ):
            gate = Gate(1, max_width=1)
            results = [result async for result in client.map(requests, model="m", gate=gate, ordered=True)]
        assert [result.ok for result in results] == [True, False, False, True, False, False]
        assert isinstance(results[1].error, BadRequestError)
        assert results[1].outcome is None
        with pytest.raises(BadRequestError):
            _ = results[1].response
        assert results[2].error is None
        assert results[2].outcome is not None
        assert results[2].outcome.status == "failed"
        assert "Broken." in str(results[2].exception())
        assert results[0].exception() is None
        for result in results[4:]:
            assert isinstance(result.error, ResponsesProtoError)
            assert result.attempts == 0
        assert [result.request for result in results] == requests

    run(backend, test)


@both_loops
def test_a_field_that_no_request_has_is_refused_at_once(backend: str) -> None:
    async def test() -> None:
        async with ResponsesClient("http://127.0.0.1:9", "key") as client:
            with pytest.raises(TypeError, match="temprature"):
                client.map(["x"], model="m", temprature=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - misspelt on purpose

    run(backend, test)


@pytest.mark.parametrize(
    "one", ["Say hello.", b"Say hello.", {"model": "m", "input": "x"}, CreateResponse(model="m", input="x")]
)
def test_a_single_request_is_not_taken_for_many(one: Any) -> None:
    with pytest.raises(UsageError, match="got one: "):
        ResponsesClient("http://127.0.0.1:9", "key").map(one, model="m")


@both_loops
def test_a_background_request_has_no_result_here(backend: str) -> None:
    async def test() -> None:
        async with ResponsesClient("http://127.0.0.1:9", "key") as client:
            (result,) = [result async for result in client.map(["x"], model="m", background=True)]
        assert isinstance(result.error, UsageError)
        assert "background" in str(result.error)

    run(backend, test)


@both_loops
def test_requests_are_taken_as_there_is_room_for_them(backend: str) -> None:
    async def test() -> None:
        taken = 0

        async def endless() -> AsyncIterator[str]:
            nonlocal taken
            while True:
                taken += 1
                yield f"{taken}"

        with limited(1e6, burst=10_000) as server:
            async with (
                ResponsesClient(server.url, "key") as client,
                client.map(endless(), model="m", gate=Gate(2, max_width=4)) as batch,
            ):
                seen = 0
                async for _ in batch:
                    seen += 1
                    assert taken <= seen + 2 * 4 + 1
                    if seen == 30:
                        break
        assert seen == 30

    run(backend, test)


@both_loops
def test_leaving_the_block_cancels_the_open_requests(backend: str) -> None:
    async def test() -> None:
        stalled = HELLO.with_faults(Fault.stall(after=0))
        gate = Gate()
        async with FakeServer(Script(HELLO, *[stalled] * 7)) as server, ResponsesClient(server.url, "key") as client:
            async with client.map([f"{n}" for n in range(8)], model="m", gate=gate) as batch:
                async for result in batch:
                    assert result.ok
                    break
            assert gate.open == 0
            with pytest.raises(StopAsyncIteration):
                await anext(batch)
            with pytest.raises(LocalProtocolError, match="once"):
                await batch.__aenter__()

    run(backend, test)


@both_loops
def test_a_reader_that_is_cancelled_leaves_nothing_open(backend: str) -> None:
    async def test() -> None:
        gate = Gate()
        async with (
            FakeServer(Script(HELLO.with_faults(Fault.stall(after=0)))) as server,
            ResponsesClient(server.url, "key") as client,
        ):
            with anyio.move_on_after(0.3) as scope:
                async for _ in client.map(["x"], model="m", gate=gate):
                    pass
            assert scope.cancelled_caught
            assert gate.open == 0

    run(backend, test)


@both_loops
def test_errors_of_the_caller_are_raised_as_they_are(backend: str) -> None:
    async def test() -> None:
        def requests() -> Iterator[str]:
            yield "x"
            raise KeyError("mine")

        def progress(_: BatchProgress) -> None:
            raise ZeroDivisionError

        async def asynchronous(_: BatchProgress) -> None: ...

        with limited(1e6, burst=100) as server:
            async with ResponsesClient(server.url, "key") as client:
                with pytest.raises(KeyError, match="mine"):
                    _ = [result async for result in client.map(requests(), model="m")]
                with pytest.raises(ZeroDivisionError):
                    _ = [result async for result in client.map(["x"], model="m", on_progress=progress)]
                with pytest.raises(UsageError, match="must be plain functions"):
                    _ = [result async for result in client.map(["x"], model="m", on_progress=asynchronous)]

    run(backend, test)


@both_loops
def test_only_one_task_reads(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Script(HELLO.with_faults(Fault.stall(after=0)))) as server,
            ResponsesClient(server.url, "key") as client,
            client.map(["x"], model="m") as batch,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(anext, batch)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(LocalProtocolError, match="another task"):
                await anext(batch)
            tasks.cancel_scope.cancel()

    run(backend, test)


@both_loops
def test_progress_is_told_after_each_request(backend: str) -> None:
    async def test() -> None:
        told: list[BatchProgress] = []
        async with (
            FakeServer(Script(HELLO, WRONG, HELLO)) as server,
            ResponsesClient(server.url, "key") as client,
        ):
            gate = Gate(1, max_width=1)
            async for _ in client.map(["a", "b", "c"], model="m", gate=gate, on_progress=told.append):
                pass
            async for _ in client.map(iter(["d"]), model="m", gate=gate, on_progress=told.append):
                pass
        assert [(each.done, each.failed, each.total) for each in told] == [
            (1, 0, 3),
            (2, 1, 3),
            (3, 1, 3),
            (1, 0, None),
        ]
        assert told[0].gate is gate

    run(backend, test)


# ---- the journal


async def _map(url: str, prompts: list[str], journal: Path, **options: Any) -> list[BatchResult]:
    async with ResponsesClient(url, "key", retry=RetryPolicy(attempts=1)) as client:
        return [result async for result in client.map(prompts, model="m", journal=journal, **options)]


@both_loops
def test_answers_of_the_journal_are_not_asked_for_again(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        journal = tmp_path / "answers.jsonl"
        with limited(1e6, burst=1000) as server:
            await _map(server.url, ["a", "b", "b"], journal)
            # In another order, and with more of the same.
            results = await _map(server.url, ["b", "c", "a", "b", "b"], journal, ordered=True)
        assert Counter(server.inputs) == Counter(["a", "b", "b", "c", "b"])
        assert [result.response.output_text for result in results] == ["b", "c", "a", "b", "b"]
        assert [result.from_journal for result in results] == [True, False, True, True, False]
        entries = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
        assert sorted(entry["output_text"] for entry in entries[:3]) == ["a", "b", "b"]  # in the order of their ends
        assert {entry["status"] for entry in entries} == {"completed"}

    run(backend, test)


@both_loops
@pytest.mark.parametrize("first", [WRONG, FAILED], ids=["error", "failed"])
def test_what_failed_is_tried_again_with_the_same_idempotency_key(backend: str, tmp_path: Path, first: Answer) -> None:
    async def test() -> None:
        journal = tmp_path / "answers.jsonl"
        async with FakeServer(Script(first, HELLO)) as server:
            (result,) = await _map(server.url, ["a"], journal)
            assert not result.ok
            (result,) = await _map(server.url, ["a"], journal)
            assert result.ok
            assert not result.from_journal
            (result,) = await _map(server.url, ["a"], journal)
            assert result.from_journal
            keys = {request.headers["idempotency-key"] for request in server.requests}
            assert len(server.requests) == 2
            assert len(keys) == 1

    run(backend, test)


_WORKER = """
import sys, anyio
from responses_proto.client import ResponsesClient

async def main():
    async with ResponsesClient(sys.argv[1], "key") as client:
        async for result in client.map([f"prompt {n}" for n in range(120)], model="m", journal=sys.argv[2]):
            assert result.ok, result.exception()

anyio.run(main, backend=sys.argv[3])
"""


@both_loops
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_was_killed_goes_on_where_it_was(backend: str, tmp_path: Path) -> None:
    journal = tmp_path / "answers.jsonl"
    with limited(150, burst=10, hold=0.01) as server:
        command = [sys.executable, "-c", _WORKER, server.url, str(journal), backend]
        for stop in (30, 70):
            with subprocess.Popen(command) as worker:  # noqa: S603 - the command is this test's own
                until = time.monotonic() + PATIENCE
                while worker.poll() is None and time.monotonic() < until:
                    if journal.exists() and journal.read_bytes().count(b"\n") > stop:
                        break
                    time.sleep(0.005)
                os.kill(worker.pid, signal.SIGKILL)
        subprocess.run(command, check=True, timeout=PATIENCE)  # noqa: S603 - as above
        entries = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert sorted(entry["output_text"] for entry in entries) == sorted(f"prompt {n}" for n in range(120))
    assert set(server.inputs) == {f"prompt {n}" for n in range(120)}
    # What was on its way when the process died is sent again, under the key by which a server knows it.
    assert len(set(server.idempotency_keys)) == 120
