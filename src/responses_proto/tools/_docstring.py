"""Reads the descriptions of parameters in a docstring: Google and NumPy sections, and Sphinx fields.

Other sections (returns, raises, examples) are for human readers; they are left out of the description that the model
gets.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_docstring"]

_SECTIONS: Final = (
    "args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters", "attributes",
    "returns", "return", "yields", "yield", "raises", "raise", "except", "exceptions", "warns", "warnings",
    "example", "examples", "note", "notes", "see also", "references", "todo",
)  # fmt: skip
_PARAMETER_SECTIONS: Final = frozenset(_SECTIONS[:7])
_HEADING: Final = re.compile(rf"({'|'.join(_SECTIONS)}):?\s*", re.IGNORECASE)
_UNDERLINE: Final = re.compile(r"[-=]{3,}\s*")
_FIELD: Final = re.compile(r":(\w+)([^:]*):\s*(.*)")
_PARAMETER_FIELDS: Final = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
# An entry of a section. Group 1 is the parameter, group 2 the description on the same line, which NumPy style does not
# have.
_GOOGLE: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY: Final = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?()")


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the description without the sections, and the description of each parameter on one line."""
    lines = inspect.cleandoc(text).splitlines()
    described: dict[str, str] = {}
    description_end = len(lines)
    at = 0
    while at < len(lines):
        start = at
        heading = _HEADING.fullmatch(lines[at])
        if heading and _underlined(lines, at):
            at += 2
            end = _until(lines, at, lambda _: False)
            if heading[1].lower() in _PARAMETER_SECTIONS:
                described |= _entries(lines[at:end], _NUMPY)
        elif heading and lines[at].rstrip().endswith(":"):
            at += 1
            end = _until(lines, at, lambda line: line[:1].strip() != "")
            if heading[1].lower() in _PARAMETER_SECTIONS:
                described |= _entries(lines[at:end], _GOOGLE)
        elif field := _FIELD.fullmatch(lines[at]):
            at += 1
            end = _until(lines, at, lambda line: not line.startswith(" "))
            names = field[2].split()
            if field[1] in _PARAMETER_FIELDS and names:
                described[names[-1].lstrip("*")] = _joined([field[3], *lines[at:end]])
        else:
            at += 1
            continue
        description_end, at = min(description_end, start), end
    return "\n".join(lines[:description_end]).strip(), described


def _until(lines: list[str], at: int, ends: Callable[[str], bool]) -> int:
    """Return the index where the section at ``at`` ends: by ``ends``, or because another one begins."""
    while at < len(lines) and not ends(lines[at]) and not _begins(lines, at):
        at += 1
    return at


def _begins(lines: list[str], at: int) -> bool:
    """Return whether a NumPy section or a Sphinx field begins at a line."""
    return bool((_underlined(lines, at) and _HEADING.fullmatch(lines[at])) or _FIELD.fullmatch(lines[at]))


def _underlined(lines: list[str], at: int) -> bool:
    return at + 1 < len(lines) and _UNDERLINE.fullmatch(lines[at + 1]) is not None


def _entries(lines: list[str], entry: re.Pattern[str]) -> dict[str, str]:
    described: dict[str, list[str]] = {}
    last: list[str] = []
    for line in textwrap.dedent("\n".join(lines)).splitlines():
        if line[:1].strip() and (found := entry.fullmatch(line.rstrip())):
            last = described[found[1]] = [found[2]]
        else:
            last.append(line)
    return {name: _joined(text) for name, text in described.items()}


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
