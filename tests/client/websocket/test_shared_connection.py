"""One connection for many streams: who is waited for, who is not, and what is held back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.sockets import TEXT, eventually, messages, opened, say, send, session_with
from tests.streams import done, ending, message, numbered, opening, plain, text_delta
from tests.support import PATIENCE, both_loops, run

from responses_proto import Limits
from responses_proto.exceptions import APIError, LimitExceeded, LocalProtocolError
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from tests.streams import Wire

LONG = "x" * 100_000


def long(deltas: int) -> list[Wire]:
    """Return a response with a number of deltas of 100 kB each, and a small last event."""
    middle = [text_delta(LONG) for _ in range(deltas)]
    return numbered([*opening(), *opened("")[2:4], *middle, done(0, message("the end")), ending([message("the end")])])


@both_loops
def test_an_unread_stream_does_not_hold_up_others_and_loses_nothing(backend: str) -> None:
    async def test() -> None:
        asked = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            if peer.request.json["stream_id"] == "waiting":
                await asked.wait()
            await send(peer, long(30))

        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x", stream_id="first") as first:
                async with session.stream(model="m", input="x", stream_id="second") as second:
                    asked.set()
                    assert (await second.result()).output_text == "the end"
                lengths = [len(text) async for text in first.text_deltas()]
                assert lengths == [100_000] * 30
                assert [anomaly.code for anomaly in first.anomalies] == [
                    "delta-mismatch"
                ]  # it was shortened at its end
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_little_is_read_ahead_while_nobody_reads(backend: str) -> None:
    async def test() -> None:
        sent = 0

        async def script(peer: ServerExchange) -> None:
            nonlocal sent
            for event in long(300):
                await send(peer, [event])
                sent += 1

        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                before = -1
                while before != sent:  # until it stands still
                    before = sent
                    await anyio.sleep(0.1)
                assert sent < 250  # of 30 MB; buffers of the system take some
                assert len([text async for text in stream.text_deltas()]) == 300
            await eventually(lambda: sent == len(long(300)))

    run(backend, test)


@both_loops
def test_an_unread_stream_exceeds_a_limit_of_its_own(backend: str) -> None:
    async def test() -> None:
        full = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            if peer.request.json["stream_id"] == "slow" and len(messages(server)) < 3:
                await send(peer, long(30))
                full.set()
            else:
                await full.wait()
                await send(peer, plain())

        limits = Limits(max_buffered_bytes=1_000_000)
        async with FakeServer(script) as server, session_with(server, limits=limits) as session:
            async with session.stream(model="m", input="x", stream_id="slow") as slow:
                assert await say(session, stream_id="fast") == TEXT
                with pytest.raises(LimitExceeded) as caught:
                    await slow.result()
                assert caught.value.limit == "max_buffered_bytes"
                assert caught.value.response
                assert len(caught.value.response.output_text) >= 800_000  # what came until then
            assert await say(session, stream_id="slow") == TEXT
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_many_lanes_share_a_connection(backend: str) -> None:
    async def test() -> None:
        texts: dict[str, str] = {}

        async def script(peer: ServerExchange) -> Answer:
            await anyio.lowlevel.checkpoint()
            return Answer.text(f"This is {peer.request.json['stream_id']}.")

        async with FakeServer(script) as server, session_with(server) as session:

            async def ask(name: str) -> None:
                for _ in range(3):
                    texts[name] = await say(session, stream_id=name)

            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(ask, f"lane-{number}")
            assert texts == {f"lane-{number}": f"This is lane-{number}." for number in range(100)}
            assert (server.connections, len(messages(server))) == (1, 300)

    run(backend, test)


@both_loops
def test_an_error_on_one_lane_does_not_affect_others(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            if peer.request.json["stream_id"] == "bad":
                await send(peer, [*opened(), {"type": "error", "code": "server_error", "message": "No."}])
                await anyio.sleep(1.2)  # by when nobody waits for more
                await send(peer, [ending([], "failed")])
                failed.set()
            else:
                await send(peer, plain()[:4])
                await failed.wait()
                await send(peer, plain()[4:])

        failed = anyio.Event()
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x", stream_id="good") as good:
                with pytest.raises(APIError, match=r"No\."):
                    await say(session, stream_id="bad")
                assert (await good.result()).output_text == TEXT
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_a_lane_is_free_when_its_response_has_ended_not_when_it_was_read(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(plain())) as server, session_with(server) as session:
            first = session.stream(model="m", input="x")
            async with first:
                with anyio.fail_after(PATIENCE):
                    while True:  # until all of it has arrived
                        with contextlib.suppress(LocalProtocolError):
                            assert await say(session) == TEXT
                            break
                        await anyio.sleep(0.01)
                assert (await first.result()).output_text == TEXT

    run(backend, test)


@both_loops
def test_a_busy_lane_that_is_refused_does_not_affect_others(backend: str) -> None:
    async def test() -> None:
        rest = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            await send(peer, plain()[:4])
            await rest.wait()
            await send(peer, plain()[4:])

        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                for _ in range(3):
                    with pytest.raises(LocalProtocolError):
                        await say(session)
                rest.set()
                assert (await stream.result()).output_text == TEXT
            assert len(messages(server)) == 1

    run(backend, test)
