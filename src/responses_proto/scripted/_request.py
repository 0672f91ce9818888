"""Read a request and its context for the scripted model."""

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
    from ..models.tools import Tool

_OUTPUTS: Final = frozenset(pair.output for pair in CALL_OUTPUT_PAIRS if pair.output != McpApprovalResponse.type)
_MEDIA: Final[Mapping[type[Content], str]] = {
    InputImage: "image",
    InputFile: "file",
    InputVideo: "video",
    InputAudio: "sound",
}
_MEDIA_TOKENS: Final = 100  # per image, file, …


@attrs.frozen(kw_only=True)
class ScriptedTurn:
    """A request with its context."""

    request: CreateResponse
    context: Sequence[Item]
    """All items of the conversation, oldest first. The input of the request comes last."""
    prompt: str
    """The text of the last user message, without its markers."""
    markers: Mapping[str, str]
    """The markers of the last user message: name -> arguments."""
    media: Sequence[str]
    """The content parts of the last user message that are not text: ``image``, ``file report.pdf``, …"""
    earlier_prompts: Sequence[str]
    """The user messages before the last one, oldest first, without their markers."""

    @property
    def last_item(self) -> Item | None:
        """The last item of the context."""
        return self.context[-1] if self.context else None

    @property
    def outputs(self) -> list[Item]:
        """The tool outputs at the end of the context."""
        count = 0
        while count < len(self.context) and self.context[-1 - count].type in _OUTPUTS:
            count += 1
        return list(self.context[len(self.context) - count :])

    @property
    def found_tools(self) -> list[Tool]:
        """The tools that tool searches have found."""
        return [tool for item in self.context if isinstance(item, ToolSearchOutput) for tool in item.tools]

    def includes(self, name: str) -> bool:
        """Return whether the request's ``include`` lists this name."""
        return name in (self.request.include or ())

    def items_since_prompt(self) -> Sequence[Item]:
        """Return the items after the last user message."""
        for index in range(len(self.context) - 1, -1, -1):
            if _is_user_message(self.context[index]):
                return self.context[index + 1 :]
        return self.context


def read_turn(request: CreateResponse, context: Sequence[Item]) -> ScriptedTurn:
    """Return the turn of a request. ``context`` has all items of the conversation; the input of the request comes last."""
    messages = [item for item in context if _is_user_message(item)]
    asked, marks = read_markers(messages[-1].text if messages else "")
    return ScriptedTurn(
        request=request,
        context=context,
        prompt=asked,
        markers=marks,
        media=_media_names(messages[-1].parts) if messages else [],
        earlier_prompts=[read_markers(message.text)[0] for message in messages[:-1]],
    )


def _is_user_message(item: Item) -> TypeGuard[Message]:
    return isinstance(item, Message) and item.role == "user"


def _media_names(parts: Sequence[Content]) -> list[str]:
    named = (
        (_MEDIA[type(part)], part.filename if isinstance(part, InputFile) else "")
        for part in parts
        if type(part) in _MEDIA
    )
    return [f"{kind} {filename}" if filename else kind for kind, filename in named]


def output_text(item: Item) -> str:  # noqa: PLR0911 - one return per type of item
    """Return the output of a tool as text; empty for an item that is not an output."""
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
    media = ", ".join(_media_names(parts))
    return " ".join(text for text in (words, f"({media})" if media else "") if text)


def count_tokens(items: Iterable[Item], instructions: str = "") -> int:
    """Return the number of input tokens. A word is one token; an image, a file or other media part is a hundred."""
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
