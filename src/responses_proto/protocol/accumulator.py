"""The accumulator: folds the events of one response into one snapshot, regardless of the server.

:class:`Accumulator` takes events in the order of their arrival. It is pure (no clock, no I/O) and total: in lenient mode no
sequence of events makes it raise anything but ``LimitExceeded``. An event that does not fit is reported as an anomaly and
folded in as well as possible; strict mode raises ``RemoteProtocolError`` instead.

How it works
------------
Two questions must be answered for each event: *where* it belongs, and *which value is used* where statements differ.

**Where.** Servers differ most in this. The item of an event is the first of these (PROTOCOL: Which item an event belongs to):

1. the item at the event's ``output_index``, if it can take this kind of event;
2. the item that has, or recently had, the event's ``item_id``;
3. the item whose ``call_id`` is the event's ``call_id``, or its ``item_id`` (llama.cpp sends the call id there);
4. the only open item of a kind that can take the event; if several are open and the event names none, the last one mentioned;
5. a new item. Of the items that no event names, there is at most one of each kind.

An index from the server is kept, gaps included, unless something contradicts it; the output is in the order of the indices. A missing
or contradicted index becomes the next free one. The part of an item is found in the same way; a part whose text is complete takes no
other text. Afterwards the event has the resolved position: ``output_index``, ``item_id``, part index and ``sequence_number``. Every
rule after the first is an anomaly.

**Which value.** An item is described by ``added``, by the events that extend it, by the ``done`` events of its parts, by
``output_item.done``, and by the terminal response. Each of these is merged into the snapshot (:mod:`._merge`): the fields that a
stronger statement has replace earlier values, and the other fields stay. The terminal output is merged item by item, see
:meth:`Accumulator._end`.

The cost of an event does not depend on the number of events before it: text grows in buffers, models are built on demand, and the number
of remembered ids is bounded. Nineteen of twenty events are deltas of the same text as the event before; ``push`` recognizes these with
:class:`_Growing` and need not find their place again.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import attrs

from ..anomalies import Anomaly
from ..codec import load
from ..exceptions import LimitExceeded, LocalProtocolError, RemoteProtocolError
from ..models._base import EMPTY
from ..models.content import Content, OutputText
from ..models.events import (
    EVENT_TYPES,
    LIFECYCLE_TYPES,
    TERMINAL_TYPES,
    AudioDelta,
    AudioTranscriptDelta,
    ErrorEvent,
    ImageGenerationCallPartialImage,
    Keepalive,
    OutputItemAdded,
    OutputItemDone,
    OutputTextAnnotationAdded,
    RateLimitsUpdated,
    ShellCallOutputContentDelta,
    ShellCallOutputContentDone,
    UnknownEvent,
)
from ..models.response import Response
from ._final_output import ends_with, is_nothing, merge_output
from ._items import OutputItems, is_missing, resolve
from ._merge import merge, says_something
from ._sizes import TEXT_NAMES, UNBOUNDED, check_items, check_statement
from ._snapshot import (
    TEXT_FIELDS,
    CommandOutput,
    PartList,
    SnapshotItem,
    SnapshotPart,
    TextBuffer,
    field_of,
    list_at,
    text_of,
)
from .state import (
    ALSO_IN,
    DELTA_EVENTS,
    DELTA_FIELDS,
    DONE_EVENTS,
    OTHER_GROWTH_EVENTS,
    PART_EVENTS,
    PART_STEPS,
    PARTS,
    PROGRESS,
    RESPONSE_LIFE,
    RESPONSE_RULES,
    STATUS_PRECEDENCE,
    TERMINAL,
    DeltaField,
    PartEvent,
    ResponseState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..codec import Converter
    from ..limits import Limits
    from ..models.actions import ShellOutput
    from ..models.events import Event
    from ..models.items import Item
    from ._merge import Difference

__all__ = ["Accumulator", "growth_of"]

_NODE: Final = 512
"""Approximate memory of an empty item or part, in bytes."""
_MAX_FINDING: Final = 512  # approximate characters that are kept of a finding
_BESIDE_THE_NUMBERING: Final = (Keepalive, RateLimitsUpdated)
_CONTAINERS: Final = tuple(dict.fromkeys(field.container for field in DELTA_FIELDS if field.container))
_RESPONSE_FIELDS: Final = tuple(
    field.name
    for field in Response.__attrs_attrs__
    if field.name not in ("output", "status", "error", "incomplete_details", "extra")
)
"""The fields that a later response takes over from an earlier one if it lacks them. Output and outcome are not among them."""
_KEPT: Final = frozenset(
    {
        *LIFECYCLE_TYPES,
        *DONE_EVENTS,
        *PART_EVENTS,
        OutputItemAdded.type,
        OutputItemDone.type,
        OutputTextAnnotationAdded.type,
    }
    | {ShellCallOutputContentDone.type, ErrorEvent.type}
)
"""The events that are kept almost completely: statements. Of deltas only the text is kept, and of others only their effect."""


@attrs.define
class _Growing:
    """The text that the last delta extended, and the position fields by which the next delta of it is recognized."""

    event_class: type[Any]
    item_id: str
    output_index: int
    part_index_name: str
    part_index: int
    item: SnapshotItem
    text: TextBuffer
    logprobs: list[Any] | None
    size: int
    """The number of characters of the text that are counted in the size of the response already."""
    maximum: int
    """The maximum number of characters of the text."""


class Accumulator:
    """The snapshot of one response, built from its events.

    Call :meth:`push` with each event; :attr:`response` is the current snapshot.

    ``strict``: raise ``RemoteProtocolError`` where lenient mode reports an anomaly.
    ``limits``: bound the size of the response; without them it may grow indefinitely.
    ``growth``: additional texts that grow by deltas of a vendor: type of the event -> the field that its ``delta`` extends (see
    ``Converter.register``).
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        limits: Limits | None = None,
        growth: Mapping[str, DeltaField] | None = None,
    ) -> None:
        self._strict = strict
        self._growth: Mapping[str, DeltaField] = {**DELTA_EVENTS, **growth} if growth else DELTA_EVENTS
        self._limits = limits or UNBOUNDED
        self._max_anomalies = self._limits.max_anomalies
        self._size = 0  # bytes of all kept data, without the text that is growing
        self._anomalies: dict[tuple[str, str], Anomaly] = {}
        self._dropped: dict[tuple[str, str], int] = {}  # key of an anomaly -> characters in late deltas
        self._state: ResponseState = "awaited"
        self._base: Response | None = None  # the newest lifecycle event's response, merged with the older ones
        self._snapshot: Response | None = None  # the last result of `response`, while it is up to date
        self._items = OutputItems(self._report, self._keep, self._limits.max_output_items)
        self._growing: _Growing | None = None
        self._audio = TextBuffer()
        self._transcript = TextBuffer()
        self._beside = 0  # numbers after the last one that were used by events outside the numbering
        self.next_sequence_number: int | None = None
        """The number that the next event should have; ``None`` before the first event."""
        self.status: Literal["completed", "incomplete", "failed", "cancelled"] | None = None
        """How the response ended; ``None`` before a terminal event."""
        self.error: ErrorEvent | None = None
        """The last ``error`` event."""
        self.delivered_output: bool = False
        """Whether an event of an output item was received."""
        self.findings: int = 0
        """The number of anomalies, including repeated ones and those beyond ``max_anomalies``."""

    # State

    @property
    def response(self) -> Response:
        """The snapshot as of the last event. It is built on access, and not changed afterwards.

        Before the first event it is an empty response.
        """
        if self._snapshot is None:
            base: Response = self._base if self._base is not None else load({}, Response)
            if self.status is None and self._items:
                snapshot: Any = copy.copy(base)
                snapshot.output = self.streamed_output
                base = snapshot
            self._snapshot = base
            return base
        return self._snapshot

    @property
    def streamed_output(self) -> list[Item]:
        """The output according to the events of the items, without the terminal event."""
        return [item.build() for item in self._items]

    @property
    def output_text(self) -> str:
        """The text of all messages so far."""
        return self.response.output_text

    @property
    def audio(self) -> str:
        """The audio so far, as Base64."""
        return self._audio.value()

    @property
    def audio_transcript(self) -> str:
        """The transcript of the audio so far."""
        return self._transcript.value()

    @property
    def anomalies(self) -> list[Anomaly]:
        """The deviations from the protocol, each of them once."""
        for key, characters in self._dropped.items():
            known = self._anomalies[key]
            self._anomalies[key] = Anomaly(known.code, known.path, f"{characters} characters came too late")
        return list(self._anomalies.values())

    @property
    def response_id(self) -> str:
        """The newest id of the response; empty before the first."""
        return self._base.id if self._base is not None else ""

    @property
    def last_sequence_number(self) -> int | None:
        """The number of the last event; ``None`` before the first."""
        return None if self.next_sequence_number is None else self.next_sequence_number - 1

    @property
    def reason_missing(self) -> bool:
        """Whether the response has failed without a reason so far. An ``error`` event with the reason may follow (Azure)."""
        return self.status == "failed" and self.error is None and not (self._base is not None and self._base.error)

    # Verbs

    def skip_start(self) -> None:
        """Expect the rest of a response whose beginning was read elsewhere: items may appear without ``added``.

        Call this before the first event. Raises ``LocalProtocolError`` afterwards.
        """
        if self._state != "awaited":
            raise LocalProtocolError("skip_start() must be called before the first event")
        self._state = "created"  # the rest may begin with any event but that one
        self._items.from_the_start = False

    def push(self, event: Event) -> None:
        """Fold one event into the snapshot, and write its resolved position into the event.

        Raises ``RemoteProtocolError`` in strict mode, and ``LimitExceeded`` if the response outgrows the limits.
        """
        growing = self._growing
        if growing is not None and event.__class__ is growing.event_class:
            delta: Any = event
            if (
                delta.sequence_number == self.next_sequence_number
                and delta.item_id == growing.item_id
                and delta.output_index == growing.output_index
                and delta.extra is EMPTY
                and (not growing.part_index_name or getattr(delta, growing.part_index_name) == growing.part_index)
            ):
                self.next_sequence_number = delta.sequence_number + 1
                delta.item_id = growing.item_id  # share one string, so that kept events stay small
                if growing.logprobs is not None and delta.logprobs:
                    growing.logprobs.extend(delta.logprobs)
                    self._limits.check("max_text_chars", len(growing.logprobs))
                growing.item.built = self._snapshot = None
                text = growing.text
                text.write(delta.delta)
                if text.size > growing.maximum:
                    self._check_text(text)
                self._beside = 0
                return
        self._number(event)
        kind = event.type
        # An unknown event may have a known type, if the data of a frame with that `event:` line is not an object.
        fold = None if isinstance(event, UnknownEvent) else self._FOLDS.get(kind)
        if fold is None and kind in self._growth and not isinstance(event, UnknownEvent):
            fold = Accumulator._delta
        if fold is None:
            return
        if self.status is not None:
            self._late(event)
            return
        self._snapshot = None
        if kind not in LIFECYCLE_TYPES and kind != ErrorEvent.type:
            self.delivered_output = True
            if self._state == "awaited":
                self._state = "in_progress"
                self._report("created-missing", event, "", "the first event is not response.created")
        fold(self, event)

    def _late(self, event: Event) -> None:
        if isinstance(event, ErrorEvent) and self.reason_missing:
            self.error = event  # the reason for the failure, which the terminal event left out
        self._report("late-event", event, "", "after the terminal event")

    # Numbering

    def _number(self, event: Event) -> None:
        expected = self.next_sequence_number
        if isinstance(event, _BESIDE_THE_NUMBERING) or event.type not in EVENT_TYPES or isinstance(event, UnknownEvent):
            # These events neither begin nor advance the numbering. But if a server counts them too, they leave no gap.
            if _wire_number(event) == (expected or 0) + self._beside:
                self._beside += 1
            return
        number: Any = event.sequence_number
        beside, self._beside = self._beside, 0
        if isinstance(event, ErrorEvent) and type(number) is not int:
            return
        if is_missing(event, "sequence_number"):
            self._report("sequence-missing", event, ".sequence_number", "numbered in order of arrival")
            number = expected or 0
            resolve(event, "sequence_number", number)
        elif expected is not None and number != expected and type(number) is int:
            if number < expected:
                self._report("sequence-repeated", event, ".sequence_number", f"{number} after {expected - 1}")
                number = expected
                resolve(event, "sequence_number", number)
            elif number > expected + beside:
                self._report("sequence-gap", event, ".sequence_number", f"{number} after {expected - 1}")
        self.next_sequence_number = (number if type(number) is int else 0) + 1

    # The response

    def _lifecycle(self, event: Any) -> None:
        kind: str = event.type
        following = RESPONSE_LIFE[self._state].get(kind)
        if following is None:
            rule = RESPONSE_RULES[self._state]["lifecycle"]
            self._report(rule, event, "", f"{kind} while {self._state.replace('_', ' ')}")
            # A response without a beginning continues as if it had one, but never goes back to an earlier state.
            skips = self._state == "awaited" or kind in TERMINAL_TYPES
            following = RESPONSE_LIFE["created"][kind] if skips else self._state
        self._state = following
        response: Any = event.response
        check_items(response.output, self._limits)
        known = self._base
        if known is not None and response.id and response.id != known.id and known.id:
            self._report("response-id-changed", event, ".response.id", f"{known.id} became {response.id}")
        terminal = kind in TERMINAL_TYPES
        if known is not None:
            response = self._merged_response(event, known, response, report=terminal)
        self._base = response
        if terminal:
            self._end(event, response)

    def _merged_response(self, event: Any, known: Response, response: Any, *, report: bool) -> Any:
        """Return a later response, with the fields that only earlier responses have added. The output is not merged here."""
        kept: dict[str, Any] = {}
        for name in _RESPONSE_FIELDS:
            theirs = getattr(response, name)
            # Zero and false count as values; absent, null and empty values do not.
            if not theirs and theirs is not False and theirs != 0 and says_something(ours := getattr(known, name)):
                kept[name] = ours
                if report:
                    self._report("response-merged", event, f".response.{name}", "missing; the earlier value is kept")
        if not len(self._items) and not response.output and known.output:
            kept["output"] = known.output
        return attrs.evolve(response, **kept) if kept else response

    def _end(self, event: Any, response: Any) -> None:
        """Merge the terminal output with the streamed output, and end the response."""
        self._stop_growing()
        status = TERMINAL[event.type]
        if status == "completed":
            for item in self._items:
                if not item.closed:
                    path = f".response.output[{item.index}]"
                    self._report("item-unfinished", event, path, f"{item.kind} was never done")
        final = merge_output(event, self._items, response.output, self._report)
        if final is not response.output:
            response = copy.copy(response)
            response.output = final
            self._base = response
        if response.status in STATUS_PRECEDENCE[status]:
            if response.status != "cancelled":  # a cancelled response has no terminal event type
                detail = f"{event.type} of a response that is {response.status}"
                self._report("status-contradicted", event, ".response.status", detail)
            status = response.status
        self.status = status

    # Items

    def _item_added(self, event: Any) -> None:
        if is_nothing(event.item):
            self._report("item-missing", event, ".item", "no item was opened")
            return
        check_statement(event.item, self._limits)
        self._items.add(event, event.item)

    def _item_done(self, event: Any) -> None:
        item = event.item
        if is_nothing(item):
            self._report("item-missing", event, ".item", "no item was closed")
            return
        check_statement(item, self._limits)
        at = self._items.find_done(event, item)
        streamed = bool(at.fields or at.containers)

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            if what == "kept":
                self._report("done-merged", event, f".item{path}", "missing; the earlier value is kept")
            elif what == "moved":
                self._report("part-index", event, f".item{path}", "the parts were streamed at other indices")
            elif streamed and _leads_to_text(path) and not (at.partial and ends_with(later, earlier)):
                self._report("delta-mismatch", event, f".item{path}", "the text differs from the streamed text")

        at.restart(at.merged_with(item, difference))
        self._items.close(event, at)
        if self._growing is not None and self._growing.item is at:
            self._stop_growing()

    def _item_of_growth(self, event: Any) -> SnapshotItem:
        """Find or open the item of an event that belongs to only one kind of item."""
        kind = OTHER_GROWTH_EVENTS[event.type]
        return self._items.find_or_imply(event, ALSO_IN.get(kind, (kind,)), kind)

    # Parts and texts

    def _place_in(self, event: Any, at: SnapshotItem, container: str, index_name: str) -> None:
        """Set the part index of an event without one that comes too late to be folded in."""
        if index_name and (is_missing(event, index_name) or getattr(event, index_name) < 0):
            place = max(len(list_at(at.item, container)) - 1, 0)
            self._report("part-index", event, f".{index_name}", f"taken as {place}")
            resolve(event, index_name, place)

    def _part(
        self, event: Any, at: SnapshotItem, container: str, index_name: str, kind: str, whole: str = ""
    ) -> SnapshotPart:
        """Find or open the part that an event belongs to. ``whole``: the complete text of the part, if the event has it."""
        parts = at.parts(container)
        index: int = -1 if is_missing(event, index_name) else getattr(event, index_name)
        part = parts.by_index.get(index)
        fits = part is not None and part.kind == kind
        step = PART_STEPS.get(event.type)
        if part is None or not fits or (step == "delta" and part.closed):
            newest = parts.newest_for(kind, index, step, whole)
            if newest is not None:
                part = newest
            elif part is None or not fits:
                place = index if index >= 0 and part is None else parts.next_index
                if not at.partial:
                    self._report("part-implied", event, f".{index_name}", f"{kind or 'a part'} {place} was never added")
                part = self._open_part(parts, place, kind, None, "")
                part.partial = at.partial
        part.said = index
        if part.index != index:
            self._report("part-index", event, f".{index_name}", f"taken as {part.index}")
            resolve(event, index_name, part.index)
        return part

    def _open_part(self, parts: PartList, index: int, kind: str, model: Any, text: str) -> SnapshotPart:
        self._limits.check("max_content_parts", len(parts.by_index) + 1)
        self._keep(_NODE)
        if model is None and kind:
            known: dict[str, Any] = {"type": kind}
            if kind in TEXT_FIELDS:
                known[TEXT_FIELDS[kind]] = ""
            if kind == OutputText.type:
                known["annotations"] = []
            model = load(known, Content)
        return parts.add(SnapshotPart(index, kind, model, field_of(model), text))

    def _delta(self, event: Any) -> None:
        field = self._growth[event.type]
        piece: Any = event.delta
        if not isinstance(piece, str):  # a vendor's class may declare another type
            return
        at = self._items.find_or_imply(event, _kinds_of(field), field.item)
        part: SnapshotPart | None = None
        if at.closed:
            self._drop(event, "", piece)
            self._place_in(event, at, field.container, field.index)
            return
        if field.index:
            part = self._part(event, at, field.container, field.index, field.part)
            text = part.text
            if part.closed or text.complete:
                self._drop(event, f".{field.index}", piece)
                return
            if getattr(event, "logprobs", None):
                part.logprobs += event.logprobs
                self._limits.check("max_text_chars", len(part.logprobs))
        else:
            text = at.field(field.field)
            if text.complete:
                self._drop(event, "", piece)
                return
        self._stop_growing()
        self._grow(text, piece)
        if event.type in DELTA_EVENTS and hasattr(event, "item_id"):
            left = self._limits.max_response_bytes - self._size
            self._growing = _Growing(
                event.__class__,
                event.item_id,
                event.output_index,
                field.index,
                getattr(event, field.index) if field.index else 0,
                at,
                text,
                part.logprobs if part is not None and hasattr(event, "logprobs") else None,
                text.size,
                min(self._limits.max_text_chars, text.size + left),
            )

    def _drop(self, event: Any, where: str, piece: str) -> None:
        """Report a delta that came after the end of its text, and count its lost characters."""
        path = f"{event.type} ${where}"
        self.report(Anomaly("delta-after-done", path, f"{len(piece)} characters came too late"), event)
        key = ("delta-after-done", path)
        if key in self._anomalies:
            self._dropped[key] = self._dropped.get(key, 0) + len(piece)

    def _text_done(self, event: Any) -> None:
        field = DONE_EVENTS[event.type]
        at = self._items.find_or_imply(event, _kinds_of(field), field.item)
        whole: str = getattr(event, field.value)
        self._stop_growing()
        if at.closed:
            self._place_in(event, at, field.container, field.index)
            return
        if field.index:
            part = self._part(event, at, field.container, field.index, field.part, whole)
            text, partial = part.text, part.partial
            if getattr(event, "logprobs", None):
                check_statement(event.logprobs, self._limits, "logprobs")
                part.logprobs = [*event.logprobs]
        else:
            text, partial = at.field(field.field), at.partial
        check_statement(whole, self._limits)
        self._complete_text(event, text, whole, field, partial=partial)

    def _complete_text(
        self, event: Any, text: TextBuffer, whole: str, field: DeltaField | PartEvent, *, partial: bool
    ) -> None:
        streamed = text.value()
        if streamed and not whole:
            self._report("done-merged", event, f".{field.value}", "missing; the streamed value is kept")
        elif streamed and streamed != whole and not (partial and whole.endswith(streamed)):
            detail = f"{len(streamed)} characters streamed, {len(whole)} stated"
            self._report("delta-mismatch", event, f".{field.value}", detail)
        # An empty text does not override the streamed text.
        text.set(whole or streamed)

    def _part_event(self, event: Any) -> None:
        rule = PART_EVENTS[event.type]
        given: Any = getattr(event, rule.value)
        check_statement(given, self._limits)
        kind = "" if isinstance(given, str) else given.type
        home = PARTS.get((rule.container, kind))
        kinds = _kinds_of(home) if home is not None and home.item in rule.items else rule.items
        at = self._items.find_or_imply(event, kinds, kinds[0])
        told = at.parts(rule.container).by_index.get(getattr(event, rule.index)) if is_nothing(given) else None
        kind = told.kind if told is not None else kind  # a part without a type is the existing part
        if at.closed or (is_nothing(given) and (rule.opens or told is None)):
            self._place_in(event, at, rule.container, rule.index)
        elif rule.opens:
            self._part_added(event, at, rule, given, kind)
        else:
            self._part_done(event, at, rule, given, kind)

    def _part_added(self, event: Any, at: SnapshotItem, rule: PartEvent, given: Any, kind: str) -> None:
        parts = at.parts(rule.container)
        index: int = -1 if is_missing(event, rule.index) else getattr(event, rule.index)
        model, text = (None, given) if isinstance(given, str) else (given, text_of(given, field_of(given)))
        part = parts.by_index.get(index)
        if part is not None and part.kind == kind:
            if part.text.size or part.closed:
                self._report("part-repeated", event, f".{rule.index}", f"part {index} already exists")
            else:
                parts.add(SnapshotPart(index, kind, model, field_of(model), text))
            return
        begun = parts.newest(kind) if index < 0 else None
        if begun is not None and not (begun.text.size or begun.text.complete or text):
            self._report("part-repeated", event, f".{rule.index}", f"part {begun.index} already exists")
            resolve(event, rule.index, begun.index)
            return
        if index < 0 or part is not None:
            index = parts.next_index
            self._report("part-index", event, f".{rule.index}", f"taken as {index}")
            resolve(event, rule.index, index)
        self._open_part(parts, index, kind, model, text)

    def _part_done(self, event: Any, at: SnapshotItem, rule: PartEvent, given: Any, kind: str) -> None:
        self._stop_growing()
        part = self._part(event, at, rule.container, rule.index, kind, text_of(given, field_of(given)))

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            if what == "kept":
                self._report("done-merged", event, f".{rule.value}{path}", "missing; the earlier value is kept")
            elif path == f".{part.field}" and not (part.partial and ends_with(later, earlier)):
                detail = f"{len(earlier)} characters streamed, {len(later)} stated"
                self._report("delta-mismatch", event, f".{rule.value}{path}", detail)

        part.close(given, difference)
        at.parts(rule.container).close(part)

    def _annotation(self, event: Any) -> None:
        at = self._item_of_growth(event)
        if at.closed:
            self._place_in(event, at, "content", "content_index")
            return
        part = self._part(event, at, "content", "content_index", "output_text")
        if event.annotation:
            part.annotations.append(event.annotation)
            self._limits.check("max_content_parts", len(part.annotations))

    # Everything else

    def _error(self, event: Any) -> None:
        # An error alone does not end the response (`response.failed` may follow), but it is the outcome if the stream ends after it.
        self.error = event

    def _progress(self, event: Any) -> None:
        rule = PROGRESS[event.type]
        at = self._items.find_or_imply(event, (rule.item,), rule.item)
        if not at.closed and rule.status:
            at.status = rule.status

    def _image(self, event: Any) -> None:
        # A partial image is a preview and never the result of the item, so only its position is resolved.
        self._item_of_growth(event)

    def _shell_output(self, event: Any) -> None:
        at = self._item_of_growth(event)
        outputs = at.command_outputs()
        index: int = event.command_index
        if is_missing(event, "command_index") or index < 0:
            index = max(outputs, default=0)
            self._report("part-index", event, ".command_index", f"taken as {index}")
            resolve(event, "command_index", index)
        if isinstance(event, ShellCallOutputContentDone):
            if at.closed:
                self._report("delta-after-done", event, "", f"item {at.index} was done")
                return
            stated = dict(enumerate(event.output, index))
            self._limits.check("max_content_parts", len(outputs.keys() | stated.keys()))
            for place, whole in stated.items():
                outputs[place] = self._command_done(event, outputs.get(place), place - index, whole)
            return
        if at.closed or (index in outputs and outputs[index].complete):
            self._drop(event, ".command_index", f"{event.delta.stdout or ''}{event.delta.stderr or ''}")
            return
        self._limits.check("max_content_parts", len(outputs) + (index not in outputs))
        output = outputs.setdefault(index, CommandOutput())
        for text, piece in ((output.stdout, event.delta.stdout), (output.stderr, event.delta.stderr)):
            if piece:
                self._grow(text, piece)
                output.built = None

    def _command_done(self, event: Any, known: CommandOutput | None, place: int, whole: ShellOutput) -> CommandOutput:
        """Merge the complete output of one command."""

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            where = f".output[{place}]{path}"
            if what == "kept":
                self._report("done-merged", event, where, "missing; the earlier value is kept")
            elif _leads_to_text(path):
                detail = f"{len(earlier)} characters streamed, {len(later)} stated"
                self._report("delta-mismatch", event, where, detail)

        return CommandOutput(merge(known.build(), whole, difference) if known is not None else whole, complete=True)

    def _grow(self, text: TextBuffer, piece: str) -> None:
        text.write(piece)
        self._keep(len(piece))
        if text.size > self._limits.max_text_chars:
            self._check_text(text)

    def _stop_growing(self) -> None:
        """Count the characters that the growing text has gained, and forget it: the next delta is placed anew."""
        growing, self._growing = self._growing, None
        if growing is not None:
            self._keep(growing.text.size - growing.size)

    # Sizes

    def weigh(self, event: Event, size: int) -> None:
        """Count an event of ``size`` bytes if it is kept. :meth:`push` counts the text of deltas itself.

        Raises ``LimitExceeded`` if the response as a whole outgrows its limit.
        """
        if event.type in _KEPT or getattr(event, "logprobs", None):
            self._keep(size)

    def _keep(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.max_response_bytes:
            raise LimitExceeded("max_response_bytes", self._size, maximum=self._limits.max_response_bytes)

    def _check_text(self, text: TextBuffer) -> None:
        """Raise ``LimitExceeded`` if a text has outgrown its own limit or the limit of the response."""
        self._limits.check("max_text_chars", text.size)
        self._stop_growing()

    def _sound(self, event: Any) -> None:
        self._grow(self._audio if event.type == AudioDelta.type else self._transcript, event.delta)

    # Findings

    def _report(self, code: str, event: Any, where: str, detail: str) -> None:
        self.report(Anomaly(code, f"{event.type} ${where}", detail), event)

    def report(self, anomaly: Anomaly, event: Event | None = None) -> None:
        """Record a finding, unless it was recorded before. Raises ``RemoteProtocolError`` in strict mode."""
        if len(anomaly.path) + len(anomaly.detail) > _MAX_FINDING:
            # The peer chooses the names of events and ids, so they may be of any length.
            anomaly = Anomaly(anomaly.code, _shortened(anomaly.path), _shortened(anomaly.detail))
        key = (anomaly.code, anomaly.path)
        self.findings += 1
        if key not in self._anomalies and len(self._anomalies) < self._max_anomalies:
            self._anomalies[key] = anomaly
        if self._strict:
            number: Any = getattr(event, "sequence_number", None)
            raise RemoteProtocolError(
                f"{anomaly.code} @ {anomaly.path}{anomaly.detail and f': {anomaly.detail}'}",
                sequence_number=number if type(number) is int else None,
                event_type=event.type if event is not None else None,
                code=anomaly.code,
            )

    _FOLDS: ClassVar[Mapping[str, Callable[[Any, Any], None]]] = {
        **dict.fromkeys(LIFECYCLE_TYPES, _lifecycle),
        **dict.fromkeys(DELTA_EVENTS, _delta),
        **dict.fromkeys(DONE_EVENTS, _text_done),
        **dict.fromkeys(PART_EVENTS, _part_event),
        **dict.fromkeys(PROGRESS, _progress),
        ErrorEvent.type: _error,
        OutputItemAdded.type: _item_added,
        OutputItemDone.type: _item_done,
        OutputTextAnnotationAdded.type: _annotation,
        ImageGenerationCallPartialImage.type: _image,
        ShellCallOutputContentDelta.type: _shell_output,
        ShellCallOutputContentDone.type: _shell_output,
        AudioDelta.type: _sound,
        AudioTranscriptDelta.type: _sound,
    }


# Reading and writing events and items


def _kinds_of(field: DeltaField) -> tuple[str, ...]:
    """Return the types of items in which the events of a text are accepted."""
    return ALSO_IN.get(field.item, (field.item,)) if field.container == "content" else (field.item,)


def _wire_number(event: Any) -> int | None:
    """Return the sequence number from the wire, for an event of any class."""
    if isinstance(event, UnknownEvent):
        number: Any = event.raw.get("sequence_number") if isinstance(event.raw, dict) else None
    else:
        number = getattr(event, "sequence_number", event.extra.get("sequence_number"))
    return number if type(number) is int else None


def _leads_to_text(path: str) -> bool:
    name = path.rpartition(".")[2].partition("[")[0]  # empty for a command, which is an element of a list
    return not name or name in TEXT_NAMES or path.startswith(".action.commands")


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_FINDING // 2 else f"{text[: _MAX_FINDING // 2]}…"


def growth_of(converter: Converter) -> dict[str, DeltaField]:
    """Return the argument ``growth`` of :class:`Accumulator` for the delta events of vendors that are registered in a converter."""
    return {
        delta: DeltaField(
            grows.item, container="", part="", field=grows.field, index="", delta=delta, done="", value=""
        )
        for delta, grows in converter.growth.items()
    }
