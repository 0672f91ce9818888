from __future__ import annotations

import json

import anyio
import httpx
import pytest
from tests.support import PATIENCE, both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import ServerError, UsageError
from responses_proto.testing import Answer, FakeServer, Request, ServerExchange


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (Request(method="POST", target="/v1/responses", headers={}, body=b'{"stream": true}'), True),
        (Request(method="POST", target="/v1/responses", headers={}, body=b'{"stream": 1}'), False),
        (Request(method="POST", target="/v1/responses", headers={}, body=b"[true]"), False),
        (Request(method="POST", target="/v1/responses", headers={}, body=b"{"), False),
        (Request(method="GET", target="/v1/responses/resp_1?stream=true&starting_after=3", headers={}), True),
        (Request(method="GET", target="/v1/responses/resp_1", headers={}), False),
    ],
)
def test_a_request_knows_whether_it_asks_for_a_stream(request_: Request, wanted: bool) -> None:
    assert request_.wants_stream is wanted


def test_a_request_shows_its_parts() -> None:
    request = Request(
        method="GET", target="/v1/responses/a%2Fb?after=x&include[]=y", headers={"authorization": "secret"}
    )
    assert request.path == "/v1/responses/a%2Fb"
    assert request.query == [("after", "x"), ("include[]", "y")]
    assert "secret" not in repr(request)


@both_loops
def test_a_script_can_send_raw_bytes(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.raw(b"HTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\n{}")

        async with FakeServer(script) as server, httpx.AsyncClient() as http:
            for _ in range(2):
                answer = await http.post(f"{server.url}/responses", json={"model": "m"})
                assert (answer.reason_phrase, answer.json()) == ("Fine", {})
            assert server.connections == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length(backend: str, status: int) -> None:
    async def test() -> None:
        async with FakeServer(Answer.body(b"", status, content_type=None)) as server, httpx.AsyncClient() as http:
            for _ in range(2):
                answer = await http.get(f"{server.url}/responses/resp_1")
                assert (answer.status_code, answer.content, dict(answer.headers)) == (status, b"", {})
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_raw_bytes_cannot_be_sent_in_memory(backend: str) -> None:
    async def use() -> None:
        async with (
            FakeServer(lambda peer: peer.raw(b"HTTP/1.1 200 Fine\r\n\r\n")) as server,
            ResponsesClient(server.url, http_client=server.transport) as client,
        ):
            with pytest.raises(ServerError, match="in memory"):
                await client.create(model="m", input="x")

    async def test() -> None:
        with pytest.raises(UsageError, match="in memory"):
            await use()

    run(backend, test)


@both_loops
@pytest.mark.parametrize("way", ["socket", "memory"])
def test_sending_raises_after_the_client_left(backend: str, way: str) -> None:
    async def test() -> None:
        told = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            await peer.start()
            await peer.until_closed()
            try:
                while True:
                    await peer.send(b": still here\n\n" * 1000)
            except anyio.BrokenResourceError:
                told.set()
                raise

        async with FakeServer(script) as server:
            through = server.transport if way == "memory" else None
            async with ResponsesClient(server.url, http_client=through) as client:
                async with client.stream(model="m", input="x"):
                    pass
                with anyio.fail_after(PATIENCE):
                    await told.wait()
        assert server.errors == []  # leaving is the client's right

    run(backend, test)


@both_loops
@pytest.mark.parametrize("way", ["socket", "memory"])
def test_a_head_has_the_status_and_headers_of_the_script(backend: str, way: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            body = json.dumps({"error": {"message": "No."}}).encode()
            await peer.start(
                418, headers={"X-Request-ID": "req_1", "Content-Length": str(len(body))}, content_type=None
            )
            await peer.send(body[:5])
            await peer.send(body[5:])
            assert peer.sent == len(body)
            await peer.finish()
            assert peer.ended

        async with FakeServer(script) as server:
            through = server.transport if way == "memory" else None
            async with ResponsesClient(server.url, http_client=through) as client:
                with pytest.raises(Exception, match=r"No\.") as caught:
                    await client.create(model="m", input="x")
                assert getattr(caught.value, "status", None) == 418
                assert getattr(caught.value, "request_id", None) == "req_1"

    run(backend, test)


@both_loops
def test_a_script_can_send_an_answer_itself(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.answer(Answer.text("By hand."))

        async with FakeServer(script) as server, ResponsesClient(server.url) as client:
            assert (await client.create(model="m", input="x")).output_text == "By hand."

    run(backend, test)
