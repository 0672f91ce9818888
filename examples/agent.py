"""A whole small agent: it answers a question about the files of a folder, and looks into them for it.

    python examples/agent.py "What is in here?" docs

Talks to whatever RESPONSES_BASE_URL and RESPONSES_API_KEY name, or, with HF_TOKEN, to the Hugging Face router.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

from responses_proto import ResponsesClient
from responses_proto.aio.run_events import ToolFinished
from responses_proto.aio.tools import function_tool
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.models import FunctionCall, OutputTextDelta

QUESTION, FOLDER = sys.argv[1:3] or ("What is in here?", ".")


@function_tool
def list_files() -> list[str]:
    """List the names of the files."""
    return sorted(path.name for path in Path(FOLDER).iterdir() if path.is_file())


@function_tool
def read_file(name: str) -> str:
    """Read a file, by a name that list_files gives."""
    return Path(FOLDER, Path(name).name).read_text(encoding="utf-8")


async def main() -> None:
    """Ask, and print what is said and done."""
    hugging_face = "HF_TOKEN" in os.environ
    model = os.environ.get("MODEL", "openai/gpt-oss-120b:groq" if hugging_face else "scripted")
    client = ResponsesClient.for_provider("huggingface") if hugging_face else ResponsesClient()
    async with client, client.run(model=model, input=QUESTION, tools=[list_files, read_file], store=False) as run:
        async for event in run:
            match event:
                case OutputTextDelta(delta=text):
                    print(text, end="", flush=True)
                case ToolFinished(call=FunctionCall(name=name, arguments=arguments), failed=failed):
                    print(f"[{name} {arguments}{' failed' if failed else ''}]")
                case _:
                    pass
        result = await run.result()
    print(f"\n\n{result.stopped} after {len(result.turns)} turns")


if __name__ == "__main__":
    try:
        anyio.run(main)
    except ResponsesProtoError as error:
        sys.exit(f"error: {error}")
