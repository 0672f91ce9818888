"""The merge of two statements about one item, field by field.

A server describes an item several times: in ``output_item.added``, in the events that extend it, in the ``*.done`` events of its
parts, in ``output_item.done`` and in the terminal response. Each statement is stronger than the ones before it, but only in the fields
that it states. A field that is missing, null or empty does not override an earlier value. So a snapshot is built by merging, and
:func:`merge` is the only place that decides which value is used:

========================  ===================================================================================
earlier and later         result
========================  ===================================================================================
later states nothing      the earlier value stays: a repair
both are equal            that value
they differ               the later value: a contradiction, unless the field is in :data:`MAY_DIFFER`
nested objects            merged field by field; models only if they have the same class, else the later one
lists in :data:`BY_INDEX` merged element by element; elements that the later list lacks stay
other lists               one value: the later list, unless it is empty
========================  ===================================================================================

A value that does not fit its field (kept raw in ``extra`` by the decoder) counts as missing. The newest ``status`` is used. If the later
statement has none, a final status stays, but a stage of the work, such as ``in_progress``, does not.
"""

from __future__ import annotations

import copy
import itertools
import operator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from ..codec import load
from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET, JSONValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BY_INDEX: Final = frozenset({"content", "summary", "commands", "output"})
"""Fields that hold the parts of an item: where both statements have a list, their elements are matched by index."""

MAY_DIFFER: Final = frozenset({"status", "encrypted_content", "fingerprint", "logprobs"})
"""Fields that may change from statement to statement: the stage of the work, ciphertexts, which are new each time, and log
probabilities, of which servers send more or fewer."""

Difference: TypeAlias = Literal["kept", "differs", "moved"]
_MAX_REPORTED: Final = 16  # kept unknown fields of one object: reporting one costs more than merging it
_names_of: dict[type[Model], tuple[str, ...]] = {}
_TEXTS: Final = frozenset({"text", "refusal"})
_SCALARS: Final = frozenset({str, int, float, bool})
_FINAL: Final = ("completed", "incomplete", "failed")
"""Statuses that stay if a later statement has none. Any other status is a stage of the work that has passed by then."""

OnDifference: TypeAlias = "Callable[[Difference, str, Any, Any], None]"
"""Called with the kind of difference, the path (``.content[0].text``), and both values. ``kept`` is a repair, ``differs`` a
contradiction, ``moved`` a list whose parts were streamed at other indices."""


def merge(
    earlier: Any, later: Any, on_difference: OnDifference, *, parts: Mapping[str, Mapping[int, Any]] | None = None
) -> Any:
    """Return the merge of two statements. Neither is changed; the result may be ``later`` itself.

    ``parts``: the elements of lists in :data:`BY_INDEX` whose index is not their place in the list: path of the list -> index ->
    element.
    """
    return _Merge(on_difference, parts or {}).values(earlier, later, "")


def says_something(value: object) -> bool:
    """Return whether a statement with this value states the field: the value is neither absent, null nor empty."""
    if value is UNSET or value is None:
        return False
    if isinstance(value, (str, list, dict)):
        return bool(cast("Any", value))
    return not (isinstance(value, Unknown) and not value.raw)


