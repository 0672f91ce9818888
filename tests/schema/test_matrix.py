"""Every kind of class, in every form, as a parameter, as a field and as an output: what is sent, read and refused."""

import dataclasses
import json
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar

import anyio
import attrs
import jsonschema
import pydantic
import pydantic.dataclasses
import pytest
from annotated_types import Ge, Le, MaxLen
from pydantic import Field
from tests.strict_subset import assert_strict
from typing_extensions import Doc, TypedDict

from responses_proto.exceptions import DecodeError, ToolArgumentsInvalid
from responses_proto.models import FunctionCall
from responses_proto.schema import Structured, json_schema
from responses_proto.tools import ToolContext, function_tool

T = TypeVar("T")
Stars = Annotated[int, Ge(1), Le(5), Doc("how good it is")]


class Kind:
    """The forms of one kind of class. Their fields are the same for every kind."""


class Attrs(Kind):
    @attrs.frozen
    class Plain:
        name: str
        size: int

    @attrs.frozen
    class Constrained:
        stars: Stars
        tags: Annotated[list[Annotated[str, Field(pattern="^[a-z]+$")]], MaxLen(2)]

    @attrs.frozen
    class Tree:
        value: Stars
        kids: list["Attrs.Tree"]

    @attrs.frozen
    class Page(Generic[T]):
        items: list[T]

    @attrs.frozen
    class StarPage(Page[Stars]):
        total: int

    @attrs.frozen
    class Cat:
        lives: int
        kind: Literal["cat"] = "cat"

    @attrs.frozen
    class Dog:
        lives: str
        kind: Literal["dog"] = "dog"


class Dataclass(Kind):
    @dataclasses.dataclass
    class Plain:
        name: str
        size: int

    @dataclasses.dataclass
    class Constrained:
        stars: Stars
        tags: Annotated[list[Annotated[str, Field(pattern="^[a-z]+$")]], MaxLen(2)]

    @dataclasses.dataclass
    class Tree:
        value: Stars
        kids: list["Dataclass.Tree"]

    @dataclasses.dataclass
    class Page(Generic[T]):
        items: list[T]

    @dataclasses.dataclass
    class StarPage(Page[Stars]):
        total: int

    @dataclasses.dataclass
    class Cat:
        lives: int
        kind: Literal["cat"] = "cat"

    @dataclasses.dataclass
    class Dog:
        lives: str
        kind: Literal["dog"] = "dog"


class Dictionary(Kind):
    class Plain(TypedDict):
        name: str
        size: int

    class Constrained(TypedDict):
        stars: Stars
        tags: Annotated[list[Annotated[str, Field(pattern="^[a-z]+$")]], MaxLen(2)]

    class Tree(TypedDict):
        value: Stars
        kids: list["Dictionary.Tree"]

    class Page(TypedDict, Generic[T]):
        items: list[T]

    class StarPage(Page[Stars]):
        total: int

    class Cat(TypedDict):
        lives: int
        kind: Literal["cat"]

    class Dog(TypedDict):
        lives: str
        kind: Literal["dog"]


class Tuple(Kind):
    class Plain(NamedTuple):
        name: str
        size: int

    class Constrained(NamedTuple):
        stars: Stars
        tags: Annotated[list[Annotated[str, Field(pattern="^[a-z]+$")]], MaxLen(2)]

    class Tree(NamedTuple):
        value: Stars
        kids: list["Tuple.Tree"]

    class Page(NamedTuple, Generic[T]):
        items: list[T]

    class StarPage(NamedTuple):  # the fields of a named tuple cannot be extended
        items: list[Stars]
        total: int

    class Cat(NamedTuple):
        lives: int
        kind: Literal["cat"] = "cat"

    class Dog(NamedTuple):
        lives: str
        kind: Literal["dog"] = "dog"


