"""ASGI as the server speaks it: bodies in; whole answers and streams out, for as long as the client is there."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import anyio
import attrs

from ..codec import dumps
from ..exceptions import APIError
from ..protocol._requests import INVALID
from ..protocol.emitter import DONE
from ..protocol.sse import encode_frame
from ._task import internal_error

if TYPE_CHECKING:
    from ..typing import JSONValue
    from ._task import EventSink
    from .stores import WireEvent

__all__ = [
    "ASGI",
    "ASGIMessage",
    "ClientGone",
    "DeferredJSON",
    "JSONResponse",
    "Receive",
    "Scope",
    "Send",
    "Streaming",
    "catch_errors",
    "error_response",
    "json_response",
    "no_response",
    "read_bytes",
]

Scope: TypeAlias = MutableMapping[str, Any]
ASGIMessage: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[ASGIMessage]]
Send: TypeAlias = Callable[[ASGIMessage], Awaitable[None]]
ASGI: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON: Final = {"content-type": "application/json"}
_SSE: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold the stream back
}

_PASSED: Final = ("allow", "retry-after", "www-authenticate", "x-ratelimit-", "x-should-retry")
"""The beginnings of the headers of an error that go to the client. Others may be another server's, about another body."""

_T = TypeVar("_T")

_log: Final = logging.getLogger(__name__)


class ClientGone(Exception):  # noqa: N818 - no error: the client may leave when it likes
    """Nobody reads any more, or nobody writes."""


# ---- reading


async def read_bytes(receive: Receive, headers: Mapping[str, str], maximum: int) -> bytes:
    """Read the body of a request. Raises ``ClientGone``, and ``APIError`` (413) for one that is longer than ``maximum``."""
    stated = headers.get("content-length", "")
    if stated.isdigit() and int(stated[:18]) > maximum:
        raise _too_long(maximum)
    pieces: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
        size += len(pieces[-1])
        if size > maximum:
            raise _too_long(maximum)
    return b"".join(pieces)


def _too_long(maximum: int) -> APIError:
    message = f"The body is longer than {maximum} bytes, which is all this server reads."
    return APIError.for_status(413)(message, status=413, type=INVALID, code="request_too_large")


# ---- answering


_FIRST_OF_SERVERS: Final = 500  # the HTTP status codes from here on are the server's own fault


@attrs.frozen
class JSONResponse:
    """An answer that is known as a whole; an ASGI application that gives it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        await send(_head(self.status, {**self.headers, "content-length": str(len(self.body))}))
        await send({"type": "http.response.body", "body": self.body})


def json_response(value: object) -> JSONResponse:
    """Answer with a model, or another value that is JSON."""
    return JSONResponse(200, _JSON, dumps(value))


def error_response(error: APIError) -> JSONResponse:
    """Answer with an error, in the documented shape."""
    status = error.answer_status
    type_ = error.type or (INVALID if status < _FIRST_OF_SERVERS else "server_error")
    body: JSONValue = {"error": {"message": error.message, "type": type_, "param": error.param, "code": error.code}}
    passed = {
        name: value for name, value in error.headers.items() if name.lower().startswith(_PASSED) and value.isascii()
    }
    headers = passed | _JSON
    if error.retry_after is not None:
        headers.setdefault("retry-after", f"{max(0.0, error.retry_after):.0f}")
    return JSONResponse(status, headers, dumps(body))


def _head(status: int, headers: Mapping[str, str]) -> ASGIMessage:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


async def catch_errors(work: Awaitable[_T]) -> _T | JSONResponse:
    """Do some work; give the answer to an error of it, if there is one. Raises ``ClientGone`` only."""
    try:
        return await work
    except ClientGone:
        raise
    except APIError as error:
        return error_response(error)
    except Exception:  # noqa: BLE001 - whatever breaks, the client gets an answer
        _log.exception("the server broke")
        return error_response(internal_error())


async def no_response(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer nobody."""


async def _while_listening(receive: Receive, send: Send, work: Callable[[Send], Awaitable[None]]) -> None:
    """Work for as long as the client is there; cancel the work at once when it leaves."""

    async def watch(scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def put(message: ASGIMessage) -> None:
        try:
            await send(message)
        except OSError as error:
            raise ClientGone from error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, tasks.cancel_scope)
        try:
            await work(put)
        except ClientGone:
            pass
        finally:
            tasks.cancel_scope.cancel()


@attrs.frozen
class DeferredJSON:
    """An ASGI application that works, and then gives one whole answer."""

    work: Callable[[], Awaitable[JSONResponse]]
    """May raise an ``APIError``, which is the answer then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work and answer."""

        async def answer(put: Send) -> None:
            found = await catch_errors(self.work())
            await found(scope, receive, put)

        await _while_listening(receive, send, answer)


@attrs.frozen
class Streaming:
    """An ASGI application that sends events as they are delivered, and ``[DONE]`` behind them."""

    work: Callable[[EventSink], Awaitable[None]]
    """Delivers the events. May raise an ``APIError`` before the first one, which is the answer then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Work and stream."""

        async def stream(put: Send) -> None:
            begun = False

            async def write(data: bytes, *, more: bool = True) -> None:
                nonlocal begun
                if not begun:
                    begun = True
                    await put(_head(200, _SSE))
                await put({"type": "http.response.body", "body": data, "more_body": more})

            async def deliver(events: Sequence[WireEvent]) -> None:
                # One message for whatever is due: what an event costs is mostly what a message costs.
                await write(b"".join([encode_frame(event.data, event.type) for event in events]))

            refused = await catch_errors(self.work(deliver))
            if refused is not None and not begun:
                await refused(scope, receive, put)
            else:  # without [DONE], where it broke in the middle
                await write(DONE if refused is None else b"", more=False)

        await _while_listening(receive, send, stream)
