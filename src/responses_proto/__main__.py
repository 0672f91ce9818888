"""The command ``responses-proto``, also available as ``python -m responses_proto``. Requires the extra ``cli``."""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line. Return the exit status."""
    try:
        # Imported here first, so that a missing extra is reported in one line.
        for name in ("typer", "rich"):
            importlib.import_module(name)
    except ImportError as error:
        sys.stderr.write(f"error: the command line needs {error.name}: pip install 'responses-proto[cli,server]'\n")
        return 1
    from .cli import run  # noqa: PLC0415 - needs the packages that are checked above

    return run()


if __name__ == "__main__":
    sys.exit(main())
