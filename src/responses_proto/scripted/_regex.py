"""Generate a text that matches a regular expression, for the ``pattern`` of a JSON Schema.

Supported: the syntax that JSON Schema and the common engines share, which is classes, groups, alternatives, quantifiers, anchors and
back references.
The sampler reads the pattern once from left to right and writes the text as it goes, with the first alternative and the fewest
repetitions. Lookarounds are skipped, so the text may not satisfy them. The text is not matched against the pattern afterwards,
because matching can take exponential time.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

MAX_LENGTH: Final = 4096
"""The maximum length of a generated text, in characters."""
_MAX_DEPTH: Final = 50  # nested groups
_TRIES: Final = 32  # how many numbers of repetitions are tried one by one

_CLASSES: Final = {"d": "1", "D": "a", "w": "a", "W": "-", "s": " ", "S": "a", "h": " "}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_ZERO_WIDTH: Final = frozenset("bBAzZG")
_CODES: Final = {"x": 2, "u": 4}
_CANDIDATES: Final = "aA1 _-.x/~é"  # tried in order for a negated class


class _Unsupported(Exception):  # noqa: N818 - never leaves this module
    """The pattern is malformed or has a construct that is not supported."""


def sample(pattern: str, *, min_length: int = 0, nth: int = 0) -> str | None:
    """Return a text that contains a match of the pattern, or ``None`` if the pattern is not supported.

    The text has at least ``min_length`` characters. ``nth`` selects a different text if the pattern allows several. Never
    raises. The time is linear in the length of the text.
    """
    try:
        text = ""
        for extra in (*range(min(min_length, _TRIES)), min_length):
            text = _Sampler(pattern, nth + extra).sample()
            if len(text) >= min_length:
                return text
        if pattern.endswith("$"):
            return None
        return text.ljust(min_length, ".")  # the pattern is not anchored at its end
    except (_Unsupported, RecursionError, ValueError):  # int() refuses numbers of thousands of digits
        return None


@attrs.define
class _Sampler:
    """A recursive descent parser of the pattern. Each method consumes a construct and returns a text for it."""

    pattern: str
    extra: int
    """The number of repetitions to add to the minimum, up to the maximum of the quantifier."""
    at: int = 0
    """The position in the pattern."""
    depth: int = 0
    """The number of open groups."""
    groups: list[str] = attrs.field(factory=list[str])
    """The text of each capturing group, for back references."""
    names: dict[str, int] = attrs.field(factory=dict[str, int])
    """Name of a group -> its index in ``groups``."""

    def sample(self) -> str:
        text = self._alternatives()
        if self.at < len(self.pattern):
            raise _Unsupported
        return text

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _take(self, text: str) -> bool:
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def _next(self) -> str:
        char = self._peek()
        if not char:
            raise _Unsupported
        self.at += 1
        return char

    def _alternatives(self) -> str:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _Unsupported
        first = self._sequence()
        while self._take("|"):
            self._sequence()  # consume the other alternatives
        self.depth -= 1
        return first

    def _sequence(self) -> str:
        pieces: list[str] = []
        while self._peek() not in ("", "|", ")"):
            piece = self._atom()
            minimum, maximum = self._quantifier()
            count = minimum
            if maximum is None or maximum > minimum:
                count = min(minimum + self.extra, maximum or MAX_LENGTH)
            if len(piece) * count > MAX_LENGTH:
                raise _Unsupported
            pieces.append(piece * count)
        return "".join(pieces)

    def _quantifier(self) -> tuple[int, int | None]:
        bounds = re.compile(r"([*+?])|\{(\d+)(?:(,)(\d*))?\}").match(self.pattern, self.at)
        if bounds is None:
            return 1, 1
        self.at = bounds.end()
        if self._peek() in ("?", "+"):  # lazy or possessive quantifiers match the same texts
            self.at += 1
        if bounds[1]:
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[bounds[1]]
        minimum = int(bounds[2])
        return minimum, (int(bounds[4]) if bounds[4] else None) if bounds[3] else minimum

    def _atom(self) -> str:
        match char := self._next():
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case ".":
                return "a"
            case "^" | "$":
                return ""
            case "*" | "+" | "?":
                raise _Unsupported  # nothing to repeat
            case _:
                return char

    def _group(self) -> str:
        if self._take("?"):
            if named := re.compile(r"P?<([A-Za-z_]\w*)>").match(self.pattern, self.at):
                self.at = named.end()
                self.names[named[1]] = len(self.groups)
            elif reference := re.compile(r"P=(\w+)").match(self.pattern, self.at):
                self.at = reference.end()
                self._close()
                if reference[1] not in self.names:
                    raise _Unsupported
                return self.groups[self.names[reference[1]]]
            elif lookaround := re.compile(r"<?[=!]").match(self.pattern, self.at):
                self.at = lookaround.end()
                self._alternatives()
                self._close()
                return ""
            elif self._take(":"):
                text = self._alternatives()
                self._close()
                return text
            else:
                raise _Unsupported
        number = len(self.groups)
        self.groups.append("")
        self.groups[number] = text = self._alternatives()
        self._close()
        return text

    def _close(self) -> None:
        if not self._take(")"):
            raise _Unsupported

    def _class(self) -> str:
        negated = self._take("^")
        start = self.at
        first = ""
        while True:
            if self.at > start and self._take("]"):
                break
            char = self._class_char()
            first = first or char
        if not negated:
            return first
        try:
            negated_class = re.compile(self.pattern[start - 2 : self.at])
        except re.error:
            raise _Unsupported from None
        found = next((char for char in _CANDIDATES if negated_class.fullmatch(char)), None)
        if found is None:
            raise _Unsupported
        return found

    def _class_char(self) -> str:
        char = self._next()
        return self._escape(inside=True) if char == "\\" else char

    def _escape(self, *, inside: bool = False) -> str:
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in _CODES:
            digits = self.pattern[self.at : self.at + _CODES[char]]
            self.at += len(digits)
            try:
                return chr(int(digits, 16))
            except ValueError:
                raise _Unsupported from None
        if char in _ZERO_WIDTH and not inside:
            return ""
        if char.isdigit():
            number = int(char)
            if number > len(self.groups):
                raise _Unsupported
            return self.groups[number - 1]
        if char.isalpha():
            raise _Unsupported
        return char
