"""Which text of a stream is the answer, and what it costs to follow it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.streams import message_events, numbered, plain, text_delta

from responses_proto.codec import load
from responses_proto.models import Event as StreamEvent
from responses_proto.schema.structured import PartialOutput
from responses_proto.typing import UNSET


def followed(*deltas: str) -> list[Any]:
    """Follow the events of a response with these deltas, and return the values on the way."""
    follower = PartialOutput()
    values: list[Any] = []
    for event in plain(deltas, last=None):
        follower.push(load_event(event))
        values.append(follower.value)
    return values


def load_event(event: Any) -> Any:
    return load(event, StreamEvent)


@pytest.mark.parametrize(
    "first", ["`abc ", "`", "``", "```unfinished ", "```python or ", "I use `code` ", "\ufeff", "word "]
)
def test_following_a_text_costs_in_proportion_to_its_length(first: str) -> None:
    def cost(deltas: int) -> float:
        follower = PartialOutput()
        events: list[Any] = [load_event(text_delta("word " if number else first)) for number in range(deltas)]
        began = time.process_time()
        for event in events:
            follower.push(event)
        return time.process_time() - began

    cost(1_000)
    assert cost(40_000) < 20 * max(
        cost(10_000), 0.01
    )  # four times as long; if it grew with the text, hundreds of times


def test_a_fence_is_found_within_its_bounds_and_given_up_beyond_them() -> None:
    assert followed("`", "``js", "on\n", '{"a": ', "1}", "\n```")[-1] == {"a": 1}
    assert followed("`x` " * 100, "```json\n", '{"a": ', "1}")[-1] == {"a": 1}
    assert followed("`x` " * 1000, "```json\n", '{"a": ', "1}")[-1] is UNSET


def test_the_answer_is_the_newest_message_and_a_final_one_before_others() -> None:
    def said(index: int, phase: str | None, number: int) -> list[Any]:
        events = message_events(index, f"msg_{index}", [f'{{"n": {number}}}'])
        if phase:
            events[0]["item"]["phase"] = phase
        return events

    cases: list[tuple[list[tuple[int, Any, int]], int]] = [
        ([(0, None, 1), (1, None, 2)], 2),
        ([(0, "final_answer", 1), (1, None, 2)], 1),
        ([(0, None, 1), (1, "final_answer", 2), (2, "commentary", 3)], 2),
        ([(0, "final_answer", 1), (1, "final_answer", 2)], 2),
    ]
    for messages, expected in cases:
        follower = PartialOutput()
        for message_ in messages:
            for event in numbered(said(*message_)):
                follower.push(load_event(event))
        assert follower.value == {"n": expected}
