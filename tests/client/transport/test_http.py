from __future__ import annotations

import importlib
import os
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client.transport import HTTPClient, HTTPTransport, WireRequest
from responses_proto.exceptions import (
    ConnectError,
    DeadlineExceeded,
    LocalProtocolError,
    ResponsesProtoError,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from responses_proto.client.transport import WireReply

SHAPES = ["httpx", "httpx2"]
both_shapes = pytest.mark.parametrize("shape", SHAPES)


def make(shape: str, **options: Any) -> HTTPClient:
    made: HTTPClient = pytest.importorskip(shape).AsyncClient(**options)
    return made


def post(url: str, *, body: bytes = b"{}", stream: bool = True, **options: Any) -> WireRequest:
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    return WireRequest(method="POST", url=url, headers=headers, body=body, stream=stream, **options)


async def read(reply: WireReply) -> bytes:
    pieces: list[bytes] = []
    while piece := await reply.receive():
        pieces.append(piece)
    return b"".join(pieces)


@both_loops
@both_shapes
def test_an_answer_comes_in_pieces_as_they_arrive(backend: str, shape: str) -> None:
    async def test() -> None:
        taken = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX-Named: One\r\nx-named: Two\r\n\r\n"
            await peer.raw(head.encode() + b"5\r\nfirst\r\n")
            await taken.wait()
            await peer.raw(b"6\r\nsecond\r\n0\r\n\r\n")

        async with FakeServer(script, check_requests=False) as server:
            client = make(shape)
            reply = await HTTPTransport(client).send(post(server.url))
            assert reply.status == 200
            assert reply.headers["x-named"] == "One, Two"
            assert await reply.receive() == b"first"
            taken.set()
            assert await reply.receive() == b"second"
            assert await reply.receive() == b""
            assert await reply.receive() == b""
            await reply.aclose()
            await reply.aclose()
            assert await reply.receive() == b""
            await client.aclose()

    run(backend, test)


@both_loops
def test_a_body_of_many_megabytes_arrives_whole_and_with_its_length(backend: str) -> None:
    async def test() -> None:
        body = bytes(range(256)) * 8 * 1024
        async with FakeServer(Answer.json({}), check_requests=False) as server:
            transport = HTTPTransport()
            reply = await transport.send(post(server.url, body=body, stream=False))
            assert await read(reply) == b"{}"
            await transport.aclose()
            assert server.requests[0].body == body
            assert server.requests[0].headers["content-length"] == str(len(body))
            assert "transfer-encoding" not in server.requests[0].headers

    run(backend, test)


@both_loops
@both_shapes
def test_the_callers_client_is_used_as_it_is_and_stays_open(backend: str, shape: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.stream(), check_requests=False) as server:
            client: Any = make(shape, headers={"x-team": "blue", "authorization": "theirs"}, follow_redirects=True)
            transport = HTTPTransport(client)
            await (await transport.send(post(server.url))).aclose()
            await transport.aclose()
            assert not client.is_closed
            assert server.requests[0].headers["x-team"] == "blue"
            assert server.requests[0].headers["authorization"] == "Bearer k"
            with pytest.raises(LocalProtocolError, match="closed"):
                await transport.send(post(server.url))
            await client.aclose()

    run(backend, test)


# ---- redirects


@both_loops
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_origin_is_followed_with_everything(backend: str, status: int) -> None:
    async def test() -> None:
        def script(peer: ServerExchange) -> Answer:
            return Answer.redirect("/v2/responses", status) if peer.request.path == "/v1" else Answer.stream(b"data")

        async with FakeServer(script, check_requests=False) as server:
            transport = HTTPTransport()
            reply = await transport.send(post(server.url, body=b'{"a":1}'))
            assert await read(reply) == b"data"
            await transport.aclose()
            assert [r.target for r in server.requests] == ["/v1", "/v2/responses"]
            assert server.requests[1].body == b'{"a":1}'
            assert server.requests[1].headers["authorization"] == "Bearer k"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_the_key_or_the_request_to_another_origin(backend: str, status: int) -> None:
    async def test() -> None:
        async with (
            FakeServer() as elsewhere,
            FakeServer(Answer.redirect(elsewhere.url, status), check_requests=False) as server,
        ):
            async with httpx.AsyncClient(follow_redirects=True) as client:
                reply = await HTTPTransport(client).send(post(server.url))
                assert reply.status == status
                await reply.aclose()
            assert elsewhere.requests == []

    run(backend, test)


@both_loops
def test_a_redirect_that_would_make_a_get_of_a_post_is_not_followed(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.redirect("/v2", 302), check_requests=False) as server:
            transport = HTTPTransport()
            reply = await transport.send(post(server.url))
            assert reply.status == 302
            await reply.aclose()
            await transport.aclose()
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_a_redirect_loop_ends(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.redirect("/v1"), check_requests=False) as server:
            transport = HTTPTransport()
            with pytest.raises(TransportError, match="redirected more than 3 times"):
                await transport.send(post(server.url))
            await transport.aclose()
            assert len(server.requests) <= 5

    run(backend, test)


# ---- errors


async def closed_port() -> int:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        return int(listener.extra(anyio.abc.SocketAttribute.local_port))  # noqa: S610 - anyio's, not Django's


@both_loops
@both_shapes
def test_a_refused_connection_is_a_connect_error(backend: str, shape: str) -> None:
    async def test() -> None:
        url = f"http://user:pass@127.0.0.1:{await closed_port()}/v1"
        client: Any = make(shape)
        with pytest.raises(ConnectError, match="Connection refused") as caught:
            await HTTPTransport(client).send(post(url))
        assert caught.value.retry_safety == "safe"
        assert type(caught.value.__cause__).__name__ == "ConnectError"
        assert "pass" not in str(caught.value)
        await client.aclose()

    run(backend, test)


@both_loops
def test_an_error_the_caller_was_handling_is_not_reported_as_the_reason(backend: str) -> None:
    async def test() -> None:
        transport = HTTPTransport()
        request = post(f"http://127.0.0.1:{await closed_port()}/v1")
        try:
            os.stat("/there/is/nothing")  # noqa: PTH116 - any failing call of the system
        except FileNotFoundError:
            with pytest.raises(ConnectError, match="Connection refused"):
                await transport.send(request)
        await transport.aclose()

    run(backend, test)


def test_a_refused_connection_is_one_over_aiohttp_too() -> None:
    async def test() -> None:
        url = f"http://127.0.0.1:{await closed_port()}/v1"
        async with pytest.importorskip("httpx_aiohttp").HttpxAiohttpClient() as client:
            with pytest.raises(ConnectError, match="Connection refused") as caught:
                await HTTPTransport(client).send(post(url))
            assert caught.value.retry_safety == "safe"

    run("asyncio", test)


def test_behind_another_library_the_reads_are_bounded_too() -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.send(b": hello\n\n")
            await peer.until_closed()

        async with (
            FakeServer(script, check_requests=False) as server,
            pytest.importorskip("httpx_aiohttp").HttpxAiohttpClient() as http_client,
        ):
            patience = Timeouts(between_bytes=0.1)
            async with ResponsesClient(server.url, http_client=http_client, timeouts=patience) as client:
                async with client.stream(model="m", input="x") as stream:
                    with pytest.raises(DeadlineExceeded) as caught:
                        await stream.result()
                assert caught.value.kind == "between_bytes"

    run("asyncio", test)


@both_loops
def test_a_name_that_is_not_found_is_a_connect_error(backend: str) -> None:
    async def test() -> None:
        transport = HTTPTransport()
        with pytest.raises(ConnectError, match=r"http://nowhere\.invalid"):
            await transport.send(post("http://nowhere.invalid/v1"))
        await transport.aclose()

    run(backend, test)


@both_loops
def test_tls_with_a_server_without_tls_is_a_connect_error(backend: str) -> None:
    async def test() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's

            async def talk(stream: anyio.abc.SocketStream) -> None:
                async with stream:
                    await stream.receive()
                    await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, talk)
                transport = HTTPTransport()
                with pytest.raises(ConnectError, match=r"does not speak TLS.* http:// instead of https://"):
                    await transport.send(post(f"https://127.0.0.1:{port}/v1"))
                await transport.aclose()
                tasks.cancel_scope.cancel()

    run(backend, test)


