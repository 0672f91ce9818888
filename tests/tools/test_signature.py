"""Signatures: the schema of a function, and the arguments in a model's JSON."""

from __future__ import annotations

import enum
import functools
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, cast

import attrs
import pydantic
import pytest

from responses_proto.exceptions import ToolArgumentsInvalid, UsageError
from responses_proto.schema import json_schema
from responses_proto.tools._signature import Signature, description_of, label_of, name_of, parameters_of, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Context:
    """Stands for ``ToolContext``."""


class Color(enum.Enum):
    """A choice."""

    RED = "red"


@attrs.frozen
class Place:
    """Where it is."""

    lat: float
    lon: float


class Guest(pydantic.BaseModel):
    """Who comes."""

    name: str
    age: Annotated[int, pydantic.Field(ge=0)]


class Film(TypedDict):
    """What is shown."""

    title: str


def everything(
    city: str,
    /,
    place: Place,
    guests: list[Guest],
    units: Literal["c", "f"] = "c",
    *,
    color: Color | None = None,
    film: Annotated[Film | None, "the film"] = None,
    days: Annotated[int, "how many"] = 3,
) -> dict[str, object]:
    """Do everything.

    Args:
        city: The city.
        days: Not this.
    """
    return {**locals()}


def read(function: Callable[..., Any], *, strict: bool = True) -> Signature:
    return signature_of(function, parameters_of(function, Context).arguments, strict=strict)


def call(function: Callable[..., Any], arguments: object) -> Any:
    by_place, by_name = read(function).bind(arguments if isinstance(arguments, str) else json.dumps(arguments))
    return function(*by_place, **by_name)


# ---- schemas


def test_the_schema_is_that_of_structured_output() -> None:
    @attrs.frozen
    class Same:
        city: Annotated[str, "The city."]
        place: Place
        guests: list[Guest]
        units: Literal["c", "f"] = "c"
        color: Color | None = None
        film: Annotated[Film | None, "the film"] = None
        days: Annotated[int, "how many"] = 3

    assert read(everything).schema == json_schema(Same)


def test_if_not_strict_a_parameter_with_a_default_is_not_required() -> None:
    strict, lax = (read(everything, strict=strict).schema for strict in (True, False))
    properties: Any = lax["properties"]
    assert lax["required"] == ["city", "place", "guests"]
    assert set(properties) == set(cast("Any", strict["properties"]))
    assert properties["units"] == {"type": "string", "enum": ["c", "f"]}
    assert properties["days"] == {"type": "integer", "description": "how many"}
    assert call(everything, {"city": "a", "place": {"lat": 1, "lon": 2}, "guests": []})["units"] == "c"


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def nothing() -> str:
        return "done"

    assert read(nothing).schema == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    assert call(nothing, {}) == "done"
    assert call(nothing, "") == "done"
    assert call(nothing, " \n") == "done"


def test_a_description_in_annotated_overrides_the_docstring() -> None:
    properties: Any = read(everything).schema["properties"]
    assert properties["city"]["description"] == "The city."
    assert "how many" in json.dumps(properties["days"])
    assert "Not this" not in json.dumps(properties["days"])
    assert "description" not in json.dumps(properties["units"])
    assert description_of(everything) == "Do everything."


# ---- calls


def test_arguments_are_values_of_the_types() -> None:
    given = call(
        everything,
        {
            "city": "Paris",
            "place": {"lat": 1, "lon": 2.5},
            "guests": [{"name": "Ada", "age": 36}],
            "units": None,
            "color": "red",
            "film": {"title": "Alien"},
            "days": None,
        },
    )
    assert given == {
        "city": "Paris",
        "place": Place(1.0, 2.5),
        "guests": [Guest(name="Ada", age=36)],
        "units": "c",
        "color": Color.RED,
        "film": {"title": "Alien"},
        "days": 3,
    }


def test_positional_only_parameters_are_passed_by_position() -> None:
    def one(a: int = 1, b: int = 2, /, c: int = 3) -> tuple[int, int, int]:
        return a, b, c

    assert call(one, {"a": None, "b": 5, "c": None}) == (1, 5, 3)


