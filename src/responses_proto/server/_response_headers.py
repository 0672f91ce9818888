"""Validation of the response headers that a handler sets."""

from __future__ import annotations

import re
from typing import Final

from ..exceptions import UsageError

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1
HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")

_OF_THE_SERVER: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)


def checked_header_name(name: str) -> str:
    """Return a header name in lower case. Raises ``UsageError`` if it is invalid, or if the server sets the header itself."""
    if not HEADER_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of a header: expected letters, digits and hyphens")
    if name.lower() in _OF_THE_SERVER:
        raise UsageError(f"the header {name!r} is set by the server: a handler can set others")
    return name.lower()


def checked_header_value(name: str, value: str) -> str:
    """Return the value of the header ``name`` without surrounding whitespace. Raises ``UsageError`` if it is invalid."""
    if not HEADER_VALUE.fullmatch(value):
        raise UsageError(f"the value of the header {name!r} must be printable ASCII, got {value!r}")
    return value.strip()
