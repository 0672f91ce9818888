"""Decode the server-sent events of httpx-sse into typed events, on a connection that the caller opened.

::

    async with httpx_sse.aconnect_sse(client, "POST", url, json=body) as source:
        async with events_from(source) as events:
            async for event in events:
                ...
    events.outcome

The engine is the same as that of :class:`~responses_proto.client.ResponsesClient`, and so are the events, the snapshot and the
outcome. The decoding is that of httpx-sse: it has no limits of size, makes an empty event of a comment after an ``id:`` line
(ignored here), and drops an unfinished last frame. The connection belongs to the caller. The errors of httpx, and
``SSEError`` for a reply that is not an event stream, are raised unchanged.

``ServerSentEvent``, ``EventSource`` and ``SSEError`` are those of httpx-sse.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import AsyncResource
from httpx_sse import EventSource, ServerSentEvent, SSEError

from ..exceptions import ResponsesProtoError
from ..protocol.stream import ResponseStream
from .transport._exchange import Drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from ..anomalies import Anomaly
    from ..limits import Limits
    from ..models.events import Event
    from ..models.response import Response
    from ..protocol.stream import Outcome
    from ..typing import Cursor

__all__ = ["EventSource", "SSEError", "ServerSentEvent", "SourceEvents", "events_from"]


def events_from(
    event_source: EventSource | AsyncIterable[ServerSentEvent], *, strict: bool = False, limits: Limits | None = None
) -> SourceEvents:
    """Return the typed events of one response, from an open event source or any iterable of its events.

    ``strict`` raises ``RemoteProtocolError`` where the default reports an anomaly; ``limits`` bounds what the server may send.
    Nothing is read until you iterate over the result; use it in ``async with``.
    """
    return SourceEvents(event_source, ResponseStream(strict=strict, limits=limits))


class SourceEvents(AsyncResource):
    """The typed events of one response, as they arrive. Returned by :func:`events_from`.

    Iterating ends with the response, even if the source continues; events that follow within 0.1 s are still yielded. It does
    not raise for a response that is ``failed`` or ``incomplete``: see :attr:`outcome`. It raises what the source raises,
    ``LimitExceeded``, and in strict mode ``RemoteProtocolError``; after that, it has ended. Use it in ``async with``, or call
    :meth:`aclose`, to close the source.
    """

    def __init__(self, event_source: EventSource | AsyncIterable[ServerSentEvent], engine: ResponseStream) -> None:
        source = event_source.aiter_sse() if isinstance(event_source, EventSource) else event_source
        self._source = aiter(source)
        self._engine = engine
        self._ended = False
        self._drain = Drain()

    @property
    def response(self) -> Response:
        """The snapshot of the response: partial until the stream ends, then final."""
        return self._engine.response

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` until it does, and if iterating stopped before."""
        return self._engine.outcome

    @property
    def cursor(self) -> Cursor | None:
        """The position in the stream; ``None`` until the response has an id."""
        return self._engine.cursor

    @property
    def anomalies(self) -> list[Anomaly]:
        """The deviations from the protocol that were found and tolerated, in order."""
        return self._engine.anomalies

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._ended:
            try:
                frame = await (self._drain_source() if self._engine.ended else anext(self._source, None))
                if frame is None:
                    self._engine.receive_eof()
                    await self.aclose()
                else:
                    self._engine.receive_event(frame.data, frame.event)
            except BaseException:
                # The source or the engine failed, or the read was cancelled: end the response here, so that it has an outcome.
                with suppress(ResponsesProtoError):
                    self._engine.receive_eof()
                await self.aclose()
                raise
            for event in self._engine.events_received():  # a frame holds at most one event
                return event
        raise StopAsyncIteration

    async def _drain_source(self) -> ServerSentEvent | None:
        """Continue to read briefly, so that the source can end by itself and its connection can be reused."""
        frame = None
        with anyio.move_on_after(self._drain.left()), suppress(Exception):
            frame = await anext(self._source, None)  # the response is complete: errors do not matter any more
        return frame if self._drain.count(len(frame.data) if frame else 0) else None

    async def aclose(self) -> None:
        """Close the source if it is a generator; the connection remains the caller's to close. Idempotent."""
        self._ended = True
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
