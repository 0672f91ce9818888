"""The pytest plugin, in test runs of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import anyio
import pytest
from tests.support import pytest_in

from responses_proto.testing import FakeServer

if TYPE_CHECKING:
    from pathlib import Path

ASK: Final = """
import json, urllib.request

def ask(url):
    body = json.dumps({"model": "m", "input": "x"}).encode()
    request = urllib.request.Request(f"{url}/responses", body, {"Authorization": "Bearer key-not-to-be-seen"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["output"][0]["content"][0]["text"]
"""
"""A synchronous client that does not use this package."""


def run_tests(folder: Path, tests: str, *arguments: str, **env: str) -> str:
    """Run a file of tests in a subprocess, with the plugin and further arguments. Return the output."""
    (folder / "test_it.py").write_text(ASK + tests)
    return pytest_in(folder, "-W", "error", "--strict-markers", "-rA", *arguments, **env)


# ---- the server


def test_a_synchronous_test_gets_a_running_server(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
from responses_proto.testing import Answer, Script

def test_it(responses_server):
    assert ask(responses_server.url) == "Hello, world."
    responses_server.script = Script("One.", Answer.text("Two."))
    assert [ask(responses_server.url), ask(responses_server.url)] == ["One.", "Two."]
    assert [request.json["model"] for request in responses_server.requests] == ["m", "m", "m"]

def test_each_has_its_own(responses_server):
    assert ask(responses_server.url) == "Hello, world."
    assert len(responses_server.requests) == 1
""",
    )
    assert "2 passed" in said, said


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_test_on_an_event_loop_gets_one_too(tmp_path: Path, backend: str) -> None:
    said = run_tests(
        tmp_path,
        f"""
import pytest
from responses_proto import ResponsesClient

@pytest.fixture
def anyio_backend():
    return {backend!r}

@pytest.mark.anyio
async def test_it(responses_server):
    responses_server.script = "Hi."
    async with ResponsesClient(responses_server.url) as client, client.stream(model="m", input="x") as stream:
        assert (await stream.result()).output_text == "Hi."
""",
        "-p",
        "anyio.pytest_plugin",
    )
    assert "1 passed" in said, said


def test_an_error_in_the_script_fails_the_test(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
import urllib.error, pytest

def test_it(responses_server):
    responses_server.script = lambda peer: 1 / 0
    with pytest.raises(urllib.error.HTTPError, match="500"):
        ask(responses_server.url)
""",
    )
    assert "1 error" in said, said
    assert "ZeroDivisionError" in said


def test_a_test_runs_once_for_each_fault_and_each_dialect(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
import pytest
from responses_proto.codec import loads
from responses_proto.models import Response
from responses_proto.protocol import ResponseStream
from responses_proto.testing import DIALECTS, FAULTS, Fault

def read(url):
    body = json.dumps({"model": "m", "input": "x", "stream": True}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/responses", body)) as answer:
        stream = ResponseStream()
        stream.receive_data(answer.read())
        stream.receive_eof()
        return stream.response.output_text

@pytest.mark.responses_faults("comments", Fault.split_every(3))
@pytest.mark.responses_dialects("huggingface", "vllm")
def test_some(responses_server, responses_fault, responses_dialect):
    assert responses_fault.name in ("comments", "split every 3")
    assert responses_dialect in ("huggingface", "vllm")
    assert read(responses_server.url) == "Hello, world."

seen = []

@pytest.mark.responses_faults("joined")
class TestNearest:
    @pytest.mark.responses_faults("comments")
    def test_marker_counts(self, responses_server, responses_fault):
        assert responses_fault.name == "comments"

@pytest.mark.responses_faults
def test_each_fault(responses_server, responses_fault):
    seen.append(responses_fault.name)

@pytest.mark.responses_faults(fatal=True)
def test_each_fatal_fault(responses_server, responses_fault):
    seen.append(responses_fault.name)

@pytest.mark.responses_dialects
def test_each_dialect(responses_server, responses_dialect):
    seen.append(responses_dialect)

def test_those_were_all():
    assert sorted(seen) == sorted([*FAULTS, *DIALECTS])
    assert seen.index("no terminal") > seen.index("slow head 0.01")
""",
    )
    assert " passed" in said, said
    assert "failed" not in said, said
    assert "test_some[huggingface-comments]" in said or "test_some[comments-huggingface]" in said


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("@pytest.mark.responses_faults\ndef test_it(): ...", "must use the fixture responses_server"),
        ("@pytest.mark.responses_faults('gremlin')\ndef test_it(responses_server): ...", "there is no fault 'gremlin'"),
        (
            "@pytest.mark.responses_dialects('gopher')\ndef test_it(responses_server): ...",
            "there is no dialect 'gopher'",
        ),
    ],
)
def test_a_marker_that_does_nothing_is_an_error(tmp_path: Path, test: str, reason: str) -> None:
    said = run_tests(tmp_path, f"import pytest\n\n{test}")
    assert reason in said, said
    assert "1 error" in said