@attrs.frozen
class _Merge:
    on_difference: OnDifference
    parts: Mapping[str, Mapping[int, Any]]

    def values(self, earlier: Any, later: Any, path: str) -> Any:
        if earlier is later or not says_something(earlier):
            return later
        if not says_something(later):
            self.on_difference("kept", path, earlier, later)
            return earlier
        if isinstance(later, Unknown) and not later.type and isinstance(earlier, Model) and isinstance(later.raw, dict):
            kind: str = getattr(earlier, "type", "")
            self.on_difference("kept", f"{path}.type", kind, UNSET)
            later = load({**later.raw, "type": kind}, earlier.__class__)
        if isinstance(later, Model) and earlier.__class__ is later.__class__:
            unknown = isinstance(later, Unknown)
            return self.unknown_object(earlier, later, path) if unknown else self.models(earlier, later, path)
        if earlier != later:
            if isinstance(earlier, dict) and isinstance(later, dict):
                return self.objects(cast("Any", earlier), cast("Any", later), path)
            self.on_difference("differs", path, earlier, later)
        return cast("Any", later)

    def lists(self, earlier: Mapping[int, Any], later: Sequence[Any], path: str) -> Sequence[Any]:
        """Merge two lists of parts by index. ``earlier`` maps indices to elements and may have gaps.

        Some servers count the parts in their events from 1, or arbitrarily. If the later list repeats all parts in order, the indices
        of the events were wrong.
        """
        if any(index >= len(later) for index in earlier) and len(earlier) <= len(later):
            in_order = [earlier[index] for index in sorted(earlier)]
            if all(map(_repeats, in_order, later)):
                self.on_difference("moved", f"{path}[{max(earlier)}]", UNSET, UNSET)
                earlier = dict(enumerate(in_order))
        merged = [
            self.part(earlier[index], element, f"{path}[{index}]") if index in earlier else element
            for index, element in enumerate(later)
        ]
        added = next((index for index in range(len(later)) if index not in earlier), None)
        if earlier and added is not None:
            self.on_difference("differs", f"{path}[{added}]", UNSET, later[added])
        beyond = sorted(index for index in earlier if index >= len(later))
        while beyond and not _has_content(earlier[beyond[-1]]):
            beyond.pop()
        if beyond:
            self.on_difference("kept", f"{path}[{beyond[0]}]", earlier[beyond[0]], UNSET)
            merged += [earlier[index] for index in beyond]
        unchanged = len(merged) == len(later) and all(map(operator.is_, merged, later))
        return later if unchanged else merged

    def part(self, earlier: Any, later: Any, path: str) -> Any:
        if isinstance(earlier, dict) and isinstance(later, dict):  # empty or not
            return self.objects(cast("Any", earlier), cast("Any", later), path)
        return self.values(earlier, later, path)

    def models(self, earlier: Model, later: Model, path: str) -> Model:
        changed: dict[str, Any] = {}
        plain = earlier.extra is EMPTY and later.extra is EMPTY  # the usual case: the attributes are complete
        for name in field_names(later.__class__):
            if plain:
                ours, theirs = getattr(earlier, name), getattr(later, name)
            else:
                ours, theirs = _value(earlier, name), _value(later, name)
            if ours is theirs or (theirs.__class__ in _SCALARS and ours == theirs):
                continue
            value = self.field(name, ours, theirs, f"{path}.{_wire(name)}")
            if value is not theirs:
                changed[name] = value
        extra = later.extra if plain else self.unknown_fields(earlier, later, changed, path)
        if not changed and extra is later.extra:
            return later
        merged: Any = copy.copy(later)
        for name, value in changed.items():
            setattr(merged, name, value)
        merged.extra = extra
        return cast("Model", merged)

    def field(self, name: str, ours: Any, theirs: Any, path: str) -> Any:
        if name in BY_INDEX and _is_list_or_unsaid(ours) and _is_list_or_unsaid(theirs):
            known = self.parts.get(path)
            if known is None:
                listed = _as_list(ours)
                if not theirs and listed and _has_content(listed[-1]):
                    self.on_difference("kept", f"{path}[0]", listed[0], UNSET)
                    return ours  # unchanged, so that a tiny statement about a large item is cheap
                known = dict(enumerate(listed))
            return self.lists(known, _as_list(theirs), path) or theirs
        if name == "status":
            return theirs if says_something(theirs) or ours not in _FINAL else ours
        if name in MAY_DIFFER and says_something(theirs):
            return theirs
        return self.values(ours, theirs, path)

    def unknown_fields(
        self, earlier: Model, later: Model, changed: Mapping[str, Any], path: str
    ) -> Mapping[str, JSONValue]:
        """Merge the wire fields that the class does not know, or whose value does not fit."""
        if earlier.extra is EMPTY and later.extra is EMPTY:
            return EMPTY
        if self._all_kept(earlier, later, path):
            return earlier.extra
        repaired = {_wire(name) for name in changed}
        fields = {_wire(field.name): _value(later, field.name) for field in later.__attrs_attrs__}
        items = {name: value for name, value in later.extra.items() if name not in repaired}
        kept = 0
        for name, value in earlier.extra.items():
            is_known = name in repaired or (name in fields and says_something(fields[name]))
            if not is_known and says_something(value) and not says_something(items.get(name)):
                kept += 1
                if kept <= _MAX_REPORTED:
                    self.on_difference("kept", f"{path}.{name}", value, items.get(name, UNSET))
                items[name] = value
        absent = later.extra.absent if isinstance(later.extra, Extra) else frozenset[str]()
        still_absent = absent - repaired - items.keys()
        # A constant, such as `type`, is not a field: it is present if either statement has it.
        before = earlier.extra.absent if isinstance(earlier.extra, Extra) else frozenset[str]()
        still_absent = frozenset(name for name in still_absent if name in fields or name in before)
        if items == later.extra and still_absent == absent:
            return later.extra
        return Extra(items, still_absent) if items or still_absent else EMPTY

    def _all_kept(self, earlier: Model, later: Model, path: str) -> bool:
        """Return whether the unknown fields of the earlier statement stay unchanged, because the later one has none."""
        extra = earlier.extra
        plain = not (isinstance(extra, Extra) and extra.absent) and all(extra.values())
        if later.extra is not EMPTY or not plain:
            return False
        if not extra.keys().isdisjoint(map(_wire, field_names(later.__class__))):
            return False
        for name, value in itertools.islice(extra.items(), _MAX_REPORTED):
            self.on_difference("kept", f"{path}.{name}", value, UNSET)
        return True

    def unknown_object(self, earlier: Any, later: Any, path: str) -> Unknown:
        raw = self.part(earlier.raw, later.raw, path)
        if raw is later.raw:
            return cast("Unknown", later)
        merged: Any = copy.copy(later)
        merged.raw = raw
        return cast("Unknown", merged)

    def objects(self, earlier: dict[str, Any], later: dict[str, Any], path: str) -> dict[str, Any]:
        """Merge raw JSON objects, such as those of unknown items, by the rules of models."""
        merged = {**later}
        for name, ours in earlier.items():
            value = self.field(name, ours, later.get(name, UNSET), f"{path}.{name}")
            if value is not UNSET:
                merged[name] = value
        return later if merged == later else merged


