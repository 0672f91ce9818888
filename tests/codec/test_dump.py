"""Dumping: plain JSON out of models, raw wire values and mixtures of both, or an error that says where."""

from __future__ import annotations

import collections
import enum
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from responses_proto.codec import ORJSON, STDLIB, dump, dumps, load, make_converter
from responses_proto.exceptions import EncodeError
from responses_proto.models import (
    CreateResponse,
    Extra,
    FunctionCall,
    FunctionTool,
    InputImage,
    InputText,
    Item,
    Message,
    OutputTextDelta,
    UnknownItem,
)
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL = FunctionCall(call_id="c", name="f", arguments="{}")
WIRE_CALL: dict[str, Any] = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


class Color(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


class Half(float):
    pass


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_constants_are_written_and_unset_is_not() -> None:
    assert dump(CALL) == WIRE_CALL


def test_null_is_written() -> None:
    assert dump(CreateResponse(model="m", instructions=None)) == {"model": "m", "instructions": None}


def test_an_optional_constant_is_dumped_unless_the_server_omitted_it() -> None:
    assert dump(Message(role="user", content="Hi"))["type"] == "message"
    assert "type" not in dump(load({"role": "user", "content": "Hi"}, Message))


def test_an_unknown_object_is_dumped_unchanged() -> None:
    raw: dict[str, Any] = {"type": "acme:x", "n": 1.0}
    assert dump(UnknownItem(type="acme:x", raw=raw)) == raw


def test_extra_is_written_beside_the_fields() -> None:
    beside: dict[str, Any] = {"x": [CALL]}
    assert dump(attrs.evolve(CALL, extra=beside)) == {**WIRE_CALL, "x": [WIRE_CALL]}


def test_raw_wire_values_are_accepted_wherever_models_are() -> None:
    request = CreateResponse(model="m", input=[WIRE_CALL, CALL], tools=[{"type": "acme:t"}])  # type: ignore[list-item] # raw, on purpose
    assert dump(request) == {"model": "m", "input": [WIRE_CALL, WIRE_CALL], "tools": [{"type": "acme:t"}]}


def test_lists_and_dicts_of_models() -> None:
    assert dump([CALL, {"a": CALL}, (CALL,)]) == [WIRE_CALL, {"a": WIRE_CALL}, [WIRE_CALL]]


KINDS: list[tuple[Any, Any]] = [
    (Color.RED, "red"),
    (Size.BIG, 3),
    (Half(0.5), 0.5),
    (MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.deque([1]), [1]),
    (range(2), [0, 1]),
    ({Color.RED: 1}, {"red": 1}),
    (Extra({"a": 1}), {"a": 1}),
    (True, True),
    (2**80, 2**80),
]


@pytest.mark.parametrize(("value", "plain"), KINDS, ids=repr)
def test_subclasses_of_json_types_become_plain_json(value: Any, plain: Any) -> None:
    assert_plain(dumped := dump(value))
    assert dumped == plain
    assert dump(FunctionTool(name="f", parameters={"p": value}, strict=True))["parameters"] == {"p": plain}


def kind(value: object) -> type[Any]:
    """As ``type``, which for a type checker says something of the elements too: that they are unknown."""
    return type(value)


def assert_plain(value: Any) -> None:
    assert type(value) in (dict, list, str, int, float, bool, type(None))
    if kind(value) is dict:
        assert all(type(key) is str for key in value)
    for element in value.values() if kind(value) is dict else value if kind(value) is list else ():
        assert_plain(element)


def test_an_enumeration_of_the_user_is_dumped() -> None:
    dumped = dump(InputImage(detail=Color.RED))
    assert type(dumped["detail"]) is str


def test_the_result_belongs_to_the_caller() -> None:
    parameters: dict[str, Any] = {"properties": {}}
    tool = FunctionTool(name="f", parameters=parameters, strict=True)
    dump(tool)["parameters"]["properties"]["x"] = 1
    assert parameters == {"properties": {}}


@pytest.mark.parametrize(
    "backend", [backend for backend in (STDLIB, ORJSON) if backend], ids=lambda backend: backend.name
)
def test_text_has_no_spaces_and_is_utf8(backend: Any) -> None:
    text = make_converter(json=backend).dumps(InputText(text="é"))
    assert text == '{"type":"input_text","text":"é"}'.encode()


def test_the_shared_verbs_write_text() -> None:
    assert dumps(InputText(text="a")) == b'{"type":"input_text","text":"a"}'


# --- what cannot be written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"^nan is not JSON @ \$$"),
        ([0, {"a": math.inf}], r"^inf is not JSON @ \$\[1\]\.a$"),
        (CreateResponse(temperature=-math.inf), r"^-inf is not JSON @ \$\.temperature$"),
        (CreateResponse(metadata={"a": b"x"}), r"^bytes is not a JSON type @ \$\.metadata\.a$"),  # type: ignore[dict-item] # wrong, on purpose
        ([bytearray(b"x")], r"^bytearray is not a JSON type @ \$\[0\]$"),
        (CreateResponse(input=[CALL, {1, 2}]), r"^set is not a JSON type @ \$\.input\[1\]$"),  # type: ignore[list-item] # as above
        ({"a": [{3: 4}]}, r"got int @ \$\.a\[0\]$"),
        ({"a": UNSET}, r"^UNSET means absent.* @ \$\.a$"),
        (FunctionCall(call_id=UNSET, name="f", arguments=""), r"^UNSET means absent.* @ \$\.call_id$"),  # type: ignore[arg-type] # as above
        (UnknownItem(raw={"x": object()}), r"^object is not a JSON type @ \$\.x$"),  # type: ignore[dict-item] # as above
        (attrs.evolve(CALL, extra={"x": {"y": math.nan}}), r"^nan is not JSON @ \$\.x\.y$"),
        (OutputTextDelta, r"^type is not a JSON type @ \$$"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_value_that_is_not_json_is_reported_with_its_path(value: Any, message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        dump(value)
    with pytest.raises(EncodeError, match=message):
        dumps(value)


def test_a_list_that_contains_itself_is_reported_with_its_path() -> None:
    content: list[Any] = [InputText(text="a"), {}]
    content[1]["again"] = content
    with pytest.raises(EncodeError, match=r"^contains itself @ \$\.input\[0\]\.content\[1\]\.again$"):
        dump(CreateResponse(input=[Message(role="user", content=content)]))


def test_a_model_that_contains_itself_is_reported_with_its_path() -> None:
    extra: dict[str, Any] = {}
    call = attrs.evolve(CALL, extra=extra)
    extra["x"] = [call]
    with pytest.raises(EncodeError, match=r"^contains itself @ \$\.a\.x\[0\]$"):
        dump({"a": call})


def test_the_same_object_twice_is_not_a_cycle() -> None:
    shared: list[Any] = []
    deep: Any = [shared, shared]
    for _ in range(3_000):
        deep = [deep]
    with pytest.raises(EncodeError, match=r"^nested too deep$"):
        dump(deep)
    assert dump([shared, shared]) == [[], []]


# --- what extra remembers ---------------------------------------------------------------------------------------------


def test_a_mismatch_is_dumped_until_its_attribute_is_set() -> None:
    payload: dict[str, Any] = {**WIRE_CALL, "name": 7, "x": 1}
    call = load(payload, FunctionCall)
    assert dump(call) == payload
    assert dump(attrs.evolve(call, call_id="d")) == {**payload, "call_id": "d"}
    assert dump(attrs.evolve(call, name="g")) == {**payload, "name": "g"}


def test_an_absent_field_is_omitted_until_its_attribute_is_set() -> None:
    payload = {key: value for key, value in WIRE_CALL.items() if key != "arguments"}
    call = load(payload, FunctionCall)
    assert dump(call) == payload
    assert dump(attrs.evolve(call, arguments="{}")) == WIRE_CALL


def test_assignment_takes_precedence_over_extra() -> None:
    call = load({"type": "function_call", "name": None, "arguments": ""}, FunctionCall)
    call.name = "g"  # type: ignore[misc] # frozen for the type checker only
    call.call_id = "c"  # type: ignore[misc] # as above
    assert dump(call) == {"type": "function_call", "call_id": "c", "name": "g", "arguments": ""}


def test_a_list_that_was_absent_is_written_once_it_is_filled() -> None:
    message = load({"type": "message", "role": "user"}, Message)
    assert dump(message) == {"type": "message", "role": "user"}
    filled = attrs.evolve(message, content=[InputText(text="a")])
    assert dump(filled)["content"] == [{"type": "input_text", "text": "a"}]


def test_an_item_of_a_response_goes_into_a_request_unchanged() -> None:
    wire: list[Mapping[str, Any]] = [
        {**WIRE_CALL, "id": "fc_1", "status": "completed", "provider": {"x": 1}},
        {"type": "acme:x"},
    ]
    items = [load(item, Item) for item in wire]
    assert dump(CreateResponse(input=items))["input"] == wire


def test_a_cycle_inside_an_unknown_object_is_found() -> None:
    raw: dict[str, Any] = {"type": "acme:x", "steps": ("a", 1)}
    raw["itself"] = [UnknownItem(type="acme:y", raw="no object"), raw]
    with pytest.raises(EncodeError, match=r"contains itself @ \$\[0\]\.itself\[1\]"):
        dump([UnknownItem(type="acme:x", raw=raw)])
