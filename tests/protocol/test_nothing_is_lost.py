"""What one event said is in the snapshot, whatever later events leave out.

The oracle of these tests is a second, naive implementation of the rule: it knows nothing of models, of ids or of broken
positions, and folds plain JSON. It can do that because here only content is missing, and no position.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.test_corpus_streams import NOT_A_RESPONSE, RECORDINGS, events_of, name_of, recorded
from tests.protocol.test_emitter import ITEM_EXAMPLES, whole
from tests.streams import (
    Wire,
    added,
    codes,
    ending,
    frame,
    message,
    message_events,
    numbered,
    opening,
    read,
    text_delta,
    wire,
    without,
)
from tests.support import NO_SHARED, shared

from responses_proto.codec import dump, load
from responses_proto.exceptions import RemoteProtocolError
from responses_proto.models.events import TERMINAL_TYPES
from responses_proto.models.items import ITEM_TYPES
from responses_proto.models.response import Response
from responses_proto.protocol import ResponseStream, emit
from responses_proto.protocol.state import DELTA_EVENTS, DONE_EVENTS, ITEM_DELTA_FIELDS, PART_EVENTS, DeltaField
from responses_proto.testing import check_stream
from responses_proto.testing.strategies import Stream, streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Path: TypeAlias = tuple[str | int, ...]
How: TypeAlias = Literal["dropped", "null", "emptied"]

LISTS: Final = ("content", "summary", "commands", "output")
"""Fields whose lists are merged element by element."""
ADDED, DONE = "response.output_item.added", "response.output_item.done"
REPAIRS: Final = {"done-merged", "output-merged", "response-merged", "output-empty", "output-differs"}


# ---- the oracle


def is_object(value: Any) -> TypeGuard[Wire]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def overlaid(earlier: Any, later: Any, name: str | int = "") -> Any:
    """Give what two JSON values say together."""
    if is_empty(later):
        return later if earlier is None else earlier
    if is_object(earlier) and is_object(later) and is_of_one_kind(earlier, later):
        names = [*later, *(key for key in earlier if key not in later)]
        return {key: overlaid(earlier.get(key), later.get(key), key) for key in names}
    if name in LISTS and is_list(earlier) and is_list(later):
        longest = range(max(len(earlier), len(later)))
        return [overlaid(at(earlier, index), at(later, index)) for index in longest]
    return later


def is_of_one_kind(earlier: Wire, later: Wire) -> bool:
    return earlier.get("type") is None or later.get("type") is None or earlier["type"] == later["type"]


def at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None


def said(value: Any) -> Any:
    """Give a JSON value without what says nothing, and without ``status``, which has a rule of its own."""
    if is_object(value):
        fields = {name: said(one) for name, one in value.items() if name != "status" and not is_empty(one)}
        return {name: one for name, one in fields.items() if not is_empty(one)}
    if is_list(value):
        # Gaps in lists of parts close, and a part without content need not be repeated.
        return [
            kept
            for one in value
            if not is_empty(kept := said(one)) and not (is_object(kept) and kept.keys() == {"type"})
        ]
    return value


class Told:
    """What the events of a stream have said of each item: output index -> JSON."""

    def __init__(self, events: Iterable[Wire]) -> None:
        self.items: dict[int, Wire] = {}
        self._complete: set[tuple[Any, ...]] = set()
        for event in events:
            self._take(event)

    def _take(self, event: Wire) -> None:
        kind: str = event["type"]
        if kind in (ADDED, DONE):
            self._put(event, [], event.get("item") or {})
        elif kind in PART_EVENTS:
            rule = PART_EVENTS[kind]
            self._put(event, [*rule.container.split("."), event[rule.index]], event.get(rule.value))
        elif kind in DELTA_EVENTS or kind in DONE_EVENTS:
            self._text(event, (DELTA_EVENTS | DONE_EVENTS)[kind])
        elif kind == "response.output_text.annotation.added":
            path = ["content", event["content_index"], "annotations"]
            self._put(event, path, [*(self._get(event, path) or []), event["annotation"]])
        elif kind.startswith("response.shell_call_output_content"):
            self._command(event)

    def _text(self, event: Wire, field: DeltaField) -> None:
        place = [*field.container.split("."), event[field.index]] if field.index else []
        path: list[Any] = [*place, *(field.field.split(".") if field.field else [])]
        key = (event["output_index"], *path)
        if event["type"] in DONE_EVENTS:
            self._put(event, path, event.get(field.value))
            self._complete.add(key)
        elif key not in self._complete:
            self._put(event, path, (self._get(event, path) or "") + event["delta"])

    def _command(self, event: Wire) -> None:
        for number, output in enumerate(event.get("output", ()), event["command_index"]):
            self._put(event, ["output", number], output)
        for stream, piece in event.get("delta", {}).items():
            path = ["output", event["command_index"], stream]
            self._put(event, path, (self._get(event, path) or "") + (piece or ""))

    def _get(self, event: Wire, path: list[Any]) -> Any:
        value: Any = self.items.get(event["output_index"], {})
        for step in path:
            value = child(value, step)
        return value

    def _put(self, event: Wire, path: list[Any], value: Any) -> None:
        told = copy.deepcopy(value)
        for step in reversed(path):
            told = [None] * step + [told] if isinstance(step, int) else {step: told}
        index = event["output_index"]
        self.items[index] = overlaid(self.items.get(index, {}), told)


def expected(events: list[Wire]) -> list[Wire]:
    """Give the output that a stream with right positions has said."""
    told = Told(events).items
    terminal = next((event for event in events if event["type"] in TERMINAL_TYPES), None)
    listed: list[Wire] = (terminal["response"].get("output") or []) if terminal else []
    by_id = {item["id"]: index for index, item in told.items()}
    for item in listed:
        index = by_id.get(item["id"])
        if index is not None:
            told[index] = overlaid(told[index], item)
    last = max((by_id.get(item["id"], -1) for item in listed), default=-1)
    ids = {item["id"] for item in listed}
    # A call that is left out, though what follows it is listed, was served by the server.
    return [
        item
        for index, item in sorted(told.items())
        if not (ids and item["id"] not in ids and is_call(item["type"]) and index < last)
    ]


def is_call(kind: str) -> bool:
    return kind.endswith("_call") and kind.removesuffix("_call") in (
        "function", "custom_tool", "tool_search", "computer", "shell", "local_shell", "apply_patch",
    )  # fmt: skip


def output_of(stream: ResponseStream) -> list[Any]:
    output: list[Wire] = dump(stream.response).get("output") or []
    return [said(item) for item in output]


# ---- all kinds, all fields, all statements


def paths(value: Any, before: Path = ()) -> Iterator[Path]:
    """Give the paths of all fields, those of parts included, but for ``type``."""
    if is_object(value):
        for name, one in value.items():
            if name != "type":
                yield (*before, name)
                yield from paths(one, (*before, name))
    elif is_list(value) and before and before[-1] in LISTS:
        for index, one in enumerate(value):
            yield from paths(one, (*before, index))


def changed(value: Any, path: Path, how: How) -> Any:
    """Give a copy in which one field says nothing; ``None`` if it says nothing already, or cannot."""
    copied: Any = copy.deepcopy(value)
    holder: Any = copied
    for step in path[:-1]:
        holder = child(holder, step)
    name: Any = path[-1]
    if is_empty(child(holder, name)):
        return None
    if how == "dropped":
        del holder[name]
    elif how == "null":
        holder[name] = None
    elif isinstance(holder[name], (str, list, dict)):
        holder[name] = type(holder[name])()
    else:
        return None
    return copied


OTHER: Final[Wire] = {"type": "acme:other", "id": "other"}
HOWS: Final[tuple[How, ...]] = ("dropped", "null", "emptied")
TERMINAL: Final[dict[str, Any]] = {
    "whole": None,
    "[]": [],
    "null": None,
    "missing": None,
    "without the item": [OTHER],
    "an empty shell": None,
}


def full(kind: str) -> list[Wire]:
    """Give a stream with one item, each statement of which has all that the item has (but its growing texts, when added)."""
    wires = [dump(event) for event in emit(load(whole(ITEM_EXAMPLES[kind]), Response))]
    item = wires[-1]["response"]["output"][0]
    for event in wires:
        if event["type"] == ADDED:
            growing = {(field.container or field.field).split(".")[0] for field in ITEM_DELTA_FIELDS.get(kind, ())}
            event["item"] |= {name: value for name, value in item.items() if name not in {*growing, "status"}}
    return wires


def with_terminal(wires: list[Wire], terminal: str) -> list[Wire]:
    wires = copy.deepcopy(wires)
    response = wires[-1]["response"]
    (item,) = response["output"]
    if terminal == "missing":
        del response["output"]
    elif terminal == "an empty shell":
        response["output"] = [{"type": item["type"], "id": item["id"]}]
    elif terminal != "whole":
        response["output"] = TERMINAL[terminal]
    return wires


def cases(kind: str) -> Iterator[tuple[str, list[Wire]]]:
    """Give each damage with the stream that it makes."""
    wires = full(kind)
    item = wires[-1]["response"]["output"][0]
    for path in paths(item):
        for how in HOWS:
            for statement in (ADDED, DONE):
                place = next(number for number, event in enumerate(wires) if event["type"] == statement)
                part = changed(wires[place]["item"], path, how)
                if part is None:
                    continue
                damaged = [*wires[:place], {**wires[place], "item": part}, *wires[place + 1 :]]
                for terminal in TERMINAL:
                    yield f"{path} {how} in {statement}, terminal {terminal}", with_terminal(damaged, terminal)
            last = changed(item, path, how)
            if last is not None:
                damaged = copy.deepcopy(wires)
                damaged[-1]["response"]["output"] = [last]
                yield f"{path} {how} in the terminal output", damaged


def child(value: Any, step: Any) -> Any:
    """Give what is at one step of a path; ``None`` if there is nothing."""
    if is_list(value) and isinstance(step, int):
        return at(value, step)
    return value.get(step) if is_object(value) else None


def newest_status(wires: list[Wire]) -> Any:
    """Give the status by its own rule: the newest, but no stage of the work that a later statement does not repeat."""
    items = [event["item"] for event in wires if event["type"] in (ADDED, DONE)]
    listed: list[Wire] = wires[-1]["response"].get("output") or []
    items += [item for item in listed if item.get("id") != OTHER["id"]]
    status = None
    for item in items:
        status = item.get("status") or (status if status in ("completed", "incomplete", "failed") else None)
    return status


@pytest.mark.parametrize("kind", ITEM_EXAMPLES)
def test_a_field_that_one_statement_leaves_out_stays(kind: str) -> None:
    item = full(kind)[-1]["response"]["output"][0]
    for name, wires in cases(kind):
        stream = read(wires)
        output = dump(stream.response)["output"]
        found = [one for one in output if one.get("id") != OTHER["id"]]
        assert [said(one) for one in found] == [said(item)], name
        assert (found[0].get("status") or None) == newest_status(wires), name


@pytest.mark.parametrize("kind", ITEM_EXAMPLES)
def test_each_repair_is_a_finding(kind: str) -> None:
    nothing_to_lose = ITEM_EXAMPLES[kind].keys() <= {"type", "id", "status"}
    for name, wires in cases(kind):
        stream = read(wires)
        if nothing_to_lose and "an empty shell" in name:
            continue
        quiet = "response.output_item.added, terminal whole" in name or name.startswith("('status',)")
        if not quiet:
            assert codes(stream).keys() & REPAIRS, name
            assert check_stream(wires).rules & REPAIRS, name
        if stream.anomalies:
            with pytest.raises(RemoteProtocolError):
                read(wires, strict=True)
        else:
            read(wires, strict=True)


@pytest.mark.parametrize("kind", ITEM_EXAMPLES)
def test_a_clean_stream_has_no_finding(kind: str) -> None:
    for wires in (full(kind), [dump(event) for event in emit(load(whole(ITEM_EXAMPLES[kind]), Response))]):
        assert read(wires).anomalies == []
        read(wires, strict=True)
        assert check_stream(wires).ok


def test_a_silent_status_is_no_finding() -> None:
    wires = full("function_call")
    wires[-1]["response"]["output"][0].pop("status")
    stream = read(wires, strict=True)
    assert dump(stream.response)["output"][0]["status"] == "completed"


def test_the_examples_have_every_kind() -> None:
    assert ITEM_EXAMPLES.keys() >= ITEM_TYPES.keys()


@pytest.mark.parametrize("named", ["as streamed", "otherwise", "not at all"])
@pytest.mark.parametrize("listed", range(3))
def test_of_several_alike_items_one_is_listed(listed: int, named: str) -> None:
    texts = ["One.", "Two.", "Three."]
    streamed = [event for n, text in enumerate(texts) for event in message_events(n, f"m{n}", [text])]
    item = message(texts[listed], f"m{listed}" if named == "as streamed" else "other")
    last = ending([without(item, "id") if named == "not at all" else item])
    stream = read(numbered([*opening(), *streamed, last]))
    assert stream.response.output_text == "One.Two.Three."
    assert "output-differs" in codes(stream)


def test_content_that_is_a_string_grows() -> None:
    begun = {**message("", status="in_progress"), "content": "Hel"}
    stream = read(numbered([*opening(), added(0, begun), text_delta("lo"), ending([])]))
    assert stream.response.output_text == "Hello"


# ---- generated streams


class Thinned:
    """Takes content out of a stream, and leaves its positions alone."""

    def __init__(self, draw: Any, events: Iterable[Wire]) -> None:
        self._draw = draw
        self.events = copy.deepcopy(list(events))

    def thin(self) -> None:
        for _ in range(self._draw(st.integers(1, 6))):
            self._draw(st.sampled_from([self._empty_a_field, self._drop_a_done, self._thin_the_output]))()

    def _empty_a_field(self) -> None:
        statements: list[tuple[Wire, str | int]] = []
        for event in self.events:
            if event["type"] == DONE:
                statements.append((event, "item"))
            elif event["type"] in PART_EVENTS and not PART_EVENTS[event["type"]].opens:
                statements.append((event, "part"))
            elif event["type"] in TERMINAL_TYPES:
                statements += [
                    (event["response"]["output"], n) for n in range(len(event["response"].get("output") or ()))
                ]
        if not statements:
            return
        holder, key = self._draw(st.sampled_from(statements))
        places = [path for path in paths(holder[key]) if path != ("id",)]
        if places:
            after = changed(holder[key], self._draw(st.sampled_from(places)), self._draw(st.sampled_from(HOWS)))
            holder[key] = holder[key] if after is None else after

    def _drop_a_done(self) -> None:
        dones = [number for number, event in enumerate(self.events) if event["type"].endswith(".done")]
        if dones:
            del self.events[self._draw(st.sampled_from(dones))]

    def _thin_the_output(self) -> None:
        response = self.events[-1]["response"]
        how = self._draw(st.sampled_from(["item", "[]", "null", "missing"]))
        if how == "item" and response.get("output"):
            del response["output"][self._draw(st.integers(0, len(response["output"]) - 1))]
        elif how == "missing":
            response.pop("output", None)
        elif how != "item":
            response["output"] = None if how == "null" else []


def renumbered(events: list[Wire]) -> list[Wire]:
    numbered = [event for event in events if "sequence_number" in event]
    for number, event in enumerate(numbered):
        event["sequence_number"] = number
    return events


@st.composite
def thinned_streams(draw: st.DrawFn) -> list[Wire]:
    stream = draw(streams().filter(lambda stream: stream.wire[-1]["type"] in TERMINAL_TYPES))
    thinned = Thinned(draw, stream.wire)
    thinned.thin()
    return renumbered(thinned.events)


@given(thinned_streams(), st.randoms(use_true_random=False))
def test_the_snapshot_never_lacks_what_an_event_said(events: list[Wire], chance: Any) -> None:
    stream = read(events)
    assert output_of(stream) == [said(item) for item in expected(events)]
    data = wire(events)
    cut = sorted(chance.randrange(len(data)) for _ in range(5))
    pieces = [data[start:end] for start, end in zip([0, *cut], [*cut, len(data)], strict=True)]
    again = ResponseStream()
    for piece in pieces:
        again.receive_data(piece)
    again.receive_eof()
    assert dump(again.response) == dump(stream.response)
    assert again.anomalies == stream.anomalies


@given(streams())
def test_a_clean_generated_stream_has_no_finding(stream: Stream) -> None:
    assert read(stream.body).anomalies == []
    assert output_of(read(stream.body, strict=True)) == [said(item) for item in expected(list(stream.wire))]


# ---- recorded streams

DIALECTS: Final = sorted(shared("dialects").glob("*/*-stream.http"))
LESS: Final = ("terminal output", "output_item.done", "both")
SHORTENED: Final = {
    "vercel-ai__openai-phase.1": "the recorder shortened the deltas",
    "vercel-ai__openai-shell-container.1": "the recorder shortened the deltas",
    "openai-php__ResponseImageGenerationCreate": "ids made alike by the recorder",
}
"""Recordings in which the statements contradict one another, so that it matters which of them is left out."""


def less(events: list[Wire], what: str) -> list[Wire]:
    """Give the events without the terminal output, without ``output_item.done``, or without both."""
    kept = copy.deepcopy([event for event in events if what == "terminal output" or event["type"] != DONE])
    for event in kept:
        if what != "output_item.done" and event["type"] in TERMINAL_TYPES:
            event["response"]["output"] = []
    return kept


def lacks(whole: Any, part: Any) -> bool:
    """Return whether one JSON value says something that another does not say. Texts may be longer."""
    if is_empty(part):
        return False
    if is_object(part):
        return not is_object(whole) or any(lacks(whole.get(name), one) for name, one in part.items())
    if is_list(part) and is_list(whole):
        return any(index >= len(whole) or lacks(whole[index], one) for index, one in enumerate(part))
    return bool(whole != part)


def up_to_the_end(events: list[Wire]) -> list[Wire]:
    end = next((number for number, event in enumerate(events) if event["type"] in TERMINAL_TYPES), len(events))
    return events[: end + 1]


@pytest.mark.parametrize("entry", RECORDINGS)
@pytest.mark.parametrize("what", LESS)
def test_a_recording_lacks_only_what_no_event_carried(entry: Wire, what: str) -> None:
    name = name_of(entry)
    if name in NOT_A_RESPONSE | SHORTENED:
        pytest.skip((NOT_A_RESPONSE | SHORTENED)[name])
    events = up_to_the_end(less(events_of(recorded(entry)), what))
    rebuilt = output_of(read(b"".join(frame(event) for event in events)))
    told = carried(events)
    assert len(rebuilt) >= len(told)
    for item, one in zip(rebuilt, told, strict=False):
        assert not lacks(item, without(said(one), "id")), name  # ids rotate: the first one stays


def carried(events: list[Wire]) -> list[Wire]:
    """Give what the events of a recording carried, item by item; recordings have right positions and all items in the end."""
    told = [item for _, item in sorted(Told(event for event in events if "output_index" in event).items.items())]
    listed: list[Wire] = events[-1]["response"].get("output") or []
    return [overlaid(item, listed[number]) if number < len(listed) else item for number, item in enumerate(told)]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_object(value) or is_list(value):
        for one in value.values() if is_object(value) else value:
            yield from strings(one)


@pytest.mark.skipif(not DIALECTS, reason=NO_SHARED)
@pytest.mark.parametrize("what", LESS)
@pytest.mark.parametrize("path", DIALECTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_dialect_keeps_each_piece_of_its_texts(path: Any, what: str) -> None:
    body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    frames = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: {")]
    events = up_to_the_end(less([event for one in frames if "type" in (event := json.loads(one))], what))
    stream = read(b"".join(frame(event) for event in events))
    output = "".join(strings(dump(stream.response).get("output") or []))
    whole = {event["type"].removesuffix(".done"): event for event in events if event["type"] in DONE_EVENTS}
    for event in events:
        # A text that was said whole counts as that, not as its pieces.
        if event["type"] in DELTA_EVENTS and event["type"].removesuffix(".delta") not in whole:
            assert event["delta"] in output or contradicted(stream), event


def contradicted(stream: ResponseStream) -> bool:
    """Return whether the terminal output has the text differs from the streamed text, as ors writes "(No update)" there."""
    return any(one.code == "output-differs" and one.path.endswith(".text") for one in stream.anomalies)
