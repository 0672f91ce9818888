"""Define shapes: how a Python type is written as JSON Schema, and how a JSON value is converted to it.

How shapes work
---------------
:mod:`._planner` turns a type annotation into a tree of :class:`Shape` objects; a recursive type makes it a graph. A shape does
two things, so that the schema that is sent and the values that are accepted always agree:

* :meth:`Shape.schema` returns the JSON Schema of the type, in the strict subset (see :mod:`._strict`). Every object lists all
  its properties as required and allows no others; an optional property can be null; alternatives are ``anyOf``. A shape that
  is used twice, or that contains itself, is put into ``$defs`` by :class:`Definitions`, and referred to.
* :meth:`Shape.read` converts a JSON value to a value of the type, or raises :class:`ShapeError` with the path of the value that
  does not match.

A union has no tag, so its options are tried. This takes two passes. In the *exact* pass nothing is converted and no key is
ignored; then comes a tolerant pass, in which 1.0 is accepted as an integer and unknown keys are ignored. So ``1`` becomes an
``int`` for ``float | int``, and of two classes the one that has all the keys is used. If no option matches, the error is that of
the option that matched furthest. :class:`ReadCache` keeps each result, because otherwise nested unions would read the same value
a number of times that is exponential in its depth.
"""

from __future__ import annotations

import abc
import datetime as dt
import decimal
import itertools
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "SCALARS",
    "Alias",
    "Array",
    "Choice",
    "Definitions",
    "Object",
    "ObjectField",
    "ReadCache",
    "Scalar",
    "Schema",
    "Shape",
    "ShapeError",
    "Tuple",
    "Union",
    "WithDescription",
    "accepts_null",
    "enum_schema",
    "is_array",
    "is_object",
    "json_type",
    "path_of",
    "root_schema",
    "with_description",
]

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema as a JSON object."""

_MAX_SHOWN_CHARS: Final = 60
_MAX_LISTED_OPTIONS: Final = 8


class ShapeError(Exception):
    """A JSON value does not match a shape. ``steps`` are its path; each container prepends its own step."""

    def __init__(self, message: str, *steps: str | int, right_type: bool = True, missing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.steps: tuple[str | int, ...] = steps
        self.right_type = right_type
        """Whether the value has the expected JSON type, though it does not match."""
        self.missing = missing
        """Whether the last step names a missing property."""

    @property
    def rank(self) -> tuple[int, bool]:
        """How specific the error is, to select one among the options of a union: the deeper, the more specific."""
        return len(self.steps) - self.missing, self.right_type

    def copy(self) -> ShapeError:
        return ShapeError(self.message, *self.steps, right_type=self.right_type, missing=self.missing)

    def prepend(self, step: str | int) -> ShapeError:
        self.steps = (step, *self.steps)
        return self


def path_of(steps: Iterable[str | int]) -> str:
    """Return steps as JSONPath: ``$.a[0]['b c']``."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{step!r}]" for step in steps
    )


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a JSON value is an object."""
    return type(value) is dict


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether a JSON value is an array."""
    return type(value) is list


def json_type(value: object) -> str:
    """Return the name of JSON Schema for the type of a JSON value."""
    for kinds, name in _TYPE_NAMES:
        if isinstance(value, kinds):
            return name
    return "null"


_TYPE_NAMES: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (dict, "object"),
    ((list, tuple), "array"),
)


def _shown(value: object) -> str:
    if isinstance(value, str) and len(value) > _MAX_SHOWN_CHARS:
        return f"{value[:_MAX_SHOWN_CHARS]!r}…"
    if isinstance(value, (str, int, float)):
        return repr(value)
    return {"object": "an object", "array": "an array"}.get(json_type(value), "null")


def _type_error(expects: str, value: object) -> ShapeError:
    return ShapeError(f"expected {expects}, got {_shown(value)}", right_type=False)


