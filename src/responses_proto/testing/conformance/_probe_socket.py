"""WebSockets for the checks: to a server over the network, or to an ASGI application in memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio

from ...client.transport._exchange import Exchange, shut
from ...exceptions import StreamTruncated
from ...limits import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping

    from ...client.transport.base import Transport, WireRequest
    from ...client.websocket._connection import WebSocketConnection

_Message: TypeAlias = "MutableMapping[str, Any]"
ASGIApp: TypeAlias = (
    "Callable[[_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]]"
)
"""An ASGI 3 application."""


class ProbeSocket(Protocol):
    """One WebSocket, used by one task."""

    async def send(self, message: bytes) -> None:
        """Send a text message."""
        ...

    async def receive(self) -> bytes:
        """Wait for the next message. Raises ``TransportError`` if the connection ends."""
        ...


class _WireSocket:
    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection
        self._messages: list[bytes] = []

    async def send(self, message: bytes) -> None:
        await self._connection.send(message, None)

    async def receive(self) -> bytes:
        while not self._messages:
            self._messages += await self._connection.receive()
        return self._messages.pop(0)


@contextlib.asynccontextmanager
async def wire_socket(transport: Transport, request: WireRequest) -> AsyncGenerator[ProbeSocket]:
    """Open a WebSocket over the network. Raises ``ImportError`` without the extra ``ws``, and the errors of ``accept_upgrade``."""
    from ...client.websocket._connection import WebSocketConnection, accept_upgrade, upgrade  # noqa: PLC0415 - needs the extra `ws`, the other checks do not

    request = upgrade(request)
    exchange = Exchange(transport, request)
    try:
        await exchange.open()
        reply = await accept_upgrade(exchange, request.headers["sec-websocket-key"], b"")
    except BaseException:
        await exchange.aclose()
        raise
    connection = WebSocketConnection(reply, limits=Limits())
    try:
        yield _WireSocket(connection)
    finally:
        await shut(connection)


class _ASGISocket:
    """The client's side of a WebSocket of an application."""

    def __init__(self) -> None:
        # Messages are small and few. A full buffer would block an application whose client is about to leave.
        self.to_app, self.app_receives = anyio.create_memory_object_stream[_Message](1000)
        self.app_sends, self.from_app = anyio.create_memory_object_stream[_Message](100_000)

    async def run(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        """Run the application until it has closed the connection."""
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": ("app.invalid", 80),
            "client": ("127.0.0.1", 1),
            "path": "/v1/responses",
            "raw_path": b"/v1/responses",
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"host", b"app.invalid"),
                *((name.encode(), value.encode()) for name, value in headers.items()),
            ],
            "subprotocols": [],
            "state": {},
        }
        try:
            await app(scope, self.app_receives.receive, self.app_sends.send)
        except Exception:  # noqa: BLE001, S110 - an application that breaks has closed the connection, which is what a client sees
            pass
        finally:
            self.app_sends.close()

    async def send(self, message: bytes) -> None:
        self.to_app.send_nowait({"type": "websocket.receive", "text": message.decode()})

    async def receive(self) -> bytes:
        message = await self._message()
        if message["type"] != "websocket.send":
            raise StreamTruncated("the application closed the WebSocket")
        text: str | None = message.get("text")
        return text.encode() if text is not None else bytes(message["bytes"])

    async def accepted(self) -> bool:
        return bool((await self._message())["type"] == "websocket.accept")

    async def _message(self) -> _Message:
        try:
            return await self.from_app.receive()
        except anyio.EndOfStream:
            return {"type": "websocket.close"}


@contextlib.asynccontextmanager
async def asgi_socket(app: ASGIApp, headers: Mapping[str, str]) -> AsyncGenerator[ProbeSocket | None]:
    """Open a WebSocket to an application in memory. Yields ``None`` if the application does not accept the connection."""
    socket = _ASGISocket()
    failure: Exception | None = None
    with socket.to_app, socket.app_receives, socket.app_sends, socket.from_app:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(socket.run, app, headers)
            await socket.to_app.send({"type": "websocket.connect"})
            accepted = await socket.accepted()
            try:
                yield socket if accepted else None
            except Exception as error:  # noqa: BLE001 - raised below: the task group would wrap it
                failure = error
            if accepted:
                await socket.to_app.send({"type": "websocket.disconnect", "code": 1000})
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
