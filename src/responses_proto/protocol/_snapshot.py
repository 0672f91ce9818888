"""The mutable state of the accumulator: texts in parts, and parts in items. Models are built from them only on demand.

This module decides neither where an event belongs, which is the task of the accumulator, nor which of two statements is used, which is
the task of :mod:`._merge`.
"""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..codec import load
from ..models._base import Unknown
from ..models._paths import get_path, set_path
from ..models.actions import ShellOutput
from ..models.content import Content, OutputText
from ..typing import UNSET
from ._merge import merge
from .state import PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._merge import OnDifference
    from .state import PartStep

_MAX_NAMES: Final = 16  # of one item: some servers give it a new id with every event


class TextBuffer:
    """A text that grows.

    :meth:`write` appends a piece, :meth:`set` replaces the whole, :meth:`value` returns the text so far. It is a buffer instead of a
    list of pieces, because a million small strings take ten times the memory of their text.
    """

    __slots__ = ("_buffer", "_text", "complete", "size")

    def __init__(self, start: str = "") -> None:
        self._buffer: io.StringIO | None = None
        self._text: str | None = start
        self.size = len(start)
        """Characters so far."""
        self.complete = False
        """Whether a ``done`` event gave the whole text."""

    def write(self, piece: str) -> None:
        if self._buffer is None:
            self._buffer = io.StringIO()
            self._buffer.write(self._text or "")
        self.size += self._buffer.write(piece)
        self._text = None

    def set(self, text: str) -> None:
        """Replace the text with the complete text."""
        self._buffer, self._text = None, text
        self.size = len(text)
        self.complete = True

    def value(self) -> str:
        """Return the text so far. Repeated calls cost nothing."""
        if self._text is None:
            text = self._buffer.getvalue() if self._buffer is not None else ""
            self._text = _joined_surrogates(text)
            if len(self._text) < len(text):
                self._buffer, self.size = None, len(self._text)
        return self._text


