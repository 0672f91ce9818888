"""Prepare and carry out the calls of a client: the settings they share, their attempts, and the report at their end."""

from __future__ import annotations

import difflib
import math
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, TypedDict, TypeVar, cast
from urllib.parse import urlencode
from weakref import WeakSet

import anyio
import attrs

from ..exceptions import (
    APIError,
    AuthenticationError,
    DeadlineExceeded,
    DecodeError,
    LimitExceeded,
    LocalProtocolError,
    NotAnEventStream,
    ResponsesProtoError,
    TransportError,
    UsageError,
)
from ..models._base import Model
from ..models.request import CreateResponse
from ..models.response import Response
from ..protocol._sizes import check_answer
from ..protocol.api_errors import api_error_from
from ..typing import UNSET
from ._address import check_headers, endpoint_url
from ._bodies import Body, LargeBody, SmallBody, is_large
from ._meta import ReplyList, ReplyObject, ResponseMeta, with_meta
from ._replies import MAX_ERROR_BODY, add_permission, error_from_reply, is_error, read_json, unexpected_reply
from ._secrets import redact_error, secrets_in
from ._streamed_reply import read_streamed
from ._verbs import NAMED_ELSEWHERE
from .hooks import CallFinished, CallResult, Hooks, RetryNotice, call_hook
from .retry import RetryAfter, RetryPolicy, is_refusal
from .timeouts import Timeouts
from .transport._exchange import Closable, Exchange
from .transport.base import Transport, WireRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from ..codec import Converter
    from ..limits import Limits
    from ..protocol.stream import Outcome
    from ..providers import Provider
    from ..typing import Cursor, JSONObject, JSONValue
    from ._keys import KeySource
    from .gate import Gate, GatePlace

_IDEMPOTENCY_KEY: Final = "idempotency-key"
_MADE_FROM_REPLIES: Final = (APIError, DecodeError, LimitExceeded, NotAnEventStream)
_NO_BODY: Final = SmallBody(b"")
_M = TypeVar("_M", bound=Model)
T = TypeVar("T")

Query: TypeAlias = "Mapping[str, str | float | bool | Sequence[str] | None]"
"""Parameters of a URL. ``None`` is left out; a list repeats its name with brackets (``include[]=a&include[]=b``)."""


@attrs.frozen
class CallOptions:
    """The settings of one call that differ from those of the client."""

    timeouts: Timeouts | None = None
    """Replaces the bounds that it names."""
    retry: RetryPolicy | None = None
    """Replaces the fields that it names."""
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    """Sent in addition; override those of the client."""
    extra_query: Query | None = None
    """Parameters to add to the URL."""


class CallFields(TypedDict, total=False):
    """The fields of :class:`CallOptions`, as keyword arguments."""

    timeouts: Timeouts | None
    retry: RetryPolicy | None
    headers: Mapping[str, str] | None
    extra_query: Query | None


class AwaitedStream(Closable, Protocol):
    """A stream of the client."""

    @property
    def awaited(self) -> bool:
        """Whether a task is waiting for the stream."""
        ...


class ClientState:
    """The mutable state of a client."""

    __slots__ = ("closed", "streams")

    def __init__(self) -> None:
        self.closed: bool = False
        """Whether the client was closed, and its connections with it."""
        self.streams: WeakSet[AwaitedStream] = WeakSet()
        """The streams that are open."""


_DEFAULTS: Final = CallOptions()


@attrs.frozen(kw_only=True)
class PreparedCall:
    """A call that was checked but not sent yet."""

    operation: str
    """The kind of call, such as ``responses.create``; hooks receive it."""
    request: WireRequest
    """The request, without its body."""
    body: Body
    """The body, which is serialized when the request is sent."""
    retry: RetryPolicy
    """Whether the call is attempted again."""


