"""Spans of a client's calls, on both loops and over real sockets."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import weakref
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
import pytest
from tests.streams import call, frame, message, plain, response, saying, wire
from tests.support import PATIENCE, both_loops, run

from responses_proto import Cursor, ResponsesClient, RetryPolicy
from responses_proto.client.otel import otel_hooks
from responses_proto.exceptions import ConnectError, RateLimitError, ResponseIncompleteError, StreamInterrupted
from responses_proto.testing import Answer, FakeServer, Reset, Script, ServerExchange, Stall

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.sdk.trace import ReadableSpan
    from tests.streams import Wire

    from responses_proto.client import EventStream
    from responses_proto.client.transport import WireRequest
    from responses_proto.testing import Scriptable

USAGE: Final[Wire] = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}
PRIVATE: Final = "what nobody may read in a trace"
OVERLOADED: Final[Wire] = {"code": "server_error", "message": PRIVATE}
HI: Final = Answer.events(plain(["Hi"]))


class Traced:
    """Records spans, and creates clients that send their spans here."""

    def __init__(self, *, capture_content: bool = False) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.hooks = otel_hooks(self.provider, capture_content=capture_content)

    def client(self, url: str) -> ResponsesClient:
        return ResponsesClient(url, "key", hooks=self.hooks, retry=RetryPolicy(initial_delay=0.01))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def echo(peer: ServerExchange) -> Answer:
    """Stream a response of the requested model, with an id that is unique to it."""
    model = peer.request.json["model"]
    return Answer.events(plain(["Hi"], model=model, id=f"resp_{model}"))


def port_of(server: FakeServer) -> int:
    return int(server.origin.rpartition(":")[2])


# ---- what a span says


@both_loops
def test_a_call_without_a_stream_has_a_span(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        final = saying(PRIVATE, usage=USAGE, model="m-2026", conversation={"id": "conv_1"})
        async with FakeServer(Answer.json(final)) as server, traced.client(server.url) as client:
            before = time.time_ns()
            await client.create(
                model="m",
                input=PRIVATE,
                instructions=PRIVATE,
                temperature=1,
                max_output_tokens=9,
                text={"format": {"type": "json_object"}},
            )
            after = time.time_ns()
        span = traced.span
        assert (span.name, span.kind, span.status.status_code) == ("chat m", SpanKind.CLIENT, StatusCode.UNSET)
        assert span.start_time is not None
        assert span.end_time is not None
        assert before - 1e6 <= span.start_time < span.end_time <= after
        assert said(span) == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
            "gen_ai.request.temperature": 1.0,
            "gen_ai.request.max_tokens": 9,
            "gen_ai.output.type": "json",
            "gen_ai.response.id": "resp_1",
            "gen_ai.response.model": "m-2026",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.conversation.id": "conv_1",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 8,
            "gen_ai.usage.reasoning.output_tokens": 2,
            "server.address": "127.0.0.1",
            "server.port": port_of(server),
        }

    run(backend, test)


@both_loops
def test_a_stream_records_the_time_of_its_first_event(backend: str) -> None:
    async def script(peer: ServerExchange) -> None:
        first, *rest = plain(["Hel", "lo"], usage=USAGE)
        await anyio.sleep(0.05)
        await peer.send(frame(first))
        await peer.send(wire(rest))

    async def test() -> None:
        traced = Traced()
        async with (
            FakeServer(script) as server,
            traced.client(server.url) as client,
            client.stream(model="m", input="x") as stream,
        ):
            await anext(stream)
            await anyio.sleep(0.1)
            await stream.result()
            assert traced.spans == ()
        span = traced.span
        assert span.name == "chat m"
        assert span.start_time is not None
        assert span.end_time is not None
        took = (span.end_time - span.start_time) / 1e9
        assert 0.05 <= said(span)["gen_ai.response.time_to_first_chunk"] <= took - 0.1
        assert said(span)["gen_ai.request.stream"] is True
        assert said(span)["gen_ai.response.finish_reasons"] == ("stop",)
        assert said(span)["gen_ai.usage.output_tokens"] == 5

    run(backend, test)


@both_loops
def test_a_long_request_still_names_its_model(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer(Answer.json(saying("Hi"))) as server, traced.client(server.url) as client:
            await client.create(model='m "1"', input="x" * 3_000_000, temperature=0.5)
            await client.create({"input": "x" * 100_000, "model": "m"})
        named, unnamed = traced.spans
        assert named.name == 'chat m "1"'
        assert "gen_ai.request.temperature" not in said(named)
        assert unnamed.name == "chat"
        assert said(unnamed)["gen_ai.response.model"] == "m"

    run(backend, test)


@pytest.mark.parametrize(
    ("url", "provider", "port"),
    [
        ("https://api.openai.com/v1", "openai", 443),
        ("https://mine.openai.azure.com/openai/v1", "azure.ai.openai", 443),
        ("https://api.x.ai/v1", "x_ai", 443),
        ("https://api.groq.com/openai/v1", "groq", 443),
        ("https://router.huggingface.co/v1", "huggingface", 443),
        ("http://localhost:11434/v1", "openai", 11434),
        ("http://gateway.example/v1?version=2", "openai", 80),
    ],
)
def test_the_provider_is_known_by_its_host(url: str, provider: str, port: int) -> None:
    class Unplugged:
        async def send(self, request: object) -> Any:
            raise ConnectError(f"there is no network for {request}")

        async def aclose(self) -> None: ...

    async def test() -> None:
        traced = Traced()
        client = ResponsesClient(url, "key", http_client=Unplugged(), hooks=traced.hooks, retry=RetryPolicy(attempts=1))
        with pytest.raises(ConnectError):
            await client.create(model="m", input="x")
        found = said(traced.span)
        assert (found["gen_ai.provider.name"], found["server.port"]) == (provider, port)
        assert url.startswith((f"http://{found['server.address']}", f"https://{found['server.address']}"))

    run("asyncio", test)


@both_loops
def test_other_calls_have_no_span(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer(Answer.json(saying("Hi"))) as server, traced.client(server.url) as client:
            await client.retrieve("resp_1")
            await client.cancel("resp_1")
        async with (
            FakeServer(HI) as server,
            traced.client(server.url) as client,
            client.resume(Cursor("resp_1", 0)) as stream,
        ):
            await stream.result()
        assert traced.spans == ()

    run(backend, test)


# ---- every way out


async def to_the_end(stream: EventStream) -> None:
    async for _ in stream:
        pass


async def result(stream: EventStream) -> None:
    await stream.result()


async def leave(stream: EventStream) -> None:
    await anext(stream)


async def stumble(stream: EventStream) -> None:
    await anext(stream)
    raise ZeroDivisionError(PRIVATE)


async def stumble_after_it(stream: EventStream) -> None:
    await stream.result()
    raise ZeroDivisionError(PRIVATE)


async def wait_for_ever(stream: EventStream) -> None:
    async for _ in stream:
        pass
    await anyio.sleep_forever()


BEGUN: Final = wire(plain(["Hel"], last=None))
TRUNCATED: Final = Answer.stream(BEGUN)
STALLS: Final = Answer.stream(BEGUN, Stall())
BREAKS: Final = Answer.stream(BEGUN, Reset())
INCOMPLETE: Final = Answer.events(plain(["Hel"], last="incomplete", incomplete_details={"reason": "max_output_tokens"}))
FAILED: Final = Answer.events(plain(["Hel"], last="failed", error=OVERLOADED))
REFUSED: Final = Answer.error(429, PRIVATE, code="rate_limited", type="x")


@both_loops
@pytest.mark.parametrize(
    ("script", "use", "raised", "finish", "error"),
    [
        pytest.param(HI, to_the_end, None, "stop", None, id="to the end"),
        pytest.param(STALLS, leave, None, None, None, id="abandoned"),
        pytest.param(STALLS, stumble, ZeroDivisionError, None, "ZeroDivisionError", id="raised in the block"),
        pytest.param(HI, stumble_after_it, ZeroDivisionError, "stop", None, id="raised after"),
        pytest.param(STALLS, wait_for_ever, TimeoutError, None, "cancelled", id="cancelled"),
        pytest.param(INCOMPLETE, result, ResponseIncompleteError, "length", None, id="incomplete"),
        pytest.param(FAILED, to_the_end, None, "error", "server_error", id="failed"),
        pytest.param(TRUNCATED, to_the_end, None, None, "StreamTruncated", id="truncated"),
        pytest.param(BREAKS, to_the_end, StreamInterrupted, None, "StreamInterrupted", id="broken"),
        pytest.param(REFUSED, to_the_end, RateLimitError, None, "rate_limited", id="refused"),
    ],
)
def test_a_stream_has_one_span_however_it_is_left(
    backend: str,
    script: Scriptable,
    use: Callable[[EventStream], Awaitable[None]],
    raised: type[Exception] | None,
    finish: str | None,
    error: str | None,
) -> None:
    async def test() -> None:
        traced = Traced()
        seen: Exception | None = None
        async with FakeServer(script) as server, traced.client(server.url) as client:
            try:
                with anyio.fail_after(PATIENCE) as scope:
                    async with client.stream(model="m", input=PRIVATE) as stream:
                        if raised is TimeoutError:
                            await anext(stream)
                            scope.deadline = anyio.current_time()
                        await use(stream)
            except Exception as problem:  # noqa: BLE001 - looked at below
                seen = problem
        assert type(seen) is (raised or type(None))
        span = traced.span
        found = said(span)
        assert span.name == "chat m"
        assert found.get("gen_ai.response.finish_reasons") == (None if finish is None else (finish,))
        assert found.get("error.type") == error
        assert span.status.status_code is (StatusCode.UNSET if error is None else StatusCode.ERROR)
        assert ("gen_ai.response.id" in found) is (raised is not RateLimitError)
        assert PRIVATE not in f"{found} {span.status.description}"

    run(backend, test)


@both_loops
def test_a_call_that_cannot_connect_has_a_span(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer() as server:
            url = server.url
        async with traced.client(url) as client:
            with pytest.raises(ConnectError):
                await client.create(model="m", input="x")
        assert traced.span.name == "chat m"
        assert said(traced.span)["error.type"] == "ConnectError"

    run(backend, test)


@both_loops
def test_all_attempts_are_one_span(backend: str) -> None:
    later = Answer.error(503, "later")

    async def test() -> None:
        traced = Traced()
        async with FakeServer(Script(later, HI, later, HI)) as server, traced.client(server.url) as client:
            await client.create(model="a", input="x")
            async with client.stream(model="b", input="x") as stream:
                await stream.result()
        assert len(server.requests) == 4
        assert [(span.name, "error.type" in said(span)) for span in traced.spans] == [
            ("chat a", False),
            ("chat b", False),
        ]

    run(backend, test)


# ---- whose span it is


@both_loops
@pytest.mark.parametrize("closed", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_streams_in_one_task_keep_their_spans_apart(backend: str, closed: tuple[str, ...]) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer(echo) as server, traced.client(server.url) as client, AsyncExitStack() as stack:
            streams: dict[str, EventStream] = {}
            for model in "abc":
                streams[model] = await stack.enter_async_context(client.stream(model=model, input="x"))
                await anyio.sleep(0.005)
            for model in closed:
                await streams[model].result()
            for model in closed:
                await streams[model].aclose()
        assert [said(span)["gen_ai.response.model"] for span in traced.spans] == list(closed)
        assert [span.name for span in traced.spans] == [f"chat {model}" for model in closed]
        assert all("gen_ai.response.time_to_first_chunk" in said(span) for span in traced.spans)

    run(backend, test)


@both_loops
def test_streams_in_many_tasks_keep_their_spans_apart(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer(echo) as server, traced.client(server.url) as client:

            async def use(model: str) -> None:
                async with client.stream(model=model, input="x") as stream:
                    await stream.result()

            async with anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(use, f"m{number}")
        names = [(span.name, said(span)["gen_ai.response.model"]) for span in traced.spans]
        assert sorted(names) == sorted((f"chat m{number}", f"m{number}") for number in range(30))

    run(backend, test)


@both_loops
def test_a_call_that_begins_while_a_large_request_is_written_keeps_its_span(backend: str) -> None:
    async def slow_echo(peer: ServerExchange) -> Answer:
        model = peer.request.json["model"]
        if model != "large":
            await large_is_over.wait()
        return Answer.json(saying("Hi", model=model))

    large_is_over = anyio.Event()

    async def test() -> None:
        traced = Traced()
        large: list[Any] = [{"role": "user", "content": "x" * 1000}] * 4000
        async with FakeServer(slow_echo) as server, traced.client(server.url) as client:

            async def use(model: str, given: Any) -> None:
                await client.create(model=model, input=given)
                if model == "large":
                    large_is_over.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(use, "large", large)
                for number in range(10):
                    tasks.start_soon(use, f"m{number}", "x")
                    await anyio.sleep(0.001)
        names = [(span.name, said(span)["gen_ai.response.model"]) for span in traced.spans]
        assert names[0] == ("chat large", "large")
        assert len(names) == 11
        assert [name for name, model in names if name != f"chat {model}"] == []

    run(backend, test)


@both_loops
def test_a_stream_may_be_closed_in_another_task_than_it_was_opened_in(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer(echo) as server, traced.client(server.url) as client, AsyncExitStack() as stack:

            async def begin() -> None:
                opened.append(await stack.enter_async_context(client.stream(model="a", input="x")))

            opened: list[EventStream] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(begin)
            await anyio.sleep(0.05)
            async with client.stream(model="b", input="x") as own:
                await opened[0].result()
                await opened[0].aclose()
                await own.result()
        assert [span.name for span in traced.spans] == ["chat a", "chat b"]

    run(backend, test)


@both_loops
def test_the_parent_is_the_span_that_was_current_when_the_request_was_sent(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        tracer = traced.provider.get_tracer("test")
        async with FakeServer(echo) as server, traced.client(server.url) as client, AsyncExitStack() as stack:
            with tracer.start_as_current_span("outer") as outer:
                stream = await stack.enter_async_context(client.stream(model="m", input="x"))
            await stream.result()
        assert [span.name for span in traced.spans] == ["outer", "chat m"]
        assert traced.spans[1].parent == outer.get_span_context()

    run(backend, test)


@both_loops
def test_no_request_is_kept_after_its_call(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        requests: list[weakref.ref[WireRequest]] = []
        on_request = traced.hooks.on_request
        assert on_request is not None

        def remember(request: WireRequest) -> None:
            on_request(request)
            requests.append(weakref.ref(request))

        async def use(client: ResponsesClient) -> None:
            async with client.stream(model="m", input="x"):
                assert requests[0]() is not None

        hooks = attrs.evolve(traced.hooks, on_request=remember)
        async with FakeServer(echo) as server, ResponsesClient(server.url, "key", hooks=hooks) as client:
            await use(client)
            gc.collect()
            assert requests[0]() is None

    run(backend, test)


# ---- content


@both_loops
def test_content_is_recorded_when_it_is_asked_for(backend: str) -> None:
    asked = call("{}")
    final = response(status="completed", output=[message("It rains."), asked])
    given: list[Any] = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Rain?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Look."}]},
        asked,
        {"type": "function_call_output", "call_id": "call_1", "output": "yes"},
    ]

    async def test() -> None:
        traced = Traced(capture_content=True)
        async with FakeServer(Answer.json(final)) as server, traced.client(server.url) as client:
            await client.create(model="m", input=given, instructions="Be short.")
            await client.create(model="m", input="Rain?")
        first, second = (said(span) for span in traced.spans)
        tool_call = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": "{}"}
        assert json.loads(first["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be short."}]
        assert json.loads(first["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": "Rain?"}, {"type": "input_image"}]},
            {"role": "assistant", "parts": [{"type": "reasoning", "content": "Look."}]},
            {"role": "assistant", "parts": [tool_call]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "yes"}]},
        ]
        assert json.loads(first["gen_ai.output.messages"]) == [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "It rains."}, tool_call],
                "finish_reason": "tool_call",
            }
        ]
        assert json.loads(second["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": "Rain?"}]}
        ]
        assert "gen_ai.system_instructions" not in second

    run(backend, test)


@both_loops
@pytest.mark.parametrize(
    "given", [5, {"role": "user"}, [5, {"role": "user", "content": 5}, {"type": "reasoning", "summary": {"a": 1}}]]
)
@pytest.mark.parametrize(
    "item", [{"type": "message", "role": "assistant", "content": 5}, {"type": "reasoning", "summary": 5}]
)
def test_content_of_an_unknown_form_does_not_fail_the_call(backend: str, given: Any, item: Any) -> None:
    async def test() -> None:
        traced = Traced(capture_content=True)
        answer = Answer.json({"id": "r", "object": "response", "status": "completed", "model": "m", "output": [item]})
        async with FakeServer(answer, check_requests=False) as server, traced.client(server.url) as client:
            assert (await client.create({"model": "m", "input": given})).status == "completed"
        assert json.loads(said(traced.span)["gen_ai.output.messages"])[0]["finish_reason"] == "stop"

    run(backend, test)


@both_loops
def test_the_message_of_an_error_is_content(backend: str) -> None:
    async def test() -> None:
        for capture in (False, True):
            traced = Traced(capture_content=capture)
            refusal = Answer.error(400, PRIVATE)
            async with FakeServer(refusal) as server, traced.client(server.url) as client:
                with pytest.raises(Exception, match=PRIVATE):
                    await client.create(model="m", input="x")
            assert said(traced.span)["error.type"] == "400"
            assert (PRIVATE in (traced.span.status.description or "")) is capture

    run(backend, test)


# ---- the extra


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from responses_proto.client.otel import otel_hooks\n"
        "try: otel_hooks()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    assert "responses-proto[otel]" in done.stdout


def test_opentelemetry_is_imported_only_on_demand() -> None:
    code = "import sys, responses_proto.client.otel; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own interpreter and code
    assert done.stdout.strip() == "False"


@both_loops
def test_a_response_over_a_websocket_has_a_span(backend: str) -> None:
    async def test() -> None:
        traced = Traced()
        async with FakeServer(HI) as server, traced.client(server.url) as client, client.connect() as session:
            async with session.stream(model="m", input=PRIVATE, temperature=0.5) as stream:
                await stream.result()
            span = traced.span
            attributes = said(span)
            assert (span.name, span.kind) == ("chat m", SpanKind.CLIENT)
            assert attributes["gen_ai.request.temperature"] == 0.5
            assert attributes["server.port"] == int(server.origin.rpartition(":")[2])
            assert attributes["gen_ai.response.id"] == "resp_1"
            assert PRIVATE not in str(attributes)

    run(backend, test)
