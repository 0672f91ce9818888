"""Servers that are slow, silent or never stop, and slow clients."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.hostile.engines import connect, everywhere, over_sockets, run_on
from tests.support import PATIENCE, no_gc

from responses_proto import Cursor, EventStream, ResponsesClient, Timeouts
from responses_proto.exceptions import APIError, DeadlineExceeded
from responses_proto.models.events import OutputTextDelta
from responses_proto.testing import Answer, FakeServer, Fault, Pause, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEXT = "One two three four five."
STARTED = "response.output_text.delta"


def steps() -> list[bytes]:
    return [step for step in Answer.text(TEXT).to_wire().steps if isinstance(step, bytes)]


async def comments_for_ever(peer: ServerExchange, *before: bytes) -> None:
    await peer.start()
    for step in before:
        await peer.send(step)
    while True:
        await peer.send(b": wait\n\n")
        await anyio.sleep(0.02)


async def only_comments(peer: ServerExchange) -> None:
    await comments_for_ever(peer)


async def comments_in_the_middle(peer: ServerExchange) -> None:
    await comments_for_ever(peer, *steps()[:5])


SILENT: dict[str, Any] = {
    "first_byte": Answer.text(TEXT).with_faults(Fault.slow_head(600)),
    "first_event": only_comments,
    "between_bytes": Answer.text(TEXT).with_faults(Fault.stall(after=STARTED)),
    "between_events": comments_in_the_middle,
    "total": comments_in_the_middle,
}


@everywhere
@pytest.mark.parametrize("kind", SILENT)
def test_each_deadline_has_its_kind_and_the_partial_response(engine: str, kind: str) -> None:
    """The bound grows until the machine is fast enough for the text that comes before the silence."""

    async def overrun(seconds: float) -> DeadlineExceeded:
        bounds: Any = {kind: seconds}
        async with FakeServer(SILENT[kind]) as server, connect(engine, server, timeouts=Timeouts(**bounds)) as client:
            with pytest.raises(DeadlineExceeded) as caught:
                async with client.stream(model="m", input="x") as stream:
                    await stream.result()
        assert (caught.value.kind, caught.value.limit) == (kind, seconds)
        assert caught.value.elapsed > 0.9 * seconds
        return caught.value

    async def test() -> None:
        seconds = 1.5
        error = await overrun(seconds)
        while kind not in ("first_byte", "first_event") and (error.response is None or not error.response.output_text):
            seconds *= 4
            error = await overrun(seconds)
        if kind not in ("first_byte", "first_event"):
            assert error.response is not None
            assert error.response.output_text == "One"
            assert error.cursor == Cursor("resp_1", 4)

    run_on(engine, test)


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of deflate (RFC 1951): it stands for nothing
GZIP = zlib.compressobj(wbits=31).flush()[:10]
TRICKLES: dict[str, tuple[bytes, bytes]] = {
    "the size of a chunk": (b"\r\n", b"0"),
    "the extension of a chunk": (b"\r\n5;", b"x"),
    "a trailer": (b"\r\n0\r\nx: ", b"a"),
    "the content of a chunk": (b"\r\nffff\r\n", b":"),
    "compressed nothing": (b"content-encoding: gzip\r\n\r\na\r\n" + GZIP + b"\r\n", b"5\r\n" + EMPTY_BLOCK + b"\r\n"),
}


@over_sockets
@pytest.mark.parametrize("bound", ["total", "first_event"])
@pytest.mark.parametrize("kind", TRICKLES)
def test_a_deadline_holds_whatever_the_bytes_that_trickle_belong_to(engine: str, kind: str, bound: str) -> None:
    start, more = TRICKLES[kind]

    async def script(peer: ServerExchange) -> None:
        await peer.raw(CHUNKED + start)
        while True:
            await anyio.sleep(0.02)
            await peer.raw(more)

    async def test() -> None:
        bounds: Any = {bound: 1.0}
        async with FakeServer(script) as server, connect(engine, server, timeouts=Timeouts(**bounds)) as client:
            with anyio.fail_after(PATIENCE), pytest.raises(DeadlineExceeded) as caught:
                async with client.stream(model="m", input="x") as stream:
                    await stream.result()
            assert caught.value.kind == bound

    run_on(engine, test)


@everywhere
@pytest.mark.parametrize("verb", ["create", "stream"])
def test_the_body_of_an_error_is_not_waited_for_longer_than_the_call_lasts(engine: str, verb: str) -> None:
    async def script(peer: ServerExchange) -> None:
        await peer.start(500, content_type="text/plain")
        while True:
            await peer.send(b"so ")
            await anyio.sleep(0.02)

    async def test() -> None:
        async with FakeServer(script) as server, connect(engine, server, timeouts=Timeouts(total=1)) as client:
            with anyio.fail_after(PATIENCE), pytest.raises(APIError, match="so so"):
                await (client.create(model="m", input="x") if verb == "create" else entered(client))

    async def entered(client: ResponsesClient) -> None:
        async with client.stream(model="m", input="x"):
            pass

    run_on(engine, test)


@everywhere
@pytest.mark.parametrize(
    "fault",
    [
        Fault.delayed(0.02),
        Fault.split_every(40) + Fault.delayed(0.002),
        Fault.split_every(1),
        Fault.compressed(),
        Fault.slow_head(0.1),
    ],
    ids=repr,
)
def test_a_slow_server_is_waited_for(engine: str, fault: Fault) -> None:
    async def test() -> None:
        bounds = Timeouts(first_byte=60, first_event=60, between_bytes=60, between_events=60)
        answer = Answer.text(TEXT).with_faults(fault)
        async with (
            FakeServer(answer) as server,
            connect(engine, server, timeouts=bounds) as client,
            client.stream(model="m", input="x") as stream,
        ):
            assert (await stream.result()).output_text == TEXT

    run_on(engine, test)


@everywhere
def test_a_slow_client_slows_the_server_down_and_buffers_little(engine: str) -> None:
    frame = steps()[4]

    async def test() -> None:
        peers: list[ServerExchange] = []

        async def script(peer: ServerExchange) -> None:
            peers.append(peer)
            for step in steps()[:5]:
                await peer.send(step)
            while True:
                await peer.send(frame * 300)

        async with (
            FakeServer(script) as server,
            connect(engine, server) as client,
            client.stream(model="m", input="x") as stream,
        ):
            await anext(stream)
            sent = -1
            while peers[0].sent != sent:  # until the buffers in between are full
                sent = peers[0].sent
                await anyio.sleep(0.2)
            tracemalloc.start()
            try:
                for _ in range(10):
                    await anext(stream)
                    await anyio.sleep(0.02)
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peers[0].sent - sent < 4 * 1024 * 1024
            assert held < 4 * 1024 * 1024

    run_on(engine, test)


@everywhere
def test_a_stream_ends_with_its_terminal_event_even_if_the_socket_stays_open(engine: str) -> None:
    async def test() -> None:
        answer = Answer.text(TEXT).with_faults(Fault.open_socket(), Fault.joined())
        async with FakeServer(answer) as server, connect(engine, server) as client:
            for _ in range(3):
                async with client.stream(model="m", input="x") as stream:
                    await anext(stream)  # the connection is established, and all events have arrived
                    started = time.monotonic()
                    async for _ in stream:
                        pass
                    assert (await stream.result()).output_text == TEXT
                assert time.monotonic() - started < 30  # and not until a deadline

    run_on(engine, test)


@over_sockets
def test_a_connection_is_reused(engine: str) -> None:
    async def test() -> None:
        late = Answer.stream(b"".join(steps()), Pause(0.02))  # the end of the body arrives later
        async with FakeServer(late) as server, connect(engine, server) as client:
            for _ in range(2):
                async with client.stream(model="m", input="x") as stream:
                    assert (await stream.result()).output_text == TEXT
            async with client.stream(model="m", input="x") as stream:
                async for event in stream:
                    if event.type == "response.completed":
                        break
            async with client.stream(model="m", input="x") as stream:
                async for _ in stream:
                    pass
            async with client.stream(model="m", input="x") as stream:
                await stream.result()
            assert [request.connection for request in server.requests] == [0] * 5

    run_on(engine, test)


# ---- leaving


class Leave(Exception):  # noqa: N818 - not an error
    pass


async def by_break(stream: EventStream) -> None:
    async for event in stream:
        if isinstance(event, OutputTextDelta):
            break


async def by_raise(stream: EventStream) -> None:
    await anext(stream)
    raise Leave


async def by_cancel(stream: EventStream) -> None:
    with anyio.move_on_after(0.05):
        await stream.result()


async def by_aclose(stream: EventStream) -> None:
    await anext(stream)
    await stream.aclose()


async def unread(stream: EventStream) -> None:
    assert stream.meta.status == 200


@everywhere
@pytest.mark.parametrize("leave", [by_break, by_raise, by_cancel, by_aclose, unread])
def test_leaving_closes_the_connection_at_once_without_the_garbage_collector(
    engine: str, leave: Callable[[EventStream], Awaitable[None]]
) -> None:
    async def test() -> None:
        gone = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            try:
                for step in steps()[:6]:
                    await peer.send(step)
                await peer.until_closed()
            finally:
                gone.set()

        async with FakeServer(script) as server, connect(engine, server) as client:
            with no_gc():
                with suppress(Leave):
                    async with client.stream(model="m", input="x") as stream:
                        await leave(stream)
                with anyio.fail_after(PATIENCE):
                    await gone.wait()

    run_on(engine, test)
