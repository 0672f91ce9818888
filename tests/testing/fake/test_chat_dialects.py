"""What a turn says, in whatever way a provider writes it."""

from __future__ import annotations

import json
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_proto.testing import CHAT_DIALECTS, ChatCall, ChatDialect, ChatTurn
from responses_proto.testing.fake.chat_dialects import (
    CallStyle,
    ReasoningStyle,
    UsageStyle,
    completed,
    write_chunks,
    write_completion,
)

CALLS = (ChatCall(name="f", arguments=('{"a"', ":1}"), id="c1"), ChatCall(name="g", id="c2"))
USAGE = {"input": 9, "output": 6, "cached": 4, "reasoning": 2}
each_dialect = pytest.mark.parametrize("dialect", CHAT_DIALECTS.values(), ids=CHAT_DIALECTS)


def deltas_of(turn: ChatTurn, dialect: ChatDialect) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in write_chunks(turn, dialect) for choice in chunk.get("choices") or ()]


def calls_of(style: CallStyle, calls: tuple[ChatCall, ...] = CALLS) -> list[dict[str, Any]]:
    deltas = deltas_of(ChatTurn(calls=calls), ChatDialect(calls=style))
    return [call for delta in deltas for call in delta.get("tool_calls") or ()]


def function(call: dict[str, Any]) -> tuple[str | None, Any]:
    return call["function"].get("name"), call["function"].get("arguments")


# ---- turns


def test_a_text_is_one_piece() -> None:
    turn = ChatTurn(text="Hello.", reasoning="Hm.", refusal="No.", calls=(ChatCall(name="f", arguments='{"x":1}'),))
    assert (turn.text, turn.reasoning, turn.refusal) == (("Hello.",), ("Hm.",), ("No.",))
    assert turn.calls[0].arguments == ('{"x":1}',)
    assert completed("One two.") == ChatTurn.say("One two.")
    assert completed(turn) is turn


# ---- texts


@given(st.lists(st.text(min_size=1), max_size=4), st.lists(st.text(min_size=1), max_size=4), st.data())
def test_every_dialect_says_the_whole_text_and_refusal(
    text: list[str], refusal: list[str], data: st.DataObject
) -> None:
    dialect = data.draw(st.sampled_from([*CHAT_DIALECTS.values(), ChatDialect(text_parts=True)]))
    turn = ChatTurn(text=tuple(text), refusal=tuple(refusal))
    said: list[str] = []
    for delta in deltas_of(turn, dialect):
        content = delta.get("content") or ""
        said.append(content if isinstance(content, str) else "".join(part["text"] for part in content))
    assert "".join(said) == "".join(text)
    assert "".join(delta.get("refusal") or "" for delta in deltas_of(turn, dialect)) == "".join(refusal)


