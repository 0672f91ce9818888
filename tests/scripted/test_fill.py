"""Values for schemas are deterministic and keep every supported bound."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from responses_proto.scripted._fill import fill

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
    ({"type": "string", "pattern": r"^[A-Z]{2}\d{3}$"}, "AA111"),
    ({"type": "string", "pattern": "^a+$", "minLength": 3}, "aaa"),
    ({"type": "string", "pattern": "("}, "example"),
    ({"type": "array", "contains": {"const": 7}, "minContains": 2}, [7, 7]),
    ({"type": "array", "items": {"format": "date"}, "minItems": 2}, ["2025-01-01", "2025-01-02"]),
    (
        {"type": "array", "items": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, "minItems": 2},
        [{"a": 1}, {"a": 2}],
    ),
    ({"allOf": [{"type": "integer", "minimum": 5}, {"minimum": 2}]}, 5),
    ({"allOf": [{"type": "string", "minLength": 2}, {"minLength": 9}]}, "example.."),
    ({"type": "integer", "minimum": 1, "maximum": 2, "multipleOf": 1}, 1),
    ({"type": "integer", "minimum": 1e999}, 1),
    ({"type": "integer", "multipleOf": 1.5}, 3),
    ({"type": "number", "minimum": 1e99, "multipleOf": 1e-300}, 1e99),
    ({"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [{}]}, "example"),
    ({"type": "integer", "minimum": 2, "multipleOf": 0.1}, 2),
    ({"type": "number", "multipleOf": 0.25}, 0.25),
    ({"$ref": "#/anyOf/1", "anyOf": [{}, {"type": "integer"}]}, 1),
]


@pytest.mark.parametrize(("schema", "value"), VALUES)
def test_the_first_value_of_a_schema(schema: dict[str, Any], value: object) -> None:
    assert fill(schema) == value


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"type": "string"}, ["example", "example 2", "example 3"]),
        ({"type": "string", "maxLength": 3}, ["exa", "e 2", "e 3"]),
        ({"type": "integer", "minimum": 1, "maximum": 2}, [1, 2, 1]),
        ({"type": "integer", "maximum": 0}, [0, -1, -2]),
        ({"enum": ["x", "y"]}, ["x", "y", "x"]),
        ({"type": "boolean"}, [True, False, True]),
        ({"const": 1}, [1, 1, 1]),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, [{"a": 1}, {"a": 2}, {"a": 3}]),
    ],
)
def test_other_values_if_the_schema_allows_several(schema: dict[str, Any], values: list[object]) -> None:
    assert [fill(schema, nth) for nth in range(3)] == values


SMALL = st.integers(0, 6)
FORMATS = ["date", "date-time", "email", "uuid", "ipv4", "ipv6", "uri", "hostname", "duration"]
LEAVES: list[dict[str, Any]] = [
    *({"type": "string", "format": name} for name in FORMATS),
    *({"type": "string", "pattern": pattern} for pattern in (r"^[A-Z]{2}\d+$", r"^(a|b)c?$", r"^\w+@\w+\.com$", "x")),
    {"type": "boolean"},
    {"type": ["null", "string"]},
    {"enum": ["a", 1, None]},
    {"const": "c"},
    {"$ref": "#/$defs/known"},
]


@st.composite
def bounded(draw: st.DrawFn, low: str, high: str, kind: str) -> dict[str, Any]:
    start = draw(SMALL)
    bounds = {low: start, high: start + draw(SMALL)}
    bounds.pop(draw(st.sampled_from([low, high, ""])), None)
    return {"type": kind, **bounds}


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    properties = draw(st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
    required = sorted(properties)[: draw(SMALL)]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": draw(st.booleans()),
    }


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    return {**draw(bounded("minItems", "maxItems", "array")), "items": draw(inner)}


@st.composite
def choices(draw: st.DrawFn, inner: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    return {"anyOf": draw(st.lists(inner, min_size=1, max_size=3))}


SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        bounded("minLength", "maxLength", "string"),
        bounded("minimum", "maximum", "integer"),
        bounded("minimum", "maximum", "number"),
        st.sampled_from(LEAVES),
    ),
    lambda inner: st.one_of(objects(inner), arrays(inner), choices(inner)),
    max_leaves=12,
)


@given(SCHEMAS, st.integers(0, 5))
def test_every_value_is_valid(schema: dict[str, Any], nth: int) -> None:
    whole = {
        **schema,
        "$defs": {"known": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    }
    assert [error.message for error in Draft202012Validator(whole).iter_errors(fill(whole, nth))] == []


def test_a_recursive_schema_terminates() -> None:
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
def test_a_malformed_schema_gets_a_value(schema: dict[str, Any]) -> None:
    assert fill(schema) == fill(schema)


def test_integers_with_a_fractional_multiple_of_are_integers() -> None:
    value = fill({"type": "integer", "multipleOf": 0.5, "minimum": 3})
    assert value == 3
    assert isinstance(value, int)


MANY: dict[str, Any] = {"type": "array", "minItems": 10_000}


@pytest.mark.parametrize(
    "inner",
    [
        {},
        {"type": "array", "minItems": 10_000},
        {"type": "array", "minItems": 10_000, "items": MANY},
        {"type": "string", "minLength": 10_000},
        {"type": "string", "pattern": "a{1000}"},
        {"type": "object", "minProperties": 10_000},
        {"type": "object", "required": [f"p{n}" for n in range(1000)], "additionalProperties": MANY},
        {"const": "x" * 100_000},
        {"enum": [["x" * 50_000] * 2]},
        {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        {"type": "object", "properties": {"n" * 50_000: {"type": "string"}}, "required": ["n" * 50_000]},
    ],
)
def test_a_value_is_of_moderate_size_whatever_the_schema_asks_for(inner: dict[str, Any]) -> None:
    value = fill({**MANY, "items": {**MANY, "items": inner}})
    assert len(json.dumps(value)) < 4_000_000
    # And a schema that asks for little gets it.
    small: dict[str, Any] = {"type": "array", "minItems": 3, "items": {"type": "array", "minItems": 2}}
    filled: Any = fill(small)
    assert [len(one) for one in filled] == [2, 2, 2]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}}, {"a": "a", "b": True}),
        (
            {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "null"}}}}},
            {"a": {"b": None}},
        ),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": []}, {}),
        ({"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991}, 0),
        ({"type": "integer", "minimum": -5, "maximum": -2}, -5),
        ({"type": "number", "minimum": -0.5}, 0),
    ],
)
def test_values_are_what_a_person_would_send(schema: dict[str, Any], value: object) -> None:
    assert fill(schema) == value
