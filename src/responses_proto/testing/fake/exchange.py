"""The server's end of one exchange: the request, and the verbs to answer it with.

The same for a request that came over a socket, for one that came from memory, and for a message over a WebSocket. A script that needs more than an
:class:`~.answers.Answer`, such as to wait for what the client does, is a function that takes a :class:`ServerExchange`::

    async def script(peer: Peer) -> None:
        await peer.start()                     # the head of the answer
        await peer.send(b"data: ...")          # a piece of its body; blocks while the client does not read
        await peer.until_closed()              # or finish(), close(), reset()
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import anyio
import attrs

from ...exceptions import LocalProtocolError
from .steps import Close, Pause, Reset, Stall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...typing import JSONObject
    from .answers import Answer
    from .steps import Step

__all__ = ["NO_BODY", "SWITCHED", "Request", "ServerExchange"]


@attrs.frozen(kw_only=True)
class Request:
    """What a server received."""

    method: str
    target: str
    """Path and query, as they were sent."""
    headers: Mapping[str, str] = attrs.field(repr=False)  # the key is in there
    """Names in lower case; values of a repeated header joined by a comma."""
    body: bytes = attrs.field(default=b"", repr=False)
    connection: int = 0
    """The number of the connection that it came over, from 0. In memory each request has its own."""
    message: bool = False
    """Whether it is a message over a WebSocket, and ``body`` the text of that. Target and headers are the handshake's; the method is
    ``POST`` for a ``response.create``, and otherwise the type of the message, in capitals."""

    @property
    def path(self) -> str:
        """The path, still quoted, without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query, in order."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        """The body, decoded. Raises ``ValueError`` if it is not JSON."""
        return json.loads(self.body)

    @property
    def wants_stream(self) -> bool:
        """Whether a stream was asked for: in the body, in the query of a ``GET``, or by way of a WebSocket."""
        if self.message:
            return True
        if self.body:
            try:
                value = self.json
            except ValueError:
                return False
            return isinstance(value, dict) and value.get("stream") is True  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - any JSON
        return ("stream", "true") in self.query


SWITCHED: Final = 101
"""The status that opens a WebSocket."""
NO_BODY: Final = frozenset({SWITCHED, 204, 304})
"""Statuses whose answer ends with its head, and says nothing of a length: RFC 9110, 8.6 and 15."""


class ServerExchange(ABC):
    """One exchange, seen from the server. Verbs: :meth:`start`, :meth:`send`, then one of the endings.

    What is sent when the client is gone raises ``anyio.BrokenResourceError``, which a script may leave to the server. A script that
    returns after :meth:`start` has finished its answer; one that returns before it has closed the connection. Over WebSocket
    there is no head, and the connection stays, unless an answer was given that does not tell how its response ended.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.started: bool = False
        """Whether the head was sent."""
        self.ended: bool = False
        """Whether the exchange is over, in whatever way."""
        self.sent: int = 0
        """Bytes of the body that were taken off this server's hands: what the client has, or what is buffered on the way."""

    async def start(
        self,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "text/event-stream",
    ) -> None:
        """Send the head of the answer.

        The body comes in chunks, unless the headers have a ``content-length``, or a ``connection: close``, which makes the end of the
        connection the end of the body.
        """
        fields = {"content-type": content_type} if content_type is not None else {}
        fields |= {name.lower(): value for name, value in (headers or {}).items()}
        self.started = True
        await self._start(status, fields)

    async def send(self, data: bytes) -> None:
        """Send one piece of the body; the head too, if that was not sent. Blocks while the client does not read."""
        if not self.started:
            await self.start()
        if data:
            await self._send(data)
            self.sent += len(data)

    async def finish(self) -> None:
        """End the body."""
        if not self.started:
            await self.start()
        if not self.ended:
            self.ended = True
            await self._finish()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, wherever the answer is. Over WebSocket, with this code and reason."""
        self.ended = True
        await self._close(code, reason)

    async def reset(self) -> None:
        """Break the connection, so that the client sees an error and no end."""
        self.ended = True
        await self._reset()

    @abstractmethod
    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, outside of HTTP: the head, too, is the script's, and so is the end of the body.

        Raises ``LocalProtocolError`` in memory, where there is no HTTP.
        """

    async def message(self, message: bytes | str | JSONObject) -> None:
        """Send a message as it is, over WebSocket: an object as JSON, bytes as a binary message. It need not belong to the answer.

        Raises ``LocalProtocolError`` over HTTP.
        """
        raise LocalProtocolError(f"{message!r:.40} cannot be sent over HTTP: only a WebSocket has messages")

    async def ping(self, payload: bytes = b"") -> None:
        """Ask the client for a sign of life, over WebSocket, and wait for it. Raises ``LocalProtocolError`` over HTTP."""
        raise LocalProtocolError(f"a ping ({payload!r:.40}) cannot be sent over HTTP: only a WebSocket has them")

    @abstractmethod
    async def until_closed(self) -> float:
        """Wait until the client is gone. Gives the time when that was seen, by ``time.monotonic()``."""

    async def answer(self, answer: Answer) -> None:
        """Give a whole answer, with all that is to go wrong in it."""
        draft = answer.draft(stream=self.request.wants_stream)
        if not await self._play(draft.before):
            return
        headers = draft.headers
        sized = draft.events is None and draft.status not in NO_BODY
        if sized and all(isinstance(step, bytes) for step in draft.steps):
            size = sum(len(step) for step in draft.steps if isinstance(step, bytes))
            headers = {"content-length": str(size), **headers}
        await self.start(draft.status, headers=headers, content_type=draft.content_type)
        if await self._play(draft.steps):
            await self.finish()

    async def _play(self, steps: list[Step]) -> bool:
        """Take steps until one of them is the last; tell whether none of them was."""
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
                # What was sent shall arrive: a connection that breaks takes with it what is still on the way.
                await anyio.sleep(_ARRIVAL)
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


_ARRIVAL: Final = 0.05  # seconds that a client on this machine has for reading, before the connection breaks


def now() -> float:
    """Give the time by which what was seen is compared."""
    return time.monotonic()
