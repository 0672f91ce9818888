"""Partial JSON: the complete value begins with the certain part, for every continuation."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.codec import default_backend
from responses_proto.exceptions import DecodeError, LimitExceeded, LocalProtocolError
from responses_proto.limits import Limits
from responses_proto.models.content import OutputText, Refusal
from responses_proto.models.items import FunctionCall, McpApprovalRequest, McpCall, Message, Reasoning, XSearchCall
from responses_proto.schema import PartialJSON, partial_json
from responses_proto.typing import UNSET

if TYPE_CHECKING:
    from responses_proto.schema import PartialSource

ANY_CHARACTER = st.characters(exclude_categories=())  # surrogates, too
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ANY_CHARACTER),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(ANY_CHARACTER), inner),
    max_leaves=12,
)


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    return json.dumps(
        draw(JSON),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
        separators=draw(st.sampled_from([None, (",", ":"), (" ,\r", "\t:\n")])),
    )


def begins(whole: Any, partial: Any) -> bool:
    """Whether a value can grow into another one without taking anything back."""
    if partial is UNSET:
        return True
    kind = whole.__class__.__name__
    if partial.__class__.__name__ != kind:
        return False
    if kind == "str":
        return bool(whole.startswith(partial))
    if kind == "list":
        return len(partial) <= len(whole) and all_but_last_equal(whole, partial)
    if kind == "dict":
        same_keys = [*whole][: len(partial)] == [*partial]
        return same_keys and all_but_last_equal([*whole.values()], [*partial.values()])
    return bool(partial == whole)


def all_but_last_equal(whole: list[Any], partial: list[Any]) -> bool:
    last = len(partial) - 1
    return last < 0 or (partial[:last] == whole[:last] and begins(whole[last], partial[last]))


@given(json_texts(), st.data())
def test_the_certain_part_is_the_start_of_the_complete_value(text: str, data: st.DataObject) -> None:
    whole = default_backend().loads(text)
    given_before: Any = UNSET
    for cut in sorted({len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=8))}):
        partial = partial_json(text[:cut])
        assert begins(whole, partial)
        assert begins(partial, given_before)
        given_before = partial
    assert partial_json(text, complete=True) == whole
    assert type(whole) in (int, float) or given_before == whole


@given(json_texts(), st.data())
def test_pieces_have_the_same_result_as_the_text_at_once(text: str, data: st.DataObject) -> None:
    reader, position = PartialJSON(), 0
    for cut in sorted({len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=8))}):
        reader.feed(text[position:cut])
        position = cut
        assert repr(reader.value) == repr(partial_json(text[:cut]))
    reader.close()
    assert reader.value == default_backend().loads(text)
    assert (reader.complete, reader.invalid_at) == (True, None)


@given(st.text(st.sampled_from('[]{}",:\\u0123dDe8.-+ \x00truefalsn\n'), max_size=40))
def test_no_text_raises_and_only_json_is_complete(text: str) -> None:
    try:
        whole: Any = default_backend().loads(text)
        is_json = True
    except DecodeError:
        whole, is_json = UNSET, False
    reader = PartialJSON()
    for character in text:
        reader.feed(character)
    reader.close()
    assert reader.complete is is_json
    if is_json:
        assert repr(reader.value) == repr(whole)
    at_once = PartialJSON()
    at_once.feed(text)
    at_once.close()
    assert (repr(at_once.value), at_once.invalid_at) == (repr(reader.value), reader.invalid_at)
    assert repr(partial_json(text, complete=True)) == repr(reader.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", UNSET),
        (" \n", UNSET),
        ('"', ""),
        ('"Grü', "Grü"),
        ('"a\\', "a"),
        ('"a\\n', "a\n"),
        ('"a\\u00e', "a"),
        ('"a\\u00e9', "aé"),
        ('"a\\ud83d', "a"),
        ('"a\\ud83d\\', "a"),
        ('"a\\ud83d\\ude0', "a"),
        ('"a\\ud83d\\ude00', "a😀"),
        ('"a\\ud83dx', "a\ud83dx"),
        ('"a\\ud83d"', "a\ud83d"),
        ('"a\\ud83d\\n', "a\ud83d\n"),
        ('"a\\ud83d\\ud83d\\ude00', "a\ud83d😀"),
        ("12", UNSET),
        ("12 ", 12),
        ("tru", UNSET),
        ("true", True),
        ("null", None),
        ("[", []),
        ("[1", []),
        ("[1,", [1]),
        ("[1.5e3]", [1500.0]),
        ("[[1],[2", [[1], []]),
        ("{", {}),
        ('{"ci', {}),
        ('{"city"', {}),
        ('{"city":', {}),
        ('{"city": "', {"city": ""}),
        ('{"city": "Par', {"city": "Par"}),
        ('{"city": "Paris", "n": 1', {"city": "Paris"}),
        ('{"city": "Paris", "n": 1}', {"city": "Paris", "n": 1}),
        ('{"a": {"b": [{"c": "d', {"a": {"b": [{"c": "d"}]}}),
        ('{"a": 1, "a": "x', {"a": "x"}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)
def test_the_certain_part_of_a_text(text: str, value: object) -> None:
    assert repr(partial_json(text)) == repr(value)


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("x", 0, UNSET),
        ("]", 0, UNSET),
        ("[,", 1, []),
        ("[1,]", 3, [1]),
        ("[1}", 2, [1]),
        ("[1 2]", 3, [1]),
        ("[01]", 2, []),
        ("[1.]", 3, []),
        ("[12x]", 3, []),
        ("[1e400]", 1, []),
        ("[-x", 2, []),
        ("[trve", 3, []),
        ("[nulx", 4, []),
        ('["a\\x', 3, ["a"]),
        ('["a\\u12g', 3, ["a"]),
        ('["a\nb"]', 3, ["a"]),
        ("{,", 1, {}),
        ("{1", 1, {}),
        ('{"a" 1', 5, {}),
        ('{"a": 1,}', 8, {"a": 1}),
        ('{"a": 1]', 7, {"a": 1}),
        ('{"a": "b"} {', 11, {"a": "b"}),
        ("NaN", 0, UNSET),
    ],
)
def test_parsing_stops_at_the_first_invalid_character(text: str, at: int, value: object) -> None:
    reader = PartialJSON()
    for character in text:
        reader.feed(character)
    reader.feed('"more": [')
    reader.close()
    assert (reader.invalid_at, reader.complete) == (at, False)
    assert repr(reader.value) == repr(value)
    assert repr(partial_json(text)) == repr(value)


def test_a_number_at_the_end_is_certain_if_the_text_is_complete() -> None:
    assert partial_json("12", complete=True) == 12
    assert partial_json('{"a": 12', complete=True) == {"a": 12}
    assert partial_json('{"a": 1.', complete=True) == {}
    reader = PartialJSON()
    reader.feed("1e400")
    reader.close()
    assert (reader.value, reader.invalid_at, reader.complete) == (UNSET, 0, False)


def test_feed_after_close_is_an_error() -> None:
    reader = PartialJSON()
    reader.feed("1")
    assert (reader.value, reader.complete) == (UNSET, False)
    reader.close()
    reader.close()
    assert (reader.value, reader.complete) == (1, True)
    with pytest.raises(LocalProtocolError, match="after close"):
        reader.feed("2")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (FunctionCall(call_id="c", name="f", arguments='{"city": "Par'), {"city": "Par"}),
        (FunctionCall(call_id="c", name="f", arguments=""), UNSET),
        (FunctionCall(call_id="c", name="f", arguments="7", status="in_progress"), UNSET),
        (FunctionCall(call_id="c", name="f", arguments="7", status="completed"), 7),
        (McpCall(id="m", server_label="s", name="f", arguments='{"q": ["a'), {"q": ["a"]}),
        (McpApprovalRequest(id="m", server_label="s", name="f", arguments="7"), 7),
        (XSearchCall(id="x"), UNSET),
        (Message(role="assistant", content='{"a": "b'), {"a": "b"}),
        (
            Message(
                role="assistant", content=[OutputText(text='{"a": "'), Refusal(refusal="no"), OutputText(text="b")]
            ),
            {"a": "b"},
        ),
        (OutputText(text="[tru"), []),
    ],
)
def test_the_json_of_items_and_parts_is_parsed(source: PartialSource, value: object) -> None:
    assert partial_json(source) == value


def test_a_source_without_json_has_no_value() -> None:
    source: Any = Reasoning(summary=[])
    assert partial_json(source) is UNSET


@pytest.mark.parametrize("closing", ["", "]" * 300])
def test_deep_nesting_raises_limit_exceeded(closing: str) -> None:
    text = "[" * 300 + closing
    with pytest.raises(LimitExceeded) as caught:
        partial_json(text)
    assert caught.value.limit == "max_nesting"
    assert partial_json('{"a": [', limits=Limits(max_nesting=2)) == {"a": []}
    reader = PartialJSON(limits=Limits(max_nesting=2))
    with pytest.raises(LimitExceeded):
        reader.feed('{"a": [{')
    with pytest.raises(LimitExceeded):
        reader.feed("}")
    assert reader.value == {"a": []}


def test_a_returned_value_does_not_change() -> None:
    reader = PartialJSON()
    reader.feed('{"a": [1, {"b": "x')
    before = reader.value
    reader.feed('y"}, 2], "c": 3')
    assert before == {"a": [1, {"b": "x"}]}
    assert reader.value == {"a": [1, {"b": "xy"}, 2]}


@pytest.mark.parametrize(
    "text",
    ['"' + "é" * 400_000, '"' + r"\ud83d\ude00" * 40_000, "[" + "7" * 200_000, "[" * 2 + '{"k": [1, null]},' * 25_000],
    ids=["string", "escapes", "digits", "containers"],
)
def test_time_is_linear_in_the_text(text: str) -> None:
    quarter = min(seconds(text[: len(text) // 4]) for _ in range(3))
    assert min(seconds(text) for _ in range(3)) < 12 * quarter + 0.05  # of the process: other processes do not count


def seconds(text: str) -> float:
    reader, start = PartialJSON(), time.process_time()
    for position in range(0, len(text), 3):
        reader.feed(text[position : position + 3])
    return time.process_time() - start


@pytest.mark.parametrize(
    ("text", "key", "elements"),
    [
        ("[1, 2, 3", None, [1, 2]),
        ("[1, 2]", None, [1, 2]),
        ('["a", "b', None, ["a"]),
        ('[[1], {"a": 2}, [3', None, [[1], {"a": 2}]),
        ('{"v": [1, 2', "v", [1]),
        ('{"v": [1, 2], "w": [5, 6', "v", [1, 2]),
        ('{"v": [1, 2], "w": [5, 6', "w", [5]),
        ('{"v": [1]}', "v", [1]),
        ('{"v": [1]}', "w", []),
        ('{"v": {"v": [1, 2', "v", []),
        ('{"v": "x"}', "v", []),
        ('"v"', "v", []),
        ("", None, []),
    ],
)
def test_the_complete_elements_of_a_list(text: str, key: str | None, elements: list[Any]) -> None:
    reader = PartialJSON()
    seen: list[Any] = []
    for character in text:
        reader.feed(character)
        seen += reader.elements(key, len(seen))
    assert seen == elements == reader.elements(key)
