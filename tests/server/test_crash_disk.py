"""A disk that is full, and a file that another program has locked: clear errors, and what was told stays."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from tests.support import PATIENCE, run

from responses_proto import Cursor, ResponsesClient, RetryPolicy
from responses_proto.exceptions import APIError
from responses_proto.models.events import OutputTextDelta
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, SQLiteStore, serving

if TYPE_CHECKING:
    from pathlib import Path

    from responses_proto.models.events import Event

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")

SERVER: Final = """
import os, sys
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, SQLiteStore, listen, serve, url_of

listener = listen()
print(url_of(listener), os.getpid(), flush=True)
serve(ResponsesApp(Scripted(), store=SQLiteStore(sys.argv[1])), listener)
"""
NAMESPACE: Final = ("unshare", "--map-root-user", "--mount")
"""Runs a program that may mount disks, which end with it."""
LIMITS: Final = {"files": "ulimit -f 2000", "disk": 'mount -t tmpfs -o size=1m tmpfs "$0"'}
LONG: Final[dict[str, Any]] = {"model": "m", "input": "[long 2000]"}


# ---- a full disk


def command_of(limit: str, folder: Path) -> list[str]:
    """Return the command that runs a server, and after its end another one, on a small disk."""
    server = [sys.executable, "-c", SERVER, str(folder / "store.db")]
    return [
        *(NAMESPACE if limit == "disk" else ()),
        "sh",
        "-c",
        f'{LIMITS[limit]} && {{ "$@"; "$@"; }}',
        str(folder),
        *server,
    ]


def fill(client: httpx.Client) -> list[dict[str, Any]]:
    """Create responses until one is not stored. Return those that are."""
    told: list[dict[str, Any]] = []
    for _ in range(1000):
        response = client.post("/responses", json=LONG).json()
        if response["status"] != "completed":
            assert response["error"] == {"code": "server_error", "message": "The response could not be stored."}
            return told
        told.append(response)
    raise AssertionError("the disk is not small")


def assert_refused(client: httpx.Client) -> None:
    item = {"role": "user", "content": "x" * 200_000}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/responses", {"model": "m", "input": [item], "stream": True}),
        ("/responses", {"model": "m", "input": [item], "background": True}),
        ("/conversations", {"items": [item]}),
    ]
    for path, body in requests:
        refused = client.post(path, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "storage_full")


@pytest.mark.parametrize("limit", LIMITS)
def test_a_full_disk_is_said_and_loses_nothing(limit: str, tmp_path: Path) -> None:
    if limit == "disk" and not (
        shutil.which(NAMESPACE[0])
        and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603 - as said
    ):
        pytest.skip("this machine does not let a user mount a disk")
    told: list[dict[str, Any]] = []
    with subprocess.Popen(  # noqa: S603 - our own program
        command_of(limit, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            for _ in range(2):
                assert shell.stdout
                url, process = shell.stdout.readline().split()
                with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                    told = told or fill(client)
                    assert_refused(client)
                    assert told
                    assert [client.get(f"/responses/{response['id']}").json() for response in told] == told
                os.kill(int(process), signal.SIGKILL)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


# ---- a locked file


def test_a_locked_file_is_said_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    told: list[Event] = []

    async def read_and_lock(client: ResponsesClient, other: sqlite3.Connection) -> str:
        """Read a stream, and lock the file in the middle of it. Return the id of the response."""
        async with client.stream(model="m", input="[slow 0.01] [long 500]", background=True) as stream:
            async for event in stream:
                told.append(event)
                if isinstance(event, OutputTextDelta) and not other.in_transaction:
                    other.execute("BEGIN IMMEDIATE")
        assert stream.outcome
        assert stream.outcome.status == "truncated"  # the server can neither go on nor say how it ended
        return stream.response.id

    async def main(url: str) -> None:
        async with ResponsesClient(url, "any", retry=RetryPolicy(attempts=1)) as client:
            before = await client.create(model="m", input="x")
            other = sqlite3.connect(path, isolation_level=None)
            try:
                name = await read_and_lock(client, other)
                with pytest.raises(APIError) as refused:
                    await client.conversations.create()
                assert (refused.value.status, refused.value.code) == (503, "storage_locked")
                assert refused.value.retry_after == 1
                assert await client.retrieve(before.id) == before
            finally:
                other.close()
            replayed: list[Event] = []
            async with client.resume(Cursor(name)) as stream:
                replayed += [event async for event in stream]
            assert replayed[: len(told)] == told
            assert stream.anomalies == []
            assert stream.response.status == "failed"
            assert await client.retrieve(name) == stream.response

    with serving(ResponsesApp(Scripted(), store=SQLiteStore(path))) as url:
        run("asyncio", lambda: main(url))
