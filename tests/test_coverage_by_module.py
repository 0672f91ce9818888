"""The script that measures each module by its own tests. The full measurement takes too long to be a test."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.coverage_by_module import ROOT, TESTED_BY, measured, where_tested


@pytest.mark.parametrize("module", measured())
def test_every_module_that_never_awaits_has_a_test_file(module: str) -> None:
    assert where_tested(module).exists()


def test_the_table_has_only_existing_modules_that_need_an_entry() -> None:
    assert set(TESTED_BY) <= set(measured())
    for module, test in TESTED_BY.items():
        assert not where_tested(module).name.endswith(f"{module.rpartition('/')[2].lstrip('_')}.py"), test


def test_a_module_is_measured_by_its_tests() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.coverage_by_module", "typing", "limits"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "2 of 2 modules are covered by their own tests\n", done.stdout + done.stderr
