"""The accumulator: folds the events of one response into one snapshot, whatever server they come from.

:class:`Accumulator` takes events in the order of their arrival. It is pure (no clock, no I/O) and total: in lenient mode no
sequence of events makes it raise anything but ``LimitExceeded``. Whatever does not fit is reported as an anomaly and folded
in as well as possible; strict mode raises ``RemoteProtocolError`` instead.

How it works
------------
Two questions have to be answered for each event: *where* it belongs, and *what counts* where statements differ.

**Where.** Servers disagree most about this. The item of an event is, in this order (PROTOCOL: Which item an event belongs to):

1. the item at the event's ``output_index``, if it can take this kind of event;
2. the item that has, or recently had, the event's ``item_id``;
3. the item whose ``call_id`` is the event's ``call_id``, or its ``item_id`` (llama.cpp sends the call id there);
4. the only open item of a kind that can take it; where several are open and the event names none, the newest one spoken of;
5. a new item, opened on the spot. Of those that nothing names, there is never more than one of a kind.

An index that the server gives stays, gaps included, unless something contradicts it; the output is in the order of the
indices. A missing or contradicted index is worked out: it is the next one. The part of an item is found the same
way. Afterwards the event carries the position that was found: its ``output_index``, ``item_id``, part index and
``sequence_number`` are the resolved ones. Every step after the first is an anomaly.

**What counts.** An item is described by ``added``, by the events that grow it, by the ``done`` events of its parts, by
``output_item.done``, and by the terminal response. Each is merged into what is known (:mod:`._merge`): the stronger statement
counts where it says something, and what it leaves out stays. The terminal output is merged item by item, see :meth:`Accumulator._end`.

The cost of an event does not depend on how many came before: text grows in buffers, models are built when somebody asks, and what
is remembered of ids is bounded. Nineteen events of twenty are another delta of the text that the last one grew; ``push``
recognises these by :class:`_Growing` and spends nothing on finding their place again.
"""

from __future__ import annotations

