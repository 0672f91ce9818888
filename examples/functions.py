"""Let the model call a function. The model chooses the arguments; this program calls the function and sends back the result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from responses_proto.models import FunctionCallOutput, FunctionTool, Message
from responses_proto.protocol import as_input
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.models import Item

WEATHER = FunctionTool(
    name="get_current_weather",
    description="Return the current weather at a place.",
    parameters={
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City and state, such as Boston, MA"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location", "unit"],
        "additionalProperties": False,
    },
    strict=True,
)


def get_current_weather(location: str, unit: str) -> str:
    """Return the weather. A real function would look it up."""
    return f"Sunny in {location}, {22 if unit == 'celsius' else 72} degrees {unit}."


async def main(client: ResponsesClient, model: str) -> None:
    """Ask for the weather, and call the function until the model answers with text."""
    items: list[Item] = [Message(role="user", content="What is the weather like in Boston today?")]
    while True:
        response = await client.create(model=model, input=items, tools=[WEATHER], tool_choice="auto", store=False)
        items += as_input(response.output, client.dialect, stored=False)
        if not response.function_calls:
            print(response.output_text)
            return
        for call in response.function_calls:
            output = get_current_weather(**json.loads(call.arguments))
            print(f"{call.name}({call.arguments}) -> {output}")
            items.append(FunctionCallOutput(call_id=call.call_id, output=output))


if __name__ == "__main__":
    run(main, model="moonshotai/Kimi-K2-Instruct-0905:groq")
