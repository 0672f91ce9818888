"""The command line as users see it: a process, its output, and its exit status."""

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
from tests.redis_server import RedisServer, needs_redis
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
    return subprocess.run(  # noqa: S603 - the program under test
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60, env=CLEAN | env
    )


def error_line(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    """Return the error line. Fail if there is more than one line after the summary, or the exit status differs."""
    assert done.returncode == status
    lines = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.stdout
    return lines[0]


@contextmanager
def answering(answer: bytes) -> Generator[str]:
    """Serve these bytes to every client, then close the connection."""
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


def recorded() -> bytes:
    """Return a complete stream of one message."""
    emitter = Emitter(CreateResponse(model="m"), now=0)
    events = emitter.start()
    message = emitter.message()
    events += message.text("Grüße, ") + message.text("world") + message.done() + emitter.complete()
    return encode_stream(events)


# ---- success


def test_the_demo_tells_a_story_without_network_or_token() -> None:
    done = command("demo")
    assert (done.returncode, done.stderr) == (0, "")
    where, prompt, story, summary = done.stdout.splitlines()
    assert "scripted" in where
    assert prompt.endswith("Tell me a three-sentence bedtime story about a unicorn.")
    assert story.count(".") == 3
    assert "events" in summary
    assert "outcome: completed" in summary


def test_stream_prints_the_text_and_a_summary() -> None:
    with serving(ResponsesApp(Scripted())) as url:
        done = command("stream", "--base-url", url, "--model", "scripted", "hello there")
    assert done.returncode == 0
    assert done.stdout == "hello there\n"
    (summary,) = done.stderr.splitlines()
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
    recording.write_bytes(recorded())
    done = command("replay", str(recording), "--chunk", chunk, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stdout) == (0, "Grüße, world\n")
    assert "10 events" in done.stderr
    events = command("replay", str(recording), "--chunk", chunk, "--events")
    assert len(events.stdout.splitlines()) == 10


def test_a_misspelled_event_type_is_noted(tmp_path: Path) -> None:
    recording = tmp_path / "recording.sse"
    misspelled = recorded().replace(b"response.output_text.delta", b"response.output_txt.delta")
    recording.write_bytes(misspelled.replace(b"response.in_progress", b"acme:progress"))
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
    with subprocess.Popen(  # noqa: S603 - the program under test
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


def test_serve_prints_its_url_and_ends_by_interruption() -> None:
    body = {"model": "scripted", "input": "hello there"}
    with served("--log-format", "json") as (process, url):
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f": export RESPONSES_BASE_URL={url}\n")
        answer = httpx.post(
            f"{url}/responses", json=body, headers={"authorization": "Bearer anything"}, timeout=PATIENCE
        )
        assert loads(answer.content, Response).output_text == "hello there"
        assert httpx.get(f"{url}/responses/a%0Ab?key=secret", timeout=PATIENCE).status_code == 404
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    first, second = map(json.loads, log.splitlines())
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/responses", 200)
    assert first["request_id"] == answer.headers["x-request-id"]
    assert first["seconds"] >= 0
    assert (second["path"], second["status"]) == ("/v1/responses/a\nb", 404)
    assert "secret" not in log


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_serve_ends_soon_while_responses_run(number: signal.Signals, status: int) -> None:
    body = {"model": "scripted", "input": f"[slow 1] {'word ' * 600}"}
    with served("--drain", "1") as (process, url), httpx.Client(base_url=url, timeout=PATIENCE) as client:
        with client.stream("POST", "/responses", json={**body, "stream": True}) as answer:
            assert next(answer.iter_bytes())
            assert client.post("/responses", json={**body, "background": True}).json()["status"] == "queued"
            process.send_signal(number)  # ten minutes before the end of the answers
            process.wait(timeout=PATIENCE)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert all(" INFO POST '/v1/responses' 200 " in line for line in log.splitlines())


def test_serve_lets_open_requests_end() -> None:
    body = {"model": "scripted", "input": "[slow 0.2] one two three four five", "stream": True}
    with served() as (process, url), httpx.Client(base_url=url, timeout=PATIENCE) as client:
        with client.stream("POST", "/responses", json=body) as answer:
            parts = answer.iter_bytes()
            start = next(parts)
            process.send_signal(signal.SIGTERM)
            rest = b"".join(parts)
        assert b"response.created" in start
        assert b"response.completed" in rest
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 143


def test_serve_answers_to_the_hosts_that_are_allowed() -> None:
    for arguments, status in ([], 403), (["--allow-host", "api.example"], 200):
        with served(*arguments) as (_, url):
            for path in ("/models", "/healthz"):
                answer = httpx.get(url + path, headers={"host": "api.example"}, timeout=PATIENCE)
                assert answer.status_code == status


def test_serve_accepts_as_many_connections_as_the_system_allows() -> None:
    few = ["/bin/sh", "-c", 'ulimit -Sn 60; exec "$@"', "sh", *COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(few, stdout=subprocess.PIPE, text=True, env=CLEAN) as process:  # noqa: S603 - the program under test
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().split("/v1")[0].rpartition(":")[2])
            with ExitStack() as stack:
                for _ in range(100):
                    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
                    connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
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


def test_serve_shares_a_file_if_all_servers_say_so(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "responses.db"))
    with served(*store, "--shared") as (_, one), served(*store, "--shared") as (_, other):
        first = httpx.post(f"{one}/responses", json={"model": "scripted", "input": "x"}, timeout=PATIENCE).json()["id"]
        assert httpx.get(f"{other}/responses/{first}", timeout=PATIENCE).json()["id"] == first
        assert "shared" in error_line(command("serve", "--port", "0", *store), 2)
    with served(*store):
        line = error_line(command("serve", "--port", "0", *store, "--shared"), 2)
        assert "in use by another server" in line
        assert "shared=True" not in line


