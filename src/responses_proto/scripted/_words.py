"""Write the text of an answer. The first that applies: JSON, tool outputs, a story, an earlier message, or the user message."""

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

_TOPIC: Final = re.compile(r"\babout\s+((?:an?\s+|the\s+)?[\w' -]{1,60})", re.IGNORECASE)
_STORY: Final = re.compile(r"\bstory\b", re.IGNORECASE)
_QUESTION: Final = re.compile(r"\?|^\s*(?:what|which|who|where|when|how|tell me|repeat|recall|remind)\b", re.IGNORECASE)
_ABOUT_USER: Final = re.compile(
    r"\b(?:I|my|mine|we|our|was|were|earlier|before|previous\w*|remember|recall)\b", re.IGNORECASE
)
_ABOUT_MODEL: Final = re.compile(
    r"\b(?:you (?:say|said|answer\w*|tell|told|write|wrote)|your (?:last|first|previous))\b", re.IGNORECASE
)

_KEYWORD: Final = re.compile(
    r"\b(?!(?:what|which|when|where|that|this|there|tell|please|about|with|have|your|will)\b)\w{4,}"
)
"""A word of at least four letters that is not a common function word."""


def repeat_words(count: int) -> str:
    """Return a text of this many words."""
    return " ".join(itertools.islice(itertools.cycle(_story("a unicorn").split()), count))


def describe_outputs(outputs: Sequence[str]) -> str:
    """Return a sentence that quotes tool outputs; empty if there are none."""
    if not outputs:
        return ""
    return f"The tool says: {outputs[0]}" if len(outputs) == 1 else f"The tools say: {'; '.join(outputs)}"


def answer_text(turn: ScriptedTurn, report: str = "") -> str:  # noqa: PLR0911 - one return per kind of answer
    """Return the text of the answer.

    ``report`` describes the tools that ran in this turn; if it is empty, the tool outputs of the context are described.
    """
    text_format = turn.request.text.format if turn.request.text else None
    if isinstance(text_format, JsonSchemaFormat):
        return dumps(fill(text_format.schema or {"type": "object"})).decode()
    if isinstance(text_format, JsonObjectFormat):
        return dumps({"answer": turn.prompt}).decode()
    if "context" in turn.markers:
        return "\n".join(_context_lines(turn)) or "nothing"
    if "long" in turn.markers:
        return repeat_words(int(turn.markers["long"]))
    if report := report or describe_outputs([output_text(output) for output in turn.outputs]):
        return report
    if _STORY.search(turn.prompt):
        topic = _TOPIC.search(turn.prompt)
        return _story(topic[1].strip() if topic else "a unicorn")
    return _echo(turn)


def _echo(turn: ScriptedTurn) -> str:
    if _QUESTION.search(turn.prompt):
        answers = [item.text for item in turn.context if isinstance(item, Message) and item.role == "assistant"]
        if answers and _ABOUT_MODEL.search(turn.prompt):
            return f"I said: {answers[-1]}"
        about_user = _ABOUT_USER.search(turn.prompt)
        quoted = turn.earlier_prompts if about_user else _related(turn.prompt, turn.earlier_prompts)
        if quoted:
            return f"You said: {' '.join(quoted)}"
    media = f"(with {', '.join(turn.media)})" if turn.media else ""
    return " ".join(text for text in (turn.prompt, media) if text) or "There is nothing to answer."


def _related(question: str, messages: Sequence[str]) -> list[str]:
    """Return the messages that are not questions and share a keyword with the question."""
    keywords = _KEYWORD.findall(question.lower())
    return [
        message
        for message in messages
        if not _QUESTION.search(message) and not {*_KEYWORD.findall(message.lower())}.isdisjoint(keywords)
    ]


def _context_lines(turn: ScriptedTurn) -> Iterator[str]:
    if turn.request.instructions:
        yield f"instructions: {turn.request.instructions}"
    for item in turn.context:
        label, text = (item.role, item.text) if isinstance(item, Message) else (item.type, output_text(item))
        yield f"{label}: {text}" if text else label


def _story(topic: str) -> str:
    name = re.sub(r"^(an?|the)\s+", "", topic, flags=re.IGNORECASE)
    return (
        f"High above the sleeping valley, {topic} tiptoed from cloud to cloud and lit the stars, one after the other. "
        "Far below, a child at a window counted them aloud and forgot, somewhere past twenty, which number came next. "
        f"So the {name} blew the last star out very softly, the window went dark, and everyone slept until morning."
    )
