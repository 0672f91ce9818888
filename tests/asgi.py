"""Clients of the server in tests, without a socket: raw ASGI, the library's client, and an event sink."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx
from tests.openresponses import Judge, check, faults, stream_faults
from tests.support import run

from responses_proto import CreateResponse, ResponsesClient, RetryPolicy
from responses_proto.models.items import Message
from responses_proto.protocol import ResponseStream, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, MutableMapping, Sequence

    from responses_proto.models.items import Item
    from responses_proto.server import ResponsesApp, WireEvent


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "hello there", **fields}).encode()


@attrs.define
class Client:
    """A raw ASGI client: sends one request, records the response, and disconnects when `leave` is set."""

    app: ResponsesApp
    pieces: list[bytes] = attrs.field(factory=list[bytes])
    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    leave: anyio.Event = attrs.field(factory=anyio.Event)
    arrived: anyio.Event = attrs.field(factory=anyio.Event)
    ended: bool = False

    async def request(
        self,
        content: bytes = b"",
        *,
        method: str = "POST",
        path: str = "/v1/responses",
        headers: dict[str, str] | None = None,
        raw_path: str | None = None,
        chunk: int = 1 << 20,
    ) -> Client:
        raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path.partition("?")[0],
            "raw_path": (raw_path or path).encode(),
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": raw,
        }
        chunks = [content[at : at + chunk] for at in range(0, len(content), chunk)] or [b""]
        messages = [
            {"type": "http.request", "body": piece, "more_body": n < len(chunks) - 1} for n, piece in enumerate(chunks)
        ]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop(0)
            await self.leave.wait()
            return {"type": "http.disconnect"}

        await self.app(scope, receive, self._receive)
        return self

    async def _receive(self, message: MutableMapping[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.pieces.append(message["body"])
            self.ended = not message.get("more_body", False)
            self.arrived.set()

    async def until(self, text: bytes) -> None:
        """Wait until the response contains a text."""
        while text not in self.content:
            self.arrived = anyio.Event()
            await self.arrived.wait()

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def types(self) -> list[str]:
        """The types of the events received."""
        return [frame.event.decode() for frame in SSEDecoder().receive(self.content) if frame.event]

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        answer = json.loads(self.content)
        assert answer.keys() == {"error"}
        assert answer["error"].keys() == {"message", "type", "param", "code"}
        return dict(answer["error"])


def send_request(backend: str, app: ResponsesApp, content: bytes = b"", **how: Any) -> Client:
    """Send one request and return the client with the complete response."""
    found: list[Client] = []

    async def main() -> None:
        found.append(await Client(app).request(content, **how))

    run(backend, main)
    client = found[0]
    streamed = client.headers["content-type"].startswith("text/event-stream")
    assert (stream_faults(client.content) if streamed else faults(json.loads(client.content))) == []
    return client


def parse_stream(content: bytes, *, strict: bool = True) -> ResponseStream:
    stream = ResponseStream(strict=strict)
    stream.receive_data(content)
    stream.receive_eof()
    return stream


@contextlib.asynccontextmanager
async def connected(app: ResponsesApp) -> AsyncGenerator[ResponsesClient]:
    """Connect the library's client to an application. (httpx's ASGI transport returns a response, even a stream, only when it is complete.)"""
    judge = Judge(app)
    transport = httpx.ASGITransport(judge, raise_app_exceptions=False)
    async with (
        httpx.AsyncClient(transport=transport) as http_client,
        ResponsesClient("http://local/v1", "key", http_client=http_client, retry=RetryPolicy(attempts=1)) as client,
    ):
        yield client
    assert judge.found == []


class RecordingSink:
    """An event sink that records the events, and raises after `at_most` of them."""

    def __init__(self, *, at_most: int = 1000) -> None:
        self.events: list[dict[str, Any]] = []
        self.batches = 0
        self.at_most = at_most

    async def __call__(self, events: Sequence[WireEvent]) -> None:
        await anyio.lowlevel.checkpoint()
        if len(self.events) >= self.at_most:
            raise ConnectionResetError("gone")
        self.batches += 1
        for event in events:
            self.events.append(json.loads(event.data))
            check(self.events[-1])
            assert (event.type, event.sequence_number) == (self.events[-1]["type"], len(self.events) - 1)

    @property
    def types(self) -> list[str]:
        return [event["type"].removeprefix("response.") for event in self.events]


def create_request(text: str = "hello", **fields: Any) -> CreateResponse:
    given: dict[str, Any] = {"model": "m", "input": text, "stream": True, **fields}
    return CreateResponse(**given)


def texts(items: Sequence[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, Message)]
