"""The client: requests out, typed responses and streams of typed events back.

::

    async with ResponsesClient(base_url=..., api_key=...) as client:
        response = await client.create(model="...", input="...")
        async with client.stream(model="...", input="...") as stream:
            async for event in stream:
                ...
            response = await stream.result()

Nothing here keeps a cancel scope or a task group open between two calls, so streams can be nested, handed to other
tasks and left at any point. A run is the exception: its tools need a place to work, so its block is entered and left in one task.
"""

from __future__ import annotations

import copy
import os
import time
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, cast, overload

import anyio
import anyio.lowlevel
import attrs

from .._version import __version__
from ..exceptions import DeadlineExceeded, LocalProtocolError, ResponsesProtoError
from ..limits import Limits
from ..models.request import CompactRequest, CreateResponse, InputTokensRequest
from ..models.response import (
    RUNNING_STATUSES,
    CompactedResponse,
    DeletedResponse,
    InputTokenCount,
    Response,
    ResponseItemList,
)
from ..protocol.stream import ResponseStream
from ..providers import Provider, find_provider
from ..typing import UNSET, Cursor
from ._address import check_headers, checked_url, resolve_endpoint, shown
from ._calls import ClientCore, merged, query
from .conversations import Conversations
from .hooks import Hooks
from .pages import ItemPages
from .retry import RetryPolicy
from .stream import EventStream, StreamMeta
from .timeouts import Timeouts
from .transport._exchange import shut
from .transport.http import HTTPTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import TypeForm  # for the type checker, which brings it

    from ..models.config import Include, Order
    from ..models.request import CompactFields, CreateResponseFields, InputTokensFields, RunFields
    from ..schema.structured import ParseResult
    from ..tools._runner import OnError
    from ..tools.executors import Tools
    from ..tools.loop import Continuation, ToolLoop
    from ..tools.run import Approve, Run, Start
    from ..typing import JSONObject
    from ._calls import PreparedCall
    from .stream import OnAbandon
    from .transport.base import Transport
    from .transport.http import HTTPClient
    from .websocket.session import WebSocketSession

__all__ = ["EventStream", "Hooks", "ResponsesClient", "StreamMeta"]

T = TypeVar("T")

_POLL_GROWTH: Final = 1.5


