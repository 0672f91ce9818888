"""Find the output item that an event belongs to, by index, id, call id or kind.

The rules and their order are described in :mod:`.accumulator`. Every rule but the first is reported as an anomaly.
"""

from __future__ import annotations

import bisect
import operator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..codec import load
from ..exceptions import LimitExceeded
from ..models._base import EMPTY, Extra
from ..models.items import Item
from ._merge import merge
from ._snapshot import SnapshotItem, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OnAnomaly: TypeAlias = "Callable[[str, Any, str, str], None]"
"""Called with an anomaly: its code, the event, the path in the event, and the detail."""

_MAX_NAME: Final = 4096  # characters of an id that is remembered in addition to the first id of an item
_NODE: Final = 2048  # approximate bytes of memory that an empty item takes
_IMPLIED: Final[dict[str, dict[str, Any]]] = {
    "message": {"role": "assistant", "content": []},
    "apply_patch_call": {"operation": {"type": "update_file", "diff": ""}},
}
"""Type of item -> the initial fields of an item that was never added, so that there is a place for its text."""


class OutputItems:
    """The items of one response, in the order of their output indices.

    :meth:`add` adds an item that the server announces, :meth:`find` finds the item of an event by rules 1 to 4, and
    :meth:`find_or_imply` also opens a new item (rule 5). :meth:`close` marks an item as done.
    """

    def __init__(self, report: OnAnomaly, keep: Callable[[int], None], max_items: int) -> None:
        # `keep` is called with the number of bytes that are kept of an item, and raises if there are too many.
        self._report = report
        self._keep = keep
        self._max_items = max_items
        self._items: list[SnapshotItem] = []
        self._open: dict[str, dict[SnapshotItem, None]] = {}  # kind -> items without `done`, by last mention
        self._unnamed: dict[str, SnapshotItem] = {}  # kind -> the item for events that name no item
        self.by_index: dict[int, SnapshotItem] = {}
        self.by_id: dict[str, SnapshotItem] = {}
        """Id -> item, for the first id of each item and its newest ones."""
        self.by_call_id: dict[str, SnapshotItem] = {}
        self.from_the_start: bool = True
        """Whether the stream was read from its first event. Otherwise items may appear without ``added``."""

    def __iter__(self) -> Iterator[SnapshotItem]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def next_index(self) -> int:
        """The first index after all items."""
        return self._items[-1].index + 1 if self._items else 0

    # Verbs

    def add(self, event: Any, item: Any) -> SnapshotItem:
        """Add an item that ``output_item.added`` announces, and return its snapshot item: a new one, or the existing one."""
        index, item_id, call_id = _wire_index(event), text_of(item, "id"), text_of(item, "call_id")
        at = self.by_index.get(index) if index is not None else None
        unplaced = index is None or at is not None
        ones = (at, self.by_id.get(item_id), self.by_call_id.get(call_id)) if unplaced else ()
        again = next((one for one in ones if one is not None and self._is_again(one, item, item_id, call_id)), None)
        if again is not None:
            at = again
            if at.implied:
                at.implied = False
                at.item = merge(item, at.item, _ignore)  # the events before it are the stronger statement
            else:
                self._report("item-repeated", event, ".item", f"item {at.index} was open")
                at.item = merge(at.item, item, _ignore)
            at.built = None
        else:
            if index is None:
                self._report("index-missing", event, ".output_index", f"taken as {self.next_index}")
            elif at is not None:
                detail = f"{index} is {at.kind}; taken as {self.next_index}"
                self._report("index-occupied", event, ".output_index", detail)
            at = self._put(item, index, implied=False)
        self._learn(event, at, item_id, call_id)
        self._place(event, at)
        return at

    def find(self, event: Any, kinds: tuple[str, ...], item_id: str, call_id: str = "") -> SnapshotItem | None:
        """Return the item that an event belongs to, by rules 1 to 4. ``kinds``: the types of item that have such events."""
        index = _wire_index(event)
        if index is None:
            self._report("index-missing", event, ".output_index", "")
        else:
            at = self.by_index.get(index)
            if at is not None:
                another = at.closed and item_id not in at.ids and any(self._open.get(kind) for kind in kinds)
                if not another and _takes(at, kinds, item_id, call_id):
                    at.indexed = True
                    return at
                self._report("index-contradicted", event, ".output_index", f"{index} is {at.kind}")
        at = self.by_id.get(item_id) if item_id else None
        if at is not None and at.kind in kinds:
            self._adopt(at, index)
            if at.index != index:
                self._report("found-by-id", event, ".item_id", f"{item_id} is item {at.index}")
            return at
        for name in (call_id, item_id):
            at = self.by_call_id.get(name) if name else None
            if at is not None and at.kind in kinds:
                self._adopt(at, index)
                self._report("found-by-call-id", event, ".call_id", f"{name} is item {at.index}")
                return at
        return self._only_one(event, kinds, index, item_id, call_id)

    def find_or_imply(self, event: Any, kinds: tuple[str, ...], kind: str) -> SnapshotItem:
        """Return the item that an event belongs to. If there is none, open an item of the type ``kind``.

        Writes the position of the item into the event.
        """
        item_id = text_of(event, "item_id")
        if not item_id and event.extra is not EMPTY:
            # Events whose class has no such field may still contain it, and open-responses-server calls it `id`.
            given = (event.extra.get(name) for name in ("item_id", "id"))
            item_id = next((name for name in given if isinstance(name, str)), "")
        at = self.find(event, kinds, item_id) or self._imply(event, kind, item_id)
        self._learn(event, at, item_id, "")
        self._place(event, at)
        if not at.closed:
            ones = self._open[at.kind]
            if len(ones) > 1:  # the last one mentioned comes last
                ones.pop(at, None)
                ones[at] = None
        at.built = None
        return at

    def find_done(self, event: Any, item: Any) -> SnapshotItem:
        """Return the snapshot item for the item in ``output_item.done``. If there is none, open one."""
        item_id, call_id = text_of(item, "id"), text_of(item, "call_id")
        at = self.find(event, (item.type,), item_id, call_id)
        if at is None:
            if self.from_the_start:
                self._report("item-implied", event, ".item", f"{item.type} was never added")
            at = self._put(item, _wire_index(event), implied=True)
        if at.closed:
            self._report("item-repeated", event, ".item", f"item {at.index} was done")
        self._learn(event, at, item_id, call_id)
        return at

    def close(self, event: Any, at: SnapshotItem) -> None:
        """Mark an item as done, and write its position into its ``done`` event."""
        at.closed = True
        self._open[at.kind].pop(at, None)
        self._place(event, at)

    def check_count(self, count: int) -> None:
        """Raise ``LimitExceeded`` if a response may not have this many items."""
        if count > self._max_items:
            raise LimitExceeded("max_output_items", count, maximum=self._max_items)

    # Inside

    def _put(self, item: Any, index: int | None, *, implied: bool) -> SnapshotItem:
        """Put an item at an index, or at the next index if the server gave none, or one that is taken."""
        self.check_count(len(self._items) + 1)
        self._keep(_NODE + len(text_of(item, "id")))
        free = index is not None and index not in self.by_index
        at = SnapshotItem(index if free and index is not None else self.next_index, item, implied=implied)
        at.indexed = free
        at.partial = implied and not self.from_the_start
        self.by_index[at.index] = at
        bisect.insort(self._items, at, key=operator.attrgetter("index"))
        self._open.setdefault(at.kind, {})[at] = None
        return at

    def _imply(self, event: Any, kind: str, item_id: str) -> SnapshotItem:
        """Open an item that the server never added, or return the open item that collects all events without a place."""
        index = _wire_index(event)
        named = index is not None and index not in self.by_index
        unnamed = self._unnamed.get(kind)
        if not named and unnamed is not None and not unnamed.closed:
            return unnamed
        if not named or self.from_the_start:
            self._report("item-implied", event, "", f"{kind} was never added")
        item: Any = load({"type": kind, **({"id": item_id} if item_id else {}), **_IMPLIED.get(kind, {})}, Item)
        if hasattr(item, "status"):
            item.status = "in_progress"
        at = self._put(item, index, implied=True)
        if not named:
            self._unnamed[kind] = at
        return at

    def _is_again(self, at: SnapshotItem, item: Any, item_id: str, call_id: str) -> bool:
        """Return whether an item that is added at an occupied place is the same item as the existing one."""
        if at.kind != item.type:
            return False
        if at.closed:
            return at.implied and item_id in at.ids  # its `done` event came before `added`
        if at.implied or item_id in at.ids:
            return True
        # Ids rotate, but not across another added item. If there is one in between, the server counts wrongly.
        return (not item_id or not at.ids or at is self._items[-1]) and (
            not call_id or not at.call_id or call_id == at.call_id
        )

    def _only_one(
        self, event: Any, kinds: tuple[str, ...], index: int | None, item_id: str, call_id: str
    ) -> SnapshotItem | None:
        """Return the only open item of a kind; of several, the last one mentioned, if the event names none (rule 4)."""
        open_ones = [ones for kind in kinds if (ones := self._open.get(kind))]
        if not open_ones:
            return None
        newest = next(reversed(open_ones[0]))
        free = index is not None and index not in self.by_index
        if len(open_ones) > 1 or len(open_ones[0]) > 1:
            if item_id or call_id or free:
                return None
            self._report("found-by-kind", event, "", f"item {newest.index} is the newest open {newest.kind}")
            return newest
        if not _takes(newest, kinds, item_id, call_id):
            return None
        if free and newest.indexed:
            # A free index means a new item if the server does not announce its items, or if it is the next index.
            announced = not newest.implied and self.from_the_start
            if not announced or (index == self.next_index and item_id and newest.ids):
                return None
        self._report("found-by-kind", event, "", f"item {newest.index} is the only open {newest.kind}")
        return newest

    def _adopt(self, at: SnapshotItem, index: int | None) -> None:
        """Move an item whose index was inferred to the index that the server gives it, if that index is free."""
        if index is None or at.indexed or index in self.by_index:
            return
        del self.by_index[at.index]
        del self._items[bisect.bisect_left(self._items, at.index, key=operator.attrgetter("index"))]
        at.index, at.indexed = index, True
        self.by_index[index] = at
        bisect.insort(self._items, at, key=operator.attrgetter("index"))

    def _learn(self, event: Any, at: SnapshotItem, item_id: str, call_id: str) -> None:
        """Remember the ids of an item, a bounded number of each."""
        for name in (call_id, at.call_id):
            if name and name not in at.call_ids and (not at.call_ids or len(name) <= _MAX_NAME):
                at.call_id = name
                self.by_call_id.setdefault(name, at)
                _forget(self.by_call_id, at, at.call_ids.add(name))
        if not item_id or item_id in at.ids or (at.ids and len(item_id) > _MAX_NAME):
            return
        owner = self.by_id.setdefault(item_id, at)
        if owner is not at:
            self._report("id-contradicted", event, ".item_id", f"{item_id} is item {owner.index}")
            if at.ids:
                return
        elif at.ids and self.by_call_id.get(item_id) is not at:
            self._report("id-rotated", event, ".item_id", f"{at.id} is also {item_id}")
        _forget(self.by_id, at, at.ids.add(item_id))

    def _place(self, event: Any, at: SnapshotItem) -> None:
        """Write the position of an item into one of its events."""
        if hasattr(event, "output_index") and (event.output_index != at.index or is_missing(event, "output_index")):
            resolve(event, "output_index", at.index)
        if hasattr(event, "item_id") and (event.item_id != at.id or is_missing(event, "item_id")):
            if not event.item_id:
                self._report("id-missing", event, ".item_id", f"taken as {at.id!r}")
            resolve(event, "item_id", at.id)