import bisect
import copy
import operator
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from ..anomalies import Anomaly
from ..codec import load
from ..exceptions import LimitExceeded, LocalProtocolError, RemoteProtocolError
from ..models._base import EMPTY, Extra, Unknown
from ..models.actions import ShellOutput
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
from ..models.items import CALL_OUTPUT_PAIRS, Item, ItemReference
from ..models.response import Response
from ..typing import UNSET
from ._merge import merge
from ._snapshot import (
    TEXT_FIELDS,
    CommandOutput,
    PartList,
    SnapshotItem,
    SnapshotPart,
    TextBuffer,
    at_path,
    field_of,
    list_at,
    text_of,
)
from .state import (
    DELTA_EVENTS,
    DELTA_FIELDS,
    DONE_EVENTS,
    ITEM_DELTA_FIELDS,
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
    from collections.abc import Callable, Mapping, Sequence

    from ..limits import Limits
    from ..models.events import Event
    from ._merge import Difference

__all__ = ["Accumulator"]

_UNBOUNDED: Final = sys.maxsize
_BESIDE_THE_NUMBERING: Final = (Keepalive, RateLimitsUpdated)
_CALLS: Final = frozenset(pair.call for pair in CALL_OUTPUT_PAIRS) - {"mcp_approval_request", "program"}
_CONTAINERS: Final = tuple(dict.fromkeys(field.container for field in DELTA_FIELDS if field.container))
_LISTS: Final = (*_CONTAINERS, "output")
"""Where an item has lists that grow by events."""
_TEXT_NAMES: Final = frozenset(field.field.rpartition(".")[2] for field in DELTA_FIELDS if field.field) | {""}
"""The last step of a path that leads to a text; empty for a command, which is an element of a list."""


class _Growing(NamedTuple):
    """The text that the last delta grew, and what another delta of it looks like."""

    event_class: type[Any]
    item_id: str
    output_index: int
    part_index_name: str
    part_index: int
    item: SnapshotItem
    text: TextBuffer
    logprobs: list[Any] | None


class Accumulator:
    """The snapshot of one response, built from its events.

    Call :meth:`push` with each event; :attr:`response` is the snapshot, at any time.

    ``strict`` raises ``RemoteProtocolError`` where lenient mode reports an anomaly. ``limits`` bound the size of the response:
    without them it may grow without end. ``growth`` adds texts that grow by deltas of a vendor's: type of the event -> where its
    ``delta`` goes (see ``Converter.register``).
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
        self._max_items = limits.max_output_items if limits else _UNBOUNDED
        self._max_parts = limits.max_content_parts if limits else _UNBOUNDED
        self._max_text = limits.max_text_chars if limits else _UNBOUNDED
        self._max_anomalies = limits.max_anomalies if limits else _UNBOUNDED
        self._anomalies: dict[tuple[str, str], Anomaly] = {}
        self._dropped: dict[tuple[str, str], int] = {}  # of these anomalies: characters of late deltas
        self._state: ResponseState = "awaited"
        self._from_the_start = True
        self._base: Response | None = None  # the newest lifecycle event's response, merged with the older ones
        self._snapshot: Response | None = None  # what `response` returned last, as long as it is up to date
        self._items: list[SnapshotItem] = []  # in the order of their indices
        self._by_index: dict[int, SnapshotItem] = {}
        self._by_id: dict[str, SnapshotItem] = {}
        self._by_call_id: dict[str, SnapshotItem] = {}
        self._open: dict[str, dict[SnapshotItem, None]] = {}  # kind -> items without `done`; the newest spoken of last
        self._unnamed: dict[str, SnapshotItem] = {}  # kind -> the item for events that name none
        self._growing: _Growing | None = None
        self._audio = TextBuffer()
        self._transcript = TextBuffer()
        self._beside = 0  # numbers after the last one that events beside the numbering have used
        self.next_sequence_number: int | None = None
        """The number that the next event should have; ``None`` before the first event."""
        self.status: Literal["completed", "incomplete", "failed", "cancelled"] | None = None
        """How the response ended; ``None`` before a terminal event."""
        self.error: ErrorEvent | None = None
        """The last ``error`` event."""
        self.delivered_output: bool = False
        """Whether an event of an output item came."""
        self.findings: int = 0
        """How many anomalies were found, repeated ones and those over ``max_anomalies`` included."""

    # What there is

    @property
    def response(self) -> Response:
        """The snapshot as of the last event. Built when asked for, and not changed afterwards.

        Before the first event it is a response without content.
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
        """The output as the items' own events describe it, without what the terminal event says."""
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
        """What did not fit the protocol: each finding once."""
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
        """Whether the response has failed and no event has said why. An ``error`` event with the reason may follow (Azure)."""
        return self.status == "failed" and self.error is None and not (self._base is not None and self._base.error)

    # Verbs

    def skip_start(self) -> None:
        """Expect the rest of a response whose start was read elsewhere: items may appear without ``added``.

        Call it before the first event. Raises ``LocalProtocolError`` afterwards.
        """
        if self._state != "awaited":
            raise LocalProtocolError("skip_start() must be called before the first event")
        self._state = "created"  # the rest may begin with any event but that one
        self._from_the_start = False

    def push(self, event: Event) -> None:
        """Fold one event into the snapshot, and write the position that was found for it into the event.

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
                delta.item_id = growing.item_id  # one string for all of them, so that kept events stay small
                if growing.logprobs is not None and delta.logprobs:
                    growing.logprobs.extend(delta.logprobs)
                growing.item.built = self._snapshot = None
                text = growing.text
                text.write(delta.delta)
                if text.size > self._max_text:
                    raise LimitExceeded("max_text_chars", text.size, maximum=self._max_text)
                self._beside = 0
                return
        self._number(event)
        kind = event.type
        # An unknown event may have a known type: a frame with that `event:` line whose data is not an object.
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
            # They neither begin the numbering nor move it. But where a server counts them, too, they leave no gap.
            if _wire_number(event) == (expected or 0) + self._beside:
                self._beside += 1
            return
        number: Any = event.sequence_number
        beside, self._beside = self._beside, 0
        if isinstance(event, ErrorEvent) and type(number) is not int:
            return
        if _missing(event, "sequence_number"):
            self._report("sequence-missing", event, ".sequence_number", "numbered in order of arrival")
            number = expected or 0
            _resolve(event, "sequence_number", number)
        elif expected is not None and number != expected and type(number) is int:
            if number < expected:
                self._report("sequence-repeated", event, ".sequence_number", f"{number} after {expected - 1}")
                number = expected
                _resolve(event, "sequence_number", number)
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
            # Without a beginning it goes on as if it had one; but there is no step back.
            skips = self._state == "awaited" or kind in TERMINAL_TYPES
            following = RESPONSE_LIFE["created"][kind] if skips else self._state
        self._state = following
        response: Any = event.response
        self._check_sizes(response.output)
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
        """Return a later response with the fields that only the earlier ones state. The output is not merged here."""
        earlier: Any = copy.copy(known)
        if self._items or response.output:
            earlier.output = response.output
        if event.response.status != known.status:
            earlier.error, earlier.incomplete_details = response.error, response.incomplete_details

        def difference(what: Difference, path: str, _earlier: Any, _later: Any) -> None:
            if report and what == "kept":
                self._report("response-merged", event, f".response{path}", "left out; what was said before stays")

        return merge(earlier, response, difference)

    def _end(self, event: Any, response: Any) -> None:
        """Merge the terminal output with what was streamed, and end the response."""
        self._growing = None
        status = TERMINAL[event.type]
        if status == "completed":
            for item in self._items:
                if not item.closed:
                    path = f".response.output[{item.index}]"
                    self._report("item-unfinished", event, path, f"{item.kind} was never done")
        final = self._merged_output(event, response.output)
        if final is not response.output:
            response = copy.copy(response)
            response.output = final
            self._base = response
        if response.status in STATUS_PRECEDENCE[status]:
            if response.status != "cancelled":  # which has no event of its own
                detail = f"{event.type} of a response that is {response.status}"
                self._report("status-contradicted", event, ".response.status", detail)
            status = response.status
        self.status = status

    def _merged_output(self, event: Any, stated: list[Any]) -> list[Any]:
        """Return the final output: the terminal event's, with what was streamed and is not in it.

        Items that it leaves out stay in their place, but for a call that other listed items followed: then the server
        answered the call by itself (LiteLLM with MCP), and it must not look as if it waited for the client.
        """
        listed = [item for item in stated if not _is_nothing(item)]
        if not self._items:
            if listed and self._from_the_start:
                kinds = ", ".join(sorted({item.type for item in listed}))
                self._report("output-differs", event, ".response.output", f"items that were not streamed: {kinds}")
            return stated if len(listed) == len(stated) else listed
        if not listed:
            if event.type != "response.failed":  # a failed response has no output, by right
                self._report("output-empty", event, ".response.output", f"{len(self._items)} items were streamed")
            return self.streamed_output
        matches = self._matches(listed)
        merged: list[tuple[int, Any]] = []
        place, last = 0, -1
        for number, item in enumerate(listed):
            match = matches.get(number)
            if match is None:
                if self._from_the_start:
                    path = f".response.output[{number}]"
                    self._report("output-differs", event, path, f"{item.type} was not streamed")
                merged.append((max(place, number), item))
            else:
                merged.append((max(place, match.index), self._merged_item(event, number, match, item)))
                if match.index < last:
                    self._report(
                        "output-differs", event, ".response.output", "the items are in another order than streamed"
                    )
                last = match.index
            place = merged[-1][0]
        matched = set(matches.values())
        left_out = [item for item in self._items if item not in matched]
        last_listed = max((item.index for item in matched), default=-1)
        for item in left_out:
            self._report(
                "output-differs", event, ".response.output", f"{item.kind} {item.index} was streamed and is not listed"
            )
            if item.kind in _CALLS and item.index < last_listed:
                continue
            at = bisect.bisect_left(merged, item.index, key=operator.itemgetter(0))
            merged.insert(at, (item.index, item.build()))
        if len(merged) > self._max_items:
            raise LimitExceeded("max_output_items", len(merged), maximum=self._max_items)
        if self._from_the_start and not left_out and any(number != matches[number].index for number in matches):
            self._report(
                "index-skipped",
                event,
                ".response.output",
                "the output indices of the events are not those of the output",
            )
        return [item for _, item in merged]

    def _matches(self, listed: list[Any]) -> dict[int, SnapshotItem]:
        """Find the streamed item of each item of the terminal output: by id, by call id, by index, or else in order of their kind.

        Where some are left out, the same text tells more than the index. Ids rotate, so an item without a match by id may still be the one at its index; one that the ids contradict is not.
        """
        found: dict[int, SnapshotItem] = {}
        free = dict.fromkeys(self._items)
        named = {text_of(item, "id") for item in listed}
        called = {text_of(item, "call_id") for item in listed}

        def take(number: int, match: SnapshotItem | None) -> None:
            if match is not None and match in free and match.kind == listed[number].type and number not in found:
                found[number] = match
                del free[match]

        for number, item in enumerate(listed):
            take(number, self._by_id.get(text_of(item, "id")))
        for number, item in enumerate(listed):
            take(number, self._by_call_id.get(text_of(item, "call_id")))
        if len(listed) < len(self._items):  # which ones are left out, their texts tell
            by_text: dict[tuple[str, str], list[SnapshotItem]] = {}
            for streamed in reversed(free):
                by_text.setdefault((streamed.kind, _whole_text(streamed.build())), []).append(streamed)
            for number, item in enumerate(listed):
                alike = by_text.get((item.type, text)) if (text := _whole_text(item)) else None
                if alike and number not in found:
                    take(number, alike.pop())
        for number, item in enumerate(listed):
            at = self._by_index.get(number)
            theirs = at is not None and at.id in named and at.id != text_of(item, "id")
            if at is not None and not theirs and (not at.call_id or not text_of(item, "call_id")):
                take(number, at)
        in_order: dict[str, list[SnapshotItem]] = {}
        for item in reversed(free):
            if (not item.id or item.id not in named) and (not item.call_id or item.call_id not in called):
                in_order.setdefault(item.kind, []).append(item)
        for number, item in enumerate(listed):
            queue = in_order.get(item.type)
            if number in found or not queue:
                continue
            if text_of(item, "call_id") and queue[-1].call_id:
                continue  # two calls: their ids tell them apart
            take(number, queue.pop())
        return found

    def _merged_item(self, event: Any, number: int, streamed: SnapshotItem, stated: Any) -> Any:
        """Return what the events of an item and the terminal event's statement of it make together."""

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            where = f".response.output[{number}]{path}"
            if what == "kept":
                self._report("output-merged", event, where, "left out; what was streamed stays")
            elif not (streamed.partial and (earlier is UNSET or _ends_with(later, earlier))):
                self._report(
                    "output-differs", event, where, "differs from what was streamed; the terminal event counts"
                )

        return streamed.merged_with(stated, difference)

    # Items

    def _item_added(self, event: Any) -> None:
        item = event.item
        if _is_nothing(item):
            self._report("item-missing", event, ".item", "no item was opened")
            return
        self._check_size(item)
        index, item_id, call_id = _index(event), text_of(item, "id"), text_of(item, "call_id")
        at = (
            self._by_index.get(index)
            if index is not None
            else self._by_id.get(item_id) or self._by_call_id.get(call_id)
        )
        if at is not None and self._is_again(at, item, item_id, call_id):
            if at.implied:
                at.implied = False
                at.item = merge(item, at.item, _ignore)  # the events that came before it are the stronger statement
            else:
                self._report("item-repeated", event, ".item", f"item {at.index} was open")
                at.item = merge(at.item, item, _ignore)
            at.built = None
            self._learn_call_id(at, call_id)
        else:
            if index is None:
                self._report("index-missing", event, ".output_index", f"taken as {self._next_index}")
            elif at is not None:
                detail = f"{index} is {at.kind}; taken as {self._next_index}"
                self._report("index-occupied", event, ".output_index", detail)
            at = self._open_item(item, index, implied=False)
        self._learn_id(at, item_id, event)
        self._place(event, at)

    def _is_again(self, at: SnapshotItem, item: Any, item_id: str, call_id: str) -> bool:
        """Whether an item that is added at an occupied place is the one that is there."""
        if at.kind != item.type or at.closed:
            return False
        if at.implied or item_id in at.ids:
            return True
        # Ids rotate, but not so long that something else is added in between: then it is a server that counts wrongly.
        return (not item_id or not at.ids or at is self._items[-1]) and (
            not call_id or not at.call_id or call_id == at.call_id
        )

    def _item_done(self, event: Any) -> None:
        item = event.item
        if _is_nothing(item):
            self._report("item-missing", event, ".item", "no item was closed")
            return
        self._check_size(item)
        item_id, call_id = text_of(item, "id"), text_of(item, "call_id")
        at = self._locate(event, (item.type,), item_id, call_id)
        if at is None:
            if self._from_the_start:
                self._report("item-implied", event, ".item", f"{item.type} was never added")
            at = self._open_item(item, _index(event), implied=True)
        if at.closed:
            self._report("item-repeated", event, ".item", f"item {at.index} was done")
        self._learn_id(at, item_id, event)
        self._learn_call_id(at, call_id)
        streamed = bool(at.fields or at.containers)

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            if what == "kept":
                self._report("done-merged", event, f".item{path}", "left out; what was said before stays")
            elif streamed and _leads_to_text(path) and not (at.partial and _ends_with(later, earlier)):
                self._report("delta-mismatch", event, f".item{path}", "another text than was streamed")

        at.restart(at.merged_with(item, difference))
        at.closed = True
        self._open[at.kind].pop(at, None)
        if self._growing is not None and self._growing.item is at:
            self._growing = None
        self._place(event, at)

    @property
    def _next_index(self) -> int:
        return self._items[-1].index + 1 if self._items else 0

    def _open_item(self, item: Any, index: int | None, *, implied: bool) -> SnapshotItem:
        """Put an item at an index, or at the next one if the server gave none or a taken one."""
        if len(self._items) >= self._max_items:
            raise LimitExceeded("max_output_items", len(self._items) + 1, maximum=self._max_items)
        free = index is not None and index not in self._by_index
        at = SnapshotItem(index if free and index is not None else self._next_index, item, implied=implied)
        at.indexed = free
        at.partial = implied and not self._from_the_start
        self._by_index[at.index] = at
        bisect.insort(self._items, at, key=operator.attrgetter("index"))
        self._open.setdefault(at.kind, {})[at] = None
        self._learn_call_id(at, at.call_id)
        return at

    def _imply(self, event: Any, kind: str, item_id: str) -> SnapshotItem:
        """Open an item that the server never added (rule 5), or return the one that stands for all that cannot be placed."""
        index = _index(event)
        named = index is not None and index not in self._by_index
        unnamed = self._unnamed.get(kind)
        if not named and unnamed is not None and not unnamed.closed:
            return unnamed
        if not (named and not self._from_the_start):
            self._report("item-implied", event, "", f"{kind} was never added")
        item: Any = load({"type": kind, **({"id": item_id} if item_id else {}), **_IMPLIED.get(kind, {})}, Item)
        if hasattr(item, "status"):
            item.status = "in_progress"
        at = self._open_item(item, index, implied=True)
        if not named:
            self._unnamed[kind] = at
        return at

    def _learn_id(self, at: SnapshotItem, item_id: str, event: Any) -> None:
        if not item_id or item_id in at.ids:
            return
        owner = self._by_id.setdefault(item_id, at)
        if owner is not at:
            self._report("id-contradicted", event, ".item_id", f"{item_id} is item {owner.index}")
            if at.ids:
                return
        elif at.ids and self._by_call_id.get(item_id) is not at:
            self._report("id-rotated", event, ".item_id", f"{at.id} is also {item_id}")
        forgotten = at.remember_id(item_id)
        if forgotten and self._by_id.get(forgotten) is at:
            del self._by_id[forgotten]

    def _learn_call_id(self, at: SnapshotItem, call_id: str) -> None:
        if call_id:
            at.call_id = call_id
            self._by_call_id.setdefault(call_id, at)

    def _locate(self, event: Any, kinds: tuple[str, ...], item_id: str, call_id: str = "") -> SnapshotItem | None:
        """Find the item that an event belongs to, by rules 1 to 4; ``None`` leaves rule 5 to the caller."""
        index = _index(event)
        if index is None:
            self._report("index-missing", event, ".output_index", "")
        else:
            at = self._by_index.get(index)
            if at is not None:
                another = at.closed and item_id not in at.ids and any(self._open.get(kind) for kind in kinds)
                if not another and _takes(at, kinds, item_id, call_id):
                    at.indexed = True
                    return at
                self._report("index-contradicted", event, ".output_index", f"{index} is {at.kind}")
        at = self._by_id.get(item_id) if item_id else None
        if at is not None and at.kind in kinds:
            self._adopt(at, index)
            if at.index != index:
                self._report("found-by-id", event, ".item_id", f"{item_id} is item {at.index}")
            return at
        at = (self._by_call_id.get(call_id) if call_id else None) or (
            self._by_call_id.get(item_id) if item_id else None
        )
        if at is not None and at.kind in kinds:
            self._report("found-by-call-id", event, ".call_id", f"{call_id or item_id} is item {at.index}")
            self._adopt(at, index)
            return at
        return self._only_one(event, kinds, index, item_id, call_id)

    def _only_one(
        self, event: Any, kinds: tuple[str, ...], index: int | None, item_id: str, call_id: str
    ) -> SnapshotItem | None:
        """Find the only open item of a kind, or of several the newest one spoken of, if the event names none (rule 4)."""
        open_ones = [ones for kind in kinds if (ones := self._open.get(kind))]
        if not open_ones:
            return None
        newest = next(reversed(open_ones[0]))
        if len(open_ones) > 1 or len(open_ones[0]) > 1:
            if item_id or call_id or (index is not None and index not in self._by_index):
                return None
            self._report("found-by-kind", event, "", f"item {newest.index} is the newest open {newest.kind}")
            return newest
        if not _takes(newest, kinds, item_id, call_id):
            return None
        if index is not None and index not in self._by_index and newest.indexed:
            # A free index is that of a new item if the server does not announce its items, or if it is the next one.
            announced = not newest.implied and self._from_the_start
            if not announced or (index == self._next_index and item_id and newest.ids):
                return None
        self._report("found-by-kind", event, "", f"item {newest.index} is the only open {newest.kind}")
        return newest

    def _adopt(self, at: SnapshotItem, index: int | None) -> None:
        """Move an item whose index was worked out to the one that the server gives it, if that is free."""
        if index is None or at.indexed or index in self._by_index:
            return
        del self._by_index[at.index]
        del self._items[bisect.bisect_left(self._items, at.index, key=operator.attrgetter("index"))]
        at.index, at.indexed = index, True
        self._by_index[index] = at
        bisect.insort(self._items, at, key=operator.attrgetter("index"))

    def _item_of(self, event: Any, kinds: tuple[str, ...], kind: str) -> SnapshotItem:
        """Find or open the item that an event belongs to, and write its position into the event."""
        item_id = text_of(event, "item_id")
        if not item_id and event.extra is not EMPTY:
            # Events that have no such field may carry it all the same, and open-responses-server calls it `id`.
            given = (event.extra.get(name) for name in ("item_id", "id"))
            item_id = next((name for name in given if isinstance(name, str)), "")
        at = self._locate(event, kinds, item_id)
        if at is None:
            at = self._imply(event, kind, item_id)
        self._learn_id(at, item_id, event)
        self._place(event, at)
        if not at.closed:
            ones = self._open[at.kind]
            if len(ones) > 1:  # the one spoken of last comes last
                ones.pop(at, None)
                ones[at] = None
        at.built = None
        return at

    def _item_of_growth(self, event: Any) -> SnapshotItem:
        """Find or open the item of an event that only one kind of item has."""
        kind = OTHER_GROWTH_EVENTS[event.type]
        return self._item_of(event, (kind,), kind)

    def _place(self, event: Any, at: SnapshotItem) -> None:
        """Write the position of an item into an event of it."""
        if hasattr(event, "output_index") and (event.output_index != at.index or _missing(event, "output_index")):
            _resolve(event, "output_index", at.index)
        if hasattr(event, "item_id") and (event.item_id != at.id or _missing(event, "item_id")):
            if not event.item_id:
                self._report("id-missing", event, ".item_id", f"taken as {at.id!r}")
            _resolve(event, "item_id", at.id)

    def _check_sizes(self, items: Sequence[Any]) -> None:
        """Raise ``LimitExceeded`` for a statement of the whole output that is larger than the limits."""
        if len(items) > self._max_items:
            raise LimitExceeded("max_output_items", len(items), maximum=self._max_items)
        for item in items:
            self._check_size(item)

    def _check_size(self, item: Any) -> None:
        """Raise ``LimitExceeded`` for a statement of an item that is larger than the limits."""
        for container in _LISTS:
            parts = list_at(item, container)
            self._check_count(len(parts))
            for part in parts:
                self._check_part_size(part)
        for field in ITEM_DELTA_FIELDS.get(item.type, ()):
            self._check_text(at_path(item, field.field) if not field.container else None)

    def _check_part_size(self, part: Any) -> None:
        """Raise ``LimitExceeded`` for a statement of a part that is larger than the limits."""
        if isinstance(part, ShellOutput):
            self._check_text(part.stdout)
            self._check_text(part.stderr)
            return
        self._check_count(len(list_at(part, "annotations")))
        self._check_text(part if isinstance(part, str) else text_of(part, field_of(part)))

    def _check_text(self, text: Any) -> None:
        """Raise ``LimitExceeded`` for a text that is larger than the limit."""
        if isinstance(text, str) and len(text) > self._max_text:
            raise LimitExceeded("max_text_chars", len(text), maximum=self._max_text)

    # Parts and texts

    def _place_in(self, event: Any, at: SnapshotItem, container: str, index_name: str) -> None:
        """Give an event that comes too late to be folded in a part index, if it has none."""
        if index_name and (_missing(event, index_name) or getattr(event, index_name) < 0):
            place = max(len(list_at(at.item, container)) - 1, 0)
            self._report("part-index", event, f".{index_name}", f"taken as {place}")
            _resolve(event, index_name, place)

    def _part(
        self, event: Any, at: SnapshotItem, container: str, index_name: str, kind: str, *, grows: bool = False
    ) -> SnapshotPart:
        """Find or open the part that an event belongs to; an open one if there is one and the part is to grow."""
        parts = at.parts(container)
        index: int = -1 if _missing(event, index_name) else getattr(event, index_name)
        part = parts.by_index.get(index)
        fits = part is not None and part.kind == kind
        if part is None or not fits or (grows and part.closed):
            newest = parts.last_open(kind)
            if newest is not None:
                part = newest
            elif part is None or not fits:
                place = index if index >= 0 and part is None else parts.next_index
                if not at.partial:
                    self._report("part-implied", event, f".{index_name}", f"{kind or 'a part'} {place} was never added")
                part = self._open_part(parts, place, kind, None, "")
                part.partial = at.partial
        if part.index != index:
            self._report("part-index", event, f".{index_name}", f"taken as {part.index}")
            _resolve(event, index_name, part.index)
        return part

    def _open_part(self, parts: PartList, index: int, kind: str, model: Any, text: str) -> SnapshotPart:
        self._check_count(len(parts.by_index) + 1)
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
        at = self._item_of(event, (field.item,), field.item)
        part: SnapshotPart | None = None
        if at.closed:
            self._drop(event, "", piece)
            self._place_in(event, at, field.container, field.index)
            return
        if field.index:
            part = self._part(event, at, field.container, field.index, field.part, grows=True)
            text = part.text
            if part.closed or text.complete:
                self._drop(event, f".{field.index}", piece)
                return
            if getattr(event, "logprobs", None):
                part.logprobs += event.logprobs
        else:
            text = at.field(field.field)
            if text.complete:
                self._drop(event, "", piece)
                return
        self._grow(text, piece)
        if event.type in DELTA_EVENTS and hasattr(event, "item_id"):
            self._growing = _Growing(
                event.__class__,
                event.item_id,
                event.output_index,
                field.index,
                getattr(event, field.index) if field.index else 0,
                at,
                text,
                part.logprobs if part is not None and hasattr(event, "logprobs") else None,
            )

    def _drop(self, event: Any, where: str, piece: str) -> None:
        """Report a delta that came after the end of its text, and count what is lost by it."""
        path = f"{event.type} ${where}"
        self.report(Anomaly("delta-after-done", path, f"{len(piece)} characters came too late"), event)
        key = ("delta-after-done", path)
        if key in self._anomalies:
            self._dropped[key] = self._dropped.get(key, 0) + len(piece)

    def _text_done(self, event: Any) -> None:
        field = DONE_EVENTS[event.type]
        at = self._item_of(event, (field.item,), field.item)
        whole: str = getattr(event, field.value)
        self._growing = None
        if at.closed:
            self._place_in(event, at, field.container, field.index)
            return
        if field.index:
            part = self._part(event, at, field.container, field.index, field.part)
            text, partial = part.text, part.partial
            if getattr(event, "logprobs", None):
                part.logprobs = [*event.logprobs]
        else:
            text, partial = at.field(field.field), at.partial
        self._check_text(whole)
        self._complete_text(event, text, whole, field, partial=partial)

    def _complete_text(
        self, event: Any, text: TextBuffer, whole: str, field: DeltaField | PartEvent, *, partial: bool
    ) -> None:
        streamed = text.value()
        if streamed and not whole:
            self._report("done-merged", event, f".{field.value}", "left out; what was streamed stays")
        elif streamed and streamed != whole and not (partial and whole.endswith(streamed)):
            detail = f"{len(streamed)} characters streamed, {len(whole)} stated"
            self._report("delta-mismatch", event, f".{field.value}", detail)
        # An empty statement says nothing against what was streamed.
        text.set(whole or streamed)

    def _part_event(self, event: Any) -> None:
        rule = PART_EVENTS[event.type]
        given: Any = getattr(event, rule.value)
        kind = "" if isinstance(given, str) else given.type
        home = PARTS.get((rule.container, kind))
        kinds = (home.item,) if home is not None and home.item in rule.items else rule.items
        at = self._item_of(event, kinds, kinds[0])
        if at.closed:
            self._place_in(event, at, rule.container, rule.index)
        elif rule.opens:
            self._part_added(event, at, rule, given, kind)
        else:
            self._part_done(event, at, rule, given, kind)

    def _part_added(self, event: Any, at: SnapshotItem, rule: PartEvent, given: Any, kind: str) -> None:
        self._check_part_size(given)
        parts = at.parts(rule.container)
        index: int = -1 if _missing(event, rule.index) else getattr(event, rule.index)
        model, text = (None, given) if isinstance(given, str) else (given, text_of(given, field_of(given)))
        part = parts.by_index.get(index)
        if part is not None and part.kind == kind:
            if part.text.size or part.closed:
                self._report("part-repeated", event, f".{rule.index}", f"part {index} is there")
            else:
                parts.add(SnapshotPart(index, kind, model, field_of(model), text))
            return
        if index < 0 or part is not None:
            index = parts.next_index
            self._report("part-index", event, f".{rule.index}", f"taken as {index}")
            _resolve(event, rule.index, index)
        self._open_part(parts, index, kind, model, text)

    def _part_done(self, event: Any, at: SnapshotItem, rule: PartEvent, given: Any, kind: str) -> None:
        self._growing = None
        self._check_part_size(given)
        part = self._part(event, at, rule.container, rule.index, kind)

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            if what == "kept":
                self._report("done-merged", event, f".{rule.value}{path}", "left out; what was said before stays")
            elif path == f".{part.field}" and not (part.partial and _ends_with(later, earlier)):
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
            self._check_count(len(part.annotations))

    # Everything else

    def _error(self, event: Any) -> None:
        # It ends nothing by itself (`response.failed` may follow), but a stream that then ends has ended with it.
        self.error = event

    def _progress(self, event: Any) -> None:
        rule = PROGRESS[event.type]
        at = self._item_of(event, (rule.item,), rule.item)
        if not at.closed and rule.status:
            at.status = rule.status

    def _image(self, event: Any) -> None:
        # A partial image is a preview and never the item's result, so there is nothing to keep but the position.
        self._item_of_growth(event)

    def _shell_output(self, event: Any) -> None:
        at = self._item_of_growth(event)
        outputs = at.command_outputs()
        index: int = event.command_index
        if _missing(event, "command_index") or index < 0:
            index = max(outputs, default=0)
            self._report("part-index", event, ".command_index", f"taken as {index}")
            _resolve(event, "command_index", index)
        if isinstance(event, ShellCallOutputContentDone):
            if at.closed:
                self._report("delta-after-done", event, "", f"item {at.index} was done")
                return
            stated = dict(enumerate(event.output, index))
            self._check_count(len(outputs.keys() | stated.keys()))
            for place, whole in stated.items():
                outputs[place] = self._command_done(event, outputs.get(place), place - index, whole)
            return
        if at.closed or (index in outputs and outputs[index].complete):
            self._drop(event, ".command_index", f"{event.delta.stdout or ''}{event.delta.stderr or ''}")
            return
        self._check_count(len(outputs) + (index not in outputs))
        output = outputs.setdefault(index, CommandOutput())
        for text, piece in ((output.stdout, event.delta.stdout), (output.stderr, event.delta.stderr)):
            if piece:
                self._grow(text, piece)
                output.built = None

    def _command_done(self, event: Any, known: CommandOutput | None, place: int, whole: ShellOutput) -> CommandOutput:
        """Merge the statement of one command's whole output."""

        def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
            where = f".output[{place}]{path}"
            if what == "kept":
                self._report("done-merged", event, where, "left out; what was said before stays")
            elif _leads_to_text(path):
                detail = f"{len(earlier)} characters streamed, {len(later)} stated"
                self._report("delta-mismatch", event, where, detail)

        return CommandOutput(merge(known.build(), whole, difference) if known is not None else whole, complete=True)

    def _check_count(self, count: int) -> None:
        """Raise ``LimitExceeded`` for more parts than an item may have."""
        if count > self._max_parts:
            raise LimitExceeded("max_content_parts", count, maximum=self._max_parts)

    def _grow(self, text: TextBuffer, piece: str) -> None:
        text.write(piece)
        if text.size > self._max_text:
            raise LimitExceeded("max_text_chars", text.size, maximum=self._max_text)

    def _sound(self, event: Any) -> None:
        self._grow(self._audio if event.type == AudioDelta.type else self._transcript, event.delta)

    # Findings

    def _report(self, code: str, event: Any, where: str, detail: str) -> None:
        self.report(Anomaly(code, f"{event.type} ${where}", detail), event)

    def report(self, anomaly: Anomaly, event: Event | None = None) -> None:
        """Keep a finding, each once. Raises ``RemoteProtocolError`` in strict mode."""
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


_IMPLIED: Final[dict[str, dict[str, Any]]] = {
    "message": {"role": "assistant", "content": []},
    "apply_patch_call": {"operation": {"type": "update_file", "diff": ""}},
}
"""Type of item -> what one that was never added begins with, so that there is a place for its text."""


def _index(event: Any) -> int | None:
    """Return the output index that the wire gives; ``None`` if there is none."""
    index: Any = getattr(event, "output_index", None)
    return None if not isinstance(index, int) or index < 0 or _missing(event, "output_index") else index


def _is_nothing(item: Any) -> bool:
    """Return whether an item is none: ``null`` or an object without a type, which may have been read as a reference."""
    return (isinstance(item, Unknown) and not item.type) or (isinstance(item, ItemReference) and _missing(item, "type"))


def _missing(event: Any, name: str) -> bool:
    """Return whether the wire left out a field, or gave a value that does not fit."""
    extra = event.extra
    return extra is not EMPTY and (name in extra or (isinstance(extra, Extra) and name in extra.absent))


def _wire_number(event: Any) -> int | None:
    """Return the sequence number that the wire gives, whatever class the event has."""
    if isinstance(event, UnknownEvent):
        number: Any = event.raw.get("sequence_number") if isinstance(event.raw, dict) else None
    else:
        number = getattr(event, "sequence_number", event.extra.get("sequence_number"))
    return number if type(number) is int else None


def _resolve(event: Any, name: str, value: object) -> None:
    """Set a field to the value that was worked out, and forget what the wire said instead."""
    setattr(event, name, value)
    extra = event.extra
    if _missing(event, name):
        absent = extra.absent - {name} if isinstance(extra, Extra) else ()
        rest = {key: kept for key, kept in extra.items() if key != name}
        event.extra = Extra(rest, absent) if rest or absent else EMPTY


def _takes(at: SnapshotItem, kinds: tuple[str, ...], item_id: str, call_id: str) -> bool:
    """Return whether an item can take an event for such kinds, with these ids (empty if it has none)."""
    if at.kind not in kinds:
        return False
    if item_id in at.ids:
        return True  # whatever the call id: OpenAI's tool searches are done under another one than they were added with
    if call_id and at.call_id and call_id != at.call_id:
        return False
    return not (at.closed and item_id and at.ids)


def _leads_to_text(path: str) -> bool:
    return path.rpartition(".")[2].partition("[")[0] in _TEXT_NAMES or path.startswith(".action.commands")


def _whole_text(item: Any) -> str:
    """Return the text of a message or of reasoning; an empty string for other items."""
    text = getattr(item, "text", "")
    return text if isinstance(text, str) else ""


def _ends_with(whole: Any, end: Any) -> bool:
    return isinstance(whole, str) and isinstance(end, str) and whole.endswith(end)


def _ignore(*_difference: object) -> None:
    """Accept a difference between two statements that both come before the item has content."""
