"""A Responses server as an ASGI application: ``ResponsesApp(handler)``, for uvicorn, hypercorn or a test client.

    POST   /responses                      a response, as JSON or (``"stream": true``) as server-sent events
    GET    /responses/{id}                 a stored response, or its events (``?stream=true&starting_after=7``)
    DELETE /responses/{id}
    POST   /responses/{id}/cancel          end a response that runs in the background
    GET    /responses/{id}/input_items     what it was made from, in pages
    POST   /responses/compact              a shorter history
    POST   /responses/input_tokens         how long an input is
           /conversations...               conversations and their items
    GET    /models, /models/{id}           the names that the server was told
    WebSocket /responses                   the same as POST, many times, with lanes and steering

All paths work with and without ``/v1``. Errors have the documented shape, ``{"error": {"message", "type", "param", "code"}}``:
400 for what is not JSON or does not fit (``param`` says where), 401 where keys are asked for, 404, 405, 413 for a body over
the bound, 500 when the handler breaks. An error after the first event cannot change the status any more; it becomes
``error`` and ``response.failed`` in the stream.

When the client goes away, the handler is cancelled at once, unless the response runs in the background. For that, the application has
to be open, by the lifespan of ASGI (uvicorn's ``--lifespan on``) or by itself::

    async with ResponsesApp(handler, store=SQLiteStore("responses.db")) as app:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://local/v1") as http_client: ...

A request that repeats one with the same ``Idempotency-Key``, key and body gets the same response, as long as that is stored and the
process lives; not if the first one was cut off by its client.

Whoever has a key sees all that is stored: there are no tenants.

Needs the extra ``server`` (starlette); what runs it is up to you, see :func:`responses_proto.server.serving`.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import attrs

from ..codec import make_converter
from ..exceptions import APIError, LocalProtocolError
from ..models.request import CompactRequest, CreateResponse, InputTokensRequest
from ..models.response import DeletedResponse, ResponseItemList
from ..protocol._requests import INVALID, not_found, page_of, read_body, read_list_params, read_retrieve_params
from ..protocol.emitter import random_id
from ..typing import UNSET
from ._conversations import ConversationPaths
from ._http import (
    ClientGone,
    DeferredJSON,
    Streaming,
    catch_errors,
    error_response,
    json_response,
    no_response,
    read_bytes,
)
from ._task import BROKEN
from ._websocket import WebSockets, deny_websocket
from .service import Handler, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from starlette.requests import Request

    from ._http import ASGI, ASGIMessage, JSONResponse, Receive, Scope, Send
    from ._task import EventSink, ResponseTask
    from .stores import Store

__all__ = ["Handler", "ResponsesApp"]

_Endpoint: TypeAlias = "Callable[[Request], Awaitable[ASGI]]"

_HEADS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_REMEMBERED: Final = 1024  # requests with an `Idempotency-Key`


class ResponsesApp:
    """The application. ``handler`` answers the requests; it is called once for each, from any number of tasks at a time.

    ``store``: where responses and conversations are kept; a :class:`~.stores.MemoryStore` if it is left out, and closed with the
    application. ``keys``: who may use it, by ``Authorization: Bearer``; ``None`` lets everybody in, an empty collection nobody.
    ``models``: the names that ``/models`` lists; requests may name others. ``max_body_bytes``: the longest request body, or
    WebSocket message, that is read. ``max_connection_age``: seconds after which a WebSocket takes no more requests. ``clock`` gives
    seconds since 1970; ``ids`` makes an id of a prefix. Raises ``ImportError`` if the extra ``server`` is not installed, and
    ``LocalProtocolError`` for keys that are none.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        store: Store | None = None,
        keys: Iterable[str] | None = None,
        models: Iterable[str] = (),
        max_body_bytes: int = _MAX_BODY_BYTES,
        max_connection_age: float = 3600.0,
        clock: Callable[[], float] = time.time,
        ids: Callable[[str], str] = random_id,
    ) -> None:
        self.service: Service = Service(handler, store=store, clock=clock, ids=ids)
        """What does the work, for transports other than HTTP."""
        self._keys = None if keys is None else [*map(_key, keys if not isinstance(keys, str | bytes) else [None])]
        self._models = [
            {"id": name, "object": "model", "created": int(clock()), "owned_by": "responses_proto"} for name in models
        ]
        self._max_body_bytes = max_body_bytes
        self._websockets = WebSockets(self.service, max_connection_age, max_body_bytes)
        self._answered: dict[bytes, str] = {}  # what tells a repeated request -> the id of the response to it
        self._converter = make_converter(strict=True)
        self._app = self._route()

    def _route(self) -> ASGI:
        try:
            from starlette.applications import Starlette  # noqa: PLC0415 - an extra: imported when it is needed
            from starlette.exceptions import HTTPException  # noqa: PLC0415 - as above
            from starlette.routing import Route, WebSocketRoute  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ImportError("ResponsesApp needs starlette: pip install 'responses-proto[server]'") from error
        paths: dict[str, Mapping[str, _Endpoint]] = {
            "/responses": {"POST": self._create},
            "/responses/compact": {"POST": self._compact},
            "/responses/input_tokens": {"POST": self._count},
            "/responses/{response_id}": {"GET": self._retrieve, "DELETE": self._delete},
            "/responses/{response_id}/cancel": {"POST": self._cancel},
            "/responses/{response_id}/input_items": {"GET": self._input_items},
            **ConversationPaths(self.service, self._converter, self._body).paths(),
            "/models": {"GET": self._list_models},
            "/models/{model:path}": {"GET": self._model},
        }
        return Starlette(
            routes=[
                *(
                    Route(prefix + path, functools.partial(self._dispatch, endpoints), methods=[*endpoints])
                    for prefix in ("/v1", "")
                    for path, endpoints in paths.items()
                ),
                *(WebSocketRoute(prefix + "/responses", self._websockets) for prefix in ("/v1", "")),
            ],
            exception_handlers={HTTPException: self._refuse},
            lifespan=lambda _: _Lifespan(self),
        )

    async def __aenter__(self) -> Self:
        await self.service.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.service.__aexit__(exc_type, exc, traceback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI 3 has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = self.service.ids("req")

        async def named_send(message: ASGIMessage) -> None:
            if message["type"] in _HEADS:
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        if self._admits(dict(scope["headers"]).get(b"authorization", b"")):
            await self._app(scope, receive, named_send)
        else:
            answer = error_response(_not_admitted())
            await (deny_websocket(answer) if scope["type"] == "websocket" else answer)(scope, receive, named_send)

    def _admits(self, authorization: bytes) -> bool:
        if self._keys is None:
            return True
        scheme, _, given = authorization.partition(b" ")
        # Every key is compared, each in constant time, so that the time tells nothing about them.
        found = [hmac.compare_digest(given.strip(), key) for key in self._keys]
        return scheme.lower() == b"bearer" and any(found)

    @staticmethod
    async def _dispatch(endpoints: Mapping[str, _Endpoint], request: Request) -> ASGI:
        endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
        try:
            return await catch_errors(endpoint(request))
        except ClientGone:
            return no_response

    @staticmethod
    async def _refuse(request: Request, error: Exception) -> ASGI:
        # What the router refuses.
        status = getattr(error, "status_code", 500)
        where = f"{request.method} {request.url.path}"
        message, code = {
            404: (f"There is nothing at {where}.", "unknown_url"),
            405: (f"{where} is not allowed: the path takes other methods.", "method_not_allowed"),
        }.get(status, (BROKEN, "server_error"))
        headers: Mapping[str, str] = getattr(error, "headers", None) or {}
        return error_response(APIError(message, status=status, type=INVALID, code=code, headers=headers))

    async def _body(self, request: Request) -> bytes:
        return await read_bytes(request.receive, request.headers, self._max_body_bytes)

    # -- responses

    async def _create(self, request: Request) -> ASGI:
        body = await self._body(request)
        asked = read_body(body, CreateResponse, self._converter)
        given = _idempotency(request.headers, body)
        if given in self._answered and (known := await self.service.find(self._answered[given])) is not None:
            return (
                Streaming(await self.service.replay(known.response.id))
                if asked.stream
                else json_response(known.response)
            )
        turn = await self.service.turn(asked)
        if asked.background:
            await self.service.start(turn)
            self._remember(given, turn)
            return (
                Streaming(functools.partial(self.service.follow, turn, 0))
                if asked.stream
                else json_response(turn.response)
            )

        async def run(deliver: EventSink | None = None) -> None:
            try:
                await turn.run(deliver)
            finally:
                if turn.response.status == "completed":
                    self._remember(given, turn)

        async def answer() -> JSONResponse:
            await run()
            return json_response(turn.response)

        return Streaming(run) if asked.stream else DeferredJSON(answer)

    def _remember(self, given: bytes, turn: ResponseTask) -> None:
        if given:
            self._answered[given] = turn.id
            if len(self._answered) > _REMEMBERED:
                del self._answered[next(iter(self._answered))]

    async def _retrieve(self, request: Request) -> ASGI:
        params = read_retrieve_params(request.query_params.multi_items())
        name = _response_id(request)
        if not params.stream:
            return json_response((await self.service.existing(name)).response)
        after = None if params.starting_after is UNSET else params.starting_after
        return Streaming(await self.service.replay(name, after))

    async def _delete(self, request: Request) -> ASGI:
        name = _response_id(request)
        await self.service.delete(name)
        return json_response(DeletedResponse(id=name, object="response.deleted", deleted=True))

    async def _cancel(self, request: Request) -> ASGI:
        return json_response(await self.service.cancel(_response_id(request)))

    async def _input_items(self, request: Request) -> ASGI:
        params = read_list_params(request.query_params.multi_items())
        page = page_of((await self.service.existing(_response_id(request))).input, params)
        return json_response(
            ResponseItemList(data=page.data, first_id=page.first_id, last_id=page.last_id, has_more=page.has_more)
        )

    async def _compact(self, request: Request) -> ASGI:
        asked = read_body(await self._body(request), CompactRequest, self._converter, required=["model"])

        async def compact() -> JSONResponse:
            return json_response(await self.service.compact(asked))

        return DeferredJSON(compact)

    async def _count(self, request: Request) -> ASGI:
        asked = read_body(await self._body(request), InputTokensRequest, self._converter)

        async def count() -> JSONResponse:
            return json_response(await self.service.count(asked))

        return DeferredJSON(count)

    # -- models

    async def _list_models(self, _request: Request) -> ASGI:
        return json_response({"object": "list", "data": self._models})

    async def _model(self, request: Request) -> ASGI:
        name = str(request.path_params["model"])
        for model in self._models:
            if model["id"] == name:
                return json_response(model)
        raise not_found("model", name, "model")


def _key(given: object) -> bytes:
    if not isinstance(given, str) or not given.strip():
        raise LocalProtocolError("a key is a text that is not empty, and keys is a collection of them: keys=['k']")
    return given.strip().encode()


def _response_id(request: Request) -> str:
    return str(request.path_params["response_id"])


def _idempotency(headers: Mapping[str, str], body: bytes) -> bytes:
    """Tell what makes a request the same as another: its key, who sends it, and the body; empty without a key."""
    key = headers.get("idempotency-key", "")
    who = headers.get("authorization", "")
    return hashlib.sha256(f"{key}\n{who}\n".encode() + body).digest() if key else b""


def _not_admitted() -> APIError:
    message, headers = "The API key is missing or not known here.", {"www-authenticate": "Bearer"}
    return APIError(message, status=401, type=INVALID, code="invalid_api_key", headers=headers)


@attrs.frozen
class _Lifespan:
    """What Starlette enters when the server starts: it would take what the application's own ``__aenter__`` gives for state."""

    app: ResponsesApp

    async def __aenter__(self) -> None:
        await self.app.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.app.__aexit__(exc_type, exc, traceback)
