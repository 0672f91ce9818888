"""The place in a stream from which it can be taken up again."""

from __future__ import annotations

import attrs

__all__ = ["Cursor"]


@attrs.frozen
class Cursor:
    """A response and the last event of it that was seen: all that resuming needs.

    A plain value: comparable, hashable, picklable, and ``attrs.asdict`` makes JSON of it.
    """

    response_id: str
    """The server's id of the response."""
    sequence_number: int | None = None
    """The last sequence number seen, the value of ``starting_after``; ``None`` when none was."""
