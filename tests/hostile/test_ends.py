"""Streams that end too early, after each event in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.engines import connect, everywhere, run_on

from responses_proto.exceptions import StreamInterrupted, StreamTruncated, TransportError
from responses_proto.testing import Answer, FakeServer, Fault, Script

if TYPE_CHECKING:
    from responses_proto import EventStream

TEXT = "One two three."
KINDS = [event["type"] for event in Answer.text(TEXT).draft().events or []]


def text_after(number: int) -> str:
    """Return the text up to the event of this number."""
    return "".join(["One", " two", " three."][: KINDS[: number + 1].count("response.output_text.delta")])


@everywhere
def test_a_stream_that_ends_after_any_event_has_what_came_until_then(engine: str) -> None:
    async def test() -> None:
        ends = [Answer.text(TEXT).with_faults(Fault.eof(after=number)) for number in range(len(KINDS) - 1)]
        async with FakeServer(Script(*ends)) as server, connect(engine, server) as client:
            for number in range(len(ends)):
                async with client.stream(model="m", input="x") as stream:
                    assert [event.type async for event in stream] == KINDS[: number + 1]
                    with pytest.raises(StreamTruncated) as caught:
                        await stream.result()
                assert caught.value.response is not None
                assert caught.value.response.output_text == text_after(number)
                assert caught.value.cursor is not None
                assert caught.value.cursor.sequence_number == number

    run_on(engine, test)


async def collect(stream: EventStream, seen: list[str]) -> None:
    async for event in stream:
        seen.append(event.type)  # noqa: PERF401 - what came before an error is of interest too


@everywhere
def test_a_stream_that_breaks_after_any_event_has_what_came_until_then(engine: str) -> None:
    async def test() -> None:
        ends = [Answer.text(TEXT).with_faults(Fault.reset(after=number)) for number in range(len(KINDS) - 1)]
        async with FakeServer(Script(*ends)) as server, connect(engine, server) as client:
            for number in range(len(ends)):
                seen: list[str] = []
                async with client.stream(model="m", input="x") as stream:
                    with pytest.raises(TransportError) as caught:
                        await collect(stream, seen)
                    with pytest.raises(type(caught.value)):
                        await stream.result()
                assert seen == KINDS[: number + 1]
                error = caught.value
                assert isinstance(error, StreamInterrupted) == ("response.output_item.added" in seen)
                assert (error.retry_safety, error.cursor) == ("unsafe", stream.cursor)
                assert error.response is not None
                assert error.response.output_text == text_after(number)
                if isinstance(error, StreamInterrupted):
                    assert isinstance(error.__cause__, TransportError)
            assert len(server.requests) == len(ends)

    run_on(engine, test)


@everywhere
def test_a_body_cut_at_any_byte_is_the_same_stream(engine: str) -> None:
    size = sum(len(step) for step in Answer.text(TEXT).draft().steps if isinstance(step, bytes))

    async def test() -> None:
        cuts = range(1, size, 97)
        answers = [Answer.text(TEXT).with_faults(Fault.split_at(cut)) for cut in cuts]
        async with FakeServer(Script(*answers)) as server, connect(engine, server) as client:
            for _ in cuts:
                async with client.stream(model="m", input="x") as stream:
                    assert [event.type async for event in stream] == KINDS
                    assert stream.anomalies == []

    run_on(engine, test)
