from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx
import pytest
from tests.streams import saying
from tests.support import both_loops, run

from responses_proto import ResponsesClient, Timeouts
from responses_proto.exceptions import (
    BadRequestError,
    DeadlineExceeded,
    LocalProtocolError,
    ServerError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.models.tools import McpTool
from responses_proto.testing import Answer, Cassette, FakeServer, Fault, Pause, Script, record, replay
from responses_proto.testing.cassettes import RecordedExchange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from responses_proto.client.websocket.session import WebSocketSession
    from responses_proto.testing import Scriptable, ServerExchange
    from responses_proto.testing.cassettes import Match

KEY = "sk-not-to-be-seen-anywhere"
TOKEN = 'mcp/token+with "odd" characters é'  # noqa: S105 - a made-up one
TEXT = "Grüße an die Welt 🌍."


async def say(client: ResponsesClient) -> str:
    async with client.stream(model="m", input="x") as stream:
        return (await stream.result()).output_text


@both_loops
def test_what_was_recorded_is_what_is_replayed(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    async def test() -> None:
        script = Script(Answer.text(TEXT).with_faults(Fault.split_every(7)), Answer.text("Whole."))
        async with (
            FakeServer(script) as server,
            record(path) as transport,
            ResponsesClient(server.url, KEY, http_client=transport) as client,
        ):
            assert await say(client) == TEXT
            assert (await client.create(model="m", input="y")).output_text == "Whole."
        tape = Cassette.load(path)
        first, second = tape.exchanges
        assert (first.method, first.path, first.status, first.end) == ("POST", "/responses", 200, "finished")
        assert json.loads(second.request_body) == {"model": "m", "input": "y"}
        assert b"".join(piece for _, piece in first.pieces) == b"".join(
            step for step in Answer.text(TEXT).to_wire().steps if isinstance(step, bytes)
        )
        assert [at for at, _ in first.pieces] == sorted(at for at, _ in first.pieces)
        for way in ("socket", "memory"):
            async with FakeServer(replay(path)) as server:
                through = server.transport if way == "memory" else None
                async with ResponsesClient(server.url, http_client=through) as client:
                    assert await say(client) == TEXT
                    assert (await client.create(model="m", input="y")).output_text == "Whole."

    run(backend, test)


@both_loops
def test_pieces_and_pauses_are_those_of_the_recording(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    async def test() -> None:
        stream = Answer.stream(
            *(part for step in Answer.text("One two.").to_wire().steps for part in (Pause(0.03), step))
        )
        async with (
            FakeServer(stream) as server,
            record(path, server.transport) as transport,
            ResponsesClient(server.url, http_client=transport) as client,
        ):
            await say(client)
        (exchange,) = Cassette.load(path).exchanges
        pieces = [piece for _, piece in exchange.pieces]
        assert pieces == Answer.text("One two.").to_wire().steps[: len(pieces)]
        assert exchange.pieces[-1][0] - exchange.pieces[0][0] > 0.1
        for speed, least in ((1.0, 0.1), (None, 0.0)):
            async with (
                FakeServer(replay(path, speed=speed)) as server,
                ResponsesClient(server.url, http_client=server.transport) as client,
            ):
                started = time.monotonic()
                assert await say(client) == "One two."
                assert time.monotonic() - started > least

    run(backend, test)


@both_loops
def test_no_secret_gets_into_the_file(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    async def test() -> None:
        said = f"Your key is {KEY}, your token {TOKEN}, your cookie chocolate-chip."
        answer = Answer.text(said).with_faults(Fault.split_every(11))

        def script(_: object) -> Answer:
            return attrs.evolve(
                answer,
                headers={
                    "set-cookie": "session=chocolate-chip",
                    "x-request-id": "req_1",
                    "openai-organization": "acme",
                },
            )

        headers = {"cookie": "session=chocolate-chip", "x-team": "blue-team", "user-agent": f"me {KEY}"}
        tool = McpTool(
            server_label="s",
            server_url="https://h",
            authorization=TOKEN,
            headers={"X-Odd": "odd-secret-value", "X-Mode": "response"},
        )
        async with FakeServer(script) as server, record(path) as transport:
            url = server.url.replace("http://", "http://user:hidden-password@") + "?api-version=1&sig=signature-value"
            async with (
                ResponsesClient(url, "", http_client=transport, headers={**headers, "x-api-key": KEY}) as client,
                client.stream(model="m", input=f"my key is {KEY}", tools=[tool]) as stream,
            ):
                assert (await stream.result()).output_text == said
        text = path.read_text(encoding="utf-8")
        tape = Cassette.load(path)
        (exchange,) = tape.exchanges
        whole = b"".join(piece for _, piece in exchange.pieces).decode() + exchange.request_body.decode() + text
        for secret in (KEY, TOKEN, TOKEN.replace('"', '\\"'), "chocolate", "odd-secret", "hidden-password", "signature-value",
                       "blue-team", "acme", "Bearer"):  # fmt: skip
            assert secret not in whole, secret
        assert json.loads(exchange.request_body)["tools"][0]["headers"]["X-Mode"] == "********"
        assert exchange.headers["x-request-id"] == "req_1"
        assert exchange.query == "api-version=1&sig=%2A%2A%2A"
        assert KEY not in repr(tape)
        # Another key and another token, and still the same request.
        tool = attrs.evolve(tool, authorization="t", headers={"X-Odd": "o", "X-Mode": "m"})
        async with (
            FakeServer(replay(path)) as server,
            ResponsesClient(f"{server.url}?api-version=1&sig=other", "k", headers={"cookie": "a=b"}) as client,
            client.stream(model="m", input="my key is nothing that you see", tools=[tool]) as stream,
        ):
            assert "Your key is" in (await stream.result()).output_text

    run(backend, test)


@both_loops
def test_each_end_is_recorded_and_comes_again(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    broken = [
        (Answer.text("x").with_faults(Fault.eof(after=3)), StreamTruncated, "closed"),
        (Answer.text("x").with_faults(Fault.reset(after=3)), StreamInterrupted, "reset"),
        (Answer.text("x").with_faults(Fault.no_answer()), TransportError, "unanswered"),
        (Answer.text("x").with_faults(Fault.stall(after=3)), DeadlineExceeded, "left"),
        (Answer.error(400, "No."), BadRequestError, "finished"),
    ]
    patience = Timeouts(between_bytes=2)

    async def all_of_them(client: ResponsesClient) -> None:
        for _, expected, _ in broken:
            with pytest.raises(expected):
                await say(client)

    async def test() -> None:
        async with (
            FakeServer(Script(*(answer for answer, _, _ in broken))) as server,
            record(path) as transport,
            ResponsesClient(server.url, http_client=transport, timeouts=patience) as client,
        ):
            await all_of_them(client)
        assert [exchange.end for exchange in Cassette.load(path).exchanges] == [end for _, _, end in broken]
        async with FakeServer(replay(path)) as server, ResponsesClient(server.url, timeouts=patience) as client:
            await all_of_them(client)

    run(backend, test)


@both_loops
def test_a_request_beyond_the_recording_is_an_error(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    async def use() -> None:
        async with FakeServer(replay(path)) as server, ResponsesClient(server.url) as client:
            assert await say(client) == "x"
            with pytest.raises(ServerError, match="recorded once"):
                await say(client)

    async def test() -> None:
        async with (
            FakeServer("x") as server,
            record(path) as transport,
            ResponsesClient(server.url, http_client=transport) as client,
        ):
            await say(client)
        with pytest.raises(LocalProtocolError, match="no more answers to POST"):
            await use()

    run(backend, test)


@both_loops
def test_it_is_written_after_an_error_and_the_callers_client_stays_open(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "tape.json"

    async def test() -> None:
        async with FakeServer("x") as server, httpx.AsyncClient() as http:
            with anyio.CancelScope() as scope:
                async with (
                    record(path, http) as transport,
                    ResponsesClient(server.url, http_client=transport) as client,
                ):
                    await say(client)
                    scope.cancel()
                    await anyio.sleep(1)
            assert not http.is_closed
        assert len(Cassette.load(path).exchanges) == 1

    run(backend, test)
    assert [each.name for each in tmp_path.iterdir()] == ["tape.json"]  # and nothing else


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other/1", "exchanges": []}', '{"format": 1}'])
def test_a_file_that_is_not_a_cassette_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tape.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="cassette"):
        replay(path)


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        ('"end": "left"', '"end": "lost"'),
        ('"end": "left"', '"end": []'),
        ('"status": 200', '"status": "x"'),
        ('"headers": {}', '"headers": ["x"]'),
        ('"body": ""', '"body": ' + "[" * 100_000),
    ],
)
def test_a_damaged_cassette_is_refused(tmp_path: Path, whole: str, damaged: str) -> None:
    path = tmp_path / "tape.json"
    Cassette([RecordedExchange(method="POST", path="/responses", status=200)]).save(path)
    text = path.read_text()
    assert whole in text
    path.write_text(text.replace(whole, damaged))
    with pytest.raises(UsageError, match="is not a cassette"):
        replay(path)


def test_a_missing_cassette_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "tape.json")


SIGNED = {
    "S3": "https://b.s3.example/a.pdf?X-Amz-Algorithm=AWS4&X-Amz-Signature=SECRET-s3-1&X-Amz-Security-Token=SECRET-s3-2",
    "Azure": "https://a.blob.example/a.pdf?sv=2022&sp=r&sig=SECRET%2Fazure%3D",
    "Google": "https://storage.example/b/a.png?X-Goog-Expires=900&X-Goog-Signature=SECRET-google",
    "CloudFront": "https://d.example/a.png?Expires=19&Signature=SECRET-cloud&Key-Pair-Id=K1",
    "Alibaba": "https://oss.example/a.png?OSSAccessKeyId=SECRET-id-1&Signature=SECRET-oss",
    "an unknown storage": "https://x.example/a.png?v=SECRET0a1b2c3d4e5f6071829304a5b6c7d8",
    "user and password": "https://SECRET-user:SECRET-word@x.example/a.png",
}
ENDPOINTS = {
    "user and password": "https://me:SECRET-word@mcp.example/mcp",
    "parameter": "https://mcp.example/mcp?api_key=SECRET-query&region=eu",
    "short parameter": "https://mcp.example/mcp?token=abcde&region=eu",
    "path": "https://mcp.example/api/mcp/s/SECRET0a1b2c3d4e5f6071829304/mcp",
}


@both_loops
@pytest.mark.parametrize("echo", [False, True])
def test_no_credential_of_an_address_gets_into_the_file(backend: str, tmp_path: Path, *, echo: bool) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        parts = [
            {"type": "input_file", "file_url": url} if ".pdf" in url else {"type": "input_image", "image_url": url}
            for url in SIGNED.values()
        ]
        tools = [
            {"type": "mcp", "server_label": f"s{number}", "server_url": url, "require_approval": "never"}
            for number, url in enumerate(ENDPOINTS.values())
        ]
        given: list[Any] = [
            {
                "role": "user",
                "content": [*parts, {"type": "input_text", "text": f"look: {SIGNED['S3']} and {SIGNED['Azure']}."}],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"url": SIGNED["Google"]})},
            {"type": "function_call_output", "call_id": "c", "output": parts},
        ]
        said = " ".join([*SIGNED.values(), "https://made.example/by?sig=SECRET-of-the-answer"]) if echo else "Hi."
        async with (
            FakeServer(Answer.json(saying(said, tools=tools if echo else []))) as server,
            record(path) as transport,
            ResponsesClient(server.url, KEY, http_client=transport) as client,
        ):
            await client.create(model="m", input=given, tools=tools)
        (exchange,) = Cassette.load(path).exchanges
        whole = b"".join(piece for _, piece in exchange.pieces).decode() + exchange.request_body.decode()
        assert b"mcp?token=*****&region=eu" in exchange.request_body
        assert "SECRE" not in path.read_text(encoding="utf-8") + whole
        for harmless in ("region=eu", "X-Amz-Algorithm=AWS4", "mcp.example/mcp", "look: "):
            assert harmless in whole
        async with FakeServer(replay(path)) as server, ResponsesClient(server.url) as client:
            again = await client.create(model="m", input=given, tools=tools)
            assert len(again.output_text) == len(said)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("writing", ["plain", "PHP", ".NET", "all escaped"])
def test_the_key_in_an_answer_is_redacted_however_it_is_written(backend: str, tmp_path: Path, writing: str) -> None:
    async def test() -> None:
        key, path = "abc+DEF/ghi&jkl<0123456", tmp_path / "tape.json"
        body = json.dumps(saying("Hi.", metadata={"key": key}))
        body = {
            "plain": body,
            "PHP": body.replace("/", "\\/"),
            ".NET": body.replace("+", "\\u002B").replace("&", "\\u0026").replace("<", "\\u003C"),
            "all escaped": body.replace(key, "".join(f"\\u{ord(sign):04x}" for sign in key)),
        }[writing]
        answer = Answer.body(body.encode(), content_type="application/json").with_faults(Fault.split_every(3))
        async with (
            FakeServer(answer) as server,
            record(path) as transport,
            ResponsesClient(server.url, key, http_client=transport) as client,
        ):
            assert (await client.create(model="m", input="x")).output_text == "Hi."
        (exchange,) = Cassette.load(path).exchanges
        recorded = b"".join(piece for _, piece in exchange.pieces)
        assert len(recorded) == len(body)
        assert set(json.loads(recorded)["metadata"]["key"]) == {"*"}

    run(backend, test)


# ---- what is asked, and what was recorded


async def recorded(path: Path, script: Scriptable, *requests: dict[str, Any]) -> None:
    """Record these requests to a server with this script."""
    async with (
        FakeServer(script) as server,
        record(path) as transport,
        ResponsesClient(server.url, KEY, http_client=transport) as client,
    ):
        for request in requests:
            await client.create(request)


def about(exchange: ServerExchange) -> str:
    return f"about {exchange.request.json['input']}"


CATS: dict[str, Any] = {"model": "m", "input": "cats"}
DOGS: dict[str, Any] = {"model": "m", "input": "dogs", "metadata": {"run": "1"}, "user": "one"}


async def ask(client: ResponsesClient, request: dict[str, Any]) -> str:
    return (await client.create(request)).output_text


@both_loops
def test_half_of_a_surrogate_pair_is_recorded_and_replayed(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        path, request = tmp_path / "tape.json", {"model": "m", "input": "cut \ud83d here"}
        await recorded(path, "Answered.", request)
        path.read_text(encoding="utf-8")  # the file is UTF-8
        async with FakeServer(replay(path)) as server, ResponsesClient(server.url) as client:
            assert await ask(client, request) == "Answered."

    run(backend, test)


@both_loops
def test_each_request_gets_its_own_answer_in_any_order(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        answers = iter(["One.", "Two.", "Three."])
        await recorded(path, lambda exchange: f"{next(answers)} {about(exchange)}", CATS, DOGS, CATS)
        script = replay(path)
        assert len(script.unused) == 3
        async with FakeServer(script) as server, ResponsesClient(server.url) as client:
            assert await ask(client, {**DOGS, "metadata": {"run": "2"}, "user": "other"}) == "Two. about dogs"
            assert await ask(client, dict(reversed(CATS.items()))) == "One. about cats"
            assert await ask(client, CATS) == "Three. about cats"
        script.assert_all_used()

    run(backend, test)


@both_loops
def test_a_request_that_was_not_recorded_fails_with_its_difference(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        await recorded(path, about, CATS, {**DOGS, "temperature": 0.5})
        script = replay(path)

        async def use() -> None:
            async with FakeServer(script) as server, ResponsesClient(server.url, KEY) as client:
                with pytest.raises(ServerError, match="the cassette has no answer to POST /responses"):
                    await ask(client, {**DOGS, "input": f"dogs and {KEY}", "temperature": 0.75})

        with pytest.raises(LocalProtocolError) as missed:
            await use()
        said = str(missed.value).splitlines()
        assert "request 2 of the recording, POST /responses" in said[0]
        assert '-  "input": "dogs",' in said
        assert f'+  "input": "dogs and {"*" * len(KEY)}",' in said
        assert '-  "temperature": 0.5' in said
        assert "cats" not in str(missed.value)
        with pytest.raises(AssertionError, match="request 1 of the recording, POST /responses"):
            script.assert_all_used()

    run(backend, test)


@both_loops
def test_what_must_match_can_be_changed(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        await recorded(path, about, CATS, DOGS)

        def by_path(request: RecordedExchange) -> str:
            return request.path

        def by_model(request: RecordedExchange) -> str:
            return str(json.loads(request.request_body)["model"])

        ways: list[Match | Sequence[str]] = [["method", "path"], by_path, by_model]
        for match in ways:
            async with FakeServer(replay(path, match=match)) as server, ResponsesClient(server.url) as client:
                assert await ask(client, {"model": "m", "input": "birds"}) == "about cats"
                assert await ask(client, CATS) == "about dogs"
        with pytest.raises(
            UsageError, match=r"match must be a function, or of method, path, query and body; got \['bdy'\]"
        ):
            replay(path, match=["bdy"])

    run(backend, test)


def test_the_file_has_a_line_for_each_event_and_says_so_again(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    bodies = [
        *Answer.text(TEXT).to_wire().steps,
        b'event: other\ndata: {"type":"x"}\n\n',
        b'data: {"spaced": 1}\n\n',
        b'data: {"twice":1,"twice":2}\n\n',
        b'data: {"type":"\\ud83d"}\n\n',
        b": comment\r\n\r\ndata: x\n",
        b"\xff\xfe",
    ]
    body = b"".join(step for step in bodies if isinstance(step, bytes))
    pieces = [(0.25, body[:7]), (0.5, body[7:600]), (0.5, body[600:])]
    exchange = RecordedExchange(
        method="POST", path="/responses", request_body=b'{"model":"m"}', status=200, pieces=pieces, end="finished"
    )
    for recording in (
        Cassette([exchange]),
        Cassette([RecordedExchange(method="GET", path="/x", pieces=[(0.1, body[:-2])])]),
    ):
        recording.save(path)
        assert Cassette.load(path) == recording
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.lstrip().startswith('"event": {"type": "response.')]) == len(
        Answer.text(TEXT).to_wire().events or ()
    )
    assert '"format": "responses-proto-cassette/2"' in lines[1]


def test_a_file_that_was_edited_by_hand_is_still_a_cassette(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    exchange = RecordedExchange(
        method="POST", path="/responses", status=200, pieces=[(0.1, b'data: {"a":"long"}\n\n')] * 2
    )
    Cassette([exchange]).save(path)
    path.write_text(path.read_text().replace('"long"', '"short one"', 1))
    (edited,) = Cassette.load(path).exchanges
    assert edited.body == b'data: {"a":"short one"}\n\ndata: {"a":"long"}\n\n'


def test_a_recorded_refusal_is_replayed_as_it_was(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        refusal = RecordedExchange(
            method="POST", path="/files", status=418, request_body=b"nope", pieces=[(0.0, b"teapot")], end="finished"
        )
        Cassette([refusal]).save(path)
        async with FakeServer(replay(path)) as server, httpx.AsyncClient() as http:
            answer = await http.post(f"{server.url}/files", content=b"nope")
            assert (answer.status_code, answer.content) == (418, b"teapot")

    run("asyncio", test)


# ---- WebSocket


async def turn(session: WebSocketSession, text: str, **fields: Any) -> str:
    async with session.stream(model="m", input=text, **fields) as stream:
        return (await stream.result()).output_text


@both_loops
@pytest.mark.parametrize("way", ["socket", "memory"])
def test_a_session_over_a_websocket_is_recorded_and_replayed(backend: str, tmp_path: Path, way: str) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        broken = Answer.text("x").with_faults(Fault.eof(after="response.output_text.delta"))
        script = Script(about, about, Answer.error(400, f"Not with {KEY}."), broken)

        async def use(client: ResponsesClient) -> None:
            async with client.connect() as session:
                assert [await turn(session, "cats"), await turn(session, "dogs")] == ["about cats", "about dogs"]
                with pytest.raises(BadRequestError, match="Not with"):
                    await turn(session, "birds")
                with pytest.raises(StreamTruncated):
                    await turn(session, "fish")

        async with FakeServer(script) as server:
            inner = server.transport if way == "memory" else None
            async with (
                record(path, inner) as transport,
                ResponsesClient(server.url, KEY, http_client=transport) as client,
            ):
                await use(client)
        tape = Cassette.load(path)
        assert KEY not in path.read_text()
        assert [each.end for each in tape.exchanges] == ["finished", "finished", "finished", "closed"]
        assert {(each.method, each.path, each.message) for each in tape.exchanges} == {("POST", "/responses", True)}
        assert [len(each.pieces) for each in tape.exchanges][:3] == [10, 10, 1]
        assert tape.exchanges[0].pieces == sorted(tape.exchanges[0].pieces, key=lambda piece: piece[0])
        again = replay(path)
        async with FakeServer(again) as server, ResponsesClient(server.url) as client:
            await use(client)
        again.assert_all_used()

    run(backend, test)


@both_loops
def test_messages_are_recorded_by_their_lanes(backend: str, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "tape.json"
        both = anyio.Event()

        async def slowly(exchange: ServerExchange) -> Answer:
            if exchange.request.json["stream_id"] == "b":
                both.set()
            await both.wait()  # so that the lanes are answered side by side
            return Answer.text(about(exchange))

        async def use(client: ResponsesClient) -> None:
            async with client.connect() as session, anyio.create_task_group() as tasks:

                async def one(name: str) -> None:
                    assert await turn(session, name, stream_id=name) == f"about {name}"

                for name in "ab":
                    tasks.start_soon(one, name)

        async with (
            FakeServer(slowly) as server,
            record(path) as transport,
            ResponsesClient(server.url, http_client=transport) as client,
        ):
            await use(client)
        async with FakeServer(replay(path)) as server, ResponsesClient(server.url) as client:
            await use(client)

    run(backend, test)


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    Cassette().save(tmp_path / "tape.json")
    assert (tmp_path / "tape.json").stat().st_mode & 0o777 == 0o600
