"""Write the events of a response: the server side of the engine.

An :class:`Emitter` creates the events of one response from typed calls. It numbers the events, assigns indices and ids to items, opens and
closes items and content parts, and repeats finished texts, parts and items in full where the protocol requires it. A call that the
protocol does not allow in the current state raises :class:`~responses_proto.exceptions.LocalProtocolError` and emits nothing. The order
of events comes from the tables of :mod:`responses_proto.protocol.state`, which the accumulator of the client also uses. ::

    emitter = Emitter(request, now=time.time())
    events = emitter.start()                    # response.created, response.in_progress
    message = emitter.message()
    events += message.text("Hello, ")           # output_item.added, content_part.added, output_text.delta
    events += message.text("world.")            # output_text.delta
    events += message.done()                    # output_text.done, content_part.done, output_item.done
    events += emitter.complete(usage)           # response.completed

Each call returns the events that were not returned before, in order. A call that opens an item returns its writer instead: its
events are returned by the next call, or at once by :meth:`Emitter.events`.

:func:`emit` returns the events of a finished response: ``accumulate(emit(x)) == x``. :func:`encode_event` encodes an event as bytes of
SSE, and :data:`DONE` is the encoded end of the stream.
"""

from __future__ import annotations

import copy
import os
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast, overload

import attrs

