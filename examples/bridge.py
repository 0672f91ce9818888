"""Use a provider that has only Chat Completions as if it had the Responses API, in this process and without a server.

``CHAT_BASE_URL`` is the provider's address, such as that of vLLM, llama.cpp or Ollama, and ``MODEL`` the name of a model. Without them, a
fake provider answers.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import anyio

from responses_proto.chat import chat_client
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.testing import FakeChat
from responses_proto.tools import function_tool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@function_tool
def search(query: str) -> str:
    """Search the web."""
    return f"Nobody has written about {query} yet."


@contextlib.asynccontextmanager
async def provider() -> AsyncGenerator[str]:
    """Yield the address of a provider."""
    address = os.environ.get("CHAT_BASE_URL")
    if address:
        yield address
    else:
        async with FakeChat("Once there was a unicorn. It spoke Chat Completions. It slept well all the same.") as fake:
            yield fake.url


async def main() -> None:
    """Stream a story, and continue it."""
    model = os.environ.get("MODEL", "fake")
    async with provider() as address, chat_client(address, tools={"web_search": search}) as client:
        async with client.stream(model=model, input="Tell me a story.", tools=[{"type": "web_search"}]) as stream:
            async for text in stream.text_deltas():
                print(text, end="", flush=True)
            story = await stream.result()
        print(f"\n[{story.status}, {story.usage.total_tokens if story.usage else '?'} tokens]")
        more = await client.create(model=model, input="And then?", previous_response_id=story.id)
        print(more.output_text)


if __name__ == "__main__":
    try:
        anyio.run(main)
    except (ResponsesProtoError, OSError) as error:
        sys.exit(f"error: {error}")
