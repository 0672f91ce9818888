"""Measure the branches of each module that its own test file covers: ``python -m tests.coverage_by_module [module ...]``, or ``make coverage``.

Each test file runs in a separate process, so that no other test contributes. Only the modules that never await are measured
(see CONTRIBUTING.md, The folders). If a module is below 100 %, the script lists the missing lines and branches and exits with 1.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from tests.test_layers import PACKAGE, modules, never_awaits

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = ROOT / "tests"

# Modules that are tested by a file of another name, or by all files of a folder: parts of a larger module, and modules that only export names.
TESTED_BY: Final = {
    "chat/__init__": "test_init.py",
    "chat/_calls": "chat/test_decoder.py",
    "chat/_facts": "chat/test_decoder.py",
    "chat/_messages": "chat/test_translation.py",
    "chat/_rows": "chat/test_translation.py",
    "chat/_think": "chat/test_decoder.py",
    "chat/_tools": "chat/test_translation.py",
    "_lazy": "test_init.py",
    "_version": "test_init.py",
    "codec/__init__": "codec/test_converter.py",
    "models/__init__": "models/test_parity.py",
    "protocol/__init__": "test_init.py",
    "protocol/_final_output": "protocol/test_nothing_is_lost.py",
    "protocol/_items": "protocol/test_identity.py",
    "protocol/_sizes": "protocol/test_bounds.py",
    "protocol/websocket/__init__": "protocol/websocket/test_both_ends.py",
    "schema/__init__": "test_init.py",
    "schema/_planner": "schema",
    "schema/_pydantic": "schema",
    "schema/_shapes": "schema",
    "scripted/__init__": "test_init.py",
    "scripted/_steps": "scripted/test_plan.py",
}


def where_tested(module: str) -> Path:
    """Return the test file of a module: ``codec/_load`` has ``tests/codec/test_load.py``."""
    folder, _, name = module.rpartition("/")
    return TESTS / TESTED_BY.get(module, f"{folder}/test_{name.removeprefix('_')}.py".lstrip("/"))


def measured() -> list[str]:
    """Return the modules that must be covered."""
    return [name for name, _ in modules() if never_awaits(name)]


def run(test: Path, folder: Path) -> dict[str, Any]:
    """Run one test file and return its coverage by file. Raises ``RuntimeError`` if a test fails."""
    data, report = folder / f"{test.stem}.data", folder / f"{test.stem}.json"
    env = {**os.environ, "COVERAGE_FILE": str(data)}
    coverage = [sys.executable, "-m", "coverage"]
    tests = [
        *coverage,
        "run",
        "--branch",
        f"--source={PACKAGE}",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(test),
    ]
    for command in (tests, [*coverage, "json", "--quiet", "-o", str(report)]):
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=900)  # noqa: S603 - our own tools
        if done.returncode:
            raise RuntimeError(f"{test.relative_to(ROOT)} fails:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(report.read_text())["files"]
    return {str((ROOT / path).resolve()): result for path, result in found.items()}


def main() -> int:
    """Measure the coverage and print what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules", nargs="*", help="paths below the package, such as protocol/sse or codec/_load; default: all modules"
    )
    chosen = parser.parse_args().modules or measured()
    by_test: defaultdict[Path, list[str]] = defaultdict(list)
    for module in chosen:
        by_test[where_tested(module)].append(module)
    missing = 0
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {test: pool.submit(run, test, Path(scratch)) for test in by_test}
        for test, tested in by_test.items():
            reached = runs[test].result()
            for module in tested:
                result = reached[str((PACKAGE / f"{module}.py").resolve())]
                percent = result["summary"]["percent_covered"]
                if percent < 100:
                    missing += 1
                    lines, branches = result["missing_lines"], [tuple(pair) for pair in result["missing_branches"]]
                    missed = f"{module} by {test.relative_to(TESTS)}: lines {lines}, branches {branches}"
                    print(f"{percent:6.2f} %  {missed}")  # noqa: T201 - a script that prints
    print(f"{len(chosen) - missing} of {len(chosen)} modules are covered by their own tests")  # noqa: T201 - as above
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
