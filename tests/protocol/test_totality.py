"""Any events in any order: lenient mode never raises, and there is always a snapshot that can be dumped."""

from __future__ import annotations

from typing import Any, Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams import BLANK, SHELL, Wire, call, fold, message, response

from responses_proto.codec import dumps, load
from responses_proto.models.events import EVENT_TYPES, Event
from responses_proto.protocol import Accumulator
from responses_proto.testing.strategies import Stream, streams

IDS: Final = st.sampled_from(["a", "b", "c", ""])
ODD: Final[st.SearchStrategy[Any]] = (
    st.none() | st.booleans() | st.integers(-2, 4) | st.just(2**70) | st.just("odd") | st.just([1]) | st.just({"x": 1})
)
PIECE: Final = st.sampled_from(["x", "", "é", "\ud83d", "\ude00", "{}"])
SMALL: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [
        {},
        {"type": "acme:x"},
        {"type": "input_image"},
        {"type": "message"},
        {"type": "message", "content": "text"},
        {"type": "reasoning", "content": None},
        {"type": "image_generation_call"},
        {"type": "web_search_call"},
    ]
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(fields)


def like(wire: Wire, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({**{name: st.just(value) for name, value in wire.items()}, **fields})


STATUS: Final[st.SearchStrategy[Any]] = st.sampled_from(
    ["in_progress", "completed", "incomplete", "failed", "cancelled", None]
)
PART: Final = st.one_of(
    objects(type=st.just("output_text"), text=PIECE, annotations=st.just([])),
    objects(type=st.sampled_from(["reasoning_text", "summary_text"]), text=PIECE),
    objects(type=st.just("refusal"), refusal=PIECE),
    SMALL,
    ODD,
)
ITEM: Final = st.one_of(
    *(like(wire, id=IDS, status=STATUS) for wire in [*BLANK.values(), SHELL]),
    like(message(""), id=IDS, content=st.lists(PART, max_size=2)),
    like(call(""), id=IDS, call_id=IDS, arguments=PIECE),
    SMALL,
    ODD,
)
FIELDS: Final[dict[str, Any]] = {
    "sequence_number": st.integers(-1, 9) | ODD,
    "output_index": st.integers(0, 3) | ODD,
    "content_index": st.integers(0, 2) | ODD,
    "summary_index": st.integers(0, 2) | ODD,
    "command_index": st.integers(0, 2) | ODD,
    "annotation_index": ODD,
    "item_id": IDS | ODD,
    "id": IDS | ODD,
    "delta": PIECE | st.fixed_dictionaries({"stdout": PIECE, "stderr": PIECE}) | ODD,
    "text": PIECE | ODD,
    "arguments": PIECE | ODD,
    "input": PIECE | ODD,
    "code": PIECE | ODD,
    "diff": PIECE | ODD,
    "refusal": PIECE | ODD,
    "command": PIECE | ODD,
    "output": st.lists(st.just({"stdout": "a", "stderr": "b", "outcome": {"type": "timeout"}}), max_size=2) | ODD,
    "partial_image_b64": PIECE | ODD,
    "partial_image_index": ODD,
    "logprobs": st.just([]) | st.just([{"token": "a", "logprob": 0.0}]) | ODD,
    "annotation": st.just({"type": "file_path", "file_id": "f", "index": 0}) | ODD,
    "part": PART,
    "item": ITEM,
    "response": like(response(), id=IDS, status=STATUS, output=st.lists(ITEM, max_size=2) | st.none()) | ODD,
}


@st.composite
def odd_event(draw: st.DrawFn) -> Wire:
    """Draw an event of any type, with the fields of its class, each of them fitting, odd or missing."""
    # Terminal events are rare, else most of the sequence would come too late to matter.
    name = draw(
        st.sampled_from([name for name in EVENT_TYPES if name != "response.completed"] * 3 + ["response.completed"])
    )
    names = {field.name for field in attrs.fields(EVENT_TYPES[name])} & FIELDS.keys() | {"id"}
    fields = {field: draw(FIELDS[field]) for field in sorted(names) if draw(st.integers(0, 7))}
    return {"type": name, **fields}


@settings(max_examples=400, deadline=None)
@given(st.lists(odd_event(), max_size=14), st.booleans())
def test_no_sequence_of_events_makes_it_raise(events: list[Wire], ask: bool) -> None:
    accumulator = Accumulator()
    for wire in events:
        event: Any = load(wire, Event)
        accumulator.push(event)
        if ask:
            assert dumps(accumulator.response)
        assert dumps(event)
    assert dumps(accumulator.response)
    assert dumps(accumulator.streamed_output)


@settings(max_examples=200, deadline=None)
@given(streams(beyond=True), st.randoms(use_true_random=False), st.integers(0, 2))
def test_shuffled_dropped_and_doubled_events_make_it_raise_as_little(stream: Stream, random: Any, kind: int) -> None:
    events = list(stream.wire)
    if kind == 0:
        random.shuffle(events)
    elif kind == 1:
        events = [event for event in events if random.random() < 0.7]
    else:
        events = [event for event in events for _ in range(random.choice((1, 1, 2)))]
    accumulator = fold(events)
    assert dumps(accumulator.response)


@settings(max_examples=200, deadline=None)
@given(st.lists(odd_event(), max_size=10))
def test_positions_are_resolved_before_the_end_and_never_neutral(events: list[Wire]) -> None:
    accumulator = Accumulator()
    for wire in events:
        event: Event = load(wire, Event)
        over = accumulator.status is not None
        accumulator.push(event)
        place: Any = getattr(event, "output_index", None)
        if place is None or over or getattr(getattr(event, "item", None), "type", None) == "":
            continue  # without an item there is no position
        assert place >= 0
        absent = getattr(event.extra, "absent", frozenset[str]())
        positions = {"output_index", "item_id", "content_index", "summary_index", "command_index", "sequence_number"}
        assert not positions & absent, (event, absent)
