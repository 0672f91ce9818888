"""MCP servers as a source of tools, behind the tool hook. Needs the extra ``mcp``.

::

    async with McpServer.stdio("uvx", ["mcp-server-git"], prefix="git_") as git:
        async with client.run(request, tools=[git]) as run:
            async for event in run: ...

The server is one that this process talks to: a program that it starts, a URL, or an object of its own. A server that the Responses
server talks to by itself is an ``McpTool`` of the request, and no business of this module.
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
    from ._wire import OfferedTool

__all__ = ["McpResource", "McpServer"]

_TIMEOUT: Final = 300.0
"""Seconds that an answer may take where nobody says how long."""
_START_TIMEOUT: Final = 60.0


@attrs.frozen(kw_only=True)
class McpResource:
    """Something that an MCP server has to read (MCP, Server features: Resources)."""

    uri: str
    """What :meth:`McpServer.read_resource` takes."""
    name: str
    title: str = ""
    description: str = ""
    media_type: str = ""
    size: int | None = None
    """In bytes; ``None`` if the server does not say."""


class McpServer:
    """The tools of an MCP server: a :class:`~responses_proto.tools.ToolExecutor`, to be used in ``async with``.

    Made by :meth:`stdio`, :meth:`http`, :meth:`in_process` or :meth:`session`. Nothing is started before the block is entered, which
    raises ``ConnectError`` if no session comes about. Entered again while it is open, it is the same session, which ends when the
    last one leaves, from whatever task; entered anew after that, or after the server was lost, it is a new one. So runs enter it
    for themselves, whether it is open or not, and may share it. However the block is left, the connection is closed then and a child
    process has ended, within seconds.

    The tools are listed on entering, and again whenever the server says that they changed. A tool that fails, and a call that
    the server refuses, are outputs for the model to read; where there is no answer, ``ToolError`` is raised. A call that is
    cancelled is cancelled at the server, and the session goes on. What a server asks for in turn (sampling, elicitation) is refused.
    """

    __slots__ = (
        "_allowed",
        "_name",
        "_prefix",
        "_session",
        "_start_timeout",
        "_transport",
        "_users",
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
        # `transport` is what the class methods make.
        if isinstance(allowed, str):
            raise LocalProtocolError(f"allowed is a list of names: [{allowed!r}]")
        if start_timeout <= 0 or (timeout is not None and timeout <= 0):
            raise LocalProtocolError("timeouts are numbers of seconds above 0")
        if not fits_name(prefix):
            raise LocalProtocolError(
                f"a prefix has letters, digits, _ and -, as names of functions have: not {prefix!r}"
            )
        self._transport = transport
        self._name = transport.name
        self._allowed = allowed
        self._prefix = prefix
        self._start_timeout = start_timeout
        self._session: Session | None = None
        self._users = 0
        self.timeout: float | None = timeout
        """Seconds that a call may take; ``None`` leaves it to the run."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}{'' if self.connected else ', not connected'}>"

    # Where the server is

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
        """Use a program that talks over its standard input and output, and runs as long as the block (MCP, Transports: stdio).

        Of the environment it gets what says where it is (``PATH``, ``HOME``, …), and ``env``. What it writes to its standard error
        goes to ``errlog``, a file with a descriptor, or else where this process's goes.

        ``allowed``: the tools that are offered, by the names the server has for them; each has to be there. ``prefix``: what the
        names begin with that the model gets to see, so that those of several servers do not clash. ``timeout``: seconds that a
        call may take; ``None`` leaves it to the run, and where that has no bound either, it is 300. ``start_timeout``: seconds until
        the tools are listed, which may include a download.

        Raises ``LocalProtocolError`` for what makes no sense, and ``ImportError`` if the extra ``mcp`` is not installed.
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
        """Use a server at a URL (MCP, Transports: Streamable HTTP).

        ``headers`` go with every request, such as ``{"Authorization": "Bearer ..."}``. Instead, ``http_client`` may be an
        ``httpx2.AsyncClient`` of the caller's, used as it is set up and never closed. Redirects are followed within the origin.
        The rest is as in :meth:`stdio`.
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
        """Use a server object of this process, without a connection. The rest is as in :meth:`stdio`."""
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
        """Use a session that the caller opened, set up as it likes, and closes after the block.

        That its tools changed is heard where it can be subscribed to (MCP 2026-07-28); otherwise let the session's message
        handler call :meth:`refresh`. The rest is as in :meth:`stdio`.
        """
        transport = _sdk().Opened(session)
        return cls(transport, allowed=allowed, prefix=prefix, timeout=timeout, start_timeout=start_timeout)

    # The block

    @property
    def connected(self) -> bool:
        """Whether there is a session, and the server is still there as far as is known."""
        return self._session is not None and not self._session.lost

    async def __aenter__(self) -> Self:
        self._users += 1
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
            former, session = session, _sdk().Session(self._transport, self._make_offer)
            self._session = session
            session.owner.start()
            if former is not None:
                await former.owner.close()
        await session.opened(self._start_timeout)
        missing = sorted(set(self._allowed or ()).difference(session.offer.listed))
        if missing:
            there = ", ".join(session.offer.listed) or "none"
            raise LocalProtocolError(f"{self._name} has no tool {', '.join(missing)} to allow; it has: {there}")

    async def _leave(self) -> None:
        self._users -= 1
        if not self._users and self._session is not None:
            session, self._session = self._session, None
            await session.owner.close()

    def _make_offer(self, tools: Sequence[Mapping[str, Any]]) -> OfferedTool:
        return make_offer(tools, prefix=self._prefix, allowed=self._allowed)

    def _open(self) -> Session:
        if self._session is None:
            raise LocalProtocolError(
                f"no session with {self._name}: use the McpServer in `async with`, or let a run do it"
            )
        return self._session

    # The hook

    def definitions(self) -> list[Tool]:
        """Give the tools of the last listing, with the server's own schemas. Raises ``LocalProtocolError`` outside the block."""
        return [*self._open().offer.definitions]

    def handles(self, item: Item) -> bool:
        """Tell whether it is a call of one of these tools."""
        return self._server_name(item) is not None

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Have the server carry out a call (MCP, Server features: Tools).

        Raises ``ToolArgumentsInvalid`` for arguments that are no JSON object, ``ToolNotFound``, and ``ToolError`` if there was no
        answer, or none that can be read: the tool may have run all the same.
        """
        session = self._open()
        name = self._server_name(call)
        if name is None:
            raise ToolNotFound(f"{self._name} offers no tool for this call", call=call)
        try:
            arguments = object_in(cast("FunctionCall", call).arguments)
        except ToolArgumentsInvalid as error:
            error.call = call
            raise

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            context.progress(message or "", done=progress, total=total)

        seconds = self._patience if context.timeout is None else context.seconds_left
        try:
            result = await session.ask(lambda: session.peer.call_tool(name, arguments, progress_callback=tell), seconds)
        except APIError as refusal:
            return ToolOutput(refusal.message, failed=True)
        except ResponsesProtoError as error:
            failure = ToolError(str(error), call=call)
            failure.retry_safety = error.retry_safety
            raise failure from error
        await session.settled()
        return output_of(result.model_dump(by_alias=True, mode="json"))

    @property
    def _patience(self) -> float:
        return _TIMEOUT if self.timeout is None else self.timeout

    def _server_name(self, item: object) -> str | None:
        """Give the server's name for the tool that is called; ``None`` if it is no call of one of these tools."""
        if not isinstance(item, FunctionCall) or item.namespace:
            return None
        return self._open().offer.names.get(item.name)

    # What else a server has

    @property
    def instructions(self) -> str:
        """What the server says about using it, for the model; empty if nothing. Raises ``LocalProtocolError`` outside the block."""
        return self._open().session.instructions or ""

    async def refresh(self) -> None:
        """List the tools anew. Raises ``APIError`` if the server refuses, and ``TransportError`` if it does not answer."""
        session = self._open()
        await session.ask(session.list_tools, self._patience)

    async def list_resources(self) -> list[McpResource]:
        """List what the server has to read. Raises as :meth:`refresh` does."""
        session = self._open()
        found = await session.ask(
            lambda: session.pages(lambda peer, params: peer.list_resources(params=params), "resources"), self._patience
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
            for resource in found
        ]

    async def read_resource(self, uri: str) -> list[Content]:
        """Read a resource, as content parts that can go into a message. Raises as :meth:`refresh` does."""
        session = self._open()
        result = await session.ask(lambda: session.session.read_resource(uri), self._patience)
        contents = result.model_dump(by_alias=True, mode="json")["contents"]
        return parts_of({"type": "resource", "resource": each} for each in contents)


def _sdk() -> ModuleType:
    # What opens sessions imports the SDK, and so is not imported before one is made.
    try:
        from . import _session as _mcp_session  # noqa: PLC0415 - an extra: imported when it is needed
    except ImportError as error:
        raise ImportError("McpServer needs mcp 2.3 or newer: pip install 'responses-proto[mcp]'") from error
    return _mcp_session
