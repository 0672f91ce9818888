"""Generate a value that fits a JSON Schema, deterministically, for function arguments and structured output.

Supported: ``$ref`` within the schema, ``const``, ``enum``, ``anyOf``, ``oneOf``, ``allOf``, every ``type``, required properties, the
bounds of strings, numbers, arrays and objects, ``uniqueItems``, ``prefixItems``, ``contains``, ``multipleOf``, the common formats,
and ``pattern`` as far as :mod:`._regex` supports it. Not supported: ``not``, ``if``, dependencies, ``patternProperties``. A schema
that uses these may get a value that does not fit.

:class:`_Filler` works from the root down. It first resolves references and alternatives into one flat schema, always with the
first alternative, and then generates a value by type: the smallest allowed number (0 where it may be negative), as few optional parts
as possible, and the name of the property as its text. The argument ``nth`` selects a different value where the schema allows one, so
that array items and repeated calls differ. Values of recursive schemas are finite, because optional parts are left out from a certain
depth on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeGuard

from ..protocol._requests import weight_of
from ._regex import sample

if TYPE_CHECKING:
    from ..typing import JSONValue


_MAX_OPTIONAL_DEPTH: Final = 24  # levels; below that, optional parts of a recursive schema are left out
_MAX_SPARSE_DEPTH: Final = (
    3  # levels at which all properties are filled in, if the schema does not say which are required
)
_MAX_DEPTH: Final = 96  # levels; below that, required parts are left out too

_MAX_BOUND: Final = 1e100  # a larger bound is ignored
_MAX_SIZE: Final = 10_000  # characters, elements or properties, even if a schema asks for more
_MAX_STEPS: Final = 10_000  # references and alternatives followed; a schema of a few lines can ask for 2**96
_MAX_VALUES: Final = 20_000  # values in total; after that, lists and objects end even if the schema asks for more
_MAX_CHARACTERS: Final = 1_000_000  # in total; as above

# Format -> a function from n, counted from 0, to a text. Repeats after `_VARIETY` values.
_FORMATS: Final[Mapping[str, Callable[[int], str]]] = {
    "date-time": lambda nth: f"2025-01-{nth + 1:02}T12:00:00Z",
    "date": lambda nth: f"2025-01-{nth + 1:02}",
    "time": lambda nth: f"12:{nth:02}:00Z",
    "duration": lambda nth: f"PT{nth + 1}H",
    "email": lambda nth: f"someone{nth or ''}@example.com",
    "hostname": lambda nth: f"host{nth}.example.com" if nth else "example.com",
    "ipv4": lambda nth: f"192.0.2.{nth + 1}",
    "ipv6": lambda nth: f"2001:db8::{nth + 1:x}",
    "uri": lambda nth: f"https://example.com/{nth or ''}",
    "url": lambda nth: f"https://example.com/{nth or ''}",
    "uuid": lambda nth: f"00000000-0000-4000-8000-{nth:012x}",
}
_VARIETY: Final = 12

_INDEX: Final = re.compile(r"[0-9]{1,9}")

_EMPTY: Final[Mapping[str, JSONValue]] = {}

# Keyword -> the type that it implies in a schema without `type`.
_IMPLIED_TYPES: Final = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
    "multipleOf": "number",
}


def fill(schema: Mapping[str, JSONValue], nth: int = 0) -> JSONValue:
    """Return a value that fits the schema.

    ``nth``, counted from 0, selects a different value if the schema allows several. Never raises. Malformed parts of the schema are
    ignored, and so are parts that would make the value larger than about a megabyte.
    """
    return _Filler(schema).fill(schema, "example", nth)


class _Filler:
    def __init__(self, root: Mapping[str, JSONValue]) -> None:
        self._root = root
        self._steps_left = _MAX_STEPS
        self._values_left = _MAX_VALUES
        self._characters_left = _MAX_CHARACTERS

    def fill(self, schema: JSONValue, name: str, nth: int, depth: int = 0) -> JSONValue:  # noqa: PLR0911 - one return per type
        """Return the ``nth`` value for a schema. ``name`` is the name of the property; it becomes the text of strings."""
        self._values_left -= 1
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return self._counted(name)
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return self._counted(schema["const"])
        if _is_list(choices := schema.get("enum")):
            return self._counted(choices[nth % len(choices)])
        kind = _type_of(schema)
        if kind == "object":
            return self._object(schema, nth, depth)
        if kind == "array":
            return self._array(schema, name, nth, depth)
        if kind in ("integer", "number"):
            return _number(schema, nth, integer=kind == "integer")
        if kind == "boolean":
            return nth % 2 == 0
        return None if kind == "null" else self._counted(_string(schema, name, nth))

    def _counted(self, value: JSONValue) -> JSONValue:
        self._characters_left -= weight_of(value)
        return value

    @property
    def _has_room(self) -> bool:
        return self._values_left > 0 and self._characters_left > 0

    def _resolved(self, schema: Mapping[str, JSONValue], depth: int) -> Mapping[str, JSONValue]:
        """Return a flat schema: references followed, ``allOf`` merged, an alternative chosen."""
        self._steps_left -= 1
        if depth > _MAX_DEPTH or self._steps_left < 0:
            return _EMPTY  # the references form a cycle
        reference = schema.get("$ref")
        if isinstance(reference, str):
            others = {key: value for key, value in schema.items() if key != "$ref"}
            return self._resolved(_merged(self._at(reference), others), depth + 1)
        for keyword in ("anyOf", "oneOf", "allOf"):
            stated = schema.get(keyword)
            if not _is_list(stated):
                continue
            schema = {key: value for key, value in schema.items() if key != keyword}
            parts = [part for part in stated if isinstance(part, Mapping)]
            if keyword != "allOf":
                parts = _preferred(parts, leaves_only=depth > _MAX_OPTIONAL_DEPTH)[:1]
            for part in parts:
                schema = _merged(schema, self._resolved(part, depth + 1))
        return schema

    def _at(self, reference: str) -> Mapping[str, JSONValue]:
        value: JSONValue = self._root
        for step in reference.lstrip("#").strip("/").split("/") if reference != "#" else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping):
                value = value.get(key)
            else:
                value = dict(enumerate(value)).get(int(key)) if _is_list(value) and _INDEX.fullmatch(key) else None
        return value if isinstance(value, Mapping) else {}

    def _object(self, schema: Mapping[str, JSONValue], nth: int, depth: int) -> JSONValue:
        stated = schema.get("properties")
        properties = stated if isinstance(stated, Mapping) else _EMPTY
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if _is_list(required) else []
        if required is None and depth <= _MAX_SPARSE_DEPTH:
            names = [*properties]  # the schema does not say which are required; an empty object would be useless
        minimum = _int(schema.get("minProperties"), 0)
        known = set(names)
        names += [name for name in properties if name not in known][: max(0, minimum - len(names))]
        names += [f"property_{n}" for n in range(minimum - len(names))]
        additional = schema.get("additionalProperties")
        return {
            name: self.fill(properties.get(name, additional), name, nth, depth + 1)
            for name in dict.fromkeys(names)
            if self._has_room
        }

    def _array(self, schema: Mapping[str, JSONValue], name: str, nth: int, depth: int) -> JSONValue:
        prefix = schema.get("prefixItems")
        first = list(prefix) if _is_list(prefix) else []
        contains = schema.get("contains")
        if isinstance(contains, Mapping):
            first += [contains] * _int(schema.get("minContains"), 1)
        minimum = _int(schema.get("minItems"), 0)
        count = max(minimum, len(first), 0 if depth > _MAX_OPTIONAL_DEPTH else 1)
        count = max(minimum, min(count, _int(schema.get("maxItems"), count)))
        return [
            self.fill(first[n] if n < len(first) else schema.get("items"), name, nth + n, depth + 1)
            for n in range(count)
            if self._has_room
        ]


def _preferred(alternatives: list[Mapping[str, JSONValue]], *, leaves_only: bool) -> list[Mapping[str, JSONValue]]:
    """Return the alternatives to choose from: if possible not null, and with ``leaves_only`` not nested."""
    if leaves_only:
        leaves = [schema for schema in alternatives if not (schema.keys() & {"$ref", "properties", "items"})]
        if leaves:
            return leaves
    return [schema for schema in alternatives if schema.get("type") != "null"] or alternatives


_TIGHTER: Final[Mapping[str, Callable[[float, float], float]]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}


def _is_list(value: JSONValue) -> TypeGuard[Sequence[JSONValue]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value)


def _finite(value: JSONValue) -> int | float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if abs(value) < _MAX_BOUND else None


def _int(value: JSONValue, default: int) -> int:
    number = _finite(value)
    return default if number is None else min(int(number), _MAX_SIZE)


def _merged(one: Mapping[str, JSONValue], other: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    """Return the combination of two schemas: the tighter bounds, all properties and all required names. Otherwise ``other`` wins."""
    both = {**one, **other}
    for keyword, tighter in _TIGHTER.items():
        low, high = _bound(one, keyword), _bound(other, keyword)
        if low is not None and high is not None:
            both[keyword] = tighter(low, high)
    for keyword in ("properties", "$defs"):
        first, second = one.get(keyword), other.get(keyword)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            both[keyword] = {**first, **second}
    first, second = one.get("required"), other.get("required")
    if _is_list(first) and _is_list(second):
        both["required"] = [*first, *second]
    return both


def _type_of(schema: Mapping[str, JSONValue]) -> str:
    stated = schema.get("type")
    if _is_list(stated):
        names = [name for name in stated if isinstance(name, str)]
        stated = next((name for name in names if name != "null"), "null")
    if isinstance(stated, str):
        return stated
    return next((kind for keyword, kind in _IMPLIED_TYPES.items() if keyword in schema), "string")


def _number(schema: Mapping[str, JSONValue], nth: int, *, integer: bool) -> JSONValue:
    step = abs(_bound(schema, "multipleOf") or 1.0)
    if step < 1 / _MAX_BOUND:
        step = 1.0
    if integer and step != int(step):
        step = float(Fraction(str(step)).numerator)  # the smallest multiple that is an integer
    low = _edge(schema, ("minimum", "exclusiveMinimum"), max)
    high = _edge(schema, ("maximum", "exclusiveMaximum"), min)
    # The first and the last multiple of `step` within the bounds.
    first = None if low is None else math.ceil(low[0] / step) + (low[1] and (low[0] / step).is_integer())
    last = None if high is None else math.floor(high[0] / step) - (high[1] and (high[0] / step).is_integer())
    if first is not None and first < 0 and (last is None or last >= 0):
        first = 0  # the smallest number would be an unlikely value
    if first is not None and last is not None and low and high and first > last:
        value = (low[0] + high[0]) / 2  # no multiple lies between the bounds
    elif first is None:
        value = step * (1 + nth if last is None else min(1, last) - nth)
    else:
        value = step * (first + (nth if last is None else nth % (last - first + 1)))
    return int(value) if integer or value == int(value) else value


def _edge(
    schema: Mapping[str, JSONValue], keywords: tuple[str, str], tighter: Callable[[Iterable[float]], float]
) -> tuple[float, bool] | None:
    """Return the tighter of an inclusive and an exclusive bound, and whether it is exclusive."""
    found = [(bound, n == 1) for n, keyword in enumerate(keywords) if (bound := _bound(schema, keyword)) is not None]
    if not found:
        return None
    edge = tighter(bound for bound, _ in found)
    return edge, (edge, True) in found


def _bound(schema: Mapping[str, JSONValue], keyword: str) -> float | None:
    number = _finite(schema.get(keyword))
    return None if number is None else float(number)


def _string(schema: Mapping[str, JSONValue], name: str, nth: int) -> str:
    by_format = _FORMATS.get(str(schema.get("format", "")))
    if by_format is not None:
        return by_format(nth % _VARIETY)
    min_length = _int(schema.get("minLength"), 0)
    pattern = schema.get("pattern")
    by_pattern = sample(pattern, min_length=min_length, nth=nth) if isinstance(pattern, str) else None
    if by_pattern is not None:
        return by_pattern
    text = f"{name} {nth + 1}" if nth else name
    max_length = _int(schema.get("maxLength"), len(text))
    # The number at the end keeps texts different, so a numbered text loses its beginning instead.
    text = text[max(0, len(text) - max_length) :] if nth else text[:max_length]
    return text.ljust(min_length, ".")
