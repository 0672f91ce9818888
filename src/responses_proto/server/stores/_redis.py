"""A store in Redis, for servers on any number of hosts.

The client is redis-py, which blocks: every call runs in a worker thread, on asyncio and trio alike. A method that reads and writes is
one Lua script, which Redis runs atomically. All keys begin with ``{prefix}:``; the braces keep them in one slot of a cluster::

    r:ID        hash     a response: record, running (0 or 1), owner of the lease, digest of its request
    e:ID        stream   its events; the event with number N has the id 0-(N+1)
    h:ID        set      the ids of its items
    i:ITEM      zset     the responses that have an item, by the order in which they were saved
    c:ID        string   a conversation
    ci:ID co:ID hash, list   its items, and the order of their keys: type and id, or a number
    leases      zset     leased responses, by the end of the lease in milliseconds since 1970, on the clock of Redis
    owned:OWNER set      the responses that an owner has leased
    s:OWNER     list     the signals to an owner
    k:DIGEST    string   the response to a request with an idempotency key
    news        channel  the ids of responses that have changed, and of owners that have signals
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio
from anyio.lowlevel import RunVar

from ...codec import dumps, loads
from ...exceptions import UsageError
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
    item_key,
    limiter_in,
    unavailable,
)
from ._changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.client import PubSub

_T = TypeVar("_T")

_SCRIPT: Final = """
local P = KEYS[1]
local at = 1  -- of the next argument

local function take() at = at + 1; return ARGV[at - 1] end
local function call(...) return redis.call(...) end
local function now() local t = call('TIME'); return t[1] * 1000 + math.floor(t[2] / 1000) end
local function tell(name) call('PUBLISH', P .. 'news', name) end
local function expire(keep, ...)
    if keep ~= '0' then for _, key in ipairs({...}) do call('EXPIRE', P .. key, keep) end end
end

local function lease(id, owner, milliseconds)
    call('HSET', P .. 'r:' .. id, 'owner', owner)
    call('ZADD', P .. 'leases', now() + milliseconds, id)
    call('SADD', P .. 'owned:' .. owner, id)
end
local function end_lease(id)
    local owner = call('HGET', P .. 'r:' .. id, 'owner')
    if owner then call('SREM', P .. 'owned:' .. owner, id) end
    call('HDEL', P .. 'r:' .. id, 'owner')
    call('ZREM', P .. 'leases', id)
end
local function holds(id, owner) return call('HGET', P .. 'r:' .. id, 'owner') == owner end
local function owner_of(id)
    local owner, ends = call('HGET', P .. 'r:' .. id, 'owner'), call('ZSCORE', P .. 'leases', id)
    return owner and ends and tonumber(ends) > now() and owner
end

