"""Every shape in which servers report an error, over every engine."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from tests.hostile.engines import KEY, connect, everywhere, over_sockets, run_on

from responses_proto.exceptions import (
    APIError,
    BadRequestError,
    NotAnEventStream,
    NotFoundError,
    RateLimitError,
    ResponseFailedError,
    ResponsesProtoError,
    ServerError,
    StreamTruncated,
    TransportError,
    UnprocessableEntityError,
)
from responses_proto.testing import Answer, FakeServer, Fault

CREATED, *_, COMPLETED = Answer.text("x").to_wire().events or []
FAILED: dict[str, Any] = {
    **COMPLETED["response"], "status": "failed", "output": [], "error": {"code": "server_error", "message": "400 upstream"},
}  # fmt: skip


def stream(*events: dict[str, Any]) -> Answer:
    return Answer.events([{"sequence_number": number, **event} for number, event in enumerate(events)])


@attrs.frozen
class Row:
    """One row of the table: what the server sends, and the error that the client raises."""

    answer: Answer
    error: type[ResponsesProtoError]
    words: str
    facts: dict[str, object] = attrs.field(factory=dict[str, object])


ROWS = {
    "OpenAI": Row(
        Answer.error(429, "Slow down.", type="requests", code="rate_limit_exceeded", headers={"retry-after": "3", "x-request-id": "req_1"}),
        RateLimitError, "Slow down",
        {"status": 429, "code": "rate_limit_exceeded", "type": "requests", "retry_after": 3.0, "request_id": "req_1", "retry_safety": "safe"},
    ),
    "a code that is null": Row(Answer.error(400, "Bad.", param="input"), BadRequestError, "Bad", {"code": None, "param": "input"}),
    "a code that is a number": Row(Answer.error(500, "Oops.", code="500"), ServerError, "Oops", {"status": 500}),
    "xAI": Row(Answer.json({"code": "invalid", "error": "No such model."}, 404), NotFoundError, "No such model", {"code": "invalid"}),
    "FastAPI": Row(Answer.json({"detail": "Not here."}, 404), NotFoundError, "Not here"),
    "FastAPI, validation": Row(
        Answer.json({"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "missing"}]}, 422),
        UnprocessableEntityError, "field required",
    ),
    "llama-stack": Row(Answer.json({"error": {"detail": "Too many."}}, 400), BadRequestError, "Too many"),
    "responses.js, a list": Row(
        Answer.json({"success": False, "error": [{"path": ["model"], "message": "Required"}]}, 400), BadRequestError, "Required"
    ),
    "responses.js, a string": Row(Answer.json({"success": False, "error": "Broken."}, 500), ServerError, "Broken"),
    "a page for a status": Row(
        Answer.body(b"<title>Not Found</title>" * 1000, 404, headers={"retry-after": "2"}), NotFoundError, "Not Found", {"retry_after": 2.0}
    ),
    "a proxy in between": Row(
        Answer.text("x").with_faults(Fault.status(502, b"<title>Bad gateway</title>")), ServerError, "Bad gateway"
    ),
    "octets": Row(
        Answer.body(b'{"error": {"message": "Insufficient Balance"}}', 402, content_type="application/octet-stream"),
        APIError, "Insufficient Balance", {"status": 402},
    ),
    "nothing at all": Row(Answer.body(b"", 503, content_type=None), ServerError, "503"),
    "an event, flat": Row(
        stream(CREATED, {"type": "error", "code": "server_error", "message": "Overheated.", "param": None}),
        APIError, "Overheated", {"code": "server_error"},
    ),
    "an event, nested, then failed": Row(
        stream(
            CREATED, {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "Overheated."}},
            {"type": "response.failed", "response": FAILED},
        ),
        ResponseFailedError, "400 upstream",
    ),
    "an event without a type": Row(
        Answer.stream(b'data: {"error": {"message": "Proxied.", "code": "rate_limit_exceeded"}}\n\n'), RateLimitError, "Proxied"
    ),
    "a stream that failed": Row(stream(CREATED, {"type": "response.failed", "response": FAILED}), ResponseFailedError, "400 upstream"),
    "a failed response, not streamed": Row(Answer.json(FAILED), ResponseFailedError, "400 upstream"),
    "a good status and an error": Row(
        Answer.json({"error": {"message": "Slow.", "code": "rate_limit_exceeded"}}), RateLimitError, "Slow"
    ),
    "a good status and a page": Row(Answer.body(b"<title>Log in</title>"), NotAnEventStream, "Log in", {"status": 200}),
    "a good status and other JSON": Row(Answer.json({"hello": "world"}), NotAnEventStream, "application/json"),
    "a good status and words": Row(Answer.body(b"Log in", content_type="text/plain"), NotAnEventStream, "text/plain"),
    "an end without an end": Row(Answer.text("x").with_faults(Fault.no_terminal()), StreamTruncated, "terminal"),
    "no answer": Row(Answer.text("x").with_faults(Fault.no_answer()), TransportError, "no answer"),
}  # fmt: skip


@everywhere
@pytest.mark.parametrize("name", ROWS)
def test_every_shape_of_error_is_raised_as_an_error_of_this_package(engine: str, name: str) -> None:
    async def test() -> None:
        row = ROWS[name]
        async with FakeServer(row.answer) as server, connect(engine, server) as client:
            with pytest.raises(row.error, match=row.words) as caught:
                async with client.stream(model="m", input="x") as stream:
                    await stream.result()
            assert {name: getattr(caught.value, name) for name in row.facts} == row.facts
            assert KEY not in str(caught.value) + repr(caught.value)
            assert len(str(caught.value)) < 400
            assert len(server.requests) == 1

    run_on(engine, test)


@over_sockets
@pytest.mark.parametrize("status", [302, 307, 308])
def test_redirects_are_not_followed(engine: str, status: int) -> None:
    async def test() -> None:
        async with FakeServer("Stolen.") as elsewhere:
            away = Answer.redirect(f"{elsewhere.url}/responses", status)
            async with FakeServer(away) as server, connect(engine, server) as client:
                with pytest.raises(ResponsesProtoError, match="redirects"):
                    async with client.stream(model="m", input="secret input"):
                        pass
                with pytest.raises(ResponsesProtoError, match="redirects"):
                    await client.create(model="m", input="secret input")
            assert elsewhere.requests == []

    run_on(engine, test)


@everywhere
def test_a_key_that_the_server_quotes_is_redacted(engine: str) -> None:
    async def test() -> None:
        answer = Answer.error(401, f"Incorrect API key provided: {KEY}.", code="invalid_api_key")
        async with FakeServer(answer) as server, connect(engine, server) as client:
            with pytest.raises(APIError) as caught:
                await client.create(model="m", input="x")
            shown = str(caught.value) + repr(caught.value) + json.dumps(caught.value.body)
            assert KEY not in shown
            assert KEY in str(server.requests[0].headers)

    run_on(engine, test)
