"""Scripts: steps, conditions, and the errors of invalid files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.scripted.turns import RUN, TIME, call, counted, output, turn

from responses_proto.exceptions import APIError, RateLimitError, UsageError
from responses_proto.models.items import CustomToolCall, Reasoning
from responses_proto.scripted import ScriptRules
from responses_proto.scripted._steps import (
    EmitCall,
    EmitItem,
    EmitMessage,
    EmitReasoning,
    EndEarly,
    Fail,
    Refuse,
    ScriptedStep,
    Wait,
)

if TYPE_CHECKING:
    from pathlib import Path


def answer(
    then: object, *items: str | dict[str, Any], when: object = None, **request: Any
) -> list[ScriptedStep] | None:
    rule = {"then": then} if when is None else {"when": when, "then": then}
    return ScriptRules.parse(json.dumps([rule])).answer(turn(*items, **request), counted())


# ---- steps


@pytest.mark.parametrize(
    ("then", "steps"),
    [
        ("yes", [EmitMessage(text="yes")]),
        ({"say": ""}, [EmitMessage(text="")]),
        ({"say": "yes", "phase": "commentary"}, [EmitMessage(text="yes", phase="commentary")]),
        ({"refuse": "no"}, [Refuse(text="no")]),
        ({"think": "hm"}, [EmitReasoning(summaries=("hm",))]),
        ({"call": "f"}, [EmitCall(name="f", arguments="{}")]),
        ({"call": "f", "arguments": {"a": [1, None]}}, [EmitCall(name="f", arguments='{"a":[1,null]}')]),
        ({"call": "f", "arguments": "no json"}, [EmitCall(name="f", arguments="no json")]),
        ({"wait": 0.5}, [Wait(seconds=0.5)]),
        ({"incomplete": "content_filter"}, [EndEarly(reason="content_filter")]),
        ({"fail": {}}, [Fail(code="server_error", message="The script asks for a failure.")]),
        ({"fail": {"code": "c", "message": "m"}}, [Fail(code="c", message="m")]),
        ([{"think": "hm"}, "yes"], [EmitReasoning(summaries=("hm",)), EmitMessage(text="yes")]),
        ([], []),
    ],
)
def test_every_step(then: object, steps: list[ScriptedStep]) -> None:
    assert answer(then, "x") == steps


def only(steps: list[ScriptedStep] | None) -> ScriptedStep:
    assert steps is not None
    assert len(steps) == 1
    return steps[0]


def test_a_custom_tool_gets_its_input() -> None:
    made = CustomToolCall(id="ctc_1", call_id="call_2", name="run", input="ls", status="completed")
    assert answer({"call": "run", "input": "ls"}, "x") == [EmitItem(item=made)]
    step = only(answer({"call": "run"}, "x", tools=[RUN]))
    assert isinstance(step, EmitItem)
    assert isinstance(step.item, CustomToolCall)


def test_an_item_of_any_kind() -> None:
    step = only(answer({"item": {"type": "reasoning", "summary": []}}, "x"))
    assert step == EmitItem(item=Reasoning(id="item_1", summary=[]))
    step = only(answer({"item": {"type": "reasoning", "summary": [], "id": "rs_7"}}, "x"))
    assert step == EmitItem(item=Reasoning(id="rs_7", summary=[]))
    step = only(answer({"item": {"type": "acme:thing", "a": 1}}, "x"))
    assert isinstance(step, EmitItem)


def test_an_error() -> None:
    with pytest.raises(RateLimitError) as caught:
        answer({"error": {"status": 429, "retry_after": 3, "message": "slow down", "code": "c", "param": "p"}}, "x")
    error = caught.value
    assert (error.message, error.code, error.param, error.retry_after) == ("slow down", "c", "p", 3)
    with pytest.raises(APIError) as plain:
        answer({"error": {"status": 500}}, "x")
    assert (plain.value.type, plain.value.retry_after) == ("server_error", None)


def test_placeholders_are_substituted() -> None:
    when = {"matches": r"^book (?P<what>\w+) (for (\w+))?"}
    assert answer("{what}/{1}/{3}/{0}/{x}/{}", "book flights for Ada", when=when) == [
        EmitMessage(text="flights/flights/Ada/book flights for Ada/{x}/{}")
    ]
    assert answer("{3}.", "book flights now", when=when) == [EmitMessage(text=".")]
    assert answer("{input}: {output}", "x", call("f", "1"), output("a", "1")) == [EmitMessage(text="x: a")]
    then = {"call": "f", "arguments": {"q": "{input}", "n": [1, "{input}"]}}
    assert answer(then, 'say "hi"') == [EmitCall(name="f", arguments='{"q":"say \\"hi\\"","n":[1,"say \\"hi\\""]}')]


# ---- conditions


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"contains": "WEATHER"}, True),
        ({"contains": "time"}, False),
        ({"matches": r"in \w+\?$"}, True),
        ({"matches": "^in"}, False),
        ({"after": "user"}, True),
        ({"after": "output"}, False),
        ({"turn": 2}, True),
        ({"turn": 1}, False),
        ({"model": "scripted"}, True),
        ({"model": "other"}, False),
        ({"tool": "get_time"}, True),
        ({"tool": "missing"}, False),
        ({"contains": "weather", "turn": 1}, False),
    ],
)
def test_conditions(when: object, *, holds: bool) -> None:
    found = answer("yes", "hello", "what is the weather in Paris?", when=when, tools=[TIME])
    assert found == ([EmitMessage(text="yes")] if holds else None)


@pytest.mark.parametrize(("after", "holds"), [("output", True), ("f", True), ("g", False), ("user", False)])
def test_the_condition_after(after: str, *, holds: bool) -> None:
    found = answer("yes", "x", call("g", "0"), call("f", "1"), output("a", "1"), when={"after": after})
    assert found == ([EmitMessage(text="yes")] if holds else None)


def test_the_first_rule_that_holds_answers() -> None:
    script = ScriptRules.parse('[{"when": {"contains": "a"}, "then": "A"}, {"when": {"contains": "b"}, "then": "B"}]')
    assert script.answer(turn("a b"), counted()) == [EmitMessage(text="A")]
    assert script.answer(turn("b"), counted()) == [EmitMessage(text="B")]
    assert script.answer(turn("c"), counted()) is None


# ---- files


def test_a_rule_on_each_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.jsonl"
    file.write_text('{"when": {"contains": "a"}, "then": "A"}\n\n{"then": "B"}\n')
    script = ScriptRules.read(file)
    assert [len(rule.then) for rule in script.rules] == [1, 1]
    assert script.answer(turn("x"), counted()) == [EmitMessage(text="B")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ["the script", "JSON"]),
        ("", ["the script", "JSON"]),
        ("{}", ["a JSON list of rules", ".jsonl"]),
        ("[5]", ["rule 1", "Rule"]),
        ('[{"then": "x"}, {}]', ["rule 2", "required", "then"]),
        ('[{"then": 5}]', ["rule 1", "then"]),
        ('[{"then": {"say": 5}}]', ["rule 1", "$.then[0].say"]),
        ('[{"then": {}}]', ["exactly one of say, refuse", "none"]),
        ('[{"then": {"say": "a", "refuse": "b"}}]', ["say and refuse"]),
        ('[{"then": {"refuse": "b", "phase": "commentary"}}]', ["'phase' needs 'say'"]),
        ('[{"then": {"sya": "a"}}]', ["'sya'", "say"]),
        ('[{"wen": {}, "then": "x"}]', ["'wen'", "when, then"]),
        ('[{"when": {"contians": "a"}, "then": "x"}]', ["'contians'", "contains"]),
        ('[{"when": {"turn": "1"}, "then": "x"}]', ["rule 1", "$.when.turn"]),
        ('[{"when": {"matches": "("}, "then": "x"}]', ["'matches'", "regular expression"]),
        ('[{"when": {"turn": 0}, "then": "x"}]', ["'turn' is counted from 1", "0"]),
        ('[{"then": {"wait": -1}}]', ["'wait' must not be negative", "-1"]),
        ('[{"then": {"error": {"status": 200}}}]', ["400 to 599", "200"]),
        ('[{"then": {"error": {"status": 500, "mesage": "x"}}}]', ["'mesage'"]),
        ('[{"then": {"fail": {"cod": "x"}}}]', ["'cod'"]),
        ('[{"then": [{"fail": {}}, "x"]}]', ["must be the last step"]),
        ('[{"then": ["x", {"error": {"status": 500}}]}]', ["the only one"]),
        ('[{"then": {"item": {"type": "messag"}}}]', ["'messag'"]),
        ('[{"then": {"item": {"type": "message"}}}]', ["$.then[0].item.role"]),
    ],
)
def test_an_invalid_rule_is_refused_with_its_place(text: str, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        ScriptRules.parse(text)
    assert [words for words in said if words not in str(caught.value)] == []


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    file = tmp_path / "rules.jsonl"
    file.write_text('{"then": "x"}\n\n{"then": 5}')
    with pytest.raises(UsageError, match=r"rules\.jsonl: line 3: "):
        ScriptRules.read(file)
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="line 1"):
        ScriptRules.read(file)
    with pytest.raises(FileNotFoundError):
        ScriptRules.read(tmp_path / "nowhere.json")
    with pytest.raises(IsADirectoryError):
        ScriptRules.read(tmp_path)
