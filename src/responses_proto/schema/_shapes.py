"""Define shapes: how a Python type is written as JSON Schema, and how a JSON value is converted to it.

How shapes work
---------------
:mod:`._planner` turns a type annotation into a tree of :class:`Shape` objects; a recursive type makes it a graph. A shape does two
things, so that the schema and the accepted values always agree:

* :meth:`Shape.schema` returns the JSON Schema of the type, in the strict subset (see :mod:`._strict`). Every object lists all
  its properties as required and allows no others; an optional property can be null; alternatives are ``anyOf``. If
  ``Definitions.strict`` is false, an optional property is not required instead, and all keywords are used. A shape that is used twice,
  or that contains itself, is put into ``$defs`` by :class:`Definitions` and referenced.
* :meth:`Shape.read` converts a JSON value to a value of the type, or raises :class:`ShapeError` with the path of the value that
  does not match.

The options of a union are tried in turn; :attr:`Shape.tags`, the literals of a class, rule out most of them. This takes two passes. In
the *exact* pass, nothing is converted and no key is ignored. In the tolerant pass after it, 1.0 is accepted as an integer and, unless
``ReadCache.closed``, unknown keys are ignored. So ``1`` becomes an ``int`` for ``float | int``, and of two classes the one with all the
keys is used. If no option matches, the error of the option that matched furthest is raised. :class:`ReadCache` keeps each result,
because otherwise nested unions would read the same value a number of times that is exponential in its depth.
"""

from __future__ import annotations

