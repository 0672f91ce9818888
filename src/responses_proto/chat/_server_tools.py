"""The tools that a bridge runs itself: tools of remote MCP servers, and hosted tools with an executor of the operator.

A :class:`ServerTools` belongs to one response. It lists the tools of MCP servers, runs the calls that the model makes and those that the
caller has approved, and writes the results as items. Failures become items too: the model reads them, and the response continues.

The secrets of a request (``authorization`` and ``headers`` of an ``mcp`` tool) are used only for its own sessions. Listings are cached
under a digest of the server and the secrets, so that a caller never gets a listing made with the credentials of another caller.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast

import anyio
import attrs

from ..client._secrets import HiddenStr
from ..codec import dumps
from ..exceptions import (
    APIError,
    ConnectError,
    ResponsesProtoError,
    ToolArgumentsInvalid,
    ToolError,
    ToolNotFound,
    UsageError,
)
from ..limits import Limits
from ..models.actions import HttpError, McpListedTool, McpProtocolError, McpToolExecutionError
from ..models.content import InputText
from ..models.items import (
    FunctionCall,
    FunctionCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
)
from ..models.tools import McpTool
from ..protocol._requests import id_of, invalid
from ..server._task import is_cancelled
from ..tools.executors import ToolContext
from ..tools.mcp._transports import HTTP
from ..tools.mcp.server import McpServer
from ..tools.output import ToolOutput
from ..typing import UNSET
from ._hosted import close_call, open_call
from ._tools import is_allowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from ..models.actions import McpError
    from ..models.items import Item
    from ..models.request import CreateResponse
    from ..protocol.emitter import CallWriter
    from ..server.reply import Reply
    from ..tools.executors import ToolExecutor
    from ._calls import HostedCallMade, McpCallMade
    from ._hosts import AllowedHosts

_Work: TypeAlias = Callable[[], Awaitable[None]]

_log: Final = logging.getLogger(__name__)

_KIB: Final = 1024
_NO_ANSWER: Final = -32000
"""The JSON-RPC error code for a failure that the server has not reported itself."""
_LIMITS: Final = Limits(
    max_event_bytes=4 * _KIB * _KIB, max_mcp_tools=1_000, max_mcp_tools_bytes=1 * _KIB * _KIB, max_json_values=100_000
)
_MAX_LISTINGS: Final = 1_000
_LISTING_LIFE: Final = 300.0
"""Seconds for which the tools of a server are cached."""
_CONCURRENT: Final = 8
"""The maximum number of concurrent calls in one turn."""
_EXTERNAL_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te"})
"""Headers that a request must not set for an MCP server, because they belong to the connection. They are dropped."""


@attrs.frozen(kw_only=True)
class ToolBounds:
    """Limits on the tool calls of one response."""

    max_calls: int = 64
    """The maximum number of calls of MCP and hosted tools in one response."""
    timeout: float = 60.0
    """Seconds for one call, and for listing the tools of one server."""
    max_output_bytes: int = 256 * _KIB
    """The maximum length of the output of one call, as JSON, in bytes. A call with a longer output fails."""


class Listings:
    """A cache of the tools of MCP servers, for any number of responses. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = os.urandom(32)  # so that a digest reveals nothing about the credentials in it
        self._found: dict[bytes, tuple[float, list[McpListedTool]]] = {}

    def key(self, tool: McpTool) -> bytes:
        """Return the cache key of a server: a digest of its URL, authorization and headers."""
        digest = hashlib.blake2b(key=self._secret)
        for part in (tool.server_url, tool.authorization, *sorted((tool.headers or {}).items())):
            digest.update(dumps(None if part is UNSET else part) + b"\n")
        return digest.digest()

    def find(self, key: bytes) -> list[McpListedTool] | None:
        """Return the tools of a server; ``None`` if they are not cached, or have expired."""
        found = self._found.get(key)
        return None if found is None or found[0] < self._clock() else found[1]

    def remember(self, key: bytes, tools: list[McpListedTool]) -> None:
        """Cache the tools of a server for five minutes."""
        if len(self._found) >= _MAX_LISTINGS:
            self._found.pop(next(iter(self._found)))
        self._found.pop(key, None)
        self._found[key] = (self._clock() + _LISTING_LIFE, tools)


