"""Compare the chat bridge with other proxies in front of the same provider: CPU time, time to the first text, 200 streams at once.

    python -m benchmarks.bridges [--rounds 5] [--litellm COMMAND] [--responses-js COMMAND] [--json FILE]

LiteLLM is installed into a separate environment, unless its ``COMMAND`` is given. responses.js is not published as a package, so
``COMMAND`` starts it: ``node dist/index.js``. A proxy that is not available is skipped. Each proxy is one process with default settings.

All figures are the cost that a proxy adds: the CPU time of its process, and the extra time that a request takes through it. CPU time and
memory are read from ``/proc``, so this needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import secrets
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import attrs
import httpx
from benchmarks.measure import Report, Rounds
from benchmarks.server import served
from benchmarks.streams import words
from tests.environments import NotInstalledError, make_python
from tests.interop.scripted_server import CLEAN

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_DELTAS: Final = 250
_STREAMS: Final = 16
_ASKED: Final = 30  # requests for the time to the first text
_MANY: Final = 200
_MANY_DELTAS: Final = 50
_PACED_MODEL: Final = f"paced/{_DELTAS}"
_MANY_MODEL: Final = f"many/{_MANY}/{_MANY_DELTAS}"
_PATIENCE: Final = 120.0  # seconds in which a proxy must start
_US: Final = "responses_proto"
_KEY: Final = f"sk-{secrets.token_hex(24)}"


@attrs.frozen
class Endpoint:
    """A proxy, or the provider itself."""

    name: str
    url: str
    pid: int | None = None
    """The proxy's process; ``None`` for the provider."""

    @property
    def path(self) -> str:
        """Return the path that requests are sent to."""
        return "/chat/completions" if self.pid is None else "/responses"

    def body(self, model: str) -> dict[str, Any]:
        """Return a request for a stream."""
        if self.pid is None:
            return {"model": model, "messages": [{"role": "user", "content": "Tell me a story."}], "stream": True}
        return {"model": model, "input": "Tell me a story.", "stream": True}

    def cpu(self) -> float:
        """Return the CPU seconds that the proxy has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # utime and stime of proc(5)

    def memory(self) -> float:
        """Return the memory that the proxy uses now, in MiB."""
        _, _, rest = Path(f"/proc/{self.pid}/status").read_text().partition("VmRSS:")
        return int(rest.split()[0]) / 1024


# ---- the proxies


@contextlib.contextmanager
def proxy(name: str, command: list[str], port: int, environment: Mapping[str, str]) -> Generator[Endpoint]:
    """Run a proxy during the block."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env={**CLEAN, **environment}, stdout=log, stderr=log) as process,  # noqa: S603 - the user's
    ):
        try:
            wait_for(port, process, command, log)
            yield Endpoint(name, f"http://127.0.0.1:{port}/v1", process.pid)
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes], command: list[str], log: IO[bytes]) -> None:
    """Wait until a proxy listens."""
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"{shlex.join(command)} did not start: {log.read()[-2000:].decode()}")


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def ours(upstream: str) -> Generator[Endpoint]:
    """Run this library's bridge."""
    port = free_port()
    command = [sys.executable, "-m", "responses_proto", "serve", "--port", str(port), "--upstream", upstream]
    with proxy(_US, command, port, {}) as endpoint:
        yield endpoint


