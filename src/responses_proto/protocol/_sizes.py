"""Check items and answers that a server sends as a whole against the limits that also apply to streamed items."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..codec._specs import model_spec
from ..limits import Limits
from ..models._base import Model, Unknown
from ..typing import UNSET
from .state import DELTA_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

UNBOUNDED: Final = Limits(**{field.name: sys.maxsize for field in attrs.fields(Limits)})
"""Limits that nothing exceeds."""
_LISTS: Final = ("output", "data")
"""The fields that hold items: ``output`` in responses and compactions, ``data`` in lists."""
_SMALL: Final = frozenset({int, float, bool, type(UNSET), dict})
_unbounded_fields_of: Final[dict[type[Model], tuple[str, ...]]] = {}  # a cache
TEXT_NAMES: Final = frozenset(field.field.rpartition(".")[2] for field in DELTA_FIELDS if field.field) | {
    "stdout",
    "stderr",
}
"""The last step of a path that leads to a text."""


def check_answer(answer: object, size: int, limits: Limits) -> None:
    """Raise ``LimitExceeded`` if an answer of ``size`` bytes, or any part of it, exceeds the limits."""
    limits.check("max_response_bytes", size)
    for name in _LISTS:
        items: Any = getattr(answer, name, None)
        if isinstance(items, list):
            check_items(cast("Any", items), limits)


def check_items(items: Sequence[Any], limits: Limits) -> None:
    """Raise ``LimitExceeded`` if there are too many items, or if an item exceeds the limits."""
    limits.check("max_output_items", len(items))
    for item in items:
        check_statement(item, limits)


def check_statement(value: Any, limits: Limits, name: str = "text") -> None:
    """Raise ``LimitExceeded`` if a list or text in an item, or in a part of one, exceeds the limits.

    Raw JSON is not checked, because it is bounded by the size of the event. ``name``: the name of the field that has ``value``.
    """
    if isinstance(value, str):
        if len(value) > limits.max_text_chars:
            limits.check("max_text_chars", len(value))
    elif isinstance(value, list):
        elements: list[Any] = cast("Any", value)
        if name == "logprobs":
            limits.check("max_text_chars", len(elements))
            return
        limits.check("max_content_parts", len(elements))
        for element in elements:
            check_statement(element, limits)
    elif isinstance(value, Model) and not isinstance(value, Unknown):
        for field in _unbounded_fields(value.__class__):
            inner = getattr(value, field)
            if inner and inner.__class__ not in _SMALL:
                check_statement(inner, limits, field)


def _unbounded_fields(cls: type[Model]) -> tuple[str, ...]:
    """Return the names of the fields of a class that may be large. Most fields may not: they are numbers, or short texts such as ids."""
    names = _unbounded_fields_of.get(cls)
    if names is None:
        names = _unbounded_fields_of[cls] = tuple(
            field.name
            for field in model_spec(cls).fields
            if not field.shape.plain or (field.name in TEXT_NAMES and str in field.shape.scalars)
        )
    return names