@needs_redis
def test_serve_keeps_responses_in_redis() -> None:
    with RedisServer() as redis:
        with served("--store", redis.url) as (_, url):
            body = {"model": "scripted", "input": "My name is Ada."}
            first = httpx.post(f"{url}/responses", json=body, timeout=PATIENCE).json()["id"]
        with served("--store", redis.url) as (_, url):
            assert httpx.get(f"{url}/responses/{first}", timeout=PATIENCE).json()["id"] == first


def test_serve_answers_with_a_script(tmp_path: Path) -> None:
    script = tmp_path / "rules.jsonl"
    script.write_text('{"when": {"contains": "weather"}, "then": "Sunny."}\n')
    with served("--script", str(script), "--delay", "0") as (_, url):
        assert command("create", "--base-url", url, "The weather?").stdout == "Sunny.\n"
        assert command("create", "--base-url", url, "The time?").stdout == "The time?\n"


def test_serve_with_unusable_files(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    assert "No such file" in error_line(command("serve", "--port", "0", "--script", str(file)), 2)
    file.write_text('[{"when": {"contians": "x"}, "then": "y"}]')
    line = error_line(command("serve", "--port", "0", "--script", str(file)), 2)
    assert "rules.json: rule 1" in line
    assert "'contians'" in line
    assert "rules.json" in error_line(command("serve", "--port", "0", "--store", str(file)), 2)
    assert str(tmp_path) in error_line(command("serve", "--port", "0", "--store", str(tmp_path)), 2)


def test_serve_accepts_only_the_given_keys() -> None:
    with served("--api-key", "one", "--api-key", "two") as (_, url):
        assert command("create", "--base-url", url, "--api-key", "two", "hi").returncode == 0
        line = error_line(command("create", "--base-url", url, "--api-key", "three", "hi"))
    assert "401" in line
    assert "--api-key" in line


def test_serve_on_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = error_line(command("serve", "--port", str(taken.getsockname()[1])), 2)
    assert "in use" in line
    assert "--port" in line


def test_serve_on_an_unknown_host() -> None:
    line = error_line(command("serve", "--host", "nowhere.invalid", "--port", "0"), 2)
    assert "cannot listen on nowhere.invalid, port 0: " in line
    assert "Unknown error" not in line


# ---- errors


def test_no_server_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = error_line(command("stream", "--base-url", f"http://127.0.0.1:{port}/v1", "hi"))
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
def test_a_server_that_is_not_one_or_answers_with_an_error(verb: str, answer: bytes, said: list[str]) -> None:
    with answering(answer) as url:
        line = error_line(command(verb, "--base-url", url, "hi"))
    assert [text for text in said if text.lower() not in line.lower()] == []


def test_a_stream_that_ends_early_keeps_what_arrived() -> None:
    emitter = Emitter(CreateResponse(model="m"), now=0)
    half = b"".join(map(encode_event, [*emitter.start(), *emitter.message().text("half of it")]))
    with answering(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + half) as url:
        done = command("stream", "--base-url", url, "hi")
    assert done.stdout == "half of it\n"
    assert "outcome: truncated" in done.stderr
    assert "ended early, after event 4" in error_line(done)


@pytest.mark.parametrize(("verb", "prompt"), [("stream", "[fail]"), ("create", "[fail]")])
def test_a_response_that_fails(verb: str, prompt: str) -> None:
    with serving(ResponsesApp(Scripted())) as url:
        done = command(verb, "--base-url", url, prompt)
    assert "This is as far as I" in done.stdout
    assert "asks for a failure" in error_line(done)


def test_wrong_addresses_providers_and_missing_keys() -> None:
    assert "https://host/v1" in error_line(command("stream", "--base-url", "nonsense", "hi"), 2)
    assert "huggingface" in error_line(command("stream", "--provider", "nobody", "hi"), 2)
    assert "HF_TOKEN" in error_line(command("stream", "--provider", "huggingface", "hi"), 2)
    assert "OPENAI_API_KEY" in error_line(command("create", "hi"), 2)


def test_files_that_are_not_recordings(tmp_path: Path) -> None:
    assert "No such file" in error_line(command("replay", str(tmp_path / "nowhere.sse")), 2)
    assert "directory" in error_line(command("replay", str(tmp_path)), 2)
    (tmp_path / "empty.sse").touch()
    assert "has no events" in error_line(command("replay", str(tmp_path / "empty.sse")), 2)
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    assert "has no events" in error_line(command("replay", str(tmp_path / "other.json")), 2)
    (tmp_path / "cut.sse").write_bytes(recorded()[:1500])
    assert "ended early" in error_line(command("replay", str(tmp_path / "cut.sse")))


def test_wrong_usage_is_status_2() -> None:
    assert command("stream").returncode == 2
    assert command("replay", "x.sse", "--chunk", "0").returncode == 2
    assert command("nonsense").returncode == 2


def test_an_interruption_prints_no_error() -> None:
    with subprocess.Popen(  # noqa: S603 - the program under test
        [*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN
    ) as process:
        out: IO[str] | None = process.stdout
        assert out is not None
        out.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors == ""


def test_a_closed_pipe_prints_no_traceback(tmp_path: Path) -> None:
    recording = tmp_path / "recording.sse"
    recording.write_bytes(recorded())
    with subprocess.Popen(  # noqa: S603 - the program under test
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
def test_a_full_device_as_output(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a file
        done = subprocess.run(  # noqa: S603 - the program under test
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=CLEAN
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize(
    ("closed", "arguments", "status"), [(1, "--version", 0), (1, "demo", 0), (2, "replay nowhere.sse", 2)]
)
def test_closed_outputs(closed: int, arguments: str, status: int) -> None:
    shell = f'"$@" {arguments} {closed}>&-'
    done = subprocess.run(  # noqa: S603 - the program under test
        ["/bin/sh", "-c", shell, "sh", *COMMAND], capture_output=True, text=True, check=False, timeout=60, env=CLEAN
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom responses_proto.__main__ import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - fixed text
    assert "responses-proto[cli" in error_line(done)