class Pydantic(Kind):
    class Plain(pydantic.BaseModel):
        name: str
        size: int

    class Constrained(pydantic.BaseModel):
        stars: Stars
        tags: Annotated[list[Annotated[str, Field(pattern="^[a-z]+$")]], MaxLen(2)]

    class Tree(pydantic.BaseModel):
        value: Stars
        kids: list["Pydantic.Tree"]

    class Page(pydantic.BaseModel, Generic[T]):
        items: list[T]

    class StarPage(Page[Stars]):
        total: int

    class Cat(pydantic.BaseModel):
        lives: int
        kind: Literal["cat"] = "cat"

    class Dog(pydantic.BaseModel):
        lives: str
        kind: Literal["dog"] = "dog"


class PydanticDataclass(Kind):
    @pydantic.dataclasses.dataclass
    class Plain:
        name: str
        size: int

    @pydantic.dataclasses.dataclass
    class Constrained:
        stars: Stars
        tags: Annotated[list[Annotated[str, Field(pattern="^[a-z]+$")]], MaxLen(2)]

    @pydantic.dataclasses.dataclass
    class Tree:
        value: Stars
        kids: list["PydanticDataclass.Tree"]

    @pydantic.dataclasses.dataclass
    class Page(Generic[T]):
        items: list[T]

    @pydantic.dataclasses.dataclass
    class StarPage:
        items: list[Stars]
        total: int

    @pydantic.dataclasses.dataclass
    class Cat:
        lives: int
        kind: Literal["cat"] = "cat"

    @pydantic.dataclasses.dataclass
    class Dog:
        lives: str
        kind: Literal["dog"] = "dog"


Pydantic.Tree.model_rebuild()
KINDS: list[Any] = [Attrs, Dataclass, Dictionary, Tuple, Pydantic, PydanticDataclass]


@dataclasses.dataclass
class Form:
    """One form of a kind: its type, a value in JSON and in Python, and a JSON value that does not fit, with its path."""

    type: Callable[[Any], Any]
    good: Any
    value: Callable[[Any], Any]
    bad: Any
    path: str


FORMS = {
    "plain": Form(
        lambda kind: kind.Plain,
        {"name": "a", "size": 2**70},
        lambda kind: kind.Plain(name="a", size=2**70),
        {"name": "a", "size": "large"},
        ".size",
    ),
    "annotated": Form(
        lambda kind: kind.Constrained,
        {"stars": 5, "tags": ["a"]},
        lambda kind: kind.Constrained(stars=5, tags=["a"]),
        {"stars": 6, "tags": []},
        ".stars",
    ),
    "annotated element": Form(
        lambda kind: kind.Constrained,
        {"stars": 1, "tags": []},
        lambda kind: kind.Constrained(stars=1, tags=[]),
        {"stars": 1, "tags": ["a", "B"]},
        ".tags[1]",
    ),
    "nested": Form(
        lambda kind: list[tuple[kind.Constrained, int]],  # type: ignore[name-defined] # made at run time
        [[{"stars": 1, "tags": ["b"]}, 2]],
        lambda kind: [(kind.Constrained(stars=1, tags=["b"]), 2)],
        [[{"stars": 1, "tags": ["b", "c", "d"]}, 2]],
        "[0][0].tags",
    ),
    "generic": Form(
        lambda kind: kind.Page[Stars],
        {"items": [1, 5]},
        lambda kind: kind.Page[Stars](items=[1, 5]),
        {"items": [1, 0]},
        ".items[1]",
    ),
    "generic subclass": Form(
        lambda kind: kind.StarPage,
        {"items": [1], "total": 1},
        lambda kind: kind.StarPage(items=[1], total=1),
        {"items": [0], "total": 1},
        ".items[0]",
    ),
    "recursive": Form(
        lambda kind: kind.Tree,
        {"value": 1, "kids": [{"value": 2, "kids": []}]},
        lambda kind: kind.Tree(value=1, kids=[kind.Tree(value=2, kids=[])]),
        {"value": 1, "kids": [{"value": 2, "kids": [{"value": 9, "kids": []}]}]},
        ".kids[0].kids[0].value",
    ),
    "union": Form(
        lambda kind: kind.Cat | kind.Dog,
        {"lives": "9", "kind": "dog"},
        lambda kind: kind.Dog(lives="9", kind="dog"),
        {"lives": 9, "kind": "dog"},
        ".lives",
    ),
    "optional": Form(
        lambda kind: Optional[kind.Constrained],  # noqa: UP045 - an old way to write it
        None,
        lambda _: None,
        {"stars": 0, "tags": []},
        ".stars",
    ),
}

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def assert_allows(schema: Any, good: Any, bad: Any) -> None:
    assert_strict(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors(bad)) != []


