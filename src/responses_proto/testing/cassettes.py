"""Cassettes: real traffic, recorded once and replayed without a network.

::

    async with record("story.json") as transport:                      # over the network, as usual
        async with ResponsesClient(api_key=..., http_client=transport) as client: ...

    async with FakeServer(replay("story.json")) as server: ...         # from the file, on a socket or in memory

A cassette is a JSON file with one entry for each exchange, in the order of sending: method, path and body of the request, a few
headers that are known to be harmless, and the status, headers and body of the answer as the client received it. Over a WebSocket,
each message of the client begins an exchange (``"message": true``). Each event is a line of the file. ``pieces`` lists the pieces of
the body: for each, the seconds from sending the request to its arrival, and its length in bytes. Bodies are stored uncompressed.

A request gets the answer that was recorded for the same method, path, query and body; see :func:`replay`.

The file has no secrets:

* Headers are kept only if they are on a list of safe names, so that keys, cookies and organizations are left out.
* The host is left out. Query parameters that are not part of the protocol lose their values.
* Every value that was sent as a credential, in a header or in a body (such as ``headers`` and ``authorization`` of an MCP tool), is
  replaced by asterisks wherever it occurs again, in any encoding, also in answers. The length stays the same, so that the pieces keep
  their boundaries. If a stream splits a credential into deltas, each event that contains a complete word of it is redacted.
* The same applies to the credentials in addresses, in requests and answers: user name and password, signatures, tokens and keys in
  the query, and any part of the path of an MCP server's address that looks like a key.

Only its owner can read the file.

Everything else that the client sent and the model answered is kept.
"""

from __future__ import annotations

import base64
import contextlib
import difflib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast

import attrs

from ..codec._json import compact
from ..exceptions import LocalProtocolError, UsageError
from ._redaction import Redaction, safe_query
from .fake.answers import Answer
from .fake.exchange import base_length
from .fake.faults import Fault
from .fake.script import Script, ScriptStep
from .fake.steps import Close, Pause, Reset, Stall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .fake.exchange import Request
    from .fake.steps import Step

__all__ = ["Cassette", "Match", "RecordedExchange", "endpoint_of", "replay"]

FORMAT: Final = "responses-proto-cassette/2"
AnswerEnd: TypeAlias = Literal["finished", "closed", "reset", "left", "unanswered"]
"""How an answer ended.

``finished``: complete. ``closed``: the server closed the connection early. ``reset``: the connection broke. ``left``: the client
stopped reading. ``unanswered``: there was no answer.
"""
VOLATILE: Final = frozenset(
    {"client_metadata", "metadata", "prompt_cache_key", "safety_identifier", "stream_id", "user"}
)
"""Fields of a request that often differ from run to run, and do not change its meaning."""


