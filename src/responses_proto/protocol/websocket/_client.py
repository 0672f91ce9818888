"""The client's end of a WebSocket connection. See :mod:`responses_proto.protocol.websocket`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from ...anomalies import Anomaly
from ...codec import default_converter
from ...exceptions import APIError, LimitExceeded, LocalProtocolError, ResponsesProtoError
from ...limits import Limits
from ...models._paths import get_path
from ...models.events import Event, SteerAccepted, SteerFailed, SteerPending
from ...models.response import Response
from ..api_errors import api_error_from
from ._tables import (
    CONNECTION_LIMIT,
    LEAVING,
    STEER_LIFE,
    TURN_LIFE,
    MessageKind,
    SteerState,
    TurnState,
    code_of,
    kind_of,
    parent_of,
    response_id_of,
    stream_id_of,
    text_at,
)

if TYPE_CHECKING:
    from ...typing import JSONObject

__all__ = ["ClientSession", "ClientSteer", "ClientTurn", "again"]

_E = TypeVar("_E", bound=ResponsesProtoError)

_REMEMBERED: Final = 256  # idle lanes


@attrs.define(eq=False, kw_only=True)
class ClientTurn:
    """One response on a connection, as the client sees it. From :meth:`ClientSession.begin` or :meth:`ClientSession.successor`."""

    stream_id: str | None = None
    """The lane."""
    state: TurnState = "asked"
    parent: str = ""
    """The id of the response that it follows; empty if none."""
    response_id: str = ""
    """The id of its own response; empty as long as nobody said it."""
    refusal: JSONObject | None = None
    """The error that came in place of a response."""
    failure: ResponsesProtoError | None = None
    """What cut it off: the end of the connection, or a bound. What came before can still be read."""
    claimed: bool = True
    """Whether somebody reads it. A successor that nobody took yet is not."""
    waits: bool = False
    """Whether its response ended in calls that the client has to answer; known of those that were steered."""
    messages: list[bytes] = attrs.field(factory=list[bytes], init=False)
    """What came and was not fetched yet; see :meth:`ClientSession.messages_received`."""
    size: int = attrs.field(default=0, init=False)
    """The bytes of that."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state == "ended"

    @property
    def ready(self) -> bool:
        """Whether there is something to be had: messages, or the end."""
        return bool(self.messages) or self.ended or self.failure is not None


@attrs.define(eq=False, kw_only=True)
class ClientSteer:
    """One steer, as the client sees it. From :meth:`ClientSession.steer`."""

    response_id: str
    """The response that it steers."""
    stream_id: str | None = None
    """The lane of that."""
    state: SteerState = "sent"
    id: str = ""
    """The server's name for it."""
    accepted: SteerAccepted | None = None
    """The server's acknowledgement."""
    event: SteerAccepted | SteerPending | SteerFailed | None = None
    """What the server said of it last."""


@attrs.define(eq=False)
class _Lane:
    turn: ClientTurn | None = None
    """The one that is under way."""
    last: ClientTurn | None = None
    """The one before it."""
    failing: ClientTurn | None = None
    """The one before it, if that was left in the middle of an error: it may yet say that it failed."""


