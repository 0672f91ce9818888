"""Stored responses: retrieved, streamed again, deleted, and their input items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.asgi import body, connected, parse_stream, send_request
from tests.support import both_loops, run

from responses_proto import Cursor
from responses_proto.codec import dump, loads
from responses_proto.exceptions import BadRequestError, NotFoundError
from responses_proto.models.content import InputImage, InputText
from responses_proto.models.items import FunctionCall, FunctionCallOutput, ItemReference, Message, UnknownItem
from responses_proto.models.request import CreateResponse
from responses_proto.models.response import Response
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from responses_proto.models.items import Item
    from responses_proto.server import Reply


def users(count: int) -> list[Item]:
    return [Message(id=f"msg_{number}", role="user", content=f"number {number}") for number in range(count)]


# ---- fetching


@both_loops
@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_response_equals_the_one_sent(backend: str, *, stream: bool) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            request = CreateResponse(model="m", input="tell me a story", metadata={"a": "b"})
            if stream:
                async with client.stream(request) as events:
                    given = await events.result()
            else:
                given = await client.create(request)
            assert await client.retrieve(given.id, include=["message.output_text.logprobs"]) == given
            assert given.store is True

    run(backend, main)


@both_loops
def test_store_false(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            given = await client.create(model="m", input="x", store=False)
            assert given.store is False
            with pytest.raises(NotFoundError, match=given.id):
                await client.retrieve(given.id)
            with pytest.raises(BadRequestError) as refused:
                await client.create(model="m", input="y", previous_response_id=given.id)
            assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")

    run(backend, main)


@both_loops
def test_a_deleted_response_is_not_found(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            first = await client.create(model="m", input="x")
            second = await client.create(model="m", input="y", previous_response_id=first.id)
            gone = await client.delete(first.id)
            assert (gone.id, gone.object, gone.deleted) == (first.id, "response.deleted", True)
            for call in (client.retrieve, client.delete, client.cancel):
                with pytest.raises(NotFoundError):
                    await call(first.id)
            with pytest.raises(NotFoundError):
                await client.input_items(first.id).next_page()
            with pytest.raises(BadRequestError, match=first.id) as refused:
                await client.create(model="m", input="z", previous_response_id=second.id)
            assert refused.value.code == "previous_response_not_found"
            assert await client.retrieve(second.id) == second

    run(backend, main)


@both_loops
def test_a_response_that_is_not_in_the_background_cannot_be_cancelled(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            given = await client.create(model="m", input="x")
            with pytest.raises(BadRequestError, match="background"):
                await client.cancel(given.id)

    run(backend, main)


# ---- the events again


@both_loops
def test_the_events_of_a_stream_can_be_replayed(backend: str) -> None:
    app = ResponsesApp(Scripted())
    first = send_request(backend, app, body(input="tell me a story", stream=True))
    name = parse_stream(first.content).response.id
    lines = first.content.split(b"\n\n")
    again = send_request(backend, app, method="GET", path=f"/v1/responses/{name}?stream=true")
    assert again.content == first.content
    rest = send_request(backend, app, method="GET", path=f"/v1/responses/{name}?stream=true&starting_after=7")
    assert rest.content == b"\n\n".join(lines[8:])
    number = len(lines) - 3  # behind the events are [DONE] and nothing
    done = send_request(backend, app, method="GET", path=f"/v1/responses/{name}?stream=true&starting_after={number}")
    assert done.content == b"data: [DONE]\n\n"


@both_loops
def test_a_response_that_was_not_streamed_can_be_replayed(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            given = await client.create(model="m", input="tell me a story")
            async with client.resume(Cursor(given.id)) as stream:
                assert len([event async for event in stream]) > 10
                assert await stream.result() == given

    run(backend, main)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=true&starting_after=10000", "starting_after"),
        (f"stream=true&starting_after={10**30}", "starting_after"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
        ("starting_after=1", "starting_after"),
        ("stream=maybe", "stream"),
        ("include_obfuscation=maybe", "include_obfuscation"),
    ],
)
def test_the_error_of_a_wrong_query_names_the_param(query: str, param: str, tmp_path: Path) -> None:
    app = ResponsesApp(Scripted(), store=SQLiteStore(tmp_path / "responses.db"))
    name = loads(send_request("asyncio", app, body()).content, Response).id
    client = send_request("asyncio", app, method="GET", path=f"/v1/responses/{name}?{query}")
    assert (client.status, client.error["param"], client.error["type"]) == (400, param, "invalid_request_error")


def test_unknown_query_parameters_are_ignored() -> None:
    app = ResponsesApp(Scripted())
    name = loads(send_request("asyncio", app, body()).content, Response).id
    for query in ("api-version=1", "stream=false&include[]=a&include[]=b", "include_obfuscation=false"):
        assert send_request("asyncio", app, method="GET", path=f"/v1/responses/{name}?{query}").status == 200


# ---- input items


@both_loops
@pytest.mark.parametrize("order", ["asc", "desc", None])
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_input_items_in_pages(backend: str, order: Any, limit: int) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            given = await client.create(model="m", input=users(5))
            found = [
                item.id
                async for item in client.input_items(given.id, order=order, limit=limit)
                if isinstance(item, Message)
            ]
            expected = [f"msg_{number}" for number in range(5)]
            assert found == (expected if order == "asc" else expected[::-1])

    run(backend, main)


def test_pages_have_first_and_last_id() -> None:
    app = ResponsesApp(Scripted())
    name = loads(send_request("asyncio", app, body(input=[dump(user) for user in users(25)])).content, Response).id

    def page(query: str) -> tuple[int, str | None, str | None, bool]:
        listed = send_request("asyncio", app, method="GET", path=f"/v1/responses/{name}/input_items{query}").json
        assert listed["object"] == "list"
        return len(listed["data"]), listed["first_id"], listed["last_id"], listed["has_more"]

    assert page("") == (20, "msg_24", "msg_5", True)
    assert page("?after=msg_5") == (5, "msg_4", "msg_0", False)
    assert page("?order=asc&limit=25&include=a") == (25, "msg_0", "msg_24", False)
    assert page("?order=asc&limit=3&after=msg_20") == (3, "msg_21", "msg_23", True)
    assert page("?after=msg_0") == (0, None, None, False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("order=down", "order"),
        ("after=msg_nowhere", "after"),
    ],
)
def test_invalid_page_parameters_are_refused(query: str, param: str) -> None:
    app = ResponsesApp(Scripted())
    name = loads(send_request("asyncio", app, body()).content, Response).id
    client = send_request("asyncio", app, method="GET", path=f"/v1/responses/{name}/input_items?{query}")
    assert (client.status, client.error["param"]) == (400, param)


@both_loops
def test_abbreviated_input_is_listed_in_full(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            given = await client.create(model="m", input="hello")
            (item,) = [item async for item in client.input_items(given.id)]
            assert isinstance(item, Message)
            assert item.id
            assert (item.role, item.content, item.status) == ("user", [InputText(text="hello")], "completed")

            mixed: Sequence[Item | dict[str, Any]] = [
                {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
                FunctionCall(call_id="c", name="f", arguments="{}"),
                FunctionCallOutput(call_id="c", output="x"),
                {"type": "acme:note", "text": "t"},
            ]
            given = await client.create(model="m", input=mixed)
            message, call, output, note = [item async for item in client.input_items(given.id, order="asc")]
            assert isinstance(message, Message)
            assert message.content == [InputImage(file_id="f", detail="auto", image_url=None)]
            assert isinstance(call, FunctionCall)
            assert isinstance(output, FunctionCallOutput)
            assert (call.status, output.status) == ("completed", "completed")
            assert isinstance(note, UnknownItem)
            assert isinstance(note.raw, dict)
            assert note.raw["text"] == "t"
            assert len({message.id, call.id, output.id, str(note.raw["id"])}) == 4

    run(backend, main)


@both_loops
def test_input_items_exclude_the_history(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            first = await client.create(model="m", input="one")
            second = await client.create(model="m", input="two", previous_response_id=first.id)
            listed = [item async for item in client.input_items(second.id)]
            assert [item.text for item in listed if isinstance(item, Message)] == ["two"]

    run(backend, main)


@both_loops
def test_an_item_reference_is_resolved(backend: str) -> None:
    seen: list[str] = []

    async def handler(request: CreateResponse, reply: Reply) -> None:
        seen[:] = [item.text for item in reply.context if isinstance(item, Message)]
        await Scripted()(request, reply)

    async def main() -> None:
        async with connected(ResponsesApp(handler)) as client:
            first = await client.create(model="m", input=users(1))
            answer = first.output[0]
            assert isinstance(answer, Message)
            assert answer.id
            references = [ItemReference(id="msg_0"), ItemReference(id=answer.id)]
            again = await client.create(model="m", input=[*references, {"role": "user", "content": "and now?"}])
            assert seen == ["number 0", "number 0", "and now?"]
            assert [item.type async for item in client.input_items(again.id)] == ["message"] * 3
            await client.create(model="m", input=[ItemReference(id="msg_0")], previous_response_id=first.id)
            assert seen == ["number 0", "number 0"]  # what is in the history is not said twice
            with pytest.raises(NotFoundError) as refused:
                await client.create(model="m", input=[ItemReference(id="msg_nowhere")])
            assert refused.value.param == "input[0].id"

    run(backend, main)


@both_loops
def test_an_output_may_belong_to_a_call_in_the_history(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            first = await client.create(
                model="m", input="x", tools=[{"type": "function", "name": "f", "parameters": {}, "strict": False}]
            )
            (call,) = first.function_calls
            output = FunctionCallOutput(call_id=call.call_id, output="sunny")
            second = await client.create(model="m", input=[output], previous_response_id=first.id)
            assert second.output_text == "The tool says: sunny"
            with pytest.raises(BadRequestError, match=f"call_id {call.call_id}") as refused:
                await client.create(model="m", input=[output])
            assert refused.value.param == "input"

    run(backend, main)


# ---- compacting and counting


@both_loops
def test_a_compacted_history_keeps_its_content(backend: str) -> None:
    seen: list[list[Item]] = []

    async def handler(request: CreateResponse, reply: Reply) -> None:
        seen.append([*reply.context])
        await Scripted()(request, reply)

    async def main() -> None:
        async with connected(ResponsesApp(handler)) as client:
            first = await client.create(model="m", input="the code is 7")
            second = await client.create(model="m", input="and the colour is red", previous_response_id=first.id)
            short = await client.compact(model="m", previous_response_id=second.id)
            assert [item.type for item in short.output] == ["message", "message", "compaction"]
            assert short.usage.total_tokens == short.usage.input_tokens + short.usage.output_tokens > 0
            third = await client.create(model="m", input=[*short.output, *users(1)])
            await client.create(model="m", input="again", previous_response_id=third.id)

    run(backend, main)
    assert [item.text for item in seen[2] if isinstance(item, Message)] == [
        "the code is 7",
        "the code is 7",
        "and the colour is red",
        "and the colour is red",
        "number 0",
    ]
    assert seen[3][:5] == seen[2]


@pytest.mark.parametrize(
    ("path", "content", "param", "code"),
    [
        ("compact", b'{"input": "x"}', "model", "missing_required_parameter"),
        ("compact", b'{"model": null, "input": "x"}', "model", "missing_required_parameter"),
        ("compact", b'{"model": "m"}', "input", "missing_required_parameter"),
        ("compact", b'{"model": "m", "inputs": "x"}', "inputs", "unknown_parameter"),
        (
            "compact",
            b'{"model": "m", "previous_response_id": "r"}',
            "previous_response_id",
            "previous_response_not_found",
        ),
        ("input_tokens", b'{"model": "m", "input": 5}', "input", "invalid_type"),
        ("input_tokens", b'{"model": "m", "instruction": "x"}', "instruction", "unknown_parameter"),
        ("input_tokens", b"x", None, None),
    ],
)
def test_errors_of_compact_and_count(path: str, content: bytes, param: str | None, code: str | None) -> None:
    client = send_request("asyncio", ResponsesApp(Scripted()), content, path=f"/v1/responses/{path}")
    assert (client.status, client.error["param"], client.error["code"]) == (400, param, code)


@both_loops
def test_count_counts_the_words_of_the_context(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Scripted())) as client:
            assert (await client.count_input_tokens(input="one two three")).input_tokens == 3
            given = await client.create(model="m", input="one two")
            counted = await client.count_input_tokens(
                model="m", input="three", instructions="Be brief.", previous_response_id=given.id
            )
            assert counted.input_tokens == 2 + 2 + 1 + 2

    run(backend, main)


class Model:
    """A handler that compacts and counts itself."""

    async def __call__(self, _request: CreateResponse, reply: Reply) -> None:
        await reply.complete()

    async def compact(self, _request: object, context: Sequence[Item]) -> Sequence[Item]:
        return [Message(role="developer", content=f"There were {len(context)} items.")]

    async def count(self, _request: object, context: Sequence[Item]) -> int:
        return 1000 * len(context)


@both_loops
def test_a_handler_may_compact_and_count_itself(backend: str) -> None:
    async def main() -> None:
        async with connected(ResponsesApp(Model())) as client:
            (summary,) = (await client.compact(model="m", input=users(3))).output
            assert isinstance(summary, Message)
            assert (summary.text, bool(summary.id)) == ("There were 3 items.", True)
            assert (await client.count_input_tokens(model="m", input=users(3))).input_tokens == 3000

    run(backend, main)
