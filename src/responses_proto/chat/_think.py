"""Separate reasoning between tags from the text of an answer, wherever the deltas are cut.

Servers that do not separate the reasoning of open models send it as text: ``<think>Let me see.</think>The answer is 2.`` Only tags at
the start of an answer count, because an answer may also mention such tags. Whitespace after either tag is dropped; models use it only for
layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Piece: TypeAlias = tuple[Literal["reasoning", "text"], str]
"""The kind of a piece of text, and the text."""

_MAX_SPACE: Final = 64  # characters before a tag


class ThinkSplitter:
    """Splits the text of one answer into reasoning and text. Call :meth:`feed` with each delta, then :meth:`end`.

    ``tags`` are pairs of an opening and a closing tag. With ``is_open``, the answer begins inside the first pair.
    """

    def __init__(self, tags: Sequence[tuple[str, str]], *, is_open: bool = False) -> None:
        self._tags = tags
        self._closing = tags[0][1] if tags and is_open else ""
        self._held = ""  # a possible beginning of a tag, with the whitespace before it
        self._skip_space = bool(self._closing)
        self._decided = not tags  # the rest is text
        self._after_thinking = False

    def feed(self, text: str) -> list[Piece]:
        """Return the pieces that a delta adds. A possible beginning of a tag is held until the next delta."""
        if self._decided:
            return [("text", text)] if text else []
        pieces: list[Piece] = []
        self._held += text
        while self._held and self._step(pieces):
            pass
        return pieces

    def end(self) -> list[Piece]:
        """Return the pieces that were held. No deltas follow."""
        held, self._held = self._held, ""
        if self._closing:
            return [("reasoning", held)] if held else []
        if self._after_thinking:
            held = held.lstrip()
        return [("text", held)] if held else []

    def _step(self, pieces: list[Piece]) -> bool:
        """Read the held text up to the next tag. Return whether there may be more to read in it."""
        return self._read_thinking(pieces) if self._closing else self._read_start(pieces)

    def _read_thinking(self, pieces: list[Piece]) -> bool:
        if self._skip_space:
            self._held = self._held.lstrip()
            self._skip_space = not self._held
        before, closing, after = self._held.partition(self._closing)
        if closing:
            self._held, self._closing, self._after_thinking = after, "", True
        else:
            cut = len(before) - _overlap(before, self._closing)
            before, self._held = before[:cut], before[cut:]
        if before:
            pieces.append(("reasoning", before))
        return bool(closing)

    def _read_start(self, pieces: list[Piece]) -> bool:
        start = self._held.lstrip()
        for opening, closing in self._tags:
            if start.startswith(opening):
                self._held, self._closing, self._skip_space = start[len(opening) :], closing, True
                return True
        if self._after_thinking:
            self._held = start
        if any(opening.startswith(start) for opening, _ in self._tags) and len(self._held) - len(start) <= _MAX_SPACE:
            return False
        pieces.append(("text", self._held))
        self._held, self._decided = "", True
        return False


def _overlap(text: str, tag: str) -> int:
    """Return the number of characters at the end of a text that may be the beginning of a tag."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:size])), 0)
