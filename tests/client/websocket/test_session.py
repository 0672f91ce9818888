"""A session over WebSocket: many responses, one connection at a time."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx
import pytest
from tests.sockets import (
    KEY,
    NOT_FOUND,
    ONCE,
    TEXT,
    TOO_OLD,
    eventually,
    messages,
    named,
    opened,
    say,
    send,
    session_with,
)
from tests.streams import call_events, ending, numbered, opening, plain
from tests.support import PATIENCE, both_loops, run

from responses_proto import CreateResponse, Hooks, ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client.transport import HTTPTransport
from responses_proto.exceptions import (
    APIError,
    AuthenticationError,
    BadRequestError,
    DeadlineExceeded,
    LocalProtocolError,
    PermissionDeniedError,
    ResponseFailedError,
    ResponseIncompleteError,
    ServerError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.models.config import TextConfig
from responses_proto.models.events import OutputTextDelta, SteerAccepted
from responses_proto.models.items import FunctionCall, FunctionCallOutput
from responses_proto.models.request import ResponseCreateMessage
from responses_proto.schema import Parsed, text_format
from responses_proto.server import ResponsesApp, serving
from responses_proto.testing import Answer, FakeServer, Fault, Script, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.client import CallFinished, WebSocketSession
    from responses_proto.client.transport import Transport, WireReply, WireRequest
    from responses_proto.models.events import Event
    from responses_proto.protocol import Frame
    from responses_proto.server import Reply


# ---- turns


@both_loops
def test_turns_follow_one_another_on_one_connection(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Script("One.", Answer.events(plain()))) as server, session_with(server) as session:
            async with session.stream(model="m", input="x", store=False) as stream:
                kinds = [type(event).__name__ async for event in stream]
                response = await stream.result()
            assert (kinds[0], kinds[-1], response.output_text) == ("ResponseCreated", "ResponseCompleted", "One.")
            assert stream.outcome
            assert (stream.outcome.status, stream.anomalies) == ("completed", [])
            assert await say(session, "y", store=False, previous_response_id=response.id) == TEXT
            handshake, one, two = server.requests
            assert (handshake.method, handshake.path, handshake.message) == ("GET", "/v1/responses", False)
            assert handshake.headers["authorization"] == f"Bearer {KEY}"
            assert one.json == {"type": "response.create", "model": "m", "input": "x", "store": False}
            assert two.json["previous_response_id"] == response.id
            assert (server.connections, session.connections) == (1, 1)

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    "request_",
    [
        {"model": "m", "input": "x", "stream": True, "stream_options": {}, "background": False, "x-own": 1},
        CreateResponse(model="m", input="x", stream=True, background=False, extra={"x-own": 1}),
        ResponseCreateMessage(model="m", input="x", extra={"x-own": 1}),
    ],
)
def test_fields_for_http_only_are_not_sent(backend: str, request_: Any) -> None:
    async def test() -> None:
        async with FakeServer() as server, session_with(server) as session:
            async with session.stream(request_, temperature=0.5, stream_id="a", generate=True) as stream:
                await stream.result()
            assert messages(server)[0].json == {
                "type": "response.create",
                "model": "m",
                "input": "x",
                "x-own": 1,
                "temperature": 0.5,
                "stream_id": "a",
                "generate": True,
            }

    run(backend, test)


@both_loops
def test_a_stream_is_the_same_as_over_http(backend: str) -> None:
    @attrs.frozen
    class Film:
        title: str

    async def test() -> None:
        answer = Answer.text('{"title": "Alien"}')
        async with FakeServer(answer) as server, session_with(server) as session:
            async with session.stream(model="m", input="x", text=TextConfig(format=text_format(Film))) as stream:
                assert [partial async for partial in stream.partial()][-1] == {"title": "Alien"}
                parsed = await stream.parse(Film)
            assert isinstance(parsed, Parsed)
            assert parsed.value == Film("Alien")
            async with session.stream(model="m", input="x") as stream:
                assert "".join([text async for text in stream.text_deltas()]) == '{"title": "Alien"}'
            async with session.stream(model="m", input="x") as stream:
                assert sum([len(batch) async for batch in stream.batches()]) == 10
            with pytest.raises(LocalProtocolError, match="closed"):
                await anext(stream)
            assert stream.response.output_text == '{"title": "Alien"}'

    run(backend, test)


@both_loops
def test_a_response_that_does_not_complete_is_reported_as_over_http(backend: str) -> None:
    async def test() -> None:
        script = Script(
            Answer.events(plain(last="failed", error={"code": "server_error", "message": "No."})),
            Answer.events(plain(last="incomplete", incomplete_details={"reason": "max_output_tokens"})),
            Answer.events([*opened(), {"type": "error", "code": "server_error", "message": "Broken."}]),
            "Well.",
        )
        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(ResponseFailedError, match=r"No\."):
                await say(session)
            with pytest.raises(ResponseIncompleteError, match="max_output_tokens") as caught:
                await say(session)
            assert caught.value.response
            assert caught.value.response.output_text == TEXT
            with pytest.raises(APIError, match=r"Broken\."):
                await say(session)
            assert await say(session) == "Well."

    run(backend, test)


@both_loops
def test_a_warm_up_gives_an_id_to_follow(backend: str) -> None:
    async def test() -> None:
        answer = Answer.events(numbered([*opening(), ending([])]))
        async with FakeServer(answer) as server, session_with(server) as session:
            async with session.stream(model="m", instructions="Be brief.", generate=False) as stream:
                response = await stream.result()
            assert (response.output, response.id) == ([], "resp_1")
            assert messages(server)[0].json["generate"] is False

    run(backend, test)


@both_loops
def test_the_head_of_a_stream_is_that_of_the_connection(backend: str) -> None:
    headers = {"X-Request-Id": "req_1", "X-RateLimit-Limit-Requests": "9", "X-RateLimit-Remaining-Requests": "8"}

    async def test() -> None:
        script = Script("One.").on("GET", "/responses", Answer.upgrade(headers=headers))
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                pass
            for meta in (session.meta, stream.meta):
                assert (meta.status, meta.request_id) == (101, "req_1")
                assert meta.rate_limits["requests"].remaining == 8
            assert session.url == server.url.replace("http://", "ws://") + "/responses"

    run(backend, test)


@both_loops
def test_hooks_are_called_as_over_http(backend: str) -> None:
    requests: list[WireRequest] = []
    events: list[Event] = []
    frames: list[Frame] = []
    ends: list[CallFinished] = []
    hooks = Hooks(on_request=requests.append, on_event=events.append, on_frame=frames.append, on_outcome=ends.append)

    async def test() -> None:
        async with FakeServer(Answer.events(plain())) as server, session_with(server, hooks=hooks) as session:
            assert await say(session) == TEXT
            assert [(request.method, request.url) for request in requests] == [
                ("GET", f"{server.url}/responses"),
                ("SEND", session.url),
            ]
            assert requests[1].body == messages(server)[0].body
            assert len(events) == len(frames) == len(plain())
            assert [(end.operation, end.how) for end in ends] == [
                ("responses.connect", "ended"),
                ("responses.stream", "ended"),
            ]
            assert ends[1].response
            assert ends[1].response.output_text == TEXT

    run(backend, test)


# ---- lanes


@both_loops
def test_lanes_go_side_by_side(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            # The first answer waits for all requests, and each of the others for the answer before it.
            name = peer.request.json["stream_id"]
            if name != "c":
                await answered[chr(ord(name) + 1)].wait()
            await peer.answer(Answer.text(f"I am {name}."))
            answered[name].set()

        said: list[str] = []
        answered = {name: anyio.Event() for name in "abc"}

        async with FakeServer(script) as server, session_with(server) as session:

            async def ask(name: str) -> None:
                said.append(await say(session, stream_id=name))

            async with anyio.create_task_group() as tasks:
                for name in "abc":
                    tasks.start_soon(ask, name)
            assert said == ["I am c.", "I am b.", "I am a."]
            assert server.connections == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("lane", [{}, {"stream_id": "a"}])
def test_a_second_stream_on_a_lane_is_refused_here(backend: str, lane: Any) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(plain())) as server, session_with(server) as session:
            async with session.stream(model="m", input="x", **lane) as stream:
                with pytest.raises(LocalProtocolError, match="busy with resp_1: read that stream to its end first"):
                    await say(session, **lane)
                assert await say(session, stream_id="b") == TEXT
                assert (await stream.result()).output_text == TEXT
            assert await say(session, **lane) == TEXT
            assert server.connections == 1

    run(backend, test)


# ---- leaving


@both_loops
@pytest.mark.parametrize("how", ["break", "exception", "cancelled"])
def test_leaving_a_stream_closes_the_connection_and_the_next_one_opens_another(backend: str, how: str) -> None:
    async def test() -> None:
        gone = anyio.Event()

        async def script(peer: ServerExchange) -> str | None:
            if peer.request.json["input"] == "well":
                return "Well."
            await send(peer, opened())
            await peer.until_closed()
            gone.set()
            return None

        async def leave(session: WebSocketSession) -> None:
            async with session.stream(model="m", input="x") as stream:
                async for _ in stream.text_deltas():
                    if how == "exception":
                        raise ZeroDivisionError
                    if how == "break":
                        return
                    scope.cancel()
                    await anyio.sleep_forever()

        async with FakeServer(script) as server, session_with(server) as session:
            with anyio.CancelScope() as scope:
                if how == "exception":
                    with pytest.raises(ZeroDivisionError):
                        await leave(session)
                else:
                    await leave(session)
            with anyio.fail_after(PATIENCE):
                await gone.wait()
            assert await say(session, "well") == "Well."
            assert (server.connections, session.connections) == (2, 2)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("output", [True, False])
def test_streams_on_other_lanes_fail_when_the_connection_is_closed(backend: str, *, output: bool) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, opened() if output else opened()[:2])
            await peer.until_closed()

        async with FakeServer(script) as server, session_with(server) as session:  # noqa: SIM117 - what is left inside is what the test is about
            async with session.stream(model="m", input="x") as kept:
                while kept.response.output_text != (TEXT if output else ""):
                    await anext(kept)
                async with session.stream(model="m", input="x", stream_id="left"):
                    pass
                kind = StreamInterrupted if output else TransportError
                with pytest.raises(kind, match=r"another stream on the lane 'left' was left before its end") as caught:
                    await kept.result()
                assert caught.value.response
                assert caught.value.response.output_text == (TEXT if output else "")
                assert caught.value.cursor == kept.cursor
                assert caught.value.retry_safety == "unsafe"

    run(backend, test)


@both_loops
def test_a_stream_that_has_ended_is_left_without_any_harm(backend: str) -> None:
    async def test() -> None:
        script = Script(Answer.events(plain()).with_faults(Fault.late_events()), Answer.events(plain()))
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                async for event in stream:
                    if event.type == "response.completed":
                        break
            assert await say(session) == TEXT
            assert server.connections == 1

    run(backend, test)


# ---- refusals


@both_loops
def test_a_refused_turn_raises_as_over_http_and_the_connection_goes_on(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> str | None:
            if "previous_response_id" in peer.request.json:
                await peer.message({**NOT_FOUND, "error": {**NOT_FOUND["error"], "message": f"Not found for {KEY}."}})
                return None
            return "Well."

        handshake = Answer.upgrade(headers={"x-request-id": "req_1"})
        async with (
            FakeServer(Script(script).on("GET", "/responses", handshake)) as server,
            session_with(server) as session,
        ):
            stream = session.stream(model="m", input="x", previous_response_id="resp_0")
            with pytest.raises(BadRequestError) as caught:
                await stream.__aenter__()
            error = caught.value
            assert (error.status, error.code, error.param) == (
                400,
                "previous_response_not_found",
                "previous_response_id",
            )
            assert (error.type, error.request_id, error.retry_safety) == ("invalid_request_error", "req_1", "safe")
            assert KEY not in f"{error!r} {error.body}"
            assert not hasattr(error, "__notes__")
            assert await say(session) == "Well."
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_a_refusal_that_may_pass_is_asked_for_again(backend: str) -> None:
    async def test() -> None:
        limited = Answer.error(429, code="rate_limit_exceeded", headers={"retry-after-ms": "1"})
        script = Script(limited, Answer.error(503), "Well.")
        retries: list[Any] = []
        options: Any = {"retry": RetryPolicy(initial_delay=0.001), "hooks": Hooks(on_retry=retries.append)}
        async with FakeServer(script) as server, session_with(server, **options) as session:
            assert await say(session) == "Well."
            assert [retry.error.status for retry in retries] == [429, 503]
            assert retries[0].error.retry_after == 0.001
            assert len(messages(server)) == 3
            assert server.connections == 1

    run(backend, test)


@both_loops
def test_a_failure_before_any_output_is_asked_for_again(backend: str) -> None:
    async def test() -> None:
        failing = numbered([*opening(), ending([], "failed", error={"code": "server_error", "message": "No."})])
        script = Script(Answer.events(failing), "Well.")
        async with (
            FakeServer(script) as server,
            session_with(server, retry=RetryPolicy(initial_delay=0.001)) as session,
        ):
            assert await say(session) == "Well."
            assert server.connections == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, APIError),
        (426, BadRequestError),
        (500, ServerError),
    ],
)
def test_a_refused_handshake_raises_as_over_http(backend: str, status: int, kind: type[APIError]) -> None:
    async def test() -> None:
        refusal = Answer.error(status, f"No entry with {KEY}.", code="no", headers={"x-request-id": "req_7"})
        async with FakeServer(Script("One.").on("GET", "/responses", refusal)) as server:
            with pytest.raises(kind) as caught:
                async with session_with(server):
                    pass
            error = caught.value
            assert (error.status, error.code, error.request_id) == (status, "no", "req_7")
            assert error.message == "No entry with ***."
            assert KEY not in f"{error!r} {error.body}"

    run(backend, test)


@both_loops
def test_a_handshake_is_tried_again_like_any_request(backend: str) -> None:
    async def test() -> None:
        script = Script("One.").on("GET", "/responses", Answer.error(503), Answer.upgrade())
        async with (
            FakeServer(script) as server,
            session_with(server, retry=RetryPolicy(initial_delay=0.001)) as session,
        ):
            assert await say(session) == "One."
            assert server.connections == 1

    run(backend, test)


# ---- the end of a connection


@both_loops
def test_a_connection_that_ended_between_turns_is_replaced(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, plain())
            if len(messages(server)) == 1:
                await peer.message(TOO_OLD)
                await peer.close(1001)

        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT
            await anyio.sleep(0.02)
            assert await say(session) == TEXT
            assert (server.connections, session.connections) == (2, 2)
            assert len(messages(server)) == 2

    run(backend, test)


@both_loops
def test_a_turn_that_comes_too_late_for_a_connection_goes_to_the_next_one(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            old = peer.request.connection == 0
            await send(peer, [TOO_OLD] if old and len(messages(server)) > 1 else plain())

        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT
            assert await say(session, "again") == TEXT
            assert [(one.connection, one.json["input"]) for one in messages(server)] == [
                (0, "x"),
                (0, "again"),
                (1, "again"),
            ]

    run(backend, test)


@both_loops
def test_a_server_that_takes_no_turn_at_all_is_asked_twice(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, [TOO_OLD])

        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(APIError) as caught:
                await say(session)
            assert caught.value.code == "websocket_connection_limit_reached"
            assert server.connections == 2

    run(backend, test)


@both_loops
def test_other_lanes_end_on_the_old_connection(backend: str) -> None:
    async def test() -> None:
        rest = anyio.Event()

        async def script(peer: ServerExchange) -> None:
            if peer.request.json.get("stream_id") == "slow":
                await send(peer, plain()[:-1])
                await rest.wait()
                await send(peer, plain()[-1:])
            else:
                await send(peer, [TOO_OLD] if peer.request.connection == 0 else plain())

        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x", stream_id="slow") as slow:
                assert await say(session) == TEXT
                assert server.connections == 2
                rest.set()
                assert (await slow.result()).output_text == TEXT
            assert await say(session) == TEXT
            assert server.connections == 2

    run(backend, test)


@both_loops
def test_the_limit_in_the_middle_of_a_response_is_its_error(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            if len(messages(server)) == 1:
                await send(peer, [*opened(), TOO_OLD])
                await peer.close(1001)
            else:
                await send(peer, plain())

        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(APIError) as caught:
                await say(session)
            assert caught.value.code == "websocket_connection_limit_reached"
            assert caught.value.response
            assert caught.value.response.output_text == TEXT
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
def test_a_response_lost_with_its_connection_is_explained(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            asked = peer.request.json
            lost = peer.request.connection > 0 and "previous_response_id" in asked
            await send(peer, [NOT_FOUND] if lost else plain())
            if peer.request.connection == 0:
                await peer.close()

        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session, store=False) == TEXT
            with pytest.raises(BadRequestError) as caught:
                await say(session, store=False, previous_response_id="resp_1")
            assert caught.value.code == "previous_response_not_found"
            (note,) = caught.value.__notes__
            assert "connected 2 times. If resp_1 was created with store=False on an earlier connection" in note
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (
            Fault.eof(after=-3, code=1011, reason="overheated"),
            StreamTruncated,
            "internal error (code 1011: overheated)",
        ),
        (Fault.eof(after=-3), StreamTruncated, "without a terminal event"),
        (Fault.reset(after=-3), StreamInterrupted, "reset by peer"),
    ],
)
def test_a_connection_that_is_lost_in_the_middle(
    backend: str, fault: Fault, kind: type[TransportError], told: str
) -> None:
    async def test() -> None:
        script = Script(Answer.events(plain()).with_faults(fault), "Well.")
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                with pytest.raises(kind) as caught:
                    await stream.result()
            error = caught.value
            assert told in f"{error} {error.__cause__}"
            assert error.response
            assert error.response.output_text == TEXT
            assert error.cursor == stream.cursor
            assert error.retry_safety == "unsafe"
            assert await say(session) == "Well."

    run(backend, test)


@both_loops
def test_a_connection_that_is_lost_before_an_answer_is_not_tried_again(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.close(1012, "restarting")

        async with (
            FakeServer(script) as server,
            session_with(server, retry=RetryPolicy(initial_delay=0.001)) as session,
        ):
            with pytest.raises(StreamTruncated, match=r"service restart \(code 1012: restarting\)") as caught:
                await say(session)
            assert caught.value.retry_safety == "unsafe"
            assert len(messages(server)) == 1

    run(backend, test)


# ---- time


@both_loops
@pytest.mark.parametrize(
    ("timeouts", "kind"),
    [
        (Timeouts(first_byte=0.05), "first_byte"),
        (Timeouts(total=0.05), "total"),
    ],
)
def test_a_server_that_does_not_answer_is_late(backend: str, timeouts: Timeouts, kind: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.until_closed()

        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(DeadlineExceeded) as caught:
                await say(session, timeouts=timeouts)
            assert caught.value.kind == kind

    run(backend, test)


@both_loops
@pytest.mark.parametrize("kind", ["between_bytes", "between_events", "total"])
def test_a_server_that_stops_in_the_middle_is_late(backend: str, kind: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, opened())
            await peer.until_closed()

        bounds: Any = {kind: 5 if kind == "total" else 2}  # in which the events must come, on a busy machine too
        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(DeadlineExceeded) as caught:
                await say(session, timeouts=Timeouts(**bounds))
            assert caught.value.kind == kind
            assert caught.value.response
            assert caught.value.response.output_text == TEXT

    run(backend, test)


@both_loops
def test_a_server_that_only_says_it_lives_makes_no_progress(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, opened())
            with anyio.move_on_after(PATIENCE):
                while True:
                    await peer.ping()
                    await anyio.sleep(0.2)

        bounds = Timeouts(between_bytes=1.5, between_events=2)
        async with FakeServer(script) as server, session_with(server) as session:
            with pytest.raises(DeadlineExceeded) as caught:
                await say(session, timeouts=bounds)
            assert caught.value.kind == "between_events"

    run(backend, test)


@both_loops
def test_a_handshake_that_takes_too_long_is_late(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.until_closed()

        async with FakeServer(Script("One.").on("GET", "/responses", script)) as server:
            with pytest.raises(DeadlineExceeded) as caught:
                async with session_with(server, connect={"timeouts": Timeouts(first_byte=0.05)}):
                    pass
            assert caught.value.kind == "first_byte"

    run(backend, test)


# ---- steering


SUCCESSOR = named(plain(["Two."]), "resp_2", previous_response_id="resp_1")


def steering(peer: ServerExchange) -> dict[str, Any]:
    return {"id": "steer_1", "previous_response_id": peer.request.json["previous_response_id"]}


def steerable(after: Callable[[ServerExchange], Any]) -> Script:
    """Return a script whose first response waits for a steer and then calls ``after`` with its exchange.

    Later requests get the successor.
    """
    steered = anyio.Event()

    async def respond(peer: ServerExchange) -> None:
        await send(peer, opened("One. "))
        await steered.wait()
        await after(peer)

    async def accept(peer: ServerExchange) -> None:
        await peer.message({"type": "response.steer.accepted", "sequence_number": 5, "steer": steering(peer)})
        steered.set()

    return Script(respond, Answer.events(SUCCESSOR)).on("response.steer", "/responses", accept)


@both_loops
def test_a_steered_response_is_followed_by_its_successor(backend: str) -> None:
    async def test() -> None:
        async def after(peer: ServerExchange) -> None:
            await send(peer, [ending([], "incomplete", incomplete_details={"reason": "steered"}), *SUCCESSOR])

        async with FakeServer(steerable(after)) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                async for text in stream.text_deltas():
                    assert text == "One. "
                    accepted = await session.steer(stream.response, "Two, please.")
                    assert accepted.steer.id == "steer_1"
                with pytest.raises(ResponseIncompleteError, match="steered"):
                    await stream.result()
            with pytest.raises(LocalProtocolError, match=r"session\.successor"):
                await say(session)
            async with session.successor(stream.response) as rest:
                assert (await rest.result()).output_text == "Two."
            assert rest.response.previous_response_id == "resp_1"
            assert messages(server)[1].json == {
                "type": "response.steer",
                "previous_response_id": "resp_1",
                "input": "Two, please.",
            }
            with pytest.raises(LocalProtocolError, match="no response follows resp_1"):
                async with session.successor("resp_1"):
                    pass
            assert (server.connections, len(messages(server))) == (1, 2)

    run(backend, test)


@both_loops
def test_the_acceptance_is_an_event_of_the_response(backend: str) -> None:
    async def test() -> None:
        async def after(peer: ServerExchange) -> None:
            await send(peer, [ending([])])

        async with FakeServer(steerable(after)) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                seen: list[Event] = []
                async for event in stream:
                    seen.append(event)
                    if isinstance(event, OutputTextDelta):
                        await session.steer("resp_1", [{"role": "user", "content": "x"}])
            assert [type(event) for event in seen].count(SteerAccepted) == 1

    run(backend, test)


@both_loops
def test_a_successor_can_be_waited_for(backend: str) -> None:
    async def test() -> None:
        async def after(peer: ServerExchange) -> None:
            await send(peer, [ending([])])
            await anyio.sleep(0.02)
            await send(peer, SUCCESSOR)

        async with FakeServer(steerable(after)) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                async for _ in stream.text_deltas():
                    await session.steer("resp_1", "x")
            async with session.successor("resp_1") as rest:
                assert (await rest.result()).output_text == "Two."

    run(backend, test)


@both_loops
def test_a_response_that_waits_for_outputs_takes_the_steer_along_with_them(backend: str) -> None:
    async def test() -> None:
        stub = {"type": "function_call_output", "call_id": "call_1", "name": "weather"}

        async def after(peer: ServerExchange) -> None:
            events = call_events()
            await send(peer, [*events, ending([events[-1]["item"]])])
            await peer.message(
                {
                    "type": "response.steer.pending",
                    "sequence_number": 9,
                    "steer": {"id": "steer_1", "previous_response_id": "resp_1"},
                    "reason": "waiting_for_required_input",
                    "required_input": [stub],
                }
            )

        async with FakeServer(steerable(after)) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                async for _ in stream.text_deltas():
                    await session.steer("resp_1", "x")
                response = await stream.result()
            await eventually(lambda: session.pending)
            (pending,) = session.pending
            assert [needed.call_id for needed in pending.required_input] == ["call_1"]
            with pytest.raises(LocalProtocolError, match="resp_1 waits for input: send it with"):
                async with session.successor(response):
                    pass
            outputs = [FunctionCallOutput(call_id=call.call_id, output="sunny") for call in response.function_calls]
            assert await say_items(session, outputs, previous_response_id="resp_1") == "Two."
            assert session.pending == []

    run(backend, test)


async def say_items(session: WebSocketSession, items: Any, **fields: Any) -> str:
    async with session.stream(model="m", input=items, **fields) as stream:
        return (await stream.result()).output_text


def failed(code: str, **steer: Any) -> dict[str, Any]:
    return {
        "type": "response.steer.failed",
        "sequence_number": 5,
        "steer": {"previous_response_id": "resp_1", "input": "x", **steer},
        "error": {"code": code, "message": f"No, {KEY}.", "type": "invalid_request_error"},
    }


@both_loops
def test_a_steer_that_is_not_accepted_raises(backend: str) -> None:
    async def test() -> None:
        async def refuse(peer: ServerExchange) -> None:
            await peer.message(failed("response_already_completed"))

        script = Script(Answer.events(plain())).on("response.steer", "/responses", refuse)
        async with FakeServer(script) as server, session_with(server) as session:
            assert await say(session) == TEXT
            with pytest.raises(BadRequestError) as caught:
                await session.steer("resp_1", "x")
            assert caught.value.code == "response_already_completed"
            assert KEY not in str(caught.value)
            body: Any = caught.value.body
            assert body["steer"]["input"] == "x"
            assert await say(session) == TEXT

    run(backend, test)


@both_loops
def test_a_successor_that_cannot_be_made_raises(backend: str) -> None:
    async def test() -> None:
        async def after(peer: ServerExchange) -> None:
            await send(peer, [ending([])])
            await anyio.sleep(0.01)
            await peer.message(failed("successor_creation_failed", id="steer_1"))

        async with FakeServer(steerable(after)) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                async for _ in stream.text_deltas():
                    await session.steer("resp_1", "x")
            with pytest.raises(BadRequestError) as caught:
                async with session.successor("resp_1"):
                    pass
            assert caught.value.code == "successor_creation_failed"

    run(backend, test)


@both_loops
def test_only_a_response_with_an_id_can_be_steered(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(plain())) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                with pytest.raises(LocalProtocolError, match="has no id yet: read the first event"):
                    await session.steer(stream.response, "x")
                await stream.result()
            with pytest.raises(LocalProtocolError, match="has no id yet"):
                session.successor("")

    run(backend, test)


@both_loops
@pytest.mark.parametrize("end", ["close", "silence"])
def test_a_steer_whose_fate_is_not_known_raises(backend: str, end: str) -> None:
    async def test() -> None:
        async def forget(peer: ServerExchange) -> None:
            if end == "close":
                await peer.close(1001)

        async def respond(peer: ServerExchange) -> None:
            await send(peer, opened())
            await peer.until_closed()

        script = Script(respond).on("response.steer", "/responses", forget)
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.stream(model="m", input="x") as stream:
                async for _ in stream.text_deltas():
                    kind = StreamTruncated if end == "close" else DeadlineExceeded
                    with pytest.raises(kind) as caught:
                        await session.steer("resp_1", "x", timeouts=Timeouts(first_byte=0.05))
                    assert caught.value.retry_safety == "unsafe"
                    break
            with pytest.raises(TransportError):
                await session.steer("resp_1", "x")

    run(backend, test)


# ---- whose connection


@both_loops
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_the_callers_client_carries_it_and_stays_open(backend: str, library: str) -> None:
    make: Any = pytest.importorskip(library).AsyncClient

    async def test() -> None:
        async with FakeServer(Answer.events(plain())) as server, make(headers={"x-own": "1"}) as http:
            async with session_with(server, http_client=http, connect={"headers": {"X-More": "2"}}) as session:
                assert await say(session) == TEXT
            assert (server.requests[0].headers["x-own"], server.requests[0].headers["x-more"]) == ("1", "2")
            assert not http.is_closed

    run(backend, test)


@both_loops
def test_a_client_over_http_goes_on_beside_it(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server, ResponsesClient(server.url, KEY, retry=ONCE) as client:
            session = client.connect()
            async with session, session.stream(model="m", input="x") as stream:
                assert (await client.create(model="m", input="x")).output_text == "One."
                assert (await stream.result()).output_text == "One."

    run(backend, test)


@both_loops
def test_a_pool_gets_its_place_back(backend: str) -> None:
    async def test() -> None:
        limits = httpx.Limits(max_connections=1)
        async with FakeServer("One.") as server, httpx.AsyncClient(limits=limits) as http:
            for _ in range(3):
                async with session_with(server, http_client=http) as session:
                    assert await say(session) == "One."
            async with ResponsesClient(server.url, KEY, http_client=http) as client:
                assert (await client.create(model="m", input="x")).output_text == "One."

    run(backend, test)


# ---- what is done wrong


@both_loops
def test_a_session_is_used_inside_its_block(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server, ResponsesClient(server.url, KEY) as client:
            session = client.connect()
            with pytest.raises(
                LocalProtocolError, match=r"not connected yet: use it inside `async with client\.connect"
            ):
                session.stream(model="m", input="x")
            with pytest.raises(LocalProtocolError, match="not connected yet: enter it"):
                _ = session.meta
            async with session:
                late = session.stream(model="m", input="x")
                with pytest.raises(LocalProtocolError, match="entered only once"):
                    await session.__aenter__()
            uses: list[Callable[[], object]] = [
                lambda: session.stream(model="m"),
                lambda: session.successor("resp_1"),
            ]
            for use in uses:
                with pytest.raises(LocalProtocolError, match="the session is closed"):
                    use()
            with pytest.raises(LocalProtocolError, match="the session is closed"):
                await session.steer("resp_1", "x")
            with pytest.raises(LocalProtocolError, match="the session is closed"):
                await late.__aenter__()

    run(backend, test)


@both_loops
def test_a_stream_does_not_outlive_its_session(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await send(peer, opened())
            await peer.until_closed()

        async with FakeServer(script) as server:
            async with session_with(server) as session:
                stream = session.stream(model="m", input="x")
                await stream.__aenter__()
            with pytest.raises(TransportError, match="the session was left"):
                await stream.result()
            await stream.aclose()

    run(backend, test)


@both_loops
def test_an_exception_of_the_block_comes_out_as_it_is(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server:

            async def fail() -> None:
                async with session_with(server) as session:
                    assert await say(session) == "One."
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await fail()

    run(backend, test)


@both_loops
def test_a_wrong_field_is_refused_before_anything_is_sent(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server, session_with(server) as session:
            wrong: list[tuple[dict[str, Any], str]] = [
                (
                    {"background": True},
                    r"background cannot be used over a WebSocket: .*client\.stream\(background=True\)",
                ),
                (
                    {"stream": True},
                    "stream cannot be used over a WebSocket: over a WebSocket, every response is streamed",
                ),
                ({"stream_options": {}}, "stream_options cannot be used over a WebSocket"),
                ({"stream_id": "a b"}, "stream_id must be 1 to 256 of"),
                ({"timeouts": 60}, "timeouts"),
            ]
            for fields, told in wrong:
                with pytest.raises(UsageError, match=told):
                    session.stream(model="m", **fields)
            requests: list[Any] = [{"model": "m", "background": True}, CreateResponse(model="m", background=True)]
            for request in requests:
                with pytest.raises(UsageError, match="background"):
                    session.stream(request)
            misspelt: Any = {"modell": "m"}
            with pytest.raises(TypeError, match="did you mean 'model'"):
                session.stream(**misspelt)
            assert messages(server) == []

    run(backend, test)


def test_wrong_arguments_of_connect_are_refused_at_once() -> None:
    client = ResponsesClient("http://localhost:9/v1", KEY)
    for keepalive in (0, -1.0, float("inf")):
        with pytest.raises(UsageError, match="keepalive must be a positive number of seconds or None, got"):
            client.connect(keepalive=keepalive)
    with pytest.raises(UsageError, match="header"):
        client.connect(headers={"a b": "c"})


@both_loops
def test_a_transport_without_upgrades_has_no_websocket(backend: str) -> None:
    class Plain:
        """A transport that says that it has no WebSocket."""

        upgrades = False

        def __init__(self, inner: Transport) -> None:
            self.send, self.aclose = inner.send, inner.aclose

    async def test() -> None:
        async with FakeServer(listen=False) as server:
            client = ResponsesClient(server.url, KEY, http_client=Plain(server.transport))
            with pytest.raises(UsageError, match="WebSocket"):
                client.connect()

    run(backend, test)


def test_an_engine_without_upgrades_is_refused() -> None:
    make: Any = pytest.importorskip("httpx_aiohttp").HttpxAiohttpClient

    async def test() -> None:
        async with FakeServer() as server, make() as http:
            with pytest.raises(UsageError, match=r"does not support upgrades .*use httpx\.AsyncClient"):
                async with session_with(server, http_client=http):
                    pass

    run("asyncio", test)


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['httpx_ws'] = None\n"
        "from responses_proto import ResponsesClient\n"
        "try: ResponsesClient('http://localhost/v1').connect()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    assert done.stdout == "WebSocket needs httpx-ws: pip install 'responses-proto[ws]'\n"


@both_loops
def test_a_session_shows_no_secret(backend: str) -> None:
    async def test() -> None:
        async with FakeServer("One.") as server:
            base = server.url.replace("http://", "http://user:word@") + "?token=t"
            async with ResponsesClient(base, headers={"x-api-key": KEY}) as client, client.connect() as session:
                assert repr(session).startswith("<WebSocketSession ws://127.0.0.1")
                async with session.stream(model="m", input="x") as stream:
                    shown = f"{session!r} {stream!r} {session.meta!r}"
                    for secret in (KEY, "word", "token"):
                        assert secret not in shown

    run(backend, test)


class Forwarding:
    """A transport of the caller's own, over another one."""

    def __init__(self, inner: HTTPTransport) -> None:
        self._inner = inner
        self.requests: list[WireRequest] = []

    async def send(self, request: WireRequest) -> WireReply:
        self.requests.append(request)
        return await self._inner.send(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@both_loops
def test_a_transport_of_ones_own_can_carry_a_session(backend: str) -> None:
    async def test() -> None:
        transport = Forwarding(HTTPTransport())
        async with (
            FakeServer("Hello") as server,
            session_with(server, http_client=transport) as session,
            session.stream(model="m", input="x") as stream,
        ):
            assert (await stream.result()).output_text == "Hello"
        assert [request.headers["upgrade"] for request in transport.requests] == ["websocket"]
        await transport.aclose()

    run(backend, test)


@both_loops
def test_each_handshake_has_the_current_key(backend: str) -> None:
    async def test() -> None:
        keys = iter(["first", "second"])
        async with FakeServer("Hello") as server:
            async with (
                ResponsesClient(server.url, lambda: next(keys)) as client,
                client.connect() as session,
                session.stream(model="m", input="x") as stream,
            ):
                await stream.result()
            assert server.requests[0].headers["authorization"] == "Bearer first"

    run(backend, test)


@both_loops
@pytest.mark.parametrize("continuation", [None, "response"])
def test_a_run_sends_all_its_requests_over_the_session(backend: str, continuation: Any) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    call = FunctionCall(call_id="call_1", name="add", arguments='{"a": 1, "b": 2}')

    async def test() -> None:
        script = Script(Answer.items(call), "3")
        async with FakeServer(script) as server, session_with(server) as session:
            async with session.run(model="m", input="1 + 2?", tools=[add], store=False, continuation=continuation) as r:
                assert (await r.result()).output_text == "3"
            assert session.connections == 1
            first, second = (request.json for request in server.requests if request.body)
            assert first["input"] == "1 + 2?"
            assert second["input"][-1]["output"] == "3"
            assert ("previous_response_id" in second) is (continuation == "response")

    run(backend, test)


@both_loops
def test_a_call_that_is_cancelled_is_told_as_cancelled(backend: str) -> None:
    """At whatever moment: the connection is closed by the same cancellation, which must not count as a failure."""

    async def handler(request: CreateResponse, reply: Reply) -> None:
        async with reply.message() as message:
            for _ in range(10):
                await message.text("word ")
            if request.input == "stay":
                await anyio.sleep_forever()

    async def test(url: str) -> None:
        for number in range(60):
            ends: list[CallFinished] = []
            with anyio.CancelScope() as scope:
                seen = 0

                def count(_event: object, scope: anyio.CancelScope = scope, number: int = number) -> None:
                    nonlocal seen
                    seen += 1
                    if seen == 1 + number % 12:
                        scope.cancel()

                hooks = Hooks(on_event=count, on_outcome=ends.append)
                async with (
                    ResponsesClient(url, "k", hooks=hooks) as client,
                    client.connect() as session,
                    session.stream(model="m", input="stay" if number % 2 else "x", store=False) as stream,
                ):
                    await stream.result()
            assert {end.how for end in ends} <= {"cancelled", "ended"}  # the whole response may have come before
            assert ends[-1].how == "cancelled" or number % 2 == 0

    with serving(ResponsesApp(handler)) as url:
        run(backend, lambda: test(url))
