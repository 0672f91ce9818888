"""The commands: look at a stream, ask for a response, serve the scripted model, check a server, play a recording back.

A command ends with status 0 if the response is complete. Everything that goes wrong is one line on standard error
that says what it is and what can be done, and status 1; wrong usage, such as a port or a file that is no good, is 2, an
interruption 130, a termination 143.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import io
import math
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import anyio
import rich.console
import typer

from .._version import __version__
from ..client.client import ResponsesClient
from ..codec import dumps
from ..exceptions import (
    APIError,
    AuthenticationError,
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseNotCompleted,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    UsageError,
)
from ..models.events import EVENT_TYPES, OutputItemDone, OutputTextDelta, RefusalDelta, UnknownEvent
from ..models.items import FunctionCall
from ..protocol.api_errors import readable
from ..scripted.demo import HUGGINGFACE_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from ..client.stream import EventStream
    from ..models.events import Event
    from ..models.response import Response
    from ..testing.conformance.servers import ServerReport

__all__ = ["app", "run"]

_PROMPT: Final = "Tell me a three-sentence bedtime story about a unicorn."
_MODELS: Final = {"openai": "gpt-5-mini", "huggingface": HUGGINGFACE_MODEL}
_SCRIPTED: Final = "scripted"
_NEAR: Final = 0.9  # of 1: how alike two names of events are if one is a slip for the other
_WRONG_USAGE: Final = 2
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_TERMINATED: Final = 143  # 128 + SIGTERM

app: typer.Typer = typer.Typer(
    name="responses-proto",
    help="The Responses API from the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def run() -> int:
    """Run the command that the arguments name; give the exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - stays open to the end
    for output in (sys.stdout, sys.stderr):
        # What a model writes may hold characters that the terminal does not know.
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except OSError as error:
        # Whatever else the system refuses, the commands put into words of their own.
        _give_up_output()
        _complain(f"cannot write the output: {error.strerror or error}")
        return 1
    return 0


def _give_up_output() -> None:
    """Write to nowhere from now on, so that the interpreter's last flush does not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# ---- errors, in one line

_HINTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    # The first that fits.
    (
        ConnectError,
        "Is the server running, and is --base-url right? `responses-proto serve` starts one on this machine.",
    ),
    (AuthenticationError, "Pass --api-key, or set RESPONSES_API_KEY or the provider's own variable."),
    (PermissionDeniedError, "The key is known but may not do this: use another key or another model."),
    (NotFoundError, "Check --model, and --base-url, which mostly ends in /v1."),
    (RateLimitError, "Try again later."),
    (NotAnEventStream, "Is --base-url that of a Responses API? It mostly ends in /v1."),
    (StreamTruncated, "The server, or a proxy before it, stopped too early. Try again."),
    (StreamInterrupted, "The connection broke. Try again."),
    (DeadlineExceeded, "The server is too slow or gone. Try again."),
    (LimitExceeded, "The server sent more than this library takes by default."),
    (ResponseNotCompleted, ""),
    (LocalProtocolError, ""),
    (APIError, "This is the server's answer."),
)


class _Failed(Exception):  # noqa: N818 - never leaves this module
    """Something of the command's own went wrong. Its text is for people."""

    def __init__(self, message: str, *, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def _explain(error: Exception) -> str:
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), "")
    if isinstance(error, NotAnEventStream):
        kind = error.headers.get("content-type", "something")
        shows = readable(error.body.decode("utf-8", "replace"), 100)
        said = f"no event stream, but {kind} came (HTTP {error.status}): {shows or 'nothing'}"
    elif isinstance(error, StreamTruncated):
        cursor = error.cursor
        said = f"the stream ended early, {f'after event {cursor.sequence_number}' if cursor else 'before any event'}"
    else:
        said = " ".join(str(error).split())
    if not hint:
        return said
    return f"{said} {hint}" if said.endswith((".", "!", "?")) else f"{said}. {hint}"


