from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs
import httpx
import pytest
from tests.streams import response, saying
from tests.support import both_loops, run

from responses_proto import CreateResponse, Cursor, Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client import Hooks
from responses_proto.exceptions import (
    APIError,
    BadRequestError,
    ConnectError,
    DeadlineExceeded,
    DecodeError,
    EncodeError,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    ServerError,
    StreamTruncated,
    UsageError,
)
from responses_proto.models import UNSET
from responses_proto.models.config import ReasoningConfig
from responses_proto.providers import Provider
from responses_proto.testing import Answer, FakeServer, Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from responses_proto.typing import JSONObject

KEY = "key-that-nobody-may-see"
HELLO = Answer.json(saying("Hello"))


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    options.setdefault("retry", RetryPolicy(attempts=1))
    return ResponsesClient(server.url, KEY, **options)


@both_loops
def test_create_returns_the_response(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server) as c:
            made = await c.create(model="m", input="x", max_output_tokens=5)
            assert made.output_text == "Hello"
            assert made.status == "completed"
            request = server.requests[0]
            assert (request.method, request.target) == ("POST", "/v1/responses")
            assert request.json == {"model": "m", "input": "x", "max_output_tokens": 5}
            assert request.headers["accept"] == "application/json"
            assert request.headers["authorization"] == f"Bearer {KEY}"
            assert request.headers["user-agent"].startswith("responses-proto/")

    run(backend, test)


@both_loops
def test_a_request_can_be_a_model_a_wire_object_or_keywords(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server) as c:
            made = CreateResponse(model="m", input="x", reasoning=ReasoningConfig(effort="low"))
            await c.create(made)
            await c.create(made, model="other", temperature=0.0)
            raw: JSONObject = {"model": "m", "vendor": {"x": None}, "input": [{"type": "new:thing"}]}
            await c.create(raw)
            await c.create(raw, model="other", input=[{"role": "user", "content": "hi"}])
            await c.create(made, extra={"vendor": 1})
            base = {"model": "m", "input": "x", "reasoning": {"effort": "low"}}
            assert [request.json for request in server.requests] == [
                base,
                {**base, "model": "other", "temperature": 0.0},
                {"model": "m", "vendor": {"x": None}, "input": [{"type": "new:thing"}]},
                {"model": "other", "vendor": {"x": None}, "input": [{"role": "user", "content": "hi"}]},
                {**base, "vendor": 1},
            ]

    run(backend, test)


def test_a_value_that_is_not_json_is_refused_before_anything_is_sent() -> None:
    c = ResponsesClient("http://127.0.0.1:9/v1")
    with pytest.raises(EncodeError):
        c.stream(model="m", temperature=float("nan"))


@both_loops
def test_a_response_of_any_status_is_returned(backend: str) -> None:
    async def test() -> None:
        failed = response(status="failed", error={"code": "server_error", "message": "Oops."})
        async with FakeServer(Answer.json(failed)) as server, client(server) as c:
            made = await c.create(model="m", input="x")
            assert made.status == "failed"
            assert made.error
            assert made.error.message == "Oops."

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (Answer.error(400, "No.", param="input"), BadRequestError, "No."),
        (
            Answer.body(b'{"error": {"message": "No."}}', 400, content_type="application/octet-stream"),
            BadRequestError,
            "No.",
        ),
        (Answer.json({"error": {"message": "No."}}), APIError, "No."),
        (
            Answer.body(b"<html><title>Hi</title></html>"),
            APIError,
            "the server sent text/html .*Hi.* is base_url right",
        ),
        (Answer.body(b"", content_type="application/json"), APIError, "empty"),
        (Answer.json(None), APIError, "expected a JSON object"),
        (Answer.redirect("https://else/?k=v", 302), APIError, "redirects to 'https://else/'"),
        (Answer.body(b"", 304), APIError, "304"),
    ],
)
def test_an_unexpected_reply_is_described(backend: str, answer: Answer, expected: type[APIError], words: str) -> None:
    async def test() -> None:
        async with FakeServer(answer) as server, client(server) as c:
            with pytest.raises(expected, match=words) as caught:
                await c.create(model="m", input="x")
            assert "\n" not in str(caught.value)
            assert KEY not in str(caught.value)

    run(backend, test)


