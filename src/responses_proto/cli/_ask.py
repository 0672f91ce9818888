"""The commands that ask a model: ``stream``, ``create`` and ``chat``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer

from ..codec import dumps
from ..exceptions import UsageError
from ._chat import Chat
from ._errors import CommandError, one_line_errors
from ._options import (
    BaseURL,
    Files,
    Images,
    Instructions,
    Key,
    Model,
    Previous,
    PromptArgument,
    ProviderName,
    Question,
    ToolNames,
    client_of,
    find_tool,
    model_of,
    read_prompt,
)
from ._output import Format, as_text, print_stream, write

if TYPE_CHECKING:
    from ..models.response import Response


@one_line_errors
def stream(
    prompt: PromptArgument = None,
    model: Model = None,
    base_url: BaseURL = None,
    provider: ProviderName = None,
    api_key: Key = None,
    instructions: Instructions = None,
    file: Files = None,
    image: Images = None,
    tool: ToolNames = None,
    previous: Previous = None,
    *,
    events: Annotated[
        bool, typer.Option("--events", help="Print one typed event per line instead of the text.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print the JSON of each event, one per line, as received.")
    ] = False,
) -> None:
    """Stream a response and print it as it arrives.

    The text goes to standard output; reasoning, calls of tools and a summary go to standard error.
    """
    if events and jsonl:
        raise UsageError("--events and --jsonl cannot be combined")
    asked = _question(prompt, instructions, file, image, tool, previous)
    fields, tools = asked.fields(), [find_tool(name) for name in asked.tools]

    async def main() -> None:
        async with client_of(base_url, provider, api_key) as client:
            fields["model"] = model_of(model, client)
            source: Any = client.run(fields, tools=tools) if tools else client.stream(fields)
            await print_stream(source, Format.JSON if jsonl else Format.EVENTS if events else Format.TEXT)

    anyio.run(main)


@one_line_errors
def create(
    prompt: PromptArgument = None,
    model: Model = None,
    base_url: BaseURL = None,
    provider: ProviderName = None,
    api_key: Key = None,
    instructions: Instructions = None,
    file: Files = None,
    image: Images = None,
    tool: ToolNames = None,
    previous: Previous = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the response as JSON.")] = False,
) -> None:
    """Create a response and print it."""
    asked = _question(prompt, instructions, file, image, tool, previous)
    fields, tools = asked.fields(), [find_tool(name) for name in asked.tools]

    async def main() -> Response:
        async with client_of(base_url, provider, api_key) as client:
            fields["model"] = model_of(model, client)
            if not tools:
                return await client.create(fields)
            async with client.run(fields, tools=tools) as run:
                return (await run.result()).response

    response = anyio.run(main)
    write(dumps(response).decode() + "\n" if json else as_text(response))
    if response.status and response.status != "completed":
        reason = response.error.message if response.error else ""
        if response.incomplete_details:
            reason = response.incomplete_details.reason or ""
        raise CommandError(f"the response is {response.status}: {reason or 'the server gives no reason'}", status=1)


@one_line_errors
def chat(
    model: Model = None,
    base_url: BaseURL = None,
    provider: ProviderName = None,
    api_key: Key = None,
    instructions: Instructions = None,
    tool: ToolNames = None,
) -> None:
    """Talk with a model. The conversation is kept until the program ends.

    Ctrl-C stops the answer, and Ctrl-D ends the program. /new begins another conversation.
    """
    tools = [find_tool(name) for name in tool or ()]
    client = client_of(base_url, provider, api_key)
    Chat(client, model_of(model, client), instructions, tools).run()


def _question(
    prompt: str | None,
    instructions: str | None,
    file: list[str] | None,
    image: list[str] | None,
    tool: list[str] | None,
    previous: str | None,
) -> Question:
    return Question(
        prompt=read_prompt(prompt),
        instructions=instructions,
        files=file or (),
        images=image or (),
        tools=tool or (),
        previous=previous,
    )
