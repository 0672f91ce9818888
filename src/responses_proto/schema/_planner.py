"""Convert type annotations to shapes (see :mod:`._shapes`).

A type that the strict subset cannot express is refused here, with its path, before anything is sent. With ``strict=False``, more
types are supported.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections import abc
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Literal,
    NotRequired,
    Required,
    Self,
    TypeVar,
    cast,
    get_args,
    get_origin,
)

import attrs

from ..exceptions import UsageError
from ._hints import alias_value, class_hints, own_annotations
from ._metadata import Metadata, is_field, read_metadata
from ._pydantic import PydanticShape, is_pydantic_like
from ._shapes import (
    ANYTHING,
    LAX_SCALARS,
    SCALARS,
    Alias,
    Array,
    Choice,
    Constrained,
    Dictionary,
    Object,
    ObjectField,
    Scalar,
    Shape,
    Tuple,
    Union,
    WithDescription,
    unwrap,
)
from ._strict import NO_ANY, NO_FREE_KEYS, fits_strict

if TYPE_CHECKING:
    from ..typing import JSONObject
    from ._metadata import Constraint

T = TypeVar("T")

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


_KNOWN: Final[dict[Any, Scalar]] = {**SCALARS, **LAX_SCALARS, object: ANYTHING, Any: ANYTHING}
_NULL: Final = SCALARS[type(None)]
_NO_METADATA: Final = Metadata()


def add_type(cls: type[T], schema: JSONObject, load: abc.Callable[[Any], T]) -> None:
    """Register the shape of a class. See :func:`responses_proto.schema.register_type`."""
    if not isinstance(cls, type) or not isinstance(schema, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - for callers without a type checker
        raise UsageError(f"expected a class and a schema, got {cls!r} and {schema!r}")
    closed: JSONObject = {"properties": {"value": schema}, "required": ["value"], "additionalProperties": False}
    strict = fits_strict({"type": "object", **closed})
    _KNOWN[cls] = Scalar(f"a value for {cls.__name__}", schema, lambda value, _: load(value), cls, strict)


def shape_of(annotation: Any, *, strict: bool = True) -> Shape:
    """Return the shape of a type. Raises ``UsageError``, with the path, for a part that the schema cannot express."""
    return _ShapeBuilder(strict=strict).build(annotation, "$", {})


def object_of(name: str, fields: abc.Mapping[str, tuple[Any, bool, str]], *, strict: bool = True) -> Object:
    """Return the shape of a dictionary. ``fields``: key -> (annotation, whether it has a default, description)."""
    builder = _ShapeBuilder(strict=strict)
    members = [
        _Member(name=key, annotation=annotation, optional=optional, description=description)
        for key, (annotation, optional, description) in fields.items()
    ]
    return Object(name=name, build=dict, fields=tuple(builder.field(member, "$", {}) for member in members))


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

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._shapes: dict[Any, Shape] = {}

    def build(self, annotation: Any, path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        """Return the shape of an annotation. ``type_arguments`` maps the type parameters in scope to their arguments."""
        if isinstance(annotation, TypeVar) or annotation is Self:
            parameter: Any = annotation
            if parameter in type_arguments:
                return self.build(type_arguments[parameter], path, {})
            if not getattr(parameter, "has_default", bool)():
                raise UsageError(f"{path}: the type parameter {parameter} has no argument")
            return self.build(parameter.__default__, path, type_arguments)
        if annotation is None:
            return _NULL
        if isinstance(annotation, type) and (scalar := _KNOWN.get(annotation)) is not None:
            return scalar if scalar.strict else self._lax(scalar, annotation, path)
        return self._build_composite(annotation, path, type_arguments)

    def _build_composite(self, annotation: Any, path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            metadata = read_metadata(arguments[1:], path)
            if metadata.default is not None or metadata.alias:
                raise UsageError(f"{path}: only a field or a parameter can have a default or an alias")
            return self._annotated(arguments[0], metadata, path, type_arguments)
        if origin is typing.Union or origin is types.UnionType:
            return self._union(arguments, path, type_arguments)
        if origin is Literal:
            return _choice([(v.value if isinstance(v, enum.Enum) else v, v) for v in arguments], path)
        if hasattr(annotation, "__supertype__"):  # NewType
            return self.build(annotation.__supertype__, path, type_arguments)
        if getattr(annotation, "__unpacked__", False):  # *tuple[str, ...] in a tuple
            raise UsageError(f"{path}: {annotation} is not supported: it does not describe a single value")
        if type(origin or annotation).__name__ == "TypeAliasType":
            return self._alias(annotation, path, type_arguments)
        return self._class(annotation, origin or annotation, arguments, path, type_arguments)

    def _class(
        self, annotation: Any, cls: Any, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]
    ) -> Shape:
        if cls is tuple:
            return self._tuple(arguments, path, type_arguments)
        if cls in _ARRAYS:
            return self._array(annotation, cls, arguments, path, type_arguments)
        if cls in _MAPPINGS:
            return self._dictionary(annotation, arguments, path, type_arguments)
        if not _is_proper_class(cls):
            raise UsageError(f"{path}: {_display_name(annotation)} is not supported: it does not describe the value")
        if _is(cls, enum.Enum):
            return _choice([(member.value, member) for member in cls], path, description_of(cls))
        if is_pydantic_like(cls):
            # pydantic creates a class for each generic model with arguments.
            if annotation not in self._shapes:
                self._shapes[annotation] = PydanticShape.of(annotation, path, strict=self._strict)
            return self._shapes[annotation]
        return self._object(annotation, cls, arguments, path, type_arguments)

    def _object(
        self, annotation: Any, cls: Any, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]
    ) -> Shape:
        resolved = tuple(_substitute(argument, type_arguments) for argument in arguments)
        key = (cls, resolved)
        if all(isinstance(argument, abc.Hashable) for argument in resolved) and key in self._shapes:
            return self._shapes[key]
        members = _members(cls, path)
        if members is None:
            raise UsageError(
                f"{path}: {_display_name(annotation)} is not supported: use a class of attrs, dataclasses or pydantic, a "
                "TypedDict, or register_type()"
            )
        name = "_".join((cls.__name__, *filter(None, map(type_name, resolved))))
        shape = self._shapes[key] = Object(name=name, build=cls, description=description_of(cls))
        scopes = _scopes(cls, resolved) if hasattr(cls, "__orig_bases__") or resolved else {}
        itself = {Self: cls[resolved] if resolved else cls}
        shape.fields = tuple(self.field(member, path, {**scopes.get(member.name, {}), **itself}) for member in members)
        return shape

    def field(self, member: _Member, path: str, type_arguments: abc.Mapping[Any, Any]) -> ObjectField:
        """Return one property of an object. ``path``: the path of the object."""
        path = f"{path}.{member.name}"
        annotation, metadata = member.annotation, _NO_METADATA
        if not isinstance(annotation, type) and get_origin(annotation) is Annotated:
            metadata = read_metadata(annotation.__metadata__, path)
            annotation = annotation.__origin__
        return ObjectField(
            wire=metadata.alias or member.name,
            name=member.name,
            shape=self._annotated(annotation, attrs.evolve(metadata, description=""), path, type_arguments)
            if metadata is not _NO_METADATA
            else self.build(annotation, path, type_arguments),
            optional=member.optional or metadata.default is not None,
            default=None if member.optional else metadata.default,
            description=member.description or metadata.description,
        )

    def _annotated(
        self, annotation: Any, metadata: Metadata, path: str, type_arguments: abc.Mapping[Any, Any]
    ) -> Shape:
        shape = self.build(annotation, path, type_arguments)
        if metadata.constraints:
            shape = _constrain(shape, metadata.constraints, path)
        return WithDescription(shape, metadata.description) if metadata.description else shape

    def _lax(self, scalar: Scalar, annotation: Any, path: str) -> Scalar:
        if self._strict:
            reason = NO_ANY if scalar is ANYTHING else "the strict subset cannot express it; pass strict=False"
            raise UsageError(f"{path}: {_display_name(annotation)} is not supported: {reason}")
        return scalar

    def _array(
        self, annotation: Any, cls: Any, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]
    ) -> Shape:
        if not arguments and self._strict:
            raise UsageError(
                f"{path}: {_display_name(annotation)} has no element type, such as list[str]: specify it, or pass strict=False"
            )
        item = self.build(arguments[0], f"{path}[]", type_arguments) if arguments else ANYTHING
        build = _ARRAYS[cls]
        if build is not list and not _is_hashable(item):
            raise UsageError(f"{path}: a {build.__name__} cannot contain {item.expects}, which is not hashable")
        return Array(item, build)

    def _dictionary(
        self, annotation: Any, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]
    ) -> Shape:
        if self._strict:
            raise UsageError(f"{path}: {_display_name(annotation)} is not supported: {NO_FREE_KEYS}")
        key, item = (self.build(argument, f"{path}.*", type_arguments) for argument in arguments or (str, Any))
        if key is SCALARS[int]:
            key = _INTEGER_KEY
        if not _is_text(key):
            raise UsageError(f"{path}: the keys of a JSON object are strings, not {key.expects}")
        return Dictionary(key, item)

    def _alias(self, annotation: Any, path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        origin = get_origin(annotation) or annotation
        resolved = tuple(_substitute(argument, type_arguments) for argument in get_args(annotation))
        key = (origin, resolved)
        if key in self._shapes:
            return self._shapes[key]
        alias = self._shapes[key] = Alias(origin.__name__)
        scope = dict(zip(origin.__type_params__, resolved, strict=False))
        alias.shape = self.build(alias_value(origin, path), path, scope)
        return alias

    def _union(self, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        options: list[Shape] = []
        for argument in arguments:
            shape = self.build(argument, path, type_arguments)
            options += shape.options if isinstance(shape, Union) else [shape]
        return Union(tuple(options))

    def _tuple(self, arguments: tuple[Any, ...], path: str, type_arguments: abc.Mapping[Any, Any]) -> Shape:
        if not arguments and self._strict:
            raise UsageError(
                f"{path}: tuple has no element types, such as tuple[str, int]: specify them, or pass strict=False"
            )
        if not arguments:
            return Array(ANYTHING, tuple)
        if len(arguments) == 2 and arguments[1] is ...:  # noqa: PLR2004 - tuple[X, ...]
            return Array(self.build(arguments[0], f"{path}[]", type_arguments), tuple)
        return Tuple(
            tuple(self.build(argument, f"{path}[{i}]", type_arguments) for i, argument in enumerate(arguments))
        )


_INTEGER_KEY: Final = Scalar(
    "an integer", {"type": "string", "pattern": "^-?[0-9]+$"}, lambda value, _: int(value), int
)


def _is_text(shape: Shape) -> bool:
    """Return whether all values of a shape are strings on the wire."""
    match unwrap(shape):
        case Choice(options=options):
            return all(isinstance(wire, str) for wire, _ in options)
        case Scalar(base_schema=schema):
            return schema.get("type") == "string"
        case Union(options=members):
            return all(map(_is_text, members))
        case _:
            return False


def _is_hashable(shape: Shape, seen: frozenset[int] = frozenset()) -> bool:
    """Return whether the values of a shape can be in a set. ``seen``: the ids of the enclosing classes."""
    shape = unwrap(shape)
    if id(shape) in seen:
        return True
    seen |= {id(shape)}
    parts: abc.Iterable[Shape] = ()
    match shape:
        case Array(build=build):
            is_hashable, parts = build is not list and build is not set, shape.parts()
        case Dictionary():
            is_hashable = False
        case Object(build=build, fields=fields):
            is_hashable, hashed = getattr(build, "__hash__", None) is not None, _hashed_names(build)
            parts = [field.shape for field in fields if field.name in hashed]
        case PydanticShape(model=model):
            is_hashable = getattr(model, "__hash__", None) is not None
        case _:
            is_hashable, parts = True, shape.parts()
    return is_hashable and all(_is_hashable(part, seen) for part in parts)


def _hashed_names(cls: Any) -> set[str]:
    """Return the fields from which the hash of an object is computed, if its hash method was generated."""
    code = getattr(cls.__hash__, "__code__", None)
    if _is(cls, tuple):
        return set(cls._fields)
    if code is None or not code.co_filename.startswith("<"):
        return set()
    if attrs.has(cls):
        return {a.alias for a in attrs.fields(cls) if (a.eq if a.hash is None else a.hash)}
    return {f.name for f in dataclasses.fields(cls) if (f.compare if f.hash is None else f.hash)}


def _constrain(shape: Shape, constraints: tuple[Constraint, ...], path: str) -> Shape:
    """Return a shape with constraints. Raises ``UsageError`` for a constraint that does not apply to its values."""
    if isinstance(shape, WithDescription):
        return attrs.evolve(shape, shape=_constrain(shape.shape, constraints, path))
    if isinstance(shape, Alias) and shape.shape is not None:
        return _constrain(shape.shape, constraints, path)
    if isinstance(shape, Union):
        # Constraints apply to the other options, not to null.
        return Union(tuple(each if each is _NULL else _constrain(each, constraints, path) for each in shape.options))
    inner, before = (shape.shape, shape.constraints) if isinstance(shape, Constrained) else (shape, ())
    for constraint in constraints:
        if not constraint.applies_to(_python_type(inner)):
            raise UsageError(f"{path}: a constraint does not apply to {inner.expects}: {constraint.text}")
    together = (*before, *constraints)
    for at, constraint in enumerate(together):
        if any(map(constraint.excludes, together[:at])):
            raise UsageError(f"{path}: JSON Schema cannot express two constraints of the same kind: {constraint.text}")
    return Constrained(inner, together)


def _python_type(shape: Shape) -> type | None:
    match shape:
        case Scalar(python=python):
            return python
        case Array() | Tuple():
            return list
        case Dictionary():
            return dict
        case _:
            return None


def _name_in(annotation: Any) -> str:
    """Return the name in an unresolved forward reference; empty for other annotations."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else ""