def _say(text: str) -> None:
    """Write to standard output at once, whatever is in it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _complain(line: str) -> None:
    with contextlib.suppress(OSError):  # nowhere is left to say that nothing can be said
        rich.console.Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"error: {line}", style="red", markup=False, emoji=False
        )


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command that tells what went wrong in one line, and ends with the right status."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:
            # Nobody reads any more, as in `responses-proto stream … | head -1`.
            _give_up_output()
            raise typer.Exit(1) from None
        except (ResponsesProtoError, _Failed, ImportError) as error:
            _complain(_explain(error))
            raise typer.Exit(error.status if isinstance(error, _Failed) else 1) from None

    return guarded


# ---- what the commands share


async def _show(stream: EventStream, *, events: bool) -> None:
    """Show a stream as it comes, then how it went. Raises what ``stream.result()`` raises."""
    teller = _Teller(events=events)
    try:
        async with stream:
            async for event in stream:
                teller.tell(event)
    finally:
        teller.summarise(stream)
    await stream.result()


class _Teller:
    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._since = time.perf_counter()
        self._first = math.nan
        self._count = 0
        self._told = False
        self._column = False
        self._strange: set[str] = set()

    def tell(self, event: Event) -> None:
        if not self._count:
            self._first = time.perf_counter() - self._since
        self._count += 1
        if self._events:
            _say(f"{event!r}\n")
            if isinstance(event, UnknownEvent):
                self._wonder(event.type)
        elif isinstance(event, OutputTextDelta | RefusalDelta):
            self._write(event.delta)
        elif isinstance(event, OutputItemDone) and isinstance(event.item, FunctionCall):
            self._end_line()
            self._write(f"{event.item.name}({event.item.arguments})\n")

    def _wonder(self, type_: str) -> None:
        """Say so, once, if an event that is not known is nearly one that is."""
        near = difflib.get_close_matches(type_, EVENT_TYPES, 1, _NEAR)
        if near and type_ not in self._strange:
            self._strange.add(type_)
            sys.stderr.write(f"note: there is no event {type_}; did the server mean {near[0]}?\n")

    def summarise(self, stream: EventStream) -> None:
        outcome = stream.outcome
        if not self._count and outcome is None:
            return  # the error says it all
        if not (self._told or self._events):
            self._write(stream.response.output_text)  # some servers send no deltas
        usage = stream.response.usage
        tokens = f"{usage.input_tokens} in, {usage.output_tokens} out" if usage else "not told"
        first = "none" if math.isnan(self._first) else f"after {self._first * 1000:.0f} ms"
        ended = outcome.status if outcome else "none, the stream was left"
        line = f"[{self._count} events, the first {first}; tokens: {tokens}; outcome: {ended}]"
        # With --events standard output is for programs to read: it has events and nothing else.
        self._end_line()
        output = sys.stderr if self._events else sys.stdout
        output.write(f"{line}\n")
        output.flush()

    def _end_line(self) -> None:
        if self._column:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            _say(text)
            self._told = True
            self._column = not text.endswith("\n")


def _client(base_url: str | None, provider: str | None, api_key: str | None) -> ResponsesClient:
    if provider:
        return ResponsesClient.for_provider(provider, base_url=base_url, api_key=api_key)
    return ResponsesClient(base_url, api_key)


def _model(model: str | None, client: ResponsesClient) -> str:
    return model or _MODELS.get(client.dialect.name, _SCRIPTED)


_Prompt = Annotated[str, typer.Argument(help="What to say to the model.")]
_Model = Annotated[str | None, typer.Option("--model", envvar="MODEL", help="The model; each provider has a default.")]
_BaseURL = Annotated[str | None, typer.Option("--base-url", help="Where the API is, such as http://127.0.0.1:8000/v1.")]
_Provider = Annotated[str | None, typer.Option("--provider", help="A provider by name, such as huggingface.")]
_Key = Annotated[str | None, typer.Option("--api-key", help="The key; better put it into the environment.")]
_Events = Annotated[
    bool, typer.Option("--events", help="One typed event per line; the summary goes to standard error.")
]


# ---- commands


@app.callback(invoke_without_command=True)
def _options(*, version: Annotated[bool, typer.Option("--version", help="Tell the version and exit.")] = False) -> None:
    if version:
        _say(f"responses-proto {__version__}\n")
        raise typer.Exit(0)


@app.command()
@_guarded
def stream(
    prompt: _Prompt,
    model: _Model = None,
    base_url: _BaseURL = None,
    provider: _Provider = None,
    api_key: _Key = None,
    *,
    events: _Events = False,
) -> None:
    """Show a response while it is made."""

    async def main() -> None:
        async with _client(base_url, provider, api_key) as client:
            await _show(client.stream(model=_model(model, client), input=prompt), events=events)

    anyio.run(main)


@app.command()
@_guarded
def create(
    prompt: _Prompt,
    model: _Model = None,
    base_url: _BaseURL = None,
    provider: _Provider = None,
    api_key: _Key = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="The whole response, as JSON.")] = False,
) -> None:
    """Show a response when it is whole."""

    async def main() -> Response:
        async with _client(base_url, provider, api_key) as client:
            return await client.create(model=_model(model, client), input=prompt)

    response = anyio.run(main)
    _say(dumps(response).decode() + "\n" if json else _plain(response))
    if response.status not in ("completed", None) and response.status:
        why = response.error.message if response.error else ""
        if response.incomplete_details:
            why = response.incomplete_details.reason or ""
        raise _Failed(f"the response is {response.status}: {why or 'the server does not say why'}")


def _plain(response: Response) -> str:
    text = response.output_text or response.refusal
    lines = [text] if text else []
    lines += [f"{call.name}({call.arguments})" for call in response.function_calls]
    return "".join(f"{line}\n" for line in lines)


@app.command()
@_guarded
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", min=0, max=65535)] = 8000,
    store: Annotated[
        str | None, typer.Option("--store", help="A file that keeps the responses. Without: memory does.")
    ] = None,
    api_key: Annotated[
        list[str] | None, typer.Option("--api-key", help="A key that is accepted; can be repeated. None: any is.")
    ] = None,
    script: Annotated[str | None, typer.Option("--script", help="Rules for what to answer: JSON, or .jsonl.")] = None,
    delay: Annotated[float, typer.Option("--delay", help="Seconds between two words.", min=0.0)] = 0.02,
) -> None:
    """Serve the scripted model, which needs no network and always says the same."""
    from ..scripted.model import MODEL, Scripted  # noqa: PLC0415 - as above
    from ..scripted.script import ScriptRules  # noqa: PLC0415 - nobody else needs it
    from ..server.app import ResponsesApp  # noqa: PLC0415 - needs the extra `server`, other commands do not
    from ..server.stores import SQLiteStore  # noqa: PLC0415 - as above
    from ..server.uvicorn import listen, url_of  # noqa: PLC0415 - as above
    from ..server.uvicorn import serve as serve_on  # noqa: PLC0415 - as above

    try:
        model = Scripted(delay=delay, script=ScriptRules.read(script) if script else None)
        kept = SQLiteStore(store) if store else None
        application = ResponsesApp(model, store=kept, keys=api_key or None, models=[MODEL])
    except (LocalProtocolError, UsageError, OSError) as error:
        raise _Failed(str(error), status=_WRONG_USAGE) from error
    try:
        listener = listen(host, port)
    except OSError as error:
        # Without the address, which the error's own words have; for a name that nobody knows there are no others.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror or error
        message = f"cannot listen on {host}, port {port}: {why}. Choose others with --host and --port."
        raise _Failed(message, status=_WRONG_USAGE) from error
    signal.signal(signal.SIGTERM, _terminate)
    keys = "the keys given" if api_key else "any API key"
    _say(f"serving on {url_of(listener)} (model {MODEL}, {keys}); Ctrl-C ends it\n")
    serve_on(application, listener)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave in good order. uvicorn gives the signal back when it is done, which by default kills the process as it stands."""
    sys.exit(_TERMINATED)


