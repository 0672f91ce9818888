"""The command ``map``: read the prompts, show the progress of the batch, and report the failures."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..exceptions import UsageError
from ._errors import file_errors, print_error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ..client.batch import Batch, BatchProgress


def read_requests(file: str) -> list[str | dict[str, Any]]:
    """Return the prompts and requests in a file of JSON lines, ``-`` for standard input. Raises ``UsageError`` with the line number."""
    with file_errors("read", file):
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    requests: list[str | dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, str | dict):
            raise UsageError(
                f'{file}, line {number}: expected a JSON string or object, such as "Hello" or {{"input": "Hello"}}'
            )
        requests.append(cast("str | dict[str, Any]", value))
    if not requests:
        raise UsageError(f"{file} has no prompts: write one JSON string per line")
    return requests


def as_request(prompt: str | dict[str, Any]) -> dict[str, Any]:
    """Return a prompt as a wire object."""
    return {"input": prompt} if isinstance(prompt, str) else prompt


@contextlib.contextmanager
def batch_progress(total: int) -> Generator[Callable[[BatchProgress], None]]:
    """Show a progress bar while the block runs, if standard error is a terminal. Yields the function to call after each request."""
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=total)

        def update(progress: BatchProgress) -> None:
            gate = progress.gate
            state = f"{gate.open} open" if not gate.closed_for else f"the server asks to wait {gate.closed_for:.0f} s"
            failed = f", {progress.failed} failed" if progress.failed else ""
            bar.update(task, completed=progress.done, description=state + failed)

        yield update


async def print_failures(batch: Batch) -> int:
    """Run a batch, print an error line for each failed request, and return how many failed."""
    failed = 0
    async for result in batch:
        if (error := result.exception()) is not None:
            failed += 1
            print_error(f"request {result.index + 1}: {' '.join(str(error).split())}")
    return failed
