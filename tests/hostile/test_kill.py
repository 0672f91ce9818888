"""A server that is killed while it works: everything it has reported is there when it is started again."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.support import PATIENCE, run

from responses_proto import CreateResponse, Cursor, ResponsesClient, RetryPolicy
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.models.events import OutputTextDelta, ResponseCreated

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from responses_proto.models.response import Response

SERVER = """
import sys
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, SQLiteStore, listen, serve, url_of

listener = listen()
print(url_of(listener), flush=True)
serve(ResponsesApp(Scripted(delay=float(sys.argv[2])), store=SQLiteStore(sys.argv[1])), listener)
"""
CLIENTS = 16
ENOUGH = 200  # responses


@contextlib.contextmanager
def killed(store: Path, delay: float) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Run a server in a process, which is killed when the block ends if it is still alive."""
    command = [sys.executable, "-c", SERVER, str(store), str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own code
        try:
            yield (server.stdout.readline().strip() if server.stdout else ""), server
        finally:
            server.kill()


def client_of(url: str) -> ResponsesClient:
    return ResponsesClient(url, "any", retry=RetryPolicy(attempts=1))


class Busy:
    """Clients that send one request after another until the server is gone, and record the responses."""

    def __init__(self) -> None:
        self.responses: list[Response] = []
        self.started: set[str] = set()
        self.enough = anyio.Event()

    async def use(self, url: str, server: subprocess.Popen[str]) -> None:
        async with client_of(url) as client, anyio.create_task_group() as tasks:
            for number in range(CLIENTS):
                tasks.start_soon(self._ask, client, f"client {number} asks", number % 2 == 0)
            await self.enough.wait()
            server.kill()  # while requests are running

    async def _ask(self, client: ResponsesClient, text: str, streams: bool) -> None:
        with contextlib.suppress(ResponsesProtoError):  # the server is gone
            while True:
                self.responses.append(
                    await (self._stream(client, text) if streams else client.create(model="m", input=text))
                )
                if len(self.responses) == ENOUGH:
                    self.enough.set()

    async def _stream(self, client: ResponsesClient, text: str) -> Response:
        async with client.stream(model="m", input=text) as stream:
            async for event in stream:
                if isinstance(event, ResponseCreated):
                    self.started.add(event.response.id)
            return await stream.result()

    async def look(self, url: str) -> None:
        async with client_of(url) as client:
            for response in self.responses:
                assert await client.retrieve(response.id) == response
            for name in self.started:
                assert (await client.retrieve(name)).status in ("completed", "failed")
            followed = await client.create(model="m", input="again", previous_response_id=self.responses[-1].id)
            assert followed.output_text == "again"


def test_no_reported_response_is_lost(tmp_path: Path) -> None:
    busy = Busy()
    path = tmp_path / "store.db"
    with killed(path, 0.001) as (url, server):
        run("asyncio", lambda: busy.use(url, server))
    assert len(busy.responses) >= ENOUGH
    with killed(path, 0) as (url, _):
        run("asyncio", lambda: busy.look(url))


@pytest.mark.parametrize(("backend", "background"), [("asyncio", True), ("trio", False)])
def test_what_was_in_progress_is_failed_with_a_reason(backend: str, tmp_path: Path, *, background: bool) -> None:
    names: list[str] = []
    texts: list[str] = []

    async def use(url: str, server: subprocess.Popen[str]) -> None:
        asked = CreateResponse(model="m", input="tell me a story", background=background)
        async with client_of(url) as client, client.stream(asked) as stream:
            with contextlib.suppress(ResponsesProtoError):
                async for event in stream:
                    if isinstance(event, OutputTextDelta) and len(stream.response.output_text) > 50:
                        server.kill()
            names.append(stream.response.id)
            texts.append(stream.response.output_text)
            assert stream.response.status == "in_progress"

    async def look(url: str) -> None:
        async with client_of(url) as client:
            dead = await client.retrieve(names[0])
            assert dead.status == "failed"
            assert dead.error
            assert "restarted" in dead.error.message
            # A response in the background also keeps its output so far. The events of both can be streamed again.
            assert dead.output_text.startswith(texts[0] if background else "")
            async with client.resume(Cursor(names[0])) as stream:
                assert [event.type async for event in stream][-1] == "response.failed"
            assert (stream.response, stream.anomalies) == (dead, [])

    path = tmp_path / "store.db"
    with killed(path, 0.005) as (url, server):
        run(backend, lambda: use(url, server))
    with killed(path, 0) as (url, _):
        run(backend, lambda: look(url))


def test_a_terminated_server_marks_what_it_leaves_as_failed(tmp_path: Path) -> None:
    names: list[str] = []

    async def use(url: str, server: subprocess.Popen[str]) -> None:
        asked = CreateResponse(model="m", input="tell me a story", background=True)
        async with client_of(url) as client, client.stream(asked) as stream:
            async for event in stream:
                if isinstance(event, OutputTextDelta):
                    break
            names.append(stream.response.id)
        server.terminate()

    async def look(url: str) -> None:
        async with client_of(url) as client:
            failed = await client.retrieve(names[0])
            assert failed.status == "failed"
            assert failed.error
            assert "shut down" in failed.error.message
            assert failed.output[0].type == "message"

    path = tmp_path / "store.db"
    with killed(path, 0.1) as (url, server):
        run("trio", lambda: use(url, server))
        assert server.wait(PATIENCE) is not None
    with killed(path, 0) as (url, _):
        run("trio", lambda: look(url))
