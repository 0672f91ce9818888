"""``check`` and ``check-client``: their formats, and an exit status for each severity."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.test_cli import CLEAN, COMMAND, command, error_line
from tests.support import PATIENCE

from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

QUICK = ("--only", "create", "--only", "usage", "--only", "create-stream")


class Changed:
    """The scripted server, whose JSON responses are changed."""

    def __init__(self, **fields: Any) -> None:
        self._app = ResponsesApp(Scripted())
        self._fields = fields

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head: Any = None

        async def changed(message: Any) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
                return
            with contextlib.suppress(ValueError):
                value = json.loads(message["body"])
                if value.get("object") == "response":
                    message = {**message, "body": json.dumps(value | self._fields).encode()}
            if head is not None:
                length = (b"content-length", str(len(message["body"])).encode())
                headers = [(name, of) for name, of in head["headers"] if name != b"content-length"]
                await send({**head, "headers": headers if message.get("more_body") else [*headers, length]})
                head = None
            await send(message)

        await self._app(scope, receive, changed if scope["type"] == "http" else send)


@contextlib.contextmanager
def good(**options: Any) -> Generator[str]:
    with serving(ResponsesApp(Scripted(), **options)) as url:
        yield url


def test_a_good_server_passes_every_check() -> None:
    with good() as url:
        done = command("check", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert " 0 failed, 0 skipped" in done.stdout.splitlines()[0]
    assert "passed  websocket-compacted" in done.stdout


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 3}}, 3), ({"output": []}, 1)],
)
def test_the_exit_status_is_that_of_the_worst_finding(fields: dict[str, Any], status: int) -> None:
    with serving(Changed(**fields)) as url:
        done = command("check", url, *QUICK, "--profile", "openai", "--ignore", "create-fields")
    assert "failed" in error_line(done, status)


def test_a_server_that_is_not_there_or_refuses_the_key_is_one_line() -> None:
    nobody = command("check", RESPONSES_BASE_URL="http://127.0.0.1:1/v1")
    with good(keys=["right"]) as url:
        refused = command("check", url, "--api-key", "wrong")
    assert "nothing was checked" in error_line(nobody, 4)
    assert "Connection refused" in error_line(nobody, 4)
    assert "HTTP 401" in error_line(refused, 4)
    for done in (nobody, refused):
        assert done.stdout.startswith("0 passed, 1 failed, 0 skipped\n")


def test_every_format_can_be_written_to_a_file(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    with good() as url:
        for name in ("junit", "html", "md"):
            path = tmp_path / name
            done = command("check", url, *QUICK, "--format", name, "--output", str(path))
            assert (done.returncode, done.stdout) == (0, "")
        shown = command("check", url, *QUICK, "--format", "json")
    assert json.loads(shown.stdout)["ok"] is True
    assert ET.parse(tmp_path / "junit").getroot().attrib["tests"] == "3"  # noqa: S314 - our own text
    assert (tmp_path / "html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "md").read_text().startswith("# Conformance of ")


def test_the_checks_are_listed() -> None:
    done = command("check", "--list")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "suite: websocket-response" in rows["websocket"]
    assert "warning" in rows["orphan-refused"]
    assert "clean" in command("check-client", "--list").stdout.splitlines()


def test_wrong_usage_is_told() -> None:
    assert "base URL" in error_line(command("check"), 2)
    assert "'no-rule'" in error_line(command("check", "http://127.0.0.1:1/v1", "--ignore", "no-rule"), 2)
    assert "the URL must look like" in error_line(command("check", "nonsense"), 2)
    assert "authorization" in error_line(command("check", "http://127.0.0.1:1/v1", "--api-key", "ü"), 2)
    assert "after --" in error_line(command("check-client"), 2)
    assert "cannot run /no/such/program" in error_line(command("check-client", "--", "/no/such/program"), 2)
    with good() as url:
        assert "cannot write /no/such/file" in error_line(command("check", url, *QUICK, "-o", "/no/such/file"), 2)


def test_a_terminal_gets_progress_and_a_table() -> None:
    leader, follower = pty.openpty()
    with (
        good() as url,
        subprocess.Popen(  # noqa: S603 - the program under test
            [*COMMAND, "check", url, *QUICK], stdout=follower, stderr=follower, env=CLEAN | {"TERM": "xterm"}
        ) as process,
    ):
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the program has ended
            while piece := os.read(leader, 65536):
                shown += piece
        assert process.wait(PATIENCE) == 0
    os.close(leader)
    assert b"\x1b[32mpassed" in shown
    assert b"3/3" in shown
    assert b"no errors, no warnings" in shown


CLIENT = """
import json, os, sys, urllib.request
body = json.dumps({"model": "m", "input": "x", "stream": True}).encode()
request = urllib.request.Request(os.environ["RESPONSES_BASE_URL"] + "/responses", body, {"content-type": "application/json"})
text = ""
for line in urllib.request.urlopen(request):
    if line.startswith(b"data: {"):
        text += json.loads(line[6:]).get("delta", "")
print(json.dumps({"status": sys.argv[1], "text": text}))
"""


def test_a_client_is_checked_as_a_command(tmp_path: Path) -> None:
    client = tmp_path / "client.py"
    client.write_text(CLIENT)
    run = functools.partial(command, "check-client", "--only", "clean", "--only", "no terminal event")
    done = run("--", sys.executable, str(client), "completed")
    assert error_line(done) == "error: 1 of 2 scenes failed"
    assert "expected error or truncated, got completed" in done.stdout
    done = run("--format", "json", "--", sys.executable, str(client), "truncated")
    value = json.loads(done.stdout)
    assert {result["name"]: result["status"] for result in value["results"]} == {
        "clean": "failed",
        "no terminal event": "passed",
    }
