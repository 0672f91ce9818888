"""One request, as the scripted model reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

import attrs

from ..models.content import InputAudio, InputFile, InputImage, InputText, InputVideo, OutputText, Text
from ..models.items import (
    CALL_OUTPUT_PAIRS,
    ApplyPatchCallOutput,
    ComputerCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    LocalShellCallOutput,
    McpApprovalResponse,
    McpCall,
    Message,
    Reasoning,
    ShellCallOutput,
    ToolSearchOutput,
)
from .markers import read_markers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..models.content import Content
    from ..models.items import Item
    from ..models.request import CreateResponse

__all__ = ["ScriptedTurn", "count_tokens", "output_text", "read_turn"]

_OUTPUTS: Final = frozenset(pair.output for pair in CALL_OUTPUT_PAIRS if pair.output != McpApprovalResponse.type)
_MEDIA: Final[Mapping[type[Content], str]] = {
    InputImage: "image",
    InputFile: "file",
    InputVideo: "video",
    InputAudio: "sound",
}
_MEDIA_TOKENS: Final = 100  # what an image, a file, … counts for


@attrs.frozen(kw_only=True)
class ScriptedTurn:
    """A request and what came before it."""

    request: CreateResponse
    context: Sequence[Item]
    """The items so far, the input last."""
    prompt: str
    """The last user message, without its markers."""
    markers: Mapping[str, str]
    """The markers in it, and what stood behind each name."""
    media: Sequence[str]
    """What else than text is in it: ``image``, ``file report.pdf``, …"""
    earlier_prompts: Sequence[str]
    """The user messages before that one, the oldest first."""

    @property
    def last_item(self) -> Item | None:
        """What the context ends with."""
        return self.context[-1] if self.context else None

    @property
    def outputs(self) -> list[Item]:
        """The outputs of tools that the context ends with."""
        count = 0
        while count < len(self.context) and self.context[-1 - count].type in _OUTPUTS:
            count += 1
        return list(self.context[len(self.context) - count :])

    def includes(self, name: str) -> bool:
        """Tell whether the request wants this bulky part of the output."""
        return name in (self.request.include or ())

    def items_since_prompt(self) -> Sequence[Item]:
        """Give the items after the last user message."""
        for index in range(len(self.context) - 1, -1, -1):
            if _is_users(self.context[index]):
                return self.context[index + 1 :]
        return self.context


def read_turn(request: CreateResponse, context: Sequence[Item]) -> ScriptedTurn:
    """Read a request, whose context ends with its input."""
    messages = [item for item in context if _is_users(item)]
    asked, marks = read_markers(messages[-1].text if messages else "")
    return ScriptedTurn(
        request=request,
        context=context,
        prompt=asked,
        markers=marks,
        media=[_name_of(part) for part in messages[-1].parts if type(part) in _MEDIA] if messages else [],
        earlier_prompts=[read_markers(message.text)[0] for message in messages[:-1]],
    )


def _is_users(item: Item) -> TypeGuard[Message]:
    return isinstance(item, Message) and item.role == "user"


def _name_of(part: Content) -> str:
    named = part.filename if isinstance(part, InputFile) else None
    return f"{_MEDIA[type(part)]} {named}" if named else f"{_MEDIA[type(part)]}"


def output_text(item: Item) -> str:  # noqa: PLR0911 - one per kind
    """Give the output of a tool in words."""
    match item:
        case FunctionCallOutput() | CustomToolCallOutput():
            return item.output if isinstance(item.output, str) else _text(item.output)
        case ShellCallOutput():
            return "".join(part.stdout + part.stderr for part in item.output).strip()
        case LocalShellCallOutput():
            return item.output
        case ApplyPatchCallOutput():
            return item.output or item.status
        case ComputerCallOutput():
            return "a screenshot"
        case ToolSearchOutput():
            return f"{len(item.tools)} tools"
        case McpCall():
            return item.output or ""
        case _:
            return ""


def _text(parts: Sequence[Content]) -> str:
    words = "".join(part.text for part in parts if isinstance(part, InputText | OutputText | Text))
    others = ", ".join(_name_of(part) for part in parts if type(part) in _MEDIA)
    return " ".join(text for text in (words, f"({others})" if others else "") if text)


def count_tokens(items: Iterable[Item], instructions: str = "") -> int:
    """Count what the model reads, where a word is a token and an image, a file or the like is a hundred."""
    count = len(instructions.split())
    for item in items:
        match item:
            case Message():
                count += len(item.text.split()) + _MEDIA_TOKENS * sum(type(part) in _MEDIA for part in item.parts)
            case Reasoning():
                count += len(item.text.split())
            case FunctionCall():
                count += len(item.arguments.split())
            case CustomToolCall():
                count += len(item.input.split())
            case _:
                count += len(output_text(item).split())
    return count
