"""Checks of what a server sends: whether a stream is what the specification says a stream is.

::

    report = check_stream(body)
    assert report.ok, str(report)

The client's own engine reads the stream, so that its findings (:data:`~responses_proto.anomalies.ANOMALY_CODES`) are findings here under the
same names. To them come the rules that a client has no need to hold against a server. What may follow what, and which rule is broken
by what may not, is read off the tables of :mod:`responses_proto.protocol.state`; all rules are in :data:`~responses_proto.rules.RULES`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

from ...codec import default_converter, dumps
from ...exceptions import LocalProtocolError
from ...limits import Limits
from ...models._base import Model
from ...models.events import LIFECYCLE_TYPES, TERMINAL_TYPES, UnknownEvent
from ...protocol.sse import SSEDecoder
from ...protocol.state import (
    DELTA_EVENTS,
    DONE_EVENTS,
    ITEM_LIFE,
    ITEM_RULES,
    ITEM_STEPS,
    PART_CLOSERS,
    PART_EVENTS,
    PART_LIFE,
    PART_RULES,
    PART_STEPS,
    RESPONSE_LIFE,
    RESPONSE_RULES,
)
from ...protocol.stream import ResponseStream
from ...rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ...models.events import Event
    from ...protocol.state import ItemState, PartState, PartStep, ResponseState
    from ...protocol.stream import Outcome
    from ...typing import JSONObject

__all__ = ["Finding", "Report", "StreamReport", "assert_ok", "check_rules", "check_stream"]

_Place: TypeAlias = tuple[int, str, int]
"""Where a part is: output index, container, index in that. A text in no part has an empty container."""

_EXTENSION: Final = re.compile(r"[\w.-]+:[\w.-]+")


@attrs.frozen
class Finding:
    """One place where a server does not do as it should."""

    rule: str
    """A key of :data:`RULES`."""
    event: int | None
    """In a stream, the number of the event that showed it, counted from 0 as they came; the number of events if it was the end."""
    path: str
    """The event's type, and where in it, as JSONPath; or the request that was answered."""
    detail: str = ""
    """For people."""

    def __str__(self) -> str:
        where = "" if self.event is None else f"event {self.event}: "
        return f"{where}{self.rule} at {self.path}" + (f": {self.detail}" if self.detail else "")


@attrs.frozen
class Report:
    """What was found."""

    findings: tuple[Finding, ...]
    """In the order in which they showed; each rule once per place."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found. Says nothing of how a response ended: a response can fail by the rules."""
        return not self.findings

    @property
    def rules(self) -> frozenset[str]:
        """The rules that were broken."""
        return frozenset(finding.rule for finding in self.findings)


@attrs.frozen
class StreamReport(Report):
    """What was found in one stream."""

    events: int
    """How many events there were."""
    outcome: Outcome
    """How a client would say that it ended."""

    def __str__(self) -> str:
        head = f"{self.events} events, {self.outcome.status}, {len(self.findings) or 'no'} findings"
        return "\n".join([head, *map(str, self.findings)])


R = TypeVar("R", bound=Report)


def assert_ok(report: R) -> R:
    """Give the report back if nothing was found; else fail the test with all that was: ``assert_ok(check_stream(body))``.

    Raises ``AssertionError``.
    """
    __tracebackhide__ = True  # pytest shows the caller's line then
    if not report.ok:
        raise AssertionError(str(report))
    return report


def check_rules(names: Collection[str]) -> frozenset[str]:
    """Give the names of rules as a set. Raises ``LocalProtocolError`` for one that is not known."""
    unknown = sorted(set(names) - RULES.keys())
    if unknown:
        raise LocalProtocolError(f"there is no rule {unknown[0]!r}; see RULES")
    return frozenset(names)


