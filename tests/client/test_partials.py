"""The partial JSON values of a stream."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.streams import ending, message_events, numbered, opening, plain, wire
from tests.structured_cases import Num
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import StreamInterrupted
from responses_proto.schema import Invalid, Parsed
from responses_proto.testing import Answer, FakeServer, Reset

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.streams import Wire

    from responses_proto import EventStream


@asynccontextmanager
async def streaming(*deltas: str) -> AsyncGenerator[EventStream]:
    async with (
        FakeServer(Answer.events(plain(deltas))) as server,
        ResponsesClient(server.url) as c,
        c.stream(model="m", input="x") as stream,
    ):
        yield stream


async def partials(stream: EventStream, output: Any = None) -> list[Any]:
    return [value async for value in stream.partial(output)]


@both_loops
def test_partial_values_follow_the_text_and_parse_returns_the_typed_value(backend: str) -> None:
    async def test() -> None:
        async with streaming('{"na', 'me": "F', "air", '", "tags": [', '"a"', ", ", '"b', '"]}') as stream:
            assert await partials(stream) == [
                {},
                {"name": "F"},
                {"name": "Fair"},
                {"name": "Fair", "tags": []},
                {"name": "Fair", "tags": ["a"]},
                {"name": "Fair", "tags": ["a", "b"]},
            ]
            assert isinstance(await stream.parse(Num), Invalid)

    run(backend, test)


@both_loops
def test_partial_values_are_unwrapped(backend: str) -> None:
    async def test() -> None:
        async with streaming("```json\n", '{"value": [1', ", 2", "]}", "\n```") as stream:
            assert await partials(stream, list[int]) == [[], [1], [1, 2]]
            assert await stream.parse(list[int]) == Parsed([1, 2])

    run(backend, test)


@both_loops
def test_text_that_is_not_json_has_no_partial_values(backend: str) -> None:
    async def test() -> None:
        async with streaming("Well, ", "I would rather ", "talk.") as stream:
            assert await partials(stream) == []
            assert (await stream.result()).output_text == "Well, I would rather talk."

    run(backend, test)


@both_loops
def test_a_value_that_was_yielded_is_not_changed(backend: str) -> None:
    async def test() -> None:
        async with streaming('{"a": [1', ", 2", ", 3]}") as stream:
            kept = [(value, repr(value)) async for value in stream.partial()]
            assert [repr(value) for value, _ in kept] == [shown for _, shown in kept]

    run(backend, test)


@both_loops
def test_a_broken_connection_is_raised(backend: str) -> None:
    async def test() -> None:
        broken = Answer.stream(wire(plain(['{"a": "b"', ","], last=None)), Reset())
        async with (
            FakeServer(broken) as server,
            ResponsesClient(server.url) as c,
            c.stream(model="m", input="x") as stream,
        ):
            values = stream.partial()
            assert await anext(values) == {"a": "b"}
            with pytest.raises(StreamInterrupted):
                await anext(values)

    run(backend, test)


def with_commentary(note: str, *deltas: str, phase: str | None = "final_answer", closers: bool = True) -> list[Wire]:
    """Return a response that is a commentary and an answer."""
    said: list[Wire] = []
    for index, (text, named) in enumerate((([note[:3], note[3:]], "commentary"), (deltas, phase))):
        events = message_events(index, f"msg_{index}", text)
        for event in events:
            if "item" in event and named:
                event["item"]["phase"] = named
        said += events if closers else [event for event in events if "delta" not in event]
    return numbered([*opening(), *said, ending([])])


@both_loops
@pytest.mark.parametrize("note", ['{"number": 1}', "I look.", "", '{"number": 3}', "```json\n{}\n```", "[1, 2]"])
@pytest.mark.parametrize("phase", ["final_answer", None])
def test_a_commentary_does_not_show_in_partial_values(backend: str, note: str, phase: str | None) -> None:
    async def test() -> None:
        for closers in (True, False):
            listed = with_commentary(note, '{"num', 'ber": 3', "}", phase=phase, closers=closers)
            async with (
                FakeServer(Answer.events(listed)) as server,
                ResponsesClient(server.url) as c,
                c.stream(model="m", input="x") as stream,
            ):
                assert await partials(stream) == ([{}, {"number": 3}] if closers else [{"number": 3}])
                assert await stream.parse(Num) == Parsed(Num(3))

    run(backend, test)


@both_loops
def test_partial_values_of_a_text_that_comes_without_deltas(backend: str) -> None:
    async def test() -> None:
        listed = [event for event in plain(['{"number": 3}']) if "delta" not in event]
        for kept in (listed, [*listed[:2], listed[-1]]):
            async with (
                FakeServer(Answer.events(numbered(kept))) as server,
                ResponsesClient(server.url) as c,
                c.stream(model="m", input="x") as stream,
            ):
                assert await partials(stream) == [{"number": 3}]

    run(backend, test)
