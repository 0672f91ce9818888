from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from responses_proto.schema._strict import is_strict

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
        ({**STRICT, "properties": {"days": {"type": "array", "items": STRICT}, "city": {"$ref": "#/$defs/c"}}}, True),
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
    ],
)
def test_whether_a_schema_is_strict(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


def test_a_schema_that_is_nested_too_deep_is_not_strict() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False}
    assert not is_strict(schema)
