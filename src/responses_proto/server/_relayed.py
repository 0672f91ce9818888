"""Relay the response of an upstream server: its events, a snapshot of the response, and an ending if the upstream sends none.

Events are passed on byte for byte, with these exceptions:

* A missing or contradictory position or sequence number is replaced by the one that the client's engine has inferred.
* ``previous_response_id`` and ``conversation``, which the upstream does not get, and a renamed model are those of the request.
* A response that cannot adopt the upstream's id has an id of this server. That happens if events with this server's id have been sent
  already, or if the upstream's id belongs to another response here.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from ..codec import default_converter, dump, dumps
from ..exceptions import APIError
from ..models._base import Extra
from ..models.event_parts import ErrorBody
from ..models.events import (
    LIFECYCLE_TYPES,
    TERMINAL_TYPES,
    ErrorEvent,
    Event,
    Keepalive,
    RateLimitsUpdated,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    UnknownEvent,
)
from ..models.items import Compaction, Item, ItemReference
from ..models.response import RUNNING_STATUSES, IncompleteDetails, ResponseError
from ..protocol.emitter import emit
from ..protocol.state import DELTA_EVENTS, TERMINAL
from ..protocol.stream import data_of
from ..typing import UNSET
from .stores._base import WireEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..client import EventStream
    from ..models.request import CreateResponse
    from ..models.response import Response

Ending: TypeAlias = Literal["cancelled", "incomplete", "failed"]
"""How this server can end a response before the upstream does."""

_STARTS: Final = LIFECYCLE_TYPES - TERMINAL_TYPES
_ENDED: Final = frozenset({*TERMINAL.values(), "cancelled"})
_MAX_BYTES: Final = 256 * 1024 * 1024  # of the events of a response, which are kept so that clients can resume
_MAX_ID: Final = 1024  # characters
_MAX_BESIDE: Final = 16  # events


def upstream_input(request: CreateResponse, context: Sequence[Item]) -> CreateResponse:
    """Return a request with its whole context as input, unless its own input is the whole context."""
    given = request.input
    is_alone = not request.previous_response_id and not request.conversation
    if is_alone and (isinstance(given, str) or not any(_refers(item) for item in given or ())):
        return attrs.evolve(request, stream=UNSET)
    return attrs.evolve(request, input=[*context], previous_response_id=UNSET, conversation=UNSET, stream=UNSET)


def _refers(item: Item) -> bool:
    """Return whether an item refers to something that this server must look up or expand."""
    is_abbreviated = isinstance(item.extra, Extra) and bool(item.extra.absent - {"type"})
    return is_abbreviated or isinstance(item, ItemReference | Compaction)


def copy_of(event: Event) -> Event:
    """Return a copy of an event that can be changed safely. Delta events are returned as they are."""
    return event if event.type in DELTA_EVENTS else copy.deepcopy(event)


def is_beside(events: Sequence[Event]) -> bool:
    """Return whether all events may precede the start of a response, so that its id is not known yet."""
    return len(events) < _MAX_BESIDE and all(
        isinstance(event, Keepalive | RateLimitsUpdated | UnknownEvent) for event in events
    )


def id_in(events: Iterable[Event]) -> str | None:
    """Return the response id in the first event that has one; ``None`` if there is none, or if it is too long."""
    for event in events:
        response: object = getattr(event, "response", None)
        found = getattr(response, "id", None)
        if isinstance(found, str) and found:
            return found if len(found) <= _MAX_ID else None
    return None


def incomplete(item: Item) -> Item:
    """Return an item in progress as incomplete; others unchanged."""
    if getattr(item, "status", None) != "in_progress":
        return item
    changes: dict[str, Any] = {"status": "incomplete"}
    return attrs.evolve(item, **changes)


class RelayedResponse:
    """The response of an upstream. Pass its events to :meth:`take`; if its stream ends without a terminal event, call :meth:`end`.

    ``own`` is the response as this server would begin it. ``id`` is the id of the response here: the upstream's, or that of ``own``.
    ``model`` replaces the upstream's model name. ``published`` is the number of events that have been sent already; the relayed
    events are numbered after them.
    """

    def __init__(
        self,
        stream: EventStream[Any],
        own: Response,
        *,
        id: str,  # noqa: A002 - the field's name
        model: str | None,
        published: int,
    ) -> None:
        self.id: str = id
        """The id of the response on this server."""
        self.ended: bool = False
        """Whether the terminal event was received or created."""
        self.alias: str = ""
        """The response id in the terminal event, if the upstream has changed it in the stream; else empty."""
        self._stream = stream
        self._own = own
        self._position = published  # of the next event in the log
        self._number = published - 1  # the newest sequence number
        self._bytes = 0
        self._final: Response | None = None
        self._is_created = published > 0
        self._error_sent = False
        # After events of this server, the upstream's are renumbered.
        self._continues = published > 0
        self._model = model
        self._stated: dict[str, Any] = {}
        if own.previous_response_id:
            self._stated["previous_response_id"] = own.previous_response_id
        if own.conversation:
            self._stated["conversation"] = own.conversation
        self._keeps_id = id == own.id

    @property
    def response(self) -> Response:
        """The response so far, with the fields that this server sets."""
        if self._final is not None:
            return self._final
        response = self._stream.response
        if not response.id and not response.created_at:  # the upstream has not sent the response yet
            return attrs.evolve(self._own, id=self.id, output=response.output)
        return self._restated(response)

    def _restated(self, response: Response) -> Response:
        changes: dict[str, Any] = {**self._stated}
        if self._model is not None:
            changes["model"] = self._model
        if response.id != self.id:
            changes["id"] = self.id
        return attrs.evolve(response, **changes) if changes else response

    def take(self, events: Sequence[Event]) -> list[WireEvent]:
        """Return the events to send for the upstream's next events. Raises ``APIError`` (502) if they exceed the limit for a response."""
        taken: list[WireEvent] = []
        if len(events) > 1 and isinstance(events[-1], ErrorEvent) and events[-2].type in TERMINAL_TYPES:
            # Azure sends the error after the terminal event. Nothing may follow that, so the error is sent first.
            events = [*events[:-2], events[-1], events[-2]]
            self._continues = True
        for event in events:
            if self.ended:
                break
            whole = None if self._position else self._sent_whole(event)
            for said in [event] if whole is None else emit(whole):
                self._take(said, taken)
        return taken

    def _sent_whole(self, event: Event) -> Response | None:
        """Return the response if the upstream sent it as JSON although a stream was requested; else ``None``."""
        if event.type not in TERMINAL_TYPES or all(found.code != "json-body" for found in self._stream.anomalies):
            return None
        response: Response = cast("Any", event).response
        return response if response.status in _ENDED else None

    def _take(self, event: Event, taken: list[WireEvent]) -> None:
        if isinstance(event, UnknownEvent) and not (isinstance(event.raw, dict) and event.raw):
            return  # not an event: text, or JSON that is no object
        if event.type == ResponseCreated.type and self._is_created:
            # The client has retried the request. The first `response.created` counts.
            self._continues = self._keeps_id = True
        self._is_created = self._is_created or event.type == ResponseCreated.type
        self._error_sent = self._error_sent or event.type == ErrorEvent.type
        if self._continues and event.type in _STARTS:
            return
        data = data_of(event)
        data = dumps(event) if data is None else _clean(data)
        if (
            self._continues
            or self._model is not None
            or (event.type in LIFECYCLE_TYPES and (self._stated or self._keeps_id))
        ):
            data = self._rewritten(event, data)
        if event.type in TERMINAL_TYPES:
            self._end_with(event)
        number = _number_of(event)
        self._add(taken, event.type, data, self._number + 1 if self._continues and number is not None else number)

    def _rewritten(self, event: Event, data: bytes) -> bytes:
        converter = default_converter()
        value: dict[str, Any] = converter.json.loads(data)
        if self._continues and _number_of(event) is not None:
            value["sequence_number"] = self._number + 1
        if self._model is not None and isinstance(value.get("model"), str):
            value["model"] = self._model
        if event.type in LIFECYCLE_TYPES and isinstance(value.get("response"), dict):
            response: dict[str, Any] = value["response"]
            response.update({name: dump(stated) for name, stated in self._stated.items()})
            if self._keeps_id:
                response["id"] = self.id
            if self._model is not None:
                response["model"] = self._model
        return dumps(value)

    def _end_with(self, event: Event) -> None:
        said = cast("Any", event).response.id
        if said and said != self.id and not self._keeps_id and len(said) <= _MAX_ID:
            self.alias = said
        response = self.response
        outcome = self._stream.outcome
        if outcome is not None and (response.status or "in_progress") in RUNNING_STATUSES:
            status: Any = outcome.status
            response = attrs.evolve(response, status=status)
        self._final = response
        self.ended = True

    def end(self, how: Ending, *, error: APIError | None = None, reason: str = "") -> list[WireEvent]:
        """Return the events that end the response now. ``error`` is the cause of a failure, ``reason`` that of an incomplete response."""
        response = self.response
        self.ended = True
        ended: list[WireEvent] = []
        changes: dict[str, Any] = {"status": how, "completed_at": None}
        number = self._number + 1
        if error is not None:
            code, type_ = error.code or "server_error", error.type or "server_error"
            changes["error"] = ResponseError(code=code, message=error.message)
            if not self._error_sent:
                body = ErrorBody(type=type_, code=code, message=error.message, param=error.param)
                event = ErrorEvent(
                    sequence_number=number, message=error.message, code=code, param=error.param, error=body
                )
                self._add(ended, event.type, dumps(event), number)
                number += 1
        elif how == "incomplete":
            changes["incomplete_details"] = IncompleteDetails(reason=reason)
        changes["output"] = [incomplete(item) for item in response.output]
        self._final = response = attrs.evolve(response, **changes)
        ending = ResponseFailed if how == "failed" else ResponseIncomplete
        self._add(ended, ending.type, dumps(ending(sequence_number=number, response=response)), number)
        return ended

    def _add(self, events: list[WireEvent], type_: str, data: bytes, number: int | None) -> None:
        events.append(WireEvent(self._position, type_, data))
        self._position += 1
        self._bytes += len(data)
        if number is not None and number > self._number:
            self._number = number
        if self._bytes > _MAX_BYTES and not self.ended:
            message = f"The upstream server has sent events of more than {_MAX_BYTES} bytes for one response."
            raise APIError.for_status(502)(message, status=502, type="server_error", code="upstream_too_large")


