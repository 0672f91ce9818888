"""Check your own store against the contract of :class:`~responses_proto.server.Store` and :class:`~responses_proto.server.SharedStore`.

::

    def test_my_store():
        check_store(lambda: MyStore("postgres://localhost/test"))

Two Hypothesis state machines execute random steps. One calls the methods of the store and compares their results with a model. The other
runs services on the store, which create, follow, cancel and delete responses, and crash. A shared store is opened twice, as in two
processes. The checks do not depend on timing, except where a store has to wait: leases are ended explicitly, they do not run out.
"""

from __future__ import annotations

import contextlib
import functools
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import anyio
import attrs
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, FlakyFailure
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ..exceptions import UsageError
from ..models.config import ConversationReference
from ..models.conversations import Conversation
from ..models.events import TERMINAL_TYPES
from ..models.items import Item, Message
from ..models.request import CreateResponse
from ..models.response import RUNNING_STATUSES
from ..protocol._requests import id_of
from ..protocol.emitter import initial_response
from ..server.service import Service
from ..server.stores import HistoryLink, StoredResponse, WireEvent
from ..server.stores._base import as_shared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from anyio.from_thread import BlockingPortal

    from ..server.reply import Reply
    from ..server.stores import SharedStore, Signal, Store

__all__ = ["check_store"]

_Status: TypeAlias = Literal["in_progress", "completed"]

_PATIENCE: Final = 5.0  # seconds within which a waiting call must return
_LONG: Final = 3600.0  # seconds of a lease that does not run out
_RACERS: Final = 4  # calls of each store at the same time
_OWNERS: Final = ("server_a", "server_b")
_SIGNALS: Final[tuple[Signal, ...]] = ("cancel", "delete")

_choice = st.integers(min_value=0, max_value=1)
_three = st.integers(min_value=0, max_value=2)
_numbers = st.lists(st.integers(min_value=0, max_value=7), max_size=4)
_texts = st.sampled_from(["", "a", "ä\U0001f600", "half \ud800", '"quoted"\n', "nul \0"])


def check_store(
    make: Callable[[], Store],
    *,
    backend: Literal["asyncio", "trio"] = "asyncio",
    settings: settings | None = None,  # noqa: A002, RUF100 - what Hypothesis calls it
) -> None:
    """Check a store against the contract. Call this function outside of an event loop.

    ``make``: opens the store. It is called outside of an event loop. All stores that it returns must have the same data. A store whose
    ``lease_seconds`` is not ``None`` is checked as a shared store: it is opened twice.
    ``backend``: the event loop to run on.
    ``settings``: settings of Hypothesis; by default 20 examples of up to 30 steps for each of the two state machines.

    The check creates unique ids, and deletes all data that it has written.

    Raises ``AssertionError`` for a fault, with the shortest sequence of steps found that leads to it, and ``UsageError`` if two stores
    that ``make`` returns do not have the same data.
    """
    chosen = settings or _default_settings()
    with start_blocking_portal(backend) as portal:
        opened = _Opened(make, portal)
        try:
            opened.check_that_data_is_shared()
            for machine in (_StoreMachine, _ServiceMachine):
                # Hypothesis only calls the factory, although its annotation requires a class.
                run_state_machine_as_test(cast("Any", functools.partial(machine, opened)), settings=chosen)
        except Flaky as flaky:  # a race: the second run went differently
            raise next((one for one in _seen_before(flaky) if isinstance(one, AssertionError)), flaky) from flaky
        finally:
            opened.close()


def _seen_before(flaky: Flaky) -> Iterator[BaseException]:
    """Yield the errors from before Hypothesis noticed that it cannot reproduce them."""
    if isinstance(flaky, FlakyFailure):
        yield from flaky.exceptions
    error = flaky.__context__
    while error is not None:
        yield error
        error = error.__context__


def _default_settings() -> settings:
    return settings(
        max_examples=20,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        print_blob=False,
    )