def _substitute(argument: Any, type_arguments: abc.Mapping[Any, Any]) -> Any:
    """Return a type with its type parameters replaced by their arguments."""
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
    if _is_typed_dict(cls):
        return _members_of_dict(cls, class_hints(cls, path))
    if attrs.has(cls):
        hints = class_hints(cls, path)
        return [
            _member(
                a.alias,
                hints[a.name] if a.name in hints else a.type or _untyped(f"{path}.{a.name}"),
                a.default is not attrs.NOTHING,
                a.default,
                _metadata_description(a.metadata),
            )
            for a in attrs.fields(cls)
            if a.init
        ]
    if dataclasses.is_dataclass(cls):
        hints = class_hints(cls, path)
        fields: dict[str, dataclasses.Field[Any]] = (
            cls.__dataclass_fields__
        )  # `fields()` omits variables of `__post_init__`
        return [
            _member(
                name,
                _init_type(hints[name], f"{path}.{name}"),
                field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING,
                field.default,
                _metadata_description(field.metadata),
            )
            for name, field in fields.items()
            if field.init and hints[name] is not ClassVar and get_origin(hints[name]) is not ClassVar
        ]
    if _is(cls, tuple) and hasattr(cls, "_field_defaults"):
        hints, defaults = class_hints(cls, path), cls._field_defaults
        return [
            _member(
                name,
                hints[name] if name in hints else _untyped(f"{path}.{name}"),
                name in defaults,
                defaults.get(name),
            )
            for name in cls._fields
        ]
    return None


