"""One JSON policy, whichever library does the work."""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
import sys
import time
import tracemalloc
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from responses_proto.codec import ORJSON, STDLIB, JSONBackend, default_backend
from responses_proto.codec._json import check_structure, compact, has_more_values
from responses_proto.exceptions import DecodeError, EncodeError, LimitExceeded, UsageError

BACKENDS = [backend for backend in (STDLIB, ORJSON) if backend is not None]

each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)


def outcome(backend: JSONBackend, text: bytes | str) -> tuple[str, str]:
    """What a back end makes of a text: the value, told apart from those that are only equal, or the error's type."""
    try:
        value = backend.loads(text)
    except (DecodeError, LimitExceeded) as error:
        return "error", type(error).__name__
    return "value", repr(value)


# --- reading ----------------------------------------------------------------------------------------------------------

READ: list[tuple[str, Any]] = [
    ("18446744073709551615", 18446744073709551615),
    ("-9223372036854775808", -9223372036854775808),
    ("18446744073709551616", 18446744073709551616),
    ("-9223372036854775809", -9223372036854775809),
    ("9" * 400, int("9" * 400)),
    ("[18446744073709551616.0]", [18446744073709551616.0]),
    (
        '{"a" : 18446744073709551616 , "b":"18446744073709551617"}',
        {"a": 18446744073709551616, "b": "18446744073709551617"},
    ),
    ("1", 1),
    ("1.0", 1.0),
    ("1e2", 100.0),
    ("-0", 0),
    ("-0.0", -0.0),
    ("1e-999", 0.0),
    ("9007199254740993.0", 9007199254740992.0),
    ("true", True),
    ("null", None),
    ('{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
    (r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
    (r'"\ud83d"', "\ud83d"),
    (r'["\udc00\ud800", "\u0000"]', ["\udc00\ud800", "\x00"]),
    (r'{"\ud800": 1}', {"\ud800": 1}),
    ('"\u2028\u0085\x7f"', "\u2028\u0085\x7f"),
    (" \t\r\n[ ] ", []),
    ("[" * 256 + "]" * 256, None),
]


@each_backend
@pytest.mark.parametrize(("text", "value"), READ, ids=[text[:24] for text, _ in READ])
def test_reading(backend: JSONBackend, text: str, value: Any) -> None:
    if value is None and text.startswith("["):
        value = json.loads(text)
    for form in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
        assert repr(backend.loads(form)) == repr(value)


NOT_JSON = [
    "", " ", "nul", "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400 + ".0", "9" * 5000, "01", "1.", ".5", "+1", "-", "1e", "0x1", "1_0",
    "\N{ARABIC-INDIC DIGIT THREE}", "[1,]", '{"a":1,}', "{'a':1}", "{1:2}", '"', '"\x01"', '"\n"', r'"\x"', r'"\u12"', "[1]]", "[", "1 2",
    "\ufeff1", "\x0b1", "\xa01", "/* */1",
]  # fmt: skip


@each_backend
@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: ascii(text)[:24])
def test_what_is_not_json_is_a_decode_error(backend: JSONBackend, text: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(DecodeError) as caught:
            backend.loads(form)
        assert (caught.value.path, caught.value.type_name) == ("$", "JSON")
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own bytes


@each_backend
@pytest.mark.parametrize("text", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc3', b"\xff\xfe1\x00", b'"\xc0\xaf"'], ids=repr)
def test_bytes_that_are_not_utf8_are_a_decode_error(backend: JSONBackend, text: bytes) -> None:
    with pytest.raises(DecodeError):
        backend.loads(text)


@each_backend
def test_the_excerpt_is_short(backend: JSONBackend) -> None:
    with pytest.raises(DecodeError) as caught:
        backend.loads(b"x" * 10_000)
    assert len(caught.value.excerpt) < 100
    assert len(str(caught.value)) < 300


@each_backend
def test_a_large_integer_is_exact_wherever_it_is_in_a_long_text(backend: JSONBackend) -> None:
    number = 2**64 + 1
    for before in range(256 * 1024 - 60, 256 * 1024 + 4):  # around the end of what is looked at together
        read = backend.loads(b'["' + b"x" * before + b'",' + str(number).encode() + b',"' + b"y" * 1000 + b'"]')
        assert read[1] == number


# --- nesting ----------------------------------------------------------------------------------------------------------


@each_backend
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("depth", [300, 5_000, 200_000])
def test_deep_nesting_is_a_limit(backend: JSONBackend, opening: str, closing: str, depth: int) -> None:
    with pytest.raises(LimitExceeded) as caught:
        backend.loads(opening * depth + "1" + closing * depth)
    assert (caught.value.limit, caught.value.maximum) == ("max_nesting", 256)
    with pytest.raises((LimitExceeded, DecodeError)):
        backend.loads(opening * depth)


@each_backend
def test_the_limit_is_the_callers(backend: JSONBackend) -> None:
    text = '[{"a": [' + "1, " * 20 + "1]}]"
    assert backend.loads(text, max_nesting=3) == json.loads(text)
    with pytest.raises(LimitExceeded):
        backend.loads(text, max_nesting=2)


@each_backend
def test_brackets_in_strings_do_not_count_as_nesting(backend: JSONBackend) -> None:
    value = ["[" * 1000, '"[{\\' * 1000, {"[" * 300: "\\"}]
    assert backend.loads(json.dumps(value)) == value


def test_brackets_side_by_side_do_not_count_as_nesting() -> None:
    check_structure("[" + "[]," * 10_000 + "[]]", 2)
    with pytest.raises(LimitExceeded):
        check_structure("[" + "[[]]," * 10_000 + "[]]", 2)


@pytest.mark.parametrize("quote", ['\\"', "\\\\", "x"], ids=["quotes", "backslashes", "letters"])
@pytest.mark.parametrize("end", ["", "\\"], ids=["open", "in an escape"])
def test_a_string_that_never_ends_is_read_in_proportion_to_its_length(quote: str, end: str) -> None:
    def cost(size: int) -> float:
        text = "[" + "[]," * 300 + '"' + quote * size + end
        began = time.process_time()
        check_structure(text, 256)
        return time.process_time() - began

    # Eight times as long; if each quote began another search, 64 times.
    assert cost(16_000) < 24 * max(cost(2_000), 0.005)


# --- writing ----------------------------------------------------------------------------------------------------------


@each_backend
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, 1.0, True, None], "a": "\u00e9\u2028"}, '{"b":[1,1.0,true,null],"a":"\u00e9\u2028"}'),
        ("\ud800 \u00e9", r'"\ud800 \u00e9"'),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        ([], "[]"),
        (-0.0, "-0.0"),
    ],
)
def test_writing(backend: JSONBackend, value: Any, text: str) -> None:
    assert backend.dumps(value) == text.encode()


