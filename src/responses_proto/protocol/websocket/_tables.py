"""The tables of a WebSocket connection, and how its messages are told apart. See :mod:`responses_proto.protocol.websocket`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ...models._paths import get_path
from ...models.events import TERMINAL_TYPES, SteerAccepted, SteerFailed, SteerPending

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CLOSE_CODES",
    "CONNECTION_LIMIT",
    "LEAVING",
    "MESSAGE_KINDS",
    "PREVIOUS_NOT_FOUND",
    "STEER_ERRORS",
    "STEER_LIFE",
    "STREAM_ID",
    "TURN_LIFE",
    "MessageKind",
    "SteerState",
    "TurnState",
    "code_of",
    "kind_of",
    "parent_of",
    "response_id_of",
    "stream_id_of",
    "text_at",
]

CONNECTION_LIMIT: Final = "websocket_connection_limit_reached"
"""The code of the error that says that a connection is too old for another turn."""
PREVIOUS_NOT_FOUND: Final = "previous_response_not_found"
"""The code of the error that says that there is nothing to follow."""

MessageKind: TypeAlias = Literal["created", "event", "terminal", "error", "refused", "beside", "steer", "done"]
"""What a message of the server's means for its turn. ``refused``: an error with an HTTP status; ``beside``: it may come at any time;
``done``: the ``[DONE]`` that some servers say, as over SSE."""

MESSAGE_KINDS: Final[Mapping[str, MessageKind]] = {
    "response.created": "created",
    **dict.fromkeys(TERMINAL_TYPES, "terminal"),
    "error": "error",
    "keepalive": "beside",
    "response.rate_limits.updated": "beside",
    SteerAccepted.type: "steer",
    SteerPending.type: "steer",
    SteerFailed.type: "steer",
}
"""Type of event -> its kind. All others are an ``event``, and so is what cannot be read."""

TurnState: TypeAlias = Literal["due", "asked", "answered", "failing", "ended"]
"""Where a turn is. ``due``: a successor that was not asked for and will begin by itself; ``failing``: it met an error, and may yet say
that it failed."""

# fmt: off
TURN_LIFE: Final[Mapping[TurnState, Mapping[MessageKind, TurnState]]] = {
    "due":      {"created": "answered"},
    "asked":    {"created": "answered", "event": "answered", "beside": "asked",    "terminal": "ended", "error": "failing", "refused": "ended"},
    "answered": {"created": "answered", "event": "answered", "beside": "answered", "terminal": "ended", "error": "failing", "refused": "ended", "steer": "answered", "done": "ended"},
    "failing":  {"created": "failing",  "event": "failing",  "beside": "failing",  "terminal": "ended", "error": "failing", "refused": "ended", "steer": "failing",  "done": "ended"},
    "ended":    {},
}
# fmt: on
"""state -> kind of message -> next state. A message of a kind that is not here is not this turn's."""

LEAVING: Final[Mapping[TurnState, bool]] = {
    "due": True,
    "asked": True,
    "answered": True,
    "failing": False,
    "ended": False,
}
"""state -> whether leaving the turn there takes closing the connection: whether more of it would come."""

SteerState: TypeAlias = Literal["sent", "accepted", "pending", "committed", "failed"]
"""Where a steer is. From ``accepted`` on its input is the server's; with ``failed`` it is the client's again."""

STEER_LIFE: Final[Mapping[SteerState, Mapping[str, SteerState]]] = {
    "sent": {SteerAccepted.type: "accepted", SteerFailed.type: "failed"},
    "accepted": {SteerPending.type: "pending", SteerFailed.type: "failed", "response.created": "committed"},
    "pending": {SteerFailed.type: "failed", "response.created": "committed"},
    "committed": {},
    "failed": {},
}
"""state -> event -> next state. The ``response.created`` is that of the response that follows the steered one."""

STREAM_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}")
"""What may name a lane."""

CLOSE_CODES: Final[Mapping[int, str]] = {
    1000: "it is done",
    1001: "it is going away",
    1002: "it met a breach of the WebSocket protocol",
    1003: "it cannot take this kind of message",
    1005: "it did not say why",
    1006: "the connection was lost",
    1007: "it met a message that is not UTF-8",
    1008: "it does not allow this",
    1009: "it met a message that is too large for it",
    1010: "it needs an extension that was not offered",
    1011: "it met an error of its own",
    1012: "it is being restarted",
    1013: "it is overloaded: try again later",
    1014: "the server behind it gave no good answer",
    1015: "TLS failed",
}
"""Close code -> what the one that closed says with it (RFC 6455, 7.4.1, and IANA's registry)."""

STEER_ERRORS: Final[Mapping[str, str]] = {
    "response_not_found": "There is no such response on this connection.",
    "invalid_input": "A steer has 'previous_response_id' and 'input', which is a text or messages of the user's, and nothing else.",
    "steering_not_supported": "A response that belongs to a conversation, is compacted by itself, or only warms up cannot be steered.",
    "too_many_pending_steers": "Too much input waits for the end of this response already.",
    "response_already_completed": "The response is complete.",
    "response_not_active": "The response takes no input any more.",
    "successor_creation_failed": "The response that was to take the input could not be made.",
}
"""Code of a failed steer -> what it says (WebSocket, Steering)."""


# ---- reading messages


def kind_of(value: Any) -> MessageKind:
    """Tell what a message of the server's means for its turn."""
    if value == "[DONE]":
        return "done"
    kind = MESSAGE_KINDS.get(text_at(value, "type"), "event")
    if kind == "event" and not get_path(value, "type") and get_path(value, "error"):
        kind = "error"  # some servers leave out what it is
    status = get_path(value, "status")
    return "refused" if kind == "error" and type(status) is int and status >= _FIRST_ERROR else kind


_FIRST_ERROR: Final = 400  # of the HTTP status codes


def text_at(value: Any, path: str) -> str:
    """Return the string at a dotted path of keys; empty if there is none."""
    found = get_path(value, path)
    return found if isinstance(found, str) else ""


def stream_id_of(value: Any) -> str | None:
    """Give the lane that a message names."""
    return text_at(value, "stream_id") or None


def response_id_of(value: Any) -> str:
    """Give the id of the response in an event."""
    return text_at(value, "response.id")


def parent_of(value: Any) -> str:
    """Give the id of the response that the one in an event follows."""
    return text_at(value, "response.previous_response_id")


def code_of(value: Any) -> str:
    """Give the code of an error."""
    return text_at(value, "error.code") or text_at(value, "code")
