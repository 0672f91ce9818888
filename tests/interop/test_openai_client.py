"""The official client, as it is, against the scripted server, as it is started."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Literal

import openai
import pydantic
import pytest
from tests.interop.scripted_server import both_servers, served
from tests.support import PATIENCE, run

if TYPE_CHECKING:
    from collections.abc import Generator

    from openai.types.responses import FunctionToolParam, Response

MODEL = "scripted"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Fair(pydantic.BaseModel):
    name: str
    visitors: list[str] = pydantic.Field(min_length=2)
    days: int = pydantic.Field(ge=3)
    kind: Literal["art", "science"]


@both_servers
def url(request: pytest.FixtureRequest) -> Generator[str]:
    with request.param() as address:
        yield address


@pytest.fixture
def client(url: str) -> Generator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as connected:
        yield connected


@pytest.fixture(scope="module")
def scripted() -> Generator[openai.OpenAI]:
    """Connect to the scripted model itself, for what it says and a provider of Chat Completions has no words for."""
    with served() as url, openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as connected:
        yield connected


def answer_calls(response: Response) -> list[Any]:
    """Return the outputs of the function calls of a response, as input items."""
    return [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"{item.name}: sunny"}
        for item in response.output
        if item.type == "function_call"
    ]


# ---- create


def test_create(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="hello there", instructions="Be brief.", metadata={"a": "b"})
    assert response.output_text == "hello there"
    assert (response.status, response.model, response.object) == ("completed", MODEL, "response")
    assert response.metadata == {"a": "b"}
    assert response.usage
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, 2)
    assert response.output[0].type == "message"
    assert response.output[0].content[0].type == "output_text"


def test_images_and_roles(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model=MODEL,
        input=[
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what?"},
                    {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="},
                ],
            },
        ],
    )
    assert response.output_text == "what? (with image)"


def test_a_conversation_by_the_previous_response(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="My name is Ada.")
    second = client.responses.create(model=MODEL, input="What is my name?", previous_response_id=first.id)
    assert second.output_text == "You said: My name is Ada."
    assert second.previous_response_id == first.id


def test_output_goes_into_the_next_input_as_it_stands(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="[cite] hello", reasoning={"effort": "low"})
    items: list[Any] = [*first.output, {"role": "user", "content": "What did you say?"}]
    assert client.responses.create(model=MODEL, input=items).output_text == "I said: hello"


def test_a_bounded_answer(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="[long 100]", max_output_tokens=16)
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert len(response.output_text.split()) == 16


def test_a_refusal(client: openai.OpenAI) -> None:
    message = client.responses.create(model=MODEL, input="[refuse]").output[0]
    assert message.type == "message"
    assert message.content[0].type == "refusal"


def test_a_failure(scripted: openai.OpenAI) -> None:
    failed = scripted.responses.create(model=MODEL, input="[fail]")
    assert failed.status == "failed"
    assert failed.error
    assert failed.error.code == "server_error"


def test_reasoning(scripted: openai.OpenAI) -> None:
    response = scripted.responses.create(
        model=MODEL,
        input="hello",
        reasoning={"effort": "high", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    )
    thought = response.output[0]
    assert thought.type == "reasoning"
    assert len(thought.summary) == 3
    assert thought.encrypted_content
    assert response.usage
    assert response.usage.output_tokens_details.reasoning_tokens > 0


def test_log_probabilities(scripted: openai.OpenAI) -> None:
    response = scripted.responses.create(
        model=MODEL, input="one two", include=["message.output_text.logprobs"], top_logprobs=2
    )
    message = response.output[0]
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    assert message.content[0].logprobs
    assert [(entry.token, len(entry.top_logprobs)) for entry in message.content[0].logprobs] == [
        ("one", 2),
        (" two", 2),
    ]


# ---- streams


def test_the_raw_stream(client: openai.OpenAI) -> None:
    with client.responses.create(model=MODEL, input="hello there", stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))


def test_the_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="hello there", reasoning={"effort": "low"}) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == "hello there"
    assert [item.type for item in final.output] == ["reasoning", "message"]


def test_a_turn_with_a_tool(client: openai.OpenAI) -> None:
    items: list[Any] = [{"role": "user", "content": 'Is it nice? get_weather({"city": "Rome", "unit": "C"})'}]
    texts: list[str] = []
    outputs: list[Any] = ["first"]
    while outputs:
        with client.responses.stream(model=MODEL, input=items, tools=[WEATHER], store=False) as stream:
            texts += [event.delta for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        outputs = answer_calls(final)
        items += [*final.output, *outputs]
    assert "".join(texts) == "The tool says: get_weather: sunny"
    assert len(texts) > 1


def test_the_stream_helper_with_functions_and_a_format(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="x", tools=[WEATHER]) as stream:
        calls = [event for event in stream if event.type == "response.function_call_arguments.done"]
        final = stream.get_final_response()
    assert [item.type for item in final.output] == ["function_call"]
    assert json.loads(calls[0].arguments) == {"city": "city", "unit": "C"}
    with client.responses.stream(model=MODEL, input="x", text_format=Fair) as stream:
        parsed = stream.get_final_response().output_parsed
    assert parsed == Fair(name="name", visitors=["visitors", "visitors 2"], days=3, kind="art")


def test_a_stream_that_is_incomplete(client: openai.OpenAI) -> None:
    with client.responses.create(model=MODEL, input="[long 50]", stream=True, max_output_tokens=20) as stream:
        last = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_a_stream_that_is_left(client: openai.OpenAI) -> None:
    with client.responses.create(model=MODEL, input="[long 5000]", stream=True) as stream:
        assert next(iter(stream)).type == "response.created"
    assert client.responses.create(model=MODEL, input="still there").output_text == "still there"


# ---- functions and formats


def test_functions_and_their_results(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="The weather?", tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "city", "unit": "C"}
    second = client.responses.create(
        model=MODEL, input=answer_calls(first), tools=[WEATHER], previous_response_id=first.id
    )
    assert second.output_text == "The tool says: get_weather: sunny"
    items: list[Any] = [{"role": "user", "content": "The weather?"}, *first.output, *answer_calls(first)]
    third = client.responses.create(model=MODEL, input=items, tools=[WEATHER], store=False)
    assert third.output_text == second.output_text


def test_parallel_calls(client: openai.OpenAI) -> None:
    def calls(**how: Any) -> list[str]:
        asked = 'get_weather({"city": "Rome", "unit": "C"}) and get_weather({"city": "Oslo", "unit": "F"})'
        response = client.responses.create(model=MODEL, input=asked, tools=[WEATHER], extra_body=how)
        return [json.loads(item.arguments)["city"] for item in response.output if item.type == "function_call"]

    assert calls() == ["Rome", "Oslo"]
    assert calls(parallel_tool_calls=False) == ["Rome"]
    assert calls(tool_choice="none") == []


def test_custom_tools(scripted: openai.OpenAI) -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": r"^\d{2}$"}
    tools: list[Any] = [{"type": "custom", "name": "run", "format": grammar}]
    (call,) = scripted.responses.create(model=MODEL, input="x", tools=tools).output
    assert call.type == "custom_tool_call"
    assert call.input == "11"


def test_remote_mcp_with_an_approval(scripted: openai.OpenAI) -> None:
    tools: list[Any] = [
        {"type": "mcp", "server_label": "docs", "server_url": "https://docs.test/mcp", "allowed_tools": ["search"]}
    ]
    first = scripted.responses.create(model=MODEL, input="how?", tools=tools)
    listed, request = first.output
    assert listed.type == "mcp_list_tools"
    assert [tool.name for tool in listed.tools] == ["search"]
    assert request.type == "mcp_approval_request"
    second = scripted.responses.create(
        model=MODEL,
        input=[{"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}],
        tools=tools,
        previous_response_id=first.id,
    )
    assert [item.type for item in second.output] == ["mcp_call", "message"]


def test_parse(client: openai.OpenAI) -> None:
    response = client.responses.parse(model=MODEL, input="Alice and Bob go to a fair.", text_format=Fair)
    assert response.output_parsed == Fair(name="name", visitors=["visitors", "visitors 2"], days=3, kind="art")
    refused = client.responses.parse(model=MODEL, input="[refuse]", text_format=Fair)
    assert refused.output_parsed is None


# ---- what is stored


def test_retrieve_and_delete(client: openai.OpenAI) -> None:
    made = client.responses.create(model=MODEL, input="hello there")
    assert client.responses.retrieve(made.id) == made
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(made.id)


def test_what_is_not_to_be_stored_is_not(client: openai.OpenAI) -> None:
    made = client.responses.create(model=MODEL, input="hello there", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_input_items_in_pages(client: openai.OpenAI) -> None:
    texts = [f"message {n}" for n in range(7)]
    made = client.responses.create(model=MODEL, input=[{"role": "user", "content": text} for text in texts])
    page = client.responses.input_items.list(made.id, limit=3, order="asc")
    assert (len(page.data), page.has_more) == (3, True)
    found = [item.content[0] for item in page if item.type == "message"]
    assert [part.text for part in found if part.type == "input_text"] == texts
    newest = client.responses.input_items.list(made.id, limit=1).data[0]
    assert newest.type == "message"
    assert newest.content[0].type == "input_text"
    assert newest.content[0].text == texts[-1]


def wait(client: openai.OpenAI, response: Response) -> Response:
    until = time.monotonic() + PATIENCE
    while response.status in ("queued", "in_progress") and time.monotonic() < until:
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
    return response


def test_in_the_background(client: openai.OpenAI) -> None:
    begun = client.responses.create(model=MODEL, input="[wait 0.1] hello there", background=True)
    assert (begun.status, begun.background) == ("queued", True)
    ended = wait(client, begun)
    assert (ended.status, ended.output_text) == ("completed", "hello there")


def test_cancelling(client: openai.OpenAI) -> None:
    begun = client.responses.create(model=MODEL, input="[slow 0.2] " + "word " * 100, background=True)
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.retrieve(begun.id).status == "cancelled"
    assert client.responses.cancel(begun.id).status == "cancelled"


def test_a_stream_in_the_background_is_taken_up_again(client: openai.OpenAI) -> None:
    seen: list[Any] = []
    with client.responses.create(model=MODEL, input="[slow 0.02] a b c d e", background=True, stream=True) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    first: Any = seen[0]
    with client.responses.retrieve(first.response.id, stream=True, starting_after=seen[-1].sequence_number) as rest:
        seen += rest
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].type == "response.completed"
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == "a b c d e"


# ---- what is wrong


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": MODEL, "input": "x", "temperature": "hot"}, "temperature"),
        (
            {"model": MODEL, "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": "x"}, "model"),
        ({"model": MODEL, "input": "x", "previous_response_id": "resp_none"}, "previous_response_id"),
        ({"model": MODEL, "input": [{"type": "function_call_output", "call_id": "c", "output": ""}]}, "input"),
        ({"model": MODEL, "input": "x", "inptu": "y"}, "inptu"),
    ],
)
def test_a_bad_request_says_where_it_is_bad(client: openai.OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(extra_body=fields)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, openai.BadRequestError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
def test_errors_that_are_asked_for(client: openai.OpenAI, status: int, kind: type[openai.APIStatusError]) -> None:
    with pytest.raises(kind) as caught:
        client.responses.create(model=MODEL, input=f"[error {status} 2]")
    assert caught.value.response.headers["retry-after"] == "2"
    with pytest.raises(kind):
        client.responses.create(model=MODEL, input=f"[error {status} 2]", stream=True)


def test_a_wrong_key(scripted: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        scripted.responses.create(model=MODEL, input="[error 401]")


def test_a_stream_that_fails(client: openai.OpenAI) -> None:
    with (
        client.responses.create(model=MODEL, input="[fail]", stream=True) as stream,
        pytest.raises(openai.APIError, match="asks for a failure"),
    ):
        list(stream)


def test_keys() -> None:
    with served("--api-key", "one", "--api-key", "two") as address:
        with openai.OpenAI(base_url=address, api_key="two") as known:
            assert known.responses.create(model=MODEL, input="hello").output_text == "hello"
        with openai.OpenAI(base_url=address, api_key="three") as unknown, pytest.raises(openai.AuthenticationError):
            unknown.responses.create(model=MODEL, input="hello")


# ---- the other endpoints


def test_conversations(client: openai.OpenAI) -> None:
    conversation = client.conversations.create(
        metadata={"topic": "names"}, items=[{"type": "message", "role": "user", "content": "My name is Ada."}]
    )
    assert client.conversations.retrieve(conversation.id).metadata == {"topic": "names"}
    response = client.responses.create(model=MODEL, input="What is my name?", conversation=conversation.id)
    assert response.output_text == "You said: My name is Ada."
    assert response.conversation
    assert response.conversation.id == conversation.id
    again = client.responses.create(model=MODEL, input="What did you say?", conversation=conversation.id)
    assert again.output_text == "I said: You said: My name is Ada."

    items = list(client.conversations.items.list(conversation.id, order="asc", limit=2))
    assert [getattr(item, "role", None) for item in items] == ["user", "user", "assistant", "user", "assistant"]
    added = client.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "more"}]
    )
    name = added.data[0].id or ""
    assert client.conversations.items.retrieve(name, conversation_id=conversation.id).id == name
    client.conversations.items.delete(name, conversation_id=conversation.id)
    assert len(list(client.conversations.items.list(conversation.id))) == 5

    assert client.conversations.update(conversation.id, metadata={"a": "b"}).metadata == {"a": "b"}
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_counting_tokens(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model=MODEL, input="one two three", instructions="Be brief.")
    made = client.responses.create(model=MODEL, input="one two three", instructions="Be brief.")
    assert made.usage
    assert counted.input_tokens == made.usage.input_tokens == 5


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # its types know no user messages in an output
def test_compacting(client: openai.OpenAI) -> None:
    items: list[Any] = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
    ]
    compacted = client.responses.compact(model=MODEL, input=items)
    assert compacted.object == "response.compaction"
    assert "compaction" in [item.type for item in compacted.output]
    go_on: list[Any] = [*compacted.output, {"role": "user", "content": "What did you say?"}]
    assert client.responses.create(model=MODEL, input=go_on).output_text == "I said: Hello Ada."


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


# ---- the asynchronous client


def test_the_asynchronous_client(url: str) -> None:
    # Not on trio, where it leaves generators of its own to the garbage collector.
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE) as client:
            first = await client.responses.create(model=MODEL, input="The weather?", tools=[WEATHER])
            second = await client.responses.create(
                model=MODEL, input=answer_calls(first), previous_response_id=first.id, tools=[WEATHER]
            )
            assert second.output_text == "The tool says: get_weather: sunny"

            async with client.responses.stream(model=MODEL, input="hello there") as stream:
                text = [event.delta async for event in stream if event.type == "response.output_text.delta"]
                final = await stream.get_final_response()
            assert "".join(text) == final.output_text == "hello there"

            async with await client.responses.create(model=MODEL, input="hello there", stream=True) as raw:
                types = [event.type async for event in raw]
            assert (types[0], types[-1], len(types)) == ("response.created", "response.completed", 10)

            parsed = await client.responses.parse(model=MODEL, input="x", text_format=Fair)
            assert parsed.output_parsed
            assert parsed.output_parsed.kind == "art"

            items = [item async for item in await client.responses.input_items.list(second.id, limit=1)]
            assert [item.type for item in items] == ["function_call_output"]
            await client.responses.delete(second.id)
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(second.id)

            begun = await client.responses.create(model=MODEL, input="[slow 1] a b c", background=True)
            assert (await client.responses.cancel(begun.id)).status == "cancelled"

            conversation = await client.conversations.create()
            await client.responses.create(model=MODEL, input="My name is Ada.", conversation=conversation.id)
            named = await client.responses.create(model=MODEL, input="My name?", conversation=conversation.id)
            assert named.output_text == "You said: My name is Ada."
            assert (await client.conversations.delete(conversation.id)).deleted

    run("asyncio", main)