def _takes(at: SnapshotItem, kinds: tuple[str, ...], item_id: str, call_id: str) -> bool:
    """Return whether an event for items of these kinds, with these ids (empty if it has none), can belong to an item."""
    if at.kind not in kinds:
        return False
    if item_id in at.ids:
        return True  # whatever the call id: OpenAI's tool searches have a different call id in `done` than in `added`
    if call_id and at.call_id and call_id != at.call_id:
        return False
    return not (at.closed and item_id and at.ids)


def _forget(known: dict[str, SnapshotItem], at: SnapshotItem, name: str) -> None:
    if name and known.get(name) is at:
        del known[name]


def _ignore(*_difference: object) -> None:
    """Accept a difference between two statements that were both made before the item had content."""


# ---- positions of events


def _wire_index(event: Any) -> int | None:
    """Return the output index in the wire data; ``None`` if there is none."""
    index: Any = getattr(event, "output_index", None)
    return None if not isinstance(index, int) or index < 0 or is_missing(event, "output_index") else index


def is_missing(event: Any, name: str) -> bool:
    """Return whether a field was missing in the wire data, or had a value that does not fit."""
    extra = event.extra
    return extra is not EMPTY and (name in extra or (isinstance(extra, Extra) and name in extra.absent))


def resolve(event: Any, name: str, value: object) -> None:
    """Set a field to the inferred value, and discard the raw value from the wire."""
    setattr(event, name, value)
    extra = event.extra
    if is_missing(event, name):
        absent = extra.absent - {name} if isinstance(extra, Extra) else ()
        rest = {key: kept for key, kept in extra.items() if key != name}
        event.extra = Extra(rest, absent) if rest or absent else EMPTY
