"""Wraps the streams between a transport and the SDK's session, so that the SDK does not refuse results of tools.

Importing this module imports the ``mcp`` SDK.

The SDK checks each result against its own classes and against the ``outputSchema`` of the tool, and raises if it does
not fit. By then the tool has run, and its result is lost. :func:`watched` therefore gives the SDK's session a
valid, empty result in place of each result of a tool, which carries the real one for :func:`raw_result`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import (
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from ...codec import dumps
from ...exceptions import LimitExceeded, RemoteProtocolError, ResponsesProtoError
from ...protocol.api_errors import readable
from ._json import LongLine, as_list, as_object, loads, request_id_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcp.types import CallToolResult

    from ...limits import Limits

RequestId: TypeAlias = int | str

_CARRIER: Final = "responses_proto/result"
_MAX_QUOTED: Final = 200  # characters of an answer
_FAILED: Final = -32000
"""The code of an error created here. Its ``data`` is the exception object, which cannot come from JSON."""


class _Carrier(str):
    """Holds the result of a tool. It is a text, so that the SDK's validation accepts it."""

    __slots__ = ("result",)
    result: Mapping[str, Any]


def raw_result(result: CallToolResult) -> Mapping[str, Any]:
    """Return the result of a tool as its server sent it, or as the SDK read it if it did not pass :func:`watched`."""
    meta: Mapping[str, Any] = result.meta or {}
    carrier = meta.get(_CARRIER)
    if isinstance(carrier, _Carrier):
        return carrier.result
    return result.model_dump(by_alias=True, mode="json")


def failure_message(request_id: RequestId, failure: ResponsesProtoError) -> SessionMessage:
    """Return an error as the answer to a request that failed. ``failure`` becomes ``MCPError.error.data``."""
    error = ErrorData(code=_FAILED, message=str(failure), data=failure)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=error))


def messages_of(line: bytes | LongLine) -> list[SessionMessage]:
    """Return the messages of a line: one, several in an array, or none if it is noise.

    If the line answers a request but cannot be read, the request gets the failure at once. Raises ``LimitExceeded`` for
    a line that is too long and does not name a request.
    """
    failure: ResponsesProtoError
    if isinstance(line, LongLine):
        edges, failure = line.edges, line.error
    else:
        try:
            value: Any = loads(line)
        except LimitExceeded as error:
            edges, failure = line, error
        except ResponsesProtoError as error:
            edges, failure = line, RemoteProtocolError(f"the answer cannot be read: {error}")
        else:
            batch = as_list(value)
            return [message for each in ([value] if batch is None else batch) for message in _message(each)]
    request_id = request_id_in(edges)
    if request_id is not None:
        return [failure_message(request_id, failure)]
    if isinstance(line, LongLine):
        raise failure
    return []


def _message(value: Any) -> list[SessionMessage]:
    if not isinstance(value, dict):
        return []
    fields = cast("dict[str, Any]", value)
    try:
        return [SessionMessage(jsonrpc_message_adapter.validate_python(fields, by_name=False))]
    except ValidationError:
        request_id = fields.get("id")
        if "method" in fields or not isinstance(request_id, (int, str)):
            return []
        said = dumps({name: each for name, each in fields.items() if name not in ("jsonrpc", "id")}).decode()
        message = f"the answer is neither a result nor an error: {readable(said, _MAX_QUOTED)}"
        return [failure_message(request_id, RemoteProtocolError(message))]


