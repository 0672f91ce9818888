"""Reading a request: its prompt, the end of its input, and its number of tokens."""

from __future__ import annotations

from typing import Any

import pytest
from tests.scripted.turns import call, output, turn, user

from responses_proto.codec import load
from responses_proto.models.items import Item
from responses_proto.scripted._request import count_tokens, output_text

IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,"}
FILE = {"type": "input_file", "filename": "report.pdf", "file_data": ""}


def test_the_last_user_message_is_the_prompt() -> None:
    read = turn("first", {"role": "assistant", "content": "no"}, "[cite] last", {"role": "system", "content": "s"})
    assert (read.prompt, read.markers, read.earlier_prompts) == ("last", {"cite": ""}, ["first"])


def test_without_a_user_message_the_prompt_is_empty() -> None:
    read = turn({"role": "developer", "content": "be brief"})
    assert (read.prompt, read.markers, read.earlier_prompts, read.media) == ("", {}, [], [])
    assert len(read.items_since_prompt()) == 1
    assert turn().last_item is None


def test_images_and_files_of_the_question_are_seen() -> None:
    message = {"role": "user", "content": [{"type": "input_text", "text": "what?"}, IMAGE, FILE]}
    assert turn(message).media == ["image", "file report.pdf"]
    assert turn(message, "and now?").media == []


def test_the_outputs_that_the_input_ends_with() -> None:
    read = turn("x", call("f", "1"), call("g", "2"), output("a", "1"), output("b", "2"))
    assert [output_text(item) for item in read.outputs] == ["a", "b"]
    assert turn("x", call("f", "1"), output("a", "1"), "y").outputs == []
    assert turn({"type": "mcp_approval_response", "approval_request_id": "r", "approve": True}).outputs == []


def test_the_items_since_the_prompt() -> None:
    read = turn("x", call("f", "1"), output("a", "1"))
    assert [item.type for item in read.items_since_prompt()] == ["function_call", "function_call_output"]


def test_what_the_request_includes() -> None:
    read = turn("x", include=["message.output_text.logprobs"])
    assert read.includes("message.output_text.logprobs")
    assert not read.includes("reasoning.encrypted_content")
    assert not turn("x").includes("reasoning.encrypted_content")


OUTPUTS: list[tuple[dict[str, Any], str]] = [
    (output("sunny", "1"), "sunny"),
    ({**output("", "1"), "output": [{"type": "input_text", "text": "here:"}, IMAGE]}, "here: (image)"),
    ({**output("", "1"), "output": [IMAGE, FILE]}, "(image, file report.pdf)"),
    ({"type": "custom_tool_call_output", "call_id": "1", "output": "done"}, "done"),
    (
        {
            "type": "shell_call_output",
            "call_id": "1",
            "output": [{"stdout": "a\n", "stderr": "b\n", "outcome": {"type": "exit", "exit_code": 0}}],
        },
        "a\nb",
    ),
    ({"type": "local_shell_call_output", "id": "1", "output": "out"}, "out"),
    ({"type": "apply_patch_call_output", "call_id": "1", "status": "failed"}, "failed"),
    ({"type": "apply_patch_call_output", "call_id": "1", "status": "failed", "output": "no file"}, "no file"),
    (
        {
            "type": "computer_call_output",
            "call_id": "1",
            "output": {"type": "computer_screenshot", "image_url": "data:"},
        },
        "a screenshot",
    ),
    ({"type": "tool_search_output", "call_id": "1", "tools": [{"type": "function", "name": "f"}]}, "1 tools"),
    (
        {"type": "mcp_call", "id": "1", "server_label": "s", "name": "n", "arguments": "{}", "output": "found"},
        "found",
    ),
    ({"type": "reasoning", "summary": []}, ""),
]


@pytest.mark.parametrize(("item", "words"), OUTPUTS)
def test_every_output_has_words(item: dict[str, Any], words: str) -> None:
    assert output_text(load(item, Item)) == words


def test_tokens_are_words_and_media_count_a_hundred() -> None:
    items: list[dict[str, Any]] = [
        user("one two"),
        {"role": "user", "content": [IMAGE]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a b c"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "custom_tool_call", "call_id": "2", "name": "g", "input": "four words are here"},
        output("sunny today", "1"),
    ]
    assert count_tokens(load(items, list[Item]), "be brief") == 2 + 2 + 100 + 3 + 2 + 4 + 2
    assert count_tokens([]) == 0
