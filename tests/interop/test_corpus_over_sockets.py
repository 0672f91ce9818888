"""Every recorded stream, sent over a real socket and split at random, has its recorded outcome and text in the client."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import NO_SHARED, both_loops, run, shared

from responses_proto import ResponsesClient
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = shared("corpus", "streams")
RECORDINGS = sorted(FOLDER.glob("*.sse"))
pytestmark = pytest.mark.skipif(not RECORDINGS, reason=NO_SHARED)
BATCH = 16  # recordings per test: each starts a server and an event loop


def recorded_events(recording: bytes) -> Iterator[dict[str, Any]]:
    """Parse a recording without the library, with as much of the SSE rules as the recordings need."""
    for block in recording.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        if data.startswith("{"):
            try:
                yield json.loads(data)
            except json.JSONDecodeError:
                continue  # some recorders cut frames; what is left of them says nothing


def text_of(items: list[dict[str, Any]]) -> str:
    parts: list[dict[str, Any]] = []
    for item in items:
        if item.get("type") == "message":
            parts += item.get("content") or []
    return "".join(part["text"] for part in parts if part.get("type") == "output_text")


def expectation(recording: bytes) -> tuple[str, str]:
    """Return the outcome and the text of a recording."""
    done: list[dict[str, Any]] = []
    for event in recorded_events(recording):
        if event.get("type") == "response.output_item.done":
            done.append(event["item"])
        if event.get("type") in ("response.completed", "response.incomplete", "response.failed"):
            return event["type"].removeprefix("response."), text_of(event["response"].get("output") or done)
    return "truncated", text_of(done)


def cut(data: bytes, chance: random.Random) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        size = chance.choice((1, 2, 3, 7, 60, 500, 1400, 16_384))
        yield data[position : position + size]
        position += size


async def read_back(paths: list[Path]) -> list[str]:
    """Serve the recordings in turn, read them with the client, and return the differences."""
    recordings = {path.stem: path.read_bytes() for path in paths}
    differences: list[str] = []

    def replay(peer: ServerExchange) -> Answer:
        name = peer.request.json["model"]
        return Answer.stream(*cut(recordings[name], random.Random(name)))

    async with FakeServer(replay) as server, ResponsesClient(base_url=server.url, api_key="k") as client:
        for name, recording in recordings.items():
            seen = 0
            async with client.stream(model=name, input="") as stream:
                async for _ in stream:
                    seen += 1
            outcome = stream.outcome
            assert outcome is not None
            got, wanted = (outcome.status, outcome.response.output_text), expectation(recording)
            if got != wanted:
                differences.append(f"{name}: {got} instead of {wanted}")
            if not seen:
                differences.append(f"{name}: no event")
    return differences


@both_loops
@pytest.mark.parametrize("start", range(0, len(RECORDINGS), BATCH))
def test_a_recording_says_over_a_socket_what_it_said_when_recorded(backend: str, start: int) -> None:
    async def test() -> None:
        assert await read_back(RECORDINGS[start : start + BATCH]) == []

    run(backend, test)