class _Opened:
    """A store, opened once or twice, and the event loop on which it is used."""

    def __init__(self, make: Callable[[], Store], portal: BlockingPortal) -> None:
        self.make = make
        self.portal = portal
        first = make()
        self.is_shared = as_shared(first) is not None
        self.stores: list[Store] = [first, make()] if self.is_shared else [first]

    def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        async def bounded() -> Any:
            with anyio.move_on_after(3 * _PATIENCE):
                return await call()
            raise AssertionError(f"a call has not returned after {3 * _PATIENCE} s")

        return self.portal.call(bounded)

    def check_that_data_is_shared(self) -> None:
        async def check() -> bool:
            conversation = Conversation(id=f"conv_{uuid.uuid4().hex}", created_at=1, metadata={})
            await self.stores[0].save_conversation(conversation)
            found = await self.stores[-1].find_conversation(conversation.id)
            await self.stores[0].delete_conversation(conversation.id)
            return found == conversation

        if not self.run(check):
            raise UsageError(
                "make must open the same store each time: one store does not find data that the other has saved"
            )

    def close(self) -> None:
        async def close() -> None:
            for store in self.stores:
                await store.aclose()

        self.run(close)


# -- the methods


@attrs.define
class _Lease:
    owner: str
    ran_out: bool = False


@attrs.define
class _Model:
    """The data that the store must have."""

    responses: dict[str, StoredResponse] = attrs.field(factory=dict[str, StoredResponse])
    saved: list[str] = attrs.field(factory=list[str])
    """The ids of the responses, in the order in which they were first saved."""
    events: dict[str, dict[int, WireEvent]] = attrs.field(factory=dict[str, "dict[int, WireEvent]"])
    conversations: dict[str, Conversation] = attrs.field(factory=dict[str, Conversation])
    items: dict[str, list[Item]] = attrs.field(factory=dict[str, "list[Item]"])
    leases: dict[str, _Lease] = attrs.field(factory=dict[str, _Lease])
    requests: dict[str, str] = attrs.field(factory=dict[str, str])

    def save(self, stored: StoredResponse, events: Sequence[WireEvent], items: Sequence[Item]) -> None:
        response = stored.response
        if response.id not in self.saved:
            self.saved.append(response.id)
        self.responses[response.id] = stored
        self.add_events(response.id, events)
        if response.conversation:
            self.add_items(response.conversation.id, items)
        if response.status not in RUNNING_STATUSES:
            self.leases.pop(response.id, None)

    def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        if response_id in self.responses:
            mine = self.events.setdefault(response_id, {})
            for event in events:
                mine.setdefault(event.sequence_number, event)

    def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        if conversation_id not in self.conversations:
            return False
        mine = self.items.setdefault(conversation_id, [])
        for item in items:
            if id_of(item) not in {id_of(other) for other in mine}:
                mine.append(item)
        return True

    def delete(self, response_id: str) -> bool:
        self.events.pop(response_id, None)
        self.leases.pop(response_id, None)
        if response_id in self.saved:
            self.saved.remove(response_id)
        for digest in [digest for digest, noted in self.requests.items() if noted == response_id]:
            del self.requests[digest]
        return self.responses.pop(response_id, None) is not None

    def all_events(self, response_id: str, after: int = -1) -> list[WireEvent]:
        mine = self.events.get(response_id, {})
        return [mine[number] for number in sorted(mine) if number > after]

    def find_item(self, item_id: str) -> Item | None:
        for response_id in self.saved:
            for item in self.responses[response_id].items:
                if id_of(item) == item_id:
                    return item
        return None

    def chain(self, response_id: str) -> list[str]:
        found: list[str] = []
        following: str | None = response_id
        while following and following in self.responses:
            found.append(following)
            stored = self.responses[following]
            ends = stored.history is not None or stored.response.conversation
            following = None if ends else stored.response.previous_response_id or None
        return found


