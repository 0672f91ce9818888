"""Values for schemas: the same ones every time, within every bound that is known."""

from __future__ import annotations

from typing import Any

import pytest

from responses_proto.filler import fill

TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "children"],
        }
    },
}


VALUES: list[tuple[dict[str, Any], object]] = [
    ({}, "example"),
    ({"type": "null"}, None),
    ({"type": "boolean"}, True),
    ({"const": {"a": 1}}, {"a": 1}),
    ({"enum": ["x", "y"]}, "x"),
    ({"enum": [None, "y"]}, None),
    ({"type": ["null", "integer"]}, 1),
    ({"type": "string", "minLength": 10}, "example..."),
    ({"type": "string", "maxLength": 3}, "exa"),
    ({"type": "string", "format": "date"}, "2025-01-01"),
    ({"type": "string", "format": "acme"}, "example"),
    ({"type": "integer"}, 1),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "integer", "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "exclusiveMaximum": 0}, -1),
    ({"type": "integer", "minimum": 4, "multipleOf": 5}, 5),
    ({"type": "integer", "minimum": 0.5, "maximum": 1.5}, 1),
    ({"type": "number", "minimum": 0.25}, 1),
    ({"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.5),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ({"minimum": 7}, 7),
    ({"type": "array"}, ["example"]),
    ({"type": "array", "maxItems": 0}, []),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
    ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["example", "example 2"]),
    ({"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "null"}]}, [True, None]),
    ({"type": "object"}, {}),
    ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "b"}),
    ({"properties": {"a": {}}, "minProperties": 2}, {"a": "a", "property_0": "property_0"}),
    ({"required": ["a"], "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
    ({"anyOf": [{"type": "null"}]}, None),
    ({"oneOf": [{"type": "boolean"}, {"type": "integer"}]}, True),
    (
        {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]},
        {"a": "a", "b": "b"},
    ),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, 1),
    ({"$ref": "#/nowhere"}, "example"),
    ({"$ref": "https://elsewhere.example/schema"}, "example"),
    ({"type": "nonsense"}, "example"),
]


@pytest.mark.parametrize(("schema", "value"), VALUES)
def test_the_value_fits(schema: dict[str, Any], value: object) -> None:
    assert fill(schema) == value


def test_a_schema_that_contains_itself_ends() -> None:
    value: Any = fill(TREE)
    depth = 0
    while value["children"]:
        assert value["name"] == "name"
        value = value["children"][0]
        depth += 1
    assert 0 < depth < 100


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"anyOf": [{"$ref": "#"}]},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"type": 5, "enum": "no list", "required": "no list", "properties": [], "anyOf": {}, "minLength": "long"},
    ],
)
def test_a_schema_that_makes_no_sense_gets_a_value_nonetheless(schema: dict[str, Any]) -> None:
    assert fill(schema) == fill(schema)


def test_a_step_that_is_no_whole_number_gives_whole_numbers_where_they_are_due() -> None:
    value = fill({"type": "integer", "multipleOf": 0.5, "minimum": 3})
    assert value == 3
    assert isinstance(value, int)
