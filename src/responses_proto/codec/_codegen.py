"""Compile generated functions, with their source visible in tracebacks."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def compile_function(name: str, lines: Iterable[str], namespace: dict[str, Any], *, label: str) -> Any:
    """Compile the definition of the function ``name`` and return the function.

    ``namespace`` becomes the function's globals. ``label`` identifies the function in tracebacks: the source is registered
    with :mod:`linecache` under a file name made from it.
    """
    source = "\n".join(lines) + "\n"
    exec(compile(source, _register(source, label), "exec"), namespace)  # noqa: S102 - made of field names and literals only
    return namespace[name]


def _register(source: str, label: str) -> str:
    # An entry without a modification time is never looked for on disk. Converters share the entry of equal sources.
    entry = (len(source), None, source.splitlines(keepends=True), "")
    number = 1
    while True:
        filename = f"<responses_proto {label}>" if number == 1 else f"<responses_proto {label} {number}>"
        if linecache.cache.setdefault(filename, entry) == entry:
            return filename
        number += 1
