"""The executor for the tools of an MCP server. Needs the extra ``mcp``.

::

    async with McpServer.stdio("uvx", ["mcp-server-git"], prefix="git_") as git:
        async with client.run(request, tools=[git]) as run:
            async for event in run: ...

This process talks to the server: it starts a program, sends requests to a URL, or uses a server object in this process. For
a server that the Responses server talks to, put an ``McpTool`` in the request instead.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, TypedDict, TypeVar, Unpack, cast

import anyio
import anyio.to_thread
import attrs

from ...exceptions import (
    APIError,
    LocalProtocolError,
    ResponsesProtoError,
    ToolArgumentsInvalid,
    ToolError,
    ToolNotFound,
    TransportError,
    UsageError,
)
from ...limits import Limits
from ...models.actions import McpListedTool
from ...models.items import FunctionCall
from .._signature import object_in
from ._json import whole_characters
from ._transports import HTTP, ExistingSession, InProcess, Stdio
from ._wire import fits_name, make_offer, output_of, output_of_error, parts_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from os import PathLike
    from types import TracebackType
    from typing import TextIO

    from mcp import Client, ClientSession
    from mcp.server import Server
    from mcp.server.mcpserver import MCPServer

    from ...client.transport.http import HTTPClient
    from ...models.content import Content
    from ...models.items import Item
    from ...models.response import PendingCall
    from ...models.tools import Tool
    from ...typing import JSONObject
    from ..executors import ToolContext
    from ..output import ToolOutput
    from ._session import Session
    from ._transports import McpProtocol, McpTransport
    from ._wire import OfferedTools, StructuredText

__all__ = ["McpApproval", "McpResource", "McpServer"]

McpApproval: TypeAlias = (
    "bool | Literal['unless_read_only'] | Collection[str] | Callable[[FunctionCall], bool | Awaitable[bool]]"
)
"""Which calls need approval: all or none; those of tools that the server does not annotate as read-only; those of
tools with these names; or those for which a function, which may be async, returns true."""

T = TypeVar("T")

_DEFAULT_TIMEOUT: Final = 300.0
"""Seconds that an answer may take if neither the server object nor the run sets a timeout."""
_START_TIMEOUT: Final = 60.0
_SESSION_MODULE: Final = f"{__package__}._session"
_NOT_INSTALLED: Final = "McpServer needs mcp 2.3 or newer: pip install 'responses-proto[mcp]'"


class McpOptions(TypedDict, total=False):
    """The options that every kind of server has, as keyword arguments. :meth:`McpServer.stdio` explains them."""

    allowed: Collection[str] | None
    approve: McpApproval
    limits: Limits | None
    prefix: str
    start_timeout: float
    structured: StructuredText
    timeout: float | None


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
    when the last one is left. So several runs, each of which enters the block, can share it. When the last block is left,
    for any reason, the connection is closed and a started program ends within seconds.

    If the server was lost (it ended, it restarted, or it forgot the session), the next call or block opens a new
    session. A call that the server provably did not execute is then sent again, once; any other call raises ``ToolError``.

    The tools are listed on entering, and again whenever the server reports that they changed. If a tool fails or the
    server refuses a call, the model reads the reason, and the JSON-RPC error, with its data, is the ``value`` of the output.
    If there is no answer, or HTTP refuses (401, 403, 429, 5xx), ``ToolError`` is raised; its ``__cause__`` is an
    ``APIError`` with the status and the headers. Results are not checked against the tool's ``outputSchema``.
    Cancelling a call cancels it at the server, and the session continues. Requests of the server to the client
    (sampling, elicitation) are refused.
    """

    __slots__ = (
        "_allowed",
        "_approve",
        "_entered",
        "_limits",
        "_name",
        "_opening",
        "_prefix",
        "_retired",
        "_session",
        "_start_timeout",
        "_structured",
        "_transport",
        "timeout",
    )

    def __init__(
        self,
        transport: McpTransport,
        *,
        allowed: Collection[str] | None = None,
        approve: McpApproval = False,
        limits: Limits | None = None,
        prefix: str = "",
        start_timeout: float = _START_TIMEOUT,
        structured: StructuredText = "when_blank",
        timeout: float | None = None,
    ) -> None:
        # Private: the class methods create the transport.
        _check_installed()
        if isinstance(allowed, str):
            raise UsageError(f"allowed must be a list of names: [{allowed!r}]")
        if isinstance(approve, str) and approve != "unless_read_only":
            raise UsageError(
                f'approve must be a bool, "unless_read_only", a function or a list of names: [{approve!r}]'
            )
        if structured not in ("when_blank", "always"):
            raise UsageError(f'structured must be "when_blank" or "always", got {structured!r}')
        for name, seconds in (("timeout", timeout), ("start_timeout", start_timeout)):
            if seconds is not None and seconds <= 0:
                raise UsageError(f"{name} must be a number of seconds above 0, got {seconds!r}")
        if not fits_name(prefix):
            raise UsageError(f"prefix must consist of at most 64 letters, digits, _ and -, got {prefix!r}")
        self._transport = transport
        self._name = transport.name
        self._allowed = allowed
        self._approve = approve
        self._limits = limits or Limits()
        self._prefix = prefix
        self._start_timeout = start_timeout
        self._structured: StructuredText = structured
        self._session: Session | None = None  # the last one that was open
        self._opening: Session | None = None  # the one that will replace it
        self._retired: list[Session] = []  # those that may have requests in flight
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
        protocol: McpProtocol = "auto",
        **options: Unpack[McpOptions],
    ) -> Self:
        """Start a program and talk to it over its standard input and output (MCP, Transports: stdio).

        - ``command``, ``args``: the program and its arguments. No shell is involved.
        - ``env``: environment variables for the program. Of those of this process, it gets only the few that a program
          needs (``PATH``, ``HOME``, …).
        - ``cwd``: its working directory. Default: that of this process.
        - ``errlog``: a file with a descriptor, for its standard error. Default: that of this process.
        - ``protocol``: ``"legacy"`` for a server of MCP 2025-11-25 or older. ``"auto"`` first asks for the newer version,
          about which some old servers write long messages to their standard error.
        - ``allowed``: the tools to offer, by the server's names; each must exist. Default: all.
        - ``approve``: which calls need approval: ``True`` for all; the server's names of tools, each of which must
          exist; ``"unless_read_only"`` for all tools except those that the server annotates as read-only, which is only
          its own claim; or a function, which may be async, that gets the ``FunctionCall`` and returns a ``bool``.
        - ``limits``: the bounds on what the server sends: ``max_event_bytes`` for a message, ``max_mcp_tools`` and
          ``max_mcp_tools_bytes`` for its tools.
        - ``prefix``: the beginning of the names that the model sees, so that the tools of several servers do not clash.
        - ``start_timeout``: seconds until the tools are listed. Starting a program may include a download.
        - ``structured``: when the model reads the structured content of a result: ``"when_blank"`` if the result has no
          other text, or ``"always"``. In both cases, it is the ``value`` of the output.
        - ``timeout``: seconds that a call may take. ``None`` leaves it to the run; if the run sets no timeout either, it is 300.

        Raises ``UsageError`` for an invalid argument, and ``ImportError`` if the extra ``mcp`` is not installed.
        """
        return cls(Stdio(command, args, env or {}, cwd, errlog, protocol), **options)

    @classmethod
    def http(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        http_client: HTTPClient | None = None,
        auth: object = None,
        protocol: McpProtocol = "auto",
        **options: Unpack[McpOptions],
    ) -> Self:
        """Talk to a server at a URL (MCP, Transports: Streamable HTTP).

        - ``headers``: sent with every request, such as ``{"Authorization": "Bearer ..."}``.
        - ``auth``: an ``httpx2.Auth``, such as the SDK's ``OAuthClientProvider``.
        - ``http_client``: an ``httpx2.AsyncClient`` to use instead. It keeps its own settings and is not closed.
        - The other parameters and the exceptions are as for :meth:`stdio`.

        Redirects are followed within the origin.
        """
        return cls(HTTP(url, headers or {}, http_client, auth, protocol), **options)

    @classmethod
    def in_process(
        cls,
        server: MCPServer[Any] | Server[Any],
        *,
        protocol: McpProtocol = "auto",
        **options: Unpack[McpOptions],
    ) -> Self:
        """Use a server object in this process, without a connection. Other parameters as for :meth:`stdio`."""
        return cls(InProcess(server, protocol), **options)

    @classmethod
    def session(
        cls,
        session: Client | ClientSession,
        **options: Unpack[McpOptions],
    ) -> Self:
        """Use a session that the caller opened, with any settings. Close it after the block.

        The SDK checks the results of such a session, and it cannot be reopened after the server was lost.
        Changes to the list of tools are noticed if the server supports subscriptions (MCP 2026-07-28); otherwise, call
        :meth:`refresh` from the session's message handler. The other parameters are those of :meth:`stdio`.
        """
        return cls(ExistingSession(session), **options)

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
        session = await self._connect()
        for argument, names in (("allowed", self._allowed), ("approve", self._names_to_approve)):
            missing = sorted(set(names or ()).difference(session.offer.listed))
            if missing:
                existing = ", ".join(session.offer.listed) or "none"
                raise UsageError(
                    f"{argument} names unknown tools of {self._name}: {', '.join(missing)}; it has: {existing}"
                )

    async def _connect(self) -> Session:
        """Return the open session. If there is none, or the server was lost, open one; concurrent callers share it."""
        if self._session is not None and not self._session.lost:
            return self._session
        sdk = await _load_sdk()
        opening = self._opening
        if opening is None or opening.lost:
            opening = self._opening = sdk(self._transport, self._make_offer, self._limits)
            opening.holder.start()
        await opening.wait_opened(self._start_timeout)
        if self._opening is opening:
            lost, self._session, self._opening = self._session, opening, None
            if lost is not None:
                lost.retire()
                self._retired = [session for session in (*self._retired, lost) if not session.holder.ended]
        return opening

    async def _leave(self) -> None:
        self._entered -= 1
        if self._entered:
            return
        sessions = [*self._retired, self._session, self._opening]
        self._retired, self._session, self._opening = [], None, None
        for session in sessions:
            if session is not None:
                await session.holder.close()

    def _make_offer(self, tools: Sequence[Mapping[str, Any]]) -> OfferedTools:
        return make_offer(tools, prefix=self._prefix, allowed=self._allowed)

    def _open_session(self) -> Session:
        if self._session is None:
            raise LocalProtocolError(
                f"no session with {self._name}: enter the McpServer with `async with`, or pass it to a run"
            )
        return self._session

    def listed(self) -> dict[str, McpListedTool]:
        """Return the offered tools by function name, each with the server's name, as in an ``mcp_list_tools`` item.

        Raises ``LocalProtocolError`` outside the block.
        """
        offer = self._open_session().offer
        return {
            function.name: McpListedTool(
                name=offer.names[function.name],
                description=function.description,
                input_schema=cast("JSONObject", function.parameters),
                annotations={"readOnlyHint": offer.names[function.name] in offer.read_only},
            )
            for function in offer.definitions
        }

    # ToolExecutor

    def definitions(self) -> list[Tool]:
        """Return the tools of the last listing, with the server's schemas.

        Raises ``LocalProtocolError`` outside the block.
        """
        return [*self._open_session().offer.definitions]

    def handles(self, item: Item) -> bool:
        """Return whether an item is a call of one of these tools."""
        return self._server_name(item) is not None

    def needs_approval(self, call: PendingCall) -> bool | Awaitable[bool]:
        """Return whether a call needs approval, according to ``approve``."""
        if isinstance(self._approve, bool):
            return self._approve
        if callable(self._approve):
            return self._approve(cast("FunctionCall", call))
        name = self._server_name(call) or ""
        if self._approve == "unless_read_only":
            return name not in self._open_session().offer.read_only
        return name in self._approve

    @property
    def _names_to_approve(self) -> Collection[str]:
        return () if isinstance(self._approve, (bool, str)) or callable(self._approve) else self._approve

    async def execute(self, call: PendingCall, context: ToolContext) -> ToolOutput:
        """Call the tool at the server and return its result (MCP, Server features: Tools).

        Raises ``ToolArgumentsInvalid`` if the arguments are not a JSON object, ``ToolNotFound`` if the tool is not
        offered, and ``ToolError`` if there was no valid answer: if its ``retry_safety`` is ``unsafe``, the tool may have
        run anyway.
        """
        offer = self._open_session().offer
        if self._server_name(call) is None:
            raise ToolNotFound(f"{self._name} does not offer the called tool", call=call)
        function = cast("FunctionCall", call)
        try:
            # A model may cut a character in half. HTTP and JSON libraries refuse to send that.
            arguments = object_in(whole_characters(function.arguments.encode("utf-8", "replace")).decode())
        except ToolArgumentsInvalid as error:
            error.call = call
            raise

        async def report(progress: float, total: float | None, message: str | None) -> None:
            context.progress(message or "", done=progress, total=total)

        async def send(session: Session) -> Mapping[str, Any]:
            name = session.offer.names.get(function.name)
            if name is None or session.offer.definition(function.name) != offer.definition(function.name):
                # The tool is no longer the one that was called, and perhaps approved.
                changed = ToolError(f"{function.name} changed while {self._name} was reconnected; it was not called")
                changed.retry_safety = "safe"
                raise changed
            return await session.call_tool(name, arguments, report)

        try:
            session, result = await self._request(send, context.seconds_left if context.timeout is not None else None)
        except ToolError as error:
            error.call = call
            raise
        except ResponsesProtoError as error:
            if isinstance(error, APIError) and error.status is None:
                return output_of_error(cast("Mapping[str, Any]", error.body))
            failure = ToolError(str(error), call=call)
            failure.retry_safety = error.retry_safety
            raise failure from error
        await session.wait_until_listed()
        return output_of(result, structured=self._structured)

    async def _request(self, send: Callable[[Session], Awaitable[T]], seconds: float | None) -> tuple[Session, T]:
        """Send a request and return its result, and the session that it came from.

        If the server was lost and did not execute the request, send it again over a new session, once. Raises as
        ``Session.request`` does, and ``ConnectError`` if no session could be opened.
        """
        session = self._open_session()
        deadline = anyio.current_time() + (self._request_timeout if seconds is None else seconds)
        try:
            return session, await session.request(lambda: send(session), deadline - anyio.current_time())
        except ResponsesProtoError as error:
            if not session.lost or error.retry_safety != "safe":
                raise
        renewed: Session | None = None
        with anyio.move_on_at(deadline):
            renewed = await self._connect()
        if renewed is None:
            failure = TransportError(f"{self._name} could not be reconnected in time")
            failure.retry_safety = "safe"
            raise failure
        again = renewed
        return again, await again.request(lambda: send(again), deadline - anyio.current_time())

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
        await self._request(lambda session: session.list_tools(), None)

    async def list_resources(self) -> list[McpResource]:
        """Return the resources that the server lists. Raises as :meth:`refresh` does."""
        _, resources = await self._request(
            lambda session: session.read_pages(lambda peer, params: peer.list_resources(params=params), "resources"),
            None,
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
        _, result = await self._request(lambda session: session.session.read_resource(uri), None)
        contents = result.model_dump(by_alias=True, mode="json")["contents"]
        return parts_of({"type": "resource", "resource": each} for each in contents)


def _check_installed() -> None:
    # Only searched for, because importing it takes about a second.
    if sys.modules.get("mcp") is None and importlib.util.find_spec("mcp") is None:
        raise ImportError(_NOT_INSTALLED)


async def _load_sdk() -> type[Session]:
    """Return the class of sessions. Its first import imports the SDK, in a thread, so as not to block the event loop."""
    if (module := sys.modules.get(_SESSION_MODULE)) is None or not hasattr(module, "Session"):
        await anyio.to_thread.run_sync(_import_session, abandon_on_cancel=True)
    return _import_session()


def _import_session() -> type[Session]:
    try:
        from ._session import Session  # noqa: PLC0415 - as said above
    except ImportError as error:
        raise ImportError(_NOT_INSTALLED) from error
    return Session
