"""What a fake server answers: a status, headers and a body, made of events, JSON or plain bytes.

An :class:`Answer` is a value. Whatever goes wrong with it on the way is said by the :class:`~.faults.Fault` put on it
(:meth:`Answer.with_faults`). When it is played, it becomes a :class:`WireAnswer`: the faults change that, and what is left of it is a list of
:data:`Step`, each a piece of the body or something that happens to the connection.
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
from .steps import WireAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...models.events import Event
    from ...typing import JSONObject, JSONValue
    from .faults import Fault
    from .steps import Step, Wire

__all__ = ["Answer"]

_SSE: Final = "text/event-stream"
_JSON: Final = "application/json"


@attrs.frozen(kw_only=True)
class Answer:
    """One answer to one request. Made by the class methods; immutable, so that it can be given any number of times.

    An answer made of events goes out as server-sent events to who asked for a stream, each event a piece of its own; who did
    not ask for one gets the response of the last event that has one, as JSON.
    """

    status: int = 200
    """The HTTP status."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Beside the content type and what HTTP itself needs. Names in lower case."""
    content_type: str | None = _JSON
    """The content type of the body; ``None`` leaves the header out."""
    listed: tuple[JSONObject, ...] | None = None
    """The events, as wire objects; ``None`` if the answer is not made of events."""
    pieces: tuple[Step, ...] = ()
    """The body of an answer that is not made of events, as it is cut, and what happens in between."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong with it."""

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
        """Answer with these items, one after the other; a text is a message: ``Answer.items("Let me see.", FunctionCall(...))``.

        What an item does not say of its ``id`` and ``status`` is filled in: ``item_1``, ``item_2``, …, and ``completed``. Raises
        ``DecodeError`` for a wire object that is no item.
        """
        emitter = _emitter(model)
        events = emitter.start()
        for number, item in enumerate(items, 1):
            events += emitter.item(_whole(item, f"item_{number}"))
        return cls.events([*events, *emitter.complete()])

    @classmethod
    def response(cls, response: Response, *, split: Callable[[str], Iterable[str]] = split_words) -> Self:
        """Answer with a whole response, in the events that a server would have sent for it; ``split`` cuts its texts.

        Raises ``LocalProtocolError`` if the response has not ended.
        """
        return cls.events(emit(response, split=split))

    @classmethod
    def events(cls, events: Iterable[Event | JSONObject]) -> Self:
        """Answer with these events, in any order and number: what an ``Emitter`` gave, or wire objects."""
        return cls(content_type=_SSE, listed=tuple(_wire(event) for event in events))

    @classmethod
    def stream(cls, *steps: Step, content_type: str | None = _SSE, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with these bytes as an event stream, each piece sent on its own; other steps can be in between."""
        return cls(content_type=content_type, headers=_lower(headers), pieces=steps)

    @classmethod
    def json(cls, value: JSONValue | Response, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Self:
        """Answer with one JSON value."""
        plain: Any = dump(value) if isinstance(value, Response) else value
        return cls(status=status, headers=_lower(headers), pieces=(default_converter().json.dumps(plain),))

    @classmethod
    def body(
        cls,
        body: bytes,
        status: int = 200,
        *,
        content_type: str | None = "text/html",
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer with anything, such as the page of a proxy."""
        return cls(status=status, headers=_lower(headers), content_type=content_type, pieces=(body,))

    @classmethod
    def error(
        cls,
        status: int,
        message: str = "The script asks for an error.",
        *,
        type: str = "server_error",  # noqa: A002 - the wire's own name for it
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Answer with an error of the documented shape."""
        error = {"message": message, "type": type, "param": param, "code": code}
        return cls.json({"error": error}, status, headers=headers)

    @classmethod
    def upgrade(cls, *, headers: Mapping[str, str] | None = None) -> Self:
        """Accept a WebSocket, as a server does by itself if its script says nothing of the handshake."""
        return cls(status=101, headers=_lower(headers), content_type=None)

    @classmethod
    def redirect(cls, location: str, status: int = 307) -> Self:
        """Send the client elsewhere."""
        return cls.body(b"", status, content_type=None, headers={"location": location})

    def with_faults(self, *faults: Fault) -> Self:
        """Give the same answer, in which these things go wrong as well."""
        return attrs.evolve(self, faults=(*self.faults, *faults))

    def to_wire(self, *, stream: bool = True) -> WireAnswer:
        """Work out what is sent, faults included, to who asked for a stream or did not."""
        draft = WireAnswer(
            status=self.status,
            headers=dict(self.headers),
            content_type=self.content_type,
            events=None,
            steps=[*self.pieces],
        )
        if self.listed is not None:
            copies: list[Wire] = default_converter().json.loads(default_converter().json.dumps(list(self.listed)))
            if stream:
                draft.events = copies
            else:
                last = next((event["response"] for event in reversed(copies) if "response" in event), None)
                draft.content_type, draft.steps = _JSON, [default_converter().json.dumps(last)]
        changes = [change for fault in self.faults for change in fault.changes]
        for change in changes:
            if change.on_events:
                change.apply(draft)
        draft.write()
        for change in changes:
            if not change.on_events:
                change.apply(draft)
        return draft


def _emitter(model: str) -> Emitter:
    return Emitter(CreateResponse(model=model), now=1_700_000_000.0, ids="{}_1".format)


def _whole(item: Item | JSONObject | str, item_id: str) -> Item:
    """Give the item that is meant, with what every item of an output has."""
    if isinstance(item, str):
        item = Message(role="assistant", content=[OutputText(text=item, annotations=[], logprobs=[])])
    whole = item if isinstance(item, Model) else load(item, Item)
    missing = {"id": item_id, "status": "completed"}
    lacking = {name: value for name, value in missing.items() if getattr(whole, name, None) is UNSET}
    return cast("Item", attrs.evolve(cast("Any", whole), **lacking))


def _wire(event: Event | JSONObject) -> JSONObject:
    return event if isinstance(event, dict) else cast("JSONObject", dump(event))


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
