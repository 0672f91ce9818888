"""Define the interface to a connection: send one request, read one response in pieces.

Implement :class:`Transport` and :class:`WireReply` to send requests some other way: through another HTTP library, signed, recorded or
from memory. Both are protocols: nothing needs to be inherited. Pass an instance as ``ResponsesClient(http_client=...)``.

A transport knows HTTP, and nothing about responses, events or retries. The contract:

* **Errors.** Raise exceptions of :mod:`responses_proto.exceptions` only, with the original as ``__cause__``: ``ConnectError`` if nothing was
  sent, ``DeadlineExceeded`` for a timeout, ``StreamTruncated`` if the body ends too early, ``TransportError`` for everything else. Other
  exceptions reach the user unchanged and are not retried. An HTTP status of 400 or more is not an error at this level. The client
  repeats a GET after any ``TransportError``, and a POST only if the error's ``retry_safety`` is ``"safe"``. ``ConnectError`` has this
  value; set it on others only if the server cannot have acted on the request.
* **Deadlines.** Enforce ``connect`` and ``write`` of :attr:`WireRequest.timeouts`. The caller enforces the others, by cancelling the call.
* **Cancellation.** Any call may be cancelled by anyio. Do not suppress the cancellation, and leave nothing open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ..timeouts import Timeouts
from ._errors import public_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NetworkStream", "Transport", "UpgradedReply", "WireReply", "WireRequest"]


@attrs.frozen(kw_only=True)
class WireRequest:
    """One HTTP request, ready to send."""

    method: str
    """In upper case. ``SEND`` means a message over a WebSocket, with ``body`` as its text."""
    url: str = attrs.field(repr=public_url)
    """Absolute and percent-encoded."""
    headers: Mapping[str, str] = attrs.field(repr=False)  # contains the API key
    """Names in lower case."""
    body: bytes = attrs.field(default=b"", repr=False)
    """The complete body; empty if the request has none."""
    stream: bool = False
    """Whether the response must be passed on as it arrives. Do not buffer it, and do not request compression."""
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    """The transport enforces ``connect`` and ``write``, in seconds."""


class NetworkStream(Protocol):
    """The connection below HTTP, after an upgrade. Compatible with httpcore's ``AsyncNetworkStream``."""

    async def read(self, max_bytes: int) -> bytes:
        """Wait for the next bytes; empty at the end of the connection."""
        ...

    async def write(self, buffer: bytes) -> None:
        """Send bytes."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...

    def get_extra_info(self, info: str) -> Any:
        """Return an object below this one, such as the ``socket``; ``None`` if there is none."""
        ...


class WireReply(Protocol):
    """A response whose head has arrived. Read the body with :meth:`receive`, then call :meth:`aclose`.

    One task uses a reply at a time.
    """

    @property
    def status(self) -> int:
        """The HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case. The values of a repeated header are joined by a comma."""
        ...

    async def receive(self) -> bytes:
        """Wait for the next piece of the body and return it: at least one byte, or ``b""`` at the end of the body.

        Pieces may be cut anywhere. The body is decompressed, in pieces of bounded size, so that the caller can limit the total.
        After the end, every further call returns ``b""``.

        Raises ``StreamTruncated`` if the peer closes the connection before the end of the body, and ``TransportError`` if the
        connection breaks. After an exception, or a call that was cancelled, the caller reads no more and calls :meth:`aclose`.
        """
        ...

    async def aclose(self) -> None:
        """Release the connection. Idempotent, and called for every reply.

        If the body was read to its end, the connection may be reused. If not, close it at once, which tells the server to stop.
        Do not read the rest. The caller shields this call from cancellation and allows it one second.
        """
        ...


class UpgradedReply(WireReply, Protocol):
    """A reply with the status 101, after which the connection itself is used: ``ResponsesClient.connect()`` needs it for a WebSocket.

    The replies of :class:`HTTPTransport` are of this kind, also when another transport returns them. A transport that never has such
    replies can declare this with an attribute ``upgrades = False``; then ``connect()`` fails at once.
    """

    @property
    def network_stream(self) -> NetworkStream | None:
        """The connection below HTTP; ``None`` if it cannot be used directly."""
        ...


class Transport(Protocol):
    """Sends requests, for any number of tasks at the same time."""

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request, wait for the head of the response, and return the reply, whatever its status.

        The caller closes the reply. If this raises or is cancelled, nothing may stay open. Do not follow redirects to
        another origin: the request carries the API key.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened itself. Idempotent.

        The client closes only a transport that it created. If you pass one to it, close it yourself.
        """
        ...