def test_a_client_of_the_server_is_ready_to_be_entered(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
import pytest

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_it(responses_server, responses_client):
    async with responses_client as client:
        assert (await client.create(model="m", input="x")).output_text == "Hello, world."
    assert responses_server.requests[0].headers["authorization"] == "Bearer test-key"
""",
        "-p",
        "anyio.pytest_plugin",
    )
    assert "2 passed" in said, said


def test_a_provider_of_chat_completions_is_there(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
def chat(url):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", body)) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]

def test_it(responses_chat):
    assert chat(responses_chat.url) == "Hello, world."
    responses_chat.turns = ["One.", "Two."]
    assert [chat(responses_chat.url), chat(responses_chat.url)] == ["One.", "Two."]
    assert responses_chat.requests[0].json["messages"][0]["content"] == "x"
""",
    )
    assert "1 passed" in said, said


def test_lists_of_events_are_compared_in_the_order_of_the_wire(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
from responses_proto.codec import load
from responses_proto.models import Event
from responses_proto.testing import Answer

def events(text):
    return [load(event, Event) for event in Answer.text(text).to_wire().events]

def test_models():
    assert events("Hello, world.") == events("Hello, moon.")

def test_dicts():
    assert Answer.text("a b").to_wire().events == Answer.text("a").to_wire().events

def test_other_lists():
    assert [1, 2] == [1, 3]
""",
        CI="1",  # otherwise pytest cuts long differences
    )
    assert "3 failed" in said, said
    assert "10 events == 10 events" in said
    assert '+ response.output_text.delta {"sequence_number": 5,' in said
    assert '- response.output_text.delta {"sequence_number": 5,' in said
    assert "E           response.created" in said
    assert "At index 1 diff: 2 != 3" in said


def test_reports_say_what_is_wrong(tmp_path: Path) -> None:
    said = run_tests(
        tmp_path,
        """
from responses_proto.testing import Answer, Fault, assert_ok, check_stream

def body(*faults):
    return b"".join(Answer.text("Hi.").with_faults(*faults).to_wire().steps)

def test_good():
    assert assert_ok(check_stream(body())).events == 9

def test_bad():
    assert_ok(check_stream(body(Fault.no_done())))
""",
    )
    assert "1 failed, 1 passed" in said, said
    assert "error no-done 1x" in said
    assert "event 9, frame $" in said
    assert "conformance.py" not in said


# ---- cassettes

MARKED: Final = """
import pytest

@pytest.mark.responses_cassette("tapes/hello.json", base_url={url!r})
@pytest.mark.parametrize("name", ["one/two"])
def test_it(responses_cassette, name):
    assert ask(responses_cassette.url) == "For real."
"""
UNMARKED: Final = """
import pytest

@pytest.mark.parametrize("name", ["one/two", "three"])
def test_it(responses_cassette, name):
    assert ask(responses_cassette.url) == "For real."
"""


def with_real_server(test: str, *runs: tuple[Path, str, dict[str, str]]) -> tuple[list[str], int]:
    """Run tests several times beside a server. Return the outputs, and the number of requests after each run."""
    printed: list[str] = []

    async def main() -> int:
        async with FakeServer("For real.") as real:
            for folder, mode, env in runs:
                arguments = [f"--responses-record={mode}"] if mode else []
                told = {name: value.format(url=real.url) for name, value in env.items()}
                tests = test.format(url=real.url) if "{url" in test else test
                printed.append(
                    await anyio.to_thread.run_sync(lambda: run_tests(folder, tests, *arguments, **told))  # noqa: B023 - it is awaited here
                )
            return len(real.requests)

    asked = anyio.run(main)
    return printed, asked


def test_a_cassette_is_recorded_once_and_replayed_from_then_on(tmp_path: Path) -> None:
    nothing: dict[str, str] = {}
    runs = [(tmp_path, mode, nothing) for mode in ("", "missing", "missing", "never", "all")]
    printed, asked = with_real_server(MARKED, *runs)
    assert "1 error" in printed[0], printed[0]
    assert "there is no cassette" in printed[0]
    assert "record one with --responses-record=missing" in printed[0]
    for said in printed[1:]:
        assert "1 passed" in said, said
    assert asked == 2  # by the first of `missing`, and by `all`
    assert "key-not-to-be-seen" not in (tmp_path / "tapes" / "hello.json").read_text()


def test_each_test_has_a_cassette_of_its_own_and_the_environment_says_from_where(tmp_path: Path) -> None:
    env = {"RESPONSES_BASE_URL": "{url}"}
    printed, asked = with_real_server(UNMARKED, (tmp_path, "missing", env), (tmp_path, "", {}))
    for said in printed:
        assert "2 passed" in said, said
    assert asked == 2
    names = sorted(path.name for path in (tmp_path / "cassettes" / "test_it").iterdir())
    assert names == ["test_it_one_two_.json", "test_it_three_.json"]


def test_more_than_the_cassette_has_fails_the_test(tmp_path: Path) -> None:
    printed, _ = with_real_server(MARKED, (tmp_path, "missing", {}))
    assert "1 passed" in printed[0]
    said = run_tests(
        tmp_path,
        """
import pytest

@pytest.mark.responses_cassette("tapes/hello.json")
def test_it(responses_cassette):
    ask(responses_cassette.url)
    with pytest.raises(Exception):
        ask(responses_cassette.url)
""",
    )
    assert "the cassette has no more answers to POST /responses: it was recorded once" in said
    assert "1 error" in said


def test_another_question_fails_with_a_diff_and_what_is_not_used_is_a_warning(tmp_path: Path) -> None:
    printed, _ = with_real_server(MARKED, (tmp_path, "missing", {}))
    assert "1 passed" in printed[0]
    said = run_tests(
        tmp_path,
        """
import pytest, urllib.error

@pytest.mark.responses_cassette("tapes/hello.json")
def test_other(responses_cassette):
    request = urllib.request.Request(f"{responses_cassette.url}/responses", b'{"model": "m", "input": "y"}')
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request)

