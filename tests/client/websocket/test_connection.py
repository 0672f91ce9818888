"""A WebSocket, frame by frame: what servers may send, what they may not, and what becomes of a connection that says nothing."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.sockets import KEY, TEXT, eventually, frame, messages, opened, say, send, session_with
from tests.streams import plain
from tests.support import PATIENCE, both_loops, run

from responses_proto import Limits, Timeouts
from responses_proto.exceptions import (
    APIError,
    DeadlineExceeded,
    LimitExceeded,
    RemoteProtocolError,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
)
from responses_proto.testing import Answer, FakeServer, Fault, Script, ServerExchange
from responses_proto.testing.fake._websockets import handshake_headers

if TYPE_CHECKING:
    from tests.streams import Wire

TEXT_FRAME, BINARY_FRAME, CLOSE_FRAME, PING_FRAME, PONG_FRAME = 1, 2, 8, 9, 10


def bare(events: list[Wire]) -> list[bytes]:
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]


# ---- messages


@both_loops
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_message_may_come_in_fragments_cut_anywhere(backend: str, size: int) -> None:
    async def test() -> None:
        answer = Answer.events(plain()).with_faults(Fault.split_every(size))
        async with FakeServer(answer) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == TEXT
            assert stream.anomalies == []

    run(backend, test)


@both_loops
def test_many_messages_may_come_in_one_piece(backend: str) -> None:
    async def test() -> None:
        answer = Answer.events(plain()).with_faults(Fault.joined())
        async with FakeServer(answer) as server, session_with(server) as session:
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
def test_a_message_may_be_binary(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            for data in bare(plain()):
                await peer.message(data)

        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
def test_a_message_may_have_line_ends_in_it(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            for number, event in enumerate(plain()):
                await peer.message(json.dumps(event, indent=1).replace("\n", ("\n", "\r\n", "\r")[number % 3]))

        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
@pytest.mark.parametrize("data", ["{", "[]", "null", "", '"\\ud800"', "data: {}", "[DONE"])
def test_a_message_that_is_not_an_event_is_an_anomaly(backend: str, data: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, plain()[:4])
            await peer.message(data)
            await send(peer, plain()[4:])

        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == TEXT
            assert {anomaly.code for anomaly in stream.anomalies} <= {"invalid-json", "not-an-object"}
            assert bool(stream.anomalies) is bool(data)

    run(backend, test)


@both_loops
def test_a_large_message_is_sent_completely(backend: str) -> None:
    text = "ä🌍" * 300_000  # which no cut at 64 KiB leaves whole

    async def test() -> None:
        async with FakeServer(Answer.events(plain())) as server, session_with(server) as session:
            assert await say(session, text) == TEXT
            assert messages(server)[0].json["input"] == text

    run(backend, test)


# ---- bounds


@both_loops
@pytest.mark.parametrize("how", ["one frame", "fragments", "on and on"])
def test_a_message_that_is_too_large_exceeds_a_limit(backend: str, how: str) -> None:
    async def test() -> None:
        gone = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            before = b"".join(frame(message, TEXT_FRAME) for message in bare(opened()))
            data = json.dumps({"type": "response.output_text.delta", "delta": "x" * 20_000}).encode()
            cuts = range(0, len(data), 100)
            fragments = b"".join(frame(data[at : at + 100], 0 if at else TEXT_FRAME, final=False) for at in cuts)
            try:
                if how == "one frame":
                    await peer.raw(before + frame(data, TEXT_FRAME))
                elif how == "fragments":
                    await peer.raw(before + fragments)
                else:
                    await peer.raw(before + frame(b"x", TEXT_FRAME, final=False))
                    while True:
                        await peer.raw(frame(b"x" * 1000, 0, final=False))
                await peer.until_closed()
            finally:
                gone.set()

        limits = Limits(max_event_bytes=10_000)
        async with FakeServer(script) as server, session_with(server, limits=limits) as session:
            with pytest.raises(LimitExceeded) as caught:
                await say(session)
            assert (caught.value.limit, caught.value.maximum) == ("max_event_bytes", 10_000)
            assert caught.value.response
            assert caught.value.response.output_text == TEXT
            with anyio.fail_after(PATIENCE):
                await gone.wait()

    run(backend, test)


@both_loops
def test_a_message_of_exactly_the_limit_is_accepted(backend: str) -> None:
    async def test() -> None:
        events = plain()
        largest = max(map(len, bare(events)))
        limits = Limits(max_event_bytes=largest + 10)  # as many as `data: ` and its line ends take
        async with FakeServer(Answer.events(events)) as server, session_with(server, limits=limits) as session:
            assert await say(session) == TEXT

    run(backend, test)


# ---- frames beside the messages


@both_loops
def test_pings_are_answered_whether_or_not_anybody_reads(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, plain()[:4])
            await peer.ping(b"in the middle")
            await send(peer, plain()[4:])
            await peer.ping(b"between turns")
            answered.set()

        answered = anyio.Event()
        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT
            with anyio.fail_after(PATIENCE):
                await answered.wait()

    run(backend, test)


@both_loops
def test_an_unexpected_pong_is_ignored(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.raw(frame(b"here I am", PONG_FRAME))
            data = bare(plain())
            await peer.raw(
                frame(data[0][:10], TEXT_FRAME, final=False) + frame(b"", PONG_FRAME) + frame(data[0][10:], 0)
            )
            await send(peer, plain()[1:])

        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
def test_a_connection_with_signs_of_life_is_kept(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.events(plain())) as server,
            session_with(server, connect={"keepalive": 0.2}) as session,
        ):
            assert await say(session) == TEXT
            await anyio.sleep(1)
            assert await say(session) == TEXT
            assert server.connections == 1

    run(backend, test)


async def switch(peer: ServerExchange) -> None:
    """Accept a WebSocket, and read nothing from it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in handshake_headers(peer.request).items())
    await peer.raw(f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode())


