"""The stubs in `typings/` agree with the packages that they describe.

They have only the names that this project uses, so that strict type checking needs the core install alone. What they omit
(a parameter, or that it may be passed by position) cannot make a wrong check pass.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TYPINGS = Path(__file__).parents[1] / "typings"
LEFT_OUT = ("stub does not have parameter", "stub does not have argument", "is not keyword-only")


@pytest.mark.parametrize("package", sorted(path.name for path in TYPINGS.iterdir()))
def test_stubs_are_true(package: str, tmp_path: Path) -> None:
    for needed in (package, "mypy"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    done = subprocess.run(  # noqa: S603 - our own tools
        [sys.executable, "-m", "mypy.stubtest", package, "--concise", "--ignore-missing-stub"],
        cwd=tmp_path,  # away from this project's configuration of mypy
        env=os.environ | {"MYPYPATH": str(TYPINGS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    findings = [line for line in done.stdout.splitlines() if line.startswith(f"{package}.")]
    assert findings or done.returncode == 0, done.stdout + done.stderr
    assert [line for line in findings if not any(allowed in line for allowed in LEFT_OUT)] == []
