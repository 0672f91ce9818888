"""What the client's methods take and give, in pyright and mypy alike. Checked by test_typing.py, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import attrs

from responses_proto import Cursor, EventStream, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client import CallFinished, Hooks, ResponseMeta, WebSocketSession, response_meta
from responses_proto.models import (
    CompactedResponse,
    CompactRequest,
    Conversation,
    ConversationItemList,
    CreateResponse,
    DeletedResponse,
    Event,
    InputTokenCount,
    Item,
    ModelInfo,
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ResponseCreateMessage,
    SteerAccepted,
    SteerPending,
)
from responses_proto.schema import Parsed, ParseResult
from responses_proto.typing import JSONValue

if TYPE_CHECKING:
    from responses_proto.exceptions import StreamInterrupted
    from responses_proto.typing import JSONObject


@attrs.frozen
class Point:
    """Two numbers."""

    x: int
    y: int


@attrs.frozen
class Line:
    """A name and points."""

    name: str
    points: list[Point]


def report(_end: CallFinished) -> None:
    """Take what a hook gets."""


async def every_endpoint_is_typed_both_ways(client: ResponsesClient, raw: JSONObject) -> None:
    assert_type(await client.create(model="m", input="x", background=True, timeouts=Timeouts(total=1)), Response)
    assert_type(await client.create(CreateResponse(model="m"), temperature=1.0), Response)
    assert_type(await client.create(raw, headers={"x": "y"}), Response)
    assert_type(await client.retrieve("r", include=["reasoning.encrypted_content"]), Response)
    assert_type(await client.wait("r", interval=1), Response)
    assert_type(await client.cancel("r"), Response)
    assert_type(await client.delete("r"), DeletedResponse)
    assert_type(await client.compact(model="m", input="x"), CompactedResponse)
    assert_type(await client.compact(CompactRequest(model="m")), CompactedResponse)
    assert_type(await client.compact(raw), CompactedResponse)
    assert_type(await client.count_input_tokens(model="m"), InputTokenCount)
    async for item in client.input_items("r", order="asc"):
        assert_type(item, Item)
    items = client.conversations.items
    assert_type(await client.conversations.create(items=[{"role": "user"}], metadata={"a": "b"}), Conversation)
    assert_type(await items.create("c", [raw]), ConversationItemList)
    assert_type(await items.retrieve("c", "i"), Item)


async def output_goes_back_into_a_conversation(client: ResponsesClient, response: Response) -> None:
    await client.conversations.items.create("c", response.output)
    await client.create(model="m", input=response.output)


async def streams_are_read_in_every_way(client: ResponsesClient, error: StreamInterrupted) -> None:
    async with client.stream(model="m", on_abandon="cancel_response") as stream:
        async for event in stream:
            assert_type(event, Event)
        async for delta in stream.events(OutputTextDelta):
            assert_type(delta, OutputTextDelta)
        async for either in stream.events(OutputTextDelta, ResponseCompleted):
            assert_type(either, OutputTextDelta | ResponseCompleted)
        async for named in stream.events("response.completed", OutputTextDelta):
            assert_type(named, Event)
        async for anything in stream.events():
            assert_type(anything, Event)
        async for text in stream.text_deltas():
            assert_type(text, str)
        async for batch in stream.batches():
            assert_type(batch, list[Event])
    for place in (stream, error, Cursor("r", 1)):
        resumed: EventStream = client.resume(place)
        assert_type(await resumed.result(), Response)


async def a_session_gives_the_streams_that_http_gives(client: ResponsesClient, raw: JSONObject, spoken: Item) -> None:
    async with client.connect(timeouts=Timeouts(connect=1), headers={"x": "y"}, keepalive=None) as session:
        assert_type(session, WebSocketSession)
        assert_type(session.stream(model="m", input=[spoken], stream_id="a", generate=False), EventStream)
        assert_type(session.stream(ResponseCreateMessage(model="m", stream_id="a"), temperature=1.0), EventStream)
        assert_type(session.stream(CreateResponse(model="m"), timeouts=Timeouts(total=1)), EventStream)
        async with session.stream(raw) as stream:
            assert_type(await session.steer(stream.response, [spoken, raw]), SteerAccepted)
            assert_type(await stream.result(), Response)
        assert_type(session.successor("resp_1"), EventStream)
        assert_type(session.pending, list[SteerPending])
        session.stream(model="m", background=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - over HTTP only
        session.stream(stream_id=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - leave it out


def what_a_client_is_made_of() -> None:
    ResponsesClient(retry=RetryPolicy(attempts=1), hooks=Hooks(on_outcome=report))
    ResponsesClient.for_provider("huggingface", retry=RetryPolicy(), hooks=Hooks(on_event=print))
    ResponsesClient().compact()  # type: ignore[call-overload] # pyright: ignore[reportCallIssue] - a model is required
    ResponsesClient().stream(on_abandon="ignore")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - no such way


async def output_is_typed_on_a_stream(client: ResponsesClient) -> None:
    async with client.stream(model="m", output=list[Point], strict=False) as stream:
        assert_type(stream, EventStream[list[Point]])
        async for point in stream.elements():
            assert_type(point, Point)
        async for named in stream.elements(Line):
            assert_type(named, Line)
        async for values in stream.partial():
            assert_type(values, list[JSONValue])
        assert_type(await stream.parse(), ParseResult[list[Point]])
        assert_type(await stream.parse(Line), ParseResult[Line])
        assert_type(client.resume(stream), EventStream[list[Point]])
    async with client.stream(model="m", output=Line) as line:
        async for value in line.partial():
            assert_type(value, JSONValue)
        match await line.parse():
            case Parsed(parsed):
                assert_type(parsed, Line)
            case _:
                pass
    async for text in client.stream(output=str).partial():
        assert_type(text, str)
    async for flag in client.stream(output=bool).partial():
        assert_type(flag, bool)
    async for member in client.stream(output=frozenset[int]).elements():
        assert_type(member, int)
    assert_type(await client.stream(model="m").parse(Line), ParseResult[Line])
    bare: EventStream = client.stream(output=Line)
    assert_type(await bare.result(), Response)


async def the_calls_of_every_day_are_typed(client: ResponsesClient, response: Response) -> None:
    assert_type(response_meta(response), ResponseMeta)
    assert_type(await client.models(), list[ModelInfo])
    assert_type(await client.request("GET", "files", extra_query={"limit": 2, "after": None}), JSONValue)
    assert_type(client.timeouts, Timeouts)
    assert_type(client.retry, RetryPolicy)
    await client.create(model="m", retry=RetryPolicy(attempts=1), extra_query={"a": ["b"]})

    async def key() -> str:
        return "k"

    ResponsesClient(api_key=key, bill_to="org")
    ResponsesClient(api_key=lambda: "k")
    ResponsesClient(api_key=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - neither a key nor a function
