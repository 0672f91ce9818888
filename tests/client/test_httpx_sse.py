"""Typed events from an event source of httpx-sse, over a real socket, and from any other iterable of its events."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent, SSEError, aconnect_sse
from tests.streams import frame, plain, wire
from tests.support import PATIENCE, both_loops, run

from responses_proto import Limits
from responses_proto.client import SourceEvents, events_from
from responses_proto.exceptions import LimitExceeded, LocalProtocolError, RemoteProtocolError
from responses_proto.models.events import OutputTextDelta
from responses_proto.protocol import ResponseStream
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from responses_proto.testing import Scriptable


@asynccontextmanager
async def source_of(script: Scriptable) -> AsyncGenerator[EventSource]:
    async with (
        FakeServer(script, check_requests=False) as server,
        httpx.AsyncClient(timeout=PATIENCE) as client,
        aconnect_sse(client, "POST", f"{server.url}/responses", json={"stream": True}) as source,
    ):
        yield source


def sse(event: Mapping[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(event=event["type"], data=json.dumps(event))


class Frames:
    """An async iterable that is not a generator; records how many events were read."""

    def __init__(self, frames: Iterable[ServerSentEvent]) -> None:
        self.frames = iter(frames)
        self.read = 0

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return self

    async def __anext__(self) -> ServerSentEvent:
        for next_frame in self.frames:
            self.read += 1
            return next_frame
        raise StopAsyncIteration


@both_loops
def test_the_events_are_those_of_the_engine(backend: str) -> None:
    body = wire(plain(["Hel", "lo"]))

    async def main() -> None:
        async with source_of(Answer.stream(body)) as source, events_from(source) as stream:
            got = [event async for event in stream]
            assert isinstance(got[4], OutputTextDelta)
            assert stream.response.output_text == "Hello"
            assert stream.outcome is not None
            assert stream.outcome.status == "completed"
            assert stream.anomalies == []
            assert stream.cursor == stream.outcome.cursor
        assert [event async for event in stream] == []
        engine = ResponseStream()
        engine.receive_data(body)
        assert got == engine.events_received()

    run(backend, main)


@both_loops
def test_iterating_ends_with_the_response_even_if_the_server_continues(backend: str) -> None:
    closed: list[float] = []

    async def answer(peer: ServerExchange) -> None:
        await peer.send(wire(plain(["Hi"])))
        closed.append(await peer.until_closed())

    async def main() -> None:
        with anyio.fail_after(PATIENCE):
            async with source_of(answer) as source:
                got = [event async for event in events_from(source)]
                assert got[-1].type == "response.completed"

    run(backend, main)


@both_loops
def test_comments_done_markers_and_missing_names_are_tolerated(backend: str) -> None:
    body = b"".join(b"id: 7\n: ping\n\ndata: %b\n\n" % json.dumps(event).encode() for event in plain("ab"))

    async def main() -> None:
        async with (
            source_of(Answer.stream(body + b"data: [DONE]\n\n")) as source,
            events_from(source, strict=True) as stream,
        ):
            assert len([event async for event in stream]) == len(plain("ab"))
            assert stream.outcome is not None
            assert stream.outcome.status == "completed"

    run(backend, main)


@both_loops
def test_an_end_without_a_terminal_event_is_truncated(backend: str) -> None:
    async def main() -> None:
        async with source_of(Answer.stream(wire(plain(["Hel"], last=None)))) as source, events_from(source) as stream:
            assert len([event async for event in stream]) == 5
            assert stream.outcome is not None
            assert stream.outcome.status == "truncated"
            assert stream.outcome.response.output_text == "Hel"

    run(backend, main)


@both_loops
def test_an_error_of_the_connection_is_raised_unchanged_and_the_response_is_kept(backend: str) -> None:
    async def answer(peer: ServerExchange) -> None:
        await peer.send(wire(plain(["Hel"], last=None)))
        await peer.reset()

    async def main() -> None:
        async with source_of(answer) as source, events_from(source) as stream:
            got = [await anext(stream) for _ in range(5)]
            assert isinstance(got[-1], OutputTextDelta)
            with pytest.raises(httpx.TransportError):
                await anext(stream)
            assert stream.outcome is not None
            assert (stream.outcome.status, stream.response.output_text) == ("truncated", "Hel")
            assert [event async for event in stream] == []

    run(backend, main)


@both_loops
def test_httpx_sse_refuses_a_reply_that_is_not_an_event_stream(backend: str) -> None:
    async def main() -> None:
        async with source_of(Answer.json({})) as source:
            with pytest.raises(SSEError, match="application/json"):
                await anext(events_from(source))

    run(backend, main)


@both_loops
def test_leaving_in_the_middle_leaves_no_outcome_and_closes_the_source(backend: str) -> None:
    cleaned_up: list[str] = []

    async def generate() -> AsyncGenerator[ServerSentEvent]:
        try:
            for event in plain(["Hi"]):
                yield sse(event)
        finally:
            cleaned_up.append("yes")

    async def main() -> None:
        async with events_from(generate()) as stream:
            assert (await anext(stream)).type == "response.created"
        await stream.aclose()
        assert cleaned_up == ["yes"]
        assert stream.outcome is None
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    run(backend, main)


@both_loops
def test_any_async_iterable_of_events_is_read_on_demand(backend: str) -> None:
    async def main() -> None:
        source = Frames(map(sse, plain(["Hi"])))
        stream = events_from(source)
        assert source.read == 0
        assert [event.type async for event in stream] == [event["type"] for event in plain(["Hi"])]
        assert source.read == len(plain(["Hi"]))

    run(backend, main)


@both_loops
@pytest.mark.parametrize("size", [10, 100_000])
def test_late_events_are_yielded_within_bounds_and_late_errors_are_ignored(backend: str, size: int) -> None:
    late = {"type": "x:late", "sequence_number": 9, "note": "." * size}

    async def broken() -> AsyncGenerator[ServerSentEvent]:
        for event in [*plain(["Hi"]), late]:
            yield sse(event)
        message = "the line is dead"
        raise OSError(message)

    async def main() -> None:
        stream = events_from(broken())
        types = [event.type async for event in stream]
        assert types[-1] == ("x:late" if size == 10 else "response.completed")
        assert stream.outcome is not None
        assert stream.outcome.status == "completed"

    run(backend, main)


@both_loops
def test_strict_mode_raises_once_and_then_iterating_ends(backend: str) -> None:
    async def main() -> None:
        early = SourceEvents(Frames(map(sse, plain(["Hi"])[1:])), ResponseStream(strict=True))
        with pytest.raises(RemoteProtocolError):
            await anext(early)
        assert [event async for event in early] == []
        silent = events_from(Frames(map(sse, plain(["Hi"], last=None))), strict=True)
        with pytest.raises(RemoteProtocolError):
            [event async for event in silent]

    run(backend, main)


@both_loops
def test_limits_hold(backend: str) -> None:
    async def main() -> None:
        stream = events_from(Frames(map(sse, plain(["x" * 5000]))), limits=Limits(max_event_bytes=4000))
        with pytest.raises(LimitExceeded) as caught:
            [event async for event in stream]
        assert caught.value.limit == "max_event_bytes"

    run(backend, main)


# The engine's own way in for events that are framed already.


@pytest.mark.parametrize("as_bytes", [False, True])
def test_framed_events_are_read_like_bytes(as_bytes: bool) -> None:
    by_frame, by_bytes = ResponseStream(), ResponseStream()
    for event in plain(["Hé", "llo"]):
        data = json.dumps(event, ensure_ascii=False)
        by_frame.receive_event(data.encode() if as_bytes else data, event["type"])
        by_bytes.receive_data(frame(event))
    by_frame.receive_event("")
    assert by_frame.events_received() == by_bytes.events_received()
    assert by_frame.outcome == by_bytes.outcome
    assert by_frame.anomalies == []


def test_a_framed_event_may_be_the_done_marker_or_invalid_json() -> None:
    stream = ResponseStream()
    stream.receive_event("{oops", "response.created")
    stream.receive_event("[DONE]")
    assert stream.ended
    stream.receive_event("{}")
    codes = [anomaly.code for anomaly in stream.anomalies]
    assert (codes.count("invalid-json"), codes.count("late-data")) == (1, 1)
    stream.receive_event('"\ud83d"')  # a lone surrogate cannot be encoded as UTF-8: this must not raise
    stream.receive_eof()
    with pytest.raises(LocalProtocolError, match="receive_event"):
        stream.receive_event("{}")


def test_an_error_in_a_framed_event_is_raised_again() -> None:
    stream = ResponseStream(strict=True)
    with pytest.raises(RemoteProtocolError) as caught:
        stream.receive_event("{oops")
    with pytest.raises(RemoteProtocolError) as again:
        stream.receive_event("{}")
    assert again.value is caught.value