class Shape(abc.ABC):
    """The base of all shapes."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def expects(self) -> str:
        """A description of a matching value, for error messages."""

    def parts(self) -> Iterable[Shape]:
        """Return the shapes that this one consists of."""
        return ()

    def may_match(self, value: Any, *, exact: bool) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether :meth:`read` may succeed, by a quick check of literals and, if ``exact``, of keys."""
        return True

    @abc.abstractmethod
    def schema(self, definitions: Definitions) -> Schema:
        """Return the schema of this shape. ``definitions`` returns the schemas of its parts, or references to them."""

    @abc.abstractmethod
    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        """Convert a JSON value to the Python value.

        With ``exact``, nothing is converted and no key is ignored. Raises :class:`ShapeError` if the value does not match.
        """


class ReadCache:
    """Keeps the results of unions while one JSON value is read, so that no part is read twice as the same shape."""

    __slots__ = ("_results",)

    def __init__(self) -> None:
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
    """A string, number, boolean or null, or a type that is written as one."""

    label: str
    base_schema: Schema
    convert: Callable[[Any, bool], Any]
    """Convert a JSON value; the second argument is ``exact``. Raises ``TypeError`` for a wrong JSON type, else ``ValueError``."""

    @property
    def expects(self) -> str:
        return self.label

    def schema(self, definitions: Definitions) -> Schema:  # noqa: ARG002 - a shape without parts
        return dict(self.base_schema)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:  # noqa: ARG002 - as above
        try:
            return self.convert(value, exact)
        except TypeError:
            raise _type_error(self.expects, value) from None
        except (ValueError, ArithmeticError):
            raise ShapeError(f"expected {self.expects}, got {_shown(value)}") from None


def _only(*types: type) -> Callable[[Any, bool], Any]:
    def convert(value: Any, _exact: bool) -> Any:  # noqa: FBT001 - the signature of `Scalar.convert`
        if type(value) not in types:
            raise TypeError
        return value

    return convert


def _integer(value: Any, exact: bool) -> int:  # noqa: FBT001 - the signature of `Scalar.convert`
    if type(value) is float and not exact and value.is_integer():
        return int(value)  # for JSON Schema, 1.0 is an integer
    if type(value) is not int:
        raise TypeError
    return value


def _number(value: Any, exact: bool) -> float:  # noqa: FBT001 - as above
    if type(value) is int and not exact:
        return float(value)
    if type(value) is not float:
        raise TypeError
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


SCALARS: Final[Mapping[Any, Scalar]] = {
    str: Scalar("a string", {"type": "string"}, _only(str)),
    bool: Scalar("a boolean", {"type": "boolean"}, _only(bool)),
    int: Scalar("an integer", {"type": "integer"}, _integer),
    float: Scalar("a number", {"type": "number"}, _number),
    type(None): Scalar("null", {"type": "null"}, _only(type(None))),
    dt.datetime: Scalar("a date and time (ISO 8601)", {"type": "string", "format": "date-time"}, _datetime),
    dt.date: Scalar("a date (ISO 8601)", {"type": "string", "format": "date"}, _text(dt.date.fromisoformat)),
    dt.time: Scalar("a time (ISO 8601)", {"type": "string", "format": "time"}, _text(dt.time.fromisoformat)),
    uuid.UUID: Scalar("a UUID", {"type": "string", "format": "uuid"}, _text(uuid.UUID)),
    # Servers support no format for it.
    decimal.Decimal: Scalar(
        "a decimal number", {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, _decimal
    ),
}  # fmt: skip
"""Type -> shape, for types without parameters."""


@attrs.frozen(eq=False)
class Choice(Shape):
    """One of the values of a ``Literal`` or an enumeration. Each option is a pair (wire value, Python value)."""

    options: tuple[tuple[Any, Any], ...]
    description: str = ""

    @property
    def expects(self) -> str:
        listed = ", ".join(repr(wire) for wire, _ in self.options[:_MAX_LISTED_OPTIONS])
        return f"one of {listed}{', …' if len(self.options) > _MAX_LISTED_OPTIONS else ''}"

    def schema(self, definitions: Definitions) -> Schema:  # noqa: ARG002 - a shape without parts
        return with_description(enum_schema([wire for wire, _ in self.options]), self.description)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:  # noqa: ARG002 - as above
        if type(value) is float and value.is_integer() and not exact:
            value = int(value) if not self.contains(value) else value
        for wire, python in self.options:
            if type(wire) is type(value) and wire == value:
                return python
        right_type = json_type(value) in {json_type(wire) for wire, _ in self.options}
        raise ShapeError(f"expected {self.expects}, got {_shown(value)}", right_type=right_type)

    def contains(self, value: Any) -> bool:
        """Return whether a wire value is one of the options."""
        return any(type(wire) is type(value) and wire == value for wire, _ in self.options)


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
        raise _type_error(expects, value)
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
            "items": _any_of(map(definitions.schema, self.items)),
            "minItems": size,
            "maxItems": size,
        }

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        values = _as_list(value, self.expects)
        if len(values) != len(self.items):
            raise ShapeError(f"expected {self.expects}, got {len(values)} elements")
        return tuple(_items(values, self.items, cache, exact=exact))


