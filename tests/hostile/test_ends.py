"""Streams that end where they should not: at every event, and cancelled at every point."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.hostile.checkpoints import cancel_at_each_checkpoint
from tests.hostile.engines import ALL, connect, everywhere, run_on

from responses_proto.exceptions import StreamInterrupted, StreamTruncated, TransportError
from responses_proto.testing import Answer, FakeServer, Fault, Peer, Script

if TYPE_CHECKING:
    from responses_proto import EventStream

TEXT = "One two three."
KINDS = [event["type"] for event in Answer.text(TEXT).draft().events or []]


@everywhere
def test_a_stream_that_ends_after_any_event_has_what_came_until_then(engine: str) -> None:
    async def test() -> None:
        ends = [Answer.text(TEXT).with_faults(Fault.eof(after=number)) for number in range(len(KINDS) - 1)]
        async with FakeServer(Script(*ends)) as server, connect(engine, server) as client:
            for number in range(len(ends)):
                async with client.stream(model="m", input="x") as stream:
                    assert [event.type async for event in stream] == KINDS[: number + 1]
                    with pytest.raises(StreamTruncated) as caught:
                        await stream.result()
                deltas = KINDS[: number + 1].count("response.output_text.delta")
                assert caught.value.response is not None
                assert caught.value.response.output_text == "".join(["One", " two", " three."][:deltas])
                assert caught.value.cursor is not None
                assert caught.value.cursor.sequence_number == number

    run_on(engine, test)


async def collect(stream: EventStream, seen: list[str]) -> None:
    async for event in stream:
        seen.append(event.type)  # noqa: PERF401 - what came before an error is of interest too


@everywhere
def test_a_stream_that_breaks_after_any_event_has_what_came_until_then(engine: str) -> None:
    async def test() -> None:
        ends = [Answer.text(TEXT).with_faults(Fault.reset(after=number)) for number in range(len(KINDS) - 1)]
        async with FakeServer(Script(*ends)) as server, connect(engine, server) as client:
            for number in range(len(ends)):
                seen: list[str] = []
                async with client.stream(model="m", input="x") as stream:
                    with pytest.raises(TransportError) as caught:
                        await collect(stream, seen)
                assert seen == KINDS[: number + 1]
                assert isinstance(caught.value, StreamInterrupted) == ("response.output_item.added" in seen)
                assert caught.value.replay == "unsafe"
            assert len(server.requests) == len(ends)

    run_on(engine, test)


@everywhere
def test_a_body_cut_at_any_byte_is_the_same_stream(engine: str) -> None:
    size = sum(len(step) for step in Answer.text(TEXT).draft().steps if isinstance(step, bytes))

    async def test() -> None:
        cuts = range(1, size, 97)
        answers = [Answer.text(TEXT).with_faults(Fault.split_at(cut)) for cut in cuts]
        async with FakeServer(Script(*answers)) as server, connect(engine, server) as client:
            for _ in cuts:
                async with client.stream(model="m", input="x") as stream:
                    assert [event.type async for event in stream] == KINDS
                    assert stream.anomalies == []

    run_on(engine, test)


@pytest.mark.parametrize("engine", [engine for engine in ALL if not engine.endswith("httpx2")])
def test_cancelling_at_every_checkpoint_leaves_no_task_no_socket_and_no_warning(engine: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            for step in Answer.text("One.").draft().steps:
                assert isinstance(step, bytes)
                await peer.send(step)
                await anyio.sleep(0.001)  # so that the client has to wait for each
            await peer.until_closed()

        async with FakeServer(script) as server, connect(engine, server) as warm:
            async with warm.stream(model="m", input="x") as stream:  # what is made once is made here
                await stream.result()

            async def use() -> None:
                async with connect(engine, server) as client, client.stream(model="m", input="x") as stream:
                    await stream.result()

            async def after() -> None:
                await until_idle(server)
                if engine.startswith("asyncio"):
                    assert len(asyncio.all_tasks()) <= tasks

            await until_idle(server)
            # The server's end of a connection that was just closed may be about to see it.
            tasks = len(asyncio.all_tasks()) + 1 if engine.startswith("asyncio") else 0
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                points = await cancel_at_each_checkpoint(use, after)
                gc.collect()
            assert points >= 10

    run_on(engine, test)


async def until_idle(server: FakeServer) -> None:
    with anyio.fail_after(1):
        while server.active:  # noqa: ASYNC110 - what other tasks still do, not an event
            await anyio.sleep(0.001)
