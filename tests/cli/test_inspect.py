"""``inspect`` shows the timeline of a recording, in a terminal and as a page, and how two recordings differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.cli.test_cli import command, error_line
from tests.support import run

from responses_proto import ResponsesClient
from responses_proto.testing import Answer, FakeServer, record

if TYPE_CHECKING:
    from pathlib import Path


def stream(text: str = "One two three.") -> bytes:
    return b"".join(step for step in Answer.text(text).to_wire().steps if isinstance(step, bytes))


def test_a_recorded_stream_has_a_timeline(tmp_path: Path) -> None:
    file = tmp_path / "story.sse"
    file.write_bytes(stream())
    done = command("inspect", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    name, head, bar = done.stdout.splitlines()
    assert name == str(file)
    assert "completed; no findings" in head
    assert bar.startswith("0 message assistant")
    assert bar.endswith("│ 3 deltas, 14 characters")
    assert "█" in bar


def test_what_is_wrong_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "cut.sse"
    file.write_bytes(stream()[:-400])
    done = command("inspect", str(file))
    assert "truncated" in done.stdout
    assert "no-terminal" in done.stdout


@pytest.mark.parametrize("chunked", [False, True])
def test_a_raw_response_is_read(tmp_path: Path, *, chunked: bool) -> None:
    file, body = tmp_path / "raw.http", stream()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    if chunked:
        head += b"transfer-encoding: chunked\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    file.write_bytes(head + b"\r\n" + body)
    assert "3 deltas" in command("inspect", str(file)).stdout
    file.write_bytes(head + b"\r\n" + stream())  # many recorders join the chunks
    assert "3 deltas" in command("inspect", str(file)).stdout


def test_messages_of_a_websocket_are_read(tmp_path: Path) -> None:
    file = tmp_path / "session.ndjson"
    file.write_text("".join(f"{json.dumps(event)}\n" for event in Answer.text("One two.").wire_events or ()))
    shown = command("inspect", str(file)).stdout
    assert "2 deltas" in shown
    assert "no findings" in shown


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('HTTP/1.1 401 Unauthorized\r\n\r\n{"error": {"message": "No."}}', 'but HTTP/1.1 401 Unauthorized: {"error"'),
        ("HTTP/1.1 200 OK\r\n\r\n<html><title>Hi</title></html>", "but HTTP/1.1 200 OK: Hi"),
        ('{"object": "response", "id": "resp_1"}', "pass a recorded stream"),
        ("", "pass a recorded stream"),
    ],
)
def test_what_is_no_stream_is_refused(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "reply"
    file.write_text(content)
    assert f"{file} has no event stream" in error_line(command("inspect", str(file)), 2)
    assert told in error_line(command("inspect", str(file)), 2)


def test_a_cassette_has_times(tmp_path: Path) -> None:
    file = tmp_path / "tape.json"

    async def make() -> None:
        async with FakeServer("One two three.") as server, record(file) as transport:
            client = ResponsesClient(server.url, "none", http_client=transport)
            async with client, client.stream(model="m", input="x") as events:
                await events.result()

    run("asyncio", make)
    done = command("inspect", str(file))
    assert f"{file}, 1: POST /responses" in done.stdout
    assert " s, first delta 0." in done.stdout


def test_two_recordings_are_compared(tmp_path: Path) -> None:
    first, second = tmp_path / "a.sse", tmp_path / "b.sse"
    first.write_bytes(stream())
    second.write_bytes(stream("One two four."))
    assert "the events are the same" in command("inspect", str(first), str(first)).stdout
    done = command("inspect", str(first), str(second))
    assert "the events differ:" in done.stdout
    changed = [
        line
        for line in done.stdout.splitlines()
        if line.startswith(("-response.output_text.delta", "+response.output_text.delta"))
    ]
    assert [line[0] for line in changed] == ["-", "+"]
    assert "three" in changed[0]
    assert "four" in changed[1]


def test_lines_are_cut_to_where_two_recordings_differ(tmp_path: Path) -> None:
    first, second = tmp_path / "a.sse", tmp_path / "b.sse"
    first.write_bytes(stream("word " * 100 + "three."))
    second.write_bytes(stream("word " * 100 + "four."))
    lines = command("inspect", str(first), str(second)).stdout.splitlines()
    (before,) = [line for line in lines if line.startswith("-response.output_text.done")]
    (after,) = [line for line in lines if line.startswith("+response.output_text.done")]
    assert "three." in before
    assert "four." in after


def test_a_page_is_written(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    file, page = tmp_path / "story.sse", tmp_path / "page.html"
    file.write_bytes(stream())
    assert command("inspect", str(file), "--html", str(page)).returncode == 0
    assert "0 message assistant" in page.read_text()
    assert "cannot write" in error_line(command("inspect", str(file), "--html", str(tmp_path / "no" / "page")), 2)


def test_a_terminal_is_not_driven_by_what_a_server_sent(tmp_path: Path) -> None:
    file = tmp_path / "story.sse"
    file.write_bytes(stream().replace(b'"assistant"', b'"\\u001b[2Jassistant"'))
    done = command("inspect", str(file))
    assert "\x1b" not in done.stdout
    assert "\ufffd[2Jassistant" in done.stdout


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    assert "cannot read" in error_line(command("inspect", str(tmp_path / "none")), 2)
    for name, content in (("page", "<html>"), ("cassette", '{"exchanges": 5}'), ("empty", "")):
        file = tmp_path / name
        file.write_text(content)
        error_line(command("inspect", str(file)), 2)
