from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.streams import frame, plain, saying, wire
from tests.support import PATIENCE, both_loops, no_gc, run

from responses_proto import Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.exceptions import (
    AuthenticationError,
    ConnectError,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    RateLimitError,
    ResponseFailedError,
    ResponseIncompleteError,
    ServerError,
    StreamInterrupted,
    StreamTruncated,
)
from responses_proto.models.events import ErrorEvent, OutputTextDelta
from responses_proto.testing import Answer, Close, FakeServer, Fault, Reset, ServerExchange, Stall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from responses_proto import EventStream
    from responses_proto.testing import Scriptable

KEY = "key-that-nobody-may-see"
HELLO = Answer.events(plain(["Hel", "lo"]))
BEGUN = wire(plain(["Hel", "lo"], last=None))
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Nothing here.</body></html>"


@asynccontextmanager
async def streaming(script: Scriptable, **options: Any) -> AsyncGenerator[EventStream]:
    """Run a server with this script, and enter a stream from it."""
    async with (
        FakeServer(script) as server,
        client(server.url, **options) as c,
        c.stream(model="m", input="x") as stream,
    ):
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
def test_events_are_typed_and_in_order_and_result_returns_the_response(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                kinds = [event.type async for event in stream]
                result = await stream.result()
            assert kinds == [event["type"] for event in plain(["Hel", "lo"])]
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
        async with FakeServer(HELLO) as server, client(server.url) as c:
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

        async def script(peer: ServerExchange) -> None:
            await peer.start(headers=named)
            await peer.until_closed()

        async with FakeServer(script) as server, client(server.url) as c:
            stream = c.stream(model="m", input="x")
            with pytest.raises(LocalProtocolError, match="no reply yet"):
                _ = stream.meta
            async with stream:
                assert stream.meta.status == 200
                assert stream.meta.request_id == "req_1"
                assert stream.meta.rate_limits["tokens"].remaining == 7
                assert stream.meta.headers["content-type"] == "text/event-stream"

    run(backend, test)


@both_loops
def test_each_event_is_delivered_when_it_arrives(backend: str) -> None:
    async def test() -> None:
        got = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            await peer.send(BEGUN)
            await got.wait()  # a client that waited for more would wait for ever
            await peer.send(wire(plain(["Hel", "lo"])[6:]))

        async with streaming(script) as stream:
            async for event in stream:
                if isinstance(event, OutputTextDelta) and event.delta == "lo":
                    got.set()
            assert stream.response.output_text == "Hello"

    run(backend, test)


@both_loops
def test_a_body_cut_anywhere_yields_the_same_text(backend: str) -> None:
    async def test() -> None:
        answer = Answer.events(plain(["Grüße, ", "Welt 🌍"]))
        async with streaming(answer.with_faults(Fault.split_every(7))) as stream:
            assert await text_of(stream) == "Grüße, Welt 🌍"

    run(backend, test)


@both_loops
def test_a_server_that_continues_after_the_end_is_drained_only_briefly(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.send(wire(plain("a")))
            while True:
                await peer.send(b": still here\n\n" * 200)
                await anyio.sleep(0.001)

        async with FakeServer(script) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                assert await text_of(stream) == "a"
            assert (await stream.result()).output_text == "a"

    run(backend, test)


@both_loops
def test_cancelling_the_block_closes_the_connection_at_once(backend: str) -> None:
    async def test() -> None:
        done = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            await peer.send(BEGUN)
            await peer.until_closed()
            done.set()

        async with FakeServer(script) as server, client(server.url) as c:
            with no_gc():
                with anyio.CancelScope() as scope:
                    async with c.stream(model="m", input="x") as stream:
                        await anext(stream)
                        scope.cancel()
                        await stream.result()
                assert scope.cancelled_caught
                with anyio.fail_after(PATIENCE):
                    await done.wait()

    run(backend, test)


@both_loops
def test_an_abandoned_stream_leaves_other_streams_alone(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.send(BEGUN)
            if peer.request.json["input"] == "other":
                await anyio.sleep(0.05)
                await peer.send(wire(plain(["Hel", "lo"])[6:]))
            else:
                await peer.until_closed()

        async with (
            FakeServer(script) as server,
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
        headers = {"chunked": {}, "length": {"content-length": "100000"}, "close": {"connection": "close"}}
        async with streaming(Answer.stream(BEGUN, Close(), headers=headers[framing])) as stream:
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
def test_a_background_response_can_be_resumed_after_a_break(backend: str) -> None:
    async def test() -> None:
        broken = Answer.stream(wire(plain("a", last=None, background=True)), Reset())
        async with (
            FakeServer(broken) as server,
            client(server.url) as c,
            c.stream(model="m", background=True) as stream,
        ):
            with pytest.raises(StreamInterrupted) as caught:
                await text_of(stream)
            assert caught.value.retry_safety == "resumable"

    run(backend, test)


@both_loops
def test_result_raises_for_a_failed_response_and_iterating_does_not(backend: str) -> None:
    async def test() -> None:
        incomplete = plain("a", last="incomplete", incomplete_details={"reason": "max_output_tokens"})
        failed = plain("a", last="failed", error={"code": "server_error", "message": "Oops."})
        async with streaming(Answer.events(incomplete)) as stream:
            assert await text_of(stream) == "a"
            with pytest.raises(ResponseIncompleteError, match="max_output_tokens") as stopped:
                await stream.result()
            assert stopped.value.response is not None
            assert stopped.value.response.output_text == "a"
        async with streaming(Answer.events(failed)) as stream:
            assert await text_of(stream) == "a"
            with pytest.raises(ResponseFailedError, match=r"Oops\."):
                await stream.result()

    run(backend, test)


@both_loops
def test_after_an_error_event_the_stream_waits_only_briefly(backend: str) -> None:
    async def test() -> None:
        error = {
            "type": "error",
            "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow."},
        }

        async with streaming(Answer.stream(frame(plain()[0]) + frame(error), Stall())) as stream:
            started = time.monotonic()
            assert [event async for event in stream if isinstance(event, ErrorEvent)]
            assert time.monotonic() - started < 30  # and not until a deadline
            assert stream.outcome is not None
            assert stream.outcome.status == "error"
            with pytest.raises(RateLimitError, match="Slow"):
                await stream.result()

    run(backend, test)


@both_loops
def test_an_error_status_is_raised_on_entering(backend: str) -> None:
    async def test() -> None:
        answer = Answer.error(
            401, f"Incorrect API key provided: {KEY}", code="invalid_api_key", headers={"x-request-id": "req_1"}
        )
        async with FakeServer(answer) as server, client(server.url) as c:
            with pytest.raises(AuthenticationError) as caught:
                async with c.stream(model="m", input="x"):
                    pass
            error = caught.value
            assert (error.status, error.code, error.request_id, error.retry_safety) == (
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
def test_an_error_with_a_truncated_body_is_raised(backend: str) -> None:
    async def test() -> None:
        cut = Answer.body(b"went wrong", 500, content_type="text/plain", headers={"content-length": "1000"})
        async with FakeServer(cut.with_faults(Fault.eof(after=0))) as server, client(server.url) as c:
            with pytest.raises(ServerError, match="went wrong"):
                await c.stream(model="m", input="x").__aenter__()

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["text/html", "text/plain", "text/event-stream", "application/json"])
def test_a_page_instead_of_a_stream_is_an_error(backend: str, kind: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.body(PAGE, content_type=kind)) as server, client(server.url) as c:
            with pytest.raises(NotAnEventStream, match="Welcome") as caught:
                async with c.stream(model="m", input="x") as stream:
                    await stream.result()
            assert caught.value.status == 200
            assert caught.value.headers["content-type"] == kind
            assert caught.value.body == PAGE

    run(backend, test)


@both_loops
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"hello": "world"}'])
def test_json_that_is_not_a_response_is_an_error(backend: str, body: bytes) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.body(body, content_type="application/json")) as server,
            client(server.url) as c,
        ):
            with pytest.raises(NotAnEventStream):
                await c.stream(model="m", input="x").__aenter__()

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/event-stream"])
def test_a_response_object_instead_of_a_stream_is_the_result(backend: str, kind: str) -> None:
    async def test() -> None:
        body = json.dumps(saying("Hello")).encode()
        async with streaming(Answer.body(body, content_type=kind)) as stream:
            assert [event.type async for event in stream] == ["response.completed"]
            assert (await stream.result()).output_text == "Hello"
            assert "json-body" in [anomaly.code for anomaly in stream.anomalies]

    run(backend, test)


