"""The server's half of the engine: typed calls in, a conformant sequence of events out.

An :class:`Emitter` speaks for one response. It numbers the events, gives items their places and ids, opens and closes what
has to be opened and closed, and states the whole of everything where the protocol wants it. What the protocol does not
allow, it does not do: such a call raises :class:`~responses_proto.exceptions.LocalProtocolError` and emits nothing.
It reads the tables of :mod:`responses_proto.protocol.state`, which the accumulator on the other side reads too. ::

    emitter = Emitter(request, now=time.time())
    events = emitter.start()                    # response.created, response.in_progress
    message = emitter.message()
    events += message.text("Hello, ")           # output_item.added, content_part.added, output_text.delta
    events += message.text("world.")            # output_text.delta
    events += message.done()                    # output_text.done, content_part.done, output_item.done
    events += emitter.complete(usage)           # response.completed

Every call hands out the events that were not handed out before, each of them once, in order. A call that opens an
item gives its writer instead: the events of the opening come with the next call, or at once from :meth:`Emitter.events`.

:func:`emit` makes the events of a whole response: ``accumulate(emit(x)) == x``. :func:`encode_event` and :data:`DONE` are the
bytes of it all over SSE.
"""

from __future__ import annotations

import copy
import os
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast, overload

import attrs

from ..codec import dumps
from ..exceptions import LocalProtocolError
from ..models._base import Model
from ..models.config import ConversationReference, JsonSchemaFormat, PlainTextFormat, ReasoningConfig, TextConfig
from ..models.content import Annotation, Content, LogProb, OutputText, ReasoningText, Refusal, SummaryText
from ..models.event_parts import ErrorBody
from ..models.events import EVENT_TYPES, Event
from ..models.items import FunctionCall, Item, Message, MessagePhase, Reasoning
from ..models.response import IncompleteDetails, Response, ResponseError, Usage
from ..models.tools import FunctionTool, Tool
from ..typing import UNSET
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
    from collections.abc import Callable, Iterable, Sequence

    from ..models.request import CreateResponse

__all__ = [
    "DONE",
    "Emitter",
    "FunctionCallWriter",
    "ItemWriter",
    "MessageWriter",
    "ReasoningWriter",
    "emit",
    "encode_event",
    "encode_stream",
    "initial_response",
    "random_id",
    "split_words",
]

Ids: TypeAlias = "Callable[[str], str]"
"""Makes an id that begins with the given prefix (``resp``, ``msg``, ``rs``, ``fc``, ``call``) and is not in use yet."""

_WORD: Final = re.compile(r"\s*\S+|\s+")


def random_id(prefix: str) -> str:
    """Make an id that nobody has: the prefix, an underscore, 192 random bits in hexadecimal."""
    return f"{prefix}_{os.urandom(24).hex()}"


def split_words(text: str) -> list[str]:
    """Cut a text into words, each with the spaces before it, as models do. Joined again they are the text."""
    return _WORD.findall(text)


# ---- bytes


def encode_event(event: Event) -> bytes:
    """Write one event as a frame of SSE, its ``event:`` line the event's type."""
    return encode_frame(dumps(event), event.type or None)


DONE: Final = encode_frame(b"[DONE]")
"""The frame that ends a stream (Open Responses, Streaming)."""


def encode_stream(events: Iterable[Event]) -> bytes:
    """Write a whole stream, its end included."""
    return b"".join([*map(encode_event, events), DONE])


_M = TypeVar("_M", bound=Model)


def _evolve(model: _M, **fields: Any) -> _M:
    # mypy does not take a class made by a decorator of ours for an attrs class, which is what `evolve` asks for there.
    return cast("_M", attrs.evolve(cast("Any", model), **fields))


# ---- the response that is spoken for


