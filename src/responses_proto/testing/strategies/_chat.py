"""A strategy for streams of Chat Completions, in the dialects of all providers, with the content of each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import attrs
from hypothesis import strategies as st

from ...codec import default_converter
from ...models.request import CreateResponse
from ...models.tools import FunctionTool
from ..fake.answers import Answer
from ..fake.chat_dialects import (
    CHAT_DIALECTS,
    CallStyle,
    ChatCall,
    ChatDialect,
    ChatTurn,
    ReasoningStyle,
    UsageStyle,
    write_chunks,
    write_completion,
)
from ..fake.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

_NAMES: Final = ("get", "get_weather", "search", "f")  # of functions; one name is a prefix of another
_ERRORS: Final[tuple[dict[str, Any], ...]] = (
    {"error": {"message": "broken", "type": "server_error", "code": 500}},
    {"error": "broken"},
    {"error": {"message": "broken"}, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "broken"}}]},
    {"object": "error", "message": "broken", "type": "BadRequestError", "code": 400},
    {"type": "error", "error": {"type": "overloaded_error", "message": "broken"}},
    {"detail": "broken"},
    {"error": "broken", "error_type": "generation"},
)  # in the formats of providers; all contain `broken`
_FINISH_REASONS: Final = ("stop", "stop", "stop", "length", "content_filter", "eos", None)
_FAULTS: Final = (Fault.comments(), Fault.line_ends("\r\n"), Fault.line_ends("\r"), Fault.byte_order_mark())


@attrs.frozen
class ChatStream:
    """A stream of a provider, with its content."""

    turn: ChatTurn
    """The content of the stream."""
    dialect: ChatDialect
    """The format of the stream."""

    @property
    def request(self) -> CreateResponse:
        """A request that the stream may answer. It offers the functions that the turn calls."""
        tools = [FunctionTool(name=name, parameters={"type": "object", "properties": {}}) for name in _NAMES]
        return CreateResponse(model="fake", input="Hello", tools=tools, stream=True)

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks as wire objects, new ones each time."""
        return write_chunks(self.turn, self.dialect)

    @property
    def completion(self) -> dict[str, Any]:
        """The same turn as one completion."""
        return write_completion(self.turn, self.dialect)

    @property
    def body(self) -> bytes:
        """The stream as server-sent events."""
        silent = () if self.turn.finish_reason is not None else (Fault.no_done(),)
        wire = Answer.events(self.chunks).with_faults(*silent, *self.dialect.faults).to_wire()
        return b"".join(step for step in wire.steps if isinstance(step, bytes))


def chat_streams(*, dialects: Sequence[ChatDialect] | None = None) -> SearchStrategy[ChatStream]:
    """Return a strategy for streams of Chat Completions. ``ChatStream.turn`` is the content that a client must read from the stream.

    ``dialects``: the dialects to draw from; by default those of the known providers, and all combinations of their differences.
    """
    return _chat_streams(_dialects() if dialects is None else st.sampled_from(dialects))


@st.composite
def _dialects(draw: DrawFn) -> ChatDialect:
    if draw(st.booleans()):
        return draw(st.sampled_from(list(CHAT_DIALECTS.values())))
    return ChatDialect(
        reasoning=draw(st.sampled_from(get_args(ReasoningStyle))),
        calls=draw(st.sampled_from(get_args(CallStyle))),
        usage=draw(st.sampled_from(get_args(UsageStyle))),
        finish_of_calls=draw(st.sampled_from(("tool_calls", "stop"))),
        text_parts=draw(st.booleans()),
        legacy_logprobs=draw(st.booleans()),
        role=draw(st.sampled_from(("first", "each", "never"))),
        nulls=draw(st.booleans()),
        cached=draw(st.sampled_from(("details", "prompt_cache_hit_tokens", "cached_tokens"))),
        reasoning_beside=draw(st.booleans()),
        pieces_of_names=draw(st.booleans()),
        whole_at_end=draw(st.booleans()),
        faults=tuple(draw(st.lists(st.sampled_from(_FAULTS), max_size=1))),
    )


_pieces: Final = st.lists(st.text("ab é😀\n", min_size=1, max_size=4), max_size=4).map(tuple)
_NOTHING: Final[tuple[str, ...]] = ()
_some_pieces: Final = st.just(_NOTHING) | _pieces
_VALUES: Final[tuple[Any, ...]] = ("x{y", 1, [], {})
_objects: Final = st.dictionaries(st.sampled_from("ab"), st.sampled_from(_VALUES), max_size=2).map(
    lambda value: default_converter().json.dumps(value).decode()
)


@st.composite
def _chat_streams(draw: DrawFn, dialects: SearchStrategy[ChatDialect]) -> ChatStream:
    dialect = draw(dialects)
    text, reasoning, refusal = draw(_pieces), draw(_some_pieces), draw(_some_pieces)
    if dialect.reasoning == "tags":
        text, reasoning = _stripped(text), _stripped(reasoning)
    is_cited = draw(st.booleans())
    is_audio = draw(st.integers(0, 3)) == 3  # noqa: PLR2004 - one in four
    counted = draw(st.integers(0, 9))
    usage = {
        "input": 10 + counted,
        "output": 20,
        "cached": counted,
        "reasoning": 0 if dialect.usage == "timings" else counted,
    }
    turn = ChatTurn(
        text=text,
        reasoning=reasoning,
        sealed="c2VhbA" if reasoning and dialect.reasoning in ("details", "both") and draw(st.booleans()) else "",
        refusal=refusal,
        calls=tuple(_call(draw, number, dialect) for number in range(draw(st.integers(0, 3)))),
        logprobs=bool(text) and not is_audio and draw(st.booleans()),
        citations=(("https://example.org", "Example", 0, 1),) if text and is_cited else (),
        images=tuple(
            draw(st.lists(st.sampled_from(("data:image/png;base64,AAAA", "https://example.org/a.png")), max_size=1))
        ),
        audio=("QUJD", "REVG") if is_audio else (),
        finish_reason=draw(st.sampled_from(_FINISH_REASONS)),
        usage=draw(st.sampled_from((usage, usage, None))),
        error=draw(st.sampled_from((None, None, None, *_ERRORS))),
    )
    if dialect.calls == "legacy":
        turn = attrs.evolve(turn, calls=turn.calls[:1])
    return ChatStream(turn, dialect)


def _stripped(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Return the pieces without leading whitespace, which would belong to the tags."""
    return ("a", *pieces) if pieces else ()


def _call(draw: DrawFn, number: int, dialect: ChatDialect) -> ChatCall:
    text = draw(_objects)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    arguments = tuple(
        text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if text[start:end]
    )
    return ChatCall(
        name=draw(st.sampled_from(_NAMES)),
        arguments=arguments,
        id="" if dialect.calls in ("bare", "zero_bare", "legacy") else f"call_{number}",
        signature=draw(st.sampled_from(("", "c2ln"))) if dialect.calls != "legacy" else "",
    )
