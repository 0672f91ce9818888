"""The command ``responses-proto``, also ``python -m responses_proto``. Needs the extra ``cli``."""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; give the exit status."""
    try:
        # Asked for here, so that the absence of the extra is told in one line.
        for name in ("typer", "rich"):
            importlib.import_module(name)
    except ImportError as error:
        sys.stderr.write(f"error: the command line needs {error.name}: pip install 'responses-proto[cli,server]'\n")
        return 1
    from .cli import run  # noqa: PLC0415 - needs what was checked above

    return run()


if __name__ == "__main__":
    sys.exit(main())
