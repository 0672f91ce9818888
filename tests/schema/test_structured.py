from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import pickle
import re
import time
import typing
from collections.abc import Callable  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NotRequired, Required, TypeVar

import attrs
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.streams import ending, message, numbered, opening, outcome_of, plain, read, response, saying, text_delta
from tests.structured_cases import (
    CASES,
    Author,
    Book,
    Boxed,
    Case,
    Circle,
    Colour,
    Event,
    Movie,
    Num,
    One,
    Page,
    Point,
    Shelf,
    Square,
    Tree,
    UserId,
    Word,
)
from typing_extensions import ReadOnly

from responses_proto.codec import load
from responses_proto.exceptions import DecodeError, UsageError
from responses_proto.models import CreateResponse, Response
from responses_proto.models import Event as StreamEvent
from responses_proto.models.config import PlainTextFormat, TextConfig
from responses_proto.schema import (
    Incomplete,
    Invalid,
    Parameter,
    Parsed,
    PartialOutput,
    Refused,
    Structured,
    answer_text,
    json_schema,
    parse_response,
    partial_json,
    structure,
    structured_for,
    text_format,
    with_text_format,
)
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def answered(text: str, status: str = "completed", **more: Any) -> Response:
    return load(saying(text, status, **more), Response)


# ---- the strict subset, as a table

OF_ANY: Final = {"type", "description", "enum"}
OF_TYPE: Final = {
    "object": {"properties", "required", "additionalProperties", "$defs"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"format", "pattern"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set[str](),
    "null": set[str](),
}
FORMATS: Final = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def kinds(node: Any) -> list[str]:
    kind: Any = node.get("type", [])
    return [kind] if type(kind) is str else list(kind)


RULES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "a reference stands alone": lambda node, _: "$ref" not in node or node.keys() == {"$ref"},
    "a reference leads somewhere": lambda node, root: (
        "$ref" not in node or node["$ref"].removeprefix("#/$defs/") in root.get("$defs", {})
    ),
    "alternatives say nothing else": lambda node, _: "anyOf" not in node or node.keys() <= {"anyOf", "description"},
    "there are alternatives": lambda node, _: "anyOf" not in node or len(node["anyOf"]) >= 1,
    "everything has a type": lambda node, _: bool(kinds(node)) or "anyOf" in node or "$ref" in node,
    "only known types": lambda node, _: set(kinds(node)) <= OF_TYPE.keys(),
    "only known keywords": lambda node, _: (
        not kinds(node) or node.keys() <= OF_ANY.union(*(OF_TYPE[kind] for kind in kinds(node)))
    ),
    "objects are closed": lambda node, _: node.get("type") != "object" or node.get("additionalProperties") is False,
    "every property is required": lambda node, _: (
        node.get("type") != "object" or node.get("required") == list(node["properties"])
    ),
    "arrays say of what": lambda node, _: node.get("type") != "array" or "items" in node,
    "only known formats": lambda node, _: node.get("format", "date") in FORMATS,
    "no looking around in patterns": lambda node, _: "(?" not in node.get("pattern", ""),
    "definitions stand at the top": lambda node, root: "$defs" not in node or node is root,
    "the top is an object": lambda node, root: node is not root or node.get("type") == "object",
}


def nodes(schema: Any) -> Iterator[Any]:
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", [])]
    for node in [*inner, schema["items"]] if "items" in schema else inner:
        yield from nodes(node)


def broken(schema: Any) -> list[str]:
    return [f"{rule}: {node}" for node in nodes(schema) for rule, holds in RULES.items() if not holds(node, schema)]


