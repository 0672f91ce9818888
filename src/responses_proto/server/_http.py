"""HTTP over ASGI: read request bodies, and send JSON and event streams while the client is connected.

An endpoint returns one of three ASGI applications:

* :class:`JSONResponse`, if the body is known;
* :class:`DeferredJSON`, if the body takes work that must stop when the client disconnects;
* :class:`EventStreamResponse`, for server-sent events. Its headers are sent with the first event or keep-alive comment. An error
  before that can still be a JSON response with its own status.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import unquote

import anyio
import attrs

from ..codec import default_converter, dumps, load
from ..exceptions import APIError
from ..models.event_parts import ErrorBody
from ..models.events import ErrorEvent
from ..protocol._requests import INVALID
from ..protocol.emitter import DONE
from ..protocol.headers import media_type
from ..protocol.sse import encode_frame
from ._response_headers import HEADER_NAME, HEADER_VALUE
from ._task import internal_error, is_cancelled
from .stores._base import encode

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from starlette.requests import Request

    from ..typing import JSONValue
    from ._task import EventSink
    from .stores import WireEvent

Scope: TypeAlias = MutableMapping[str, Any]
ASGIMessage: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[ASGIMessage]]
Send: TypeAlias = Callable[[ASGIMessage], Awaitable[None]]
ASGI: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON_HEADERS: Final = {"content-type": "application/json"}
"""The headers of a response with a JSON body."""
_SSE: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # otherwise nginx buffers the stream
}

_MAX_STATUS: Final = 599
_MAX_RETRY_AFTER: Final = 1e9  # seconds; a larger number, such as infinity, is not a delay
_FORWARDED_HEADERS: Final = ("allow", "retry-after", "www-authenticate", "x-ratelimit-", "x-should-retry")
"""Prefixes of the error headers that are passed on to the client. Other headers may describe the body of an upstream response."""

_T = TypeVar("_T")

_log: Final = logging.getLogger(__name__)


class ClientDisconnected(Exception):  # noqa: N818 - not an error: a client may disconnect at any time
    """The client has closed the connection."""


# ---- paths


def with_whole_segments(scope: Scope) -> Scope:
    """Return the scope of a request with percent-encoded slashes left encoded in ``path``, so that they do not split segments.

    The client encodes an id as one segment. Read the segments with :func:`path_param`.
    """
    raw: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
    if b"%2f" not in raw.lower() or unquote(raw.decode("latin-1")) != scope["path"]:
        return scope
    return {**scope, "path": unquote(_SLASH.sub("%252F", raw.decode("latin-1")))}


_SLASH: Final = re.compile("%2f", re.IGNORECASE)


def path_param(request: Request, name: str) -> str:
    """Return a path parameter of a request."""
    return str(request.path_params[name]).replace("%2F", "/")


# ---- request bodies


_FORM_TYPES: Final = frozenset({"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
"""The content types that a web page may send to any server without a CORS preflight."""


def check_content_type(headers: Mapping[str, str]) -> None:
    """Raise ``APIError`` (415) if the headers declare the body as compressed, or as a type that any web page can send."""
    content_type, coding = media_type(headers), headers.get("content-encoding", "identity").strip().lower()
    if content_type in _FORM_TYPES:
        message = f"The content type {content_type} is not supported: send 'Content-Type: application/json'."
        raise APIError.for_status(415)(message, status=415, type=INVALID, code="unsupported_content_type")
    if coding not in ("", "identity"):
        message = f"The content encoding {coding} is not supported: send the body uncompressed."
        raise APIError.for_status(415)(message, status=415, type=INVALID, code="unsupported_content_encoding")


async def read_bytes(receive: Receive, headers: Mapping[str, str], maximum: int) -> bytes:
    """Return the body of a request.

    Raises ``ClientDisconnected`` if the client disconnects, and ``APIError`` (413) if the body is longer than ``maximum`` bytes.
    """
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:18]) > maximum:
        raise _too_large(maximum)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
        size += len(chunks[-1])
        if size > maximum:
            raise _too_large(maximum)
    return b"".join(chunks)


def _too_large(maximum: int) -> APIError:
    message = f"The body exceeds the limit of this server, {maximum} bytes."
    return APIError.for_status(413)(message, status=413, type=INVALID, code="request_too_large")


# ---- responses


@attrs.frozen
class JSONResponse:
    """An ASGI application that sends a response whose body is known."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def with_headers(self, headers: Mapping[str, str]) -> JSONResponse:
        """Return the response with additional headers. Its own headers take precedence."""
        return attrs.evolve(self, headers={**headers, **self.headers}) if headers else self

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(_start(self.status, {**self.headers, "content-length": str(len(self.body))}))
        await send({"type": "http.response.body", "body": self.body})


async def json_response(value: object) -> JSONResponse:
    """Create a response (200) from a model or another JSON value."""
    return JSONResponse(200, JSON_HEADERS, await encode(value))


def error_response(error: APIError) -> JSONResponse:
    """Create the response for an error, in the documented shape."""
    status = error.answer_status if error.answer_status <= _MAX_STATUS else 500
    type_ = error.type or (INVALID if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error")
    body: JSONValue = {"error": {"message": error.message, "type": type_, "param": error.param, "code": error.code}}
    # They may come from another server, and contain anything.
    forwarded = {
        name: value.strip()
        for name, value in error.headers.items()
        if name.lower().startswith(_FORWARDED_HEADERS) and HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value)
    }
    headers = forwarded | JSON_HEADERS
    if error.retry_after is not None:
        headers.setdefault("retry-after", f"{min(max(0.0, error.retry_after), _MAX_RETRY_AFTER):.0f}")
    return JSONResponse(status, headers, dumps(body))


