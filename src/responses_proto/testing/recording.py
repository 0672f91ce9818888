"""A server that hands on what it is asked to a real one, and notes what that answers: for clients that only take an address."""

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

_OF_THE_CONNECTION: Final = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}
)
"""Headers that are about the one connection or the other, or about compression, which is undone."""


class RecordingServer(FakeServer):
    """A fake server that is none: what it says comes from ``base_url``, and is in a cassette when the block is left.

    Requests are handed on with the credentials that came with them, which do not get into the file. Without ``base_url`` it is the
    environment's ``RESPONSES_BASE_URL``, or else OpenAI's. ``http_client`` is what a ``ResponsesClient`` takes under this name.
    Raises ``LocalProtocolError`` for a base URL that is none.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        base_url: str | None = None,
        *,
        http_client: HTTPClient | Transport | None = None,
    ) -> None:
        super().__init__(self._hand_on)
        dialect, url, _ = resolve_endpoint(base_url, None, None, os.environ)
        self._base_url = normalize_base_url(url, dialect)
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

    async def _hand_on(self, peer: ServerExchange) -> None:
        asked = peer.request
        if self._recorder is None:
            raise LocalProtocolError("the server does not run")
        request = WireRequest(
            method=asked.method,
            url=self._url_of(asked.target),
            headers={name: value for name, value in asked.headers.items() if name not in _OF_THE_CONNECTION},
            body=asked.body,
            stream=asked.wants_stream,
        )
        try:
            reply = await self._recorder.send(request)
        except TransportError:
            await peer.close()
            return
        try:
            headers = {name: value for name, value in reply.headers.items() if name not in _OF_THE_CONNECTION}
            await peer.start(reply.status, headers=headers, content_type=None)
            while piece := await reply.receive():
                await peer.send(piece)
            await peer.finish()
        except TransportError:
            await peer.reset()
        finally:
            await shut(reply)

    def _url_of(self, target: str) -> str:
        base, asked = urlsplit(self._base_url), urlsplit(target)
        query = "&".join(each for each in (base.query, asked.query) if each)
        return urlunsplit((base.scheme, base.netloc, base.path + asked.path.removeprefix("/v1"), query, ""))
