from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from responses_proto.schema._strict import fits_strict

if TYPE_CHECKING:
    from responses_proto.typing import JSONObject

STRICT: JSONObject = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris"]}, "days": {"type": ["integer", "null"], "minimum": 1}},
    "required": ["days", "city"],
    "additionalProperties": False,
}
LOOSE: JSONObject = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (STRICT, True),
        (LOOSE, False),
        ({**STRICT, "required": ["city"]}, False),
        ({**STRICT, "additionalProperties": {}}, False),
        ({**STRICT, "anyOf": [STRICT]}, False),
        ({**STRICT, "$schema": "https://json-schema.org/draft/2020-12/schema"}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {}}, False),
        ({"type": "array", "items": STRICT}, False),
        ({**STRICT, "properties": {"days": {"type": "array", "items": STRICT}, "city": {"type": "string"}}}, True),
        ({**STRICT, "properties": {"days": {"type": "array", "items": LOOSE}, "city": {"type": "string"}}}, False),
        ({**STRICT, "properties": {"days": {"anyOf": [STRICT, {"type": "null"}]}, "city": {"const": "x"}}}, True),
        ({**STRICT, "properties": {"days": {}, "city": {"type": "string"}}}, False),
        ({**STRICT, "properties": {"days": {"type": "string", "default": ""}, "city": {"type": "string"}}}, False),
        ({**STRICT, "properties": {"days": {"type": "string", "format": "uri"}, "city": {"type": "string"}}}, False),
        ({**STRICT, "properties": {"days": {"type": "string", "format": "date"}, "city": {"type": "string"}}}, True),
        ({**STRICT, "$defs": {"c": LOOSE}}, False),
        ({**STRICT, "properties": {"days": True, "city": {"type": "string"}}}, False),
        ({**STRICT, "properties": ["days", "city"]}, False),
        ({**STRICT, "required": [["days"]]}, False),
        ({**STRICT, "format": []}, False),
        ({**STRICT, "$defs": {"c": STRICT}}, True),
        ({**STRICT, "$defs": {"c": {"type": "string", "enum": ["x"] * 1_001}}}, False),
        ({**STRICT, "$defs": {"c": {"type": "string", "const": "x" * 120_001}}}, False),
    ],
)
def test_whether_a_schema_is_strict(schema: dict[str, Any], strict: bool) -> None:
    assert fits_strict(schema) is strict


@pytest.mark.parametrize(
    ("part", "strict"),
    [
        ({"$ref": "#/$defs/Address"}, True),
        ({"$ref": "#"}, True),
        ({"$ref": "#/$defs/Nowhere"}, False),
        ({"$ref": "https://example.com/address.json"}, False),
        ({"$ref": "#/$defs/Address", "description": "where it goes"}, False),
        ({"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "description": "where it goes"}, True),
        ({"anyOf": [{"$ref": "#/$defs/Address", "title": "To"}, {"type": "null"}]}, False),
        ({"anyOf": []}, False),
        ({"anyOf": [{"type": "string"}], "type": "string"}, False),
        ({"type": "array"}, False),
        ({"type": "array", "items": {}}, False),
        ({"type": "array", "items": {"type": "array"}}, False),
        ({"type": ["array", "null"]}, False),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}, True),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, False),
        ({"type": ["object", "null"]}, False),
        ({"type": ["object", "null"], "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {}, "additionalProperties": False, "minProperties": 1}, False),
        ({"type": []}, False),
        ({"type": "text"}, False),
        ({"type": ["string", "integer"], "minimum": 1}, True),
        ({"type": "string", "minimum": 1}, False),
        ({"type": "integer", "minimum": "1"}, False),
        ({"type": "string", "minLength": 1}, False),
        ({"type": "string", "properties": {}}, False),
        ({"type": "string", "enum": ["a"], "pattern": "a"}, False),
        ({"enum": []}, False),
        ({"const": None}, True),
        ({"type": "string", "pattern": "^(?:a|b)[0-9]+\\(?$"}, True),
        *(({"type": "string", "pattern": p}, False) for p in ("(?=a)", "(?<!a)b", "(?i)a", r"(a)\1", r"\\(?!a)", "(", 3)),
    ],
)  # fmt: skip
def test_whether_a_part_is_strict(part: dict[str, Any], strict: bool) -> None:
    schema = {**STRICT, "properties": {"days": part, "city": {"type": "string"}}, "$defs": {"Address": STRICT}}
    assert fits_strict(schema) is strict
    assert fits_strict({**STRICT, "$defs": {"Address": STRICT, "c": part}}) is strict


def test_a_schema_that_is_nested_too_deep_is_not_strict() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False}
    assert not fits_strict(schema)