def fits(value: Any, node: Any, root: Any) -> bool:
    """Return whether a JSON value matches a schema of the strict subset, except formats."""
    if "$ref" in node:
        return fits(value, root["$defs"][node["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in node:
        return any(fits(value, option, root) for option in node["anyOf"])
    if "enum" in node and not any(type(value) is type(option) and value == option for option in node["enum"]):
        return False
    return any(of_kind(value, kind, node, root) for kind in kinds(node))


PYTHON: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def of_kind(value: Any, kind: str, node: Any, root: Any) -> bool:
    if type(value) not in PYTHON[kind]:
        return False
    match kind:
        case "object":
            known = node["properties"]
            return value.keys() == known.keys() and all(fits(value[key], known[key], root) for key in known)
        case "array":
            sized = node.get("minItems", 0) <= len(value) <= node.get("maxItems", 1_000)
            return sized and all(fits(member, node["items"], root) for member in value)
        case "integer":
            return float(value).is_integer()
        case "string":
            return re.search(node.get("pattern", ""), value) is not None
        case _:
            return True


@every_case
def test_schemas_keep_the_rules_of_the_strict_subset(case: Case) -> None:
    assert broken(json_schema(case.type)) == []


@every_case
def test_a_value_is_of_the_requested_type(case: Case) -> None:
    schema = json_schema(case.type)
    assert fits(json.loads(case.text), schema, schema)
    # What the schema cannot say is only found by reading.
    beyond = {"attrs-defaults", "pydantic", "validated"}
    assert case.name in beyond or not fits(json.loads(case.wrong), schema, schema)


def test_the_checker_of_these_tests_finds_violations() -> None:
    free: Any = {"type": "object", "properties": {"a": {"type": "string", "title": "A"}}, "required": []}
    assert {line.split(":")[0] for line in broken(free)} == {
        "objects are closed",
        "every property is required",
        "only known keywords",
    }
    assert broken(Book.model_json_schema()) != []


def values(schema: Any) -> st.SearchStrategy[Any]:
    """Generate JSON values that fit a schema."""
    named = {
        f"#/$defs/{name}": st.deferred(lambda node=node: of(node))  # type: ignore[misc] # a lambda's default has no type
        for name, node in schema.get("$defs", {}).items()
    }

    def of(node: Any) -> st.SearchStrategy[Any]:
        if "$ref" in node:
            return named[node["$ref"]]
        if "anyOf" in node:
            return st.one_of(*map(of, node["anyOf"]))
        return st.sampled_from(node["enum"]) if "enum" in node else of_type(node)

    def of_type(node: Any) -> st.SearchStrategy[Any]:
        match node["type"]:
            case "object":
                return st.fixed_dictionaries({key: of(known) for key, known in node["properties"].items()})
            case "array":
                return st.lists(of(node["items"]), max_size=3)
            case "string" if "pattern" in node:
                return st.from_regex(str(node["pattern"]), fullmatch=True)
            case _:
                return OF_FORMAT[node["format"]] if "format" in node else OF_KIND[str(node["type"])]

    return of(schema)


OF_FORMAT: Final[dict[str, st.SearchStrategy[str]]] = {
    "date-time": st.datetimes().map(lambda value: value.isoformat()),
    "date": st.dates().map(lambda value: value.isoformat()),
    "time": st.times().map(lambda value: value.isoformat()),
    "uuid": st.uuids().map(str),
}
OF_KIND: Final[dict[str, st.SearchStrategy[Any]]] = {
    "string": st.text(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "null": st.none(),
}
LOOSER: Final = {"pair", "pydantic", "nested", "validated"}
"""Types whose schema cannot say all that they demand."""


@every_case
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_value_that_matches_the_schema_is_read(case: Case, data: st.DataObject) -> None:
    output = Structured[Any](case.type)
    value = data.draw(values(output.schema))
    result = output.parse_text(json.dumps(value))
    assert isinstance(result, Parsed) or case.name in LOOSER, result


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.dates().map(str),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "name", "x", "number", "left", "kind", "items", "authors"]), inner)
    ),
    max_leaves=12,
)


@every_case
@settings(max_examples=20, deadline=None)
@given(value=JSON)
def test_any_json_is_a_value_or_invalid(case: Case, value: Any) -> None:
    assert isinstance(Structured[Any](case.type).parse_text(json.dumps(value)), (Parsed, Invalid))


# ---- schemas


def test_descriptions_come_from_the_code() -> None:
    assert json_schema(Event) == {
        "type": "object",
        "description": "Something in a calendar.",
        "properties": {
            "name": {"type": "string"},
            "date": {"type": "string", "format": "date", "description": "the first day"},
            "participants": {"type": "array", "items": {"type": "string"}},
            "place": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "colour": {"anyOf": [{"type": "string", "enum": ["red", "blue"]}, {"type": "null"}]},
            "seats": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "how many may come"},
        },
        "required": ["name", "date", "participants", "place", "colour", "seats"],
        "additionalProperties": False,
    }


def test_generated_docstrings_are_not_used() -> None:
    assert "description" not in json_schema(Point)
    assert "description" not in json_schema(Tree)


def test_a_type_that_is_not_an_object_is_wrapped() -> None:
    schema = json_schema(list[int])
    assert schema["properties"] == {"value": {"type": "array", "items": {"type": "integer"}}}
    assert json_schema(Circle | Square)["required"] == ["value"]