@attrs.frozen(eq=False, kw_only=True)
class ObjectField:
    """One property of an object."""

    wire: str
    """The name of the property in JSON, and of the keyword argument of ``Object.build``."""
    shape: Shape
    description: str = ""
    optional: bool = False
    """Whether the property has a default. On the wire, null stands for the default."""

    @property
    def nullable(self) -> bool:
        """Whether null is a value of the shape; then null is this value and not the default."""
        return accepts_null(self.shape)

    def schema(self, definitions: Definitions) -> Schema:
        schema = definitions.schema(self.shape)
        if self.optional and not self.nullable:
            schema = _any_of([schema, {"type": "null"}])
        return with_description(schema, self.description)


@attrs.define(eq=False, kw_only=True)
class Object(Shape):
    """An object with known properties. ``fields`` is set after construction, because the object may contain itself."""

    name: str
    build: Callable[..., Any]
    description: str = ""
    fields: tuple[ObjectField, ...] = ()

    @property
    def expects(self) -> str:
        return f"an object ({self.name})"

    def parts(self) -> Iterable[Shape]:
        return [field.shape for field in self.fields]

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {field.wire: field.schema(definitions) for field in self.fields},
            "required": [field.wire for field in self.fields],
            "additionalProperties": False,
        }
        return with_description(schema, self.description)

    def may_match(self, value: Any, *, exact: bool) -> bool:
        if not is_object(value):
            return True  # `read` raises the best error
        if any(
            isinstance(field.shape, Choice)
            and value[field.wire] is not None
            and not field.shape.contains(value[field.wire])
            for field in self.fields
            if field.wire in value
        ):
            return False
        known = {field.wire for field in self.fields}
        return not exact or (value.keys() <= known and not self._missing(value))

    def _missing(self, value: Mapping[str, Any]) -> list[str]:
        # Servers without a strict mode omit properties that are null.
        return [f.wire for f in self.fields if f.wire not in value and not f.optional and not f.nullable]

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        if not is_object(value):
            raise _type_error(self.expects, value)
        for missing in self._missing(value):
            raise ShapeError("required, but missing", missing, missing=True)
        arguments: dict[str, Any] = {}
        for field in self.fields:
            member = value.get(field.wire)
            if member is None and field.optional and (field.wire not in value or not field.nullable):
                continue
            try:
                arguments[field.wire] = field.shape.read(member, cache, exact=exact)
            except ShapeError as error:
                raise error.prepend(field.wire) from None
        return _build(lambda fields: self.build(**fields), arguments)


def _build(build: Callable[[Any], Any], parts: Any) -> Any:
    try:
        return build(parts)
    except (TypeError, ValueError) as error:  # from a validator of the class
        message = str(error.args[0]) if error.args else str(error)
        raise ShapeError(message or type(error).__name__) from None


# ---- unions and wrappers


@attrs.frozen(eq=False)
class Union(Shape):
    """One of several shapes. See the module docstring for how a value is matched."""

    options: tuple[Shape, ...]

    @property
    def expects(self) -> str:
        return " or ".join(dict.fromkeys(option.expects for option in self.options))

    def parts(self) -> Iterable[Shape]:
        return self.options

    def schema(self, definitions: Definitions) -> Schema:
        return _any_of(map(definitions.schema, self.options))

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        best: ShapeError | None = None
        # Every date or UUID is a string too, so `str` is tried last.
        options = sorted(self.options, key=lambda option: _unwrap(option) is SCALARS[str])
        for strictly in (True,) if exact else (True, False):
            best = None
            for option in options:
                shape = _unwrap(option)
                if not shape.may_match(value, exact=strictly):
                    continue
                try:
                    return cache.read(shape, value, exact=strictly)
                except ShapeError as error:
                    if best is None or error.rank > best.rank:
                        best = error
        if best is None or not (best.steps or best.right_type):
            raise _type_error(self.expects, value)
        raise best


