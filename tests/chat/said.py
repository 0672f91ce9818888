"""What a provider says, in a form that can be compared: as a turn states it, and as a response has it after decoding."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import attrs

from responses_proto.chat import ChatDecoder, ChatProfile
from responses_proto.chat._messages import DETAILS_PREFIX
from responses_proto.chat.profiles import OPENAI
from responses_proto.codec import dump
from responses_proto.models import FunctionCall, ImageGenerationCall, Message, OutputText, Reasoning, UrlCitation
from responses_proto.protocol import Accumulator, Emitter, encode_stream
from responses_proto.testing import check_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from responses_proto.models import CreateResponse, Event, Item, Response
    from responses_proto.testing import ChatTurn
    from responses_proto.testing.strategies import ChatStream


@attrs.define
class Decoded:
    """A decoded turn: the decoder at its end, the events, and what a client makes of them."""

    decoder: ChatDecoder
    events: list[Event]
    accumulator: Accumulator

    @property
    def response(self) -> Response:
        return self.accumulator.response


def profile_of(stream: ChatStream) -> ChatProfile:
    return attrs.evolve(OPENAI, think_tags=(stream.dialect.tags,))


def decode(
    feed: Callable[[ChatDecoder], Iterable[Event]],
    request: CreateResponse,
    *,
    context: Sequence[Item] = (),
    profile: ChatProfile = OPENAI,
    **options: Any,
) -> Decoded:
    """Decode what ``feed`` gives the decoder, end the response as a bridge would, and check that the events conform."""
    emitter = Emitter(request, now=1.0)
    events = emitter.start()
    decoder = ChatDecoder(emitter, request, context, profile, **options)
    events += feed(decoder)
    events += decoder.receive_eof()
    assert decoder.ended
    for call in decoder.mcp_calls:
        if call.writer is not None:
            events += call.writer.done()
    if decoder.error is not None:
        events += emitter.fail("server_error", decoder.error.message, usage=decoder.usage)
    elif decoder.incomplete_reason is not None:
        events += emitter.incomplete(decoder.incomplete_reason, decoder.usage)
    else:
        events += emitter.complete(decoder.usage)
    accumulator = Accumulator()
    for event in events:
        accumulator.push(event)
    report = check_stream(encode_stream(events))
    assert report.ok, report
    return Decoded(decoder, events, accumulator)


def decode_bytes(stream: ChatStream, pieces: Iterable[bytes]) -> Decoded:
    """Decode a stream whose body arrives in these pieces."""
    return decode(
        lambda decoder: [event for piece in pieces for event in decoder.receive_data(piece)],
        stream.request,
        profile=profile_of(stream),
    )


def said_by(turn: ChatTurn) -> dict[str, Any]:
    """Return what a turn says."""
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(turn.finish_reason or "")
    usage = turn.usage
    error = "broken" if turn.error is not None else None
    if turn.error is None and turn.finish_reason is None:
        error = "The provider's answer ended in the middle."
    has_more = any((turn.text, turn.refusal, turn.calls, turn.images, turn.audio))
    return {
        "text": "".join(turn.text),
        "reasoning": "".join(turn.reasoning),
        # Reasoning that is cut off is not kept for the provider.
        "sealed": turn.sealed if has_more or (error is None and reason is None) else "",
        "refusal": "".join(turn.refusal),
        "calls": [(call.name, "".join(call.arguments) or "{}", call.signature) for call in turn.calls],
        "ids": [call.id for call in turn.calls if call.id],
        "logprobs": [(piece, -float(at) - 0.5) for at, piece in enumerate(turn.text)] if turn.logprobs else [],
        "citations": [*turn.citations],
        "images": [*turn.images],
        "audio": "".join(turn.audio),
        "transcript": "".join(turn.text) if turn.audio else "",
        "reason": reason if error is None else None,
        "usage": (usage["input"], usage["output"], usage["cached"], usage["reasoning"])
        if usage and turn.error is None
        else None,
        "error": error,
    }


def said_in(decoded: Decoded) -> dict[str, Any]:
    """Return what a decoded turn says, in the same form."""
    response = decoded.response
    kinds = [item.type for item in response.output if item.type in ("message", "reasoning")]
    assert all(one != next_one for one, next_one in itertools.pairwise(kinds)), kinds  # items are not cut in two
    parts = [
        part
        for item in response.output
        if isinstance(item, Message) and not isinstance(item.content, str)
        for part in item.content
        if isinstance(part, OutputText)
    ]
    calls = [item for item in response.output if isinstance(item, FunctionCall)]
    images = [item for item in response.output if isinstance(item, ImageGenerationCall)]
    usage = response.usage
    return {
        "text": response.output_text,
        "reasoning": "".join(
            part.text for item in response.output if item.type == "reasoning" for part in dump_parts(item)
        ),
        "sealed": sealed_in(response),
        "refusal": response.refusal,
        "calls": [(call.name, call.arguments, signature_of(call)) for call in calls],
        "ids": [call.call_id for call in calls if not call.call_id.startswith("call_") or len(call.call_id) < 20],
        "logprobs": [(one.token, one.logprob) for part in parts for one in part.logprobs or ()],
        "citations": [
            (one.url, one.title, one.start_index, one.end_index)
            for part in parts
            for one in part.annotations or ()
            if isinstance(one, UrlCitation)
        ],
        "images": [
            image.extra.get("image_url") or f"data:image/{image.output_format};base64,{image.result}"
            for image in images
        ],
        "audio": decoded.accumulator.audio,
        "transcript": decoded.accumulator.audio_transcript,
        "reason": response.incomplete_details.reason if response.incomplete_details else None,
        "usage": usage
        and (
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens_details.reasoning_tokens,
        ),
        "error": response.error.message if response.error else None,
    }


def dump_parts(item: Any) -> list[Any]:
    return item.content or []


def signature_of(call: FunctionCall) -> str:
    extra: Any = dump(call).get("extra_content") or {}
    return str(extra.get("google", {}).get("thought_signature", ""))


def sealed_in(response: Response) -> str:
    """Return what the provider wants back with its reasoning."""
    kept = [
        item.encrypted_content for item in response.output if isinstance(item, Reasoning) and item.encrypted_content
    ]
    details = [detail for text in kept for detail in json.loads(text.removeprefix(DETAILS_PREFIX))]
    return "".join(detail.get("data", "") for detail in details)
