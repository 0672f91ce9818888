"""From type annotations to shapes (see :mod:`._shapes`): classes, typed dictionaries, unions, lists and the rest.

What a type cannot say in the strict subset is refused here, with the path to it, before anything is sent.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections import abc
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
)

import attrs

from ..exceptions import LocalProtocolError
from ._pydantic import Foreign, is_foreign
from ._shapes import SCALARS, Alias, Array, Choice, Described, Object, ObjectField, Shape, Tuple, Union

__all__ = ["plan", "plan_fields", "type_name"]

_ARRAYS: Final[dict[Any, Any]] = {
    list: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    set: set,
    abc.Set: frozenset,
    abc.MutableSet: set,
    frozenset: frozenset,
}
_MAPPINGS: Final = (dict, abc.Mapping, abc.MutableMapping)
_CLOSED: Final = "the strict subset has no objects with free keys: use a class, or a list of pairs"


def plan(annotation: Any) -> Shape:
    """Give the shape of a type. Raises ``LocalProtocolError`` with the path of what cannot be said."""
    return _Planner().plan(annotation, "$", {})


def plan_fields(name: str, fields: abc.Mapping[str, tuple[Any, bool, str]]) -> Object:
    """Give the shape of a dictionary of given keys; for each its type, whether it may be left out, and a description."""
    planner = _Planner()
    made = [
        ObjectField(
            wire=wire, shape=planner.plan(annotation, f"$.{wire}", {}), optional=optional, description=description
        )
        for wire, (annotation, optional, description) in fields.items()
    ]
    return Object(name=name, build=dict, fields=tuple(made))


def type_name(annotation: Any) -> str:
    """Give a type's name for people; empty if it has none of its own."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if isinstance(origin, type) and arguments and not _is_builtin(origin):
        return "_".join((origin.__name__, *filter(None, map(type_name, arguments))))
    name = getattr(annotation, "__name__", "")
    return name if isinstance(name, str) and origin is None else ""


def _is_builtin(cls: type) -> bool:
    return cls.__module__ in ("builtins", "collections.abc", "typing", "types")


@attrs.frozen(kw_only=True)
class _Member:
    name: str
    annotation: Any
    optional: bool
    description: str = ""


