"""Reading bodies, sending responses and streams, and what happens when the client leaves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from tests.asgi import Client, body, parse_stream, send_request
from tests.support import PATIENCE, both_loops, run

from responses_proto.protocol import ResponseStream
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply


@both_loops
def test_events_are_sent_before_the_handler_continues(backend: str) -> None:
    async def main() -> None:
        proceed = anyio.Event()

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            await reply.start()
            await proceed.wait()
            async with reply.message() as message:
                await message.text("late")

        client = Client(ResponsesApp(handler))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.request, body(stream=True))
            await client.arrived.wait()
            assert b"response.in_progress" in client.content
            assert b"late" not in client.content
            proceed.set()
        assert parse_stream(client.content).response.output_text == "late"

    run(backend, main)


@pytest.mark.parametrize("stated", [True, False])
def test_a_body_that_is_too_large_is_refused(*, stated: bool) -> None:
    app = ResponsesApp(Scripted(), max_body_bytes=100)
    content = body(input="x" * 200)
    headers = {"content-length": str(len(content))} if stated else {}
    client = send_request("asyncio", app, content, headers=headers, chunk=50)
    assert (client.status, client.error["code"]) == (413, "request_too_large")
    assert send_request("asyncio", app, body(), headers={"content-length": str(len(body()))}).status == 200


# ---- the client leaves


@both_loops
@pytest.mark.parametrize("stream", [True, False])
def test_the_handler_is_cancelled_when_the_client_leaves(backend: str, *, stream: bool) -> None:
    async def main() -> None:
        waits, cancelled = anyio.Event(), anyio.Event()

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            await reply.start()
            waits.set()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                cancelled.set()
                raise

        client = Client(ResponsesApp(handler))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.request, body(stream=stream))
            await waits.wait()
            client.leave.set()
            with anyio.fail_after(PATIENCE):
                await cancelled.wait()
        assert not client.ended

    run(backend, main)


@both_loops
def test_a_client_that_leaves_while_sending_its_request_gets_nothing(backend: str) -> None:
    async def main() -> None:
        called: list[object] = []

        async def handler(request: CreateResponse, _reply: Reply) -> None:
            called.append(request)

        sent: list[object] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/responses", "headers": []}
        await ResponsesApp(handler)(scope, receive, send)
        assert (called, sent) == ([], [])

    run(backend, main)


@both_loops
def test_a_broken_connection_ends_the_handler_quietly(backend: str) -> None:
    async def main() -> None:
        said = 0

        async def handler(_request: CreateResponse, reply: Reply) -> None:
            nonlocal said
            async with reply.message() as message:
                while True:
                    await message.text("x")
                    said += 1

        class Gone(Client):
            async def _receive(self, message: MutableMapping[str, Any]) -> None:
                if len(self.pieces) > 3:
                    raise OSError("broken pipe")
                await super()._receive(message)

        await Gone(ResponsesApp(handler)).request(body(stream=True))
        assert said < 10

    run(backend, main)


# ---- on a socket


def test_over_a_socket_events_arrive_one_by_one_and_leaving_cancels() -> None:
    proceed, cancelled = threading.Event(), threading.Event()

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        try:
            async with reply.message() as message:
                await message.text("first")
                await anyio.to_thread.run_sync(proceed.wait, PATIENCE)
                await message.text("second")
                await anyio.sleep_forever()
        finally:
            cancelled.set()

    with serving(ResponsesApp(handler)) as url:
        with httpx.stream("POST", f"{url}/responses", content=body(stream=True), timeout=PATIENCE) as answer:
            stream = ResponseStream()
            for piece in answer.iter_raw():
                stream.receive_data(piece)
                if stream.response.output_text == "first":
                    assert not proceed.is_set()
                    proceed.set()
                if stream.response.output_text == "firstsecond":
                    break
        assert cancelled.wait(PATIENCE)
