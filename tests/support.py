"""What all tests share: event loops to run on, bounds for waiting, and the files outside of the repository."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from responses_proto import Timeouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

_SHARED = Path(__file__).resolve().parents[2] / "shared"

PATIENCE: Final = 60.0
"""Seconds to wait for something that must happen. Only a test that hangs reaches it, however loaded the machine is."""

UNHURRIED: Final = Timeouts(connect=None)
"""For a client that begins a thousand streams at once: on a busy machine, that takes its event loop longer than a connection may take."""

NO_SHARED = "../shared, with the facts and recordings, does not exist"
"""The reason for which a test is skipped."""

both_loops = pytest.mark.parametrize("backend", ["asyncio", "trio"])
"""For a test that passes its parameter ``backend`` to :func:`run`."""


def shared(*parts: str) -> Path:
    """Return a path below ``../shared``, whether it exists or not."""
    return _SHARED.joinpath(*parts)


def pytest_in(folder: Path, *arguments: str, plugins: Sequence[str] = (), **env: str) -> str:
    """Run pytest in a folder, with this package's plugin and the modules ``plugins``. Return its output.

    Its environment has no settings of the pytest that runs now: options, and the worker of pytest-xdist that this may be.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    chosen = [f"-p{name}" for name in ("responses_proto.testing.plugin", "no:cacheprovider", *plugins)]
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-m", "pytest", *chosen, *arguments],
        cwd=folder,
        # No autoloading: other plugins could interfere, and an installed package would load this one twice.
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * PATIENCE,
    )
    return done.stdout + done.stderr


needs_files = pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open files cannot be counted here")
"""For a test that calls :func:`open_files`."""


def open_files() -> int:
    """Count the open files of this process, which has both ends of each connection."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


@contextmanager
def no_gc() -> Generator[None]:
    """Keep the garbage collector away from what is timed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run(backend: str, test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine function on an event loop. Raise ``TimeoutError`` if it hangs."""

    async def bounded() -> None:
        with anyio.fail_after(5 * PATIENCE):
            await test()

    anyio.run(bounded, backend=backend)