class _Planner:
    """Plans one type. Classes are planned once, so that they can contain themselves."""

    def __init__(self) -> None:
        self._made: dict[Any, Shape] = {}
        self._aliases: dict[str, Alias] = {}  # which can name themselves in a string only, before Python 3.12

    def plan(self, annotation: Any, path: str, bound: abc.Mapping[Any, Any]) -> Shape:
        """``bound`` has what the type parameters around stand for."""
        if isinstance(annotation, TypeVar):
            if annotation not in bound:
                raise LocalProtocolError(f"{path}: nothing says what {annotation} stands for")
            return self.plan(bound[annotation], path, {})
        if annotation is None:
            return SCALARS[type(None)]
        if isinstance(annotation, type) and annotation in SCALARS:
            return SCALARS[annotation]
        name = _name_in(annotation)
        if name in self._aliases:
            return self._aliases[name]
        return self._beyond_scalars(annotation, path, bound)

    def _beyond_scalars(self, annotation: Any, path: str, bound: abc.Mapping[Any, Any]) -> Shape:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            shape = self.plan(arguments[0], path, bound)
            texts: list[str] = [text for text in map(_text_of, arguments[1:]) if text]
            return Described(shape, texts[0]) if texts else shape
        if origin is typing.Union or origin is types.UnionType:
            return self._union(arguments, path, bound)
        if origin is Literal:
            return _choice([(v.value if isinstance(v, enum.Enum) else v, v) for v in arguments], path)
        if hasattr(annotation, "__supertype__"):  # NewType
            return self.plan(annotation.__supertype__, path, bound)
        if type(origin or annotation).__name__ == "TypeAliasType":
            return self._alias(annotation, path, bound)
        return self._class(annotation, origin or annotation, arguments, path, bound)

    def _class(
        self, annotation: Any, cls: Any, arguments: tuple[Any, ...], path: str, bound: abc.Mapping[Any, Any]
    ) -> Shape:
        if cls is tuple:
            return self._tuple(arguments, path, bound)
        if cls in _ARRAYS:
            if not arguments:
                raise LocalProtocolError(f"{path}: {_shown(annotation)} does not say of what")
            return Array(self.plan(arguments[0], f"{path}[]", bound), _ARRAYS[cls])
        if cls in _MAPPINGS:
            raise LocalProtocolError(f"{path}: {_shown(annotation)} cannot be asked for; {_CLOSED}")
        if not _is_class(cls):
            raise LocalProtocolError(f"{path}: {_shown(annotation)} cannot be asked for; it says nothing of the value")
        if _is(cls, enum.Enum):
            return _choice([(member.value, member) for member in cls], path, description_of(cls))
        if is_foreign(cls):
            # A generic model of pydantic's is a class of its own, its parameters filled in.
            return self._once(cls, lambda: Foreign.of(cls, path))
        members = _members(cls, path)
        if members is None:
            raise LocalProtocolError(
                f"{path}: {_shown(annotation)} cannot be asked for; use a class of attrs, dataclasses or pydantic, a TypedDict, ..."
            )
        return self._object(cls, arguments, members, path, bound)

    def _object(
        self,
        cls: Any,
        arguments: tuple[Any, ...],
        members: list[_Member],
        path: str,
        bound: abc.Mapping[Any, Any],
    ) -> Shape:
        given = tuple(_filled(argument, bound) for argument in arguments)
        key = (cls, given)
        if key in self._made:
            return self._made[key]
        name = "_".join((cls.__name__, *filter(None, map(type_name, given))))
        made = self._made[key] = Object(name=name, build=cls, description=description_of(cls))
        parameters = dict(zip(getattr(cls, "__parameters__", ()), given, strict=False))
        made.fields = tuple(
            ObjectField(
                wire=member.name,
                shape=self.plan(member.annotation, f"{path}.{member.name}", parameters),
                optional=member.optional,
                description=member.description,
            )
            for member in members
        )
        return made

    def _once(self, key: Any, make: abc.Callable[[], Shape]) -> Shape:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _alias(self, annotation: Any, path: str, bound: abc.Mapping[Any, Any]) -> Shape:
        origin = get_origin(annotation) or annotation
        given = tuple(_filled(argument, bound) for argument in get_args(annotation))
        key = (origin, given)
        if key in self._made:
            return self._made[key]
        made = self._made[key] = self._aliases[origin.__name__] = Alias(origin.__name__)
        made.of = self.plan(origin.__value__, path, dict(zip(origin.__type_params__, given, strict=False)))
        return made

    def _union(self, arguments: tuple[Any, ...], path: str, bound: abc.Mapping[Any, Any]) -> Shape:
        options: list[Shape] = []
        for argument in arguments:
            shape = self.plan(argument, path, bound)
            options += shape.options if isinstance(shape, Union) else [shape]
        return Union(tuple(options))

    def _tuple(self, arguments: tuple[Any, ...], path: str, bound: abc.Mapping[Any, Any]) -> Shape:
        if not arguments:
            raise LocalProtocolError(f"{path}: tuple does not say of what")
        if len(arguments) == 2 and arguments[1] is ...:  # noqa: PLR2004 - tuple[X, ...]
            return Array(self.plan(arguments[0], f"{path}[]", bound), tuple)
        return Tuple(tuple(self.plan(argument, f"{path}[{i}]", bound) for i, argument in enumerate(arguments)))


