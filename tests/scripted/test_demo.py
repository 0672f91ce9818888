"""Which server a demonstration program uses, and how it exits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
from responses_proto.scripted.demo import run

async def main(client, model):
    print(client.base_url, model)
    {body}

run(main{arguments})
"""


def started(env: dict[str, str], body: str = "pass", arguments: str = "") -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MODEL", "RESPONSES_"))}
    code = PROGRAM.format(body=body, arguments=arguments)
    return subprocess.Popen(  # noqa: S603 - fixed text
        [sys.executable, "-c", code], env=clean | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("env", "where", "model"),
    [
        ({}, "http://127.0.0.1:", "scripted"),
        ({"MODEL": "other"}, "http://127.0.0.1:", "other"),
        ({"HF_TOKEN": " "}, "http://127.0.0.1:", "scripted"),
        ({"RESPONSES_BASE_URL": "http://local.test/v1"}, "http://local.test/v1", "scripted"),
        ({"HF_TOKEN": "hf_x"}, "https://router.huggingface.co/v1", "a/b"),
        ({"HF_TOKEN": "hf_x", "RESPONSES_BASE_URL": "http://local.test"}, "https://router.huggingface.co/v1", "a/b"),
        ({"HF_TOKEN": "hf_x", "MODEL": "c/d"}, "https://router.huggingface.co/v1", "c/d"),
    ],
)
def test_the_environment_selects_the_server(env: dict[str, str], where: str, model: str) -> None:
    with started(env, arguments=', model="a/b"') as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    url, name = out.split()
    assert url.startswith(where)
    assert name == model


def test_the_scripted_model_answers() -> None:
    with started({}, 'print((await client.create(model=model, input="hello there")).output_text)') as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors, out.splitlines()[1]) == (0, "", "hello there")


def test_an_error_is_one_line_without_a_traceback() -> None:
    with started({}, 'await client.create(model=model, input="[error 429] hello")') as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("error: The input asks for an error")
    assert len(errors.splitlines()) == 1


def test_an_interruption_is_quiet() -> None:
    with started({}, 'print("now", flush=True); await client.create(model=model, input="[wait 60]")') as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
