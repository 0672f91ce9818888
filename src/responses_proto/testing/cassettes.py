"""Cassettes: real traffic, recorded once and replayed without a network.

::

    async with record("story.json") as transport:                      # over the network, as usual
        async with ResponsesClient(api_key=..., http_client=transport) as client: ...

    async with FakeServer(replay("story.json")) as server: ...         # from the file, on a socket or in memory

A cassette is a JSON file with one entry for each exchange, in the order of sending: method, path and body of the request, a few
headers that are known to be harmless, and the status, headers and body of the answer as the client received it. The body is a list of
pieces, each with the seconds since the request was sent, and a note on how it ended. Compression is undone.

The file has no secrets:

* Headers are kept only if they are on a list of safe names, so that keys, cookies and organizations are left out.
* The host is left out. Query parameters that are not part of the protocol lose their values.
* Every value that was sent as a credential, in a header or in a body (as in ``headers`` and ``authorization`` of an MCP tool), is
  replaced by asterisks wherever it occurs again, in any writing, answers included. The length stays the same, so that the pieces keep
  their boundaries. If a stream splits a credential into deltas, each event that has a complete word of it is redacted.
* So are the credentials of addresses, in requests and answers: user name and password, signatures, tokens and keys in the query,
  and what looks like a key in the path of an MCP server's address.

Only its owner can read the file.

Everything else that the client sent and the model answered is kept.
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
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import anyio
import attrs

from ..client._secrets import MIN_SECRET_LENGTH, redact, secrets_in
from ..client.transport.http import HTTPTransport
from ..exceptions import DeadlineExceeded, LocalProtocolError, StreamTruncated, TransportError, UsageError
from ..models.content import CONTENT_TYPES
from ..models.events import EVENT_TYPES
from ..models.items import ITEM_TYPES
from ..models.response import Response
from ..models.tools import TOOL_TYPES
from .fake.answers import Answer
from .fake.faults import Fault
from .fake.script import Script
from .fake.steps import Close, Pause, Reset, Stall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from ..client.transport.base import Transport, WireReply, WireRequest
    from ..client.transport.http import HTTPClient
    from .fake.exchange import ServerExchange
    from .fake.steps import Step

__all__ = ["Cassette", "RecordedExchange", "Recorder", "record", "replay"]

FORMAT: Final = "responses-proto-cassette/1"
AnswerEnd: TypeAlias = Literal["finished", "closed", "reset", "left", "unanswered"]
"""How an answer ended.

``finished``: complete. ``closed``: the server closed the connection early. ``reset``: the connection broke. ``left``: the client
stopped reading. ``unanswered``: there was no answer.
"""

_SAFE_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "content-type", "date", "idempotency-key", "openai-processing-ms", "openai-version"}
    | {"request-id", "retry-after", "retry-after-ms", "server", "user-agent", "x-request-id"}
)
_SAFE_PREFIXES: Final = ("x-ratelimit-",)
_PROTOCOL_PARAMETERS: Final = frozenset(
    {"after", "api-version", "before", "include", "include[]", "limit", "order", "starting_after", "stream"}
)
_SECRET_FIELD: Final = re.compile(
    r"(?i)authorization|cookie|secret|password|credential|api[-_]?key|(?:access|auth|bearer)[-_]?token"
)
# ^ narrower than for headers, because bodies have harmless fields such as `token` and `prompt_cache_key`
_SECRET_PARAMETER: Final = re.compile(r"(?i)key|token|sig|secret|pass|pwd|credential|auth|session|policy|jwt|code$")
_RANDOM: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.~+/=%-]{16,}", re.ASCII)
"""Matches what looks like a key, whatever it is called."""
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\^`{|}]+")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_ENDPOINT: Final = re.compile(r"/(?:responses|conversations)(?:/.*)?$")


@attrs.define(kw_only=True)
class RecordedExchange:
    """One request and its answer."""

    method: str
    path: str
    """The path below the base URL, percent-encoded."""
    query: str = ""
    request_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    request_body: bytes = attrs.field(default=b"", repr=False)
    status: int = 0
    """The HTTP status; 0 if there was no answer."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    head_after: float = 0.0
    """Seconds from sending the request to receiving the head of the answer."""
    pieces: list[tuple[float, bytes]] = attrs.field(factory=list[tuple[float, bytes]], repr=False)
    """The body: (seconds since the request was sent, bytes)."""
    end: AnswerEnd = "left"

    def answer(self, *, speed: float | None = None) -> Answer:
        """Return the answer, to be given by a ``FakeServer``. ``speed`` is as for :func:`replay`."""
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


