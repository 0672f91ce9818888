"""The turns of a fake provider of Chat Completions, and the formats in which providers write them.

A :class:`ChatTurn` is the content of a turn; a :class:`ChatDialect` is its format on the wire. The dialects of :data:`CHAT_DIALECTS` are
named after the providers whose streams they resemble. Each field of a dialect is one difference between providers; the fields can be
combined freely.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast

import attrs

from ...codec import default_converter
from ...exceptions import UsageError
from ...protocol.emitter import split_words
from .faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...typing import JSONObject

__all__ = ["CHAT_DIALECTS", "ChatCall", "ChatDialect", "ChatTurn", "completed", "write_chunks", "write_completion"]

_Wire: TypeAlias = dict[str, Any]


# ---- turns


def _pieces(text: str | Iterable[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@attrs.frozen(kw_only=True)
class ChatCall:
    """A call of a tool."""

    name: str
    arguments: tuple[str, ...] = attrs.field(default=("{}",), converter=_pieces)
    """The pieces in which the JSON of the arguments is streamed; a text is one piece."""
    id: str = ""
    """The id of the call; empty if the provider sends none."""
    signature: str = ""
    """Data that the client must return with the call; empty if there is none."""


@attrs.frozen(kw_only=True)
class ChatTurn:
    """The content of one turn. Immutable. A text is given as the pieces in which it is streamed, or as one string."""

    text: tuple[str, ...] = attrs.field(default=(), converter=_pieces)
    reasoning: tuple[str, ...] = attrs.field(default=(), converter=_pieces)
    sealed: str = ""
    """Data that the client must return with the reasoning. Only the styles ``details`` and ``both`` can carry it."""
    refusal: tuple[str, ...] = attrs.field(default=(), converter=_pieces)
    calls: tuple[ChatCall, ...] = ()
    logprobs: bool = False
    """Whether each piece of the text comes with a log probability."""
    citations: tuple[tuple[str, str, int, int], ...] = ()
    """Cited web pages: URL, title, and the span of the text."""
    images: tuple[str, ...] = ()
    """The URLs of images that the model generated."""
    audio: tuple[str, ...] = ()
    """Pieces of audio in Base64. The transcript is ``text``."""
    finish_reason: str | None = "stop"
    """The finish reason; ``None`` if the stream ends without one."""
    usage: Mapping[str, int] | None = attrs.field(
        factory=lambda: {"input": 7, "output": 5, "cached": 0, "reasoning": 0}
    )
    """Numbers of tokens: ``input``, of which ``cached``, and ``output``, of which ``reasoning``; ``None`` if the provider sends none."""
    error: JSONObject | None = None
    """A chunk that ends the turn with an error."""
    faults: tuple[Fault, ...] = ()
    """The faults of the answer."""

    @classmethod
    def say(cls, text: str, **fields: Any) -> Self:
        """Return a turn with this text, one piece for each word. ``fields`` are the other fields of the turn."""
        return cls(text=tuple(split_words(text)), **fields)

    def with_faults(self, *faults: Fault) -> Self:
        """Return the same turn with these faults added. The place of a fault is the number of a chunk."""
        return attrs.evolve(self, faults=(*self.faults, *faults))


# ---- dialects

ReasoningStyle: TypeAlias = Literal["reasoning_content", "reasoning", "details", "both", "parts", "tags"]
"""The field that has the reasoning: ``reasoning_content``; ``reasoning``; ``reasoning_details`` (``details``), or these and ``reasoning``
(``both``). Or the place of the reasoning in the content: its own content parts (``parts``), or tags in the text (``tags``)."""
CallStyle: TypeAlias = Literal[
    "index",
    "id",
    "bare",
    "whole",
    "zero",
    "zero_bare",
    "unnumbered",
    "repeated",
    "rotating",
    "growing",
    "objects",
    "legacy",
]
"""How calls are streamed.

