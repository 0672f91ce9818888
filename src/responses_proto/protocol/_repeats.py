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
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..codec._specs import model_spec
from ..models._base import EMPTY, Model
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models.events import Event
    from .accumulator import Accumulator

__all__ = ["WINDOW", "DeltaTemplate"]

_scanners: dict[tuple[type[Model], tuple[str, ...]], Callable[..., int]] = {}
WINDOW: Final = 16 * 1024  # bytes that are decoded at a time: a run may end after any block, and the rest was in vain
_MAX_BLOCK: Final = 2048  # bytes of a block that a run may begin with
_NUMBER: Final = re.compile(rb'"sequence_number": ?(\d+)(?=[,}])')
_DELTA: Final = re.compile(rb'"delta": ?"([^"\\]*)"')
_PADDING: Final = re.compile(rb'"obfuscation": ?"([^"\\]*)"')
_PROBES: Final = ((987_654_321, "probe one", "other"), (7, "", "x y z"))  # what the gaps are tried with
_VARYING: Final = ("sequence_number", "delta", "obfuscation")


@attrs.frozen
class DeltaTemplate:
    """What the frames of a run share. Made by :meth:`like`, used by :meth:`read`."""

    event: Event
    """The event that the run began with: the others differ from it in the three values only."""
    literals: tuple[str, ...]
    """What stays: one more than there are gaps."""
    scan: Callable[..., int]
    """Reads text that goes on with the run; see :func:`_scanner`."""
    shared: tuple[Any, ...]
    """The values of the event's other fields."""

    @classmethod
    def like(cls, block: bytes, event: Any, parse: Callable[[bytes], Any]) -> DeltaTemplate | None:
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
        cls_: type[Model] = event.__class__
        fields = [field.name for field in model_spec(cls_).fields if field.name not in _VARYING]
        return cls(
            event=event,
            literals=tuple((text.decode() + "\n\n").replace("%d", "%b").split("%b")),
            scan=_scanners.get((cls_, tuple(order))) or _scanner(cls_, tuple(order)),
            shared=tuple(getattr(event, name) for name in fields),
        )

    def read(self, data: bytes, position: int, accumulator: Accumulator, events: list[Event]) -> int:
        """Read the blocks that go on with the run, from a position on; give the position after them.

        The accumulator has to be where the run is. Raises ``LimitExceeded``.
        """
        try:
            text, _ = codecs.utf_8_decode(data[position : position + WINDOW], "strict", False)  # noqa: FBT003 - its own signature
        except UnicodeDecodeError:
            return position
        deltas: list[str] = []
        at = self.scan(text, accumulator.next_sequence_number, self.literals, self.shared, events.append, deltas.append)
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


def _scanner(cls: type[Model], order: tuple[str, ...]) -> Callable[..., int]:
    """Give the function that reads a run of a class whose gaps are in this order.

    ``scan(text, number, literals, shared, keep, grow) -> position`` reads from the start of the text as many blocks as go
    on with the run, numbered from ``number``. It passes each event to ``keep``, each delta to ``grow``, and gives the position
    after the last. Generated, because it is where a client spends its time: no test is made twice, no call is made in vain.
    """
    literals = [f"l{index}" for index in range(len(order) + 1)]
    fields = [field for field in model_spec(cls).fields if field.name not in _VARYING]
    lines = ["def scan(text, number, literals, shared, keep, grow):", f"    {', '.join(literals)} = literals"]
    lines += [f"    {', '.join(field.name for field in fields)}, = shared"]
    lines += ["    obfuscation = UNSET", "    starts, find, at = text.startswith, text.find, 0"]
    lines += ["    escaped = '\\\\' in text", "    while True:"]
    # The number is due, so it is part of what has to stand before, between or behind the strings.
    pieces: list[tuple[str, str]] = []  # (expression, gap that follows)
    index = 0
    while index <= len(order):
        if index < len(order) and order[index] == "sequence_number":
            pieces.append(
                (
                    f"f'{{{literals[index]}}}{{number}}{{{literals[index + 1]}}}'",
                    order[index + 1] if index + 1 < len(order) else "",
                )
            )
            index += 2
        else:
            pieces.append((literals[index], order[index] if index < len(order) else ""))
            index += 1
    for expression, gap in pieces:
        lines += [f"        piece = {expression}", "        if not starts(piece, at):", "            return done"]
        lines += ["        at += len(piece)"]
        if gap:
            lines += ["        stop = find('\"', at)", f"        {gap} = text[at:stop]", "        at = stop"]
            # Printable leaves out some harmless characters too; these then go the long way, which reads them all.
            lines += [
                f"        if not {gap}.isprintable() or (escaped and '\\\\' in {gap}):",
                "            return done",
            ]
    lines += ["        e = new(cls)"] + [
        f"        e.{name} = {'number' if name == 'sequence_number' else name}" for name in _VARYING
    ]
    for field in fields:
        # A list is one event's own. It is empty, or there would be no run.
        value = f"{field.name} if {field.name} is UNSET else []" if field.shape.items is not None else field.name
        lines.append(f"        e.{field.name} = {value}")
    lines += [
        "        e.extra = EMPTY",
        "        keep(e)",
        "        grow(delta)",
        "        number += 1",
        "        done = at",
    ]
    lines.insert(1, "    done = 0")
    names: dict[str, Any] = {"new": object.__new__, "cls": cls, "EMPTY": EMPTY, "UNSET": UNSET}
    exec(compile("\n".join(lines), f"<scanner of {cls.__name__}>", "exec"), names)  # noqa: S102 - built from field names only
    scan: Callable[..., int] = names["scan"]
    _scanners[cls, order] = scan
    return scan
