"""The command ``map``: prompts from a file, answers in a journal, and what it says when something is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.cli.test_cli import command, error_line
from tests.limited import limited

from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with serving(ResponsesApp(Scripted())) as address:
        yield address


def answers(path: Path) -> list[str]:
    return [json.loads(line)["output_text"] for line in path.read_text().splitlines()[1:]]


def test_each_prompt_is_answered_once(tmp_path: Path) -> None:
    prompts, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    prompts.write_text('"one"\n\n{"input": "two", "model": "other"}\n{"input": "three"}\n')
    with limited(1000, burst=100) as server:
        options = ("--base-url", server.url, "--api-key", "k", "-o", str(output))
        done = command("map", str(prompts), *options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        with prompts.open("a") as file:
            file.write('"four"\n')
        assert command("map", str(prompts), *options).returncode == 0
    assert sorted(server.inputs) == sorted(answers(output)) == ["four", "one", "three", "two"]


def test_requests_that_fail_are_named_and_repeated_by_the_same_command(url: str, tmp_path: Path) -> None:
    prompts, output = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    prompts.write_text('"hello"\n{"input": "hello", "temperature": 99}\n')
    for _ in range(2):
        done = command("map", str(prompts), "-o", str(output), "--base-url", url, "--api-key", "k")
        assert done.returncode == 1
        first, last = done.stderr.splitlines()
        assert first.startswith("error: request 2: ")
        assert "temperature" in first
        assert last.startswith("error: 1 of 2 requests failed")
    statuses = [json.loads(line)["status"] for line in output.read_text().splitlines()[1:]]
    assert sorted(statuses) == ["completed", "error", "error"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read"),
        ("", "has no prompts"),
        ("\n \n", "has no prompts"),
        ('"fine"\nnot json\n', "line 2: expected a JSON string or object"),
        ("[" * 100_000, "line 1: expected a JSON string or object"),
        ('"fine"\n[1]\n', "line 2: expected a JSON string or object"),
    ],
)
def test_a_file_that_has_no_prompts_is_explained(tmp_path: Path, content: str | None, says: str) -> None:
    prompts = tmp_path / "prompts.jsonl"
    if content is not None:
        prompts.write_text(content)
    done = command(
        "map", str(prompts), "-o", str(tmp_path / "out"), "--base-url", "http://127.0.0.1:9", "--api-key", "k"
    )
    assert says in error_line(done, 2)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_something_else_is_left_alone(url: str, tmp_path: Path) -> None:
    prompts, output = tmp_path / "prompts.jsonl", tmp_path / "notes.txt"
    prompts.write_text('"hello"\n')
    output.write_text("my notes\n")
    done = command("map", str(prompts), "-o", str(output), "--base-url", url, "--api-key", "k")
    assert "is not a journal" in error_line(done, 2)
    assert output.read_text() == "my notes\n"
    done = command("map", str(prompts), "-o", str(tmp_path / "no" / "out"), "--base-url", url, "--api-key", "k")
    assert "cannot write" in error_line(done, 2)
