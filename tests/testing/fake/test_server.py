from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from tests.support import PATIENCE, both_loops, run
from tests.testing.fake.test_answers import WHOLE

from responses_proto import ResponsesClient
from responses_proto.exceptions import LocalProtocolError, NotFoundError, StreamTruncated, TransportError
from responses_proto.models.events import OutputTextDelta
from responses_proto.testing import Answer, FakeServer, Fault, Script, ServerExchange

if TYPE_CHECKING:
    from responses_proto.client.transport import Transport
    from responses_proto.testing import Scriptable

SCRIPTS: list[Scriptable] = [
    "Hi there.",
    WHOLE,
    Answer.text("Hi there."),
    lambda _: "Hi there.",
    lambda _: Answer.response(WHOLE),
]
both_ways = pytest.mark.parametrize("way", ["socket", "memory"])


def client(server: FakeServer, way: str = "socket") -> ResponsesClient:
    transport: Transport | None = server.transport if way == "memory" else None
    return ResponsesClient(server.url, "key-that-nobody-may-see", http_client=transport)


async def say(c: ResponsesClient, text: str = "x") -> str:
    async with c.stream(model="m", input=text) as stream:
        return (await stream.result()).output_text


@both_loops
@both_ways
@pytest.mark.parametrize("script", SCRIPTS)
def test_anything_that_can_be_an_answer_is_one(backend: str, way: str, script: Scriptable) -> None:
    async def test() -> None:
        async with FakeServer(script) as server, client(server, way) as c:
            assert await say(c) == "Hi there."
            assert (await c.create(model="m", input="x")).output_text == "Hi there."

    run(backend, test)


@both_loops
@both_ways
def test_what_was_asked_is_noted(backend: str, way: str) -> None:
    async def test() -> None:
        async with FakeServer() as server, client(server, way) as c:
            await say(c, "Grüße")
            await c.create(model="m", input="x")
            streamed, whole = server.requests
            assert (streamed.method, streamed.target, streamed.path) == ("POST", "/v1/responses", "/v1/responses")
            assert streamed.json == {"model": "m", "input": "Grüße", "stream": True}
            assert streamed.headers["authorization"] == "Bearer key-that-nobody-may-see"
            assert streamed.headers["accept-encoding"] == "identity"
            assert int(streamed.headers["content-length"]) == len(streamed.body)
            assert (streamed.wants_stream, whole.wants_stream) == (True, False)
            assert "key-that-nobody" not in repr(server.requests)
            assert server.connections == (1 if way == "socket" else 2)

    run(backend, test)


@both_loops
@both_ways
def test_answers_come_in_turn_and_the_last_one_stays(backend: str, way: str) -> None:
    async def test() -> None:
        script = Script("One.", Answer.text("Two."), lambda peer: str(peer.request.json["input"]))
        async with FakeServer(script) as server, client(server, way) as c:
            assert [await say(c, "three"), await say(c), await say(c, "four"), await say(c, "five")] == [
                "One.", "Two.", "four", "five",
            ]  # fmt: skip

    run(backend, test)


@both_loops
@both_ways
def test_what_it_says_can_be_changed_while_it_runs(backend: str, way: str) -> None:
    async def test() -> None:
        async with FakeServer() as server, client(server, way) as c:
            assert await say(c) == "Hello, world."
            server.script = Script("One.", lambda _: Answer.text("Two."))
            assert [await say(c), await say(c), await say(c)] == ["One.", "Two.", "Two."]

    run(backend, test)


def test_the_address_is_not_known_before_it_runs() -> None:
    with pytest.raises(LocalProtocolError, match="does not run: use it inside its `async with` block"):
        _ = FakeServer().url
    assert FakeServer(listen=False).url.startswith("http://")


@both_loops
def test_paths_have_answers_of_their_own(backend: str) -> None:
    async def test() -> None:
        script = Script("Else.").on("get", "/responses/resp_1", Answer.json(WHOLE), Answer.error(404))
        async with FakeServer(script) as server, httpx.AsyncClient() as http:
            url = f"{server.url}/responses/resp_1"
            assert (await http.get(url)).json()["id"] == "resp_1"
            assert (await http.get(url, params={"include": "x"})).status_code == 404
            assert server.requests[1].query == [("include", "x")]
            async with client(server) as c:
                assert await say(c) == "Else."

    run(backend, test)


@both_loops
@both_ways
def test_a_script_can_talk_to_the_client_itself(backend: str, way: str) -> None:
    async def test() -> None:
        heard, gone = anyio.Event(), anyio.Event()

        async def script(peer: ServerExchange) -> None:
            draft = Answer.text("One two.").draft()
            for step in draft.steps[:5]:
                assert isinstance(step, bytes)
                await peer.send(step)
            await heard.wait()  # a client that waited for more would wait for ever
            await peer.until_closed()
            gone.set()

        async with FakeServer(script) as server, client(server, way) as c:
            async with c.stream(model="m", input="x") as stream:
                async for event in stream:
                    if isinstance(event, OutputTextDelta):
                        heard.set()
                        break
            with anyio.fail_after(PATIENCE):
                await gone.wait()

    run(backend, test)


