"""Print the lowest version of every dependency that the package declares: ``python -m tests.lowest``, or ``make test-lowest``.

The output is a constraints file for pip. It has the dependencies of the core and of all extras, and not the tools of the tests:
the lowest bounds are a promise to users, who install the package beside older versions of what it needs.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PYPROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"
_REQUIREMENT: Final = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?>=(?P<version>[\w.]+)")


def lowest(requirements: Iterable[str]) -> dict[str, str]:
    """Return the lowest version by name. Raise ``ValueError`` for a requirement that is not of the form ``name>=version``."""
    versions: dict[str, str] = {}
    for requirement in requirements:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"expected name>=version, got {requirement!r}")
        name, version = match["name"].lower(), match["version"]
        if versions.setdefault(name, version) != version:
            raise ValueError(f"{name} has two lower bounds: {versions[name]} and {version}")
    return versions


def declared() -> list[str]:
    """Return the requirements of the core and of all extras."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in sorted(lowest(declared()).items()))
