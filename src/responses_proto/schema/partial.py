"""The value of a JSON text that is still being written: arguments of a call, structured output.

A model writes its JSON token by token, and a user interface wants to show what is there. :func:`partial_json` gives the
value as far as it is certain, which is to say: whatever follows, the whole value begins with it. Of what is unfinished,

* a string is given as far as it came, without an incomplete escape or the first half of a surrogate pair;
* an object or array is given with what it has;
* a number, ``true``, ``false``, ``null``, a key, and a key without a value are left out.

A number is certain once something follows it, or once the text is known to be whole. Where a text stops being JSON,
reading stops: what came before is given, and :attr:`PartialJSON.invalid_at` says where that was. Of repeated keys the last
one counts, as everywhere; so there alone a value that was given can be replaced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

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
"""What JSON can be read from: the arguments of a call, the text of a message or a part, or a text as such. Other items have
none: nothing about them is certain."""

_Step: TypeAlias = Literal["value", "element", "key", "member", "colon", "after", "end", "string", "number", "literal"]
# What is expected next. "element" and "member" come right after the opening bracket, where it may close as well.

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_LITERALS: Final[dict[str, tuple[str, bool | None]]] = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_AFTER_NUMBER: Final = frozenset(" \t\n\r,]}")
_HIGH, _LOW, _AFTER_LOW = 0xD800, 0xDC00, 0xE000
_MORE: Final = -1  # in place of a code unit: the text ends within the escape

# The grammar of numbers (RFC 8259, section 6): state -> character -> state. 9 stands for every digit but 0.
_NUMBER: Final[dict[str, dict[str, str]]] = {
    "start": {"-": "sign", "0": "zero", "9": "whole"},
    "sign": {"0": "zero", "9": "whole"},
    "zero": {".": "point", "e": "e", "E": "e"},
    "whole": {"0": "whole", "9": "whole", ".": "point", "e": "e", "E": "e"},
    "point": {"0": "fraction", "9": "fraction"},
    "fraction": {"0": "fraction", "9": "fraction", "e": "e", "E": "e"},
    "e": {"+": "e sign", "-": "e sign", "0": "exponent", "9": "exponent"},
    "e sign": {"0": "exponent", "9": "exponent"},
    "exponent": {"0": "exponent", "9": "exponent"},
}
_NUMBERS: Final = frozenset({"zero", "whole", "fraction", "exponent"})  # where a number may end


def partial_json(
    source: PartialSource, *, whole: bool | None = None, limits: Limits | None = None
) -> JSONValue | Unset:
    """Give the value of the JSON in ``source`` as far as it is certain; ``UNSET`` if nothing is.

    ``whole`` says whether the text is all there is; by default that is believed of an item whose status is ``completed``.
    Costs time linear in the text. To follow a text that grows, :class:`PartialJSON` reads each piece once. Never raises
    for text that is no JSON; raises ``LimitExceeded`` if it is nested too deep.
    """
    text, ended = _read(source)
    ended = ended if whole is None else whole
    limits = limits or Limits()
    try:
        value: JSONValue = default_backend().loads(text, limits.max_nesting)
    except DecodeError:
        reader = PartialJSON(limits=limits)
        reader.feed(text)
        if ended:
            reader.close()
        return reader.value
    uncertain = type(value) in (int, float) and not ended and text[-1] not in _AFTER_NUMBER
    return UNSET if uncertain else value


def _read(source: PartialSource) -> tuple[str, bool]:
    """Give the text, and whether it is whole."""
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
    """A container that is not closed yet."""

    value: dict[str, Any] | list[Any]
    key: str = ""
    """Of the member that is being read."""

    def put(self, value: Any) -> None:
        if isinstance(self.value, dict):
            self.value[self.key] = value
        else:
            self.value.append(value)


class PartialJSON:
    """Follows one JSON text that comes in pieces. Verbs: :meth:`feed` any number of times, then :meth:`close`.

    Each character is read once, however the text is cut. :attr:`value` can be asked for at any time: it costs a shallow
    copy of the containers that are still open, and the string that is. What it gave is never changed afterwards.
    """

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._step: _Step = "value"
        self._stack: list[_Open] = []
        self._root: JSONValue | Unset = UNSET
        self._pieces: list[str] = []  # of the string or number that is being read
        self._is_key = False
        self._number = "start"
        self._literal = ""  # what is left of it
        self._literal_value: bool | None = None
        self._rest = ""  # an escape that is not whole yet
        self._offset = 0  # where the text that is being read begins
        self._closed = False
        self._failure: LimitExceeded | None = None
        self.invalid_at: int | None = None
        """Where the text stopped being JSON, in characters from its beginning; ``None`` if it did not."""

    @property
    def value(self) -> JSONValue | Unset:
        """The value as far as it is certain; ``UNSET`` if nothing is."""
        value: Any = self._root
        if self._step == "string" and not self._is_key:
            value = "".join(self._pieces)
            self._pieces = [value]
        for container in reversed(self._stack):
            copy = _Open(container.value.copy(), container.key)
            if value is not UNSET:
                copy.put(value)
            value = copy.value
        result: JSONValue | Unset = value
        return result

    @property
    def complete(self) -> bool:
        """Whether the text is one JSON value from beginning to end."""
        return self._step == "end" and self.invalid_at is None

    def feed(self, delta: str) -> None:
        """Take the next piece of text. What follows the first thing that is no JSON is ignored.

        Raises ``LimitExceeded`` if containers are nested too deep, now and in every later call.
        """
        if self._closed:
            raise LocalProtocolError("feed() after close(): this text has ended; make another PartialJSON")
        if self._failure is not None:
            raise self._failure
        text = self._rest + delta
        self._rest = ""
        position, end = 0, len(text)
        while position < end and self.invalid_at is None:
            position = self._advance(text, position)
        self._offset += end - len(self._rest)

    def close(self) -> None:
        """Take the end of the text: a number that stands there is certain from now on. Idempotent."""
        self._closed = True
        if self._step == "number" and self._number in _NUMBERS and self.invalid_at is None:
            self._put_number(self._offset)

    # Each of these reads on from a position, and gives the one that it came to.

    def _advance(self, text: str, position: int) -> int:
        match self._step:
            case "string":
                return self._read_string(text, position)
            case "number":
                return self._read_number(text, position)
            case "literal":
                return self._read_literal(text, position)
            case _:
                return self._read_mark(text, position)

    def _read_mark(self, text: str, position: int) -> int:
        position = _end(_SPACE, text, position)
        if position == len(text):
            return position
        character = text[position]
        match self._step:
            case "value" | "element":
                return self._begin(character, position)
            case "key" | "member":
                return self._begin_key(character, position)
            case "after":
                return self._go_on(character, position)
            case _:
                if (character, self._step) != (":", "colon"):
                    return self._fail(position)
                self._step = "value"
                return position + 1

    def _begin_key(self, character: str, position: int) -> int:
        if character == '"':
            self._is_key = True
            self._step = "string"
            return position + 1
        return self._end_of(position) if (character, self._step) == ("}", "member") else self._fail(position)

    def _begin(self, character: str, position: int) -> int:
        if character == '"':
            self._is_key = False
            self._step = "string"
        elif character == "{":
            self._open({})
            self._step = "member"
        elif character == "[":
            self._open([])
            self._step = "element"
        elif character in _LITERALS:
            self._literal, self._literal_value = _LITERALS[character]
            self._step = "literal"
            return position
        elif character in "-0123456789":
            self._number = "start"
            self._step = "number"
            return position
        else:
            return self._end_of(position) if (character, self._step) == ("]", "element") else self._fail(position)
        return position + 1

    def _go_on(self, character: str, position: int) -> int:
        is_object = isinstance(self._stack[-1].value, dict)
        if character == ",":
            self._step = "key" if is_object else "value"
            return position + 1
        if character == ("}" if is_object else "]"):
            return self._end_of(position)
        return self._fail(position)

    def _read_string(self, text: str, position: int) -> int:
        after = _end(_PLAIN, text, position)
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
            self._step = "colon"
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
        if self._number not in _NUMBERS or text[position] not in _AFTER_NUMBER:
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
            wrong = next(i for i, (said, due) in enumerate(zip(part, self._literal, strict=False)) if said != due)
            return self._fail(position + wrong)
        self._literal = self._literal[len(part) :]
        if not self._literal:
            self._put(self._literal_value)
        return position + len(part)

    # What they do with it.

    def _open(self, container: dict[str, Any] | list[Any]) -> None:
        depth = len(self._stack) + 1
        try:
            self._limits.check("max_nesting", depth)
        except LimitExceeded as error:
            self._failure = error
            raise
        self._stack.append(_Open(container))

    def _end_of(self, position: int) -> int:
        self._put(self._stack.pop().value)
        return position + 1

    def _put(self, value: Any) -> None:
        if self._stack:
            self._stack[-1].put(value)
            self._step = "after"
        else:
            self._root = value
            self._step = "end"

    def _fail(self, position: int) -> int:
        self.invalid_at = self._offset + position
        return position


def _unit(text: str, position: int) -> int | None:
    r"""Give the number in ``\uXXXX``; :data:`_MORE` if it is cut off, ``None`` if there is none."""
    escape = text[position : position + 6]
    start, digits = escape[:2], escape[2:]
    if not r"\u".startswith(start) or not _HEX.issuperset(digits):
        return None
    return int(digits, 16) if len(escape) == len(r"\uXXXX") else _MORE


def _end(run: re.Pattern[str], text: str, position: int) -> int:
    """Give the end of a run of characters, which may be empty."""
    return cast("re.Match[str]", run.match(text, position)).end()
