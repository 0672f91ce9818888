from __future__ import annotations

import gc
import gzip
import json
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.support_server import LAST, Peer, both_loops, chunk, events, frame, frames, head, response, run, serve, whole

from responses_proto import Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.exceptions import (
    APIError,
    AuthenticationError,
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    NotFoundError,
    RateLimitError,
    ResponseFailed,
    ResponseIncomplete,
    ServerError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
)
from responses_proto.models.events import ErrorEvent, OutputTextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from tests.support_server import Script

    from responses_proto import EventStream

KEY = "key-that-nobody-may-see"
HELLO = head() + chunk(frames("Hel", "lo")) + LAST
BEGUN = head() + chunk(frames("Hel", "lo", last=None))
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Nothing here.</body></html>"


@contextmanager
def no_gc() -> Generator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@asynccontextmanager
async def streaming(script: Script | bytes, **options: Any) -> AsyncGenerator[EventStream]:
    """Have a server say something, and enter a stream of it."""
    async with serve(script) as server, client(server.url, **options) as c, c.stream(model="m", input="x") as stream:
        yield stream


def client(url: str, **options: Any) -> ResponsesClient:
    options.setdefault("retry", RetryPolicy(attempts=1))
    return ResponsesClient(url, KEY, **options)


async def collect(stream: EventStream, seen: list[str]) -> None:
    async for event in stream:
        seen.append(event.type)  # noqa: PERF401 - what came before an error is of interest too


async def text_of(stream: EventStream) -> str:
    return "".join([event.delta async for event in stream if isinstance(event, OutputTextDelta)])


@both_loops
def test_events_come_typed_and_in_order_and_the_result_at_the_end(backend: str) -> None:
    async def test() -> None:
        async with serve(HELLO) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                kinds = [event.type async for event in stream]
                result = await stream.result()
            assert kinds == [event["type"] for event in events("Hel", "lo")]
            assert result.output_text == "Hello"
            assert stream.outcome is not None
            assert stream.outcome.status == "completed"
            assert stream.cursor is not None
            assert (stream.cursor.response_id, stream.cursor.sequence_number) == ("resp_1", len(kinds) - 1)
            assert stream.anomalies == []
            assert (await stream.result()) is result  # and still after the block

    run(backend, test)


@both_loops
def test_the_request_asks_for_an_uncompressed_stream(backend: str) -> None:
    async def test() -> None:
        async with serve(HELLO) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                await stream.result()
            request = server.requests[0]
            assert (request.method, request.target) == ("POST", "/v1/responses")
            assert request.json == {"model": "m", "input": "x", "stream": True}
            assert request.headers["accept"] == "text/event-stream"
            assert request.headers["accept-encoding"] == "identity"
            assert request.headers["content-type"] == "application/json"
            assert request.headers["authorization"] == f"Bearer {KEY}"

    run(backend, test)


@both_loops
def test_the_head_is_known_before_the_first_event(backend: str) -> None:
    async def test() -> None:
        named = {"x-request-id": "req_1", "x-ratelimit-remaining-tokens": "7"}

        async def script(peer: Peer) -> None:
            await peer.send(head(headers=named))
            await peer.until_closed()

        async with serve(script) as server, client(server.url) as c:
            stream = c.stream(model="m", input="x")
            with pytest.raises(LocalProtocolError, match="no answer yet"):
                _ = stream.meta
            async with stream:
                assert stream.meta.status == 200
                assert stream.meta.request_id == "req_1"
                assert stream.meta.rate_limits["tokens"].remaining == 7
                assert stream.meta.headers["content-type"] == "text/event-stream"

    run(backend, test)


@both_loops
def test_each_event_is_handed_out_when_it_comes(backend: str) -> None:
    async def test() -> None:
        got = anyio.Event()

        async def script(peer: Peer) -> None:
            await peer.send(BEGUN)
            await got.wait()  # a client that waited for more would wait for ever
            await peer.send(chunk(b"".join(map(frame, events("Hel", "lo")[6:]))) + LAST)

        async with streaming(script) as stream:
            async for event in stream:
                if isinstance(event, OutputTextDelta) and event.delta == "lo":
                    got.set()
            assert stream.response.output_text == "Hello"

    run(backend, test)


