"""What a model sees: the items of a request and of its history, made whole.

A client may write its input short (a string; a message without an id), may have had it compacted, and may send outputs of
calls that were never made. :func:`normalize_items` gives every item what a stored one has, :func:`expand` puts back what
:func:`compact` folded away, and :func:`check_outputs` finds the outputs that answer nothing.
"""

from __future__ import annotations

import base64
import binascii
import copy
import zlib
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from ..codec import default_converter, dump, dumps
from ..exceptions import DecodeError, LimitExceeded
from ..models._base import Extra, Model
from ..models.content import Content, InputText, OutputText
from ..models.items import Compaction, Item, Message, UnknownItem
from ..protocol._requests import id_of, invalid
from ..protocol.history import check_history
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..exceptions import APIError

__all__ = ["check_outputs", "compact", "count_words", "expand", "normalize_items"]

_M = TypeVar("_M", bound=Model)

# ---- items as they are stored

_PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "compaction": "cmp",
    "mcp_approval_response": "mcpr",
}
"""Type of an item -> what its id begins with; ``item`` for the others."""

_NEEDED: Final[Mapping[str, Mapping[str, object]]] = {
    "message": {"status": "completed"},
    "reasoning": {},
    "function_call": {"status": "completed"},
    "function_call_output": {"status": "completed"},
    "output_text": {"annotations": []},
    "input_image": {"detail": "auto", "image_url": None},
    "input_file": {},
}
"""Type of an item or a part -> what it has to state once it is stored, though not in input (Open Responses, Items).

What else may be absent may not be null in these. Kinds that are not here stay as they are.
"""

_PARTS: Final = ("content", "output", "summary")
"""The fields of items that hold parts."""


def normalize_items(items: str | Iterable[Item], ids: Callable[[str], str], *, taken: Iterable[str] = ()) -> list[Item]:
    """Make the items of an input what they are once they are stored: with ids, a status, and content in parts.

    ``taken`` are ids that other items have: where an id repeats, the later item gets another one.
    """
    if isinstance(items, str):
        items = [Message(role="user", content=items)]
    seen = set(taken)
    settled: list[Item] = []
    for item in items:
        whole = _settle(item, ids, seen)
        seen.add(id_of(whole))
        settled.append(whole)
    return settled


def _settle(item: Item, ids: Callable[[str], str], seen: set[str]) -> Item:
    if isinstance(item, Message) and isinstance(item.content, str):
        text: Content = OutputText(text=item.content) if item.role == "assistant" else InputText(text=item.content)
        item = attrs.evolve(item, content=[text])
    changes: dict[str, Any] = {}
    for name in _PARTS:
        parts = getattr(item, name, None)
        if isinstance(parts, list):
            changes[name] = [_complete(part) for part in cast("list[Model]", parts)]
    item = _complete(attrs.evolve(item, **changes) if changes else item)
    known = id_of(item)
    if known and known not in seen:
        return item
    made = ids(_PREFIXES.get(item.type, "item"))
    if isinstance(item, UnknownItem):
        return attrs.evolve(item, raw={**item.raw, "id": made}) if isinstance(item.raw, dict) else item
    # Where the id is required, something refers to it.
    optional = any(field.name == "id" and field.default is UNSET for field in item.__attrs_attrs__)
    named: dict[str, Any] = {"id": made}
    return attrs.evolve(item, **named) if optional else item


def _complete(model: _M) -> _M:
    """Leave out the nulls of what may be absent, and put in what is needed, the type included."""
    changes: dict[str, Any] = {}
    needed = _NEEDED.get(str(getattr(model, "type", "")))
    if needed is not None:
        missing = [
            field.name
            for field in model.__attrs_attrs__
            if field.default is UNSET and ((value := getattr(model, field.name)) is None or value is UNSET)
        ]
        changes = {name: copy.copy(needed.get(name, UNSET)) for name in missing}  # nobody else's list
    if isinstance(model.extra, Extra) and model.extra.absent:
        changes["extra"] = Extra(model.extra)
    return attrs.evolve(model, **changes) if changes else model


# ---- compaction

_SEAL: Final = "rp1."  # what the content of our own compactions begins with; the number is that of the format
_LONGEST: Final = 32 * 1024 * 1024  # bytes that the compactions of a request may unfold to …
_MOST: Final = 10_000  # … and items: they come from clients, and a few kilobytes can be made to say anything


