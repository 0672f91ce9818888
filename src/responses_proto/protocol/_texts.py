"""Follow the text of messages through the events of a response: each character once, whichever event states it.

Servers stream the text of a message in deltas, or send it as a whole in a ``done`` event of the text, the part or the item, or only
in the terminal response; some combine these. :class:`MessageTexts` takes the events as resolved by the accumulator, and returns the
new text that each event adds. Joined, these are the text of the messages in the final response.

Returned text cannot be taken back: if a later statement contradicts the deltas, its text is not returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

from ..models.content import OutputText
from ..models.events import (
    TERMINAL_TYPES,
    ContentPartAdded,
    ContentPartDone,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    UnknownEvent,
)
from ..models.items import Message
from ._snapshot import TextBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..models.events import Event
    from ..models.items import MessagePhase
    from ..models.response import Response

_COMMENTARY: Final = "commentary"
_FINAL: Final = "final_answer"
_HIGH_SURROGATES: Final = ("\ud800", "\udbff")


class FollowedPart:
    """One text of a message."""

    __slots__ = ("closed", "text", "told")

    def __init__(self, text: str = "") -> None:
        self.text = TextBuffer(text)
        """The text so far."""
        self.told = self.text.size
        """The number of characters of it that were returned."""
        self.closed = False
        """Whether the text no longer grows."""


class FollowedMessage:
    """One message of the output."""

    __slots__ = ("agent", "closed", "id", "index", "parts", "phase", "whole")

    def __init__(self, index: int, *, whole: bool) -> None:
        self.index = index
        self.id = ""
        self.phase: object = None
        self.agent = ""
        """The name of the agent that wrote the message; empty if the server names none."""
        self.parts: dict[int, FollowedPart] = {}
        self.closed = False
        self.whole = whole
        """Whether the message is followed from its beginning."""


class NewText(NamedTuple):
    """The text that an event adds."""

    message: FollowedMessage
    part: FollowedPart
    text: str


class MessageTexts:
    """Returns the new text of each event. Call :meth:`push` with every event, in order.

    ``phase`` and ``agent`` select the messages. ``"final_answer"`` selects those that are not marked as ``"commentary"``; most servers
    mark none. ``midway``: whether the response is not followed from its beginning. Text that may have been sent there is then left out.
    """

    def __init__(self, *, phase: MessagePhase | None = None, agent: str | None = None, midway: bool = False) -> None:
        self._phase = phase
        self._agent = agent
        self._whole = not midway
        self._by_index: dict[int, FollowedMessage] = {}
        self._by_id: dict[str, FollowedMessage] = {}
        self._growing: tuple[FollowedMessage, int, FollowedPart] | None = None

    def begin_with(self, response: Response, waiting: Iterable[Event]) -> None:
        """Treat the text of a snapshot as returned already, except for the text of the events in ``waiting``, which follow."""
        for position, item in enumerate(response.output):
            if isinstance(item, Message):
                message = self._message(position, item.id or "")
                self._describe(message, item)
                message.parts = {index: FollowedPart(text) for index, text in _texts_of(item)}
        deltas: dict[int, tuple[FollowedPart, list[str]]] = {}
        for event in waiting:
            if isinstance(event, OutputItemAdded) and isinstance(event.item, Message):
                self._message(event.output_index, event.item.id or "").parts.clear()
            elif isinstance(event, ContentPartAdded):
                self._message(event.output_index, event.item_id).parts.pop(event.content_index, None)
            elif isinstance(event, OutputTextDelta):
                part = self._message(event.output_index, event.item_id).parts.get(event.content_index)
                if part is not None:
                    deltas.setdefault(id(part), (part, []))[1].append(event.delta)
        for part, pieces in deltas.values():
            text = part.text.value().removesuffix("".join(pieces))
            part.text = TextBuffer(text)
            part.told = len(text)

    def push(self, event: Event) -> Sequence[NewText]:
        """Process an event, and return the text that it adds to the selected messages."""
        if isinstance(event, OutputTextDelta):
            return self._delta(event)
        fold = self._FOLDS.get(event.type)
        return () if fold is None or isinstance(event, UnknownEvent) else fold(self, event)

    # The events

    def _delta(self, event: OutputTextDelta) -> Sequence[NewText]:
        growing = self._growing
        if (
            growing is not None
            and event.content_index == growing[1]
            and event.output_index == growing[0].index
            and event.item_id == growing[0].id
        ):
            message, _, part = growing
        else:
            message = self._message(event.output_index, event.item_id)
            if not message.agent:
                message.agent = _agent_of(event)
            part = message.parts.setdefault(event.content_index, FollowedPart())
            self._growing = message, event.content_index, part
        if part.closed or message.closed:
            return ()
        part.text.write(event.delta)
        return self._news(message, part, event.delta)

    def _text_done(self, event: OutputTextDone) -> Sequence[NewText]:
        return self._state(event, event.text, closes=True)

    def _part(self, event: ContentPartAdded | ContentPartDone) -> Sequence[NewText]:
        if not isinstance(event.part, OutputText):
            return ()
        return self._state(event, event.part.text, closes=isinstance(event, ContentPartDone))

    def _state(
        self, event: OutputTextDone | ContentPartAdded | ContentPartDone, text: str, *, closes: bool
    ) -> Sequence[NewText]:
        self._growing = None
        message = self._message(event.output_index, event.item_id)
        if message.closed:
            return ()
        part = message.parts.get(event.content_index)
        if part is None:
            part = message.parts[event.content_index] = FollowedPart()
            if closes and not message.whole:
                _skip(part, text)
        news = self._take(message, part, text)
        part.closed |= closes
        return news

    def _item(self, event: OutputItemAdded | OutputItemDone) -> Sequence[NewText]:
        item = event.item
        if not isinstance(item, Message):
            return ()
        self._growing = None
        added = isinstance(event, OutputItemAdded)
        message = self._message(event.output_index, item.id or "", new=added)
        message.whole |= added
        self._describe(message, item)
        news = self._take_item(message, item)
        message.closed = not added
        return news

    def _terminal(self, event: Any) -> Sequence[NewText]:
        self._growing = None
        news: list[NewText] = []
        listed = [(place, item) for place, item in enumerate(event.response.output) if isinstance(item, Message)]
        for place, item, message in self._matches(listed):
            if message is None:
                if not self._whole:
                    continue
                message = self._new_message(max(place, max(self._by_index, default=-1) + 1), whole=True)  # noqa: PLW2901 - found, or else made
            self._describe(message, item)
            news += self._take_item(message, item)
            message.closed = True
        return news

    _FOLDS: ClassVar[Mapping[str, Callable[[Any, Any], Sequence[NewText]]]] = {
        OutputTextDone.type: _text_done,
        ContentPartAdded.type: _part,
        ContentPartDone.type: _part,
        OutputItemAdded.type: _item,
        OutputItemDone.type: _item,
        **dict.fromkeys(TERMINAL_TYPES, _terminal),
    }

    # Messages

    def _message(self, index: int, item_id: str, *, new: bool = False) -> FollowedMessage:
        """Return the message at an index, or the message with this id if the accumulator has moved it to the index."""
        message = self._by_index.get(index)
        if message is not None and new and message.closed:
            message = None
        if message is None and item_id and not new:
            named = self._by_id.get(item_id)
            message = named if named is not None and not named.closed else None
        if message is None:
            message = self._new_message(index, whole=self._whole)
        elif message.index != index:
            del self._by_index[message.index]
            message.index = index
            self._by_index[index] = message
        if item_id and item_id != message.id:  # keep only the newest id: some servers change it with every event
            if self._by_id.get(message.id) is message:
                del self._by_id[message.id]
            message.id = item_id
            self._by_id[item_id] = message
        return message

    def _new_message(self, index: int, *, whole: bool) -> FollowedMessage:
        message = self._by_index[index] = FollowedMessage(index, whole=whole)
        return message

    @staticmethod
    def _describe(message: FollowedMessage, item: Message) -> None:
        message.phase = item.phase or message.phase
        message.agent = _agent_of(item) or message.agent

    def _matches(self, listed: list[tuple[int, Message]]) -> list[tuple[int, Message, FollowedMessage | None]]:
        """Find the followed message of each message in the final output: by id, by index, by its text, or else in order."""
        free = dict.fromkeys(message for _, message in sorted(self._by_index.items()))
        found: dict[int, FollowedMessage] = {}

        def take(place: int, message: FollowedMessage | None) -> None:
            if message is not None and message in free and place not in found:
                found[place] = message
                del free[message]

        for place, item in listed:
            take(place, self._by_id.get(item.id or ""))
        for place, _ in listed:
            take(place, self._by_index.get(place))
        for place, item in listed:
            text = "".join(text for _, text in _texts_of(item))
            take(place, next((message for message in free if text.startswith(_known_text(message))), None))
        for place, _ in listed:
            take(place, next(iter(free), None))
        return [(place, item, found.get(place)) for place, item in listed]

    # Texts

    def _take_item(self, message: FollowedMessage, item: Message) -> list[NewText]:
        """Process a complete message. Its parts are matched by index, or in order if the indices do not fit."""
        stated = _texts_of(item)
        untouched = not message.parts
        if not message.parts.keys() <= {index for index, _ in stated}:
            known = sorted(message.parts)
            extra = range(known[-1] + 1, known[-1] + 1 + len(stated))
            stated = [(index, text) for index, (_, text) in zip([*known, *extra], stated, strict=False)]
        news: list[NewText] = []
        for index, text in stated:
            part = message.parts.setdefault(index, FollowedPart())
            if untouched and not message.whole:
                _skip(part, text)
            news += self._take(message, part, text)
        return news

    def _take(self, message: FollowedMessage, part: FollowedPart, stated: str) -> Sequence[NewText]:
        """Process a complete text. An empty text is ignored."""
        known = part.text.value()
        if stated and stated != known:
            all_told = part.told == part.text.size
            part.text.set(stated)
            if part.told and not stated.startswith(known):
                part.told = part.text.size
            elif all_told:
                part.told = len(known)
        return self._news(message, part)

    def _news(self, message: FollowedMessage, part: FollowedPart, delta: str = "") -> Sequence[NewText]:
        """Return the part of a text that was not returned yet, if its message is selected. ``delta``: the end of the text."""
        if part.told == part.text.size or not self._is_chosen(message):
            return ()
        is_delta = part.told + len(delta) == part.text.size
        text = delta if is_delta else part.text.value()[part.told :]
        part.told = part.text.size
        if _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1]:  # half of a character; the other half follows
            text = text[:-1]
            part.told -= 1
        return (NewText(message, part, text),) if text else ()

    def _is_chosen(self, message: FollowedMessage) -> bool:
        if self._agent is not None and message.agent != self._agent:
            return False
        if self._phase == _FINAL:
            return message.phase != _COMMENTARY
        return self._phase is None or message.phase == self._phase


def _skip(part: FollowedPart, text: str) -> None:
    """Treat a text as returned, because it may have been sent before the followed events."""
    part.text.set(text)
    part.told = part.text.size


def _texts_of(item: Message) -> list[tuple[int, str]]:
    """Return the texts of a message with their places in its content."""
    if isinstance(item.content, str):
        return [(0, item.content)] if item.content else []
    return [(place, part.text) for place, part in enumerate(item.content) if isinstance(part, OutputText)]


def _known_text(message: FollowedMessage) -> str:
    return "".join(part.text.value() for _, part in sorted(message.parts.items()))


def _agent_of(said: Any) -> str:
    """Return the name of the agent of an item or event; empty if there is none (Multi-agent, beta)."""
    agent: Any = getattr(said, "agent", None) or said.extra.get("agent")
    if isinstance(agent, Mapping):
        agent = cast("Mapping[str, object]", agent).get("agent_name")
    name: object = getattr(agent, "agent_name", agent)
    return name if isinstance(name, str) else ""
