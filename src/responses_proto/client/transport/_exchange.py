"""One request and its answer, with the clocks of :class:`~responses_proto.client.Timeouts` running."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from ...exceptions import DeadlineExceeded, ResponsesProtoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...limits import Limits
    from .base import Transport, WireReply, WireRequest

__all__ = ["CLOSING", "Closable", "Drain", "Exchange", "shut"]

CLOSING: Final = 1.0  # seconds that closing a connection may take before it is left to the operating system


class Closable(Protocol):
    """Anything that holds a connection."""

    async def aclose(self) -> None:
        """Let go of it."""
        ...


async def shut(closable: Closable) -> None:
    """Close, whatever happens around: cancellation does not stop it, and it does not hang."""
    # An error of closing is none of the caller's: the connection was broken already, and nothing is lost with it.
    with anyio.move_on_after(CLOSING, shield=True), contextlib.suppress(ResponsesProtoError):
        await closable.aclose()


class Drain:
    """How much may still be read after the end of a response, so that the connection can be used again: 0.1 s, 64 KiB."""

    __slots__ = ("_bytes", "_until")

    def __init__(self) -> None:
        self._bytes = 64 * 1024
        self._until: float | None = None

    def left(self) -> float:
        """Give the seconds that are left; none once the bytes are used up. The first call starts the clock."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + 0.1
        return self._until - now if self._bytes > 0 else 0.0

    def count(self, size: int) -> bool:
        """Say that so many bytes were read; tell whether that was within the bound."""
        self._bytes -= size
        return self._bytes >= 0


class Exchange:
    """Sends on :meth:`open`; then :meth:`receive` gives the body. No cancel scope outlives a call."""

    __slots__ = ("_reply", "_request", "_started", "_timeouts", "_transport", "waited")

    def __init__(self, transport: Transport, request: WireRequest, *, started: float | None = None) -> None:
        # ``started``: when the total deadline began, if not with this very sending.
        self._transport = transport
        self._request = request
        self._timeouts = request.timeouts
        self._reply: WireReply | None = None
        self._started = time.monotonic() if started is None else started
        self.waited = 0.0
        """Seconds that this waited for the peer since its user last set this to 0: only they count against the peer."""

    @property
    def status(self) -> int:
        """The HTTP status; 0 before the answer."""
        return self._reply.status if self._reply is not None else 0

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer, names in lower case; none before it."""
        return self._reply.headers if self._reply is not None else {}

    @property
    def reply(self) -> WireReply | None:
        """The answer itself; ``None`` before it."""
        return self._reply

    async def open(self) -> None:
        """Send the request and wait for the head of the answer. Raises errors of the transport, and ``DeadlineExceeded``."""
        begun = time.monotonic()
        kind, seconds = self._tightest(("first_byte", self._timeouts.first_byte))
        with anyio.move_on_after(seconds) as scope:
            self._reply = await self._transport.send(self._request)
        if self._reply is None:
            raise self._late(kind, time.monotonic() - (self._started if kind == "total" else begun))
        if scope.cancelled_caught:  # the head came at the last moment, and the deadline too
            await self.aclose()
            raise self._late(kind, time.monotonic() - (self._started if kind == "total" else begun))

    async def receive(self, kind: str = "", allowed: float | None = None) -> bytes:
        """Wait for the next piece of the body; empty at its end.

        ``kind`` and ``allowed`` name another bound and the seconds that are left of it. Raises ``DeadlineExceeded``.
        """
        reply = self._reply
        if reply is None:
            return b""
        timeouts = self._timeouts
        between = timeouts.between_bytes
        begun = time.monotonic()
        if (
            between is not None
            and reply.keeps_time
            and (allowed is None or allowed >= between)
            and (timeouts.total is None or timeouts.total - (begun - self._started) >= between)
        ):  # the transport's timer runs out first, so that another one would be for nothing
            bounded = await reply.receive()
            self.waited += time.monotonic() - begun
            return bounded
        kind, seconds = self._tightest(("between_bytes", between), (kind, allowed))
        if seconds is None:
            piece: bytes | None = await reply.receive()
        else:
            piece = None
            with anyio.move_on_after(seconds):
                piece = await reply.receive()
        waited = time.monotonic() - begun
        self.waited += waited
        if piece is None:
            elapsed = {"between_bytes": waited, "total": time.monotonic() - self._started}.get(kind, self.waited)
            raise self._late(kind, elapsed)
        return piece

    async def read(self, limits: Limits) -> bytes:
        """Read the rest of the body. Raises ``LimitExceeded`` if it is larger than ``max_buffered_bytes``."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.receive():
            pieces.append(piece)
            size += len(piece)
            limits.check("max_buffered_bytes", size)
        return b"".join(pieces)

    async def read_start(self, size: int) -> bytes:
        """Read the body as far as it is worth keeping in an error: ``size`` bytes, or until it stalls or breaks."""
        start = bytearray()
        # The error that the body belongs to says more than that it could not be read whole.
        with contextlib.suppress(ResponsesProtoError):
            while len(start) < size and (piece := await self.receive("", _PATIENCE)):
                start += piece
        return bytes(start[:size])

    async def aclose(self) -> None:
        """Let go of the connection, at once and in any case. Idempotent."""
        reply = self._reply
        if reply is not None:
            await shut(reply)

    def _tightest(self, *bounds: tuple[str, float | None]) -> tuple[str, float | None]:
        total = self._timeouts.total
        left = None if total is None else max(0.0, total - (time.monotonic() - self._started))
        kind, seconds = "total", left
        for name, allowed in bounds:
            if allowed is not None and (seconds is None or allowed < seconds):
                kind, seconds = name, max(0.0, allowed)
        return kind, seconds

    def _late(self, kind: str, elapsed: float) -> DeadlineExceeded:
        error = DeadlineExceeded(kind, elapsed, limit=getattr(self._timeouts, kind, None))
        error.retry_safety = "unsafe"
        return error


_PATIENCE: Final = 10.0  # seconds for the next piece of an error's body
