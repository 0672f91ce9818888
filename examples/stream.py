"""Print a story while it streams, and some of the other events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.models import OutputItemAdded, OutputTextDelta, ResponseCreated
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient


async def main(client: ResponsesClient, model: str) -> None:
    """Stream one response."""
    prompt = "Tell me a three-sentence bedtime story about a unicorn."
    async with client.stream(model=model, input=prompt) as stream:
        async for event in stream:
            match event:
                case ResponseCreated(response=response):
                    print(f"[response {response.id}]")
                case OutputItemAdded(item=item):
                    print(f"[{item.type}]")
                case OutputTextDelta(delta=text):
                    print(text, end="", flush=True)
                case _:
                    pass
        response = await stream.result()
    print(f"\n\n{response.model}: {response.status}")


if __name__ == "__main__":
    run(main)
