"""The command ``inspect``: the timeline of a recording, and the difference between two."""

from __future__ import annotations

import contextlib
import difflib
import http.client
import io
import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer
from rich.console import Console
from rich.text import Text

from ..exceptions import UsageError
from ..protocol.api_errors import readable
from ..protocol.emitter import DONE
from ..protocol.sse import encode_frame
from ._check import printable
from ._errors import file_errors, one_line_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..testing.conformance.timeline import ItemBar, Recording, Timeline

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_LABEL: Final = 28  # columns
_DIFFED: Final = 2000  # events of each recording that are compared
_DIFFERENCES: Final = 200  # lines
_LINE: Final = 160  # characters


@one_line_errors
def inspect(
    file: Annotated[str, typer.Argument(help="A recorded event stream, a raw HTTP response, or a cassette.")],
    other: Annotated[str | None, typer.Argument(help="A second recording, to compare with the first.")] = None,
    html: Annotated[str | None, typer.Option("--html", help="Write the timelines to this file, as a page.")] = None,
) -> None:
    """Show the timeline of a recorded stream: items, deltas, silences and faults. With two files, also show how they differ."""
    from ..testing.conformance.timeline import timeline  # noqa: PLC0415 - only `inspect` needs it

    groups = [read_recordings(name) for name in (file, other) if name is not None]
    lines = [timeline(recording) for group in groups for recording in group]
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        for text in timeline_as_text(line):
            console.print(text)
    if other is not None:
        for text in _differences(groups[0][0], groups[1][0]):
            console.print(text)
    if html is not None:
        from ..testing.conformance.reports import timelines_as_html  # noqa: PLC0415 - needs the extra `report`

        page = timelines_as_html(lines, f"Timeline of {file}" if other is None else f"{file} and {other}")
        with file_errors("write", html):
            Path(html).write_text(page, encoding="utf-8")


def read_recordings(file: str) -> list[Recording]:
    """Return the streams in a file: one, or all of a cassette. Raises ``UsageError`` if there is none."""
    from ..testing.conformance.timeline import Recording  # noqa: PLC0415 - only `inspect` needs it

    with file_errors("read", file):
        content = Path(file).read_bytes()
    told = ""
    if content.startswith(b"HTTP/"):
        status, content = content.partition(b"\r\n")[0], _http_body(content)
        told = f", but {status.decode('latin-1')}: {readable(content.decode('utf-8', 'replace'), _LINE)}"
    elif content.lstrip().startswith(b"{"):
        found = _in_cassette(file) if b'"exchanges"' in content[:4096] else _in_lines(file, content)
        return _streams(file, found)
    return _streams(file, [Recording(file, ((None, content),))], told)


def _streams(file: str, found: list[Recording], told: str = "") -> list[Recording]:
    """Return the recordings that are streams. Raises ``UsageError`` if there is none; ``told`` is added to its message."""
    streams = [recording for recording in found if b"data:" in recording.body]
    if not streams:
        advice = told or ": pass a recorded stream, a raw HTTP response, the messages of a WebSocket, or a cassette"
        raise UsageError(printable(f"{file} has no event stream{advice}"))
    return streams


def _http_body(content: bytes) -> bytes:
    """Return the body of a raw HTTP response, with its chunks joined."""

    class Recorded:
        def makefile(self, *_: object) -> io.BytesIO:
            return io.BytesIO(content)

    response = http.client.HTTPResponse(cast("Any", Recorded()))
    body = b""
    try:
        response.begin()
        body = response.read()
    except http.client.IncompleteRead as cut:
        body = cut.partial
    except (http.client.HTTPException, ValueError):
        pass
    # Many recorders join the chunks and leave the head unchanged.
    return body or re.split(rb"\r?\n\r?\n", content, maxsplit=1)[-1]


def _in_cassette(file: str) -> list[Recording]:
    from ..testing.cassettes import Cassette  # noqa: PLC0415 - only cassettes need it
    from ..testing.conformance.timeline import Recording  # noqa: PLC0415 - only `inspect` needs it

    return [
        Recording(f"{file}, {number}: {exchange.method} {exchange.path}", tuple(exchange.pieces))
        for number, exchange in enumerate(Cassette.load(file).exchanges, 1)
    ]


