"""Gateways: an upstream's responses are handed on without loss, over each way that a client can ask."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.asgi import Client, body
from tests.corpus import frames
from tests.sockets import Talk, eventually
from tests.streams import TEXT, Wire, ending, message_events, numbered, opening, plain, saying
from tests.support import NO_SHARED, both_loops, run, shared

from responses_proto import Limits, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.exceptions import APIError, LocalProtocolError
from responses_proto.models import OutputItemDone, OutputTextDelta
from responses_proto.server import MemoryStore, ResponsesApp, SQLiteStore, relay
from responses_proto.testing import Answer, FakeServer, Script

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from responses_proto import CreateResponse
    from responses_proto.models import Event
    from responses_proto.server import Reply
    from responses_proto.testing import ServerExchange

KEY = "upstream-key-that-nobody-may-see"
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


# ---- what is recorded

RECORDED = [
    *sorted(shared("corpus", "streams").glob("*.sse")),
    *(path for path in sorted(shared("dialects").glob("*/*-stream.http")) if b" 200 " in path.read_bytes()[:16]),
]
REPAIRED = ("sequence_number", "output_index", "content_index", "summary_index", "item_id")


def recorded(path: Path) -> bytes:
    """Return the body of a recorded stream."""
    raw = path.read_bytes()
    return raw if path.suffix == ".sse" else raw.partition(b"\r\n\r\n")[2] or raw.partition(b"\n\n")[2]


def upstream_events(raw: bytes) -> list[bytes]:
    """Return what an upstream said, up to its terminal event. What is not JSON is no event."""
    events: list[bytes] = []
    for data in frames(raw):
        with contextlib.suppress(ValueError):
            value = json.loads(data)
            events.append(data)
            if value.get("type") in TERMINAL:
                break
    return events


def assert_same(got: Sequence[bytes], said: Sequence[bytes]) -> None:
    """Assert that events are those of the upstream, byte for byte, but for positions that were missing; then a terminal event."""
    assert len(got) >= len(said)
    for mine, theirs in zip(got, said, strict=False):
        if mine != theirs:
            sent, wire = json.loads(mine), json.loads(theirs)
            assert all(name not in wire or name == "sequence_number" for name in sent if sent[name] != wire.get(name))
            assert {**sent, **dict.fromkeys(REPAIRED)} == {**wire, **dict.fromkeys(REPAIRED)}
    assert json.loads(got[-1])["type"] in TERMINAL
    added = [json.loads(data)["type"] for data in got[len(said) :]]
    has_end = bool(said) and json.loads(said[-1]).get("type") in TERMINAL
    assert added in ([[]] if has_end else [["response.failed"], ["error", "response.failed"]])


@contextlib.asynccontextmanager
async def upstream(
    answer: Any, *, timeouts: Timeouts | None = None, limits: Limits | None = None
) -> AsyncGenerator[tuple[FakeServer, ResponsesClient]]:
    """Run a fake server, and yield it with a client of it that does not retry."""
    async with (
        FakeServer(answer, listen=False, check_requests=False) as server,
        ResponsesClient(
            server.url,
            KEY,
            http_client=server.transport,
            retry=RetryPolicy(attempts=1),
            timeouts=timeouts or Timeouts(),
            limits=limits or Limits(),
        ) as client,
    ):
        yield server, client


@contextlib.asynccontextmanager
async def gateway(answer: Any, **options: Any) -> AsyncGenerator[tuple[ResponsesApp, FakeServer]]:
    upstream_options = {name: options.pop(name) for name in ("timeouts", "limits") if name in options}
    relay_options = {name: options.pop(name) for name in ("models", "tap") if name in options}
    async with (
        upstream(answer, **upstream_options) as (server, client),
        ResponsesApp(relay(client, **relay_options), **options) as app,
    ):
        yield app, server


def websocket_scope(path: str) -> dict[str, Any]:
    return {"type": "websocket", "path": path, "headers": [], "query_string": b"", "root_path": ""}


class Talking(Talk):
    """A WebSocket whose messages are not held against the specification: what an upstream leaves out is not there."""

    async def _run(self) -> None:
        await self.app(websocket_scope(self.path), self._up[1].receive, self._take)
        self.over = True


async def tell(exchange: ServerExchange, events: Sequence[Wire]) -> None:
    """Send events of a stream."""
    for event in events:
        await exchange.send(b"data: " + json.dumps(event).encode() + b"\n\n")


async def get(app: ResponsesApp, path: str, method: str = "GET") -> Client:
    return await Client(app).request(method=method, path=f"/v1{path}")


async def hear_raw(app: ResponsesApp, **fields: Any) -> list[bytes]:
    """Create a response over a WebSocket, and return its events."""
    heard: list[bytes] = []
    inbox: list[Any] = [
        {"type": "websocket.connect"},
        {
            "type": "websocket.receive",
            "text": json.dumps({"type": "response.create", "model": "m", "input": "x", **fields}),
        },
    ]
    ended = anyio.Event()

    async def receive() -> Any:
        if not inbox:
            await ended.wait()
            return {"type": "websocket.disconnect", "code": 1000}
        return inbox.pop(0)

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        if message["type"] == "websocket.send":
            heard.append(message["text"].encode())
            if json.loads(heard[-1]).get("type") in TERMINAL:
                ended.set()

    await app(websocket_scope("/v1/responses"), receive, send)
    return heard


def id_of_stream(events: Sequence[bytes]) -> str:
    responses: list[Any] = [json.loads(data).get("response") for data in events]
    return next((str(response["id"]) for response in responses if response and response.get("id")), "")


@both_loops
@pytest.mark.parametrize(
    "path", RECORDED or [pytest.param(None, marks=pytest.mark.skip(reason=NO_SHARED))], ids=lambda p: p and p.name
)
def test_recorded_streams_are_handed_on_byte_for_byte(backend: str, path: Path) -> None:
    raw = recorded(path)
    said = upstream_events(raw)

    async def main() -> None:
        async with gateway(Answer.stream(raw)) as (app, _):
            over_http = await Client(app).request(body(stream=True))
            if not said:
                assert over_http.status == 502
                return
            got = [*frames(over_http.content)]
            assert_same(got, said)
            assert_same(await hear_raw(app), said)
            response_id = id_of_stream(said)
            if not response_id:
                return
            # What is stored is the end, and the whole log, which can be followed from any event on.
            stored = await get(app, f"/responses/{response_id}")
            end = json.loads(got[-1])["response"]
            assert stored.json["status"] == end["status"]
            assert len(stored.json["output"]) >= len(end["output"] or ())
            assert [*frames((await get(app, f"/responses/{response_id}?stream=true")).content)] == got
            numbers = [json.loads(data).get("sequence_number") for data in got]
            for cut in {0, len(got) // 2, len(got) - 1}:
                if numbers[cut] is not None and numbers.count(numbers[cut]) == 1:
                    rest = await get(app, f"/responses/{response_id}?stream=true&starting_after={numbers[cut]}")
                    assert [*frames(rest.content)] == got[cut + 1 :]

    run(backend, main)


@both_loops
@pytest.mark.parametrize(
    "path", RECORDED[::12] or [pytest.param(None, marks=pytest.mark.skip(reason=NO_SHARED))], ids=lambda p: p and p.name
)
def test_recorded_streams_in_the_background(backend: str, path: Path, tmp_path: Path) -> None:
    raw = recorded(path)
    said = upstream_events(raw)

    async def main() -> None:
        for store in MemoryStore(), SQLiteStore(tmp_path / "store.db"):
            async with gateway(Answer.stream(raw), store=store) as (app, server):
                created = await Client(app).request(body(background=True))
                response_id = created.json["id"]
                assert server.requests[0].json["background"] is True
                assert response_id == (id_of_stream(said) or response_id)
                assert_same([*frames((await get(app, f"/responses/{response_id}?stream=true")).content)], said)
                await eventually(lambda: not app.service.running)
                assert (await get(app, f"/responses/{response_id}")).json["status"] not in ("queued", "in_progress")

    run(backend, main)


# ---- what is unknown, and what is repaired

VENDOR: list[Wire] = [
    {"type": "response.created", "response": {"id": "resp_9", "object": "response", "status": "in_progress", "output": [], "vendor": {"a": 1.50}}},
    {"type": "acme:progress", "percent": 5},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "acme:search", "id": "as_1", "q": "x"}, "acme": True},
    {"type": "response.output_item.done", "output_index": 0, "item": {"type": "acme:search", "id": "as_1", "q": "x", "hits": [1]}},
    {"type": "response.completed", "response": {"id": "resp_9", "object": "response", "status": "completed", "output": [{"type": "acme:search", "id": "as_1", "q": "x", "hits": [1]}], "vendor": {"a": 1.50}}},
]  # fmt: skip


@both_loops
@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4], [0, None, 1, 2, 3], [3, None, 5, 9, 20], [0, 0, 1, 2, 3]])
def test_unknown_events_items_and_fields_survive_and_so_does_resuming(backend: str, numbers: list[int | None]) -> None:
    said = [
        json.dumps({**event, **({} if number is None else {"sequence_number": number})}, indent=1).encode()
        for event, number in zip(VENDOR, numbers, strict=True)
    ]
    raw = b"".join(b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n" for data in said)

    async def main() -> None:
        async with gateway(Answer.stream(raw)) as (app, _):
            got = await Client(app).request(body(stream=True))
            assert [*frames(got.content)] == said
            stored = await get(app, "/responses/resp_9")
            assert stored.json == VENDOR[-1]["response"]
            for cut, number in enumerate(numbers):
                if number is None:
                    continue
                rest = await get(app, f"/responses/resp_9?stream=true&starting_after={number}")
                # A number that an event without a place in the sequence repeats is one from which more is sent, and never less.
                assert [*frames(rest.content)] == said[numbers.index(number) + 1 :], cut
            last = [number for number in numbers if number is not None][-1]
            for beyond in last + 1, -1:
                refused = await get(app, f"/responses/resp_9?stream=true&starting_after={beyond}")
                assert (refused.status, refused.error["param"]) == (400, "starting_after")

    run(backend, main)


@both_loops
def test_what_is_not_an_event_is_left_out(backend: str) -> None:
    raw = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in numbered(plain()))
    noise = b'data: hello\n\ndata: [1]\n\ndata: {}\n\nevent: x\rdata: {"type": "a\\nb"}\r\r: comment\n\n'

    async def main() -> None:
        async with gateway(Answer.stream(noise + raw)) as (app, _):
            got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            assert got == [{"type": "a\nb"}, *numbered(plain())]
            assert [json.loads(data) for data in await hear_raw(app)] == got

    run(backend, main)


@both_loops
def test_bytes_that_are_not_utf8_are_mended(backend: str) -> None:
    events = numbered(plain(["caf\u00e9"]))
    raw = b"".join(b"data: " + json.dumps(event, ensure_ascii=False).encode("latin-1") + b"\n\n" for event in events)

    async def main() -> None:
        async with gateway(Answer.stream(raw)) as (app, _):
            for got in [*frames((await Client(app).request(body(stream=True))).content)], await hear_raw(app):
                assert [json.loads(data)["type"] for data in got] == [event["type"] for event in events]
                assert "caf\ufffd".encode() in b"".join(got)

    run(backend, main)


@both_loops
def test_a_response_whose_id_changes_is_found_by_both(backend: str) -> None:
    events = numbered(plain())
    events[-1]["response"]["id"] = "resp_late"

    async def main() -> None:
        async with gateway(Answer.events(events)) as (app, _):
            await Client(app).request(body(stream=True))
            for response_id in "resp_1", "resp_late":
                found = await get(app, f"/responses/{response_id}")
                assert (found.status, found.json["id"]) == (200, response_id)
                log = await get(app, f"/responses/{response_id}?stream=true")
                assert [json.loads(data) for data in frames(log.content)] == events

    run(backend, main)


@both_loops
def test_json_where_a_stream_was_asked_for_becomes_a_stream(backend: str) -> None:
    async def main() -> None:
        async with gateway(Answer.body(json.dumps(saying("hello")).encode(), content_type="application/json")) as (
            app,
            _,
        ):
            got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            assert [event["type"] for event in got][:3] == [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
            ]
            assert got[-1]["response"] == saying("hello")
            assert (await Client(app).request(body())).json == saying("hello")

    run(backend, main)


@both_loops
def test_an_upstream_that_answers_twice_with_the_same_response_is_taken_at_its_last_word(backend: str) -> None:
    answers = [Answer.events(numbered(plain(["one"]))), Answer.events(numbered(plain(["two", " words"])))]

    async def main() -> None:
        async with gateway(Script(*answers)) as (app, _):
            first = await Client(app).request(body(stream=True))
            second = await Client(app).request(body(stream=True))
            assert first.content != second.content
            assert (await get(app, "/responses/resp_1?stream=true")).content == second.content

    run(backend, main)


@both_loops
def test_a_response_that_runs_keeps_its_id_and_another_one_with_it_gets_a_new_one(backend: str) -> None:
    proceed = anyio.Event()

    async def slow(exchange: ServerExchange) -> None:
        await tell(exchange, numbered(opening()))
        await proceed.wait()
        await tell(exchange, numbered([*message_events(), ending([])], 2))

    async def main() -> None:
        async with (
            gateway(Script(slow, Answer.events(numbered(plain())))) as (app, _),
            anyio.create_task_group() as tasks,
        ):
            first = Client(app)
            tasks.start_soon(functools.partial(first.request, body(stream=True)))
            await first.until(b"response.in_progress")
            second = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            ids = {event["response"]["id"] for event in second if "response" in event}
            assert len(ids) == 1
            assert "resp_1" not in ids
            assert (await get(app, f"/responses/{ids.pop()}")).json["status"] == "completed"
            assert (await get(app, "/responses/resp_1")).json["status"] == "in_progress"
            proceed.set()

    run(backend, main)


# ---- taps and models


@both_loops
def test_taps_see_each_event_and_cannot_change_it(backend: str) -> None:
    seen: list[str] = []

    async def tap(event: Event, reply: Reply) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(event.type)
        assert reply.headers == {}
        wild: Any = event
        if isinstance(event, OutputItemDone):
            wild.item.content[0].text = "changed"
        if isinstance(event, OutputTextDelta):
            wild.delta = "changed"

    async def main() -> None:
        events = numbered(plain())
        async with gateway(Answer.events(events), tap=tap) as (app, _):
            got = await Client(app).request(body(stream=True))
            assert [json.loads(data) for data in frames(got.content)] == events
            assert seen == [event["type"] for event in events]
            assert "changed" not in (await get(app, "/responses/resp_1")).content.decode()

    run(backend, main)


@both_loops
def test_renamed_models(backend: str) -> None:
    async def main() -> None:
        events = numbered(plain())
        for event in events:
            event["model"] = "real-2026-01"  # as LiteLLM does
            if "response" in event:
                event["response"]["model"] = "real-2026-01"
        async with gateway(Answer.events(events), models={"fast": "real"}) as (app, server):
            got = await Client(app).request(body(stream=True, model="fast"))
            assert server.requests[0].json["model"] == "real"
            assert b"real" not in got.content
            expected = json.loads(json.dumps(events).replace("real-2026-01", "fast"))
            assert [json.loads(data) for data in frames(got.content)] == expected
            assert (await get(app, "/responses/resp_1")).json["model"] == "fast"
            got = await Client(app).request(body(stream=True, model="other"))
            assert server.requests[1].json["model"] == "other"
            assert [json.loads(data) for data in frames(got.content)] == events

    run(backend, main)


@both_loops
def test_a_client_for_each_request(backend: str) -> None:
    async def main() -> None:
        async with upstream("one") as (_, one), upstream("two") as (_, two):

            async def choose(request: CreateResponse, reply: Reply) -> ResponsesClient:
                await anyio.lowlevel.checkpoint()
                assert reply.headers["x-team"] == "blue"
                if request.model not in ("one", "two"):
                    raise APIError.for_status(404)("No such model.", status=404, code="model_not_found")
                return one if request.model == "one" else two

            app = ResponsesApp(relay(choose))
            for model in "one", "two":
                got = await Client(app).request(body(model=model), headers={"x-team": "blue"})
                assert got.json["output"][0]["content"][0]["text"] == model
            got = await Client(app).request(body(model="three"), headers={"x-team": "blue"})
            assert (got.status, got.error["code"]) == (404, "model_not_found")

    run(backend, main)


# ---- what the upstream is asked


@both_loops
def test_the_request_goes_on_as_it_came(backend: str) -> None:
    wire = {
        "model": "m",
        "input": [{"role": "user", "content": "hi", "cache": 1}, {"type": "acme:note", "x": [1.5]}],
        "top_kk": 5,
        "tools": [{"type": "acme:tool"}],
        "metadata": {"a": "b"},
    }

    async def main() -> None:
        async with gateway("ok", unknown_parameters="pass") as (app, server):
            assert (await Client(app).request(json.dumps(wire).encode())).status == 200
            assert server.requests[0].json == {**wire, "stream": True}
            assert (await Client(app).request(body(tempratur=1))).status == 200
            assert server.requests[1].json["tempratur"] == 1
            assert server.requests[1].json["input"] == "hello there"

    run(backend, main)


@both_loops
def test_the_history_is_kept_here_and_the_response_says_so(backend: str) -> None:
    answered: list[Wire] = []

    def answer(exchange: ServerExchange) -> Answer:
        asked = exchange.request.json
        assert "previous_response_id" not in asked
        assert "conversation" not in asked
        said = " | ".join(
            item["content"] if isinstance(item["content"], str) else item["content"][0]["text"]
            for item in (asked["input"] if isinstance(asked["input"], list) else [{"content": asked["input"]}])
        )
        answered.append(asked)
        number = len(answered)
        events = numbered(plain([said]))
        text = json.dumps(events).replace("resp_1", f"resp_{number}").replace("msg_1", f"msg_{number}")
        return Answer.events(json.loads(text))

    async def main() -> None:
        async with gateway(answer) as (app, _):
            one = (await Client(app).request(body(input="one"))).json
            got = await Client(app).request(body(input="two", previous_response_id=one["id"], stream=True))
            events = [json.loads(data) for data in frames(got.content)]
            two = events[-1]["response"]
            assert {e["response"]["previous_response_id"] for e in events if "response" in e} == {one["id"]}
            three = (await Client(app).request(body(input="three", previous_response_id=two["id"]))).json
            assert three["output"][0]["content"][0]["text"] == "one | one | two | one | one | two | three"

            conversation = (await Client(app).request(b"{}", path="/v1/conversations")).json["id"]
            for text in "a", "b":
                spoken = (await Client(app).request(body(input=text, conversation=conversation))).json
                assert spoken["conversation"] == {"id": conversation}
            assert spoken["output"][0]["content"][0]["text"] == "a | a | b"
            listed = (await get(app, f"/conversations/{conversation}/items")).json["data"]
            assert len(listed) == 4

            async with Talking(app) as talk:  # the connection remembers what is not stored
                end = await talk.ask("x", store=False)
                end = await talk.ask("y", store=False, previous_response_id=end["response"]["id"])
                assert end["response"]["output"][0]["content"][0]["text"] == "x | x | y"

    run(backend, main)


# ---- errors and ends


@both_loops
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("background", [True, False])
def test_errors_of_the_upstream_are_the_answer(backend: str, stream: bool, background: bool) -> None:
    error = Answer.error(
        429, f"Slow down, {KEY}.", code="rate_limit_exceeded", headers={"retry-after": "7", "x-internal": "secret"}
    )

    async def main() -> None:
        async with gateway(error) as (app, _):
            got = await Client(app).request(body(stream=stream, background=background))
            assert (got.status, got.error["code"], got.headers["retry-after"]) == (429, "rate_limit_exceeded", "7")
            assert got.error["message"].startswith("Slow down")
            assert KEY not in got.content.decode()
            assert "x-internal" not in got.headers
            assert not app.service.running
            if not background:
                async with Talking(app) as talk:
                    end = await talk.ask()
                    assert (end["status"], end["error"]["code"]) == (429, "rate_limit_exceeded")

    run(backend, main)


@both_loops
@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Answer.body(b"<html>no</html>", content_type="text/html"), 502, "upstream_error"),
        (Answer.stream(b""), 502, "upstream_truncated"),
        (Answer.stream(b": hello\n\n"), 502, "upstream_truncated"),
        (Answer.stream(b"data: nonsense\n\n"), 502, "upstream_truncated"),
        (Answer.stream(b'data: {"type": "x", "y": "' + b"z" * 5000), 502, "upstream_error"),
    ],
)
def test_nonsense_of_the_upstream_is_its_error(backend: str, answer: Answer, status: int, code: str) -> None:
    async def main() -> None:
        async with gateway(answer, limits=Limits(max_event_bytes=2000)) as (app, _):
            for fields in {"stream": True}, {"stream": False}, {"background": True}:
                got = await Client(app).request(body(**fields))
                assert (got.status, got.error["code"]) == (status, code)

    run(backend, main)


@both_loops
def test_an_upstream_that_cannot_be_reached(backend: str) -> None:
    async def main() -> None:
        async with ResponsesClient("http://127.0.0.1:9/v1", KEY, retry=RetryPolicy(attempts=1)) as client:
            got = await Client(ResponsesApp(relay(client))).request(body(stream=True))
            assert (got.status, got.error["code"]) == (502, "upstream_error")
            assert "127.0.0.1" not in got.content.decode()

    run(backend, main)


ENDS: list[tuple[list[Wire], str, str | None]] = [
    ([*plain(last=None), ending([], "incomplete", incomplete_details={"reason": "max_output_tokens"})], "incomplete", None),
    ([*plain(last=None), ending([], "failed", error={"code": "server_error", "message": "no"})], "failed", "no"),
    ([*plain(last=None), {**ending([], "incomplete"), "response": {**ending([])["response"], "status": "cancelled"}}], "cancelled", None),
    ([*plain(last=None), {"type": "error", "code": "boom", "message": "It broke.", "param": None}], "failed", "It broke."),
    (plain(last=None), "failed", "The upstream server ended the response without a terminal event."),
]  # fmt: skip


@both_loops
@pytest.mark.parametrize(("events", "status", "reason"), ENDS)
def test_it_ends_as_the_upstream_ended(backend: str, events: list[Wire], status: str, reason: str | None) -> None:
    said = numbered(events)

    async def main() -> None:
        async with gateway(Answer.events(said)) as (app, _):
            got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            assert got[: len(said)] == said
            assert [event["sequence_number"] for event in got] == [*range(len(got))]
            assert got[-1]["type"] in TERMINAL
            stored = (await get(app, "/responses/resp_1")).json
            assert stored["status"] == status
            assert (stored["error"]["message"] if stored["error"] else None) == reason
            assert "".join(TEXT) in json.dumps(stored, ensure_ascii=False)
            assert (await Client(app).request(body())).json["status"] == status

    run(backend, main)


@both_loops
def test_a_reason_that_comes_after_the_end_goes_before_it(backend: str) -> None:
    reason = {"type": "error", "code": "content_filter", "message": "Filtered.", "param": None}
    said = numbered([*plain(last=None), ending([], "failed", error=None), reason])

    async def main() -> None:
        async with gateway(Answer.events(said)) as (app, _):
            got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            assert [event["type"] for event in got[-2:]] == ["error", "response.failed"]
            assert got[-2]["message"] == "Filtered."
            assert [event["sequence_number"] for event in got] == [*range(len(said))]

    run(backend, main)


@both_loops
def test_a_request_that_the_client_repeats_begins_once(backend: str) -> None:
    failing = numbered([*opening(), {"type": "error", "code": "server_error", "message": "busy", "param": None}])
    working = json.loads(json.dumps(numbered(plain())).replace("resp_1", "resp_2"))

    async def main() -> None:
        script = Script(Answer.events(failing), Answer.events(working))
        async with FakeServer(script, listen=False) as server:
            retry = RetryPolicy(attempts=2, initial_delay=0.001)
            async with (
                ResponsesClient(server.url, KEY, http_client=server.transport, retry=retry) as client,
                ResponsesApp(relay(client)) as app,
            ):
                got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
                assert [event["type"] for event in got] == [event["type"] for event in numbered(plain())]
                assert [event["sequence_number"] for event in got] == [*range(len(got))]
                assert {event["response"]["id"] for event in got if "response" in event} == {"resp_1"}
                assert (await get(app, "/responses/resp_1")).json["status"] == "completed"

    run(backend, main)


# ---- leaving and cancelling


class Held:
    """An upstream that begins a response, and then says no more. `left` is set when its client has left."""

    def __init__(self, *events: Wire) -> None:
        self.events = numbered([*(events or opening())])
        self.left = anyio.Event()

    async def __call__(self, exchange: ServerExchange) -> None:
        if exchange.request.path.endswith("/cancel"):
            await exchange.answer(Answer.json(saying("x", "cancelled")))
            return
        try:
            await exchange.start()
            await tell(exchange, self.events)
            await exchange.until_closed()
        finally:
            self.left.set()


@both_loops
@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_leaves_the_upstream(backend: str, stream: bool) -> None:
    async def main() -> None:
        held = Held(*plain(last=None))
        async with gateway(held) as (app, server), anyio.create_task_group() as tasks:
            client = Client(app)
            tasks.start_soon(functools.partial(client.request, body(stream=stream)))
            await eventually(lambda: server.active)
            if stream:
                await client.until(json.dumps(TEXT[-1]).encode())
            client.leave.set()
            await held.left.wait()
            await eventually(lambda: not app.service.running)
            if stream:
                stored = (await get(app, "/responses/resp_1")).json
                assert stored["status"] == "cancelled"
                assert "".join(TEXT) in json.dumps(stored, ensure_ascii=False)

    run(backend, main)


@both_loops
def test_leaving_a_websocket_leaves_the_upstream(backend: str) -> None:
    async def main() -> None:
        held = Held(*plain(last=None))
        async with gateway(held) as (app, _):
            async with Talking(app) as talk:
                await talk.say(input="x")
                assert (await talk.hear())["response"]["id"] == "resp_1"
            await held.left.wait()

    run(backend, main)


@both_loops
def test_cancelling_cancels_the_upstream(backend: str) -> None:
    async def main() -> None:
        held = Held(*plain(last=None))
        async with gateway(held) as (app, server):
            created = await Client(app).request(body(background=True))
            assert created.json["id"] == "resp_1"
            follower = Client(app)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(
                    functools.partial(follower.request, method="GET", path="/v1/responses/resp_1?stream=true")
                )
                await follower.until(json.dumps(TEXT[-1]).encode())
                cancelled = await get(app, "/responses/resp_1/cancel", "POST")
                assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
            await held.left.wait()
            await eventually(lambda: any(request.path.endswith("/resp_1/cancel") for request in server.requests))
            got = [json.loads(data) for data in frames(follower.content)]
            assert got[:-1] == held.events
            assert (got[-1]["type"], got[-1]["response"]["status"]) == ("response.incomplete", "cancelled")
            assert got[-1]["sequence_number"] == len(held.events)
            again = await get(app, "/responses/resp_1/cancel", "POST")
            assert (again.status, again.json["status"]) == (200, "cancelled")

    run(backend, main)


@both_loops
def test_the_server_stops_while_an_upstream_answers(backend: str) -> None:
    async def main() -> None:
        held, store = Held(*plain(last=None)), MemoryStore()
        async with gateway(held, store=store) as (app, _):
            await Client(app).request(body(background=True))
        await held.left.wait()
        stored = await store.find("resp_1")
        assert stored
        assert stored.response.status == "failed"

    run(backend, main)


@both_loops
def test_who_leaves_before_the_upstream_has_begun_leaves_nothing_behind(backend: str) -> None:
    async def main() -> None:
        held = Held()
        held.events = []
        async with gateway(held, max_background=1) as (app, server), anyio.create_task_group() as tasks:
            client = Client(app)
            tasks.start_soon(functools.partial(client.request, body(background=True)))
            await eventually(lambda: server.active)
            refused = await Client(app).request(body(background=True))
            assert (refused.status, refused.error["code"]) == (429, "too_many_background_responses")
            client.leave.set()
            await held.left.wait()
            await eventually(lambda: not server.active)

    run(backend, main)


# ---- handlers that relay by themselves


@both_loops
def test_a_handler_that_was_slow_goes_on_under_the_id_that_the_client_knows(backend: str) -> None:
    proceed = anyio.Event()

    async def main() -> None:
        async with upstream(Answer.events(numbered(plain()))) as (_, client):

            async def handler(_request: CreateResponse, reply: Reply) -> None:
                await proceed.wait()
                outcome = await reply.relay(client.stream(reply.upstream_request()), model="shown")
                assert outcome.status == "completed"
                with pytest.raises(LocalProtocolError):
                    reply.message()

            async with ResponsesApp(handler) as app, anyio.create_task_group() as tasks:
                asking = Client(app)
                tasks.start_soon(functools.partial(asking.request, body(stream=True)))
                await asking.until(b"response.in_progress")  # after a second
                proceed.set()
                await asking.until(b"[DONE]")
                got = [json.loads(data) for data in frames(asking.content)]
                assert [event["type"] for event in got] == [event["type"] for event in plain()]
                assert [event["sequence_number"] for event in got] == [*range(len(got))]
                (id_,) = {event["response"]["id"] for event in got if "response" in event}
                assert id_ != "resp_1"
                assert {e["response"]["model"] for e in got[2:] if "response" in e} == {"shown"}
                assert (await get(app, f"/responses/{id_}")).json["status"] == "completed"
                queued = await Client(app).request(body(background=True))
                assert queued.json["status"] == "queued"
                log = await get(app, f"/responses/{queued.json['id']}?stream=true")
                types = [json.loads(data)["type"] for data in frames(log.content)]
                assert types[:3] == ["response.created", "response.queued", "response.in_progress"]
                assert types[3:] == [event["type"] for event in plain()][2:]

    run(backend, main)


@both_loops
def test_a_handler_can_try_another_upstream(backend: str) -> None:
    async def main() -> None:
        async with upstream(Answer.error(503, "busy")) as (_, first), upstream("hello") as (_, second):

            async def handler(request: CreateResponse, reply: Reply) -> None:
                try:
                    await reply.relay(first.stream(request))
                except APIError:
                    async with second.stream(request) as stream:
                        await reply.relay(stream)

            got = await Client(ResponsesApp(handler)).request(body())
            assert got.json["output"][0]["content"][0]["text"] == "hello"

    run(backend, main)


@both_loops
def test_relaying_is_refused_where_it_makes_no_sense(backend: str) -> None:
    async def main() -> None:
        async with upstream("hello") as (_, client):

            async def handler(request: CreateResponse, reply: Reply) -> None:
                async with reply.message() as message:
                    await message.text("mine")
                with pytest.raises(LocalProtocolError, match="output already"):
                    await reply.relay(client.stream(request))

            got = await Client(ResponsesApp(handler)).request(body())
            assert got.json["output"][0]["content"][0]["text"] == "mine"

    run(backend, main)


# ---- hostile upstreams


@both_loops
def test_an_upstream_that_stalls_is_given_up(backend: str) -> None:
    async def main() -> None:
        timeouts = Timeouts(first_event=0.05, between_events=0.05)
        held = Held(*plain(last=None))
        async with gateway(held, timeouts=timeouts) as (app, server):
            got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            assert got[: len(held.events)] == held.events
            assert (got[-2]["code"], got[-1]["type"]) == ("upstream_timeout", "response.failed")
            assert "".join(TEXT) in json.dumps(got[-1], ensure_ascii=False)
            held.events = []
            late = await Client(app).request(body(stream=True))
            assert (late.status, late.error["code"]) == (504, "upstream_timeout")
            await eventually(lambda: not server.active)

    run(backend, main)


@both_loops
def test_an_upstream_that_floods_is_stopped(backend: str) -> None:
    async def flood(exchange: ServerExchange) -> None:
        await tell(exchange, numbered([*opening(), *message_events()[:2]]))
        delta = {**message_events()[2], "delta": "x" * 1000}
        for number in range(10_000):
            await tell(exchange, [{**delta, "sequence_number": 4 + number}])

    async def main() -> None:
        async with gateway(flood, limits=Limits(max_text_chars=50_000)) as (app, _):
            got = [json.loads(data) for data in frames((await Client(app).request(body(stream=True))).content)]
            assert len(got) < 100
            assert (got[-2]["code"], got[-1]["type"]) == ("upstream_error", "response.failed")
            assert "max_text_chars" in got[-2]["message"]

    run(backend, main)


@both_loops
@pytest.mark.parametrize("lie", ["", "../x", "r" * 5000, "a/b?c#d", 5, None, ["x"]])
def test_ids_that_are_lies(backend: str, lie: Any) -> None:
    events = json.loads(json.dumps(numbered(plain())))
    for event in events:
        if "response" in event:
            event["response"]["id"] = lie

    async def main() -> None:
        async with gateway(Answer.events(events)) as (app, _):
            for _ in range(2):
                got = await Client(app).request(body())
                assert got.status == 200
                id_ = got.json["id"]
                assert isinstance(id_, str)
                assert id_
                quoted = id_.replace("/", "%2F").replace("?", "%3F").replace("#", "%23")
                found = await Client(app).request(
                    method="GET", path=f"/v1/responses/{id_}".replace("?", "%3F"), raw_path=f"/v1/responses/{quoted}"
                )
                assert found.status in (200, 404)  # the raw client cannot ask for every path
            assert [*frames((await Client(app).request(body(stream=True))).content)]

    run(backend, main)


@both_loops
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_uses_one_id_for_all_makes_no_response_follow_itself(backend: str, *, stream: bool) -> None:
    async def main() -> None:
        async with gateway(Answer.events(numbered(plain()))) as (app, server):
            previous: list[str] = []
            for n in range(3):
                fields = {"previous_response_id": previous[-1]} if previous else {}
                got = await Client(app).request(body(input=f"question {n}", stream=stream, **fields))
                answer = got.json if not stream else json.loads([*frames(got.content)][-1])["response"]
                assert answer["status"] == "completed"
                previous.append(answer["id"])
            assert len({*previous}) == 3
            asked = json.dumps(server.requests[-1].json)
            assert [f"question {n}" in asked for n in range(3)] == [True, True, True]

    run(backend, main)


@both_loops
def test_an_error_inside_a_tap_is_not_for_the_client(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    def tap(event: Event, _reply: Reply) -> None:
        if event.type == OutputTextDelta.type:
            raise RuntimeError("hunter2")

    async def main() -> None:
        held = Held(*plain(last=None))
        async with gateway(held, tap=tap) as (app, _):
            got = await Client(app).request(body(stream=True))
            assert b"hunter2" not in got.content
            await held.left.wait()

    run(backend, main)
    assert "hunter2" in caplog.text
