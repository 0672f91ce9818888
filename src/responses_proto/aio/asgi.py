"""A Responses server as an ASGI application: ``ResponsesApp(handler)``, for uvicorn, hypercorn or a test client.

    POST /v1/responses      a response, as JSON or (``"stream": true``) as server-sent events

The paths work with and without ``/v1``. Errors have the documented shape, ``{"error": {"message", "type", "param", "code"}}``:
400 for what is not JSON or does not fit (``param`` says where), 401 where keys are asked for, 404, 405, 413 for a body over
the bound, 500 when the handler breaks. An error after the first event cannot change the status any more; it becomes
``error`` and ``response.failed`` in the stream.

When the client goes away, the handler is cancelled at once.

Needs the extra ``server`` (starlette); what runs it is up to you, see :func:`responses_proto.aio.serving.serving`.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import attrs

from ..codec import Converter, dumps, make_converter
from ..emitter import DONE, Emitter, encode_event, random_id
from ..exceptions import APIError, DecodeError, LimitExceeded
from ..models.items import UnknownItem
from ..models.request import CreateResponse
from .reply import Reply

if TYPE_CHECKING:
    from starlette.requests import Request

    from ..models.events import Event
    from ..typing import JSONValue

__all__ = ["Handler", "ResponsesApp"]

Handler: TypeAlias = Callable[[CreateResponse, Reply], Awaitable[None]]
"""Answers one request; see :mod:`responses_proto.aio.reply`. May raise an ``APIError``."""

_Scope: TypeAlias = MutableMapping[str, Any]
_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_ASGI: TypeAlias = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_log: Final = logging.getLogger(__name__)

_JSON: Final = {"content-type": "application/json"}
_SSE: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold the stream back
}
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_INVALID: Final = "invalid_request_error"


class ResponsesApp:
    """The application. ``handler`` answers the requests; it is called once for each, from any number of tasks at a time.

    ``keys``: who may use it, by ``Authorization: Bearer``; ``None`` lets everybody in, an empty collection nobody.
    ``max_body_bytes``: the longest request body that is read. ``clock`` gives seconds since 1970; ``ids`` makes an id of
    a prefix. Raises ``ImportError`` if the extra ``server`` is not installed.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        keys: Iterable[str] | None = None,
        max_body_bytes: int = _MAX_BODY_BYTES,
        clock: Callable[[], float] = time.time,
        ids: Callable[[str], str] = random_id,
    ) -> None:
        self._handler = handler
        self._keys = None if keys is None else [key.encode() for key in keys]
        self._max_body_bytes = max_body_bytes
        self._clock = clock
        self._ids = ids
        self._converter = make_converter(strict=True)
        self._app = self._route()

    def _route(self) -> _ASGI:
        try:
            from starlette.applications import Starlette  # noqa: PLC0415 - an extra: imported when it is needed
            from starlette.exceptions import HTTPException  # noqa: PLC0415 - as above
            from starlette.routing import Route  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ImportError("ResponsesApp needs starlette: pip install 'responses-proto[server]'") from error
        paths: list[tuple[list[str], str, Callable[[Request], Awaitable[_ASGI]]]] = [
            (["POST"], "/responses", self._create),
            (["GET", "DELETE"], "/responses/{response_id}", self._stored),
            (["POST"], "/responses/{response_id}/cancel", self._stored),
            (["GET"], "/responses/{response_id}/input_items", self._stored),
        ]
        return Starlette(
            routes=[
                Route(prefix + path, endpoint, methods=methods)
                for prefix in ("/v1", "")
                for methods, path, endpoint in paths
            ],
            exception_handlers={HTTPException: self._refuse, Exception: self._refuse},
        )

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one connection, as ASGI 3 has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._ids("req")

        async def named_send(message: _Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        if self._admits(dict(scope["headers"]).get(b"authorization", b"")):
            await self._app(scope, receive, named_send)
        else:
            await _answer(_error_of(_not_admitted()), named_send)

    def _admits(self, authorization: bytes) -> bool:
        if self._keys is None:
            return True
        scheme, _, given = authorization.partition(b" ")
        # Every key is compared, each in constant time, so that the time tells nothing about them.
        found = [hmac.compare_digest(given.strip(), key) for key in self._keys]
        return scheme.lower() == b"bearer" and any(found)

    # -- endpoints

    async def _create(self, request: Request) -> _ASGI:
        try:
            asked = _read_request(await self._body(request), self._converter)
        except APIError as error:
            return _Answer(_error_of(error))
        except _ClientGone:
            return _silence
        return _Exchange(self._handler, asked, Emitter(asked, now=self._clock(), ids=self._ids), self._clock)

    async def _stored(self, request: Request) -> _ASGI:
        # Nothing is kept, so there is nothing to be found.
        response_id = str(request.path_params["response_id"])
        message = f"There is no response with id {response_id!r}: this server keeps none."
        return _Answer(_error_of(APIError(message, status=404, type=_INVALID, param="response_id")))

    async def _refuse(self, request: Request, error: Exception) -> _ASGI:
        # What the router refuses, and what broke outside of a handler.
        status = getattr(error, "status_code", 500)
        where = f"{request.method} {request.url.path}"
        if status == 404:  # noqa: PLR2004 - HTTP's number for it
            message, code = f"There is nothing at {where}.", "unknown_url"
        elif status == 405:  # noqa: PLR2004 - HTTP's number for it
            message, code = f"{where} is not allowed: the path takes other methods.", "method_not_allowed"
        else:
            message, code = _BROKEN, "server_error"
        type_ = _INVALID if status < 500 else "server_error"  # noqa: PLR2004 - HTTP's family of server errors
        headers: Mapping[str, str] = getattr(error, "headers", None) or {}
        return _Answer(_error_of(APIError(message, status=status, type=type_, code=code, headers=headers)))

    async def _body(self, request: Request) -> bytes:
        too_long = APIError(
            f"The body is longer than {self._max_body_bytes} bytes, which is all this server reads.",
            status=413,
            type=_INVALID,
            code="request_too_large",
        )
        stated = request.headers.get("content-length", "")
        if stated.isdigit() and int(stated[:18]) > self._max_body_bytes:
            raise too_long
        pieces: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
            size += len(pieces[-1])
            if size > self._max_body_bytes:
                raise too_long
        return b"".join(pieces)


# ---- reading requests


def _read_request(body: bytes, converter: Converter) -> CreateResponse:
    try:
        value = converter.json.loads(body)
    except (DecodeError, LimitExceeded) as error:
        raise APIError(f"The body is not JSON that can be read: {error}", status=400, type=_INVALID) from error
    try:
        asked = converter.load(value, CreateResponse)
    except DecodeError as error:
        param = error.path.removeprefix("$").removeprefix(".") or None
        raise _invalid(f"{param or 'The body'} does not fit: {error}", param, "invalid_type") from error
    for field in asked.extra:
        raise _invalid(f"There is no parameter {field!r}.", field, "unknown_parameter")
    if not asked.model and not asked.prompt:
        raise _invalid("The parameter 'model' is missing.", "model", "missing_required_parameter")
    for index, item in enumerate(() if isinstance(asked.input, str) else asked.input or ()):
        if isinstance(item, UnknownItem) and not item.type:
            raise _invalid("An input item has no type.", f"input[{index}].type", "missing_required_parameter")
    if asked.background:
        raise _invalid("This server does not work in the background.", "background", "unsupported_parameter")
    if asked.previous_response_id:
        message = f"There is no response with id {asked.previous_response_id!r}: this server keeps none."
        raise _invalid(message, "previous_response_id", "previous_response_not_found")
    if asked.conversation:
        raise _invalid("This server keeps no conversations.", "conversation", "unsupported_parameter")
    return asked


def _invalid(message: str, param: str | None, code: str) -> APIError:
    return APIError(message, status=400, type=_INVALID, param=param, code=code)


def _not_admitted() -> APIError:
    headers = {"www-authenticate": "Bearer"}
    return APIError(
        "The API key is missing or not known here.",
        status=401,
        type=_INVALID,
        code="invalid_api_key",
        headers=headers,
    )


# ---- writing answers


@attrs.frozen
class _Whole:
    """An answer that is known as a whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def _answer(whole: _Whole, send: _Send) -> None:
    headers = {**whole.headers, "content-length": str(len(whole.body))}
    await send(_head(whole.status, headers))
    await send({"type": "http.response.body", "body": whole.body})


def _head(status: int, headers: Mapping[str, str]) -> _Message:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


def _error_of(error: APIError) -> _Whole:
    body: JSONValue = {
        "error": {"message": error.message, "type": error.type or _INVALID, "param": error.param, "code": error.code}
    }
    headers = {**error.headers, **_JSON}
    if error.retry_after is not None:
        headers.setdefault("retry-after", f"{max(0.0, error.retry_after):.0f}")
    return _Whole(error.status or 500, headers, dumps(body))


@attrs.frozen
class _Answer:
    """An ASGI application that gives one whole answer."""

    whole: _Whole

    async def __call__(self, _scope: _Scope, _receive: _Receive, send: _Send) -> None:
        await _answer(self.whole, send)


async def _silence(_scope: _Scope, _receive: _Receive, _send: _Send) -> None:
    """Answer nobody."""


_BROKEN: Final = "The server met an error while it worked on the request."


class _ClientGone(Exception):  # noqa: N818 - no error: the client may leave when it likes
    """Writing failed because nobody reads any more."""


class _Exchange:
    """One request and its answer: an ASGI application that runs the handler for as long as the client is there."""

    def __init__(self, handler: Handler, request: CreateResponse, emitter: Emitter, clock: Callable[[], float]) -> None:
        self._handler = handler
        self._request = request
        self._emitter = emitter
        self._clock = clock
        self._begun = False

    async def __call__(self, _scope: _Scope, receive: _Receive, send: _Send) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, receive, tasks.cancel_scope)
            try:
                await self._run(send)
            except _ClientGone:
                pass
            finally:
                tasks.cancel_scope.cancel()

    @staticmethod
    async def _watch(receive: _Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _run(self, send: _Send) -> None:
        streaming = bool(self._request.stream)

        async def deliver(events: Sequence[Event]) -> None:
            if streaming:
                await self._put(b"".join(map(encode_event, events)), send, more=True)

        reply = Reply(self._emitter, deliver, self._clock)
        refused = await self._work(reply)
        if refused is not None and not self._begun:
            await self._whole(_error_of(refused), send)
        elif not streaming:
            await self._whole(_Whole(200, _JSON, dumps(self._emitter.response)), send)
        else:
            if refused is not None and not reply.ended:
                code, type_ = refused.code or "server_error", refused.type or "server_error"
                await reply.fail(code, refused.message, type=type_, param=refused.param)
            await self._put(DONE, send, more=False)

    async def _work(self, reply: Reply) -> APIError | None:
        """Let the handler answer; give what it raised, in a form that may be shown to the client."""
        try:
            await self._handler(self._request, reply)
            if not reply.ended:
                await reply.complete()
        except _ClientGone:
            raise
        except APIError as error:
            return error
        except Exception:  # noqa: BLE001 - whatever a handler does wrong, the client gets an answer
            # What a handler raises may hold anything, keys included, so that only the log gets it.
            _log.exception("the handler of %s failed", self._emitter.response.id)
            return APIError(_BROKEN, status=500, type="server_error", code="server_error")
        return None

    async def _put(self, data: bytes, send: _Send, *, more: bool) -> None:
        try:
            if not self._begun:
                self._begun = True
                await send(_head(200, _SSE))
            await send({"type": "http.response.body", "body": data, "more_body": more})
        except OSError as error:
            raise _ClientGone from error

    @staticmethod
    async def _whole(whole: _Whole, send: _Send) -> None:
        try:
            await _answer(whole, send)
        except OSError as error:
            raise _ClientGone from error
