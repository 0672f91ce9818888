"""Errors of JSON values: their paths, and what they say about the errors of other libraries."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
import pytest

from responses_proto.schema._errors import ShapeError, json_type, one_line, path_of, shape_error, shown, type_error


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    bark: str
    toys: list[int] = []


class Owner(pydantic.BaseModel):
    pets: list[Cat | Dog]


def refused(value: Any) -> ShapeError:
    with pytest.raises(pydantic.ValidationError) as caught:
        Owner.model_validate(value)
    return shape_error(caught.value, value)


@pytest.mark.parametrize(
    ("pet", "path", "words"),
    [
        ({"kind": "dog", "volume": 11}, "$.pets[0].bark", "required"),
        ({"kind": "dog", "bark": 3}, "$.pets[0].bark", "string"),
        ({"kind": "dog", "bark": "", "toys": [1, "x"]}, "$.pets[0].toys[1]", "integer"),
        ({"kind": "cat", "lives": "nine"}, "$.pets[0].lives", "integer"),
        ({"kind": "bird"}, "$.pets[0]", ""),
        (3, "$.pets[0]", "valid dictionary"),
    ],
)
def test_the_error_of_pydantic_is_that_of_the_member_of_the_tag(pet: Any, path: str, words: str) -> None:
    error = refused({"pets": [pet]})
    assert path_of(error.steps).startswith(path)
    assert words.lower() in error.message.lower()


def test_a_missing_key_is_in_the_path() -> None:
    assert path_of(refused({}).steps) == "$.pets"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("must be\npositive,\n\nplease"), "must be positive, please"),
        (ValueError("two", "arguments"), "two"),
        (TypeError(), "TypeError"),
        (ValueError(""), "ValueError"),
    ],
)
def test_the_message_of_any_error_is_one_line(error: Exception, message: str) -> None:
    made = shape_error(error, {})
    assert (made.message, made.steps) == (message, ())


def test_paths() -> None:
    assert path_of(["a", 0, "b c", "'"]) == "$.a[0]['b c'][\"'\"]"
    error = ShapeError("wrong", "b", missing=True).prepend(1).prepend("a")
    assert path_of(error.copy().steps) == "$.a[1].b"
    assert error.rank == (2, True)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (True, "boolean", "True"),
        ("x" * 100, "string", f"{'x' * 60!r}…"),
        (1, "integer", "1"),
        (1.5, "number", "1.5"),
        ({"a": 1}, "object", "an object"),
        ([1], "array", "an array"),
        (None, "null", "null"),
    ],
)
def test_json_values_in_messages(value: object, name: str, text: str) -> None:
    assert json_type(value) == name
    assert shown(value) == text
    assert type_error("a cat", value).message == f"expected a cat, got {text}"
    assert not type_error("a cat", value).right_type


def test_one_line() -> None:
    assert one_line(" a\n\n b\t") == "a b"
