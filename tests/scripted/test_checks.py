"""What OpenAI refuses, the scripted model refuses too."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scripted.turns import DOCS, RUN, TIME, WEATHER, call, output, turn

from responses_proto.exceptions import BadRequestError
from responses_proto.scripted._checks import check_turn

TOOLS = [WEATHER, RUN, DOCS, {"type": "web_search"}]
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {
            "type": "array",
            "items": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        }
    },
    "required": ["a"],
    "additionalProperties": False,
}
BAD_SCHEMAS: list[dict[str, Any]] = [
    {**STRICT, "additionalProperties": True},
    {**STRICT, "required": []},
    {key: value for key, value in STRICT.items() if key != "required"},
    {key: value for key, value in STRICT.items() if key != "additionalProperties"},
    {**STRICT, "properties": {"a": {"type": "array", "items": {"type": "object"}}}},
    {**STRICT, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"b": {}}}]}}},
    {**STRICT, "$defs": {"b": {"type": "object", "properties": {}}}},
]


def function(schema: dict[str, Any], *, strict: bool | None = True) -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": schema, "strict": strict}


def text(schema: dict[str, Any], *, strict: bool | None = True) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "f", "schema": schema, "strict": strict}}


@pytest.mark.parametrize(
    ("items", "request_", "param"),
    [
        ([], {}, "input"),
        (["x"], {"tool_choice": "required"}, "tool_choice"),
        (["x"], {"tool_choice": "required", "tools": []}, "tool_choice"),
        (["x"], {"tools": TOOLS, "tool_choice": {"type": "function", "name": "run"}}, "tool_choice"),
        (["x"], {"tools": TOOLS, "tool_choice": {"type": "custom", "name": "get_weather"}}, "tool_choice"),
        (["x"], {"tools": TOOLS, "tool_choice": {"type": "mcp", "server_label": "other"}}, "tool_choice"),
        (
            ["x"],
            {"tools": TOOLS, "tool_choice": {"type": "mcp", "server_label": "docs", "name": "other"}},
            "tool_choice",
        ),
        (["x"], {"tools": TOOLS, "tool_choice": {"type": "file_search"}}, "tool_choice"),
        (
            ["x"],
            {
                "tools": TOOLS,
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "no"}]},
            },
            "tool_choice",
        ),
        (["x", call("f", "call_1")], {}, "input"),
        (["x", call("f", "call_1"), "y"], {}, "input"),
        (["x", call("f", "call_1"), call("f", "call_2"), output("1", "call_1")], {}, "input"),
        (["x"], {"metadata": {f"k{n}": "v" for n in range(17)}}, "metadata"),
        (["x"], {"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 64}"),
        (["x"], {"metadata": {"k": "v" * 513}}, "metadata.k"),
        *((["x"], {"tools": [TIME, function(schema)]}, "tools[1].parameters") for schema in BAD_SCHEMAS),
        *((["x"], {"text": text(schema)}, "text.format.schema") for schema in BAD_SCHEMAS),
    ],
)
def test_what_is_refused(items: list[Any], request_: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        check_turn(turn(*items, **request_))
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    ("items", "request_"),
    [
        (["x"], {}),
        ([], {"prompt": {"id": "p"}}),
        (["x"], {"tools": TOOLS, "tool_choice": "required"}),
        *(
            (["x"], {"tools": TOOLS, "tool_choice": choice})
            for choice in (
                "none",
                {"type": "function", "name": "get_weather"},
                {"type": "custom", "name": "run"},
                {"type": "mcp", "server_label": "docs"},
                {"type": "mcp", "server_label": "docs", "name": "fetch"},
                {"type": "web_search"},
            )
        ),
        (["x", call("f", "call_1"), output("1", "call_1")], {}),
        ([{"type": "compaction", "id": "c", "encrypted_content": "x"}, output("1", "call_1")], {}),
        (["x"], {"metadata": {"k" * 64: "v" * 512, **{f"k{n}": "" for n in range(15)}}}),
        (["x"], {"tools": [function(STRICT)], "text": text(STRICT)}),
        *(
            (["x"], {"tools": [function(schema, strict=False)], "text": text(schema, strict=None)})
            for schema in BAD_SCHEMAS
        ),
    ],
)
def test_what_is_accepted(items: list[Any], request_: dict[str, Any]) -> None:
    check_turn(turn(*items, **request_))
