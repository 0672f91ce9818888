"""A client transport to an ASGI application in this process. It uses no socket, and delivers events as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import anyio

from ..client._task_holder import TaskHolder
from ..exceptions import StreamTruncated, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from ..client.transport.base import WireReply, WireRequest

_MAX_PIECES: Final = 8
"""The number of unread body chunks at which the application waits, as for a slow client."""


class InProcessTransport:
    """A :class:`~responses_proto.client.transport.Transport` to an ASGI application.

    Each request runs in its own task, which is cancelled when its reply is closed. Redirects and upgrades are not supported.
    """

    upgrades: Final = False

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request, and return the reply when its head has arrived."""
        call = _Call(self._app, request)
        call.holder.start()
        try:
            await call.head.wait()
        except BaseException:
            await call.aclose()
            raise
        if not call.status:
            await call.aclose()
            failure = call.holder.failure
            error = TransportError(f"the application did not answer: {failure or 'it returned'}")
            error.retry_safety = "unsafe"
            raise error from failure
        return call

    async def aclose(self) -> None:
        """Do nothing: requests end with their replies."""


class _Call:
    """One request, and its reply."""

    def __init__(self, app: Callable[..., Awaitable[None]], request: WireRequest) -> None:
        self._app = app
        self._request = request
        self._unread = True  # whether the application has yet to receive the body
        self._closed = anyio.Event()
        self._complete = False
        self._send_piece, self._pieces = anyio.create_memory_object_stream[bytes](_MAX_PIECES)
        self.head = anyio.Event()
        """Set when the head has arrived, or when none will."""
        self.status: int = 0
        self.headers: Mapping[str, str] = {}
        # The task has nothing to close, so it is cancelled at once.
        self.holder = TaskHolder(self._run, close_timeout=0.0)

    async def _run(self, _holder: TaskHolder) -> None:
        parts = urlsplit(self._request.url)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": parts.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", parts.netloc.encode()),
                # Plain strings, as over a wire: the client's strings hide secrets from a repr.
                *((name.encode(), str(value).encode("latin-1")) for name, value in self._request.headers.items()),
            ],
        }
        try:
            with self._send_piece:
                await self._app(scope, self._receive, self._send)
        finally:
            self.head.set()

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._unread:
            self._unread = False
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._closed.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            self.head.set()
        elif message["type"] == "http.response.body":
            if message.get("body"):
                await self._send_piece.send(message["body"])
            self._complete = not message.get("more_body", False)
            if self._complete:
                self._send_piece.close()

    async def receive(self) -> bytes:
        """Return the next chunk of the body; wait for it. Empty at the end."""
        try:
            return await self._pieces.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            if self._complete or self._closed.is_set():
                return b""
            error = StreamTruncated("the application ended before the end of its answer")
            error.retry_safety = "unsafe"
            raise error from self.holder.failure

    async def aclose(self) -> None:
        """Disconnect from the application, and end its task."""
        self._closed.set()
        self._pieces.close()
        await self.holder.close(cancel=not self._complete)