def _repeats(earlier: Any, later: Any) -> bool:
    """Return whether a later part repeats or continues an earlier one: each of its texts begins with the earlier text."""
    if earlier.__class__ is not later.__class__:
        return False
    if not isinstance(earlier, Model):
        return not isinstance(earlier, str) or later.startswith(earlier)
    names = field_names(earlier.__class__)
    texts = [(getattr(earlier, name), getattr(later, name)) for name in names if name in _TEXTS]
    return all(not isinstance(theirs, str) or not theirs or theirs.startswith(ours or "") for ours, theirs in texts)


def _has_content(part: Any) -> bool:
    """Return whether a part has any content besides its type."""
    if isinstance(part, Model) and not isinstance(part, Unknown):
        return bool(part.extra) or any(says_something(getattr(part, field.name)) for field in part.__attrs_attrs__)
    return says_something(part)


def field_names(cls: type[Model]) -> tuple[str, ...]:
    """Return the names of a class's fields without ``extra``."""
    names = _names_of.get(cls)
    if names is None:
        names = _names_of[cls] = tuple(field.name for field in cls.__attrs_attrs__ if field.name != "extra")
    return names


def _wire(name: str) -> str:
    """Return the wire name of a field."""
    return name.removesuffix("_")


def _value(model: Model, name: str) -> Any:
    """Return the value of a field in a statement; ``UNSET`` if it was missing on the wire or its value did not fit."""
    value, extra = getattr(model, name), model.extra
    if extra is not EMPTY and not (value and _has_content(value)):  # the neutral value of its type
        wire = _wire(name)
        if wire in extra or (isinstance(extra, Extra) and wire in extra.absent):
            return UNSET
    return value


def _is_list_or_unsaid(value: object) -> bool:
    return isinstance(value, list) or not says_something(value)


def _as_list(value: Any) -> list[Any]:
    return value if value.__class__ is list else []
