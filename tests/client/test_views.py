"""Other ways to read a stream than event by event."""

from __future__ import annotations

from typing import Any

import pytest
from tests.streams import Wire, numbered, plain, wire
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import LocalProtocolError, StreamInterrupted, UsageError
from responses_proto.models.events import Event, OutputTextDelta, OutputTextDone, ResponseCompleted, UnknownEvent
from responses_proto.testing import Answer, FakeServer, Fault, Reset

HELLO = Answer.events(plain(["Hel", "lo"]))
BEGUN = wire(plain(["Hel"], last=None))


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    return ResponsesClient(server.url, **options)


@both_loops
def test_events_of_some_kinds_only(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                deltas = [event.delta async for event in stream.events(OutputTextDelta)]
                assert deltas == ["Hel", "lo"]
                assert (await stream.result()).output_text == "Hello"
            async with c.stream(model="m", input="x") as stream:
                kinds = [
                    event.type
                    async for event in stream.events("response.created", OutputTextDone, "response.completed")
                ]
                assert kinds == ["response.created", "response.output_text.done", "response.completed"]
            async with c.stream(model="m", input="x") as stream:
                assert len([event async for event in stream.events()]) == len(plain(["Hel", "lo"]))

    run(backend, test)


@both_loops
def test_one_view_continues_where_another_stopped(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server) as c, c.stream(model="m", input="x") as stream:
            async for text in stream.text_deltas():
                assert text == "Hel"
                break
            assert isinstance(await anext(stream), OutputTextDelta)
            rest = [event async for batch in stream.batches() for event in batch]
            assert isinstance(rest[-1], ResponseCompleted)
            assert [text async for text in stream.text_deltas()] == []

    run(backend, test)


@both_loops
def test_a_batch_holds_the_events_of_one_read(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.events(plain("ab")).with_faults(Fault.delayed(0.005))) as server,
            client(server) as c,
            c.stream(model="m", input="x") as stream,
        ):
            batches = [batch async for batch in stream.batches()]
            assert all(batches)
            assert len(batches) > 1
            assert [event.type for batch in batches for event in batch] == [event["type"] for event in plain("ab")]
        async with FakeServer(HELLO) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                assert "".join([text async for text in stream.text_deltas()]) == "Hello"
            with pytest.raises(LocalProtocolError, match="closed"):
                await anext(stream.batches())

    run(backend, test)


@both_loops
def test_views_raise_what_iterating_raises(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Answer.stream(BEGUN, Reset())) as server,
            client(server) as c,
            c.stream(model="m", input="x") as stream,
        ):
            texts = stream.text_deltas()
            assert await anext(texts) == "Hel"
            for _ in range(2):
                with pytest.raises(StreamInterrupted):
                    await anext(texts)

    run(backend, test)


@both_loops
def test_events_can_be_selected_by_an_unknown_name(backend: str) -> None:
    async def test() -> None:
        first, *rest = plain(["Hel", "lo"])
        ping: Wire = {"type": "acme:ping", "n": 1}
        async with (
            FakeServer(Answer.events([first, ping, *rest])) as server,
            client(server) as c,
            c.stream(model="m", input="x") as stream,
        ):
            found: list[Event] = [event async for event in stream.events("acme:ping")]
            assert [type(event) for event in found] == [UnknownEvent]

    run(backend, test)


@both_loops
def test_a_misspelt_kind_is_refused_and_a_providers_own_is_not(backend: str) -> None:
    async def test() -> None:
        listed = [*plain(last=None), {"type": "acme:output"}, *plain()[-1:]]
        async with (
            FakeServer(Answer.events(numbered(listed))) as server,
            client(server) as c,
            c.stream(model="m", input="x") as stream,
        ):
            with pytest.raises(UsageError, match=r"did you mean 'response\.completed'"):
                stream.events("response.complete")
            assert [event.type async for event in stream.events("acme:output")] == ["acme:output"]

    run(backend, test)