class ClientSession:
    """The client's end of one connection: says what may be sent, and sorts what comes.

    Verbs: :meth:`begin` before a ``response.create`` is sent, :meth:`steer` before a ``response.steer``; :meth:`receive_message` for
    each message that comes, which says whom it concerns; :meth:`messages_received` for what came for a turn; :meth:`leave` when a
    turn is not read any more; :meth:`connection_lost` at the end.
    """

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._json = default_converter().json
        self._lanes: dict[str | None, _Lane] = {}
        self._turns: list[ClientTurn] = []
        self._steers: dict[str, list[ClientSteer]] = {}
        self._lanes_named = False
        self.buffered: int = 0
        """Bytes that came and were not fetched yet."""
        self.anomalies: list[Anomaly] = []
        """What came that belongs to nothing."""
        self.expired: bool = False
        """Whether the server said that it will take no more turns on this connection."""
        self.lost: ResponsesProtoError | None = None
        """What ended the connection; ``None`` as long as it holds."""

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return bool(self._turns)

    @property
    def pending(self) -> list[SteerPending]:
        """The steers that wait for input from the client, each as the server announced it."""
        steers = (steering for steers in self._steers.values() for steering in steers if steering.state == "pending")
        return [steering.event for steering in steers if isinstance(steering.event, SteerPending)]

    def knows(self, response_id: str) -> bool:
        """Tell whether this response is under way here, was the last one of its lane, or was steered."""
        turns = (*self._turns, *(lane.last for lane in self._lanes.values() if lane.last is not None))
        return response_id in self._steers or any(turn.response_id == response_id for turn in turns)

    # What is sent

    def begin(self, stream_id: str | None = None, previous_response_id: str | None = None) -> ClientTurn:
        """Take a lane for a turn. Raises ``LocalProtocolError`` if another response has it."""
        lane = self._lanes.get(stream_id, _Lane())
        for taken in (lane.turn, lane.last):
            if taken is not None and not taken.claimed:
                raise LocalProtocolError(
                    f"{_named(stream_id)} is the successor's of {taken.parent}, which was steered: "
                    "take it with session.successor(...) first, or use another lane with stream_id=..."
                )
        if lane.turn is not None:
            raise LocalProtocolError(
                f"{_named(stream_id)} is busy with {lane.turn.response_id or 'a response'}: read that stream to its end "
                "first, or use another lane with stream_id=..."
            )
        if lane.last is not None and all(steering.state == "failed" for steering in self._steers_of(lane.last)):
            self._steers.pop(lane.last.response_id, None)
        self._forget_lanes()
        return self._add(ClientTurn(stream_id=stream_id, parent=previous_response_id or ""))

    def steer(self, response_id: str) -> ClientSteer:
        """Remember a steer, whose acknowledgement is to come."""
        turn = self._turn_called(response_id)
        steering = ClientSteer(response_id=response_id, stream_id=turn.stream_id if turn is not None else None)
        self._steers.setdefault(response_id, []).append(steering)
        return steering

    def successor(self, response_id: str) -> ClientTurn | None:
        """Take the successor of a response that was steered; ``None`` as long as it has not begun.

        Raises ``LocalProtocolError`` if there will be none by itself, and ``APIError`` if the server could not make it.
        """
        over = (lane.last for lane in self._lanes.values() if lane.last is not None)
        for turn in (*self._turns, *over):
            if turn.parent == response_id and not turn.claimed and turn.state != "due":
                turn.claimed = True
                self._steers.pop(response_id, None)
                return turn
        steers = self._steers.get(response_id, [])
        if not steers:
            raise LocalProtocolError(
                f"nothing follows {response_id} by itself: it was not steered here; use session.steer(...) while it runs"
            )
        if any(steering.state == "pending" for steering in steers):
            raise LocalProtocolError(
                f"{response_id} waits for input: send it with session.stream(previous_response_id={response_id!r}, "
                "input=[...]), and what was steered goes before it by itself"
            )
        if all(steering.state == "failed" for steering in steers):
            raise self.refused(self._steers.pop(response_id)[-1])
        if self.lost is not None:
            raise again(self.lost)
        return None

    @staticmethod
    def refused(steering: ClientSteer) -> APIError:
        """Make the error of a steer that failed. Its ``body`` is the event, with the input that was not taken."""
        return api_error_from(default_converter().dump(steering.event))

    # What comes

    def receive_message(self, data: bytes) -> list[ClientTurn | ClientSteer]:
        """Take a message; give the turns and the steers that something changed for."""
        value = self._read(data)
        kind = kind_of(value)
        self._lanes_named |= stream_id_of(value) is not None
        changed: list[ClientTurn | ClientSteer] = []
        if kind == "steer":
            changed += self._note_steer(value)
        turn = self._turn_of(value, kind)
        if kind == "refused" and code_of(value) == CONNECTION_LIMIT:
            self.expired = True
            if turn is None or turn.state != "asked":  # no answer to one of them: it concerns all that is under way
                return [turn for turn in list(self._turns) if self._give(turn, kind, value, data)]
        if turn is not None and self._give(turn, kind, value, data):
            changed.append(turn)
            if kind == "created":
                changed += self._commit(turn)
        elif kind not in _MAY_BE_NOBODYS and len(self.anomalies) < self._limits.max_anomalies:
            self.anomalies.append(
                Anomaly("unasked-message", f"{text_at(value, 'type') or 'message'} $", repr(data[:80]))
            )
        return changed

    def messages_received(self, turn: ClientTurn) -> list[bytes]:
        """Give the messages that came for a turn since the last call, each one event as JSON."""
        messages, turn.messages = turn.messages, []
        self.buffered -= turn.size
        turn.size = 0
        return messages

    def leave(self, turn: ClientTurn) -> bool:
        """Stop reading a turn, wherever it is. Tells whether the connection has to be closed for that.

        A turn that passed a bound is read to its end and thrown away, because somebody else is being served meanwhile.
        """
        self.messages_received(turn)
        if turn.state == "failing":
            self._lanes[turn.stream_id].failing = turn
            self._end(turn)
        return turn.failure is None and LEAVING[turn.state]

    def connection_lost(self, error: ResponsesProtoError) -> list[ClientTurn | ClientSteer]:
        """Take the end of the connection, which cuts off what is under way. Gives the turns and the steers that it concerns."""
        if self.lost is not None:
            return []
        self.lost = error
        turns = list(self._turns)
        for turn in turns:
            turn.failure = turn.failure or again(error)
            self._end(turn)
        return [*turns, *(steering for steers in self._steers.values() for steering in steers)]

    # Inside

    def _read(self, data: bytes) -> Any:
        # What is wrong with it is for the reader of the turn to say, who reads it again.
        try:
            return self._json.loads(data, self._limits.max_nesting)
        except ResponsesProtoError:
            return data.strip().decode("utf-8", "replace")

    def _turn_of(self, value: Any, kind: MessageKind) -> ClientTurn | None:
        if kind == "steer":
            return self._turn_called(text_at(value, "steer.previous_response_id"))
        stream_id = stream_id_of(value)
        lane = self._lanes.get(stream_id)
        if lane is not None and self._is_late(lane, value, kind):
            return None
        if lane is not None and lane.turn is not None:
            return lane.turn
        if kind == "created" and self._is_steered(parent_of(value)):
            # A successor that could not be foreseen.
            return self._add(ClientTurn(stream_id=stream_id, state="due", parent=parent_of(value), claimed=False))
        return self._turns[0] if self._turns and not self._lanes_named and kind != "done" else None

    def _turn_called(self, response_id: str) -> ClientTurn | None:
        return next((turn for turn in self._turns if response_id and turn.response_id == response_id), None)

    def _is_late(self, lane: _Lane, value: Any, kind: MessageKind) -> bool:
        """Tell whether it is the end of the turn before, which was left in the middle of an error."""
        before = lane.failing
        if before is None or (lane.turn is not None and lane.turn.state != "asked"):
            lane.failing = None
            return False
        return kind == "terminal" and before.response_id in ("", response_id_of(value))

    def _give(self, turn: ClientTurn, kind: MessageKind, value: Any, data: bytes) -> bool:
        """Let a turn have a message, unless it is none of its."""
        following = TURN_LIFE[turn.state].get(kind)
        if following is None:
            return False
        if kind == "refused" and turn.state == "asked":
            turn.refusal = value
        turn.state = following
        turn.response_id = response_id_of(value) or turn.response_id
        self._keep(turn, data)
        if following == "ended":
            if kind == "terminal" and turn.response_id in self._steers:
                turn.waits = bool(default_converter().load(get_path(value, "response"), Response).pending_calls)
            self._end(turn)
            self._foresee(turn)
        return True

    def _keep(self, turn: ClientTurn, data: bytes) -> None:
        if turn.failure is not None:
            return
        try:
            self._limits.check("max_buffered_bytes", turn.size + len(data))
        except LimitExceeded as error:
            turn.failure = error
            return
        turn.messages.append(data)
        turn.size += len(data)
        self.buffered += len(data)

    def _add(self, turn: ClientTurn) -> ClientTurn:
        self._lanes.setdefault(turn.stream_id, _Lane()).turn = turn
        self._turns.append(turn)
        return turn

    def _forget_lanes(self) -> None:
        """Forget the lanes that were not used for long: some clients name a new one each time."""
        idle = [
            name for name, lane in self._lanes.items() if lane.turn is None and (lane.last is None or lane.last.claimed)
        ]
        for name in idle[:-_REMEMBERED]:
            del self._lanes[name]

    def _end(self, turn: ClientTurn) -> None:
        turn.state = "ended"
        lane = self._lanes[turn.stream_id]
        lane.turn, lane.last = None, turn
        self._turns.remove(turn)

    # Steering

    def _steers_of(self, turn: ClientTurn) -> list[ClientSteer]:
        return self._steers.get(turn.response_id, [])

    def _is_steered(self, response_id: str) -> bool:
        steers = self._steers.get(response_id, ())
        return any("response.created" in STEER_LIFE[steering.state] for steering in steers)

    def _foresee(self, turn: ClientTurn) -> None:
        """Keep the lane for the successor, once a steered response ended, unless that waits for the client."""
        accepted = any(steering.state == "accepted" for steering in self._steers_of(turn))
        if accepted and not turn.waits and self._lanes[turn.stream_id].turn is None:
            self._add(ClientTurn(stream_id=turn.stream_id, state="due", parent=turn.response_id, claimed=False))

    def _note_steer(self, value: Any) -> list[ClientSteer]:
        event = cast(
            "SteerAccepted | SteerPending | SteerFailed", default_converter().load(value, Event)
        )  # by its kind
        parent, name = event.steer.previous_response_id, event.steer.id or ""
        steers = self._steers.get(parent, [])
        known = next((steering for steering in steers if name and steering.id == name), None)
        steering = known or next((steering for steering in steers if steering.state == "sent"), None)
        following = STEER_LIFE[steering.state].get(event.type) if steering is not None else None
        if steering is None or following is None:
            return []
        steering.state, steering.event, steering.id = following, event, name or steering.id
        if isinstance(event, SteerAccepted):
            steering.accepted = event
        lane = self._lanes.get(steering.stream_id, _Lane())
        due = lane.turn
        if due is None and lane.last is not None and lane.last.response_id == parent:
            self._foresee(lane.last)  # the response had ended before the steer was accepted
        elif due is not None and due.state == "due" and not any(steering.state == "accepted" for steering in steers):
            lane.turn = None  # nothing is left that would begin by itself
            self._turns.remove(due)
        return [steering]

    def _commit(self, turn: ClientTurn) -> list[ClientSteer]:
        """Take the steers of the response before as done, now that the one that follows it has begun on their lane."""
        steers = [steering for steering in self._steers.get(turn.parent, ()) if steering.stream_id == turn.stream_id]
        for steering in steers:
            steering.state = STEER_LIFE[steering.state].get("response.created", steering.state)
        if turn.claimed and steers:
            del self._steers[turn.parent]  # the client asked for it, so that nobody will look for it
        return steers


_MAY_BE_NOBODYS: Final = frozenset({"beside", "steer", "done"})


def again(error: _E) -> _E:
    """Give an error anew, for another one to raise: each has the response of its own in it."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _named(stream_id: str | None) -> str:
    return "the lane without a stream_id" if stream_id is None else f"the lane {stream_id!r}"