def test_types_that_are_used_twice_are_in_defs() -> None:
    assert "$defs" not in json_schema(list[Circle | Square])
    tree: Any = json_schema(Tree)
    assert list(tree["$defs"]) == ["Tree"]
    shelf: Any = json_schema(Shelf)
    assert list(shelf["$defs"]) == ["Book", "Author", "Point"]


def test_classes_with_the_same_name_have_different_definitions() -> None:
    def make(kind: Any) -> Any:
        return attrs.make_class("Same", {"x": attrs.field(type=kind)})

    first, second = make(int), make(str)
    both = attrs.make_class(
        "Both", {name: attrs.field(type=cls) for name, cls in zip("abcd", [first, first, second, second], strict=True)}
    )
    schema: Any = json_schema(both)
    assert list(schema["$defs"]) == ["Same", "Same_2"]
    assert broken(schema) == []
    value: Any = structure('{"a": {"x": 1}, "b": {"x": 1}, "c": {"x": "s"}, "d": {"x": "s"}}', both)
    assert (value.a, value.d) == (first(1), second("s"))


def test_a_description_of_a_reference_is_put_around_it() -> None:
    @attrs.frozen
    class Two:
        a: Annotated[Num, "first"]
        b: Annotated[Num, "second"]

    assert json_schema(Two)["properties"] == {
        "a": {"anyOf": [{"$ref": "#/$defs/Num"}], "description": "first"},
        "b": {"anyOf": [{"$ref": "#/$defs/Num"}], "description": "second"},
    }


@attrs.frozen
class Dictionary:
    rows: list[dict[str, int]]


class FreeModel(pydantic.BaseModel):
    rows: dict[str, int]


class Anything(pydantic.BaseModel):
    rows: list[Any]


@attrs.define
class Untyped:
    x = attrs.field()  # type: ignore[var-annotated] # pyright: ignore[reportGeneralTypeIssues] # what is tested


Q = TypeVar("Q")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (dict[str, int], "$: dict[str, int] is not supported"),
        (Dictionary, "$.rows[]: dict[str, int] is not supported"),
        (list[Dictionary], "$[].rows[]: dict[str, int] is not"),
        (FreeModel, "$.rows: the strict subset has no objects with arbitrary keys"),
        (Anything, "$.rows[]: the strict subset has no values of any type"),
        (Any, "$: Any is not supported"),
        (object, "$: object is not supported"),
        (list, "$: list has no element type"),
        (tuple, "$: tuple has no element types"),
        (bytes, "$: bytes is not supported"),
        (list["Nowhere"], "$[]: the unresolved name"),  # type: ignore[name-defined] # noqa: F821 - what is tested
        (Untyped, "$.x has no annotation"),
        (Page, "$.items[]: the type parameter ~T has no argument"),
        (Literal[b"x"], "$: a choice must be a string, number, boolean or null, got b'x'"),
        (Q, "$: the type parameter ~Q has no argument"),
    ],
)
def test_an_unsupported_type_is_refused_with_its_path(kind: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        json_schema(kind)
    assert str(caught.value).startswith(words)


def test_an_unresolved_name_is_reported() -> None:
    @attrs.define
    class Holder:
        x: Nowhere  # type: ignore[name-defined] # pyright: ignore[reportUndefinedVariable, reportUnknownVariableType] # noqa: F821 - what is tested

    with pytest.raises(UsageError, match=r"\$: an annotation of Holder is not defined at run time \(.*Nowhere"):
        json_schema(Holder)  # pyright: ignore[reportUnknownArgumentType] # as above


def test_a_class_in_a_function_can_contain_itself() -> None:
    @attrs.frozen
    class Chain:
        next: Chain | None

    assert structure('{"next": {"next": null}}', Chain) == Chain(Chain(None))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Event, "Event"), (Page[Num], "Page_Num"), (list[int], "output"), (Circle | Square, "output"), (Colour, "Colour")],
)
def test_a_format_has_the_name_of_its_type(kind: Any, name: str) -> None:
    made = text_format(kind)
    assert (made.type, made.name, made.strict) == ("json_schema", name, True)
    assert made.schema == json_schema(kind)


def test_names_have_only_characters_that_servers_accept() -> None:
    assert Structured(Event, name="my événement!").name == "my_v_nement"
    assert Structured(Event, name="x" * 100).name == "x" * 64
    assert Structured(Event, name="!").name == "output"


# ---- reading


@every_case
def test_a_text_is_parsed(case: Case) -> None:
    value = structure(case.text, case.type)
    assert value == case.value
    assert type(value) is type(case.value)


