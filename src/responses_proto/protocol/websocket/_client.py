"""The client side of a WebSocket connection. See :mod:`responses_proto.protocol.websocket`.

How a message is assigned to a turn
-----------------------------------
A message does not name its turn. Its lane and the order of messages determine the turn: all messages on a lane between
``response.created`` and the end of a response belong to that response. Two periods need more rules.

*After the end* of a turn, no message belongs to it, with one exception: a ``response.failed`` without a reason can be followed by an
``error`` with the reason. The turn is ``UNEXPLAINED`` until that error arrives or the client leaves the turn.

*Before the beginning* of the next turn on the lane, a server may still send messages about the last turn: errors, rate limits, private
messages. If the server has announced the last turn with ``response.created``, it will also announce this one. So until then:

* These messages belong to no turn: messages outside of responses, messages that name the last response or have a private type of the
  server, and errors that continue the numbering of the last turn.
* An error with an HTTP status answers the request, unless the last turn failed without a reason.
* Any other message is in doubt. If ``response.created`` comes next, the message belonged to no turn. If nothing comes for a while, call
  :meth:`ClientSession.settle`: then the message is the answer.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from ...anomalies import Anomaly
from ...codec import default_converter
from ...exceptions import APIError, LimitExceeded, LocalProtocolError, ResponsesProtoError
from ...limits import Limits
from ...models._paths import get_path
from ...models.events import EVENT_TYPES, Event, SteerAccepted, SteerFailed, SteerPending
from ...models.response import Response
from ..api_errors import api_error_from
from ._tables import (
    CONNECTION_LIMIT,
    LEAVING,
    PREVIOUS_NOT_FOUND,
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
    from ...codec import Converter
    from ...typing import JSONObject

_E = TypeVar("_E", bound=ResponsesProtoError)

_MAX_IDLE_LANES: Final = 256  # that are remembered, so that a turn can follow their last response
_MAX_DOUBTFUL: Final = 64 * 1024  # bytes of messages in doubt; beyond that, they are assigned to the turn
_ANSWERS: Final = frozenset({CONNECTION_LIMIT, PREVIOUS_NOT_FOUND})  # codes of errors that can only answer a request
_ENDS: Final = ("terminal", "unexplained")  # kinds of messages that end a response
_NEED_NO_TURN: Final = frozenset(
    {"beside", "steer", "inject", "done"}
)  # kinds of messages that are not an anomaly without a turn


@attrs.define(eq=False, kw_only=True)
class ClientTurn:
    """One response on a connection, as the client sees it. Returned by :meth:`ClientSession.begin` and :meth:`ClientSession.successor`."""

    stream_id: str | None = None
    """The lane; ``None`` for the lane without a name."""
    state: TurnState = TurnState.REQUESTED
    parent: str = ""
    """The id of the previous response; empty if there is none."""
    response_id: str = ""
    """The id of the response; empty until the server states it."""
    rejection: JSONObject | None = None
    """The error event that the server sent instead of a response."""
    failure: ResponsesProtoError | None = None
    """The error that cut off the turn: the end of the connection, or a limit. Earlier messages can still be read."""
    claimed: bool = True
    """Whether the turn has a reader; false for a successor that :meth:`ClientSession.successor` has not returned yet."""
    awaits_input: bool = False
    """Whether the response ended in calls that the client must answer. Set for steered responses only."""
    messages: list[bytes] = attrs.field(factory=list[bytes], init=False)
    """Messages that were not fetched yet; see :meth:`ClientSession.messages_received`."""
    size: int = attrs.field(default=0, init=False)
    """The size of :attr:`messages` in bytes."""
    announced: bool = attrs.field(default=False, init=False)
    """Whether ``response.created`` was received."""
    unexplained: bool = attrs.field(default=False, init=False)
    """Whether the response failed without a reason so far."""
    next_number: int | None = attrs.field(default=None, init=False)
    """The sequence number that follows the last message; ``None`` if that message had none."""
    doubtful: list[bytes] = attrs.field(factory=list[bytes], init=False)
    """Messages before the beginning of the turn that may belong to the previous turn; see :meth:`ClientSession.settle`."""

    @property
    def ended(self) -> bool:
        """Whether no more messages will come."""
        return self.state is TurnState.ENDED

    @property
    def ready(self) -> bool:
        """Whether a reader need not wait: there are messages, or the turn has ended or failed."""
        return bool(self.messages) or self.ended or self.failure is not None


@attrs.define(eq=False, kw_only=True)
class ClientSteer:
    """One steer, as the client sees it. Returned by :meth:`ClientSession.steer`."""

    response_id: str
    """The id of the steered response."""
    stream_id: str | None = None
    """The lane of that response."""
    state: SteerState = SteerState.SENT
    id: str = ""
    """The id of the steer, from the server; empty until then."""
    accepted: SteerAccepted | None = None
    """The server's acknowledgement."""
    event: SteerAccepted | SteerPending | SteerFailed | None = None
    """The last event about the steer."""


