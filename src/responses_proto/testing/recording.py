"""Record real traffic of a client that accepts a base URL but no transport: a proxy server that records what it forwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit, urlunsplit

from ..client._address import normalize_base_url, resolve_endpoint
from ..client.transport._exchange import shut
from ..client.transport.base import WireRequest
from ..exceptions import LocalProtocolError, TransportError
from .cassettes import record
from .fake.server import FakeServer

if TYPE_CHECKING:
    from types import TracebackType

    from ..client.transport.base import Transport
    from ..client.transport.http import HTTPClient
    from .cassettes import Recorder
    from .fake.exchange import ServerExchange

__all__ = ["RecordingServer"]

_HOP_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}
)
"""Headers that belong to one connection, or describe compression, which is undone. They are not forwarded."""


class RecordingServer(FakeServer):
    """A server that forwards every request to a real server, and writes a cassette when its ``async with`` block is left.

    ``path``: the file of the cassette.
    ``base_url``: the real server. The default is ``RESPONSES_BASE_URL`` in the environment, or else OpenAI's address.
    ``http_client``: as for ``ResponsesClient``.

    Requests are forwarded with their credentials, which are left out of the file. Raises ``UsageError`` for an invalid base URL.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        base_url: str | None = None,
        *,
        http_client: HTTPClient | Transport | None = None,
    ) -> None:
        super().__init__(self._forward, check_requests=False)
        provider, url, _ = resolve_endpoint(base_url, None, None, os.environ)
        self._base_url = normalize_base_url(url, provider)
        self._path = path
        self._http_client = http_client
        self._recorder: Recorder | None = None

    async def __aenter__(self) -> Self:
        self._recorder = record(self._path, self._http_client)
        await self._recorder.__aenter__()
        return await super().__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await super().__aexit__(exc_type, exc, traceback)
        finally:
            recorder, self._recorder = self._recorder, None
            if recorder is not None:
                await recorder.__aexit__(None, None, None)

    async def _forward(self, exchange: ServerExchange) -> None:
        received = exchange.request
        if self._recorder is None:
            raise LocalProtocolError("the server is not running: use it inside its `async with` block")
        request = WireRequest(
            method=received.method,
            url=self._url_of(received.target),
            headers={name: value for name, value in received.headers.items() if name not in _HOP_HEADERS},
            body=received.body,
            stream=received.wants_stream,
        )
        try:
            reply = await self._recorder.send(request)
        except TransportError:
            await exchange.close()
            return
        try:
            headers = {name: value for name, value in reply.headers.items() if name not in _HOP_HEADERS}
            await exchange.start(reply.status, headers=headers, content_type=None)
            while piece := await reply.receive():
                await exchange.send(piece)
            await exchange.finish()
        except TransportError:
            await exchange.reset()
        finally:
            await shut(reply)

    def _url_of(self, target: str) -> str:
        base, received = urlsplit(self._base_url), urlsplit(target)
        query = "&".join(each for each in (base.query, received.query) if each)
        return urlunsplit((base.scheme, base.netloc, base.path + received.path.removeprefix("/v1"), query, ""))
