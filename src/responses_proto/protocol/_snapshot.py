"""Where the accumulator keeps what grows: texts in parts, parts in slots, each built into a model only when asked for.

Nothing here decides where an event belongs; that is the accumulator's business.
"""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any, Final

from ..codec import load
from ..models._base import Unknown
from ..models.actions import ShellOutput
from ..models.content import OutputText
from .state import PARTS

if TYPE_CHECKING:
    from ..models.content import Content

__all__ = [
    "TEXT_FIELDS",
    "CommandOutput",
    "SnapshotItem",
    "SnapshotPart",
    "TextBuffer",
    "at_path",
    "field_of",
    "list_at",
    "part_of",
    "put_at",
    "text_of",
]


class TextBuffer:
    """A text that grows. Verbs: :meth:`write` a piece; :meth:`set` the whole; ask for its :meth:`value`.

    A buffer, not a list of pieces: a million small strings take ten times the memory of what they say.
    """

    __slots__ = ("_buffer", "_said", "size", "whole")

    def __init__(self, start: str = "") -> None:
        self._buffer: io.StringIO | None = None
        self._said: str | None = start
        self.size = len(start)
        """Its length by now."""
        self.whole = False
        """Whether the whole of it was said."""

    def write(self, piece: str) -> None:
        """Append a piece."""
        if self._buffer is None:
            self._buffer = io.StringIO()
            self._buffer.write(self._said or "")
        self.size += self._buffer.write(piece)
        self._said = None

    def set(self, text: str) -> None:
        """Say what the whole of it is."""
        self._buffer, self._said = None, text
        self.size = len(text)
        self.whole = True

    def value(self) -> str:
        """Give what it says by now. Asking again costs nothing."""
        if self._said is None:
            self._said = _mended(self._buffer.getvalue()) if self._buffer is not None else ""
        return self._said


def _mended(text: str) -> str:
    """Put characters together again that a server cut in two, each half in a delta of its own, as UTF-16 lets it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


class SnapshotPart:
    """A place in a container of an item."""

    __slots__ = ("annotations", "closed", "field", "kind", "logprobs", "model", "text")

    def __init__(self, kind: str, model: Content | None, field: str, text: str) -> None:
        self.kind = kind
        self.model = model
        self.field = field
        self.text = TextBuffer(text)
        self.annotations: list[Any] = [*(getattr(model, "annotations", None) or ())]
        self.logprobs: list[Any] = [*(getattr(model, "logprobs", None) or ())]
        self.closed = False

    def close(self, model: Any) -> None:
        """Take the part's own last word. What it leaves out stands as it was streamed."""
        self.model, self.closed = model, True
        self.annotations = [*(getattr(model, "annotations", None) or self.annotations)]
        self.logprobs = [*(getattr(model, "logprobs", None) or self.logprobs)]

    def build(self) -> Any:
        if self.model is None:
            return self.text.value()
        part: Any = copy.copy(self.model)
        if self.field:
            setattr(part, self.field, self.text.value())
        if self.kind == OutputText.type:
            if self.annotations:
                part.annotations = [*self.annotations]
            if self.logprobs:
                part.logprobs = [*self.logprobs]
        return part


class CommandOutput:
    """What one command of a shell call wrote."""

    __slots__ = ("built", "stderr", "stdout")

    def __init__(self, whole: ShellOutput | None = None) -> None:
        self.built = whole
        self.stdout = TextBuffer(whole.stdout if whole is not None else "")
        self.stderr = TextBuffer(whole.stderr if whole is not None else "")

    def build(self) -> ShellOutput:
        if self.built is None:
            self.built = load({"stdout": self.stdout.value(), "stderr": self.stderr.value()}, ShellOutput)
        return self.built


class SnapshotItem:
    """A place in the output, and the item in it."""

    __slots__ = (
        "built", "call_id", "closed", "containers", "fields", "id", "ids", "implied", "index", "indexed", "item", "kind", "outputs", "status",
    )  # fmt: skip

    def __init__(self, index: int, item: Any, *, implied: bool) -> None:
        self.index = index
        self.kind: str = item.type
        self.id = ""
        self.ids: set[str] = set()
        self.call_id = ""
        self.closed = False
        self.implied = implied
        self.indexed = False  # whether some `output_index` of the server's is known to mean this place
        self.take(item)

    def take(self, item: Any) -> None:
        """Begin (again) from an item as the server gave it."""
        self.item = item
        self.containers: dict[str, list[SnapshotPart]] = {}
        self.fields: dict[str, TextBuffer] = {}
        self.outputs: dict[int, CommandOutput] = {}
        self.status = ""
        self.built: Any = None
        self.call_id = text_of(item, "call_id") or self.call_id

    def parts(self, container: str) -> list[SnapshotPart]:
        """Give the parts of a container, begun with those that the item came with."""
        parts = self.containers.get(container)
        if parts is None:
            parts = self.containers[container] = [part_of(given) for given in list_at(self.item, container)]
        return parts

    def field(self, path: str) -> TextBuffer:
        """Give the text of a field, begun with what the item came with."""
        text = self.fields.get(path)
        if text is None:
            given = at_path(self.item, path)
            text = self.fields[path] = TextBuffer(given if isinstance(given, str) else "")
        return text

    def build(self) -> Any:
        """Make the item as of now. Items that were handed out are not touched again."""
        if self.built is None:
            item = self.item
            if self.containers or self.fields or self.status or self.outputs:
                item = copy.copy(item)
                for container, parts in self.containers.items():
                    put_at(item, container, [part.build() for part in parts])
                for path, text in self.fields.items():
                    put_at(item, path, text.value())
                if self.outputs:
                    put_at(item, "output", [self.outputs[index].build() for index in sorted(self.outputs)])
                if self.status and hasattr(item, "status"):
                    item.status = self.status
            self.built = item
        return self.built


def text_of(model: Any, name: str) -> str:
    value = getattr(model, name, "") if name else ""
    if isinstance(model, Unknown) and isinstance(model.raw, dict):
        value = model.raw.get(name)
    return value if isinstance(value, str) else ""


def at_path(item: Any, path: str) -> Any:
    for name in path.split("."):
        item = getattr(item, name, None)
    return item


def list_at(item: Any, path: str) -> list[Any]:
    value = at_path(item, path)
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] # a list of Any is meant


def put_at(item: Any, path: str, value: object) -> None:
    """Write into an item that is ours; what is nested in it may not be, and is copied first."""
    name, _, rest = path.partition(".")
    if rest:
        inner = copy.copy(getattr(item, name, None))
        put_at(inner, rest, value)
        value = inner
    if hasattr(item, name):
        setattr(item, name, value)


def field_of(part: Any) -> str:
    return TEXT_FIELDS.get(part.type, "") if part is not None and not isinstance(part, str) else ""


def part_of(given: Any) -> SnapshotPart:
    if isinstance(given, str):
        return SnapshotPart("", None, "", given)
    field = field_of(given)
    return SnapshotPart(given.type, given, field, text_of(given, field))


TEXT_FIELDS: Final = {part: channel.field for (_, part), channel in PARTS.items()}
