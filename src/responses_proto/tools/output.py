"""Converts the result of a tool to the item that answers its call in the next request.

::

    output_item(call, "sunny")                                    # a FunctionCallOutput, for a FunctionCall
    output_item(call, ToolOutput("no such city", failed=True))    # each type of call has its own failure
    output_item(request, Approval(approve=True))                  # an McpApprovalResponse

``models.items.CALL_OUTPUT_PAIRS`` lists which item answers which call; the table at the end of this module lists how it
is made.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import os
import uuid
from collections import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, get_args

import attrs

from ..codec import dump, dumps
from ..exceptions import EncodeError, UsageError
from ..models._base import Model
from ..models._media import WHITE_PIXEL
from ..models.actions import ExitOutcome, ShellOutput
from ..models.content import (
    ComputerScreenshot,
    Content,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    Refusal,
    SummaryText,
    Text,
)
from ..models.items import (
    PAIR_OF_CALL,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    ComputerCall,
    ComputerCallOutput,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
)
from ..models.tools import Tool
from ..typing import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import Limits
    from ..models.response import PendingCall

__all__ = ["TOOL_CLASSES", "Approval", "ToolOutput", "ToolResult", "call_key", "output_item", "tool_output"]

ToolResult: TypeAlias = "str | Content | Sequence[Content] | Sequence[ShellOutput] | Sequence[Tool] | Item"
"""The output for the model: text; content parts, such as images and files; the output of shell commands; the tools that a
search found; or the item itself that answers the call, such as a ``ComputerCallOutput``."""

_CONTENT: Final[tuple[type, ...]] = get_args(Content)
_ITEM: Final[tuple[type, ...]] = get_args(Item)
TOOL_CLASSES: Final[tuple[type, ...]] = get_args(Tool)
"""The classes of tool definitions."""
_PARTS: Final = (*_CONTENT, *TOOL_CLASSES, ShellOutput)
# A computer call that failed must be answered with a screenshot, too.
_BLANK_SCREEN: Final = f"data:image/png;base64,{WHITE_PIXEL}"


@attrs.frozen
class ToolOutput:
    """The result of a call. Immutable."""

    output: ToolResult
    """The output for the model. An item must be of the type that answers the call, and have the call's id."""
    failed: bool = False
    """Whether the tool failed. The model reads :attr:`output` in either case."""
    value: object = attrs.field(default=None, kw_only=True, eq=False)
    """A result for the caller, such as the structured value behind the text. Never sent."""


@attrs.frozen
class Approval:
    """The decision about a call that needs approval: one of a remote MCP server (Items, MCP), or one that is executed here."""

    approve: bool
    reason: str = ""
    """The reason for the decision, which the model reads."""
    remember: bool = attrs.field(default=False, kw_only=True)
    """Whether the decision also applies to later calls of this tool in the same run or loop, as long as the tool's
    definition does not change."""


def call_key(call: PendingCall) -> str:
    """Return the id that the answer to a call refers to: ``call_id``, or ``id`` for an approval; empty if missing."""
    key = getattr(call, PAIR_OF_CALL[call.type].call_key)
    return key if isinstance(key, str) else ""


# ---- Python values to outputs


def tool_output(value: object) -> ToolOutput:
    """Convert the return value of a function to an output.

    An output, text, content parts and items are used unchanged. Other values become JSON text and are kept in
    :attr:`ToolOutput.value`: ``None``, numbers, lists, sets, mappings, instances of attrs classes, dataclasses and
    pydantic models, named tuples, enumerations, dates, ``UUID``, ``Decimal`` and paths. Raises ``EncodeError`` for any
    other type.
    """
    if isinstance(value, ToolOutput):
        return value
    if isinstance(value, (str, *_ITEM, *_PARTS)) and not isinstance(value, enum.Enum):
        return ToolOutput(cast("ToolResult", value))
    if type(value) in (list, tuple):
        parts = cast("Sequence[object]", value)
        if parts and all(isinstance(part, _PARTS) for part in parts):
            return ToolOutput(cast("Sequence[Content]", parts))
    return ToolOutput(dumps(_to_json(value)).decode(), value=value)


def _to_json(value: object) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    for kind, convert in _SCALARS:
        if isinstance(value, kind):
            return convert(value)
    members = _members(value)
    if members is not None:
        return {str(key): _to_json(member) for key, member in members.items()}
    if isinstance(value, _ARRAYS):
        return [_to_json(element) for element in cast("Sequence[object]", value)]
    raise EncodeError(
        f"a tool returned a value of type {type(value).__name__}, which has no JSON form: return text, JSON values, "
        "attrs or dataclass instances, or content parts such as InputImage.from_bytes(...)"
    )