class _StoreMachine(RuleBasedStateMachine):
    """Calls the methods of a store. The data that one store has written is also read through the other."""

    def __init__(self, opened: _Opened) -> None:
        super().__init__()
        self.opened = opened
        self.model = _Model()
        self.is_shared = opened.is_shared
        mark = uuid.uuid4().hex
        self.names = [f"resp_{mark}_{number}" for number in range(3)]
        self.conversations = [f"conv_{mark}_{number}" for number in range(2)]
        self.items = [f"msg_{mark}_{number}" for number in range(4)]
        self.owners = [f"{owner}_{mark}" for owner in _OWNERS]
        self.digests = [f"{mark}{number}" for number in range(2)]

    # -- writing

    def stored(self, number: int, status: _Status, text: str, place: int) -> StoredResponse:
        """Return a response that follows an earlier one, belongs to a conversation, or contains its history."""
        request = CreateResponse(
            model="m",
            input=text,
            metadata={"text": text},
            previous_response_id=self.names[number - 1] if number and place == 0 else None,
            conversation=ConversationReference(id=self.conversations[0]) if place == 1 else None,
        )
        response = attrs.evolve(initial_response(request, now=1, id=self.names[number]), status=status)
        # All responses have the first item, each with different content.
        mine = [Message(id=self.items[at], role="user", content=f"{number} {text}") for at in (0, number + 1)]
        history: list[Item] | None = [Message(id="before", role="user", content="x")] if place == 2 else None  # noqa: PLR2004 - the third
        return StoredResponse(response=response, input=[*mine], history=history)

    def events(self, numbers: Sequence[int], text: str) -> list[WireEvent]:
        data = ('{"text":"' + text.encode("ascii", "backslashreplace").decode().replace('"', "'") + '"}').encode()
        return [WireEvent(number, "response.output_text.delta", data.replace(b"\n", b" ")) for number in numbers]

    def conversation_items(self, numbers: Sequence[int], text: str) -> list[Item]:
        return [Message(id=self.items[number % 4], role="user", content=text) for number in numbers]

    def call(self, which: int, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of one of the stores, and return its result."""
        store = self.opened.stores[which % len(self.opened.stores)]
        return self.opened.run(lambda: getattr(store, method)(*args, **options))

    def returns(self, expected: object, which: int, method: str, *args: Any, **options: Any) -> None:
        """Call a method of one of the stores, and check that it returns ``expected``."""
        got = self.call(which, method, *args, **options)
        shown = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in options.items())])
        _check(got == expected, f"{method}({shown}) returned {got!r}, expected {expected!r}")

    @rule(which=_choice, number=_three, text=_texts, place=_three, numbers=_numbers, items=_numbers)
    def save(self, which: int, number: int, text: str, place: int, numbers: list[int], items: list[int]) -> None:
        stored = self.stored(number, "completed", text, place)
        events, added = self.events(numbers, text), self.conversation_items(items, text)
        self.call(which, "save", stored, events=events, conversation_items=added)
        self.model.save(stored, events, added)
        self.look(which + 1, number)

    @rule(which=_choice, number=_three, numbers=_numbers, text=_texts)
    def add_events(self, which: int, number: int, numbers: list[int], text: str) -> None:
        if self.names[number] in self.model.responses:
            events = self.events(numbers, text)
            self.call(which, "add_events", self.names[number], events)
            self.model.add_events(self.names[number], events)
            self.look(which + 1, number)

    @rule(which=_choice, number=_three)
    def delete(self, which: int, number: int) -> None:
        name = self.names[number]
        self.returns(self.model.delete(name), which, "delete", name)
        self.look(which + 1, number)

    @rule(which=_choice, number=_choice, text=_texts)
    def save_conversation(self, which: int, number: int, text: str) -> None:
        conversation = Conversation(id=self.conversations[number], created_at=1, metadata={"text": text})
        self.call(which, "save_conversation", conversation)
        self.model.conversations[conversation.id] = conversation
        self.look_at_conversation(which + 1, number)

    @rule(which=_choice, number=_choice)
    def delete_conversation(self, which: int, number: int) -> None:
        name = self.conversations[number]
        self.model.items.pop(name, None)
        expected = self.model.conversations.pop(name, None) is not None
        self.returns(expected, which, "delete_conversation", name)
        self.look_at_conversation(which + 1, number)

    @rule(which=_choice, number=_choice, items=_numbers, text=_texts)
    def add_items(self, which: int, number: int, items: list[int], text: str) -> None:
        name, added = self.conversations[number], self.conversation_items(items, text)
        expected = self.model.add_items(name, added)
        self.returns(expected, which, "add_items", name, added)
        self.look_at_conversation(which + 1, number)

    @rule(which=_choice, number=_choice, item=_three)
    def delete_item(self, which: int, number: int, item: int) -> None:
        name, item_id = self.conversations[number], self.items[item]
        before = self.model.items.get(name, [])
        after = [one for one in before if id_of(one) != item_id]
        self.model.items[name] = after
        expected = len(after) < len(before)
        self.returns(expected, which, "delete_item", name, item_id)
        self.look_at_conversation(which + 1, number)

    # -- reading

    @rule(which=_choice, number=_three)
    def look(self, which: int, number: int) -> None:
        name, model = self.names[number], self.model
        self.returns(model.responses.get(name), which, "find", name)
        self.returns(model.all_events(name), which, "events", name)
        for item in (self.items[0], self.items[number + 1]):
            self.returns(model.find_item(item), which, "find_item", item)

    @rule(
        which=_choice,
        number=_three,
        after=st.integers(min_value=-1, max_value=8),
        max_bytes=st.sampled_from([1, 20, 10**6]),
    )
    def look_at_events(self, which: int, number: int, after: int, max_bytes: int) -> None:
        name = self.names[number]
        expected: list[WireEvent] = []
        for event in self.model.all_events(name, after):
            expected.append(event)
            if sum(len(one.data) for one in expected) >= max_bytes:
                break
        self.returns(expected, which, "events", name, after=after, max_bytes=max_bytes)

    @rule(which=_choice, number=_three)
    def look_at_chain(self, which: int, number: int) -> None:
        name = self.names[number]
        links = cast("list[HistoryLink]", self.call(which, "chain", name))
        expected = [self.model.responses[one] for one in self.model.chain(name)]
        got = [(link.id, link.status, link.items, link.history) for link in links]
        _check(
            got == [(one.response.id, one.response.status, one.items, one.history) for one in expected],
            f"chain({name!r}) returned {got!r}",
        )

    @rule(which=_choice, number=_choice)
    def look_at_conversation(self, which: int, number: int) -> None:
        name, model = self.conversations[number], self.model
        self.returns(model.conversations.get(name), which, "find_conversation", name)
        self.returns(model.items.get(name, []), which, "items", name)

    @rule(which=_choice)
    def close(self, which: int) -> None:
        self.call(which, "aclose")

    # -- leases

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three, owner=_choice, text=_texts)
    def begin(self, which: int, number: int, owner: int, text: str) -> None:
        if self.names[number] not in self.model.responses:
            stored, name = self.stored(number, "in_progress", text, 0), self.owners[owner]
            self.call(which, "begin", stored, owner=name, seconds=_LONG)
            self.model.save(stored, (), ())
            self.model.leases[stored.response.id] = _Lease(name)
            self.look(which + 1, number)
            self.look_at_lease(which + 1, number)

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three, owner=_choice, ends=st.booleans(), text=_texts, numbers=_numbers)
    def save_leased(self, which: int, number: int, owner: int, ends: bool, text: str, numbers: list[int]) -> None:  # noqa: FBT001 - a rule
        stored, name = self.stored(number, "completed" if ends else "in_progress", text, 1), self.owners[owner]
        events, items = self.events(numbers, text), self.conversation_items(numbers, text)
        expected = self.holds(number, owner)
        self.returns(expected, which, "save_leased", stored, owner=name, events=events, conversation_items=items)
        if expected:
            self.model.save(stored, events, items)
        self.look(which + 1, number)
        self.look_at_lease(which + 1, number)
        self.look_at_conversation(which + 1, 0)

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three, owner=_choice, text=_texts, numbers=_numbers)
    def add_events_leased(self, which: int, number: int, owner: int, text: str, numbers: list[int]) -> None:
        name, mine, events = self.names[number], self.owners[owner], self.events(numbers, text)
        expected = self.holds(number, owner)
        self.returns(expected, which, "add_events_leased", name, events, owner=mine)
        if expected:
            self.model.add_events(name, events)
        self.look(which + 1, number)

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, owner=_choice, runs_out=st.booleans())
    def renew(self, which: int, owner: int, runs_out: bool) -> None:  # noqa: FBT001 - a rule
        name = self.owners[owner]
        held = self.call(which, "renew", name, 0.0 if runs_out else _LONG)
        mine = [one for one, lease in self.model.leases.items() if lease.owner == name]
        _check(sorted(held) == sorted(mine), f"renew returned {held!r}, expected {mine!r}")
        for one in mine:
            self.model.leases[one].ran_out = runs_out
        for number in range(3):
            self.look_at_lease(which + 1, number)

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three, owner=_choice)
    def take_over(self, which: int, number: int, owner: int) -> None:
        name, mine = self.names[number], self.owners[owner]
        expected = self.can_take_over(number, owner)
        self.returns(expected, which, "take_over", name, owner=mine, seconds=_LONG)
        if expected:
            self.model.leases[name] = _Lease(mine)
        self.look_at_lease(which + 1, number)

    def leased(self, owner: str) -> str:
        """Begin a new response, leased to an owner."""
        other = attrs.evolve(self.stored(0, "in_progress", "", 0).response, id=f"resp_{uuid.uuid4().hex}")
        self.call(0, "begin", StoredResponse(response=other, input=[]), owner=owner, seconds=_LONG)
        return other.id

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice)
    def take_over_at_once(self, which: int) -> None:
        owner = uuid.uuid4().hex
        name = self.leased(owner)
        racers = [f"{racer} {owner}" for racer in range(2 * _RACERS)]
        for runs_out in (False, True):
            if runs_out:
                self.returns([name], which, "renew", owner, 0.0)
            self.returns(None if runs_out else owner, which, "owner", name)
            _check((name in self.call(which, "orphans")) == runs_out, f"orphans: whether a lease ran out is {runs_out}")
            won = self.at_once([(at, _takes_over(name, racer)) for at, racer in enumerate(racers)]).count(True)
            _check(won == runs_out, f"{won} servers took over a response, expected {int(runs_out)}")
        self.call(which, "delete", name)

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three)
    def look_at_lease(self, which: int, number: int) -> None:
        name = self.names[number]
        lease = self.model.leases.get(name)
        self.returns(lease.owner if lease and not lease.ran_out else None, which, "owner", name)
        is_orphan = name in self.call(which, "orphans")
        _check(is_orphan == bool(lease and lease.ran_out), f"whether orphans has {name!r}: {is_orphan}")

    def holds(self, number: int, owner: int) -> bool:
        lease = self.model.leases.get(self.names[number])
        return lease is not None and lease.owner == self.owners[owner]

    def can_take_over(self, number: int, owner: int) -> bool:
        stored = self.model.responses.get(self.names[number])
        lease = self.model.leases.get(self.names[number])
        free = lease is None or lease.ran_out or lease.owner == self.owners[owner]
        return free and stored is not None and stored.response.status in RUNNING_STATUSES

    # -- waiting and signals

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three, first=st.integers(min_value=0, max_value=8))
    def watch_what_is_there(self, which: int, number: int, first: int) -> None:
        name = self.names[number]
        got = self.call(which, "watch", name, first, 0.0)
        expected = self.model.all_events(name, first - 1)
        _check(got == expected[: len(got)], f"watch returned {got!r}, expected the beginning of {expected!r}")
        _check(bool(got) == bool(expected), f"watch returned {got!r}, expected {expected!r}")

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, number=_three, text=_texts)
    def watch_what_comes(self, which: int, number: int, text: str) -> None:
        name = self.names[number]
        if name not in self.model.responses:
            return
        first = max(self.model.events.get(name, {}), default=-1) + 1
        (event,) = self.events([first], text)

        async def wait(store: SharedStore) -> list[WireEvent]:
            with anyio.move_on_after(_PATIENCE):
                while True:
                    if events := await store.watch(name, first, _PATIENCE):
                        return events
                    await anyio.sleep(0.01)  # it may return early
            return []

        async def write(store: SharedStore) -> None:
            await anyio.sleep(0.01)
            await store.add_events(name, [event])

        got, _ = self.at_once([(which, wait), (which + 1, write)])
        self.model.add_events(name, [event])
        _check(got == [event], f"watch returned {got!r} after {_PATIENCE} s, expected {[event]!r}")

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, signals=st.lists(st.sampled_from(_SIGNALS), min_size=1, max_size=4))
    def ask(self, which: int, signals: list[Signal]) -> None:
        owner, other = uuid.uuid4().hex, uuid.uuid4().hex
        names = [self.leased(owner), self.leased(owner)]
        for number, what in enumerate(signals):
            self.asks(which + number, names[number % 2], what, accepted=True)
        expected = [(names[number % 2], what) for number, what in enumerate(signals)]
        for asked, of in (([], other), (expected, owner), ([], owner)):
            self.returns(asked, which, "asked", of, 0.0)
        self.call(which, "renew", owner, 0.0)
        self.asks(which, names[0], "cancel", accepted=False)
        for name in names:
            self.call(which, "delete", name)
            self.asks(which, name, "cancel", accepted=False)

    def asks(self, which: int, name: str, what: Signal, *, accepted: bool) -> None:
        self.returns(accepted, which, "ask", name, what)

    @precondition(lambda self: self.is_shared)
    @rule(which=_choice, digest=_choice, number=_three, instead_of=st.none() | _three)
    def remember(self, which: int, digest: int, number: int, instead_of: int | None) -> None:
        key, name = self.digests[digest], self.names[number]
        if name in self.model.responses and name not in self.model.requests.values():
            old = None if instead_of is None else self.names[instead_of]
            noted = self.model.requests.get(key)
            if noted is None or noted == old:
                self.model.requests[key] = name
            expected = self.model.requests[key]
            self.returns(expected, which, "remember", key, name, instead_of=old)
        self.returns(self.model.requests.get(key), which + 1, "recall", key)

    @precondition(lambda self: self.is_shared)
    @rule()
    def remember_at_once(self) -> None:
        key = uuid.uuid4().hex
        names = [f"resp_{key}_{racer}" for racer in range(_RACERS * 2)]
        noted = set(self.at_once([(at, _remembers(key, name)) for at, name in enumerate(names)]))
        _check(len(noted) == 1, f"equal concurrent requests were assigned to different responses: {sorted(noted)}")

    def at_once(self, calls: Sequence[tuple[int, Callable[[Any], Awaitable[Any]]]]) -> list[Any]:
        results: list[Any] = [None] * len(calls)

        async def one(number: int, which: int, call: Callable[[Any], Awaitable[Any]]) -> None:
            results[number] = await call(self.opened.stores[which % len(self.opened.stores)])

        async def together() -> None:
            async with anyio.create_task_group() as tasks:
                for number, (which, call) in enumerate(calls):
                    tasks.start_soon(one, number, which, call)

        self.opened.run(together)
        return results

    def teardown(self) -> None:
        async def clean() -> None:
            for name in self.names:
                await self.opened.stores[0].delete(name)
            for name in self.conversations:
                await self.opened.stores[0].delete_conversation(name)

        self.opened.run(clean)


def _check(holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _takes_over(response_id: str, owner: str) -> Callable[[SharedStore], Awaitable[bool]]:
    return lambda store: store.take_over(response_id, owner=owner, seconds=_LONG)


def _remembers(digest: str, response_id: str) -> Callable[[SharedStore], Awaitable[str]]:
    return lambda store: store.remember(digest, response_id)


# -- the services


class _Puppet:
    """A handler that writes its responses step by step, on demand. The metadata of a request contain the name of its response."""

    def __init__(self) -> None:
        self._steps: dict[str, Any] = {}

    async def __call__(self, request: CreateResponse, reply: Reply) -> None:
        send, receive = anyio.create_memory_object_stream[Any](1)
        name = cast("dict[str, str]", request.metadata)["name"]
        self._steps[name] = send
        async with send, receive, reply.message() as message:
            async for text, done in receive:
                if text is None:
                    done.set()
                    return
                await message.text(text)
                done.set()

    async def step(self, name: str, text: str | None) -> None:
        """Make a response write a text; with ``None``, end it."""
        while name not in self._steps:  # noqa: ASYNC110 - the handler is being started
            await anyio.sleep(0.001)
        done = anyio.Event()
        await self._steps[name].send((text, done))
        await done.wait()


@attrs.define(eq=False)
class _Server:
    service: Service
    leave: Callable[[], None]


@attrs.define(eq=False)
class _Answer:
    """The expected state of one response."""

    name: str
    server: int
    task_id: str = ""
    text: str = ""
    status: str = "in_progress"
    events: list[WireEvent] = attrs.field(factory=list[WireEvent])
    """All events of the response, once it has ended."""
    followers: list[list[WireEvent]] = attrs.field(factory=list["list[WireEvent]"])


class _ServiceMachine(RuleBasedStateMachine):
    """Uses a store through services, one of which crashes now and then. A store that is not shared has one service."""

    def __init__(self, opened: _Opened) -> None:
        super().__init__()
        self.opened = opened
        self.puppet = _Puppet()
        self.servers: list[_Server] = []
        self.answers: list[_Answer] = []
        self.pending = 0  # followers that have not finished
        self.count = 0

    @initialize()
    def open(self) -> None:
        for store in self.opened.stores:
            self.servers.append(self.server(store))

    def server(self, store: Store) -> _Server:
        service = Service(self.puppet, store=store)
        stack = contextlib.ExitStack()
        stack.enter_context(self.opened.portal.wrap_async_context_manager(service))
        return _Server(service, stack.close)

    @property
    def running(self) -> list[_Answer]:
        return [answer for answer in self.answers if answer.status == "in_progress"]

    def service(self, which: int) -> Service:
        return self.servers[which % len(self.servers)].service

    @rule(which=_choice)
    def create(self, which: int) -> None:
        self.count += 1
        answer = _Answer(f"answer {self.count}", which % len(self.servers))
        request = CreateResponse(model="m", input="x", background=True, metadata={"name": answer.name})
        service = self.service(which)

        async def start() -> str:
            task = await service.prepare(request)
            await service.start(task)
            await self.puppet.step(answer.name, "")
            return task.id

        answer.task_id = self.opened.run(start)
        self.answers.append(answer)
        self.look(which + 1, answer)

    @precondition(lambda self: bool(self.running))
    @rule(which=_choice, number=st.integers(min_value=0), text=st.sampled_from(["a", "bc"]))
    def write(self, which: int, number: int, text: str) -> None:
        answer = self.running[number % len(self.running)]
        self.opened.run(lambda: self.puppet.step(answer.name, text))
        answer.text += text
        self.look(which, answer)

    @precondition(lambda self: bool(self.running))
    @rule(which=_choice, number=st.integers(min_value=0))
    def finish(self, which: int, number: int) -> None:
        answer = self.running[number % len(self.running)]
        self.opened.run(lambda: self.puppet.step(answer.name, None))
        self.ended(which, answer, "completed")

    @precondition(lambda self: bool(self.running))
    @rule(which=_choice, number=st.integers(min_value=0))
    def cancel(self, which: int, number: int) -> None:
        answer = self.running[number % len(self.running)]
        response = self.opened.run(lambda: self.service(which).cancel(answer.task_id))
        _check(response.status == "cancelled", f"a response that was cancelled is {response.status}")
        self.ended(which + 1, answer, "cancelled")

    @precondition(lambda self: bool(self.answers))
    @rule(which=_choice, number=st.integers(min_value=0))
    def delete(self, which: int, number: int) -> None:
        answer = self.answers.pop(number % len(self.answers))
        self.opened.run(lambda: self.service(which).delete(answer.task_id))
        for server in self.servers:
            found = self.opened.run(functools.partial(server.service.find, answer.task_id))
            _check(found is None, f"a response that was deleted is found: {found!r}")

    @precondition(lambda self: bool(self.answers))
    @rule(which=_choice, number=st.integers(min_value=0), after=st.integers(min_value=0, max_value=5))
    def replay(self, which: int, number: int, after: int) -> None:
        answer = self.answers[number % len(self.answers)]
        if answer.status != "in_progress" and after < len(answer.events):
            got = self.opened.run(lambda: self.replayed(which, answer, after))
            _check(got == answer.events[after + 1 :], f"the events after {after} are {got!r}")

    @precondition(lambda self: bool(self.running))
    @rule(which=_choice, number=st.integers(min_value=0))
    def follow(self, which: int, number: int) -> None:
        answer = self.running[number % len(self.running)]
        if answer.server == which % len(self.servers):
            return  # it would end with its server
        seen: list[WireEvent] = []
        answer.followers.append(seen)
        self.pending += 1

        async def follow() -> None:
            try:
                deliver = await self.service(which).replay(answer.task_id)
                await deliver(_extend(seen))
            finally:
                self.pending -= 1

        self.opened.portal.start_task_soon(follow)

    @precondition(lambda self: len(self.servers) > 1)
    @rule(which=_choice)
    def die(self, which: int) -> None:
        """Crash one of two servers: all of its leases run out, and the other server ends its responses."""
        dead, survivor = self.servers[which], self.servers[1 - which].service
        sharing = dead.service.sharing
        if sharing is None:
            return
        store, owner = sharing.store, sharing.owner

        async def die() -> None:
            for task in list(dead.service.running.values()):
                task.lose()  # the task writes no more events
            await self.opened.stores[1 - which].renew(owner, 0.0)  # type: ignore[attr-defined]  # both are shared

        self.opened.run(die)
        victims = [answer for answer in self.running if answer.server == which]
        for answer in victims:
            self.ended(1 - which, answer, "failed")
            self.opened.run(functools.partial(_write_late, store, owner, survivor, answer))
        dead.leave()
        self.servers[which] = self.server(self.opened.stores[which])

    async def replayed(self, which: int, answer: _Answer, after: int | None) -> list[WireEvent]:
        seen: list[WireEvent] = []
        await (await self.service(which).replay(answer.task_id, after))(_extend(seen))
        return seen

    def look(self, which: int, answer: _Answer) -> None:
        """Compare the response that a service finds with the expected state."""
        found = self.opened.run(lambda: self.service(which).find(answer.task_id))
        _check(found is not None, f"a response that is {answer.status} is not found")
        status = found.response.status
        _check(
            status == answer.status or (status, answer.status) == ("queued", "in_progress"),
            f"a response that is {answer.status} is found as {status}",
        )

    def ended(self, which: int, answer: _Answer, status: str) -> None:
        """Check that all services and followers see the same end of a response."""
        answer.status = status
        answer.events = self.opened.run(lambda: self.replayed(which, answer, None))
        numbers = [event.sequence_number for event in answer.events]
        _check(numbers == list(range(len(numbers))), f"the events of a response are numbered {numbers}")
        ends = [event.type for event in answer.events if event.type in TERMINAL_TYPES]
        _check(len(ends) == 1, f"the events of a response that is {status} have these ends: {ends}")
        _check(answer.events[-1].type in TERMINAL_TYPES, f"the last event is {answer.events[-1].type}")
        for server in range(len(self.servers)):
            self.look(server, answer)

        async def followers() -> None:
            with anyio.move_on_after(_PATIENCE):
                while any(seen != answer.events for seen in answer.followers):  # noqa: ASYNC110 - of another task
                    await anyio.sleep(0.005)

        self.opened.run(followers)
        for seen in answer.followers:
            _check(seen == answer.events, f"a follower saw {seen!r}, the events are {answer.events!r}")

    def teardown(self) -> None:
        for server in self.servers:
            server.leave()

        async def clean() -> None:
            for answer in self.answers:
                await self.opened.stores[0].delete(answer.task_id)

        self.opened.run(clean)


async def _write_late(store: SharedStore, owner: str, survivor: Service, answer: _Answer) -> None:
    """Write as a server that was only suspended would, and check that the store refuses it."""
    stored = await survivor.get(answer.task_id)
    late = WireEvent(len(answer.events), "response.output_text.delta", b"{}")
    written = await store.save_leased(stored, owner=owner, events=[late])
    written = await store.add_events_leased(answer.task_id, [late], owner=owner) or written
    _check(not written, "a server wrote to a response that another one has taken over")


def _extend(events: list[WireEvent]) -> Callable[[Sequence[WireEvent]], Awaitable[None]]:
    async def sink(more: Sequence[WireEvent]) -> None:
        events.extend(more)

    return sink
