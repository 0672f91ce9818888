"""Let the model call tools, and then answer with a value of a given type. The tools share a database, passed as ``deps``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from responses_proto import function_tool
from responses_proto.schema import Parsed
from responses_proto.scripted.demo import run as run_with_client
from responses_proto.tools import ToolContext  # noqa: TC001 - read when the tool is made

if TYPE_CHECKING:
    from responses_proto import ResponsesClient

REQUEST = 'I need an offer for a chair: get_price({"article": "chair"}).'


@attrs.frozen
class Database:
    """The prices of the shop."""

    prices: dict[str, int]


@attrs.frozen
class Offer:
    """An offer to the customer."""

    article: str
    price: int


@function_tool
async def get_price(context: ToolContext[Database], article: str) -> int:
    """Return the price of an article."""
    print(f"[the price of {article}]")
    return context.deps.prices.get(article, 0)


async def main(client: ResponsesClient, model: str) -> None:
    """Ask for an offer. An answer that does not match the type is repaired once."""
    database = Database({"chair": 40})
    async with client.run(model=model, input=REQUEST, tools=[get_price], deps=database, output=Offer, repairs=1) as run:
        result = await run.result()
    match result.parsed:
        case Parsed(offer):
            print(type(offer).__name__, offer.article, offer.price)
        case other:
            print(other)


if __name__ == "__main__":
    run_with_client(main)