def initial_response(request: CreateResponse, *, now: float, id: str | None = None) -> Response:  # noqa: A002 - the field's name
    """Make the response to a request, as it is before anything was done: in progress, no output.

    What the request leaves open is filled with what the specification gives as the default; both specifications require
    these fields of a response. ``now`` is in seconds since 1970.
    """
    conversation = request.conversation or None
    return Response(
        id=id or random_id("resp"),
        created_at=int(now),
        completed_at=None,
        status="in_progress",
        background=request.background or False,
        error=None,
        incomplete_details=None,
        instructions=request.instructions or None,
        max_output_tokens=request.max_output_tokens or None,
        max_tool_calls=request.max_tool_calls or None,
        model=request.model or "",
        output=[],
        parallel_tool_calls=request.parallel_tool_calls if isinstance(request.parallel_tool_calls, bool) else True,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        previous_response_id=request.previous_response_id or None,
        conversation=ConversationReference(id=conversation) if isinstance(conversation, str) else conversation or UNSET,
        prompt=request.prompt or UNSET,
        prompt_cache_key=request.prompt_cache_key or None,
        prompt_cache_retention=request.prompt_cache_retention or UNSET,
        reasoning=_reasoning(request.reasoning or None),
        safety_identifier=request.safety_identifier or None,
        service_tier="default",
        store=request.store if isinstance(request.store, bool) else True,
        temperature=1.0 if request.temperature is None or request.temperature is UNSET else request.temperature,
        text=_text(request.text or None),
        tool_choice=request.tool_choice or "auto",
        tools=[_tool(tool) for tool in request.tools or ()],
        top_logprobs=request.top_logprobs or 0,
        top_p=1.0 if request.top_p is None or request.top_p is UNSET else request.top_p,
        truncation=request.truncation or "disabled",
        usage=None,
        user=request.user or UNSET,
        metadata=request.metadata or {},
    )


def _reasoning(asked: ReasoningConfig | None) -> ReasoningConfig:
    asked = asked or ReasoningConfig()
    return _evolve(asked, effort=asked.effort or None, summary=asked.summary or None)


def _text(asked: TextConfig | None) -> TextConfig:
    asked = asked or TextConfig()
    shape = asked.format or PlainTextFormat()
    if isinstance(shape, JsonSchemaFormat):
        stated = {"name": shape.name or "", "description": shape.description or None, "strict": shape.strict or False}
        shape = _evolve(shape, **stated, schema=shape.schema or None, extra=dict(shape.extra))  # its type included
    return _evolve(asked, format=shape, verbosity=asked.verbosity or UNSET)


def _tool(asked: Tool) -> Tool:
    if not isinstance(asked, FunctionTool):
        return asked
    strict = True if asked.strict is UNSET else asked.strict
    return _evolve(asked, description=asked.description or None, parameters=asked.parameters or None, strict=strict)


def _begun(response: Response, status: str) -> Response:
    """Give the response as it was before anything was done. What it does not state stays unstated."""
    later = {
        name: None
        for name in ("completed_at", "usage", "error", "incomplete_details")
        if getattr(response, name) is not UNSET
    }
    if response.status is not UNSET:
        return _evolve(response, output=[], status=status, **later)
    return _evolve(response, output=[], **later)


# ---- numbering


class _Recorder:
    """Numbers the events, keeps them until they are handed out, and knows where the response is in its life."""

    def __init__(self) -> None:
        self.state: ResponseState = "awaited"
        self.next_number: int = 0
        self._waiting: list[Event] = []

    def record(self, type_: str, **fields: Any) -> None:
        """Make the event of this type. The fields are those of its class."""
        make: Any = EVENT_TYPES[type_]  # each class has other fields; the tables say which
        self._waiting.append(make(sequence_number=self.next_number, **fields))
        self.next_number += 1

    def advance(self, *types: str) -> None:
        """Check that lifecycle events may follow, one after the other, and take the state that they lead to."""
        state = self.state
        for type_ in types:
            following = RESPONSE_LIFE[state].get(type_)
            if following is None:
                raise LocalProtocolError(f"{type_} cannot follow: the response is {_STATES[state]}")
            state = following
        self.state = state

    def check_in_progress(self) -> None:
        if self.state != "in_progress":
            raise LocalProtocolError(f"output needs a response in progress, and this one is {_STATES[self.state]}")

    def hand_out(self) -> list[Event]:
        events, self._waiting = self._waiting, []
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

