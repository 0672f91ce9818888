"""The final output of a response: the output in the terminal event, merged with the streamed items."""

from __future__ import annotations

import bisect
import operator
from typing import TYPE_CHECKING, Any, Final

from ..models._base import Unknown
from ..models.items import CALL_OUTPUT_PAIRS, ItemReference
from ..typing import UNSET
from ._items import is_missing
from ._snapshot import SnapshotItem, text_of

if TYPE_CHECKING:
    from ._items import OnAnomaly, OutputItems
    from ._merge import Difference

_CALLS: Final = frozenset(pair.call for pair in CALL_OUTPUT_PAIRS) - {
    "mcp_approval_request",
    "multi_agent_call",
    "program",
}
"""Types of items that wait for the client, unless the server answers them itself."""


def merge_output(event: Any, streamed: OutputItems, stated: list[Any], report: OnAnomaly) -> list[Any]:
    """Return the final output: the items of the terminal event, each merged with its streamed item, and the items that it leaves out.

    Items that the terminal event leaves out keep their place, except for a call that was followed by listed items: the server has
    answered such a call itself (LiteLLM with MCP), so the call must not appear to wait for the client.
    """
    listed = [item for item in stated if not is_nothing(item)]
    if not len(streamed):
        if listed and streamed.from_the_start:
            kinds = ", ".join(sorted({item.type for item in listed}))
            report("output-differs", event, ".response.output", f"items that were not streamed: {kinds}")
        return stated if len(listed) == len(stated) else listed
    if not listed:
        if event.type != "response.failed":  # a failed response may have no output
            report("output-empty", event, ".response.output", f"items that were streamed: {len(streamed)}")
        return [item.build() for item in streamed]
    matches = _Matching(streamed, listed).found
    merged: list[tuple[int, Any]] = []  # (place, item); places never decrease
    place = 0
    for number, item in enumerate(listed):
        match = matches.get(number)
        if match is not None:
            item = _merge_item(event, number, match, item, report)  # noqa: PLW2901 - the item as it is now known
        elif streamed.from_the_start:
            report("output-differs", event, f".response.output[{number}]", f"{item.type} was not streamed")
        place = max(place, number if match is None else match.index)
        merged.append((place, item))
    _check_order(event, streamed, matches, report)
    last_listed = max((item.index for item in matches.values()), default=-1)
    matched = set(matches.values())
    for left_out in [item for item in streamed if item not in matched]:
        detail = f"{left_out.kind} {left_out.index} was streamed and is not listed"
        report("output-differs", event, ".response.output", detail)
        if left_out.kind not in _CALLS or left_out.index > last_listed:
            at = bisect.bisect_left(merged, left_out.index, key=operator.itemgetter(0))
            merged.insert(at, (left_out.index, left_out.build()))
    streamed.check_count(len(merged))
    return [item for _, item in merged]


def _check_order(event: Any, streamed: OutputItems, matches: dict[int, SnapshotItem], report: OnAnomaly) -> None:
    indices = [matches[number].index for number in sorted(matches)]
    if indices != sorted(indices):
        report("output-differs", event, ".response.output", "the order of the items differs from the stream")
    if streamed.from_the_start and len(matches) == len(streamed) and indices != sorted(matches):
        detail = "the output indices of the events are not the places of their items"
        report("index-skipped", event, ".response.output", detail)


class _Matching:
    """Matches the items listed in the terminal event with the streamed items.

    Items are matched by id, then by call id, then by equal text, then by index and kind, and then in order within their kind. Ids may
    rotate, so an item without a match by id may still be the item at its index, unless an id shows that it is a different item.
    """

    def __init__(self, streamed: OutputItems, listed: list[Any]) -> None:
        self.found: dict[int, SnapshotItem] = {}
        """Index in the list of the terminal event -> streamed item."""
        self._streamed = streamed
        self._listed = listed
        self._free = dict.fromkeys(streamed)
        self._ids = {text_of(item, "id") for item in listed} - {""}
        self._call_ids = {text_of(item, "call_id") for item in listed} - {""}
        self._by_name("id", streamed.by_id)
        self._by_name("call_id", streamed.by_call_id)
        self._by_text()
        self._by_index()
        self._in_order()

    def _take(self, number: int, match: SnapshotItem | None) -> None:
        taken = number in self.found or match not in self._free
        if match is not None and not taken and match.kind == self._listed[number].type:
            self.found[number] = match
            del self._free[match]

    def _by_name(self, field: str, known: dict[str, SnapshotItem]) -> None:
        for number, item in enumerate(self._listed):
            self._take(number, known.get(text_of(item, field)))

    def _by_text(self) -> None:
        alike: dict[tuple[str, str], list[SnapshotItem]] = {}
        for match in reversed(self._free):
            alike.setdefault((match.kind, text_of(match.build(), "text")), []).append(match)
        for number, item in enumerate(self._listed):
            text = text_of(item, "text")  # of a message or of reasoning
            matches = alike.get((item.type, text)) if text else None
            if matches and number not in self.found:
                self._take(number, matches.pop())

    def _by_index(self) -> None:
        # If all items are listed, each has its correct index there, even if the events had other indices.
        all_listed = len(self._listed) == len(self._streamed)
        at = dict(enumerate(self._streamed)) if all_listed else self._streamed.by_index
        for number, item in enumerate(self._listed):
            match = at.get(number)
            if match is not None and not self._is_another(match, item):
                self._take(number, match)

    def _is_another(self, match: SnapshotItem, item: Any) -> bool:
        """Return whether an id of a streamed item belongs to a listed item other than this one."""
        return (match.id in self._ids and match.id != text_of(item, "id")) or (
            match.call_id in self._call_ids and match.call_id != text_of(item, "call_id")
        )

    def _in_order(self) -> None:
        rest: dict[str, list[SnapshotItem]] = {}
        for match in reversed(self._free):
            if match.id not in self._ids and match.call_id not in self._call_ids:
                rest.setdefault(match.kind, []).append(match)
        for number, item in enumerate(self._listed):
            queue = rest.get(item.type)
            if number not in self.found and queue and not (queue[-1].call_id and text_of(item, "call_id")):
                self._take(number, queue.pop())


def _merge_item(event: Any, number: int, streamed: SnapshotItem, stated: Any, report: OnAnomaly) -> Any:
    """Return a streamed item merged with the same item in the terminal event."""

    def difference(what: Difference, path: str, earlier: Any, later: Any) -> None:
        where = f".response.output[{number}]{path}"
        if what == "kept":
            report("output-merged", event, where, "missing; the streamed value is kept")
        elif what == "moved":
            report("part-index", event, where, "the parts were streamed at other indices")
        elif not (streamed.partial and (earlier is UNSET or ends_with(later, earlier))):
            report("output-differs", event, where, "differs from the stream; the terminal event is used")

    return streamed.merged_with(stated, difference)


def is_nothing(item: Any) -> bool:
    """Return whether an item or part is empty: ``null``, or an object without a type, which may have been read as a reference."""
    return (isinstance(item, Unknown) and not item.type) or (
        isinstance(item, ItemReference) and is_missing(item, "type")
    )


def ends_with(whole: Any, end: Any) -> bool:
    """Return whether two values are texts, and one ends with the other. If a text was read from the middle, only its end is known."""
    return isinstance(whole, str) and isinstance(end, str) and whole.endswith(end)
