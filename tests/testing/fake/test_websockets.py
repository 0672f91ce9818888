"""The fake server's WebSocket with clients of others: httpx-ws, and the `websockets` package if it is installed."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

import anyio
import httpx
import httpx_ws
import pytest
from tests.sockets import TEXT, eventually, session_with
from tests.streams import plain
from tests.support import PATIENCE, both_loops, run
from tests.testing.fake.test_answers import WHOLE
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from responses_proto import ResponsesClient
from responses_proto.client.transport import WireRequest
from responses_proto.client.websocket._connection import upgrade
from responses_proto.exceptions import BadRequestError, StreamInterrupted, StreamTruncated, UsageError
from responses_proto.testing import FAULTS, Answer, FakeServer, Fault, Script, ServerExchange

CREATE: dict[str, Any] = {"type": "response.create", "model": "m", "input": "x"}


async def talk(server: FakeServer, *asked: Any, until: str = "response.completed") -> list[Any]:
    """Send messages, one after the other, and return the answers, each up to its last event."""
    heard: list[Any] = []
    async with httpx.AsyncClient() as http, httpx_ws.aconnect_ws(f"{server.url}/responses", http) as socket:
        for message in asked:
            await socket.send_text(message if isinstance(message, str) else json.dumps(message))
            while not heard or heard[-1].get("type") != until:
                heard.append(json.loads(await socket.receive_text()))
            heard.append({})
    return heard


@both_loops
def test_every_kind_of_script_answers_messages(backend: str) -> None:
    async def test() -> None:
        script = Script("One.", WHOLE, Answer.events(plain()), lambda peer: str(peer.request.json["input"]))
        async with FakeServer(script) as server:
            heard = await talk(server, CREATE, CREATE, CREATE, CREATE)
            ends = [event["response"]["output"] for event in heard if event.get("type") == "response.completed"]
            messages = [item for output in ends for item in output if item["type"] == "message"]
            assert [message["content"][0]["text"] for message in messages] == ["One.", "Hi there.", TEXT, "x"]
            assert not any("stream_id" in event for event in heard)

    run(backend, test)


@both_loops
def test_messages_are_recorded(backend: str) -> None:
    async def test() -> None:
        async with FakeServer() as server:
            await talk(server, {**CREATE, "stream_id": "a"})
            handshake, message = server.requests
            assert (handshake.method, handshake.message, handshake.wants_stream) == ("GET", False, False)
            assert (message.method, message.path, message.message) == ("POST", "/v1/responses", True)
            assert message.wants_stream
            assert message.json == {**CREATE, "stream_id": "a"}
            assert message.headers == handshake.headers
            assert (message.connection, server.connections) == (0, 1)

    run(backend, test)


@both_loops
def test_events_echo_the_lane(backend: str) -> None:
    async def test() -> None:
        async with FakeServer() as server:
            heard = await talk(server, {**CREATE, "stream_id": "a"})
            assert {event["stream_id"] for event in heard if event} == {"a"}

    run(backend, test)


@both_loops
def test_the_method_of_other_messages_is_their_type(backend: str) -> None:
    async def test() -> None:
        async def noted(peer: ServerExchange) -> None:
            await peer.message({"type": "response.completed", "you said": peer.request.json})

        script = Script("One.").on("response.steer", "/responses", noted)
        async with FakeServer(script) as server:
            steer = {"type": "response.steer", "previous_response_id": "resp_1", "input": "x"}
            (heard, _) = await talk(server, steer)
            assert heard["you said"] == steer
            assert server.requests[1].method == "RESPONSE.STEER"

    run(backend, test)


@both_loops
def test_a_handshake_may_be_answered_by_the_script(backend: str) -> None:
    async def test() -> None:
        headers = {"X-Own": "1"}
        script = Script("One.").on("GET", "/responses", Answer.error(401, "No."), Answer.upgrade(headers=headers))
        async with FakeServer(script) as server:
            with pytest.raises(httpx_ws.WebSocketUpgradeError) as caught:
                await talk(server, CREATE)
            assert caught.value.response.status_code == 401
            async with httpx.AsyncClient() as http, httpx_ws.aconnect_ws(f"{server.url}/responses", http) as socket:
                assert socket.response
                assert socket.response.headers["x-own"] == "1"

    run(backend, test)


@both_loops
def test_an_error_is_a_message_with_a_status(backend: str) -> None:
    async def test() -> None:
        script = Script(
            Answer.error(429, "Slow.", code="rate_limit_exceeded", headers={"Retry-After": "7"}),
            Answer.body(b"<p>Bad gateway", 502),
        )
        async with FakeServer(script) as server:
            limited, _ = await talk(server, CREATE, until="error")
            assert (limited["status"], limited["error"]["code"]) == (429, "rate_limit_exceeded")
            assert limited["error"]["headers"] == {"retry-after": "7"}
            broken, _ = await talk(server, CREATE, until="error")
            assert (broken["status"], broken["error"]["message"]) == (502, "<p>Bad gateway")

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    "fault", [fault for name, fault in FAULTS.items() if name != "no terminal"][:32], ids=lambda f: f.name
)
def test_harmless_faults_are_harmless_over_websocket(backend: str, fault: Fault) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(plain()).with_faults(fault)) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == TEXT
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_a_body_that_ends_before_the_response_closes_the_connection(backend: str) -> None:
    async def test() -> None:
        script = Script(
            Answer.events(plain(last=None)),
            Answer.events(plain()).with_faults(Fault.no_terminal()),
            Answer.events([]),
            Answer.events(plain()).with_faults(Fault.no_answer()),
        )
        async with FakeServer(script) as server, session_with(server) as session:
            for _ in range(4):
                with pytest.raises(StreamTruncated):
                    async with session.stream(model="m", input="x") as stream:
                        await stream.result()
            assert server.connections == 4

    run(backend, test)


@both_loops
def test_the_script_chooses_the_close_code(backend: str) -> None:
    async def test() -> None:
        script = Script(
            Answer.events(plain()).with_faults(Fault.eof(after=0, code=1012, reason="restart")),
            lambda peer: peer.close(4001, "enough"),
        )
        async with FakeServer(script) as server:
            for code, reason in ((1012, "restart"), (4001, "enough")):
                with pytest.RaisesGroup(httpx_ws.WebSocketDisconnect, flatten_subgroups=True) as caught:
                    await talk(server, CREATE)
                (error,) = flat(caught.value)
                assert (error.code, error.reason) == (code, reason)

    run(backend, test)


def flat(error: Any) -> list[Any]:
    inside: Any = getattr(error, "exceptions", None)
    return [error] if inside is None else [inner for one in inside for inner in flat(one)]


@both_loops
def test_a_ping_waits_for_its_pong(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> str:
            await peer.ping(b"are you there?")
            return "You are."

        async with FakeServer(script) as server:
            heard = await talk(server, CREATE)
            assert heard[-2]["response"]["output"][0]["content"][0]["text"] == "You are."

    run(backend, test)


@both_loops
def test_lanes_are_answered_side_by_side(backend: str) -> None:
    async def test() -> None:
        both = anyio.Event()

        async def script(peer: ServerExchange) -> str:
            if peer.request.json["stream_id"] == "b":
                both.set()
            await both.wait()
            return "Both."

        async with FakeServer(script) as server, httpx_ws.aconnect_ws(f"{server.url}/responses") as socket:
            for lane in "ab":
                await socket.send_text(json.dumps({**CREATE, "stream_id": lane}))
            ended: set[str] = set()
            while len(ended) < 2:
                event = json.loads(await socket.receive_text())
                if event["type"] == "response.completed":
                    ended.add(event["stream_id"])

    run(backend, test)


@both_loops
def test_over_http_there_are_no_messages(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> str:
            with pytest.raises(UsageError, match="only a WebSocket has messages"):
                await peer.message("x")
            with pytest.raises(UsageError, match="only a WebSocket has pings"):
                await peer.ping()
            return "Right."

        async with FakeServer(script) as server:
            for transport in (None, server.transport):
                async with ResponsesClient(server.url, http_client=transport) as client:
                    assert (await client.create(model="m", input="x")).output_text == "Right."

    run(backend, test)


@both_loops
def test_an_error_in_the_script_is_raised_at_the_end_of_the_block(backend: str) -> None:
    async def test() -> None:
        def script(_: ServerExchange) -> str:
            raise ZeroDivisionError

        async def use() -> None:
            async with FakeServer(script) as server:
                error, _ = await talk(server, CREATE, until="error")
                assert (error["status"], error["error"]["message"]) == (500, "the script raised ZeroDivisionError: ")

        with pytest.raises(ZeroDivisionError):
            await use()

    run(backend, test)


BAD_FRAMES = [
    b"\x83\x80\x00\x00\x00\x00",  # an opcode that does not exist
    b"\x81\x01x",  # without a mask
    b"\x80\x80\x00\x00\x00\x00",  # a continuation of nothing
    b"\xc1\x80\x00\x00\x00\x00",  # an extension that was not agreed on
    b"\x81\x81\x00\x00\x00\x00\xff",  # a text that is not UTF-8
    b"\x88\x82\x00\x00\x00\x00\x03\xe7",  # a close code that does not exist
]


@both_loops
@pytest.mark.parametrize("data", BAD_FRAMES)
def test_a_client_that_breaks_the_protocol_ends_its_own_connection_only(backend: str, data: bytes) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server:
            host, _, port = server.origin.removeprefix("http://").rpartition(":")
            lines = ("GET /v1/responses HTTP/1.1", "host: x", "upgrade: websocket", "sec-websocket-key: x", "", "")
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.send("\r\n".join(lines).encode() + data)  # in one packet with the handshake
                answer = b""
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError), anyio.fail_after(PATIENCE):
                    while True:
                        answer += await stream.receive()
            assert answer.rpartition(b"\r\n\r\n")[2][:1] == b"\x88"
            await talk(server, CREATE)
            (error,) = server.client_errors
            assert "connection 0: expected a WebSocket frame" in str(error)

    run(backend, test)


@both_loops
def test_what_is_not_a_message_of_the_protocol_is_refused(backend: str) -> None:
    async def test() -> None:
        bad = ["[" * 100_000, "{", "", '{"type": 5}', "null", {"model": "m"}, {"type": "response.creat", "model": "m"}]
        bad += [{"type": "response.create", "model": "m", "input": 7}, {"type": "response.create", "input": "x"}]
        async with FakeServer("One.") as server:
            heard = await talk(server, *bad, until="error")
            assert [event["status"] for event in heard if event] == [400] * len(bad)
            assert len(server.client_errors) == len(bad)
            await talk(server, CREATE)

    run(backend, test)


@both_loops
def test_every_message_gets_an_answer(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.", check_requests=False) as server:
            await talk(server, "[" * 100_000, "{", "", '{"type": 5}', "null")
            assert [request.method for request in server.requests[1:]] == ["POST"] * 5

    run(backend, test)


async def finish(session: Any, **fields: Any) -> str:
    async with session.stream(model="m", **fields) as stream:
        return str((await stream.result()).output_text)


@both_loops
def test_a_websocket_needs_no_socket(backend: str) -> None:
    async def test() -> None:
        script = Script("One.", lambda peer: str(peer.request.json["input"]), Answer.error(400, "No."))
        async with FakeServer(script, listen=False) as server:
            async with ResponsesClient(server.url, http_client=server.transport) as client, client.connect() as session:
                assert [await finish(session, input="x"), await finish(session, input="two")] == ["One.", "two"]
                with pytest.raises(BadRequestError):
                    await finish(session, input="x")
                assert [request.message for request in server.requests] == [False, True, True, True]
            await eventually(lambda: server.active == 0)

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    "fault", [Fault.reset(after="response.output_text.delta"), Fault.eof(after="response.output_text.delta")]
)
def test_in_memory_a_reset_is_not_an_end_either(backend: str, fault: Fault) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.text("x").with_faults(fault)) as server,
            ResponsesClient(server.url, http_client=server.transport) as client,
            client.connect() as session,
        ):
            with pytest.raises(StreamTruncated if "EOF" in fault.name else StreamInterrupted):
                await finish(session, input="x")

    run(backend, test)


@both_loops
def test_leaving_the_block_ends_a_websocket_in_memory(backend: str) -> None:
    async def test() -> None:
        request = WireRequest(method="GET", url="http://fake.invalid/v1/responses", headers={})
        async with FakeServer(listen=False) as server:
            reply: Any = await server.transport.send(upgrade(request))
            assert reply.status == 101
        assert await reply.network_stream.read(1) == b""
        await reply.aclose()

    run(backend, test)


def test_a_missing_wsproto_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "responses_proto.testing.fake._websockets", raising=False)
    monkeypatch.setitem(sys.modules, "wsproto", None)

    async def use() -> None:
        async with FakeServer() as server, httpx.AsyncClient() as http:
            answer = await http.get(f"{server.url}/responses", headers={"upgrade": "websocket"})
            assert "pip install" in answer.json()["error"]["message"]

    with pytest.raises(ImportError, match=r"pip install 'responses-proto\[ws\]'"):
        run("asyncio", use)


@both_loops
def test_leaving_the_block_ends_open_exchanges(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.until_closed()

        async with FakeServer(script) as server:
            host, _, port = server.origin.removeprefix("http://").rpartition(":")
            stream = await anyio.connect_tcp(host, int(port))
            lines = ("GET /v1/responses HTTP/1.1", "host: x", "upgrade: websocket", "sec-websocket-key: x", "", "")
            await stream.send("\r\n".join(lines).encode())
            assert b"101" in await stream.receive()
            ours = Connection(ConnectionType.CLIENT)
            await stream.send(ours.send(TextMessage(json.dumps(CREATE))))
            await eventually(lambda: server.active == 1)
        assert server.active == 0
        async with stream:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()

    run(backend, test)


def test_the_websockets_package_can_talk_to_it() -> None:
    websockets: Any = pytest.importorskip("websockets.asyncio.client")

    async def test() -> None:
        # Which compresses, if it is let: the fake server does not, and says so by not taking it up.
        async with (
            FakeServer("One.") as server,
            websockets.connect(server.url.replace("http", "ws") + "/responses") as socket,
        ):
            await socket.send(json.dumps(CREATE))
            event: dict[str, Any] = {}
            while event.get("type") != "response.completed":
                event = json.loads(await socket.recv())
            await socket.ping()

    run("asyncio", test)
