"""Types are an API: the files beside this one go through two type checkers, and the package through pyright's audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from responses_proto.models import Event

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_BIN = Path(sys.executable).parent
FILES = sorted(str(path) for path in _HERE.glob("*.py") if path.name != Path(__file__).name)


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = _BIN / tool
    if not program.exists():
        pytest.skip(f"{tool} is not installed beside this Python")
    # The audit asks the first Python on the path where packages are.
    environment = os.environ | {"PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(_ROOT / "src")}
    command = [str(program), *arguments]
    return subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603 - our own tools


def test_pyright_accepts_and_refuses_what_it_should() -> None:
    done = run("pyright", "--pythonpath", sys.executable, *FILES)
    assert done.returncode == 0, done.stdout


def test_mypy_accepts_and_refuses_what_it_should() -> None:
    done = run("mypy", "--python-executable", sys.executable, *FILES)
    assert done.returncode == 0, done.stdout


def test_every_exported_type_is_known() -> None:
    done = run(
        "pyright",
        "--pythonpath",
        sys.executable,
        "--verifytypes",
        "responses_proto",
        "--ignoreexternal",
        "--outputjson",
    )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    assert len(symbols) > 1000
    incomplete = [symbol for symbol in symbols if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]]
    assert [reason for symbol in incomplete for reason in reasons(symbol)] == []


def reasons(symbol: dict[str, Any]) -> list[str]:
    """What is missing, without what is only made of something incomplete."""
    messages = [str(diagnostic["message"]) for diagnostic in symbol["diagnostics"]]
    return [f"{symbol['name']}: {message}" for message in messages if "partially unknown" not in message]


def test_the_exhaustive_match_has_every_event() -> None:
    text = (_HERE / "exhaustive.py").read_text(encoding="utf-8")
    assert [cls.__name__ for cls in get_args(Event) if f"case {cls.__name__}():" not in text] == []
