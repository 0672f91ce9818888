"""Annotations: what their names stand for, wherever the function or class was defined."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import pytest

from responses_proto.exceptions import UsageError
from responses_proto.schema import json_schema
from responses_proto.schema._hints import class_hints, own_annotations, parameter_hint

if TYPE_CHECKING:
    from collections.abc import Callable

    Hidden = int


class Outer:
    class Inner:
        x: int

    one: Inner


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    annotations = own_annotations(function) if sys.version_info >= (3, 14) else function.__annotations__
    return {
        name: parameter_hint(annotation, function, f"the type of {name!r}")
        for name, annotation in annotations.items()
        if name != "return"
    }


def plain(a: int, b: list[Outer], c: Annotated[str, "text"]) -> None: ...


def test_names_of_the_module_are_resolved() -> None:
    assert hints_of(plain) == {"a": int, "b": list[Outer], "c": Annotated[str, "text"]}
    assert parameter_hint(int, plain, "it") is int


def test_names_of_a_running_function_are_resolved() -> None:
    class Local: ...

    def inside(a: Local, b: list[Local] | None) -> None: ...

    assert hints_of(inside) == {"a": Local, "b": list[Local] | None}


def test_names_in_the_closure_are_resolved_after_the_function_returned() -> None:
    def make() -> Callable[..., Any]:
        class Local: ...

        def inside(a: Local) -> Any:  # noqa: ARG001 - only its annotation counts
            return Local

        return inside

    function = make()
    assert hints_of(function) == {"a": function(None)}


def test_the_innermost_call_of_a_recursive_function_counts() -> None:
    def make(depth: int) -> list[tuple[type, Any]]:
        class Local: ...

        def inside(a: Local) -> None: ...

        return [(Local, hints_of(inside)["a"]), *(make(depth - 1) if depth else [])]

    assert all(wanted is found for wanted, found in make(2))


def test_names_of_a_function_that_returned_are_reported() -> None:
    def make() -> Callable[..., Any]:
        class Local: ...

        def inside(a: Local) -> None: ...

        return inside

    with pytest.raises(UsageError, match=r"the type of 'a' is not defined at run time \(name 'Local' is not defined\)"):
        hints_of(make())


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("Hidden", "the type of 'a' is not defined at run time"),
        ("Outer.Missing", "the type of 'a' cannot be read"),
        ("list[", "the type of 'a' cannot be read"),
        ("1 / 0", "the type of 'a' cannot be read"),
    ],
)
def test_an_annotation_that_cannot_be_resolved_is_reported(annotation: str, words: str) -> None:
    def function(a: int) -> None: ...

    function.__annotations__["a"] = annotation
    with pytest.raises(UsageError) as caught:
        hints_of(function)
    assert str(caught.value).startswith(words)


def test_a_class_in_a_function_can_name_its_neighbours_and_itself() -> None:
    @attrs.frozen
    class Leaf:
        size: int

    @attrs.frozen
    class Tree:
        leaves: list[Leaf]
        trees: list[Tree]

    assert class_hints(Tree, "$") == {"leaves": list[Leaf], "trees": list[Tree]}
    assert json_schema(Tree)


def test_a_class_can_name_a_class_inside_of_it() -> None:
    class Here:
        class Inner: ...

        one: Inner

    assert class_hints(Here, "$") == {"one": Here.Inner}


def test_own_annotations_are_not_those_of_a_base() -> None:
    class Base:
        x: int

    class Derived(Base):
        y: str

    class Empty(Base): ...

    assert list(own_annotations(Derived)) == ["y"]
    assert list(own_annotations(Empty)) == []
