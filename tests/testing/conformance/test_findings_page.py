"""The page of what providers send is the one that its command makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import NO_SHARED, PATIENCE, shared

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.skipif(not shared("corpus", "INDEX.json").exists(), reason=NO_SHARED)
def test_the_findings_of_providers_are_current() -> None:
    made = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, DOCS / "findings.py", shared()],
        capture_output=True,
        text=True,
        check=True,
        timeout=2 * PATIENCE,
    ).stdout
    page = (DOCS / "findings.md").read_text()
    if made.splitlines()[0] != page.splitlines()[0]:
        pytest.skip("the page was made of other recordings than those in ../shared")
    assert page == made, "run: python docs/findings.py ../shared > docs/findings.md"


def test_without_recordings_the_command_says_so(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, DOCS / "findings.py", tmp_path], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert "no recordings in" in done.stderr
