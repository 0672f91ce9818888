"""Opens an MCP session, sends its requests, and keeps its list of tools up to date.

Importing this module imports the ``mcp`` SDK.

A :class:`Session` is held open by a background task (``client._task_holder``), in which two more tasks run: one subscribes
to changes of the list of tools, one lists the tools again after each change. Errors of the SDK, of its HTTP client and
of the operating system become errors of this package, without the secrets (headers, environment, URL query) that their
texts may contain.
"""

from __future__ import annotations

import contextlib
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import anyio
import httpx2
from mcp import Client, ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.types import Implementation, PaginatedRequestParams, ToolListChangedNotification

from ..._version import __version__
from ...client._secrets import MIN_SECRET_LENGTH
from ...client._task_holder import TaskHolder
from ...codec._json import compact
from ...exceptions import (
    APIError,
    ConnectError,
    NotFoundError,
    RemoteProtocolError,
    ResponsesProtoError,
    TransportError,
)
from ...protocol.api_errors import readable
from ._http import CONNECT_TIMEOUT, GuardedClient
from ._messages import raw_result, watched
from ._stdio import stdio_streams
from ._transports import HTTP, ExistingSession, InProcess, Stdio
from ._wire import OfferedTools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from mcp.client.session import ProgressFnT

    from ...exceptions import RetrySafety
    from ...limits import Limits
    from ._transports import McpTransport

McpPeer: TypeAlias = Client | ClientSession
"""The object that sends the requests. Both classes call tools in the same way."""

T = TypeVar("T")

# All times are in seconds.
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

_CONNECTION_CLOSED: Final = "Connection closed"
_NO_ANSWER: Final = ((-32000, "SSE stream "), (-32600, "Redirect to "), (-32700, "Failed to parse "))
"""Failures that the SDK reports as errors of the server: the code, and the beginning of the message. The answer was cut
off, is at another URL, or cannot be read. Servers use the same codes for their own errors."""
_CLOSED_CODE: Final = -32000
"""The code of ``Connection closed``, which the SDK also reports as an error of the server."""

_MAX_REASON_CHARS: Final = 300


# ---- sessions


