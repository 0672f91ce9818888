"""Share a store with other servers (:class:`~.stores.SharedStore`).

* The response of a running task is leased to this server. :class:`LeasedStore` sits between the task and the store: it takes the
  lease with the first save, and writes only while it holds the lease. If the lease is lost, the task stops and sends nothing more:
  the response is now what the other server has stored.
* :meth:`Sharing.run` renews the leases, buries responses of dead servers (saves them as failed), and answers requests of other servers.
* If the store cannot be reached, tasks and followers wait for up to ``lease_seconds``. After such an outage nothing is buried for the
  length of a lease, so that live servers can renew their leases first.

All intervals derive from ``lease_seconds``, the time within which a death is noticed: a lease lasts three quarters of it and is
renewed every quarter, and followers check every tenth whether the owner is alive.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio

from ..exceptions import APIError
from ..models.response import RUNNING_STATUSES
from ._tenants import id_in_store
from .stores._base import STORE_UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ..models.items import Item
    from .stores import SharedStore, Signal, StoredResponse, WireEvent

_T = TypeVar("_T")

_LEASED: Final = 0.75  # of `lease_seconds`, as are the next two
_RENEWED: Final = 0.25
_CHECKED: Final = 0.1
_RETRY_INTERVAL: Final = 0.2  # seconds
_DELETE_INTERVAL: Final = 0.02  # seconds between two checks whether a response is gone
_SIGNAL_SECONDS: Final = 5.0  # to wait for signals at a time

_log: Final = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another server has ended or deleted the response. Raised into the handler, which is being cancelled."""


class _Task(Protocol):
    """The operations on a running task that other servers can trigger."""

    id: str

    def discard(self) -> None: ...

    def lose(self) -> None: ...

    async def stop(self) -> None: ...

    @property
    def visible_events(self) -> Sequence[WireEvent]: ...


class Sharing:
    """One server that shares a store. ``owner`` is the name of the server. ``bury`` ends a response whose server has died."""

    def __init__(
        self,
        store: SharedStore,
        owner: str,
        bury: Callable[[str], Awaitable[object]],
    ) -> None:
        self.store: SharedStore = store
        self.owner: str = owner
        seconds = store.lease_seconds or 0.0
        self.patience: float = seconds
        """Seconds for which calls are retried while the store cannot be reached."""
        self.lease_for: float = _LEASED * seconds
        self.check_every: float = _CHECKED * seconds
        self.leased: dict[str, LeasedStore] = {}
        """The responses that this server works on, by their ids in the store."""
        self._renew_every = _RENEWED * seconds
        self._bury = bury
        self._buries_from = 0.0  # the earliest time to bury, on the clock of the event loop
        self._has_leases = anyio.Event()

    @property
    def may_bury(self) -> bool:
        """Whether an expired lease means that its owner has died. It does not shortly after an outage of the store."""
        return anyio.current_time() >= self._buries_from

    async def run(self) -> None:
        """Renew leases, bury responses and answer signals until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._answer_signals)
            while True:
                try:
                    await self._renew()
                    if self.may_bury:
                        for response_id in await self.store.orphans():
                            await self._bury(response_id)
                except Exception as error:  # noqa: BLE001 - a store that fails now may work later
                    self._note_failure(error)
                await anyio.sleep(self._renew_every)

    async def patiently(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Return the result of ``call``. Retry for :attr:`patience` seconds while the store cannot be reached; then raise its error."""
        give_up = anyio.current_time() + self.patience
        while True:
            try:
                return await call()
            except APIError as error:
                if error.code != STORE_UNAVAILABLE or anyio.current_time() > give_up:
                    raise
                self._note_failure(error)
            await anyio.sleep(min(_RETRY_INTERVAL, self.check_every))

    def lease(self, leased: LeasedStore) -> None:
        """Record that this server works on a response. Call this before the lease is taken."""
        self.leased[leased.key] = leased
        self._has_leases.set()

    def _note_failure(self, error: Exception) -> None:
        if not isinstance(error, APIError):
            _log.error("the shared store failed", exc_info=error)
        elif self.may_bury:
            _log.warning("%s", error.message)
        self._buries_from = anyio.current_time() + self.lease_for

    async def _renew(self) -> None:
        # Compare only leases that are held before and after: responses begin and end while the store answers.
        expected = {name: leased for name, leased in self.leased.items() if leased.holds}
        held = set(await self.store.renew(self.owner, self.lease_for))
        for name, leased in expected.items():
            if name not in held and leased.holds and self.leased.get(name) is leased:
                leased.lose()
        for name in held - self.leased.keys():  # the task has ended, but its end could not be stored
            await self._bury(name)

    async def _answer_signals(self) -> None:
        async with anyio.create_task_group() as tasks:
            while True:
                if not self.leased:
                    self._has_leases = anyio.Event()
                    await self._has_leases.wait()
                try:
                    for response_id, what in await self.store.asked(self.owner, _SIGNAL_SECONDS):
                        tasks.start_soon(self._obey, response_id, what)
                except Exception as error:  # noqa: BLE001 - a store that fails now may work later
                    self._note_failure(error)
                    await anyio.sleep(_RETRY_INTERVAL)

    async def _obey(self, response_id: str, what: Signal) -> None:
        """Carry out a signal of another server."""
        leased = self.leased.get(response_id)
        try:
            if leased is not None and leased.task.visible_events:
                if what == "delete":
                    leased.task.discard()
                await leased.task.stop()
            if what == "delete":
                await self.store.delete(response_id)
                if (leased := self.leased.get(response_id)) is not None:  # it was announced, and has written nothing
                    leased.lose()
        except Exception:  # noqa: BLE001 - it must not stop the other signals
            _log.exception("%s could not be stopped", response_id)

    async def delete_elsewhere(self, response_id: str) -> bool:
        """Ask the server that works on a response to delete it. Return whether it gave up the response in time."""
        if not await self.store.ask(response_id, "delete"):
            return False
        give_up = anyio.current_time() + self.patience
        while await self.store.owner(response_id) is not None:
            if anyio.current_time() > give_up:
                return False
            await anyio.sleep(_DELETE_INTERVAL)
        return True


