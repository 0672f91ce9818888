"""What all calls of a client share: where to, as whom, how long, how often, and who is told."""

from __future__ import annotations

import difflib
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast
from urllib.parse import urlencode

import anyio
import attrs

from ..codec import default_converter
from ..exceptions import APIError, DeadlineExceeded, LocalProtocolError, ResponsesProtoError
from ..models._base import Model
from ..models.response import Response
from ..protocol.api_errors import api_error_from
from ..protocol.headers import request_id
from ..typing import UNSET
from ._address import check_headers, endpoint
from ._bodies import Body, LargeBody, SmallBody, is_large
from ._replies import (
    ERROR_BODY,
    FIRST_ERROR,
    FIRST_REDIRECT,
    description,
    error_from_reply,
    is_error,
    read_object,
    without,
)
from .hooks import CallFinished, CallResult, Hooks, RetryNotice
from .retry import RetryAfter, RetryPolicy
from .timeouts import Timeouts
from .transport._exchange import Exchange
from .transport.base import Transport, WireRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from ..limits import Limits
    from ..protocol.stream import Outcome
    from ..typing import Cursor, JSONObject

__all__ = ["Attempts", "ClientCore", "PreparedCall", "merged", "query"]

_IDEMPOTENCY: Final = "idempotency-key"
_NOTHING: Final = SmallBody(b"")
_M = TypeVar("_M", bound=Model)


@attrs.frozen(kw_only=True)
class PreparedCall:
    """A call that was not begun yet."""

    operation: str
    request: WireRequest
    """Without its body."""
    body: Body


