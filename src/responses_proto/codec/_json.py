"""JSON text to values and back, with one policy whichever library does the work.

* Text is UTF-8 without a byte-order mark. Of repeated keys the last one counts.
* An integer beyond 64 bits is read as a float, as most of the world's JSON readers do; it is written in full.
* NaN, infinities and numbers too large for a float are not JSON, in either direction.
* A lone surrogate (half of a character that a server cut in two) is read as it stands and written as an escape.
* Nesting beyond the limit is ``LimitExceeded``, never a crash.

orjson does the work when it is installed (extra ``speed``). What it refuses, the standard library decides, so both
give the same result for every text.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..exceptions import DecodeError, EncodeError, LimitExceeded, LocalProtocolError
from ..limits import DEFAULT_MAX_NESTING

if TYPE_CHECKING:
    from collections.abc import Callable

_orjson: Any
try:
    import orjson
except ImportError:  # the extra `speed` is not installed
    _orjson = None
else:
    _orjson = orjson

__all__ = ["ORJSON", "STDLIB", "JSONBackend", "default_backend"]

_EXCERPT: Final = 80
_LONGEST_64_BIT: Final = len("-9223372036854775808")
_LEAST_64_BIT, _GREATEST_64_BIT = -(2**63), 2**64 - 1  # the union of signed and unsigned, as orjson reads


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        message = f"number out of range: {digits[:20]}…"
        raise ValueError(message)
    return number


def _int(digits: str) -> int | float:
    if len(digits) > _LONGEST_64_BIT:
        return _float(digits)
    number = int(digits)
    return number if _LEAST_64_BIT <= number <= _GREATEST_64_BIT else _float(digits)


def _constant(name: str) -> float:
    message = f"{name} is not JSON"
    raise ValueError(message)


_decode: Final[Callable[[str], Any]] = json.JSONDecoder(
    parse_float=_float, parse_int=_int, parse_constant=_constant
).decode


def _stdlib_loads(text: bytes | bytearray | memoryview | str) -> Any:
    return _decode(text if isinstance(text, str) else str(text, "utf-8"))


def _stdlib_dumps(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8, but JSON has an escape for it
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _orjson_loads(text: bytes | bytearray | memoryview | str) -> Any:
    try:
        return _orjson.loads(text)
    except ValueError:
        return _stdlib_loads(text)


def _orjson_dumps(value: Any) -> bytes:
    try:
        written: bytes = _orjson.dumps(value)
    except TypeError:  # what it cannot write: integers beyond 64 bits, lone surrogates, 255 levels
        return _stdlib_dumps(value)
    return written


@attrs.frozen
class JSONBackend:
    """One JSON library behind the policy of this module."""

    name: str
    """``stdlib`` or ``orjson``."""
    parse: Callable[[Any], Any] = attrs.field(repr=False)
    """Text to value; raises ``ValueError`` or ``RecursionError``. Use :meth:`loads` unless the depth was checked."""
    _dumps: Callable[[Any], bytes] = attrs.field(repr=False)

    def loads(self, text: bytes | bytearray | memoryview | str, max_nesting: int = DEFAULT_MAX_NESTING) -> Any:
        """Read one JSON text. Raises ``DecodeError`` if it is none, ``LimitExceeded`` if it is nested too deep."""
        if not isinstance(text, (bytes, bytearray, memoryview, str)):  # pyright: ignore[reportUnnecessaryIsInstance] - a dict is what comes to mind
            raise LocalProtocolError(f"JSON text is str or bytes, not {type(text).__name__}: for a value use load()")
        # A text of depth n is at least 2n characters long, so that short ones need no look.
        if len(text) > 2 * max_nesting:
            check_nesting(text, max_nesting)
        try:
            return self.parse(text)
        except (ValueError, RecursionError) as error:
            seen = text if isinstance(text, str) else str(text[: 4 * _EXCERPT], "utf-8", "replace")
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise DecodeError(f"not JSON: {reason}", type_name="JSON", excerpt=repr(seen[:_EXCERPT])) from error

    def dumps(self, value: Any) -> bytes:
        """Write a JSON value without spaces, as UTF-8. Raises ``EncodeError``."""
        try:
            return self._dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise EncodeError(f"cannot be written as JSON: {error}") from error


_STRINGS_OR_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def check_nesting(
    text: bytes | bytearray | memoryview | str, maximum: int, start: int = 0, end: int = sys.maxsize
) -> None:
    """Raise ``LimitExceeded`` if arrays and objects are nested deeper than ``maximum`` levels, between two positions."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    if data.count(b"[", start, end) + data.count(b"{", start, end) <= maximum:
        return
    depth = 0
    for match in _STRINGS_OR_BRACKETS.finditer(data, start, end):
        first = data[match.start()]
        if first in b"[{":
            depth += 1
            if depth > maximum:
                raise LimitExceeded("max_nesting", depth, maximum=maximum)
        elif first in b"]}":
            depth -= 1


STDLIB: Final = JSONBackend("stdlib", _stdlib_loads, _stdlib_dumps)
"""The standard library's ``json``."""
ORJSON: Final = JSONBackend("orjson", _orjson_loads, _orjson_dumps) if _orjson is not None else None
"""orjson, or ``None`` when it is not installed."""


def default_backend() -> JSONBackend:
    """Give orjson's back end when it is installed, else the standard library's."""
    return ORJSON if ORJSON is not None else STDLIB
