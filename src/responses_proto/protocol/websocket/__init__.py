"""One WebSocket connection of the Responses API, without a socket: what may be said when, and what belongs to what.

Over HTTP a connection carries one response. A WebSocket stays, and carries many: *turns*, each begun by a ``response.create`` of the
client's and answered by the same events as over HTTP, one per message. Turns that follow one another share a *lane*, which a
``stream_id`` names (a turn without one is on a lane of its own kind); lanes go side by side. So there are three things to
keep apart, and each is a table here:

* where a turn is in its life, seen from the client (:data:`TURN_LIFE`). It ends with the event that ends its response, or with
  a *refusal*: an ``error`` that states an HTTP status, which comes in place of a response. An ``error`` without one came out of
  a response that was begun, and ``response.failed`` may follow it. There is no message to stop a turn: whoever does not want the rest of one
  has to close the connection (:data:`LEAVING`).
* what became of a *steer*: input for a response that is running (:data:`STEER_LIFE`). The server owns it once it says ``accepted``.
  When the response ends, a *successor* begins by itself, on the same lane and with the same settings, and its
  ``response.created`` commits what was steered. If the response ended in calls that the client has to answer, the server
  says ``pending`` instead, and the client's next ``response.create`` after that response takes the steered input along.
* what closed the connection (:data:`CLOSE_CODES`).

What is kept on the connection alone goes with it: the last response of each chain, which a turn with ``store: false`` may
still follow by ``previous_response_id``, as long as none that did so failed.

Whose a message is, by the first rule that tells: the turn of the lane that its ``stream_id`` names; without one, the turn of the lane
that has none; the oldest turn under way, because a server that knows no lanes answers in order; nobody's. The end of a turn that was over
already, with an error, is nobody's either.
"""

from __future__ import annotations

from ._client import ClientSession, ClientSteer, ClientTurn, again
from ._server import ServerSession, ServerTurn
from ._tables import (
    CLOSE_CODES,
    CONNECTION_LIMIT,
    LEAVING,
    MESSAGE_KINDS,
    PREVIOUS_NOT_FOUND,
    STEER_ERRORS,
    STEER_LIFE,
    STREAM_ID,
    TURN_LIFE,
    MessageKind,
    SteerState,
    TurnState,
)

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
    "ClientSession",
    "ClientSteer",
    "ClientTurn",
    "MessageKind",
    "ServerSession",
    "ServerTurn",
    "SteerState",
    "TurnState",
    "again",
]
