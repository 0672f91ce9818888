"""An agent of openai-agents, with a function, against the scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import agents
import openai
import pydantic
from tests.interop.scripted_server import both_servers
from tests.support import run

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest


@both_servers
def url(request: pytest.FixtureRequest) -> Generator[str]:
    with request.param() as address:
        yield address


class Forecast(pydantic.BaseModel):
    summary: str
    degrees: int


@agents.function_tool
def get_weather(city: str) -> str:
    """Say what the weather is in a city."""
    return f"Sunny in {city}."


def config() -> agents.RunConfig:
    return agents.RunConfig(tracing_disabled=True)  # traces would go over the network


def test_a_run_calls_the_function_and_answers(url: str) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="any") as client:
            model = agents.OpenAIResponsesModel("scripted", client)
            agent = agents.Agent(name="Weather", instructions="Be brief.", model=model, tools=[get_weather])
            asked = 'What is it like? get_weather({"city": "Paris"})'
            result = await agents.Runner.run(agent, asked, run_config=config())
        assert result.final_output == "The tool says: Sunny in Paris."
        kinds = [item.type for item in result.new_items]
        assert kinds == ["tool_call_item", "tool_call_output_item", "message_output_item"]

    run("asyncio", main)


def test_a_streamed_run_with_an_output_type(url: str) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="any") as client:
            model = agents.OpenAIResponsesModel("scripted", client)
            agent = agents.Agent(name="Weather", model=model, tools=[get_weather], output_type=Forecast)
            result = agents.Runner.run_streamed(agent, "What is the weather?", run_config=config())
            deltas = [
                event.data.delta
                async for event in result.stream_events()
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
            ]
        assert result.final_output == Forecast(summary="summary", degrees=1)
        assert Forecast.model_validate_json("".join(deltas)) == result.final_output

    run("asyncio", main)