_LATE: Final[dict[str, dict[str, object]]] = {
    # What an item has only once it is done, and what stands there before. Beside the texts that grow.
    "mcp_call": {"output": None, "error": None},
    "mcp_list_tools": {"tools": [], "error": None},
    "code_interpreter_call": {"outputs": None},
    "file_search_call": {"results": None},
    "image_generation_call": {"result": None},
    "shell_call_output": {"output": []},
    "output_text": {"annotations": [], "logprobs": []},
}


class _Part:
    """A part that is being written."""

    def __init__(self, container: str, index: int, channel: DeltaField, empty: Content) -> None:
        self.container = container
        self.index = index
        self.channel = channel
        self.empty = empty
        self.deltas: list[str] = []
        self.annotations: list[Annotation] = []
        self.logprobs: list[LogProb] = []

    def whole(self) -> Content:
        fields: dict[str, Any] = {self.channel.field: "".join(self.deltas)}
        if self.annotations:
            fields["annotations"] = self.annotations
        if self.logprobs:
            fields["logprobs"] = self.logprobs
        return _evolve(self.empty, **fields)


class ItemWriter:
    """An item of the output that is being written. Its subclasses have the verbs; each ends with :meth:`done`."""

    def __init__(self, recorder: _Recorder, output_index: int, item: Item) -> None:
        recorder.check_in_progress()
        self._recorder = recorder
        self._item: Item = item
        self._part: _Part | None = None
        self._fields: dict[str, list[str]] = {}
        self.output_index = output_index
        """The item's place in ``response.output``."""
        self.id: str = getattr(item, "id", None) or ""
        """The item's id."""
        self.closed: bool = False
        """Whether the item is done."""
        recorder.record("response.output_item.added", output_index=output_index, item=item)

    @property
    def item(self) -> Item:
        """The item: as it began while it is open, whole when it is closed."""
        return self._item

    def close(self, status: str = "completed") -> None:
        """Close what is open, and the item, which gets this status if it has any. Does nothing when it is closed."""
        if self.closed:
            return
        self._close_part(status)
        fields: dict[str, Any] = {}
        for channel in ITEM_DELTA_FIELDS.get(self._item.type, ()):
            if not channel.container:
                fields[channel.field] = whole = "".join(self._fields.get(channel.field, ()))
                self._done(channel, 0, whole)
        if isinstance(getattr(self._item, "status", None), str):
            fields["status"] = status
        self.finish(_evolve(self._item, **fields))

    def finish(self, item: Item) -> None:
        """State the whole item, whatever was written."""
        self._item = item
        self.closed = True
        self._recorder.record("response.output_item.done", output_index=self.output_index, item=item)

    def done(self) -> list[Event]:
        """Close the item. Gives the events that were not handed out yet."""
        self._check_open()
        self.close()
        return self._recorder.hand_out()

    def _check_open(self) -> None:
        self._recorder.check_in_progress()
        if self.closed:
            raise LocalProtocolError(f"the item at {self.output_index} ({self._item.type}) is closed")

    def _say(self, type_: str, fields: dict[str, Any]) -> None:
        if type_ in _WITH_ITEM_ID:
            fields["item_id"] = self.id
        self._recorder.record(type_, output_index=self.output_index, **fields)

    def _write(self, channel: DeltaField, delta: str, logprobs: Sequence[LogProb] = ()) -> list[Event]:
        """Let the text of a channel grow, in a part that is opened first if it has to be."""
        self._check_open()
        if channel.container:
            part = self._part_of(channel)
            part.deltas.append(delta)
            part.logprobs += logprobs
        else:
            self._fields.setdefault(channel.field, []).append(delta)
        self._delta(channel, self._part.index if self._part else 0, delta, logprobs)
        return self._recorder.hand_out()

    def _part_of(self, channel: DeltaField) -> _Part:
        part = self._part
        if part is not None and part.channel is channel:
            return part
        self._close_part()
        index = len(cast("Sequence[Content]", getattr(self._item, channel.container) or ()))
        part = self._part = _Part(channel.container, index, channel, _EMPTY_PARTS[channel.part]())
        self._open_part(channel.container, index, part.empty)
        return part

    def _close_part(self, status: str = "completed") -> None:
        part, self._part = self._part, None
        if part is None:
            return
        whole = part.whole()
        self._done(part.channel, part.index, getattr(whole, part.channel.field), whole)
        self._end_part(part.container, part.index, whole, status)
        before = cast("Sequence[Content]", getattr(self._item, part.container) or ())
        self._item = _evolve(self._item, **{part.container: [*before, whole]})

    # What follows records single events, for the verbs above and for whole items below.

    def _open_part(self, container: str, index: int, part: Content | str) -> None:
        type_ = PART_OPENERS[self._item.type, container]
        event = PART_EVENTS[type_]
        self._say(type_, {event.index: index, event.value: part})

    def _delta(self, channel: DeltaField, index: int, delta: str, logprobs: Sequence[LogProb] = ()) -> None:
        fields: dict[str, Any] = {"delta": delta}
        if channel.index:
            fields[channel.index] = index
        if channel.part == "output_text":
            fields["logprobs"] = [*logprobs]
        self._say(channel.delta, fields)

    def _annotation(self, index: int, number: int, annotation: Annotation) -> None:
        fields = {"content_index": index, "annotation_index": number, "annotation": annotation}
        self._say("response.output_text.annotation.added", fields)

    def _done(self, channel: DeltaField, index: int, whole: str, part: Content | str | None = None) -> None:
        fields: dict[str, Any] = {channel.value: whole}
        if channel.index:
            fields[channel.index] = index
        if isinstance(part, OutputText):
            fields["logprobs"] = part.logprobs or []
        self._say(channel.done, fields)

    def _end_part(self, container: str, index: int, part: Content | str, status: str = "completed") -> None:
        type_ = PART_CLOSERS.get((self._item.type, container))
        if type_ is not None:
            event = PART_EVENTS[type_]
            fields: dict[str, Any] = {event.index: index, event.value: part}
            if container == "summary" and status == "incomplete":
                fields["status"] = status
            self._say(type_, fields)


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
_ARGUMENTS: Final = ITEM_DELTA_FIELDS["function_call"][0]


