"""The merge of two statements about one item, field by field.

A server describes an item several times: in ``output_item.added``, in the events that grow it, in the ``*.done`` events of its
parts, in ``output_item.done`` and in the terminal response. Each statement is stronger than the ones before it, but only where it
says something. A field that is missing, null or empty says nothing against a value that is there. So a snapshot is built by
merging, and :func:`merge` is the only place that decides which value stays:

========================  ===================================================================================
earlier and later         result
========================  ===================================================================================
later says nothing        the earlier value stays: a repair
both say the same         that value
they differ               the later value: a contradiction, unless the field is in :data:`MAY_DIFFER`
nested objects            merged field by field if they are of one class, else the later one
lists in :data:`BY_INDEX` merged element by element; elements that the later list lacks stay
other lists               one value: the later list, unless it is empty
========================  ===================================================================================

A value that does not fit its field (kept raw in ``extra`` by the decoder) says nothing either. A ``status`` is the newest one; a stage
of the work, such as ``in_progress``, is not kept once a later statement has no status.
"""

from __future__ import annotations

import copy
import itertools
import operator
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ..models._base import EMPTY, Extra, Model, Unknown
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["BY_INDEX", "MAY_DIFFER", "OnDifference", "merge", "merge_lists", "says_something"]

BY_INDEX: Final = frozenset({"content", "summary", "commands", "output"})
"""Fields that hold the parts of an item: where both statements have a list, their elements are matched by index."""

MAY_DIFFER: Final = frozenset({"status", "encrypted_content", "fingerprint"})
"""Fields that change by right from statement to statement: the stage of the work, and ciphertexts, which are made anew each time."""

Difference: TypeAlias = Literal["kept", "differs"]
_FINAL: Final = ("completed", "incomplete", "failed")
"""Statuses that stay if a later statement has none. Any other is a stage of the work, and over by then."""

_MAX_REPORTED: Final = 16  # unknown fields of one object that are kept: a report costs more than the merge

OnDifference: TypeAlias = "Callable[[Difference, str, Any, Any], None]"
"""Called with what was found (``kept``: a repair; ``differs``: a contradiction), the path (``.content[0].text``), and both values."""


def says_something(value: object) -> bool:
    """Return whether a field with this value says something: it is neither absent, null nor empty."""
    if value is UNSET or value is None:
        return False
    if isinstance(value, (str, list, dict)):
        return bool(value)  # pyright: ignore[reportUnknownArgumentType] # the length is all that counts
    return not (isinstance(value, Unknown) and not value.raw)


def merge(
    earlier: Any,
    later: Any,
    on_difference: OnDifference,
    *,
    path: str = "",
    parts: Mapping[str, Mapping[int, Any]] | None = None,
) -> Any:
    """Return what two statements say together. Neither is changed; the result may be ``later`` itself.

    ``parts`` has the elements of lists in :data:`BY_INDEX` that are not at the place that their list gives them: path of the list ->
    index -> element.
    """
    if earlier is later:
        return later
    if not says_something(later):
        if not says_something(earlier):
            return later
        on_difference("kept", path, earlier, later)
        return earlier
    if not says_something(earlier):
        return later
    if isinstance(later, Model) and earlier.__class__ is later.__class__:
        return _merge_models(earlier, later, on_difference, path, parts)
    if isinstance(later, dict) and isinstance(earlier, dict):
        return _merge_objects(earlier, later, on_difference, path)
    if earlier != later:
        on_difference("differs", path, earlier, later)
    return later


def merge_lists(
    earlier: Mapping[int, Any], later: Sequence[Any], on_difference: OnDifference, *, path: str = ""
) -> list[Any]:
    """Return the elements of two lists of parts, merged by index.

    ``earlier`` maps indices to elements and may have gaps. Elements that ``later`` lacks stay, unless they are empty.
    """
    merged = [
        merge(earlier[index], element, on_difference, path=f"{path}[{index}]") if index in earlier else element
        for index, element in enumerate(later)
    ]
    added = next((index for index in range(len(later)) if index not in earlier), None)
    if earlier and added is not None:
        on_difference("differs", f"{path}[{added}]", UNSET, later[added])
    beyond = sorted(index for index in earlier if index >= len(later))
    while beyond and not _has_content(earlier[beyond[-1]]):
        beyond.pop()
    if beyond:
        on_difference("kept", f"{path}[{beyond[0]}]", earlier[beyond[0]], UNSET)
        merged += [earlier[index] for index in beyond]
    return merged


def _has_content(part: Any) -> bool:
    """Return whether a part says more than its type."""
    if isinstance(part, Model) and not isinstance(part, Unknown):
        return bool(part.extra) or any(says_something(getattr(part, field.name)) for field in part.__attrs_attrs__)
    return says_something(part)


