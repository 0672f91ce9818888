"""`check_store`: the stores of the library pass, and a store with a fault of any kind does not."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import pytest
from hypothesis import HealthCheck, Phase, settings
from tests.redis_server import RedisServer, needs_redis

from responses_proto.exceptions import UsageError
from responses_proto.server import MemoryStore, RedisStore, SQLiteStore, Store, StoredResponse, WireEvent
from responses_proto.testing import check_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from responses_proto.models.items import Item
    from responses_proto.server.stores import Signal

QUICK = settings(
    max_examples=6,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# A fault is found, and not explained.
FIND = settings(QUICK, max_examples=400, phases=[Phase.generate], print_blob=False, report_multiple_bugs=False)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["memory", "sqlite", "shared", pytest.param("redis", marks=needs_redis)])
def test_the_stores_of_the_library_pass(kind: str, backend: Any, tmp_path: Path) -> None:
    if kind == "redis":
        with RedisServer() as redis:
            check_store(lambda: RedisStore(redis.url), backend=backend, settings=QUICK)
        return
    memory = MemoryStore()

    def make() -> Store:
        return memory if kind == "memory" else SQLiteStore(tmp_path / "store.db", shared=kind == "shared")

    check_store(make, backend=backend, settings=QUICK)


class _LosesEvents(SQLiteStore):
    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        return (await super().events(response_id, after=after, max_bytes=max_bytes))[:2]


class _DisordersEvents(SQLiteStore):
    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        return (await super().events(response_id, after=after, max_bytes=max_bytes))[::-1]


class _KeepsTheLastEventOfANumber(SQLiteStore):
    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        numbers = [event.sequence_number for event in events]
        await self._write(
            lambda connection: connection.executemany(
                "DELETE FROM events WHERE response_id = ? AND number = ?", [(response_id, number) for number in numbers]
            )
        )
        await super().add_events(response_id, events)


class _ForgetsHistory(SQLiteStore):
    async def find(self, response_id: str) -> StoredResponse | None:
        stored = await super().find(response_id)
        return stored and StoredResponse(response=stored.response, input=stored.input)


class _Caches(SQLiteStore):
    """As a cache that other processes do not see: an answer is repeated."""

    _found: dict[str, StoredResponse]

    async def find(self, response_id: str) -> StoredResponse | None:
        self._found = getattr(self, "_found", {})
        if response_id not in self._found and (stored := await super().find(response_id)):
            self._found[response_id] = stored
        return self._found.get(response_id)


class _KeepsEventsOfTheDeleted(SQLiteStore):
    async def delete(self, response_id: str) -> bool:
        events = await self.events(response_id)
        deleted = await super().delete(response_id)
        await self.add_events(response_id, events)
        return deleted


class _RepeatsItems(SQLiteStore):
    async def items(self, conversation_id: str) -> list[Item]:
        items = await super().items(conversation_id)
        return [*items, *items[:1]]


class _AddsToWhatIsNotThere(SQLiteStore):
    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        await super().add_items(conversation_id, items)
        return True


class _LeasesToEverybody(SQLiteStore):
    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        await super().take_over(response_id, owner=owner, seconds=seconds)
        return True


class _LeasesInTwoSteps(SQLiteStore):
    """Looks, and takes what it has seen to be free: not atomic."""

    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        free = await self.owner(response_id) in (None, owner)
        stored = await self.find(response_id)
        if not free or stored is None or stored.response.status != "in_progress":
            return False
        await anyio.sleep(0.02)  # in which the others look, too
        await self._write(
            lambda connection: connection.execute("DELETE FROM leases WHERE response_id = ?", (response_id,))
        )
        return await super().take_over(response_id, owner=owner, seconds=seconds)


class _HasNoFenceForTheEnd(SQLiteStore):
    async def save_leased(
        self,
        stored: StoredResponse,
        *,
        owner: str,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> bool:
        holds = await self.owner(stored.response.id) == owner
        await self.save(stored, events=events, conversation_items=conversation_items)
        return holds


class _HasNoFenceForEvents(SQLiteStore):
    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:  # noqa: ARG002 - the fault
        await super().add_events(response_id, events)
        return True


class _NeverLetsALeaseEnd(SQLiteStore):
    async def renew(self, owner: str, seconds: float) -> list[str]:
        return await super().renew(owner, max(seconds, 60))


class _RenewsWhatIsLost(SQLiteStore):
    async def renew(self, owner: str, seconds: float) -> list[str]:
        self._mine = getattr(self, "_mine", set[str]()) | set(await super().renew(owner, seconds))
        return sorted(self._mine)


class _HasNoOrphans(SQLiteStore):
    async def orphans(self) -> list[str]:
        return []


class _DoesNotWakeUp(SQLiteStore):
    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:
        events = await self.events(response_id, after=number - 1)
        if not events:
            await anyio.sleep(seconds)
        return events


class _WatchesFromTheStart(SQLiteStore):
    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:  # noqa: ARG002 - the fault
        return await super().watch(response_id, 0, seconds)


class _LosesSignals(SQLiteStore):
    _count = itertools.count()

    async def ask(self, response_id: str, what: Signal) -> bool:
        return (
            await self.owner(response_id) is not None
            if next(self._count) % 3 == 2
            else await super().ask(response_id, what)
        )


class _RepeatsSignals(SQLiteStore):
    async def asked(self, owner: str, seconds: float) -> list[tuple[str, Signal]]:
        asked = await super().asked(owner, seconds)
        for response_id, what in asked:
            await self.ask(response_id, what)
        return asked


class _IsWrongOnce(SQLiteStore):
    """Is right whenever Hypothesis tries the same steps again."""

    was_wrong: ClassVar = False

    async def renew(self, owner: str, seconds: float) -> list[str]:
        renewed = await super().renew(owner, seconds)
        if renewed and not self.was_wrong:
            _IsWrongOnce.was_wrong = True
            return []
        return renewed


class _AnswersARequestTwice(SQLiteStore):
    async def remember(self, digest: str, response_id: str, *, instead_of: str | None = None) -> str:
        await super().remember(digest, response_id, instead_of=instead_of)
        return response_id


FAULTS: list[type[SQLiteStore]] = [
    _LosesEvents,
    _DisordersEvents,
    _KeepsTheLastEventOfANumber,
    _ForgetsHistory,
    _Caches,
    _KeepsEventsOfTheDeleted,
    _RepeatsItems,
    _AddsToWhatIsNotThere,
    _LeasesToEverybody,
    _LeasesInTwoSteps,
    _HasNoFenceForTheEnd,
    _HasNoFenceForEvents,
    _NeverLetsALeaseEnd,
    _RenewsWhatIsLost,
    _IsWrongOnce,
    _HasNoOrphans,
    _DoesNotWakeUp,
    _WatchesFromTheStart,
    _LosesSignals,
    _RepeatsSignals,
    _AnswersARequestTwice,
]


@pytest.mark.parametrize("broken", FAULTS, ids=lambda broken: broken.__name__)
def test_a_planted_fault_is_found(broken: type[SQLiteStore], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check_store(lambda: broken(tmp_path / "store.db", shared=True), settings=FIND)


def test_stores_with_other_data_are_refused(tmp_path: Path) -> None:
    names = itertools.count()
    with pytest.raises(UsageError, match="the same store"):
        check_store(lambda: SQLiteStore(tmp_path / f"{next(names)}.db", shared=True), settings=FIND)
