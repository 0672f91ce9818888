"""Model the objects inside events other than items, content parts and responses."""

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
    "InjectError",
    "RequiredInput",
    "ShellOutputDelta",
    "Steer",
    "SteerError",
]


@model
class ShellOutputDelta(Model):
    """The output that a command wrote to stdout or stderr since the last event (Streaming, Shell calls)."""

    stdout: str | None | Unset = UNSET
    stderr: str | None | Unset = UNSET


@model
class Steer(Model):
    """A steer that the server accepted: its id, and the response that it steers (WebSocket, Steering)."""

    id: str
    previous_response_id: str


@model
class FailedSteer(Model):
    """A steer that the server did not accept. It includes the input, so that it can be sent again (WebSocket, Steering)."""

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
class InjectError(Model):
    """Why input was not added to a running response (WebSocket, Multi-agent beta)."""

    code: Literal["response_already_completed", "response_not_found"] | str
    message: str


@model
class RequiredInput(Model):
    """An input item that a pending steer waits for: the type of the item, and the call that it answers (Steering).

    This is not an item itself: the caller must add the output.
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
    """The call to answer; set for every type except ``mcp_approval_response``."""
    name: str | Unset = UNSET
    """The name of the function; set for ``function_call_output``."""
    execution: Literal["client"] | str | Unset = UNSET
    """Who runs the search; set for ``tool_search_output``."""
    approval_request_id: str | Unset = UNSET
    """The request to answer; set for ``mcp_approval_response``."""


@model
class ErrorBody(Model):
    """The error in an `error` event of the nested shape (Errors)."""

    type: str | Unset = UNSET
    code: str | None | Unset = UNSET
    message: str
    param: str | None | Unset = UNSET
    """The request field that caused the error."""
    headers: Mapping[str, str] | None | Unset = UNSET
    """The HTTP headers of the error, such as those of rate limits."""
    misalignment: Misalignment | None | Unset = UNSET
