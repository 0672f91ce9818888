"""Settings that requests and responses share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from responses_proto.codec import dump, load
from responses_proto.models.config import (
    AccessPrograms,
    BackgroundOptions,
    ContextManagement,
    ConversationReference,
    ImageConfig,
    JsonObjectFormat,
    JsonSchemaFormat,
    ModerationConfig,
    ModerationPolicy,
    ModerationRule,
    PlainTextFormat,
    Prompt,
    PromptCacheOptions,
    ReasoningConfig,
    StreamOptions,
    TextConfig,
    TextFormat,
)
from responses_proto.models.content import InputImage, InputText, UnknownContent, UnknownObject

if TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly
    from responses_proto.models._base import Model
    from responses_proto.typing import JSONObject

SAMPLES: list[Model] = [
    ReasoningConfig(effort="high", summary=None),
    TextConfig(format=JsonSchemaFormat(name="event", schema={"type": "object"}, strict=True), verbosity="low"),
    TextConfig(format=PlainTextFormat()),
    TextConfig(format=JsonObjectFormat()),
    ConversationReference(id="conv_1"),
    Prompt(id="pmpt_1", variables={"name": "Ada", "photo": InputImage(file_id="file_1"), "note": InputText(text="x")}),
    PromptCacheOptions(mode="explicit", ttl="30m"),
    StreamOptions(include_obfuscation=False),
    BackgroundOptions(completion_window="2h"),
    ContextManagement(type="compaction", compact_threshold=100_000),
    AccessPrograms(cyber="standard"),
    ImageConfig(context_compression="auto"),
    ModerationConfig(model="m", policy=ModerationPolicy(input=ModerationRule(mode="block"), output=None)),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_load_and_dump_are_inverse(sample: Model) -> None:
    anomalies: list[Anomaly] = []
    assert load(dump(sample), type(sample), anomalies=anomalies) == sample
    assert not anomalies


@pytest.mark.parametrize(
    ("wire", "cls"),
    [
        ({"type": "text"}, PlainTextFormat),
        ({"type": "json_object"}, JsonObjectFormat),
        ({"type": "json_schema", "name": "n", "schema": {}}, JsonSchemaFormat),
        ({"name": "n", "schema": {}}, JsonSchemaFormat),
        ({"type": "acme:xml"}, UnknownObject),
    ],
)
def test_a_text_format_is_selected_by_its_type_and_a_schema_also_without_one(
    wire: JSONObject, cls: type[Model]
) -> None:
    anomalies: list[Anomaly] = []
    text_format = load(wire, TextFormat, anomalies=anomalies)
    assert isinstance(text_format, cls)
    assert dump(text_format) == wire
    assert not anomalies


def test_variables_of_a_prompt_may_be_content_of_a_new_kind() -> None:
    wire: JSONObject = {"id": "pmpt_1", "variables": {"scent": {"type": "acme:smell"}}}
    prompt = load(wire, Prompt)
    assert prompt.variables
    assert isinstance(prompt.variables["scent"], UnknownContent)
    assert dump(prompt) == wire
