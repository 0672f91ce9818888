"""Strategies for models and their wire objects, generated from the fields of the classes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from hypothesis import strategies as st

from ...codec import load
from ...codec._specs import ValueSpec, model_spec, value_spec
from ...exceptions import UsageError
from ...models.content import Content
from ...models.events import Event
from ...models.items import Item
from ...models.request import CreateResponse
from ...models.response import Response
from ...models.tools import Tool

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy
    from typing_extensions import TypeForm  # type checkers bundle it

    from ...models._base import Model
    from ...typing import JSONObject, JSONValue

T = TypeVar("T")

_MAX_DEPTH: Final = 5  # levels; below that, lists of models are empty and other alternatives are preferred to models
_TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=8)
# Without high surrogates: JSON parsers combine a high and a low surrogate into one character.
_ODD_TEXT: Final = st.text(
    st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC00, max_codepoint=0xDFFF), max_size=8
)
_SLUG: Final = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
_FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
_INTEGERS: Final = st.integers(-(2**63), 2**64 - 1)


def json_values() -> SearchStrategy[JSONValue]:
    """Return a strategy for JSON values of any type, a few levels deep."""
    return _json


_json: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | _ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
# With a dash, which no present or future field of the specification has.
_unknown_fields: Final[SearchStrategy[dict[str, Any]]] = st.dictionaries(
    _ODD_TEXT.map(lambda name: f"x-{name}"), _json, max_size=2
)


def unknown_objects() -> SearchStrategy[dict[str, Any]]:
    """Return a strategy for wire objects of unknown types, such as ``acme:thing``."""
    return st.builds(_unknown_object, _SLUG, _unknown_fields)


def _unknown_object(slug: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "type": f"acme:{slug}"}


@overload
def models(cls: type[T], *, beyond: bool = False) -> SearchStrategy[T]: ...
@overload
def models(cls: TypeForm[T], *, beyond: bool = False) -> SearchStrategy[T]: ...
def models(cls: Any, *, beyond: bool = False) -> SearchStrategy[Any]:
    """Return a strategy for models.

    ``cls``: a model class, or a union of models (``Event``, ``Item``, …).
    ``beyond``: whether to add unknown fields, types and values.

    Raises ``UsageError`` for any other type.
    """
    return payloads(cls, beyond=beyond).map(lambda payload: load(payload, cls))


def payloads(cls: Any, *, beyond: bool = False) -> SearchStrategy[JSONObject]:
    """Return a strategy for wire objects that fit a class or a union. The arguments are those of :func:`models`."""
    try:
        spec = value_spec(cls)
    except TypeError:
        spec = ValueSpec()
    if not spec.models:
        raise UsageError(f"{cls!r} is not a model class or a union of them")
    alternatives: list[SearchStrategy[Any]] = [fields(model, beyond=beyond) for model in spec.models]
    if beyond and spec.unknown is not None:
        alternatives.append(unknown_objects())
    return st.one_of(alternatives)


def events(*, beyond: bool = False) -> SearchStrategy[Event]:
    """Return a strategy for single events of any type. For sequences of events see :func:`streams`."""
    return models(Event, beyond=beyond)


def items(*, beyond: bool = False) -> SearchStrategy[Item]:
    """Return a strategy for input and output items of any type."""
    return models(Item, beyond=beyond)


def contents(*, beyond: bool = False) -> SearchStrategy[Content]:
    """Return a strategy for content parts of any type."""
    return models(Content, beyond=beyond)


def tools(*, beyond: bool = False) -> SearchStrategy[Tool]:
    """Return a strategy for tools of any type."""
    return models(Tool, beyond=beyond)


def requests(*, beyond: bool = False) -> SearchStrategy[CreateResponse]:
    """Return a strategy for requests that create a response."""
    return models(CreateResponse, beyond=beyond)


def responses(*, beyond: bool = False) -> SearchStrategy[Response]:
    """Return a strategy for responses. Status and output need not agree; for consistent responses see :func:`streams`."""
    return models(Response, beyond=beyond)


@st.composite
def fields(draw: DrawFn, cls: type[Model], depth: int = 0, *, beyond: bool = False) -> dict[str, Any]:
    """Draw a wire object of one class: its required fields and a few others."""
    spec = model_spec(cls)
    optional = [field for field in spec.fields if not field.required]
    chosen = (
        draw(st.lists(st.sampled_from(optional), max_size=4, unique_by=lambda field: field.wire)) if optional else []
    )
    known = {
        field.wire: draw(values(field.shape, depth + 1, beyond=beyond))
        for field in spec.fields
        if field.required or field in chosen
    }
    return {**spec.constants, **known, **(draw(_unknown_fields) if beyond else {})}


@functools.cache  # because building the union of all items for every field of every response is slow
def values(spec: ValueSpec, depth: int = 0, *, beyond: bool = False) -> SearchStrategy[Any]:
    """Return a strategy for the JSON values of a field."""
    if spec.anything:
        return _json
    text = _ODD_TEXT if beyond else _TEXT
    scalars: dict[type, SearchStrategy[Any]] = {
        str: text if beyond or not spec.known else st.sampled_from(spec.known),
        int: _INTEGERS,
        float: _FLOATS,
        bool: st.booleans(),
    }
    kinds = [scalars[kind] for kind in sorted(spec.scalars, key=str)]
    if beyond and spec.known:
        kinds.append(st.sampled_from(spec.known))
    if spec.null:
        kinds.append(st.none())
    if spec.items is not None:
        inner = values(spec.items, depth + 1, beyond=beyond)
        kinds.append(
            st.lists(inner, max_size=2) if depth < _MAX_DEPTH or not spec.items.models else st.builds(list[Any])
        )
    if spec.values is not None and not spec.models:
        kinds.append(st.dictionaries(text, values(spec.values, depth + 1, beyond=beyond), max_size=2))
    if spec.models and (depth < _MAX_DEPTH or not kinds):
        kinds += [fields(cls, depth + 1, beyond=beyond) for cls in spec.models]
    if spec.unknown and (beyond or not kinds):
        kinds.append(unknown_objects())
    return st.one_of(kinds)
