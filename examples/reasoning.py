"""Compare two reasoning efforts, and print the reasoning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.models import ReasoningConfig
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient


async def main(client: ResponsesClient, model: str) -> None:
    """Send the same input with two efforts."""
    for effort in ("low", "high"):
        response = await client.create(
            model=model,
            instructions="You are a helpful assistant.",
            input="Say hello to the world.",
            reasoning=ReasoningConfig(effort=effort, summary="auto"),
        )
        spent = response.usage.output_tokens_details.reasoning_tokens if response.usage else 0
        print(f"effort {effort}, {spent} tokens: {response.reasoning_text or 'no reasoning'}")
        print(f"-> {response.output_text}\n")


if __name__ == "__main__":
    run(main)