@attrs.frozen(kw_only=True)
class ClientCore:
    """A client's settings and its transport. Makes plans, and carries out those that are answered in one piece."""

    transport: Transport
    base_url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    secret: bytes = attrs.field(repr=False)
    timeouts: Timeouts
    limits: Limits
    retry: RetryPolicy
    hooks: Hooks

    def plan(
        self,
        operation: str,
        method: str,
        path: Sequence[str],
        *,
        content: object = None,
        params: Iterable[tuple[str, str]] = (),
        stream: bool = False,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PreparedCall:
        """Make a plan. ``content`` is a wire value or a model, ``path`` the segments after the base URL.

        Raises ``LocalProtocolError`` for ids and headers that cannot be sent, ``EncodeError`` for content that is not JSON.
        """
        own = {name.lower(): value for name, value in (headers or {}).items()}
        check_headers(own)
        body = _body(content)
        sent = {"accept": "text/event-stream" if stream else "application/json"}
        if content is not None:
            sent["content-type"] = "application/json"
        if method == "POST":
            # One for all attempts: a server that knows the header does the work once.
            sent[_IDEMPOTENCY] = str(uuid.uuid4())
        url = endpoint(self.base_url, *path)
        listed = list(params)
        if listed:
            url += ("&" if "?" in url else "?") + urlencode(listed)
        request = WireRequest(
            method=method,
            url=url,
            headers={**sent, **self.headers, **own},
            stream=stream,
            timeouts=self._bounds(timeouts),
        )
        return PreparedCall(operation=operation, request=request, body=body)

    def message(
        self, operation: str, url: str, *, content: object = None, timeouts: Timeouts | None = None
    ) -> PreparedCall:
        """Make a plan to say something over a WebSocket, or if there is no content to listen. Raises what :meth:`plan` does."""
        request = WireRequest(method="SEND", url=url, headers={}, stream=True, timeouts=self._bounds(timeouts))
        return PreparedCall(operation=operation, request=request, body=_body(content))

    def _bounds(self, timeouts: Timeouts | None) -> Timeouts:
        if timeouts is not None and not isinstance(timeouts, Timeouts):  # pyright: ignore[reportUnnecessaryIsInstance] - a number is what comes to mind
            raise LocalProtocolError(
                f"timeouts has to be made by Timeouts(...), such as Timeouts(total=60), not {timeouts!r}"
            )
        return timeouts or self.timeouts

    async def fetch(self, plan: PreparedCall, cls: Any, *, empty: JSONObject | None = None) -> Any:
        """Carry out a plan; give the answer as ``cls``. ``empty`` is what an answer without a body means."""
        async with Attempts(self, plan) as attempts:
            while True:
                exchange = attempts.exchange(await plan.body.bytes())
                try:
                    try:
                        answer = self._answer(exchange, await self._receive(exchange), cls, empty)
                    finally:
                        await exchange.aclose()
                except ResponsesProtoError as error:
                    await attempts.again(error)
                    continue
                if isinstance(answer, Response):
                    attempts.response = answer
                    failure = _failure(answer) if plan.request.method == "POST" else None
                    # The last failure of all is not raised: it is an answer, which the caller asked for.
                    if failure is not None and await attempts.try_again(failure):
                        continue
                return answer

    async def _receive(self, exchange: Exchange) -> bytes:
        await exchange.open()
        if exchange.status >= FIRST_ERROR:
            raise error_from_reply(exchange, await exchange.read_start(ERROR_BODY), self.secret)
        return await exchange.read(self.limits)

    def _answer(self, exchange: Exchange, body: bytes, cls: Any, empty: JSONObject | None) -> Any:
        if empty is not None and exchange.status < FIRST_REDIRECT and not body.strip():
            return default_converter().load(empty, cls)
        value = read_object(body)
        # Items may have an error of their own, and a name.
        if value is not None and is_error(value) and "id" not in value:
            raise error_from_reply(exchange, body, self.secret)
        if value is None or exchange.status >= FIRST_REDIRECT:
            start = without(body, self.secret)[:ERROR_BODY]
            error = APIError(
                f"a response was asked for, but {description(exchange, start)}",
                status=exchange.status,
                request_id=request_id(exchange.headers),
                headers=exchange.headers,
                body=start.decode("utf-8", "replace"),
            )
            error.retry_safety = "unsafe"
            raise error
        return default_converter().load(value, cls)


class Attempts:
    """One logical call: counts its attempts, keeps its clock, tells the hooks. In ``async with``, or :meth:`over` ends it."""

    __slots__ = ("_caller", "_first_event", "_over", "_paused", "_plan", "_sent", "_started", "count", "response")

    def __init__(self, caller: ClientCore, plan: PreparedCall) -> None:
        self._caller = caller
        self._plan = plan
        self._started = time.monotonic()
        self._paused = 0.0
        self._over = False
        self._sent: WireRequest | None = None
        self._first_event: float | None = None
        self.count = 0
        self.response: Response | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.over(exc, how="ended" if exc is None else None)

    def exchange(self, body: bytes) -> Exchange:
        """Begin the next attempt. The clock of ``Timeouts.total`` runs from the first one on."""
        self.count += 1
        request = attrs.evolve(self._plan.request, body=body) if body else self._plan.request
        if self._sent is None:
            self._sent = request
        if self._caller.hooks.on_request is not None:
            self._caller.hooks.on_request(request)
        return Exchange(self._caller.transport, request, started=self._started)

    def event_came(self) -> None:
        """Take the time of the first event of this attempt."""
        self._first_event = time.monotonic() - self._started

    def decide(self, error: ResponsesProtoError, *, output: bool = False) -> RetryAfter | None:
        """Say whether there is to be another attempt after an error."""
        total = self._plan.request.timeouts.total
        decision = self._caller.retry.decide(
            error,
            attempt=self.count,
            method=self._plan.request.method,
            output=output,
            paused=self._paused,
            left=None if total is None else total - (time.monotonic() - self._started),
        )
        return decision if isinstance(decision, RetryAfter) else None

    async def pause(self, error: ResponsesProtoError, decision: RetryAfter) -> None:
        """Tell the hook, and wait."""
        if self._caller.hooks.on_retry is not None:
            self._caller.hooks.on_retry(
                RetryNotice(operation=self._plan.operation, attempt=self.count, error=error, after=decision.after)
            )
        self._paused += decision.after
        await anyio.sleep(decision.after)

    async def try_again(self, error: ResponsesProtoError) -> bool:
        """Wait for the next attempt, if there is to be one, and tell so."""
        decision = self.decide(error)
        if decision is not None:
            await self.pause(error, decision)
        return decision is not None

    async def again(self, error: ResponsesProtoError) -> None:
        """Wait for the next attempt, or raise the error if there is none."""
        if not await self.try_again(error):
            raise error

    def over(
        self,
        error: BaseException | None,
        *,
        how: CallResult | None = None,
        outcome: Outcome | None = None,
        cursor: Cursor | None = None,
    ) -> None:
        """Tell that the call is over. Idempotent; ``how`` can be left out where an error says it."""
        hook = self._caller.hooks.on_outcome
        if self._over or hook is None:
            return
        self._over = True
        if how is None:
            how = "left" if error is None else "failed" if isinstance(error, Exception) else "cancelled"
        response = outcome.response if outcome is not None else self.response
        if response is None and isinstance(error, ResponsesProtoError):
            response = error.response
        hook(
            CallFinished(
                operation=self._plan.operation,
                how=how,
                outcome=outcome,
                response=response,
                error=error,
                cursor=cursor,
                request=self._sent,
                attempts=self.count,
                first_event=self._first_event,
                elapsed=time.monotonic() - self._started,
            )
        )

    def late(self) -> DeadlineExceeded:
        """Make the error of the total deadline."""
        total = self._plan.request.timeouts.total
        return DeadlineExceeded("total", time.monotonic() - self._started, limit=total)


def _body(content: object) -> Body:
    if content is None:
        return _NOTHING
    converter = default_converter()
    if is_large(content):
        return LargeBody(content, converter)
    return SmallBody(converter.dumps(content))


def _failure(response: Response) -> APIError | None:
    """Give the error of a response that failed before there was any output, else ``None``."""
    if response.status != "failed" or response.output or not response.error:
        return None
    return api_error_from(default_converter().dump(response.error))


def merged(cls: type[_M], request: _M | JSONObject | None, fields: Mapping[str, Any]) -> _M | dict[str, Any]:
    """Give the content of a request: the model with the fields over it, or the raw object with theirs over it."""
    names = {attribute.name for attribute in cls.__attrs_attrs__}
    for unknown in sorted(fields.keys() - names):
        near = difflib.get_close_matches(unknown, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else "a provider's own field goes into extra={...}"
        raise TypeError(f"{cls.__name__} has no field {unknown!r}: {hint}")
    if request is None:
        return cls(**fields)
    if isinstance(request, cls):
        return attrs.evolve(cast("Any", request), **fields) if fields else request
    if not isinstance(request, Mapping):
        raise LocalProtocolError(
            f"a request is a {cls.__name__} or a dict, not {request!r:.60}: name its fields, as in input=..."
        )
    given = {name.removesuffix("_"): value for name, value in fields.items() if name != "extra" and value is not UNSET}
    return {**request, **given, **fields.get("extra", {})}


def query(**values: str | float | bool | Sequence[str] | None) -> list[tuple[str, str]]:
    """Give the pairs of a query string; ``None`` is left out, a list repeats its name with brackets, as OpenAI's clients do."""
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