@attrs.frozen(kw_only=True)
class ClientCore:
    """The settings and the transport that all calls of a client share.

    :meth:`call` does a whole call. A stream takes the steps separately: :meth:`prepare`, then ``EventStream(core, call)``.
    """

    transport: Transport
    owns_transport: bool
    """Whether the client closes the transport."""
    base_url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Sent with every request; one of them may hold the API key. Names in lower case."""
    key: KeySource = attrs.field(repr=False)
    """The API key."""
    timeouts: Timeouts
    limits: Limits
    retry: RetryPolicy
    hooks: Hooks
    converter: Converter
    """Encodes requests and decodes everything that the server sends."""
    gate: Gate | None
    """The gate at which each attempt waits for a place."""
    provider: Provider
    """The provider that the server belongs to."""
    state: ClientState = attrs.field(factory=ClientState, repr=False)
    """The mutable state of the client."""

    @property
    def secret(self) -> bytes:
        """The API key, which is removed from errors; may be empty."""
        return self.key.secret

    def prepare(
        self,
        operation: str,
        method: str,
        path: Sequence[str],
        *,
        content: object = None,
        params: Iterable[tuple[str, str]] = (),
        stream: bool = False,
        options: CallOptions = _DEFAULTS,
    ) -> PreparedCall:
        """Return a checked call.

        ``path`` holds the segments after the base URL, ``content`` a wire value or a model, ``params`` the query string.
        Raises ``UsageError`` for ids and options that cannot be used, and ``EncodeError`` for content that is not JSON.
        """
        own_headers = check_headers(options.headers)
        body = self._body(content)
        basic_headers = {"accept": "text/event-stream" if stream else "application/json"}
        if content is not None:
            basic_headers["content-type"] = "application/json"
        if method == "POST":
            # The same for all attempts, so that a server that supports the header does the work once.
            basic_headers[_IDEMPOTENCY_KEY] = str(uuid.uuid4())
        url = endpoint_url(self.base_url, *path)
        extra = options.extra_query or {}
        replaced = {name.removesuffix("[]") for name in extra}
        pairs = [pair for pair in params if pair[0].removesuffix("[]") not in replaced] + query_params(**extra)
        if pairs:
            url += ("&" if "?" in url else "?") + _encoded(pairs)
        request = WireRequest(
            method=method,
            url=url,
            headers={**basic_headers, **self.headers, **own_headers},
            stream=stream,
            timeouts=self.bounds(options.timeouts),
        )
        return PreparedCall(operation=operation, request=request, body=body, retry=self._retry(options.retry))

    def prepare_message(
        self, operation: str, url: str, *, content: object = None, options: CallOptions = _DEFAULTS
    ) -> PreparedCall:
        """Return a call that sends ``content`` over a WebSocket; without content, one that only receives.

        Raises what :meth:`prepare` raises.
        """
        request = WireRequest(method="SEND", url=url, headers={}, stream=True, timeouts=self.bounds(options.timeouts))
        body, retry = self._body(content), self._retry(options.retry)
        return PreparedCall(operation=operation, request=request, body=body, retry=retry)

    def _body(self, content: object) -> Body:
        if content is None:
            return _NO_BODY
        if is_large(content):
            return LargeBody(content, self.converter)
        return SmallBody(self.converter.dumps(content))

    def bounds(self, timeouts: Timeouts | None) -> Timeouts:
        """Return the bounds of a call: the client's, except for those that ``timeouts`` names. Raises ``UsageError``."""
        if timeouts is None:
            return self.timeouts
        if not isinstance(timeouts, Timeouts):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass a number
            raise UsageError(f"timeouts must be a Timeouts instance, such as Timeouts(total=60), got {timeouts!r}")
        return timeouts.with_defaults(self.timeouts)

    def _retry(self, retry: RetryPolicy | None) -> RetryPolicy:
        if retry is None:
            return self.retry
        if not isinstance(retry, RetryPolicy):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass a number
            raise UsageError(f"retry must be a RetryPolicy instance, such as RetryPolicy(attempts=1), got {retry!r}")
        return retry.with_defaults(self.retry)

    async def call(
        self,
        operation: str,
        method: str,
        path: Sequence[str],
        cls: type[T],
        *,
        content: object = None,
        params: Iterable[tuple[str, str]] = (),
        options: CallOptions = _DEFAULTS,
        if_empty: JSONObject | None = None,
    ) -> T:
        """Send a request, retry it if the policy allows, and return the reply decoded as ``cls``, with its head as meta.

        The parameters are those of :meth:`prepare`. With ``object`` as ``cls``, any JSON value is accepted. ``if_empty`` is the wire
        object to decode for a reply without a body. A response that arrives as an event stream, although none was requested, is read
        from that.

        Raises what :meth:`prepare` raises, ``APIError``, ``DecodeError``, ``LimitExceeded``, errors of the transport, and
        ``StreamTruncated`` for an event stream without an end.
        """
        call = self.prepare(operation, method, path, content=content, params=params, options=options)
        async with Attempts(self, call) as attempts:
            while True:
                exchange = await attempts.begin(await call.body.bytes())
                try:
                    try:
                        result = await self._receive(exchange, cls, if_empty)
                        meta = ResponseMeta.of(exchange.status, exchange.headers, self.secret)
                    finally:
                        await exchange.aclose()
                except ResponsesProtoError as error:
                    await attempts.retry_or_raise(error)
                    continue
                if isinstance(result, Response):
                    attempts.response = result
                    failure = self._early_failure(result) if method == "POST" else None
                    # When no attempt is left, return a failed response: the caller asked for the response, whatever its status.
                    if failure is not None and await attempts.retry(failure):
                        continue
                return with_meta(result, meta)

    async def _receive(self, exchange: Exchange, cls: type[T], if_empty: JSONObject | None) -> T:
        await exchange.open()
        if exchange.status >= HTTPStatus.BAD_REQUEST:
            raise error_from_reply(exchange, await exchange.read_start(MAX_ERROR_BODY), self.secret)
        first, is_events = b"", False
        if cls is Response and exchange.status < HTTPStatus.MULTIPLE_CHOICES:
            first, is_events = await exchange.read_first()
        if is_events:
            return cast("T", await read_streamed(exchange, first, self.limits, self.converter, self.secret))
        return self._decode(exchange, await exchange.read(self.limits, first), cls, if_empty)

    def _decode(self, exchange: Exchange, body: bytes, cls: type[T], if_empty: JSONObject | None) -> T:
        redirected = exchange.status >= HTTPStatus.MULTIPLE_CHOICES
        is_any = cls is object
        if not redirected and not body.strip():
            if is_any:
                return cast("T", None)
            if if_empty is not None:
                return self.converter.load(if_empty, cls)
        value = read_json(body, self.limits)
        fields = cast("JSONObject", value) if isinstance(value, dict) else None
        # An object with an id is an item, which can have a field `error` too.
        if fields is not None and is_error(fields) and "id" not in fields:
            raise error_from_reply(exchange, body, self.secret)
        if redirected or value is UNSET or (fields is None and not is_any):
            expected = "JSON" if is_any else "a JSON object"
            raise unexpected_reply(exchange, body, self.secret, expected=expected, retry_safety="unsafe")
        if is_any and fields is not None:
            return cast("T", ReplyObject(fields))
        if is_any:
            return cast("T", ReplyList(cast("list[JSONValue]", value)) if isinstance(value, list) else value)
        answer = self.converter.load(fields, cls)
        check_answer(answer, len(body), self.limits)
        return answer

    def _early_failure(self, response: Response) -> APIError | None:
        """Return the error of a response that failed before there was any output, else ``None``."""
        if response.status != "failed" or response.output or not response.error:
            return None
        return api_error_from(self.converter.dump(response.error))


