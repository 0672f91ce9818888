"""Texts for the grammars of custom tools."""

from __future__ import annotations

import re

import pytest

from responses_proto.models.tools import CustomToolGrammarFormat
from responses_proto.scripted._grammars import sample_grammar

ARITHMETIC = r"""
start: expr
expr: term (SP ADD SP term)* -> add
    | term
term: factor (SP MUL SP factor)*   // comment
factor: INT
SP: " "
ADD: "+"
MUL: "*"
%import common.INT
"""
SQL = r"""
start: "SELECT" columns "FROM"i NAME [where] ";"
columns: "*" | NAME ("," NAME)*
where: "WHERE" NAME "=" /\d+/
NAME.2: LETTER+
LETTER: "a".."z"
%import common.WS -> SPACE
%ignore SPACE
"""
JSON = r"""
?start: value
?value: object | array | string
array: "[" [value ("," value)*] "]"
object: "{" [pair ("," pair)*] "}"
pair: string ":" value
string: ESCAPED_STRING
%import common.ESCAPED_STRING
"""


def lark(definition: str) -> str | None:
    return sample_grammar(CustomToolGrammarFormat(syntax="lark", definition=definition))


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (ARITHMETIC, "1"),
        (SQL, "SELECT * FROM a ;"),
        (JSON, "{}"),
        ('start: "a"~3 ("b" | "c")~1..2', "aaab"),
        ('start: "x"? "y"* "z"+', "z"),
        ("start: /[a-c]{2}\\/d/", "aa/d"),
        ('start: "\\n"', "\n"),
        ('start: one\none: two | "1"\ntwo: one', "1"),
        ("start: WORD\n%import common.WORD", "a"),
        ("%declare OTHER\n%import other.THING\nstart: WORD\n%import common.WORD", "a"),
        (r'start: "\d"', "\\d"),
    ],
)
def test_a_text_of_a_lark_grammar(definition: str, text: str) -> None:
    assert lark(definition) == text


@pytest.mark.parametrize(
    "definition",
    [
        "",
        "other: x",
        'start: "a"~9999',
        'start: a a\na: b b\nb: "x"~2000',
        'start: start "a"',
        "start: a{b}",
        "start: missing",
        'start: "a" )',
        "start: (",
        "start: ~2",
        "}{",
    ],
)
def test_an_unsupported_grammar_has_no_text(definition: str) -> None:
    assert lark(definition) is None


def test_a_text_of_a_regex_grammar() -> None:
    definition = r"^(January|February) \d{1,2}(st|nd|rd|th)$"
    text = sample_grammar(CustomToolGrammarFormat(syntax="regex", definition=definition))
    assert text is not None
    assert re.fullmatch(definition, text)
    assert sample_grammar(CustomToolGrammarFormat(syntax="regex", definition="(")) is None
