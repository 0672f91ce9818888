"""The tables of a WebSocket connection, and functions that read its messages. See :mod:`responses_proto.protocol.websocket`."""

from __future__ import annotations

import enum
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from ...models._paths import get_path
from ...models.events import (
    TERMINAL_TYPES,
    InjectCreated,
    InjectFailed,
    ResponseFailed,
    SteerAccepted,
    SteerFailed,
    SteerPending,
)
from ...models.request import CreateResponse, ResponseCreateMessage, ResponseInject, ResponseSteer

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECTION_LIMIT: Final = "websocket_connection_limit_reached"
"""The error code for a connection that is too old for a new turn."""
PREVIOUS_NOT_FOUND: Final = "previous_response_not_found"
"""The error code for a ``previous_response_id`` that the server does not know."""

ClientMessageKind: TypeAlias = Literal["create", "steer", "inject"]
"""The kind of a message from the client."""

CLIENT_MESSAGES: Final[Mapping[str, ClientMessageKind]] = {
    ResponseCreateMessage.type: "create",
    ResponseSteer.type: "steer",
    ResponseInject.type: "inject",
}
"""Type of a client message -> kind. A server refuses all other types."""

MessageKind: TypeAlias = Literal[
    "created", "event", "terminal", "unexplained", "error", "rejected", "beside", "steer", "inject", "done"
]
"""The meaning of a message from the server for its turn. ``unexplained``: a ``response.failed`` without a reason; ``rejected``: an error
with an HTTP status; ``beside``: allowed at any time; ``done``: the ``[DONE]`` that some servers send, as over SSE."""

MESSAGE_KINDS: Final[Mapping[str, MessageKind]] = {
    "response.created": "created",
    **dict.fromkeys(TERMINAL_TYPES, "terminal"),
    "error": "error",
    "keepalive": "beside",
    "response.rate_limits.updated": "beside",
    SteerAccepted.type: "steer",
    SteerPending.type: "steer",
    SteerFailed.type: "steer",
    InjectCreated.type: "inject",
    InjectFailed.type: "inject",
}
"""Event type -> kind. All other types are an ``event``, and so is a message that cannot be read."""


class TurnState(enum.StrEnum):
    """The state of a turn, as the client sees it."""

    DUE = "due"
    """A successor that the client did not request: it will begin automatically."""
    REQUESTED = "requested"
    """``response.create`` was sent or will be sent now; the server has not answered."""
    ANSWERED = "answered"
    """The server has begun to answer."""
    FAILING = "failing"
    """The server sent an ``error`` for the response; ``response.failed`` may follow."""
    UNEXPLAINED = "unexplained"
    """The response failed without a reason; an ``error`` with the reason may follow."""
    ENDED = "ended"


_DUE, _REQUESTED, _ANSWERED, _FAILING, _UNEXPLAINED, _ENDED = TurnState

# fmt: off
TURN_LIFE: Final[Mapping[TurnState, Mapping[MessageKind, TurnState]]] = {
    _DUE:         {"created": _ANSWERED},
    _REQUESTED:   {"created": _ANSWERED, "event": _ANSWERED, "beside": _REQUESTED, "terminal": _ENDED, "unexplained": _UNEXPLAINED, "error": _FAILING, "rejected": _ENDED},
    _ANSWERED:    {"created": _ANSWERED, "event": _ANSWERED, "beside": _ANSWERED, "terminal": _ENDED, "unexplained": _UNEXPLAINED, "error": _FAILING, "rejected": _ENDED, "steer": _ANSWERED, "inject": _ANSWERED, "done": _ENDED},
    _FAILING:     {"created": _FAILING, "event": _FAILING, "beside": _FAILING, "terminal": _ENDED, "unexplained": _ENDED, "error": _FAILING, "rejected": _ENDED, "steer": _FAILING, "inject": _FAILING, "done": _ENDED},
    _UNEXPLAINED: {"beside": _UNEXPLAINED, "error": _ENDED, "rejected": _ENDED, "steer": _UNEXPLAINED, "inject": _UNEXPLAINED, "done": _ENDED},
    _ENDED:       {},
}
# fmt: on
"""State -> kind of message -> next state. A message of a kind that is not listed does not belong to this turn."""

LEAVING: Final[Mapping[TurnState, bool]] = {
    _DUE: True,
    _REQUESTED: True,
    _ANSWERED: True,
    _FAILING: False,
    _UNEXPLAINED: False,
    _ENDED: False,
}
"""State -> whether leaving the turn requires closing the connection, because the server would send more messages for it."""


