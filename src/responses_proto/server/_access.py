"""API keys, request metadata and the access log.

:class:`Keys` maps the API key of a request to an identity. A :class:`RequestMeta` holds what a handler learns about the request besides
its body.

The access log has one record per request, written once the request has been answered. Records go to the logger
``responses_proto.server.access`` at level INFO, with these attributes: ``method``, ``path`` (without the query), ``status``, ``seconds``,
``request_id`` and ``client``.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, cast
from urllib.parse import parse_qsl

import attrs

from ..exceptions import APIError, UsageError
from ..protocol._requests import INVALID

if TYPE_CHECKING:
    from collections.abc import Awaitable

_log: Final = logging.getLogger("responses_proto.server.access")
_FACTS: Final = ("method", "path", "status", "seconds", "request_id", "client")
_MAX_PATH: Final = 200  # characters


Identified: TypeAlias = "str | Awaitable[str | None] | None"

AcceptedKeys: TypeAlias = "Iterable[str] | Mapping[str, str] | Callable[[str], Identified]"
"""API keys; a mapping from API keys to the identities of their owners; or a function that returns the identity for a key, or ``None``
if the key is wrong."""


@attrs.frozen
class RequestMeta:
    """Metadata of a request: everything but its body."""

    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)  # they contain the key
    """The headers of the HTTP request or WebSocket handshake. Names are in lower case; values of a repeated header are joined by commas."""
    query: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    """The query parameters of the URL. If a parameter is repeated, its last value counts."""
    identity: str | None = None
    """The identity of the caller, from the application's ``keys``; ``None`` if the application accepts every request."""

    @classmethod
    def of(cls, scope: Mapping[str, Any], identity: str | None) -> Self:
        """Return the metadata of the request that an ASGI scope describes."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        return cls(headers, query, identity)


META: Final = "responses_proto.meta"
"""The key under which the ASGI scope of an admitted request holds its :class:`RequestMeta`."""


class Keys:
    """The API keys that a server accepts, and the identities of their owners. Raises ``UsageError`` if ``keys`` is malformed."""

    def __init__(self, keys: AcceptedKeys) -> None:
        self._identify: Callable[[str], Identified] | None = None
        self._identities: list[tuple[bytes, str]] = []
        if callable(keys):
            self._identify = keys
            return
        # The messages must not contain a key. A single string would be taken for a collection of one-letter keys.
        identities = cast("Mapping[object, object]", keys if isinstance(keys, Mapping) else {})
        for key in [None] if isinstance(keys, str | bytes) else keys:
            if not isinstance(key, str) or not key.strip():
                raise UsageError("keys must be a collection of non-empty strings, such as keys=['k']")
            identity = identities[key] if key in identities else _fingerprint(key.strip())
            if not isinstance(identity, str) or not identity:
                raise UsageError("keys must map each key to a non-empty string, such as keys={'k': 'alice'}")
            self._identities.append((key.strip().encode(), identity))

    async def identify(self, scope: Mapping[str, Any]) -> str:
        """Return the identity that the API key of a request belongs to. Raises ``APIError`` (401) if the key is missing or wrong."""
        scheme, _, credentials = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        given = credentials.strip() if scheme.lower() == b"bearer" else b""
        found: str | None = None
        if self._identify is None:
            # All keys are compared, each in constant time, so that the duration reveals nothing about them.
            matches = [identity for key, identity in self._identities if hmac.compare_digest(given, key)]
            found = matches[-1] if matches else None
        elif given:
            answer = self._identify(given.decode("latin-1"))
            found = await answer if inspect.isawaitable(answer) else answer
        if not found:
            headers = {"www-authenticate": "Bearer"}
            raise APIError.for_status(401)(
                "The API key is missing or wrong.", status=401, type=INVALID, code="invalid_api_key", headers=headers
            )
        return found


def _fingerprint(key: str) -> str:
    """Derive an identity from a key. It is unique to the key, and does not reveal it."""
    return f"key_{hashlib.sha256(key.encode()).hexdigest()[:24]}"


class AccessRecord:
    """Measures one request. Set :attr:`status` when the response begins, and call :meth:`log` at its end."""

    def __init__(self, scope: Mapping[str, Any], request_id: str) -> None:
        self.status: int | None = None
        """The status of the response; ``None`` if no response was sent, because the client had disconnected."""
        self._scope = scope
        self._request_id = request_id
        self._started = time.monotonic()

    def log(self) -> None:
        if not _log.isEnabledFor(logging.INFO):
            return
        scope = self._scope
        method = "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])
        client = scope.get("client") or ("-",)
        facts: Mapping[str, Any] = {
            "method": method,
            "path": str(scope["path"])[:_MAX_PATH],
            "status": self.status,
            "seconds": round(time.monotonic() - self._started, 4),
            "request_id": self._request_id,
            "client": client[0],
        }
        # Logged as repr, since a path may contain line breaks.
        _log.info(
            "%s %r %s %.4f s %s",
            method,
            facts["path"],
            self.status or "-",
            facts["seconds"],
            self._request_id,
            extra=facts,
        )


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in _FACTS if hasattr(record, name)}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def log_to_stderr(log_format: Literal["text", "json"]) -> None:
    """Write the log of the package to standard error, one record per line, as text or JSON."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JSONFormatter() if log_format == "json" else text)
    package = logging.getLogger("responses_proto")
    package.handlers = [handler]
    package.setLevel(logging.INFO)
    package.propagate = False
