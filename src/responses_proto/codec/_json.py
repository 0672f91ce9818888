"""Read and write JSON text, with the same results for every JSON library.

* Text is UTF-8 without a byte-order mark. If a key is repeated, the last value is used.
* Integers are exact in both directions, whatever their size, up to the digits that ``sys.set_int_max_str_digits`` allows.
* NaN, infinities and numbers too large for a float are refused, in both directions.
* A lone surrogate (one half of a character that a server has split) is read unchanged and written as an escape.
* Nesting and values beyond the limits raise ``LimitExceeded``.

orjson is used if it is installed (extra ``speed``). A text that orjson refuses is read by the standard library, so that both
return the same result for every text. orjson silently reads an integer beyond 64 bits as a float, so a text that may contain such an
integer (:func:`may_have_large_integer`) is also read by the standard library.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from array import array
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..exceptions import DecodeError, EncodeError, LimitExceeded, UsageError
from ..limits import DEFAULT_MAX_NESTING, DEFAULT_MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

_orjson: Any
try:
    import orjson
except ImportError:  # the extra `speed` is not installed
    _orjson = None
else:
    _orjson = orjson

EXCERPT: Final = 80
"""The maximum length of an excerpt in an error, in characters."""
_OUTLINE: Final = bytes(48 if byte in b"0123456789" else 44 if byte in b",]} \t\r\n" else 120 for byte in range(256))
"""Translates a JSON text: a digit becomes ``0``, a character that can follow a number becomes a comma, and all others ``x``."""
_DIGITS: Final = b"0" * len("9223372036854775809")  # integers beyond 64 bits have at least 19 digits
_LARGE: Final = _DIGITS + b","
_SLICE: Final = 256 * 1024  # bytes that are translated at a time, so that the copies stay in the processor's cache


def _parse_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        message = f"number out of range: {digits[:20]}…"
        raise ValueError(message)
    return number


def _refuse_constant(name: str) -> float:
    message = f"{name} is not JSON"
    raise ValueError(message)


_decode: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_float=_parse_float, parse_constant=_refuse_constant
).decode


def _stdlib_loads(text: bytes | bytearray | memoryview | str) -> Any:
    return _decode(text if isinstance(text, str) else str(text, "utf-8"))


def _stdlib_dumps(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 encoding, but a JSON escape
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def compact(value: Any) -> str:
    """Return JSON text without spaces, as Python writes it: lone surrogates, ``NaN`` and infinities are allowed."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def may_have_large_integer(text: bytes | bytearray | memoryview | str) -> bool:
    """Return whether a JSON text may contain an integer beyond 64 bits: whether a number ends in 19 digits or more.

    This is called for every event of a stream, so it must cost far less than parsing.
    """
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    for start in range(0, len(data), _SLICE):
        outline = bytes(data[start : start + _SLICE + len(_LARGE)]).translate(_OUTLINE)
        if _LARGE in outline or outline.endswith(_DIGITS):
            return True
    return False


def _orjson_loads(text: bytes | bytearray | memoryview | str) -> Any:
    if may_have_large_integer(text):
        return _stdlib_loads(text)
    try:
        return _orjson.loads(text)
    except ValueError:
        return _stdlib_loads(text)


_COPIED: Final = 1 << 20  # bytes; in a longer text, the unused rest of the buffer is a small part


def _orjson_dumps(value: Any) -> bytes:
    try:
        written: bytes = _orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, lone surrogates, more than 254 levels
        return _stdlib_dumps(value)
    # orjson does not shrink its buffer, of 4 KiB or more for any value. A small text that is kept would take many times its size.
    return memoryview(written).tobytes() if len(written) < _COPIED else written