@every_kind
@every_form
def test_as_an_output(kind: Any, form: Form) -> None:
    structured: Structured[Any] = Structured(form.type(kind))
    good, bad, path = form.good, form.bad, f"${form.path}"
    properties: Any = structured.schema["properties"]
    if list(properties) == ["value"]:  # what is not an object is wrapped
        good, bad, path = {"value": good}, {"value": bad}, f"$.value{form.path}"
    assert_allows(structured.schema, good, bad)
    assert structured.structure(json.dumps(good)) == form.value(kind)
    with pytest.raises(DecodeError) as caught:
        structured.structure(json.dumps(bad))
    assert caught.value.path == path


@every_kind
@every_form
def test_as_a_field(kind: Any, form: Form) -> None:
    holder = attrs.make_class("Holder", {"held": attrs.field(type=form.type(kind))})
    structured: Structured[Any] = Structured(holder)
    assert_allows(structured.schema, {"held": form.good}, {"held": form.bad})
    assert structured.structure(json.dumps({"held": form.good})) == holder(form.value(kind))
    with pytest.raises(DecodeError) as caught:
        structured.structure(json.dumps({"held": form.bad}))
    assert caught.value.path == f"$.held{form.path}"


@every_kind
@every_form
def test_as_a_parameter(kind: Any, form: Form) -> None:
    got: list[Any] = []

    async def take(context: str, self: Any) -> str:
        got.append((context, self))
        return "taken"

    take.__annotations__["self"] = form.type(kind)
    tool = function_tool(take)

    def call(value: Any) -> None:
        call = FunctionCall(call_id="1", name="take", arguments=json.dumps({"context": "c", "self": value}))
        anyio.run(tool.execute, call, ToolContext(call))

    assert_allows(tool.definition.parameters, {"context": "c", "self": form.good}, {"context": "c", "self": form.bad})
    call(form.good)
    assert got == [("c", form.value(kind))]
    with pytest.raises(ToolArgumentsInvalid) as caught:
        call(form.bad)
    assert caught.value.path == f"$.self{form.path}"
    assert len(got) == 1


@every_kind
@every_form
def test_without_strictness_the_same_values_are_read(kind: Any, form: Form) -> None:
    holder = attrs.make_class("Holder", {"held": attrs.field(type=form.type(kind))})
    schema: Any = json_schema(holder, strict=False)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(jsonschema.Draft202012Validator(schema).iter_errors({"held": form.good})) == []
    structured: Structured[Any] = Structured(holder, strict=False)
    assert structured.structure(json.dumps({"held": form.good})) == holder(form.value(kind))
    with pytest.raises(DecodeError):
        structured.structure(json.dumps({"held": form.bad}))


@every_kind
def test_what_is_unknown_in_an_argument_is_refused_at_every_level(kind: Any) -> None:
    def take(plain: int, tree: Any) -> None: ...

    take.__annotations__["tree"] = kind.Tree
    tool = function_tool(take)
    leaf: dict[str, Any] = {"value": 2, "kids": []}
    refused: list[tuple[dict[str, Any], str]] = [
        ({"plain": 1, "tree": leaf, "more": 1}, "$.more"),
        ({"plain": 1, "tree": {**leaf, "more": 1}}, "$.tree.more"),
        ({"plain": 1, "tree": {"value": 1, "kids": [{**leaf, "more": 1}]}}, "$.tree.kids[0].more"),
    ]
    for arguments, path in refused:
        call = FunctionCall(call_id="1", name="take", arguments=json.dumps(arguments))
        with pytest.raises(ToolArgumentsInvalid) as caught:
            anyio.run(tool.execute, call, ToolContext(call))
        assert caught.value.path == path
