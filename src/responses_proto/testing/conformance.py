"""Checks of what a server sends: whether a stream is what the specification says a stream is.

::

    report = check_stream(body)
    assert report.ok, str(report)

The client's own engine reads the stream, so that its findings (:data:`~responses_proto.anomalies.ANOMALY_CODES`) are rules here under the
same names. To them come the rules of :data:`STREAM_RULES`, which a client has no need to hold against a server. What may follow what
is read off the tables of :mod:`responses_proto.state`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..anomalies import ANOMALY_CODES
from ..codec import default_converter, dumps
from ..exceptions import LocalProtocolError
from ..limits import Limits
from ..models._base import Model
from ..models.events import UnknownEvent
from ..protocol import ResponseStream
from ..sse import SSEDecoder
from ..state import DELTAS, DONES, PART_EVENTS, PROGRESS, RESPONSE_LIFE, ResponseState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ..models.events import Event
    from ..protocol import Outcome
    from ..typing import JSONObject

__all__ = ["RULES", "STREAM_RULES", "Finding", "Report", "check_stream"]

STREAM_RULES: Final[Mapping[str, str]] = {
    "event-line": "A frame has no `event:` line; it has to equal the body's `type` (Open Responses).",
    "no-done": "The last frame is not the literal `[DONE]` (Open Responses). OpenAI leaves it out: ignore the rule there.",
    "sequence-start": "The first sequence number is not 0.",
    "unknown-type": "An event is of a type that is neither in the specification nor of the form `slug:name`.",
    "output-early": "Output comes before `response.in_progress`.",
    "text-unfinished": "An item was marked done while a text in it had deltas and no `done`.",
    "part-unfinished": "An item was marked done while a part in it was added and not marked done.",
}
"""Rule -> meaning: what is checked here and is none of the engine's business."""

RULES: Final[Mapping[str, str]] = {**ANOMALY_CODES, **STREAM_RULES}
"""Rule -> meaning, for all rules."""

_EXTENSION: Final = re.compile(r"[\w.-]+:[\w.-]+")


@attrs.frozen
class Finding:
    """One place where a stream is not as it should be."""

    rule: str
    """A key of :data:`RULES`."""
    event: int
    """The number of the event that showed it, counted from 0 as they came; the number of events if it was the end."""
    path: str
    """The event's type, and where in it, as JSONPath."""
    detail: str = ""
    """For people."""

    def __str__(self) -> str:
        return f"event {self.event}: {self.rule} at {self.path}" + (f": {self.detail}" if self.detail else "")


@attrs.frozen
class Report:
    """What was found in one stream."""

    findings: tuple[Finding, ...]
    """In the order in which they showed; each rule once per place."""
    events: int
    """How many events there were."""
    outcome: Outcome
    """How a client would say that it ended."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found. Says nothing of how the response ended: a response can fail by the rules."""
        return not self.findings

    @property
    def rules(self) -> frozenset[str]:
        """The rules that were broken."""
        return frozenset(finding.rule for finding in self.findings)

    def __str__(self) -> str:
        head = f"{self.events} events, {self.outcome.status}, {len(self.findings) or 'no'} findings"
        return "\n".join([head, *map(str, self.findings)])


def check_stream(
    stream: bytes | Iterable[Event | JSONObject], *, ignore: Collection[str] = (), limits: Limits | None = None
) -> Report:
    """Check one whole stream: its bytes, or its events, as models or wire objects. ``ignore`` names rules that do not count.

    Of events, what concerns frames is not checked. Raises ``LimitExceeded``, and ``LocalProtocolError`` for a rule that is not known.
    """
    unknown = sorted(set(ignore) - RULES.keys())
    if unknown:
        raise LocalProtocolError(f"there is no rule {unknown[0]!r}; see RULES")
    checker = _Checker(limits or Limits(), frozenset(ignore))
    if isinstance(stream, (bytes, bytearray, memoryview)):
        checker.read(bytes(stream))
    else:
        for event in stream:
            checker.take(event)
    return checker.report()


