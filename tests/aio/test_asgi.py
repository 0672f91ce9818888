"""The server: what it answers to good and bad requests, live, and what it does when the client leaves."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx
import pytest
from tests.support import both_loops, run

from responses_proto.aio.asgi import ResponsesApp
from responses_proto.aio.scripted import Scripted
from responses_proto.aio.serving import serving
from responses_proto.codec import loads
from responses_proto.exceptions import RateLimitError
from responses_proto.models.items import Message
from responses_proto.models.response import Response
from responses_proto.protocol import ResponseStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from responses_proto.aio.reply import Reply
    from responses_proto.models.request import CreateResponse


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "hello there", **fields}).encode()


@attrs.define
class Client:
    """The client's end of ASGI: sends one request, takes what comes, and leaves when told to."""

    app: ResponsesApp
    pieces: list[bytes] = attrs.field(factory=list[bytes])
    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    leave: anyio.Event = attrs.field(factory=anyio.Event)
    arrived: anyio.Event = attrs.field(factory=anyio.Event)
    ended: bool = False

    async def ask(
        self,
        content: bytes = b"",
        *,
        method: str = "POST",
        path: str = "/v1/responses",
        headers: dict[str, str] | None = None,
        chunk: int = 1 << 20,
    ) -> Client:
        raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": raw,
        }
        chunks = [content[at : at + chunk] for at in range(0, len(content), chunk)] or [b""]
        messages = [
            {"type": "http.request", "body": piece, "more_body": n < len(chunks) - 1} for n, piece in enumerate(chunks)
        ]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop(0)
            await self.leave.wait()
            return {"type": "http.disconnect"}

        await self.app(scope, receive, self._take)
        return self

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.pieces.append(message["body"])
            self.ended = not message.get("more_body", False)
            self.arrived.set()

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def error(self) -> dict[str, Any]:
        answer = json.loads(self.content)
        assert answer.keys() == {"error"}
        assert answer["error"].keys() == {"message", "type", "param", "code"}
        return dict(answer["error"])


def asked(backend: str, app: ResponsesApp, content: bytes = b"", **how: Any) -> Client:
    """Send one request and take the whole answer."""
    found: list[Client] = []

    async def main() -> None:
        found.append(await Client(app).ask(content, **how))

    run(backend, main)
    return found[0]


def heard(content: bytes) -> ResponseStream:
    stream = ResponseStream(strict=True)
    stream.receive_data(content)
    stream.receive_eof()
    return stream


# ---- good requests


@both_loops
@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
def test_a_response_as_json(backend: str, path: str) -> None:
    client = asked(backend, ResponsesApp(Scripted(), clock=lambda: 1_700_000_000.5), body(), path=path)
    response = loads(client.content, Response)
    assert client.status == 200
    assert client.headers["content-type"] == "application/json"
    assert client.headers["x-request-id"].startswith("req_")
    assert response.output_text == "hello there"
    assert (response.status, response.created_at, response.completed_at) == ("completed", 1_700_000_000, 1_700_000_000)


@both_loops
def test_a_response_as_events(backend: str) -> None:
    client = asked(backend, ResponsesApp(Scripted()), body(stream=True), chunk=7)
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.content.endswith(b"data: [DONE]\n\n")
    assert client.ended
    stream = heard(client.content)
    assert stream.outcome
    assert (stream.outcome.status, stream.response.output_text) == ("completed", "hello there")


@both_loops
def test_the_handler_gets_the_request_typed_and_needs_to_end_nothing(backend: str) -> None:
    seen: list[CreateResponse] = []

    async def handler(request: CreateResponse, reply: Reply) -> None:
        seen.append(request)
        async with reply.message() as message:
            await message.text("x")

    client = asked(backend, ResponsesApp(handler), body(temperature=0.5, metadata={"a": "b"}))
    assert (seen[0].model, seen[0].temperature, seen[0].metadata) == ("m", 0.5, {"a": "b"})
    assert loads(client.content, Response).output_text == "x"


@both_loops
def test_events_are_there_before_the_handler_goes_on(backend: str) -> None:
    async def main() -> None:
        proceed = anyio.Event()

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            await reply.start()
            await proceed.wait()
            async with reply.message() as message:
                await message.text("late")

        client = Client(ResponsesApp(handler))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.ask, body(stream=True))
            await client.arrived.wait()
            assert b"response.in_progress" in client.content
            assert b"late" not in client.content
            proceed.set()
        assert heard(client.content).response.output_text == "late"

    run(backend, main)