class Attempts:
    """The attempts of one call: counts and times them, and calls the hooks.

    Use it in ``async with``, or call :meth:`finish` at the end. For each attempt, call :meth:`begin`; after an error,
    :meth:`retry_or_raise`.
    """

    __slots__ = (
        "_asked_again",
        "_call",
        "_core",
        "_delayed",
        "_exchange",
        "_finished",
        "_first_event",
        "_place",
        "_refused",
        "_requests",
        "_started",
        "count",
        "response",
    )

    def __init__(self, core: ClientCore, call: PreparedCall) -> None:
        self._core = core
        self._call = call
        self._started = time.monotonic()
        self._delayed = 0.0  # seconds
        self._asked_again = False  # whether a new API key was requested after a refusal
        self._finished = False
        self._requests: list[WireRequest] = []  # the first, and each that has other headers, such as another key
        self._first_event: float | None = None
        self._place: GatePlace | None = None
        self._refused = False  # whether the server refused the last attempt, and the gate waits
        self._exchange: Exchange | None = None
        self.count: int = 0
        """How many attempts were begun."""
        self.response: Response | None = None
        """The response to report at the end, if the call has no stream."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish(exc, how="ended" if exc is None else None)

    async def _enter_gate(self, gate: Gate) -> None:
        self.leave_gate()
        self._exchange = self._place = None
        with anyio.move_on_after(self._left() if self.count else None):
            self._place = await gate.enter(again=self.count > 0)
        if self._place is None:
            elapsed = time.monotonic() - self._started
            error = DeadlineExceeded("total", elapsed, limit=self._call.request.timeouts.total)
            error.retry_safety = "safe"
            raise error
        if self.count == 0:
            self._started = time.monotonic()

    def _left(self) -> float | None:
        """Return the seconds that are left of ``Timeouts.total``; ``None`` without a bound."""
        total = self._call.request.timeouts.total
        return None if total is None else total - (time.monotonic() - self._started)

    def leave_gate(self, error: BaseException | None = None) -> None:
        """Give back the place in the client's gate after the request has ended, with ``error`` if it failed. Idempotent."""
        if self._place is not None:
            self._place.leave(error, headers=self._exchange.headers if self._exchange is not None else {})

    async def begin(self, body: bytes = b"") -> Exchange:
        """Return the exchange of the next attempt; open it next. ``Timeouts.total`` runs from the first attempt.

        If the client has a gate, this waits for a place. Raises what the function that supplies the API key raises, and
        ``DeadlineExceeded`` (``total``) if another attempt gets no place in time.
        """
        if self._core.gate is not None:
            await self._enter_gate(self._core.gate)
        self.count += 1
        request = await self._core.key.authorize(self._call.request)
        if body:
            request = attrs.evolve(request, body=body)
        if not self._requests or request.headers != self._requests[-1].headers:
            self._requests.append(request)
        if self._core.hooks.on_request is not None:
            call_hook(self._core.hooks.on_request, request)
        self._exchange = Exchange(self._core.transport, request, started=self._started)
        return self._exchange

    def event_received(self) -> None:
        """Note the time of the first event of this attempt."""
        self._first_event = time.monotonic() - self._started

    def redact(self, error: BaseException) -> None:
        """Remove the API keys and the other credentials of the attempts from an error."""
        requests = self._requests or [self._call.request]
        redact_error(error, self._core.secret, *{key for request in requests for key in secrets_in(request.headers)})
        if isinstance(error, _MADE_FROM_REPLIES):
            error.__traceback__ = None  # the variables of its frames hold what the server sent

    def decide(self, error: ResponsesProtoError) -> RetryAfter | None:
        """Return the retry that the policy allows after an error; ``None`` if it allows none. Does not wait.

        Also removes secrets from the error: every error of a call passes through here before the caller sees it.
        """
        self.redact(error)
        self.leave_gate(error)
        self._refused = self._core.gate is not None and is_refusal(error)
        decision = self._call.retry.decide(
            error,
            attempt=self.count - self._asked_again,
            method=self._call.request.method,
            paused=self._delayed,
            left=self._left(),
        )
        return decision if isinstance(decision, RetryAfter) else None

    async def wait(self, error: ResponsesProtoError, retry: RetryAfter) -> None:
        """Call ``on_retry`` and wait for the delay of a retry; begin the next attempt then."""
        delay = retry.delay
        if self._refused and self._core.gate is not None:
            delay = self._core.gate.closed_for  # the gate knows more than a single call
        if self._core.hooks.on_retry is not None:
            notice = RetryNotice(operation=self._call.operation, attempt=self.count, error=error, delay=delay)
            call_hook(self._core.hooks.on_retry, notice)
        self._delayed += delay
        if not self._refused:
            await anyio.sleep(delay)

    async def retry(self, error: ResponsesProtoError) -> bool:
        """Wait for the next attempt if there may be one, and return whether there may.

        Raises ``LocalProtocolError`` if the client was closed: the error is then only a consequence of that.
        """
        if self._core.state.closed and isinstance(error, TransportError):
            raise LocalProtocolError("the client was closed while it waited for this reply") from error
        if isinstance(error, AuthenticationError) and self._core.key.renewable and not self._asked_again:
            self._asked_again = True
            return True
        decision = self.decide(error)
        if decision is not None:
            await self.wait(error, decision)
        return decision is not None

    async def retry_or_raise(self, error: ResponsesProtoError) -> None:
        """Wait for the next attempt, or raise the error if there may be none."""
        if not await self.retry(error):
            add_permission(error, self._core.provider.permission)
            raise error

    def finish(
        self,
        error: BaseException | None,
        *,
        how: CallResult | None = None,
        outcome: Outcome | None = None,
        cursor: Cursor | None = None,
    ) -> None:
        """Call ``on_outcome``. Idempotent. Without ``how``, the call is abandoned, failed or cancelled, depending on ``error``."""
        self.leave_gate(error if error is not None or outcome is None else outcome.error)
        hook = self._core.hooks.on_outcome
        if self._finished or hook is None:
            return
        self._finished = True
        if how is None and error is not None:
            # A call that is being cancelled may first get an error from something that was cancelled before it.
            is_cancelled = not isinstance(error, Exception) or anyio.current_effective_deadline() == -math.inf
            how = "cancelled" if is_cancelled else "failed"
        response = outcome.response if outcome is not None else self.response
        if response is None and isinstance(error, ResponsesProtoError):
            response = error.response
        call_hook(
            hook,
            CallFinished(
                operation=self._call.operation,
                how=how or "abandoned",
                outcome=outcome,
                response=response,
                error=error,
                cursor=cursor,
                request=self._requests[0] if self._requests else None,
                attempts=self.count,
                first_event=self._first_event,
                elapsed=time.monotonic() - self._started,
            ),
        )