def _in_lines(file: str, content: bytes) -> list[Recording]:
    """Return the events in a file of JSON lines, the format in which WebSocket sessions are recorded."""
    from ..testing.conformance.timeline import Recording  # noqa: PLC0415 - only `inspect` needs it

    frames: list[bytes] = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):  # not an event
            frames.append(encode_frame(line, str(json.loads(line)["type"])))
    frames += [DONE] if frames else []  # WebSocket messages lack `event:` and `[DONE]`: no fault to report
    return [Recording(file, tuple((None, frame) for frame in frames))]


def timeline_as_text(line: Timeline) -> Iterator[Text]:
    """Yield the lines of a timeline for a terminal."""
    from ..testing.conformance.reports import headline, moment  # noqa: PLC0415 - only `inspect` needs it
    from ..testing.conformance.streams import counted  # noqa: PLC0415 - as above

    yield Text(printable(line.name), style="bold")
    yield Text(printable(headline(line)))
    for item in line.items:
        label = printable(item.label)[:_LABEL].ljust(_LABEL)
        tail = f" {counted(item.deltas, 'delta')}, {item.characters} characters" + ("" if item.done else ", never done")
        yield Text.assemble(label, ("│" + _bar(line, item) + "│", "" if item.done else "red"), tail)
    if line.more_items:
        yield Text(f"and {line.more_items} more items")
    for gap in line.gaps:
        yield Text(f"silence of {gap.length:.2f} s from {moment(line, gap.start)}", style="yellow")
    for finding in line.findings:
        style = "red" if finding.about.severity == "error" else "yellow"
        yield Text(printable(f"{finding.rule}: {finding.place}"), style=style)
    if line.more_findings:
        yield Text(f"and {line.more_findings} more findings")


def _bar(line: Timeline, item: ItemBar) -> str:
    """Return the bar of an item: from its start to its end, with the density of its deltas."""
    highest = max((max(one.density) for one in line.items), default=0) or 1
    bins = len(item.density)
    first, last = (int(min(bins - 1, at / (line.duration or 1.0) * bins)) for at in (item.start, item.end))
    return "".join(
        _BLOCKS[1 + (7 * count) // highest] if count else "·" if first <= number <= last else " "
        for number, count in enumerate(item.density)
    )


def _differences(first: Recording, second: Recording) -> Iterator[Text]:
    """Yield how the events of two recordings differ, as a unified diff."""
    before, after = (list(itertools.islice(_told(recording), _DIFFED)) for recording in (first, second))
    diff = difflib.unified_diff(before, after, printable(first.name), printable(second.name), n=1, lineterm="")
    lines = list(itertools.islice(diff, _DIFFERENCES + 1))
    yield Text("the events are the same" if not lines else "the events differ:", style="bold")
    for line in _shortened([printable(line) for line in lines[:_DIFFERENCES]]):
        yield Text(line, style={"+": "green", "-": "red"}.get(line[:1], ""))
    if len(lines) > _DIFFERENCES:
        yield Text("and more")


def _shortened(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a diff, with removed and added lines cut to the part in which they differ."""
    for _, group in itertools.groupby(lines, lambda line: line[0] in "+-"):
        block = list(group)
        removed, added = ([line for line in block if line[0] == sign] for sign in "-+")
        other = dict(zip(removed + added, added + removed, strict=False)) if len(removed) == len(added) else {}
        for line in block:
            pairs = enumerate(zip(line[1:], other.get(line, "")[1:], strict=False))
            start = max(0, next((at for at, (ours, theirs) in pairs if ours != theirs), 0) - _LINE // 2)
            head = f"{line.partition(' ')[0]} … " if start else ""
            yield f"{head}{line[start:]}"[:_LINE]


def _told(recording: Recording) -> Iterator[str]:
    """Yield a line for each event: its type and fields, without ``sequence_number`` and ``obfuscation``."""
    from ..testing.conformance.timeline import events_of  # noqa: PLC0415 - only `inspect` needs it

    for _, event in events_of(recording):
        fields = {
            name: value for name, value in event.items() if name not in ("type", "sequence_number", "obfuscation")
        }
        yield f"{event.get('type')} {json.dumps(fields, sort_keys=True, ensure_ascii=False)}"
