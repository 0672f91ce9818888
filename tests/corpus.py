"""The recorded traffic in ``../shared``: each file's JSON texts, and what they are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import NO_SHARED, shared

from responses_proto.models import (
    ClientEvent,
    CompactedResponse,
    CompactRequest,
    CreateResponse,
    DeletedResponse,
    Event,
    InputTokenCount,
    InputTokensRequest,
    Response,
    ResponseItemList,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Kind of a file beside requests, responses and streams -> what its body is, as a request and as an answer.
OTHERS: dict[str, tuple[Any, Any]] = {
    "input_items": (None, ResponseItemList),
    "compact": (CompactRequest, CompactedResponse),
    "input_tokens": (InputTokensRequest, InputTokenCount),
    "delete": (None, DeletedResponse),
}


def corpus() -> list[dict[str, Any]]:
    """Give the index of the recorded files; without them the test that calls this is skipped."""
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
    """Yield the data of each event of a stream."""
    for block in re.split(rb"(?:\r?\n){2,}", stream):
        data = [line[5:].removeprefix(b" ") for line in block.splitlines() if line.startswith(b"data:")]
        if data and data != [b"[DONE]"]:
            yield b"\n".join(data)


def is_json(text: bytes) -> bool:
    """Tell whether a text is JSON: some recordings are cut off."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def items_in(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the items in a body or an event."""
    response = body.get("response")
    for value in (body.get("input"), body.get("output"), body.get("data"), response and response.get("output")):
        yield from (item for item in value or () if isinstance(item, dict))
    if isinstance(body.get("item"), dict):
        yield body["item"]
