"""What a type is on the wire: its schema in the strict subset, and how a JSON value of it is read.

One tree of shapes answers both, so that what is asked of a model and what is taken from it cannot come apart. The tree is
made by :mod:`._annotations`; recursive types make it a graph.

The strict subset (Structured outputs, Supported schemas): every object lists all its properties as required and allows no
others; what may be absent is null instead; alternatives are ``anyOf``; what is used twice or in itself stands in ``$defs``.

A union is read in two passes: an *exact* one, in which nothing is converted or overlooked, then a tolerant one. So ``1`` is an
``int`` of ``float | int``, and of two classes the one that has all the keys is taken.
"""

from __future__ import annotations

import abc
import datetime as dt
import decimal
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = [
    "SCALARS",
    "Alias",
    "Array",
    "Choice",
    "Described",
    "Names",
    "Object",
    "ObjectField",
    "Reading",
    "Scalar",
    "Schema",
    "Shape",
    "ShapeError",
    "Tuple",
    "Union",
    "accepts_null",
    "is_array",
    "is_object",
    "json_type",
    "path_of",
    "root_schema",
]

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema, as plain JSON."""

_SHOWN: Final = 60
_LISTED: Final = 8


class ShapeError(Exception):
    """A JSON value does not fit. ``steps`` lead to it from where it was met; containers prepend theirs."""

    def __init__(self, message: str, *steps: str | int, near: bool = True, missing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.steps: tuple[str | int, ...] = steps
        self.near = near
        """Whether the value is at least of the right JSON type."""
        self.missing = missing
        """Whether the last step leads to nothing."""

    @property
    def rank(self) -> tuple[int, bool]:
        """How good a clue this is, among those that the options of a union give: the further reading came, the better."""
        return len(self.steps) - self.missing, self.near

    def copy(self) -> ShapeError:
        return ShapeError(self.message, *self.steps, near=self.near, missing=self.missing)

    def below(self, step: str | int) -> ShapeError:
        self.steps = (step, *self.steps)
        return self


def path_of(steps: Iterable[str | int]) -> str:
    """Give steps as JSONPath: ``$.a[0]['b c']``."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{step!r}]" for step in steps
    )


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a JSON value is an object."""
    return type(value) is dict


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a JSON value is an array."""
    return type(value) is list


def json_type(value: object) -> str:
    """Give JSON Schema's name for the type of a JSON value."""
    for kinds, name in _KINDS:
        if isinstance(value, kinds):
            return name
    return "null"


_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "boolean"),
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (dict, "object"),
    ((list, tuple), "array"),
)
_A_VALUE: Final = {
    "boolean": "a boolean",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "object": "an object",
    "array": "an array",
    "null": "null",
}


def _shown(value: object) -> str:
    if isinstance(value, str) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r}…"
    return repr(value) if isinstance(value, (str, int, float)) else _A_VALUE[json_type(value)]


def _wrong(expects: str, value: object) -> ShapeError:
    return ShapeError(f"expected {expects}, got {_shown(value)}", near=False)


