"""Stream one turn with a tool through LiteLLM. Print the pieces of the text as a JSON array.

Only LiteLLM and its dependencies are imported: the program runs in an environment of its own.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

litellm: Any = importlib.import_module("litellm")

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def main(url: str, asked: str) -> None:
    options = {"model": "openai/scripted", "api_base": url, "api_key": "any", "store": False, "num_retries": 0}
    items: list[Any] = [{"role": "user", "content": asked}]
    pieces: list[str] = []
    calls: list[Any] = ["first"]
    while calls:
        output: list[Any] = []
        for event in litellm.responses(input=items, tools=[WEATHER], stream=True, **options):
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
            elif event.type == "response.completed":
                output = event.response.output
        calls = [item for item in output if item.type == "function_call"]
        items += [item.model_dump(exclude_none=True) for item in output]
        for call in calls:
            text = f"Sunny in {json.loads(call.arguments)['city']}."
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": text})
    print(json.dumps(pieces))  # noqa: T201 - read by the test


main(*sys.argv[1:])