def _joined_surrogates(text: str) -> str:
    """Join characters that a server split into two surrogates, in two deltas."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


class SnapshotPart:
    """A part of an item: a content part, a summary part, or a command."""

    __slots__ = ("annotations", "closed", "field", "index", "kind", "logprobs", "model", "partial", "said", "text")

    def __init__(self, index: int, kind: str, model: Content | None, field: str, text: str) -> None:
        self.index = index
        self.kind = kind
        """The wire type; empty for a plain string."""
        self.model = model
        self.field = field
        """The field of the model that holds the text."""
        self.text = TextBuffer(text)
        self.annotations: list[Any] = [*(getattr(model, "annotations", None) or ())]
        self.logprobs: list[Any] = [*(getattr(model, "logprobs", None) or ())]
        self.closed = False
        self.said = index
        """The index in the last event of the part."""
        self.partial = False
        """Whether its beginning was not seen, because the stream was resumed in the middle of it."""

    def close(self, statement: Any, on_difference: OnDifference) -> None:
        """Merge the complete part from its ``done`` event."""
        merged: Any = merge(self.build(), statement, on_difference) if self.model is not None else statement
        whole, complete = text_of(merged, self.field), self.text.complete
        if self.field:
            self.text.set(whole)
            self.text.complete = complete or bool(whole)
        self.model, self.closed = merged, True
        self.annotations = [*(getattr(merged, "annotations", None) or ())]
        self.logprobs = [*(getattr(merged, "logprobs", None) or ())]

    def build(self) -> Any:
        """Return the current state of the part."""
        if self.model is None:
            return self.text.value()
        part: Any = copy.copy(self.model)
        if self.field and (self.text.size or getattr(part, self.field, "")):
            set_path(part, self.field, self.text.value())
        if self.kind == OutputText.type:
            if self.annotations:
                set_path(part, "annotations", [*self.annotations])
            if self.logprobs:
                set_path(part, "logprobs", [*self.logprobs])
        return part


class PartList:
    """The parts of one container of an item, by index. Indices may have gaps."""

    __slots__ = ("_open", "by_index", "next_index")

    def __init__(self, given: Sequence[Any] = ()) -> None:
        self.by_index: dict[int, SnapshotPart] = {}
        self._open: dict[str, dict[int, SnapshotPart]] = {}
        self.next_index = 0
        """The first index after all parts."""
        for index, part in enumerate(given):
            self.add(part_of(index, part))

    def add(self, part: SnapshotPart) -> SnapshotPart:
        """Put a part at its index."""
        self.by_index[part.index] = part
        self._open.setdefault(part.kind, {})[part.index] = part
        self.next_index = max(self.next_index, part.index + 1)
        return part

    def close(self, part: SnapshotPart) -> None:
        """Remove a part from the open parts."""
        part.closed = True
        self._open.get(part.kind, {}).pop(part.index, None)

    def newest(self, kind: str) -> SnapshotPart | None:
        """Return the newest open part of a kind."""
        ones = self._open.get(kind)
        return ones[next(reversed(ones))] if ones else None

    def newest_for(self, kind: str, index: int, step: PartStep | None, whole: str) -> SnapshotPart | None:
        """Return the part for an event whose index does not match a part; ``None`` if the event begins a new part.

        This is the newest open part of the kind, unless its text is complete and the event is about another text. ``index`` is negative
        if the event has none. ``step``: the step of the event in ``PART_STEPS``. ``whole``: the complete text in the event, if any.
        """
        last = self.by_index.get(self.next_index - 1)
        if last is not None and index < 0 and whole and last.kind == kind and last.text.value() == whole:
            return last  # the event is repeated
        part = self.newest(kind)
        if part is None or not part.text.complete:
            return part
        elsewhere = index >= 0 and index != part.said
        states_another = bool(whole) and (elsewhere or index < 0) and whole != part.text.value()
        return None if (step == "delta" and elsewhere) or (step == "text_done" and states_another) else part

    def build(self) -> dict[int, Any]:
        """Return the current parts, in the order of their indices."""
        by_index = self.by_index
        return {index: by_index[index].build() for index in sorted(by_index)}


class CommandOutput:
    """The output of one command of a shell call."""

    __slots__ = ("built", "complete", "given", "stderr", "stdout")

    def __init__(self, given: ShellOutput | None = None, *, complete: bool = False) -> None:
        self.given = given
        self.complete = complete
        """Whether a ``done`` event gave the whole output."""
        self.built = given
        self.stdout = TextBuffer(given.stdout if given is not None else "")
        self.stderr = TextBuffer(given.stderr if given is not None else "")

    def build(self) -> ShellOutput:
        """Return the current output."""
        if self.built is None:
            given = self.given if self.given is not None else load({"stdout": "", "stderr": ""}, ShellOutput)
            self.built = attrs.evolve(given, stdout=self.stdout.value(), stderr=self.stderr.value())
        return self.built


class Names:
    """The ids of one item: the first one, and a bounded number of the newest ones."""

    __slots__ = ("_known", "first")

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self.first = ""

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, name: str) -> str:
        """Remember an id. Return the id that is dropped in exchange, or an empty string."""
        self.first = self.first or name
        self._known[name] = None
        if len(self._known) <= _MAX_NAMES:
            return ""
        oldest = next(known for known in self._known if known != self.first)
        del self._known[oldest]
        return oldest


class SnapshotItem:
    """An output item, with the texts and parts that have grown in it."""

    __slots__ = (
        "built", "call_id", "call_ids", "closed", "containers", "fields", "ids", "implied", "index", "indexed", "item", "kind", "outputs",
        "partial", "status",
    )  # fmt: skip

    def __init__(self, index: int, item: Any, *, implied: bool) -> None:
        self.index = index
        """The output index, as written into the events of the item."""
        self.kind: str = item.type
        self.ids = Names()
        self.call_ids = Names()
        self.call_id = ""
        self.closed = False
        """Whether ``output_item.done`` was received."""
        self.implied = implied
        """Whether the item was opened without ``output_item.added``."""
        self.indexed = False
        """Whether the index comes from the server, not from this library."""
        self.partial = False
        """Whether its beginning was not seen, because the stream was resumed in the middle of it."""
        self.restart(item)

    def restart(self, item: Any) -> None:
        """Begin (again) from the item in a statement."""
        self.item = item
        self.containers: dict[str, PartList] = {}
        self.fields: dict[str, TextBuffer] = {}
        self.outputs: dict[int, CommandOutput] = {}
        self.status = ""
        self.built: Any = None
        self.call_id = text_of(item, "call_id") or self.call_id

    @property
    def id(self) -> str:
        """The id that is written into the events of the item: the first one from the server; empty before that."""
        return self.ids.first

    def parts(self, container: str) -> PartList:
        """Return the parts of a container, initially those in the item."""
        parts = self.containers.get(container)
        if parts is None:
            text = get_path(self.item, container)
            if isinstance(text, str) and text:  # a string is short for one part
                given: Sequence[Any] = [load({"type": OutputText.type, "text": text, "annotations": []}, Content)]
            else:
                given = list_at(self.item, container)
            parts = self.containers[container] = PartList(given)
        return parts

    def command_outputs(self) -> dict[int, CommandOutput]:
        """Return the outputs of the commands by index, initially those in the item."""
        if not self.outputs:
            given = list_at(self.item, "output")
            self.outputs = {i: CommandOutput(one) for i, one in enumerate(given) if isinstance(one, ShellOutput)}
        return self.outputs

    def field(self, path: str) -> TextBuffer:
        """Return the text of a field, initially the text in the item."""
        text = self.fields.get(path)
        if text is None:
            item = self.item
            # Events of a vendor may extend an item without a class, see `Converter.register`.
            raw = item.raw if isinstance(item, Unknown) else None
            given = raw.get(path) if isinstance(raw, dict) else get_path(item, path)
            text = self.fields[path] = TextBuffer(given if isinstance(given, str) else "")
        return text

    def merged_with(self, statement: Any, on_difference: OnDifference) -> Any:
        """Return the current item merged with a stronger statement."""
        parts: dict[str, dict[int, Any]] = {f".{name}": parts.build() for name, parts in self.containers.items()}
        if self.outputs:
            parts[".output"] = {index: output.build() for index, output in self.outputs.items()}
        known = self.build()
        if (self.implied or self.status) and hasattr(known, "status"):
            # The progress has passed by now, and this library made up the status of an item that was never added.
            known = copy.copy(known)
            set_path(known, "status", UNSET if self.implied else self.item.status)
        return merge(known, statement, on_difference, parts=parts)

    def build(self) -> Any:
        """Return the current item. Returned items are not changed afterwards."""
        if self.built is None:
            item = self.item
            if self.containers or self.fields or self.status or self.outputs:
                item = copy.copy(item)
                for container, parts in self.containers.items():
                    if parts.by_index:
                        set_path(item, container, [*parts.build().values()])
                for path, text in self.fields.items():
                    if text.size:
                        set_path(item, path, text.value())
                if self.outputs:
                    set_path(item, "output", [self.outputs[index].build() for index in sorted(self.outputs)])
                if self.status and hasattr(item, "status"):
                    set_path(item, "status", self.status)
            self.built = item
        return self.built


def text_of(model: Any, name: str) -> str:
    """Return a string field of a model, or of the raw object of an unknown one; an empty string if there is none."""
    value = getattr(model, name, "") if name else ""
    if isinstance(model, Unknown) and isinstance(model.raw, dict):
        value = model.raw.get(name)
    return value if isinstance(value, str) else ""


def list_at(item: Any, path: str) -> list[Any]:
    """Return the list at a dotted path of fields; an empty list if there is none."""
    value = get_path(item, path)
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] # a list of Any is meant


def field_of(part: Any) -> str:
    """Return the field that holds the text of a part; an empty string for a plain string."""
    return TEXT_FIELDS.get(part.type, "") if part is not None and not isinstance(part, str) else ""


def part_of(index: int, given: Any) -> SnapshotPart:
    """Return a snapshot part for a part from the wire."""
    if isinstance(given, str):
        return SnapshotPart(index, "", None, "", given)
    field = field_of(given)
    return SnapshotPart(index, given.type, given, field, text_of(given, field))


TEXT_FIELDS: Final = {part: field.field for (_, part), field in PARTS.items()}
"""Type of part -> the field that holds its text."""
