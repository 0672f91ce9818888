"""Generate a text that fits the grammar of a custom tool, in the syntax ``regex`` or ``lark``.

Supported of Lark: rules and terminals, strings, regular expressions, ranges, groups, optional parts, repetitions, aliases,
priorities, ``%ignore``, and the terminals of its ``common`` module. Not supported: templates and other imports.

:class:`_Lark` does not recurse through rules: it samples every rule whose names all have a sample already, and repeats that until the
rule ``start`` has a sample. So a recursive rule gets the text of an alternative that terminates.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import attrs

from ._regex import MAX_LENGTH, sample

if TYPE_CHECKING:
    from ..models.tools import CustomToolGrammarFormat

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
    """Return a text that fits the grammar, or ``None`` if the grammar is not supported."""
    if grammar.syntax == "regex":
        return sample(grammar.definition)
    try:
        return _Lark(grammar.definition).sample()
    except (_Unsupported, RecursionError, ValueError):  # int() refuses numbers of thousands of digits
        return None


class _Unsupported(Exception):  # noqa: N818 - never leaves this module
    """The grammar is malformed or has a construct that is not supported."""


class _Lark:
    def __init__(self, definition: str) -> None:
        self._samples: dict[str, str] = {}
        self._separator = ""
        for directive, argument in _DIRECTIVE.findall(definition):
            if directive == "import" and argument.startswith("common."):
                original, _, alias = (part.strip() for part in argument.removeprefix("common.").partition("->"))
                self._samples[alias or original] = _COMMON.get(original, "a")
            elif directive == "ignore":
                self._separator = " "
        rules = _DIRECTIVE.sub("", definition)
        heads = list(_HEAD.finditer(rules))
        ends = [*(head.start() for head in heads[1:]), len(rules)]
        self._rules = {head[1]: rules[head.end() : end] for head, end in zip(heads, ends, strict=False)}

    def sample(self) -> str:
        """Sample one rule after the other until there is a text for ``start``."""
        if "start" not in self._rules:
            raise _Unsupported
        for _ in self._rules:
            for name, body in self._rules.items():
                if name not in self._samples:
                    # Nothing is ignored within a terminal.
                    separator = "" if name.lstrip("_").isupper() else self._separator
                    found = _RuleBody(body, self._samples, separator).sample()
                    if found is not None:
                        self._samples[name] = found
            if "start" in self._samples:
                return self._samples["start"]
        raise _Unsupported


@attrs.define
class _RuleBody:
    """A recursive descent parser of the right side of a rule.

    Each method consumes a construct and returns a text for it, or ``None`` if it has a name without a sample.
    """

    text: str
    samples: dict[str, str]
    """Name of a rule or terminal -> a text that fits it."""
    separator: str
    """The text between two parts of a sequence."""
    at: int = 0
    """The position after the current lexeme."""
    kind: str = ""
    """The kind of the current lexeme, a group of ``_TOKENS``; empty at the end."""
    lexeme: str = ""

    def sample(self) -> str | None:
        """Return the text of the first alternative whose names all have samples, or ``None``."""
        self._advance()
        found = self._alternatives()
        if self.kind:
            raise _Unsupported
        return found

    def _advance(self) -> None:
        while self.at < len(self.text):
            match = _TOKENS.match(self.text, self.at)
            if match is None:
                raise _Unsupported
            self.at = match.end()
            if match.lastgroup:
                self.kind, self.lexeme = match.lastgroup, match[0]
                return
        self.kind = self.lexeme = ""

    def _is(self, sign: str) -> bool:
        return self.kind == "sign" and self.lexeme == sign

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise _Unsupported
        self._advance()

    def _alternatives(self) -> str | None:
        found = self._sequence()
        while self._is("|"):
            self._advance()
            other = self._sequence()
            found = other if found is None else found
        return found

    def _sequence(self) -> str | None:
        pieces: list[str | None] = []
        while self.kind and not (self.kind == "sign" and self.lexeme in ")]|"):
            if self.kind == "alias":
                self._advance()
                continue
            pieces.append(self._repeated(self._atom()))
        known = [piece for piece in pieces if piece is not None]
        if sum(map(len, known)) > MAX_LENGTH:
            raise _Unsupported
        return self.separator.join(filter(None, known)) if len(known) == len(pieces) else None

    def _repeated(self, piece: str | None) -> str | None:
        while self.kind == "times" or (self.kind == "sign" and self.lexeme in "?*+"):
            if self.kind == "times":
                count = int(re.findall(r"\d+", self.lexeme)[0])
                if count * len(piece or " ") > MAX_LENGTH:
                    raise _Unsupported
                piece = None if piece is None else self.separator.join([piece] * count)
            elif self.lexeme in "?*":
                piece = ""
            self._advance()
        return piece

    def _atom(self) -> str | None:
        kind, lexeme = self.kind, self.lexeme
        self._advance()
        if kind == "text":
            if self.kind == "range":  # "a".."z" gives "a"
                self._advance()
                self._advance()
            return _unquoted(lexeme)
        if kind == "pattern":
            return sample(lexeme[1 : lexeme.rindex("/")].replace("\\/", "/"))
        if kind == "name":
            return self.samples.get(lexeme.lstrip("?!"))
        if lexeme == "(":
            found = self._alternatives()
            self._expect(")")
            return found
        if lexeme == "[":
            self._alternatives()
            self._expect("]")
            return ""
        raise _Unsupported


def _unquoted(lexeme: str) -> str:
    try:
        return str(json.loads(lexeme.removesuffix("i")))
    except ValueError:
        return lexeme.removesuffix("i")[1:-1]
