"""Send requests to a provider of Chat Completions, with the deadlines, retries, gate and transport of the library's client.

::

    upstream = ChatUpstream("https://router.huggingface.co/v1", api_key)
    async with upstream.open(body) as answer:           # body: the result of to_chat()
        if answer.is_stream:
            async for piece in answer: ...              # bytes for ChatDecoder.receive_data
        else:
            completion = await answer.read()            # a dict for ChatDecoder.receive_completion
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

import attrs
from anyio.abc import AsyncResource

from ..client._calls import Attempts, CallOptions
from ..client._core import make_core
from ..client._replies import MAX_ERROR_BODY, error_from_reply, is_error, read_object, unexpected_reply
from ..client._secrets import HiddenStr, hidden_headers
from ..client.retry import RetryPolicy
from ..client.transport._errors import public_url
from ..client.transport._exchange import Drain, shut
from ..exceptions import LocalProtocolError, ResponsesProtoError, TransportError, UsageError
from ..limits import Limits
from ..protocol.headers import media_type
from .profiles import ChatProfile, find_profile, profile_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ..client._calls import ClientCore
    from ..client._keys import ApiKey
    from ..client.gate import Gate
    from ..client.hooks import Hooks
    from ..client.timeouts import Timeouts
    from ..client.transport._exchange import Exchange
    from ..client.transport.base import Transport
    from ..client.transport.http import HTTPClient
    from ..providers import Provider
    from ..typing import JSONObject

__all__ = ["ChatAnswer", "ChatUpstream"]

_PATH: Final = ("chat", "completions")
_MIB: Final = 1024 * 1024
_LIMITS: Final = Limits(
    max_event_bytes=16 * _MIB, max_buffered_bytes=64 * _MIB, max_response_bytes=64 * _MIB, max_json_values=200_000
)
"""Default limits on an upstream's answers, because a server handles many requests at once."""

_RETRY: Final = RetryPolicy(attempts=2, max_retry_after=0.5)
"""Waits are short, because the client waits meanwhile, and can retry itself."""


class ChatUpstream(AsyncResource):
    """A provider of Chat Completions. Any number of tasks can use it at the same time.

    - ``base_url``: the part of the URL before ``/chat/completions``. Default: that of ``profile``.
    - ``api_key``: the operator's key, or a function that returns it. Default: the provider's environment variable.
    - ``profile``: the provider's capabilities, as a name in :data:`~responses_proto.chat.PROFILES` or a ``ChatProfile``. Default: the
      profile for ``base_url``.
    - ``key``: the key that is sent to the provider: the operator's (``"own"``) or the client's (``"forward"``).
    - ``models``: the names of models to list, for a provider that does not list its own.
    - ``http_client``, ``timeouts``, ``retry``, ``limits``, ``gate``, ``headers``, ``hooks``: as for
      :class:`~responses_proto.ResponsesClient`. By default, a request that is safe to repeat is retried once, unless the provider
      asks for a wait of more than 0.5 seconds.

    Call :meth:`aclose` at the end, or use it in ``async with``. Raises ``UsageError`` if the URL, the key or a setting is invalid.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        *,
        profile: ChatProfile | str | None = None,
        key: Literal["own", "forward"] = "own",
        models: tuple[str, ...] | list[str] | None = None,
        http_client: HTTPClient | Transport | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limits: Limits | None = None,
        gate: Gate | None = None,
        headers: Mapping[str, str] | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        # Tracebacks with variables show the parameters of every function on the stack.
        api_key = HiddenStr(api_key) if isinstance(api_key, str) else api_key
        headers = hidden_headers(headers)
        if key not in ("own", "forward"):
            raise UsageError(f"key must be 'own' or 'forward', got {key!r}")
        if key == "forward" and api_key is not None:
            raise UsageError("key='forward' sends the key of each client: pass no api_key")
        if base_url is None and profile is None:
            raise UsageError("a ChatUpstream needs a base_url, such as http://127.0.0.1:8080/v1, or a profile")
        named = find_profile(profile) if isinstance(profile, str) else profile
        self.profile: ChatProfile = named or profile_for(base_url or "")
        """The capabilities of the provider."""
        self.forwards_key: bool = key == "forward"
        """Whether the client's key is sent to the provider."""
        self.model_names: list[str] | None = None if models is None else [*models]
        """The names of models to list; ``None`` to ask the provider."""
        self._core = make_core(
            base_url,
            api_key,
            _provider_at(base_url, self.profile, needs_key=not self.forwards_key),
            http_client=http_client,
            timeouts=timeouts,
            retry=_RETRY if retry is None else retry,
            limits=_LIMITS if limits is None else limits,
            headers=headers,
            hooks=hooks,
            gate=gate,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.profile.name} at {public_url(self._core.base_url)}>"

    @property
    def base_url(self) -> str:
        """The URL that the path of each request is appended to."""
        return self._core.base_url

    @property
    def limits(self) -> Limits:
        """The limits on the provider's answers."""
        return self._core.limits

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        self._core.state.closed = True
        if self._core.owns_transport:
            await shut(self._core.transport)

    def open(self, body: JSONObject, *, api_key: str | None = None) -> ChatAnswer:
        """Return the answer to ``body``, the JSON of a request. Use it in ``async with``, which sends the request.

        ``api_key`` replaces the upstream's own key. Entering raises ``APIError`` if the provider answers with an error,
        ``ConnectError``, ``DeadlineExceeded`` and other ``TransportError``.
        """
        stream = body.get("stream") is True
        core = self._open_core()
        call = core.prepare(
            "chat.completions", "POST", _PATH, content=body, stream=stream, options=self._options(api_key)
        )
        return ChatAnswer(core, Attempts(core, call), call.body.bytes)

    async def models(self, *, api_key: str | None = None) -> list[str]:
        """Return the names of the provider's models. Raises as :meth:`open` does."""
        if self.model_names is not None:
            return self.model_names
        listing: Any = await self._open_core().call(
            "models", "GET", ("models",), object, options=self._options(api_key)
        )
        # Together sends a bare list.
        entries: object = cast("dict[str, Any]", listing).get("data") if isinstance(listing, dict) else listing
        objects = cast("list[object]", entries) if isinstance(entries, list) else []
        names = [cast("dict[str, Any]", entry).get("id") for entry in objects if isinstance(entry, dict)]
        return [name for name in names if isinstance(name, str)]

    def _open_core(self) -> ClientCore:
        if self._core.state.closed:
            raise LocalProtocolError("this upstream is closed: create another one")
        return self._core

    def _options(self, api_key: str | None) -> CallOptions:
        if api_key is None:
            return CallOptions()
        provider = self._core.provider
        return CallOptions(headers={provider.key_header: HiddenStr(f"{provider.key_prefix}{api_key}")})


