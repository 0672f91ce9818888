"""Store a run that waits for an approval as JSON, and continue it in another process.

Call it twice: ``python examples/resume.py run.json`` stores the run; with ``yes`` or ``no`` after the file, it continues the run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from responses_proto import function_tool
from responses_proto.scripted.demo import run as run_with_client
from responses_proto.tools import Approval, ToolLoop

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.models.response import PendingCall

FILE = Path(sys.argv[1] if len(sys.argv) > 1 else "run.json")
REQUEST = 'Please send_money({"to": "Ada", "amount": 5}).'
DECISION = sys.argv[2] if len(sys.argv) > 2 else ""


@function_tool(needs_approval=True)
def send_money(to: str, amount: int) -> str:
    """Send money to somebody."""
    return f"sent {amount} to {to}"


def store(loop: ToolLoop) -> None:
    """Write the run to the file."""
    FILE.write_text(json.dumps(loop.dump()), encoding="utf-8")


def stored() -> ToolLoop:
    """Read the run from the file."""
    return ToolLoop.load(json.loads(FILE.read_text(encoding="utf-8")))


def leave_it(_: PendingCall) -> None:
    """Decide nothing now: the run ends, and the call is pending."""


async def main(client: ResponsesClient, model: str) -> None:
    """Start a run and store it, or continue the stored one."""
    if not DECISION:
        # With `store=False`, the file contains everything, and the server keeps nothing.
        async with client.run(model=model, input=REQUEST, tools=[send_money], approve=leave_it, store=False) as run:
            result = await run.result()
        store(result.loop)
        print(f"{result.stopped}: {len(result.pending)} call in {FILE.name}")
        return
    loop = stored()
    for call in loop.pending:
        loop.answer(call, Approval(approve=DECISION == "yes"))
    async with client.run(loop, tools=[send_money]) as run:
        print((await run.result()).output_text)


if __name__ == "__main__":
    run_with_client(main)