@every_case
def test_a_mismatch_is_reported_with_its_path(case: Case) -> None:
    with pytest.raises(DecodeError) as caught:
        structure(case.wrong, case.type)
    assert caught.value.path == case.path


@every_case
@pytest.mark.parametrize(
    "around",
    [
        "```json\n{}\n```",
        "```\n{}\n```\n",
        "Here you are:\n\n```json\r\n{}\r\n```\n\nAnything else? Try ```this```.",
        "```json {}```",
        "```json\n{}",
        "\ufeff \n{}\n",
    ],
)
def test_a_fence_is_removed(case: Case, around: str) -> None:
    assert structure(around.replace("{}", case.text), case.type) == case.value


@pytest.mark.parametrize("blanks", ["```{} !", "```json{} !", "```{}json{} !", "```{}x{}"])
def test_what_looks_like_a_fence_is_given_up_in_proportion_to_its_length(blanks: str) -> None:
    def cost(size: int) -> float:
        text = blanks.replace("{}", " \t" * size)
        began = time.process_time()
        assert isinstance(Structured(One).parse_text(text), Invalid)
        return time.process_time() - began

    # Eight times as long; if each split of the blanks were tried, 64 times.
    assert cost(16_000) < 24 * max(cost(2_000), 0.005)


def test_a_fence_in_a_string_is_text() -> None:
    text = json.dumps({"value": "use ```json\n{}\n``` here"})
    assert structure(text, str) == "use ```json\n{}\n``` here"
    assert structure(f"```json\n{text}\n```", str) == "use ```json\n{}\n``` here"


def test_a_wrapped_value_may_come_unwrapped() -> None:
    assert structure("[1, 2]", list[int]) == [1, 2]
    assert Structured(list[int]).parse_text('[1, "2"]') == Invalid(
        "$[1]", "expected an integer, got '2'", '[1, "2"]'
    )  # where it is in the text that came


@pytest.mark.parametrize(
    "text", ["", "no", "{", '{"name": "x"', "```json\n{\n```", "NaN", '{"value": 1e999}', "[" * 300]
)
def test_text_that_is_not_json_is_invalid(text: str) -> None:
    result = Structured(Event).parse_text(text)
    assert isinstance(result, Invalid)
    assert (result.path, result.text) == ("$", text)
    assert "\n" not in result.message


def test_keys_that_are_not_identifiers_are_quoted_in_paths() -> None:
    odd = Structured.of_parameters("f", {"a key": Parameter(int)})
    with pytest.raises(DecodeError) as caught:
        odd.structure('{"a key": "x"}')
    assert caught.value.path == "$['a key']"


def test_unknown_keys_are_ignored() -> None:
    assert structure('{"number": 1, "comment": "!"}', Num) == Num(1)


def test_null_is_a_value_if_the_type_has_it_and_else_the_default() -> None:
    made = structure('{"x": 1, "y": 2, "label": null, "marks": null}', Point)
    assert (made.label, made.marks) == (None, [])
    left_out = structure('{"x": 1, "y": 2}', Point)
    assert (left_out.label, left_out.marks) == ("none", [])


def test_of_two_classes_the_one_with_all_the_keys_is_used() -> None:
    @attrs.frozen
    class Small:
        a: int

    @attrs.frozen
    class Large:
        a: int
        b: int | None = None

    kinds: list[Any] = [Small | Large, Large | Small]
    for kind in kinds:
        assert structure('{"value": {"a": 1, "b": 2}}', kind) == Large(1, 2)
    assert structure('{"value": {"a": 1}}', Small | Large) == Small(1)


def test_of_two_pydantic_models_the_one_with_all_the_keys_is_used() -> None:
    assert structure('{"value": {"title": "t", "authors": []}}', Author | Book) == Book(title="t", authors=[])


def test_numbers_keep_their_type() -> None:
    assert [type(structure(f'{{"value": {text}}}', float | int)) for text in ("1", "1.0")] == [int, float]
    assert type(structure('{"value": 1}', bool | int)) is int


def test_a_union_of_similar_classes_is_read_in_linear_time() -> None:
    depth = 60
    text = '{"inner": ' * depth + '"no"' + "}" * depth
    result = Structured(One).parse_text(text)
    assert isinstance(result, Invalid)
    assert result.path == "$" + ".inner" * depth


def test_a_value_that_is_nested_too_deep_is_refused() -> None:
    text = '{"value": 1, "branches": [' * 120 + "]}" * 120
    assert isinstance(Structured(Tree).parse_text(text), Parsed)
    text = '{"value": 1, "branches": [' * 5_000 + "]}" * 5_000
    assert isinstance(Structured(Tree).parse_text(text), Invalid)


