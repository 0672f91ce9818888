"""Answer requests as a scripted model, without a network or a key, and in the same way every time.

The behaviour of the model depends on the request:

* If tools are offered (and ``tool_choice`` is not ``none``), it calls one, with arguments that fit the schema. If the input ends
  with tool outputs, it quotes them instead. It makes several calls if the user message names several tools and the request
  allows parallel calls. Hosted tools and remote MCP servers are simulated.
* If ``text.format`` asks for JSON, it returns JSON that fits the schema.
* If the last user message asks for a story, it tells a story of three sentences about the topic of the message.
* If the message asks about something from an earlier message, it quotes that message.
* Otherwise it echoes the message.

``reasoning.effort`` (other than ``none``) adds a reasoning item before the answer, a long one if the message asks to go step by step.
``max_output_tokens`` cuts the answer off, or the reasoning before it. A word is one token. The ``x-ratelimit-*`` headers state limits that
are never enforced. Markers in the last user message, such as ``[refuse]`` or ``[error 429]``, ask for rare behaviour:
:data:`responses_proto.scripted.MARKERS` lists them. The rules of a :class:`~responses_proto.scripted.ScriptRules` take precedence over
all of this.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import anyio

from ..exceptions import LocalProtocolError
from ..models.content import LogProb, TopLogProb, UrlCitation
from ..models.response import InputTokensDetails, OutputTokensDetails, Usage
from ..protocol.emitter import random_id, split_words
from ._cache import PromptCache
from ._checks import check_turn
from ._hosted import PAGE
from ._plan import plan_answer
from ._rate_limits import rate_limit_headers
from ._request import count_tokens, read_turn
from ._steps import EmitCall, EmitItem, EmitMessage, EmitReasoning, EndEarly, Fail, Refuse, ScriptedStep, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ..models.items import Item
    from ..models.request import CreateResponse, InputTokensRequest
    from ..server.reply import MessageReply, Reply
    from ._request import ScriptedTurn
    from ._steps import ScriptedAnswer
    from .script import ScriptRules

__all__ = ["MODEL", "Scripted"]

MODEL: Final = "scripted"
"""The name of the scripted model. It answers to any other name as well."""

_JSON_CHUNK: Final = 12  # characters of JSON in one delta
_LOGPROB: Final = -0.01  # the log probability of every token


class Scripted:
    """The scripted model, as a handler for :class:`~responses_proto.server.ResponsesApp`.

    ``delay``: seconds between two words, so that a response visibly streams.
    ``script``: rules that answer instead of the model if one of them applies.
    """

    def __init__(self, *, delay: float = 0.0, script: ScriptRules | None = None) -> None:
        self.delay = delay
        self.script = script
        self._cache = PromptCache()

    async def __call__(self, request: CreateResponse, reply: Reply) -> None:
        """Answer one request. Raises the ``APIError`` that a marker or the script asks for.

        Also raises ``APIError`` for a request that OpenAI refuses, such as a ``tool_choice`` that names a tool that is not offered.
        """
        turn = read_turn(request, reply.context)
        check_turn(turn)
        input_tokens = count_tokens(reply.context, request.instructions or "")
        with contextlib.suppress(LocalProtocolError):  # a handler around this one may have started the response
            for name, value in rate_limit_headers(input_tokens).items():
                reply.set_header(name, value)
        cached_tokens = self._cache.tokens_read(request, reply.context)
        writer = _AnswerWriter(turn, reply, self.delay, input_tokens, cached_tokens)
        await writer.write(plan_answer(turn, random_id, self.script))

    async def count(self, request: InputTokensRequest, context: Sequence[Item]) -> int:
        """Return the number of input tokens, the same number as in the usage of a response to this input."""
        return count_tokens(context, request.instructions or "")


class _TokenLimitReached(Exception):  # noqa: N818 - ends the answer normally, as incomplete
    """``max_output_tokens`` are used up."""


class _AnswerWriter:
    """Writes one answer to the reply."""

    def __init__(self, turn: ScriptedTurn, reply: Reply, delay: float, input_tokens: int, cached_tokens: int) -> None:
        self._turn = turn
        self._input_tokens = input_tokens
        self._cached_tokens = cached_tokens
        self._reply = reply
        self._delay = delay
        self._tokens_left = turn.request.max_output_tokens or None
        self._output_tokens = 0
        self._reasoning_tokens = 0

    async def write(self, answer: ScriptedAnswer) -> None:
        """Write the steps in order, and end the response."""
        if answer.delay is not None:
            self._delay = answer.delay
        try:
            for step in answer.steps:
                await self._write_step(step)
        except _TokenLimitReached:
            await self._reply.incomplete("max_output_tokens", self._usage())
        if not self._reply.ended:
            await self._reply.complete(self._usage())

    def _usage(self) -> Usage:
        return Usage(
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            total_tokens=self._input_tokens + self._output_tokens,
            input_tokens_details=InputTokensDetails(
                cached_tokens=self._cached_tokens, cache_write_tokens=self._input_tokens - self._cached_tokens
            ),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=self._reasoning_tokens),
        )

    async def _write_step(self, step: ScriptedStep) -> None:
        if self._tokens_left == 0 and not isinstance(step, Wait | EndEarly | Fail):
            raise _TokenLimitReached  # before opening an item that would stay empty
        match step:
            case EmitReasoning():
                await self._write_reasoning(step)
            case EmitMessage():
                await self._write_message(step)
            case Refuse(text=text):
                async with self._reply.message() as message:
                    await self._write_text(message.refusal, text)
            case EmitCall(name=name, arguments=arguments):
                async with self._reply.function_call(name) as call:
                    await self._write_text(call.arguments, arguments)
            case EmitItem(item=item):
                self._spend(max(1, count_tokens([item])))
                await self._reply.item(item)
            case Wait(seconds=seconds):
                await anyio.sleep(seconds)
            case EndEarly(reason=reason):
                await self._reply.incomplete(reason, self._usage())
            case Fail(code=code, message=text):
                await self._reply.fail(code, text, usage=self._usage())

    async def _write_reasoning(self, step: EmitReasoning) -> None:
        before = self._output_tokens
        async with self._reply.reasoning() as item:
            try:
                for summary in step.summaries:
                    await self._write_text(item.summary, summary)
                    await item.end_part()
            finally:
                self._reasoning_tokens += self._output_tokens - before
            if step.encrypted_content is not None:
                await item.done(encrypted_content=step.encrypted_content)

    async def _write_message(self, step: EmitMessage) -> None:
        message = self._reply.message(phase=step.phase)
        await self._write_text(self._text_writer(message), step.text)
        if step.with_citation:
            end = len(step.text)
            await message.annotation(UrlCitation(url=PAGE, title="Example Domain", start_index=0, end_index=end))
        if step.finished:
            await message.done()

    def _text_writer(self, message: MessageReply) -> Callable[[str], Awaitable[None]]:
        if not self._turn.includes("message.output_text.logprobs"):
            return message.text
        top_logprobs = self._turn.request.top_logprobs or 0

        async def write(text: str) -> None:
            await message.text(text, logprobs=[_logprob(text, top_logprobs)])

        return write

    async def _write_text(self, write: Callable[[str], Awaitable[None]], text: str) -> None:
        for delta in _deltas(text):
            self._spend(1)
            if self._delay:
                await anyio.sleep(self._delay)
            await write(delta)

    def _spend(self, tokens: int) -> None:
        if self._tokens_left is not None:
            if self._tokens_left < tokens:
                raise _TokenLimitReached
            self._tokens_left -= tokens
        self._output_tokens += tokens


def _deltas(text: str) -> list[str]:
    # Compact JSON has no spaces to split at.
    if text[:1] in ("{", "["):
        return [text[at : at + _JSON_CHUNK] for at in range(0, len(text), _JSON_CHUNK)]
    return split_words(text)


def _logprob(token: str, alternatives: int) -> LogProb:
    """Return made-up log probabilities: the token is nearly certain; longer alternatives are less likely."""
    candidates = [token + "~" * n for n in range(alternatives)]
    top = [
        TopLogProb(token=candidate, logprob=_LOGPROB - n, bytes=list(candidate.encode()))
        for n, candidate in enumerate(candidates)
    ]
    return LogProb(token=token, logprob=_LOGPROB, bytes=list(token.encode()), top_logprobs=top)
