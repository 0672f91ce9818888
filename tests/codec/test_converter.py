"""Converters: modes, registration, and life with cattrs."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - cattrs reads annotations at run time
from typing import Any, ClassVar, Literal

import attrs
import pytest

from responses_proto.anomalies import Anomaly
from responses_proto.codec import (
    ORJSON,
    STDLIB,
    Converter,
    default_backend,
    default_converter,
    dump,
    dumps,
    load,
    loads,
    make_converter,
)
from responses_proto.exceptions import DecodeError, LimitExceeded, UsageError
from responses_proto.models import (
    Content,
    Event,
    FunctionCall,
    Item,
    Message,
    Model,
    OutputItemDone,
    OutputTextDelta,
    Response,
    Tool,
    UnknownEvent,
    UnknownItem,
)
from responses_proto.models._base import model
from responses_proto.typing import UNSET, Unset

WIRE_CALL: dict[str, Any] = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@model
class AcmeSearchCall(Model):
    type: ClassVar[Literal["acme:search_call"]] = "acme:search_call"
    id: str
    query: str | Unset = UNSET


@model
class AcmeProgress(Model):
    type: ClassVar[Literal["acme:progress"]] = "acme:progress"
    sequence_number: int
    percent: float


@model
class AcmeTool(Model):
    type: ClassVar[Literal["acme:search"]] = "acme:search"


@model
class AcmeContent(Model):
    type: ClassVar[Literal["acme:smell"]] = "acme:smell"
    strength: int


@model
class NamedCall(FunctionCall):
    nickname: str | Unset = UNSET


@model
class Untagged(Model):
    id: str


@model
class OtherMessage(Model):
    type: ClassVar[Literal["message"]] = "message"


SEARCH: dict[str, Any] = {"type": "acme:search_call", "id": "as_1", "query": "q", "more": 1}


# --- modes ------------------------------------------------------------------------------------------------------------


def test_lenient_is_the_default() -> None:
    anomalies: list[Anomaly] = []
    assert not make_converter().strict
    make_converter().load({**WIRE_CALL, "name": 7}, Item, anomalies=anomalies)
    assert [anomaly.path for anomaly in anomalies] == ["$.name"]
    with pytest.raises(DecodeError, match=r"\$\.name"):
        make_converter(strict=True).load({**WIRE_CALL, "name": 7}, Item)


def test_anomalies_are_added_to_what_is_there() -> None:
    anomalies = [Anomaly("late-data")]
    load({**WIRE_CALL, "name": 7}, Item, anomalies=anomalies)
    assert [anomaly.code for anomaly in anomalies] == ["late-data", "wrong-type"]


def test_the_json_library_can_be_chosen() -> None:
    assert make_converter(json=STDLIB).json is STDLIB
    assert make_converter().json is default_backend()
    assert make_converter(json=STDLIB).loads('{"model": "m"}', Response) == make_converter(json=ORJSON).loads(
        '{"model": "m"}', Response
    )


def test_the_functions_are_the_shared_converters() -> None:
    assert load(WIRE_CALL, Item) == default_converter().load(WIRE_CALL, Item)
    assert loads(dumps(load(WIRE_CALL, Item)), Item) == load(WIRE_CALL, Item)
    assert default_converter() is default_converter()
    assert default_converter(strict=True).strict


# --- registration -----------------------------------------------------------------------------------------------------


def test_a_registered_item_is_found_wherever_items_are() -> None:
    converter = make_converter()
    converter.register(AcmeSearchCall, Item)
    search = AcmeSearchCall(id="as_1", query="q", extra={"more": 1})
    assert converter.load(SEARCH, Item) == search
    event = converter.load(
        {"type": "response.output_item.done", "sequence_number": 1, "output_index": 0, "item": SEARCH}, Event
    )
    assert isinstance(event, OutputItemDone)
    assert event.item == search
    assert converter.load({"output": [SEARCH]}, Response).output == [search]
    assert converter.dump(search) == SEARCH


def test_registration_is_of_one_converter_only() -> None:
    converter = make_converter()
    converter.register(AcmeSearchCall, Item)
    assert isinstance(load(SEARCH, Item), UnknownItem)
    assert isinstance(make_converter().load(SEARCH, Item), UnknownItem)


def test_a_class_can_be_registered_after_loading() -> None:
    converter = make_converter()
    assert isinstance(converter.load({"output": [SEARCH]}, Response).output[0], UnknownItem)
    assert isinstance(converter.load(SEARCH, Item), UnknownItem)
    converter.register(AcmeSearchCall, Item)
    assert isinstance(converter.load({"output": [SEARCH]}, Response).output[0], AcmeSearchCall)
    assert isinstance(converter.load(SEARCH, Item), AcmeSearchCall)


@pytest.mark.parametrize(
    ("cls", "into", "payload"),
    [
        (AcmeProgress, Event, {"type": "acme:progress", "sequence_number": 3, "percent": 1}),
        (AcmeProgress, UnknownEvent, {"type": "acme:progress", "sequence_number": 3, "percent": 0.5}),
        (AcmeTool, Tool, {"type": "acme:search"}),
        (AcmeContent, Content, {"type": "acme:smell", "strength": 11}),
    ],
    ids=str,
)
def test_classes_can_be_registered_in_any_open_union(cls: type[Model], into: Any, payload: dict[str, Any]) -> None:
    converter = make_converter()
    converter.register(cls, into)
    union: Any = Event if into is UnknownEvent else into
    loaded = converter.load(payload, union)
    assert type(loaded) is cls
    assert converter.dump(loaded) == payload
    assert type(load(payload, union)) is not cls


def test_a_registered_class_is_checked_like_any_other() -> None:
    converter = make_converter(strict=True)
    converter.register(AcmeSearchCall, Item)
    with pytest.raises(DecodeError, match=r"required field missing @ \$\.output\[0\]\.id \(AcmeSearchCall"):
        converter.load({**response(), "output": [{"type": "acme:search_call"}]}, Response)


def response() -> dict[str, Any]:
    blank = load({}, Response)
    dumped: dict[str, Any] = dump(attrs.evolve(blank, id="resp_1", extra={}))
    return dumped


def test_a_subclass_can_replace_a_class() -> None:
    converter = make_converter()
    converter.register(NamedCall, Item)
    assert converter.load({**WIRE_CALL, "nickname": "n"}, Item) == NamedCall(
        call_id="c", name="f", arguments="{}", nickname="n"
    )


@pytest.mark.parametrize(
    ("cls", "into", "message"),
    [
        (Untagged, Item, "must be a model with a wire string"),
        (dict, Item, "must be a model with a wire string"),
        (UnknownItem, Item, "must be a model with a wire string"),
        (AcmeSearchCall, Message, "not an open union"),
        (AcmeSearchCall, Message | FunctionCall, "not an open union"),
        (AcmeSearchCall, 7, "not an open union"),
        (OtherMessage, Item, "must be a subclass"),
    ],
    ids=str,
)
def test_a_class_that_cannot_be_registered_is_a_usage_error(cls: Any, into: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_converter().register(cls, into)


def test_the_shared_converters_cannot_be_changed() -> None:
    for converter in (default_converter(), default_converter(strict=True)):
        with pytest.raises(UsageError, match="make_converter"):
            converter.register(AcmeSearchCall, Item)


# --- loops ------------------------------------------------------------------------------------------------------------


def test_a_loader_function_collects_findings() -> None:
    found: list[Any] = []
    call = make_converter().loader(Item)({**WIRE_CALL, "name": 7}, found)
    assert isinstance(call, FunctionCall)
    assert [(finding.code, finding.path) for finding in found] == [("wrong-type", ".name")]


def test_loader_functions_by_tag() -> None:
    converter = make_converter()
    converter.register(AcmeProgress, Event)
    table = converter.loaders(Event)
    payload = {"type": "response.output_text.delta"}
    assert isinstance(table["response.output_text.delta"](payload, []), OutputTextDelta)
    assert isinstance(table["acme:progress"]({"type": "acme:progress"}, []), AcmeProgress)
    assert "acme:other" not in table


# --- cattrs -----------------------------------------------------------------------------------------------------------


@attrs.define
class Turn:
    """A class of a user's own."""

    user: str
    response: Response
    items: list[Item]
    last: Item | None = None
    call: FunctionCall | None = None
    events: Sequence[Event] = ()
    by_name: dict[str, Tool] = attrs.field(factory=dict[str, Tool])


