"""Check whether a stream of events conforms to the specification.

::

    report = check_stream(body)
    assert report.ok, str(report)

The checker feeds the stream to :class:`~responses_proto.protocol.ResponseStream`, the engine of the client, one SSE block at a
time. Each anomaly that the engine reports (:data:`~responses_proto.anomalies.ANOMALY_CODES`) becomes a finding of the same name.

The checker also checks the rules whose violations a client tolerates silently. It feeds every event to three state machines: the
response, its items, and the parts of each item. The tables of :mod:`responses_proto.protocol.state` define which step is legal in which
state, and which rule an illegal step breaks. After an illegal step the checker recovers as the engine does, so that one fault does not
cause more findings. The fields of every event are compared with the table of the specification (:mod:`.fields`); a fault of a field is
reported once, however many events have it. All rules are in :data:`~responses_proto.rules.RULES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import attrs

from ...codec import default_converter, dumps
from ...exceptions import DecodeError, LimitExceeded, UsageError
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
from ...rules import RULES, Rule
from .fields import EXTENSION, FIELDS, PROFILES, Profile, field_faults, row_of_event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ...models.events import Event
    from ...protocol.state import ItemState, PartState, PartStep, ResponseState
    from ...protocol.stream import Outcome
    from ...typing import JSONObject

__all__ = [
    "Finding",
    "Report",
    "StreamReport",
    "assert_ok",
    "check_profile",
    "check_rules",
    "check_stream",
    "counted",
    "grouped",
]

_Place: TypeAlias = tuple[int, str, int]
"""The place of a part: output index, container, index within it. The container is empty for a text that is not in a part."""

_SHOWN: Final = 5  # findings of one rule in a text, and …
_DETAIL: Final = 300  # … characters of a detail
_POSITIONS: Final = frozenset({"sequence_number", "output_index", "item_id", "content_index", "summary_index"})
"""The fields of an event that have their own rules, which the engine checks."""
_TABLE_CODES: Final = frozenset({"missing-field", "wrong-type", "wrong-constant", "not-an-object"})
"""The rules of the decoder that the table of fields replaces."""


@attrs.frozen
class Finding:
    """One violation of a rule."""

    rule: str
    """The id of the rule, a key of :data:`RULES`."""
    event: int | None
    """The position of the event in the stream, counted from 0; the number of events if the end of the stream is at fault.
    ``None`` if the finding is not about a stream."""
    path: str
    """The type of the event and a JSONPath within it, or the request, such as ``POST /responses``."""
    detail: str = ""
    """A readable explanation."""
    field: str = ""
    """The row and field of the table at fault, such as ``Response.usage``; empty if the finding is not about a field."""

    @property
    def about(self) -> Rule:
        """The rule: its requirement, clause, severity and remedy, and the test of the official suite that fails."""
        return RULES[self.rule]

    def __str__(self) -> str:
        return f"{self.rule} at {self.place}"

    @property
    def place(self) -> str:
        """The place and the detail of the violation, as readable text."""
        where = self.path if self.event is None else f"event {self.event}, {self.path}"
        return f"{where}: {self.detail[:_DETAIL]}" if self.detail else where


def counted(number: int, noun: str) -> str:
    """Return a count as text: ``no findings``, ``1 finding``, ``2 findings``."""
    return f"{number or 'no'} {noun}" + ("" if number == 1 else "s")


def grouped(findings: Iterable[Finding]) -> list[str]:
    """Return the findings as readable lines, grouped by rule, with at most five places for each rule."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    lines: list[str] = []
    for rule, found in by_rule.items():
        about = RULES[rule]
        suite = f"; suite: {about.suite}" if about.suite else ""
        lines.append(f"{about.severity} {rule} {len(found)}x: {about.broken} [{about.section}{suite}]")
        lines += [f"    {finding.place}" for finding in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"    and {len(found) - _SHOWN} more")
        if about.suggestion:
            lines.append(f"    → {about.suggestion}")
    return lines


