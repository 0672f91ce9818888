"""Cassettes: real traffic, recorded once and replayed without a network.

::

    async with record("story.json") as transport:                      # over the network, as usual
        async with ResponsesClient(api_key=..., http_client=transport) as client: ...

    async with FakeServer(replay("story.json")) as server: ...         # from the file, on a socket or in memory

A cassette is a JSON file. It has, for each exchange in the order of sending: method, path and body of the request, the few headers that
are known to be harmless, and the answer's status, headers, and body as the client received it: each piece with the seconds
since the request was sent, and how the body ended. Compression is undone.

No secret gets into the file. Headers are kept by a list of those that may be, so that no key, cookie or organisation is among them. Query
parameters that are not the protocol's own lose their values, and the host is not kept at all. What was sent as a credential, in a
header or in a body (as in the ``headers`` and ``authorization`` of an MCP tool), is blotted out wherever it shows up again,
answers included, character by character, so that pieces keep their boundaries. Where a stream cuts it into deltas, it is found in
each event that has a whole word of it. What else the model was told and what it said is kept as it is.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import anyio
import attrs

from ..client.transport.http import HTTPTransport
from ..exceptions import DeadlineExceeded, LocalProtocolError, StreamTruncated, TransportError
from ..models.content import CONTENT_TYPES
from ..models.events import EVENT_TYPES
from ..models.items import ITEM_TYPES
from ..models.response import Response
from ..models.tools import TOOL_TYPES
from .fake.answers import Answer
from .fake.faults import Fault
from .fake.server import Script
from .fake.steps import Close, Pause, Reset, Stall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from ..client.transport.base import Transport, WireReply, WireRequest
    from ..client.transport.http import HTTPClient
    from .fake.exchange import ServerExchange
    from .fake.steps import Step

__all__ = ["Cassette", "RecordedExchange", "Recorder", "record", "replay"]

FORMAT: Final = "responses-proto-cassette/1"
End: TypeAlias = Literal["finished", "closed", "reset", "left", "unanswered"]
"""How an answer ended: whole; the server closed before that; the connection broke; the client left; there was none."""

_HARMLESS: Final = frozenset(
    {"accept", "accept-encoding", "content-type", "date", "idempotency-key", "openai-processing-ms", "openai-version"}
    | {"request-id", "retry-after", "retry-after-ms", "server", "user-agent", "x-request-id"}
)
_HARMLESS_BEGINNINGS: Final = ("x-ratelimit-",)
_OWN_PARAMETERS: Final = frozenset(
    {"after", "api-version", "before", "include", "include[]", "limit", "order", "starting_after", "stream"}
)
_SECRET_HEADER: Final = re.compile(r"(?i)auth|cookie|key|token|secret|password|credential|signature")
_SECRET_FIELD: Final = re.compile(
    r"(?i)authorization|cookie|secret|password|credential|api[-_]?key|(?:access|auth|bearer)[-_]?token"
)
# ^ narrower: a body has a `token` in every log probability, and a `prompt_cache_key`
_ENDPOINT: Final = re.compile(r"/(?:responses|conversations)(?:/.*)?$")
_SHORTEST_SECRET: Final = 6  # bytes; what is shorter cannot be told from ordinary text, nor does it protect anything


@attrs.define(kw_only=True)
class RecordedExchange:
    """One request and its answer, as they were."""

    method: str
    path: str
    """Below the base URL, quoted."""
    query: str = ""
    request_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    request_body: bytes = attrs.field(default=b"", repr=False)
    status: int = 0
    """0 if there was no answer."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    head_after: float = 0.0
    """Seconds from sending to the head of the answer."""
    pieces: list[tuple[float, bytes]] = attrs.field(factory=list[tuple[float, bytes]], repr=False)
    """The body: (seconds since sending, bytes)."""
    end: End = "left"

    def answer(self, *, speed: float | None = None) -> Answer:
        """Give what the server answered; ``speed`` as in :func:`replay`."""
        steps: list[Step] = []
        before = self.head_after
        for at, piece in self.pieces:
            if speed and at > before:
                steps.append(Pause((at - before) / speed))
            before = at
            steps.append(piece)
        steps += _ENDINGS[self.end]
        headers = dict(self.headers)
        answer = Answer(
            status=self.status or 200,
            content_type=headers.pop("content-type", None),
            headers=headers,
            steps=tuple(steps),
        )
        if speed and self.head_after:
            answer = answer.with_faults(Fault.slow_head(self.head_after / speed))
        return answer.with_faults(Fault.no_answer()) if self.end == "unanswered" else answer


_ENDINGS: Final[dict[End, list[Step]]] = {
    "finished": [],
    "closed": [Close()],
    "reset": [Reset()],
    "left": [Stall()],  # what would have come is not known
    "unanswered": [],
}


