"""The bounds on what a peer may send and what a tool may return.

Exceeding a bound raises :class:`~responses_proto.exceptions.LimitExceeded` with the name of the bound.
"""

from __future__ import annotations

from typing import Final

import attrs

from .exceptions import LimitExceeded, UsageError

__all__ = ["DEFAULT_MAX_NESTING", "DEFAULT_MAX_VALUES", "Limits"]

DEFAULT_MAX_NESTING: Final = 256
"""The default bound on the levels of nested arrays and objects in a JSON text."""
DEFAULT_MAX_VALUES: Final = 1_000_000
"""The default bound on the values in a JSON text."""


def _positive(_limits: Limits, attribute: attrs.Attribute[int], value: int) -> None:
    if type(value) is not int or value < 1:
        raise UsageError(f"Limits.{attribute.name} must be an int of at least 1, got {value!r}")


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds of one stream or one body. Immutable; pass it to ``ResponseStream`` or ``ResponsesClient``.

    Raises ``UsageError`` if a bound is not a positive ``int``.
    """

    max_event_bytes: int = attrs.field(default=64 * 1024 * 1024, validator=_positive)
    """Bytes of one event, complete or not. The default is large because an event with a generated image can have tens of
    megabytes of Base64."""
    max_buffered_bytes: int = attrs.field(default=128 * 1024 * 1024, validator=_positive)
    """Bytes of input that is not decoded yet, and of a body that is read at once (a JSON response, an error page)."""
    max_nesting: int = attrs.field(default=DEFAULT_MAX_NESTING, validator=_positive)
    """Levels of nested arrays and objects in one JSON text."""
    max_json_values: int = attrs.field(default=DEFAULT_MAX_VALUES, validator=_positive)
    """Values in one JSON text. An empty object takes two bytes on the wire, and fifty times as many in memory."""
    max_response_bytes: int = attrs.field(default=512 * 1024 * 1024, validator=_positive)
    """Bytes of one response as a whole: of its JSON, or of all events of a stream that its snapshot is built from. For a delta, only
    the text counts."""
    max_output_items: int = attrs.field(default=10_000, validator=_positive)
    """Output items of one response, or items of one list."""
    max_content_parts: int = attrs.field(default=10_000, validator=_positive)
    """Content parts, summary parts, annotations, commands or logs of one output item."""
    max_text_chars: int = attrs.field(default=256 * 1024 * 1024, validator=_positive)
    """Characters of one text: a content part, arguments, code or audio. Also bounds the number of log probabilities of the text."""
    max_tool_output_bytes: int = attrs.field(default=10 * 1024 * 1024, validator=_positive)
    """Bytes of the output item of a tool call, as JSON. OpenAI has the same limit."""
    max_mcp_tools: int = attrs.field(default=10_000, validator=_positive)
    """Tools that one MCP server may list."""
    max_mcp_tools_bytes: int = attrs.field(default=4 * 1024 * 1024, validator=_positive)
    """Bytes of the tools that one MCP server lists, as JSON. They are part of every request."""
    max_anomalies: int = attrs.field(default=1_000, validator=_positive)
    """Distinct anomalies kept in ``stream.anomalies``. Later ones are counted in ``Accumulator.findings``; nothing is raised."""

    def check(self, limit: str, value: int) -> None:
        """Raise ``LimitExceeded`` if ``value`` exceeds the bound named ``limit``."""
        if value > getattr(self, limit):
            raise LimitExceeded(limit, value, maximum=getattr(self, limit))
