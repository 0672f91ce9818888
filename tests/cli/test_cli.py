"""The command line, as its users meet it: a process, what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import pytest
from tests.support import PATIENCE

from responses_proto.codec import loads
from responses_proto.models.request import CreateResponse
from responses_proto.models.response import Response
from responses_proto.protocol import Emitter, encode_event, encode_stream
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Generator

COMMAND = [sys.executable, "-m", "responses_proto"]
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("RESPONSES_", "OPENAI_", "HF_", "MODEL")) and "proxy" not in name.lower()
}


def command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this very program
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60, env=CLEAN | env
    )


def complaint(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """The one line that says what is wrong; anything but one line is wrong itself."""
    assert done.returncode == status
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.stdout
    return lines[0]


@contextmanager
def answering(answer: bytes) -> Generator[str]:
    """A server that says these bytes to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)
                        connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def http(status: str, kind: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def told() -> bytes:
    """A stream of one message, complete."""
    emitter = Emitter(CreateResponse(model="m"), now=0)
    events = emitter.start()
    message = emitter.message()
    events += message.text("Grüße, ") + message.text("world") + message.done() + emitter.complete()
    return encode_stream(events)


# ---- what goes well


def test_the_demo_tells_a_story_without_network_or_token() -> None:
    done = command("demo")
    assert (done.returncode, done.stderr) == (0, "")
    where, prompt, story, summary = done.stdout.splitlines()
    assert "embedded" in where
    assert prompt.endswith("Tell me a three-sentence bedtime story about a unicorn.")
    assert story.count(".") == 3
    assert "events" in summary
    assert "outcome: completed" in summary


def test_stream_prints_the_text_and_a_summary() -> None:
    with serving(ResponsesApp(Scripted())) as url:
        done = command("stream", "--base-url", url, "--model", "scripted", "hello there")
    assert done.returncode == 0
    text, summary = done.stdout.splitlines()
    assert text == "hello there"
    assert "tokens: 2 in, 2 out" in summary
    assert "10 events" in summary


def test_stream_prints_one_typed_event_per_line() -> None:
    with serving(ResponsesApp(Scripted())) as url:
        done = command("stream", "--base-url", url, "--events", "hello\nthere")
    lines = done.stdout.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("ResponseCreated(sequence_number=0")
    assert lines[4].startswith("OutputTextDelta(")
    assert lines[-1].startswith("ResponseCompleted(sequence_number=9")
    assert "outcome: completed" in done.stderr


def test_create_prints_the_text_or_the_whole_as_json() -> None:
    with serving(ResponsesApp(Scripted(), keys=["k"])) as url:
        text = command("create", "--base-url", url, "--api-key", "k", "hello there")
        whole = command("create", "--base-url", url, "--json", "hello there", RESPONSES_API_KEY="k")
    assert (text.returncode, text.stdout) == (0, "hello there\n")
    assert loads(whole.stdout, Response).output_text == "hello there"


@pytest.mark.parametrize("chunk", ["1", "1000000"])
def test_replay_plays_a_recording_through_a_socket(tmp_path: Path, chunk: str) -> None:
    recording = tmp_path / "recording.sse"
    recording.write_bytes(told())
    done = command("replay", str(recording), "--chunk", chunk, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    text, summary = done.stdout.splitlines()
    assert text == "Grüße, world"
    assert "10 events" in summary
    events = command("replay", str(recording), "--chunk", chunk, "--events")
    assert len(events.stdout.splitlines()) == 10


def test_events_whose_names_are_a_slip_are_noticed(tmp_path: Path) -> None:
    recording = tmp_path / "recording.sse"
    told_wrong = told().replace(b"response.output_text.delta", b"response.output_txt.delta")
    recording.write_bytes(told_wrong.replace(b"response.in_progress", b"acme:progress"))
    done = command("replay", str(recording), "--events")
    assert len(done.stdout.splitlines()) == 10
    note, summary = done.stderr.splitlines()
    assert note == "note: there is no event response.output_txt.delta; did the server mean response.output_text.delta?"
    assert "10 events" in summary


def test_version_and_help() -> None:
    assert command("--version").stdout.startswith("responses-proto ")
    assert "replay" in command("--help").stdout


# ---- serve


@contextmanager
def served(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(  # noqa: S603 - this very program
        [*COMMAND, "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN,
    ) as process:
        try:
            out: IO[str] | None = process.stdout
            assert out is not None
            line = out.readline()
            yield process, line.split(" on ", 1)[1].split()[0]
        finally:
            process.kill()


def test_serve_says_where_it_is_and_ends_by_interruption() -> None:
    body = {"model": "scripted", "input": "hello there"}
    with served() as (process, url):
        answer = httpx.post(
            f"{url}/responses", json=body, headers={"authorization": "Bearer anything"}, timeout=PATIENCE
        )
        assert loads(answer.content, Response).output_text == "hello there"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_serve_ends_soon_while_it_works(number: signal.Signals, status: int) -> None:
    body = {"model": "scripted", "input": f"[slow 1] {'word ' * 600}"}
    with served() as (process, url), httpx.Client(base_url=url, timeout=PATIENCE) as client:
        with client.stream("POST", "/responses", json={**body, "stream": True}) as answer:
            assert next(answer.iter_bytes())
            assert client.post("/responses", json={**body, "background": True}).json()["status"] == "queued"
            process.send_signal(number)  # ten minutes before the end of the answers
            process.wait(timeout=PATIENCE)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert errors == ""


def test_serve_takes_as_many_connections_as_the_system_allows() -> None:
    few = ["/bin/sh", "-c", 'ulimit -Sn 60; exec "$@"', "sh", *COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(few, stdout=subprocess.PIPE, text=True, env=CLEAN) as process:  # noqa: S603 - this very program
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().split("/v1")[0].rpartition(":")[2])
            with ExitStack() as stack:
                for _ in range(100):
                    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
                    connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
                    assert connection.recv(12) == b"HTTP/1.1 200"
        finally:
            process.kill()


def test_serve_keeps_responses_in_a_file(tmp_path: Path) -> None:
    store = tmp_path / "responses.db"
    with served("--store", str(store)) as (process, url):
        body = {"model": "scripted", "input": "My name is Ada."}
        first = httpx.post(f"{url}/responses", json=body, timeout=PATIENCE).json()["id"]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE)
    with served("--store", str(store)) as (_, url):
        body = {"model": "scripted", "input": "What is my name?", "previous_response_id": first}
        answer = httpx.post(f"{url}/responses", json=body, timeout=PATIENCE)
    assert loads(answer.content, Response).output_text == "You said: My name is Ada."


def test_serve_answers_by_a_script(tmp_path: Path) -> None:
    script = tmp_path / "rules.jsonl"
    script.write_text('{"when": {"contains": "weather"}, "then": "Sunny."}\n')
    with served("--script", str(script), "--delay", "0") as (_, url):
        assert command("create", "--base-url", url, "The weather?").stdout == "Sunny.\n"
        assert command("create", "--base-url", url, "The time?").stdout == "The time?\n"


def test_files_that_serve_cannot_use(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    assert "No such file" in complaint(command("serve", "--port", "0", "--script", str(file)), 2)
    file.write_text('[{"when": {"contians": "x"}, "then": "y"}]')
    line = complaint(command("serve", "--port", "0", "--script", str(file)), 2)
    assert "rules.json: rule 1" in line
    assert "'contians'" in line
    assert "rules.json" in complaint(command("serve", "--port", "0", "--store", str(file)), 2)
    assert str(tmp_path) in complaint(command("serve", "--port", "0", "--store", str(tmp_path)), 2)


def test_serve_accepts_the_keys_it_was_given() -> None:
    with served("--api-key", "one", "--api-key", "two") as (_, url):
        assert command("create", "--base-url", url, "--api-key", "two", "hi").returncode == 0
        line = complaint(command("create", "--base-url", url, "--api-key", "three", "hi"))
    assert "401" in line
    assert "--api-key" in line


def test_serve_on_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = complaint(command("serve", "--port", str(taken.getsockname()[1])), 2)
    assert "in use" in line
    assert "--port" in line


def test_serve_on_a_host_that_there_is_not() -> None:
    line = complaint(command("serve", "--host", "nowhere.invalid", "--port", "0"), 2)
    assert "cannot listen on nowhere.invalid, port 0: " in line
    assert "Unknown error" not in line


# ---- check


def test_check_finds_nothing_wrong_with_the_embedded_server() -> None:
    with served("--api-key", "k", "--delay", "0") as (_, url):
        done = command("check", url, RESPONSES_API_KEY="k")
        refused = command("check", url, "--only", "create", "--only", "id-unknown")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.endswith(" 0 failed, 0 skipped")
    assert "passed  create" in lines
    assert complaint(refused) == "error: 2 of 2 checks failed"
    assert refused.stdout.startswith("0 passed, 2 failed")


def test_check_needs_a_server_and_rules_that_there_are() -> None:
    nobody = command("check", "http://127.0.0.1:1/v1", "--only", "create")
    assert complaint(nobody) == "error: 1 of 1 checks failed"
    assert "cannot connect to http://127.0.0.1:1" in nobody.stdout
    assert "'no-rule'" in complaint(command("check", "http://127.0.0.1:1/v1", "--ignore", "no-rule"))
    assert "https://host/v1" in complaint(command("check", "nonsense"))


# ---- what goes wrong


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = complaint(command("stream", "--base-url", f"http://127.0.0.1:{port}/v1", "hi"))
    assert f"127.0.0.1:{port}" in line
    assert "--base-url" in line


@pytest.mark.parametrize("verb", ["stream", "create"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            http("401 Unauthorized", "application/json", '{"error": {"message": "Wrong key."}}'),
            ["Wrong key", "--api-key"],
        ),
        (
            http("404 Not Found", "text/html", "<html><title>Nothing here</title></html>"),
            ["Nothing here", "--base-url"],
        ),
        (http("200 OK", "text/html", "<html><title>Welcome</title></html>"), ["Welcome"]),
        (http("500 Internal Server Error", "text/plain", ""), ["500"]),
        (b"nonsense\r\n\r\n", ["http"]),
        (b"", []),
    ],
)
def test_a_server_that_is_none_or_refuses(verb: str, answer: bytes, said: list[str]) -> None:
    with answering(answer) as url:
        line = complaint(command(verb, "--base-url", url, "hi"))
    assert [text for text in said if text.lower() not in line.lower()] == []


def test_a_stream_that_ends_early_keeps_what_arrived() -> None:
    emitter = Emitter(CreateResponse(model="m"), now=0)
    half = b"".join(map(encode_event, [*emitter.start(), *emitter.message().text("half of it")]))
    with answering(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + half) as url:
        done = command("stream", "--base-url", url, "hi")
    assert done.stdout.startswith("half of it\n")
    assert "outcome: truncated" in done.stdout
    assert "ended early, after event 4" in complaint(done)


@pytest.mark.parametrize(("verb", "prompt"), [("stream", "[fail]"), ("create", "[fail]")])
def test_a_response_that_fails(verb: str, prompt: str) -> None:
    with serving(ResponsesApp(Scripted())) as url:
        done = command(verb, "--base-url", url, prompt)
    assert "This is as far as I" in done.stdout
    assert "asks for a failure" in complaint(done)


def test_wrong_addresses_providers_and_missing_keys() -> None:
    assert "https://host/v1" in complaint(command("stream", "--base-url", "nonsense", "hi"))
    assert "huggingface" in complaint(command("stream", "--provider", "nobody", "hi"))
    assert "HF_TOKEN" in complaint(command("stream", "--provider", "huggingface", "hi"))
    assert "OPENAI_API_KEY" in complaint(command("create", "hi"))


def test_recordings_that_are_none(tmp_path: Path) -> None:
    assert "No such file" in complaint(command("replay", str(tmp_path / "nowhere.sse")))
    assert "directory" in complaint(command("replay", str(tmp_path)))
    (tmp_path / "empty.sse").touch()
    assert "has no events" in complaint(command("replay", str(tmp_path / "empty.sse")))
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    assert "has no events" in complaint(command("replay", str(tmp_path / "other.json")))
    (tmp_path / "cut.sse").write_bytes(told()[:1500])
    assert "ended early" in complaint(command("replay", str(tmp_path / "cut.sse")))


def test_wrong_usage_is_status_2() -> None:
    assert command("stream").returncode == 2
    assert command("replay", "x.sse", "--chunk", "0").returncode == 2
    assert command("nonsense").returncode == 2


def test_an_interruption_leaves_quietly() -> None:
    with subprocess.Popen(  # noqa: S603 - this very program
        [*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN
    ) as process:
        out: IO[str] | None = process.stdout
        assert out is not None
        out.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors == ""


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    recording = tmp_path / "recording.sse"
    recording.write_bytes(told())
    with subprocess.Popen(  # noqa: S603 - this very program
        [*COMMAND, "replay", str(recording), "--events"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=CLEAN,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
    assert "Traceback" not in errors


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["demo"], ["serve", "--port", "0"]])
def test_an_output_that_is_full(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a file
        done = subprocess.run(  # noqa: S603 - this very program
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=CLEAN
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize(
    ("closed", "arguments", "status"), [(1, "--version", 0), (1, "demo", 0), (2, "replay nowhere.sse", 1)]
)
def test_outputs_that_are_closed(closed: int, arguments: str, status: int) -> None:
    shell = f'"$@" {arguments} {closed}>&-'
    done = subprocess.run(  # noqa: S603 - this very program
        ["/bin/sh", "-c", shell, "sh", *COMMAND], capture_output=True, text=True, check=False, timeout=60, env=CLEAN
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom responses_proto.__main__ import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - fixed text
    assert "responses-proto[cli" in complaint(done)
