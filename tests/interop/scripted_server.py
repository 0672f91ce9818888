"""The scripted server as its users start it: ``responses-proto serve``, a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
    """Serve on a free port during the block. Yield the base URL. SIGTERM must end the process."""
    command = [sys.executable, "-m", "responses_proto", "serve", "--port", "0", "--delay", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=CLEAN) as process:  # noqa: S603 - this very program
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" on ", 1)[1].split()[0]
            assert process.poll() is None
            process.terminate()
            assert process.wait(timeout=PATIENCE) == 143
        finally:
            process.kill()
