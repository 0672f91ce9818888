"""Requests at random: whatever is sent, over HTTP or WebSocket, the server never fails by itself.

A hundred examples in the suite, ten thousand by `make fuzz`.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.asgi import Client
from tests.support import run

from responses_proto.models.conversations import CreateConversation, CreateConversationItems, UpdateConversation
from responses_proto.models.request import (
    CompactRequest,
    CreateResponse,
    InputTokensRequest,
    ResponseCreateMessage,
    ResponseInject,
    ResponseSteer,
)
from responses_proto.scripted import Scripted
from responses_proto.server import MemoryStore, ResponsesApp, SQLiteStore
from responses_proto.testing import strategies

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

EXAMPLES: Final = min(settings().max_examples, 10_000)

BODIES: Final[dict[str, Any]] = {
    "/responses": CreateResponse,
    "/responses/compact": CompactRequest,
    "/responses/input_tokens": InputTokensRequest,
    "/conversations": CreateConversation,
    "/conversations/{id}": UpdateConversation,
    "/conversations/{id}/items": CreateConversationItems,
}
PATHS: Final = (*BODIES, "/responses/{id}", "/responses/{id}/cancel", "/responses/{id}/input_items", "/models/{id}")
IDS: Final = ("resp_known", "conv_known", "msg_known", "", "%2F", "..", "\ud800", "a\0b", "ä", "x" * 500)
odd_ids = st.sampled_from(IDS) | st.text(max_size=5)


@st.composite
def bodies(draw: st.DrawFn, cls: type[Any]) -> Any:
    """Draw a body that fits a class, or nearly: with other ids, and with one field of another type."""
    body = dict(draw(strategies.payloads(cls, beyond=draw(st.booleans()))))
    for name in ("previous_response_id", "conversation", "response_id"):
        if name in body and draw(st.booleans()):
            body[name] = draw(odd_ids)
    if draw(st.integers(0, 4)):  # so that most requests get past the first checks
        body = {"model": "m", "input": "x", **body} if "model" in attrs.fields_dict(cls) else body
    if body and draw(st.integers(0, 3)) == 0:
        body[draw(st.sampled_from(sorted(body)))] = draw(strategies.json_values())
    return body


@st.composite
def http_requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    path = draw(st.sampled_from(PATHS))
    content = json.dumps(draw(bodies(BODIES.get(path, CreateResponse)))).encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + draw(st.integers(0, 3)) :]
    query = draw(
        st.sampled_from(
            ["", "?stream=true", "?limit=0", "?after=x&order=asc", "?stream=true&starting_after=9", "?limit=\ud800"]
        )
    )
    path = path.replace("{id}", draw(odd_ids).replace("?", "").replace("#", ""))
    method = draw(st.sampled_from(["POST", "POST", "GET", "DELETE", "PATCH", "HEAD"]))
    headers = draw(
        st.sampled_from(
            [
                {},
                {"content-type": "application/json"},
                {"idempotency-key": "k"},
                {"content-length": "x"},
                {"accept": "\xff"},
            ]
        )
    )
    return method, f"/v1{path}{query}".encode(errors="replace").decode(), content, headers


def assert_no_failure(content: bytes) -> None:
    assert b"The server had an internal error" not in content
    assert b"could not be stored" not in content


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_http(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    @settings(max_examples=EXAMPLES)
    @given(st.lists(http_requests(), min_size=1, max_size=3))
    def fuzz(requests: list[tuple[str, str, bytes, dict[str, str]]]) -> None:
        async def main() -> None:
            store = MemoryStore(max_bytes=100_000) if kind == "memory" else SQLiteStore(tmp_path / "store.db")
            async with ResponsesApp(Scripted(), store=store, models=["m"]) as app:
                for method, path, content, headers in requests:
                    client = await Client(app).request(content, method=method, path=path, headers=headers)
                    assert 200 <= client.status < 500 or client.status == 507, client.content
                    assert_no_failure(client.content)

        run("asyncio", main)
        assert caplog.records == []

    fuzz()


@st.composite
def messages(draw: st.DrawFn) -> str | bytes:
    cls = draw(st.sampled_from([ResponseCreateMessage, ResponseCreateMessage, ResponseSteer, ResponseInject]))
    text = json.dumps(draw(bodies(cls)))
    if draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text.encode() if draw(st.booleans()) else text


def test_websocket(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    @settings(max_examples=EXAMPLES)
    @given(st.lists(messages(), min_size=1, max_size=4))
    def fuzz(given_messages: list[str | bytes]) -> None:
        async def main() -> None:
            sent: list[bytes] = []
            waiting: list[dict[str, Any]] = [{"type": "websocket.connect"}]
            for one in given_messages:
                key = "text" if isinstance(one, str) else "bytes"
                waiting.append({"type": "websocket.receive", key: one})

            async def receive() -> dict[str, Any]:
                await anyio.sleep(0.001 if waiting else 0.01)
                return waiting.pop(0) if waiting else {"type": "websocket.disconnect"}

            async def send(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "websocket.send":
                    sent.append(message["text"].encode())

            scope: dict[str, Any] = {
                "type": "websocket",
                "scheme": "ws",
                "path": "/v1/responses",
                "root_path": "",
                "headers": [],
            }
            async with ResponsesApp(Scripted()) as app:
                await app(scope, receive, send)
            for content in sent:
                assert_no_failure(content)
                assert json.loads(content).get("status", 400) < 500

        run("asyncio", main)
        assert caplog.records == []

    fuzz()
