"""The timeline of a stream: when each item grew, when the stream was silent, and which rules it broke.

::

    line = timeline(Recording("story", ((0.2, b"data: ..."), (0.25, b"data: ..."))))
    line.first_event, line.items[0].density, line.gaps, line.findings

The size of a timeline does not depend on the size of the stream: the deltas of an item are counted in :data:`BINS` intervals, and the
lists have upper bounds. If a recording has no times, event numbers take their place.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ...codec import default_converter
from ...exceptions import DecodeError, LimitExceeded
from ...protocol.sse import SSEDecoder
from .streams import check_stream

if TYPE_CHECKING:
    from .fields import Profile
    from .streams import Finding

__all__ = ["BINS", "Gap", "ItemBar", "Recording", "Timeline", "events_of", "timeline"]

BINS: Final = 60
"""The number of intervals in a timeline."""
_MAX_ITEMS: Final = 40
_MAX_GAPS: Final = 10
_MAX_FINDINGS: Final = 50
_GAP: Final = 0.1  # the length of the shortest gap, as a fraction of the duration …
_MIN_GAP: Final = 0.25  # … and in seconds; the larger value counts
_LABEL: Final = 60  # characters


@attrs.frozen
class Recording:
    """One stream as it arrived."""

    name: str
    pieces: tuple[tuple[float | None, bytes], ...] = attrs.field(repr=False)
    """The body: (seconds since the request was sent, bytes). The seconds are ``None`` if they are not known."""

    @property
    def body(self) -> bytes:
        """The complete body."""
        return b"".join(piece for _, piece in self.pieces)


@attrs.frozen
class ItemBar:
    """One item of a timeline."""

    label: str
    """The output index and the type of the item, and its name or role if it has one."""
    start: float
    """When the item was added, in the unit of :attr:`Timeline.unit`."""
    end: float
    """The time of the last event of the item."""
    done: bool
    """Whether the item had its ``done`` event."""
    deltas: int
    characters: int
    density: tuple[int, ...]
    """The number of deltas in each of the :data:`BINS` intervals of the stream."""


@attrs.frozen
class Gap:
    """A period without events."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """Its length."""
        return self.end - self.start


@attrs.frozen
class Timeline:
    """The course of a stream, summarized for people."""

    name: str
    unit: str
    """``s`` if the times are seconds since the request was sent, ``events`` if they are numbers of events."""
    duration: float
    """The time of the last event."""
    bytes: int
    events: int
    first_event: float
    """The time of the first event."""
    first_delta: float | None
    """The time of the first delta of an item; ``None`` if there is none."""
    status: str
    """How the response ended, as a client would report it."""
    items: tuple[ItemBar, ...]
    more_items: int
    """How many items were left out, because there were too many."""
    gaps: tuple[Gap, ...]
    """The longest gaps between two events, in order of time."""
    findings: tuple[Finding, ...]
    more_findings: int
    flaws: tuple[tuple[float, str], ...]
    """The time and the rule of each finding."""
    marks: tuple[tuple[float, str], ...]
    """The time and the type of each lifecycle event, at most 20."""


@attrs.define
class _Growing:
    label: str
    start: float
    end: float
    done: bool = False
    characters: int = 0
    times: list[float] = attrs.field(factory=list[float])


def timeline(recording: Recording, *, profile: Profile | None = None) -> Timeline:
    """Return the timeline of a recording."""
    timed = any(at is not None for at, _ in recording.pieces)
    report = check_stream(recording.body, profile=profile)
    items: dict[Any, _Growing] = {}
    marks: list[tuple[float, str]] = []
    times: list[float] = []
    first_delta: float | None = None
    for number, (at, event) in enumerate(events_of(recording)):
        now = (at or 0.0) if timed else float(number)
        times.append(now)
        kind = str(event.get("type"))
        if isinstance(event.get("response"), dict) and len(marks) < 20:  # noqa: PLR2004 - a stream has three to five
            marks.append((now, kind[:_LABEL]))
        key = event.get("output_index", event.get("item_id"))
        if not isinstance(key, int | str):
            continue
        grown = items.get(key)
        if grown is None:
            grown = items[key] = _Growing(_label(key, event), now, now)
        grown.end = now
        if kind == "response.output_item.done":
            grown.done = True
            grown.label = _label(key, event)
        elif kind.endswith(".delta"):
            first_delta = now if first_delta is None else first_delta
            grown.times.append(now)
            delta = event.get("delta")
            grown.characters += len(delta) if isinstance(delta, str) else 0
    duration = times[-1] if times else 0.0
    bars = [_bar(grown, duration) for grown in list(items.values())[:_MAX_ITEMS]]
    return Timeline(
        name=recording.name,
        unit="s" if timed else "events",
        duration=duration,
        bytes=len(recording.body),
        events=len(times),
        first_event=times[0] if times else 0.0,
        first_delta=first_delta,
        status=report.outcome.status,
        items=tuple(bars),
        more_items=max(0, len(items) - _MAX_ITEMS),
        gaps=_gaps(times, duration) if timed else (),
        findings=report.findings[:_MAX_FINDINGS],
        more_findings=max(0, len(report.findings) - _MAX_FINDINGS),
        flaws=tuple(
            (times[min(finding.event or 0, len(times) - 1)], finding.rule)
            for finding in report.findings[:_MAX_FINDINGS]
            if times
        ),
        marks=tuple(marks),
    )


def events_of(recording: Recording) -> list[tuple[float | None, dict[str, Any]]]:
    """Return the events, each with the time at which it was complete."""
    decoder = SSEDecoder()
    found: list[tuple[float | None, dict[str, Any]]] = []
    at: float | None = None
    for at, piece in recording.pieces:
        values = [_object(frame.data) for frame in decoder.receive(piece)]
        found += [(at, value) for value in values if value is not None]
    last = decoder.parse(decoder.eof())
    if last is not None and (value := _object(last.data)) is not None:
        found.append((at, value))
    return found


def _object(data: bytes) -> dict[str, Any] | None:
    if data == b"[DONE]":
        return None
    try:
        value: Any = default_converter().json.loads(data)
    except (DecodeError, LimitExceeded):
        return {"type": "not JSON"}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"type": "not an object"}


def _label(key: object, event: dict[str, Any]) -> str:
    item: Any = event.get("item")
    if not isinstance(item, dict):
        return f"{key} {str(event.get('type')).removeprefix('response.')}"[:_LABEL]
    members = cast("dict[str, Any]", item)
    name = members.get("name") or members.get("role") or ""
    return f"{key} {members.get('type')} {name}".strip()[:_LABEL]


def _bar(grown: _Growing, duration: float) -> ItemBar:
    density = [0] * BINS
    for at in grown.times:
        density[min(BINS - 1, int(at / duration * BINS)) if duration else 0] += 1
    return ItemBar(
        label=grown.label,
        start=grown.start,
        end=grown.end,
        done=grown.done,
        deltas=len(grown.times),
        characters=grown.characters,
        density=tuple(density),
    )


def _gaps(times: list[float], duration: float) -> tuple[Gap, ...]:
    least = max(_MIN_GAP, _GAP * duration)
    gaps = [Gap(before, after) for before, after in itertools.pairwise(times) if after - before >= least]
    longest = sorted(gaps, key=lambda gap: gap.length, reverse=True)[:_MAX_GAPS]
    return tuple(sorted(longest, key=lambda gap: gap.start))
