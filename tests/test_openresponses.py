"""The judge accepts valid values and reports invalid ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from tests.openresponses import SCHEMA, Judge, faults, stream_faults
from tests.support import NO_SHARED, both_loops, run

from responses_proto.codec import dump
from responses_proto.models.request import CreateResponse
from responses_proto.protocol import Emitter, encode_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

needs_schema = pytest.mark.skipif(not SCHEMA.exists(), reason=NO_SHARED)


def response() -> dict[str, Any]:
    emitter = Emitter(CreateResponse(model="m", input="x"), now=1)
    emitter.start()
    emitter.message().text("Hello.")
    emitter.cancel()
    return dict(dump(emitter.response))


@needs_schema
def test_what_the_emitter_makes_passes() -> None:
    assert faults(response()) == []
    assert faults({"error": {"message": "No.", "type": "t", "param": None, "code": None}}) == []
    assert faults({"object": "list", "data": response()["output"]}) == []


@needs_schema
@pytest.mark.parametrize(
    ("change", "told"),
    cast(
        "list[tuple[dict[str, Any], str]]",
        [
            ({"temperature": None}, "temperature"),
            ({"text": {"format": {"type": "text"}, "verbosity": None}}, "verbosity"),
            ({"output": [{"type": "message", "role": "assistant", "content": []}]}, "output[0]"),
            ({"object": "answer"}, "neither"),
        ],
    ),
)
def test_an_invalid_body_is_reported_with_its_path(change: dict[str, Any], told: str) -> None:
    (found,) = faults({**response(), **change})
    assert told in found


@needs_schema
def test_a_missing_field_is_reported() -> None:
    body = response()
    del body["metadata"]
    assert "'metadata' is a required property" in faults(body)[0]


@needs_schema
def test_additions_of_servers_pass() -> None:
    body = response()
    body["output"] += [{"type": "mcp_list_tools", "id": "m"}, {"type": "acme:thing", "id": "t"}]
    body["tools"] = [{"type": "web_search"}]
    assert faults(body) == []


def test_an_event_whose_line_has_another_type_is_reported() -> None:
    emitter = Emitter(CreateResponse(model="m", input="x"), now=1)
    good = b"".join(map(encode_event, emitter.start()))
    assert stream_faults(good) == []
    assert "response.created" in stream_faults(good.replace(b"event: response.created", b"event: response.made"))[0]


@needs_schema
@both_loops
def test_an_application_is_judged_by_all_that_it_sends(backend: str) -> None:
    body = response()
    bad = {**body, "metadata": None, "temperature": None}

    async def app(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        streams = scope["path"] == "/stream"
        kind = b"text/event-stream" if streams else b"application/json"
        event = {"type": "response.completed", "sequence_number": 0, "response": bad}
        content = b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n" if streams else json.dumps(bad).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": content[:10], "more_body": True})
        await send({"type": "http.response.body", "body": content[10:]})

    async def main() -> None:
        judge = Judge(app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(judge), base_url="http://local") as client:
            await client.get("/")
            assert [fault for fault in judge.found if "temperature" in fault] == judge.found != []
            await client.get("/stream")
        assert judge.answers == 2
        assert len(judge.found) == 3

    run(backend, main)
