"""A client of the Responses API for a provider that only has Chat Completions, in this process and without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

from ..client._task_holder import TaskHolder
from ..client.client import ResponsesClient
from ..client.retry import RetryPolicy
from ..exceptions import LocalProtocolError
from ._in_process import InProcessTransport
from .bridge import ChatBridge
from .upstream import ChatUpstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..client._keys import ApiKey
    from ..client.gate import Gate
    from ..client.timeouts import Timeouts
    from ..client.transport.base import Transport
    from ..client.transport.http import HTTPClient
    from ..server.app import ResponsesApp
    from ..server.stores import Store
    from ..tools.executors import ToolExecutor
    from .profiles import ChatProfile

__all__ = ["chat_client"]

_URL: Final = "http://in-process.invalid/v1"


def chat_client(
    base_url: str | None = None,
    api_key: ApiKey | None = None,
    *,
    profile: ChatProfile | str | None = None,
    allow_mcp: Iterable[str] = (),
    tools: Mapping[str, ToolExecutor | None] | None = None,
    unknown_parameters: Literal["refuse", "pass"] = "refuse",
    store: Store | None = None,
    http_client: HTTPClient | Transport | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
    gate: Gate | None = None,
) -> ResponsesClient:
    """Return a client of the Responses API for a provider of Chat Completions.

    Requests are translated in this process, by a :class:`ChatBridge` in its own ``ResponsesApp``. So the whole Responses API works:
    stored responses, conversations, responses in the background, remote MCP. ``store`` keeps responses; by default they are kept in
    memory while the client is open. The other parameters are those of :class:`ChatUpstream` and :class:`ChatBridge`.

    Use the client in ``async with``. Requires the extra ``server``. Raises ``UsageError`` as these classes do, and ``ImportError`` if an
    extra is missing.
    """
    from ..server.app import ResponsesApp  # noqa: PLC0415 - needs the extra `server`, unlike the rest of the package

    upstream = ChatUpstream(
        base_url,
        api_key,
        profile=profile,
        http_client=http_client,
        timeouts=timeouts,
        retry=retry or RetryPolicy(),
        gate=gate,
    )
    bridge = ChatBridge(upstream, allow_mcp=allow_mcp, tools=tools, unknown_parameters=unknown_parameters)
    how: Literal["pass"] | None = "pass" if unknown_parameters == "pass" else None
    app = ResponsesApp(bridge, store=store, lifespan=lambda: bridge, unknown_parameters=how, allow_hosts=["*"])
    return _InProcessClient(app, timeouts)


class _InProcessClient(ResponsesClient):
    """A client that owns its server application."""

    def __init__(self, app: ResponsesApp, timeouts: Timeouts | None) -> None:
        # No retries here: the upstream retries.
        super().__init__(
            _URL, "none", http_client=InProcessTransport(app), timeouts=timeouts, retry=RetryPolicy(attempts=1)
        )
        self._app = app
        # The application has a task group, which one task must enter and exit. The caller may use different tasks.
        self._holder = TaskHolder(self._hold)
        self._entered = False

    async def _hold(self, holder: TaskHolder) -> None:
        async with self._app:
            await holder.wait_until_closed()

    async def __aenter__(self) -> Self:
        if self._entered:
            raise LocalProtocolError("this client was entered before: create another one")
        self._entered = True
        self._holder.start()
        await self._holder.wait_opened()
        return await super().__aenter__()

    async def aclose(self) -> None:
        await super().aclose()
        if self._entered:
            await self._holder.close()
        else:
            await self._app.service.store.aclose()
