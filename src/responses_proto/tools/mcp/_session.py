"""Opens an MCP session, sends its requests, and keeps its list of tools up to date.

Importing this module imports the ``mcp`` SDK.

A :class:`Session` is held open by a background task (:mod:`._task_holder`), in which two more tasks run: one subscribes
to changes of the list of tools, one lists the tools again after each change. Errors of the SDK, of its HTTP client and
of the operating system become errors of this package, without the secrets (headers, environment, URL query) that their
texts may contain.
"""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import anyio
import attrs
from mcp import Client, ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.types import Implementation, PaginatedRequestParams, ToolListChangedNotification

from ..._version import __version__
from ...client._address import check_headers
from ...client._secrets import MIN_SECRET_LENGTH
from ...client.transport._errors import public_url
from ...exceptions import (
    APIError,
    ConnectError,
    RemoteProtocolError,
    ResponsesProtoError,
    TransportError,
    UsageError,
)
from ...limits import Limits
from ...protocol.api_errors import readable
from ._task_holder import TaskHolder
from ._wire import OfferedTools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from os import PathLike
    from typing import TextIO

    from mcp.server import Server
    from mcp.server.mcpserver import MCPServer

    from ...client.transport.http import HTTPClient
    from ...exceptions import RetrySafety

__all__ = ["HTTP", "ExistingSession", "InProcess", "McpPeer", "McpTransport", "Session", "Stdio"]

McpPeer: TypeAlias = Client | ClientSession
"""What sends the requests. Both classes call tools in the same way."""
_OnMessage: TypeAlias = "Callable[[object], Awaitable[None]]"

T = TypeVar("T")

# All times are in seconds.
_CONNECT_TIMEOUT: Final = 30.0
"""For HTTP to connect and to write. The time for an answer is set per request."""
_SUBSCRIBE_TIMEOUT: Final = 2.0
"""For the subscription to changes, before the tools are listed without it."""
_RELIST_TIMEOUT: Final = 60.0
"""For listing the tools again after a change."""
_CHANGE_WAIT: Final = 5.0
"""How long a call that changed the list of tools waits for the new list."""
_FAILURE_WAIT: Final = 0.5
"""How long to wait for the background task to report why a connection broke."""
_MIN_RETRY_DELAY: Final = 1.0
_MAX_RETRY_DELAY: Final = 60.0
"""Before a lost subscription is made again."""

_MAX_PAGES: Final = 100
"""Pages to read of one listing. Some servers never send the last page."""

# The SDK reports its own failures as errors of the server, with this code and messages that begin like these: the
# connection is closed, or the answer was cut off. Servers use the same code for errors of their own.
_SDK_ERROR: Final = -32000
_CONNECTION_CLOSED: Final = "Connection closed"
_ANSWER_CUT_OFF: Final = "SSE stream "

_MAX_REASON_CHARS: Final = 300


# ---- transports


@attrs.frozen
class Stdio:
    """A program to start, which speaks MCP over its standard input and output."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str | PathLike[str] | None
    errlog: TextIO | None

    def __attrs_post_init__(self) -> None:
        """Check the settings here, because the SDK's errors would come later and quote the values."""
        texts: list[object] = [self.command, *self.args]
        if isinstance(self.args, str) or not all(isinstance(text, str) for text in texts):
            raise UsageError('command must be a str and args a list of str: "python", ["server.py"]')
        for name, value in dict[str, object](self.env).items():
            if not isinstance(value, str):
                raise UsageError(f"env[{name!r}] must be a str, got {type(value).__name__} (value not shown)")
        if self.errlog is not None and not _has_descriptor(self.errlog):
            raise UsageError("errlog must be a file with a descriptor, because the program writes to it directly")

    @property
    def name(self) -> str:
        return PurePath(self.command).name

    @property
    def secrets(self) -> Sequence[str]:
        return [*self.env.values()]

    async def open(self, stack: AsyncExitStack, holder: TaskHolder, on_message: _OnMessage) -> McpPeer:
        server = StdioServerParameters(
            command=self.command, args=[*self.args], env=dict(self.env), cwd=None if self.cwd is None else str(self.cwd)
        )
        # The SDK's default is the sys.stderr of the time of its import. In notebooks, sys.stderr has no descriptor.
        errlog: Any = self.errlog or (sys.stderr if _has_descriptor(sys.stderr) else subprocess.DEVNULL)
        with holder.no_cancel():  # the SDK would not end a program whose start was cancelled
            streams = await stack.enter_async_context(stdio_client(server, errlog))
        return await _open_client(stack, contextlib.nullcontext(streams), on_message)


