"""The server side of one exchange: the request, and the methods that answer it.

It is the same for a request over a socket, a request in memory and a message over a WebSocket. Most scripts return an
:class:`~.answers.Answer`. A script that needs more control, such as waiting for the client, is a function that receives a
:class:`ServerExchange`::

    async def script(exchange: ServerExchange) -> None:
        await exchange.start()                     # the head of the answer
        await exchange.send(b"data: ...")          # a piece of its body; blocks while the client does not read
        await exchange.until_closed()              # or finish(), close(), reset()
"""

from __future__ import annotations

import json
import re
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import parse_qsl

import anyio
import attrs

from ...codec import Converter, default_converter
from ...exceptions import UsageError
from ...models.request import CreateResponse, ResponseCreateMessage
from ...protocol.state import TERMINAL
from .answers import Answer
from .steps import Close, Pause, Reset, Stall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...typing import JSONObject
    from .dialects import Dialect
    from .faults import Fault
    from .steps import Step

__all__ = [
    "NO_BODY",
    "SWITCHED",
    "Request",
    "ServerExchange",
    "base_length",
    "decompressor",
    "ends_response",
    "message_method",
    "message_object",
]

T = TypeVar("T")

_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
"""The scheme and host of a target in the absolute form that clients send to proxies (RFC 9112, 3.2.2)."""
_BASE: Final = re.compile(r"(?:/[^/]+)*?/v1(?=/|$)")
"""The path of a base URL. It ends at the first ``/v1``, so a client that adds ``/v1`` twice gets a path that does not exist."""