@attrs.frozen(eq=False)
class WithDescription(Shape):
    """A shape with a description for the model."""

    shape: Shape
    description: str

    @property
    def expects(self) -> str:
        return self.shape.expects

    def parts(self) -> Iterable[Shape]:
        return (self.shape,)

    def schema(self, definitions: Definitions) -> Schema:
        return with_description(definitions.schema(self.shape), self.description)

    def read(self, value: Any, cache: ReadCache, *, exact: bool) -> Any:
        return self.shape.read(value, cache, exact=exact)


@attrs.define(eq=False)
class Alias(Shape):
    """A named type that may contain itself. ``shape`` is set after construction."""

    name: str
    shape: Shape | None = None

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


def _unwrap(shape: Shape) -> Shape:
    seen: set[int] = set()
    while isinstance(shape, (WithDescription, Alias)) and id(shape) not in seen:
        seen.add(id(shape))
        shape = shape.shape if isinstance(shape, WithDescription) else shape.target
    return shape


def accepts_null(shape: Shape) -> bool:
    """Return whether null is a value of the shape."""
    shape = _unwrap(shape)
    if isinstance(shape, Union):
        return any(map(accepts_null, shape.options))
    return shape is SCALARS[type(None)] or (isinstance(shape, Choice) and shape.contains(None))


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
        schema = {"anyOf": [schema]}  # servers allow no keyword beside a reference
    return {**schema, "description": description}


def _any_of(schemas: Iterable[Schema]) -> Schema:
    options: list[Schema] = []
    for schema in schemas:
        for option in schema["anyOf"] if schema.keys() == {"anyOf"} else (schema,):
            if option not in options:
                options.append(option)
    return options[0] if len(options) == 1 else {"anyOf": options}


class Definitions:
    """The ``$defs`` of one schema: the shapes that are used more than once or contain themselves, by name."""

    def __init__(self, root: Shape) -> None:
        self.schemas: dict[str, Schema] = {}
        self._uses: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._renamed: dict[int, Mapping[str, str]] = {}
        self._count_uses(root)

    def _count_uses(self, root: Shape) -> None:
        pending = [root]
        while pending:
            shape = pending.pop()
            self._uses[id(shape)] = self._uses.get(id(shape), 0) + 1
            if self._uses[id(shape)] == 1:
                pending += shape.parts()

    def unique_name(self, name: str) -> str:
        """Return a name for ``$defs`` that is not in use, as similar to ``name`` as possible, and reserve it."""
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "Type"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def rename(self, shape: Shape, own: Mapping[str, Any]) -> tuple[Mapping[str, str], bool]:
        """Return new names for a shape's own definitions, and whether this is the first call for the shape."""
        if id(shape) in self._renamed:
            return self._renamed[id(shape)], False
        renamed = self._renamed[id(shape)] = {name: self.unique_name(name) for name in own}
        return renamed, True

    def schema(self, shape: Shape) -> Schema:
        """Return the schema of a shape, or a reference to it."""
        if not isinstance(shape, (Object, Alias)) or self._uses.get(id(shape), 0) < 2:  # noqa: PLR2004 - used only once
            return shape.schema(self)
        if id(shape) not in self._names:
            name = self._names[id(shape)] = self.unique_name(shape.name)
            self.schemas[name] = {}  # reserves the place, so that the order is that of first use
            self.schemas[name] = shape.schema(self)
        return {"$ref": f"#/$defs/{self._names[id(shape)]}"}


def root_schema(root: Shape) -> Schema:
    """Return the schema of a shape with its ``$defs``. Its top level is never a reference."""
    definitions = Definitions(root)
    schema = root.schema(definitions)
    return {**schema, "$defs": definitions.schemas} if definitions.schemas else schema