def _members(value: Any) -> Mapping[Any, Any] | None:
    """Return the members of a value that becomes a JSON object, else ``None``."""
    if isinstance(value, Model):
        return cast("Mapping[str, Any]", dump(value))
    if callable(as_json := getattr(value, "model_dump", None)):  # pydantic, without importing it
        return cast("Mapping[str, Any]", as_json(mode="json", by_alias=True))
    cls: Any = value.__class__
    if attrs.has(cls):
        return {a.alias: getattr(value, a.name) for a in attrs.fields(cls)}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(as_dict := getattr(value, "_asdict", None)):
        return cast("Mapping[str, Any]", as_dict())
    return value if isinstance(value, abc.Mapping) else None  # pyright: ignore[reportUnknownVariableType] - any


_ARRAYS: Final = (list, tuple, set, frozenset, range, abc.KeysView, abc.ValuesView, collections.deque)
_SCALARS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]] = (
    (enum.Enum, lambda value: _to_json(value.value)),
    ((bool, int, float, str), lambda value: value),  # subclasses; the exact types are handled above
    ((dt.date, dt.time), lambda value: value.isoformat()),  # a datetime is a date
    ((uuid.UUID, decimal.Decimal), str),
    (os.PathLike, os.fspath),
)


# ---- outputs to items


def output_item(call: PendingCall, answer: ToolOutput | ToolResult | Approval, *, limits: Limits | None = None) -> Item:
    """Return the item that answers a call. A ``caller`` in the call, such as a program, is copied to the item.

    Every type of call can be answered with ``ToolOutput(text, failed=True)``. Otherwise, a function or custom tool call
    takes text or content parts; a shell call, text or a list of ``ShellOutput``; a local shell or patch call, text; a
    computer call, an image; a tool search, a list of tools; a request for approval, an :class:`Approval`. Parts of a
    model's message, such as ``OutputText``, become input. An :class:`Approval` that denies fits every type.

    Raises ``UsageError`` for an answer that does not fit the type of call, ``EncodeError`` if it has no JSON form, and,
    with ``limits``, ``LimitExceeded`` if the item is larger than ``max_tool_output_bytes``.
    """
    if isinstance(answer, Approval):
        if isinstance(call, McpApprovalRequest):
            item = _approval_response(call, approve=answer.approve, reason=answer.reason)
        elif answer.approve:
            raise UsageError(f"an approved {call.type} must be executed and answered with its output")
        else:
            reason = f": {answer.reason}" if answer.reason else "."
            item = _item(call, ToolOutput(f"The call was not approved{reason}", failed=True))
    else:
        output = answer if isinstance(answer, ToolOutput) else ToolOutput(answer)
        item = _item(call, output)
    size = len(dumps(item))
    if limits is not None:
        limits.check("max_tool_output_bytes", size)
    return item


def _item(call: PendingCall, output: ToolOutput) -> Item:
    if isinstance(output.output, _ITEM):
        item = cast("Item", output.output)
        pair, key = PAIR_OF_CALL[call.type], call_key(call)
        if item.type != pair.output or getattr(item, pair.output_key) != key:
            raise _unsuitable(call, f"{pair.output} with {pair.output_key}={key!r}", item)
        if isinstance(item, FunctionCallOutput | CustomToolCallOutput) and not isinstance(item.output, str):
            return attrs.evolve(item, output=_as_input(item.output))
        return item
    return _MAKERS[type(call)](call, output)


def _caller(call: Any) -> Any:
    return call.caller or UNSET


def _unsuitable(call: PendingCall, expected: str, value: object) -> UsageError:
    return UsageError(f"{call.type} must be answered with {expected}, got {value!r:.200}")