@both_loops
@both_ways
def test_a_client_that_does_not_read_makes_the_server_wait(backend: str, way: str) -> None:
    async def test() -> None:
        peers: list[ServerExchange] = []

        async def script(peer: ServerExchange) -> None:
            peers.append(peer)
            while True:
                await peer.send(b": x\n\n" * 20_000)

        async with FakeServer(script) as server, client(server, way) as c, c.stream(model="m", input="x"):
            sent = -1
            while not peers or peers[0].sent != sent:  # until nothing more goes out
                sent = peers[0].sent if peers else -1
                await anyio.sleep(0.2)
            assert 0 < sent < 50_000_000
            assert server.active == 1

    run(backend, test)


@both_loops
@both_ways
def test_an_answer_that_ends_early_is_told_from_one_that_breaks(backend: str, way: str) -> None:
    async def test() -> None:
        ends = [Answer.text("x").with_faults(fault) for fault in (Fault.eof(1), Fault.reset(1), Fault.no_answer())]
        async with FakeServer(Script(*ends)) as server, client(server, way) as c:
            with pytest.raises(StreamTruncated):
                await say(c)
            with pytest.raises(TransportError, match="broke") as broken:
                await say(c)
            assert not isinstance(broken.value, StreamTruncated)
            with pytest.raises(TransportError, match="no answer") as silent:
                await say(c)
            assert silent.value.retry_safety == "unsafe"

    run(backend, test)


@both_loops
def test_the_end_of_the_connection_can_be_the_end_of_the_body(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.start(headers={"Connection": "close"})
            for step in Answer.text("Whole.").draft().steps:
                assert isinstance(step, bytes)
                await peer.send(step)

        async with FakeServer(script) as server:
            for way in ("socket", "memory"):
                async with client(server, way) as c:
                    assert await say(c) == "Whole."
                    assert await say(c) == "Whole."

    run(backend, test)


@both_loops
@both_ways
def test_an_error_in_the_script_is_raised_at_the_end_of_the_block(backend: str, way: str) -> None:
    async def test() -> None:
        def script(peer: ServerExchange) -> str:
            raise ZeroDivisionError(peer.request.path)

        async def use() -> None:
            async with FakeServer(script) as server, client(server, way) as c:
                with pytest.raises(TransportError):
                    await say(c)

        with pytest.raises(ZeroDivisionError, match="/v1/responses"):
            await use()

    run(backend, test)


@both_loops
def test_what_the_block_raises_is_raised_as_it_is(backend: str) -> None:
    async def test() -> None:
        with pytest.raises(NotFoundError):
            async with FakeServer(Answer.error(404)) as server, client(server) as c:
                await say(c)

    run(backend, test)


@both_loops
def test_a_request_that_the_script_has_nothing_for_is_an_error_of_the_script(backend: str) -> None:
    async def test() -> None:
        async def use() -> None:
            async with FakeServer(Script().on("GET", "/responses/x", "?")) as server, client(server, "memory") as c:
                with pytest.raises(TransportError):
                    await say(c)

        with pytest.raises(LocalProtocolError, match="no answer to POST /v1/responses"):
            await use()

    run(backend, test)


@both_loops
@both_ways
def test_leaving_the_block_ends_what_is_going_on(backend: str, way: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.text("x").with_faults(Fault.stall(after=0))) as server:
            c = client(server, way)
            stream = await c.stream(model="m", input="x").__aenter__()
            await anext(stream)
        with pytest.raises(TransportError):
            await stream.result()
        await stream.aclose()
        await c.aclose()

    run(backend, test)


@both_loops
def test_cancelling_the_block_ends_it(backend: str) -> None:
    async def test() -> None:
        with anyio.move_on_after(0.1) as scope:
            async with FakeServer(Answer.text("x").with_faults(Fault.stall(after=0))) as server, client(server) as c:
                await say(c)
        assert scope.cancelled_caught

    run(backend, test)


@both_loops
def test_in_memory_no_socket_is_needed(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("Hi.", listen=False) as server, client(server, "memory") as c:
            assert await say(c) == "Hi."
            with pytest.raises(LocalProtocolError, match="already"):
                await server.__aenter__()
        c = client(server, "memory")
        with pytest.raises(LocalProtocolError, match="does not run"):
            await say(c)

    run(backend, test)


@both_loops
def test_other_clients_can_talk_to_it(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("Hi.") as server, httpx.AsyncClient() as http:

            async def pieces() -> object:
                yield b'{"model": "m", '
                yield b'"input": "x"}'

            answer = await http.post(f"{server.url}/responses", content=pieces())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - an async generator is fine
            assert answer.json()["output"][0]["content"][0]["text"] == "Hi."
            assert server.requests[0].headers["transfer-encoding"] == "chunked"
            assert json.loads(server.requests[0].body) == {"model": "m", "input": "x"}

    run(backend, test)


@both_loops
def test_a_hundred_streams_at_a_time(backend: str) -> None:
    async def test() -> None:
        texts: list[str] = []

        async def one(c: ResponsesClient, number: int) -> None:
            texts.append(await say(c, f"number {number}"))

        async with FakeServer(lambda peer: str(peer.request.json["input"])) as server:
            for way in ("socket", "memory"):
                async with client(server, way) as c, anyio.create_task_group() as tasks:
                    for number in range(100):
                        tasks.start_soon(one, c, number)
        assert sorted(texts) == sorted([f"number {number}" for number in range(100)] * 2)

    run(backend, test)