@attrs.define
class Cassette:
    """Exchanges, in the order in which they were begun."""

    exchanges: list[RecordedExchange] = attrs.field(factory=list[RecordedExchange])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a cassette from a file. Raises ``LocalProtocolError`` if there is none, and ``OSError`` for one that cannot be read."""
        try:
            value = json.loads(Path(path).read_bytes())
            if value["format"] != FORMAT:
                raise LocalProtocolError(f"{path} is a cassette of another format: {value['format']!r}")
            return cls([_exchange(each) for each in value["exchanges"]])
        except FileNotFoundError as error:
            raise LocalProtocolError(
                f"there is no cassette {os.fspath(path)!r}: record one, by record(path)"
            ) from error
        except (ValueError, LookupError, TypeError) as error:
            raise LocalProtocolError(f"{path} is no cassette") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cassette to a file, whole or not at all; its folder is made if need be. Raises ``OSError``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        value = {"format": FORMAT, "exchanges": [_wire(each) for each in self.exchanges]}
        scratch.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
        scratch.replace(target)

    def script(self, *, speed: float | None = None) -> Script:
        """Give a script that answers each request as it was answered; see :func:`replay`."""
        script = Script()
        places = dict.fromkeys((each.method, each.path) for each in self.exchanges)
        for method, path in places:
            answers = [
                each.answer(speed=speed) for each in self.exchanges if (each.method, each.path) == (method, path)
            ]
            script.on(method, path, *answers, _used_up)
        return script


def _used_up(peer: ServerExchange) -> None:
    raise LocalProtocolError(f"the cassette has no more answers to {peer.request.method} {peer.request.path}")


def replay(path: str | os.PathLike[str], *, speed: float | None = None) -> Script:
    """Read a cassette, for a ``FakeServer`` to answer from.

    Requests are told apart by method and path, and answered in the order of the recording; one more than that is an error of
    the script. The bytes come in the pieces in which they were recorded: at once, or with their pauses, ``speed`` times as fast.
    """
    return Cassette.load(path).script(speed=speed)


def record(path: str | os.PathLike[str], http_client: HTTPClient | Transport | None = None) -> Recorder:
    """Record what goes over a transport into a file, which is written when the ``async with`` block is left.

    ``http_client`` is what a ``ResponsesClient`` takes under this name, and stays the caller's to close.
    """
    return Recorder(path, http_client)


class Recorder:
    """A :class:`~responses_proto.client.transport.Transport` that notes what goes over another one. From :func:`record`."""

    def __init__(self, path: str | os.PathLike[str], http_client: HTTPClient | Transport | None = None) -> None:
        self._path = path
        self._owned = http_client is None or hasattr(http_client, "build_request")
        self._inner: Transport = (
            HTTPTransport(cast("HTTPClient | None", http_client)) if self._owned else cast("Transport", http_client)
        )
        self.cassette: Cassette = Cassette()
        """What was recorded, without its secrets; there when the block is left."""
        self._open: list[_Taking] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cassette.exchanges = [taking.redacted() for taking in self._open]
        self.cassette.save(self._path)
        if self._owned:
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request, and note it."""
        taking = _Taking(request)
        self._open.append(taking)
        try:
            reply = await self._inner.send(request)
        except TransportError:
            taking.exchange.end = "unanswered"
            raise
        taking.begin(reply)
        return _RecordedReply(reply, taking)

    async def aclose(self) -> None:
        """Do nothing: the end of the block is the end."""


class _Taking:
    """An exchange that is being noted."""

    def __init__(self, request: WireRequest) -> None:
        parts = urlsplit(request.url)
        found = _ENDPOINT.search(parts.path)
        self._request = request
        self._userinfo = [unquote(each) for each in (parts.username, parts.password) if each]
        self._parameters = parse_qsl(parts.query, keep_blank_values=True)
        self._told: set[str] = set()
        self._started = time.monotonic()
        self.exchange = RecordedExchange(
            method=request.method,
            path=found[0] if found else parts.path,
            query=urlencode([(name, value if name in _OWN_PARAMETERS else "***") for name, value in self._parameters]),
            request_headers=_harmless(request.headers),
            request_body=request.body,
        )

    def now(self) -> float:
        return round(time.monotonic() - self._started, 4)

    def begin(self, reply: WireReply) -> None:
        self.exchange.status = reply.status
        self.exchange.head_after = self.now()
        self.exchange.headers = _harmless(reply.headers)
        self._told = _secret_headers(reply.headers)

    def redacted(self) -> RecordedExchange:
        """Give the exchange without its secrets."""
        exchange, secrets = self.exchange, sorted(self._secrets(), key=len, reverse=True)
        whole = _blot(b"".join(piece for _, piece in exchange.pieces), secrets)
        pieces: list[tuple[float, bytes]] = []
        position = 0
        for at, piece in exchange.pieces:
            pieces.append((at, whole[position : position + len(piece)]))
            position += len(piece)
        return attrs.evolve(
            exchange,
            path=_blot(exchange.path.encode(), secrets).decode(),
            request_body=_blot(_without_credentials(exchange.request_body), secrets),
            request_headers={
                name: _blot(each.encode(), secrets).decode() for name, each in exchange.request_headers.items()
            },
            headers={name: _blot(each.encode(), secrets).decode() for name, each in exchange.headers.items()},
            pieces=pieces,
        )

    def _secrets(self) -> set[bytes]:
        """Find all that was sent as a credential, in the forms in which it may show up."""
        found = _secret_headers(self._request.headers) | self._told | set(self._userinfo)
        found |= {value for name, value in self._parameters if name not in _OWN_PARAMETERS}
        with contextlib.suppress(ValueError):
            _mask(json.loads(self._request.body or b"null"), found)
        # The key without its `Bearer`, the cookie without its name; and what a server would quote of it word by word.
        found |= {word for value in list(found) for word in re.split(r"[\s;,=]+", value)}
        forms = {form for value in found for form in (value, quote(value, safe=""), json.dumps(value)[1:-1])}
        forms |= {json.dumps(value, ensure_ascii=False)[1:-1] for value in found}
        return {form.encode("utf-8", "replace") for form in forms - _vocabulary() if len(form) >= _SHORTEST_SECRET}


