"""Items: one class per wire type, for both directions."""

from __future__ import annotations

import json
import typing
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.support import NO_SHARED, shared

from responses_proto.models import items
from responses_proto.models.content import (
    Content,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    Refusal,
    SummaryText,
    Text,
    UnknownContent,
)
from responses_proto.models.items import ITEM_TYPES, Item, Message, Reasoning, UnknownItem
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from responses_proto.models._base import Model
    from responses_proto.typing import JSONObject

SPEC = shared("spec")
needs_spec = pytest.mark.skipif(not SPEC.is_dir(), reason=NO_SHARED)

BEYOND_THE_SPECIFICATION = {
    "x_search_call",  # xAI's own item, recorded
    "agent_message",  # these are of the multi-agent beta: see test_parity
    "multi_agent_call",
    "multi_agent_call_output",
}

# ---- the union and its registry


def test_registry_is_the_union_by_wire_string() -> None:
    assert set(ITEM_TYPES.values()) == set(typing.get_args(Item)) - {UnknownItem}
    assert all(cls.type == tag for tag, cls in ITEM_TYPES.items())


def test_the_union_is_open() -> None:
    assert typing.get_args(Item)[-1] is UnknownItem


@needs_spec
def test_every_item_of_openai_has_a_class() -> None:
    facts = json.loads((SPEC / "openai-sdk-3.54.types.json").read_text())
    received, sent = facts["received"], facts["sent"]
    tags: set[str] = set()
    for root in ("ResponseItem", "ResponseOutputItem", "ConversationItem"):
        tags |= _tags(received["roots"][root], received["$defs"])
    for root, field in (
        ("ResponseCreateParamsStreaming", "input"),
        ("ResponseCompactParams", "input"),
        ("InputTokenCountParams", "input"),
        ("ConversationItemCreateParams", "items"),
    ):
        tags |= _tags(sent["roots"][root]["properties"][field], sent["$defs"])
    assert set(ITEM_TYPES) - BEYOND_THE_SPECIFICATION == tags


@needs_spec
def test_every_item_of_open_responses_has_a_class() -> None:
    defs = json.loads((SPEC / "openresponses-2026-04-24.openapi.json").read_text())["components"]["schemas"]
    tags = _tags(defs["ItemParam"], defs) | _tags(defs["ItemField"], defs)
    assert "function_call" in tags
    assert tags <= set(ITEM_TYPES)


def _tags(schema: dict[str, Any], defs: dict[str, Any]) -> set[str]:
    """Collect the ``type`` constants of all objects in a union."""
    if "$ref" in schema:
        return _tags(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "properties" in schema:
        return _strings(schema["properties"].get("type", {}))
    arms = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    if "items" in schema:
        arms.append(schema["items"])
    return set[str]().union(*(_tags(arm, defs) for arm in arms))


def _strings(schema: dict[str, Any]) -> set[str]:
    found = {schema["const"]} if "const" in schema else set(schema.get("enum", ()))
    return found.union(*(_strings(arm) for arm in schema.get("anyOf", [])))


# ---- the classes


@pytest.mark.parametrize(
    ("cls", "required"),
    [
        (Message, {"role", "content"}),
        (Reasoning, {"summary"}),
        (items.FunctionCall, {"call_id", "name", "arguments"}),
        (items.FunctionCallOutput, {"output"}),
        (items.CustomToolCall, {"call_id", "name", "input"}),
        (items.ItemReference, {"id"}),
        (items.McpCall, {"id", "server_label", "name", "arguments"}),
        (items.WebSearchCall, {"id", "status"}),
        (items.ImageGenerationCall, {"id", "status"}),
        (items.CompactionTrigger, set[str]()),
    ],
)
def test_fields_are_required_where_every_specification_says_so(cls: type[Model], required: set[str]) -> None:
    assert {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING} == required


def test_only_messages_and_references_may_come_without_type() -> None:
    assert {tag for tag, cls in ITEM_TYPES.items() if "type" in cls.wire_optional} == {"message", "item_reference"}


def test_an_unknown_item_keeps_its_object() -> None:
    raw: JSONObject = {"type": "acme:trace", "spans": [1, 2]}
    assert UnknownItem(type="acme:trace", raw=raw).raw == raw


# ---- Message


def test_text_of_a_message_is_its_string() -> None:
    assert Message(role="user", content="Hello").text == "Hello"


def test_text_of_a_message_joins_all_text_parts_and_nothing_else() -> None:
    content: list[Content] = [
        InputText(text="a"),
        OutputText(text="b"),
        Refusal(refusal="no"),
        Text(text="c"),
        InputImage(image_url="https://example.org/cat.png"),
        ReasoningText(text="hm"),
        UnknownContent(type="hologram", raw={"text": "x"}),
    ]
    assert Message(role="user", content=content).text == "abc"


def test_text_of_an_empty_message_is_empty() -> None:
    assert Message(role="assistant", content=[]).text == ""


def test_parts_of_a_string_are_one_input_text() -> None:
    assert Message(role="user", content="Hello").parts == [InputText(text="Hello")]


def test_parts_of_a_list_are_that_list() -> None:
    message = Message(role="assistant", content=[OutputText(text="Hi")])
    assert message.parts is message.content


def test_a_message_has_no_status_by_default() -> None:
    assert Message(role="user", content="Hello").status is UNSET


# ---- Reasoning


def test_text_of_reasoning_is_the_reasoning_if_it_is_shown() -> None:
    reasoning = Reasoning(
        summary=[SummaryText(text="Short.")], content=[ReasoningText(text="Long"), ReasoningText(text="er.")]
    )
    assert reasoning.text == "Longer."


@pytest.mark.parametrize("content", [UNSET, None, []])
def test_text_of_reasoning_is_the_summary_otherwise(content: Any) -> None:
    reasoning = Reasoning(summary=[SummaryText(text="First."), SummaryText(text="Then.")], content=content)
    assert reasoning.text == "First.\n\nThen."


def test_text_of_encrypted_reasoning_is_empty() -> None:
    assert Reasoning(summary=[], encrypted_content="gAAA").text == ""
