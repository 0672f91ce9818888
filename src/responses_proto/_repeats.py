"""Runs of deltas, read in bulk.

Nineteen frames of twenty are one more delta of the text that the frame before was of: the same bytes but for the sequence
number, the delta and the padding. Such a frame need not be parsed. Once one was read the long way, it is cut into what stays and
what varies, and the frames that follow are compared with what stays. That is several times cheaper, and it gives the same
events, because it is careful:

* A frame is cut only if parsing it with other values in the gaps gives the same object with these values. So the gaps are where
  the values are, whatever else the frame contains.
* What goes into a gap is a string that JSON writes as itself: no quote, no backslash, nothing unprintable, and UTF-8.
* The number has to be the one that is due, written as JSON writes it.
* Everything else has to be what it was, to the byte: so the frame belongs where its predecessor did.

Whatever does not fit, and any frame that is not alone on its line, goes the long way.
"""

from __future__ import annotations

import codecs
import functools
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from .codec._shapes import plan_of
from .models._base import EMPTY
from .typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable

    from .accumulator import Accumulator
    from .models.events import Event

__all__ = ["Run"]

_WINDOW: Final = 16 * 1024  # bytes that are decoded at a time: a run may end after any block, and the rest was in vain
_MAX_BLOCK: Final = 2048  # bytes of a block that a run may begin with
_NUMBER: Final = re.compile(rb'"sequence_number": ?(\d+)(?=[,}])')
_DELTA: Final = re.compile(rb'"delta": ?"([^"\\]*)"')
_PADDING: Final = re.compile(rb'"obfuscation": ?"([^"\\]*)"')
_PROBES: Final = ((987_654_321, "probe one", "other"), (7, "", "x y z"))  # what the gaps are tried with
_VARYING: Final = ("sequence_number", "delta", "obfuscation")


@attrs.frozen
class Run:
    """What the frames of a run share. Made by :meth:`like`, used by :meth:`read`."""

    event: Event
    """The event that the run began with: the others differ from it in the three values only."""
    pieces: tuple[str, ...]
    """What stays: up to the first string gap, between the gaps (empty if there is one only), and after the last."""
    numbered: int
    """Which of the pieces has the number in it, as ``%d``."""
    padding_first: bool
    """Whether the first string gap is the padding, and not the delta."""
    make: Callable[..., Event]
    shared: tuple[Any, ...]

    @classmethod
    def like(cls, block: bytes, event: Any, parse: Callable[[bytes], Any]) -> Run | None:
        """Begin a run with a block that was read the long way as a delta event; ``None`` if it cannot be one."""
        if event.extra is not EMPTY or len(block) > _MAX_BLOCK or b"%" in block or not block.isascii():
            return None
        gaps = {"sequence_number": _NUMBER.search(block), "delta": _DELTA.search(block)}
        if event.obfuscation is not UNSET:
            gaps["obfuscation"] = _PADDING.search(block)
        spans = sorted((match.span(1), name) for name, match in gaps.items() if match is not None)
        if len(spans) < len(gaps) or getattr(event, "logprobs", None):
            return None
        order = [name for _, name in spans]
        text, last = b"", 0
        for (start, stop), name in spans:
            text += block[last:start] + (b"%d" if name == "sequence_number" else b"%b")
            last = stop
        text += block[last:]
        if not _gaps_are_values(text, order, event, parse):
            return None
        pieces = (text.decode() + "\n\n").split("%b")
        if "obfuscation" not in gaps:
            pieces.insert(1, "")
        return cls(
            event=event,
            pieces=tuple(pieces),
            numbered=next(index for index, piece in enumerate(pieces) if "%d" in piece),
            padding_first="obfuscation" in gaps and order.index("obfuscation") < order.index("delta"),
            make=_maker(type(event)),
            shared=tuple(getattr(event, field.name) for field in plan_of(type(event)).fields if field.name not in _VARYING),
        )

    def read(self, data: bytes, position: int, accumulator: Accumulator, events: list[Event]) -> int:
        """Read the blocks that go on with the run, from a position on; give the position after them.

        The accumulator has to be where the run is. Raises ``LimitExceeded``.
        """
        try:
            text, _ = codecs.utf_8_decode(data[position : position + _WINDOW], "strict", False)  # noqa: FBT003 - its own signature
        except UnicodeDecodeError:
            return position
        starts, find = text.startswith, text.find
        numbered, padding_first, make, shared = self.numbered, self.padding_first, self.make, self.shared
        opening, middle, closing = self.pieces
        before, _, after = self.pieces[numbered].partition("%d")
        number = accumulator.next_sequence_number or 0
        padded = bool(middle)
        deltas: list[str] = []
        at = 0
        while True:
            # One of the pieces has the number that is due in it.
            if numbered == 0:
                opening = f"{before}{number}{after}"
            elif numbered == 1:
                middle = f"{before}{number}{after}"
            else:
                closing = f"{before}{number}{after}"
            if not starts(opening, at):
                break
            start = at + len(opening)
            stop = find('"', start)
            delta = text[start:stop]
            padding: Any = UNSET
            if padded:
                if not starts(middle, stop):
                    break
                start = stop + len(middle)
                stop = find('"', start)
                padding = text[start:stop]
                if padding_first:
                    delta, padding = padding, delta
                if "\\" in padding or not padding.isprintable():
                    break
            # Printable leaves out some harmless characters too; these then go the long way, which reads them all.
            if not starts(closing, stop) or "\\" in delta or not delta.isprintable():
                break
            events.append(make(number, delta, padding, *shared))
            deltas.append(delta)
            number += 1
            at = stop + len(closing)
        if not deltas:
            return position
        accumulator.extend(deltas)
        return position + (at if text.isascii() else len(text[:at].encode()))


def _gaps_are_values(text: bytes, order: list[str], event: Any, parse: Callable[[bytes], Any]) -> bool:
    text = text[text.index(b"{") :]
    seen: list[Any] = []
    for number, delta, padding in _PROBES:
        values = {"sequence_number": number, "delta": delta.encode(), "obfuscation": padding.encode()}
        value = parse(text % tuple(values[name] for name in order))
        if value.get("type") != event.type or (value.get("sequence_number"), value.get("delta")) != (number, delta):
            return False
        if "obfuscation" in order and value.get("obfuscation") != padding:
            return False
        seen.append({name: value[name] for name in value if name not in _VARYING})
    return bool(seen[0] == seen[1])


@functools.cache
def _maker(cls: type[Any]) -> Callable[..., Any]:
    """Give a function that makes an event of a class from values that are known to fit."""
    names: dict[str, Any] = {"new": object.__new__, "cls": cls, "EMPTY": EMPTY, "UNSET": UNSET}
    lines = ["    e = new(cls)"] + [f"    e.{name} = {name}" for name in _VARYING]
    parameters = list(_VARYING)
    for field in plan_of(cls).fields:
        if field.name not in _VARYING:
            parameters.append(field.name)
            # A list is one event's own. It is empty, or there would be no run.
            value = f"{field.name} if {field.name} is UNSET else []" if field.shape.items is not None else field.name
            lines.append(f"    e.{field.name} = {value}")
    lines = [f"def make({', '.join(parameters)}):", *lines, "    e.extra = EMPTY", "    return e"]
    exec(compile("\n".join(lines), f"<maker of {cls.__name__}>", "exec"), names)  # noqa: S102 - built from field names only
    make: Callable[..., Any] = names["make"]
    return make