@pytest.mark.responses_cassette("tapes/hello.json", match=["method", "path"])
def test_any(responses_cassette):
    request = urllib.request.Request(f"{responses_cassette.url}/responses", b'{"model": "m", "input": "y"}')
    assert b"For real." in urllib.request.urlopen(request).read()

@pytest.mark.responses_cassette("tapes/hello.json")
def test_nothing(responses_cassette):
    with pytest.warns(UserWarning, match="nothing"):  # the fixture warns later
        import warnings; warnings.warn("nothing")
""",
    )
    assert 'E       -  "input": "x",' in said or '-  "input": "x"' in said, said
    assert '+  "input": "y"' in said
    assert "hello.json has answers that were not used: " in said
    assert "3 passed" in said
    assert "2 errors" in said  # the mismatch, and the warning that is an error here


# ---- what it costs


def test_pytest_starts_without_what_only_the_fixtures_need() -> None:
    heavy = {"anyio", "attrs", "cattrs", "httpx", "hypothesis", "responses_proto.models"}
    code = f"import sys, responses_proto.testing.plugin; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    assert done.stdout == "[]\n"


def test_markers_options_and_fixtures_are_documented(tmp_path: Path) -> None:
    markers = run_tests(tmp_path, "", "--markers")
    for name in ("responses_cassette(path=", "responses_faults(*faults", "responses_dialects(*names"):
        assert name in markers
    assert "--responses-record={never,missing,all}" in run_tests(tmp_path, "", "--help")
    said = run_tests(tmp_path, "", "--fixtures")
    assert "responses_server" in said
    assert "responses_cassette" in said
