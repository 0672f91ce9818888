"""What events carry that is not an item, a content part or a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..typing import UNSET, Unset
from ._base import Model, model
from .items import Item
from .response import Misalignment

__all__ = [
    "ErrorBody",
    "FailedSteer",
    "RequiredInput",
    "ShellOutputDelta",
    "Steer",
    "SteerError",
]


@model
class ShellOutputDelta(Model):
    """What a command wrote since the last event, in either stream (Streaming, Shell calls)."""

    stdout: str | None | Unset = UNSET
    stderr: str | None | Unset = UNSET


@model
class Steer(Model):
    """A steer that the server took: its own id, and the response that it steers (WebSocket, Steering)."""

    id: str
    previous_response_id: str


@model
class FailedSteer(Model):
    """A steer that the server did not take, with its input to send again (WebSocket, Steering)."""

    id: str | None | Unset = UNSET
    previous_response_id: str
    input: str | list[Item]


@model
class SteerError(Model):
    """Why a steer failed (WebSocket, Steering)."""

    code: (
        Literal[
            "response_not_found",
            "invalid_input",
            "steering_not_supported",
            "too_many_pending_steers",
            "response_already_completed",
            "response_not_active",
            "successor_creation_failed",
        ]
        | str
    )
    message: str
    type: Literal["invalid_request_error"] | str


@model
class RequiredInput(Model):
    """An input item that a pending steer waits for, as a stub: the item's type and what it answers (Steering).

    Not an item: the output is what the caller has to add.
    """

    type: (
        Literal[
            "function_call_output",
            "custom_tool_call_output",
            "computer_call_output",
            "shell_call_output",
            "apply_patch_call_output",
            "tool_search_output",
            "mcp_approval_response",
        ]
        | str
    )
    call_id: str | Unset = UNSET
    """The call to answer; every type but ``mcp_approval_response`` has it."""
    name: str | Unset = UNSET
    """The function, for ``function_call_output``."""
    execution: Literal["client"] | str | Unset = UNSET
    """Who searches, for ``tool_search_output``."""
    approval_request_id: str | Unset = UNSET
    """The request to answer, for ``mcp_approval_response``."""


@model
class ErrorBody(Model):
    """What went wrong, in the nested shape of an `error` event (Errors)."""

    type: str | Unset = UNSET
    code: str | None | Unset = UNSET
    message: str
    param: str | None | Unset = UNSET
    """The request field at fault."""
    headers: Mapping[str, str] | None | Unset = UNSET
    """HTTP headers that the error would have had, such as those of rate limits."""
    misalignment: Misalignment | None | Unset = UNSET
