"""The decoder understands what providers say, in whatever way they write it and wherever the bytes are cut."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from tests.chat.said import decode, decode_bytes, profile_of, said_by, said_in

from responses_proto.chat import ChatDecoder
from responses_proto.models import CreateResponse
from responses_proto.protocol import Emitter
from responses_proto.testing import CHAT_DIALECTS, ChatCall, ChatDialect, ChatTurn
from responses_proto.testing.strategies import ChatStream, chat_streams, damaged_streams, json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Wire: TypeAlias = dict[str, Any]

RICH: Final = ChatTurn(
    text=("Hello", ", ", "wörld 😀", "."),
    reasoning=("Let", " me", " see."),
    refusal=("No", "."),
    calls=(
        ChatCall(name="get_weather", arguments=('{"a":', "1}"), id="call_0", signature="c2ln"),
        ChatCall(name="search", arguments=("{}",), id="call_1"),
    ),
    logprobs=True,
    citations=(("https://example.org", "Example", 0, 5),),
    images=("data:image/png;base64,AAAA",),
    usage={"input": 9, "output": 20, "cached": 4, "reasoning": 0},
)
"""A turn that says something of everything that a stream can say, but audio."""


def stream_in(name: str) -> ChatStream:
    dialect = CHAT_DIALECTS[name]
    return ChatStream(attrs.evolve(RICH, sealed="c2VhbA" if dialect.reasoning == "both" else ""), dialect)


@settings(max_examples=100)
@given(chat_streams(), st.data())
def test_a_decoded_stream_says_what_the_stream_says(stream: ChatStream, data: st.DataObject) -> None:
    body = stream.body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert said_in(decode_bytes(stream, pieces)) == said_by(stream.turn)


@settings(max_examples=50)
@given(chat_streams())
def test_a_whole_completion_says_the_same(stream: ChatStream) -> None:
    turn = attrs.evolve(stream.turn, finish_reason=stream.turn.finish_reason or "stop")
    stream = ChatStream(turn, attrs.evolve(stream.dialect, legacy_logprobs=False))
    whole = stream.completion
    for decoded in (
        decode(lambda decoder: decoder.receive_completion(whole), stream.request, profile=profile_of(stream)),
        decode_bytes(stream, [json.dumps(whole).encode()]),
    ):
        found = said_in(decoded)
        expected = said_by(turn)
        if turn.error is not None:  # a completion is an answer or an error
            assert found["error"] == "broken"
        else:
            assert found == expected


@pytest.mark.parametrize("name", CHAT_DIALECTS)
def test_bytes_may_come_one_by_one(name: str) -> None:
    stream = stream_in(name)
    decoded = decode_bytes(stream, [bytes([byte]) for byte in stream.body])
    assert said_in(decoded) == said_by(stream.turn)


def test_a_body_may_be_cut_at_every_byte() -> None:
    call = ChatCall(name="get_weather", arguments=("{", "}"), id="call_0")
    turn = ChatTurn(text=("é",), reasoning=("😀",), calls=(call,), logprobs=True)
    stream = ChatStream(turn, CHAT_DIALECTS["openrouter"])
    body = stream.body
    numbers = iter(range(10**9))

    def events(*pieces: bytes) -> list[str]:
        emitter = Emitter(stream.request, now=1, ids=lambda prefix: f"{prefix}_{next(numbers)}")
        emitter.start()
        decoder = ChatDecoder(emitter, stream.request, (), profile_of(stream))
        found = [event for piece in pieces for event in decoder.receive_data(piece)] + decoder.receive_eof()
        return [event.type for event in found]

    whole = events(body)
    assert [cut for cut in range(len(body)) if events(body[:cut], body[cut:]) != whole] == []


# ---- a test that cannot fail shows nothing: each loss is found


def deltas_of(chunk: _Wire) -> list[_Wire]:
    choices: list[_Wire] = chunk.get("choices") or []
    return [choice.get("delta") or {} for choice in choices]


def in_deltas(*names: str) -> Callable[[_Wire], None]:
    """Return what removes these fields from deltas."""

    def remove(chunk: _Wire) -> None:
        for delta in deltas_of(chunk):
            for name in names:
                delta.pop(name, None)

    return remove


def in_calls(path: str) -> Callable[[_Wire], None]:
    """Return what removes a field from calls, or from their functions."""

    def remove(chunk: _Wire) -> None:
        for delta in deltas_of(chunk):
            calls: list[_Wire] = delta.get("tool_calls") or []
            for call in calls:
                holder: _Wire = call.get("function", {}) if path in ("name", "arguments") else call
                holder.pop(path, None)

    return remove


def in_choices(name: str) -> Callable[[_Wire], None]:
    def remove(chunk: _Wire) -> None:
        for choice in chunk.get("choices") or ():
            choice.pop(name, None)

    return remove


def in_usage(*path: str) -> Callable[[_Wire], None]:
    def remove(chunk: _Wire) -> None:
        holder: Any = chunk.get("usage") or {}
        for name in path[:-1]:
            holder = holder.get(name) or {}
        holder.pop(path[-1], None)

    return remove


LOSSES: Final[Mapping[str, Callable[[_Wire], object]]] = {
    "text": in_deltas("content"),
    "reasoning": in_deltas("reasoning_content", "reasoning", "reasoning_details"),
    "sealed": in_deltas("reasoning_details"),
    "refusal": in_deltas("refusal"),
    "citations": in_deltas("annotations"),
    "images": in_deltas("images"),
    "audio": in_deltas("audio"),
    "calls": in_deltas("tool_calls"),
    "old call": in_deltas("function_call"),
    "id": in_calls("id"),
    "name": in_calls("name"),
    "arguments": in_calls("arguments"),
    "signature": in_calls("extra_content"),
    "logprobs": in_choices("logprobs"),
    "finish_reason": in_choices("finish_reason"),
    "usage": lambda chunk: chunk.pop("usage", None),
    "input tokens": in_usage("prompt_tokens"),
    "output tokens": in_usage("completion_tokens"),
    "cached tokens": in_usage("prompt_tokens_details", "cached_tokens"),
    "reasoning tokens": in_usage("completion_tokens_details", "reasoning_tokens"),
    "error": lambda chunk: chunk.pop("error", None),
}


_WITH_ALL: Final = (CHAT_DIALECTS["openai"], CHAT_DIALECTS["openrouter"], ChatDialect(calls="legacy"))
"""Dialects that together have every field."""


@pytest.mark.parametrize("loss", LOSSES)
def test_a_planted_loss_of_any_field_is_found(loss: str) -> None:
    def is_found(stream: ChatStream) -> bool:
        chunks = copy.deepcopy(stream.chunks)
        for chunk in chunks:
            LOSSES[loss](chunk)
        decoded = decode(
            lambda decoder: [event for chunk in chunks for event in decoder.receive_chunk(chunk)],
            stream.request,
            profile=profile_of(stream),
        )
        return said_in(decoded) != said_by(stream.turn)

    # Of streams that say how they end, so that without a loss nothing would be found.
    streams = chat_streams(dialects=_WITH_ALL).filter(lambda stream: stream.turn.finish_reason is not None)
    checks = [HealthCheck.filter_too_much, HealthCheck.too_slow]
    quick = settings(max_examples=300, database=None, phases=[Phase.generate], suppress_health_check=checks)
    try:
        find(streams, is_found, settings=quick)
    except NoSuchExample:  # pragma: no cover - the test fails
        pytest.fail(f"the loss of {loss} is not found")


# ---- anything may come


def end_of(data: bytes) -> ChatDecoder:
    """Return the decoder of these bytes at its end."""
    request = CreateResponse(model="m", input="x")
    emitter = Emitter(request, now=1)
    emitter.start()
    decoder = ChatDecoder(emitter, request)
    decoder.receive_data(data)
    decoder.receive_eof()
    return decoder


_frames: Final = chat_streams().map(lambda stream: [frame + b"\n\n" for frame in stream.body.split(b"\n\n")[:-1]])


@settings(max_examples=60)
@given(damaged_streams(_frames) | st.binary(max_size=60).map(lambda data: b"data: " + data))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    assert end_of(data).ended


_FIELDS: Final = ("choices", "delta", "message", "content", "reasoning", "reasoning_details", "tool_calls", "function", "function_call", "name", "arguments", "id", "index", "logprobs", "top_logprobs", "tokens", "token_logprobs", "usage", "prompt_tokens_details", "total_tokens", "audio", "images", "image_url", "annotations", "url_citation", "type", "text", "finish_reason", "error", "refusal", "extra_content", "custom", "input", "x_groq", "timings", "predicted_n")  # fmt: skip
_shapes: Final[st.SearchStrategy[Any]] = st.recursive(
    json_values(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=150)
@given(
    st.lists(st.dictionaries(st.sampled_from(_FIELDS), _shapes, max_size=5), max_size=4), st.lists(_shapes, max_size=3)
)
def test_no_json_makes_it_raise(chunks: list[_Wire], deltas: list[Any]) -> None:
    request = CreateResponse(model="m", input="x")
    emitter = Emitter(request, now=1)
    emitter.start()
    decoder = ChatDecoder(emitter, request)
    for delta in deltas:
        decoder.receive_chunk({"choices": [{"delta": delta, "logprobs": delta}]})
        decoder.receive_chunk({"choices": [{"delta": {"content": delta, "tool_calls": [{"function": delta}]}}]})
    for chunk in chunks:
        decoder.receive_chunk(chunk)
    decoder.receive_eof()
    assert decoder.ended
    _ = decoder.usage
