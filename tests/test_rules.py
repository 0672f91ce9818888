"""The table of rules: each has an id, a sentence and a source, and each is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import responses_proto
from responses_proto.anomalies import ANOMALY_CODES
from responses_proto.rules import RULES, Finder, Rule

PACKAGE = Path(responses_proto.__file__).parent
TABLES = {"rules.py", "state.py"}
"""Where rules are named without being found to be broken."""


def sources() -> str:
    return "\n".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")) if path.name not in TABLES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_has_a_text_and_a_source(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
    assert rule.found_by in get_args(Finder)
    assert rule.broken.endswith(".")
    assert re.fullmatch(r"[A-Z][\w ]+, [A-Z][\w -]+", rule.section)
    assert str(rule) == f"{rule.id}: {rule.broken}"


def test_ids_differ() -> None:
    table = (PACKAGE / "rules.py").read_text()
    ids = re.findall(r'    Rule\("([^"]+)"', table)
    assert ids == list(RULES)


def test_rules_that_a_client_checks_are_anomalies() -> None:
    assert set(ANOMALY_CODES) == {rule.id for rule in RULES.values() if rule.found_by in ("decoder", "engine")}
    assert all(ANOMALY_CODES[code] == RULES[code].broken for code in ANOMALY_CODES)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_checked(rule: str) -> None:
    # Either it is named where it is found, or the tables name it and the checks of streams read them.
    assert f'"{rule}"' in sources() + (PACKAGE / "protocol" / "state.py").read_text()
