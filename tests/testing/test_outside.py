"""The test tools from outside: a project of its own, with a small client on httpx alone, each of whose bugs they find."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tests.support import pytest_in

if TYPE_CHECKING:
    from pathlib import Path

CLIENT: Final = '''
"""Ask a model, and run the tools that it calls. ``bug`` is the name of a mistake that the client then makes."""

import json

import httpx


class Failed(Exception):
    pass


def ask(url, question, tools=None, bug=""):
    attempts = 3 if bug == "tools are replayed" else 1
    for left in reversed(range(attempts)):
        history = [{"role": "user", "content": question}]
        try:
            while True:
                text, calls = turn(url, history, bug)
                if not calls:
                    return text
                for call in calls:
                    output = tools[call["name"]](**json.loads(call["arguments"]))
                    history += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": output}]
        except (Failed, httpx.HTTPError):
            if not left:
                raise


def turn(url, history, bug):
    body = {"model": "m", "input": history, "stream": True}
    text, calls = "", {}
    with httpx.stream("POST", f"{url}/responses", json=body, timeout=60) as answer:
        if answer.status_code != 200:
            raise Failed(answer.read())
        for event in events(answer, bug):
            kind = event["type"]
            if kind == "response.output_text.delta":
                text += event["delta"]
            elif kind == "response.output_text.done" and bug == "late errors are missed":
                return text, []
            elif kind == "response.output_item.done" and event["item"]["type"] == "function_call":
                calls[event["item"]["call_id"]] = event["item"]
            elif kind == "response.completed":
                return text, list(calls.values())
            elif kind in ("response.failed", "response.incomplete", "error"):
                raise Failed(kind)
            elif bug == "unknown events crash" and not kind.startswith("response."):
                raise KeyError(kind)
    if bug == "truncation is success":
        return text, list(calls.values())
    raise Failed("the stream ended too early")


def events(answer, bug):
    waiting = b""
    for piece in answer.iter_bytes():
        if bug == "code points are split":
            piece = piece.decode("utf-8", "replace").encode()
        *frames, waiting = (waiting + piece).split(b"\\n\\n")
        for frame in frames:
            lines = [line[5:].strip() for line in frame.split(b"\\n") if line.startswith(b"data:")]
            if lines and lines != [b"[DONE]"]:
                yield json.loads(b"\\n".join(lines))
'''
SUITE: Final = """
import httpx
import pytest
from little import Failed, ask
from responses_proto.testing import Answer, Fault, Script

BUGS = ["", "truncation is success", "unknown events crash", "code points are split", "late errors are missed", "tools are replayed"]
CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'}

pytestmark = pytest.mark.parametrize("bug", BUGS)


@pytest.mark.responses_faults("no terminal", Fault.eof(after=5), Fault.reset(after=5))
def test_a_broken_stream_is_not_an_answer(responses_server, bug):
    with pytest.raises((Failed, httpx.HTTPError)):
        ask(responses_server.url, "x", bug=bug)


@pytest.mark.responses_dialects("openai", "openrouter", "azure")
def test_every_server_is_read(responses_server, bug):
    assert ask(responses_server.url, "x", bug=bug) == "Hello, world."


@pytest.mark.responses_faults(Fault.split_every(1), Fault.joined())
def test_bytes_may_be_cut_anywhere(responses_server, bug):
    responses_server.script = "Gr\\u00fc\\u00dfe, \\U0001f30d."
    assert ask(responses_server.url, "x", bug=bug) == "Gr\\u00fc\\u00dfe, \\U0001f30d."


def test_an_error_may_come_late(responses_server, bug):
    error = {"type": "error", "code": "server_error", "message": "No.", "param": None, "sequence_number": 8}
    responses_server.script = Answer.events([*Answer.text("Half.").wire_events[:-1], error])
    with pytest.raises(Failed):
        ask(responses_server.url, "x", bug=bug)


def test_a_tool_runs_once(responses_server, bug):
    ran = []
    responses_server.script = Script(Answer.items(CALL), Answer.error(500), Answer.items(CALL), "Sunny.")
    try:
        ask(responses_server.url, "x", {"weather": lambda city: ran.append(city) or "sunny"}, bug=bug)
    except Failed:
        pass
    assert ran == ["Paris"]


def test_a_tool_is_answered(responses_server, bug):
    script = Script(ordered=True).when(Answer.items(CALL), contains="How is it").when("Sunny.", contains="very sunny")
    responses_server.script = script
    assert ask(responses_server.url, "How is it?", {"weather": lambda city: "very sunny"}, bug=bug) == "Sunny."
    script.assert_all_used()
"""
CAUGHT: Final = {
    "truncation is success": "test_a_broken_stream_is_not_an_answer",
    "unknown events crash": "test_every_server_is_read",
    "code points are split": "test_bytes_may_be_cut_anywhere",
    "late errors are missed": "test_an_error_may_come_late",
    "tools are replayed": "test_a_tool_runs_once",
}


def test_each_bug_of_a_small_client_is_found_and_a_client_without_bugs_passes(tmp_path: Path) -> None:
    (tmp_path / "little.py").write_text(CLIENT)
    (tmp_path / "test_little.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\npythonpath = .\naddopts = -q -rA --tb=no --strict-markers -W error\n"
    )
    said = pytest_in(tmp_path)
    failed: defaultdict[str, set[str]] = defaultdict(set)
    passed: set[str] = set()
    for outcome, test, parameters in re.findall(r"^(PASSED|FAILED) \S+::(\w+)\[(.*?)\](?: - .*)?$", said, re.MULTILINE):
        bug = next((bug for bug in CAUGHT if bug in parameters), "")
        if outcome == "FAILED":
            failed[bug].add(test)
        elif not bug:
            passed.add(test)
    assert passed == {*CAUGHT.values(), "test_a_tool_is_answered"}, said
    for bug, test in CAUGHT.items():
        assert test in failed[bug], f"{bug}: {said}"
    assert failed[""] == set(), said
