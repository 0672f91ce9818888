"""The servers that clients are tried against, as users start them: ``responses-proto serve``, a process of its own.

The scripted server, and the bridge in front of a provider with the scripted model behind it: what works with one works with the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.scripted_provider import scripted_provider
from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Generator

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("RESPONSES_", "OPENAI_", "HF_", "MODEL")) and "proxy" not in name.lower()
}


@contextmanager
def served(*arguments: str) -> Generator[str]:
    """Serve the scripted model on a free port during the block. Yield the base URL."""
    with _process("--delay", "0", *arguments) as url:
        yield url


@contextmanager
def bridged(*arguments: str, dialect: str = "openai") -> Generator[str]:
    """Serve a bridge on a free port during the block. Yield the base URL."""
    with scripted_provider(dialect) as upstream, _process("--upstream", upstream, *arguments) as url:
        yield url


both_servers = pytest.fixture(scope="module", params=[served, bridged], ids=["scripted", "bridge"])
"""For a fixture that yields what ``request.param()`` serves: its tests run against both servers."""


@contextmanager
def _process(*arguments: str) -> Generator[str]:
    # SIGTERM must end the process.
    command = [sys.executable, "-m", "responses_proto", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=CLEAN) as process:  # noqa: S603 - this very program
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" on ", 1)[1].split()[0]
            assert process.poll() is None
            process.terminate()
            assert process.wait(timeout=PATIENCE) == 143
        finally:
            process.kill()