class MessageWriter(ItemWriter):
    """A message of the assistant's. Text and refusal are parts of their own: changing over opens the next part."""

    def text(self, delta: str, *, logprobs: Sequence[LogProb] = ()) -> list[Event]:
        """Say more, and how sure that is, token by token, if the client asked. Gives the events not handed out yet."""
        return self._write(_TEXT, delta, logprobs)

    def refusal(self, delta: str) -> list[Event]:
        """Decline, in words. Gives the events that were not handed out yet."""
        return self._write(_REFUSAL, delta)

    def annotation(self, annotation: Annotation) -> list[Event]:
        """Attach something to the text part that is open. Gives the events that were not handed out yet."""
        self._check_open()
        part = self._part
        if part is None or part.channel is not _TEXT:
            raise LocalProtocolError("an annotation belongs to a text: write the text first")
        self._annotation(part.index, len(part.annotations), annotation)
        part.annotations.append(annotation)
        return self._recorder.hand_out()

    def end_part(self) -> list[Event]:
        """Close the part that is open, so that what comes next is a part of its own."""
        self._check_open()
        self._close_part()
        return self._recorder.hand_out()


class ReasoningWriter(ItemWriter):
    """What the model thinks: its reasoning (``text``), a summary of it, or both."""

    def text(self, delta: str) -> list[Event]:
        """Think more, for the client to read. Gives the events that were not handed out yet."""
        return self._write(_REASONING, delta)

    def summary(self, delta: str) -> list[Event]:
        """Add to the summary. Gives the events that were not handed out yet."""
        return self._write(_SUMMARY, delta)

    def end_part(self) -> list[Event]:
        """Close the part that is open, so that what comes next is a part of its own."""
        self._check_open()
        self._close_part()
        return self._recorder.hand_out()

    def done(self, *, encrypted_content: str | None = None) -> list[Event]:
        """Close the item, with the reasoning as only the server can read it, where the client wants to keep that."""
        self._check_open()
        if encrypted_content is not None:
            self._item = _evolve(cast("Reasoning", self._item), encrypted_content=encrypted_content)
        return super().done()