class SteerState(enum.StrEnum):
    """The state of a steer. From ``ACCEPTED`` on, the server owns its input; with ``FAILED``, the client owns it again."""

    SENT = "sent"
    ACCEPTED = "accepted"
    PENDING = "pending"
    """The response ended in calls. The input waits for the client's next ``response.create``."""
    COMMITTED = "committed"
    """The input is part of a response that has begun."""
    FAILED = "failed"


STEER_LIFE: Final[Mapping[SteerState, Mapping[str, SteerState]]] = {
    SteerState.SENT: {SteerAccepted.type: SteerState.ACCEPTED, SteerFailed.type: SteerState.FAILED},
    SteerState.ACCEPTED: {
        SteerPending.type: SteerState.PENDING,
        SteerFailed.type: SteerState.FAILED,
        "response.created": SteerState.COMMITTED,
    },
    SteerState.PENDING: {SteerFailed.type: SteerState.FAILED, "response.created": SteerState.COMMITTED},
    SteerState.COMMITTED: {},
    SteerState.FAILED: {},
}
"""State -> event type -> next state. ``response.created`` is the event of the response after the steered one."""

STREAM_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,256}")
"""A valid ``stream_id``, the name of a lane."""

HTTP_ONLY_FIELDS: Final[Mapping[str, str]] = {
    "stream": "over a WebSocket, every response is streamed",
    "stream_options": "it is for server-sent events",
    "background": "a response ends with its WebSocket connection; use client.stream(background=True) over HTTP instead",
}
"""Fields of ``CreateResponse`` that a ``response.create`` does not have -> the reason."""

CLOSE_CODES: Final[Mapping[int, str]] = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no close code",
    1006: "connection lost",
    1007: "invalid text encoding",
    1008: "policy violation",
    1009: "message too large",
    1010: "extension required",
    1011: "internal error",
    1012: "service restart",
    1013: "overloaded, try again later",
    1014: "bad gateway",
    1015: "TLS failure",
}
"""Close code -> meaning (RFC 6455, section 7.4.1, and IANA's registry)."""

STEER_ERRORS: Final[Mapping[str, str]] = {
    "response_not_found": "There is no such response on this connection.",
    "invalid_input": "A steer must have 'previous_response_id' and 'input', a text or user messages, and no other fields.",
    "steering_not_supported": "A response with a conversation, with automatic compaction, or without output cannot be steered.",
    "too_many_pending_steers": "Too many steers wait for the end of this response already.",
    "response_already_completed": "The response is complete.",
    "response_not_active": "The response no longer accepts input.",
    "successor_creation_failed": "The response that was to include the input could not be created.",
}
"""Error code of a failed steer -> message (WebSocket, Steering)."""


INJECT_ERRORS: Final[Mapping[str, str]] = {
    "response_not_found": "There is no such response on this connection.",
    "response_already_completed": "The response is complete.",
    "injection_not_supported": "No agent of this response waits for input.",
}
"""Error code of input that was not injected -> message (WebSocket, Multi-agent beta). The last code is specific to this library."""


# ---- reading messages


def common_fields(request: CreateResponse | ResponseCreateMessage) -> dict[str, Any]:
    """Return the values of the fields that requests have both over HTTP and over a WebSocket."""
    names = attrs.fields_dict(ResponseCreateMessage).keys() & attrs.fields_dict(CreateResponse).keys()
    return {name: getattr(request, name) for name in names}


def kind_of(value: Any) -> MessageKind:
    """Return the kind of a decoded message from the server: its meaning for its turn."""
    if value == "[DONE]":
        return "done"
    kind = MESSAGE_KINDS.get(text_at(value, "type"), "event")
    if kind == "terminal" and text_at(value, "type") == ResponseFailed.type and not get_path(value, "response.error"):
        return "unexplained"
    if kind == "event" and not get_path(value, "type") and get_path(value, "error"):
        kind = "error"  # some servers leave out the type
    status = get_path(value, "status")
    return "rejected" if kind == "error" and type(status) is int and status >= HTTPStatus.BAD_REQUEST else kind


def text_at(value: Any, path: str) -> str:
    """Return the string at a dotted path of keys; empty if there is none."""
    found = get_path(value, path)
    return found if isinstance(found, str) else ""


def stream_id_of(value: Any) -> str | None:
    """Return the lane that a message names; ``None`` if it names none."""
    return text_at(value, "stream_id") or None


def response_id_of(value: Any) -> str:
    """Return the id of the response in an event; empty if there is none."""
    return text_at(value, "response.id")


def parent_of(value: Any) -> str:
    """Return the ``previous_response_id`` of the response in an event; empty if there is none."""
    return text_at(value, "response.previous_response_id")


def code_of(value: Any) -> str:
    """Return the code of an error; empty if it has none."""
    return text_at(value, "error.code") or text_at(value, "code")
