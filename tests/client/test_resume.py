"""Streams that are retried, resumed and abandoned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.streams import frame, numbered, plain, response, wire
from tests.support import both_loops, run

from responses_proto import Cursor, ResponsesClient, RetryPolicy
from responses_proto.client import Hooks, RetryNotice
from responses_proto.exceptions import (
    APIError,
    LocalProtocolError,
    NotFoundError,
    ResponseFailedError,
    ResponsesProtoError,
    ServerError,
    StreamInterrupted,
    StreamTruncated,
    TransportError,
    UsageError,
)
from responses_proto.models.events import OutputTextDelta, ResponseCreated
from responses_proto.testing import Answer, Close, FakeServer, Reset, Script, ServerExchange, Stall

if TYPE_CHECKING:
    from tests.streams import Wire

    from responses_proto.models.events import Event


KEY = "key-that-nobody-may-see"
QUICK = RetryPolicy(initial_delay=0.01)
HELLO = Answer.events(plain(["Hel", "lo"]))
BEGUN = wire(plain(["Hel"], last=None))
STORED = wire(plain(["Hel"], last=None, background=True))
OVERLOADED: Wire = {"type": "error", "code": "server_error", "message": "Overloaded.", "param": None}


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    options.setdefault("retry", QUICK)
    return ResponsesClient(server.url, KEY, **options)


def stream_of(*listed: Wire) -> Answer:
    return Answer.events(numbered(listed))


def failed(**more: Any) -> Wire:
    body = response(status="failed", error={"code": "server_error", "message": "Overloaded."}, **more)
    return {"type": "response.failed", "response": body}


def background(length: int) -> list[Wire]:
    deltas = [f"{number} " for number in range(length - 8)]
    listed = plain(deltas, background=True)
    assert len(listed) == length
    return listed


def number_of(event: Event) -> object:
    return getattr(event, "sequence_number", None)


# ---- resume


@both_loops
def test_a_stream_cut_inside_an_event_is_resumed_after_the_last_complete_one(backend: str) -> None:
    listed = background(12)
    data = wire(listed)

    async def test() -> None:
        size = 0

        def script(peer: ServerExchange) -> Answer:
            if peer.request.method == "POST":
                return Answer.stream(data[:size], Close())
            after = int(dict(peer.request.query)["starting_after"])
            return Answer.stream(wire(listed[after + 1 :]))

        async with FakeServer(script) as server, client(server) as c:
            for cut in range(len(frame(listed[0])) + 1, len(data) - len(frame(listed[-1])), 97):
                size = cut
                async with c.stream(model="m", input="x", background=True) as first:
                    async for _ in first:
                        pass
                async with c.resume(first) as second:
                    assert (await second.result()).output_text == "0 1 2 3 "

    run(backend, test)


@both_loops
def test_a_stream_is_resumed_from_a_cursor_an_error_or_the_stream(backend: str) -> None:
    listed = background(20)

    def script(peer: ServerExchange) -> Answer:
        if peer.request.method == "POST":
            return Answer.stream(wire(listed[:9]), Reset())
        after = int(dict(peer.request.query).get("starting_after", "-1"))
        return Answer.stream(wire(listed[after + 1 :]))

    async def test() -> None:
        async with FakeServer(script) as server, client(server) as c:
            stream = c.stream(model="m", input="x", background=True)
            with pytest.raises(StreamInterrupted) as caught:
                async with stream:
                    await stream.result()
            assert caught.value.retry_safety == "resumable"
            for place in (caught.value, caught.value.cursor, stream):
                assert place is not None
                async with c.resume(place) as resumed:
                    kinds = [event.type async for event in resumed]
                    assert kinds == [event["type"] for event in listed[9:]]
                    result = await resumed.result()
                assert result.output_text == "".join(f"{number} " for number in range(12))
            async with c.resume(Cursor("resp_1")) as again:
                assert len([event async for event in again]) == 20
                assert "starting_after" not in server.requests[-1].target

    run(backend, test)


@both_loops
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("by_cursor", [False, True])
def test_a_stream_left_in_the_middle_of_a_packet_is_resumed_after_the_last_event_read(
    backend: str, ended: bool, by_cursor: bool
) -> None:
    """One packet brings many events, and the consumer leaves after some of them: it gets each of the others, and once."""
    listed = background(12)
    brought = len(listed) if ended else 9  # the connection stays open without the rest

    def script(peer: ServerExchange) -> Answer:
        if peer.request.method == "POST":
            return Answer.stream(wire(listed[:brought]), *(() if ended else (Stall(),)))
        after = int(dict(peer.request.query).get("starting_after", "-1"))
        return Answer.stream(wire(listed[after + 1 :]))

    async def test() -> None:
        async with FakeServer(script) as server, client(server) as c:
            for read in range(1, len(listed) if ended else brought + 1):
                seen: list[Event] = []
                stream = c.stream(model="m", input="x", background=True)
                async with stream:
                    async for event in stream:
                        seen.append(event)
                        if len(seen) == read:
                            break
                    assert stream.cursor == Cursor("resp_1", read - 1)
                assert stream.cursor == Cursor("resp_1", read - 1)
                first = "".join(event.delta for event in seen if isinstance(event, OutputTextDelta))
                requests = len(server.requests)
                assert stream.cursor is not None
                async with c.resume(stream.cursor if by_cursor else stream) as rest:
                    seen += [event async for event in rest]
                    assert (await rest.result()).output_text == "0 1 2 3 "
                assert [number_of(event) for event in seen] == list(range(len(listed)))
                if not by_cursor:
                    assert len(server.requests) - requests == (0 if ended else 1)
                    again = c.stream(model="m", input="x", background=True)
                    async with again:
                        for _ in range(read):
                            await anext(again)
                    async with c.resume(again) as rest:
                        deltas = [text async for text in rest.text_deltas()]
                    assert first + "".join(deltas) == "0 1 2 3 "

    run(backend, test)


@both_loops
def test_what_was_not_read_outlives_a_failure_to_resume(backend: str) -> None:
    listed = background(20)
    replies = Script(Answer.stream(wire(listed[:12]), Stall()), Answer.error(404, "Not here."), HELLO)

    async def test() -> None:
        async with FakeServer(replies) as server, client(server) as c:
            stream = c.stream(model="m", input="x", background=True)
            async with stream:
                seen = [number_of(await anext(stream)) for _ in range(5)]
            failing = c.resume(stream)
            with pytest.raises(NotFoundError):
                await failing.__aenter__()
            assert failing.cursor == Cursor("resp_1", 4)
            rest = c.resume(failing)
            async with rest:
                seen += [number_of(await anext(rest)) for _ in range(7)]
            assert seen == list(range(12))

    run(backend, test)


@both_loops
def test_a_stream_can_be_left_and_resumed_again_and_again(backend: str) -> None:
    listed = background(12)

    async def test() -> None:
        async with FakeServer(Answer.stream(wire(listed))) as server, client(server) as c:
            stream = c.stream(model="m", input="x", background=True)
            seen: list[object] = []
            for _ in listed:
                async with stream:
                    seen.append(number_of(await anext(stream)))
                if len(seen) < len(listed):
                    stream = c.resume(stream)
            assert seen == list(range(len(listed)))
            assert stream.cursor == Cursor("resp_1", len(listed) - 1)
            assert (await stream.result()).output_text == "0 1 2 3 "
            with pytest.raises(LocalProtocolError, match="the response is completed"):
                c.resume(stream)
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_resuming_is_refused_when_there_is_nothing_to_resume(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(HELLO) as server, client(server) as c:
            with pytest.raises(LocalProtocolError, match="nothing to resume"):
                c.resume(TransportError("never began"))
            with pytest.raises(UsageError, match=r"Cursor\('resp_.*got 'resp_1'"):
                c.resume("resp_1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the mistake is the point
            fresh = c.stream(model="m", input="x")
            with pytest.raises(LocalProtocolError, match="still open"):
                c.resume(fresh)
            async with fresh:
                await fresh.result()
            with pytest.raises(LocalProtocolError, match="the response is completed"):
                c.resume(fresh)
        async with FakeServer(Answer.error(404, "No response.")) as server, client(server) as c:
            with pytest.raises(NotFoundError):
                await c.resume(Cursor("resp_1", 3), on_abandon="cancel_response").__aenter__()
            assert len(server.requests) == 1  # nor is anything cancelled then

    run(backend, test)


@both_loops
def test_a_failure_in_a_resumed_stream_is_the_outcome_and_is_not_retried(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(stream_of(failed())) as server, client(server) as c:
            async with c.resume(Cursor("resp_1", -1)) as stream:
                with pytest.raises(ResponseFailedError):
                    await stream.result()
            assert len(server.requests) == 1

    run(backend, test)


# ---- retries


@both_loops
@pytest.mark.parametrize(
    "first",
    [
        stream_of(OVERLOADED),
        stream_of(plain()[0], plain()[1], OVERLOADED),
        stream_of(plain()[0], failed()),
        stream_of(plain()[0], {"type": "keepalive"}, OVERLOADED, failed()),
        Answer.json(failed()["response"]),
        Answer.error(503, "Overloaded."),
    ],
)
def test_a_failure_before_any_output_is_retried(backend: str, first: Answer) -> None:
    async def test() -> None:
        async with FakeServer(Script(first, HELLO)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                kinds = [event.type async for event in stream]
                assert (await stream.result()).output_text == "Hello"
            whole_one = [event["type"] for event in plain(["Hel", "lo"])]
            assert kinds[-len(whole_one) :] == whole_one
            assert not {"error", "response.failed"} & set(kinds)
            assert len(server.requests) == 2
            assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
            async with c.stream(model="m", input="x") as stream:
                assert (await stream.result()).output_text == "Hello"

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([*plain(["Hel"], last=None), OVERLOADED], ServerError),
        ([*plain(["Hel"], last=None), failed()], ResponseFailedError),
        ([plain()[0], plain()[1], plain()[2], OVERLOADED], ServerError),
        ([plain()[0], {"type": "acme:output", "x": 1}, OVERLOADED], ServerError),  # who knows what that was
        ([plain()[0], {**OVERLOADED, "code": "invalid_prompt"}], APIError),
        ([plain()[0]], StreamTruncated),
    ],
)
def test_nothing_is_retried_after_output_or_for_a_permanent_error(
    backend: str, listed: list[Wire], expected: type[ResponsesProtoError]
) -> None:
    async def test() -> None:
        async with FakeServer(stream_of(*listed)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                assert [event.type async for event in stream] == [event["type"] for event in listed]
                with pytest.raises(expected):
                    await stream.result()
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
def test_the_failure_of_the_last_attempt_is_delivered(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(stream_of(plain()[0], OVERLOADED)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                kinds = [event.type async for event in stream]
                assert kinds == ["response.created"] * 3 + ["error"]
                with pytest.raises(ServerError, match="Overloaded"):
                    await stream.result()
            assert len(server.requests) == 3

    run(backend, test)


@both_loops
def test_the_error_of_a_failed_retry_is_raised(backend: str) -> None:
    async def test() -> None:
        refusal = Answer.error(401, "Who are you?")
        async with FakeServer(Script(stream_of(plain()[0], OVERLOADED), refusal)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                assert isinstance(await anext(stream), ResponseCreated)
                for _ in range(2):
                    with pytest.raises(APIError, match="Who are you"):
                        await anext(stream)
            assert len(server.requests) == 2

    run(backend, test)


@both_loops
def test_leaving_before_the_retry_sends_nothing(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(stream_of(plain()[0], OVERLOADED)) as server, client(server) as c:
            async with c.stream(model="m", input="x") as stream:
                await anext(stream)
            assert stream.outcome is None
            assert len(server.requests) == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("nested", [False, True])
def test_an_error_in_a_stream_does_not_show_the_key(backend: str, nested: bool) -> None:
    async def test() -> None:
        notices: list[RetryNotice] = []
        hooks = Hooks(on_retry=notices.append)
        facts = {"code": "server_error", "message": f"Not with {KEY}."}
        error: Wire = {"type": "error", "error": facts} if nested else {"type": "error", **facts}
        broken = {"type": "response.failed", "response": response(status="failed", error=facts)}
        for last in (error, broken):
            async with FakeServer(stream_of(plain()[0], last)) as server, client(server, hooks=hooks) as c:
                async with c.stream(model="m", input="x") as stream:
                    with pytest.raises(ResponsesProtoError, match=r"Not with \*\*\*") as caught:
                        await stream.result()
                for shown in (caught.value, caught.value.__cause__, *notices):
                    assert KEY not in f"{shown!r} {getattr(shown, 'body', None)} {getattr(shown, 'message', '')}"
                assert stream.outcome is not None
                assert KEY not in repr(stream.outcome.error)
        assert len(notices) == 4

    run(backend, test)


# ---- abandoning


@both_loops
@pytest.mark.parametrize("way", ["break", "raise", "cancel"])
def test_an_abandoned_response_can_be_cancelled(backend: str, way: str) -> None:
    async def test() -> None:
        script = Script(Answer.stream(STORED, Stall()))
        script.on("POST", "/responses/resp_1/cancel", Answer.json(response(status="cancelled")))
        async with FakeServer(script) as server, client(server) as c:
            with anyio.CancelScope() as scope:
                try:
                    async with c.stream(model="m", background=True, on_abandon="cancel_response") as stream:
                        await anext(stream)
                        if way == "raise":
                            raise KeyError(way)  # noqa: TRY301 - what the caller does
                        if way == "cancel":
                            scope.cancel()
                            await stream.result()
                except KeyError:
                    assert way == "raise"
            assert [(request.method, request.target) for request in server.requests] == [
                ("POST", "/v1/responses"),
                ("POST", "/v1/responses/resp_1/cancel"),
            ]

    run(backend, test)


@both_loops
def test_a_response_is_only_cancelled_if_it_was_abandoned_and_that_was_requested(backend: str) -> None:
    async def test() -> None:
        async with (
            FakeServer(Script(HELLO, Answer.stream(STORED, Reset()), Answer.stream(STORED, Stall()))) as server,
            client(server) as c,
        ):
            async with c.stream(model="m", input="ends", on_abandon="cancel_response") as stream:
                await stream.result()
            with pytest.raises(StreamInterrupted):
                async with c.stream(model="m", input="breaks", on_abandon="cancel_response") as stream:
                    await stream.result()
            async with c.stream(model="m", input="stays") as stream:
                await anext(stream)
            assert all(request.target == "/v1/responses" for request in server.requests)

    run(backend, test)


@both_loops
def test_a_cancellation_that_fails_does_not_delay_leaving(backend: str) -> None:
    async def test() -> None:
        script = Script(Answer.stream(STORED, Stall())).on("POST", "/responses/resp_1/cancel", ServerExchange.reset)
        async with FakeServer(script) as server, client(server) as c:
            async with c.stream(model="m", background=True, on_abandon="cancel_response") as stream:
                await anext(stream)
            assert len(server.requests) == 2

    run(backend, test)
