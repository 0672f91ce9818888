"""The client's side of an event stream, without I/O: bytes in, typed events and a snapshot out.

::

    stream = ResponseStream()
    for chunk in chunks:
        stream.receive_data(chunk)              # any chunking, any line ending
        for event in stream.events_received():  # complete and typed, with resolved positions
            ...
        if stream.ended:                        # a terminal event or [DONE]: nothing more is needed
            break
    stream.receive_eof()                        # idempotent; silence becomes `truncated`
    stream.outcome                              # never None from here on

How it works
------------
Input passes through four stages, each of which handles what the one before it gives:

1. The first bytes decide what the input is. JSON or HTML is kept as a *body*; anything else is read as an event stream.
2. ``SSEDecoder`` cuts an event stream into blocks of lines. Nearly every block is an ``event:`` line and a ``data:`` line, or the
   latter alone, and is recognized by its beginning (``_HEADS``). Any other block goes through ``SSEDecoder.parse``.
3. The data of a block is decoded from JSON, and the JSON into an event class. Data that do not fit are an anomaly.
4. ``Accumulator.push`` folds the event into the snapshot and resolves its position.

A response ends with its terminal event or with ``[DONE]``, whichever comes first. If the input ends before that, the outcome is
``truncated``: silence is never success. ``outcome.response`` has what was received.

A server may send one JSON object where a stream was asked for, alone, followed by ``[DONE]``, or as the only ``data:`` frame. A
response object then counts as the whole result, and an error object as the error. For anything else
:attr:`ResponseStream.body` has the start of what was received.
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
_FIELD: Final = 16  # bytes within which a line shows its field
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
"""Status of a response -> that of its outcome. Any other status counts as completed."""
_HEADS: Final[Mapping[bytes, str]] = {
    b"data: ": "",
    **{f"event: {name}\ndata: ".encode(): name for name in EVENT_TYPES},
}
"""What nearly all frames begin with, up to their JSON object: an ``event:`` line and a ``data:`` line, or the latter alone -> the name."""


@attrs.frozen(kw_only=True)
class Outcome:
    """How a stream ended: its status, the response, and the error if there is one."""

    status: OutcomeStatus
    response: Response
    """Final if the status is ``completed``, ``incomplete``, ``failed`` or ``cancelled``; otherwise what was received."""
    error: APIError | None = None
    """The server's error, for ``failed`` and ``error``; ``None`` if it gave none."""
    cursor: Cursor | None = None
    """The last position; ``None`` if the response never got an id."""

    @classmethod
    def of_response(cls, response: Response) -> Self:
        """Return the outcome of a response that was received as a whole.

        A status that is unknown or missing counts as ``completed``. One that is ``queued`` or ``in_progress`` is ``truncated``.
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

    ``strict`` raises at the first violation of the protocol; lenient mode, the default, reports it in :attr:`anomalies` and
    goes on. ``limits`` bound what the peer may send. ``converter`` decodes events and items, vendors' types included (see
    ``Converter.register``).

    To resume a stream, pass the ``cursor`` of the interrupted one: events up to it are dropped. Pass its ``accumulator``, too, if it
    is in this process: then the snapshot is complete. Without it, the snapshot begins at the cursor and becomes complete
    with the terminal event.

    With ``keep_data`` events keep the text that they came in, for those who hand them on: see :func:`data_of`.
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
        """Whether events keep the text that they came in, for :func:`data_of`."""
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
        self._undecided: bytes | None = b""  # a byte-order mark that may be cut in two; `None` after the first bytes
        self._start: bytearray | None = bytearray()  # of the input, while nothing in it is an event stream's
        self._body: bytearray | None = None

    # What there is

    @property
    def response(self) -> Response:
        """The snapshot as of the last event. Built only when asked for."""
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
                    return outcome  # an error event that follows may give the reason
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
        """Violations of the protocol by the peer: each finding once."""
        return self._accumulator.anomalies

    @property
    def ended(self) -> bool:
        """Whether a terminal event, ``[DONE]`` or the end of input was received: nothing more is needed from the peer."""
        return self._accumulator.status is not None or self._done or self._eof

    @property
    def error_seen(self) -> bool:
        """Whether an ``error`` event was received. ``response.failed`` may follow, or nothing: wait only briefly for more."""
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
        """The start of the input, at most 64 KiB, if it is no event stream; else ``None``.

        JSON and HTML are recognized by their first character, any other text only at the end of the input.
        """
        if self._body is not None:
            return bytes(self._body[:_BODY_SHOWN])
        return bytes(self._start) if self._start and self._eof and not self._has_begun else None

    # Verbs

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Process the next bytes, however they are cut. Call :meth:`events_received` afterwards.

        The buffer may be reused once this returns. Raises ``LimitExceeded``; in strict mode also ``RemoteProtocolError`` and
        ``DecodeError``. Events that came before the offending one are still available from :meth:`events_received`; every
        later call raises the same error again. Raises ``UsageError`` for text instead of bytes.
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
        """Process the data of one event that another decoder has cut out, and the name on its ``event:`` line.

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

        Raises ``RemoteProtocolError`` in strict mode if the input ended in the middle of something.
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
            if block:  # not one blank line after another
                self._take_block(block)

    def _without_body(self, data: bytes) -> bytes:
        """Return the first bytes of an event stream; empty if there are none yet, or if they belong to another body, which is kept."""
        if self._body is None:
            data = self._without_space(data)
            # No line of an event stream begins with one of these.
            self._framed = bool(data) and data[:1] not in (b"{", b"[", b"<")
        if data and not self._framed:
            self._keep_body(data)
            return b""
        return data

    def _take(self, name: str, text: bytes, size: int) -> bool:
        """Process a frame of ``size`` bytes from the name of its ``event:`` line, empty if it has none, and its data.

        Return false, and do nothing, if it has to be read as any other block.
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
        except (LookupError, TypeError):  # no object, no type, or none that has a class
            self._take_value(self._exact(value, text), name, text)
            return True
        if name and kind != name:
            self._take_value(self._exact(value, text), name, text)
            return True
        found: list[DecodeFinding] = []
        event = load(value, found)
        # A delta has no place for a large integer but in fields that its class does not know, and in nested objects.
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
        """Return the value of a text with exact integers. Most texts have no large ones: then it is ``value``, as parsed fast."""
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
        """Process one JSON value, which should be one event. It came in ``data``, or was made from ``size`` other bytes."""
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
        """Report what the decoder found, except for positions: the accumulator works those out and reports them."""
        for finding in found:
            if finding.path not in _POSITIONS:
                self._report(finding.code, f"{event.type} ${finding.path}", finding.detail, event)

    def _mend(self, data: bytes, name: str) -> Any:
        """Decode data that is not JSON after replacing bytes that are not UTF-8; if that fails, return its text, marked."""
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
                self._report("event-name", f"{kind} $", f"the event: line says {name!r}")
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
        """Return whether a resumed stream repeats an event of the interrupted one."""
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
        """Return the first bytes without a byte-order mark and white space before them; empty while there is nothing else."""
        if self._undecided is not None:
            data = self._undecided + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._undecided = data
                return b""
            self._undecided = None
            data = data.removeprefix(_BOM)
        return data.lstrip(_SPACE)

    def _keep_start(self, data: bytes) -> None:
        """Keep the start of the input for :attr:`body`, unless it is plainly an event stream."""
        start = cast("bytearray", self._start)
        start += data[: _BODY_SHOWN - len(start)]
        if self._has_begun or begins_as_events(bytes(start[:_FIELD])):
            self._start = None

    @property
    def _has_begun(self) -> bool:
        """Whether something was read that only an event stream has."""
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
            self._report("json-body", "$", "a JSON object where a stream was asked for")
            event = {"type": ErrorEvent.type, "error": _as_object(whole.get("error", whole))}
        self._take_value(event, "", size=len(body))

    def _whole_response(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """Return the event that stands for a response object sent instead of a stream; ``None`` if it is another object."""
        if value.get("object") != "response" and "output" not in value:
            return None
        self._report("json-body", "$", "a response object where a stream was asked for")
        kind = _EVENT_FOR_STATUS.get(str(value.get("status")), "response.completed")
        if kind in TERMINAL_TYPES and self._accumulator.next_sequence_number is None:
            self._accumulator.skip_start()
        return {"type": kind, "sequence_number": self._accumulator.next_sequence_number or 0, "response": value}

    def _take_rest(self, rest: bytes) -> None:
        """Process the lines of a frame that the end of the input cut short."""
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
        if self._accumulator.last_sequence_number is not None:  # before the first event there is none
            error.response = self.response
        error.cursor = self.cursor
        return error

    def _end(self, status: OutcomeStatus) -> Outcome:
        said = self.response.error if status == "failed" and self.response.error else self._accumulator.error
        error = api_error_from(self._converter.dump(said)) if said and status in ("failed", "error") else None
        return Outcome(status=status, response=self.response, error=error, cursor=self.cursor)


def _wire_number(event: Any) -> int | None:
    """Return the sequence number that the wire gives; ``None`` if there is none."""
    if isinstance(event, UnknownEvent):
        number: Any = event.raw.get("sequence_number") if isinstance(event.raw, dict) else None
    else:
        number = None if is_missing(event, "sequence_number") else event.sequence_number
    return number if type(number) is int else None


def data_of(event: Event) -> bytes | None:
    """Return the JSON text that an event came in, byte for byte, except for a position that it lacked; ``None`` if none was kept.

    A position that was missing is filled in, and a repeated sequence number is replaced, by what was worked out; other
    contradictions stay. See ``ResponseStream(keep_data=True)``.
    """
    origin = event.extra.origin if isinstance(event.extra, Extra) else None
    return origin if isinstance(origin, bytes) else None


def _keep_data(event: Any, value: Mapping[str, Any], data: bytes) -> None:
    """Note what an event came in. ``value`` is the JSON object in ``data``."""
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
    """The text of a frame that is not JSON. A class of its own, to tell it from a JSON string."""

    __slots__ = ()


def _as_object(error: Any) -> dict[str, Any]:
    """Return the body of an error as an object, whatever the server sent."""
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    return {"message": error if isinstance(error, str) else repr(error)}
