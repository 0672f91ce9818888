"""What a call is answered with: from what a tool gave to the item of the next request.

::

    output_item(call, "sunny")                                    # a FunctionCallOutput, for a FunctionCall
    output_item(call, ToolOutput("no such city", failed=True))    # said in the way that the kind of call has for it
    output_item(request, Approval(approve=True))                  # an McpApprovalResponse

Which item answers which call, ``models.items.PAIRS`` says; how it is made, the table at the end of this module.
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
from ..exceptions import EncodeError, LocalProtocolError
from ..models._base import Model
from ..models._media import WHITE_PIXEL
from ..models.actions import ExitOutcome, ShellOutput
from ..models.content import ComputerScreenshot, Content, InputImage, InputText, OutputText
from ..models.items import (
    CALL_OUTPUT_PAIRS,
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

__all__ = ["Approval", "ToolOutput", "ToolResult", "call_key", "output_item", "tool_output"]

ToolResult: TypeAlias = "str | Content | Sequence[Content] | Sequence[ShellOutput] | Sequence[Tool] | Item"
"""What the model gets to read: text; parts, such as images and files; what commands gave; found tools; or the very item
that answers the call, such as a ``ComputerCallOutput``."""

_CONTENT: Final[tuple[type, ...]] = get_args(Content)
_ITEM: Final[tuple[type, ...]] = get_args(Item)
_TOOL: Final[tuple[type, ...]] = get_args(Tool)
_PARTS: Final = (*_CONTENT, *_TOOL, ShellOutput)
_PAIR_OF: Final = {pair.call: pair for pair in CALL_OUTPUT_PAIRS}
# One white pixel, for a computer call that failed: such a call is answered with a screenshot, or not at all.
_NOTHING_TO_SEE: Final = f"data:image/png;base64,{WHITE_PIXEL}"


@attrs.frozen
class ToolOutput:
    """What a call gave. Immutable."""

    output: ToolResult
    """For the model. A ready item has to be of the kind that answers the call, and to name it."""
    failed: bool = False
    """The tool says that it did not work; the model gets to read why, as with any other output."""
    value: object = attrs.field(default=None, kw_only=True, eq=False)
    """For the caller alone, never sent: the structured value behind the text, say."""


@attrs.frozen
class Approval:
    """The caller's answer to a request for approval (Items, MCP)."""

    approve: bool
    reason: str = ""
    """For the model to read."""
    remember: bool = attrs.field(default=False, kw_only=True)
    """Whether it holds for all later calls of this tool of this server, in the same run or loop."""


def call_key(call: PendingCall) -> str:
    """Give what the answer to a call refers to: its ``call_id``, or the ``id`` of a request for approval; empty if it has none."""
    key = getattr(call, _PAIR_OF[call.type].call_key)
    return key if isinstance(key, str) else ""


# ---- from a Python value to an output


def tool_output(value: object) -> ToolOutput:
    """Make an output of whatever a function returned.

    Text, content parts and ready items are taken as they are. Anything else becomes JSON: ``None``, numbers, lists, dictionaries,
    classes of attrs, dataclasses and pydantic, named tuples, enumerations, dates, ``UUID``, ``Decimal`` and paths; the value itself is
    kept in :attr:`ToolOutput.value`. Raises ``EncodeError`` for what is none of these.
    """
    if isinstance(value, ToolOutput):
        return value
    if isinstance(value, (str, *_ITEM, *_PARTS)) and not isinstance(value, enum.Enum):
        return ToolOutput(cast("ToolResult", value))
    if type(value) in (list, tuple):
        parts = cast("Sequence[object]", value)
        if parts and all(isinstance(part, _PARTS) for part in parts):
            return ToolOutput(cast("Sequence[Content]", parts))
    return ToolOutput(dumps(_plain(value)).decode(), value=value)


def _plain(value: object) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    for kind, plain in _SCALARS:
        if isinstance(value, kind):
            return plain(value)
    members = _members(value)
    if members is not None:
        return {str(key): _plain(member) for key, member in members.items()}
    if isinstance(value, _ARRAYS):
        return [_plain(element) for element in cast("Sequence[object]", value)]
    raise EncodeError(
        f"a tool gave a {type(value).__name__}, which is not JSON: return text, JSON values, attrs classes or dataclasses, "
        "or content parts, such as InputImage.from_bytes(...)"
    )


def _members(value: Any) -> Mapping[Any, Any] | None:
    """Give what becomes the properties of an object, if a value is to become one."""
    if isinstance(value, Model):
        return cast("Mapping[str, Any]", dump(value))
    if callable(as_json := getattr(value, "model_dump", None)):  # pydantic's, which is not imported for it
        return cast("Mapping[str, Any]", as_json(mode="json", by_alias=True))
    cls: Any = value.__class__
    if attrs.has(cls):
        return {a.alias: getattr(value, a.name) for a in attrs.fields(cls)}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(as_dict := getattr(value, "_asdict", None)):
        return cast("Mapping[str, Any]", as_dict())
    return value if isinstance(value, abc.Mapping) else None  # pyright: ignore[reportUnknownVariableType] - of whatever


