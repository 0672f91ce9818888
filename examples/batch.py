"""Answer many prompts with a journal. If you kill the program and start it again, it sends only the requests without an answer.

``python examples/batch.py answers.jsonl`` sends them to the server in RESPONSES_BASE_URL, or else to a scripted model that needs no key.
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
    """Send all prompts, and print the answers in the order of the prompts."""
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
