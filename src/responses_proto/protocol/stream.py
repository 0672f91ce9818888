"""The client side of an event stream, without I/O: bytes in, typed events and a snapshot out.

::

    stream = ResponseStream()
    for chunk in chunks:
        stream.receive_data(chunk)              # any chunking, any line ending
        for event in stream.events_received():  # complete and typed, with resolved positions
            ...
        if stream.ended:                        # a terminal event or [DONE]: nothing more is needed
            break
    stream.receive_eof()                        # idempotent; without a terminal event: `truncated`
    stream.outcome                              # never None from here on

How it works
------------
Input passes through four stages, each of which processes the output of the one before:

1. The first bytes determine the kind of input. JSON or HTML is kept as a *body*; anything else is read as an event stream.
2. ``SSEDecoder`` cuts an event stream into blocks of lines. Nearly every block is an ``event:`` line and a ``data:`` line, or only a
   ``data:`` line, and is recognized by its beginning (``_HEADS``). Any other block goes through ``SSEDecoder.parse``.
3. The data of a block is decoded from JSON, and then into an event class. Data that does not fit is an anomaly.
4. ``Accumulator.push`` folds the event into the snapshot and resolves its position.

A response ends with its terminal event or with ``[DONE]``, whichever comes first. If the input ends before that, the outcome is
``truncated``: a missing end is never success. ``outcome.response`` has the part that was received.

A server may send one JSON object instead of a stream, alone, followed by ``[DONE]``, or as the only ``data:`` frame. A response object
then counts as the whole result, and an error object as the error. For anything else, :attr:`ResponseStream.body` has the start of the
input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast

import attrs

from ..anomalies import Anomaly
from ..codec import default_converter, dump, dumps
from ..codec._json import check_structure, may_have_large_integer
from ..exceptions import (
    APIError,
    DecodeError,
    LocalProtocolError,
    ResponseCancelledError,
    ResponseFailedError,
    ResponseIncompleteError,
    ResponsesProtoError,
    StreamTruncated,
    UsageError,
)
from ..limits import Limits
from ..models._base import EMPTY, Extra
from ..models.events import EVENT_TYPES, TERMINAL_TYPES, ErrorEvent, Event, UnknownEvent
from ..models.response import IncompleteDetails, Response
from ..typing import UNSET, Cursor
from ._items import is_missing
from .accumulator import Accumulator, growth_of
from .api_errors import api_error_from
from .sse import SSEDecoder, begins_as_events, is_end_marker, without_end_marker
from .state import DELTA_EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..codec import Converter
    from ..codec._load import DecodeFinding

__all__ = ["Outcome", "OutcomeStatus", "ResponseStream", "data_of"]

OutcomeStatus: TypeAlias = Literal["completed", "incomplete", "failed", "cancelled", "error", "truncated"]
"""How a stream ended. ``error``: with an error event and no terminal event; ``truncated``: with neither."""

_SPACE: Final = b" \t\n\r"
_BOM: Final = b"\xef\xbb\xbf"
_BODY_SHOWN: Final = 64 * 1024
_FIELD: Final = 16  # bytes at the start of a line in which the name of a field is recognized
_POSITIONS: Final = frozenset(
    {".sequence_number", ".output_index", ".item_id", ".content_index", ".summary_index", ".command_index"}
)
_POSITION_FIELDS: Final = tuple(path[1:] for path in _POSITIONS)
_EVENT_FOR_STATUS: Final = {
    "queued": "response.created",
    "in_progress": "response.created",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    "cancelled": "response.failed",
}
"""Status of a response -> the event that carries it. Any other status counts as completed."""
_OUTCOME_FOR_STATUS: Final[Mapping[str, OutcomeStatus]] = {
    "queued": "truncated",
    "in_progress": "truncated",
    "incomplete": "incomplete",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""Status of a response -> status of its outcome. Any other status counts as completed."""
_HEADS: Final[Mapping[bytes, str]] = {
    b"data: ": "",
    **{f"event: {name}\ndata: ".encode(): name for name in EVENT_TYPES},
}
"""The beginning of nearly all frames, up to their JSON object: an ``event:`` line and ``data:``, or ``data:`` alone -> event name."""