@app.command()
@_guarded
def check(
    url: Annotated[str, typer.Argument(help="Where the API is, such as http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Option("--model", envvar="MODEL", help="The model to ask.")] = _SCRIPTED,
    api_key: Annotated[str | None, typer.Option("--api-key", envvar="RESPONSES_API_KEY", help="The key.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="A check to make; can be repeated.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="A rule that does not count; can be repeated.")
    ] = None,
) -> None:
    """Check whether a server keeps to the protocol, by small but real requests to every endpoint."""
    from ..testing.conformance.servers import check_server  # noqa: PLC0415 - nobody else needs it

    async def main() -> ServerReport:
        return await check_server(url, key=api_key, model=model, only=only or None, ignore=ignore or ())

    report = anyio.run(main)
    _say(f"{report}\n")
    if not report.ok:
        failed = sum(one.status == "failed" for one in report.checks)
        raise _Failed(f"{failed} of {len(report.checks)} checks failed")


@app.command()
@_guarded
def replay(
    file: Annotated[str, typer.Argument(help="A recorded event stream.")],
    chunk: Annotated[int, typer.Option("--chunk", help="Bytes to send at a time.", min=1)] = 4096,
    *,
    events: _Events = False,
) -> None:
    """Play a recording back, through a socket and the client."""
    try:
        recording = Path(file).read_bytes()
    except OSError as error:
        raise _Failed(f"cannot read {file}: {error.strerror}. Give the path of a recorded event stream.") from error
    if b"data:" not in recording:
        raise _Failed(f"{file} has no events. Give the path of a recorded event stream.")

    async def main(url: str) -> None:
        async with ResponsesClient(url, "none") as client:
            await _show(client.stream(model="recording", input=""), events=events)

    with _playing(recording, chunk) as url:
        anyio.run(main, url)


@contextlib.contextmanager
def _playing(recording: bytes, chunk: int) -> Generator[str]:
    """Serve a recording to one client, piece by piece, from a thread; give the base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        player = threading.Thread(target=_play, args=(listener, recording, chunk), daemon=True)
        player.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the player where nobody came
            player.join(1)


def _play(listener: socket.socket, recording: bytes, chunk: int) -> None:
    with contextlib.suppress(OSError):  # the client may leave at any time
        connection, _ = listener.accept()
        with connection:
            # Else the kernel would put small pieces together.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for at in range(0, len(recording), chunk):
                connection.sendall(recording[at : at + chunk])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass  # closing with unread input would reset the connection, and the end might get lost


@app.command()
@_guarded
def demo() -> None:
    """Tell a bedtime story: by the scripted model, or, with HF_TOKEN set, by MODEL on Hugging Face."""

    async def main(client: ResponsesClient, model: str) -> None:
        async with client:
            await _show(client.stream(model=model, input=_PROMPT), events=False)

    if os.environ.get("HF_TOKEN", "").strip():
        client = ResponsesClient.for_provider("huggingface")
        model = os.environ.get("MODEL") or HUGGINGFACE_MODEL
        _say(f"{model} at {client.base_url}\n> {_PROMPT}\n")
        anyio.run(main, client, model)
        return
    from ..scripted.model import MODEL, Scripted  # noqa: PLC0415 - as above
    from ..server.app import ResponsesApp  # noqa: PLC0415 - needs the extra `server`, other commands do not
    from ..server.uvicorn import serving  # noqa: PLC0415 - as above

    with serving(ResponsesApp(Scripted(delay=0.02))) as url:
        _say(f"the scripted model at {url} (set HF_TOKEN for a real one)\n> {_PROMPT}\n")
        anyio.run(main, ResponsesClient(url, "none"), MODEL)
