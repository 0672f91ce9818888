from wsproto.connection import Connection
from wsproto.events import Event

class WebSocketDisconnect(Exception):  # noqa: N818 - httpx-ws calls it that
    code: int
    reason: str
    def __init__(self, code: int = 1000, reason: str | None = None) -> None: ...

class AsyncWebSocketSession:
    connection: Connection
    def __init__(self, stream: object, *, keepalive_ping_interval_seconds: float | None = 20.0) -> None: ...
    async def send(self, event: Event) -> None: ...