@both_loops
def test_a_body_cut_anywhere_gives_the_same(backend: str) -> None:
    async def test() -> None:
        data = frames("Grüße, ", "Welt 🌍")

        async def script(peer: Peer) -> None:
            await peer.send(head())
            for at in range(0, len(data), 7):
                await peer.send(chunk(data[at : at + 7]))
            await peer.send(LAST)

        async with streaming(script) as stream:
            assert await text_of(stream) == "Grüße, Welt 🌍"

    run(backend, test)


@both_loops
def test_the_connection_is_used_again_after_the_terminal_event(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("a")))
            await anyio.sleep(0.02)  # the end of the body comes on its own, later than the terminal event
            await peer.send(LAST)

        async with serve(script) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                assert await text_of(stream) == "a"
            async with c.stream(model="m", input="x") as stream:
                await stream.result()
            async with c.stream(model="m", input="x") as stream:
                async for event in stream:
                    if event.type == "response.completed":
                        break
            async with c.stream(model="m", input="x") as stream:
                await stream.result()
            assert [request.connection for request in server.requests] == [0, 0, 0, 0]

    run(backend, test)


@both_loops
def test_completed_on_a_socket_left_open_returns_promptly(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("a")))
            await peer.until_closed()

        async with serve(script) as server, client(server.url) as c:
            started = time.monotonic()
            async with c.stream(model="m", input="x") as stream:
                assert await text_of(stream) == "a"
                await stream.result()
            assert time.monotonic() - started < 0.5

    run(backend, test)


@both_loops
def test_a_server_that_goes_on_after_the_end_is_not_listened_to_for_long(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("a")))
            while True:
                await peer.send(chunk(b": still here\n\n" * 200))
                await anyio.sleep(0.001)

        async with serve(script) as server, client(server.url) as c:
            started = time.monotonic()
            async with c.stream(model="m", input="x") as stream:
                assert await text_of(stream) == "a"
            assert time.monotonic() - started < 0.5
            assert (await stream.result()).output_text == "a"

    run(backend, test)


class Leave(Exception):  # noqa: N818 - no error of anybody's
    pass


async def leave_by_break(stream: EventStream) -> None:
    async for event in stream:
        if isinstance(event, OutputTextDelta):
            break


async def leave_by_raise(stream: EventStream) -> None:
    await anext(stream)
    raise Leave


async def leave_by_cancel(stream: EventStream) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await stream.result()


async def leave_by_aclose(stream: EventStream) -> None:
    await anext(stream)
    await stream.aclose()


async def leave_unread(stream: EventStream) -> None:
    assert stream.meta.status == 200


@both_loops
@pytest.mark.parametrize("leave", [leave_by_break, leave_by_raise, leave_by_cancel, leave_by_aclose, leave_unread])
def test_leaving_the_block_closes_the_connection_at_once(
    backend: str, leave: Callable[[EventStream], Awaitable[None]]
) -> None:
    async def test() -> None:
        closed: list[float] = []
        done = anyio.Event()

        async def script(peer: Peer) -> None:
            await peer.send(BEGUN)
            closed.append(await peer.until_closed())
            done.set()

        async with serve(script) as server, client(server.url) as c:
            with no_gc():
                with suppress(Leave):
                    async with c.stream(model="m", input="x") as stream:
                        await leave(stream)
                left = time.monotonic()
                with anyio.fail_after(1):
                    await done.wait()
            assert closed[0] - left < 0.1

    run(backend, test)


@both_loops
def test_cancelling_the_block_closes_the_connection_at_once(backend: str) -> None:
    async def test() -> None:
        closed: list[float] = []
        done = anyio.Event()

        async def script(peer: Peer) -> None:
            await peer.send(BEGUN)
            closed.append(await peer.until_closed())
            done.set()

        async with serve(script) as server, client(server.url) as c:
            with no_gc():
                with anyio.move_on_after(0.2) as scope:
                    async with c.stream(model="m", input="x") as stream:
                        await stream.result()
                left = time.monotonic()
                assert scope.cancelled_caught
                with anyio.fail_after(1):
                    await done.wait()
            assert closed[0] - left < 0.1

    run(backend, test)


