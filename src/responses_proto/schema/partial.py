"""Parse JSON text that is not complete yet: arguments of a call, structured output.

A model writes JSON token by token, and a user interface may show it before it is complete. :func:`partial_json` returns the *certain*
part of the value: the complete value will start with it, however the text continues. Of an incomplete unit at the end of the text:

* a string is included up to its last character, without an incomplete escape or the first half of a surrogate pair;
* an object or array is included with the members so far;
* a number, ``true``, ``false``, ``null``, a key, and a key without a value are omitted.

A number is certain once another character follows it, or once the text is known to be complete. Parsing stops at the first character
that is not valid JSON: the value so far is kept, and :attr:`PartialJSON.invalid_at` is the position of the character. If a key is
repeated, the last value is used; this is the only case in which a returned value is replaced later.

How the parser works
--------------------
:class:`PartialJSON` is a state machine that is fed one piece of text after the other. ``_expected`` is the unit that must come next
(a value, a key, a colon, the rest of a string, ...). ``_stack`` holds the open containers, outermost first; each is a real ``dict`` or
``list`` that grows in place. A closed container is moved into the enclosing one. The current unit (string, number or literal) is
collected in ``_pieces`` and put into the innermost container when it ends. An escape that is cut off at the end of a piece is kept in
``_rest`` and read again with the next piece; nothing else is read twice, so the cost is linear in the text.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from ..codec import default_backend
from ..exceptions import DecodeError, LimitExceeded, LocalProtocolError
from ..limits import Limits
from ..models.content import InputText, OutputText, Text
from ..models.items import FunctionCall, Item, McpApprovalRequest, McpCall, Message, XSearchCall
from ..typing import UNSET

if TYPE_CHECKING:
    from ..typing import JSONValue, Unset

__all__ = ["PartialJSON", "PartialSource", "partial_json"]

PartialSource: TypeAlias = str | Item | OutputText | InputText | Text
"""A source of JSON: a string, the arguments of a call, or the text of a message or content part. All other items have no JSON, and so
no certain part."""

_WHITESPACE: Final = re.compile(r"[ \t\n\r]*")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_LITERALS: Final[dict[str, tuple[str, bool | None]]] = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_AFTER_NUMBER: Final = frozenset(" \t\n\r,]}")
_HIGH, _LOW, _AFTER_LOW = 0xD800, 0xDC00, 0xE000
_MORE: Final = -1  # instead of a code unit: the text ends within the escape

# The grammar of numbers (RFC 8259, section 6): state -> character -> next state. 9 represents the digits 1 to 9.
_NUMBER: Final[dict[str, dict[str, str]]] = {
    "start": {"-": "sign", "0": "zero", "9": "integer"},
    "sign": {"0": "zero", "9": "integer"},
    "zero": {".": "point", "e": "e", "E": "e"},
    "integer": {"0": "integer", "9": "integer", ".": "point", "e": "e", "E": "e"},
    "point": {"0": "fraction", "9": "fraction"},
    "fraction": {"0": "fraction", "9": "fraction", "e": "e", "E": "e"},
    "e": {"+": "e sign", "-": "e sign", "0": "exponent", "9": "exponent"},
    "e sign": {"0": "exponent", "9": "exponent"},
    "exponent": {"0": "exponent", "9": "exponent"},
}
# The states in which a number may end.
_COMPLETE_NUMBERS: Final = frozenset({"zero", "integer", "fraction", "exponent"})


class _Expected(enum.Enum):
    """The unit that must come next in the text."""

    VALUE = enum.auto()
    ELEMENT = enum.auto()
    """The first element of an array, or its end."""
    MEMBER = enum.auto()
    """The first key of an object, or its end."""
    KEY = enum.auto()
    COLON = enum.auto()
    SEPARATOR = enum.auto()
    """A comma, or the end of the container."""
    STRING = enum.auto()
    """The rest of a string."""
    NUMBER = enum.auto()
    """The rest of a number."""
    LITERAL = enum.auto()
    """The rest of ``true``, ``false`` or ``null``."""
    END = enum.auto()
    """Nothing but whitespace."""


def partial_json(
    source: PartialSource, *, complete: bool | None = None, limits: Limits | None = None
) -> JSONValue | Unset:
    """Return the certain part of the JSON value in ``source``; ``UNSET`` if there is none.

    ``complete``: whether the text is complete. The default is true for an item with the status ``completed`` and for an approval
    request, else false. Text that is not JSON is not an error. Raises ``LimitExceeded`` if the text is nested too deep.

    The cost is linear in the text. To follow a growing text, use :class:`PartialJSON`, which reads each piece once.
    """
    text, is_complete = _text_of(source)
    if complete is None:
        complete = is_complete
    limits = limits or Limits()
    try:
        value: JSONValue = default_backend().loads(text, limits.max_nesting)
    except DecodeError:
        reader = PartialJSON(limits=limits)
        reader.feed(text)
        if complete:
            reader.close()
        return reader.value
    uncertain = type(value) in (int, float) and not complete and text[-1] not in _AFTER_NUMBER
    return UNSET if uncertain else value


def _text_of(source: PartialSource) -> tuple[str, bool]:
    """Return the text of a source, and whether it is complete."""
    if isinstance(source, str):
        return source, False
    if isinstance(source, (OutputText, InputText, Text)):
        return source.text, False
    if isinstance(source, McpApprovalRequest):
        return source.arguments, True
    if isinstance(source, Message):
        return source.text, source.status == "completed"
    if isinstance(source, (FunctionCall, McpCall, XSearchCall)):
        return source.arguments or "", source.status == "completed"
    return "", False


@attrs.define
class _Open:
    """An open container."""

    value: dict[str, Any] | list[Any]
    key: str = ""
    """The key of the member that is being read."""

    def put(self, value: Any) -> None:
        if isinstance(self.value, dict):
            self.value[self.key] = value
        else:
            self.value.append(value)


class PartialJSON:
    """Parses one JSON text that is received in pieces.

    Call :meth:`feed` with each piece, then :meth:`close`. Each character is read once, wherever the text is split. :attr:`value` can be
    read at any time: the cost is a shallow copy of the open containers, and a copy of the open string. A returned value is never changed
    later.
    """

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._expected = _Expected.VALUE
        self._stack: list[_Open] = []
        self._root: JSONValue | Unset = UNSET
        self._pieces: list[str] = []  # the string or number that is being read
        self._is_key = False
        self._number = "start"
        self._literal = ""  # the rest of the literal that is being read
        self._literal_value: bool | None = None
        self._rest = ""  # an escape that is not complete yet
        self._offset = 0  # the position of the current piece in the text
        self._closed = False
        self._failure: LimitExceeded | None = None
        self.invalid_at: int | None = None
        """The position of the first character that is not valid JSON; ``None`` if there is none."""

    @property
    def value(self) -> JSONValue | Unset:
        """The certain part of the value; ``UNSET`` if there is none."""
        value: Any = self._root
        if self._expected == _Expected.STRING and not self._is_key:
            value = "".join(self._pieces)
            self._pieces = [value]
        for container in reversed(self._stack):
            copy = _Open(container.value.copy(), container.key)
            if value is not UNSET:
                copy.put(value)
            value = copy.value
        result: JSONValue | Unset = value
        return result

    def elements(self, key: str | None = None, start: int = 0) -> list[JSONValue]:
        """Return the complete elements of a list, from the index ``start`` on. The list is the value itself, or its member ``key``.

        The result is empty if there is no such list yet. The elements are not copied, and are never changed later.
        """
        found: Any = self._stack[0].value if self._stack else self._root
        if isinstance(found, dict):
            members = cast("dict[str, Any]", found)
            is_open = len(self._stack) > 1 and self._stack[0].key == key
            found = self._stack[1].value if is_open else members.get(key or "")
        return cast("list[JSONValue]", found[start:]) if isinstance(found, list) else []

    @property
    def complete(self) -> bool:
        """Whether the text is one complete JSON value."""
        return self._expected == _Expected.END and self.invalid_at is None

    def feed(self, delta: str) -> None:
        """Parse the next piece of text. Everything after the first invalid character is ignored.

        Raises ``LimitExceeded``, in this and every later call, if containers are nested too deep, and ``LocalProtocolError`` after
        :meth:`close`.
        """
        if self._closed:
            raise LocalProtocolError("feed() was called after close(): create another PartialJSON for another text")
        if self._failure is not None:
            raise self._failure
        text = self._rest + delta
        self._rest = ""
        position, end = 0, len(text)
        while position < end and self.invalid_at is None:
            position = self._advance(text, position)
        self._offset += end - len(self._rest)

    def close(self) -> None:
        """End the text: a number at its end is certain now. Calling it again has no effect."""
        self._closed = True
        if self._expected == _Expected.NUMBER and self._number in _COMPLETE_NUMBERS and self.invalid_at is None:
            self._put_number(self._offset)

    # Each of these methods reads from a position and returns the position after it.

    def _advance(self, text: str, position: int) -> int:
        match self._expected:
            case _Expected.STRING:
                return self._read_string(text, position)
            case _Expected.NUMBER:
                return self._read_number(text, position)
            case _Expected.LITERAL:
                return self._read_literal(text, position)
            case _:
                return self._read_structure(text, position)

    def _read_structure(self, text: str, position: int) -> int:
        position = _end_of_run(_WHITESPACE, text, position)
        if position == len(text):
            return position
        character = text[position]
        match self._expected:
            case _Expected.VALUE | _Expected.ELEMENT:
                return self._read_value_start(character, position)
            case _Expected.KEY | _Expected.MEMBER:
                return self._read_key_start(character, position)
            case _Expected.SEPARATOR:
                return self._read_separator(character, position)
            case _:
                if (character, self._expected) != (":", _Expected.COLON):
                    return self._fail(position)
                self._expected = _Expected.VALUE
                return position + 1

    def _read_key_start(self, character: str, position: int) -> int:
        if character == '"':
            self._is_key = True
            self._expected = _Expected.STRING
            return position + 1
        return (
            self._close_container(position)
            if (character, self._expected) == ("}", _Expected.MEMBER)
            else self._fail(position)
        )

    def _read_value_start(self, character: str, position: int) -> int:
        if character == '"':
            self._is_key = False
            self._expected = _Expected.STRING
        elif character == "{":
            self._open({})
            self._expected = _Expected.MEMBER
        elif character == "[":
            self._open([])
            self._expected = _Expected.ELEMENT
        elif character in _LITERALS:
            self._literal, self._literal_value = _LITERALS[character]
            self._expected = _Expected.LITERAL
            return position
        elif character in "-0123456789":
            self._number = "start"
            self._expected = _Expected.NUMBER
            return position
        else:
            return (
                self._close_container(position)
                if (character, self._expected) == ("]", _Expected.ELEMENT)
                else self._fail(position)
            )
        return position + 1

    def _read_separator(self, character: str, position: int) -> int:
        is_object = isinstance(self._stack[-1].value, dict)
        if character == ",":
            self._expected = _Expected.KEY if is_object else _Expected.VALUE
            return position + 1
        if character == ("}" if is_object else "]"):
            return self._close_container(position)
        return self._fail(position)

    def _read_string(self, text: str, position: int) -> int:
        after = _end_of_run(_PLAIN, text, position)
        if after > position:
            self._pieces.append(text[position:after])
        if after == len(text):
            return after
        if text[after] == "\\":
            return self._read_escape(text, after)
        if text[after] != '"':
            return self._fail(after)  # a control character
        string = "".join(self._pieces)
        self._pieces.clear()
        if self._is_key:
            self._stack[-1].key = string
            self._expected = _Expected.COLON
        else:
            self._put(string)
        return after + 1

    def _read_escape(self, text: str, position: int) -> int:
        kind = text[position + 1 : position + 2]
        if kind in _ESCAPES:
            self._pieces.append(_ESCAPES[kind])
            return position + 2
        unit = _unit(text, position)
        if unit is None:
            return self._fail(position)
        after = position + 6
        if _HIGH <= unit < _LOW:
            low = _unit(text, after)
            if low == _MORE:
                return self._wait(text, position)
            if low is not None and _LOW <= low < _AFTER_LOW:
                self._pieces.append(chr(0x10000 + ((unit - _HIGH) << 10) + (low - _LOW)))
                return after + 6
        if unit == _MORE:
            return self._wait(text, position)
        self._pieces.append(chr(unit))
        return after

    def _wait(self, text: str, position: int) -> int:
        self._rest = text[position:]
        return len(text)

    def _read_number(self, text: str, position: int) -> int:
        start, end = position, len(text)
        while position < end:
            character = text[position]
            state = _NUMBER[self._number].get("9" if character in "123456789" else character)
            if state is None:
                break
            self._number = state
            position += 1
        self._pieces.append(text[start:position])
        if position == end:
            return end
        if self._number not in _COMPLETE_NUMBERS or text[position] not in _AFTER_NUMBER:
            return self._fail(position)
        return position if self._put_number(self._offset + position) else end

    def _put_number(self, end: int) -> bool:
        digits = "".join(self._pieces)
        self._pieces.clear()
        try:
            number: int | float = default_backend().parse(digits)
        except ValueError:  # too large for a float
            self.invalid_at = end - len(digits)
            return False
        self._put(number)
        return True

    def _read_literal(self, text: str, position: int) -> int:
        part = text[position : position + len(self._literal)]
        if not self._literal.startswith(part):
            wrong = next(
                i for i, (got, expected) in enumerate(zip(part, self._literal, strict=False)) if got != expected
            )
            return self._fail(position + wrong)
        self._literal = self._literal[len(part) :]
        if not self._literal:
            self._put(self._literal_value)
        return position + len(part)

    # Building the value.

    def _open(self, container: dict[str, Any] | list[Any]) -> None:
        depth = len(self._stack) + 1
        try:
            self._limits.check("max_nesting", depth)
        except LimitExceeded as error:
            self._failure = error
            raise
        self._stack.append(_Open(container))

    def _close_container(self, position: int) -> int:
        self._put(self._stack.pop().value)
        return position + 1

    def _put(self, value: Any) -> None:
        if self._stack:
            self._stack[-1].put(value)
            self._expected = _Expected.SEPARATOR
        else:
            self._root = value
            self._expected = _Expected.END

    def _fail(self, position: int) -> int:
        self.invalid_at = self._offset + position
        return position


def _unit(text: str, position: int) -> int | None:
    r"""Return the number in ``\uXXXX``; :data:`_MORE` if the escape is cut off, ``None`` if it is invalid."""
    escape = text[position : position + 6]
    start, digits = escape[:2], escape[2:]
    if not r"\u".startswith(start) or not _HEX.issuperset(digits):
        return None
    return int(digits, 16) if len(escape) == len(r"\uXXXX") else _MORE


def _end_of_run(run: re.Pattern[str], text: str, position: int) -> int:
    """Return the end position of a run of characters, which may be empty."""
    return cast("re.Match[str]", run.match(text, position)).end()
