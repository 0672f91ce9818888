"""The partial JSON values of a stream."""

from __future__ import annotations

import dataclasses
import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import attrs
import pydantic
import pytest
from tests.streams import ending, message_events, numbered, opening, plain, wire
from tests.structured_cases import Num
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import DecodeError, StreamInterrupted, UsageError
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


# ---- output=T


@dataclasses.dataclass(frozen=True)
class Step:
    title: str
    when: dt.date


@attrs.frozen
class Steps:
    name: str
    steps: list[Step]


class PydanticSteps(pydantic.BaseModel):
    name: str
    steps: list[Step]


class DictSteps(TypedDict):
    name: str
    steps: tuple[Step, ...]


@attrs.frozen
class TwoLists:
    numbers: list[int]
    steps: list[Step] | None


STEPS = [Step("a", dt.date(2026, 1, 2)), Step("b", dt.date(2026, 1, 3))]
WIRE = '[{"title": "a", "when": "2026-01-02"}, {"title": "b", "when": "2026-01-03"}]'
SHAPES: list[tuple[Any, Any, str]] = [
    (list[Step], None, f'{{"value": {WIRE}}}'),
    (list[Step], None, WIRE),  # from a server that does not enforce the schema
    (tuple[Step, ...], None, f'{{"value": {WIRE}}}'),
    (Annotated[list[Step], "in order"], None, f'{{"value": {WIRE}}}'),
    (Steps, None, f'{{"name": "n", "steps": {WIRE}}}'),
    (Steps, None, f'```json\n{{"steps": {WIRE}, "name": "n"}}\n```'),
    (PydanticSteps, None, f'{{"name": "n", "steps": {WIRE}}}'),
    (DictSteps, None, f'{{"name": "n", "steps": {WIRE}}}'),
    (TwoLists, Step, f'{{"numbers": [1, 2], "steps": {WIRE}}}'),
    (None, Step, f'{{"value": {WIRE}}}'),
    (None, Step, WIRE),
]


@asynccontextmanager
async def asking(output: Any, *deltas: str, **options: Any) -> AsyncGenerator[tuple[FakeServer, EventStream[Any]]]:
    async with (
        FakeServer(Answer.events(plain(deltas))) as server,
        ResponsesClient(server.url, http_client=server.transport) as c,
        c.stream(model="m", input="x", output=output, **options) as stream,
    ):
        yield server, stream


@both_loops
@pytest.mark.parametrize(("output", "of", "text"), SHAPES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_element_is_typed_and_there_as_soon_as_it_is_complete(
    backend: str, output: Any, of: Any, text: str, size: int
) -> None:
    async def test() -> None:
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        async with asking(output, *pieces) as (_, stream):
            found: list[Any] = []
            async for element in stream.elements(of):
                found.append(element)
                if size == 1:
                    seen = stream.response.output_text
                    assert seen.count("}") >= len(found)
                    assert len(seen) < len(text)
            assert found == STEPS
            if output is not None:
                assert isinstance(await stream.parse(), Parsed)

    run(backend, test)


@both_loops
def test_an_element_that_does_not_match_is_an_error_with_its_path_and_the_next_one_follows(backend: str) -> None:
    async def test() -> None:
        for output, text, path in (
            (list[int], '{"value": [1, "x", 3]}', "$[1]"),
            (Steps, '{"name": "n", "steps": [1, {"title": "a", "when": "x"}]}', "$.steps[0]"),
        ):
            async with asking(output, text) as (_, stream):
                elements = stream.elements()
                found: list[Any] = []
                errors: list[str] = []
                while True:
                    try:
                        found.append(await anext(elements))
                    except StopAsyncIteration:
                        break
                    except DecodeError as error:
                        errors.append(error.path)
                assert errors[0] == path
                assert len(found) + len(errors) == 3 - (output is Steps)
                assert isinstance(await stream.parse(), Invalid)

    run(backend, test)


@pytest.mark.parametrize(
    ("output", "of", "told"),
    [
        (None, None, r"elements\(T\)"),
        (int, None, "no list"),
        (TwoLists, None, "numbers, steps"),
        (TwoLists, str, "no list"),
    ],
)
def test_a_list_that_is_not_there_or_not_the_only_one_is_refused(output: Any, of: Any, told: str) -> None:
    stream = ResponsesClient("http://127.0.0.1:9/v1").stream(model="m", output=output)
    with pytest.raises(UsageError, match=told):
        stream.elements(of)


@both_loops
def test_the_request_asks_for_the_type_and_the_views_know_it(backend: str) -> None:
    async def test() -> None:
        for strict in (True, False):
            async with asking(list[int], '{"value": [1', ", 2]}", strict=strict) as (server, stream):
                assert await partials(stream) == [[], [1, 2]]
                assert await stream.parse() == Parsed([1, 2])
                sent = server.requests[0].json["text"]["format"]
                assert sent["type"] == "json_schema"
                assert sent["strict"] is strict
        async with asking(None, "1") as (_, stream):
            with pytest.raises(UsageError, match=r"output=T"):
                await stream.parse()
            assert await stream.parse(int) == Parsed(1)

    run(backend, test)


@both_loops
def test_elements_and_partial_values_take_in_what_others_have_read(backend: str) -> None:
    async def test() -> None:
        for view, expected in (("elements", [1, 2, 3]), ("partial", [[1], [1, 2], [1, 2, 3]])):
            async with asking(list[int], '{"value": [1, ', "2, ", "3, ", "4") as (_, stream):
                deltas = stream.text_deltas()
                assert await anext(deltas) == '{"value": [1, '
                assert [value async for value in getattr(stream, view)()][-1] == expected[-1]

    run(backend, test)