@functools.cache
def _vocabulary() -> frozenset[str]:
    """Give the words that the protocol itself is made of. A credential that is one of them is blotted out in its place only."""
    classes = [Response, *EVENT_TYPES.values(), *ITEM_TYPES.values(), *TOOL_TYPES.values(), *CONTENT_TYPES.values()]
    names = [
        *EVENT_TYPES,
        *ITEM_TYPES,
        *TOOL_TYPES,
        *CONTENT_TYPES,
        *(a.name for cls in classes for a in attrs.fields(cls)),
    ]
    statuses = ["assistant", "completed", "developer", "failed", "in_progress", "incomplete", "message", "system"]
    return frozenset([*names, *statuses, "Bearer", "bearer", "Digest", "application/json"]) | {
        word for name in names for word in re.split(r"[._]", name)
    }


def _secret_headers(headers: Mapping[str, str]) -> set[str]:
    return {value for name, value in headers.items() if name not in _HARMLESS and _SECRET_HEADER.search(name)}


def _without_credentials(body: bytes) -> bytes:
    """Blot out credentials where they stand in a JSON body. A body that has none stays as it is, to the byte."""
    found: set[str] = set()
    try:
        masked = _mask(json.loads(body or b"null"), found)
    except ValueError:
        return body
    return json.dumps(masked, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") if found else body


def _mask(value: Any, found: set[str], *, inside: bool = False) -> Any:
    """Blot out the strings that stand under a name that says credential, or in an object of headers; add them to ``found``."""
    if isinstance(value, dict):
        return {
            name: _mask(each, found, inside=inside or name == "headers" or bool(_SECRET_FIELD.search(name)))
            for name, each in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_mask(each, found, inside=inside) for each in cast("Iterable[Any]", value)]
    if inside and isinstance(value, str):
        found.add(value)
        return "*" * len(value)
    return value


def _blot(data: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        data = data.replace(secret, b"*" * len(secret))
    return data


def _harmless(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name in _HARMLESS or name.startswith(_HARMLESS_BEGINNINGS)
    }


class _RecordedReply:
    """A reply that notes what it gives."""

    def __init__(self, reply: WireReply, taking: _Taking) -> None:
        self._reply = reply
        self._taking = taking
        self.status = reply.status
        self.headers = reply.headers
        self.keeps_time = reply.keeps_time

    async def receive(self) -> bytes:
        exchange = self._taking.exchange
        try:
            piece = await self._reply.receive()
        except DeadlineExceeded:
            raise  # ours: the server might have gone on
        except TransportError as error:
            exchange.end = "closed" if isinstance(error, StreamTruncated) else "reset"
            raise
        if piece:
            exchange.pieces.append((self._taking.now(), piece))
        else:
            exchange.end = "finished"
        return piece

    async def aclose(self) -> None:
        await self._reply.aclose()


# ---- the file


def _wire(exchange: RecordedExchange) -> dict[str, Any]:
    return {
        "request": {
            "method": exchange.method,
            "path": exchange.path,
            "query": exchange.query,
            "headers": dict(exchange.request_headers),
            "body": _text(exchange.request_body),
        },
        "reply": {
            "status": exchange.status,
            "headers": dict(exchange.headers),
            "head_after": exchange.head_after,
            "pieces": [[at, _text(piece)] for at, piece in exchange.pieces],
            "end": exchange.end,
        },
    }


def _exchange(value: Any) -> RecordedExchange:
    request, reply = value["request"], value["reply"]
    return RecordedExchange(
        method=request["method"],
        path=request["path"],
        query=request["query"],
        request_headers=request["headers"],
        request_body=_bytes(request["body"]),
        status=reply["status"],
        headers=reply["headers"],
        head_after=reply["head_after"],
        pieces=[(at, _bytes(piece)) for at, piece in reply["pieces"]],
        end=reply["end"],
    )


def _text(data: bytes) -> str | dict[str, str]:
    """Write bytes so that people can read them, if they are text; a piece may end inside a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
