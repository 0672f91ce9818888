"""Build the wheel, install it into an environment of its own, and use it there, away from ``src``: ``python -m tests.wheel``.

Needs the package index. With the names of extras as arguments, each is installed alone, after the core: ``python -m tests.wheel ws mcp``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = ("responses_proto/py.typed", "responses_proto/cli/ui.html", "responses_proto/__init__.py")

CORE = """
import importlib, pathlib, sys
import responses_proto
assert "site-packages" in responses_proto.__file__, responses_proto.__file__
for folder in ("client", "tools", "schema", "models", "codec", "protocol", "scripted", "exceptions", "providers"):
    module = importlib.import_module(f"responses_proto.{folder}")
    for name in module.__all__:
        try:
            getattr(module, name)
        except ImportError as error:
            assert "pip install 'responses-proto[" in str(error), error
"""
# What each extra makes possible.
EXTRAS = {
    "server": "from responses_proto.server import ResponsesApp, serving\nfrom responses_proto.scripted import Scripted\n"
    "with serving(ResponsesApp(Scripted())) as url: print(url)",
    "cli": "from responses_proto.cli import app",
    "testing": "from responses_proto.testing import strategies; strategies.streams()",
    "otel": "from responses_proto.client.otel import otel_hooks; otel_hooks()",
    "mcp": "from responses_proto.tools.mcp import McpServer; McpServer.stdio('true')",
    "ws": "import httpx_ws",
    "speed": "from responses_proto.codec import ORJSON, default_backend; assert default_backend() is ORJSON",
}


def main() -> None:
    """Build, look into the wheel, install and use it."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        missing = [name for name in NEEDED if name not in names]
        extra = [name for name in names if not name.startswith("responses_proto")]
        assert (missing, extra) == ([], []), (missing, extra)
        environment = Path(folder, "venv")
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        run(python, "-m", "pip", "install", "--quiet", wheel)
        run(python, "-c", CORE, cwd=folder)
        for name in sys.argv[1:] or EXTRAS:
            run(python, "-m", "pip", "install", "--quiet", f"{wheel}[{name}]")
            run(python, "-c", EXTRAS[name], cwd=folder)
            sys.stdout.write(f"{name}: works\n")
        if not sys.argv[1:]:
            run(python, "-m", "responses_proto", "demo", cwd=folder)


def run(*command: str | Path, cwd: str | None = None) -> None:
    """Run a command, which must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, cwd=cwd, env=environment)  # noqa: S603 - the commands above


if __name__ == "__main__":
    main()
