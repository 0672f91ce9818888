"""The server without its transport: requests for responses in, events out, and what is kept of them.

HTTP and WebSocket are two ways to talk to one :class:`Service`. What they need of it, in this order::

    turn = await service.turn(request, earlier=...)     # checks the request, finds its history; APIError if it cannot be answered
    await turn.run(deliver)                             # runs the handler; APIError if it refused before anything was delivered
    turn.response, turn.history                         # how it ended, and what the next turn would see

* ``earlier`` is asked for the history of ``previous_response_id`` before the store is: a connection that caches what it
  did not store gives it from there, as ``turn.history`` was.
* ``deliver`` gets the events, each encoded once, in batches and in order. A response that is to be stored is stored before
  its terminal event is delivered. What ``deliver`` raises ends the response and comes out of ``run``.
* Cancelling the task that is in ``run`` cancels the handler at once. :meth:`ResponseTask.stop` ends a response from another task.
* ``service.start(turn)`` runs a response in the background instead, for :meth:`ResponseTask.more` to follow; it needs ``async with service``.

A response that the client was told of and that was cut short is stored as ``cancelled``; as ``failed``, if it ran in the background and
the server itself went down.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, cast, runtime_checkable

import anyio
import attrs

from ..codec import loads
from ..exceptions import LocalProtocolError
from ..models.events import Event
from ..models.items import Item, ItemReference
from ..models.request import CompactRequest, CreateResponse, InputTokensRequest
from ..models.response import (
    CompactedResponse,
    InputTokenCount,
    InputTokensDetails,
    OutputTokensDetails,
    ResponseError,
    Usage,
)
from ..protocol._requests import check_create, id_of, invalid, not_found
from ..protocol.accumulator import Accumulator
from ..protocol.emitter import emit, random_id
from ._context import check_outputs, compact, count_words, expand, normalize_items
from ._task import EventSink, Handler, ResponseTask, failure_events
from .stores import MemoryStore, Store, StoredResponse, wire_event

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup

    from ..models.config import ConversationReference
    from ..models.response import Response

__all__ = ["EventSink", "Handler", "HistoryLookup", "ResponseTask", "Service", "SupportsCompact", "SupportsCount"]

HistoryLookup: TypeAlias = Callable[[str], Sequence[Item] | None]
"""Gives the history up to and with a response, by its id; ``None`` if it does not know that one."""


@runtime_checkable
class SupportsCompact(Protocol):
    """A handler that shortens histories itself. Otherwise the server folds them up, and unfolds them when they come back."""

    async def compact(self, request: CompactRequest, context: Sequence[Item]) -> Sequence[Item]:
        """Give the items that are to stand for those of the context. May raise an ``APIError``."""
        ...


@runtime_checkable
class SupportsCount(Protocol):
    """A handler that knows how many tokens an input has. Otherwise the server counts words."""

    async def count(self, request: InputTokensRequest, context: Sequence[Item]) -> int:
        """Count the tokens of a request whose context (history and input) is given. May raise an ``APIError``."""
        ...


_RUNNING: Final = frozenset({"queued", "in_progress"})
_DIED: Final = "The server stopped while it worked on the response, and has been started again since."

_log: Final = logging.getLogger(__name__)


class Service:
    """Makes the responses of a server, and looks after those that run and those that are kept.

    ``handler`` answers the requests, from any number of tasks at a time. ``store`` is where responses and conversations are kept; in
    memory, if it is left out. ``clock`` gives seconds since 1970; ``ids`` makes an id of a prefix.

    In ``async with`` it works in the background; leaving the block ends what runs there, and closes the store.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        ids: Callable[[str], str] = random_id,
    ) -> None:
        self.handler: Handler = handler
        self.store: Store = MemoryStore() if store is None else store
        self.clock: Callable[[], float] = clock
        self.ids: Callable[[str], str] = ids
        self.turns: dict[str, ResponseTask] = {}
        """The responses that are running and that somebody may ask for, by id. Turns come and go by themselves."""
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise LocalProtocolError(
                "the server is open already: enter it once, by `async with` or by the lifespan of ASGI"
            )
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        return self

    async def __aexit__(
        self, _exc_type: type[BaseException] | None, _exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        try:
            if tasks is not None:
                tasks.cancel_scope.cancel()
                # What the block raised is none of the tasks' business: it goes on as it is, not as one of a group.
                await tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                await self.store.aclose()

    # -- making responses

    async def turn(self, request: CreateResponse, *, earlier: HistoryLookup | None = None) -> ResponseTask:
        """Check a request and find its history. Nothing was done yet: :meth:`ResponseTask.run` or :meth:`start` comes next.

        Raises ``APIError`` for a request that cannot be answered.
        """
        check_create(request)
        if request.background and self._tasks is None:
            message = (
                "This server does not work in the background: whoever runs it has to switch the lifespan of ASGI on, "
                "or use it inside 'async with'."
            )
            raise invalid(message, "background", "unsupported_parameter")
        previous = request.previous_response_id or None
        cached = earlier(previous) if earlier is not None and previous else None
        past = await self._history(previous, request.conversation or None) if cached is None else cached
        own = await self.normalize(request.input or (), past)
        context = expand([*past, *own])
        check_outputs(context)
        lost = cached is not None and request.store is not False and await self.store.find(previous or "") is None
        return ResponseTask(
            request,
            input=own,
            context=context,
            history=past if lost else None,
            handler=self.handler,
            store=self.store,
            running=self.turns,
            clock=self.clock,
            ids=self.ids,
        )

    async def start(self, turn: ResponseTask) -> None:
        """Run a turn in the background. Returns once the response is queued and stored."""
        tasks = self._tasks
        if tasks is None:
            raise LocalProtocolError("to work in the background, the server has to be open: use it inside `async with`")
        try:
            await turn.queue()
        except BaseException:
            turn.forget()
            raise
        tasks.start_soon(self._run_in_background, turn)

    @staticmethod
    async def _run_in_background(turn: ResponseTask) -> None:
        try:
            await turn.run()
        except Exception:  # noqa: BLE001 - others go on, whatever a store raises
            _log.exception("%s broke in the background", turn.id)

    # -- what came before

    async def _history(self, previous: str | None, conversation: str | ConversationReference | None) -> list[Item]:
        if conversation:
            name = conversation if isinstance(conversation, str) else conversation.id
            if await self.store.find_conversation(name) is None:
                raise not_found("conversation", name, "conversation")
            return await self.store.items(name)
        asked, parts = previous, list[list[Item]]()
        while previous:
            stored = await self.find(previous)
            if stored is None:
                which = "" if previous == asked else f", which {asked!r} goes back to"
                message = f"Previous response with id {previous!r} not found{which}."
                raise invalid(message, "previous_response_id", "previous_response_not_found")
            if stored.response.status in _RUNNING:
                message = f"Previous response with id {previous!r} is still being made: wait for its end."
                raise invalid(message, "previous_response_id", "previous_response_not_completed")
            parts.append(stored.items)
            previous = None
            if stored.history is not None:
                parts.append(stored.history)
            elif stored.response.conversation:
                parts.append(await self._history_before(stored, stored.response.conversation.id))
            else:
                previous = stored.response.previous_response_id or None
        return [item for part in reversed(parts) for item in part]

    async def _history_before(self, stored: StoredResponse, conversation_id: str) -> list[Item]:
        """Give the items of a conversation that came before a response in it."""
        items = await self.store.items(conversation_id)
        own = {id_of(item) for item in stored.items}
        end = next((index for index, item in enumerate(items) if id_of(item) in own), len(items))
        return items[:end]

    async def normalize(self, given: str | Sequence[Item], history: Sequence[Item], param: str = "input") -> list[Item]:
        """Make items that follow a history what they are once they are stored, references replaced by what they stand for.

        What is in the history already is left out. Raises ``APIError`` for a reference to what is not there, and for two items
        with one id that they have to keep, at ``param``.
        """
        taken = {id_of(item) for item in history}
        if isinstance(given, str):
            return normalize_items(given, self.ids, taken=taken)
        known = {(item.type, id_of(item)) for item in history if id_of(item)}
        found: list[Item] = []
        places: list[int] = []
        for index, item in enumerate(given):
            if isinstance(item, ItemReference):
                kept = await self.store.find_item(item.id) if item.id not in taken else None
                if kept is None and item.id not in taken:
                    raise not_found("item", item.id, f"{param}[{index}].id")
            else:
                kept = item if (item.type, id_of(item)) not in known else None
            if kept is not None:
                found.append(kept)
                places.append(index)
        made = normalize_items(found, self.ids, taken=taken)
        seen: set[tuple[str, str]] = set()
        for place, item in zip(places, made, strict=True):
            name = id_of(item)
            if not name and hasattr(item, "id"):
                raise invalid(f"An item of type {item.type} has an id.", f"{param}[{place}].id", "invalid_value")
            if name and (item.type, name) in seen:
                raise invalid(f"Duplicate item found with id {name!r}.", f"{param}[{place}].id", "duplicate_item")
            seen.add((item.type, name))
        return made

    # -- what is kept

    async def find(self, response_id: str) -> StoredResponse | None:
        """Give a response that runs or is kept. One that died with an earlier process has failed."""
        turn = self.turns.get(response_id)
        if turn is not None:
            return turn.stored
        stored = await self.store.find(response_id)
        if stored is None or stored.response.status not in _RUNNING:
            return stored
        return await self._mark_lost(stored)

    async def _mark_lost(self, stored: StoredResponse) -> StoredResponse:
        events = await self.store.events(stored.response.id)
        said = Accumulator()
        for event in events:
            said.push(loads(event.data, Event))
        response = attrs.evolve(
            stored.response,
            status="failed",
            error=ResponseError(code="server_error", message=_DIED),
            output=[_unfinished(item) for item in said.response.output],
        )
        failed = attrs.evolve(stored, response=response)
        last = failure_events(response, events[-1].sequence_number + 1) if events else []
        await self.store.save(failed, events=last)
        return failed

    async def existing(self, response_id: str) -> StoredResponse:
        """Give a response that runs or is kept. Raises ``APIError`` (404) if there is none."""
        stored = await self.find(response_id)
        if stored is None:
            raise not_found("response", response_id, "response_id")
        return stored

    async def replay(
        self, response_id: str, after: int | None = None
    ) -> Callable[[EventSink], Coroutine[Any, Any, None]]:
        """Give the events of a response again, from behind a sequence number on, and those to come if it runs.

        A response that was not streamed has the events that it would have had. Nothing is delivered until what this gives is
        called. Raises ``APIError`` for a response that is not there, and for a number that none of its events has had.
        """
        turn = self.turns.get(response_id)
        if turn is not None:
            _check_number(after, turn.number)
            return functools.partial(self.follow, turn, 0 if after is None else after + 1)
        stored = await self.existing(response_id)
        events = await self.store.events(response_id) or [wire_event(event) for event in emit(stored.response)]
        _check_number(after, events[-1].sequence_number)
        rest = [event for event in events if after is None or event.sequence_number > after]

        async def again(deliver: EventSink) -> None:
            if rest:
                await deliver(rest)

        return again

    @staticmethod
    async def follow(turn: ResponseTask, number: int, deliver: EventSink) -> None:
        """Deliver the events of a turn from a sequence number on, those to come included."""
        while said := await turn.more(number):
            number += len(said)
            await deliver(said)

    async def cancel(self, response_id: str) -> Response:
        """Cancel a response in the background, and give it; one that has ended stays as it is. Raises ``APIError``."""
        turn = self.turns.get(response_id)
        response = turn.response if turn is not None else (await self.existing(response_id)).response
        if not response.background:
            message = "Only a response in the background can be cancelled; others end when their connection is closed."
            raise invalid(message, "response_id", "response_not_cancellable")
        if turn is None:
            return response
        await turn.stop()
        return turn.response

    async def delete(self, response_id: str) -> None:
        """Forget a response; one that runs is cancelled. Raises ``APIError`` (404) if there is none."""
        turn = self.turns.get(response_id)
        if turn is not None:
            turn.forget()
            await turn.stop()
        if not await self.store.delete(response_id) and turn is None:
            raise not_found("response", response_id, "response_id")

    # -- what is said about input

    async def compact(self, request: CompactRequest) -> CompactedResponse:
        """Have a history shortened: by the handler if it can, or else by folding it up. Raises ``APIError``."""
        context = await self._context(request)
        if not context:
            raise invalid("There is nothing to compact: the input is empty.", "input", "missing_required_parameter")
        handler = cast("object", self.handler)
        if isinstance(handler, SupportsCompact):
            output = normalize_items(await handler.compact(request, context), self.ids)
        else:
            output = compact(context, self.ids)
        read, written = count_words(context, request.instructions), count_words(output)
        usage = Usage(
            input_tokens=read,
            output_tokens=written,
            total_tokens=read + written,
            input_tokens_details=InputTokensDetails(cached_tokens=0),
            output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        )
        return CompactedResponse(id=self.ids("resp"), created_at=int(self.clock()), output=output, usage=usage)

    async def count(self, request: InputTokensRequest) -> InputTokenCount:
        """Count the tokens of an input: by the handler if it can, or else its words. Raises ``APIError``."""
        context = await self._context(request)
        handler = cast("object", self.handler)
        if isinstance(handler, SupportsCount):
            return InputTokenCount(input_tokens=await handler.count(request, context))
        return InputTokenCount(input_tokens=count_words(context, request.instructions, request.tools))

    async def _context(self, request: CompactRequest | InputTokensRequest) -> list[Item]:
        conversation = request.conversation if isinstance(request, InputTokensRequest) else None
        past = await self._history(request.previous_response_id or None, conversation or None)
        return expand([*past, *await self.normalize(request.input or (), past)])


def _check_number(after: int | None, last: int) -> None:
    if after is not None and not 0 <= after <= last:
        message = f"No event with sequence number {after} has been sent: the last one had {last}."
        raise invalid(message, "starting_after", "invalid_value")


def _unfinished(item: Item) -> Item:
    if getattr(item, "status", None) != "in_progress":
        return item
    changed: dict[str, Any] = {"status": "incomplete"}
    return attrs.evolve(item, **changed)
