"""A small but complete agent that answers a question about the files in a folder.

The arguments are the question and the folder: ``python examples/agent.py "What is in here?" docs``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from responses_proto import function_tool
from responses_proto.models import FunctionCall, OutputTextDelta
from responses_proto.scripted.demo import run as run_with_client
from responses_proto.tools import ToolFinished

if TYPE_CHECKING:
    from responses_proto import ResponsesClient

QUESTION = sys.argv[1] if len(sys.argv) > 1 else "What is in here?"
FOLDER = sys.argv[2] if len(sys.argv) > 2 else "."


@function_tool
def list_files() -> list[str]:
    """List the names of the files."""
    return sorted(path.name for path in Path(FOLDER).iterdir() if path.is_file())


@function_tool
def read_file(name: str) -> str:
    """Read a file. The name is one that list_files returns."""
    return Path(FOLDER, Path(name).name).read_text(encoding="utf-8")


async def main(client: ResponsesClient, model: str) -> None:
    """Ask the question. Print the text and the tool calls as they happen."""
    async with client.run(model=model, input=QUESTION, tools=[list_files, read_file], store=False) as run:
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
    run_with_client(main)