@both_loops
def test_several_tasks_of_a_handler_may_write(backend: str) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        async def say(word: str) -> None:
            async with reply.message() as message:
                for _ in range(20):
                    await message.text(word)

        async with anyio.create_task_group() as tasks:
            for word in "abc":
                tasks.start_soon(say, word)

    stream = heard(asked(backend, ResponsesApp(handler), body(stream=True)).content)
    assert stream.anomalies == []
    texts = [item.text for item in stream.response.output if isinstance(item, Message)]
    assert sorted(texts) == ["a" * 20, "b" * 20, "c" * 20]


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
            tasks.start_soon(client.ask, body(stream=stream))
            await waits.wait()
            client.leave.set()
            with anyio.fail_after(0.5):
                await cancelled.wait()
        assert not client.ended

    run(backend, main)


@both_loops
def test_a_client_that_leaves_before_its_request_is_whole_gets_nothing(backend: str) -> None:
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
            async def _take(self, message: MutableMapping[str, Any]) -> None:
                if len(self.pieces) > 3:
                    raise OSError("broken pipe")
                await super()._take(message)

        await Gone(ResponsesApp(handler)).ask(body(stream=True))
        assert said < 10

    run(backend, main)


# ---- bad requests


@pytest.mark.parametrize(
    ("content", "param", "code"),
    [
        (b"{", None, None),
        (b"", None, None),
        (b"\xff", None, None),
        (b"[" * 1000, None, None),
        (b"[]", None, "invalid_type"),
        (b'{"model": 5}', "model", "invalid_type"),
        (b'{"model": "m", "temperature": "hot"}', "temperature", "invalid_type"),
        (b'{"model": "m", "stream": "yes"}', "stream", "invalid_type"),
        (b'{"model": "m", "tools": [{"type": "function"}]}', "tools[0].name", "invalid_type"),
        (
            b'{"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]}',
            "input[0].content[0].text",
            "invalid_type",
        ),
        (b'{"model": "m", "input": [{"text": "x"}]}', "input[0].type", "missing_required_parameter"),
        (b'{"model": "m", "inptu": "x"}', "inptu", "unknown_parameter"),
        (b'{"input": "x"}', "model", "missing_required_parameter"),
        (b'{"model": "m", "background": true}', "background", "unsupported_parameter"),
        (b'{"model": "m", "previous_response_id": "resp_1"}', "previous_response_id", "previous_response_not_found"),
        (b'{"model": "m", "conversation": "conv_1"}', "conversation", "unsupported_parameter"),
    ],
)
def test_a_bad_request_is_told_where_it_is_bad(content: bytes, param: str | None, code: str | None) -> None:
    client = asked("asyncio", ResponsesApp(Scripted()), content)
    assert client.status == 400
    assert client.headers["content-type"] == "application/json"
    assert client.error["type"] == "invalid_request_error"
    assert client.error["message"]
    assert (client.error["param"], client.error["code"]) == (param, code)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer one", 200),
        ("bearer two", 200),
        ("Bearer three", 401),
        ("Bearer", 401),
        ("Bearer on", 401),
        ("Basic one", 401),
        ("one", 401),
        ("Bearer \u00fc", 401),
        (None, 401),
    ],
)
def test_keys(authorization: str | None, status: int) -> None:
    headers = {"authorization": authorization} if authorization else {}
    client = asked("asyncio", ResponsesApp(Scripted(), keys=["one", "two"]), body(), headers=headers)
    assert client.status == status
    if status == 401:
        assert client.error["code"] == "invalid_api_key"
        assert client.headers["www-authenticate"] == "Bearer"
        assert "one" not in client.content.decode()


