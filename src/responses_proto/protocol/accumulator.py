"""Events to the response they tell of: one snapshot, for every server.

:class:`Accumulator` takes the events of one response in the order of their arrival and keeps what they add up to. It is pure
(no clock, no I/O) and total: in lenient mode no sequence of events makes it raise. What does not fit is reported as an
anomaly and folded in as well as can be; strict mode raises the same finding as ``RemoteProtocolError``.

Servers disagree most about *where* an event belongs, so that is settled first, in this order (PROTOCOL: identity):

1. the slot at the event's ``output_index``, if its item can take this kind of event;
2. the item that has, or once had, the event's ``item_id``;
3. the item that has its ``call_id``;
4. the only open item of a kind that can take it, unless the event has the next free index and an id that nobody has:
   then it is of the next item, which was not announced;
5. a new item of the fitting kind, opened on the spot.

An item that is added where another one is takes the next place, unless it is the same one said again: of the same kind,
still open, and with the same id, or with another one while nothing else was added in between (ids rotate).

Then the event is given the position that was found: after ``push``, its ``output_index``, ``item_id``, part index and
``sequence_number`` are the resolved ones, whatever the wire said.

The cost of an event does not depend on how many came before: text grows in a buffer, and models are built when somebody asks.
"""

from __future__ import annotations