def _as_list(value: object, kinds: type | tuple[type, ...]) -> list[Any] | None:
    """Return a list of these types, or a single value of them in a list; ``None`` for anything else."""
    if isinstance(value, kinds):
        return [value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        elements = list(cast("Sequence[object]", value))
        if all(isinstance(element, kinds) for element in elements):
            return elements
    return None


def _text_or_parts(call: PendingCall, output: ToolOutput) -> str | list[Content]:
    if isinstance(output.output, str):
        return output.output
    parts = _as_list(output.output, _CONTENT)
    if parts is None:
        raise _unsuitable(call, "text or content parts", output.output)
    return _as_input(parts)


def _as_input(parts: Sequence[Content]) -> list[Content]:
    """Return parts in the form for an output: text of any kind, such as that of a model's message, becomes ``InputText``."""
    return [
        InputImage(image_url=part.image_url, file_id=part.file_id, detail=part.detail)
        if isinstance(part, ComputerScreenshot)
        else InputText(text=part.refusal if isinstance(part, Refusal) else part.text)
        if isinstance(part, OutputText | Refusal | Text | ReasoningText | SummaryText)
        else part
        for part in parts
    ]


def _text(call: PendingCall, output: ToolOutput) -> str:
    if isinstance(output.output, str):
        return output.output
    parts = _as_list(output.output, _CONTENT)
    texts = [part.text for part in _as_input(parts or ()) if isinstance(part, InputText)]
    if parts is None or len(texts) < len(parts):
        raise _unsuitable(call, "text", output.output)
    return "".join(texts)


def _function(call: FunctionCall, output: ToolOutput) -> Item:
    return FunctionCallOutput(call_id=call.call_id, output=_text_or_parts(call, output), caller=_caller(call))


def _custom(call: CustomToolCall, output: ToolOutput) -> Item:
    return CustomToolCallOutput(call_id=call.call_id, output=_text_or_parts(call, output), caller=_caller(call))


def _shell(call: ShellCall, output: ToolOutput) -> Item:
    results = _as_list(output.output, ShellOutput)
    if results is None:
        text = _text(call, output)
        results = [
            ShellOutput(stdout="", stderr=text, outcome=ExitOutcome(exit_code=1))
            if output.failed
            else ShellOutput(stdout=text, stderr="", outcome=ExitOutcome(exit_code=0))
        ]
    return ShellCallOutput(
        call_id=call.call_id,
        output=results,
        # The server expects its own limit back.
        max_output_length=call.action.max_output_length or UNSET,
        caller=_caller(call),
    )


def _local_shell(call: LocalShellCall, output: ToolOutput) -> Item:
    return LocalShellCallOutput(id=call.call_id, output=_text(call, output))


def _apply_patch(call: ApplyPatchCall, output: ToolOutput) -> Item:
    return ApplyPatchCallOutput(
        call_id=call.call_id,
        output=_text(call, output) or UNSET,
        status="failed" if output.failed else "completed",
        caller=_caller(call),
    )


def _computer(call: ComputerCall, output: ToolOutput) -> Item:
    images = _as_list(output.output, (ComputerScreenshot, InputImage))
    if images is not None and len(images) == 1:
        image = images[0]
        screen = ComputerScreenshot(image_url=image.image_url, file_id=image.file_id, detail=image.detail)
    elif output.failed:
        screen = ComputerScreenshot(image_url=_BLANK_SCREEN)
    else:
        raise _unsuitable(call, "a screenshot (an InputImage, or a ComputerCallOutput)", output.output)
    return ComputerCallOutput(call_id=call.call_id, output=screen, status="failed" if output.failed else UNSET)


def _tool_search(call: ToolSearchCall, output: ToolOutput) -> Item:
    # `tool_output` turns an empty list into the JSON text "[]", since it cannot know the type of the elements.
    found: list[Any] | None = [] if output.failed or output.value == [] else _as_list(output.output, TOOL_CLASSES)
    if found is None:
        raise _unsuitable(call, "a list of tools", output.output)
    return ToolSearchOutput(call_id=call.call_id, tools=found, execution="client", status="completed")


def _approval(call: McpApprovalRequest, output: ToolOutput) -> Item:
    if not output.failed:
        raise _unsuitable(call, "an Approval", output.output)
    return _approval_response(call, approve=False, reason=_text(call, output))


def _approval_response(call: McpApprovalRequest, *, approve: bool, reason: str) -> Item:
    return McpApprovalResponse(approval_request_id=call.id, approve=approve, reason=reason or UNSET)


_MAKERS: Final[Mapping[type, Callable[[Any, ToolOutput], Item]]] = {
    FunctionCall: _function,
    CustomToolCall: _custom,
    ShellCall: _shell,
    LocalShellCall: _local_shell,
    ApplyPatchCall: _apply_patch,
    ComputerCall: _computer,
    ToolSearchCall: _tool_search,
    McpApprovalRequest: _approval,
}
"""The type of a call -> the function that makes the item that answers it. All of them accept the text of a failure."""
