"""Convert type annotations to shapes (see :mod:`._shapes`).

A type that the strict subset cannot express is refused here, with its path, before anything is sent.
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

from ..exceptions import UsageError
from ._pydantic import PydanticShape, is_pydantic_like
from ._shapes import SCALARS, Alias, Array, Choice, Object, ObjectField, Shape, Tuple, Union, WithDescription
from ._strict import NO_FREE_KEYS

__all__ = ["object_of", "shape_of", "type_name"]

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


def shape_of(annotation: Any) -> Shape:
    """Return the shape of a type. Raises ``UsageError`` with the path of a part that the strict subset cannot express."""
    return _ShapeBuilder().build(annotation, "$", {})


def object_of(name: str, fields: abc.Mapping[str, tuple[Any, bool, str]]) -> Object:
    """Return the shape of a dictionary with these keys. The values are (annotation, whether it has a default, description)."""
    builder = _ShapeBuilder()
    object_fields = [
        ObjectField(
            wire=wire, shape=builder.build(annotation, f"$.{wire}", {}), optional=optional, description=description
        )
        for wire, (annotation, optional, description) in fields.items()
    ]
    return Object(name=name, build=dict, fields=tuple(object_fields))


def type_name(annotation: Any) -> str:
    """Return a readable name of a type; empty if it has none."""
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


class _ShapeBuilder:
    """Builds the shape of one type. Each class is built once, so that it can contain itself."""

    def __init__(self) -> None:
        self._shapes: dict[Any, Shape] = {}
        # By name, because before Python 3.12 an alias can refer to itself only by a string.
        self._aliases: dict[str, Alias] = {}

    def build(self, annotation: Any, path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        """Return the shape of an annotation. ``type_arguments`` maps the type parameters in scope to their arguments."""
        if isinstance(annotation, TypeVar):
            if annotation not in type_arguments:
                raise UsageError(f"{path}: the type parameter {annotation} has no argument")
            return self.build(type_arguments[annotation], path, {})
        if annotation is None:
            return SCALARS[type(None)]
        if isinstance(annotation, type) and annotation in SCALARS:
            return SCALARS[annotation]
        name = _name_in(annotation)
        if name in self._aliases:
            return self._aliases[name]
        return self._build_composite(annotation, path, type_arguments)

    def _build_composite(self, annotation: Any, path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            shape = self.build(arguments[0], path, type_arguments)
            descriptions: list[str] = [text for text in map(_annotation_text, arguments[1:]) if text]
            return WithDescription(shape, descriptions[0]) if descriptions else shape
        if origin is typing.Union or origin is types.UnionType:
            return self._union(arguments, path, type_arguments)
        if origin is Literal:
            return _choice([(v.value if isinstance(v, enum.Enum) else v, v) for v in arguments], path)
        if hasattr(annotation, "__supertype__"):  # NewType
            return self.build(annotation.__supertype__, path, type_arguments)
        if type(origin or annotation).__name__ == "TypeAliasType":
            return self._alias(annotation, path, type_arguments)
        return self._class(annotation, origin or annotation, arguments, path, type_arguments)

    def _class(
        self, annotation: Any, cls: Any, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]
    ) -> Shape:
        if cls is tuple:
            return self._tuple(arguments, path, type_arguments)
        if cls in _ARRAYS:
            if not arguments:
                raise UsageError(f"{path}: {_display_name(annotation)} has no type of its elements, such as list[str]")
            return Array(self.build(arguments[0], f"{path}[]", type_arguments), _ARRAYS[cls])
        if cls in _MAPPINGS:
            raise UsageError(f"{path}: {_display_name(annotation)} is not supported: {NO_FREE_KEYS}")
        if not _is_proper_class(cls):
            raise UsageError(f"{path}: {_display_name(annotation)} is not supported: it does not describe the value")
        if _is(cls, enum.Enum):
            return _choice([(member.value, member) for member in cls], path, description_of(cls))
        if is_pydantic_like(cls):
            # pydantic creates a class for each generic model with arguments.
            return self._cached(cls, lambda: PydanticShape.of(cls, path))
        members = _members(cls, path)
        if members is None:
            raise UsageError(
                f"{path}: {_display_name(annotation)} is not supported: use a class of attrs, dataclasses or pydantic, a TypedDict, ..."
            )
        return self._object(cls, arguments, members, path, type_arguments)

    def _object(
        self,
        cls: Any,
        arguments: tuple[Any, ...],
        members: list[_Member],
        path: str,
        type_arguments: abc.Mapping[Any, Any],
    ) -> Shape:
        resolved = tuple(_substitute(argument, type_arguments) for argument in arguments)
        key = (cls, resolved)
        if key in self._shapes:
            return self._shapes[key]
        name = "_".join((cls.__name__, *filter(None, map(type_name, resolved))))
        shape = self._shapes[key] = Object(name=name, build=cls, description=description_of(cls))
        parameters = dict(zip(getattr(cls, "__parameters__", ()), resolved, strict=False))
        shape.fields = tuple(
            ObjectField(
                wire=member.name,
                shape=self.build(member.annotation, f"{path}.{member.name}", parameters),
                optional=member.optional,
                description=member.description,
            )
            for member in members
        )
        return shape

    def _cached(self, key: Any, make: abc.Callable[[], Shape]) -> Shape:
        if key not in self._shapes:
            self._shapes[key] = make()
        return self._shapes[key]

    def _alias(self, annotation: Any, path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        origin = get_origin(annotation) or annotation
        resolved = tuple(_substitute(argument, type_arguments) for argument in get_args(annotation))
        key = (origin, resolved)
        if key in self._shapes:
            return self._shapes[key]
        alias = self._shapes[key] = self._aliases[origin.__name__] = Alias(origin.__name__)
        alias.shape = self.build(origin.__value__, path, dict(zip(origin.__type_params__, resolved, strict=False)))
        return alias

    def _union(self, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        options: list[Shape] = []
        for argument in arguments:
            shape = self.build(argument, path, type_arguments)
            options += shape.options if isinstance(shape, Union) else [shape]
        return Union(tuple(options))

    def _tuple(self, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        if not arguments:
            raise UsageError(f"{path}: tuple has no types of its elements, such as tuple[str, int]")
        if len(arguments) == 2 and arguments[1] is ...:  # noqa: PLR2004 - tuple[X, ...]
            return Array(self.build(arguments[0], f"{path}[]", type_arguments), tuple)
        return Tuple(
            tuple(self.build(argument, f"{path}[{i}]", type_arguments) for i, argument in enumerate(arguments))
        )


def _name_in(annotation: Any) -> str:
    """Return the name in an unresolved forward reference; empty for other annotations."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else ""


