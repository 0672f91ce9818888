r"""Reads the JSON of real MCP servers: within bounds, and without losing a result because of one character or number.

Real servers send bytes that are not UTF-8, halves of characters (a text that was cut at ``\\ud83d``), ``NaN``, and logs
between the messages. Strict parsers refuse the whole message for that, and the caller waits for its timeout.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ...codec import default_backend
from ...exceptions import DecodeError, LimitExceeded

_EDGE: Final = 256
"""Bytes that are kept of the beginning and of the end of a line that is too long."""
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)
"""A pair of surrogates, a lone surrogate, or any other escape."""
_HALF: Final = 6
"""The length of the escape of a lone surrogate. A pair has twice the length, other matches have 2 bytes."""
_ID: Final = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]{1,200}")'
_ID_FIRST: Final = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID)
_ID_LAST: Final = re.compile(_ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


def whole_characters(text: bytes) -> bytes:
    """Return a JSON text as UTF-8, with the replacement character for incomplete characters."""
    if not text.isascii():
        text = text.decode("utf-8", "replace").encode()
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda match: b"\\ufffd" if len(match[0]) == _HALF else match[0], text)


def loads(text: bytes) -> Any:
    """Return the value of a JSON text. Incomplete characters are replaced; ``NaN`` and infinities become floats.

    Raises ``DecodeError`` if it is not JSON, and ``LimitExceeded`` if it is nested too deeply.
    """
    text = whole_characters(text)
    try:
        return default_backend().loads(text)
    except DecodeError:
        try:
            return json.loads(text)  # unlike the codec, it reads NaN and infinities, which Python servers write
        except (ValueError, RecursionError):
            pass
        raise


def as_list(value: Any) -> list[Any] | None:
    """Return a JSON array, or ``None`` for any other value."""
    return value if isinstance(value, list) else None  # pyright: ignore[reportUnknownVariableType] - of any values


def as_object(value: Any) -> dict[str, Any]:
    """Return a JSON object; an empty one for any other value."""
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - as above


def request_id_in(edges: bytes) -> int | str | None:
    """Return the id at the beginning or the end of an unreadable message; ``None`` if there is none."""
    found = _ID_FIRST.match(edges) or _ID_LAST.search(edges)
    return json.loads(found[1]) if found is not None else None


class LongLine:
    """A line that exceeded the bound. Only its edges were kept."""

    __slots__ = ("edges", "error")

    def __init__(self, edges: bytes, error: LimitExceeded) -> None:
        self.edges = edges
        self.error = error


class Lines:
    """Splits bytes into lines of at most ``maximum`` bytes, in time and memory proportional to their size."""

    __slots__ = ("_head", "_maximum", "_pieces", "_size", "_tail")

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._pieces: list[bytes] = []
        self._size = 0
        self._head = self._tail = b""

    def feed(self, data: bytes) -> list[bytes | LongLine]:
        """Return the lines that are complete now, without their ends."""
        *complete, rest = data.split(b"\n")
        lines: list[bytes | LongLine] = []
        for piece in complete:
            self._add(piece)
            lines.append(self._take())
        self._add(rest)
        return lines

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if len(self._head) < _EDGE:
            self._head += piece[: _EDGE - len(self._head)]
        self._tail = (self._tail + piece[-_EDGE:])[-_EDGE:]
        if self._size <= self._maximum:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def _take(self) -> bytes | LongLine:
        line: bytes | LongLine = b"".join(self._pieces)
        if self._size > self._maximum:
            error = LimitExceeded("max_event_bytes", self._size, maximum=self._maximum)
            line = LongLine(self._head + self._tail, error)
        self._pieces.clear()
        self._size = 0
        self._head = self._tail = b""
        return line