@contextlib.contextmanager
def litellm(upstream: str, command: str | None) -> Generator[Endpoint]:
    """Run LiteLLM's proxy."""
    with tempfile.TemporaryDirectory() as folder:
        program = shlex.split(command) if command else [str(Path(folder) / "environment" / "bin" / "litellm")]
        if command is None:
            make_python(Path(folder) / "environment", "litellm[proxy]")
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": f"custom_openai/{name}", "api_base": upstream, "api_key": "none"},
            }
            for name in (_PACED_MODEL, _MANY_MODEL)
        ]
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps({"model_list": models}))  # JSON is YAML
        port = free_port()
        settings = {"LITELLM_MASTER_KEY": _KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": folder}
        options = ["--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        with proxy("LiteLLM", [*program, *options], port, settings) as endpoint:
            yield endpoint


@contextlib.contextmanager
def responses_js(upstream: str, command: str | None) -> Generator[Endpoint]:
    """Run responses.js."""
    if command is None:
        raise NotInstalledError("responses.js is no package: pass --responses-js COMMAND")
    port = free_port()
    settings = {"OPENAI_BASE_URL": upstream, "PORT": str(port), "HOST": "127.0.0.1", "PATH": os.environ["PATH"]}
    with proxy("responses.js", shlex.split(command), port, settings) as endpoint:
        yield endpoint


# ---- what is measured


async def read(client: httpx.AsyncClient, endpoint: Endpoint, model: str) -> None:
    """Read one stream of a proxy to its end. Raises if it is not complete."""
    body = bytearray()
    headers = {"authorization": f"Bearer {_KEY}"}
    async with client.stream("POST", endpoint.url + endpoint.path, json=endpoint.body(model), headers=headers) as got:
        async for piece in got.aiter_raw():
            body += piece
    text = "".join(words(int(model.rpartition("/")[2])))
    if b'"response.completed"' not in body or text.encode() not in body:
        raise RuntimeError(f"{endpoint.name}: the stream is not complete: {bytes(body[-300:])!r}")


async def first_text(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
    """Return the seconds until the first text."""
    text = b'"content":" the"' if endpoint.pid is None else b"response.output_text.delta"
    body = bytearray()
    headers = {"authorization": f"Bearer {_KEY}"}
    begin = time.perf_counter()
    async with client.stream(
        "POST", endpoint.url + endpoint.path, json=endpoint.body(_PACED_MODEL), headers=headers
    ) as got:
        async for piece in got.aiter_raw():
            body += piece
            if text in body:
                return time.perf_counter() - begin
    raise RuntimeError(f"{endpoint.name}: no text: {bytes(body[-300:])!r}")


async def median_first_text(client: httpx.AsyncClient, endpoint: Endpoint) -> float:
    """Return the median of several requests, one after the other."""
    return statistics.median([await first_text(client, endpoint) for _ in range(_ASKED)])


@attrs.define
class Measures:
    """The measurements of each proxy, round by round."""

    cpu: Rounds = attrs.field(factory=Rounds)
    added: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    many: Rounds = attrs.field(factory=Rounds)
    peak: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    lost: dict[str, int] = attrs.field(factory=dict[str, int])

    async def tokens(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        """Measure the CPU time of several streams."""
        before = endpoint.cpu()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_STREAMS):
                tasks.create_task(read(client, endpoint, _PACED_MODEL))
        self.cpu.taken.setdefault(endpoint.name, []).append(endpoint.cpu() - before)

    async def streams_at_once(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        """Measure many streams at once. None begins before all have been requested."""
        before, peak = endpoint.cpu(), endpoint.memory()
        reading = [asyncio.create_task(read(client, endpoint, _MANY_MODEL)) for _ in range(_MANY)]
        while (await asyncio.wait(reading, timeout=0.2))[1]:
            peak = max(peak, endpoint.memory())
        errors = [error for task in reading if (error := task.exception())]
        for error in errors[:2]:
            print(f"       {endpoint.name}: {error!r}")
        self.lost[endpoint.name] = self.lost.get(endpoint.name, 0) + len(errors)
        self.many.taken.setdefault(endpoint.name, []).append(endpoint.cpu() - before)
        self.peak.setdefault(endpoint.name, []).append(peak)


async def measure(direct: Endpoint, proxies: list[Endpoint], rounds: int) -> Measures:
    """Measure all proxies in turn, once as a warm-up and then ``rounds`` times."""
    result = Measures()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=_PATIENCE, limits=limits, trust_env=False) as client:
        for number in range(rounds + 1):
            counted = result if number else Measures()
            alone = await median_first_text(client, direct)
            for endpoint in proxies:
                seconds = await median_first_text(client, endpoint)
                counted.added.setdefault(endpoint.name, []).append(seconds - alone)
                await counted.tokens(client, endpoint)
        for _ in range(rounds):
            for endpoint in proxies:
                await result.streams_at_once(client, endpoint)
    return result


def tell(report: Report, measured: Measures) -> None:
    """Add the measurements to the report."""
    names = list(measured.cpu.taken)
    parts = (
        (f"added to each of {_STREAMS} streams of {_DELTAS} tokens", measured.cpu, _STREAMS * _DELTAS),
        (f"added to each of {_MANY} streams of {_MANY_DELTAS} tokens", measured.many, _MANY * _MANY_DELTAS),
    )
    for part, taken, tokens in parts:
        report.times(part, taken, tokens)
        for name in names[1:]:
            report.ratio(f"CPU: {name} / us", taken.ratios(name, _US), goal=1)
    for name in names:
        report.ratio(f"ms added until the first text: {name}", [each * 1e3 for each in measured.added[name]], goal=2)
        report.ratio(f"peak MiB of {_MANY} streams: {name}", measured.peak[name], goal=100)
        lost = [float(measured.lost[name])]
        report.ratio(f"lost of {_MANY} streams: {name}", lost, at_most=0 if name == _US else None, goal=0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bridges", description="Measure proxies.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--litellm", metavar="COMMAND", help="LiteLLM's program; by default, it is installed")
    parser.add_argument("--responses-js", metavar="COMMAND", help="what starts responses.js")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args()
    report = Report()
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(served(chat=True))
        upstream = f"{origin}/v1"
        proxies: list[Endpoint] = []
        for start in (
            ours(upstream),
            litellm(upstream, options.litellm),
            responses_js(upstream, options.responses_js),
        ):
            try:
                proxies.append(stack.enter_context(start))
            except NotInstalledError as error:
                print(f"skipped: {error}")
        tell(report, asyncio.run(measure(Endpoint("directly", upstream), proxies, options.rounds)))
    if options.json is not None:
        versions = {"python": platform.python_version(), _US: version("responses-proto")}
        result = {"versions": versions, "rounds": options.rounds, "figures": report.figures, "ratios": report.rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return min(report.missed, 1)


if __name__ == "__main__":
    sys.exit(main())
