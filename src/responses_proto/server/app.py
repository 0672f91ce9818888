"""A Responses server as an ASGI application, for uvicorn, hypercorn or a test client.

::

    app = ResponsesApp(handler, store=SQLiteStore("responses.db"), keys=["secret"])

A request travels down this list, and its response back up:

1. The ASGI server (see :func:`responses_proto.server.serving`) calls the application.
2. :class:`ResponsesApp` checks host, origin and API key, adds ``x-request-id`` to the response, and routes to an endpoint.
3. The endpoint (below, and in ``_conversations``) reads the body and the query strictly. Invalid JSON, a value of the
   wrong type and an unknown parameter raise an ``APIError`` (400) whose ``param`` names the field.
4. :class:`~.service.Service` finds the history and creates a :class:`~.service.ResponseTask`. The WebSocket endpoint
   (``_websocket``) does the same for each of its messages.
5. The task calls the handler, which writes through its :class:`~.reply.Reply`. The task encodes the events, saves them in the
   :class:`~.stores.Store`, and passes them up.
6. ``_http`` sends them: each event as soon as it arrives, or the finished response as JSON.

The endpoints, each with and without ``/v1``::

    POST   /responses                      create a response: JSON, or with "stream": true server-sent events
    GET    /responses/{id}                 return a stored response, or its events (?stream=true&starting_after=7)
    DELETE /responses/{id}                 delete a response
    POST   /responses/{id}/cancel          cancel a response in the background
    GET    /responses/{id}/input_items     list the items that the response was made from
    POST   /responses/compact              shorten a history
    POST   /responses/input_tokens         count the tokens of an input
           /conversations...               conversations and their items
    GET    /models, /models/{id}           the names passed as ``models``, and those that the handler knows
    GET    /openapi.json                   a description of these endpoints and their bodies (OpenAPI 3.1); needs no key
    GET    /healthz                        whether the server answers; needs no key
    WebSocket /responses                   many requests on one connection

Errors have the documented shape, ``{"error": {"message", "type", "param", "code"}}``. Their statuses:

* 400 for a wrong request, 401 for a wrong key, 403 for a web page that may not use the server,
* 404 and 405 for wrong paths and unknown ids,
* 413 for a body that is too large, 415 for a body that is declared as compressed, as a form or as plain text,
* 500 for an exception in the handler.

After the first event of a stream, the status is fixed: an error becomes the events ``error`` and ``response.failed``.

When a client disconnects, its handler is cancelled at once, unless the response runs in the background. Responses in the background
require that the application is open, through the ASGI lifespan (``uvicorn --lifespan on``) or ``async with``::

    async with ResponsesApp(handler, store=SQLiteStore("responses.db")) as app:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://local/v1") as http_client: ...

Of requests with the same ``Idempotency-Key``, API key and body, only one runs. The others wait for it and get its response. It is
remembered while the process lives and the response exists, or for a day in a store that several servers share. If the request has
failed, or its client has disconnected before the end, the next request runs.

Each request is logged to ``responses_proto.server.access`` at level INFO, with its details as attributes of the record.

Every key gives access to all stored data, unless ``tenants`` separates the identities.

Requires the extra ``server``, which installs starlette.
"""

from __future__ import annotations

import contextlib
import functools
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, TypeVar, cast

import attrs

