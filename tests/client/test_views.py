"""Other ways to read a stream than event by event."""

from __future__ import annotations

from typing import Any

import pytest
from tests.streams import Wire, ending, message_events, numbered, opening, plain, wire
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import LocalProtocolError, StreamInterrupted, UsageError
from responses_proto.models.events import Event, OutputTextDelta, OutputTextDone, ResponseCompleted, UnknownEvent
from responses_proto.testing import Answer, FakeServer, Fault, Reset, Script

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
def test_a_text_that_comes_without_deltas_is_yielded_when_it_comes(backend: str) -> None:
    async def test() -> None:
        events = plain(["Hel", "lo"])
        no_deltas = numbered([event for event in events if "delta" not in event])
        half = numbered([event for event in events if event.get("delta") != "lo"])
        for listed, expected in ((no_deltas, ["Hello"]), (half, ["Hel", "lo"]), (events, ["Hel", "lo"])):
            for body in (Answer.events(listed), Answer.stream(wire(listed))):
                async with FakeServer(body) as server, client(server) as c, c.stream(model="m", input="x") as stream:
                    assert [text async for text in stream.text_deltas()] == expected
                    assert (await stream.result()).output_text == "Hello"
        async with (
            FakeServer(Answer.json(events[-1]["response"])) as server,
            client(server) as c,
            c.stream(model="m", input="x") as stream,
        ):
            assert [text async for text in stream.text_deltas()] == ["Hello"]

    run(backend, test)


@both_loops
def test_text_deltas_continue_what_other_views_have_read(backend: str) -> None:
    async def test() -> None:
        events = plain(["Hel", "lo"])
        for body in (Answer.events(events), Answer.stream(wire(events))):
            for consumed in range(1, len(events)):
                async with FakeServer(body) as server, client(server) as c, c.stream(model="m", input="x") as stream:
                    told = "".join([getattr(await anext(stream), "delta", "") for _ in range(consumed)])
                    first = [text async for text in stream.text_deltas()]
                    assert told + "".join(first) == "Hello"
                    assert [text async for text in stream.text_deltas()] == []

    run(backend, test)


@both_loops
def test_text_deltas_of_a_resumed_stream_are_those_that_follow(backend: str) -> None:
    async def test() -> None:
        events = plain(["Hel", "lo"], background=True)
        for cut in range(1, len(events)):
            told = "".join(event.get("delta", "") for event in events[:cut])
            script = Script(Answer.events(events[:cut]), Answer.events(events))
            async with FakeServer(script) as server, client(server) as c:
                async with c.stream(model="m", input="x", background=True) as stream:
                    assert "".join([text async for text in stream.text_deltas()]) == told
                cursor = stream.cursor
                assert cursor
                async with c.resume(stream) as resumed:
                    assert told + "".join([text async for text in resumed.text_deltas()]) == "Hello"
                async with c.resume(cursor) as fresh:
                    assert told + "".join([text async for text in fresh.text_deltas()]) == "Hello"

    run(backend, test)


@both_loops
def test_text_deltas_of_some_messages(backend: str) -> None:
    async def test() -> None:
        said: list[Wire] = []
        for index, phase in enumerate(("commentary", "final_answer")):
            about = {"phase": phase, "agent": {"agent_name": f"/{phase}"}}
            events = message_events(index, f"msg_{index}", [phase])
            said += [{**event, "item": {**event["item"], **about}} if "item" in event else event for event in events]
        listed = numbered([*opening(), *said, ending([])])
        async with FakeServer(Answer.events(listed)) as server, client(server) as c:
            for phase in ("commentary", "final_answer"):
                for chosen in ({"phase": phase}, {"agent": f"/{phase}"}):
                    async with c.stream(model="m", input="x") as stream:
                        assert [text async for text in stream.text_deltas(**chosen)] == [phase]

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
