"""What a docstring says of parameters, in the three ways that are common: sections of Google's and NumPy's, fields of Sphinx'.

Only what is said of parameters is taken, and the text before the first section. Anything else is for people.
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
_OF_PARAMETERS: Final = frozenset(_SECTIONS[:7])
_HEAD: Final = re.compile(rf"({'|'.join(_SECTIONS)}):?\s*", re.IGNORECASE)
_UNDERLINE: Final = re.compile(r"[-=]{3,}\s*")
_FIELD: Final = re.compile(r":(\w+)([^:]*):\s*(.*)")
_FIELDS_OF_PARAMETERS: Final = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
# An entry of a section: its name, its type, what is said of it on the same line (which NumPy's never does).
_GOOGLE: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY: Final = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?()")


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Give the description, without the sections, and what is said of each parameter, in one line each."""
    lines = inspect.cleandoc(text).splitlines()
    described: dict[str, str] = {}
    before = len(lines)
    at = 0
    while at < len(lines):
        start = at
        head = _HEAD.fullmatch(lines[at])
        if head and _underlined(lines, at):
            at += 2
            body = _until(lines, at, lambda _: False)
            if head[1].lower() in _OF_PARAMETERS:
                described |= _entries(lines[at:body], _NUMPY)
        elif head and lines[at].rstrip().endswith(":"):
            at += 1
            body = _until(lines, at, lambda line: line[:1].strip() != "")
            if head[1].lower() in _OF_PARAMETERS:
                described |= _entries(lines[at:body], _GOOGLE)
        elif field := _FIELD.fullmatch(lines[at]):
            at += 1
            body = _until(lines, at, lambda line: not line.startswith(" "))
            names = field[2].split()
            if field[1] in _FIELDS_OF_PARAMETERS and names:
                described[names[-1].lstrip("*")] = _joined([field[3], *lines[at:body]])
        else:
            at += 1
            continue
        before, at = min(before, start), body
    return "\n".join(lines[:before]).strip(), described


def _until(lines: list[str], at: int, ends: Callable[[str], bool]) -> int:
    while at < len(lines) and not ends(lines[at]) and not _begins(lines, at):
        at += 1
    return at


def _begins(lines: list[str], at: int) -> bool:
    """Tell whether a section of NumPy's, or a field, begins at a line."""
    return bool((_underlined(lines, at) and _HEAD.fullmatch(lines[at])) or _FIELD.fullmatch(lines[at]))


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
    return {name: _joined(said) for name, said in described.items()}


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