def position_after(events: Sequence[WireEvent], number: int) -> int | None:
    """Return the position that follows the event with a sequence number; ``None`` if no such event can have been sent.

    The position of an event in the log is normally its sequence number. An upstream may skip numbers, and send events without a number.
    """
    if number < 0:
        return None
    if number < len(events) and number_in(events[number]) == number:
        return number + 1
    before = 0
    for position, event in enumerate(events):
        found = number_in(event)
        if found is not None and found >= number:
            return position + 1 if found == number else before
        if found is not None:
            before = position + 1
    return None


def last_number(events: Sequence[WireEvent]) -> int:
    """Return the last sequence number in events; -1 if they have none."""
    return next((number for event in reversed(events) if (number := number_in(event)) is not None), -1)


def number_in(event: WireEvent) -> int | None:
    """Return the sequence number in the JSON of an event; ``None`` if it has none."""
    value: object = default_converter().json.loads(event.data)
    number = cast("dict[str, object]", value).get("sequence_number") if isinstance(value, dict) else None
    return number if type(number) is int else None


def _number_of(event: Event) -> int | None:
    """Return the sequence number of an event; ``None`` if it has none."""
    if isinstance(event, UnknownEvent):
        number: object = event.raw.get("sequence_number") if isinstance(event.raw, dict) else None
    else:
        number = getattr(event, "sequence_number", None)
    return number if type(number) is int else None


def _clean(data: bytes) -> bytes:
    """Return the JSON of an event in the form to send and store: valid UTF-8, without surrounding whitespace."""
    data = data.strip()
    return data if data.isascii() else data.decode("utf-8", "replace").encode()
