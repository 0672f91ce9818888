"""The server side of a WebSocket connection. See :mod:`responses_proto.protocol.websocket`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...codec import Converter, default_converter, dumps
from ...exceptions import APIError
from ...models.events import TERMINAL_TYPES, InjectFailed, SteerAccepted, SteerFailed, SteerPending
from ...models.items import PAIR_OF_CALL, FunctionCall, Item, Message, ToolSearchCall
from ...models.request import CreateResponse, ResponseCreateMessage
from ...models.response import Response
from ...typing import UNSET
from .._requests import INVALID, invalid, parse_json, read_value, weight_of
from ..emitter import random_id
from ._tables import (
    CLIENT_MESSAGES,
    CONNECTION_LIMIT,
    HTTP_ONLY_FIELDS,
    INJECT_ERRORS,
    STEER_ERRORS,
    STREAM_ID,
    common_fields,
    stream_id_of,
    text_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...models.response import PendingCall
    from ...typing import JSONValue
    from .._requests import UnknownParameters

_MAX_STEERS: Final = 16  # that wait for the end of one response
_MAX_WAITING: Final = 64  # turns that wait on one lane
_MAX_CHAINS: Final = 256  # chains whose history a connection keeps
_MAX_HISTORY_BYTES: Final = 16 * 1024 * 1024  # approximate, for all histories; the newest is kept even if it is larger
_MAX_REMEMBERED: Final = 256  # ended responses that a connection remembers, to answer steers exactly
_STEER_FIELDS: Final = frozenset({"type", "previous_response_id", "input"})
_STEER_MESSAGE: Final = frozenset({"type", "role", "content"})
_STEER_CONTENT: Final = frozenset({"input_text", "input_image", "input_file"})


@attrs.define(eq=False, kw_only=True)
class ServerTurn:
    """One response on a connection, as the server sees it. Returned by :meth:`ServerSession.turns_to_begin`."""

    request: CreateResponse
    """The request as over HTTP, with ``stream`` set, and with steered input included."""
    stream_id: str | None = None
    """The lane; ``None`` for the lane without a name."""
    generate: bool = True
    """Whether to produce output; false for a turn that only warms up."""
    response_id: str = ""
    """The id of the response. Set it before the first call of :meth:`ServerSession.send_event`."""
    successor_of: ServerTurn | None = None
    """The steered turn that this turn follows automatically; ``None`` if the client requested the turn."""
    next_number: int = 0
    """The sequence number of the next event."""
    steers: list[_Steer] = attrs.field(factory=list["_Steer"], init=False)
    """Accepted steers whose input waits for the end of the response."""
    included_steers: list[_Steer] = attrs.field(factory=list["_Steer"], init=False)
    """Steers of the previous response whose input is part of :attr:`request`."""
    ended: str = ""
    """The type of the terminal event; empty before that."""

    @property
    def steered(self) -> bool:
        """Whether steered input waits for the end of the response. If so, end the response early, at a suitable point."""
        return bool(self.steers) and not self.ended


@attrs.define(eq=False, kw_only=True)
class _Steer:
    id: str
    parent: str
    input: str | Sequence[Any]
    """As on the wire."""


class ServerSession:
    """The server side of one connection.

    Call :meth:`receive_message` with each message, and :meth:`tick` at :attr:`expires_at`. Then call :meth:`turns_to_begin`, and
    answer each of these turns: with :meth:`send_event` for every event of its response, or with :meth:`reject`. After every call, send
    the messages that :meth:`messages_to_send` returns; then close the connection if :attr:`closing` is true. :meth:`history` returns the
    items of earlier turns on the connection.

    * ``now``: the time in seconds, by any clock; use the same clock for all calls.
    * ``max_connection_age``: seconds after which the connection accepts no more turns.
    * ``ids``: creates an id from a prefix such as ``"steer"``.
    * ``converter``: decodes the requests, always strictly.
    * ``unknown_parameters``: how to handle unknown parameters: ``"refuse"`` or ``"pass"``. By default, parameters whose name resembles
      a known one are refused. Accepted ones are in ``request.extra``.
    """

    def __init__(
        self,
        *,
        now: float,
        max_connection_age: float = 3600.0,
        ids: Callable[[str], str] = random_id,
        converter: Converter | None = None,
        unknown_parameters: UnknownParameters = None,
    ) -> None:
        self.expires_at: float = now + max_connection_age
        """The time at which the connection stops accepting turns, by the clock of ``now``."""
        self._ids = ids
        self._converter = (converter or default_converter()).in_mode(strict=True)
        self._lenient = self._converter.in_mode(strict=False)
        self._unknown_parameters: UnknownParameters = unknown_parameters
        self._lanes: dict[str | None, deque[ServerTurn]] = {}  # the first turn of a lane is active
        self._known: dict[str, ServerTurn] = {}  # by the id of the response; also turns that have ended
        self._histories: dict[str, Sequence[Item]] = {}  # by the id of the last response of a chain
        self._weights: dict[str, int] = {}  # of the histories
        self._beginning: list[ServerTurn] = []
        self._unsent: list[bytes] = []
        self._expired = False

    @property
    def closing(self) -> bool:
        """Whether to close the connection: it accepts no more turns, and all of its turns have ended."""
        return self._expired and not self._lanes

    # Receiving

    def receive_message(self, data: bytes | str, now: float) -> None:
        """Process a message from the client. Call :meth:`turns_to_begin` and :meth:`messages_to_send` next."""
        try:
            value = parse_json(data, self._converter, "message")
        except APIError as error:
            self._reject(error)
            return
        type_ = text_at(value, "type")
        match CLIENT_MESSAGES.get(type_):
            case "create":
                self._create(value, now)
            case "steer":
                self._steer(value)
            case "inject":
                self._refuse_input(value)
            case _:
                allowed = ", ".join(map(repr, CLIENT_MESSAGES))
                message = f"The type of a message must be one of {allowed}, got {type_[:80]!r}."
                self._reject(invalid(message, "type", "invalid_value"))

    def turns_to_begin(self) -> list[ServerTurn]:
        """Return the turns that became ready to begin since the last call."""
        beginning, self._beginning = self._beginning, []
        return beginning

    def history(self, response_id: str) -> Sequence[Item] | None:
        """Return the items up to the end of a response; ``None`` if it is not the last response of a chain on this connection."""
        return self._histories.get(response_id)

    # Sending

    def send_event(self, turn: ServerTurn, number: int, type_: str, data: bytes, history: Sequence[Item] = ()) -> None:
        """Send an event of a turn.

        ``number`` and ``type_``: the sequence number and the type of the event. ``data``: the event as JSON. ``history``: all items up to
        the end of the response; pass it with the terminal event. That event ends the turn: call :meth:`turns_to_begin` after it.
        """
        if number != turn.next_number:  # events of steers were sent in between and used numbers
            data = dumps({**self._converter.json.loads(data), "sequence_number": turn.next_number})
        turn.next_number += 1
        if turn.stream_id is not None:
            data = data[:-1] + f',"stream_id":"{turn.stream_id}"}}'.encode()
        self._unsent.append(data)
        if type_ == "response.created":
            self._known[turn.response_id] = turn
            _forget_oldest(self._known, _MAX_REMEMBERED)
            self._commit(turn)
        elif type_ in TERMINAL_TYPES:
            turn.ended = type_
            self._keep_history(turn, history)
            successor = self._finish_steers(turn, data)
            turn.request = attrs.evolve(turn.request, input=UNSET)  # it may be large, and the turn is remembered
            self._advance(turn, successor)

    def reject(self, turn: ServerTurn, error: APIError) -> None:
        """Reject a turn instead of sending events. After that, no turn can follow the response that it named as previous."""
        self._forget_history(turn.request.previous_response_id or "")
        if turn.successor_of is not None:
            for steer in turn.included_steers:
                self._fail(turn.successor_of, steer, "successor_creation_failed", error.message)
        else:
            self._reject(error, turn.stream_id)
        self._advance(turn)

    def tick(self, now: float) -> None:
        """Update the time. An expired connection announces its expiry to the client as soon as no turn is active."""
        if now >= self.expires_at and not self._lanes and not self._expired:
            self._expire(None)

    def messages_to_send(self) -> list[bytes]:
        """Return the new messages since the last call, each as JSON in UTF-8."""
        unsent, self._unsent = self._unsent, []
        return unsent

    # Inside

    def _create(self, value: Any, now: float) -> None:
        if now >= self.expires_at:
            self._expire(stream_id_of(value))
            return
        try:
            turn = self._read_turn(value)
            lane = self._lanes.setdefault(turn.stream_id, deque())
            if len(lane) > _MAX_WAITING:
                message = f"This lane has {_MAX_WAITING} waiting requests, the maximum."
                raise APIError.for_status(429)(message, status=429, type=INVALID, code="too_many_requests")
        except APIError as error:
            self._forget_history(text_at(value, "previous_response_id"))
            self._reject(error, stream_id_of(value))
            return
        lane.append(turn)
        if len(lane) == 1:
            self._begin(turn)

    def _read_turn(self, value: dict[str, Any]) -> ServerTurn:
        if value.get("background"):
            message = "'background' is not supported over a WebSocket: leave it out, or use HTTP."
            raise invalid(message, "background", "unsupported_parameter")
        fields = {name: field for name, field in value.items() if name not in HTTP_ONLY_FIELDS}
        create = read_value(fields, ResponseCreateMessage, self._converter, unknown=self._unknown_parameters)
        if create.stream_id is not UNSET and not STREAM_ID.fullmatch(create.stream_id):
            raise invalid(
                "'stream_id' must be 1 to 256 of the characters A-Z a-z 0-9 _ . -", "stream_id", "invalid_value"
            )
        request = CreateResponse(**common_fields(create), stream=True)
        return ServerTurn(request=request, stream_id=create.stream_id or None, generate=create.generate is not False)

    def _begin(self, turn: ServerTurn) -> None:
        """Make a turn ready to begin. Include the steered input of the previous response that was not used yet."""
        parent = self._known.get(turn.request.previous_response_id or "")
        if parent is not None and parent.ended and parent.stream_id == turn.stream_id:
            turn.included_steers = [*parent.steers]
            if turn.included_steers:
                own = turn.request.input or ()
                if isinstance(own, str):
                    own = [Message(role="user", content=own)]
                steered = [item for steer in turn.included_steers for item in self._items(steer)]
                turn.request = attrs.evolve(turn.request, input=[*steered, *own])
        self._beginning.append(turn)

    def _advance(self, turn: ServerTurn, successor: ServerTurn | None = None) -> None:
        """Remove a turn from its lane, and begin the next turn: the successor if there is one."""
        lane = self._lanes[turn.stream_id]
        lane.popleft()
        if successor is not None:
            lane.appendleft(successor)
        if lane:
            self._begin(lane[0])
        else:
            del self._lanes[turn.stream_id]

    def _keep_history(self, turn: ServerTurn, history: Sequence[Item]) -> None:
        """Replace the history of the previous response. No turn can follow a failed response."""
        self._forget_history(turn.request.previous_response_id or "")
        if turn.ended != "response.failed":
            self._histories[turn.response_id] = history
            self._weights[turn.response_id] = weight_of([*history])
            while len(self._histories) > _MAX_CHAINS or (
                len(self._histories) > 1 and sum(self._weights.values()) > _MAX_HISTORY_BYTES
            ):
                self._forget_history(next(iter(self._histories)))

    def _forget_history(self, response_id: str) -> None:
        self._histories.pop(response_id, None)
        self._weights.pop(response_id, None)

    def _expire(self, stream_id: str | None) -> None:
        self._expired = True
        self._reject(
            invalid("The connection has reached its maximum age: open a new connection.", None, CONNECTION_LIMIT),
            stream_id,
        )

    def _reject(self, error: APIError, stream_id: str | None = None) -> None:
        body = {
            "type": error.type or INVALID,
            # The code may be null over HTTP, but not here (Open Responses, WebSocket error event).
            "code": error.code or error.type or INVALID,
            "message": error.message,
            "param": error.param,
        }
        lane = {} if stream_id is None else {"stream_id": stream_id}
        self._unsent.append(dumps({"type": "error", "status": error.answer_status, "error": body, **lane}))

    # Steering

    def _steer(self, value: dict[str, Any]) -> None:
        response_id = text_at(value, "previous_response_id")
        turn = self._known.get(response_id)
        code = self._objection(value, turn)
        steer = _Steer(id="" if code else self._ids("steer"), parent=response_id, input=value.get("input") or "")
        if code or turn is None:
            self._fail(turn, steer, code)
            return
        turn.steers.append(steer)
        self._send_numbered(turn, SteerAccepted.type, {"steer": {"id": steer.id, "previous_response_id": response_id}})

    @staticmethod
    def _objection(value: dict[str, Any], turn: ServerTurn | None) -> str:
        """Return the error code if a steer cannot be accepted, else an empty string."""
        if value.keys() - _STEER_FIELDS or not _is_user_input(value.get("input")):
            return "invalid_input"
        if turn is None:
            return "response_not_found"
        if turn.ended:
            return "response_already_completed" if turn.ended == "response.completed" else "response_not_active"
        if turn.request.conversation or turn.request.context_management or not turn.generate:
            return "steering_not_supported"
        return "too_many_pending_steers" if len(turn.steers) >= _MAX_STEERS else ""

    def _refuse_input(self, value: dict[str, Any]) -> None:
        """Send the input of a ``response.inject`` back: responses here have one agent, which does not wait for input."""
        response_id = text_at(value, "response_id")
        turn = self._known.get(response_id)
        code = "injection_not_supported"
        if turn is None or turn.ended:
            code = "response_not_found" if turn is None else "response_already_completed"
        items = value.get("input")
        error = {"code": code, "message": INJECT_ERRORS[code]}
        self._send_numbered(
            turn, InjectFailed.type, {"response_id": response_id, "input": _list_of(items), "error": error}
        )

    def _finish_steers(self, turn: ServerTurn, data: bytes) -> ServerTurn | None:
        """Process the steers of a response that ended with the event ``data``. Return the successor, if one begins now."""
        if not turn.steers:
            return None
        if turn.ended == "response.failed":
            for steer in [*turn.steers]:
                self._fail(turn, steer, "response_not_active")
            return None
        response = self._lenient.load(self._converter.json.loads(data)["response"], Response)
        required = [_output_stub(call) for call in response.pending_calls]
        if required:
            for steer in turn.steers:
                about = {"id": steer.id, "previous_response_id": steer.parent}
                fields = {"steer": about, "reason": "waiting_for_required_input", "required_input": required}
                self._send_numbered(turn, SteerPending.type, fields)
            return None
        request = attrs.evolve(turn.request, input=UNSET, previous_response_id=turn.response_id)
        return ServerTurn(request=request, stream_id=turn.stream_id, successor_of=turn)

    def _commit(self, turn: ServerTurn) -> None:
        parent = self._known.get(turn.request.previous_response_id or "")
        if parent is not None:
            parent.steers = [steer for steer in parent.steers if steer not in turn.included_steers]

    def _fail(self, turn: ServerTurn | None, steer: _Steer, code: str, reason: str = "") -> None:
        if turn is not None and steer in turn.steers:
            turn.steers.remove(steer)
        about = {"previous_response_id": steer.parent, "input": steer.input, **({"id": steer.id} if steer.id else {})}
        message = f"{STEER_ERRORS[code]} {reason}".strip()
        fields = {"steer": about, "error": {"type": INVALID, "code": code, "message": message}}
        self._send_numbered(turn, SteerFailed.type, fields)

    def _send_numbered(self, turn: ServerTurn | None, type_: str, fields: dict[str, Any]) -> None:
        """Send an event about a message of the client, numbered among the events of the response that it concerns."""
        number = 0 if turn is None else turn.next_number
        if turn is not None:
            turn.next_number += 1
        lane = {} if turn is None or turn.stream_id is None else {"stream_id": turn.stream_id}
        self._unsent.append(dumps({"type": type_, "sequence_number": number, **fields, **lane}))

    def _items(self, steer: _Steer) -> list[Item]:
        if isinstance(steer.input, str):
            return [Message(role="user", content=steer.input)]
        return self._lenient.load([*steer.input], list[Item])


def _list_of(value: JSONValue) -> list[JSONValue]:
    return value if isinstance(value, list) else []


def _is_user_input(value: JSONValue) -> bool:
    """Return whether a value is valid input for a steer: a text or user messages, not empty."""
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, list) and bool(value) and all(map(_is_user_message, value))


def _is_user_message(item: JSONValue) -> bool:
    if not isinstance(item, dict) or item.keys() - _STEER_MESSAGE or item.get("role") != "user":
        return False
    content = item.get("content")
    fits = isinstance(content, str) or (
        isinstance(content, list) and all(text_at(part, "type") in _STEER_CONTENT for part in content)
    )
    return fits and item.get("type", "message") == "message"


def _output_stub(call: PendingCall) -> dict[str, Any]:
    """Return the identifying fields of the input item that answers a call."""
    pair = PAIR_OF_CALL[call.type]
    stub: dict[str, Any] = {"type": pair.output, pair.output_key: getattr(call, pair.call_key)}
    if isinstance(call, FunctionCall):
        stub["name"] = call.name
    if isinstance(call, ToolSearchCall):
        stub["execution"] = "client"
    return stub


def _forget_oldest(entries: dict[str, Any], maximum: int) -> None:
    while len(entries) > maximum:
        del entries[next(iter(entries))]