def _merge_models(
    earlier: Model,
    later: Model,
    on_difference: OnDifference,
    path: str,
    parts: Mapping[str, Mapping[int, Any]] | None,
) -> Any:
    if isinstance(later, Unknown):
        raw = _merge_objects(earlier.raw, later.raw, on_difference, path)  # type: ignore[attr-defined] # of the same class
        if raw is later.raw:
            return later
        unknown: Any = copy.copy(later)
        unknown.raw = raw
        return unknown
    changed: dict[str, Any] = {}
    for field in later.__attrs_attrs__:
        name = field.name
        if name == "extra":
            continue
        place = f"{path}.{name.removesuffix('_')}"
        ours, theirs = _value(earlier, name), _value(later, name)
        if name in BY_INDEX and _is_list_or_unsaid(ours) and _is_list_or_unsaid(theirs):
            known = parts.get(place) if parts is not None else None
            if known is None and not theirs and isinstance(ours, list) and ours and _has_content(ours[-1]):
                on_difference("kept", f"{place}[0]", ours[0], UNSET)
                changed[name] = ours  # at no cost: tiny statements about a large item are cheap
                continue
            if known is None:
                known = dict(enumerate(ours)) if isinstance(ours, list) else {}
            value: Any = merge_lists(known, theirs or [], on_difference, path=place)
            if not value or (len(value) == len(theirs or ()) and all(map(operator.is_, value, theirs))):
                continue
        elif name == "status":
            value = theirs if says_something(theirs) or ours not in _FINAL else ours
        elif name in MAY_DIFFER and says_something(theirs):
            continue
        else:
            value = merge(ours, theirs, on_difference, path=place, parts=parts)
        if value is not theirs:
            changed[name] = value
    extra = _merge_extra(earlier, later, changed, on_difference, path)
    if not changed and extra is later.extra:
        return later
    merged: Any = copy.copy(later)
    for name, value in changed.items():
        setattr(merged, name, value)
    merged.extra = extra
    return merged


def _is_list_or_unsaid(value: object) -> bool:
    return isinstance(value, list) or not says_something(value)


def _value(model: Model, name: str) -> Any:
    """Return what a statement says about a field; ``UNSET`` if the wire left it out or gave a value that does not fit."""
    value, extra = getattr(model, name), model.extra
    if extra is not EMPTY and not (value and _has_content(value)):  # the neutral value of its type
        wire = name.removesuffix("_")
        if wire in extra or (isinstance(extra, Extra) and wire in extra.absent):
            return UNSET
    return value


def _merge_extra(
    earlier: Model, later: Model, changed: Mapping[str, Any], on_difference: OnDifference, path: str
) -> Mapping[str, Any]:
    """Return the wire fields that the class does not know, of both statements."""
    if earlier.extra is EMPTY and later.extra is EMPTY:
        return EMPTY
    if later.extra is EMPTY and all(earlier.extra.values()) and not getattr(earlier.extra, "absent", ()):
        names = {field.name.removesuffix("_") for field in later.__attrs_attrs__}
        if names.isdisjoint(earlier.extra):
            for name, value in itertools.islice(earlier.extra.items(), _MAX_REPORTED):
                on_difference("kept", f"{path}.{name}", value, UNSET)
            return earlier.extra
    repaired = {name.removesuffix("_") for name in changed}
    fields = {field.name.removesuffix("_"): _value(later, field.name) for field in later.__attrs_attrs__}
    items = {name: value for name, value in later.extra.items() if name not in repaired}
    reported = 0
    for name, value in earlier.extra.items():
        unsaid = name not in repaired and not says_something(fields[name]) if name in fields else True
        if unsaid and says_something(value) and not says_something(items.get(name)):
            reported += 1
            if reported <= _MAX_REPORTED:
                on_difference("kept", f"{path}.{name}", value, items.get(name, UNSET))
            items[name] = value
    absent = getattr(later.extra, "absent", frozenset[str]()) - repaired - items.keys()
    # A constant, such as `type`, is no field: it is there if either statement has it.
    absent = frozenset(name for name in absent if name in fields or name in getattr(earlier.extra, "absent", ()))
    if items == later.extra and absent == getattr(later.extra, "absent", frozenset()):
        return later.extra
    return Extra(items, absent) if items or absent else EMPTY


def _merge_objects(earlier: Any, later: Any, on_difference: OnDifference, path: str) -> Any:
    """Merge raw JSON objects, as unknown items have them."""
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    merged: dict[str, Any] = {**later}
    for name, value in earlier.items():
        place = f"{path}.{name}"
        if name in BY_INDEX and isinstance(value, list) and isinstance(later.get(name), list):
            merged[name] = merge_lists(dict(enumerate(value)), later[name], on_difference, path=place)
        elif not (name in MAY_DIFFER and says_something(later.get(name))):
            value = merge(value, later.get(name, UNSET), on_difference, path=place)
            if value is not UNSET:
                merged[name] = value
    return later if merged == later else merged
