"""Environments with packages that the development environment does not have: made when a test needs them, kept in pytest's cache.

What cannot be installed in time is a reason to skip a test, not to fail it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pytest

INSTALL_TIMEOUT: Final = 180.0
"""Seconds to install packages. It usually takes 20."""
_RETRY_AFTER: Final = 600.0  # seconds; the next test worker need not wait for what has just failed


class NotInstalledError(Exception):
    """The packages cannot be installed here. The message says why."""


def python_with(config: pytest.Config, *packages: str) -> str:
    """Return the interpreter of an environment with Python packages. Raises ``NotInstalledError``."""

    def install(place: Path) -> None:
        make_python(place, *packages)

    return str(_place(config, "python", packages, install) / "bin" / "python")


def make_python(place: Path, *packages: str) -> None:
    """Make an environment with Python packages in a folder. Raises ``NotInstalledError``."""
    venv.create(place, clear=True)
    python = str(place / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", "--no-compile", "--progress-bar", "off", *packages], packages)


def node_with(config: pytest.Config, *packages: str) -> Path:
    """Return a folder with packages of npm in its ``node_modules``. Raises ``NotInstalledError``."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NotInstalledError("node and npm are not installed")

    def install(place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "package.json").write_text('{"private": true}', encoding="utf-8")
        _run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *packages],
            packages,
            cwd=place,
        )

    return _place(config, "node", packages, install)


def _place(config: pytest.Config, kind: str, packages: tuple[str, ...], install: Callable[[Path], None]) -> Path:
    """Return the folder of an environment. Of the workers of pytest, one makes it."""
    if sys.platform == "win32":
        raise NotInstalledError("environments are made on POSIX only")
    if not config.pluginmanager.has_plugin("cacheprovider"):
        raise NotInstalledError("pytest runs without its cache, where environments are kept")
    name = "-".join("".join(letter if letter.isalnum() else "_" for letter in package) for package in packages)
    folder = Path(config.cache.mkdir(f"{kind}-{name}"))
    ready, failed, place = folder / "ready", folder / "failed.json", folder / "environment"
    with _lock(folder / "lock"):
        if ready.exists():
            return place
        if failed.exists() and time.time() - failed.stat().st_mtime < _RETRY_AFTER:
            raise NotInstalledError(json.loads(failed.read_text(encoding="utf-8")))
        try:
            install(place)
        except NotInstalledError as error:
            failed.write_text(json.dumps(str(error)), encoding="utf-8")
            raise
        ready.touch()
    return place


@contextlib.contextmanager
def _lock(path: Path) -> Generator[None]:
    if sys.platform == "win32":
        raise AssertionError
    import fcntl  # noqa: PLC0415 - exists on POSIX only

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], packages: tuple[str, ...], cwd: Path | None = None) -> None:
    names = " ".join(packages)
    try:
        done = subprocess.run(  # noqa: S603 - package managers, with names from the tests
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False, cwd=cwd
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{names} was not installed within {INSTALL_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise NotInstalledError(f"{names} cannot be installed: {done.stderr.strip()[-200:]}")
