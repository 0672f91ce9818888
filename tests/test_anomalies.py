"""One table of findings: each code that is reported is in it, and each that is in it is reported."""

from __future__ import annotations

import re
from pathlib import Path

import responses_proto
from responses_proto.anomalies import ANOMALY_CODES, Anomaly

PACKAGE = Path(responses_proto.__file__).parent


def test_a_finding_is_a_value() -> None:
    assert Anomaly("wrong-type") == Anomaly("wrong-type", "$", "")
    assert len({Anomaly("wrong-type"), Anomaly("wrong-type", "$.a"), Anomaly("wrong-type")}) == 2


def test_codes_are_words_with_a_sentence() -> None:
    for code, meaning in ANOMALY_CODES.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert meaning.endswith(".")


def test_the_table_has_each_code_that_is_reported_and_no_other() -> None:
    # Histories are not wire traffic: what is wrong with them has a table of its own.
    elsewhere = {"anomalies.py", "history.py"}
    sources = [path.read_text() for path in PACKAGE.rglob("*.py") if path.name not in elsewhere]
    reported = {
        code
        for source in sources
        for code in re.findall(
            r'(?:_report\(\s*|Anomaly\(|Finding\(|code = |else )"([a-z0-9]+(?:-[a-z0-9]+)+)"', source
        )
    }
    assert reported - set(ANOMALY_CODES) == set()
    assert [code for code in ANOMALY_CODES if not any(f'"{code}"' in source for source in sources)] == []
