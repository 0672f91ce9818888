"""The scripted model: no network, no key, the same answer every time. Good enough to develop an application against.

What it does, by the request:

* a tool is offered (and ``tool_choice`` is not ``none``): it is called, with arguments that fit its schema, unless the input
  ends with the output of a tool; then the model says what the tool gave. Several are called where the user message names
  several and the request allows it. Hosted tools and remote MCP show their items, and reach nothing;
* ``text.format`` asks for JSON: JSON that fits the schema;
* the last user message asks for a story: a story of three sentences, about what it asks for;
* it asks what was said before: that;
* otherwise: the last user message again.

``reasoning.effort`` (other than ``none``) puts a reasoning item before that. ``max_output_tokens`` cuts everything off. A token
is a word. Markers in the last user message, such as ``[refuse]`` or ``[error 429]``, ask for what is rare; the table of them
is :data:`responses_proto.scripted.MARKERS`. A :class:`~responses_proto.scripted.ScriptRules` overrules all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from ..models.content import LogProb, TopLogProb, UrlCitation
from ..models.response import InputTokensDetails, OutputTokensDetails, Usage
from ..protocol.emitter import random_id, split_words
from ._hosted import PAGE
from ._plan import plan_answer
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
"""The name that the scripted model goes by. It answers to any other as well."""

_PIECE: Final = 12  # characters of JSON in one delta
_SURE: Final = -0.01  # logarithm of a probability


class Scripted:
    """The model, as a handler for :class:`~responses_proto.server.ResponsesApp`.

    ``delay``: seconds between two words, so that a stream looks like one. ``script``: what to answer instead, where a rule of
    it holds.
    """

    def __init__(self, *, delay: float = 0.0, script: ScriptRules | None = None) -> None:
        self.delay = delay
        self.script = script

    async def __call__(self, request: CreateResponse, reply: Reply) -> None:
        """Answer one request. Raises the ``APIError`` that the request, or the script, asks for."""
        turn = read_turn(request, reply.context)
        performance = _Performance(turn, reply, self.delay)
        await performance.play(plan_answer(turn, random_id, self.script))

    async def count(self, request: InputTokensRequest, context: Sequence[Item]) -> int:
        """Count the tokens of an input: as many as the usage of a response to it would say."""
        return count_tokens(context, request.instructions or "")


class _Full(Exception):  # noqa: N818 - no error: how a bounded answer ends
    """The tokens are used up."""


class _Performance:
    """One answer while it is said."""

    def __init__(self, turn: ScriptedTurn, reply: Reply, delay: float) -> None:
        self._turn = turn
        self._reply = reply
        self._delay = delay
        self._left = turn.request.max_output_tokens or None
        self._written = 0
        self._thought = 0

    async def play(self, answer: ScriptedAnswer) -> None:
        """Say one step after the other, and end the response."""
        if answer.delay is not None:
            self._delay = answer.delay
        try:
            for step in answer.steps:
                await self._take(step)
        except _Full:
            await self._reply.incomplete("max_output_tokens", self._usage())
        if not self._reply.ended:
            await self._reply.complete(self._usage())

    def _usage(self) -> Usage:
        request = self._turn.request
        read = count_tokens(self._turn.context, request.instructions or "")
        return Usage(
            input_tokens=read,
            output_tokens=self._written,
            total_tokens=read + self._written,
            input_tokens_details=InputTokensDetails(cached_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=self._thought),
        )

    async def _take(self, step: ScriptedStep) -> None:
        match step:
            case EmitReasoning():
                await self._think(step)
            case EmitMessage():
                await self._say(step)
            case Refuse(text=text):
                async with self._reply.message() as message:
                    await self._write(message.refusal, text)
            case EmitCall(name=name, arguments=arguments):
                async with self._reply.function_call(name) as call:
                    await self._write(call.arguments, arguments)
            case EmitItem(item=item):
                self._spend(max(1, count_tokens([item])))
                await self._reply.item(item)
            case Wait(seconds=seconds):
                await anyio.sleep(seconds)
            case EndEarly(reason=reason):
                await self._reply.incomplete(reason, self._usage())
            case Fail(code=code, message=text):
                await self._reply.fail(code, text, usage=self._usage())

    async def _think(self, step: EmitReasoning) -> None:
        before = self._written
        async with self._reply.reasoning() as item:
            try:
                for summary in step.summaries:
                    await self._write(item.summary, summary)
                    await item.end_part()
            finally:
                self._thought += self._written - before
            if step.encrypted_content is not None:
                await item.done(encrypted_content=step.encrypted_content)

    async def _say(self, step: EmitMessage) -> None:
        message = self._reply.message(phase=step.phase)
        await self._write(self._speaker(message), step.text)
        if step.with_citation:
            end = len(step.text)
            await message.annotation(UrlCitation(url=PAGE, title="Example Domain", start_index=0, end_index=end))
        if step.finished:
            await message.done()

    def _speaker(self, message: MessageReply) -> Callable[[str], Awaitable[None]]:
        if not self._turn.includes("message.output_text.logprobs"):
            return message.text
        likeliest = self._turn.request.top_logprobs or 0

        async def speak(text: str) -> None:
            await message.text(text, logprobs=[_logprob(text, likeliest)])

        return speak

    async def _write(self, write: Callable[[str], Awaitable[None]], text: str) -> None:
        for piece in _pieces(text):
            self._spend(1)
            if self._delay:
                await anyio.sleep(self._delay)
            await write(piece)

    def _spend(self, tokens: int) -> None:
        if self._left is not None:
            if self._left < tokens:
                raise _Full
            self._left -= tokens
        self._written += tokens


def _pieces(text: str) -> list[str]:
    # JSON has no spaces to cut it at.
    if text[:1] in ("{", "["):
        return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    return split_words(text)


def _logprob(token: str, likeliest: int) -> LogProb:
    """Make up how sure the model is: very, and of the others the less the longer they are."""
    others = [token + "~" * n for n in range(likeliest)]
    top = [TopLogProb(token=other, logprob=_SURE - n, bytes=list(other.encode())) for n, other in enumerate(others)]
    return LogProb(token=token, logprob=_SURE, bytes=list(token.encode()), top_logprobs=top)
