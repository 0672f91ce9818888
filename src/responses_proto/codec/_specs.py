"""What an annotation admits: the JSON kinds of a field, read once per class.

A *shape* is an annotation sorted by JSON kind. Since JSON tells its kinds apart, a union needs no trial and error:
the kind of the value picks the arm, and among objects the ``type`` does.
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

__all__ = ["FieldSpec", "ModelSpec", "ValueSpec", "is_model", "is_model_union", "model_spec", "tag_of", "value_spec"]

_SCALARS: Final = (str, int, float, bool)
_LISTS: Final = (list, collections.abc.Sequence, tuple)
_MAPS: Final = (dict, collections.abc.Mapping)
_NOTHING: Final = attrs.NOTHING

# By hand rather than with functools: mypy takes a class without instances that hash for one that does not hash itself.
_SHAPES: Final[dict[Any, ValueSpec]] = {}
_PLANS: Final[dict[type[Model], ModelSpec]] = {}


@attrs.frozen
class ValueSpec:
    """The JSON kinds that an annotation admits."""

    scalars: frozenset[type] = frozenset()
    known: tuple[str, ...] = ()
    """The strings that an enumeration names. Decoding admits any other as well."""
    null: bool = False
    unset: bool = False
    anything: bool = False
    items: ValueSpec | None = None
    """Shape of the elements, where an array is admitted."""
    values: ValueSpec | None = None
    """Shape of the values, where an object with free keys is admitted."""
    models: tuple[type[Model], ...] = ()
    unknown: type[Unknown] | None = None
    """The class for objects that fit none of ``models``."""

    @property
    def plain(self) -> bool:
        """Whether a test of the value's Python type is all there is to decoding."""
        return not (self.anything or self.models or self.unknown or self.values or self.items)

    def neutral(self) -> Any:  # noqa: PLR0911 - one line for each kind
        """Make the value of a field that the wire left out, or filled with something else."""
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
    """Whether ``tp`` is a model class that the codec decodes field by field."""
    return isinstance(tp, type) and issubclass(tp, Model)


def is_model_union(tp: Any) -> bool:
    """Whether ``tp`` is a union with at least one model in it."""
    return get_origin(tp) in (Union, types.UnionType) and any(is_model(arm) for arm in get_args(tp))


def value_spec(tp: Any) -> ValueSpec:
    """Sort an annotation by JSON kind, once. Raises ``TypeError`` for one that JSON cannot tell apart."""
    shape = _SHAPES.get(tp)
    if shape is None:
        shape = _SHAPES[tp] = _sorted(tp)
    return shape


def _sorted(tp: Any) -> ValueSpec:  # noqa: PLR0911 - one line for each form of annotation
    if tp is Any or isinstance(tp, TypeVar):
        return ValueSpec(anything=True)
    if tp is None or tp is type(None):
        return ValueSpec(null=True)
    if tp is Unset:
        return ValueSpec(unset=True)
    if tp in _SCALARS:
        # JSON writes 1.0 as 1 where it likes, so a float field admits an int, and keeps it one.
        return ValueSpec(scalars=frozenset({float, int} if tp is float else {tp}))
    if is_model(tp):
        return ValueSpec(unknown=tp) if issubclass(tp, Unknown) else ValueSpec(models=(tp,))
    origin, args = get_origin(tp), get_args(tp)
    if origin is Literal:
        kinds: set[type] = {kind for kind in _SCALARS if any(type(value) is kind for value in args)}
        known = tuple(value for value in args if isinstance(value, str))
        return ValueSpec(scalars=frozenset(kinds), known=known, null=None in args)
    if origin in (Union, types.UnionType):
        return functools.reduce(_either, map(value_spec, args))
    if origin in _LISTS or tp in _LISTS:
        return ValueSpec(items=value_spec(args[0]) if args else ValueSpec(anything=True))
    if origin in _MAPS or tp in _MAPS:
        return ValueSpec(values=value_spec(args[1]) if args else ValueSpec(anything=True))
    message = f"the codec has no rule for the annotation {tp!r}"
    raise TypeError(message)


def _either(one: ValueSpec, other: ValueSpec) -> ValueSpec:
    return ValueSpec(
        scalars=one.scalars | other.scalars,
        known=tuple(dict.fromkeys(one.known + other.known)),
        null=one.null or other.null,
        unset=one.unset or other.unset,
        anything=one.anything or other.anything,
        items=_both(one.items, other.items),
        values=_both(one.values, other.values),
        models=tuple(dict.fromkeys(one.models + other.models)),
        unknown=one.unknown or other.unknown,
    )


def _both(one: ValueSpec | None, other: ValueSpec | None) -> ValueSpec | None:
    return _either(one, other) if one is not None and other is not None else one or other


@attrs.frozen
class FieldSpec:
    """One field of a model, as the wire sees it."""

    name: str
    wire: str
    required: bool
    secret: bool
    """Whether its value must not be shown, in a finding as little as in a repr."""
    shape: ValueSpec


@attrs.frozen
class ModelSpec:
    """A model, as the wire sees it."""

    cls: type[Model]
    constants: dict[str, str]
    """Wire name -> the one string it has."""
    fields: tuple[FieldSpec, ...]

    @functools.cached_property
    def by_wire(self) -> dict[str, FieldSpec]:
        """Wire name -> field."""
        return {field.wire: field for field in self.fields}

    def blank(self) -> Model:
        """Make an instance with every field neutral."""
        return self.cls(**{field.name: field.shape.neutral() for field in self.fields if field.required})


def model_spec(cls: type[Model]) -> ModelSpec:
    """Read a model class, once."""
    plan = _PLANS.get(cls)
    if plan is None:
        plan = _PLANS[cls] = _read(cls)
    return plan


def tag_of(cls: type[Model]) -> str | None:
    """Give the wire string that tells a class from others in a union; ``None`` if it has none. Reads no annotations.

    Unions have a hundred members, and reading the annotations of all would be most of the time of a first decoding.
    """
    tag: object = getattr(cls, "type", None)  # of a class where it is a field, this is a descriptor
    return tag if isinstance(tag, str) else None


def _read(cls: type[Model]) -> ModelSpec:
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(Model)]):
        hints.update(inspect.get_annotations(base, eval_str=True))
    constants = {
        name.removesuffix("_"): getattr(cls, name)
        for name, hint in hints.items()
        if get_origin(hint) is ClassVar and isinstance(getattr(cls, name, None), str) and not name.startswith("_")
    }
    for a in cls.__attrs_attrs__:
        if a.name != "extra" and a.default is not _NOTHING and a.default is not UNSET:
            message = f"{cls.__name__}.{a.name}: a field that may be absent has the default UNSET, nothing else"
            raise TypeError(message)
    fields = tuple(
        FieldSpec(a.name, a.name.removesuffix("_"), a.default is _NOTHING, not a.repr, value_spec(hints[a.name]))
        for a in cls.__attrs_attrs__
        if a.name != "extra"
    )
    return ModelSpec(cls, constants, fields)
