"""The endpoints under `/responses`, retries included."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.streams import response, saying
from tests.support import PATIENCE, both_loops, run

from responses_proto import CreateResponse, Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client import Hooks, RetryNotice
from responses_proto.client._calls import merge_fields
from responses_proto.exceptions import (
    APIError,
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    RateLimitError,
    ServerError,
    TransportError,
    UsageError,
)
from responses_proto.models import Message, Response
from responses_proto.models.conversations import CreateConversation
from responses_proto.models.request import CompactRequest, InputTokensRequest
from responses_proto.testing import Answer, FakeServer, Fault, Script, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from responses_proto.typing import JSONObject

KEY = "key-that-nobody-may-see"
QUICK = RetryPolicy(initial_delay=0.01)
HI = Answer.json(saying("Hi"))
FAILED = response(status="failed", error={"code": "server_error", "message": "Oops."})
ODD_IDS = ["../../admin", "a/b", "x?y=1", "x#y", "a\nb", "a b", "ünïcode", "%2e%2e", "日本"]


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    options.setdefault("retry", QUICK)
    return ResponsesClient(server.url, KEY, **options)


def item(number: int) -> JSONObject:
    return {"type": "message", "id": f"msg_{number}", "role": "user", "content": [{"type": "input_text", "text": "x"}]}


# ---- endpoints


@both_loops
def test_each_endpoint_has_its_method_and_path(backend: str) -> None:
    async def test() -> None:
        answers = Script(
            HI,
            Answer.json({"id": "resp_1", "object": "response.deleted", "deleted": True}),
            Answer.json(response(status="cancelled")),
            *[
                Answer.json(
                    {"id": "c", "object": "response.compaction", "created_at": 1, "output": [item(1)], "usage": {}}
                )
            ]
            * 2,
            Answer.json({"object": "response.input_tokens", "input_tokens": 12}),
        )
        async with FakeServer(answers) as server, client(server) as c:
            got = await c.retrieve("resp_1", include=["message.output_text.logprobs", "reasoning.encrypted_content"])
            assert got.output_text == "Hi"
            assert (await c.delete("resp_1")).deleted is True
            assert (await c.cancel("resp_1")).status == "cancelled"
            compacted = await c.compact(model="m", input="long", instructions="Short.")
            assert isinstance(compacted.output[0], Message)
            assert await c.compact(CompactRequest(model="m", input="long")) == compacted
            assert (await c.count_input_tokens(model="m", input="x")).input_tokens == 12
            asked = [(request.method, request.target) for request in server.requests]
            assert asked == [
                (
                    "GET",
                    "/v1/responses/resp_1?include%5B%5D=message.output_text.logprobs&include%5B%5D=reasoning.encrypted_content",
                ),
                ("DELETE", "/v1/responses/resp_1"),
                ("POST", "/v1/responses/resp_1/cancel"),
                ("POST", "/v1/responses/compact"),
                ("POST", "/v1/responses/compact"),
                ("POST", "/v1/responses/input_tokens"),
            ]
            assert server.requests[3].json == {"model": "m", "input": "long", "instructions": "Short."}
            assert server.requests[4].json == {"model": "m", "input": "long"}
            assert server.requests[5].json == {"model": "m", "input": "x"}
            for request in server.requests:
                assert request.headers["authorization"] == f"Bearer {KEY}"
                assert ("content-type" in request.headers) is bool(request.body)
                assert ("idempotency-key" in request.headers) is (request.method == "POST")

    run(backend, test)


@both_loops
def test_a_raw_object_is_passed_through_on_every_endpoint(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.json({"object": "response.input_tokens", "input_tokens": 1})) as server,
            client(server) as c,
        ):
            raw: JSONObject = {"model": "m", "vendor": [{"x": None}]}
            await c.count_input_tokens(raw, input="x", extra={"more": 1})
            await c.count_input_tokens(InputTokensRequest(model="m"), input="x")
            assert [request.json for request in server.requests] == [
                {"model": "m", "vendor": [{"x": None}], "input": "x", "more": 1},
                {"model": "m", "input": "x"},
            ]
            with pytest.raises(TypeError, match=r"no field .inptu.: did you mean .input."):
                await c.count_input_tokens(raw, inptu="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - the mistake is the point

    run(backend, test)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("messages", "pass input="), ("system", "pass instructions="), ("max_tokens", "pass max_output_tokens="),
        ("response_format", r"client\.parse"), ("text_format", r"client\.parse"), ("reasoning_effort", "pass reasoning="),
        ("timeout", "pass timeouts="), ("extra_body", "pass extra="), ("tempurature", "did you mean 'temperature'"),
        ("qqq", "in extra="),
    ],
)  # fmt: skip
def test_a_field_of_another_api_names_the_one_of_this(name: str, told: str) -> None:
    with pytest.raises(TypeError, match=f"no field '{name}': .*{told}"):
        merge_fields(CreateResponse, None, {name: 1})
    with pytest.raises(TypeError, match=r"no field 'messages': (?!pass input)"):
        merge_fields(CreateConversation, None, {"messages": []})


def test_the_client_of_another_library_is_not_this_one() -> None:
    for name in ("responses", "chat"):
        for holder in (ResponsesClient, ResponsesClient("http://127.0.0.1:9/v1")):
            assert not hasattr(holder, name)
            with pytest.raises(AttributeError, match=rf"'{name}': use the methods of the client itself"):
                getattr(holder, name)


@both_loops
def test_a_deletion_may_be_answered_without_a_body(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.body(b"", 204, content_type=None)) as server, client(server) as c:
            gone = await c.delete("resp_1")
            assert (gone.id, gone.deleted) == ("resp_1", True)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_id_with_special_characters_stays_one_segment(backend: str, odd: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json({})) as server, client(server) as c:
            await c.retrieve(odd)
            await c.cancel(odd)
            await c.conversations.items.retrieve(odd, odd)
            for request, segments in zip(server.requests, (4, 5, 6), strict=True):
                path = request.target
                assert path.startswith("/v1/")
                assert len(path.split("/")) == segments
                assert "?" not in path
                assert "#" not in path

    run(backend, test)


@both_loops
@pytest.mark.parametrize("odd", ["", " ", ".", ".."])
def test_an_id_that_cannot_be_a_segment_is_refused(backend: str, odd: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json({})) as server, client(server) as c:
            tries: list[Callable[[], Awaitable[object]]] = [
                lambda: c.retrieve(odd),
                lambda: c.delete(odd),
                lambda: anext(c.input_items(odd)),
                lambda: c.conversations.retrieve(odd),
                lambda: c.conversations.items.delete("conv_1", odd),
            ]
            for attempt in tries:
                with pytest.raises(UsageError, match="cannot be an id"):
                    await attempt()
            assert server.requests == []

    run(backend, test)


@both_loops
def test_a_query_in_the_base_url_is_kept(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json({"object": "list", "data": [item(0)], "has_more": False})) as server:
            async with ResponsesClient(f"{server.url}?api-version=v1", KEY) as c:
                assert [i async for i in c.input_items("r", limit=2, order="asc", after="a&b")]
            (request,) = server.requests
            assert request.path == "/v1/responses/r/input_items"
            assert request.query == [("api-version", "v1"), ("after", "a&b"), ("limit", "2"), ("order", "asc")]

    run(backend, test)


@both_loops
def test_a_call_can_have_its_own_headers_and_timeouts(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HI) as server, client(server, headers={"x-a": "1"}) as c:
            await c.create(model="m", input="x", headers={"X-A": "2", "Idempotency-Key": "mine"})
            request = server.requests[0]
            assert (request.headers["x-a"], request.headers["idempotency-key"]) == ("2", "mine")
            with pytest.raises(UsageError, match="header") as caught:
                await c.retrieve("r", headers={"x-b": "line\nbreak"})
            assert "break" not in str(caught.value)

        async with FakeServer(HI.with_faults(Fault.slow_head(10))) as server, client(server) as c:
            for call in (
                c.create(model="m", timeouts=Timeouts(first_byte=0.05)),
                c.cancel("r", timeouts=Timeouts(first_byte=0.05)),
                c.stream(model="m", timeouts=Timeouts(first_byte=0.05)).__aenter__(),
            ):
                with pytest.raises(DeadlineExceeded) as late:
                    await call
                assert late.value.kind == "first_byte"

    run(backend, test)


# ---- background


@both_loops
def test_waiting_for_a_background_response(backend: str) -> None:
    async def test() -> None:
        answers = Script(
            *(Answer.json(response(status=status)) for status in ("queued", "queued", "in_progress")),
            HI,
        )
        async with FakeServer(answers) as server, client(server) as c:
            begun = await c.create(model="m", input="x", background=True)
            assert begun.status == "queued"
            assert (await c.wait(begun, interval=0.01)).output_text == "Hi"
            assert [request.method for request in server.requests] == ["POST", "GET", "GET", "GET"]
            done = await c.wait("resp_1", interval=0.01)
            assert await c.wait(done) is done  # what has ended is not asked for
            assert len(server.requests) == 5

    run(backend, test)


@both_loops
def test_waiting_is_bounded_and_the_error_has_the_last_known_response(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json(response(background=True))) as server, client(server) as c:
            with pytest.raises(DeadlineExceeded) as caught:
                await c.wait("resp_1", interval=0.02, timeouts=Timeouts(total=2))
            error = caught.value
            assert (error.kind, error.limit) == ("total", 2)
            assert isinstance(error.response, Response)
            assert error.cursor is not None
            assert error.cursor.response_id == "resp_1"
            with anyio.move_on_after(0.1) as scope:
                await c.wait("resp_1", interval=0.02)
            assert scope.cancelled_caught
            with pytest.raises(UsageError, match="interval"):
                await c.wait("resp_1", interval=0)

    run(backend, test)


# ---- retries


@both_loops
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_a_post_is_sent_again_with_the_same_idempotency_key(backend: str, status: int) -> None:
    async def test() -> None:
        refusal = Answer.error(status, "Not now.")
        async with FakeServer(Script(refusal, refusal, HI)) as server, client(server) as c:
            assert (await c.create(model="m", input="x")).output_text == "Hi"
            await c.create(model="m", input="x")
            keys = [request.headers["idempotency-key"] for request in server.requests]
            assert len(keys) == 4
            assert len(set(keys[:3])) == 1
            assert keys[3] != keys[0]  # another call, another key
            assert len({request.body for request in server.requests}) == 1

    run(backend, test)


@both_loops
def test_the_last_error_is_raised_when_no_attempt_is_left(backend: str) -> None:
    async def test() -> None:
        notices: list[RetryNotice] = []
        async with FakeServer(Answer.error(503, "Not now.")) as server:
            async with client(server, hooks=Hooks(on_retry=notices.append)) as c:
                with pytest.raises(ServerError, match="Not now"):
                    await c.create(model="m", input="x")
            assert len(server.requests) == 3
            assert [(notice.operation, notice.attempt) for notice in notices] == [
                ("responses.create", 1),
                ("responses.create", 2),
            ]
            assert all(isinstance(notice.error, ServerError) and 0 <= notice.delay <= 0.02 for notice in notices)
            async with client(server, retry=RetryPolicy(attempts=1)) as c:
                with pytest.raises(ServerError):
                    await c.create(model="m", input="x")
            assert len(server.requests) == 4

    run(backend, test)


@both_loops
def test_a_post_that_may_have_been_processed_is_not_sent_again(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Script(ServerExchange.reset, HI)) as server, client(server) as c:
            with pytest.raises(TransportError) as caught:
                await c.create(model="m", input="x")
            assert caught.value.retry_safety == "unsafe"
            assert len(server.requests) == 1
        async with FakeServer(Script(ServerExchange.reset, HI)) as server, client(server) as c:
            assert (await c.retrieve("resp_1")).output_text == "Hi"  # a GET does nothing
            assert len(server.requests) == 2
        async with FakeServer(Answer.error(400, "No.")) as server, client(server) as c:
            with pytest.raises(APIError):
                await c.create(model="m", input="x")
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_a_connection_that_cannot_be_established_is_tried_again(backend: str) -> None:
    async def test() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        notices: list[RetryNotice] = []
        async with ResponsesClient(
            f"http://127.0.0.1:{port}/v1", retry=QUICK, hooks=Hooks(on_retry=notices.append)
        ) as c:
            with pytest.raises(ConnectError):
                await c.create(model="m", input="x")
            with pytest.raises(ConnectError):
                await c.stream(model="m", input="x").__aenter__()
        assert [type(notice.error) for notice in notices] == [ConnectError] * 4

    run(backend, test)


@both_loops
def test_retry_after_is_waited_for(backend: str) -> None:
    async def test() -> None:
        refusal = Answer.error(429, "Not now.", headers={"retry-after-ms": "200"})
        async with FakeServer(Script(refusal, HI)) as server, client(server) as c:
            started = time.monotonic()
            await c.create(model="m", input="x")
            assert time.monotonic() - started > 0.19
        refusal = Answer.error(429, "Not now.", headers={"retry-after": "3600"})
        async with FakeServer(refusal) as server, client(server) as c:
            with pytest.raises(RateLimitError) as caught:
                await c.create(model="m", input="x")
            assert caught.value.retry_after == 3600
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_the_total_deadline_holds_over_all_attempts(backend: str) -> None:
    async def test() -> None:
        late, never = (Answer.error(503, "Not now.").with_faults(Fault.slow_head(seconds)) for seconds in (0.1, 600))
        async with FakeServer(Script(late, never)) as server, client(server, timeouts=Timeouts(total=2)) as c:
            with pytest.raises(DeadlineExceeded) as caught:
                await c.create(model="m", input="x")
            assert caught.value.kind == "total"
            assert caught.value.elapsed >= 2
            assert len(server.requests) == 2
        # A pause that would outlast the deadline is not begun: the server's own error says more.
        refusal = Answer.error(503, "Not now.", headers={"retry-after": "50"})
        async with FakeServer(refusal) as server, client(server, timeouts=Timeouts(total=40)) as c:
            with pytest.raises(ServerError):
                await c.create(model="m", input="x")

    run(backend, test)


@both_loops
def test_a_response_that_failed_before_any_output_is_retried(backend: str) -> None:
    async def test() -> None:
        failed = Answer.json(FAILED)
        async with FakeServer(Script(failed, HI)) as server, client(server) as c:
            assert (await c.create(model="m", input="x")).output_text == "Hi"
        async with FakeServer(failed) as server, client(server) as c:
            assert (await c.create(model="m", input="x")).status == "failed"  # and in the end it is an answer
            assert len(server.requests) == 3
            assert (await c.retrieve("resp_1")).status == "failed"  # which is what was asked for
            assert len(server.requests) == 4
        for lasting in (
            response(status="failed", error={"code": "invalid_prompt", "message": "Oops."}),
            saying("Half", "failed", error=FAILED["error"]),
        ):
            async with FakeServer(Answer.json(lasting)) as server, client(server) as c:
                assert (await c.create(model="m", input="x")).status == "failed"
                assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_a_call_can_be_cancelled_during_a_delay(backend: str) -> None:
    async def test() -> None:
        refusal = Answer.error(503, "Not now.", headers={"retry-after": "20"})
        scope = anyio.CancelScope()
        hooks = Hooks(on_retry=lambda _: scope.cancel())  # as the pause begins
        async with FakeServer(refusal) as server, client(server, hooks=hooks) as c:
            with scope:
                await c.create(model="m", input="x")
            assert scope.cancelled_caught
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_no_error_shows_the_key(backend: str) -> None:
    async def test() -> None:
        quoting = Answer.error(401, f"Incorrect API key provided: {KEY}")
        async with FakeServer(quoting) as server, client(server) as c:
            calls: list[Awaitable[object]] = [
                c.create(model="m"), c.retrieve("r"), c.delete("r"), c.cancel("r"), c.compact(model="m"),
                c.count_input_tokens(model="m"), anext(c.input_items("r")), c.wait("r"), c.conversations.create(),
                c.conversations.items.create("c", []),
            ]  # fmt: skip
            for call in calls:
                with pytest.raises(APIError) as caught:
                    await call
                error = caught.value
                assert KEY not in repr(error) + str(error) + repr(error.body) + repr(error.__dict__)
            assert KEY not in repr(c) + repr(vars(c)) + repr(c.conversations) + repr(vars(c.conversations))

        async def stall(peer: ServerExchange) -> None:
            await peer.start(401, headers={"content-length": "999"}, content_type="application/json")
            await peer.send(KEY.encode())
            await peer.until_closed()

        async with FakeServer(stall) as server, client(server, timeouts=Timeouts(total=2)) as c:
            with pytest.raises(APIError) as caught:
                await c.retrieve("r")
            assert KEY not in repr(caught.value.__dict__)

    run(backend, test)


@both_loops
def test_a_reply_that_is_not_read_to_its_end_is_closed_at_once(backend: str) -> None:
    async def test() -> None:
        closed = anyio.Semaphore(0)

        async def script(peer: ServerExchange) -> None:
            await peer.start(400, content_type="text/plain")
            await peer.send(b"x" * 100_000)
            await peer.until_closed()
            closed.release()

        async with FakeServer(script) as server, client(server, limits=Limits(max_buffered_bytes=50_000)) as c:
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: c.create(model="m"),
                lambda: c.stream(model="m").__aenter__(),
            ]
            for call in calls:
                with pytest.raises(APIError):
                    await call()
                with anyio.fail_after(PATIENCE):
                    await closed.acquire()

    run(backend, test)


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "x"


def with_items(count: int, kind: str) -> Any:
    items = [item(number) for number in range(count)]
    if kind == "data":
        return {"object": "list", "data": items, "first_id": None, "last_id": None, "has_more": False}
    return {**saying("Hi"), "output": items, "object": "response.compaction" if kind == "compaction" else "response"}


def with_parts(count: int, kind: str) -> Any:
    answer = with_items(1, kind)
    (only,) = answer["data" if kind == "data" else "output"]
    only["content"] = only["content"] * count
    return answer


SIZES: dict[str, Callable[[int, str], Any]] = {
    "max_output_items": with_items,
    "max_content_parts": with_parts,
    "max_nesting": lambda count, kind: {**with_items(1, kind), "vendor": nested(count - 1)},
    "max_json_values": lambda count, kind: {**with_items(0, kind), "vendor": [1] * (count - len(str(count)))},
}
VERBS: dict[str, tuple[str, Callable[[ResponsesClient], Awaitable[Any]]]] = {
    "create": ("response", lambda c: c.create(model="m", input="x")),
    "retrieve": ("response", lambda c: c.retrieve("resp_1")),
    "cancel": ("response", lambda c: c.cancel("resp_1")),
    "compact": ("compaction", lambda c: c.compact(model="m", input="x")),
    "input_items": ("data", lambda c: c.input_items("resp_1").next_page()),
    "conversation items": ("data", lambda c: c.conversations.items.list("conv_1").next_page()),
}


@both_loops
@pytest.mark.parametrize("limit", SIZES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_json_answer_obeys_the_limits_that_a_stream_obeys(backend: str, verb: str, limit: str) -> None:
    async def test() -> None:
        kind, call = VERBS[verb]
        for size, maximum in ((40, 30), (300, 400)):
            async with (
                FakeServer(Answer.json(SIZES[limit](size, kind))) as server,
                client(server, limits=Limits(**{limit: maximum}), http_client=server.transport) as c,
            ):
                if size < maximum:
                    await call(c)
                    continue
                with pytest.raises(LimitExceeded) as caught:
                    await call(c)
                assert (caught.value.limit, caught.value.maximum) == (limit, maximum)

    run(backend, test)


@both_loops
def test_a_json_answer_has_a_bound_as_a_whole(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.json(saying("x" * 1000))) as server,
            client(server, limits=Limits(max_response_bytes=1000), http_client=server.transport) as c,
        ):
            with pytest.raises(LimitExceeded, match="max_response_bytes"):
                await c.create(model="m", input="x")

    run(backend, test)
