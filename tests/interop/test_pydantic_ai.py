"""An agent of pydantic-ai, with a tool and a type for its output, against the scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pydantic
import pydantic_ai
import pytest
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from tests.interop.scripted_server import both_servers
from tests.support import run

if TYPE_CHECKING:
    from collections.abc import Generator


@both_servers
def url(request: pytest.FixtureRequest) -> Generator[str]:
    with request.param() as address:
        yield address


class Forecast(pydantic.BaseModel):
    """What the weather will be."""

    summary: str
    degrees: int = pydantic.Field(ge=10)


def get_weather(city: str) -> str:
    """Say what the weather is in a city."""
    return f"Sunny in {city}."


@pytest.mark.parametrize("native", [False, True])
def test_an_agent_calls_its_tool_and_gives_its_type(url: str, *, native: bool) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="any") as client:
            model = OpenAIResponsesModel("scripted", provider=OpenAIProvider(openai_client=client))
            output = pydantic_ai.NativeOutput(Forecast) if native else Forecast
            agent = pydantic_ai.Agent(model, output_type=output, tools=[get_weather], instructions="Be brief.")
            result = await agent.run("What is the weather in Paris?")
        assert result.output == Forecast(summary="summary", degrees=10)
        called = [
            part.tool_name
            for message in result.all_messages()
            for part in message.parts
            if isinstance(part, pydantic_ai.messages.ToolReturnPart)
        ]
        assert called[0] == "get_weather"

    run("asyncio", main)


def test_a_streamed_run_in_plain_text(url: str) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="any") as client:
            model = OpenAIResponsesModel("scripted", provider=OpenAIProvider(openai_client=client))
            agent = pydantic_ai.Agent(model, tools=[get_weather])
            async with agent.run_stream('get_weather({"city": "Paris"})') as result:
                said = [text async for text in result.stream_text(delta=True)]
        assert "".join(said) == "The tool says: Sunny in Paris."

    run("asyncio", main)
