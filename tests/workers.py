"""Several uvicorn processes on one store, and a client that goes round them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
import httpx
from tests.redis_server import RedisServer
from tests.support import PATIENCE

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.scripted import Scripted
from responses_proto.server import RedisStore, ResponsesApp, SharedStore, SQLiteStore

if TYPE_CHECKING:
    from types import TracebackType

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply

_ROOT: Final = Path(__file__).parents[1]
_RUNNING: Final = re.compile(r"running on (http://\S+)")


def store_at(place: str, lease: float) -> SharedStore:
    """Open a store by its URL or path."""
    return RedisStore(place, lease=lease) if "://" in place else SQLiteStore(place, shared=True, lease=lease)


def make_app() -> ResponsesApp:
    """Create the application of one worker: ``uvicorn --factory tests.workers:make_app``."""
    return ResponsesApp(handler, store=store_at(os.environ["STORE"], float(os.environ["LEASE"])))


_scripted: Final = Scripted()


async def handler(request: CreateResponse, reply: Reply) -> None:
    """Write as many words as asked for, with a pause after each ("count 20 0.01"). Anything else is for the scripted model.

    With a name at the end ("count 20 0.01 gate"), the second half is written when :meth:`Workers.open` was called with it. A line for each run, and for each that was cancelled, goes into the file of the environment variable ``RUNS``.
    """
    text = getattr(reply.context[-1], "text", "")
    match = re.fullmatch(r"count (\d+) ([\d.]+) ?(\w*)", text)
    if match is None:
        await _scripted(request, reply)
        return
    note(f"run {os.getpid()}")
    try:
        async with reply.message() as message:
            for number in range(count := int(match[1])):
                while match[3] and number == count // 2 and not gate(match[3]).exists():  # noqa: ASYNC110 - see above
                    await anyio.sleep(0.01)
                await message.text(f"{number} ")
                await anyio.sleep(float(match[2]))
    except anyio.get_cancelled_exc_class():
        note(f"cancelled {os.getpid()}")
        raise


def gate(name: str) -> Path:
    return Path(os.environ["RUNS"]).with_name(name)


def note(line: str) -> None:
    with Path(os.environ["RUNS"]).open("a") as file:
        file.write(f"{line}\n")


class Worker:
    """A uvicorn process."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "uvicorn", "--factory", "tests.workers:make_app", "--port", "0"]
        self.process = subprocess.Popen(  # noqa: S603 - our own code
            [*command, "--lifespan", "on", "--timeout-graceful-shutdown", "1"],
            cwd=_ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.output: list[str] = []
        self.started = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.output.append(line)
            if match := _RUNNING.search(line):
                self.url = f"{match[1]}/v1"
                self.started.set()
        self.started.set()

    def ready(self) -> None:
        assert self.started.wait(PATIENCE), "a worker does not start"
        assert self.url, "".join(self.output)

    def kill(self) -> None:
        """Kill it at once, or after it was suspended."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def suspend(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Workers:
    """Processes on one store: a SQLite file, or a Redis server of their own. Leaving the block kills them."""

    def __init__(self, kind: str, folder: Path, *, count: int = 3, lease: float = 2.0) -> None:
        self.lease = lease
        self.redis = RedisServer() if kind == "redis" else None
        self._runs = folder / "runs.txt"
        self.place = self.redis.url if self.redis else str(folder / "responses.db")
        self._environment = {"STORE": self.place, "LEASE": str(lease), "RUNS": str(self._runs)}
        self._count = count
        self._stack = ExitStack()
        self.all: list[Worker] = []

    def __enter__(self) -> Self:
        if self.redis is not None:
            self._stack.enter_context(self.redis)
        self.all = [self._start() for _ in range(self._count)]
        for worker in self.all:
            worker.ready()
        return self

    def _start(self) -> Worker:
        worker = Worker(self._environment)
        self._stack.callback(worker.kill)
        return worker

    def kill(self, number: int) -> None:
        self.all[number].kill()

    def replace(self, number: int) -> None:
        """Start a process in the place of one that was killed."""
        self.all[number] = self._start()
        self.all[number].ready()

    def __exit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def runs(self) -> list[str]:
        """What the handlers have noted."""
        return self._runs.read_text().splitlines() if self._runs.exists() else []

    def open(self, gate: str) -> None:
        """Let the handlers that wait at a gate go on."""
        self._runs.with_name(gate).touch()

    def client(self, number: int) -> ResponsesClient:
        """Create a client of one of the processes. It does not retry."""
        return ResponsesClient(self.all[number].url, "any", retry=RetryPolicy(attempts=1))

    def round_robin(self) -> RoundRobin:
        """Create a transport that sends each request to the next process."""
        return RoundRobin([worker.url for worker in self.all])


class RoundRobin(httpx.AsyncBaseTransport):
    """Sends each request to the next of several servers."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = [httpx.URL(url) for url in urls]
        self._next = 0
        self._transport = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        target = self._urls[self._next % len(self._urls)]
        self._next += 1
        request.url = request.url.copy_with(host=target.host, port=target.port)
        request.headers["host"] = f"{target.host}:{target.port}"
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def frames(content: bytes) -> list[Any]:
    """Return the data of a stream's events."""
    return [json.loads(line[6:]) for line in content.split(b"\n") if line.startswith(b"data: {")]