@attrs.frozen(kw_only=True)
class Outcome:
    """How a stream ended: its status, the response, and the error if there is one."""

    status: OutcomeStatus
    response: Response
    """The final response if the status is ``completed``, ``incomplete``, ``failed`` or ``cancelled``; otherwise the part received."""
    error: APIError | None = None
    """The error of the server, for ``failed`` and ``error``; ``None`` if it sent none."""
    cursor: Cursor | None = None
    """The last position; ``None`` if no id of the response was received."""

    @classmethod
    def of_response(cls, response: Response) -> Self:
        """Return the outcome of a response that was received as a whole.

        An unknown or missing status counts as ``completed``. ``queued`` and ``in_progress`` become ``truncated``.
        """
        status: OutcomeStatus = _OUTCOME_FOR_STATUS.get(response.status or "", "completed")
        error = api_error_from(dump(response.error)) if status == "failed" and response.error else None
        return cls(status=status, response=response, error=error)

    def exception(self) -> ResponsesProtoError | None:
        """Return the exception for this outcome, with ``response`` and ``cursor`` set; ``None`` for ``completed``."""
        error = self._exception()
        if error is not None:
            error.response = self.response
            error.cursor = self.cursor
            if error.retry_safety is None:
                error.retry_safety = "unsafe"
        return error

    def _exception(self) -> ResponsesProtoError | None:
        match self.status:
            case "completed":
                return None
            case "incomplete":
                details = self.response.incomplete_details
                reason = details.reason if isinstance(details, IncompleteDetails) else ""
                return ResponseIncompleteError(f"the response is incomplete: {reason or 'the server gave no reason'}")
            case "failed":
                failed = ResponseFailedError(f"the response failed: {self.error or 'the server gave no reason'}")
                failed.__cause__ = self.error
                return failed
            case "cancelled":
                return ResponseCancelledError("the response was cancelled")
            case "error":
                return self.error or APIError("the server reported an error without details")
            case _:  # truncated
                after = f" after event {self.cursor.sequence_number}" if self.cursor else " before any event"
                return StreamTruncated(f"the stream ended{after} without a terminal event; .response has what arrived")


