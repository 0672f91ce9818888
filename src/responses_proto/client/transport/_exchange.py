"""Send one request and read its response while the clocks of :class:`~responses_proto.client.Timeouts` run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from ...exceptions import DeadlineExceeded, ResponsesProtoError
from ...protocol.sse import begins_as_events
from ._errors import unsafe
from ._timer import ReadTimer, on_asyncio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...limits import Limits
    from .base import Transport, WireReply, WireRequest

CLOSING: Final = 1.0
"""Seconds that closing a connection may take. After that, it is left to the operating system."""
_ERROR_BODY_TIME: Final = 10.0  # seconds to wait for the body of an error
_DRAIN_TIME: Final = 0.1  # seconds
_DRAIN_SIZE: Final = 64 * 1024  # bytes


class Closable(Protocol):
    """Anything that holds a connection."""

    async def aclose(self) -> None:
        """Release the connection."""
        ...


async def shut(closable: Closable) -> None:
    """Close in any case: shielded from cancellation, and within :data:`CLOSING` seconds."""
    # An error while closing does not concern the caller: the connection was already broken, and no data is lost.
    with anyio.move_on_after(CLOSING, shield=True), contextlib.suppress(ResponsesProtoError):
        await closable.aclose()


class Drain:
    """Bounds what is read after the end of a response so that its connection can be reused: 0.1 s and 64 KiB."""

    __slots__ = ("_bytes", "_until")

    def __init__(self) -> None:
        self._bytes = _DRAIN_SIZE
        self._until: float | None = None

    def left(self) -> float:
        """Return the seconds that are left, 0 if the bytes are used up. The first call starts the clock."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + _DRAIN_TIME
        return self._until - now if self._bytes > 0 else 0.0

    def count(self, size: int) -> bool:
        """Count bytes that were read, and return whether they were within the bound."""
        self._bytes -= size
        return self._bytes >= 0


class Exchange:
    """One request and its response. Call :meth:`open`, then :meth:`receive` until the body ends, then :meth:`aclose`.

    ``started`` is when the total deadline began, by ``time.monotonic()``; by default now. No cancel scope outlives a call, so that calls may
    come from different tasks.
    """

    __slots__ = ("_reply", "_request", "_started", "_timeouts", "_timer", "_transport", "waited")

    def __init__(self, transport: Transport, request: WireRequest, *, started: float | None = None) -> None:
        self._transport = transport
        self._request = request
        self._timeouts = request.timeouts
        self._reply: WireReply | None = None
        self._timer: ReadTimer | None = None
        self._started = time.monotonic() if started is None else started
        self.waited = 0.0
        """Seconds spent waiting for the peer since the user of this object last reset this to 0. Only these count as its delay."""

    @property
    def status(self) -> int:
        """The HTTP status; 0 before :meth:`open` returns."""
        return self._reply.status if self._reply is not None else 0

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response, names in lower case; empty before :meth:`open` returns."""
        return self._reply.headers if self._reply is not None else {}

    @property
    def reply(self) -> WireReply | None:
        """The transport's reply; ``None`` before :meth:`open` returns."""
        return self._reply

    async def open(self) -> None:
        """Send the request and wait for the head of the response.

        Raises ``DeadlineExceeded`` (``first_byte``, ``total``) and what :meth:`Transport.send` raises.
        """
        began = time.monotonic()
        if on_asyncio():
            self._timer = ReadTimer()
        kind, seconds = "first_byte", self._timeouts.first_byte
        if self._timeouts.total is not None:
            left = self._timeouts.total - (began - self._started)
            if seconds is None or left < seconds:
                kind, seconds = "total", max(0.0, left)
        with anyio.move_on_after(seconds) as scope:
            self._reply = await self._transport.send(self._request)
        if self._reply is not None:
            if not scope.cancelled_caught:
                return
            await self.aclose()  # the head arrived at the same moment as the deadline
        raise self._deadline_exceeded(kind, time.monotonic() - (self._started if kind == "total" else began))

    async def receive(self, kind: str = "", allowed: float | None = None) -> bytes:
        """Wait for the next piece of the body and return it; empty at the end.

        ``kind`` and ``allowed`` add a bound: its name, and the seconds that are left of it. Raises ``DeadlineExceeded`` for the tightest
        bound, and what :meth:`WireReply.receive` raises.
        """
        reply = self._reply
        if reply is None:
            return b""
        timeouts = self._timeouts
        began = time.monotonic()
        seconds = timeouts.between_bytes
        if allowed is None or (seconds is not None and seconds <= allowed):
            kind, allowed = "between_bytes", seconds
        if timeouts.total is not None:
            left = timeouts.total - (began - self._started)
            if allowed is None or left < allowed:
                kind, allowed = "total", left
        try:
            if allowed is None:
                return await reply.receive()
            # One bound for the whole call, however many reads the transport makes in it.
            if self._timer is None:
                with anyio.move_on_after(max(0.0, allowed)):
                    return await reply.receive()
            else:
                self._timer.start(began + allowed)
                try:
                    return await reply.receive()
                except asyncio.CancelledError:
                    if not self._timer.ran_out():
                        raise
                finally:
                    self._timer.end()
        finally:
            waited = time.monotonic() - began
            self.waited += waited
        elapsed = {"between_bytes": waited, "total": time.monotonic() - self._started}.get(kind, self.waited)
        raise self._deadline_exceeded(kind, elapsed)

    async def read_first(self, kind: str = "", allowed: float | None = None) -> tuple[bytes, bool]:
        """Read until the first bytes show the kind of the body. Return them, and whether it is clearly an event stream.

        ``kind`` and ``allowed`` are those of :meth:`receive`, for all pieces together. Raises what :meth:`receive` raises.
        """
        first = b""
        while True:
            piece = await self.receive(kind, None if allowed is None else allowed - self.waited)
            first += piece
            is_events = begins_as_events(first)
            if is_events is not None or not piece:
                return first, bool(is_events)

    async def read(self, limits: Limits, first: bytes = b"") -> bytes:
        """Return the body, of which ``first`` was read already.

        Raises ``LimitExceeded`` if it is larger than ``max_buffered_bytes``, and what :meth:`receive` raises.
        """
        body = bytearray(first)  # one buffer: an object for each piece may take more memory than the pieces
        limits.check("max_buffered_bytes", len(body))
        while piece := await self.receive():
            body += piece
            limits.check("max_buffered_bytes", len(body))
        return bytes(body)

    async def read_start(self, size: int, first: bytes = b"") -> bytes:
        """Return at most ``size`` bytes of the body of an error: fewer if it ends, breaks off, or takes longer than 10 s.

        ``first`` is what was read of it already.
        """
        start = bytearray(first)
        until = time.monotonic() + _ERROR_BODY_TIME
        # The error in this body is more useful than a failure to read it.
        with contextlib.suppress(ResponsesProtoError):
            while len(start) < size and (piece := await self.receive("", until - time.monotonic())):
                start += piece
        return bytes(start[:size])

    async def aclose(self) -> None:
        """Release the connection, as :func:`shut` does. Idempotent."""
        if self._timer is not None:
            self._timer.stop()
        if self._reply is not None:
            await shut(self._reply)

    def _deadline_exceeded(self, kind: str, elapsed: float) -> DeadlineExceeded:
        return unsafe(DeadlineExceeded(kind, elapsed, limit=getattr(self._timeouts, kind, None)))
