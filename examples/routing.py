"""Choose the provider that runs the model, by the part of the model name after the colon.

The part is a provider (``:groq``) or a criterion: ``:fastest`` has the highest throughput, ``:cheapest`` the lowest price per output token,
and ``:preferred`` is the first in the order of your settings. Without it, the router decides. Other servers get the name unchanged, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient


async def main(client: ResponsesClient, model: str) -> None:
    """Send the same input to several providers."""
    name, _, _ = model.partition(":")
    for routed in (name, *(f"{name}:{rule}" for rule in ("groq", "fastest", "cheapest", "preferred"))):
        response = await client.create(model=routed, input="Say hello in three words.")
        print(f"{routed}: {response.output_text}")


if __name__ == "__main__":
    run(main, model="openai/gpt-oss-120b")
