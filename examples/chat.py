"""A chat in the terminal: it streams, calls a tool, and keeps the conversation. Ctrl-C stops an answer, Ctrl-D ends the program.

The program talks to the server in RESPONSES_BASE_URL, or else to a scripted model that needs no key.
"""

from __future__ import annotations

import datetime as dt
import os
import signal

import anyio
import anyio.to_thread

from responses_proto import ResponsesClient, function_tool
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.models import FunctionCall, Item, Message, OutputTextDelta
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving
from responses_proto.tools import ToolFinished

MODEL = os.environ.get("MODEL", "scripted")


@function_tool
def get_time() -> str:
    """Return the time of day."""
    return dt.datetime.now(tz=dt.UTC).strftime("%H:%M")


async def answer(client: ResponsesClient, history: list[Item]) -> list[Item]:
    """Print the answer to the last message as it arrives, and return the history including it."""
    async with client.run(model=MODEL, input=history, tools=[get_time], store=False) as run:
        async for event in run:
            match event:
                case OutputTextDelta(delta=text):
                    print(text, end="", flush=True)
                case ToolFinished(call=FunctionCall(name=name)):
                    print(f"[{name}]")
                case _:
                    pass
        print()
        return (await run.result()).history


async def cancel_on_interrupt(scope: anyio.CancelScope) -> None:
    """Cancel the answer when Ctrl-C is pressed."""
    with anyio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


async def chat(base_url: str | None) -> None:
    """Read questions until the input ends."""
    history: list[Item] = []
    async with ResponsesClient(base_url, "any" if base_url else None) as client:
        while True:
            try:
                question = await anyio.to_thread.run_sync(input, "> ")
            except EOFError:
                return
            asked: list[Item] = [*history, Message(role="user", content=question)]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_on_interrupt, tasks.cancel_scope)
                try:
                    history = await answer(client, asked)
                except ResponsesProtoError as error:
                    print(f"[{error}]")
                tasks.cancel_scope.cancel()


if __name__ == "__main__":
    if "RESPONSES_BASE_URL" in os.environ:
        anyio.run(chat, None)
    else:
        with serving(ResponsesApp(Scripted(delay=0.02))) as url:
            anyio.run(chat, url)