@both_loops
def test_broken_json_and_broken_bodies_raise_different_errors(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.body(b'{"id": ', content_type="application/json")) as server,
            client(server) as c,
        ):
            with pytest.raises((DecodeError, APIError)):
                await c.create(model="m", input="x")

        cut = Answer.body(b'{"id": ', content_type="application/json", headers={"content-length": "1000"})
        async with FakeServer(cut.with_faults(Fault.eof(after=0))) as server, client(server) as c:
            with pytest.raises(StreamTruncated):
                await c.create(model="m", input="x")

    run(backend, test)


@both_loops
def test_a_body_beyond_the_limit_is_not_kept(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(HELLO) as server,
            client(server, limits=Limits(max_buffered_bytes=50)) as c,
        ):
            with pytest.raises(LimitExceeded) as caught:
                await c.create(model="m", input="x")
            assert caught.value.limit == "max_buffered_bytes"

    run(backend, test)


@both_loops
def test_a_model_that_thinks_too_long_is_a_deadline(backend: str) -> None:
    async def test() -> None:
        late = HELLO.with_faults(Fault.slow_head(10))
        async with FakeServer(late) as server, client(server, timeouts=Timeouts(first_byte=0.1)) as c:
            with pytest.raises(DeadlineExceeded) as caught:
                await c.create(model="m", input="x")
            assert caught.value.kind == "first_byte"
            assert caught.value.retry_safety == "unsafe"

    run(backend, test)


@both_loops
def test_a_redirect_of_a_stream_is_named(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.redirect("https://else.example/v1")) as server, client(server) as c:
            with pytest.raises(NotAnEventStream, match=r"https://else\.example/v1"):
                await c.stream(model="m", input="x").__aenter__()

    run(backend, test)


@both_loops
def test_the_callers_headers_override_the_defaults(backend: str) -> None:
    async def test() -> None:
        own = {"User-Agent": "mine", "X-Team": "blue"}
        async with FakeServer(HELLO) as server, client(server, headers=own) as c:
            await c.create(model="m", input="x")
            assert server.requests[0].headers["user-agent"] == "mine"
            assert server.requests[0].headers["x-team"] == "blue"

    run(backend, test)


