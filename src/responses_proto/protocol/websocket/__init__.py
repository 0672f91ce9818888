"""The protocol of one WebSocket connection, without a socket: what may be sent when, and which turn a message belongs to.

Over HTTP, a connection carries one response at a time. A WebSocket carries many. Each is a *turn*: the client begins it with a
``response.create``, and the server answers with the same events as over HTTP, one per message. Turns that follow one another share a
*lane*, named by ``stream_id``; turns without a ``stream_id`` share the lane without a name. Lanes run concurrently. Three things have
states, and each has a table of them:

* **A turn**, as the client sees it (:data:`TURN_LIFE`). It ends with the terminal event of its response, or with a *rejection*: an
  ``error`` with an HTTP status, sent instead of a response. An ``error`` without a status belongs to a response that has begun, and
  ``response.failed`` may follow it. No message stops a turn: to stop the server, close the connection (:data:`LEAVING`).
* **A steer**: input for a running response (:data:`STEER_LIFE`). Once the server sends ``accepted``, it owns the input.
  When the response ends, a *successor* begins automatically, on the same lane and with the same settings; its ``response.created``
  commits the steered input. If the response ended in calls that the client must answer, the server sends ``pending`` instead, and
  the client's next ``response.create`` after that response includes the steered input.
  Input for the agents of a running response (``response.inject``, a beta) is simpler: the server adds it to that response, or returns it.
* **The connection**, which ends with a close code (:data:`CLOSE_CODES`).

State that only the connection holds is lost with it: the last response of each chain, which a turn with ``store: false`` can follow by
``previous_response_id`` until a turn that follows it fails.

A message belongs to the first of these that exists:

1. the turn on the lane that its ``stream_id`` names;
2. without a ``stream_id``, the turn on the lane without a name;
3. the oldest active turn, if the server has named no lane so far: a server that does not support lanes answers in order;
4. no turn. The terminal event of a turn that the client has left after an ``error`` also belongs to no turn.

:class:`ClientSession` is the client side, :class:`ServerSession` the server side.
"""

from __future__ import annotations

from ._client import ClientSession, ClientSteer, ClientTurn, copy_error
from ._server import ServerSession, ServerTurn
from ._tables import (
    CLIENT_MESSAGES,
    CLOSE_CODES,
    CONNECTION_LIMIT,
    HTTP_ONLY_FIELDS,
    INJECT_ERRORS,
    LEAVING,
    MESSAGE_KINDS,
    PREVIOUS_NOT_FOUND,
    STEER_ERRORS,
    STEER_LIFE,
    STREAM_ID,
    TURN_LIFE,
    ClientMessageKind,
    MessageKind,
    SteerState,
    TurnState,
    common_fields,
)

__all__ = [
    "CLIENT_MESSAGES",
    "CLOSE_CODES",
    "CONNECTION_LIMIT",
    "HTTP_ONLY_FIELDS",
    "INJECT_ERRORS",
    "LEAVING",
    "MESSAGE_KINDS",
    "PREVIOUS_NOT_FOUND",
    "STEER_ERRORS",
    "STEER_LIFE",
    "STREAM_ID",
    "TURN_LIFE",
    "ClientMessageKind",
    "ClientSession",
    "ClientSteer",
    "ClientTurn",
    "MessageKind",
    "ServerSession",
    "ServerTurn",
    "SteerState",
    "TurnState",
    "common_fields",
    "copy_error",
]
