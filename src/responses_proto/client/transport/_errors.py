"""Map exceptions of HTTP libraries to exceptions of this package.

This is the only place that knows the exceptions of httpx, httpx2, httpcore and aiohttp. They are recognized by class. Nothing is
imported for that: a library whose module is not loaded cannot have raised anything.
"""

from __future__ import annotations

import enum
import errno
import os
import ssl
import sys
from typing import TYPE_CHECKING, Final, TypeVar, cast
from urllib.parse import urlsplit

from ...exceptions import (
    ConnectError,
    DeadlineExceeded,
    ResponsesProtoError,
    StreamTruncated,
    TransportError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...exceptions import RetrySafety
    from ..timeouts import Timeouts

_E = TypeVar("_E", bound=ResponsesProtoError)


class _Kind(enum.Enum):
    """What an exception of an HTTP library means."""

    CONNECT = enum.auto()
    """No connection."""
    PROXY = enum.auto()
    """No connection behind the proxy."""
    CONNECT_TIMEOUT = enum.auto()
    """No connection, or no free place in the pool, in time."""
    WRITE_TIMEOUT = enum.auto()
    READ_TIMEOUT = enum.auto()
    UNSENDABLE = enum.auto()
    """The request is not valid HTTP."""
    CUT_OFF = enum.auto()
    """The peer closed the connection cleanly, but too early."""
    BROKEN = enum.auto()
    """The connection failed after it was established. Also everything unknown."""


_HTTPX: Final = ("httpx", "httpx2", "httpcore", "httpcore2")  # these share the names of their exceptions
_AIOHTTP: Final = ("aiohttp",)
_KINDS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...], _Kind], ...]] = (
    (_HTTPX, ("ConnectTimeout", "PoolTimeout"), _Kind.CONNECT_TIMEOUT),
    (_HTTPX, ("WriteTimeout",), _Kind.WRITE_TIMEOUT),
    (_HTTPX, ("ReadTimeout",), _Kind.READ_TIMEOUT),
    (_HTTPX, ("ConnectError",), _Kind.CONNECT),
    (_HTTPX, ("ProxyError",), _Kind.PROXY),
    (_HTTPX, ("UnsupportedProtocol", "InvalidURL", "LocalProtocolError"), _Kind.UNSENDABLE),
    (_HTTPX, ("RemoteProtocolError",), _Kind.CUT_OFF),
    (_AIOHTTP, ("ConnectionTimeoutError",), _Kind.CONNECT_TIMEOUT),
    (_AIOHTTP, ("SocketTimeoutError",), _Kind.READ_TIMEOUT),
    (_AIOHTTP, ("ClientProxyConnectionError", "ClientHttpProxyError"), _Kind.PROXY),
    (_AIOHTTP, ("ClientConnectorError", "ServerFingerprintMismatch"), _Kind.CONNECT),
    (_AIOHTTP, ("InvalidURL", "NonHttpUrlClientError"), _Kind.UNSENDABLE),
)
"""Libraries, names of exceptions in them, and their meaning. The first row that matches is used."""


def sending_error(error: Exception, url: str, timeouts: Timeouts) -> ResponsesProtoError:
    """Return the exception of this package for one that was raised before the head of the response arrived.

    ``url`` and ``timeouts`` are those of the request. An exception of this package is returned as it is.
    """
    if isinstance(error, ResponsesProtoError):
        return error
    reason, where = _reason(error), origin(url)
    mapped: ResponsesProtoError
    match _kind(error):
        case _Kind.CONNECT:
            mapped = ConnectError(f"cannot connect to {where}: {reason}")
        case _Kind.PROXY:
            mapped = ConnectError(f"the proxy cannot connect to {where}: {reason}")
        case _Kind.CONNECT_TIMEOUT:
            mapped = deadline_exceeded("connect", timeouts.connect, "safe")
        case _Kind.WRITE_TIMEOUT:
            mapped = deadline_exceeded("write", timeouts.write)
        case _Kind.READ_TIMEOUT:
            mapped = deadline_exceeded("first_byte", timeouts.first_byte)
        case _Kind.UNSENDABLE:
            mapped = UsageError(f"the request cannot be sent: {reason}")
        case _:
            mapped = unsafe(TransportError(f"no answer from {where}: {reason}"))
    return mapped