def test_without_keys_everybody_may_come_and_with_none_of_them_nobody() -> None:
    headers = {"authorization": "Bearer anything"}
    assert asked("asyncio", ResponsesApp(Scripted()), body(), headers=headers).status == 200
    assert asked("asyncio", ResponsesApp(Scripted(), keys=[]), body(), headers=headers).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v2/responses", 404, "unknown_url"),
        ("GET", "/v1/responses", 405, "method_not_allowed"),
        ("PUT", "/v1/responses/resp_1", 405, "method_not_allowed"),
        ("GET", "/v1/responses/resp_1", 404, None),
        ("DELETE", "/responses/resp_1", 404, None),
        ("POST", "/v1/responses/resp_1/cancel", 404, None),
        ("GET", "/v1/responses/resp_1/input_items", 404, None),
    ],
)
def test_what_is_not_there(method: str, path: str, status: int, code: str | None) -> None:
    client = asked("asyncio", ResponsesApp(Scripted()), method=method, path=path)
    assert (client.status, client.error["code"]) == (status, code)
    assert client.error["type"] == "invalid_request_error"
    assert ("allow" in client.headers) is (status == 405)


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_over_the_bound_is_not_read(*, stated: bool) -> None:
    app = ResponsesApp(Scripted(), max_body_bytes=100)
    content = body(input="x" * 200)
    headers = {"content-length": str(len(content))} if stated else {}
    client = asked("asyncio", app, content, headers=headers, chunk=50)
    assert (client.status, client.error["code"]) == (413, "request_too_large")
    assert asked("asyncio", app, body(), headers={"content-length": str(len(body()))}).status == 200


# ---- handlers that fail


def failing(error: Exception, *, after: bool) -> Callable[[CreateResponse, Reply], Awaitable[None]]:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        if after:
            await reply.message().text("half")
        raise error

    return handler


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_of_the_handler_before_anything_is_said_is_the_answer(*, stream: bool) -> None:
    error = RateLimitError("Slow down.", status=429, code="rate_limit_exceeded", type="rate_limit_error", retry_after=7)
    client = asked("asyncio", ResponsesApp(failing(error, after=False)), body(stream=stream))
    assert (client.status, client.error["code"], client.error["message"]) == (429, "rate_limit_exceeded", "Slow down.")
    assert client.headers["retry-after"] == "7"


def test_an_error_of_the_handler_later_ends_the_stream() -> None:
    error = RateLimitError("Slow down.", status=429, code="rate_limit_exceeded")
    client = asked("asyncio", ResponsesApp(failing(error, after=True)), body(stream=True))
    stream = heard(client.content)
    assert client.status == 200
    assert client.ended
    assert stream.outcome
    assert stream.outcome.status == "failed"
    assert stream.response.output_text == "half"
    assert stream.response.error
    assert stream.response.error.message == "Slow down."


@pytest.mark.parametrize(("stream", "status"), [(True, 200), (False, 500)])
def test_what_breaks_in_a_handler_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture, *, stream: bool, status: int
) -> None:
    client = asked("asyncio", ResponsesApp(failing(ValueError("secret sk-123"), after=True)), body(stream=stream))
    assert client.status == status
    assert b"secret" not in client.content
    assert b"server_error" in client.content
    assert "secret sk-123" in caplog.text


def test_a_handler_that_leaves_an_item_open_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        await reply.message().text("half")

    assert asked("asyncio", ResponsesApp(handler), body()).status == 500
    assert "an item is open" in caplog.text


# ---- on a socket


def test_on_a_socket_events_come_as_they_are_made_and_leaving_cancels() -> None:
    proceed, cancelled = threading.Event(), threading.Event()

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                await message.text("first")
                await anyio.to_thread.run_sync(proceed.wait, 10)
                await message.text("second")
                await anyio.sleep_forever()
        finally:
            cancelled.set()

    with serving(ResponsesApp(handler)) as url:
        with httpx.stream("POST", f"{url}/responses", content=body(stream=True), timeout=10) as answer:
            stream = ResponseStream()
            for piece in answer.iter_raw():
                stream.receive_data(piece)
                if stream.response.output_text == "first":
                    assert not proceed.is_set()
                    proceed.set()
                if stream.response.output_text == "firstsecond":
                    break
        left = time.monotonic()
        assert cancelled.wait(5)
        assert time.monotonic() - left < 1


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None\n"
        "from responses_proto.aio.asgi import ResponsesApp\n"
        "from responses_proto.aio.serving import serving\n"
        "for use in (lambda: ResponsesApp(None), lambda: serving(None).__enter__()):\n"
        "    try: use()\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - fixed text
    assert done.stdout.count("responses-proto[server]") == 2
