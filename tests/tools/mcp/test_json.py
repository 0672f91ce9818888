from __future__ import annotations

import math
from typing import Any

import pytest

from responses_proto.exceptions import DecodeError, LimitExceeded
from responses_proto.tools.mcp._json import Lines, LongLine, loads, request_id_in, whole_characters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'"caf\xe9"', "caf�"),
        (b'"caf\xc3\xa9"', "café"),
        (rb'"cut \ud83d"', "cut �"),
        (rb'"\udc00 first"', "� first"),
        (rb'"\ud83d\ud83d\ude00"', "�😀"),
        (rb'"\uD83D\uDE00"', "😀"),
        (rb'"\\ud83d"', r"\ud83d"),
        (rb'"\\\ud83d"', "\\�"),
        (rb'"\ud7ff \ue000"', "\ud7ff \ue000"),
        (b"123456789012345678901234", 123456789012345678901234),
        (b"Infinity", math.inf),
        (b"-Infinity", -math.inf),
        (b"1e400", math.inf),
    ],
)
def test_a_text_is_read_as_it_is(text: bytes, value: Any) -> None:
    assert loads(text) == value


def test_nan_is_read() -> None:
    value = loads(b'{"a": [NaN, -Infinity]}')
    assert math.isnan(value["a"][0])


@pytest.mark.parametrize("text", [b"", b"log line", b"{", b'{"a": 1} 2', b"9" * 5000])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(DecodeError):
        loads(text)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        loads(b"[" * 10_000 + b"]" * 10_000)


def test_whole_characters_leaves_good_text_alone() -> None:
    text = rb'{"a": "\n \\ \" \u00e9 \ud83d\ude00 \/"}' + "é".encode()
    assert whole_characters(text) == text


TEXT = b"one\n\n\xe9two\r\nthree"


def test_lines_do_not_depend_on_how_the_bytes_arrive() -> None:
    for size in range(1, len(TEXT) + 1):
        lines = Lines(100)
        found = [line for start in range(0, len(TEXT), size) for line in lines.feed(TEXT[start : start + size])]
        assert found == [b"one", b"", b"\xe9two\r"]
        assert lines.feed(b"\n") == [b"three"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_that_is_too_long_costs_itself_alone(size: int) -> None:
    text = b"short\n" + b'{"id":7,' + b"x" * 5000 + b"end}\nshort\n"
    lines = Lines(1000)
    first, long, last = [line for start in range(0, len(text), size) for line in lines.feed(text[start : start + size])]
    assert (first, last) == (b"short", b"short")
    assert isinstance(long, LongLine)
    assert (long.error.limit, long.error.value, long.error.maximum) == ("max_event_bytes", 5012, 1000)
    assert long.edges.startswith(b'{"id":7,x')
    assert long.edges.endswith(b"xend}")
    assert len(long.edges) < 1000


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{', 7),
        (b'{ "jsonrpc": "2.0", "id": "a-7", "res', "a-7"),
        (b'{"id":7,"jsonrpc":"2.0","result"', 7),
        (b'{"result":{"content":[]},"jsonrpc":"2.0","id":7}', 7),
        (b'...}]},"id":7,"jsonrpc":"2.0"}\r', 7),
        (b'{"jsonrpc":"2.0","method":"notifications/message","params":{"id":7}}', None),
        (b'{"result":{"structuredContent":{"id":7}},"jsonrpc":"2.0"', None),
        (b"2026-11-28 INFO id: 7", None),
    ],
)
def test_the_request_that_an_unreadable_answer_is_for(edges: bytes, found: int | str | None) -> None:
    assert request_id_in(edges) == found
