"""Which brackets are markers, and the text without them."""

from __future__ import annotations

import pytest

from responses_proto.scripted import MARKERS, read_markers


@pytest.mark.parametrize(
    ("text", "plain", "marks"),
    [
        ("hello", "hello", {}),
        ("  hello\n", "  hello\n", {}),
        ("[refuse] hello", "hello", {"refuse": ""}),
        ("hello [refuse]", "hello", {"refuse": ""}),
        ("one [slow 0.5] two [cite]", "one two", {"slow": "0.5", "cite": ""}),
        ("[error 429]", "", {"error": "429"}),
        ("[error 503 2.5]", "", {"error": "503 2.5"}),
        ("[fail rate_limit_exceeded]", "", {"fail": "rate_limit_exceeded"}),
        ("[wait 1][wait 2]", "", {"wait": "2"}),
    ],
)
def test_markers_are_taken_out_of_the_text(text: str, plain: str, marks: dict[str, str]) -> None:
    assert read_markers(text) == (plain, marks)


@pytest.mark.parametrize(
    "text",
    ["[ERROR 500] disk full", "[error] no", "[error 200]", "[wait]", "[slow soon]", "[nothing]", "[refuse now]", "[ ]"],
)
def test_other_brackets_are_text(text: str) -> None:
    assert read_markers(text) == (text, {})


def test_the_table_has_each_name_once_with_its_effect() -> None:
    assert len({marker.name for marker in MARKERS}) == len(MARKERS)
    assert [marker.name for marker in MARKERS if not marker.effect] == []