@both_loops
@pytest.mark.parametrize("idle", [True, False])
def test_a_connection_that_gives_no_sign_of_life_is_lost(backend: str, *, idle: bool) -> None:
    async def test() -> None:
        over = anyio.Event()

        async def dead(peer: ServerExchange) -> None:
            await switch(peer)
            await over.wait()

        script = Script(Answer.events(plain())).on("GET", "/responses", dead, Answer.upgrade())
        async with FakeServer(script) as server, session_with(server, connect={"keepalive": 0.3}) as session:
            if idle:
                await anyio.sleep(1)  # it is found out before anybody needs it
            else:
                with pytest.raises(
                    TransportError, match=r"no sign of life for 0\.6 s and did not answer a ping"
                ) as caught:
                    await say(session)
                assert caught.value.retry_safety == "unsafe"
            assert await say(session) == TEXT
            assert server.connections == 2
            over.set()

    run(backend, test)


@both_loops
def test_a_server_that_does_not_read_is_a_write_deadline(backend: str) -> None:
    async def test() -> None:
        over = anyio.Event()

        async def deaf(peer: ServerExchange) -> None:
            await switch(peer)
            await over.wait()

        script = Script(Answer.events(plain())).on("GET", "/responses", deaf, Answer.upgrade())
        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(DeadlineExceeded) as caught:
                await say(session, "x" * 40_000_000, timeouts=Timeouts(write=0.2))
            assert caught.value.kind == "write"
            assert await say(session) == TEXT  # half of a message went out, so that the connection was of no more use
            assert server.connections == 2
            over.set()

    run(backend, test)


# ---- the end


def closing(code: int | None, reason: bytes = b"") -> bytes:
    return frame(b"" if code is None else struct.pack("!H", code) + reason, CLOSE_FRAME)