@both_loops
def test_an_abandoned_stream_leaves_other_streams_alone(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(BEGUN)
            if peer.request.json["input"] == "other":
                await anyio.sleep(0.05)
                await peer.send(chunk(b"".join(map(frame, events("Hel", "lo")[6:]))) + LAST)
            else:
                await peer.until_closed()

        async with (
            serve(script) as server,
            client(server.url) as c,
            c.stream(model="m", input="other") as other,
            c.stream(model="m", input="x") as stream,
        ):
            await anext(stream)
            await stream.aclose()
            assert (await other.result()).output_text == "Hello"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_body_that_ends_early_is_truncated(backend: str, framing: str) -> None:
    async def test() -> None:
        begun = frames("Hel", "lo", last=None)

        async def script(peer: Peer) -> None:
            if framing == "chunked":
                await peer.send(head() + chunk(begun))
            elif framing == "length":
                await peer.send(head(headers={"content-length": "100000"}) + begun)
            else:
                await peer.send(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + begun
                )
            await peer.socket.aclose()

        async with streaming(script) as stream:
            assert await text_of(stream) == "Hello"
            assert stream.outcome is not None
            assert stream.outcome.status == "truncated"
            with pytest.raises(StreamTruncated) as caught:
                await stream.result()
            assert caught.value.response is not None
            assert caught.value.response.output_text == "Hello"
            assert caught.value.cursor == stream.cursor
            if framing != "close":  # the only way in which the end looks like one
                assert isinstance(caught.value.__cause__, StreamTruncated)
                assert type(caught.value.__cause__.__cause__).__name__ == "RemoteProtocolError"

    run(backend, test)


@both_loops
def test_done_without_a_terminal_event_is_truncated_too(backend: str) -> None:
    async def test() -> None:
        data = head() + chunk(frames("a", last=None) + b"data: [DONE]\n\n") + LAST
        async with streaming(data) as stream:
            assert await text_of(stream) == "a"
            with pytest.raises(StreamTruncated):
                await stream.result()

    run(backend, test)


@both_loops
def test_a_broken_connection_raises_after_what_had_come(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(BEGUN)
            await anyio.sleep(0.05)
            await peer.reset()

        async with streaming(script) as stream:
            seen: list[str] = []
            with pytest.raises(StreamInterrupted) as caught:
                await collect(stream, seen)
            assert seen == [event["type"] for event in events("Hel", "lo", last=None)]
            error = caught.value
            assert error.response is not None
            assert error.response.output_text == "Hello"
            assert error.cursor == stream.cursor
            assert error.replay == "unsafe"
            assert isinstance(error.__cause__, TransportError)
            assert stream.outcome is None or stream.outcome.status == "truncated"
            with pytest.raises(StreamInterrupted):
                await stream.result()

    run(backend, test)


@both_loops
def test_a_connection_that_breaks_before_any_output_is_a_transport_error(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frame(events()[0])))
            await anyio.sleep(0.05)
            await peer.reset()

        async with streaming(script) as stream:
            with pytest.raises(TransportError) as caught:
                await text_of(stream)
            assert not isinstance(caught.value, StreamInterrupted)
            assert caught.value.response is not None

    run(backend, test)


@both_loops
def test_a_background_response_can_be_resumed_after_a_break(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("a", last=None, background=True)))
            await anyio.sleep(0.05)
            await peer.reset()

        async with serve(script) as server, client(server.url) as c, c.stream(model="m", background=True) as stream:
            with pytest.raises(StreamInterrupted) as caught:
                await text_of(stream)
            assert caught.value.replay == "resumable"

    run(backend, test)


