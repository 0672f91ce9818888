"""The client over every HTTP library that it accepts, on a real socket."""

from __future__ import annotations

import importlib
import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from tests.support_server import LAST, Peer, both_loops, chunk, events, frame, frames, head, response, run, serve, whole

from responses_proto import Cursor, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.exceptions import APIError, ConnectError, DeadlineExceeded, StreamInterrupted, StreamTruncated
from responses_proto.models.events import OutputTextDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import SocketStream

    from responses_proto.aio.http import HTTPClient

KEY = "key-that-nobody-may-see"
ONCE = RetryPolicy(attempts=1)


def httpx() -> HTTPClient:
    made: HTTPClient = importlib.import_module("httpx").AsyncClient()
    return made


def httpx2() -> HTTPClient:
    made: HTTPClient = pytest.importorskip("httpx2").AsyncClient()
    return made


def aiohttp() -> HTTPClient:
    made: HTTPClient = pytest.importorskip("httpx_aiohttp").HttpxAiohttpClient()
    return made


ENGINES = [
    pytest.param("asyncio", httpx, id="httpx-asyncio"),
    pytest.param("trio", httpx, id="httpx-trio"),
    pytest.param("asyncio", httpx2, id="httpx2-asyncio"),
    pytest.param("trio", httpx2, id="httpx2-trio"),
    pytest.param("asyncio", aiohttp, id="aiohttp"),
]
each_engine = pytest.mark.parametrize(("backend", "engine"), ENGINES)


@each_engine
def test_a_stream_is_read_and_its_connection_used_again(backend: str, engine: Callable[[], HTTPClient]) -> None:
    async def test() -> None:
        http_client = engine()
        hello = head() + chunk(frames("Hel", "lo")) + LAST
        async with serve(hello) as server, ResponsesClient(server.url, KEY, http_client=http_client) as c:
            for _ in range(3):
                async with c.stream(model="m", input="x") as stream:
                    assert "".join([text async for text in stream.text_deltas()]) == "Hello"
                    assert (await stream.result()).output_text == "Hello"
            assert [request.connection for request in server.requests] == [0, 0, 0]
            assert server.requests[0].headers["accept-encoding"] == "identity"
            await c.aclose()
            other = ResponsesClient(server.url, KEY, http_client=http_client)  # it was not closed by us
            async with other.stream(model="m", input="x") as stream:
                await stream.result()
        await http_client.aclose()

    run(backend, test)


@each_engine
def test_each_event_is_handed_out_when_it_comes(backend: str, engine: Callable[[], HTTPClient]) -> None:
    async def test() -> None:
        got = anyio.Event()

        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("Hel", "lo", last=None)))
            await got.wait()
            await peer.send(chunk(b"".join(map(frame, events("Hel", "lo")[6:]))) + LAST)

        http_client = engine()
        async with serve(script) as server, ResponsesClient(server.url, http_client=http_client) as c:
            async with c.stream(model="m", input="x") as stream:
                async for event in stream.events(OutputTextDelta):
                    if event.delta == "lo":
                        got.set()
            assert stream.response.output_text == "Hello"
        await http_client.aclose()

    run(backend, test)


@each_engine
def test_large_requests_and_other_endpoints_work(backend: str, engine: Callable[[], HTTPClient]) -> None:
    async def test() -> None:
        http_client = engine()
        body = whole(json.dumps(response("completed", "Hi")).encode(), kind="application/json")
        async with serve(body) as server, ResponsesClient(server.url, KEY, http_client=http_client) as c:
            text = "é" * 400_000
            assert (await c.create(model="m", input=text)).output_text == "Hi"
            assert server.requests[0].json == {"model": "m", "input": text}
            assert (await c.retrieve("../x?y")).output_text == "Hi"
            assert server.requests[1].target == "/v1/responses/..%2Fx%3Fy"
        await http_client.aclose()

    run(backend, test)


