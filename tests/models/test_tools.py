"""Tools and the choice among them."""

from __future__ import annotations

import inspect
import json
import typing
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, load
from responses_proto.models.content import UnknownObject
from responses_proto.models.tools import (
    TOOL_TYPES,
    AndFilter,
    ApplyPatchTool,
    CodeInterpreterContainer,
    CodeInterpreterTool,
    ComparisonFilter,
    ComputerTool,
    ComputerUsePreviewTool,
    ContainerAuto,
    ContainerReference,
    CustomTool,
    CustomToolGrammarFormat,
    CustomToolTextFormat,
    DomainSecret,
    FileSearchFilter,
    FileSearchTool,
    FunctionTool,
    HybridSearch,
    ImageGenerationTool,
    InlineSkill,
    InlineSkillSource,
    InputImageMask,
    LocalEnvironment,
    LocalShellTool,
    LocalSkill,
    McpApprovalFilter,
    McpTool,
    McpToolFilter,
    NamespaceTool,
    NetworkPolicyAllowlist,
    NetworkPolicyDisabled,
    OrFilter,
    ProgrammaticToolCallingTool,
    RankingOptions,
    ShellTool,
    SkillReference,
    SvgConfig,
    SvgReasoning,
    Tool,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceHosted,
    ToolChoiceMcp,
    ToolSearchTool,
    UnknownTool,
    UserLocation,
    WebSearchFilters,
    WebSearchPreviewTool,
    WebSearchPreviewTool20250311,
    WebSearchTool,
    WebSearchTool20250826,
)
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from responses_proto.anomalies import Anomaly
    from responses_proto.models._base import Model
    from responses_proto.typing import JSONObject, JSONValue

SPEC = shared("spec")
needs_spec = pytest.mark.skipif(not SPEC.is_dir(), reason=NO_SHARED)

SCHEMA: JSONObject = {"type": "object", "properties": {"sides": {"type": "integer"}}}

SAMPLES: list[Tool] = [
    FunctionTool(name="roll", parameters=SCHEMA, strict=True, async_=True, allowed_callers=["direct"]),
    CustomTool(name="sql", format=CustomToolGrammarFormat(definition="start: /.*/", syntax="lark")),
    McpTool(
        server_label="docs", server_url="https://mcp.example.org", allowed_tools=["search"], require_approval="never"
    ),
    WebSearchTool(
        user_location=UserLocation(city="Vienna", country="AT"),
        filters=WebSearchFilters(allowed_domains=["example.org"]),
    ),
    WebSearchTool20250826(search_context_size="low", external_web_access=False),
    WebSearchPreviewTool(search_content_types=["text"]),
    WebSearchPreviewTool20250311(),
    FileSearchTool(
        vector_store_ids=["vs_1"],
        filters=AndFilter(
            filters=[
                ComparisonFilter(type="gte", key="year", value=2020),
                OrFilter(filters=[ComparisonFilter(type="in", key="lang", value=["en", "de"])]),
            ]
        ),
        ranking_options=RankingOptions(hybrid_search=HybridSearch(embedding_weight=1, text_weight=0.5)),
    ),
    CodeInterpreterTool(
        container=CodeInterpreterContainer(
            memory_limit="4g",
            network_policy=NetworkPolicyAllowlist(
                allowed_domains=["example.org"],
                domain_secrets=[DomainSecret(domain="example.org", name="KEY", value="hunter2")],
            ),
        )
    ),
    ShellTool(
        environment=ContainerAuto(
            network_policy=NetworkPolicyDisabled(),
            skills=[
                SkillReference(skill_id="skill_1", version="latest"),
                InlineSkill(name="csv", description="Reads CSV.", source=InlineSkillSource(data="UEsDBA==")),
            ],
        )
    ),
    LocalShellTool(),
    ApplyPatchTool(),
    ComputerTool(),
    ComputerUsePreviewTool(display_width=1024, display_height=768, environment="linux"),
    ImageGenerationTool(
        input_image_mask=InputImageMask(file_id="file_1"), svg=SvgConfig(reasoning=SvgReasoning(effort="low"))
    ),
    NamespaceTool(name="dice", description="Dice.", tools=[FunctionTool(name="roll"), CustomTool(name="cheat")]),
    ToolSearchTool(execution="client", parameters=SCHEMA),
    ProgrammaticToolCallingTool(),
    UnknownTool(type="acme:oven", raw={"type": "acme:oven", "degrees": 180}),
]

