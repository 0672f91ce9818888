"""How long the client waits, by what it waits for."""

from __future__ import annotations

import math
from typing import Any, cast

import attrs

from ..exceptions import LocalProtocolError

__all__ = ["Timeouts"]


def _seconds(_timeouts: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or (type(value) in (int, float) and 0 < cast("float", value) < math.inf):
        return
    message = f"Timeouts.{attribute.name} has to be a number of seconds above 0, or None for no bound, not {value!r}"
    raise LocalProtocolError(message)


@attrs.frozen(kw_only=True)
class Timeouts:
    """Seconds for each thing that can take too long; ``None`` waits for ever. Immutable; pass it to ``ResponsesClient``.

    What runs out raises :class:`~responses_proto.exceptions.DeadlineExceeded` with the name of the field here as ``kind``, the
    seconds that passed, and the partial response. Only time spent waiting for the peer counts: a consumer that
    is slow between two events does not run into any bound but ``total``.

    The defaults are for a gateway in front of models that think long: a peer that is alive is given ten minutes to
    begin, one that has gone away is noticed within two of silence where the server keeps the connection warm.

    Raises ``LocalProtocolError`` when a field is not a positive number.
    """

    connect: float | None = attrs.field(default=10.0, validator=_seconds)
    """For a connection to come about: name, TCP, TLS, and a free place in the pool."""
    write: float | None = attrs.field(default=60.0, validator=_seconds)
    """For the peer to take the next piece of the request (64 KiB or less), not for all of it."""
    first_byte: float | None = attrs.field(default=600.0, validator=_seconds)
    """From sending on, for the head of the answer. Not streamed, this is the whole time that a model thinks."""
    first_event: float | None = attrs.field(default=600.0, validator=_seconds)
    """From the head of the answer on, for the first event of a stream. Comments do not count."""
    between_bytes: float | None = attrs.field(default=300.0, validator=_seconds)
    """Between two reads of the body. Anything counts, also the comments that servers send to show that they live."""
    between_events: float | None = attrs.field(default=600.0, validator=_seconds)
    """Between two events of a stream. Comments do not count: a server that only says it lives makes no progress."""
    total: float | None = attrs.field(default=None, validator=_seconds)
    """For the whole call, from sending to the end of the stream. None by default: a stream that makes progress is well."""
