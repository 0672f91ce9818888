"""An HTTP client for the SDK's transport that keeps what the SDK drops: status, headers and errors of HTTP.

Importing this module imports ``httpx2``, which the SDK depends on.

The SDK turns every HTTP failure of a request into the same error of the server, reads bodies of any size, and ends the
whole session if one connection fails. :class:`GuardedClient` answers the SDK in place of such a server; the failure is
kept for the request (:meth:`GuardedClient.failure_of`).
"""

from __future__ import annotations

import contextlib
import re
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self, cast

import anyio
import httpx2

from ...client._replies import MAX_ERROR_BODY
from ...client.timeouts import Timeouts
from ...client.transport._errors import reading_error, sending_error, unsafe
from ...codec import default_backend, dumps
from ...exceptions import DecodeError, RemoteProtocolError, ResponsesProtoError
from ...protocol.api_errors import api_error, readable
from ...protocol.headers import is_json, media_type
from ._json import as_list, as_object, loads, whole_characters

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ...exceptions import APIError
    from ...limits import Limits
    from ._messages import RequestId

CONNECT_TIMEOUT: Final = 30.0
"""Seconds to connect, and to write."""
_PIECE: Final = 1024 * 1024
"""Bytes that are decompressed at a time."""
_MAX_REASON_CHARS: Final = 300
_SESSION_ID: Final = "mcp-session-id"
_MESSAGE: Final = "responses_proto.message"
"""The extension of a request that is the JSON-RPC message. Redirects keep it."""
_NO_SESSION: Final = re.compile(
    rb"(?i)(?:no valid|invalid|unknown|expired) session|session (?:id )?(?:not found|is invalid|expired)"
)
_ENCODINGS: Final = ("gzip", "x-gzip", "deflate")

_REFUSED_BY_HTTP: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Statuses below 500 that are failures of HTTP, even if the body is an error of JSON-RPC."""
_NOT_RUN: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Statuses that mean that the request was not executed."""