class ResponseStream:
    """One response, read from the wire.

    Pass bytes to :meth:`receive_data`, take events from :meth:`events_received`, and call :meth:`receive_eof` when the input ends.

    ``strict``: raise at the first violation of the protocol. Lenient mode, the default, reports it in :attr:`anomalies` and continues.
    ``limits``: bound the data that the peer may send.
    ``converter``: decodes events and items, including the types of vendors (see ``Converter.register``).
    ``keep_data``: keep the JSON text of each event, for programs that forward events: see :func:`data_of`.

    To resume a stream, pass the ``cursor`` of the interrupted stream: events up to it are dropped. Also pass its ``accumulator`` if it is
    still available: then the snapshot is complete. Otherwise the snapshot begins at the cursor, and becomes complete with the terminal
    event.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        limits: Limits | None = None,
        converter: Converter | None = None,
        cursor: Cursor | None = None,
        accumulator: Accumulator | None = None,
        keep_data: bool = False,
    ) -> None:
        self.keep_data: bool = keep_data
        """Whether events keep their JSON text, for :func:`data_of`."""
        self._limits = limits or Limits()
        self._converter = converter or default_converter()
        self._strict = strict
        self._load = self._converter.loader(Event)
        self._loaders = self._converter.loaders(Event)
        self._sse = SSEDecoder(self._limits)
        self._accumulator = accumulator or Accumulator(
            strict=strict, limits=self._limits, growth=growth_of(self._converter)
        )
        self._resume_after = cursor.sequence_number if cursor is not None else None
        self._resumed = cursor
        if self._resume_after is not None and self._accumulator.next_sequence_number is None:
            self._accumulator.skip_start()
        self._events: list[Event] = []
        self._parse = self._converter.json.parse
        self._parse_fast = self._converter.json.parse_fast
        limits = self._limits
        self._flat = min(2 * limits.max_nesting, 2 * limits.max_json_values - 2, limits.max_event_bytes)
        self._outcome: Outcome | None = None
        self._eof = False
        self._done = False
        self._error: ResponsesProtoError | None = None
        self._framed = False
        self._undecided: bytes | None = b""  # the beginning of a possible byte-order mark; `None` after the first bytes
        self._start: bytearray | None = bytearray()  # of the input, until something in it belongs to an event stream
        self._body: bytearray | None = None

    # State

    @property
    def response(self) -> Response:
        """The snapshot as of the last event. It is built on access."""
        return self._accumulator.response

    @property
    def accumulator(self) -> Accumulator:
        """The accumulator behind :attr:`response`; it also has the audio and the output as streamed."""
        return self._accumulator

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` before its end."""
        if self._outcome is None:
            status = self._accumulator.status
            if status is not None:
                outcome = self._end(status)
                if self._accumulator.reason_missing and not self._eof:
                    return outcome  # a later error event may give the reason
                self._outcome = outcome
            elif self._eof or self._done:
                self._outcome = self._end("error" if self._accumulator.error is not None else "truncated")
        return self._outcome

    @property
    def cursor(self) -> Cursor | None:
        """The current position, for resuming; ``None`` before the response has an id."""
        resumed, number = self._resumed, self._accumulator.last_sequence_number
        response_id = self._accumulator.response_id or (resumed.response_id if resumed is not None else "")
        if number is None and resumed is not None:
            number = resumed.sequence_number
        return Cursor(response_id, number) if response_id else None

    @property
    def anomalies(self) -> list[Anomaly]:
        """The violations of the protocol by the peer, each of them once."""
        return self._accumulator.anomalies

    @property
    def ended(self) -> bool:
        """Whether a terminal event, ``[DONE]`` or the end of input was received: nothing more is needed from the peer."""
        return self._accumulator.status is not None or self._done or self._eof

    @property
    def error_seen(self) -> bool:
        """Whether an ``error`` event was received. ``response.failed`` may follow, or nothing: wait only briefly for it."""
        return self._accumulator.error is not None

    @property
    def reason_missing(self) -> bool:
        """Whether the response failed without a reason. An ``error`` event with the reason may follow: wait only briefly for it."""
        return self._accumulator.reason_missing and not self._done and not self._eof

    @property
    def comments(self) -> int:
        """The number of comment lines so far. Servers send comments to keep a quiet connection alive."""
        return self._sse.comments

    @property
    def body(self) -> bytes | None:
        """The start of the input, at most 64 KiB, if it is not an event stream; else ``None``.

        JSON and HTML are recognized by their first character, any other text only at the end of the input.
        """
        if self._body is not None:
            return bytes(self._body[:_BODY_SHOWN])
        return bytes(self._start) if self._start and self._eof and not self._has_begun else None

    # Verbs

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Process the next bytes, in chunks of any size. Call :meth:`events_received` afterwards.

        The buffer may be reused after the call. Raises ``LimitExceeded``; in strict mode also ``RemoteProtocolError`` and
        ``DecodeError``. Events before the offending one are still available from :meth:`events_received`; every later call raises the
        same error again. Raises ``UsageError`` for text instead of bytes.
        """
        if not isinstance(data, bytes):
            given: object = data  # httpx has text, too
            if isinstance(given, str):
                raise UsageError("expected bytes, got str: read the body with aiter_bytes(), not aiter_text()")
            data = bytes(data)
        if self._eof or self._error is not None:
            self._require_open("receive_data")
        try:
            self._receive(data)
        except ResponsesProtoError as error:
            self._error = self._with_context(error)
            raise

    def receive_event(self, data: str | bytes, event: str = "") -> None:
        """Process one event from another SSE decoder: its data, and the name in its ``event:`` line.

        Use it instead of :meth:`receive_data`, not together with it. Call :meth:`events_received` afterwards. Raises the same errors.
        """
        self._require_open("receive_event")
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        try:
            self._limits.check("max_event_bytes", len(data))
            self._take_frame(data, event)
        except ResponsesProtoError as error:
            self._error = self._with_context(error)
            raise

    def events_received(self) -> list[Event]:
        """Return the events received since the last call, in order."""
        received = self._events
        self._events = []
        return received

    def receive_eof(self) -> None:
        """Process the end of the input. Idempotent. From here on :attr:`outcome` is not ``None``.

        Raises ``RemoteProtocolError`` in strict mode if the input is incomplete.
        """
        if self._eof:
            return
        ended, self._eof = self.ended, True
        if self._error is not None:
            return
        try:
            if self._body is not None:
                self._take_body(bytes(self._body))
            elif not ended:
                self._take_rest(self._sse.eof())
            if self.outcome is not None and self.outcome.status == "truncated":
                self._accumulator.report(Anomaly("no-terminal", "$", "the input ended without a terminal event"))
        except ResponsesProtoError as error:
            self._error = self._with_context(error)
            raise

    # Inside

    def _require_open(self, verb: str) -> None:
        if self._error is not None:
            raise self._error
        if self._eof:
            raise LocalProtocolError(
                f"{verb}() after receive_eof(): the input has ended; create another ResponseStream"
            )

    def _receive(self, data: bytes) -> None:
        if not self._framed:
            data = self._without_body(data)
            if not data:
                return
        if self._start is not None:
            self._keep_start(data)
        for block in self._sse.blocks(data):
            head = block.partition(b"{")[0]
            name = _HEADS.get(head)
            if name is not None:
                text = block[len(head) :]
                if b"\n" not in text and self._take(name, text, len(block)):
                    continue
            if block:  # skip repeated blank lines
                self._take_block(block)

    def _without_body(self, data: bytes) -> bytes:
        """Return the first bytes of an event stream; empty if there are none yet, or if they belong to another body. Keep that body."""
        if self._body is None:
            data = self._without_space(data)
            # No line of an event stream begins with one of these characters.
            self._framed = bool(data) and data[:1] not in (b"{", b"[", b"<")
        if data and not self._framed:
            self._keep_body(data)
            return b""
        return data

    def _take(self, name: str, text: bytes, size: int) -> bool:
        """Process a frame of ``size`` bytes, given the name in its ``event:`` line (empty if there is none) and its data.

        Return false, without effect, if the frame must be parsed like any other block.
        """
        if self._done or self._resume_after is not None:
            return False
        if size > self._flat:  # a shorter text cannot be nested too deep: n levels are at least 2n characters
            self._limits.check("max_event_bytes", size)
            check_structure(text, self._limits.max_nesting, max_values=self._limits.max_json_values)
        try:
            value = self._parse_fast(text)
        except (ValueError, RecursionError):
            return False
        try:
            kind = value["type"]
            load = self._loaders[kind]
        except (LookupError, TypeError):  # no object, no type, or a type without a class
            self._take_value(self._exact(value, text), name, text)
            return True
        if name and kind != name:
            self._take_value(self._exact(value, text), name, text)
            return True
        found: list[DecodeFinding] = []
        event = load(value, found)
        # A delta can have a large integer only in fields that its class does not know, and in nested objects.
        has_place = kind not in DELTA_EVENTS or event.extra is not EMPTY or value.get("logprobs") or "agent" in value
        if has_place:
            if (exact := self._exact(value, text)) is not value:
                found = []
                event = load(exact, found)
            self._accumulator.weigh(event, size)
        if found:
            self._note(found, event)
        self._accumulator.push(event)
        if self.keep_data:
            _keep_data(event, value, text)
        self._events.append(event)
        return True

    def _exact(self, value: Any, text: bytes) -> Any:
        """Return the value of a text with exact integers: ``value``, which was parsed fast, unless the text has large integers."""
        if not may_have_large_integer(text):
            return value
        try:
            return self._parse(text)
        except (ValueError, RecursionError):
            return value

    def _take_block(self, block: bytes) -> None:
        """Process any block of lines."""
        frame = self._sse.parse(block)
        if frame is not None:
            self._take_frame(frame.data, frame.event.decode("utf-8", "replace"))

    def _take_frame(self, data: bytes, name: str) -> None:
        """Process one frame. It may be empty, or the end marker."""
        if not data:
            return
        if is_end_marker(data):
            self._done = True
            return
        if self._done:
            self._report("late-data", "$", "a frame after [DONE]")
            return
        self._take_data(data, name)

    def _take_data(self, data: bytes, name: str) -> None:
        """Process the data of one frame, which should be one JSON object."""
        if len(data) > self._flat:
            check_structure(data, self._limits.max_nesting, max_values=self._limits.max_json_values)
        try:
            value = self._parse(data)
        except (ValueError, RecursionError):
            value = self._mend(data, name)
        self._take_value(value, name, data)

    def _take_value(self, value: Any, name: str, data: bytes | None = None, *, size: int | None = None) -> None:
        """Process one JSON value, which should be one event. It was decoded from ``data``, or derived from ``size`` other bytes."""
        found: list[DecodeFinding] = []
        if isinstance(value, dict):
            event = self._load(self._with_type(cast("dict[str, Any]", value), name), found)
        elif isinstance(value, _Undecodable):
            event = UnknownEvent(type=name, raw=str(value))
        else:
            event = UnknownEvent(type=name, raw=value)
            self._report("not-an-object", f"{name or 'frame'} $", repr(value)[:80])
        self._note(found, event)
        if not self._already_seen(event):
            self._accumulator.weigh(event, size or len(data or b""))
            self._accumulator.push(event)
            if self.keep_data and data is not None and isinstance(value, dict):
                _keep_data(event, cast("dict[str, Any]", value), data)
            self._events.append(event)

    def _note(self, found: list[DecodeFinding], event: Event) -> None:
        """Report the findings of the decoder, except for positions: the accumulator resolves and reports those."""
        for finding in found:
            if finding.path not in _POSITIONS:
                self._report(finding.code, f"{event.type} ${finding.path}", finding.detail, event)

    def _mend(self, data: bytes, name: str) -> Any:
        """Decode invalid JSON after replacing bytes that are not UTF-8; if that fails, return the text as an ``_Undecodable``."""
        text = data.decode("utf-8", "replace")
        if text.encode() != data:
            self._report("invalid-utf8", f"{name or 'frame'} $", repr(data[:80]))
            try:
                return self._parse(text)
            except (ValueError, RecursionError):
                pass
        self._report("invalid-json", f"{name or 'frame'} $", repr(data[:80]))
        return _Undecodable(text)

    def _with_type(self, value: dict[str, Any], name: str) -> dict[str, Any]:
        kind = value.get("type")
        if isinstance(kind, str) and kind:
            if name and name not in (kind, "message"):
                self._report("event-name", f"{kind} $", f"the event: line has {name!r}")
            return value
        error = value.get("error")
        if error is not None and name in ("", "message", ErrorEvent.type):
            self._report("error-untyped", "error $.type", repr(value)[:80])
            return {**value, "type": ErrorEvent.type, "error": _as_object(error)}
        whole = value.get("object") == "response" or ("output" in value and name not in EVENT_TYPES)
        if whole and not self._accumulator.delivered_output:
            return self._whole_response(value) or value
        if name in EVENT_TYPES:
            self._report("missing-type", f"{name} $.type", "taken from the event: line")
            return {**value, "type": name}
        self._report("missing-type", f"{name or 'frame'} $.type", repr(value)[:80])
        return value

    def _already_seen(self, event: Event) -> bool:
        """Return whether an event of a resumed stream repeats an event of the interrupted stream."""
        after = self._resume_after
        if after is None:
            return False
        number = _wire_number(event)
        if number is not None and number <= after:
            return True
        if number is not None:
            self._resume_after = None
            if self._accumulator.next_sequence_number is None:
                self._accumulator.next_sequence_number = after + 1
        return False

    def _without_space(self, data: bytes) -> bytes:
        """Return the first bytes without a leading byte-order mark and whitespace; empty while there is nothing else."""
        if self._undecided is not None:
            data = self._undecided + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._undecided = data
                return b""
            self._undecided = None
            data = data.removeprefix(_BOM)
        return data.lstrip(_SPACE)

    def _keep_start(self, data: bytes) -> None:
        """Keep the start of the input for :attr:`body`, unless it is clearly an event stream."""
        start = cast("bytearray", self._start)
        start += data[: _BODY_SHOWN - len(start)]
        if self._has_begun or begins_as_events(bytes(start[:_FIELD])):
            self._start = None

    @property
    def _has_begun(self) -> bool:
        """Whether something was read that occurs only in an event stream."""
        return self._done or self._sse.comments > 0 or self._accumulator.next_sequence_number is not None

    def _keep_body(self, data: bytes) -> None:
        self._body = self._body if self._body is not None else bytearray()
        self._body += data
        self._limits.check("max_buffered_bytes", len(self._body))

    def _take_body(self, body: bytes) -> None:
        body = without_end_marker(body)
        try:
            value = self._loads(body)
        except DecodeError:
            value = None
        if not isinstance(value, dict):
            self._report("not-an-object", "$", repr(body[:80]))
            return
        whole = cast("dict[str, Any]", value)
        event = self._whole_response(whole)
        if event is None:
            self._report("json-body", "$", "a JSON object instead of the requested stream")
            event = {"type": ErrorEvent.type, "error": _as_object(whole.get("error", whole))}
        self._take_value(event, "", size=len(body))

    def _whole_response(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event for a response object that was sent instead of a stream; ``None`` if it is not a response."""
        if value.get("object") != "response" and "output" not in value:
            return None
        self._report("json-body", "$", "a response object instead of the requested stream")
        kind = _EVENT_FOR_STATUS.get(str(value.get("status")), "response.completed")
        if kind in TERMINAL_TYPES and self._accumulator.next_sequence_number is None:
            self._accumulator.skip_start()
        return {"type": kind, "sequence_number": self._accumulator.next_sequence_number or 0, "response": value}

    def _take_rest(self, rest: bytes) -> None:
        """Process the lines of a frame that was cut off by the end of the input."""
        if not rest:
            return
        frame = self._sse.parse(rest)
        if frame is None or not frame.data:
            return
        if is_end_marker(frame.data):
            self._done = True
            return
        try:
            self._loads(frame.data)
        except DecodeError:
            self._report("dropped-frame", "$", repr(rest[:80]))
            return
        self._report("unfinished-frame", "$", "the last frame lacks its blank line")
        self._take_data(frame.data, frame.event.decode("utf-8", "replace"))

    def _loads(self, text: bytes) -> Any:
        return self._converter.json.loads(text, self._limits.max_nesting, self._limits.max_json_values)

    def _report(self, code: str, path: str, detail: str, event: Event | None = None) -> None:
        self._accumulator.report(Anomaly(code, path, detail), event)

    def _with_context(self, error: ResponsesProtoError) -> ResponsesProtoError:
        if self._accumulator.last_sequence_number is not None:  # there is no number before the first event
            error.response = self.response
        error.cursor = self.cursor
        return error

    def _end(self, status: OutcomeStatus) -> Outcome:
        said = self.response.error if status == "failed" and self.response.error else self._accumulator.error
        error = api_error_from(self._converter.dump(said)) if said and status in ("failed", "error") else None
        return Outcome(status=status, response=self.response, error=error, cursor=self.cursor)


