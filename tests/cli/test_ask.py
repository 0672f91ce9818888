"""The commands that ask a model, as a person and a pipe see them."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.cli.test_cli import CLEAN, COMMAND, command, error_line
from tests.support import PATIENCE

from responses_proto.models import EVENT_TYPES
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")
WEATHER = '''
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"
'''


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with serving(ResponsesApp(Scripted())) as address:
        yield address


def piped(typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the program under test
        [*COMMAND, *arguments], input=typed, capture_output=True, text=True, check=False, timeout=PATIENCE, env=CLEAN
    )


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(  # noqa: S603 - the program under test
            [*COMMAND, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=CLEAN | {"COLUMNS": "40", "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self._unread = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """Read until the terminal shows this text after what was waited for before. Return all up to its end."""
        end = time.monotonic() + PATIENCE
        while text not in self._unread:
            assert select.select([self._ours], [], [], end - time.monotonic())[0], self._unread
            self._unread += os.read(self._ours, 65536).decode()
        shown, _, self._unread = self._unread.partition(text)
        return shown + text

    def interrupt_until(self, text: str) -> None:
        """Interrupt until the terminal shows this text: readline loses a signal that comes just when the prompt is drawn."""
        end = time.monotonic() + PATIENCE
        self.process.send_signal(signal.SIGINT)
        while text not in self._unread and time.monotonic() < end:
            if select.select([self._ours], [], [], 1)[0]:
                self._unread += os.read(self._ours, 65536).decode()
            else:
                self.process.send_signal(signal.SIGINT)
        self.wait_for(text)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_the_prompt_may_come_by_a_pipe(url: str) -> None:
    for arguments in ([], ["-"]):
        done = piped("hello there", "stream", "--base-url", url, *arguments)
        assert (done.returncode, done.stdout) == (0, "hello there\n")
    assert "standard input is empty" in error_line(piped("", "create", "--base-url", url), 2)


def test_events_as_json_lines(url: str) -> None:
    done = command("stream", "--base-url", url, "--jsonl", "hello")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert {event["type"] for event in events} <= set(EVENT_TYPES)
    assert "cannot be combined" in error_line(command("stream", "--jsonl", "--events", "hello"), 2)


def test_what_is_not_text_goes_to_standard_error(url: str) -> None:
    reasoning = command("stream", "--base-url", url, "--tool", "web_search", "search for cats")
    assert reasoning.returncode == 0
    assert reasoning.stderr.startswith("web_search_call\n")
    assert "outcome: completed" in reasoning.stderr
    assert "outcome" not in reasoning.stdout


def test_files_images_and_instructions_are_part_of_the_request(url: str, tmp_path: Path) -> None:
    image = tmp_path / "pixel.png"
    image.write_bytes(PIXEL)
    (tmp_path / "notes.txt").write_text("some notes")
    done = command("create", "--base-url", url, "--image", str(image), "--file", str(tmp_path / "notes.txt"), "Look:")
    assert done.stdout == "Look: (with image, file notes.txt)\n"
    done = command(
        "create", "--base-url", url, "--image", "https://example.com/a.png", "-i", "Be brief.", "[context] x"
    )
    assert "instructions: Be brief." in done.stdout
    for option in ("--image", "--file"):
        line = error_line(command("stream", "--base-url", url, option, str(tmp_path / "nowhere"), "x"), 2)
        assert option in line
        assert "nowhere" in line


def test_a_python_function_is_a_tool(url: str, tmp_path: Path) -> None:
    file = tmp_path / "mytools.py"
    file.write_text(WEATHER)
    for verb in ("stream", "create"):
        done = command(verb, "--base-url", url, "--tool", f"{file}:get_weather", 'get_weather({"city": "Rome"})')
        assert (done.returncode, done.stdout) == (0, "The tool says: sunny in Rome\n")
    done = command("stream", "--base-url", url, "--tool", f"{file}:get_weather", 'get_weather({"city": "Rome"})')
    assert done.stderr.startswith('get_weather({"city": "Rome"})\n-> sunny in Rome\n[')


@pytest.mark.parametrize(
    "name", ["nothing", "nowhere.py:f", "no_such_module:f", "json:no_such_function", ":f", "..relative:f"]
)
def test_a_tool_that_is_not_there(url: str, name: str) -> None:
    line = error_line(command("stream", "--base-url", url, "--tool", name, "x"), 2)
    assert line.startswith("error: --tool: ")
    assert name.rpartition(":")[2] in line or name.rpartition(":")[0] in line


@pytest.mark.parametrize(("code", "words"), [("def (", "SyntaxError: "), ("raise RuntimeError('boom')", "boom")])
def test_a_tool_whose_file_breaks(url: str, tmp_path: Path, code: str, words: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(code)
    assert words in error_line(command("stream", "--base-url", url, "--tool", f"{file}:f", "x"), 2)


def test_a_stored_response_is_continued(url: str) -> None:
    first = command("stream", "--base-url", url, "My name is Ada.")
    response_id = first.stderr.rpartition("id: ")[2].strip().removesuffix("]")
    done = command("stream", "--base-url", url, "--previous", response_id, "What is my name?")
    assert done.stdout == "You said: My name is Ada.\n"


def test_a_chat_keeps_the_conversation(url: str) -> None:
    done = piped("My name is Ada.\nWhat is my name?\n\n/new\nWhat is my name?\n", "chat", "--base-url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["My name is Ada.", "You said: My name is Ada.", "What is my name?"]


def test_a_chat_goes_on_after_an_error(url: str) -> None:
    done = piped("[error 400] x\nhello\n/quit\nnot read\n", "chat", "--base-url", url)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert done.stderr.startswith("error: ")


def test_an_interruption_stops_the_answer_and_not_the_chat(url: str) -> None:
    terminal = Terminal("chat", "--base-url", url)
    try:
        terminal.wait_for("> ")
        terminal.type("[slow 1] one two three four five six seven eight nine ten\n")
        terminal.wait_for("\x1b[2Kone two")  # in place of the spinner; what was typed is shown before, perhaps twice
        terminal.process.send_signal(signal.SIGINT)
        assert "ten" not in terminal.wait_for("[stopped]")
        terminal.wait_for("> ")
        terminal.interrupt_until("> ")  # at the prompt, it discards the line
        terminal.type("What did I say?\n")
        terminal.wait_for("You said: one two")
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.process.wait(PATIENCE) == 0
    finally:
        terminal.close()


def test_lines_are_broken_between_words_on_a_terminal(url: str) -> None:
    words = " ".join(f"word{number}" for number in range(30))
    terminal = Terminal("stream", "--base-url", url, words)
    try:
        shown = terminal.wait_for("outcome: completed")
    finally:
        terminal.close()
    lines = shown[shown.index("word0") : shown.index("word29") + 6].split("\r\n")
    assert len(lines) > 1
    assert " ".join(lines) == words
    assert max(map(len, lines)) <= 40


def test_an_interrupted_stream_says_so(url: str) -> None:
    terminal = Terminal("stream", "--base-url", url, "[slow 1] one two three four five six seven eight nine ten")
    try:
        terminal.wait_for("\x1b[2Kone two")
        terminal.process.send_signal(signal.SIGINT)
        assert "ten" not in terminal.wait_for("outcome: interrupted")
        assert terminal.process.wait(PATIENCE) == 130
    finally:
        terminal.close()


def test_errors_name_options_and_not_parameters() -> None:
    missing = error_line(command("stream", "hello"), 2)
    assert "pass --api-key" in missing
    assert "pass --base-url" in missing
    assert "`responses-proto serve`" in missing
    assert "--base-url must look like" in error_line(command("stream", "--base-url", "127.0.0.1:8000", "hello"), 2)


def test_shells_complete_commands_and_options() -> None:
    code = "import sys; sys.argv = ['responses-proto']; from responses_proto.cli import run; sys.exit(run())"
    for words, found in (
        ("responses-proto str", "stream"),
        ("responses-proto stream --prov", "--provider"),
        ("responses-proto stream --provider hug", "huggingface"),
    ):
        done = subprocess.run(  # noqa: S603 - the program under test
            [sys.executable, "-c", code],
            env=CLEAN
            | {"_RESPONSES_PROTO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.stdout.split() == [found]


def test_a_short_help_option() -> None:
    done = command("stream", "-h")
    assert done.returncode == 0
    assert "--instructions" in done.stdout
