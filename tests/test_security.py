"""Each promise of SECURITY.md names the tests that hold it, and these exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))


def test_the_promises_name_tests() -> None:
    assert len(NAMED) > 10


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda each: each.rpartition("/")[2])
def test_the_test_of_a_promise_exists(path: str, name: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name or 'test_'}", source, re.MULTILINE)
