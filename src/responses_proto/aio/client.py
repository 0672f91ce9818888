"""The client: requests out, typed responses and streams of typed events back.

::

    async with ResponsesClient(base_url=..., api_key=...) as client:
        response = await client.create(model="...", input="...")
        async with client.stream(model="...", input="...") as stream:
            async for event in stream:
                ...
            response = await stream.result()

Nothing here keeps a cancel scope or a task group open between two calls, so streams can be nested, handed to other
tasks and left at any point.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

import attrs

from .._version import __version__
from ..codec import default_converter
from ..dialects import Dialect, find_dialect
from ..exceptions import APIError, LocalProtocolError
from ..headers import request_id
from ..limits import Limits
from ..models.request import CreateResponse
from ..models.response import Response
from ..timeouts import Timeouts
from ._address import check_headers, checked_url, endpoint, settle, shown
from ._answers import ERROR_BODY, FIRST_ERROR, FIRST_REDIRECT, description, read_object, refusal, without
from ._exchange import Exchange, shut
from .http import HTTPTransport
from .stream import EventStream, StreamMeta
from .transport import Transport, WireRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ..models.request import CreateResponseFields
    from ..typing import JSONObject
    from .http import HTTPClient

__all__ = ["EventStream", "ResponsesClient", "StreamMeta"]


class ResponsesClient:
    """Talks to one server of the Responses API. For any number of tasks; close it, or use it in ``async with``.

    Where and as whom, the first that says something counts: the arguments; the environment's ``RESPONSES_BASE_URL`` and
    ``RESPONSES_API_KEY``; the ``dialect``'s own variables and address, which are OpenAI's (``OPENAI_API_KEY``) if nothing
    else is said. A provider's own key is only ever sent to that provider. The environment is read when a client is made.
    With a ``dialect``, the ``RESPONSES_*`` variables do not count.

    ``http_client`` is an ``httpx.AsyncClient``, or anything shaped like one, or a
    :class:`~responses_proto.aio.transport.Transport`; it stays the caller's to close. ``headers`` are
    sent with every request and win over this library's own.

    Raises ``LocalProtocolError`` for a base URL that is not http(s), and for a missing key where the provider needs one.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        http_client: HTTPClient | Transport | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Dialect | str | None = None,
    ) -> None:
        own = {name.lower(): value for name, value in (headers or {}).items()}
        found, url, key = settle(base_url, api_key, dialect, os.environ)
        if not key and found.key_needed and found.key_header not in own and http_client is None:
            names = " or ".join(("RESPONSES_API_KEY", *found.key_env) if dialect is None else found.key_env)
            raise LocalProtocolError(f"{found.name} needs an API key: pass api_key=..., or set {names}")
        self._dialect = found
        self._base_url = checked_url(url, found)
        self._secret = key
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or Limits()
        self._headers = {"user-agent": f"responses-proto/{__version__}"}
        if key:
            self._headers[found.key_header] = f"{found.key_prefix}{key}"
        self._headers |= own
        check_headers(self._headers)
        # A transport of the caller's is the caller's to close; HTTPTransport knows itself whose its client is.
        self._owned = http_client is None or hasattr(http_client, "build_request")
        self._transport = (
            HTTPTransport(cast("HTTPClient | None", http_client)) if self._owned else cast("Transport", http_client)
        )
        self._closed = False

    @classmethod
    def for_provider(
        cls,
        name: str,
        /,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        http_client: HTTPClient | Transport | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Make a client of a provider by its name in :data:`responses_proto.dialects.DIALECTS`, such as ``huggingface``.

        Address and key come from there and from the provider's own environment variables.
        """
        return cls(
            base_url,
            api_key,
            http_client=http_client,
            timeouts=timeouts,
            limits=limits,
            headers=headers,
            dialect=find_dialect(name),
        )

    @property
    def base_url(self) -> str:
        """Where the server is, without a trailing slash."""
        return self._base_url

    @property
    def dialect(self) -> Dialect:
        """How the server is called."""
        return self._dialect

    async def __aenter__(self) -> Self:
        if self._closed:
            raise LocalProtocolError("this client is closed: make another one")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that this client opened. Idempotent."""
        self._closed = True
        if self._owned:
            await shut(self._transport)

    async def create(
        self, request: CreateResponse | JSONObject | None = None, /, **fields: Unpack[CreateResponseFields]
    ) -> Response:
        """Ask for a response and wait for all of it (Responses, Create).

        ``fields`` are those of :class:`~responses_proto.models.request.CreateResponse`; they win over ``request``. A raw
        wire object is sent as it is, but for ``stream``. What comes back may be of any status, ``failed`` and ``incomplete``
        included: look at ``response.status``. Raises ``APIError``, ``DecodeError`` and errors of the transport.
        """
        exchange = self._exchange(self._body(request, fields, stream=False), stream=False)
        try:
            await exchange.open()
            if exchange.status >= FIRST_ERROR:
                raise refusal(exchange, await exchange.read_start(ERROR_BODY), self._secret.encode())
            body = await exchange.read(self._limits)
        finally:
            await exchange.aclose()
        return self._answer(exchange, body)

    def stream(
        self, request: CreateResponse | JSONObject | None = None, /, **fields: Unpack[CreateResponseFields]
    ) -> EventStream:
        """Ask for a response as a stream of events (Responses, Create, ``stream``); takes what :meth:`create` takes.

        Nothing is sent until the stream is entered: ``async with client.stream(...) as stream``.
        """
        body = self._body(request, fields, stream=True)
        return EventStream(self._transport, self._request(body, stream=True), limits=self._limits, secret=self._secret)

    # Inside

    def _body(
        self, request: CreateResponse | JSONObject | None, fields: CreateResponseFields, *, stream: bool
    ) -> bytes:
        converter = default_converter()
        given = cast("dict[str, Any]", fields)
        wire: dict[str, Any]
        if request is None:
            wire = converter.dump(CreateResponse(**given))
        elif isinstance(request, CreateResponse):
            wire = converter.dump(attrs.evolve(cast("Any", request), **given))
        else:
            wire = {**request, **(converter.dump(CreateResponse(**given)) if given else {})}
        if stream:
            wire["stream"] = True
        else:
            wire.pop("stream", None)
        return converter.json.dumps(wire)

    def _request(self, body: bytes, *, stream: bool) -> WireRequest:
        if self._closed:
            raise LocalProtocolError("this client is closed: make another one, or stay inside its `async with` block")
        accept = "text/event-stream" if stream else "application/json"
        return WireRequest(
            method="POST",
            url=endpoint(self._base_url, "responses"),
            headers={"accept": accept, "content-type": "application/json", **self._headers},
            body=body,
            stream=stream,
            timeouts=self._timeouts,
        )

    def _exchange(self, body: bytes, *, stream: bool) -> Exchange:
        return Exchange(self._transport, self._request(body, stream=stream))

    def _answer(self, exchange: Exchange, body: bytes) -> Response:
        secret = self._secret.encode()
        value = read_object(body)
        is_error = (
            value is not None and value.get("object") != "response" and "output" not in value and value.get("error")
        )
        if is_error:
            raise refusal(exchange, body, secret)
        if value is None or exchange.status >= FIRST_REDIRECT:
            start = without(body, secret)[:ERROR_BODY]
            raise APIError(
                f"a response was asked for, but {description(exchange, start)}",
                status=exchange.status,
                request_id=request_id(exchange.headers),
                headers=exchange.headers,
                body=start.decode("utf-8", "replace"),
            )
        return default_converter().load(value, Response)

    def __repr__(self) -> str:
        # The key is not shown, nor are headers, which may hold one.
        return (
            f"<{type(self).__name__} {self._dialect.name} {shown(self._base_url)}{' closed' if self._closed else ''}>"
        )
