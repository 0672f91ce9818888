"""One MCP session: how it is opened, and what is kept of its server while it lasts. Needs the SDK from the first line on."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import anyio
import attrs
from mcp import Client, ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.types import Implementation, PaginatedRequestParams, ToolListChangedNotification

from ..._version import __version__
from ...client._address import check_headers, public_url
from ...client._replies import MIN_SECRET_LENGTH
from ...exceptions import (
    APIError,
    ConnectError,
    LocalProtocolError,
    RemoteProtocolError,
    ResponsesProtoError,
    TransportError,
)
from ...limits import Limits
from ...protocol.api_errors import readable
from ._task_holder import TaskHolder
from ._wire import OfferedTool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from os import PathLike
    from typing import TextIO

    from mcp.server import Server
    from mcp.server.mcpserver import MCPServer

    from ...client.transport.http import HTTPClient
    from ...exceptions import RetrySafety

__all__ = ["HTTP", "InProcess", "McpPeer", "McpTransport", "Opened", "Session", "Stdio"]

McpPeer: TypeAlias = Client | ClientSession
"""What requests are made of. Both call tools in the same way."""
_Heard: TypeAlias = "Callable[[object], Awaitable[None]]"

T = TypeVar("T")

_PAGES: Final = 100
"""Pages of one listing that are asked for; more is a server that never says that it is through."""
_SETTLING: Final = 5.0
"""Seconds that a call waits for the new list of tools, if it changed the list."""
_SUBSCRIBING: Final = 2.0
"""Seconds that the first listing waits for the subscription to changes."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds before a subscription that was lost is made again."""
_QUICK: Final = 30.0
"""Seconds that HTTP may take to connect and to write. How long an answer may take, says who asks."""
_LISTING: Final = 60.0
"""Seconds that listing the tools anew may take, when the server says that they changed."""
_UNWINDING: Final = 0.5
"""Seconds in which the task that holds a broken connection may say what broke it."""
_CLOSED: Final = -32000
_GONE: Final = "Connection closed"
_CUT: Final = "SSE stream "
"""What the SDK says in the server's place: this code, and for a connection that is over, or for an answer that was cut off, a message
that begins like this. Servers use the code for errors of their own."""
_LONGEST_REASON: Final = 300  # characters


# ---- where a server is


@attrs.frozen
class Stdio:
    """A program that is started, and talks over its standard input and output."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str]
    cwd: str | PathLike[str] | None
    errlog: TextIO | None

    def __attrs_post_init__(self) -> None:
        """Check what the SDK would refuse later, and quote."""
        given: list[object] = [self.command, *self.args]
        if isinstance(self.args, str) or not all(isinstance(text, str) for text in given):
            raise LocalProtocolError('a command is a text, and its arguments a list of texts: "python", ["server.py"]')
        for name, value in dict[str, object](self.env).items():
            if not isinstance(value, str):
                raise LocalProtocolError(f"env[{name!r}] has to be a text (its value is not shown)")
        if self.errlog is not None and not _has_descriptor(self.errlog):
            raise LocalProtocolError("errlog has to be an open file of the system: a program writes to it")

    @property
    def name(self) -> str:
        return PurePath(self.command).name

    @property
    def secrets(self) -> Sequence[str]:
        return [*self.env.values()]

    async def open(self, stack: contextlib.AsyncExitStack, owner: TaskHolder, heard: _Heard) -> McpPeer:
        server = StdioServerParameters(
            command=self.command, args=[*self.args], env=dict(self.env), cwd=None if self.cwd is None else str(self.cwd)
        )
        # Asked for now: the SDK's own default is what it was when that was imported. In notebooks, say, it is no file.
        errlog: Any = self.errlog or (sys.stderr if _has_descriptor(sys.stderr) else subprocess.DEVNULL)
        with owner.undivided():  # a program that is half started is nobody's to end
            streams = await stack.enter_async_context(stdio_client(server, errlog))
        return await _open(stack, contextlib.nullcontext(streams), heard)


@attrs.frozen
class HTTP:
    """A server at a URL."""

    url: str
    headers: Mapping[str, str]
    http_client: HTTPClient | None

    def __attrs_post_init__(self) -> None:
        """Check what the SDK would not notice."""
        check_headers(self.headers)
        if self.http_client is None:
            return
        if self.headers:
            raise LocalProtocolError("headers or http_client, not both: give the headers to your client")
        if not isinstance(self.http_client, _httpx2().AsyncClient):
            kind = f"{type(self.http_client).__module__}.{type(self.http_client).__qualname__}"
            raise LocalProtocolError(
                f"http_client has to be an httpx2.AsyncClient, which the SDK works with, not {kind}"
            )

    @property
    def name(self) -> str:
        return public_url(self.url)

    @property
    def secrets(self) -> Sequence[str]:
        user = self.url.partition("://")[2].partition("/")[0].rpartition("@")[0]
        values = [part for value in self.headers.values() for part in (value, value.rpartition(" ")[2])]
        return [*values, user, user.partition(":")[2], self.url.partition("?")[2]]

    async def open(self, stack: contextlib.AsyncExitStack, owner: TaskHolder, heard: _Heard) -> McpPeer:  # noqa: ARG002 - a transport has it
        http: Any = self.http_client
        if http is None:
            httpx2 = _httpx2()
            http = httpx2.AsyncClient(headers=self.headers, timeout=httpx2.Timeout(_QUICK, read=None))
            await stack.enter_async_context(http)
        # The SDK's own bound, 1 MiB, is less than an image.
        longest = Limits().max_event_bytes
        return await _open(stack, streamable_http_client(self.url, http_client=http, max_sse_event_size=longest), heard)


@attrs.frozen
class InProcess:
    """A server object of this process."""

    server: MCPServer[Any] | Server[Any]
    secrets: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.server.name

    async def open(self, stack: contextlib.AsyncExitStack, owner: TaskHolder, heard: _Heard) -> McpPeer:  # noqa: ARG002 - as above
        return await _open(stack, self.server, heard)


@attrs.frozen
class Opened:
    """A session that the caller opened, and closes."""

    session: McpPeer
    name: str = "session"
    secrets: Sequence[str] = ()

    async def open(self, stack: contextlib.AsyncExitStack, owner: TaskHolder, heard: _Heard) -> McpPeer:  # noqa: ARG002 - as above
        return self.session


McpTransport: TypeAlias = Stdio | HTTP | InProcess | Opened
"""A way to a server. ``name`` is what messages call it, ``secrets`` what none may have in it. ``open`` opens a session, in the
owner's task: what has to be closed again goes onto the stack, and ``heard`` gets what the server tells unasked."""


