"""Bodies of requests: small ones at once, large ones in slices between which the event loop gets its turn.

A JSON library writes 24 MiB in one go and holds the interpreter meanwhile, in whatever thread it runs. So a large
body is walked here, and the library gets pieces that it is done with in well under a millisecond.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import anyio.lowlevel
import anyio.to_thread

from ..exceptions import EncodeError
from ..models._base import Model, Unknown
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..codec import Converter

__all__ = ["Body", "LargeBody", "SmallBody", "is_large"]

_SLICE: Final = 128 * 1024  # characters, about, that are written at a time; a body of more is a large one
_NODE: Final = 64  # characters that a value counts for besides its text: the work per value, not the bytes
_TURN: Final = 0.001  # seconds of work after which others get their turn
_DEEPEST: Final = 200  # levels; what is deeper goes to the codec in one piece, which says what is wrong with it


class SmallBody:
    """A body that is written already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def bytes(self) -> bytes:
        """Give the body."""
        return self._data


class Body(Protocol):
    """What is to be sent."""

    async def bytes(self) -> bytes:
        """Give the body. Raises ``EncodeError``."""
        ...


class LargeBody:
    """A body that is written when it is needed; once."""

    def __init__(self, wire: Any, converter: Converter) -> None:
        self._wire = wire
        self._converter = converter
        self._data: bytes | None = None

    async def bytes(self) -> bytes:
        """Write the body, in slices. Raises ``EncodeError``."""
        if self._data is None:
            pieces: list[bytes] = []
            small = bytearray()  # gathers them: letting go of a hundred thousand pieces takes its time, too
            turn = time.perf_counter()
            for piece in _pieces(self._wire, self._converter, 0):
                small += piece
                if len(small) > _SLICE:
                    pieces.append(bytes(small))
                    small.clear()
                if time.perf_counter() - turn > _TURN:
                    await anyio.lowlevel.checkpoint()
                    turn = time.perf_counter()
            pieces.append(bytes(small))
            # Joining megabytes of bytes is what the interpreter does without holding on to its lock.
            self._data = await anyio.to_thread.run_sync(b"".join, pieces)
            self._wire = None
        return self._data


def is_large(value: object) -> bool:
    """Tell whether writing a value may take long. Looks at no more of it than it needs to tell."""
    return _weigh(value, _SLICE, 0) <= 0


def _weigh(value: object, left: int, depth: int) -> int:
    # Gives what is left of the weight; 0 or less: heavy.
    left -= _NODE
    if isinstance(value, str):
        return left - len(value)
    if left <= 0 or depth > _DEEPEST:
        return left
    for element in _elements(value):
        left = _weigh(element, left, depth + 1)
        if left <= 0:
            break
    return left


def _elements(value: object) -> Iterator[object]:
    if isinstance(value, Model):
        for attribute in value.__attrs_attrs__:
            element = getattr(value, attribute.name)
            if element is not UNSET and element is not None and element != {}:
                yield element
    elif isinstance(value, Mapping):
        yield from cast("Mapping[object, object]", value).values()
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        yield from cast("Sequence[object]", value)


def _pieces(value: Any, converter: Converter, depth: int) -> Iterator[bytes]:
    """Write a value piece by piece; together the pieces are what the codec would have written."""
    if isinstance(value, str):
        yield from _text(value, converter)
    elif depth > _DEEPEST or _weigh(value, _SLICE, depth) > 0:
        yield converter.dumps(value)
    elif isinstance(value, Unknown):
        yield from _pieces(value.raw, converter, depth + 1)
    elif isinstance(value, Model):
        yield from _pieces(_shallow(value, converter), converter, depth + 1)
    elif isinstance(value, Mapping):
        yield from _object(cast("Mapping[object, object]", value), converter, depth)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        yield b"["
        for index, element in enumerate(cast("Sequence[object]", value)):
            if index:
                yield b","
            yield from _pieces(element, converter, depth + 1)
        yield b"]"
    else:
        yield converter.dumps(value)


def _object(value: Mapping[object, object], converter: Converter, depth: int) -> Iterator[bytes]:
    yield b"{"
    first = True
    for key, element in value.items():
        if not isinstance(key, str):
            raise EncodeError(f"a key of a JSON object is a string, not {type(key).__name__}")
        yield (b"" if first else b",") + converter.json.dumps(key) + b":"
        first = False
        yield from _pieces(element, converter, depth + 1)
    yield b"}"


def _text(text: str, converter: Converter) -> Iterator[bytes]:
    if len(text) <= _SLICE:
        yield converter.dumps(text)
        return
    yield b'"'
    for at in range(0, len(text), _SLICE):
        yield converter.dumps(text[at : at + _SLICE])[1:-1]
    yield b'"'


def _shallow(value: Model, converter: Converter) -> dict[str, Any]:
    """Give the wire object of a model whose large fields are still what they were.

    The names on the wire, the constants and the fields of ``extra`` are the codec's business: it dumps the model with
    small stand-ins, which then give way to the real values.
    """
    thin = copy.copy(value)
    large: dict[int, Any] = {}
    for index, attribute in enumerate(value.__attrs_attrs__):
        element = getattr(value, attribute.name)
        if attribute.name != "extra" and _weigh(element, _SLICE, 0) <= 0:
            stand_in = f"stand-in for {index}"
            large[id(stand_in)] = (stand_in, element)  # which keeps it alive, and with it its identity
            setattr(thin, attribute.name, stand_in)
    written = cast("dict[str, Any]", converter.dump(thin))
    return {key: large[id(short)][1] if id(short) in large else short for key, short in written.items()}
