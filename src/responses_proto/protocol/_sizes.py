"""Check what a server states at once, an item or a whole answer, against the limits that also hold for what grows by events."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..limits import Limits
from ..models._base import Model, Unknown
from ..typing import UNSET
from ._merge import field_names
from .state import DELTA_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UNBOUNDED", "check_answer", "check_items", "check_statement"]

UNBOUNDED: Final = Limits(**{field.name: sys.maxsize for field in attrs.fields(Limits)})
"""Limits that nothing exceeds."""
_LISTS: Final = ("output", "data")
"""The fields in which answers have items: responses and compactions, and lists."""
_SMALL: Final = frozenset({str, int, float, bool, type(None), type(UNSET), dict})
_TEXTS: Final = frozenset(field.field.rpartition(".")[2] for field in DELTA_FIELDS if field.field) | {
    "stdout",
    "stderr",
}


def check_answer(answer: object, size: int, limits: Limits) -> None:
    """Raise ``LimitExceeded`` for an answer of ``size`` bytes, if it or what is in it is larger than the limits."""
    limits.check("max_response_bytes", size)
    for name in _LISTS:
        items: Any = getattr(answer, name, None)
        if isinstance(items, list):
            check_items(cast("Any", items), limits)


def check_items(items: Sequence[Any], limits: Limits) -> None:
    """Raise ``LimitExceeded`` for too many items, and for an item that is larger than the limits."""
    limits.check("max_output_items", len(items))
    for item in items:
        check_statement(item, limits)


def check_statement(value: Any, limits: Limits, name: str = "text") -> None:
    """Raise ``LimitExceeded`` for an item, or a part of one, whose lists or texts are larger than the limits.

    Raw JSON in it is not looked at: it is bounded by the size of the event. ``name`` is that of the field.
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
        for field in field_names(value.__class__):
            inner = getattr(value, field)
            # Most fields are texts that do not grow, such as ids, or are absent.
            if inner.__class__ not in _SMALL or (field in _TEXTS and inner.__class__ is str):
                check_statement(inner, limits, field)
