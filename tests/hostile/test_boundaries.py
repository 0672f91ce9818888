"""Streams of a background response that break after each event in turn, and are resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.hostile.engines import connect, everywhere, run_on
from tests.streams import plain, wire

from responses_proto import Cursor
from responses_proto.models.events import Event, UnknownEvent
from responses_proto.testing import Answer, Close, FakeServer, ServerExchange

if TYPE_CHECKING:
    from tests.streams import Wire


def background(length: int) -> list[Wire]:
    listed = plain([f"{number} " for number in range(length - 8)], background=True)
    assert len(listed) == length
    return listed


def number(event: Event) -> int:
    assert not isinstance(event, UnknownEvent)
    assert isinstance(event.sequence_number, int)
    return event.sequence_number


@everywhere
@pytest.mark.parametrize(("overlap", "bare"), [(0, False), (3, False), (0, True)])
def test_resuming_at_every_event_boundary_gives_the_identical_snapshot(
    engine: str,
    overlap: int,
    bare: bool,
) -> None:
    listed = background(200)
    if bare:  # some servers say nothing of the output again: it is only in what was streamed, before and after
        listed[-1]["response"]["output"] = []

    async def test() -> None:
        at = 0

        def script(peer: ServerExchange) -> Answer:
            if peer.request.method == "POST":
                return Answer.stream(wire(listed[:at]), Close())
            assert dict(peer.request.query)["starting_after"] == str(at - 1)
            return Answer.stream(wire(listed[max(at - overlap, 0) :]))

        async with FakeServer(script) as server, connect(engine, server) as c:
            whole_stream = at = len(listed)
            async with c.stream(model="m", input="x", background=True) as stream:
                expected = await stream.result()
            assert expected.output_text == "".join(f"{number} " for number in range(192))
            for boundary in range(1, whole_stream):
                at = boundary
                seen: list[int] = []
                async with c.stream(model="m", input="x", background=True) as first:
                    seen += [number(event) async for event in first]
                async with c.resume(first) as second:
                    seen += [number(event) async for event in second]
                    assert await second.result() == expected
                assert seen == list(range(whole_stream))
                assert second.cursor == Cursor("resp_1", whole_stream - 1)

    run_on(engine, test)
