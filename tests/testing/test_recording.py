"""The recording server forwards requests and writes a cassette."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import RateLimitError, StreamTruncated, TransportError, UsageError
from responses_proto.testing import Answer, Cassette, FakeServer, Fault, RecordingServer, Script, replay

if TYPE_CHECKING:
    from pathlib import Path

KEY = "key-that-nobody-may-see"


async def say(client: ResponsesClient) -> str:
    async with client.stream(model="m", input="x") as stream:
        return (await stream.result()).output_text


@both_loops
def test_a_client_gets_the_real_answers_and_the_cassette_has_them(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "tape.json"

    async def test() -> None:
        script = Script("Streamed.", Answer.text("Whole.").with_faults(Fault.compressed()), Answer.error(429))
        async with FakeServer(script) as real:
            async with RecordingServer(path, real.url) as server, ResponsesClient(server.url, KEY) as client:
                assert await say(client) == "Streamed."
                assert (await client.create(model="m", input="x")).output_text == "Whole."
                with pytest.raises(RateLimitError):
                    await client.retrieve("resp_1", include=["message.output_text.logprobs"])
            assert {request.headers["authorization"] for request in real.requests} == {f"Bearer {KEY}"}
            assert real.requests[0].headers["host"] == real.origin.removeprefix("http://")
            assert real.requests[2].target == "/v1/responses/resp_1?include%5B%5D=message.output_text.logprobs"
        assert KEY not in path.read_text()
        async with FakeServer(replay(path)) as again, ResponsesClient(again.url, "other") as client:
            assert await say(client) == "Streamed."
            assert (await client.create(model="m", input="x")).output_text == "Whole."

    run(backend, test)


@both_loops
def test_a_stream_comes_through_as_it_comes(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        stalling = Answer.text("One two.").with_faults(Fault.stall(after="response.output_text.delta"))
        async with (
            FakeServer(stalling) as real,
            RecordingServer(tmp_path / "tape.json", real.url) as server,
            ResponsesClient(server.url) as client,
            client.stream(model="m", input="x") as stream,
        ):
            async for text in stream.text_deltas():
                assert text == "One"
                break

    run(backend, test)


@both_loops
def test_a_broken_connection_is_passed_on(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        script = Script(
            Answer.text("x").with_faults(Fault.reset(after=2)),
            Answer.text("x").with_faults(Fault.no_answer()),
        )
        path = tmp_path / "tape.json"
        async with (
            FakeServer(script) as real,
            RecordingServer(path, real.url) as server,
            ResponsesClient(server.url) as client,
        ):
            with pytest.raises(TransportError) as broken:
                await say(client)
            assert not isinstance(broken.value, StreamTruncated)
            with pytest.raises(TransportError, match="no answer"):
                await say(client)
        assert [exchange.end for exchange in Cassette.load(path).exchanges] == ["reset", "unanswered"]

    run(backend, test)


@both_loops
def test_an_address_may_have_a_path_and_a_query_of_its_own(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with FakeServer("Hi.") as real:
            upstream = f"{real.origin}/openai/v1?api-version=1"
            async with RecordingServer(tmp_path / "tape.json", upstream) as server, httpx.AsyncClient() as http:
                await http.get(f"{server.url}/responses/resp_1", params={"stream": "true"})
                await http.get(f"{server.url}/responses/resp_1")
            assert [request.target for request in real.requests] == [
                "/openai/v1/responses/resp_1?api-version=1&stream=true",
                "/openai/v1/responses/resp_1?api-version=1",
            ]

    run(backend, test)


@both_loops
def test_a_websocket_is_passed_on_and_recorded(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    async def turns(url: str, *texts: str) -> list[str]:
        said: list[str] = []
        async with ResponsesClient(url, KEY) as client, client.connect() as session:
            for text in texts:
                async with session.stream(model="m", input=text) as stream:
                    said.append((await stream.result()).output_text)
        return said

    async def test() -> None:
        async with FakeServer(lambda peer: str(peer.request.json["input"])) as real:
            async with RecordingServer(path, real.url) as server:
                assert await turns(server.url, "One.", "Two.") == ["One.", "Two."]
            assert {request.headers["authorization"] for request in real.requests} == {f"Bearer {KEY}"}
        assert KEY not in path.read_text()
        async with FakeServer(replay(path)) as server:
            assert await turns(server.url, "Two.", "One.") == ["Two.", "One."]

    run(backend, test)


@both_loops
def test_the_given_http_client_is_used(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with FakeServer("Hi.", listen=False) as real:
            server = RecordingServer(tmp_path / "tape.json", "http://real.invalid/v1", http_client=real.transport)
            async with server, ResponsesClient(server.url) as client:
                assert await say(client) == "Hi."

    run(backend, test)


def test_an_invalid_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="base_url"):
        RecordingServer(tmp_path / "tape.json", "localhost:8080")
