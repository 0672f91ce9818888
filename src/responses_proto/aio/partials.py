"""The answer of a stream, piece by piece, as far as it is JSON already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ..structured import PartialOutput
from ..typing import UNSET

if TYPE_CHECKING:
    from ..limits import Limits
    from ..structured import Structured
    from ..typing import JSONValue
    from .stream import EventStream

__all__ = ["PartialValues"]


class PartialValues:
    """What a stream's answer amounts to so far, each time that more of it is certain. From ``stream.partial()``.

    Values are plain JSON and never changed afterwards. Iterating reads the stream, and raises what reading it raises;
    it ends with the stream, and ``await stream.parse(T)`` then gives the typed value.
    """

    __slots__ = ("_follower", "_last", "_stream")

    def __init__(self, stream: EventStream, output: Structured[Any] | None, limits: Limits) -> None:
        self._stream = stream
        self._follower = PartialOutput(output, limits=limits)
        self._last: object = UNSET

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JSONValue:
        while True:
            event = await anext(self._stream)
            if self._follower.push(event):
                value = self._follower.value
                if value is not UNSET and value != self._last:
                    self._last = value
                    return value
