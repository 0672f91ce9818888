"""What tests of the WebSocket have in common: a client that is connected to a fake server, and scripts of single messages."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from tests.streams import plain, without

from responses_proto import ResponsesClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tests.streams import Wire

    from responses_proto.aio.websocket import WebSocketSession
    from responses_proto.testing import FakeServer, Peer
    from responses_proto.testing.peer import Request

KEY = "key-that-nobody-may-see"
ONCE = RetryPolicy(attempts=1)
TEXT = "Hello, wörld 🌍!"
"""What :func:`tests.streams.plain` says."""

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


@asynccontextmanager
async def session_with(
    server: FakeServer, *, connect: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[WebSocketSession]:
    """Connect a client that tries everything once, unless the options say otherwise."""
    options = {"retry": ONCE, **options}
    async with ResponsesClient(server.url, KEY, **options) as client, client.connect(**(connect or {})) as session:
        yield session


async def say(session: WebSocketSession, text: str = "x", **fields: Any) -> str:
    """Ask for a response, and give its text."""
    async with session.stream(model="m", input=text, **fields) as stream:
        return (await stream.result()).output_text


async def send(peer: Peer, events: Sequence[Wire], **more: Any) -> None:
    """Send events as messages, on the lane of the request."""
    lane = peer.request.json.get("stream_id")
    for event in events:
        await peer.message({**event, **({"stream_id": lane} if lane else {}), **more})


def named(events: Sequence[Wire], id_: str, **fields: Any) -> list[Wire]:
    """Give the events of a response with another id, and other fields."""
    return [
        {**event, "response": {**event["response"], "id": id_, **fields}} if "response" in event else without(event)
        for event in events
    ]


def opened(text: str = TEXT) -> list[Wire]:
    """Give the events of a response up to its last delta."""
    return plain([text], last=None)


def messages(server: FakeServer) -> list[Request]:
    """Give what was said over WebSockets, without the handshakes."""
    return [request for request in server.requests if request.message]


async def eventually(condition: Any, seconds: float = 5.0) -> None:
    """Wait until something is so."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what other tasks still do, not an event
            await anyio.sleep(0.002)