@attrs.define(kw_only=True)
class RecordedExchange:
    """One request and its answer."""

    method: str
    path: str
    """The path below the base URL, percent-encoded."""
    query: str = ""
    message: bool = False
    """Whether the request is a WebSocket message. Its answer is stored as an event stream."""
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

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(piece for _, piece in self.pieces)

    def answer(self, *, speed: float | None = None) -> Answer:
        """Return the recorded answer for use in a ``FakeServer``. ``speed`` is as for :func:`replay`."""
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
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"{os.fspath(path)!r} is not a cassette: record one with record(path)") from error
        if file_format != FORMAT:
            raise UsageError(
                f"expected a cassette of the format {FORMAT!r}, got {file_format!r}: record {os.fspath(path)!r} again"
            )
        return cls(exchanges)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cassette to a file atomically. Creates its folder if necessary. Raises ``OSError``."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        value = {"format": FORMAT, "exchanges": [_to_json(each) for each in self.exchanges]}
        # A lone surrogate, which is valid in JSON but not in UTF-8, is written as an escape.
        with open(scratch, "w", encoding="utf-8", errors="backslashreplace", opener=_private) as file:
            file.write(_readable(value) + "\n")
        scratch.replace(target)

    def script(self, *, speed: float | None = None, match: Match | Sequence[str] | None = None) -> Script:
        """Return a script that gives the recorded answers. See :func:`replay`."""
        if match is None or callable(match):
            return _Replay(self.exchanges, match or match_request, speed)
        fields = tuple(match)
        if unknown := set(fields) - {"method", "path", "query", "body"}:
            raise UsageError(f"match must be a function, or of method, path, query and body; got {sorted(unknown)}")
        return _Replay(
            self.exchanges,
            lambda one: {name: each for name, each in match_request(one).items() if name in fields},
            speed,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# ---- replaying


Match: TypeAlias = Callable[[RecordedExchange], Any]
"""A function that returns the JSON value by which a request is compared with the recorded ones."""


def match_request(request: RecordedExchange) -> dict[str, Any]:
    """Return the method, path, query and body of a request. Volatile fields of a JSON body are left out."""
    try:
        body: Any = json.loads(request.request_body or b"null")
    except ValueError:
        body = request.request_body.decode("utf-8", "backslashreplace")
    if isinstance(body, dict):
        body = {name: value for name, value in cast("dict[str, Any]", body).items() if name not in VOLATILE}
    return {"method": request.method, "path": request.path, "query": request.query, "body": body}


def replay(
    path: str | os.PathLike[str], *, speed: float | None = None, match: Match | Sequence[str] | None = None
) -> Script:
    """Read a cassette, and return a script for a ``FakeServer``.

    A request gets the answer that was recorded for an equal request, in any order; equal requests are answered in the order of the
    recording. A request that was not recorded is an error of the script, which shows the difference to the most similar recorded
    request. A request that is sent more often than it was recorded is also an error. ``assert_all_used()`` of the script fails if an
    answer was not used.

    ``match``: the parts of a request that must be equal: a list of ``"method"``, ``"path"``, ``"query"`` and ``"body"``, by default
    all of them. A JSON body is compared without ``metadata``, ``user``, ``safety_identifier``, ``prompt_cache_key``,
    ``client_metadata`` and ``stream_id``. Or a function that receives the request, as a :class:`RecordedExchange` without an answer,
    and returns the JSON value to compare. A redacted value is equal to any value.
    ``speed``: replay the recorded pauses, this many times as fast; ``None`` sends the recorded pieces without pauses.

    Raises ``OSError`` if the file cannot be read, and ``UsageError`` if it is not a cassette.
    """
    return Cassette.load(path).script(speed=speed, match=match)


@attrs.frozen
class _Recorded:
    """The condition of a recorded answer: the request matches the recorded one."""

    number: int
    key: Any
    endpoint: str
    match: Match

    def fits(self, request: Request) -> bool:
        return _agree(self.key, self.match(_asked(request)))

    def __str__(self) -> str:
        return f"request {self.number} of the recording, {self.endpoint}"


class _Replay(Script):
    """The script of a recording."""

    checks_requests = False

    def __init__(self, exchanges: Sequence[RecordedExchange], match: Match, speed: float | None) -> None:
        super().__init__()
        self._match = match
        for number, exchange in enumerate(exchanges, 1):
            condition = _Recorded(number, match(exchange), f"{exchange.method} {exchange.path}", match)
            self._steps.append(ScriptStep(condition, exchange.answer(speed=speed)))

    def names(self, request: Request) -> bool:  # noqa: ARG002 - a handshake is accepted, and paths are not checked
        return False

    def _find(self, request: Request) -> ScriptStep:
        fitting = [step for step in self._steps if step.condition.fits(request)]
        found = next((step for step in fitting if not step.used), None)
        if found is not None:
            return found
        target = f"{request.method} {_asked(request).path}"
        if fitting:
            times = "once" if len(fitting) == 1 else f"{len(fitting)} times"
            raise LocalProtocolError(f"the cassette has no more answers to {target}: it was recorded {times}")
        raise LocalProtocolError(f"the cassette has no answer to {target}: {self._difference(request)}")

    def _difference(self, request: Request) -> str:
        """Return how a request differs from the most similar one that was recorded."""
        if not self._steps:
            return "it is empty"
        asked = _lines(self._match(_asked(request)))

        def likeness(step: ScriptStep) -> tuple[float, bool]:
            recorded = _lines(cast("_Recorded", step.condition).key)
            return difflib.SequenceMatcher(None, recorded, asked, autojunk=False).ratio(), not step.used

        nearest = max(self._steps, key=likeness)
        recorded = _lines(cast("_Recorded", nearest.condition).key)
        diff = list(difflib.unified_diff(recorded, asked, "recorded", "asked", lineterm="", n=2))
        shown = [line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…" for line in diff[:_MAX_DIFF]]
        rest = [f"… and {len(diff) - _MAX_DIFF} more lines"] if len(diff) > _MAX_DIFF else []
        return "\n".join([f"the most similar is {nearest.condition}", *shown, *rest])


_MAX_DIFF: Final = 60  # lines
_MAX_LINE: Final = 200  # characters


def _asked(request: Request) -> RecordedExchange:
    """Return a request as it would be recorded."""
    redaction = Redaction(request.target, request.headers, request.body)
    path, query = request.path, request.target.partition("?")[2]
    return RecordedExchange(
        method=request.method,
        path=redaction(endpoint_of(path).encode()).decode(),
        query=safe_query(query),
        message=request.message,
        request_headers=redaction.headers(request.headers),
        request_body=redaction.body(request.body),
    )


def endpoint_of(path: str) -> str:
    """Return a path below its base URL."""
    base = base_length(path)
    if base is not None:
        return path[base:]
    endpoint = _ENDPOINT.search(path)
    return endpoint[0] if endpoint else path


_ENDPOINT: Final = re.compile(r"/(?:responses|conversations)(?:/.*)?$")


def _agree(recorded: Any, asked: Any) -> bool:
    """Return whether two JSON values are equal. A redacted value is equal to anything."""
    if isinstance(recorded, str) and isinstance(asked, str):
        if recorded == asked:
            return True
        pattern = "(?s:.*)".join(map(re.escape, _REDACTED.split(recorded)))
        return _REDACTED.search(recorded) is not None and re.fullmatch(pattern, asked) is not None
    if isinstance(recorded, dict) and isinstance(asked, dict):
        fields, others = cast("dict[str, Any]", recorded), cast("dict[str, Any]", asked)
        return fields.keys() == others.keys() and all(_agree(value, others[name]) for name, value in fields.items())
    if isinstance(recorded, list | tuple) and isinstance(asked, list | tuple):
        one, other = cast("list[Any]", recorded), cast("list[Any]", asked)
        return len(one) == len(other) and all(map(_agree, one, other))
    return bool(recorded == asked)


_REDACTED: Final = re.compile(r"\*{6,}|^\*+$")


def _lines(value: Any) -> list[str]:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).splitlines()


# ---- the file


def _to_json(exchange: RecordedExchange) -> dict[str, Any]:
    return {
        "request": {
            "method": exchange.method,
            "path": exchange.path,
            "query": exchange.query,
            **({"message": True} if exchange.message else {}),
            "headers": dict(exchange.request_headers),
            "body": _segment(exchange.request_body, always=True) if exchange.request_body else "",
        },
        "reply": {
            "status": exchange.status,
            "headers": dict(exchange.headers),
            "body": [_segment(part) for part in _frames(exchange.body)],
            "end": exchange.end,
            "head_after": exchange.head_after,
            "pieces": [[at, len(piece)] for at, piece in exchange.pieces],
        },
    }


def _from_json(value: Any) -> RecordedExchange:
    request, reply = value["request"], value["reply"]
    _ENDINGS[reply["end"]]  # raises for an unknown end
    parts = [_bytes(part) for part in reply["body"]]
    cuts: list[tuple[float, int]] = [(at, length) for at, length in reply["pieces"]]
    pieces: list[tuple[float, bytes]] = []
    body = b"".join(parts)
    if sum(length for _, length in cuts) == len(body):
        place = 0
        for at, length in cuts:
            pieces.append((at, body[place : place + length]))
            place += length
    else:  # it was edited by hand
        last = cuts[-1][0] if cuts else reply["head_after"]
        times = [at for at, _ in cuts[: len(parts)]]
        pieces = list(zip([*times, *[last] * (len(parts) - len(times))], parts, strict=True))
    return RecordedExchange(
        method=request["method"],
        path=request["path"],
        query=request["query"],
        message=request.get("message", False),
        request_headers=dict(request["headers"]),
        request_body=_bytes(request["body"]),
        status=int(reply["status"]),
        headers=dict(reply["headers"]),
        head_after=reply["head_after"],
        pieces=pieces,
        end=reply["end"],
    )


def _frames(body: bytes) -> list[bytes]:
    """Cut a body after its blank lines."""
    return [part for part in re.split(rb"(?<=\n\n)", body) if part]


_FRAME: Final = re.compile(r"(?:event: (?P<name>.*)\n)?data: (?P<data>.*)\n\n")


def _segment(data: bytes, *, always: bool = False) -> str | dict[str, Any]:
    """Return the most readable form of bytes from which :func:`_bytes` restores them.

    ``always``: whether to write JSON as such even if its whitespace is lost.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    frame = _FRAME.fullmatch(text)
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(frame["data"] if frame else text)
        if frame and compact(value) == frame["data"]:
            if frame["name"] is None:
                return {"data": value}
            if isinstance(value, dict) and cast("dict[str, Any]", value).get("type") == frame["name"]:
                return {"event": value}
        elif frame is None and (always or compact(value) == text):
            return {"json": value}
    return text


def _bytes(value: str | dict[str, Any]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    ((kind, content),) = value.items()
    if kind == "base64":
        return base64.b64decode(content, validate=True)
    text = compact(content)
    head = f"event: {content['type']}\n" if kind == "event" else ""
    return (text if kind == "json" else f"{head}data: {text}\n\n").encode("utf-8", "surrogatepass")


def _readable(value: Any, depth: int = 0, name: str = "") -> str:
    """Return the JSON text of a value, with a line for each field of a request and for each event."""
    lines: Iterator[str]
    if not value or not isinstance(value, dict | list) or depth == _DEEPEST or name == "pieces":
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        lines = (
            f"{json.dumps(key, ensure_ascii=False)}: {_readable(each, depth + 1, key)}" for key, each in fields.items()
        )
    else:
        lines = (_readable(each, depth + 1) for each in cast("Iterable[Any]", value))
    indent = "\n" + " " * (depth + 1)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{indent}{f',{indent}'.join(lines)}{indent[:-1]}{closing}"


_DEEPEST: Final = 6
"""Values at this depth, that of the fields in the JSON body of a request, are written on one line."""
