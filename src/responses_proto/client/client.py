"""Talk to a server of the Responses API: send requests, receive typed responses and streams of typed events.

::

    async with ResponsesClient(base_url=..., api_key=...) as client:
        response = await client.create(model="...", input="...")
        async with client.stream(model="...", input="...") as stream:
            async for event in stream:
                ...
            response = await stream.result()

Nothing here keeps a cancel scope or a task group open between two calls. Streams and runs can therefore be nested, passed to
other tasks and left at any point. WebSocket sessions are the exception: they have tasks of their own, so their block must be
entered and left in the same task.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack

import anyio
import anyio.lowlevel
import attrs

from ..exceptions import LocalProtocolError, ResponsesProtoError, UsageError
from ..models._base import Elsewhere
from ..models.request import CreateResponse
from ..models.response import Response
from ..providers import Provider, find_provider
from ..typing import Cursor
from ._calls import CallOptions, Query, merge_fields, query_params
from ._core import make_core
from ._endpoints import Endpoints
from ._secrets import HiddenStr, hidden_headers
from .conversations import Conversations
from .gate import Gate
from .stream import EventStream
from .transport._errors import public_url
from .transport._exchange import shut

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from os import PathLike
    from types import TracebackType

    from typing_extensions import TypeForm  # for the type checker, which bundles it

    from ..codec import Converter
    from ..limits import Limits
    from ..models.request import CreateResponseFields, RunFields
    from ..schema.structured import ParseResult
    from ..tools._runner import OnError
    from ..tools._starter import Approve
    from ..tools.effects import OnEffect
    from ..tools.executors import Tools
    from ..tools.loop import Continuation, ToolLoop
    from ..tools.run import EditInput, Run, StartPolicy
    from ..typing import JSONObject
    from ._keys import ApiKey
    from .batch import Batch, BatchProgress
    from .hooks import Hooks
    from .retry import RetryPolicy
    from .stream import OnAbandon
    from .timeouts import Timeouts
    from .transport.base import Transport
    from .transport.http import HTTPClient
    from .websocket.session import WebSocketSession

__all__ = ["ResponsesClient"]

T = TypeVar("T")
if TYPE_CHECKING:
    from typing_extensions import TypeVar as _TypeVarWithDefault  # type checkers bundle it

    R = _TypeVarWithDefault("R", default=object)
    P = _TypeVarWithDefault("P", default=None)
else:
    R = TypeVar("R")
    P = TypeVar("P")

_ATTEMPTS_IN_BATCH: Final = 10
_DELAY_IN_BATCH: Final = 3600.0  # seconds


class ResponsesClient(Endpoints):
    """A client of one server of the Responses API. Any number of tasks can use it at the same time.

    Use it in ``async with``, or call :meth:`aclose` at the end.

    - ``base_url``: the part of the URL before ``/responses``, such as ``https://api.openai.com/v1``.
    - ``api_key``: sent with every request. An empty string sends none. A function, sync or async, is asked for the key before each
      request, and once more if the server refuses the key (401).
    - ``bill_to``: the organization to bill, for providers that support it (Hugging Face).
    - ``dialect``: a provider, by its name in :data:`responses_proto.providers.PROVIDERS` or as a ``Provider``. It supplies the
      address, the environment variables and the header of the key.
    - ``http_client``: an ``httpx.AsyncClient``, an object with the same interface, or a
      :class:`~responses_proto.client.transport.Transport`. It is not closed with this client. By default the client opens its own.
    - ``converter``: encodes requests and decodes everything that the server sends, with the vendors' classes that were registered
      in it (:meth:`responses_proto.codec.Converter.register`).
    - ``timeouts``, ``retry``, ``limits``, ``hooks``: the settings of every call.
    - ``gate``: limits how many requests are open at a time; share one between clients of the same server. By default there is no limit.
    - ``headers``: sent with every request; they override the headers of this library.

    Each method takes options for one call. ``timeouts`` and ``retry`` replace the fields that they name; the others are those of
    the client. ``headers``, such as an ``Idempotency-Key``, and ``extra_query``, parameters of the URL, are added. Fields of the body that
    a class does not have go into ``extra={...}``.

    Arguments take precedence over the environment, which is read when the client is created. Without ``dialect``, the variables
    ``RESPONSES_BASE_URL`` and ``RESPONSES_API_KEY`` come next, then those of the provider whose address it is; if no address is
    configured at all, that is OpenAI (``OPENAI_BASE_URL``, ``OPENAI_API_KEY``). With ``dialect``, only that provider's own
    variables count. Without ``dialect``, the key in a provider's own variable is only sent to that provider's address.

    Raises ``UsageError`` for a base URL that is not http(s) or ws(s), for a missing key if the provider needs one, for an
    unknown provider, and for a setting or header that is invalid.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        *,
        http_client: HTTPClient | Transport | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        dialect: Provider | str | None = None,
        hooks: Hooks | None = None,
        converter: Converter | None = None,
        gate: Gate | None = None,
        bill_to: str | None = None,
    ) -> None:
        # Tracebacks with variables show the parameters of every function that an error passes.
        api_key = HiddenStr(api_key) if isinstance(api_key, str) else api_key
        headers = hidden_headers(headers)
        self._core = make_core(
            base_url,
            api_key,
            dialect,
            http_client=http_client,
            timeouts=timeouts,
            retry=retry,
            limits=limits,
            headers=headers,
            hooks=hooks,
            converter=converter,
            gate=gate,
            bill_to=bill_to,
        )
        self._closed = False
        self.conversations: Final = Conversations(self._open_core)
        """The conversations that the server stores."""

    @classmethod
    def for_provider(
        cls,
        name: str,
        /,
        *,
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        http_client: HTTPClient | Transport | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        hooks: Hooks | None = None,
        converter: Converter | None = None,
        gate: Gate | None = None,
        bill_to: str | None = None,
    ) -> Self:
        """Create a client of a provider, by its name in :data:`responses_proto.providers.PROVIDERS`, such as ``huggingface``.

        The address and the key come from the provider's own environment variables, unless they are passed. The other
        parameters are those of the class. Raises ``UsageError`` for an unknown name, and what the class raises.
        """
        api_key = HiddenStr(api_key) if isinstance(api_key, str) else api_key  # as in `__init__`
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
            converter=converter,
            gate=gate,
            bill_to=bill_to,
        )

    @property
    def base_url(self) -> str:
        """The URL that the path of each request is appended to, without a trailing slash."""
        return self._core.base_url

    @property
    def dialect(self) -> Provider:
        """The provider that the server belongs to; its ``name`` is ``server`` if the provider is not known."""
        return self._core.provider

    @property
    def timeouts(self) -> Timeouts:
        """The bounds of every call, unless the call overrides them."""
        return self._core.timeouts

    @property
    def retry(self) -> RetryPolicy:
        """The retry policy of every call, unless the call overrides it."""
        return self._core.retry

    async def __aenter__(self) -> Self:
        if self._closed:
            raise LocalProtocolError("this client is closed: create another one")
        await anyio.lowlevel.checkpoint()  # makes anyio load its backend now and not during the first request
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that this client opened, but not an ``http_client`` that was passed. Idempotent.

        A task that waits for a reply or reads a stream gets a ``LocalProtocolError``.
        """
        self._closed = self._core.state.closed = True
        for stream in [stream for stream in self._core.state.streams if stream.awaited]:
            await stream.aclose()
        if self._core.owns_transport:
            await shut(self._core.transport)

    async def create(
        self,
        request: CreateResponse | JSONObject | None = None,
        /,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> Response:
        """Create a response and return it when it is complete (Responses, Create).

        ``request`` is a :class:`~responses_proto.models.request.CreateResponse` or a wire object as a dict. ``fields`` are the fields
        of ``CreateResponse``; they override those of ``request``. ``timeouts``, ``retry``, ``headers`` and ``extra_query`` are options of
        this call; see :class:`ResponsesClient`. :func:`~responses_proto.client.response_meta` returns the headers of the reply.

        Check ``response.status``: a response that is ``failed`` or ``incomplete`` is returned, not raised. With
        ``background=True`` the server returns at once; pass the response to :meth:`wait`, or its id to :meth:`retrieve`.

        Raises ``APIError`` if the server answers with an error, ``ConnectError``, ``DeadlineExceeded`` and other
        ``TransportError`` if the connection fails, ``DecodeError`` and ``LimitExceeded`` for a reply that cannot be read,
        ``EncodeError`` for fields that are not JSON, ``UsageError`` for invalid arguments and for ``stream=True`` (use
        :meth:`stream`), and ``TypeError`` for an unknown field.
        """
        content = self._content(CreateResponse, request, fields, "create")
        return await self._open_core().call(
            "responses.create",
            "POST",
            ["responses"],
            Response,
            content=content,
            options=CallOptions(timeouts, retry, headers, extra_query),
        )

    async def parse(
        self,
        output: TypeForm[T],
        request: CreateResponse | JSONObject | None = None,
        /,
        *,
        strict: bool = True,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> ParseResult[T]:
        """Create a response whose text is a value of type ``output``, and return the value (Responses, Structured outputs).

        ``output`` is a class or another type for which :mod:`responses_proto.schema` can make a JSON Schema. The other parameters
        are those of :meth:`create`, except that the request must not set a text format. ``strict=False`` does not ask the server to
        enforce the schema, for servers that have no strict mode. The result is ``Parsed`` with the ``value``, ``Refused``,
        ``Incomplete`` or ``Invalid``, each with the ``response``; ``match`` on it.

        Raises ``UsageError`` before anything is sent if the strict subset of JSON Schema cannot express the type, and what
        :meth:`create` raises.
        """
        from ..schema.structured import structured_for, with_text_format  # noqa: PLC0415 - loaded only by callers that parse

        structured = structured_for(output, strict=strict)
        content = self._content(CreateResponse, request, with_text_format(structured, request, fields), "parse")
        options = CallOptions(timeouts, retry, headers, extra_query)
        response = await self._open_core().call(
            "responses.create", "POST", ["responses"], Response, content=content, options=options
        )
        return structured.parse_response(response)

    def stream(
        self,
        request: CreateResponse | JSONObject | None = None,
        /,
        *,
        output: TypeForm[R] | None = None,
        strict: bool = True,
        on_abandon: OnAbandon = "close",
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> EventStream[R]:
        """Return a stream of the events of a new response (Responses, Create, ``stream``).

        The parameters are those of :meth:`create`. Nothing is sent until the stream is entered: ``async with
        client.stream(...) as stream``. Then iterate over it, or call :meth:`EventStream.result`. A large request is also
        serialized only then, in slices that leave the event loop free.

        ``output`` is the type of the value that the text contains, as for :meth:`parse`, and ``strict`` is that of :meth:`parse`.
        Then :meth:`EventStream.parse` returns the value, :meth:`EventStream.partial` yields the known part of it, and
        :meth:`EventStream.elements` the elements of a list as they are complete.

        ``on_abandon`` decides what happens if the block is left before the response ends. ``"close"`` closes the connection; a
        response with ``background=True`` then continues on the server. ``"cancel_response"`` also cancels such a response,
        unless the block is left because the connection broke.

        Raises ``UsageError``, ``EncodeError`` and ``TypeError`` as :meth:`create` does. Other errors are raised by the stream.
        """
        structured = None
        if output is not None:
            from ..schema.structured import structured_for, with_text_format  # noqa: PLC0415 - loaded only by callers that parse

            structured = structured_for(output, strict=strict)
            fields = with_text_format(structured, request, fields)
        content = self._content(CreateResponse, request, fields, "stream")
        core = self._open_core()
        call = core.prepare(
            "responses.stream",
            "POST",
            ["responses"],
            content=content,
            stream=True,
            options=CallOptions(timeouts, retry, headers, extra_query),
        )
        return EventStream(core, call, cancel=self._cancel_if(on_abandon), output=structured)

    def run(
        self,
        request: CreateResponse | JSONObject | ToolLoop | None = None,
        /,
        *,
        tools: Tools = (),
        approve: Approve | None = None,
        deps: object = None,
        output: TypeForm[P] | None = None,
        repairs: int = 1,
        max_turns: int | None = 32,
        max_tokens: int | None = None,
        max_tool_calls: int | None = None,
        start: StartPolicy = "response_done",
        concurrency: int = 16,
        tool_timeout: float | None = None,
        on_error: OnError = "tell_model",
        continuation: Continuation | None = None,
        edit_input: EditInput | None = None,
        on_effect: OnEffect | None = None,
        over: WebSocketSession | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[RunFields],
    ) -> Run[P]:
        """Return a run: create responses and execute the tools that they call, until the model calls none.

        Nothing is sent until the run is entered: ``async with client.run(...) as run``. Then iterate over its events, or call
        :meth:`~responses_proto.tools.Run.result`. ``request`` and ``fields`` are those of :meth:`create` and apply to every
        response of the run; with ``tool_choice="required"``, the model therefore never stops calling tools. A
        :class:`~responses_proto.tools.ToolLoop`, such as that of an earlier run, is continued on a copy, for up to ``max_turns``
        more responses, and ``max_tokens`` and ``max_tool_calls`` more if they are given; it must have asked for ``output`` before.

        - ``tools``: functions, executors (:class:`~responses_proto.tools.ToolExecutor`), and definitions of tools that are not
          executed here. If the model calls a function that was not offered, it is told that there is no such tool. If it calls
          a tool that was offered but is not executed here, the run stops, and the call is pending in its result.
        - ``approve``: decides about the calls that need approval: those of remote MCP servers, and those of tools with
          ``needs_approval``. Without it, none is approved.
        - ``deps``: passed to the tools, as ``ToolContext.deps``.
        - ``output``: the type of the answer, as in :meth:`parse`; the value is in ``RunResult.parsed``. If the answer does not
          match it, the model is told why and asked again, ``repairs`` times at most (default 1).
        - ``max_turns``: the largest number of responses, at least 1; ``None`` for no bound (default 32).
        - ``max_tokens``: a bound on the tokens of all responses together. Once it is reached, no further request is sent.
        - ``max_tool_calls``: the largest number of calls that are executed. A response that exceeds it ends the run, and its calls are
          pending. The field of this name in a request bounds the tools of the server: set it in ``request``.
        - ``start``: when a call is executed: ``"response_done"``, ``"item_done"`` or ``"manual"``.
        - ``concurrency``: how many calls are executed at the same time (default 16).
        - ``tool_timeout``: bound of each call, in seconds; ``None`` for no bound. A tool's own ``timeout`` takes precedence.
        - ``on_error``: for a tool that raises: ``"tell_model"`` sends the error to the model as the output of the call,
          ``"raise"`` ends the run with it.
        - ``continuation``: how the next request refers to the previous responses; see :class:`~responses_proto.tools.ToolLoop`.
        - ``edit_input``: returns the input to send instead of that of each request, such as one made shorter by
          :func:`responses_proto.protocol.fit`. The history of the run is not changed.
        - ``on_effect``: called for each request and each execution of a call; see :mod:`responses_proto.tools.effects`.
        - ``over``: a WebSocket session to send the requests over, as :meth:`WebSocketSession.run` does.
        - ``timeouts``, ``retry``, ``headers``, ``extra_query``: options of each request.

        Outputs of tools are bounded by ``Limits.max_tool_output_bytes``. Raises ``UsageError``, here or when the run is entered,
        for invalid arguments, for an object that is not a tool, and for two tools with the same name.
        """
        from ..schema.structured import Structured, with_text_format  # noqa: PLC0415 - loaded only by callers that run tools
        from ..tools.loop import ToolLoop, check_bounds  # noqa: PLC0415 - as above
        from ..tools.run import Run  # noqa: PLC0415 - as above

        core = self._open_core()
        check_bounds(max_turns=max_turns, max_tokens=max_tokens, max_tool_calls=max_tool_calls)
        structured = None if output is None else Structured(output)
        if isinstance(request, ToolLoop):
            if fields or continuation is not None:
                raise UsageError(
                    "a ToolLoop contains its request: it cannot be combined with fields or continuation=..."
                )
            loop = copy.copy(request)
            loop.max_turns = None if max_turns is None else len(loop.turns) + max_turns
            if max_tokens is not None:
                loop.max_tokens = loop.tokens + max_tokens
            if max_tool_calls is not None:
                loop.max_tool_calls = loop.answered_calls + max_tool_calls
        else:
            settings: Any = fields
            if structured is not None:
                settings = with_text_format(structured, request, settings)
            loop = ToolLoop(
                self._content(CreateResponse, request, settings, "run"),
                continuation=continuation,
                dialect=self._core.provider,
                max_turns=max_turns,
                max_tokens=max_tokens,
                max_tool_calls=max_tool_calls,
            )

        def open_stream(request: CreateResponse | JSONObject) -> EventStream:
            if over is not None:
                return over.stream(request, timeouts=timeouts, retry=retry)
            return self.stream(request, timeouts=timeouts, retry=retry, headers=headers, extra_query=extra_query)

        return Run(
            open_stream,
            loop,
            tools=tools,
            approve=approve,
            start=start,
            concurrency=concurrency,
            tool_timeout=tool_timeout,
            on_error=on_error,
            deps=deps,
            output=structured,
            repairs=repairs,
            edit_input=edit_input,
            on_effect=on_effect,
            limits=core.limits,
            converter=core.converter,
        )

    def map(
        self,
        requests: Iterable[CreateResponse | JSONObject | str] | AsyncIterable[CreateResponse | JSONObject | str],
        /,
        *,
        gate: Gate | None = None,
        journal: str | PathLike[str] | None = None,
        ordered: bool = False,
        on_progress: Callable[[BatchProgress], object] | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        **fields: Unpack[CreateResponseFields],
    ) -> Batch:
        """Create a response for each request, many at a time, and yield the result of each: ``async for result in client.map(...)``.

        A request is what :meth:`create` takes, or a string, which is its input. ``fields`` are set in every request. The requests are
        taken from the iterable as there is room for them, so it may be endless. The results are :class:`BatchResult`: in the order in which
        they end, or with ``ordered`` in that of the requests. A request that fails raises nothing.

        - ``gate``: limits how many requests are open, and adapts to the server. By default that of the client, else a new one.
        - ``journal``: a file in which each answer is kept as a line of JSON. When the batch is started again, for example after its
          process was killed, requests that have a complete or incomplete response in the file are not sent again; their results have
          ``from_journal`` set. The others are sent with the same ``Idempotency-Key`` as before.
        - ``on_progress``: called after each request that has ended, with a :class:`BatchProgress`. Not ``async``.
        - ``retry``: by default that of the client, with at least ten ``attempts`` and a ``max_total_delay`` of an hour, because a gate
          provokes a refusal now and then.

        Raises ``TypeError`` for an unknown field, and ``UsageError`` for a single request. Iterating raises ``UsageError`` for a file that
        is not a journal, is damaged or is in use, and ``OSError``.
        """
        from .batch import Batch  # noqa: PLC0415 - loaded only by callers that send many

        merge_fields(CreateResponse, None, fields)  # raises for an unknown field
        if isinstance(requests, (str, bytes, Mapping, CreateResponse)):
            raise UsageError(f"map() takes several requests, got one: {requests!r:.60}; write map([request])")
        core = self._open_core()
        policy = attrs.evolve(
            core.retry, attempts=max(core.retry.attempts, _ATTEMPTS_IN_BATCH), max_total_delay=_DELAY_IN_BATCH
        )
        return Batch(
            attrs.evolve(core, retry=policy),
            requests,
            lambda request: self._content(CreateResponse, request, fields, "map"),
            gate=gate or core.gate or Gate(),
            journal=journal,
            ordered=ordered,
            on_progress=on_progress,
            options=CallOptions(timeouts=timeouts, retry=retry, headers=headers, extra_query=extra_query),
        )

    def resume(
        self,
        interrupted: Cursor | EventStream[R] | ResponsesProtoError,
        /,
        *,
        on_abandon: OnAbandon = "close",
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
    ) -> EventStream[R]:
        """Return a stream that continues a background response after the last event received (Responses, Retrieve, ``stream``).

        Enter it as that of :meth:`stream`. ``interrupted`` is one of:

        - the interrupted :class:`EventStream`, after its block. The new stream begins with the events that the old one received but that
          were not read, and continues its snapshot, which at the end is the same as without the interruption. Do not use the old stream
          any more.
        - a ``Cursor``, or an error whose ``cursor`` is set. The snapshot then holds only what follows, until the terminal event
          contains the whole response. ``Cursor(response_id)`` starts at the first event.

        Events that the server repeats are left out. ``on_abandon`` is that of :meth:`stream`.

        Raises ``LocalProtocolError`` if there is no cursor, if the stream is still in use, or if the response has ended and nothing of
        it is left to read, and ``UsageError`` for anything else.
        """
        core = self._open_core()
        continues, output = None, None
        if isinstance(interrupted, EventStream):
            continues, output = interrupted.detach(), interrupted.output
            cursor = continues.engine.cursor
        elif isinstance(interrupted, Cursor):
            cursor = interrupted
        elif isinstance(interrupted, ResponsesProtoError):  # pyright: ignore[reportUnnecessaryIsInstance] - users pass an id
            cursor = interrupted.cursor
        else:
            raise UsageError(
                "resume() takes a stream, an error of one, or a Cursor, such as Cursor('resp_...') for all events of a response, "
                f"got {interrupted!r:.60}"
            )
        if cursor is None:
            raise LocalProtocolError("nothing to resume: no event with a response id was received")
        call = core.prepare(
            "responses.resume",
            "GET",
            ["responses", cursor.response_id],
            params=query_params(stream=True, starting_after=cursor.sequence_number),
            stream=True,
            options=CallOptions(timeouts, retry, headers, extra_query),
        )
        return EventStream(
            core, call, cancel=self._cancel_if(on_abandon), cursor=cursor, continues=continues, output=output
        )

    def connect(
        self,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        extra_query: Query | None = None,
        keepalive: float | None = 20.0,
    ) -> WebSocketSession:
        """Return a WebSocket session, which carries any number of responses over one connection (Responses, WebSocket).

        Nothing is sent until the session is entered: ``async with client.connect() as session``. Then call
        :meth:`WebSocketSession.stream`. ``headers`` and ``timeouts`` are those of the handshake; each stream has its own timeouts.
        ``keepalive`` is the number of seconds of silence after which the server is pinged; ``None`` never pings.

        Raises ``ImportError`` if the extra ``ws`` is not installed, and ``UsageError``, here or when the session is entered, if the
        client's transport cannot open a WebSocket. A custom transport can if it returns an
        :class:`~responses_proto.client.transport.UpgradedReply`.
        """
        from .websocket.session import WebSocketSession  # noqa: PLC0415 - loaded only by callers that connect

        if not getattr(self._core.transport, "upgrades", True):
            raise UsageError(
                f"{type(self._core.transport).__name__} cannot open a WebSocket: pass an httpx.AsyncClient as http_client"
            )
        core = self._open_core()
        call = core.prepare(
            "responses.connect", "GET", ["responses"], options=CallOptions(timeouts, retry, headers, extra_query)
        )
        return WebSocketSession(core, call, keepalive=keepalive, run=self.run)

    def _cancel_if(self, on_abandon: OnAbandon) -> Callable[[str], Awaitable[object]] | None:
        return self.cancel if on_abandon == "cancel_response" else None

    def __repr__(self) -> str:
        # Shows neither the key nor the headers, which may contain one.
        if not hasattr(self, "_core"):
            return f"<{type(self).__name__}, which could not be created>"
        closed = " closed" if self._closed else ""
        return f"<{type(self).__name__} {self._core.provider.name} {public_url(self._core.base_url)}{closed}>"


for _name in ("responses", "chat"):
    setattr(ResponsesClient, _name, Elsewhere(_name, "the methods of the client itself, such as client.create(...)"))
