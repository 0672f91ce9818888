"""Several items and parts at once: which is which, in every order of events, however a server names them."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.test_identity import begun, push
from tests.streams import (
    Wire,
    added,
    call,
    codes,
    done,
    each,
    ending,
    fold,
    frame,
    message,
    message_events,
    numbered,
    opening,
    output_text,
    part_event,
    read,
    streamed_of,
    summary_events,
    text_delta,
    wire,
    without,
)

from responses_proto.codec import dump
from responses_proto.protocol import Cursor, ResponseStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMED_BY: Final = ("call id", "item id", "index", "index and id", "index and call id")
TERMINALS: Final = ("whole", "[]", "null", "missing")
ARGUMENTS: Final = "response.function_call_arguments"


# ---- parallel calls


def called(number: int, named_by: str) -> list[Wire]:
    """Give the events of one call, named as some server names them."""
    whole = call(f'{{"n":{number}}}', f"fc_{number}", f"call_{number}")
    place: Wire = {"output_index": number} if "index" in named_by else {}
    item_id: Wire = {}
    if named_by.endswith("call id"):
        whole = without(whole, "id")  # llama.cpp: calls have no id, and events say the call id
        item_id = {"item_id": whole["call_id"]}
    elif named_by.endswith("id"):
        item_id = {"item_id": whole["id"]}
    text = whole["arguments"]
    start = {**whole, "arguments": "", "status": "in_progress"}
    return [
        {"type": "response.output_item.added", **place, "item": start},
        *({"type": f"{ARGUMENTS}.delta", **place, **item_id, "delta": piece} for piece in (text[:3], text[3:])),
        {"type": f"{ARGUMENTS}.done", **place, **item_id, "name": whole["name"], "arguments": text},
        {"type": "response.output_item.done", **place, "item": whole},
    ]


def last(calls: Sequence[Sequence[Wire]], terminal: str) -> Wire:
    event = ending([events[-1]["item"] for events in calls])
    if terminal == "missing":
        del event["response"]["output"]
    elif terminal != "whole":
        event["response"]["output"] = [] if terminal == "[]" else None
    return event


def calls_of(stream: ResponseStream) -> list[tuple[str, str, str]]:
    return [(one.call_id, one.name, one.arguments) for one in stream.response.function_calls]


def check_calls(calls: Sequence[Sequence[Wire]], order: Iterable[int], terminal: str) -> None:
    """Read the events of some calls in an order (of the numbers of the calls), and check what comes of it."""
    waiting = [list(events) for events in calls]
    mixed = [(number, waiting[number].pop(0)) for number in order]
    right = [(events[-1]["item"]["call_id"], "weather", events[-1]["item"]["arguments"]) for events in calls]
    stream = ResponseStream()
    for event in numbered([*opening(), *(event for _, event in mixed)]):
        stream.receive_data(frame(event))
    events: list[Any] = stream.events_received()[2:]
    assert calls_of(stream) == right
    assert [event.output_index for event in events] == [number for number, _ in mixed]
    assert len(stream.response.output) == len(calls)
    stream.receive_data(frame({**last(calls, terminal), "sequence_number": len(mixed) + 2}))
    assert calls_of(stream) == right
    assert "item-implied" not in codes(stream)
    # Cut off after any event, it has no call that nobody made.
    for cut in range(1, len(mixed)):
        partial = read(numbered([*opening(), *(event for _, event in mixed[:cut])]))
        opened = sum(event["type"].endswith("added") for _, event in mixed[:cut])
        assert len(partial.response.output) == opened


@pytest.mark.parametrize("terminal", TERMINALS)
@pytest.mark.parametrize("named_by", NAMED_BY)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_parallel_calls_in_the_usual_orders(count: int, named_by: str, terminal: str) -> None:
    calls = [called(number, named_by) for number in range(count)]
    length, numbers = len(calls[0]), range(count)
    each = [[number] * length for number in numbers]
    orders: list[list[int]] = [
        [*itertools.chain(*each)],  # one after the other
        [*numbers, *itertools.chain(*([number] * (length - 1) for number in numbers))],  # all opened first
        [*itertools.chain(*([number] * (length - 1) for number in numbers)), *numbers],  # closed at the end
        [*numbers, *itertools.chain(*([number] * (length - 2) for number in numbers)), *reversed(numbers)],
        [*numbers] * length,  # in turn
    ]
    for order in orders:
        check_calls(calls, order, terminal)


@given(st.integers(2, 4), st.sampled_from(NAMED_BY), st.sampled_from(TERMINALS), st.randoms(use_true_random=False))
def test_parallel_calls_in_any_order(count: int, named_by: str, terminal: str, chance: Any) -> None:
    calls = [called(number, named_by) for number in range(count)]
    rest = [number for number, events in enumerate(calls) for _ in events]
    chance.shuffle(rest)
    # Without an index the order of the calls is that in which they were opened.
    firsts = list(dict.fromkeys(rest)) if "index" not in named_by else list(range(count))
    check_calls([calls[number] for number in range(count)], [firsts.index(number) for number in rest], terminal)


@pytest.mark.parametrize("terminal", TERMINALS)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_calls_that_nothing_names_one_by_one(count: int, terminal: str) -> None:
    calls = [called(number, "call id") for number in range(count)]
    bare = [[without(event, "item_id") for event in events] for events in calls]
    check_calls(bare, [number for number, events in enumerate(bare) for _ in events], terminal)


# ---- indices that the wire gives


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_items_arrive_in_any_order_and_stand_in_that_of_their_indices(order: tuple[int, ...]) -> None:
    items = {index: message_events(index, f"m{index}", [str(index)]) for index in range(4)}
    events = numbered([*opening(), *itertools.chain(*(items[index] for index in order))])
    accumulator = fold(events, strict=True)
    assert [item["content"][0]["text"] for item in streamed_of(accumulator)] == ["0", "1", "2", "3"]
    end = ending([items[index][-1]["item"] for index in range(4)])
    silent: Wire = {**end, "response": {**end["response"], "output": []}}
    for stated in (end, silent):
        stream = read([*events, {**stated, "sequence_number": len(events)}])
        assert stream.response.output_text == "0123"


@pytest.mark.parametrize("indices", [(0, 2), (1, 3), (5,), (3, 1, 7), (0, 1_000_000)])
def test_gaps_between_indices_are_kept(indices: tuple[int, ...]) -> None:
    events = [message_events(index, f"m{index}", [f"{index}."]) for index in indices]
    stream = ResponseStream(strict=True)
    for event in numbered([*opening(), *itertools.chain(*events)]):
        stream.receive_data(frame(event))
    came: list[Any] = stream.events_received()[2:]
    assert [event.output_index for event in came] == [event["output_index"] for one in events for event in one]
    assert stream.response.output_text == "".join(f"{index}." for index in sorted(indices))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_parts_arrive_in_any_order_and_stand_in_that_of_their_indices(order: tuple[int, ...]) -> None:
    steps = [
        (part_event("content_part.added", output_text(), at=index), text_delta(str(index), part=index))
        for index in order
    ]
    accumulator = begun(added(0, message("", status="in_progress")), *itertools.chain(*steps))
    assert accumulator.output_text == "012"
    accumulator = begun(
        added(0, message("", status="in_progress")), *(one for one, _ in steps), *(one for _, one in steps)
    )
    assert accumulator.output_text == "012"


def test_gaps_between_parts_are_kept() -> None:
    accumulator = begun(
        added(0, message("", status="in_progress")),
        part_event("content_part.added", output_text(), at=3),
        part_event("content_part.added", output_text(), at=1),
    )
    assert push(accumulator, text_delta("b", part=3)).content_index == 3
    assert push(accumulator, text_delta("a", part=1)).content_index == 1
    assert accumulator.output_text == "ab"
    assert codes(accumulator) == {}


def rich() -> list[Wire]:
    """A conforming stream with several items, parts, summaries and calls."""
    summaries = summary_events(0, "rs")
    parts = [{**event, "summary_index": 1} for event in summaries[1:-1]]
    whole = {**summaries[-1]["item"], "summary": summaries[-1]["item"]["summary"] * 2}
    thinking = [*summaries[:-1], *parts, done(0, whole)]
    talk = message_events(1, "m1", ["Hel", "lo"])
    more = [{**event, "content_index": 1} for event in talk[1:-1]]
    said = {**message("Hello", "m1"), "content": [output_text("Hello")] * 2}
    talking = [*talk[:-1], *more, done(1, said)]
    calls = [called(number, "index and id") for number in (2, 3)]
    mixed = [event for pair in zip(*calls, strict=True) for event in pair]
    output = [whole, said, *(events[-1]["item"] for events in calls), message("End", "m4")]
    return numbered([*opening(), *thinking, *talking, *mixed, *message_events(4, "m4", ["E", "nd"]), ending(output)])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("cut", range(len(rich()) - 1))
def test_a_stream_resumed_from_a_bare_cursor_keeps_its_positions(cut: int, strict: bool) -> None:
    events = rich()
    stream = ResponseStream(strict=strict, cursor=Cursor("resp_1", cut))
    stream.receive_data(wire(events[cut + 1 :]))
    came = [dump(event) for event in stream.events_received()]
    assert came == events[cut + 1 :]
    stream.receive_eof()
    assert stream.anomalies == []
    assert dump(stream.response)["output"] == events[-1]["response"]["output"]


# ---- what cannot be placed, and what is named ever anew


def nameless(delta: str) -> Wire:
    return {"type": f"{ARGUMENTS}.delta", "delta": delta, "item_id": "nobody"}


@pytest.mark.parametrize("count", [2, 100])
def test_deltas_that_cannot_be_placed_open_one_item(count: int) -> None:
    accumulator = begun(*(added(index, call("", f"f{index}", f"c{index}", "in_progress")) for index in (0, 1)))
    for number in range(count):
        push(accumulator, {**nameless("x"), "item_id": f"nobody_{number}"})
    output = dump(accumulator.response)["output"]
    assert [item["arguments"] for item in output] == ["", "", "x" * count]
    assert codes(accumulator)["item-implied"] == 1


@pytest.mark.parametrize("nothing", [None, {}, {"id": "x"}])
@pytest.mark.parametrize("kind", ["added", "done"])
def test_an_event_without_an_item_opens_none(kind: str, nothing: Any) -> None:
    event = {"type": f"response.output_item.{kind}", "output_index": 0, "item": nothing}
    stream = read(numbered([*opening(), event, *message_events(), ending([message_events()[-1]["item"]])]))
    assert [item.type for item in stream.response.output] == ["message"]
    assert codes(stream)["item-missing"] == 1
    stream = read(numbered([*opening(), without(event, "item"), ending([])]))
    assert stream.response.output == []


PART_EVENTS: Final = ("response.content_part.added", "response.content_part.done")
SUMMARY_EVENTS: Final = ("response.reasoning_summary_part.added", "response.reasoning_summary_part.done")


@pytest.mark.parametrize("part", [None, {}, {"text": ""}, {"type": ""}, {"type": None}, "missing"])
@pytest.mark.parametrize("named", [*((one,) for one in PART_EVENTS + SUMMARY_EVENTS), PART_EVENTS, SUMMARY_EVENTS])
@pytest.mark.parametrize("listed", [True, False])
def test_an_event_without_a_part_opens_none(named: tuple[str, ...], part: Any, *, listed: bool) -> None:
    def change(event: Wire) -> Wire:
        if event["type"] not in named:
            return event
        return without(event, "part") if part == "missing" else {**event, "part": part}

    events = [*summary_events(0), *message_events(1)]
    items = [events[len(summary_events(0)) - 1]["item"], events[-1]["item"]]
    stream = read(numbered(each([*opening(), *events, ending(items if listed else [])], change)))
    assert dump(stream.response)["output"] == items


def test_a_part_without_a_type_is_the_one_that_is_there() -> None:
    def untyped(item: Wire) -> Wire:
        return {**item, "content": [without(part, "type") for part in item["content"]]}

    *events, finished = message_events()
    item = finished["item"]
    (part_done,) = [event for event in events if event["type"] == "response.content_part.done"]
    for changed in (
        [*events, finished, ending([untyped(item)])],
        [*events, {**finished, "item": untyped(item)}, ending([])],
        [
            *(event for event in events if event is not part_done),
            {**part_done, "part": without(part_done["part"], "type")},
            finished,
            ending([]),
        ],
    ):
        stream = read(numbered([*opening(), *changed]))
        assert dump(stream.response)["output"] == [item]
        assert stream.anomalies


def test_an_item_may_be_done_before_it_is_added() -> None:
    first, *_, last = summary_events(0)
    stream = read(numbered([*opening(), last, first, *message_events(1), ending([])]))
    assert dump(stream.response)["output"][0] == last["item"]
    assert [item.type for item in stream.response.output] == ["reasoning", "message"]


def test_ids_that_change_with_each_event_are_forgotten() -> None:
    accumulator = begun(
        added(0, message("", "m", "in_progress")), part_event("content_part.added", output_text(), 0, "m")
    )

    def rotate(first: int, count: int) -> None:
        for number in range(first, first + count):
            push(accumulator, text_delta("x", 0, f"{number:0400}"))

    rotate(0, 1000)
    tracemalloc.start()
    rotate(1000, 5000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 200_000  # 5000 ids of 400 characters would be two millions
    assert len(accumulator.output_text) == 6000
    # The newest ones are known, and so is the first.
    assert push(accumulator, without(text_delta("y", 0, f"{5999:0400}"), "output_index")).output_index == 0
    assert push(accumulator, without(text_delta("y", 0, "m"), "output_index")).output_index == 0


# ---- beside the numbering

BESIDE: Final[dict[str, Wire]] = {
    "keepalive": {"type": "keepalive"},
    "rate limits": {"type": "response.rate_limits.updated", "rate_limits": []},
    "an unknown event": {"type": "response.brand_new"},
    "a vendor's event": {"type": "acme:ping"},
}


@pytest.mark.parametrize("number", [None, 0, 1, 42, 10**9, "7", -1])
@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("place", [0, 1, 4, -1, None])
def test_what_stands_beside_the_numbering_neither_begins_nor_moves_it(
    place: int | None, name: str, number: Any
) -> None:
    events = numbered([*opening(), *message_events(), ending([message_events()[-1]["item"]])])
    beside = {**BESIDE[name], **({"sequence_number": number} if number is not None else {})}
    mixed = [*events, beside] if place is None else [*events[:place], beside, *events[place:]]
    stream = ResponseStream()
    for event in mixed:
        stream.receive_data(frame(event))
    received: list[Any] = stream.events_received()
    known = [event.sequence_number for event in received if event.type not in [one["type"] for one in BESIDE.values()]]
    assert known == list(range(len(events)))
    assert not codes(stream).keys() & {
        "sequence-gap",
        "sequence-repeated",
        "sequence-missing",
        "created-missing",
        "late-event",
    }
    assert stream.cursor is not None
    assert stream.cursor.sequence_number == len(events) - 1


@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_the_numbering_may_be_counted(name: str) -> None:
    events = [*opening(), *message_events(), ending([message_events()[-1]["item"]])]
    for place in range(1, len(events)):
        mixed = numbered([*events[:place], BESIDE[name], BESIDE[name], *events[place:]])
        assert codes(read(mixed, strict=False)).keys() <= {"missing-field"}