def _member(name: str, annotation: Any, optional: bool, default: Any, description: str = "") -> _Member:  # noqa: FBT001 - only here
    if is_field(default):
        return _Member(name=name, annotation=Annotated[annotation, default], optional=False, description=description)
    return _Member(name=name, annotation=annotation, optional=optional, description=description)


def _init_type(annotation: Any, path: str) -> Any:
    """Return the type of an argument. For ``InitVar[T]`` it is ``T``."""
    if annotation is dataclasses.InitVar:
        return _untyped(path)
    return cast("Any", annotation).type if isinstance(annotation, dataclasses.InitVar) else annotation


def _scopes(cls: Any, arguments: tuple[Any, ...]) -> dict[str, abc.Mapping[Any, Any]]:
    """Return the values of the type parameters in the annotation of each field, by the class that defines the field."""
    own = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    scopes: dict[str, abc.Mapping[Any, Any]] = {}
    inherited: dict[str, Any] = {}
    for base in reversed(cls.__dict__.get("__orig_bases__", cls.__bases__)):
        origin = get_origin(base) or base
        if isinstance(origin, type) and origin not in _NOT_BASES:  # `TypedDict` is a function
            scopes |= _scopes(origin, tuple(_substitute(argument, own) for argument in get_args(base)))
            inherited |= own_annotations(origin)
    names = [a.alias for a in cls.__dict__.get("__attrs_attrs__", ()) if not a.inherited]
    # A typed dictionary also has the annotations of its bases.
    inherited = inherited if _is_typed_dict(cls) else {}
    names += [name for name, hint in own_annotations(cls).items() if inherited.get(name) is not hint]
    return {**scopes, **dict.fromkeys(names, own)}


