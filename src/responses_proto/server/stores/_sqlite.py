"""A store in a SQLite file.

There is one connection. SQLite blocks, so every operation runs in a worker thread, and a lock lets one thread at a time use the
connection. Each writing operation is one transaction. The file is in WAL mode: readers in other processes, such as a backup, do
not block the server.

How long a write waits for the disk is chosen per transaction. ``synchronous = FULL`` means that the data survives a loss of
power; it is used for everything that a client relies on. ``NORMAL`` survives a killed process only; it is used
for the events of a response that is still running, which are many and small.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import anyio

from ...codec import dumps, loads
from ...exceptions import UsageError
from ...models.conversations import Conversation
from ...models.items import Item
from ...protocol._requests import id_of
from ._base import StoredResponse, WireEvent, decode_stored, encode_stored, item_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["SQLiteStore"]

_T = TypeVar("_T")

_APPLICATION_ID: Final = 0x52505354  # "RPST", stored in the file's header by PRAGMA application_id
_SCHEMA_VERSION: Final = 1  # stored by PRAGMA user_version
_SCHEMA: Final = (
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
    """A :class:`Store` in a file, which outlives the process. It grows until something is deleted.

    ``path`` is created if it does not exist; its folder must exist. When :meth:`save` returns, the response survives even a
    loss of power. Events from :meth:`add_events` survive a killed process, but the last of them may be lost with the power.

    Only one server may use the file at a time. Close the store with :meth:`aclose`; a store that is garbage-collected closes
    its file too.

    Raises ``UsageError`` if the file cannot be opened, is not a responses_proto store, or was written by another version. Methods
    raise ``sqlite3.Error`` if the file fails later, for example because the disk is full.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._close: Callable[[], object] | None = None
        with self._lock:
            self._open()

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response; see :meth:`Store.save`."""
        response = stored.response
        record = encode_stored(stored).decode()
        item_rows = [(item_id, response.id) for item_id in item_ids(stored.items)]

        def save(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", (response.id, record))
            connection.executemany("INSERT OR REPLACE INTO item_homes VALUES (?, ?)", item_rows)
            _insert_events(connection, response.id, events)
            if conversation_items and response.conversation:
                _insert_items(connection, response.conversation.id, conversation_items)

        await self._write(save)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response; see :meth:`Store.find`."""
        rows = await self._rows("SELECT record FROM responses WHERE id = ?", response_id)
        return decode_stored(rows[0][0]) if rows else None

    async def delete(self, response_id: str) -> bool:
        """Delete a response; see :meth:`Store.delete`."""

        def delete(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM events WHERE response_id = ?", (response_id,))
            connection.execute("DELETE FROM item_homes WHERE response_id = ?", (response_id,))
            return connection.execute("DELETE FROM responses WHERE id = ?", (response_id,)).rowcount > 0

        return await self._write(delete)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response; see :meth:`Store.add_events`."""
        await self._write(lambda connection: _insert_events(connection, response_id, events), synchronous="NORMAL")

    async def events(self, response_id: str) -> list[WireEvent]:
        """Return the events of a response; see :meth:`Store.events`."""
        query = "SELECT number, type, data FROM events WHERE response_id = ? ORDER BY number"
        return [WireEvent(number, type_, data.encode()) for number, type_, data in await self._rows(query, response_id)]

    async def find_item(self, item_id: str) -> Item | None:
        """Return an item of any response; see :meth:`Store.find_item`."""
        query = "SELECT record FROM responses JOIN item_homes ON id = response_id WHERE item_id = ?"
        rows = await self._rows(query, item_id)
        # The row of an item that the response no longer has is still there: hence the default.
        return (
            next((item for item in decode_stored(rows[0][0]).items if id_of(item) == item_id), None) if rows else None
        )

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation; see :meth:`Store.save_conversation`."""
        row = conversation.id, dumps(conversation).decode()
        await self._write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?)", row)
        )

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see :meth:`Store.find_conversation`."""
        rows = await self._rows("SELECT record FROM conversations WHERE id = ?", conversation_id)
        return loads(rows[0][0], Conversation) if rows else None

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation; see :meth:`Store.delete_conversation`."""

        def delete(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM conversation_items WHERE conversation_id = ?", (conversation_id,))
            return connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount > 0

        return await self._write(delete)

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation; see :meth:`Store.add_items`."""
        return await self._write(lambda connection: _insert_items(connection, conversation_id, items))

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation; see :meth:`Store.items`."""
        query = "SELECT item FROM conversation_items WHERE conversation_id = ? ORDER BY place"
        return [loads(item, Item) for (item,) in await self._rows(query, conversation_id)]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete an item from a conversation; see :meth:`Store.delete_item`."""
        statement = "DELETE FROM conversation_items WHERE conversation_id = ? AND item_id = ?"
        values = conversation_id, item_id
        return await self._write(lambda connection: connection.execute(statement, values).rowcount > 0)

    async def aclose(self) -> None:
        """Close the file. Idempotent; the next call of another method opens it again."""

        def close() -> None:
            with self._lock:
                if self._close is not None:
                    self._close()
                self._close = self._connection = None

        await anyio.to_thread.run_sync(close)

    # -- inside

    async def _rows(self, query: str, *values: str) -> list[Any]:
        return await self._in_thread(lambda connection: connection.execute(query, values).fetchall())

    async def _write(
        self, work: Callable[[sqlite3.Connection], _T], *, synchronous: Literal["FULL", "NORMAL"] = "FULL"
    ) -> _T:
        def write(connection: sqlite3.Connection) -> _T:
            with _transaction(connection, synchronous):
                return work(connection)

        return await self._in_thread(write)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def locked() -> _T:
            with self._lock:
                return work(self._open())

        return await anyio.to_thread.run_sync(locked)

    def _open(self) -> sqlite3.Connection:
        """Return the connection, opened if necessary. Call it with the lock held."""
        if self._connection is not None:
            return self._connection
        try:
            # The lock keeps threads apart, so sqlite3 need not check. `None` leaves transactions to `_transaction`.
            connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            try:
                _prepare(connection, self._path)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise UsageError(f"cannot open {self._path} as a store of responses: {error}") from error
        # A connection that is garbage-collected while it is open warns (Python 3.13). The finalizer also closes the connection
        # of a store that nobody closes, when the store is collected or the interpreter exits. Calling it closes it at once.
        self._close = weakref.finalize(self, connection.close)
        self._connection = connection
        return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check that the file is a store of this version; create the tables in an empty file."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != _APPLICATION_ID and (application_id or tables):
        raise UsageError(f"{path} is not a responses_proto store: choose another file")
    if application_id == _APPLICATION_ID and version != _SCHEMA_VERSION:
        raise UsageError(
            f"{path} is a store of version {version}, expected {_SCHEMA_VERSION}: "
            "use the release that wrote it, or choose another file"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    if application_id != _APPLICATION_ID:
        with _transaction(connection, "FULL"):
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, synchronous: Literal["FULL", "NORMAL"]) -> Generator[None]:
    """Run the block in one transaction, which is rolled back if the block raises."""
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after some errors SQLite has rolled back by itself
            connection.execute("ROLLBACK")
        raise


def _insert_events(connection: sqlite3.Connection, response_id: str, events: Sequence[WireEvent]) -> None:
    rows = [(response_id, event.sequence_number, event.type, event.data.decode()) for event in events]
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)


def _insert_items(connection: sqlite3.Connection, conversation_id: str, items: Sequence[Item]) -> bool:
    if not connection.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).fetchone():
        return False
    statement = "INSERT INTO conversation_items (conversation_id, item_id, item) VALUES (?, ?, ?)"
    connection.executemany(statement, [(conversation_id, id_of(item), dumps(item).decode()) for item in items])
    return True
