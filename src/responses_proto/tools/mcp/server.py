"""The executor for the tools of an MCP server. Needs the extra ``mcp``.

::

    async with McpServer.stdio("uvx", ["mcp-server-git"], prefix="git_") as git:
        async with client.run(request, tools=[git]) as run:
            async for event in run: ...

This process talks to the server: it starts a program, sends requests to a URL, or uses a server object of its own. For
a server that the Responses server talks to, put an ``McpTool`` in the request instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, cast

import attrs

from ...exceptions import (
    APIError,
    LocalProtocolError,
    ResponsesProtoError,
    ToolArgumentsInvalid,
    ToolError,
    ToolNotFound,
    UsageError,
)
from ...models.items import FunctionCall
from .._signature import object_in
from ..output import ToolOutput
from ._wire import fits_name, make_offer, output_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from os import PathLike
    from types import ModuleType, TracebackType
    from typing import TextIO

    from mcp import Client, ClientSession
    from mcp.server import Server
    from mcp.server.mcpserver import MCPServer

    from ...client.transport.http import HTTPClient
    from ...models.content import Content
    from ...models.items import Item
    from ...models.response import PendingCall
    from ...models.tools import Tool
    from ..executors import ToolContext
    from ._session import McpTransport, Session
    from ._wire import OfferedTools

__all__ = ["McpResource", "McpServer"]

_DEFAULT_TIMEOUT: Final = 300.0
"""Seconds that an answer may take if neither the server object nor the run sets a timeout."""
_START_TIMEOUT: Final = 60.0


@attrs.frozen(kw_only=True)
class McpResource:
    """A resource that an MCP server offers (MCP, Server features: Resources)."""

    uri: str
    """The argument of :meth:`McpServer.read_resource`."""
    name: str
    title: str = ""
    description: str = ""
    media_type: str = ""
    size: int | None = None
    """In bytes; ``None`` if it is not known."""


class McpServer:
    """The tools of an MCP server: a :class:`~responses_proto.tools.ToolExecutor` that is an async context manager.

    Create one with :meth:`stdio`, :meth:`http`, :meth:`in_process` or :meth:`session`. Nothing is started before the
    block is entered. Entering raises ``ConnectError`` if the session cannot be opened, and ``UsageError`` if the server
    lacks a tool in ``allowed``.

    The block may be entered several times, also from different tasks: all of them share one session, which is closed
    when the last one is left. If it is entered after that, or after the server was lost, a new session is opened. That
    is how runs, which enter it themselves, can share it. When the last block is left, for any reason, the connection is
    closed and a started program ends within seconds.

    The tools are listed on entering, and again whenever the server reports that they changed. If a tool fails or the
    server refuses a call, the model reads why; if there is no answer, ``ToolError`` is raised. Cancelling a call
    cancels it at the server, and the session continues. Requests of the server to the client (sampling, elicitation)
    are refused.
    """

    __slots__ = (
        "_allowed",
        "_entered",
        "_name",
        "_prefix",
        "_session",
        "_start_timeout",
        "_transport",
        "timeout",
    )

    def __init__(
        self,
        transport: McpTransport,
        *,
        allowed: Collection[str] | None,
        prefix: str,
        timeout: float | None,
        start_timeout: float,
    ) -> None:
        # Private: the class methods make the transport.
        if isinstance(allowed, str):
            raise UsageError(f"allowed must be a list of names: [{allowed!r}]")
        for name, seconds in (("timeout", timeout), ("start_timeout", start_timeout)):
            if seconds is not None and seconds <= 0:
                raise UsageError(f"{name} must be a number of seconds above 0, got {seconds!r}")
        if not fits_name(prefix):
            raise UsageError(f"prefix must consist of at most 64 letters, digits, _ and -, got {prefix!r}")
        self._transport = transport
        self._name = transport.name
        self._allowed = allowed
        self._prefix = prefix
        self._start_timeout = start_timeout
        self._session: Session | None = None
        self._entered = 0  # how many blocks are open
        self.timeout: float | None = timeout
        """Seconds that a call may take; ``None`` leaves it to the run."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}{'' if self.connected else ', not connected'}>"

    # Constructors

    @classmethod
    def stdio(
        cls,
        command: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | PathLike[str] | None = None,
        errlog: TextIO | None = None,
        allowed: Collection[str] | None = None,
        prefix: str = "",
        timeout: float | None = None,
        start_timeout: float = _START_TIMEOUT,
    ) -> Self:
        """Start a program and talk to it over its standard input and output (MCP, Transports: stdio).

        - ``command``, ``args``: the program and its arguments. No shell is involved.
        - ``env``: environment variables for the program. Of those of this process, it gets only the few that a program
          needs (``PATH``, ``HOME``, …).
        - ``cwd``: its working directory. Default: that of this process.
        - ``errlog``: a file with a descriptor, for its standard error. Default: that of this process.
        - ``allowed``: the tools to offer, by the server's names; each must exist. Default: all.
        - ``prefix``: what the names that the model sees begin with, so that the tools of several servers do not clash.
        - ``timeout``: seconds that a call may take. ``None`` leaves it to the run; if that sets none either, it is 300.
        - ``start_timeout``: seconds until the tools are listed. Starting a program may include a download.

        Raises ``UsageError`` for an invalid argument, and ``ImportError`` if the extra ``mcp`` is not installed.
        """
        transport = _sdk().Stdio(command, args, env or {}, cwd, errlog)
        return cls(transport, allowed=allowed, prefix=prefix, timeout=timeout, start_timeout=start_timeout)

    @classmethod
    def http(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        http_client: HTTPClient | None = None,
        allowed: Collection[str] | None = None,
        prefix: str = "",
        timeout: float | None = None,
        start_timeout: float = _START_TIMEOUT,
    ) -> Self:
        """Talk to a server at a URL (MCP, Transports: Streamable HTTP).

        - ``headers``: sent with every request, such as ``{"Authorization": "Bearer ..."}``.
        - ``http_client``: an ``httpx2.AsyncClient`` to use instead. It keeps its own settings and is not closed.
        - The other parameters, and what is raised, are as for :meth:`stdio`.

        Redirects are followed within the origin.
        """
        transport = _sdk().HTTP(url, headers or {}, http_client)
        return cls(transport, allowed=allowed, prefix=prefix, timeout=timeout, start_timeout=start_timeout)

    @classmethod
    def in_process(
        cls,
        server: MCPServer[Any] | Server[Any],
        *,
        allowed: Collection[str] | None = None,
        prefix: str = "",
        timeout: float | None = None,
        start_timeout: float = _START_TIMEOUT,
    ) -> Self:
        """Use a server object in this process, without a connection. Other parameters as for :meth:`stdio`."""
        transport = _sdk().InProcess(server)
        return cls(transport, allowed=allowed, prefix=prefix, timeout=timeout, start_timeout=start_timeout)

    @classmethod
    def session(
        cls,
        session: Client | ClientSession,
        *,
        allowed: Collection[str] | None = None,
        prefix: str = "",
        timeout: float | None = None,
        start_timeout: float = _START_TIMEOUT,
    ) -> Self:
        """Use a session that the caller opened, with any settings. Close it after the block.

        Changes of the list of tools are noticed if the server supports subscriptions (MCP 2026-07-28); otherwise, call
        :meth:`refresh` from the session's message handler. The other parameters are those of :meth:`stdio`.
        """
        transport = _sdk().ExistingSession(session)
        return cls(transport, allowed=allowed, prefix=prefix, timeout=timeout, start_timeout=start_timeout)

    # The block

    @property
    def connected(self) -> bool:
        """Whether a session is open and the server is not known to be gone."""
        return self._session is not None and not self._session.lost

    async def __aenter__(self) -> Self:
        self._entered += 1
        try:
            await self._enter()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def _enter(self) -> None:
        session = self._session
        if session is None or session.lost:
            lost, session = session, _sdk().Session(self._transport, self._make_offer)
            self._session = session
            session.holder.start()
            if lost is not None:
                await lost.holder.close()
        await session.wait_opened(self._start_timeout)
        missing = sorted(set(self._allowed or ()).difference(session.offer.listed))
        if missing:
            existing = ", ".join(session.offer.listed) or "none"
            raise UsageError(f"allowed names unknown tools of {self._name}: {', '.join(missing)}; it has: {existing}")

    async def _leave(self) -> None:
        self._entered -= 1
        if not self._entered and self._session is not None:
            session, self._session = self._session, None
            await session.holder.close()

    def _make_offer(self, tools: Sequence[Mapping[str, Any]]) -> OfferedTools:
        return make_offer(tools, prefix=self._prefix, allowed=self._allowed)

    def _open_session(self) -> Session:
        if self._session is None:
            raise LocalProtocolError(
                f"no session with {self._name}: enter the McpServer with `async with`, or pass it to a run"
            )
        return self._session

    # ToolExecutor

    def definitions(self) -> list[Tool]:
        """Return the tools of the last listing, with the server's schemas.

        Raises ``LocalProtocolError`` outside the block.
        """
        return [*self._open_session().offer.definitions]

    def handles(self, item: Item) -> bool:
        """Return whether an item is a call of one of these tools."""
        return self._server_name(item) is not None

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Call the tool at the server and return its result (MCP, Server features: Tools).

        Raises ``ToolArgumentsInvalid`` if the arguments are not a JSON object, ``ToolNotFound`` if the tool is not
        offered, and ``ToolError`` if there was no valid answer; the tool may have run all the same.
        """
        session = self._open_session()
        name = self._server_name(call)
        if name is None:
            raise ToolNotFound(f"{self._name} does not offer the called tool", call=call)
        try:
            arguments = object_in(cast("FunctionCall", call).arguments)
        except ToolArgumentsInvalid as error:
            error.call = call
            raise

        async def report(progress: float, total: float | None, message: str | None) -> None:
            context.progress(message or "", done=progress, total=total)

        seconds = self._request_timeout if context.timeout is None else context.seconds_left
        try:
            result = await session.request(
                lambda: session.peer.call_tool(name, arguments, progress_callback=report), seconds
            )
        except APIError as error:
            return ToolOutput(error.message, failed=True)
        except ResponsesProtoError as error:
            failure = ToolError(str(error), call=call)
            failure.retry_safety = error.retry_safety
            raise failure from error
        await session.wait_until_listed()
        return output_of(result.model_dump(by_alias=True, mode="json"))

    @property
    def _request_timeout(self) -> float:
        return _DEFAULT_TIMEOUT if self.timeout is None else self.timeout

    def _server_name(self, item: object) -> str | None:
        """Return the server's name of the called tool; ``None`` if the item is not a call of one of these tools."""
        if not isinstance(item, FunctionCall) or item.namespace:
            return None
        return self._open_session().offer.names.get(item.name)

    # Other features of a server

    @property
    def instructions(self) -> str:
        """The server's advice to the model on how to use it; may be empty.

        Raises ``LocalProtocolError`` outside the block.
        """
        return self._open_session().session.instructions or ""

    async def refresh(self) -> None:
        """List the tools again.

        Raises ``APIError`` if the server refuses, ``TransportError`` if it does not answer, and ``LocalProtocolError``
        outside the block.
        """
        session = self._open_session()
        await session.request(session.list_tools, self._request_timeout)

    async def list_resources(self) -> list[McpResource]:
        """Return the resources that the server lists. Raises as :meth:`refresh` does."""
        session = self._open_session()
        resources = await session.request(
            lambda: session.read_pages(lambda peer, params: peer.list_resources(params=params), "resources"),
            self._request_timeout,
        )
        return [
            McpResource(
                uri=resource["uri"],
                name=resource["name"],
                title=resource["title"] or "",
                description=resource["description"] or "",
                media_type=resource["mimeType"] or "",
                size=resource["size"],
            )
            for resource in resources
        ]

    async def read_resource(self, uri: str) -> list[Content]:
        """Read a resource, and return it as content parts for a message. Raises as :meth:`refresh` does."""
        session = self._open_session()
        result = await session.request(lambda: session.session.read_resource(uri), self._request_timeout)
        contents = result.model_dump(by_alias=True, mode="json")["contents"]
        return parts_of({"type": "resource", "resource": each} for each in contents)


def _sdk() -> ModuleType:
    # Imported when the first McpServer is made, because it imports the SDK, which is optional and slow to import.
    try:
        from . import _session  # noqa: PLC0415 - as said above
    except ImportError as error:
        raise ImportError("McpServer needs mcp 2.3 or newer: pip install 'responses-proto[mcp]'") from error
    return _session
