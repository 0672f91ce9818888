"""A text that fits a regular expression: what the filler puts where a schema has a ``pattern``.

Known is what JSON Schema and the common engines share: classes, groups, alternatives, quantifiers, anchors, back references. The
shortest way through is taken: the first alternative, the fewest repetitions. What looks around is skipped, and may not be met.
The text is not held against the pattern: there are patterns for which that takes forever.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

__all__ = ["sample"]

_LONGEST: Final = 4096  # characters
_DEEPEST: Final = 50  # groups in groups
_TRIES: Final = 32  # numbers of repetitions that are tried one by one

_CLASSES: Final = {"d": "1", "D": "a", "w": "a", "W": "-", "s": " ", "S": "a", "h": " "}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_ZERO_WIDTH: Final = frozenset("bBAzZG")
_CODES: Final = {"x": 2, "u": 4}
_CANDIDATES: Final = "aA1 _-.x/~é"  # for a class that says only what it does not take


class _Unknown(Exception):  # noqa: N818 - never leaves this module
    """The pattern has something that is not known here."""


def sample(pattern: str, *, min_length: int = 0, nth: int = 0) -> str | None:
    """Give a text in which the pattern is found, of at least so many characters, or ``None`` if that is beyond this.

    ``nth`` gives another one where the pattern allows it. Never raises, and takes no longer than the text is long.
    """
    try:
        text = ""
        for more in (*range(min(min_length, _TRIES)), min_length):
            text = _Sampler(pattern, nth + more).text()
            if len(text) >= min_length:
                return text
        if pattern.endswith("$"):
            return None
        return text.ljust(min_length, ".")  # what follows does not matter to it
    except (_Unknown, RecursionError, ValueError):  # Python reads no number of thousands of digits
        return None


@attrs.define
class _Sampler:
    """Reads the pattern from left to right and writes the text on the way."""

    pattern: str
    more: int
    """How many repetitions to add to the fewest, where there may be more."""
    at: int = 0
    depth: int = 0
    groups: list[str] = attrs.field(factory=list[str])
    names: dict[str, int] = attrs.field(factory=dict[str, int])

    def text(self) -> str:
        text = self._alternatives()
        if self.at < len(self.pattern):
            raise _Unknown
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
            raise _Unknown
        self.at += 1
        return char

    def _alternatives(self) -> str:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Unknown
        first = self._sequence()
        while self._take("|"):
            self._sequence()  # read, but not used
        self.depth -= 1
        return first

    def _sequence(self) -> str:
        pieces: list[str] = []
        while self._peek() not in ("", "|", ")"):
            piece = self._atom()
            fewest, most = self._quantifier()
            count = fewest if most is not None and most <= fewest else min(fewest + self.more, most or _LONGEST)
            if len(piece) * count > _LONGEST:
                raise _Unknown
            pieces.append(piece * count)
        return "".join(pieces)

    def _quantifier(self) -> tuple[int, int | None]:
        bounds = re.compile(r"([*+?])|\{(\d+)(?:(,)(\d*))?\}").match(self.pattern, self.at)
        if bounds is None:
            return 1, 1
        self.at = bounds.end()
        if self._peek() in ("?", "+"):  # lazy or possessive: the same texts fit
            self.at += 1
        if bounds[1]:
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[bounds[1]]
        fewest = int(bounds[2])
        return fewest, (int(bounds[4]) if bounds[4] else None) if bounds[3] else fewest

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
                raise _Unknown  # there is nothing to repeat
            case _:
                return char

    def _group(self) -> str:
        if self._take("?"):
            if named := re.compile(r"P?<([A-Za-z_]\w*)>").match(self.pattern, self.at):
                self.at = named.end()
                self.names[named[1]] = len(self.groups)
            elif again := re.compile(r"P=(\w+)").match(self.pattern, self.at):
                self.at = again.end()
                self._close()
                if again[1] not in self.names:
                    raise _Unknown
                return self.groups[self.names[again[1]]]
            elif around := re.compile(r"<?[=!]").match(self.pattern, self.at):
                self.at = around.end()
                self._alternatives()
                self._close()
                return ""
            elif self._take(":"):
                text = self._alternatives()
                self._close()
                return text
            else:
                raise _Unknown
        number = len(self.groups)
        self.groups.append("")
        self.groups[number] = text = self._alternatives()
        self._close()
        return text

    def _close(self) -> None:
        if not self._take(")"):
            raise _Unknown

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
            taken = re.compile(self.pattern[start - 2 : self.at])
        except re.error:
            raise _Unknown from None
        found = next((char for char in _CANDIDATES if taken.fullmatch(char)), None)
        if found is None:
            raise _Unknown
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
                raise _Unknown from None
        if char in _ZERO_WIDTH and not inside:
            return ""
        if char.isdigit():
            number = int(char)
            if number > len(self.groups):
                raise _Unknown
            return self.groups[number - 1]
        if char.isalpha():
            raise _Unknown
        return char
