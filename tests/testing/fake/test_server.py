from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from tests.support import PATIENCE, both_loops, run
from tests.testing.fake.test_answers import WHOLE

from responses_proto import ResponsesClient
from responses_proto.exceptions import (
    LocalProtocolError,
    NotFoundError,
    ServerError,
    StreamTruncated,
    TransportError,
    UsageError,
)
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
def test_every_kind_of_script_answers(backend: str, way: str, script: Scriptable) -> None:
    async def test() -> None:
        async with FakeServer(script) as server, client(server, way) as c:
            assert await say(c) == "Hi there."
            assert (await c.create(model="m", input="x")).output_text == "Hi there."

    run(backend, test)


@both_loops
@both_ways
def test_requests_are_recorded(backend: str, way: str) -> None:
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
def test_the_script_can_be_replaced_while_the_server_runs(backend: str, way: str) -> None:
    async def test() -> None:
        async with FakeServer() as server, client(server, way) as c:
            assert await say(c) == "Hello, world."
            server.script = Script("One.", lambda _: Answer.text("Two."))
            assert [await say(c), await say(c), await say(c)] == ["One.", "Two.", "Two."]

    run(backend, test)


def test_the_address_is_not_known_before_it_runs() -> None:
    with pytest.raises(LocalProtocolError, match="is not running: use it inside its `async with` block"):
        _ = FakeServer().url
    assert FakeServer(listen=False).url.startswith("http://")


@both_loops
def test_a_path_can_have_its_own_answers(backend: str) -> None:
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
            draft = Answer.text("One two.").to_wire()
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
def test_early_end_reset_and_no_answer_raise_different_errors(backend: str, way: str) -> None:
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
            for step in Answer.text("Whole.").to_wire().steps:
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
                with pytest.raises(ServerError, match="the script raised ZeroDivisionError: /v1/responses"):
                    await say(c)
                assert len(server.requests) == 1  # the client does not try again what cannot work
                server.script = "Hello."
                assert await say(c) == "Hello."

        with pytest.raises(ZeroDivisionError, match="/v1/responses"):
            await use()

    run(backend, test)


@both_loops
def test_an_exception_of_the_block_is_not_wrapped(backend: str) -> None:
    async def test() -> None:
        with pytest.raises(NotFoundError):
            async with FakeServer(Answer.error(404)) as server, client(server) as c:
                await say(c)
        with pytest.raises(pytest.skip.Exception):
            async with FakeServer():
                pytest.skip("which is no Exception")

    run(backend, test)


@both_loops
def test_a_request_without_an_answer_is_an_error_of_the_script(backend: str) -> None:
    async def test() -> None:
        async def use() -> None:
            async with FakeServer(Script().on("GET", "/responses/x", "?")) as server, client(server, "memory") as c:
                with pytest.raises(ServerError, match="the script has no answer"):
                    await say(c)

        with pytest.raises(UsageError, match="no answer to POST /v1/responses"):
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
            with pytest.raises(LocalProtocolError, match="is already running"):
                await server.__aenter__()
        c = client(server, "memory")
        with pytest.raises(LocalProtocolError, match="is not running"):
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


async def received(server: FakeServer, data: bytes, until: bytes = b"never") -> tuple[bytes, type[Exception] | None]:
    """Send bytes. Return the answer up to `until`, and the exception that ended the connection before it."""
    host, _, port = server.origin.removeprefix("http://").rpartition(":")
    answer = b""
    async with await anyio.connect_tcp(host, int(port)) as socket:
        try:
            await socket.send(data)
            with anyio.fail_after(PATIENCE):
                while until not in answer:
                    answer += await socket.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError) as end:
            return answer, type(end)
    return answer, None