def _start(status: int, headers: Mapping[str, str]) -> ASGIMessage:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


async def catch_errors(work: Awaitable[_T]) -> _T | JSONResponse:
    """Await ``work``. Return its result, or an error response if it raises. Raises only ``ClientDisconnected`` and cancellation."""
    try:
        return await work
    except ClientDisconnected:
        raise
    except APIError as error:
        return error_response(error)
    except (Exception, anyio.get_cancelled_exc_class()) as error:
        if is_cancelled(error):
            raise
        _log.exception("unexpected error in the server")
        return error_response(internal_error())


async def no_response(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Send nothing: the client has disconnected."""


_ConnectedWork: TypeAlias = "Callable[[Send, TaskGroup], Awaitable[None]]"


async def _while_connected(receive: Receive, send: Send, work: _ConnectedWork) -> None:
    """Call ``work`` with a send function and a task group. Cancel both at once when the client disconnects."""

    async def watch(scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def send_or_disconnect(message: ASGIMessage) -> None:
        try:
            await send(message)
        except OSError as error:
            raise ClientDisconnected from error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            await work(send_or_disconnect, tasks)
        except ClientDisconnected:
            pass
        finally:
            tasks.cancel_scope.cancel()


@attrs.frozen
class DeferredJSON:
    """An ASGI application that does some work, and then sends one response. The work is cancelled if the client disconnects."""

    work: Callable[[], Awaitable[JSONResponse]]
    """Returns the response. May raise an ``APIError``, which becomes the response."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Additional headers, read when the work is done."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def respond(send: Send, _tasks: TaskGroup) -> None:
            response = (await catch_errors(self.work())).with_headers(self.headers)
            await response(scope, receive, send)

        await _while_connected(receive, send, respond)


@attrs.frozen
class EventStreamResponse:
    """An ASGI application that sends events as they are delivered, and ``[DONE]`` at the end."""

    work: Callable[[EventSink], Awaitable[None]]
    """Delivers the events to a sink. May raise an ``APIError``.

    If nothing has been sent, the error becomes the response. If only comments have been sent, it becomes an ``error`` event. After the
    first event, the stream ends without ``[DONE]``.
    """
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Additional headers, read when the stream starts."""
    keepalive: float | None = None
    """Seconds of silence after which a comment is sent; ``None`` for no comments."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the work and send its events. The work is cancelled if the client disconnects."""

        async def stream(send: Send, tasks: TaskGroup) -> None:
            writer = _StreamWriter(send, self.headers, head_only=scope["method"] == "HEAD")
            if self.keepalive is not None:
                tasks.start_soon(writer.keep_alive, self.keepalive, tasks.cancel_scope)
            error = await catch_errors(self.work(writer.sink))
            if error is None:
                await writer.write(DONE, more=False)
            elif writer.started:  # a stream that broke off ends without [DONE]
                await writer.write(b"" if writer.has_events else _error_frame(error), more=False)
            else:
                writer.started = True
                await error.with_headers(self.headers)(scope, receive, send)

        await _while_connected(receive, send, stream)


class _StreamWriter:
    """Writes the body of an event stream. The status and headers are sent with the first bytes."""

    def __init__(self, send: Send, headers: Mapping[str, str], *, head_only: bool) -> None:
        self.started = False
        self.has_events = False
        self._send = send
        self._head_only = head_only
        self._headers = headers
        self._last_write = anyio.current_time()
        self._is_writing = False
        self._comment_sent: anyio.Event | None = None  # while a comment is being sent

    async def sink(self, events: Sequence[WireEvent]) -> None:
        self.has_events = True
        # One ASGI message for all pending events: the message costs more than the events in it.
        await self.write(b"".join([_frame(event) for event in events]))

    async def write(self, data: bytes, *, more: bool = True) -> None:
        if self._comment_sent is not None:
            await self._comment_sent.wait()
        self._is_writing = True
        try:
            await self._write(data, more=more)
        finally:
            self._is_writing = False

    async def keep_alive(self, interval: float, scope: anyio.CancelScope) -> None:
        """Send a comment whenever nothing was sent for ``interval`` seconds. Cancel ``scope`` when the client has disconnected."""
        while True:
            silence = anyio.current_time() - self._last_write
            if silence < interval or self._is_writing:
                await anyio.sleep(interval - silence if silence < interval else interval / 10)
                continue
            self._comment_sent = anyio.Event()
            try:
                await self._write(_COMMENT)
            except ClientDisconnected:
                scope.cancel()
            finally:
                self._comment_sent.set()
                self._comment_sent = None

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not self.started:
            self.started = True
            await self._send(_start(200, {**self._headers, **_SSE}))
        if self._head_only:
            await self._send({"type": "http.response.body", "body": b""})
            raise ClientDisconnected  # the client has all it asked for, so nobody follows the events
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._last_write = anyio.current_time()


def _frame(event: WireEvent) -> bytes:
    # The upstream of a relayed response may use any event name.
    return encode_frame(event.data, event.type if event.type.isprintable() and event.type else None)


_COMMENT: Final = b": keep-alive\n\n"


def _error_frame(response: JSONResponse) -> bytes:
    """Return the ``error`` event for an error that is too late for an error response."""
    error = load(default_converter().json.loads(response.body)["error"], ErrorBody)
    event = ErrorEvent(sequence_number=0, code=error.code, message=error.message, param=error.param, error=error)
    return encode_frame(dumps(event), event.type)
