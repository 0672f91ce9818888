"""The few types that every layer speaks: JSON values and the mark of absence.

The wire tells apart *absent* (no such key) and *null* (the key is there and says ``null``), and so does
this package: an absent field is :data:`UNSET`, a null one is ``None``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UNSET", "Cursor", "JSONObject", "JSONValue", "Unset"]

if TYPE_CHECKING:
    JSONValue: TypeAlias = "bool | int | float | str | Sequence[JSONValue] | Mapping[str, JSONValue] | None"
    """Anything that JSON can say. Read-only by type, so that lists of narrower things fit."""
    JSONObject: TypeAlias = Mapping[str, JSONValue]
    """A JSON object, as the wire has it: a plain ``dict`` when it comes from this package."""
else:
    # The codec reads annotations at run time, where a recursive alias has no value.
    JSONValue = Any
    JSONObject = Mapping[str, Any]


class Unset(enum.Enum):
    """The type of :data:`UNSET`. An enumeration, so that it pickles and copies to itself and ``is`` narrows."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        """Absent is falsy: ``if x:`` narrows it away."""
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The wire did not say (or: do not say it on the wire). Not the same as ``None``, which is JSON's ``null``."""


@attrs.frozen
class Cursor:
    """A response and the last event of it that was seen: all that resuming needs.

    A plain value: comparable, hashable, picklable, and ``attrs.asdict`` makes JSON of it.
    """

    response_id: str
    """The server's id of the response."""
    sequence_number: int | None = None
    """The last sequence number seen, the value of ``starting_after``; ``None`` when none was."""
