"""A value that fits a JSON Schema, always the same one: what the embedded model fills in.

Known: ``$ref`` within the schema, ``const``, ``enum``, ``anyOf``, ``oneOf``, ``allOf``, every ``type``, required properties, the
bounds of strings, numbers, arrays and objects, ``uniqueItems``, ``prefixItems``, ``multipleOf``, the common formats. Not known:
``pattern``, ``not``, ``if``, dependencies; a schema that rests on these may get a value that does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from .typing import JSONValue


__all__ = ["fill"]

_DEEP: Final = 24  # levels, after which optional parts of a schema that contains itself are left out
_TOO_DEEP: Final = 96  # levels, after which even required ones are

_MOST_STEPS: Final = 10_000  # references and alternatives followed; a schema of a few lines can ask for 2**96

_FORMATS: Final = {
    "date-time": "2025-01-01T12:00:00Z",
    "date": "2025-01-01",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

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


def fill(schema: Mapping[str, JSONValue]) -> JSONValue:
    """Give a value that fits. Never raises; what cannot be made sense of is taken to allow anything."""
    return _Filler(schema).make(schema, "example", 0)


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
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
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
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else {}

    def _object(self, schema: Mapping[str, JSONValue], depth: int) -> JSONValue:
        stated = schema.get("properties")
        properties = stated if isinstance(stated, Mapping) else _NOTHING
        needed = schema.get("required")
        names = [name for name in needed if isinstance(name, str)] if _listed(needed) else []
        fewest = _int(schema.get("minProperties"), 0)
        names += [name for name in properties if name not in names][: max(0, fewest - len(names))]
        others = schema.get("additionalProperties")
        names += [f"property_{n}" for n in range(fewest - len(names))]
        return {name: self.make(properties.get(name, others), name, 0, depth + 1) for name in dict.fromkeys(names)}

    def _array(self, schema: Mapping[str, JSONValue], name: str, depth: int) -> JSONValue:
        stated = schema.get("prefixItems")
        first = list(stated) if _listed(stated) else []
        fewest = _int(schema.get("minItems"), 0)
        wanted = max(fewest, len(first), 0 if depth > _DEEP else 1)
        count = max(fewest, min(wanted, _int(schema.get("maxItems"), wanted)))
        return [
            self.make(first[n] if n < len(first) else schema.get("items"), name, n, depth + 1) for n in range(count)
        ]


def _listed(value: JSONValue) -> TypeGuard[Sequence[JSONValue]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value)


def _int(value: JSONValue, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default


def _merged(one: Mapping[str, JSONValue], other: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    """Give a schema that asks for what both ask for, as far as it goes: properties and required names add up."""
    both = {**one, **other}
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
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    step = _bound(schema, "multipleOf") or 1.0
    if whole and step != int(step):
        step = float(math.lcm(1, math.ceil(step)))
    lowest = max((bound for bound in (low, above) if bound is not None), default=None)
    highest = min((bound for bound in (high, below) if bound is not None), default=None)
    start = lowest if lowest is not None else min(1.0, highest) if highest is not None else 1.0
    value = math.ceil(start / step) * step
    if above is not None and value <= above:
        value += step
    if lowest is None and highest is not None:  # from the top then
        value = math.floor(highest / step) * step
        value -= step * (nth + (below is not None and value >= below))
    else:
        value += step * nth
    if highest is not None and (value > highest or (below is not None and value >= below)) and not whole:
        value = (start + highest) / 2  # no step of 1 lies between the bounds
    return int(value) if whole or value == int(value) else value


def _bound(schema: Mapping[str, JSONValue], keyword: str) -> float | None:
    value = schema.get(keyword)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _string(schema: Mapping[str, JSONValue], name: str, nth: int) -> str:
    known = _FORMATS.get(str(schema.get("format", "")))
    if known is not None:
        return known
    text = f"{name} {nth + 1}" if nth else name
    text = text.ljust(_int(schema.get("minLength"), 0), ".")
    return text[: _int(schema.get("maxLength"), len(text))]
