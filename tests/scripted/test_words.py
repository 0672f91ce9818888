"""The texts of the scripted model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.scripted.turns import assistant, call, output, turn

from responses_proto.scripted._words import answer_text, describe_outputs


def spoken(*items: str | dict[str, Any], **request: Any) -> str:
    return answer_text(turn(*items, **request))


def test_it_echoes_the_prompt() -> None:
    assert spoken("first", assistant("no"), "the  last\none ") == "the  last\none "
    assert spoken("") == "There is nothing to answer."


def test_it_sees_images_and_files() -> None:
    content = [{"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": "data:"}]
    assert spoken({"role": "user", "content": content}) == "what? (with image)"
    assert spoken({"role": "user", "content": content[1:]}) == "(with image)"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is my name?", "You said: My name is Ada."),
        ("what did I tell you", "You said: My name is Ada."),
        ("Which name was it?", "You said: My name is Ada."),
        ("Repeat what I said before.", "You said: My name is Ada."),
        ("What did you say?", "I said: Hello Ada."),
        ("Do you remember your last answer?", "I said: Hello Ada."),
        ("How warm is it?", "How warm is it?"),
        ("I like tea.", "I like tea."),
    ],
)
def test_it_remembers_what_was_said(question: str, answer: str) -> None:
    assert spoken("My name is Ada.", assistant("Hello Ada."), question) == answer


def test_it_remembers_messages_that_share_a_keyword_with_the_question() -> None:
    told = ("The code word is banana.", "Which fruit is it?", "I like tea.")
    assert spoken(*told, "What is the code word?") == "You said: The code word is banana."
    assert spoken(*told, "Which fruit is red?") == "Which fruit is red?"


def test_it_remembers_nothing_that_was_not_said() -> None:
    assert spoken("What is my name?") == "What is my name?"
    assert spoken("What did you say?") == "What did you say?"


def test_it_tells_a_story_about_what_is_asked_for() -> None:
    assert "a dragon" in spoken("a story about a dragon, please")
    assert "a unicorn" in spoken("any story")


def test_tool_outputs_are_quoted() -> None:
    assert spoken("x", call("f", "1"), output("a", "1")) == "The tool says: a"
    assert spoken("x", call("f", "1"), call("f", "2"), output("a", "1"), output("b", "2")) == "The tools say: a; b"


SHAPE = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}


def test_json_where_the_format_asks_for_it() -> None:
    shape = {"format": {"type": "json_schema", "name": "s", "schema": SHAPE}}
    assert json.loads(spoken("a story", text=shape)) == {"n": 3}
    assert json.loads(spoken("x", call("f", "1"), output("a", "1"), text=shape)) == {"n": 3}
    assert json.loads(spoken("x", text={"format": {"type": "json_object"}})) == {"answer": "x"}
    assert json.loads(spoken("x", text={"format": {"type": "json_schema", "name": "s"}})) == {}
    assert spoken("x", text={"format": {"type": "text"}}) == "x"


def test_a_report_is_the_answer_unless_a_format_is_requested() -> None:
    assert answer_text(turn("x"), describe_outputs(["a", "b"])) == "The tools say: a; b"
    assert answer_text(turn("x", text={"format": {"type": "json_object"}}), "news") == '{"answer":"x"}'
    assert describe_outputs([]) == ""


def test_long_sets_the_number_of_words() -> None:
    assert len(spoken("[long 250]").split()) == 250


def test_context_lists_the_items() -> None:
    read = spoken("one", call("f", "1"), output("a", "1"), "[context]", instructions="Be brief.")
    assert read.splitlines() == [
        "instructions: Be brief.",
        "user: one",
        "function_call",
        "function_call_output: a",
        "user: [context]",
    ]
    assert spoken("[context]") == "user: [context]"