CHOICES: dict[str, tuple[ToolChoice, JSONValue]] = {
    "mode": ("required", "required"),
    "new mode": ("sometimes", "sometimes"),
    "function": (ToolChoiceFunction(name="roll"), {"type": "function", "name": "roll"}),
    "custom": (ToolChoiceCustom(name="sql"), {"type": "custom", "name": "sql"}),
    "mcp": (ToolChoiceMcp(server_label="docs"), {"type": "mcp", "server_label": "docs"}),
    "hosted": (ToolChoiceHosted(type="web_search_preview"), {"type": "web_search_preview"}),
    "new hosted": (ToolChoiceHosted(type="acme:oven"), {"type": "acme:oven"}),
    "allowed": (
        ToolChoiceAllowed(mode="auto", tools=[ToolChoiceFunction(name="roll"), ToolChoiceHosted(type="shell")]),
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "roll"}, {"type": "shell"}]},
    ),
}


# ---- the registry


def test_registry_and_union_are_the_same_classes() -> None:
    assert set(TOOL_TYPES.values()) == set(typing.get_args(Tool)) - {UnknownTool}


def test_registry_keys_are_the_wire_strings_of_the_classes() -> None:
    for tag, cls in TOOL_TYPES.items():
        assert inspect.getattr_static(cls, "type") == tag


def test_the_union_is_open() -> None:
    assert typing.get_args(Tool)[-1] is UnknownTool


def test_every_class_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(typing.get_args(Tool))


@needs_spec
@pytest.mark.parametrize("side", ["received", "sent"])
def test_every_tool_of_openai_has_a_class(side: str) -> None:
    facts = json.loads((SPEC / "openai-sdk-3.54.types.json").read_text())[side]
    root = {"received": "Response", "sent": "ResponseCreateParamsStreaming"}[side]
    assert _tags(facts["roots"][root]["properties"]["tools"], facts["$defs"]) == set(TOOL_TYPES)


@needs_spec
def test_every_tool_of_open_responses_has_a_class() -> None:
    defs = json.loads((SPEC / "openresponses-2026-04-24.openapi.json").read_text())["components"]["schemas"]
    assert _tags(defs["Tool"], defs) | _tags(defs["ResponsesToolParam"], defs) == {"function"}


@needs_spec
def test_every_choice_of_openai_is_a_class_or_a_named_hosted_tool() -> None:
    facts = json.loads((SPEC / "openai-sdk-3.54.types.json").read_text())["received"]
    classes = {ToolChoiceFunction.type, ToolChoiceCustom.type, ToolChoiceMcp.type, ToolChoiceAllowed.type}
    hosted = inspect.get_annotations(ToolChoiceHosted, eval_str=True)["type"]
    named = set(typing.get_args(typing.get_args(hosted)[0]))
    assert _tags(facts["roots"]["Response"]["properties"]["tool_choice"], facts["$defs"]) == classes | named


def _tags(schema: dict[str, Any], defs: dict[str, Any]) -> set[str]:
    """Collect the ``type`` constants of all objects in a union."""
    if "$ref" in schema:
        return _tags(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "properties" in schema:
        tag = schema["properties"].get("type", {})
        return {tag["const"]} if "const" in tag else set(tag.get("enum", ()))
    arms = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    if "items" in schema:
        arms.append(schema["items"])
    return set[str]().union(*(_tags(arm, defs) for arm in arms))


# ---- the classes


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_load_and_dump_are_inverse(sample: Model) -> None:
    anomalies: list[Anomaly] = []
    assert load(dump(sample), Tool, anomalies=anomalies) == sample
    assert not anomalies


@pytest.mark.parametrize(
    ("cls", "required"),
    [
        (FunctionTool, {"name"}),
        (CustomTool, {"name"}),
        (McpTool, {"server_label"}),
        (FileSearchTool, {"vector_store_ids"}),
        (CodeInterpreterTool, {"container"}),
        (ComputerUsePreviewTool, {"display_width", "display_height", "environment"}),
        (NamespaceTool, {"name", "description", "tools"}),
        (WebSearchTool, set[str]()),
        (ToolChoiceAllowed, {"tools"}),
    ],
)
def test_fields_are_required_where_every_specification_says_so(cls: type[Model], required: set[str]) -> None:
    assert {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING} == required


def test_the_wire_name_of_async_is_the_keyword() -> None:
    assert dump(FunctionTool(name="roll", async_=True)) == {"type": "function", "name": "roll", "async": True}


def test_a_dated_tool_is_not_the_undated_one() -> None:
    assert isinstance(load({"type": "web_search_2025_08_26"}, Tool), WebSearchTool20250826)
    assert isinstance(load({"type": "web_search"}, Tool), WebSearchTool)
    assert isinstance(load({"type": "web_search_2031_01_01"}, Tool), UnknownTool)


def test_a_user_location_may_come_without_type_and_is_sent_with_it() -> None:
    anomalies: list[Anomaly] = []
    assert load({"city": "Vienna"}, UserLocation, anomalies=anomalies).city == "Vienna"
    assert not anomalies
    assert dump(UserLocation(city="Vienna")) == {"type": "approximate", "city": "Vienna"}


@pytest.mark.parametrize(
    ("wire", "cls"),
    [
        ({"type": "and", "filters": []}, AndFilter),
        ({"type": "or", "filters": []}, OrFilter),
        ({"type": "eq", "key": "lang", "value": "en"}, ComparisonFilter),
        ({"type": "like", "key": "lang", "value": "e%"}, ComparisonFilter),
    ],
)
def test_a_filter_is_selected_by_its_type(wire: JSONObject, cls: type[Model]) -> None:
    assert isinstance(load(wire, FileSearchFilter), cls)
    assert dump(load(wire, FileSearchFilter)) == wire


@pytest.mark.parametrize("value", ["en", 3, 0.5, True, ["en", 3]])
def test_a_filter_compares_with_any_kind_of_value(value: str | float | bool | list[str | float]) -> None:
    wire = dump(ComparisonFilter(type="eq", key="k", value=value))
    again = load(wire, ComparisonFilter)
    assert again.value == value
    assert type(again.value) is type(value)


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (["search"], ["search"]),
        ({"tool_names": ["search"]}, McpToolFilter(tool_names=["search"])),
        ({"read_only": True}, McpToolFilter(read_only=True)),
        (None, None),
    ],
)
def test_mcp_tools_are_allowed_by_name_or_by_filter(wire: JSONValue, value: object) -> None:
    tool = load({"type": "mcp", "server_label": "docs", "allowed_tools": wire}, McpTool)
    assert tool.allowed_tools == value


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("always", "always"),
        ({"never": {"tool_names": ["search"]}}, McpApprovalFilter(never=McpToolFilter(tool_names=["search"]))),
        (None, None),
    ],
)
def test_mcp_approval_is_required_by_word_or_by_filter(wire: JSONValue, value: object) -> None:
    tool = load({"type": "mcp", "server_label": "docs", "require_approval": wire}, McpTool)
    assert tool.require_approval == value


