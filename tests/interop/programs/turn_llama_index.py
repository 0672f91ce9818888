"""Stream one turn with a tool through LlamaIndex. Print the pieces of the text as a JSON array.

Only LlamaIndex and its dependencies are imported: the program runs in an environment of its own.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

core: Any = importlib.import_module("llama_index.core.llms")
tools: Any = importlib.import_module("llama_index.core.tools")
openai: Any = importlib.import_module("llama_index.llms.openai")


def get_weather(city: str) -> str:
    """Say what the weather is in a city."""
    return f"Sunny in {city}."


def main(url: str, asked: str) -> None:
    # The class wants the name of a model that it knows.
    model = openai.OpenAIResponses(model="gpt-4o", api_base=url, api_key="any", max_retries=0)
    tool = tools.FunctionTool.from_defaults(get_weather)
    history: list[Any] = [core.ChatMessage(role="user", content=asked)]
    pieces: list[str] = []
    calls: list[Any] = ["first"]
    while calls:
        last: Any = None
        for last in model.stream_chat_with_tools([tool], chat_history=history):
            pieces.append(last.delta or "")
        history.append(last.message)
        calls = model.get_tool_calls_from_response(last, error_on_no_tool_call=False)
        for call in calls:
            output, call_id = str(tool(**call.tool_kwargs)), {"tool_call_id": call.tool_id}
            history.append(core.ChatMessage(role="tool", content=output, additional_kwargs=call_id))
    print(json.dumps([piece for piece in pieces if piece]))  # noqa: T201 - read by the test


main(*sys.argv[1:])
