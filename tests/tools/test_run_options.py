"""Options of a run: dependencies, a typed answer and its repairs, bounds, and edited input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import attrs
import pytest
from tests.support import both_loops, run
from tests.tool_runs import ASKED, Source, finish, function_call, said, serving, texts, turn, work

from responses_proto import CreateResponse
from responses_proto.exceptions import LocalProtocolError, UsageError
from responses_proto.models.content import OutputText, Refusal
from responses_proto.models.items import FunctionCall, Message
from responses_proto.models.response import IncompleteDetails
from responses_proto.protocol import check_history, fit
from responses_proto.schema import Incomplete, Invalid, Parsed, Refused
from responses_proto.tools import ToolContext, ToolLoop, ToolOutput, function_tool, handler

if TYPE_CHECKING:
    from responses_proto.models.items import Item


# ---- dependencies


@attrs.frozen
class Database:
    """Something that tools need."""

    name: str


@function_tool
async def read(context: ToolContext[Database], n: int) -> str:
    """Read."""
    await anyio.lowlevel.checkpoint()
    return f"{context.deps.name} {n}"


@function_tool
def read_plain(context: ToolContext[Database], n: int) -> str:
    """Read in a thread."""
    return f"{context.deps.name} {n}"


async def read_call(context: ToolContext[Database], call: FunctionCall) -> str:
    await anyio.lowlevel.checkpoint()
    return f"{context.deps.name} {call.name}"


async def read_source(context: ToolContext[Database]) -> ToolOutput:
    await anyio.lowlevel.checkpoint()
    return ToolOutput(f"{context.deps.name} source")


@both_loops
def test_every_kind_of_tool_gets_the_dependencies_of_its_run(backend: str) -> None:
    async def test() -> None:
        calls = [
            function_call(number, name=name) for number, name in enumerate(("read", "read_plain", "other", "work"))
        ]
        tools: Any = [read, read_plain, Source(read_source), handler(FunctionCall, read_call)]
        for name in ("one", "two"):
            async with serving(turn(*calls), said()) as (_, client):
                _, result = await finish(client.run(**ASKED, tools=tools, deps=Database(name)))
            assert texts(result.loop) == [f"{name} 1", f"{name} 1", f"{name} other", f"{name} source"]
        properties: Any = read.definition.parameters
        assert [*properties["properties"]] == ["n"]

    run(backend, test)


# ---- a typed answer


@attrs.frozen
class Answer:
    """An answer."""

    n: int


def told(value: object, number: int = 9) -> Any:
    return said(value if isinstance(value, str) else json.dumps(value), number)


@both_loops
@pytest.mark.parametrize("output", [Answer, list[int]])
@pytest.mark.parametrize(
    ("wrong", "repairs", "requests"), [([], 0, 1), (["x"], 1, 2), (["x", "{}", '{"n": "x"}'], 3, 4), (["x"], 3, 2)]
)
@pytest.mark.parametrize("store", [True, False])
def test_the_answer_is_parsed_after_the_tools_ran_and_repaired_if_it_does_not_match(
    backend: str, output: Any, wrong: list[str], repairs: int, requests: int, store: bool
) -> None:
    async def test() -> None:
        right: Any = ({"n": 3}, Answer(3)) if output is Answer else ({"value": [1, 2]}, [1, 2])
        script = [
            turn(function_call(1), store=store),
            *(attrs.evolve(told(text, number), store=store) for number, text in enumerate(wrong, 2)),
            told(right[0]),
        ]
        async with serving(*script) as (server, client):
            options: Any = {"tools": [work], "output": output, "repairs": repairs}
            _, result = await finish(client.run(**ASKED, **options))
        assert result.parsed == Parsed(right[1])
        assert (result.stopped, len(server.requests)) == ("completed", requests + 1)
        for request in server.requests:
            assert request.json["text"]["format"]["type"] == "json_schema"
        for request in server.requests[2:]:
            last = request.json["input"][-1]
            assert last["role"] == "user"
            assert last["content"].startswith("Your last answer does not match the requested format: ")
            assert len(request.json["input"]) == 1 or not store
        assert check_history(result.history) == []

    run(backend, test)


REFUSING = turn(Message(id="msg_1", role="assistant", status="completed", content=[Refusal(refusal="No.")]))
CUT = turn(
    Message(id="msg_1", role="assistant", status="incomplete", content=[OutputText(text='{"n": 3', annotations=[])]),
    status="incomplete",
    incomplete_details=IncompleteDetails(reason="max_output_tokens"),
)


@both_loops
@pytest.mark.parametrize(
    ("script", "options", "parsed"),
    [
        ([told("x")], {"repairs": 0}, Invalid),
        ([told("x"), told("y")], {"repairs": 1}, Invalid),
        ([told("x")], {"repairs": 5, "max_turns": 1}, Invalid),
        ([REFUSING], {}, Refused),
        ([CUT], {}, Incomplete),
        ([turn(function_call(1))], {"max_turns": 1}, Incomplete),
        ([turn(function_call(1, name="own"))], {"tools": [{"type": "function", "name": "own"}]}, Incomplete),
    ],
)
def test_without_a_matching_answer_the_result_says_why(
    backend: str, script: list[Any], options: dict[str, Any], parsed: type
) -> None:
    async def test() -> None:
        async with serving(*script) as (server, client):
            options.setdefault("tools", [work])
            _, result = await finish(client.run(**ASKED, output=Answer, **options))
        assert type(result.parsed) is parsed
        assert result.parsed.response is result.response
        assert len(server.requests) == len(script)
        if isinstance(result.parsed, Incomplete) and result.stopped != "incomplete":
            assert result.parsed.reason == result.stopped

    run(backend, test)


@both_loops
def test_a_stored_run_is_parsed_when_it_is_continued(backend: str) -> None:
    async def test() -> None:
        async with serving(turn(function_call(1)), told({"n": 3})) as (_, client):
            options: Any = {"output": Answer, "start": "manual", "tools": [work]}
            _, waiting = await finish(client.run(**ASKED, **options))
            loop = ToolLoop.load(json.loads(json.dumps(waiting.loop.dump())))
            _, result = await finish(client.run(loop, output=Answer, tools=[work]))
        assert result.parsed == Parsed(Answer(3))

    run(backend, test)


@both_loops
def test_a_run_without_a_type_has_no_parsed_value(backend: str) -> None:
    async def test() -> None:
        async with serving(said()) as (_, client):
            _, result = await finish(client.run(**ASKED))
            with pytest.raises(LocalProtocolError, match="the run has no output type"):
                _ = result.parsed
            with pytest.raises(UsageError, match="must not have a text format"):
                client.run(CreateResponse(model="m", text={"format": {"type": "json_object"}}), output=Answer)  # type: ignore[arg-type] # a raw one

    run(backend, test)


# ---- bounds


@both_loops
@pytest.mark.parametrize("start", ["response_done", "item_done"])
@pytest.mark.parametrize(
    ("bound", "reason", "answered"),
    [
        ({"max_turns": 2}, "max_turns", 2),
        ({"max_tokens": 20}, "max_tokens", 2),
        ({"max_tool_calls": 3}, "max_tool_calls", 2),
        ({"max_tool_calls": 4}, "max_tool_calls", 4),
    ],
)
def test_each_bound_has_its_own_reason_and_the_run_can_be_continued(
    backend: str, start: Any, bound: dict[str, Any], reason: str, answered: int
) -> None:
    async def test() -> None:
        script = [turn(function_call(2 * n), function_call(2 * n + 1), number=n) for n in (1, 2, 3)]
        async with serving(*script, said()) as (_, client):
            _, result = await finish(client.run(**ASKED, tools=[work], start=start, **bound))
            assert result.stopped == reason
            if reason == "max_tokens" and start == "item_done":
                answered_now = 4  # the tokens of a response are known at its end
            elif bound == {"max_tool_calls": 3} and start == "item_done":
                answered_now = 3
            else:
                answered_now = answered
            assert len(texts(result.loop)) == answered_now
            assert check_history(result.history) == []
            assert result.loop.tool_calls - result.loop.answered_calls == len(result.pending)
            loop = ToolLoop.load(json.loads(json.dumps(result.loop.dump())))
            more: Any = dict.fromkeys(bound, 100)
            _, rest = await finish(client.run(loop, tools=[work], **more))
        assert rest.stopped == "completed"
        assert len(texts(rest.loop)) == 6

    run(backend, test)


@pytest.mark.parametrize("bound", [{"max_turns": 0}, {"max_tokens": 0}, {"max_tool_calls": -1}])
def test_bounds_that_are_too_small_are_refused(bound: dict[str, Any]) -> None:
    async def test() -> None:
        async with serving(said()) as (_, client):
            options: Any = bound
            with pytest.raises(UsageError, match=f"{next(iter(bound))} must be at least"):
                client.run(**ASKED, **options)

    run("asyncio", test)


# ---- edited input


@both_loops
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("later", [True, False])
def test_the_input_of_each_request_can_be_edited_and_the_history_stays(backend: str, raw: bool, later: bool) -> None:
    seen: list[list[str]] = []

    def edit(items: list[Item]) -> list[Item]:
        seen.append([item.type for item in items])
        return [*items, Message(role="user", content="Be quick.")]

    async def edit_later(items: list[Item]) -> list[Item]:
        await anyio.lowlevel.checkpoint()
        return edit(items)

    async def test() -> None:
        request: Any = dict(ASKED) if raw else CreateResponse(**ASKED)
        async with serving(turn(function_call(1), store=False), said()) as (server, client):
            options: Any = {"tools": [work], "edit_input": edit_later if later else edit}
            _, result = await finish(client.run(request, **options))
        assert seen == [["message"], ["message", "function_call", "function_call_output"]]
        for asked, types in zip(server.requests, seen, strict=True):
            assert [item["type"] for item in asked.json["input"]] == [*types, "message"]
            assert asked.json["input"][-1]["content"] == "Be quick."
        assert "Be quick." not in str(result.history)

    run(backend, test)


@both_loops
def test_a_long_run_stays_within_a_bound_of_bytes(backend: str) -> None:
    async def test() -> None:
        @function_tool(name="work")
        async def long(n: int) -> str:
            await anyio.lowlevel.checkpoint()
            return "x" * 2000 * n

        script = [turn(function_call(n), number=n, store=None) for n in range(1, 9)]

        def shorter(items: list[Item]) -> list[Item]:
            return fit(items, max_bytes=6000)

        async with serving(*script, said()) as (server, client):
            options: Any = {"tools": [long], "edit_input": shorter}
            _, result = await finish(client.run(**ASKED, **options))
        sizes = [len(json.dumps(request.json["input"])) for request in server.requests]
        assert max(sizes) < 7000
        for request in server.requests[1:]:
            calls = [item["call_id"] for item in request.json["input"] if item["type"] == "function_call"]
            outputs = [item["call_id"] for item in request.json["input"] if item["type"] == "function_call_output"]
            assert calls == outputs
            assert request.json["input"][0]["content"] == "Go."
        assert len(result.history) == 2 + 2 * len(script)

    run(backend, test)


@both_loops
@pytest.mark.parametrize("given", [None, 3, "x", [3]])
def test_an_edit_that_fails_or_is_wrong_ends_the_run(backend: str, given: Any) -> None:
    def edit(_: list[Item]) -> Any:
        if given is None:
            raise LookupError("no memory")
        return given

    async def test() -> None:
        async with serving(said()) as (server, client):
            with pytest.raises(LookupError if given is None else UsageError):
                await finish(client.run(**ASKED, edit_input=edit))
            assert server.requests == []

    run(backend, test)
