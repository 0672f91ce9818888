"""Runs are an optimisation: whatever is read in bulk is what would have been read one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto import Accumulator, Limits, ResponseStream, codec
from responses_proto.exceptions import LimitExceeded
from responses_proto.models import Event, OutputTextDelta
from responses_proto.protocol._repeats import DeltaTemplate

LAYOUTS = [
    ("type", "sequence_number", "item_id", "output_index", "content_index", "delta", "logprobs", "obfuscation"),
    ("type", "content_index", "delta", "item_id", "output_index", "sequence_number"),
    ("sequence_number", "type", "obfuscation", "item_id", "output_index", "content_index", "delta"),
    ("obfuscation", "delta", "type", "sequence_number", "item_id", "output_index", "content_index", "stream_id"),
    ("delta", "sequence_number", "obfuscation", "type", "item_id", "output_index", "content_index"),
    ("type", "item_id", "output_index", "content_index", "delta", "obfuscation", "sequence_number", "logprobs"),
]
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        ["", " word", "\n", '"', "\\", '","delta":"x', "é", "日本", "👩\u200d🚀", "\u2028", "%d", "%b", "{", "}\n"]
    ),
)


def delta(number: int, text: str, padding: str = "pad", **more: Any) -> dict[str, Any]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {
        "type": "response.output_text.delta",
        "sequence_number": number,
        **place,
        "delta": text,
        "obfuscation": padding,
        "logprobs": [],
        "stream_id": "s",
        **more,
    }


def wire(
    event: dict[str, Any],
    layout: tuple[str, ...] = LAYOUTS[0],
    *,
    named: bool = True,
    spaced: bool = False,
    ascii_only: bool = False,
) -> bytes:
    data = json.dumps(
        {key: event[key] for key in layout}, separators=(", ", ": ") if spaced else (",", ":"), ensure_ascii=ascii_only
    )
    return (f"event: {event['type']}\n" if named else "").encode() + f"data: {data}\n\n".encode(
        "utf-8", "surrogatepass"
    )


def read(stream: bytes, size: int = 1 << 20, **options: Any) -> tuple[ResponseStream, list[Event]]:
    engine = ResponseStream(**options)
    events: list[Event] = []
    for start in range(0, len(stream), size):
        engine.receive_data(stream[start : start + size])
        events += engine.events_received()
    engine.receive_eof()
    return engine, events + engine.events_received()


@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=3, max_size=12),
    st.sampled_from(LAYOUTS),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 500),
)
def test_a_run_is_read_as_its_frames_are(
    pairs: list[tuple[str, str]], layout: tuple[str, ...], named: bool, spaced: bool, ascii_only: bool, size: int
) -> None:
    events = [delta(number, text, padding) for number, (text, padding) in enumerate(pairs)]
    stream = b"".join(wire(event, layout, named=named, spaced=spaced, ascii_only=ascii_only) for event in events)
    engine, got = read(stream, size)
    one_by_one = [codec.load({key: event[key] for key in layout}, Event) for event in events]
    assert got == one_by_one
    assert [codec.dump(event) for event in got] == [{key: event[key] for key in layout} for event in events]
    assert engine.accumulator.output_text == "".join(text for text, _ in pairs)


def begun(*later: bytes) -> tuple[ResponseStream, list[Event]]:
    """Read a stream in which a run has begun before the frames in question come."""
    return read(b"".join(wire(delta(number, "a")) for number in range(4)) + b"".join(later))


@pytest.mark.parametrize(
    "frame",
    [
        delta(4, "x", item_id="msg_2"),
        delta(4, "x", content_index=1),
        delta(4, "x", output_index=-1),
        delta(9, "x"),
        delta(0, "x"),
        delta(4, 7),  # type: ignore[arg-type] # what the wire may say all the same
        delta(4, "x", logprobs=[{"token": "x", "logprob": -1.0}]),
        delta(4, "x", padding=None),  # type: ignore[arg-type] # as above
        delta(4, "x", type="response.refusal.delta"),
    ],
    ids=["id", "part", "index", "gap", "repeated", "no text", "logprobs", "no padding", "type"],
)
def test_a_frame_that_differs_is_read_for_itself(frame: dict[str, Any]) -> None:
    alone = ResponseStream()
    for number in range(4):
        alone.receive_data(wire(delta(number, "a"), named=bool(number % 2)))  # two forms in turn: no run begins
    alone.receive_data(wire(frame))
    engine, events = begun(wire(frame))
    assert events == alone.events_received()
    assert engine.response == alone.response
    assert engine.anomalies[:-1] == alone.anomalies  # and the one that the input has no end


def test_bytes_that_are_not_utf8_are_reported_in_a_run_too() -> None:
    engine, events = begun(wire(delta(4, "x")).replace(b'"x"', b'"\xff"'), wire(delta(5, "y")))
    assert [event.delta for event in events[4:] if isinstance(event, OutputTextDelta)] == ["\ufffd", "y"]
    assert "invalid-utf8" in [anomaly.code for anomaly in engine.anomalies]


def test_each_event_of_a_run_has_a_list_of_its_own() -> None:
    _, events = begun(wire(delta(4, "x")), wire(delta(5, "y")))
    lists = [event.logprobs for event in events if isinstance(event, OutputTextDelta)]
    assert len({id(one) for one in lists}) == len(lists) == 6


def test_the_events_of_a_run_share_their_item_id() -> None:
    _, events = begun(wire(delta(4, "x")), wire(delta(5, "y")))
    assert len({id(event.item_id) for event in events[2:] if isinstance(event, OutputTextDelta)}) == 1


def test_a_run_respects_the_limit_of_an_item() -> None:
    stream = b"".join(wire(delta(number, "12345")) for number in range(10))
    with pytest.raises(LimitExceeded) as caught:
        read(stream, limits=Limits(max_text_chars=20))
    assert caught.value.limit == "max_item_bytes"


def test_a_run_longer_than_the_window_is_read_to_its_end() -> None:
    events = [delta(number, "é" * (number % 50)) for number in range(2_000)]
    engine, got = read(b"".join(map(wire, events)))
    assert len(got) == len(events)
    assert engine.accumulator.output_text == "".join(event["delta"] for event in events)


@pytest.mark.parametrize(
    "block",
    [
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"item_id":"\\"delta\\":\\"x\\"","output_index":0,"content_index":0,"delta":"a"}',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":"a","delta":"b"}',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"item_id":"100%","output_index":0,"content_index":0,"delta":"a"}',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":"a\\n"}',
    ],
    ids=["delta in a string", "delta twice", "percent", "escape"],
)
def test_no_run_begins_with_a_block_whose_gaps_are_in_doubt(block: bytes) -> None:
    value = json.loads(block.partition(b"\ndata: ")[2])
    run = DeltaTemplate.like(block, codec.load(value, Event), json.loads)
    if run is not None:  # allowed only if the gaps really are the values
        accumulator = Accumulator()
        accumulator.push(codec.load(value, Event))
        events: list[Event] = []
        follower = block.replace(b'"sequence_number":1', b'"sequence_number":2') + b"\n\n"
        run.read(follower, 0, accumulator, events)
        assert [codec.dump(event) for event in events] in ([], [{**value, "sequence_number": 2}])


def test_padding_that_is_said_twice_is_no_gap() -> None:
    first = wire(delta(1, "a", "pad")).removesuffix(b"\n\n")
    block = first.replace(b'"obfuscation":"pad"', b'"obfuscation":"pad","obfuscation":"other"')
    value = json.loads(block.partition(b"\ndata: ")[2])
    assert DeltaTemplate.like(block, codec.load(value, Event), json.loads) is None
