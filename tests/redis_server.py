"""A Redis server for tests: the one on the path, or the one that ``make test-redis`` has installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pytest
from tests.support import PATIENCE

if TYPE_CHECKING:
    from types import TracebackType

PROGRAM: Final = shutil.which("redis-server")

needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed: make test-redis")


class RedisServer:
    """A Redis server with an append-only file, on a socket in a folder of its own. Leaving the block ends it."""

    def __init__(self) -> None:
        # The path of a Unix socket must be short, unlike that of pytest's folder.
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._socket = Path(self._folder.name, "socket")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Start it, with what was written before it was stopped."""
        assert PROGRAM is not None
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "dir": self._folder.name,
            "appendonly": "yes",
            "save": "",
            "logfile": "log",
        }
        command = [PROGRAM, *(part for name, value in options.items() for part in (f"--{name}", value))]
        self._process = subprocess.Popen(command)  # noqa: S603 - the program under test
        end = time.monotonic() + PATIENCE
        while not self._socket.exists():
            assert time.monotonic() < end, "redis-server does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it. What it has confirmed is in its file."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._socket.unlink()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()
