"""Choose who runs the model: behind a colon stands a provider, or what matters most to you.

Without, the router takes its default. The name goes to the server as it stands, whatever server that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient


async def main(client: ResponsesClient, model: str) -> None:
    """Ask the same model at several providers."""
    name, _, _ = model.partition(":")
    for routed in (name, f"{name}:groq", f"{name}:fastest"):
        response = await client.create(model=routed, input="Say hello in three words.")
        print(f"{routed}: {response.output_text}")


if __name__ == "__main__":
    run(main, model="openai/gpt-oss-120b")