def merge_fields(cls: type[_M], request: _M | JSONObject | None, fields: Mapping[str, Any]) -> _M | dict[str, Any]:
    """Return a request with ``fields`` on top: a model if ``request`` is one or ``None``, a wire object if it is a dict.

    Raises ``TypeError`` for a field that ``cls`` does not have, as a function does for an unknown keyword, and ``UsageError``
    for a request that is neither.
    """
    names = {attribute.name for attribute in cls.__attrs_attrs__}
    for unknown in sorted(fields.keys() - names):
        near = difflib.get_close_matches(unknown, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else "pass a provider's own field in extra={...}"
        if issubclass(cls, CreateResponse):
            hint = NAMED_ELSEWHERE.get(unknown, hint)
        raise TypeError(f"{cls.__name__} has no field {unknown!r}: {hint}")
    if request is None:
        return cls(**fields)
    if isinstance(request, cls):
        return attrs.evolve(cast("Any", request), **fields) if fields else request
    if not isinstance(request, Mapping):
        raise UsageError(
            f"the request must be a {cls.__name__} or a dict, got {request!r:.60}; or name its fields, as in input=..."
        )
    wire = {name.removesuffix("_"): value for name, value in fields.items() if name != "extra" and value is not UNSET}
    return {**request, **wire, **fields.get("extra", {})}


def _encoded(pairs: list[tuple[str, str]]) -> str:
    try:
        return urlencode(pairs)
    except UnicodeEncodeError as error:
        raise UsageError(f"a lone surrogate cannot be part of a URL: {error.object!r}") from error


def query_params(**values: str | float | bool | Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the pairs of a query string.

    ``None`` is left out. A list repeats its name with brackets (``include[]=a&include[]=b``), as OpenAI's clients do.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, (str, int, float)):
            pairs.append((name, str(value)))
        else:
            pairs += [(f"{name}[]", element) for element in value]
    return pairs