@both_loops
def test_iterating_does_not_raise_for_what_the_response_says_but_the_result_does(backend: str) -> None:
    async def test() -> None:
        incomplete = frames("a", last="incomplete", incomplete_details={"reason": "max_output_tokens"})
        failed = frames("a", last="failed", error={"code": "server_error", "message": "Oops."})
        async with streaming(head() + chunk(incomplete) + LAST) as stream:
            assert await text_of(stream) == "a"
            with pytest.raises(ResponseIncomplete, match="max_output_tokens") as stopped:
                await stream.result()
            assert stopped.value.response is not None
            assert stopped.value.response.output_text == "a"
        async with streaming(head() + chunk(failed) + LAST) as stream:
            assert await text_of(stream) == "a"
            with pytest.raises(ResponseFailed, match=r"Oops\."):
                await stream.result()

    run(backend, test)


@both_loops
def test_after_an_error_event_little_more_is_waited_for(backend: str) -> None:
    async def test() -> None:
        error = {
            "type": "error",
            "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow."},
        }

        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frame(events()[0]) + frame(error)))
            await peer.until_closed()

        async with streaming(script) as stream:
            started = time.monotonic()
            assert [event async for event in stream if isinstance(event, ErrorEvent)]
            assert time.monotonic() - started < 2
            assert stream.outcome is not None
            assert stream.outcome.status == "error"
            with pytest.raises(RateLimitError, match="Slow"):
                await stream.result()

    run(backend, test)


@both_loops
def test_an_error_status_is_raised_on_entering(backend: str) -> None:
    async def test() -> None:
        body = json.dumps(
            {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
        ).encode()
        answer = whole(body, 401, {"x-request-id": "req_1"}, kind="application/json")
        async with serve(answer) as server, client(server.url) as c:
            with pytest.raises(AuthenticationError) as caught:
                async with c.stream(model="m", input="x"):
                    pass
            error = caught.value
            assert (error.status, error.code, error.request_id, error.replay) == (
                401,
                "invalid_api_key",
                "req_1",
                "safe",
            )
            assert KEY not in str(error)
            assert KEY not in repr(error.body)
            assert "***" in error.message

    run(backend, test)


@both_loops
@pytest.mark.parametrize(("status", "expected"), [(404, NotFoundError), (429, RateLimitError), (503, ServerError)])
def test_an_error_page_is_one_short_line(backend: str, status: int, expected: type[APIError]) -> None:
    async def test() -> None:
        answer = whole(PAGE * 1000, status, {"retry-after": "2"}, kind="text/html")
        async with serve(answer) as server, client(server.url) as c:
            with pytest.raises(expected) as caught:
                await c.stream(model="m", input="x").__aenter__()
            assert len(str(caught.value)) < 400
            assert caught.value.retry_after == 2.0

    run(backend, test)


@both_loops
def test_an_error_whose_body_breaks_off_is_that_error_still(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head(500, {"content-length": "1000"}, kind="text/plain") + b"went wrong")
            await peer.socket.aclose()

        async with serve(script) as server, client(server.url) as c:
            with pytest.raises(ServerError, match="went wrong"):
                await c.stream(model="m", input="x").__aenter__()

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["text/html", "text/plain", "text/event-stream", "application/json"])
def test_a_page_instead_of_a_stream_is_no_silence(backend: str, kind: str) -> None:
    async def test() -> None:
        async with serve(whole(PAGE, kind=kind)) as server, client(server.url) as c:
            with pytest.raises(NotAnEventStream, match="Welcome") as caught:
                async with c.stream(model="m", input="x") as stream:
                    await stream.result()
            assert caught.value.status == 200
            assert caught.value.headers["content-type"] == kind
            assert caught.value.body == PAGE

    run(backend, test)


@both_loops
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"hello": "world"}'])
def test_json_that_is_no_response_is_no_stream(backend: str, body: bytes) -> None:
    async def test() -> None:
        async with (
            serve(whole(body, kind="application/json")) as server,
            client(server.url) as c,
        ):
            with pytest.raises(NotAnEventStream):
                await c.stream(model="m", input="x").__aenter__()

    run(backend, test)


