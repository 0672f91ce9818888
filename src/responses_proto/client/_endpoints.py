"""The endpoints that take a request and answer with JSON: what :class:`ResponsesClient` does besides creating responses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast, overload

import anyio
import attrs

from ..exceptions import DeadlineExceeded, DecodeError, LocalProtocolError, UsageError
from ..models._base import Model
from ..models.request import CompactRequest, InputTokensRequest
from ..models.response import (
    RUNNING_STATUSES,
    CompactedResponse,
    DeletedResponse,
    InputTokenCount,
    ModelInfo,
    Response,
    ResponseItemList,
)
from ..typing import Cursor
from ._calls import CallFields, CallOptions, ClientCore, Query, merge_fields, query_params
from ._meta import ReplyList, response_meta, with_meta
from ._verbs import Verb, with_developer_role, with_stream
from .pages import ItemPages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..models.config import Include, Order
    from ..models.request import CompactFields, InputTokensFields
    from ..typing import JSONObject, JSONValue
    from .retry import RetryPolicy
    from .timeouts import Timeouts

_M = TypeVar("_M", bound=Model)

_INTERVAL_GROWTH: Final = 1.5  # factor between two pauses of `wait`


class Endpoints:
    """The base of a client: the settings of its calls, and the calls that answer with JSON."""

    _core: ClientCore
    _closed: bool

    async def retrieve(
        self, response_id: str, /, *, include: Sequence[Include] | None = None, **options: Unpack[CallFields]
    ) -> Response:
        """Return a stored response in its current state (Responses, Retrieve).

        ``include`` names additional data to return, such as ``message.output_text.logprobs``. To wait for the end of a background
        response, call :meth:`wait`; for its events, :meth:`resume`.

        Raises ``NotFoundError`` if the server does not have it, other ``APIError``, ``DecodeError``, ``LimitExceeded``, errors
        of the transport, and ``UsageError`` for an id that cannot be part of a URL.
        """
        return await self._open_core().call(
            "responses.retrieve",
            "GET",
            ["responses", response_id],
            Response,
            params=query_params(include=include),
            options=CallOptions(**options),
        )

    async def wait(
        self,
        response: Response | str,
        /,
        *,
        interval: float = 1.0,
        max_interval: float = 10.0,
        **options: Unpack[CallFields],
    ) -> Response:
        """Poll a background response until it is no longer ``queued`` or ``in_progress``, and return it.

        ``response`` is the response or its id. ``interval`` is the first pause between two requests, in seconds; it grows by half
        each time, up to ``max_interval``. Check ``response.status``: any final status is returned.

        ``Timeouts.total`` bounds the whole wait. The ``DeadlineExceeded`` then has the last known response. Raises ``UsageError``
        for an interval that is not a number above 0, and what :meth:`retrieve` raises.
        """
        if not (0 < interval < float("inf") and max_interval > 0):
            raise UsageError(
                f"interval and max_interval must be numbers of seconds above 0, got {interval!r} and {max_interval!r}"
            )
        bounds = self._core.bounds(options.get("timeouts"))
        started = time.monotonic()
        known = response if isinstance(response, Response) else None
        response_id = response.id if isinstance(response, Response) else response
        while known is None or known.status in RUNNING_STATUSES:
            if known is not None:
                await anyio.sleep(interval if bounds.total is None else min(interval, _left(bounds, started)))
                interval = max(interval, min(interval * _INTERVAL_GROWTH, max_interval))
            left = _left(bounds, started)
            if left <= 0:
                raise _deadline_exceeded(bounds, started, known)
            try:
                options["timeouts"] = bounds if bounds.total is None else attrs.evolve(bounds, total=left)
                known = await self.retrieve(response_id, **options)
            except DeadlineExceeded as error:
                if error.kind != "total":
                    raise
                raise _deadline_exceeded(bounds, started, known) from error
        return known

    async def cancel(self, response_id: str, /, **options: Unpack[CallFields]) -> Response:
        """Cancel a background response and return it (Responses, Cancel). Raises what :meth:`retrieve` raises."""
        path = ["responses", response_id, "cancel"]
        return await self._open_core().call("responses.cancel", "POST", path, Response, options=CallOptions(**options))

    async def delete(self, response_id: str, /, **options: Unpack[CallFields]) -> DeletedResponse:
        """Delete a stored response (Responses, Delete). Raises what :meth:`retrieve` raises."""
        return await self._open_core().call(
            "responses.delete",
            "DELETE",
            ["responses", response_id],
            DeletedResponse,
            options=CallOptions(**options),
            if_empty={"id": response_id, "deleted": True},
        )

    @overload
    async def compact(
        self, request: CompactRequest | JSONObject, /, **options: Unpack[CallFields]
    ) -> CompactedResponse: ...
    @overload
    async def compact(
        self,
        /,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[CompactFields],
    ) -> CompactedResponse: ...
    async def compact(
        self,
        request: CompactRequest | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Any,
    ) -> CompactedResponse:
        """Return a shorter form of a conversation (Responses, Compact). Pass its ``output`` as ``input`` of the next request.

        Takes a :class:`~responses_proto.models.request.CompactRequest` or a wire object, or the fields of one, of which ``model``
        is required. Raises what :meth:`create` raises.
        """
        content = self._content(CompactRequest, request, fields)
        path = ["responses", "compact"]
        return await self._open_core().call(
            "responses.compact",
            "POST",
            path,
            CompactedResponse,
            content=content,
            options=CallOptions(timeouts, retry, headers, extra_query),
        )

    async def count_input_tokens(
        self,
        request: InputTokensRequest | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[InputTokensFields],
    ) -> InputTokenCount:
        """Return how many tokens an input has, without creating a response (Responses, Input tokens).

        Takes the fields of :class:`~responses_proto.models.request.InputTokensRequest`, in the ways in which :meth:`create` takes
        its own. Raises what :meth:`create` raises.
        """
        content = self._content(InputTokensRequest, request, fields)
        path = ["responses", "input_tokens"]
        return await self._open_core().call(
            "responses.input_tokens",
            "POST",
            path,
            InputTokenCount,
            content=content,
            options=CallOptions(timeouts, retry, headers, extra_query),
        )

    def input_items(
        self,
        response_id: str,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: Order | None = None,
        include: Sequence[Include] | None = None,
        **options: Unpack[CallFields],
    ) -> ItemPages:
        """Iterate over the input items of a stored response (Responses, Input items): ``async for item in ...``.

        They are fetched in pages of ``limit`` items. ``after`` is the id of the item after which to begin. ``order`` is ``asc`` or
        ``desc``; OpenAI's default is ``desc``, the newest first. ``include`` is that of :meth:`retrieve`. Iterating raises what
        :meth:`retrieve` raises.
        """
        core = self._open_core()
        path = ["responses", response_id, "input_items"]

        async def fetch(after: str | None) -> ResponseItemList:
            params = query_params(after=after, limit=limit, order=order, include=include)
            return await core.call(
                "responses.input_items", "GET", path, ResponseItemList, params=params, options=CallOptions(**options)
            )

        return ItemPages(fetch, after=after)

    async def models(self, **options: Unpack[CallFields]) -> list[ModelInfo]:
        """Return the models that the server offers (Models, List).

        Raises ``DecodeError`` if the reply is not a list of models, and what :meth:`request` raises.
        """
        reply = await self.request("GET", "models", **options)
        found = reply.get("data") if isinstance(reply, dict) else reply  # some servers send the list itself
        if not isinstance(found, list):
            raise DecodeError("expected a list of models", path="$.data")
        models = ReplyList(self._core.converter.load(model, ModelInfo) for model in found)
        return with_meta(models, response_meta(reply))

    async def request(
        self, method: str, path: str, /, *, json: object = None, **options: Unpack[CallFields]
    ) -> JSONValue:
        """Send a request to any endpoint of the server, and return the JSON of the reply; ``None`` if it has no body.

        ``path`` is appended to :attr:`base_url`: ``"models/gpt-oss-120b"``. Parameters go into ``extra_query``. ``json`` is the body, a JSON
        value or a model. Retries, deadlines, hooks and errors are those of the other methods. For an object or a list,
        :func:`~responses_proto.client.response_meta` returns the headers of the reply.

        Raises ``UsageError`` for a path that is not below ``base_url``, and what :meth:`create` raises.
        """
        if "://" in path or set(path) & set("?#\\"):
            raise UsageError(f"path must be relative to base_url, with its parameters in extra_query, got {path!r:.80}")
        return await self._open_core().call(
            "request",
            method.upper(),
            path.strip("/").split("/"),
            cast("type[JSONValue]", object),
            content=json,
            options=CallOptions(**options),
        )

    # Internal

    def _content(
        self, cls: type[_M], request: _M | JSONObject | None, fields: Mapping[str, Any], verb: Verb | None = None
    ) -> _M | dict[str, Any]:
        """Return the content of a request in the form for this provider. Raises ``UsageError`` for a field that needs another method."""
        content = merge_fields(cls, request, fields)
        if verb is not None:
            content = with_stream(content, verb)
        return with_developer_role(content, self._core.provider.developer_role)

    def _open_core(self) -> ClientCore:
        if self._closed:
            raise LocalProtocolError("this client is closed: create another one, or stay inside its `async with` block")
        return self._core


def _left(bounds: Timeouts, started: float) -> float:
    return float("inf") if bounds.total is None else bounds.total - (time.monotonic() - started)


def _deadline_exceeded(bounds: Timeouts, started: float, known: Response | None) -> DeadlineExceeded:
    error = DeadlineExceeded("total", time.monotonic() - started, limit=bounds.total)
    error.response = known
    error.cursor = Cursor(known.id) if known is not None and known.id else None
    error.retry_safety = "safe"
    return error
