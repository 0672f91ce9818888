"""Check that every public name has a known type: ``python -m tests.verify_types``, a part of ``make check``.

``pyright --verifytypes`` reads an installed package, and does not follow an editable install. So it reads a copy of the package
on ``PYTHONPATH``. It looks for the dependencies in the first interpreter on ``PATH``, whatever ``--pythonpath`` is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "src" / "responses_proto"


def main() -> int:
    """Run pyright, print its report if a type is not known, and return its exit code."""
    scripts = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as site:
        shutil.copytree(PACKAGE, Path(site, PACKAGE.name), ignore=shutil.ignore_patterns("__pycache__"))
        path = os.pathsep.join((str(scripts), os.environ.get("PATH", os.defpath)))
        command = [str(scripts / "pyright"), "--verifytypes", PACKAGE.name, "--ignoreexternal"]
        environment = {**os.environ, "PATH": path, "PYTHONPATH": site}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own tools
    report = (done.stdout + done.stderr).strip()
    score = [line for line in report.splitlines() if line.startswith("Type completeness score")]
    print(report if done.returncode else "\n".join(score))  # noqa: T201 - a script that prints
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
