"""The context of a request: its input items and their history, in the form in which they are stored.

A client may abbreviate its input (a string; a message without an id), may send compacted items, and may send outputs of calls
that were never made. :func:`normalize_items` adds required fields, :func:`compact` compacts a history, :func:`expand` restores it,
and :func:`check_outputs` rejects outputs without a call.
"""

from __future__ import annotations

import base64
import binascii
import copy
import zlib
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from ..codec import default_converter, dump, dumps
from ..codec._json import has_more_values
from ..exceptions import DecodeError, LimitExceeded
from ..models._base import Extra, Model
from ..models.content import Content, InputText, OutputText
from ..models.items import Compaction, Item, LocalShellCallOutput, Message, UnknownItem
from ..protocol._requests import MAX_ITEMS, MAX_VALUES, id_of, invalid
from ..protocol.history import check_history
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..codec import Converter
    from ..exceptions import APIError
    from ..typing import JSONObject

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
"""Type of an item -> prefix of its id. The prefix of other types is ``item``."""

_DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "message": {"status": "completed"},
    "reasoning": {},
    "function_call": {"status": "completed"},
    "function_call_output": {"status": "completed"},
    "output_text": {"annotations": []},
    "input_image": {"detail": "auto", "image_url": None},
    "input_file": {},
}
"""Type of an item or content part -> fields that are required when it is stored, but optional in input (Open Responses, Items).

Other optional fields of these types must not be null. Items of other types are not changed.
"""

_PARTS: Final = ("content", "output", "summary")
"""The fields of items that contain parts."""


def normalize_items(items: str | Iterable[Item], ids: Callable[[str], str], *, taken: Iterable[str] = ()) -> list[Item]:
    """Return items as they are stored: with ids, a status, and content in parts.

    ``items`` is the input of a request. ``ids`` returns a new id with the given prefix. ``taken`` are the ids of other items. An item
    whose id is taken gets a new one. If two items have the same id, the later item gets a new one.
    """
    if isinstance(items, str):
        items = [Message(role="user", content=items)]
    seen = set(taken)
    normalized: list[Item] = []
    for item in items:
        normal = _with_id(_with_defaults(item), ids, seen)
        seen.add(id_of(normal))
        normalized.append(normal)
    return normalized


def _with_defaults(item: Item) -> Item:
    if isinstance(item, Message) and isinstance(item.content, str):
        text: Content = OutputText(text=item.content) if item.role == "assistant" else InputText(text=item.content)
        item = attrs.evolve(item, content=[text])
    if isinstance(item, LocalShellCallOutput) and isinstance(call_id := item.extra.get("call_id"), str):
        others = {name: value for name, value in item.extra.items() if name != "call_id"}
        item = attrs.evolve(item, id=call_id, extra=Extra(others))  # see `LocalShellCallOutput.id`
    changes: dict[str, Any] = {}
    for name in _PARTS:
        parts = getattr(item, name, None)
        if isinstance(parts, list):
            changes[name] = [_complete(part) for part in cast("list[Model]", parts)]
    return _complete(attrs.evolve(item, **changes) if changes else item)


def _with_id(item: Item, ids: Callable[[str], str], seen: set[str]) -> Item:
    item_id = id_of(item)
    if item_id and item_id not in seen:
        return item
    new_id = ids(_PREFIXES.get(item.type, "item"))
    if isinstance(item, UnknownItem):
        return attrs.evolve(item, raw={**item.raw, "id": new_id}) if isinstance(item.raw, dict) else item
    # If the id is a required field, other items refer to it: it must not change.
    optional = any(field.name == "id" and field.default is UNSET for field in item.__attrs_attrs__)
    changes: dict[str, Any] = {"id": new_id}
    return attrs.evolve(item, **changes) if optional else item


def _complete(model: _M) -> _M:
    """Return an item or part with all required fields, including its type, and without nulls in optional fields."""
    changes: dict[str, Any] = {}
    defaults = _DEFAULTS.get(str(getattr(model, "type", "")))
    if defaults is not None:
        missing = [
            field.name
            for field in model.__attrs_attrs__
            if field.default is UNSET and ((value := getattr(model, field.name)) is None or value is UNSET)
        ]
        changes = {name: copy.copy(defaults.get(name, UNSET)) for name in missing}  # lists must not be shared
    if isinstance(model.extra, Extra) and model.extra.absent:
        changes["extra"] = Extra(model.extra)
        if "status" in model.extra.absent:
            changes["status"] = "completed"
    return attrs.evolve(model, **changes) if changes else model


# ---- compaction

_COMPACTION_PREFIX: Final = (
    "rp1."  # of the encrypted content of this server's compactions; the digit is the format's version
)
# A client may send anything as a compaction, and a few kilobytes can decompress to gigabytes.
_MAX_COMPACTION_BYTES: Final = 32 * 1024 * 1024  # of all compactions of a request, decompressed