@attrs.define(eq=False)
class _Lane:
    turn: ClientTurn | None = None
    """The active or due turn."""
    last: ClientTurn | None = None
    """The previous turn."""
    failing: ClientTurn | None = None
    """The previous turn, if the client left it in state ``FAILING``: its terminal event may still come."""


class ClientSession:
    """The client side of one connection: checks what may be sent, and assigns incoming messages to turns.

    To send: call :meth:`begin` before you send a ``response.create``, and :meth:`steer` before a ``response.steer``.

    To receive: call :meth:`receive_message` with each message. It returns the turns and steers that changed. Then call
    :meth:`messages_received` for each of these turns, or whenever its reader is ready. :meth:`successor` returns the turn after a
    steered turn.

    To finish: call :meth:`leave` when a turn is no longer read, and :meth:`connection_lost` when the connection has ended.
    """

    def __init__(self, *, limits: Limits | None = None, converter: Converter | None = None) -> None:
        self._limits = limits or Limits()
        self._converter = converter or default_converter()
        self._json = self._converter.json
        self._lanes: dict[str | None, _Lane] = {}
        self._turns: list[ClientTurn] = []  # active or due, oldest first
        self._last: ClientTurn | None = None  # the turn that ended last, on any lane
        self._steers: dict[str, list[ClientSteer]] = {}  # by the id of the response that they steer
        self._lanes_named = False  # whether the server has named a lane
        self.buffered: int = 0
        """The number of bytes of all messages that were not fetched yet."""
        self.anomalies: list[Anomaly] = []
        """The messages that belong to no turn, at most ``Limits.max_anomalies``."""
        self.expired: bool = False
        """Whether the server has announced that it accepts no more turns on this connection."""
        self.lost: ResponsesProtoError | None = None
        """The error that ended the connection; ``None`` while it is open."""

    @property
    def busy(self) -> bool:
        """Whether a turn is active or due."""
        return bool(self._turns)

    @property
    def pending(self) -> list[SteerPending]:
        """The server's announcements of steers that wait for input from the client."""
        steers = (
            steering for steers in self._steers.values() for steering in steers if steering.state is SteerState.PENDING
        )
        return [steering.event for steering in steers if isinstance(steering.event, SteerPending)]

    def knows(self, response_id: str) -> bool:
        """Return whether a response is active on this connection, was the last one on its lane, or was steered."""
        turns = (*self._turns, *(lane.last for lane in self._lanes.values() if lane.last is not None))
        return response_id in self._steers or any(turn.response_id == response_id for turn in turns)

    # Sending

    def begin(self, stream_id: str | None = None, previous_response_id: str | None = None) -> ClientTurn:
        """Begin a turn on a lane and return it. Send the ``response.create`` next.

        Raises ``LocalProtocolError`` if another turn is active or due on the lane.
        """
        lane = self._lanes.get(stream_id, _Lane())
        if lane.turn is not None and lane.turn.state is TurnState.UNEXPLAINED:
            self._end(lane.turn)  # the turn has ended, and only the reason of its failure is awaited
        for turn in (lane.turn, lane.last):
            if turn is not None and not turn.claimed:
                raise LocalProtocolError(
                    f"{_lane_name(stream_id)} is reserved for the successor of {turn.parent}, which was steered: "
                    "read it with session.successor(...) first, or use another lane with stream_id=..."
                )
        if lane.turn is not None:
            raise LocalProtocolError(
                f"{_lane_name(stream_id)} is busy with {lane.turn.response_id or 'a response'}: read that stream to its end "
                "first, or use another lane with stream_id=..."
            )
        if lane.last is not None and all(s.state is SteerState.FAILED for s in self._steers_of(lane.last)):
            self._steers.pop(lane.last.response_id, None)
        self._forget_lanes()
        return self._add(ClientTurn(stream_id=stream_id, parent=previous_response_id or ""))

    def steer(self, response_id: str) -> ClientSteer:
        """Record a steer and return it. Send the ``response.steer`` next. Its state changes when the server answers."""
        turn = self._turn_with(response_id)
        steering = ClientSteer(response_id=response_id, stream_id=turn.stream_id if turn is not None else None)
        self._steers.setdefault(response_id, []).append(steering)
        return steering

    def successor(self, response_id: str) -> ClientTurn | None:
        """Return the successor of a steered response, for the caller to read; ``None`` while it has not begun.

        Call again after each change of a steer or turn. Raises ``LocalProtocolError`` if no successor will begin, ``APIError`` if the
        server could not create it, or the error that ended the connection.
        """
        ended = (lane.last for lane in self._lanes.values() if lane.last is not None)
        for turn in (*self._turns, *ended):
            if turn.parent == response_id and not turn.claimed and turn.state is not TurnState.DUE:
                turn.claimed = True
                self._steers.pop(response_id, None)
                return turn
        steers = self._steers.get(response_id, [])
        if not steers:
            raise LocalProtocolError(
                f"no response follows {response_id} by itself: it was not steered on this connection; "
                "use session.steer(...) while it runs"
            )
        if any(steering.state is SteerState.PENDING for steering in steers):
            raise LocalProtocolError(
                f"{response_id} waits for input: send it with session.stream(previous_response_id={response_id!r}, "
                "input=[...]); the server puts the steered input before it"
            )
        if all(steering.state is SteerState.FAILED for steering in steers):
            raise self.steer_error(self._steers.pop(response_id)[-1])
        if self.lost is not None:
            raise copy_error(self.lost)
        return None

    @staticmethod
    def steer_error(steering: ClientSteer) -> APIError:
        """Return the error of a steer that failed. Its ``body`` is the event, including the input that was not accepted."""
        return api_error_from(default_converter().dump(steering.event))

    # Receiving

    def receive_message(self, data: bytes) -> list[ClientTurn | ClientSteer]:
        """Process a message from the server. Return the turns and steers that changed."""
        value = self._read(data)
        kind = kind_of(value)
        self._lanes_named |= stream_id_of(value) is not None
        changed: list[ClientTurn | ClientSteer] = []
        if kind == "steer":
            changed += self._update_steer(value)
        turn = self._turn_of(value, kind)
        if turn is not None and self._concerns_the_last(turn, value, kind):
            turn = None
        elif turn is not None and self._is_doubtful(turn, value, kind):
            return self._doubt(turn, data)
        if kind == "rejected" and code_of(value) == CONNECTION_LIMIT:
            self.expired = True
            if turn is None or turn.state is not TurnState.REQUESTED:
                # The message does not answer a request, so it concerns all turns.
                return [turn for turn in list(self._turns) if self._assign(turn, kind, value, data)]
        if turn is not None and turn.doubtful:
            self._decide_doubts(turn, kind)
        if turn is not None and self._assign(turn, kind, value, data):
            changed.append(turn)
            if kind == "created":
                changed += self._commit(turn)
        elif kind not in _NEED_NO_TURN:
            self._report_unasked(value, data)
        return changed

    def settle(self, turn: ClientTurn) -> None:
        """Assign the messages in doubt to the turn. Call this if no other message has arrived for about a second."""
        doubtful, turn.doubtful = turn.doubtful, []
        for data in doubtful:
            value = self._read(data)
            if not self._assign(turn, kind_of(value), value, data):
                self._report_unasked(value, data)

    def messages_received(self, turn: ClientTurn) -> list[bytes]:
        """Return the messages for a turn since the last call, each one event as JSON."""
        messages, turn.messages = turn.messages, []
        self.buffered -= turn.size
        turn.size = 0
        return messages

    def leave(self, turn: ClientTurn) -> bool:
        """Stop reading a turn, in any state. Return whether you must close the connection now, to stop the server.

        A turn that exceeded a limit does not require this: its messages are dropped until it ends, and other lanes continue.
        """
        self.messages_received(turn)
        if turn.state is TurnState.FAILING:
            self._lanes[turn.stream_id].failing = turn
        if turn.state in (TurnState.FAILING, TurnState.UNEXPLAINED):
            self._end(turn)
        return turn.failure is None and LEAVING[turn.state]

    def connection_lost(self, error: ResponsesProtoError) -> list[ClientTurn | ClientSteer]:
        """Record the end of the connection. Every active turn fails with ``error``. Return the turns and steers concerned."""
        if self.lost is not None:
            return []
        self.lost = error
        turns = list(self._turns)
        for turn in turns:
            self.settle(turn)  # nothing else will come
            if not turn.ended:
                turn.failure = turn.failure or copy_error(error)
                self._end(turn)
        return [*turns, *(steering for steers in self._steers.values() for steering in steers)]

    # Inside

    def _read(self, data: bytes) -> Any:
        # The reader of the turn decodes the message again, and reports its faults.
        try:
            return self._json.loads(data, self._limits.max_nesting, self._limits.max_json_values)
        except ResponsesProtoError:
            return data.strip().decode("utf-8", "replace")

    def _turn_of(self, value: Any, kind: MessageKind) -> ClientTurn | None:
        if kind == "steer":
            return self._turn_with(text_at(value, "steer.previous_response_id"))
        if kind == "inject":
            return self._turn_with(text_at(value, "response_id"))
        stream_id = stream_id_of(value)
        lane = self._lanes.get(stream_id)
        if lane is not None and self._is_late(lane, value, kind):
            return None
        if lane is not None and lane.turn is not None:
            return lane.turn
        if kind == "created" and self._is_steered(parent_of(value)):
            # A successor that was not expected.
            return self._add(
                ClientTurn(stream_id=stream_id, state=TurnState.DUE, parent=parent_of(value), claimed=False)
            )
        return self._turns[0] if self._turns and not self._lanes_named and kind != "done" else None

    def _turn_with(self, response_id: str) -> ClientTurn | None:
        return next((turn for turn in self._turns if response_id and turn.response_id == response_id), None)

    def _is_late(self, lane: _Lane, value: Any, kind: MessageKind) -> bool:
        """Return whether a message is the terminal event of the previous turn, which the client left after an error."""
        before = lane.failing
        if before is None or (lane.turn is not None and lane.turn.state is not TurnState.REQUESTED):
            lane.failing = None
            return False
        return kind in _ENDS and before.response_id in ("", response_id_of(value))

    def _before(self, turn: ClientTurn) -> ClientTurn | None:
        """Return the previous turn on the same lane; on any lane, if the server names no lanes."""
        return self._lanes[turn.stream_id].last if self._lanes_named else self._last

    def _concerns_the_last(self, turn: ClientTurn, value: Any, kind: MessageKind) -> bool:
        """Return whether a message on the lane of a turn certainly concerns the previous turn."""
        before = self._before(turn)
        if before is None:
            return False
        names_it = before.response_id != "" and before.response_id == response_id_of(value)
        if turn.state is not TurnState.REQUESTED:
            return kind in ("event", *_ENDS) and names_it and turn.response_id not in ("", before.response_id)
        if kind == "beside":
            return True
        if not before.announced:
            return False
        if kind in ("error", "rejected"):
            number: Any = get_path(value, "sequence_number")
            return type(number) is int and number > 0 and number == before.next_number
        type_ = text_at(value, "type")
        return kind == "event" and (names_it or (type_ != "" and type_ not in EVENT_TYPES))

    def _is_doubtful(self, turn: ClientTurn, value: Any, kind: MessageKind) -> bool:
        """Return whether a message may belong either to a turn that has not begun, or to the previous turn."""
        before = self._before(turn)
        if turn.state is not TurnState.REQUESTED or before is None or not before.announced or kind == "created":
            return False
        if kind == "rejected":
            return before.unexplained and code_of(value) not in _ANSWERS
        if kind in _ENDS:
            return response_id_of(value) in ("", before.response_id)
        return kind in ("event", "error")

    def _doubt(self, turn: ClientTurn, data: bytes) -> list[ClientTurn | ClientSteer]:
        turn.doubtful.append(data)
        if sum(map(len, turn.doubtful)) > _MAX_DOUBTFUL:
            self.settle(turn)
        return [turn]

    def _decide_doubts(self, turn: ClientTurn, kind: MessageKind) -> None:
        """Assign or drop the messages in doubt, now that a message certainly belongs to the turn.

        If that message is ``response.created``, they belong to no turn. Otherwise the server does not announce this turn, so the events
        among them belong to it.
        """
        doubtful, turn.doubtful = turn.doubtful, []
        for data in doubtful:
            value = self._read(data)
            own = kind != "created" and kind_of(value) == "event"
            if not (own and self._assign(turn, "event", value, data)):
                self._report_unasked(value, data)

    def _report_unasked(self, value: Any, data: bytes) -> None:
        if len(self.anomalies) < self._limits.max_anomalies:
            path = f"{text_at(value, 'type') or 'message'} $"
            self.anomalies.append(Anomaly("unasked-message", path, repr(data[:80])))

    def _assign(self, turn: ClientTurn, kind: MessageKind, value: Any, data: bytes) -> bool:
        """Advance a turn by a message and keep the message. Return whether it belongs to the turn in its present state."""
        state = TURN_LIFE[turn.state].get(kind)
        if state is None:
            return False
        if kind == "rejected" and turn.state is TurnState.REQUESTED:
            turn.rejection = value
        turn.state = state
        turn.announced |= kind == "created"
        turn.unexplained = state is TurnState.UNEXPLAINED
        number: Any = get_path(value, "sequence_number")
        turn.next_number = number + 1 if type(number) is int else None
        turn.response_id = response_id_of(value) or turn.response_id
        self._keep(turn, data)
        if state is TurnState.ENDED:
            if kind == "terminal" and turn.response_id in self._steers:
                turn.awaits_input = bool(self._converter.load(get_path(value, "response"), Response).pending_calls)
            self._end(turn)
            self._expect_successor(turn)
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
        """Forget the lanes that were idle longest, because some clients use a new lane each time."""
        idle = [
            name for name, lane in self._lanes.items() if lane.turn is None and (lane.last is None or lane.last.claimed)
        ]
        for name in idle[:-_MAX_IDLE_LANES]:
            del self._lanes[name]

    def _end(self, turn: ClientTurn) -> None:
        turn.state = TurnState.ENDED
        self._last = turn
        lane = self._lanes[turn.stream_id]
        lane.turn, lane.last = None, turn
        self._turns.remove(turn)

    # Steering

    def _steers_of(self, turn: ClientTurn) -> list[ClientSteer]:
        return self._steers.get(turn.response_id, [])

    def _is_steered(self, response_id: str) -> bool:
        steers = self._steers.get(response_id, ())
        return any("response.created" in STEER_LIFE[steering.state] for steering in steers)

    def _expect_successor(self, turn: ClientTurn) -> None:
        """After the end of a steered response, reserve its lane for the successor, unless the response waits for the client."""
        accepted = any(steering.state is SteerState.ACCEPTED for steering in self._steers_of(turn))
        if accepted and not turn.awaits_input and self._lanes[turn.stream_id].turn is None:
            self._add(ClientTurn(stream_id=turn.stream_id, state=TurnState.DUE, parent=turn.response_id, claimed=False))

    def _update_steer(self, value: Any) -> list[ClientSteer]:
        # Only these three types have this kind of message.
        event = cast("SteerAccepted | SteerPending | SteerFailed", self._converter.load(value, Event))
        parent, id_ = event.steer.previous_response_id, event.steer.id or ""
        steers = self._steers.get(parent, [])
        known = next((steering for steering in steers if id_ and steering.id == id_), None)
        steering = known or next((steering for steering in steers if steering.state is SteerState.SENT), None)
        state = STEER_LIFE[steering.state].get(event.type) if steering is not None else None
        if steering is None or state is None:
            return []
        steering.state, steering.event, steering.id = state, event, id_ or steering.id
        if isinstance(event, SteerAccepted):
            steering.accepted = event
        lane = self._lanes.get(steering.stream_id, _Lane())
        due = lane.turn
        if due is None and lane.last is not None and lane.last.response_id == parent:
            self._expect_successor(lane.last)  # the response had ended before the steer was accepted
        elif (
            due is not None
            and due.state is TurnState.DUE
            and not any(steering.state is SteerState.ACCEPTED for steering in steers)
        ):
            lane.turn = None  # no input is left for a successor
            self._turns.remove(due)
        return [steering]

    def _commit(self, turn: ClientTurn) -> list[ClientSteer]:
        """Commit the steers of the previous response, now that the next response has begun on their lane."""
        steers = [steering for steering in self._steers.get(turn.parent, ()) if steering.stream_id == turn.stream_id]
        for steering in steers:
            steering.state = STEER_LIFE[steering.state].get("response.created", steering.state)
        if turn.claimed and steers:
            del self._steers[turn.parent]  # the client requested this turn, so it will not ask for a successor
        return steers


def copy_error(error: _E) -> _E:
    """Return a copy of an error, to be raised for another turn: each raised error has its own response."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _lane_name(stream_id: str | None) -> str:
    return "the lane without a stream_id" if stream_id is None else f"the lane {stream_id!r}"
