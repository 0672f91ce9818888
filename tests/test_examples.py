"""The examples run as they are, in a process of their own, against the embedded server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from responses_proto.aio.asgi import ResponsesApp
from responses_proto.aio.scripted import Scripted
from responses_proto.aio.serving import serving

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_example(name: str, base_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_TOKEN", "MODEL")}
    environment |= {"RESPONSES_BASE_URL": base_url, "RESPONSES_API_KEY": "any"}
    return subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, EXAMPLES / name, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_stream_tells_a_story() -> None:
    with serving(ResponsesApp(Scripted())) as url:
        done = run_example("stream.py", url)
    assert done.returncode == 0, done.stderr
    assert "unicorn" in done.stdout
    assert done.stdout.endswith("scripted: completed\n")


def test_stream_says_in_a_line_what_is_wrong() -> None:
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


def test_the_agent_is_a_whole_program_on_one_page() -> None:
    assert len((EXAMPLES / "agent.py").read_text(encoding="utf-8").splitlines()) < 60
