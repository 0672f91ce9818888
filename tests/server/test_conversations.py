"""Conversations: their endpoints, and responses that belong to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from tests.asgi import body, connected, send_request
from tests.support import PATIENCE, both_loops, run

from responses_proto.exceptions import BadRequestError, NotFoundError
from responses_proto.models.actions import SearchAction
from responses_proto.models.config import ConversationReference
from responses_proto.models.items import Message, WebSearchCall
from responses_proto.protocol._requests import id_of
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp

if TYPE_CHECKING:
    from responses_proto import ResponsesClient
    from responses_proto.models.config import Order
    from responses_proto.models.items import Item
    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply


def said(text: str, role: str = "user") -> Message:
    return Message(role=role, content=text)


async def texts(
    client: ResponsesClient,
    conversation: str,
    *,
    order: Order = "asc",
    limit: int | None = None,
    after: str | None = None,
) -> list[str]:
    listed = client.conversations.items.list(conversation, order=order, limit=limit, after=after)
    return [item.text async for item in listed if isinstance(item, Message)]


@both_loops
def test_create_update_and_delete_a_conversation(backend: str) -> None:
    async def main() -> None:
        app = ResponsesApp(Scripted(), clock=lambda: 7.9)
        async with connected(app) as client:
            made = await client.conversations.create(metadata={"topic": "x"})
            assert made.id.startswith("conv_")
            assert (made.created_at, made.metadata) == (7, {"topic": "x"})
            assert await client.conversations.retrieve(made.id) == made
            changed = await client.conversations.update(made.id, metadata={"topic": "y"})
            assert (changed.id, changed.created_at, changed.metadata) == (made.id, 7, {"topic": "y"})
            assert await client.conversations.retrieve(made.id) == changed
            assert (await client.conversations.update(made.id, metadata=None)).metadata == {}
            gone = await client.conversations.delete(made.id)
            assert (gone.id, gone.deleted) == (made.id, True)
            for call in (client.conversations.retrieve, client.conversations.delete):
                with pytest.raises(NotFoundError, match=made.id):
                    await call(made.id)
            with pytest.raises(NotFoundError):
                await client.conversations.items.list(made.id).next_page()
            with pytest.raises(NotFoundError):
                await client.conversations.items.create(made.id, [said("x")])

    run(backend, main)


@both_loops
def test_the_items_of_a_conversation(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            made = await client.conversations.create(
                items=[said("one", "developer"), {"role": "user", "content": "two"}]
            )
            added = await client.conversations.items.create(made.id, [said("three"), said("four")])
            assert [item.text for item in added.data if isinstance(item, Message)] == ["three", "four"]
            assert added.has_more is False
            assert (added.first_id, added.last_id) == (added.data[0].id, added.data[1].id)  # type: ignore[union-attr] # messages
            assert await texts(client, made.id) == ["one", "two", "three", "four"]
            assert await texts(client, made.id, order="desc", limit=1) == ["four", "three", "two", "one"]
            assert await texts(client, made.id, limit=3, after=added.first_id) == ["four"]

            assert added.first_id
            three = await client.conversations.items.retrieve(made.id, added.first_id)
            assert three == added.data[0]
            left = await client.conversations.items.delete(made.id, added.first_id)
            assert left == made
            assert await texts(client, made.id) == ["one", "two", "four"]
            for call in (client.conversations.items.retrieve, client.conversations.items.delete):
                with pytest.raises(NotFoundError) as refused:
                    await call(made.id, added.first_id)
                assert refused.value.param == "item_id"

    run(backend, main)


@both_loops
def test_responses_append_to_their_conversation(backend: str) -> None:
    seen: list[list[str]] = []

    async def handler(request: CreateResponse, reply: Reply) -> None:
        seen.append([item.text for item in reply.context if isinstance(item, Message)])
        await Scripted()(request, reply)

    async def main() -> None:
        async with connected(ResponsesApp(handler)) as client:
            made = await client.conversations.create(items=[said("be kind", "system")])
            first = await client.create(model="m", input="one", conversation=made.id)
            assert first.conversation == ConversationReference(id=made.id)
            async with client.stream(model="m", input="two", conversation=ConversationReference(id=made.id)) as stream:
                await stream.result()
            await client.create(model="m", input="three", conversation=made.id, store=False)
            assert seen[-1] == ["be kind", "one", "one", "two", "two", "three"]
            assert await texts(client, made.id) == [*seen[-1], "three"]
            counted = await client.count_input_tokens(model="m", input="x", conversation=made.id)
            assert counted.input_tokens == 2 + 6 + 1

            # A response of a conversation can be followed outside of it too, from what was said until then.
            await client.create(model="m", input="aside", previous_response_id=first.id)
            assert seen[-1] == ["be kind", "one", "one", "aside"]
            assert "aside" not in await texts(client, made.id)

    run(backend, main)


@both_loops
def test_a_response_that_failed_adds_nothing(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            made = await client.conversations.create()
            assert (await client.create(model="m", input="[fail]", conversation=made.id)).status == "failed"
            assert await texts(client, made.id) == []
            cut = await client.create(model="m", input="one two three", conversation=made.id, max_output_tokens=1)
            assert cut.status == "incomplete"
            assert await texts(client, made.id) == ["one two three", "one"]

    run(backend, main)


@both_loops
def test_a_conversation_deleted_during_a_response_stays_deleted(backend: str) -> None:
    async def main() -> None:
        waits, proceed = anyio.Event(), anyio.Event()

        async def handler(_request: CreateResponse, _reply: Reply) -> None:
            waits.set()
            await proceed.wait()

        async with connected(ResponsesApp(handler)) as client:
            made = await client.conversations.create()

            async def create() -> None:
                response = await client.create(model="m", input="x", conversation=made.id)
                assert response.status == "completed"
                assert await client.retrieve(response.id) == response

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create)
                await waits.wait()
                await client.conversations.delete(made.id)
                proceed.set()
            with pytest.raises(NotFoundError):
                await client.conversations.retrieve(made.id)

    run(backend, main)


@both_loops
def test_an_item_sent_again_is_listed_once(backend: str) -> None:
    search: Item = WebSearchCall(id="ws_1", status="completed", action=SearchAction(query="x", queries=["x"]))
    same: list[Item] = [Message(id="msg_1", role="user", content="x")] * 2

    async def names(client: ResponsesClient, conversation: str, order: Order) -> list[str]:
        with anyio.fail_after(PATIENCE):
            return [id_of(item) async for item in client.conversations.items.list(conversation, limit=1, order=order)]

    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            made = await client.conversations.create(items=[*same, search])
            with pytest.raises(BadRequestError, match="already") as refused:
                await client.conversations.items.create(made.id, [search, same[0]])
            assert (refused.value.code, refused.value.param) == ("duplicate_item", "items")
            first = await client.create(model="m", input="one", conversation=made.id)
            # A client that keeps the history itself sends it too; it is in the conversation already.
            again: list[Item] = [search, *first.output, Message(role="user", content="two")]
            await client.create(model="m", input=again, conversation=made.id)
            forward = await names(client, made.id, "asc")
            assert len(forward) == len({*forward}) == 7
            assert await names(client, made.id, "desc") == forward[::-1]

    run(backend, main)


@both_loops
def test_items_that_keep_their_id_must_not_repeat_it(backend: str) -> None:
    def search(name: str) -> Item:
        return WebSearchCall(id=name, status="completed", action=SearchAction(query="x", queries=["x"]))

    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            for names, code in ((["a", "a"], "duplicate_item"), (["a", ""], "invalid_value")):
                with pytest.raises(BadRequestError) as refused:
                    await client.create(model="m", input=[search(name) for name in names])
                assert (refused.value.code, refused.value.param) == (code, "input[1].id")

    run(backend, main)


@both_loops
def test_an_unknown_conversation_is_not_found(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            with pytest.raises(NotFoundError) as refused:
                await client.create(model="m", input="x", conversation="conv_nowhere")
            assert refused.value.param == "conversation"
            made = await client.conversations.create()
            first = await client.create(model="m", input="x")
            with pytest.raises(BadRequestError, match="not both"):
                await client.create(model="m", input="x", conversation=made.id, previous_response_id=first.id)

    run(backend, main)


@pytest.mark.parametrize(
    ("path", "content", "param"),
    [
        ("/v1/conversations", b"x", None),
        ("/v1/conversations", b'{"items": 5}', "items"),
        ("/v1/conversations", b'{"metadata": {"a": 5}}', "metadata"),
        ("/v1/conversations", b'{"meta_data": {}}', "meta_data"),
        ("/v1/conversations", b'{"items": [{"text": "x"}]}', "items[0].type"),
        ("/v1/conversations/{id}", b"{}", "metadata"),
        ("/v1/conversations/{id}/items", b"{}", "items"),
        ("/v1/conversations/{id}/items", b'{"items": []}', "items"),
        ("/v1/conversations/{id}/items?limit=0", None, "limit"),
    ],
)
def test_the_error_of_a_bad_request_names_the_param(path: str, content: bytes | None, param: str | None) -> None:
    app = ResponsesApp(Scripted())
    made = send_request("asyncio", app, path="/v1/conversations").json[
        "id"
    ]  # no body at all is as good as an empty one
    method = "GET" if content is None else "POST"
    client = send_request("asyncio", app, content or b"", method=method, path=path.replace("{id}", made))
    assert (client.status, client.error["param"]) == (400, param)
    assert send_request("asyncio", app, body(conversation=made)).status == 200
