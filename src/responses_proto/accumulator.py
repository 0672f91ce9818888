"""Events to the response they tell of: one snapshot, for every server.

:class:`Accumulator` takes the events of one response in the order of their arrival and keeps what they add up to. It is pure
(no clock, no I/O) and total: in lenient mode no sequence of events makes it raise. What does not fit is reported as an
anomaly and folded in as well as can be; strict mode raises the same finding as ``RemoteProtocolError``.

Servers disagree most about *where* an event belongs, so that is settled first, in this order (PROTOCOL: identity):

1. the slot at the event's ``output_index``, if its item can take this kind of event;
2. the item that has, or once had, the event's ``item_id``;
3. the item that has its ``call_id``;
4. the only open item of a kind that can take it;
5. a new item of the fitting kind, opened on the spot.

Then the event is given the position that was found: after ``push``, its ``output_index``, ``item_id``, part index and
``sequence_number`` are the resolved ones, whatever the wire said.

The cost of an event does not depend on how many came before: text is kept in pieces and joined when somebody asks.
"""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

from .anomalies import Anomaly
from .codec import load
from .exceptions import LimitExceeded, RemoteProtocolError
from .models._base import EMPTY, Extra
from .models.actions import ShellOutput
from .models.content import Content, OutputText
from .models.events import (
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
from .models.items import Item
from .models.response import Response
from .state import DELTAS, DONES, PART_EVENTS, PARTS, PROGRESS, RESPONSE_LIFE, TERMINAL, Channel, PartEvent, ResponseState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .limits import Limits
    from .models.events import Event

__all__ = ["Accumulator"]

_UNBOUNDED: Final = sys.maxsize
_BESIDE_THE_SEQUENCE: Final = (Keepalive, RateLimitsUpdated)


class _Text:
    """A text that grows."""

    __slots__ = ("pieces", "size", "whole")

    def __init__(self, start: str = "") -> None:
        self.pieces = [start] if start else []
        self.size = len(start)
        self.whole = False

    def set(self, text: str) -> None:
        self.pieces = [text]
        self.size = len(text)
        self.whole = True

    def value(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = [_joined(self.pieces)]
        return self.pieces[0] if self.pieces else ""


def _joined(pieces: list[str]) -> str:
    text = "".join(pieces)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # A server that cuts UTF-16 in the middle of a character sends half of it in each of two deltas.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


class _Part:
    """A place in a container of an item."""

    __slots__ = ("annotations", "closed", "field", "kind", "logprobs", "model", "text")

    def __init__(self, kind: str, model: Content | None, field: str, text: str) -> None:
        self.kind = kind
        self.model = model
        self.field = field
        self.text = _Text(text)
        self.annotations: list[Any] = []
        self.logprobs: list[Any] = []
        self.closed = False

    def build(self) -> Any:
        if self.model is None:
            return self.text.value()
        part: Any = copy.copy(self.model)
        if self.field:
            setattr(part, self.field, self.text.value())
        if self.kind == OutputText.type:
            # The part's own last word may leave these out, as it may its text; then what was streamed stands.
            if self.annotations and not part.annotations:
                part.annotations = [*self.annotations]
            if self.logprobs and not part.logprobs:
                part.logprobs = [*self.logprobs]
        return part


class _Slot:
    """A place in the output, and the item in it."""

    __slots__ = (
        "built", "call_id", "closed", "containers", "fields", "id", "ids", "implied", "index", "item", "kind", "outputs", "status",
    )  # fmt: skip

    def __init__(self, index: int, item: Any, *, implied: bool) -> None:
        self.index = index
        self.kind: str = item.type
        self.id = ""
        self.ids: set[str] = set()
        self.call_id = ""
        self.closed = False
        self.implied = implied
        self.take(item)

    def take(self, item: Any) -> None:
        """Begin (again) from an item as the server gave it."""
        self.item = item
        self.containers: dict[str, list[_Part]] = {}
        self.fields: dict[str, _Text] = {}
        self.outputs: dict[int, Any] = {}
        self.status = ""
        self.built: Any = None
        self.call_id = _text_of(item, "call_id") or self.call_id

    def parts(self, container: str) -> list[_Part]:
        """The parts of a container, begun with those that the item came with."""
        parts = self.containers.get(container)
        if parts is None:
            parts = self.containers[container] = [_part_of(given) for given in _list_at(self.item, container)]
        return parts

    def field(self, path: str) -> _Text:
        """The text of a field, begun with what the item came with."""
        text = self.fields.get(path)
        if text is None:
            given = _at(self.item, path)
            text = self.fields[path] = _Text(given if isinstance(given, str) else "")
        return text

    def build(self) -> Any:
        """Make the item as of now. Items that were handed out are not touched again."""
        if self.built is None:
            item = self.item
            if self.containers or self.fields or self.status or self.outputs:
                item = copy.copy(item)
                for container, parts in self.containers.items():
                    _put(item, container, [part.build() for part in parts])
                for path, text in self.fields.items():
                    _put(item, path, text.value())
                if self.outputs:
                    _put(item, "output", [self.outputs[index] for index in sorted(self.outputs)])
                if self.status and hasattr(item, "status"):
                    item.status = self.status
            self.built = item
        return self.built


class Accumulator:
    """What the events of one response add up to. Verbs: :meth:`push`; then ask for :attr:`response`.

    ``strict`` raises ``RemoteProtocolError`` where lenient mode reports an anomaly. With ``limits``, ``push`` raises
    ``LimitExceeded`` for a response that outgrows them; without, nothing is bounded.
    """

    def __init__(self, *, strict: bool = False, limits: Limits | None = None) -> None:
        self._strict = strict
        self._max_items = limits.max_output_items if limits else _UNBOUNDED
        self._max_parts = limits.max_content_parts if limits else _UNBOUNDED
        self._max_text = limits.max_item_bytes if limits else _UNBOUNDED
        self._max_anomalies = limits.max_anomalies if limits else _UNBOUNDED
        self._anomalies: dict[tuple[str, str], Anomaly] = {}
        self._state: ResponseState = "awaited"
        self._base: Response | None = None
        self._snapshot: Response | None = None
        self._slots: list[_Slot] = []
        self._by_index: dict[int, _Slot] = {}
        self._by_id: dict[str, _Slot] = {}
        self._audio = _Text()
        self._transcript = _Text()
        self.next_sequence_number: int | None = None
        """What the next event's number should be; ``None`` before the first one."""
        self.status: Literal["completed", "incomplete", "failed", "cancelled"] | None = None
        """The outcome's status, once a terminal event came."""
        self.error: ErrorEvent | None = None
        """The last ``error`` event."""
        self.delivered_output = False
        """Whether any event of an output item came."""
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
            base = self._base if self._base is not None else load({}, Response)
            if self.status is None and self._slots:
                snapshot: Any = copy.copy(base)
                snapshot.output = self.streamed_output
                base = snapshot
            self._snapshot = base
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

    def push(self, event: Event) -> None:
        """Fold one event in, and give it the position that was found for it.

        Raises ``RemoteProtocolError`` in strict mode, ``LimitExceeded`` if there are limits.
        """
        delta: Any = event
        if (
            delta.__class__ is self._hot_class
            and delta.extra is EMPTY
            and delta.item_id == self._hot_id
            and delta.sequence_number == self.next_sequence_number
            and delta.output_index == self._hot_index
            and (not self._hot_at or getattr(delta, self._hot_at) == self._hot_part)
        ):
            # Nineteen events of twenty are one more delta of the text that the last one was of.
            self.next_sequence_number += 1
            delta.item_id = self._hot_id  # one string for all of them, so that kept events stay small
            text = self._hot_text
            piece = delta.delta
            text.pieces.append(piece)
            text.size += len(piece)
            if text.size > self._max_text:
                raise LimitExceeded("max_item_bytes", text.size, maximum=self._max_text)
            if self._hot_logprobs is not None and delta.logprobs:
                self._hot_logprobs += delta.logprobs
            self._hot_slot.built = self._snapshot = None
            return
        self._number(event)
        fold = _FOLDS.get(event.type)
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

    def begin(self) -> None:
        """Expect the response as if it had been created: for one that comes whole, without a stream."""
        self._state = "in_progress"

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
            self._report("lifecycle", event, "", f"{kind} while {self._state.replace('_', ' ')}")
            following = "ended" if kind in TERMINAL_TYPES else "in_progress"
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
        if self._slots and not response.output:
            self._report("output-empty", event, ".response.output", f"{len(self._slots)} items were streamed")
            final: Any = copy.copy(response)
            final.output = self.streamed_output
            self._base = final
        elif self._slots:
            ours, theirs = sorted(slot.kind for slot in self._slots), sorted(item.type for item in response.output)
            if ours != theirs:
                self._report("output-differs", event, ".response.output", f"streamed {ours}, finally {theirs}")
        self.status = "cancelled" if response.status == "cancelled" else status

    # Items

    def _item_added(self, event: Any) -> None:
        item = event.item
        index, item_id = self._index(event), _text_of(item, "id")
        call_id = _text_of(item, "call_id")
        at = self._by_index.get(index) if index is not None else self._by_id.get(item_id)
        if at is not None and at.kind == item.type and not at.closed and not (call_id and at.call_id and call_id != at.call_id):
            # Said again, or said at last for an item that deltas had opened: what was streamed stays.
            if at.implied:
                at.implied = False
                at.item, at.built = item, None
            else:
                self._report("item-repeated", event, ".item", f"slot {at.index} was open")
            at.call_id = call_id or at.call_id
            self._learn_id(at, item_id, event)
            self._place(event, at)
            return
        if index is None:
            self._report("index-missing", event, ".output_index", f"taken as {len(self._slots)}")
        elif at is not None:
            self._report("index-occupied", event, ".output_index", f"{index} is {at.kind}; taken as {len(self._slots)}")
        elif index > len(self._slots):
            self._report("index-skipped", event, ".output_index", f"{index} is past {len(self._slots)}")
        slot = self._open(item, implied=False)
        if at is None and index is not None:
            self._by_index[index] = slot
        self._learn_id(slot, item_id, event)
        self._place(event, slot)

    def _item_done(self, event: Any) -> None:
        item = event.item
        item_id, call_id = _text_of(item, "id"), _text_of(item, "call_id")
        slot = self._locate(event, (item.type,), item_id, call_id)
        if slot is None:
            self._report("item-implied", event, ".item", f"{item.type} was never added")
            slot = self._open(item, implied=True)
        if slot.closed:
            self._report("item-repeated", event, ".item", f"slot {slot.index} was done")
        self._learn_id(slot, item_id, event)
        slot.take(self._with_streamed(event, item, slot))
        slot.closed = True
        if self._hot_slot is slot:
            self._hot_class = None
        self._place(event, slot)

    def _with_streamed(self, event: Any, item: Any, slot: _Slot) -> Any:
        """The item's last word, with what was streamed where it says nothing."""
        merged = item
        for container, parts in slot.containers.items():
            said = _list_at(item, container)
            if not said and any(part.text.size for part in parts):
                merged = copy.copy(item) if merged is item else merged
                _put(merged, container, [part.build() for part in parts])
            elif any(_part_of(one).text.value() != part.text.value() for one, part in zip(said, parts, strict=False)):
                self._report("delta-mismatch", event, f".item.{container}", "the item says another text than was streamed")
        for path, text in slot.fields.items():
            if not _at(item, path) and text.size:
                merged = copy.copy(item) if merged is item else merged
                _put(merged, path, text.value())
            elif _at(item, path) != text.value() and slot.kind != "image_generation_call":
                self._report("delta-mismatch", event, f".item.{path}", "the item says another text than was streamed")
        return merged

    def _open(self, item: Any, *, implied: bool) -> _Slot:
        if len(self._slots) >= self._max_items:
            raise LimitExceeded("max_output_items", len(self._slots) + 1, maximum=self._max_items)
        slot = _Slot(len(self._slots), item, implied=implied)
        self._slots.append(slot)
        self._by_index[slot.index] = slot
        return slot

    def _imply(self, event: Any, kind: str, item_id: str) -> _Slot:
        """Open an item that the server never added (rule 5)."""
        self._report("item-implied", event, "", f"{kind} was never added")
        known: dict[str, Any] = {"type": kind, "status": "in_progress", **({"id": item_id} if item_id else {})}
        if kind == "message":
            known |= {"role": "assistant", "content": []}
        return self._open(load(known, Item), implied=True)

    def _learn_id(self, slot: _Slot, item_id: str, event: Any) -> None:
        if not item_id or item_id in slot.ids:
            return
        if slot.ids:
            self._report("id-rotated", event, ".item_id", f"{slot.id} is also {item_id}")
        else:
            slot.id = item_id
        slot.ids.add(item_id)
        self._by_id[item_id] = slot

    def _locate(self, event: Any, kinds: tuple[str, ...], item_id: str, call_id: str = "") -> _Slot | None:
        """Find the item that an event belongs to, by rules 1 to 4; ``None`` leaves rule 5 to the caller."""
        index = self._index(event)
        slot = self._by_index.get(index) if index is not None else None
        if slot is not None and _takes(slot, kinds, item_id, call_id):
            return slot
        if index is None:
            self._report("index-missing", event, ".output_index", "")
        elif slot is not None:
            self._report("index-contradicted", event, ".output_index", f"{index} is {slot.kind}")
        slot = self._by_id.get(item_id) if item_id else None
        if slot is not None and slot.kind in kinds:
            self._report("found-by-id", event, ".item_id", f"{item_id} is slot {slot.index}")
            return slot
        if call_id:
            for slot in self._slots:
                if slot.call_id == call_id and slot.kind in kinds:
                    self._report("found-by-call-id", event, ".item.call_id", f"{call_id} is slot {slot.index}")
                    return slot
        fitting = [slot for slot in self._slots if not slot.closed and _takes(slot, kinds, item_id, call_id)]
        if len(fitting) == 1:
            self._report("found-by-kind", event, "", f"slot {fitting[0].index} is the only open {fitting[0].kind}")
            return fitting[0]
        return None

    def _item_of(self, event: Any, kinds: tuple[str, ...], kind: str) -> _Slot:
        """Find or open the item that an event belongs to, and write its position into the event."""
        item_id = _text_of(event, "item_id")
        if not item_id and _missing(event, "item_id"):
            misnamed = event.extra.get("id")  # open-responses-server calls it so
            item_id = misnamed if isinstance(misnamed, str) else ""
        slot = self._locate(event, kinds, item_id)
        if slot is None:
            slot = self._imply(event, kind, item_id)
        self._learn_id(slot, item_id, event)
        self._place(event, slot)
        slot.built = None
        return slot

    def _place(self, event: Any, slot: _Slot) -> None:
        if event.output_index != slot.index or _missing(event, "output_index"):
            _settle(event, "output_index", slot.index)
        if getattr(event, "item_id", slot.id) != slot.id or _missing(event, "item_id"):
            if not event.item_id:
                self._report("id-missing", event, ".item_id", f"taken as {slot.id!r}")
            _settle(event, "item_id", slot.id)

    def _index(self, event: Any) -> int | None:
        index: int = event.output_index
        return None if _missing(event, "output_index") or index < 0 else index

    # Parts and texts

    def _part(self, event: Any, slot: _Slot, container: str, index_name: str, kind: str, *, grows: bool) -> _Part | None:
        """Find or open the part that an event belongs to; ``None`` if it is a delta for one that is closed."""
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
        part = parts[place]
        if grows and (part.closed or part.text.whole):
            self._report("delta-after-done", event, f".{index_name}", f"part {place} was done")
            return None
        return part

    def _open_part(self, parts: list[_Part], kind: str, model: Any, text: str) -> _Part:
        if len(parts) >= self._max_parts:
            raise LimitExceeded("max_content_parts", len(parts) + 1, maximum=self._max_parts)
        if model is None and kind:
            model = load({"type": kind, **({"annotations": []} if kind == "output_text" else {})}, Content)
        part = _Part(kind, model, _field_of(model), text)
        parts.append(part)
        return part

    def _delta(self, event: Any) -> None:
        channel = DELTAS[event.type]
        slot = self._item_of(event, (channel.item,), channel.item)
        part: _Part | None = None
        if slot.closed:
            self._report("delta-after-done", event, "", f"slot {slot.index} was done")
            return
        if channel.index:
            part = self._part(event, slot, channel.container, channel.index, channel.part, grows=True)
            if part is None:
                return
            text = part.text
            if getattr(event, "logprobs", None):
                part.logprobs += event.logprobs
        else:
            text = slot.field(channel.field)
            if text.whole:
                self._report("delta-after-done", event, "", f"{channel.field} was done")
                return
        text.pieces.append(event.delta)
        text.size += len(event.delta)
        if text.size > self._max_text:
            raise LimitExceeded("max_item_bytes", text.size, maximum=self._max_text)
        if hasattr(event, "item_id"):
            self._hot_class, self._hot_slot, self._hot_text = event.__class__, slot, text
            self._hot_id, self._hot_index = event.item_id, event.output_index
            self._hot_at = channel.index
            self._hot_part = getattr(event, channel.index) if channel.index else 0
            self._hot_logprobs = part.logprobs if part is not None and hasattr(event, "logprobs") else None

    def _text_done(self, event: Any) -> None:
        channel = DONES[event.type]
        slot = self._item_of(event, (channel.item,), channel.item)
        whole: str = getattr(event, channel.value)
        self._hot_class = None
        if slot.closed:
            return
        if channel.index:
            part = self._part(event, slot, channel.container, channel.index, channel.part, grows=False)
            if part is None:
                return
            text = part.text
            if getattr(event, "logprobs", None):
                part.logprobs = [*event.logprobs]
        else:
            text = slot.field(channel.field)
        self._settle_text(event, text, whole, channel)

    def _settle_text(self, event: Any, text: _Text, whole: str, channel: Channel | PartEvent) -> None:
        streamed = text.value()
        if streamed and streamed != whole:
            self._report("delta-mismatch", event, f".{channel.value}", f"{len(streamed)} characters streamed, {len(whole)} said")
        # An empty last word is a server that leaves it out, not one that takes everything back.
        text.set(whole or streamed)

    def _part_event(self, event: Any) -> None:
        rule = PART_EVENTS[event.type]
        given: Any = getattr(event, rule.value)
        kind = "" if isinstance(given, str) else given.type
        kinds = tuple(item for item in rule.items if len(rule.items) == 1 or _home(rule.container, kind) in ("", item))
        slot = self._item_of(event, kinds or rule.items, (kinds or rule.items)[0])
        if slot.closed:
            return
        parts = slot.parts(rule.container)
        index: int = -1 if _missing(event, rule.index) else getattr(event, rule.index)
        text = given if isinstance(given, str) else _text_of(given, _field_of(given))
        if not rule.opens:
            self._hot_class = None
            part = self._part(event, slot, rule.container, rule.index, kind, grows=False)
            if part is not None and not isinstance(given, str):
                streamed = part.text.value()
                if part.field:
                    self._settle_text(event, part.text, text, rule)
                if not text and streamed:
                    part.closed = True  # its other fields would be as empty as its text
                    return
                part.model, part.closed = given, True
            return
        if 0 <= index < len(parts) and parts[index].kind == kind:
            if parts[index].text.size or parts[index].closed:
                self._report("part-repeated", event, f".{rule.index}", f"part {index} is there")
                return
            parts[index].model = None if isinstance(given, str) else given
            return
        if index != len(parts):
            self._report("part-index", event, f".{rule.index}", f"taken as {len(parts)}")
            _settle(event, rule.index, len(parts))
        self._open_part(parts, kind, None if isinstance(given, str) else given, text)

    def _annotation(self, event: Any) -> None:
        slot = self._item_of(event, ("message",), "message")
        if slot.closed:
            return
        part = self._part(event, slot, "content", "content_index", "output_text", grows=False)
        if part is not None and event.annotation:
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
        slot = self._item_of(event, ("image_generation_call",), "image_generation_call")
        if not slot.closed:
            slot.fields["result"] = text = _Text()
            text.set(event.partial_image_b64)

    def _shell_output(self, event: Any) -> None:
        slot = self._item_of(event, ("shell_call_output",), "shell_call_output")
        index = max(event.command_index, 0)
        if slot.closed:
            return
        if len(slot.outputs) >= self._max_parts and index not in slot.outputs:
            raise LimitExceeded("max_content_parts", len(slot.outputs) + 1, maximum=self._max_parts)
        if isinstance(event, ShellCallOutputContentDone):
            for place, output in enumerate(event.output, index):
                slot.outputs[place] = output
            return
        before = slot.outputs.get(index)
        wrote = {name: getattr(event.delta, name) or "" for name in ("stdout", "stderr")}
        total = {name: (getattr(before, name) if before is not None else "") + text for name, text in wrote.items()}
        if sum(map(len, total.values())) > self._max_text:
            raise LimitExceeded("max_item_bytes", sum(map(len, total.values())), maximum=self._max_text)
        slot.outputs[index] = load(total, ShellOutput)

    def _sound(self, event: Any) -> None:
        text = self._audio if event.type == AudioDelta.type else self._transcript
        text.pieces.append(event.delta)
        text.size += len(event.delta)
        if text.size > self._max_text:
            raise LimitExceeded("max_item_bytes", text.size, maximum=self._max_text)

    # Findings

    def _report(self, code: str, event: Any, where: str, detail: str) -> None:
        self.report(Anomaly(code, f"{event.type} ${where}", detail), event)

    def report(self, anomaly: Anomaly, event: Event | None = None) -> None:
        """Keep a finding; each once. Raises ``RemoteProtocolError`` in strict mode."""
        key = (anomaly.code, anomaly.path)
        if key not in self._anomalies and len(self._anomalies) < self._max_anomalies:
            self._anomalies[key] = anomaly
        if self._strict:
            number: Any = getattr(event, "sequence_number", None)
            raise RemoteProtocolError(
                f"{anomaly.code} @ {anomaly.path}: {anomaly.detail}" if anomaly.detail else f"{anomaly.code} @ {anomaly.path}",
                sequence_number=number if type(number) is int else None,
                event_type=event.type if event is not None else None,
                code=anomaly.code,
            )


# Reading and writing events and items


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


def _text_of(model: Any, name: str) -> str:
    value = getattr(model, name, "") if name else ""
    return value if isinstance(value, str) else ""


def _at(item: Any, path: str) -> Any:
    for name in path.split("."):
        item = getattr(item, name, None)
    return item


def _list_at(item: Any, path: str) -> list[Any]:
    value = _at(item, path)
    return value if isinstance(value, list) else []


def _put(item: Any, path: str, value: object) -> None:
    """Write into an item that is ours; what is nested in it may not be, and is copied first."""
    name, _, rest = path.partition(".")
    if rest:
        inner = copy.copy(getattr(item, name, None))
        _put(inner, rest, value)
        value = inner
    if hasattr(item, name):
        setattr(item, name, value)


def _takes(slot: _Slot, kinds: tuple[str, ...], item_id: str, call_id: str) -> bool:
    """Whether the slot's item can take an event for such kinds, with these ids (empty if it has none)."""
    if slot.kind not in kinds or (call_id and slot.call_id and call_id != slot.call_id):
        return False
    return not (slot.closed and item_id and slot.ids and item_id not in slot.ids)


def _field_of(part: Any) -> str:
    return _TEXT_FIELDS.get(part.type, "") if part is not None and not isinstance(part, str) else ""


def _part_of(given: Any) -> _Part:
    if isinstance(given, str):
        return _Part("", None, "", given)
    field = _field_of(given)
    return _Part(given.type, given, field, _text_of(given, field))


_TEXT_FIELDS: Final = {part: channel.field for (_, part), channel in PARTS.items()}


def _home(container: str, part: str) -> str:
    """The type of item that such a part belongs to; empty if any."""
    channel = PARTS.get((container, part))
    return channel.item if channel is not None else ""


def _folds() -> Iterator[tuple[str, Callable[[Accumulator, Any], None]]]:
    for kind in LIFECYCLE_TYPES:
        yield kind, Accumulator._lifecycle
    for kind in DELTAS:
        yield kind, Accumulator._delta
    for kind in DONES:
        yield kind, Accumulator._text_done
    for kind in PART_EVENTS:
        yield kind, Accumulator._part_event
    for kind in PROGRESS:
        yield kind, Accumulator._progress
    yield ErrorEvent.type, Accumulator._failed
    yield OutputItemAdded.type, Accumulator._item_added
    yield OutputItemDone.type, Accumulator._item_done
    yield OutputTextAnnotationAdded.type, Accumulator._annotation
    yield ImageGenerationCallPartialImage.type, Accumulator._image
    yield ShellCallOutputContentDelta.type, Accumulator._shell_output
    yield ShellCallOutputContentDone.type, Accumulator._shell_output
    yield AudioDelta.type, Accumulator._sound
    yield AudioTranscriptDelta.type, Accumulator._sound


_FOLDS: Final = dict(_folds())