from ..codec import Converter, default_converter
from ..exceptions import APIError, UsageError
from ..models.request import CompactRequest, CreateResponse, InputTokensRequest
from ..models.response import DeletedResponse, Response, ResponseItemList
from ..protocol._requests import INVALID, not_found, page_of, read_body, read_list_params, read_retrieve_params
from ..protocol.emitter import random_id
from ..typing import UNSET
from ._access import META, AccessRecord, Keys, RequestMeta
from ._conversations import ConversationPaths
from ._http import (
    JSON_HEADERS,
    ClientDisconnected,
    DeferredJSON,
    EventStreamResponse,
    JSONResponse,
    catch_errors,
    check_content_type,
    error_response,
    json_response,
    no_response,
    path_param,
    read_bytes,
    with_whole_segments,
)
from ._idempotency import IdempotentRequests, fingerprint_of
from ._openapi import openapi_document, with_servers
from ._origins import OriginPolicy
from ._task import INTERNAL_ERROR_MESSAGE
from ._websocket import WebSockets, deny_websocket
from .service import Handler, Service, SupportsModels
from .webhooks import WebhookSender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from starlette.requests import Request

    from ..models._base import Model
    from ..protocol._requests import UnknownParameters
    from ..typing import JSONObject
    from ._access import AcceptedKeys
    from ._http import ASGI, ASGIMessage, Receive, Scope, Send
    from ._task import EventSink
    from .stores import Store
    from .webhooks import WebhookEndpoint

__all__ = ["Handler", "ResponsesApp"]

_M = TypeVar("_M", bound="Model")
_Endpoint: TypeAlias = "Callable[[Request], Awaitable[ASGI]]"

_SWITCHING_PROTOCOLS: Final = 101
_START_MESSAGES: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_PREFIXES: Final = ("/v1", "")
"""The prefixes of the endpoints' paths."""
_DOCUMENT: Final = "/openapi.json"
_HEALTH: Final = "/healthz"
_PUBLIC: Final = frozenset(prefix + path for prefix in _PREFIXES for path in (_DOCUMENT, _HEALTH))
"""The paths that can be read without a key."""
_MAX_BODY_BYTES: Final = 64 * 1024 * 1024


