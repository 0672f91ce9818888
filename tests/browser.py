"""A headless Chromium, driven over its debugging protocol. Tests that need it are skipped where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support import PATIENCE
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Page:
    """A page of the browser."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._commands = 0

    def call(self, method: str, **params: object) -> Any:
        """Send a command of the debugging protocol, and return its result."""
        self._commands += 1
        self._connection.send(json.dumps({"id": self._commands, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(PATIENCE))
            if message.get("id") == self._commands:
                assert "error" not in message, message
                return message["result"]

    def run(self, script: str) -> Any:
        """Run JavaScript in the page, and return the value of the expression."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        end = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < end, self.run("document.body.innerText")
            time.sleep(0.05)
        return value


@contextmanager
def page_at(url: str, folder: Path) -> Generator[Page]:
    """Open a page in a browser with a profile in ``folder``."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium")
    arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
    ]
    with subprocess.Popen([program, *arguments, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - found above
        try:
            port_file = folder / "DevToolsActivePort"
            end = time.monotonic() + PATIENCE
            while not port_file.exists() or not port_file.read_text():
                assert time.monotonic() < end
                time.sleep(0.05)
            address = f"http://127.0.0.1:{port_file.read_text().split()[0]}/json/list"
            targets = httpx.get(address, timeout=PATIENCE, trust_env=False).json()
            target = next(one for one in targets if one["type"] == "page")
            with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as connection:
                page = Page(connection)
                page.wait_for("document.readyState == 'complete' && location.protocol != 'about:'")
                yield page
        finally:
            process.terminate()
            process.wait(PATIENCE)
