"""The simulated prompt cache: what two requests have in common from the beginning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.asgi import send_request
from tests.scripted.turns import WEATHER, assistant, turn, user

from responses_proto import CreateResponse
from responses_proto.models.config import Prompt
from responses_proto.models.items import Message
from responses_proto.scripted import Scripted
from responses_proto.scripted._cache import PromptCache
from responses_proto.server import ResponsesApp


def read(cache: PromptCache, *items: Any, **request: Any) -> int:
    asked = turn(*items, **request)
    return cache.tokens_read(asked.request, asked.context)


def test_the_common_beginning_is_cached() -> None:
    cache = PromptCache()
    first, answer = user("one two three"), assistant("four five")
    assert read(cache, first) == 0
    assert read(cache, first) == 3
    assert read(cache, first, answer, user("six")) == 3
    assert read(cache, first, answer, user("seven")) == 5
    assert read(cache, user("six"), first) == 0
    # The model does not see ids, and the server completes what a client leaves out.
    assert read(cache, {**first, "id": "msg_1", "status": "completed"}, {**answer, "id": "msg_2"}, user("six")) == 6


@pytest.mark.parametrize("change", [{"model": "other"}, {"instructions": "Be brief."}, {"tools": [WEATHER]}])
def test_what_comes_before_the_items_counts(change: dict[str, Any]) -> None:
    cache = PromptCache()
    read(cache, "one two")
    assert read(cache, "one two", **change) == 0
    assert read(cache, "one two", **change) == 2 + len(change.get("instructions", "").split())


def test_old_beginnings_are_forgotten() -> None:
    cache = PromptCache()
    read(cache, "first")
    for number in range(5000):
        read(cache, f"{number}")
    assert read(cache, "first") == 0
    assert read(cache, "4999") == 1


@pytest.mark.parametrize("stored", [True, False])
def test_usage_says_what_was_cached(*, stored: bool) -> None:
    app = ResponsesApp(Scripted())

    def ask(**fields: Any) -> dict[str, Any]:
        client = send_request("asyncio", app, json.dumps({"model": "m", **fields}).encode())
        return dict(client.json)

    first = ask(input="one two three")
    usage = first["usage"]
    assert usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 3}
    if stored:
        second = ask(input="four", previous_response_id=first["id"])
    else:
        second = ask(
            input=[{"role": "user", "content": "one two three"}, *first["output"], {"role": "user", "content": "four"}]
        )
    usage = second["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] == 3
    assert sum(usage["input_tokens_details"].values()) == usage["input_tokens"]


def test_a_request_may_name_no_model() -> None:
    cache = PromptCache()
    request = CreateResponse(prompt=Prompt(id="p"))
    assert [cache.tokens_read(request, [Message(role="user", content="one two")]) for _ in range(2)] == [0, 2]