def _substitute(argument: Any, type_arguments: abc.Mapping[Any, Any]) -> Any:
    """Replace the type parameters in a type by their arguments."""
    if isinstance(argument, TypeVar):
        return type_arguments.get(argument, argument)
    parameters = getattr(argument, "__parameters__", ()) if get_origin(argument) is not None else ()
    return (
        argument[tuple(type_arguments.get(parameter, parameter) for parameter in parameters)]
        if parameters
        else argument
    )


def _choice(options: list[tuple[Any, Any]], path: str, description: str = "") -> Choice:
    for wire, _ in options:
        if type(wire) not in (str, int, float, bool, type(None)):
            raise UsageError(f"{path}: a choice must be a string, number, boolean or null, got {wire!r}")
    if not options:
        raise UsageError(f"{path}: an enumeration must have members")
    return Choice(tuple(options), description)


# ---- classes


def _members(cls: Any, path: str) -> list[_Member] | None:
    """Return the fields of a class, in order; ``None`` if the class is not of a supported kind."""
    if typing.is_typeddict(cls) or (_is(cls, dict) and hasattr(cls, "__total__")):
        return _members_of_dict(cls, _hints(cls, path))
    if attrs.has(cls):
        hints = _hints(cls, path)
        return [
            _Member(
                name=a.alias,
                annotation=hints[a.name] if a.name in hints else _untyped(f"{path}.{a.name}"),
                optional=a.default is not attrs.NOTHING,
                description=_metadata_description(a.metadata),
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
                description=_metadata_description(field.metadata),
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


def _is_proper_class(cls: Any) -> bool:
    return isinstance(cls, type) and cls is not object


def _is(cls: Any, base: type[Any]) -> bool:
    # Unlike `issubclass`, this does not narrow the type, which would be wrong for typed dictionaries.
    return issubclass(cls, base)


def _untyped(path: str) -> Any:
    raise UsageError(f"{path} has no annotation")


def _members_of_dict(cls: Any, hints: dict[str, Any]) -> list[_Member]:
    required: frozenset[str] = cls.__required_keys__
    members: list[_Member] = []
    for name, hint in hints.items():
        annotation, optional = hint, name not in required
        # If annotations are strings, `__required_keys__` ignores the qualifiers.
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
        # The name of a class in a function cannot be resolved in its module.
        return typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise UsageError(
            f"{path}: {cls.__name__} has an annotation that cannot be resolved at run time: {error}"
        ) from error
    except TypeError as error:
        raise UsageError(f"{path}: the annotations of {cls.__name__} cannot be read: {error}") from error


def description_of(cls: type[Any]) -> str:
    """Return the docstring of a class; empty if it is inherited or generated."""
    text = cls.__dict__.get("__doc__")
    if not isinstance(text, str) or text.startswith(f"{cls.__name__}(") or text == "An enumeration.":
        return ""
    return inspect.cleandoc(text)


def _metadata_description(metadata: abc.Mapping[Any, Any]) -> str:
    text = metadata.get("description", "")
    return text if isinstance(text, str) else ""


def _annotation_text(metadata: Any) -> str:
    """Return the description in a metadata value of ``Annotated``: a string, or ``Doc("...")`` (PEP 727)."""
    text = metadata if isinstance(metadata, str) else getattr(metadata, "documentation", "")
    return text if isinstance(text, str) else ""


def _display_name(annotation: Any) -> str:
    if name := _name_in(annotation):
        return f"the unresolved name {name!r}"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