class ResponsesApp:
    """A server of the Responses API, as an ASGI application. Pass it to an ASGI server, or use it with :func:`.serving`.

    * ``handler`` answers the requests. It is called once per request, as ``await handler(request, reply)``, from any number of
      tasks at once. See :mod:`responses_proto.server.reply`.
    * ``store`` keeps responses and conversations, and is closed with the application. Default: a :class:`~.stores.MemoryStore`.
    * ``keys`` are the API keys that are accepted in ``Authorization: Bearer``: a collection, a mapping from each key to the identity
      of its owner, or a function, plain or async, that returns the identity for a key, or ``None`` for a wrong key. The handler gets
      the identity as ``reply.identity``; with a collection, it is a hash of the key. ``None`` accepts every request, an empty
      collection accepts none. ``/openapi.json`` and ``/healthz`` need no key.
    * ``tenants`` separates the identities of ``keys``: each has access only to its own responses, conversations and items, in any store.
    * ``lifespan`` returns an async context manager for resources of the handler, such as a client. It is entered before the first
      request, and exited after the last response in the background has ended.
    * ``webhook`` is the endpoint that is notified when a response in the background has ended; see
      :mod:`responses_proto.server.webhooks`.
    * ``converter`` decodes requests and stored data, with the vendor classes that are registered in it
      (:meth:`responses_proto.codec.Converter.register`). Requests are always decoded strictly.
    * ``models`` are the model names that ``/models`` lists. Requests may name others.
    * ``allow_hosts`` and ``allow_origins`` are the names (``api.example``) by which the server may be called, and the origins
      (``https://app.example``) whose web pages may use it; ``"*"`` allows all. By default, a server without keys that is called at a
      loopback address accepts only loopback names, and only pages of its own origin. Other servers do not check. If web pages need to
      read responses, wrap the application in a CORS middleware.
    * ``unknown_parameters`` controls how parameters that the protocol does not define are handled. By default they are passed to the
      handler in ``request.extra``, except for likely misspellings (``temprature``), which are refused with a suggestion. ``"pass"``
      passes these too; ``"refuse"`` refuses all unknown parameters.
    * ``keepalive`` is the number of seconds of silence after which a comment is sent on an event stream, so that proxies do not cut
      the connection; ``None`` sends no comments.
    * ``max_background`` is the maximum number of concurrent responses in the background; further ones are refused (429).
    * ``max_body_bytes`` is the maximum length of a request body or WebSocket message.
    * ``max_connection_age`` is the number of seconds after which a WebSocket connection accepts no further requests.
    * ``clock`` returns the time in seconds since 1970.
    * ``ids`` returns a new id with the given prefix, such as ``resp``.

    Raises ``UsageError`` if an argument is invalid, and ``ImportError`` if starlette is not installed.

    Enter the application with ``async with``, or let the ASGI server do so through the lifespan, to allow responses in the
    background. Entering it twice raises ``LocalProtocolError``.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        store: Store | None = None,
        keys: AcceptedKeys | None = None,
        tenants: bool = False,
        lifespan: Callable[[], AbstractAsyncContextManager[object]] | None = None,
        webhook: WebhookEndpoint | None = None,
        models: Iterable[str] = (),
        allow_hosts: Iterable[str] | None = None,
        allow_origins: Iterable[str] | None = None,
        unknown_parameters: Literal["refuse", "pass"] | None = None,
        keepalive: float | None = 15.0,
        max_background: int = 1000,
        max_body_bytes: int = _MAX_BODY_BYTES,
        max_connection_age: float = 3600.0,
        clock: Callable[[], float] = time.time,
        ids: Callable[[str], str] = random_id,
        converter: Converter | None = None,
    ) -> None:
        self.service: Service = Service(
            handler, store=store, clock=clock, ids=ids, converter=converter, max_background=max_background
        )
        """The server without its transport. Use it to serve transports other than HTTP."""
        self._keys = None if keys is None else Keys(keys)
        if tenants and keys is None:
            raise UsageError("tenants=True needs keys, which say who calls")
        self._tenants = tenants
        self._lifespan = lifespan
        self._webhooks = None if webhook is None else WebhookSender(webhook, clock=clock, ids=ids)
        if self._webhooks is not None:
            self.service.on_background_end = self._webhooks.notify
        self._entered = contextlib.AsyncExitStack()
        self._origin_policy = OriginPolicy(allow_hosts, allow_origins, trusts_callers=self._keys is not None)
        self._models = [*models]
        self._created = int(clock())
        if unknown_parameters not in (None, "refuse", "pass"):
            raise UsageError(f"unknown_parameters must be 'refuse', 'pass' or None, got {unknown_parameters!r}")
        self._unknown_parameters: UnknownParameters = unknown_parameters
        self._max_body_bytes = max_body_bytes
        self._websockets = WebSockets(
            self._service_of,
            max_connection_age=max_connection_age,
            max_message_bytes=max_body_bytes,
            unknown_parameters=unknown_parameters,
        )
        self._idempotent = IdempotentRequests()
        self._keepalive = keepalive
        self._document = b""  # of OpenAPI; created on the first request for it
        self._converter = (converter or default_converter()).in_mode(strict=True)
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
            **ConversationPaths(self._service_for, self._read).paths(),
            "/models": {"GET": self._list_models},
            "/models/{model:path}": {"GET": self._model},
        }
        self._routes = {path: [*endpoints] for path, endpoints in paths.items()}
        paths[_DOCUMENT] = {"GET": self._describe}
        paths[_HEALTH] = {"GET": self._health}
        app = Starlette(
            routes=[
                *(
                    Route(prefix + path, functools.partial(self._dispatch, endpoints), methods=[*endpoints])
                    for prefix in _PREFIXES
                    for path, endpoints in paths.items()
                ),
                *(WebSocketRoute(prefix + "/responses", self._websockets) for prefix in _PREFIXES),
            ],
            exception_handlers={HTTPException: self._routing_error},
            lifespan=lambda _: _Lifespan(self),
        )
        # The redirect from `/responses/` would go to any host that the `Host` header names.
        app.router.redirect_slashes = False
        return app

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            if self._lifespan is not None and not self.service.open:
                await stack.enter_async_context(self._lifespan())
            if self._webhooks is not None and not self.service.open:
                await stack.enter_async_context(self._webhooks)
            await stack.enter_async_context(self.service)
            self._entered = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._entered.__aexit__(exc_type, exc, traceback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, WebSocket connection or lifespan (ASGI 3)."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = self.service.ids("req")
        record = AccessRecord(scope, request_id)

        async def send_with_id(message: ASGIMessage) -> None:
            if message["type"] in _START_MESSAGES:
                record.status = message.get("status", _SWITCHING_PROTOCOLS)
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._answer(scope, receive, send_with_id)
        finally:
            record.log()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        admitted = await catch_errors(self._admit(scope))
        if isinstance(admitted, RequestMeta):
            await self._app({**with_whole_segments(scope), META: admitted}, receive, send)
        else:
            deny = deny_websocket(admitted) if scope["type"] == "websocket" else admitted
            await deny(scope, receive, send)

    async def _admit(self, scope: Scope) -> RequestMeta:
        """Return the metadata of a request. Raises ``APIError`` if the request is not allowed."""
        error = self._origin_policy.objection(scope)
        if error is not None:
            raise error
        keys = None if _is_public(scope) else self._keys
        return RequestMeta.of(scope, None if keys is None else await keys.identify(scope))

    @staticmethod
    async def _dispatch(endpoints: Mapping[str, _Endpoint], request: Request) -> ASGI:
        endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
        try:
            return await catch_errors(endpoint(request))
        except ClientDisconnected:
            return no_response

    @staticmethod
    async def _routing_error(request: Request, error: Exception) -> ASGI:
        """Return the response for an error that Starlette's router raises."""
        status = getattr(error, "status_code", 500)
        target = f"{request.method} {request.url.path}"
        message, code = {
            404: (f"There is no endpoint {target}.", "unknown_url"),
            405: (f"{target} is not allowed: the path supports other methods.", "method_not_allowed"),
        }.get(status, (INTERNAL_ERROR_MESSAGE, "server_error"))
        headers: Mapping[str, str] = getattr(error, "headers", None) or {}
        return error_response(APIError(message, status=status, type=INVALID, code=code, headers=headers))

    def _service_of(self, meta: RequestMeta) -> Service:
        return self.service.for_tenant(meta.identity) if self._tenants and meta.identity else self.service

    def _service_for(self, request: Request) -> Service:
        return self._service_of(request.scope[META])

    async def _body(self, request: Request) -> bytes:
        check_content_type(request.headers)
        return await read_bytes(request.receive, request.headers, self._max_body_bytes)

    async def _read(self, request: Request, cls: type[_M], *, required: Sequence[str] = (), default: bytes = b"") -> _M:
        return self._parse(await self._body(request) or default, cls, required=required)

    def _parse(self, body: bytes, cls: type[_M], *, required: Sequence[str] = ()) -> _M:
        return read_body(body, cls, self._converter, required=required, unknown=self._unknown_parameters)

    # -- responses

    async def _create(self, request: Request) -> ASGI:
        body = await self._body(request)
        create = self._parse(body, CreateResponse)
        fingerprint = fingerprint_of(request.headers, body)
        service = self._service_for(request)
        headers: dict[str, str] = {}  # that the handler sets; in the background it would set them too late
        prepare = functools.partial(
            service.prepare,
            create,
            meta=request.scope[META],
            response_headers=None if create.background else headers,
        )

        async def respond() -> JSONResponse:
            async with self._idempotent.claim(service, fingerprint) as claim:
                answer = await claim.response_or_task(prepare)
                if isinstance(answer, Response):
                    return await json_response(answer)
                await (service.start(answer) if answer.background else answer.run())
            return await json_response(answer.response)

        async def stream(sink: EventSink) -> None:
            async with self._idempotent.claim(service, fingerprint) as claim:
                answer = await claim.response_or_task(prepare)
                if isinstance(answer, Response):
                    deliver = await service.replay_of(answer)
                else:
                    if not answer.background:
                        await answer.run(sink)
                        return
                    await service.start(answer)
                    deliver = functools.partial(service.follow, answer, 0)
            await deliver(sink)

        return self._event_stream(stream, headers) if create.stream else DeferredJSON(respond, headers)

    def _event_stream(
        self, work: Callable[[EventSink], Awaitable[None]], headers: Mapping[str, str] = MappingProxyType({})
    ) -> EventStreamResponse:
        return EventStreamResponse(work, headers, keepalive=self._keepalive)

    async def _retrieve(self, request: Request) -> ASGI:
        params = read_retrieve_params(request.query_params.multi_items())
        response_id = path_param(request, "response_id")
        if not params.stream:
            return await json_response((await self._service_for(request).get(response_id)).response)
        after = None if params.starting_after is UNSET else params.starting_after
        return self._event_stream(await self._service_for(request).replay(response_id, after))

    async def _delete(self, request: Request) -> ASGI:
        response_id = path_param(request, "response_id")
        await self._service_for(request).delete(response_id)
        return await json_response(DeletedResponse(id=response_id, object="response.deleted", deleted=True))

    async def _cancel(self, request: Request) -> ASGI:
        return await json_response(await self._service_for(request).cancel(path_param(request, "response_id")))

    async def _input_items(self, request: Request) -> ASGI:
        params = read_list_params(request.query_params.multi_items())
        page = page_of((await self._service_for(request).get(path_param(request, "response_id"))).input, params)
        return await json_response(
            ResponseItemList(data=page.data, first_id=page.first_id, last_id=page.last_id, has_more=page.has_more)
        )

    async def _compact(self, request: Request) -> ASGI:
        body = await self._read(request, CompactRequest, required=["model"])

        async def respond() -> JSONResponse:
            return await json_response(await self._service_for(request).compact(body))

        return DeferredJSON(respond)

    async def _count(self, request: Request) -> ASGI:
        body = await self._read(request, InputTokensRequest)

        async def respond() -> JSONResponse:
            return await json_response(await self._service_for(request).count(body))

        return DeferredJSON(respond)

    # -- models

    async def _list_models(self, request: Request) -> ASGI:
        data = [self._model_object(name) for name in await self._model_names(request)]
        return await json_response({"object": "list", "data": data})

    async def _model(self, request: Request) -> ASGI:
        name = path_param(request, "model")
        if name in self._models or name in await self._model_names(request):
            return await json_response(self._model_object(name))
        raise not_found("model", name, "model")

    async def _model_names(self, request: Request) -> list[str]:
        handler = cast("object", self.service.handler)
        found = await handler.models(request.scope[META].headers) if isinstance(handler, SupportsModels) else ()
        return [*dict.fromkeys([*self._models, *found])]

    def _model_object(self, name: str) -> JSONObject:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "responses_proto"}

    # -- the server itself

    async def _health(self, _request: Request) -> ASGI:
        return await json_response({"status": "ok"})

    async def _describe(self, request: Request) -> ASGI:
        if not self._document:  # created on the first request, because it takes some tenths of a second
            self._document = openapi_document(self._routes, has_keys=self._keys is not None)
        return JSONResponse(200, JSON_HEADERS, with_servers(self._document, str(request.scope.get("root_path", ""))))


def _is_public(scope: Scope) -> bool:
    """Return whether a request needs no key."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    return str(scope["path"]).removeprefix(scope.get("root_path", "")) in _PUBLIC


@attrs.frozen
class _Lifespan:
    """Entered by Starlette at startup. ``__aenter__`` must return ``None``: Starlette takes any other value as application state."""

    app: ResponsesApp

    async def __aenter__(self) -> None:
        await self.app.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.app.__aexit__(exc_type, exc, traceback)