def test_mcp_secrets_are_sent_and_never_shown() -> None:
    tool = McpTool(server_label="docs", authorization="hunter2", headers={"X-Key": "hunter3"})
    assert dump(tool)["authorization"] == "hunter2"
    assert dump(tool)["headers"] == {"X-Key": "hunter3"}
    assert "hunter" not in repr(tool)


def test_domain_secrets_are_sent_and_never_shown() -> None:
    tool = SAMPLES[8]
    assert "hunter2" in json.dumps(dump(tool))
    assert "hunter2" not in repr(tool)


@pytest.mark.parametrize(
    ("container", "value"),
    [("cntr_1", "cntr_1"), ({"type": "auto"}, CodeInterpreterContainer())],
)
def test_a_code_interpreter_has_a_container_by_id_or_a_new_one(container: JSONValue, value: object) -> None:
    assert load({"type": "code_interpreter", "container": container}, CodeInterpreterTool).container == value


@pytest.mark.parametrize(
    "environment",
    [
        ContainerAuto(file_ids=["file_1"]),
        ContainerReference(container_id="cntr_1"),
        LocalEnvironment(skills=[LocalSkill(name="csv", description="Reads CSV.", path="skills/csv")]),
        UnknownObject(type="acme:vm", raw={"type": "acme:vm"}),
        None,
        UNSET,
    ],
)
def test_a_shell_runs_in_any_environment(environment: Any) -> None:
    tool = ShellTool(environment=environment)
    assert load(dump(tool), Tool) == tool


def test_a_namespace_keeps_tools_of_any_kind() -> None:
    wire: JSONObject = {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "acme:oven"}]}
    tool = load(wire, NamespaceTool)
    assert isinstance(tool.tools[0], UnknownTool)
    assert dump(tool) == wire


@pytest.mark.parametrize(
    ("wire", "cls"),
    [
        ({"type": "text"}, CustomToolTextFormat),
        ({"type": "grammar", "definition": "a+", "syntax": "regex"}, CustomToolGrammarFormat),
        ({"type": "acme:dance"}, UnknownObject),
    ],
)
def test_the_input_of_a_custom_tool_has_a_format(wire: JSONObject, cls: type[Model]) -> None:
    assert isinstance(load({"type": "custom", "name": "t", "format": wire}, CustomTool).format, cls)


# ---- the choice


@pytest.mark.parametrize(("choice", "wire"), CHOICES.values(), ids=CHOICES)
def test_a_choice_is_dumped_and_loaded(choice: ToolChoice, wire: JSONValue) -> None:
    assert dump(choice) == wire
    assert load(wire, ToolChoice) == choice
