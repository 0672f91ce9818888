"""Tenants: what is stored for one identity does not exist for another, whatever the store does with ids."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Client, body
from tests.sockets import Talk
from tests.streams import saying
from tests.support import both_loops, run

from responses_proto.codec import dump, dumps, load
from responses_proto.exceptions import UsageError
from responses_proto.models import Item, Message, Response
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, ResponsesApp, SQLiteStore, StoredResponse, WireEvent
from responses_proto.server._tenants import SharedTenantStore, TenantStore, prefix_of, tenant_store

if TYPE_CHECKING:
    from pathlib import Path

    from responses_proto import CreateResponse
    from responses_proto.server import Reply, Store

KEYS = {"key-a": "alice", "key-a2": "alice", "key-b": "bob"}
both_stores = pytest.mark.parametrize("kind", ["memory", "sqlite"])


def store_of(kind: str, path: Path) -> Store:
    return MemoryStore() if kind == "memory" else SQLiteStore(path / "store.db")


class Caller:
    """The raw client of one key."""

    def __init__(self, app: ResponsesApp, key: str) -> None:
        self.app = app
        self.headers = {"authorization": f"Bearer {key}"}

    async def post(self, path: str, *, key: str = "", **fields: Any) -> Client:
        content = body(**fields) if path == "/responses" else json.dumps(fields).encode()
        headers = {**self.headers, **({"idempotency-key": key} if key else {})}
        return await Client(self.app).request(content, path=f"/v1{path}", headers=headers)

    async def ask(self, method: str, path: str) -> Client:
        return await Client(self.app).request(method=method, path=f"/v1{path}", headers=self.headers)


@both_loops
@both_stores
def test_each_identity_sees_its_own_and_nothing_else(backend: str, kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with ResponsesApp(Scripted(), keys=KEYS, tenants=True, store=store_of(kind, tmp_path)) as app:
            alice, same, bob = (Caller(app, key) for key in KEYS)
            streamed = (await alice.post("/responses", stream=True)).content
            assert streamed
            made = (await alice.post("/responses")).json
            kept = (await alice.post("/responses", background=True, input="wait")).json
            spoken = (await alice.post("/conversations", items=[{"role": "user", "content": "x"}])).json["id"]
            item = (await alice.ask("GET", f"/conversations/{spoken}/items")).json["data"][0]["id"]
            paths = [
                ("GET", f"/responses/{made['id']}"),
                ("GET", f"/responses/{made['id']}?stream=true"),
                ("GET", f"/responses/{made['id']}/input_items"),
                ("POST", f"/responses/{kept['id']}/cancel"),
                ("GET", f"/conversations/{spoken}"),
                ("GET", f"/conversations/{spoken}/items"),
                ("GET", f"/conversations/{spoken}/items/{item}"),
                ("DELETE", f"/conversations/{spoken}/items/{item}"),
                ("DELETE", f"/conversations/{spoken}"),
                ("DELETE", f"/responses/{made['id']}"),
            ]
            unknown = [(method, re.sub("(resp|conv|msg)_", r"\1_0", path)) for method, path in paths]
            for (method, path), (_, missing) in zip(paths, unknown, strict=True):
                refused, never = await bob.ask(method, path), await bob.ask(method, missing)
                assert refused.status == never.status == 404, path
                # Nothing tells an id of another's from one that was never given.
                assert refused.error["code"] == never.error["code"]
            continuing: list[dict[str, Any]] = [
                {"previous_response_id": made["id"]},
                {"conversation": spoken},
                {"input": [{"type": "item_reference", "id": made["output"][0]["id"]}]},
            ]
            for fields in continuing:
                assert (await bob.post("/responses", **fields)).status in (400, 404)
                assert (await same.post("/responses", **fields)).status == 200
            assert (
                await bob.post(f"/conversations/{spoken}/items", items=[{"role": "user", "content": "y"}])
            ).status == 404
            for method, path in paths:
                assert (await same.ask(method, path)).status == 200, path

    run(backend, main)


@both_loops
@both_stores
def test_two_identities_can_use_the_same_ids(backend: str, kind: str, tmp_path: Path) -> None:
    """So nobody can take an id away from another, or give what another refers to another content."""

    async def main() -> None:
        async with ResponsesApp(Scripted(), keys=KEYS, tenants=True, store=store_of(kind, tmp_path)) as app:
            alice, _, bob = (Caller(app, key) for key in KEYS)
            for who, text in (alice, "of alice"), (bob, "of bob"):
                said = [{"type": "message", "role": "user", "id": "msg_same", "content": text}]
                assert (await who.post("/responses", input=said)).status == 200
            for who, text in (alice, "of alice"), (bob, "of bob"):
                referring = [{"type": "item_reference", "id": "msg_same"}]
                response = (await who.post("/responses", input=referring)).json
                listed = (await who.ask("GET", f"/responses/{response['id']}/input_items")).json["data"]
                assert [(one["id"], one["content"][0]["text"]) for one in listed] == [("msg_same", text)]

    run(backend, main)


@both_loops
def test_histories_follow_the_identity_and_so_does_a_websocket(backend: str) -> None:
    async def echo(_request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            await message.text(" | ".join(getattr(item, "text", item.type) for item in reply.context))

    def text_of(response: dict[str, Any]) -> str:
        return str(response["output"][0]["content"][0]["text"])

    async def main() -> None:
        async with ResponsesApp(echo, keys=KEYS, tenants=True) as app:
            alice, same, bob = (Caller(app, key) for key in KEYS)
            one = (await alice.post("/responses", input="one")).json
            two = (await same.post("/responses", input="two", previous_response_id=one["id"])).json
            assert text_of(two) == "one | one | two"
            assert two["previous_response_id"] == one["id"]
            async with Talk(app, headers=alice.headers) as talk:
                end = await talk.ask("three", previous_response_id=two["id"])
                assert text_of(end["response"]) == "one | one | two | one | one | two | three"
                assert (await same.ask("GET", f"/responses/{end['response']['id']}")).status == 200
            async with Talk(app, headers=bob.headers) as talk:
                end = await talk.ask("three", previous_response_id=two["id"])
                assert (end["type"], end["error"]["code"]) == ("error", "previous_response_not_found")

    run(backend, main)


@both_loops
def test_idempotency_keys_are_those_of_one_key(backend: str) -> None:
    async def main() -> None:
        async with ResponsesApp(Scripted(), keys=KEYS, tenants=True) as app:
            alice, _, bob = (Caller(app, key) for key in KEYS)
            ids = [(await who.post("/responses", key="k")).json["id"] for who in (alice, alice, bob, bob)]
            assert ids[0] == ids[1] != ids[2] == ids[3]
            assert (await bob.ask("GET", f"/responses/{ids[0]}")).status == 404

    run(backend, main)


@both_loops
def test_running_responses_are_apart_too_and_count_together(backend: str) -> None:
    proceed = anyio.Event()

    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        await proceed.wait()

    async def main() -> None:
        async with ResponsesApp(handler, keys=KEYS, tenants=True, max_background=2) as app:
            alice, same, bob = (Caller(app, key) for key in KEYS)
            made = (await alice.post("/responses", background=True)).json
            follower = Client(app)
            async with anyio.create_task_group() as tasks:
                path = f"/v1/responses/{made['id']}?stream=true"
                tasks.start_soon(functools.partial(follower.request, method="GET", path=path, headers=same.headers))
                await follower.until(b"response.queued")
                for method, path in ("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", ""):
                    assert (await bob.ask(method, f"/responses/{made['id']}{path}")).status == 404
                assert (await bob.post("/responses", background=True)).status == 200
                assert (await bob.post("/responses", background=True)).status == 429
                assert (await same.ask("POST", f"/responses/{made['id']}/cancel")).json["status"] == "cancelled"
                await follower.until(b"[DONE]")

    run(backend, main)


@both_loops
def test_servers_that_share_a_store_keep_identities_apart_too(backend: str, tmp_path: Path) -> None:
    proceed = anyio.Event()

    async def handler(_request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            await message.text("Hello")
            await proceed.wait()

    def server() -> ResponsesApp:
        store = SQLiteStore(tmp_path / "store.db", shared=True, lease=1.0)
        return ResponsesApp(handler, store=store, keys=KEYS, tenants=True)

    async def main() -> None:
        async with server() as one, server() as other:
            made = (await Caller(one, "key-a").post("/responses", background=True)).json
            path, headers = f"/v1/responses/{made['id']}", {"authorization": "Bearer key-a2"}
            follower = Client(other)
            async with anyio.create_task_group() as tasks:
                follow = functools.partial(follower.request, method="GET", path=f"{path}?stream=true", headers=headers)
                tasks.start_soon(follow)
                await follower.until(b"Hello")
                for app in one, other:
                    for method, rest in ("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", ""):
                        assert (await Caller(app, "key-b").ask(method, f"/responses/{made['id']}{rest}")).status == 404
                cancelled = (await Caller(other, "key-a2").ask("POST", f"/responses/{made['id']}/cancel")).json
                assert (cancelled["id"], cancelled["status"]) == (made["id"], "cancelled")
                await follower.until(b"[DONE]")
            assert b"t-" not in follower.content

            deleted = (await Caller(one, "key-a").post("/responses", background=True)).json
            assert (await Caller(other, "key-a").ask("DELETE", f"/responses/{deleted['id']}")).status == 200
            assert (await Caller(one, "key-a").ask("GET", f"/responses/{deleted['id']}")).status == 404

    run(backend, main)


@both_loops
def test_a_response_of_a_dead_server_is_ended_for_its_tenant(backend: str, tmp_path: Path) -> None:
    async def handler(_request: CreateResponse, _reply: Reply) -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        store = SQLiteStore(tmp_path / "store.db", shared=True, lease=1.0)
        queued = load({"id": "resp_1", "status": "queued", "background": True}, Response)
        ours = tenant_store(store, prefix_of("alice"))
        assert isinstance(ours, SharedTenantStore)
        event = WireEvent(
            0, "response.queued", dumps({"type": "response.queued", "sequence_number": 0, "response": dump(queued)})
        )
        await ours.begin(StoredResponse(response=queued, input=[]), owner="dead", seconds=0.3)
        assert await ours.add_events_leased("resp_1", [event], owner="dead")
        async with ResponsesApp(handler, store=store, keys=KEYS, tenants=True) as app:
            while not await store.events(f"{prefix_of('alice')}resp_1", after=0):  # noqa: ASYNC110 - nothing else tells
                await anyio.sleep(0.05)
            found = (await Caller(app, "key-a").ask("GET", "/responses/resp_1")).json
            assert (found["id"], found["status"]) == ("resp_1", "failed")
            told = await Caller(app, "key-a2").ask("GET", "/responses/resp_1?stream=true")
            assert b'"sequence_number":2' in told.content
            assert b"t-" not in told.content
            assert (await Caller(app, "key-b").ask("GET", "/responses/resp_1")).status == 404

    run(backend, main)


@pytest.mark.parametrize("history", [None, [], ["m0"]])
@pytest.mark.parametrize("about", [{}, {"previous_response_id": "r0"}, {"conversation": {"id": "c"}}])
def test_what_is_stored_comes_back_as_it_was(about: dict[str, Any], history: list[str] | None) -> None:
    items: list[Any] = [
        {"type": "message", "role": "user", "id": "m1", "content": "x"},
        {"type": "message", "role": "user", "content": "no id"},
        {"type": "acme:thing", "id": "t1", "deep": {"id": "inner"}},
        {"type": "acme:thing"},
        {"type": "local_shell_call_output", "id": "call_1", "output": "x"},
    ]
    stored = StoredResponse(
        response=load(saying("hello", vendor={"id": "v"}, **about), Response),
        input=load(items, list[Item]),
        history=None if history is None else [Message(role="user", id=id_, content="x") for id_ in history],
    )

    async def main() -> None:
        behind = MemoryStore()
        store = TenantStore(behind, "alice")
        await store.save(stored)
        assert await store.find(stored.response.id) == stored
        for other in TenantStore(behind, "bob"), behind:
            assert await other.find(stored.response.id) is None
            assert await other.find_item("m1") is None
            assert await other.chain(stored.response.id) == []
        (link,) = await store.chain(stored.response.id)
        assert (link.id, link.items, link.history) == (stored.response.id, stored.items, stored.history)
        assert (link.previous_response_id or "") == about.get("previous_response_id", "")
        assert link.conversation_id == about.get("conversation", {}).get("id")
        assert await store.find_item("t1") == stored.input[2]
        assert await store.delete(stored.response.id)
        assert await store.find(stored.response.id) is None

    run("asyncio", main)


def test_tenants_need_keys() -> None:
    with pytest.raises(UsageError, match="keys"):
        ResponsesApp(Scripted(), tenants=True)
