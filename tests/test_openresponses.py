"""The judge: it lets pass what is good, and tells what is not."""

from __future__ import annotations

from typing import Any, cast

import pytest
from tests.openresponses import SCHEMA, faults, stream_faults
from tests.support import NO_SHARED

from responses_proto.codec import dump
from responses_proto.emitter import Emitter, encode_event
from responses_proto.models.request import CreateResponse

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
def test_a_body_that_is_not_right_is_told_where(change: dict[str, Any], told: str) -> None:
    (found,) = faults({**response(), **change})
    assert told in found


@needs_schema
def test_a_field_that_is_missing_is_told() -> None:
    body = response()
    del body["metadata"]
    assert "'metadata' is a required property" in faults(body)[0]


@needs_schema
def test_what_servers_may_add_passes() -> None:
    body = response()
    body["output"] += [{"type": "mcp_list_tools", "id": "m"}, {"type": "acme:thing", "id": "t"}]
    body["tools"] = [{"type": "web_search"}]
    assert faults(body) == []


def test_an_event_whose_line_says_another_type_is_told() -> None:
    emitter = Emitter(CreateResponse(model="m", input="x"), now=1)
    good = b"".join(map(encode_event, emitter.start()))
    assert stream_faults(good) == []
    assert "response.created" in stream_faults(good.replace(b"event: response.created", b"event: response.made"))[0]
