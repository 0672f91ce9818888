"""What the client needs of a connection: one request out, one answer back in pieces.

A transport knows HTTP and nothing of responses or events. It raises errors of this package only
(``ConnectError``, ``DeadlineExceeded`` for the kinds ``connect`` and ``write``, ``TransportError``), with the original as
``__cause__``, and lets cancellation through. Other waits are the caller's to bound, see :attr:`WireReply.keeps_time`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from ..timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Transport", "WireReply", "WireRequest"]


@attrs.frozen(kw_only=True)
class WireRequest:
    """One HTTP request, ready to send."""

    method: str
    """In capitals. ``SEND`` is a message over a WebSocket, with the body as its text."""
    url: str
    """Absolute, quoted."""
    headers: Mapping[str, str] = attrs.field(repr=False)  # the key is in there
    """Names in lower case."""
    body: bytes = attrs.field(default=b"", repr=False)
    """Empty: none."""
    stream: bool = False
    """Whether the answer is wanted as it comes: then its pieces must not be held back, by compression or otherwise."""
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    """A transport keeps ``connect`` and ``write`` of these; ``between_bytes`` if its replies say so."""


class WireReply(Protocol):
    """An answer: its head is there, its body is still to come."""

    @property
    def status(self) -> int:
        """The HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case; values of a repeated header joined by a comma."""
        ...

    @property
    def keeps_time(self) -> bool:
        """Whether :meth:`receive` itself raises ``DeadlineExceeded`` when ``between_bytes`` of the request runs out.

        Most transports have a timer for each read anyway; a second one on top of it would cost as much as the reading.
        """
        ...

    async def receive(self) -> bytes:
        """Wait for the next piece of the body; empty at its end, and ever after.

        Raises ``StreamTruncated`` if the peer closes the connection before the body's end, ``TransportError`` if the
        connection breaks. A call that is cancelled ends the answer.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the connection: reusable if the body was read to its end, closed at once if not. Idempotent."""
        ...


class Transport(Protocol):
    """Sends requests; for any number of tasks at a time."""

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request and wait for the head of its answer, whatever its status.

        The caller closes the reply. When this raises, or is cancelled, nothing is left open.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport itself opened. Idempotent."""
        ...
