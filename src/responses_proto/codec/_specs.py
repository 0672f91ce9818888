"""Read the annotations of models into specs: which JSON values a field accepts.

A :class:`ValueSpec` is an annotation, sorted by JSON kind. The kind of a JSON value selects the member of a union; the ``type`` selects
among objects. So decoding a union needs no trial and error.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
from typing import Any, ClassVar, Final, Literal, TypeVar, Union, get_args, get_origin

import attrs

from ..models._base import Model, Unknown
from ..typing import UNSET, Unset

_SCALARS: Final = (str, int, float, bool)
_LISTS: Final = (list, collections.abc.Sequence, tuple)
_MAPS: Final = (dict, collections.abc.Mapping)
_NO_DEFAULT: Final = attrs.NOTHING

# Not functools.cache: mypy assumes that a class with `__hash__ = None` is not hashable itself.
_VALUE_SPECS: Final[dict[Any, ValueSpec]] = {}
_MODEL_SPECS: Final[dict[type[Model], ModelSpec]] = {}


@attrs.frozen
class ValueSpec:
    """The JSON values that an annotation accepts, by kind."""

    scalars: frozenset[type] = frozenset()
    """Which of ``str``, ``int``, ``float`` and ``bool`` are accepted."""
    known: tuple[str, ...] = ()
    """The strings that an enumeration lists. Decoding accepts all others too."""
    null: bool = False
    unset: bool = False
    anything: bool = False
    items: ValueSpec | None = None
    """The spec of the elements, if an array is accepted."""
    values: ValueSpec | None = None
    """The spec of the values, if an object with arbitrary keys is accepted."""
    models: tuple[type[Model], ...] = ()
    """The classes for objects, except ``unknown``."""
    unknown: type[Unknown] | None = None
    """The class for objects whose ``type`` matches none of ``models``."""

    @property
    def plain(self) -> bool:
        """Whether a test of the value's Python type is enough to decode it."""
        return not (self.anything or self.models or self.unknown or self.values or self.items)

    def neutral(self) -> Any:  # noqa: PLR0911 - one return per kind
        """Return the value of a field that is missing on the wire or has a value of another kind."""
        if self.unset:
            return UNSET
        if self.null or self.anything:
            return None
        if self.scalars:
            kind = next(scalar for scalar in (str, float, int, bool) if scalar in self.scalars)
            return 0 if kind is float else kind()
        if self.items is not None:
            return []
        if self.unknown is not None:
            return self.unknown()
        if self.models:
            return model_spec(self.models[0]).blank()
        return {}


def is_model(tp: Any) -> bool:
    return isinstance(tp, type) and issubclass(tp, Model)


def is_model_union(tp: Any) -> bool:
    return get_origin(tp) in (Union, types.UnionType) and any(is_model(arm) for arm in get_args(tp))


def value_spec(tp: Any) -> ValueSpec:
    """Return the spec of an annotation, from a cache. Raises ``TypeError`` for an annotation that is not supported."""
    spec = _VALUE_SPECS.get(tp)
    if spec is None:
        spec = _VALUE_SPECS[tp] = _read_annotation(tp)
    return spec


def _read_annotation(tp: Any) -> ValueSpec:  # noqa: PLR0911 - one return per form of annotation
    if tp is Any or isinstance(tp, TypeVar):
        return ValueSpec(anything=True)
    if tp is None or tp is type(None):
        return ValueSpec(null=True)
    if tp is Unset:
        return ValueSpec(unset=True)
    if tp in _SCALARS:
        # JSON writers may write 1.0 as 1, so a float field accepts an int, and keeps it.
        return ValueSpec(scalars=frozenset({float, int} if tp is float else {tp}))
    if is_model(tp):
        return ValueSpec(unknown=tp) if issubclass(tp, Unknown) else ValueSpec(models=(tp,))
    origin, args = get_origin(tp), get_args(tp)
    if origin is Literal:
        kinds: set[type] = {kind for kind in _SCALARS if any(type(value) is kind for value in args)}
        known = tuple(value for value in args if isinstance(value, str))
        return ValueSpec(scalars=frozenset(kinds), known=known, null=None in args)
    if origin in (Union, types.UnionType):
        return functools.reduce(_union, map(value_spec, args))
    if origin in _LISTS or tp in _LISTS:
        return ValueSpec(items=value_spec(args[0]) if args else ValueSpec(anything=True))
    if origin in _MAPS or tp in _MAPS:
        return ValueSpec(values=value_spec(args[1]) if args else ValueSpec(anything=True))
    message = f"the codec does not support the annotation {tp!r}"
    raise TypeError(message)


def _union(one: ValueSpec, other: ValueSpec) -> ValueSpec:
    return ValueSpec(
        scalars=one.scalars | other.scalars,
        known=tuple(dict.fromkeys(one.known + other.known)),
        null=one.null or other.null,
        unset=one.unset or other.unset,
        anything=one.anything or other.anything,
        items=_optional_union(one.items, other.items),
        values=_optional_union(one.values, other.values),
        models=tuple(dict.fromkeys(one.models + other.models)),
        unknown=one.unknown or other.unknown,
    )


def _optional_union(one: ValueSpec | None, other: ValueSpec | None) -> ValueSpec | None:
    return _union(one, other) if one is not None and other is not None else one or other


@attrs.frozen
class FieldSpec:
    """A field of a model on the wire."""

    name: str
    wire: str
    required: bool
    secret: bool
    """Whether the value is hidden in reprs and findings."""
    shape: ValueSpec
    """The values that the field accepts."""


@attrs.frozen
class ModelSpec:
    """A model on the wire."""

    cls: type[Model]
    constants: dict[str, str]
    """Wire name -> the string that the field always has."""
    fields: tuple[FieldSpec, ...]

    @functools.cached_property
    def by_wire(self) -> dict[str, FieldSpec]:
        """Wire name -> field."""
        return {field.wire: field for field in self.fields}

    def blank(self) -> Model:
        """Return an instance whose fields are all neutral."""
        return self.cls(**{field.name: field.shape.neutral() for field in self.fields if field.required})


def model_spec(cls: type[Model]) -> ModelSpec:
    """Return the spec of a model class, from a cache."""
    spec = _MODEL_SPECS.get(cls)
    if spec is None:
        spec = _MODEL_SPECS[cls] = _read_model(cls)
    return spec


def tag_of(cls: type[Model]) -> str | None:
    """Return the wire string of a class, its ``type``; ``None`` if it has none.

    This reads no annotations, because in a union of a hundred members that would take most of the time of the first decoding.
    """
    tag: object = getattr(cls, "type", None)  # a descriptor if `type` is a field of the class
    return tag if isinstance(tag, str) else None


def _read_model(cls: type[Model]) -> ModelSpec:
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(Model)]):
        hints.update(inspect.get_annotations(base, eval_str=True))
    constants = {
        name.removesuffix("_"): getattr(cls, name)
        for name, hint in hints.items()
        if get_origin(hint) is ClassVar and isinstance(getattr(cls, name, None), str) and not name.startswith("_")
    }
    for a in cls.__attrs_attrs__:
        if a.name != "extra" and a.default is not _NO_DEFAULT and a.default is not UNSET:
            message = f"{cls.__name__}.{a.name}: the default must be UNSET, got {a.default!r}"
            raise TypeError(message)
    fields = tuple(
        FieldSpec(a.name, a.name.removesuffix("_"), a.default is _NO_DEFAULT, not a.repr, value_spec(hints[a.name]))
        for a in cls.__attrs_attrs__
        if a.name != "extra"
    )
    return ModelSpec(cls, constants, fields)