TURN: dict[str, Any] = {
    "user": "u",
    "response": {"id": "resp_1", "output": [SEARCH]},
    "items": [WIRE_CALL, {"role": "user", "content": "Hi"}, SEARCH],
    "last": WIRE_CALL,
    "call": None,
    "events": [{"type": "keepalive"}],
    "by_name": {"s": {"type": "acme:search"}},
}


def test_a_users_class_that_contains_models_is_structured_and_unstructured() -> None:
    converter = make_converter()
    turn = converter.structure(TURN, Turn)
    assert isinstance(turn.response, Response)
    assert [type(item) for item in turn.items] == [FunctionCall, Message, UnknownItem]
    assert isinstance(turn.last, FunctionCall)
    assert turn.call is None
    assert converter.unstructure(turn) == {**TURN, "events": converter.unstructure(turn)["events"]}
    assert list(converter.unstructure(turn)["events"]) == TURN["events"]


def test_structure_of_models_and_unions_is_load() -> None:
    converter: Converter = make_converter()
    assert converter.structure(WIRE_CALL, FunctionCall) == load(WIRE_CALL, FunctionCall)
    assert converter.structure(WIRE_CALL, Item) == load(WIRE_CALL, Item)  # type: ignore[arg-type,unused-ignore] # cattrs has no word for unions
    assert converter.unstructure(load(SEARCH, Item)) == SEARCH


def test_structure_knows_registered_classes() -> None:
    converter = make_converter()
    converter.register(AcmeSearchCall, Item)
    assert isinstance(converter.structure(TURN, Turn).items[2], AcmeSearchCall)


def test_structure_is_strict_if_the_converter_is() -> None:
    with pytest.raises(Exception, match="structuring") as caught:
        make_converter(strict=True).structure({**TURN, "last": {**WIRE_CALL, "name": 7}}, Turn)
    assert "DecodeError" in repr(caught.value.exceptions)  # type: ignore[attr-defined,unused-ignore] # cattrs raises a group


# --- what cannot be loaded --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name"),
    [(FunctionCall, "FunctionCall"), (Item, "Item"), (list[Item], "list["), (int | None, "int | None")],
)
def test_a_value_of_another_json_kind_is_an_error_with_the_expected_type(target: Any, name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        load("text", target)
    assert caught.value.type_name.startswith(name)
    assert caught.value.excerpt == "'text'"


def test_a_value_nested_too_deep_is_a_limit() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = {"type": "and", "filters": [deep]}
    with pytest.raises(LimitExceeded) as caught:
        load({"type": "file_search", "filters": deep}, Tool)
    assert caught.value.limit == "max_nesting"