@attrs.frozen
class Report:
    """The findings of a check."""

    findings: tuple[Finding, ...]
    """In the order of the stream. Each rule occurs once per path."""

    @property
    def ok(self) -> bool:
        """Whether there are no findings. A failed response can still conform: see the outcome."""
        return not self.findings

    @property
    def rules(self) -> frozenset[str]:
        """The ids of the rules that were broken."""
        return frozenset(finding.rule for finding in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings whose rule has the severity ``error``."""
        return tuple(finding for finding in self.findings if finding.about.severity == "error")


@attrs.frozen
class StreamReport(Report):
    """The findings in one stream."""

    events: int
    """The number of events."""
    outcome: Outcome
    """How the response ended, as a client would report it."""

    def __str__(self) -> str:
        head = f"{counted(self.events, 'event')}, {self.outcome.status}, {counted(len(self.findings), 'finding')}"
        return "\n".join([head, *grouped(self.findings)])


R = TypeVar("R", bound=Report)


def assert_ok(report: R) -> R:
    """Return the report if it has no findings, as in ``assert_ok(check_stream(body))``.

    Raises ``AssertionError`` with the findings otherwise.
    """
    __tracebackhide__ = True  # so that pytest shows the line of the caller
    if not report.ok:
        raise AssertionError(str(report))
    return report


def check_rules(names: Collection[str]) -> frozenset[str]:
    """Return the ids of rules as a set. Raises ``UsageError`` for an unknown rule."""
    unknown = sorted(set(names) - RULES.keys())
    if unknown:
        raise UsageError(f"unknown rule {unknown[0]!r}, expected a key of responses_proto.testing.RULES")
    return frozenset(names)


def check_profile(profile: Profile | None) -> Profile | None:
    """Return the profile. Raises ``UsageError`` if it is unknown."""
    if profile is not None and profile not in PROFILES:
        raise UsageError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    return profile


def check_stream(
    stream: bytes | Iterable[Event | JSONObject],
    *,
    profile: Profile | None = None,
    ignore: Collection[str] = (),
    limits: Limits | None = None,
) -> StreamReport:
    """Check a complete stream, and return a report.

    ``stream``: the bytes of the body, or the events as models or wire objects. The rules about SSE frames are only checked for bytes.
    ``profile``: the specification whose fields the events must have: ``openresponses`` requires 31 fields of a response; ``openai``
    requires 14, and no ``[DONE]``. ``None`` requires only the fields that a client needs.
    ``ignore``: ids of rules whose findings are left out.
    ``limits``: as for ``ResponseStream``.

    Raises ``LimitExceeded``, and ``UsageError`` for an unknown rule or profile.
    """
    checker = _Checker(limits or Limits(), check_rules(ignore), check_profile(profile))
    if isinstance(stream, (bytes, bytearray, memoryview)):
        checker.check_bytes(bytes(stream))
    else:
        for event in stream:
            checker.check_event(event)
    return checker.report()


class _Checker:
    def __init__(self, limits: Limits, ignore: frozenset[str], profile: Profile | None) -> None:
        self._limits = limits
        self._profile: Profile | None = profile
        self._ignore = ignore
        self._stream = ResponseStream(limits=limits)
        self._findings: list[Finding] = []
        # (rule, path) and (rule, type of event) of the findings, so that each is reported once.
        self._reported: set[tuple[str, str]] = set()
        self._reported_types: set[tuple[str, str]] = set()
        self._reported_fields: set[tuple[str, str]] = set()  # (rule, row and field)
        self._covered = False  # whether the table has all objects of the event
        self._anomalies_seen = 0
        self._event_count = 0
        self._state: ResponseState = "awaited"
        self._items: dict[int, ItemState] = {}
        self._parts: dict[_Place, PartState] = {}
        # The type of the last event of each part, for the detail of a finding.
        self._last_event: dict[_Place, str] = {}

    def check_bytes(self, data: bytes) -> None:
        """Check a body, one SSE block at a time, so that each finding is attributed to its event."""
        decoder = SSEDecoder(self._limits)
        last_data = b""
        for block in decoder.blocks(data):
            frame = decoder.parse(block)
            if frame is not None:
                last_data = frame.data.strip()
                if not frame.event and last_data != b"[DONE]":
                    self._report("event-line", "frame $")
                self._check_fields(last_data)
            self._stream.receive_data(block + b"\n\n")
            self._check_received()
        rest = decoder.eof()
        if rest:
            self._stream.receive_data(rest)
        self._stream.receive_eof()
        self._check_received()
        if last_data != b"[DONE]" and self._profile != "openai":
            self._report("no-done", "frame $")

    def check_event(self, event: Event | JSONObject) -> None:
        """Check the next event."""
        data = dumps(event) if isinstance(event, Model) else default_converter().json.dumps(event)
        self._check_fields(data)
        self._stream.receive_event(data)
        self._check_received()

    def report(self) -> StreamReport:
        """End the stream, and return the report."""
        self._stream.receive_eof()
        self._check_received()
        outcome = self._stream.outcome
        if outcome is None:
            raise AssertionError("a stream has an outcome after its end")
        return StreamReport(tuple(self._findings), self._event_count, outcome)

    def _check_received(self) -> None:
        """Collect the new anomalies of the engine, and check the new events."""
        anomalies = self._stream.anomalies
        for anomaly in anomalies[self._anomalies_seen :]:
            if not (self._covered and anomaly.code in _TABLE_CODES):
                self._report(anomaly.code, anomaly.path, anomaly.detail)
        self._anomalies_seen = len(anomalies)
        for event in self._stream.events_received():
            self._check_order(event)
            self._event_count += 1

    def _check_fields(self, data: bytes) -> None:
        """Compare the event with the table of fields, before the engine sees it."""
        self._covered = False
        profile: Profile | None = self._profile
        if profile is None:
            return
        try:
            value: Any = default_converter().json.loads(data)
        except (DecodeError, LimitExceeded):
            return  # the engine reports it
        if not isinstance(value, dict):
            return
        event = cast("dict[str, Any]", value)
        row = row_of_event(event, profile)
        if row is None:
            return
        self._covered = _in_table(event)
        kind = str(event.get("type"))
        for fault in field_faults(event, row, profile):
            known = (fault.rule, fault.row) in self._reported_fields or fault.path.removeprefix("$.") in _POSITIONS
            if not known:
                self._reported_fields.add((fault.rule, fault.row))
                self._report(fault.rule, f"{kind} {fault.path}", fault.detail, fault.row)

    def _check_order(self, event: Any) -> None:
        kind: str = event.type
        # An UnknownEvent has no attribute for its sequence number.
        first: Any = None if self._event_count else getattr(event, "sequence_number", None)
        if first:
            self._report("sequence-start", f"{kind} $.sequence_number", f"expected 0, got {first}")
        if isinstance(event, UnknownEvent):
            if not EXTENSION.fullmatch(kind):
                self._report("unknown-type", f"{kind} $.type")
        elif kind in LIFECYCLE_TYPES:
            # The engine reports illegal steps of the response itself. Recover as the engine does.
            skips = self._state == "awaited" or kind in TERMINAL_TYPES
            following = RESPONSE_LIFE[self._state].get(kind)
            self._state = following or (RESPONSE_LIFE["created"].get(kind, self._state) if skips else self._state)
        elif kind in ITEM_STEPS:
            self._check_item_event(event)

    def _check_item_event(self, event: Any) -> None:
        """Move the response, the item and the part of an event to their next states."""
        kind: str = event.type
        rule = RESPONSE_RULES[self._state].get("output")
        if rule:
            self._report_step(rule, event, f"while {self._state.replace('_', ' ')}")
        if self._state == "ended":
            return
        if self._state == "awaited":
            self._state = "in_progress"
        index: int = event.output_index
        state, step = self._items.get(index, "awaited"), ITEM_STEPS[kind]
        following = ITEM_LIFE[state].get(step)
        if following is None:
            self._report_step(ITEM_RULES[state][step], event, f"the item is {state}")
            following = ITEM_LIFE["open"].get(step, state) if state == "awaited" else state
        self._items[index] = following
        if step == "done":
            for place in [place for place in self._parts if place[0] == index]:
                self._check_part_step(place, "item done", event)
                del self._parts[place]
        elif kind in PART_STEPS and state != "done":
            self._check_part_step(_place(event), PART_STEPS[kind], event)

    def _check_part_step(self, place: _Place, step: PartStep, event: Any) -> None:
        state = self._parts.get(place, "awaited" if place[1] else "open")
        following = PART_LIFE[state].get(step)
        if following is None:
            rule = PART_RULES[state][step]
            if rule != "part-unfinished" or place[1] in _CLOSED_BY_EVENTS:
                self._report_step(rule, event, self._last_event.get(place, ""))
            following = PART_LIFE["open"].get(step, state) if state in ("awaited", "growing") else state
        self._parts[place] = following
        self._last_event[place] = event.type

    def _report_step(self, rule: str, event: Any, detail: str) -> None:
        """Report an illegal step, unless the engine has reported the rule for an event of this type already."""
        if (rule, event.type) not in self._reported_types:
            self._report(rule, f"{event.type} $", detail)

    def _report(self, rule: str, path: str, detail: str = "", field: str = "") -> None:
        if rule not in self._ignore and (rule, path) not in self._reported:
            self._reported.add((rule, path))
            self._reported_types.add((rule, path.partition(" $")[0]))
            self._findings.append(Finding(rule, self._event_count, path, detail, field))


def _in_table(event: Mapping[str, Any]) -> bool:
    """Return whether the table covers all items of an event. If not, the findings of the decoder are used."""
    response = event.get("response")
    output: Any = cast("Mapping[str, Any]", response).get("output") if isinstance(response, dict) else None
    items: list[Any] = [event.get("item"), *(cast("Any", output) if isinstance(output, list) else ())]
    types: list[Any] = [cast("Mapping[str, Any]", item).get("type") for item in items if isinstance(item, dict)]
    return all(f"Item:{type_}" in FIELDS for type_ in types)


def _place(event: Any) -> _Place:
    at = DELTA_EVENTS.get(event.type) or DONE_EVENTS.get(event.type) or PART_EVENTS[event.type]
    return event.output_index, at.container, getattr(event, at.index) if at.index else 0


_CLOSED_BY_EVENTS: Final = frozenset(container for _, container in PART_CLOSERS)
"""The containers whose parts have a closing event."""
