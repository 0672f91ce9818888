"""The hooks are called for every step, and exactly once for the end of each call."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest
from tests.streams import numbered, plain, saying, wire
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy, Timeouts
from responses_proto.client import CallFinished, Hooks, RetryNotice
from responses_proto.exceptions import APIError, EncodeError, StreamInterrupted, TransportError, UsageError
from responses_proto.testing import Answer, FakeServer, Fault, Reset, Script, Stall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.streams import Wire

    from responses_proto.client.transport import WireRequest
    from responses_proto.models.events import Event
    from responses_proto.protocol import Frame

KEY = "key-that-nobody-may-see"
HELLO = Answer.events(plain(["Hel", "lo"]))
BEGUN = wire(plain(["Hel"], last=None))
OVERLOADED: Wire = {"type": "error", "code": "server_error", "message": "Overloaded.", "param": None}


def client(server: FakeServer, **options: Any) -> ResponsesClient:
    return ResponsesClient(server.url, KEY, retry=RetryPolicy(initial_delay=0.01), **options)


class Recorder:
    def __init__(self) -> None:
        self.requests: list[WireRequest] = []
        self.frames: list[Frame] = []
        self.events: list[Event] = []
        self.ends: list[CallFinished] = []
        self.retries: list[RetryNotice] = []
        self.hooks = Hooks(
            on_request=self.requests.append,
            on_frame=self.frames.append,
            on_event=self.events.append,
            on_retry=self.retries.append,
            on_outcome=self.ends.append,
        )


@both_loops
def test_hooks_receive_every_step(backend: str) -> None:
    async def test() -> None:
        recorded = Recorder()
        async with (
            FakeServer(Script(Answer.events(numbered([OVERLOADED])), HELLO)) as server,
            client(server, hooks=recorded.hooks) as c,
        ):
            async with c.stream(model="m", input="x") as stream:
                seen = [event async for event in stream]
            assert recorded.events == seen
            names = [found.event.decode() for found in recorded.frames]
            assert [name for name in names if name] == ["error", *(event.type for event in seen)]
            assert names[-1] == ""  # [DONE]
            assert [json.loads(request.body)["model"] for request in recorded.requests] == ["m", "m"]
            assert KEY not in repr(recorded.requests) + repr(recorded.ends)
            (end,) = recorded.ends
            assert (end.operation, end.how, end.attempts, end.error) == ("responses.stream", "ended", 2, None)
            assert end.outcome is not None
            assert end.outcome.status == "completed"
            assert end.response is end.outcome.response
            assert end.elapsed > 0

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    ("way", "how", "error"),
    [
        ("end", "ended", None),
        ("break", "abandoned", None),
        ("raise", "failed", KeyError),
        ("cancel", "cancelled", BaseException),
        ("reset", "failed", StreamInterrupted),
        ("swallowed reset", "failed", StreamInterrupted),
        ("refused", "failed", APIError),
        ("aclose", "abandoned", None),
    ],
)
def test_on_outcome_is_called_once_however_the_block_is_left(
    backend: str, way: str, how: str, error: type[BaseException] | None
) -> None:
    async def leave(c: ResponsesClient, scope: anyio.CancelScope) -> None:
        async with c.stream(model="m", input=way) as stream:
            await anext(stream)
            match way:
                case "raise":
                    raise KeyError(way)
                case "cancel":
                    scope.cancel()
                    await stream.result()
                case "end" | "reset":
                    await stream.result()
                case "swallowed reset":
                    with pytest.raises(StreamInterrupted):
                        await stream.result()
                case "aclose":
                    await stream.aclose()
                    await stream.aclose()
                case _:
                    pass

    answers = {
        "end": HELLO,
        "refused": Answer.error(400, "No."),
        "reset": Answer.stream(BEGUN, Reset()),
        "swallowed reset": Answer.stream(BEGUN, Reset()),
    }

    async def test() -> None:
        recorded = Recorder()
        async with (
            FakeServer(answers.get(way, Answer.stream(BEGUN, Stall()))) as server,
            client(server, hooks=recorded.hooks) as c,
        ):
            with anyio.CancelScope() as scope:
                try:
                    await leave(c, scope)
                except (KeyError, APIError, StreamInterrupted):
                    assert how == "failed"
            (end,) = recorded.ends
            assert end.how == how
            assert end.error is None if error is None else isinstance(end.error, error)
            if way not in ("end", "refused"):
                assert end.outcome is None or end.outcome.status == "truncated"
                assert end.response is not None
                assert end.response.output_text == "Hel"
                assert end.cursor is not None

    run(backend, test)


@both_loops
def test_on_outcome_is_called_for_calls_without_a_stream(backend: str) -> None:
    async def test() -> None:
        recorded = Recorder()
        async with (
            FakeServer(Script(Answer.json(saying("Hi")), Answer.error(400, "No."))) as server,
            client(server, hooks=recorded.hooks) as c,
        ):
            made = await c.create(model="m", input="x")
            with pytest.raises(APIError) as caught:
                await c.delete("resp_1")
            first, second = recorded.ends
            assert (first.operation, first.how, first.response) == ("responses.create", "ended", made)
            assert (second.operation, second.how, second.error) == ("responses.delete", "failed", caught.value)

        async with (
            FakeServer(HELLO.with_faults(Fault.slow_head(600))) as server,
            client(server, hooks=recorded.hooks) as c,
        ):
            with anyio.move_on_after(0.1):
                await c.retrieve("resp_1")
            with pytest.raises(TransportError):
                await c.create(model="m", timeouts=Timeouts(first_byte=0.05))
            assert [end.how for end in recorded.ends] == ["ended", "failed", "cancelled", "failed"]

    run(backend, test)


@both_loops
def test_on_retry_is_called_before_the_delay(backend: str) -> None:
    async def test() -> None:
        recorded = Recorder()
        refusal = Answer.error(503, "Not now.", headers={"retry-after": "20"})
        scope = anyio.CancelScope()

        def cancel(notice: RetryNotice) -> None:
            recorded.retries.append(notice)
            scope.cancel()

        hooks = attrs.evolve(recorded.hooks, on_retry=cancel)
        async with FakeServer(refusal) as server, client(server, hooks=hooks) as c:
            with scope:
                await c.create(model="m", input="x")
        (notice,) = recorded.retries
        assert (notice.operation, notice.attempt) == ("responses.create", 1)
        assert 20 <= notice.delay < 21  # what the server asks for, and a little by chance
        assert isinstance(notice.error, APIError)
        assert recorded.ends[0].attempts == 1

    run(backend, test)


@both_loops
@pytest.mark.parametrize("name", ["on_request", "on_frame", "on_event", "on_outcome"])
def test_an_error_of_a_hook_is_raised_by_the_call(backend: str, name: str) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError(name)

    async def test() -> None:
        async def use() -> None:
            hooks = Hooks(**{name: broken})
            async with (
                FakeServer(HELLO) as server,
                client(server, hooks=hooks) as c,
                c.stream(model="m", input="x") as stream,
            ):
                await stream.result()

        with pytest.raises(ZeroDivisionError, match=name):
            await use()

    run(backend, test)


NAMES = ["on_request", "on_frame", "on_event", "on_retry", "on_outcome"]


class AsyncCallable:
    async def __call__(self, value: object) -> None:
        del value


async def async_function(value: object) -> None:
    del value


async def async_generator(value: object) -> AsyncGenerator[object]:
    yield value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "hook",
    [async_function, async_generator, AsyncCallable(), AsyncCallable().__call__, functools.partial(async_function), 5],
)
def test_an_async_hook_is_refused_when_it_is_given(name: str, hook: object) -> None:
    with pytest.raises(UsageError, match=f"Hooks.{name}"):
        Hooks(**{name: hook})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - that is the test


@both_loops
def test_a_hook_that_returns_something_to_await_is_refused_when_it_is_called(backend: str) -> None:
    async def test() -> None:
        hooks = Hooks(on_request=lambda _: async_function(None))
        async with FakeServer(HELLO) as server, client(server, hooks=hooks) as c:
            with pytest.raises(UsageError, match="plain functions"):
                await c.create(model="m")
            assert server.requests == []

    run(backend, test)


class FromHookError(TransportError):
    """An error that the client would retry if the connection had raised it."""

    retry_safety = "safe"


@both_loops
@pytest.mark.parametrize("error", [ValueError("mine"), FromHookError("mine"), APIError("mine", status=503)])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
def test_what_a_hook_raises_in_a_stream_is_raised_as_it_is_and_never_retried(
    backend: str, error: Exception, name: str, content_type: str
) -> None:
    calls: list[object] = []

    def hook(value: object) -> None:
        calls.append(value)
        raise error

    async def test() -> None:
        hello = Answer.body(wire(plain(["Hel", "lo"])), content_type=content_type)
        script = Script(Answer.error(503), hello) if name == "on_retry" else hello
        async with FakeServer(script) as server, client(server, hooks=Hooks(**{name: hook})) as c:
            caught: list[BaseException] = []
            stream = c.stream(model="m", input="x")
            try:
                async with stream:
                    for _ in range(2):
                        try:
                            await stream.result()
                        except Exception as raised:  # noqa: BLE001 - whatever it is
                            caught.append(raised)
            except Exception as raised:  # noqa: BLE001 - as above
                caught.append(raised)
            assert caught
            assert all(raised is error for raised in caught)
            assert len(calls) == 1
            assert len(server.requests) == (name != "on_request")

    run(backend, test)


@both_loops
def test_the_snapshot_of_a_stream_that_a_hook_failed_is_kept(backend: str) -> None:
    def hook(event: Event) -> None:
        if event.type == "response.in_progress":
            raise ValueError(event.type)

    async def test() -> None:
        async with (
            FakeServer(HELLO) as server,
            client(server, hooks=Hooks(on_event=hook)) as c,
            c.stream(model="m", input="x") as stream,
        ):
            with pytest.raises(ValueError, match="in_progress"):
                await stream.result()
            assert stream.response.id

    run(backend, test)


def test_a_function_is_refused_as_hooks() -> None:
    with pytest.raises(UsageError, match=r"hooks must be a Hooks instance"):
        ResponsesClient("http://127.0.0.1:9/v1", hooks=print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - what is tested


@both_loops
def test_call_finished_has_the_first_request_and_the_time_of_the_first_event(backend: str) -> None:
    async def test() -> None:
        requests: list[WireRequest] = []
        ends: list[CallFinished] = []
        hooks = Hooks(on_request=requests.append, on_outcome=ends.append)
        script = Script(Answer.error(503, "Busy."), Answer.text("Hi"), Answer.json(saying("Hi")))
        async with FakeServer(script) as server, client(server, hooks=hooks) as c:
            async with c.stream(model="m", input="x") as stream:
                await stream.result()
            await c.create(model="m", input="x")
            with pytest.raises(EncodeError):
                await c.create(model="m", input="x", metadata={"x": object()})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType] # what is refused
        streamed, whole = ends
        assert len(requests) == 3
        assert streamed.request is requests[0]
        assert streamed.first_event is not None
        assert 0 < streamed.first_event <= streamed.elapsed
        assert whole.request is requests[2]
        assert whole.first_event is None

    run(backend, test)