-- Events come in order, but for a server that sends some again.
local function add_events(id)
    local key, late = P .. 'e:' .. id, {}
    while at < #ARGV do
        local number, type, data = take(), take(), take()
        local added = redis.pcall('XADD', key, '0-' .. number, 't', type, 'd', data)
        if added.err then
            if not string.find(added.err, 'equal or smaller') then return added end
            if #call('XRANGE', key, '0-' .. number, '0-' .. number) == 0 then
                late[#late + 1] = {number, {'t', type, 'd', data}}
            end
        end
    end
    if #late == 0 then return end
    local seen = {}
    for _, entry in ipairs(call('XRANGE', key, '-', '+')) do late[#late + 1] = {string.sub(entry[1], 3), entry[2]} end
    call('DEL', key)
    for position, entry in ipairs(late) do entry[3] = position end
    table.sort(late, function(a, b)
        if a[1] == b[1] then return a[3] < b[3] end
        return tonumber(a[1]) < tonumber(b[1])
    end)
    for _, entry in ipairs(late) do
        if not seen[entry[1]] then call('XADD', key, '0-' .. entry[1], unpack(entry[2])) end
        seen[entry[1]] = true
    end
end

local function add_items(conversation, keep, count)
    local exists = call('EXISTS', P .. 'c:' .. conversation) == 1
    for _ = 1, count do
        local key, item = take(), take()
        if key == '' then key = tostring(call('INCR', P .. 'place')) end
        if exists and call('HSETNX', P .. 'ci:' .. conversation, key, item) == 1 then
            call('RPUSH', P .. 'co:' .. conversation, key)
        end
    end
    expire(keep, 'c:' .. conversation, 'ci:' .. conversation, 'co:' .. conversation)
    return exists and 1 or 0
end

local commands = {}

function commands.save(fence, id, owner, milliseconds, keep, record, running, conversation, homes, items)
    if fence == '1' and not holds(id, owner) then return 0 end
    call('HSET', P .. 'r:' .. id, 'record', record, 'running', running)
    for _ = 1, homes do
        local item = take()
        call('ZADD', P .. 'i:' .. item, 'NX', call('INCR', P .. 'place'), id)
        call('SADD', P .. 'h:' .. id, item)
        expire(keep, 'i:' .. item)
    end
    add_items(conversation, keep, items)
    local failed = add_events(id)
    if failed then return failed end
    if running == '0' then end_lease(id) elseif fence == '0' and owner ~= '' then lease(id, owner, milliseconds) end
    expire(keep, 'r:' .. id, 'e:' .. id, 'h:' .. id)
    tell(id)
    return 1
end

function commands.add_events(fence, id, owner, keep)
    if call('EXISTS', P .. 'r:' .. id) == 0 or (fence == '1' and not holds(id, owner)) then return 0 end
    local failed = add_events(id)
    if failed then return failed end
    expire(keep, 'r:' .. id, 'e:' .. id, 'h:' .. id)
    tell(id)
    return 1
end

function commands.delete(id)
    local digest = call('HGET', P .. 'r:' .. id, 'digest')
    if digest and call('GET', P .. 'k:' .. digest) == id then call('DEL', P .. 'k:' .. digest) end
    end_lease(id)
    for _, item in ipairs(call('SMEMBERS', P .. 'h:' .. id)) do call('ZREM', P .. 'i:' .. item, id) end
    call('DEL', P .. 'e:' .. id, P .. 'h:' .. id)
    tell(id)
    return call('DEL', P .. 'r:' .. id)
end

function commands.renew(owner, milliseconds)
    local held = {}
    for _, id in ipairs(call('SMEMBERS', P .. 'owned:' .. owner)) do
        if holds(id, owner) then
            call('ZADD', P .. 'leases', now() + milliseconds, id)
            held[#held + 1] = id
        else  -- the response has expired
            call('SREM', P .. 'owned:' .. owner, id)
            call('ZREM', P .. 'leases', id)
        end
    end
    return held
end

function commands.owner(id) return owner_of(id) end

function commands.take_over(id, owner, milliseconds)
    local holder = owner_of(id)
    if call('HGET', P .. 'r:' .. id, 'running') ~= '1' or (holder and holder ~= owner) then return 0 end
    end_lease(id)
    lease(id, owner, milliseconds)
    return 1
end

function commands.orphans(most)
    local found = {}
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', now(), 'LIMIT', 0, most)) do
        if call('EXISTS', P .. 'r:' .. id) == 1 then found[#found + 1] = id else call('ZREM', P .. 'leases', id) end
    end
    return found
end

function commands.ask(id, what, keep)
    local owner = owner_of(id)
    if not owner then return 0 end
    call('RPUSH', P .. 's:' .. owner, id, what)
    expire(keep, 's:' .. owner)
    tell(owner)
    return 1
end

function commands.asked(owner)
    local found = call('LRANGE', P .. 's:' .. owner, 0, -1)
    call('DEL', P .. 's:' .. owner)
    return found
end

function commands.remember(digest, id, instead_of, keep)
    local noted = call('GET', P .. 'k:' .. digest)
    if noted and noted ~= instead_of then return noted end
    call('SET', P .. 'k:' .. digest, id)
    expire(keep, 'k:' .. digest)
    if call('EXISTS', P .. 'r:' .. id) == 1 then call('HSET', P .. 'r:' .. id, 'digest', digest) end
    return id
end

commands.add_items = add_items

function commands.items(conversation)
    local found = {}
    for _, key in ipairs(call('LRANGE', P .. 'co:' .. conversation, 0, -1)) do
        found[#found + 1] = call('HGET', P .. 'ci:' .. conversation, key)
    end
    return found
end

function commands.delete_item(conversation, id)
    local deleted = 0
    for _, key in ipairs(call('HKEYS', P .. 'ci:' .. conversation)) do
        if string.sub(key, -#id - 1) == '\\0' .. id then
            deleted = call('HDEL', P .. 'ci:' .. conversation, key)
            call('LREM', P .. 'co:' .. conversation, 1, key)
        end
    end
    return deleted
end

local name, count = take(), tonumber(take())
local arguments = {}
for position = 1, count do arguments[position] = take() end
return commands[name](unpack(arguments))
"""

_MONTH: Final = 30 * 86_400.0
_DAY: Final = 86_400
_MAX_ORPHANS: Final = 100  # at a time
_MAX_WATCHED_BYTES: Final = 64 * 1024
_FIRST_COUNT, _NEXT_COUNT = 16, 512  # events that are read at a time
_TIMEOUT: Final = 5.0  # seconds to wait for an answer of Redis
_MAX_THREADS: Final = 32  # that wait for Redis; they must not take all threads of the event loop
_MAX_MARKS: Final = 10_000
_ANY: Final = ""  # matches every name
_STALE: Final = 5.0  # seconds after which a subscription that nobody has read is renewed


class RedisStore:
    """A :class:`SharedStore` in Redis 6.2 or newer, for servers on any number of hosts.

    ``url`` is a URL for redis-py, such as ``redis://:password@host:6379/0`` or ``rediss://…``. ``keep`` is the number of seconds after the
    last write at which a response or conversation expires; ``None`` keeps them forever. ``lease`` is the number of seconds within which
    the other servers notice that a server has died or was suspended; a server must not block its event loop for half of that. Keys in
    Redis begin with ``prefix`` in braces.

    Written data survives a crash of Redis if Redis keeps an append-only file (``appendonly yes``), and a power failure with
    ``appendfsync always``. While Redis cannot be reached, methods raise ``APIError`` (503, ``store_unavailable``).

    Raises ``UsageError`` for an invalid argument, and ``ImportError`` if redis-py is not installed (extra ``redis``).
    """

    def __init__(
        self, url: str, *, keep: float | None = _MONTH, lease: float = 15.0, prefix: str = "responses_proto"
    ) -> None:
        try:
            import redis  # noqa: PLC0415 - an extra: imported when it is needed
            from redis.backoff import ExponentialBackoff  # noqa: PLC0415 - as above
            from redis.retry import Retry  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ImportError("RedisStore needs redis-py: pip install 'responses-proto[redis]'") from error
        for name, value in (("keep", keep), ("lease", lease)):
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be a positive number of seconds, got {value}")
        self.lease_seconds: float | None = lease
        """Seconds within which the other servers notice that a server has died: ``lease``."""
        self._keep = "0" if keep is None else str(max(1, round(keep)))
        self._prefix = f"{{{prefix}}}:"
        self._unavailable = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError)
        try:
            self._redis = redis.Redis.from_url(
                url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                # All commands may be sent twice. Pooled connections break when Redis is restarted.
                retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), 3),
                retry_on_error=[redis.ConnectionError, redis.TimeoutError],
            )
        except ValueError as error:
            raise UsageError(f"not a URL of Redis: {error}") from error  # the message does not contain the URL
        self._script = self._redis.register_script(_SCRIPT)
        self._changes = Changes(self._look)
        self._marks: dict[str, int] = {}  # name of a response or owner -> the count of its last change
        self._listening = threading.Lock()
        self._pubsub: PubSub | None = None
        self._last_look = 0.0

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix}>"  # the URL may contain a password

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
        fence: bool = False,
        owner: str = "",
        seconds: float = 0,
    ) -> bool:
        response = stored.response
        homes = [_key(item_id) for item_id in item_ids(stored.items)]
        conversation = response.conversation.id if response.conversation else ""
        items = _rows(conversation_items) if conversation else []
        arguments: list[bytes | str | int] = [
            "01"[fence],
            _key(response.id),
            owner,
            _milliseconds(seconds),
            self._keep,
            await encode_stored(stored),
            "01"[response.status in RUNNING_STATUSES],
            _key(conversation),
            len(homes),
            len(items) // 2,
        ]
        return bool(await self._run("save", *arguments, rest=[*homes, *items, *_triples(events)]))

    async def find(self, response_id: str) -> StoredResponse | None:
        """Return a response; see :meth:`Store.find`."""
        record = await self._in_thread(lambda: self._record(_key(response_id)))
        return None if record is None else await decode_stored(record)

    async def chain(self, response_id: str) -> list[HistoryLink]:
        """Return a response and those before it; see :meth:`Store.chain`."""
        return await self._in_thread(lambda: chain_of(response_id, lambda id_: self._record(_key(id_))))

    async def delete(self, response_id: str) -> bool:
        """Delete a response; see :meth:`Store.delete`."""
        return bool(await self._run("delete", _key(response_id)))

    async def add_events(self, response_id: str, events: Sequence[WireEvent]) -> None:
        """Add events to a response; see :meth:`Store.add_events`. Events of a response that has expired are ignored."""
        await self._run("add_events", "0", _key(response_id), "", self._keep, rest=_triples(events))

    async def events(self, response_id: str, *, after: int = -1, max_bytes: int | None = None) -> list[WireEvent]:
        """Return the events of a response; see :meth:`Store.events`."""
        key = self._key("e:", response_id)

        def read() -> list[WireEvent]:
            found: list[WireEvent] = []
            size, last = 0, after
            count = None if max_bytes is None else _FIRST_COUNT
            while True:
                entries = self._redis.xrange(key, min=f"0-{max(last, -1) + 2}", count=count)
                for entry, fields in entries:
                    last = int(entry.partition(b"-")[2]) - 1
                    found.append(WireEvent(last, _name(fields[b"t"]), fields[b"d"]))
                    size += len(fields[b"d"])
                    if max_bytes is not None and size >= max_bytes:
                        return found
                if count is None or len(entries) < count:
                    return found
                count = _NEXT_COUNT

        return await self._in_thread(read)

    async def find_item(self, item_id: str) -> Item | None:
        """Return an item of any response; see :meth:`Store.find_item`."""

        def read() -> Item | None:
            for response_id in self._redis.zrange(self._key("i:", item_id), 0, -1):
                record = self._record(response_id)
                items = decode_link(record).items if record else ()
                # The entry of an item stays when the response no longer has the item.
                if found := next((item for item in items if id_of(item) == item_id), None):
                    return found
            return None

        return await self._in_thread(read)

    async def save_conversation(self, conversation: Conversation) -> None:
        """Save a conversation; see :meth:`Store.save_conversation`."""
        data, expires = dumps(conversation), None if self._keep == "0" else int(self._keep)
        await self._in_thread(lambda: self._redis.set(self._key("c:", conversation.id), data, ex=expires))

    async def find_conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; see :meth:`Store.find_conversation`."""
        data = await self._in_thread(lambda: self._redis.get(self._key("c:", conversation_id)))
        return None if data is None else loads(data, Conversation)

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation; see :meth:`Store.delete_conversation`."""
        first, *others = (self._key(kind, conversation_id) for kind in ("c:", "ci:", "co:"))

        def delete() -> bool:
            with self._redis.pipeline() as transaction:
                transaction.delete(first)
                transaction.delete(*others)
                return bool(transaction.execute()[0])

        return await self._in_thread(delete)

    async def add_items(self, conversation_id: str, items: Sequence[Item]) -> bool:
        """Append items to a conversation; see :meth:`Store.add_items`."""
        return bool(await self._run("add_items", _key(conversation_id), self._keep, len(items), rest=_rows(items)))

    async def items(self, conversation_id: str) -> list[Item]:
        """Return the items of a conversation; see :meth:`Store.items`."""
        return [loads(item, Item) for item in await self._run("items", _key(conversation_id))]

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        """Delete an item from a conversation; see :meth:`Store.delete_item`."""
        return bool(await self._run("delete_item", _key(conversation_id), _key(item_id)))

    async def aclose(self) -> None:
        """Close the connections. Idempotent; the next call of another method opens them again."""

        def close() -> None:
            with self._listening:
                self._unsubscribe()
            self._redis.connection_pool.disconnect()

        await anyio.to_thread.run_sync(close)

    # -- shared by several servers

    async def begin(self, stored: StoredResponse, *, owner: str, seconds: float) -> None:
        """Save and lease a new response; see :meth:`SharedStore.begin`."""
        await self._save(stored, owner=owner, seconds=seconds)

    async def save_leased(
        self,
        stored: StoredResponse,
        *,
        owner: str,
        events: Sequence[WireEvent] = (),
        conversation_items: Sequence[Item] = (),
    ) -> bool:
        """Save a leased response; see :meth:`SharedStore.save_leased`."""
        return await self._save(stored, events, conversation_items, fence=True, owner=owner)

    async def add_events_leased(self, response_id: str, events: Sequence[WireEvent], *, owner: str) -> bool:
        """Add events to a leased response; see :meth:`SharedStore.add_events_leased`."""
        return bool(await self._run("add_events", "1", _key(response_id), owner, self._keep, rest=_triples(events)))

    async def renew(self, owner: str, seconds: float) -> list[str]:
        """Renew the leases of an owner; see :meth:`SharedStore.renew`."""
        return [_name(key) for key in await self._run("renew", owner, _milliseconds(seconds))]

    async def owner(self, response_id: str) -> str | None:
        """Return the owner of a response; see :meth:`SharedStore.owner`."""
        found = await self._run("owner", _key(response_id))
        return _name(found) if found else None

    async def take_over(self, response_id: str, *, owner: str, seconds: float) -> bool:
        """Lease a response that nobody holds; see :meth:`SharedStore.take_over`."""
        return bool(await self._run("take_over", _key(response_id), owner, _milliseconds(seconds)))

    async def orphans(self) -> list[str]:
        """Return the responses whose lease has expired; see :meth:`SharedStore.orphans`."""
        return [_name(key) for key in await self._run("orphans", _MAX_ORPHANS)]

    async def watch(self, response_id: str, number: int, seconds: float) -> list[WireEvent]:
        """Wait for events of a response; see :meth:`SharedStore.watch`."""
        deadline = anyio.current_time() + seconds
        while True:
            count = self._changes.count
            events = await self.events(response_id, after=number - 1, max_bytes=_MAX_WATCHED_BYTES)
            if events or not await self._changed(response_id, count, deadline):
                return events

    async def ask(self, response_id: str, what: Signal) -> bool:
        """Send a signal to the owner of a response; see :meth:`SharedStore.ask`."""
        return bool(await self._run("ask", _key(response_id), what, _DAY))

    async def asked(self, owner: str, seconds: float) -> list[tuple[str, Signal]]:
        """Wait for signals to an owner; see :meth:`SharedStore.asked`."""
        deadline = anyio.current_time() + seconds
        while True:
            count = self._changes.count
            found = [_name(value) for value in await self._run("asked", owner)]
            if found or not await self._changed(owner, count, deadline):
                return [
                    (response_id, cast("Signal", what))
                    for response_id, what in zip(found[::2], found[1::2], strict=True)
                ]

    async def remember(self, digest: str, response_id: str, *, instead_of: str | None = None) -> str:
        """Record which response answers a request; see :meth:`SharedStore.remember`."""
        return _name(await self._run("remember", digest, _key(response_id), _key(instead_of or ""), _DAY))

    async def recall(self, digest: str) -> str | None:
        """Return which response answers a request; see :meth:`SharedStore.recall`."""
        found = await self._in_thread(lambda: self._redis.get(self._key("k:", digest)))
        return None if found is None else _name(found)

    # -- inside

    def _key(self, kind: str, name: str) -> bytes:
        return self._prefix.encode() + kind.encode() + _key(name)

    def _record(self, key: bytes) -> bytes | None:
        return self._redis.hget(self._prefix.encode() + b"r:" + key, "record")

    async def _run(self, command: str, *arguments: bytes | str | int, rest: Sequence[bytes | str] = ()) -> Any:
        """Run a command of the script."""
        values = [command, len(arguments), *arguments, *rest]
        return await self._in_thread(lambda: self._script(keys=[self._prefix], args=values))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await anyio.to_thread.run_sync(work, limiter=limiter_in(_LIMITER, _MAX_THREADS))
        except self._unavailable as error:
            raise unavailable("The server cannot reach its store at the moment. Try again later.") from error

    async def _changed(self, name: str, count: int, deadline: float) -> bool:
        """Wait until a response or owner has changed since ``count``. Return ``False`` at the deadline."""
        seen = count
        while max(self._marks.get(name, -1), self._marks.get(_ANY, -1)) <= count:
            remaining = deadline - anyio.current_time()
            if remaining <= 0:
                return False
            await self._changes.wait(seen, remaining)
            seen = self._changes.count
        return True

    def _look(self, count: int, seconds: float) -> None:
        """Wait in a thread until something has changed."""
        end = time.monotonic() + seconds
        with self._listening:
            while self._changes.count == count and (remaining := end - time.monotonic()) > 0:
                try:
                    pubsub = self._subscribed()
                    message = pubsub.get_message(timeout=remaining)
                    while message is not None:
                        if message["type"] == "message":
                            self._note(_name(message["data"]))
                        message = pubsub.get_message()
                    self._last_look = time.monotonic()
                except (*self._unavailable, OSError, ValueError):  # the waiting tasks will read, and raise
                    self._unsubscribe()
                    time.sleep(min(remaining, 0.1))

    def _subscribed(self) -> PubSub:
        """Return the subscription. Create it if there is none, or if the last read was too long ago."""
        if self._pubsub is not None and time.monotonic() - self._last_look < _STALE:
            return self._pubsub
        self._unsubscribe()
        pubsub = self._pubsub = self._redis.pubsub()
        pubsub.subscribe(f"{self._prefix}news")
        end = time.monotonic() + _TIMEOUT
        while (message := pubsub.get_message(timeout=_TIMEOUT)) is None or message["type"] != "subscribe":
            if time.monotonic() > end:
                raise OSError("Redis does not confirm a subscription")
        self._note(_ANY)  # earlier messages were missed
        return pubsub

    def _unsubscribe(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            pubsub.close()

    def _note(self, name: str) -> None:
        self._marks.pop(name, None)
        self._marks[name] = self._changes.count + 1
        if len(self._marks) > _MAX_MARKS:
            del self._marks[next(iter(self._marks))]
        self._changes.count += 1


def _key(name: str) -> bytes:
    """Encode a name for Redis. A lone surrogate, which an id in JSON can contain, is preserved."""
    return name.encode(errors="surrogatepass")


def _name(key: bytes) -> str:
    return key.decode(errors="surrogatepass")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _rows(items: Sequence[Item]) -> list[bytes]:
    """Return the key and the JSON of each item of a conversation. The key of an item without an id is empty."""
    return [value for item in items for value in (_key("\0".join(item_key(item) or ("",))), dumps(item))]


def _triples(events: Sequence[WireEvent]) -> list[bytes | str]:
    """Return the stream number, type and data of each event. Stream numbers start at 1."""
    return [value for event in events for value in (str(event.sequence_number + 1), _key(event.type), event.data)]


_LIMITER: Final = RunVar[anyio.CapacityLimiter]("responses_proto.server.stores._redis")
