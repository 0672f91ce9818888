from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.exceptions import NotFoundError
from responses_proto.models import McpCall, Message
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from responses_proto.typing import JSONObject

CONVERSATION: JSONObject = {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {"a": "b"}}
ITEM: JSONObject = {
    "type": "message", "id": "msg_1", "role": "user", "status": "completed",
    "content": [{"type": "input_text", "text": "Hi"}],
}  # fmt: skip
CALL: JSONObject = {
    "type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "server_label": "s", "error": "It broke.",
}  # fmt: skip
LIST: JSONObject = {"object": "list", "data": [ITEM], "first_id": "msg_1", "last_id": "msg_1", "has_more": False}
ANSWERS: dict[str, Any] = {
    "POST /v1/conversations": CONVERSATION,
    "GET /v1/conversations/conv_1": CONVERSATION,
    "POST /v1/conversations/conv_1": {**CONVERSATION, "metadata": {}},
    "DELETE /v1/conversations/conv_1": {"id": "conv_1", "object": "conversation.deleted", "deleted": True},
    "GET /v1/conversations/conv_1/items?limit=5&order=asc": LIST,
    "POST /v1/conversations/conv_1/items": LIST,
    "GET /v1/conversations/conv_1/items/msg_1": ITEM,
    "GET /v1/conversations/conv_1/items/mcp_1?include%5B%5D=file_search_call.results": CALL,
    "DELETE /v1/conversations/conv_1/items/msg_1": CONVERSATION,
}


def answer(peer: ServerExchange) -> Answer:
    known = ANSWERS.get(f"{peer.request.method} {peer.request.target}")
    return Answer.error(404, "No such thing.", code="not_found") if known is None else Answer.json(known)


@both_loops
def test_conversations_are_created_retrieved_updated_and_deleted(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(answer) as server, ResponsesClient(server.url) as client:
            made = await client.conversations.create(
                items=[Message(role="user", content="Hi"), ITEM], metadata={"a": "b"}
            )
            assert (made.id, made.metadata) == ("conv_1", {"a": "b"})
            assert (await client.conversations.retrieve("conv_1")).created_at == 1
            assert (await client.conversations.update("conv_1", metadata={})).metadata == {}
            assert (await client.conversations.delete("conv_1")).deleted
            bodies = [json.loads(request.body) if request.body else None for request in server.requests]
            first = {"type": "message", "role": "user", "content": "Hi"}
            assert bodies == [{"items": [first, ITEM], "metadata": {"a": "b"}}, None, {"metadata": {}}, None]

    run(backend, test)


@both_loops
def test_items_are_listed_created_retrieved_and_deleted(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(answer) as server, ResponsesClient(server.url) as client:
            items = client.conversations.items
            listed = [item async for item in items.list("conv_1", limit=5, order="asc")]
            assert [type(item) for item in listed] == [Message]
            added = await items.create("conv_1", [*listed, ITEM])
            assert added.data == listed
            assert json.loads(server.requests[1].body) == {"items": [ITEM, ITEM]}
            assert await items.retrieve("conv_1", "msg_1") == listed[0]
            call = await items.retrieve("conv_1", "mcp_1", include=["file_search_call.results"])
            assert isinstance(call, McpCall)  # with its own error, which is not the request's
            assert (await items.delete("conv_1", "msg_1")).id == "conv_1"

    run(backend, test)


@both_loops
def test_a_missing_conversation_is_an_error(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(answer) as server, ResponsesClient(server.url, retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(NotFoundError, match="No such thing"):
                await client.conversations.retrieve("conv_2")
            with pytest.raises(NotFoundError):
                _ = [item async for item in client.conversations.items.list("conv_2")]
            assert len(server.requests) == 2

    run(backend, test)