def reading_error(error: Exception) -> ResponsesProtoError:
    """Return the exception of this package for one that was raised after the head of the response arrived.

    An exception of this package is returned as it is.
    """
    if isinstance(error, ResponsesProtoError):
        return error
    reason = _reason(error)
    match _kind(error):
        case _Kind.READ_TIMEOUT:
            return deadline_exceeded("between_bytes", None)
        case _Kind.CUT_OFF:
            return unsafe(StreamTruncated(f"the server closed the connection before the end of its answer: {reason}"))
        case _:
            return unsafe(TransportError(f"the connection broke: {reason}"))


def deadline_exceeded(kind: str, limit: float | None, retry_safety: RetrySafety = "unsafe") -> DeadlineExceeded:
    """Create the exception for a timer that ran out: a field of ``Timeouts``, and its value in seconds."""
    error = DeadlineExceeded(kind, limit or 0.0, limit=limit)
    error.retry_safety = retry_safety
    return error


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, without user name and password: the scope within which a key may be sent."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def public_url(url: str) -> str:
    """Return the URL without the parts that may hold secrets: user name, password and query."""
    address = url.split("?", maxsplit=1)[0]
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else address.rpartition("@")[2]


def _kind(error: Exception) -> _Kind:
    cause = error.__cause__
    if isinstance(cause, _loaded(_AIOHTTP, ("ClientError",))):
        # httpx-aiohttp raises ConnectTimeout for most errors of aiohttp, even after the request was sent. The cause is precise.
        if isinstance(cause, _loaded(_AIOHTTP, ("ClientPayloadError",))):
            # The class covers an early end and a broken connection. Its message quotes the latter: "ConnectionResetError(…)".
            return _Kind.BROKEN if "Error(" in str(cause) else _Kind.CUT_OFF
        error = cast("Exception", cause)
    return next(
        (kind for libraries, names, kind in _KINDS if isinstance(error, _loaded(libraries, names))), _Kind.BROKEN
    )


def _loaded(libraries: tuple[str, ...], names: tuple[str, ...]) -> tuple[type, ...]:
    """Return the classes with these names from the libraries that are loaded."""
    found = (getattr(sys.modules.get(library), name, None) for library in libraries for name in names)
    return tuple(cls for cls in found if isinstance(cls, type))


def unsafe(error: _E) -> _E:
    """Mark an error as one after which the server may have acted on the request, and return it."""
    error.retry_safety = "unsafe"
    return error


def _reason(error: BaseException) -> str:
    """Return the most informative message: that of the operating system if there is one, because the libraries hide it."""
    reason = str(error) or type(error).__name__
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            # Event loops replace the message but keep the error number. The numbers of TLS errors are those of OpenSSL.
            is_systems = cause.errno in errno.errorcode and not isinstance(cause, ssl.SSLError)
            reason = os.strerror(cast("int", cause.errno)) if is_systems else cause.strerror
            if getattr(cause, "reason", "") == "WRONG_VERSION_NUMBER":
                reason = "the server does not speak TLS there; is its address http:// instead of https://?"
            break  # errors further up the chain may be those that the caller was handling when it made the call
    return " ".join(reason.split())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Iterate over an exception and its causes, nearest first."""
    stack: list[BaseException] = [error]
    seen: set[int] = set()
    while stack and len(seen) < _MAX_CHAIN:
        error = stack.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        # The context also where it is suppressed: httpcore's pool suppresses the actual cause.
        cause = error.__cause__ or error.__context__
        if cause is not None:
            stack.append(cause)
        if isinstance(error, BaseExceptionGroup):
            stack += cast("BaseExceptionGroup[BaseException]", error).exceptions


_MAX_CHAIN: Final = 50  # exceptions