In pieces, identified by ``index``, by ``id``, or by neither (``bare``). ``whole``: each call in one piece, with its index; or all with
index 0 (``zero``), also without ids (``zero_bare``); or without an index (``unnumbered``). In pieces by index, where each piece
repeats the id and the name (``repeated``), has a different id (``rotating``), or has all arguments so far (``growing``). With arguments
as objects instead of text (``objects``). As the single, deprecated ``function_call`` (``legacy``).
"""
UsageStyle: TypeAlias = Literal["last", "finish", "each", "x_groq", "timings", "choice"]
"""Where the usage is: in a separate ``last`` chunk, in the chunk of the ``finish_reason`` (``finish``), in each chunk (``each``), or in
fields that only some providers have."""


@attrs.frozen(kw_only=True)
class ChatDialect:
    """The format in which one provider writes turns. Immutable."""

    name: str = "own"
    reasoning: ReasoningStyle = "reasoning_content"
    tags: tuple[str, str] = ("<think>", "</think>")
    """The tags around reasoning in the text."""
    calls: CallStyle = "index"
    usage: UsageStyle = "last"
    finish_of_calls: str = "tool_calls"
    """The ``finish_reason`` of a turn with calls that is otherwise ``stop``."""
    text_parts: bool = False
    """Whether text is written as a list of content parts."""
    legacy_logprobs: bool = False
    """Whether log probabilities have the format of the legacy completions API."""
    role: Literal["first", "each", "never"] = "first"
    """Which chunks have a ``role``: a separate ``first`` chunk, ``each`` chunk, or none (``never``)."""
    nulls: bool = False
    """Whether deltas have all fields; fields without a value are null."""
    cached: Literal["details", "prompt_cache_hit_tokens", "cached_tokens"] = "details"
    """The field of the usage that has the cached tokens."""
    reasoning_beside: bool = False
    """Whether reasoning tokens are counted only in the total."""
    pieces_of_names: bool = False
    """Whether the name of a function is streamed in two pieces."""
    whole_at_end: bool = False
    """Whether the chunk with the ``finish_reason`` repeats the whole message."""
    faults: tuple[Fault, ...] = ()
    """Properties of the stream below the chunks: comments, line ends, no ``[DONE]``."""


CHAT_DIALECTS: Final[Mapping[str, ChatDialect]] = {
    dialect.name: dialect
    for dialect in (
        ChatDialect(name="openai", nulls=True),
        ChatDialect(name="huggingface", usage="finish", nulls=True),
        ChatDialect(name="vllm", reasoning="reasoning"),
        ChatDialect(name="llamacpp", usage="timings", nulls=True),
        ChatDialect(name="ollama", reasoning="reasoning", calls="whole", role="each"),
        ChatDialect(name="lmstudio"),
        ChatDialect(name="sglang", usage="each", nulls=True),
        ChatDialect(name="groq", reasoning="reasoning", calls="whole", usage="x_groq"),
        ChatDialect(name="together", reasoning="reasoning", usage="finish", legacy_logprobs=True),
        ChatDialect(name="fireworks", usage="finish"),
        ChatDialect(
            name="openrouter", reasoning="both", role="each", faults=(Fault.comments("OPENROUTER PROCESSING"),)
        ),
        ChatDialect(name="deepseek", usage="finish", nulls=True, cached="prompt_cache_hit_tokens"),
        ChatDialect(name="mistral", reasoning="parts", calls="whole", usage="finish"),
        ChatDialect(
            name="gemini",
            reasoning="tags",
            tags=("<thought>", "</thought>"),
            calls="unnumbered",
            usage="each",
            finish_of_calls="stop",
            reasoning_beside=True,
        ),
        ChatDialect(name="anthropic"),
    )
}
"""Name of a provider -> its dialect."""

_ENVELOPE: Final[Mapping[str, Any]] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000}


def write_chunks(turn: ChatTurn, dialect: ChatDialect, *, model: str = "fake") -> list[_Wire]:
    """Return the chunks of a stream with this turn."""
    chunks: list[_Wire] = []
    if dialect.role == "first":
        chunks.append(_chunk({"role": "assistant", "content": ""}, model))
    for delta, logprobs in _deltas(turn, dialect):
        if dialect.role == "each":
            delta["role"] = "assistant"
        if dialect.nulls:
            delta = {"content": None, "tool_calls": None, "refusal": None, **delta}  # noqa: PLW2901 - the same, with nulls
        chunks.append(_chunk(delta, model, logprobs=logprobs))
    if turn.error is not None:
        return [*chunks, dict(turn.error)]
    if turn.finish_reason is not None:
        chunks.append(_chunk({}, model, finish_reason=_finish_reason(turn, dialect)))
        if dialect.whole_at_end:
            chunks[-1]["choices"][0]["message"] = write_completion(turn, dialect)["choices"][0]["message"]
    _add_usage(chunks, turn, dialect, model)
    return chunks


def write_completion(turn: ChatTurn, dialect: ChatDialect, *, model: str = "fake") -> _Wire:
    """Return this turn as one completion; only the error if the turn ends with one."""
    if turn.error is not None:
        return dict(turn.error)
    message: _Wire = {"role": "assistant", "content": None}
    logprobs: list[_Wire] = []
    for delta, found in _deltas(
        turn, attrs.evolve(dialect, calls="unnumbered" if dialect.calls != "legacy" else "legacy")
    ):
        _merge(message, delta)
        logprobs += (found or {}).get("content") or []
    choice: _Wire = {"index": 0, "message": message, "finish_reason": _finish_reason(turn, dialect)}
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    usage = _usage(turn, dialect)
    return {
        **_ENVELOPE,
        "object": "chat.completion",
        "model": model,
        "choices": [choice],
        **({"usage": usage} if usage else {}),
    }


def _merge(message: _Wire, delta: _Wire) -> None:
    for name, value in delta.items():
        before = message.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            _merge(cast("_Wire", before), cast("_Wire", value))
        elif before is None or name in ("id", "name"):
            message[name] = value
        else:
            # Reasoning may be a string while the text is a list of parts, and the other way round.
            both = isinstance(before, str) is isinstance(value, str)
            message[name] = before + value if both else _parts(before) + _parts(value)


def _parts(content: Any) -> list[_Wire]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _chunk(delta: _Wire, model: str, *, logprobs: _Wire | None = None, finish_reason: str | None = None) -> _Wire:
    choice: _Wire = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    if logprobs is not None:
        choice["logprobs"] = logprobs
    return {**_ENVELOPE, "model": model, "choices": [choice]}


def _finish_reason(turn: ChatTurn, dialect: ChatDialect) -> str | None:
    if turn.calls and turn.finish_reason == "stop":
        return "function_call" if dialect.calls == "legacy" else dialect.finish_of_calls
    return turn.finish_reason


# ---- deltas


def _deltas(turn: ChatTurn, dialect: ChatDialect) -> Iterator[tuple[_Wire, _Wire | None]]:
    """Yield the deltas of a turn, and the log probabilities of each."""
    for delta in _reasoning(turn, dialect):
        yield delta, None
    for number, piece in enumerate(turn.text):
        content: Any = [{"type": "text", "text": piece}] if dialect.text_parts else piece
        yield (
            {"content": content} if not turn.audio else {"audio": {"id": "audio_1", "transcript": piece}},
            _logprobs(turn, dialect, number),
        )
    for piece in turn.refusal:
        yield {"refusal": piece}, None
    for piece in turn.audio:
        yield {"audio": {"id": "audio_1", "data": piece}}, None
    if turn.citations:
        yield {"annotations": [_citation(*citation) for citation in turn.citations]}, None
    for url in turn.images:
        yield {"images": [{"type": "image_url", "image_url": {"url": url}}]}, None
    for delta in _calls(turn, dialect):
        yield delta, None


def _citation(url: str, title: str, start: int, end: int) -> _Wire:
    return {
        "type": "url_citation",
        "url_citation": {"url": url, "title": title, "start_index": start, "end_index": end},
    }


def _logprobs(turn: ChatTurn, dialect: ChatDialect, number: int) -> _Wire | None:
    if not turn.logprobs:
        return None
    piece, value = turn.text[number], -float(number) - 0.5
    if dialect.legacy_logprobs:
        return {"tokens": [piece], "token_logprobs": [value], "top_logprobs": [{piece: value}]}
    entry = {"token": piece, "logprob": value, "bytes": list(piece.encode("utf-8", "surrogatepass"))}
    return {"content": [{**entry, "top_logprobs": [entry]}]}


def _reasoning(turn: ChatTurn, dialect: ChatDialect) -> Iterator[_Wire]:
    if not turn.reasoning:
        return
    if dialect.reasoning == "tags":
        opening, closing = dialect.tags
        for piece in (*opening, *turn.reasoning, *closing):  # tags are cut anywhere
            yield {"content": piece}
        return
    for piece in turn.reasoning:
        detail = {"type": "reasoning.text", "text": piece, "format": "unknown", "index": 0}
        match dialect.reasoning:
            case "details":
                yield {"reasoning_details": [detail]}
            case "both":
                yield {"reasoning": piece, "reasoning_details": [detail]}
            case "parts":
                yield {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}
            case field:
                yield {field: piece}
    if turn.sealed and dialect.reasoning in ("details", "both"):
        yield {"reasoning_details": [{"type": "reasoning.encrypted", "data": turn.sealed, "index": 1}]}


# ---- calls


def _calls(turn: ChatTurn, dialect: ChatDialect) -> Iterator[_Wire]:
    if dialect.calls == "legacy":
        for call in turn.calls[:1]:
            yield {"function_call": {"name": call.name, "arguments": ""}}
            yield from ({"function_call": {"arguments": text}} for text in call.arguments)
        return
    pieces = [list(_call(call, number, dialect)) for number, call in enumerate(turn.calls)]
    if dialect.calls in ("index", "id", "repeated", "rotating", "growing"):
        # Providers that identify calls may send them interleaved.
        for turns in itertools.zip_longest(*pieces):
            yield from ({"tool_calls": [piece]} for piece in turns if piece is not None)
        return
    yield from ({"tool_calls": [piece]} for piece in itertools.chain.from_iterable(pieces))


_WHOLE: Final = frozenset({"whole", "zero", "zero_bare", "unnumbered", "objects"})
_WITHOUT_INDEX: Final = frozenset({"id", "bare", "unnumbered"})


def _call(call: ChatCall, number: int, dialect: ChatDialect) -> Iterator[_Wire]:
    style = dialect.calls
    place: _Wire = {} if style in _WITHOUT_INDEX else {"index": 0 if style.startswith("zero") else number}
    named: _Wire = {} if style in ("bare", "zero_bare") or not call.id else {"id": call.id}
    extra: _Wire = {"extra_content": {"google": {"thought_signature": call.signature}}} if call.signature else {}
    if style in _WHOLE:
        text = "".join(call.arguments) or "{}"
        arguments = default_converter().json.loads(text) if style == "objects" else text
        yield {**place, **named, **extra, "type": "function", "function": {"name": call.name, "arguments": arguments}}
        return
    cut = max(1, len(call.name) // 2) if dialect.pieces_of_names else len(call.name)
    yield {**place, **named, **extra, "type": "function", "function": {"name": call.name[:cut], "arguments": ""}}
    if call.name[cut:]:
        yield {**place, **(named if style == "id" else {}), "function": {"name": call.name[cut:], "arguments": ""}}
    for at, piece in enumerate(call.arguments):
        again: _Wire = {}
        function: _Wire = {"arguments": piece if style != "growing" else "".join(call.arguments[: at + 1])}
        if style == "id":
            again = named
        elif style == "repeated":
            again, function = named, {"name": call.name, "arguments": piece}
        elif style == "rotating":
            again = {"id": f"{call.id}_{at}"}
        yield {**place, **again, "function": function}


# ---- usage


def _usage(turn: ChatTurn, dialect: ChatDialect) -> _Wire:
    if turn.usage is None:
        return {}
    numbers = turn.usage
    given, made, reasoning = numbers["input"], numbers["output"], numbers.get("reasoning", 0)
    cached = {"cached_tokens": numbers.get("cached", 0)}
    usage: _Wire = {
        "prompt_tokens": given,
        "completion_tokens": made - (reasoning if dialect.reasoning_beside else 0),
        "total_tokens": given + made,
        **({} if dialect.reasoning_beside else {"completion_tokens_details": {"reasoning_tokens": reasoning}}),
    }
    if dialect.cached == "details":
        return {**usage, "prompt_tokens_details": cached}
    return {**usage, dialect.cached: numbers.get("cached", 0)}


def _add_usage(chunks: list[_Wire], turn: ChatTurn, dialect: ChatDialect, model: str) -> None:
    usage = _usage(turn, dialect)
    if not usage:
        return
    if not chunks:
        chunks.append(_chunk({}, model))
    last = chunks[-1]
    match dialect.usage:
        case "last":
            chunks.append({**_ENVELOPE, "model": model, "choices": [], "usage": usage})
        case "finish":
            last["usage"] = usage
        case "each":
            for number, chunk in enumerate(chunks, 1):
                made = usage["completion_tokens"] * number // len(chunks)
                growing = {
                    "completion_tokens": made,
                    "total_tokens": usage["total_tokens"] - usage["completion_tokens"] + made,
                }
                chunk["usage"] = {**usage, **growing}
        case "x_groq":
            last["x_groq"] = {"id": "req_1", "usage": usage}
        case "choice":
            last["choices"][0]["usage"] = usage
        case "timings":
            cached = (turn.usage or {}).get("cached", 0)
            timings = {
                "prompt_n": usage["prompt_tokens"] - cached,
                "cache_n": cached,
                "predicted_n": usage["completion_tokens"],
            }
            chunks.append({**_ENVELOPE, "model": model, "choices": [], "timings": timings})


def completed(turn: object) -> ChatTurn:
    """Return a turn. A text becomes a turn with this text. Raises ``UsageError`` for anything else."""
    if not isinstance(turn, ChatTurn | str):
        raise UsageError(f"a turn must be a text, a ChatTurn or an Answer, got {turn!r:.80}")
    return ChatTurn.say(turn) if isinstance(turn, str) else turn
