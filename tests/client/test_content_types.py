"""What a reply is: the content type is a hint, the first bytes decide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.streams import ending, frame, numbered, opening, plain, saying, wire
from tests.support import both_loops, run

from responses_proto import CreateResponse, Hooks, ResponsesClient, RetryPolicy
from responses_proto.exceptions import (
    APIError,
    LimitExceeded,
    NotAnEventStream,
    RateLimitError,
    ResponsesProtoError,
    StreamTruncated,
)
from responses_proto.limits import Limits
from responses_proto.testing import Answer, FakeServer, Pause, Reset, Script, ServerExchange, Stall

if TYPE_CHECKING:
    from responses_proto.testing import Scriptable

ONCE = RetryPolicy(attempts=1)
HELLO = plain(["Hel", "lo"])
JSON = json.dumps(saying("Hello")).encode()
TYPES = [
    "text/plain",
    "text/plain; charset=utf-8",
    "application/json",
    "application/octet-stream",
    "application/x-ndjson",
    "text/html",
    None,
]
STREAMS = {
    "named": wire(HELLO),
    "nameless": wire(HELLO, named=False),
    "after a comment": b": hello\n\n" + wire(HELLO),
    "after a blank line": b"\r\n\n" + wire(HELLO),
    "after spaces": b"  " + wire(HELLO),
    "after a byte-order mark": b"\xef\xbb\xbf" + wire(HELLO),
    "after an id": b"id: 1\n" + wire(HELLO),
    "after a retry": b"retry: 10\n" + wire(HELLO),
}


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    options.setdefault("retry", ONCE)
    return ResponsesClient(server.url, http_client=server.transport, **options)


async def streamed(script: Scriptable, **options: Any) -> tuple[str, list[str]]:
    """Return the text that a stream gives, and the codes of its anomalies."""
    async with FakeServer(script) as server, client(server, **options) as c, c.stream(model="m", input="x") as stream:
        text = (await stream.result()).output_text
        return text, [anomaly.code for anomaly in stream.anomalies]


async def created(script: Scriptable, **options: Any) -> Any:
    async with FakeServer(script) as server, client(server, **options) as c:
        return await c.create(model="m", input="x")


@both_loops
@pytest.mark.parametrize("kind", TYPES)
def test_an_event_stream_is_read_under_any_content_type(backend: str, kind: str | None) -> None:
    async def test() -> None:
        for what, body in STREAMS.items():
            assert await streamed(Answer.body(body, content_type=kind)) == ("Hello", ["content-type"]), what
            pieces = [body[at : at + 1] for at in range(len(body))]
            assert (await streamed(Answer.stream(*pieces, content_type=kind)))[0] == "Hello", what

    run(backend, test)


@both_loops
def test_the_right_content_type_is_no_anomaly_and_is_not_waited_for(backend: str) -> None:
    async def test() -> None:
        for body in STREAMS.values():
            text, codes = await streamed(Answer.body(body, content_type="TEXT/EVENT-STREAM; charset=utf-8"))
            assert (text, codes) == ("Hello", [])

        async def script(exchange: ServerExchange) -> None:
            await exchange.start(content_type="text/event-stream")
            await exchange.until_closed()

        async with FakeServer(script) as server, client(server) as c, c.stream(model="m", input="x") as stream:
            assert stream.meta.status == 200

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", [*TYPES, "text/event-stream"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>data: sign in</body></html>",
        b"upstream unavailable",
        b"",
        b"\n\n",
        b"database: down\nevents: none",
        b"[1]",
    ],
)
def test_anything_else_is_not_an_event_stream(backend: str, kind: str | None, body: bytes) -> None:
    async def test() -> None:
        with pytest.raises((NotAnEventStream, StreamTruncated)) as caught:
            await streamed(Answer.body(body, content_type=kind, headers={"x-proxy": "a"}))
        if body.strip():
            assert isinstance(caught.value, NotAnEventStream)
            assert (caught.value.status, caught.value.body) == (200, body)
            assert caught.value.headers["x-proxy"] == "a"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", [*TYPES, "text/event-stream"])
@pytest.mark.parametrize(
    "body",
    [
        JSON,
        b" \n \n" + JSON + b"\n",
        JSON + b"\n\ndata: [DONE]\n\n",
        JSON + b"data: [DONE]\n\n",
        JSON + b"\r\n\r\nevent: done\r\ndata: [DONE]\r\n\r\n",
        b"\xef\xbb\xbf" + JSON,
        b"data: " + JSON + b"\n\n",
        b"data: " + JSON + b"\n\ndata: [DONE]\n\n",
        wire(HELLO, finish=b"data: [DONE]\n\n"),
        wire(HELLO, named=False),
        wire([HELLO[0], {"type": "keepalive"}, *HELLO[1:]]),
    ],
)
def test_a_response_is_read_in_whatever_form_it_comes(backend: str, kind: str | None, body: bytes) -> None:
    async def test() -> None:
        answer = Answer.body(body, content_type=kind)
        assert (await created(answer)).output_text == "Hello"
        assert (await streamed(answer))[0] == "Hello"

    run(backend, test)


@both_loops
def test_every_call_that_returns_a_response_reads_a_stream(backend: str) -> None:
    async def test() -> None:
        number = {"n": 7}
        body = wire(plain([json.dumps(number)]))
        async with FakeServer(Answer.body(body, content_type="text/event-stream")) as server, client(server) as c:
            assert (await c.retrieve("resp_1")).id == "resp_1"
            assert (await c.cancel("resp_1")).id == "resp_1"
            assert (await c.wait("resp_1")).status == "completed"
            assert (await c.parse(list[int], model="m", input="x")).response is not None

    run(backend, test)


@both_loops
def test_a_stream_that_create_reads_ends_with_its_response_and_not_with_its_connection(backend: str) -> None:
    async def test() -> None:
        assert (await created(Answer.stream(wire(HELLO), Stall()))).output_text == "Hello"
        assert (await created(Answer.stream(wire(HELLO), Reset()))).output_text == "Hello"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_create_returns_what_did_not_complete(backend: str, status: str) -> None:
    async def test() -> None:
        error = {"code": "server_error", "message": "No."} if status == "failed" else None
        response = await created(Answer.stream(wire(plain(["Hel"], status, error=error))))
        assert (response.status, response.output_text) == (status, "Hel")

    run(backend, test)


@both_loops
def test_create_raises_for_a_stream_that_fails_to_end(backend: str) -> None:
    async def test() -> None:
        error = {"type": "error", "code": "rate_limit_exceeded", "message": "Too many."}
        cases: list[tuple[Answer, type[ResponsesProtoError]]] = [
            (Answer.stream(wire(plain(["Hel"], None))), StreamTruncated),
            (Answer.stream(wire([*plain(["Hel"], None), error])), RateLimitError),
            (Answer.stream(wire([*plain(["Hel"], None), error]), Pause(1.5)), RateLimitError),
            (Answer.stream(frame({"error": {"message": "No."}}, named=False)), APIError),
        ]
        for answer, kind in cases:
            with pytest.raises(kind) as caught:
                await created(answer)
            if answer is not cases[-1][0]:
                assert caught.value.response
                assert caught.value.response.output_text == "Hel"
                assert caught.value.cursor
        with pytest.raises(LimitExceeded):
            await created(Answer.stream(wire(HELLO)), limits=Limits(max_text_chars=3))

    run(backend, test)


@both_loops
def test_create_repeats_a_stream_that_failed_before_any_output(backend: str) -> None:
    async def test() -> None:
        error = {"type": "error", "code": "server_error", "message": "Busy."}
        failures = [
            wire(numbered([*opening(), error])),
            wire(numbered([*opening(), ending([], "failed", error={"code": "server_error", "message": "Busy."})])),
        ]
        for body in failures:
            script = Script(Answer.stream(body), Answer.stream(wire(HELLO)))
            policy = RetryPolicy(attempts=2, initial_delay=0)
            assert (await created(script, retry=policy)).output_text == "Hello"

    run(backend, test)


@both_loops
def test_an_explicit_stream_false_is_sent(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("Hello") as server, client(server) as c:
            await c.create(model="m", input="x", stream=False)
            await c.create({"model": "m", "input": "x", "stream": False})
            await c.create(CreateResponse(model="m", input="x", stream=False))
            await c.create(model="m", input="x")
            assert [request.json.get("stream") for request in server.requests] == [False, False, False, None]

    run(backend, test)


@both_loops
def test_the_hook_sees_the_frames_of_a_stream_under_another_type(backend: str) -> None:
    async def test() -> None:
        frames: list[object] = []
        await streamed(Answer.body(wire(HELLO), content_type="text/plain"), hooks=Hooks(on_frame=frames.append))
        assert len(frames) == len(HELLO)

    run(backend, test)


def test_the_message_says_what_came() -> None:
    async def test() -> None:
        with pytest.raises(NotAnEventStream, match=r"text/plain \('message text'\).*HTTP 200"):
            await streamed(Answer.body(b"message text", content_type="text/plain"))

    run("asyncio", test)