@attrs.frozen
class HTTP:
    """A server at a URL."""

    url: str
    headers: Mapping[str, str]
    http_client: HTTPClient | None

    def __attrs_post_init__(self) -> None:
        """Check what the SDK does not check."""
        check_headers(self.headers)
        if self.http_client is None:
            return
        if self.headers:
            raise UsageError("pass headers or http_client, not both: set the headers on your client")
        if not isinstance(self.http_client, _httpx2().AsyncClient):
            kind = f"{type(self.http_client).__module__}.{type(self.http_client).__qualname__}"
            raise UsageError(f"http_client must be an httpx2.AsyncClient, which the MCP SDK uses, got {kind}")

    @property
    def name(self) -> str:
        return public_url(self.url)

    @property
    def secrets(self) -> Sequence[str]:
        user = self.url.partition("://")[2].partition("/")[0].rpartition("@")[0]
        values = [part for value in self.headers.values() for part in (value, value.rpartition(" ")[2])]
        return [*values, user, user.partition(":")[2], self.url.partition("?")[2]]

    async def open(self, stack: AsyncExitStack, holder: TaskHolder, on_message: _OnMessage) -> McpPeer:  # noqa: ARG002 - as others do
        http: Any = self.http_client
        if http is None:
            httpx2 = _httpx2()
            http = httpx2.AsyncClient(headers=self.headers, timeout=httpx2.Timeout(_CONNECT_TIMEOUT, read=None))
            await stack.enter_async_context(http)
        # The SDK's default limit, 1 MiB, is too small for images.
        max_bytes = Limits().max_event_bytes
        transport = streamable_http_client(self.url, http_client=http, max_sse_event_size=max_bytes)
        return await _open_client(stack, transport, on_message)


@attrs.frozen
class InProcess:
    """A server object in this process."""

    server: MCPServer[Any] | Server[Any]
    secrets: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.server.name

    async def open(self, stack: AsyncExitStack, holder: TaskHolder, on_message: _OnMessage) -> McpPeer:  # noqa: ARG002 - as above
        return await _open_client(stack, self.server, on_message)


@attrs.frozen
class ExistingSession:
    """A session that the caller opened and will close."""

    session: McpPeer
    name: str = "session"
    secrets: Sequence[str] = ()

    async def open(self, stack: AsyncExitStack, holder: TaskHolder, on_message: _OnMessage) -> McpPeer:  # noqa: ARG002 - as above
        return self.session


McpTransport: TypeAlias = Stdio | HTTP | InProcess | ExistingSession
"""A way to reach a server. ``name`` is its name in messages; ``secrets`` are texts that no message may contain.

``open(stack, holder, on_message)`` opens a session. It is called in the task of ``holder``, pushes what must be closed
to ``stack``, and lets ``on_message`` receive the server's notifications.
"""


def _has_descriptor(stream: object) -> bool:
    try:
        return cast("TextIO", stream).fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def _httpx2() -> Any:
    return importlib.import_module("httpx2")  # a dependency of the SDK


async def _open_client(
    stack: AsyncExitStack,
    server: contextlib.AbstractAsyncContextManager[Any] | MCPServer[Any] | Server[Any],
    on_message: _OnMessage,
) -> Client:
    # There are no callbacks for sampling, elicitation and roots, so the SDK refuses these requests of servers.
    return await stack.enter_async_context(
        Client(
            server,
            message_handler=on_message,
            client_info=Implementation(name="responses_proto", version=__version__),
            cache=None,
        )
    )