@attrs.frozen(kw_only=True)
class Request:
    """A request that the server received."""

    method: str
    target: str
    """Path and query, as they were sent."""
    headers: Mapping[str, str] = attrs.field(repr=False)  # contains the API key
    """Names in lower case; the values of a repeated header are joined by a comma."""
    body: bytes = attrs.field(default=b"", repr=False)
    connection: int = 0
    """The number of the connection, counted from 0. In memory each request has its own connection."""
    message: bool = False
    """Whether the request is a WebSocket message. ``body`` is then its text, and the target and headers are those of the handshake. The
    method is ``POST`` for ``response.create``, and otherwise the type of the message in capitals."""
    converter: Converter = attrs.field(factory=default_converter, repr=False, eq=False)
    """The converter of the server, used by :meth:`load`."""

    @property
    def path(self) -> str:
        """The path, still percent-encoded, without the query."""
        return self._path_and_query[0]

    @property
    def endpoint(self) -> str | None:
        """The path below the base URL, such as ``/responses``. A base URL ends in ``/v1``; ``None`` if the path has no ``/v1``."""
        length = base_length(self.path)
        return self.path[length:] if length is not None else None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query, in order."""
        return parse_qsl(self._path_and_query[1], keep_blank_values=True)

    @property
    def _path_and_query(self) -> tuple[str, str]:
        # Without `urlsplit`, which raises for some targets: a client may send anything.
        origin = _ORIGIN.match(self.target)
        path, _, query = self.target[origin.end() if origin else 0 :].partition("?")
        return path, query

    @property
    def json(self) -> Any:
        """The body, decoded. Raises ``ValueError`` if it is not JSON."""
        return json.loads(self.body)

    @property
    def create(self) -> CreateResponse | ResponseCreateMessage:
        """The body as the model of a request. Raises ``DecodeError`` if it is not a JSON object."""
        return self.load(ResponseCreateMessage) if self.message else self.load(CreateResponse)

    def load(self, cls: type[T]) -> T:
        """Decode the body as ``cls`` with the converter of the server. Raises ``DecodeError`` if the body is not a JSON object."""
        return self.converter.loads(self.body, cls)

    @property
    def wants_stream(self) -> bool:
        """Whether the client asks for a stream: in the body, in the query of a ``GET``, or with a WebSocket message."""
        if self.message:
            return True
        if self.body:
            try:
                value = self.json
            except (ValueError, RecursionError):
                return False
            return isinstance(value, dict) and value.get("stream") is True  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - any JSON
        return ("stream", "true") in self.query

    @property
    def wants_websocket(self) -> bool:
        """Whether the request is the handshake of a WebSocket."""
        return not self.message and self.headers.get("upgrade", "").lower() == "websocket"


def base_length(path: str) -> int | None:
    """Return the length of the part of a path that belongs to the base URL; ``None`` if there is no such part."""
    base = _BASE.match(path)
    return base.end() if base else None


SWITCHED: Final = 101
"""The status that opens a WebSocket."""
NO_BODY: Final = frozenset({SWITCHED, 204, 304})
"""Statuses of answers without a body or a content length (RFC 9110, 8.6 and 15)."""


class ServerExchange(ABC):
    """One exchange, as seen by the server.

    Call :meth:`start`, then :meth:`send` any number of times, then :meth:`finish`, :meth:`close` or :meth:`reset`.
    Sending raises ``anyio.BrokenResourceError`` or ``anyio.ClosedResourceError`` if the client is gone. A script need not catch these.
    If a script returns after :meth:`start`, the server finishes the answer; if it returns before, the server closes the connection.
    Over WebSocket there is no head, and the connection stays open, unless an answer ends before its response does.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.started: bool = False
        """Whether the head was sent."""
        self.ended: bool = False
        """Whether the exchange has ended in any way."""
        self.sent: int = 0
        """The number of bytes of the body that were sent. Some of them may still be buffered on the way to the client."""
        self.upgrade_headers: Mapping[str, str] = {}
        """The headers of an answer that accepts a WebSocket."""
        self.upgraded: bool = False
        """Whether the connection is a WebSocket from here on."""
        self.dialect: Dialect | None = None
        """The dialect of the server."""
        self.faults: tuple[Fault, ...] = ()
        """The faults that are added to every streamed answer."""

    async def start(
        self,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "text/event-stream",
    ) -> None:
        """Send the head of the answer. Call :meth:`send` next.

        The body is chunked, unless the headers have a ``content-length``, or a ``connection: close``: then the body ends with the
        connection. With ``content_type=None`` that header is left out.
        """
        fields = {"content-type": content_type} if content_type is not None else {}
        fields |= {name.lower(): value for name, value in (headers or {}).items()}
        self.started = True
        if status == SWITCHED:
            self.upgraded = True
            fields = {**self.upgrade_headers, **fields}
        await self._start(status, fields)

    async def send(self, data: bytes) -> None:
        """Send one piece of the body. Sends the head first if necessary. Blocks while the client does not read."""
        if not self.started:
            await self.start()
        if data:
            await self._send(data)
            self.sent += len(data)

    async def finish(self) -> None:
        """End the body. Sends the head first if necessary."""
        if not self.started:
            await self.start()
        if not self.ended:
            self.ended = True
            await self._finish()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, even in the middle of the answer. ``code`` and ``reason`` are sent over WebSocket only."""
        self.ended = True
        await self._close(code, reason)

    async def reset(self) -> None:
        """Break the connection, so that the client sees an error instead of an end."""
        self.ended = True
        await self._reset()

    @abstractmethod
    async def raw(self, data: bytes) -> None:
        """Send bytes unchanged, bypassing HTTP: the script is then also responsible for the head and the end of the body.

        Raises ``UsageError`` in memory, where there is no HTTP.
        """

    async def message(self, message: bytes | str | JSONObject) -> None:
        """Send any WebSocket message: an object as JSON, bytes as a binary message. The message need not be part of the answer.

        Raises ``UsageError`` over HTTP.
        """
        raise UsageError(f"{message!r:.40} cannot be sent over HTTP: only a WebSocket has messages")

    async def ping(self, payload: bytes = b"") -> None:
        """Send a WebSocket ping, and wait for the client's pong. ``payload`` is at most 125 bytes.

        Raises ``UsageError`` over HTTP.
        """
        raise UsageError(f"a ping ({payload!r:.40}) cannot be sent over HTTP: only a WebSocket has pings")

    @abstractmethod
    async def until_closed(self) -> float:
        """Wait until the client is gone. Return the time at which the server noticed it, in seconds of ``time.monotonic()``."""

    async def answer(self, answer: Answer) -> None:
        """Send a whole answer, with its faults."""
        stream = self.request.wants_stream
        if stream and answer.wire_events is not None:
            answer = answer.with_faults(*self.faults)
        wire = answer.to_wire(stream=stream, dialect=self.dialect)
        if not await self._take_all(wire.before_head):
            return
        headers = wire.headers
        has_length = wire.events is None and wire.status not in NO_BODY
        if has_length and all(isinstance(step, bytes) for step in wire.steps):
            size = sum(len(step) for step in wire.steps if isinstance(step, bytes))
            headers = {"content-length": str(size), **headers}
        await self.start(wire.status, headers=headers, content_type=wire.content_type)
        if await self._take_all(wire.steps):
            await self.finish()

    async def fail(self, reason: str) -> None:
        """Answer with status 500 and the reason; in the middle of an answer, close the connection instead."""
        if self.can_answer:
            # Ask clients not to retry: the script would fail again, only later.
            wire = Answer.error(500, reason, code="script_error", headers={"x-should-retry": "false"})
            await self.answer(wire)
        else:
            await self.close()

    @property
    def can_answer(self) -> bool:
        """Whether no part of an answer was sent yet."""
        return not self.started and not self.ended

    async def _take_all(self, steps: list[Step]) -> bool:
        """Execute steps until one of them ends the exchange. Return whether all were executed."""
        for step in steps:
            await self._take(step)
            if self.ended:
                return False
        return True

    async def _take(self, step: Step) -> None:
        match step:
            case Pause():
                await anyio.sleep(step.seconds)
            case Stall():
                await self.until_closed()
                await self.close()
            case Reset():
                # A reset discards data that the client has not read yet, so give it time to read.
                await anyio.sleep(_READING_TIME)
                await self.reset()
            case Close():
                await self.close(step.code, step.reason)
            case _:
                await self.send(step)

    @abstractmethod
    async def _start(self, status: int, headers: dict[str, str]) -> None: ...
    @abstractmethod
    async def _send(self, data: bytes) -> None: ...
    @abstractmethod
    async def _finish(self) -> None: ...
    @abstractmethod
    async def _close(self, code: int = 1000, reason: str = "") -> None: ...
    @abstractmethod
    async def _reset(self) -> None: ...


_READING_TIME: Final = 0.05  # seconds


def message_object(message: bytes) -> dict[str, Any]:
    """Return the JSON object in a WebSocket message; an empty one if it is not a JSON object."""
    try:
        value: object = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def message_method(value: Mapping[str, Any]) -> str:
    """Return the :attr:`Request.method` of a client's WebSocket message."""
    event_type = value.get("type")
    is_other = isinstance(event_type, str) and event_type != ResponseCreateMessage.type
    return str(event_type).upper() if is_other else "POST"


def ends_response(value: Mapping[str, Any]) -> bool:
    """Return whether a WebSocket message of the server ends a response or a request."""
    event_type = value.get("type")
    return event_type in TERMINAL or (event_type == "error" and "status" in value)


def decompressor(headers: Mapping[str, str]) -> Callable[[bytes], bytes]:
    """Return the function that decompresses the pieces of a body with these headers."""
    if headers.get("content-encoding", "identity") in ("gzip", "deflate"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
    return bytes
