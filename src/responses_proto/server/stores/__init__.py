"""What a server remembers: responses, the items that they were made from, their events, and conversations.

:class:`Store` is what a server needs of any kind of memory. :class:`MemoryStore` forgets the oldest when it is full,
:class:`SQLiteStore` keeps everything in a file.

A store belongs to one server at a time: a response that is stored as running, and that the server does not run, is taken for
one that died with an earlier process. It may be made outside of an event loop, and used in one after the other.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import anyio
import attrs

from ...codec import default_converter, dumps, loads
from ...exceptions import LocalProtocolError
from ...models.conversations import Conversation
from ...models.items import Item
from ...models.response import Response
from ...protocol._requests import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from ...models.events import Event

__all__ = ["MemoryStore", "SQLiteStore", "Store", "StoredResponse", "WireEvent", "wire_event"]

_T = TypeVar("_T")


class WireEvent(NamedTuple):
    """An event as it goes over the wire, encoded once for everybody that it goes to."""

    sequence_number: int
    type: str
    data: bytes
    """The event as JSON, UTF-8."""


def wire_event(event: Event) -> WireEvent:
    """Encode an event that has its number."""
    number = getattr(event, "sequence_number", 0)
    return WireEvent(number if isinstance(number, int) else 0, event.type, dumps(event))


@attrs.frozen(kw_only=True)
class StoredResponse:
    """A response and what it was made from."""

    response: Response
    input: list[Item]
    """The items of its own request, each with an id."""
    history: list[Item] | None = None
    """What came before the input, where that cannot be looked up: the response that this one follows was not stored."""

    @property
    def items(self) -> list[Item]:
        """What this turn adds to a history: its input, then its output."""
        return [*self.input, *self.response.output]


class Store(Protocol):
    """What a server needs of its memory. All of it may be called from any number of tasks at a time.

    What a method has returned from is kept: for a store on disk, though the process be killed right after. Errors of a
    store are the server's to log; its client is told no more than that there was one.
    """

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Keep a response in place of what was kept of it, all or nothing.

        ``events`` are added to its events, but for those whose number is there; ``conversation_items`` to the conversation that the
        response names, if that is still there.
        """
        ...

    async def find(self, response_id: str) -> StoredResponse | None:
        """Give a response."""
        ...

    async def delete(self, response_id: str) -> bool:
        """Forget a response and its events; tell whether there was one."""
        ...

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to those of a response, but for those whose number is there."""
        ...

    async def events(self, response_id: str) -> list[WireEvent]:
        """Give the events of a response, by number; empty if none were kept."""
        ...

    async def find_item(self, item_id: str) -> Item | None:
        """Give an item of the input or output of any response that is kept, for who refers to it by its id."""
        ...

    async def save_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation in place of what was kept of it. Its items stay."""
        ...

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Give a conversation."""
        ...

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation and its list of items; tell whether there was one."""
        ...

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation; tell whether there is one."""
        ...

    async def items(self, conversation_id: str) -> list[Item]:
        """Give the items of a conversation, the oldest first."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Take an item out of a conversation; tell whether it was there."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held open. Idempotent; the next call opens it again."""
        ...


# ---- as bytes


def _written(stored: StoredResponse) -> bytes:
    return dumps({"response": stored.response, "input": stored.input, "history": stored.history})


def _read(record: bytes | str) -> StoredResponse:
    converter = default_converter()
    value = converter.json.loads(record)
    history = value["history"]
    return StoredResponse(
        response=converter.load(value["response"], Response),
        input=converter.load(value["input"], list[Item]),
        history=None if history is None else converter.load(history, list[Item]),
    )


def _names(items: Iterable[Item]) -> list[str]:
    return [name for item in items if (name := id_of(item))]


# ---- in memory


class _Kept:
    """A response in memory: as bytes, whose number is known, and which nobody else can change."""

    def __init__(self) -> None:
        self.record = b""
        self.item_ids: list[str] = []
        self.events: dict[int, WireEvent] = {}
        self.size = 0

    def put(self, stored: StoredResponse) -> None:
        self.size -= len(self.record)
        self.record = _written(stored)
        self.size += len(self.record)
        self.item_ids = _names(stored.items)

    def add(self, events: Sequence[WireEvent]) -> None:
        for event in events:
            if event.sequence_number not in self.events:
                self.events[event.sequence_number] = event
                self.size += len(event.data)


class MemoryStore:
    """A store in memory, for one process and as long as that lives. When it is full, the oldest goes first.

    ``max_responses``: how many responses it keeps, and how many conversations. ``max_bytes``: how long the responses may be in
    total, as JSON, with their input and their events.
    """

    def __init__(self, *, max_responses: int = 10_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        if max_responses < 1 or max_bytes < 1:
            raise LocalProtocolError(
                "a store has room for one response at least: max_responses and max_bytes are above 0"
            )
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._size = 0
        self._responses: OrderedDict[str, _Kept] = OrderedDict()
        self._item_homes: dict[str, str] = {}
        self._conversations: OrderedDict[str, tuple[Conversation, list[Item]]] = OrderedDict()

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Keep a response; see :meth:`Store.save`."""
        response_id = stored.response.id
        kept = self._responses.setdefault(response_id, _Kept())
        before = kept.size
        kept.put(stored)
        kept.add(events)
        self._item_homes.update(dict.fromkeys(kept.item_ids, response_id))
        conversation = stored.response.conversation
        if conversation_items and conversation:
            await self.add_items(conversation.id, conversation_items)
        self._grow(kept.size - before)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Give a response."""
        kept = self._responses.get(response_id)
        return None if kept is None else _read(kept.record)

    async def delete(self, response_id: str) -> bool:
        """Forget a response and its events; tell whether there was one."""
        return self._forget(response_id)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to those of a response, but for those whose number is there."""
        kept = self._responses.get(response_id)
        if kept is not None:
            before = kept.size
            kept.add(events)
            self._grow(kept.size - before)

    async def events(self, response_id: str) -> list[WireEvent]:
        """Give the events of a response, by number; empty if none were kept."""
        kept = self._responses.get(response_id)
        return [] if kept is None else [kept.events[number] for number in sorted(kept.events)]

    async def find_item(self, item_id: str) -> Item | None:
        """Give an item of the input or output of any response that is kept."""
        stored = await self.find(self._item_homes.get(item_id, ""))
        return next((item for item in stored.items if id_of(item) == item_id), None) if stored else None

    async def save_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation in place of what was kept of it. Its items stay."""
        items = await self.items(conversation.id)
        self._conversations[conversation.id] = conversation, items
        while len(self._conversations) > self._max_responses:
            self._conversations.popitem(last=False)

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Give a conversation."""
        found = self._conversations.get(conversation_id)
        return None if found is None else found[0]

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation and its list of items; tell whether there was one."""
        return self._conversations.pop(conversation_id, None) is not None

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation; tell whether there is one."""
        found = self._conversations.get(conversation_id)
        if found is None:
            return False
        found[1].extend(items)
        return True

    async def items(self, conversation_id: str) -> list[Item]:
        """Give the items of a conversation, the oldest first."""
        found = self._conversations.get(conversation_id)
        return [] if found is None else [*found[1]]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Take an item out of a conversation; tell whether it was there."""
        items = self._conversations[conversation_id][1] if conversation_id in self._conversations else []
        place = next((index for index, item in enumerate(items) if id_of(item) == item_id), None)
        if place is not None:
            del items[place]
        return place is not None

    async def aclose(self) -> None:
        """Do nothing: memory holds nothing open."""

    def _grow(self, by: int) -> None:
        self._size += by
        while len(self._responses) > 1 and (len(self._responses) > self._max_responses or self._size > self._max_bytes):
            self._forget(next(iter(self._responses)))

    def _forget(self, response_id: str) -> bool:
        kept = self._responses.pop(response_id, None)
        if kept is None:
            return False
        self._size -= kept.size
        for item_id in kept.item_ids:
            if self._item_homes.get(item_id) == response_id:
                del self._item_homes[item_id]
        return True


# ---- in a file

_APPLICATION: Final = 0x52505354  # what tells our files from others ("RPST"): PRAGMA application_id
_SCHEMA: Final = 1  # PRAGMA user_version
_TABLES: Final = (
    "CREATE TABLE responses (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE events (
        response_id TEXT NOT NULL, number INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (response_id, number)
    ) WITHOUT ROWID""",
    "CREATE TABLE item_homes (item_id TEXT PRIMARY KEY, response_id TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX item_homes_of_response ON item_homes (response_id)",
    "CREATE TABLE conversations (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE conversation_items (
        place INTEGER PRIMARY KEY AUTOINCREMENT, conversation_id TEXT NOT NULL, item_id TEXT NOT NULL, item TEXT NOT NULL
    )""",
    "CREATE INDEX items_of_conversation ON conversation_items (conversation_id, place)",
)


class SQLiteStore:
    """A store in a file, which outlives the process, however that ends. Grows until something is deleted.

    A response is on the disk when :meth:`save` returns; only events that :meth:`add_events` adds while a response runs may be lost
    with the power (not with the process). The work is done in threads, one at a time.

    Raises ``LocalProtocolError`` for a file that cannot be opened, or that is none of ours, or of a later version. Methods raise
    ``sqlite3.Error`` for what happens to the file later, a full disk for example.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with self._lock:
            self._open()

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Keep a response; see :meth:`Store.save`."""

        def save(connection: sqlite3.Connection) -> None:
            response = stored.response
            homes = [(name, response.id) for name in _names(stored.items)]
            with _writing(connection, "FULL"):
                connection.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", (response.id, record))
                connection.executemany("INSERT OR REPLACE INTO item_homes VALUES (?, ?)", homes)
                _insert_events(connection, response.id, events)
                if conversation_items and response.conversation:
                    _insert_items(connection, response.conversation.id, conversation_items)

        record = _written(stored).decode()
        await self._do(save)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Give a response."""
        rows = await self._rows("SELECT record FROM responses WHERE id = ?", response_id)
        return _read(rows[0][0]) if rows else None

    async def delete(self, response_id: str) -> bool:
        """Forget a response and its events; tell whether there was one."""

        def delete(connection: sqlite3.Connection) -> bool:
            with _writing(connection, "FULL"):
                connection.execute("DELETE FROM events WHERE response_id = ?", (response_id,))
                connection.execute("DELETE FROM item_homes WHERE response_id = ?", (response_id,))
                return connection.execute("DELETE FROM responses WHERE id = ?", (response_id,)).rowcount > 0

        return await self._do(delete)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to those of a response, but for those whose number is there."""

        def add(connection: sqlite3.Connection) -> None:
            with _writing(connection, "NORMAL"):
                _insert_events(connection, response_id, events)

        await self._do(add)

    async def events(self, response_id: str) -> list[WireEvent]:
        """Give the events of a response, by number; empty if none were kept."""
        found = "SELECT number, type, data FROM events WHERE response_id = ? ORDER BY number"
        return [WireEvent(number, type_, data.encode()) for number, type_, data in await self._rows(found, response_id)]

    async def find_item(self, item_id: str) -> Item | None:
        """Give an item of the input or output of any response that is kept."""
        found = "SELECT record FROM responses JOIN item_homes ON id = response_id WHERE item_id = ?"
        rows = await self._rows(found, item_id)
        return next((item for item in _read(rows[0][0]).items if id_of(item) == item_id), None) if rows else None

    async def save_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation in place of what was kept of it. Its items stay."""

        def save(connection: sqlite3.Connection) -> None:
            with _writing(connection, "FULL"):
                connection.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?)", (conversation.id, record))

        record = dumps(conversation).decode()
        await self._do(save)

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Give a conversation."""
        rows = await self._rows("SELECT record FROM conversations WHERE id = ?", conversation_id)
        return loads(rows[0][0], Conversation) if rows else None

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Forget a conversation and its list of items; tell whether there was one."""

        def delete(connection: sqlite3.Connection) -> bool:
            with _writing(connection, "FULL"):
                connection.execute("DELETE FROM conversation_items WHERE conversation_id = ?", (conversation_id,))
                return connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount > 0

        return await self._do(delete)

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Add items to the end of a conversation; tell whether there is one."""

        def add(connection: sqlite3.Connection) -> bool:
            with _writing(connection, "FULL"):
                return _insert_items(connection, conversation_id, items)

        return await self._do(add)

    async def items(self, conversation_id: str) -> list[Item]:
        """Give the items of a conversation, the oldest first."""
        found = "SELECT item FROM conversation_items WHERE conversation_id = ? ORDER BY place"
        return [loads(item, Item) for (item,) in await self._rows(found, conversation_id)]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Take an item out of a conversation; tell whether it was there."""

        def delete(connection: sqlite3.Connection) -> bool:
            gone = "DELETE FROM conversation_items WHERE conversation_id = ? AND item_id = ?"
            with _writing(connection, "FULL"):
                return connection.execute(gone, (conversation_id, item_id)).rowcount > 0

        return await self._do(delete)

    async def aclose(self) -> None:
        """Close the file. Idempotent; the next call opens it again."""

        def close() -> None:
            with self._lock:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

        await anyio.to_thread.run_sync(close)

    # -- inside

    async def _rows(self, query: str, *values: str) -> list[Any]:
        return await self._do(lambda connection: connection.execute(query, values).fetchall())

    async def _do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def locked() -> _T:
            with self._lock:
                return work(self._open())

        return await anyio.to_thread.run_sync(locked)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        connection = None
        try:
            # The lock is what keeps threads apart. Transactions are written out below.
            connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            _prepare(connection, self._path)
        except (sqlite3.Error, LocalProtocolError) as error:
            if connection is not None:
                connection.close()
            if isinstance(error, LocalProtocolError):
                raise
            raise LocalProtocolError(f"{self._path} cannot be used as a store of responses: {error}") from error
        self._connection = connection
        return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION and (application or tables):
        raise LocalProtocolError(
            f"{path} is a database of something else: a store of responses needs a file of its own"
        )
    if application == _APPLICATION and version != _SCHEMA:
        raise LocalProtocolError(
            f"{path} is a store of version {version}, and this is {_SCHEMA}: use the release that wrote it, or another file"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    if application != _APPLICATION:
        with _writing(connection, "FULL"):
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA user_version = {_SCHEMA}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")


@contextlib.contextmanager
def _writing(connection: sqlite3.Connection, synchronous: str) -> Generator[None]:
    """Do what is in the block, or nothing of it. ``FULL`` waits for the disk."""
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled it back already
            connection.execute("ROLLBACK")
        raise


def _insert_events(connection: sqlite3.Connection, response_id: str, events: Sequence[WireEvent]) -> None:
    rows = [(response_id, event.sequence_number, event.type, event.data.decode()) for event in events]
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)


def _insert_items(connection: sqlite3.Connection, conversation_id: str, items: Sequence[Item]) -> bool:
    if not connection.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).fetchone():
        return False
    added = "INSERT INTO conversation_items (conversation_id, item_id, item) VALUES (?, ?, ?)"
    connection.executemany(added, [(conversation_id, id_of(item), dumps(item).decode()) for item in items])
    return True
