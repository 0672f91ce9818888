"""The steps of an answer, in the order in which they are said."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from ..models.items import Item, MessagePhase

__all__ = [
    "EmitCall",
    "EmitItem",
    "EmitMessage",
    "EmitReasoning",
    "EndEarly",
    "Fail",
    "Refuse",
    "ScriptedAnswer",
    "ScriptedStep",
    "Wait",
]


@attrs.frozen(kw_only=True)
class EmitReasoning:
    """A reasoning item."""

    summaries: tuple[str, ...]
    encrypted_content: str | None = None


@attrs.frozen(kw_only=True)
class EmitMessage:
    """A message."""

    text: str
    phase: MessagePhase | None = None
    with_citation: bool = False
    """Whether a citation is attached to the text."""
    finished: bool = True
    """If not, the message stays open: the response ends in the middle of it."""


@attrs.frozen(kw_only=True)
class Refuse:
    """A message that declines."""

    text: str


@attrs.frozen(kw_only=True)
class EmitCall:
    """A call of one of the client's functions."""

    name: str
    arguments: str
    """A JSON object, written out."""


@attrs.frozen(kw_only=True)
class EmitItem:
    """An item of any other kind, which comes in one go."""

    item: Item


@attrs.frozen(kw_only=True)
class Wait:
    """Nothing, for some seconds."""

    seconds: float


@attrs.frozen(kw_only=True)
class EndEarly:
    """The response ends early."""

    reason: str


@attrs.frozen(kw_only=True)
class Fail:
    """The response fails."""

    code: str
    message: str


ScriptedStep: TypeAlias = EmitReasoning | EmitMessage | Refuse | EmitCall | EmitItem | Wait | EndEarly | Fail


@attrs.frozen(kw_only=True)
class ScriptedAnswer:
    """A whole answer."""

    steps: tuple[ScriptedStep, ...]
    delay: float | None = None
    """Seconds between two words; ``None`` leaves that to the server."""