import copy
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from ..anomalies import Anomaly
from ..codec import load
from ..exceptions import LimitExceeded, RemoteProtocolError
from ..models._base import EMPTY, Extra
from ..models.content import Content, OutputText
from ..models.events import (
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
from ..models.items import Item
from ..models.response import Response
from ._snapshot import (
    TEXT_FIELDS,
    CommandOutput,
    SnapshotItem,
    SnapshotPart,
    TextBuffer,
    at_path,
    field_of,
    list_at,
    part_of,
    put_at,
    text_of,
)
from .state import (
    DELTA_EVENTS,
    DONE_EVENTS,
    OTHER_GROWTH_EVENTS,
    PART_EVENTS,
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

    from ..limits import Limits
    from ..models.events import Event

__all__ = ["Accumulator"]

_UNBOUNDED: Final = sys.maxsize
_BESIDE_THE_SEQUENCE: Final = (Keepalive, RateLimitsUpdated)


class Accumulator:
    """What the events of one response add up to. Verbs: :meth:`push`; then ask for :attr:`response`.

    ``strict`` raises ``RemoteProtocolError`` where lenient mode reports an anomaly. With ``limits``, ``push`` raises
    ``LimitExceeded`` for a response that outgrows them; without, nothing is bounded.
    """

    def __init__(self, *, strict: bool = False, limits: Limits | None = None) -> None:
        self._strict = strict
        self._max_items = limits.max_output_items if limits else _UNBOUNDED
        self._max_parts = limits.max_content_parts if limits else _UNBOUNDED
        self._max_text = limits.max_text_chars if limits else _UNBOUNDED
        self._max_anomalies = limits.max_anomalies if limits else _UNBOUNDED
        self._anomalies: dict[tuple[str, str], Anomaly] = {}
        self._state: ResponseState = "awaited"
        self._base: Response | None = None
        self._snapshot: Response | None = None
        self._slots: list[SnapshotItem] = []
        self._by_index: dict[int, SnapshotItem] = {}  # what the server calls them; `_slots` is what they are
        self._by_id: dict[str, SnapshotItem] = {}
        self._by_call_id: dict[str, SnapshotItem] = {}
        self._open_ones: dict[str, dict[int, SnapshotItem]] = {}  # kind -> place -> slot, without the closed ones
        self._from_the_start = True
        self._audio = TextBuffer()
        self._transcript = TextBuffer()
        self.next_sequence_number: int | None = None
        """What the next event's number should be; ``None`` before the first one."""
        self.status: Literal["completed", "incomplete", "failed", "cancelled"] | None = None
        """The outcome's status, once a terminal event came."""
        self.error: ErrorEvent | None = None
        """The last ``error`` event."""
        self.delivered_output: bool = False
        """Whether any event of an output item came."""
        self.findings: int = 0
        """How many findings were reported, those included that are not kept because they are known or too many."""
        # The straight road: the place of the last delta. See `push`.
        self._hot_class: Any = None
        self._hot_id = ""
        self._hot_index = 0
        self._hot_at = ""
        self._hot_part = 0
        self._hot_text = self._audio
        self._hot_slot: Any = None
        self._hot_logprobs: list[Any] | None = None

    # What it has

    @property
    def response(self) -> Response:
        """The snapshot: complete as of the last event, made when asked for, never changed afterwards.

        Before anything came it is a response with nothing in it.
        """
        if self._snapshot is None:
            base: Response = self._base if self._base is not None else load({}, Response)
            if self.status is None and self._slots:
                snapshot: Any = copy.copy(base)
                snapshot.output = self.streamed_output
                base = snapshot
            self._snapshot = base
            return base
        return self._snapshot

    @property
    def streamed_output(self) -> list[Item]:
        """The output as it was streamed item by item, even where the terminal event says something else."""
        return [slot.build() for slot in self._slots]

    @property
    def output_text(self) -> str:
        """The text of all messages so far."""
        return self.response.output_text

    @property
    def audio(self) -> str:
        """The sound so far: Base64, as the deltas had it."""
        return self._audio.value()

    @property
    def audio_transcript(self) -> str:
        """What the sound says so far."""
        return self._transcript.value()

    @property
    def anomalies(self) -> list[Anomaly]:
        """What did not fit, each finding once."""
        return list(self._anomalies.values())

    @property
    def response_id(self) -> str:
        """The newest id of the response; empty before the first."""
        return self._base.id if self._base is not None else ""

    @property
    def last_sequence_number(self) -> int | None:
        """The number of the last event; ``None`` before the first."""
        return None if self.next_sequence_number is None else self.next_sequence_number - 1

    # What it takes

    def begin(self) -> None:
        """Expect no beginning: what comes is the rest of a response, or the whole of it at once. Before the first event."""
        if self._state == "awaited":
            self._state = "in_progress"
            self._from_the_start = False

    def push(self, event: Event) -> None:
        """Fold one event in, and give it the position that was found for it.

        Raises ``RemoteProtocolError`` in strict mode, ``LimitExceeded`` if there are limits.
        """
        if event.__class__ is self._hot_class and self.goes_on_with(event):
            # Nineteen events of twenty are one more delta of the text that the last one was of.
            delta: Any = event
            if delta.sequence_number == self.next_sequence_number:
                self.next_sequence_number = delta.sequence_number + 1
                delta.item_id = self._hot_id  # one string for all of them, so that kept events stay small
                if self._hot_logprobs is not None and delta.logprobs:
                    self._hot_logprobs += delta.logprobs
                self._hot_slot.built = self._snapshot = None
                self._grow(self._hot_text, delta.delta)
                return
        self._number(event)
        # An unknown event may well have a known type: a frame with that `event:` line whose data is no object.
        fold = None if isinstance(event, UnknownEvent) else self._FOLDS.get(event.type)
        if self.status is not None:
            if fold is not None:
                self._report("late-event", event, "", "after the terminal event")
        elif fold is not None:
            self._snapshot = None
            if event.type not in LIFECYCLE_TYPES and event.type != ErrorEvent.type:
                self.delivered_output = True
                if self._state == "awaited":
                    self._state = "in_progress"
                    self._report("created-missing", event, "", "the first event is not response.created")
            fold(self, event)

    def goes_on_with(self, event: Any) -> bool:
        """Whether an event is one more delta of the text that the last one was of, in every respect but its number."""
        return (
            event.__class__ is self._hot_class
            and event.extra is EMPTY
            and event.item_id == self._hot_id
            and event.output_index == self._hot_index
            and (not self._hot_at or getattr(event, self._hot_at) == self._hot_part)
        )

    def extend(self, deltas: list[str]) -> None:
        """Fold in more deltas of the text that the last one was of, numbered on from it: a :meth:`push` of each, in bulk.

        Only after :meth:`goes_on_with` said so. Raises ``LimitExceeded``.
        """
        self.next_sequence_number = (self.next_sequence_number or 0) + len(deltas)
        self._hot_slot.built = self._snapshot = None
        self._grow(self._hot_text, "".join(deltas))

    # Numbering

    def _number(self, event: Event) -> None:
        if isinstance(event, UnknownEvent):
            raw = event.raw
            number = raw.get("sequence_number") if isinstance(raw, dict) else None
            if type(number) is int and self.next_sequence_number in (None, number):
                self.next_sequence_number = number + 1
            return
        number = event.sequence_number
        expected = self.next_sequence_number
        if isinstance(event, (ErrorEvent, *_BESIDE_THE_SEQUENCE)) and type(number) is not int:
            return
        if _missing(event, "sequence_number"):
            self._report("sequence-missing", event, ".sequence_number", "numbered in order of arrival")
            number = expected or 0
            _settle(event, "sequence_number", number)
        elif expected is not None and number != expected and type(number) is int:
            if number < expected:
                if isinstance(event, _BESIDE_THE_SEQUENCE):
                    return
                self._report("sequence-repeated", event, ".sequence_number", f"{number} after {expected - 1}")
                number = expected
                _settle(event, "sequence_number", number)
            else:
                self._report("sequence-gap", event, ".sequence_number", f"{number} after {expected - 1}")
        self.next_sequence_number = (number if type(number) is int else 0) + 1

    # The response

    def _lifecycle(self, event: Any) -> None:
        kind: str = event.type
        following = RESPONSE_LIFE[self._state].get(kind)
        if following is None:
            rule = RESPONSE_RULES[self._state]["lifecycle"]
            self._report(rule, event, "", f"{kind} while {self._state.replace('_', ' ')}")
            # Without a beginning it goes on as if it had one; but there is no step back.
            skips = self._state == "awaited" or kind in TERMINAL_TYPES
            following = RESPONSE_LIFE["created"][kind] if skips else self._state
        self._state = following
        response: Any = event.response
        if self._base is not None and response.id and response.id != self._base.id and self._base.id:
            self._report("response-id-changed", event, ".response.id", f"{self._base.id} became {response.id}")
        if not response.id and self._base is not None and self._base.id:
            response = copy.copy(response)
            response.id = self._base.id
        self._base = response
        if kind in TERMINAL_TYPES:
            self._end(event, response)

    def _end(self, event: Any, response: Any) -> None:
        self._hot_class = None
        status = TERMINAL[event.type]
        for slot in self._slots if status == "completed" else ():
            if not slot.closed:
                self._report("item-unfinished", event, f".response.output[{slot.index}]", f"{slot.kind} was never done")
        ours, theirs = sorted(slot.kind for slot in self._slots), sorted(item.type for item in response.output)
        if ours and not theirs:
            if status != "failed":  # a failed response has no output, by right
                self._report("output-empty", event, ".response.output", f"{len(ours)} items were streamed")
            final: Any = copy.copy(response)
            final.output = self.streamed_output
            self._base = final
        elif ours != theirs and self._from_the_start:
            self._report("output-differs", event, ".response.output", f"streamed {ours}, finally {theirs}")
        if response.status in STATUS_PRECEDENCE[status]:
            if response.status != "cancelled":  # which has no event of its own
                self._report(
                    "status-contradicted", event, ".response.status", f"{event.type} of one that is {response.status}"
                )
            status = response.status
        self.status = status

    # Items

    def _item_added(self, event: Any) -> None:
        item = event.item
        index, item_id = self._index(event), text_of(item, "id")
        call_id = text_of(item, "call_id")
        at = self._by_id.get(item_id) if index is None else self._added_at(index)
        if at is not None and self._is_again(at, item, item_id, call_id):
            # Said again, or said at last for an item that deltas had opened: what was streamed stays.
            if at.implied:
                at.implied = False
                at.item, at.built = item, None
            else:
                self._report("item-repeated", event, ".item", f"slot {at.index} was open")
            self._learn_call_id(at, call_id)
            self._learn_id(at, item_id, event)
            self._place(event, at)
            return
        if index is None:
            self._report("index-missing", event, ".output_index", f"taken as {len(self._slots)}")
        elif at is not None:
            self._report("index-occupied", event, ".output_index", f"{index} is {at.kind}; taken as {len(self._slots)}")
        elif index != len(self._slots):
            self._report("index-skipped", event, ".output_index", f"{index} is not {len(self._slots)}, the next one")
        slot = self._open(item, index, implied=False)
        self._learn_id(slot, item_id, event)
        self._place(event, slot)

    def _added_at(self, index: int) -> SnapshotItem | None:
        """Give the item that is already where another one is added."""
        slot = self._by_index.get(index)
        if slot is None and index < len(self._slots) and not self._slots[index].indexed:
            slot = self._slots[index]
        return slot

    def _is_again(self, at: SnapshotItem, item: Any, item_id: str, call_id: str) -> bool:
        """Whether an item that is added at an occupied place is the one that is there."""
        if at.kind != item.type or at.closed:
            return False
        if at.implied or item_id in at.ids:
            return True
        # Ids rotate, but not so long that something else is added in between: then it is a server that counts wrongly.
        return (not item_id or not at.ids or at is self._slots[-1]) and (
            not call_id or not at.call_id or call_id == at.call_id
        )

    def _item_done(self, event: Any) -> None:
        item = event.item
        item_id, call_id = text_of(item, "id"), text_of(item, "call_id")
        slot = self._locate(event, (item.type,), item_id, call_id)
        if slot is None:
            self._report("item-implied", event, ".item", f"{item.type} was never added")
            slot = self._open(item, self._index(event), implied=True)
        if slot.closed:
            self._report("item-repeated", event, ".item", f"slot {slot.index} was done")
        self._learn_id(slot, item_id, event)
        self._learn_call_id(slot, call_id)
        slot.take(self._with_streamed(event, item, slot))
        slot.closed = True
        self._open_ones[slot.kind].pop(slot.index, None)
        if self._hot_slot is slot:
            self._hot_class = None
        self._place(event, slot)

    def _with_streamed(self, event: Any, item: Any, slot: SnapshotItem) -> Any:
        """Give the item's last word, with what was streamed where it says nothing."""
        merged: dict[str, Any] = {}
        for container, parts in slot.containers.items():
            said = list_at(item, container)
            whole = self._whole_parts(event, container, said, parts)
            if whole != said:
                merged[container] = whole
        for path, text in slot.fields.items():
            given = at_path(item, path)
            if not given and text.size:
                merged[path] = text.value()
            elif given != text.value() and slot.kind != "image_generation_call":
                self._report("delta-mismatch", event, f".item.{path}", "the item says another text than was streamed")
        if slot.outputs and not at_path(item, "output"):
            merged["output"] = [slot.outputs[index].build() for index in sorted(slot.outputs)]
        if merged:
            item = copy.copy(item)
            for path, value in merged.items():
                put_at(item, path, value)
        return item

    def _whole_parts(self, event: Any, container: str, said: list[Any], parts: list[SnapshotPart]) -> list[Any]:
        if not said:
            return [part.build() for part in parts] if any(part.text.size for part in parts) else said
        whole = [*said]
        for index, (part, streamed) in enumerate(zip(map(part_of, said), parts, strict=False)):
            if part.text.value() != streamed.text.value():
                self._report(
                    "delta-mismatch", event, f".item.{container}", "the item says another text than was streamed"
                )
                if part.kind == streamed.kind and not part.text.size:
                    whole[index] = streamed.build()
        return whole

    def _open(self, item: Any, index: int | None, *, implied: bool) -> SnapshotItem:
        """Put an item into the next place; ``index`` is what the server calls it from now on."""
        if len(self._slots) >= self._max_items:
            raise LimitExceeded("max_output_items", len(self._slots) + 1, maximum=self._max_items)
        slot = SnapshotItem(len(self._slots), item, implied=implied)
        self._slots.append(slot)
        self._open_ones.setdefault(slot.kind, {})[slot.index] = slot
        self._learn_call_id(slot, slot.call_id)
        if index is not None and self._added_at(index) in (None, slot):
            self._by_index[index] = slot
            slot.indexed = True
        return slot

    def _imply(self, event: Any, kind: str, item_id: str) -> SnapshotItem:
        """Open an item that the server never added (rule 5)."""
        self._report("item-implied", event, "", f"{kind} was never added")
        item: Any = load({"type": kind, **({"id": item_id} if item_id else {}), **_IMPLIED.get(kind, {})}, Item)
        if hasattr(item, "status"):
            item.status = "in_progress"
        return self._open(item, self._index(event), implied=True)

    def _learn_id(self, slot: SnapshotItem, item_id: str, event: Any) -> None:
        if not item_id or item_id in slot.ids:
            return
        owner = self._by_id.setdefault(item_id, slot)
        if owner is not slot:
            self._report("id-contradicted", event, ".item_id", f"{item_id} is slot {owner.index}")
            if slot.ids:
                return
        elif slot.ids:
            self._report("id-rotated", event, ".item_id", f"{slot.id} is also {item_id}")
        slot.id = slot.id or item_id
        slot.ids.add(item_id)

    def _learn_call_id(self, slot: SnapshotItem, call_id: str) -> None:
        if call_id:
            slot.call_id = call_id
            self._by_call_id.setdefault(call_id, slot)

    def _locate(self, event: Any, kinds: tuple[str, ...], item_id: str, call_id: str = "") -> SnapshotItem | None:
        """Find the item that an event belongs to, by rules 1 to 4; ``None`` leaves rule 5 to the caller."""
        index = self._index(event)
        slot = None
        if index is None:
            self._report("index-missing", event, ".output_index", "")
        else:
            slot = self._by_index.get(index) or (self._slots[index] if index < len(self._slots) else None)
            if slot is not None:
                if _takes(slot, kinds, item_id, call_id):
                    return slot
                self._report("index-contradicted", event, ".output_index", f"{index} is {slot.kind}")
        slot = self._by_id.get(item_id)
        if slot is not None and slot.kind in kinds:
            self._report("found-by-id", event, ".item_id", f"{item_id} is slot {slot.index}")
            return slot
        slot = self._by_call_id.get(call_id)
        if slot is not None and slot.kind in kinds:
            self._report("found-by-call-id", event, ".item.call_id", f"{call_id} is slot {slot.index}")
            return slot
        only = [slot for kind in kinds for slot in islice(self._open_ones.get(kind, {}).values(), 2)]
        if len(only) != 1 or not _takes(only[0], kinds, item_id, call_id):
            return None
        if index == len(self._slots) and item_id and only[0].ids:
            return None  # the next place and a new id: that is the next item, unannounced
        self._report("found-by-kind", event, "", f"slot {only[0].index} is the only open {only[0].kind}")
        return only[0]

    def _item_of(self, event: Any, kinds: tuple[str, ...], kind: str) -> SnapshotItem:
        """Find or open the item that an event belongs to, and write its position into the event."""
        item_id = text_of(event, "item_id")
        if not item_id and event.extra is not EMPTY:
            # Events that have no such field may say it all the same, and open-responses-server calls it `id`.
            said = (event.extra.get(name) for name in ("item_id", "id"))
            item_id = next((name for name in said if isinstance(name, str)), "")
        slot = self._locate(event, kinds, item_id)
        if slot is None:
            slot = self._imply(event, kind, item_id)
        self._learn_id(slot, item_id, event)
        self._place(event, slot)
        slot.built = None
        return slot

    def _growing(self, event: Any) -> SnapshotItem:
        """Find or open the item of an event that only one kind of item has."""
        kind = OTHER_GROWTH_EVENTS[event.type]
        return self._item_of(event, (kind,), kind)

    def _place(self, event: Any, slot: SnapshotItem) -> None:
        if event.output_index != slot.index or _missing(event, "output_index"):
            _settle(event, "output_index", slot.index)
        if hasattr(event, "item_id") and (event.item_id != slot.id or _missing(event, "item_id")):
            if not event.item_id:
                self._report("id-missing", event, ".item_id", f"taken as {slot.id!r}")
            _settle(event, "item_id", slot.id)

    def _index(self, event: Any) -> int | None:
        index: int = event.output_index
        return None if _missing(event, "output_index") or index < 0 else index

    # Parts and texts

    def _place_in(self, event: Any, slot: SnapshotItem, container: str, index_name: str) -> None:
        """Give an event that comes too late to be folded in a part index, where it has none."""
        if index_name and (_missing(event, index_name) or getattr(event, index_name) < 0):
            place = max(len(list_at(slot.item, container)) - 1, 0)
            self._report("part-index", event, f".{index_name}", f"taken as {place}")
            _settle(event, index_name, place)

    def _part(
        self, event: Any, slot: SnapshotItem, container: str, index_name: str, kind: str, *, grows: bool = False
    ) -> SnapshotPart:
        """Find or open the part that an event belongs to; an open one if there is one and the part is to grow."""
        parts = slot.parts(container)
        index: int = -1 if _missing(event, index_name) else getattr(event, index_name)
        place = index
        fits = 0 <= index < len(parts) and parts[index].kind == kind
        if not fits or (grows and parts[index].closed):
            still_open = (i for i in reversed(range(len(parts))) if parts[i].kind == kind and not parts[i].closed)
            place = next(still_open, index if fits else len(parts))
        if place == len(parts):
            self._report("part-implied", event, f".{index_name}", f"{kind or 'a part'} {place} was never added")
            self._open_part(parts, kind, None, "")
        if place != index:
            self._report("part-index", event, f".{index_name}", f"taken as {place}")
            _settle(event, index_name, place)
        return parts[place]

    def _open_part(self, parts: list[SnapshotPart], kind: str, model: Any, text: str) -> SnapshotPart:
        if len(parts) >= self._max_parts:
            raise LimitExceeded("max_content_parts", len(parts) + 1, maximum=self._max_parts)
        if model is None and kind:
            known: dict[str, Any] = {"type": kind}
            if kind in TEXT_FIELDS:
                known[TEXT_FIELDS[kind]] = ""
            if kind == OutputText.type:
                known["annotations"] = []
            model = load(known, Content)
        part = SnapshotPart(kind, model, field_of(model), text)
        parts.append(part)
        return part

    def _delta(self, event: Any) -> None:
        channel = DELTA_EVENTS[event.type]
        slot = self._item_of(event, (channel.item,), channel.item)
        part: SnapshotPart | None = None
        if slot.closed:
            self._report("delta-after-done", event, "", f"slot {slot.index} was done")
            self._place_in(event, slot, channel.container, channel.index)
            return
        if channel.index:
            part = self._part(event, slot, channel.container, channel.index, channel.part, grows=True)
            text = part.text
            if part.closed or text.whole:
                self._report("delta-after-done", event, f".{channel.index}", "the part was done")
                return
            if getattr(event, "logprobs", None):
                part.logprobs += event.logprobs
        else:
            text = slot.field(channel.field)
            if text.whole:
                self._report("delta-after-done", event, "", f"{channel.field} was done")
                return
        self._grow(text, event.delta)
        if hasattr(event, "item_id"):
            self._hot_class, self._hot_slot, self._hot_text = event.__class__, slot, text
            self._hot_id, self._hot_index = event.item_id, event.output_index
            self._hot_at = channel.index
            self._hot_part = getattr(event, channel.index) if channel.index else 0
            self._hot_logprobs = part.logprobs if part is not None and hasattr(event, "logprobs") else None

    def _text_done(self, event: Any) -> None:
        channel = DONE_EVENTS[event.type]
        slot = self._item_of(event, (channel.item,), channel.item)
        whole: str = getattr(event, channel.value)
        self._hot_class = None
        if slot.closed:
            self._place_in(event, slot, channel.container, channel.index)
            return
        if channel.index:
            part = self._part(event, slot, channel.container, channel.index, channel.part)
            text = part.text
            if getattr(event, "logprobs", None):
                part.logprobs = [*event.logprobs]
        else:
            text = slot.field(channel.field)
        self._settle_text(event, text, whole, channel)

    def _settle_text(self, event: Any, text: TextBuffer, whole: str, channel: DeltaField | PartEvent) -> None:
        streamed = text.value()
        if streamed and streamed != whole:
            self._report(
                "delta-mismatch", event, f".{channel.value}", f"{len(streamed)} characters streamed, {len(whole)} said"
            )
        # An empty last word is a server that leaves it out, not one that takes everything back.
        text.set(whole or streamed)

    def _part_event(self, event: Any) -> None:
        rule = PART_EVENTS[event.type]
        given: Any = getattr(event, rule.value)
        kind = "" if isinstance(given, str) else given.type
        home = PARTS.get((rule.container, kind))
        kinds = (home.item,) if home is not None and home.item in rule.items else rule.items
        slot = self._item_of(event, kinds, kinds[0])
        if slot.closed:
            self._place_in(event, slot, rule.container, rule.index)
        elif rule.opens:
            self._part_added(event, slot, rule, given, kind)
        else:
            self._hot_class = None
            part = self._part(event, slot, rule.container, rule.index, kind)
            streamed = part.text.size
            if part.field:
                self._settle_text(event, part.text, text_of(given, part.field), rule)
            if streamed and not text_of(given, part.field):
                part.closed = True  # its other fields would be as empty as its text
            else:
                part.close(given)

    def _part_added(self, event: Any, slot: SnapshotItem, rule: PartEvent, given: Any, kind: str) -> None:
        parts = slot.parts(rule.container)
        index: int = -1 if _missing(event, rule.index) else getattr(event, rule.index)
        model, text = (None, given) if isinstance(given, str) else (given, text_of(given, field_of(given)))
        if not 0 <= index < len(parts) or parts[index].kind != kind:
            if index != len(parts):
                self._report("part-index", event, f".{rule.index}", f"taken as {len(parts)}")
                _settle(event, rule.index, len(parts))
            self._open_part(parts, kind, model, text)
        elif parts[index].text.size or parts[index].closed:
            self._report("part-repeated", event, f".{rule.index}", f"part {index} is there")
        else:
            parts[index] = SnapshotPart(kind, model, field_of(model), text)

    def _annotation(self, event: Any) -> None:
        slot = self._growing(event)
        if slot.closed:
            self._place_in(event, slot, "content", "content_index")
            return
        part = self._part(event, slot, "content", "content_index", "output_text")
        if event.annotation:
            part.annotations.append(event.annotation)
            if len(part.annotations) > self._max_parts:
                raise LimitExceeded("max_content_parts", len(part.annotations), maximum=self._max_parts)

    # Everything else

    def _failed(self, event: Any) -> None:
        # It ends nothing by itself (`response.failed` may follow), but it is what a stream that then ends has ended with.
        self.error = event

    def _progress(self, event: Any) -> None:
        rule = PROGRESS[event.type]
        slot = self._item_of(event, (rule.item,), rule.item)
        if not slot.closed and rule.status:
            slot.status = rule.status

    def _image(self, event: Any) -> None:
        slot = self._growing(event)
        if not slot.closed:
            slot.fields["result"] = text = TextBuffer()
            text.set(event.partial_image_b64)

    def _shell_output(self, event: Any) -> None:
        slot = self._growing(event)
        index: int = event.command_index
        if _missing(event, "command_index") or index < 0:
            index = max(slot.outputs, default=0)
            self._report("part-index", event, ".command_index", f"taken as {index}")
            _settle(event, "command_index", index)
        if slot.closed:
            self._report("delta-after-done", event, "", f"slot {slot.index} was done")
            return
        if len(slot.outputs) >= self._max_parts and index not in slot.outputs:
            raise LimitExceeded("max_content_parts", len(slot.outputs) + 1, maximum=self._max_parts)
        if isinstance(event, ShellCallOutputContentDone):
            for place, whole in enumerate(event.output, index):
                slot.outputs[place] = CommandOutput(whole)
            return
        output = slot.outputs.setdefault(index, CommandOutput())
        for text, piece in ((output.stdout, event.delta.stdout), (output.stderr, event.delta.stderr)):
            if piece:
                self._grow(text, piece)
                output.built = None

    def _grow(self, text: TextBuffer, piece: str) -> None:
        text.write(piece)
        if text.size > self._max_text:
            raise LimitExceeded("max_item_bytes", text.size, maximum=self._max_text)

    def _sound(self, event: Any) -> None:
        self._grow(self._audio if event.type == AudioDelta.type else self._transcript, event.delta)

    # Findings

    def _report(self, code: str, event: Any, where: str, detail: str) -> None:
        self.report(Anomaly(code, f"{event.type} ${where}", detail), event)

    def report(self, anomaly: Anomaly, event: Event | None = None) -> None:
        """Keep a finding; each once. Raises ``RemoteProtocolError`` in strict mode."""
        key = (anomaly.code, anomaly.path)
        self.findings += 1
        if key not in self._anomalies and len(self._anomalies) < self._max_anomalies:
            self._anomalies[key] = anomaly
        if self._strict:
            number: Any = getattr(event, "sequence_number", None)
            raise RemoteProtocolError(
                f"{anomaly.code} @ {anomaly.path}: {anomaly.detail}"
                if anomaly.detail
                else f"{anomaly.code} @ {anomaly.path}",
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
        ErrorEvent.type: _failed,
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


_IMPLIED: Final[dict[str, dict[str, Any]]] = {
    "message": {"role": "assistant", "content": []},
    "apply_patch_call": {"operation": {"type": "update_file", "diff": ""}},
}
"""Type of item -> what one that was never added has, so that there is a place for its text."""


def _missing(event: Any, name: str) -> bool:
    """Whether the wire did not give a field, or gave something that is none."""
    extra = event.extra
    return extra is not EMPTY and (name in extra or (isinstance(extra, Extra) and name in extra.absent))


def _settle(event: Any, name: str, value: object) -> None:
    """Give a field the value that was worked out, and forget what the wire said instead."""
    setattr(event, name, value)
    extra = event.extra
    if _missing(event, name):
        absent = extra.absent - {name} if isinstance(extra, Extra) else ()
        rest = {key: kept for key, kept in extra.items() if key != name}
        event.extra = Extra(rest, absent) if rest or absent else EMPTY


def _takes(slot: SnapshotItem, kinds: tuple[str, ...], item_id: str, call_id: str) -> bool:
    """Whether the slot's item can take an event for such kinds, with these ids (empty if it has none)."""
    if slot.kind not in kinds:
        return False
    if item_id in slot.ids:
        return True  # whatever the call id: OpenAI's tool searches are done under another one than they were added with
    if call_id and slot.call_id and call_id != slot.call_id:
        return False
    return not (slot.closed and item_id and slot.ids)