@both_loops
def test_an_error_with_a_good_status_is_an_error(backend: str) -> None:
    async def test() -> None:
        body = b'{"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}'
        async with (
            serve(whole(body, kind="application/json")) as server,
            client(server.url) as c,
        ):
            with pytest.raises(RateLimitError, match="Slow down"):
                await c.stream(model="m", input="x").__aenter__()

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/event-stream"])
def test_a_response_object_instead_of_a_stream_is_the_result(backend: str, kind: str) -> None:
    async def test() -> None:
        body = json.dumps(response("completed", "Hello")).encode()
        async with streaming(whole(body, kind=kind)) as stream:
            assert [event.type async for event in stream] == ["response.completed"]
            assert (await stream.result()).output_text == "Hello"
            assert "json-body" in [anomaly.code for anomaly in stream.anomalies]

    run(backend, test)


@both_loops
def test_a_failed_response_object_instead_of_a_stream_raises_as_result(backend: str) -> None:
    async def test() -> None:
        body = json.dumps(response("failed", error={"code": "server_error", "message": "400 upstream"})).encode()
        async with streaming(whole(body, kind="application/json")) as stream:
            with pytest.raises(ResponseFailed, match="400 upstream"):
                await stream.result()

    run(backend, test)


@both_loops
def test_a_stream_without_a_content_type_is_read(backend: str) -> None:
    async def test() -> None:
        data = HELLO.replace(b"content-type: text/event-stream\r\n", b"")
        async with streaming(data) as stream:
            assert (await stream.result()).output_text == "Hello"

    run(backend, test)


@both_loops
def test_a_stream_that_is_compressed_all_the_same_is_read(backend: str) -> None:
    async def test() -> None:
        data = whole(gzip.compress(frames("Hel", "lo")), headers={"content-encoding": "gzip"}, kind="text/event-stream")
        async with streaming(data) as stream:
            assert (await stream.result()).output_text == "Hello"

    run(backend, test)


# ---- deadlines


@both_loops
@pytest.mark.parametrize(
    ("kind", "said", "goes_on"),
    [
        ("first_byte", b"", False),
        ("first_event", head(), True),
        ("between_bytes", BEGUN, False),
        ("between_events", BEGUN, True),
        ("total", BEGUN, True),
    ],
)
def test_each_deadline_says_its_name(backend: str, kind: str, said: bytes, goes_on: bool) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            if said:
                await peer.send(said)
            while goes_on:  # comments, which are bytes but no events
                await peer.send(chunk(b": wait\n\n"))
                await anyio.sleep(0.02)
            await peer.until_closed()

        patience: Any = {kind: 0.15}
        async with serve(script) as server, client(server.url, timeouts=Timeouts(**patience)) as c:
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded) as caught:
                async with c.stream(model="m", input="x") as stream:
                    await stream.result()
            assert caught.value.kind == kind
            assert caught.value.limit == 0.15
            assert 0.1 < caught.value.elapsed < 1
            assert time.monotonic() - started < 1
            if said == BEGUN:
                assert caught.value.response is not None
                assert caught.value.response.output_text == "Hello"
                assert caught.value.cursor is not None

    run(backend, test)


@both_loops
def test_a_slow_consumer_runs_into_no_deadline(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head())
            for event in events("a", "b"):
                await peer.send(chunk(frame(event)))
                await anyio.sleep(0.001)
            await peer.send(LAST)

        patience = Timeouts(first_event=0.2, between_bytes=0.2, between_events=0.2)
        async with streaming(script, timeouts=patience) as stream:
            await anext(stream)
            await anyio.sleep(0.4)
            assert await text_of(stream) == "ab"

    run(backend, test)


# ---- limits and misuse


