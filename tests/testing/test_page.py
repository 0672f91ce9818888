"""The page on testing: its code runs, and its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support import pytest_in

from responses_proto.testing import FAULTS

DOCS: Final = Path(__file__).parents[2] / "docs"


def page_in(folder: Path, *arguments: str) -> str:
    """Run pytest in a folder with the plugins that the page uses. Return its output."""
    plugins = ["anyio.pytest_plugin", "inline_snapshot.pytest_plugin"]
    return pytest_in(folder, "-q", "-ra", "-W", "error", *arguments, plugins=plugins)


def test_the_code_of_the_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "testing.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks))
    said = page_in(tmp_path)
    tests = len(re.findall(r"^(?:async )?def test_", "\n".join(blocks), re.MULTILINE))
    assert tests == 12
    passed = re.search(r"(\d+) passed", said)
    assert passed, said
    assert int(passed[1]) > tests + len([fault for fault in FAULTS.values() if not fault.fatal])
    assert not re.search(r"\d+ (failed|error)", said), said


def test_inline_snapshot_writes_what_it_then_compares(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        """
from inline_snapshot import snapshot
from responses_proto.testing import Answer

def test_it():
    events = Answer.text("Hi.").to_wire().events
    assert [event["type"] for event in events] == snapshot()
    assert events[4] == snapshot()
"""
    )
    page_in(tmp_path, "--inline-snapshot=create")
    written = test.read_text()
    assert "'delta': 'Hi.'" in written
    assert "1 passed" in page_in(tmp_path)
    test.write_text(written.replace("'delta': 'Hi.'", "'delta': 'Ho.'"))
    assert "1 failed" in page_in(tmp_path)


def test_the_tables_of_faults_and_dialects_are_those_of_the_code() -> None:
    written = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, DOCS / "faults.py"], capture_output=True, text=True, check=True, timeout=60
    )
    assert (DOCS / "faults.md").read_text() == written.stdout, "run: python docs/faults.py > docs/faults.md"
    assert [name for name in FAULTS if f"`{name}`" not in written.stdout] == []
