"""The client's side of the protocol, without a socket: bytes in, typed events out.

::

    stream = ResponseStream()
    for chunk in chunks:
        stream.receive_data(chunk)              # any chunking, any newline
        for event in stream.events_received():  # whole, typed, with resolved positions
            ...
        if stream.ended:                        # a terminal event or [DONE]: nothing more is needed
            break
    stream.receive_eof()                        # idempotent; silence becomes `truncated`
    stream.outcome                              # never None from here on

A response ends at its terminal event, or at ``[DONE]``, whichever is first. An end of input before that is the outcome
``truncated``: silence is never success. What came until then is in ``outcome.response``.

What was asked for as a stream may come as one JSON object. A response object counts as the whole result, an error object as
the error; anything else is none of this module's business (:attr:`ResponseStream.body` has the start of it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from ..anomalies import Anomaly
from ..codec import default_converter
from ..codec._json import check_nesting
from ..exceptions import (
    APIError,
    DecodeError,
    LocalProtocolError,
    ResponseCancelledError,
    ResponseFailedError,
    ResponseIncompleteError,
    ResponsesProtoError,
    StreamTruncated,
)
from ..limits import Limits
from ..models._base import Extra
from ..models.events import EVENT_TYPES, TERMINAL_TYPES, ErrorEvent, Event, UnknownEvent
from ..models.response import IncompleteDetails, Response
from ..typing import Cursor
from ._repeats import WINDOW, DeltaTemplate
from .accumulator import Accumulator
from .api_errors import api_error_from
from .sse import SSEDecoder

if TYPE_CHECKING:
    from ..codec import Converter
    from ..codec._load import DecodeFinding

__all__ = ["Outcome", "OutcomeStatus", "ResponseStream"]

OutcomeStatus: TypeAlias = Literal["completed", "incomplete", "failed", "cancelled", "error", "truncated"]
"""How a stream ended. ``error``: an error event and nothing after it; ``truncated``: nothing at all."""

_DONE: Final = b"[DONE]"
_LESSONS: Final = 64  # runs that are begun at most in one stream: a server that changes its form all the time has none
_SPACE: Final = b" \t\n\r"
_BOM: Final = b"\xef\xbb\xbf"
_BODY_SHOWN: Final = 64 * 1024
_POSITIONS: Final = frozenset(
    {".sequence_number", ".output_index", ".item_id", ".content_index", ".summary_index", ".command_index"}
)
_EVENT_FOR_STATUS: Final = {
    "queued": "response.created",
    "in_progress": "response.created",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    "cancelled": "response.failed",
}
"""A response's status -> the event that says it. Anything else is as good as completed."""
# The `event:` line of a common block -> the type that it promises.
_PREAMBLES: Final = {b"": "", **{b"event: " + name.encode(): name for name in EVENT_TYPES}}
_LF: Final = 10
_LARGE: Final = 256 * 1024  # bytes from which on a block is not copied
_FIRST_LINE: Final = 128  # bytes in which the data of a large block has to begin


@attrs.frozen(kw_only=True)
class Outcome:
    """How a stream ended, and with what."""

    status: OutcomeStatus
    response: Response
    """Final if the status is ``completed``, ``incomplete``, ``failed`` or ``cancelled``; else as far as it came."""
    error: APIError | None = None
    """What went wrong, for ``failed`` and ``error``."""
    cursor: Cursor | None = None
    """Where the stream stood at the end; ``None`` if the response never got an id."""

    def exception(self) -> ResponsesProtoError | None:
        """Make the exception of an outcome, with ``response`` and ``cursor`` in it; ``None`` for ``completed``."""
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
                return ResponseIncompleteError(f"the response is incomplete: {reason or 'the server does not say why'}")
            case "failed":
                failed = ResponseFailedError(f"the response failed: {self.error or 'the server does not say why'}")
                failed.__cause__ = self.error
                return failed
            case "cancelled":
                return ResponseCancelledError("the response was cancelled")
            case "error":
                return self.error or APIError("the server reported an error without saying which")
            case _:  # truncated
                after = f" after event {self.cursor.sequence_number}" if self.cursor else " before any event"
                return StreamTruncated(
                    f"the stream ended{after} without a terminal event; what arrived is in .response"
                )


