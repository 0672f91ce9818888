"""What a user message can ask of the scripted model in brackets: ``[refuse]``, ``[error 429 5]``, ``[slow 0.5]``.

A marker counts in the last user message only. It is written in small letters, and what stands in brackets but fits no row of
the table is text like any other.
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
    """Something that can be asked for."""

    name: str
    arguments: str
    """What may stand behind the name, for people."""
    pattern: str
    """The same as a regular expression."""
    effect: str
    """What comes of it."""


# fmt: off
MARKERS: Final = (
    Marker("error",      "STATUS [SECONDS]", rf"[45]\d\d(?: {_SECONDS})?", "an HTTP error instead of a response; `Retry-After` gives the seconds (1 for 429 and 503)"),
    Marker("fail",       "[CODE]",           r"(?:\w{1,64})?",             "the response fails in the middle of a message, with this code (`server_error`)"),
    Marker("incomplete", "[REASON]",         r"(?:\w{1,64})?",             "the response stops in the middle of a message, for this reason (`max_output_tokens`)"),
    Marker("refuse",     "",                 r"",                          "a refusal"),
    Marker("wait",       "SECONDS",          _SECONDS,                     "nothing happens for so long before the response begins"),
    Marker("slow",       "[SECONDS]",        rf"(?:{_SECONDS})?",          "so much time between two words (0.2)"),
    Marker("long",       "WORDS",            r"\d{1,5}",                   "a text of so many words"),
    Marker("calls",      "NUMBER",           r"\d{1,2}",                   "so many function calls in one response, if it may make several"),
    Marker("answer",     "",                 r"",                          "words, though tools are offered"),
    Marker("commentary", "",                 r"",                          "a message with the phase `commentary` first; the answer has `final_answer`"),
    Marker("cite",       "",                 r"",                          "a citation attached to the text"),
    Marker("context",    "",                 r"",                          "what the model was given: instructions, earlier items and input, a line each"),
)
# fmt: on
"""Every marker."""

_BY_NAME: Final = {marker.name: marker for marker in MARKERS}
_BRACKETS: Final = re.compile(r"\[([a-z]+)(?: ([^\[\]]*))?\] ?")


def read_markers(text: str) -> tuple[str, Mapping[str, str]]:
    """Take the markers out of a text. Give what is left, and for each marker what stood behind its name, maybe nothing."""
    found: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        marker, values = _BY_NAME.get(match[1]), match[2] or ""
        if marker is None or not re.fullmatch(marker.pattern, values):
            return match[0]
        found[marker.name] = values
        return ""

    plain = _BRACKETS.sub(take, text)
    return (plain.strip(), found) if found else (text, found)