# ---- functions


def test_parameters_are_a_schema_and_their_values_a_dictionary() -> None:
    made = Structured.of_parameters(
        "search",
        {
            "query": Parameter(Annotated[str, "what to look for"]),
            "limit": Parameter(int, optional=True, description="how many"),
            "kind": Parameter(Literal["web", "news"] | None, optional=True),
        },
    )
    assert broken(made.schema) == []
    assert made.schema["properties"] == {
        "query": {"type": "string", "description": "what to look for"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "how many"},
        "kind": {"anyOf": [{"type": "string", "enum": ["web", "news"]}, {"type": "null"}]},
    }
    assert made.name == "search"
    assert made.structure('{"query": "x", "limit": null, "kind": null}') == {"query": "x", "kind": None}
    assert made.load({"query": "x"}) == {"query": "x"}
    with pytest.raises(DecodeError) as caught:
        made.load({"query": "x", "limit": "3"})
    assert caught.value.path == "$.limit"


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    made = Structured.of_parameters("now", {})
    assert made.schema == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert made.structure("{}") == {}


# ---- responses


@every_case
def test_a_completed_response_is_parsed(case: Case) -> None:
    made = answered(case.text)
    result = parse_response(made, case.type)
    assert result == Parsed(case.value)
    assert result.response is made


@every_case
def test_a_refusal_takes_precedence(case: Case) -> None:
    for status in ("completed", "incomplete"):
        made = answered(case.text, status)
        refused = load(response(status=status, output=[refusal("No."), dump_of(made)]), Response)
        assert parse_response(refused, case.type) == Refused("No.")


def dump_of(made: Response) -> Any:
    return message(made.output_text)


def refusal(words: str) -> dict[str, Any]:
    return {**message(""), "content": [{"type": "refusal", "refusal": words}]}


@every_case
def test_a_response_that_is_not_completed_is_not_parsed(case: Case) -> None:
    details = {"reason": "max_output_tokens"}
    result = parse_response(answered(case.text, "incomplete", incomplete_details=details), case.type)
    assert isinstance(result, Incomplete)
    assert result.reason == "max_output_tokens"
    whole = json.loads(case.text)
    assert result.partial == (whole["value"] if whole.keys() == {"value"} else whole)
    cut = parse_response(answered(case.text[:-1], "incomplete"), case.type)
    assert isinstance(cut, Incomplete)
    assert cut.reason == "incomplete"


@every_case
@pytest.mark.parametrize("text", ["I cannot do JSON.", '{"a": ', "```json\nnot yet\n```"])
def test_a_completed_response_without_json_is_invalid(case: Case, text: str) -> None:
    result = parse_response(answered(text), case.type)
    assert isinstance(result, Invalid)
    assert (result.path, result.text) == ("$", text)


@every_case
def test_a_completed_response_that_does_not_match_is_invalid(case: Case) -> None:
    result = parse_response(answered(case.wrong), case.type)
    assert isinstance(result, Invalid)
    assert (result.path, result.text) == (case.path, case.wrong)


@pytest.mark.parametrize(
    ("status", "more", "reason"),
    [
        ("in_progress", {}, "in_progress"),
        ("queued", {}, "queued"),
        ("cancelled", {}, "cancelled"),
        ("failed", {"error": {"code": "server_error", "message": "Oops."}}, "server_error"),
        ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
    ],
)
def test_the_reason_is_the_most_specific_one(status: str, more: dict[str, Any], reason: str) -> None:
    result = parse_response(load(response(status=status, **more), Response), Num)
    assert result == Incomplete(reason, UNSET)
    assert result.response


def test_a_response_without_a_status_counts_as_completed() -> None:
    wire = saying('{"number": 1}')
    del wire["status"]
    assert parse_response(load(wire, Response), Num) == Parsed(Num(1))


