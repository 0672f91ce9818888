"""Errors of the commands: each becomes one line on standard error, with advice, and an exit status."""

from __future__ import annotations

import contextlib
import functools
import re
from typing import TYPE_CHECKING, Any, Final

import rich.console
import typer

from ..exceptions import (
    APIError,
    AuthenticationError,
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    NotAnEventStream,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponsesProtoError,
    StreamInterrupted,
    StreamTruncated,
    UsageError,
)
from ..protocol.api_errors import readable
from ._output import discard_output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells
TERMINATED: Final = 143  # 128 + SIGTERM

_ADVICE: Final[tuple[tuple[type[Exception], str], ...]] = (
    # The first class that matches is used. Errors of other classes need no advice.
    (
        ConnectError,
        "Is the server running, and is --base-url right? `responses-proto serve` starts one on this machine.",
    ),
    (AuthenticationError, "Pass --api-key, or set RESPONSES_API_KEY or the provider's own variable."),
    (PermissionDeniedError, "The key is valid, but lacks permission: use another key or another model."),
    (NotFoundError, "Check --model, and --base-url, which usually ends in /v1."),
    (RateLimitError, "Try again later."),
    (NotAnEventStream, "Is --base-url that of a Responses API? It usually ends in /v1."),
    (StreamTruncated, "The server, or a proxy in front of it, stopped too early. Try again."),
    (StreamInterrupted, "The connection broke. Try again."),
    (DeadlineExceeded, "The server is slow or unreachable. Try again."),
    (LimitExceeded, "The server sent more than this library accepts by default."),
    (APIError, "The server reported this error."),
)

_PARAMETER: Final = re.compile(r"\b(?:(base_url|api_key)\b(?:=\.\.\.)?|(shared)=True)")
"""Parameters of the client and of the stores that are options of the commands."""


class CommandError(Exception):
    """A failure that a command reports. ``str(error)`` is the line to print; ``status`` is the exit status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def print_error(line: str) -> None:
    """Print a line to standard error, in red on a terminal."""
    with contextlib.suppress(OSError):  # if standard error is closed too, only the exit status is left
        rich.console.Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"error: {line}", style="red", markup=False, emoji=False
        )


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command: its errors are printed as one line, and set the exit status."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has closed the pipe, as in `responses-proto stream … | head -1`.
            discard_output()
            raise typer.Exit(1) from None
        except (ResponsesProtoError, CommandError, ImportError) as error:
            print_error(describe(error))
            if isinstance(error, CommandError):
                raise typer.Exit(error.status) from None
            raise typer.Exit(WRONG_USAGE if isinstance(error, UsageError) else 1) from None

    return wrapper


@contextlib.contextmanager
def file_errors(action: str, file: str | None) -> Generator[None]:
    """Raise ``UsageError`` for an ``OSError`` of the block: ``cannot read notes.txt: No such file or directory``."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {action} {file}: {error.strerror or error}") from error


def describe(error: Exception) -> str:
    """Return one line that states what happened and what to do."""
    if isinstance(error, NotAnEventStream):
        content_type = error.headers.get("content-type", "no content type")
        excerpt = readable(error.body.decode("utf-8", "replace"), 100)
        message = f"expected an event stream, got {content_type} (HTTP {error.status}): {excerpt or 'an empty body'}"
    elif isinstance(error, StreamTruncated):
        cursor = error.cursor
        position = f"after event {cursor.sequence_number}" if cursor else "before any event"
        message = f"the stream ended early, {position}"
    elif isinstance(error, UsageError):
        options = _PARAMETER.sub(lambda found: f"--{(found[1] or found[2]).replace('_', '-')}", str(error))
        message = " ".join(options.split())
    else:
        message = " ".join(str(error).split())
    advice = next((advice for cls, advice in _ADVICE if isinstance(error, cls)), "")
    return with_advice(message, advice) if advice else message


def with_advice(message: str, advice: str) -> str:
    """Return a message and advice as two sentences."""
    return f"{message} {advice}" if message.endswith((".", "!", "?", "…")) else f"{message}. {advice}"
