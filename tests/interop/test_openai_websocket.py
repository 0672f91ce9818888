"""The official client, unchanged, over WebSocket against our server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.sockets import KEY, TEXT, eventually, messages
from tests.support import run

from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving
from responses_proto.testing import FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Generator

openai: Any = pytest.importorskip("openai")
pytest.importorskip("websockets")


@pytest.fixture(scope="module")
def server() -> Generator[str]:
    with serving(ResponsesApp(Scripted(delay=0.002), keys=[KEY])) as url:
        yield url


async def turn(connection: Any, **asked: Any) -> Any:
    """Request a response, and return its last event."""
    await connection.response.create(model="scripted", **asked)
    while True:
        event = await connection.recv()
        if event.type in ("response.completed", "response.failed", "response.incomplete", "error"):
            return event


def test_turns_and_a_continuation(server: str) -> None:
    async def test() -> None:
        async with openai.AsyncOpenAI(base_url=server, api_key=KEY) as client, client.responses.connect() as connection:
            first = await turn(connection, input="One two.", store=False)
            assert (first.type, first.response.output_text) == ("response.completed", "One two.")
            second = await turn(connection, input="Three.", store=False, previous_response_id=first.response.id)
            assert second.response.output_text == "Three."
            assert second.response.previous_response_id == first.response.id
            refused = await turn(connection, input="x", store=False, previous_response_id=first.response.id)
            assert (refused.type, refused.error.code) == ("error", "previous_response_not_found")
            third = await turn(connection, input="Four.", stream_id="lane", tools=[])
            assert (third.response.output_text, third.stream_id) == ("Four.", "lane")

    run("asyncio", test)


def test_a_steered_response(server: str) -> None:
    async def test() -> None:
        async with openai.AsyncOpenAI(base_url=server, api_key=KEY) as client, client.responses.connect() as connection:
            await connection.response.create(model="scripted", input="Tell me a story about a snail.")
            created = await connection.recv()
            await connection.response.steer(previous_response_id=created.response.id, input="About a whale.")
            seen: list[Any] = []
            while [event.type for event in seen].count("response.completed") < 2:
                seen.append(await connection.recv())
            assert "response.steer.accepted" in [event.type for event in seen]
            assert seen[-1].response.previous_response_id == created.response.id
            assert seen[-1].response.output_text == "About a whale."

    run("asyncio", test)


def test_a_wrong_key(server: str) -> None:
    async def test() -> None:
        async with openai.AsyncOpenAI(base_url=server, api_key="wrong") as client:
            with pytest.raises(Exception, match="401"):
                async with client.responses.connect():
                    pass

    run("asyncio", test)


def test_the_synchronous_client(server: str) -> None:
    with openai.OpenAI(base_url=server, api_key=KEY) as client, client.responses.connect() as connection:
        connection.response.create(model="scripted", input="One.")
        for event in connection:
            if event.type == "response.completed":
                assert event.response.output_text == "One."
                break


def test_the_fake_server_as_well() -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> str:
            assert peer.request.headers["authorization"] == f"Bearer {KEY}"
            return TEXT

        async with FakeServer(script) as server, openai.AsyncOpenAI(base_url=server.url, api_key=KEY) as client:
            async with client.responses.connect() as connection:
                assert (await turn(connection, input="x")).response.output_text == TEXT
            await eventually(lambda: len(messages(server)) == 1)

    run("asyncio", test)
