"""Anomalies: values whose codes are the rules that a client checks."""

from __future__ import annotations

import re
from pathlib import Path

import responses_proto
from responses_proto.anomalies import ANOMALY_CODES, Anomaly

PACKAGE = Path(responses_proto.__file__).parent


def test_an_anomaly_is_a_value() -> None:
    assert Anomaly("wrong-type") == Anomaly("wrong-type", "$", "")
    assert len({Anomaly("wrong-type"), Anomaly("wrong-type", "$.a"), Anomaly("wrong-type")}) == 2


def test_the_table_has_each_code_that_is_reported() -> None:
    # Histories are not wire traffic and have their own table. The conformance checks report findings, not anomalies.
    elsewhere = {"rules.py", "state.py", "history.py"}
    files = [path for path in PACKAGE.rglob("*.py") if "conformance" not in path.parts and path.name not in elsewhere]
    sources = [path.read_text() for path in files]
    reported = {
        code
        for source in sources
        for code in re.findall(r'(?:_report\(\s*|Anomaly\(|code = |else )"([a-z0-9]+(?:-[a-z0-9]+)+)"', source)
    }
    assert reported
    assert reported - set(ANOMALY_CODES) == set()
