"""Cancelling at each checkpoint in turn leaves no task, no socket and no warning (pytest makes errors of warnings)."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from tests.support_server import (
    LAST,
    Peer,
    both_loops,
    chunk,
    events,
    frame,
    head,
    response,
    run,
    serve,
    whole,
)

from responses_proto import Cursor, ResponsesClient, RetryPolicy
from responses_proto.aio.hooks import CallEnd, Hooks
from responses_proto.exceptions import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

_MOST = 400  # checkpoints; a call that has more never ends


def open_files() -> int:
    """Count what this process holds open: both ends of each connection are in it."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


class CancelAt:
    """Runs a coroutine, and cancels a scope when it is suspended for the n-th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], scope: anyio.CancelScope, at: int) -> None:
        self._coroutine = coroutine
        self._scope = scope
        self._at = at
        self.count = 0

    def __await__(self) -> Generator[Any, Any, None]:
        send: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                trap = send(value)
            except StopIteration:
                return
            self.count += 1
            if self.count == self._at:
                self._scope.cancel()
            try:
                value = yield trap
                send = self._coroutine.send
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the coroutine
                value, send = error, self._coroutine.throw


async def reads_to_the_end(c: ResponsesClient) -> None:
    async with c.stream(model="m", input="x") as stream:
        async for _ in stream:
            pass
        await stream.result()


async def leaves_early(c: ResponsesClient) -> None:
    async with c.stream(model="m", input="x", on_abandon="cancel_response") as stream:
        async for _ in stream.text_deltas():
            break


async def is_retried(c: ResponsesClient) -> None:
    async with c.stream(model="m", input="flaky") as stream:
        await stream.result()


async def resumes(c: ResponsesClient) -> None:
    async with c.resume(Cursor("resp_1", 2)) as stream:
        await stream.result()


async def creates(c: ResponsesClient) -> None:
    await c.create(model="m", input="x" * 400_000)


async def is_refused(c: ResponsesClient) -> None:
    with pytest.raises(BadRequestError):
        async with c.stream(model="m", input="refused"):
            pass
    with pytest.raises(BadRequestError):
        await c.create(model="m", input="refused")


async def waits(c: ResponsesClient) -> None:
    await c.wait("resp_1", poll=0.001)


async def turns_pages(c: ResponsesClient) -> None:
    async for _ in c.input_items("resp_1"):
        pass


async def script(peer: Peer) -> None:
    request = peer.request
    if request.method == "GET" and "stream=true" in request.target:
        await peer.send(head() + chunk(b"".join(map(frame, events("a", "b")[3:]))) + LAST)
    elif request.target.endswith("/input_items"):
        listed = {
            "object": "list",
            "data": [{"type": "message", "id": "1", "role": "user", "content": "x"}],
            "has_more": False,
        }
        await peer.send(whole(json.dumps(listed).encode(), kind="application/json"))
    elif request.method == "POST" and b'"refused"' in request.body:
        await peer.send(head(400, kind="application/json"))
        for piece in (b'{"error": ', b'{"message": "No."}}', b""):
            await anyio.lowlevel.checkpoint()
            await peer.send(chunk(piece))
    elif request.method == "POST" and request.target == "/v1/responses" and request.json.get("stream"):
        for piece in (head(), *(chunk(frame(event)) for event in events("a", "b")), LAST):
            await peer.send(piece)
            await anyio.lowlevel.checkpoint()
    else:
        await peer.send(whole(json.dumps(response("completed", "x")).encode(), kind="application/json"))


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open files cannot be counted here")
@both_loops
@pytest.mark.parametrize(
    "call", [reads_to_the_end, leaves_early, is_retried, resumes, creates, is_refused, waits, turns_pages]
)
def test_cancelling_at_each_checkpoint_leaves_nothing_behind(
    backend: str, call: Callable[[ResponsesClient], Coroutine[Any, Any, None]]
) -> None:
    flaky = 0

    async def flaky_script(peer: Peer) -> None:
        nonlocal flaky
        if peer.request.body and b"flaky" in peer.request.body:
            flaky += 1
            if flaky % 2:
                error = {"type": "error", "code": "server_error", "message": "No."}
                await peer.send(head() + chunk(frame(error)) + LAST)
                return
        await script(peer)

    async def test() -> None:
        cancelled = finished = 0
        at = 0
        while not finished and at < _MOST:
            at += 1
            ends: list[CallEnd] = []
            async with serve(flaky_script) as server:
                before = open_files()
                # Nothing is kept for reuse, so that whatever is still open afterwards was forgotten.
                http_client = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
                c = ResponsesClient(
                    server.url,
                    http_client=http_client,
                    retry=RetryPolicy(first_pause=0.001),
                    hooks=Hooks(on_outcome=ends.append),
                )
                gc.disable()
                try:
                    with anyio.CancelScope() as scope:
                        await CancelAt(call(c), scope, at)
                    cancelled += scope.cancelled_caught
                    finished += not scope.cancel_called
                    with anyio.fail_after(2):
                        while open_files() > before:  # noqa: ASYNC110 - what other tasks still do, not an event
                            await anyio.sleep(0.001)
                finally:
                    gc.enable()
                    await http_client.aclose()
            operations = [end.operation for end in ends]
            assert call is waits or len(operations) == len(set(operations))
        assert finished == 1
        assert cancelled > 3

    run(backend, test)
    gc.collect()
