"""Define the strict subset of JSON Schema, and check schemas against it (Structured outputs, Supported schemas).

In the strict subset, every object requires all its properties and allows no others, and most validation keywords are missing.
Servers that enforce a schema (``strict: true``) refuse schemas outside of the subset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEFINITIONS: Final = "#/$defs/"
"""The location of the definitions that a schema refers to."""
BOUNDS: Final = (
    "multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems", "maxItems",
)  # fmt: skip
"""The supported keywords that restrict numbers and arrays."""
FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
"""The supported values of ``format``."""
UNSUPPORTED: Final = (
    "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "contains", "prefixItems",
)  # fmt: skip
"""Keywords that cannot be dropped from a schema, because its meaning would change."""
NO_FREE_KEYS: Final = (
    "the strict subset has no objects with arbitrary keys: use a class, or a list of pairs, or pass strict=False"
)
NO_ANY: Final = "the strict subset has no values of any type: name the types, or pass strict=False"

# A schema with the keyword on the left may only have the keywords on the right and _ANNOTATIONS. The first row that applies is used.
_ANNOTATIONS: Final = frozenset({"title", "description"})
_COMBINATIONS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("anyOf", frozenset({"anyOf"})),
    ("enum", frozenset({"enum", "type"})),
    ("const", frozenset({"const", "type"})),
)
_NUMBER: Final = frozenset({"multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})
_KEYWORDS_OF_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern", "format"}),
    "number": _NUMBER,
    "integer": _NUMBER,
    "boolean": frozenset(),
    "null": frozenset(),
}
# Structured outputs, Limitations on schemas.
_MAX_DEPTH: Final = 10
_MAX_PROPERTIES: Final = 5_000
_MAX_ENUM_VALUES: Final = 1_000
_MAX_CHARS: Final = 120_000
"""The limit of characters for the names of properties and definitions, and the values of ``enum`` and ``const``, together."""

# Other groups than `(?:` are lookarounds, flags or named groups. Servers support neither these nor back references.
_NOT_PORTABLE: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?!:)|\\[1-9AZzGbB])")


def is_portable_pattern(pattern: object) -> TypeGuard[str]:
    """Return whether servers support a pattern: a valid regular expression without lookaround and back references."""
    if not isinstance(pattern, str) or _NOT_PORTABLE.search(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def fits_strict(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema of arguments or of an answer is in the strict subset.

    Returns false if in doubt, or if the value is not a schema, because one schema outside of the subset makes the server refuse the
    whole request.
    """
    try:
        return schema.get("type") == "object" and _Judge(schema.get("$defs", {})).fits(schema)
    except (AttributeError, TypeError, ValueError):  # a part has a type that is invalid in a schema
        return False


@attrs.define
class _Judge:
    """Checks the parts of one schema, and counts the totals that are limited for the whole schema."""

    definitions: Mapping[str, Any]
    properties: int = 0
    enum_values: int = 0
    chars: int = 0

    def fits(self, root: Mapping[str, Any]) -> bool:
        self._count_texts(self.definitions)
        parts = [{key: value for key, value in root.items() if key != "$defs"}, *self.definitions.values()]
        return (
            all(self._part_fits(part, _MAX_DEPTH) for part in parts)
            and self.properties <= _MAX_PROPERTIES
            and self.enum_values <= _MAX_ENUM_VALUES
            and self.chars <= _MAX_CHARS
        )

    def _part_fits(self, schema: Mapping[str, Any], depth: int) -> bool:
        if "$ref" in schema:
            return len(schema) == 1 and self._is_defined(schema["$ref"])
        return depth > 0 and self._keywords_fit(schema) and all(self._part_fits(p, depth - 1) for p in _parts(schema))

    def _is_defined(self, reference: str) -> bool:
        return reference == "#" or (
            reference.startswith(DEFINITIONS) and reference.removeprefix(DEFINITIONS) in self.definitions
        )

    def _keywords_fit(self, schema: Mapping[str, Any]) -> bool:
        types: list[str] = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
        bounds = [schema[keyword] for keyword in BOUNDS if keyword in schema]
        if not (_KEYWORDS_OF_TYPE.keys() >= set(types) and all(isinstance(bound, (int, float)) for bound in bounds)):
            return False
        for keyword, allowed in _COMBINATIONS:
            if keyword in schema:
                self._count_values(schema)
                is_scalar = not {"object", "array"} & set(types)
                filled = keyword == "const" or bool(schema[keyword])
                return is_scalar and filled and allowed | _ANNOTATIONS >= schema.keys()
        allowed = frozenset({"type"}).union(_ANNOTATIONS, *(_KEYWORDS_OF_TYPE[name] for name in types))
        return (
            bool(types)
            and allowed >= schema.keys()
            and ("object" not in types or self._is_closed(schema))
            and ("array" not in types or isinstance(schema.get("items"), Mapping))
            and ("format" not in schema or schema["format"] in FORMATS)
            and ("pattern" not in schema or is_portable_pattern(schema["pattern"]))
        )

    def _is_closed(self, schema: Mapping[str, Any]) -> bool:
        properties: Mapping[str, Any] = schema.get("properties", {})
        self.properties += len(properties)
        self._count_texts(properties)
        return (
            "properties" in schema
            and schema.get("additionalProperties") is False
            and sorted(schema.get("required", ())) == sorted(properties)
        )

    def _count_values(self, schema: Mapping[str, Any]) -> None:
        values: list[Any] = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
        self.enum_values += len(values)
        self._count_texts(value for value in values if isinstance(value, str))

    def _count_texts(self, texts: Iterable[str]) -> None:
        self.chars += sum(map(len, texts))


def _parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from schema.get("properties", {}).values()
    yield from schema.get("anyOf", ())
    if "items" in schema:
        yield schema["items"]