class Shape(abc.ABC):
    """The base of all shapes."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def expects(self) -> str:
        """What a message calls a value of this shape."""

    def inner(self) -> Iterable[Shape]:
        """Give the shapes that this one is made of."""
        return ()

    def could_be(self, value: Any, *, exact: bool) -> bool:  # noqa: ARG002 - most have to read to know
        """Tell at a glance whether reading is worth a try: the tags fit, and if it is to be exact, the keys do."""
        return True

    @abc.abstractmethod
    def schema(self, names: Names) -> Schema:
        """Write the schema of this shape; ``names`` knows which of its parts stand in ``$defs``."""

    @abc.abstractmethod
    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        """Make the Python value of a JSON value. Raises :class:`ShapeError`."""


class Reading:
    """One reading of one JSON value: what unions found out is kept, so that they never read the same twice.

    Without that, a union of classes that look alike would cost time exponential in the depth of the value.
    """

    __slots__ = ("_found",)

    def __init__(self) -> None:
        # By identity: the JSON value is alive as long as this is, and each part of it has one place in it.
        self._found: dict[tuple[int, int, bool], tuple[Any, ShapeError | None]] = {}

    def read(self, shape: Shape, value: Any, *, exact: bool) -> Any:
        """Read as :meth:`Shape.read` does, once."""
        if not isinstance(value, (dict, list)):
            return shape.read(value, self, exact=exact)
        key = (id(shape), id(cast("object", value)), exact)
        if key not in self._found:
            try:
                self._found[key] = (shape.read(value, self, exact=exact), None)
            except ShapeError as misfit:
                self._found[key] = (None, misfit.copy())
        result, failed = self._found[key]
        if failed is not None:
            raise failed.copy()  # each reader prepends its own steps
        return result


# ---- leaves


@attrs.frozen(eq=False)
class Scalar(Shape):
    """A string, number, boolean or null, perhaps with a meaning of its own."""

    label: str
    wire: Schema
    convert: Callable[[Any, bool], Any]
    """Value and whether exactly -> Python value; raises ``ValueError`` for a right type with a wrong value, else ``TypeError``."""

    @property
    def expects(self) -> str:
        return self.label

    def schema(self, names: Names) -> Schema:  # noqa: ARG002 - it has no parts
        return dict(self.wire)

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:  # noqa: ARG002 - as above
        try:
            return self.convert(value, exact)
        except TypeError:
            raise _wrong(self.expects, value) from None
        except (ValueError, ArithmeticError):
            raise ShapeError(f"expected {self.expects}, got {_shown(value)}") from None


def _only(*types: type) -> Callable[[Any, bool], Any]:
    def convert(value: Any, _exact: bool) -> Any:  # noqa: FBT001 - the signature of all of them
        if type(value) not in types:
            raise TypeError
        return value

    return convert


def _integer(value: Any, exact: bool) -> int:  # noqa: FBT001 - the signature of all of them
    if type(value) is float and not exact and value.is_integer():
        return int(value)  # JSON Schema does not tell 1.0 from 1
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
    # There is no format for it that servers know.
    decimal.Decimal: Scalar(
        "a decimal number", {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, _decimal
    ),
}  # fmt: skip
"""Type -> shape, for the types that need nothing else."""


@attrs.frozen(eq=False)
class Choice(Shape):
    """One of some values, of ``Literal`` or of an enumeration: (wire value, Python value) each."""

    options: tuple[tuple[Any, Any], ...]
    description: str = ""

    @property
    def expects(self) -> str:
        listed = ", ".join(repr(wire) for wire, _ in self.options[:_LISTED])
        return f"one of {listed}{', …' if len(self.options) > _LISTED else ''}"

    def schema(self, names: Names) -> Schema:  # noqa: ARG002 - it has no parts
        values = [wire for wire, _ in self.options]
        kinds = list(dict.fromkeys(map(json_type, values)))
        return _described({"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}, self.description)

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:  # noqa: ARG002 - as above
        if type(value) is float and value.is_integer() and not exact:
            value = int(value) if not self.has(value) else value
        for wire, python in self.options:
            if type(wire) is type(value) and wire == value:
                return python
        near = json_type(value) in {json_type(wire) for wire, _ in self.options}
        raise ShapeError(f"expected {self.expects}, got {_shown(value)}", near=near)

    def has(self, value: Any) -> bool:
        """Tell whether the value is one of the options, as they stand on the wire."""
        return any(type(wire) is type(value) and wire == value for wire, _ in self.options)


# ---- containers


@attrs.frozen(eq=False)
class Array(Shape):
    """A list of any length, or another collection that is made of one."""

    item: Shape
    build: Callable[[list[Any]], Any]

    @property
    def expects(self) -> str:
        return "an array"

    def inner(self) -> Iterable[Shape]:
        return (self.item,)

    def schema(self, names: Names) -> Schema:
        return {"type": "array", "items": names.schema(self.item)}

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        values = _as_list(value, self.expects)
        return _built(self.build, _items(values, _repeat(self.item), reading, exact=exact))


def _as_list(value: Any, expects: str) -> list[Any]:
    if not is_array(value):
        raise _wrong(expects, value)
    return value


def _repeat(shape: Shape) -> Iterator[Shape]:
    while True:
        yield shape


def _items(values: list[Any], shapes: Iterable[Shape], reading: Reading, *, exact: bool) -> list[Any]:
    read: list[Any] = []
    for value, shape in zip(values, shapes, strict=False):
        try:
            read.append(shape.read(value, reading, exact=exact))
        except ShapeError as misfit:
            raise misfit.below(len(read)) from None
    return read


@attrs.frozen(eq=False)
class Tuple(Shape):
    """An array of so many values, each with a shape of its own.

    The strict subset cannot tell the positions apart, so its schema allows each shape in each place; reading does not.
    """

    items: tuple[Shape, ...]

    @property
    def expects(self) -> str:
        return f"an array of {len(self.items)}"

    def inner(self) -> Iterable[Shape]:
        return self.items

    def schema(self, names: Names) -> Schema:
        size = len(self.items)
        return {"type": "array", "items": _any_of(map(names.schema, self.items)), "minItems": size, "maxItems": size}

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        values = _as_list(value, self.expects)
        if len(values) != len(self.items):
            raise ShapeError(f"expected {self.expects}, got {len(values)}")
        return tuple(_items(values, self.items, reading, exact=exact))


@attrs.frozen(eq=False, kw_only=True)
class ObjectField:
    """One property of an object."""

    wire: str
    """Its name in JSON, and as a keyword of what builds the object."""
    shape: Shape
    description: str = ""
    optional: bool = False
    """Whether it may be left out, in favour of a default. On the wire it is null then."""

    @property
    def nullable(self) -> bool:
        """Whether null is one of its values, which wins over being left out."""
        return accepts_null(self.shape)

    def schema(self, names: Names) -> Schema:
        schema = names.schema(self.shape)
        if self.optional and not self.nullable:
            schema = _any_of([schema, {"type": "null"}])
        return _described(schema, self.description)


@attrs.define(eq=False, kw_only=True)
class Object(Shape):
    """An object of known properties. ``fields`` is filled after it was made, since it may contain itself."""

    name: str
    build: Callable[..., Any]
    description: str = ""
    fields: tuple[ObjectField, ...] = ()

    @property
    def expects(self) -> str:
        return f"an object ({self.name})"

    def inner(self) -> Iterable[Shape]:
        return [field.shape for field in self.fields]

    def schema(self, names: Names) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {field.wire: field.schema(names) for field in self.fields},
            "required": [field.wire for field in self.fields],
            "additionalProperties": False,
        }
        return _described(schema, self.description)

    def could_be(self, value: Any, *, exact: bool) -> bool:
        if not is_object(value):
            return True  # reading it says best what is wrong
        if any(
            isinstance(field.shape, Choice) and value[field.wire] is not None and not field.shape.has(value[field.wire])
            for field in self.fields
            if field.wire in value
        ):
            return False
        known = {field.wire for field in self.fields}
        return not exact or (value.keys() <= known and not self._missing(value))

    def _missing(self, value: Mapping[str, Any]) -> list[str]:
        # Servers that know no strict mode leave out what is null.
        return [f.wire for f in self.fields if f.wire not in value and not f.optional and not f.nullable]

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        if not is_object(value):
            raise _wrong(self.expects, value)
        for missing in self._missing(value):
            raise ShapeError("required, but missing", missing, missing=True)
        given: dict[str, Any] = {}
        for field in self.fields:
            member = value.get(field.wire)
            if member is None and field.optional and (field.wire not in value or not field.nullable):
                continue
            try:
                given[field.wire] = field.shape.read(member, reading, exact=exact)
            except ShapeError as misfit:
                raise misfit.below(field.wire) from None
        return _built(lambda fields: self.build(**fields), given)


def _built(build: Callable[[Any], Any], parts: Any) -> Any:
    try:
        return build(parts)
    except (TypeError, ValueError) as error:  # what a validator of the class says
        message = str(error.args[0]) if error.args else str(error)
        raise ShapeError(message or type(error).__name__) from None


# ---- shapes of shapes


@attrs.frozen(eq=False)
class Union(Shape):
    """One of several shapes."""

    options: tuple[Shape, ...]

    @property
    def expects(self) -> str:
        return " or ".join(dict.fromkeys(option.expects for option in self.options))

    def inner(self) -> Iterable[Shape]:
        return self.options

    def schema(self, names: Names) -> Schema:
        return _any_of(map(names.schema, self.options))

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        best: ShapeError | None = None
        # Any string is a string: what has more of a meaning comes first.
        options = sorted(self.options, key=lambda option: _bare(option) is SCALARS[str])
        for strictly in (True,) if exact else (True, False):
            best = None
            for option in options:
                bare = _bare(option)
                if not bare.could_be(value, exact=strictly):
                    continue
                try:
                    return reading.read(bare, value, exact=strictly)
                except ShapeError as misfit:
                    if best is None or misfit.rank > best.rank:
                        best = misfit
        if best is None or not (best.steps or best.near):
            raise _wrong(self.expects, value)
        raise best


@attrs.frozen(eq=False)
class Described(Shape):
    """A shape with a text for the model to read."""

    of: Shape
    description: str

    @property
    def expects(self) -> str:
        return self.of.expects

    def inner(self) -> Iterable[Shape]:
        return (self.of,)

    def schema(self, names: Names) -> Schema:
        return _described(names.schema(self.of), self.description)

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        return self.of.read(value, reading, exact=exact)


@attrs.define(eq=False)
class Alias(Shape):
    """A named type that may contain itself. ``of`` is filled after it was made."""

    name: str
    of: Shape | None = None

    @property
    def target(self) -> Shape:
        return cast("Shape", self.of)

    @property
    def expects(self) -> str:
        return self.name

    def inner(self) -> Iterable[Shape]:
        return (self.target,)

    def schema(self, names: Names) -> Schema:
        return names.schema(self.target)

    def read(self, value: Any, reading: Reading, *, exact: bool) -> Any:
        return self.target.read(value, reading, exact=exact)


def _bare(shape: Shape) -> Shape:
    seen: set[int] = set()
    while isinstance(shape, (Described, Alias)) and id(shape) not in seen:
        seen.add(id(shape))
        shape = shape.of if isinstance(shape, Described) else shape.target
    return shape


def accepts_null(shape: Shape) -> bool:
    """Tell whether null is one of the values."""
    shape = _bare(shape)
    if isinstance(shape, Union):
        return any(map(accepts_null, shape.options))
    return shape is SCALARS[type(None)] or (isinstance(shape, Choice) and shape.has(None))


# ---- schemas


def _described(schema: Schema, description: str) -> Schema:
    if not description:
        return schema
    if "$ref" in schema:
        schema = {"anyOf": [schema]}  # servers allow nothing beside a reference
    return {**schema, "description": description}


def _any_of(schemas: Iterable[Schema]) -> Schema:
    options: list[Schema] = []
    for schema in schemas:
        for option in schema["anyOf"] if schema.keys() == {"anyOf"} else (schema,):
            if option not in options:
                options.append(option)
    return options[0] if len(options) == 1 else {"anyOf": options}


class Names:
    """Gives what stands in ``$defs`` its name there: shapes that are used more than once, or in themselves."""

    def __init__(self, root: Shape) -> None:
        self.defs: dict[str, Schema] = {}
        self._uses: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._adopted: dict[int, Mapping[str, str]] = {}
        self._count(root)

    def _count(self, root: Shape) -> None:
        waiting = [root]
        while waiting:
            shape = waiting.pop()
            self._uses[id(shape)] = self._uses.get(id(shape), 0) + 1
            if self._uses[id(shape)] == 1:
                waiting += shape.inner()

    def name(self, wanted: str) -> str:
        """Give a name in ``$defs`` that nothing else has."""
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_") or "Type"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def adopt(self, shape: Shape, definitions: Mapping[str, Any]) -> tuple[Mapping[str, str], bool]:
        """Give the names here of definitions that a shape brings with it, and whether they are new."""
        if id(shape) in self._adopted:
            return self._adopted[id(shape)], False
        given = self._adopted[id(shape)] = {name: self.name(name) for name in definitions}
        return given, True

    def schema(self, shape: Shape) -> Schema:
        """Give the schema of a part: itself, or a reference to it."""
        if not isinstance(shape, (Object, Alias)) or self._uses.get(id(shape), 0) < 2:  # noqa: PLR2004 - once here, once elsewhere
            return shape.schema(self)
        if id(shape) not in self._names:
            name = self._names[id(shape)] = self.name(shape.name)
            self.defs[name] = {}  # so that the order is that of the first use
            self.defs[name] = shape.schema(self)
        return {"$ref": f"#/$defs/{self._names[id(shape)]}"}


def root_schema(root: Shape) -> Schema:
    """Give the whole schema of a shape, whose top is never a reference."""
    names = Names(root)
    schema = root.schema(names)
    return {**schema, "$defs": names.defs} if names.defs else schema
