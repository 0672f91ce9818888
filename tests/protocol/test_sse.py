"""Server-sent events: the rules of WHATWG HTML 9.2, cut at every place, in every newline style."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.exceptions import LimitExceeded, UsageError
from responses_proto.limits import Limits
from responses_proto.protocol import Frame, SSEDecoder, encode_comment, encode_frame
from responses_proto.protocol.sse import begins_as_events, without_end_marker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOM: Final = b"\xef\xbb\xbf"


class Vector(NamedTuple):
    """Input with LF as line ends, and its frames."""

    text: bytes
    frames: tuple[Frame, ...]
    peer_differs: str = ""
    """Why httpx-sse reads it differently; empty if it agrees."""


def frames(*data: bytes) -> tuple[Frame, ...]:
    return tuple(Frame(b"", each) for each in data)


VECTORS: Final = {
    "one line": Vector(b"data: a\n\n", frames(b"a")),
    "no space after the colon": Vector(b"data:a\n\n", frames(b"a")),
    "only one space is taken": Vector(b"data:  a \n\n", frames(b" a ")),
    "colons in the value": Vector(b"data: a:b: c\n\n", frames(b"a:b: c")),
    "many data lines": Vector(b"data: a\ndata\ndata: b\n\n", frames(b"a\n\nb")),
    "an event's name": Vector(b"event: x\ndata: a\n\n", (Frame(b"x", b"a"),)),
    "the name after the data": Vector(b"data: a\nevent: x\n\n", (Frame(b"x", b"a"),)),
    "the last name counts": Vector(b"event: x\nevent: y\ndata: a\n\n", (Frame(b"y", b"a"),)),
    "a name is for one event": Vector(b"event: x\ndata: a\n\ndata: b\n\n", (Frame(b"x", b"a"), Frame(b"", b"b"))),
    "a name without data is nothing": Vector(
        b"event: x\n\ndata: b\n\n", frames(b"b"), peer_differs="reports a named event without data"
    ),
    "blank lines are nothing": Vector(b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", frames(b"a", b"b")),
    "data without a colon": Vector(b"data\n\n", frames(b"")),
    "empty data": Vector(b"data:\n\ndata: \n\n", frames(b"", b"")),
    "two empty lines of data": Vector(b"data\ndata\n\n", frames(b"\n")),
    "a comment alone": Vector(b": ping\n\n", ()),
    "a comment inside": Vector(b"data: a\n: ping\ndata: b\n\n", frames(b"a\nb")),
    "a comment with a colon first and nothing after": Vector(b":\ndata: a\n\n", frames(b"a")),
    "an unknown field": Vector(b"foo: 1\nfoo\ndata: a\nDATA: b\n data: c\n\n", frames(b"a")),
    "an id stays": Vector(b"id: 1\ndata: a\n\ndata: b\n\n", (Frame(b"", b"a", b"1"), Frame(b"", b"b", b"1"))),
    "an empty id takes it back": Vector(
        b"id: 1\ndata: a\n\nid\ndata: b\n\n", (Frame(b"", b"a", b"1"), Frame(b"", b"b"))
    ),
    "an id without data stays too": Vector(
        b"id: 1\n\ndata: b\n\n", (Frame(b"", b"b", b"1"),), peer_differs="reports an id without data as an event"
    ),
    "an id with NUL is ignored": Vector(
        b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", (Frame(b"", b"a", b"1"), Frame(b"", b"b", b"1"))
    ),
    "phantom ping: a comment after an id": Vector(
        b"id: 1\ndata: a\n\n: ping\n\ndata: b\n\n",
        (Frame(b"", b"a", b"1"), Frame(b"", b"b", b"1")),
        peer_differs="reports an empty event for the comment",
    ),
    "retry": Vector(b"retry: 1500\ndata: a\n\ndata: b\n\n", (Frame(b"", b"a", b"", 1500), Frame(b"", b"b"))),
    "retry that is not a number": Vector(
        b"retry: 1.5\nretry: -1\nretry: \ndata: a\n\n", frames(b"a"), peer_differs="takes negative numbers"
    ),
    "retry in digits of another script": Vector(
        "retry: \u0665\ndata: a\n\n".encode(), frames(b"a"), peer_differs="takes every Unicode digit"
    ),
    "separators that are no line ends": Vector(
        "data: a\u2028b\u2029c\x85d\x0be\x0cf\n\n".encode(), frames("a\u2028b\u2029c\x85d\x0be\x0cf".encode())
    ),
    "more than ASCII": Vector("event: é\ndata: 👩\u200d🚀\n\n".encode(), (Frame("é".encode(), "👩\u200d🚀".encode()),)),
    "a byte-order mark": Vector(BOM + b"data: a\n\n", frames(b"a"), peer_differs="loses the line after the mark"),
    "only one byte-order mark": Vector(BOM + BOM + b"data: a\n\ndata: b\n\n", frames(b"b")),
    "a byte-order mark later is data": Vector(b"data: a\n\n" + BOM + b"data: b\n\n", frames(b"a")),
    "an unfinished frame": Vector(b"data: a\n\ndata: b\n", frames(b"a")),
    "not even a line end": Vector(b"data: a\n\ndata: b", frames(b"a")),
    "nothing": Vector(b"", ()),
}
NEWLINES: Final = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def decode(chunks: Iterable[bytes]) -> tuple[Frame, ...]:
    decoder = SSEDecoder()
    return tuple(itertools.chain.from_iterable(decoder.receive(chunk) for chunk in chunks))


def cuts(data: bytes, size: int) -> Iterable[tuple[bytes, bytes, bytes]]:
    """Yield every cut into a head, a piece of ``size`` bytes, and a tail."""
    return ((data[:at], data[at : at + size], data[at + size :]) for at in range(len(data) + 1))


@pytest.mark.parametrize("newline", NEWLINES)
@pytest.mark.parametrize("name", VECTORS)
def test_vector_at_every_cut(name: str, newline: str) -> None:
    vector = VECTORS[name]
    data = vector.text.replace(b"\n", NEWLINES[newline])
    assert decode([data]) == vector.frames
    assert decode(bytes([byte]) for byte in data) == vector.frames
    assert decode(itertools.chain.from_iterable((bytes([byte]), b"") for byte in data)) == vector.frames
    for size in (0, 1, 2):
        for chunks in cuts(data, size):
            assert decode(chunks) == vector.frames, chunks


@pytest.mark.parametrize("name", VECTORS)
def test_vector_with_mixed_newlines(name: str) -> None:
    lines = VECTORS[name].text.split(b"\n")
    styles = itertools.cycle([b"\r\n", b"\r", b"\r", b"\r\n", b"\r\n"])
    data = b"".join(line + style for line, style in zip(lines[:-1], styles, strict=False)) + lines[-1]
    assert decode([data]) == decode(bytes([byte]) for byte in data) == VECTORS[name].frames


def test_crlf_cut_in_two_ends_one_line() -> None:
    assert decode([b"data: a\r", b"\n", b"data: b\r", b"", b"\n\r", b"\n"]) == frames(b"a\nb")
    assert decode([b"data: a\r", b"\r", b"data: b\r\r"]) == frames(b"a", b"b")


def test_the_frame_is_out_as_soon_as_its_blank_line_is() -> None:
    decoder = SSEDecoder()
    assert decoder.receive(b"data: a\n") == []
    assert decoder.receive(b"\n") == [Frame(b"", b"a")]
    assert decoder.receive(b"data: b\r\r") == [Frame(b"", b"b")]
    assert decoder.receive(b"\ndata: c\r\n\r") == [Frame(b"", b"c")]


@pytest.mark.parametrize("newline", NEWLINES)
def test_eof_gives_the_unfinished_lines_once(newline: str) -> None:
    decoder = SSEDecoder()
    assert decoder.receive(b"data: a\n\nevent: x\ndata: b\n".replace(b"\n", NEWLINES[newline])) == list(frames(b"a"))
    rest = decoder.eof()
    assert decoder.parse(rest) == Frame(b"x", b"b")
    assert decoder.eof() == b""


def test_eof_after_whole_frames_and_after_nothing() -> None:
    decoder = SSEDecoder()
    assert decoder.eof() == b""
    assert decoder.receive(b"data: a\n\n\n") == list(frames(b"a"))
    assert decoder.eof() == b""


def test_comments_id_and_retry_are_kept() -> None:
    decoder = SSEDecoder()
    assert (decoder.comments, decoder.last_id, decoder.retry) == (0, b"", None)
    decoder.receive(b": one\n\n:\n: two\n\nid: 7\nretry: 20\n\n")
    assert (decoder.comments, decoder.last_id, decoder.retry) == (3, b"7", 20)


def test_retry_has_a_size() -> None:
    assert decode([b"retry: " + b"9" * 10_000 + b"\ndata: a\n\n"]) == (Frame(b"", b"a", b"", 10**18 - 1),)


# ---- limits


def test_a_hundred_thousand_empty_data_lines_count() -> None:
    decoder = SSEDecoder(Limits(max_event_bytes=50_000))
    with pytest.raises(LimitExceeded) as caught:
        decoder.receive(b"data:\n" * 100_000 + b"\n")
    assert (caught.value.limit, caught.value.value, caught.value.maximum) == ("max_event_bytes", 600_000 - 1, 50_000)


def test_the_unfinished_tail_counts_in_one_chunk_and_in_many() -> None:
    with pytest.raises(LimitExceeded, match="max_event_bytes"):
        SSEDecoder(Limits(max_event_bytes=10)).receive(b"data: 01234567")
    decoder = SSEDecoder(Limits(max_event_bytes=10))
    decoder.receive(b"data: 0")
    with pytest.raises(LimitExceeded, match="max_event_bytes"):
        decoder.receive(b"1234567")


@pytest.mark.parametrize("size", [1, 3, 100])
def test_an_event_up_to_the_limit_is_let_through_however_it_is_cut(size: int) -> None:
    def read(wire: bytes) -> list[Frame]:
        decoder = SSEDecoder(Limits(max_event_bytes=10))
        return [frame for start in range(0, len(wire), size) for frame in decoder.receive(wire[start : start + size])]

    assert read(b"data: 1234\n\n") == list(frames(b"1234"))
    with pytest.raises(LimitExceeded):
        read(b"data: 12345\n\n")


def test_frames_before_a_tail_that_is_too_long_are_not_lost() -> None:
    decoder = SSEDecoder(Limits(max_event_bytes=10))
    assert decoder.receive(b"data: a\n\ndata: 0123456789") == list(frames(b"a"))
    with pytest.raises(LimitExceeded):
        decoder.eof()
    decoder = SSEDecoder(Limits(max_event_bytes=10))
    assert decoder.receive(b"data: a\n\ndata: 0123456789") == list(frames(b"a"))
    with pytest.raises(LimitExceeded):
        decoder.receive(b"x")


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_unfinished_block_costs_little_more_than_its_bytes_however_it_is_cut(size: int) -> None:
    wire = b"data: " + bytes(range(33, 127)) * 2000
    decoder = SSEDecoder()
    tracemalloc.start()
    try:
        for start in range(0, len(wire), size):
            decoder.receive(wire[start : start + size])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(wire)
    assert decoder.receive(b"\n\n") == list(frames(wire[6:]))


# ---- writing


def test_the_bytes_of_frames() -> None:
    assert encode_frame(b"a") == b"data: a\n\n"
    assert (
        encode_frame(b"a\r\nb\rc\n", "x", id="7", retry=20)
        == b"event: x\nid: 7\nretry: 20\ndata: a\ndata: b\ndata: c\ndata: \n\n"
    )
    assert encode_comment() == b":\n\n"
    assert encode_comment("a\r\nb\n\nc") == b": a\n: b\n:\n: c\n\n"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\ud83d"])
def test_a_field_that_cannot_hold_its_value_is_refused(bad: str) -> None:
    with pytest.raises(UsageError):
        encode_frame(b"a", bad)
    with pytest.raises(UsageError):
        encode_frame(b"a", id=bad)


def test_a_negative_retry_and_half_of_a_surrogate_pair_are_refused() -> None:
    with pytest.raises(UsageError, match="milliseconds"):
        encode_frame(b"a", retry=-1)
    with pytest.raises(UsageError, match="a lone surrogate"):
        encode_comment("\ud83d")


FIELD: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


@given(
    st.lists(st.tuples(st.binary(), FIELD, FIELD, st.none() | st.integers(0, 10**18 - 1)), max_size=4),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_encoded_frames_decode_to_the_same(
    written: list[tuple[bytes, str, str, int | None]], places: list[int]
) -> None:
    data = b"".join(
        encode_comment(event) + encode_frame(data, event, id=id_, retry=retry) for data, event, id_, retry in written
    )
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    chunks = [data[start:stop] for start, stop in itertools.pairwise(edges)]
    lines = [body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for body, _, _, _ in written]
    assert decode(chunks) == tuple(
        Frame(event.encode(), body, id_.encode(), retry)
        for body, (_, event, id_, retry) in zip(lines, written, strict=True)
    )


@given(
    st.lists(
        st.sampled_from([b"data", b":", b" ", b"\n", b"\r", b"a", b"id", b"event", b"retry", b"1", BOM]), max_size=24
    )
)
def test_any_input_means_the_same_however_it_is_cut(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert decode(pieces) == decode([data]) == decode(bytes([byte]) for byte in data)


# ---- the second opinion


def peer(data: bytes) -> list[ServerSentEvent]:
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data)
    return list(EventSource(answer).iter_sse())


def as_seen(events: Sequence[ServerSentEvent]) -> list[tuple[str, str, str, int | None]]:
    return [("" if event.event == "message" else event.event, event.data, event.id, event.retry) for event in events]


def as_read(read: Iterable[Frame]) -> list[tuple[str, str, str, int | None]]:
    return [(frame.event.decode(), frame.data.decode(), frame.id.decode(), frame.retry) for frame in read]


@pytest.mark.parametrize("name", VECTORS)
def test_httpx_sse_agrees_but_for_the_listed_differences(name: str) -> None:
    vector = VECTORS[name]
    assert (as_seen(peer(vector.text)) != as_read(vector.frames)) is bool(vector.peer_differs)


@given(st.lists(st.sampled_from(["data: a", "data: b", "event: x", "", ": c", "foo: 1", "data:  d"]), max_size=20))
def test_httpx_sse_agrees_on_any_frames_of_data(lines: list[str]) -> None:
    # What it is known to do otherwise is left out: names and ids without data, empty data.
    blocks = "\n".join([*lines, "", ""]).split("\n\n")
    data = "".join(f"{block}\n\n" for block in blocks if "data: " in block).encode()
    assert as_read(decode([data])) == as_seen(peer(data))


# ---- what a body is


@pytest.mark.parametrize("field", [b"event: a", b"data: {}", b"data:", b"id: 1", b"retry: 5", b": comment", b":"])
@pytest.mark.parametrize("before", [b"", b"\n", b"\r\n\r\n", b"  ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n "])
def test_the_first_line_shows_an_event_stream_and_not_before_it_is_there(before: bytes, field: bytes) -> None:
    assert begins_as_events(before + field) is True
    decided = field.index(b":") + 1
    for size in range(len(before) + decided):
        assert begins_as_events((before + field)[:size]) is None


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"<html>data: x",
        b"database: x",
        b"events:",
        b"upstream: no",
        b"Data: x",
        b"\xef\xbb\xbf{",
        b" " * 5000,
    ],
)
def test_anything_else_is_no_event_stream(body: bytes) -> None:
    assert begins_as_events(body) is False
    assert begins_as_events(body + b"\n\ndata: x\n\n") is False


@pytest.mark.parametrize(
    ("body", "without"),
    [
        (b'{"a": 1}', b'{"a": 1}'),
        (b'{"a": 1}\n\ndata: [DONE]\n\n', b'{"a": 1}'),
        (b'{"a": 1}data:[DONE]', b'{"a": 1}'),
        (b'{"a": 1}\ndata: "[DONE]"\n\n', b'{"a": 1}'),
        (b'{"a": 1}\r\nevent: done\r\ndata: [DONE]', b'{"a": 1}'),
        (b"[1]\n: bye\ndata: [DONE]", b"[1]"),
        (b'{"a": "data: [DONE]"}', b'{"a": "data: [DONE]"}'),
        (b"no JSON\ndata: [DONE]", b"no JSON\ndata: [DONE]"),
        (b'{"a": 1}\ndata: more', b'{"a": 1}\ndata: more'),
    ],
)
def test_the_end_marker_of_a_stream_is_no_part_of_a_json_body(body: bytes, without: bytes) -> None:
    assert without_end_marker(body) == without