def _provider_at(base_url: str | None, profile: ChatProfile, *, needs_key: bool) -> Provider:
    """Return the provider settings for a base URL. A key from the environment is used only at the provider's own URL, and if needed."""
    provider = attrs.evolve(profile.provider, base_url_env=())  # the base URL is not read from the environment
    if needs_key and (base_url is None or profile_for(base_url).provider == profile.provider):
        return provider
    return attrs.evolve(provider, key_env=(), key_file=(), key_needed=False)


class ChatAnswer:
    """The answer to one request. :meth:`ChatUpstream.open` creates it; iterate over it, or call :meth:`read`, once.

    Exiting the block closes the connection at once, unless the answer was read to the end.
    """

    def __init__(self, core: ClientCore, attempts: Attempts, get_body: Any) -> None:
        self._core = core
        self._attempts = attempts
        self._get_body = get_body
        self._exchange: Exchange | None = None
        self._first = b""
        self._received = 0
        self._said_something = False
        self.is_stream: bool = False
        """Whether the answer is an event stream, whatever the request asked for."""

    async def __aenter__(self) -> Self:
        while True:
            exchange = await self._attempts.begin(await self._get_body())
            try:
                try:
                    await self._start(exchange)
                except BaseException:
                    await exchange.aclose()
                    raise
            except ResponsesProtoError as error:
                await self._attempts.retry_or_raise(error)
            except BaseException as error:
                self._attempts.finish(error)
                raise
            else:
                self._exchange = exchange
                return self

    async def _start(self, exchange: Exchange) -> None:
        await exchange.open()
        secret = self._core.secret
        if exchange.status >= HTTPStatus.BAD_REQUEST:
            raise error_from_reply(exchange, await exchange.read_start(MAX_ERROR_BODY), secret)
        first_event = self._core.timeouts.first_event
        self._first, self.is_stream = await exchange.read_first("first_event", first_event)
        starts_object = self._first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
        if exchange.status >= HTTPStatus.MULTIPLE_CHOICES or not (self.is_stream or starts_object):
            start = await exchange.read_start(MAX_ERROR_BODY, self._first)
            if not start and media_type(exchange.headers) == "text/event-stream":
                self.is_stream = True  # a stream without events: the decoder reports the error
                return
            raise unexpected_reply(exchange, start, secret, expected="a chat completion", retry_safety="unsafe")

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            await self._exchange.aclose()
        if exc is not None:
            self._attempts.redact(exc)
        self._attempts.finish(exc, how="ended" if exc is None else None)

    def note_progress(self) -> None:
        """Report that the last chunk had content. This restarts the time limit for the next event."""
        self._said_something = True
        self._opened().waited = 0.0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes of an event stream, cut at any point; wait for them.

        Raises ``DeadlineExceeded`` and other ``TransportError``, and ``LimitExceeded`` above ``max_response_bytes``.
        """
        piece, self._first = self._first, b""
        if not piece:
            exchange, timeouts = self._opened(), self._core.timeouts
            kind = "between_events" if self._said_something else "first_event"
            allowed: float | None = getattr(timeouts, kind)
            piece = await exchange.receive(kind, None if allowed is None else allowed - exchange.waited)
        if not piece:
            raise StopAsyncIteration
        self._received += len(piece)
        self._core.limits.check("max_response_bytes", self._received)
        return piece

    async def drain(self) -> None:
        """Read the rest of a stream that has ended, for at most 0.1 s and 64 KiB, so that its connection can be reused."""
        drain = Drain()
        while (left := drain.left()) > 0:
            try:
                piece = await self._opened().receive("drain", left)
            except TransportError:
                return
            if not piece or not drain.count(len(piece)):
                return

    async def read(self) -> dict[str, Any]:
        """Return the completion, a JSON object.

        Raises ``APIError`` if the body is an error or not a completion, ``LimitExceeded``, and ``TransportError``.
        """
        exchange = self._opened()
        body = await exchange.read(self._core.limits, self._first)
        self._core.limits.check("max_response_bytes", len(body))
        value = read_object(body, self._core.limits)
        if value is not None and is_error(value) and not value.get("choices"):
            raise error_from_reply(exchange, body, self._core.secret)
        if value is None or not value.get("choices"):
            raise unexpected_reply(
                exchange, body, self._core.secret, expected="a chat completion", retry_safety="unsafe"
            )
        return value

    def _opened(self) -> Exchange:
        if self._exchange is None:
            raise LocalProtocolError("the request was not sent: use the answer in `async with`")
        return self._exchange
