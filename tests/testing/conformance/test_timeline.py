"""A timeline shows items, deltas, silences and faults, and is as small for a long stream as for a short one."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from responses_proto.models.items import FunctionCall
from responses_proto.testing import Answer
from responses_proto.testing.conformance.timeline import BINS, Recording, Timeline, timeline


def frames(*, answer: Answer | None = None) -> list[bytes]:
    call = FunctionCall(id="fc_1", call_id="call_1", name="get_weather", arguments='{"city": "Paris"}')
    answer = answer or Answer.items("One two three.", call)
    return [step for step in answer.to_wire().steps if isinstance(step, bytes)]


def recorded(*times: float) -> Recording:
    """Return a recording whose frames come at these times; the last one is for all that follow."""
    pieces = frames()
    return Recording("r", tuple((times[min(number, len(times) - 1)], piece) for number, piece in enumerate(pieces)))


def test_items_are_bars() -> None:
    line = timeline(recorded(*(number / 10 for number in range(30))))
    assert (line.unit, line.status, line.findings) == ("s", "completed", ())
    message, call = line.items
    assert message.label == "0 message assistant"
    assert call.label == "1 function_call get_weather"
    assert 0 < message.start < message.end < call.start < call.end < line.duration
    assert message.done
    assert call.done
    assert message.characters == len("One two three.")
    assert sum(message.density) == message.deltas == 3
    assert len(message.density) == BINS
    assert line.first_event == 0
    assert line.first_delta is not None
    assert message.start < line.first_delta < message.end
    assert [kind for _, kind in line.marks] == ["response.created", "response.in_progress", "response.completed"]


def test_silences_are_gaps() -> None:
    line = timeline(recorded(0.0, 0.1, 0.2, 5.0))
    (gap,) = line.gaps
    assert (gap.start, gap.end) == (0.2, 5.0)
    assert gap.length == pytest.approx(4.8)


def test_without_times_the_events_are_counted() -> None:
    line = timeline(Recording("r", ((None, b"".join(frames())),)))
    assert (line.unit, line.gaps) == ("events", ())
    assert line.duration == line.events - 1


def test_faults_are_found_where_they_are() -> None:
    pieces = frames()
    broken = [piece for piece in pieces if b"output_item.done" not in piece]
    line = timeline(Recording("r", tuple((float(number), piece) for number, piece in enumerate(broken))))
    assert not any(item.done for item in line.items)
    assert "item-unfinished" in {finding.rule for finding in line.findings}
    assert {at for at, rule in line.flaws if rule == "item-unfinished"} == {line.duration}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"data: nonsense\n\n",
        b"data: [1]\n\n",
        b"data: {}",
        b"<html>",
        b'data: {"type": 5, "output_index": {}}\n\n',
    ],
)
def test_anything_has_a_timeline(body: bytes) -> None:
    line = timeline(Recording("r", ((0.0, body),)))
    assert line.status == "truncated"
    assert line.events <= 1


def long(events: int) -> Recording:
    """Return a stream of many deltas, items and faults."""

    def frame(number: int, **event: Any) -> bytes:
        return b"data: " + json.dumps({"sequence_number": number, **event}).encode() + b"\n\n"

    pieces = [
        frame(number, type="response.output_text.delta", output_index=number % 50, content_index=0, item_id=f"i{number % 50}", delta="word ")
        for number in range(events)
    ]  # fmt: skip
    return Recording("long", tuple((number / 100, piece) for number, piece in enumerate(pieces)))


def size(line: Timeline) -> int:
    return len(json.dumps(attrs.asdict(line)))


def test_a_long_stream_has_a_small_timeline() -> None:
    short, big = timeline(long(5_000)), timeline(long(20_000))
    assert (big.events, len(big.items), big.more_items) == (20_000, 40, 10)
    assert len(big.findings) <= 50
    assert size(big) < 1.3 * size(short)
