"""Reports are valid in their format, escape what a server sent, and the page can be looked at without a network."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support import PATIENCE, run
from tests.testing.conformance.test_timeline import long, recorded

from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp
from responses_proto.testing import Answer, FakeServer, ServerReport, check_client, check_server
from responses_proto.testing.conformance.reports import (
    as_html,
    as_json,
    as_junit,
    as_markdown,
    describe,
    timelines_as_html,
)
from responses_proto.testing.conformance.timeline import Recording, timeline

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("jinja2")

HOSTILE: Final = (
    '<script>document.title="owned"</script>|`x`\x1b[31m\x00]]>"\'<img src=http://evil.invalid/x onerror=alert(1)>'
)
CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")


@functools.cache
def good() -> ServerReport:
    found: list[ServerReport] = []

    async def check() -> None:
        found.append(await check_server(ResponsesApp(Scripted())))

    run("asyncio", check)
    return found[0]


@functools.cache
def hostile() -> ServerReport:
    """Return the report of a server that puts markup everywhere."""
    found: list[ServerReport] = []

    async def check() -> None:
        events: Any = json.loads(json.dumps(Answer.text("Hi.").wire_events))
        for event in events:
            if "item" in event:
                event["item"] |= {"type": HOSTILE, "name": HOSTILE}
        response = {**events[-1]["response"], "object": "response", "truncation": HOSTILE, "status": HOSTILE}

        def script(exchange: Any) -> Answer:
            return Answer.events(events) if exchange.request.wants_stream else Answer.json(response)

        async with FakeServer(script) as server:
            found.append(
                await check_server(server.url, only=["create", "create-stream", "create-fields", "json-refused"])
            )

    run("asyncio", check)
    return found[0]


def test_a_report_in_json_has_everything() -> None:
    value = json.loads(as_json(hostile()))
    assert value["ok"] is False
    assert {result["status"] for result in value["results"]} >= {"failed"}
    finding = value["findings"][0]
    assert finding.keys() == {"rule", "severity", "clause", "suite", "broken", "event", "path", "detail", "suggestion"}
    assert json.loads(as_json(good()))["findings"] == []


def test_a_report_in_junit_is_xml() -> None:
    for report in (good(), hostile()):
        suites = ET.fromstring(as_junit(report))  # noqa: S314 - our own text
        suite = suites[0]
        assert int(suite.attrib["tests"]) == len(report.checks) == len(suite)
        failed = [case for case in suite if case.find("failure") is not None]
        assert len(failed) == report.counts["failed"] == int(suite.attrib["failures"])


def test_a_report_in_markdown_has_no_markup_of_the_server() -> None:
    text = as_markdown(hostile())
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert cells == {4, 7}
    assert as_markdown(good()).count("| passed |") == len(good().checks)


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links |= {value or "" for name, value in attrs if name in ("src", "href", "action", "data")}
        assert not any(name.startswith("on") for name, _ in attrs)


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    for report in (good(), hostile()):
        page = _Page(as_html(report))
        assert page.tags.isdisjoint({"script", "img", "iframe", "object", "embed"})
        assert page.links == {"data:,"}
        assert describe(report) in as_html(report)


def test_the_page_of_a_long_stream_is_as_small_as_that_of_a_short_one() -> None:
    sizes = [len(timelines_as_html([timeline(long(events))], "Long")) for events in (5_000, 20_000)]
    assert sizes[1] < 1.2 * sizes[0]
    assert sizes[1] < 500_000
    many = timelines_as_html([timeline(recorded(0.1))] * 100, "Many")
    assert "60 more streams are left out" in many


def test_a_client_has_reports_too() -> None:
    async def test() -> None:
        report = await check_client(lambda _: {"status": "completed", "text": HOSTILE}, only=["clean", "HTTP 400"])
        assert json.loads(as_json(report))["ok"] is False
        assert ET.fromstring(as_junit(report))[0].attrib["failures"] == "2"  # noqa: S314 - our own text
        assert _Page(as_html(report)).tags.isdisjoint({"script", "img"})
        assert "client-text" in as_markdown(report)

    run("asyncio", test)


# ---- in a browser


def browse(page: Path, folder: Path, *arguments: str) -> str:
    """Open a page in a headless browser that has no network, and return what the browser prints."""
    assert CHROMIUM is not None
    offline = ["--proxy-server=127.0.0.1:1", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(  # noqa: S603 - the browser, and a page of our own
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}",
            *offline,
            *arguments,
            page.as_uri(),
        ],
        capture_output=True,
        check=True,
        timeout=2 * PATIENCE,
    )
    return done.stdout.decode("utf-8", "replace")


def picture_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


@needs_browser
@pytest.mark.parametrize("events", [1_000, 100_000])
def test_a_browser_shows_the_timeline(events: int, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(timelines_as_html([timeline(long(events))], "Long"), encoding="utf-8")
    shown = browse(page, tmp_path / "profile", "--window-size=1200,1400", f"--screenshot={picture}", "--dump-dom")
    assert f"{events} events" in shown
    assert shown.count('class="row"') == 41  # the lifecycle, and an upper bound of items
    assert picture_size(picture) == (1200, 1400)
    assert picture.stat().st_size > 20_000  # a blank page has a tenth of that


@needs_browser
def test_a_browser_runs_nothing_that_a_server_sent(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(as_html(hostile()), encoding="utf-8")
    shown = browse(page, tmp_path / "profile", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", shown)
    assert title is not None
    assert title[1].startswith("Conformance of http://127.0.0.1:")
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown


def test_a_name_of_a_recording_is_text() -> None:
    page = timelines_as_html([timeline(Recording(HOSTILE, ((0.0, b"data: {}\n\n"),)))], HOSTILE)
    assert _Page(page).tags.isdisjoint({"script", "img"})