class ResponseStream:
    """One response, read from the wire. Verbs: :meth:`receive_data`, :meth:`events_received`, :meth:`receive_eof`.

    ``strict`` raises at the first thing that the protocol does not provide for; lenient mode reports it in
    :attr:`anomalies` and goes on. A ``converter`` of yours decodes the types registered in it. With the ``cursor`` and
    the ``accumulator`` of an interrupted stream, this one goes on where that stopped: events up to the cursor are dropped.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        limits: Limits | None = None,
        converter: Converter | None = None,
        cursor: Cursor | None = None,
        accumulator: Accumulator | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._converter = converter or default_converter()
        self._strict = strict
        self._load = self._converter.loader(Event)
        self._loaders = self._converter.loaders(Event)
        self._sse = SSEDecoder(self._limits)
        self._accumulator = accumulator or Accumulator(strict=strict, limits=self._limits)
        self._resume_after = cursor.sequence_number if cursor is not None else None
        self._resumed = cursor
        if self._resume_after is not None:  # without it, all events are to come
            self._accumulator.begin()
        self._events: list[Event] = []
        self._run: DeltaTemplate | None = None
        self._lessons = _LESSONS
        self._parse = self._converter.json.parse
        self._flat = min(2 * self._limits.max_nesting, self._limits.max_event_bytes)
        self._outcome: Outcome | None = None
        self._eof = False
        self._done = False
        self._error: ResponsesProtoError | None = None
        self._framed = False
        self._undecided = b""
        self._body: list[bytes] | None = None
        self._body_size = 0

    # What it has

    @property
    def response(self) -> Response:
        """The snapshot: complete as of the last event that was received. Cheap to ask for, built only when asked."""
        return self._accumulator.response

    @property
    def accumulator(self) -> Accumulator:
        """What the events add up to, with the text, the audio and the output as streamed."""
        return self._accumulator

    @property
    def outcome(self) -> Outcome | None:
        """How the response ended; ``None`` as long as it did not."""
        if self._outcome is None:
            status = self._accumulator.status
            if status is not None:
                self._outcome = self._end(status)
            elif self._eof or self._done:
                self._outcome = self._end("error" if self._accumulator.error is not None else "truncated")
        return self._outcome

    @property
    def cursor(self) -> Cursor | None:
        """Where the stream stands; ``None`` before the response has an id."""
        resumed, number = self._resumed, self._accumulator.last_sequence_number
        response_id = self._accumulator.response_id or (resumed.response_id if resumed is not None else "")
        if number is None and resumed is not None:
            number = resumed.sequence_number
        return Cursor(response_id, number) if response_id else None

    @property
    def anomalies(self) -> list[Anomaly]:
        """What the peer sent that the protocol does not provide for, each finding once."""
        return self._accumulator.anomalies

    @property
    def ended(self) -> bool:
        """Whether a terminal event, ``[DONE]`` or the end of input was seen: nothing more is needed from the peer."""
        return self._accumulator.status is not None or self._done or self._eof

    @property
    def error_seen(self) -> bool:
        """Whether an ``error`` event came. ``response.failed`` may follow it, or nothing: wait only briefly for more."""
        return self._accumulator.error is not None

    @property
    def comments(self) -> int:
        """How many comment lines came: signs of life of a server that has nothing to say."""
        return self._sse.comments

    @property
    def body(self) -> bytes | None:
        """The start of what came, 64 KiB at most, if it is no event stream but looks like JSON or HTML; else ``None``."""
        return None if self._body is None else b"".join(self._body)[:_BODY_SHOWN]

    # What it takes and gives

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes, however cut.

        Raises ``LimitExceeded``; in strict mode also ``RemoteProtocolError`` and ``DecodeError``. Events that came before
        the offending one can still be had from :meth:`events_received`; every later call raises the same again.
        """
        given: object = data  # httpx hands out text too
        if isinstance(given, str):
            raise LocalProtocolError("a stream is bytes: use aiter_bytes(), not aiter_text()")
        self._require_open("receive_data")
        try:
            self._receive(data)
        except ResponsesProtoError as error:
            self._error = self._equip(error)
            raise

    def receive_event(self, data: str | bytes, event: str = "") -> None:
        """Take the data of one event that another framer cut out, and the name on its ``event:`` line.

        Instead of :meth:`receive_data`, not mixed with it; goes on like it, with :meth:`events_received`, and raises the same.
        """
        self._require_open("receive_event")
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        try:
            self._limits.check("max_event_bytes", len(data))
            self._take_frame(data, event)
        except ResponsesProtoError as error:
            self._error = self._equip(error)
            raise

    def events_received(self) -> list[Event]:
        """Give the events that came since the last call, in order."""
        received = self._events
        self._events = []
        return received

    def receive_eof(self) -> None:
        """Take the end of input. Idempotent. From here on :attr:`outcome` is not ``None``.

        Raises, in strict mode, ``RemoteProtocolError`` for an end in the middle of something.
        """
        if self._eof:
            return
        ended, self._eof = self.ended, True
        if self._error is not None:
            return
        try:
            if self._body is not None:
                self._take_body(b"".join(self._body))
            elif not ended:
                self._take_rest(self._sse.eof())
            if self.outcome is not None and self.outcome.status == "truncated":
                self._accumulator.report(Anomaly("no-terminal", "$", "the input ended without a terminal event"))
        except ResponsesProtoError as error:
            self._error = self._equip(error)
            raise

    # Inside

    def _require_open(self, verb: str) -> None:
        if self._error is not None:
            raise self._error
        if self._eof:
            raise LocalProtocolError(f"{verb}() after receive_eof(): this stream has ended; make another one")

    def _receive(self, data: bytes) -> None:
        if not self._framed:
            body = data if self._body is not None else self._start_of_body(data)
            if body:
                self._keep_body(body)
                return
        data = self._sse.complete_blocks(data)
        position = 0
        while position < len(data):
            run = self._run
            if run is not None:
                after = run.read(data, position, self._accumulator, self._events)
                if after > position:
                    position = after
                    continue
            end = data.find(b"\n\n", position)
            if end < 0:
                break  # an odd line end that a blank line left over
            self._take(data, position, end)
            position = end + 2

    def _take(self, data: bytes, start: int, end: int) -> None:
        """Take the straight road, for what nearly every block is: an ``event:`` line, or none, and one ``data:`` line."""
        promised, text = _outline(data, start, end)
        if promised is None or self._done or self._resume_after is not None:
            self._take_block(data[start:end])
            return
        if end - start > self._flat:  # a text of depth n is at least 2n characters long: what is shorter needs no look
            self._limits.check("max_event_bytes", end - start)
            check_nesting(data, self._limits.max_nesting, end - len(text), end)
        try:
            value = self._parse(text)
        except (ValueError, RecursionError):
            self._take_block(data[start:end])
            return
        try:
            kind = value["type"]
            load = self._loaders[kind]
        except (LookupError, TypeError):  # no object, no type, or none that has a class
            self._take_value(value, promised)
            return
        if promised and kind != promised:
            self._take_value(value, promised)
            return
        found: list[DecodeFinding] = []
        event = load(value, found)
        if found:
            self._note(found, event)
        accumulator = self._accumulator
        again = accumulator.goes_on_with(event)
        accumulator.push(event)
        self._events.append(event)
        if again and not found:
            self._learn(data[start:end], event)
        else:
            self._leave_run()

    def _learn(self, block: bytes, event: Event) -> None:
        """Begin a run with the second delta in one place, in the hope of more."""
        # A run does not look at the size of each event: none of them is longer than what it looks at at once.
        if self._run is None and self._lessons and self._limits.max_event_bytes >= WINDOW:
            self._lessons -= 1
            self._run = DeltaTemplate.like(block, event, self._parse)

    def _leave_run(self) -> None:
        """Forget the run, if what came ended it."""
        if self._run is not None and not self._accumulator.goes_on_with(self._run.event):
            self._run = None

    def _take_block(self, block: bytes) -> None:
        """Take the long way, with any block of lines."""
        frame = self._sse.parse(block)
        if frame is not None:
            self._take_frame(frame.data, frame.event.decode("utf-8", "replace"))

    def _take_frame(self, data: bytes, name: str) -> None:
        """One frame, which may be no event: some are empty, and one says that there are no more."""
        if not data:
            return
        if data.strip() == _DONE:
            self._done = True
            self._run = None
            return
        if self._done:
            self._report("late-data", "$", "a frame after [DONE]")
            return
        self._take_data(data, name)

    def _take_data(self, data: bytes, name: str) -> None:
        """One frame's data, which should be one JSON object."""
        if len(data) > 2 * self._limits.max_nesting:
            check_nesting(data, self._limits.max_nesting)
        try:
            value = self._parse(data)
        except (ValueError, RecursionError):
            value = self._mend(data, name)
        self._take_value(value, name)

    def _take_value(self, value: Any, name: str) -> None:
        """One JSON value, which should be one event."""
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
            self._accumulator.push(event)
            self._events.append(event)
            self._leave_run()

    def _note(self, found: list[DecodeFinding], event: Event) -> None:
        """Report what the decoder found, but for the positions: those are worked out, and reported, when folded in."""
        for finding in found:
            if finding.path not in _POSITIONS:
                self._report(finding.code, f"{event.type} ${finding.path}", finding.detail, event)

    def _mend(self, data: bytes, name: str) -> Any:
        """Read data that is not JSON as what it may have been; give its text, marked as such, if it was nothing."""
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
        if name in EVENT_TYPES:
            self._report("missing-type", f"{name} $.type", "taken from the event: line")
            return {**value, "type": name}
        self._report("missing-type", f"{name or 'frame'} $.type", repr(value)[:80])
        return value

    def _already_seen(self, event: Event) -> bool:
        """Whether a resumed stream repeats what the interrupted one had."""
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

    def _start_of_body(self, data: bytes) -> bytes:
        """Give what the input begins with if that is JSON or HTML, as no line of an event stream is; else nothing.

        Without the mark and the white space before it, which may have come earlier, and which the framer has then.
        """
        given = self._undecided + data
        self._undecided = given if len(given) < len(_BOM) and _BOM.startswith(given) else b""
        start = given.removeprefix(_BOM).lstrip(_SPACE)
        if self._undecided or not start:
            return b""
        self._framed = start[:1] not in (b"{", b"[", b"<")
        return b"" if self._framed else start

    def _keep_body(self, data: bytes) -> None:
        self._body = self._body if self._body is not None else []
        self._body.append(data)
        self._body_size += len(data)
        self._limits.check("max_buffered_bytes", self._body_size)

    def _take_body(self, body: bytes) -> None:
        try:
            value = self._converter.json.loads(body, self._limits.max_nesting)
        except DecodeError:
            value = None
        if not isinstance(value, dict):
            self._report("not-an-object", "$", repr(body[:80]))
            return
        body_object = cast("dict[str, Any]", value)
        event: dict[str, Any]
        if body_object.get("object") == "response" or "output" in body_object:
            self._report("json-body", "$", "a response object where a stream was asked for")
            kind = _EVENT_FOR_STATUS.get(str(body_object.get("status")), "response.completed")
            if kind in TERMINAL_TYPES:
                self._accumulator.begin()
            event = {"type": kind, "sequence_number": 0, "response": body_object}
        else:
            self._report("json-body", "$", "a JSON object where a stream was asked for")
            event = {"type": ErrorEvent.type, "error": _as_object(body_object.get("error", body_object))}
        self._take_value(event, "")

    def _take_rest(self, rest: bytes) -> None:
        """Take the lines of a frame that the input ended in."""
        if not rest:
            return
        frame = self._sse.parse(rest)
        if frame is None or not frame.data:
            return
        if frame.data.strip() == _DONE:
            self._done = True
            return
        try:
            self._converter.json.loads(frame.data, self._limits.max_nesting)
        except DecodeError:
            self._report("dropped-frame", "$", repr(rest[:80]))
            return
        self._report("unfinished-frame", "$", "the last frame lacks its blank line")
        self._take_data(frame.data, frame.event.decode("utf-8", "replace"))

    def _report(self, code: str, path: str, detail: str, event: Event | None = None) -> None:
        self._accumulator.report(Anomaly(code, path, detail), event)

    def _equip(self, error: ResponsesProtoError) -> ResponsesProtoError:
        if self._accumulator.last_sequence_number is not None:  # else there was none yet
            error.response = self.response
        error.cursor = self.cursor
        return error

    def _end(self, status: OutcomeStatus) -> Outcome:
        said = self.response.error if status == "failed" and self.response.error else self._accumulator.error
        error = api_error_from(self._converter.dump(said)) if said and status in ("failed", "error") else None
        return Outcome(status=status, response=self.response, error=error, cursor=self.cursor)


