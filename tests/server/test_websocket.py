"""The WebSocket endpoint: messages, what a connection remembers, steering, and what happens when the client leaves."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from httpx_ws.transport import ASGIWebSocketTransport
from tests.sockets import KEY, ONCE, Talk, eventually, say
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import APIError, AuthenticationError, ResponseIncompleteError
from responses_proto.protocol.websocket import CONNECTION_LIMIT
from responses_proto.scripted import Scripted
from responses_proto.server import ResponsesApp, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from responses_proto.models.request import CreateResponse
    from responses_proto.server import Reply


def text_of(event: dict[str, Any]) -> str:
    """Return the text of a terminal event."""
    return "".join(
        part["text"] for item in event["response"]["output"] if item["type"] == "message" for part in item["content"]
    )


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


async def echo(request: CreateResponse, reply: Reply) -> None:  # noqa: ARG001 - a handler's signature
    """Write the texts of the whole context."""
    async with reply.message() as message:
        await message.text(" | ".join(getattr(item, "text", item.type) for item in reply.context))


# ---- what the specification's own tests look at


@both_loops
def test_a_response_over_a_websocket(backend: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted()), headers={"authorization": "Bearer any"}) as talk:
            await talk.say(model="scripted", input=[user("Say hello in exactly 3 words.")])
            heard = await talk.hear_turn()
            assert [event["type"] for event in (heard[0], heard[1], heard[-1])] == [
                "response.created",
                "response.in_progress",
                "response.completed",
            ]
            assert [event["sequence_number"] for event in heard] == list(range(len(heard)))
            assert heard[-1]["response"]["status"] == "completed"
            assert text_of(heard[-1])

    run(backend, test)


@both_loops
def test_requests_one_after_another(backend: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted())) as talk:
            for text in ("one", "two"):
                end = await talk.ask([user(text)], store=False)
                assert (end["type"], text_of(end)) == ("response.completed", text)

    run(backend, test)


@both_loops
def test_a_request_may_follow_a_response_that_was_not_stored(backend: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(echo)) as talk:
            first = await talk.ask([user("one")], store=False)
            second = await talk.ask([user("two")], store=False, previous_response_id=first["response"]["id"])
            assert text_of(second) == "one | one | two"
            third = await talk.ask("three", store=False, previous_response_id=second["response"]["id"])
            assert text_of(third) == "one | one | two | one | one | two | three"

    run(backend, test)


@both_loops
def test_an_unstored_response_is_known_on_its_connection_only(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(echo)
        async with Talk(app) as talk:
            first = await talk.ask(store=False)
        async with Talk(app) as talk:
            refusal = await talk.ask(store=False, previous_response_id=first["response"]["id"])
            assert (refusal["type"], refusal["status"]) == ("error", 400)
            assert refusal["error"]["code"] == "previous_response_not_found"
            assert refusal["error"]["param"] == "previous_response_id"
            assert refusal["error"]["type"] == "invalid_request_error"
            assert (await talk.ask("fresh"))["type"] == "response.completed"

    run(backend, test)


@both_loops
def test_a_stored_response_can_be_followed_on_any_connection(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(echo)
        async with Talk(app) as talk:
            first = await talk.ask("one")
        async with Talk(app) as talk:
            second = await talk.ask("two", previous_response_id=first["response"]["id"])
            assert text_of(second) == "one | one | two"

    run(backend, test)


@both_loops
def test_an_unknown_previous_response_is_refused(backend: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted())) as talk:
            refusal = await talk.ask(previous_response_id="resp_never")
            assert refusal["error"]["code"] == "previous_response_not_found"
            assert (await talk.ask())["type"] == "response.completed"

    run(backend, test)


@both_loops
def test_a_failed_continuation_cannot_be_followed(backend: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted())) as talk:
            first = await talk.ask(store=False)
            orphan = {"type": "function_call_output", "call_id": "call_never", "output": "x"}
            following = {"store": False, "previous_response_id": first["response"]["id"]}
            refusal = await talk.ask([orphan], **following)
            assert (refusal["status"], refusal["error"]["param"]) == (400, "input")
            assert "No tool call found for function call output with call_id call_never" in refusal["error"]["message"]
            refusal = await talk.ask([user("again")], **following)
            assert refusal["error"]["code"] == "previous_response_not_found"

    run(backend, test)


@both_loops
def test_a_compacted_history_starts_a_new_chain(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(echo)
        history = [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
        ]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://local/v1") as http:
            answer = await http.post("/responses/compact", json={"model": "m", "input": history})
        items = answer.json()["output"]
        assert "compaction" in [item["type"] for item in items]
        async with Talk(app) as talk:
            end = await talk.ask([*items, user("three")], tools=[])
            assert (end["type"], text_of(end)) == ("response.completed", "one | two | three")

    run(backend, test)


# ---- turns


@both_loops
def test_generate_false_has_no_output_and_can_be_followed(backend: str) -> None:
    async def test() -> None:
        asked: list[CreateResponse] = []

        async def handler(request: CreateResponse, reply: Reply) -> None:
            asked.append(request)
            await echo(request, reply)

        async with Talk(ResponsesApp(handler)) as talk:
            warm = await talk.ask("one", generate=False, store=False)
            assert (warm["type"], warm["response"]["output"]) == ("response.completed", [])
            assert asked == []
            end = await talk.ask("two", store=False, previous_response_id=warm["response"]["id"])
            assert text_of(end) == "one | two"

    run(backend, test)


@both_loops
def test_requests_of_a_lane_wait_for_each_other_and_lanes_do_not(backend: str) -> None:
    async def test() -> None:
        begun: list[str] = []
        may_end = {name: anyio.Event() for name in ("a1", "a2", "b1")}

        async def handler(request: CreateResponse, reply: Reply) -> None:
            name = str(request.input)
            begun.append(name)
            await reply.start()
            await may_end[name].wait()
            await echo(request, reply)

        async with Talk(ResponsesApp(handler)) as talk:
            for name in ("a1", "a2", "b1"):
                await talk.say(input=name, stream_id=name[0])
            await eventually(lambda: len(begun) == 2)
            assert sorted(begun) == ["a1", "b1"]
            may_end["b1"].set()
            ended = [event for event in await talk.hear_turn() if event["type"] == "response.completed"]
            assert [(event["stream_id"], text_of(event)) for event in ended] == [("b", "b1")]
            may_end["a1"].set()
            may_end["a2"].set()
            for name in ("a1", "a2"):
                assert text_of((await talk.hear_turn())[-1]) == name
            assert begun[-1] == "a2"

    run(backend, test)


@both_loops
def test_a_response_is_stored_before_its_end_is_sent(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(Scripted())
        async with Talk(app) as talk:
            end = await talk.ask("hello")
            stored = await app.service.get(end["response"]["id"])
            assert (stored.response.status, stored.response.output_text) == ("completed", "hello")
            unstored = await talk.ask("hello", store=False)
            with pytest.raises(APIError):
                await app.service.get(unstored["response"]["id"])

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("message", "param"),
    [
        ('{"type": "response.create", "input": "x"}', "model"),
        ('{"type": "response.create", "model": "m", "input": 7}', "input"),
        ('{"type": "response.create", "model": "m", "background": true}', "background"),
        ('{"type": "response.create", "model": "m", "conversation": "conv_1"}', "conversation"),
        ('{"type": "response.cancel"}', "type"),
        ("no JSON", None),
        (b'{"type": "response.cancel"}', "type"),
    ],
)
def test_a_wrong_message_gets_an_error_and_the_connection_goes_on(
    backend: str, message: str | bytes, param: str | None
) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted())) as talk:
            await talk.say_raw(message)
            (refusal,) = await talk.hear_turn()
            assert (refusal["type"], refusal["error"]["param"]) == ("error", param)
            assert refusal["status"] in (400, 404)
            assert (await talk.ask())["type"] == "response.completed"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("when", ["before", "after"])
def test_errors_of_the_handler(backend: str, when: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    async def test() -> None:
        async def handler(request: CreateResponse, reply: Reply) -> None:
            if when == "after":
                await reply.start()
            if request.input == "refuse":
                raise APIError("Not today.", status=429, code="rate_limit_exceeded", type="rate_limit_error")
            if request.input == "break":
                raise ZeroDivisionError("a secret")
            await echo(request, reply)

        async with Talk(ResponsesApp(handler)) as talk:
            for asked, status, code in (("refuse", 429, "rate_limit_exceeded"), ("break", 500, "server_error")):
                end = await talk.ask(asked)
                if when == "before":
                    assert (end["status"], end["error"]["code"]) == (status, code)
                else:
                    assert (end["type"], end["response"]["error"]["code"]) == ("response.failed", code)
                assert "secret" not in json.dumps(end)
            assert (await talk.ask())["type"] == "response.completed"

    run(backend, test)


# ---- steering


def telling(go_on: anyio.Event) -> Callable[[CreateResponse, Reply], Awaitable[None]]:
    """Return a handler that writes two messages, the second one after `proceed`, or repeats the steering input."""

    async def handler(request: CreateResponse, reply: Reply) -> None:
        if request.previous_response_id:
            await echo(request, reply)
            return
        async with reply.message() as message:
            await message.text("One.")
            await go_on.wait()
        async with reply.message() as message:
            await message.text("Two.")
            await anyio.sleep_forever()

    return handler


@both_loops
def test_a_steered_response_stops_between_two_items_and_has_a_successor(backend: str) -> None:
    async def test() -> None:
        go_on = anyio.Event()
        async with Talk(ResponsesApp(telling(go_on))) as talk:
            await talk.say(input="zero", stream_id="a", store=False)
            id_ = (await talk.hear())["response"]["id"]
            while (heard := await talk.hear())["type"] != "response.output_text.delta":
                pass
            await talk.say("response.steer", previous_response_id=id_, input="three")
            accepted = await talk.hear()
            assert (accepted["type"], accepted["stream_id"]) == ("response.steer.accepted", "a")
            assert accepted["sequence_number"] == heard["sequence_number"] + 1
            go_on.set()
            rest = await talk.hear_turn()
            numbers = [event["sequence_number"] for event in rest]
            assert numbers == list(range(numbers[0], numbers[0] + len(rest)))
            assert numbers[0] == accepted["sequence_number"] + 1
            assert rest[-1]["type"] == "response.incomplete"
            assert rest[-1]["response"]["incomplete_details"] == {"reason": "steered"}
            successor = await talk.hear_turn()
            assert successor[0]["type"] == "response.created"
            assert successor[0]["response"]["previous_response_id"] == id_
            assert text_of(successor[-1]).startswith("zero | One.")
            assert text_of(successor[-1]).endswith(" | three")
            assert {event["stream_id"] for event in successor} == {"a"}

    run(backend, test)


@both_loops
def test_a_steered_response_that_calls_waits_for_the_output(backend: str) -> None:
    async def test() -> None:
        go_on = anyio.Event()

        async def handler(request: CreateResponse, reply: Reply) -> None:
            if request.previous_response_id:
                await echo(request, reply)
                return
            async with reply.function_call("weather", "call_1") as call:
                await go_on.wait()
                await call.arguments("{}")

        async with Talk(ResponsesApp(handler)) as talk:
            await talk.say(input="zero")
            id_ = (await talk.hear())["response"]["id"]
            for _ in range(2):
                await talk.hear()
            await talk.say("response.steer", previous_response_id=id_, input="three")
            assert (await talk.hear())["type"] == "response.steer.accepted"
            go_on.set()
            end = (await talk.hear_turn())[-1]
            assert end["type"] == "response.completed"
            pending = await talk.hear()
            assert pending["type"] == "response.steer.pending"
            assert pending["required_input"] == [
                {"type": "function_call_output", "call_id": "call_1", "name": "weather"}
            ]
            output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
            end = await talk.ask([output], previous_response_id=id_)
            assert text_of(end) == "zero | function_call | three | function_call_output"

    run(backend, test)


@both_loops
def test_steering_without_a_response_fails(backend: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted())) as talk:
            await talk.say("response.steer", previous_response_id="resp_never", input="x")
            failed = await talk.hear()
            assert (failed["type"], failed["error"]["code"]) == ("response.steer.failed", "response_not_found")

    run(backend, test)


# ---- the connection


@both_loops
def test_the_handler_is_cancelled_when_the_client_leaves(backend: str) -> None:
    async def test() -> None:
        cancelled: list[str] = []

        async def handler(request: CreateResponse, reply: Reply) -> None:
            await reply.start()
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(str(request.input))

        app = ResponsesApp(handler)
        async with Talk(app) as talk:
            for name in "ab":
                await talk.say(input=name, stream_id=name)
            heard = [await talk.hear() for _ in range(4)]
            await talk.leave()
            assert sorted(cancelled) == ["a", "b"]
            id_ = heard[0]["response"]["id"]
            assert (await app.service.get(id_)).response.status == "cancelled"

    run(backend, test)


@both_loops
def test_a_failed_send_is_not_an_error(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(Scripted())
        messages: list[Any] = [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": '{"type": "response.create", "model": "m", "input": "x"}'},
        ]

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await anyio.sleep(0.05)
            return {"type": "websocket.disconnect"}

        async def send(message: Any) -> None:
            await anyio.lowlevel.checkpoint()
            if message["type"] == "websocket.send":
                raise BrokenPipeError

        scope: dict[str, Any] = {"type": "websocket", "path": "/responses", "headers": [], "extensions": {}}
        await app(scope, receive, send)
        assert messages == []

    run(backend, test)


@both_loops
@pytest.mark.parametrize("path", ["/responses", "/v1/responses"])
def test_the_paths_are_those_of_http(backend: str, path: str) -> None:
    async def test() -> None:
        async with Talk(ResponsesApp(Scripted()), path=path) as talk:
            assert talk.said[0]["type"] == "websocket.accept"
            names = [name for name, _ in talk.said[0]["headers"]]
            assert names == [b"x-request-id"]
        async with Talk(ResponsesApp(Scripted()), path=f"{path}/resp_1") as talk:
            assert talk.said[0]["type"] == "websocket.close"

    run(backend, test)


@both_loops
def test_keys_are_checked_before_the_connection_is_accepted(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(Scripted(), keys=[KEY])
        async with Talk(app, headers={"authorization": f"Bearer {KEY}"}) as talk:
            assert (await talk.ask())["type"] == "response.completed"
        can_say: dict[str, Any] = {"websocket.http.response": {}}
        for headers in ({}, {"authorization": "Bearer wrong"}):
            async with Talk(app, headers=headers, extensions=can_say) as talk:
                start, body = talk.said
                assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
                assert {b"www-authenticate", b"x-request-id"} <= {name for name, _ in start["headers"]}
                assert json.loads(body["body"])["error"]["code"] == "invalid_api_key"
            async with Talk(app, headers=headers) as talk:
                assert [message["type"] for message in talk.said] == ["websocket.close"]

    run(backend, test)


@both_loops
def test_a_handler_learns_who_has_connected(backend: str) -> None:
    async def handler(_request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            await message.text(f"{reply.identity} {reply.headers['x-team']}")

    async def test() -> None:
        headers = {"authorization": f"Bearer {KEY}", "x-team": "blue"}
        async with Talk(ResponsesApp(handler, keys={KEY: "alice"}), headers=headers) as talk:
            end = await talk.ask()
            assert end["response"]["output"][0]["content"][0]["text"] == "alice blue"

    run(backend, test)


@both_loops
def test_a_connection_past_its_maximum_age_accepts_no_requests(backend: str) -> None:
    async def test() -> None:
        now = 1000.0
        app = ResponsesApp(Scripted(), clock=lambda: now, max_connection_age=60)
        async with Talk(app) as talk:
            assert (await talk.ask())["type"] == "response.completed"
            now += 60
            refusal = await talk.ask()
            assert (refusal["status"], refusal["error"]["code"]) == (400, CONNECTION_LIMIT)
            await eventually(lambda: talk.over)
            assert talk.said[-1] == {"type": "websocket.close", "code": 1000}

    run(backend, test)


@both_loops
def test_an_idle_connection_is_closed_at_its_maximum_age(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(Scripted(), max_connection_age=0.05)
        async with Talk(app) as talk:
            assert (await talk.hear())["error"]["code"] == CONNECTION_LIMIT
            await eventually(lambda: talk.over)

    run(backend, test)


@both_loops
def test_a_message_that_is_too_large_closes_the_connection(backend: str) -> None:
    async def test() -> None:
        app = ResponsesApp(Scripted(), max_body_bytes=1000)
        async with Talk(app) as talk:
            await talk.say(input="x" * 1000)
            await eventually(lambda: talk.over)
            assert talk.said[-1] == {"type": "websocket.close", "code": 1009}

    run(backend, test)


# ---- with our own client


@both_loops
def test_the_client_and_the_server_in_memory(backend: str) -> None:
    async def test() -> None:
        go_on = anyio.Event()
        app = ResponsesApp(telling(go_on))
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(app)) as http:
            client = ResponsesClient("http://local/v1", KEY, http_client=http, retry=ONCE)
            async with client.connect() as session:
                async with session.stream(model="m", input="zero") as stream:
                    async for event in stream:
                        if event.type == "response.created":
                            await session.steer(stream.response, "three")
                            go_on.set()
                    with pytest.raises(ResponseIncompleteError, match="steered"):
                        await stream.result()
                async with session.successor(stream.response) as rest:
                    assert (await rest.result()).output_text.endswith("| three")
                assert rest.anomalies == []
                assert await say(session, "four", previous_response_id=rest.response.id)

    run(backend, test)


@both_loops
def test_the_client_and_the_server_over_a_socket(backend: str) -> None:
    async def test() -> None:
        with serving(ResponsesApp(Scripted(), keys=[KEY])) as url:
            with pytest.raises(AuthenticationError) as caught:
                async with ResponsesClient(url, "wrong", retry=ONCE).connect():
                    pass
            assert caught.value.code == "invalid_api_key"
            assert caught.value.request_id
            async with ResponsesClient(url, KEY, retry=ONCE) as client, client.connect() as session:
                assert session.meta.request_id != caught.value.request_id
                large = "word " * 4_000_000  # more than most servers accept in one message by default
                async with session.stream(model="m", input=large, max_output_tokens=1) as stream:
                    with pytest.raises(ResponseIncompleteError):
                        await stream.result()
                assert await say(session, "hello") == "hello"
                assert session.connections == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("Unexpected ASGI message 'websocket.send'")])
def test_a_connection_that_the_asgi_server_has_closed_leaves_no_trace(
    backend: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    received = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": json.dumps(CREATE)}]

    async def receive() -> dict[str, Any]:
        if not received:
            await anyio.sleep_forever()
        return received.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "websocket.send":
            raise error

    async def test() -> None:
        scope: dict[str, Any] = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/v1/responses",
            "root_path": "",
            "headers": [],
        }
        app = ResponsesApp(Scripted())
        with anyio.move_on_after(0.2):
            await app(scope, receive, send)

    run(backend, test)
    assert caplog.records == []


CREATE = {"type": "response.create", "model": "m", "input": "x"}
