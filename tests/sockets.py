"""Helpers for tests of the WebSocket: a client connected to a fake server, messages, and a bare client for ASGI applications."""

from __future__ import annotations

import json
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import anyio
import attrs
from tests.openresponses import Judge
from tests.streams import plain, without
from tests.support import PATIENCE

from responses_proto import ResponsesClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, Sequence
    from types import TracebackType

    from anyio.abc import TaskGroup
    from tests.streams import Wire

    from responses_proto.client import WebSocketSession
    from responses_proto.testing import FakeServer, Request, ServerExchange

KEY = "key-that-nobody-may-see"
ONCE = RetryPolicy(attempts=1)
TEXT = "Hello, wörld 🌍!"
"""The text of :func:`tests.streams.plain`."""

NOT_FOUND: Wire = {
    "type": "error",
    "status": 400,
    "error": {
        "type": "invalid_request_error",
        "code": "previous_response_not_found",
        "message": "Previous response not found.",
        "param": "previous_response_id",
    },
}
TOO_OLD: Wire = {
    "type": "error",
    "status": 400,
    "error": {
        "type": "invalid_request_error",
        "code": "websocket_connection_limit_reached",
        "message": "Sixty minutes are over.",
        "param": None,
    },
}


def frame(payload: bytes, opcode: int, *, final: bool = True) -> bytes:
    """Return a frame as a server writes it, valid or not (RFC 6455, 5.2)."""
    first = opcode | (0x80 if final else 0)
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    return (
        struct.pack("!BBH", first, 126, size) + payload
        if size < 1 << 16
        else struct.pack("!BBQ", first, 127, size) + payload
    )


@asynccontextmanager
async def session_with(
    server: FakeServer, *, connect: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[WebSocketSession]:
    """Connect a client without retries, unless ``options`` has a policy. ``connect`` are arguments of ``client.connect()``."""
    options = {"retry": ONCE, **options}
    async with ResponsesClient(server.url, KEY, **options) as client, client.connect(**(connect or {})) as session:
        yield session


async def say(session: WebSocketSession, text: str = "x", **fields: Any) -> str:
    """Create a response and return its text."""
    async with session.stream(model="m", input=text, **fields) as stream:
        return (await stream.result()).output_text


async def send(peer: ServerExchange, events: Sequence[Wire], **more: Any) -> None:
    """Send events as messages, on the lane of the request."""
    lane = peer.request.json.get("stream_id")
    for event in events:
        await peer.message({**event, **({"stream_id": lane} if lane else {}), **more})


def named(events: Sequence[Wire], id_: str, **fields: Any) -> list[Wire]:
    """Return the events of a response with another id and other fields."""
    return [
        {**event, "response": {**event["response"], "id": id_, **fields}} if "response" in event else without(event)
        for event in events
    ]


def opened(text: str = TEXT) -> list[Wire]:
    """Return the events of a response up to its last delta."""
    return plain([text], last=None)


def messages(server: FakeServer) -> list[Request]:
    """Return the messages that arrived over WebSockets, without the handshakes."""
    return [request for request in server.requests if request.message]


async def eventually(condition: Any) -> None:
    """Wait until a condition is true."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the condition depends on other tasks and has no event
            await anyio.sleep(0.002)


# ---- the bare client of an ASGI application

ENDS = ("response.completed", "response.incomplete", "response.failed", "error")


@attrs.define
class Talk:
    """A WebSocket to an ASGI application, without a socket. Everything sent is checked against the specification."""

    app: Callable[..., Awaitable[None]]
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    path: str = "/v1/responses"
    extensions: dict[str, Any] = attrs.field(factory=dict[str, Any])
    said: list[MutableMapping[str, Any]] = attrs.field(factory=list["MutableMapping[str, Any]"])
    """The ASGI messages except ``websocket.send``."""
    over: bool = False
    _tasks: TaskGroup | None = None
    _up: Any = None
    _down: Any = None

    async def __aenter__(self) -> Self:
        self._up = anyio.create_memory_object_stream[Any](100)
        self._down = anyio.create_memory_object_stream[Any](10_000)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run)
        await self._up[0].send({"type": "websocket.connect"})
        await eventually(lambda: self.said)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tasks
        if exc is None:
            await self.leave()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(exc_type, exc, traceback)
        for stream in (*self._up, *self._down):
            stream.close()

    async def say(self, type_: str = "response.create", **fields: Any) -> None:
        """Send a message, by default a ``response.create`` for the model `m`."""
        await self.say_raw(
            json.dumps({"type": type_, **({"model": "m"} if type_ == "response.create" else {}), **fields})
        )

    async def say_raw(self, data: str | bytes) -> None:
        await self._up[0].send({"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data})

    async def hear(self) -> dict[str, Any]:
        """Wait for the next message."""
        return dict(await self._down[1].receive())

    async def hear_turn(self) -> list[dict[str, Any]]:
        """Wait for the messages up to the end of a turn."""
        heard = [await self.hear()]
        while heard[-1]["type"] not in ENDS or (heard[-1]["type"] == "error" and "status" not in heard[-1]):
            heard.append(await self.hear())
        return heard

    async def ask(self, input_: Any = "x", **fields: Any) -> dict[str, Any]:
        """Create a response and return its last message."""
        await self.say(input=input_, **fields)
        return (await self.hear_turn())[-1]

    async def leave(self) -> None:
        """Disconnect, and wait until the application has returned."""
        if not self.over:
            await self._up[0].send({"type": "websocket.disconnect", "code": 1000})
            await eventually(lambda: self.over)

    async def _run(self) -> None:
        judge = Judge(self.app)
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
            "subprotocols": [],
            "extensions": self.extensions,
        }
        await judge(scope, self._up[1].receive, self._take)
        self.over = True
        assert judge.found == []

    async def _take(self, message: MutableMapping[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()
        if message["type"] == "websocket.send":
            await self._down[0].send(json.loads(message["text"]))
        else:
            self.said.append(message)
