"""Send the requests of the checks to a server, and make assertions about its answers.

Requests go straight to the transport, so that the checks see exactly what the server sent.
"""

from __future__ import annotations

import contextlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias, TypeVar, cast
from urllib.parse import urlencode

import anyio
import attrs

from ...client._address import endpoint_url
from ...client._secrets import redact
from ...client.retry import RetryAfter, RetryPolicy
from ...client.transport._exchange import shut
from ...client.transport.base import WireRequest
from ...codec import default_converter, dumps, load, make_converter
from ...exceptions import APIError, DecodeError, LimitExceeded, NotAnEventStream, UsageError
from ...models._base import Model
from ...models.content import Refusal
from ...models.items import Message, Reasoning
from ...models.response import Response
from ...protocol.api_errors import api_error, readable
from ...protocol.headers import is_json, media_type
from ...protocol.sse import SSEDecoder
from ...protocol.stream import ResponseStream
from ._probe_socket import asgi_socket, wire_socket
from .fields import field_faults, row_of_body
from .streams import Finding, check_stream, counted
from .timeline import Recording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from ...client.transport.base import Transport, WireReply
    from ...models.items import Item
    from ...typing import JSONObject
    from ._probe_socket import ASGIApp, ProbeSocket
    from .fields import Profile
    from .streams import StreamReport

M = TypeVar("M", bound=Model)

JSONDict: TypeAlias = dict[str, Any]
"""The body of a request: JSON values and models."""

