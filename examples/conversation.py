"""A conversation of two turns, kept by the client. This works with every server, even with those that store nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto.models import Message
from responses_proto.protocol import as_input
from responses_proto.scripted.demo import run

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.models import Item


async def main(client: ResponsesClient, model: str) -> None:
    """Ask two questions, the second about the first."""
    items: list[Item] = [
        Message(role="system", content="You help with programming."),
        Message(role="developer", content="Talk like a pirate."),
    ]
    for question in ("Are semicolons optional in JavaScript?", "What did I ask you before?"):
        items.append(Message(role="user", content=question))
        response = await client.create(model=model, input=items, store=False)
        # The output becomes input, without the items that this server does not accept as input.
        items += as_input(response.output, client.dialect, stored=False)
        print(f"> {question}\n{response.output_text}\n")


if __name__ == "__main__":
    run(main, model="moonshotai/Kimi-K2-Instruct-0905:groq")