@each_engine
def test_leaving_closes_the_connection_at_once(backend: str, engine: Callable[[], HTTPClient]) -> None:
    async def test() -> None:
        closed: list[float] = []
        done = anyio.Event()

        async def script(peer: Peer) -> None:
            await peer.send(head() + chunk(frames("Hel", last=None)))
            closed.append(await peer.until_closed())
            done.set()

        http_client = engine()
        async with serve(script) as server, ResponsesClient(server.url, http_client=http_client) as c:
            async with c.stream(model="m", input="x") as stream:
                await anext(stream)
            left = time.monotonic()
            with anyio.fail_after(1):
                await done.wait()
            assert closed[0] - left < 0.1
        await http_client.aclose()

    run(backend, test)


@each_engine
def test_failures_have_the_same_names(backend: str, engine: Callable[[], HTTPClient]) -> None:
    async def test() -> None:
        async def script(peer: Peer) -> None:
            match peer.request.json["input"]:
                case "cut":
                    await peer.send(head() + chunk(frames("Hel", last=None)))
                    await peer.socket.aclose()
                case "reset":
                    await peer.send(head() + chunk(frames("Hel", last=None)))
                    await anyio.sleep(0.1)
                    await peer.reset()
                case "silent":
                    await peer.send(head() + chunk(frames("Hel", last=None)))
                    await peer.until_closed()
                case _:
                    await peer.send(whole(b'{"error": {"message": "No."}}', 400, kind="application/json"))

        http_client = engine()
        async with serve(script) as server:
            c = ResponsesClient(server.url, KEY, http_client=http_client, retry=ONCE)
            for what, expected in (
                ("cut", StreamTruncated),
                ("reset", StreamInterrupted),
                ("silent", DeadlineExceeded),
            ):
                async with c.stream(model="m", input=what, timeouts=Timeouts(between_bytes=0.4)) as stream:
                    with pytest.raises(expected) as caught:
                        await stream.result()
                    assert caught.value.response is not None
                    assert caught.value.response.output_text == "Hel"
                    assert caught.value.cursor == Cursor("resp_1", 4)
            with pytest.raises(APIError, match="No"):
                await c.create(model="m", input="refused")
            port = int(server.url.split(":")[2].split("/")[0])
        gone = ResponsesClient(f"http://127.0.0.1:{port}/v1", http_client=http_client, retry=ONCE)
        with pytest.raises(ConnectError) as caught_connect:
            await gone.create(model="m", input="x")
        assert caught_connect.value.replay == "safe"
        await http_client.aclose()

    run(backend, test)


# ---- HTTP/2: another framing under the same client


@both_loops
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_http2_carries_many_streams_on_one_connection(backend: str, library: str) -> None:
    h2 = pytest.importorskip("h2.connection")
    h2_config = pytest.importorskip("h2.config")
    h2_events = pytest.importorskip("h2.events")
    http = pytest.importorskip(library)
    connections = 0

    async def talk(socket: SocketStream) -> None:
        nonlocal connections
        connections += 1
        http2: Any = h2.H2Connection(h2_config.H2Configuration(client_side=False))
        http2.initiate_connection()
        async with socket:
            await socket.send(http2.data_to_send())
            try:
                while True:
                    for event in http2.receive_data(await socket.receive()):
                        if isinstance(event, h2_events.DataReceived):
                            http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        if isinstance(event, h2_events.StreamEnded):
                            number = event.stream_id
                            http2.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
                            http2.send_data(number, frames("Hel", "lo"), end_stream=True)
                    await socket.send(http2.data_to_send())
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def test() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            http_client = http.AsyncClient(http1=False, http2=True)
            texts: list[str] = []
            async with anyio.create_task_group() as servers:
                servers.start_soon(listener.serve, talk)
                client = ResponsesClient(f"http://127.0.0.1:{port}/v1", http_client=http_client)

                async def one() -> None:
                    async with client.stream(model="m", input="x" * 100_000) as stream:
                        texts.append((await stream.result()).output_text)

                await one()
                async with anyio.create_task_group() as tasks:
                    for _ in range(10):
                        tasks.start_soon(one)
                await http_client.aclose()
                servers.cancel_scope.cancel()
            assert texts == ["Hello"] * 11
            assert connections == 1

    run(backend, test)
