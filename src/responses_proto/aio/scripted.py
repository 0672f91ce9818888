"""The embedded model: no network, no key, the same answer every time. Good enough to develop an application against.

What it does, by the request:

* a function is offered (and ``tool_choice`` is not ``none``): it is called, with arguments that fit its schema, unless
  the last item of the input is the output of a tool; then the model says what the tool gave;
* ``text.format`` asks for JSON: JSON that fits the schema;
* the last user message asks for a story: a story of three sentences, about what it asks for;
* otherwise: the last user message again.

``reasoning.effort`` (other than ``none``) puts a reasoning item before that. ``max_output_tokens`` cuts everything off.
``[refuse]`` in the last user message gets a refusal, ``[fail]`` a response that fails halfway. A token is a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio

from ..codec import dumps
from ..emitter import split_words
from ..filler import fill
from ..models.config import JsonObjectFormat, JsonSchemaFormat
from ..models.content import Content, InputText, OutputText
from ..models.items import CustomToolCallOutput, FunctionCallOutput, Message
from ..models.response import InputTokensDetails, OutputTokensDetails, Usage
from ..models.tools import FunctionTool, ToolChoiceAllowed, ToolChoiceFunction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..models.items import Item
    from ..models.request import CreateResponse
    from .reply import Reply

__all__ = ["MODEL", "Scripted"]

MODEL: Final = "scripted"
"""The name that the embedded model goes by. It answers to any other as well."""

_TOPIC: Final = re.compile(r"\babout\s+((?:an?\s+|the\s+)?[\w' -]{1,60})", re.IGNORECASE)
_PIECE: Final = 12  # characters of JSON in one delta


class Scripted:
    """The model, as a handler for :class:`~responses_proto.aio.asgi.ResponsesApp`.

    ``delay``: seconds between two words, so that a stream looks like one.
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        self.delay = delay

    async def __call__(self, request: CreateResponse, reply: Reply) -> None:
        """Answer one request."""
        turn = _Turn(request, reply, self.delay)
        try:
            await turn.think()
            await turn.answer()
        except _Full:
            await reply.incomplete("max_output_tokens", turn.usage())
        if not reply.ended:
            await reply.complete(turn.usage())


class _Full(Exception):  # noqa: N818 - no error: how a bounded answer ends
    """The tokens are used up."""


class _Turn:
    def __init__(self, request: CreateResponse, reply: Reply, delay: float) -> None:
        self._request = request
        self._reply = reply
        self._delay = delay
        self._left = request.max_output_tokens or None
        self._written = 0
        self._thought = 0
        self._asked = _last_words(request)

    def usage(self) -> Usage:
        read = _count_input(self._request)
        return Usage(
            input_tokens=read,
            output_tokens=self._written,
            total_tokens=read + self._written,
            input_tokens_details=InputTokensDetails(cached_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=self._thought),
        )

    async def think(self) -> None:
        reasoning = self._request.reasoning
        if not reasoning or (reasoning.effort or "none") == "none":
            return
        include = self._request.include or ()
        async with self._reply.reasoning() as item:
            try:
                await self._say(
                    item.summary, f"The last input has {len(self._asked.split())} words. I answer by the script."
                )
            finally:
                self._thought = self._written
            if "reasoning.encrypted_content" in include:
                await item.done(encrypted_content="c2NyaXB0ZWQ=")

    async def answer(self) -> None:
        last = _last_item(self._request)
        called = isinstance(last, FunctionCallOutput | CustomToolCallOutput)
        tool = None if called else _function_to_call(self._request)
        if tool is not None:
            await self._call(tool)
        elif "[fail]" in self._asked:
            await self._fail()
        elif "[refuse]" in self._asked:
            async with self._reply.message() as message:
                await self._say(message.refusal, "I will not do that: the input asks me to refuse.")
        else:
            text = self._text(last)
            async with self._reply.message() as message:
                await self._say(message.text, text)

    def _text(self, last: Item | None) -> str:
        shape = self._request.text.format if self._request.text else None
        if isinstance(shape, JsonSchemaFormat):
            return dumps(fill(shape.schema or {})).decode()
        if isinstance(shape, JsonObjectFormat):
            return dumps({"answer": self._asked}).decode()
        if isinstance(last, FunctionCallOutput | CustomToolCallOutput):
            return f"The tool says: {_text_of(last.output)}"
        if re.search(r"\bstory\b", self._asked, re.IGNORECASE):
            topic = _TOPIC.search(self._asked)
            return _story(topic[1].strip() if topic else "a unicorn")
        return self._asked or "There is nothing to answer."

    async def _call(self, tool: FunctionTool) -> None:
        arguments = dumps(fill(tool.parameters or {})).decode()
        async with self._reply.function_call(tool.name) as call:
            await self._say(call.arguments, arguments)

    async def _fail(self) -> None:
        async with self._reply.message() as message:
            await self._say(message.text, "This is as far as I")
            await self._reply.fail("server_error", "The input asks for a failure.", usage=self.usage())

    async def _say(self, write: Callable[[str], Awaitable[None]], text: str) -> None:
        # JSON has no spaces to cut it at.
        pieces = (
            [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] if text[:1] in "{[" else split_words(text)
        )
        for piece in pieces:
            if self._left is not None:
                if self._left <= 0:
                    raise _Full
                self._left -= 1
            if self._delay:
                await anyio.sleep(self._delay)
            await write(piece)
            self._written += 1


def _story(about: str) -> str:
    name = re.sub(r"^(an?|the)\s+", "", about, flags=re.IGNORECASE)
    return (
        f"High above the sleeping valley, {about} tiptoed from cloud to cloud and lit the stars, one after the other. "
        "Far below, a child at a window counted them aloud and forgot, somewhere past twenty, which number came next. "
        f"So the {name} blew the last star out very softly, the window went dark, and everyone slept until morning."
    )


# ---- reading the input


def _last_item(request: CreateResponse) -> Item | None:
    return request.input[-1] if request.input and not isinstance(request.input, str) else None


def _last_words(request: CreateResponse) -> str:
    """Give the text of the last user message."""
    if isinstance(request.input, str):
        return request.input
    for item in reversed(request.input or ()):
        if isinstance(item, Message) and item.role == "user":
            return item.text
    return ""


def _text_of(output: str | list[Content]) -> str:
    if isinstance(output, str):
        return output
    return "".join(part.text for part in output if isinstance(part, InputText | OutputText))


def _count_input(request: CreateResponse) -> int:
    items = [] if isinstance(request.input, str) else request.input or []
    texts = [request.instructions or "", request.input if isinstance(request.input, str) else ""]
    for item in items:
        if isinstance(item, Message):
            texts.append(item.text)
        elif isinstance(item, FunctionCallOutput | CustomToolCallOutput):
            texts.append(_text_of(item.output))
    return sum(len(text.split()) for text in texts)


def _function_to_call(request: CreateResponse) -> FunctionTool | None:
    """Give the function to call: the one that the request insists on, or else the first that it allows."""
    functions = {tool.name: tool for tool in request.tools or () if isinstance(tool, FunctionTool)}
    match request.tool_choice:
        case "none":
            return None
        case ToolChoiceFunction():
            return functions.get(request.tool_choice.name or "")
        case ToolChoiceAllowed():
            if request.tool_choice.mode == "none":
                return None
            names = [tool.name or "" for tool in request.tool_choice.tools if isinstance(tool, ToolChoiceFunction)]
            return next((functions[name] for name in names if name in functions), None)
        case _:
            return next(iter(functions.values()), None)
