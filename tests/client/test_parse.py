from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.streams import frame, numbered, plain, saying, wire
from tests.structured_cases import CASES, Case, Num
from tests.support import both_loops, run

from responses_proto import ResponsesClient
from responses_proto.exceptions import APIError, StreamInterrupted, UsageError
from responses_proto.models.config import TextConfig
from responses_proto.schema import Incomplete, Invalid, Parsed, ParseResult, Refused, json_schema, text_format
from responses_proto.testing import Answer, FakeServer, ServerExchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.streams import Wire

    from responses_proto.typing import JSONObject

KEY = "key-that-nobody-may-see"


def client(url: str) -> ResponsesClient:
    return ResponsesClient(url, KEY)


# ---- the matrix: what the server says, and what it is


def refused(case: Case) -> dict[str, Any]:
    made = saying(case.text)
    made["output"][0]["content"].insert(0, {"type": "refusal", "refusal": "I would rather not."})
    return made


ANSWERS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "ok": lambda case: saying(case.text),
    "refusal": refused,
    "truncated": lambda case: saying(case.text[:-1], "incomplete", incomplete_details={"reason": "max_output_tokens"}),
    "invalid-json": lambda case: saying(case.text[:-1]),
    "wrong-shape": lambda case: saying(case.wrong),
    "fenced": lambda case: saying(f"```json\n{case.text}\n```"),
}


def check(result: ParseResult[Any], answer: str, case: Case) -> None:
    match answer, result:
        case "ok" | "fenced", Parsed(value):
            assert value == case.value
            assert type(value) is type(case.value)
        case "refusal", Refused(text):
            assert text == "I would rather not."
        case "truncated", Incomplete(reason):
            assert reason == "max_output_tokens"
        case "invalid-json", Invalid(path, _, text):
            assert (path, text) == ("$", case.text[:-1])
        case "wrong-shape", Invalid(path, _, text):
            assert (path, text) == (case.path, case.wrong)
        case _:
            pytest.fail(f"{answer}: {result}")
    assert result.response
    assert result.response.id == "resp_1"


def streamed(made: dict[str, Any]) -> Answer:
    """Return a response as the events of a stream."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = made["output"][0]
    listed = plain()[:3]
    for at, part in enumerate(item["content"]):
        kind, key = ("output_text", "text") if part["type"] == "output_text" else ("refusal", "refusal")
        said = {**place, "content_index": at}
        listed += [
            {"type": "response.content_part.added", **said, "part": {**part, key: ""}},
            *(
                {"type": f"response.{kind}.delta", **said, "delta": part[key][i : i + 5]}
                for i in range(0, len(part[key]), 5)
            ),
            {"type": f"response.{kind}.done", **said, key: part[key]},
            {"type": "response.content_part.done", **said, "part": part},
        ]
    listed += [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{made['status']}", "response": made},
    ]
    return Answer.events(numbered(listed))


@both_loops
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_matrix_over_a_socket(backend: str, answer: str) -> None:
    async def test() -> None:
        said: list[Answer] = []
        async with FakeServer(lambda _: said[-1]) as server, client(server.url) as c:
            for case in CASES:
                made = ANSWERS[answer](case)
                said.append(Answer.json(made))
                check(await c.parse(case.type, model="m", input="x"), answer, case)
                wanted = server.requests[-1].json["text"]["format"]
                assert (wanted["type"], wanted["strict"]) == ("json_schema", True)
                assert wanted["schema"] == json_schema(case.type)
                said.append(streamed(made))
                async with c.stream(model="m", input="x", text=TextConfig(format=text_format(case.type))) as stream:
                    check(await stream.parse(case.type), answer, case)
                assert server.requests[-1].json["text"]["format"] == wanted

    run(backend, test)


# ---- requests


@both_loops
def test_the_format_is_merged_into_the_text_settings_of_the_request(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.json(saying('{"number": 1}'))) as server, client(server.url) as c:
            raw: JSONObject = {"model": "m", "input": "x", "text": {"verbosity": "low"}, "vendor": 1}
            assert await c.parse(Num, raw, temperature=0.0) == Parsed(Num(1))
            sent = server.requests[0].json
            assert sent["text"].pop("format")["name"] == "Num"
            assert sent == {**raw, "temperature": 0.0}
            assert raw["text"] == {"verbosity": "low"}

    run(backend, test)


@both_loops
def test_an_unsupported_type_is_refused_before_anything_is_sent(backend: str) -> None:
    async def test() -> None:
        async with FakeServer() as server, client(server.url) as c:
            with pytest.raises(UsageError, match="objects with arbitrary keys"):
                await c.parse(dict[str, int], model="m", input="x")
            with pytest.raises(UsageError, match="must not have a text format"):
                await c.parse(Num, model="m", text={"format": {"type": "text"}})
            assert server.requests == []

    run(backend, test)


@both_loops
def test_an_error_of_the_server_is_raised(backend: str) -> None:
    async def test() -> None:
        async with FakeServer(Answer.error(400, "No.")) as server, client(server.url) as c:
            with pytest.raises(APIError, match="No"):
                await c.parse(Num, model="m", input="x")

    run(backend, test)


# ---- streams


@both_loops
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (plain(['{"number"', ": 1}"], last=None), Incomplete("truncated", {"number": 1})),
        (plain(['{"number"', ": 1"], last="incomplete"), Incomplete("incomplete", {})),
        (plain(['{"number"', ": 1}"], last="failed", error={"code": "server_error", "message": "x"}),
         Incomplete("server_error", {"number": 1})),
        (plain(['{"number"', ": 1}"]), Parsed(Num(1))),
    ],
)  # fmt: skip
def test_only_a_completed_stream_is_parsed(backend: str, listed: list[Wire], expected: object) -> None:
    async def test() -> None:
        async with FakeServer(Answer.events(listed)) as server, client(server.url) as c:
            async with c.stream(model="m", input="x") as stream:
                assert await stream.parse(Num) == expected
            assert await stream.parse(Num) == expected  # and after the block

    run(backend, test)


@both_loops
def test_parsing_waits_for_the_terminal_event(backend: str) -> None:
    async def test() -> None:
        whole_text, go_on = anyio.Event(), anyio.Event()
        results: list[ParseResult[Num]] = []

        async def script(peer: ServerExchange) -> None:
            listed = plain(['{"number": 1}'])
            await peer.send(wire(listed[:-1]))
            whole_text.set()
            await go_on.wait()
            await peer.send(frame(listed[-1]))

        async with (
            FakeServer(script) as server,
            client(server.url) as c,
            c.stream(model="m", input="x") as stream,
            anyio.create_task_group() as tasks,
        ):

            async def parse() -> None:
                results.append(await stream.parse(Num))

            tasks.start_soon(parse)
            await whole_text.wait()
            await anyio.sleep(0.05)
            assert results == []
            go_on.set()
        assert results == [Parsed(Num(1))]

    run(backend, test)


@both_loops
def test_a_broken_connection_is_raised_and_not_a_parse_result(backend: str) -> None:
    async def test() -> None:
        async def script(peer: ServerExchange) -> None:
            await peer.send(wire(plain(['{"number": 1}'], last=None)))
            await anyio.sleep(0.05)
            await peer.reset()

        async with FakeServer(script) as server, client(server.url) as c, c.stream(model="m", input="x") as stream:
            with pytest.raises(StreamInterrupted):
                await stream.parse(Num)

    run(backend, test)
