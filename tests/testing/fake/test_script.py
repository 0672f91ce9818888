"""Scripts: answers in turn, by path, by what a request says, in order; and what was not used."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support import both_loops, run
from tests.testing.fake.test_answers import WHOLE

from responses_proto.exceptions import UsageError
from responses_proto.testing import Answer, FakeServer, Script

GOOD: dict[str, Any] = {"model": "m", "input": "q"}


async def post(server: FakeServer, path: str = "/responses", **request: Any) -> httpx.Response:
    """Send a request. Its body is ``GOOD`` if nothing else is given."""
    async with httpx.AsyncClient(base_url=server.url) as http:
        return await http.post(path, **(request or {"json": GOOD}))


async def say(server: FakeServer, **fields: Any) -> str:
    answer = await post(server, json={**GOOD, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["output"][0]["content"][0]["text"])


# ---- by what a request says


@both_loops
def test_an_answer_can_be_for_certain_requests(backend: str) -> None:
    async def test() -> None:
        script = (
            Script("Else.")
            .when("It rains.", "It still rains.", contains="weather")
            .when("Small.", model="small")
            .when("Cold.", json={"temperature": 0, "text": {"verbosity": "low"}})
            .when("Both.", model="big", contains="both")
        )
        async with FakeServer(script) as server:
            assert await say(server, input=[{"role": "user", "content": "What weather?"}]) == "It rains."
            assert await say(server, instructions="Be a weather service.") == "It still rains."
            assert await say(server, input="weather") == "It still rains."
            assert await say(server, model="small") == "Small."
            assert await say(server, temperature=0, text={"verbosity": "low", "format": {"type": "text"}}) == "Cold."
            assert await say(server, temperature=0.5, text={"verbosity": "low"}) == "Else."
            assert await say(server, model="big", input="both") == "Both."
            assert await say(server, model="big") == "Else."
            script.assert_all_used()

    run(backend, test)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"input": [{"role": "user"}]}, True),
        ({"input": [{"role": "user"}, {}]}, False),
        ({"input": []}, False),
        ({"tools": [{"type": "function"}]}, False),
        ({"store": False}, True),
        ({"store": 0}, False),
        ({"top_p": 1}, True),
    ],
)
def test_objects_may_have_more_fields_than_the_condition(wanted: dict[str, Any], fits: bool) -> None:
    async def test() -> None:
        async with FakeServer(Script("Else.").when("Fits.", json=wanted)) as server:
            said = await say(server, input=[{"role": "user", "content": "x"}], store=False, top_p=1.0)
            assert said == ("Fits." if fits else "Else.")

    run("asyncio", test)


def test_a_condition_without_an_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="expected answers and a condition"):
        Script().when("x")
    with pytest.raises(UsageError, match="expected answers and a condition"):
        Script().when(model="m")


# ---- in order, and all of them


@both_loops
def test_an_ordered_script_wants_these_requests_and_no_other(backend: str) -> None:
    async def asked(*inputs: str) -> list[str]:
        script = Script(ordered=True).when("One.", contains="first").when("Two.", contains="second")
        async with FakeServer(script) as server:
            return [await say(server, input=text) for text in inputs]

    async def test() -> None:
        assert await asked("first", "second") == ["One.", "Two."]
        for inputs, match in (
            (["second"], r"the next request must be: contains='first'; got POST /v1/responses .*second"),
            (["first", "second", "first"], "all 2 were given"),
        ):
            with pytest.raises(AssertionError) as failed:
                await asked(*inputs)
            (note,) = [note for note in failed.value.__notes__ if "script failed" in note]
            with pytest.raises(UsageError, match=match):
                raise UsageError(note)

    run(backend, test)


@both_loops
def test_answers_that_were_not_given_are_named(backend: str) -> None:
    async def test() -> None:
        script = Script("One.").on("GET", "/responses/resp_1", WHOLE).when("Never.", model="other")
        async with FakeServer(script) as server:
            await say(server)
        with pytest.raises(AssertionError) as missed:
            script.assert_all_used()
        assert "GET /responses/resp_1" in str(missed.value)
        assert "'Never.' for json={'model': 'other'}" in str(missed.value)
        assert "One." not in str(missed.value)

    run(backend, test)


@both_loops
def test_a_request_without_an_answer_is_shown_with_what_there_are_answers_for(backend: str) -> None:
    async def test() -> None:
        script = Script().when("Rain.", contains="weather", model="m").on("GET", "/responses/resp_1", WHOLE)
        with pytest.raises(AssertionError) as failed:
            async with FakeServer(script) as server:
                await say(server, input="the time")
        (note,) = [note for note in failed.value.__notes__ if "script failed" in note]
        for words in ("POST /v1/responses", "the time", "contains='weather'", "'model': 'm'", "GET /responses/resp_1"):
            assert words in note

    run(backend, test)


def an_object(_: object) -> object:
    return object()


WRONG: list[Any] = [an_object, lambda _: 3, 7, None]  # pyright: ignore[reportUnknownLambdaType] - it is wrong


@both_loops
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_an_answer_is_said_to_be_none(backend: str, wrong: Any, *, stream: bool) -> None:
    async def use() -> None:
        async with FakeServer(wrong) as server:
            answer = await post(server, json={**GOOD, "stream": stream})
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "script_error")
            server.script = "Hello."
            assert await say(server) == "Hello."

    async def test() -> None:
        with pytest.raises(UsageError, match="a script must give a text, a Response or an Answer, got"):
            await use()

    run(backend, test)


@both_loops
def test_a_script_that_fails_in_the_middle_of_an_answer_breaks_it_off(backend: str) -> None:
    async def use() -> None:
        async def script(peer: Any) -> None:
            await peer.send(b"data: {}\n\n")
            raise KeyError("late")

        async with FakeServer(script) as server:
            with pytest.raises(httpx.RemoteProtocolError):
                await post(server)

    async def test() -> None:
        with pytest.raises(KeyError, match="late"):
            await use()

    run(backend, test)


# ---- what the server refuses by itself


REFUSED: dict[str, tuple[str, dict[str, Any], int]] = {
    "a path of another API": ("/chat/completions", {"json": {"model": "m", "messages": []}}, 404),
    "a misspelt path": ("/response", {"json": GOOD}, 404),
    "the base twice": ("/v1/responses", {"json": GOOD}, 404),
    "a slash too many": ("/responses/", {"json": GOOD}, 404),
    "a known path with another method": ("/responses/resp_1", {"json": {}}, 405),
    "no body": ("/responses", {"content": b""}, 400),
    "no JSON": ("/responses", {"content": b"nope"}, 400),
    "a list": ("/responses", {"json": [GOOD]}, 400),
    "a misspelt parameter": ("/responses", {"json": {"mdel": 1}}, 400),
    "no model": ("/responses", {"json": {"input": "x"}}, 400),
    "an input of a wrong type": ("/responses", {"json": {**GOOD, "input": 7}}, 400),
    "a value that does not exist": ("/responses", {"json": {**GOOD, "truncation": "some"}}, 400),
    "no model to compact with": ("/responses/compact", {"json": {"input": "x"}}, 400),
    "no items": ("/conversations/conv_1/items", {"json": {}}, 400),
}


@both_loops
@pytest.mark.parametrize("what", REFUSED)
def test_a_request_that_a_server_refuses_is_refused(backend: str, what: str) -> None:
    path, request, status = REFUSED[what]

    async def test() -> None:
        async with FakeServer() as server:
            refused = await post(server, path, **request)
            assert refused.status_code == status
            assert refused.json()["error"]["message"]
            assert await say(server) == "Hello, world."
            (error,) = server.client_errors
            assert f"refused with {status}" in str(error)
        async with FakeServer(check_requests=False) as server:
            assert (await post(server, path, **request)).status_code == 200

    run(backend, test)


def test_a_base_url_without_its_path_is_refused_too() -> None:
    async def test() -> None:
        async with FakeServer() as server, httpx.AsyncClient() as http:
            assert (await http.post(f"{server.origin}/responses", json=GOOD)).status_code == 404
            assert (await http.post(f"{server.origin}/openai/v1/responses", json=GOOD)).status_code == 200

    run("asyncio", test)


@both_loops
def test_a_path_that_the_script_names_exists(backend: str) -> None:
    async def test() -> None:
        script = Script().on("POST", "/files", Answer.json({"id": "file_1"})).on("POST", "/healthz", Answer.json({}))
        async with FakeServer(script) as server, httpx.AsyncClient() as http:
            assert (await post(server, "/files", content=b"anything")).json() == {"id": "file_1"}
            assert (await http.post(f"{server.origin}/healthz")).json() == {}
            assert (await post(server, "/file", content=b"anything")).status_code == 404

    run(backend, test)


@both_loops
def test_the_block_tells_what_it_refused_if_the_test_fails(backend: str) -> None:
    async def test() -> None:
        async def use() -> None:
            async with FakeServer() as server:
                await post(server, "/response")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as failed:
            await use()
        assert "POST /v1/response was refused with 404" in failed.value.__notes__[0]

    run(backend, test)