def _wire_number(event: Any) -> int | None:
    """Return the sequence number from the wire; ``None`` if there is none."""
    if isinstance(event, UnknownEvent):
        number: Any = event.raw.get("sequence_number") if isinstance(event.raw, dict) else None
    else:
        number = None if is_missing(event, "sequence_number") else event.sequence_number
    return number if type(number) is int else None


def data_of(event: Event) -> bytes | None:
    """Return the JSON text of an event, byte for byte unless a position was repaired; ``None`` if the text was not kept.

    A missing position is filled in with the resolved value, and a wrong sequence number is replaced; other contradictions stay. See
    ``ResponseStream(keep_data=True)``.
    """
    origin = event.extra.origin if isinstance(event.extra, Extra) else None
    return origin if isinstance(origin, bytes) else None


def _keep_data(event: Any, value: Mapping[str, Any], data: bytes) -> None:
    """Keep the JSON text of an event. ``value``: the JSON object in ``data``."""
    repaired: dict[str, Any] = {}
    absent = event.extra.absent if isinstance(event.extra, Extra) else ()
    for name in _POSITION_FIELDS:
        found = getattr(event, name, UNSET)
        if found is UNSET or (name not in value and name in absent):
            continue
        if name not in value or (name == "sequence_number" and value[name] != found):
            repaired[name] = found
    origin = dumps({**value, **repaired}) if repaired else data
    event.extra = Extra.with_origin(event.extra, origin)


class _Undecodable(str):
    """The text of a frame that is not JSON. A separate class, to distinguish it from a JSON string."""

    __slots__ = ()


def _as_object(error: Any) -> dict[str, Any]:
    """Return the body of an error as an object. Any other value becomes its message."""
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    return {"message": error if isinstance(error, str) else repr(error)}
