"""What the documentation draws is what the code has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_drawn_life_of_a_response_is_the_one_in_the_tables() -> None:
    drawn = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, DOCS / "diagram.py"], capture_output=True, text=True, check=True, timeout=60
    )
    assert (DOCS / "life.md").read_text() == drawn.stdout, "run: python docs/diagram.py > docs/life.md"
