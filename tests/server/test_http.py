"""Reading bodies, sending responses and streams, and what happens when the client leaves."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import anyio
import httpx
import pytest
import trio
import trio.testing
from tests.asgi import Client, body, parse_stream, send_request
from tests.support import PATIENCE, both_loops, run

from responses_proto.exceptions import APIError, LocalProtocolError
from responses_proto.protocol import ResponseStream
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, SQLiteStore, serving
from responses_proto.server._http import EventStreamResponse

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply
    from responses_proto.server._task import EventSink


@both_loops
def test_events_are_sent_before_the_handler_continues(backend: str) -> None:
    async def main() -> None:
        proceed = anyio.Event()

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            await reply.start()
            await proceed.wait()
            async with reply.message() as message:
                await message.text("late")

        client = Client(ResponsesApp(handler))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.request, body(stream=True))
            await client.arrived.wait()
            assert b"response.in_progress" in client.content
            assert b"late" not in client.content
            proceed.set()
        assert parse_stream(client.content).response.output_text == "late"

    run(backend, main)


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_that_is_too_large_is_refused(*, stated: bool) -> None:
    app = ResponsesApp(Scripted(), max_body_bytes=100)
    content = body(input="x" * 200)
    headers = {"content-length": str(len(content))} if stated else {}
    client = send_request("asyncio", app, content, headers=headers, chunk=50)
    assert (client.status, client.error["code"]) == (413, "request_too_large")
    assert send_request("asyncio", app, body(), headers={"content-length": str(len(body()))}).status == 200


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("zstd", 415), ("identity", 200), ("", 200)])
def test_a_body_with_a_content_encoding_is_refused(coding: str, status: int) -> None:
    client = send_request("asyncio", ResponsesApp(Scripted()), body(), headers={"content-encoding": coding})
    assert client.status == status
    assert (status == 200) or client.error["code"] == "unsupported_content_encoding"


# ---- headers of a handler


@both_loops
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_headers_that_a_handler_sets_are_sent(backend: str, *, stream: bool, fails: bool) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        reply.set_header("X-Region", "east")
        reply.set_header("x-region", "west")
        reply.set_header("retry-after", "9")
        if fails:
            raise APIError("Too much.", status=429, retry_after=5)
        await reply.start()
        with pytest.raises(LocalProtocolError, match="before the response starts"):
            reply.set_header("x-region", "north")

    client = send_request(backend, ResponsesApp(handler), body(stream=stream))
    assert (client.status, client.headers["x-region"]) == (429 if fails else 200, "west")
    assert client.headers["retry-after"] == ("5" if fails else "9")
    kind = "text/event-stream; charset=utf-8" if stream and not fails else "application/json"
    assert client.headers["content-type"] == kind


@both_loops
def test_headers_of_a_handler_come_too_late_for_a_response_in_the_background(backend: str) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        reply.set_header("x-region", "west")

    async def main() -> None:
        async with ResponsesApp(handler) as app:
            client = await Client(app).request(body(stream=True, background=True))
        assert parse_stream(client.content).response.status == "completed"
        assert "x-region" not in client.headers

    run(backend, main)


# ---- errors of other servers


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-limit": "1\r\nset-cookie: a=b"},
        {"retry-after": "1\n"},
        {"x-ratelimit-a b": "1"},
        {"x-ratelimit-a:": "1"},
        {"x-ratelimit-a": "\0"},
        {"x-ratelimit-ä": "1"},
        {"x-ratelimit-a": "\ud800"},
        {"x-ratelimit-a": "\x7f"},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_headers_that_cannot_be_sent_are_left_out(headers: dict[str, str], *, stream: bool) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        given = {**headers, "x-ratelimit-remaining": "5", "set-cookie": "a=b"}
        raise APIError("Too much.", status=429, code="rate_limit_exceeded", headers=given)

    client = send_request("asyncio", ResponsesApp(handler), body(stream=stream))
    assert (client.status, client.error["message"]) == (429, "Too much.")
    assert client.headers.keys() == {"content-type", "content-length", "x-request-id", "x-ratelimit-remaining"}


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (APIError("x", status=1000), 500, None),
        (APIError("x", status=600), 500, None),
        (APIError("x", status=200), 500, None),
        (APIError("x", status=-1), 500, None),
        (APIError("x", status=599), 599, None),
        (APIError("x", status=503, retry_after=float("inf")), 503, "1000000000"),
        (APIError("x", status=503, retry_after=float("nan")), 503, "0"),
        (APIError("x", status=503, retry_after=-5), 503, "0"),
    ],
)
def test_odd_errors_of_a_handler_are_answered(error: APIError, status: int, retry_after: str | None) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        raise error

    client = send_request("asyncio", ResponsesApp(handler), body())
    assert (client.status, client.headers.get("retry-after")) == (status, retry_after)


# ---- paths


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/{id}%2Finput_items"),
        ("GET", "/v1/responses/{id}%2finput_items"),
        ("POST", "/v1/responses/{id}%2Fcancel"),
        ("DELETE", "/v1/responses%2F{id}"),
        ("GET", "/v1%2Fresponses/{id}"),
        ("GET", "/v1/responses/{id}/"),
        ("GET", "/v1/responses/{id}%2F"),
        ("GET", "/v1/responses/{id}%252Finput_items"),
        ("GET", "/v1/responses//{id}"),
    ],
)
def test_a_quoted_slash_does_not_divide_segments(method: str, path: str) -> None:
    async def main() -> None:
        async with ResponsesApp(Scripted(), models=["team/model"]) as app:
            made = await Client(app).request(body(background=True))
            quoted = path.format(id=made.json["id"])
            client = Client(app)
            await client.request(method=method, path=unquote(quoted), raw_path=quoted)
            assert client.status == (405 if method == "POST" else 404)
            assert "location" not in client.headers
            for name in ("team/model", "team%2Fmodel"):
                found = Client(app)
                await found.request(method="GET", path="/v1/models/team/model", raw_path=f"/v1/models/{name}")
                assert found.json["id"] == "team/model"

    run("asyncio", main)


# ---- silence


def test_a_stream_is_never_silent_for_long() -> None:
    """On a clock that jumps ahead: a comment after each 15 s, while the handler thinks before, in and after its words."""

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        await anyio.sleep(100)
        async with reply.message() as message:
            await message.text("Hi.")
            await anyio.sleep(100)
            await message.text("Ho.")
        await anyio.sleep(100)

    async def main() -> None:
        async with ResponsesApp(handler) as app:
            for fields in ({}, {"background": True}):
                client = Client(app)
                times = [anyio.current_time()]

                async def note(client: Client = client, times: list[float] = times) -> None:
                    while not client.ended:
                        client.arrived = anyio.Event()
                        await client.arrived.wait()
                        times.append(anyio.current_time())

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(note)
                    await client.request(body(stream=True, **fields))
                    tasks.cancel_scope.cancel()
                gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
                assert max(gaps) <= 15.1
                assert gaps[0] <= 1.1  # `response.created`
                assert client.content.count(b": keep-alive\n\n") >= 18
                assert parse_stream(client.content).response.output_text == "Hi.Ho."

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_comments_can_be_turned_off() -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        await reply.start()
        await anyio.sleep(1000)

    async def main() -> None:
        client = Client(ResponsesApp(handler, keepalive=None))
        await client.request(body(stream=True))
        assert b"keep-alive" not in client.content

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))


@pytest.mark.parametrize(("seconds", "status"), [(0.5, 429), (5, 200), (50, 200)])
def test_an_error_becomes_an_event_once_the_stream_has_started(seconds: float, status: int) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        await anyio.sleep(seconds)
        raise APIError("Too many.", status=429, code="rate_limit_exceeded")

    async def main() -> None:
        client = await Client(ResponsesApp(handler)).request(body(stream=True))
        assert client.status == status
        if status == 200:
            assert client.types[-2:] == ["error", "response.failed"]
        assert b"rate_limit_exceeded" in client.content

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_an_error_before_the_first_event_of_a_stream_that_has_begun_is_an_event() -> None:
    async def work(_sink: EventSink) -> None:
        await anyio.sleep(40)
        raise APIError("Gone.", status=404, code="not_found")

    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        await EventStreamResponse(work, keepalive=15)({"type": "http", "method": "POST"}, receive, send)
        content = b"".join(message.get("body", b"") for message in sent)
        assert sent[0]["status"] == 200
        assert content.count(b": keep-alive") == 2
        assert b'"code":"not_found"' in content
        assert b"[DONE]" not in content
        assert sent[-1]["more_body"] is False

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.01))


@both_loops
@pytest.mark.parametrize("running", [True, False])
def test_a_reader_that_does_not_read_holds_a_piece_only(backend: str, tmp_path: Path, *, running: bool) -> None:
    async def main() -> None:
        proceed = anyio.Event()

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            async with reply.message() as message:
                for number in range(500):
                    await message.text(f"{number:01000}")
                if running:
                    await proceed.wait()

        async with ResponsesApp(handler, store=SQLiteStore(tmp_path / "store.db")) as app:
            first, reader = Client(app), Client(app)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: first.request(body(stream=True, background=True)))
                await first.until(b"00499")
                if not running:
                    await first.until(b"[DONE]")
                response_id = first.content.partition(b'"id":"')[2].partition(b'"')[0].decode()
                tasks.start_soon(lambda: reader.request(method="GET", path=f"/v1/responses/{response_id}?stream=true"))
                await reader.until(b"00499")
                proceed.set()
            assert reader.content == first.content
            assert max(map(len, reader.pieces[:5])) < 80_000

    run(backend, main)


# ---- the client leaves


@both_loops
@pytest.mark.parametrize("stream", [True, False])
def test_the_handler_is_cancelled_when_the_client_leaves(backend: str, *, stream: bool) -> None:
    async def main() -> None:
        waits, cancelled = anyio.Event(), anyio.Event()

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            await reply.start()
            waits.set()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                cancelled.set()
                raise

        client = Client(ResponsesApp(handler))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.request, body(stream=stream))
            await waits.wait()
            client.leave.set()
            with anyio.fail_after(PATIENCE):
                await cancelled.wait()
        assert not client.ended

    run(backend, main)


@both_loops
def test_a_client_that_leaves_while_sending_its_request_gets_nothing(backend: str) -> None:
    async def main() -> None:
        called: list[object] = []

        async def handler(request: CreateResponse, _reply: Reply) -> None:
            called.append(request)

        sent: list[object] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/responses", "headers": []}
        await ResponsesApp(handler)(scope, receive, send)
        assert (called, sent) == ([], [])

    run(backend, main)


@both_loops
def test_a_broken_connection_ends_the_handler_quietly(backend: str) -> None:
    async def main() -> None:
        said = 0

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            nonlocal said
            async with reply.message() as message:
                while True:
                    await message.text("x")
                    said += 1

        class Gone(Client):
            async def _receive(self, message: MutableMapping[str, Any]) -> None:
                if len(self.pieces) > 3:
                    raise OSError("broken pipe")
                await super()._receive(message)

        await Gone(ResponsesApp(handler)).request(body(stream=True))
        assert said < 10

    run(backend, main)


# ---- on a socket


def test_over_a_socket_events_arrive_one_by_one_and_leaving_cancels() -> None:
    proceed, cancelled = threading.Event(), threading.Event()

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                await message.text("first")
                await anyio.to_thread.run_sync(proceed.wait, PATIENCE)
                await message.text("second")
                await anyio.sleep_forever()
        finally:
            cancelled.set()

    with serving(ResponsesApp(handler)) as url:
        with httpx.stream("POST", f"{url}/responses", content=body(stream=True), timeout=PATIENCE) as answer:
            stream = ResponseStream()
            for piece in answer.iter_raw():
                stream.receive_data(piece)
                if stream.response.output_text == "first":
                    assert not proceed.is_set()
                    proceed.set()
                if stream.response.output_text == "firstsecond":
                    break
        assert cancelled.wait(PATIENCE)
