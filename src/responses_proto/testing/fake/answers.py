"""The answers of a fake server: a status, headers and a body of events, JSON or plain bytes.

An :class:`Answer` is a value. :meth:`Answer.with_faults` adds a :class:`~.faults.Fault` to it. Before an answer is sent, it becomes a
:class:`~.steps.WireAnswer`: a list of :data:`~.steps.Step`, to which the faults are applied. Each step is a piece of the body, or
something that happens to the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, cast

import attrs

from ...codec import default_converter, dump, load
from ...models._base import Model
from ...models.content import OutputText
from ...models.items import Item, Message
from ...models.request import CreateResponse
from ...models.response import Response
from ...protocol.emitter import Emitter, emit, split_words
from ...typing import UNSET
from .steps import JSON, WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...models.events import Event
    from ...typing import JSONObject, JSONValue
    from .dialects import Dialect
    from .faults import Fault
    from .steps import Step

__all__ = ["Answer"]

_SSE: Final = "text/event-stream"


@attrs.frozen(kw_only=True, repr=False)
class Answer:
    """One answer to one request. Create it with the class methods. It is immutable, so it can be sent any number of times.

    If the request asks for a stream, an answer made of events is sent as server-sent events, one event in each piece. Otherwise the
    response in the last event that has one is sent as JSON.
    """

    status: int = 200
    """The HTTP status."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Headers other than the content type and those that HTTP itself needs. Names in lower case."""
    content_type: str | None = JSON
    """The content type of the body; ``None`` leaves the header out."""
    wire_events: tuple[JSONObject, ...] | None = None
    """The events, as wire objects; ``None`` if the answer is not made of events."""
    steps: tuple[Step, ...] = ()
    """The pieces of a body that is not made of events, and what happens between them."""
    faults: tuple[Fault, ...] = ()
    """The faults of the answer."""

    def __repr__(self) -> str:
        body = b"".join(step for step in self.steps if isinstance(step, bytes)).decode("utf-8", "replace")
        told = f"{body!r:.60}" if self.wire_events is None else f"{len(self.wire_events)} events"
        return f"<Answer {self.status}, {told}>"

    @classmethod
    def text(cls, text: str, *, model: str = "fake") -> Self:
        """Answer with one message, a delta for each word. Ids are ``resp_1`` and ``msg_1``."""
        emitter = _emitter(model)
        events = emitter.start()
        message = emitter.message()
        for word in split_words(text):
            events += message.text(word)
        events += message.done()
        return cls.events([*events, *emitter.complete()])

    @classmethod
    def items(cls, *items: Item | JSONObject | str, model: str = "fake") -> Self:
        """Answer with these items in order. A text becomes a message: ``Answer.items("Let me see.", FunctionCall(...))``.

        A missing ``id`` becomes ``item_1``, ``item_2``, …, and a missing ``status`` becomes ``completed``. Raises ``DecodeError`` for a
        wire object that is not an item.
        """
        emitter = _emitter(model)
        events = emitter.start()
        for number, item in enumerate(items, 1):
            events += emitter.item(_completed_item(item, f"item_{number}"))
        return cls.events([*events, *emitter.complete()])

    @classmethod
    def response(cls, response: Response, *, split: Callable[[str], Iterable[str]] = split_words) -> Self:
        """Answer with a response, in the events that a server would have sent for it. ``split`` cuts each text into deltas.

        Raises ``UsageError`` if the response has not ended.
        """
        return cls.events(emit(response, split=split))

    @classmethod
    def events(cls, events: Iterable[Event | JSONObject]) -> Self:
        """Answer with these events, in any order and number: events of an ``Emitter``, or wire objects."""
        return cls(content_type=_SSE, wire_events=tuple(_to_wire(event) for event in events))

    @classmethod
    def stream(cls, *steps: Step, content_type: str | None = _SSE, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with these bytes as an event stream, each piece sent on its own, and with other steps between them."""
        return cls(content_type=content_type, headers=_lower(headers), steps=steps)

    @classmethod
    def json(cls, value: JSONValue | Response, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with one JSON value."""
        plain: Any = dump(value) if isinstance(value, Response) else value
        return cls(status=status, headers=_lower(headers), steps=(default_converter().json.dumps(plain),))

    @classmethod
    def body(
        cls,
        body: bytes,
        status: int = 200,
        *,
        content_type: str | None = "text/html",
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer with any body, such as the page of a proxy."""
        return cls(status=status, headers=_lower(headers), content_type=content_type, steps=(body,))

    @classmethod
    def error(
        cls,
        status: int,
        message: str = "The script answers with an error.",
        *,
        type: str = "server_error",  # noqa: A002 - the wire's own name for it
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer with an error in the form of the specification. ``param`` is the parameter at fault."""
        error = {"message": message, "type": type, "param": param, "code": code}
        return cls.json({"error": error}, status, headers=headers)

    @classmethod
    def upgrade(cls, *, headers: Mapping[str, str] | None = None) -> Self:
        """Accept a WebSocket. This is the default if the script has no answer for the handshake."""
        return cls(status=101, headers=_lower(headers), content_type=None)

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> Self:
        """Redirect the client to the URL ``location``."""
        return cls.body(b"", status, content_type=None, headers={"location": location})

    def with_faults(self, *faults: Fault) -> Self:
        """Return the same answer with these faults added."""
        return attrs.evolve(self, faults=(*self.faults, *faults))

    def to_wire(self, *, stream: bool = True, dialect: Dialect | None = None) -> WireAnswer:
        """Return what is sent for this answer, faults included.

        ``stream``: whether the request asks for a stream. ``dialect``: the dialect of the server. It is applied after the faults in
        the events, and before all other faults.
        """
        wire = WireAnswer(
            status=self.status,
            headers=dict(self.headers),
            content_type=self.content_type,
            events=None,
            steps=[*self.steps],
        )
        changes = [change for fault in self.faults for change in fault.changes]
        if self.wire_events is not None:
            wire.events = default_converter().json.loads(default_converter().json.dumps(list(self.wire_events)))
            if not stream:
                wire.keep_response(dialect.changes if dialect is not None else ())
                dialect = None
        wire.apply([*changes, *(dialect.changes if dialect is not None else ())])
        return wire


def _emitter(model: str) -> Emitter:
    return Emitter(CreateResponse(model=model), now=1_700_000_000.0, ids="{}_1".format)


def _completed_item(item: Item | JSONObject | str, item_id: str) -> Item:
    """Return the item, with the id and the status that every output item has."""
    if isinstance(item, str):
        item = Message(role="assistant", content=[OutputText(text=item, annotations=[], logprobs=[])])
    model = item if isinstance(item, Model) else load(item, Item)
    defaults = {"id": item_id, "status": "completed"}
    missing = {name: value for name, value in defaults.items() if getattr(model, name, None) is UNSET}
    return cast("Item", attrs.evolve(cast("Any", model), **missing))


def _to_wire(event: Event | JSONObject) -> JSONObject:
    return event if isinstance(event, dict) else cast("JSONObject", dump(event))


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
