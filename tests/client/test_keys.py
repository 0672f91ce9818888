"""The API key as a function: asked before each request, and once more when the server refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.streams import plain, saying
from tests.support import both_loops, run

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.exceptions import AuthenticationError, BadRequestError, UsageError
from responses_proto.testing import Answer, FakeServer, Script

if TYPE_CHECKING:
    from collections.abc import Callable

    from responses_proto.testing import ServerExchange

ONCE = RetryPolicy(attempts=1)


def accepting(key: str) -> Callable[[ServerExchange], Answer]:
    def answer(exchange: ServerExchange) -> Answer:
        sent = exchange.request.headers.get("authorization", "")
        if sent != f"Bearer {key}":
            return Answer.error(401, f"{sent} is not accepted.")
        return Answer.events(plain(["Hi"])) if exchange.request.json.get("stream") else Answer.json(saying("Hi"))

    return answer


class Keys:
    """Returns one key after the other, and the last one for ever."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]

    async def asynchronous(self) -> str:
        return self()


async def call(client: ResponsesClient, verb: str) -> str:
    if verb == "create":
        return (await client.create(model="m")).output_text
    async with client.stream(model="m") as stream:
        return (await stream.result()).output_text


@both_loops
@pytest.mark.parametrize("verb", ["create", "stream"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_refused_key_is_asked_for_again_once(backend: str, verb: str, is_async: bool) -> None:
    async def test() -> None:
        for keys, asked in ((Keys("good"), 1), (Keys("expired-key", "good"), 2)):
            get = keys.asynchronous if is_async else keys
            async with FakeServer(accepting("good")) as server:
                client = ResponsesClient(server.url, get, http_client=server.transport, retry=ONCE)
                assert await call(client, verb) == "Hi"
                assert keys.asked == asked
                assert await call(client, verb) == "Hi"
        keys = Keys("expired-key")
        async with FakeServer(accepting("good")) as server:
            client = ResponsesClient(server.url, keys, http_client=server.transport)
            with pytest.raises(AuthenticationError) as caught:
                await call(client, verb)
            assert keys.asked == 2
            assert "expired-key" not in f"{caught.value!r}{caught.value.body}{client!r}"

    run(backend, test)


@both_loops
def test_what_the_function_raises_is_raised_and_what_it_returns_is_checked(backend: str) -> None:
    def fails() -> str:
        raise LookupError("the vault is locked")

    async def test() -> None:
        async with FakeServer("Hello") as server:
            wrong: list[tuple[Any, type[Exception]]] = [
                (fails, LookupError),
                (lambda: None, UsageError),
                (lambda: "two\nlines", UsageError),
            ]
            for get, expected in wrong:
                with pytest.raises(expected):
                    await ResponsesClient(server.url, get, http_client=server.transport).create(model="m")
            assert server.requests == []
            await ResponsesClient(server.url, lambda: "", http_client=server.transport).create(model="m")
            assert "authorization" not in server.requests[-1].headers
            own = {"Authorization": "Basic x"}
            await ResponsesClient(server.url, fails, headers=own, http_client=server.transport).create(model="m")
            assert server.requests[-1].headers["authorization"] == "Basic x"

    run(backend, test)


@both_loops
def test_a_key_is_passed_without_the_word_before_it(backend: str) -> None:
    async def test() -> None:
        with pytest.raises(UsageError, match="without 'Bearer'") as caught:
            ResponsesClient("http://127.0.0.1:9", "Bearer a-secret")
        assert "a-secret" not in str(caught.value)
        async with ResponsesClient("http://127.0.0.1:9", lambda: "bearer a-secret") as client:
            with pytest.raises(UsageError, match="without 'Bearer'"):
                await client.create(model="m", input="x")

    run(backend, test)


@both_loops
def test_no_key_of_any_attempt_is_in_an_error(backend: str) -> None:
    async def test() -> None:
        keys = Keys("first-key-1111", "second-key-2222", "third-key-3333")
        busy = Answer.error(503, "Busy.", headers={"retry-after-ms": "1"})
        refused = Answer.error(400, "You sent first-key-1111, second-key-2222 and third-key-3333.")
        policy = RetryPolicy(initial_delay=0)
        async with FakeServer(Script(busy, busy, refused)) as server, ResponsesClient(server.url, keys) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.create(model="m", retry=policy)
        assert caught.value.message == "You sent ***, *** and ***."
        assert "-key-" not in str(caught.value.body)

    run(backend, test)
