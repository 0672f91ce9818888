"""The commands ``check`` and ``check-client``: conformance of a server or of a client, as a table or for other programs.

The exit status is 0 without findings, 1 if a finding is an error, 3 if all are warnings, and 4 if a server cannot be checked at all: it
cannot be reached, refuses the key, or does not serve the Responses API. Wrong usage is 2, as for every command.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..exceptions import UsageError
from ._errors import CommandError, file_errors, one_line_errors, with_advice
from ._output import write

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ..testing.conformance.clients import ClientReport
    from ..testing.conformance.servers import ServerReport

_WARNINGS_ONLY: Final = 3
_NOT_CHECKED: Final = 4
_BLOCKED: Final = frozenset({"unreachable", "unauthorized", "unavailable"})
_STYLES: Final = {"passed": "green", "failed": "red", "skipped": "dim", "error": "red", "warning": "yellow"}


class ReportFormat(enum.Enum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    HTML = "html"
    MD = "md"


class _Profile(enum.Enum):
    OPENRESPONSES = "openresponses"
    OPENAI = "openai"


_Format = Annotated[ReportFormat, typer.Option("--format", help="Format of the report.")]
_Output = Annotated[str | None, typer.Option("--output", "-o", help="File for the report. Default: standard output.")]


@one_line_errors
def check(
    url: Annotated[
        str | None,
        typer.Argument(envvar="RESPONSES_BASE_URL", help="Base URL of the API, such as http://127.0.0.1:8000/v1."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", envvar="MODEL", help="The model to send requests to.")
    ] = "scripted",
    api_key: Annotated[str | None, typer.Option("--api-key", envvar="RESPONSES_API_KEY", help="API key.")] = None,
    profile: Annotated[
        _Profile, typer.Option("--profile", help="The specification that the server is to follow.")
    ] = _Profile.OPENRESPONSES,
    only: Annotated[list[str] | None, typer.Option("--only", help="Run only this check (repeatable).")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="Ignore this rule (repeatable).")] = None,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds after which a check fails.", min=0.1)] = 30.0,
    format: _Format = ReportFormat.TEXT,  # noqa: A002 - the option's name
    output: _Output = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the checks and exit.")] = False,
) -> None:
    """Check whether a server follows the protocol, by small but real requests to every endpoint."""
    from ..testing.conformance.servers import check_server, server_checks  # noqa: PLC0415 - only `check` needs it

    if list_:
        _list_checks(server_checks())
        return
    if url is None:
        raise UsageError("pass the base URL of the server, such as http://127.0.0.1:8000/v1")
    total = len(only) if only else len(server_checks())

    with _progress(total) as advance:
        run = functools.partial(
            check_server,
            url,
            key=api_key,
            model=model,
            profile=profile.value,
            only=only or None,
            ignore=ignore or (),
            deadline=deadline,
            on_check=lambda one: advance(one.rule, one.status),
        )
        try:
            report = anyio.run(run)
        except UsageError as error:
            raise UsageError(str(error).replace("base_url", "the URL")) from error
    write_report(report, format, output)
    _exit(report, sum(one.status == "failed" for one in report.checks), len(report.checks), "checks")


@one_line_errors
def check_client(
    command: Annotated[
        list[str] | None, typer.Argument(help="The client and its arguments, after --; {url} is the base URL.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Play only this scene (repeatable).")] = None,
    deadline: Annotated[
        float, typer.Option("--deadline", help="Seconds after which the client counts as hanging.", min=0.1)
    ] = 30.0,
    concurrency: Annotated[
        int, typer.Option("--concurrency", help="How many clients run at the same time.", min=1)
    ] = 4,
    format: _Format = ReportFormat.TEXT,  # noqa: A002 - the option's name
    output: _Output = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the scenes and exit.")] = False,
) -> None:
    """Check how a client handles faults and dialects. The client is run once for each, and must print its result as JSON.

    The client finds the base URL in RESPONSES_BASE_URL, sends one streaming request, and prints as its last line an object such as
    {"status": "completed", "text": "Hello.", "calls": [{"name": "f", "arguments": "{}"}]}. The status is completed, incomplete, failed,
    truncated or error.
    """
    from ..testing.conformance import clients  # noqa: PLC0415 - only `check-client` needs it

    names = clients.scene_names()
    if list_:
        write("".join(f"{name}\n" for name in names))
        return
    if not command:
        raise UsageError("pass the client's command after --: check-client -- python client.py")

    with file_errors("run", command[0]), _progress(len(only) if only else len(names)) as advance:
        run = functools.partial(
            clients.check_client,
            command,
            only=only or None,
            deadline=deadline,
            concurrency=concurrency,
            on_scene=lambda one: advance(one.name, "failed" if one.findings else "passed"),
        )
        report = anyio.run(run)
    write_report(report, format, output)
    _exit(report, sum(bool(one.findings) for one in report.scenes), len(report.scenes), "scenes")


def _exit(report: ServerReport | ClientReport, failed: int, total: int, what: str) -> None:
    """Set the exit status by the worst finding."""
    if report.ok:
        return
    blocked = next((finding for finding in report.findings if finding.rule in _BLOCKED), None)
    if blocked is not None:
        told = with_advice(f"nothing was checked: {blocked.detail}", blocked.about.suggestion)
        raise CommandError(printable(told), status=_NOT_CHECKED)
    raise CommandError(f"{failed} of {total} {what} failed", status=1 if report.errors else _WARNINGS_ONLY)


def _list_checks(rules: list[str]) -> None:
    from ..rules import RULES  # noqa: PLC0415 - only `--list` needs it

    for rule in map(RULES.__getitem__, rules):
        suite = f"; suite: {rule.suite}" if rule.suite else ""
        write(f"{rule.id:22} {rule.severity:7} {rule.broken} [{rule.section}{suite}]\n")


@contextlib.contextmanager
def _progress(total: int) -> Generator[Callable[[str, str], None]]:
    """Show the results on standard error while the block runs, if that is a terminal."""
    bar = Progress(
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        done = failed = 0

        def advance(name: str, status: str) -> None:
            nonlocal done, failed
            done += 1
            failed += status == "failed"
            bar.update(task, completed=done, description=f"{name}" + (f", {failed} failed" if failed else ""))

        yield advance


def write_report(report: ServerReport | ClientReport, format: ReportFormat, output: str | None) -> None:  # noqa: A002 - as above
    """Write a report to a file or to standard output. Raises ``UsageError`` if the file cannot be written."""
    from ..testing.conformance import reports  # noqa: PLC0415 - only a report needs it

    writers: dict[ReportFormat, Callable[[Any], str]] = {
        ReportFormat.TEXT: lambda one: f"{printable(str(one))}\n",
        ReportFormat.JSON: lambda one: f"{reports.as_json(one)}\n",
        ReportFormat.JUNIT: lambda one: f"{reports.as_junit(one)}\n",
        ReportFormat.HTML: reports.as_html,
        ReportFormat.MD: reports.as_markdown,
    }
    if format is ReportFormat.TEXT and output is None and sys.stdout.isatty():
        _print_table(report, reports.describe(report))
        return
    text = writers[format](report)
    if output is None:
        write(text)
        return
    with file_errors("write", output):
        Path(output).write_text(text, encoding="utf-8")


def _print_table(report: ServerReport | ClientReport, summary: str) -> None:
    """Print the results and the findings as a table, for a terminal."""
    from ..testing.conformance.reports import rows_of  # noqa: PLC0415 - only a terminal needs it
    from ..testing.conformance.streams import grouped  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False)
    for heading in ("result", "what", "detail"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "detail")
    for row in rows_of(report):
        style = _STYLES[row.status]
        table.add_row(Text(row.status, style=style), Text(row.name), Text(printable(row.detail)))
    console = Console(highlight=False)
    console.print(table)
    for line in grouped(report.findings):
        style = next((style for word, style in _STYLES.items() if line.startswith(f"{word} ")), "")
        console.print(Text(printable(line), style=style))
    console.print(Text(summary, style="green" if report.ok else "red"))


def printable(text: str) -> str:
    """Return a text with its control characters replaced, so that text from a server cannot move the cursor."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