class _Checker:
    def __init__(self, limits: Limits, ignore: frozenset[str]) -> None:
        self._limits = limits
        self._ignore = ignore
        self._stream = ResponseStream(limits=limits)
        self._findings: list[Finding] = []
        self._known = 0  # anomalies that are among the findings
        self._events = 0
        self._state: ResponseState = "awaited"
        self._growing: dict[tuple[object, ...], str] = {}
        """(output index, container, index of the part, field) -> the delta event, for texts that are not finished."""
        self._parts: dict[tuple[object, ...], str] = {}
        """(output index, container, index) -> the event that opened it, for parts that are not finished."""

    def read(self, data: bytes) -> None:
        """Take the bytes, block by block, so that each finding has its event."""
        decoder = SSEDecoder(self._limits)
        last = b""
        for block in decoder.blocks(data):
            frame = decoder.parse(block)
            if frame is not None:
                last = frame.data.strip()
                if not frame.event and last != b"[DONE]":
                    self._find("event-line", "frame $")
            self._stream.receive_data(block + b"\n\n")
            self._look()
        rest = decoder.eof()
        if rest:
            self._stream.receive_data(rest)
        self._stream.receive_eof()
        self._look()
        if last != b"[DONE]":
            self._find("no-done", "frame $")

    def take(self, event: Event | JSONObject) -> None:
        """Take one event."""
        data = dumps(event) if isinstance(event, Model) else default_converter().json.dumps(event)
        self._stream.receive_event(data)
        self._look()

    def report(self) -> Report:
        self._stream.receive_eof()
        self._look()
        outcome = self._stream.outcome
        if outcome is None:  # not after the end of input
            raise LocalProtocolError("the stream has no outcome")
        return Report(tuple(self._findings), self._events, outcome)

    def _look(self) -> None:
        """Look at what came last."""
        anomalies = self._stream.anomalies
        for anomaly in anomalies[self._known :]:
            self._find(anomaly.code, anomaly.path, anomaly.detail)
        self._known = len(anomalies)
        for event in self._stream.events_received():
            self._judge(event)
            self._events += 1

    def _judge(self, event: Any) -> None:
        kind: str = event.type
        first: Any = None if self._events else getattr(event, "sequence_number", None)  # which an unknown event has not
        if first:
            self._find("sequence-start", f"{kind} $.sequence_number", f"it is {first}")
        if isinstance(event, UnknownEvent) and not _EXTENSION.fullmatch(kind):
            self._find("unknown-type", f"{kind} $.type")
        if kind in _BEGUN:
            # What is out of order the engine has found; without a beginning it goes on as if there was one.
            states = _BEGUN if self._state == "awaited" else RESPONSE_LIFE[self._state]
            self._state = states.get(kind, self._state)
        elif kind == "response.output_item.done":
            self._close(event)
        elif kind in DELTAS or kind in DONES or kind in PART_EVENTS or kind in PROGRESS or kind in _ITEM_ADDED:
            if self._state not in ("in_progress", "ended"):  # what comes too late, the engine has found, too
                self._find("output-early", f"{kind} $", f"while {self._state.replace('_', ' ')}")
            self._grow(event)

    def _grow(self, event: Any) -> None:
        kind: str = event.type
        channel = DELTAS.get(kind) or DONES.get(kind)
        if channel is not None:
            index = getattr(event, channel.index) if channel.index else None
            _follow(
                self._growing, (event.output_index, channel.container, index, channel.field), kind, opens=kind in DELTAS
            )
        elif kind in PART_EVENTS:
            part = PART_EVENTS[kind]
            if part.container in _CLOSED_BY_EVENTS:
                place = (event.output_index, part.container, getattr(event, part.index))
                _follow(self._parts, place, kind, opens=part.opens)

    def _close(self, event: Any) -> None:
        for rule, open_ones in (("text-unfinished", self._growing), ("part-unfinished", self._parts)):
            for place in [place for place in open_ones if place[0] == event.output_index]:
                self._find(rule, f"{event.type} $.item", open_ones.pop(place))

    def _find(self, rule: str, path: str, detail: str = "") -> None:
        seen = any((finding.rule, finding.path) == (rule, path) for finding in self._findings)
        if rule not in self._ignore and not seen:
            self._findings.append(Finding(rule, self._events, path, detail))


def _follow(open_ones: dict[tuple[object, ...], str], place: tuple[object, ...], kind: str, *, opens: bool) -> None:
    if opens:
        open_ones[place] = kind
    else:
        open_ones.pop(place, None)


_BEGUN: Final = RESPONSE_LIFE["awaited"] | RESPONSE_LIFE["created"]
_ITEM_ADDED: Final = frozenset({"response.output_item.added"})
_CLOSED_BY_EVENTS: Final = frozenset(part.container for part in PART_EVENTS.values() if not part.opens)
