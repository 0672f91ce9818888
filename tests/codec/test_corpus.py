"""Everything that was recorded comes back exactly, and real traffic has no value of a wrong type."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import NO_SHARED, shared

from responses_proto.codec import ORJSON, STDLIB, JSONBackend, load, make_converter
from responses_proto.models import (
    ClientEvent,
    CompactedResponse,
    CompactRequest,
    CreateResponse,
    DeletedResponse,
    Event,
    InputTokenCount,
    InputTokensRequest,
    Item,
    Response,
    ResponseItemList,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from responses_proto.anomalies import Anomaly

BACKENDS = [backend for backend in (STDLIB, ORJSON) if backend is not None]

# Kind of a file beside requests, responses and streams -> what its body is, as a request and as an answer.
OTHERS: dict[str, tuple[Any, Any]] = {
    "input_items": (None, ResponseItemList),
    "compact": (CompactRequest, CompactedResponse),
    "input_tokens": (InputTokensRequest, InputTokenCount),
    "delete": (None, DeletedResponse),
}


def corpus() -> list[dict[str, Any]]:
    path = shared("corpus", "INDEX.json")
    if not path.exists():
        pytest.skip(NO_SHARED)
    files: list[dict[str, Any]] = json.loads(path.read_bytes())["files"]
    return files


def texts_of(file: dict[str, Any]) -> Iterator[tuple[bytes, Any]]:
    """Yield each JSON text of a recorded file with its type."""
    path = shared("corpus", *file["file"].split("/"))
    whole = path.read_bytes()
    match file["kind"], file["endpoint"]:
        case "requests", _:
            yield whole, CreateResponse
        case "responses", _:
            yield whole, Response
        case "streams", _:
            yield from ((data, Event) for data in frames(whole))
        case "other", "websocket":
            for line in whole.splitlines():
                entry = json.loads(line)
                yield entry["msg"].encode(), ClientEvent if entry["dir"] == ">" else Event
        case "other", endpoint:
            request, answer = OTHERS[endpoint]
            yield whole, request if path.name.endswith(".request.json") else answer
        case _:
            pass  # bodies of errors are read by `apierrors`, whose tests have them


def frames(stream: bytes) -> Iterator[bytes]:
    for block in re.split(rb"(?:\r?\n){2,}", stream):
        data = [line[5:].removeprefix(b" ") for line in block.splitlines() if line.startswith(b"data:")]
        if data and data != [b"[DONE]"]:
            yield b"\n".join(data)


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def text_of(value: Any) -> str:
    """A text that tells 1 from 1.0 and from true, which ``==`` does not."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("kind", ["requests", "responses", "streams", "other"])
@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_every_recorded_body_survives_exactly(backend: JSONBackend, kind: str) -> None:
    converter = make_converter(json=backend)
    for file in corpus():
        if file["kind"] != kind:
            continue
        for text, cls in filter(lambda found: is_json(found[0]), texts_of(file)):
            expected = json.loads(text)
            loaded = converter.load(expected, cls)
            assert text_of(converter.dump(loaded)) == text_of(expected), file["file"]
            assert converter.loads(text, cls) == loaded, file["file"]
            assert text_of(json.loads(converter.dumps(loaded))) == text_of(expected), file["file"]


def test_every_recorded_item_survives_exactly() -> None:
    converter = make_converter()
    seen: set[str] = set()
    for file in corpus():
        for text, _cls in filter(lambda found: is_json(found[0]), texts_of(file)):
            for item in items_in(json.loads(text)):
                seen.add(item.get("type", ""))
                assert text_of(converter.dump(converter.load(item, Item))) == text_of(item), file["file"]
    assert {"message", "function_call", "reasoning"} < seen


def items_in(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    response = body.get("response")
    for value in (body.get("input"), body.get("output"), body.get("data"), response and response.get("output")):
        yield from (item for item in value or () if isinstance(item, dict))
    if isinstance(body.get("item"), dict):
        yield body["item"]


@pytest.mark.parametrize("kind", ["requests", "responses", "streams", "other"])
def test_real_traffic_has_no_value_of_a_wrong_type(kind: str) -> None:
    found: list[tuple[str, Anomaly]] = []
    for file in corpus():
        if file["kind"] == kind and not file.get("likely_hand_written"):
            for text, cls in filter(lambda found: is_json(found[0]), texts_of(file)):
                anomalies: list[Anomaly] = []
                load(json.loads(text), cls, anomalies=anomalies)
                found += [(file["file"], anomaly) for anomaly in anomalies if anomaly.code != "missing-field"]
    assert found == []


def test_every_recorded_stream_is_nearly_all_json() -> None:
    texts = [text for file in corpus() if file["kind"] == "streams" for text, _cls in texts_of(file)]
    assert len(texts) > 1000
    assert sum(not is_json(text) for text in texts) < 5  # a hand-written file has line breaks inside its JSON
