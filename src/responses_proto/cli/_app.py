"""The commands, and how they are run.

A command exits with status 0 if the response is complete. Every error is one line on standard error that states what is wrong
and what to do. The status is then 1; it is 2 for wrong usage, such as a port or file that cannot be used, 130 after an
interruption and 143 after a termination.
"""

from __future__ import annotations

import enum
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final, cast

import anyio
import typer

from .._version import __version__
from ..client.client import ResponsesClient
from ..client.gate import Gate
from ..exceptions import UsageError
from ..scripted.demo import HUGGINGFACE_MODEL
from ._ask import chat, create, stream
from ._batch import as_request, batch_progress, print_failures, read_requests
from ._check import check, check_client
from ._errors import CommandError, file_errors, one_line_errors, print_error
from ._inspect import inspect
from ._options import BaseURL, Instructions, Key, Model, ProviderName, client_of, model_of
from ._output import Format, discard_output, print_stream, write
from ._playback import playback

_DEMO_PROMPT: Final = "Tell me a three-sentence bedtime story about a unicorn."

app: typer.Typer = typer.Typer(
    name="responses-proto",
    help="The Responses API from the command line.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def run() -> int:
    """Run the command that ``sys.argv`` names. Return the exit status."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the parent process has closed it
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - stays open until the end
    for output in (sys.stdout, sys.stderr):
        # A model may write characters that the terminal's encoding lacks.
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except OSError as error:
        # The commands handle every other OSError themselves.
        discard_output()
        print_error(f"cannot write the output: {error.strerror or error}")
        return 1
    return 0


# ---- options of several commands

_Events = Annotated[
    bool, typer.Option("--events", help="Print one typed event per line, and the summary to standard error.")
]


class _LogFormat(enum.Enum):
    TEXT = "text"
    JSON = "json"


# ---- commands


@app.callback(invoke_without_command=True)
def _options(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:
    if version:
        write(f"responses-proto {__version__}\n")
        raise typer.Exit(0)


for _command in (stream, create, chat):
    app.command()(_command)


@app.command("map")
@one_line_errors
def map_prompts(
    file: Annotated[
        str, typer.Argument(help="Prompts as JSON lines, each a string or a request; - for standard input.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Journal of the answers, as JSON lines. Continued if it exists.")
    ],
    model: Model = None,
    base_url: BaseURL = None,
    provider: ProviderName = None,
    api_key: Key = None,
    instructions: Instructions = None,
    width: Annotated[int, typer.Option("--width", help="Maximum number of open requests.", min=1)] = 64,
) -> None:
    """Answer many prompts, as fast as the server accepts them. When run again, send only those without an answer."""
    requests = read_requests(file)

    async def main() -> int:
        async with client_of(base_url, provider, api_key) as client:
            gate = Gate(min(width, 8), max_width=width)
            # A request may name its own model.
            chosen = [
                one
                if isinstance(one, dict) and "model" in one
                else {**as_request(one), "model": model_of(model, client)}
                for one in requests
            ]
            fields = {} if instructions is None else {"instructions": instructions}
            with batch_progress(len(chosen)) as on_progress:
                batch = client.map(chosen, gate=gate, journal=output, on_progress=on_progress, **cast("Any", fields))
                return await print_failures(batch)

    with file_errors("write", output):
        failed = anyio.run(main)
    if failed:
        told = f"{failed} of {len(requests)} requests failed; run the same command again to repeat only those"
        raise CommandError(told, status=1)


@app.command()
@one_line_errors
def serve(  # noqa: PLR0917 - the options of a command
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port to listen on; 0 chooses a free one. Default: 8000.", min=0, max=65535),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", help="SQLite file, or redis:// URL, to keep responses in. Default: in memory."),
    ] = None,
    api_key: Annotated[
        list[str] | None, typer.Option("--api-key", help="Accept only this key (repeatable). Default: any key.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            "--upstream",
            help="Answer with the models of this provider of Chat Completions, by its base URL, or NAME=URL (repeatable).",
        ),
    ] = None,
    allow_mcp: Annotated[
        list[str] | None,
        typer.Option("--allow-mcp", help="Let requests use MCP servers on this host (repeatable). Default: none."),
    ] = None,
    drop_tool: Annotated[
        list[str] | None,
        typer.Option(
            "--drop-tool",
            help="Leave tools of this type out of requests to the provider, such as web_search (repeatable). "
            "Default: an unsupported tool is an error.",
        ),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="TOML file of settings; options take precedence over it.")
    ] = None,
    script: Annotated[
        str | None, typer.Option("--script", help="File of rules for the answers, .json or .jsonl.")
    ] = None,
    delay: Annotated[
        float | None, typer.Option("--delay", help="Seconds between two words of the scripted model.", min=0.0)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", help="Answer requests for this host name (repeatable). Default: loopback names only."
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin", help="Answer web pages of this origin (repeatable). Default: none but the server's own."
        ),
    ] = None,
    log_format: Annotated[
        _LogFormat | None, typer.Option("--log-format", help="Format of the line that is logged for each request.")
    ] = None,
    drain: Annotated[
        int | None,
        typer.Option("--drain", help="Seconds that open requests have to end when the server is stopped.", min=0),
    ] = None,
    *,
    shared: Annotated[
        bool, typer.Option("--shared", help="Share the SQLite file with other servers on this machine.")
    ] = False,
    forward_key: Annotated[
        bool,
        typer.Option(
            "--forward-key", help="Send the key of each client to the provider, instead of a key of this server."
        ),
    ] = False,
    ui: Annotated[
        bool, typer.Option("--ui", help="Show a page at / that sends requests and shows the events.")
    ] = False,
) -> None:
    """Serve the Responses API: with the models of a provider (--upstream), or with the scripted model, which needs no network."""
    from ._config import ServeSettings, settings_of  # noqa: PLC0415 - only `serve` needs it
    from ._serve import serve_with  # noqa: PLC0415 - needs the extra `server`, which other commands do not

    given = ServeSettings(
        host=host,
        port=port,
        store=store,
        shared=shared or None,
        api_key=api_key or None,
        allow_host=allow_host or None,
        allow_origin=allow_origin or None,
        log_format=None if log_format is None else log_format.value,
        drain=drain,
        script=script,
        delay=delay,
        allow_mcp=allow_mcp or None,
        drop_tool=drop_tool or None,
    )
    with file_errors("read", config):
        settings = settings_of(given, config, upstream or (), forward_key=forward_key)
    serve_with(settings, ui=ui)


app.command("check")(check)
app.command("check-client")(check_client)
app.command("inspect")(inspect)


@app.command()
@one_line_errors
def replay(
    file: Annotated[str, typer.Argument(help="A recorded event stream.")],
    chunk: Annotated[int, typer.Option("--chunk", help="Bytes to send at a time.", min=1)] = 4096,
    *,
    events: _Events = False,
) -> None:
    """Play a recorded stream back through a socket and the client."""
    with file_errors("read", file):
        recording = Path(file).read_bytes()
    if b"data:" not in recording:
        raise UsageError(f"{file} has no events: pass the path of a recorded event stream")

    async def main(url: str) -> None:
        async with ResponsesClient(url, "none") as client:
            await print_stream(client.stream(model="recording", input=""), Format.EVENTS if events else Format.TEXT)

    with playback(recording, chunk) as url:
        anyio.run(main, url)


@app.command()
@one_line_errors
def demo() -> None:
    """Stream a bedtime story from the scripted model or, if HF_TOKEN is set, from MODEL on Hugging Face.

    Hugging Face is called twice: by its Responses API, and by Chat Completions through the bridge.
    """

    async def main(client: ResponsesClient, model: str) -> None:
        async with client:
            await print_stream(client.stream(model=model, input=_DEMO_PROMPT), summary=sys.stdout)

    if os.environ.get("HF_TOKEN", "").strip():
        client = ResponsesClient.for_provider("huggingface")
        model = os.environ.get("MODEL") or HUGGINGFACE_MODEL
        from ..chat.local import chat_client  # noqa: PLC0415 - only `demo` needs it

        write(f"{model} at {client.base_url}, by its Responses API\n> {_DEMO_PROMPT}\n")
        anyio.run(main, client, model)
        write(f"{model} at {client.base_url}, by Chat Completions through the bridge\n> {_DEMO_PROMPT}\n")
        anyio.run(main, chat_client(client.base_url, profile="huggingface"), model)
        return
    from ..scripted.model import MODEL, Scripted  # noqa: PLC0415 - only `serve` and `demo` need it
    from ..server.app import ResponsesApp  # noqa: PLC0415 - needs the extra `server`, other commands do not
    from ..server.uvicorn import serving  # noqa: PLC0415 - as above

    with serving(ResponsesApp(Scripted(delay=0.02))) as url:
        write(f"the scripted model at {url} (set HF_TOKEN to use a real one)\n> {_DEMO_PROMPT}\n")
        anyio.run(main, ResponsesClient(url, "none"), MODEL)
