from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
from wsproto.connection import Connection
from wsproto.events import Event

class WebSocketDisconnect(Exception):  # noqa: N818 - httpx-ws calls it that
    code: int
    reason: str
    def __init__(self, code: int = 1000, reason: str | None = None) -> None: ...

class WebSocketUpgradeError(Exception):
    response: httpx.Response
    def __init__(self, response: httpx.Response) -> None: ...

class AsyncWebSocketSession:
    connection: Connection
    response: httpx.Response | None
    def __init__(self, stream: object, *, keepalive_ping_interval_seconds: float | None = 20.0) -> None: ...
    async def send(self, event: Event) -> None: ...
    async def send_text(self, data: str) -> None: ...
    async def receive_text(self) -> str: ...

def aconnect_ws(
    url: str, client: httpx.AsyncClient | None = None, **kwargs: Any
) -> AbstractAsyncContextManager[AsyncWebSocketSession]: ...
