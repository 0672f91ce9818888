"""A server on a real socket that says exactly the bytes it is told to, and notes what the client does.

It knows just enough of HTTP to find the end of a request. Runs inside the test's own event loop, asyncio's or trio's.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import attrs
import pytest
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import SocketStream

both_loops = pytest.mark.parametrize("backend", ["asyncio", "trio"])
"""For a test that takes ``backend`` and gives it to :func:`run`."""


def run(backend: str, test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine function on an event loop, for half a minute at most."""

    async def bounded() -> None:
        with anyio.fail_after(30):
            await test()

    anyio.run(bounded, backend=backend)


@attrs.define
class Request:
    """What the server received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """The number of the connection, from 0."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """The server's end of one connection, while it answers one request."""

    def __init__(self, stream: SocketStream, request: Request) -> None:
        self.socket = stream
        self.request = request

    async def send(self, data: bytes) -> None:
        await self.socket.send(data)

    async def reset(self) -> None:
        """Break the connection, so that the client sees an error and no end."""
        raw = self.socket.extra(SocketAttribute.raw_socket)  # noqa: S610 - as below
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.socket.aclose()

    async def until_closed(self) -> float:
        """Wait until the client is gone; give the time when it was seen."""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                await self.socket.receive()
        return time.monotonic()


Script: TypeAlias = Callable[[Peer], Awaitable[None]]
"""Answers one request. Then the next one on the same connection is awaited, unless the socket was closed."""


class Server:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/v1"
        self.requests: list[Request] = []
        self.connections = 0


@asynccontextmanager
async def serve(script: Script | bytes) -> AsyncGenerator[Server]:
    """Run a server as long as the block lasts; one that always says the same if there are only bytes to say."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        server = Server(listener.extra(SocketAttribute.local_port))  # noqa: S610 - anyio's, not Django's

        async def talk(stream: SocketStream) -> None:
            number, server.connections = server.connections, server.connections + 1
            async with stream:
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                    while True:
                        request = await _receive(stream, number)
                        server.requests.append(request)
                        peer = Peer(stream, request)
                        await (peer.send(script) if isinstance(script, bytes) else script(peer))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, talk)
            try:
                yield server
            finally:
                tasks.cancel_scope.cancel()


async def _receive(stream: SocketStream, connection: int) -> Request:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive()
    method, target, _ = first.split(" ")
    return Request(method, target, headers, body, connection)


# ---- what servers say


Wire: TypeAlias = dict[str, Any]


def head(status: int = 200, headers: Mapping[str, str] | None = None, *, kind: str = "text/event-stream") -> bytes:
    """Give the head of an answer; with a body to come in chunks, unless the headers say how long it is."""
    lines = {"content-type": kind, **(headers or {})}
    if "content-length" not in lines:
        lines["transfer-encoding"] = "chunked"
    return f"HTTP/1.1 {status} X\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in lines.items()) + b"\r\n"


def whole(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, *, kind: str) -> bytes:
    """Give a complete answer."""
    return head(status, {"content-length": str(len(body)), **(headers or {})}, kind=kind) + body


def chunk(data: bytes) -> bytes:
    """Give one chunk of a body; of no data, its end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = chunk(b"")


def frame(event: Mapping[str, object]) -> bytes:
    """Give an event as it is on the wire."""
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), json.dumps(event).encode())


def response(status: str = "in_progress", text: str | None = None, **more: Any) -> Wire:
    """Give a response object, with one message if there is text."""
    content: list[Wire] = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message: Wire = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "m",
        "output": [] if text is None else [message],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        **more,
    }


def events(*deltas: str, last: str | None = "completed", **more: Any) -> list[Wire]:
    """Give the events of a response of one message; without the last one if ``last`` is None."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    text = "".join(deltas)
    part: Wire = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    message: Wire = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    listed: list[Wire] = [
        {"type": "response.created", "response": response(**more)},
        {"type": "response.in_progress", "response": response(**more)},
        {"type": "response.output_item.added", "output_index": 0, "item": message},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": delta, "logprobs": []} for delta in deltas),
    ]
    if last is not None:
        done = response(last, text, **more)
        listed += [
            {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
            {"type": "response.content_part.done", **place, "part": {**part, "text": text}},
            {"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]},
            {"type": f"response.{last}", "response": done},
        ]
    return [{**event, "sequence_number": number} for number, event in enumerate(listed)]


def frames(*deltas: str, last: str | None = "completed", **more: Any) -> bytes:
    """Give the events of :func:`events` as they are on the wire."""
    return b"".join(map(frame, events(*deltas, last=last, **more)))
