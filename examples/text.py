"""Create a response, and print its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient


async def main(client: ResponsesClient, model: str) -> None:
    """Ask for a story."""
    response = await client.create(
        model=model,
        instructions="You are a helpful assistant.",
        input="Tell me a three-sentence bedtime story about a unicorn.",
    )
    print(response.output_text)
    if response.usage:
        print(f"\n({response.usage.input_tokens} tokens in, {response.usage.output_tokens} out)")


if __name__ == "__main__":
    run(main)
