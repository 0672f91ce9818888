"""The fake provider of Chat Completions, over a real socket, as its users use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support import both_loops, run

from responses_proto.exceptions import UsageError
from responses_proto.testing import CHAT_DIALECTS, Answer, ChatCall, ChatDialect, ChatTurn, FakeChat, Fault

if TYPE_CHECKING:
    from responses_proto.testing import ServerExchange


async def post(provider: FakeChat, **fields: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return await client.post(f"{provider.url}/chat/completions", json=body)


def chunks_of(reply: httpx.Response) -> list[dict[str, Any]]:
    frames = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.startswith("data: ")]
    return [json.loads(frame) for frame in frames if frame != "[DONE]"]


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@both_loops
def test_turns_answer_one_request_each(backend: str) -> None:
    async def main() -> None:
        async with FakeChat("One, two.", ChatTurn.say("Three."), models=["a", "b"]) as provider:
            first = await post(provider, stream=True)
            assert first.headers["content-type"] == "text/event-stream"
            assert first.text.endswith("data: [DONE]\n\n")
            assert text_of(chunks_of(first)) == "One, two."
            for _ in range(2):
                whole = (await post(provider)).json()
                assert whole["choices"][0]["message"] == {"role": "assistant", "content": "Three."}
                assert whole["model"] == "m"
            async with httpx.AsyncClient() as client:
                models = (await client.get(f"{provider.url}/models")).json()
                assert [model["id"] for model in models["data"]] == ["a", "b"]
                assert (await client.get(f"{provider.url}/files")).status_code == 404
            assert [request.json["model"] for request in provider.requests[:3]] == ["m"] * 3

    run(backend, main)


@both_loops
def test_a_turn_can_be_any_answer_or_a_function_of_the_exchange(backend: str) -> None:
    async def later(exchange: ServerExchange) -> str:
        return f"{len(exchange.request.json['messages'])} messages"

    async def by_itself(exchange: ServerExchange) -> None:
        await exchange.start(418)
        await exchange.finish()

    async def main() -> None:
        async with FakeChat(Answer.error(429, "Slow down."), lambda _: "At once.", later, by_itself) as provider:
            assert (await post(provider)).status_code == 429
            assert (await post(provider)).json()["choices"][0]["message"]["content"] == "At once."
            assert (await post(provider)).json()["choices"][0]["message"]["content"] == "1 messages"
            assert (await post(provider)).status_code == 418

    run(backend, main)


@both_loops
def test_a_turn_that_is_none_is_an_error_of_the_script(backend: str) -> None:
    wrong: Any = ["One.", "Two."]

    async def use() -> None:
        async with FakeChat(wrong) as provider:
            reply = await post(provider)
            assert (reply.status_code, "a turn must be a text" in reply.text) == (500, True)

    async def main() -> None:
        with pytest.raises(UsageError, match="a turn must be a text"):
            await use()

    run(backend, main)


@both_loops
def test_faults(backend: str) -> None:
    async def main() -> None:
        cut = ChatTurn.say("One, two.").with_faults(Fault.eof(after=1))
        silent = ChatTurn.say("One", finish_reason=None)
        failing = ChatTurn.say("One", error={"error": {"message": "broken"}})
        async with FakeChat(cut, silent, failing) as provider:
            with pytest.raises(httpx.RemoteProtocolError):
                await post(provider, stream=True)
            assert "[DONE]" not in (await post(provider, stream=True)).text
            assert chunks_of(await post(provider, stream=True))[-1] == {"error": {"message": "broken"}}
            assert (await post(provider)).json() == {"error": {"message": "broken"}}

    run(backend, main)


def test_dialects_differ() -> None:
    calls = (ChatCall(name="f", arguments=('{"a"', ":1}"), id="c1"), ChatCall(name="g", id="c2"))
    turn = ChatTurn(text=("Hi",), reasoning=("Hm.",), calls=calls)

    async def main() -> None:
        seen: dict[str, list[dict[str, Any]]] = {}
        for name in ("openai", "mistral", "gemini", "groq", "openrouter"):
            async with FakeChat(turn, dialect=name) as provider:
                reply = await post(provider, stream=True)
                seen[name] = chunks_of(reply)
                assert (": OPENROUTER PROCESSING" in reply.text) is (name == "openrouter")
        deltas = {
            name: [choice["delta"] for chunk in found for choice in chunk["choices"]] for name, found in seen.items()
        }
        assert any(delta.get("reasoning_content") for delta in deltas["openai"])
        assert any(isinstance(delta.get("content"), list) for delta in deltas["mistral"])
        assert text_of(seen["gemini"]) == "<thought>Hm.</thought>Hi"
        assert "usage" in seen["groq"][-1]["x_groq"]
        pieces = {
            name: [call for delta in found for call in delta.get("tool_calls") or ()] for name, found in deltas.items()
        }
        assert [piece["index"] for piece in pieces["openai"]] == [0, 1, 0, 1, 0]  # side by side
        assert ["index" in piece for piece in pieces["gemini"]] == [False, False]

    run("asyncio", main)


def test_the_dialect_can_be_replaced_and_must_be_known() -> None:
    async def main() -> None:
        async with FakeChat(ChatTurn(reasoning=("Hm.",)), dialect=ChatDialect(reasoning="reasoning")) as provider:
            assert (await post(provider)).json()["choices"][0]["message"]["reasoning"] == "Hm."
            provider.dialect = CHAT_DIALECTS["deepseek"]
            assert (await post(provider)).json()["choices"][0]["message"]["reasoning_content"] == "Hm."

    run("trio", main)
    with pytest.raises(UsageError, match="known dialects: anthropic"):
        FakeChat(dialect="acme")


def test_a_provider_without_turns_says_hello_and_one_whose_script_raises_says_so() -> None:
    def fail(_exchange: ServerExchange) -> str:
        raise KeyError("x")

    async def ask_the_failing_one() -> None:
        async with FakeChat(fail) as provider:
            assert (await post(provider)).status_code == 500

    async def main() -> None:
        async with FakeChat() as provider:
            assert (await post(provider)).json()["choices"][0]["message"]["content"] == "Hello, world."
        with pytest.raises(KeyError):
            await ask_the_failing_one()

    run("asyncio", main)