@both_loops
def test_a_limit_is_named_and_what_came_before_is_handed_out(backend: str) -> None:
    async def test() -> None:
        data = head() + chunk(frames("Hel", "x" * 5000))
        closed = anyio.Event()

        async def script(peer: Peer) -> None:
            await peer.send(data)
            await peer.until_closed()
            closed.set()

        async with streaming(script, limits=Limits(max_event_bytes=2000)) as stream:
            seen: list[str] = []
            with pytest.raises(LimitExceeded) as caught:
                await collect(stream, seen)
            assert caught.value.limit == "max_event_bytes"
            assert seen[-1] == "response.output_text.delta"
            assert caught.value.response is not None
            assert caught.value.response.output_text == "Hel"
            with anyio.fail_after(1):
                await closed.wait()  # such a peer is not kept on the line

    run(backend, test)


@both_loops
def test_a_stream_is_used_inside_its_block_and_once(backend: str) -> None:
    async def test() -> None:
        async with serve(HELLO) as server, client(server.url) as c:
            stream = c.stream(model="m", input="x")
            with pytest.raises(LocalProtocolError, match="async with"):
                await anext(stream)
            with pytest.raises(LocalProtocolError, match="async with"):
                await stream.result()
            async with stream:
                await anext(stream)
            with pytest.raises(LocalProtocolError, match="closed"):
                await anext(stream)
            with pytest.raises(LocalProtocolError, match="once"):
                await stream.__aenter__()
            await c.aclose()
            with pytest.raises(LocalProtocolError, match="closed"):
                c.stream(model="m", input="x")

    run(backend, test)


@both_loops
def test_a_stream_left_before_its_end_has_no_result(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(BEGUN)
            await peer.until_closed()

        async with serve(script) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                await anext(stream)
            assert stream.outcome is None
            with pytest.raises(LocalProtocolError):
                await stream.result()
            assert stream.response.output_text == "Hello"  # as far as it had come

    run(backend, test)


@both_loops
def test_two_tasks_cannot_read_one_stream(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head())
            await peer.until_closed()

        async with streaming(script) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(anext, stream)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(LocalProtocolError, match="another task"):
                await anext(stream)
            tasks.cancel_scope.cancel()

    run(backend, test)


@both_loops
def test_a_cancelled_read_ends_the_stream_and_says_so(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head())
            await peer.until_closed()

        async with streaming(script) as stream:
            with anyio.move_on_after(0.05):
                await anext(stream)
            with pytest.raises(LocalProtocolError, match="cancelled"):
                await anext(stream)

    run(backend, test)


@both_loops
def test_cancelling_after_the_end_does_not_take_the_result_away(backend: str) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("Hel", "lo")))
            await peer.until_closed()

        async with serve(script) as server, client(server.url) as c:
            stream = c.stream(model="m", input="x")
            with anyio.move_on_after(0.05) as scope:
                async with stream:
                    await text_of(stream)  # is cancelled while waiting for the end of the body
            assert scope.cancelled_caught
            assert (await stream.result()).output_text == "Hello"

    run(backend, test)


@both_loops
def test_a_refused_connection_says_where_and_why(backend: str) -> None:
    async def test() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        async with client(f"http://127.0.0.1:{port}/v1") as c:
            with pytest.raises(ConnectError) as caught:
                await c.stream(model="m", input="x").__aenter__()
            assert str(caught.value) == f"cannot connect to http://127.0.0.1:{port}: Connection refused"
            assert caught.value.replay == "safe"
            assert caught.value.__cause__ is not None

    run(backend, test)


@both_loops
def test_cancelling_at_every_checkpoint_leaves_nothing_behind(backend: str) -> None:
    async def test() -> None:
        open_now = anyio.CapacityLimiter(100)

        async def script(peer: Peer) -> None:
            async with open_now:
                await peer.send(head())
                for event in events("a", "b", "c"):
                    await peer.send(chunk(frame(event)))
                    await anyio.sleep(0.001)
                await peer.until_closed()

        async with serve(script) as server, client(server.url) as c:
            for delay in range(24):
                with anyio.move_on_after(delay / 1000):
                    async with c.stream(model="m", input="x") as stream:
                        await stream.result()
            with anyio.fail_after(2):
                while open_now.borrowed_tokens:  # noqa: ASYNC110 - what other tasks still do, not an event
                    await anyio.sleep(0.01)

    run(backend, test)