# ---- sessions


class Session:
    """A session with a server, kept open by a background task.

    Start it with ``holder.start()``, await :meth:`wait_opened`, and close it with ``holder.close()``. ``make_offer``
    converts a listing of tools to the :attr:`offer`.
    """

    __slots__ = (
        "_changed",
        "_listed",
        "_lost",
        "_make_offer",
        "_name",
        "_subscribed",
        "_transport",
        "_up_to_date",
        "holder",
        "offer",
        "peer",
    )

    peer: McpPeer
    """What sends the requests. Set once the session is open."""

    def __init__(
        self, transport: McpTransport, make_offer: Callable[[Sequence[Mapping[str, Any]]], OfferedTools]
    ) -> None:
        self._transport = transport
        self._name = transport.name
        self._make_offer = make_offer
        self._changed = anyio.Event()  # the server reported a change that is not listed yet
        self._up_to_date = anyio.Event()  # every reported change is listed
        self._up_to_date.set()
        self._subscribed = anyio.Event()  # or it is known that there will be no subscription
        self._lost = False
        self._listed = False  # whether the first listing was requested
        self.holder = TaskHolder(self._hold)
        self.offer = OfferedTools()

    @property
    def session(self) -> ClientSession:
        """The SDK's session, for requests other than tool calls."""
        return self.peer.session if isinstance(self.peer, Client) else self.peer

    @property
    def lost(self) -> bool:
        """Whether the session ended without being closed: the server is gone, or could not be reached."""
        return self._lost or self.holder.ended

    async def wait_opened(self, seconds: float) -> None:
        """Wait until the session is open and the tools are listed.

        Raises ``ConnectError`` if that fails or takes over ``seconds``.
        """
        try:
            with anyio.move_on_after(seconds):
                return await self.holder.wait_opened()
        except Exception as error:  # noqa: BLE001 - from the SDK, the HTTP client or the operating system
            raise ConnectError(f"no MCP session with {self._name}: {self._reason(error)}") from self._safe_cause(error)
        self._lost = True
        raise ConnectError(f"no MCP session with {self._name} within {seconds:g} s")

    async def _hold(self, holder: TaskHolder) -> None:
        async with AsyncExitStack() as stack:
            self.peer = await self._transport.open(stack, holder, self._on_message)
            async with anyio.create_task_group() as group:
                group.start_soon(self._relist_on_change)
                group.start_soon(self._subscribe)
                # Subscribe first, if it does not take long, so that no change after the listing is missed.
                with anyio.move_on_after(_SUBSCRIBE_TIMEOUT):
                    await self._subscribed.wait()
                await self.list_tools()
                await holder.wait_until_closed()
                group.cancel_scope.cancel()

    # Requests

    async def request(self, send: Callable[[], Awaitable[T]], seconds: float | None) -> T:
        """Send a request and return its result, within ``seconds``; ``None`` for no bound.

        Raises ``APIError`` if the server answers with an error, ``TransportError`` if there is no answer, and
        ``RemoteProtocolError`` if the answer is invalid. Their ``retry_safety`` says whether the server may have
        executed the request.
        """
        if self.lost:
            raise self._connection_lost("safe")
        try:
            with anyio.fail_after(seconds):
                return await send()
        except MCPError as error:
            failure, cause = await self._error_from(error)
        except TimeoutError as error:
            failure, cause = TransportError(f"{self._name} did not answer within {seconds:.3g} s"), error
        except ResponsesProtoError:
            raise
        except Exception as error:  # noqa: BLE001 - the SDK's exceptions have no common base
            failure, cause = RemoteProtocolError(f"{self._name}: {self._reason(error)}"), error
        failure.retry_safety = "unsafe"
        raise failure from self._safe_cause(cause)

    async def _error_from(self, error: MCPError) -> tuple[ResponsesProtoError, Exception]:
        """Return the error that the caller gets for an error of the SDK, and its cause."""
        if error.code == _SDK_ERROR and error.message.startswith(_ANSWER_CUT_OFF):
            return TransportError(f"{self._name} did not answer: {self._reason(error)}"), error
        if error.code == _SDK_ERROR and error.message.startswith(_CONNECTION_CLOSED):
            self._lost = True
            self.holder.request_close()  # nothing of it is needed until the end of the block
            await self.holder.wait_ended(_FAILURE_WAIT)
            return self._connection_lost("unsafe"), self.holder.failure or error
        return APIError(self._redacted(error.message), code=str(error.code)), error

    async def list_tools(self) -> None:
        """List the tools of the server and replace the :attr:`offer`."""
        capabilities = self.session.server_capabilities
        if capabilities is not None and capabilities.tools is None:
            return  # the server has no tools, only resources or prompts
        self._listed = True
        tools = await self.read_pages(lambda session, params: session.list_tools(params=params), "tools")
        self.offer = self._make_offer(tools)

    async def read_pages(
        self, get_page: Callable[[ClientSession, PaginatedRequestParams], Awaitable[Any]], field: str
    ) -> list[Mapping[str, Any]]:
        """Return all entries of a paginated listing as JSON (MCP, Pagination).

        ``field`` is the field of a page that holds them.
        """
        entries: list[Mapping[str, Any]] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await get_page(self.session, PaginatedRequestParams(cursor=cursor))
            entries += page.model_dump(by_alias=True, mode="json")[field]
            cursor = page.next_cursor
            if cursor is None:
                return entries
        raise RemoteProtocolError(f"{self._name} lists {field} on more than {_MAX_PAGES} pages")

    # Error messages

    def _connection_lost(self, retry_safety: RetrySafety) -> TransportError:
        cause = self.holder.failure
        error = TransportError(f"the MCP server {self._name} is gone{f': {self._reason(cause)}' if cause else ''}")
        error.retry_safety = retry_safety
        return error

    def _reason(self, error: Exception) -> str:
        if isinstance(error, MCPError) and error.message == _CONNECTION_CLOSED:
            return "it closed the connection; its standard error or its log may say why"
        return readable(self._redacted(str(error)), _MAX_REASON_CHARS) or type(error).__name__

    def _redacted(self, text: str) -> str:
        for secret in self._transport.secrets:
            if len(secret) >= MIN_SECRET_LENGTH:
                text = text.replace(secret, "***")
        return text

    def _safe_cause(self, error: Exception) -> Exception | None:
        """Return the error if its text contains no secret, else ``None``: a traceback would show it."""
        return error if self._redacted(str(error)) == str(error) else None

    # Changes of the list of tools

    async def wait_until_listed(self) -> None:
        """Wait at most 5 seconds until the tools are listed again, if the server reported that they changed."""
        with anyio.move_on_after(_CHANGE_WAIT):
            await self._up_to_date.wait()

    async def _on_message(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._note_change()

    def _note_change(self) -> None:
        if self._up_to_date.is_set():
            self._up_to_date = anyio.Event()
        self._changed.set()

    async def _relist_on_change(self) -> None:
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            with contextlib.suppress(ResponsesProtoError):  # the old list stays; the next call reports what is wrong
                await self.request(self.list_tools, _RELIST_TIMEOUT)
            if not self._changed.is_set():
                self._up_to_date.set()

    async def _subscribe(self) -> None:
        # Since MCP 2026-07-28, servers notify subscribers only. Older servers notify everybody and refuse the
        # subscription.
        delay = _MIN_RETRY_DELAY
        while True:
            try:
                async with listen(self.session, tools_list_changed=True) as changes:
                    self._subscribed.set()
                    if self._listed:
                        self._note_change()  # the tools may have changed while there was no subscription
                    async for _ in changes:
                        self._note_change()
            except SubscriptionLost:
                pass
            except Exception:  # noqa: BLE001 - without a subscription, tools can still be called
                self._subscribed.set()
                return
            await anyio.sleep(delay)
            delay = min(2 * delay, _MAX_RETRY_DELAY)
