"""A value that fits a JSON Schema, always the same one: what the scripted model fills in.

Known: ``$ref`` within the schema, ``const``, ``enum``, ``anyOf``, ``oneOf``, ``allOf``, every ``type``, required properties, the
bounds of strings, numbers, arrays and objects, ``uniqueItems``, ``prefixItems``, ``contains``, ``multipleOf``, the common formats,
and ``pattern`` as far as :mod:`responses_proto._patterns` goes. Not known: ``not``, ``if``, dependencies, ``patternProperties``; a
schema that rests on these may get a value that does not fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeGuard

from ._regex import sample

if TYPE_CHECKING:
    from ..typing import JSONValue


__all__ = ["fill"]

_DEEP: Final = 24  # levels, after which optional parts of a schema that contains itself are left out
_TOO_DEEP: Final = 96  # levels, after which even required ones are

_HUGE: Final = 1e100  # a bound beyond that is none
_MOST: Final = 10_000  # of characters, elements or properties, whatever a schema asks for
_MOST_STEPS: Final = 10_000  # references and alternatives followed; a schema of a few lines can ask for 2**96

# Format -> the nth text of it, counted from 0; after a dozen they come again.
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

_NOTHING: Final[Mapping[str, JSONValue]] = {}

# Keyword -> the type that a schema without `type` means by it.
_IMPLIED: Final = {
    "properties": "object",
    "required": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
    "multipleOf": "number",
}


def fill(schema: Mapping[str, JSONValue], nth: int = 0) -> JSONValue:
    """Give a value that fits; with ``nth``, another one if the schema leaves a choice.

    Never raises; what cannot be made sense of is taken to allow anything.
    """
    return _Filler(schema).make(schema, "example", nth)


class _Filler:
    def __init__(self, root: Mapping[str, JSONValue]) -> None:
        self._root = root
        self._steps = _MOST_STEPS

    def make(self, schema: JSONValue, name: str, nth: int, depth: int = 0) -> JSONValue:  # noqa: PLR0911 - one per type
        """Make the ``nth`` value for a schema; different ones where it allows that. ``name`` is where it will stand."""
        if not isinstance(schema, Mapping) or depth > _TOO_DEEP:
            return name
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if _listed(choices := schema.get("enum")):
            return choices[nth % len(choices)]
        kind = _type_of(schema)
        if kind == "object":
            return self._object(schema, nth, depth)
        if kind == "array":
            return self._array(schema, name, nth, depth)
        if kind in ("integer", "number"):
            return _number(schema, nth, whole=kind == "integer")
        if kind == "boolean":
            return nth % 2 == 0
        return None if kind == "null" else _string(schema, name, nth)

    def _resolved(self, schema: Mapping[str, JSONValue], depth: int) -> Mapping[str, JSONValue]:
        """Put together what a schema says by reference, by parts and by alternatives."""
        self._steps -= 1
        if depth > _TOO_DEEP or self._steps < 0:
            return _NOTHING  # it goes round in circles
        reference = schema.get("$ref")
        if isinstance(reference, str):
            others = {key: value for key, value in schema.items() if key != "$ref"}
            return self._resolved(_merged(self._at(reference), others), depth + 1)
        for keyword in ("anyOf", "oneOf", "allOf"):
            arms = schema.get(keyword)
            if not _listed(arms):
                continue
            schema = {key: value for key, value in schema.items() if key != keyword}
            known = [arm for arm in arms if isinstance(arm, Mapping)]
            if keyword != "allOf":
                # Null, and once it gets deep anything that goes on, only if there is nothing else.
                leaf = (
                    [arm for arm in known if not (arm.keys() & {"$ref", "properties", "items"})]
                    if depth > _DEEP
                    else []
                )
                known = (leaf or [arm for arm in known if arm.get("type") != "null"] or known)[:1]
            for arm in known:
                schema = _merged(schema, self._resolved(arm, depth + 1))
        return schema

    def _at(self, reference: str) -> Mapping[str, JSONValue]:
        value: JSONValue = self._root
        for step in reference.lstrip("#").strip("/").split("/") if reference != "#" else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping):
                value = value.get(key)
            else:
                value = dict(enumerate(value)).get(int(key)) if _listed(value) and _INDEX.fullmatch(key) else None
        return value if isinstance(value, Mapping) else {}

    def _object(self, schema: Mapping[str, JSONValue], nth: int, depth: int) -> JSONValue:
        stated = schema.get("properties")
        properties = stated if isinstance(stated, Mapping) else _NOTHING
        needed = schema.get("required")
        names = [name for name in needed if isinstance(name, str)] if _listed(needed) else []
        fewest = _int(schema.get("minProperties"), 0)
        names += [name for name in properties if name not in names][: max(0, fewest - len(names))]
        others = schema.get("additionalProperties")
        names += [f"property_{n}" for n in range(fewest - len(names))]
        return {name: self.make(properties.get(name, others), name, nth, depth + 1) for name in dict.fromkeys(names)}

    def _array(self, schema: Mapping[str, JSONValue], name: str, nth: int, depth: int) -> JSONValue:
        stated = schema.get("prefixItems")
        first = list(stated) if _listed(stated) else []
        contained = schema.get("contains")
        if isinstance(contained, Mapping):
            first += [contained] * _int(schema.get("minContains"), 1)
        fewest = _int(schema.get("minItems"), 0)
        wanted = max(fewest, len(first), 0 if depth > _DEEP else 1)
        count = max(fewest, min(wanted, _int(schema.get("maxItems"), wanted)))
        return [
            self.make(first[n] if n < len(first) else schema.get("items"), name, nth + n, depth + 1)
            for n in range(count)
        ]


_TIGHTER: Final[Mapping[str, Callable[[float, float], float]]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}


def _listed(value: JSONValue) -> TypeGuard[Sequence[JSONValue]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value)


def _finite(value: JSONValue) -> int | float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if abs(value) < _HUGE else None


def _int(value: JSONValue, default: int) -> int:
    number = _finite(value)
    return default if number is None else min(int(number), _MOST)


def _merged(one: Mapping[str, JSONValue], other: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    """Give a schema that asks for what both ask for, as far as it goes: names and properties add up, the tighter bound holds."""
    both = {**one, **other}
    for keyword, tighter in _TIGHTER.items():
        low, high = _bound(one, keyword), _bound(other, keyword)
        if low is not None and high is not None:
            both[keyword] = tighter(low, high)
    for keyword in ("properties", "$defs"):
        mine, theirs = one.get(keyword), other.get(keyword)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            both[keyword] = {**mine, **theirs}
    mine, theirs = one.get("required"), other.get("required")
    if _listed(mine) and _listed(theirs):
        both["required"] = [*mine, *theirs]
    return both


def _type_of(schema: Mapping[str, JSONValue]) -> str:
    stated = schema.get("type")
    if _listed(stated):
        names = [name for name in stated if isinstance(name, str)]
        stated = next((name for name in names if name != "null"), "null")
    if isinstance(stated, str):
        return stated
    return next((kind for keyword, kind in _IMPLIED.items() if keyword in schema), "string")


def _number(schema: Mapping[str, JSONValue], nth: int, *, whole: bool) -> JSONValue:
    step = abs(_bound(schema, "multipleOf") or 1.0)
    if step < 1 / _HUGE:
        step = 1.0
    if whole and step != int(step):
        step = float(Fraction(str(step)).numerator)  # the first multiple that is whole
    low = _edge(schema, ("minimum", "exclusiveMinimum"), max)
    high = _edge(schema, ("maximum", "exclusiveMaximum"), min)
    # In steps: the first and the last that lie within the bounds.
    first = None if low is None else math.ceil(low[0] / step) + (low[1] and (low[0] / step).is_integer())
    last = None if high is None else math.floor(high[0] / step) - (high[1] and (high[0] / step).is_integer())
    if first is not None and last is not None and low and high and first > last:
        value = (low[0] + high[0]) / 2  # no step lies between the bounds
    elif first is None:
        value = step * (1 + nth if last is None else min(1, last) - nth)
    else:
        value = step * (first + (nth if last is None else nth % (last - first + 1)))
    return int(value) if whole or value == int(value) else value


def _edge(
    schema: Mapping[str, JSONValue], keywords: tuple[str, str], tighter: Callable[[Iterable[float]], float]
) -> tuple[float, bool] | None:
    """Give the tighter of two bounds, and whether it is itself out of bounds."""
    found = [(bound, n == 1) for n, keyword in enumerate(keywords) if (bound := _bound(schema, keyword)) is not None]
    if not found:
        return None
    edge = tighter(bound for bound, _ in found)
    return edge, (edge, True) in found


def _bound(schema: Mapping[str, JSONValue], keyword: str) -> float | None:
    number = _finite(schema.get(keyword))
    return None if number is None else float(number)


def _string(schema: Mapping[str, JSONValue], name: str, nth: int) -> str:
    known = _FORMATS.get(str(schema.get("format", "")))
    if known is not None:
        return known(nth % _VARIETY)
    shortest = _int(schema.get("minLength"), 0)
    pattern = schema.get("pattern")
    found = sample(pattern, min_length=shortest, nth=nth) if isinstance(pattern, str) else None
    if found is not None:
        return found
    text = f"{name} {nth + 1}" if nth else name
    longest = _int(schema.get("maxLength"), len(text))
    # Where there is no room for the whole, the end stays, which tells it from others.
    return text[max(0, len(text) - longest) :].ljust(shortest, ".") if nth else text[:longest].ljust(shortest, ".")
