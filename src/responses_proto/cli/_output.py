"""The output of the commands: responses as text, streams while they arrive, and a summary line."""

from __future__ import annotations

import difflib
import enum
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich.cells import cell_len
from rich.console import Console

from ..codec import dumps
from ..models._base import Model
from ..models.events import (
    EVENT_TYPES,
    OutputItemDone,
    OutputTextDelta,
    ReasoningSummaryTextDelta,
    ReasoningTextDelta,
    RefusalDelta,
    UnknownEvent,
)
from ..protocol.emitter import split_words
from ..tools.events import ToolFinished

if TYPE_CHECKING:
    from rich.status import Status

    from ..models.response import Response

_SIMILAR: Final = 0.9  # of 1: similarity to a known event name above which an unknown one counts as misspelled


def write(text: str) -> None:
    """Write to standard output and flush it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def discard_output() -> None:
    """Redirect standard output to the null device, so that the interpreter's flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_text(response: Response) -> str:
    """Return a response as readable text: its text or refusal, and its function calls, one per line."""
    text = response.output_text or response.refusal
    lines = [text] if text else []
    lines += [_call(call) for call in response.function_calls]
    return "".join(f"{line}\n" for line in lines)


def _call(call: Any) -> str:
    """Return a call of any tool as one line: its name and arguments, or its type if it has no name."""
    arguments = getattr(call, "arguments", None) or getattr(call, "input", None) or ""
    return f"{call.name}({arguments})" if getattr(call, "name", None) else call.type


class Format(enum.Enum):
    """How a stream is printed."""

    TEXT = "text"
    """The text as it arrives."""
    EVENTS = "events"
    """A typed event on each line."""
    JSON = "json"
    """The JSON of an event on each line."""


async def print_stream(source: Any, form: Format = Format.TEXT, *, summary: TextIO | None = None) -> None:
    """Print a stream or a run as it arrives, then a summary line. Raises what its ``result()`` raises.

    Standard output gets the text or the events. Reasoning, calls and the summary go to standard error; if ``summary`` is given,
    the summary goes there instead.
    """
    printer = StreamPrinter(form)
    try:
        async with source:
            async for event in source:
                printer.print_event(event)
    finally:
        printer.close()
        printer.print_summary(source, summary or sys.stderr)
    await source.result()


class StreamPrinter:
    """Prints events as they arrive. Call :meth:`close` at the end."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._started = time.perf_counter()
        self._first_after = math.nan  # seconds
        self._count = 0
        self._has_text = False
        self._misspelled: set[str] = set()
        self._text = _Words(sys.stdout)
        self._aside = _Words(sys.stderr, "\x1b[2m", "\x1b[22m")  # dimmed
        self._spinner = _spinner() if form is Format.TEXT else None

    def print_event(self, event: Any) -> None:
        """Print an event of a stream or a run."""
        if not self._count:
            self._first_after = time.perf_counter() - self._started
        self._count += 1
        if self._form is Format.TEXT:
            self._print_text(event)
        elif isinstance(event, Model):
            write(f"{dumps(event).decode() if self._form is Format.JSON else repr(event)}\n")
            if isinstance(event, UnknownEvent):
                self._note_misspelling(event.type)
        elif self._form is Format.EVENTS:
            write(f"{event!r}\n")  # an event of the run, which is not on the wire

    def _print_text(self, event: Any) -> None:
        match event:
            case OutputTextDelta(delta=text) | RefusalDelta(delta=text):
                self._stop_spinner()
                self._aside.end_line()
                self._text.write(text)
                self._has_text = self._has_text or bool(text)
            case ReasoningTextDelta(delta=text) | ReasoningSummaryTextDelta(delta=text):
                self._stop_spinner()
                self._text.end_line()
                self._aside.write(text)
            case OutputItemDone(item=item) if item.type.endswith("_call"):
                self._line(_call(item))
            case ToolFinished() as finished:
                self._line(f"-> {'failed: ' if finished.failed else ''}{_output_of(finished)}")
            case _:
                pass

    def _line(self, text: str) -> None:
        self._stop_spinner()
        self._text.end_line()
        self._aside.end_line()
        sys.stderr.write(f"{text}\n")

    def _stop_spinner(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def _note_misspelling(self, type_: str) -> None:
        """Print a note, once per type, if an unknown event is probably a known one."""
        similar = difflib.get_close_matches(type_, EVENT_TYPES, 1, _SIMILAR)
        if similar and type_ not in self._misspelled:
            self._misspelled.add(type_)
            sys.stderr.write(f"note: there is no event {type_}; did the server mean {similar[0]}?\n")

    def close(self) -> None:
        """End the line, and remove the spinner."""
        self._stop_spinner()
        self._aside.end_line()
        self._text.end_line()

    def print_summary(self, source: Any, output: TextIO) -> None:
        """Print the number of events, the tokens and the outcome of a stream or a run that has ended."""
        response: Response | None = source.response
        outcome = getattr(source, "outcome", None)
        if response is None or (not self._count and outcome is None):
            return  # the error line is enough
        if not self._has_text and self._form is Format.TEXT:
            self._text.write(response.output_text)  # some servers send no deltas
            self._text.end_line()
        usage = response.usage
        tokens = f"{usage.input_tokens} in, {usage.output_tokens} out" if usage else "not reported"
        first = "none" if math.isnan(self._first_after) else f"after {self._first_after * 1000:.0f} ms"
        # A run has no outcome, and neither has a stream that was left before its end: by Ctrl-C, or because the connection broke.
        known = outcome.status if outcome else response.status
        status = "interrupted" if not known or known in ("queued", "in_progress") else known
        output.write(
            f"[{self._count} events, the first {first}; tokens: {tokens}; outcome: {status}; id: {response.id or 'none'}]\n"
        )
        output.flush()


def _output_of(finished: ToolFinished) -> str:
    output = getattr(finished.output, "output", "")
    return output if isinstance(output, str) else finished.output.type


def _spinner() -> Status | None:
    """Show a spinner on standard error, if that is a terminal."""
    console = Console(stderr=True)
    if not (console.is_terminal and sys.stdout.isatty()):
        return None
    status = console.status("waiting for the model")
    status.start()
    return status


class _Words:
    """Writes text as it arrives; on a terminal, with line breaks between words instead of within them."""

    def __init__(self, output: TextIO, style: str = "", unstyle: str = "") -> None:
        terminal = output.isatty()
        self._output = output
        self._width = Console(stderr=output is sys.stderr).width if terminal else 0
        self._styles = (style, unstyle) if terminal and "NO_COLOR" not in os.environ else ("", "")
        self._column = 0
        self._mid_line = False

    def write(self, text: str) -> None:
        """Write a part of the text."""
        if not text:
            return
        self._output.write(self._styles[0] + (self._wrapped(text) if self._width else text) + self._styles[1])
        self._output.flush()
        self._mid_line = not text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line, unless at the start of one."""
        if self._mid_line:
            self._output.write("\n")
            self._output.flush()
            self._column, self._mid_line = 0, False

    def _wrapped(self, text: str) -> str:
        """Return the text with a line break before each word that does not fit. A word that began in an earlier part stays there."""
        parts: list[str] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                parts.append("\n")
                self._column = 0
            for word in split_words(line):
                shown = word
                if self._column and word[0].isspace() and self._column + cell_len(word) > self._width:
                    shown = "\n" + word.lstrip()
                    self._column = 0
                parts.append(shown)
                self._column += cell_len(shown.lstrip("\n"))
        return "".join(parts)
