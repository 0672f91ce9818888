"""The client over every HTTP library that it accepts, on a real socket."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from tests.streams import plain, saying, wire
from tests.support import PATIENCE, both_loops, run

from responses_proto import ResponsesClient
from responses_proto.models.events import OutputTextDelta
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import SocketStream

    from responses_proto.client.transport import HTTPClient

KEY = "key-that-nobody-may-see"


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
def test_the_callers_client_sends_identity_encoding_and_is_not_closed(
    backend: str, engine: Callable[[], HTTPClient]
) -> None:
    async def test() -> None:
        http_client = engine()
        async with FakeServer("Hello") as server:
            for _ in range(2):  # the second client finds it as the first one did
                async with (
                    ResponsesClient(server.url, KEY, http_client=http_client) as c,
                    c.stream(model="m", input="x") as stream,
                ):
                    assert "".join([text async for text in stream.text_deltas()]) == "Hello"
            assert [request.headers["accept-encoding"] for request in server.requests] == ["identity"] * 2
        await http_client.aclose()

    run(backend, test)


@each_engine
def test_each_event_is_delivered_when_it_arrives(backend: str, engine: Callable[[], HTTPClient]) -> None:
    async def test() -> None:
        got = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            listed = plain(["Hel", "lo"])
            await peer.send(wire(listed[:6]))
            await got.wait()
            await peer.send(wire(listed[6:]))

        http_client = engine()
        async with FakeServer(script) as server, ResponsesClient(server.url, http_client=http_client) as c:
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
        async with (
            FakeServer(Answer.json(saying("Hi"))) as server,
            ResponsesClient(server.url, KEY, http_client=http_client) as c,
        ):
            text = "é" * 400_000
            assert (await c.create(model="m", input=text)).output_text == "Hi"
            assert server.requests[0].json == {"model": "m", "input": text}
            assert (await c.retrieve("../x?y")).output_text == "Hi"
            assert server.requests[1].target == "/v1/responses/..%2Fx%3Fy"
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
                            http2.send_data(number, wire(plain(["Hel", "lo"])), end_stream=True)
                    await socket.send(http2.data_to_send())
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def test() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
            texts: list[str] = []
            async with (
                http.AsyncClient(http1=False, http2=True) as http_client,
                anyio.create_task_group() as servers,
            ):
                servers.start_soon(listener.serve, talk)
                client = ResponsesClient(f"http://127.0.0.1:{port}/v1", http_client=http_client)

                async def one(characters: int) -> None:
                    async with client.stream(model="m", input="x" * characters) as stream:
                        texts.append((await stream.result()).output_text)

                await one(100_000)
                async with anyio.create_task_group() as tasks:
                    for _ in range(10):
                        # Larger ones can wait for ever for the server's window, in both libraries: pydantic/httpx2, issue 1133.
                        tasks.start_soon(one, 1_000)
                servers.cancel_scope.cancel()
            assert texts == ["Hello"] * 11
            assert connections == 1

    run(backend, test)


_WITHOUT_HTTPX = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None  # as if it were not installed
import anyio
from responses_proto import ResponsesClient

async def main():
    async with ResponsesClient(sys.argv[1]) as client:
        print((await client.create(model="m")).output_text)

anyio.run(main)
"""


@pytest.mark.parametrize(
    ("missing", "told"),
    [(("httpx", "httpcore"), "Hello"), (("httpx2", "httpcore2"), "Hello"), (("httpx", "httpx2"), "httpx2")],
)
def test_the_default_engine_is_the_library_that_is_installed(missing: tuple[str, ...], told: str) -> None:
    pytest.importorskip("httpx2")

    async def test() -> None:
        async with FakeServer("Hello") as server:
            command = [sys.executable, "-c", _WITHOUT_HTTPX, server.url, *missing]
            with anyio.fail_after(PATIENCE):
                done = await anyio.run_process(command, check=False)
            lines = (done.stdout or done.stderr).decode().strip().splitlines()
            assert told in lines[-1]
            assert "httpx" in lines[-1] or done.returncode == 0

    run("asyncio", test)
