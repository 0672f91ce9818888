"""The transport over standard input and output, against programs that write what they like."""

from __future__ import annotations

import traceback
from typing import Any

import anyio
import pytest
from tests.mcp_peers import call, children, connected, stdio
from tests.mcp_raw import raw_stdio, text
from tests.support import PATIENCE, both_loops, run

from responses_proto import Limits
from responses_proto.exceptions import ConnectError, LimitExceeded, ToolError
from responses_proto.tools import ToolOutput

pytest.importorskip("mcp")

NOISE = {
    "not UTF-8": b"caf\xe9 is open",
    "not UTF-8 in JSON": b'{"level": "info", "text": "\xff\xfe"}',
    "a log line": b"2026-11-28 12:00:00 INFO ready",
    "blank": b"",
    "a control character": b"\x00\x1b[31mred\x1b[0m",
    "JSON of another kind": b'{"event": "started"}',
    "a number": b"17",
    "an array": b"[1, null, []]",
    "the start of a message": b'{"jsonrpc": "2.0", "method"',
    "an answer to nothing": b'{"jsonrpc": "2.0", "id": 4711, "result": {}}',
    "an unknown notification": b'{"jsonrpc": "2.0", "method": "notifications/unheard_of"}',
}


@both_loops
def test_noise_between_the_messages_is_skipped(backend: str) -> None:
    async def test() -> None:
        noisy = {
            f"noisy_{number}": {"lines": [line], "result": text("fine")} for number, line in enumerate(NOISE.values())
        }
        async with raw_stdio({**noisy, "quiet": {"result": text("quiet")}}) as tools:
            for name in noisy:
                assert await call(tools, name, timeout=PATIENCE) == ToolOutput("fine")
            assert (await call(tools, "quiet")).output == "quiet"
            assert connected(tools)

    run(backend, test)


READABLE: dict[str, tuple[bytes, str]] = {
    "half a character": (rb'{"content": [{"type": "text", "text": "cut \ud83d"}]}', "cut �"),
    "half a character within": (rb'{"content": [{"type": "text", "text": "a \udc00 b"}]}', "a � b"),
    "bytes that are not UTF-8": (b'{"content": [{"type": "text", "text": "caf\xe9"}]}', "caf�"),
    "NaN": (b'{"content": [], "structuredContent": {"a": NaN}}', '{"a":NaN}'),
    "a large integer": (
        b'{"content": [], "structuredContent": [12345678901234567890123]}',
        "[12345678901234567890123]",
    ),
    "only structured content": (b'{"structuredContent": "x"}', '"x"'),
}


@both_loops
def test_results_that_strict_parsers_refuse_are_handed_on(backend: str) -> None:
    async def test() -> None:
        said = {
            f"t{number}": {"lines": [b'{"jsonrpc": "2.0", "id": <ID>, "result": ' + result + b"}"]}
            for number, (result, _) in enumerate(READABLE.values())
        }
        async with raw_stdio(said) as tools:
            for name, (_, expected) in zip(said, READABLE.values(), strict=True):
                assert await call(tools, name, timeout=PATIENCE) == ToolOutput(expected)

    run(backend, test)


