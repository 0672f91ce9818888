"""Write reports for people and for other programs: JSON, JUnit, Markdown and HTML.

The HTML page needs no network, runs no scripts, and has a bounded size. Writing it needs the extra ``report`` (jinja2).
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...rules import RULES, Rule
from .servers import ServerReport
from .streams import counted
from .timeline import BINS, Timeline, timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .clients import ClientReport
    from .streams import Finding

__all__ = [
    "as_html",
    "as_json",
    "as_junit",
    "as_markdown",
    "describe",
    "headline",
    "moment",
    "rows_of",
    "timelines_as_html",
]

_PLACES: Final = 20  # of one rule
_PLACE: Final = 300  # characters of one
_CHARTS: Final = 40  # timelines of one page
_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@attrs.frozen
class ReportRow:
    """One check or scene."""

    name: str
    status: str
    detail: str
    findings: tuple[Finding, ...]


@attrs.frozen
class BrokenRule:
    """All findings of one rule."""

    about: Rule
    count: int
    places: tuple[str, ...]
    more: int


def rows_of(report: ServerReport | ClientReport) -> list[ReportRow]:
    """Return the checks of a server, or the scenes of a client."""
    if isinstance(report, ServerReport):
        return [
            ReportRow(
                check.rule,
                check.status,
                ": ".join(filter(None, (check.request, check.detail)))[:_PLACE] if check.detail else "",
                check.findings,
            )
            for check in report.checks
        ]
    return [
        ReportRow(
            scene.name,
            "failed" if scene.findings else "passed",
            "; ".join(finding.detail for finding in scene.findings)[:_PLACE],
            scene.findings,
        )
        for scene in report.scenes
    ]


def _title(report: ServerReport | ClientReport) -> str:
    if isinstance(report, ServerReport):
        return f"Conformance of {report.server} ({report.profile})"
    return "Conformance of a client"


def describe(report: ServerReport | ClientReport) -> str:
    """Return the counts of a report in one line."""
    rows = rows_of(report)
    counts = [f"{sum(row.status == status for row in rows)} {status}" for status in ("passed", "failed", "skipped")]
    warnings = len(report.findings) - len(report.errors)
    return f"{', '.join(counts)}; {counted(len(report.errors), 'error')}, {counted(warnings, 'warning')}"


def _broken(findings: Sequence[Finding]) -> list[BrokenRule]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    return [
        BrokenRule(
            about=RULES[rule],
            count=len(found),
            places=tuple(finding.place[:_PLACE] for finding in found[:_PLACES]),
            more=max(0, len(found) - _PLACES),
        )
        for rule, found in by_rule.items()
    ]


def as_json(report: ServerReport | ClientReport) -> str:
    """Return the report as JSON."""
    return json.dumps(
        {
            "ok": report.ok,
            "title": _title(report),
            "summary": describe(report),
            "results": [{"name": row.name, "status": row.status, "detail": row.detail} for row in rows_of(report)],
            "findings": [_finding_as_json(finding) for finding in report.findings],
        },
        indent=1,
        ensure_ascii=False,
    )


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    about = finding.about
    return {
        "rule": finding.rule,
        "severity": about.severity,
        "clause": about.section,
        "suite": about.suite or None,
        "broken": about.broken,
        "event": finding.event,
        "path": finding.path,
        "detail": finding.detail[:_PLACE],
        "suggestion": about.suggestion,
    }


def as_junit(report: ServerReport | ClientReport) -> str:
    """Return the report as JUnit XML, with a test case for each check."""
    rows = rows_of(report)
    failures = sum(row.status == "failed" for row in rows)
    skipped = sum(row.status == "skipped" for row in rows)
    counts = {"tests": str(len(rows)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": _xml(_title(report)), **counts})
    for row in rows:
        case = ET.SubElement(suite, "testcase", {"classname": "responses_proto", "name": _xml(row.name), "time": "0"})
        if row.status == "failed":
            failure = ET.SubElement(case, "failure", {"message": _xml(row.detail)})
            failure.text = _xml("\n".join(str(finding)[:_PLACE] for finding in row.findings[:_PLACES]))
        elif row.status == "skipped":
            ET.SubElement(case, "skipped", {"message": _xml(row.detail)})
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def as_markdown(report: ServerReport | ClientReport) -> str:
    """Return the report as Markdown."""
    lines = [f"# {_markdown(_title(report))}", "", describe(report), "", "| result | what | detail |", "|---|---|---|"]
    lines += [f"| {row.status} | {_markdown(row.name)} | {_markdown(row.detail)} |" for row in rows_of(report)]
    if report.findings:
        lines += [
            "",
            "| severity | rule | found | what is wrong | first place | what to do |",
            "|---|---|---|---|---|---|",
        ]
    for broken in _broken(report.findings):
        rule = broken.about
        cells = (rule.severity, f"`{rule.id}`", str(broken.count), rule.broken, broken.places[0], rule.suggestion)
        lines.append(f"| {' | '.join(cell if cell.startswith('`') else _markdown(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    """Return a text escaped for a table cell, so that data from a server does not become markup."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))


