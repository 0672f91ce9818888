"""Reads docstrings: the descriptions of parameters in Google and NumPy sections and Sphinx fields, and the rest.

Everything else is for the model: the summary, paragraphs in any position, and the other sections, such as returns, raises,
notes and examples. Only the types in a Sphinx docstring (``:type x: int``) are left out.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PARAMETER_SECTIONS: Final = (
    "args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters", "attributes",
)  # fmt: skip
_HEADING: Final = re.compile(rf"({'|'.join(_PARAMETER_SECTIONS)}):?\s*", re.IGNORECASE)
_UNDERLINE: Final = re.compile(r"[-=]{3,}\s*")
_FIELD: Final = re.compile(r":(\w+)([^:]*):\s*(.*)")
_PARAMETER_FIELDS: Final = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
_TYPE_FIELDS: Final = frozenset({"type", "rtype"})
# An entry of a section. Group 1 is the parameter, group 2 the description on the same line, which NumPy style does not
# have.
_GOOGLE: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY: Final = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?()")


@functools.lru_cache(maxsize=64)  # a tool reads its docstring twice: for the description and for the parameters
def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the text without the descriptions of parameters, and the description of each parameter on one line."""
    lines = inspect.cleandoc(text).splitlines()
    described: dict[str, str] = {}
    rest: list[str] = []
    at = 0
    while at < len(lines):
        heading = _HEADING.fullmatch(lines[at])
        if heading and _underlined(lines, at):
            at, start = _until(lines, at + 2, _ends_numpy), at + 2
            rest += _read_entries(lines[start:at], _NUMPY, described)
        elif heading and lines[at].rstrip().endswith(":"):
            at, start = _until(lines, at + 1, lambda lines, at: lines[at][:1].strip() != ""), at + 1
            rest += _read_entries(lines[start:at], _GOOGLE, described)
        elif (field := _FIELD.fullmatch(lines[at])) and field[1] in _PARAMETER_FIELDS | _TYPE_FIELDS:
            at, start = _until(lines, at + 1, lambda lines, at: not lines[at].startswith(" ")), at + 1
            names = field[2].split()
            if field[1] in _PARAMETER_FIELDS and names:
                described[names[-1].lstrip("*")] = _joined([field[3], *lines[start:at]])
        else:
            rest.append(lines[at])
            at += 1
            continue
        if at < len(lines) and rest and rest[-1].strip() and lines[at].strip():
            rest.append("")  # keeps the text before and after the parameters apart
    return re.sub(r"\n{3,}", "\n\n", "\n".join(rest)).strip(), described


def _until(lines: list[str], at: int, ends: Callable[[list[str], int], bool]) -> int:
    """Return the index where the section at ``at`` ends: by ``ends``, or because another section begins."""
    while at < len(lines) and not ends(lines, at) and not _begins(lines, at):
        at += 1
    return at


def _ends_numpy(lines: list[str], at: int) -> bool:
    """Return whether a paragraph begins at a line: one after a blank line, and without an indented description."""
    is_indented = lines[at].startswith(" ")
    has_description = at + 1 < len(lines) and lines[at + 1].startswith(" ")
    return bool(lines[at].strip()) and not lines[at - 1].strip() and not is_indented and not has_description


def _begins(lines: list[str], at: int) -> bool:
    """Return whether a NumPy section or a Sphinx field begins at a line."""
    return bool(_underlined(lines, at) or _FIELD.fullmatch(lines[at]))


def _underlined(lines: list[str], at: int) -> bool:
    return at + 1 < len(lines) and lines[at].strip() != "" and _UNDERLINE.fullmatch(lines[at + 1]) is not None


def _read_entries(lines: list[str], entry: re.Pattern[str], described: dict[str, str]) -> list[str]:
    """Add the parameters in a section to ``described``. Return the lines before the first one."""
    before: list[str] = []
    texts: dict[str, list[str]] = {}
    last = before
    for line in textwrap.dedent("\n".join(lines)).splitlines():
        if line[:1].strip() and (found := entry.fullmatch(line.rstrip())):
            last = texts[found[1]] = [found[2]]
        else:
            last.append(line)
    described |= {name: _joined(text) for name, text in texts.items()}
    return before


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
