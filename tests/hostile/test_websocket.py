"""Leaving a session, by cancelling at each checkpoint in turn and otherwise, leaves no task, no socket and no warning."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from tests.hostile.checkpoints import cancel_at_each_checkpoint
from tests.sockets import KEY, NOT_FOUND, TEXT, TOO_OLD, named, opened, say, send, session_with
from tests.streams import ending, plain
from tests.support import PATIENCE, both_loops, needs_files, open_files, run

from responses_proto import Hooks, ResponsesClient, RetryPolicy
from responses_proto.exceptions import APIError, TransportError
from responses_proto.testing import Answer, FakeServer, Script, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from responses_proto.client import CallFinished, WebSocketSession

# ---- calls that are cancelled


async def takes_turns(session: WebSocketSession) -> None:
    assert await say(session) == TEXT
    assert await say(session, "x" * 200_000) == TEXT


async def leaves_early(session: WebSocketSession) -> None:
    async with session.stream(model="m", input="endless") as stream:
        async for _ in stream.text_deltas():
            break
    assert await say(session) == TEXT


async def uses_lanes(session: WebSocketSession) -> None:
    async def ask(name: str) -> None:
        assert await say(session, stream_id=name) == TEXT

    async with anyio.create_task_group() as tasks:
        for name in "ab":
            tasks.start_soon(ask, name)


async def reconnects(session: WebSocketSession) -> None:
    with pytest.raises(TransportError):
        await say(session, "close")
    assert await say(session) == TEXT
    assert await say(session, "too old") == TEXT


async def is_refused(session: WebSocketSession) -> None:
    with pytest.raises(APIError):
        await say(session, "refused")


async def is_retried(session: WebSocketSession) -> None:
    assert await say(session, "flaky") == TEXT


async def steers(session: WebSocketSession) -> None:
    async with session.stream(model="m", input="steerable") as stream:
        async for _ in stream.text_deltas():
            await session.steer(stream.response, "x")
    async with session.successor(stream.response) as rest:
        assert (await rest.result()).output_text == TEXT


def make_script() -> Script:
    said: set[str] = set()
    steered = anyio.Event()

    async def script(peer: ServerExchange) -> None:
        asked = str(peer.request.json["input"])[:20]
        first = asked not in said
        said.add(asked)
        if asked == "endless":
            await send(peer, opened())
            await peer.until_closed()
        elif asked == "close":
            await peer.close(1001)
        elif asked == "too old" and first:
            await send(peer, [TOO_OLD])
        elif asked == "refused":
            await send(peer, [NOT_FOUND])
        elif asked == "flaky" and first:
            await peer.answer(Answer.error(503))
        elif asked == "steerable":
            await send(peer, opened())
            await steered.wait()
            await send(peer, [ending([])])
            await anyio.lowlevel.checkpoint()
            await send(peer, named(plain(), "resp_2", previous_response_id="resp_1"))
        else:
            for event in plain():
                await send(peer, [event])
                await anyio.lowlevel.checkpoint()

    async def accept(peer: ServerExchange) -> None:
        steer = {"id": "steer_1", "previous_response_id": "resp_1"}
        await peer.message({"type": "response.steer.accepted", "sequence_number": 5, "steer": steer})
        steered.set()

    return Script(script).on("response.steer", "/responses", accept)


@needs_files
@both_loops
@pytest.mark.parametrize(
    "call",
    [takes_turns, leaves_early, uses_lanes, reconnects, is_refused, is_retried, steers],
    ids=lambda call: call.__name__,
)
def test_cancelling_a_session_at_each_checkpoint_leaves_nothing_behind(
    backend: str, call: Callable[[WebSocketSession], Coroutine[Any, Any, None]]
) -> None:
    ends: list[CallFinished] = []
    https: list[httpx.AsyncClient] = []
    script = [Script()]

    async def test() -> None:
        def begin() -> Coroutine[Any, Any, None]:
            ends.clear()
            script[0] = make_script()
            https.append(httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)))
            return use(
                ResponsesClient(
                    server.url,
                    KEY,
                    http_client=https[-1],
                    retry=RetryPolicy(initial_delay=0.001),
                    hooks=Hooks(on_outcome=ends.append),
                )
            )

        async def use(client: ResponsesClient) -> None:
            async with client.connect() as session:
                await call(session)

        async def after() -> None:
            with anyio.fail_after(PATIENCE):
                while open_files() > before:  # noqa: ASYNC110 - what other tasks still do, not an event
                    await anyio.sleep(0.001)
            assert [end.operation for end in ends][:1] == ["responses.connect"]
            await https[-1].aclose()

        async with FakeServer(lambda peer: script[0](peer)) as server:  # noqa: PLW0108 - each time another one
            before = open_files()
            gc.disable()
            try:
                assert await cancel_at_each_checkpoint(begin, after) > 5
            finally:
                gc.enable()

    run(backend, test)
    gc.collect()


# ---- other ways to leave


@needs_files
@both_loops
def test_a_session_whose_task_is_cancelled_while_streams_run_elsewhere(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(make_script()) as server:
            before = open_files()
            with anyio.CancelScope() as scope:
                async with session_with(server) as session, anyio.create_task_group() as tasks:

                    async def ask(name: str) -> None:
                        async with session.stream(model="m", input="endless", stream_id=name) as stream:
                            async for _ in stream:
                                pass

                    for name in "abc":
                        tasks.start_soon(ask, name)
                    await anyio.sleep(0.05)
                    scope.cancel()
            assert scope.cancelled_caught
            with anyio.fail_after(PATIENCE):
                while open_files() > before:  # noqa: ASYNC110 - what other tasks still do, not an event
                    await anyio.sleep(0.001)

    run(backend, test)


@both_loops
def test_streams_that_are_cancelled_together_are_cancelled_and_have_not_failed(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(make_script()) as server, session_with(server) as session:
            left, other = (session.stream(model="m", input="endless", stream_id=name) for name in "ab")
            await left.__aenter__()
            await other.__aenter__()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await left.aclose()  # which closes the connection of both
                async for _ in other:
                    pass
            assert scope.cancelled_caught
            await other.aclose()

    run(backend, test)


@needs_files
@both_loops
def test_a_session_that_is_left_while_a_stream_waits_elsewhere(backend: str) -> None:
    async def test() -> None:
        errors: list[Exception] = []

        async with FakeServer(make_script()) as server, anyio.create_task_group() as tasks:
            async with session_with(server) as session:

                async def ask() -> None:
                    try:
                        await say(session, "endless")
                    except TransportError as error:
                        errors.append(error)

                tasks.start_soon(ask)
                await anyio.sleep(0.05)
            with anyio.fail_after(PATIENCE):
                while not errors:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.001)
        assert "the session was left" in str(errors[0])

    run(backend, test)


@both_loops
def test_a_turn_cancelled_before_it_was_sent_does_not_affect_others(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(make_script()) as server, session_with(server) as session:
            stream = session.stream(model="m", input="x")
            with anyio.CancelScope() as scope:
                scope.cancel()
                await stream.__aenter__()
            assert scope.cancelled_caught
            assert await say(session) == TEXT

    run(backend, test)