@attrs.frozen
class JSONBackend:
    """A JSON library with the rules of this module."""

    name: str
    """``stdlib`` or ``orjson``."""
    parse: Callable[[Any], Any] = attrs.field(repr=False)
    """Parse a text without checking its depth. Raises ``ValueError`` or ``RecursionError``. Prefer :meth:`loads`."""
    _dumps: Callable[[Any], bytes] = attrs.field(repr=False)
    parse_fast: Callable[[Any], Any] = attrs.field(repr=False, default=attrs.Factory(lambda self: self.parse, True))  # noqa: FBT003 - attrs' API
    """Parse a text faster than :attr:`parse`, but not every text.

    Raises ``ValueError`` for some texts that ``parse`` can read. Integers beyond 64 bits may become floats: see
    :func:`may_have_large_integer`.
    """

    def loads(
        self,
        text: bytes | bytearray | memoryview | str,
        max_nesting: int = DEFAULT_MAX_NESTING,
        max_values: int = DEFAULT_MAX_VALUES,
    ) -> Any:
        """Return the value of a JSON text.

        Raises ``DecodeError`` if the text is not JSON, ``LimitExceeded`` if it is nested deeper than ``max_nesting`` levels or has
        more than ``max_values`` values, and ``UsageError`` if it is neither ``str`` nor bytes.
        """
        if not isinstance(text, (bytes, bytearray, memoryview, str)):  # pyright: ignore[reportUnnecessaryIsInstance] - a dict is a common mistake
            raise UsageError(f"JSON text must be str or bytes, got {type(text).__name__}: use load() for a value")
        # A text with n levels has at least 2n characters, and a text with n values at least 2n - 1. So short texts need no check.
        if len(text) > 2 * min(max_nesting, max_values - 1):
            check_structure(text, max_nesting, max_values=max_values)
        try:
            return self.parse(text)
        except (ValueError, RecursionError) as error:
            start = text if isinstance(text, str) else str(text[: 4 * EXCERPT], "utf-8", "replace")
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise DecodeError(f"not JSON: {reason}", type_name="JSON", excerpt=repr(start[:EXCERPT])) from error

    def dumps(self, value: Any) -> bytes:
        """Return the JSON text of a value: UTF-8, without spaces. Raises ``EncodeError``."""
        try:
            return self._dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise EncodeError(f"cannot be written as JSON: {error}") from error


# An unterminated string extends to the end of the text. If it did not match, each quote in it would start a new search.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
# Everything up to the next comma or opening bracket that is not in a string.
_UP_TO_SEPARATOR: Final = re.compile(
    rb'(?:[^,\[{"]++|"[^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+(?:"|\Z))*+(?:[,\[{]|\Z)', re.DOTALL
)
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS: Final = bytes(1 if byte in b"[{" else 255 for byte in range(256))
"""Translates an opening bracket to 1 and a closing one to -1, as signed bytes."""


def check_structure(
    text: bytes | bytearray | memoryview | str,
    max_nesting: int,
    *,
    max_values: int = DEFAULT_MAX_VALUES,
) -> None:
    """Raise ``LimitExceeded`` if a text has more levels of nested arrays and objects, or more values, than allowed."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    brackets = data.count(b"[") + data.count(b"{")
    # A text of n values has at least 2n - 1 characters.
    many = len(data) > 2 * (max_values - 1) and brackets + data.count(b",") >= max_values
    if brackets <= max_nesting and not many:
        return
    # An empty array or object counts twice here. A text with more values than this would take too much memory below.
    most = 2 * max(max_values, DEFAULT_MAX_VALUES)
    if many and has_more_values(data, most):
        raise LimitExceeded("max_json_values", most, maximum=max_values)
    # Now count exactly, without the brackets and commas in strings.
    structure = _STRINGS.sub(b"0", data)
    if many:
        # All values but the first follow a comma, or the opening bracket of a non-empty array or object.
        structure = structure.translate(None, b" \t\r\n")
        values = 1 + sum(map(structure.count, (b"[", b"{", b","))) - structure.count(b"[]") - structure.count(b"{}")
        if values > max_values:
            raise LimitExceeded("max_json_values", values, maximum=max_values)
    steps = array("b", structure.translate(_STEPS, _NO_BRACKETS))
    depth = max(itertools.accumulate(steps), default=0)
    if depth > max_nesting:
        raise LimitExceeded("max_nesting", depth, maximum=max_nesting)


def has_more_values(text: bytes, maximum: int) -> bool:
    """Return whether a JSON text has more than ``maximum`` values, without parsing it.

    A parsed value may take fifty times the memory of its text. Each value but the first follows a comma or an opening bracket, so an
    empty array or object counts as two values.
    """
    return (
        len(text) > maximum and next(itertools.islice(_UP_TO_SEPARATOR.finditer(text), maximum, None), None) is not None
    )


STDLIB: Final = JSONBackend("stdlib", _stdlib_loads, _stdlib_dumps)
"""The back end that uses ``json`` of the standard library."""
ORJSON: Final = JSONBackend("orjson", _orjson_loads, _orjson_dumps, _orjson.loads) if _orjson is not None else None
"""The back end that uses orjson; ``None`` if orjson is not installed."""


def default_backend() -> JSONBackend:
    """Return :data:`ORJSON` if orjson is installed, else :data:`STDLIB`."""
    return ORJSON if ORJSON is not None else STDLIB
