"""A client of a bridge in front of a fake provider, all in this process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
from tests.openresponses import Judge

from responses_proto import ResponsesClient, RetryPolicy
from responses_proto.chat import ChatBridge, ChatUpstream
from responses_proto.chat._in_process import InProcessTransport
from responses_proto.server import ResponsesApp
from responses_proto.testing import ChatCall, ChatTurn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from responses_proto.testing import FakeChat

KEY = "key-of-the-operator"
LABEL = "demo"


@contextlib.asynccontextmanager
async def bridge_client(
    provider: FakeChat, *, upstream: dict[str, Any] | None = None, app: dict[str, Any] | None = None, **bridge: Any
) -> AsyncGenerator[ResponsesClient]:
    """Connect to a bridge. What it sends is held against the specification, if that is there."""
    how: dict[str, Any] = {"api_key": KEY, "http_client": provider.transport, **(upstream or {})}
    made = ChatBridge(ChatUpstream("http://fake.invalid/v1", **how), **bridge)
    async with ResponsesApp(made, lifespan=lambda: made, **(app or {})) as application:
        judge = Judge(application)
        transport = InProcessTransport(judge)
        async with ResponsesClient(
            "http://local/v1", "key-of-the-client", http_client=transport, retry=RetryPolicy(attempts=1)
        ) as client:
            yield client
        assert judge.found == []


async def until_said(client: ResponsesClient, response_id: str, items: int = 1) -> None:
    """Wait until a response in the background has this many items."""
    while len((await client.retrieve(response_id)).output) < items:  # noqa: ASYNC110 - the server is asked, as by any client
        await anyio.sleep(0.001)


def calls(*made: tuple[str, str], **fields: Any) -> ChatTurn:
    """Return a turn that calls tools: name and arguments of each."""
    named = [ChatCall(name=name, arguments=(text,), id=f"call_{n}") for n, (name, text) in enumerate(made, 1)]
    return ChatTurn(calls=tuple(named), **fields)


def mcp_tool(url: str, **fields: Any) -> dict[str, Any]:
    """Return the tools of an MCP server, without approvals unless ``fields`` say otherwise."""
    return {"type": "mcp", "server_label": LABEL, "server_url": url, "require_approval": "never", **fields}