class LeasedStore:
    """The store as the task of one response sees it. Writes only while this server holds the lease of the response."""

    def __init__(self, sharing: Sharing, store: SharedStore, task: _Task) -> None:
        self._sharing = sharing
        self._store = store
        self.task: _Task = task
        self._begun = False
        self._ends = False
        self._next_number = 0  # of the events that are not stored yet
        self.response_id: str = task.id
        """The id of the response. It may be changed until the lease is taken."""

    @property
    def key(self) -> str:
        """The id of the response in the server's store, with the prefix of its tenant if it has one."""
        return id_in_store(self._store, self.response_id)

    @property
    def holds(self) -> bool:
        """Whether the lease should exist: it has been taken, and the response has not ended."""
        return self._begun and not self._ends

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save the response. Raises :class:`LeaseLostError` if the lease was lost."""
        ends = stored.response.status not in RUNNING_STATUSES
        if not self._begun:
            if ends:  # no other server knew of it
                await self._store.save(stored, events=events, conversation_items=conversation_items)
                return
            self._sharing.lease(self)
            try:
                await self._store.begin(stored, owner=self._sharing.owner, seconds=self._sharing.lease_for)
            except BaseException:
                self.let_go()
                raise
            self._begun = True
            return
        self._ends = ends
        save = functools.partial(
            self._store.save_leased,
            stored,
            owner=self._sharing.owner,
            events=[event for event in events if event.sequence_number >= self._next_number],
            conversation_items=conversation_items,
        )
        try:
            await self._write(save)
        finally:
            if ends:
                self.let_go()

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to the response. Raises :class:`LeaseLostError` if the lease was lost."""
        owner = self._sharing.owner
        await self._write(functools.partial(self._store.add_events_leased, response_id, events, owner=owner))
        self._next_number = max([self._next_number, *(event.sequence_number + 1 for event in events)])

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        return await self._store.add_items(conversation_id, items)

    def let_go(self) -> None:
        """Stop renewing the lease. If the response has not ended, it will be buried. Idempotent."""
        self._ends = True
        self._sharing.leased.pop(self.key, None)

    def lose(self) -> None:
        """Stop the task: the response now belongs to another server, or was deleted."""
        _log.warning("%s was ended or deleted by another server", self.response_id)
        self.let_go()
        self.task.lose()

    async def _write(self, call: Callable[[], Awaitable[bool]]) -> None:
        try:
            written = await self._sharing.patiently(call)
        except APIError as error:
            if error.code != STORE_UNAVAILABLE:
                raise
            written = False  # by now another server may have buried it
        if not written:
            self.lose()
            raise LeaseLostError(self.response_id)
