"""Stream a background response, close the connection on purpose, and resume the response: no event is repeated or lost.

The program talks to the server in RESPONSES_BASE_URL, or else to a scripted model that needs no key.
"""

from __future__ import annotations

import os

import anyio

from responses_proto import ResponsesClient
from responses_proto.models import OutputTextDelta
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

MODEL = os.environ.get("MODEL", "scripted")


async def main(base_url: str | None) -> None:
    """Read some deltas, leave, and read the rest over another connection."""
    async with ResponsesClient(base_url, "any" if base_url else None) as client:
        stream = client.stream(model=MODEL, input="Tell me a story about a fox.", background=True)
        async with stream:
            async for event in stream.events(OutputTextDelta):
                print(event.delta, end="", flush=True)
                if event.sequence_number > 10:
                    break  # leaving the block closes the connection; the response continues on the server
        print("\n[resumed]")
        async with client.resume(stream) as rest:
            async for text in rest.text_deltas():
                print(text, end="", flush=True)
            response = await rest.result()
    print(f"\n{response.status}: {len(response.output_text)} characters")


if __name__ == "__main__":
    if "RESPONSES_BASE_URL" in os.environ:
        anyio.run(main, None)
    else:
        with serving(ResponsesApp(Scripted(delay=0.01))) as url:
            anyio.run(main, url)
