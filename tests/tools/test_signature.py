"""Signatures: the schema of a function, and the arguments in a model's JSON."""

from __future__ import annotations

import enum
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TypedDict, cast

import anyio
import attrs
import pydantic
import pytest

from responses_proto.exceptions import ToolArgumentsInvalid, UsageError
from responses_proto.models import FunctionCall
from responses_proto.schema import json_schema
from responses_proto.tools import ToolContext, function_tool
from responses_proto.tools._signature import Signature, description_of, label_of, name_of, parameters_of, signature_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


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


NAMES = (
    "self",
    "cls",
    "context",
    "function",
    "args",
    "kwargs",
    "call",
    "name",
    "value",
    "target",
    "parameters",
    "instance",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_can_have_any_name(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def tool({name}: str, other: int = 1): return ({name}, other)", scope)  # noqa: S102 - the only way to choose the name
    tool = function_tool(scope["tool"])
    assert tool(**{name: "x"}) == ("x", 1)
    call = FunctionCall(call_id="1", name="tool", arguments=json.dumps({name: "x", "other": 2}))
    assert anyio.run(tool.execute, call, ToolContext(call)).output == '["x",2]'


# ---- the context


class OwnContext(Context):
    """A subclass of the context."""


def plain(n: int) -> int:
    return n


CONTEXTS = (
    "Context", "Context | None", "Optional[Context]", "Annotated[Context, 'where it is']", "Annotated[Context | None, 'x']",
    "Annotated[Context, 'x'] | None", "OwnContext", "OwnContext | None",
)  # fmt: skip


@pytest.mark.parametrize("annotation", CONTEXTS)
@pytest.mark.parametrize("postponed", [True, False])
def test_every_annotation_with_the_context_means_it(annotation: str, postponed: bool) -> None:
    def function(it: Any, n: int) -> None: ...

    scope = {"Optional": Optional, "Annotated": Annotated, "Context": Context, "OwnContext": OwnContext}
    function.__annotations__["it"] = annotation if postponed else eval(annotation, scope)  # noqa: S307 - of the list above
    parameters = parameters_of(function, Context)
    assert parameters.takes_context
    assert [parameter.name for parameter in parameters.arguments] == ["n"]


@pytest.mark.parametrize("annotation", ["Missing", "Context | Missing", "Annotated[Context, Missing]"])
def test_an_annotation_that_cannot_be_resolved_names_its_parameter(annotation: str) -> None:
    def function(first: Context, n: int) -> None: ...

    for name in ("first", "n"):
        function.__annotations__ = {"first": "Context", "n": "int", name: annotation}
        with pytest.raises(UsageError, match=rf"function\(\): the type of '{name}' is not defined .*Missing"):
            read(function)


# ---- functions that no model can call


def generator(n: int) -> Iterator[int]:
    yield n


async def async_generator(n: int) -> AsyncIterator[int]:
    yield n


class Generator:
    def __call__(self, n: int) -> Iterator[int]:
        yield n


class Dispatching:
    @functools.singledispatchmethod
    def method(self, n: int) -> int:
        return n


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (generator, r"^generator\(\) is a generator function"),
        (async_generator, r"^async_generator\(\) is a generator function"),
        (functools.partial(generator, n=1), r"^generator\(\) is a generator function"),
        (Generator(), r"is a generator function"),
        (functools.singledispatch(plain), r"^plain\(\) chooses an implementation"),
        (Dispatching().method, r"chooses an implementation"),
    ],
)
def test_functions_that_could_never_be_called_are_refused(function: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        function_tool(function)


# ---- descriptions, constraints and defaults


class Silent:
    def __call__(self, n: int) -> int:
        return n


class Described(Silent):
    """Be of the class."""


class Overriding(Thing):
    def method(self, n: int) -> int:
        return n


@pytest.mark.parametrize(
    ("function", "description"),
    [
        (Silent(), ""),
        (Described(), "Be of the class."),
        (Thing(), "Be called."),
        (functools.partial(Thing(), n=1), "Be called."),
        (functools.partial(plain), ""),
        (functools.lru_cache(plain), ""),
        (Overriding().method, "Be one."),
    ],
)
def test_a_description_is_what_an_author_wrote(function: Any, description: str) -> None:
    assert description_of(function) == description


def rent(
    days: Annotated[int, pydantic.Field(ge=1, description="how long")],
    kind: str = pydantic.Field("std", pattern="^[a-z]+$", description="std or vip"),
    tags: list[str] = pydantic.Field(default_factory=list),  # noqa: B008 - as users of pydantic write it
    code: int = pydantic.Field(alias="Code"),
) -> tuple[Any, ...]:
    return days, kind, tags, code


def test_fields_of_pydantic_describe_constrain_and_have_defaults() -> None:
    schema: Any = read(rent).schema
    assert schema["properties"]["days"] == {"type": "integer", "minimum": 1, "description": "how long"}
    assert schema["properties"]["kind"]["description"] == "std or vip"
    assert schema["required"] == ["days", "kind", "tags", "Code"]
    assert call(rent, {"days": 1, "kind": None, "tags": None, "Code": 7}) == (1, "std", [], 7)
    assert call(rent, {"days": 1, "Code": 7, "kind": "vip", "tags": ["a"]}) == (1, "vip", ["a"], 7)
    lax: Any = read(rent, strict=False).schema
    assert lax["required"] == ["days", "Code"]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"days": 0, "Code": 1}, "$.days"),
        ({"days": 1, "Code": 1, "kind": "VIP"}, "$.kind"),
        ({"days": 1}, "$.Code"),
        ({"days": 1, "code": 1}, "$.code"),
    ],
)
def test_constraints_are_checked_before_the_call(arguments: object, path: str) -> None:
    with pytest.raises(ToolArgumentsInvalid) as caught:
        call(rent, arguments)
    assert caught.value.path == path


def test_without_strictness_a_dictionary_is_an_argument() -> None:
    def send(headers: dict[str, int], extra: dict[str, Any] | None = None, file: Path = Path("x")) -> Any:
        return headers, extra, file

    with pytest.raises(UsageError, match=r"send\(\): \$\.headers: .*strict=False"):
        read(send)
    signature = read(send, strict=False)
    properties: Any = signature.schema["properties"]
    assert properties["headers"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert signature.schema["required"] == ["headers"]
    by_name = signature.bind('{"headers": {"a": 1}, "extra": {"b": [null]}, "file": "/y"}')[1]
    assert by_name == {"headers": {"a": 1}, "extra": {"b": [None]}, "file": Path("/y")}
    with pytest.raises(ToolArgumentsInvalid) as caught:
        signature.bind('{"headers": {"a": "one"}}')
    assert caught.value.path == "$.headers.a"
