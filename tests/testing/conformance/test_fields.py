"""The table of fields is what the specifications say, and the walk finds what differs from it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from tests.support import NO_SHARED, shared

from responses_proto.testing import Answer
from responses_proto.testing.conformance.fields import FIELDS, field_faults, row_of_body, row_of_event

OPEN_RESPONSES: Final = shared("spec", "openresponses-2026-04-24.openapi.json")
OPENAI: Final = shared("spec", "openai-2026-08.openapi.json")

# Row -> schema of Open Responses; events are found by their type.
SCHEMAS: Final = {
    "Response": "ResponseResource",
    "Compaction": "CompactResource",
    "IncompleteDetails": "IncompleteDetails",
    "Error": "Error",
    "Usage": "Usage",
    "InputTokensDetails": "InputTokensDetails",
    "OutputTokensDetails": "OutputTokensDetails",
    "Reasoning": "Reasoning",
    "TextConfig": "TextField",
    "Format:json_schema": "JsonSchemaResponseFormat",
    "ToolChoice:function": "FunctionToolChoice",
    "ToolChoice:allowed_tools": "AllowedToolChoice",
    "Tool:function": "FunctionTool",
    "Item:message": "Message",
    "Item:function_call": "FunctionCall",
    "Item:function_call_output": "FunctionCallOutput",
    "Item:reasoning": "ReasoningBody",
    "Item:compaction": "CompactionBody",
    "Part:input_text": "InputTextContent",
    "Part:output_text": "OutputTextContent",
    "Part:text": "TextContent",
    "Part:summary_text": "SummaryTextContent",
    "Part:reasoning_text": "ReasoningTextContent",
    "Part:refusal": "RefusalContent",
    "Part:input_image": "InputImageContent",
    "Part:input_file": "InputFileContent",
    "Part:input_video": "InputVideoContent",
    "Annotation:url_citation": "UrlCitationBody",
    "LogProb": "LogProb",
    "TopLogProb": "TopLogProb",
    "ErrorPayload": "ErrorPayload",
    "WebSocketError": "WebSocketErrorEvent",
}
WITHOUT_SCHEMA: Final = {"Format", "ToolChoice", "Tool", "Item", "Part", "Annotation"}
"""Rows for what the specification does not describe."""
NAMES: Final = {
    "string": "str", "integer": "int", "number": "num", "boolean": "bool", "object": "obj", "null": "null",
    "ItemField": "Item", "Annotation": "Annotation", "UrlCitationBody": "Annotation", "FunctionToolChoice": "ToolChoice",
    "AllowedToolChoice": "ToolChoice", "FunctionTool": "Tool", "TextResponseFormat": "Format", "JsonObjectResponseFormat": "Format",
    "JsonSchemaResponseFormat": "Format",
}  # fmt: skip
"""Type or schema -> how the table writes it; other schemas by :data:`SCHEMAS`."""


def types(schemas: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Return the types of a schema, as the table writes them."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        rows = [row for row, of in SCHEMAS.items() if of == name]
        if name in NAMES or rows:
            return {NAMES.get(name) or rows[0].partition(":")[0]}
        return types(schemas, schemas[name])
    if "enum" in schema:
        return {f"'{value}'" for value in schema["enum"]}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts = [part for part in schema[key] if set(part) - {"description"}]
            return set[str]().union(*(types(schemas, part) for part in parts))
    if schema.get("type") == "array":
        return {f"[{one}]" for one in types(schemas, schema["items"])}
    return {NAMES[schema["type"]]} if "type" in schema else {"any"}


@pytest.mark.skipif(not OPEN_RESPONSES.exists(), reason=NO_SHARED)
def test_the_table_is_open_responses() -> None:
    document = json.loads(OPEN_RESPONSES.read_text())
    schemas = document["components"]["schemas"]
    rows = dict(SCHEMAS)
    for name, schema in schemas.items():
        if name.endswith("StreamingEvent"):
            rows[f"Event:{schema['properties']['type']['enum'][0]}"] = name
    assert rows.keys() == FIELDS.keys() - WITHOUT_SCHEMA
    assert len(schemas["ResponseResource"]["required"]) == 31
    wrong: dict[str, Any] = {}
    for row, name in rows.items():
        schema = schemas[name]
        written = {field.removesuffix("?"): set(of.split("|")) for field, of in FIELDS[row].items()}
        required = {field for field in FIELDS[row] if not field.endswith("?")}
        if row.startswith("Event:") and row != "Event:error":
            required.add("type")
            written["type"] = types(schemas, schema["properties"]["type"])
        stated = {field: types(schemas, of) for field, of in schema["properties"].items()}
        if written != stated or required != set(schema["required"]):
            wrong[row] = (written, stated, required ^ set(schema["required"]))
    # Its schema for the echo of a JSON schema is null, which its own text contradicts: see the comment in the table.
    assert wrong.keys() == {"Format:json_schema"}


@pytest.mark.skipif(not OPENAI.exists(), reason=NO_SHARED)
def test_the_profile_of_openai_has_its_required_fields() -> None:
    parts = json.loads(OPENAI.read_text())["components"]["schemas"]["Response"]["allOf"]
    required = {name for part in parts for name in part.get("required", ())}
    missing = {fault.path.removeprefix("$.") for fault in field_faults({}, "Response", "openai")}
    assert missing == required


# ---- the walk, without the specifications


def response() -> dict[str, Any]:
    events: Any = Answer.text("Hi there.").to_wire().events
    found: dict[str, Any] = events[-1]["response"]
    return found


def faults(change: dict[str, Any], profile: Any = "openresponses") -> list[tuple[str, str]]:
    body = {name: value for name, value in {**response(), **change}.items() if value is not ...}
    return [(fault.rule, fault.path) for fault in field_faults(body, "Response", profile)]


def test_what_the_emitter_makes_has_no_faults() -> None:
    assert faults({}) == faults({}, "openai") == []


@pytest.mark.parametrize("name", list(FIELDS["Response"]))
def test_every_field_of_a_response_is_required(name: str) -> None:
    assert faults({name: ...}) == [("missing-field", f"$.{name}")]


FAULTY: Final[list[tuple[dict[str, Any], str, str]]] = [
    ({"truncation": None}, "null-field", "$.truncation"),
    ({"top_p": None}, "null-field", "$.top_p"),
    ({"text": {}}, "missing-field", "$.text.format"),
    ({"truncation": "never"}, "wrong-value", "$.truncation"),
    ({"parallel_tool_calls": 1}, "wrong-type", "$.parallel_tool_calls"),
    ({"created_at": True}, "wrong-type", "$.created_at"),
    ({"output": {}}, "wrong-type", "$.output"),
    ({"output": [5]}, "wrong-type", "$.output[0]"),
    ({"output": [{"type": "thing", "id": "t", "status": "completed"}]}, "unknown-item", "$.output[0].type"),
    ({"output": [{"type": "acme:thing", "id": "t"}]}, "extension-fields", "$.output[0].status"),
    ({"tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}]}, "missing-field", "$.tools[0].description"),
    ({"tool_choice": "sometimes"}, "wrong-value", "$.tool_choice"),
    ({"tool_choice": 5}, "wrong-type", "$.tool_choice"),
    ({"error": {"code": "x"}}, "missing-field", "$.error.message"),
]  # fmt: skip
"""(change of a response, rule, path)."""


@pytest.mark.parametrize(("change", "rule", "path"), FAULTY)
def test_a_fault_says_where(change: dict[str, Any], rule: str, path: str) -> None:
    assert faults(change) == [(rule, path)]


ADDED: Final[list[dict[str, Any]]] = [
    {"output": [{"type": "acme:thing", "id": "t", "status": "completed", "more": 1}]},
    {"output": [{"type": "web_search_call", "id": "t"}]},
    {"tools": [{"type": "web_search"}, {"type": "acme:tool"}]},
    {"tool_choice": {"type": "function", "name": "f"}},
    {"metadata": None},
    {"temperature": 1},
    {"acme": {"anything": "goes"}},
]
"""Changes that are none of the specification's business."""