def test_compact_text_has_what_python_reads_and_others_do_not() -> None:
    assert compact({"a": [math.nan, -math.inf, "é\ud800"]}) == '{"a":[NaN,-Infinity,"é\ud800"]}'


@each_backend
def test_what_is_written_takes_no_more_memory_than_its_bytes(backend: JSONBackend) -> None:
    value = {"type": "response.output_text.delta", "delta": "x" * 200}
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [backend.dumps(value) for _ in range(100)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(kept) < 2 * len(kept[0])


@each_backend
@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", 1j], ids=lambda value: type(value).__name__)
def test_a_value_that_json_lacks_is_an_encode_error(backend: JSONBackend, value: Any) -> None:
    with pytest.raises(EncodeError):
        backend.dumps(value)


@each_backend
def test_nesting_beyond_the_stack_is_an_encode_error(backend: JSONBackend) -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(EncodeError):
        backend.dumps(value)
    while value:
        value = value[0]  # taken apart from the outside: freeing it whole would need as deep a stack


@each_backend
def test_nesting_up_to_the_limit_is_written(backend: JSONBackend) -> None:
    value: list[Any] = []
    for _ in range(255):
        value = [value]
    assert backend.loads(backend.dumps(value)) == value


# --- both -------------------------------------------------------------------------------------------------------------

ANY_CHARACTER = st.characters(exclude_categories=())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ANY_CHARACTER, max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(ANY_CHARACTER, max_size=4), inner, max_size=4),
    max_leaves=12,
)
NEARLY_JSON = st.text(alphabet='[]{}":,0123456789.eE+-\\utrfalsn \n\ud800\u00e9\ufeff', max_size=24)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_both_back_ends_write_what_both_read(value: Any) -> None:
    read = {outcome(reader, writer.dumps(value)) for writer in BACKENDS for reader in BACKENDS}
    assert len(read) == 1
    assert read.pop()[0] == "value"


@settings(max_examples=500, deadline=None)
@given(NEARLY_JSON | VALUES.map(json.dumps) | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False, indent=1)))
@example('{"a":1e400}')
@example('"\\ud800\\udc00"')
def test_both_back_ends_agree_on_any_text(text: str) -> None:
    assert len({outcome(backend, text) for backend in BACKENDS}) == 1
    data = text.encode("utf-8", "surrogatepass")
    assert len({outcome(backend, data) for backend in BACKENDS}) == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=24))
