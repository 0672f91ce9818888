from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from responses_proto.models import FunctionTool, InputFile, InputImage, InputText
from responses_proto.tools import ToolOutput
from responses_proto.tools.mcp._wire import make_offer, output_of, parts_of
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Collection

    from responses_proto.models import Content
    from responses_proto.typing import JSONObject

IMAGE: list[Content] = [InputText(text='{"width":1}'), InputImage(image_url="data:image/png;base64,iVBO")]

LOOSE: JSONObject = {"type": "object", "properties": {"city": {"type": "string"}}}


def tool(name: str, schema: Any = LOOSE, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": schema, **more}


def names(*listed: str, prefix: str = "", allowed: Collection[str] | None = None) -> dict[str, str]:
    return dict(make_offer([tool(name) for name in listed], prefix=prefix, allowed=allowed).names)


# ---- tools


def test_a_tool_is_offered_with_the_servers_schema() -> None:
    offer = make_offer([tool("weather", description="Look out.", title="Weather")])
    assert offer.definitions == [FunctionTool(name="weather", description="Look out.", parameters=LOOSE, strict=False)]


def test_a_title_replaces_a_missing_description() -> None:
    assert make_offer([tool("a", title="Weather", description=None)]).definitions[0].description == "Weather"
    assert make_offer([tool("a", title=None, description=None)]).definitions[0].description is UNSET


def test_a_schema_without_properties_gets_some() -> None:
    schema = {"type": "object"}
    assert make_offer([tool("now", schema)]).definitions[0].parameters == {"type": "object", "properties": {}}
    assert schema == {"type": "object"}  # the server's own is left alone


def test_the_order_is_that_of_the_server() -> None:
    assert [definition.name for definition in make_offer([tool("b.c"), tool("a"), tool("b")]).definitions] == [
        "b_c",
        "a",
        "b",
    ]


def test_a_prefix_is_added_to_function_names_only() -> None:
    assert names("read", prefix="files_") == {"files_read": "read"}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (["a.b"], {"a_b": "a.b"}),
        (["wetter für/alle"], {"wetter_f_r_alle": "wetter für/alle"}),
        (["a_b", "a.b"], {"a_b": "a_b", "a_b_2e7336dc": "a.b"}),
        (["a.b", "a_b"], {"a_b": "a_b", "a_b_2e7336dc": "a.b"}),  # in either order
    ],
)
def test_names_that_functions_cannot_have_are_changed(listed: list[str], expected: dict[str, str]) -> None:
    assert names(*listed) == expected


def test_long_names_are_cut_and_stay_distinct() -> None:
    found = names("x" * 80 + "1", "x" * 80 + "2", prefix="p_")
    assert len(found) == 2
    assert all(len(name) <= 64 and name.startswith("p_xxx") for name in found)


def test_a_tool_without_a_name_gets_one() -> None:
    assert all(names(""))


def test_only_allowed_tools_are_offered() -> None:
    assert names("a.b", "c", "d", allowed=["c", "a.b"]) == {"a_b": "a.b", "c": "c"}
    assert names("a", allowed=[]) == {}
    assert make_offer([tool("a"), tool("b")], allowed=["b"]).listed == ["a", "b"]


# ---- results


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"content": [text("sunny")]}, ToolOutput("sunny")),
        ({"content": [text("sunny"), text("warm")]}, ToolOutput("sunny\nwarm")),
        ({"content": []}, ToolOutput("")),
        ({"content": [text("no such city")], "isError": True}, ToolOutput("no such city", failed=True)),
        ({"content": [], "structuredContent": {"a": None}}, ToolOutput('{"a":null}')),
        ({"content": [text("3")], "structuredContent": {"result": 3}}, ToolOutput("3")),
        (
            {
                "content": [{"type": "image", "data": "iVBO", "mimeType": "image/png"}],
                "structuredContent": {"width": 1},
            },
            ToolOutput(IMAGE),
        ),
    ],
)
def test_a_result_is_an_output(result: dict[str, Any], expected: ToolOutput) -> None:
    output = output_of(result)
    assert output == expected
    assert output.value == result.get("structuredContent")


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (text("x"), InputText(text="x")),
        (
            {"type": "image", "data": "/9j/", "mimeType": "image/jpeg"},
            InputImage(image_url="data:image/jpeg;base64,/9j/"),
        ),
        (
            {"type": "audio", "data": "UklG", "mimeType": "audio/wav"},
            InputFile(file_data="data:audio/wav;base64,UklG", filename="audio.wav"),
        ),
        ({"type": "resource", "resource": {"uri": "note://1", "text": "a note"}}, InputText(text="a note")),
        (
            {"type": "resource", "resource": {"uri": "x://logo", "mimeType": "image/gif", "blob": "R0lG"}},
            InputImage(image_url="data:image/gif;base64,R0lG"),
        ),
        (
            {"type": "resource", "resource": {"uri": "file:///a/b.pdf", "mimeType": "application/pdf", "blob": "JVBE"}},
            InputFile(file_data="data:application/pdf;base64,JVBE", filename="b.pdf"),
        ),
        (
            {"type": "resource", "resource": {"uri": "db:rows", "mimeType": None, "blob": "AAAA"}},
            InputFile(file_data="data:application/octet-stream;base64,AAAA", filename="rows.bin"),
        ),
        (
            {"type": "resource_link", "uri": "file:///a", "name": "a", "title": None, "annotations": {"priority": 1}},
            InputText(text='{"uri":"file:///a","name":"a"}'),
        ),
        ({"type": "hologram", "beams": 3}, InputText(text='{"type":"hologram","beams":3}')),
    ],
)
def test_a_block_is_a_part(block: dict[str, Any], part: Any) -> None:
    assert parts_of([block]) == [part]