import abc
import base64
import datetime as dt
import decimal
import itertools
import math
import pathlib
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from ._errors import ShapeError, is_array, is_object, json_type, shape_error, shown, type_error
from ._strict import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from ._metadata import Constraint

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema as a JSON object."""

_MAX_LISTED_OPTIONS: Final = 8


class Shape(abc.ABC):
    """The base of all shapes."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def expects(self) -> str:
        """A description of a matching value, for error messages."""

    @property
    def definition(self) -> tuple[Hashable, str] | None:
        """The key and the name of the definition; ``None`` for a shape that is never put into ``$defs``."""
        return None

    def parts(self) -> Iterable[Shape]:
        """Return the shapes that this shape consists of."""
        return ()

    def inner_definitions(self) -> Iterable[Hashable]:
        """Return the keys of the definitions that the schema of this shape refers to, except for those of its parts."""
        return ()

    def tags(self) -> Mapping[str, list[Any]]:
        """Return the properties of an object whose values are literals: name -> values."""
        return {}

    def may_match(self, value: Any, *, exact: bool) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether :meth:`read` may succeed, by a quick check of tags and, if ``exact``, of keys."""
        return not is_object(value) or all(
            has_value(values, value[name]) for name, values in self.tags().items() if name in value
        )

    @abc.abstractmethod
    def schema(self, definitions: Definitions) -> Schema:
        """Return the schema of this shape. ``definitions`` returns the schemas of its parts, or references to them."""

    @abc.abstractmethod
    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        """Convert a JSON value to the Python value.

        With ``exact``, nothing is converted and no key is ignored. Raises :class:`ShapeError` if the value does not match.
        """


class ReadCache:
    """Keeps the results of unions while one JSON value is read, so that no part is read twice as the same shape.

    If ``closed``, unknown keys are errors. Otherwise they are ignored, except in the exact pass of a union.
    """

    __slots__ = ("_results", "closed")

    def __init__(self, *, closed: bool = False) -> None:
        self.closed = closed
        # Keys are identities, which stay valid because the caller keeps the JSON value alive.
        self._results: dict[tuple[int, int, bool], tuple[Any, ShapeError | None]] = {}

    def read(self, shape: Shape, value: Any, *, exact: bool) -> Any:
        """Return the result of :meth:`Shape.read`, or raise its error; from the cache if possible."""
        if not isinstance(value, (dict, list)):
            return shape.read(value, self, exact=exact)
        key = (id(shape), id(cast("object", value)), exact)
        if key not in self._results:
            try:
                self._results[key] = (shape.read(value, self, exact=exact), None)
            except ShapeError as error:
                self._results[key] = (None, error.copy())
        result, failed = self._results[key]
        if failed is not None:
            raise failed.copy()  # a copy, because each container prepends its own step
        return result


# ---- leaves


@attrs.frozen(eq=False)
class Scalar(Shape):
    """A string, number, boolean or null, or a type that is represented by one in JSON."""

    label: str
    base_schema: Schema
    convert: Callable[[Any, bool], Any]
    """Converts a JSON value; the second argument is ``exact``. Raises ``TypeError`` for a wrong JSON type, else ``ValueError``."""
    python: type
    """The Python type of the values."""
    strict: bool = True
    """Whether the schema is in the strict subset."""

    @property
    def expects(self) -> str:
        return self.label

    def schema(self, definitions: Definitions) -> Schema:  # noqa: ARG002 - a shape without parts
        return dict(self.base_schema)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:  # noqa: ARG002 - as above
        try:
            return self.convert(value, exact)
        except TypeError:
            raise type_error(self.expects, value) from None
        except (ValueError, ArithmeticError):
            raise ShapeError(f"expected {self.expects}, got {shown(value)}") from None


def _only(*types: type) -> Callable[[Any, bool], Any]:
    def convert(value: Any, _exact: bool) -> Any:  # noqa: FBT001 - the signature of `Scalar.convert`
        if type(value) not in types:
            raise TypeError
        return value

    return convert


_MAX_EXACT_FLOAT: Final = 2**53


def _integer(value: Any, exact: bool) -> int:  # noqa: FBT001 - the signature of `Scalar.convert`
    if type(value) is float and not exact and value.is_integer():
        if abs(value) > _MAX_EXACT_FLOAT:
            raise ValueError(value)  # the float may represent several integers
        return int(value)  # for JSON Schema, 1.0 is an integer
    if type(value) is not int:
        raise TypeError
    return value


def _number(value: Any, exact: bool) -> float:  # noqa: FBT001 - as above
    if type(value) is int and not exact:
        return float(value)
    if type(value) is not float:
        raise TypeError
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _text(parse: Callable[[str], Any]) -> Callable[[Any, bool], Any]:
    def convert(value: Any, _exact: bool) -> Any:  # noqa: FBT001 - as above
        if type(value) is not str:
            raise TypeError
        return parse(value)

    return convert


def _datetime(value: Any, exact: bool) -> dt.datetime:  # noqa: FBT001 - as above
    if type(value) is not str:
        raise TypeError
    if exact and len(value) <= len("2000-01-01"):
        raise ValueError(value)  # a date
    return dt.datetime.fromisoformat(value)


def _decimal(value: Any, exact: bool) -> decimal.Decimal:  # noqa: FBT001 - as above
    if type(value) in (int, float) and not exact:
        return decimal.Decimal(str(value))
    if type(value) is not str:
        raise TypeError
    number = decimal.Decimal(value)
    if not number.is_finite():
        raise ValueError(value)
    return number


# Without years and months, which have no fixed length.
_DURATION: Final = re.compile(
    r"([+-])?P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?!$)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d{1,6})?)S)?)?", re.ASCII
)


def _timedelta(text: str) -> dt.timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, *amounts = match.groups(default="0")
    weeks, days, hours, minutes, seconds = (float(amount.replace(",", ".")) for amount in amounts)
    length = dt.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -length if sign == "-" else length


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _scalars(*rows: tuple[type, str, Schema, Callable[[Any, bool], Any]], strict: bool = True) -> Mapping[Any, Scalar]:
    return {python: Scalar(label, schema, convert, python, strict) for python, label, schema, convert in rows}


SCALARS: Final = _scalars(
    (str, "a string", {"type": "string"}, _only(str)),
    (bool, "a boolean", {"type": "boolean"}, _only(bool)),
    (int, "an integer", {"type": "integer"}, _integer),
    (float, "a number", {"type": "number"}, _number),
    (type(None), "null", {"type": "null"}, _only(type(None))),
    (dt.datetime, "a date and time (ISO 8601)", {"type": "string", "format": "date-time"}, _datetime),
    (dt.date, "a date (ISO 8601)", {"type": "string", "format": "date"}, _text(dt.date.fromisoformat)),
    (dt.time, "a time (ISO 8601)", {"type": "string", "format": "time"}, _text(dt.time.fromisoformat)),
    (dt.timedelta, "a duration (ISO 8601)", {"type": "string", "format": "duration"}, _text(_timedelta)),
    (uuid.UUID, "a UUID", {"type": "string", "format": "uuid"}, _text(uuid.UUID)),
    # Servers support no format for decimal numbers.
    (decimal.Decimal, "a decimal number", {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, _decimal),
)
"""Type -> shape, for types without parameters."""

ANYTHING: Final = Scalar("a JSON value", {}, lambda value, _: value, object, strict=False)
"""Any JSON value; not in the strict subset."""

LAX_SCALARS: Final = _scalars(
    (pathlib.Path, "a path", {"type": "string", "format": "path"}, _text(pathlib.Path)),
    (pathlib.PurePath, "a path", {"type": "string", "format": "path"}, _text(pathlib.PurePath)),
    (bytes, "bytes in base64", {"type": "string", "contentEncoding": "base64"}, _text(_bytes)),
    strict=False,
)
"""Like :data:`SCALARS`, for types that are only supported if the schema is not strict."""


@attrs.frozen(eq=False)
class Choice(Shape):
    """One of the values of a ``Literal`` or an enumeration. Each option is a pair (wire value, Python value)."""

    options: tuple[tuple[Any, Any], ...]
    description: str = ""

    @property
    def values(self) -> list[Any]:
        """The values on the wire."""
        return [wire for wire, _ in self.options]

    @property
    def expects(self) -> str:
        return _one_of(self.values)

    def schema(self, definitions: Definitions) -> Schema:  # noqa: ARG002 - a shape without parts
        return with_description(enum_schema(self.values), self.description)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:  # noqa: ARG002 - as above
        if type(value) is float and value.is_integer() and not exact:
            value = int(value) if not self.contains(value) else value
        for wire, python in self.options:
            if has_value((wire,), value):
                return python
        right_type = json_type(value) in {json_type(wire) for wire, _ in self.options}
        raise ShapeError(f"expected {self.expects}, got {shown(value)}", right_type=right_type)

    def contains(self, value: Any) -> bool:
        """Return whether a wire value is one of the options."""
        return has_value(self.values, value)


def has_value(values: Iterable[Any], value: Any) -> bool:
    """Return whether a JSON value is one of these values. 1 and true are different."""
    return any(type(each) is type(value) and each == value for each in values)


def _one_of(values: list[Any]) -> str:
    listed = ", ".join(map(repr, values[:_MAX_LISTED_OPTIONS]))
    return f"one of {listed}{', …' if len(values) > _MAX_LISTED_OPTIONS else ''}"


# ---- containers


@attrs.frozen(eq=False)
class Array(Shape):
    """A list of any length, or another collection built from a list."""

    item: Shape
    build: Callable[[list[Any]], Any]

    @property
    def expects(self) -> str:
        return "an array"

    def parts(self) -> Iterable[Shape]:
        return (self.item,)

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "array", "items": definitions.schema(self.item)}

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        values = _as_list(value, self.expects)
        return _build(self.build, _items(values, itertools.repeat(self.item), cache, exact=exact))


def _as_list(value: Any, expects: str) -> list[Any]:
    if not is_array(value):
        raise type_error(expects, value)
    return value


def _items(values: list[Any], shapes: Iterable[Shape], cache: ReadCache, *, exact: bool) -> list[Any]:
    read: list[Any] = []
    for value, shape in zip(values, shapes, strict=False):
        try:
            read.append(shape.read(value, cache, exact=exact))
        except ShapeError as error:
            raise error.prepend(len(read)) from None
    return read


@attrs.frozen(eq=False)
class Tuple(Shape):
    """An array of fixed length with a shape for each position.

    The strict subset has no schema for positions, so the schema allows every shape at every position. :meth:`read` does not.
    """

    items: tuple[Shape, ...]

    @property
    def expects(self) -> str:
        return f"an array of {len(self.items)} elements"

    def parts(self) -> Iterable[Shape]:
        return self.items

    def schema(self, definitions: Definitions) -> Schema:
        size = len(self.items)
        return {
            "type": "array",
            "items": any_of(map(definitions.schema, self.items)),
            "minItems": size,
            "maxItems": size,
        }

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        values = _as_list(value, self.expects)
        if len(values) != len(self.items):
            raise ShapeError(f"expected {self.expects}, got {len(values)} elements")
        return tuple(_items(values, self.items, cache, exact=exact))


@attrs.frozen(eq=False)
class Dictionary(Shape):
    """An object with arbitrary keys; not in the strict subset. The keys are read as strings."""

    key: Shape
    item: Shape

    @property
    def expects(self) -> str:
        return "an object"

    def parts(self) -> Iterable[Shape]:
        return (self.key, self.item)

    def schema(self, definitions: Definitions) -> Schema:
        keys = definitions.schema(self.key)
        item = definitions.schema(self.item)
        schema: Schema = {"type": "object", "additionalProperties": item or True}
        return schema if keys == {"type": "string"} else {**schema, "propertyNames": keys}

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        if not is_object(value):
            raise type_error(self.expects, value)
        read: dict[Any, Any] = {}
        for key, member in value.items():
            try:
                read[self.key.read(key, cache, exact=exact)] = self.item.read(member, cache, exact=exact)
            except ShapeError as error:
                raise error.prepend(key) from None
        return read


@attrs.frozen(eq=False, kw_only=True)
class ObjectField:
    """One property of an object."""

    wire: str
    """The name of the property in JSON."""
    name: str
    """The name of the keyword argument of ``Object.build``."""
    shape: Shape
    description: str = ""
    optional: bool = False
    """Whether the property has a default. On the wire, null means the default."""
    default: Callable[[], Any] | None = None
    """Returns the default; ``None`` if ``Object.build`` supplies it."""

    @property
    def nullable(self) -> bool:
        """Whether null is a value of the shape. If so, null means this value and not the default."""
        return accepts_null(self.shape)

    @property
    def tags(self) -> list[Any]:
        """The literals that the property can have; empty if it can have other values."""
        shape = unwrap(self.shape)
        if not isinstance(shape, Choice):
            return []
        # A single literal distinguishes classes, so it is always present.
        return [*shape.values, None] if self.optional and len(shape.options) > 1 else shape.values

    @property
    def omissible(self) -> bool:
        """Whether the property may be null or missing, for the default."""
        return self.optional and len(self.tags) != 1

    def schema(self, definitions: Definitions) -> Schema:
        schema = definitions.schema(self.shape)
        if definitions.strict and self.omissible and not self.nullable:
            schema = any_of([schema, {"type": "null"}])
        return with_description(schema, self.description)


@attrs.define(eq=False, kw_only=True)
class Object(Shape):
    """An object with known properties. ``fields`` is set after construction, because the object may contain itself."""

    name: str
    build: Callable[..., Any]
    description: str = ""
    fields: tuple[ObjectField, ...] = ()
    _tags: Mapping[str, list[Any]] | None = attrs.field(default=None, init=False)

    @property
    def expects(self) -> str:
        return f"an object ({self.name})"

    @property
    def definition(self) -> tuple[Hashable, str]:
        return id(self), self.name

    def parts(self) -> Iterable[Shape]:
        return [field.shape for field in self.fields]

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {field.wire: field.schema(definitions) for field in self.fields},
            "required": [field.wire for field in self.fields if definitions.strict or not field.omissible],
            "additionalProperties": False,
        }
        return with_description(schema, self.description)

    def tags(self) -> Mapping[str, list[Any]]:
        if self._tags is None:  # `fields` are set by now
            self._tags = {field.wire: tags for field in self.fields if (tags := field.tags)}
        return self._tags

    def may_match(self, value: Any, *, exact: bool) -> bool:
        if not super().may_match(value, exact=exact):
            return False
        # `read` raises the best error for a value that is not an object.
        return not (exact and is_object(value)) or not (self._unknown(value) or self._missing(value))

    def _missing(self, value: Mapping[str, Any]) -> list[str]:
        # Servers without a strict mode omit properties that are null.
        return [f.wire for f in self.fields if f.wire not in value and not f.omissible and not f.nullable]

    def _unknown(self, value: Mapping[str, Any]) -> list[str]:
        known = {field.wire for field in self.fields}
        return [key for key in value if key not in known]

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        if not is_object(value):
            raise type_error(self.expects, value)
        for missing in self._missing(value):
            raise ShapeError("required, but missing", missing, missing=True)
        for unknown in self._unknown(value) if exact or cache.closed else ():
            known = ", ".join(field.wire for field in self.fields) or "none"
            raise ShapeError(f"unknown property, expected only: {known}", unknown)
        arguments: dict[str, Any] = {}
        for field in self.fields:
            member = value.get(field.wire)
            if member is None and field.omissible and (field.wire not in value or not field.nullable):
                if field.default is not None:
                    arguments[field.name] = field.default()
                continue
            try:
                arguments[field.name] = field.shape.read(member, cache, exact=exact)
            except ShapeError as error:
                raise error.prepend(field.wire) from None
        return _build(lambda _: self.build(**arguments), value)


def _build(build: Callable[[Any], Any], parts: Any) -> Any:
    try:
        return build(parts)
    except (TypeError, ValueError) as error:  # from a validator of the class
        raise shape_error(error, parts) from None


# ---- unions and wrappers


@attrs.frozen(eq=False)
class Union(Shape):
    """One of several shapes. The module docstring describes how a value is matched."""

    options: tuple[Shape, ...]

    @property
    def expects(self) -> str:
        return " or ".join(dict.fromkeys(option.expects for option in self.options))

    def parts(self) -> Iterable[Shape]:
        return self.options

    def schema(self, definitions: Definitions) -> Schema:
        return any_of(map(definitions.schema, self.options))

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        best: ShapeError | None = None
        # Every date or UUID is a string too, so `str` is tried last.
        options = sorted(self.options, key=lambda option: unwrap(option) is SCALARS[str])
        for strictly in (True,) if exact else (True, False):
            best = None
            for option in options:
                shape = _undescribed(option)
                if not shape.may_match(value, exact=strictly):
                    continue
                try:
                    return cache.read(shape, value, exact=strictly)
                except ShapeError as error:
                    if best is None or error.rank > best.rank:
                        best = error
        if best is not None and (best.steps or best.right_type):
            raise best
        raise self._tag_error(value) or type_error(self.expects, value)

    def _tag_error(self, value: Any) -> ShapeError | None:
        """Return the error for a tag that matches no option."""
        if not is_object(value):
            return None
        tags = [tags for option in self.options if (tags := unwrap(option).tags())]
        for name in tags[0] if tags else ():
            values = [each for one in tags for each in one.get(name, [value.get(name)])]
            if not has_value(values, value.get(name)):
                return ShapeError(f"expected {_one_of([*dict.fromkeys(values)])}, got {shown(value.get(name))}", name)
        return None


@attrs.frozen(eq=False)
class _Wrapper(Shape):
    """A shape with an addition."""

    shape: Shape

    @property
    def expects(self) -> str:
        return self.shape.expects

    def parts(self) -> Iterable[Shape]:
        return (self.shape,)


@attrs.frozen(eq=False)
class WithDescription(_Wrapper):
    """A shape with a description for the model."""

    description: str

    def schema(self, definitions: Definitions) -> Schema:
        return with_description(definitions.schema(self.shape), self.description)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        return self.shape.read(value, cache, exact=exact)


@attrs.frozen(eq=False)
class Constrained(_Wrapper):
    """A shape with constraints on its values. All constraints apply."""

    constraints: tuple[Constraint, ...]

    def schema(self, definitions: Definitions) -> Schema:
        schema = dict(definitions.schema(self.shape))
        for constraint in self.constraints:
            constraint.restrict(schema, strict=definitions.strict)
        return schema

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        read = self.shape.read(value, cache, exact=exact)
        for constraint in self.constraints:
            if not constraint.holds(read):
                got = f"{len(value)} elements" if is_array(value) or is_object(value) else shown(value)
                raise ShapeError(f"expected {constraint.text}, got {got}")
        return read


@attrs.define(eq=False)
class Alias(Shape):
    """A named type that may contain itself. ``shape`` is set after construction."""

    name: str
    shape: Shape | None = None

    @property
    def definition(self) -> tuple[Hashable, str]:
        return id(self), self.name

    @property
    def target(self) -> Shape:
        return cast("Shape", self.shape)

    @property
    def expects(self) -> str:
        return self.name

    def parts(self) -> Iterable[Shape]:
        return (self.target,)

    def schema(self, definitions: Definitions) -> Schema:
        return definitions.schema(self.target)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        return self.target.read(value, cache, exact=exact)


def _undescribed(shape: Shape) -> Shape:
    """Return a shape without its name and description."""
    if type(shape) is Scalar:  # `isinstance` is slow for abstract classes
        return shape
    seen: set[int] = set()
    while isinstance(shape, (WithDescription, Alias)) and id(shape) not in seen:
        seen.add(id(shape))
        shape = shape.shape if isinstance(shape, WithDescription) else shape.target
    return shape


def unwrap(shape: Shape) -> Shape:
    """Return a shape without its name, description and constraints."""
    shape = _undescribed(shape)
    return unwrap(shape.shape) if type(shape) is Constrained else shape


def accepts_null(shape: Shape) -> bool:
    """Return whether null is a value of the shape."""
    shape = unwrap(shape)
    if isinstance(shape, Union):
        return any(map(accepts_null, shape.options))
    return shape in (SCALARS[type(None)], ANYTHING) or (isinstance(shape, Choice) and shape.contains(None))


# ---- schemas


def enum_schema(values: list[Any]) -> Schema:
    """Return the schema of an enumeration of JSON values."""
    types = list(dict.fromkeys(map(json_type, values)))
    return {"type": types[0] if len(types) == 1 else types, "enum": values}


def with_description(schema: Schema, description: str) -> Schema:
    """Return a schema with a description, if there is one."""
    if not description:
        return schema
    if "$ref" in schema:
        schema = {"anyOf": [schema]}  # servers allow no keyword next to a reference
    return {**schema, "description": description}


def any_of(schemas: Iterable[Schema]) -> Schema:
    """Return a schema for values that match any of these schemas."""
    options: list[Schema] = []
    for schema in schemas:
        for option in schema["anyOf"] if schema.keys() == {"anyOf"} else (schema,):
            if option not in options:
                options.append(option)
    return options[0] if len(options) == 1 else {"anyOf": options}


class Definitions:
    """The ``$defs`` of one schema: the shapes that are used more than once or contain themselves, by name.

    ``strict``: whether the schema must be in the strict subset.
    """

    def __init__(self, root: Shape, *, strict: bool = True) -> None:
        self.strict = strict
        self.schemas: dict[str, Schema] = {}
        self._uses: dict[Hashable, int] = {}
        self._names: dict[Hashable, str] = {}
        self._count_uses(root)

    def _count_uses(self, root: Shape) -> None:
        pending = [root]
        seen: set[int] = set()
        while pending:
            shape = pending.pop()
            if type(shape) is Scalar or type(shape) is Choice:  # `isinstance` is slow for abstract classes
                continue
            keys = [definition[0]] if (definition := shape.definition) else []
            if id(shape) not in seen:
                seen.add(id(shape))
                keys += shape.inner_definitions()
                pending += shape.parts()
            for key in keys:
                self._uses[key] = self._uses.get(key, 0) + 1

    def define(self, key: Hashable, name: str, make: Callable[[], Schema]) -> Schema:
        """Return a reference to the definition with this key. If there is none yet, create it with ``make``."""
        if key not in self._names:
            name = self._names[key] = self._unique_name(name)
            self.schemas[name] = {}  # reserves the place, so that definitions are in order of first use
            self.schemas[name] = make()
        return {"$ref": DEFINITIONS + self._names[key]}

    def _unique_name(self, name: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "Type"
        name, number = base, 1
        while name in self.schemas:
            number += 1
            name = f"{base}_{number}"
        return name

    def schema(self, shape: Shape) -> Schema:
        """Return the schema of a shape, or a reference to it."""
        definition = shape.definition
        if definition is None or self._uses.get(definition[0], 0) < 2:  # noqa: PLR2004 - used only once
            return shape.schema(self)
        return self.define(*definition, lambda: shape.schema(self))


def root_schema(root: Shape, *, strict: bool = True) -> Schema:
    """Return the schema of a shape with its ``$defs``. Its top level is never a reference."""
    definitions = Definitions(root, strict=strict)
    schema = root.schema(definitions)
    return {**schema, "$defs": definitions.schemas} if definitions.schemas else schema
