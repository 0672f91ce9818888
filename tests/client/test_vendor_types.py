"""Classes of a vendor's, registered in a converter that is given to the client, the server and the fake server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import httpx
import pytest
from tests.sockets import session_with
from tests.streams import done, ending, numbered, opening, plain
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.codec import default_converter, make_converter
from responses_proto.exceptions import BadRequestError, UsageError
from responses_proto.models import Event, Item, Model, model
from responses_proto.models.items import Message, UnknownItem
from responses_proto.server import ResponsesApp, SQLiteStore
from responses_proto.testing import Answer, FakeServer, Script

if TYPE_CHECKING:
    from pathlib import Path

    from responses_proto.codec import Converter
    from responses_proto.models.request import CreateResponse
    from responses_proto.models.response import Response
    from responses_proto.server import Reply


@model
class AcmeSearch(Model):
    type: ClassVar[Literal["acme:search"]] = "acme:search"
    id: str
    query: str
    status: str


@model
class AcmeProgress(Model):
    type: ClassVar[Literal["acme:progress"]] = "acme:progress"
    sequence_number: int
    percent: int


SEARCH = {"type": "acme:search", "id": "s_1", "query": "cats", "status": "completed"}
EVENTS = numbered(
    [*opening(), {"type": "acme:progress", "percent": 50}, done(0, SEARCH), ending([SEARCH])],
)


def acme() -> Converter:
    converter = make_converter()
    converter.register(AcmeSearch, Item)
    converter.register(AcmeProgress, Event)
    return converter


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    options = {"converter": acme(), "retry": RetryPolicy(attempts=1), **options}
    return ResponsesClient(server.url, "k", **options)


def kinds(response: Response) -> list[type[object]]:
    return [type(item) for item in response.output]


@both_loops
def test_the_client_decodes_with_its_converter(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(EVENTS)) as server, client(server) as c:
            async with c.stream(model="m", input="q") as stream:
                events = [event async for event in stream]
            assert [event.percent for event in events if isinstance(event, AcmeProgress)] == [50]
            assert list[object](stream.response.output) == [AcmeSearch(id="s_1", query="cats", status="completed")]
            for response in (await c.create(model="m", input="q"), await c.retrieve("resp_1")):
                assert kinds(response) == [AcmeSearch]
            async with c.run(model="m", input="q") as loop:
                result = await loop.result()
            assert kinds(result.response) == [AcmeSearch]
            request = await c.create(model="m", input=[*response.output, Message(role="user", content="more")])
            assert request.output
            assert server.requests[-1].json["input"][0] == SEARCH
        async with (
            FakeServer(Answer.events(EVENTS)) as server,
            session_with(server, converter=acme()) as session,
            session.stream(model="m", input="q") as stream,
        ):
            assert kinds(await stream.result()) == [AcmeSearch]

    run(backend, test)


@both_loops
def test_a_retried_and_a_resumed_stream_decode_with_it_too(backend: str) -> None:
    async def test() -> None:
        failure = numbered([*opening(), ending([], "failed", error={"code": "server_error", "message": "Busy."})])
        script = Script(Answer.events(failure), Answer.events(EVENTS[:-1]), Answer.events(EVENTS))
        policy = RetryPolicy(attempts=2, initial_delay=0)
        async with FakeServer(script) as server, client(server, retry=policy) as c:
            async with c.stream(model="m", input="q") as stream:
                assert any([isinstance(event, AcmeProgress) async for event in stream])
            async with c.resume(stream) as resumed:
                assert kinds(await resumed.result()) == [AcmeSearch]

    run(backend, test)


def test_without_a_converter_they_are_unknown() -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(EVENTS)) as server, client(server, converter=None) as c:
            assert kinds(await c.create(model="m", input="q")) == [UnknownItem]

    run("asyncio", test)


def test_a_converter_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"converter must be a Converter instance, got 'acme'"):
        ResponsesClient("http://localhost/v1", converter=cast("Any", "acme"))


@both_loops
@pytest.mark.parametrize("on_disk", [True, False])
def test_the_server_decodes_requests_and_what_is_stored(backend: str, tmp_path: Path, *, on_disk: bool) -> None:
    contexts: list[list[type[object]]] = []

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        contexts.append([type(item) for item in reply.context])
        async with reply.message() as message:
            await message.text("Hello.")

    async def test() -> None:
        store = SQLiteStore(tmp_path / "responses.db") if on_disk else None
        async with (
            ResponsesApp(handler, store=store, converter=acme()) as app,
            httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http_client,
            ResponsesClient("http://local/v1", "k", http_client=http_client, converter=acme()) as c,
        ):
            first = await c.create(model="m", input=[SEARCH, Message(role="user", content="q")])
            await c.create(model="m", input="more", previous_response_id=first.id)
            assert contexts == [[AcmeSearch, Message], [AcmeSearch, Message, Message, Message]]
            stored = await app.service.find(first.id)
            assert stored
            assert isinstance(stored.input[0], AcmeSearch)
            assert [type(item) async for item in c.input_items(first.id, order="asc")] == [AcmeSearch, Message]
            with pytest.raises(BadRequestError, match="query"):
                await c.create(model="m", input=[{**SEARCH, "query": 7}])

    run(backend, test)


@both_loops
def test_the_fake_server_shows_requests_as_models(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(EVENTS), converter=acme()) as server, client(server) as c:
            await c.create(model="m", input=cast("list[Item]", [acme().load(SEARCH, AcmeSearch)]))
            (request,) = server.requests
            assert request.create.model == "m"
            assert request.create.input
            assert isinstance(request.create.input[0], AcmeSearch)
        async with FakeServer(Answer.events(plain()), converter=acme()) as server, session_with(server) as session:
            async with session.stream(model="m", input=[SEARCH]) as stream:
                await stream.result()
            assert server.requests[-1].create.input
            assert isinstance(server.requests[-1].create.input[0], AcmeSearch)

    run(backend, test)


def test_a_converter_in_the_other_mode_has_the_same_classes() -> None:
    lenient = make_converter()
    strict = lenient.in_mode(strict=True)
    assert (lenient.strict, strict.strict) == (False, True)
    assert lenient.in_mode(strict=False) is lenient
    assert isinstance(strict.load(SEARCH, Item), UnknownItem)
    lenient.register(AcmeSearch, Item)
    assert isinstance(strict.load(SEARCH, Item), AcmeSearch)
    assert isinstance(strict.in_mode(strict=False).load(SEARCH, Item), AcmeSearch)
    assert default_converter().in_mode(strict=True) is default_converter(strict=True)
