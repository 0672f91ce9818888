"""Check recorded streams of providers, and print what is found: ``python docs/findings.py ../shared > docs/findings.md``."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from responses_proto.rules import RULES
from responses_proto.testing import check_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from responses_proto.testing import StreamReport

_FIELDS: Final = ("missing-field", "null-field", "wrong-type", "wrong-value", "wrong-constant", "unknown-item")
_SHOWN: Final = 12  # fields of one provider


def streams(shared: Path) -> Iterator[tuple[str, bytes, frozenset[str]]]:
    """Yield the recorded streams: provider, body, and the rules that the recorder may have broken itself."""
    for entry in json.loads((shared / "corpus" / "INDEX.json").read_text())["files"]:
        if (
            entry["kind"] == "streams"
            and not entry["likely_hand_written"]
            and entry["fidelity"] != "documentation example"
        ):
            exact = entry["fidelity"].startswith("raw")
            yield (
                entry["provider"],
                (shared / "corpus" / entry["file"]).read_bytes(),
                frozenset() if exact else _FRAMING,
            )
    for path in sorted((shared / "dialects").glob("*/*-stream.http")):
        body = re.split(rb"\r?\n\r?\n", path.read_bytes(), maxsplit=1)[-1]
        if b"data:" in body:
            yield f"{path.parent.name.removesuffix('-mcp')} (bridge)", body, frozenset()


_FRAMING: Final = frozenset({"event-line", "no-done", "event-name", "sequence-start"})


def digest(shared: Path) -> str:
    """Return a text that differs for other recordings."""
    parts = [provider.encode() + body for provider, body, _ in streams(shared)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def lines(shared: Path) -> Iterator[str]:
    """Yield the lines of the page."""
    reports: defaultdict[str, list[StreamReport]] = defaultdict(list)
    for provider, body, ignore in streams(shared):
        reports[provider].append(check_stream(body, profile="openresponses", ignore=ignore))
    providers = sorted(reports)
    yield f"<!-- recordings {digest(shared)} -->"
    yield ""
    yield "# What providers send"
    yield ""
    yield 'Findings of `check_stream(body, profile="openresponses")` in recorded streams, made by `docs/findings.py`. A number says in how'
    yield "many of the streams a rule is broken. Rules about framing are left out where the recorder wrote the frames anew. The recordings are"
    yield "of different dates, and say nothing about what a provider sends today. All rules are in [rules and anomalies](reference/rules.md)."
    yield ""
    yield f"| rule | {' | '.join(providers)} |"
    yield f"|---|{'---|' * len(providers)}"
    yield f"| *streams* | {' | '.join(str(len(reports[provider])) for provider in providers)} |"
    for rule in RULES:
        counts = [sum(rule in report.rules for report in reports[provider]) for provider in providers]
        if any(counts):
            yield f"| {rule} | {' | '.join(str(count or '') for count in counts)} |"
    clean = [sum(report.ok for report in reports[provider]) for provider in providers]
    yield f"| *no finding* | {' | '.join(map(str, clean))} |"
    yield ""
    yield "## Fields"
    yield ""
    yield "The fields at fault, most frequent first, as places in an event: with the number of streams."
    yield ""
    yield "| provider | fields |"
    yield "|---|---|"
    for provider in providers:
        yield f"| {provider} | {_fields(reports[provider]) or 'none'} |"


def _fields(reports: list[StreamReport]) -> str:
    """Return the fields at fault, for a cell."""
    found: Counter[str] = Counter()
    for report in reports:
        places = {f"`{_place(finding)}` {finding.rule}" for finding in report.findings if finding.rule in _FIELDS}
        found.update(places)
    most = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    shown = [f"{place} ({count})" for place, count in most[:_SHOWN]]
    return ", ".join(shown) + (f", and {len(most) - _SHOWN} more" if len(most) > _SHOWN else "")


def _place(finding: Any) -> str:
    """Return the JSONPath of a finding without the positions in lists."""
    path: str = finding.path.partition(" $.")[2]
    return re.sub(r"\[\d+\]", "[]", path)


def main() -> int:
    """Print the page."""
    shared = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared")
    if not (shared / "corpus" / "INDEX.json").exists():
        print(f"no recordings in {shared}: pass the folder that has corpus/INDEX.json", file=sys.stderr)
        return 2
    for line in lines(shared):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