@both_loops
@pytest.mark.parametrize(
    ("data", "kind", "told"),
    [
        (closing(None), StreamTruncated, r"closed the connection: no close code \(code 1005\)"),
        (closing(1001), StreamTruncated, r"going away \(code 1001\)"),
        (closing(1013, b"later"), StreamTruncated, r"try again later \(code 1013: later\)"),
        (closing(4000, b"ours"), StreamTruncated, r"closed the connection \(code 4000: ours\)"),
        (frame(b"\xff\xfe", TEXT_FRAME), StreamInterrupted, "broke the WebSocket protocol"),
        (frame(b"x", 3), StreamInterrupted, "broke the WebSocket protocol"),
        (b"\xf1\x00", StreamInterrupted, "broke the WebSocket protocol"),
        (b"\x81\x81\x00\x00\x00\x00x", StreamInterrupted, "broke the WebSocket protocol"),
        (frame(b"x", 0), StreamInterrupted, "broke the WebSocket protocol"),
        (closing(999), StreamInterrupted, "broke the WebSocket protocol"),
        (frame(b"x" * 126, PING_FRAME), StreamInterrupted, "broke the WebSocket protocol"),
    ],
)
def test_ends_of_a_connection_in_the_middle(
    backend: str, data: bytes, kind: type[ResponsesProtoError], told: str
) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> str | None:
            if peer.request.connection:
                return "Well."
            await peer.raw(b"".join(frame(message, TEXT_FRAME) for message in bare(opened())) + data)
            await peer.until_closed()
            return None

        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                with pytest.raises(kind) as caught:
                    await stream.result()
            error = caught.value
            assert error.response
            assert error.response.output_text == TEXT
            if kind is StreamTruncated:
                assert stream.outcome
                assert stream.outcome.status == "truncated"
            else:
                assert told in str(error)
            with anyio.fail_after(PATIENCE):
                assert await say(session) == "Well."

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (closing(1013, b"later"), r"closed the connection: overloaded, try again later \(code 1013: later\)"),
        (closing(4000), r"the server closed the connection \(code 4000\)"),
        (closing(None), r"no close code \(code 1005\)"),
    ],
)
def test_an_error_states_the_meaning_of_the_close_code(backend: str, data: bytes, told: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.raw(data)

        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(StreamTruncated, match=told) as caught:
                await say(session)
            behind: Any = caught.value.__cause__
            assert type(behind).__name__ == "WebSocketDisconnect"
            assert behind.code in (1013, 4000, 1005)

    run(backend, test)


@both_loops
def test_an_end_without_a_close_frame(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, opened())
            socket: Any = peer
            await socket._socket.connection.close()  # noqa: SLF001 - TCP alone, which no script has a verb for

        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(StreamTruncated) as caught:
                await say(session)
            assert caught.value.response
            assert caught.value.response.output_text == TEXT

    run(backend, test)


@both_loops
def test_a_session_ends_with_a_closing_handshake(backend: str) -> None:
    async def test() -> None:
        closes: list[float] = []

        async def script(peer: ServerExchange) -> None:
            await send(peer, plain())
            closes.append(await peer.until_closed())

        async with FakeServer(script) as server:
            async with session_with(server) as session:
                assert await say(session) == TEXT
                assert closes == []
            await eventually(lambda: closes)

    run(backend, test)


# ---- the handshake


@both_loops
def test_a_handshake_for_another_key_is_refused(backend: str) -> None:
    async def test() -> None:
        wrong = Answer.upgrade(headers={"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="})
        async with FakeServer(Script("One.").on("GET", "/responses", wrong)) as server:
            with pytest.raises(RemoteProtocolError, match="confirmed a different handshake"):
                async with session_with(server):
                    pass

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer.body(f"<title>Welcome</title>{KEY}".encode()), "expected a WebSocket, but the server sent text/html"),
        (Answer.json({"object": "list"}), "expected a WebSocket, but the server sent application/json"),
        (
            Answer.redirect("http://elsewhere.invalid/v1/responses"),
            "redirects to 'http://elsewhere.invalid/v1/responses'",
        ),
    ],
)
def test_a_response_that_is_no_upgrade_is_described(backend: str, answer: Answer, told: str) -> None:
    async def test() -> None:
        async with FakeServer(Script("One.").on("GET", "/responses", answer)) as server:
            with pytest.raises(APIError) as caught:
                async with session_with(server):
                    pass
            assert told in str(caught.value)
            assert KEY not in f"{caught.value} {caught.value.body}"
            assert caught.value.status == answer.status

    run(backend, test)


@both_loops
def test_a_redirect_within_the_server_is_followed(backend: str) -> None:
    async def test() -> None:
        script = Script("One.").on("GET", "/responses", Answer.redirect("/v2/responses"))
        async with FakeServer(script, check_requests=False) as server, session_with(server) as session:
            assert await say(session) == "One."
            assert [request.path for request in server.requests] == ["/v1/responses", "/v2/responses", "/v2/responses"]

    run(backend, test)


@both_loops
def test_each_handshake_has_a_key_of_its_own(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, plain())
            await peer.close()

        async with FakeServer(script) as server, session_with(server) as session:
            for _ in range(3):
                assert await say(session) == TEXT
                await anyio.sleep(0.01)
            keys = [request.headers["sec-websocket-key"] for request in server.requests if not request.message]
            assert len(set(keys)) == 3
            assert all(len(key) == 24 for key in keys)

    run(backend, test)
