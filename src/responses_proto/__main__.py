"""Run the command ``responses-proto``, also as ``python -m responses_proto``. Needs the extra ``cli``."""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line and return its exit status."""
    try:
        return _run()
    except KeyboardInterrupt:
        return 130  # interrupted while modules were loaded; the commands handle interruptions themselves


def _run() -> int:
    try:
        # Imported first, so that a missing extra is reported in one line instead of a traceback.
        for name in ("typer", "rich"):
            importlib.import_module(name)
    except ImportError as error:
        sys.stderr.write(f"error: the command line needs {error.name}: pip install 'responses-proto[cli,server]'\n")
        return 1
    from .cli import run  # noqa: PLC0415 - imports typer and rich

    return run()


if __name__ == "__main__":
    sys.exit(main())