def compact(items: Sequence[Item], ids: Callable[[str], str]) -> list[Item]:
    """Shorten a history without a model: keep the user's messages, and pack everything else into one ``compaction`` item.

    Nothing is lost: :func:`expand` returns the same items in the same order. Raises ``APIError`` if the history is longer than
    :func:`expand` accepts.
    """
    kept = [item for item in items if isinstance(item, Message) and item.role == "user" and item.id]
    kept_ids = {id_of(item) for item in kept}
    # A kept message is represented by its id, which marks its position.
    folded = dumps([item_id if (item_id := id_of(item)) in kept_ids else dump(item) for item in items])
    if len(items) > MAX_ITEMS or len(folded) > _MAX_COMPACTION_BYTES or has_more_values(folded, MAX_VALUES):
        raise invalid("The history is too long for this server to compact.", "input", "context_length_exceeded")
    content = _COMPACTION_PREFIX + base64.urlsafe_b64encode(zlib.compress(folded)).decode()
    return [*kept, Compaction(id=ids("cmp"), encrypted_content=content)]


def expand(items: Sequence[Item]) -> list[Item]:
    """Replace each compaction made by :func:`compact` with the items it contains. Compactions of other servers stay unchanged.

    Kept messages return to their original positions. Raises ``APIError`` if a compaction is damaged, or contains more than a
    request may have.
    """
    reader = _CompactionReader()
    expanded: list[Item | None] = []  # `None` where a message has moved away
    positions: dict[str, int] = {}
    for item in items:
        entries: list[str | Item] = [item]
        if isinstance(item, Compaction) and item.encrypted_content.startswith(_COMPACTION_PREFIX):
            entries = reader.entries(item.encrypted_content)
        for entry in entries:
            if isinstance(entry, str):  # the id of a kept message whose position is here
                position = positions.get(entry)
                if position is None:
                    continue  # the client may leave the message out
                moved, expanded[position] = expanded[position], None
            else:
                moved = entry
            if moved is not None and (item_id := id_of(moved)):
                positions[item_id] = len(expanded)
            expanded.append(moved)
    return [item for item in expanded if item is not None]


def retype(items: list[Item], converter: Converter) -> list[Item]:
    """Reload items of unknown types, in place, with a converter that may have classes for them. Return the list.

    A store only knows the types of the protocol, and keeps items of other types as they were sent.
    """
    for index, item in enumerate(items):
        if isinstance(item, UnknownItem):
            items[index] = converter.load(cast("JSONObject", item.raw), Item)
    return items


class _CompactionReader:
    """Decodes the compactions of one request. The limits apply to all of them together."""

    def __init__(self) -> None:
        self._bytes_left = _MAX_COMPACTION_BYTES
        self._seen_ids: set[str] = set()
        self._count = 0

    def entries(self, content: str) -> list[str | Item]:
        """Return the contents of a compaction: items, and the ids of kept messages."""
        entries: list[str | Item] = []
        for entry in self._decode(content):
            self._count += 1
            if isinstance(entry, str) and entry not in self._seen_ids:
                self._seen_ids.add(entry)
                entries.append(entry)
            elif isinstance(entry, dict) and isinstance(cast("dict[str, Any]", entry).get("type"), str):
                entries.append(default_converter().load(cast("dict[str, Any]", entry), Item))
            else:
                raise _damaged()
            if self._count > MAX_ITEMS:
                raise _damaged()
        return entries

    def _decode(self, content: str) -> list[object]:
        try:
            compressed = base64.urlsafe_b64decode(content.removeprefix(_COMPACTION_PREFIX))
            data = zlib.decompressobj().decompress(compressed, self._bytes_left + 1)
            self._bytes_left -= len(data)
            small = self._bytes_left >= 0 and not has_more_values(data, MAX_VALUES)
            entries: Any = default_converter().json.loads(data) if small else None
        except (binascii.Error, ValueError, zlib.error, DecodeError, LimitExceeded):
            entries = None
        if not isinstance(entries, list) or len(cast("list[object]", entries)) > MAX_ITEMS:
            raise _damaged()
        return cast("list[object]", entries)


def _damaged() -> APIError:
    message = "The encrypted content of a compaction was not written by this server, or was changed: send it back unchanged, and only once."
    return invalid(message, "input", "invalid_encrypted_content")


# ---- checks and counts

_ORPHAN_RULES: Final = frozenset({"output-orphan", "output-early", "output-kind"})


def check_outputs(items: Sequence[Item]) -> None:
    """Raise ``APIError`` if a tool output does not belong to an earlier call."""
    # A compaction of another server may contain the call.
    continued = any(isinstance(item, Compaction) for item in items)
    for finding in check_history(items, continued=continued):
        if finding.rule in _ORPHAN_RULES:
            item = items[finding.index]
            key = getattr(item, "call_id", None) or getattr(item, "approval_request_id", None) or id_of(item)
            kind = item.type.replace("_", " ")
            raise invalid(f"No tool call found for {kind} with call_id {key}.", "input", None)


_TEXT_KEYS: Final = frozenset(
    {"arguments", "code", "description", "input", "instructions", "name", "output", "refusal", "text"}
)
"""The JSON keys whose strings a model reads."""


def count_words(*values: object) -> int:
    """Count the words that a model would read in wire models or JSON values. Without a tokenizer, a word counts as a token."""
    return sum(_words(dump(value)) for value in values if value)


def _words(value: object, key: str = "text") -> int:
    if isinstance(value, str):
        return len(value.split()) if key in _TEXT_KEYS else 0
    if isinstance(value, dict):
        return sum(_words(inner, name) for name, inner in cast("dict[str, object]", value).items())
    return sum(_words(inner, key) for inner in cast("list[object]", value)) if isinstance(value, list) else 0
