"""Recorded streams: read without a loss, and rebuilt from their deltas alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.streams import Wire, codes, codex, frame, read
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, dumps
from responses_proto.models.events import TERMINAL_TYPES
from responses_proto.protocol import ResponseStream, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from responses_proto.models.response import Response

INDEX: Final = shared("corpus", "INDEX.json")

# What cannot be rebuilt, and why.
NOT_A_RESPONSE: Final = {
    "openai-openapi__one-example-of-each-event": "one example of each event, of many responses",
    "openai-openapi__post--responses-Streaming": "an example, cut short in the middle",
    "openai-php__ResponseCreatedResponse": "one event",
    "openai-php__ResponseOutputItemToolSearchCallAdded": "one event",
    "vercel-ai__parallel-tool-call-wrapper.1": "written by hand, without a beginning or an end",
}
WITHOUT_ALL_DELTAS: Final = {
    "vercel-ai__lmstudio-tool-call.1": "arguments are in `done` only",
    "vercel-ai__lmstudio-tool-call.2": "arguments are in `done` only",
    "vercel-ai__openai-phase.1": "the recorder shortened the deltas",
    "vercel-ai__openai-shell-container.1": "the recorder shortened the deltas",
}

# What the engine itself finds in a recording: its servers' own doing, or their recorders'. No other recording has any.
CODEX: Final = {"output-empty": 1}
TWO_IN_ONE_FILE: Final = ("sequence-repeated", "late-event")
FOUND: Final[dict[str, set[str]]] = {
    "openai-php__ResponseImageGenerationCreate": {"id-contradicted"},  # ids made alike by the recorder
    "rig__copilot-reasoning_roundtrip-streaming.1": {"response-id-changed", "id-rotated", "output-differs"},
    "vercel-ai__github-copilot-id-rotation.1": {"response-id-changed", "id-rotated", "output-differs"},
    "vercel-ai__azure-reasoning-encrypted-content.1": {*TWO_IN_ONE_FILE},
    "vercel-ai__openai-reasoning-encrypted-content.1": {*TWO_IN_ONE_FILE},
    "vercel-ai__openai-shell-tool.1": {*TWO_IN_ONE_FILE},
    "vercel-ai__openai-custom-tool.1": {"sequence-missing"},
    "vercel-ai__openai-phase.1": {"sequence-gap", "index-skipped", "delta-mismatch"},
    "vercel-ai__openai-shell-container.1": {"delta-mismatch"},
}
DECODER: Final = {"missing-field", "wrong-type", "wrong-constant", "not-an-object"}


def recordings() -> Iterator[Any]:
    if not INDEX.exists():
        yield pytest.param({}, marks=pytest.mark.skip(reason=NO_SHARED), id="corpus")
        return
    for entry in json.loads(INDEX.read_text())["files"]:
        if entry["kind"] == "streams":
            yield pytest.param(entry, id=name_of(entry))


def name_of(entry: Wire) -> str:
    return str(entry["file"]).removeprefix("streams/").removesuffix(".sse")


RECORDINGS: Final = list(recordings())


def recorded(entry: Wire) -> bytes:
    return shared("corpus", entry["file"]).read_bytes()


def said(response: Response) -> tuple[object, ...]:
    calls = [(call.name, call.arguments) for call in response.function_calls]
    return response.output_text, response.reasoning_text, response.refusal, calls


def events_of(data: bytes) -> list[Wire]:
    frames = [item for item in SSEDecoder().receive(data + b"\n\n") if item.data.startswith(b"{")]
    return [json.loads(item.data) for item in frames]


@pytest.mark.parametrize("entry", RECORDINGS)
def test_a_recording_is_read_as_its_index_says(entry: Wire) -> None:
    stream = read(recorded(entry))
    name = name_of(entry)
    assert stream.outcome is not None
    assert dumps(stream.response)
    if name in NOT_A_RESPONSE:
        return
    assert stream.outcome.status == entry["final_status"]
    provider = entry["provider"]
    expected = {*CODEX} if provider == "chatgpt-codex" else FOUND.get(name, set[str]())
    assert set(codes(stream)) - DECODER == expected


@pytest.mark.parametrize("entry", RECORDINGS)
def test_a_recording_comes_through_whole(entry: Wire) -> None:
    data = recorded(entry)
    if name_of(entry) in NOT_A_RESPONSE:
        pytest.skip(NOT_A_RESPONSE[name_of(entry)])
    wires = events_of(data)
    terminal = next(wire for wire in wires if wire["type"] in TERMINAL_TYPES)
    response = dump(read(data).response)
    if terminal["response"].get("output"):
        assert response == terminal["response"]
    else:
        done = [wire["item"] for wire in wires if wire["type"] == "response.output_item.done"]
        assert response == {**terminal["response"], "output": done}


@pytest.mark.parametrize("entry", RECORDINGS)
def test_a_recording_means_the_same_however_it_is_cut(entry: Wire) -> None:
    data = recorded(entry)
    if len(data) > 40_000:
        data = data[:20_000] + data[-20_000:]
    whole = read(data)
    for size in (1, 7, 1000):
        again = fed_in(data, size)
        assert again.response == whole.response
        assert again.anomalies == whole.anomalies


def fed_in(data: bytes, size: int) -> ResponseStream:
    stream = ResponseStream()
    for at in range(0, len(data), size):
        stream.receive_data(data[at : at + size])
    stream.receive_eof()
    return stream


@pytest.mark.parametrize("entry", RECORDINGS)
@pytest.mark.parametrize("dropped", ["terminal output", "and each `done`"])
def test_a_recording_is_rebuilt_from_what_was_streamed(entry: Wire, dropped: str) -> None:
    name = name_of(entry)
    gone = NOT_A_RESPONSE | (WITHOUT_ALL_DELTAS if dropped != "terminal output" else {})
    if name in gone:
        pytest.skip(gone[name])
    final = read(recorded(entry)).response
    wires = codex(events_of(recorded(entry)))
    for wire in wires:
        if wire["type"] in TERMINAL_TYPES:
            wire["response"]["output"] = []
    if dropped != "terminal output":
        wires = [wire for wire in wires if not wire["type"].endswith(".done")]
    rebuilt = read(b"".join(frame(wire) for wire in wires))
    assert said(rebuilt.response) == said(final)
