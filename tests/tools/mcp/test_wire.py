from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from responses_proto.models import FunctionTool, InputFile, InputImage, InputText
from responses_proto.tools import ToolOutput
from responses_proto.tools.mcp._json import loads
from responses_proto.tools.mcp._wire import make_offer, output_of, output_of_error, parts_of
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


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text"},
        {"type": "text", "text": 7},
        {"type": "image", "data": "iVBO"},
        {"type": "image", "data": None, "mimeType": "image/png"},
        {"type": "resource", "resource": None},
        {"type": "resource", "resource": {"uri": "file:///a"}},
        {"type": ["text"]},
        {"text": "no type"},
        {},
    ],
)
def test_a_block_of_another_form_is_its_json(block: dict[str, Any]) -> None:
    (part,) = parts_of([block])
    assert isinstance(part, InputText)
    assert loads(part.text.encode()) == block


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, '{"a":1}'),
        ([], '{"a":1}'),
        ([text("")], '{"a":1}'),
        ([text(" \n"), text("")], '{"a":1}'),
        ([text("four items")], "four items"),
        ("four items", "four items"),
        (text("four items"), "four items"),
        ([17, None], "17\nnull"),
    ],
)
def test_structured_content_is_read_if_nothing_else_is_said(content: Any, expected: str) -> None:
    output = output_of({"content": content, "structuredContent": {"a": 1}})
    assert (output.output, output.value) == (expected, {"a": 1})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("four items", '{"a":1}\nfour items'),
        ('{ "a": 1 }', '{ "a": 1 }'),  # repeated, as MCP asks servers to
        ("", '{"a":1}'),
    ],
)
def test_structured_content_can_always_be_read(said: str, expected: str) -> None:
    output = output_of({"content": [text(said)], "structuredContent": {"a": 1}}, structured="always")
    assert (output.output, output.value) == (expected, {"a": 1})


@pytest.mark.parametrize("value", [[1, 2], "x", 0, False, {}, [], 10**30])
def test_structured_content_may_be_any_json(value: Any) -> None:
    output = output_of({"structuredContent": value})
    assert output.value == value
    assert loads(str(output.output).encode()) == value


def test_an_error_is_a_failure_with_its_data() -> None:
    error = {"code": -32602, "message": "no such city", "data": {"city": "Atlantis"}}
    output = output_of_error(error)
    assert output == ToolOutput("no such city", failed=True)
    assert output.value == error


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"elicitations": [{"mode": "url", "url": "https://a.example", "message": "Sign in"}]},
            "Stop\nSign in: https://a.example",
        ),
        (
            {"elicitations": [{"url": "https://a.example"}, {"url": "https://b.example"}]},
            "Stop\nhttps://a.example\nhttps://b.example",
        ),
        ({"elicitations": [None, {"url": 7}, "x"]}, "Stop"),
        ({"elicitations": {"url": "x"}}, "Stop"),
        ("text", "Stop"),
        (None, "Stop"),
    ],
)
def test_the_addresses_that_an_error_asks_to_visit_are_read(data: Any, expected: str) -> None:
    assert output_of_error({"code": -32042, "message": "Stop", "data": data}).output == expected


def test_a_request_for_input_is_a_failure_that_says_what_is_asked_for() -> None:
    request = {"method": "elicitation/create", "params": {"message": "Sign in", "url": "https://a.example"}}
    result = {"resultType": "input_required", "inputRequests": {"one": request, "two": None}}
    output = output_of(result)
    assert output.failed
    assert str(output.output).endswith("\nSign in: https://a.example")
    assert output.value == result


def test_tools_that_change_nothing_are_known() -> None:
    offer = make_offer(
        [tool("a.b", annotations={"readOnlyHint": True}), tool("c", annotations={"readOnlyHint": "yes"}), tool("d")]
    )
    assert set(offer.read_only) == {"a.b"}
    definition = offer.definition("a_b")
    assert definition is not None
    assert definition.name == "a_b"
    assert offer.definition("a.b") is None