@both_loops
@both_shapes
def test_no_answer_is_a_transport_error(backend: str, shape: str) -> None:
    async def test() -> None:
        async with FakeServer(ServerExchange.close, check_requests=False) as server:
            client: Any = make(shape)
            with pytest.raises(TransportError, match="no answer") as caught:
                await HTTPTransport(client).send(post(server.url))
            assert caught.value.retry_safety == "unsafe"
            await client.aclose()

    run(backend, test)


@both_loops
@both_shapes
def test_an_early_end_is_truncated_and_a_reset_is_not(backend: str, shape: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.send(b"first")
            if peer.request.body == b"reset":
                await anyio.sleep(0.05)
                await peer.reset()
            else:
                await peer.close()

        async with FakeServer(script, check_requests=False) as server:
            client: Any = make(shape)
            transport = HTTPTransport(client)
            reply = await transport.send(post(server.url))
            assert await reply.receive() == b"first"
            with pytest.raises(StreamTruncated):
                await reply.receive()
            await reply.aclose()
            reply = await transport.send(post(server.url, body=b"reset"))
            assert await reply.receive() == b"first"
            with pytest.raises(TransportError) as caught:
                await reply.receive()
            assert not isinstance(caught.value, StreamTruncated)
            await reply.aclose()
            await client.aclose()

    run(backend, test)


@both_loops
def test_a_server_that_reads_nothing_is_a_write_deadline(backend: str) -> None:
    async def test() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            transport = HTTPTransport()
            with pytest.raises(DeadlineExceeded) as caught:  # the connection is not accepted, so nothing is read
                await transport.send(
                    post(f"http://127.0.0.1:{port}/v1", body=b"x" * 64 * 1024 * 1024, timeouts=Timeouts(write=0.1))
                )
            assert caught.value.kind == "write"
            assert caught.value.limit == 0.1
            await transport.aclose()

    run(backend, test)


@both_loops
def test_no_free_place_in_the_callers_pool_is_a_connect_deadline(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.start()
            await peer.until_closed()

        async with (
            FakeServer(script, check_requests=False) as server,
            httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client,
        ):
            transport = HTTPTransport(client)
            reply = await transport.send(post(server.url))
            with pytest.raises(DeadlineExceeded) as caught:
                await transport.send(post(server.url, timeouts=Timeouts(connect=0.1)))
            assert (caught.value.kind, caught.value.retry_safety) == ("connect", "safe")
            await reply.aclose()

    run(backend, test)


def test_httpx_is_the_default() -> None:
    transport = HTTPTransport()
    assert repr(transport) == "<HTTPTransport AsyncClient>"
    assert importlib.import_module("httpx") is httpx


BAD_PLACES = (
    "http://127.0.0.1:99999/", "http://127.0.0.1:port/v1/responses", "//127.0.0.1:99999/v1", "http://[::1", "http://", "http://[x]/",
    "http://127.0.0.1:-1/", "http:///v1", "\\\\elsewhere", "http://\xe4\xff/",
)  # fmt: skip


@both_loops
@both_shapes
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_location_that_is_no_address_is_not_followed_and_leaves_nothing_open(
    backend: str, shape: str, status: int
) -> None:
    async def test() -> None:
        client = make(shape)
        for place in BAD_PLACES:
            async with (
                FakeServer(Answer.redirect(place, status), check_requests=False) as server,
                ResponsesClient(server.url, "k", http_client=client) as ours,
            ):
                for _ in range(3):
                    with pytest.raises(ResponsesProtoError, match=r"redirect|location header"):
                        await ours.create(model="m", input="x")
        pool: Any = client
        connections = pool._transport._pool.connections  # noqa: SLF001 - the only place that tells what is open
        assert all(connection.is_idle() or connection.is_closed() for connection in connections)
        await client.aclose()

    run(backend, test)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value", ["garbage://proxy.example", "http://[::1", "http://user:SECRET@[::1", "http://h:99999999"]
)
def test_a_proxy_of_the_environment_that_is_none_is_an_error_of_ours(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in [*os.environ]:
        if each.lower().endswith("_proxy"):
            monkeypatch.delenv(each)
    monkeypatch.setenv(name, value)

    async def test() -> None:
        with pytest.raises(ResponsesProtoError) as caught:
            async with ResponsesClient("http://127.0.0.1:9/v1", "k", retry=RetryPolicy(attempts=1)) as client:
                await client.create(model="m", input="x")
        assert "SECRET" not in "".join(traceback.format_exception(caught.value))
        if isinstance(caught.value, UsageError):
            assert name in str(caught.value)

    run("asyncio", test)


def test_a_transport_that_could_not_be_made_has_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "garbage://proxy.example")
    transport = HTTPTransport.__new__(HTTPTransport)
    with pytest.raises(UsageError, match="HTTP_PROXY"):
        transport.__init__()  # type: ignore[misc] # as a traceback with variables finds it
    assert repr(transport) == "<HTTPTransport closed>"
