"""The decoder understands what providers say, in whatever way they write it and wherever the bytes are cut."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from tests.chat.said import decode, decode_bytes, profile_of, said_by, said_in

from responses_proto.chat import ChatDecoder, to_chat
from responses_proto.chat.profiles import OPENAI
from responses_proto.limits import Limits
from responses_proto.models import CreateResponse, FunctionCallOutput, Message
from responses_proto.protocol import Emitter
from responses_proto.testing import CHAT_DIALECTS, ChatCall, ChatDialect, ChatTurn
from responses_proto.testing.strategies import ChatStream, chat_streams, damaged, json_values

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
@given(damaged(_frames) | st.binary(max_size=60).map(lambda data: b"data: " + data))
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


def flood(**fields: Any) -> _Wire:
    return {"choices": [{"index": 0, "delta": fields}]}


FLOODS: Final[Mapping[str, Callable[[int], _Wire]]] = {
    "text": lambda _: flood(content="a "),
    "white space": lambda _: flood(content=" "),
    "reasoning": lambda _: flood(reasoning="a"),
    "details": lambda _: flood(
        reasoning_details=[{"type": "reasoning.text", "text": "a", "index": 0, "signature": "s"}]
    ),
    "text and reasoning": lambda at: flood(content="a") if at % 2 else flood(reasoning="a"),
    "text and refusal": lambda at: flood(content="a") if at % 2 else flood(refusal="a"),
    "arguments": lambda _: flood(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "a"}}]),
    "arguments with the name": lambda _: flood(tool_calls=[{"function": {"name": "f", "arguments": "{"}}]),
    "names": lambda at: flood(tool_calls=[{"index": 0, "function": {"name": f"{at} "}}]),
    "calls": lambda at: flood(tool_calls=[{"index": at, "function": {"name": "f", "arguments": "{}"}}]),
    "calls without a name": lambda at: flood(tool_calls=[{"index": at, "id": f"{at}"}]),
    "ids": lambda at: flood(tool_calls=[{"index": 0, "id": f"{at}", "function": {"arguments": "a"}}]),
    "audio": lambda _: flood(audio={"data": "QUJD"}),
    "citations": lambda _: flood(content="a", annotations=[{"type": "url_citation", "url": "u"}]),
    "usage": lambda at: {"choices": [], "usage": {f"k{at}": at, "prompt_tokens": at}},
    "log probabilities": lambda _: {"choices": [{"delta": {"content": ""}, "logprobs": {"content": [{"token": "a"}]}}]},
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_the_same_for_each_chunk(name: str) -> None:
    limits = Limits(max_output_items=10**6, max_content_parts=10**6)
    profile = attrs.evolve(OPENAI, think_tags=(("<think>", "</think>"),))

    def cost_of(size: int) -> float:
        chunks = [FLOODS[name](at) for at in range(size)]
        emitter = Emitter(CreateResponse(model="m", input="x"), now=1)
        emitter.start()
        decoder = ChatDecoder(emitter, CreateResponse(model="m", input="x"), (), profile, limits=limits)
        begun = time.process_time()
        for chunk in chunks:
            decoder.receive_chunk(chunk)
        decoder.receive_eof()
        return time.process_time() - begun

    # Eight times the chunks: 64 times the time, if the cost were quadratic. Noise does not come three times.
    measured = ((cost_of(250), cost_of(2000)) for _ in range(3))
    assert any(more <= max(once, 0.002) * 24 for once, more in measured)


# ---- what came back goes back


@settings(max_examples=60)
@given(chat_streams(dialects=[ChatDialect(), ChatDialect(reasoning="both")]))
def test_a_turn_goes_back_to_the_provider_as_it_came(stream: ChatStream) -> None:
    turn = attrs.evolve(
        stream.turn, error=None, finish_reason="stop", images=(), audio=(), citations=(), logprobs=False
    )
    stream = ChatStream(turn, stream.dialect)
    response = decode_bytes(stream, [stream.body]).response
    outputs = [FunctionCallOutput(call_id=call.call_id, output="x") for call in response.function_calls]
    profile = attrs.evolve(OPENAI, reasoning="reasoning_details" if turn.sealed else "reasoning_content")
    user = Message(role="user", content="Hello")
    sent = to_chat(stream.request, [user, *response.output, *outputs], profile)["messages"][1:]
    if not (turn.text or turn.refusal or turn.calls):
        assert sent == []
        return
    expected = stream.completion["choices"][0]["message"]
    for call in expected.get("tool_calls", ()):
        call["function"]["arguments"] = call["function"]["arguments"] or "{}"
    if turn.sealed:
        assert sent[0]["reasoning_details"] == [
            {**expected["reasoning_details"][0], "text": "".join(turn.reasoning)},
            expected["reasoning_details"][-1],
        ]
        sent[0]["reasoning_details"] = expected["reasoning_details"]
        sent[0]["reasoning"] = expected["reasoning"]
    elif turn.reasoning and stream.dialect.reasoning == "both":
        expected["reasoning_content"] = expected.pop("reasoning")
        del expected["reasoning_details"]
    assert sent[0] == expected
    assert [message["tool_call_id"] for message in sent[1:]] == [call["id"] for call in expected.get("tool_calls", ())]
