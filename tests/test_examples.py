"""The examples run as they are, in a process of their own, against the scripted server."""

from __future__ import annotations

import base64
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Generator

EXAMPLES = Path(__file__).parents[1] / "examples"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==")

# The relevant parts of the output of each example.
PRINTS = {
    "text.py": ["unicorn", "tokens in"],
    "image.py": ["What is in this image? (with image)"],
    "conversation.py": ["> What did I ask you before?\nYou said: Are semicolons optional in JavaScript?"],
    "stream.py": ["[response resp_", "[message]\n", "unicorn", "scripted: completed\n"],
    "functions.py": ['get_current_weather({"location":', "The tool says: Sunny in"],
    "structured.py": ["name, date: participants"],
    "remote_mcp.py": [
        "gitmcp offers search_tiktoken_documentation, fetch_tiktoken_documentation",
        'approved: search_tiktoken_documentation({"query":"How does tiktoken work?"})',
        "The tool says:",
    ],
    "output_with_tools.py": ["[the price of chair]", "Offer article 1"],
    "reasoning.py": ["effort low", "effort high", "-> Say hello to the world."],
    "bridge.py": ["Once there was a unicorn.", "[completed, 12 tokens]"],
    "routing.py": ["scripted: Say", "scripted:groq: Say", "scripted:fastest: Say"],
}
TESTED_ELSEWHERE = {"agent.py", "approval.py", "dask_workers.py", "resume.py"}


def run_example(name: str, base_url: str = "", *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    clean = ("HF_", "MODEL", "OPENAI_", "RESPONSES_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(clean)}
    if base_url:
        environment |= {"RESPONSES_BASE_URL": base_url, "RESPONSES_API_KEY": "any"}
    return subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, EXAMPLES / name, *arguments],
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with serving(ResponsesApp(Scripted())) as address:
        yield address


@pytest.mark.parametrize("name", PRINTS)
def test_an_example_prints_its_result(name: str, url: str) -> None:
    done = run_example(name, url)
    assert (done.returncode, done.stderr) == (0, "")
    assert [text for text in PRINTS[name] if text not in done.stdout] == []


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} - TESTED_ELSEWHERE == set(PRINTS)


def test_an_example_needs_no_server() -> None:
    done = run_example("text.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert "unicorn" in done.stdout


def test_an_image_file(url: str, tmp_path: Path) -> None:
    image = tmp_path / "pixel.png"
    image.write_bytes(PIXEL)
    assert run_example("image.py", url, str(image)).stdout == "What is in this image? (with image)\n"
    missing = run_example("image.py", url, str(tmp_path / "nowhere.png"))
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: ")
    assert "nowhere.png" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


def test_an_example_reports_an_error_in_one_line() -> None:
    done = run_example("stream.py", "http://127.0.0.1:1/v1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot connect to http://127.0.0.1:1")
    assert len(done.stderr.splitlines()) == 1


def test_the_agent_looks_into_a_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a secret")
    with serving(ResponsesApp(Scripted())) as url:
        done = run_example("agent.py", url, "What is in here?", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ('[list_files {}]\nThe tool says: ["notes.txt"]\n\ncompleted after 2 turns\n')


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y\n", "notes.txt was deleted"),
        ("a\n", "notes.txt was deleted"),
        ("n\n", "The call was not approved: not wanted"),
    ],
)
def test_a_function_is_approved_on_the_terminal(url: str, typed: str, answer: str) -> None:
    done = run_example("approval.py", url, typed=typed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f'call delete_file({{"name": "notes.txt"}})? [y/n/a] The tool says: {answer}\n'


@pytest.mark.parametrize(("decision", "answer"), [("yes", "sent 5 to Ada"), ("no", "The call was not approved.")])
def test_a_run_is_stored_and_continued_by_another_process(tmp_path: Path, decision: str, answer: str) -> None:
    file = str(tmp_path / "run.json")
    assert run_example("resume.py", "", file).stdout == "waiting_for_caller: 1 call in run.json\n"
    done = run_example("resume.py", "", file, decision)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"The tool says: {answer}\n"


def test_the_agent_is_a_whole_program_on_one_page() -> None:
    assert len((EXAMPLES / "agent.py").read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is not installed")
def test_requests_and_responses_travel_between_processes(url: str) -> None:
    done = run_example("dask_workers.py", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted(f"Say {number}." for number in range(10))