@both_loops
def test_a_stream_without_a_content_type_is_read(backend: str) -> None:
    async def test() -> None:
        async with streaming(HELLO.with_faults(Fault.content_type(None))) as stream:
            assert (await stream.result()).output_text == "Hello"

    run(backend, test)


# ---- deadlines


@both_loops
def test_a_slow_consumer_does_not_run_into_a_deadline(backend: str) -> None:
    async def test() -> None:
        script = Answer.events(plain("ab")).with_faults(Fault.delayed(0.001))
        patience = Timeouts(first_event=2, between_bytes=2, between_events=2)
        async with streaming(script, timeouts=patience) as stream:
            await anext(stream)
            await anyio.sleep(2.5)
            assert await text_of(stream) == "ab"

    run(backend, test)


# ---- limits and misuse


@both_loops
def test_a_limit_is_raised_after_the_events_before_it(backend: str) -> None:
    async def test() -> None:
        data = wire(plain(["Hel", "x" * 5000]))
        closed = anyio.Event()

        async def script(peer: ServerExchange) -> None:
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
            with anyio.fail_after(PATIENCE):
                await closed.wait()  # such a peer is not kept on the line

    run(backend, test)


@both_loops
def test_a_stream_can_only_be_used_inside_its_block_and_once(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server.url) as c:
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
        async with FakeServer(Answer.stream(BEGUN, Stall())) as server, client(server.url) as c:
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
        async with streaming(Answer.stream(Stall())) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(anext, stream)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(LocalProtocolError, match="another task"):
                await anext(stream)
            tasks.cancel_scope.cancel()

    run(backend, test)