class ResponsesClient:
    """Talks to one server of the Responses API. For any number of tasks; close it, or use it in ``async with``.

    Where and as whom, the first that says something counts: the arguments; the environment's ``RESPONSES_BASE_URL`` and
    ``RESPONSES_API_KEY``; the ``dialect``'s own variables and address, which are OpenAI's (``OPENAI_API_KEY``) if nothing
    else is said. A provider's own key is only ever sent to that provider. The environment is read when a client is made.
    With a ``dialect``, the ``RESPONSES_*`` variables do not count.

    ``http_client`` is an ``httpx.AsyncClient``, or anything shaped like one, or a
    :class:`~responses_proto.client.transport.Transport`; it stays the caller's to close. ``headers`` are
    sent with every request and win over this library's own. ``timeouts`` and ``retry`` hold for every call; the methods
    take ``timeouts`` of their own, and ``headers`` that are sent with one call only, such as an ``Idempotency-Key`` of yours.

    Raises ``LocalProtocolError`` for a base URL that is not http(s), and for a missing key where the provider needs one.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        http_client: HTTPClient | Transport | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Provider | str | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        _check_kinds(
            timeouts=(timeouts, Timeouts), retry=(retry, RetryPolicy), limits=(limits, Limits), hooks=(hooks, Hooks)
        )
        own = {name.lower(): value for name, value in (headers or {}).items()}
        found, url, key = resolve_endpoint(base_url, api_key, dialect, os.environ)
        if not key and found.key_needed and found.key_header not in own and http_client is None:
            names = " or ".join(("RESPONSES_API_KEY", *found.key_env) if dialect is None else found.key_env)
            elsewhere = (
                "" if base_url or dialect else "; for another server pass base_url=..., or set RESPONSES_BASE_URL"
            )
            raise LocalProtocolError(f"{found.name} needs an API key: pass api_key=..., or set {names}{elsewhere}")
        self._dialect = found
        self._base_url = checked_url(url, found)
        sent = {"user-agent": f"responses-proto/{__version__}"}
        if key:
            sent[found.key_header] = f"{found.key_prefix}{key}"
        sent |= own
        check_headers(sent)
        # A transport of the caller's is the caller's to close; HTTPTransport knows itself whose its client is.
        self._owned = http_client is None or hasattr(http_client, "build_request")
        self._transport = (
            HTTPTransport(cast("HTTPClient | None", http_client)) if self._owned else cast("Transport", http_client)
        )
        self._closed = False
        self._settings = ClientCore(
            transport=self._transport,
            base_url=self._base_url,
            headers=sent,
            secret=key.encode(),
            timeouts=timeouts or Timeouts(),
            limits=limits or Limits(),
            retry=retry or RetryPolicy(),
            hooks=hooks or Hooks(),
        )
        self.conversations: Final = Conversations(self._caller)
        """The conversations that the server keeps."""

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
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        hooks: Hooks | None = None,
    ) -> Self:
        """Make a client of a provider by its name in :data:`responses_proto.providers.DIALECTS`, such as ``huggingface``.

        Address and key come from there and from the provider's own environment variables.
        """
        return cls(
            base_url,
            api_key,
            http_client=http_client,
            timeouts=timeouts,
            retry=retry,
            limits=limits,
            headers=headers,
            dialect=find_provider(name),
            hooks=hooks,
        )

    @property
    def base_url(self) -> str:
        """Where the server is, without a trailing slash."""
        return self._base_url

    @property
    def dialect(self) -> Provider:
        """How the server is called."""
        return self._dialect

    async def __aenter__(self) -> Self:
        if self._closed:
            raise LocalProtocolError("this client is closed: make another one")
        await (
            anyio.lowlevel.checkpoint()
        )  # has anyio load what it needs on this loop, so that the first request need not
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
        self,
        request: CreateResponse | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> Response:
        """Ask for a response and wait for all of it (Responses, Create).

        ``fields`` are those of :class:`~responses_proto.models.request.CreateResponse`; they win over ``request``. A raw
        wire object is sent as it is, but for ``stream``. What comes back may be of any status, ``failed`` and ``incomplete``
        included: look at ``response.status``. With ``background=True`` it comes back at once, see :meth:`wait`.
        Raises ``APIError``, ``DecodeError`` and errors of the transport.
        """
        content = _with_stream(merged(CreateResponse, request, cast("Any", fields)), stream=False)
        plan = self._plan("responses.create", "POST", content=content, timeouts=timeouts, headers=headers)
        return cast("Response", await self._caller().fetch(plan, Response))

    async def parse(
        self,
        output: TypeForm[T],
        request: CreateResponse | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> ParseResult[T]:
        """Ask for a response whose text is a value of a type, and give the value (Responses, Structured outputs).

        ``output`` is a class or another type that :mod:`responses_proto.schema.structured` can put into a schema; the rest is
        what :meth:`create` takes, without a format of the text. The result is ``Parsed``, ``Refused``,
        ``Incomplete`` or ``Invalid``, each with ``.response``. Raises ``LocalProtocolError`` for a type that the strict subset
        of JSON Schema cannot say, before anything is sent; and what :meth:`create` raises.
        """
        from ..schema.structured import Structured, with_text_format  # noqa: PLC0415 - only who parses pays for it

        wanted = Structured(output)
        response = await self.create(
            request, timeouts=timeouts, headers=headers, **with_text_format(wanted, request, fields)
        )
        return wanted.parse_response(response)

    def stream(
        self,
        request: CreateResponse | JSONObject | None = None,
        /,
        *,
        on_abandon: OnAbandon = "close",
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> EventStream:
        """Ask for a response as a stream of events (Responses, Create, ``stream``); takes what :meth:`create` takes.

        Nothing is sent until the stream is entered: ``async with client.stream(...) as stream``; a large request is also only
        written then, in slices that leave the event loop free. A response with
        ``background=True`` goes on without its stream; ``on_abandon="cancel_response"`` has it cancelled when
        the block is left before the end, unless that is because the connection broke.
        """
        content = _with_stream(merged(CreateResponse, request, cast("Any", fields)), stream=True)
        plan = self._plan("responses.stream", "POST", content=content, stream=True, timeouts=timeouts, headers=headers)
        return EventStream(self._caller(), plan, cancel=self._cancelling(on_abandon))

    def run(
        self,
        request: CreateResponse | JSONObject | ToolLoop | None = None,
        /,
        *,
        tools: Tools = (),
        approve: Approve | None = None,
        max_turns: int | None = 32,
        start: Start = "response_done",
        concurrency: int = 16,
        tool_timeout: float | None = None,
        on_error: OnError = "tell_model",
        continuation: Continuation | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RunFields],
    ) -> Run:
        """Ask for a response, have the tools that it calls executed, ask again with what they gave, until the model is done.

        To be used in ``async with``; see :class:`~responses_proto.tools.Run`. Takes what :meth:`stream` takes, or a loop (of an earlier run, say),
        which is gone on from, for ``max_turns`` more responses, and itself stays as it is.

        ``tools`` are functions, executors (:mod:`responses_proto.tools.executors`), and definitions of tools that are not executed here. A function
        that the model invents is told not to exist; calls that were offered and that nothing here handles are handed over: the run ends, and
        they are pending in its result. ``approve`` is asked about calls of remote MCP servers; without it, none is approved.

        ``start`` says when a call is executed, ``concurrency`` how many are at once, ``tool_timeout`` how long each may take, in seconds
        (a tool's own ``timeout`` wins; ``None`` is no bound), and ``on_error`` whether the model is told of one that failed or the run ends with the
        error. Outputs are bounded by ``Limits.max_tool_output_bytes``. ``continuation`` is how the next request says what came
        before, see :class:`~responses_proto.tools.ToolLoop`; ``timeouts`` hold for each response. Other fields of the request hold for all of
        them: with ``tool_choice="required"``, the model never comes to an end by itself.

        Raises ``LocalProtocolError``, here or on entering, for what cannot be a tool, and for two tools of one name.
        """
        from ..tools.loop import ToolLoop  # noqa: PLC0415 - only who runs tools pays for it
        from ..tools.run import Run  # noqa: PLC0415 - as above

        self._caller()
        if max_turns is not None and max_turns < 1:
            raise LocalProtocolError(f"max_turns has to be 1 at least, not {max_turns!r}")
        if isinstance(request, ToolLoop):
            if fields or continuation is not None:
                raise LocalProtocolError("a loop has its request already: no fields, and no continuation, go with it")
            loop = copy.copy(request)
            loop.max_turns = None if max_turns is None else len(loop.turns) + max_turns
        else:
            content = _with_stream(merged(CreateResponse, request, cast("Any", fields)), stream=False)
            loop = ToolLoop(content, continuation=continuation, dialect=self._dialect, max_turns=max_turns)

        def ask(request: CreateResponse | JSONObject) -> EventStream:
            return self.stream(request, timeouts=timeouts, headers=headers)

        return Run(
            ask,
            loop,
            tools=tools,
            approve=approve,
            start=start,
            concurrency=concurrency,
            tool_timeout=tool_timeout,
            on_error=on_error,
            limits=self._settings.limits,
        )

    def resume(
        self,
        interrupted: Cursor | EventStream | ResponsesProtoError,
        /,
        *,
        on_abandon: OnAbandon = "close",
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> EventStream:
        """Take up the stream of a background response again, behind the last event that came (Responses, Retrieve, ``stream``).

        Given the interrupted stream itself, the new one goes on with its snapshot, which in the end is what it would have been
        without the interruption; the old stream is not to be used any more. Given a cursor, or an error that
        has one, the snapshot has only what comes from here on, until the terminal event brings the whole response.
        Events that came before are left out if the server repeats them. ``Cursor(id)`` is a response from its first event on.

        Raises ``LocalProtocolError`` if there is no cursor, or nothing left to come.
        """
        accumulator = None
        if isinstance(interrupted, EventStream):
            cursor, accumulator = interrupted.detach()
        elif isinstance(interrupted, Cursor):
            cursor = interrupted
        else:
            cursor = interrupted.cursor
        if cursor is None:
            raise LocalProtocolError("there is nothing to resume: no event with the id of a response had come")
        plan = self._plan(
            "responses.resume",
            "GET",
            cursor.response_id,
            params=query(stream=True, starting_after=cursor.sequence_number),
            stream=True,
            timeouts=timeouts,
            headers=headers,
        )
        caller = self._caller()
        engine = ResponseStream(limits=caller.limits, cursor=cursor, accumulator=accumulator)
        return EventStream(caller, plan, cancel=self._cancelling(on_abandon), engine=engine)

    def connect(
        self,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        keepalive: float | None = 20.0,
    ) -> WebSocketSession:
        """Talk over a WebSocket, which carries any number of responses (Responses, WebSocket).

        Nothing is sent until the session is entered: ``async with client.connect() as session``; then ``session.stream(...)``. ``headers`` go
        with the handshake, which ``timeouts`` is for; the streams have their own. ``keepalive``: after so many seconds of silence the
        server is asked whether it is still there, ``None`` never asks. See :mod:`responses_proto.client.websocket.session`.

        Raises ``ImportError`` if the extra ``ws`` is not installed, and ``LocalProtocolError`` behind a transport that is no HTTP client.
        """
        from .websocket.session import WebSocketSession  # noqa: PLC0415 - only who connects pays for it

        if not isinstance(self._transport, HTTPTransport):
            raise LocalProtocolError(
                f"a WebSocket needs a network: {type(self._transport).__name__} has none; use an httpx.AsyncClient as http_client"
            )
        plan = self._plan("responses.connect", "GET", timeouts=timeouts, headers=headers)
        return WebSocketSession(self._caller(), plan, keepalive=keepalive)

    async def retrieve(
        self,
        response_id: str,
        /,
        *,
        include: Sequence[Include] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Fetch a response that the server keeps (Responses, Retrieve). For its events, see :meth:`resume`."""
        plan = self._plan(
            "responses.retrieve",
            "GET",
            response_id,
            params=query(include=include),
            timeouts=timeouts,
            headers=headers,
        )
        return cast("Response", await self._caller().fetch(plan, Response))

    async def wait(
        self,
        response: Response | str,
        /,
        *,
        interval: float = 1.0,
        max_interval: float = 10.0,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Fetch a background response, by itself or by its id, again and again until it is neither queued nor in progress.

        ``interval`` is the first pause between two requests, in seconds; it grows by half each time, up to ``max_interval``.
        What comes back may be of any final status. ``Timeouts.total`` bounds the whole wait: ``DeadlineExceeded`` then has the
        response as it was last. Raises ``LocalProtocolError`` for a ``interval`` that is not above 0.
        """
        if not (0 < interval < float("inf") and max_interval > 0):
            raise LocalProtocolError(f"poll has to be a number of seconds above 0, not {interval!r}")
        bounds = timeouts or self._settings.timeouts
        started = time.monotonic()
        known = response if isinstance(response, Response) else None
        response_id = response.id if isinstance(response, Response) else response
        while known is None or known.status in RUNNING_STATUSES:
            if known is not None:
                await anyio.sleep(interval if bounds.total is None else min(interval, _left(bounds, started)))
                interval = max(interval, min(interval * _POLL_GROWTH, max_interval))
            left = _left(bounds, started)
            if left <= 0:
                raise _late(bounds, started, known)
            try:
                asking = bounds if bounds.total is None else attrs.evolve(bounds, total=left)
                known = await self.retrieve(response_id, timeouts=asking, headers=headers)
            except DeadlineExceeded as error:
                if error.kind != "total":
                    raise
                raise _late(bounds, started, known) from error
        return known

    async def cancel(
        self, response_id: str, /, *, timeouts: Timeouts | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Have the server stop a background response (Responses, Cancel)."""
        caller = self._caller()
        path = ["responses", response_id, "cancel"]
        plan = caller.plan("responses.cancel", "POST", path, timeouts=timeouts, headers=headers)
        return cast("Response", await caller.fetch(plan, Response))

    async def delete(
        self, response_id: str, /, *, timeouts: Timeouts | None = None, headers: Mapping[str, str] | None = None
    ) -> DeletedResponse:
        """Delete a response that the server keeps (Responses, Delete)."""
        plan = self._plan("responses.delete", "DELETE", response_id, timeouts=timeouts, headers=headers)
        gone: JSONObject = {"id": response_id, "deleted": True}
        return cast("DeletedResponse", await self._caller().fetch(plan, DeletedResponse, empty=gone))

    @overload
    async def compact(
        self,
        request: CompactRequest | JSONObject,
        /,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> CompactedResponse: ...
    @overload
    async def compact(
        self,
        /,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[CompactFields],
    ) -> CompactedResponse: ...
    async def compact(
        self,
        request: CompactRequest | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> CompactedResponse:
        """Have a conversation shortened (Responses, Compact). The output is the input of what follows.

        Takes a request, or the fields of :class:`~responses_proto.models.request.CompactRequest`, of which ``model`` is required.
        """
        content = merged(CompactRequest, request, fields)
        caller = self._caller()
        path = ["responses", "compact"]
        plan = caller.plan("responses.compact", "POST", path, content=content, timeouts=timeouts, headers=headers)
        return cast("CompactedResponse", await caller.fetch(plan, CompactedResponse))

    async def count_input_tokens(
        self,
        request: InputTokensRequest | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[InputTokensFields],
    ) -> InputTokenCount:
        """Ask how many tokens an input has (Responses, Input tokens).

        Takes the fields of :class:`~responses_proto.models.request.InputTokensRequest` as :meth:`create` takes its own.
        """
        content = merged(InputTokensRequest, request, cast("Any", fields))
        caller = self._caller()
        path = ["responses", "input_tokens"]
        plan = caller.plan("responses.input_tokens", "POST", path, content=content, timeouts=timeouts, headers=headers)
        return cast("InputTokenCount", await caller.fetch(plan, InputTokenCount))

    def input_items(
        self,
        response_id: str,
        /,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: Order | None = None,
        include: Sequence[Include] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ItemPages:
        """Iterate over the items that a response was made from, fetched in pages of ``limit`` (Responses, Input items).

        ``after`` is the id of the item to begin behind. OpenAI's order is ``desc``, the newest first, unless said otherwise.
        """
        caller = self._caller()
        path = ["responses", response_id, "input_items"]

        async def fetch(after: str | None) -> ResponseItemList:
            params = query(after=after, limit=limit, order=order, include=include)
            plan = caller.plan("responses.input_items", "GET", path, params=params, timeouts=timeouts, headers=headers)
            return cast("ResponseItemList", await caller.fetch(plan, ResponseItemList))

        return ItemPages(fetch, after=after)

    # Inside

    def _caller(self) -> ClientCore:
        if self._closed:
            raise LocalProtocolError("this client is closed: make another one, or stay inside its `async with` block")
        return self._settings

    def _plan(
        self,
        operation: str,
        method: str,
        *path: str,
        content: object = None,
        params: Sequence[tuple[str, str]] = (),
        stream: bool = False,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PreparedCall:
        return self._caller().plan(
            operation,
            method,
            ["responses", *path],
            content=content,
            params=params,
            stream=stream,
            timeouts=timeouts,
            headers=headers,
        )

    def _cancelling(self, on_abandon: OnAbandon) -> Callable[[str], Awaitable[object]] | None:
        return self.cancel if on_abandon == "cancel_response" else None

    def __repr__(self) -> str:
        # The key is not shown, nor are headers, which may hold one.
        return (
            f"<{type(self).__name__} {self._dialect.name} {shown(self._base_url)}{' closed' if self._closed else ''}>"
        )


def _check_kinds(**settings: tuple[object, type[object]]) -> None:
    for name, (value, kind) in settings.items():
        if value is not None and not isinstance(value, kind):
            raise LocalProtocolError(f"{name} has to be made by {kind.__name__}(...), not {value!r}")


def _with_stream(content: CreateResponse | dict[str, Any], *, stream: bool) -> CreateResponse | dict[str, Any]:
    if isinstance(content, CreateResponse):
        return attrs.evolve(content, stream=True if stream else UNSET)
    kept = {name: value for name, value in content.items() if name != "stream"}
    return {**kept, "stream": True} if stream else kept


def _left(bounds: Timeouts, started: float) -> float:
    return float("inf") if bounds.total is None else bounds.total - (time.monotonic() - started)


def _late(bounds: Timeouts, started: float, known: Response | None) -> DeadlineExceeded:
    error = DeadlineExceeded("total", time.monotonic() - started, limit=bounds.total)
    error.response = known
    error.cursor = Cursor(known.id) if known is not None and known.id else None
    error.retry_safety = "safe"
    return error
