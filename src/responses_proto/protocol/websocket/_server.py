"""The server's end of a WebSocket connection. See :mod:`responses_proto.protocol.websocket`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import attrs

from ...codec import default_converter, dumps, make_converter
from ...exceptions import APIError, DecodeError, LimitExceeded
from ...models.events import TERMINAL_TYPES, SteerAccepted, SteerFailed, SteerPending
from ...models.items import CALL_OUTPUT_PAIRS, FunctionCall, Item, Message, ToolSearchCall
from ...models.request import CreateResponse, ResponseCreateMessage
from ...models.response import Response
from ...typing import UNSET
from .._requests import INVALID, invalid, read_value
from ..emitter import random_id
from ._tables import CONNECTION_LIMIT, STEER_ERRORS, STREAM_ID, stream_id_of, text_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...models.response import PendingCall
    from ...typing import JSONValue

__all__ = ["ServerSession", "ServerTurn"]

_MAX_STEERS: Final = 16  # that wait for the end of one response
_MAX_WAITING: Final = 64  # turns that wait on one lane
_MAX_CHAINS: Final = 256  # chains whose last response is kept on a connection
_MAX_REMEMBERED: Final = 256  # responses that a connection can say that they have ended
_ONLY_HTTP: Final = ("stream", "stream_options", "background")
_STEER_FIELDS: Final = frozenset({"type", "previous_response_id", "input"})
_STEER_MESSAGE: Final = frozenset({"type", "role", "content"})
_STEER_CONTENT: Final = frozenset({"input_text", "input_image", "input_file"})


@attrs.define(eq=False, kw_only=True)
class ServerTurn:
    """One response on a connection, as the server sees it. From :meth:`ServerSession.turns_to_begin`."""

    request: CreateResponse
    """What was asked for, with ``stream`` set."""
    stream_id: str | None = None
    """The lane."""
    generate: bool = True
    """Whether there is to be output; a turn that only warms up has none."""
    response_id: str = ""
    """To be set by whoever makes the response, before its first event is said."""
    follows: ServerTurn | None = None
    """The turn whose successor it is, where nobody asked for it."""
    number: int = 0
    """The sequence number of the next event."""
    steers: list[_Steer] = attrs.field(factory=list["_Steer"], init=False)
    """The steers whose input waits for the end of its response."""
    carries: list[_Steer] = attrs.field(factory=list["_Steer"], init=False)
    """The steers whose input it takes along."""
    ended: str = ""
    """The type of its terminal event; empty as long as there was none."""

    @property
    def steered(self) -> bool:
        """Whether input waits for the end of its response, which may then come early, at a good place."""
        return bool(self.steers) and not self.ended


@attrs.define(eq=False, kw_only=True)
class _Steer:
    id: str
    parent: str
    input: str | Sequence[Any]
    """As on the wire."""


class ServerSession:
    """The server's end of one connection.

    Verbs: :meth:`receive_message` for each message that comes, and :meth:`tick` when its time is up; then :meth:`turns_to_begin`, each of
    which is either answered, by :meth:`say` for each of its events, or refused, by :meth:`refuse`; after each of these,
    :meth:`messages_to_send`, and once :attr:`closing` is true the connection is to be closed. :meth:`history` is what the turns before
    left on the connection.

    ``now`` is the time, in seconds by any clock; after ``lasts`` seconds the connection takes no more turns. ``ids`` makes an id of a prefix.
    """

    def __init__(self, *, now: float, lasts: float = 3600.0, ids: Callable[[str], str] = random_id) -> None:
        self.expires_at: float = now + lasts
        """When it takes no more turns, by the clock of ``now``."""
        self._ids = ids
        self._converter = make_converter(strict=True)
        self._lanes: dict[str | None, deque[ServerTurn]] = {}  # the first one of a lane is under way
        self._known: dict[str, ServerTurn] = {}
        self._kept: dict[str, Sequence[Item]] = {}
        self._beginning: list[ServerTurn] = []
        self._unsent: list[bytes] = []
        self._expired = False

    @property
    def closing(self) -> bool:
        """Whether everything was said that will be."""
        return self._expired and not self._lanes

    # What comes

    def receive_message(self, data: bytes | str, now: float) -> None:
        """Take a message of the client's."""
        try:
            value = self._converter.json.loads(data)
        except (DecodeError, LimitExceeded) as error:
            self._refuse(invalid(f"The message is not JSON that can be read: {error}", None, None))
            return
        match text_at(value, "type"):
            case "response.create":
                self._create(value, now)
            case "response.steer":
                self._steer(value)
            case kind:
                self._refuse(
                    invalid(f"There is no message of the type {kind[:80]!r} for a server.", "type", "invalid_value")
                )

    def turns_to_begin(self) -> list[ServerTurn]:
        """Give the turns whose time has come since the last call."""
        beginning, self._beginning = self._beginning, []
        return beginning

    def history(self, response_id: str) -> Sequence[Item] | None:
        """Give what was left on this connection up to and with a response; ``None`` if that is not the last of its chain here."""
        return self._kept.get(response_id)

    # What is said

    def say(self, turn: ServerTurn, number: int, type_: str, data: bytes, history: Sequence[Item] = ()) -> None:
        """Say an event of a turn: its sequence number, its type, and itself as JSON. With the terminal one goes the ``history`` to keep."""
        if number != turn.number:  # what was said of steers in between has numbers of its own
            data = dumps({**self._converter.json.loads(data), "sequence_number": turn.number})
        turn.number += 1
        if turn.stream_id is not None:
            data = data[:-1] + f',"stream_id":"{turn.stream_id}"}}'.encode()
        self._unsent.append(data)
        if type_ == "response.created":
            self._known[turn.response_id] = turn
            _forget_oldest(self._known, _MAX_REMEMBERED)
            self._commit(turn)
        elif type_ in TERMINAL_TYPES:
            turn.ended = type_
            self._keep(turn, history)
            following = self._settle(turn, data)
            turn.request = attrs.evolve(turn.request, input=UNSET)  # which may be large, and is remembered here
            self._advance(turn, following)

    def refuse(self, turn: ServerTurn, error: APIError) -> None:
        """Refuse a turn of which nothing was said. What it was to follow is not kept any longer."""
        self._kept.pop(turn.request.previous_response_id or "", None)
        if turn.follows is not None:
            for steer in turn.carries:
                self._fail(turn.follows, steer, "successor_creation_failed", error.message)
        else:
            self._refuse(error, turn.stream_id)
        self._advance(turn)

    def tick(self, now: float) -> None:
        """Take the time. Once the connection has lasted as long as it may, it says so, after the end of what is under way."""
        if now >= self.expires_at and not self._lanes and not self._expired:
            self._expire(None)

    def messages_to_send(self) -> list[bytes]:
        """Give what was said since the last call, each a message of JSON."""
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
                message = f"{_MAX_WAITING} requests wait on this lane already."
                raise APIError.for_status(429)(message, status=429, type=INVALID, code="too_many_requests")
        except APIError as error:
            self._kept.pop(text_at(value, "previous_response_id"), None)
            self._refuse(error, stream_id_of(value))
            return
        lane.append(turn)
        if len(lane) == 1:
            self._begin(turn)

    def _read_turn(self, value: dict[str, Any]) -> ServerTurn:
        if value.get("background"):
            message = "A response cannot go on without its WebSocket: leave out 'background', or ask over HTTP."
            raise invalid(message, "background", "unsupported_parameter")
        plain = {name: field for name, field in value.items() if name not in _ONLY_HTTP}
        asked = read_value(plain, ResponseCreateMessage, self._converter)
        if asked.stream_id is not UNSET and not STREAM_ID.fullmatch(asked.stream_id):
            raise invalid("'stream_id' is 1 to 256 of A-Z a-z 0-9 _ . -", "stream_id", "invalid_value")
        shared = attrs.fields_dict(ResponseCreateMessage).keys() & attrs.fields_dict(CreateResponse).keys()
        request = CreateResponse(**{name: getattr(asked, name) for name in shared}, stream=True)
        return ServerTurn(request=request, stream_id=asked.stream_id or None, generate=asked.generate is not False)

    def _begin(self, turn: ServerTurn) -> None:
        """Let a turn begin, with what was steered into the response that it follows, if that waits for it."""
        parent = self._known.get(turn.request.previous_response_id or "")
        if parent is not None and parent.ended and parent.stream_id == turn.stream_id:
            turn.carries = [*parent.steers]
            if turn.carries:
                given = turn.request.input or ()
                own = [Message(role="user", content=given)] if isinstance(given, str) else given
                steered = [item for steer in turn.carries for item in self._items(steer)]
                turn.request = attrs.evolve(turn.request, input=[*steered, *own])
        self._beginning.append(turn)

    def _advance(self, turn: ServerTurn, following: ServerTurn | None = None) -> None:
        """Let the next turn of the lane begin, a successor before all others."""
        lane = self._lanes[turn.stream_id]
        lane.popleft()
        if following is not None:
            lane.appendleft(following)
        if lane:
            self._begin(lane[0])
        else:
            del self._lanes[turn.stream_id]

    def _keep(self, turn: ServerTurn, history: Sequence[Item]) -> None:
        """Put the history in place of that of the response before; a turn that failed leaves nothing to follow."""
        self._kept.pop(turn.request.previous_response_id or "", None)
        if turn.ended != "response.failed":
            self._kept[turn.response_id] = history
            _forget_oldest(self._kept, _MAX_CHAINS)

    def _expire(self, stream_id: str | None) -> None:
        self._expired = True
        self._refuse(
            invalid("The connection has lasted as long as it may: open another one.", None, CONNECTION_LIMIT), stream_id
        )

    def _refuse(self, error: APIError, stream_id: str | None = None) -> None:
        body = {
            "type": error.type or INVALID,
            "code": error.code or error.type or INVALID,  # a string, here (Open Responses, WebSocket error event)
            "message": error.message,
            "param": error.param,
        }
        lane = {} if stream_id is None else {"stream_id": stream_id}
        self._unsent.append(dumps({"type": "error", "status": error.answer_status, "error": body, **lane}))

    # Steering

    def _steer(self, value: dict[str, Any]) -> None:
        name = text_at(value, "previous_response_id")
        turn = self._known.get(name)
        code = self._objection(value, turn)
        steer = _Steer(id="" if code else self._ids("steer"), parent=name, input=value.get("input") or "")
        if code or turn is None:
            self._fail(turn, steer, code)
            return
        turn.steers.append(steer)
        self._tell(turn, SteerAccepted.type, {"steer": {"id": steer.id, "previous_response_id": name}})

    @staticmethod
    def _objection(value: dict[str, Any], turn: ServerTurn | None) -> str:
        """Say why a steer cannot be accepted, by its code; empty if it can."""
        if value.keys() - _STEER_FIELDS or not _is_users(value.get("input")):
            return "invalid_input"
        if turn is None:
            return "response_not_found"
        if turn.ended:
            return "response_already_completed" if turn.ended == "response.completed" else "response_not_active"
        if turn.request.conversation or turn.request.context_management or not turn.generate:
            return "steering_not_supported"
        return "too_many_pending_steers" if len(turn.steers) >= _MAX_STEERS else ""

    def _settle(self, turn: ServerTurn, data: bytes) -> ServerTurn | None:
        """See to the steers of a response that ended: give the successor, if it has one now."""
        if not turn.steers:
            return None
        if turn.ended == "response.failed":
            for steer in [*turn.steers]:
                self._fail(turn, steer, "response_not_active")
            return None
        response = default_converter().load(self._converter.json.loads(data)["response"], Response)
        waiting = [_required(call) for call in response.pending_calls]
        if waiting:
            for steer in turn.steers:
                about = {"id": steer.id, "previous_response_id": steer.parent}
                said = {"steer": about, "reason": "waiting_for_required_input", "required_input": waiting}
                self._tell(turn, SteerPending.type, said)
            return None
        request = attrs.evolve(turn.request, input=UNSET, previous_response_id=turn.response_id)
        return ServerTurn(request=request, stream_id=turn.stream_id, follows=turn)

    def _commit(self, turn: ServerTurn) -> None:
        parent = self._known.get(turn.request.previous_response_id or "")
        if parent is not None:
            parent.steers = [steer for steer in parent.steers if steer not in turn.carries]

    def _fail(self, turn: ServerTurn | None, steer: _Steer, code: str, why: str = "") -> None:
        if turn is not None and steer in turn.steers:
            turn.steers.remove(steer)
        about = {"previous_response_id": steer.parent, "input": steer.input, **({"id": steer.id} if steer.id else {})}
        message = f"{STEER_ERRORS[code]} {why}".strip()
        said = {"steer": about, "error": {"type": INVALID, "code": code, "message": message}}
        self._tell(turn, SteerFailed.type, said)

    def _tell(self, turn: ServerTurn | None, type_: str, fields: dict[str, Any]) -> None:
        """Say something of a steer, among the events of the response that it steers."""
        number = 0 if turn is None else turn.number
        if turn is not None:
            turn.number += 1
        lane = {} if turn is None or turn.stream_id is None else {"stream_id": turn.stream_id}
        self._unsent.append(dumps({"type": type_, "sequence_number": number, **fields, **lane}))

    def _items(self, steer: _Steer) -> list[Item]:
        if isinstance(steer.input, str):
            return [Message(role="user", content=steer.input)]
        return default_converter().load([*steer.input], list[Item])


def _is_users(given: JSONValue) -> bool:
    """Tell whether something is input that can be steered with: a text, or messages of the user's."""
    if isinstance(given, str):
        return bool(given)
    return isinstance(given, list) and bool(given) and all(map(_is_users_message, given))


def _is_users_message(item: JSONValue) -> bool:
    if not isinstance(item, dict) or item.keys() - _STEER_MESSAGE or item.get("role") != "user":
        return False
    content = item.get("content")
    fits = isinstance(content, str) or (
        isinstance(content, list) and all(text_at(part, "type") in _STEER_CONTENT for part in content)
    )
    return fits and item.get("type", "message") == "message"


def _required(call: PendingCall) -> dict[str, Any]:
    """Give the stub of the input that answers a call."""
    pair = next(pair for pair in CALL_OUTPUT_PAIRS if pair.call == call.type)
    stub: dict[str, Any] = {"type": pair.output, pair.output_key: getattr(call, pair.call_key)}
    if isinstance(call, FunctionCall):
        stub["name"] = call.name
    if isinstance(call, ToolSearchCall):
        stub["execution"] = "client"
    return stub


def _forget_oldest(kept: dict[str, Any], maximum: int) -> None:
    while len(kept) > maximum:
        del kept[next(iter(kept))]
