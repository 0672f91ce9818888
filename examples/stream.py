"""Ask for a story and print it as it is told.

Talks to whatever RESPONSES_BASE_URL and RESPONSES_API_KEY name, or, with HF_TOKEN, to the Hugging Face router:

    responses-proto serve --port 8080 &
    RESPONSES_BASE_URL=http://127.0.0.1:8080/v1 RESPONSES_API_KEY=any python examples/stream.py
"""

from __future__ import annotations

import os
import sys

import anyio

from responses_proto import ResponsesClient
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.models import OutputTextDelta


async def main() -> None:
    """Stream one response."""
    hugging_face = "HF_TOKEN" in os.environ
    model = os.environ.get("MODEL", "openai/gpt-oss-120b:groq" if hugging_face else "scripted")
    prompt = "Tell me a three-sentence bedtime story about a unicorn."
    client = ResponsesClient.for_provider("huggingface") if hugging_face else ResponsesClient()
    async with client, client.stream(model=model, input=prompt) as stream:
        async for event in stream:
            if isinstance(event, OutputTextDelta):
                print(event.delta, end="", flush=True)
        response = await stream.result()
    print(f"\n\n{response.model}: {response.status}")


if __name__ == "__main__":
    try:
        anyio.run(main)
    except ResponsesProtoError as error:
        sys.exit(f"error: {error}")
