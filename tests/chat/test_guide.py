"""The nine patterns of the Hugging Face guide to the Responses API, over the bridge: streamed and whole, over HTTP and WebSocket.

The bridge runs as users run it, ``responses-proto serve --upstream``; the provider has the scripted model behind it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.interop.scripted_server import bridged
from tests.mcp_peers import over_http
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.codec import dump
from responses_proto.models import McpCall, McpListTools, Reasoning
from responses_proto.schema import text_format
from responses_proto.testing import check_stream

pytest.importorskip("mcp")

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from responses_proto.models import Response

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
MODEL = "openai/gpt-oss-120b:groq"
STORY = "Tell me a three-sentence bedtime story about a unicorn."


@attrs.frozen
class CalendarEvent:
    """An event."""

    name: str
    date: str
    participants: list[str]


WEATHER = {
    "type": "function",
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location", "unit"],
    },
}


@pytest.fixture(scope="module")
def mcp() -> Generator[str]:
    with over_http() as url:
        yield url


@pytest.fixture(scope="module", params=["huggingface", "vllm"])
def url(request: pytest.FixtureRequest) -> Generator[str]:
    with bridged("--allow-mcp", "127.0.0.1", dialect=request.param) as address:
        yield address


def _is_story(response: Response) -> None:
    assert response.output_text.count(".") == 3
    assert "unicorn" in response.output_text


def _saw_the_image(response: Response) -> None:
    assert response.output_text == "what is in this image? (with image)"


def _answered(response: Response) -> None:
    assert response.output_text == "Are semicolons optional in JavaScript?"


def _said_it(response: Response) -> None:
    assert "double bubble bath" in response.output_text


def _called(response: Response) -> None:
    (call,) = response.function_calls
    assert call.name == "get_current_weather"
    assert json.loads(call.arguments).keys() == {"location", "unit"}


def _is_event(response: Response) -> None:
    assert json.loads(response.output_text).keys() == {"name", "date", "participants"}


def _used_the_server(response: Response) -> None:
    listed, call, _ = response.output
    assert isinstance(listed, McpListTools)
    assert [tool.name for tool in listed.tools] == ["add"]
    assert isinstance(call, McpCall)
    assert (call.name, call.output) == ("add", "3")
    assert response.output_text == "The tool says: 3"


def _thought(response: Response) -> None:
    thought, message = response.output
    assert isinstance(thought, Reasoning)
    assert thought.text
    assert message.type == "message"


def _routed(response: Response) -> None:
    assert response.model == f"{MODEL}:fastest"
    assert response.output_text == "Say hello."


PATTERNS: dict[str, tuple[dict[str, Any], Callable[[Response], None]]] = {
    "plain text": ({"instructions": "You are a helpful assistant.", "input": STORY}, _is_story),
    "multimodal inputs": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what is in this image?"},
                        {"type": "input_image", "image_url": PIXEL},
                    ],
                }
            ]
        },
        _saw_the_image,
    ),
    "conversations": (
        {
            "input": [
                {"role": "developer", "content": "Talk like a pirate."},
                {"role": "user", "content": "Are semicolons optional in JavaScript?"},
            ]
        },
        _answered,
    ),
    "streaming": ({"input": [{"role": "user", "content": "Say 'double bubble bath' ten times fast."}]}, _said_it),
    "tools": (
        {"tools": [WEATHER], "tool_choice": "auto", "input": "What is the weather like in Boston today?"},
        _called,
    ),
    "structured outputs": (
        {
            "input": [
                {"role": "system", "content": "Extract the event information."},
                {"role": "user", "content": "Alice and Bob are going to a science fair on Friday."},
            ],
            "text": {"format": dump(text_format(CalendarEvent))},
        },
        _is_event,
    ),
    "remote MCP": (
        {
            "input": 'how much is add({"a": 1, "b": 2})?',
            "tools": [
                {
                    "type": "mcp",
                    "server_label": "demo",
                    "server_url": "",  # that of the test's server
                    "allowed_tools": ["add"],
                    "require_approval": "never",
                }
            ],
        },
        _used_the_server,
    ),
    "reasoning effort": (
        {"instructions": "You are a helpful assistant.", "input": "Say hello.", "reasoning": {"effort": "low"}},
        _thought,
    ),
    "routing": ({"input": "Say hello.", "model": f"{MODEL}:fastest"}, _routed),
}


@both_loops
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_the_guide(backend: str, url: str, mcp: str, pattern: str) -> None:
    fields, check = PATTERNS[pattern]
    asked: dict[str, Any] = {"model": MODEL, **fields}
    if pattern == "remote MCP":
        asked["tools"] = [{**fields["tools"][0], "server_url": mcp}]

    async def test() -> None:
        async with ResponsesClient(url, "any") as client:
            whole = await client.create(asked)
            assert whole.status == "completed"
            check(whole)
            async with client.stream(asked) as stream:
                events = [event async for event in stream]
                streamed = await stream.result()
            check(streamed)
            assert check_stream(events).ok
            async with client.connect() as session, session.stream(asked) as turn:
                events = [event async for event in turn]
                check(await turn.result())
            assert check_stream(events).ok

    run(backend, test)
