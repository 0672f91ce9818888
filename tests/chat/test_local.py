"""A client for a chat-only provider, in this process: everything of the Responses API works, and nothing stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.chat.bridges import calls, until_said
from tests.support import PATIENCE, both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.chat import chat_client
from responses_proto.chat._in_process import InProcessTransport
from responses_proto.exceptions import (
    LocalProtocolError,
    NotFoundError,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.server import ResponsesApp
from responses_proto.testing import FakeChat
from responses_proto.tools import function_tool

if TYPE_CHECKING:
    from responses_proto.testing import ServerExchange


@both_loops
def test_what_a_provider_does_not_have_is_there(backend: str) -> None:
    async def test() -> None:
        async with FakeChat("One two.") as provider, chat_client(provider.url) as client:
            first = await client.create(model="m", input="Count.")
            assert first.output_text == "One two."
            assert (await client.retrieve(first.id)).output_text == "One two."
            async with client.stream(model="m", input="More.", previous_response_id=first.id) as stream:
                assert "".join([text async for text in stream.text_deltas()]) == "One two."
            later = await client.wait(await client.create(model="m", input="x", background=True))
            assert later.status == "completed"
            assert [model.id for model in await client.models()] == ["fake"]
            await client.delete(first.id)
            with pytest.raises(NotFoundError):
                await client.retrieve(first.id)

    run(backend, test)


@both_loops
def test_a_run_calls_tools(backend: str) -> None:
    @function_tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    def answer(exchange: ServerExchange) -> Any:
        messages = exchange.request.json["messages"]
        return (
            f"It is {messages[-1]['content']}." if messages[-1]["role"] == "tool" else calls(("add", '{"a":1,"b":2}'))
        )

    async def test() -> None:
        async with FakeChat(answer) as provider, chat_client(provider.url) as client:
            async with client.run(model="m", input="1+2?", tools=[add]) as made:
                result = await made.result()
            assert result.response.output_text == "It is 3."

    run(backend, test)


@both_loops
def test_events_arrive_as_they_are_written(backend: str) -> None:
    async def test() -> None:
        go_on = anyio.Event()

        async def slowly(exchange: ServerExchange) -> None:
            for word in ("One", " two."):
                data = f'data: {{"choices": [{{"index": 0, "delta": {{"content": "{word}"}}}}]}}\n\n'
                await exchange.send(data.encode())
                await go_on.wait()
            await exchange.send(b"data: [DONE]\n\n")

        async with (
            FakeChat(slowly) as provider,
            chat_client(provider.url) as client,
            client.stream(model="m", input="x") as stream,
        ):
            texts = stream.text_deltas()
            with anyio.fail_after(PATIENCE):
                assert await anext(texts) == "One"
            go_on.set()
            assert [text async for text in texts] == [" two."]

    run(backend, test)


@both_loops
def test_leaving_ends_everything(backend: str) -> None:
    async def test() -> None:
        left = anyio.Event()

        async def endless(exchange: ServerExchange) -> None:
            await exchange.send(b'data: {"choices": [{"index": 0, "delta": {"content": "One"}}]}\n\n')
            await exchange.until_closed()
            left.set()

        async with FakeChat(endless) as provider:
            client = chat_client(provider.url)
            async with client:
                response = await client.create(model="m", input="x", background=True)
                await until_said(client, response.id)
            with anyio.fail_after(PATIENCE):
                await left.wait()
            with pytest.raises(LocalProtocolError):
                await client.create(model="m", input="x")
            with pytest.raises(LocalProtocolError):
                await client.__aenter__()

    run(backend, test)


@both_loops
def test_a_client_that_is_never_entered_can_be_closed(backend: str) -> None:
    async def test() -> None:
        await chat_client("http://127.0.0.1:9/v1").aclose()

    run(backend, test)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs a base_url"),
        ({"base_url": "http://x/v1/chat/completions"}, "the part before"),
        ({"base_url": "http://x/v1", "profile": "nobody"}, "unknown profile"),
        ({"base_url": "http://x/v1", "allow_mcp": "mcp.example"}, r"\['mcp.example'\]"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        chat_client(**arguments)


# ---- the transport


def client_of(app: Any) -> ResponsesClient:
    return ResponsesClient("http://l/v1", "k", http_client=InProcessTransport(app), retry=RetryPolicy(attempts=1))


@both_loops
def test_an_application_that_fails_is_an_error_of_the_call(backend: str) -> None:
    async def returns(_scope: Any, _receive: Any, _send: Any) -> None:
        await anyio.lowlevel.checkpoint()

    async def raises(_scope: Any, _receive: Any, _send: Any) -> None:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("no")

    async def stops(_scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"half": ', "more_body": True})

    async def test() -> None:
        for app, error in ((returns, TransportError), (raises, TransportError), (stops, StreamTruncated)):
            async with client_of(app) as client:
                with pytest.raises(error):
                    await client.request("GET", "x")

    run(backend, test)


@both_loops
def test_an_application_learns_that_its_client_has_left(backend: str) -> None:
    async def test() -> None:
        ended = anyio.Event()

        async def waits(_scope: Any, _receive: Any, _send: Any) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

        async with client_of(waits) as client:
            with anyio.move_on_after(0.05):
                await client.request("GET", "x")
            assert ended.is_set()

    run(backend, test)


@both_loops
def test_a_body_may_be_as_large_as_it_likes(backend: str) -> None:
    async def test() -> None:
        async def handler(request: Any, reply: Any) -> None:
            async with reply.message() as message:
                for _ in range(50):
                    await message.text(request.input[:10_000])

        async with client_of(ResponsesApp(handler, store=None)) as client:
            response = await client.create(model="m", input="x" * 1_000_000)
        assert len(response.output_text) == 500_000

    run(backend, test)
