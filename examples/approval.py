"""Ask on the terminal before calling a function that cannot be undone. Answer y, n, or a (always)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responses_proto import function_tool
from responses_proto.models import FunctionCall
from responses_proto.scripted.demo import run as run_with_client
from responses_proto.tools import Approval

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.models.response import PendingCall


REQUEST = 'Please delete_file({"name": "notes.txt"}).'


@function_tool(needs_approval=True)
def delete_file(name: str) -> str:
    """Delete a file."""
    return f"{name} was deleted"


def approve(call: PendingCall) -> Approval:
    """Ask the user. Runs in a thread, because it waits for the keyboard."""
    what = f"{call.name}({call.arguments})" if isinstance(call, FunctionCall) else call.type
    answer = input(f"call {what}? [y/n/a] ").strip().lower()
    return Approval(answer in ("y", "a"), reason="not wanted", remember=answer == "a")


async def main(client: ResponsesClient, model: str) -> None:
    """Send a request that needs the function."""
    async with client.run(model=model, input=REQUEST, tools=[delete_file], approve=approve) as run:
        result = await run.result()
    print(result.output_text)


if __name__ == "__main__":
    run_with_client(main)