class FunctionCallWriter(ItemWriter):
    """A call of one of the client's functions."""

    def __init__(self, recorder: _Recorder, output_index: int, item: FunctionCall) -> None:
        super().__init__(recorder, output_index, item)
        self.call_id: str = item.call_id
        """What the output of the call will refer to."""

    def arguments(self, delta: str) -> list[Event]:
        """Write more of the arguments, which are JSON when they are whole. Gives the events not handed out yet."""
        return self._write(_ARGUMENTS, delta)


class _WholeItemWriter(ItemWriter):
    """An item that is known from the start: said in the same steps as one that is being written."""

    def __init__(
        self, recorder: _Recorder, output_index: int, item: Item, split: Callable[[str], Iterable[str]]
    ) -> None:
        super().__init__(recorder, output_index, _emptied(item))
        self._split = split
        begins, *others = ITEM_PROGRESS.get(item.type, ("",))
        if begins:
            self._say(begins, {})
        for container in dict.fromkeys(channel.container for channel in ITEM_DELTA_FIELDS.get(item.type, ())):
            if container:
                self._tell_parts(item, container)
            else:
                self._tell_fields(item)
        for type_ in others:
            if _applies(type_, item):
                self._say(type_, {})
        self.finish(item)

    def _tell_fields(self, item: Item) -> None:
        for channel in ITEM_DELTA_FIELDS[item.type]:
            text = _look(item, channel.field)
            if isinstance(text, str):
                self._grow(channel, 0, text)
                self._done(channel, 0, text)

    def _tell_parts(self, item: Item, container: str) -> None:
        parts = _look(item, container)
        if not isinstance(parts, list):  # absent, or a message whose content is written in the short form
            return
        for index, part in enumerate(cast("list[Content | str]", parts)):
            kind = "" if isinstance(part, str) else part.type
            channel = next(
                (c for c in ITEM_DELTA_FIELDS[item.type] if (c.container, c.part) == (container, kind)), None
            )
            if channel is None:
                self._open_part(container, index, part)
            else:
                text = part if isinstance(part, str) else str(getattr(part, channel.field))
                self._open_part(container, index, "" if isinstance(part, str) else _emptied(part, channel.field))
                self._grow(channel, index, text)
                for number, annotation in enumerate(part.annotations or () if isinstance(part, OutputText) else ()):
                    self._annotation(index, number, annotation)
                self._done(channel, index, text, part)
            self._end_part(container, index, part)

    def _grow(self, channel: DeltaField, index: int, text: str) -> None:
        for delta in self._split(text):
            self._delta(channel, index, delta)


def _applies(progress: str, item: Item) -> bool:
    """Tell whether an item that has come this far has been there."""
    status = getattr(item, "status", None) or "completed"
    failed = status == "failed" or bool(getattr(item, "error", None))
    match PROGRESS[progress].step:
        case "ends":
            return status == "completed" and not failed
        case "fails":
            return failed
        case _:
            return True


