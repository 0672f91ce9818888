"""A store in a SQLite file.

There are three connections: one writes, one reads, and one watches for changes. SQLite blocks, so every operation runs in a worker
thread, and each connection has a lock, so that only one thread at a time uses it. Each writing operation is one transaction. The file
is in WAL mode: readers never wait for writers, in this process or another, and a reader such as a backup does not block the server.

The durability of a write is chosen per transaction. With ``synchronous = FULL``, the data survives a power failure; this is used for
everything that a client relies on. With ``NORMAL``, it survives only a killed process; this is used for the events of a running
response, which are many and small, and for leases.

A second file beside the store controls who may use it: an empty database in which every open store holds a lock, an exclusive lock or,
with ``shared=True``, a shared lock. The operating system releases the locks of a process that dies. A shared store detects writes of
other processes through ``PRAGMA data_version``, which takes a few microseconds to read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import anyio
from anyio.lowlevel import RunVar

from ...codec import dumps, loads
from ...exceptions import APIError, UsageError
from ...models.conversations import Conversation
from ...models.items import Item
from ...models.response import RUNNING_STATUSES
from ...protocol._requests import id_of
from ._base import (
    HistoryLink,
    Signal,
    StoredResponse,
    WireEvent,
    chain_of,
    decode_link,
    decode_stored,
    encode_stored,
    item_ids,
    limiter_in,
)
from ._changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

_T = TypeVar("_T")

_log: Final = logging.getLogger(__name__)

_APPLICATION_ID: Final = 0x52505354  # "RPST", stored in the file's header by PRAGMA application_id
_SCHEMA_VERSION: Final = 3  # stored by PRAGMA user_version
_HOMES: Final = (
    # One row for each response that has the item. `place` orders them by age.
    """CREATE TABLE item_homes (
        place INTEGER PRIMARY KEY AUTOINCREMENT, item_id TEXT NOT NULL, response_id TEXT NOT NULL,
        UNIQUE (item_id, response_id)
    )""",
    "CREATE INDEX item_homes_of_response ON item_homes (response_id)",
    "CREATE INDEX ids_of_conversation ON conversation_items (conversation_id, item_id)",
)
_SHARING: Final = (
    # The responses that servers work on. `until` is in seconds since 1970; all servers use the clock of this host.
    "CREATE TABLE leases (response_id TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX leases_of_owner ON leases (owner)",
    """CREATE TABLE signals (
        place INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, response_id TEXT NOT NULL, what TEXT NOT NULL,
        asked REAL NOT NULL
    )""",
    "CREATE INDEX signals_of_owner ON signals (owner, place)",
    "CREATE TABLE requests (digest TEXT PRIMARY KEY, response_id TEXT NOT NULL, noted REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX requests_of_response ON requests (response_id)",
)
_SCHEMA: Final = (
    "CREATE TABLE responses (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE events (
        response_id TEXT NOT NULL, number INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (response_id, number)
    ) WITHOUT ROWID""",
    "CREATE TABLE conversations (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE conversation_items (
        place INTEGER PRIMARY KEY AUTOINCREMENT, conversation_id TEXT NOT NULL, item_id TEXT NOT NULL, item TEXT NOT NULL
    )""",
    "CREATE INDEX items_of_conversation ON conversation_items (conversation_id, place)",
    *_HOMES,
    *_SHARING,
)
_MIGRATIONS: Final = {
    1: (
        "DROP INDEX item_homes_of_response",
        "ALTER TABLE item_homes RENAME TO old_homes",
        *_HOMES,
        "INSERT INTO item_homes (item_id, response_id) SELECT item_id, response_id FROM old_homes",
        "DROP TABLE old_homes",
    ),
    2: _SHARING,
}
"""Version of a file -> the statements that bring it to the next version."""


class SQLiteStore:
    """A :class:`Store` in a file, which outlives the process. It grows until something is deleted.

    ``path`` is created if it does not exist, readable by its owner only; its directory must exist. The file must not be on a network
    drive. When :meth:`save` returns, the response survives even a power failure. Events from :meth:`add_events` survive a killed
    process, but the last events may be lost in a power failure.

    Only one server may use the file at a time. With ``shared=True``, any number of processes on one host may use it, if all of them
    pass ``shared=True`` (see :class:`SharedStore`). ``lease`` is the number of seconds within which the others notice that a process has
    died or was suspended; a process must not block its event loop for half of that.

    Close the store with :meth:`aclose`. A store that is garbage-collected closes its file too.

    Raises ``UsageError`` if the file is in use, cannot be opened, is not a responses_proto store, or has a format that this version does
    not support. Methods raise ``APIError``: 507 if the disk is full, broken or read-only, and 503 if another program has locked the file
    for more than five seconds.
    """

    def __init__(self, path: str | os.PathLike[str], *, shared: bool = False, lease: float = 15.0) -> None:
        if not lease > 0:
            raise UsageError(f"lease must be a positive number of seconds, got {lease}")
        self._path = os.fspath(path)
        self.lease_seconds: float | None = lease if shared else None
        """``lease`` if the store is shared, else ``None``."""
        lock = _FileLock(self._path, shared=shared)
        self._lock = lock
        self._writer = _Connection(self._path, lock)
        self._reader = _Connection(self._path, lock)
        self._watcher = _Connection(self._path, lock)
        self._data_version: int | None = None  # as last seen by the watcher
        self._changes = Changes(self._look)
        weakref.finalize(self, lock.release)
        for connection in (self._writer, self._reader, self._watcher):
            # Closes the connection when the store is collected or the interpreter exits, if `aclose` was not called: an open
            # connection that is garbage-collected emits a warning (Python 3.13).
            weakref.finalize(self, connection.close)
        try:
            self._writer.use(lambda _: None)
        except BaseException:
            lock.release()
            raise

    async def save(
        self,
        stored: StoredResponse,
        *,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> None:
        """Save a response; see :meth:`Store.save`."""
        await self._save(stored, events, conversation_items)

    async def _save(
        self,
        stored: StoredResponse,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
        *,
        unless: Callable[[sqlite3.Connection], bool] = lambda _: False,
    ) -> bool:
        """Save a response in one transaction. Do nothing and return ``False`` if ``unless``, called first, returns true."""
        response, key = stored.response, _text(stored.response.id)
        record = (await encode_stored(stored)).decode()
        item_rows = [(_text(item_id), key) for item_id in item_ids(stored.items)]

        def save(connection: sqlite3.Connection) -> bool:
            if unless(connection):
                return False
            connection.execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", (key, record))
            connection.executemany("INSERT OR IGNORE INTO item_homes (item_id, response_id) VALUES (?, ?)", item_rows)
            _insert_events(connection, key, events)
            if conversation_items and response.conversation:
                _insert_items(connection, _text(response.conversation.id), conversation_items)
            if response.status not in RUNNING_STATUSES:
                connection.execute("DELETE FROM leases WHERE response_id = ?", (key,))
            return True

        return await self._write(save)

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response; see :meth:`Store.find`."""
        rows = await self._rows("SELECT record FROM responses WHERE id = ?", response_id)
        return await decode_stored(rows[0][0].encode()) if rows else None

    async def chain(self, response_id: str) -> list[HistoryLink]:
        """Return a response and those before it; see :meth:`Store.chain`."""

        def record_of(connection: sqlite3.Connection, id_: str) -> str | None:
            row = connection.execute("SELECT record FROM responses WHERE id = ?", (_text(id_),)).fetchone()
            return row[0] if row else None

        def read(connection: sqlite3.Connection) -> list[HistoryLink]:
            connection.execute("BEGIN")  # so that all are read from one snapshot of the file
            try:
                return chain_of(response_id, lambda id_: record_of(connection, id_))
            finally:
                connection.execute("COMMIT")

        return await self._read(read)

    async def delete(self, response_id: str) -> bool:
        """Delete a response; see :meth:`Store.delete`."""
        key = _text(response_id)

        def delete(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM events WHERE response_id = ?", (key,))
            connection.execute("DELETE FROM item_homes WHERE response_id = ?", (key,))
            connection.execute("DELETE FROM leases WHERE response_id = ?", (key,))
            connection.execute("DELETE FROM requests WHERE response_id = ?", (key,))
            return connection.execute("DELETE FROM responses WHERE id = ?", (key,)).rowcount > 0

        return await self._write(delete)

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response; see :meth:`Store.add_events`."""
        await self._write(
            lambda connection: _insert_events(connection, _text(response_id), events), synchronous="NORMAL"
        )

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        """Return the events of a response; see :meth:`Store.events`."""
        query = "SELECT number, type, data FROM events WHERE response_id = ? AND number > ? ORDER BY number"

        def read(connection: sqlite3.Connection) -> list[WireEvent]:
            events: list[WireEvent] = []
            size = 0
            for number, type_, data in connection.execute(query, (_text(response_id), after)):
                events.append(WireEvent(number, type_, data.encode()))
                size += len(data)
                if max_bytes is not None and size >= max_bytes:
                    break
            return events

        return await self._read(read)

    async def find_item(self, item_id: str) -> Item | None:
        """Return an item of any response; see :meth:`Store.find_item`."""
        query = "SELECT record FROM item_homes JOIN responses ON id = response_id WHERE item_id = ? ORDER BY place"

        def read(connection: sqlite3.Connection) -> Item | None:
            for (record,) in connection.execute(query, (_text(item_id),)):
                # The row of an item stays when the response no longer has the item.
                if found := next((item for item in decode_link(record).items if id_of(item) == item_id), None):
                    return found
            return None

        return await self._read(read)

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation; see :meth:`Store.save_conversation`."""
        row = _text(conversation.id), dumps(conversation).decode()
        await self._write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO conversations VALUES (?, ?)", row)
        )

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see :meth:`Store.find_conversation`."""
        rows = await self._rows("SELECT record FROM conversations WHERE id = ?", conversation_id)
        return loads(rows[0][0], Conversation) if rows else None

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation; see :meth:`Store.delete_conversation`."""
        key = _text(conversation_id)

        def delete(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM conversation_items WHERE conversation_id = ?", (key,))
            return connection.execute("DELETE FROM conversations WHERE id = ?", (key,)).rowcount > 0

        return await self._write(delete)

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation; see :meth:`Store.add_items`."""
        return await self._write(lambda connection: _insert_items(connection, _text(conversation_id), items))

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation; see :meth:`Store.items`."""
        query = "SELECT item FROM conversation_items WHERE conversation_id = ? ORDER BY place"
        return [loads(item, Item) for (item,) in await self._rows(query, conversation_id)]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete an item from a conversation; see :meth:`Store.delete_item`."""
        statement = "DELETE FROM conversation_items WHERE conversation_id = ? AND item_id = ?"
        values = _text(conversation_id), _text(item_id)
        return await self._write(lambda connection: connection.execute(statement, values).rowcount > 0)

    async def aclose(self) -> None:
        """Close the file. Idempotent; calling another method afterwards reopens it."""
        for close in (self._watcher.close, self._reader.close, self._writer.close, self._lock.release):
            await anyio.to_thread.run_sync(close)

    # -- shared by several servers

    async def begin(self, stored: StoredResponse, *, owner: str, seconds: float) -> None:
        """Save and lease a new response; see :meth:`SharedStore.begin`."""

        def lease(connection: sqlite3.Connection) -> bool:
            row = _text(stored.response.id), owner, time.time() + seconds
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", row)
            return False

        await self._save(stored, unless=lease)

    async def save_leased(
        self,
        stored: StoredResponse,
        *,
        owner: str,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> bool:
        """Save a leased response; see :meth:`SharedStore.save_leased`."""
        response_id = stored.response.id
        return await self._save(
            stored, events, conversation_items, unless=lambda connection: not _holds(connection, owner, response_id)
        )

    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:
        """Add events to a leased response; see :meth:`SharedStore.add_events_leased`."""

        def add(connection: sqlite3.Connection) -> bool:
            if not _holds(connection, owner, response_id):
                return False
            _insert_events(connection, _text(response_id), events)
            return True

        return await self._write(add, synchronous="NORMAL")

    async def renew(self, owner: str, seconds: float) -> list[str]:
        """Renew the leases of an owner; see :meth:`SharedStore.renew`."""

        def renew(connection: sqlite3.Connection) -> list[str]:
            connection.execute("UPDATE leases SET until = ? WHERE owner = ?", (time.time() + seconds, owner))
            return [name for (name,) in connection.execute("SELECT response_id FROM leases WHERE owner = ?", (owner,))]

        return await self._write(renew, synchronous="NORMAL")

    async def owner(self, response_id: str) -> str | None:
        """Return the owner of a response; see :meth:`SharedStore.owner`."""
        rows = await self._rows("SELECT owner, until FROM leases WHERE response_id = ?", response_id)
        return rows[0][0] if rows and rows[0][1] > time.time() else None

    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        """Lease a response that nobody holds; see :meth:`SharedStore.take_over`."""
        values = {"id": _text(response_id), "owner": owner, "now": time.time(), "until": time.time() + seconds}
        # A response has no lease if its server did not share the file.
        statement = """INSERT INTO leases SELECT id, :owner, :until FROM responses WHERE id = :id
            AND json_extract(record, '$.response.status') IN ('queued', 'in_progress')
            ON CONFLICT (response_id) DO UPDATE SET owner = :owner, until = :until
            WHERE until <= :now OR owner = :owner"""
        return await self._write(lambda connection: connection.execute(statement, values).rowcount > 0)

    async def orphans(self) -> list[str]:
        """Return the responses whose lease has expired; see :meth:`SharedStore.orphans`."""
        query = f"SELECT response_id FROM leases WHERE until <= ? LIMIT {_MAX_ORPHANS}"  # noqa: S608 - a number of ours
        now = time.time()
        return await self._read(lambda connection: [name for (name,) in connection.execute(query, (now,))])

    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:
        """Wait for events of a response; see :meth:`SharedStore.watch`."""
        deadline = anyio.current_time() + seconds
        while True:
            count = self._changes.count
            events = await self.events(response_id, after=number - 1, max_bytes=_MAX_WATCHED_BYTES)
            remaining = deadline - anyio.current_time()
            if events or remaining <= 0:
                return events
            await self._changes.wait(count, remaining)

    async def ask(self, response_id: str, what: Signal) -> bool:
        """Send a signal to the owner of a response; see :meth:`SharedStore.ask`."""
        values = {"id": _text(response_id), "what": what, "now": time.time(), "old": time.time() - _MAX_SIGNAL_AGE}
        statement = """INSERT INTO signals (owner, response_id, what, asked)
            SELECT owner, response_id, :what, :now FROM leases WHERE response_id = :id AND until > :now"""

        def ask(connection: sqlite3.Connection) -> bool:
            connection.execute(
                "DELETE FROM signals WHERE asked < :old", values
            )  # of owners that died before they read them
            return connection.execute(statement, values).rowcount > 0

        return await self._write(ask, synchronous="NORMAL")

    async def asked(self, owner: str, seconds: float) -> list[tuple[str, Signal]]:
        """Wait for signals to an owner; see :meth:`SharedStore.asked`."""
        deadline = anyio.current_time() + seconds
        query = "SELECT place, response_id, what FROM signals WHERE owner = ? ORDER BY place"
        while True:
            count = self._changes.count
            rows = await self._rows(query, owner)
            if rows:
                await self._write(
                    lambda connection: connection.execute(
                        "DELETE FROM signals WHERE owner = ? AND place <= ?",
                        (owner, rows[-1][0]),  # noqa: B023 - it is awaited
                    ),
                    synchronous="NORMAL",
                )
                return [(response_id, what) for _, response_id, what in rows]
            remaining = deadline - anyio.current_time()
            if remaining <= 0:
                return []
            await self._changes.wait(count, remaining)
            await anyio.sleep(_SIGNAL_INTERVAL)  # most changes are not signals

    async def remember(self, digest: str, response_id: str, *, instead_of: str | None = None) -> str:
        """Record which response answers a request; see :meth:`SharedStore.remember`."""
        now = time.time()

        def remember(connection: sqlite3.Connection) -> str:
            connection.execute("DELETE FROM requests WHERE noted < ?", (now - _MAX_REQUEST_AGE,))
            connection.execute(
                "DELETE FROM requests WHERE digest = ? AND response_id = ?", (digest, _text(instead_of or ""))
            )
            row = digest, _text(response_id), now
            connection.execute("INSERT INTO requests VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row)
            (noted,) = connection.execute("SELECT response_id FROM requests WHERE digest = ?", (digest,)).fetchone()
            return str(noted)

        return await self._write(remember)

    async def recall(self, digest: str) -> str | None:
        """Return which response answers a request; see :meth:`SharedStore.recall`."""
        rows = await self._rows("SELECT response_id FROM requests WHERE digest = ?", digest)
        return rows[0][0] if rows else None

    def _look(self, count: int, seconds: float) -> None:
        """Wait in a thread until another connection has changed the file."""
        end = time.monotonic() + seconds
        while self._changes.count == count and time.monotonic() < end:
            try:
                version = self._watcher.use(lambda connection: connection.execute("PRAGMA data_version").fetchone()[0])
            except (sqlite3.Error, UsageError):
                version = None  # the waiting tasks will read the file, and raise
            if version is None or version != self._data_version:
                self._data_version = version
                self._changes.count += 1
                return
            time.sleep(_LOOK_INTERVAL)

    # -- inside

    async def _read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._readable_errors():
            return await anyio.to_thread.run_sync(self._reader.use, work)

    async def _rows(self, query: str, *values: str) -> list[Any]:
        bound = [*map(_text, values)]
        return await self._read(lambda connection: connection.execute(query, bound).fetchall())

    async def _write(
        self, work: Callable[[sqlite3.Connection], _T], *, synchronous: Literal["FULL", "NORMAL"] = "FULL"
    ) -> _T:
        def write(connection: sqlite3.Connection) -> _T:
            with _transaction(connection, synchronous):
                return work(connection)

        with self._readable_errors():
            limiter = limiter_in(_WRITE_LIMITER, _WRITE_THREADS)
            return await anyio.to_thread.run_sync(self._writer.use, write, limiter=limiter)

    @contextlib.contextmanager
    def _readable_errors(self) -> Generator[None]:
        """Log an SQLite error with the path of the file, and raise an error that a client may see in its place."""
        try:
            yield
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF  # the primary part of an extended code
            if code not in _REFUSALS:
                raise
            status, name, message = _REFUSALS[code]
            _log.error("%s: %s", self._path, error)
            raise APIError.for_status(status)(
                message, status=status, type="server_error", code=name, retry_after=1.0 if status == _BUSY else None
            ) from error


_BUSY: Final = 503
_FULL: Final = (
    507,
    "storage_full",
    "The store of the server is full or cannot be written. What was stored before is safe.",
)
_LOCKED: Final = _BUSY, "storage_locked", "The store of the server is locked by another program. Try again later."
_REFUSALS: Final[Mapping[int, tuple[int, str, str]]] = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _FULL,
    sqlite3.SQLITE_READONLY: _FULL,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
}
"""SQLite error code -> status, code and message of the error that the client gets."""


_LOOK_INTERVAL: Final = 0.01  # seconds between two checks of the file
_SIGNAL_INTERVAL: Final = 0.03  # seconds between two checks for signals
_MAX_ORPHANS: Final = 100  # at a time
_MAX_WATCHED_BYTES: Final = 64 * 1024
_MAX_SIGNAL_AGE: Final = 3600.0  # seconds
_MAX_REQUEST_AGE: Final = 86_400.0  # seconds

# Threads that write wait for each other, and must not take all threads of the event loop.
_WRITE_THREADS: Final = 4
_WRITE_LIMITER: Final = RunVar[anyio.CapacityLimiter]("responses_proto.server.stores._sqlite")


def _text(value: str) -> str:
    """Return a text that SQLite can store. A lone surrogate, which an id in JSON can contain, is escaped."""
    return value if value.isascii() else value.encode(errors="backslashreplace").decode()


class _Connection:
    """A connection that is opened on first use. One thread at a time uses it."""

    def __init__(self, path: str, file_lock: _FileLock) -> None:
        self._path = path
        self._file_lock = file_lock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def use(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return the result of ``work``. Raises ``UsageError`` if the file cannot be opened, or is in use."""
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)

    def close(self) -> None:
        """Close the connection, if it is open."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        try:
            self._file_lock.acquire()
            # The lock keeps threads apart, so sqlite3 need not check. `None` leaves transactions to `_transaction`.
            connection = _connect(self._path, timeout=_BUSY_TIMEOUT)
            try:
                _prepare(connection, self._path)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise UsageError(f"cannot open {self._path} as a store of responses: {error}") from error
        return connection


class _FileLock:
    """The lock on a store's file: exclusive, or shared with other processes."""

    def __init__(self, path: str, *, shared: bool) -> None:
        self._path = path
        self._lock_path = Path(f"{path}-lock")
        self._statements = ("BEGIN", "SELECT * FROM sqlite_master") if shared else ("BEGIN EXCLUSIVE",)
        self._advice = "stop it" if shared else "stop it, or open the file with shared=True in both"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def acquire(self) -> None:
        """Acquire the lock, if this store does not hold it. Raises ``UsageError`` if another server holds it."""
        with self._lock:
            while self._connection is None:
                connection = _connect(str(self._lock_path), timeout=0)
                try:
                    connection.execute("PRAGMA journal_mode = MEMORY")  # no further file
                    before = self._lock_path.stat().st_ino
                    for statement in self._statements:
                        connection.execute(statement).fetchall()
                    # The previous holder may have removed the lock file just now.
                    if self._lock_path.stat().st_ino == before:
                        self._connection = connection
                except FileNotFoundError:
                    pass
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                        raise
                    raise UsageError(f"{self._path} is in use by another server: {self._advice}") from error
                finally:
                    if self._connection is None:
                        connection.close()

    def release(self) -> None:
        """Release the lock, and remove the lock file if no other process holds it. Idempotent."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            with contextlib.suppress(sqlite3.OperationalError, OSError):  # others hold it
                connection.execute("COMMIT")
                connection.execute("BEGIN EXCLUSIVE")
                self._lock_path.unlink()
            connection.close()


def _connect(path: str, *, timeout: float) -> sqlite3.Connection:
    with contextlib.suppress(OSError):  # SQLite has better messages for a bad path
        # Only a new file is opened here: closing an existing one would drop the locks that SQLite holds on it in this process.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE))
    return sqlite3.connect(path, timeout=timeout, check_same_thread=False, isolation_level=None)


_FILE_MODE: Final = 0o600  # of new files; SQLite uses the same mode for its auxiliary files
_BUSY_TIMEOUT: Final = 5.0  # seconds to wait for another connection that writes


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check that the file is a store of this version; create the tables in an empty file."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != _APPLICATION_ID and (application_id or tables):
        raise UsageError(f"{path} is not a responses_proto store: choose another file")
    is_store = application_id == _APPLICATION_ID
    if is_store and version != _SCHEMA_VERSION and version not in _MIGRATIONS:
        raise UsageError(
            f"{path} is a store of version {version}, expected {_SCHEMA_VERSION}: "
            "use the release that wrote it, or choose another file"
        )
    _set_wal(connection)
    if is_store and version == _SCHEMA_VERSION:
        return
    with _transaction(connection, "FULL"):
        while (version := _version_of(connection)) != _SCHEMA_VERSION:  # another process may have been first
            for statement in _MIGRATIONS[version] if version else _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1 if version else _SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _set_wal(connection: sqlite3.Connection) -> None:
    """Put the file in WAL mode. Retry if another process does the same: SQLite does not wait in this case."""
    end = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_LOOK_INTERVAL)
        else:
            return


def _holds(connection: sqlite3.Connection, owner: str, response_id: str) -> bool:
    query = "SELECT 1 FROM leases WHERE response_id = ? AND owner = ?"
    return connection.execute(query, (_text(response_id), owner)).fetchone() is not None


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
    rows = [(response_id, event.sequence_number, _text(event.type), event.data.decode()) for event in events]
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)


def _insert_items(connection: sqlite3.Connection, conversation_id: str, items: Sequence[Item]) -> bool:
    if not connection.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).fetchone():
        return False
    # Items that already exist are left out. Most ids are new, which the index shows at once.
    statement = """INSERT INTO conversation_items (conversation_id, item_id, item)
        SELECT :conversation_id, :item_id, :item WHERE :item_id = '' OR NOT EXISTS (
            SELECT 1 FROM conversation_items WHERE conversation_id = :conversation_id AND item_id = :item_id
            AND json_extract(item, '$.type') = :type
        )"""
    rows = [
        {
            "conversation_id": conversation_id,
            "item_id": _text(id_of(item)),
            "type": item.type,
            "item": dumps(item).decode(),
        }
        for item in items
    ]
    connection.executemany(statement, rows)
    return True
