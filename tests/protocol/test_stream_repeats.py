"""Runs of deltas are read in bulk by the stream: never otherwise than one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams import (
    Wire,
    added,
    call_events,
    codes,
    ending,
    feed,
    message,
    message_events,
    numbered,
    opening,
    text_delta,
    wire,
    without,
)

from responses_proto.codec import load
from responses_proto.exceptions import LimitExceeded
from responses_proto.limits import Limits
from responses_proto.models.events import Event, OutputTextDelta
from responses_proto.protocol import Accumulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from responses_proto.protocol import ResponseStream


def one_by_one(events: Sequence[Wire]) -> tuple[list[Event], Accumulator]:
    """Read events without the stream: each decoded by itself, and folded in."""
    accumulator, seen = Accumulator(), list[Event]()
    for each_one in events:
        event: Event = load(each_one, Event)
        accumulator.push(event)
        seen.append(event)
    return seen, accumulator


def same(events: Sequence[Wire], data: bytes | None = None) -> ResponseStream:
    """Read events in bulk, and see that it makes no difference."""
    reference, accumulator = one_by_one(events)
    seen, stream = feed([wire(events) if data is None else data])
    assert seen == reference
    assert stream.response == accumulator.response
    assert codes(stream) - codes(accumulator) in ({}, {"no-terminal": 1})
    return stream


BEGUN: Final = [*opening(), *message_events()[:2]]
LONG_TEXT: Final = "x" * 700


def test_a_delta_after_a_long_done_is_too_late() -> None:
    done_event = {**without(text_delta(""), "delta"), "type": "response.output_text.done", "text": LONG_TEXT}
    stream = same(numbered([*BEGUN, *[text_delta("x" * 70)] * 10, done_event, text_delta("late"), text_delta("late")]))
    assert codes(stream)["delta-after-done"] == 1
    assert stream.response.output_text == LONG_TEXT


@pytest.mark.parametrize("name", ["response.output_text.done", "acme:x", ""])
def test_a_run_ends_with_its_text_whichever_way_that_is_said(name: str) -> None:
    done_event = {**without(text_delta(""), "delta"), "type": "response.output_text.done", "text": "aaaa"}
    events = numbered([*BEGUN, *[text_delta("a")] * 4, done_event, *[text_delta("late")] * 2])
    lines = json.dumps(events[-3]).replace(", ", ",\ndata: ")
    head = f"id: 7\nevent: {name}\n" if name else ""
    data = wire(events[:-3]) + f"{head}data: {lines}\n\n".encode() + wire(events[-2:])
    _, stream = feed([data])
    assert stream.response.output_text == "aaaa"
    assert codes(stream)["delta-after-done"] == 1


def test_deltas_go_back_to_their_own_item_after_a_long_one_of_another() -> None:
    other = [added(1, message("", "m2", "in_progress")), text_delta(LONG_TEXT, 1, "m2"), text_delta(LONG_TEXT, 1, "m2")]
    stream = same(numbered([*BEGUN, *[text_delta("a")] * 4, *other, *[text_delta("b")] * 4]))
    assert [getattr(item, "text", "") for item in stream.response.output] == ["aaaabbbb", 2 * LONG_TEXT]


def test_deltas_after_the_end_are_late_however_alike() -> None:
    events = numbered([*BEGUN, *[text_delta("a")] * 5, ending([message("a" * 5)])])
    late = numbered([text_delta("a")] * 3, len(events))
    seen, stream = feed([wire([*events, *late])])
    assert (len(seen), stream.response.output_text) == (len(events) + 3, "aaaaa")
    assert codes(stream)["late-event"] == 1
    _, stream = feed(
        [wire(events[:-1], finish=b"data: [DONE]\n\n") + wire(numbered([text_delta("a")] * 3, len(events) - 1))]
    )
    assert (codes(stream)["late-data"], stream.response.output_text) == (1, "aaaaa")


def test_numbers_in_a_run_are_looked_at() -> None:
    events = numbered([*BEGUN, *[text_delta("a")] * 12])
    assert codes(same([*events[:9], *events[10:]])) == {"sequence-gap": 1, "no-terminal": 1}
    assert codes(same([*events[:9], events[8], *events[9:]])) == {"sequence-repeated": 1, "no-terminal": 1}
    assert codes(same([*events[:9], without(events[9], "sequence_number"), *events[10:]])) == {
        "sequence-missing": 1,
        "no-terminal": 1,
    }


@pytest.mark.parametrize("limits", [Limits(max_event_bytes=400), Limits(max_text_chars=400)])
def test_limits_hold_in_a_run(limits: Limits) -> None:
    events = numbered(
        [
            *[{**event, "response": {"id": "r"}} if "response" in event else event for event in BEGUN],
            *[text_delta("a")] * 5,
            text_delta("b" * 399),
            text_delta("b" * 399),
        ]
    )
    with pytest.raises(LimitExceeded):
        feed([wire(events)], limits=limits)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("named", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "b c",
                "",
                '"',
                "\\",
                "é",
                "👩",
                "\u2028",
                "\x7f",
                "\u00a0",
                "\n",
                "%d",
                "%b",
                "{}",
                '", "delta": "',
                "\ud83d",
                "\ude00",
                "[DONE]",
                "data: ",
            ]
        )
        | st.text(max_size=4),
        max_size=12,
    ),
    st.integers(0, 400),
    st.booleans(),
)
def test_runs_of_any_deltas(named: bool, padded: bool, deltas: list[str], size: int, spaced: bool) -> None:
    padding = {"obfuscation": "pad"} if padded else {}
    events = numbered(
        [
            *BEGUN,
            *[text_delta("a")] * 3,
            *({**text_delta(delta), **padding} for delta in deltas),
            *[text_delta("a")] * 3,
        ]
    )
    separators = (", ", ": ") if spaced else (",", ":")
    heads = [f"event: {event['type']}\n" if named else "" for event in events]
    data = b"".join(
        f"{head}data: {json.dumps(event, separators=separators)}\n\n".encode()
        for head, event in zip(heads, events, strict=True)
    )
    stream = same(events, data)
    seen, again = feed([data[at : at + size] for at in range(0, len(data), size)] if size else [data])
    assert (again.response, again.anomalies) == (stream.response, stream.anomalies)
    assert len(seen) == len(events)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1]), max_size=30), st.booleans())
def test_runs_of_two_items_in_turns(turns: list[int], short: bool) -> None:
    calls = [call_events(index, f"f{index}", f"c{index}") for index in (0, 1)]
    piece = "y" if short else LONG_TEXT
    events = numbered([*opening(), calls[0][0], calls[1][0], *({**calls[turn][1], "delta": piece} for turn in turns)])
    stream = same(events)
    assert [len(item.arguments) // len(piece) for item in stream.response.function_calls] == [
        turns.count(0),
        turns.count(1),
    ]


def test_a_run_gives_each_event_lists_of_its_own() -> None:
    seen, _ = feed([wire(numbered([*BEGUN, *[text_delta("a")] * 6]))])
    lists = [event.logprobs for event in seen if isinstance(event, OutputTextDelta)]
    assert len({id(each_one) for each_one in lists}) == len(lists) == 6
