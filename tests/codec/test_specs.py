"""Annotations by JSON kind, and classes as the wire sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import pytest

from responses_proto.codec._specs import ValueSpec, is_model, is_model_union, model_spec, tag_of, value_spec
from responses_proto.models import FunctionCall, Item, McpTool, Message, Model, UnknownItem
from responses_proto.models._base import Unknown, model
from responses_proto.typing import UNSET, JSONValue, Unset


@model
class Point(Model):
    type: ClassVar[Literal["point"]] = "point"
    x: int
    async_: str | Unset | None = UNSET


@model
class Line(Model):
    start: Point
    others: Sequence[Point]


@model
class Wild(Model):
    value: int = 7


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        (str, ValueSpec(scalars=frozenset({str}))),
        (int, ValueSpec(scalars=frozenset({int}))),
        (float, ValueSpec(scalars=frozenset({int, float}))),
        (bool, ValueSpec(scalars=frozenset({bool}))),
        (None, ValueSpec(null=True)),
        (Any, ValueSpec(anything=True)),
        (JSONValue, ValueSpec(anything=True)),
        (Literal["a", 3] | None, ValueSpec(scalars=frozenset({str, int}), known=("a",), null=True)),
        (Literal["a", "b"] | list[int], ValueSpec(scalars=frozenset({str}), known=("a", "b"), items=value_spec(int))),
        (str | None | Unset, ValueSpec(scalars=frozenset({str}), null=True, unset=True)),
        (list[int], ValueSpec(items=ValueSpec(scalars=frozenset({int})))),
        (Sequence[int] | list[str], ValueSpec(items=ValueSpec(scalars=frozenset({int, str})))),
        (list, ValueSpec(items=ValueSpec(anything=True))),
        (Mapping[str, bool], ValueSpec(values=ValueSpec(scalars=frozenset({bool})))),
        (dict, ValueSpec(values=ValueSpec(anything=True))),
        (Message | FunctionCall | UnknownItem, ValueSpec(models=(Message, FunctionCall), unknown=UnknownItem)),
    ],
    ids=str,
)
def test_an_annotation_is_sorted_by_json_kind(annotation: Any, shape: ValueSpec) -> None:
    assert value_spec(annotation) == shape


@pytest.mark.parametrize("annotation", [bytes, set[int], object, complex])
def test_an_unsupported_annotation_is_an_error(annotation: Any) -> None:
    with pytest.raises(TypeError, match="does not support the annotation"):
        value_spec(annotation)


@pytest.mark.parametrize(
    ("annotation", "neutral"),
    [
        (str | Unset, UNSET),
        (str | None, None),
        (JSONValue, None),
        (str, ""),
        (int, 0),
        (float, 0),
        (bool, False),
        (str | list[int], ""),
        (list[int], []),
        (dict[str, int], {}),
        (Point, Point(x=0)),
        (Line, Line(start=Point(x=0), others=[])),
        (Message | UnknownItem, UnknownItem()),
    ],
    ids=str,
)
def test_the_neutral_value_is_of_the_type(annotation: Any, neutral: Any) -> None:
    made = value_spec(annotation).neutral()
    assert made == neutral
    assert type(made) is type(neutral)


def test_neutral_lists_and_objects_are_not_shared() -> None:
    shape = value_spec(list[int])
    assert shape.neutral() is not shape.neutral()


def test_a_spec_has_constants_and_fields() -> None:
    plan = model_spec(Point)
    assert plan.constants == {"type": "point"}
    assert [(field.name, field.wire, field.required) for field in plan.fields] == [
        ("x", "x", True),
        ("async_", "async", False),
    ]
    assert plan.by_wire["async"].name == "async_"


def test_a_spec_is_created_once() -> None:
    assert model_spec(Point) is model_spec(Point)


def test_a_default_other_than_unset_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Wild\.value"):
        model_spec(Wild)


def test_which_types_are_models() -> None:
    assert is_model(Message)
    assert not is_model(Item)
    assert not is_model(Message(role="user", content=""))
    assert is_model_union(Item)
    assert is_model_union(str | Message)
    assert not is_model_union(str | None)
    assert not is_model_union(list[Message])


def test_every_model_has_a_spec() -> None:
    def below(cls: type[Model]) -> list[type[Model]]:
        return [inner for sub in cls.__subclasses__() for inner in (sub, *below(sub))]

    own = [cls for cls in below(Model) if cls.__module__.startswith("responses_proto.models.")]
    assert len(own) > 200
    for cls in own:
        if not issubclass(cls, Unknown):
            assert model_spec(cls).cls is cls


def test_a_spec_marks_secrets() -> None:
    assert {field.name for field in model_spec(McpTool).fields if field.secret} == {"authorization", "headers"}


@pytest.mark.parametrize(
    ("annotation", "plain"), [(str | int | None | Unset, True), (list[int], False), (Item, False), (JSONValue, False)]
)
def test_a_spec_is_plain_if_a_type_test_decodes_it(annotation: Any, plain: bool) -> None:
    assert value_spec(annotation).plain is plain


def test_the_tag_of_a_class_is_its_wire_string() -> None:
    assert [tag_of(cls) for cls in (Point, Line, FunctionCall, UnknownItem)] == ["point", None, "function_call", None]