def check_stream(
    stream: bytes | Iterable[Event | JSONObject], *, ignore: Collection[str] = (), limits: Limits | None = None
) -> StreamReport:
    """Check one whole stream: its bytes, or its events, as models or wire objects. ``ignore`` names rules that do not count.

    Of events, what concerns frames is not checked. Raises ``LimitExceeded``, and ``LocalProtocolError`` for a rule that is not known.
    """
    checker = _Checker(limits or Limits(), check_rules(ignore))
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
        self._items: dict[int, ItemState] = {}
        self._parts: dict[_Place, PartState] = {}
        self._last: dict[_Place, str] = {}
        """Place -> the last event that concerned it."""

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

    def report(self) -> StreamReport:
        self._stream.receive_eof()
        self._look()
        outcome = self._stream.outcome
        if outcome is None:  # not after the end of input
            raise LocalProtocolError("the stream has no outcome")
        return StreamReport(tuple(self._findings), self._events, outcome)

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
        if isinstance(event, UnknownEvent):
            if not _EXTENSION.fullmatch(kind):
                self._find("unknown-type", f"{kind} $.type")
        elif kind in LIFECYCLE_TYPES:
            # What is out of order the engine has found; it goes on as the engine does.
            skips = self._state == "awaited" or kind in TERMINAL_TYPES
            following = RESPONSE_LIFE[self._state].get(kind)
            self._state = following or (RESPONSE_LIFE["created"].get(kind, self._state) if skips else self._state)
        elif kind in ITEM_STEPS:
            self._judge_item(event)

    def _judge_item(self, event: Any) -> None:
        """Take an event of an item through the lives of response, item and part."""
        kind: str = event.type
        broken = RESPONSE_RULES[self._state].get("output")
        if broken:
            self._break(broken, event, f"while {self._state.replace('_', ' ')}")
        if self._state == "ended":
            return
        if self._state == "awaited":
            self._state = "in_progress"
        index: int = event.output_index
        state, step = self._items.get(index, "awaited"), ITEM_STEPS[kind]
        following = ITEM_LIFE[state].get(step)
        if following is None:
            self._break(ITEM_RULES[state][step], event, f"the item is {state}")
            following = ITEM_LIFE["open"].get(step, state) if state == "awaited" else state
        self._items[index] = following
        if step == "done":
            for place in [place for place in self._parts if place[0] == index]:
                self._judge_part(place, "item done", event)
                del self._parts[place]
        elif kind in PART_STEPS and state != "done":
            self._judge_part(_place(event), PART_STEPS[kind], event)

    def _judge_part(self, place: _Place, step: PartStep, event: Any) -> None:
        state = self._parts.get(place, "awaited" if place[1] else "open")
        following = PART_LIFE[state].get(step)
        if following is None:
            rule = PART_RULES[state][step]
            if rule != "part-unfinished" or place[1] in _CLOSED_BY_EVENTS:
                self._break(rule, event, self._last.get(place, ""))
            following = PART_LIFE["open"].get(step, state) if state in ("awaited", "growing") else state
        self._parts[place] = following
        self._last[place] = event.type

    def _break(self, rule: str, event: Any, detail: str) -> None:
        """Note what the tables do not allow, unless the engine has noted it of such an event already."""
        of_type = f"{event.type} $"
        if not any(finding.rule == rule and finding.path.startswith(of_type) for finding in self._findings):
            self._find(rule, of_type, detail)

    def _find(self, rule: str, path: str, detail: str = "") -> None:
        seen = any((finding.rule, finding.path) == (rule, path) for finding in self._findings)
        if rule not in self._ignore and not seen:
            self._findings.append(Finding(rule, self._events, path, detail))


def _place(event: Any) -> _Place:
    """Give where the part of an event is."""
    at = DELTA_EVENTS.get(event.type) or DONE_EVENTS.get(event.type) or PART_EVENTS[event.type]
    return event.output_index, at.container, getattr(event, at.index) if at.index else 0


_CLOSED_BY_EVENTS: Final = frozenset(container for _, container in PART_CLOSERS)
