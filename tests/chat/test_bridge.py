"""The bridge: which upstream answers, whose key it gets, what is stored, and what becomes of an upstream that misbehaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.chat.bridges import KEY, bridge_client, calls, until_said
from tests.support import PATIENCE, both_loops, run

from responses_proto import Cursor, Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.chat import ChatBridge, ChatUpstream
from responses_proto.chat._in_process import InProcessTransport
from responses_proto.exceptions import (
    APIError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
    ServerError,
    UsageError,
)
from responses_proto.models import FunctionCallOutput, Message
from responses_proto.server import ResponsesApp
from responses_proto.testing import Answer, ChatTurn, FakeChat, Fault, check_stream
from responses_proto.tools import custom_tool, function_tool

if TYPE_CHECKING:
    from responses_proto.testing import ServerExchange

ONCE = RetryPolicy(attempts=1)


# ---- routing


def upstream_of(provider: FakeChat, **fields: Any) -> ChatUpstream:
    return ChatUpstream(
        "http://fake.invalid/v1", fields.pop("api_key", KEY), http_client=provider.transport, retry=ONCE, **fields
    )


@both_loops
def test_the_model_chooses_the_upstream(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeChat("I am a.", models=["x"], listen=False) as a,
            FakeChat("I am b.", models=["x", "org/y:fast"], listen=False) as b,
        ):
            bridge = ChatBridge({"a": upstream_of(a), "b": upstream_of(b)}, models={"small": "b/x"})
            app = ResponsesApp(bridge, lifespan=lambda: bridge)
            async with app, ResponsesClient("http://l/v1", "k", http_client=InProcessTransport(app)) as client:
                for model, text, sent in [
                    ("a/x", "I am a.", (a, "x")),
                    ("b/org/y:fast", "I am b.", (b, "org/y:fast")),
                    ("small", "I am b.", (b, "x")),
                ]:
                    response = await client.create(model=model, input="who?")
                    assert (response.output_text, response.model) == (text, model)
                    provider, name = sent
                    assert provider.requests[-1].json["model"] == name
                for model in ("x", "c/x", "a/"):
                    with pytest.raises(NotFoundError) as caught:
                        await client.create(model=model, input="who?")
                    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
                listed = [model.id for model in await client.models()]
                assert listed == ["small", "a/x", "b/x", "b/org/y:fast"]
                # The names are remembered.
                await client.models()
                assert len([request for request in a.requests if request.method == "GET"]) == 1

    run(backend, test)


@both_loops
def test_a_single_upstream_gets_the_name_as_it_is(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("Hi.", listen=False) as provider, bridge_client(provider) as client:
            await client.create(model="org/model:provider", input="x")
            assert provider.requests[-1].json["model"] == "org/model:provider"
            with pytest.raises(BadRequestError, match="model"):
                await client.request("POST", "responses", json={"input": "x", "model": ""})

    run(backend, test)


@both_loops
def test_models_of_an_upstream_that_does_not_answer_are_left_out(backend: str) -> None:
    async def test() -> None:
        async with FakeChat(models=["x"], listen=False) as a, FakeChat(listen=False) as b:
            b.script = Answer.error(503)
            up = {"a": upstream_of(a), "b": upstream_of(b)}
            bridge = ChatBridge(up)
            assert await bridge.models({}) == ["a/x"]
            broken = ChatBridge({"b": up["b"]})
            with pytest.raises(ServerError):
                await broken.models({})
            named = ChatBridge({"b": upstream_of(b, models=["z"])})
            assert await named.models({}) == ["b/z"]
            b.script = Answer.json([{"id": "one"}, "junk", {"id": 5}])  # a list by itself, as Together sends it
            assert await ChatBridge(up["b"]).models({}) == ["one"]

    run(backend, test)


def echo(text: str) -> str:
    """Return the text."""
    return text


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"upstreams": {}}, "at least one"),
        ({"upstreams": {"a/b": None}}, "slash"),
        ({"upstreams": {"": None}}, "empty"),
        ({"max_turns": 0}, "max_turns"),
        ({"models": {"x": "nowhere/y"}, "upstreams": {"a": None, "b": None}}, "nowhere/y"),
        ({"allow_mcp": ["https://x"]}, "is not a host"),
        ({"tools": {"shell": function_tool(echo)}}, "'shell' is not a hosted tool"),
        ({"tools": {"web_search": custom_tool(echo)}}, "exactly one function"),
    ],
)
def test_a_bridge_that_cannot_be_is_refused(how: dict[str, Any], words: str) -> None:
    up = ChatUpstream("http://127.0.0.1:9/v1")
    given: dict[str, Any] = {"upstreams": up, **how}
    if isinstance(given["upstreams"], dict):
        given["upstreams"] = dict.fromkeys(how["upstreams"], up)
    with pytest.raises(UsageError, match=words):
        ChatBridge(**given)


# ---- keys


@both_loops
def test_the_key_of_the_operator_is_sent_or_that_of_the_client(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("Hi.", listen=False) as provider:
            async with bridge_client(provider) as client:
                await client.create(model="m", input="x")
                assert provider.requests[-1].headers["authorization"] == f"Bearer {KEY}"
            forward = {"api_key": None, "key": "forward"}
            async with bridge_client(provider, upstream=forward) as client:
                await client.create(model="m", input="x")
                assert provider.requests[-1].headers["authorization"] == "Bearer key-of-the-client"
                await client.models()
                assert provider.requests[-1].headers["authorization"] == "Bearer key-of-the-client"
                with pytest.raises(AuthenticationError):
                    await client.create(model="m", input="x", headers={"authorization": "Basic eDp5"})

    run(backend, test)


@both_loops
def test_a_refused_key_is_an_error_of_whose_key_it_was(backend: str) -> None:
    async def test() -> None:
        async with FakeChat(Answer.error(401, "wrong key"), listen=False) as provider:
            async with bridge_client(provider) as client:
                with pytest.raises(ServerError) as caught:
                    await client.create(model="m", input="x")
                assert "wrong key" not in str(caught.value)
            async with bridge_client(provider, upstream={"api_key": None, "key": "forward"}) as client:
                with pytest.raises(AuthenticationError, match="wrong key"):
                    await client.create(model="m", input="x")

    run(backend, test)


# ---- what the application gives


@both_loops
def test_a_conversation_goes_on(backend: str) -> None:
    async def test() -> None:
        weather: dict[str, Any] = {
            "type": "function",
            "name": "weather",
            "parameters": {"type": "object", "properties": {}},
        }
        turns: list[Any] = [calls(("weather", "{}")), "Sunny.", "Ada.", "Again."]
        async with FakeChat(*turns, listen=False) as provider, bridge_client(provider) as client:
            first = await client.create(model="m", input="The weather?", tools=[weather], instructions="Be brief.")
            (call,) = first.function_calls
            output = FunctionCallOutput(call_id=call.call_id, output="sun")
            second = await client.create(model="m", input=[output], previous_response_id=first.id, tools=[weather])
            assert second.output_text == "Sunny."
            roles = [message["role"] for message in provider.requests[-1].json["messages"]]
            assert roles == ["user", "assistant", "tool"]
            conversation = await client.conversations.create()
            await client.create(model="m", input="I am Ada.", conversation=conversation.id)
            await client.create(model="m", input="Who am I?", conversation=conversation.id)
            said = [message["content"] for message in provider.requests[-1].json["messages"]]
            assert said == ["I am Ada.", "Ada.", "Who am I?"]

    run(backend, test)


@both_loops
def test_a_response_in_the_background_has_events(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("One two three.", listen=False) as provider, bridge_client(provider) as client:
            response = await client.wait(await client.create(model="m", input="x", background=True))
            assert response.output_text == "One two three."
            assert provider.requests[-1].json["stream"] is True
            async with client.resume(Cursor(response_id=response.id)) as stream:
                deltas = [text async for text in stream.text_deltas()]
            assert "".join(deltas) == "One two three."

    run(backend, test)


@both_loops
def test_cancelling_cancels_the_upstream_at_once(backend: str) -> None:
    async def test() -> None:
        left = anyio.Event()

        async def endless(exchange: ServerExchange) -> None:
            await exchange.start()
            await exchange.send(chunk({"content": "Well, "}))
            await exchange.until_closed()
            left.set()

        async with FakeChat(endless, listen=False) as provider, bridge_client(provider) as client:
            response = await client.create(model="m", input="x", background=True)
            await until_said(client, response.id)
            cancelled = await client.cancel(response.id)
            assert cancelled.status == "cancelled"
            with anyio.fail_after(PATIENCE):
                await left.wait()
            # The client leaves in the middle of a stream.
            left = anyio.Event()
            async with client.stream(model="m", input="x") as stream:
                async for _ in stream.text_deltas():
                    break
            with anyio.fail_after(PATIENCE):
                await left.wait()

    run(backend, test)


# ---- upstreams that misbehave


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    value = {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def endless_comments(exchange: ServerExchange) -> Any:
    async def send() -> None:
        await exchange.start()
        while not exchange.ended:
            await exchange.send(b": PROCESSING\n\n")
            await anyio.sleep(0.001)

    return send()


def endless_text(exchange: ServerExchange) -> Any:
    async def send() -> None:
        await exchange.start()
        while not exchange.ended:
            await exchange.send(chunk({"content": "x" * 10_000}) * 10)

    return send()


def endless_line(exchange: ServerExchange) -> Any:
    async def send() -> None:
        await exchange.start()
        await exchange.send(b"data: ")
        while not exchange.ended:
            await exchange.send(b"x" * 100_000)

    return send()


def fine(exchange: ServerExchange) -> Answer:
    """Answer as a provider does that is well again."""
    message: Any = {"index": 0, "message": {"role": "assistant", "content": "Fine."}, "finish_reason": "stop"}
    return Answer.json({"id": exchange.request.target, "choices": [message]})


TIMES = Timeouts(first_byte=0.3, first_event=0.3, between_bytes=0.3, between_events=0.3)
PATIENT = Timeouts(first_byte=PATIENCE, first_event=PATIENCE, between_bytes=PATIENCE, between_events=PATIENCE)
SMALL = Limits(max_event_bytes=200_000, max_buffered_bytes=200_000, max_response_bytes=500_000)
PAGE = b"<!doctype html><title>Bad gateway of 10.0.0.5</title>"
HALF = b'{"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "He'


@both_loops
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("script", "how", "codes"),
    [
        pytest.param(
            ChatTurn.say("x").with_faults(Fault.slow_head(600)), {"timeouts": TIMES}, {"upstream_timeout"}, id="no head"
        ),
        pytest.param(
            ChatTurn.say("x").with_faults(Fault.stall(0)), {"timeouts": TIMES}, {"upstream_timeout"}, id="stalls"
        ),
        pytest.param(endless_comments, {"timeouts": TIMES}, {"upstream_timeout"}, id="comments"),
        pytest.param(
            endless_text, {"limits": SMALL, "timeouts": PATIENT}, {"upstream_too_large", "server_error"}, id="floods"
        ),
        pytest.param(
            endless_line, {"limits": SMALL, "timeouts": PATIENT}, {"upstream_too_large", "server_error"}, id="a line"
        ),
        pytest.param(Answer.body(PAGE), {}, {"upstream_error"}, id="HTML"),
        pytest.param(
            Answer.body(PAGE, content_type="text/event-stream"),
            {},
            {"upstream_error", "server_error"},
            id="HTML as events",
        ),
        pytest.param(Answer.body(b""), {}, {"upstream_error", "server_error"}, id="nothing"),
        pytest.param(Answer.json([1, 2]), {}, {"upstream_error"}, id="another JSON"),
        pytest.param(Answer.json({"choices": []}), {}, {"server_error", "upstream_error"}, id="no choice"),
        pytest.param(
            Answer.body(HALF, content_type="application/json"), {}, {"upstream_error", "server_error"}, id="half"
        ),
        pytest.param(
            Answer.body(HALF, content_type="application/json", headers={"content-length": "5000"}),
            {},
            {"upstream_error"},
            id="lies",
        ),
        pytest.param(ChatTurn.say("a b c").with_faults(Fault.reset(0)), {}, {"upstream_error"}, id="resets"),
        pytest.param(Answer.redirect("http://127.0.0.1:1/"), {}, {"upstream_error"}, id="redirects"),
    ],
)
def test_an_upstream_that_misbehaves_is_an_error_of_the_response(
    backend: str, script: Any, how: dict[str, Any], codes: set[str], *, stream: bool
) -> None:
    async def test() -> None:
        async with FakeChat(script) as provider:
            made = ChatBridge(ChatUpstream(provider.url, KEY, retry=ONCE, **how))
            app = ResponsesApp(made, lifespan=lambda: made)
            async with (
                app,
                ResponsesClient("http://l/v1", "k", http_client=InProcessTransport(app), retry=ONCE) as client,
            ):
                failure: Any = None
                if stream:
                    seen: list[Any] = []
                    try:
                        async with client.stream(model="m", input="x") as events:
                            seen = [event async for event in events]
                    except APIError as error:
                        failure = error
                    else:
                        assert check_stream(seen).ok
                        failure = seen[-1].response.error
                        assert seen[-1].response.status == "failed"
                else:
                    try:
                        failed = await client.create(model="m", input="x")
                    except APIError as error:
                        failure = error
                    else:
                        failure = failed.error
                assert failure.code in codes
                assert "10.0.0.5" not in failure.message
                # The next request is served as if nothing had been.
                provider.script = fine
                assert (await client.create(model="m", input="x")).output_text == "Fine."

    run(backend, test)


@both_loops
def test_what_was_said_before_a_failure_is_kept(backend: str) -> None:
    async def test() -> None:
        turn = ChatTurn.say("Once upon a time", finish_reason=None)
        async with FakeChat(turn, listen=False) as provider, bridge_client(provider) as client:
            async with client.stream(model="m", input="x") as stream:
                async for _ in stream:
                    pass
            assert stream.outcome
            assert stream.outcome.status == "failed"
            (message,) = stream.outcome.response.output
            assert isinstance(message, Message)
            assert message.text == "Once upon a time"

    run(backend, test)


@both_loops
def test_a_refusal_is_passed_on_with_its_hint(backend: str) -> None:
    async def test() -> None:
        busy = Answer.error(429, "Slow down.", headers={"retry-after": "7", "x-ratelimit-limit-requests": "3"})
        async with FakeChat(busy, listen=False) as provider, bridge_client(provider) as client:
            for _ in range(2):
                with pytest.raises(RateLimitError, match=r"Slow down\.") as caught:
                    await client.create(model="m", input="x")
                assert caught.value.retry_after == 7
                assert caught.value.headers["x-ratelimit-limit-requests"] == "3"
            assert len(provider.requests) == 2

    run(backend, test)


@both_loops
def test_what_is_over_in_a_moment_is_repeated(backend: str) -> None:
    async def test() -> None:
        async with FakeChat(Answer.error(503), "Here.", listen=False) as provider, bridge_client(provider) as client:
            assert (await client.create(model="m", input="x")).output_text == "Here."

    run(backend, test)


@both_loops
def test_an_answer_in_the_other_form_is_read(backend: str) -> None:
    async def test() -> None:
        whole: Any = {
            "id": "c",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Whole."}, "finish_reason": "stop"}],
        }
        pieces = Answer.stream(chunk({"content": "In "}), chunk({"content": "pieces."}, "stop"), b"data: [DONE]\n\n")
        async with FakeChat(Answer.json(whole), pieces, listen=False) as provider, bridge_client(provider) as client:
            async with client.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == "Whole."
            assert (await client.create(model="m", input="x")).output_text == "In pieces."

    run(backend, test)


@both_loops
def test_connections_are_reused(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("Hi.") as provider:
            made = ChatBridge(ChatUpstream(provider.url, KEY))
            app = ResponsesApp(made, lifespan=lambda: made)
            async with app, ResponsesClient("http://l/v1", "k", http_client=InProcessTransport(app)) as client:
                for _ in range(4):
                    async with client.stream(model="m", input="x") as stream:
                        await stream.result()
                    await client.create(model="m", input="x")
            assert provider.connections == 1

    run(backend, test)


@both_loops
def test_parameters_that_are_not_known_are_passed_if_the_operator_says_so(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("Hi.", listen=False) as provider:
            async with bridge_client(provider) as client:
                with pytest.raises(BadRequestError) as caught:
                    await client.create(model="m", input="x", extra={"top_k": 5})
                assert caught.value.param == "top_k"
            async with bridge_client(provider, unknown_parameters="pass", app={"unknown_parameters": "pass"}) as client:
                await client.create(model="m", input="x", extra={"top_k": 5})
                assert provider.requests[-1].json["top_k"] == 5

    run(backend, test)