@both_loops
def test_a_dialect_says_how_the_key_is_sent(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server:
            async with ResponsesClient.for_provider("azure", base_url=server.origin, api_key=KEY) as c:
                await c.create(model="m", input="x")
            mine = Provider(name="mine", base_url=server.url, key_header="x-key", key_prefix="Token ")
            async with ResponsesClient(api_key=KEY, dialect=mine) as c:
                await c.create(model="m", input="x")
            first, second = server.requests
            assert first.target == "/openai/v1/responses"
            assert first.headers["api-key"] == KEY
            assert "authorization" not in first.headers
            assert second.headers["x-key"] == f"Token {KEY}"

    run(backend, test)


@both_loops
def test_the_callers_http_client_is_used_and_not_closed(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(HELLO) as server,
            httpx.AsyncClient(headers={"x-a": "b"}) as http_client,
        ):
            async with client(server, http_client=http_client) as c:
                await c.create(model="m", input="x")
            assert not http_client.is_closed
            assert server.requests[0].headers["x-a"] == "b"

    run(backend, test)


@both_loops
def test_a_closed_client_says_so(backend: str) -> None:
    async def test() -> None:
        c = ResponsesClient("http://127.0.0.1:9/v1")
        await c.aclose()
        await c.aclose()
        with pytest.raises(LocalProtocolError, match="closed"):
            await c.create(model="m", input="x")
        with pytest.raises(LocalProtocolError, match="closed"):
            async with c:
                pass

    run(backend, test)


def test_a_client_shows_no_secret() -> None:
    c = ResponsesClient("https://user:pass@h.example/v1?sig=abc", headers={"cookie": "crumbs"})
    assert repr(c) == "<ResponsesClient server https://h.example/v1>"
    stream = c.stream(model="m", input="x")
    assert repr(stream) == "<EventStream POST https://h.example/v1/responses new>"


def test_a_key_that_cannot_be_a_header_is_not_shown_either() -> None:
    with pytest.raises(UsageError) as caught:
        ResponsesClient("http://h/v1", "secret\nkey")
    assert "secret" not in str(caught.value)


def test_the_environment_is_read_when_a_client_is_made() -> None:
    code = (
        "import os\n"
        "from responses_proto import ResponsesClient\n"
        "from responses_proto.exceptions import UsageError\n"
        "try:\n"
        "    ResponsesClient()\n"
        "except UsageError as error:\n"
        "    print(error)\n"
        "try:\n"
        "    ResponsesClient.for_provider('huggingface')\n"
        "except UsageError as error:\n"
        "    print(error)\n"
        "os.environ['HF_TOKEN'] = 'h'\n"
        "print(ResponsesClient.for_provider('huggingface').base_url)\n"
        "os.environ['RESPONSES_BASE_URL'] = 'http://here/v1'\n"
        "print(ResponsesClient().base_url)\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("OPENAI_API_KEY", "HF_TOKEN")}
    env = {name: value for name, value in env.items() if not name.startswith(("RESPONSES_", "OPENAI_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=env)  # noqa: S603 - our own interpreter and code
    assert done.stdout.splitlines() == [
        (
            "openai needs an API key: pass api_key=..., or set RESPONSES_API_KEY or OPENAI_API_KEY; for another server pass base_url=..., "
            "or set RESPONSES_BASE_URL (`responses-proto serve` starts one that needs no key)"
        ),
        "huggingface needs an API key: pass api_key=..., or set HF_TOKEN",
        "https://router.huggingface.co/v1",
        "http://here/v1",
    ]


@both_loops
def test_an_unreachable_server_is_named_in_one_line(backend: str) -> None:
    async def test() -> None:
        async with ResponsesClient("http://nowhere.invalid/v1") as c:
            with pytest.raises(ConnectError) as caught:
                await c.create(model="m", input="x")
            assert str(caught.value).startswith("cannot connect to http://nowhere.invalid: ")
            assert "\n" not in str(caught.value)

    run(backend, test)


@pytest.mark.parametrize("name", ["timeouts", "retry", "limits", "hooks"])
def test_a_setting_of_the_wrong_type_is_refused(name: str) -> None:
    wrong: dict[str, Any] = {name: 3}
    with pytest.raises(UsageError, match=rf"{name} must be a [A-Z]\w+ instance, got 3"):
        ResponsesClient("http://localhost", "k", **wrong)


@both_loops
def test_arguments_of_the_wrong_type_are_refused_in_one_line(backend: str) -> None:
    async def test() -> None:
        async with ResponsesClient("http://localhost", "k") as c:
            wrong: Any = "hi"
            with pytest.raises(UsageError, match="the request must be a CreateResponse or a dict, got 'hi'"):
                await c.create(wrong)
            with pytest.raises(UsageError, match="timeouts must be a Timeouts instance"):
                await c.create(model="m", timeouts=cast("Any", 5))

    run(backend, test)


@both_loops
@pytest.mark.parametrize("bad", [None, 5, ["resp_1"], "\ud800", "resp_\udfff", True, ""])
def test_an_id_that_is_none_is_refused_before_anything_is_sent(backend: str, bad: Any) -> None:
    async def test() -> None:
        async with FakeServer("x") as server, ResponsesClient(server.url, http_client=server.transport) as c:
            calls: list[Callable[[Any], Any]] = [
                c.retrieve, c.cancel, c.delete, c.wait, c.conversations.retrieve, c.conversations.delete,
                lambda each: c.input_items(each).next_page(), lambda each: c.input_items("resp_1", after=each).next_page(),
            ]  # fmt: skip
            for call in calls[:-1]:
                with pytest.raises(UsageError):
                    await call(bad)
            if isinstance(bad, str) and bad:
                with pytest.raises(UsageError, match="surrogate"):
                    await calls[-1](bad)
            with pytest.raises(UsageError):
                c.resume(Cursor(bad, 1))
            assert server.requests == []

    run(backend, test)


# ---- options of one call, and other endpoints


@both_loops
def test_a_call_that_waits_when_the_client_is_closed_is_told_so(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO.with_faults(Fault.slow_head(600))) as server:
            c = client(server)
            caught: list[Exception] = []

            async def wait() -> None:
                try:
                    await c.create(model="m")
                except Exception as error:  # noqa: BLE001 - whatever it is
                    caught.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                while not server.requests:  # noqa: ASYNC110 - the server has no event for it
                    await anyio.sleep(0.001)
                await anyio.wait_all_tasks_blocked()
                await c.aclose()
            (error,) = caught
            assert isinstance(error, LocalProtocolError)
            assert "client was closed" in str(error)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("own", [{"total": 5.0}, {"between_bytes": 7.0}, {}])
def test_the_bounds_of_a_call_are_the_clients_where_it_names_none(backend: str, own: dict[str, float]) -> None:
    async def test() -> None:
        seen: list[Timeouts] = []
        hooks = Hooks(on_request=lambda request: seen.append(request.timeouts))
        bounds = Timeouts(first_byte=3, total=4)
        async with FakeServer(HELLO) as server, client(server, timeouts=bounds, hooks=hooks) as c:
            assert c.timeouts is bounds
            mine = Timeouts(**own)
            await c.create(model="m", timeouts=mine)
            await c.retrieve("resp_1", timeouts=mine)
            async with c.stream(model="m", timeouts=mine) as stream:
                await stream.result()
            await c.conversations.retrieve("conv_1", timeouts=mine)
            assert seen == [attrs.evolve(bounds, **own)] * 4

    run(backend, test)


@both_loops
def test_a_call_can_have_a_retry_policy(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.error(503)) as server, client(server, retry=RetryPolicy(initial_delay=0)) as c:
            assert c.retry == RetryPolicy(initial_delay=0)
            calls: list[tuple[int, Callable[[RetryPolicy], Awaitable[object]]]] = [
                (1, lambda retry: c.create(model="m", retry=retry)),
                (2, lambda retry: c.retrieve("resp_1", retry=retry)),
                (4, lambda retry: c.stream(model="m", retry=retry).__aenter__()),
            ]
            for attempts, call in calls:
                before = len(server.requests)
                with pytest.raises(ServerError):
                    await call(RetryPolicy(attempts=attempts))
                assert len(server.requests) == before + attempts
            with pytest.raises(UsageError, match="RetryPolicy"):
                await c.create(model="m", retry=cast("Any", 3))

    run(backend, test)


@both_loops
def test_parameters_of_the_url_can_be_added_to_every_call(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server) as c:
            extra: Any = {"api-version": "1 2", "include": ["a", "b"], "flag": True, "none": None}
            await c.create(model="m", extra_query=extra)
            await c.retrieve("resp_1", include=["message.output_text.logprobs"], extra_query=extra)
            async with c.stream(model="m", extra_query=extra) as stream:
                await stream.result()
            await c.parse(int, model="m", extra_query=extra)
            await c.conversations.retrieve("conv_1", extra_query=extra)
            assert {request.target.partition("?")[2] for request in server.requests} == {
                "api-version=1+2&include%5B%5D=a&include%5B%5D=b&flag=true"
            }

    run(backend, test)


@both_loops
@pytest.mark.parametrize("bare", [False, True])
def test_models_are_listed(backend: str, bare: bool) -> None:
    async def test() -> None:
        data = [{"id": "a", "object": "model", "created": 1, "owned_by": "o", "providers": [{"x": 1}]}, {"id": "b"}]
        async with (
            FakeServer(Answer.json(cast("Any", data if bare else {"object": "list", "data": data}))) as server,
            client(server) as c,
        ):
            first, second = await c.models()
            assert (first.id, first.created, first.owned_by, first.extra) == ("a", 1, "o", {"providers": [{"x": 1}]})
            assert (second.id, second.created) == ("b", UNSET)
            assert (server.requests[0].method, server.requests[0].target) == ("GET", "/v1/models")
        async with FakeServer(Answer.json({"data": "none"})) as server, client(server) as c:
            with pytest.raises(DecodeError, match="models"):
                await c.models()

    run(backend, test)


@both_loops
def test_any_endpoint_can_be_requested(backend: str) -> None:
    async def test() -> None:
        for value in ({"a": [1]}, [1, {"b": 2}], "text", 5, None):
            async with FakeServer(Answer.json(cast("Any", value)), check_requests=False) as server, client(server) as c:
                sent = CreateResponse(model="m")
                assert await c.request("put", "/files/a b", json=sent, extra_query={"x": 1}) == value
                request = server.requests[0]
                assert (request.method, request.target, request.json) == ("PUT", "/v1/files/a%20b?x=1", {"model": "m"})
        async with FakeServer(Answer.body(b"", 204), check_requests=False) as server, client(server) as c:
            assert await c.request("DELETE", "files/a") is None
        for answer in (Answer.body(b"<html>"), Answer.error(404), Answer.json({"error": {"message": "No."}})):
            async with FakeServer(answer, check_requests=False) as server, client(server) as c:
                with pytest.raises(APIError):
                    await c.request("GET", "files")
        async with FakeServer(check_requests=False) as server, client(server) as c:
            for path in ("https://elsewhere.example/v1/x", "", "..", "a/../b", "a?b=c", "a#b", "a//b"):
                with pytest.raises(UsageError):
                    await c.request("GET", path)
            assert server.requests == []

    run(backend, test)


@both_loops
def test_credentials_in_a_base_url_are_sent_but_not_beside_a_key(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server:
            url = server.url.replace("http://", "http://user:hidden%20word@")
            async with ResponsesClient(url) as c:
                assert c.base_url == server.url
                await c.create(model="m", input="x")
                assert server.requests[0].headers["authorization"] == "Basic dXNlcjpoaWRkZW4gd29yZA=="
            more: list[dict[str, Any]] = [{"api_key": KEY}, {"headers": {"Authorization": KEY}}]
            for options in more:
                with pytest.raises(UsageError, match=r"api_key='' with headers") as caught:
                    ResponsesClient(url, **options)
                assert "hidden" not in str(caught.value)

    run(backend, test)


@both_loops
def test_the_organization_to_bill_is_sent_where_it_is_known(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server:
            c = client(server, dialect="huggingface", bill_to="my-org", http_client=server.transport)
            await c.create(model="m")
            assert server.requests[0].headers["x-hf-bill-to"] == "my-org"
            with pytest.raises(UsageError, match="bill_to"):
                client(server, bill_to="my-org", http_client=server.transport)

    run(backend, test)


def test_a_client_that_could_not_be_made_has_a_repr() -> None:
    c = ResponsesClient.__new__(ResponsesClient)
    with pytest.raises(UsageError):
        c.__init__("ftp://h/v1", KEY)  # type: ignore[misc] # as a traceback with variables finds it
    assert repr(c) == "<ResponsesClient, which could not be created>"


@both_loops
@pytest.mark.parametrize("verb", ["create", "stream"])
def test_a_missing_permission_is_named(backend: str, verb: str) -> None:
    message = "This authentication method does not have sufficient permissions to call Inference Providers"

    async def test() -> None:
        for status, error, dialect, named in (
            (403, message, "huggingface", True),
            (403, message, None, False),
            (403, "This model is gated.", "huggingface", False),
            (401, message, "huggingface", False),
        ):
            async with FakeServer(Answer.json({"error": error}, status)) as server:
                c = client(server, dialect=dialect, http_client=server.transport)
                with pytest.raises(APIError) as caught:
                    await (c.create(model="m") if verb == "create" else c.stream(model="m").__aenter__())
                assert ("Make calls to Inference Providers" in str(caught.value)) is named
                assert caught.value.message == error

    run(backend, test)
