"""Read a response that a server sends as an event stream though the request asked for JSON.

Some servers stream unless ``stream`` is false. The call has asked for the final response, so the events are folded and dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from ..exceptions import ResponsesProtoError, StreamTruncated, TransportError
from ..models.response import ResponseError
from ..protocol.stream import ResponseStream
from ._secrets import redact_error
from .transport._exchange import Drain

if TYPE_CHECKING:
    from ..codec import Converter
    from ..limits import Limits
    from ..models.response import Response
    from ..protocol.stream import Outcome
    from .transport._exchange import Exchange

AFTER_ERROR: Final = 1.0
"""Seconds within which ``response.failed`` may follow an ``error`` event."""


async def read_streamed(
    exchange: Exchange, first: bytes, limits: Limits, converter: Converter, secret: bytes
) -> Response:
    """Read the events of a reply up to the end of the response, and return the final response, whatever its status.

    ``first`` is the start of the body, which was read already; ``secret`` is removed from errors. Raises ``StreamTruncated`` if the
    stream ends before the response, ``APIError`` if it ends with an ``error`` event, errors of the transport and ``LimitExceeded``.
    """
    engine = ResponseStream(limits=limits, converter=converter)
    try:
        piece = first
        while piece:
            engine.receive_data(piece)
            engine.events_received()
            exchange.waited = 0.0
            piece = b"" if engine.ended else await _next_piece(exchange, engine)
        await _read_reason(exchange, engine)
        engine.receive_eof()
    except ResponsesProtoError as error:
        error.response = error.response or engine.response
        error.cursor = error.cursor or engine.cursor
        raise
    return _response_of(engine, secret)


async def _next_piece(exchange: Exchange, engine: ResponseStream) -> bytes:
    """Return the next piece of the body; empty at its end, and after an ``error`` event that nothing follows."""
    try:
        return await exchange.receive("after_error", AFTER_ERROR if engine.error_seen else None)
    except TransportError as error:
        if isinstance(error, StreamTruncated) or engine.error_seen:
            return b""
        raise


async def _read_reason(exchange: Exchange, engine: ResponseStream) -> None:
    """Continue to read, within the bounds of the drain, while the reason of a failure may still arrive."""
    drain = Drain()
    while engine.reason_missing and (left := drain.left()) > 0:
        try:
            piece = await exchange.receive("drain", left)
        except TransportError:
            return  # the response is complete: only its reason is lost
        if not piece:
            return
        drain.count(len(piece))
        engine.receive_data(piece)


def _response_of(engine: ResponseStream, secret: bytes) -> Response:
    outcome = engine.outcome
    if outcome is None:
        raise StreamTruncated("the stream ended without a response")
    if outcome.error is not None:
        redact_error(outcome.error, secret)
    if outcome.status not in ("truncated", "error"):
        return _with_reason(outcome)
    error = outcome.exception()
    if error is None:
        return outcome.response
    if not engine.accumulator.delivered_output:
        error.retry_safety = None  # as for an error in place of a response: the retry policy decides by its kind
    raise error


def _with_reason(outcome: Outcome) -> Response:
    """Return the response; if it has no error, with that of an ``error`` event."""
    response, error = outcome.response, outcome.error
    if response.error or error is None:
        return response
    return attrs.evolve(response, error=ResponseError(code=error.code or error.type or "", message=error.message))
