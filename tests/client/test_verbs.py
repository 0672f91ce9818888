"""A request is refused by the method that it is not for, with the name of the one that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from tests.streams import plain, saying

from responses_proto import CreateResponse, ResponsesClient, function_tool
from responses_proto.client._verbs import with_developer_role, with_stream
from responses_proto.exceptions import UsageError
from responses_proto.models import UNSET, Message, StreamOptions
from responses_proto.testing import Answer, FakeServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.client._verbs import Verb

FORMS: dict[str, Callable[[dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "keywords": lambda fields: ((), {"model": "m", **fields}),
    "a dict": lambda fields: (({"model": "m", **fields},), {}),
    "a model": lambda fields: ((CreateResponse(model="m", **fields),), {}),
    "extra": lambda fields: ((), {"model": "m", "extra": fields}),
    "a model and keywords": lambda fields: ((CreateResponse(model="m"),), fields),
}
TOOLLESS: tuple[Verb, ...] = ("create", "parse", "stream")


def roll(sides: int) -> int:
    """Roll a die."""
    return sides


WRONG: list[tuple[Verb, dict[str, Any], str]] = [
    ("create", {"stream": True}, r"client\.stream"),
    ("create", {"stream": 1}, r"client\.stream"),
    ("create", {"stream_options": {"include_obfuscation": False}}, r"client\.stream"),
    ("parse", {"stream": True}, r"client\.stream\(\.\.\., output=T\)"),
    ("parse", {"stream_options": {}}, r"client\.stream"),
    ("parse", {"background": True}, r"client\.wait"),
    ("stream", {"stream": False}, r"client\.create"),
    ("run", {"stream": False}, "leave out"),
    *(
        (verb, {"tools": [tool]}, r"client\.run\(\.\.\.\), or .*definitions")
        for verb in TOOLLESS
        for tool in (len, function_tool(roll))
    ),
]


async def call(client: ResponsesClient, verb: Verb, arguments: Any, keywords: Any) -> None:
    done = getattr(client, verb)(*([int] if verb == "parse" else []), *arguments, **keywords)
    if verb in ("create", "parse"):
        await done


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("verb", "fields", "told"), WRONG)
def test_a_field_of_another_verb_is_refused_before_anything_is_sent(
    verb: Verb, fields: dict[str, Any], told: str, form: Any
) -> None:
    async def test() -> None:
        arguments, keywords = form(fields)
        async with FakeServer("Hello") as server, ResponsesClient(server.url, http_client=server.transport) as client:
            with pytest.raises(UsageError, match=told):
                await call(client, verb, arguments, keywords)
            assert server.requests == []

    anyio.run(test)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("streams", [False, True])
def test_an_explicit_false_is_sent_and_a_stream_is_read_all_the_same(form: Any, streams: bool) -> None:
    async def test() -> None:
        answer = Answer.events(plain(["4", "2"])) if streams else Answer.json(saying("42"))
        arguments, keywords = form({"stream": False})
        async with FakeServer(answer) as server, ResponsesClient(server.url, http_client=server.transport) as client:
            assert (await client.create(*arguments, **keywords)).output_text == "42"
            assert "value=42" in repr(await client.parse(int, *arguments, **keywords))
            assert [request.json.get("stream") for request in server.requests] == [False, False]
            await client.create(model="m")
            assert "stream" not in server.requests[-1].json

    anyio.run(test)


def test_nothing_of_the_callers_is_changed() -> None:
    wire = {"model": "m", "stream": None, "input": [{"role": "developer", "content": "x"}]}
    assert with_stream(wire, "stream") == {**wire, "stream": True}
    with_developer_role(wire, "system")
    assert wire == {"model": "m", "stream": None, "input": [{"role": "developer", "content": "x"}]}
    model = CreateResponse(model="m", stream=True, stream_options=StreamOptions())
    assert with_stream(model, "stream") == model
    assert with_stream(CreateResponse(model="m"), "create").stream is UNSET


def test_developer_messages_get_the_role_that_the_provider_knows() -> None:
    items = [
        Message(role="developer", content="a"),
        {"role": "developer", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    roles = ["system", "system", "user"]
    contents: list[Any] = [{"input": items}, CreateResponse(input=cast("Any", items))]
    for content in contents:
        changed: Any = with_developer_role(content, "system")
        sent = cast("list[Any]", changed.input if isinstance(changed, CreateResponse) else changed["input"])
        assert [item.role if isinstance(item, Message) else item["role"] for item in sent] == roles
        assert with_developer_role(content, "developer") is content
    assert with_developer_role({"input": "developer"}, "system") == {"input": "developer"}


def test_the_hugging_face_dialect_sends_them_as_system() -> None:
    async def test() -> None:
        async with FakeServer("Hello") as server:
            client = ResponsesClient(server.url, "k", http_client=server.transport, dialect="huggingface")
            item = {"role": "developer", "content": "Be brief."}
            await client.create(model="m", input=[item])
            async with client.stream({"model": "m", "input": [item]}) as stream:
                await stream.result()
            async with client.run(model="m", input=[item]) as run:
                await run.result()
            assert [request.json["input"][0]["role"] for request in server.requests] == ["system"] * 3

    anyio.run(test)
