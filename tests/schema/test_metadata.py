"""The metadata of ``Annotated``: constraints, descriptions, defaults and aliases of every library that has them."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Iterator  # noqa: TC003 - read at run time
from typing import Annotated, Any

import annotated_types
import attrs
import pydantic
import pytest
from annotated_types import Ge, GroupedMetadata, Gt, Interval, Le, Len, Lt, MaxLen, MinLen, MultipleOf, Timezone
from pydantic import Field, StringConstraints
from typing_extensions import Doc

from responses_proto.exceptions import DecodeError, UsageError
from responses_proto.schema import Structured
from responses_proto.schema._metadata import is_field, read_metadata
from responses_proto.schema._strict import fits_strict


class Between(GroupedMetadata):
    """Constraints of a user of annotated_types."""

    def __iter__(self) -> Iterator[object]:
        return iter((Ge(1), Le(5)))


@attrs.frozen
class Meta:
    """Has the attributes of ``msgspec.Meta``."""

    ge: int | None = None
    pattern: str | None = None
    description: str | None = None


class Series:
    """Has methods with the names of constraints."""

    def ge(self) -> None: ...
    def le(self) -> None: ...


# (annotation, its keywords in a strict schema, more of them otherwise, values that fit, values that do not)
CASES: list[tuple[Any, dict[str, Any], dict[str, Any], list[Any], list[Any]]] = [
    (Annotated[int, Ge(1), Le(5)], {"minimum": 1, "maximum": 5}, {}, [1, 5], [0, 6]),
    (Annotated[int, Between()], {"minimum": 1, "maximum": 5}, {}, [1, 5], [0, 6]),
    (Annotated[float, Gt(0), Lt(1)], {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, {}, [0.5], [0, 1, 1.0]),
    (Annotated[int, Interval(gt=1, le=3)], {"exclusiveMinimum": 1, "maximum": 3}, {}, [2, 3], [1, 4]),
    (Annotated[int, Field(ge=1, lt=4)], {"minimum": 1, "exclusiveMaximum": 4}, {}, [1, 3], [0, 4, -(10**30)]),
    (Annotated[int, Ge(1), Ge(3)], {"minimum": 3}, {}, [3], [2]),
    (Annotated[int, Le(9), Field(le=3)], {"maximum": 3}, {}, [3], [4]),
    (Annotated[int, Ge(decimal.Decimal("1.5"))], {"minimum": 1.5}, {}, [2], [1]),
    (pydantic.PositiveInt, {"exclusiveMinimum": 0}, {}, [1], [0]),
    (pydantic.conint(ge=2), {"minimum": 2}, {}, [2], [1]),
    (Annotated[int, MultipleOf(3)], {"multipleOf": 3}, {}, [0, 3, -6], [1]),
    (Annotated[float, MultipleOf(0.1)], {"multipleOf": 0.1}, {}, [0.3, 0.7], [0.35]),
    (Annotated[int, MultipleOf(0.5)], {"multipleOf": 0.5}, {}, [3], [10**400]),
    (Annotated[list[int], MinLen(1), MaxLen(2)], {"minItems": 1, "maxItems": 2}, {}, [[1], [1, 2]], [[], [1, 2, 3]]),
    (Annotated[list[int], Field(min_length=1)], {"minItems": 1}, {}, [[1]], [[]]),
    (Annotated[set[int], Len(2)], {"minItems": 2}, {}, [[1, 2]], [[1, 1]]),
    (Annotated[tuple[int, ...], Len(0, 1)], {"maxItems": 1}, {}, [[]], [[1, 2]]),
    (Annotated[str, MinLen(2), MaxLen(3)], {}, {"minLength": 2, "maxLength": 3}, ["ab"], ["a", "abcd"]),
    (Annotated[str, Field(pattern="^[a-z$]+$")], {"pattern": "^[a-z$]+$"}, {}, ["ab$"], ["A", "a\n"]),
    (Annotated[str, StringConstraints(pattern=r"\$$")], {"pattern": r"\$$"}, {}, ["1$"], ["$1"]),
    (Annotated[str, Field(pattern="^(?!x)")], {}, {"pattern": "^(?!x)"}, ["y"], ["xy"]),
    (Annotated[str, Meta(pattern="a")], {"pattern": "a"}, {}, ["bab"], ["b"]),
    (Annotated[int, Meta(ge=2)], {"minimum": 2}, {}, [2], [1]),
    (Annotated[int, Series(), object(), 3, None, Ge], {}, {}, [-1], []),
    (Annotated[decimal.Decimal, Ge(0)], {}, {}, ["0", "1.5"], ["-1"]),
    (Annotated[dt.date, Ge(dt.date(2020, 1, 1))], {}, {}, ["2020-01-01"], ["2019-12-31"]),
    (Annotated[dt.timedelta, Le(dt.timedelta(hours=1))], {}, {}, ["PT1H"], ["PT2H"]),
    (Annotated[dt.datetime, Timezone(...)], {}, {}, ["2020-01-01T00:00:00Z"], ["2020-01-01T00:00:00"]),
    (Annotated[dt.datetime, Timezone(None)], {}, {}, ["2020-01-01T00:00:00"], ["2020-01-01T00:00:00Z"]),
    (Annotated[dt.datetime, Timezone("UTC")], {}, {}, ["2020-01-01T00:00:00Z"], ["2020-01-01T00:00:00+01:00"]),
    (
        Annotated[dt.datetime, Ge(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))],
        {},
        {},
        ["2020-01-01T00:00:00Z"],
        ["2019-01-01T00:00:00Z", "2020-01-01T00:00:00"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "strict", "more", "fit", "unfit"), CASES)
def test_constraints_are_in_the_schema_and_checked(
    annotation: Any, strict: dict[str, Any], more: dict[str, Any], fit: list[Any], unfit: list[Any]
) -> None:
    plain = Structured(annotation.__origin__).schema["properties"]["value"]  # type: ignore[index, call-overload]
    structured = Structured(annotation)
    assert structured.schema["properties"]["value"] == {**plain, **strict}  # type: ignore[index, call-overload, dict-item]
    assert fits_strict(structured.schema)
    lax = Structured(annotation, strict=False).schema
    assert lax["properties"]["value"] == {**plain, **strict, **more}  # type: ignore[index, call-overload, dict-item]
    for value in fit:
        assert structured.load({"value": value}) == Structured(annotation.__origin__).load({"value": value})
    for value in unfit:
        with pytest.raises(DecodeError) as caught:
            structured.load({"value": value})
        assert caught.value.path == "$.value"
        assert "\n" not in str(caught.value)


def test_a_pattern_with_flags_is_checked_but_not_in_the_schema() -> None:
    structured = Structured(Annotated[str, Field(pattern=re.compile("^a$", re.IGNORECASE))])
    assert structured.schema["properties"] == {"value": {"type": "string"}}
    assert structured.load({"value": "A"}) == "A"
    multiline = Structured(Annotated[str, Field(pattern=re.compile("^a$", re.MULTILINE))])
    assert multiline.load({"value": "b\na\nc"}) == "b\na\nc"


@pytest.mark.parametrize(
    ("annotation", "path"),
    [
        (Annotated[int, annotated_types.Predicate(bool)], "$"),
        (annotated_types.LowerCase[str], "$"),
        (Annotated[int, pydantic.AfterValidator(abs)], "$"),
        (list[Annotated[str, StringConstraints(strip_whitespace=True)]], "$[]"),
        (Annotated[decimal.Decimal, Field(max_digits=3)], "$"),
        (Annotated[str, Field(json_schema_extra={"x": 1})], "$"),
        (Annotated[str, Field(pattern="(")], "$"),
        (Annotated[str, Meta(pattern="(")], "$"),
        (Annotated[str, Ge(1)], "$"),
        (Annotated[int, Ge("1")], "$"),
        (Annotated[bool, Ge(1)], "$"),
        (Annotated[int, MinLen(1)], "$"),
        (Annotated[int | str, Ge(1)], "$"),
        (Annotated[int, Timezone(...)], "$"),
        (Annotated[dt.date, Ge(3)], "$"),
        (Annotated[int, MultipleOf(2), MultipleOf(3)], "$"),
        (Annotated[str, Field(pattern="a"), Field(pattern="b")], "$"),
        (list[Annotated[int, Field(default=3)]], "$[]"),
        (list[Annotated[int, Field(alias="x")]], "$[]"),
    ],
)
def test_a_constraint_that_cannot_be_kept_is_refused(annotation: Any, path: str) -> None:
    with pytest.raises(UsageError) as caught:
        Structured(annotation)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "description"),
    [
        (("a text",), "a text"),
        ((Doc("a text"),), "a text"),
        ((Field(description="a\n    text"),), "a\ntext"),
        ((Meta(description="a text"),), "a text"),
        (("first", Field(description="last")), "last"),
        ((Field(examples=[1, "x"]),), 'Examples: 1, "x"'),
        ((Field(title="A", deprecated=True, frozen=True, strict=True, allow_inf_nan=False),), ""),
        ((3, None, object()), ""),
    ],
)
def test_descriptions(entries: tuple[Any, ...], description: str) -> None:
    assert read_metadata(entries, "$").description == description


def test_defaults_and_aliases() -> None:
    shared = [1]
    found = read_metadata([Field(default=shared, alias="there")], "$")
    assert found.alias == "there"
    assert found.default is not None
    assert found.default() == shared
    assert found.default() is not shared
    cases: list[tuple[Any, Any]] = [
        (Field(None), None),
        (Field(default_factory=list), []),
        (Field(default_factory=lambda: 3), 3),
    ]
    for field, value in cases:
        default = read_metadata([field], "$").default
        assert default is not None
        assert default() == value
    assert read_metadata([Field(...), Field(description="x")], "$").default is None


@pytest.mark.parametrize(
    "field", [Field(default_factory=lambda data: data), Field(validation_alias=pydantic.AliasPath("a", 0))]
)
def test_a_field_that_needs_other_data_is_refused(field: Any) -> None:
    with pytest.raises(UsageError, match=r"\$\.x: "):
        read_metadata([field], "$.x")


def test_what_is_a_field() -> None:
    assert is_field(Field(3))
    assert not any(map(is_field, (3, Ge(1), None, Meta())))
