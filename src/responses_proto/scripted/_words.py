"""What the scripted model says: JSON, what the tools gave, a story, what was said before, or what was asked, in this order."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final

from ..codec import dumps
from ..models.config import JsonObjectFormat, JsonSchemaFormat
from ..models.items import Message
from ._fill import fill
from ._request import output_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._request import ScriptedTurn

__all__ = ["answer_text", "describe_outputs"]

_TOPIC: Final = re.compile(r"\babout\s+((?:an?\s+|the\s+)?[\w' -]{1,60})", re.IGNORECASE)
_STORY: Final = re.compile(r"\bstory\b", re.IGNORECASE)
_QUESTION: Final = re.compile(r"\?|^\s*(?:what|which|who|where|when|how|tell me|repeat|recall|remind)\b", re.IGNORECASE)
_OF_MINE: Final = re.compile(
    r"\b(?:I|my|mine|we|our|was|were|earlier|before|previous\w*|remember|recall)\b", re.IGNORECASE
)
_OF_YOURS: Final = re.compile(
    r"\b(?:you (?:say|said|answer\w*|tell|told|write|wrote)|your (?:last|first|previous))\b", re.IGNORECASE
)

_WORD: Final = re.compile(
    r"\b(?!(?:what|which|when|where|that|this|there|tell|please|about|with|have|your|will)\b)\w{4,}"
)
"""A word that tells what a message is about."""


def describe_outputs(outputs: Sequence[str]) -> str:
    """Say what tools gave; empty if there were none."""
    if not outputs:
        return ""
    return f"The tool says: {outputs[0]}" if len(outputs) == 1 else f"The tools say: {'; '.join(outputs)}"


def answer_text(turn: ScriptedTurn, news: str = "") -> str:  # noqa: PLR0911 - one per kind of answer
    """Give the text of the answer; ``news`` is what the tools said meanwhile, if anything."""
    shape = turn.request.text.format if turn.request.text else None
    if isinstance(shape, JsonSchemaFormat):
        return dumps(fill(shape.schema or {"type": "object"})).decode()
    if isinstance(shape, JsonObjectFormat):
        return dumps({"answer": turn.prompt}).decode()
    if "context" in turn.markers:
        return "\n".join(_told(turn)) or "nothing"
    if "long" in turn.markers:
        words = itertools.cycle(_story("a unicorn").split())
        return " ".join(itertools.islice(words, int(turn.markers["long"])))
    if news := news or describe_outputs([output_text(output) for output in turn.outputs]):
        return news
    if _STORY.search(turn.prompt):
        topic = _TOPIC.search(turn.prompt)
        return _story(topic[1].strip() if topic else "a unicorn")
    return _echo(turn)


def _echo(turn: ScriptedTurn) -> str:
    if _QUESTION.search(turn.prompt):
        said = [item.text for item in turn.context if isinstance(item, Message) and item.role == "assistant"]
        if said and _OF_YOURS.search(turn.prompt):
            return f"I said: {said[-1]}"
        told = turn.earlier_prompts if _OF_MINE.search(turn.prompt) else _related(turn.prompt, turn.earlier_prompts)
        if told:
            return f"You said: {' '.join(told)}"
    seen = f"(with {', '.join(turn.media)})" if turn.media else ""
    return " ".join(text for text in (turn.prompt, seen) if text) or "There is nothing to answer."


def _related(question: str, messages: Sequence[str]) -> list[str]:
    """Give what was said, not asked, with a word of the question in it."""
    words = _WORD.findall(question.lower())
    return [
        message
        for message in messages
        if not _QUESTION.search(message) and not {*_WORD.findall(message.lower())}.isdisjoint(words)
    ]


def _told(turn: ScriptedTurn) -> Iterator[str]:
    if turn.request.instructions:
        yield f"instructions: {turn.request.instructions}"
    for item in turn.context:
        who, what = (item.role, item.text) if isinstance(item, Message) else (item.type, output_text(item))
        yield f"{who}: {what}" if what else who


def _story(about: str) -> str:
    name = re.sub(r"^(an?|the)\s+", "", about, flags=re.IGNORECASE)
    return (
        f"High above the sleeping valley, {about} tiptoed from cloud to cloud and lit the stars, one after the other. "
        "Far below, a child at a window counted them aloud and forgot, somewhere past twenty, which number came next. "
        f"So the {name} blew the last star out very softly, the window went dark, and everyone slept until morning."
    )
