"""Every bound that the library keeps against what the peer sends, and what tools give, by name.

A bound that is passed raises :class:`~responses_proto.exceptions.LimitExceeded` with the bound's name.
"""

from __future__ import annotations

from typing import Final

import attrs

from .exceptions import LimitExceeded, LocalProtocolError

__all__ = ["DEFAULT_MAX_NESTING", "Limits"]

DEFAULT_MAX_NESTING: Final = 256
"""Levels of nested arrays and objects in a JSON text, if no ``Limits`` say otherwise."""


def _positive(_limits: Limits, attribute: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or value < 1:
        message = f"Limits.{attribute.name} has to be a whole number of at least 1, not {value!r}"
        raise LocalProtocolError(message)


@attrs.frozen(kw_only=True)
class Limits:
    """What one stream, or one body, may cost. Immutable; pass it to ``ResponseStream`` or ``ResponsesClient``.

    Raises ``LocalProtocolError`` when a bound is not a positive ``int``.
    """

    max_event_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_positive)
    """Bytes of one event: its lines, whole or so far. An image generated in one event is tens of megabytes in
    Base64, hence the generous default."""
    max_buffered_bytes: int = attrs.field(default=128 * 1024 * 1024, validator=_positive)
    """Bytes of undecoded input and of a body that is held whole (a JSON response, an error page)."""
    max_nesting: int = attrs.field(default=DEFAULT_MAX_NESTING, validator=_positive)
    """Levels of arrays and objects inside each other in one JSON text."""
    max_output_items: int = attrs.field(default=10_000, validator=_positive)
    """Output items of one response."""
    max_content_parts: int = attrs.field(default=10_000, validator=_positive)
    """Content parts, summary parts, commands or logs of one output item."""
    max_text_chars: int = attrs.field(default=256 * 1024 * 1024, validator=_positive)
    """Characters that the deltas of one text may add up to (of a part, of arguments, of code, of sound)."""
    max_tool_output_bytes: int = attrs.field(default=10 * 1024 * 1024, validator=_positive)
    """Bytes of the item that answers a tool call, as JSON; OpenAI takes as much."""
    max_anomalies: int = attrs.field(default=1_000, validator=_positive)
    """Different findings kept in ``stream.anomalies``; ``Accumulator.findings`` counts the later ones too. Raises nothing."""

    def check(self, limit: str, value: int) -> None:
        """Raise ``LimitExceeded`` if ``value`` is over the bound called ``limit``."""
        if value > getattr(self, limit):
            raise LimitExceeded(limit, value, maximum=getattr(self, limit))