def test_both_back_ends_agree_on_any_bytes(data: bytes) -> None:
    assert len({outcome(backend, data) for backend in BACKENDS}) == 1


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_exactly(number: float) -> None:
    for backend in BACKENDS:
        back = backend.loads(backend.dumps(number))
        assert type(back) is float
        assert (back, math.copysign(1, back)) == (number, math.copysign(1, number))


def test_orjson_is_the_default_where_it_is_installed() -> None:
    assert default_backend() is (STDLIB if ORJSON is None else ORJSON)
    assert [backend.name for backend in BACKENDS] == ["stdlib", "orjson"][: len(BACKENDS)]


@each_backend
def test_a_value_instead_of_text_is_a_usage_error(backend: JSONBackend) -> None:
    value: Any = {"type": "message"}
    with pytest.raises(UsageError, match=r"JSON text must be str or bytes, got dict: use load\(\) for a value"):
        backend.loads(value)


def test_without_orjson_the_standard_library_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)  # as if it was not installed
    spec = importlib.util.spec_from_file_location(
        "responses_proto.codec._json_alone", check_structure.__code__.co_filename
    )
    assert spec is not None
    assert spec.loader is not None
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert (alone.ORJSON, alone.default_backend()) == (None, alone.STDLIB)
    assert alone.default_backend().loads(b'{"a": [1, 2.5]}') == {"a": [1, 2.5]}


# --- numbers ----------------------------------------------------------------------------------------------------------

NUMBERS = (
    st.integers(-(2**200), 2**200)
    | st.sampled_from([sign * (2**n + d) for n in (31, 53, 63, 64, 65) for d in (-1, 0, 1) for sign in (1, -1)])
    | st.floats(allow_nan=False, allow_infinity=False)
)
ANY_JSON = st.recursive(
    NUMBERS | st.text() | st.from_regex(r"[0-9]{15,40}", fullmatch=True) | st.none() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@each_backend
@given(ANY_JSON, st.sampled_from([None, 2]))
def test_numbers_come_back_as_they_were(backend: JSONBackend, value: Any, indent: int | None) -> None:
    for text in (backend.dumps(value), json.dumps(value, indent=indent), json.dumps(value, indent=indent).encode()):
        assert repr(backend.loads(text)) == repr(value)  # an integer and a float may be equal


@given(ANY_JSON)
def test_every_back_end_reads_what_another_wrote(value: Any) -> None:
    for writer in BACKENDS:
        assert {repr(reader.loads(writer.dumps(value))) for reader in BACKENDS} == {repr(value)}


@each_backend
@pytest.mark.parametrize(
    "text", ["[{}]", "[ [ ] , { } ]", '{"a": [1, "x,[{"], "b": {}}', '["", "", 1]', "7", '["a,b"]']
)
def test_values_are_counted_exactly(backend: JSONBackend, text: str) -> None:
    def count(value: Any) -> int:
        if isinstance(value, dict):
            value = [*cast("Any", value).values()]
        return 1 + (sum(map(count, cast("Any", value))) if isinstance(value, list) else 0)

    value = json.loads(text)
    assert backend.loads(text, max_values=count(value)) == value
    if count(value) > 1:
        with pytest.raises(LimitExceeded) as caught:
            backend.loads(text, max_values=count(value) - 1)
        assert (caught.value.limit, caught.value.value) == ("max_json_values", count(value))


@pytest.mark.parametrize("text", ["[" + "{}," * 10**6 + "1]", "[" + "1," * 10**6 + "1]"], ids=["objects", "numbers"])
def test_there_is_a_bound_by_default(text: str) -> None:
    with pytest.raises(LimitExceeded, match="max_json_values"):
        default_backend().loads(text)
    assert default_backend().loads('"' + text.replace('"', "") + '"')


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("5", 1),
        ("[]", 1),
        ("[1, 2, 3]", 4),
        ('{"a": 1, "b": [2]}', 4),
        ('["a,b", "{[,", "\\\\", "\\",["]', 5),
        ('["a, b, c', 2),  # without its end
        ('["a\\', 2),
    ],
)
def test_values_are_counted_without_reading_them(text: str, count: int) -> None:
    padding = b" " * 100
    assert has_more_values(padding + text.encode(), count - 1 or 1) or count == 1
    assert not has_more_values(padding + text.encode(), count + 2)
