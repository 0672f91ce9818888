"""Define the strict subset of JSON Schema, and check schemas against it (Structured outputs, Supported schemas).

In the strict subset every object requires all its properties and allows no others, and most validation keywords are missing.
Servers that enforce a schema (``strict: true``) refuse a schema outside of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BOUNDS", "FORMATS", "NO_FREE_KEYS", "UNSUPPORTED", "is_strict"]

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
NO_FREE_KEYS: Final = "the strict subset has no objects with arbitrary keys: use a class, or a list of pairs"

_KEYWORDS: Final = frozenset(
    {
        *("type", "description", "title", "enum", "const", "anyOf", "$ref", "$defs"),
        *("properties", "required", "additionalProperties", "items", "pattern", "format"),
        *BOUNDS,
    }
)
_FORMATS_OR_NONE: Final = FORMATS | {None}
_MAX_DEPTH: Final = 10


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema of arguments is in the strict subset. Return false in case of doubt, and if it is not a schema."""
    try:
        return schema.get("type") == "object" and "anyOf" not in schema and _is_strict(schema, _MAX_DEPTH)
    except (AttributeError, TypeError):  # a part of it has another type than a schema has
        return False


def _is_strict(schema: Mapping[str, Any], depth: int) -> bool:
    if depth == 0 or not _KEYWORDS.issuperset(schema) or schema.get("format") not in _FORMATS_OR_NONE:
        return False
    properties: Mapping[str, Any] = schema.get("properties", {})
    if schema.get("type") == "object" or properties:
        required: Sequence[str] = schema.get("required", ())
        if schema.get("additionalProperties") is not False or set(required) != set(properties):
            return False
    elif not {"type", "enum", "const", "anyOf", "$ref"} & set(schema):
        return False
    parts: list[Mapping[str, Any]] = [*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        parts.append(schema["items"])
    return all(_is_strict(part, depth - 1) for part in parts)