_ENDINGS: Final[dict[AnswerEnd, list[Step]]] = {
    "finished": [],
    "closed": [Close()],
    "reset": [Reset()],
    "left": [Stall()],  # the rest of the body is unknown
    "unanswered": [],
}


@attrs.define
class Cassette:
    """A recording. Create one with :meth:`load` or :func:`record`."""

    exchanges: list[RecordedExchange] = attrs.field(factory=list[RecordedExchange])
    """In the order of sending."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a cassette from a file.

        Raises ``OSError`` if the file cannot be read, and ``UsageError`` if it is not a cassette of this format.
        """
        content = Path(path).read_bytes()
        try:
            value = json.loads(content)
            file_format = value["format"]
            exchanges = [_from_json(each) for each in value["exchanges"]] if file_format == FORMAT else []
        except (ValueError, LookupError, TypeError) as error:
            raise UsageError(f"{os.fspath(path)!r} is not a cassette: record one with record(path)") from error
        if file_format != FORMAT:
            raise UsageError(f"expected a cassette of the format {FORMAT!r}, got {file_format!r}: {os.fspath(path)!r}")
        return cls(exchanges)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cassette to a file atomically. Creates its folder if necessary. Raises ``OSError``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        value = {"format": FORMAT, "exchanges": [_to_json(each) for each in self.exchanges]}
        text = json.dumps(value, ensure_ascii=False, indent=1)
        with open(scratch, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        scratch.replace(target)

    def script(self, *, speed: float | None = None) -> Script:
        """Return a script that gives the recorded answers. See :func:`replay`."""
        script = Script()
        places = dict.fromkeys((each.method, each.path) for each in self.exchanges)
        for method, path in places:
            answers = [
                each.answer(speed=speed) for each in self.exchanges if (each.method, each.path) == (method, path)
            ]
            script.on(method, path, *answers, _no_more_answers)
        return script


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _no_more_answers(exchange: ServerExchange) -> None:
    raise LocalProtocolError(f"the cassette has no more answers to {exchange.request.method} {exchange.request.path}")


def replay(path: str | os.PathLike[str], *, speed: float | None = None) -> Script:
    """Read a cassette, and return a script for a ``FakeServer``.

    Requests are matched by method and path, and answered in the order of the recording. A request beyond the recording is an error of
    the script. The bytes are sent in the recorded pieces: without pauses by default, or with the recorded pauses, ``speed``
    times as fast.

    Raises ``OSError`` if the file cannot be read, and ``UsageError`` if it is not a cassette.
    """
    return Cassette.load(path).script(speed=speed)


def record(path: str | os.PathLike[str], http_client: HTTPClient | Transport | None = None) -> Recorder:
    """Return a transport that records its traffic. Pass it to ``ResponsesClient(http_client=...)`` inside its ``async with`` block.

    The file is written when the block is left. ``http_client`` is as for ``ResponsesClient``; the caller closes it.
    """
    return Recorder(path, http_client)


class Recorder:
    """A :class:`~responses_proto.client.transport.Transport` that records the traffic of another. Created by :func:`record`."""

    def __init__(self, path: str | os.PathLike[str], http_client: HTTPClient | Transport | None = None) -> None:
        self._path = path
        self._owned = http_client is None or hasattr(http_client, "build_request")
        self._inner: Transport = (
            HTTPTransport(cast("HTTPClient | None", http_client)) if self._owned else cast("Transport", http_client)
        )
        self.cassette: Cassette = Cassette()
        """The recording, without secrets; empty until the block is left."""
        self._open: list[_OpenExchange] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cassette.exchanges = [each.redacted() for each in self._open]
        self.cassette.save(self._path)
        if self._owned:
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()

    async def send(self, request: WireRequest) -> WireReply:
        """Send a request and record it."""
        open_exchange = _OpenExchange(request)
        self._open.append(open_exchange)
        try:
            reply = await self._inner.send(request)
        except TransportError:
            open_exchange.exchange.end = "unanswered"
            raise
        open_exchange.record_head(reply)
        return _RecordedReply(reply, open_exchange)

    async def aclose(self) -> None:
        """Do nothing. Leaving the block closes the transport."""


class _OpenExchange:
    """An exchange that is being recorded."""

    def __init__(self, request: WireRequest) -> None:
        parts = urlsplit(request.url)
        endpoint = _ENDPOINT.search(parts.path)
        self._request = request
        self._userinfo = [unquote(each) for each in (parts.username, parts.password) if each]
        self._parameters = parse_qsl(parts.query, keep_blank_values=True)
        self._reply_secrets: set[bytes] = set()
        self._started = time.monotonic()
        self.exchange = RecordedExchange(
            method=request.method,
            path=endpoint[0] if endpoint else parts.path,
            query=urlencode(
                [(name, value if name in _PROTOCOL_PARAMETERS else "***") for name, value in self._parameters]
            ),
            request_headers=_safe_headers(request.headers),
            request_body=request.body,
        )

    def now(self) -> float:
        return round(time.monotonic() - self._started, 4)

    def record_head(self, reply: WireReply) -> None:
        self.exchange.status = reply.status
        self.exchange.head_after = self.now()
        self.exchange.headers = _safe_headers(reply.headers)
        self._reply_secrets = secrets_in(reply.headers)

    def redacted(self) -> RecordedExchange:
        """Return the exchange without its secrets."""
        exchange = self.exchange
        answer = b"".join(piece for _, piece in exchange.pieces)
        secrets = sorted(self._secrets(answer), key=len, reverse=True)
        body = _redact(answer, secrets)
        pieces: list[tuple[float, bytes]] = []
        position = 0
        for at, piece in exchange.pieces:
            pieces.append((at, body[position : position + len(piece)]))
            position += len(piece)
        return attrs.evolve(
            exchange,
            path=_redact(exchange.path.encode(), secrets).decode(),
            request_body=_redact(_without_credentials(exchange.request_body), secrets),
            request_headers={
                name: _redact(each.encode(), secrets).decode() for name, each in exchange.request_headers.items()
            },
            headers={name: _redact(each.encode(), secrets).decode() for name, each in exchange.headers.items()},
            pieces=pieces,
        )

    def _secrets(self, answer: bytes) -> set[bytes]:
        """Return all values that were sent as credentials."""
        found = set(self._userinfo)
        found |= {value for name, value in self._parameters if name not in _PROTOCOL_PARAMETERS}
        with contextlib.suppress(ValueError):
            _mask(json.loads(self._request.body or b"null"), found)
        for text in _strings_of(answer):
            _mask_addresses(text, found)
        # The words of a value: a key without `Bearer`, a cookie without its name.
        found |= {word for value in list(found) for word in re.split(r"[\s;,=]+", value)}
        values = {value.encode("utf-8", "surrogateescape") for value in found - _vocabulary()}
        values |= secrets_in(self._request.headers) | self._reply_secrets
        return {value for value in values - _vocabulary_bytes() if len(value) >= MIN_SECRET_LENGTH}


@functools.cache
def _vocabulary() -> frozenset[str]:
    """Return the words of the protocol. A credential that equals one of them is only redacted where it was sent as a credential."""
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


@functools.cache
def _vocabulary_bytes() -> frozenset[bytes]:
    return frozenset(word.encode() for word in _vocabulary())


def _without_credentials(body: bytes) -> bytes:
    """Return a JSON body with its credentials redacted. A body without credentials is returned unchanged."""
    found: set[str] = set()
    try:
        masked = _mask(json.loads(body or b"null"), found)
    except ValueError:
        return body
    return json.dumps(masked, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") if found else body


def _mask(value: Any, found: set[str], *, field: str = "", inside: bool = False) -> Any:
    """Return a JSON value with its credentials redacted, and add them to ``found``.

    Credentials are all strings below ``headers`` or a field with a name like that of a credential, and those in addresses. ``inside``:
    whether the value is below such a field; ``field`` is its name.
    """
    if isinstance(value, dict):
        return {
            name: _mask(each, found, field=name, inside=inside or name == "headers" or bool(_SECRET_FIELD.search(name)))
            for name, each in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_mask(each, found, field=field, inside=inside) for each in cast("Iterable[Any]", value)]
    if not isinstance(value, str):
        return value
    if inside:
        found.add(value)
        return "*" * len(value)
    return _mask_addresses(value, found, endpoint=field.endswith("server_url"))


def _mask_addresses(text: str, found: set[str], *, endpoint: bool = False) -> str:
    """Return a text with the credentials in addresses redacted, and add them to ``found``. The length stays the same.

    ``endpoint``: whether it is the address of a server, which may have a key in its path.
    """

    def masked(match: re.Match[str]) -> str:
        address = match[0]
        with contextlib.suppress(ValueError):  # not an address
            for secret in sorted(_address_secrets(urlsplit(address), endpoint=endpoint), key=len, reverse=True):
                found.update((secret, unquote(secret)))
                address = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "*" * len(secret), address)
        return address

    return _ADDRESS.sub(masked, text) if "://" in text else text


def _address_secrets(parts: SplitResult, *, endpoint: bool) -> set[str]:
    """Return the credentials of an address, as they are written in it."""
    found = {each for each in (parts.username, parts.password) if each}
    for pair in re.split("[&;]", f"{parts.query}&{parts.fragment}"):
        name, _, value = pair.partition("=")
        if value and (_SECRET_PARAMETER.search(name) or _RANDOM.fullmatch(value)):
            found.add(value)
    return found | {step for step in parts.path.split("/") if endpoint and _RANDOM.fullmatch(step)}


def _strings_of(body: bytes) -> Iterator[str]:
    """Yield the JSON strings of a body that may have addresses in them; of an event stream, too."""
    for match in _STRING.finditer(body):
        literal = match[0]
        if b":" in literal or b"\\u003" in literal:
            with contextlib.suppress(ValueError):  # the bytes between two quotes of something else than JSON
                yield str(json.loads(literal))


def _redact(data: bytes, secrets: Iterable[bytes]) -> bytes:
    return redact(data, *secrets, mask=lambda length: b"*" * length)


def _safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _SAFE_HEADERS or name.startswith(_SAFE_PREFIXES)}


class _RecordedReply:
    """A reply that records what the client reads."""

    def __init__(self, reply: WireReply, open_exchange: _OpenExchange) -> None:
        self._reply = reply
        self._open_exchange = open_exchange
        self.status = reply.status
        self.headers = reply.headers

    async def receive(self) -> bytes:
        exchange = self._open_exchange.exchange
        try:
            piece = await self._reply.receive()
        except DeadlineExceeded:
            raise  # the client gave up; the answer stays `left`
        except TransportError as error:
            exchange.end = "closed" if isinstance(error, StreamTruncated) else "reset"
            raise
        if piece:
            exchange.pieces.append((self._open_exchange.now(), piece))
        else:
            exchange.end = "finished"
        return piece

    async def aclose(self) -> None:
        await self._reply.aclose()


# ---- the file


def _to_json(exchange: RecordedExchange) -> dict[str, Any]:
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


def _from_json(value: Any) -> RecordedExchange:
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
    """Return bytes as readable text if they are valid UTF-8. A piece of a body may end inside a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
