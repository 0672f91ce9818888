"""Typed events from server-sent events that httpx-sse cut out: for who has opened a connection with it already.

::

    async with httpx_sse.aconnect_sse(client, "POST", url, json=body) as source:
        async with events_from(source) as events:
            async for event in events:
                ...
    events.outcome

The engine is the client's own, so the events, the snapshot and the outcome are the same. What httpx-sse does to the bytes is
not undone: it has no limit of size, makes an empty event of a comment after an ``id:`` (ignored here), and drops an
unfinished last frame. The connection stays the caller's, and so do its errors: those of httpx, and ``SSEError`` for an answer
that is no event stream, come out as they are.

``ServerSentEvent`` and ``SSEError``, httpx-sse's, are the public types of this module.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio
from httpx_sse import EventSource, ServerSentEvent, SSEError

from ..exceptions import ResponsesProtoError
from ..protocol.stream import ResponseStream
from .transport._exchange import Drain

if TYPE_CHECKING:
    from collections.abc import AsyncIterable
    from types import TracebackType

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
    """Read an event source that the caller has opened, or any iterable of its events, as one response.

    Nothing is read before the first event is asked for. ``strict`` and ``limits`` are those of ``ResponseStream``.
    """
    return SourceEvents(event_source, ResponseStream(strict=strict, limits=limits))


class SourceEvents:
    """The typed events of one response, as they come. From :func:`events_from`.

    Iterating ends with the response, even if the source goes on: what comes within a tenth of a second is still given, as
    late events. It raises for no way in which a response may end: see
    :attr:`outcome`. It raises what the source raises, ``LimitExceeded``, and in strict mode what ``ResponseStream`` does; after
    that it is over. Use it as an async context manager, or call :meth:`aclose`, to let go of the source.
    """

    def __init__(self, event_source: EventSource | AsyncIterable[ServerSentEvent], engine: ResponseStream) -> None:
        source = event_source.aiter_sse() if isinstance(event_source, EventSource) else event_source
        self._source = aiter(source)
        self._engine = engine
        self._over = False
        self._drain = Drain()

    @property
    def response(self) -> Response:
        """The response as far as it came; final at the end."""
        return self._engine.response

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` as long as it did not, or if iterating stopped before."""
        return self._engine.outcome

    @property
    def cursor(self) -> Cursor | None:
        """Where the stream stands; ``None`` before the response has an id."""
        return self._engine.cursor

    @property
    def anomalies(self) -> list[Anomaly]:
        """What the server sent that the protocol does not provide for."""
        return self._engine.anomalies

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._over:
            try:
                frame = await (self._read_on() if self._engine.ended else anext(self._source, None))
                if frame is None:
                    self._engine.receive_eof()
                    await self.aclose()
                else:
                    self._engine.receive_event(frame.data, frame.event)
            except BaseException:
                # Whatever broke the source, or the reading of it: the response has ended here, and can be asked how.
                with suppress(ResponsesProtoError):
                    self._engine.receive_eof()
                await self.aclose()
                raise
            for event in self._engine.events_received():  # one frame is one event at most
                return event
        raise StopAsyncIteration

    async def _read_on(self) -> ServerSentEvent | None:
        """Read on for a moment: so the source comes to its end by itself, and the connection can be used again."""
        frame = None
        with anyio.move_on_after(self._drain.left()), suppress(Exception):
            frame = await anext(self._source, None)  # the response is whole; what breaks now is not worth an error
        return frame if self._drain.count(len(frame.data) if frame else 0) else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the source, which closes it if it is a generator; the connection stays the caller's. Idempotent."""
        self._over = True
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
