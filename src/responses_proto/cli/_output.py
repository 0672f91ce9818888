"""What the commands print: responses as text, streams while they arrive, and a summary line."""

from __future__ import annotations

import difflib
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from ..models.events import EVENT_TYPES, OutputItemDone, OutputTextDelta, RefusalDelta, UnknownEvent
from ..models.items import FunctionCall

if TYPE_CHECKING:
    from ..client.stream import EventStream
    from ..models.events import Event
    from ..models.response import Response

__all__ = ["as_text", "discard_output", "print_stream", "write"]

_SIMILAR: Final = 0.9  # of 1: how similar the name of an unknown event is to a known one if it is a misspelling


def write(text: str) -> None:
    """Write to standard output and flush it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def discard_output() -> None:
    """Redirect standard output to nowhere, so that the interpreter's flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def as_text(response: Response) -> str:
    """Return what a response contains for people: its text or refusal, and its function calls, one per line."""
    text = response.output_text or response.refusal
    lines = [text] if text else []
    lines += [_call(call) for call in response.function_calls]
    return "".join(f"{line}\n" for line in lines)


def _call(call: FunctionCall) -> str:
    return f"{call.name}({call.arguments})"


async def print_stream(stream: EventStream, *, events: bool) -> None:
    """Print a stream as it arrives, then a summary line. Raises what ``stream.result()`` raises.

    With ``events`` each event is printed as a line, and the summary goes to standard error; otherwise the text is printed.
    """
    printer = _StreamPrinter(events=events)
    try:
        async with stream:
            async for event in stream:
                printer.print_event(event)
    finally:
        printer.print_summary(stream)
    await stream.result()


class _StreamPrinter:
    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._started = time.perf_counter()
        self._first_after = math.nan  # seconds
        self._count = 0
        self._has_text = False
        self._mid_line = False
        self._misspelled: set[str] = set()

    def print_event(self, event: Event) -> None:
        if not self._count:
            self._first_after = time.perf_counter() - self._started
        self._count += 1
        if self._events:
            write(f"{event!r}\n")
            if isinstance(event, UnknownEvent):
                self._note_misspelling(event.type)
        elif isinstance(event, OutputTextDelta | RefusalDelta):
            self._write_text(event.delta)
        elif isinstance(event, OutputItemDone) and isinstance(event.item, FunctionCall):
            self._end_line()
            self._write_text(f"{_call(event.item)}\n")

    def _note_misspelling(self, type_: str) -> None:
        """Print a note, once per type, if an unknown event is probably a known one."""
        similar = difflib.get_close_matches(type_, EVENT_TYPES, 1, _SIMILAR)
        if similar and type_ not in self._misspelled:
            self._misspelled.add(type_)
            sys.stderr.write(f"note: there is no event {type_}; did the server mean {similar[0]}?\n")

    def print_summary(self, stream: EventStream) -> None:
        outcome = stream.outcome
        if not self._count and outcome is None:
            return  # the error line is enough
        if not (self._has_text or self._events):
            self._write_text(stream.response.output_text)  # some servers send no deltas
        usage = stream.response.usage
        tokens = f"{usage.input_tokens} in, {usage.output_tokens} out" if usage else "not reported"
        first = "none" if math.isnan(self._first_after) else f"after {self._first_after * 1000:.0f} ms"
        status = outcome.status if outcome else "none, the stream was abandoned"
        # With --events, standard output is for programs: it contains events and nothing else.
        self._end_line()
        output = sys.stderr if self._events else sys.stdout
        output.write(f"[{self._count} events, the first {first}; tokens: {tokens}; outcome: {status}]\n")
        output.flush()

    def _end_line(self) -> None:
        if self._mid_line:
            self._write_text("\n")

    def _write_text(self, text: str) -> None:
        if text:
            write(text)
            self._has_text = True
            self._mid_line = not text.endswith("\n")