def as_html(report: ServerReport | ClientReport) -> str:
    """Return the report as a self-contained page, with the timelines of a server's streams. Raises ``ImportError`` without jinja2."""
    recordings = report.recordings if isinstance(report, ServerReport) else ()
    lines = (
        [timeline(recording, profile=report.profile) for recording in recordings[:_CHARTS]]
        if isinstance(report, ServerReport)
        else []
    )
    return _page(
        title=_title(report),
        summary=describe(report),
        rows=rows_of(report),
        rules=_broken(report.findings),
        lines=lines,
        more=max(0, len(recordings) - _CHARTS),
    )


def timelines_as_html(lines: Sequence[Timeline], title: str, notes: Sequence[str] = ()) -> str:
    """Return a self-contained page with these timelines. Raises ``ImportError`` without jinja2."""
    summary = "; ".join(notes) or counted(len(lines), "stream")
    return _page(
        title=title, summary=summary, rows=[], rules=[], lines=lines[:_CHARTS], more=max(0, len(lines) - _CHARTS)
    )


def _page(
    *, title: str, summary: str, rows: list[ReportRow], rules: list[BrokenRule], lines: Sequence[Timeline], more: int
) -> str:
    try:
        import jinja2  # noqa: PLC0415 - only needed for HTML
    except ImportError as missing:
        raise ImportError("HTML reports need jinja2: pip install 'responses-proto[report]'") from missing
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__.rpartition(".")[0]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    charts = [_chart(line) for line in lines]
    return environment.get_template("report.html").render(
        title=title, summary=summary, rows=rows, rules=rules, charts=charts, more_charts=more, bins=BINS
    )


def _chart(line: Timeline) -> dict[str, Any]:
    """Return the data that the page draws of a timeline, with positions in percent and texts not yet escaped."""
    whole = line.duration or 1.0

    def left(at: float) -> str:
        return f"{min(100.0, 100 * at / whole):.2f}"

    highest = max((max(item.density) for item in line.items), default=0) or 1
    bars = [
        {
            "label": item.label,
            "title": f"{item.label}: {counted(item.deltas, 'delta')}, {item.characters} characters, {moment(line, item.start)} to {moment(line, item.end)}"
            + ("" if item.done else ", never marked done"),
            "done": item.done,
            "left": left(item.start),
            "width": left(item.end - item.start),
            "bins": [
                {"left": f"{100 * number / BINS:.2f}", "height": f"{15 + 85 * count / highest:.0f}"}
                for number, count in enumerate(item.density)
                if count
            ],
        }
        for item in line.items
    ]
    notes = [finding.place[:_PLACE] + f" ({finding.rule})" for finding in line.findings[:_PLACES]]
    hidden = line.more_findings + max(0, len(line.findings) - _PLACES)
    notes += [f"and {hidden} more findings"] if hidden else []
    notes += [f"and {line.more_items} more items"] if line.more_items else []
    return {
        "line": line,
        "head": headline(line),
        "marks": [{"left": left(at), "title": f"{kind}, {moment(line, at)}"} for at, kind in line.marks],
        "gaps": [
            {
                "left": left(gap.start),
                "width": left(gap.length),
                "title": f"silence of {gap.length:.2f} s from {moment(line, gap.start)}",
            }
            for gap in line.gaps
        ],
        "flaws": [{"left": left(at), "title": f"{rule}, {moment(line, at)}"} for at, rule in line.flaws],
        "bars": bars,
        "notes": notes,
    }


def moment(line: Timeline, at: float) -> str:
    """Return a time of a timeline as readable text."""
    return f"{at:.3f} s" if line.unit == "s" else f"event {at:.0f}"


def headline(line: Timeline) -> str:
    """Return a timeline in one line."""
    first = "none" if line.first_delta is None else moment(line, line.first_delta)
    silence = f"; longest silence {max(gap.length for gap in line.gaps):.2f} s" if line.gaps else ""
    found = len(line.findings) + line.more_findings
    return (
        f"{counted(line.events, 'event')}, {line.bytes} bytes; the first at {moment(line, line.first_event)}, first delta {first}, "
        f"end {moment(line, line.duration)}{silence}; {line.status}; {counted(found, 'finding')}"
    )