def test_a_response_without_text_is_invalid() -> None:
    assert parse_response(load(response(status="completed"), Response), Num) == Invalid(
        "$", "the response has no text", ""
    )


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([("a", None), ("b", None)], "b"),
        ([("a", "final_answer"), ("b", None)], "a"),
        ([("a", None), ("b", "commentary")], "a"),
        ([("a", "commentary"), ("b", "commentary")], "b"),
        ([("a", None), (" ", None)], "a"),
        ([("a", "final_answer"), ("b", "final_answer")], "b"),
        ([], ""),
    ],
)
def test_the_answer_is_the_last_message_of_the_best_phase(
    messages: Sequence[tuple[str, str | None]], expected: str
) -> None:
    output = [{**message(text), "phase": phase} for text, phase in messages]
    assert answer_text(load(response(status="completed", output=output), Response)) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (ending([message('{"number": 1}')]), Parsed(Num(1))),
        (ending([message('{"number": 1}')], "incomplete"), Incomplete("incomplete", {"number": 1})),
        (None, Incomplete("truncated", {"number": 1})),
        ({"type": "error", "code": "server_error", "message": "Oops."}, Incomplete("server_error", {"number": 1})),
    ],
)
def test_an_outcome_is_parsed_by_how_the_stream_ended(last: dict[str, Any] | None, expected: object) -> None:
    stream = [*opening(), text_delta('{"number": 1}'), *([last] if last else [])]
    assert Structured(Num).parse_outcome(outcome_of(read(numbered(stream)))) == expected


def test_results_can_be_pickled() -> None:
    for result in (Parsed(Num(1)), Refused("No."), Incomplete("x", {"a": 1}), Invalid("$", "m", "t")):
        assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own bytes


# ---- requests


def test_the_format_is_added_to_the_request() -> None:
    output = Structured(Num)
    wire = {"type": "json_schema", "name": "Num", "schema": output.schema, "strict": True}
    format_ = output.text_format()
    assert with_text_format(output, None, {"model": "m"}) == {"model": "m", "text": TextConfig(format=format_)}
    terse = TextConfig(verbosity="low")
    both = TextConfig(verbosity="low", format=format_)
    assert with_text_format(output, None, {"text": terse}) == {"text": both}
    assert with_text_format(output, CreateResponse(model="m", text=terse), {}) == {"text": both}
    assert with_text_format(output, {"model": "m", "text": {"verbosity": "low"}}, {}) == {
        "text": {"verbosity": "low", "format": wire}
    }
    assert with_text_format(output, CreateResponse(text=terse), {"text": None}) == {"text": TextConfig(format=format_)}


@pytest.mark.parametrize("text", [TextConfig(format=PlainTextFormat()), {"format": {"type": "text"}}])
def test_a_request_with_another_format_is_refused(text: Any) -> None:
    with pytest.raises(UsageError, match="must not have a text format"):
        with_text_format(Structured(Num), None, {"text": text})


# ---- while it is written


def load_event(wire: dict[str, Any]) -> StreamEvent:
    return load(wire, StreamEvent)


def followed(follower: PartialOutput, *deltas: str) -> list[Any]:
    wires = [wire for wire in plain(deltas) if wire["type"] == "response.output_text.delta"]
    return [follower.value for wire in wires if follower.push(load_event(wire))]


def test_a_partial_value_grows_with_the_text() -> None:
    assert followed(PartialOutput(), '{"a": "x', 'y", "b": [1', ", 2", "]}") == [
        {"a": "x"},
        {"a": "xy", "b": []},
        {"a": "xy", "b": [1]},
        {"a": "xy", "b": [1, 2]},
    ]


def test_a_partial_value_is_unwrapped() -> None:
    assert followed(PartialOutput(Structured(list[int])), '{"va', 'lue": [', "1, ", "2]}") == [UNSET, [], [1], [1, 2]]


@pytest.mark.parametrize(
    "deltas",
    [("```json\n", '{"a": 1', "}\n```"), ("``", "`js", "on", "\n", '{"a": 1, ', '"b": '), ("  ", "\n", '{"a": 1}')],
)
def test_a_partial_value_begins_after_the_fence(deltas: tuple[str, ...]) -> None:
    assert followed(PartialOutput(), *deltas)[-1] == {"a": 1}


def test_a_new_message_replaces_the_value() -> None:
    follower = PartialOutput()
    followed(follower, '{"a": 1}')
    later = {
        "type": "response.output_text.delta",
        "item_id": "m2",
        "output_index": 1,
        "content_index": 0,
        "delta": '{"b": "x',
    }
    assert follower.push(load_event({**later, "sequence_number": 9, "logprobs": []}))
    assert follower.value == {"b": "x"}


def test_a_typed_dictionary_needs_no_class_to_be_read() -> None:
    movie: Movie = structure('{"title": "Jaws", "year": null}', Movie)
    assert movie == {"title": "Jaws"}


# ---- types of other makes, and how values differ from them


class Choosing(typing.TypedDict):
    """The qualifiers of a typed dictionary, which its module writes as strings."""

    always: Required[list[int]]
    at_times: NotRequired[ReadOnly[str]]


