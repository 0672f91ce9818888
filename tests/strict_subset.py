"""A checker of the strict subset of JSON Schema, written from the documentation (Structured outputs, Supported schemas)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"pattern", "format"},
    "number": {"multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"},
    "integer": {"multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"},
    "boolean": set[str](),
    "null": set[str](),
}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def assert_strict(schema: dict[str, Any]) -> None:
    """Fail unless a server that enforces schemas accepts a schema."""
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object", "the top level must be an object"
    assert list(_problems(schema, schema, "$")) == []


def _problems(schema: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        if len(schema) > 1:
            yield f"{path}: keywords beside a reference"
        if schema["$ref"] != "#" and schema["$ref"].removeprefix("#/$defs/") not in root.get("$defs", {}):
            yield f"{path}: {schema['$ref']} is not defined"
        return
    types = _types(schema)
    known = {"type", "enum", "const", "description", "title"}.union(*(KEYWORDS[each] for each in types))
    known = {"anyOf", "description", "title"} if "anyOf" in schema else known
    checks = {
        f"keywords {schema.keys() - known}": schema.keys() - {"$defs"} <= known,
        "the object is not closed": "object" not in types or schema.get("additionalProperties") is False,
        "properties are not required": sorted(schema.get("required", ())) == sorted(schema.get("properties", ())),
        "no items": "array" not in types or "items" in schema,
        "the format": schema.get("format", "date") in FORMATS,
        "the pattern looks around": not re.search(r"\(\?<?[=!]", schema.get("pattern", "")),
    }
    yield from (f"{path}: {problem}" for problem, is_right in checks.items() if not is_right)
    for name, part in _parts(schema):
        yield from _problems(part, root, f"{path}.{name}")


def _types(schema: dict[str, Any]) -> list[str]:
    types: str | list[str] = [] if "anyOf" in schema else schema["type"]
    return [types] if isinstance(types, str) else types


def _parts(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from schema.get("properties", {}).items()
    yield from schema.get("$defs", {}).items()
    yield from ((str(at), each) for at, each in enumerate(schema.get("anyOf", ())))
    if "items" in schema:
        yield "[]", schema["items"]
