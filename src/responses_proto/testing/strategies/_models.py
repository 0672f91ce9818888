"""Models and their wire objects, made from what the classes say of their fields."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from hypothesis import strategies as st

from ...codec import load
from ...codec._specs import ValueSpec, model_spec, value_spec
from ...exceptions import LocalProtocolError
from ...models.content import Content
from ...models.events import Event
from ...models.items import Item
from ...models.request import CreateResponse
from ...models.response import Response
from ...models.tools import Tool

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy
    from typing_extensions import TypeForm  # for the type checker, which brings it

    from ...models._base import Model
    from ...typing import JSONObject, JSONValue

__all__ = [
    "contents",
    "events",
    "fields",
    "items",
    "json_values",
    "models",
    "payloads",
    "requests",
    "responses",
    "tools",
    "unknown_objects",
    "values",
]

T = TypeVar("T")

_DEEP: Final = 5  # levels, after which lists of models are empty and other ways are preferred to a model
_TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=8)
# Low surrogates only: a high one followed by a low one would be one character when it is read back.
_ODD_TEXT: Final = st.text(
    st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC00, max_codepoint=0xDFFF), max_size=8
)
_SLUG: Final = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
_FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
_INTEGERS: Final = st.integers(-(2**63), 2**64 - 1)


def json_values() -> SearchStrategy[JSONValue]:
    """Make JSON values of any kind, a few levels deep."""
    return _json


_json: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | _ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
# Not the names of fields, nor of what may become one: the specification has no dash in a name.
_unknown_fields: Final[SearchStrategy[dict[str, Any]]] = st.dictionaries(
    _ODD_TEXT.map(lambda name: f"x-{name}"), _json, max_size=2
)


def unknown_objects() -> SearchStrategy[dict[str, Any]]:
    """Make objects of types that only one server knows."""
    return st.builds(_of_slug, _SLUG, _unknown_fields)


def _of_slug(slug: str, more: dict[str, Any]) -> dict[str, Any]:
    return {**more, "type": f"acme:{slug}"}


@overload
def models(cls: type[T], *, beyond: bool = False) -> SearchStrategy[T]: ...
@overload
def models(cls: TypeForm[T], *, beyond: bool = False) -> SearchStrategy[T]: ...
def models(cls: Any, *, beyond: bool = False) -> SearchStrategy[Any]:
    """Make models: ``cls`` is a class, or one of the unions (``Event``, ``Item``, …).

    With ``beyond``, they also carry what the specification does not have. Raises ``LocalProtocolError`` for what is no model.
    """
    return payloads(cls, beyond=beyond).map(lambda payload: load(payload, cls))


def payloads(cls: Any, *, beyond: bool = False) -> SearchStrategy[JSONObject]:
    """Make wire objects that fit a class or a union; as :func:`models`, before they are loaded."""
    try:
        shape = value_spec(cls)
    except TypeError:
        shape = ValueSpec()
    if not shape.models:
        raise LocalProtocolError(f"{cls!r} is no model, nor a union of models")
    arms: list[SearchStrategy[Any]] = [fields(arm, beyond=beyond) for arm in shape.models]
    if beyond and shape.unknown is not None:
        arms.append(unknown_objects())
    return st.one_of(arms)


def events(*, beyond: bool = False) -> SearchStrategy[Event]:
    """Make events of any type. For events that follow each other, see :func:`streams`."""
    return models(Event, beyond=beyond)


def items(*, beyond: bool = False) -> SearchStrategy[Item]:
    """Make items of any type, of input and of output."""
    return models(Item, beyond=beyond)


def contents(*, beyond: bool = False) -> SearchStrategy[Content]:
    """Make content parts of any type."""
    return models(Content, beyond=beyond)


def tools(*, beyond: bool = False) -> SearchStrategy[Tool]:
    """Make tools of any type."""
    return models(Tool, beyond=beyond)


def requests(*, beyond: bool = False) -> SearchStrategy[CreateResponse]:
    """Make requests for a response."""
    return models(CreateResponse, beyond=beyond)


def responses(*, beyond: bool = False) -> SearchStrategy[Response]:
    """Make responses, of any status, whatever their output says. For one that a stream adds up to, see :func:`streams`."""
    return models(Response, beyond=beyond)


@st.composite
def fields(draw: DrawFn, cls: type[Model], depth: int = 0, *, beyond: bool = False) -> dict[str, Any]:
    """Make wire objects of one class: what it requires, and a few of its other fields."""
    plan = model_spec(cls)
    optional = [field for field in plan.fields if not field.required]
    chosen = (
        draw(st.lists(st.sampled_from(optional), max_size=4, unique_by=lambda field: field.wire)) if optional else []
    )
    known = {
        field.wire: draw(values(field.shape, depth + 1, beyond=beyond))
        for field in plan.fields
        if field.required or field in chosen
    }
    return {**plan.constants, **known, **(draw(_unknown_fields) if beyond else {})}


@functools.cache  # a union of all items would be put together again for each field of each response
def values(shape: ValueSpec, depth: int = 0, *, beyond: bool = False) -> SearchStrategy[Any]:
    """Make JSON values that an annotation admits."""
    if shape.anything:
        return _json
    text = _ODD_TEXT if beyond else _TEXT
    scalars: dict[type, SearchStrategy[Any]] = {
        str: text if beyond or not shape.known else st.sampled_from(shape.known),
        int: _INTEGERS,
        float: _FLOATS,
        bool: st.booleans(),
    }
    kinds = [scalars[kind] for kind in sorted(shape.scalars, key=str)]
    if beyond and shape.known:
        kinds.append(st.sampled_from(shape.known))
    if shape.null:
        kinds.append(st.none())
    if shape.items is not None:
        inner = values(shape.items, depth + 1, beyond=beyond)
        kinds.append(st.lists(inner, max_size=2) if depth < _DEEP or not shape.items.models else st.builds(list[Any]))
    if shape.values is not None and not shape.models:
        kinds.append(st.dictionaries(text, values(shape.values, depth + 1, beyond=beyond), max_size=2))
    if shape.models and (depth < _DEEP or not kinds):
        kinds += [fields(cls, depth + 1, beyond=beyond) for cls in shape.models]
    if shape.unknown and (beyond or not kinds):
        kinds.append(unknown_objects())
    return st.one_of(kinds)