@pytest.mark.parametrize(
    ("style", "wanted"),
    [
        ("reasoning_content", [{"reasoning_content": "Hm"}, {"reasoning_content": "."}]),
        ("reasoning", [{"reasoning": "Hm"}, {"reasoning": "."}]),
        ("tags", [{"content": piece} for piece in (*"<think>", "Hm", ".", *"</think>")]),
        (
            "parts",
            [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": t}]}]} for t in ("Hm", ".")],
        ),
    ],
)
def test_reasoning_is_where_the_style_says(style: ReasoningStyle, wanted: list[dict[str, Any]]) -> None:
    dialect = ChatDialect(reasoning=style, role="never")
    assert deltas_of(ChatTurn(reasoning=("Hm", ".")), dialect)[:-1] == wanted


@pytest.mark.parametrize("style", ["details", "both"])
def test_sealed_reasoning_comes_after_what_can_be_read(style: ReasoningStyle) -> None:
    deltas = deltas_of(ChatTurn(reasoning=("Hm",), sealed="xyz"), ChatDialect(reasoning=style, role="never"))[:-1]
    assert [delta["reasoning_details"][0].get("text") for delta in deltas] == ["Hm", None]
    assert deltas[1]["reasoning_details"][0]["data"] == "xyz"
    assert [delta.get("reasoning") for delta in deltas] == (["Hm", None] if style == "both" else [None, None])


# ---- calls


@pytest.mark.parametrize("style", [style for style in get_args(CallStyle) if style != "legacy"])
def test_calls_are_whole_in_every_style(style: CallStyle) -> None:
    by_place: dict[Any, list[Any]] = {}
    for number, call in enumerate(calls_of(style)):
        name, arguments = function(call)
        # Where there is neither an index nor an id, a name begins another call.
        place = len(by_place) - (not name) if style in ("bare", "zero_bare", "unnumbered", "zero") else None
        place = call.get("index", call.get("id", number)) if place is None else place
        told = by_place.setdefault(place, ["", ""])
        told[0] = name or told[0]
        if style == "growing":
            told[1] = ""
        told[1] += json.dumps(arguments, separators=(",", ":")) if isinstance(arguments, dict) else arguments
    assert [*by_place.values()] == [["f", '{"a":1}'], ["g", "{}"]]


def test_what_tells_calls_apart_is_what_the_style_says() -> None:
    def told(style: CallStyle, name: str) -> list[Any]:
        return [call.get(name) for call in calls_of(style)]

    assert told("index", "index") == [0, 1, 0, 1, 0]  # side by side
    assert told("index", "id") == ["c1", "c2", None, None, None]
    assert told("id", "index") == [None] * 5
    assert told("id", "id") == ["c1", "c2", "c1", "c2", "c1"]
    assert told("bare", "index") == told("bare", "id") == [None] * 5
    assert told("repeated", "id") == ["c1", "c2", "c1", "c2", "c1"]
    assert told("rotating", "id") == ["c1", "c2", "c1_0", "c2_0", "c1_1"]
    assert told("whole", "index") == [0, 1]
    assert told("zero", "index") == [0, 0]
    assert told("zero_bare", "id") == [None, None]
    assert told("unnumbered", "index") == [None, None]
    assert [function(call)[1] for call in calls_of("objects")] == [{"a": 1}, {}]


def test_the_function_call_of_old_is_one() -> None:
    deltas = deltas_of(ChatTurn(calls=CALLS), ChatDialect(calls="legacy", role="never"))[:-1]
    assert [delta["function_call"] for delta in deltas] == [
        {"name": "f", "arguments": ""},
        {"arguments": '{"a"'},
        {"arguments": ":1}"},
    ]


def test_a_name_may_come_in_two_pieces_and_a_call_with_a_signature() -> None:
    call = ChatCall(name="weather", id="c", signature="c2ln")
    deltas = deltas_of(ChatTurn(calls=(call,)), ChatDialect(pieces_of_names=True))
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls") or ()]
    assert [piece["function"].get("name") for piece in pieces] == ["wea", "ther", None]
    assert pieces[0]["extra_content"]["google"]["thought_signature"] == "c2ln"


# ---- ends and usage


@each_dialect
def test_the_last_reason_says_how_the_turn_ended(dialect: ChatDialect) -> None:
    def reasons(turn: ChatTurn) -> list[str]:
        chunks = write_chunks(turn, dialect)
        return [found for chunk in chunks for choice in chunk["choices"] if (found := choice["finish_reason"])]

    assert reasons(ChatTurn(text="x")) == ["stop"]
    assert reasons(ChatTurn(text="x", finish_reason="length")) == ["length"]
    assert reasons(ChatTurn(text="x", finish_reason=None)) == []
    assert reasons(ChatTurn(calls=CALLS)) == ["stop" if dialect.name == "gemini" else "tool_calls"]


@pytest.mark.parametrize("style", get_args(UsageStyle))
def test_the_usage_is_where_the_style_says(style: UsageStyle) -> None:
    chunks = write_chunks(ChatTurn(text=("a", "b"), usage=USAGE), ChatDialect(usage=style))
    last = chunks[-1]
    places: dict[str, Any] = {
        "last": last.get("usage"),
        "finish": last.get("usage"),
        "each": last.get("usage"),
        "x_groq": last.get("x_groq", {}).get("usage"),
        "timings": last.get("timings"),
        "choice": last["choices"][0].get("usage") if last["choices"] else None,
    }
    found = places[style]
    if style == "timings":
        assert found == {"prompt_n": 5, "cache_n": 4, "predicted_n": 6}
    else:
        assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (9, 6, 15)
        assert found["prompt_tokens_details"] == {"cached_tokens": 4}
    assert (last["choices"] == []) is (style in ("last", "timings"))
    counted = sum("usage" in chunk for chunk in chunks)
    assert counted == {"each": len(chunks), "last": 1, "finish": 1}.get(style, 0)
    assert not any("usage" in chunk for chunk in write_chunks(ChatTurn(text="a", usage=None), ChatDialect(usage=style)))


def test_tokens_of_reasoning_may_be_beside_the_output_and_cached_ones_elsewhere() -> None:
    turn = ChatTurn(text="a", usage=USAGE)
    beside = write_chunks(turn, ChatDialect(reasoning_beside=True))[-1]["usage"]
    assert (beside["completion_tokens"], beside["total_tokens"]) == (4, 15)
    assert "completion_tokens_details" not in beside
    elsewhere = write_chunks(turn, ChatDialect(cached="prompt_cache_hit_tokens"))[-1]["usage"]
    assert elsewhere["prompt_cache_hit_tokens"] == 4


# ---- the envelope


def test_roles_and_nulls_are_as_the_dialect_says() -> None:
    turn = ChatTurn(text=("a", "b"))
    roles = {
        style: [delta.get("role") for delta in deltas_of(turn, ChatDialect(role=style))]
        for style in ("first", "each", "never")
    }
    assert roles == {
        "first": ["assistant", None, None, None],
        "each": ["assistant", "assistant", None],
        "never": [None, None, None],
    }
    assert deltas_of(turn, ChatDialect(nulls=True))[1] == {"content": "a", "tool_calls": None, "refusal": None}


def test_log_probabilities_have_the_form_of_the_dialect() -> None:
    turn = ChatTurn(text=("ä", "b"), logprobs=True)
    new = [chunk["choices"][0].get("logprobs") for chunk in write_chunks(turn, ChatDialect(role="never"))[:2]]
    assert [one["content"][0]["token"] for one in new] == ["ä", "b"]
    assert new[0]["content"][0]["bytes"] == [195, 164]
    old = write_chunks(turn, ChatDialect(role="never", legacy_logprobs=True))[1]["choices"][0]["logprobs"]
    assert (old["tokens"], old["token_logprobs"]) == (["b"], [-1.5])


def test_sound_images_and_citations_are_said() -> None:
    turn = ChatTurn(text=("a",), audio=("QQ==",), images=("data:x",), citations=(("https://x", "X", 0, 1),))
    deltas = deltas_of(turn, ChatDialect(role="never"))
    assert deltas[0] == {"audio": {"id": "audio_1", "transcript": "a"}}
    assert deltas[1] == {"audio": {"id": "audio_1", "data": "QQ=="}}
    assert deltas[2]["annotations"][0]["url_citation"]["url"] == "https://x"
    assert deltas[3]["images"][0]["image_url"]["url"] == "data:x"


# ---- completions


@each_dialect
def test_a_completion_says_what_the_stream_says(dialect: ChatDialect) -> None:
    turn = ChatTurn(text=("Hello, ", "world."), calls=CALLS, usage=USAGE, logprobs=not dialect.legacy_logprobs)
    whole = write_completion(turn, dialect, model="m")
    choice = whole["choices"][0]
    assert (whole["object"], whole["model"]) == ("chat.completion", "m")
    assert choice["message"]["content"] == "Hello, world."
    assert [function(call) for call in choice["message"]["tool_calls"]] == [("f", '{"a":1}'), ("g", "{}")]
    assert whole["usage"]["total_tokens"] == 15
    assert ("logprobs" in choice) is not dialect.legacy_logprobs
    old = write_completion(turn, attrs.evolve(dialect, calls="legacy"))["choices"][0]
    assert (old["message"]["function_call"], old["finish_reason"]) == (
        {"name": "f", "arguments": '{"a":1}'},
        "function_call",
    )


@each_dialect
def test_an_error_ends_the_stream_and_stands_for_the_completion(dialect: ChatDialect) -> None:
    turn = ChatTurn(text="Half", error={"error": {"message": "Broken."}})
    assert write_chunks(turn, dialect)[-1] == {"error": {"message": "Broken."}}
    assert write_completion(turn, dialect) == {"error": {"message": "Broken."}}


def test_a_stream_may_end_with_the_whole_message() -> None:
    turn = ChatTurn.say("Hello you.", calls=(ChatCall(name="f", arguments=('{"a"', ":1}")),))
    dialect = ChatDialect(whole_at_end=True)
    *_, last, _ = write_chunks(turn, dialect)
    (choice,) = last["choices"]
    assert choice["message"] == write_completion(turn, dialect)["choices"][0]["message"]


@pytest.mark.parametrize("text_parts", [True, False])
@pytest.mark.parametrize("style", get_args(ReasoningStyle))
def test_a_completion_has_reasoning_and_text_in_every_style(style: ReasoningStyle, *, text_parts: bool) -> None:
    turn = ChatTurn(text=("One", "."), reasoning=("Hm", "."))
    message = write_completion(turn, ChatDialect(reasoning=style, text_parts=text_parts))["choices"][0]["message"]
    said = json.dumps(message)
    assert "One" in said
    assert "Hm" in said
