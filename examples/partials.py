"""Read structured output while it streams: first an object as it grows, then the elements of a list, each when it is complete.

The program talks to the server in RESPONSES_BASE_URL, or else to a scripted model that needs no key.
"""

from __future__ import annotations

import os

import anyio
import attrs

from responses_proto import ResponsesClient
from responses_proto.schema import Parsed
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

MODEL = os.environ.get("MODEL", "scripted")


@attrs.frozen
class Recipe:
    """A recipe."""

    title: str
    minutes: int
    steps: list[str]


async def main(base_url: str | None) -> None:
    """Ask for one recipe, then for several."""
    async with ResponsesClient(base_url, "any" if base_url else None) as client:
        async with client.stream(model=MODEL, input="A recipe for soup.", output=Recipe) as stream:
            async for value in stream.partial():
                print(value)  # plain JSON: {'title': 'So'}, {'title': 'Soup', 'minutes': 30}, ...
            match await stream.parse():
                case Parsed(recipe):
                    print("complete:", recipe)
                case other:
                    print("no recipe:", other)
        async with client.stream(model=MODEL, input="Some recipes.", output=list[Recipe]) as stream:
            async for recipe in stream.elements():
                print("an element:", recipe.title)


if __name__ == "__main__":
    if "RESPONSES_BASE_URL" in os.environ:
        anyio.run(main, None)
    else:
        with serving(ResponsesApp(Scripted())) as url:
            anyio.run(main, url)