def _wire_number(event: Any) -> int | None:
    """Give the sequence number that the wire says, if any."""
    if isinstance(event, UnknownEvent):
        number: Any = event.raw.get("sequence_number") if isinstance(event.raw, dict) else None
    else:
        unsaid = isinstance(event.extra, Extra) and "sequence_number" in (event.extra.absent | event.extra.keys())
        number = None if unsaid else event.sequence_number
    return number if type(number) is int else None


def _outline(data: bytes, start: int, end: int) -> tuple[str | None, bytes | memoryview]:
    """Give the type that a block's ``event:`` line promises (empty without such a line), and its JSON text.

    The promise is ``None`` if the block has other lines than these two, or names no known type.
    """
    if end - start < _LARGE:
        block = data[start:end]
        preamble, separator, text = block.partition(b"\ndata: ")
        if not separator and block.startswith(b"data: {"):
            preamble, text = b"", block[6:]
        return (None if b"\n" in text else _PREAMBLES.get(preamble)), text
    # Megabytes are looked at where they are: each copy of them costs more than reading them.
    at = data.find(b"data: ", start, start + _FIRST_LINE)
    if at < 0 or (at > start and data[at - 1] != _LF) or data.find(b"\n", at, end) >= 0:
        return None, b""
    return _PREAMBLES.get(data[start : max(at - 1, start)]), memoryview(data)[at + 6 : end]


class _Undecodable(str):
    """The text of a frame that is not JSON, told from a JSON string."""

    __slots__ = ()


def _as_object(error: Any) -> dict[str, Any]:
    """Give an error's body as the object that it should be."""
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    return {"message": error if isinstance(error, str) else repr(error)}
