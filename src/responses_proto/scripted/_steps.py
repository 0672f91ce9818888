"""The steps that make up an answer of the scripted model, in the order in which they are emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from ..models.items import Item, MessagePhase


@attrs.frozen(kw_only=True)
class EmitReasoning:
    """Stream a reasoning item."""

    summaries: tuple[str, ...]
    """The text of each summary part."""
    encrypted_content: str | None = None


@attrs.frozen(kw_only=True)
class EmitMessage:
    """Stream a message."""

    text: str
    phase: MessagePhase | None = None
    with_citation: bool = False
    """Whether to attach a citation to the text."""
    finished: bool = True
    """Whether to close the message. If not, the next step ends the response in the middle of it."""


@attrs.frozen(kw_only=True)
class Refuse:
    """Stream a message whose content is a refusal."""

    text: str


@attrs.frozen(kw_only=True)
class EmitCall:
    """Stream a call of one of the client's functions."""

    name: str
    arguments: str
    """A JSON object as text. Scripts may put malformed JSON here."""


@attrs.frozen(kw_only=True)
class EmitItem:
    """Emit an item of any other type, as added and done without deltas."""

    item: Item


@attrs.frozen(kw_only=True)
class Wait:
    """Emit nothing for some seconds."""

    seconds: float


@attrs.frozen(kw_only=True)
class EndEarly:
    """End the response as incomplete."""

    reason: str


@attrs.frozen(kw_only=True)
class Fail:
    """End the response as failed."""

    code: str
    message: str


ScriptedStep: TypeAlias = EmitReasoning | EmitMessage | Refuse | EmitCall | EmitItem | Wait | EndEarly | Fail


@attrs.frozen(kw_only=True)
class ScriptedAnswer:
    """The answer to one request."""

    steps: tuple[ScriptedStep, ...]
    delay: float | None = None
    """Seconds between two words; ``None`` uses the delay of the model."""
