"""The answers of the scripted model, over the wire."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.asgi import connected
from tests.support import both_loops, run

from responses_proto.client import response_meta
from responses_proto.codec import dump, load
from responses_proto.exceptions import RateLimitError
from responses_proto.models.content import OutputText, UrlCitation
from responses_proto.models.items import FunctionCall, Message, Reasoning
from responses_proto.models.request import CreateResponse, InputTokensRequest
from responses_proto.protocol import Emitter, ResponseStream, encode_event
from responses_proto.scripted import Scripted, ScriptRules
from responses_proto.server import Reply, ResponsesApp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from responses_proto.models.events import Event
    from responses_proto.models.response import Response

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
        "required": ["city", "unit"],
    },
}
OTHER = {"type": "function", "name": "other"}


def answer(
    backend: str = "asyncio", *, script: ScriptRules | None = None, delay: float = 0.0, **request: Any
) -> Response:
    """Return the answer as a strict client receives it."""
    asked = load({"model": "scripted", "input": "hello there", **request}, CreateResponse)
    stream = ResponseStream(strict=True)

    async def send(events: Sequence[Event]) -> None:
        for event in events:
            stream.receive_data(encode_event(event))

    given = asked.input or ()
    context = [Message(role="user", content=given)] if isinstance(given, str) else given

    async def main() -> None:
        await Scripted(script=script, delay=delay)(
            asked, Reply(Emitter(asked, now=0), send, lambda: 1, context=context)
        )

    run(backend, main)
    assert stream.ended
    return stream.response


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


@both_loops
def test_it_says_the_last_user_message_again(backend: str) -> None:
    response = answer(backend, input=[user("first"), {"role": "assistant", "content": "no"}, user("the  last\none ")])
    assert response.output_text == "the  last\none "
    assert response.status == "completed"
    assert len(response.output) == 1


def test_it_tells_a_story_of_three_sentences_about_what_is_asked_for() -> None:
    text = answer(input="Tell me a three-sentence bedtime story about a unicorn.").output_text
    assert text.count(".") == 3
    assert "a unicorn" in text
    assert "the unicorn" in text
    assert "a dragon" in answer(input="a story about a dragon, please").output_text
    assert "a unicorn" in answer(input="any story").output_text


def test_the_same_request_gets_the_same_answer() -> None:
    request: dict[str, Any] = {"input": "story", "reasoning": {"effort": "high"}}
    one, two = answer(**request), answer(**request)
    assert (one.output_text, one.reasoning_text, one.usage) == (two.output_text, two.reasoning_text, two.usage)


def test_tokens_are_words() -> None:
    usage = answer(input=[user("one two three")], instructions="Be brief.").usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 3, 8)


# ---- functions


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        (None, "get_weather"),
        ("auto", "get_weather"),
        ("required", "get_weather"),
        ("none", None),
        ({"type": "function", "name": "other"}, "other"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "other"}]}, "other"),
        ({"type": "allowed_tools", "mode": "none", "tools": [{"type": "function", "name": "other"}]}, None),
    ],
)
def test_it_calls_the_function_that_the_choice_is_for(choice: object, called: str | None) -> None:
    response = answer(tools=[{"type": "web_search"}, WEATHER, OTHER], tool_choice=choice)
    assert [call.name for call in response.function_calls] == ([called] if called else [])
    assert response.output_text == ("" if called else "hello there")


def test_arguments_fit_the_schema() -> None:
    call = answer(tools=[WEATHER]).function_calls[0]
    assert json.loads(call.arguments) == {"city": "city", "unit": "C"}
    assert call.status == "completed"
    assert call.call_id != call.id


def test_it_quotes_the_output_instead_of_calling_again() -> None:
    first = answer(tools=[WEATHER])
    call = first.function_calls[0]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 20 degrees"}
    second = answer(tools=[WEATHER], input=[user("weather?"), *map(dump, first.output), output])
    assert second.function_calls == []
    assert second.output_text == "The tool says: sunny, 20 degrees"


def test_a_new_question_after_a_tool_is_answered_by_a_call_again() -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": "sunny"}
    assert answer(tools=[WEATHER], input=[output, user("and tomorrow?")]).function_calls


# ---- formats and reasoning


def test_it_fills_the_schema_of_the_text_format() -> None:
    shape = {"type": "json_schema", "name": "weather", "schema": WEATHER["parameters"], "strict": False}
    assert json.loads(answer(text={"format": shape}).output_text) == {"city": "city", "unit": "C"}
    assert json.loads(answer(text={"format": {"type": "json_object"}}).output_text) == {"answer": "hello there"}


@pytest.mark.parametrize(("reasoning", "thinks"), [({"effort": "low"}, True), ({"effort": "none"}, False), ({}, False)])
def test_it_emits_reasoning_on_request(reasoning: dict[str, str], *, thinks: bool) -> None:
    response = answer(reasoning=reasoning)
    kinds = [type(item) for item in response.output]
    assert kinds == ([Reasoning, Message] if thinks else [Message])
    assert bool(response.reasoning_text) is thinks
    assert response.usage
    assert (response.usage.output_tokens_details.reasoning_tokens > 0) is thinks


def test_reasoning_can_be_kept_by_the_client() -> None:
    item = answer(reasoning={"effort": "low"}, include=["reasoning.encrypted_content"]).output[0]
    assert isinstance(item, Reasoning)
    assert item.encrypted_content


# ---- other ends


def test_it_stops_at_max_output_tokens() -> None:
    response = answer(input="one two three four", max_output_tokens=2)
    assert response.output_text == "one two"
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage
    assert response.usage.output_tokens == 2


def test_max_output_tokens_counts_reasoning_and_calls() -> None:
    thinking = answer(reasoning={"effort": "low"}, max_output_tokens=3)
    assert [item.type for item in thinking.output] == ["reasoning"]
    assert thinking.usage
    assert thinking.usage.output_tokens_details.reasoning_tokens == 3
    call = answer(tools=[WEATHER], max_output_tokens=1).output[0]
    assert isinstance(call, FunctionCall)
    assert call.status == "incomplete"


@pytest.mark.parametrize(
    ("asked", "effort", "cap"),
    [
        ("[think 40] why?", None, 32),
        ("Explain, step by step, why the sky is blue.", "low", 32),
        ("[think 16] the cap ends with the reasoning", None, 16),
    ],
)
def test_a_cap_can_be_spent_on_reasoning_alone(asked: str, effort: str | None, cap: int) -> None:
    response = answer(input=asked, max_output_tokens=cap, reasoning={"effort": effort})
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert [item.type for item in response.output] == ["reasoning"]
    assert response.usage
    assert response.usage.output_tokens == response.usage.output_tokens_details.reasoning_tokens
    assert response.usage.output_tokens == cap
    assert response.reasoning_text


@both_loops
def test_it_states_rate_limits(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            created = await client.create(model="m", input="one two three")
            assert response_meta(created).rate_limits["tokens"].remaining == 2_000_000 - 3
            async with client.stream(model="m", input="one") as stream:
                assert response_meta(await stream.result()).rate_limits["requests"].remaining == 9_999
            with pytest.raises(RateLimitError) as caught:
                await client.create(model="m", input="[error 429 7]")
            assert caught.value.headers["x-ratelimit-remaining-requests"] == "0"
            assert caught.value.headers["x-ratelimit-reset-requests"] == "7s"

    run(backend, main)


def test_it_refuses_on_request() -> None:
    response = answer(input="[refuse] this")
    assert response.refusal
    assert response.output_text == ""
    assert response.status == "completed"


def test_it_fails_on_request_halfway() -> None:
    response = answer(input="[fail] now")
    assert response.status == "failed"
    assert response.error
    assert response.error.code == "server_error"
    assert response.output_text == "This is as far as I"


def test_the_markers_set_reason_and_code() -> None:
    response = answer(input="[incomplete content_filter]")
    assert response.incomplete_details
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "content_filter")
    message = response.output[0]
    assert isinstance(message, Message)
    assert message.status == "incomplete"
    response = answer(input="[fail rate_limit_exceeded]")
    assert response.error
    assert response.error.code == "rate_limit_exceeded"


def test_an_error_comes_before_anything_else() -> None:
    with pytest.raises(RateLimitError) as caught:
        answer(input="[error 429 7] now")
    assert caught.value.retry_after == 7


def test_an_item_beyond_max_output_tokens_is_left_out() -> None:
    tools = [{"type": "custom", "name": "run"}]
    response = answer(input="one two three", tools=tools, max_output_tokens=2)
    assert (response.status, response.output) == ("incomplete", [])
    assert answer(input="one two three", tools=tools, max_output_tokens=3).status == "completed"


# ---- other features


def test_log_probabilities_of_every_token() -> None:
    response = answer(input="one two", include=["message.output_text.logprobs"], top_logprobs=2)
    part = response.output[0].content[0] if isinstance(response.output[0], Message) else None
    assert isinstance(part, OutputText)
    assert [entry.token for entry in part.logprobs or ()] == ["one", " two"]
    for entry in part.logprobs or ():
        likeliest = entry.top_logprobs or []
        assert [other.logprob for other in likeliest] == [entry.logprob, entry.logprob - 1]
        assert likeliest[0].token == entry.token
        assert bytes(entry.bytes or ()).decode() == entry.token
    plain = answer(input="one two", top_logprobs=2).output[0]
    assert isinstance(plain, Message)
    assert dump(plain)["content"][0]["logprobs"] == []


def test_a_citation_of_the_whole_text() -> None:
    message = answer(input="[cite] hello there").output[0]
    assert isinstance(message, Message)
    part = message.parts[0]
    assert isinstance(part, OutputText)
    cited = [(a.start_index, a.end_index) for a in part.annotations or () if isinstance(a, UrlCitation)]
    assert cited == [(0, len("hello there"))]


def test_several_messages_and_calls_in_one_response() -> None:
    response = answer(input="[commentary] get_weather and other", tools=[WEATHER, OTHER])
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
    assert [getattr(item, "phase", None) for item in response.output] == ["commentary", None, None]
    assert len({call.call_id for call in response.function_calls}) == 2


def test_hosted_tools_emit_their_items() -> None:
    response = answer(tools=[{"type": "web_search"}])
    assert [item.type for item in response.output] == ["web_search_call", "message"]
    assert response.output_text == "hello there"


@both_loops
def test_it_can_be_slow(backend: str) -> None:
    start = time.monotonic()
    answer(backend, input="[wait 0.1] [slow 0.05] one two three")
    assert time.monotonic() - start >= 0.25


def test_the_delay_of_the_model_is_the_default() -> None:
    start = time.monotonic()
    answer(input="one two three", delay=0.05)
    assert time.monotonic() - start >= 0.15


def test_a_script_answers_instead() -> None:
    script = ScriptRules.parse('[{"when": {"contains": "hello"}, "then": ["Hi.", {"call": "other"}]}]')
    response = answer(script=script, tools=[WEATHER])
    assert response.output_text == "Hi."
    assert [call.name for call in response.function_calls] == ["other"]
    assert [call.name for call in answer(script=script, input="bye", tools=[WEATHER]).function_calls] == ["get_weather"]


@both_loops
def test_it_counts_an_input_as_its_usage_does(backend: str) -> None:
    async def main() -> None:
        context = [Message(role="user", content="one two three")]
        request = InputTokensRequest(model="scripted", instructions="Be brief.")
        assert await Scripted().count(request, context) == 5

    run(backend, main)
