"""The server: creating responses, by good and bad requests, and its paths."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Client, body, connected, parse_stream, send_request
from tests.support import both_loops, run

from responses_proto.codec import loads
from responses_proto.exceptions import (
    APIError,
    LocalProtocolError,
    NotFoundError,
    RateLimitError,
    ServerError,
    UsageError,
)
from responses_proto.models.content import OutputText
from responses_proto.models.items import FunctionCall, Message
from responses_proto.models.response import Response
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply


# ---- good requests


@both_loops
@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
def test_a_response_as_json(backend: str, path: str) -> None:
    client = send_request(backend, ResponsesApp(Scripted(), clock=lambda: 1_700_000_000.5), body(), path=path)
    response = loads(client.content, Response)
    assert client.status == 200
    assert client.headers["content-type"] == "application/json"
    assert client.headers["x-request-id"].startswith("req_")
    assert response.output_text == "hello there"
    assert (response.status, response.created_at, response.completed_at) == ("completed", 1_700_000_000, 1_700_000_000)


@both_loops
def test_a_response_as_events(backend: str) -> None:
    client = send_request(backend, ResponsesApp(Scripted()), body(stream=True), chunk=7)
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.content.endswith(b"data: [DONE]\n\n")
    assert client.ended
    stream = parse_stream(client.content)
    assert stream.outcome
    assert (stream.outcome.status, stream.response.output_text) == ("completed", "hello there")


@both_loops
def test_the_handler_gets_a_typed_request_and_need_not_end_the_response(backend: str) -> None:
    seen: list[CreateResponse] = []

    async def handler(request: CreateResponse, reply: Reply) -> None:
        seen.append(request)
        async with reply.message() as message:
            await message.text("x")

    client = send_request(backend, ResponsesApp(handler), body(temperature=0.5, metadata={"a": "b"}))
    assert (seen[0].model, seen[0].temperature, seen[0].metadata) == ("m", 0.5, {"a": "b"})
    assert loads(client.content, Response).output_text == "x"


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

    stream = parse_stream(send_request(backend, ResponsesApp(handler), body(stream=True)).content)
    assert stream.anomalies == []
    texts = [item.text for item in stream.response.output if isinstance(item, Message)]
    assert sorted(texts) == ["a" * 20, "b" * 20, "c" * 20]


FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}


REQUESTS: list[dict[str, Any]] = [
    {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]},
    {"reasoning": None, "tools": None, "tool_choice": None, "text": None, "metadata": None},
    {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
    {
        "tools": [FUNCTION],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    },
    {"tools": [{"type": "mcp", "server_label": "s", "server_url": "https://mcp.invalid"}]},
    {"input": "[refuse]"},
    {"input": "[fail]"},
    {"max_output_tokens": 1},
    {"text": {"format": None, "verbosity": None}},
    {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
    {"text": {"format": {"name": "n", "schema": {"type": "object"}}}},
    {
        "background": False,
        "frequency_penalty": 0.5,
        "include": ["message.output_text.logprobs"],
        "instructions": "Be brief.",
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "presence_penalty": -0.5,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": False,
        "stream_options": {"include_obfuscation": False},
        "temperature": 0,
        "top_logprobs": 3,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    },
    {
        "input": [
            {"role": "system", "content": "s"},
            {"role": "assistant", "content": "a", "phase": "commentary"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "b"}], "phase": None},
            {"type": "reasoning", "summary": [], "encrypted_content": None},
            {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "u"}]},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "file_id": "f"}],
            },
        ]
    },
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fields", REQUESTS)
def test_every_response_fits_the_schema(fields: dict[str, Any], *, stream: bool) -> None:
    client = send_request("asyncio", ResponsesApp(Scripted()), body(stream=stream, **fields))  # which looks at it
    assert client.status == 200
    response = parse_stream(client.content).response if stream else loads(client.content, Response)
    asked_for = {name: value for name, value in fields.items() if name in ("metadata", "temperature", "store", "user")}
    assert {name: getattr(response, name) or {} for name in asked_for} == {k: v or {} for k, v in asked_for.items()}


@both_loops
def test_finished_items_get_their_required_fields(backend: str) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        await reply.item(Message(role="assistant", content="in short"))
        await reply.item(FunctionCall(call_id="c", name="f", arguments="{}"))

    client = send_request(backend, ResponsesApp(handler), body(stream=True))
    message, call = parse_stream(client.content).response.output
    assert isinstance(message, Message)
    assert isinstance(call, FunctionCall)
    assert message.id
    assert call.id
    assert (message.content, message.status) == ([OutputText(text="in short", annotations=[])], "completed")


@both_loops
def test_the_context_is_history_and_input(backend: str) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        seen.append([(item.role, item.text) for item in reply.context if isinstance(item, Message)])
        async with reply.message() as message:
            await message.text(f"answer {len(seen)}")

    async def main() -> None:
        async with connected(ResponsesApp(handler)) as client:
            first = await client.create(model="m", input="one", instructions="for this one only")
            second = await client.create(model="m", input="two", previous_response_id=first.id)
            branch = await client.create(model="m", input="three", previous_response_id=second.id)
            await client.create(model="m", input="also two", previous_response_id=first.id)
            assert (branch.previous_response_id, branch.instructions) == (second.id, None)

    run(backend, main)
    one = [("user", "one"), ("assistant", "answer 1")]
    two = [*one, ("user", "two"), ("assistant", "answer 2")]
    assert seen == [one[:1], [*one, ("user", "two")], [*two, ("user", "three")], [*one, ("user", "also two")]]


@both_loops
def test_a_repeated_request_gets_the_same_response(backend: str) -> None:
    calls: list[object] = []

    async def handler(request: CreateResponse, reply: Reply) -> None:
        calls.append(request)
        await Scripted()(request, reply)

    async def main() -> None:
        async with connected(ResponsesApp(handler)) as client:
            key = {"Idempotency-Key": "one"}
            first = await client.create(model="m", input="x", headers=key)
            assert await client.create(model="m", input="x", headers=key) == first
            others = [
                await client.create(model="m", input="x", headers={"Idempotency-Key": "two"}),
                await client.create(model="m", input="y", headers=key),
                await client.create(model="m", input="x", headers=key | {"Authorization": "Bearer another"}),
            ]
            assert len({first.id, *(other.id for other in others)}) == 4
            async with client.stream(model="m", input="s", headers=key) as stream:
                streamed = await stream.result()
            async with client.stream(model="m", input="s", headers=key) as stream:
                assert await stream.result() == streamed
            await client.delete(first.id)
            assert (await client.create(model="m", input="x", headers=key)).id != first.id

    run(backend, main)
    assert len(calls) == 6


# ---- models


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_models_are_listed(prefix: str) -> None:
    app = ResponsesApp(Scripted(), models=["one", "owner/two:fast"], clock=lambda: 1.5)
    listed = send_request("asyncio", app, method="GET", path=f"{prefix}/models").json
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["one", "owner/two:fast"]
    found = send_request("asyncio", app, method="GET", path=f"{prefix}/models/owner/two:fast").json
    assert found == {"id": "owner/two:fast", "object": "model", "created": 1, "owned_by": "responses_proto"}
    lost = send_request("asyncio", app, method="GET", path=f"{prefix}/models/three")
    assert (lost.status, lost.error["param"]) == (404, "model")
    assert send_request("asyncio", app, body(model="three"), path=f"{prefix}/responses").status == 200


class KnowsItsModels(Scripted):
    """A handler that knows the names of its models."""

    async def models(self, headers: Mapping[str, str]) -> list[str]:
        """Return the names that a header states."""
        return ["one", *headers["x-models"].split()]


def test_a_handler_may_know_its_models() -> None:
    app = ResponsesApp(KnowsItsModels(), models=["own", "one"])
    how: dict[str, Any] = {"method": "GET", "headers": {"X-Models": "two a/b"}}
    listed = send_request("asyncio", app, path="/v1/models", **how).json
    assert [model["id"] for model in listed["data"]] == ["own", "one", "two", "a/b"]
    assert send_request("asyncio", app, path="/v1/models/a/b", **how).json["id"] == "a/b"
    assert send_request("asyncio", app, path="/v1/models/c", **how).status == 404


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
        (
            b'{"model": "m", "previous_response_id": "resp_1", "conversation": "conv_1"}',
            "previous_response_id",
            "mutually_exclusive_parameters",
        ),
        (b'{"model": "m", "background": true, "store": false}', "store", "unsupported_value"),
        (
            b'{"model": "m", "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}',
            "input",
            None,
        ),
        (
            b'{"model": "m", "input": [{"type": "compaction", "encrypted_content": "rp1.x"}]}',
            "input",
            "invalid_encrypted_content",
        ),
    ],
)
def test_the_error_of_a_bad_request_names_the_param(content: bytes, param: str | None, code: str | None) -> None:
    client = send_request("asyncio", ResponsesApp(Scripted()), content)
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
    client = send_request("asyncio", ResponsesApp(Scripted(), keys=["one", "two"]), body(), headers=headers)
    assert client.status == status
    if status == 401:
        assert client.error["code"] == "invalid_api_key"
        assert client.headers["www-authenticate"] == "Bearer"
        assert "one" not in client.content.decode()


async def identity_of_token(key: str) -> str | None:
    await anyio.lowlevel.checkpoint()
    return key.partition(":")[2] or None


@both_loops
@pytest.mark.parametrize(
    ("keys", "key", "identity"),
    [
        ({"one": "alice", "two": "bob"}, "two", "bob"),
        ({"one": "alice"}, "two", None),
        ({"one": "alice"}.get, "one", "alice"),
        ({"one": "alice"}.get, "two", None),
        (identity_of_token, "token:carol", "carol"),
        (identity_of_token, "token:", None),
        (identity_of_token, "", None),
    ],
)
def test_a_handler_learns_who_calls_and_the_headers_and_the_query(
    backend: str, keys: Any, key: str, identity: str | None
) -> None:
    seen: list[Reply] = []

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        seen.append(reply)

    app = ResponsesApp(handler, keys=keys)
    headers = {"authorization": f"Bearer {key}", "X-Team": "blue"}
    client = send_request(backend, app, body(), headers=headers, path="/v1/responses?region=eu&region=us&empty=")
    if identity is None:
        assert (client.status, client.error["code"], seen) == (401, "invalid_api_key", [])
        return
    (reply,) = seen
    assert (client.status, reply.identity) == (200, identity)
    assert (reply.headers["x-team"], reply.headers["authorization"]) == ("blue", f"Bearer {key}")
    assert reply.query == {"region": "us", "empty": ""}


def test_keys_without_names_have_identities_that_do_not_reveal_them() -> None:
    seen: list[str | None] = []

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        seen.append(reply.identity)

    app = ResponsesApp(handler, keys=["one", "two"])
    for key in ("one", "two", "one"):
        assert send_request("asyncio", app, body(), headers={"authorization": f"Bearer {key}"}).status == 200
    assert seen[0] == seen[2] != seen[1]
    assert not any(key in str(seen) for key in ("one", "two"))
    assert send_request("asyncio", ResponsesApp(handler), body(), headers={"authorization": "Bearer x"}).status == 200
    assert seen[3] is None


def test_an_error_of_the_function_for_keys_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def busy(_key: str) -> str | None:
        raise APIError.for_status(429)("Slow down.", status=429, code="slow_down")

    def broken(_key: str) -> str | None:
        raise ValueError("the database said: hunter2")

    headers = {"authorization": "Bearer k"}
    client = send_request("asyncio", ResponsesApp(Scripted(), keys=busy), body(), headers=headers)
    assert (client.status, client.error["code"]) == (429, "slow_down")
    client = send_request("asyncio", ResponsesApp(Scripted(), keys=broken), body(), headers=headers)
    assert client.status == 500
    assert b"hunter2" not in client.content
    assert "hunter2" in caplog.text


@both_loops
def test_the_resources_of_a_handler_are_open_for_as_long_as_it_may_be_called(backend: str) -> None:
    log: list[str] = []
    started = anyio.Event()

    @contextlib.asynccontextmanager
    async def resources() -> AsyncGenerator[None]:
        log.append("open")
        async with anyio.create_task_group() as tasks:
            yield
            tasks.cancel_scope.cancel()
        log.append("closed")

    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        try:
            log.append("called")
            started.set()
            await anyio.sleep_forever()
        finally:
            log.append("left")

    async def main() -> None:
        async with ResponsesApp(handler, lifespan=resources) as app:
            assert log == ["open"]
            with pytest.raises(LocalProtocolError):
                async with app:
                    pass
            assert (await Client(app).request(body(background=True))).status == 200
            await started.wait()
        assert log == ["open", "called", "left", "closed"]

    run(backend, main)


def test_an_application_whose_resources_fail_does_not_start() -> None:
    def connect() -> None:
        raise ValueError("no database")

    @contextlib.asynccontextmanager
    async def resources() -> AsyncGenerator[None]:
        connect()
        yield

    async def main() -> None:
        app = ResponsesApp(Scripted(), lifespan=resources)
        with pytest.raises(ValueError, match="no database"):
            async with app:
                pass
        assert not app.service.open

    run("asyncio", main)


def test_every_path_requires_a_key() -> None:
    app = ResponsesApp(Scripted(), keys=["one"])
    for method, path in [("GET", "/models"), ("GET", "/responses/r"), ("POST", "/conversations"), ("GET", "/nowhere")]:
        assert send_request("asyncio", app, method=method, path=path).status == 401


def test_keys_none_accepts_all_and_an_empty_collection_accepts_none() -> None:
    headers = {"authorization": "Bearer anything"}
    assert send_request("asyncio", ResponsesApp(Scripted()), body(), headers=headers).status == 200
    assert send_request("asyncio", ResponsesApp(Scripted(), keys=[]), body(), headers=headers).status == 401


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
        ("GET", "/v1/responses/resp_1?stream=true", 404, None),
        ("GET", "/v1/responses/compact", 404, None),
        ("PUT", "/v1/responses/compact", 405, "method_not_allowed"),
        ("GET", "/v1/conversations", 405, "method_not_allowed"),
        ("GET", "/v1/conversations/conv_1", 404, None),
        ("POST", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_unknown_paths_methods_and_ids(method: str, path: str, status: int, code: str | None) -> None:
    client = send_request("asyncio", ResponsesApp(Scripted()), method=method, path=path)
    assert (client.status, client.error["code"]) == (status, code)
    assert client.error["type"] == "invalid_request_error"
    assert ("allow" in client.headers) is (status == 405)


# ---- handlers that fail


def failing(error: Exception, *, after: bool) -> Callable[[CreateResponse, Reply], Awaitable[None]]:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        if after:
            await reply.message().text("half")
        raise error

    return handler


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_of_the_handler_before_the_first_event_is_the_http_response(*, stream: bool) -> None:
    error = RateLimitError("Slow down.", status=429, code="rate_limit_exceeded", type="rate_limit_error", retry_after=7)
    client = send_request("asyncio", ResponsesApp(failing(error, after=False)), body(stream=stream))
    assert (client.status, client.error["code"], client.error["message"]) == (429, "rate_limit_exceeded", "Slow down.")
    assert client.headers["retry-after"] == "7"


def test_only_safe_headers_of_an_upstream_error_are_forwarded() -> None:
    headers = {
        "Content-Encoding": "gzip",
        "content-length": "7",
        "set-cookie": "a=b",
        "x-ratelimit-limit-requests": "5",
    }
    error = RateLimitError("Slow down.", status=429, headers=headers)
    client = send_request("asyncio", ResponsesApp(failing(error, after=False)), body())
    passed = {"content-type", "content-length", "x-ratelimit-limit-requests", "x-request-id"}
    assert client.headers.keys() == passed
    assert client.headers["content-length"] == str(len(client.content))


def test_an_error_of_the_handler_after_the_first_event_ends_the_stream() -> None:
    error = RateLimitError("Slow down.", status=429, code="rate_limit_exceeded")
    client = send_request("asyncio", ResponsesApp(failing(error, after=True)), body(stream=True))
    stream = parse_stream(client.content)
    assert client.status == 200
    assert client.ended
    assert stream.outcome
    assert stream.outcome.status == "failed"
    assert stream.response.output_text == "half"
    assert stream.response.error
    assert stream.response.error.message == "Slow down."


@pytest.mark.parametrize(("stream", "status"), [(True, 200), (False, 500)])
def test_an_unexpected_exception_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture, *, stream: bool, status: int
) -> None:
    client = send_request(
        "asyncio", ResponsesApp(failing(ValueError("secret sk-123"), after=True)), body(stream=stream)
    )
    assert client.status == status
    assert b"secret" not in client.content
    assert b"server_error" in client.content
    assert "secret sk-123" in caplog.text


async def cancelled_inside(_request: CreateResponse, reply: Reply) -> None:
    """Wait for a task that somebody else cancels."""
    async with reply.message() as message:
        await message.text("half")
        task = asyncio.ensure_future(anyio.sleep_forever())
        task.cancel()
        await task


@pytest.mark.parametrize(
    ("fields", "status"), [({"stream": True}, 200), ({}, 500), ({"background": True, "stream": True}, 200)]
)
def test_the_cancellation_of_another_task_is_a_failure_like_any_other(
    fields: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with ResponsesApp(cancelled_inside) as app:
            client = await Client(app).request(body(**fields))
        assert client.status == status
        if status == 200:
            failed = parse_stream(client.content).response
            assert (failed.status, failed.error and failed.error.code) == ("failed", "server_error")
        else:
            assert client.error["code"] == "server_error"

    run("asyncio", main)
    assert "the handler of" in caplog.text


def test_a_function_for_keys_that_is_cancelled_is_answered() -> None:
    async def identity(_key: str) -> str | None:
        raise asyncio.CancelledError

    app = ResponsesApp(Scripted(), keys=identity)
    assert send_request("asyncio", app, body(), headers={"authorization": "Bearer k"}).status == 500


def test_a_handler_that_leaves_an_item_open_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        await reply.message().text("half")

    assert send_request("asyncio", ResponsesApp(handler), body()).status == 500
    assert "an item is still open" in caplog.text


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None\n"
        "from responses_proto.server import ResponsesApp\n"
        "from responses_proto.server import serving\n"
        "for use in (lambda: ResponsesApp(None), lambda: serving(None).__enter__()):\n"
        "    try: use()\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - fixed text
    assert done.stdout.count("responses-proto[server]") == 2


@pytest.mark.parametrize("keys", ["secret", b"secret", [""], ["k", " "], [None], [5], {"": "a"}, {"k": ""}, {"k": 5}])
def test_invalid_keys_are_refused(keys: Any) -> None:
    with pytest.raises(UsageError, match=r"keys=(\['k'\]|\{'k': 'alice'\})"):
        ResponsesApp(Scripted(), keys=keys)


@both_loops
@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (NotFoundError("no such model"), 404, "invalid_request_error"),
        (RateLimitError("slow down"), 429, "invalid_request_error"),
        (ServerError("oops"), 500, "server_error"),
        (APIError("oops"), 500, "server_error"),
        (APIError("odd", status=200), 500, "server_error"),
        (APIError("odd", status=418, type="teapot"), 418, "teapot"),
        (ExceptionGroup("tasks", [ExceptionGroup("tasks", [NotFoundError("no such model")])]), 404, "invalid_request_error"),
        (RateLimitError("slow", headers={"retry-after": "\u65e5"}), 429, "invalid_request_error"),
    ],
)  # fmt: skip
def test_an_api_error_has_the_status_of_its_class(backend: str, error: Exception, status: int, type_: str) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        raise error

    async def main() -> None:
        async with connected(ResponsesApp(handler)) as client:
            with pytest.raises(APIError) as caught:
                await client.create(model="m", input="x")
            assert (caught.value.status, caught.value.type) == (status, type_)

    run(backend, main)