POST = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\n"
BAD_REQUESTS = {
    "length": (POST + b"Content-Length: abc\r\n\r\n", b"400"),
    "negative length": (POST + b"Content-Length: -5\r\n\r\n{}", b"400"),
    "two lengths": (POST + b"Content-Length: 5, 6\r\n\r\nhello", b"400"),
    "chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
    "transfer encoding": (POST + b"Transfer-Encoding: shrunk\r\n\r\n", b"501"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    "no HTTP": (b"\x16\x03\x01 hello\r\n\r\n", b"400"),
    "huge head": (POST + b"X: " + b"x" * 300_000, b"431"),
    "bad header": (POST + b"Authorization: key-that-nobody-may-see\x00\r\n\r\n", b"400"),
}


@both_loops
@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_client_that_breaks_http_ends_its_own_connection_only(backend: str, name: str) -> None:
    data, status = BAD_REQUESTS[name]

    async def test() -> None:
        async with FakeServer("Hi.") as server, client(server) as c:
            answer, _ = await received(server, data)
            assert answer.partition(b" ")[2].startswith(status) or (name == "huge head" and not answer)
            assert await say(c) == "Hi."
            (error,) = server.client_errors
            assert "connection 0: expected an HTTP/1.1 request" in str(error)
            assert "nobody" not in str(error)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("target", ["//[", "http://[/v1/responses", "/v1/responses?[=%"])
@pytest.mark.parametrize("upgrade", [b"", b"Upgrade: websocket\r\n"])
def test_every_target_and_body_gets_an_answer(backend: str, target: str, upgrade: bytes) -> None:
    async def test() -> None:
        async with FakeServer(Script("Hi.").on("GET", "/nothing", "?")) as server:
            body = b"[" * 100_000
            head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n".encode()
            answer, _ = await received(server, head + upgrade + b"\r\n" + body, until=b"\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 101", b"HTTP/1.1 404", b"HTTP/1.1 405"))
            assert server.requests[0].path in {"//[", "", "/v1/responses"}

    run(backend, test)


@both_loops
def test_a_client_may_wait_for_100_continue(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("Hi.") as server:
            answer, _ = await received(
                server, POST + b"Expect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            assert answer.startswith(b"HTTP/1.1 400")
            host, _, port = server.origin.removeprefix("http://").rpartition(":")
            async with await anyio.connect_tcp(host, int(port)) as socket:
                await socket.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
                assert (await socket.receive()).startswith(b"HTTP/1.1 100")
                await socket.send(b"{}")
                assert (await socket.receive()).startswith(b"HTTP/1.1 400")  # which is not a request

    run(backend, test)


@both_loops
def test_a_reset_is_an_error_for_the_client(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(ServerExchange.reset, check_requests=False) as server:
            for _ in range(20):
                assert await received(server, POST + b"\r\n") == (b"", anyio.BrokenResourceError)

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("headers", "pieces", "wanted"),
    [
        ({"content-length": "9"}, [b"short"], b"content-length: 9\r\n\r\nshort"),
        ({"content-length": "2"}, [b"lo", b"ng"], b"content-length: 2\r\n\r\nlong"),
        ({"content-length": "abc"}, [b"x"], b"content-length: abc\r\n\r\nx"),
        ({"x-name": "a\x00b"}, [b"x"], b"x-name: a\x00b\r\n\r\nx"),
        ({"x-name": "ä"}, [b"x"], b"x-name: \xe4\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        ({"connection": "close"}, [b"x", b"y"], b"\r\nxy"),
    ],
)
def test_broken_heads_and_lengths_are_sent_as_they_are(
    backend: str, headers: dict[str, str], pieces: list[bytes], wanted: bytes
) -> None:
    async def test() -> None:
        async def script(exchange: ServerExchange) -> None:
            await exchange.start(headers=headers, content_type=None)
            for piece in pieces:
                await exchange.send(piece)

        async with FakeServer(script, check_requests=False) as server:
            answer, _ = await received(server, POST + b"Connection: close\r\n\r\n")
            assert answer.lower().replace(b"connection: close\r\n", b"") == b"http/1.1 200 ok\r\n" + wanted

    run(backend, test)


@both_loops
def test_a_status_may_be_any_number(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.body(b"x", 999), check_requests=False) as server:
            answer, _ = await received(server, POST + b"Connection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 999 Unknown\r\n")
            server.script = Answer.body(b"x", 42)
            answer, _ = await received(server, POST + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 42 Unknown\r\n")

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