class GuardedClient:
    """An ``httpx2.AsyncClient`` as the SDK's transport uses it: with ``build_request`` and ``send``.

    ``redact`` removes secrets from texts of the server.
    """

    def __init__(self, client: Any, limits: Limits, redact: Callable[[str], str]) -> None:
        self._client = client
        self._limits = limits
        self._redact = redact
        self._timeouts = Timeouts(connect=CONNECT_TIMEOUT)
        self._failures: dict[RequestId, ResponsesProtoError] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def failure_of(self, request_id: RequestId) -> ResponsesProtoError | None:
        """Return the failure of a request, once; ``None`` if it has a valid answer."""
        return self._failures.pop(request_id, None)

    def build_request(
        self, method: str, url: Any, *, json: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        """Return a request that asks for an uncompressed answer."""
        headers = {**(headers or {}), "accept-encoding": "identity"}
        if json is None:
            return self._client.build_request(method, url, headers=headers, **options)
        content = default_backend().dumps(json)
        request = self._client.build_request(method, url, content=content, headers=headers, **options)
        request.extensions[_MESSAGE] = json
        return request

    async def send(self, request: Any, **options: Any) -> httpx2.Response:
        """Send a request and return the answer, or, after a failure, a replacement for the SDK."""
        message: dict[str, Any] = request.extensions.get(_MESSAGE, {})
        request_id = message.get("id") if "method" in message else None
        response: Any = None
        try:
            response = await self._client.send(request, **options)
            if response.next_request is not None:
                return cast("httpx2.Response", response)  # the SDK decides whether to follow
            if request_id is None:
                return self._answer_to_other(request, response)
            return await self._answer(request, response, request_id)
        except BaseException as error:
            if response is not None:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
            if not isinstance(error, Exception):
                raise
            failure = self._failure(error, request, reading=response is not None)
            if request_id is not None:
                self._failures[request_id] = failure
                return _error_answer(request, request_id, failure)
            if request.method == "GET":
                raise  # the SDK tries again
            return httpx2.Response(HTTPStatus.NO_CONTENT, request=request)

    def _answer_to_other(self, request: Any, response: httpx2.Response) -> httpx2.Response:
        """Return the answer to anything but a JSON-RPC request: a stream of notifications, or nothing."""
        if request.method == "DELETE":
            response.status_code = HTTPStatus.NO_CONTENT  # also if the server forgot the session, which has then ended
        return self._streamed(request, response) if request.method == "GET" else response

    async def _answer(self, request: Any, response: httpx2.Response, request_id: RequestId) -> httpx2.Response:
        kind = media_type(response.headers)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            body = await self._start_of_body(response)
            if self._is_refusal(request, response, kind, body):
                return _whole(request, response, _answer_in(body, request_id))
            raise self._http_error(request, response, body)
        if response.status_code != HTTPStatus.OK:
            raise RemoteProtocolError(f"expected an answer, but got HTTP {response.status_code}")
        if is_json(kind):
            return _whole(request, response, _answer_in(await self._body(response), request_id))
        if kind == "text/event-stream":
            return self._streamed(request, response)
        start = readable((await self._start_of_body(response)).decode("utf-8", "replace"), _MAX_REASON_CHARS)
        raise RemoteProtocolError(f"expected JSON or an event stream, but got {kind or 'no media type'}: {start}")

    def _is_refusal(self, request: Any, response: httpx2.Response, kind: str, body: bytes) -> bool:
        """Return whether the MCP server refuses, and not HTTP: the body is then a JSON-RPC error."""
        status = response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _REFUSED_BY_HTTP or not is_json(kind):
            return False
        if _forgot_session(request, status, body):
            return False
        try:
            value: Any = loads(body)
        except ResponsesProtoError:
            return False
        return {"jsonrpc", "error"}.issubset(as_object(value))

    def _http_error(self, request: Any, response: httpx2.Response, body: bytes) -> APIError:
        headers = {name.lower(): self._redact(value) for name, value in response.headers.items()}
        error = api_error(response.status_code, headers, self._redact(body.decode("utf-8", "replace")))
        challenge = headers.get("www-authenticate")
        if challenge:
            error.args = (f"{error}; WWW-Authenticate: {readable(challenge, _MAX_REASON_CHARS)}",)
        not_run = response.status_code in _NOT_RUN or _forgot_session(request, response.status_code, body)
        error.retry_safety = "safe" if not_run else "unsafe"
        return error

    def _failure(self, error: Exception, request: Any, *, reading: bool) -> ResponsesProtoError:
        if isinstance(error, ResponsesProtoError):
            return error
        failure = reading_error(error) if reading else sending_error(error, str(request.url), self._timeouts)
        failure.args = tuple(self._redact(str(argument)) for argument in failure.args)
        failure.__cause__ = error if self._redact(str(error)) == str(error) else None
        return failure

    # Bodies

    async def _body(self, response: httpx2.Response) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async with contextlib.aclosing(self._decoded(response)) as decoded:
            async for piece in decoded:
                size += len(piece)
                self._limits.check("max_event_bytes", size)
                pieces.append(piece)
        await response.aclose()
        return whole_characters(b"".join(pieces))

    async def _start_of_body(self, response: httpx2.Response) -> bytes:
        start = b""
        async with contextlib.aclosing(self._decoded(response)) as decoded:
            async for piece in decoded:
                start += piece[: MAX_ERROR_BODY - len(start)]
                if len(start) >= MAX_ERROR_BODY:
                    break
        await response.aclose()
        return start

    async def _decoded(self, response: httpx2.Response) -> AsyncGenerator[bytes]:
        """Yield the body in pieces of at most 1 MiB after decompression."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", *_ENCODINGS):
            raise unsafe(RemoteProtocolError(f"the body is encoded as {encoding!r}, which was not requested"))
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in _ENCODINGS else None
        async with contextlib.aclosing(response.aiter_raw()) as raw:
            async for data in raw:
                if decoder is None:
                    yield data
                    continue
                rest = data
                while rest and not decoder.eof:
                    piece = decoder.decompress(rest, _PIECE)
                    rest = decoder.unconsumed_tail
                    if piece:
                        yield piece

    def _streamed(self, request: Any, response: httpx2.Response) -> httpx2.Response:
        request_id = request.extensions.get(_MESSAGE, {}).get("id")

        def keep(failure: ResponsesProtoError) -> None:
            if request_id is not None:
                self._failures[request_id] = failure

        stream = _EventBytes(response, self._decoded(response), self._limits, keep)
        headers = _plain_headers(response)
        return httpx2.Response(response.status_code, headers=headers, stream=stream, request=request)


class _EventBytes(httpx2.AsyncByteStream):
    """The bytes of an event stream, line by line, so that incomplete characters can be found in them.

    Not an async generator: the SDK leaves the iterator of a body suspended, and trio warns about suspended generators.
    """

    def __init__(
        self,
        response: httpx2.Response,
        decoded: AsyncGenerator[bytes],
        limits: Limits,
        on_failure: Callable[[ResponsesProtoError], None],
    ) -> None:
        self._response = response
        self._decoded = decoded
        self._limits = limits
        self._on_failure = on_failure
        self._rest: list[bytes] = []  # of a line that is not complete
        self._size = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            async for data in self._decoded:
                end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
                start = b"".join([*self._rest, data[:end]]) if end else b""
                if end:
                    self._rest, self._size = [], 0
                self._rest.append(data[end:])
                self._size += len(data) - end
                self._limits.check("max_event_bytes", self._size)
                if start:
                    return whole_characters(start)
        except ResponsesProtoError as error:
            self._on_failure(error)  # the SDK would report an end of the stream
            raise
        rest, self._rest = b"".join(self._rest), []
        if not rest:
            raise StopAsyncIteration
        return whole_characters(rest)

    async def aclose(self) -> None:
        await self._decoded.aclose()
        await self._response.aclose()


def _forgot_session(request: Any, status: int, body: bytes) -> bool:
    """Return whether an error means that the session has ended (MCP, Transports: Session management)."""
    if _SESSION_ID not in request.headers:
        return False
    # Older servers answer 400, and only their message distinguishes this from other errors.
    return status == HTTPStatus.NOT_FOUND or (status == HTTPStatus.BAD_REQUEST and bool(_NO_SESSION.search(body)))


def _answer_in(body: bytes, request_id: RequestId) -> bytes:
    """Return the answer in a JSON body, with the id of the request, which it must belong to.

    Raises ``RemoteProtocolError`` if the body contains no answer.
    """
    try:
        value = loads(body)
    except DecodeError as error:
        raise RemoteProtocolError(f"the answer cannot be read: {error}") from None
    found = [each for each in map(as_object, as_list(value) or [value]) if "result" in each or "error" in each]
    if not found:
        said = readable(body.decode(), _MAX_REASON_CHARS)
        raise RemoteProtocolError(f"the answer is neither a result nor an error: {said}")
    return body if found[0] is value and value.get("id") == request_id else dumps({**found[0], "id": request_id})


def _plain_headers(response: httpx2.Response) -> list[tuple[str, str]]:
    dropped = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in response.headers.multi_items() if name.lower() not in dropped]


def _whole(request: Any, response: httpx2.Response, body: bytes) -> httpx2.Response:
    return httpx2.Response(response.status_code, headers=_plain_headers(response), content=body, request=request)


def _error_answer(request: Any, request_id: RequestId, failure: ResponsesProtoError) -> httpx2.Response:
    error = {"code": -32000, "message": str(failure)}
    return httpx2.Response(400, json={"jsonrpc": "2.0", "id": request_id, "error": error}, request=request)