def test_a_typed_dictionary_has_required_keys() -> None:
    assert json_schema(Choosing)["properties"] == {
        "always": {"type": "array", "items": {"type": "integer"}},
        "at_times": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }
    made: Any = structure('{"always": [1], "at_times": null}', Choosing)
    assert made == {"always": [1]}


def test_an_alias_can_have_parameters_and_be_used_twice() -> None:
    value = structure('{"pairs": [[1, 2]], "words": ["a", "b", [[3, 4]]]}', Boxed[int])
    assert (value.pairs, value.words) == ([(1, 2)], ("a", "b", [(3, 4)]))
    result = Structured(Boxed[int]).parse_text('{"pairs": 1, "words": ["a", "b", []]}')
    assert isinstance(result, Invalid)
    assert result.path == "$.pairs"


def inside(kind: Any) -> Any:
    """Return the schema of a type that is not an object, without the wrapper."""
    schema: Any = json_schema(kind)
    return schema["properties"]["value"]


def test_null_is_a_value() -> None:
    assert inside(list[None]) == {"type": "array", "items": {"type": "null"}}
    assert structure('{"value": [null]}', list[None]) == [None]


def test_a_description_is_not_part_of_the_name() -> None:
    assert text_format(Annotated[Num, "how many"]).name == "Num"
    assert repr(Structured(Num)) == "<Structured Num>"


class Nobody(enum.Enum):
    """An enumeration without members."""


@attrs.define
class Unreadable:
    x: "int[str]"  # type: ignore[type-arg] # pyright: ignore[reportInvalidTypeArguments] # noqa: UP037 - what is tested


class Called(pydantic.BaseModel):
    hook: Callable[[], int]


class Made:
    """A class with the methods of a pydantic model."""

    schema: ClassVar[dict[str, Any]]

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return cls.schema

    @classmethod
    def model_validate_json(cls, text: bytes) -> Any:
        if b"no" in text:
            raise ValueError("it says no")
        return json.loads(text)


def made(schema: dict[str, Any]) -> type[Made]:
    return type("Own", (Made,), {"schema": schema})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (typing.List["Nowhere"], "$[]: the unresolved name 'Nowhere' is not supported"),  # type: ignore[name-defined] # noqa: F821, UP006 - what is tested
        (Nobody, "$: an enumeration must have members"),
        (Unreadable, "$: an annotation of Unreadable cannot be read"),
        (Called, "$: Called has no JSON Schema"),
        (made({"allOf": [{"type": "string"}, {"minLength": 2}]}), "$: the strict subset has no 'allOf'"),
    ],
)
def test_an_unsupported_class_is_refused_with_its_path(kind: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        json_schema(kind)
    assert str(caught.value).startswith(words)


def test_the_schema_of_a_class_is_converted_to_the_strict_subset() -> None:
    assert inside(made({"allOf": [{"type": "string", "pattern": "^a"}]})) == {"type": "string", "pattern": "^a"}
    assert inside(made({"type": "string", "pattern": "(?=a)"})) == {"type": "string"}
    assert inside(made({"type": "string"}) | int) == {"anyOf": [{"type": "string"}, {"type": "integer"}]}


def test_the_error_of_a_class_is_reported() -> None:
    own = made({"type": "object", "properties": {"a": {"type": "string"}}})
    result = Structured(own).parse_text('{"a": "no"}')
    assert isinstance(result, Invalid)
    assert (result.path, result.message) == ("$", "it says no")


class Many(pydantic.BaseModel):
    rows: list[int | list[str]]


def test_the_path_of_a_pydantic_error_is_that_of_the_value() -> None:
    result = Structured(Many).parse_text('{"rows": [1, {"x": 1}]}')
    assert isinstance(result, Invalid)
    assert result.path == "$.rows[1]"  # not the arm of the union that was tried there
    assert isinstance(Structured(Many | Num).parse_text('"x"'), Invalid)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (dt.datetime | dt.date, '{"value": "2026-01-02"}', dt.date(2026, 1, 2)),
        (dt.datetime | dt.date, '{"value": "2026-01-02T03:04:05"}', dt.datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - as it is written
        (decimal.Decimal, '{"value": 1.5}', decimal.Decimal("1.5")),
        (decimal.Decimal, '{"value": "1.5"}', decimal.Decimal("1.5")),
        (Literal["a"] | dt.date, '{"value": "a"}', "a"),
    ],
)
def test_values_are_converted(kind: Any, text: str, value: object) -> None:
    assert structure(text, kind) == value