class ServerTools:
    """Runs the tools of one response. Use it in ``async with``: exiting the block closes the sessions with MCP servers.

    Raises ``APIError`` (400) if the request names an MCP server that is invalid or not allowed.
    """

    def __init__(
        self,
        request: CreateResponse,
        reply: Reply,
        *,
        allowed: AllowedHosts,
        executors: Mapping[str, ToolExecutor],
        listings: Listings,
        bounds: ToolBounds,
    ) -> None:
        self._reply = reply
        self._allowed = allowed
        self._executors = executors
        self._listings = listings
        self._bounds = bounds
        self._sessions = AsyncExitStack()
        self._servers: dict[str, McpServer] = {}
        self._opening: dict[str, anyio.Lock] = {}  # by label, so that servers are opened concurrently
        self._hosted_results: dict[str, tuple[Item, Item]] = {}  # id of an output item -> call and output for the model
        self._mcp: dict[str, McpTool] = {}
        self.calls_left: int = min(bounds.max_calls, request.max_tool_calls or bounds.max_calls)
        """The number of calls that may still be made."""
        for index, tool in enumerate(request.tools or ()):
            if isinstance(tool, McpTool):
                self._check(tool, f"tools[{index}]")
                self._mcp[tool.server_label] = tool

    def _check(self, tool: McpTool, param: str) -> None:
        if tool.server_label in self._mcp:
            raise invalid(f"Two MCP servers have the label {tool.server_label!r}.", f"{param}.server_label", None)
        if not tool.server_url:
            message = "This server reaches MCP servers by their URL only: send 'server_url'."
            raise invalid(message, f"{param}.server_url", "missing_required_parameter")
        try:
            self._allowed.check_url(tool.server_url)
        except ConnectError as error:
            raise invalid(
                f"The MCP server {tool.server_label!r} is refused: {error}.", f"{param}.server_url", "host_not_allowed"
            ) from None
        try:
            self._transport(tool)
        except UsageError as error:
            raise invalid(
                f"The headers of {tool.server_label!r} cannot be sent: {error}.", f"{param}.headers", "invalid_value"
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._sessions.aclose()

    # The context

    def context(self) -> list[Item]:
        """Return everything that the model sees now: the history, the input, and the output of this response so far."""
        items: list[Item] = [*self._reply.context]
        for item in self._reply.response.output:
            items += self._hosted_results.get(getattr(item, "id", None) or "", (item,))
        return items

    def has_work(self) -> bool:
        """Return whether there are servers to list or approved calls to run before the model is called."""
        return bool(self._unlisted()) or any(isinstance(item, McpApprovalResponse) for item in self._reply.context)

    # Listing

    def _unlisted(self) -> list[McpTool]:
        listed = {item.server_label for item in self._reply.context if isinstance(item, McpListTools)}
        return [tool for label, tool in self._mcp.items() if label not in listed]

    async def list_tools(self) -> None:
        """Write an ``mcp_list_tools`` item for each server that has none in the context yet."""
        async with anyio.create_task_group() as tasks:
            for tool in self._unlisted():
                item = McpListTools(id=self._new_id("mcpl"), server_label=tool.server_label, tools=[])
                tasks.start_soon(self._list, tool, item)

    async def _list(self, tool: McpTool, item: McpListTools) -> None:
        async with self._reply.open(item) as opened:
            key = self._listings.key(tool)
            tools, error = self._listings.find(key), None
            if tools is None:
                try:
                    server = await self._server(tool)
                except ResponsesProtoError as failure:
                    error = _mcp_error(failure)
                else:
                    tools = [*server.listed().values()]
                    self._listings.remember(key, tools)
            allowed = [one for one in tools or () if is_allowed(tool, one)]
            await opened.done_with(attrs.evolve(item, tools=allowed, error=error or UNSET))

    async def _server(self, tool: McpTool) -> McpServer:
        """Return the session with a server. Open it if there is none."""
        async with self._opening.setdefault(tool.server_label, anyio.Lock()):
            server = self._servers.get(tool.server_label)
            if server is None:
                server = McpServer(
                    self._transport(tool),
                    allowed=None,
                    approve=False,
                    limits=_LIMITS,
                    prefix="",
                    start_timeout=self._bounds.timeout,
                    structured="when_blank",
                    timeout=self._bounds.timeout,
                )
                self._servers[tool.server_label] = await self._sessions.enter_async_context(server)
            return server

    def _transport(self, tool: McpTool) -> HTTP:
        headers = {name: value for name, value in (tool.headers or {}).items() if name.lower() not in _EXTERNAL_HEADERS}
        if tool.authorization:
            headers["authorization"] = HiddenStr(f"Bearer {tool.authorization}")
        return HTTP(tool.server_url or "", headers, None, make_engine=self._engine)

    def _engine(self) -> object:
        from ._guarded import GuardedTransport  # noqa: PLC0415 - imports httpx2, which the extra `mcp` brings

        return GuardedTransport(self._allowed)

    # Calls

    async def run_approved(self) -> None:
        """Run the calls that the caller has approved and that have not been run yet."""
        requests = {item.id: item for item in self._reply.context if isinstance(item, McpApprovalRequest)}
        done = {item.approval_request_id for item in self._reply.context if isinstance(item, McpCall)}
        approved = dict.fromkeys(
            item.approval_request_id
            for item in self._reply.context
            if isinstance(item, McpApprovalResponse) and item.approve and item.approval_request_id not in done
        )
        work: list[_Work] = []
        for request_id in approved:
            request = requests.get(request_id)
            if request is None:
                raise invalid(f"There is no approval request with the id {request_id!r}.", "input", None)
            call = McpCall(
                id=self._new_id("mcp"),
                server_label=request.server_label,
                name=request.name,
                arguments=request.arguments,
                approval_request_id=request.id,
                status="in_progress",
            )
            work.append(functools.partial(self._run_mcp, call, self._reply.open(call).done_with))
        await self._run_all(work)

    async def answer(self, mcp_calls: Sequence[McpCallMade], hosted_calls: Sequence[HostedCallMade]) -> bool:
        """Run the calls of the model, or request approval for them. Return whether any call needs approval."""
        waits = False
        work: list[_Work] = []
        for made in mcp_calls:
            if made.writer is not None:
                item = cast("McpCall", made.writer.item)
                work.append(functools.partial(self._run_mcp, item, functools.partial(self._close, made.writer)))
                continue
            waits = True
            request_id = self._new_id("mcpr")
            await self._reply.item(
                McpApprovalRequest(
                    id=request_id, server_label=made.server_label, name=made.name, arguments=made.arguments
                )
            )
        work += [functools.partial(self._run_hosted, made) for made in hosted_calls]
        await self._run_all(work)
        return waits

    async def _run_all(self, work: Sequence[_Work]) -> None:
        async def limited(one: _Work) -> None:
            async with limiter:
                await one()

        limiter = anyio.Semaphore(_CONCURRENT)
        async with anyio.create_task_group() as tasks:
            for one in work:
                tasks.start_soon(limited, one)

    async def _close(self, writer: CallWriter, item: Item) -> None:
        await self._reply.send(writer.done_with(item))

    async def _run_mcp(self, call: McpCall, close: Callable[[Item], Awaitable[None]]) -> None:
        try:
            output = await self._call_mcp(call)
        except ResponsesProtoError as error:
            await close(attrs.evolve(call, status="failed", error=_mcp_error(error)))
            return
        text = _as_text(output)
        if output.failed:
            failure = _execution_error(output, text)
            await close(attrs.evolve(call, status="failed", error=failure))
        else:
            await close(attrs.evolve(call, status="completed", output=text))

    async def _call_mcp(self, call: McpCall) -> ToolOutput:
        tool = self._mcp.get(call.server_label)
        if tool is None:
            raise ToolNotFound(f"the request has no MCP server with the label {call.server_label!r}")
        self._spend()
        server = await self._server(tool)
        names = {one.name: function for function, one in server.listed().items() if is_allowed(tool, one)}
        if call.name not in names:
            raise ToolNotFound(f"{tool.server_label} has no tool {call.name!r}, or it is not allowed")
        made = FunctionCall(call_id=call.id, name=names[call.name], arguments=call.arguments or "{}")
        return self._bounded(await server.execute(made, ToolContext(made, timeout=self._bounds.timeout)))

    async def _run_hosted(self, made: HostedCallMade) -> None:
        item = open_call(made.tool.type, made.arguments, self._new_id)
        opened = self._reply.open(item)
        call = FunctionCall(call_id=made.call_id, name=made.name, arguments=made.arguments)
        try:
            self._spend()
            executor = self._executors.get(made.tool.type) or self._executors["web_search"]  # for its other versions
            output = await self._execute(executor, call)
        except ResponsesProtoError as error:
            output = ToolOutput(f"The tool failed: {error}", failed=True)
        answer = _as_text(output)
        self._hosted_results[id_of(item)] = (call, FunctionCallOutput(call_id=made.call_id, output=answer))
        await opened.done_with(close_call(item, output))

    async def _execute(self, executor: ToolExecutor, call: FunctionCall) -> ToolOutput:
        context: ToolContext[Any] = ToolContext(call, timeout=self._bounds.timeout)
        try:
            with anyio.fail_after(self._bounds.timeout):
                return self._bounded(await executor.execute(call, context))
        except ResponsesProtoError:
            raise
        except TimeoutError:
            context.cancelled = True
            raise ToolError(f"it took longer than {self._bounds.timeout:g} s", call=call) from None
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            if is_cancelled(error):
                raise
            # A failure of the operator's code only fails this call. Its text may contain anything, so it is only logged.
            _log.exception("the executor of %s failed", call.name)
            raise ToolError("an unexpected error", call=call) from None

    def _spend(self) -> None:
        if self.calls_left <= 0:
            raise ToolError("the limit of tool calls for this response is reached")
        self.calls_left -= 1

    def _bounded(self, output: ToolOutput) -> ToolOutput:
        size = len(dumps(output.output))
        if size > self._bounds.max_output_bytes:
            raise ToolError(f"the output has {size} bytes; the limit is {self._bounds.max_output_bytes}")
        return output

    def _new_id(self, prefix: str) -> str:
        return self._reply.emitter().ids(prefix)


# ---- failures and results, as items have them


def _mcp_error(error: ResponsesProtoError) -> McpError:
    """Return the failure of a server or of a call, in the form that items have."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, APIError):
        cause = cause.__cause__
    if isinstance(cause, APIError) and cause.status is not None:
        return HttpError(code=cause.status, message=str(error))
    if isinstance(error, ToolArgumentsInvalid):
        return McpToolExecutionError(content=[{"type": "text", "text": str(error)}])
    return McpProtocolError(code=_NO_ANSWER, message=str(error))


def _execution_error(output: ToolOutput, text: str) -> McpError:
    value: Any = output.value
    if isinstance(value, dict) and isinstance(code := cast("dict[str, Any]", value).get("code"), int):
        return McpProtocolError(code=code, message=text)
    return McpToolExecutionError(content=[{"type": "text", "text": text}])


def _as_text(output: ToolOutput) -> str:
    """Return an output as text, for an ``mcp_call``. Parts that are not text are given as JSON."""
    if isinstance(output.output, str):
        return output.output
    parts = output.output if isinstance(output.output, list) else [output.output]
    return "\n".join(part.text if isinstance(part, InputText) else dumps(part).decode() for part in parts)
