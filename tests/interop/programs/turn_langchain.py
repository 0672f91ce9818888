"""Stream one turn with a tool through LangChain. Print the pieces of the text as a JSON array.

Only LangChain and its dependencies are imported: the program runs in an environment of its own.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

langchain: Any = importlib.import_module("langchain_openai")
messages: Any = importlib.import_module("langchain_core.messages")
tools: Any = importlib.import_module("langchain_core.tools")


def get_weather(city: str) -> str:
    """Say what the weather is in a city."""
    return f"Sunny in {city}."


def main(url: str, asked: str) -> None:
    weather = tools.tool(get_weather)
    options = {"model": "scripted", "base_url": url, "api_key": "any", "use_responses_api": True, "max_retries": 0}
    model = langchain.ChatOpenAI(**options).bind_tools([weather])
    history: list[Any] = [messages.HumanMessage(asked)]
    pieces: list[str] = []
    calls: list[Any] = ["first"]
    while calls:
        whole: Any = None
        for chunk in model.stream(history):
            pieces.append(str(chunk.text))
            whole = chunk if whole is None else whole + chunk
        calls = whole.tool_calls
        history += [whole, *(weather.invoke(call) for call in calls)]
    print(json.dumps([piece for piece in pieces if piece]))  # noqa: T201 - read by the test


main(*sys.argv[1:])
