"""Status, headers, request id and rate limits of every reply."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.streams import plain, saying, wire
from tests.support import both_loops, run

from responses_proto import Response, ResponsesClient, codec
from responses_proto.client import response_meta
from responses_proto.exceptions import UsageError
from responses_proto.models import InputTokenCount
from responses_proto.testing import Answer, FakeServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEADERS = {"x-request-id": "req_1", "x-ratelimit-remaining-requests": "7"}
PAGE: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
CONVERSATION: dict[str, Any] = {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}}


CALLS: dict[str, tuple[Any, Callable[[ResponsesClient], Awaitable[Any]]]] = {
    "create": (saying("42"), lambda c: c.create(model="m")),
    "retrieve": (saying("42"), lambda c: c.retrieve("resp_1")),
    "parse": (saying("42"), lambda c: c.parse(int, model="m")),
    "delete": ({"id": "resp_1", "deleted": True}, lambda c: c.delete("resp_1")),
    "page": (PAGE, lambda c: c.input_items("resp_1").next_page()),
    "count": ({"object": "response.input_tokens", "input_tokens": 3}, lambda c: c.count_input_tokens(model="m")),
    "conversation": (CONVERSATION, lambda c: c.conversations.retrieve("conv_1")),
    "models": ({"object": "list", "data": []}, lambda c: c.models()),
    "object": ({"anything": 1}, lambda c: c.request("GET", "things")),
    "list": ([1, 2], lambda c: c.request("POST", "things", json={})),
}


@both_loops
@pytest.mark.parametrize(("body", "call"), CALLS.values(), ids=CALLS)
def test_the_meta_of_every_kind_of_call(backend: str, body: Any, call: Any) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json(body, headers=HEADERS), check_requests=False) as server:
            meta = response_meta(await call(ResponsesClient(server.url, http_client=server.transport)))
        assert (meta.status, meta.request_id) == (200, "req_1")
        assert meta.rate_limits["requests"].remaining == 7
        assert meta.headers["x-request-id"] == "req_1"

    run(backend, test)


@both_loops
def test_the_meta_of_a_stream_and_its_response(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.stream(wire(plain(["Hi"])), headers=HEADERS)) as server:
            client = ResponsesClient(server.url, http_client=server.transport)
            async with client.stream(model="m") as stream:
                assert response_meta(stream).request_id == "req_1"
                assert response_meta(await stream.result()) == stream.meta
            assert response_meta(await client.create(model="m")).request_id == "req_1"  # though it was streamed

    run(backend, test)


@both_loops
def test_the_meta_is_no_part_of_the_value(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json(saying("42"), headers=HEADERS)) as server:
            response = await ResponsesClient(server.url, http_client=server.transport).create(model="m")
        same = codec.load(saying("42"), Response)
        assert response == same
        assert repr(response) == repr(same)
        assert codec.dump(response) == saying("42")
        assert response_meta(attrs.evolve(response, model="other")).request_id == "req_1"
        assert pickle.loads(pickle.dumps(response)) == response  # noqa: S301 - our own

    run(backend, test)


@pytest.mark.parametrize("value", [InputTokenCount(input_tokens=1), {"a": 1}, None, []])
def test_a_value_that_no_call_returned_has_none(value: object) -> None:
    with pytest.raises(UsageError, match="reply to a client"):
        response_meta(value)