from ..codec import dumps
from ..exceptions import LocalProtocolError, UsageError
from ..models._base import Model
from ..models._paths import get_path, set_path
from ..models.config import ConversationReference, JsonSchemaFormat, PlainTextFormat, ReasoningConfig, TextConfig
from ..models.content import Annotation, Content, LogProb, OutputText, ReasoningText, Refusal, SummaryText
from ..models.event_parts import ErrorBody
from ..models.events import EVENT_TYPES, Event
from ..models.items import FunctionCall, Item, Message, MessagePhase, Reasoning
from ..models.response import IncompleteDetails, Response, ResponseError, Usage
from ..models.tools import FunctionTool, McpTool, Tool
from ..typing import UNSET
from ._snapshot import list_at
from .sse import encode_frame
from .state import (
    ITEM_DELTA_FIELDS,
    ITEM_PROGRESS,
    PART_CLOSERS,
    PART_EVENTS,
    PART_OPENERS,
    PARTS,
    PROGRESS,
    RESPONSE_LIFE,
    TERMINAL,
    DeltaField,
    ResponseState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..models.request import CreateResponse

__all__ = [
    "DONE",
    "CallWriter",
    "Emitter",
    "FunctionCallWriter",
    "ItemWriter",
    "MessageWriter",
    "OpenItemWriter",
    "ReasoningWriter",
    "emit",
    "encode_event",
    "encode_stream",
    "initial_response",
    "random_id",
    "split_words",
    "without_text",
]

Ids: TypeAlias = "Callable[[str], str]"
"""Returns a new id that begins with this prefix: ``resp``, ``msg``, ``rs``, ``fc`` or ``call``."""

_WORD: Final = re.compile(r"\s*\S+|\s+")


def random_id(prefix: str) -> str:
    """Return a unique id: the prefix, an underscore and 192 random bits in hexadecimal."""
    return f"{prefix}_{os.urandom(24).hex()}"


def split_words(text: str) -> list[str]:
    """Split a text into words, each with the spaces before it, like the tokens of models. Joined, the words are the text again."""
    return _WORD.findall(text)


# ---- bytes


def encode_event(event: Event) -> bytes:
    """Return an event as a frame of SSE, with the event's type in its ``event:`` line."""
    return encode_frame(dumps(event), event.type or None)


DONE: Final = encode_frame(b"[DONE]")
"""The frame that ends a stream (Open Responses, Streaming)."""


def encode_stream(events: Iterable[Event]) -> bytes:
    """Return a whole stream as bytes of SSE, including ``[DONE]`` at its end."""
    return b"".join([*map(encode_event, events), DONE])


_M = TypeVar("_M", bound=Model)


def _evolve(model: _M, **fields: Any) -> _M:
    # mypy does not see that a class made by our own decorator is an attrs class, which `evolve` requires.
    return cast("_M", attrs.evolve(cast("Any", model), **fields))


# ---- the response at its start


_DEFAULTS: Final[Mapping[str, object]] = {
    "background": False,
    "conversation": UNSET,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "model": "",
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt": UNSET,
    "prompt_cache_key": None,
    "prompt_cache_retention": UNSET,
    "safety_identifier": None,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "truncation": "disabled",
    "user": UNSET,
}
"""Field of a request that its response repeats -> the value in the response if the field is missing, null or empty."""

_DEFAULTS_UNLESS_SET: Final[Mapping[str, object]] = {
    "parallel_tool_calls": True,
    "store": True,
    "temperature": 1.0,
    "top_p": 1.0,
}
"""The same for fields in which zero and false are ordinary values: the value in the response if the field is missing or null."""


def initial_response(request: CreateResponse, *, now: float, id: str | None = None) -> Response:  # noqa: A002 - the field's name
    """Return the initial response to a request: in progress, without output.

    ``now`` becomes ``created_at``, in seconds since 1970. Without ``id`` the response gets a random id. Fields that the request leaves
    out get the defaults of the specification, because both specifications require them in a response.
    """
    fields: dict[str, Any] = {name: getattr(request, name) or default for name, default in _DEFAULTS.items()}
    for name, default in _DEFAULTS_UNLESS_SET.items():
        value = getattr(request, name)
        fields[name] = default if value is None or value is UNSET else value
    if isinstance(fields["conversation"], str):
        fields["conversation"] = ConversationReference(id=fields["conversation"])
    return Response(
        id=id or random_id("resp"),
        created_at=int(now),
        completed_at=None,
        status="in_progress",
        error=None,
        incomplete_details=None,
        output=[],
        reasoning=_reasoning(request.reasoning or ReasoningConfig()),
        service_tier="default",
        text=_text(request.text or TextConfig()),
        tools=[_tool(tool) for tool in request.tools or ()],
        usage=None,
        metadata=request.metadata or {},
        **fields,
    )


def _reasoning(config: ReasoningConfig) -> ReasoningConfig:
    return _evolve(config, effort=config.effort or None, summary=config.summary or None)


def _text(config: TextConfig) -> TextConfig:
    format_ = config.format or PlainTextFormat()
    if isinstance(format_, JsonSchemaFormat):
        format_ = _evolve(
            format_,
            name=format_.name or "",
            description=format_.description or None,
            strict=format_.strict or False,
            schema=format_.schema or None,
            extra=dict(format_.extra),  # a plain dict, which does not mark `type` as absent
        )
    return _evolve(config, format=format_, verbosity=config.verbosity or UNSET)


def _tool(tool: Tool) -> Tool:
    if isinstance(tool, McpTool):
        # Secrets are for the request only: they are not stored, and not sent back.
        return _evolve(tool, authorization=UNSET, headers=UNSET)
    if not isinstance(tool, FunctionTool):
        return tool
    strict = True if tool.strict is UNSET else tool.strict
    return _evolve(tool, description=tool.description or None, parameters=tool.parameters or None, strict=strict)


def _without_outcome(response: Response, status: str) -> Response:
    """Return the initial form of a response, with this status. Fields that it does not have are not added."""
    fields: dict[str, object] = {
        name: None
        for name in ("completed_at", "usage", "error", "incomplete_details")
        if getattr(response, name) is not UNSET
    }
    if response.status is not UNSET:
        fields["status"] = status
    return _evolve(response, output=[], **fields)


# ---- numbering


class _Recorder:
    """Numbers the events, keeps them until they are returned, and keeps the state of the response."""

    def __init__(self) -> None:
        self.state: ResponseState = "awaited"
        self.next_number: int = 0
        self._pending: list[Event] = []

    def record(self, type_: str, **fields: Any) -> None:
        """Add an event of this type with these fields."""
        event_class: Any = EVENT_TYPES[type_]  # not typed, because each class has other fields
        self._pending.append(event_class(sequence_number=self.next_number, **fields))
        self.next_number += 1

    def advance(self, *types: str) -> None:
        """Go to the state after these lifecycle events. Raise ``LocalProtocolError`` if they are not allowed now."""
        state = self.state
        for type_ in types:
            following = RESPONSE_LIFE[state].get(type_)
            if following is None:
                raise LocalProtocolError(f"{type_} cannot be sent: the response is {_STATES[state]}")
            state = following
        self.state = state

    def check_in_progress(self) -> None:
        if self.state != "in_progress":
            raise LocalProtocolError(f"output cannot be sent: the response is {_STATES[self.state]}")

    def take_events(self) -> list[Event]:
        events, self._pending = self._pending, []
        return events


_STATES: Final[dict[ResponseState, str]] = {
    "awaited": "not started: call start()",
    "created": "only created: call start()",
    "queued": "queued: call start()",
    "in_progress": "in progress",
    "ended": "ended",
}


# ---- items


_WITH_ITEM_ID: Final = frozenset(
    name for name, cls in EVENT_TYPES.items() if any(a.name == "item_id" for a in cls.__attrs_attrs__)
)
"""Types of the events that have an ``item_id``."""

_BEFORE_DONE: Final[dict[str, dict[str, object]]] = {
    "mcp_call": {"output": None, "error": None},
    "mcp_list_tools": {"tools": [], "error": None},
    "code_interpreter_call": {"outputs": None},
    "file_search_call": {"results": None},
    "image_generation_call": {"result": None},
    "shell_call_output": {"output": []},
    "output_text": {"annotations": [], "logprobs": []},
}
"""Type of an item or part -> the fields, other than its texts, that are filled only when it is done, with their values until then."""


class _Part:
    """A content part that is being written."""

    def __init__(self, container: str, index: int, delta_field: DeltaField, empty: Content) -> None:
        self.container = container
        self.index = index
        self.delta_field = delta_field
        self.empty = empty
        self.deltas: list[str] = []
        self.annotations: list[Annotation] = []
        self.logprobs: list[LogProb] = []

    def finished(self) -> Content:
        lists: dict[str, Any] = {"annotations": self.annotations, "logprobs": self.logprobs}
        filled = {name: value for name, value in lists.items() if value}
        return _evolve(self.empty, **{self.delta_field.field: "".join(self.deltas)}, **filled)


class ItemWriter:
    """Writes an item of the output. Call the methods of its subclasses, then :meth:`done`."""

    def __init__(self, recorder: _Recorder, output_index: int, item: Item) -> None:
        recorder.check_in_progress()
        self._recorder = recorder
        self._item: Item = item
        self.output_index = output_index
        """The index of the item in ``response.output``."""
        self.id: str = getattr(item, "id", None) or ""
        """The item's id."""
        self.closed: bool = False
        """Whether the item is done."""
        recorder.record("response.output_item.added", output_index=output_index, item=item)

    @property
    def item(self) -> Item:
        """The item: in its initial form while it is open, complete when it is closed."""
        return self._item

    def close(self, status: str = "completed") -> None:
        """Close the open text and the item. The item gets this status, if its type has a status. Do nothing if it is closed."""
        if not self.closed:
            self._end_texts(status)
            self._finish(_with_status(self._item, status))

    def extend(self, extra: Mapping[str, Any]) -> None:
        """Add wire fields that the item's class does not have. The closed item has them."""
        self._check_open()
        self._item = _evolve(self._item, extra={**self._item.extra, **extra})

    def _finish(self, item: Item) -> None:
        self._item = item
        self.closed = True
        self._recorder.record("response.output_item.done", output_index=self.output_index, item=item)

    def done(self) -> list[Event]:
        """Close the item. Return the new events."""
        self._check_open()
        self.close()
        return self._recorder.take_events()

    def done_with(self, item: Item) -> list[Event]:
        """Close the open text, then the item with this content. Its texts must equal the written ones. Return the new events."""
        self._check_open()
        self._end_texts()
        self._report(_ending_of(item))
        self._finish(item)
        return self._recorder.take_events()

    def _end_texts(self, status: str = "completed") -> None:
        """Close the open text or part, and put it into the item."""

    def _report(self, step: str) -> None:
        """Record the events that report that the item has reached a step."""
        for type_ in ITEM_PROGRESS.get(self._item.type, ()):
            if PROGRESS[type_].step == step:
                self._record(type_, {})

    def _check_open(self) -> None:
        self._recorder.check_in_progress()
        if self.closed:
            raise LocalProtocolError(
                f"nothing can be added to item {self.output_index} ({self._item.type}): it is closed"
            )

    def _record(self, type_: str, fields: dict[str, Any]) -> None:
        if type_ in _WITH_ITEM_ID:
            fields["item_id"] = self.id
        self._recorder.record(type_, output_index=self.output_index, **fields)

    # Single events, for the methods above and for finished items below

    def _open_part(self, container: str, index: int, part: Content | str) -> None:
        type_ = PART_OPENERS[self._item.type, container]
        event = PART_EVENTS[type_]
        self._record(type_, {event.index: index, event.value: part})

    def _delta(self, delta_field: DeltaField, index: int, delta: str, logprobs: Sequence[LogProb] = ()) -> None:
        fields: dict[str, Any] = {"delta": delta}
        if delta_field.index:
            fields[delta_field.index] = index
        if delta_field.part == "output_text":
            fields["logprobs"] = [*logprobs]
        self._record(delta_field.delta, fields)

    def _annotation(self, index: int, number: int, annotation: Annotation) -> None:
        fields = {"content_index": index, "annotation_index": number, "annotation": annotation}
        self._record("response.output_text.annotation.added", fields)

    def _done(self, delta_field: DeltaField, index: int, text: str, part: Content | str | None = None) -> None:
        fields: dict[str, Any] = {delta_field.value: text}
        if delta_field.index:
            fields[delta_field.index] = index
        if isinstance(part, OutputText):
            fields["logprobs"] = part.logprobs or []
        self._record(delta_field.done, fields)

    def _end_part(self, container: str, index: int, part: Content | str, status: str = "completed") -> None:
        type_ = PART_CLOSERS.get((self._item.type, container))
        if type_ is not None:
            event = PART_EVENTS[type_]
            fields: dict[str, Any] = {event.index: index, event.value: part}
            if container == "summary" and status == "incomplete":
                fields["status"] = status
            self._record(type_, fields)


_EMPTY_PARTS: Final[dict[str, Callable[[], Content]]] = {
    "output_text": lambda: OutputText(text="", annotations=[], logprobs=[]),
    "refusal": lambda: Refusal(refusal=""),
    "reasoning_text": lambda: ReasoningText(text=""),
    "summary_text": lambda: SummaryText(text=""),
}

_TEXT: Final = PARTS["content", "output_text"]
_REFUSAL: Final = PARTS["content", "refusal"]
_REASONING: Final = PARTS["content", "reasoning_text"]
_SUMMARY: Final = PARTS["summary", "summary_text"]


class _PartWriter(ItemWriter):
    _part: _Part | None = None

    def end_part(self) -> list[Event]:
        """Close the open part, so that the next text begins a new part. Return the new events."""
        self._check_open()
        self._end_texts()
        return self._recorder.take_events()

    def _write(self, delta_field: DeltaField, delta: str, logprobs: Sequence[LogProb] = ()) -> list[Event]:
        """Add to a text, after opening its part if necessary."""
        self._check_open()
        part = self._part
        if part is None or part.delta_field is not delta_field:
            self._end_texts()
            index = len(cast("Sequence[Content]", getattr(self._item, delta_field.container) or ()))
            part = self._part = _Part(delta_field.container, index, delta_field, _EMPTY_PARTS[delta_field.part]())
            self._open_part(delta_field.container, index, part.empty)
        part.deltas.append(delta)
        part.logprobs += logprobs
        self._delta(delta_field, part.index, delta, logprobs)
        return self._recorder.take_events()

    def _end_texts(self, status: str = "completed") -> None:
        part, self._part = self._part, None
        if part is None:
            return
        content = part.finished()
        self._done(part.delta_field, part.index, getattr(content, part.delta_field.field), content)
        self._end_part(part.container, part.index, content, status)
        before = cast("Sequence[Content]", getattr(self._item, part.container) or ())
        self._item = _evolve(self._item, **{part.container: [*before, content]})


class MessageWriter(_PartWriter):
    """Writes a message of the assistant. Text and refusal are separate parts: changing from one to the other opens a new part."""

    def text(self, delta: str, *, logprobs: Sequence[LogProb] = ()) -> list[Event]:
        """Add to the text. Return the new events. ``logprobs``: of the tokens of ``delta``, if the client asked for them."""
        return self._write(_TEXT, delta, logprobs)

    def refusal(self, delta: str) -> list[Event]:
        """Add to the refusal. Return the new events."""
        return self._write(_REFUSAL, delta)

    def annotation(self, annotation: Annotation) -> list[Event]:
        """Add an annotation to the open text part. Return the new events.

        Raises ``LocalProtocolError`` if no text part is open.
        """
        self._check_open()
        part = self._part
        if part is None or part.delta_field is not _TEXT:
            raise LocalProtocolError("an annotation needs an open text part: call text() first")
        self._annotation(part.index, len(part.annotations), annotation)
        part.annotations.append(annotation)
        return self._recorder.take_events()


class ReasoningWriter(_PartWriter):
    """Writes a reasoning item: its text, a summary of it, or both."""

    def text(self, delta: str) -> list[Event]:
        """Add to the reasoning text. Return the new events."""
        return self._write(_REASONING, delta)

    def summary(self, delta: str) -> list[Event]:
        """Add to the summary. Return the new events."""
        return self._write(_SUMMARY, delta)

    def done(self, *, encrypted_content: str | None = None) -> list[Event]:
        """Close the item. Return the new events.

        ``encrypted_content``: the reasoning in a form that only the server can read, for clients that send it back.
        """
        self._check_open()
        if encrypted_content is not None:
            self._item = _evolve(cast("Reasoning", self._item), encrypted_content=encrypted_content)
        return super().done()


class CallWriter(ItemWriter):
    """Writes a call of any type whose text grows by deltas: arguments, input or code."""

    def __init__(self, recorder: _Recorder, output_index: int, item: Item) -> None:
        super().__init__(recorder, output_index, without_text(item))
        self._delta_field: DeltaField = ITEM_DELTA_FIELDS[item.type][0]
        self._deltas: list[str] = []
        self._text_done = False
        self._report("begins")

    def write(self, delta: str) -> list[Event]:
        """Add to the text. Return the new events. Raises ``LocalProtocolError`` after :meth:`end_text`."""
        self._check_open()
        if self._text_done:
            raise LocalProtocolError(f"nothing can be added to the text of item {self.output_index}: it has ended")
        self._deltas.append(delta)
        self._delta(self._delta_field, 0, delta)
        return self._recorder.take_events()

    def end_text(self) -> list[Event]:
        """End the text, and leave the item open while the call is executed. Return the new events."""
        self._check_open()
        self._end_texts()
        return self._recorder.take_events()

    def _end_texts(self, status: str = "completed") -> None:  # noqa: ARG002 - the signature of the base
        if not self._text_done:
            self._text_done = True
            text = "".join(self._deltas)
            self._item = _put(self._item, self._delta_field.field, text)
            self._done(self._delta_field, 0, text)


class FunctionCallWriter(CallWriter):
    """Writes a call of one of the client's functions."""

    def __init__(self, recorder: _Recorder, output_index: int, item: FunctionCall) -> None:
        super().__init__(recorder, output_index, item)
        self.call_id: str = item.call_id
        """The id to which the output of the call refers."""

    def arguments(self, delta: str) -> list[Event]:
        """Add to the arguments. Return the new events. The complete arguments must be JSON."""
        return self.write(delta)


class OpenItemWriter(ItemWriter):
    """Writes an item of any type with complete texts, in the steps of a growing item. ``done_with`` adds the result later."""

    def __init__(
        self, recorder: _Recorder, output_index: int, item: Item, split: Callable[[str], Iterable[str]]
    ) -> None:
        super().__init__(recorder, output_index, without_text(item))
        self._split = split
        self._begun = item
        self._report("begins")
        for container in dict.fromkeys(delta_field.container for delta_field in ITEM_DELTA_FIELDS.get(item.type, ())):
            if container:
                self._write_parts(item, container)
            else:
                self._write_fields(item)
        self._report("works")

    def _end_texts(self, status: str = "completed") -> None:  # noqa: ARG002 - the signature of the base
        self._item = _evolve(self._begun, extra=self._item.extra)  # its texts were written when it was opened

    def _write_fields(self, item: Item) -> None:
        for delta_field in ITEM_DELTA_FIELDS[item.type]:
            text = get_path(item, delta_field.field)
            if isinstance(text, str):
                self._grow(delta_field, 0, text)
                self._done(delta_field, 0, text)

    def _write_parts(self, item: Item, container: str) -> None:
        # Empty if the container is absent, or if the content of a message is a plain string.
        parts: list[Content | str] = list_at(item, container)
        for index, part in enumerate(parts):
            kind = "" if isinstance(part, str) else part.type
            delta_field = next(
                (c for c in ITEM_DELTA_FIELDS[item.type] if (c.container, c.part) == (container, kind)), None
            )
            if delta_field is None:
                self._open_part(container, index, part)
            else:
                text = part if isinstance(part, str) else str(getattr(part, delta_field.field))
                self._open_part(
                    container, index, "" if isinstance(part, str) else without_text(part, delta_field.field)
                )
                self._grow(delta_field, index, text)
                for number, annotation in enumerate(part.annotations or () if isinstance(part, OutputText) else ()):
                    self._annotation(index, number, annotation)
                self._done(delta_field, index, text, part)
            self._end_part(container, index, part)

    def _grow(self, delta_field: DeltaField, index: int, text: str) -> None:
        for delta in self._split(text):
            self._delta(delta_field, index, delta)


def _ending_of(item: Item) -> str:
    """Return the step with which an item of this status has ended; empty if it has not ended."""
    status = getattr(item, "status", None) or "completed"
    if status == "failed" or getattr(item, "error", None):
        return "fails"
    return "ends" if status == "completed" else ""


def without_text(model: _M, *texts: str) -> _M:
    """Return the initial form of an item or a content part. Fields that it does not have are not added.

    ``texts``: the names of fields to empty, in addition to those that grow by deltas.
    """
    kind = str(getattr(model, "type", ""))
    for name in (*texts, *(grown.container or grown.field for grown in ITEM_DELTA_FIELDS.get(kind, ()))):
        value = get_path(model, name)
        if isinstance(value, (str, list)) and not (name == "content" and isinstance(value, str)):
            model = _put(model, name, "" if isinstance(value, str) else [])
    for name, before in _BEFORE_DONE.get(kind, {}).items():
        if getattr(model, name) is not UNSET:
            model = _put(model, name, copy.copy(before))  # not the list of the table itself
    return _with_status(model, "in_progress")


def _with_status(model: _M, status: str) -> _M:
    """Return an item with this status, if its type has a status."""
    return _put(model, "status", status) if isinstance(getattr(model, "status", None), str) else model


def _put(model: _M, path: str, value: object) -> _M:
    changed = copy.copy(model)
    set_path(changed, path, value)
    return changed


# ---- the response


class Emitter:
    """Creates the events of one response.

    Call :meth:`start`, then write items, then call :meth:`complete`, :meth:`incomplete`, :meth:`fail`, :meth:`cancel` or :meth:`end`.
    Open items with :meth:`message`, :meth:`reasoning` and :meth:`function_call`, or write finished items with :meth:`item`. Several items
    may be open at once.
    """

    @overload
    def __init__(self, about: CreateResponse, *, now: float, ids: Ids = random_id) -> None: ...
    @overload
    def __init__(self, about: Response, *, ids: Ids = random_id) -> None: ...
    def __init__(self, about: CreateResponse | Response, *, now: float = 0.0, ids: Ids = random_id) -> None:
        """Create an emitter for a request, or for a response, of which the output and the outcome are discarded.

        ``now``: the time of the request in seconds since 1970. ``ids``: returns a new id for a prefix.
        """
        self.ids: Ids = ids
        """Returns new ids for items."""
        if isinstance(about, Response):
            self._response = _without_outcome(about, "in_progress")
        else:
            self._response = initial_response(about, now=now, id=ids("resp"))
        self._recorder = _Recorder()
        self._items: list[ItemWriter] = []

    @property
    def response(self) -> Response:
        """The response so far. It contains open items in their initial form."""
        return _evolve(self._response, output=[writer.item for writer in self._items])

    @property
    def state(self) -> ResponseState:
        """The state of the response, a key of ``state.RESPONSE_LIFE``."""
        return self._recorder.state

    @property
    def ended(self) -> bool:
        """Whether the terminal event was emitted."""
        return self._recorder.state == "ended"

    @property
    def next_sequence_number(self) -> int:
        """The number of the next event."""
        return self._recorder.next_number

    def events(self) -> list[Event]:
        """Return the events that were not returned yet."""
        return self._recorder.take_events()

    # -- the start

    def queue(self) -> list[Event]:
        """Create the response and queue it: ``response.created``, ``response.queued``. Call :meth:`start` next."""
        self._recorder.advance("response.created", "response.queued")
        self._response = _without_outcome(self._response, "queued")
        self._recorder.record("response.created", response=self._response)
        self._recorder.record("response.queued", response=self._response)
        return self.events()

    def start(self) -> list[Event]:
        """Start the response: ``response.created``, ``response.in_progress``; after :meth:`queue` only the latter.

        Write items next.
        """
        types = ("response.in_progress",) if self.state == "queued" else ("response.created", "response.in_progress")
        self._recorder.advance(*types)
        self._response = _without_outcome(self._response, "in_progress")
        for type_ in types:
            self._recorder.record(type_, response=self._response)
        return self.events()

    # -- the output

    def message(self, *, phase: MessagePhase | None = None, id: str | None = None) -> MessageWriter:  # noqa: A002 - the field's name
        """Open a message of the assistant, and return its writer."""
        item = Message(
            id=id or self.ids("msg"), role="assistant", content=[], status="in_progress", phase=phase or UNSET
        )
        return self._add(MessageWriter(self._recorder, len(self._items), item))

    def reasoning(self, *, id: str | None = None) -> ReasoningWriter:  # noqa: A002 - the field's name
        """Open a reasoning item, and return its writer."""
        item = Reasoning(id=id or self.ids("rs"), summary=[])
        return self._add(ReasoningWriter(self._recorder, len(self._items), item))

    def function_call(
        self,
        name: str,
        call_id: str | None = None,
        *,
        namespace: str | None = None,
        id: str | None = None,  # noqa: A002 - the field's name
    ) -> FunctionCallWriter:
        """Open a call of one of the client's functions, and return its writer. Without ``call_id`` the call gets a new id."""
        item = FunctionCall(
            id=id or self.ids("fc"),
            call_id=call_id or self.ids("call"),
            name=name,
            namespace=namespace or UNSET,
            arguments="",
            status="in_progress",
        )
        return self._add(FunctionCallWriter(self._recorder, len(self._items), item))

    def call(self, item: Item) -> CallWriter:
        """Open a call of any type whose text grows by deltas, such as ``mcp_call``, and return its writer.

        Raises ``UsageError`` for an item of another type.
        """
        texts = ITEM_DELTA_FIELDS.get(item.type, ())
        if not texts or texts[0].container:
            raise UsageError(
                f"{item.type} has no text that grows by deltas: use message(), reasoning(), open() or item()"
            )
        return self._add(CallWriter(self._recorder, len(self._items), item))

    def audio(self, data: str = "", transcript: str = "") -> list[Event]:
        """Send a piece of audio in Base64, a piece of its transcript, or both. They belong to no item."""
        self._recorder.check_in_progress()
        for type_, delta in (("response.audio.delta", data), ("response.audio.transcript.delta", transcript)):
            if delta:
                self._recorder.record(type_, delta=delta)
        return self.events()

    def item(self, item: Item, *, split: Callable[[str], Iterable[str]] = split_words) -> list[Event]:
        """Write a finished item of any type, in the steps of its type. ``split`` cuts its texts into deltas."""
        return self.open(item, split=split).done_with(item)

    def open(self, item: Item, *, split: Callable[[str], Iterable[str]] = split_words) -> OpenItemWriter:
        """Open an item of any type with complete texts but without its result, and return its writer. Call ``done_with`` next."""
        return self._add(OpenItemWriter(self._recorder, len(self._items), item, split))

    def _add(self, writer: _W) -> _W:
        self._items.append(writer)
        return writer

    # -- the end

    def complete(self, usage: Usage | None = None, *, now: float | None = None) -> list[Event]:
        """End the response with ``response.completed``. ``now``, in seconds since 1970, becomes ``completed_at``.

        Raises ``LocalProtocolError`` if an item is open, because its content may be incomplete.
        """
        if any(not writer.closed for writer in self._items):
            raise LocalProtocolError(
                "an item is still open: call done() on its writer, or end with incomplete() or fail()"
            )
        at = None if now is None else int(now)
        return self._end("response.completed", {"status": "completed", "usage": usage, "completed_at": at})

    def incomplete(self, reason: str = "max_output_tokens", usage: Usage | None = None) -> list[Event]:
        """End the response early: close open items as incomplete, then ``response.incomplete``."""
        details = IncompleteDetails(reason=reason)
        return self._end("response.incomplete", {"status": "incomplete", "usage": usage, "incomplete_details": details})

    def fail(
        self,
        code: str,
        message: str,
        *,
        type: str = "server_error",  # noqa: A002 - the wire's own name for it
        param: str | None = None,
        usage: Usage | None = None,
    ) -> list[Event]:
        """End the response with an error: close open items as incomplete, then ``error`` and ``response.failed``.

        ``type`` and ``param`` (the parameter at fault) are in the ``error`` event only.
        """
        error = ResponseError(code=code, message=message)
        body = ErrorBody(type=type, code=code, message=message, param=param)
        return self._end("response.failed", {"status": "failed", "usage": usage, "error": error}, body)

    def cancel(self) -> list[Event]:
        """End the response as ``cancelled``: close open items as incomplete, then ``response.incomplete``, for lack of a separate event."""
        return self._end("response.incomplete", {"status": "cancelled"})

    def end(self, response: Response) -> list[Event]:
        """End the response with this finished response, which the terminal event contains unchanged.

        Raises ``UsageError`` if it has not ended, or if its id or output differ from the emitted ones.
        """
        type_ = _ENDINGS.get(response.status or "completed")
        if type_ is None:
            raise UsageError(f"the response has not ended: its status is {response.status}")
        if response.id != self._response.id or response.output != self.response.output:
            raise UsageError(
                f"response {response.id!r} differs from the emitted one: its id and output must be the same"
            )
        error = response.error or None
        body = error and ErrorBody(
            type=error.type or "server_error", code=error.code, message=error.message, param=error.param or None
        )
        self._response = response
        return self._end(type_, {}, body)

    def _end(self, type_: str, fields: dict[str, Any], error: ErrorBody | None = None) -> list[Event]:
        self._recorder.advance(type_)
        for writer in self._items:
            writer.close("incomplete")
        if error is not None:
            # In both formats: some clients read the documented flat one, others the nested one that OpenAI sends.
            self._recorder.record("error", message=error.message, code=error.code, param=error.param, error=error)
        self._response = _evolve(self._response, output=[writer.item for writer in self._items], **fields)
        self._recorder.record(type_, response=self._response)
        return self.events()


_W = TypeVar("_W", bound=ItemWriter)

_ENDINGS: Final = {status: type_ for type_, status in TERMINAL.items()} | {"cancelled": "response.incomplete"}
"""Status of a response -> its terminal event. A cancelled response has no separate event."""


def emit(response: Response, *, split: Callable[[str], Iterable[str]] = split_words) -> list[Event]:
    """Return the events that a server would have sent for a finished response. ``split`` cuts its texts into deltas.

    The last event contains the response itself. Raises ``UsageError`` if the response has not ended.
    """
    emitter = Emitter(response)
    events = emitter.start()
    for item in response.output:
        events += emitter.item(item, split=split)
    return events + emitter.end(response)
