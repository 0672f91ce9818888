"""A server that is killed at any moment: whatever it has told a client is there when it is started again.

Ten kills by default. ``CRASHES=100 pytest tests/server/test_crash.py`` makes a hundred, ``CRASH_SEED`` other ones.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import pytest
from tests.support import run

from responses_proto import Cursor, ResponsesClient, RetryPolicy
from responses_proto.exceptions import NotFoundError, ResponsesProtoError
from responses_proto.models.events import TERMINAL_TYPES, ResponseCreated
from responses_proto.models.items import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from pathlib import Path

    from responses_proto.models.events import Event
    from responses_proto.models.response import Response

CRASHES: Final = int(os.environ.get("CRASHES", "10"))
SEED: Final = int(os.environ.get("CRASH_SEED", "1"))
CLIENTS: Final = 6
LONGEST: Final = 0.5  # seconds from the first event to the kill

SERVER: Final = """
import os, sys
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, SQLiteStore, listen, serve, url_of

listener = listen()
print(url_of(listener), os.getpid(), flush=True)
serve(ResponsesApp(Scripted(), store=SQLiteStore(sys.argv[1])), listener)
"""


@contextlib.contextmanager
def started(store: Path) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Run a server in a process during the block, and kill it at its end."""
    with subprocess.Popen([sys.executable, "-c", SERVER, str(store)], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[0], process
        finally:
            process.kill()


def client_of(url: str) -> ResponsesClient:
    return ResponsesClient(url, "any", retry=RetryPolicy(attempts=1))


@attrs.define
class Told:
    """What one client was told, over all servers."""

    streams: dict[str, list[Event]] = attrs.field(factory=dict[str, "list[Event]"])
    """The events that were read of each response in the background."""
    final: dict[str, Response] = attrs.field(factory=dict[str, "Response"])
    """Responses that were reported to have ended."""
    begun: set[str] = attrs.field(factory=set[str])
    """Responses, not in the background, of which a stream told the id."""
    conversations: dict[str, list[str]] = attrs.field(factory=dict[str, "list[str]"])
    """The texts that were added to each conversation."""
    unanswered: dict[str, str] = attrs.field(factory=dict[str, str])
    """A text whose addition to a conversation was not answered."""
    deleted: set[str] = attrs.field(factory=set[str])


async def read(stream: AsyncIterator[Event], events: list[Event]) -> None:
    async for event in stream:
        events.append(event)  # noqa: PERF401 - the events so far count if the stream breaks


class Customer:
    """Sends requests of all kinds, until the server is gone, and notes what it is told."""

    def __init__(self, seed: str, told: Told, used: anyio.Event) -> None:
        self.chance = random.Random(seed)
        self.told = told
        self.used = used

    async def use(self, client: ResponsesClient) -> None:
        with contextlib.suppress(ResponsesProtoError):  # the server is gone
            while True:
                what = [self.stream, self.stream, self.follow, self.create, self.converse, self.delete]
                await self.chance.choice(what)(client)

    def asked(self) -> str:
        return f"[long {self.chance.randint(1, 60)}] [slow {self.chance.choice(['0', '0.001', '0.005'])}] x"

    async def stream(self, client: ResponsesClient) -> None:
        """Stream a response in the background."""
        reasoning = {"effort": "low"} if self.chance.random() < 0.5 else None
        async with client.stream(model="m", input=self.asked(), background=True, reasoning=reasoning) as stream:
            events: list[Event] = []
            async for event in stream:
                if isinstance(event, ResponseCreated):
                    self.told.streams[event.response.id] = events
                events.append(event)
                self.used.set()
            response = await stream.result()  # raises if the server has gone
        self.told.final[response.id] = response

    async def follow(self, client: ResponsesClient) -> None:
        """Create a response in the background, and follow it from its first event or not at all."""
        created = await client.create(model="m", input=self.asked(), background=True)
        events = self.told.streams[created.id] = []
        if self.chance.random() < 0.7:
            async with client.resume(Cursor(created.id)) as stream:
                await read(stream, events)

    async def create(self, client: ResponsesClient) -> None:
        """Create a response, streamed or not."""
        if self.chance.random() < 0.5:
            response = await client.create(model="m", input="a b c")
        else:
            async with client.stream(model="m", input=self.asked()) as stream:
                async for event in stream:
                    if isinstance(event, ResponseCreated):
                        self.told.begun.add(event.response.id)
                response = await stream.result()  # raises if the server has gone
        self.told.final[response.id] = response

    async def converse(self, client: ResponsesClient) -> None:
        """Create a conversation, or add to one."""
        known = [name for name in self.told.conversations if name not in self.told.unanswered]
        if not known or self.chance.random() < 0.3:
            self.told.conversations[(await client.conversations.create()).id] = []
            return
        name = self.chance.choice(known)
        text = self.told.unanswered[name] = f"{self.chance.random()}"
        await client.conversations.items.create(name, [Message(role="user", content=text)])
        self.told.conversations[name].append(self.told.unanswered.pop(name))

    async def delete(self, client: ResponsesClient) -> None:
        """Delete a response that was reported to have ended."""
        name = next((name for name in self.told.final if name not in self.told.streams), None)
        if name is not None:
            del self.told.final[name]
            self.told.begun.discard(name)
            await client.delete(name)
            self.told.deleted.add(name)


async def check(client: ResponsesClient, told: Told) -> None:
    """Ask a server for all that others of its kind have told."""
    for name, events in [*told.streams.items()]:
        await check_stream(client, name, events, told)
    for name, response in [*told.final.items()]:
        assert await client.retrieve(name) == response
    for name in told.begun:
        assert (await client.retrieve(name)).status in ("completed", "failed", "cancelled")
    for name in told.deleted:
        with pytest.raises(NotFoundError):
            await client.retrieve(name)
    for name, texts in told.conversations.items():
        pages = client.conversations.items.list(name, order="asc")
        found = [item.text async for item in pages if isinstance(item, Message)]
        assert found in (texts, [*texts, told.unanswered.get(name)])


async def check_stream(client: ResponsesClient, name: str, events: list[Event], told: Told) -> None:
    replayed: list[Event] = []
    async with client.resume(Cursor(name)) as stream:
        await read(stream, replayed)
    assert replayed[: len(events)] == events
    assert [getattr(event, "sequence_number", None) for event in replayed] == [*range(len(replayed))]
    assert [event.type in TERMINAL_TYPES for event in replayed].count(True) == 1
    assert replayed[-1].type in TERMINAL_TYPES
    assert stream.anomalies == []
    assert await client.retrieve(name) == stream.response
    told.streams[name] = replayed  # from now on, all of them have been told
    told.final[name] = stream.response


async def crash(url: str, process: subprocess.Popen[str], told: list[Told], seed: str, seconds: float) -> None:
    """Use a server, and kill it some time after its first event."""
    used = anyio.Event()
    async with client_of(url) as client, anyio.create_task_group() as tasks:
        for number, one in enumerate(told):
            tasks.start_soon(Customer(f"{seed} {number}", one, used).use, client)
        await used.wait()
        await anyio.sleep(seconds)
        process.kill()


async def look(url: str, process: subprocess.Popen[str], rounds: list[list[Told]], seconds: float | None) -> None:
    """Check what was told. With ``seconds``, the server is killed in the middle of it."""
    async with client_of(url) as client:
        if seconds is not None:
            with contextlib.suppress(ResponsesProtoError):
                with anyio.move_on_after(seconds):
                    await check_all(client, rounds)
                process.kill()
                return
        await check_all(client, rounds)


async def check_all(client: ResponsesClient, rounds: list[list[Told]]) -> None:
    for told in rounds:
        for one in told:
            await check(client, one)


def test_what_was_told_survives_every_kill(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(SEED)
    rounds: list[list[Told]] = []
    cut = 0
    for number in range(CRASHES):
        rounds.append([Told() for _ in range(CLIENTS)])
        with started(path) as (url, process):
            run("asyncio", functools.partial(look, url, process, rounds[-2:-1], None))
            seed = f"{SEED} {number}"
            run("asyncio", functools.partial(crash, url, process, rounds[-1], seed, chance.uniform(0, LONGEST)))
        streams = [events for one in rounds[-1] for events in one.streams.values() if events]
        cut += sum(events[-1].type not in TERMINAL_TYPES for events in streams)
        if chance.random() < 0.2:
            with started(path) as (url, process):  # the first look after a kill writes, too
                run("asyncio", functools.partial(look, url, process, rounds[-1:], chance.uniform(0, LONGEST)))
    with started(path) as (url, process):
        run("asyncio", functools.partial(look, url, process, rounds, None))
    assert cut  # some responses were being told when the server was killed
