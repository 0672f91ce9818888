"""`Reply`: which events its methods send, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs
import pytest
from tests.support import both_loops, run

from responses_proto.exceptions import LocalProtocolError
from responses_proto.models.items import FunctionCall, McpCall, Message, Reasoning
from responses_proto.models.request import CreateResponse
from responses_proto.protocol import Emitter
from responses_proto.server import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from responses_proto.models.events import Event


def sent_by(backend: str, use: Callable[[Reply, list[str]], Awaitable[None]]) -> list[str]:
    """Run a handler's body. Return the types of the events sent; the body gets the same list."""
    types: list[str] = []

    async def send(events: Sequence[Event]) -> None:
        types.extend(event.type.removeprefix("response.") for event in events)

    async def main() -> None:
        await use(Reply(Emitter(CreateResponse(model="m"), now=1), send, lambda: 2), types)

    run(backend, main)
    return types


@both_loops
def test_the_response_starts_with_the_first_item(backend: str) -> None:
    async def use(reply: Reply, types: list[str]) -> None:
        message = reply.message()
        assert types == []
        async with message:
            assert types == ["created", "in_progress", "output_item.added"]
            await message.text("x")
            assert types[-1] == "output_text.delta"
        assert types[-1] == "output_item.done"
        await reply.complete()
        assert reply.ended
        assert reply.response.completed_at == 2

    assert sent_by(backend, use)[-1] == "completed"


@both_loops
def test_start_is_idempotent(backend: str) -> None:
    async def use(reply: Reply, _types: list[str]) -> None:
        await reply.start()
        await reply.start()

    assert sent_by(backend, use) == ["created", "in_progress"]


@both_loops
def test_a_block_that_raises_leaves_the_item_open(backend: str) -> None:
    async def use(reply: Reply, types: list[str]) -> None:
        async def call() -> None:
            async with reply.function_call("f") as call:
                await call.arguments("{")
                raise ValueError("broke")

        with pytest.raises(ValueError, match="broke"):
            await call()
        assert types[-1] == "function_call_arguments.delta"
        await reply.incomplete()
        item = reply.response.output[0]
        assert isinstance(item, FunctionCall)
        assert item.status == "incomplete"

    assert sent_by(backend, use)[-3:] == ["function_call_arguments.done", "output_item.done", "incomplete"]


@both_loops
def test_an_item_closed_inside_its_block_is_not_closed_again(backend: str) -> None:
    async def use(reply: Reply, _types: list[str]) -> None:
        async with reply.reasoning() as reasoning:
            await reasoning.summary("s")
            await reasoning.end_part()
            await reasoning.text("t")
            await reasoning.done(encrypted_content="e")
        item = reply.response.output[0]
        assert isinstance(item, Reasoning)
        assert item.encrypted_content == "e"

    assert sent_by(backend, use).count("output_item.done") == 1


@both_loops
def test_context(backend: str) -> None:
    async def main() -> None:
        async def send(_events: Sequence[Event]) -> None:
            raise NotImplementedError

        said = [Message(role="user", content="x")]
        emitter = Emitter(CreateResponse(model="m"), now=1)
        assert Reply(emitter, send, lambda: 2, context=said).context == said
        assert Reply(emitter, send, lambda: 2).context == ()

    run(backend, main)


@both_loops
def test_cut_delivers_what_was_written_first(backend: str) -> None:
    types: list[str] = []

    async def main() -> None:
        sending, proceed, stopped = anyio.Event(), anyio.Event(), anyio.Event()

        async def send(events: Sequence[Event]) -> None:
            if not sending.is_set():
                sending.set()
                await proceed.wait()
            types.extend(event.type.removeprefix("response.") for event in events)

        emitter = Emitter(CreateResponse(model="m"), now=1)
        reply = Reply(emitter, send, lambda: 2)

        async def cut() -> None:
            await reply.cut("cancelled", stopped.set)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reply.start)
            await sending.wait()
            tasks.start_soon(cut)
            await anyio.wait_all_tasks_blocked()
            assert not stopped.is_set()
            proceed.set()
        assert stopped.is_set()
        await cut()

    run(backend, main)
    assert types == ["created", "in_progress", "incomplete"]


@both_loops
@pytest.mark.parametrize(("begin", "types"), [("", ["created", "in_progress"]), ("queue", ["created", "queued"])])
def test_cut_before_the_first_item(backend: str, begin: str, types: list[str]) -> None:
    said: list[str] = []

    async def main() -> None:
        async def send(events: Sequence[Event]) -> None:
            said.extend(event.type.removeprefix("response.") for event in events)

        emitter = Emitter(CreateResponse(model="m"), now=1)
        reply = Reply(emitter, send, lambda: 2)
        if begin:
            await send(emitter.queue())
        await reply.cut("cancelled")
        assert reply.response.status == "cancelled"

    run(backend, main)
    assert said == [*types, "incomplete"]


@both_loops
def test_item_and_fail(backend: str) -> None:
    async def use(reply: Reply, _types: list[str]) -> None:
        await reply.item(Message(id="m", role="assistant", content=[], status="completed"))
        await reply.fail("server_error", "It broke.")
        with pytest.raises(LocalProtocolError):
            reply.message()

    types = sent_by(backend, use)
    assert types == ["created", "in_progress", "output_item.added", "output_item.done", "error", "failed"]


@both_loops
def test_an_item_is_open_until_its_result_is_there(backend: str) -> None:
    async def use(reply: Reply, types: list[str]) -> None:
        call = McpCall(id="mcp_1", server_label="docs", name="search", arguments="{}", status="in_progress")
        async with reply.open(call) as opened:
            assert opened.id == "mcp_1"
            assert types[-1] == "mcp_call_arguments.done"
            await opened.done_with(attrs.evolve(call, output="found", status="completed"))
        assert types[-2:] == ["mcp_call.completed", "output_item.done"]
        assert reply.response.output == [attrs.evolve(call, output="found", status="completed")]

    assert sent_by(backend, use)[:3] == ["created", "in_progress", "output_item.added"]


@both_loops
def test_a_handler_may_use_the_engine_itself(backend: str) -> None:
    async def use(reply: Reply, types: list[str]) -> None:
        emitter = reply.emitter()
        message = emitter.message()
        assert types == []
        await reply.send(message.text("Hi."))
        assert types[-1] == "output_text.delta"
        await reply.send(message.done())
        await reply.complete()
        await reply.send([])

    assert sent_by(backend, use)[-1] == "completed"
