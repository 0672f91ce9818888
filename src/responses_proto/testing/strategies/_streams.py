"""Streams that a server may send, made by walking through the tables of the protocol's life.

Every item of the output is drawn whole first. Then its life is told: it is added empty, goes through the steps that the tables
allow, in any order that they allow, and is done. The lives of several parts, and of several items, go on side by side.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs
from hypothesis import strategies as st

from ...codec import load
from ...codec._specs import model_spec
from ...models._paths import get_path, set_path
from ...models.content import CONTENT_TYPES
from ...models.events import EVENT_TYPES, TERMINAL_TYPES, Event
from ...models.items import ITEM_TYPES
from ...models.response import Response
from ...protocol.emitter import encode_stream
from ...protocol.state import (
    ITEM_DELTA_FIELDS,
    ITEM_EVENTS,
    ITEM_LIFE,
    ITEM_PROGRESS,
    ITEM_STEPS,
    PART_CLOSERS,
    PART_EVENTS,
    PART_LIFE,
    PART_OPENERS,
    RESPONSE_LIFE,
    TERMINAL,
)
from ._models import fields, unknown_objects, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from ...models._base import Model
    from ...protocol.state import DeltaField, ItemState, ItemStep, PartState, PartStep, ResponseState
    from ...protocol.stream import OutcomeStatus

__all__ = ["Stream", "streams"]

_T = TypeVar("_T")
_Wire: TypeAlias = dict[str, Any]

_SMALL: Final = 3  # levels, from where on what is drawn has one more level of models
_FLAT: Final = 4  # levels, from where on it has none
_LATER: Final = frozenset(
    {"sequence_number", "output_index", "item_id"}
)  # what an event is given when its place is known
_ENDS: Final = ("completed", "incomplete", "failed")  # how an item can end
_GROWN: Final = {"image_generation_call": "result", "shell_call_output": "output"}
"""Type of item -> the field that grows by events of its own."""
_ALWAYS: Final = {("message", "content"), ("reasoning", "summary"), ("shell_call", "action.commands")}
"""(type of item, container): those that no item is without."""
_KINDS: Final = (*ITEM_EVENTS, *ITEM_EVENTS, *ITEM_EVENTS, *ITEM_TYPES)
"""Types of items to choose from: those more often that have more to tell."""


@attrs.frozen
class Stream:
    """A stream, and what it adds up to."""

    wire: tuple[_Wire, ...]
    """The events, as they are on the wire."""
    response: Response
    """The response that a client has in the end."""
    status: OutcomeStatus
    """How it ends, as a client would say."""

    @property
    def events(self) -> list[Event]:
        """The events, loaded anew each time: an accumulator writes into those that it is given."""
        return [load(event, Event) for event in copy.deepcopy(self.wire)]

    @property
    def body(self) -> bytes:
        """The stream as server-sent events, ``[DONE]`` included."""
        return encode_stream(self.events)


def streams(*, kinds: Sequence[str] | None = None, max_items: int = 3, beyond: bool = False) -> SearchStrategy[Stream]:
    """Make whole streams that keep to the protocol: ``check_stream(stream.body).ok``, whatever is drawn.

    ``kinds`` are the types of items in them, all if not given. There are up to ``max_items``, several of them open at a time.
    With ``beyond``, they have what the specification does not, as it allows: events, items, parts, fields and values.
    """
    return _streams(_KINDS if kinds is None else tuple(kinds), max_items, beyond=beyond)


@st.composite
def _streams(draw: DrawFn, kinds: tuple[str, ...], max_items: int, *, beyond: bool) -> Stream:
    return _Teller(_Chance(draw, beyond=beyond), kinds, max_items).tell()


class _Chance:
    """What is left to chance, in the words of this module."""

    def __init__(self, draw: DrawFn, *, beyond: bool) -> None:
        self._draw = draw
        self._beyond = beyond

    def number(self, most: int) -> int:
        return self._draw(st.integers(0, most))

    def often(self) -> bool:
        return self._draw(st.booleans())

    def rarely(self) -> bool:
        return self.number(9) == 9  # noqa: PLR2004 - one of ten; not 0, which comes more often than that

    def strangely(self) -> bool:
        """Whether there is to be something now that the specification does not have."""
        return self._beyond and self.rarely()

    def one_of(self, choices: Sequence[_T]) -> _T:
        return choices[self.number(len(choices) - 1)]

    def object_of(self, cls: type[Model], depth: int) -> _Wire:
        return self._draw(fields(cls, depth, beyond=self._beyond))

    def field_of(self, cls: type[Model], name: str, depth: int = _SMALL) -> Any:
        return self._draw(values(model_spec(cls).by_wire[name].shape, depth, beyond=self._beyond))

    def unknown(self) -> _Wire:
        return self._draw(unknown_objects())

    def text(self) -> str:
        return str(self.field_of(CONTENT_TYPES["output_text"], "text"))

    def pieces(self, text: str) -> list[str]:
        cuts = sorted(self.number(len(text)) for _ in range(self.number(3)))
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    def merged(self, lives: Sequence[Sequence[_T]]) -> list[_T]:
        """Shuffle lives into each other: each keeps its order, and they begin in theirs."""
        waiting = [list(life) for life in lives if life]
        going: list[list[_T]] = []
        told: list[_T] = []
        while waiting or going:
            choice = self.number(len(going) if waiting else len(going) - 1)
            if choice == len(going):
                going.append(waiting.pop(0))
            told.append(going[choice].pop(0))
            going = [life for life in going if life]
        return told


class _Teller:
    """Tells one stream."""

    def __init__(self, chance: _Chance, kinds: tuple[str, ...], max_items: int) -> None:
        self._chance = chance
        self._kinds = kinds
        self._max_items = max_items if kinds else 0

    # The response

    def tell(self) -> Stream:
        chance = self._chance
        base = {**chance.object_of(Response, _FLAT), "id": f"resp_{chance.number(9)}"}
        output: list[_Wire] = []
        shown: list[_Wire] = []
        told: list[_Wire] = []
        status: Any = "in_progress"
        state: ResponseState = "awaited"
        while state != "ended":
            if state == "in_progress":
                output = shown = [self._item(index) for index in range(chance.number(self._max_items))]
                told += chance.merged([self._life(index, item) for index, item in enumerate(output)])
            # Most are to get as far as to have output.
            steps = [name for name in RESPONSE_LIFE[state] for _ in range(1 if name in TERMINAL_TYPES else 6)]
            name = chance.one_of(steps)
            state = RESPONSE_LIFE[state][name]
            status = self._status(name)
            if status == "failed" and chance.often():
                told.append(self._event("error"))
                shown = []  # a response that failed need not repeat what was streamed
            told.append({"type": name, "response": {**base, **self._ending(status), "status": status, "output": shown}})
        final = {**told[-1]["response"], "output": output}
        return Stream(tuple(self._numbered(told)), load(copy.deepcopy(final), Response), status)

    def _status(self, name: str) -> str:
        if name not in TERMINAL:
            return "queued" if name == "response.queued" else "in_progress"
        # Cancelling has no event of its own.
        return "cancelled" if name != "response.completed" and self._chance.rarely() else TERMINAL[name]

    def _ending(self, status: str) -> _Wire:
        return {
            "error": {"code": "server_error", "message": self._chance.text()} if status == "failed" else None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        }

    def _numbered(self, told: list[_Wire]) -> Iterator[_Wire]:
        number = 0
        for event in told:
            if number and self._chance.rarely():
                yield {"type": "keepalive"}  # which has no number
            if number and self._chance.strangely():
                yield {**self._chance.unknown(), "sequence_number": number}
                number += 1
            yield {**event, "sequence_number": number}
            number += 1

    # Items

    def _item(self, index: int) -> _Wire:
        """Draw an item as it is in the end."""
        chance = self._chance
        kind = chance.one_of(self._kinds)
        cls = ITEM_TYPES.get(kind)
        if cls is None or chance.strangely():
            return {**chance.unknown(), **({"type": kind} if cls is None else {}), "id": f"item_{index}"}
        item = {**chance.object_of(cls, _SMALL), "id": f"item_{index}"}
        if item.get("call_id"):
            item["call_id"] = f"call_{index}"
        if isinstance(item.get("status"), str):
            known = model_spec(cls).by_wire["status"].shape.known
            item["status"] = chance.one_of([status for status in _ENDS if status in known])
        if kind == "message":
            item["role"] = "assistant"
        for container in _containers(kind):
            item.pop(container, None)  # what was drawn for it could be parts of any kind
            if (kind, container) in _ALWAYS or chance.often():
                set_path(item, container, [self._part(kind, container) for _ in range(chance.number(3))])
        return item

    def _part(self, kind: str, container: str) -> _Wire | str:
        part = self._chance.one_of([c.part for c in ITEM_DELTA_FIELDS[kind] if c.container == container])
        if not part:
            return self._chance.text()
        if self._chance.strangely():
            return self._chance.unknown()
        whole = self._chance.object_of(CONTENT_TYPES[part], _SMALL)
        if part == "output_text":
            whole["annotations"] = self._chance.field_of(CONTENT_TYPES[part], "annotations")
        return whole

    def _life(self, index: int, item: _Wire) -> list[_Wire]:
        """Tell the life of an item: a walk through the table."""
        failed = item.get("status") == "failed" or bool(item.get("error"))
        waiting: dict[ItemStep, list[_Wire]] = {
            "added": [{"type": "response.output_item.added", "item": _emptied(item)}],
            "grows": self._growth(item),
            "done": [{"type": "response.output_item.done", "item": item}],
        }
        for name in ITEM_PROGRESS.get(item["type"], ()):
            if ITEM_STEPS[name] != ("ends" if failed else "fails"):
                waiting.setdefault(ITEM_STEPS[name], []).append(self._event(name))
        told: list[_Wire] = []
        state: ItemState = "awaited"
        while state != "done":
            # The last stages have to wait for what grows.
            possible: list[ItemStep] = [
                step
                for step, after in ITEM_LIFE[state].items()
                if waiting.get(step) and not (waiting["grows"] and after in ("worked", "done"))
            ]
            step = self._chance.one_of(possible)
            told.append(waiting[step].pop(0))
            state = ITEM_LIFE[state][step]
        return [_placed(event, index, item["id"]) for event in told]

    # What grows

    def _growth(self, item: _Wire) -> list[_Wire]:
        kind: str = item["type"]
        lives: list[list[_Wire]] = []
        for container in _containers(kind):
            parts: list[_Wire | str] = get_path(item, container) or []
            lives.append(
                self._chance.merged([self._part_life(kind, container, at, part) for at, part in enumerate(parts)])
            )
        for channel in ITEM_DELTA_FIELDS.get(kind, ()):
            text = get_path(item, channel.field)
            if not channel.container and isinstance(text, str):
                lives.append(_walk(self._text_events(channel, text, 0), "open"))
        if kind in _GROWN and item.get(_GROWN[kind]):
            lives.append(self._images() if kind == "image_generation_call" else self._outputs(item["output"]))
        return self._chance.merged(lives)

    def _part_life(self, kind: str, container: str, at: int, part: _Wire | str) -> list[_Wire]:
        """Tell the life of a part: a walk through the table, with its annotations anywhere before its end."""
        named = "" if isinstance(part, str) else part["type"]
        fitting = [c for c in ITEM_DELTA_FIELDS[kind] if (c.container, c.part) == (container, named)]
        channel = self._chance.one_of(fitting) if fitting else None
        waiting: dict[PartStep, list[_Wire]] = {
            "added": [self._part_event(PART_OPENERS[kind, container], at, _emptied_part(part, channel))]
        }
        if channel is not None:
            waiting |= self._text_events(channel, part if isinstance(part, str) else part[channel.field], at)
        annotations: list[_Wire] = []
        if not isinstance(part, str):
            for number, annotation in enumerate(part.get("annotations") or ()):
                where = {"content_index": at, "annotation_index": number}
                annotations.append(self._event("response.output_text.annotation.added", **where, annotation=annotation))
        told = _walk(waiting, "awaited")
        told[1:] = self._chance.merged([told[1:], annotations])
        closer = PART_CLOSERS.get((kind, container))
        return [*told, self._part_event(closer, at, part)] if closer is not None else told

    def _text_events(self, channel: DeltaField, text: str, at: int) -> dict[PartStep, list[_Wire]]:
        where: _Wire = {channel.index: at} if channel.index else {}
        pieces = [] if self._chance.rarely() else self._chance.pieces(text)
        return {
            "delta": [self._event(channel.delta, **where, delta=piece) for piece in pieces],
            "whole": [self._event(channel.done, **where, **{channel.value: text})],
        }

    def _part_event(self, name: str, at: int, part: _Wire | str) -> _Wire:
        return self._event(name, **{PART_EVENTS[name].index: at, PART_EVENTS[name].value: part})

    def _images(self) -> list[_Wire]:
        name = "response.image_generation_call.partial_image"
        return [self._event(name, partial_image_index=number) for number in range(self._chance.number(2))]

    def _outputs(self, outputs: list[_Wire]) -> list[_Wire]:
        told: list[_Wire] = []
        for at, output in enumerate(outputs):
            if self._chance.often():
                delta = {"stdout": output["stdout"], "stderr": output["stderr"]}
                told.append(self._event("response.shell_call_output_content.delta", command_index=at, delta=delta))
            told.append(self._event("response.shell_call_output_content.done", command_index=at, output=[output]))
        return told

    def _event(self, name: str, **known: Any) -> _Wire:
        """Make an event, and draw what it has to have beyond what is known."""
        cls = EVENT_TYPES[name]
        unsaid = [
            field for field in model_spec(cls).fields if field.required and field.wire not in known.keys() | _LATER
        ]
        return {"type": name, **known, **{field.wire: self._chance.field_of(cls, field.wire) for field in unsaid}}


def _containers(kind: str) -> list[str]:
    return list(dict.fromkeys(c.container for c in ITEM_DELTA_FIELDS.get(kind, ()) if c.container))


def _walk(waiting: dict[PartStep, list[_Wire]], state: PartState) -> list[_Wire]:
    """Walk through the life of a part or text in the order of the table: what has not grown yet cannot be whole."""
    told: list[_Wire] = []
    while True:
        possible: list[PartStep] = [step for step in PART_LIFE[state] if waiting.get(step)]
        if not possible:
            return told
        told.append(waiting[possible[0]].pop(0))
        state = PART_LIFE[state][possible[0]]


def _placed(event: _Wire, index: int, item_id: str) -> _Wire:
    named = {"item_id": item_id} if "item_id" in model_spec(EVENT_TYPES[event["type"]]).by_wire else {}
    return {**event, "output_index": index, **named}


def _emptied(item: _Wire) -> _Wire:
    """Give an item as it was when it was added."""
    empty = copy.deepcopy(item)
    for channel in ITEM_DELTA_FIELDS.get(item["type"], ()):
        path = channel.container or channel.field
        if isinstance(value := get_path(empty, path), str | list):
            set_path(empty, path, "" if isinstance(value, str) else [])
    grown = _GROWN.get(item["type"], "")
    if empty.get(grown):
        empty[grown] = [] if isinstance(empty[grown], list) else None
    if isinstance(empty.get("status"), str):
        empty["status"] = "in_progress"
    return empty


def _emptied_part(part: _Wire | str, channel: DeltaField | None) -> _Wire | str:
    if isinstance(part, str):
        return ""
    texts = {channel.field: ""} if channel is not None else {}
    return {**part, **texts, **{name: [] for name in ("annotations", "logprobs") if name in part}}