_ARRAYS: Final = (list, tuple, set, frozenset, range, abc.KeysView, abc.ValuesView, collections.deque)
_SCALARS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]] = (
    (enum.Enum, lambda value: _plain(value.value)),
    ((bool, int, float, str), lambda value: value),  # classes of their own on top of these
    ((dt.date, dt.time), lambda value: value.isoformat()),  # a datetime is a date
    ((uuid.UUID, decimal.Decimal), str),
    (os.PathLike, os.fspath),
)


# ---- from an output to an item


def output_item(call: PendingCall, given: ToolOutput | ToolResult | Approval, *, limits: Limits | None = None) -> Item:
    """Make the item that answers a call. What the call says of its caller, a program for one, is said in the answer too.

    Raises ``LocalProtocolError`` for what cannot answer this kind of call, ``EncodeError`` for what is not JSON, and, with ``limits``,
    ``LimitExceeded`` for an item of more than ``max_tool_output_bytes``.
    """
    if isinstance(given, Approval):
        if not isinstance(call, McpApprovalRequest):
            raise LocalProtocolError(
                f"a {call.type} is answered with an output; an Approval is for mcp_approval_request"
            )
        item = _approved(call, approve=given.approve, reason=given.reason)
    else:
        output = given if isinstance(given, ToolOutput) else ToolOutput(given)
        item = _item(call, output)
    size = len(dumps(item))
    if limits is not None:
        limits.check("max_tool_output_bytes", size)
    return item


def _item(call: PendingCall, output: ToolOutput) -> Item:
    given = output.output
    if isinstance(given, _ITEM):
        item = cast("Item", given)
        pair, key = _PAIR_OF[call.type], call_key(call)
        if item.type != pair.output or getattr(item, pair.output_key) != key:
            raise LocalProtocolError(
                f"a {call.type} is answered with a {pair.output} whose {pair.output_key} is {key!r}, not with {item!r:.200}"
            )
        return item
    return _MAKERS[type(call)](call, output)


def _caller(call: Any) -> Any:
    return call.caller or UNSET


def _unfit(call: PendingCall, wanted: str, given: object) -> LocalProtocolError:
    return LocalProtocolError(f"a {call.type} is answered with {wanted}, not with {given!r:.200}")


def _listed(given: object, kinds: type | tuple[type, ...]) -> list[Any] | None:
    """Give the elements of a list, or the one that stands alone, if they are of these kinds."""
    if isinstance(given, kinds):
        return [given]
    if isinstance(given, Sequence) and not isinstance(given, str):
        elements = list(cast("Sequence[object]", given))
        if all(isinstance(element, kinds) for element in elements):
            return elements
    return None


def _text_or_parts(call: PendingCall, output: ToolOutput) -> str | list[Content]:
    if isinstance(output.output, str):
        return output.output
    parts = _listed(output.output, _CONTENT)
    if parts is None:
        raise _unfit(call, "text or content parts", output.output)
    return parts


def _text(call: PendingCall, output: ToolOutput) -> str:
    if isinstance(output.output, str):
        return output.output
    parts = _listed(output.output, (InputText, OutputText))
    if parts is None:
        raise _unfit(call, "text", output.output)
    return "".join(part.text for part in parts)


def _function(call: FunctionCall, output: ToolOutput) -> Item:
    return FunctionCallOutput(call_id=call.call_id, output=_text_or_parts(call, output), caller=_caller(call))


def _custom(call: CustomToolCall, output: ToolOutput) -> Item:
    return CustomToolCallOutput(call_id=call.call_id, output=_text_or_parts(call, output), caller=_caller(call))


def _shell(call: ShellCall, output: ToolOutput) -> Item:
    given = _listed(output.output, ShellOutput)
    if given is None:
        text = _text(call, output)
        given = [
            ShellOutput(stdout="", stderr=text, outcome=ExitOutcome(exit_code=1))
            if output.failed
            else ShellOutput(stdout=text, stderr="", outcome=ExitOutcome(exit_code=0))
        ]
    return ShellCallOutput(
        call_id=call.call_id,
        output=given,
        # The server wants to read its own limit again.
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
    seen = _listed(output.output, (ComputerScreenshot, InputImage))
    if seen is not None and len(seen) == 1:
        image = seen[0]
        screen = ComputerScreenshot(image_url=image.image_url, file_id=image.file_id, detail=image.detail)
    elif output.failed:
        screen = ComputerScreenshot(image_url=_NOTHING_TO_SEE)
    else:
        raise _unfit(call, "a screenshot: an InputImage, or a ready ComputerCallOutput", output.output)
    return ComputerCallOutput(call_id=call.call_id, output=screen, status="failed" if output.failed else UNSET)


def _tool_search(call: ToolSearchCall, output: ToolOutput) -> Item:
    # An empty list that a function returned is no list of parts, but JSON.
    found: list[Any] | None = [] if output.failed or output.value == [] else _listed(output.output, _TOOL)
    if found is None:
        raise _unfit(call, "a list of tools", output.output)
    return ToolSearchOutput(call_id=call.call_id, tools=found, execution="client", status="completed")


def _approval(call: McpApprovalRequest, output: ToolOutput) -> Item:
    if not output.failed:
        raise _unfit(call, "an Approval", output.output)
    return _approved(call, approve=False, reason=_text(call, output))


def _approved(call: McpApprovalRequest, *, approve: bool, reason: str) -> Item:
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
"""The kind of call -> how an output becomes the item that answers it. A call that failed can be answered with text in all of them."""