_NOT_BASES: Final = (object, typing.Generic, typing.Protocol)


def _is_typed_dict(cls: Any) -> bool:
    return typing.is_typeddict(cls) or (_is(cls, dict) and hasattr(cls, "__total__"))  # also of typing_extensions


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
        metadata: tuple[Any, ...] = ()
        # If annotations are strings, `__required_keys__` ignores the qualifiers.
        while (qualifier := get_origin(annotation)) is not None:
            if qualifier is Required or qualifier is NotRequired:
                optional = qualifier is NotRequired
            elif qualifier is Annotated:
                metadata = (*annotation.__metadata__, *metadata)
            elif getattr(qualifier, "_name", "") != "ReadOnly":
                break
            annotation = annotation.__origin__ if qualifier is Annotated else get_args(annotation)[0]
        if metadata:
            annotation = Annotated[(annotation, *metadata)]
        members.append(_Member(name=name, annotation=annotation, optional=optional))
    return members


def description_of(cls: type[Any]) -> str:
    """Return the docstring of a class; empty if it is inherited or generated."""
    text = cls.__dict__.get("__doc__")
    if not isinstance(text, str) or text.startswith(f"{cls.__name__}(") or text == "An enumeration.":
        return ""
    return inspect.cleandoc(text)


def _metadata_description(metadata: abc.Mapping[Any, Any]) -> str:
    text = metadata.get("description", "")
    return text if isinstance(text, str) else ""


def _display_name(annotation: Any) -> str:
    if name := _name_in(annotation):
        return f"the unresolved name {name!r}"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