def _has_descriptor(stream: object) -> bool:
    try:
        return cast("TextIO", stream).fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def _httpx2() -> Any:
    return importlib.import_module("httpx2")  # the SDK brings it


async def _open(
    stack: contextlib.AsyncExitStack,
    server: contextlib.AbstractAsyncContextManager[Any] | MCPServer[Any] | Server[Any],
    heard: _Heard,
) -> Client:
    # Without callbacks for them, the SDK refuses what servers ask for in turn: sampling, elicitation, roots.
    return await stack.enter_async_context(
        Client(
            server,
            message_handler=heard,
            client_info=Implementation(name="responses_proto", version=__version__),
            cache=None,
        )
    )


# ---- a session


class Session:
    """A session with a server, held by a task of its own, which also hears of changes."""

    __slots__ = (
        "_changed",
        "_gone",
        "_listed",
        "_make_offer",
        "_name",
        "_settled",
        "_subscribed",
        "_transport",
        "offer",
        "owner",
        "peer",
    )

    peer: McpPeer
    """What requests are made of, once it is open."""

    def __init__(
        self, transport: McpTransport, make_offer: Callable[[Sequence[Mapping[str, Any]]], OfferedTool]
    ) -> None:
        self._transport = transport
        self._name = transport.name
        self._make_offer = make_offer
        self._changed = anyio.Event()
        self._settled = anyio.Event()
        self._settled.set()
        self._subscribed = anyio.Event()
        self._gone = False
        self._listed = False  # or about to be
        self.owner = TaskHolder(self._hold)
        self.offer = OfferedTool()

    @property
    def session(self) -> ClientSession:
        """The session proper, for everything but calls."""
        return self.peer.session if isinstance(self.peer, Client) else self.peer

    @property
    def lost(self) -> bool:
        """Whether it ended by itself: the server is gone, or never was there."""
        return self._gone or self.owner.over

    async def opened(self, seconds: float) -> None:
        """Wait until it is open. Raises ``ConnectError`` if that fails, or takes too long."""
        try:
            with anyio.move_on_after(seconds):
                return await self.owner.opened()
        except Exception as error:  # noqa: BLE001 - from the SDK, the HTTP client or the operating system
            raise ConnectError(f"no MCP session with {self._name}: {self._told(error)}") from self._cause(error)
        self._gone = True
        raise ConnectError(f"no MCP session with {self._name} within {seconds:g} s")

    async def _hold(self, owner: TaskHolder) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self.peer = await self._transport.open(stack, owner, self._heard)
            async with anyio.create_task_group() as group:
                group.start_soon(self._follow)
                group.start_soon(self._subscribe)
                # What changes after the listing is to be heard of, so the subscription comes first, if it comes soon.
                with anyio.move_on_after(_SUBSCRIBING):
                    await self._subscribed.wait()
                await self.list_tools()
                await owner.hold()
                group.cancel_scope.cancel()

    # Requests

    async def ask(self, request: Callable[[], Awaitable[T]], seconds: float | None) -> T:
        """Make a request of the session, and tell what becomes of it in errors of this package.

        Raises ``APIError`` if the server refuses, ``TransportError`` without an answer, and ``RemoteProtocolError`` for one that
        cannot be. Their ``retry_safety`` says whether the server may have done what it was asked for.
        """
        if self.lost:
            raise self._loss("safe")
        try:
            with anyio.fail_after(seconds):
                return await request()
        except MCPError as error:
            failure, cause = await self._refusal(error)
        except TimeoutError as error:
            failure, cause = TransportError(f"{self._name} did not answer within {seconds:.3g} s"), error
        except ResponsesProtoError:
            raise
        except Exception as error:  # noqa: BLE001 - what the SDK raises has no common base
            failure, cause = RemoteProtocolError(f"{self._name}: {self._told(error)}"), error
        failure.retry_safety = "unsafe"
        raise failure from self._cause(cause)

    async def _refusal(self, error: MCPError) -> tuple[ResponsesProtoError, Exception]:
        if error.code != _CLOSED or not error.message.startswith((_GONE, _CUT)):
            return APIError(self._hidden(error.message), code=str(error.code)), error
        if error.message.startswith(_CUT):
            return TransportError(f"{self._name} did not answer: {self._told(error)}"), error
        self._gone = True
        self.owner.leave()  # what there is of it need not wait for the end of the block
        await self.owner.ended(_UNWINDING)
        return self._loss("unsafe"), self.owner.failure or error

    async def list_tools(self) -> None:
        """List the tools, and offer those from now on."""
        capabilities = self.session.server_capabilities
        if capabilities is not None and capabilities.tools is None:
            return  # a server of resources or prompts alone
        self._listed = True
        tools = await self.pages(lambda session, params: session.list_tools(params=params), "tools")
        self.offer = self._make_offer(tools)

    async def pages(
        self, ask: Callable[[ClientSession, PaginatedRequestParams], Awaitable[Any]], entries: str
    ) -> list[Mapping[str, Any]]:
        """Collect a listing page by page, as JSON (MCP, Pagination)."""
        collected: list[Mapping[str, Any]] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await ask(self.session, PaginatedRequestParams(cursor=cursor))
            collected += page.model_dump(by_alias=True, mode="json")[entries]
            cursor = page.next_cursor
            if cursor is None:
                return collected
        raise RemoteProtocolError(f"{self._name} lists {entries} on more than {_PAGES} pages")

    # What is said of errors

    def _loss(self, replay: RetrySafety) -> TransportError:
        why = self.owner.failure
        loss = TransportError(f"the MCP server {self._name} is gone{f': {self._told(why)}' if why else ''}")
        loss.retry_safety = replay
        return loss

    def _told(self, error: Exception) -> str:
        if isinstance(error, MCPError) and error.message == _GONE:
            return "it closed the connection; what it wrote to its standard error, or its log, may say why"
        return readable(self._hidden(str(error)), _LONGEST_REASON) or type(error).__name__

    def _hidden(self, text: str) -> str:
        for secret in self._transport.secrets:
            if len(secret) >= MIN_SECRET_LENGTH:
                text = text.replace(secret, "***")
        return text

    def _cause(self, error: Exception) -> Exception | None:
        return error if self._hidden(str(error)) == str(error) else None

    # Changes

    async def settled(self) -> None:
        """Wait for the new list of tools, if the server said that it changed; for a few seconds at most."""
        with anyio.move_on_after(_SETTLING):
            await self._settled.wait()

    async def _heard(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._note_change()

    def _note_change(self) -> None:
        if self._settled.is_set():
            self._settled = anyio.Event()
        self._changed.set()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            with contextlib.suppress(ResponsesProtoError):  # the old list stands; what is wrong, the next call says
                await self.ask(self.list_tools, _LISTING)
            if not self._changed.is_set():
                self._settled.set()

    async def _subscribe(self) -> None:
        # Newer servers tell changes to who asked for it only; older ones tell everybody, and do not know this.
        pause = _FIRST_PAUSE
        while True:
            try:
                async with listen(self.session, tools_list_changed=True) as changes:
                    self._subscribed.set()
                    if self._listed:
                        self._note_change()  # it may have, meanwhile
                    async for _ in changes:
                        self._note_change()
            except SubscriptionLost:
                pass
            except Exception:  # noqa: BLE001 - whatever keeps it from being told of changes, its tools can be called
                self._subscribed.set()  # as far as it can be
                return
            await anyio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
