"""Stores: the contract that both fulfil, the limits of the one in memory, and the file of the one on disk."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest
from tests.support import both_loops, run

from responses_proto import CreateResponse
from responses_proto.codec import dumps
from responses_proto.exceptions import APIError, UsageError
from responses_proto.models.config import ConversationReference
from responses_proto.models.conversations import Conversation
from responses_proto.models.items import FunctionCallOutput, Item, Message, UnknownItem
from responses_proto.protocol import Emitter, initial_response
from responses_proto.protocol._requests import id_of
from responses_proto.server import MemoryStore, SQLiteStore, Store, StoredResponse, WireEvent, wire_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

both_stores = pytest.mark.parametrize("kind", ["memory", "sqlite"])


def made(kind: str, path: Path) -> Store:
    return MemoryStore() if kind == "memory" else SQLiteStore(path / "store.db")


def message(name: str, text: str = "x") -> Message:
    return Message(id=name, role="user", content=text)


def stored(name: str, *, text: str = "x", conversation: str | None = None) -> StoredResponse:
    request = CreateResponse(
        model="m", input=text, conversation=ConversationReference(id=conversation) if conversation else None
    )
    return StoredResponse(response=initial_response(request, now=1, id=name), input=[message(f"in_{name}", text)])


def event(number: int, data: bytes = b"{}") -> WireEvent:
    return WireEvent(number, "response.output_text.delta", data)


def used(backend: str, kind: str, path: Path, use: Callable[[Store], Awaitable[None]]) -> None:
    """Use a store, and close it."""

    async def main() -> None:
        store = made(kind, path)
        await use(store)
        await store.aclose()
        await store.aclose()

    run(backend, main)


# ---- the contract


@both_loops
@both_stores
def test_responses(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        assert await store.find("resp_1") is None
        first = stored("resp_1", text="a lone surrogate: \ud800, and a nought: \0")
        await store.save(first)
        assert await store.find("resp_1") == first
        odd: list[Item] = [UnknownItem(type="acme:x", raw={"type": "acme:x", "id": "i", "more": [None]})]
        changed = StoredResponse(response=first.response, input=odd, history=[message("before")])
        await store.save(changed)
        assert await store.find("resp_1") == changed
        assert await store.find("resp_2") is None
        assert await store.delete("resp_1")
        assert not await store.delete("resp_1")
        assert await store.find("resp_1") is None

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_events(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        await store.save(stored("resp_1"), events=[event(0, b'{"a":0}')])
        await store.save(stored("resp_2"))
        await store.add_events("resp_1", [event(2), event(1)])
        await store.add_events("resp_2", [event(0)])
        await store.save(stored("resp_1"), events=[event(0, b"another"), event(3)])  # the first event of a number stays
        assert await store.events("resp_1") == [event(0, b'{"a":0}'), event(1), event(2), event(3)]
        assert await store.events("resp_3") == []
        await store.delete("resp_1")
        assert await store.events("resp_1") == []
        assert await store.events("resp_2") == [event(0)]

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_items_of_responses(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        await store.save(stored("resp_1", text="one"))
        await store.save(stored("resp_2", text="two"))
        assert await store.find_item("in_resp_1") == message("in_resp_1", "one")
        assert await store.find_item("nowhere") is None
        await store.save(StoredResponse(response=stored("resp_1").response, input=[message("other")]))
        assert await store.find_item("in_resp_1") is None
        await store.delete("resp_2")
        assert await store.find_item("in_resp_2") is None

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_conversations(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        first = Conversation(id="conv_1", created_at=1, metadata={"a": "b"})
        assert await store.find_conversation("conv_1") is None
        assert not await store.add_items("conv_1", [message("m")])
        assert not await store.delete_conversation("conv_1")
        await store.save_conversation(first)
        await store.save_conversation(Conversation(id="conv_2", created_at=2, metadata=None))
        assert await store.find_conversation("conv_1") == first
        assert await store.add_items("conv_1", [message("one"), message("two")])
        assert await store.add_items("conv_1", [message("three")])
        assert await store.items("conv_1") == [message("one"), message("two"), message("three")]
        assert await store.items("conv_2") == []
        assert await store.delete_item("conv_1", "two")
        assert not await store.delete_item("conv_1", "two")
        assert not await store.delete_item("conv_2", "one")
        changed = Conversation(id="conv_1", created_at=1, metadata={})
        await store.save_conversation(changed)
        assert await store.find_conversation("conv_1") == changed
        assert await store.items("conv_1") == [message("one"), message("three")]
        assert await store.delete_conversation("conv_1")
        assert await store.find_conversation("conv_1") is None
        assert await store.items("conv_1") == []

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_save_appends_to_the_conversation(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        await store.save_conversation(Conversation(id="conv_1", created_at=1, metadata={}))
        items = [message("one"), message("two")]
        await store.save(stored("resp_1", conversation="conv_1"), conversation_items=items)
        assert await store.items("conv_1") == items
        await store.save(stored("resp_2", conversation="conv_2"), conversation_items=items)
        assert await store.find("resp_2") is not None
        assert await store.items("conv_2") == []

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_many_tasks_at_a_time(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        async def one(number: int) -> None:
            await store.save(stored(f"resp_{number}"), events=[event(0)])
            await store.add_events(f"resp_{number}", [event(1)])
            assert await store.find(f"resp_{number}") == stored(f"resp_{number}")
            assert await store.events(f"resp_{number}") == [event(0), event(1)]
            assert await store.delete(f"resp_{number}") is (number % 2 == 0) or number % 2

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(one, number)
        assert await store.find("resp_7") is None

    used(backend, kind, tmp_path, use)


def test_events_are_encoded_with_their_number() -> None:
    emitter = Emitter(CreateResponse(model="m", input="x"), now=1)
    first, second = [wire_event(event) for event in emitter.start()]
    assert (first.sequence_number, first.type) == (0, "response.created")
    assert second.sequence_number == 1
    assert b'"sequence_number":1' in second.data


@both_loops
@both_stores
def test_events_in_pieces(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        events = [event(number, b"x" * 10) for number in range(25)]
        await store.save(stored("resp_1"), events=events)
        assert await store.events("resp_1", after=20) == events[21:]
        assert await store.events("resp_1", after=24) == []
        found: list[WireEvent] = []
        while piece := await store.events("resp_1", after=len(found) - 1, max_bytes=35):
            assert len(piece) == 4 or found[20:]
            found += piece
        assert found == events
        assert await store.events("resp_1", max_bytes=1) == events[:1]

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_an_item_belongs_to_the_first_response_that_has_it(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        for number, text in enumerate(["first", "forged", "third"]):
            await store.save(attrs.evolve(stored(f"resp_{number}"), input=[message("other"), message("shared", text)]))
        await store.save(attrs.evolve(stored("resp_0"), input=[message("shared", "first")]))  # again
        for number, text in enumerate(["first", "forged", "third"]):
            assert await store.find_item("shared") == message("shared", text)
            await store.delete(f"resp_{number}")
        assert await store.find_item("shared") is None

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_a_chain_of_responses(backend: str, kind: str, tmp_path: Path) -> None:
    def link(name: str, previous: str | None, **more: Any) -> StoredResponse:
        one = stored(name, text=name, **more)
        return attrs.evolve(one, response=attrs.evolve(one.response, previous_response_id=previous))

    async def use(store: Store) -> None:
        for number in range(1, 50):
            await store.save(link(f"resp_{number}", f"resp_{number - 1}" if number > 1 else None))
        chain = await store.chain("resp_49")
        assert [one.id for one in chain] == [f"resp_{number}" for number in range(49, 0, -1)]
        assert [one.items for one in chain[:2]] == [[message(f"in_{one.id}", one.id)] for one in chain[:2]]
        assert (chain[-1].ends_chain, chain[0].ends_chain) == (True, False)
        assert await store.chain("resp_0") == []
        await store.delete("resp_20")
        assert [one.id for one in await store.chain("resp_22")] == ["resp_22", "resp_21"]
        # A response in a conversation ends the chain, and so does one with its history.
        await store.save(link("in_one", "resp_1", conversation="conv_1"))
        await store.save(link("after_it", "in_one"))
        assert [(one.id, one.conversation_id) for one in await store.chain("after_it")] == [
            ("after_it", None),
            ("in_one", "conv_1"),
        ]
        await store.save(attrs.evolve(link("whole", "resp_1"), history=[message("before")]))
        (whole,) = await store.chain("whole")
        assert whole.history == [message("before")]
        # An upstream can repeat an id. A chain that comes back to itself ends.
        await store.save(link("resp_1", "resp_3"))
        assert [one.id for one in await store.chain("resp_3")] == ["resp_3", "resp_2", "resp_1"]
        await store.save(link("resp_1", "resp_1"))
        assert [one.id for one in await store.chain("resp_1")] == ["resp_1"]

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_a_conversation_has_an_item_once(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        await store.save_conversation(Conversation(id="conv_1", created_at=1, metadata={}))
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(store.add_items, "conv_1", [message("same", f"from {number}"), message("same")])
        assert [id_of(item) for item in await store.items("conv_1")] == ["same"]
        response = stored("resp_1", conversation="conv_1")
        await store.save(response, conversation_items=[message("same", "again"), message("new")])
        # Another type may have the same id, and items without ids are all different.
        output = FunctionCallOutput(id="same", call_id="c", output="x")
        unnamed = Message(role="user", content="x")
        assert await store.add_items("conv_1", [output, unnamed, unnamed, output])
        kept = await store.items("conv_1")
        assert [id_of(item) for item in kept] == ["same", "new", "same", "", ""]
        assert await store.delete_item("conv_1", "new")
        assert await store.add_items("conv_1", [message("new", "back")])
        assert (await store.items("conv_1"))[-1] == message("new", "back")

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
@pytest.mark.parametrize("odd", ["\ud800", "resp_\udfff_1", "a\0b", "ä", "'; DROP TABLE responses; --", ""])
def test_odd_ids_are_as_good_as_others(backend: str, kind: str, odd: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        assert await store.find(odd) is None
        assert await store.find_item(odd) is None
        assert await store.find_conversation(odd) is None
        assert (await store.events(odd), await store.items(odd), await store.chain(odd)) == ([], [], [])
        assert not await store.delete(odd)
        assert not await store.delete_conversation(odd)
        assert not await store.delete_item(odd, odd)
        assert not await store.add_items(odd, [message("m")])
        await store.save(attrs.evolve(stored("resp_1"), input=[message(odd or "m")]))
        await store.save_conversation(Conversation(id="conv_1", created_at=1, metadata={}))
        assert await store.add_items("conv_1", [message(odd)])
        assert await store.items("conv_1") == [message(odd)]
        assert await store.find_item(odd or "m") == message(odd or "m")
        name = odd or "resp_2"
        await store.save(stored(name), events=[WireEvent(0, "t", b"{}")])
        await store.add_events(name, [WireEvent(1, odd, b"{}")])
        assert await store.find(name) == stored(name)
        assert [event.sequence_number for event in await store.events(name)] == [0, 1]
        following = attrs.evolve(stored("resp_3").response, previous_response_id=name)
        await store.save(attrs.evolve(stored("resp_3"), response=following))
        assert [link.id for link in await store.chain("resp_3")] == ["resp_3", name]
        await store.save_conversation(Conversation(id=odd, created_at=1, metadata={}))
        assert await store.add_items(odd, [message("m")])
        assert await store.items(odd) == [message("m")]
        assert await store.delete_conversation(odd)

    used(backend, kind, tmp_path, use)


@both_loops
@both_stores
def test_large_responses_leave_the_event_loop_free(backend: str, kind: str, tmp_path: Path) -> None:
    async def use(store: Store) -> None:
        many: list[Item] = [message(f"m_{number}", "x" * 50) for number in range(20_000)]
        ticks = saved = 0
        found: StoredResponse | None = None

        async def tick() -> None:
            nonlocal ticks
            while True:
                await anyio.sleep(0.001)
                ticks += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            await store.save(attrs.evolve(stored("resp_1"), input=many))
            saved, ticks = ticks, 0
            found = await store.find("resp_1")
            tasks.cancel_scope.cancel()
        assert found is not None
        assert found.input == many
        assert saved
        assert ticks

    used(backend, kind, tmp_path, use)


# ---- in memory


@both_loops
@pytest.mark.parametrize("count", [1, 40])
def test_conversations_count_as_responses_do(backend: str, count: int) -> None:
    async def main() -> None:
        store = MemoryStore(max_bytes=100_000)
        refusals = 0
        for number in range(200):
            name = f"conv_{number % count}"
            if await store.find_conversation(name) is None:
                await store.save_conversation(Conversation(id=name, created_at=1, metadata={}))
            try:
                assert await store.add_items(name, [message(f"m_{number}", "x" * 10_000)])
            except APIError as error:
                refusals += (error.status, error.code) == (507, "conversation_full")
        kept = [await store.items(f"conv_{number}") for number in range(count)]
        assert 5 <= sum(map(len, kept)) <= 10
        assert (refusals >= 190) == (count == 1)
        # A conversation that is full does not keep responses out.
        await store.save(stored("resp_1", text="x" * 10_000))
        assert await store.find("resp_1") is not None
        await store.save(stored("resp_2", text="x" * 90_000))
        assert [await store.items(f"conv_{number}") for number in range(count)] == [[]] * count

    run(backend, main)


@both_loops
def test_the_oldest_are_dropped_first(backend: str) -> None:
    async def main() -> None:
        store = MemoryStore(max_responses=2)
        for name in ("resp_1", "resp_2", "resp_1", "resp_3"):
            await store.save(stored(name))
        assert [await store.find(f"resp_{number}") is not None for number in (1, 2, 3)] == [False, True, True]
        assert await store.find_item("in_resp_1") is None
        await store.add_events("resp_1", [event(0)])  # it has been dropped
        assert await store.events("resp_1") == []
        for name in ("conv_1", "conv_2", "conv_3"):
            await store.save_conversation(Conversation(id=name, created_at=1, metadata={}))
        assert await store.find_conversation("conv_1") is None
        assert await store.find_conversation("conv_3") is not None

    run(backend, main)


@both_loops
def test_size_counts_with_input_and_events(backend: str) -> None:
    async def main() -> None:
        store = MemoryStore(max_bytes=20_000)
        await store.save(stored("resp_1", text="x" * 8000))
        await store.save(stored("resp_2"))
        await store.add_events("resp_2", [event(0, b"x" * 8000)])
        assert await store.find("resp_1") is not None
        await store.save(stored("resp_3"), events=[event(0, b"x" * 4000)])
        assert [await store.find(f"resp_{number}") is not None for number in (1, 2, 3)] == [False, True, True]
        await store.save(stored("resp_4", text="x" * 30_000))  # the newest is kept even if it is too large
        assert [await store.find(f"resp_{number}") is not None for number in (2, 3, 4)] == [False, False, True]
        await store.delete("resp_4")
        await store.save(stored("resp_5", text="x" * 8000))
        await store.save(stored("resp_6", text="x" * 8000))
        assert await store.find("resp_5") is not None

    run(backend, main)


@both_loops
def test_the_caller_may_change_what_it_has_saved(backend: str) -> None:
    async def main() -> None:
        store = MemoryStore()
        kept = stored("resp_1")
        await store.save(kept)
        kept.input.clear()
        found = await store.find("resp_1")
        assert found
        assert len(found.input) == 1

    run(backend, main)


@pytest.mark.parametrize("limits", [{"max_responses": 0}, {"max_bytes": -1}])
def test_limits_below_1_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be at least 1, got"):
        MemoryStore(**limits)


# ---- in a file


@both_loops
def test_a_file_outlives_the_store(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SQLiteStore(str(path))

    async def write() -> None:
        await store.save(stored("resp_1"), events=[event(0)])
        await store.save_conversation(Conversation(id="conv_1", created_at=1, metadata={}))
        await store.add_items("conv_1", [message("one")])

    async def read(store: Store) -> None:
        assert await store.find("resp_1") == stored("resp_1")
        assert await store.events("resp_1") == [event(0)]
        assert await store.items("conv_1") == [message("one")]
        await store.aclose()

    async def both() -> None:
        with pytest.raises(UsageError, match="in use by another server"):
            SQLiteStore(path)
        await read(store)
        await read(store)  # a closed store opens again

    run(backend, write)  # another event loop each time
    run(backend, both)
    assert [left.name for left in tmp_path.iterdir()] == ["store.db"]


@both_loops
def test_what_is_saved_is_in_the_file_before_the_store_is_closed(backend: str, tmp_path: Path) -> None:
    def copied() -> SQLiteStore:
        (tmp_path / "copy").mkdir()
        for file in tmp_path.glob("store.db*"):
            shutil.copy(file, tmp_path / "copy")
        return SQLiteStore(tmp_path / "copy" / "store.db")

    async def main() -> None:
        store = SQLiteStore(tmp_path / "store.db")
        await store.save(stored("resp_1"))
        await store.add_events("resp_1", [event(0)])
        copy = copied()
        assert await copy.find("resp_1") == stored("resp_1")
        assert await copy.events("resp_1") == [event(0)]
        await copy.aclose()
        await store.aclose()

    run(backend, main)


@both_loops
def test_saving_is_all_or_nothing(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        store = SQLiteStore(tmp_path / "store.db")
        await store.save(stored("resp_1", text="before"))
        with pytest.raises(OverflowError):
            await store.save(stored("resp_1", text="after"), events=[event(1), event(2**70)])
        assert await store.find("resp_1") == stored("resp_1", text="before")
        assert await store.events("resp_1") == []
        await store.save(stored("resp_1", text="after"))
        assert await store.find("resp_1") == stored("resp_1", text="after")
        await store.aclose()

    run(backend, main)


def test_other_files_are_refused_and_not_changed(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to look like one" * 100)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    newer = tmp_path / "newer.db"
    run("asyncio", SQLiteStore(newer).aclose)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for path, message in [
        (text, "not a database"),
        (other, "is not a responses_proto store: choose another file"),
        (newer, "version 99, expected 3"),
        (tmp_path, "unable to open"),
        (tmp_path / "nowhere" / "store.db", "unable to open"),
    ]:
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(UsageError, match=message) as refused:
            SQLiteStore(path)
        assert str(path) in str(refused.value)
        assert (path.read_bytes() if path.is_file() else b"") == before


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    run("asyncio", SQLiteStore(path).aclose)
    assert path.stat().st_size > 0


@both_loops
def test_a_store_that_nobody_closes_closes_its_file(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        store = SQLiteStore(tmp_path / "store.db")
        await store.save(stored("resp_1"))

    run(backend, main)
    # Python 3.13 warns about a connection that is collected while it is open. SQLite removes its other files on closing.
    deadline = time.monotonic() + 10
    while [left.name for left in tmp_path.iterdir()] != ["store.db"]:
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)  # the worker thread may hold its last job, and so the store, a moment longer


@both_loops
def test_reading_does_not_wait_for_writers_elsewhere(backend: str, tmp_path: Path) -> None:
    async def main() -> None:
        store = SQLiteStore(tmp_path / "store.db")
        await store.save(stored("resp_1"), events=[event(0)])
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        written = 0

        async def write(number: int) -> None:
            nonlocal written
            await store.save(stored(f"resp_{number}"))
            written += 1

        async with anyio.create_task_group() as tasks:
            for number in range(50):  # more than there are threads
                tasks.start_soon(write, number)
            await anyio.sleep(0.05)
            assert await store.find("resp_1") == stored("resp_1")
            assert await store.events("resp_1") == [event(0)]
            assert await store.chain("resp_1")
            assert written == 0
            other.execute("ROLLBACK")
        assert written == 50
        other.close()
        await store.aclose()

    run(backend, main)


@pytest.mark.skipif(os.name != "posix", reason="the modes of files are those of Unix")
def test_new_files_are_for_their_owner_only(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "store.db"
        store = SQLiteStore(path)
        await store.save(stored("resp_1"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in os.scandir(tmp_path)}
        assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600, "store.db-lock": 0o600}
        await store.aclose()
        path.chmod(0o640)  # the owner's decision
        await SQLiteStore(path).aclose()
        assert path.stat().st_mode & 0o777 == 0o640

    run("asyncio", main)


VERSION_1 = """
    CREATE TABLE responses (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        response_id TEXT NOT NULL, number INTEGER NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (response_id, number)
    ) WITHOUT ROWID;
    CREATE TABLE item_homes (item_id TEXT PRIMARY KEY, response_id TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX item_homes_of_response ON item_homes (response_id);
    CREATE TABLE conversations (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE conversation_items (
        place INTEGER PRIMARY KEY AUTOINCREMENT, conversation_id TEXT NOT NULL, item_id TEXT NOT NULL, item TEXT NOT NULL
    );
    CREATE INDEX items_of_conversation ON conversation_items (conversation_id, place);
    PRAGMA user_version = 1;
    PRAGMA application_id = 0x52505354;
"""


def test_a_file_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
        record = dumps({"response": stored("resp_1").response, "input": [message("in_resp_1")], "history": None})
        connection.execute("INSERT INTO responses VALUES ('resp_1', ?)", (record.decode(),))
        connection.execute("INSERT INTO item_homes VALUES ('in_resp_1', 'resp_1')")
    connection.close()

    async def main() -> None:
        for _ in range(2):
            store = SQLiteStore(path)
            assert await store.find("resp_1") == stored("resp_1")
            assert await store.find_item("in_resp_1") == message("in_resp_1")
            await store.save(stored("resp_2"))
            await store.aclose()

    run("asyncio", main)