OPTIONAL: Any = typing.Optional[Annotated[int, "how many"]]  # noqa: UP045 - what is tested


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (dt.datetime, '{"value": 5}', "expected a date and time (ISO 8601), got 5"),
        (dt.datetime | int, '{"value": "soon"}', "expected a date and time"),
        (decimal.Decimal, '{"value": []}', "expected a decimal number, got an array"),
        (decimal.Decimal, '{"value": "NaN"}', "expected a decimal number, got 'NaN'"),
        (int, f'{{"value": "{"x" * 200}"}}', "expected an integer, got 'xxxx"),
        (OPTIONAL, '{"value": "x"}', "expected an integer or null"),
        (Word | int, '{"value": []}', "expected Word or an integer"),
        (Many | int, '{"value": "x"}', "expected Many or an integer"),
    ],
)
def test_a_message_has_the_expected_and_the_actual_value(kind: Any, text: str, message: str) -> None:
    result = Structured(kind).parse_text(text)
    assert isinstance(result, Invalid)
    assert result.message.startswith(message), result.message
    assert len(result.message) < 150


def test_equal_options_of_a_union_are_listed_once() -> None:
    both: Any = int | UserId
    assert inside(both) == {"type": "integer"}
    assert structure('{"value": 1}', both) == 1


def test_a_recursion_error_becomes_invalid() -> None:
    deep: Any = 1
    for _ in range(10_000):
        deep = {"value": 1, "branches": [deep]}
    with pytest.raises(DecodeError, match="nested too deep"):
        Structured(Tree).load(deep)
    cut = answered("[" * 5_000, "incomplete")
    assert Structured(list[int]).parse_response(cut) == Incomplete("incomplete", UNSET)


def test_a_message_with_a_string_as_content_is_an_answer() -> None:
    short = response(status="completed", output=[{**message(""), "content": '{"number": 3}'}])
    assert parse_response(load(short, Response), Num) == Parsed(Num(3))


def test_events_without_text_change_nothing() -> None:
    follower = PartialOutput()
    assert [follower.push(load(event, StreamEvent)) for event in opening()] == [False, False]
    assert follower.value is UNSET


@given(st.integers(-(2**200), 2**200))
def test_integers_of_any_size_are_exact(number: int) -> None:
    text = json.dumps([number, {"n": number}])
    assert partial_json(text) == partial_json(text[:-1]) == [number, {"n": number}]
    value = structure(json.dumps([number]), list[int])
    assert value == [number]
    assert type(value[0]) is int


# ---- kept plans


def test_a_type_is_planned_once() -> None:
    types: list[Any] = [Num, list[Num], Annotated[list[int], "x"], int | str, list[int | str], Literal["a", "b"]]
    for of in types:
        assert structured_for(of) is structured_for(of)
    assert structured_for(list[Num]) is structured_for(list[Num])  # two objects


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Literal[1], Literal[True]),
        (Annotated[int, "a"], Annotated[int, "b"]),
        (list[int], list[str]),
        (tuple[int, ...], tuple[int]),
        (int | str, str | int),  # equal to Python
        (list[Literal[1, 2]], list[Literal[2, 1]]),
    ],
)
def test_types_that_differ_are_planned_apart(one: Any, other: Any) -> None:
    assert structured_for(one) is not structured_for(other)
    assert structured_for(one).schema == Structured[Any](one).schema
    assert structured_for(other).schema == Structured[Any](other).schema


def test_options_are_part_of_the_key() -> None:
    assert structured_for(Num, strict=False).strict is False
    assert structured_for(Num).strict is True
    assert structured_for(Num, name="other").name == "other"
    assert text_format(Num, strict=False).strict is False


def test_annotations_that_cannot_be_hashed_are_planned_too() -> None:
    of: Any = Annotated[int, {"not": "hashable"}]
    of_list: Any = list[of]
    assert structured_for(of) is structured_for(of)
    assert structured_for(of_list).structure("[1]") == [1]


def test_a_schema_that_a_caller_changes_is_not_the_kept_one() -> None:
    given: list[Any] = [json_schema(Num), text_format(Num).schema]
    for schema in given:
        schema["properties"].clear()
        assert json_schema(Num)["properties"]


def test_the_message_of_the_server_is_in_the_result() -> None:
    result = parse_response(answered("", "failed", error={"code": "server_error", "message": "GPU 7 fell over"}), int)
    assert isinstance(result, Incomplete)
    assert (result.reason, result.message) == ("server_error", "GPU 7 fell over")
    assert "GPU 7 fell over" in repr(result)