@both_loops
def test_an_answer_whose_id_is_a_text_is_read_as_any_other(backend: str) -> None:
    async def test() -> None:
        strict = {"tool": {"outputSchema": {"type": "object", "required": ["n"]}}}
        answer = b'{"jsonrpc": "2.0", "id": "<ID>", "result": {"content": [{"type": "text", "text": "fine"}]}}'
        async with raw_stdio({"t": {"lines": [answer], **strict}}) as tools:
            assert await call(tools, "t", timeout=PATIENCE) == ToolOutput("fine")

    run(backend, test)


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"jsonrpc": "2.0", "id": <ID>, "result": {"content": [', "cannot be read"),
    "cut off, the id last": (b'{"result": {"content": [}, "jsonrpc": "2.0", "id": <ID>}', "cannot be read"),
    "neither result nor error": (b'{"jsonrpc": "2.0", "id": <ID>}', "neither a result nor an error"),
    "an error that is a text": (b'{"jsonrpc": "2.0", "id": <ID>, "error": "No credit."}', "No credit."),
    "an error without a code": (b'{"jsonrpc": "2.0", "id": <ID>, "error": {"message": "No credit."}}', "No credit."),
    "a result that is null": (b'{"jsonrpc": "2.0", "id": <ID>, "result": null}', "neither a result nor an error"),
    "too deep": (b'{"jsonrpc": "2.0", "id": <ID>, "result": ' + b"[" * 999 + b"]" * 999 + b"}", "max_nesting exceeded"),
    "too long": (b'{"jsonrpc": "2.0", "id": <ID>, "result": "' + b"x" * 40_000 + b'"}', "max_event_bytes exceeded"),
}


@both_loops
def test_answers_that_cannot_be_read_are_errors_at_once(backend: str) -> None:
    async def test() -> None:
        said: dict[str, Any] = {f"t{number}": {"lines": [line]} for number, (line, _) in enumerate(UNREADABLE.values())}
        said["fine"] = {"result": text("fine")}
        async with raw_stdio(said, limits=Limits(max_event_bytes=20_000)) as tools:
            for name, (_, reason) in zip(said, UNREADABLE.values(), strict=False):
                with pytest.raises(ToolError, match=reason) as caught:
                    await call(tools, name)
                assert caught.value.retry_safety == "unsafe"
                assert (await call(tools, "fine")).output == "fine"

    run(backend, test)


@both_loops
def test_what_is_quoted_of_an_answer_has_no_secret(backend: str) -> None:
    async def test() -> None:
        lines = [
            b'{"jsonrpc": "2.0", "id": <ID>, "error": "Bad token: not-shown-0123"}',
            b'{"jsonrpc": "2.0", "id": <ID>, "not-shown-0123"}',
        ]
        said: dict[str, Any] = {f"t{number}": {"lines": [line]} for number, line in enumerate(lines)}
        async with raw_stdio(said, env={"TOKEN": "not-shown-0123"}) as tools:
            for name in said:
                with pytest.raises(ToolError) as caught:
                    await call(tools, name)
                assert "not-shown-0123" not in "".join(traceback.format_exception(caught.value))

    run(backend, test)


@both_loops
def test_a_long_line_that_answers_nothing_ends_the_session(backend: str) -> None:
    async def test() -> None:
        said = {"t": {"lines": [b"x" * 40_000]}, "fine": {"result": text("fine")}}
        async with raw_stdio(said, limits=Limits(max_event_bytes=20_000)) as tools:
            with pytest.raises(ToolError, match="is gone: max_event_bytes exceeded"):
                await call(tools, "t")
            assert not connected(tools)
            assert (await call(tools, "fine")).output == "fine"

    run(backend, test)


@both_loops
def test_a_program_that_stops_writing_is_lost_at_once(backend: str) -> None:
    async def test() -> None:
        before = children()
        said = {"dumb": {"closes": True}, "slow": {}, "fine": {"result": text("fine")}}
        async with raw_stdio(said) as tools:
            failures: list[ToolError] = []

            async def fails(name: str) -> None:
                with pytest.raises(ToolError, match="is gone") as caught:
                    await call(tools, name)
                failures.append(caught.value)

            async with anyio.create_task_group() as group:
                group.start_soon(fails, "slow")
                await anyio.sleep(0.1)
                group.start_soon(fails, "dumb")
            assert [failure.retry_safety for failure in failures] == ["unsafe"] * 2
            assert not connected(tools)
            assert (await call(tools, "fine")).output == "fine"
            assert connected(tools)
        assert children() == before

    run(backend, test)


@both_loops
def test_large_results_are_read(backend: str) -> None:
    async def test() -> None:
        size = 12 * 1024 * 1024
        async with stdio() as tools:
            assert (await call(tools, "large", {"size": size}, timeout=PATIENCE)).output == "x" * size

    run(backend, test)


@both_loops
def test_half_characters_in_arguments_are_sent_as_whole_ones(backend: str) -> None:
    async def test() -> None:
        async with raw_stdio({"t": {"echo": True}}) as tools:
            output = await call(tools, "t", '{"a": "cut \\ud83d", "n": 12345678901234567890123}')
            assert output.output == '{"a": "cut \\ufffd", "n": 12345678901234567890123}'

    run(backend, test)


@both_loops
def test_a_listing_beyond_the_bounds_is_refused(backend: str) -> None:
    async def test() -> None:
        many = {f"t{number}": {"result": text("")} for number in range(30)}
        for limits, name in (
            (Limits(max_mcp_tools=29), "max_mcp_tools"),
            (Limits(max_mcp_tools_bytes=500), "max_mcp_tools_bytes"),
            (Limits(max_event_bytes=500), "max_event_bytes"),
        ):
            before = children()
            with pytest.raises(ConnectError, match=f"{name} exceeded") as caught:
                await raw_stdio(many, limits=limits).__aenter__()
            assert isinstance(caught.value.__cause__, LimitExceeded)
            assert children() == before
        async with raw_stdio(many, limits=Limits(max_mcp_tools=30)) as tools:
            assert len(tools.definitions()) == 30

    run(backend, test)
