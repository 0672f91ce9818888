"""Serialize the bodies of requests: small ones at once, large ones in slices that leave the event loop free.

A JSON library writes 24 MiB in one call and holds the interpreter lock throughout, in any thread. A large body is therefore
walked here, and the library receives pieces that each take well under a millisecond.
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

_SLICE: Final = 128 * 1024  # characters, roughly, that are serialized at a time; a larger body is a `LargeBody`
# The cost of each value in addition to its text, in characters: an estimate of the work, not of the size.
_NODE: Final = 256
_MAX_BUSY: Final = 0.001  # seconds of work after which other tasks may run
_MAX_DEPTH: Final = 200  # levels; anything deeper goes to the codec in one piece, which raises the right error


class SmallBody:
    """A body that is serialized already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def bytes(self) -> bytes:
        return self._data


class Body(Protocol):
    """The body of a request."""

    async def bytes(self) -> bytes:
        """Return the body as JSON. Raises ``EncodeError``."""
        ...


class LargeBody:
    """A body that is serialized when it is first needed."""

    def __init__(self, wire: Any, converter: Converter) -> None:
        self._wire = wire
        self._converter = converter
        self._data: bytes | None = None

    async def bytes(self) -> bytes:
        """Serialize the body in slices, once, and return it. Raises ``EncodeError``."""
        if self._data is None:
            slices: list[bytes] = []
            buffer = bytearray()  # collects small pieces, because freeing a hundred thousand of them takes time as well
            resumed = time.perf_counter()
            for piece in _pieces(self._wire, self._converter, 0):
                buffer += piece
                if len(buffer) > _SLICE:
                    slices.append(bytes(buffer))
                    buffer.clear()
                if time.perf_counter() - resumed > _MAX_BUSY:
                    await anyio.lowlevel.checkpoint()
                    resumed = time.perf_counter()
            slices.append(bytes(buffer))
            # The interpreter releases its lock while it joins megabytes of bytes.
            self._data = await anyio.to_thread.run_sync(b"".join, slices)
            self._wire = None
        return self._data


def is_large(value: object) -> bool:
    """Return whether serializing the value may take long. Visits only as much of it as necessary."""
    return _budget_after(value, _SLICE, 0) <= 0


def _budget_after(value: object, budget: int, depth: int) -> int:
    """Return what serializing the value leaves of a budget of characters; 0 or less if it is not enough."""
    budget -= _NODE
    if isinstance(value, str):
        return budget - len(value)
    if budget <= 0 or depth > _MAX_DEPTH:
        return budget
    for element in _elements(value):
        budget = _budget_after(element, budget, depth + 1)
        if budget <= 0:
            break
    return budget


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
    """Yield the JSON of a value in pieces; joined, they equal the output of the codec."""
    if isinstance(value, str):
        yield from _text(value, converter)
    elif depth > _MAX_DEPTH or _budget_after(value, _SLICE, depth) > 0:
        yield converter.dumps(value)
    elif isinstance(value, Unknown):
        yield from _pieces(value.raw, converter, depth + 1)
    elif isinstance(value, Model):
        yield from _pieces(_dump_shallow(value, converter), converter, depth + 1)
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
            raise EncodeError(f"keys of a JSON object must be str, got {type(key).__name__}")
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


def _dump_shallow(value: Model, converter: Converter) -> dict[str, Any]:
    """Return the wire object of a model, in which the large fields are not dumped.

    Only the codec knows the wire names, the constants and how ``extra`` is merged. It dumps a copy of the model with small
    placeholders for the large fields; they are then replaced by the real values.
    """
    thin = copy.copy(value)
    large: dict[int, tuple[str, Any]] = {}
    for index, attribute in enumerate(value.__attrs_attrs__):
        element = getattr(value, attribute.name)
        if attribute.name != "extra" and is_large(element):
            placeholder = f"placeholder {index}"
            large[id(placeholder)] = (placeholder, element)  # keeps it alive, so that its id() stays unique
            setattr(thin, attribute.name, placeholder)
    dumped = cast("dict[str, Any]", converter.dump(thin))
    return {name: large[id(field)][1] if id(field) in large else field for name, field in dumped.items()}
