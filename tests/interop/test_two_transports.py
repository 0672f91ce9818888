"""The same streams over HTTP and over WebSocket have the same events, on both event loops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests import streams
from tests.sockets import KEY, ONCE, messages, session_with
from tests.streams import call_events, clean, ending, numbered, opening, plain, wire
from tests.support import NO_SHARED, both_loops, run, shared

from responses_proto import ResponsesClient
from responses_proto.codec import dump
from responses_proto.exceptions import ResponsesProtoError
from responses_proto.models.events import TERMINAL_TYPES
from responses_proto.protocol import SSEDecoder
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from responses_proto.client import EventStream

ERROR: Final = {"type": "error", "code": "server_error", "message": "No.", "param": None}
NESTED: Final = {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "No."}}

FIXTURES: Final[Mapping[str, list[Any]]] = {
    "clean": clean(),
    "plain": plain(),
    "incomplete": plain(last="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    "failed": plain(last="failed", error={"code": "server_error", "message": "No."}),
    "cut": plain(last=None),
    "no output": numbered([*opening(), ending([])]),
    "a call": numbered([*opening(), *call_events(0), ending([streams.call("".join(streams.CALL))])]),
    "an error, then failed": numbered([*opening(), ERROR, ending([], "failed", error={"code": "x", "message": "No."})]),
    "an error after output": numbered([*plain(last=None), ERROR]),
    "an error alone": [ERROR],
    "a nested error": numbered([*plain(last=None), NESTED]),
    "an error without a type": [*plain(last=None), {"error": {"message": "No."}}],
    "llama.cpp": streams.llama_cpp(clean()),
    "vllm, minus one": streams.vllm_minus_one(clean()),
    "vllm, climbing": streams.vllm_climbing(clean()),
    "vllm, unannounced": streams.vllm_unannounced(clean()),
    "copilot": streams.copilot(clean()),
    "codex": streams.codex(clean()),
    "codex, null": streams.codex(clean(), None),
    "litellm": streams.litellm_reordered(clean()),
    "summaries": numbered(
        [
            *opening(),
            *streams.summary_events(),
            *streams.message_events(1),
            ending([streams.reasoning("x"), streams.message("y")]),
        ]
    ),
}

RECORDINGS: Final = sorted(shared("corpus", "streams").glob("*.sse"))
BATCH: Final = 32  # recordings per test


async def account_of(stream: EventStream) -> dict[str, Any]:
    """Read a stream to its end, whatever the end is, and return everything observed."""
    events: list[Any] = []
    raised = ""
    try:
        async with stream:
            async for event in stream:
                events.append(dump(event))  # noqa: PERF401 - what came before an error counts
    except ResponsesProtoError as error:
        raised = f"{type(error).__name__}: {error}"
    outcome = stream.outcome
    return {
        "events": events,
        "raised": raised,
        "status": outcome and outcome.status,
        "error": outcome and str(outcome.error),
        "cursor": stream.cursor,
        "response": dump(stream.response),
        "anomalies": stream.anomalies,
    }


async def differences(answers: Mapping[str, Answer]) -> list[str]:
    """Return the names of the answers that differ between WebSocket and HTTP."""

    def script(peer: ServerExchange) -> Answer:
        return answers[peer.request.json["model"]]

    different: list[str] = []
    async with FakeServer(script) as server, session_with(server) as session:
        client = ResponsesClient(server.url, KEY, retry=ONCE)
        for name in answers:
            over_http = await account_of(client.stream(model=name, input="x"))
            over_websocket = await account_of(session.stream(model=name, input="x"))
            different += [
                f"{name}: {field} is {over_websocket[field]!r:.200} instead of {over_http[field]!r:.200}"
                for field in over_http
                if over_websocket[field] != over_http[field]
            ]
        await client.aclose()
    return different


@both_loops
def test_streams_made_by_hand_say_the_same(backend: str) -> None:
    async def test() -> None:
        answers = {name: Answer.events(events) for name, events in FIXTURES.items()}
        answers["no event lines"] = Answer.stream(wire(clean(), named=False))
        assert await differences(answers) == []

    run(backend, test)


@pytest.mark.skipif(not RECORDINGS, reason=NO_SHARED)
@both_loops
@pytest.mark.parametrize("start", range(0, len(RECORDINGS), BATCH))
def test_recordings_say_the_same(backend: str, start: int) -> None:
    async def test() -> None:
        assert await differences(recorded(RECORDINGS[start : start + BATCH])) == []

    run(backend, test)


def recorded(paths: Iterable[Path]) -> dict[str, Answer]:
    return {path.stem: Answer.stream(one_response(path.read_bytes())) for path in paths}


def one_response(recording: bytes) -> bytes:
    """Cut a recording after the end of its first response. Over WebSocket, later events would belong to no response."""
    kept: list[bytes] = []
    for block in recording.replace(b"\r\n", b"\n").split(b"\n\n"):
        kept.append(block)
        if any(type_of(frame.data) in TERMINAL_TYPES for frame in SSEDecoder().receive(block + b"\n\n")):
            return b"\n\n".join([*kept, b""])
    return recording


def type_of(data: bytes) -> str:
    try:
        return str(json.loads(data)["type"])
    except (ValueError, LookupError, TypeError):
        return ""


SESSIONS: Final = sorted(shared("corpus", "other").glob("*.websocket.ndjson"))


@pytest.mark.skipif(not SESSIONS, reason=NO_SHARED)
@both_loops
def test_a_recorded_session_is_read(backend: str) -> None:
    async def test() -> None:
        for path in SESSIONS:
            said = [json.loads(line) for line in path.read_text().splitlines()]
            asked = [json.loads(one["msg"]) for one in said if one["dir"] == ">"]
            turns: list[list[str]] = []
            for one in said:
                if one["dir"] == ">":
                    turns.append([])
                else:
                    turns[-1].append(one["msg"])

            async def script(peer: ServerExchange, turns: list[list[str]] = turns) -> None:
                for message in turns.pop(0):
                    await peer.message(message)

            async with FakeServer(script) as server, session_with(server) as session:
                for request in asked:
                    async with session.stream(request) as stream:
                        response = await stream.result()
                    assert response.output_text
                    assert stream.anomalies == []
                assert [one.json for one in messages(server)] == asked

    run(backend, test)
