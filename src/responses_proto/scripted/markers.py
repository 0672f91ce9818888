"""Read markers: text in square brackets that asks for rare behaviour, such as ``[refuse]``, ``[error 429 5]`` or ``[slow 0.5]``.

Only markers in the last user message count. Names are lower case. Brackets that match no row of the table are ordinary text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MARKERS", "Marker", "read_markers"]

_SECONDS: Final = r"\d{1,4}(?:\.\d{1,3})?"


@attrs.frozen
class Marker:
    """One kind of marker."""

    name: str
    arguments: str
    """The syntax of the arguments after the name, for documentation."""
    pattern: str
    """The arguments as a regular expression."""
    effect: str
    """The effect of the marker, for documentation."""


# fmt: off
MARKERS: Final = (
    Marker("error",      "STATUS [SECONDS]", rf"[45]\d\d(?: {_SECONDS})?", "an HTTP error instead of a response; `SECONDS` go into `Retry-After` (default: 1 for 429 and 503)"),
    Marker("fail",       "[CODE]",           r"(?:\w{1,64})?",             "the response fails in the middle of a message, with this code (default: `server_error`)"),
    Marker("incomplete", "[REASON]",         r"(?:\w{1,64})?",             "the response ends in the middle of a message, for this reason (default: `max_output_tokens`)"),
    Marker("refuse",     "",                 r"",                          "a refusal"),
    Marker("wait",       "SECONDS",          _SECONDS,                     "a pause before the first output"),
    Marker("slow",       "[SECONDS]",        rf"(?:{_SECONDS})?",          "a pause between two words (default: 0.2)"),
    Marker("long",       "WORDS",            r"\d{1,5}",                   "a text of this many words"),
    Marker("think",      "WORDS",            r"\d{1,5}",                   "a reasoning item of this many words before the answer"),
    Marker("calls",      "NUMBER",           r"\d{1,2}",                   "this many function calls in one response, if the request allows parallel calls"),
    Marker("answer",     "",                 r"",                          "a text, even if tools are offered"),
    Marker("commentary", "",                 r"",                          "a message with the phase `commentary` before the answer, whose phase is `final_answer`"),
    Marker("cite",       "",                 r"",                          "a citation attached to the text"),
    Marker("context",    "",                 r"",                          "the context that the model received: instructions, earlier items and input, one per line"),
)
# fmt: on
"""Every marker."""

_BY_NAME: Final = {marker.name: marker for marker in MARKERS}
_BRACKETS: Final = re.compile(r"\[([a-z]+)(?: ([^\[\]]*))?\] ?")


def read_markers(text: str) -> tuple[str, Mapping[str, str]]:
    """Return the text without its markers, and the arguments of each marker by name.

    Arguments are the text after the name, which may be empty. If a marker occurs twice, the last one counts.
    """
    found: dict[str, str] = {}

    def remove(match: re.Match[str]) -> str:
        marker, arguments = _BY_NAME.get(match[1]), match[2] or ""
        if marker is None or not re.fullmatch(marker.pattern, arguments):
            return match[0]
        found[marker.name] = arguments
        return ""

    plain = _BRACKETS.sub(remove, text)
    return (plain.strip(), found) if found else (text, found)