NOT_OFFERED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""The HTTP statuses of a server that does not offer an endpoint."""
_REFUSED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
)  # 400 is documented; some frameworks answer 422
_UNAUTHORIZED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_TOO_MANY: Final = HTTPStatus.TOO_MANY_REQUESTS
_UNAVAILABLE: Final = NOT_OFFERED | {
    _TOO_MANY,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
"""The statuses of a wrong address, an exhausted quota, and a gateway whose server is unavailable."""
_REDIRECTION: Final = 3  # the first digit of the status
_MAX_BODY: Final = 64 * 1024 * 1024
_DRAIN: Final = 0.5  # seconds to wait for data after [DONE]
_PATIENT: Final = RetryPolicy(attempts=5)  # with a rate limit
_DONE: Final = b"data: [DONE]"
_EXCERPT: Final = 120  # characters of the body in a detail
_MAX_TOKENS: Final = 1024  # of an answer, so that a talkative model comes to an end
_KEPT: Final = 1024 * 1024  # bytes of a stream that are kept for the report
_FIELD_RULES: Final = frozenset(
    {"missing-field", "wrong-type", "null-field", "wrong-value", "wrong-constant", "unknown-item", "extension-fields"}
)
"""The rules about fields. All of their findings belong to the check `create-fields`."""


class CheckFailed(Exception):  # noqa: N818 - a result, not an error of this library
    """The server breaks the rule that is being checked."""

    def __init__(self, detail: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(detail)
        self.findings = findings
        """The findings in the stream, if it does not conform."""


class Skipped(Exception):  # noqa: N818 - as above
    """The rule does not apply, because the server does not offer the feature."""


@attrs.frozen
class ProbeReply:
    """A complete HTTP response. Its methods raise :class:`CheckFailed` if it is not as expected."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    probe: Probe = attrs.field(repr=False)

    def parse(self, cls: type[M]) -> M:
        """Decode the body as this class and return the model. Fails for a status other than 200. Invalid values are left out."""
        return load(self.json_object(), cls)

    def assert_fits(self, cls: type[Model]) -> None:
        """Fail unless the body has all required fields of the model, each with the right type."""
        try:
            make_converter(strict=True).load(self.json_object(), cls)
        except DecodeError as error:
            raise CheckFailed(str(error)) from error

    def assert_stream(self) -> Response:
        """Return the final response of the stream. Fails unless the stream conforms and completes."""
        if self.status != HTTPStatus.OK:
            self.fail("expected status 200")
        if media_type(self.headers) != "text/event-stream":
            self.fail(f"expected the content type text/event-stream, got {self.headers.get('content-type')!r}")
        return self.probe.assert_conforms(self.body)

    def streamed_response(self) -> Response:
        """Return the response in a stream, even if the stream does not conform; an empty response if there is none."""
        stream = ResponseStream()
        stream.receive_data(self.body)
        stream.receive_eof()
        return stream.response

    def assert_refused(self, *also: int) -> None:
        """Fail unless the request is refused, with status 400, 422 or one of ``also``."""
        if self.status not in _REFUSED.union(also):
            self.fail("expected a refusal")

    def assert_not_found(self) -> None:
        """Fail unless the status is 404."""
        if self.status != HTTPStatus.NOT_FOUND:
            self.fail("expected status 404")

    def skip_unless_offered(self, *also: int) -> ProbeReply:
        """Return the reply. Skips the check if its status is one of ``NOT_OFFERED`` or ``also``."""
        if self.status in NOT_OFFERED.union(also):
            raise Skipped(f"not offered (HTTP {self.status})")
        return self

    @property
    def blocks(self) -> Literal["unauthorized", "unavailable"] | None:
        """The rule that this reply to the simplest request breaks, which makes all checks pointless; ``None`` if there is none."""
        if self.status in _UNAUTHORIZED:
            return "unauthorized"
        if self.status in _UNAVAILABLE or self.status // 100 == _REDIRECTION:
            return "unavailable"
        if api_error(self.status, self.headers, self.body).param == "model":
            return "unavailable"
        frames = SSEDecoder().receive(self.body) if media_type(self.headers) == "text/event-stream" else ()
        texts = (self.body, *(frame.data for frame in frames))
        return None if is_json(media_type(self.headers)) or any(map(_is_structured, texts)) else "unavailable"

    def __str__(self) -> str:
        if self.status >= HTTPStatus.BAD_REQUEST:
            told = readable(api_error(self.status, self.headers, self.body).message, _EXCERPT)
        else:
            told = readable(self.body[: 64 * _EXCERPT].decode("utf-8", "replace"), _EXCERPT)
        place = self.headers.get("location")
        return f"HTTP {self.status}, {told or (f'a redirect to {place}' if place else 'no body')}"

    def json(self) -> Any:
        """Return the JSON value of the body."""
        if not is_json(media_type(self.headers)):
            self.fail(f"expected the content type application/json, got {self.headers.get('content-type')!r}")
        try:
            return default_converter().json.loads(self.body)
        except (DecodeError, LimitExceeded) as error:
            raise CheckFailed(f"the body is not JSON: {error}") from error

    def fail(self, detail: str) -> NoReturn:
        """Raise :class:`CheckFailed` with the detail, the status and the beginning of the body."""
        raise CheckFailed(f"{detail}: {self}")

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object of the body. Fails for a status other than 200."""
        if self.status != HTTPStatus.OK:
            self.fail("expected status 200")
        value = self.json()
        if not isinstance(value, dict):
            self.fail("expected a JSON object")
        return value  # pyright: ignore[reportUnknownVariableType] # keys of JSON objects are strings


class Probe:
    """Sends requests to one server: any request with :meth:`request`, and ``POST /responses`` with the other methods.

    ``secret``: the API key. It is removed from the answers of the server, because reports quote them.
    ``app``: the ASGI application, if the server runs in memory; its WebSockets are then opened in memory too.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        headers: Mapping[str, str],
        model: str,
        *,
        ignore: frozenset[str],
        profile: Profile,
        secret: str = "",
        app: ASGIApp | None = None,
    ) -> None:
        self._transport = transport
        self._base_url = base_url
        self._headers = headers
        self._ignore = ignore
        self._profile: Profile = profile
        self._secret = secret.encode()
        self._app = app
        self._basic: ProbeReply | None = None
        self._bad: ProbeReply | None = None
        self._stored: Response | None = None
        self._call: Response | None = None
        self._called_freely = False
        # (rule, path in an event) of the findings in all streams so far, so that each is reported once.
        self._seen: set[tuple[str, str]] = set()
        self.field_faults: dict[tuple[str, str], Finding] = {}
        """The faults of fields in all answers of the server, by rule and field."""
        self.recordings: list[Recording] = []
        """The streams, with the time of each piece."""
        self.answered: bool = False
        """Whether the server has answered a request, and so is known to be reachable."""
        self.model = model
        """The model that requests name."""
        self.scope: anyio.CancelScope = anyio.CancelScope()
        """The scope of the check, with its deadline. The deadline does not count time spent waiting for a rate limit."""
        self.check: str = ""
        """The rule that is being checked."""
        self.last_request: str = ""
        """The last request, such as ``POST /responses``."""

    async def request(
        self,
        method: str,
        *path: str,
        content: JSONDict | bytes | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> ProbeReply:
        """Send a request and read the whole reply. After a rate limit (429), wait as the server asks, and send the request again.

        ``path``: the segments of the path below the base URL. ``content``: an object, or bytes to send unchanged. Skips the check if
        the rate limit persists, except for the first request, whose reply is returned.
        """
        attempt, paused = 1, 0.0
        while (reply := await self._request(method, *path, content=content, params=params)).status == _TOO_MANY:
            error = api_error(reply.status, reply.headers, reply.body)
            decision = _PATIENT.decide(error, attempt=attempt, method=method, paused=paused)
            if not isinstance(decision, RetryAfter):
                if self._basic is not None:
                    raise Skipped(f"not checked: the server accepts no more requests at the moment ({reply})")
                break
            attempt += 1
            paused += decision.delay
            self.scope.deadline += decision.delay
            await anyio.sleep(decision.delay)
        return reply

    async def _request(
        self, method: str, *path: str, content: JSONDict | bytes | None, params: Mapping[str, str | int] | None
    ) -> ProbeReply:
        self.last_request = f"{method} /{'/'.join(path)}"
        streaming = isinstance(content, dict) and content.get("stream") is True
        streaming = streaming or (params or {}).get("stream") == "true"
        headers = {"accept": "text/event-stream" if streaming else "application/json", **self._headers}
        body = b""
        if content is not None:
            headers["content-type"] = "application/json"
            body = content if isinstance(content, bytes) else dumps(content)
        url = endpoint_url(self._base_url, *path) + (f"?{urlencode(params)}" if params else "")
        sent = time.monotonic()
        reply = await self._transport.send(
            WireRequest(method=method, url=url, headers=headers, body=body, stream=streaming)
        )
        self.answered = True
        try:
            pieces = [(at - sent, self._redacted(piece)) async for at, piece in _pieces(reply)]
        finally:
            await shut(reply)
        # The key may be split between two pieces.
        body = self._redacted(b"".join(piece for _, piece in pieces))
        whole = ProbeReply(reply.status, reply.headers, body, self)
        if reply.status == _TOO_MANY:
            return whole
        if streaming and method == "POST" and len(whole.body) <= _KEPT:
            self.recordings.append(Recording(self.check, tuple(pieces)))
        elif reply.status == HTTPStatus.OK and is_json(media_type(reply.headers)):
            self._note_fields(whole.body)
        return whole

    def _redacted(self, data: bytes) -> bytes:
        return redact(data, self._secret, mask=lambda length: b"*" * length) if self._secret else data

    def _note_fields(self, body: bytes) -> None:
        """Compare a body with the table of fields."""
        try:
            value: Any = default_converter().json.loads(body)
        except (DecodeError, LimitExceeded):
            return  # the check of the reply reports it
        row = row_of_body(value)
        for fault in field_faults(value, row, self._profile) if row else ():
            if fault.rule in self._ignore:
                continue
            finding = Finding(fault.rule, None, f"{self.last_request} {fault.path}", fault.detail, fault.row)
            self.field_faults.setdefault((fault.rule, fault.row), finding)

    def assert_conforms(self, stream: bytes | Iterable[JSONObject]) -> Response:
        """Return the final response of a stream of bytes or events. Fails unless the stream conforms and completes.

        A rule that an earlier stream has broken at the same place is not reported again: one cause is one finding.
        """
        report: StreamReport = check_stream(stream, profile=self._profile, ignore=self._ignore)
        for finding in report.findings:
            if finding.rule in _FIELD_RULES:
                at = attrs.evolve(finding, path=f"{self.last_request} {finding.path}")
                self.field_faults.setdefault((finding.rule, finding.field or finding.path), at)
        broken = [finding for finding in report.findings if finding.rule not in _FIELD_RULES]
        new: list[Finding] = []
        for finding in broken:
            cause = (finding.rule, finding.path.partition(" ")[2])
            if cause not in self._seen:
                self._seen.add(cause)
                new.append(finding)
        if new:
            raise CheckFailed(f"the stream does not conform: {counted(len(new), 'finding')}", tuple(new))
        outcome = report.outcome
        if broken and outcome.status != "completed":
            raise Skipped("not checked: the stream has only findings that were reported before")
        if outcome.status != "completed":
            error = f": {outcome.error}" if outcome.error else ""
            raise CheckFailed(f"expected a completed response, got {outcome.status}{error}")
        return outcome.response

    async def create(self, **fields: Any) -> ProbeReply:
        """Send ``POST /responses``, by default for a short text. ``fields`` are fields of the request."""
        content = {"model": self.model, "input": "Say hello.", "max_output_tokens": _MAX_TOKENS, **fields}
        return await self.request("POST", "responses", content=content)

    async def create_completed(self, **fields: Any) -> Response:
        """Create a response and return it. Fails unless its status is ``completed`` and its output has a text or a call."""
        reply = await self.create(**fields)
        response = self.completed(reply)
        if not any(map(_says_something, response.output)):
            reply.fail("expected a text or a call in the output")
        return response

    def completed(self, reply: ProbeReply) -> Response:
        """Return the response in a reply. Fails unless its status is ``completed``; a missing status is a finding of the fields."""
        response = reply.parse(Response)
        if response.status != "completed" and reply.json_object().get("status") is not None:
            reply.fail(f"expected a completed response, got {response.status!r}")
        return response

    async def basic(self) -> ProbeReply:
        """Return the reply to the simplest request, the same for all checks."""
        if self._basic is None:
            self._basic = await self.create()
        self.last_request = "POST /responses"
        return self._basic

    async def bad_request(self) -> ProbeReply:
        """Return the reply to a request with a field of the wrong type, the same for all checks."""
        if self._bad is None:
            self._bad = await self.create(input=5)
        return self._bad

    async def stored_response(self) -> Response:
        """Return a stored response, the same for all checks. Skips the check if the server stores none."""
        if self._stored is None:
            response = await self.create_completed(store=True)
            (await self.request("GET", "responses", response.id)).skip_unless_offered()
            self._stored = response
        return self._stored

    async def call_response(self, **fields: Any) -> Response:
        """Return a response to a request with a tool that should be called, the same for all checks.

        A server may refuse ``tool_choice: "required"``; then the choice is left to the model.
        """
        if self._call is None:
            reply = await self.create(**fields, tool_choice="required")
            if reply.status in _REFUSED:
                self._called_freely = True
                reply = await self.create(**fields)
            self._call = self.completed(reply)
        return self._call

    @property
    def call_choice(self) -> JSONDict:
        """The field of a request that makes the server call a tool; empty if the server does not accept it."""
        return {} if self._called_freely else {"tool_choice": "required"}

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncGenerator[ProbeSocket]:
        """Open a WebSocket for the duration of a block. Skips the check if the server does not offer WebSockets."""
        self.last_request = "WebSocket /responses"
        if self._app is not None:
            async with asgi_socket(self._app, self._headers) as accepted:
                if accepted is not None:
                    yield accepted
            if accepted is None:
                raise Skipped("not offered: the application does not accept a WebSocket")
            return
        url = endpoint_url(self._base_url, "responses")
        request = WireRequest(method="GET", url=url, headers=dict(self._headers), stream=True)
        async with contextlib.AsyncExitStack() as stack:
            try:
                socket = await stack.enter_async_context(wire_socket(self._transport, request))
            except (ImportError, UsageError) as unable:
                raise Skipped(f"not checked: {unable}") from unable
            except (APIError, NotAnEventStream) as refused:
                raise Skipped(f"not offered (HTTP {refused.status})") from refused
            yield socket

    async def turn(self, socket: ProbeSocket, **fields: Any) -> list[JSONDict]:
        """Send a request over a WebSocket, and return its events up to the terminal one or an error."""
        self.last_request = "WebSocket response.create"
        content = {"type": "response.create", "model": self.model, "input": "Say hello.", "store": False, **fields}
        await socket.send(dumps({"max_output_tokens": _MAX_TOKENS, **content}))
        events: list[JSONDict] = []
        while True:
            message = await socket.receive()
            try:
                value: Any = default_converter().json.loads(self._redacted(message))
            except (DecodeError, LimitExceeded) as error:
                raise CheckFailed(f"a message is not JSON: {error}") from error
            if not isinstance(value, dict):
                raise CheckFailed("a message is not a JSON object")
            event = cast("JSONDict", value)
            events.append(event)
            if event.get("type") in _ENDS:
                return events

    async def completed_turn(self, socket: ProbeSocket, **fields: Any) -> Response:
        """Send a request over a WebSocket, and return the response. Fails unless the events conform and the response completes."""
        events = await self.turn(socket, **fields)
        if events[-1].get("type") == "error":
            raise CheckFailed(f"expected a completed response, got an error: {str(events[-1].get('error'))[:_EXCERPT]}")
        return self.assert_conforms(events)


def _says_something(item: Item) -> bool:
    """Return whether an output item is of use to a client: a text, a refusal, or a call of any kind."""
    if isinstance(item, Message):
        return bool(item.text) or any(isinstance(part, Refusal) for part in item.parts)
    return not isinstance(item, Reasoning)


def _is_structured(data: bytes) -> bool:
    """Return whether this is a JSON object or list."""
    try:
        value: object = default_converter().json.loads(data)
    except (DecodeError, LimitExceeded):
        return False
    return isinstance(value, (dict, list))


_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


async def _pieces(reply: WireReply) -> AsyncIterator[tuple[float, bytes]]:
    """Yield the pieces of a body, each with its time of arrival.

    Stops at the end of the body or shortly after ``[DONE]``, because some servers leave the connection open after that.
    """
    size, tail = 0, b""
    while piece := await reply.receive():
        yield time.monotonic(), piece
        size += len(piece)
        if size > _MAX_BODY:
            raise CheckFailed(f"the body is longer than {_MAX_BODY} bytes")
        tail = (tail + piece)[-len(piece) - len(_DONE) :]
        if _DONE in tail:
            until = anyio.current_time() + _DRAIN
            while True:
                with anyio.CancelScope(deadline=until) as scope:
                    piece = await reply.receive()
                if scope.cancelled_caught or not piece:
                    return
                yield time.monotonic(), piece