class _Watch:
    """Tracks the requests in flight, and converts their answers for the SDK."""

    def __init__(self, limits: Limits, failure_of: Callable[[RequestId], ResponsesProtoError | None]) -> None:
        self._limits = limits
        self._failure_of = failure_of
        self._methods: dict[str, str] = {}  # by the request's id as text, because some servers answer "1" to 1

    def sent(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest):
            self._methods[str(message.id)] = message.method
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._methods.pop(str((message.params or {}).get("requestId", "")), None)

    def received(self, message: JSONRPCMessage) -> JSONRPCMessage:
        if not isinstance(message, (JSONRPCResponse, JSONRPCError)) or message.id is None:
            return message
        method = self._methods.pop(str(message.id), "")
        failure = self._failure_of(message.id)
        if failure is not None:
            return failure_message(message.id, failure).message
        if isinstance(message, JSONRPCError):
            return message
        if method == "tools/call" and not _asks_to_repeat(message.result):
            return JSONRPCResponse(jsonrpc="2.0", id=message.id, result=_stand_in(message.result))
        return self._listing(message) if method == "tools/list" else message

    def _listing(self, message: JSONRPCResponse) -> JSONRPCMessage:
        tools = as_list(message.result.get("tools")) or []
        try:
            # Checked before the SDK creates an object for each tool.
            self._limits.check("max_mcp_tools", len(tools))
        except LimitExceeded as error:
            return failure_message(message.id, error).message
        readable = [each for each in map(_readable_tool, tools) if each is not None]
        return JSONRPCResponse(jsonrpc="2.0", id=message.id, result={**message.result, "tools": readable})


def _readable_tool(tool: Any) -> dict[str, Any] | None:
    """Return the fields of a listed tool that are used, in a form that the SDK accepts; ``None`` if it has no name.

    The SDK would refuse the whole listing because of one tool.
    """
    given = as_object(tool)
    fields = {name: given[name] for name in ("name", "title", "description") if isinstance(given.get(name), str)}
    if "name" not in fields:
        return None
    schema = {**as_object(given.get("inputSchema")), "type": "object"}
    for name, kind in (("properties", dict), ("required", list), ("$schema", str)):
        if not isinstance(schema.get(name), kind):
            schema.pop(name, None)
    read_only = as_object(given.get("annotations")).get("readOnlyHint") is True
    return {**fields, "inputSchema": schema, "annotations": {"readOnlyHint": read_only}}


def _asks_to_repeat(result: Mapping[str, Any]) -> bool:
    """Return whether a result only asks for the same request with its state, which the SDK sends."""
    return result.get("resultType") == "input_required" and not result.get("inputRequests")


def _stand_in(result: Mapping[str, Any]) -> dict[str, Any]:
    carrier = _Carrier()
    carrier.result = result
    # The SDK does not check the structured content of an error.
    return {"content": [], "isError": True, "resultType": "complete", "_meta": {_CARRIER: carrier}}


class _Outgoing(ObjectSendStream[SessionMessage]):
    """The stream to the transport (the SDK's ``WriteStream``)."""

    def __init__(self, stream: Any, watch: _Watch) -> None:
        self._stream = stream
        self._watch = watch

    async def send(self, item: SessionMessage) -> None:
        self._watch.sent(item.message)
        await self._stream.send(item)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Incoming(ObjectReceiveStream[SessionMessage | Exception]):
    """The stream from the transport (the SDK's ``ReadStream``)."""

    def __init__(self, stream: Any, watch: _Watch, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._watch = watch
        self._on_end = on_end

    async def receive(self) -> SessionMessage | Exception:
        try:
            item: SessionMessage | Exception = await self._stream.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._on_end()
            raise
        if isinstance(item, SessionMessage):
            return SessionMessage(self._watch.received(item.message), item.metadata)
        return item

    async def aclose(self) -> None:
        await self._stream.aclose()


def watched(
    streams: tuple[Any, Any],
    limits: Limits,
    *,
    failure_of: Callable[[RequestId], ResponsesProtoError | None] = lambda _: None,
    on_end: Callable[[], None],
) -> tuple[Any, Any]:
    """Return the streams of a transport for the SDK's session.

    ``failure_of`` returns, once, the failure of a request without a valid answer. ``on_end`` is called when the transport
    stops reading, which means that the server is gone.
    """
    watch = _Watch(limits, failure_of)
    read, write = streams
    return _Incoming(read, watch, on_end), _Outgoing(write, watch)
