"""Texts for regular expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.scripted._regex import sample


@pytest.mark.parametrize(
    "pattern",
    [
        r"",
        r"^$",
        r"abc",
        r"^[A-Z]{3}-\d{4}$",
        r"^(foo|bar)+$",
        r"^\+?[1-9]\d{1,14}$",
        r"^[^a-zA-Z]$",
        r"^[]\]x]$",
        r"^[^]a]$",
        r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$",
        r"^(a)(b.)\2\1$",
        r"^(?P<x>a.)(?P=x)$",
        r"^(?:ab){2,3}c*?d*+$" if hasattr(re, "NOFLAG") else r"^(?:ab){2,3}c*?$",
        r"^(?=a)\w+$",
        r"^(?!b)\w$",
        r"^#?([a-f0-9]{6}|[a-f0-9]{3})$",
        r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$",
        r"\bword\b",
        r"^\x41\u0042\t\n$",
        r"^[\d\s]\D\S\W$",
        r"^.{3}$",
        r"^\.\/\\$",
    ],
)
@pytest.mark.parametrize("nth", [0, 1, 3])
def test_the_pattern_is_found_in_the_text(pattern: str, nth: int) -> None:
    text = sample(pattern, nth=nth)
    assert text is not None
    assert re.search(pattern, text)


def test_the_text_can_be_made_longer() -> None:
    assert sample(r"^[a-z]+$", min_length=5) == "aaaaa"
    assert sample(r"x", min_length=5) == "x...."
    assert len(sample(r"^\w*$", min_length=1000) or "") >= 1000
    assert sample(r"^a{2}$", min_length=5) is None


def test_lookarounds_are_skipped() -> None:
    assert sample(r"^(?=.*\d)[a-z]+$") == "a"


def test_no_pattern_takes_long() -> None:
    assert sample(r"^(a+)+(?=c)$", min_length=40) is not None
    assert sample(r"^(a|a){40}$", min_length=50) is None


@given(st.text(r"ab01()[]{}^$|*+?.\\d,:=!<>P-", max_size=30), st.integers(0, 40))
def test_it_never_raises(pattern: str, shortest: int) -> None:
    text = sample(pattern, min_length=shortest)
    assert text is None or len(text) >= shortest


def test_other_texts_if_the_pattern_allows_several() -> None:
    assert sample(r"^[a-z]+$", nth=0) != sample(r"^[a-z]+$", nth=1)
    assert sample(r"^a$", nth=0) == sample(r"^a$", nth=1)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(",
        r"a)",
        r"[",
        r"\p{L}+",
        r"[^z-a]",
        r"(?P=x)",
        r"a{99999}",
        f"a{{{'9' * 5000}}}",
        r"((a{99}){99}){99}",
        r"(" * 80 + r")" * 80,
        r"(?#x)",
        r"[^\s\S]",
        r"\xZZ",
        r"\2",
        r"a**",
        r"(?P=x",
        "\\",
    ],
)
def test_an_unsupported_pattern_has_no_text(pattern: str) -> None:
    assert sample(pattern) is None
