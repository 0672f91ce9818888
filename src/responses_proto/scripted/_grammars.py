"""A text that fits the grammar of a custom tool, in either of the two syntaxes: ``regex``, and ``lark`` as far as it is common.

Known of Lark: rules and terminals, texts, regular expressions, ranges, groups, optional parts, repetitions, aliases, priorities,
``%ignore``, and the terminals of its ``common`` module. Not known: templates, other imports. The first alternative is
taken that comes to an end.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import attrs

from ._regex import sample

if TYPE_CHECKING:
    from ..models.tools import CustomToolGrammarFormat

__all__ = ["sample_grammar"]

_LONGEST: Final = 4096  # characters

_COMMON: Final = {
    **dict.fromkeys(("DIGIT", "INT", "NUMBER", "SIGNED_INT", "SIGNED_NUMBER", "HEXDIGIT"), "1"),
    **dict.fromkeys(("DECIMAL", "FLOAT", "SIGNED_FLOAT"), "1.0"),
    **dict.fromkeys(("LETTER", "LCASE_LETTER", "WORD", "CNAME"), "a"),
    **dict.fromkeys(("WS", "WS_INLINE"), " "),
    "UCASE_LETTER": "A",
    "ESCAPED_STRING": '"a"',
    "NEWLINE": "\n",
    "CR": "\r",
    "LF": "\n",
}
_TOKENS: Final = re.compile(
    r"""\s+|//[^\n]*
    |(?P<text>"(?:\\.|[^"\\])*"i?)
    |(?P<pattern>/(?:\\.|[^/\\\n])+/[imslux]*)
    |(?P<name>[?!_]*[A-Za-z_]\w*)
    |(?P<range>\.\.)
    |(?P<alias>->\s*\w+)
    |(?P<times>~\s*\d+(?:\s*\.\.\s*\d+)?)
    |(?P<sign>[()\[\]|?*+:])""",
    re.VERBOSE,
)
_HEAD: Final = re.compile(r"^[ \t]*[?!]*([A-Za-z_]\w*)(?:\.-?\d+)?[ \t]*:", re.MULTILINE)
_DIRECTIVE: Final = re.compile(r"^[ \t]*%(\w+)[ \t]+(.*)$", re.MULTILINE)


def sample_grammar(grammar: CustomToolGrammarFormat) -> str | None:
    """Give a text that fits, or ``None`` for a grammar that is not understood."""
    if grammar.syntax == "regex":
        return sample(grammar.definition)
    try:
        return _Lark(grammar.definition).write()
    except (_Unknown, RecursionError, ValueError):  # Python reads no number of thousands of digits
        return None


class _Unknown(Exception):  # noqa: N818 - never leaves this module
    """The grammar has something that is not known here."""


class _Lark:
    def __init__(self, definition: str) -> None:
        self._known: dict[str, str] = {}
        self._space = ""
        for directive, what in _DIRECTIVE.findall(definition):
            if directive == "import" and what.startswith("common."):
                original, _, alias = (part.strip() for part in what.removeprefix("common.").partition("->"))
                self._known[alias or original] = _COMMON.get(original, "a")
            elif directive == "ignore":
                self._space = " "
        rules = _DIRECTIVE.sub("", definition)
        heads = list(_HEAD.finditer(rules))
        ends = [*(head.start() for head in heads[1:]), len(rules)]
        self._rules = {head[1]: rules[head.end() : end] for head, end in zip(heads, ends, strict=False)}

    def write(self) -> str:
        """Find a text for one rule after the other, until there is one for the first rule."""
        if "start" not in self._rules:
            raise _Unknown
        for _ in self._rules:
            for name, body in self._rules.items():
                if name not in self._known:
                    # Within a terminal nothing is ignored.
                    found = _Body(body, self._known, "" if name.lstrip("_").isupper() else self._space).first()
                    if found is not None:
                        self._known[name] = found
            if "start" in self._known:
                return self._known["start"]
        raise _Unknown


@attrs.define
class _Body:
    """The right side of a rule, read word by word."""

    text: str
    known: dict[str, str]
    space: str
    at: int = 0
    kind: str = ""
    word: str = ""

    def first(self) -> str | None:
        """Give the text of the first alternative whose names are all known, or ``None``."""
        self._step()
        found = self._alternatives()
        if self.kind:
            raise _Unknown
        return found

    def _step(self) -> None:
        while self.at < len(self.text):
            match = _TOKENS.match(self.text, self.at)
            if match is None:
                raise _Unknown
            self.at = match.end()
            if match.lastgroup:
                self.kind, self.word = match.lastgroup, match[0]
                return
        self.kind = self.word = ""

    def _is(self, sign: str) -> bool:
        return self.kind == "sign" and self.word == sign

    def _take(self, sign: str) -> None:
        if not self._is(sign):
            raise _Unknown
        self._step()

    def _alternatives(self) -> str | None:
        found = self._sequence()
        while self._is("|"):
            self._step()
            other = self._sequence()
            found = other if found is None else found
        return found

    def _sequence(self) -> str | None:
        pieces: list[str | None] = []
        while self.kind and not (self.kind == "sign" and self.word in ")]|"):
            if self.kind == "alias":
                self._step()
                continue
            pieces.append(self._repeated(self._atom()))
        whole = [piece for piece in pieces if piece is not None]
        if sum(map(len, whole)) > _LONGEST:
            raise _Unknown
        return self.space.join(piece for piece in whole if piece) if len(whole) == len(pieces) else None

    def _repeated(self, piece: str | None) -> str | None:
        while self.kind == "times" or (self.kind == "sign" and self.word in "?*+"):
            if self.kind == "times":
                count = int(re.findall(r"\d+", self.word)[0])
                if count * len(piece or " ") > _LONGEST:
                    raise _Unknown
                piece = None if piece is None else self.space.join([piece] * count)
            elif self.word in "?*":
                piece = ""
            self._step()
        return piece

    def _atom(self) -> str | None:
        kind, word = self.kind, self.word
        self._step()
        if kind == "text":
            if self.kind == "range":  # "a".."z": the first is as good as any
                self._step()
                self._step()
            return _plain(word)
        if kind == "pattern":
            return sample(word[1 : word.rindex("/")].replace("\\/", "/"))
        if kind == "name":
            return self.known.get(word.lstrip("?!"))
        if word == "(":
            found = self._alternatives()
            self._take(")")
            return found
        if word == "[":
            self._alternatives()
            self._take("]")
            return ""
        raise _Unknown


def _plain(word: str) -> str:
    try:
        return str(json.loads(word.removesuffix("i")))
    except ValueError:
        return word.removesuffix("i")[1:-1]