def _name_in(annotation: Any) -> str:
    """Give the name that an annotation is, where it is one that was not resolved."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else ""


def _filled(argument: Any, bound: abc.Mapping[Any, Any]) -> Any:
    """Put what type parameters stand for into a type that names them."""
    if isinstance(argument, TypeVar):
        return bound.get(argument, argument)
    parameters = getattr(argument, "__parameters__", ()) if get_origin(argument) is not None else ()
    return argument[tuple(bound.get(parameter, parameter) for parameter in parameters)] if parameters else argument


def _choice(options: list[tuple[Any, Any]], path: str, description: str = "") -> Choice:
    for wire, _ in options:
        if type(wire) not in (str, int, float, bool, type(None)):
            raise LocalProtocolError(f"{path}: {wire!r} is no JSON string, number, boolean or null to choose")
    if not options:
        raise LocalProtocolError(f"{path}: an enumeration without members leaves nothing to choose")
    return Choice(tuple(options), description)


# ---- classes


def _members(cls: Any, path: str) -> list[_Member] | None:
    """Give the fields of a class, in order; ``None`` if it is of no kind that has fields."""
    if typing.is_typeddict(cls) or (_is(cls, dict) and hasattr(cls, "__total__")):
        return _members_of_dict(cls, _hints(cls, path))
    if attrs.has(cls):
        hints = _hints(cls, path)
        return [
            _Member(
                name=a.alias,
                annotation=hints[a.name] if a.name in hints else _untyped(f"{path}.{a.name}"),
                optional=a.default is not attrs.NOTHING,
                description=_described_in(a.metadata),
            )
            for a in attrs.fields(cls)
            if a.init
        ]
    if dataclasses.is_dataclass(cls):
        hints = _hints(cls, path)
        return [
            _Member(
                name=field.name,
                annotation=hints[field.name],
                optional=field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING,
                description=_described_in(field.metadata),
            )
            for field in dataclasses.fields(cls)
            if field.init
        ]
    if _is(cls, tuple) and hasattr(cls, "_field_defaults"):
        defaults = cls._field_defaults
        return [
            _Member(name=name, annotation=annotation, optional=name in defaults)
            for name, annotation in _hints(cls, path).items()
        ]
    return None


def _is_class(cls: Any) -> bool:
    return isinstance(cls, type) and cls is not object


def _is(cls: Any, base: type[Any]) -> bool:
    # Unlike the functions they call, these tell a type checker nothing, which then knows nothing wrong.
    return issubclass(cls, base)


def _untyped(path: str) -> Any:
    raise LocalProtocolError(f"{path} has no type")


def _members_of_dict(cls: Any, hints: dict[str, Any]) -> list[_Member]:
    required: frozenset[str] = cls.__required_keys__
    members: list[_Member] = []
    for name, hint in hints.items():
        annotation, optional = hint, name not in required
        # Where annotations are strings, the class itself could not see the qualifiers when it was made.
        while (qualifier := get_origin(annotation)) is not None:
            if qualifier is Required or qualifier is NotRequired:
                optional = qualifier is NotRequired
            elif getattr(qualifier, "_name", "") != "ReadOnly":
                break
            annotation = get_args(annotation)[0]
        members.append(_Member(name=name, annotation=annotation, optional=optional))
    return members


def _hints(cls: Any, path: str) -> dict[str, Any]:
    try:
        # A class inside a function cannot be found by its name, but it can at least find itself.
        return typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise LocalProtocolError(
            f"{path}: {cls.__name__} names a type that its module does not have at run time: {error}"
        ) from error
    except TypeError as error:
        raise LocalProtocolError(f"{path}: the annotations of {cls.__name__} cannot be read: {error}") from error


def description_of(cls: type[Any]) -> str:
    """Give the class's own docstring, unless it was generated."""
    text = cls.__dict__.get("__doc__")
    if not isinstance(text, str) or text.startswith(f"{cls.__name__}(") or text == "An enumeration.":
        return ""
    return inspect.cleandoc(text)


def _described_in(metadata: abc.Mapping[Any, Any]) -> str:
    text = metadata.get("description", "")
    return text if isinstance(text, str) else ""


def _text_of(metadata: Any) -> str:
    """Give the description among what ``Annotated`` says: a string, or ``Doc("...")`` (PEP 727)."""
    text = metadata if isinstance(metadata, str) else getattr(metadata, "documentation", "")
    return text if isinstance(text, str) else ""


def _shown(annotation: Any) -> str:
    if name := _name_in(annotation):
        return f"the name {name!r}"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
