"""Answer many prompts, with a journal: kill the program, start it again, and only what is missing is asked.

``python examples/batch.py answers.jsonl`` asks the server in RESPONSES_BASE_URL, or else a scripted model that needs no key.
"""

from __future__ import annotations

import os
import sys

import anyio

from responses_proto import ResponsesClient
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

MODEL = os.environ.get("MODEL", "scripted")
PROMPTS = [f"Say {number}." for number in range(10)]


async def main(base_url: str | None, journal: str) -> None:
    """Ask all prompts, and print the answers in their order."""
    asked = 0
    async with ResponsesClient(base_url, "any" if base_url else None) as client:
        async for result in client.map(PROMPTS, model=MODEL, journal=journal, ordered=True):
            asked += not result.from_journal
            print(result.index, result.response.output_text if result.ok else result.exception())
    print(f"{asked} asked, {len(PROMPTS) - asked} from {journal}", file=sys.stderr)


if __name__ == "__main__":
    file = sys.argv[1] if len(sys.argv) > 1 else "answers.jsonl"
    if "RESPONSES_BASE_URL" in os.environ:
        anyio.run(main, None, file)
    else:
        with serving(ResponsesApp(Scripted())) as url:
            anyio.run(main, url, file)
