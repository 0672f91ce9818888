"""Types of every kind: what is supported without strictness, registered, generic, hashable, and told apart."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import itertools
import json
import math
import pathlib
import typing
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Generic, Literal, Required, TypedDict, TypeVar

import attr
import attrs
import pydantic
import pytest
import typing_extensions as te
from tests.structured_cases import Author, Movie, Pair

from responses_proto.exceptions import DecodeError, UsageError
from responses_proto.schema import Structured, json_schema, register_type, structure, text_format

T = TypeVar("T")
Q = TypeVar("Q")
Whole = te.TypeVar("Whole", default=int)
alias: Any = te.TypeAliasType
Nested = alias("Nested", "T | list[Nested[T]]", type_params=(T,))
Rows = alias("Rows", "list[Row]")
Row = alias("Row", "int | Rows")
Lost = alias("Lost", "list[Nowhere]")


# ---- without strictness


@attrs.frozen
class Loose:
    anything: Any
    by_name: dict[str, list[int]]
    items: tuple[Any, ...] = ()


@pytest.mark.parametrize(
    ("kind", "schema", "value", "python"),
    [
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": 1}),
        (dict, {"type": "object", "additionalProperties": True}, {"a": [None]}, {"a": [None]}),
        (typing.Mapping[str, Any], {"type": "object", "additionalProperties": True}, {"a": 1}, {"a": 1}),
        (
            dict[int, str],
            {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "propertyNames": {"type": "string", "pattern": "^-?[0-9]+$"},
            },
            {"-7": "x"},
            {-7: "x"},
        ),
        (
            dict[Literal["a", "b"], bool],
            {
                "type": "object",
                "additionalProperties": {"type": "boolean"},
                "propertyNames": {"type": "string", "enum": ["a", "b"]},
            },
            {"a": True},
            {"a": True},
        ),
    ],
)
def test_without_strictness_a_dictionary_is_an_object(kind: Any, schema: Any, value: Any, python: Any) -> None:
    assert json_schema(kind, strict=False) == schema
    assert structure(json.dumps(value), kind, strict=False) == python
    with pytest.raises(DecodeError):
        structure("[]", kind, strict=False)
    with pytest.raises(UsageError, match="strict=False"):
        json_schema(kind)


MORE_TYPES: list[Any] = [
    (Any, {}, [{"a": None}], [{"a": None}]),
    (object, {}, None, None),
    (list, {"type": "array", "items": {}}, [1, "a"], [1, "a"]),
    (tuple, {"type": "array", "items": {}}, [1, "a"], (1, "a")),
    (set, {"type": "array", "items": {}}, [1, "a"], {1, "a"}),
    (bytes, {"type": "string", "contentEncoding": "base64"}, "aGk=", b"hi"),
    (pathlib.Path, {"type": "string", "format": "path"}, "a/b", pathlib.Path("a/b")),
    (
        dict[str, int] | None,
        {"anyOf": [{"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "null"}]},
        None,
        None,
    ),
]


@pytest.mark.parametrize(("kind", "schema", "value", "python"), MORE_TYPES)
def test_without_strictness_more_types_are_supported(kind: Any, schema: Any, value: Any, python: Any) -> None:
    found: Any = json_schema(kind, strict=False)
    assert found["properties"]["value"] == schema
    assert structure(json.dumps({"value": value}), kind, strict=False) == python
    with pytest.raises(UsageError, match="strict=False"):
        json_schema(kind)


WRONG_VALUES: list[Any] = [
    (dict[str, int], {"a": "x"}, "$.a"),
    (dict[str, dict[str, int]], {"a": {"b": None}}, "$.a.b"),
    (dict[int, str], {"x": ""}, "$.x"),
    (bytes, {"value": "a"}, "$.value"),
    (bytes, {"value": 1}, "$.value"),
    (set[Any], {"value": [[]]}, "$.value"),
    (Loose, {"anything": 1, "by_name": {"a": ["x"]}}, "$.by_name.a[0]"),
]


@pytest.mark.parametrize(("kind", "value", "path"), WRONG_VALUES)
def test_without_strictness_values_are_checked_too(kind: Any, value: Any, path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        structure(json.dumps(value), kind, strict=False)
    assert caught.value.path == path


def test_without_strictness_fields_with_defaults_are_not_required() -> None:
    schema: Any = json_schema(Loose, strict=False)
    assert schema["required"] == ["anything", "by_name"]
    assert structure('{"anything": null, "by_name": {}}', Loose, strict=False) == Loose(None, {})
    assert text_format(Loose, strict=False).strict is False


@pytest.mark.parametrize("kind", [dict[bytes | int, int], dict[tuple[int, int], int], dict[float, int]])
def test_the_keys_of_an_object_are_strings(kind: Any) -> None:
    with pytest.raises(UsageError, match="the keys of a JSON object are strings"):
        json_schema(kind, strict=False)


# ---- types of the caller


class Money:
    def __init__(self, text: str) -> None:
        self.cents = int(text.replace(".", ""))


class Blob:
    def __init__(self, value: Any) -> None:
        self.value = value


register_type(Money, {"type": "string", "pattern": r"^[0-9]+\\.[0-9]{2}$"}, Money)
register_type(Blob, {"type": "object"}, Blob)


def test_a_registered_type_has_its_schema_and_is_loaded() -> None:
    schema: Any = json_schema(list[Money])
    assert schema["properties"]["value"]["items"]["type"] == "string"
    assert [money.cents for money in structure('{"value": ["1.50"]}', list[Money])] == [150]
    with pytest.raises(DecodeError, match="expected a value for Money, got 'x'") as caught:
        structure('{"value": ["1.50", "x"]}', list[Money])
    assert caught.value.path == "$.value[1]"


def test_a_registered_type_that_is_not_strict_needs_no_strictness() -> None:
    with pytest.raises(UsageError, match=r"Blob is not supported: .*strict=False"):
        json_schema(Blob)
    assert structure('{"value": {"a": 1}}', Blob, strict=False).value == {"a": 1}
    with pytest.raises(UsageError, match="expected a class and a schema"):
        register_type("Money", {}, Money)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # what is tested


# ---- discriminators


@attrs.frozen
class Delete:
    id: int
    kind: Literal["delete"] = "delete"


@dataclasses.dataclass(frozen=True)
class Archive:
    id: int
    kind: Annotated[Literal["archive"], "what to do"] = "archive"


@pytest.mark.parametrize("kind", [Delete | Archive, Archive | Delete])
def test_a_single_literal_is_required_and_tells_classes_apart(kind: Any) -> None:
    schema: Any = json_schema(kind)
    for option in schema["properties"]["value"]["anyOf"]:
        assert option["required"] == ["id", "kind"]
        assert "null" not in json.dumps(option)
    assert structure('{"value": {"id": 1, "kind": "archive"}}', kind) == Archive(1)
    for value, words in (
        ({"id": 1}, "missing"),
        ({"id": 1, "kind": None}, "'delete'"),
        ({"id": 1, "kind": "x"}, "'x'"),
    ):
        with pytest.raises(DecodeError, match=words) as caught:
            structure(json.dumps({"value": value}), kind)
        assert caught.value.path == "$.value.kind"


class ById(pydantic.BaseModel):
    key: int


class ByName(pydantic.BaseModel):
    key: str


@attrs.frozen
class ByFlag:
    key: bool


@pytest.mark.parametrize("order", list(itertools.permutations([ById, ByName, ByFlag])), ids=str)
def test_a_union_takes_the_class_that_fits_without_conversion(order: Any) -> None:
    kind: Any = typing.Union[order]  # noqa: UP007 - of a tuple
    cases: list[tuple[Any, Any]] = [("0042", ByName), (42, ById), (True, ByFlag)]
    for key, cls in cases:
        assert structure(json.dumps({"value": {"key": key}}), kind) == cls(key=key)


# ---- classes of all kinds


@dataclasses.dataclass
class Price:
    amount: int
    cents: dataclasses.InitVar[int]
    shop: ClassVar[str] = "here"
    total: int = dataclasses.field(init=False, default=0)

    def __post_init__(self, cents: int) -> None:
        self.total = 100 * self.amount + cents


Old: Any = attr.make_class("Old", {"x": attr.ib(type=int), "names": attr.ib(type=list[str], factory=list)})
Bare = collections.namedtuple("Bare", "x y")  # noqa: PYI024 # pyright: ignore[reportUntypedNamedTuple] - without types


def test_an_init_variable_is_a_field() -> None:
    schema: Any = json_schema(Price)
    assert schema["required"] == ["amount", "cents"]
    assert structure('{"amount": 1, "cents": 2}', Price).total == 102


def test_the_types_of_old_attrs_classes_count() -> None:
    assert structure('{"x": 1, "names": ["a"]}', Old) == Old(1, ["a"])
    assert structure('{"x": 1}', Old) == Old(1)


@attrs.frozen
class Frozen:
    row: list[int]


@attrs.frozen
class FrozenByIdentity:
    row: list[int] = attrs.field(eq=False)


@dataclasses.dataclass(frozen=True)
class Stamped:
    rows: list[int]


@dataclasses.dataclass(frozen=True)
class Node:
    size: int
    nodes: tuple[Node, ...] = ()
    note: list[int] = dataclasses.field(default_factory=list[int], compare=False)


@dataclasses.dataclass
class Incomplete:
    cents: dataclasses.InitVar  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] # what is tested


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Bare, "x has no annotation"),
        (set[list[int]], "not hashable"),
        (frozenset[Price], "not hashable"),
        (set[tuple[list[int], ...]], "not hashable"),
        (set[tuple[int, set[int]]], "not hashable"),
        (set[Movie], "not hashable"),
        (set[Author], "not hashable"),
        (set[Frozen | int], "not hashable"),
        (set[Stamped], "not hashable"),
        (Callable[[int], str], "is not supported"),
        (Incomplete, "cents has no annotation"),
    ],
)
def test_what_no_value_could_be_made_of_is_refused(kind: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        json_schema(kind)


@pytest.mark.parametrize(
    "kind", [set[int], frozenset[tuple[int, ...]], set[Delete], set[FrozenByIdentity], set[Pair], set[Node]]
)
def test_a_set_of_what_can_be_hashed_is_supported(kind: Any) -> None:
    assert json_schema(kind)


# ---- generic classes and their bases


@dataclasses.dataclass
class Base(Generic[T]):
    ids: list[T]


@dataclasses.dataclass
class Labelled(Base[int], Generic[T]):
    label: T


@dataclasses.dataclass
class Filled(Labelled[str]):
    more: bool


@dataclasses.dataclass
class Wrapped(Base[list[Q]], Generic[Q]):
    inner: Q


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        (Labelled[str], {"ids": {"type": "integer"}, "label": "string"}),
        (Filled, {"ids": {"type": "integer"}, "label": "string", "more": "boolean"}),
        (Wrapped[int], {"ids": {"type": "array", "items": {"type": "integer"}}, "inner": "integer"}),
    ],
)
def test_inherited_fields_have_the_types_of_their_own_class(kind: Any, types: dict[str, Any]) -> None:
    schema: Any = json_schema(kind)
    ids, *others = schema["properties"].values()
    assert ids == {"type": "array", "items": types["ids"]}
    assert [each["type"] for each in others] == list(types.values())[1:]


# ---- pydantic


class Wheel(pydantic.BaseModel):
    size: int


class Car(pydantic.BaseModel):
    wheels: list[Wheel]


class Bike(pydantic.BaseModel):
    front: Wheel
    parts: tuple[int, str] = (1, "a")


def test_a_pydantic_class_is_defined_once() -> None:
    schema: Any = json_schema(Car | Bike | Wheel)
    assert list(schema["$defs"]) == ["Wheel"]
    lax: Any = json_schema(Car | Bike | Wheel, strict=False)
    assert list(lax["$defs"]) == ["Wheel"]


def test_a_tuple_of_pydantic_is_as_a_native_one() -> None:
    native: Any = json_schema(tuple[int, str])
    schema: Any = json_schema(Bike)
    assert schema["properties"]["parts"] == native["properties"]["value"]


@pytest.mark.parametrize("text", ["P1W", "P7D", "PT168H", "P6DT24H", "PT604800S", "+P1W"])
def test_durations(text: str) -> None:
    assert structure(json.dumps({"value": text}), dt.timedelta) == dt.timedelta(days=7)


@pytest.mark.parametrize("text", ["P", "PT", "P1DT", "P1Y", "P1M", "1 day", "7", "P1D ", "PT٣S"])
def test_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(DecodeError):
        structure(json.dumps({"value": text}), dt.timedelta)


def test_fractions_and_signs_of_durations() -> None:
    assert structure('{"value": "-PT0.25S"}', dt.timedelta) == dt.timedelta(milliseconds=-250)


@pytest.mark.parametrize(("kind", "number"), [(int, 1e23), (int, 2.0**53 + 2), (float, math.nan), (float, math.inf)])
def test_a_number_that_is_not_exact_is_refused(kind: Any, number: float) -> None:
    with pytest.raises(DecodeError):
        Structured[Any](kind).load({"value": number})


def test_a_dictionary_is_not_hashable() -> None:
    with pytest.raises(UsageError, match="not hashable"):
        json_schema(set[dict[str, int]], strict=False)


class Qualified(TypedDict, total=False):
    one: Annotated[Required[int], "the first"]
    two: Annotated[int, "the second"]


def test_a_description_can_stand_around_a_qualifier() -> None:
    schema: Any = json_schema(Qualified, strict=False)
    assert schema["required"] == ["one"]
    assert [each["description"] for each in schema["properties"].values()] == ["the first", "the second"]


def test_a_class_in_a_model_can_have_the_name_of_the_model() -> None:
    inner: Any = pydantic.create_model("Same", size=(int, ...))
    parts: Any = list.__class_getitem__(inner)
    outer: Any = pydantic.create_model("Same", parts=(parts, ...))
    kind: Any = outer | None
    schema: Any = json_schema(kind)
    assert structure('{"value": {"parts": [{"size": 1}]}}', kind) == outer(parts=[inner(size=1)])
    assert schema["properties"]["value"]["anyOf"][0]["properties"]["parts"]["items"] == {"$ref": "#/$defs/Same"}


class Negated(pydantic.BaseModel):
    row: Annotated[str, pydantic.WithJsonSchema({"type": "string", "not": {"const": "x"}})]


def test_a_keyword_of_pydantic_that_cannot_be_dropped_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\$\.row: the strict subset has no 'not'"):
        json_schema(Negated)


# ---- names and parameters


@attrs.frozen
class Chain(Generic[T]):
    value: T
    rest: te.Self | None = None


@attrs.frozen
class Chains(Generic[Q]):
    chain: Chain[Q]
    more: list[te.Self]


@attrs.frozen
class Sized(Generic[Whole]):
    size: Whole


chain: Any = Chain
NAMED: list[tuple[Any, Any, Any]] = [
    (Nested[int], [1, [2, [3]]], [1, [2, [3]]]),
    (Nested[str], ["x", ["y"]], ["x", ["y"]]),
    (Rows, [1, [2, []]], [1, [2, []]]),
    (Chain[int], {"value": 1, "rest": {"value": 2, "rest": None}}, chain(1, chain(2))),
    (Chains[str], {"chain": {"value": "a", "rest": None}, "more": []}, Chains(chain("a"), [])),
    (Sized, {"size": 1}, Sized(1)),
    (Sized[str], {"size": "L"}, Sized("L")),
]


@pytest.mark.parametrize(("kind", "value", "read"), NAMED)
def test_aliases_written_as_strings_self_and_defaults_of_parameters(kind: Any, value: Any, read: Any) -> None:
    assert Structured(kind, strict=False).load(value) == read
    with pytest.raises(DecodeError):
        Structured(kind, strict=False).load([[[None]]])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Lost, "a name in the type alias Lost is not defined"),
        (te.Self, "has no argument"),
        (tuple[int, *tuple[str, int]], "it does not describe a single value"),
    ],
)
def test_what_stands_for_no_type_or_for_several_is_refused(kind: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Structured(kind)