@pytest.mark.parametrize(
    ("arguments", "path", "message"),
    [
        ('{"city": ', "$", "not JSON"),
        ("[]", "$", "expected a JSON object"),
        ("[" * 10_000, "$", "max_nesting"),
        ({"city": 1}, "$.place", "required, but missing"),
        ({"city": 1, "place": {"lat": 0, "lon": 0}, "guests": []}, "$.city", "expected a string, got 1"),
        ({"city": "", "place": {"lat": "x", "lon": 0}, "guests": []}, "$.place.lat", "expected a number"),
        (
            {"city": "", "place": {"lat": 0, "lon": 0}, "guests": [{"name": "", "age": -1}]},
            "$.guests[0].age",
            "greater than or equal to 0",
        ),
        (
            {"city": "", "place": {"lat": 0, "lon": 0}, "guests": [], "units": "k"},
            "$.units",
            "expected one of 'c', 'f'",
        ),
        ({"town": ""}, "$.town", "no parameter 'town', only: city, place, guests"),
    ],
)
def test_wrong_arguments_are_refused_with_their_path(arguments: object, path: str, message: str) -> None:
    with pytest.raises(ToolArgumentsInvalid) as caught:
        call(everything, arguments)
    assert caught.value.path == path
    assert message in str(caught.value)


# ---- functions of all kinds


class Thing:
    """Has methods."""

    def method(self, n: int) -> int:
        """Be one."""
        return n

    @classmethod
    def of_class(cls, n: int) -> int:
        """Be one of the class."""
        return n

    @staticmethod
    def static(n: int) -> int:
        """Be none."""
        return n

    def __call__(self, n: int) -> int:
        """Be called."""
        return n


@functools.wraps(Thing.static)
def wrapped(*args: Any, **kwargs: Any) -> int:
    return Thing.static(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "name", "description"),
    [
        (Thing().method, "method", "Be one."),
        (Thing.of_class, "of_class", "Be one of the class."),
        (Thing.static, "static", "Be none."),
        (Thing(), "Thing", "Be called."),
        (functools.partial(Thing().method), "method", "Be one."),
        (wrapped, "static", "Be none."),
    ],
)
def test_every_kind_of_callable_has_a_signature(function: Callable[..., Any], name: str, description: str) -> None:
    assert (name_of(function), description_of(function)) == (name, description)
    assert list(read(function).schema["properties"]) == ["n"]  # type: ignore[arg-type] # a schema's are an object
    assert call(function, {"n": 3}) == 3


def test_an_unbound_method_is_recognized() -> None:
    parameters = parameters_of(Thing.method, Context)
    assert not parameters.bound
    assert [parameter.name for parameter in parameters.arguments] == ["n"]
    assert parameters_of(Thing().method, Context).bound


def test_the_context_is_not_in_the_schema() -> None:
    def one(context: Context, n: int) -> int:
        return n + bool(context)

    parameters = parameters_of(one, Context)
    assert parameters.takes_context
    assert [parameter.name for parameter in parameters.arguments] == ["n"]
    assert not parameters_of(everything, Context).takes_context


def nameless(*numbers: int) -> None: ...
def collecting(**numbers: int) -> None: ...
def free(x: dict[str, int]) -> None: ...
def late(x: int, context: Context) -> None: ...
def hidden(x: int) -> None: ...
def broken(x: int) -> None: ...


hidden.__annotations__["x"] = "Hidden"  # a name that only type checkers can import
broken.__annotations__["x"] = "list["


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (nameless, r"nameless\(\*numbers\): a model passes arguments by name"),
        (collecting, r"collecting\(\*\*numbers\): a model passes arguments by name"),
        (len, r"len\(\): the parameter 'obj' has no type"),
        (free, r"free\(\): \$\.x: dict\[str, int\]"),
        (late, r"late\(\): the Context must be the first parameter"),
        (hidden, r"hidden\(\): the type of 'x' is not defined at run time .* import it outside `if TYPE_CHECKING:`"),
        (broken, r"broken\(\): the type of 'x' cannot be read"),
        (3, "the parameters of 3 cannot be read"),
    ],
)
def test_functions_that_a_model_cannot_call_are_refused(function: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(function)


def test_a_name_that_no_tool_can_have_is_empty() -> None:
    def long() -> None: ...

    long.__name__ = "x" * 65
    assert name_of(lambda: None) == ""
    assert name_of(long) == ""
    assert label_of(long) == "long"


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 2**200 + 1])
def test_integers_of_any_size_are_exact(number: int) -> None:
    def count(n: int, any_of: list[int]) -> list[int]:
        return [n, *any_of]

    assert call(count, {"n": number, "any_of": [number]}) == [number, number]
