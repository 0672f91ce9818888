"""The types that every layer shares: JSON values, the absent value, and the cursor of a stream.

On the wire, an *absent* field (no such key) and a *null* field (a key with the value ``null``) are different. This package
keeps the difference: an absent field is :data:`UNSET`, a null field is ``None``.
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
    """Any JSON value. The containers are read-only types, so that a ``list[str]`` is accepted too."""
    JSONObject: TypeAlias = Mapping[str, JSONValue]
    """A JSON object. This package returns a plain ``dict``."""
else:
    # The codec evaluates annotations at run time, where a recursive alias is not possible.
    JSONValue = Any
    JSONObject = Mapping[str, Any]


class Unset(enum.Enum):
    """The type of :data:`UNSET`. It is an enumeration so that copies stay identical and type checkers narrow on ``is``."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        """Return false, so that ``if x:`` narrows to a present value."""
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The value of an absent field: it was not received, or is not sent. ``None`` means JSON ``null`` instead."""


@attrs.frozen
class Cursor:
    """A response and the last of its events that was seen: all that is needed to resume its stream.

    A cursor is comparable, hashable and picklable; ``attrs.asdict`` turns it into a JSON object.
    """

    response_id: str
    """The id of the response."""
    sequence_number: int | None = None
    """The last sequence number seen, to be sent as ``starting_after``; ``None`` if no numbered event was seen."""