def _emptied(whole: _M, *texts: str) -> _M:
    """Give an item or a part as it was when it was opened. What it does not state stays unstated."""
    for name in (
        *texts,
        *(path for c in ITEM_DELTA_FIELDS.get(_type(whole), ()) for path in (c.container or c.field,)),
    ):
        value = _look(whole, name)
        if isinstance(value, (str, list)) and not (name == "content" and isinstance(value, str)):
            whole = _put(whole, name, type(cast("str | list[object]", value))())
    for name, before in _LATE.get(_type(whole), {}).items():
        if getattr(whole, name) is not UNSET:
            whole = _put(whole, name, copy.copy(before))  # nobody else's list
    return _put(whole, "status", "in_progress") if isinstance(getattr(whole, "status", None), str) else whole


def _type(value: Model) -> str:
    return str(getattr(value, "type", ""))


def _look(value: object, path: str) -> object:
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def _put(model: _M, path: str, value: object) -> _M:
    name, _, inner = path.partition(".")
    if inner:
        value = _put(cast("Model", getattr(model, name)), inner, value)
    return _evolve(model, **{name: value})


# ---- the response


class Emitter:
    """One response, said event by event. Verbs: :meth:`start`, then items, then one of the three endings.

    Items are opened with :meth:`message`, :meth:`reasoning` and :meth:`function_call`, or said whole with :meth:`item`. Several
    may be open at once.
    """

    @overload
    def __init__(self, about: CreateResponse, *, now: float, ids: Ids = random_id) -> None: ...
    @overload
    def __init__(self, about: Response, *, ids: Ids = random_id) -> None: ...
    def __init__(self, about: CreateResponse | Response, *, now: float = 0.0, ids: Ids = random_id) -> None:
        """Speak for the response to a request (``now`` in seconds since 1970), or for a response as it is at its start.

        Of a response that is passed in, the output and how it ended are left out.
        """
        self.ids: Ids = ids
        """Makes the ids of items."""
        if isinstance(about, Response):
            self._response = _begun(about, "in_progress")
        else:
            self._response = initial_response(about, now=now, id=ids("resp"))
        self._recorder = _Recorder()
        self._items: list[ItemWriter] = []

    @property
    def response(self) -> Response:
        """The response as it is now. Items that are open are in it as they began."""
        return _evolve(self._response, output=[writer.item for writer in self._items])

    @property
    def state(self) -> ResponseState:
        """Where the response is in its life, a key of ``state.RESPONSE_LIFE``."""
        return self._recorder.state

    @property
    def ended(self) -> bool:
        """Whether the terminal event was made."""
        return self._recorder.state == "ended"

    def events(self) -> list[Event]:
        """Give the events that were not handed out yet."""
        return self._recorder.hand_out()

    # -- the beginning

    def queue(self) -> list[Event]:
        """Create the response and let it wait: ``response.created``, ``response.queued``. Call :meth:`start` next."""
        self._recorder.advance("response.created", "response.queued")
        self._response = _begun(self._response, "queued")
        self._recorder.record("response.created", response=self._response)
        self._recorder.record("response.queued", response=self._response)
        return self.events()

    def start(self) -> list[Event]:
        """Begin: ``response.created``, ``response.in_progress``; after :meth:`queue` only the latter."""
        types = ("response.in_progress",) if self.state == "queued" else ("response.created", "response.in_progress")
        self._recorder.advance(*types)
        self._response = _begun(self._response, "in_progress")
        for type_ in types:
            self._recorder.record(type_, response=self._response)
        return self.events()

    # -- the output

    def message(self, *, phase: MessagePhase | None = None, id: str | None = None) -> MessageWriter:  # noqa: A002 - the field's name
        """Open a message of the assistant's."""
        item = Message(
            id=id or self.ids("msg"), role="assistant", content=[], status="in_progress", phase=phase or UNSET
        )
        return self._add(MessageWriter(self._recorder, len(self._items), item))

    def reasoning(self, *, id: str | None = None) -> ReasoningWriter:  # noqa: A002 - the field's name
        """Open a reasoning item."""
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
        """Open a call of a function of the client's."""
        item = FunctionCall(
            id=id or self.ids("fc"),
            call_id=call_id or self.ids("call"),
            name=name,
            namespace=namespace or UNSET,
            arguments="",
            status="in_progress",
        )
        return self._add(FunctionCallWriter(self._recorder, len(self._items), item))

    def item(self, item: Item, *, split: Callable[[str], Iterable[str]] = split_words) -> list[Event]:
        """Say a whole item, of any kind, in the steps that its kind has. ``split`` cuts its texts into deltas."""
        self._add(_WholeItemWriter(self._recorder, len(self._items), item, split))
        return self.events()

    def _add(self, writer: _W) -> _W:
        self._items.append(writer)
        return writer

    # -- the end

    def complete(self, usage: Usage | None = None, *, now: float | None = None) -> list[Event]:
        """End it well: ``response.completed``. ``now`` (seconds since 1970) becomes ``completed_at``.

        Raises ``LocalProtocolError`` while an item is open: it is not known to be whole.
        """
        if any(not writer.closed for writer in self._items):
            raise LocalProtocolError("an item is open: call done() on its writer, or end with incomplete() or fail()")
        at = None if now is None else int(now)
        return self._end("response.completed", {"status": "completed", "usage": usage, "completed_at": at})

    def incomplete(self, reason: str = "max_output_tokens", usage: Usage | None = None) -> list[Event]:
        """End it early: what is open is closed as incomplete, then ``response.incomplete``."""
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
        """End it badly: what is open is closed as incomplete, then ``error`` and ``response.failed``."""
        error = ResponseError(code=code, message=message)
        body = ErrorBody(type=type, code=code, message=message, param=param)
        return self._end("response.failed", {"status": "failed", "usage": usage, "error": error}, body)

    def cancel(self) -> list[Event]:
        """End it because somebody asked for that: what is open is closed as incomplete, and the status is ``cancelled``.

        The specification has no event for it; ``response.incomplete`` says it, with the response's status.
        """
        return self._end("response.incomplete", {"status": "cancelled"})

    def end(self, response: Response) -> list[Event]:
        """End it as this response ended, which is stated as it is.

        Raises ``LocalProtocolError`` if it has not ended, or if its output is not what was said here.
        """
        type_ = _ENDINGS.get(response.status or "completed")
        if type_ is None:
            raise LocalProtocolError(f"the response has not ended: it is {response.status}")
        if response.id != self._response.id or response.output != self.response.output:
            raise LocalProtocolError("the response is another one: its id and its output have to be what was said")
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
            # Both shapes in one: clients read either the documented flat one or the nested one that OpenAI sends.
            self._recorder.record("error", message=error.message, code=error.code, param=error.param, error=error)
        self._response = _evolve(self._response, output=[writer.item for writer in self._items], **fields)
        self._recorder.record(type_, response=self._response)
        return self.events()


_W = TypeVar("_W", bound=ItemWriter)

_ENDINGS: Final = {status: type_ for type_, status in TERMINAL.items()} | {"cancelled": "response.incomplete"}
# ^ There is no event for a response that was cancelled; it stopped early, and its status says why.


def emit(response: Response, *, split: Callable[[str], Iterable[str]] = split_words) -> list[Event]:
    """Make the events of a whole response: what a server would have sent for it. ``split`` cuts its texts into deltas.

    The last event has the very response. Raises ``LocalProtocolError`` if it has not ended.
    """
    emitter = Emitter(response)
    events = emitter.start()
    for item in response.output:
        events += emitter.item(item, split=split)
    return events + emitter.end(response)
