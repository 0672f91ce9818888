"""Set how long the client waits, with a separate bound for each kind of wait."""

from __future__ import annotations

import math
from typing import Any, cast

import attrs

from ..exceptions import UsageError
from ._settings import Settings

__all__ = ["Timeouts"]


def _seconds(_timeouts: object, attribute: attrs.Attribute[Any], value: object) -> None:
    # A bool is an int to Python, but not a number of seconds.
    if value is None or (type(value) in (int, float) and 0 < cast("float", value) < math.inf):
        return
    message = f"Timeouts.{attribute.name} must be a number of seconds above 0, or None for no bound, got {value!r}"
    raise UsageError(message)


@attrs.frozen(kw_only=True)
class Timeouts(Settings):
    """Bounds for everything that can take too long, in seconds; ``None`` waits for ever. Immutable.

    Pass it to ``ResponsesClient(timeouts=...)`` or to a single call. A call replaces only the bounds
    that it names: with ``timeouts=Timeouts(total=60)``, all others are the client's. A bound that runs out raises
    :class:`~responses_proto.exceptions.DeadlineExceeded` with the name of the field as ``kind``, the seconds that passed as
    ``elapsed``, and the partial response. Only time spent waiting for the server counts: a consumer that is slow between two
    events exceeds no bound except ``total``.

    The defaults suit a gateway in front of models that think for a long time. A server has ten minutes to begin. If it sends comments to
    keep the connection alive, a lost connection is detected after five minutes of silence.

    Raises ``UsageError`` for a field that is neither ``None`` nor a positive, finite number.
    """

    connect: float | None = attrs.field(default=10.0, validator=_seconds)
    """To establish a connection: name resolution, TCP, TLS, and waiting for a free place in the pool."""
    write: float | None = attrs.field(default=60.0, validator=_seconds)
    """For the server to accept the next piece of the request (at most 64 KiB), not the whole request."""
    first_byte: float | None = attrs.field(default=600.0, validator=_seconds)
    """From sending the request to the head of the response. Without streaming, the model does all its work in this time."""
    first_event: float | None = attrs.field(default=600.0, validator=_seconds)
    """From the head of the response to the first event of a stream. Comments do not count."""
    between_bytes: float | None = attrs.field(default=300.0, validator=_seconds)
    """Between two reads of the body. Everything counts, including the comments that servers send to keep a connection alive."""
    between_events: float | None = attrs.field(default=600.0, validator=_seconds)
    """Between two events of a stream. Comments do not count: a server that sends only comments makes no progress."""
    total: float | None = attrs.field(default=None, validator=_seconds)
    """For the whole call, from sending the request to the end of the stream. No bound by default: progress is what matters."""