@pytest.mark.parametrize("change", ADDED)
def test_what_servers_may_add_is_no_fault(change: dict[str, Any]) -> None:
    assert faults(change) == []


def test_openai_may_leave_out_what_it_does_not_require() -> None:
    assert faults({"completed_at": ..., "service_tier": None, "text": ..., "temperature": None}, "openai") == []
    assert faults({"tools": ...}, "openai") == [("missing-field", "$.tools")]


def test_the_row_of_a_value() -> None:
    assert row_of_body({"object": "response"}) == "Response"
    assert row_of_body({"object": "list"}) is row_of_body([]) is None
    assert row_of_event({"type": "response.created"}) == "Event:response.created"
    assert row_of_event({"type": "response.mcp_call.completed"}) is None
    assert row_of_event({"type": "error", "message": "No."}) == "Event:error"
    assert row_of_event({"type": "error", "message": "No."}, "openai") is None
    assert row_of_event({"type": "error", "status": 400}) == "WebSocketError"
    assert next(field_faults([], "Response")).rule == "wrong-type"


@pytest.mark.parametrize("kind", [None, 5, [], {}, "thing"])
def test_a_value_of_no_known_kind_has_no_row(kind: Any) -> None:
    assert row_of_body({"object": kind}) is None
    assert row_of_body(kind) is None
    assert row_of_event({"type": kind}) is None