def compact(items: Sequence[Item], ids: Callable[[str], str]) -> list[Item]:
    """Shorten a history without a model: the user's messages stay, the rest is folded into one ``compaction`` item.

    Nothing is lost: :func:`expand` gives the items again, in their order. Raises ``APIError`` for more than that would unfold.
    """
    kept = [item for item in items if isinstance(item, Message) and item.role == "user" and item.id]
    names = {id_of(item) for item in kept}
    folded = dumps([name if (name := id_of(item)) in names else dump(item) for item in items])
    if len(items) > _MOST or len(folded) > _LONGEST:
        raise invalid("The history is longer than this server can fold up.", "input", "context_length_exceeded")
    content = _SEAL + base64.urlsafe_b64encode(zlib.compress(folded)).decode()
    return [*kept, Compaction(id=ids("cmp"), encrypted_content=content)]


def expand(items: Sequence[Item]) -> list[Item]:
    """Put what was folded away by :func:`compact` back where it was. Compactions of other servers stay as they are.

    Raises ``APIError`` for one of ours that was damaged, and for more than a request may unfold.
    """
    unfolding = _Unfolding()
    expanded: list[Item | None] = []
    places: dict[str, int] = {}
    for item in items:
        entries: list[str | Item] = [item]
        if isinstance(item, Compaction) and item.encrypted_content.startswith(_SEAL):
            entries = unfolding.entries(item.encrypted_content)
        for entry in entries:
            if isinstance(entry, str):  # the name of a message that was kept, and whose place is here
                at = places.get(entry)
                if at is None:
                    continue  # left out by the client, which is its right
                moved, expanded[at] = expanded[at], None
            else:
                moved = entry
            if moved is not None and (name := id_of(moved)):
                places[name] = len(expanded)
            expanded.append(moved)
    return [item for item in expanded if item is not None]


class _Unfolding:
    """Reads the contents of compactions, as much as one request may have."""

    def __init__(self) -> None:
        self._left = _LONGEST
        self._names: set[str] = set()
        self._count = 0

    def entries(self, content: str) -> list[str | Item]:
        """Give what a compaction stands for: items, and the ids of messages that are there already."""
        read: list[str | Item] = []
        for entry in self._listed(content):
            self._count += 1
            if isinstance(entry, str) and entry not in self._names:
                self._names.add(entry)
                read.append(entry)
            elif isinstance(entry, dict) and isinstance(cast("dict[str, Any]", entry).get("type"), str):
                read.append(default_converter().load(cast("dict[str, Any]", entry), Item))
            else:
                raise _damaged()
            if self._count > _MOST:
                raise _damaged()
        return read

    def _listed(self, content: str) -> list[object]:
        try:
            packed = base64.urlsafe_b64decode(content.removeprefix(_SEAL))
            unpacking = zlib.decompressobj()
            folded = unpacking.decompress(packed, self._left + 1)
            self._left -= len(folded)
            entries: Any = default_converter().json.loads(folded) if self._left >= 0 else None
        except (binascii.Error, ValueError, zlib.error, DecodeError, LimitExceeded):
            entries = None
        if not isinstance(entries, list) or len(cast("list[object]", entries)) > _MOST:
            raise _damaged()
        return cast("list[object]", entries)


def _damaged() -> APIError:
    message = "The encrypted content of a compaction is not what this server wrote: send it back unchanged, and once."
    return invalid(message, "input", "invalid_encrypted_content")


# ---- checks and counts

_ORPHANS: Final = frozenset({"output-orphan", "output-early", "output-kind"})


def check_outputs(items: Sequence[Item]) -> None:
    """Raise an ``APIError`` if an output of a tool answers no call that came before it."""
    # A compaction that cannot be read may hold the call.
    continued = any(isinstance(item, Compaction) for item in items)
    for finding in check_history(items, continued=continued):
        if finding.rule in _ORPHANS:
            item = items[finding.index]
            key = getattr(item, "call_id", None) or getattr(item, "approval_request_id", None) or id_of(item)
            kind = item.type.replace("_", " ")
            raise invalid(f"No tool call found for {kind} with call_id {key}.", "input", None)


_WORDY: Final = frozenset(
    {"arguments", "code", "description", "input", "instructions", "name", "output", "refusal", "text"}
)
"""The keys whose strings a model reads."""


def count_words(*values: object) -> int:
    """Count the words that a model would read in models or JSON values: what a token is, to a server without a tokenizer."""
    return sum(_words(dump(value)) for value in values if value)


def _words(value: object, key: str = "text") -> int:
    if isinstance(value, str):
        return len(value.split()) if key in _WORDY else 0
    if isinstance(value, dict):
        return sum(_words(inner, name) for name, inner in cast("dict[str, object]", value).items())
    return sum(_words(inner, key) for inner in cast("list[object]", value)) if isinstance(value, list) else 0
