"""Lists in pages, as one sequence of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import APIError, RemoteProtocolError
from responses_proto.models import Message
from responses_proto.testing import Answer, FakeServer, Script

if TYPE_CHECKING:
    from responses_proto.typing import JSONObject


def client(server: FakeServer) -> ResponsesClient:
    return ResponsesClient(server.url)


def item(number: int) -> JSONObject:
    return {"type": "message", "id": f"msg_{number}", "role": "user", "content": [{"type": "input_text", "text": "x"}]}


def page(numbers: range, *, more: bool) -> Answer:
    items = [item(number) for number in numbers]
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return Answer.json({"object": "list", "data": items, "has_more": more, **ends})


@both_loops
def test_all_pages_are_fetched(backend: str) -> None:
    async def test() -> None:
        answers = Script(page(range(2), more=True), page(range(2, 4), more=True), page(range(4, 5), more=False))
        async with FakeServer(answers) as server, client(server) as c:
            pages = c.input_items("resp_1", limit=2)
            assert (pages.after, pages.has_more) == (None, True)
            seen = [got.id async for got in pages if isinstance(got, Message)]
            assert seen == [f"msg_{n}" for n in range(5)]
            assert (pages.after, pages.has_more) == ("msg_4", False)
            asked = [request.query for request in server.requests]
            assert asked == [
                [("limit", "2")],
                [("after", "msg_1"), ("limit", "2")],
                [("after", "msg_3"), ("limit", "2")],
            ]
            with pytest.raises(StopAsyncIteration):
                await anext(pages)
            assert len(server.requests) == 3

    run(backend, test)


@both_loops
def test_an_iteration_can_be_continued_later(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Script(page(range(3), more=True), page(range(2, 3), more=False))) as server,
            client(server) as c,
        ):
            pages = c.input_items("resp_1")
            await anext(pages)
            await anext(pages)
            assert pages.after == "msg_1"
            rest = [got async for got in c.input_items("resp_1", after=pages.after)]
            assert len(rest) == 1
            assert server.requests[1].target.endswith("?after=msg_1")

    run(backend, test)


@both_loops
def test_a_server_that_repeats_a_page_is_not_followed(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(page(range(1), more=True)) as server, client(server) as c:
            with pytest.raises(RemoteProtocolError, match="msg_0"):
                _ = [got async for got in c.input_items("resp_1")]
            assert len(server.requests) == 2
        async with FakeServer(page(range(0), more=True)) as server, client(server) as c:
            assert [got async for got in c.input_items("resp_1")] == []

    run(backend, test)


@both_loops
def test_a_page_that_could_not_be_fetched_can_be_fetched_again(backend: str) -> None:
    async def test() -> None:
        answers = Script(page(range(1), more=True), Answer.error(400, "No."), page(range(1, 2), more=False))
        async with FakeServer(answers) as server, client(server) as c:
            pages = c.input_items("resp_1")
            await anext(pages)
            with pytest.raises(APIError):
                await anext(pages)
            got = await anext(pages)
            assert isinstance(got, Message)
            assert got.id == "msg_1"

    run(backend, test)


@both_loops
def test_pages_can_be_fetched_instead_of_items(backend: str) -> None:
    async def test() -> None:
        answers = Script(page(range(2), more=True), page(range(2, 3), more=False))
        async with FakeServer(answers) as server, client(server) as c:
            pages = c.input_items("resp_1")
            first, second, third = [await pages.next_page() for _ in range(3)]
            assert first is not None
            assert second is not None
            assert ([len(first.data), len(second.data)], third) == ([2, 1], None)
            assert len(server.requests) == 2

    run(backend, test)


@both_loops
def test_a_page_without_last_id_is_followed_by_its_last_items_id(backend: str) -> None:
    async def test() -> None:
        items = [item(0), {key: value for key, value in item(1).items() if key != "id"}]
        bare = Answer.json({"object": "list", "data": items[:1], "has_more": True})
        async with FakeServer(Script(bare, page(range(1, 2), more=False))) as server, client(server) as c:
            assert len([got async for got in c.input_items("resp_1")]) == 2
            assert server.requests[1].query == [("after", "msg_0")]
        lost = Answer.json({"object": "list", "data": items[1:], "has_more": True})
        async with FakeServer(lost) as server, client(server) as c:
            with pytest.raises(RemoteProtocolError, match="the page after None ends with None"):
                _ = [got async for got in c.input_items("resp_1")]

    run(backend, test)
