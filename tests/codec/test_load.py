"""Loading: which class, what is kept, what is found, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest

from responses_proto.codec import dump, load, loads, make_converter
from responses_proto.exceptions import DecodeError, LimitExceeded
from responses_proto.models import (
    AndFilter,
    ComparisonFilter,
    CreateResponse,
    Event,
    Extra,
    FileSearchTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputText,
    Item,
    ItemReference,
    McpTool,
    Message,
    Model,
    OutputItemAdded,
    OutputText,
    OutputTextDelta,
    Reasoning,
    Response,
    Tool,
    UnknownContent,
    UnknownEvent,
    UnknownItem,
    UnknownTool,
    Usage,
)
from responses_proto.models._base import EMPTY, model
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly

STRICT = make_converter(strict=True)

DELTA: dict[str, Any] = {
    "type": "response.output_text.delta",
    "sequence_number": 4,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "Hi",
    "logprobs": [],
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}


def findings(payload: Any, cls: Any) -> list[tuple[str, str]]:
    anomalies: list[Anomaly] = []
    load(payload, cls, anomalies=anomalies)
    return [(anomaly.code, anomaly.path) for anomaly in anomalies]


# --- which class ------------------------------------------------------------------------------------------------------


def test_the_tag_selects_the_class() -> None:
    assert isinstance(load(DELTA, Event), OutputTextDelta)
    assert isinstance(load({"type": "reasoning", "id": "rs_1", "summary": []}, Item), Reasoning)
    assert isinstance(load({"type": "function", "name": "f", "parameters": {}, "strict": True}, Tool), FunctionTool)


@pytest.mark.parametrize(
    ("union", "unknown"),
    [(Event, UnknownEvent), (Item, UnknownItem), (Tool, UnknownTool)],
    ids=["event", "item", "tool"],
)
def test_an_object_with_an_unknown_tag_is_kept(union: Any, unknown: type[UnknownItem]) -> None:
    payload: dict[str, Any] = {"type": "acme:thing", "deep": {"list": [1, 1.5, None]}}
    loaded = load(payload, union)
    assert type(loaded) is unknown
    assert (loaded.type, loaded.raw) == ("acme:thing", payload)
    assert dump(loaded) == payload


def test_an_unknown_tag_is_no_finding() -> None:
    assert findings({"type": "acme:thing"}, Item) == []
    assert STRICT.load({"type": "acme:thing"}, Item) == UnknownItem(type="acme:thing", raw={"type": "acme:thing"})


@pytest.mark.parametrize("tag", [None, 7, [], {}, ""], ids=repr)
def test_a_tag_that_is_not_a_string_is_unknown(tag: Any) -> None:
    loaded = load({"type": tag}, Event)
    assert loaded == UnknownEvent(type="", raw={"type": tag})


def test_an_object_without_a_tag_is_the_class_that_may_omit_it() -> None:
    message = load({"role": "user", "content": "Hi"}, Item)
    assert message == load({"role": "user", "content": "Hi"}, Message)
    assert isinstance(message, Message)
    assert isinstance(load({"id": "msg_1"}, Item), ItemReference)
    assert isinstance(load({"nothing": "known"}, Item), UnknownItem)
    assert dump(message) == {"role": "user", "content": "Hi"}


def test_a_union_of_a_string_and_models_goes_by_kind() -> None:
    assert load({"model": "m", "input": "Hi"}, CreateResponse).input == "Hi"
    listed = load({"model": "m", "input": [{"type": "message", "role": "user", "content": "Hi"}]}, CreateResponse).input
    assert isinstance(listed, list)
    assert isinstance(listed[0], Message)
    assert load({"model": "m", "tool_choice": "auto"}, CreateResponse).tool_choice == "auto"


def test_objects_inside_objects() -> None:
    response = load(RESPONSE, Response)
    message = response.output[0]
    assert isinstance(message, Message)
    assert isinstance(message.content, list)
    assert isinstance(message.content[0], OutputText)
    assert response.output_text == "Hi"


def test_lists_and_maps_of_models() -> None:
    assert load([DELTA, DELTA], list[Event]) == [load(DELTA, Event)] * 2
    assert load({"a": DELTA}, dict[str, Event]) == {"a": load(DELTA, Event)}
    assert findings([DELTA, {**DELTA, "delta": 7}], list[Event]) == [("wrong-type", "$[1].delta")]
    assert findings({"a": {**DELTA, "delta": 7}}, dict[str, Event]) == [("wrong-type", "$.a.delta")]


def test_an_open_enumeration_takes_any_string() -> None:
    assert load({**RESPONSE, "status": "resting"}, Response).status == "resting"
    assert findings({**RESPONSE, "status": "resting"}, Response) == []


# --- absent, null, beyond ---------------------------------------------------------------------------------------------


def test_absent_is_unset_and_null_is_none() -> None:
    assert load(RESPONSE, Response).error is UNSET
    assert load({**RESPONSE, "error": None}, Response).error is None


def test_without_unknown_fields_extra_is_the_shared_empty_one() -> None:
    assert load(DELTA, Event).extra is EMPTY


def test_unknown_fields_are_kept() -> None:
    event = load({**DELTA, "model": "m", "x": [1]}, Event)
    assert isinstance(event, OutputTextDelta)
    assert event.extra == {"model": "m", "x": [1]}
    assert event.delta == "Hi"


def test_the_payload_is_not_changed() -> None:
    payload = {**DELTA, "delta": 7, "x": [{"y": 1}]}
    before = repr(payload)
    dump(load(payload, Event))
    assert repr(payload) == before


def test_numbers_keep_their_kind() -> None:
    request = load({"temperature": 1, "top_p": 1.0}, CreateResponse)
    assert (type(request.temperature), type(request.top_p)) == (int, float)
    assert findings({"temperature": True}, CreateResponse) == [("wrong-type", "$.temperature")]
    assert findings({"max_output_tokens": 1.0}, CreateResponse) == [("wrong-type", "$.max_output_tokens")]
    assert findings({"max_output_tokens": True}, CreateResponse) == [("wrong-type", "$.max_output_tokens")]
    assert findings({"store": 1}, CreateResponse) == [("wrong-type", "$.store")]


def test_a_wrong_constant_is_kept() -> None:
    payload = {**RESPONSE, "object": "chat.completion"}
    response = load(payload, Response)
    assert response.object == "response"
    assert response.extra == {"object": "chat.completion"}
    assert dump(response) == payload
    assert findings(payload, Response) == [("wrong-constant", "$.object")]
    with pytest.raises(DecodeError, match=r"wrong constant @ \$\.object"):
        STRICT.load(payload, Response)


def test_a_requested_class_is_used_with_any_tag() -> None:
    loaded = load({"type": "reasoning", "call_id": "c", "name": "f", "arguments": ""}, FunctionCall)
    assert type(loaded) is FunctionCall
    assert loaded.extra == {"type": "reasoning"}


# --- findings ---------------------------------------------------------------------------------------------------------


def test_paths_lead_through_lists_and_objects() -> None:
    payload = {
        **RESPONSE,
        "output": [
            RESPONSE["output"][0],
            {
                "type": "message",
                "id": 7,
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": None}],
            },
        ],
    }
    assert sorted(findings(payload, Response)) == [
        ("wrong-type", "$.output[1].content[0].text"),
        ("wrong-type", "$.output[1].id"),
    ]
    assert dump(load(payload, Response)) == payload


def test_a_wrong_element_of_an_open_list_is_kept_in_its_place() -> None:
    payload = {**RESPONSE, "output": [None, RESPONSE["output"][0], "text", [7]]}
    response = load(payload, Response)
    assert [type(item).__name__ for item in response.output] == ["UnknownItem", "Message", "UnknownItem", "UnknownItem"]
    assert findings(payload, Response) == [("not-an-object", f"$.output[{index}]") for index in (0, 2, 3)]
    assert dump(response) == payload


def test_a_closed_list_with_a_wrong_element_is_kept_raw() -> None:
    payload: dict[str, Any] = {
        **DELTA,
        "logprobs": [{"token": "a", "logprob": -1.0, "bytes": [], "top_logprobs": []}, 7],
    }
    event = load(payload, Event)
    assert isinstance(event, OutputTextDelta)
    assert event.extra == {"logprobs": payload["logprobs"]}
    assert findings(payload, Event) == [("wrong-type", "$.logprobs")]
    assert dump(event) == payload


def test_a_missing_model_is_neutral() -> None:
    event = load({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0}, Event)
    assert isinstance(event, OutputItemAdded)
    assert event.item == UnknownItem()
    assert dump(event) == {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0}


def test_an_empty_object_is_loaded_as_a_response() -> None:
    response = load({}, Response)
    assert (response.id, response.output, response.output_text) == ("", [], "")
    assert dump(response) == {}
    assert isinstance(response.extra, Extra)
    assert {"id", "object", "output"} <= response.extra.absent


def test_a_value_that_is_not_an_object_is_an_error_in_both_modes() -> None:
    for converter in (STRICT, make_converter()):
        wrong: list[Any] = [7, "text", None, [], True]
        for value in wrong:
            with pytest.raises(DecodeError) as caught:
                converter.load(value, Response)
            assert (caught.value.path, caught.value.type_name, caught.value.excerpt) == ("$", "Response", repr(value))
            with pytest.raises(DecodeError):
                converter.load(value, Event)


def test_strict_raises_the_first_finding() -> None:
    with pytest.raises(DecodeError) as caught:
        STRICT.load({**RESPONSE, "usage": {"input_tokens": "many"}}, Response)
    error = caught.value
    assert error.path.startswith("$.usage.")
    assert error.type_name == Usage.__name__


def test_the_excerpt_is_short() -> None:
    with pytest.raises(DecodeError) as caught:
        STRICT.load({**DELTA, "delta": ["x" * 10_000]}, Event)
    assert len(caught.value.excerpt) < 100


def test_a_secret_of_a_wrong_type_is_kept_but_not_shown() -> None:
    payload: dict[str, Any] = {
        "type": "mcp",
        "server_label": "s",
        "authorization": ["sk-1"],
        "headers": {"a": ["sk-2"]},
    }
    anomalies: list[Anomaly] = []
    tool = load(payload, Tool, anomalies=anomalies)
    assert isinstance(tool, McpTool)
    assert "sk-" not in repr(tool)
    assert "sk-" not in repr(anomalies)
    assert {anomaly.path for anomaly in anomalies} == {"$.authorization", "$.headers"}
    with pytest.raises(DecodeError) as caught:
        STRICT.load(payload, Tool)
    assert "sk-" not in f"{caught.value} {caught.value.excerpt}"
    assert dump(tool) == payload


# --- depth ------------------------------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "eq", "key": "k", "value": 1}
    for _ in range(depth):
        inner = {"type": "and", "filters": [inner]}
    return {"type": "file_search", "vector_store_ids": [], "filters": inner}


def test_a_class_may_contain_itself() -> None:
    tool = load(nested(2), FileSearchTool)
    assert isinstance(tool.filters, AndFilter)
    assert isinstance(tool.filters.filters[0], AndFilter)
    assert isinstance(tool.filters.filters[0].filters[0], ComparisonFilter)


def test_nesting_within_the_limit_is_loaded_and_dumped() -> None:
    text = make_converter().json.dumps(nested(120))
    assert dump(loads(text, FileSearchTool)) == nested(120)


def test_nesting_beyond_the_limit_is_a_limit() -> None:
    with pytest.raises(LimitExceeded):
        load(nested(5_000), FileSearchTool)


@model
class Node(Model):
    name: str
    children: list[Node]


def test_an_error_at_every_level_is_decoded_once_at_every_level() -> None:
    node: dict[str, Any] = {"name": 7, "children": []}
    for _ in range(60):  # twice at each level would be 2**60 times
        node = {"name": 7, "children": [node]}
    found = findings(node, Node)
    assert len(found) == 61
    assert ("wrong-type", "$" + ".children[0]" * 60 + ".name") in found
    assert dump(load(node, Node)) == node


def test_contents_of_every_message_are_open() -> None:
    message = load(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "smell"}]},
        Message,
    )
    assert isinstance(message.content, list)
    assert [type(content) for content in message.content] == [InputText, UnknownContent]


def test_an_output_may_be_text_or_contents() -> None:
    output = load(
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]}, Item
    )
    assert isinstance(output, FunctionCallOutput)
    assert output.output == [InputText(text="a")]


def test_unknown_classes_take_any_object_by_themselves() -> None:
    assert load({"type": "acme:x", "n": 1}, UnknownItem) == UnknownItem(type="acme:x", raw={"type": "acme:x", "n": 1})


def test_a_value_of_any_type_is_loaded_unchanged() -> None:
    assert load([1, "a", None], list[Any]) == [1, "a", None]
    assert load({"a": [1]}, dict[str, Any]) == {"a": [1]}
    value: Any = load({"a": 1}, Any)
    assert value == {"a": 1}


def test_a_registered_class_is_loaded_by_its_tag() -> None:
    @model
    class AcmeNote(Model):
        type: ClassVar[Literal["acme:note"]] = "acme:note"
        text: str

    converter = make_converter()
    assert isinstance(converter.load({"type": "acme:note", "text": "x"}, Item), UnknownItem)
    converter.register(AcmeNote, Item)
    assert converter.load({"type": "acme:note", "text": "x"}, Item) == AcmeNote(text="x")
    assert set(converter.loaders(Item)) > {"acme:note", "message"}


@model
class Bare(Model):
    x: int


@model
class Barer(Model):
    y: int


def test_a_union_of_two_classes_without_tags_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"one class without a wire string, got \['Bare', 'Barer'\]"):
        load({"x": 1}, Bare | Barer)


@pytest.mark.parametrize(
    ("payload", "code", "detail"),
    [
        ({"type": "message"}, "missing-field", "Message requires it"),
        ({"type": "note", "role": "user", "content": ""}, "wrong-constant", "Message does not have 'note' here"),
        ({"type": "message", "role": 5, "content": ""}, "wrong-type", "5"),
    ],
)
def test_a_finding_describes_the_deviation(payload: dict[str, Any], code: str, detail: str) -> None:
    anomalies: list[Anomaly] = []
    load(payload, Message, anomalies=anomalies)
    assert anomalies[0].code == code
    assert detail in anomalies[0].detail