class Session:
    """A session with a server, kept open by a background task.

    Start it with ``holder.start()``, await :meth:`wait_opened`, and close it with ``holder.close()``. ``make_offer``
    converts a listing of tools to the :attr:`offer`. ``limits`` bounds what the server sends.
    """

    __slots__ = (
        "_changed",
        "_in_flight",
        "_limits",
        "_listed",
        "_lost",
        "_make_offer",
        "_name",
        "_retired",
        "_subscribed",
        "_transport",
        "_up_to_date",
        "holder",
        "offer",
        "peer",
    )

    peer: McpPeer
    """The object that sends the requests. Set once the session is open."""

    def __init__(
        self, transport: McpTransport, make_offer: Callable[[Sequence[Mapping[str, Any]]], OfferedTools], limits: Limits
    ) -> None:
        self._transport = transport
        self._name = transport.name
        self._limits = limits
        self._make_offer = make_offer
        self._changed = anyio.Event()  # the server reported a change that is not listed yet
        self._up_to_date = anyio.Event()  # every reported change is listed
        self._up_to_date.set()
        self._subscribed = anyio.Event()  # or it is known that there will be no subscription
        self._lost = False
        self._listed = False  # whether the first listing was requested
        self._in_flight = 0  # requests
        self._retired = False
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
            cause = _own_error(error) or error
            raise ConnectError(f"no MCP session with {self._name}: {self._reason(cause)}") from self._safe_cause(cause)
        self._lost = True
        raise ConnectError(f"no MCP session with {self._name} within {seconds:g} s")

    async def _hold(self, holder: TaskHolder) -> None:
        async with AsyncExitStack() as stack:
            self.peer = await self._open(stack, holder)
            async with anyio.create_task_group() as group:
                group.start_soon(self._relist_on_change)
                group.start_soon(self._subscribe)
                # Subscribe first, if it does not take long, so that no change after the listing is missed.
                with anyio.move_on_after(_SUBSCRIBE_TIMEOUT):
                    await self._subscribed.wait()
                await self.list_tools()
                await holder.wait_until_closed()
                group.cancel_scope.cancel()

    async def _open(self, stack: AsyncExitStack, holder: TaskHolder) -> McpPeer:
        match self._transport:
            case ExistingSession(session=session):
                return session
            case InProcess(server=server, protocol=protocol):
                transport: Any = server
            case Stdio(protocol=protocol) as settings:
                transport = self._over_stdio(settings, holder)
            case HTTP(protocol=protocol) as settings:
                transport = self._over_http(settings)
        # There are no callbacks for sampling, elicitation and roots, so the SDK refuses these requests of servers.
        client = Client(
            transport,
            mode=protocol,
            message_handler=self._on_message,
            client_info=Implementation(name="responses_proto", version=__version__),
            cache=None,
        )
        return await stack.enter_async_context(client)

    @contextlib.asynccontextmanager
    async def _over_stdio(self, settings: Stdio, holder: TaskHolder) -> AsyncGenerator[tuple[Any, Any]]:
        async with stdio_streams(settings, self._limits, holder) as streams:
            yield watched(streams, self._limits, on_end=self._note_end)

    @contextlib.asynccontextmanager
    async def _over_http(self, settings: HTTP) -> AsyncGenerator[tuple[Any, Any]]:
        async with AsyncExitStack() as stack:
            http: Any = settings.http_client
            if http is None:
                timeout = httpx2.Timeout(CONNECT_TIMEOUT, read=None)  # the time for an answer is set per request
                auth: Any = settings.auth
                engine: Any = settings.make_engine() if settings.make_engine is not None else None
                http = httpx2.AsyncClient(headers=settings.headers, auth=auth, timeout=timeout, transport=engine)
                await stack.enter_async_context(http)
            client = GuardedClient(http, self._limits, self._redacted)
            transport = streamable_http_client(
                settings.url, http_client=client, max_sse_event_size=self._limits.max_event_bytes
            )
            streams = await stack.enter_async_context(transport)
            yield watched(streams, self._limits, failure_of=client.failure_of, on_end=self._note_end)

    def _note_end(self) -> None:
        """Note that the transport stopped reading."""
        self._lost = True
        self.holder.request_close()  # the session is of no further use

    def retire(self) -> None:
        """Close the session as soon as its requests in flight are answered, without waiting for this."""
        self._retired = self._lost = True
        if not self._in_flight:
            self.holder.request_close()

    # Requests

    async def call_tool(self, name: str, arguments: dict[str, Any], on_progress: ProgressFnT) -> Mapping[str, Any]:
        """Call a tool by the server's name, and return its result as the server sent it. To be passed to :meth:`request`."""
        return raw_result(await self.peer.call_tool(name, arguments, progress_callback=on_progress))

    async def request(self, send: Callable[[], Awaitable[T]], seconds: float | None) -> T:
        """Send a request and return its result, within ``seconds``; ``None`` for no bound.

        Raises ``APIError`` if the server answers with an error, ``TransportError`` if there is no answer, and
        ``RemoteProtocolError`` if the answer is invalid. Their ``retry_safety`` states whether the server may have
        executed the request.
        """
        if self.lost:
            raise self._connection_lost("safe")
        self._in_flight += 1
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
        finally:
            self._in_flight -= 1
            if self._retired and not self._in_flight:
                self.holder.request_close()
        if failure is cause:
            raise failure
        failure.retry_safety = failure.retry_safety or "unsafe"
        raise failure from self._safe_cause(cause)

    async def _error_from(self, error: MCPError) -> tuple[ResponsesProtoError, Exception]:
        """Return the error that the caller gets for an error of the SDK, and its cause."""
        own = _own_error(error)
        if own is not None:
            forgot = isinstance(own, APIError) and own.status == HTTPStatus.BAD_REQUEST and own.retry_safety == "safe"
            if forgot or isinstance(own, (ConnectError, NotFoundError)):
                self._lost = True  # the server is gone, or forgot the session
            if isinstance(own, RemoteProtocolError) and self._safe_cause(own) is None:
                own = RemoteProtocolError(self._redacted(str(own)))
            own.retry_safety = own.retry_safety or "unsafe"
            return own, own
        if any(error.code == code and error.message.startswith(start) for code, start in _NO_ANSWER):
            return TransportError(f"{self._name} did not answer: {self._reason(error)}"), error
        if error.code == _CLOSED_CODE and error.message == _CONNECTION_CLOSED:
            self._note_end()
            await self.holder.wait_ended(_FAILURE_WAIT)
            return self._connection_lost("unsafe"), self.holder.failure or error
        body: dict[str, Any] = {"code": error.code, "message": self._redacted(error.message)}
        if error.error.data is not None:
            body["data"] = error.error.data
        return APIError(self._redacted(error.message), code=str(error.code), body=body), error

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
        size = 0
        for _ in range(_MAX_PAGES):
            page = await get_page(self.session, PaginatedRequestParams(cursor=cursor))
            added: list[Mapping[str, Any]] = page.model_dump(by_alias=True, mode="json")[field]
            entries += added
            size += len(compact(added))
            self._limits.check("max_mcp_tools", len(entries))
            self._limits.check("max_mcp_tools_bytes", size)
            cursor = page.next_cursor
            if not cursor:  # some servers send an empty one with the last page
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
            with contextlib.suppress(ResponsesProtoError):  # the old list stays; the next call reports the problem
                await self.request(self.list_tools, _RELIST_TIMEOUT)
            if not self._changed.is_set():
                self._up_to_date.set()

    async def _subscribe(self) -> None:
        # Since MCP 2026-07-28, servers notify subscribers only. Older servers notify all clients and refuse the
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


def _own_error(error: Exception) -> ResponsesProtoError | None:
    """Return the failure from this package that the SDK passed on as an error of the server (:mod:`._messages`)."""
    data: object = error.error.data if isinstance(error, MCPError) else None
    return data if isinstance(data, ResponsesProtoError) else None
