"""The steps that the scripted model plans for a turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.scripted.turns import DOCS, RUN, TIME, WEATHER, assistant, call, counted, output, turn

from responses_proto.codec import dump
from responses_proto.exceptions import APIError, NotFoundError, RateLimitError, ServerError
from responses_proto.models.items import CustomToolCall, FunctionCall, McpCall
from responses_proto.scripted import ScriptRules
from responses_proto.scripted._plan import plan_answer
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


def steps(*items: str | dict[str, Any], **request: Any) -> tuple[ScriptedStep, ...]:
    return plan_answer(turn(*items, **request), counted()).steps


# ---- markers


@pytest.mark.parametrize(
    ("marker", "kind", "status", "code", "after"),
    [
        ("[error 429]", RateLimitError, 429, "rate_limit_exceeded", 1.0),
        ("[error 429 30]", RateLimitError, 429, "rate_limit_exceeded", 30.0),
        ("[error 503 0.5]", ServerError, 503, "overloaded", 0.5),
        ("[error 500]", ServerError, 500, "server_error", None),
        ("[error 404]", NotFoundError, 404, "model_not_found", None),
        ("[error 418]", APIError, 418, None, None),
    ],
)
def test_an_error_comes_before_any_output(
    marker: str, kind: type[APIError], status: int, code: str | None, after: float | None
) -> None:
    with pytest.raises(kind) as caught:
        steps(f"{marker} hello", tools=[WEATHER])
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (status, code, after)


def test_failed_and_incomplete_end_in_the_middle_of_a_message() -> None:
    half = EmitMessage(text="This is as far as I", finished=False)
    failure = "The input asks for a failure."
    assert steps("[fail]", tools=[WEATHER]) == (half, Fail(code="server_error", message=failure))
    assert steps("[fail rate_limit_exceeded]") == (half, Fail(code="rate_limit_exceeded", message=failure))
    assert steps("[incomplete]") == (half, EndEarly(reason="max_output_tokens"))
    assert steps("[incomplete content_filter]") == (half, EndEarly(reason="content_filter"))


def test_a_refusal() -> None:
    (step,) = steps("[refuse] this", tools=[WEATHER])
    assert isinstance(step, Refuse)


def test_wait_and_slow_set_the_pace() -> None:
    assert plan_answer(turn("[wait 1.5] [slow 0.1] x"), counted()).delay == 0.1
    assert plan_answer(turn("[slow] x"), counted()).delay == 0.2
    assert plan_answer(turn("x"), counted()).delay is None
    assert steps("[wait 1.5] x")[0] == Wait(seconds=1.5)


def test_a_citation() -> None:
    assert steps("[cite] x") == (EmitMessage(text="x", with_citation=True),)


# ---- reasoning and phases


@pytest.mark.parametrize(
    ("reasoning", "thoughts"),
    [
        (None, 0),
        ({}, 0),
        ({"effort": "none"}, 0),
        ({"effort": "low"}, 1),
        ({"effort": "medium"}, 2),
        ({"effort": "high"}, 3),
        ({"effort": "acme"}, 3),
        ({"summary": "auto"}, 1),
    ],
)
def test_the_effort_sets_the_number_of_summaries(reasoning: object, thoughts: int) -> None:
    found = steps("x", reasoning=reasoning)
    assert [len(step.summaries) for step in found if isinstance(step, EmitReasoning)] == (
        [thoughts] if thoughts else []
    )
    assert isinstance(found[-1], EmitMessage)


def test_the_reasoning_can_be_kept_by_the_client() -> None:
    step = steps("x", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"])[0]
    assert isinstance(step, EmitReasoning)
    assert step.encrypted_content


def test_phases_where_they_are_asked_for_or_were_used_before() -> None:
    assert steps("[commentary] x") == (
        EmitMessage(text="Let me see.", phase="commentary"),
        EmitMessage(text="x", phase="final_answer"),
    )
    before = assistant("I look.", phase="commentary")
    assert steps("x", before, "y") == (EmitMessage(text="y", phase="final_answer"),)
    comment, called = steps("x", before, "y", tools=[TIME])
    assert comment == EmitMessage(text="I call get_time.", phase="commentary")
    assert called == EmitCall(name="get_time", arguments="{}")


def test_a_commentary_names_the_called_tools() -> None:
    assert steps("[commentary] x", tools=[RUN])[0] == EmitMessage(text="I call run.", phase="commentary")
    found = steps("[commentary] x", tools=[{**DOCS, "require_approval": "never"}])
    assert found[0] == EmitMessage(text="I call search.", phase="commentary")


def test_a_commentary_is_made_once() -> None:
    comment = assistant("I call get_time.", phase="commentary")
    found = steps("[commentary] x", comment, call("get_time", "1"), output("noon", "1"), tools=[TIME])
    assert found == (EmitMessage(text="The tool says: noon", phase="final_answer"),)


# ---- tools


def test_a_function_is_called_with_arguments_that_fit() -> None:
    (step,) = steps("x", tools=[WEATHER])
    assert isinstance(step, EmitCall)
    assert list(Draft202012Validator(WEATHER["parameters"]).iter_errors(json.loads(step.arguments))) == []
    assert steps("x", tools=[TIME]) == (EmitCall(name="get_time", arguments="{}"),)
    assert steps("x", tools=[{**TIME, "parameters": {}}]) == (EmitCall(name="get_time", arguments="{}"),)


def test_calls_of_the_same_function_differ() -> None:
    found = steps("[calls 2]", tools=[WEATHER])
    assert found == (
        EmitCall(name="get_weather", arguments='{"city":"city"}'),
        EmitCall(name="get_weather", arguments='{"city":"city 2"}'),
    )


def test_a_custom_tool_gets_text() -> None:
    (step,) = steps("run this", tools=[RUN])
    assert isinstance(step, EmitItem)
    assert step.item == CustomToolCall(id="ctc_1", call_id="call_2", name="run", input="run this", status="completed")
    grammar = {"type": "grammar", "syntax": "regex", "definition": r"^\d+$"}
    (step,) = steps("run this", tools=[{**RUN, "format": grammar}])
    assert isinstance(step, EmitItem)
    assert isinstance(step.item, CustomToolCall)
    assert step.item.input == "1"


def test_a_function_of_a_namespace() -> None:
    box = {"type": "namespace", "name": "box", "description": "", "tools": [TIME]}
    (step,) = steps("x", tools=[box])
    assert isinstance(step, EmitItem)
    assert isinstance(step.item, FunctionCall)
    assert (step.item.name, step.item.namespace, step.item.arguments) == ("get_time", "box", "{}")


def kinds(found: tuple[ScriptedStep, ...]) -> list[str]:
    return [step.item.type if isinstance(step, EmitItem) else type(step).__name__ for step in found]


def test_hosted_tools_are_answered_at_once() -> None:
    assert kinds(steps("x", tools=[{"type": "web_search"}])) == ["web_search_call", "EmitMessage"]
    found = steps("x", tools=[{**DOCS, "require_approval": "never"}])
    assert kinds(found) == ["mcp_list_tools", "mcp_call", "EmitMessage"]
    assert found[-1] == EmitMessage(text='The tool says: {"query":"x"}')


def test_tools_of_the_client_end_the_response() -> None:
    assert kinds(steps("x", tools=[{"type": "shell"}])) == ["shell_call"]
    assert kinds(steps("x", tools=[DOCS])) == ["mcp_list_tools", "mcp_approval_request"]


def test_hosted_tools_come_before_function_calls() -> None:
    found = steps("get_time, web_search", tools=[TIME, {"type": "web_search"}])
    assert kinds(found) == ["web_search_call", "EmitCall"]


def test_an_approved_call_is_made() -> None:
    request = {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "server_label": "docs",
        "name": "search",
        "arguments": "{}",
    }
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    put, answer = steps("x", request, approval, tools=[DOCS])
    assert isinstance(put, EmitItem)
    assert isinstance(put.item, McpCall)
    assert put.item.approval_request_id == "mcpr_1"
    assert answer == EmitMessage(text="The tool says: {}")
    assert steps("x", request, {**approval, "approve": False}) == (
        EmitMessage(text="I did not call search: the call was not approved."),
    )


# ---- scripts


def test_a_script_replaces_everything_but_error_wait_and_slow() -> None:
    script = ScriptRules.parse('[{"when": {"contains": "hi"}, "then": "scripted"}]')
    found = plan_answer(turn("[wait 1] [refuse] Hi", tools=[TIME], reasoning={"effort": "low"}), counted(), script)
    assert found.steps == (Wait(seconds=1), EmitMessage(text="scripted"))
    assert plan_answer(turn("other"), counted(), script).steps == (EmitMessage(text="other"),)
    with pytest.raises(RateLimitError):
        plan_answer(turn("[error 429] hi"), counted(), script)


HIDDEN: dict[str, Any] = {**WEATHER, "defer_loading": True}


@pytest.mark.parametrize("inside", [False, True])
def test_a_tool_search_finds_a_deferred_function(*, inside: bool) -> None:
    box = {"type": "namespace", "name": "box", "description": "", "tools": [HIDDEN]}
    tools = [{"type": "tool_search"}, box if inside else HIDDEN]
    planned = steps("What is the weather?", tools=tools)
    items = [step.item for step in planned if isinstance(step, EmitItem)]
    assert [item.type for item in items[:2]] == ["tool_search_call", "tool_search_output"]
    assert dump(items[1])["tools"] == [HIDDEN]
    called = items[2] if inside else planned[2]
    assert (getattr(called, "name", ""), len(planned)) == ("get_weather", 3)
    # In the next turn it is known.
    assert len(steps("What is the weather?", *map(dump, items[:2]), "And get_weather now?", tools=tools)) == 1


@pytest.mark.parametrize(("found", "called"), [([HIDDEN], "get_weather"), ([TIME], "get_time"), ([], None)])
def test_a_client_that_searches_itself_says_what_it_found(found: list[dict[str, Any]], called: str | None) -> None:
    tools = [{"type": "tool_search", "execution": "client"}, HIDDEN]
    (step,) = steps("What is the weather?", tools=tools)
    assert isinstance(step, EmitItem)
    search = dump(step.item)
    assert (search["type"], search["execution"]) == ("tool_search_call", "client")
    answer = {"type": "tool_search_output", "call_id": search["call_id"], "execution": "client", "tools": found}
    (after,) = steps("What is the weather?", search, answer, tools=tools)
    assert getattr(after, "name", None) == called


def test_without_a_tool_search_a_deferred_function_is_called() -> None:
    (step,) = steps("x", tools=[HIDDEN])
    assert isinstance(step, EmitCall)
