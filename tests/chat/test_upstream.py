"""A provider of Chat Completions as the bridge reaches it: its key, its address, its answers, and its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from tests.support import PATIENCE, both_loops, run

from responses_proto import Limits, RetryPolicy, Timeouts
from responses_proto.chat import PROFILES, ChatUpstream
from responses_proto.exceptions import (
    APIError,
    AuthenticationError,
    ConnectError,
    DeadlineExceeded,
    LimitExceeded,
    LocalProtocolError,
    RateLimitError,
    ResponsesProtoError,
    UsageError,
)
from responses_proto.testing import Answer, ChatTurn, FakeChat, Fault

if TYPE_CHECKING:
    from responses_proto.testing import ServerExchange
    from responses_proto.typing import JSONValue

ROUTER = "https://router.huggingface.co/v1"
BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAMED: Any = {**BODY, "stream": True}
SECRET = "sk-a-key-that-nobody-may-see"  # noqa: S105 - a made-up one


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "RESPONSES_API_KEY", "RESPONSES_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def text_from(upstream: ChatUpstream, body: Any = STREAMED, **options: Any) -> str:
    """Return the text of an answer, whichever form it has."""
    async with upstream.open(body, **options) as answer:
        if not answer.is_stream:
            return (await answer.read())["choices"][0]["message"]["content"]  # type: ignore[no-any-return] # JSON
        received = b"".join([piece async for piece in answer])
    frames = [line.removeprefix(b"data: ") for line in received.split(b"\n\n") if line.startswith(b"data: ")]
    chunks = [json.loads(frame) for frame in frames if frame != b"[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


# ---- address and key


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs a base_url"),
        ({"base_url": ""}, "base_url is empty"),
        ({"base_url": "h/v1"}, "must look like https://host/v1"),
        ({"base_url": "http://h/v1", "key": "theirs"}, "'own' or 'forward'"),
        ({"base_url": "http://h/v1", "key": "forward", "api_key": "k"}, "pass no api_key"),
        ({"base_url": "http://h/v1", "profile": "nobody"}, "nobody"),
        ({"base_url": "http://h/v1/chat/completions"}, "the part before /chat/completions: 'http://h/v1'"),
        ({"base_url": "http://h/v1/completions/"}, "the part before /completions: 'http://h/v1'"),
        ({"base_url": "http://h/v1/responses"}, "the part before /responses"),
        ({"base_url": "http://me:pw@h/v1", "api_key": "k"}, "only one of them can be sent"),
        ({"base_url": "http://h/v1", "timeouts": 5}, "timeouts must be a Timeouts instance"),
        ({"base_url": "http://h/v1", "limits": {}}, "limits must be a Limits instance"),
        ({"base_url": ROUTER}, "HF_TOKEN"),
        ({"profile": "openai"}, "OPENAI_API_KEY"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        ChatUpstream(**arguments)
    assert words in str(caught.value)


def test_a_password_in_the_address_is_shown_nowhere() -> None:
    with pytest.raises(UsageError) as caught:
        ChatUpstream("http://me:hunter2@h/v1/chat/completions")
    assert "hunter2" not in str(caught.value)
    upstream = ChatUpstream("http://me:hunter2@h/v1")
    assert "hunter2" not in f"{upstream!r} {upstream.base_url}"


@both_loops
def test_a_key_goes_to_its_own_provider_only(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf-token")

    async def main() -> None:
        async with FakeChat(listen=False) as provider:

            async def sent(*arguments: Any, api_key: str | None = None, **settings: Any) -> str | None:
                upstream = ChatUpstream(*arguments, http_client=provider.transport, **settings)
                await text_from(upstream, api_key=api_key)
                return provider.requests[-1].headers.get("authorization")

            assert await sent(ROUTER) == "Bearer hf-token"
            assert await sent(profile="huggingface") == "Bearer hf-token"
            assert await sent(ROUTER, "mine") == "Bearer mine"
            assert await sent(ROUTER, lambda: "rotated") == "Bearer rotated"
            assert await sent("http://elsewhere.example/v1", profile="huggingface") is None
            assert await sent("http://elsewhere.example/v1") is None
            assert await sent(ROUTER, key="forward") is None
            assert await sent(ROUTER, key="forward", api_key="theirs") == "Bearer theirs"
            assert await sent(ROUTER, "mine", api_key="theirs") == "Bearer theirs"
            assert await sent("http://me:pw@elsewhere.example/v1") == "Basic bWU6cHc="
            assert await sent("http://h/v1", headers={"Authorization": "Other x"}) == "Other x"

    run(backend, main)


def test_the_profile_is_that_of_the_address_or_the_one_that_is_given() -> None:
    assert ChatUpstream(ROUTER, "k").profile is PROFILES["huggingface"]
    assert ChatUpstream(ROUTER, "k", profile="vllm").profile is PROFILES["vllm"]
    assert ChatUpstream("http://h/v1", profile=PROFILES["groq"]).profile is PROFILES["groq"]
    assert ChatUpstream(profile="openai", api_key="k").base_url == "https://api.openai.com/v1"
    assert repr(ChatUpstream(ROUTER, SECRET)) == f"<ChatUpstream huggingface at {ROUTER}>"


# ---- answers


@both_loops
def test_an_answer_is_read_in_the_form_that_it_has(backend: str) -> None:
    async def main() -> None:
        whole: JSONValue = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Whole."}}]}
        marked = Answer.body(b"\xef\xbb\xbf \n" + json.dumps(whole).encode(), content_type="text/plain")
        async with FakeChat("One.", "Two.", Answer.json(whole), marked) as provider, ChatUpstream(provider.url) as up:
            assert await text_from(up) == "One."
            assert await text_from(up, BODY) == "Two."
            assert await text_from(up) == "Whole."  # a completion where a stream was asked for
            assert await text_from(up) == "Whole."
            assert provider.connections == 1

    run(backend, main)


@both_loops
@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Answer.error(401, f"Wrong key {SECRET}"), AuthenticationError, "Wrong key"),
        (Answer.error(429, "Slow down.", headers={"retry-after": "30"}), RateLimitError, "Slow down."),
        (Answer.json({"error": {"message": "In a 200."}}), APIError, "In a 200."),
        (Answer.json({"choices": []}), APIError, "a chat completion"),
        (Answer.json([1]), APIError, "a chat completion"),
        (Answer.body(b"<html>Sign in</html>"), APIError, "a chat completion"),
        (Answer.redirect("http://127.0.0.1:1/"), ResponsesProtoError, "redirect"),
        (Answer.body(b'{"choices": [', content_type="application/json"), APIError, "a chat completion"),
    ],
    ids=["key", "too many", "error in 200", "no choice", "list", "page", "redirect", "half"],
)
def test_what_is_no_completion_is_an_error(backend: str, answer: Answer, error: type[Exception], words: str) -> None:
    async def main() -> None:
        async with FakeChat(answer) as provider, ChatUpstream(provider.url, SECRET) as upstream:
            for body in STREAMED, BODY:
                with pytest.raises(ResponsesProtoError) as caught:
                    await text_from(upstream, body)
                assert isinstance(caught.value, error)
                assert words in str(caught.value)
                assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)}"

    run(backend, main)


@both_loops
def test_a_stream_without_an_event_is_the_readers_to_judge(backend: str) -> None:
    async def main() -> None:
        nothing = Answer.body(b"", content_type="text/event-stream")
        async with (
            FakeChat(nothing) as provider,
            ChatUpstream(provider.url) as upstream,
            upstream.open(STREAMED) as answer,
        ):
            assert answer.is_stream
            assert [piece async for piece in answer] == []

    run(backend, main)


@both_loops
def test_the_names_of_models_are_found_in_any_form(backend: str) -> None:
    async def main() -> None:
        answers: list[tuple[Any, list[str]]] = [
            ({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
            ([{"id": "a"}], ["a"]),  # as Together answers
            ({"data": [{"id": 5}, "junk", None, {"id": "c"}]}, ["c"]),
            ({"data": None}, []),
            ({}, []),
        ]
        async with FakeChat(listen=False) as provider:
            upstream = ChatUpstream("http://h/v1", http_client=provider.transport)
            for answer, names in answers:
                provider.script = Answer.json(answer)
                assert await upstream.models() == names
            known = ChatUpstream("http://h/v1", http_client=provider.transport, models=("x",))
            asked = len(provider.requests)
            assert await known.models() == ["x"]
            assert len(provider.requests) == asked

    run(backend, main)


# ---- failures, bounds and the end


@both_loops
def test_only_a_refusal_that_is_soon_over_is_repeated(backend: str) -> None:
    async def main() -> None:
        later = Answer.error(503, headers={"retry-after": "20"})
        async with FakeChat(Answer.error(503), "Here.", later, "Too late.") as provider:
            async with ChatUpstream(provider.url) as upstream:
                assert await text_from(upstream) == "Here."
                with pytest.raises(APIError) as caught:
                    await text_from(upstream)
                assert caught.value.retry_after == 20
            assert len(provider.requests) == 3

    run(backend, main)


@both_loops
def test_a_deadline_holds_until_something_is_said(backend: str) -> None:
    async def main() -> None:
        async def endless(exchange: ServerExchange) -> None:
            await exchange.start(content_type="text/event-stream")
            while True:
                await exchange.send(b": still there\n\n")
                await anyio.sleep(0.02)

        bounds = Timeouts(first_byte=PATIENCE, first_event=0.3, between_bytes=PATIENCE, between_events=0.3)
        once = RetryPolicy(attempts=1)
        async with FakeChat(endless) as provider, ChatUpstream(provider.url, timeouts=bounds, retry=once) as upstream:
            with pytest.raises(DeadlineExceeded) as caught:
                await text_from(upstream)
            assert caught.value.kind == "first_event"

            async def read_what_says_nothing() -> None:
                async with upstream.open(STREAMED) as answer:
                    answer.note_progress()
                    async for _ in answer:
                        pass

            with pytest.raises(DeadlineExceeded) as caught:
                await read_what_says_nothing()
            assert caught.value.kind == "between_events"

    run(backend, main)


@both_loops
def test_an_answer_is_bounded(backend: str) -> None:
    async def main() -> None:
        long = ChatTurn(text=("x" * 1000,) * 200)
        bound = Limits(max_response_bytes=50_000)
        async with FakeChat(long) as provider, ChatUpstream(provider.url, limits=bound) as upstream:
            for body in STREAMED, BODY:
                with pytest.raises(LimitExceeded) as caught:
                    await text_from(upstream, body)
                assert caught.value.limit == "max_response_bytes"

    run(backend, main)


@both_loops
def test_leaving_ends_the_request_at_once(backend: str) -> None:
    async def main() -> None:
        stalled = ChatTurn.say("One two.").with_faults(Fault.stall(2))
        async with FakeChat(stalled) as provider, ChatUpstream(provider.url) as upstream:
            async with upstream.open(STREAMED) as answer:
                async for _ in answer:
                    break
                assert provider.active == 1
            with anyio.fail_after(PATIENCE):
                while provider.active:  # noqa: ASYNC110 - the other end learns of it by its socket
                    await anyio.sleep(0.01)

    run(backend, main)


@both_loops
def test_after_the_end_there_are_no_more_requests(backend: str) -> None:
    async def main() -> None:
        async with FakeChat("Hi.", listen=False) as provider:
            mine = ChatUpstream("http://h/v1", http_client=provider.transport)
            with pytest.raises(LocalProtocolError, match="async with"):
                await mine.open(STREAMED).read()
            await mine.aclose()
            await mine.aclose()
            with pytest.raises(LocalProtocolError, match="this upstream is closed"):
                mine.open(STREAMED)
            with pytest.raises(LocalProtocolError, match="this upstream is closed"):
                await mine.models()
            # The transport was not the upstream's, and works on.
            assert await text_from(ChatUpstream("http://h/v1", http_client=provider.transport)) == "Hi."
        async with ChatUpstream("http://127.0.0.1:9/v1", retry=RetryPolicy(attempts=1)) as nobody:
            with pytest.raises(ConnectError):
                await text_from(nobody)

    run(backend, main)