@both_loops
def test_a_cancelled_read_fails_the_stream(backend: str) -> None:
    async def test() -> None:
        async with streaming(Answer.stream(Stall())) as stream:
            with anyio.move_on_after(0.05):
                await anext(stream)
            with pytest.raises(LocalProtocolError, match="cancelled"):
                await anext(stream)

    run(backend, test)


@both_loops
def test_the_result_survives_a_cancellation_after_the_end(backend: str) -> None:
    async def test() -> None:
        whole = Answer.stream(wire(plain(["Hel", "lo"])), Stall())
        async with FakeServer(whole) as server, client(server.url) as c:
            stream = c.stream(model="m", input="x")
            with anyio.CancelScope() as scope:
                async with stream:
                    async for event in stream:
                        if event.type == "response.completed":
                            scope.cancel()  # the next read waits for the end of the body
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
            assert caught.value.retry_safety == "safe"
            assert caught.value.__cause__ is not None

    run(backend, test)


# ---- closed by another task

STALLING = Answer.stream(BEGUN, Stall())


@both_loops
@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("closed", ["stream", "client"])
@pytest.mark.parametrize("reader", ["iterate", "result", "text_deltas", "batches", "partial"])
def test_a_task_that_reads_is_told_that_the_stream_was_closed_here(
    backend: str, in_memory: bool, closed: str, reader: str
) -> None:
    async def test() -> None:
        async with FakeServer(STALLING) as server:
            c = ResponsesClient(server.url, KEY, http_client=server.transport if in_memory else None)
            async with c.stream(model="m", input="x") as stream:
                caught: list[Exception] = []

                async def read() -> None:
                    try:
                        if reader == "result":
                            await stream.result()
                        elif reader == "iterate":
                            await exhaust(stream)
                        else:
                            await exhaust(getattr(stream, reader)())
                    except Exception as error:  # noqa: BLE001 - whatever it is
                        caught.append(error)

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read)
                    while not stream.response.output_text:  # noqa: ASYNC110 - the test does not read the stream itself
                        await anyio.sleep(0.001)
                    await anyio.wait_all_tasks_blocked()
                    await (stream if closed == "stream" else c).aclose()
                (error,) = caught
                assert isinstance(error, LocalProtocolError)
                assert f"the {closed} was closed" in str(error)
                assert error.response
                assert error.response.output_text == "Hello"
                assert stream.outcome is None
                with pytest.raises(LocalProtocolError, match="was closed"):
                    await stream.result()

    run(backend, test)


async def exhaust(source: Any) -> None:
    async for _ in source:
        pass


@both_loops
@pytest.mark.parametrize("wait", ["for the head", "for a retry"])
def test_a_stream_that_is_closed_while_it_opens_stops_waiting(backend: str, wait: str) -> None:
    script = (
        Answer.events(plain(["Hi"])).with_faults(Fault.slow_head(600)) if wait == "for the head" else Answer.error(503)
    )

    async def test() -> None:
        async with FakeServer(script) as server:
            retry = RetryPolicy(initial_delay=600, max_delay=600, max_total_delay=6000)
            c = ResponsesClient(server.url, KEY, http_client=server.transport, retry=retry)
            stream = c.stream(model="m", input="x")

            async def close() -> None:
                while not server.requests:  # noqa: ASYNC110 - the server has no event for it
                    await anyio.sleep(0.001)
                await anyio.wait_all_tasks_blocked()
                await stream.aclose()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close)
                with pytest.raises(LocalProtocolError, match="closed before the server replied"):
                    await stream.__aenter__()

    run(backend, test)


@both_loops
def test_a_stream_that_is_read_after_its_client_was_closed_says_so(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(STALLING) as server:
            c = ResponsesClient(server.url, KEY)
            async with c.stream(model="m", input="x") as stream:
                await c.aclose()
                with pytest.raises(LocalProtocolError, match="the client was closed"):
                    await stream.result()

    run(backend, test)
